/* Rows that are wrong in a known way, made of normal rows alone: what a choice between settings may look at, since no anomaly
 * takes part in it.
 *
 * Each column is shuffled over the rows by itself, so that every value is one that normal rows have, and only what holds the
 * columns of a row together is lost. Telling such rows from the normal ones is the classification view of anomaly detection
 * (Steinwart, Hush & Scovel 2005) with the product of the marginals as the reference. In sequences a token's column is a
 * column of its own, shuffled over the rows that have the token; lengths stay.
 */
#include "train/internal.h"

typedef struct shuffling {
    uint64_t rows, *having, *order; /* [rows] */
    uint64_t stream;                /* one for each column */
} shuffling;

/* values[i * stride] of the rows that have it: length NULL: all, else those longer than `token`. */
static void shuffle_column(shuffling *s, const float *from, float *to, uint64_t stride, const int32_t *length,
                           int32_t token)
{
    uint64_t count = 0;
    for (uint64_t i = 0; i < s->rows; i++)
        if (length == NULL || length[i] > token)
            s->having[count++] = i;
    ws_random_permutation(0, WS_RANDOM_REFERENCE, s->stream++, s->order, count);
    for (uint64_t i = 0; i < count; i++)
        to[s->having[i] * stride] = from[s->having[s->order[i]] * stride];
}

static ws_err shuffle_sequence(shuffling *s, ws_arena *arena, const ws_sequence *from, ws_sequence *out)
{
    const uint64_t stride = (uint64_t)from->tokens * (uint64_t)from->columns;
    float *values;
    WS_TRY(ws_arena_alloc(arena, &values, s->rows * stride, sizeof *values));
    for (int t = 0; t < from->tokens; t++)
        for (int c = 0; c < from->columns; c++) {
            const size_t at = (size_t)t * (size_t)from->columns + (size_t)c;
            shuffle_column(s, from->values + at, values + at, stride, from->length, t);
        }
    *out = (ws_sequence){from->tokens, from->columns, values, from->length};
    return WS_OK;
}

ws_err ws_samples_shuffle(ws_arena *arena, const ws_samples *from, ws_samples *out)
{
    shuffling s = {.rows = from->rows};
    float *values;
    WS_TRY(ws_arena_alloc(arena, &s.having, from->rows, sizeof *s.having));
    WS_TRY(ws_arena_alloc(arena, &s.order, from->rows, sizeof *s.order));
    WS_TRY(ws_arena_alloc(arena, &values, from->rows * (uint64_t)from->columns, sizeof *values));
    for (int c = 0; c < from->columns; c++)
        shuffle_column(&s, from->values + c, values + c, (uint64_t)from->columns, NULL, 0);
    *out = (ws_samples){.rows = from->rows, .columns = from->columns, .values = values};
    for (int k = 0; k < WS_SEQUENCE_KINDS; k++)
        if (from->sequence[k].tokens > 0)
            WS_TRY(shuffle_sequence(&s, arena, &from->sequence[k], &out->sequence[k]));
    return WS_OK;
}
