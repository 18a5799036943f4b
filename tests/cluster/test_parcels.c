/* ctest: ranks=1,2,3,4 timeout=120
 * Parcels of any size between ranks, round after round: where ranks share memory, where they do not, and where what one puts is more
 * than is shared.
 */
#include <stdlib.h>
#include <string.h>
#include "mpi_main.h"

/* How much rank `from` puts for rank `to` in a round: nothing, little, and now and then much. */
static size_t amount(int round, int from, int to)
{
    const unsigned mixed = (unsigned)(round * 7919 + from * 104729 + to * 1299709) % 1000;
    return mixed < 200 ? 0 : mixed < 900 ? mixed * 3 : mixed * 101;
}

static uint8_t byte_of(int round, int from, int to, size_t at)
{
    return (uint8_t)(at * 31 + at / 251 + (size_t)round * 17 + (size_t)from * 5 + (size_t)to);
}

static void fill(ws_parcels *parcels, int round)
{
    for (int to = 0; to < world.size; to++) {
        ws_parcel *parcel = &parcels->out[to];
        assert_int_equal(parcel->count, 0);
        for (size_t at = 0; at < amount(round, world.rank, to); at++) {
            assert_int_equal(ws_parcel_reserve(parcel, 1), WS_OK);
            parcel->bytes[parcel->count++] = byte_of(round, world.rank, to, at);
            if (at % 1024 == 0)
                ws_parcels_push(parcels);
        }
    }
}

static void check(const ws_parcels *parcels, int round)
{
    for (int from = 0; from < world.size; from++) {
        assert_int_equal(parcels->in[from].count, amount(round, from, world.rank));
        for (size_t at = 0; at < parcels->in[from].count; at++)
            assert_int_equal(parcels->in[from].bytes[at], byte_of(round, from, world.rank, at));
    }
}

/* The next round is filled while the one before is on its way, and before that is read. */
static void run_rounds(size_t most)
{
    enum { ROUNDS = 40 };
    ws_parcels *parcels = NULL;
    assert_int_equal(ws_parcels_create_all(&parcels, &world, most), WS_OK);
    fill(parcels, 0);
    for (int round = 0; round < ROUNDS; round++) {
        assert_int_equal(ws_parcels_send_all(parcels), WS_OK);
        fill(parcels, round + 1);
        assert_int_equal(ws_parcels_arrive(parcels), WS_OK);
        check(parcels, round);
    }
    ws_parcels_destroy(&parcels);
    assert_null(parcels);
}

/* The part for rank `to` of what rank `from` puts for itself; the rest behind them all it keeps. */
static size_t part_begin(int round, int from, int to)
{
    size_t begin = 0;
    for (int before = 0; before < to; before++)
        begin += amount(round, from, before);
    return begin;
}

static void check_bytes(const uint8_t *bytes, size_t count, int round, int from, size_t at)
{
    for (size_t i = 0; i < count; i++)
        assert_int_equal(bytes[i], byte_of(round, from, 0, at + i));
}

/* Parts of what a rank has put for itself are found by the others; all of it by itself, which puts again meanwhile. */
static void lend_rounds(size_t most)
{
    enum { ROUNDS = 40, KEPT = 77 };
    ws_parcels *parcels = NULL;
    assert_int_equal(ws_parcels_create_all(&parcels, &world, most), WS_OK);
    for (int round = 0; round < ROUNDS; round++) {
        ws_parcel *own = &parcels->out[world.rank];
        const size_t count = part_begin(round, world.rank, world.size) + KEPT;
        assert_int_equal(own->count, 0);
        assert_int_equal(ws_parcel_reserve(own, count), WS_OK);
        for (; own->count < count; own->count++)
            own->bytes[own->count] = byte_of(round, world.rank, 0, own->count);
        for (int to = 0; to < world.size; to++)
            if (to != world.rank && (round + to) % 7 != 0)
                ws_parcels_lend(parcels, to, part_begin(round, world.rank, to), amount(round, world.rank, to));
        assert_int_equal(ws_parcels_send_all(parcels), WS_OK);
        assert_int_equal(ws_parcels_arrive(parcels), WS_OK);
        for (int from = 0; from < world.size; from++) {
            const bool whole = from == world.rank, nothing = !whole && (round + world.rank) % 7 == 0;
            const ws_arrived_parcel *in = &parcels->in[from];
            assert_int_equal(in->count, whole ? count : nothing ? 0 : amount(round, from, world.rank));
            check_bytes(in->bytes, in->count, round, from, whole ? 0 : part_begin(round, from, world.rank));
        }
    }
    ws_parcels_destroy(&parcels);
}

static void parts_that_are_lent_are_found(void **state)
{
    (void)state;
    lend_rounds(1 << 20);
    lend_rounds(4096);
    lend_rounds(0);
}

static void what_one_rank_puts_the_other_finds(void **state)
{
    (void)state;
    run_rounds(1 << 20);
}

static void what_outgrows_its_room_travels(void **state)
{
    (void)state;
    run_rounds(4096);
}

static void without_shared_memory_all_travels(void **state)
{
    (void)state;
    run_rounds(0);
}

/* More than a message holds. */
static void large_parcels_travel_in_pieces(void **state)
{
    (void)state;
    const size_t bytes = (size_t)(33 << 20) + 5;
    ws_parcels *parcels = NULL;
    assert_int_equal(ws_parcels_create_all(&parcels, &world, 0), WS_OK);
    const int to = (world.rank + 1) % world.size, from = (world.rank + world.size - 1) % world.size;
    assert_int_equal(ws_parcel_reserve(&parcels->out[to], bytes), WS_OK);
    memset(parcels->out[to].bytes, 'a' + world.rank, bytes);
    parcels->out[to].count = bytes;
    assert_int_equal(ws_parcels_send_all(parcels), WS_OK);
    assert_int_equal(ws_parcels_arrive(parcels), WS_OK);
    for (int r = 0; r < world.size; r++)
        assert_int_equal(parcels->in[r].count, r == from ? bytes : 0);
    for (size_t at = 0; at < bytes; at += 4093)
        assert_int_equal(parcels->in[from].bytes[at], 'a' + from);
    assert_int_equal(parcels->in[from].bytes[bytes - 1], 'a' + from);
    ws_parcels_destroy(&parcels);
}

/* A rank that ends while others read what it put leaves them what they read. */
static void what_was_put_outlives_the_sender(void **state)
{
    (void)state;
    ws_parcels *parcels = NULL;
    assert_int_equal(ws_parcels_create_all(&parcels, &world, 1 << 16), WS_OK);
    fill(parcels, 3);
    assert_int_equal(ws_parcels_send_all(parcels), WS_OK);
    assert_int_equal(ws_parcels_arrive(parcels), WS_OK);
    if (world.rank == 0)
        ws_parcels_destroy(&parcels);
    assert_int_equal(ws_barrier_all(&world), WS_OK);
    if (parcels != NULL)
        check(parcels, 3);
    ws_parcels_destroy(&parcels);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(what_one_rank_puts_the_other_finds), cmocka_unit_test(what_outgrows_its_room_travels),
    cmocka_unit_test(without_shared_memory_all_travels),  cmocka_unit_test(large_parcels_travel_in_pieces),
    cmocka_unit_test(what_was_put_outlives_the_sender),   cmocka_unit_test(parts_that_are_lent_are_found),
};
WS_MPI_TEST_MAIN(tests)
