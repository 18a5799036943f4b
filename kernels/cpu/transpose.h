/* The transpose of a matrix whose dimensions are multiples of four, four by four in registers. */
#ifndef WS_KERNELS_CPU_TRANSPOSE_H
#define WS_KERNELS_CPU_TRANSPOSE_H

#include "level.h"

/* to[c, t] = from[t, c]; no arithmetic, so the elements may be anything of a real's size. */
static void ws_transpose(int64_t rows, int64_t columns, const ws_real *restrict from, int64_t from_width,
                         ws_real *restrict to, int64_t to_width)
{
    typedef ws_real four __attribute__((vector_size(4 * sizeof(ws_real))));
#ifdef WS_REAL_DOUBLE
    typedef int64_t order __attribute__((vector_size(32)));
#else
    typedef int32_t order __attribute__((vector_size(16)));
#endif
    for (int64_t t = 0; t < rows; t += 4)
        for (int64_t c = 0; c < columns; c += 4) {
            four in[4], mixed[4], out[4];
            for (int k = 0; k < 4; k++)
                memcpy(&in[k], from + (t + k) * from_width + c, sizeof in[k]);
            mixed[0] = __builtin_shuffle(in[0], in[1], (order){0, 4, 1, 5});
            mixed[1] = __builtin_shuffle(in[0], in[1], (order){2, 6, 3, 7});
            mixed[2] = __builtin_shuffle(in[2], in[3], (order){0, 4, 1, 5});
            mixed[3] = __builtin_shuffle(in[2], in[3], (order){2, 6, 3, 7});
            out[0] = __builtin_shuffle(mixed[0], mixed[2], (order){0, 1, 4, 5});
            out[1] = __builtin_shuffle(mixed[0], mixed[2], (order){2, 3, 6, 7});
            out[2] = __builtin_shuffle(mixed[1], mixed[3], (order){0, 1, 4, 5});
            out[3] = __builtin_shuffle(mixed[1], mixed[3], (order){2, 3, 6, 7});
            for (int k = 0; k < 4; k++)
                memcpy(to + (c + k) * to_width + t, &out[k], sizeof out[k]);
        }
}

#endif
