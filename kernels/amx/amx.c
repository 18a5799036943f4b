/* The operators whose products may be of bfloat16 factors, with these products in tiles of AMX; and the ceiling of such products.
 * All other kernels of a machine with AMX are those of avx512, and so are these two operators in single precision. */
#define WS_KERNEL_ISA amx
#include "tiles.h"
#include "cpu/bmm.c"
#include "cpu/linear.c"

double ws_multiply_add_amx(int64_t repetitions, ws_real *out);

/* Floating-point operations done by multiplying tiles that are there already; out[0] takes a value. */
double ws_multiply_add_amx(int64_t repetitions, ws_real *out)
{
    float sums[WS_TILE_SIDE * WS_TILE_SIDE];
    ws_tiles_begin();
    WS_TILE_ZERO(0);
    WS_TILE_ZERO(1);
    WS_TILE_ZERO(2);
    WS_TILE_ZERO(3);
    WS_TILE_ZERO(4);
    WS_TILE_ZERO(5);
    for (int64_t i = 0; i < repetitions; i++) { /* four sums hide a multiplication's latency */
        WS_TILE_MULTIPLY(0, 4, 5);
        WS_TILE_MULTIPLY(1, 4, 5);
        WS_TILE_MULTIPLY(2, 4, 5);
        WS_TILE_MULTIPLY(3, 4, 5);
    }
    WS_TILE_STORE(0, sums, WS_TILE_ROW_BYTES);
    ws_tiles_end();
    out[0] = sums[0];
    return 4 * 2.0 * WS_TILE_SIDE * WS_TILE_SIDE * WS_TILE_INNER * (double)repetitions;
}
