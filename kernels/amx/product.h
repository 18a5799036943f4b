/* Matrix products of factors rounded to bfloat16, in tiles; sums in single precision. Written over the layer of tiles.h, of which
 * the tests have one in plain C.
 *
 * Blocks of both factors are rounded and packed as tiles want them: panels of 32 columns of the right factor, then, one after
 * another, panels of 32 rows of the left, which meet all of them. What a tile holds beyond a factor's edge is zero. Sums run over
 * the inner dimension in order, in parts of WS_TILES_INNER; the shape alone decides on all of it.
 */
#ifndef WS_KERNELS_AMX_PRODUCT_H
#define WS_KERNELS_AMX_PRODUCT_H

#include "cpu/transpose.h"

enum { WS_TILE_SIDE = 16, WS_TILE_INNER = 32, WS_TILE_UNITS = 256, WS_TILE_ROW_BYTES = 64 };

/* A factor seen from its product: i is a row of the left or a column of the right one, k counts what is summed over. One of the two
 * steps is 1. */
typedef struct ws_side {
    const float *from;
    int64_t i_step, k_step;
} ws_side;

/* The upper half of a float rounded to bfloat16; NaN stays NaN. */
WS_INLINE uint32_t ws_upper_half(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    uint32_t rounded = (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16, nan = bits >> 16 | 0x40u;
    return (bits & 0x7fffffffu) > 0x7f800000u ? nan : rounded;
}

/* Sixteen units of two numbers that lie side by side. */
WS_INLINE void ws_round_along(const float *from, int64_t count, uint32_t *units)
{
    uint16_t row[WS_TILE_INNER] = {0};
    if (count == WS_TILE_INNER)
        for (int k = 0; k < WS_TILE_INNER; k++)
            row[k] = (uint16_t)ws_upper_half(from[k]);
    else
        for (int64_t k = 0; k < count; k++)
            row[k] = (uint16_t)ws_upper_half(from[k]);
    memcpy(units, row, sizeof row);
}

/* Sixteen units of two numbers from two rows; `second` may be NULL: zeros. */
WS_INLINE void ws_round_across(const float *first, const float *second, int64_t count, uint32_t *units)
{
    if (count == WS_TILE_SIDE && second)
        for (int i = 0; i < WS_TILE_SIDE; i++)
            units[i] = ws_upper_half(first[i]) | ws_upper_half(second[i]) << 16;
    else
        for (int64_t i = 0; i < count; i++)
            units[i] = ws_upper_half(first[i]) | (second ? ws_upper_half(second[i]) << 16 : 0);
}

/* One tile of at most 16 i and 32 k. Its units are pairs of k; they lie row by row of i, or with by_pairs row by row of pairs. */
static void ws_pack_tile(ws_side s, int64_t count, int64_t inner, bool by_pairs, uint32_t *tile)
{
    const bool along = s.k_step == 1;
    uint32_t turned[WS_TILE_UNITS], *to = along == by_pairs ? turned : tile;
    if (count < WS_TILE_SIDE || inner < WS_TILE_INNER)
        memset(to, 0, WS_TILE_UNITS * sizeof *to);
    if (along)
        for (int64_t i = 0; i < count; i++)
            ws_round_along(s.from + i * s.i_step, inner, to + i * WS_TILE_SIDE);
    else
        for (int64_t k = 0; k < inner; k += 2)
            ws_round_across(s.from + k * s.k_step, k + 1 < inner ? s.from + (k + 1) * s.k_step : NULL, count,
                            to + k / 2 * WS_TILE_SIDE);
    if (to == turned)
        ws_transpose(WS_TILE_SIDE, WS_TILE_SIDE, (const float *)(const void *)turned, WS_TILE_SIDE,
                     (float *)(void *)tile, WS_TILE_SIDE);
}

/* A panel: for each 32 k a tile of the first 16 i and one of the others. */
static void ws_pack_panel(ws_side s, int64_t count, int64_t inner, bool by_pairs, uint32_t *panel)
{
    for (int64_t k = 0; k < inner; k += WS_TILE_INNER)
        for (int64_t i = 0; i < WS_TILES_PANEL; i += WS_TILE_SIDE, panel += WS_TILE_UNITS) {
            const int64_t here = count - i < WS_TILE_SIDE ? count - i : WS_TILE_SIDE;
            const int64_t ahead = inner - k < WS_TILE_INNER ? inner - k : WS_TILE_INNER;
            if (here > 0)
                ws_pack_tile((ws_side){s.from + i * s.i_step + k * s.k_step, s.i_step, s.k_step}, here, ahead, by_pairs,
                             panel);
            else
                memset(panel, 0, WS_TILE_UNITS * sizeof *panel);
        }
}

/* 32 x 32 sums of two panels. */
static void ws_multiply_panels(int64_t inner, const uint32_t *left, const uint32_t *right, bool add, float *out,
                               int64_t width)
{
    float *below = out + WS_TILE_SIDE * width;
    const int64_t row_bytes = width * (int64_t)sizeof *out;
    if (add) {
        WS_TILE_LOAD(0, out, row_bytes);
        WS_TILE_LOAD(1, out + WS_TILE_SIDE, row_bytes);
        WS_TILE_LOAD(2, below, row_bytes);
        WS_TILE_LOAD(3, below + WS_TILE_SIDE, row_bytes);
    } else {
        WS_TILE_ZERO(0);
        WS_TILE_ZERO(1);
        WS_TILE_ZERO(2);
        WS_TILE_ZERO(3);
    }
    for (int64_t k = 0; k < inner; k += WS_TILE_INNER, left += 2 * WS_TILE_UNITS, right += 2 * WS_TILE_UNITS) {
        WS_TILE_LOAD(4, left, WS_TILE_ROW_BYTES);
        WS_TILE_LOAD(6, right, WS_TILE_ROW_BYTES);
        WS_TILE_MULTIPLY(0, 4, 6);
        WS_TILE_LOAD(7, right + WS_TILE_UNITS, WS_TILE_ROW_BYTES);
        WS_TILE_MULTIPLY(1, 4, 7);
        WS_TILE_LOAD(5, left + WS_TILE_UNITS, WS_TILE_ROW_BYTES);
        WS_TILE_MULTIPLY(2, 5, 6);
        WS_TILE_MULTIPLY(3, 5, 7);
    }
    WS_TILE_STORE(0, out, row_bytes);
    WS_TILE_STORE(1, out + WS_TILE_SIDE, row_bytes);
    WS_TILE_STORE(2, below, row_bytes);
    WS_TILE_STORE(3, below + WS_TILE_SIDE, row_bytes);
}

/* The same at an edge: `rows` x `columns` of them are there, and nothing beyond is touched. */
static void ws_multiply_edge(int64_t inner, const uint32_t *left, const uint32_t *right, bool add, float *out,
                             int64_t width, int64_t rows, int64_t columns)
{
    float sums[WS_TILES_PANEL * WS_TILES_PANEL] = {0};
    for (int64_t m = 0; add && m < rows; m++)
        memcpy(sums + m * WS_TILES_PANEL, out + m * width, (size_t)columns * sizeof *sums);
    ws_multiply_panels(inner, left, right, add, sums, WS_TILES_PANEL);
    for (int64_t m = 0; m < rows; m++)
        memcpy(out + m * width, sums + m * WS_TILES_PANEL, (size_t)columns * sizeof *sums);
}

/* Sums over one part of k: of all rows of the left factor with `columns` columns, whose panels are packed already. */
static void ws_multiply_part(ws_side left, int64_t M, int64_t inner, const uint32_t *right, int64_t columns, bool add,
                             float *out, int64_t width, uint32_t *rows_packed)
{
    const int64_t panel_units = (inner + WS_TILE_INNER - 1) / WS_TILE_INNER * 2 * WS_TILE_UNITS;
    for (int64_t m = 0; m < M; m += WS_TILES_PANEL) {
        const int64_t rows = M - m < WS_TILES_PANEL ? M - m : WS_TILES_PANEL;
        ws_pack_panel((ws_side){left.from + m * left.i_step, left.i_step, left.k_step}, rows, inner, false,
                      rows_packed);
        for (int64_t n = 0; n < columns; n += WS_TILES_PANEL) {
            const uint32_t *panel = right + n / WS_TILES_PANEL * panel_units;
            float *to = out + m * width + n;
            if (rows == WS_TILES_PANEL && columns - n >= WS_TILES_PANEL)
                ws_multiply_panels(inner, rows_packed, panel, add, to, width);
            else
                ws_multiply_edge(inner, rows_packed, panel, add, to, width, rows,
                                 columns - n < WS_TILES_PANEL ? columns - n : WS_TILES_PANEL);
        }
    }
}

/* out[M,N] (+)= left right, with scratch memory of ws_tiles_scratch(N, K) reals. */
static void ws_multiply_tiles(ws_side left, ws_side right, int64_t M, int64_t N, int64_t K, bool accumulate, float *out,
                              float *scratch)
{
    uint32_t *rows_packed = (uint32_t *)(void *)scratch;
    uint32_t *columns_packed = rows_packed + WS_TILES_PANEL * ws_tiles_inner(K) / 2;
    ws_tiles_begin();
    for (int64_t k = 0; k < K; k += WS_TILES_INNER) {
        const int64_t inner = K - k < WS_TILES_INNER ? K - k : WS_TILES_INNER;
        const int64_t panel_units = (inner + WS_TILE_INNER - 1) / WS_TILE_INNER * 2 * WS_TILE_UNITS;
        for (int64_t first = 0; first < N; first += WS_TILES_COLUMNS) {
            const int64_t columns = N - first < WS_TILES_COLUMNS ? N - first : WS_TILES_COLUMNS;
            for (int64_t n = 0; n < columns; n += WS_TILES_PANEL)
                ws_pack_panel(
                    (ws_side){right.from + (first + n) * right.i_step + k * right.k_step, right.i_step, right.k_step},
                    columns - n < WS_TILES_PANEL ? columns - n : WS_TILES_PANEL, inner, true,
                    columns_packed + n / WS_TILES_PANEL * panel_units);
            ws_multiply_part((ws_side){left.from + k * left.k_step, left.i_step, left.k_step}, M, inner, columns_packed,
                             columns, accumulate || k > 0, out + first, N, rows_packed);
        }
    }
    ws_tiles_end();
}

#endif
