/* Rows through many trees; see tree_walk.h.
 *
 * Values are turned into keys, whole numbers in the same order. Both children of a node lie side by side, so that what a comparison
 * gives is added to a place: no branch, which would be guessed wrong half the time. Some rows go a step in turn, since one row's
 * steps wait for each other. A tree fills half a core's cache and a forest is larger than all caches, so many rows go through a tree
 * before the next, while that one, and the rows behind these, are fetched.
 */
#include "models/tree_walk.h"

#include <math.h>
#include <stdlib.h>

enum {
    LEAVES = 1 << 22,
    SHORT_COLUMNS = 256, /* their bits are known when this is built */
    BLOCK = 8192,        /* rows that go through a tree before the next */
    ROWS = 64,           /* of those, that stay in the nearest cache */
    LANES = 16,          /* of those, that go a step in turn */
    STEPS = 6            /* before it is seen who has come to a leaf */
};

typedef struct tree_step {
    uint32_t threshold; /* keys above it go to the right; of a leaf UINT32_MAX less its number, which no key is above */
    uint32_t link;      /* how much further on the child at the left is << column bits | column; of a leaf 0 */
} tree_step;

static int column_bits_of(int columns)
{
    return columns <= SHORT_COLUMNS ? 8 : 32 - __builtin_clz((unsigned)columns - 1);
}

static inline uint32_t key_of(float value)
{
    const float plain = value + 0.0f; /* -0 becomes 0 */
    uint32_t bits;
    memcpy(&bits, &plain, sizeof bits);
    const uint32_t key = bits ^ ((uint32_t)((int32_t)bits >> 31) | 0x80000000u);
    return isnan(plain) ? 0xff800001u : key; /* next to that of infinity */
}

/* Trees lie as `node_start` says, each with one more step in front of the root, so that siblings share a line of the cache. */
static tree_step *steps_of(const ws_arrays *learned, const ws_array *starts, size_t tree)
{
    return (tree_step *)learned->prepared + (size_t)starts->values[tree] + tree;
}

/* ---- laying out ---- */

/* Puts cuts[count] to steps[count + 1]; place: scratch [count + 1]. False: no tree. Leaves come as they like, so there is no branch for
 * them. All nodes have a place and there are as many places as nodes, so each has its own. */
static bool lay_out_tree(const ws_tree_cut *cuts, int64_t count, int columns, int64_t leaves, uint32_t *place,
                         tree_step *steps)
{
    const int column_bits = column_bits_of(columns);
    uint32_t used = 2, at = 1;
    bool sound = true;
    memset(place, 0, ((size_t)count + 1) * sizeof *place); /* of children at the right */
    for (int64_t i = 0; i < count; i++) {
        const ws_tree_cut cut = cuts[i];
        const uint32_t leaf = (uint32_t)(cut.column >> 31); /* all bits, or none */
        const int64_t wide = cut.column >> 31, further = cut.further & ~wide, left = count - i;
        const uint32_t link = (used - at) << column_bits | (uint32_t)cut.column, key = key_of(cut.threshold);
        const uint32_t child = used < (uint64_t)count ? used : 0;
        sound &= (cut.further >= (2 & ~wide)) & (cut.further < ((leaves & wide) | (left & ~wide))) &
                 (cut.column < columns) & (at > 0);
        steps[at] = (tree_step){(~(uint32_t)cut.further & leaf) | (key & ~leaf), link & ~leaf};
        place[(uint64_t)further < (uint64_t)left ? i + further : count] = child + 1;
        at = (place[i + 1] & leaf) | (child & ~leaf);
        used += 2 & ~leaf;
    }
    return sound && used == count + 1;
}

typedef struct laying {
    const ws_model_context *context;
    const ws_arrays *learned;
    const ws_array *starts;
    ws_tree_list list;
    ws_tree_cut **cuts; /* [threads][most nodes of a tree] */
    uint32_t **place;   /* [threads][that + 1] */
    bool *no_tree;      /* [threads] one of its trees is none */
    bool *too_many;     /* [threads] or has too many leaves */
} laying;

static void lay_out_one(void *context, int tree, int thread)
{
    const laying *l = context;
    const double *starts = l->starts->values;
    const size_t first = (size_t)starts[tree], count = (size_t)starts[tree + 1] - first;
    const int64_t leaves = l->list(l->context, l->learned, (size_t)tree, first, count, l->cuts[thread]);
    l->too_many[thread] |= leaves > LEAVES;
    l->no_tree[thread] |= !lay_out_tree(l->cuts[thread], (int64_t)count, l->context->columns, leaves, l->place[thread],
                                        steps_of(l->learned, l->starts, (size_t)tree));
}

/* starts[trees + 1] rise from 0 to `all`; the most nodes of a tree. */
static ws_err check_starts(const ws_array *starts, int64_t all, size_t *most)
{
    const double *at = starts->values;
    const size_t count = starts->count;
    *most = 0;
    WS_CHECK(count > 1 && count <= INT32_MAX && at[0] == 0 && at[count - 1] == (double)all, FORMAT,
             "array \"%s\" does not go from 0 to %lld", starts->name, (long long)all);
    for (size_t t = 0; t + 1 < count; t++) {
        WS_CHECK(at[t] < at[t + 1] && at[t] == floor(at[t]), FORMAT, "array \"%s\" does not rise by whole numbers",
                 starts->name);
        *most = at[t + 1] - at[t] > (double)*most ? (size_t)(at[t + 1] - at[t]) : *most;
    }
    return WS_OK;
}

static ws_err lay_out(laying *l, size_t most, ws_shard_threads *threads)
{
    const size_t count = (size_t)ws_shard_threads_count(threads);
    bool no_tree = false, too_many = (uint64_t)most + 1 > UINT32_MAX >> column_bits_of(l->context->columns);
    WS_TRY(WS_NEW_ARRAY(l->cuts, count));
    WS_TRY(WS_NEW_ARRAY(l->place, count));
    WS_TRY(WS_NEW_ARRAY(l->no_tree, count));
    WS_TRY(WS_NEW_ARRAY(l->too_many, count));
    for (size_t t = 0; t < count; t++) {
        WS_TRY(WS_NEW_ARRAY(l->cuts[t], most));
        WS_TRY(WS_NEW_ARRAY(l->place[t], most + 1));
    }
    if (!too_many)
        ws_shard_threads_run(threads, 0, (int)l->starts->count - 1, lay_out_one, l);
    for (size_t t = 0; t < count; t++) {
        too_many |= l->too_many[t];
        no_tree |= l->no_tree[t];
    }
    WS_CHECK(!too_many, UNSUPPORTED,
             "a tree has more nodes than %u or leaves than %d; limit model.max_depth or model.min_samples_leaf",
             UINT32_MAX >> column_bits_of(l->context->columns), LEAVES);
    WS_CHECK(!no_tree, FORMAT, "array \"nodes\" has a tree with a node or leaf that is not there");
    return WS_OK;
}

ws_err ws_trees_lay_out(const ws_model_context *context, ws_arrays *learned, ws_tree_list list)
{
    const int64_t all = ws_arrays_find(learned, "nodes")->shape[0];
    laying l = {.context = context, .learned = learned, .starts = ws_arrays_find(learned, "node_start"), .list = list};
    ws_shard_threads *threads = NULL;
    tree_step *steps;
    size_t most;
    WS_TRY(check_starts(l.starts, all, &most));
    WS_TRY(ws_arena_alloc(learned->arena, &steps, (size_t)all + l.starts->count, sizeof *steps));
    learned->prepared = steps;
    ws_err error = ws_shard_threads_create(&threads, context->threads);
    if (error == WS_OK)
        error = lay_out(&l, most, threads);
    ws_shard_threads_destroy(&threads);
    for (int t = 0; t < context->threads; t++) {
        free(l.cuts ? l.cuts[t] : NULL);
        free(l.place ? l.place[t] : NULL);
    }
    free(l.cuts);
    free(l.place);
    free(l.no_tree);
    free(l.too_many);
    return error;
}

/* ---- walking ---- */

typedef struct ahead { /* memory that is fetched while rows are walking */
    const char *rows, *tree;
    size_t row_bytes, tree_bytes; /* for each row that walks */
} ahead;

static inline void fetch(const ahead *a, uint32_t first, uint32_t end)
{
    for (size_t byte = first * a->row_bytes; byte < end * a->row_bytes; byte += 64)
        __builtin_prefetch(a->rows + byte);
    for (size_t byte = first * a->tree_bytes; byte < end * a->tree_bytes; byte += 64)
        __builtin_prefetch(a->tree + byte, 0, 2);
}

/* LANES rows go some steps; those that have come to their leaf step in place. */
static inline __attribute__((always_inline)) void walk_lanes(const tree_step **at, const uint32_t *const *row,
                                                             int column_bits)
{
    const uint32_t column_mask = ((uint32_t)1 << column_bits) - 1;
    const tree_step *here[LANES];
    memcpy(here, at, sizeof here);
    for (int step = 0; step < STEPS; step++)
#pragma GCC unroll 16
        for (int l = 0; l < LANES; l++) {
            const uint32_t link = here[l]->link, key = row[l][link & column_mask];
            uint32_t difference;
            size_t by = link >> column_bits;
            by += __builtin_sub_overflow(here[l]->threshold, key, &difference); /* an addition with carry */
            here[l] += by;
        }
    memcpy(at, here, sizeof here);
}

static inline __attribute__((always_inline)) void walk(const tree_step *tree, const uint32_t *keys, size_t columns,
                                                       int column_bits, uint32_t rows, const ahead *a, uint32_t *leaf)
{
    const tree_step *at[ROWS];
    const uint32_t *row[ROWS];
    uint32_t number[ROWS], walking = rows;
    for (uint32_t i = 0; i < ROWS; i++) {
        number[i] = i < rows ? i : 0;
        row[i] = keys + number[i] * columns;
        at[i] = tree + 1;
    }
    for (bool begun = false; walking > 0; begun = true) {
        uint32_t left = 0;
        for (uint32_t i = 0; i < walking; i += LANES) {
            if (!begun)
                fetch(a, i, i + LANES < rows ? i + LANES : rows);
            walk_lanes(at + i, row + i, column_bits);
        }
        for (uint32_t i = 0; i < walking; i++) { /* those still walking move together */
            const uint32_t to = UINT32_MAX - at[i]->threshold;
            leaf[number[i]] = to;
            at[left] = at[i];
            row[left] = row[i];
            number[left] = number[i];
            left += to >= LEAVES;
        }
        walking = left;
    }
}

static void walk_tree(const ws_model_context *context, const ws_arrays *learned, const ws_array *starts, size_t tree,
                      const uint32_t *keys, uint64_t first, uint32_t rows, ws_tree_take take, void *taking)
{
    const tree_step *steps = steps_of(learned, starts, tree), *next = steps_of(learned, starts, tree + 1);
    const size_t columns = (size_t)context->columns, trees = starts->count - 1;
    const size_t next_bytes =
        tree + 1 < trees ? (size_t)(steps_of(learned, starts, tree + 2) - next) * sizeof *next : 0;
    const int column_bits = column_bits_of(context->columns);
    uint32_t leaf[ROWS];
    for (uint32_t begin = 0; begin < rows; begin += ROWS) {
        const uint32_t here = rows - begin < ROWS ? rows - begin : ROWS;
        const uint32_t after =
            begin + 2 * ROWS <= rows ? begin + ROWS : 0; /* the next tree begins with the first rows */
        const ahead a = {(const char *)(keys + after * columns), (const char *)next + begin * (next_bytes / rows),
                         columns * sizeof *keys, next_bytes / rows};
        if (column_bits == 8)
            walk(steps, keys + begin * columns, columns, 8, here, &a, leaf);
        else
            walk(steps, keys + begin * columns, columns, column_bits, here, &a, leaf);
        take(taking, tree, first + begin, here, leaf);
    }
}

ws_err ws_trees_walk(const ws_model_context *context, const ws_arrays *learned, uint64_t rows, const float *values,
                     ws_tree_take take, void *taking)
{
    const ws_array *starts = ws_arrays_find(learned, "node_start");
    const size_t columns = (size_t)context->columns;
    uint32_t *keys;
    WS_TRY(WS_NEW_ARRAY(keys, (rows < BLOCK ? rows : BLOCK) * columns));
    for (uint64_t first = 0; first < rows; first += BLOCK) {
        const uint32_t here = rows - first < BLOCK ? (uint32_t)(rows - first) : BLOCK;
        for (size_t i = 0; i < here * columns; i++)
            keys[i] = key_of(values[first * columns + i]);
        for (size_t t = 0; t + 1 < starts->count; t++)
            walk_tree(context, learned, starts, t, keys, first, here, take, taking);
    }
    free(keys);
    return WS_OK;
}
