/* Which leaves rows come to, some rows at a time, in trees laid out as short as can be. For forest.c and gradient_boosting.c. */
#ifndef WS_MODELS_TREE_WALK_H
#define WS_MODELS_TREE_WALK_H

#include "models/models.h"

/* A step goes to the next node or `right` further; from a leaf, whose threshold is no number, nowhere. */
typedef struct ws_tree_step {
    float threshold; /* of a leaf NaN, which says in its lowest bits what leaf it is */
    uint32_t link;   /* right << column_bits | column */
} ws_tree_step;

enum { WS_TREE_LANES = 16, WS_TREE_LEAVES = 1 << 22 };

static inline int ws_tree_column_bits(int columns)
{
    return columns > 1 ? 32 - __builtin_clz((unsigned)columns - 1) : 0;
}

static inline ws_tree_step ws_tree_leaf_step(uint32_t leaf)
{
    const uint32_t bits = 0x7fc00000u | leaf;
    ws_tree_step step = {.link = 0};
    memcpy(&step.threshold, &bits, sizeof bits);
    return step;
}

static inline uint32_t ws_tree_leaf_of(const ws_tree_step *step)
{
    uint32_t bits;
    memcpy(&bits, &step->threshold, sizeof bits);
    return bits & (WS_TREE_LEAVES - 1);
}

/* The leaves of rows first..first + WS_TREE_LANES - 1 of values[rows][columns], as far as they are there; gives their number. All go a
 * step further in turn, since one row's steps wait for each other; those that have come to their leaf step in place. */
static inline uint32_t ws_tree_find_leaves(const ws_tree_step *tree, int column_bits, const float *values,
                                           uint64_t rows, uint64_t first, uint64_t columns,
                                           uint32_t leaf[WS_TREE_LANES])
{
    const uint32_t count = rows - first < WS_TREE_LANES ? (uint32_t)(rows - first) : WS_TREE_LANES;
    const uint32_t column_mask = ((uint32_t)1 << column_bits) - 1;
    const ws_tree_step *at[WS_TREE_LANES];
    uint32_t moved;
    const float *row[WS_TREE_LANES];
    for (uint32_t l = 0; l < WS_TREE_LANES; l++) {
        at[l] = tree;
        row[l] = values + (first + (l < count ? l : 0)) * columns;
    }
    do {
        moved = 0;
#pragma GCC unroll 16
        for (uint32_t l = 0; l < WS_TREE_LANES; l++) {
            const uint32_t link = at[l]->link, right = link >> column_bits;
            const float value = row[l][link & column_mask];
            /* no branch, which would be guessed wrong half the time */
            const uint32_t goes_left = -(uint32_t)(value <= at[l]->threshold);
            const uint32_t by = right ^ ((right ^ 1) & goes_left);
            at[l] += by;
            moved |= by;
        }
    } while (moved);
    for (uint32_t l = 0; l < count; l++)
        leaf[l] = ws_tree_leaf_of(at[l]);
    return count;
}

#endif
