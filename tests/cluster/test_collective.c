/* ctest: ranks=1,2,3,4 timeout=120
 * Sums, prefixes, gathers, broadcasts and exchanges, also of nothing, of uneven and of large amounts.
 */
#include <stdlib.h>
#include <string.h>
#include "mpi_main.h"

static void sums_extremes_and_prefixes(void **state)
{
    (void)state;
    uint64_t values[2] = {(uint64_t)world.rank + 1, UINT64_C(1) << 60}, total[2];
    assert_int_equal(ws_prefix_sum_u64_all(&world, values, total, 2), WS_OK);
    uint64_t rank = (uint64_t)world.rank, size = (uint64_t)world.size;
    assert_int_equal(values[0], rank * (rank + 1) / 2);
    assert_int_equal(values[1], rank << 60);
    assert_int_equal(total[0], size * (size + 1) / 2);
    assert_int_equal(total[1], size << 60);
    int64_t low = -world.rank, high = world.rank;
    assert_int_equal(ws_min_i64_all(&world, &low, 1), WS_OK);
    assert_int_equal(ws_max_i64_all(&world, &high, 1), WS_OK);
    assert_int_equal(low, 1 - world.size);
    assert_int_equal(high, world.size - 1);
    bool any = true;
    assert_int_equal(ws_any_all(&world, false, &any), WS_OK);
    assert_false(any);
    assert_int_equal(ws_any_all(&world, world.rank == world.size - 1, &any), WS_OK);
    assert_true(any);
}

/* As hashes on their way do: the receiver may come for them long after the sender has gone on. */
static void messages_between_two_wait_for_the_receiver(void **state)
{
    (void)state;
    enum { SIZES = 4 };
    static const size_t sizes[SIZES] = {1, 2048, 2049, 10000};
    const int before = world.rank - 1, behind = world.rank + 1;
    ws_sending *sendings[SIZES] = {NULL};
    uint8_t bytes[10000];
    bool arrived;
    for (int s = 0; s < SIZES && behind < world.size; s++) {
        memset(bytes, 10 * world.rank + s, sizes[s]);
        assert_int_equal(ws_send_begin(&sendings[s], &world, behind, bytes, sizes[s]), WS_OK);
        memset(bytes, 0, sizes[s]); /* they are the caller's again */
    }
    assert_int_equal(ws_barrier_all(&world), WS_OK);
    for (int s = 0; s < SIZES && before >= 0; s++) {
        do
            assert_int_equal(ws_has_arrived(&world, before, &arrived), WS_OK);
        while (!arrived);
        assert_int_equal(ws_receive(&world, before, bytes, sizes[s]), WS_OK);
        for (size_t i = 0; i < sizes[s]; i++)
            assert_int_equal(bytes[i], 10 * before + s);
    }
    if (before >= 0) {
        assert_int_equal(ws_has_arrived(&world, before, &arrived), WS_OK);
        assert_false(arrived);
    }
    for (int s = 0; s < SIZES; s++)
        assert_int_equal(ws_send_end(&sendings[s]), WS_OK);
}

static void texts_are_broadcast_from_any_root(void **state)
{
    (void)state;
    for (int root = 0; root < world.size; root++) {
        char own[] = "two\nlines", *text = world.rank == root ? own : NULL;
        assert_int_equal(ws_broadcast_text_all(&world, &text, root), WS_OK);
        assert_string_equal(text, "two\nlines");
        if (world.rank != root)
            free(text);
    }
    char *nothing = NULL;
    assert_int_equal(ws_broadcast_text_all(&world, &nothing, 0), WS_OK);
    assert_null(nothing);
}

static void parts_are_gathered_in_rank_order(void **state)
{
    (void)state;
    /* rank r brings r letters: rank 0 nothing */
    char part[8];
    memset(part, 'a' + world.rank, sizeof part);
    void *whole = NULL;
    size_t bytes = 99, counts[8];
    assert_int_equal(ws_gather_all(&world, part, (size_t)world.rank, &whole, &bytes, counts), WS_OK);
    assert_int_equal(bytes, world.size * (world.size - 1) / 2);
    const char *at = whole;
    for (int rank = 0; rank < world.size; rank++) {
        assert_int_equal(counts[rank], rank);
        for (int i = 0; i < rank; i++)
            assert_int_equal(*at++, 'a' + rank);
    }
    free(whole);
    int square = world.rank * world.rank, squares[8];
    assert_int_equal(ws_gather_equal_all(&world, &square, sizeof square, squares), WS_OK);
    for (int rank = 0; rank < world.size; rank++)
        assert_int_equal(squares[rank], rank * rank);
}

/* What rank `from` sends to rank `to` as its i-th record. */
static uint64_t record_of(int from, int to, size_t i)
{
    return ws_mix64((uint64_t)(from * 16 + to) * 100000007 + i);
}

static void exchange(size_t (*amount)(int from, int to))
{
    size_t send_counts[8], out_counts[8], total = 0;
    for (int to = 0; to < world.size; to++)
        total += send_counts[to] = amount(world.rank, to);
    uint64_t *send = malloc((total + 1) * sizeof *send), *at = send;
    for (int to = 0; to < world.size; to++)
        for (size_t i = 0; i < send_counts[to]; i++)
            *at++ = record_of(world.rank, to, i);
    void *received = NULL;
    assert_int_equal(ws_exchange_all(&world, send, send_counts, sizeof *send, &received, out_counts), WS_OK);
    const uint64_t *got = received;
    for (int from = 0; from < world.size; from++) {
        assert_int_equal(out_counts[from], amount(from, world.rank));
        size_t wrong = 0;
        for (size_t i = 0; i < out_counts[from]; i++)
            wrong += *got++ != record_of(from, world.rank, i);
        assert_int_equal(wrong, 0);
    }
    free(received);
    free(send);
}

static size_t nothing(int from, int to)
{
    return (size_t)(0 * (from + to));
}

static size_t uneven(int from, int to)
{
    return (size_t)(from * 1000 + to * 7) * (size_t)(from != 1);
}

/* 40 MB from rank 0 to the last: three messages */
static size_t large(int from, int to)
{
    return from == 0 && to == world.size - 1 ? 5000001 : 3;
}

static void records_reach_their_rank_in_order(void **state)
{
    (void)state;
    exchange(nothing);
    exchange(uneven);
    exchange(large);
}

static void even_splits_cover_without_gap(void **state)
{
    (void)state;
    static const uint64_t counts[] = {0, 1, 7, 8, 1000003, UINT64_MAX};
    for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++)
        for (int parts = 1; parts < 12; parts++) {
            uint64_t expected = 0, begin, end;
            for (int part = 0; part < parts; part++) {
                ws_even_split(counts[c], parts, part, &begin, &end);
                assert_true(begin == expected);
                assert_true(end - begin == counts[c] / (uint64_t)parts ||
                            end - begin == counts[c] / (uint64_t)parts + 1);
                expected = end;
            }
            assert_true(expected == counts[c]);
        }
}

static void split_communicators_work_apart(void **state)
{
    (void)state;
    ws_comm part;
    assert_int_equal(ws_comm_split_all(&world, world.rank % 2, &part), WS_OK);
    assert_int_equal(part.size, (world.size + 1 - world.rank % 2) / 2);
    uint64_t sum = (uint64_t)world.rank;
    assert_int_equal(ws_sum_u64_all(&part, &sum, 1), WS_OK);
    uint64_t expected = 0;
    for (int rank = world.rank % 2; rank < world.size; rank += 2)
        expected += (uint64_t)rank;
    assert_int_equal(sum, expected);
    ws_comm_destroy(&part);
    assert_int_equal(part.size, 1);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(sums_extremes_and_prefixes),
    cmocka_unit_test(texts_are_broadcast_from_any_root),
    cmocka_unit_test(messages_between_two_wait_for_the_receiver),
    cmocka_unit_test(parts_are_gathered_in_rank_order),
    cmocka_unit_test(records_reach_their_rank_in_order),
    cmocka_unit_test(even_splits_cover_without_gap),
    cmocka_unit_test(split_communicators_work_apart),
};
WS_MPI_TEST_MAIN(tests)
