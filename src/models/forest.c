/* Forests: trees grown by ranks and threads, each alone, and gathered in order; and scores, the mean over the trees of the leaves'
 * shares of the classes, summed in the order of the trees. Tree t is grown from stream t, so neither depends on ranks or threads.
 *
 * Learned: nodes [nodes][2] (ws_tree_node) of all trees one after another, node_start [trees + 1] where each begins; mixed
 * [mixed leaves][classes] with mixed_start [trees + 1] likewise. For scoring nodes are laid out shorter.
 */
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include "models/forest.h"
#include "models/tree_walk.h"

/* ---- fitting ---- */

/* Trees are kept on huge pages, which what is laid out for scoring gets when they are gone: fresh ones may cost more than scoring. */
enum { KEPT_BYTES = 8 << 20 };

typedef struct fitting {
    const ws_comm *comm;
    const ws_forest_options *options;
    ws_tree_rows rows;
    ws_tree_settings settings;
    uint64_t first, end;      /* trees of this rank */
    ws_tree *trees;           /* [end - first] */
    ws_arena **kept;          /* [threads] where those are that it grew */
    ws_tree_grower **growers; /* [threads] */
    ws_err *errors;           /* [threads] */
    ws_shard_threads *threads;
    ws_progress *progress;
    atomic_uint_fast64_t next;
} fitting;

static ws_err keep_tree(ws_arena *arena, const ws_tree *from, size_t classes, ws_tree *to)
{
    to->count = from->count;
    to->mixed_count = from->mixed_count;
    WS_TRY(ws_arena_alloc(arena, &to->nodes, from->count, sizeof *to->nodes));
    WS_TRY(ws_arena_alloc(arena, &to->mixed, from->mixed_count * classes, sizeof *to->mixed));
    memcpy(to->nodes, from->nodes, from->count * sizeof *from->nodes);
    if (from->mixed_count > 0)
        memcpy(to->mixed, from->mixed, from->mixed_count * classes * sizeof *from->mixed);
    return WS_OK;
}

/* Which thread grows a tree does not matter: the next that is free. */
static void grow_trees(void *context, int shard, int thread)
{
    fitting *f = context;
    ws_tree tree = {0};
    ws_err error = WS_OK;
    (void)shard;
    for (;;) {
        const uint64_t number = atomic_fetch_add(&f->next, 1);
        if (number >= f->end || error != WS_OK || ws_stop_requested())
            break;
        error = ws_tree_grow(f->growers[thread], number, &tree);
        if (error == WS_OK)
            error = keep_tree(f->kept[thread], &tree, (size_t)f->rows.classes, &f->trees[number - f->first]);
        if (thread == 0)
            ws_progress_update(f->progress, (double)(number - f->first), NULL);
    }
    ws_tree_destroy(&tree);
    f->errors[thread] = error;
}

static int tried_columns(const ws_forest_options *options, int columns)
{
    int tried = options->max_features == WS_FOREST_SQRT   ? (int)sqrt(columns)
                : options->max_features == WS_FOREST_LOG2 ? (int)log2(columns)
                                                          : columns;
    return tried > 1 ? tried : 1;
}

static ws_err grow_own(fitting *f, const ws_model_context *context, const ws_samples *training, ws_arena *arena)
{
    const size_t threads = (size_t)context->threads;
    double *rows, *weight, sum;
    WS_TRY(ws_class_weights(arena, training, context->classes, f->options->class_weight == WS_FOREST_BALANCED, &rows,
                            &weight, &sum));
    f->settings.class_weight = weight;
    WS_TRY(ws_shard_threads_create(&f->threads, context->threads));
    WS_TRY(ws_tree_rows_create(&f->rows, training, context->classes, !f->settings.random_cuts, f->threads));
    WS_TRY(WS_NEW_ARRAY(f->trees, f->end - f->first));
    WS_TRY(WS_NEW_ARRAY(f->errors, threads));
    WS_TRY(WS_NEW_ARRAY(f->kept, threads));
    WS_TRY(WS_NEW_ARRAY(f->growers, threads));
    for (size_t t = 0; t < threads; t++) {
        WS_TRY(ws_arena_create(&f->kept[t], KEPT_BYTES));
        WS_TRY(ws_tree_grower_create(&f->growers[t], &f->rows, &f->settings));
    }
    atomic_store(&f->next, f->first);
    ws_shard_threads_run(f->threads, 0, context->threads, grow_trees, f);
    for (size_t t = 0; t < threads; t++)
        if (f->errors[t] != WS_OK)
            return ws_error_set(f->errors[t], "no memory for a tree", "", "");
    return WS_OK;
}

/* ---- what was learned ---- */

/* starts[tree + 1] to sums of the trees before; on every rank alike. */
static ws_err gather_starts_all(const ws_comm *comm, uint64_t *own, size_t count, const char *name, ws_arrays *learned,
                                double **starts)
{
    void *all = NULL;
    size_t bytes = 0;
    WS_TRY(ws_gather_all(comm, own, count * sizeof *own, &all, &bytes, NULL));
    const size_t trees = bytes / sizeof *own;
    ws_err error = ws_agree_all(comm, ws_arrays_add(learned, name, 1, (int64_t[]){(int64_t)trees + 1}, starts));
    for (size_t t = 0; t < trees && error == WS_OK; t++)
        (*starts)[t + 1] = (*starts)[t] + (double)((const uint64_t *)all)[t];
    free(all);
    return error;
}

/* What the ranks have, one after another, to values; of one rank without a copy between. */
typedef const void *(*part_of)(const ws_tree *tree, size_t classes, size_t *bytes);
static const void *nodes_of(const ws_tree *tree, size_t classes, size_t *bytes)
{
    (void)classes;
    *bytes = tree->count * sizeof *tree->nodes;
    return tree->nodes;
}
static const void *mixed_of(const ws_tree *tree, size_t classes, size_t *bytes)
{
    *bytes = tree->mixed_count * classes * sizeof *tree->mixed;
    return tree->mixed;
}

static void concatenate(const fitting *f, part_of part, char *to)
{
    for (uint64_t t = 0; t < f->end - f->first; t++) {
        size_t bytes;
        const void *from = part(&f->trees[t], (size_t)f->rows.classes, &bytes);
        memcpy(to, from, bytes);
        to += bytes;
    }
}

static ws_err gather_all(const fitting *f, part_of part, double *values)
{
    char *own = NULL;
    void *all = NULL;
    size_t total = 0, bytes = 0;
    if (f->comm->size == 1) {
        concatenate(f, part, (char *)values);
        return WS_OK;
    }
    for (uint64_t t = 0; t < f->end - f->first; t++) {
        (void)part(&f->trees[t], (size_t)f->rows.classes, &bytes);
        total += bytes;
    }
    WS_AGREE(f->comm, WS_NEW_ARRAY(own, total));
    concatenate(f, part, own);
    ws_err error = ws_gather_all(f->comm, own, total, &all, &bytes, NULL);
    if (error == WS_OK)
        memcpy(values, all, bytes);
    free(own);
    free(all);
    return error;
}

static ws_err keep_all(const fitting *f, ws_arrays *learned)
{
    const size_t own = f->end - f->first;
    uint64_t *counts = NULL;
    double *node_start, *mixed_start, *nodes, *mixed;
    ws_err error = ws_agree_all(f->comm, WS_NEW_ARRAY(counts, 2 * own));
    for (size_t t = 0; t < own && error == WS_OK; t++) {
        counts[t] = f->trees[t].count;
        counts[own + t] = f->trees[t].mixed_count;
    }
    if (error == WS_OK)
        error = gather_starts_all(f->comm, counts, own, "node_start", learned, &node_start);
    if (error == WS_OK)
        error = gather_starts_all(f->comm, counts + own, own, "mixed_start", learned, &mixed_start);
    free(counts);
    WS_TRY(error);
    const int64_t trees = f->options->trees;
    error = ws_arrays_add(learned, "nodes", 2, (int64_t[]){(int64_t)node_start[trees], 2}, &nodes);
    if (error == WS_OK)
        error = ws_arrays_add(learned, "mixed", 2, (int64_t[]){(int64_t)mixed_start[trees], f->rows.classes}, &mixed);
    WS_AGREE(f->comm, error);
    WS_TRY(gather_all(f, nodes_of, nodes));
    return gather_all(f, mixed_of, mixed);
}

ws_err ws_forest_fit_all(const ws_comm *comm, const ws_model_context *context, const ws_samples *training,
                         bool random_cuts, ws_arrays *learned)
{
    const ws_forest_options *options = context->options;
    fitting f = {.comm = comm, .options = options};
    bool stop = false;
    ws_even_split((uint64_t)options->trees, comm->size, comm->rank, &f.first, &f.end);
    f.settings = (ws_tree_settings){.tried_columns = tried_columns(options, context->columns),
                                    .maximum_depth = options->max_depth,
                                    .minimum_split_rows = options->min_samples_split,
                                    .minimum_leaf_rows = options->min_samples_leaf,
                                    .bootstrap = options->bootstrap,
                                    .random_cuts = random_cuts,
                                    .seed = context->seed};
    ws_err error =
        ws_agree_all(comm, ws_progress_start(&f.progress, comm, "grow trees", "trees", (double)(f.end - f.first)));
    ws_err growing = error == WS_OK ? grow_own(&f, context, training, learned->arena) : WS_OK;
    ws_progress_finish(&f.progress);
    if (error == WS_OK)
        error = ws_agree_all(comm, growing);
    if (error == WS_OK)
        error = ws_any_all(comm, ws_stop_requested(), &stop);
    if (error == WS_OK && stop)
        error = WS_ERROR(INTERRUPTED, "growing trees stopped; the same command with --resume begins again");
    if (error == WS_OK)
        error = keep_all(&f, learned);
    for (int t = 0; f.kept && t < context->threads; t++)
        ws_arena_destroy(&f.kept[t]);
    for (int t = 0; f.growers && t < context->threads; t++)
        ws_tree_grower_destroy(&f.growers[t]);
    free(f.trees);
    free(f.kept);
    free(f.growers);
    free(f.errors);
    ws_tree_rows_destroy(&f.rows);
    ws_shard_threads_destroy(&f.threads);
    return error;
}

/* ---- scores ---- */

const ws_learned_array ws_forest_arrays[] = {
    {.name = "node_start", .dimensions = 1, .shape = {WS_SIZE_A}},
    {.name = "mixed_start", .dimensions = 1, .shape = {WS_SIZE_A}},
    {.name = "nodes", .dimensions = 2, .shape = {WS_SIZE_ANY, 2}},
    {.name = "mixed", .dimensions = 2, .shape = {WS_SIZE_ANY, WS_SIZE_CLASSES}},
    {.name = NULL}};

static int64_t list_nodes(const ws_model_context *context, const ws_arrays *learned, size_t tree, size_t first,
                          size_t count, ws_tree_cut *cuts)
{
    const double *mixed_start = ws_arrays_find(learned, "mixed_start")->values;
    const ws_tree_node *nodes = (const ws_tree_node *)(const void *)ws_arrays_find(learned, "nodes")->values;
    for (size_t i = 0; i < count; i++) {
        const ws_tree_node node = nodes[first + i];
        const int64_t link = ws_tree_whole(node.link), leaf = ws_tree_whole(node.threshold), is_leaf = link >> 63;
        cuts[i] = (ws_tree_cut){(float)node.threshold, (int32_t)(link & (WS_TREE_COLUMNS - 1)) | (int32_t)is_leaf,
                                (link / WS_TREE_COLUMNS & ~is_leaf) | (leaf & is_leaf)};
    }
    return context->classes + (int64_t)(mixed_start[tree + 1] - mixed_start[tree]);
}

ws_err ws_forest_prepare(const ws_model_context *context, ws_arrays *learned)
{
    const ws_array *starts = ws_arrays_find(learned, "mixed_start");
    const int64_t mixed = ws_arrays_find(learned, "mixed")->shape[0];
    for (size_t t = 0; t < starts->count; t++)
        WS_CHECK(starts->values[t] >= (t == 0 ? 0 : starts->values[t - 1]) && starts->values[t] <= (double)mixed,
                 FORMAT, "array \"mixed_start\" does not rise to %lld", (long long)mixed);
    return ws_trees_lay_out(context, learned, list_nodes);
}

typedef struct taking {
    const double *mixed, *mixed_start;
    double *sums; /* [rows][classes] */
    uint32_t classes;
} taking;

static void take_leaves(void *context, size_t tree, uint64_t first, uint32_t rows, const uint32_t *leaf)
{
    const taking *t = context;
    const uint32_t classes = t->classes;
    const double *mixed = t->mixed + (size_t)t->mixed_start[tree] * classes;
    double *sum = t->sums + first * classes;
    for (uint32_t i = 0; i < rows; i++, sum += classes)
        if (leaf[i] < classes)
            sum[leaf[i]] += 1;
        else
            for (uint32_t k = 0; k < classes; k++)
                sum[k] += mixed[(leaf[i] - classes) * (size_t)classes + k];
}

ws_err ws_forest_score(const ws_model_context *context, const ws_arrays *learned, uint64_t rows, const float *values,
                       float *out)
{
    const size_t count = rows * (size_t)context->classes, trees = ws_arrays_find(learned, "node_start")->count - 1;
    taking t = {.mixed = ws_arrays_find(learned, "mixed")->values,
                .mixed_start = ws_arrays_find(learned, "mixed_start")->values,
                .classes = (uint32_t)context->classes};
    WS_TRY(WS_NEW_ARRAY(t.sums, count));
    ws_err error = ws_trees_walk(context, learned, rows, values, take_leaves, &t);
    for (size_t i = 0; i < count; i++)
        out[i] = (float)(t.sums[i] / (double)trees);
    free(t.sums);
    return error;
}
