/* Rows through many trees, to the leaves they come to. For forest.c and gradient_boosting.c, whose learned arrays "nodes" hold the nodes
 * of all trees one after another, and "node_start" where each tree begins. */
#ifndef WS_MODELS_TREE_WALK_H
#define WS_MODELS_TREE_WALK_H

#include "models/models.h"

/* A node of a tree, in the order in which a walk to the left first comes to them. */
typedef struct ws_tree_cut {
    float threshold; /* rows up to it go left, where the next node is */
    int32_t column;  /* below 0: a leaf */
    int64_t further; /* how much further on the child at the right is; of a leaf its number */
} ws_tree_cut;

/* A whole number that is kept as a double; of one that no tree has, another one that none has. Leaves have -1, which is within: the
 * processor guesses both comparisons. */
static inline int64_t ws_tree_whole(double value)
{
    const double least = -2, most = 1e15, low = value > least ? value : least;
    return (int64_t)(low < most ? low : most);
}

/* Fills cuts[count] with the nodes of a tree, the first of which is `first` of all; gives how many leaves there are to number. */
typedef int64_t (*ws_tree_list)(const ws_model_context *context, const ws_arrays *learned, size_t tree, size_t first,
                                size_t count, ws_tree_cut *cuts);
/* Lays the trees out as short as can be, to learned->prepared. FORMAT for what are no trees. */
WS_MUST ws_err ws_trees_lay_out(const ws_model_context *context, ws_arrays *learned, ws_tree_list list);

/* What is done with leaf[rows] of a tree, to which the rows from `first` on came. A row's leaves come in the order of the trees. */
typedef void (*ws_tree_take)(void *taking, size_t tree, uint64_t first, uint32_t rows, const uint32_t *leaf);
/* values[rows][columns] through all trees that were laid out. A value that is no number goes right. */
WS_MUST ws_err ws_trees_walk(const ws_model_context *context, const ws_arrays *learned, uint64_t rows,
                             const float *values, ws_tree_take take, void *taking);

#endif
