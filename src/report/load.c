/* A sweep folder's manifest and records as cells in a fixed order. */
#include "report/internal.h"

#include <math.h>
#include <stdlib.h>
#include "storage/storage.h"

static const char *text_of(const cJSON *object, const char *key, const char *otherwise)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));
    return text ? text : otherwise;
}

static int compare_text(const char *a, const char *b)
{
    return strcmp(a, b);
}

static int compare_number(double a, double b) /* NaN first */
{
    if (isnan(a) || isnan(b))
        return isnan(b) - isnan(a);
    return (a > b) - (a < b);
}

static int compare_trials(const void *left, const void *right)
{
    const ws_report_trial *a = left, *b = right;
    int order = compare_number(a->protocol_seed, b->protocol_seed);
    order = order ? order : compare_number(a->train_seed, b->train_seed);
    return order ? order : compare_text(a->id, b->id);
}

static int compare_sections(const ws_report_cell *a, const ws_report_cell *b)
{
    int order = compare_text(a->dataset, b->dataset);
    order = order ? order : compare_text(a->store_hash, b->store_hash);
    order = order ? order : compare_text(a->task, b->task);
    order = order ? order : compare_text(a->label, b->label);
    return order ? order : compare_text(a->protocol, b->protocol);
}

static int compare_cells(const void *left, const void *right)
{
    const ws_report_cell *a = left, *b = right;
    int order = compare_sections(a, b);
    order = order ? order : a->baseline - b->baseline;
    order = order ? order : compare_text(a->model, b->model);
    order = order ? order : a->chosen - b->chosen;
    order = order ? order : compare_text(a->options ? a->options : "", b->options ? b->options : "");
    order = order ? order : compare_text(a->id, b->id);
    if (order || !a->chosen)
        return order;
    return compare_text(a->scores.items[0], b->scores.items[0]);
}

static int compare_ids(const void *left, const void *right)
{
    return strcmp(((const ws_report_cell *)left)->id, ((const ws_report_cell *)right)->id);
}

void ws_report_sort(ws_report *report)
{
    qsort(report->cells, report->count, sizeof *report->cells, compare_cells);
}

bool ws_report_same_section(const ws_report_cell *a, const ws_report_cell *b)
{
    return compare_sections(a, b) == 0;
}

/* ---------------------------------------------------------------- the manifest */

static void read_cell(const cJSON *item, ws_report_cell *cell)
{
    const cJSON *config = cJSON_GetObjectItemCaseSensitive(item, "config");
    cell->config = config;
    cell->id = text_of(item, "cell", "");
    cell->dataset = text_of(item, "dataset", "unnamed");
    cell->store_hash = text_of(item, "store_hash", "");
    cell->label = text_of(item, "label", "");
    cell->task = text_of(config, "task", "");
    cell->protocol = text_of(config, "protocol", "");
    cell->model = text_of(cJSON_GetObjectItemCaseSensitive(config, "model"), "kind", "");
    cell->synthetic = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(item, "synthetic"));
    cell->deterministic = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(item, "deterministic"));
    cell->baseline = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(item, "baseline"));
}

/* What stands in a table is what the trial wrote. Records of earlier programs state no hash, which the table says. */
static ws_err check_result(ws_report *report, const ws_report_trial *trial, const char *path)
{
    const char *stated = text_of(trial->record, "result_hash", NULL);
    char hash[65];
    report->unhashed += stated == NULL;
    if (!stated)
        return WS_OK;
    WS_TRY(ws_json_hash(cJSON_GetObjectItemCaseSensitive(trial->record, "result"), hash));
    if (strcmp(stated, hash) == 0)
        return WS_OK;
    ws_err error = WS_ERROR(FORMAT, "%s: the result was changed after it was written", path);
    WS_HINT("what is changed: wiresweep verify %s --cell id=%s; the sweep runs the trial again when it is continued",
            report->directory, trial->id);
    return error;
}

static ws_err read_record(ws_report *report, ws_report_trial *trial)
{
    char *path = ws_format("%s/trials/%s/record.json", report->directory, trial->id), *text = NULL;
    size_t bytes = 0;
    ws_err error = WS_OK;
    WS_CHECK_GOTO(done, path, MEMORY, "no memory for a path");
    if (!ws_file_exists(path))
        goto done;
    WS_TRY_GOTO(done, ws_file_read(path, &text, &bytes));
    trial->record = cJSON_ParseWithLength(text, bytes);
    const char *status = text_of(trial->record, "status", "");
    bool done = strcmp(status, "done") == 0, failed = strcmp(status, "failed") == 0;
    const bool whole = failed || (done && cJSON_IsObject(cJSON_GetObjectItemCaseSensitive(trial->record, "result")));
    if (!whole || strcmp(text_of(trial->record, "id", ""), trial->id) != 0) {
        error = WS_ERROR(FORMAT, "%s: not a record of trial %s", path, trial->id);
        WS_HINT("the sweep runs the trial again when it is continued");
        goto done;
    }
    if (done)
        WS_TRY_GOTO(done, check_result(report, trial, path));
    trial->state = done ? WS_REPORT_DONE : WS_REPORT_FAILED;
    trial->reason = text_of(cJSON_GetObjectItemCaseSensitive(trial->record, "failure"), "reason", "no reason recorded");
done:
    free(text);
    free(path);
    return error;
}

static ws_err read_trial(ws_report *report, const cJSON *item)
{
    ws_report_cell wanted = {.id = text_of(item, "cell", "")};
    ws_report_cell *cell = bsearch(&wanted, report->cells, report->count, sizeof wanted, compare_ids);
    WS_CHECK(cell, FORMAT, "%s: trial %s is of a cell that is not listed", ws_json_name(report->manifest),
             text_of(item, "id", "(no id)"));
    WS_TRY(WS_GROW(cell->trials, cell->capacity, cell->count + 1));
    ws_report_trial *trial = &cell->trials[cell->count++];
    *trial = (ws_report_trial){.id = text_of(item, "id", ""), .split_hash = text_of(item, "split_hash", "")};
    trial->train_seed = cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(item, "train_seed"));
    trial->protocol_seed = cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(item, "protocol_seed"));
    WS_TRY(read_record(report, trial));
    cell->done += trial->state == WS_REPORT_DONE;
    cell->failed += trial->state == WS_REPORT_FAILED;
    return WS_OK;
}

/* ---------------------------------------------------------------- scores */

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static const cJSON *scores_of(const ws_report_trial *trial)
{
    const cJSON *result = cJSON_GetObjectItemCaseSensitive(trial->record, "result");
    return cJSON_GetObjectItemCaseSensitive(result, "scores");
}

/* The names of all scores that some finished trial of the cell has. */
static ws_err collect_scores(ws_report *report, ws_report_cell *cell)
{
    size_t total = 0, count = 0;
    for (size_t i = 0; i < cell->count; i++)
        total += (size_t)cJSON_GetArraySize(scores_of(&cell->trials[i]));
    const char **names = NULL;
    WS_TRY(ws_arena_alloc(report->arena, &names, total + 1, sizeof *names));
    for (size_t i = 0; i < cell->count; i++) {
        const cJSON *scores = scores_of(&cell->trials[i]);
        for (const cJSON *score = scores ? scores->child : NULL; score; score = score->next)
            names[count++] = score->string;
    }
    qsort(names, count, sizeof *names, compare_names);
    for (size_t i = 0; i < count; i++)
        if (cell->scores.count == 0 || strcmp(names[cell->scores.count - 1], names[i]) != 0)
            names[cell->scores.count++] = names[i];
    cell->scores.items = names;
    return WS_OK;
}

const cJSON *ws_report_score(const ws_report_trial *trial, const char *score)
{
    return cJSON_GetObjectItemCaseSensitive(scores_of(trial), score);
}

double ws_report_value(const ws_report_trial *trial, const char *score, const char *metric)
{
    return cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(ws_report_score(trial, score), metric));
}

double ws_report_interval(const ws_report_trial *trial, const char *score, const char *metric, int side)
{
    const cJSON *intervals = cJSON_GetObjectItemCaseSensitive(ws_report_score(trial, score), "interval");
    return cJSON_GetNumberValue(cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(intervals, metric), side));
}

/* From 20 values on, resamples of them say more of a skewed distribution than Student's t (Efron 1987). */
enum { MANY_SEEDS = 20 };

static ws_err resample(double *values, size_t count, ws_statistics *out)
{
    ws_interval interval;
    size_t defined = 0;
    for (size_t i = 0; i < count; i++)
        if (!isnan(values[i]))
            values[defined++] = values[i];
    WS_TRY(ws_resampled_mean(values, defined, true, &interval));
    out->low = interval.low;
    out->high = interval.high;
    return WS_OK;
}

ws_err ws_report_cell_statistics(const ws_report_cell *cell, const char *score, const char *metric, ws_statistics *out)
{
    double *values = NULL;
    WS_TRY(WS_NEW_ARRAY(values, cell->count));
    for (size_t i = 0; i < cell->count; i++)
        values[i] = ws_report_value(&cell->trials[i], score, metric);
    *out = ws_statistics_of(values, cell->count);
    ws_err error = WS_OK;
    if (out->n >= MANY_SEEDS)
        error = resample(values, cell->count, out);
    free(values);
    return error;
}

/* ---------------------------------------------------------------- sections */

size_t ws_report_section_end(const ws_report *report, size_t begin)
{
    size_t end = begin;
    while (end < report->count && ws_report_same_section(&report->cells[begin], &report->cells[end]))
        end++;
    return end;
}

static bool holds_metric(const ws_report_cell *cell, const char *metric)
{
    for (size_t i = 0; i < cell->count; i++) {
        const cJSON *scores = scores_of(&cell->trials[i]);
        for (const cJSON *score = scores ? scores->child : NULL; score; score = score->next)
            if (cJSON_GetObjectItemCaseSensitive(score, metric))
                return true;
    }
    return false;
}

size_t ws_report_metrics(const ws_report *report, size_t begin, size_t end, const ws_metric **out, size_t most)
{
    size_t count = 0;
    for (size_t m = 0; ws_metrics[m] && count < most; m++)
        for (size_t c = begin; c < end; c++)
            if (holds_metric(&report->cells[c], ws_metrics[m]->name)) {
                out[count++] = ws_metrics[m];
                break;
            }
    return count;
}

static int compare_tallies(const void *a, const void *b)
{
    return strcmp(((const ws_report_tally *)a)->text, ((const ws_report_tally *)b)->text);
}

ws_err ws_report_count_texts(const ws_report *report, size_t begin, size_t end, const char *field,
                             ws_report_tally **out, size_t *count)
{
    size_t total = 0, used = 0;
    for (size_t c = begin; c < end; c++)
        total += report->cells[c].done;
    WS_TRY(ws_alloc(out, total, sizeof **out));
    for (size_t c = begin; c < end; c++)
        for (size_t t = 0; t < report->cells[c].count && !report->cells[c].chosen; t++) {
            const ws_report_trial *trial = &report->cells[c].trials[t];
            const char *text =
                trial->state == WS_REPORT_DONE ? cJSON_GetStringValue(ws_json_find(trial->record, field)) : NULL;
            if (text && used < total)
                (*out)[used++] = (ws_report_tally){text, 1};
        }
    qsort(*out, used, sizeof **out, compare_tallies);
    *count = 0;
    for (size_t i = 0; i < used; i++)
        if (*count && strcmp((*out)[*count - 1].text, (*out)[i].text) == 0)
            (*out)[*count - 1].trials++;
        else
            (*out)[(*count)++] = (*out)[i];
    return WS_OK;
}

/* ---------------------------------------------------------------- loading */

static ws_err load_cells(ws_report *report)
{
    const cJSON *root = ws_json_root(report->manifest), *cells = cJSON_GetObjectItemCaseSensitive(root, "cells"),
                *trials = cJSON_GetObjectItemCaseSensitive(root, "trials"), *item;
    const cJSON *schema = cJSON_GetObjectItemCaseSensitive(root, "schema");
    WS_CHECK(cJSON_IsNumber(schema) && schema->valueint == 1, FORMAT, "%s: schema 1 expected",
             ws_json_name(report->manifest));
    report->name = text_of(root, "name", "sweep");
    WS_TRY(WS_NEW_ARRAY(report->cells, (size_t)cJSON_GetArraySize(cells)));
    cJSON_ArrayForEach(item, cells) read_cell(item, &report->cells[report->count++]);
    qsort(report->cells, report->count, sizeof *report->cells, compare_ids);
    cJSON_ArrayForEach(item, trials) WS_TRY(read_trial(report, item));
    for (size_t c = 0; c < report->count; c++) {
        ws_report_cell *cell = &report->cells[c];
        if (cell->count)
            qsort(cell->trials, cell->count, sizeof *cell->trials, compare_trials);
        WS_TRY(collect_scores(report, cell));
    }
    qsort(report->cells, report->count, sizeof *report->cells, compare_cells);
    WS_TRY(ws_report_describe_options(report));
    qsort(report->cells, report->count, sizeof *report->cells, compare_cells);
    WS_TRY(ws_report_add_chosen(report));
    qsort(report->cells, report->count, sizeof *report->cells, compare_cells);
    return WS_OK;
}

ws_err ws_report_load(ws_report **out, const char *sweep_directory)
{
    *out = NULL;
    ws_report *report = NULL;
    WS_TRY(WS_NEW(report));
    char *path = ws_path_join(sweep_directory, "sweep.json");
    ws_err error = WS_OK;
    report->directory = strdup(sweep_directory);
    WS_CHECK_GOTO(done, path && report->directory, MEMORY, "no memory for a path");
    WS_TRY_GOTO(done, ws_arena_create(&report->arena, 1 << 14));
    if (!ws_file_exists(path)) {
        error = WS_ERROR(IO, "%s: no such file: this is no sweep folder", path);
        WS_HINT("a sweep folder is made by: wiresweep sweep SWEEP.json -o %s", sweep_directory);
        goto done;
    }
    WS_TRY_GOTO(done, ws_json_read_file(&report->manifest, path));
    WS_TRY_GOTO(done, load_cells(report));
done:
    free(path);
    if (error == WS_OK)
        *out = report;
    else
        ws_report_destroy(&report);
    return error;
}

void ws_report_destroy(ws_report **report)
{
    ws_report *r = *report;
    if (!r)
        return;
    for (size_t c = 0; c < r->count; c++) {
        for (size_t t = 0; t < r->cells[c].count && !r->cells[c].chosen; t++)
            cJSON_Delete(r->cells[c].trials[t].record);
        free(r->cells[c].trials);
    }
    free(r->cells);
    for (size_t i = 0; i < r->published_count; i++)
        ws_json_destroy(&r->published[i].file);
    free(r->published);
    for (size_t i = 0; i < r->figure_count; i++)
        free(r->figures[i].svg);
    free(r->figures);
    cJSON_Delete(r->external);
    ws_json_destroy(&r->manifest);
    ws_arena_destroy(&r->arena);
    free(r->directory);
    free(r);
    *report = NULL;
}
