/* attention on the CPU, one head of one row of the batch at a time: its q, k and v are packed side by side, and the scores of a
 * block of queries go through products, softmax and products again without leaving the cache. The backward pass makes the
 * probabilities anew from the scores' statistics. Every sum runs over keys or queries in order.
 */
#include "attention.h"
#include "rows.h"
#include "tile.h"

#define LOG2_E ((ws_real)1.4426950408889634074)

/* One pass over one (b,h). */
typedef struct head {
    const ws_attention_arguments *a;
    ws_attention_layout l;
    int64_t b, h;
    bool dropping;
    ws_real *angles, *factors;            /* [T,d]: cos of d/2 pairs, then sin; [T_padded] */
    ws_real *inverses;                    /* [rows] 1 / sum of a row's exponentials */
    ws_real *k, *v, *k_columns, *dk, *dv; /* [T_padded,d_padded], [d_padded,T_padded] for columns */
    ws_real *v_columns;
    ws_real *q, *y, *p;    /* block: [rows,d_padded], [rows,d_padded], [rows,T_padded] */
    ws_real *dy, *dp, *dq; /* likewise, backward */
} head;

static head prepare(const ws_attention_arguments *a, bool backward)
{
    head x = {.a = a, .l = ws_attention_lay_out(a->T, a->D, a->H)};
    x.dropping = a->random.active && ws_dropout_threshold(a->dropout) > 0;
    const ws_attention_layout *l = &x.l;
    ws_real *next = a->scratch;
    memset(next, 0, (size_t)ws_attention_scratch(a->T, a->D, a->H, backward) * sizeof *next);
#define TAKE(field, count) (x.field = next, next += (count))
    TAKE(angles, l->tokens), TAKE(factors, l->T_padded), TAKE(inverses, l->T_padded + WS_LANES);
    TAKE(k, l->tokens), TAKE(v, l->tokens), TAKE(k_columns, l->columns), TAKE(q, l->block), TAKE(p, l->scores);
    if (backward) {
        TAKE(dk, l->tokens), TAKE(dv, l->tokens), TAKE(v_columns, l->columns);
        TAKE(dy, l->block), TAKE(dq, l->block), TAKE(dp, l->scores);
    } else {
        TAKE(y, l->block);
    }
#undef TAKE
    for (int64_t t = 0; a->rope_base > 0 && t < a->T; t++)
        for (int64_t c = 0; c < l->d / 2; c++)
            ws_rope_turn(a->rope_base, a->rope_period, l->d, t, c, &x.angles[t * l->d + c],
                         &x.angles[t * l->d + l->d / 2 + c]);
    return x;
}

/* Rows [from, from + count) of one third of the projections: times scale, turned where it is q or k. */
static void pack(const head *x, int third, int64_t from, int64_t count, ws_real scale, ws_real *to)
{
    const ws_attention_arguments *a = x->a;
    int64_t d = x->l.d, half = d / 2, width = 3 * a->D;
    const ws_real *rows = a->qkv + (x->b * a->T + from) * width + third * a->D + x->h * d;
    int64_t ahead = x->h + 1 < a->H ? d : x->b + 1 < a->B ? a->T * width - x->h * d : 0;
    for (int64_t t = 0; t < count; t++) {
        const ws_real *restrict row = rows + t * width;
        ws_real *restrict out = to + t * x->l.d_padded;
        for (int64_t c = 0; c < d; c += 64 / (int64_t)sizeof *row) /* of the next head: too far apart to be foreseen */
            __builtin_prefetch(row + ahead + c);
        if (third == 2 || !(a->rope_base > 0)) {
            for (int64_t c = 0; c < d; c++)
                out[c] = row[c] * scale;
            continue;
        }
        const ws_real *restrict cosine = x->angles + (from + t) * d, *restrict sine = cosine + half;
        for (int64_t c = 0; c < half; c++) {
            out[c] = (row[c] * cosine[c] - row[half + c] * sine[c]) * scale;
            out[half + c] = (row[half + c] * cosine[c] + row[c] * sine[c]) * scale;
        }
    }
}

/* The gradient of packed rows, turned back, goes to its place. */
static void unpack(const head *x, int third, int64_t from, int64_t count, ws_real scale, ws_real *packed)
{
    const ws_attention_arguments *a = x->a;
    int64_t d = x->l.d, half = d / 2, width = 3 * a->D;
    ws_real *rows = a->dqkv + (x->b * a->T + from) * width + third * a->D + x->h * d;
    for (int64_t t = 0; t < count; t++) {
        ws_real *restrict out = rows + t * width, *restrict gradient = packed + t * x->l.d_padded;
        if (third != 2 && a->rope_base > 0) {
            const ws_real *restrict cosine = x->angles + (from + t) * d, *restrict sine = cosine + half;
            for (int64_t c = 0; c < half; c++) {
                ws_real left = gradient[c], right = gradient[half + c];
                gradient[c] = left * cosine[c] + right * sine[c];
                gradient[half + c] = right * cosine[c] - left * sine[c];
            }
        }
        if (a->accumulate_dqkv)
            for (int64_t c = 0; c < d; c++)
                out[c] += gradient[c] * scale;
        else
            for (int64_t c = 0; c < d; c++)
                out[c] = gradient[c] * scale;
    }
}

/* Columns that any query of [from, from + count) sees, in whole lanes. */
static void bounds(const head *x, int64_t from, int64_t count, int64_t *first, int64_t *last)
{
    const ws_attention_arguments *a = x->a;
    int64_t lowest = a->T, highest = 0;
    for (int64_t i = from; i < from + count; i++) {
        ws_seen seen = ws_attention_seen(a->ranges, x->b * a->T + i, a->T, a->causal, i);
        for (int k = 0; k < 2; k++)
            if (seen.lo[k] < seen.hi[k]) {
                lowest = seen.lo[k] < lowest ? seen.lo[k] : lowest;
                highest = seen.hi[k] > highest ? seen.hi[k] : highest;
            }
    }
    *last = (highest + WS_LANES - 1) / WS_LANES * WS_LANES;
    *first = lowest < highest ? lowest / WS_LANES * WS_LANES : *last;
}

/* Scores of keys that row i does not see become minus infinity. */
static void hide(const head *x, int64_t i, ws_real *scores, int64_t first, int64_t last)
{
    const ws_attention_arguments *a = x->a;
    ws_seen seen = ws_attention_seen(a->ranges, x->b * a->T + i, a->T, a->causal, i);
    int64_t end = seen.hi[0] > seen.hi[1] ? seen.hi[0] : seen.hi[1];
    for (int64_t j = first; j < seen.lo[0] && j < last; j++)
        scores[j] = -(ws_real)INFINITY;
    for (int64_t j = seen.hi[0] > first ? seen.hi[0] : first; j < seen.lo[1] && j < last; j++)
        scores[j] = -(ws_real)INFINITY;
    for (int64_t j = end > first ? end : first; j < last; j++)
        scores[j] = -(ws_real)INFINITY;
}

/* 0 where dropout takes a probability away, the factor of the others elsewhere. */
static void draw_factors(const head *x, int64_t i, int64_t first, int64_t last)
{
    for (int64_t j = first; j < last && j < x->a->T; j += WS_DROPOUT_A_BLOCK)
        ws_attention_kept(x->a, x->b, x->h, i, j / WS_DROPOUT_A_BLOCK, x->factors + j);
}

WS_INLINE ws_real greatest(const ws_real *s, int64_t first, int64_t last)
{
    ws_real lanes[WS_LANES];
    for (int i = 0; i < WS_LANES; i++)
        lanes[i] = -(ws_real)INFINITY;
    for (int64_t j = first; j < last; j += WS_LANES)
        for (int i = 0; i < WS_LANES; i++)
            lanes[i] = s[j + i] > lanes[i] ? s[j + i] : lanes[i];
#pragma GCC unroll 4
    for (int width = WS_LANES / 2; width > 0; width /= 2)
        for (int i = 0; i < width; i++)
            lanes[i] = lanes[i + width] > lanes[i] ? lanes[i + width] : lanes[i];
    return lanes[0];
}

static ws_left rows_of(const ws_real *matrix, int64_t width)
{
    return (ws_left){matrix, width, 1};
}
static ws_left columns_of(const ws_real *matrix, int64_t width)
{
    return (ws_left){matrix, 1, width};
}

static void load_keys(const head *x)
{
    const ws_attention_layout *l = &x->l;
    pack(x, 1, 0, x->a->T, 1, x->k);
    pack(x, 2, 0, x->a->T, 1, x->v);
    ws_transpose(l->T_padded, l->d_padded, x->k, l->d_padded, x->k_columns, l->T_padded);
}

/* Scores in units of ln 2, whose exponentials are powers of two, of a block of queries against the keys from first on,
 * those of [first, last) that are not seen hidden. q holds the block, scaled. */
static void score(const head *x, int64_t from, int64_t count, int64_t first, int64_t keys, int64_t last)
{
    const ws_attention_layout *l = &x->l;
    pack(x, 0, from, count, LOG2_E / ws_sqrt((ws_real)l->d), x->q);
    ws_multiply(count, keys, l->d, rows_of(x->q, l->d_padded), x->k_columns + first, l->T_padded, x->p + first,
                l->T_padded, false);
    for (int64_t i = 0; i < count; i++)
        hide(x, from + i, x->p + i * l->T_padded, first, last);
}

/* Row i of the scores becomes 2^(score - greatest), times dropout's factors where they are wanted; returns the greatest. Columns
 * from stop on are beyond the keys. */
static ws_real exponentiate(const head *x, int64_t i, ws_real *restrict row, int64_t first, int64_t stop, int64_t last,
                            ws_real *inverse)
{
    ws_real most = greatest(row, first, last);
    ws_register sums[WS_REGISTERS] = {0};
    most = most > -(ws_real)INFINITY ? most : 0; /* a row that sees nothing */
    for (int64_t j = first; j < last; j += WS_LANES)
        WS_FOR_REGISTERS(r)
        {
            ws_real *at = row + j + r * WS_WIDTH;
            ws_register power = {0};
            if (at < row + stop)
                power = ws_exp2_falling(ws_load(at) - most);
            ws_store(at, power);
            sums[r] += power;
        }
    ws_real sum = ws_fold(sums);
    *inverse = sum > 0 ? 1 / sum : sum; /* NaN stays */
    const ws_real *restrict factors = x->factors;
    if (x->dropping)
        draw_factors(x, i, first, last);
    for (int64_t j = first; x->dropping && j < stop; j++)
        row[j] *= factors[j];
    return most;
}

/* Keys of the columns [first, last), and where the registers that hold them end. */
static int64_t keys_within(const head *x, int64_t first, int64_t last, int64_t *stop)
{
    int64_t keys = (last < x->a->T ? last : x->a->T) - first;
    *stop = first + (keys + WS_WIDTH - 1) / WS_WIDTH * WS_WIDTH;
    return keys;
}

static void forward_block(const head *x, int64_t from, int64_t count)
{
    const ws_attention_arguments *a = x->a;
    const ws_attention_layout *l = &x->l;
    int64_t first, last, stop, at = (x->b * a->H + x->h) * a->T + from;
    bounds(x, from, count, &first, &last);
    int64_t keys = keys_within(x, first, last, &stop);
    score(x, from, count, first, keys, last);
    for (int64_t i = 0; i < count; i++) {
        ws_real most = exponentiate(x, from + i, x->p + i * l->T_padded, first, stop, last, &x->inverses[i]);
        if (a->statistics) {
            a->statistics[at + i] = most;
            a->statistics[a->B * a->H * a->T + at + i] = x->inverses[i];
        }
    }
    ws_multiply(count, l->d, keys, rows_of(x->p + first, l->T_padded), x->v + first * l->d_padded, l->d_padded, x->y,
                l->d_padded, false);
    for (int64_t i = 0; i < count; i++) {
        ws_real *restrict out = a->y + (x->b * a->T + from + i) * a->D + x->h * l->d;
        const ws_real *restrict y = x->y + i * l->d_padded, inverse = x->inverses[i];
        for (int64_t c = 0; c < l->d; c++)
            out[c] = y[c] * inverse;
    }
}

WS_OPERATOR_KERNEL(attention, forward)
{
    head x = prepare(a, false);
    for (x.b = 0; x.b < a->B; x.b++)
        for (x.h = 0; x.h < a->H; x.h++) {
            load_keys(&x);
            for (int64_t from = 0; from < a->T; from += x.l.rows)
                forward_block(&x, from, from + x.l.rows < a->T ? x.l.rows : a->T - from);
        }
}

/* With p as it was, m dropout's factors and dp = dy v: ds = p (m dp - dy y), and p m is left in p for the gradient of v. */
static void differentiate_row(const head *x, int64_t i, ws_real *restrict p, ws_real *restrict dp, int64_t first,
                              int64_t stop, const ws_real statistics[2], ws_real along)
{
    const ws_real *restrict factors = x->factors, most = statistics[0], inverse = statistics[1];
    if (x->dropping)
        draw_factors(x, i, first, stop);
    for (int64_t j = first; j < stop; j += WS_WIDTH) {
        ws_register of = ws_exp2_falling(ws_load(p + j) - most) * inverse, gradient = ws_load(dp + j);
        if (x->dropping) {
            ws_register kept = ws_load(factors + j);
            ws_store(dp + j, of * (kept * gradient - along));
            ws_store(p + j, of * kept);
        } else {
            ws_store(dp + j, of * (gradient - along));
            ws_store(p + j, of);
        }
    }
}

static void backward_block(const head *x, int64_t from, int64_t count)
{
    const ws_attention_arguments *a = x->a;
    const ws_attention_layout *l = &x->l;
    int64_t first, last, stop, at = (x->b * a->H + x->h) * a->T + from, row = (x->b * a->T + from) * a->D + x->h * l->d;
    bounds(x, from, count, &first, &last);
    int64_t keys = keys_within(x, first, last, &stop);
    score(x, from, count, first, keys, last);
    for (int64_t i = 0; i < count; i++)
        memcpy(x->dy + i * l->d_padded, a->dy + row + i * a->D, (size_t)l->d * sizeof *a->dy);
    ws_multiply(count, keys, l->d, rows_of(x->dy, l->d_padded), x->v_columns + first, l->T_padded, x->dp + first,
                l->T_padded, false);
    for (int64_t i = 0; i < count; i++) {
        const ws_real statistics[2] = {a->statistics[at + i], a->statistics[a->B * a->H * a->T + at + i]};
        /* dy y: what the softmax takes off the gradient of every probability of the row */
        differentiate_row(x, from + i, x->p + i * l->T_padded, x->dp + i * l->T_padded, first, stop, statistics,
                          ws_row_product(a->dy + row + i * a->D, a->y + row + i * a->D, l->d));
    }
    ws_multiply(count, l->d, keys, rows_of(x->dp + first, l->T_padded), x->k + first * l->d_padded, l->d_padded, x->dq,
                l->d_padded, false);
    ws_multiply(keys, l->d, count, columns_of(x->dp + first, l->T_padded), x->q, l->d_padded,
                x->dk + first * l->d_padded, l->d_padded, true);
    ws_multiply(keys, l->d, count, columns_of(x->p + first, l->T_padded), x->dy, l->d_padded,
                x->dv + first * l->d_padded, l->d_padded, true);
    unpack(x, 0, from, count, 1 / ws_sqrt((ws_real)l->d), x->dq);
}

WS_OPERATOR_KERNEL(attention, backward)
{
    if (!a->dqkv)
        return;
    head x = prepare(a, true);
    for (x.b = 0; x.b < a->B; x.b++)
        for (x.h = 0; x.h < a->H; x.h++) {
            load_keys(&x);
            ws_transpose(x.l.T_padded, x.l.d_padded, x.v, x.l.d_padded, x.v_columns, x.l.T_padded);
            memset(x.dk, 0, (size_t)x.l.tokens * sizeof *x.dk);
            memset(x.dv, 0, (size_t)x.l.tokens * sizeof *x.dv);
            for (int64_t from = 0; from < a->T; from += x.l.rows)
                backward_block(&x, from, from + x.l.rows < a->T ? x.l.rows : a->T - from);
            unpack(&x, 1, 0, a->T, 1 / LOG2_E, x.dk); /* of q as it was scored */
            unpack(&x, 2, 0, a->T, 1, x.dv);
        }
}
