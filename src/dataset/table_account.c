/* table_account: what the ranks of a table run agree on: numbers for the classes they met, the sums of their counters,
 * the conservation check, provenance and report.
 *
 * Conservation, for each file: every record is a row or skipped for one reason, every byte of the text is in the header,
 * in a row's record or in a skipped one; every row is in the store.
 */
#include "dataset/table.h"

#include <stdlib.h>

/* ---------------------------------------------------------------- classes */
ws_err ws_table_add_class(ws_table_run *run, size_t level, const char *name, int32_t *number)
{
    int32_t index = 0;
    for (size_t c = 0; c < run->class_count; c++) {
        if (run->classes[c].level != level)
            continue;
        if (strcmp(run->classes[c].name, name) == 0) {
            *number = (int32_t)c;
            return WS_OK;
        }
        index++;
    }
    WS_TRY(WS_GROW(run->classes, run->class_capacity, run->class_count + 1));
    const char *copy = ws_arena_strdup(run->x->arena, name);
    WS_CHECK(copy != NULL, MEMORY, "out of memory for the classes");
    *number = (int32_t)run->class_count;
    run->classes[run->class_count++] = (ws_table_class){copy, level, index};
    return WS_OK;
}

/* `all`: level byte, name and NUL, of every rank's new names. Then every name this rank uses is among the classes. */
static ws_err merge_names(ws_table_run *run, const bool *used, const char *all, size_t bytes)
{
    int32_t number;
    for (const char *at = all; at < all + bytes; at += strlen(at) + 1) {
        size_t level = (size_t)(unsigned char)*at++;
        WS_TRY(ws_table_add_class(run, level, at, &number));
    }
    for (size_t id = 0; id < ws_table_names_count(run->maker.names); id++) {
        size_t level;
        const char *name = ws_table_names_get(run->maker.names, id, &level);
        if (used[id] && run->global[id] < 0)
            WS_TRY(ws_table_add_class(run, level, name, &run->global[id]));
    }
    return WS_OK;
}

static ws_err list_new_names(ws_table_run *run, const bool *used, ws_text *news)
{
    size_t count = ws_table_names_count(run->maker.names);
    WS_TRY(WS_GROW(run->global, run->global_capacity, count + 1));
    for (; run->known < count; run->known++)
        run->global[run->known] = -1;
    for (size_t id = 0; id < count; id++) {
        if (!used[id] || run->global[id] >= 0)
            continue;
        size_t level;
        const char *name = ws_table_names_get(run->maker.names, id, &level);
        char mark = (char)level;
        ws_text_append_bytes(news, &mark, 1);
        ws_text_append_bytes(news, name, strlen(name) + 1);
    }
    return ws_text_check(news);
}

ws_err ws_table_agree_names_all(ws_table_run *run, const bool *used)
{
    const ws_comm *comm = run->x->comm;
    ws_text news = {0};
    char *all = NULL;
    size_t bytes = 0;
    ws_err error = ws_agree_all(comm, list_new_names(run, used, &news));
    if (error == WS_OK)
        error = ws_gather_all(comm, news.data, news.length, (void **)&all, &bytes, NULL);
    ws_text_destroy(&news);
    if (error == WS_OK)
        error = ws_agree_all(comm, merge_names(run, used, all, bytes));
    free(all);
    return error;
}

typedef struct sorted_class {
    const char *name;
    int32_t index;
} sorted_class;

static int compare_classes(const void *a, const void *b)
{
    return strcmp(((const sorted_class *)a)->name, ((const sorted_class *)b)->name);
}

/* Final names and numbers of a level. */
static ws_err sort_level(ws_table_run *run, size_t l, int32_t **renumber)
{
    ws_arena *arena = run->x->arena;
    ws_label_level *level = &run->levels[l];
    sorted_class *sorted;
    size_t count = 0;
    WS_TRY(ws_arena_alloc(arena, &sorted, run->class_count, sizeof *sorted));
    for (size_t c = 0; c < run->class_count; c++)
        if (run->classes[c].level == l)
            sorted[count++] = (sorted_class){run->classes[c].name, run->classes[c].index};
    qsort(sorted, count, sizeof *sorted, compare_classes);
    WS_TRY(ws_arena_alloc(arena, &level->names, count, sizeof *level->names));
    WS_TRY(ws_arena_alloc(arena, renumber, count, sizeof **renumber));
    for (size_t k = 0; k < count; k++) {
        level->names[k] = (char *)(uintptr_t)sorted[k].name;
        (*renumber)[sorted[k].index] = (int32_t)k;
    }
    level->classes = count;
    return WS_OK;
}

/* ---------------------------------------------------------------- counters */
static ws_table_counts total_counts(const ws_table_run *run)
{
    ws_table_counts total = {0};
    uint64_t *sum = (uint64_t *)&total;
    for (size_t i = 0; i < run->x->input_count; i++)
        for (size_t c = 0; c < sizeof total / sizeof *sum; c++)
            sum[c] += ((const uint64_t *)&run->counts[i])[c];
    return total;
}

static ws_err check_conservation(const ws_table_run *run)
{
    const extraction *x = run->x;
    for (size_t i = 0; i < x->input_count; i++) {
        const ws_table_counts *c = &run->counts[i];
        uint64_t skipped = 0, bytes = 0;
        for (int reason = 0; reason < WS_TABLE_SKIP_COUNT; reason++) {
            skipped += c->skipped[reason];
            bytes += c->skipped_bytes[reason];
        }
        WS_TRY(extract_check_equal(x->inputs[i].path, "records, and rows with skipped records,", c->records,
                                   c->rows + skipped));
        WS_TRY(extract_check_equal(x->inputs[i].path, "bytes of records, and of rows and skipped records,", c->bytes,
                                   c->row_bytes + bytes));
        if (x->inputs[i].splittable)
            WS_TRY(extract_check_equal(x->inputs[i].path, "bytes of the file, and of header and records,",
                                       x->inputs[i].bytes, x->inputs[i].first_record + c->bytes));
    }
    return WS_OK;
}

static cJSON *counts_json(const ws_table_counts *c)
{
    cJSON *object = cJSON_CreateObject();
    extract_put_number(object, "records", c->records);
    extract_put_number(object, "record_bytes", c->bytes);
    extract_put_number(object, "rows", c->rows);
    extract_put_reasons(object, "skipped", ws_table_skip_names, c->skipped, WS_TABLE_SKIP_COUNT);
    extract_put_reasons(object, "skipped_bytes", ws_table_skip_names, c->skipped_bytes, WS_TABLE_SKIP_COUNT);
    extract_put_number(object, "cells_empty", c->empty_cells);
    extract_put_number(object, "cells_infinite", c->infinite_cells);
    extract_put_number(object, "cells_nan", c->nan_cells);
    extract_put_number(object, "times_unreadable", c->bad_times);
    extract_put_number(object, "addresses_unreadable", c->bad_addresses);
    extract_put_number(object, "rows_without_label", c->unlabelled);
    extract_put_number(object, "stored_packets", c->packets);
    return object;
}

static cJSON *input_counts_json(const void *run, size_t input)
{
    const ws_table_run *own = run;
    return counts_json(&own->counts[input - own->x->old_groups]);
}

static ws_err counters_json(const ws_table_run *run, ws_text *out)
{
    cJSON *root = cJSON_CreateObject();
    ws_table_counts total = total_counts(run);
    cJSON_AddItemToObject(root, "sum", counts_json(&total));
    extract_put_inputs(root, run->x, input_counts_json, run);
    cJSON_AddStringToObject(root, "columns_left_out", run->plans[0].unknown);
    cJSON_AddStringToObject(root, "conservation", "checked: every record and byte is a row or counted as skipped");
    ws_err error = ws_json_canonical(root, out);
    cJSON_Delete(root);
    return error;
}

ws_err ws_table_options_json(const extraction *x, ws_text *out)
{
    const ws_extract_options *o = x->options;
    cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "dataset", o->dataset);
    extract_put_number(root, "packets", (uint64_t)o->packets);
    cJSON_AddStringToObject(root, "endpoints", o->endpoints == NULL ? "drop" : o->endpoints);
    cJSON_AddStringToObject(root, "non_finite", o->skip_not_finite ? "skip" : "zero");
    extract_put_hash_form(root, o);
    if (o->config != NULL)
        cJSON_AddStringToObject(root, "config", ws_path_base(o->config));
    ws_err error = ws_json_canonical(root, out);
    cJSON_Delete(root);
    return error;
}

/* ---------------------------------------------------------------- the end of the run */
static ws_err write_provenance_all(ws_table_run *run, const char *options, const char *counters, char content_hash[65])
{
    int32_t **renumber = NULL;
    ws_err local = ws_arena_alloc(run->x->arena, &renumber, run->level_count, sizeof *renumber);
    for (size_t l = 0; local == WS_OK && l < run->level_count; l++)
        local = sort_level(run, l, &renumber[l]);
    WS_AGREE(run->x->comm, local);
    ws_store_provenance provenance = {.options_json = options,
                                      .counters_json = counters,
                                      .levels = run->levels,
                                      .renumber = (const int32_t *const *)renumber};
    return extract_finish_store_all(run->x, &provenance, content_hash);
}

static void fill_report(const ws_table_run *run, ws_extract_report *report)
{
    const extraction *x = run->x;
    ws_table_counts total = total_counts(run);
    report->tables = true;
    report->inputs = report->files = x->input_count;
    report->inputs_skipped = x->skipped_count;
    report->records = total.records;
    report->flows = total.rows;
    report->stored_packets = total.packets;
    report->labelled = run->level_count > 0 ? total.rows - total.unlabelled : 0;
    report->boundary_repairs = x->boundary_repairs;
    report->cells_not_finite = total.infinite_cells + total.nan_cells;
    report->cells_empty = total.empty_cells;
    for (int reason = 1; reason < WS_TABLE_SKIP_COUNT; reason++)
        report->rows_skipped += total.skipped[reason];
    for (int reason = 1, n = 0; reason < WS_TABLE_SKIP_COUNT; reason++)
        if (total.skipped[reason] > 0 && n < WS_REPORT_REASONS)
            report->row_reasons[n++] = (ws_report_reason){ws_table_skip_help[reason], total.skipped[reason]};
}

ws_err ws_table_finish_all(ws_table_run *run, ws_extract_report *report)
{
    extraction *x = run->x;
    WS_TRY(ws_sum_u64_all(x->comm, &x->boundary_repairs, 1));
    WS_TRY(check_conservation(run)); /* counts are the same on all ranks, and so is the outcome */
    fill_report(run, report);
    ws_text options = {0}, counters = {0};
    ws_err error = counters_json(run, &counters);
    if (error == WS_OK)
        error = ws_table_options_json(x, &options);
    error = ws_agree_all(x->comm, error);
    if (error == WS_OK)
        error = write_provenance_all(run, ws_text_string(&options), ws_text_string(&counters), report->content_hash);
    ws_text_destroy(&options);
    ws_text_destroy(&counters);
    return error;
}
