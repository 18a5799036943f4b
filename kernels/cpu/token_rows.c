/* hide_tokens, gather_rows and scatter_rows on the CPU: rows are copied by number, or from a learned one. */
#include "rows.h"

enum { ROWS_A_PART = 64 }; /* rows summed into one part before it is added to the total */

WS_INLINE void copy_row(ws_real *restrict to, const ws_real *restrict from, int64_t D)
{
    memcpy(to, from, (size_t)D * sizeof *to);
}

WS_INLINE void zero_row(ws_real *to, int64_t D)
{
    memset(to, 0, (size_t)D * sizeof *to);
}

WS_INLINE void add_row(ws_real *restrict to, const ws_real *restrict from, int64_t D)
{
    for (int64_t d = 0; d < D; d++)
        to[d] += from[d];
}

/* A row's gradient: to = from, or to += from; from NULL: zeros */
WS_INLINE void pass_row(ws_real *to, const ws_real *from, int64_t D, bool accumulate)
{
    if (from)
        ws_pass_gradient(to, from, D, accumulate);
    else if (!accumulate)
        zero_row(to, D);
}

WS_OPERATOR_KERNEL(hide_tokens, forward)
{
    for (int64_t r = 0, D = a->D; r < a->R; r++)
        copy_row(a->y + r * D, a->hidden[r] ? a->weight : a->x + r * D, D);
}

WS_OPERATOR_KERNEL(hide_tokens, backward)
{
    int64_t D = a->D;
    for (int64_t r = 0; a->dx && r < a->R; r++)
        pass_row(a->dx + r * D, a->hidden[r] ? NULL : a->dy + r * D, D, a->accumulate_dx);
    if (!a->dweight)
        return;
    zero_row(a->dweight, D);
    for (int64_t from = 0; from < a->R; from += ROWS_A_PART) {
        int64_t to = from + ROWS_A_PART < a->R ? from + ROWS_A_PART : a->R;
        zero_row(a->scratch, D);
        for (int64_t r = from; r < to; r++)
            if (a->hidden[r])
                add_row(a->scratch, a->dy + r * D, D);
        add_row(a->dweight, a->scratch, D);
    }
}

WS_OPERATOR_KERNEL(gather_rows, forward)
{
    int64_t D = a->D;
    for (int64_t i = 0; i < a->B * a->K; i++) {
        int32_t t = a->index[i];
        ws_real *y = a->y + i * D;
        if (t >= 0 && t < a->T)
            copy_row(y, a->x + (i / a->K * a->T + t) * D, D);
        else if (t < 0)
            zero_row(y, D);
        else
            for (int64_t d = 0; d < D; d++)
                y[d] = (ws_real)NAN;
    }
}

WS_OPERATOR_KERNEL(gather_rows, backward)
{
    int64_t D = a->D;
    if (!a->dx)
        return;
    if (!a->accumulate_dx)
        memset(a->dx, 0, (size_t)(a->B * a->T * D) * sizeof *a->dx);
    for (int64_t i = 0; i < a->B * a->K; i++)
        if (a->index[i] >= 0 && a->index[i] < a->T)
            add_row(a->dx + (i / a->K * a->T + a->index[i]) * D, a->dy + i * D, D);
}

/* source[b,t] = the last k that leads to t, -1 for none */
WS_INLINE void find_sources(const ws_scatter_rows_arguments *a)
{
    memset(a->source, 0xff, (size_t)(a->B * a->T) * sizeof *a->source);
    for (int64_t i = 0; i < a->B * a->K; i++)
        if (a->index[i] >= 0 && a->index[i] < a->T)
            a->source[i / a->K * a->T + a->index[i]] = (int32_t)(i % a->K);
}

WS_OPERATOR_KERNEL(scatter_rows, forward)
{
    int64_t D = a->D;
    find_sources(a);
    for (int64_t i = 0; i < a->B * a->T; i++) {
        int32_t k = a->source[i];
        copy_row(a->y + i * D, k < 0 ? a->weight : a->x + (i / a->T * a->K + k) * D, D);
    }
}

WS_INLINE void differentiate_scattered(const ws_scatter_rows_arguments *a)
{
    for (int64_t i = 0, D = a->D; i < a->B * a->K; i++) {
        int32_t t = a->index[i];
        int64_t token = i / a->K * a->T + t;
        bool went = t >= 0 && t < a->T && a->source[token] == (int32_t)(i % a->K);
        pass_row(a->dx + i * D, went ? a->dy + token * D : NULL, D, a->accumulate_dx);
    }
}

WS_OPERATOR_KERNEL(scatter_rows, backward)
{
    int64_t D = a->D;
    find_sources(a);
    if (a->dx)
        differentiate_scattered(a);
    if (!a->dweight)
        return;
    zero_row(a->dweight, D);
    for (int64_t b = 0; b < a->B; b++) { /* a row's part, then the sum of parts */
        zero_row(a->scratch, D);
        for (int64_t t = 0; t < a->T; t++)
            if (a->source[b * a->T + t] < 0)
                add_row(a->scratch, a->dy + (b * a->T + t) * D, D);
        add_row(a->dweight, a->scratch, D);
    }
}
