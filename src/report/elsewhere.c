/* Trained here, tested elsewhere: what `wiresweep evaluate SWEEP_DIR/trials/ID --store OTHER.h5 --protocol cross_store -o
 * SWEEP_DIR/trials/ID/elsewhere_NAME.json` wrote beside the records, beside what the same trials reach on their own rows. */
#include "report/internal.h"

#include <dirent.h>
#include <math.h>
#include <stdlib.h>
#include "storage/storage.h"

enum { METRICS = 64 };

typedef struct evaluated {
    const ws_report_trial *trial; /* borrowed */
    cJSON *result;
    char *place; /* "cicddos2019 (cross_store, store 0123456789abcdef)" */
} evaluated;

typedef struct all_evaluated {
    evaluated *items;
    size_t count, capacity;
} all_evaluated;

static const char *text_of(const cJSON *object, const char *key)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));
    return text ? text : "";
}

static ws_err read_file(const char *path, const ws_report_trial *trial, all_evaluated *out)
{
    char *text = NULL;
    size_t bytes;
    WS_TRY(ws_file_read(path, &text, &bytes));
    cJSON *result = cJSON_ParseWithLength(text, bytes);
    free(text);
    if (!cJSON_GetObjectItemCaseSensitive(result, "scores")) {
        cJSON_Delete(result);
        ws_err error = WS_ERROR(FORMAT, "%s: not a result of wiresweep evaluate", path);
        WS_HINT("it is written by: wiresweep evaluate RUN_DIR --store OTHER.h5 --protocol cross_store -o %s", path);
        return error;
    }
    ws_err error = WS_GROW(out->items, out->capacity, out->count + 1);
    char *place = ws_format("%s (%s, store %.16s)", text_of(result, "dataset"), text_of(result, "protocol"),
                            text_of(result, "store_hash"));
    if (error == WS_OK && !place)
        error = WS_ERROR(MEMORY, "no memory for the table");
    if (error == WS_OK) {
        out->items[out->count++] = (evaluated){trial, result, place};
        return WS_OK;
    }
    free(place);
    cJSON_Delete(result);
    return error;
}

static int is_elsewhere(const struct dirent *entry)
{
    size_t length = strlen(entry->d_name);
    return strncmp(entry->d_name, "elsewhere_", 10) == 0 && length > 15 &&
           strcmp(entry->d_name + length - 5, ".json") == 0;
}

/* In the order of their names. */
static ws_err read_trial(const ws_report *report, const ws_report_trial *trial, all_evaluated *out)
{
    struct dirent **entries = NULL;
    char *folder = ws_format("%s/trials/%s", report->directory, trial->id);
    WS_CHECK(folder, MEMORY, "no memory for a path");
    int count = trial->state == WS_REPORT_DONE ? scandir(folder, &entries, is_elsewhere, alphasort) : 0;
    ws_err error = WS_OK;
    for (int i = 0; i < count; i++) {
        char *path = ws_path_join(folder, entries[i]->d_name);
        if (error == WS_OK)
            error = path ? read_file(path, trial, out) : WS_ERROR(MEMORY, "no memory for a path");
        free(path);
        free(entries[i]);
    }
    free(entries);
    free(folder);
    return error;
}

static ws_err read_all(const ws_report *report, size_t begin, size_t end, all_evaluated *out)
{
    for (size_t c = begin; c < end; c++)
        for (size_t t = 0; t < report->cells[c].count && !report->cells[c].chosen && !report->cells[c].external; t++)
            WS_TRY(read_trial(report, &report->cells[c].trials[t], out));
    return WS_OK;
}

static double value_of(const all_evaluated *all, const ws_report_trial *trial, const char *place, const char *score,
                       const char *metric)
{
    for (size_t i = 0; i < all->count; i++) {
        const cJSON *scores = cJSON_GetObjectItemCaseSensitive(all->items[i].result, "scores");
        if (all->items[i].trial == trial && strcmp(all->items[i].place, place) == 0)
            return cJSON_GetNumberValue(
                cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(scores, score), metric));
    }
    return NAN;
}

static ws_err add_line(const ws_report_grid *grid, size_t i, const all_evaluated *all, const char *place,
                       const char *metric, ws_table *table)
{
    const ws_report_line *line = &grid->lines[i];
    double *here = ws_report_grid_values(grid, i, 0), *there = ws_report_grid_values(grid, i, 1);
    ws_paired paired;
    for (size_t t = 0; t < line->cell->count; t++) {
        here[t] = ws_report_value(&line->cell->trials[t], line->score, metric);
        there[t] = value_of(all, &line->cell->trials[t], place, line->score, metric);
    }
    if (ws_statistics_of(there, line->cell->count).n == 0)
        return WS_OK;
    WS_TRY(ws_compare_paired(there, here, line->cell->count, &paired));
    ws_report_add_head(table, line);
    ws_table_add(table, place);
    ws_table_add(table, metric);
    ws_report_add_value(table, line->cell, here, false, 4);
    ws_report_add_value(table, line->cell, there, false, 4);
    ws_table_addf(table, isnan(paired.difference) ? "n/a" : "%+.4f", paired.difference);
    ws_table_addf(table, isnan(paired.low) ? "n/a" : "%+.4f to %+.4f", paired.low, paired.high);
    return WS_OK;
}

/* Whether no earlier item is of the same place. */
static bool is_first(const all_evaluated *all, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (strcmp(all->items[k].place, all->items[i].place) == 0)
            return false;
    return true;
}

static ws_err add_lines(const ws_report *report, size_t begin, size_t end, const all_evaluated *all, ws_table *table)
{
    const ws_metric *metrics[METRICS];
    size_t count = ws_report_metrics(report, begin, end, metrics, METRICS);
    ws_report_grid grid;
    WS_TRY(ws_report_grid_create(report, begin, end, 2, &grid));
    ws_err error = WS_OK;
    for (size_t k = 0; k < all->count; k++)
        for (size_t i = 0; i < grid.line_count && is_first(all, k); i++)
            for (size_t m = 0; m < count && grid.lines[i].score && !grid.lines[i].cell->chosen && error == WS_OK; m++)
                error = add_line(&grid, i, all, all->items[k].place, metrics[m]->name, table);
    ws_report_grid_destroy(&grid);
    return error;
}

ws_err ws_report_elsewhere_table(const ws_report *report, size_t begin, size_t end, ws_document *out)
{
    static const char *const heads[] = {"model", "score", "tested on",  "metric",
                                        "here",  "there", "difference", "95 % interval"};
    all_evaluated all = {0};
    ws_err error = read_all(report, begin, end, &all);
    if (error == WS_OK && all.count > 0) {
        ws_table *table =
            ws_document_table(out, "Trained here, tested elsewhere, normalisation frozen; differences by seed");
        for (size_t i = 0; i < sizeof heads / sizeof *heads; i++)
            ws_table_add_column(table, heads[i], i > 3);
        error = add_lines(report, begin, end, &all, table);
    }
    for (size_t i = 0; i < all.count; i++) {
        cJSON_Delete(all.items[i].result);
        free(all.items[i].place);
    }
    free(all.items);
    return error;
}
