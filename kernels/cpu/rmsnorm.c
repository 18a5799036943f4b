/* rmsnorm on the CPU: a row stays in the first cache through its two passes. */
#include "rows.h"

enum { ROWS_A_PART = 64 }; /* rows summed into one part before it is added to the total */

WS_OPERATOR_KERNEL(rmsnorm, forward)
{
    int64_t D = a->D;
    const ws_real *restrict weight = a->weight;
    for (int64_t b = 0; b < a->B; b++) {
        const ws_real *restrict x = a->x + b * D;
        ws_real *restrict y = a->y + b * D;
        ws_real rstd = 1 / ws_sqrt(ws_row_product(x, x, D) / (ws_real)D + (ws_real)a->epsilon);
        for (int64_t k = 0; k < D; k++)
            y[k] = x[k] * rstd * weight[k];
        if (a->rstd)
            a->rstd[b] = rstd;
    }
}

/* With g = dy weight and h = x rstd: dx = rstd (g - h mean(g h)). */
WS_INLINE void differentiate_row(const ws_rmsnorm_arguments *a, int64_t b)
{
    int64_t D = a->D, k = 0;
    const ws_real *restrict x = a->x + b * D, *restrict dy = a->dy + b * D, *restrict weight = a->weight;
    ws_real *restrict dx = a->dx + b * D;
    ws_real rstd = a->rstd[b], rest = 0;
    ws_register sums[WS_REGISTERS] = {0};
    for (; k + WS_LANES <= D; k += WS_LANES)
        WS_FOR_REGISTERS(r)
        {
            int64_t at = k + r * WS_WIDTH;
            sums[r] += ws_load(dy + at) * ws_load(weight + at) * ws_load(x + at);
        }
    for (; k < D; k++)
        rest += dy[k] * weight[k] * x[k];
    ws_real mean = (ws_fold(sums) + rest) * rstd * rstd / (ws_real)D;
    if (a->accumulate_dx)
        for (k = 0; k < D; k++)
            dx[k] += rstd * (dy[k] * weight[k] - x[k] * mean);
    else
        for (k = 0; k < D; k++)
            dx[k] = rstd * (dy[k] * weight[k] - x[k] * mean);
}

WS_OPERATOR_KERNEL(rmsnorm, backward)
{
    int64_t D = a->D;
    ws_real *restrict dweight = a->dweight, *restrict part = a->scratch;
    if (dweight)
        memset(dweight, 0, (size_t)D * sizeof *dweight);
    for (int64_t from = 0; from < a->B; from += ROWS_A_PART) {
        int64_t to = from + ROWS_A_PART < a->B ? from + ROWS_A_PART : a->B;
        memset(part, 0, (size_t)D * sizeof *part);
        for (int64_t b = from; b < to; b++) {
            const ws_real *restrict x = a->x + b * D, *restrict dy = a->dy + b * D;
            ws_real rstd = a->rstd[b];
            for (int64_t k = 0; k < D; k++)
                part[k] += dy[k] * (x[k] * rstd);
            if (a->dx)
                differentiate_row(a, b);
        }
        for (int64_t k = 0; dweight && k < D; k++)
            dweight[k] += part[k];
    }
}
