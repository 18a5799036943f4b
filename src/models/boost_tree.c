/* Growing a tree for boosting, level by level. Of two siblings the smaller one's sums are made from its rows and the other's by
 * subtraction from their parent's, in whose place they then are. Threads share the columns. */
#include <stdlib.h>
#include "models/boost_tree.h"

/* ---- bins ---- */

typedef struct binning {
    const ws_tree_rows *rows;
    ws_boost_bins *bins;
    int most;
    uint32_t **work; /* [threads][2 * rows] rows of a distinct value, then its bin */
} binning;

static void bin_column(void *context, int column, int thread)
{
    const binning *b = context;
    const size_t rows = b->rows->rows, at = (size_t)column * rows;
    const uint32_t *rank = b->rows->rank + at, distinct = b->rows->distinct_count[column];
    const float *values = b->rows->distinct + at;
    float *threshold = b->bins->threshold + (size_t)column * WS_BOOST_BINS;
    uint32_t *count = b->work[thread], *bin_of = count + rows, bin = 0;
    uint64_t before = 0;
    memset(count, 0, distinct * sizeof *count);
    for (size_t i = 0; i < rows; i++)
        count[rank[i]]++;
    for (uint32_t v = 0; v < distinct; v++) {
        bin_of[v] = bin;
        before += count[v];
        /* the bin ends where the rows up to here are its share of all */
        const bool ends = distinct <= (uint32_t)b->most || before * (uint64_t)b->most >= (uint64_t)rows * (bin + 1);
        if (ends && v + 1 < distinct) {
            const float middle = (float)(((double)values[v] + (double)values[v + 1]) / 2);
            threshold[bin++] = middle < values[v + 1] ? middle : values[v];
        }
    }
    b->bins->count[column] = (int)bin + 1;
    for (size_t i = 0; i < rows; i++)
        b->bins->of_column[at + i] = (uint8_t)bin_of[rank[i]];
}

ws_err ws_boost_bins_create(ws_boost_bins *out, const ws_tree_rows *rows, int most, ws_shard_threads *threads)
{
    const size_t columns = (size_t)rows->columns, cells = columns * rows->rows;
    const size_t count = (size_t)ws_shard_threads_count(threads);
    binning b = {.rows = rows, .bins = out, .most = most};
    ws_err error = WS_OK;
    *out = (ws_boost_bins){.rows = rows->rows, .columns = rows->columns};
    WS_TRY(WS_NEW_ARRAY(out->of_column, cells));
    WS_TRY(WS_NEW_ARRAY(out->of_row, cells));
    WS_TRY(WS_NEW_ARRAY(out->count, columns));
    WS_TRY(WS_NEW_ARRAY(out->threshold, columns * WS_BOOST_BINS));
    WS_TRY(WS_NEW_ARRAY(b.work, count));
    for (size_t t = 0; t < count && error == WS_OK; t++)
        error = WS_NEW_ARRAY(b.work[t], 2 * (size_t)rows->rows);
    if (error == WS_OK)
        ws_shard_threads_run(threads, 0, rows->columns, bin_column, &b);
    for (size_t i = 0; i < rows->rows && error == WS_OK; i++)
        for (size_t c = 0; c < columns; c++)
            out->of_row[i * columns + c] = out->of_column[c * rows->rows + i];
    for (size_t t = 0; t < count; t++)
        free(b.work[t]);
    free(b.work);
    return error;
}

void ws_boost_bins_destroy(ws_boost_bins *bins)
{
    free(bins->of_column);
    free(bins->of_row);
    free(bins->count);
    free(bins->threshold);
    *bins = (ws_boost_bins){0};
}

/* ---- growing ---- */

typedef struct sums {
    int64_t gradient, hessian, rows;
} sums;

typedef struct branch { /* a node of the level that is worked on */
    uint32_t begin, end;
    int slot;      /* of its histogram */
    int from;      /* slot of the parent's, which it is subtracted from; -1: it is not the smaller of two */
    bool counted;  /* its histogram is made from its rows */
    uint32_t node; /* its place in the full binary tree, the root being 1 */
} branch;

typedef struct split {
    double gain; /* 0: none */
    int bin;
    sums left;
} split;

typedef struct full_node { /* of the full binary tree: children of i are 2i and 2i + 1 */
    int column, bin;       /* column -1: a leaf */
    sums sum;
} full_node;

struct ws_boost_grower {
    const ws_boost_bins *bins;
    const ws_boost_settings *settings;
    ws_shard_threads *threads;
    sums *histograms; /* [slots][columns][WS_BOOST_BINS] */
    branch *level;    /* [slots] */
    int level_count, slots_used;
    split *splits; /* [slots][columns] */
    full_node *full;
    ws_boost_row *rows, *spare;
    ws_boost_node *nodes;
    uint32_t count;
};

void ws_boost_grower_destroy(ws_boost_grower **grower)
{
    ws_boost_grower *g = *grower;
    if (!g)
        return;
    free(g->histograms);
    free(g->level);
    free(g->splits);
    free(g->full);
    free(g->spare);
    free(g);
    *grower = NULL;
}

ws_err ws_boost_grower_create(ws_boost_grower **out, const ws_boost_bins *bins, const ws_boost_settings *settings,
                              ws_shard_threads *threads)
{
    const size_t slots = (size_t)1 << settings->depth, columns = (size_t)bins->columns;
    ws_boost_grower *g;
    ws_err error = WS_OK;
    WS_TRY(WS_NEW(g));
    g->bins = bins;
    g->settings = settings;
    g->threads = threads;
    WS_TRY_GOTO(fail, WS_NEW_ARRAY(g->histograms, slots / 2 * columns * WS_BOOST_BINS));
    WS_TRY_GOTO(fail, WS_NEW_ARRAY(g->level, slots));
    WS_TRY_GOTO(fail, WS_NEW_ARRAY(g->splits, slots * columns));
    WS_TRY_GOTO(fail, WS_NEW_ARRAY(g->full, 2 * slots));
    WS_TRY_GOTO(fail, WS_NEW_ARRAY(g->spare, (size_t)bins->rows));
    *out = g;
    return WS_OK;
fail:
    ws_boost_grower_destroy(&g);
    return error;
}

static sums *histogram_of(const ws_boost_grower *g, int slot, int column)
{
    return g->histograms + ((size_t)slot * (size_t)g->bins->columns + (size_t)column) * WS_BOOST_BINS;
}

static void count_rows(const ws_boost_grower *g, const branch *b, int column)
{
    const uint8_t *bin = g->bins->of_column + (size_t)column * g->bins->rows;
    sums *histogram = histogram_of(g, b->slot, column);
    memset(histogram, 0, (size_t)g->bins->count[column] * sizeof *histogram);
    for (uint32_t i = b->begin; i < b->end; i++) {
        const ws_boost_row row = g->rows[i];
        sums *sum = &histogram[bin[row.row]];
        sum->gradient += row.gradient;
        sum->hessian += row.hessian;
        sum->rows++;
    }
    for (int k = 0; k < g->bins->count[column] && b->from >= 0; k++) {
        sums *other = histogram_of(g, b->from, column) + k;
        other->gradient -= histogram[k].gradient;
        other->hessian -= histogram[k].hessian;
        other->rows -= histogram[k].rows;
    }
}

/* What leaves with these sums take off the loss, times 2. */
static double gain_of(const ws_boost_settings *s, const sums *sum)
{
    const double gradient = (double)sum->gradient / s->scale, hessian = (double)sum->hessian / s->scale;
    return gradient * gradient / (hessian + s->l2 + 1e-15);
}

static split search(const ws_boost_grower *g, const branch *b, int column)
{
    const ws_boost_settings *s = g->settings;
    const sums *histogram = histogram_of(g, b->slot, column), all = g->full[b->node].sum;
    const int64_t least_hessian = (int64_t)(1e-3 * s->scale);
    const double whole = gain_of(s, &all);
    split best = {0};
    sums left = {0};
    for (int bin = 0; bin + 1 < g->bins->count[column]; bin++) {
        left.gradient += histogram[bin].gradient;
        left.hessian += histogram[bin].hessian;
        left.rows += histogram[bin].rows;
        const sums right = {all.gradient - left.gradient, all.hessian - left.hessian, all.rows - left.rows};
        if (left.rows < s->minimum_leaf_rows || left.hessian < least_hessian || histogram[bin].rows == 0)
            continue;
        if (right.rows < s->minimum_leaf_rows || right.hessian < least_hessian)
            break;
        const double gain = gain_of(s, &left) + gain_of(s, &right) - whole;
        if (gain > best.gain)
            best = (split){gain, bin, left};
    }
    return best;
}

static void look_at_column(void *context, int column, int thread)
{
    const ws_boost_grower *g = context;
    (void)thread;
    for (int i = 0; i < g->level_count; i++)
        if (g->level[i].counted)
            count_rows(g, &g->level[i], column);
    for (int i = 0; i < g->level_count; i++)
        g->splits[(size_t)i * (size_t)g->bins->columns + (size_t)column] = search(g, &g->level[i], column);
}

/* Parts the rows of a branch, each side in the order it was; gives where the right side begins. */
static uint32_t part_rows(ws_boost_grower *g, const branch *b, int column, int bin)
{
    const uint8_t *bins = g->bins->of_column + (size_t)column * g->bins->rows;
    uint32_t left = b->begin, right = 0;
    for (uint32_t i = b->begin; i < b->end; i++) {
        const ws_boost_row row = g->rows[i];
        const uint32_t goes_left = bins[row.row] <= bin;
        g->rows[left] = row;
        g->spare[right] = row;
        left += goes_left;
        right += 1 - goes_left;
    }
    memcpy(g->rows + left, g->spare, right * sizeof *g->spare);
    return left;
}

/* The children of a branch, for the next level. */
static void add_children(ws_boost_grower *g, const branch *b, uint32_t middle, branch *next, int *next_count)
{
    const bool left_smaller = middle - b->begin <= b->end - middle;
    const int slot = g->slots_used++;
    branch left = {b->begin, middle, b->slot, -1, false, 2 * b->node},
           right = {middle, b->end, b->slot, -1, false, 2 * b->node + 1};
    branch *smaller = left_smaller ? &left : &right;
    smaller->slot = slot;
    smaller->from = b->slot;
    smaller->counted = true;
    next[(*next_count)++] = left;
    next[(*next_count)++] = right;
}

/* Cuts what can be cut in the level; gives the next one in its place. */
static void cut_level(ws_boost_grower *g, int depth)
{
    const int columns = g->bins->columns, count = g->level_count;
    branch *next = g->level + count; /* behind it: a level is at most half of all slots */
    int next_count = 0;
    for (int i = 0; i < count; i++) {
        const branch b = g->level[i];
        const split *splits = g->splits + (size_t)i * (size_t)columns;
        full_node *node = &g->full[b.node];
        double most = 0;
        for (int c = 0; c < columns; c++)
            if (splits[c].gain > most) {
                most = splits[c].gain;
                node->column = c;
            }
        if (node->column < 0)
            continue;
        const split *best = &splits[node->column];
        node->bin = best->bin;
        g->full[2 * b.node] = (full_node){-1, 0, best->left};
        g->full[2 * b.node + 1] =
            (full_node){-1,
                        0,
                        {node->sum.gradient - best->left.gradient, node->sum.hessian - best->left.hessian,
                         node->sum.rows - best->left.rows}};
        if (depth + 1 < g->settings->depth)
            add_children(g, &b, part_rows(g, &b, node->column, node->bin), next, &next_count);
    }
    memmove(g->level, next, (size_t)next_count * sizeof *next);
    g->level_count = next_count;
}

/* Nodes in the order of a walk to the left. */
static void emit(ws_boost_grower *g, uint32_t at)
{
    const ws_boost_settings *s = g->settings;
    const full_node *node = &g->full[at];
    ws_boost_node *out = &g->nodes[g->count++];
    *out = (ws_boost_node){.column = node->column};
    if (node->column < 0) {
        out->value = -s->learning_rate * ((double)node->sum.gradient / s->scale) /
                     ((double)node->sum.hessian / s->scale + s->l2 + 1e-15);
        return;
    }
    const uint32_t place = g->count - 1;
    out->bin = (uint32_t)node->bin;
    out->threshold = g->bins->threshold[(size_t)node->column * WS_BOOST_BINS + (size_t)node->bin];
    emit(g, 2 * at);
    out->right = g->count - place;
    emit(g, 2 * at + 1);
}

uint32_t ws_boost_grow(ws_boost_grower *g, ws_boost_row *rows, ws_boost_node *nodes)
{
    sums all = {.rows = g->bins->rows};
    for (uint32_t i = 0; i < g->bins->rows; i++) {
        all.gradient += rows[i].gradient;
        all.hessian += rows[i].hessian;
    }
    g->rows = rows;
    g->nodes = nodes;
    g->full[1] = (full_node){-1, 0, all};
    g->level[0] = (branch){.end = g->bins->rows, .from = -1, .counted = true, .node = 1};
    g->level_count = g->slots_used = 1;
    for (int depth = 0; depth < g->settings->depth && g->level_count > 0; depth++) {
        ws_shard_threads_run(g->threads, 0, g->bins->columns, look_at_column, g);
        cut_level(g, depth);
    }
    g->count = 0;
    emit(g, 1);
    return g->count;
}
