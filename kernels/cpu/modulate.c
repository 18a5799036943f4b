/* modulated_norm, gated_add and add_position on the CPU: rows of tokens with weights that a row of the batch brings along. */
#include "rows.h"

WS_OPERATOR_KERNEL(modulated_norm, forward)
{
    int64_t D = a->D;
    for (int64_t row = 0; row < a->B * a->T; row++) {
        const ws_real *restrict x = a->x + row * D, *condition = a->condition + row / a->T * a->W;
        const ws_real *restrict shift = condition + a->shift, *restrict scale = condition + a->scale;
        ws_real *restrict y = a->y + row * D;
        ws_real mean = ws_row_sum(x, D) / (ws_real)D;
        ws_real rstd = 1 / ws_sqrt(ws_row_squares(x, mean, D) / (ws_real)D + (ws_real)a->epsilon);
        for (int64_t k = 0; k < D; k++)
            y[k] = (x[k] - mean) * rstd * (1 + scale[k]) + shift[k];
        if (a->mean) {
            a->mean[row] = mean;
            a->rstd[row] = rstd;
        }
    }
}

/* With g = dy (1 + scale) and h the normalised row: dx = rstd (g - mean(g) - h mean(g h)). */
WS_INLINE void norm_gradient(const ws_modulated_norm_arguments *a, int64_t row)
{
    int64_t D = a->D, k = 0;
    const ws_real *restrict x = a->x + row * D, *restrict dy = a->dy + row * D;
    const ws_real *restrict scale = a->condition + row / a->T * a->W + a->scale;
    ws_real *restrict dx = a->dx + row * D;
    ws_real mean = a->mean[row], rstd = a->rstd[row];
    ws_register g_sums[WS_REGISTERS] = {0}, gh_sums[WS_REGISTERS] = {0};
    for (; k + WS_LANES <= D; k += WS_LANES)
        WS_FOR_REGISTERS(r)
        {
            int64_t at = k + r * WS_WIDTH;
            ws_register g = ws_load(dy + at) * (1 + ws_load(scale + at));
            g_sums[r] += g;
            gh_sums[r] += g * ((ws_load(x + at) - mean) * rstd);
        }
    ws_real g_rest = 0, gh_rest = 0;
    for (; k < D; k++) {
        ws_real g = dy[k] * (1 + scale[k]);
        g_rest += g;
        gh_rest += g * ((x[k] - mean) * rstd);
    }
    ws_real g_mean = (ws_fold(g_sums) + g_rest) / (ws_real)D, gh_mean = (ws_fold(gh_sums) + gh_rest) / (ws_real)D;
    if (a->accumulate_dx)
        for (k = 0; k < D; k++)
            dx[k] += rstd * (dy[k] * (1 + scale[k]) - g_mean - (x[k] - mean) * rstd * gh_mean);
    else
        for (k = 0; k < D; k++)
            dx[k] = rstd * (dy[k] * (1 + scale[k]) - g_mean - (x[k] - mean) * rstd * gh_mean);
}

WS_INLINE void condition_gradient(const ws_modulated_norm_arguments *a, int64_t b)
{
    int64_t D = a->D;
    ws_real *restrict dscale = a->scratch, *restrict dshift = a->scratch + D, *out = a->dcondition + b * a->W;
    memset(a->scratch, 0, (size_t)(2 * D) * sizeof *a->scratch);
    for (int64_t row = b * a->T; row < (b + 1) * a->T; row++) {
        const ws_real *restrict x = a->x + row * D, *restrict dy = a->dy + row * D;
        ws_real mean = a->mean[row], rstd = a->rstd[row];
        for (int64_t k = 0; k < D; k++) {
            dscale[k] += dy[k] * ((x[k] - mean) * rstd);
            dshift[k] += dy[k];
        }
    }
    for (int64_t k = 0; k < D; k++)
        out[a->scale + k] += dscale[k];
    for (int64_t k = 0; k < D; k++)
        out[a->shift + k] += dshift[k];
}

WS_OPERATOR_KERNEL(modulated_norm, backward)
{
    if (a->dcondition && !a->accumulate_dcondition)
        memset(a->dcondition, 0, (size_t)(a->B * a->W) * sizeof *a->dcondition);
    for (int64_t b = 0; b < a->B; b++) {
        if (a->dcondition)
            condition_gradient(a, b);
        for (int64_t t = 0; a->dx && t < a->T; t++)
            norm_gradient(a, b * a->T + t);
    }
}

WS_OPERATOR_KERNEL(gated_add, forward)
{
    int64_t D = a->D;
    for (int64_t row = 0; row < a->B * a->T; row++) {
        const ws_real *x = a->x + row * D, *update = a->update + row * D;
        const ws_real *restrict gate = a->condition + row / a->T * a->W + a->gate;
        ws_real *restrict y = a->y + row * D;
        for (int64_t k = 0; k < D; k++)
            y[k] = x[k] + gate[k] * update[k];
    }
}

WS_INLINE void gate_row(const ws_gated_add_arguments *a, int64_t row)
{
    int64_t D = a->D;
    const ws_real *restrict dy = a->dy + row * D, *restrict gate = a->condition + row / a->T * a->W + a->gate;
    ws_real *restrict dupdate = a->dupdate + row * D;
    if (a->accumulate_dupdate)
        for (int64_t k = 0; k < D; k++)
            dupdate[k] += gate[k] * dy[k];
    else
        for (int64_t k = 0; k < D; k++)
            dupdate[k] = gate[k] * dy[k];
}

WS_INLINE void gate_gradient(const ws_gated_add_arguments *a, int64_t b)
{
    int64_t D = a->D;
    ws_real *restrict dgate = a->scratch, *restrict out = a->dcondition + b * a->W + a->gate;
    memset(dgate, 0, (size_t)D * sizeof *dgate);
    for (int64_t row = b * a->T; row < (b + 1) * a->T; row++) {
        const ws_real *restrict dy = a->dy + row * D, *restrict update = a->update + row * D;
        for (int64_t k = 0; k < D; k++)
            dgate[k] += dy[k] * update[k];
    }
    for (int64_t k = 0; k < D; k++)
        out[k] += dgate[k];
}

WS_OPERATOR_KERNEL(gated_add, backward)
{
    int64_t count = a->B * a->T * a->D;
    if (a->dcondition && !a->accumulate_dcondition)
        memset(a->dcondition, 0, (size_t)(a->B * a->W) * sizeof *a->dcondition);
    if (a->dx)
        ws_pass_gradient(a->dx, a->dy, count, a->accumulate_dx);
    for (int64_t b = 0; b < a->B; b++) {
        if (a->dcondition)
            gate_gradient(a, b);
        for (int64_t t = 0; a->dupdate && t < a->T; t++)
            gate_row(a, b * a->T + t);
    }
}

WS_OPERATOR_KERNEL(add_position, forward)
{
    for (int64_t b = 0; b < a->B; b++) {
        const ws_real *restrict x = a->x + b * a->count, *restrict weight = a->weight;
        ws_real *restrict y = a->y + b * a->count;
        for (int64_t i = 0; i < a->count; i++)
            y[i] = x[i] + weight[i];
    }
}

WS_OPERATOR_KERNEL(add_position, backward)
{
    ws_real *restrict dweight = a->dweight;
    for (int64_t b = 0; dweight && b < a->B; b++)
        ws_pass_gradient(dweight, a->dy + b * a->count, a->count, b > 0);
    if (a->dx)
        ws_pass_gradient(a->dx, a->dy, a->B * a->count, a->accumulate_dx);
}
