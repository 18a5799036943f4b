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

WS_PLAIN_KERNEL(sgd)
{
    ws_real step_size = a->step_size, decay = a->decay;
    ws_real *restrict p = a->parameters;
    const ws_real *restrict g = a->gradients;
    for (size_t i = 0; i < a->count; i++)
        p[i] -= step_size * g[i] + decay * p[i];
}

WS_PLAIN_KERNEL(ema)
{
    ws_real share = a->share, scale = a->scale;
    ws_real *restrict average = a->average;
    const ws_real *restrict value = a->value;
    for (size_t i = 0; i < a->count; i++)
        average[i] += share * (scale * value[i] - average[i]);
}

WS_PLAIN_KERNEL(accumulate)
{
    ws_real *restrict sum = a->sum;
    const ws_real *restrict value = a->value;
    for (size_t i = 0; i < a->count; i++)
        sum[i] += value[i];
}

/* Sixteen lanes of double at every level. */
typedef double double_register __attribute__((vector_size(WS_REGISTER_BYTES)));
enum { DOUBLES = WS_REGISTER_BYTES / sizeof(double), DOUBLE_REGISTERS = 16 / DOUBLES };
typedef ws_real narrow_register __attribute__((vector_size(DOUBLES * sizeof(ws_real))));

WS_INLINE double square_sum(const ws_real *x, size_t n)
{
    double_register sums[DOUBLE_REGISTERS] = {0};
    size_t i = 0;
    for (; i + 16 <= n; i += 16) {
#pragma GCC unroll 8
        for (size_t r = 0; r < DOUBLE_REGISTERS; r++) {
            narrow_register narrow;
            memcpy(&narrow, x + i + r * DOUBLES, sizeof narrow);
            double_register wide = __builtin_convertvector(narrow, double_register);
            sums[r] += wide * wide;
        }
    }
    double rest = 0, lanes[16];
    for (; i < n; i++)
        rest += (double)x[i] * (double)x[i];
    memcpy(lanes, sums, sizeof lanes);
    for (int width = 8; width > 0; width /= 2)
        for (int k = 0; k < width; k++)
            lanes[k] += lanes[k + width];
    return lanes[0] + rest;
}

WS_PLAIN_KERNEL(square_sums)
{
    for (size_t from = 0, block = 0; from < a->count; from += WS_NORM_BLOCK, block++) {
        size_t n = a->count - from < WS_NORM_BLOCK ? a->count - from : WS_NORM_BLOCK;
        a->partial[block] = square_sum(a->value + from, n);
    }
}
