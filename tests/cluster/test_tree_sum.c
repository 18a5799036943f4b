/* ctest: ranks=1,2,3,4,5,8 timeout=120
 * The tree's sum has the bits of the tree written down as a recursion, whatever the ranks and shard counts.
 */
#include <string.h>
#include <stdlib.h>
#include "mpi_main.h"

/* Values whose sum depends on the order: magnitudes over 12 decades, both signs. */
static double value_at(int shard, size_t element)
{
    uint64_t word = ws_mix64((uint64_t)shard * 1000003 + element);
    double fraction = (double)(word >> 11) / 9007199254740992.0 - 0.5;
    static const double scale[4] = {1e-6, 1.0, 1e3, 1e6};
    return fraction * scale[word & 3];
}

/* The definition: node (level, i) covers shards [i * 2^level, (i + 1) * 2^level); left plus right, absent right is
 * nothing. */
static float reference_float(int level, int index, int shards, size_t element)
{
    if (level == 0)
        return (float)value_at(index, element);
    float left = reference_float(level - 1, 2 * index, shards, element);
    if ((2 * index + 1) << (level - 1) >= shards)
        return left;
    return left + reference_float(level - 1, 2 * index + 1, shards, element);
}

static double reference_double(int level, int index, int shards, size_t element)
{
    if (level == 0)
        return value_at(index, element);
    double left = reference_double(level - 1, 2 * index, shards, element);
    if ((2 * index + 1) << (level - 1) >= shards)
        return left;
    return left + reference_double(level - 1, 2 * index + 1, shards, element);
}

static int top_level(int shards)
{
    int level = 0;
    while (1 << level < shards)
        level++;
    return level;
}

static const int shard_counts[] = {1, 2, 3, 5, 7, 8, 13, 16, 31};

static void float_sums_have_the_tree_bits(void **state)
{
    (void)state;
    static const size_t counts[] = {1, 3, 5000};
    for (size_t s = 0; s < sizeof shard_counts / sizeof shard_counts[0]; s++)
        for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++) {
            int shards = shard_counts[s];
            size_t count = counts[c];
            uint64_t begin, end;
            ws_even_split((uint64_t)shards, world.size, world.rank, &begin, &end);
            float **local = calloc((size_t)shards, sizeof *local), *result = calloc(count, sizeof *result);
            for (uint64_t shard = begin; shard < end; shard++) {
                local[shard - begin] = malloc(count * sizeof **local);
                for (size_t i = 0; i < count; i++)
                    local[shard - begin][i] = (float)value_at((int)shard, i);
            }
            /* half of the cases: the result takes the place of the first shard */
            float *into = c == 1 && end > begin ? local[0] : result;
            assert_int_equal(ws_tree_sum_float_all(&world, shards, local, into, count), WS_OK);
            for (size_t i = 0; i < count; i++) {
                float expected = reference_float(top_level(shards), 0, shards, i);
                assert_memory_equal(&into[i], &expected, sizeof expected);
            }
            for (uint64_t shard = begin; shard < end; shard++)
                free(local[shard - begin]);
            free(local);
            free(result);
        }
}

static void double_sums_over_several_bands(void **state)
{
    (void)state;
    enum { SHARDS = 6 };
    size_t count = (1u << 20) + 12345; /* more than one band, cut unevenly */
    uint64_t begin, end;
    ws_even_split(SHARDS, world.size, world.rank, &begin, &end);
    double *local[SHARDS] = {0}, *result = calloc(count, sizeof *result);
    for (uint64_t shard = begin; shard < end; shard++) {
        local[shard - begin] = malloc(count * sizeof **local);
        for (size_t i = 0; i < count; i++)
            local[shard - begin][i] = value_at((int)shard, i);
    }
    assert_int_equal(ws_tree_sum_double_all(&world, SHARDS, local, result, count), WS_OK);
    for (size_t i = 0; i < count; i += 997) {
        double expected = reference_double(3, 0, SHARDS, i);
        assert_memory_equal(&result[i], &expected, sizeof expected);
    }
    assert_true(result[count - 1] == reference_double(3, 0, SHARDS, count - 1));
    for (uint64_t shard = begin; shard < end; shard++)
        free(local[shard - begin]);
    free(result);
}

/* A room's sums in several steps, as training makes them: the bits of the tree each time, on every rank. */
static void rooms_have_the_tree_bits(void **state)
{
    (void)state;
    enum { COUNT = 5000, STEPS = 3 };
    for (size_t s = 0; s < sizeof shard_counts / sizeof shard_counts[0]; s++) {
        int shards = shard_counts[s];
        uint64_t begin, end;
        ws_even_split((uint64_t)shards, world.size, world.rank, &begin, &end);
        ws_tree_room *room;
        assert_int_equal(ws_tree_room_create_all(&room, &world, shards, COUNT), WS_OK);
        for (size_t step = 0; step < STEPS; step++) {
            for (uint64_t shard = begin; shard < end; shard++)
                for (size_t i = 0; i < COUNT; i++)
                    ws_tree_room_shards(room)[shard - begin][i] = (float)value_at((int)shard, i + step);
            assert_int_equal(ws_tree_room_sum_all(room), WS_OK);
            for (size_t i = 0; i < COUNT; i++) {
                float expected = reference_float(top_level(shards), 0, shards, i + step);
                assert_memory_equal(&ws_tree_room_result(room)[i], &expected, sizeof expected);
            }
        }
        ws_tree_room_destroy(&room);
    }
}

static void no_shards_is_an_error_everywhere(void **state)
{
    (void)state;
    float value = 0;
    assert_int_equal(ws_tree_sum_float_all(&world, 0, NULL, &value, 1), WS_E_INTERNAL);
    ws_tree_room *room;
    assert_int_equal(ws_tree_room_create_all(&room, &world, 0, 1), WS_E_INTERNAL);
    assert_null(room);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(float_sums_have_the_tree_bits),
    cmocka_unit_test(double_sums_over_several_bands),
    cmocka_unit_test(rooms_have_the_tree_bits),
    cmocka_unit_test(no_shards_is_an_error_everywhere),
};
WS_MPI_TEST_MAIN(tests)
