/* Products of small matrices that lie in the cache: C[M,N] (+)= A[M,K] B[K,N], for kernels that fuse more around them than a
 * BLAS call can. Every element is one sum over k in order, at every level, whatever the tiling. C and B must have room for
 * N rounded up to WS_WIDTH; what lies beyond N there is overwritten in C.
 */
#ifndef WS_KERNELS_CPU_TILE_H
#define WS_KERNELS_CPU_TILE_H

#include "transpose.h"

/* Element (m,k) of A is from[m * row + k * step], so a transpose costs nothing. */
typedef struct ws_left {
    const ws_real *from;
    int64_t row, step;
} ws_left;

enum { WS_TILE_ROWS = 6, WS_TILE_REGISTERS = 2 }; /* as many sums as registers allow */

WS_INLINE void ws_tile(int rows, int registers, int64_t K, ws_left left, const ws_real *b, int64_t b_width, ws_real *c,
                       int64_t c_width, bool add)
{
    ws_register sums[WS_TILE_ROWS][WS_TILE_REGISTERS];
#pragma GCC unroll 6
    for (int m = 0; m < rows; m++)
#pragma GCC unroll 2
        for (int r = 0; r < registers; r++)
            sums[m][r] = add ? ws_load(c + m * c_width + r * WS_WIDTH) : (ws_register){0};
    const ws_real *a = left.from;
    for (int64_t k = 0; k < K; k++, a += left.step, b += b_width) {
        ws_register right[WS_TILE_REGISTERS];
#pragma GCC unroll 2
        for (int r = 0; r < registers; r++)
            right[r] = ws_load(b + r * WS_WIDTH);
#pragma GCC unroll 6
        for (int m = 0; m < rows; m++) {
            ws_real factor = a[m * left.row];
#pragma GCC unroll 2
            for (int r = 0; r < registers; r++)
                sums[m][r] += factor * right[r];
        }
    }
#pragma GCC unroll 6
    for (int m = 0; m < rows; m++)
#pragma GCC unroll 2
        for (int r = 0; r < registers; r++)
            ws_store(c + m * c_width + r * WS_WIDTH, sums[m][r]);
}

WS_INLINE void ws_tile_rows(int registers, int64_t M, int64_t K, ws_left left, const ws_real *b, int64_t b_width,
                            ws_real *c, int64_t c_width, bool add)
{
    for (; M >= WS_TILE_ROWS; M -= WS_TILE_ROWS) {
        ws_tile(WS_TILE_ROWS, registers, K, left, b, b_width, c, c_width, add);
        left.from += WS_TILE_ROWS * left.row;
        c += WS_TILE_ROWS * c_width;
    }
    switch (M) {
    case 5:
        ws_tile(5, registers, K, left, b, b_width, c, c_width, add);
        break;
    case 4:
        ws_tile(4, registers, K, left, b, b_width, c, c_width, add);
        break;
    case 3:
        ws_tile(3, registers, K, left, b, b_width, c, c_width, add);
        break;
    case 2:
        ws_tile(2, registers, K, left, b, b_width, c, c_width, add);
        break;
    case 1:
        ws_tile(1, registers, K, left, b, b_width, c, c_width, add);
        break;
    default:
        break;
    }
}

static void ws_multiply(int64_t M, int64_t N, int64_t K, ws_left left, const ws_real *b, int64_t b_width, ws_real *c,
                        int64_t c_width, bool add)
{
    int64_t n = 0;
    for (; n + WS_WIDTH < N; n += WS_TILE_REGISTERS * WS_WIDTH)
        ws_tile_rows(WS_TILE_REGISTERS, M, K, left, b + n, b_width, c + n, c_width, add);
    if (n < N)
        ws_tile_rows(1, M, K, left, b + n, b_width, c + n, c_width, add);
}

#endif
