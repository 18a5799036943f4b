/* The multiply-add ceiling of one core at this level, for the benchmarks: independent chains of register-wide
 * multiply-adds, as many as hide their latency. */
#include "level.h"

enum { CHAINS = 12 };

double WS_KERNEL(ws_multiply_add)(int64_t repetitions, ws_real *out);

/* Floating-point operations done; out[0] takes a value, so that the work is not left out. */
double WS_KERNEL(ws_multiply_add)(int64_t repetitions, ws_real *out)
{
    ws_register sums[CHAINS], factor = {0}, term = {0};
    factor += (ws_real)0.999;
    term += (ws_real)0.001;
    for (int c = 0; c < CHAINS; c++)
        sums[c] = term * (ws_real)c;
    for (int64_t i = 0; i < repetitions; i++) {
#pragma GCC unroll 12
        for (int c = 0; c < CHAINS; c++)
            sums[c] = sums[c] * factor + term;
    }
    ws_register total = {0};
    for (int c = 0; c < CHAINS; c++)
        total += sums[c];
    out[0] = total[0];
    return 2.0 * CHAINS * WS_WIDTH * (double)repetitions;
}
