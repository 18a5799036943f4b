/* Trees for boosting (Friedman 2001; histograms as in Ke et al., LightGBM, 2017): values in at most 256 bins, sums of gradients by
 * bin in whole numbers, which no order of adding changes. For gradient_boosting.c. */
#ifndef WS_MODELS_BOOST_TREE_H
#define WS_MODELS_BOOST_TREE_H

#include "models/tree.h"

enum { WS_BOOST_BINS = 256, WS_BOOST_DEPTH = 10, WS_BOOST_GROUP = 4 /* columns whose bins lie together */ };

typedef struct ws_boost_bins {
    uint32_t rows;
    int columns;
    int groups;
    uint8_t *of_group; /* [groups][rows][WS_BOOST_GROUP], the last group filled up with zeros */
    uint8_t *of_row;   /* [rows][columns] the same */
    int *count;        /* [columns] bins */
    float *
        threshold; /* [columns][WS_BOOST_BINS] a value of bin b is at most threshold[b], and those of b + 1 are above it */
} ws_boost_bins;
/* A bin for each value where a column has no more than `most`, else bins of about as many rows. Destroy it also after an error. */
WS_MUST ws_err ws_boost_bins_create(ws_boost_bins *out, const ws_tree_rows *rows, int most, ws_shard_threads *threads);
void ws_boost_bins_destroy(ws_boost_bins *bins);

static inline uint8_t *ws_boost_group(const ws_boost_bins *bins, int group)
{
    return bins->of_group + (size_t)group * bins->rows * WS_BOOST_GROUP;
}
/* Bits that a number of rows takes. */
static inline int ws_boost_row_bits(uint32_t rows)
{
    return 32 - __builtin_clz(rows | 1);
}

/* First and second derivative of the loss by a row's prediction, in units of 1 / scale: so few that the sum of all the second ones and
 * the number of rows have room in 64 bits. */
typedef struct ws_boost_row {
    uint32_t row;
    int32_t gradient, hessian;
} ws_boost_row;

typedef struct ws_boost_node { /* as ws_tree_node: the child at the left is the next one */
    int32_t column;            /* -1: a leaf */
    uint32_t bin, right;       /* up to `bin`, or the threshold, to the left; else `right` further on */
    float threshold;
    double value; /* of a leaf */
} ws_boost_node;
enum { WS_BOOST_NODES = (2 << WS_BOOST_DEPTH) - 1 };

typedef struct ws_boost_settings {
    int depth;
    int64_t minimum_leaf_rows;
    double l2, learning_rate, scale;
} ws_boost_settings;

typedef struct ws_boost_grower ws_boost_grower;
WS_MUST ws_err ws_boost_grower_create(ws_boost_grower **out, const ws_boost_bins *bins,
                                      const ws_boost_settings *settings, ws_shard_threads *threads);
void ws_boost_grower_destroy(ws_boost_grower **grower);
/* rows[all]: put into another order. Gives how many of nodes[WS_BOOST_NODES] there are. */
uint32_t ws_boost_grow(ws_boost_grower *grower, ws_boost_row *rows, ws_boost_node *nodes);

#endif
