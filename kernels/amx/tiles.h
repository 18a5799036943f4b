/* Tiles of AMX: a thin layer over its instructions, and all of the hardware that product.h knows.
 *
 * A tile is 16 rows of 64 bytes. Sums are 16 x 16 floats; a left factor is 16 rows of 32 bfloat16 numbers along k; a right factor is
 * 16 rows, one for each pair of k, of 16 columns of such pairs. The tile of a call is a number that stands there in digits: the
 * assembler wants it so.
 */
#ifndef WS_KERNELS_AMX_TILES_H
#define WS_KERNELS_AMX_TILES_H

#include <immintrin.h>
#include <stdint.h>

#define WS_TILES

/* How tiles are shaped, for the instruction that says so. Lasts until ws_tiles_end, in one thread. */
static inline void ws_tiles_begin(void)
{
    struct {
        uint8_t palette, first_row, reserved[14];
        uint16_t row_bytes[16];
        uint8_t rows[16];
    } shape = {.palette = 1};
    for (int tile = 0; tile < 8; tile++) {
        shape.rows[tile] = 16;
        shape.row_bytes[tile] = 64;
    }
    _tile_loadconfig(&shape);
}
/* A thread without tiles is cheaper to switch to and from. */
static inline void ws_tiles_end(void)
{
    _tile_release();
}

#define WS_TILE_ZERO(tile) _tile_zero(tile)
/* The compilers' own load does not say that it reads memory. */
#define WS_TILE_LOAD(tile, from, row_bytes)                                                                            \
    do {                                                                                                               \
        __asm__ volatile("" ::: "memory");                                                                             \
        _tile_loadd(tile, from, row_bytes);                                                                            \
    } while (0)
#define WS_TILE_STORE(tile, to, row_bytes) _tile_stored(tile, to, row_bytes)
/* sums += left right */
#define WS_TILE_MULTIPLY(sums, left, right) _tile_dpbf16ps(sums, left, right)

#endif
