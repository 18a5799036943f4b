/* unfold and maxpool1d on the CPU. */
#include "level.h"

/* Columns [*first, *end) of window t lie within the sequence, which *from is the step of column 0 for. */
WS_INLINE void window_within(const ws_unfold_arguments *a, int64_t t, int64_t *from, int64_t *first, int64_t *end)
{
    *from = t * a->stride - a->padding;
    *first = *from < 0 ? -*from : 0;
    *end = a->T - *from < a->width ? a->T - *from : a->width;
    if (*first > *end) /* a window in the padding alone */
        *first = *end = 0;
}

WS_OPERATOR_KERNEL(unfold, forward)
{
    int64_t D = a->D, from, first, end;
    for (int64_t b = 0; b < a->B; b++)
        for (int64_t t = 0; t < a->out; t++) {
            ws_real *y = a->y + (b * a->out + t) * a->width * D;
            window_within(a, t, &from, &first, &end);
            memset(y, 0, (size_t)(first * D) * sizeof *y);
            memcpy(y + first * D, a->x + (b * a->T + from + first) * D, (size_t)((end - first) * D) * sizeof *y);
            memset(y + end * D, 0, (size_t)((a->width - end) * D) * sizeof *y);
        }
}

WS_OPERATOR_KERNEL(unfold, backward)
{
    int64_t D = a->D, from, first, end;
    if (!a->accumulate_dx)
        memset(a->dx, 0, (size_t)(a->B * a->T * D) * sizeof *a->dx);
    for (int64_t b = 0; b < a->B; b++)
        for (int64_t t = 0; t < a->out; t++) {
            window_within(a, t, &from, &first, &end);
            const ws_real *restrict dy = a->dy + ((b * a->out + t) * a->width + first) * D;
            ws_real *restrict dx = a->dx + (b * a->T + from + first) * D;
            for (int64_t i = 0; i < (end - first) * D; i++)
                dx[i] += dy[i];
        }
}

/* b where it is larger than a, or NaN */
WS_INLINE bool takes_over(ws_real a, ws_real b)
{
    return !(b <= a) && !isnan(a);
}

WS_OPERATOR_KERNEL(maxpool1d, forward)
{
    for (int64_t b = 0; b < a->B; b++)
        for (int64_t t = 0; t < a->out; t++) {
            const ws_real *restrict x = a->x + (b * a->T + t * a->stride) * a->D;
            ws_real *restrict y = a->y + (b * a->out + t) * a->D;
            memcpy(y, x, (size_t)a->D * sizeof *y);
            for (int64_t k = 1; k < a->width; k++)
                for (int64_t d = 0; d < a->D; d++)
                    y[d] = takes_over(y[d], x[k * a->D + d]) ? x[k * a->D + d] : y[d];
        }
}

WS_OPERATOR_KERNEL(maxpool1d, backward)
{
    if (!a->accumulate_dx)
        memset(a->dx, 0, (size_t)(a->B * a->T * a->D) * sizeof *a->dx);
    for (int64_t b = 0; b < a->B; b++)
        for (int64_t t = 0; t < a->out; t++)
            for (int64_t d = 0; d < a->D; d++) {
                int64_t at = (b * a->T + t * a->stride) * a->D + d, largest = at;
                for (int64_t k = 1; k < a->width; k++)
                    if (takes_over(a->x[largest], a->x[at + k * a->D]))
                        largest = at + k * a->D;
                a->dx[largest] += a->dy[(b * a->out + t) * a->D + d];
            }
}
