/* isolation_forest: rows that random cuts set apart soon are anomalous (Liu, Ting & Zhou 2008).
 *
 * A tree is grown on a subsample, drawn without putting back: a node is cut at a place drawn between the least and the largest
 * value of a column drawn among those that differ in it, down to a depth of log2(subsample). The score is 2^-(mean depth / c),
 * where c is the mean depth of an unsuccessful search in a binary tree of a subsample; rows left in a leaf count as a tree of so
 * many. Tree t draws from stream t, so the forest is the same however many ranks share the trees.
 */
#include <math.h>
#include <stdlib.h>
#include "models/models.h"

typedef struct forest_options {
    int64_t trees, subsample;
} forest_options;
static const ws_option fields[] = {WS_OPTION_INT(forest_options, trees, 100, 1, 100000, "trees"),
                                   WS_OPTION_INT(forest_options, subsample, 256, 2, 8192, "rows a tree is grown on"),
                                   WS_OPTION_END};
static const ws_option_table options_table = {"model", sizeof(forest_options), fields, "isolation_forest"};

/* A node of a full binary tree: children of i are 2i + 1 and 2i + 2. */
typedef struct node {
    double column; /* -1: a leaf */
    double value;  /* rows below it go left; of a leaf, the depth that counts */
} node;

/* Mean depth of an unsuccessful search in a binary tree of n. */
static double mean_depth(double n)
{
    const double euler = 0.57721566490153286061;
    return n <= 1 ? 0 : n == 2 ? 1 : 2 * (log(n - 1) + euler) - 2 * (n - 1) / n;
}

typedef struct growth {
    const ws_samples *rows;
    uint64_t seed, tree;
    uint64_t draws; /* numbers drawn so far */
    int limit;
    node *nodes;
    int *columns; /* [columns] scratch: those that differ in a node */
} growth;

static uint64_t draw_below(growth *g, uint64_t bound)
{
    return ws_random_below(g->seed, WS_RANDOM_SAMPLE, g->tree, g->draws++, bound);
}

static double draw_between(growth *g, double low, double high)
{
    float u;
    ws_random_uniform(g->seed, WS_RANDOM_SAMPLE, g->tree, g->draws++, &u, 1);
    double cut = low + (double)u * (high - low);
    return cut > low ? cut : high; /* rounding must leave a row on both sides */
}

static double value_of(const growth *g, uint64_t row, int column)
{
    return (double)g->rows->values[row * (uint64_t)g->rows->columns + (uint64_t)column];
}

static void range_of(const growth *g, const uint64_t *rows, size_t count, int column, double *low, double *high)
{
    *low = *high = value_of(g, rows[0], column);
    for (size_t i = 1; i < count; i++) {
        double value = value_of(g, rows[i], column);
        *low = value < *low ? value : *low;
        *high = value > *high ? value : *high;
    }
}

/* Rows below the cut come first; gives their number. */
static size_t part_rows(const growth *g, uint64_t *rows, size_t count, int column, double cut)
{
    size_t left = 0;
    for (size_t i = 0; i < count; i++)
        if (value_of(g, rows[i], column) < cut) {
            uint64_t row = rows[i];
            rows[i] = rows[left];
            rows[left++] = row;
        }
    return left;
}

static void grow(growth *g, size_t at, int depth, uint64_t *rows, size_t count)
{
    double low = 0, high = 0;
    uint64_t differing = 0;
    for (int c = 0; c < g->rows->columns && count > 1 && depth < g->limit; c++) {
        range_of(g, rows, count, c, &low, &high);
        if (low < high)
            g->columns[differing++] = c;
    }
    if (differing == 0) {
        g->nodes[at] = (node){-1, depth + mean_depth((double)count)};
        return;
    }
    int column = g->columns[draw_below(g, differing)];
    range_of(g, rows, count, column, &low, &high);
    double cut = draw_between(g, low, high);
    size_t left = part_rows(g, rows, count, column, cut);
    g->nodes[at] = (node){column, cut};
    grow(g, 2 * at + 1, depth + 1, rows, left);
    grow(g, 2 * at + 2, depth + 1, rows + left, count - left);
}

/* The first `count` of a drawn order of all rows (Fisher-Yates, whose beginning is all that is made). */
static void draw_rows(growth *g, uint64_t *order, size_t count)
{
    for (uint64_t i = 0; i < g->rows->rows; i++)
        order[i] = i;
    for (uint64_t i = 0; i < count; i++) {
        uint64_t j = i + draw_below(g, g->rows->rows - i), row = order[i];
        order[i] = order[j];
        order[j] = row;
    }
}

static int depth_limit(size_t count)
{
    int depth = 0;
    while (((size_t)1 << depth) < count)
        depth++;
    return depth;
}

/* Grows the trees [first, end) one after the other into nodes[end - first][nodes of a tree]. */
static ws_err grow_trees(const ws_model_context *context, const ws_samples *rows, uint64_t first, uint64_t end,
                         size_t count, size_t tree_nodes, node *nodes)
{
    uint64_t *order = NULL;
    growth g = {.rows = rows, .seed = context->seed, .limit = depth_limit(count)};
    ws_err error = WS_NEW_ARRAY(order, rows->rows);
    if (error == WS_OK)
        error = WS_NEW_ARRAY(g.columns, (size_t)rows->columns + 1);
    for (g.tree = first; g.tree < end && error == WS_OK; g.tree++) {
        g.draws = 0;
        g.nodes = nodes + (g.tree - first) * tree_nodes;
        draw_rows(&g, order, count);
        grow(&g, 0, 0, order, count);
    }
    free(g.columns);
    free(order);
    return error;
}

static ws_err fit_all(const ws_comm *comm, const ws_model_context *context, const ws_samples *training,
                      const ws_samples *validation, ws_arrays *learned)
{
    (void)validation;
    const forest_options *options = context->options;
    uint64_t first, end;
    node *own = NULL;
    void *all = NULL;
    double *nodes, *normal;
    size_t bytes;
    WS_CHECK(training->rows > 0, CONFIG, "isolation_forest: there are no training rows");
    size_t count = (size_t)options->subsample < training->rows ? (size_t)options->subsample : training->rows;
    size_t tree_nodes = ((size_t)2 << depth_limit(count)) - 1;
    ws_even_split((uint64_t)options->trees, comm->size, comm->rank, &first, &end);
    ws_err error = WS_NEW_ARRAY(own, (end - first) * tree_nodes);
    if (error == WS_OK)
        error = grow_trees(context, training, first, end, count, tree_nodes, own);
    error = ws_agree_all(comm, error);
    if (error == WS_OK)
        error = ws_gather_all(comm, own, (end - first) * tree_nodes * sizeof *own, &all, &bytes, NULL);
    if (error == WS_OK)
        error = ws_arrays_add(learned, "nodes", 3, (int64_t[]){options->trees, (int64_t)tree_nodes, 2}, &nodes);
    if (error == WS_OK)
        memcpy(nodes, all, bytes);
    if (error == WS_OK)
        error = ws_arrays_add(learned, "mean_depth", 1, (int64_t[]){1}, &normal);
    if (error == WS_OK)
        *normal = mean_depth((double)count);
    free(all);
    free(own);
    return error;
}

static double depth_in(const node *nodes, const float *row)
{
    size_t at = 0;
    while (nodes[at].column >= 0)
        at = 2 * at + ((double)row[(size_t)nodes[at].column] < nodes[at].value ? 1 : 2);
    return nodes[at].value;
}

static ws_err score(const ws_model_context *context, const ws_arrays *learned, uint64_t rows, const float *values,
                    float *out)
{
    const ws_array *array = ws_arrays_find(learned, "nodes");
    const node *nodes = (const node *)(const void *)array->values;
    double trees = (double)array->shape[0], normal = ws_arrays_find(learned, "mean_depth")->values[0];
    for (uint64_t i = 0; i < rows; i++, values += context->columns) {
        double sum = 0;
        for (int64_t t = 0; t < array->shape[0]; t++)
            sum += depth_in(nodes + t * array->shape[1], values);
        out[i] = (float)(normal > 0 ? exp2(-sum / (trees * normal)) : 0.5);
    }
    return WS_OK;
}

/* Cuts that rows can come to are of columns that there are, and have children. */
static bool is_sound(const node *nodes, int64_t count, int columns, int64_t at)
{
    return at < count &&
           (nodes[at].column < 0 || (nodes[at].column < columns && is_sound(nodes, count, columns, 2 * at + 1) &&
                                     is_sound(nodes, count, columns, 2 * at + 2)));
}

static ws_err prepare(const ws_model_context *context, ws_arrays *learned)
{
    const ws_array *array = ws_arrays_find(learned, "nodes");
    const int64_t trees = array->shape[0], count = array->shape[1];
    const node *nodes = (const node *)(const void *)array->values;
    WS_CHECK(trees > 0, FORMAT, "array \"nodes\" of isolation_forest is empty");
    for (int64_t t = 0; t < trees; t++)
        WS_CHECK(is_sound(nodes + t * count, count, context->columns, 0), FORMAT,
                 "array \"nodes\" of isolation_forest: tree %lld has a cut without children or column", (long long)t);
    return WS_OK;
}

static const ws_learned_array arrays[] = {{.name = "nodes", .dimensions = 3, .shape = {WS_SIZE_ANY, WS_SIZE_ANY, 2}},
                                          {.name = "mean_depth", .dimensions = 1, .shape = {1}},
                                          {.name = NULL}};

const ws_model ws_model_isolation_forest = {
    .name = "isolation_forest",
    .help = "how soon random cuts set a row apart",
    .tasks = WS_CAN_ANOMALY,
    .scores = (const char *const[]){"isolation", NULL},
    .options = &options_table,
    .classical = &(const ws_classical){.fit_all = fit_all, .score = score, .arrays = arrays, .prepare = prepare},
};
