/* gradient_boosting: classes by sums of small trees, each fitted to what those before it leave to be learned (Friedman 2001), with
 * Newton steps and histograms of binned values.
 *
 * A round adds a tree for each class to its logit, or one in all where there are two classes. Gradients and second derivatives of the
 * cross-entropy are whole multiples of 2^-s, so that their sums are exact: ranks share a round's trees and threads the columns,
 * and all see the same bits.
 *
 * Learned: nodes [nodes][4] of all trees one after another, node_start [rounds * trees of a round + 1]; of a node the column (-1: a
 * leaf), the threshold up to which rows go on to the next node, how much further on the others go, and a leaf's value;
 * baseline [trees of a round], the logits before the first round.
 */
#include <math.h>
#include <stdlib.h>
#include "models/boost_tree.h"
#include "models/tree_walk.h"

enum { UNWEIGHTED, BALANCED };

typedef struct boosting_options {
    int64_t rounds, max_depth, max_bins, min_samples_leaf;
    double learning_rate, l2_regularization;
    int class_weight;
} boosting_options;

static const ws_option fields[] = {
    WS_OPTION_INT(boosting_options, rounds, 300, 1, 100000, "rounds, each of a tree for every class"),
    WS_OPTION_INT(boosting_options, max_depth, 6, 1, WS_BOOST_DEPTH, "cuts above a leaf at most"),
    WS_OPTION_INT(boosting_options, max_bins, 255, 2, WS_BOOST_BINS, "bins of a column's values at most"),
    WS_OPTION_INT(boosting_options, min_samples_leaf, 20, 1, 1000000000, "rows of a leaf, at least"),
    WS_OPTION_DOUBLE(boosting_options, learning_rate, 0.1, 1e-6, 10, "share of a tree's values that is added"),
    WS_OPTION_DOUBLE(boosting_options, l2_regularization, 0, 0, 1e12, "the larger, the less far from 0 a leaf's value"),
    WS_OPTION_ENUM(boosting_options, class_weight, "none", "none|balanced", "balanced: every class counts the same"),
    WS_OPTION_END};
static const ws_option_table options_table = {"model", sizeof(boosting_options), fields, "gradient_boosting"};

static int trees_of_round(int classes)
{
    return classes == 2 ? 1 : classes;
}

/* ---- fitting ---- */

enum { PARTS = 64 }; /* of the rows, shared by the threads */

typedef struct boosting {
    const ws_comm *comm;
    const boosting_options *options;
    ws_tree_rows rows;
    ws_boost_bins bins;
    ws_boost_settings settings;
    ws_boost_grower *grower;
    ws_shard_threads *threads;
    int classes, trees;    /* of a round */
    int first, end;        /* those of this rank */
    double *weight;        /* [classes] */
    double *baseline;      /* [trees] */
    double *logits;        /* [rows][trees] */
    double **probability;  /* [threads][trees] */
    ws_boost_row *targets; /* [own trees][rows] */
    ws_boost_node *own;    /* [own trees][WS_BOOST_NODES] */
    ws_boost_node *nodes;  /* of all rounds */
    size_t count, capacity;
    uint64_t *starts; /* [rounds * trees + 1] */
    uint64_t round;
} boosting;

static double value_of(const ws_boost_node *tree, const uint8_t *bins)
{
    while (tree->column >= 0)
        tree += bins[tree->column] <= tree->bin ? 1 : tree->right;
    return tree->value;
}

/* Logits in, probabilities out: of every class, or of class 1 where there are two. */
static void to_probabilities(double *p, int classes)
{
    double most = p[0], sum = 0;
    if (classes == 2) {
        p[0] = 1 / (1 + exp(-p[0]));
        return;
    }
    for (int k = 1; k < classes; k++)
        most = p[k] > most ? p[k] : most;
    for (int k = 0; k < classes; k++)
        sum += p[k] = exp(p[k] - most);
    for (int k = 0; k < classes; k++)
        p[k] /= sum;
}

/* Adds the trees of the round before to the logits of some rows, and makes what the trees of this one are to be fitted to. */
static void aim_part(void *context, int part, int thread)
{
    const boosting *b = context;
    const size_t trees = (size_t)b->trees;
    double *p = b->probability[thread];
    uint64_t begin, end;
    ws_even_split(b->rows.rows, PARTS, part, &begin, &end);
    for (uint64_t i = begin; i < end; i++) {
        const uint8_t *bins = b->bins.of_row + i * (uint64_t)b->bins.columns;
        double *logits = b->logits + i * trees;
        for (size_t k = 0; k < trees; k++)
            logits[k] = b->round == 0 ? b->baseline[k]
                                      : logits[k] + value_of(b->nodes + b->starts[(b->round - 1) * trees + k], bins);
        memcpy(p, logits, trees * sizeof *p);
        to_probabilities(p, b->classes);
        const int label = b->rows.label[i];
        const double scale = b->settings.scale * b->weight[label];
        for (int k = b->first; k < b->end; k++) {
            const double is = b->classes == 2 ? label : label == k;
            b->targets[(size_t)(k - b->first) * b->rows.rows + i] = (ws_boost_row){
                (uint32_t)i, (int32_t)lrint(scale * (p[k] - is)), (int32_t)lrint(scale * p[k] * (1 - p[k]))};
        }
    }
}

/* Appends the trees of all ranks. */
static ws_err gather_round_all(boosting *b, const uint64_t *counts, const ws_boost_node *own, size_t own_count)
{
    void *all_counts = NULL, *all_nodes = NULL;
    size_t bytes = 0, node_bytes = 0;
    ws_err error =
        ws_gather_all(b->comm, counts, (size_t)(b->end - b->first) * sizeof *counts, &all_counts, &bytes, NULL);
    if (error == WS_OK)
        error = ws_gather_all(b->comm, own, own_count * sizeof *own, &all_nodes, &node_bytes, NULL);
    ws_err growing = WS_OK;
    if (error == WS_OK)
        growing = WS_GROW(b->nodes, b->capacity, b->count + node_bytes / sizeof *own);
    if (error == WS_OK)
        error = ws_agree_all(b->comm, growing);
    if (error == WS_OK) {
        memcpy(b->nodes + b->count, all_nodes, node_bytes);
        b->count += node_bytes / sizeof *own;
        uint64_t *starts = b->starts + b->round * (uint64_t)b->trees;
        for (int k = 0; k < b->trees; k++)
            starts[k + 1] = starts[k] + ((const uint64_t *)all_counts)[k];
    }
    free(all_counts);
    free(all_nodes);
    return error;
}

static ws_err boost_all(boosting *b, ws_progress *progress)
{
    uint64_t *counts = NULL;
    ws_err error = ws_agree_all(b->comm, WS_NEW_ARRAY(counts, (size_t)b->trees));
    for (b->round = 0; b->round < (uint64_t)b->options->rounds && error == WS_OK; b->round++) {
        size_t count = 0;
        bool stop = false;
        ws_shard_threads_run(b->threads, 0, PARTS, aim_part, b);
        for (int k = b->first; k < b->end; k++) {
            counts[k - b->first] =
                ws_boost_grow(b->grower, b->targets + (size_t)(k - b->first) * b->rows.rows, b->own + count);
            count += counts[k - b->first];
        }
        error = gather_round_all(b, counts, b->own, count);
        ws_progress_update(progress, (double)(b->round + 1), NULL);
        if (error == WS_OK)
            error = ws_any_all(b->comm, ws_stop_requested(), &stop);
        if (error == WS_OK && stop)
            error = WS_ERROR(INTERRUPTED, "boosting stopped; the same command with --resume begins again");
    }
    free(counts);
    return error;
}

/* Weights of classes, and the logits of their shares. */
static ws_err weigh_classes(boosting *b, const ws_samples *training, ws_arena *arena)
{
    double *rows, all, most = 0;
    WS_TRY(
        ws_class_weights(arena, training, b->classes, b->options->class_weight == BALANCED, &rows, &b->weight, &all));
    for (int k = 0; k < b->classes; k++) {
        most = fmax(most, b->weight[k]);
        rows[k] *= b->weight[k];
    }
    for (int k = 0; k < b->trees && b->classes != 2; k++)
        b->baseline[k] = rows[k] > 0 ? log(rows[k] / all) : -1e30; /* a class without rows is never predicted */
    if (b->classes == 2)
        b->baseline[0] = rows[1] <= 0 ? -1e30 : rows[0] <= 0 ? 1e30 : log(rows[1] / rows[0]);
    const int excess = 2 * ws_boost_row_bits(b->rows.rows) - 36; /* second derivatives are 2^28 at most */
    b->settings.scale = exp2(30 - ceil(log2(most)) - (excess > 0 ? excess : 0));
    return WS_OK;
}

static ws_err prepare_fit(boosting *b, const ws_model_context *context, const ws_samples *training, ws_arena *arena)
{
    const size_t trees = (size_t)b->trees, own = (size_t)(b->end - b->first), threads = (size_t)context->threads;
    WS_TRY(ws_shard_threads_create(&b->threads, context->threads));
    WS_TRY(ws_tree_rows_create(&b->rows, training, context->classes, true, b->threads));
    WS_TRY(ws_boost_bins_create(&b->bins, &b->rows, (int)b->options->max_bins, b->threads));
    WS_TRY(WS_NEW_ARRAY(b->baseline, trees));
    WS_TRY(WS_NEW_ARRAY(b->logits, trees * b->rows.rows));
    WS_TRY(WS_NEW_ARRAY(b->probability, threads));
    for (size_t t = 0; t < threads; t++)
        WS_TRY(WS_NEW_ARRAY(b->probability[t], trees));
    WS_TRY(WS_NEW_ARRAY(b->targets, own * b->rows.rows));
    WS_TRY(WS_NEW_ARRAY(b->own, own * WS_BOOST_NODES));
    WS_TRY(WS_NEW_ARRAY(b->starts, (size_t)b->options->rounds * trees + 1));
    WS_TRY(weigh_classes(b, training, arena));
    return ws_boost_grower_create(&b->grower, &b->bins, &b->settings, b->threads);
}

static ws_err keep(const boosting *b, ws_arrays *learned)
{
    const int64_t trees = b->options->rounds * b->trees;
    double *nodes, *starts, *baseline;
    WS_TRY(ws_arrays_add(learned, "node_start", 1, (int64_t[]){trees + 1}, &starts));
    WS_TRY(ws_arrays_add(learned, "nodes", 2, (int64_t[]){(int64_t)b->count, 4}, &nodes));
    WS_TRY(ws_arrays_add(learned, "baseline", 1, (int64_t[]){b->trees}, &baseline));
    for (int64_t t = 0; t <= trees; t++)
        starts[t] = (double)b->starts[t];
    for (size_t i = 0; i < b->count; i++) {
        const ws_boost_node *node = &b->nodes[i];
        const double kept[4] = {node->column, (double)node->threshold, node->right, node->value};
        memcpy(nodes + 4 * i, kept, sizeof kept);
    }
    memcpy(baseline, b->baseline, (size_t)b->trees * sizeof *baseline);
    return WS_OK;
}

static void release(boosting *b, int threads)
{
    for (int t = 0; b->probability && t < threads; t++)
        free(b->probability[t]);
    void *const held[] = {b->probability, b->baseline, b->logits, b->targets, b->own, b->nodes, b->starts};
    for (size_t i = 0; i < sizeof held / sizeof *held; i++)
        free(held[i]);
    ws_boost_grower_destroy(&b->grower);
    ws_boost_bins_destroy(&b->bins);
    ws_tree_rows_destroy(&b->rows);
    ws_shard_threads_destroy(&b->threads);
}

static ws_err fit_all(const ws_comm *comm, const ws_model_context *context, const ws_samples *training,
                      const ws_samples *validation, ws_arrays *learned)
{
    (void)validation;
    const boosting_options *options = context->options;
    uint64_t first, end;
    ws_progress *progress = NULL;
    boosting b = {
        .comm = comm, .options = options, .classes = context->classes, .trees = trees_of_round(context->classes)};
    b.settings = (ws_boost_settings){.depth = (int)options->max_depth,
                                     .minimum_leaf_rows = options->min_samples_leaf,
                                     .l2 = options->l2_regularization,
                                     .learning_rate = options->learning_rate};
    ws_even_split((uint64_t)b.trees, comm->size, comm->rank, &first, &end);
    b.first = (int)first;
    b.end = (int)end;
    ws_err error = ws_agree_all(comm, prepare_fit(&b, context, training, learned->arena));
    if (error == WS_OK)
        error = ws_agree_all(comm, ws_progress_start(&progress, comm, "boost", "rounds", (double)options->rounds));
    if (error == WS_OK)
        error = boost_all(&b, progress);
    ws_progress_finish(&progress);
    if (error == WS_OK)
        error = ws_agree_all(comm, keep(&b, learned));
    release(&b, context->threads);
    return error;
}

/* ---- scores ---- */

/* A leaf's number is its node's. */
static int64_t list_nodes(const ws_model_context *context, const ws_arrays *learned, size_t tree, size_t first,
                          size_t count, ws_tree_cut *cuts)
{
    const double *node = ws_arrays_find(learned, "nodes")->values + 4 * first;
    (void)context, (void)tree;
    for (size_t i = 0; i < count; i++, node += 4) {
        const int64_t column = ws_tree_whole(node[0]);
        cuts[i] = (ws_tree_cut){(float)node[1], column < INT32_MAX ? (int32_t)column : INT32_MAX,
                                column < 0 ? (int64_t)i : ws_tree_whole(node[2])};
    }
    return (int64_t)count;
}

static ws_err prepare(const ws_model_context *context, ws_arrays *learned)
{
    const int trees = trees_of_round(context->classes);
    WS_CHECK(ws_arrays_find(learned, "baseline")->shape[0] == trees &&
                 (ws_arrays_find(learned, "node_start")->shape[0] - 1) % trees == 0,
             FORMAT, "arrays \"baseline\" and \"node_start\" are not of %d trees a round", trees);
    return ws_trees_lay_out(context, learned, list_nodes);
}

typedef struct taking {
    const double *nodes, *node_start;
    size_t trees;   /* of a round */
    double *logits; /* [rows][trees] */
} taking;

static void take_leaves(void *context, size_t tree, uint64_t first, uint32_t rows, const uint32_t *leaf)
{
    const taking *t = context;
    const double *nodes = t->nodes + 4 * (size_t)t->node_start[tree];
    double *logits = t->logits + first * t->trees + tree % t->trees;
    for (uint32_t i = 0; i < rows; i++)
        logits[i * t->trees] += nodes[4 * leaf[i] + 3];
}

static ws_err score(const ws_model_context *context, const ws_arrays *learned, uint64_t rows, const float *values,
                    float *out)
{
    const ws_array *baseline = ws_arrays_find(learned, "baseline");
    const size_t classes = (size_t)context->classes;
    taking t = {.nodes = ws_arrays_find(learned, "nodes")->values,
                .node_start = ws_arrays_find(learned, "node_start")->values,
                .trees = baseline->count};
    WS_TRY(WS_NEW_ARRAY(t.logits, rows * t.trees));
    for (uint64_t i = 0; i < rows; i++)
        memcpy(t.logits + i * t.trees, baseline->values, t.trees * sizeof *t.logits);
    ws_err error = ws_trees_walk(context, learned, rows, values, take_leaves, &t);
    for (uint64_t i = 0; i < rows && error == WS_OK; i++) {
        double *p = t.logits + i * t.trees;
        float *to = out + i * classes;
        to_probabilities(p, context->classes);
        if (classes == 2)
            to[0] = (float)(1 - p[0]);
        for (size_t k = 0; k < t.trees; k++)
            to[classes == 2 ? 1 : k] = (float)p[k];
    }
    free(t.logits);
    return error;
}

static const ws_learned_array arrays[] = {{.name = "node_start", .dimensions = 1, .shape = {WS_SIZE_ANY}},
                                          {.name = "nodes", .dimensions = 2, .shape = {WS_SIZE_ANY, 4}},
                                          {.name = "baseline", .dimensions = 1, .shape = {WS_SIZE_ANY}},
                                          {.name = NULL}};

const ws_model ws_model_gradient_boosting = {
    .name = "gradient_boosting",
    .help = "sums of small trees, each fitted to what those before it leave",
    .tasks = WS_CAN_CLASSIFY,
    .deterministic = true,
    .raw = true,
    .options = &options_table,
    .classical =
        &(const ws_classical){
            .fit_all = fit_all, .prepare = prepare, .score = score, .arrays = arrays, .score_rows = 8192},
};
