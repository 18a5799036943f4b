/* Shuffled rows: every column keeps its values, what ties columns together goes, and padding stays padding. */
#include <math.h>
#include <stdlib.h>
#include "models/samples.h"
#include "train/internal.h"

enum { ROWS = 500, COLUMNS = 3, TOKENS = 4, WIDTH = 2 };

static int rising(const void *a, const void *b)
{
    float left = *(const float *)a, right = *(const float *)b;
    return (left > right) - (left < right);
}

/* a[i * stride] and b[i * stride] of the rows that are longer than token hold the same values, and not in the same places. */
static void assert_permuted(const float *a, const float *b, size_t stride, const int32_t *length, int token)
{
    float left[ROWS], right[ROWS];
    size_t count = 0, moved = 0;
    for (size_t i = 0; i < ROWS; i++) {
        if (length && length[i] <= token) {
            assert_true(a[i * stride] == 0 && b[i * stride] == 0);
            continue;
        }
        left[count] = a[i * stride];
        right[count] = b[i * stride];
        moved += left[count] != right[count];
        count++;
    }
    assert_true(moved > count / 2);
    qsort(left, count, sizeof *left, rising);
    qsort(right, count, sizeof *right, rising);
    assert_memory_equal(left, right, count * sizeof *left);
}

static void columns_keep_their_values_and_lose_each_other(void **state)
{
    (void)state;
    static float values[ROWS * COLUMNS], packets[ROWS * TOKENS * WIDTH];
    static int32_t length[ROWS];
    ws_arena *arena;
    ws_samples rows = {.rows = ROWS, .columns = COLUMNS, .values = values}, out, again;
    rows.sequence[WS_SEQUENCE_PACKETS] = (ws_sequence){TOKENS, WIDTH, packets, length};
    for (uint64_t i = 0; i < ROWS; i++) {
        ws_random_normal(1, WS_RANDOM_TEST, 0, i, values + i * COLUMNS, 1);
        for (int c = 1; c < COLUMNS; c++) /* all columns of a row say the same */
            values[i * COLUMNS + (uint64_t)c] = values[i * COLUMNS];
        length[i] = (int32_t)(i % (TOKENS + 1));
        ws_random_normal(1, WS_RANDOM_TEST, 1, i, packets + i * TOKENS * WIDTH, (size_t)(length[i] * WIDTH));
    }
    OK(ws_arena_create(&arena, 1 << 16));
    OK(ws_samples_shuffle(arena, &rows, &out));
    OK(ws_samples_shuffle(arena, &rows, &again));
    double product = 0;
    for (int c = 0; c < COLUMNS; c++)
        assert_permuted(values + c, out.values + c, COLUMNS, NULL, 0);
    for (int i = 0; i < ROWS; i++)
        product += (double)out.values[i * COLUMNS] * out.values[i * COLUMNS + 1] / ROWS;
    assert_true(fabs(product) < 0.2); /* it was 1 */
    const ws_sequence *sequence = &out.sequence[WS_SEQUENCE_PACKETS];
    for (int t = 0; t < TOKENS; t++)
        for (int c = 0; c < WIDTH; c++)
            assert_permuted(packets + t * WIDTH + c, sequence->values + t * WIDTH + c, TOKENS * WIDTH, length, t);
    assert_memory_equal(sequence->length, length, sizeof length);
    assert_memory_equal(out.values, again.values, sizeof values);
    assert_memory_equal(sequence->values, again.sequence[WS_SEQUENCE_PACKETS].values, sizeof packets);
    ws_arena_destroy(&arena);
}

static const struct CMUnitTest tests[] = {cmocka_unit_test(columns_keep_their_values_and_lose_each_other)};

WS_MPI_TEST_MAIN(tests)
