/* split_audit: what the parts of a split share that they should not: duplicates and near ones, sessions, hosts,
 * captures; within a store, or between the one that trained a model and the one that tests it. */
#include <stdlib.h>
#include "dataset/split_audit.h"

const char *const ws_audit_column_names[WS_AUDIT_COLUMNS] = {"duplicates",      "sessions",       "hosts",
                                                             "near_duplicates", "same_beginning", "captures"};
const char *const ws_audit_pair_names[WS_AUDIT_PAIRS] = {"test_in_train", "validation_in_train", "test_in_validation"};

static const char *const paths[WS_AUDIT_COLUMNS] = {
    "/flows/input_hash", "/flows/session_id", "/flows/host_id", NULL, NULL, "/flows/input_id"};
static const struct {
    ws_part of, in;
} pairs[WS_AUDIT_PAIRS] = {
    {WS_PART_TEST, WS_PART_TRAIN}, {WS_PART_VALIDATION, WS_PART_TRAIN}, {WS_PART_TEST, WS_PART_VALIDATION}};

typedef struct audited_row {
    uint64_t value;
    uint8_t part;
} audited_row;

static int compare_audited(const void *left, const void *right)
{
    const audited_row *a = left, *b = right;
    return (a->value > b->value) - (a->value < b->value);
}

/* Counts in `rows` of `count`, which it sorts. */
static void count_overlaps(audited_row *rows, uint64_t count, ws_audit_overlap overlap[WS_AUDIT_PAIRS])
{
    qsort(rows, count, sizeof *rows, compare_audited);
    for (uint64_t begin = 0, end; begin < count; begin = end) {
        uint64_t of_part[WS_PART_COUNT] = {0};
        for (end = begin; end < count && rows[end].value == rows[begin].value; end++)
            of_part[rows[end].part]++;
        for (int k = 0; k < WS_AUDIT_PAIRS; k++) {
            if (of_part[pairs[k].of] > 0 && of_part[pairs[k].in] > 0) {
                overlap[k].values++;
                overlap[k].rows += of_part[pairs[k].of];
            }
        }
    }
}

ws_err ws_audit_table(const ws_store *store, const char *wanted, ws_arena *arena, const char **out,
                      ws_string_list *names)
{
    char name[256];
    int columns;
    if (wanted == NULL)
        WS_TRY(ws_store_features_name(store, name));
    *out = ws_arena_strdup(arena, wanted != NULL ? wanted : name);
    WS_CHECK(*out != NULL, MEMORY, "no memory for the name of a feature table");
    return ws_store_features_info(store, *out, arena, &columns, names);
}

/* ---------------------------------------------------------------- keys of near duplicates */
/* The number with 4 binary digits behind the leading one. */
static uint32_t round_float(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits << 1 == 0 ? 0 : (bits + (1u << 18)) >> 19;
}

static ws_err rounded_keys(const ws_store *store, ws_arena *arena, uint64_t *keys)
{
    const char *table;
    ws_string_list names;
    float *block;
    uint32_t *rounded;
    WS_TRY(ws_audit_table(store, NULL, arena, &table, &names));
    const size_t columns = names.count;
    WS_TRY(ws_arena_alloc(arena, &block, columns * WS_HASH_BLOCK_ROWS, sizeof *block));
    WS_TRY(ws_arena_alloc(arena, &rounded, columns, sizeof *rounded));
    for (uint64_t begin = 0; begin < store->rows; begin += WS_HASH_BLOCK_ROWS) {
        uint64_t count = store->rows - begin < WS_HASH_BLOCK_ROWS ? store->rows - begin : WS_HASH_BLOCK_ROWS;
        WS_TRY(ws_store_read_features(store, table, begin, count, block));
        for (uint64_t i = 0; i < count; i++) {
            for (size_t c = 0; c < columns; c++)
                rounded[c] = round_float(block[i * columns + c]);
            keys[begin + i] = ws_hash64(rounded, columns * sizeof *rounded, 0);
        }
    }
    return WS_OK;
}

/* without[i]: the flow is too short to say anything by its beginning. */
static ws_err beginning_keys(const ws_store *store, uint64_t *keys, uint8_t *without)
{
    enum { BLOCK = 4096, BEGINNING = 16, LEAST = 8 };
    uint64_t start[BLOCK + 1];
    for (uint64_t begin = 0; begin < store->rows; begin += BLOCK) {
        uint64_t count = store->rows - begin < BLOCK ? store->rows - begin : BLOCK;
        ws_flow_packet *packets = NULL;
        WS_TRY(ws_store_read_packets(store, begin, count, start, &packets));
        for (uint64_t i = 0; i < count; i++) {
            int64_t shape[BEGINNING];
            uint64_t n = start[i + 1] - start[i];
            without[begin + i] = n < LEAST;
            n = n < BEGINNING ? n : BEGINNING;
            for (uint64_t k = 0; k < n; k++) {
                const ws_flow_packet *packet = &packets[start[i] + k];
                shape[k] = (int64_t)packet->payload_length * 4 + packet->direction;
            }
            keys[begin + i] = ws_hash64(shape, n * sizeof *shape, n);
        }
        free(packets);
    }
    return WS_OK;
}

/* By the input's SHA-256: the same capture in two stores. */
static ws_err capture_keys(const ws_store *store, uint64_t *keys)
{
    char **digests = NULL;
    size_t inputs = 0;
    WS_TRY(ws_store_read(store, "/flows/input_id", H5T_NATIVE_UINT64, 0, store->rows, keys));
    WS_TRY(ws_h5_read_texts(store->file, "/provenance/input_sha256", &digests, &inputs));
    ws_err error = WS_OK;
    for (uint64_t i = 0; i < store->rows && error == WS_OK; i++) {
        if (keys[i] >= inputs)
            error = WS_ERROR(FORMAT, "%s: row %llu is of input %llu of %zu", store->path, (unsigned long long)i,
                             (unsigned long long)keys[i], inputs);
        else
            keys[i] = ws_hash64(digests[keys[i]], strlen(digests[keys[i]]), 0);
    }
    ws_texts_destroy(&digests, inputs);
    WS_TRY(error);
    return WS_OK;
}

/* keys[rows] of one kind; without[i] where the row has none. across: comparable with those of other stores. */
static ws_err read_keys(const ws_store *store, int kind, bool across, ws_arena *arena, uint64_t *keys, uint8_t *without)
{
    memset(without, 0, store->rows);
    if (kind == WS_AUDIT_NEAR_DUPLICATES)
        return rounded_keys(store, arena, keys);
    if (kind == WS_AUDIT_SAME_BEGINNING)
        return beginning_keys(store, keys, without);
    if (across && kind == WS_AUDIT_CAPTURES)
        return capture_keys(store, keys);
    const char *path = across && kind == WS_AUDIT_SESSIONS ? "/flows/key_hash" : paths[kind];
    return ws_store_read(store, path, H5T_NATIVE_UINT64, 0, store->rows, keys);
}

/* ---------------------------------------------------------------- all kinds */
typedef struct audited_store {
    const ws_split *split;
    const ws_store *store;
} audited_store;

/* Hosts have numbers within a store only, and some several of them where inputs were added to it. Rows of stores that were made in
 * different ways (alike false) do not equal each other where their traffic does. */
static bool is_comparable(int kind, const audited_store *from, size_t stores, bool alike)
{
    if (kind == WS_AUDIT_DUPLICATES || kind == WS_AUDIT_SAME_BEGINNING || kind == WS_AUDIT_NEAR_DUPLICATES)
        return alike;
    return kind != WS_AUDIT_HOSTS || (stores == 1 && !ws_store_hosts_apart(from->store));
}

static ws_err add_rows(const audited_store *from, int kind, bool across, ws_arena *arena, audited_row *rows,
                       uint64_t *count)
{
    uint64_t *keys;
    uint8_t *without;
    const ws_split *split = from->split;
    WS_TRY(ws_arena_alloc(arena, &keys, split->rows, sizeof *keys));
    WS_TRY(ws_arena_alloc(arena, &without, split->rows, 1));
    WS_TRY(read_keys(from->store, kind, across, arena, keys, without));
    for (uint64_t i = 0; i < split->rows; i++)
        if (split->part[i] != WS_PART_NONE && !without[i])
            rows[(*count)++] = (audited_row){keys[i], split->part[i]};
    return WS_OK;
}

static ws_err audit_kind(const audited_store *from, size_t stores, int kind, uint64_t total, ws_audit_overlap *overlap)
{
    ws_arena *arena = NULL;
    audited_row *rows;
    uint64_t count = 0;
    ws_err error = WS_OK;
    WS_TRY(ws_arena_create(&arena, 1 << 16));
    WS_TRY_GOTO(done, ws_arena_alloc(arena, &rows, total, sizeof *rows));
    for (size_t s = 0; s < stores; s++)
        WS_TRY_GOTO(done, add_rows(&from[s], kind, stores > 1, arena, rows, &count));
    count_overlaps(rows, count, overlap);
done:
    ws_arena_destroy(&arena);
    return error;
}

static ws_err audit_stores(ws_split_audit *out, const audited_store *from, size_t stores)
{
    uint64_t of_part[WS_PART_COUNT] = {0}, total = 0;
    bool alike = true;
    memset(out, 0, sizeof *out);
    if (stores > 1)
        WS_TRY(ws_stores_extracted_alike(from[0].store, from[1].store, &alike));
    for (size_t s = 0; s < stores; s++) {
        total += from[s].split->rows;
        for (uint64_t i = 0; i < from[s].split->rows; i++)
            of_part[from[s].split->part[i]]++;
    }
    for (int kind = 0; kind < WS_AUDIT_COLUMNS; kind++) {
        if (!is_comparable(kind, from, stores, alike))
            continue;
        WS_TRY(audit_kind(from, stores, kind, total, out->overlap[kind]));
        for (int k = 0; k < WS_AUDIT_PAIRS; k++)
            out->overlap[kind][k].of = of_part[pairs[k].of];
    }
    return WS_OK;
}

ws_err ws_split_audit_make(ws_split_audit *out, const ws_split *split, const ws_store *store)
{
    const audited_store only = {split, store};
    return audit_stores(out, &only, 1);
}

ws_err ws_split_audit_across(ws_split_audit *out, const ws_split *split, const ws_store *store,
                             const ws_split *trained_split, const ws_store *trained)
{
    const audited_store both[2] = {{split, store}, {trained_split, trained}};
    return audit_stores(out, both, 2);
}
