/* store_summary: how many rows a store has by class, end and input, and from when to when they are. Counted while rows are
 * written and kept in /provenance/counts, so that looking at a store of any size reads a few small datasets. Not part of the
 * content: what it says follows from the columns.
 */
#include "dataset/store_summary.h"

#include <stdio.h>
#include <stdlib.h>

const char *const ws_store_end_names[WS_STORE_ENDS] = {"idle", "active", "rst", "fin", "input"};

ws_err ws_store_summary_create(ws_store_summary *out, size_t input_count, size_t level_count)
{
    *out = (ws_store_summary){.first_ns = INT64_MAX, .last_ns = INT64_MIN};
    out->input_count = input_count;
    out->level_count = level_count;
    WS_TRY(WS_NEW_ARRAY(out->inputs, input_count));
    return WS_OK;
}

void ws_store_summary_destroy(ws_store_summary *summary)
{
    for (size_t l = 0; l < WS_LABEL_LEVELS_MAX; l++)
        free(summary->levels[l].counts);
    free(summary->inputs);
    memset(summary, 0, sizeof *summary);
}

/* Room for classes below `classes`; new ones have no rows. */
static ws_err need_classes(ws_class_counts *level, size_t classes)
{
    if (classes <= level->classes)
        return WS_OK;
    WS_TRY(WS_GROW(level->counts, level->capacity, classes));
    memset(level->counts + level->classes, 0, (classes - level->classes) * sizeof *level->counts);
    level->classes = classes;
    return WS_OK;
}

ws_err ws_store_summary_label(ws_store_summary *summary, size_t level, int32_t label)
{
    ws_class_counts *counts = &summary->levels[level];
    if (label < 0) {
        counts->without++;
        return WS_OK;
    }
    WS_TRY(need_classes(counts, (size_t)label + 1));
    counts->counts[label]++;
    return WS_OK;
}

void ws_store_summary_row(ws_store_summary *summary, uint32_t input, uint8_t end, int64_t first_ns, int64_t last_ns)
{
    summary->inputs[input]++;
    summary->ends[end < WS_STORE_ENDS ? end : WS_STORE_ENDS - 1]++;
    summary->first_ns = first_ns < summary->first_ns ? first_ns : summary->first_ns;
    summary->last_ns = last_ns > summary->last_ns ? last_ns : summary->last_ns;
}

ws_err ws_store_summary_sum_all(const ws_comm *comm, ws_store_summary *summary)
{
    int64_t classes[WS_LABEL_LEVELS_MAX] = {0};
    for (size_t l = 0; l < summary->level_count; l++)
        classes[l] = (int64_t)summary->levels[l].classes;
    WS_TRY(ws_max_i64_all(comm, classes, WS_LABEL_LEVELS_MAX));
    ws_err local = WS_OK;
    for (size_t l = 0; l < summary->level_count && local == WS_OK; l++)
        local = need_classes(&summary->levels[l], (size_t)classes[l]);
    WS_AGREE(comm, local);
    for (size_t l = 0; l < summary->level_count; l++) {
        WS_TRY(ws_sum_u64_all(comm, summary->levels[l].counts, summary->levels[l].classes));
        WS_TRY(ws_sum_u64_all(comm, &summary->levels[l].without, 1));
    }
    WS_TRY(ws_sum_u64_all(comm, summary->inputs, summary->input_count));
    WS_TRY(ws_sum_u64_all(comm, summary->ends, WS_STORE_ENDS));
    WS_TRY(ws_min_i64_all(comm, &summary->first_ns, 1));
    WS_TRY(ws_max_i64_all(comm, &summary->last_ns, 1));
    return WS_OK;
}

/* ---------------------------------------------------------------- in the file */
static void level_path(const char *name, char path[512])
{
    snprintf(path, 512, "/provenance/counts/labels/%s", name);
}

/* One number a class in the order of its final names, then the rows without label. */
static ws_err write_level(hid_t file, const ws_class_counts *counts, const ws_label_level *level,
                          const int32_t *renumber)
{
    char path[512];
    uint64_t *ordered;
    WS_TRY(WS_NEW_ARRAY(ordered, level->classes + 1));
    ws_err error = WS_OK;
    for (size_t c = 0; c < counts->classes && error == WS_OK; c++) {
        if (c < level->classes)
            ordered[renumber == NULL ? c : (size_t)renumber[c]] = counts->counts[c];
        else
            error = WS_ERROR(INTERNAL, "rows of class %zu of %s, which has %zu", c, level->name, level->classes);
    }
    ordered[level->classes] = counts->without;
    const hsize_t shape[1] = {level->classes + 1};
    level_path(level->name, path);
    if (error == WS_OK)
        error = ws_h5_write_dataset(file, path, H5T_NATIVE_UINT64, ordered, 1, shape);
    free(ordered);
    return error;
}

ws_err ws_store_summary_write(hid_t file, const ws_store_summary *summary, const ws_label_level *levels,
                              const int32_t *const *renumber)
{
    const hsize_t ends[1] = {WS_STORE_ENDS}, inputs[1] = {summary->input_count}, times[1] = {2};
    const int64_t span[2] = {summary->first_ns, summary->last_ns};
    WS_TRY(ws_h5_write_dataset(file, "/provenance/counts/end", H5T_NATIVE_UINT64, summary->ends, 1, ends));
    WS_TRY(ws_h5_write_dataset(file, "/provenance/counts/input", H5T_NATIVE_UINT64, summary->inputs, 1, inputs));
    WS_TRY(ws_h5_write_dataset(file, "/provenance/counts/times", H5T_NATIVE_INT64, span, 1, times));
    for (size_t l = 0; l < summary->level_count; l++)
        WS_TRY(write_level(file, &summary->levels[l], &levels[l], renumber == NULL ? NULL : renumber[l]));
    return WS_OK;
}

static ws_err read_level(const ws_store *store, const ws_label_level *level, ws_class_counts *out)
{
    char path[512];
    level_path(level->name, path);
    WS_TRY(need_classes(out, level->classes + 1));
    WS_TRY(ws_h5_read_dataset(store->file, path, H5T_NATIVE_UINT64, out->counts, level->classes + 1));
    out->without = out->counts[level->classes];
    out->classes = level->classes;
    return WS_OK;
}

ws_err ws_store_summary_read(const ws_store *store, ws_store_summary *out)
{
    int64_t span[2];
    WS_TRY(ws_h5_read_dataset(store->file, "/provenance/counts/end", H5T_NATIVE_UINT64, out->ends, WS_STORE_ENDS));
    WS_TRY(
        ws_h5_read_dataset(store->file, "/provenance/counts/input", H5T_NATIVE_UINT64, out->inputs, out->input_count));
    WS_TRY(ws_h5_read_dataset(store->file, "/provenance/counts/times", H5T_NATIVE_INT64, span, 2));
    out->first_ns = span[0];
    out->last_ns = span[1];
    for (size_t l = 0; l < store->level_count; l++)
        WS_TRY(read_level(store, &store->levels[l], &out->levels[l]));
    return WS_OK;
}

/* ---------------------------------------------------------------- by reading rows */
static ws_err count_labels(const ws_store *store, size_t level, uint64_t begin, uint64_t count, int32_t *labels,
                           ws_store_summary *out)
{
    char *path = ws_format("/labels/%s", store->levels[level].name);
    WS_CHECK(path != NULL, MEMORY, "no memory for the label level %s", store->levels[level].name);
    ws_err error = ws_store_read(store, path, H5T_NATIVE_INT32, begin, count, labels);
    free(path);
    for (uint64_t i = 0; i < count && error == WS_OK; i++)
        error = ws_store_summary_label(out, level, (size_t)labels[i] < store->levels[level].classes ? labels[i] : -1);
    return error;
}

typedef struct counted_rows {
    int64_t first_ns[WS_HASH_BLOCK_ROWS], last_ns[WS_HASH_BLOCK_ROWS];
    uint32_t input[WS_HASH_BLOCK_ROWS];
    uint8_t end[WS_HASH_BLOCK_ROWS];
    int32_t labels[WS_HASH_BLOCK_ROWS];
} counted_rows;

static ws_err count_block(const ws_store *store, uint64_t begin, uint64_t count, counted_rows *rows,
                          ws_store_summary *out)
{
    WS_TRY(ws_store_read(store, "/flows/first_ns", H5T_NATIVE_INT64, begin, count, rows->first_ns));
    WS_TRY(ws_store_read(store, "/flows/last_ns", H5T_NATIVE_INT64, begin, count, rows->last_ns));
    WS_TRY(ws_store_read(store, "/flows/input_id", H5T_NATIVE_UINT32, begin, count, rows->input));
    WS_TRY(ws_store_read(store, "/flows/end", H5T_NATIVE_UINT8, begin, count, rows->end));
    for (uint64_t i = 0; i < count; i++) {
        WS_CHECK(rows->input[i] < out->input_count, FORMAT, "%s: row %llu is of input %u, of %zu", store->path,
                 (unsigned long long)(begin + i), rows->input[i], out->input_count);
        ws_store_summary_row(out, rows->input[i], rows->end[i], rows->first_ns[i], rows->last_ns[i]);
    }
    for (size_t l = 0; l < store->level_count; l++)
        WS_TRY(count_labels(store, l, begin, count, rows->labels, out));
    return WS_OK;
}

ws_err ws_store_summary_count(const ws_store *store, int part, int parts, ws_store_summary *out)
{
    counted_rows *rows;
    WS_TRY(WS_NEW(rows));
    ws_err error = WS_OK;
    for (size_t l = 0; l < store->level_count && error == WS_OK; l++)
        error = need_classes(&out->levels[l], store->levels[l].classes);
    const uint64_t step = (uint64_t)parts * WS_HASH_BLOCK_ROWS;
    for (uint64_t begin = (uint64_t)part * WS_HASH_BLOCK_ROWS; begin < store->rows && error == WS_OK; begin += step) {
        uint64_t count = store->rows - begin < WS_HASH_BLOCK_ROWS ? store->rows - begin : WS_HASH_BLOCK_ROWS;
        error = count_block(store, begin, count, rows, out);
    }
    free(rows);
    return error;
}
