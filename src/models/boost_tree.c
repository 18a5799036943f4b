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
    uint8_t *out = ws_boost_group(b->bins, column / WS_BOOST_GROUP) + column % WS_BOOST_GROUP;
    for (size_t i = 0; i < rows; i++)
        out[WS_BOOST_GROUP * i] = (uint8_t)bin_of[rank[i]];
}

ws_err ws_boost_bins_create(ws_boost_bins *out, const ws_tree_rows *rows, int most, ws_shard_threads *threads)
{
    const size_t columns = (size_t)rows->columns, cells = columns * rows->rows;
    const size_t count = (size_t)ws_shard_threads_count(threads);
    binning b = {.rows = rows, .bins = out, .most = most};
    ws_err error = WS_OK;
    *out = (ws_boost_bins){
        .rows = rows->rows, .columns = rows->columns, .groups = (rows->columns + WS_BOOST_GROUP - 1) / WS_BOOST_GROUP};
    WS_TRY(WS_NEW_ARRAY(out->of_group, (size_t)out->groups * WS_BOOST_GROUP * rows->rows));
    WS_TRY(WS_NEW_ARRAY(out->of_row, cells));
    WS_TRY(WS_NEW_ARRAY(out->count, (size_t)out->groups * WS_BOOST_GROUP));
    for (int c = rows->columns; c < out->groups * WS_BOOST_GROUP; c++)
        out->count[c] = 1;
    WS_TRY(WS_NEW_ARRAY(out->threshold, columns * WS_BOOST_BINS));
    WS_TRY(WS_NEW_ARRAY(b.work, count));
    for (size_t t = 0; t < count && error == WS_OK; t++)
        error = WS_NEW_ARRAY(b.work[t], 2 * (size_t)rows->rows);
    if (error == WS_OK)
        ws_shard_threads_run(threads, 0, rows->columns, bin_column, &b);
    for (size_t i = 0; i < rows->rows && error == WS_OK; i++)
        for (size_t c = 0; c < columns; c++)
            out->of_row[i * columns + c] =
                ws_boost_group(out, (int)c / WS_BOOST_GROUP)[WS_BOOST_GROUP * i + c % WS_BOOST_GROUP];
    for (size_t t = 0; t < count; t++)
        free(b.work[t]);
    free(b.work);
    return error;
}

void ws_boost_bins_destroy(ws_boost_bins *bins)
{
    free(bins->of_group);
    free(bins->of_row);
    free(bins->count);
    free(bins->threshold);
    *bins = (ws_boost_bins){0};
}

/* ---- growing ---- */

typedef struct sums {
    int64_t gradient, hessian, rows;
} sums;

/* The same for a histogram, to be added at once: the gradient, and hessian << row bits | rows. */
typedef uint64_t packed __attribute__((vector_size(16)));

typedef struct branch { /* a node of the level that is worked on */
    uint32_t begin, end;
    int slot;      /* of its histogram */
    int from;      /* slot of the parent's, which it is subtracted from; -1: it is not the smaller of two */
    bool counted;  /* its histogram is made from its rows */
    bool searched; /* it may be large enough to be cut */
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
    packed *histograms; /* [slots][groups][WS_BOOST_GROUP][WS_BOOST_BINS] */
    int row_bits;
    branch *level; /* [slots] */
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
    const size_t slots = (size_t)1 << settings->depth, columns = (size_t)bins->groups * WS_BOOST_GROUP;
    ws_boost_grower *g;
    ws_err error = WS_OK;
    WS_TRY(WS_NEW(g));
    g->bins = bins;
    g->settings = settings;
    g->threads = threads;
    g->row_bits = ws_boost_row_bits(bins->rows);
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

static packed *histogram_of(const ws_boost_grower *g, int slot, int column)
{
    return g->histograms + ((size_t)slot * (size_t)g->bins->groups * WS_BOOST_GROUP + (size_t)column) * WS_BOOST_BINS;
}

static sums unpack(const ws_boost_grower *g, packed sum)
{
    return (sums){(int64_t)sum[0], (int64_t)(sum[1] >> g->row_bits),
                  (int64_t)(sum[1] & (((uint64_t)1 << g->row_bits) - 1))};
}

static void count_rows(const ws_boost_grower *g, const branch *b, int group)
{
    const uint8_t *bins = ws_boost_group(g->bins, group);
    const int *count = g->bins->count + WS_BOOST_GROUP * group;
    packed *histogram = histogram_of(g, b->slot, WS_BOOST_GROUP * group);
    for (int c = 0; c < WS_BOOST_GROUP; c++)
        memset(histogram + c * WS_BOOST_BINS, 0, (size_t)count[c] * sizeof *histogram);
    for (uint32_t i = b->begin; i < b->end; i++) {
        const ws_boost_row row = g->rows[i];
        const packed add = {(uint64_t)(int64_t)row.gradient, (uint64_t)(uint32_t)row.hessian << g->row_bits | 1};
        uint8_t bin[WS_BOOST_GROUP];
        memcpy(bin, bins + (size_t)row.row * WS_BOOST_GROUP, sizeof bin);
        for (int c = 0; c < WS_BOOST_GROUP; c++)
            histogram[c * WS_BOOST_BINS + bin[c]] += add;
    }
    if (b->from < 0)
        return;
    packed *other = histogram_of(g, b->from, WS_BOOST_GROUP * group);
    for (int c = 0; c < WS_BOOST_GROUP; c++)
        for (int k = c * WS_BOOST_BINS; k < c * WS_BOOST_BINS + count[c]; k++)
            other[k] -= histogram[k];
}

/* What leaves with these sums take off the loss, times 2: gradient^2 / weight. */
typedef struct leaf {
    double square, weight;
} leaf;

static leaf leaf_of(const ws_boost_settings *s, const sums *sum)
{
    const double unit = 1 / s->scale; /* a power of 2: exact */
    const double gradient = (double)sum->gradient * unit;
    return (leaf){gradient * gradient, (double)sum->hessian * unit + s->l2 + 1e-15};
}

static int64_t least_hessian(const ws_boost_settings *s)
{
    return (int64_t)(1e-3 * s->scale);
}

static split search(const ws_boost_grower *g, const branch *b, int column)
{
    const ws_boost_settings *s = g->settings;
    const packed *histogram = histogram_of(g, b->slot, column);
    const sums all = g->full[b->node].sum;
    const int64_t least = least_hessian(s);
    const leaf uncut = leaf_of(s, &all);
    const double whole = uncut.square / uncut.weight;
    split best = {0};
    packed sum = {0};
    for (int bin = 0; bin + 1 < g->bins->count[column]; bin++) {
        if (histogram[bin][1] == 0) /* no rows */
            continue;
        sum += histogram[bin];
        const sums left = unpack(g, sum);
        const sums right = {all.gradient - left.gradient, all.hessian - left.hessian, all.rows - left.rows};
        if (left.rows < s->minimum_leaf_rows || left.hessian < least)
            continue;
        if (right.rows < s->minimum_leaf_rows || right.hessian < least)
            break;
        const leaf l = leaf_of(s, &left), r = leaf_of(s, &right);
        /* most are seen not to be better without a division */
        if (l.square * r.weight + r.square * l.weight < (best.gain + whole) * (1 - 1e-9) * (l.weight * r.weight))
            continue;
        const double gain = l.square / l.weight + r.square / r.weight - whole;
        if (gain > best.gain)
            best = (split){gain, bin, left};
    }
    return best;
}

static void look_at_group(void *context, int group, int thread)
{
    const ws_boost_grower *g = context;
    const int columns = g->bins->columns, first = group * WS_BOOST_GROUP;
    (void)thread;
    for (int i = 0; i < g->level_count; i++)
        if (g->level[i].counted)
            count_rows(g, &g->level[i], group);
    for (int i = 0; i < g->level_count; i++)
        for (int c = first; c < first + WS_BOOST_GROUP && c < columns; c++)
            g->splits[(size_t)i * (size_t)columns + (size_t)c] =
                g->level[i].searched ? search(g, &g->level[i], c) : (split){0};
}

/* Parts the rows of a branch, each side in the order it was; gives where the right side begins. */
static uint32_t part_rows(ws_boost_grower *g, const branch *b, int column, int bin)
{
    const uint8_t *bins = ws_boost_group(g->bins, column / WS_BOOST_GROUP) + column % WS_BOOST_GROUP;
    uint32_t left = b->begin, right = 0;
    for (uint32_t i = b->begin; i < b->end; i++) {
        const ws_boost_row row = g->rows[i];
        const uint32_t goes_left = bins[(size_t)row.row * WS_BOOST_GROUP] <= bin;
        g->rows[left] = row;
        g->spare[right] = row;
        left += goes_left;
        right += 1 - goes_left;
    }
    memcpy(g->rows + left, g->spare, right * sizeof *g->spare);
    return left;
}

/* Whether a cut could leave both sides as much as a leaf must have. */
static bool may_be_cut(const ws_boost_grower *g, uint32_t node)
{
    const sums *sum = &g->full[node].sum;
    return sum->rows >= 2 * g->settings->minimum_leaf_rows && sum->hessian >= 2 * least_hessian(g->settings);
}

/* The children of a branch whose rows were parted, for the next level. */
static void add_children(ws_boost_grower *g, const branch *b, uint32_t middle, branch *next, int *next_count)
{
    const bool left_smaller = middle - b->begin <= b->end - middle;
    const int slot = g->slots_used++;
    branch left = {b->begin, middle, b->slot, -1, false, may_be_cut(g, 2 * b->node), 2 * b->node},
           right = {middle, b->end, b->slot, -1, false, may_be_cut(g, 2 * b->node + 1), 2 * b->node + 1};
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
        if (depth + 1 < g->settings->depth && (may_be_cut(g, 2 * b.node) || may_be_cut(g, 2 * b.node + 1)))
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
    g->level[0] = (branch){.end = g->bins->rows, .from = -1, .counted = true, .searched = true, .node = 1};
    g->level_count = g->slots_used = 1;
    for (int depth = 0; depth < g->settings->depth && g->level_count > 0; depth++) {
        ws_shard_threads_run(g->threads, 0, g->bins->groups, look_at_group, g);
        cut_level(g, depth);
    }
    g->count = 0;
    emit(g, 1);
    return g->count;
}
