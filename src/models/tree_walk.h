/* Which leaves rows come to, some rows at a time. For forest.c and gradient_boosting.c. */
#ifndef WS_MODELS_TREE_WALK_H
#define WS_MODELS_TREE_WALK_H

#include <stdint.h>

/* A step goes to the next node or `right` further; from a leaf, whose threshold is NaN and column 0, nowhere. */
typedef struct ws_tree_step {
    float threshold;
    uint32_t column, right, leaf;
} ws_tree_step;

enum { WS_TREE_LANES = 8 };

/* The leaves of WS_TREE_LANES rows. They step together, since one row's steps wait for each other. */
static inline void ws_tree_find_leaves(const ws_tree_step *tree, const float *const row[WS_TREE_LANES],
                                       uint32_t leaf[WS_TREE_LANES])
{
    uint32_t at[WS_TREE_LANES] = {0}, moved;
    do {
        moved = 0;
        for (int l = 0; l < WS_TREE_LANES; l++) {
            const ws_tree_step here = tree[at[l]];
            const uint32_t by = row[l][here.column] <= here.threshold ? 1 : here.right;
            at[l] += by;
            moved |= by;
        }
    } while (moved);
    for (int l = 0; l < WS_TREE_LANES; l++)
        leaf[l] = tree[at[l]].leaf;
}

/* The leaves of rows first..first + WS_TREE_LANES - 1 of values[rows][columns]; the first one's in place of those that are not there. */
static inline void ws_tree_leaves_from(const ws_tree_step *tree, const float *values, uint64_t rows, uint64_t first,
                                       uint64_t columns, uint32_t leaf[WS_TREE_LANES])
{
    const float *row[WS_TREE_LANES];
    for (uint64_t l = 0; l < WS_TREE_LANES; l++)
        row[l] = values + (first + l < rows ? first + l : first) * columns;
    ws_tree_find_leaves(tree, row, leaf);
}

#endif
