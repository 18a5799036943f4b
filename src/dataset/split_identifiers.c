/* split_identifiers: does where a row comes from give the label away? A table from the capture, the host or the 5-tuple to the
 * class that most of its training rows have is looked up for the test rows. And: test rows that equal training rows of
 * other classes only, which no model can get right.
 */
#include "dataset/split_audit.h"

#include <stdlib.h>

const char *const ws_identifier_names[WS_IDENTIFIERS] = {"capture", "host", "session"};
static const char *const paths[WS_IDENTIFIERS] = {"/flows/input_id", "/flows/host_id", "/flows/session_id"};

typedef struct named_row {
    uint64_t id;
    int32_t class;
    uint8_t part;
} named_row;

static int compare_rows(const void *left, const void *right)
{
    const named_row *a = left, *b = right;
    if (a->id != b->id)
        return a->id < b->id ? -1 : 1;
    if (a->part != b->part)
        return a->part < b->part ? -1 : 1;
    return (a->class > b->class) - (a->class < b->class);
}

typedef struct named_rows {
    named_row *rows;
    uint64_t count, *ids, *tests, *right; /* the last two by class */
    int32_t *labels;
    int32_t majority; /* of all training rows; -1: there are none */
} named_rows;

/* The class of most rows among [begin, end), which are sorted by class; of equal ones the first. */
static int32_t commonest(const named_row *rows, uint64_t begin, uint64_t end)
{
    int32_t best = -1;
    uint64_t most = 0;
    for (uint64_t i = begin, next; i < end; i = next) {
        for (next = i + 1; next < end && rows[next].class == rows[i].class;)
            next++;
        if (next - i > most) {
            most = next - i;
            best = rows[i].class;
        }
    }
    return best;
}

static void load_rows(named_rows *n, const ws_split *split)
{
    n->count = 0;
    for (uint64_t i = 0; i < split->rows; i++)
        if (split->part[i] == WS_PART_TRAIN || split->part[i] == WS_PART_TEST)
            n->rows[n->count++] = (named_row){n->ids[i], n->labels[i], split->part[i]};
    qsort(n->rows, n->count, sizeof *n->rows, compare_rows);
}

static void look_up(named_rows *n, size_t classes, ws_audit_identifier *out)
{
    memset(n->tests, 0, classes * sizeof *n->tests);
    memset(n->right, 0, classes * sizeof *n->right);
    for (uint64_t begin = 0, end; begin < n->count; begin = end) {
        uint64_t test = begin;
        for (end = begin; end < n->count && n->rows[end].id == n->rows[begin].id; end++)
            test += n->rows[end].part == WS_PART_TRAIN;
        const int32_t known = commonest(n->rows, begin, test), said = known >= 0 ? known : n->majority;
        for (uint64_t i = test; i < end; i++) {
            const int32_t class = n->rows[i].class;
            n->tests[class]++;
            n->right[class] += class == said;
            out->seen += known >= 0;
            out->right += known >= 0 && class == known;
            out->majority_right += known >= 0 && class == n->majority;
        }
    }
    uint64_t met = 0;
    double sum = 0;
    for (size_t k = 0; k < classes; k++)
        if (n->tests[k] > 0) {
            met++;
            sum += (double)n->right[k] / (double)n->tests[k];
        }
    out->balanced_accuracy = met > 0 ? sum / (double)met : 0;
}

/* The rows have their input hashes as ids. */
static uint64_t count_contradicted(const named_rows *n)
{
    uint64_t contradicted = 0;
    for (uint64_t begin = 0, end; begin < n->count; begin = end) {
        uint64_t test = begin;
        for (end = begin; end < n->count && n->rows[end].id == n->rows[begin].id; end++)
            test += n->rows[end].part == WS_PART_TRAIN;
        uint64_t trained = begin; /* both sides are sorted by class */
        for (uint64_t i = test; i < end && test > begin; i++) {
            while (trained < test && n->rows[trained].class < n->rows[i].class)
                trained++;
            contradicted += trained == test || n->rows[trained].class != n->rows[i].class;
        }
    }
    return contradicted;
}

static ws_err prepare(named_rows *n, ws_arena *arena, const ws_split *split, const ws_store *store, const char *label,
                      size_t classes)
{
    WS_TRY(ws_arena_alloc(arena, &n->rows, split->rows, sizeof *n->rows));
    WS_TRY(ws_arena_alloc(arena, &n->ids, split->rows, sizeof *n->ids));
    WS_TRY(ws_arena_alloc(arena, &n->labels, split->rows, sizeof *n->labels));
    WS_TRY(ws_arena_alloc(arena, &n->tests, classes, sizeof *n->tests));
    WS_TRY(ws_arena_alloc(arena, &n->right, classes, sizeof *n->right));
    char *path = ws_format("/labels/%s", label);
    WS_CHECK(path != NULL, MEMORY, "no memory for the label level %s", label);
    ws_err error = ws_store_read(store, path, H5T_NATIVE_INT32, 0, split->rows, n->labels);
    free(path);
    WS_TRY(error);
    uint64_t most = 0;
    n->majority = -1;
    for (uint64_t i = 0; i < split->rows; i++)
        if (split->part[i] == WS_PART_TRAIN)
            n->tests[n->labels[i]]++;
    for (size_t k = 0; k < classes; k++)
        if (n->tests[k] > most) {
            most = n->tests[k];
            n->majority = (int32_t)k;
        }
    return WS_OK;
}

ws_err ws_identifiers_audit(ws_label_audit *out, const ws_split *split, const ws_store *store, const char *label)
{
    named_rows n = {0};
    ws_arena *arena = NULL;
    ws_err error = WS_OK;
    memset(out, 0, sizeof *out);
    out->level = label == NULL ? NULL : ws_store_level(store, label);
    if (out->level == NULL)
        return WS_OK;
    const size_t classes = out->level->classes;
    WS_TRY(ws_arena_create(&arena, 1 << 16));
    WS_TRY_GOTO(done, prepare(&n, arena, split, store, label, classes));
    for (int k = 0; k < WS_IDENTIFIERS; k++) {
        WS_TRY_GOTO(done, ws_store_read(store, paths[k], H5T_NATIVE_UINT64, 0, split->rows, n.ids));
        load_rows(&n, split);
        look_up(&n, classes, &out->identifiers[k]);
    }
    WS_TRY_GOTO(done, ws_store_read(store, "/flows/input_hash", H5T_NATIVE_UINT64, 0, split->rows, n.ids));
    load_rows(&n, split);
    out->contradicted = count_contradicted(&n);
done:
    ws_arena_destroy(&arena);
    return error;
}
