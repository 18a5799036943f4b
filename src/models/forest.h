/* Forests: many trees (tree.h) whose leaves' shares of the classes are averaged. For random_forest.c and extra_trees.c, which differ in
 * their options and in how a cut is found. */
#ifndef WS_MODELS_FOREST_H
#define WS_MODELS_FOREST_H

#include "models/tree.h"

enum { WS_FOREST_SQRT, WS_FOREST_LOG2, WS_FOREST_ALL };
#define WS_FOREST_MAX_FEATURES "sqrt|log2|all" /* in the order of the enum */
enum { WS_FOREST_UNWEIGHTED, WS_FOREST_BALANCED };

typedef struct ws_forest_options {
    int64_t trees, max_depth, min_samples_split, min_samples_leaf;
    int max_features, class_weight;
    bool bootstrap;
} ws_forest_options;

/* Fields that both have, behind the number of trees. */
#define WS_FOREST_OPTIONS                                                                                              \
    WS_OPTION_ENUM(ws_forest_options, max_features, "sqrt", WS_FOREST_MAX_FEATURES,                                    \
                   "columns drawn for a cut: root, binary logarithm of their number, or all"),                         \
        WS_OPTION_INT(ws_forest_options, max_depth, 0, 0, 1000000,                                                     \
                      "cuts above a leaf at most; 0: as many as it takes"),                                            \
        WS_OPTION_INT(ws_forest_options, min_samples_split, 2, 2, 1000000000, "rows that are parted, at least"),       \
        WS_OPTION_INT(ws_forest_options, min_samples_leaf, 1, 1, 1000000000, "rows of a leaf, at least"),              \
        WS_OPTION_ENUM(ws_forest_options, class_weight, "none", "none|balanced",                                       \
                       "balanced: every class counts the same")

WS_MUST ws_err ws_forest_fit_all(const ws_comm *comm, const ws_model_context *context, const ws_samples *training,
                                 bool random_cuts, ws_arrays *learned);
/* As in ws_classical. */
extern const ws_learned_array ws_forest_arrays[];
WS_MUST ws_err ws_forest_prepare(const ws_model_context *context, ws_arrays *learned);
WS_MUST ws_err ws_forest_score(const ws_model_context *context, const ws_arrays *learned, uint64_t rows,
                               const float *values, float *out);
enum { WS_FOREST_SCORE_ROWS = 8192 };

#endif
