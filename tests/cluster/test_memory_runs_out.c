/* ctest: ranks=2,3,4 timeout=60
 * One rank runs out of memory inside a collective function: all ranks return that, none waits, and the next call works.
 */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include "mpi_main.h"

enum { LARGE = 20 << 20, SPARE = 3 << 20 };

static struct rlimit before;
static int poor; /* the rank without memory */

/* From here to give_back, this process may map only a little more than it has. */
static void take_memory(void)
{
    long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%ld", &pages), 1);
    fclose(file);
    getrlimit(RLIMIT_AS, &before);
    struct rlimit small = {(rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE) + SPARE, before.rlim_max};
    if (world.rank == poor)
        assert_int_equal(setrlimit(RLIMIT_AS, &small), 0);
}

static void give_back(void)
{
    if (world.rank == poor)
        setrlimit(RLIMIT_AS, &before);
}

static void assert_poor_rank_is_named(ws_err error)
{
    char where[64];
    snprintf(where, sizeof where, "rank %d of %d on ", poor, world.size);
    assert_int_equal(error, WS_E_MEMORY);
    assert_non_null(strstr(ws_error_trace(), where));
    ws_error_clear();
}

static void gather_fails_everywhere(void **state)
{
    (void)state;
    for (poor = 0; poor < world.size; poor++) {
        char *part = calloc(LARGE, 1);
        void *whole = NULL;
        size_t bytes = 0;
        assert_non_null(part);
        take_memory();
        ws_err error = ws_gather_all(&world, part, LARGE, &whole, &bytes, NULL);
        give_back();
        assert_poor_rank_is_named(error);
        assert_null(whole);
        assert_int_equal(ws_gather_all(&world, part, 1000, &whole, &bytes, NULL), WS_OK);
        assert_int_equal(bytes, 1000 * world.size);
        free(whole);
        free(part);
    }
}

static void broadcast_of_text_fails_everywhere(void **state)
{
    (void)state;
    for (poor = 1; poor < world.size; poor++) { /* the root has its text already */
        char *own = NULL, *text = NULL;
        if (world.rank == 0) {
            own = malloc(LARGE + 1);
            assert_non_null(own);
            memset(own, 'x', LARGE);
            own[LARGE] = '\0';
            text = own;
        }
        take_memory();
        ws_err error = ws_broadcast_text_all(&world, &text, 0);
        give_back();
        assert_poor_rank_is_named(error);
        if (world.rank != 0)
            assert_null(text);
        free(own);
    }
}

static void exchange_fails_everywhere(void **state)
{
    (void)state;
    for (poor = 0; poor < world.size; poor++) {
        size_t counts[8] = {0}, got[8] = {0};
        counts[poor] = LARGE; /* everybody sends to the one that has no room */
        char *send = calloc(LARGE, 1);
        void *received = NULL;
        assert_non_null(send);
        take_memory();
        ws_err error = ws_exchange_all(&world, send, counts, 1, &received, got);
        give_back();
        assert_poor_rank_is_named(error);
        assert_null(received);
        counts[poor] = 5;
        assert_int_equal(ws_exchange_all(&world, send, counts, 1, &received, got), WS_OK);
        for (int rank = 0; rank < world.size; rank++)
            assert_int_equal(got[rank], world.rank == poor ? 5 : 0);
        free(received);
        free(send);
    }
}

/* What travels needs room where it arrives; what lies in memory that ranks share needs none. */
static void parcels_fail_everywhere(void **state)
{
    (void)state;
    for (poor = 0; poor < world.size; poor++) {
        ws_parcels *parcels = NULL;
        char *put = calloc(LARGE, 1);
        assert_non_null(put);
        assert_int_equal(ws_parcels_create_all(&parcels, &world, 1 << 16), WS_OK);
        assert_int_equal(ws_parcel_put(&parcels->out[poor], put, LARGE), WS_OK);
        take_memory();
        ws_err error = ws_parcels_send_all(parcels);
        give_back();
        assert_poor_rank_is_named(error);
        ws_parcels_destroy(&parcels);
        free(put);
    }
}

/* The tree's own memory is small by design; with doubles over many shards it is larger than what is left here. */
static void tree_sum_fails_everywhere(void **state)
{
    (void)state;
    enum { SHARDS = 125 }; /* subtrees are cut on any number of ranks */
    size_t count = 1 << 17;
    for (poor = 0; poor < world.size; poor++) {
        uint64_t begin, end;
        ws_even_split(SHARDS, world.size, world.rank, &begin, &end);
        double *local[SHARDS] = {0}, *result = calloc(count, sizeof *result);
        assert_non_null(result);
        for (uint64_t shard = begin; shard < end; shard++) {
            local[shard - begin] = malloc(count * sizeof **local);
            assert_non_null(local[shard - begin]);
            for (size_t i = 0; i < count; i++)
                local[shard - begin][i] = (double)shard;
        }
        take_memory();
        ws_err error = ws_tree_sum_double_all(&world, SHARDS, local, result, count);
        give_back();
        assert_poor_rank_is_named(error);
        assert_int_equal(ws_tree_sum_double_all(&world, SHARDS, local, result, count), WS_OK);
        assert_true(result[0] == SHARDS * (SHARDS - 1) / 2 && result[count - 1] == result[0]);
        for (uint64_t shard = begin; shard < end; shard++)
            free(local[shard - begin]);
        free(result);
    }
}

int main(int argc, char **argv)
{
#if defined(__SANITIZE_ADDRESS__)
    printf("skipped: the address sanitizer ends a process that runs out of memory\n");
    return 77;
#endif
    mallopt(M_MMAP_THRESHOLD, 1 << 16); /* freed memory goes back and is not found again under the limit */
    if (ws_cluster_start(&argc, &argv, true, &world) != WS_OK)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gather_fails_everywhere),   cmocka_unit_test(broadcast_of_text_fails_everywhere),
        cmocka_unit_test(exchange_fails_everywhere), cmocka_unit_test(parcels_fail_everywhere),
        cmocka_unit_test(tree_sum_fails_everywhere),
    };
    if (cmocka_run_group_tests(tests, NULL, NULL) > 0)
        MPI_Abort(MPI_COMM_WORLD, 1);
    ws_cluster_stop();
    return 0;
}
