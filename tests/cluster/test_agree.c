/* ctest: ranks=1,2,3,4 timeout=60
 * One rank fails at some phase: every rank comes back with that error, and none waits.
 */
#include <stdio.h>
#include <string.h>
#include "mpi_main.h"

static ws_err phase_work(int phase, int failing_phase, int failing_rank)
{
    if (phase == failing_phase && world.rank == failing_rank) {
        ws_err error = WS_ERROR(FORMAT, "phase %d failed on purpose", phase);
        WS_HINT("mend phase %d", phase);
        return error;
    }
    return WS_OK;
}

/* A job of four phases with collectives between them, as the rooms are written. */
static ws_err job_all(int failing_phase, int failing_rank)
{
    for (int phase = 0; phase < 4; phase++) {
        WS_AGREE(&world, phase_work(phase, failing_phase, failing_rank));
        uint64_t sum = 1;
        WS_TRY(ws_sum_u64_all(&world, &sum, 1));
        WS_CHECK(sum == (uint64_t)world.size, INTERNAL, "ranks met in different phases");
    }
    return WS_OK;
}

static void every_rank_returns_the_failing_ranks_error(void **state)
{
    (void)state;
    for (int phase = 0; phase < 4; phase++)
        for (int rank = 0; rank < world.size; rank++) {
            char message[64], hint[64], where[64];
            snprintf(message, sizeof message, "phase %d failed on purpose", phase);
            snprintf(hint, sizeof hint, "mend phase %d", phase);
            snprintf(where, sizeof where, "rank %d of %d on ", rank, world.size);
            assert_int_equal(job_all(phase, rank), WS_E_FORMAT);
            assert_non_null(strstr(ws_error_message(), message));
            assert_non_null(strstr(ws_error_hint(), hint));
            assert_non_null(strstr(ws_error_trace(), "phase_work"));
            if (world.size > 1)
                assert_non_null(strstr(ws_error_trace(), where));
            ws_error_clear();
        }
    assert_int_equal(job_all(-1, -1), WS_OK);
}

static void the_lowest_failing_rank_speaks(void **state)
{
    (void)state;
    ws_err local = world.rank == 0 && world.size > 1 ? WS_OK : WS_ERROR(IO, "rank %d is ill", world.rank);
    assert_int_equal(ws_agree_all(&world, local), WS_E_IO);
    assert_non_null(strstr(ws_error_message(), world.size > 1 ? "rank 1 is ill" : "rank 0 is ill"));
    ws_error_clear();
}

static void mpi_errors_return_and_name_the_call(void **state)
{
    (void)state;
    int value = 0;
    ws_err error = WS_OK;
    int status = MPI_Send(&value, 1, MPI_INT, 1000, 0, MPI_COMM_WORLD);
    assert_int_not_equal(status, MPI_SUCCESS);
    error = ws_mpi_raise(status, "MPI_Send(&value, 1, MPI_INT, 1000)", __FILE__, __LINE__, __func__);
    assert_int_equal(error, WS_E_MPI);
    assert_non_null(strstr(ws_error_message(), "MPI_Send on "));
    assert_null(strchr(ws_error_message(), '\n'));
    ws_error_clear();
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(every_rank_returns_the_failing_ranks_error),
    cmocka_unit_test(the_lowest_failing_rank_speaks),
    cmocka_unit_test(mpi_errors_return_and_name_the_call),
};
WS_MPI_TEST_MAIN(tests)
