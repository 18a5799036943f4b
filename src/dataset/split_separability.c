/* split_separability: does one raw feature give the label away? For every column the training rows are sorted once; from
 * the order come, for all classes together, the best threshold on training rows and the area under the ROC curve. */
#include "dataset/split_audit.h"

#include <math.h>
#include <stdlib.h>

enum { LEAST_ROWS = 30 };

typedef struct valued_row {
    float value;
    int32_t class;
    uint64_t index; /* among the rows of the part */
} valued_row;

typedef struct part_rows {
    float *values;  /* column by column: [columns][count] */
    int32_t *class; /* [count] */
    uint64_t count;
    uint64_t *of_class; /* [classes] */
} part_rows;

typedef struct best_cut {
    double balanced;
    float threshold;
    bool above;
} best_cut;

typedef struct separability {
    ws_separability *out;
    size_t classes, columns;
    part_rows train, test;
    valued_row *sorted, *sorted_test;
    uint64_t *below;  /* [classes] rows of the class in the groups passed */
    uint8_t *decided; /* [test rows] */
    best_cut *best;   /* [classes] of one column */
} separability;

static int compare_values(const void *left, const void *right)
{
    const valued_row *a = left, *b = right;
    if (a->value != b->value)
        return a->value < b->value ? -1 : 1;
    return (a->class > b->class) - (a->class < b->class);
}

static void sort_column(const part_rows *rows, size_t column, valued_row *out)
{
    for (uint64_t i = 0; i < rows->count; i++)
        out[i] = (valued_row){rows->values[column * rows->count + i], rows->class[i], i};
    qsort(out, rows->count, sizeof *out, compare_values);
}

/* A cut with the class's rows on one side; the better side counts. */
static void try_cut(const separability *s, int32_t class, uint64_t below, float threshold)
{
    double own = (double)s->train.of_class[class], others = (double)(s->train.count - s->train.of_class[class]);
    double own_below = (double)s->below[class] / own, others_below = (double)(below - s->below[class]) / others;
    bool above = own_below < others_below;
    double balanced = 0.5 + 0.5 * fabs(own_below - others_below);
    if (balanced > s->best[class].balanced)
        s->best[class] = (best_cut){balanced, threshold, above};
}

static bool enough_rows(const separability *s, size_t class)
{
    const part_rows *const parts[2] = {&s->train, &s->test};
    for (int p = 0; p < 2; p++)
        if (parts[p]->of_class[class] < LEAST_ROWS || parts[p]->count - parts[p]->of_class[class] < LEAST_ROWS)
            return false;
    return true;
}

/* The best cut of every class by one column of the training rows. Between two rows of a class only the others' share
 * moves, so cuts right before and right behind a value of the class are enough. */
static void find_cuts(separability *s)
{
    const valued_row *rows = s->sorted;
    uint64_t n = s->train.count;
    memset(s->below, 0, s->classes * sizeof *s->below);
    for (size_t k = 0; k < s->classes; k++)
        s->best[k] = (best_cut){0, 0, false};
    for (uint64_t begin = 0, end; begin < n; begin = end) {
        for (end = begin; end < n && rows[end].value == rows[begin].value;)
            end++;
        for (uint64_t i = begin; begin > 0 && i < end; i++)
            if (i == begin || rows[i].class != rows[i - 1].class)
                try_cut(s, rows[i].class, begin, rows[begin - 1].value);
        for (uint64_t i = begin; i < end; i++)
            s->below[rows[i].class]++;
        for (uint64_t i = begin; end < n && i < end; i++)
            if (i == begin || rows[i].class != rows[i - 1].class)
                try_cut(s, rows[i].class, end, rows[begin].value);
    }
}

/* What the cut gives on test rows, and the area under the ROC curve (mid-ranks) towards the class's side. */
static void measure(const separability *s, int32_t class, ws_separable_class *out)
{
    const valued_row *rows = s->sorted_test;
    uint64_t n = s->test.count, own = s->test.of_class[class], hits[2] = {0};
    double rank_sum = 0;
    for (uint64_t begin = 0, end; begin < n; begin = end) {
        for (end = begin; end < n && rows[end].value == rows[begin].value; end++) {
            bool is_own = rows[end].class == class;
            bool predicted = (rows[end].value > out->threshold) == out->above;
            hits[is_own] += predicted == is_own;
        }
        for (uint64_t i = begin; i < end; i++)
            if (rows[i].class == class)
                rank_sum += (double)(begin + end + 1) / 2;
    }
    double others = (double)(n - own), area = (rank_sum - (double)own * ((double)own + 1) / 2) / ((double)own * others);
    out->auroc = out->above ? area : 1 - area;
    out->balanced_accuracy = 0.5 * ((double)hits[1] / (double)own + (double)hits[0] / others);
}

/* Marks the test rows whose value says their class, see split_audit.h. Both columns are sorted. */
static void mark_decided(separability *s)
{
    const valued_row *train = s->sorted, *test = s->sorted_test;
    uint64_t t = 0;
    for (uint64_t begin = 0, end; begin < s->train.count; begin = end) {
        for (end = begin; end < s->train.count && train[end].value == train[begin].value;)
            end++;
        int32_t class = train[begin].class;
        double share = (double)s->train.of_class[class] / (double)s->train.count;
        bool pure = end - begin >= 2 && class == train[end - 1].class && share < 1 &&
                    (double)(end - begin) * log(share) < log(1e-9);
        while (t < s->test.count && test[t].value < train[begin].value)
            t++;
        for (; t < s->test.count && test[t].value == train[begin].value; t++)
            if (pure && test[t].class == class)
                s->decided[test[t].index] = 1;
    }
}

static void look_at_column(separability *s, size_t column)
{
    sort_column(&s->train, column, s->sorted);
    sort_column(&s->test, column, s->sorted_test);
    find_cuts(s);
    for (size_t k = 0; k < s->classes; k++) {
        ws_separable_class *class = &s->out->classes[k];
        if (!enough_rows(s, k) || (class->column >= 0 && s->best[k].balanced <= class->train_balanced))
            continue;
        class->column = (int)column;
        class->train_balanced = s->best[k].balanced;
        class->threshold = s->best[k].threshold;
        class->above = s->best[k].above;
        measure(s, (int32_t)k, class);
    }
    mark_decided(s);
}

/* Values that are no numbers compare with nothing; they become the lowest there is. */
static ws_err load_part(separability *s, const ws_split *split, const ws_store *store, const int32_t *labels, int part,
                        part_rows *out)
{
    ws_arena *arena = s->out->arena;
    float *block;
    uint64_t at = 0;
    out->count = split->counts[part];
    WS_TRY(ws_arena_alloc(arena, &out->values, out->count * s->columns + 1, sizeof *out->values));
    WS_TRY(ws_arena_alloc(arena, &out->class, out->count + 1, sizeof *out->class));
    WS_TRY(ws_arena_alloc(arena, &out->of_class, s->classes, sizeof *out->of_class));
    WS_TRY(WS_NEW_ARRAY(block, s->columns * WS_HASH_BLOCK_ROWS));
    ws_err error = WS_OK;
    for (uint64_t begin = 0; begin < store->rows && error == WS_OK; begin += WS_HASH_BLOCK_ROWS) {
        uint64_t count = store->rows - begin < WS_HASH_BLOCK_ROWS ? store->rows - begin : WS_HASH_BLOCK_ROWS;
        error = ws_store_read_features(store, s->out->table, begin, count, block);
        for (uint64_t i = 0; error == WS_OK && i < count; i++) {
            if (split->part[begin + i] != part)
                continue;
            for (size_t c = 0; c < s->columns; c++) {
                float value = block[i * s->columns + c];
                out->values[c * out->count + at] = isnan(value) ? -INFINITY : value;
            }
            out->class[at++] = labels[begin + i];
            out->of_class[labels[begin + i]]++;
        }
    }
    free(block);
    WS_TRY(error);
    return WS_OK;
}

static ws_err separate(ws_separability *out, const ws_split *split, const ws_store *store,
                       const ws_split_options *options)
{
    const char *label = options->label;
    int32_t *labels;
    WS_TRY(ws_arena_create(&out->arena, 1 << 16));
    out->level = ws_store_level(store, label);
    WS_CHECK(out->level != NULL, INTERNAL, "split by level %s, which the store does not have", label);
    WS_TRY(ws_audit_table(store, options->features, out->arena, &out->table, &out->columns));
    WS_TRY(ws_arena_alloc(out->arena, &labels, split->rows, sizeof *labels));
    char *path = ws_format("/labels/%s", label);
    WS_CHECK(path != NULL, MEMORY, "no memory for the label level %s", label);
    ws_err error = ws_store_read(store, path, H5T_NATIVE_INT32, 0, split->rows, labels);
    free(path);
    WS_TRY(error);
    separability s = {.out = out, .classes = out->level->classes, .columns = out->columns.count};
    WS_TRY(ws_arena_alloc(out->arena, &out->classes, s.classes, sizeof *out->classes));
    WS_TRY(load_part(&s, split, store, labels, WS_PART_TRAIN, &s.train));
    WS_TRY(load_part(&s, split, store, labels, WS_PART_TEST, &s.test));
    WS_TRY(ws_arena_alloc(out->arena, &s.sorted, s.train.count, sizeof *s.sorted));
    WS_TRY(ws_arena_alloc(out->arena, &s.sorted_test, s.test.count, sizeof *s.sorted_test));
    WS_TRY(ws_arena_alloc(out->arena, &s.below, s.classes, sizeof *s.below));
    WS_TRY(ws_arena_alloc(out->arena, &s.decided, s.test.count, 1));
    WS_TRY(ws_arena_alloc(out->arena, &s.best, s.classes, sizeof *s.best));
    for (size_t k = 0; k < s.classes; k++)
        out->classes[k] =
            (ws_separable_class){.train_rows = s.train.of_class[k], .test_rows = s.test.of_class[k], .column = -1};
    for (size_t c = 0; c < s.columns; c++)
        look_at_column(&s, c);
    for (uint64_t i = 0; i < s.test.count; i++)
        out->decided_rows += s.decided[i];
    return WS_OK;
}

ws_err ws_separability_create(ws_separability *out, const ws_split *split, const ws_store *store,
                              const ws_split_options *options)
{
    memset(out, 0, sizeof *out);
    if (options->label == NULL)
        return WS_OK;
    ws_err error = separate(out, split, store, options);
    if (error != WS_OK)
        ws_separability_destroy(out);
    return error;
}

void ws_separability_destroy(ws_separability *audit)
{
    ws_arena_destroy(&audit->arena);
    memset(audit, 0, sizeof *audit);
}
