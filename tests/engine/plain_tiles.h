/* The layer of kernels/amx/tiles.h in plain C, for machines without AMX: what its instructions do (Intel's Software Developer's
 * Manual, TDPBF16PS), number by number. Numbers too small to be normal count as 0; each sum of 32 products is made of two, of the
 * first and of the second numbers of the pairs. Tiles hold NaN until they are loaded, and can be used between begin and end only. */
#ifndef WS_KERNELS_AMX_TILES_H
#define WS_KERNELS_AMX_TILES_H

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define WS_TILES

enum { TILES = 8, TILE_ROWS = 16, TILE_ROW_BYTES = 64, ROW_FLOATS = 16 };
static uint8_t tiles[TILES][TILE_ROWS][TILE_ROW_BYTES];
static bool tiles_in_use;

static inline void ws_tiles_begin(void)
{
    assert_false(tiles_in_use);
    tiles_in_use = true;
    memset(tiles, 0xff, sizeof tiles);
}
static inline void ws_tiles_end(void)
{
    assert_true(tiles_in_use);
    tiles_in_use = false;
}

static inline void plain_load(int tile, const void *from, int64_t row_bytes)
{
    assert_true(tiles_in_use);
    for (int row = 0; row < TILE_ROWS; row++)
        memcpy(tiles[tile][row], (const char *)from + row * row_bytes, TILE_ROW_BYTES);
}
static inline void plain_store(int tile, void *to, int64_t row_bytes)
{
    assert_true(tiles_in_use);
    for (int row = 0; row < TILE_ROWS; row++)
        memcpy((char *)to + row * row_bytes, tiles[tile][row], TILE_ROW_BYTES);
}
static inline void plain_zero(int tile)
{
    assert_true(tiles_in_use);
    memset(tiles[tile], 0, sizeof tiles[tile]);
}

static inline float flushed(float x)
{
    return fabsf(x) < FLT_MIN ? copysignf(0, x) : x;
}
/* The numbers of a tile of bfloat16. */
static inline void plain_numbers(int tile, float out[TILE_ROWS][2 * ROW_FLOATS])
{
    for (int row = 0; row < TILE_ROWS; row++)
        for (int n = 0; n < 2 * ROW_FLOATS; n++) {
            uint16_t half;
            memcpy(&half, tiles[tile][row] + 2 * n, sizeof half);
            uint32_t bits = (uint32_t)half << 16;
            memcpy(&out[row][n], &bits, sizeof bits);
            out[row][n] = flushed(out[row][n]);
        }
}

static inline void plain_multiply(int sums, int left, int right)
{
    float a[TILE_ROWS][2 * ROW_FLOATS], b[TILE_ROWS][2 * ROW_FLOATS];
    assert_true(tiles_in_use);
    plain_numbers(left, a);
    plain_numbers(right, b);
    for (int m = 0; m < TILE_ROWS; m++) {
        float of_pairs[2 * ROW_FLOATS] = {0}, row[ROW_FLOATS];
        for (int k = 0; k < TILE_ROWS; k++)
            for (int n = 0; n < 2 * ROW_FLOATS; n++)
                of_pairs[n] = flushed(fmaf(a[m][2 * k + n % 2], b[k][n], of_pairs[n]));
        memcpy(row, tiles[sums][m], sizeof row);
        for (int n = 0; n < ROW_FLOATS; n++)
            row[n] = flushed(flushed(row[n]) + flushed(of_pairs[2 * n] + of_pairs[2 * n + 1]));
        memcpy(tiles[sums][m], row, sizeof row);
    }
}

#define WS_TILE_ZERO(tile) plain_zero(tile)
#define WS_TILE_LOAD(tile, from, row_bytes) plain_load(tile, from, row_bytes)
#define WS_TILE_STORE(tile, to, row_bytes) plain_store(tile, to, row_bytes)
#define WS_TILE_MULTIPLY(sums, left, right) plain_multiply(sums, left, right)

#endif
