/* mse, masked_mse, bce and cross_entropy on the CPU. */
#include "level.h"

enum { ELEMENTS_A_PART = 4096 };

WS_INLINE ws_real sum_of_squared_differences(const ws_real *p, const ws_real *t, int64_t count)
{
    ws_register sums[WS_REGISTERS] = {0};
    int64_t i = 0;
    for (; i + WS_LANES <= count; i += WS_LANES)
        WS_FOR_REGISTERS(r)
        {
            ws_register d = ws_load(p + i + r * WS_WIDTH) - ws_load(t + i + r * WS_WIDTH);
            sums[r] += d * d;
        }
    ws_real rest = 0;
    for (; i < count; i++)
        rest += (p[i] - t[i]) * (p[i] - t[i]);
    return ws_fold(sums) + rest;
}

WS_OPERATOR_KERNEL(mse, forward)
{
    double total = 0;
    for (int64_t i = 0; i < a->count; i += ELEMENTS_A_PART) {
        int64_t n = a->count - i < ELEMENTS_A_PART ? a->count - i : ELEMENTS_A_PART;
        total += (double)sum_of_squared_differences(a->prediction + i, a->target + i, n);
    }
    a->loss[0] = (ws_real)(total / (double)a->count);
}

WS_INLINE void scaled_difference(ws_real scale, const ws_real *p, const ws_real *t, int64_t count, ws_real *restrict to,
                                 bool accumulate)
{
    if (accumulate)
        for (int64_t i = 0; i < count; i++)
            to[i] += scale * (p[i] - t[i]);
    else
        for (int64_t i = 0; i < count; i++)
            to[i] = scale * (p[i] - t[i]);
}

WS_OPERATOR_KERNEL(mse, backward)
{
    ws_real scale = 2 * a->dloss[0] / (ws_real)a->count;
    if (a->dprediction)
        scaled_difference(scale, a->prediction, a->target, a->count, a->dprediction, a->accumulate_dprediction);
    if (a->dtarget)
        scaled_difference(-scale, a->prediction, a->target, a->count, a->dtarget, a->accumulate_dtarget);
}

WS_OPERATOR_KERNEL(masked_mse, forward)
{
    double total = 0, weights = 0;
    for (int64_t r = 0; r < a->R; r++) {
        if (a->weight[r] == 0)
            continue;
        weights += (double)a->weight[r];
        total += (double)a->weight[r] *
                 (double)sum_of_squared_differences(a->prediction + r * a->D, a->target + r * a->D, a->D);
    }
    double scale = weights > 0 ? 1 / weights : 0;
    if (a->row_scale)
        a->row_scale[0] = (ws_real)scale;
    a->loss[0] = scale > 0 ? (ws_real)(total * scale / (double)a->D) : 0;
}

/* Where the scale is 0 the differences are not looked at: they may be anything. */
WS_INLINE void masked_difference(const ws_masked_mse_arguments *a, ws_real sign, ws_real *to, bool accumulate)
{
    ws_real scale = sign * 2 * a->dloss[0] * a->row_scale[0] / (ws_real)a->D;
    for (int64_t r = 0, D = a->D; r < a->R; r++) {
        if (a->weight[r] != 0 && a->row_scale[0] != 0)
            scaled_difference(scale * a->weight[r], a->prediction + r * D, a->target + r * D, D, to + r * D,
                              accumulate);
        else if (!accumulate)
            memset(to + r * D, 0, (size_t)D * sizeof *to);
    }
}

WS_OPERATOR_KERNEL(masked_mse, backward)
{
    if (a->dprediction)
        masked_difference(a, 1, a->dprediction, a->accumulate_dprediction);
    if (a->dtarget)
        masked_difference(a, -1, a->dtarget, a->accumulate_dtarget);
}

WS_OPERATOR_KERNEL(bce, forward)
{
    double total = 0;
    for (int64_t from = 0; from < a->count; from += ELEMENTS_A_PART) {
        int64_t n = a->count - from < ELEMENTS_A_PART ? a->count - from : ELEMENTS_A_PART, i = 0;
        const ws_real *restrict x = a->logits + from, *restrict t = a->target + from;
        ws_real lanes[WS_LANES] = {0}, rest = 0;
        for (; i + WS_LANES <= n; i += WS_LANES)
            for (int lane = 0; lane < WS_LANES; lane++)
                lanes[lane] += ws_bce_of(x[i + lane], t[i + lane]);
        for (; i < n; i++)
            rest += ws_bce_of(x[i], t[i]);
        ws_register sums[WS_REGISTERS];
        memcpy(sums, lanes, sizeof sums);
        total += (double)(ws_fold(sums) + rest);
    }
    a->loss[0] = (ws_real)(total / (double)a->count);
}

WS_OPERATOR_KERNEL(bce, backward)
{
    ws_real scale = a->dloss[0] / (ws_real)a->count;
    const ws_real *restrict x = a->logits, *restrict t = a->target;
    ws_real *restrict dx = a->dlogits;
    if (a->accumulate_dlogits)
        for (int64_t i = 0; i < a->count; i++)
            dx[i] += scale * (ws_sigmoid(x[i]) - t[i]);
    else
        for (int64_t i = 0; i < a->count; i++)
            dx[i] = scale * (ws_sigmoid(x[i]) - t[i]);
}

/* log(sum(exp(x))), with the largest taken out first. */
WS_INLINE ws_real log_sum_exp(const ws_real *restrict x, int64_t C)
{
    ws_real largest = x[0];
    for (int64_t c = 1; c < C; c++)
        largest = x[c] > largest ? x[c] : largest;
    ws_real lanes[WS_LANES] = {0}, rest = 0;
    int64_t c = 0;
    for (; c + WS_LANES <= C; c += WS_LANES)
        for (int i = 0; i < WS_LANES; i++)
            lanes[i] += ws_exp(x[c + i] - largest);
    for (; c < C; c++)
        rest += ws_exp(x[c] - largest);
    ws_register sums[WS_REGISTERS];
    memcpy(sums, lanes, sizeof sums);
    return largest + ws_log(ws_fold(sums) + rest);
}

/* The smoothed part's share of a class, and the sum over classes of the class weights. */
WS_INLINE ws_real share_of_each(const ws_cross_entropy_arguments *a)
{
    return (ws_real)(a->smoothing / (double)a->C);
}

WS_INLINE double sum_of_weights(const ws_cross_entropy_arguments *a)
{
    double sum = 0;
    for (int64_t c = 0; c < a->C && a->class_weight; c++)
        sum += (double)a->class_weight[c];
    return a->class_weight ? sum : (double)a->C;
}

/* What a row adds: (1 - e) w[index] (log_sum - x[index]) + e / C * sum of w (log_sum - x). */
WS_INLINE double row_loss(const ws_cross_entropy_arguments *a, const ws_real *x, int32_t index, ws_real log_sum)
{
    const ws_real *w = a->class_weight;
    if (index >= a->C)
        return (double)NAN;
    double of_class = (double)(log_sum - x[index]) * (w ? (double)w[index] : 1);
    if (a->smoothing == 0)
        return of_class;
    double of_all = 0;
    for (int64_t c = 0; c < a->C; c++)
        of_all += (double)(log_sum - x[c]) * (w ? (double)w[c] : 1);
    return (1 - a->smoothing) * of_class + a->smoothing / (double)a->C * of_all;
}

WS_OPERATOR_KERNEL(cross_entropy, forward)
{
    double total = 0, counted = 0;
    for (int64_t b = 0; b < a->B; b++) {
        const ws_real *x = a->logits + b * a->C;
        int32_t index = a->index[b];
        if (index < 0)
            continue;
        ws_real log_sum = log_sum_exp(x, a->C);
        if (a->log_sum)
            a->log_sum[b] = log_sum;
        total += row_loss(a, x, index, log_sum);
        counted += a->class_weight && index < a->C ? (double)a->class_weight[index] : 1;
    }
    if (a->row_scale)
        a->row_scale[0] = counted > 0 ? (ws_real)(1 / counted) : 0;
    a->loss[0] = counted > 0 ? (ws_real)(total / counted) : 0;
}

WS_INLINE void softmax_gradient(const ws_real *restrict x, ws_real log_sum, ws_real scale, ws_real *restrict dx,
                                int64_t C, bool accumulate)
{
    if (accumulate)
        for (int64_t c = 0; c < C; c++)
            dx[c] += scale * ws_exp(x[c] - log_sum);
    else
        for (int64_t c = 0; c < C; c++)
            dx[c] = scale * ws_exp(x[c] - log_sum);
}

WS_OPERATOR_KERNEL(cross_entropy, backward)
{
    ws_real scale = a->dloss[0] * a->row_scale[0], each = share_of_each(a);
    ws_real weights = (ws_real)sum_of_weights(a), sharp = (ws_real)(1 - a->smoothing);
    for (int64_t b = 0; b < a->B; b++) {
        ws_real *dx = a->dlogits + b * a->C;
        int32_t index = a->index[b];
        if (index < 0) {
            if (!a->accumulate_dlogits)
                memset(dx, 0, (size_t)a->C * sizeof *dx);
            continue;
        }
        ws_real own = sharp * (a->class_weight && index < a->C ? a->class_weight[index] : 1);
        ws_real whole = a->smoothing > 0 ? own + each * weights : own;
        softmax_gradient(a->logits + b * a->C, a->log_sum[b], scale * whole, dx, a->C, a->accumulate_dlogits);
        if (index < a->C)
            dx[index] -= scale * own;
        for (int64_t c = 0; a->smoothing > 0 && c < a->C; c++)
            dx[c] -= scale * each * (a->class_weight ? a->class_weight[c] : 1);
    }
}
