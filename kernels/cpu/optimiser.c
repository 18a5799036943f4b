/* The kernels over flat buffers on the CPU: one pass each, bound by memory. */
#include "level.h"

WS_PLAIN_KERNEL(adamw)
{
    ws_adamw_arguments o = *a;
    ws_real *restrict p = o.parameters, *restrict m = o.first_moment, *restrict v = o.second_moment;
    const ws_real *restrict g = o.gradients;
    for (size_t i = 0; i < o.count; i++)
        ws_adamw_element(&p[i], g[i], &m[i], &v[i], o.scale, o.share1, o.share2, o.step_size, o.root_correction,
                         o.epsilon, o.decay);
}

WS_PLAIN_KERNEL(ema)
{
    ws_real share = a->share;
    ws_real *restrict average = a->average;
    const ws_real *restrict value = a->value;
    for (size_t i = 0; i < a->count; i++)
        average[i] += share * (value[i] - average[i]);
}

WS_PLAIN_KERNEL(accumulate)
{
    ws_real *restrict sum = a->sum;
    const ws_real *restrict value = a->value;
    for (size_t i = 0; i < a->count; i++)
        sum[i] += value[i];
}

WS_PLAIN_KERNEL(square_sums)
{
    enum { LANES = 16 };
    for (size_t from = 0, block = 0; from < a->count; from += WS_NORM_BLOCK, block++) {
        size_t n = a->count - from < WS_NORM_BLOCK ? a->count - from : WS_NORM_BLOCK, i = 0;
        const ws_real *restrict x = a->value + from;
        double lanes[LANES] = {0}, rest = 0;
        for (; i + LANES <= n; i += LANES)
            for (int k = 0; k < LANES; k++)
                lanes[k] += (double)x[i + (size_t)k] * (double)x[i + (size_t)k];
        for (; i < n; i++)
            rest += (double)x[i] * (double)x[i];
        for (int width = LANES / 2; width > 0; width /= 2)
            for (int k = 0; k < width; k++)
                lanes[k] += lanes[k + width];
        a->partial[block] = lanes[0] + rest;
    }
}
