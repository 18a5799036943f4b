/* layernorm on the CPU: a row stays in the first cache through its three passes (mean, variance, output). */
#include "rows.h"

enum { ROWS_A_PART = 64 };

WS_OPERATOR_KERNEL(layernorm, forward)
{
    int64_t D = a->D;
    const ws_real *restrict weight = a->weight, *restrict bias = a->bias;
    for (int64_t b = 0; b < a->B; b++) {
        const ws_real *restrict x = a->x + b * D;
        ws_real *restrict y = a->y + b * D;
        ws_real mean = ws_row_sum(x, D) / (ws_real)D;
        ws_real variance = ws_row_squares(x, mean, D) / (ws_real)D;
        ws_real rstd = 1 / ws_sqrt(variance + (ws_real)a->epsilon);
        for (int64_t k = 0; k < D; k++)
            y[k] = (x[k] - mean) * rstd * weight[k] + bias[k];
        if (a->mean) {
            a->mean[b] = mean;
            a->rstd[b] = rstd;
        }
    }
}

/* With g = dy weight and h the normalised row: dx = rstd (g - mean(g) - h mean(g h)). */
WS_INLINE void differentiate_row(const ws_layernorm_arguments *a, int64_t b)
{
    int64_t D = a->D;
    const ws_real *restrict x = a->x + b * D, *restrict dy = a->dy + b * D, *restrict weight = a->weight;
    ws_real *restrict dx = a->dx + b * D;
    ws_real mean = a->mean[b], rstd = a->rstd[b];
    ws_register g_sums[WS_REGISTERS] = {0}, gh_sums[WS_REGISTERS] = {0};
    int64_t k = 0;
    for (; k + WS_LANES <= D; k += WS_LANES)
        WS_FOR_REGISTERS(r)
        {
            int64_t at = k + r * WS_WIDTH;
            ws_register g = ws_load(dy + at) * ws_load(weight + at);
            g_sums[r] += g;
            gh_sums[r] += g * ((ws_load(x + at) - mean) * rstd);
        }
    ws_real g_rest = 0, gh_rest = 0;
    for (; k < D; k++) {
        ws_real g = dy[k] * weight[k];
        g_rest += g;
        gh_rest += g * ((x[k] - mean) * rstd);
    }
    ws_real g_mean = (ws_fold(g_sums) + g_rest) / (ws_real)D, gh_mean = (ws_fold(gh_sums) + gh_rest) / (ws_real)D;
    if (a->accumulate_dx)
        for (k = 0; k < D; k++)
            dx[k] += rstd * (dy[k] * weight[k] - g_mean - (x[k] - mean) * rstd * gh_mean);
    else
        for (k = 0; k < D; k++)
            dx[k] = rstd * (dy[k] * weight[k] - g_mean - (x[k] - mean) * rstd * gh_mean);
}

static void add_part(const ws_layernorm_arguments *a, int64_t from, int64_t to)
{
    int64_t D = a->D;
    ws_real *restrict weight_part = a->scratch, *restrict bias_part = a->scratch + D;
    memset(a->scratch, 0, (size_t)(2 * D) * sizeof *a->scratch);
    for (int64_t b = from; b < to; b++) {
        const ws_real *restrict x = a->x + b * D, *restrict dy = a->dy + b * D;
        ws_real mean = a->mean[b], rstd = a->rstd[b];
        for (int64_t k = 0; k < D; k++) {
            weight_part[k] += dy[k] * ((x[k] - mean) * rstd);
            bias_part[k] += dy[k];
        }
        if (a->dx)
            differentiate_row(a, b);
    }
    ws_real *restrict dweight = a->dweight, *restrict dbias = a->dbias;
    for (int64_t k = 0; dweight && k < D; k++) {
        dweight[k] += weight_part[k];
        dbias[k] += bias_part[k];
    }
}

WS_OPERATOR_KERNEL(layernorm, backward)
{
    if (a->dweight) {
        memset(a->dweight, 0, (size_t)a->D * sizeof *a->dweight);
        memset(a->dbias, 0, (size_t)a->D * sizeof *a->dbias);
    }
    for (int64_t from = 0; from < a->B; from += ROWS_A_PART)
        add_part(a, from, from + ROWS_A_PART < a->B ? from + ROWS_A_PART : a->B);
}
