/* mean_pool, attention_pool and l2norm on the CPU. */
#include "rows.h"
#include "pool.h"

/* to += factor * from */
WS_INLINE void add_scaled(ws_real *restrict to, ws_real factor, const ws_real *restrict from, int64_t D)
{
    for (int64_t d = 0; d < D; d++)
        to[d] += factor * from[d];
}

/* to = factor * from, or to += */
WS_INLINE void pass_scaled(ws_real *restrict to, ws_real factor, const ws_real *restrict from, int64_t D,
                           bool accumulate)
{
    if (accumulate)
        add_scaled(to, factor, from, D);
    else
        for (int64_t d = 0; d < D; d++)
            to[d] = factor * from[d];
}

WS_OPERATOR_KERNEL(mean_pool, forward)
{
    int64_t T = a->T, D = a->D;
    for (int64_t b = 0; b < a->B; b++) {
        int64_t n = ws_pool_tokens(a->length, b, T);
        ws_real *restrict y = a->y + b * D;
        memset(y, 0, (size_t)D * sizeof *y);
        for (int64_t t = 0; t < n; t++)
            add_scaled(y, 1, a->x + (b * T + t) * D, D);
        ws_real share = n > 0 ? 1 / (ws_real)n : 0;
        for (int64_t d = 0; d < D; d++)
            y[d] *= share;
    }
}

WS_OPERATOR_KERNEL(mean_pool, backward)
{
    int64_t T = a->T, D = a->D;
    for (int64_t b = 0; b < a->B; b++) {
        int64_t n = ws_pool_tokens(a->length, b, T);
        ws_real share = n > 0 ? 1 / (ws_real)n : 0, *dx = a->dx + b * T * D;
        for (int64_t t = 0; t < n; t++)
            pass_scaled(dx + t * D, share, a->dy + b * D, D, a->accumulate_dx);
        if (!a->accumulate_dx)
            memset(dx + n * D, 0, (size_t)((T - n) * D) * sizeof *dx);
    }
}

/* share[t] = softmax of the scores of the first n tokens, 0 for the others */
WS_INLINE void score_tokens(const ws_attention_pool_arguments *a, const ws_real *x, int64_t n, ws_real *share)
{
    ws_real largest = -INFINITY, sum = 0;
    for (int64_t t = 0; t < n; t++) {
        share[t] = ws_row_product(x + t * a->D, a->weight, a->D) + a->bias[0];
        largest = share[t] > largest ? share[t] : largest;
    }
    for (int64_t t = 0; t < n; t++) {
        share[t] = ws_exp(share[t] - largest);
        sum += share[t];
    }
    for (int64_t t = 0; t < n; t++)
        share[t] /= sum;
    for (int64_t t = n; t < a->T; t++)
        share[t] = 0;
}

WS_OPERATOR_KERNEL(attention_pool, forward)
{
    int64_t T = a->T, D = a->D;
    for (int64_t b = 0; b < a->B; b++) {
        int64_t n = ws_pool_tokens(a->length, b, T);
        const ws_real *x = a->x + b * T * D;
        ws_real *y = a->y + b * D, *share = a->share + b * T;
        score_tokens(a, x, n, share);
        memset(y, 0, (size_t)D * sizeof *y);
        for (int64_t t = 0; t < n; t++)
            add_scaled(y, share[t], x + t * D, D);
    }
}

/* dscore[t] = p (q - mean of q), q = dy . x[t], the mean weighted by p; 0 behind the n tokens. Returns their sum. */
WS_INLINE double differentiate_scores(const ws_attention_pool_arguments *a, int64_t b, int64_t n)
{
    int64_t T = a->T, D = a->D;
    const ws_real *x = a->x + b * T * D, *dy = a->dy + b * D, *share = a->share + b * T;
    ws_real *dscore = a->dscore + b * T, mean = 0;
    double sum = 0;
    for (int64_t t = 0; t < n; t++) {
        dscore[t] = ws_row_product(dy, x + t * D, D);
        mean += share[t] * dscore[t];
    }
    for (int64_t t = 0; t < n; t++) {
        dscore[t] = share[t] * (dscore[t] - mean);
        sum += (double)dscore[t];
    }
    return sum;
}

WS_OPERATOR_KERNEL(attention_pool, backward)
{
    int64_t T = a->T, D = a->D;
    double bias = 0;
    if (a->dweight)
        memset(a->dweight, 0, (size_t)D * sizeof *a->dweight);
    for (int64_t b = 0; b < a->B; b++) {
        int64_t n = ws_pool_tokens(a->length, b, T);
        const ws_real *x = a->x + b * T * D, *share = a->share + b * T, *dscore = a->dscore + b * T;
        bias += differentiate_scores(a, b, n);
        memset(a->scratch, 0, (size_t)D * sizeof *a->scratch); /* a row's part of dweight */
        for (int64_t t = 0; a->dweight && t < n; t++)
            add_scaled(a->scratch, dscore[t], x + t * D, D);
        if (a->dweight)
            add_scaled(a->dweight, 1, a->scratch, D);
        ws_real *dx = a->dx ? a->dx + b * T * D : NULL;
        for (int64_t t = 0; dx && t < n; t++) {
            pass_scaled(dx + t * D, share[t], a->dy + b * D, D, a->accumulate_dx);
            add_scaled(dx + t * D, dscore[t], a->weight, D);
        }
        if (dx && !a->accumulate_dx)
            memset(dx + n * D, 0, (size_t)((T - n) * D) * sizeof *dx);
    }
    if (a->dbias)
        a->dbias[0] = (ws_real)bias;
}

WS_OPERATOR_KERNEL(l2norm, forward)
{
    for (int64_t b = 0, D = a->D; b < a->B; b++) {
        const ws_real *x = a->x + b * D;
        ws_real length = ws_sqrt(ws_row_product(x, x, D)), least = (ws_real)a->epsilon;
        ws_real inverse = 1 / (length < least ? least : length); /* NaN goes through */
        pass_scaled(a->y + b * D, inverse, x, D, false);
        if (a->inverse)
            a->inverse[b] = inverse;
    }
}

/* dx = (dy - y (y . dy)) / |x|; where the length was too small, y is x times a constant. */
WS_OPERATOR_KERNEL(l2norm, backward)
{
    for (int64_t b = 0, D = a->D; b < a->B; b++) {
        const ws_real *restrict y = a->y + b * D, *restrict dy = a->dy + b * D;
        ws_real *restrict dx = a->dx + b * D;
        ws_real inverse = a->inverse[b];
        ws_real along = inverse < 1 / (ws_real)a->epsilon ? ws_row_product(y, dy, D) : 0;
        if (a->accumulate_dx)
            for (int64_t d = 0; d < D; d++)
                dx[d] += (dy[d] - y[d] * along) * inverse;
        else
            for (int64_t d = 0; d < D; d++)
                dx[d] = (dy[d] - y[d] * along) * inverse;
    }
}
