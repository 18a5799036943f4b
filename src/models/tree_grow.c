/* Growing one tree: nodes are cut, the left side first, until all rows of a node are of one class or cannot be told apart.
 *
 * A node is a run of an index of rows, which a cut parts in place and in order. Columns are drawn without putting back; those that
 * are constant in a node are so below it and not looked at again. The best cut has the largest sum over both sides of
 * sum_k w_k^2 / sum_k w_k with w_k the weight of class k, which is the least Gini impurity. Best cuts come from sorting the ranks of
 * a node's rows, or where few differ from counting classes by rank. For random cuts the index is kept grouped by class, so that
 * counting a side is comparing runs of numbers with one.
 */
#include <math.h>
#include <stdlib.h>
#include "core/philox.h"
#include "models/tree.h"

typedef struct waiting {
    uint32_t begin, end; /* of the index */
    size_t parent;       /* node whose child at the right this is; SIZE_MAX: the one at the left, or the root */
    int64_t depth;
} waiting;

typedef struct run { /* rows of a class in a node */
    int label;
    uint32_t rows;
} run;

typedef struct cut {
    int column; /* -1: none */
    float threshold;
    double value;
} cut;

struct ws_tree_grower {
    const ws_tree_rows *rows;
    const ws_tree_settings *settings;
    uint32_t *every;   /* [rows] the rows, for random cuts by class */
    uint32_t *index;   /* [rows] */
    uint32_t *spare;   /* [rows] */
    uint32_t *payload; /* [rows] label << 16 | how often the row was drawn */
    uint64_t *keys;    /* [2 * rows] */
    float *buffer;     /* [rows] */
    uint32_t *counts;  /* [rows + classes] classes by rank */
    int *columns;      /* [columns] in the order in which they were drawn */
    /* of the node */
    const uint32_t *node; /* its rows */
    uint32_t size;
    double *total, *left; /* [classes] weight */
    uint32_t *class_rows; /* [classes] */
    run *runs;            /* [classes] of the classes that are there */
    int run_count;
    double weight, squares; /* sum of total, of its squares */
    uint64_t *constant;     /* [words] bits of columns */
    /* still to do */
    size_t words, count, capacity, constant_capacity;
    waiting *stack;
    uint64_t *stack_constant; /* [capacity][words] */
    /* numbers drawn */
    uint64_t tree;
    uint32_t block, word[4], used;
};

void ws_tree_destroy(ws_tree *tree)
{
    free(tree->nodes);
    free(tree->mixed);
    *tree = (ws_tree){0};
}

void ws_tree_grower_destroy(ws_tree_grower **grower)
{
    ws_tree_grower *g = *grower;
    if (!g)
        return;
    void *const held[] = {g->every,      g->index,  g->spare,    g->payload, g->keys,
                          g->buffer,     g->counts, g->columns,  g->total,   g->left,
                          g->class_rows, g->runs,   g->constant, g->stack,   g->stack_constant};
    for (size_t i = 0; i < sizeof held / sizeof *held; i++)
        free(held[i]);
    free(g);
    *grower = NULL;
}

/* The rows by number, for random cuts by class and then by number. */
static ws_err order_rows(ws_tree_grower *g)
{
    const ws_tree_rows *rows = g->rows;
    uint32_t *place, sum = 0;
    WS_TRY(WS_NEW_ARRAY(place, (size_t)rows->classes));
    for (uint32_t i = 0; i < rows->rows; i++)
        place[rows->label[i]]++;
    for (int k = 0; k < rows->classes; k++) {
        uint32_t here = place[k];
        place[k] = sum;
        sum += here;
    }
    for (uint32_t i = 0; i < rows->rows; i++)
        g->every[g->settings->random_cuts ? place[rows->label[i]]++ : i] = i;
    free(place);
    return WS_OK;
}

ws_err ws_tree_grower_create(ws_tree_grower **out, const ws_tree_rows *rows, const ws_tree_settings *settings)
{
    const size_t count = rows->rows, classes = (size_t)rows->classes;
    ws_tree_grower *g;
    ws_err error = WS_OK;
    WS_TRY(WS_NEW(g));
    g->rows = rows;
    g->settings = settings;
    g->words = ((size_t)rows->columns + 63) / 64;
    WS_TRY_GOTO(fail, WS_NEW_ARRAY(g->every, count));
    WS_TRY_GOTO(fail, WS_NEW_ARRAY(g->index, count));
    WS_TRY_GOTO(fail, WS_NEW_ARRAY(g->spare, count));
    WS_TRY_GOTO(fail, WS_NEW_ARRAY(g->payload, count));
    if (settings->random_cuts) {
        WS_TRY_GOTO(fail, WS_NEW_ARRAY(g->buffer, count));
    } else {
        WS_TRY_GOTO(fail, WS_NEW_ARRAY(g->keys, 2 * count));
        WS_TRY_GOTO(fail, WS_NEW_ARRAY(g->counts, count + classes));
    }
    WS_TRY_GOTO(fail, WS_NEW_ARRAY(g->columns, (size_t)rows->columns));
    WS_TRY_GOTO(fail, WS_NEW_ARRAY(g->total, classes));
    WS_TRY_GOTO(fail, WS_NEW_ARRAY(g->left, classes));
    WS_TRY_GOTO(fail, WS_NEW_ARRAY(g->class_rows, classes));
    WS_TRY_GOTO(fail, WS_NEW_ARRAY(g->runs, classes));
    WS_TRY_GOTO(fail, WS_NEW_ARRAY(g->constant, g->words));
    WS_TRY_GOTO(fail, order_rows(g));
    *out = g;
    return WS_OK;
fail:
    ws_tree_grower_destroy(&g);
    return error;
}

/* ---- numbers ---- */

enum { DRAW_ROWS, DRAW_CUTS }; /* streams of a tree */

static uint32_t draw(ws_tree_grower *g, int stream)
{
    if (g->used == 4) {
        ws_random_block(g->settings->seed, WS_RANDOM_SAMPLE, 0, g->tree, (uint64_t)stream, g->block++, g->word);
        g->used = 0;
    }
    return g->word[g->used++];
}

/* Unbiased, by Lemire's multiplication with rejection. */
static uint32_t draw_below(ws_tree_grower *g, int stream, uint32_t bound)
{
    const uint32_t uneven = -bound % bound;
    for (;;) {
        uint64_t product = (uint64_t)draw(g, stream) * bound;
        if ((uint32_t)product >= uneven)
            return (uint32_t)(product >> 32);
    }
}

static void begin_stream(ws_tree_grower *g)
{
    g->block = 0;
    g->used = 4;
}

/* Gives how many different rows the tree is grown on. */
static uint32_t draw_rows(ws_tree_grower *g)
{
    const ws_tree_rows *rows = g->rows;
    uint32_t count = 0;
    for (uint32_t i = 0; i < rows->rows; i++)
        g->payload[i] = (uint32_t)rows->label[i] << 16 | (g->settings->bootstrap ? 0 : 1);
    begin_stream(g);
    for (uint32_t i = 0; i < rows->rows && g->settings->bootstrap; i++)
        g->payload[draw_below(g, DRAW_ROWS, rows->rows)]++; /* far fewer than 2^16 times each */
    for (uint32_t i = 0; i < rows->rows; i++)
        if (g->payload[g->every[i]] & 0xffff)
            g->index[count++] = g->every[i];
    begin_stream(g);
    return count;
}

/* ---- cuts ---- */

/* A number from `low` on and below `high`. */
static float between(float low, float high)
{
    float middle = (float)(((double)low + (double)high) / 2);
    return middle < high ? middle : low;
}

static double worth(double left_squares, double left_weight, double right_squares, double right_weight)
{
    return (left_squares * right_weight + right_squares * left_weight) / (left_weight * right_weight);
}

static void take_better(cut *best, double value, const ws_tree_rows *rows, int column, uint32_t low, uint32_t high)
{
    const float *distinct = rows->distinct + (size_t)column * rows->rows;
    if (value > best->value)
        *best = (cut){column, between(distinct[low], distinct[high]), value};
}

static void clear_left(ws_tree_grower *g)
{
    for (int r = 0; r < g->run_count; r++)
        g->left[g->runs[r].label] = 0;
}

/* Cuts between rows that keys[size] have in order. */
static void search_sorted(ws_tree_grower *g, const uint64_t *keys, int column, cut *best)
{
    const double *class_weight = g->settings->class_weight;
    const uint32_t least = (uint32_t)g->settings->minimum_leaf_rows, size = g->size;
    double weight = 0, squares = 0, right_squares = g->squares, most = best->value;
    uint32_t place = 0;
    clear_left(g);
    for (uint32_t i = 1; i < size; i++) {
        const uint32_t payload = (uint32_t)keys[i - 1], label = payload >> 16;
        const double w = class_weight[label] * (payload & 0xffff), l = g->left[label], r = g->total[label] - l;
        g->left[label] = l + w;
        squares += w * (l + l + w);
        right_squares -= w * (r + r - w);
        weight += w;
        if ((keys[i] ^ keys[i - 1]) >> 32 == 0 || i < least || size - i < least)
            continue;
        double value = worth(squares, weight, right_squares, g->weight - weight);
        if (value > most) {
            most = value;
            place = i;
        }
    }
    if (place > 0)
        take_better(best, most, g->rows, column, (uint32_t)(keys[place - 1] >> 32), (uint32_t)(keys[place] >> 32));
}

/* The same where few ranks differ: classes are counted by rank. */
static void search_counted(ws_tree_grower *g, const uint32_t *rank, int column, uint32_t low, uint32_t ranks, cut *best)
{
    const size_t classes = (size_t)g->rows->classes;
    const uint32_t least = (uint32_t)g->settings->minimum_leaf_rows;
    double weight = 0, squares = 0, right_squares = g->squares;
    uint32_t rows = 0, before = 0;
    uint32_t *in_rank = (uint32_t *)(void *)g->keys;
    memset(g->counts, 0, ranks * classes * sizeof *g->counts);
    memset(in_rank, 0, ranks * sizeof *in_rank);
    for (uint32_t i = 0; i < g->size; i++) {
        const uint32_t row = g->node[i], payload = g->payload[row], at = rank[row] - low;
        g->counts[at * classes + (payload >> 16)] += payload & 0xffff;
        in_rank[at]++;
    }
    clear_left(g);
    for (uint32_t at = 0; at < ranks; at++) {
        if (in_rank[at] == 0)
            continue;
        if (rows >= least && rows > 0 && g->size - rows >= least)
            take_better(best, worth(squares, weight, right_squares, g->weight - weight), g->rows, column, low + before,
                        low + at);
        for (int k = 0; k < g->run_count; k++) {
            const int label = g->runs[k].label;
            const double w = g->settings->class_weight[label] * g->counts[at * classes + (size_t)label];
            const double l = g->left[label], r = g->total[label] - l;
            g->left[label] = l + w;
            squares += w * (l + l + w);
            right_squares -= w * (r + r - w);
            weight += w;
        }
        rows += in_rank[at];
        before = at;
    }
}

/* False: the column is constant. */
static bool search_best(ws_tree_grower *g, int column, cut *best)
{
    const uint32_t *rank = g->rows->rank + (size_t)column * g->rows->rows, *node = g->node;
    uint32_t low = rank[node[0]], high = low;
    for (uint32_t i = 0; i < g->size; i++) {
        const uint32_t here = rank[node[i]];
        g->keys[i] = (uint64_t)here << 32 | g->payload[node[i]];
        low = here < low ? here : low;
        high = here > high ? here : high;
    }
    if (low == high)
        return false;
    if ((uint64_t)(high - low + 1) * (uint64_t)g->rows->classes <= g->size) {
        search_counted(g, rank, column, low, high - low + 1, best);
    } else {
        int bits = 32 - __builtin_clz(high - low);
        search_sorted(g, ws_tree_sort(g->keys, g->keys + g->rows->rows, g->size, low, bits), column, best);
    }
    return true;
}

static bool search_random(ws_tree_grower *g, int column, cut *best)
{
    const float *values = g->rows->values + (size_t)column * g->rows->rows;
    float *buffer = g->buffer, low = values[g->node[0]], high = low;
    uint32_t rows = 0;
    double weight = 0, squares = 0, right_squares = 0;
    for (uint32_t i = 0; i < g->size; i++) {
        const float value = buffer[i] = values[g->node[i]];
        low = value < low ? value : low;
        high = value > high ? value : high;
    }
    if (low == high)
        return false;
    const double share = (draw(g, DRAW_CUTS) + 0.5) * 0x1p-32;
    float threshold = (float)((double)low + share * ((double)high - (double)low));
    threshold = threshold < high ? threshold : low;
    for (int k = 0; k < g->run_count; k++) {
        const run here = g->runs[k];
        uint32_t count = 0;
        for (uint32_t i = 0; i < here.rows; i++)
            count += buffer[i] <= threshold;
        buffer += here.rows;
        const double l = g->settings->class_weight[here.label] * count, r = g->total[here.label] - l;
        rows += count;
        weight += l;
        squares += l * l;
        right_squares += r * r;
    }
    if (rows < g->settings->minimum_leaf_rows || g->size - rows < g->settings->minimum_leaf_rows)
        return true;
    const double value = worth(squares, weight, right_squares, g->weight - weight);
    if (value > best->value)
        *best = (cut){column, threshold, value};
    return true;
}

static cut search(ws_tree_grower *g)
{
    const int columns = g->rows->columns;
    cut best = {-1, 0, -1};
    int useful = 0;
    for (int drawn = 0; drawn < columns && (drawn < g->settings->tried_columns || useful == 0); drawn++) {
        const int other = drawn + (int)draw_below(g, DRAW_CUTS, (uint32_t)(columns - drawn));
        const int column = g->columns[other];
        g->columns[other] = g->columns[drawn];
        g->columns[drawn] = column;
        if (g->constant[column / 64] >> (column % 64) & 1)
            continue;
        if (g->settings->random_cuts ? search_random(g, column, &best) : search_best(g, column, &best))
            useful++;
        else
            g->constant[column / 64] |= (uint64_t)1 << (column % 64);
    }
    return best;
}

/* ---- nodes ---- */

/* Classes of the node's rows. */
static void count_classes(ws_tree_grower *g)
{
    g->weight = g->squares = 0;
    for (int r = 0; r < g->run_count; r++)
        g->class_rows[g->runs[r].label] = 0;
    g->run_count = 0;
    for (uint32_t i = 0; i < g->size; i++) {
        const uint32_t payload = g->payload[g->node[i]], label = payload >> 16;
        if (g->class_rows[label] == 0)
            g->runs[g->run_count++].label = (int)label;
        g->class_rows[label] += payload & 0xffff;
    }
    for (int r = 0; r < g->run_count; r++) {
        run *here = &g->runs[r];
        here->rows = g->class_rows[here->label]; /* used without a bootstrap only: a row counts once then */
        g->total[here->label] = g->settings->class_weight[here->label] * here->rows;
        g->weight += g->total[here->label];
        g->squares += g->total[here->label] * g->total[here->label];
    }
}

static ws_err make_leaf(const ws_tree_grower *g, ws_tree *tree, ws_tree_node *node)
{
    const size_t classes = (size_t)g->rows->classes;
    node->link = -1;
    if (g->run_count == 1) {
        node->threshold = g->runs[0].label;
        return WS_OK;
    }
    WS_TRY(WS_GROW(tree->mixed, tree->mixed_capacity, (tree->mixed_count + 1) * classes));
    double *shares = tree->mixed + tree->mixed_count * classes;
    memset(shares, 0, classes * sizeof *shares);
    for (int r = 0; r < g->run_count; r++)
        shares[g->runs[r].label] = g->total[g->runs[r].label] / g->weight;
    node->threshold = (double)(classes + tree->mixed_count++);
    return WS_OK;
}

/* Parts the run [begin, end) of the index, each side in the order it was; gives where the right side begins. */
static uint32_t part_rows(ws_tree_grower *g, uint32_t begin, uint32_t end, const cut *by)
{
    const float *values = g->rows->values + (size_t)by->column * g->rows->rows;
    uint32_t left = begin, right = 0;
    for (uint32_t i = begin; i < end; i++) {
        const uint32_t row = g->index[i];
        const uint32_t goes_left = values[row] <= by->threshold;
        g->index[left] = row;
        g->spare[right] = row;
        left += goes_left;
        right += 1 - goes_left;
    }
    memcpy(g->index + left, g->spare, right * sizeof *g->index);
    return left;
}

static ws_err push(ws_tree_grower *g, waiting node)
{
    WS_TRY(WS_GROW(g->stack, g->capacity, g->count + 1));
    WS_TRY(WS_GROW(g->stack_constant, g->constant_capacity, (g->count + 1) * g->words));
    memcpy(g->stack_constant + g->count * g->words, g->constant, g->words * sizeof *g->constant);
    g->stack[g->count++] = node;
    return WS_OK;
}

static waiting pop(ws_tree_grower *g)
{
    waiting node = g->stack[--g->count];
    memcpy(g->constant, g->stack_constant + g->count * g->words, g->words * sizeof *g->constant);
    g->node = g->index + node.begin;
    g->size = node.end - node.begin;
    return node;
}

static ws_err grow_node(ws_tree_grower *g, ws_tree *tree)
{
    const ws_tree_settings *s = g->settings;
    const waiting node = pop(g);
    const size_t at = tree->count;
    cut best = {-1, 0, 0};
    WS_TRY(WS_GROW(tree->nodes, tree->capacity, at + 1));
    tree->count++;
    if (node.parent != SIZE_MAX)
        tree->nodes[node.parent].link += (double)WS_TREE_COLUMNS * (double)(at - node.parent);
    count_classes(g);
    if (g->run_count > 1 && g->size >= s->minimum_split_rows && g->size / 2 >= s->minimum_leaf_rows &&
        (s->maximum_depth == 0 || node.depth < s->maximum_depth))
        best = search(g);
    if (best.column < 0)
        return make_leaf(g, tree, &tree->nodes[at]);
    tree->nodes[at] = (ws_tree_node){(double)best.threshold, (double)best.column};
    const uint32_t middle = part_rows(g, node.begin, node.end, &best);
    WS_TRY(push(g, (waiting){middle, node.end, at, node.depth + 1}));
    return push(g, (waiting){node.begin, middle, SIZE_MAX, node.depth + 1});
}

ws_err ws_tree_grow(ws_tree_grower *g, uint64_t number, ws_tree *out)
{
    out->count = out->mixed_count = g->count = 0;
    g->tree = number;
    for (int c = 0; c < g->rows->columns; c++)
        g->columns[c] = c;
    memset(g->constant, 0, g->words * sizeof *g->constant);
    WS_TRY(push(g, (waiting){0, draw_rows(g), SIZE_MAX, 0}));
    while (g->count > 0)
        WS_TRY(grow_node(g, out));
    return WS_OK;
}
