/* Rows for trees: a copy by column, with the rank of every value among the distinct ones of its column. Ranks order rows as values
 * do, so that what is found by sorting them is exact. */
#include <stdlib.h>
#include "models/tree.h"

uint64_t *ws_tree_sort(uint64_t *keys, uint64_t *scratch, size_t count, uint32_t low, int bits)
{
    enum { DIGIT = 8, DIGITS = 1 << DIGIT };
    if (count <= 40) { /* by insertion */
        for (size_t i = 1; i < count; i++) {
            uint64_t key = keys[i];
            size_t j = i;
            for (; j > 0 && keys[j - 1] > key; j--)
                keys[j] = keys[j - 1];
            keys[j] = key;
        }
        return keys;
    }
    for (int done = 0; done < bits; done += DIGIT) {
        uint32_t place[DIGITS] = {0}, sum = 0;
        for (size_t i = 0; i < count; i++)
            place[((uint32_t)(keys[i] >> 32) - low) >> done & (DIGITS - 1)]++;
        for (int d = 0; d < DIGITS; d++) {
            uint32_t here = place[d];
            place[d] = sum;
            sum += here;
        }
        for (size_t i = 0; i < count; i++)
            scratch[place[((uint32_t)(keys[i] >> 32) - low) >> done & (DIGITS - 1)]++] = keys[i];
        uint64_t *other = keys;
        keys = scratch;
        scratch = other;
    }
    return keys;
}

typedef struct ranking {
    ws_tree_rows *rows;
    uint64_t **keys; /* [threads][2 * rows] */
} ranking;

/* Bits that order as the numbers do. */
static uint32_t ordered_bits(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits >> 31 ? ~bits : bits | 0x80000000u;
}

static void rank_column(void *context, int column, int thread)
{
    ranking *r = context;
    const uint32_t rows = r->rows->rows;
    const size_t at = (size_t)column * rows;
    const float *values = r->rows->values + at;
    uint32_t *rank = r->rows->rank + at, distinct = 0;
    uint64_t *keys = r->keys[thread];
    for (uint32_t i = 0; i < rows; i++)
        keys[i] = (uint64_t)ordered_bits(values[i]) << 32 | i;
    keys = ws_tree_sort(keys, keys + rows, rows, 0, 32);
    for (uint32_t i = 0; i < rows; i++) {
        uint32_t row = (uint32_t)keys[i];
        if (i == 0 || keys[i] >> 32 != keys[i - 1] >> 32)
            r->rows->distinct[at + distinct++] = values[row];
        rank[row] = distinct - 1;
    }
    r->rows->distinct_count[column] = distinct;
}

static ws_err rank_columns(ws_tree_rows *rows, ws_shard_threads *threads)
{
    const size_t count = (size_t)ws_shard_threads_count(threads), values = (size_t)rows->columns * rows->rows;
    ranking r = {.rows = rows};
    ws_err error = WS_OK;
    WS_TRY(WS_NEW_ARRAY(rows->rank, values));
    WS_TRY(WS_NEW_ARRAY(rows->distinct, values));
    WS_TRY(WS_NEW_ARRAY(rows->distinct_count, (size_t)rows->columns));
    WS_TRY(WS_NEW_ARRAY(r.keys, count));
    for (size_t t = 0; t < count && error == WS_OK; t++)
        error = WS_NEW_ARRAY(r.keys[t], 2 * (size_t)rows->rows);
    if (error == WS_OK)
        ws_shard_threads_run(threads, 0, rows->columns, rank_column, &r);
    for (size_t t = 0; t < count; t++)
        free(r.keys[t]);
    free(r.keys);
    return error;
}

ws_err ws_tree_rows_create(ws_tree_rows *out, const ws_samples *samples, int classes, bool ranked,
                           ws_shard_threads *threads)
{
    enum { BLOCK = 64 }; /* rows copied at a time, so that a line of memory is read once */
    const size_t columns = (size_t)samples->columns;
    *out = (ws_tree_rows){.columns = samples->columns, .classes = classes, .label = samples->label};
    WS_CHECK(samples->rows > 0, CONFIG, "trees: there are no training rows");
    WS_CHECK(samples->rows < INT32_MAX && samples->columns < WS_TREE_COLUMNS && classes <= WS_TREE_CLASSES, CONFIG,
             "trees: %llu rows, %d columns and %d classes are more than the %d, %d and %d that are possible",
             (unsigned long long)samples->rows, samples->columns, classes, INT32_MAX - 1, WS_TREE_COLUMNS - 1,
             WS_TREE_CLASSES);
    out->rows = (uint32_t)samples->rows;
    WS_TRY(WS_NEW_ARRAY(out->values, columns * out->rows));
    for (size_t begin = 0; begin < out->rows; begin += BLOCK)
        for (size_t c = 0; c < columns; c++)
            for (size_t i = begin; i < begin + BLOCK && i < out->rows; i++)
                out->values[c * out->rows + i] = samples->values[i * columns + c] + 0.0f; /* -0 becomes 0 */
    return ranked ? rank_columns(out, threads) : WS_OK;
}

void ws_tree_rows_destroy(ws_tree_rows *rows)
{
    free(rows->values);
    free(rows->rank);
    free(rows->distinct);
    free(rows->distinct_count);
    *rows = (ws_tree_rows){0};
}
