/* Decision trees that classify: rows laid out for growing them, and one tree at a time (Breiman, Friedman, Olshen & Stone 1984;
 * Breiman 2001; Geurts, Ernst & Wehenkel 2006). For random_forest.c and extra_trees.c (forest.h), and of the rows also
 * gradient_boosting.c. One thread grows a tree alone, from numbers that are drawn by (seed, tree); nothing here is collective.
 */
#ifndef WS_MODELS_TREE_H
#define WS_MODELS_TREE_H

#include "models/models.h"

/* Training rows by column. All values are finite. */
typedef struct ws_tree_rows {
    uint32_t rows;
    int columns, classes;
    const int32_t *label; /* borrowed */
    float *values;        /* [columns][rows] */
    uint32_t *rank;  /* [columns][rows] place of the value among the column's distinct ones; NULL where not wanted */
    float *distinct; /* [columns][rows] those, ascending */
    uint32_t *distinct_count; /* [columns] */
} ws_tree_rows;
/* Destroy it also after an error. The threads share the columns. */
WS_MUST ws_err ws_tree_rows_create(ws_tree_rows *out, const ws_samples *samples, int classes, bool ranked,
                                   ws_shard_threads *threads);
void ws_tree_rows_destroy(ws_tree_rows *rows);

/* Sorts by the 32 upper bits less `low`, of which `bits` are not 0. Gives keys or scratch, whichever has them in the end. */
uint64_t *ws_tree_sort(uint64_t *keys, uint64_t *scratch, size_t count, uint32_t low, int bits);

/* A node, those of a tree in the order in which a walk to the left first comes to them: the child at the left is the next one. */
typedef struct ws_tree_node {
    double
        threshold; /* rows up to it go left; of a leaf, which one it is: below `classes` all rows are of that class, else
                       * `classes` + its place among the mixed leaves */
    double link;   /* column + WS_TREE_COLUMNS * (how much further on the child at the right is); -1: a leaf */
} ws_tree_node;
enum { WS_TREE_COLUMNS = 1 << 20, WS_TREE_CLASSES = 1 << 16 };

typedef struct ws_tree_settings {
    int tried_columns;          /* of a node, drawn among all; further ones where all of them are constant in it */
    int64_t maximum_depth;      /* 0: none */
    int64_t minimum_split_rows; /* a node with fewer is a leaf */
    int64_t minimum_leaf_rows;
    bool bootstrap;   /* as many rows drawn with putting back; else every row once */
    bool random_cuts; /* one cut of a column, drawn between its least and largest value; else the best of all */
    const double *class_weight; /* [classes] */
    uint64_t seed;
} ws_tree_settings;

typedef struct ws_tree { /* zero-initialise; what it holds is used again for the next tree */
    ws_tree_node *nodes;
    size_t count, capacity;
    double *mixed; /* [mixed_count][classes] shares of the classes */
    size_t mixed_count, mixed_capacity;
} ws_tree;
void ws_tree_destroy(ws_tree *tree);

typedef struct ws_tree_grower ws_tree_grower; /* of one thread */
WS_MUST ws_err ws_tree_grower_create(ws_tree_grower **out, const ws_tree_rows *rows, const ws_tree_settings *settings);
void ws_tree_grower_destroy(ws_tree_grower **grower);
WS_MUST ws_err ws_tree_grow(ws_tree_grower *grower, uint64_t number, ws_tree *out);

#endif
