/* What the CPU kernels that go over rows share: sums over a row whose order does not depend on the level, and passing on a
 * gradient. */
#ifndef WS_KERNELS_CPU_ROWS_H
#define WS_KERNELS_CPU_ROWS_H

#include "level.h"

WS_INLINE ws_real ws_row_sum(const ws_real *x, int64_t D)
{
    ws_register sums[WS_REGISTERS] = {0};
    int64_t k = 0;
    for (; k + WS_LANES <= D; k += WS_LANES)
        WS_FOR_REGISTERS(r) sums[r] += ws_load(x + k + r * WS_WIDTH);
    ws_real rest = 0;
    for (; k < D; k++)
        rest += x[k];
    return ws_fold(sums) + rest;
}

/* Sum of (x - from)^2. */
WS_INLINE ws_real ws_row_squares(const ws_real *x, ws_real from, int64_t D)
{
    ws_register sums[WS_REGISTERS] = {0};
    int64_t k = 0;
    for (; k + WS_LANES <= D; k += WS_LANES)
        WS_FOR_REGISTERS(r)
        {
            ws_register d = ws_load(x + k + r * WS_WIDTH) - from;
            sums[r] += d * d;
        }
    ws_real rest = 0;
    for (; k < D; k++)
        rest += (x[k] - from) * (x[k] - from);
    return ws_fold(sums) + rest;
}

/* Sum of x y. */
WS_INLINE ws_real ws_row_product(const ws_real *x, const ws_real *y, int64_t D)
{
    ws_register sums[WS_REGISTERS] = {0};
    int64_t k = 0;
    for (; k + WS_LANES <= D; k += WS_LANES)
        WS_FOR_REGISTERS(r) sums[r] += ws_load(x + k + r * WS_WIDTH) * ws_load(y + k + r * WS_WIDTH);
    ws_real rest = 0;
    for (; k < D; k++)
        rest += x[k] * y[k];
    return ws_fold(sums) + rest;
}

/* to = from, or to += from */
WS_INLINE void ws_pass_gradient(ws_real *restrict to, const ws_real *restrict from, int64_t count, bool accumulate)
{
    if (accumulate)
        for (int64_t i = 0; i < count; i++)
            to[i] += from[i];
    else
        memcpy(to, from, (size_t)count * sizeof *to);
}

#endif
