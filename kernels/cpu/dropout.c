/* dropout on the CPU: the factors of a tile are made at once, its lanes side by side. */
#include "level.h"
#include "dropout.h"

typedef uint32_t lanes[WS_DROPOUT_LANES];

/* factors[e] = 0 or scale for the elements of tile `tile` of batch row `row` */
WS_INLINE void draw_factors(const ws_random_source *random, uint64_t row, uint32_t tile, uint32_t threshold,
                            ws_real scale, ws_real *restrict factors)
{
    lanes words[4];
    for (uint32_t lane = 0; lane < WS_DROPOUT_LANES; lane++) {
        uint32_t word[4];
        ws_random_block(random->seed, WS_RANDOM_DROPOUT, random->stream, random->step, row,
                        tile * WS_DROPOUT_LANES + lane, word);
        for (int w = 0; w < 4; w++)
            words[w][lane] = word[w];
    }
    for (int w = 0; w < 4; w++)
        for (int lane = 0; lane < WS_DROPOUT_LANES; lane++)
            factors[w * WS_DROPOUT_LANES + lane] = words[w][lane] < threshold ? 0 : scale;
}

/* to (+)= from * factor */
WS_INLINE void drop(const ws_dropout_arguments *a, const ws_real *restrict from, ws_real *restrict to, bool accumulate)
{
    ws_real factors[WS_DROPOUT_TILE];
    uint32_t threshold = ws_dropout_threshold(a->rate);
    ws_real scale = a->random.active ? ws_dropout_scale(a->rate) : 1;
    for (int i = 0; i < WS_DROPOUT_TILE; i++)
        factors[i] = scale;
    for (int64_t b = 0; b < a->B; b++)
        for (int64_t from_element = 0; from_element < a->width; from_element += WS_DROPOUT_TILE) {
            int64_t at = b * a->width + from_element, left = a->width - from_element;
            int64_t n = left < WS_DROPOUT_TILE ? left : WS_DROPOUT_TILE;
            if (a->random.active)
                draw_factors(&a->random, a->random.first_row + (uint64_t)b, (uint32_t)(from_element / WS_DROPOUT_TILE),
                             threshold, scale, factors);
            if (accumulate)
                for (int64_t i = 0; i < n; i++)
                    to[at + i] += from[at + i] * factors[i];
            else
                for (int64_t i = 0; i < n; i++)
                    to[at + i] = from[at + i] * factors[i];
        }
}

WS_OPERATOR_KERNEL(dropout, forward)
{
    drop(a, a->x, a->y, false);
}

WS_OPERATOR_KERNEL(dropout, backward)
{
    drop(a, a->dy, a->dx, a->accumulate_dx);
}
