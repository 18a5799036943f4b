/* The table for programs that read JSON: the lines of table.csv as objects, null for what is not defined. */
#include "report/internal.h"

#include <math.h>

static bool add_text(cJSON *line, const char *key, const char *text)
{
    return cJSON_AddStringToObject(line, key, text) != NULL;
}

static bool add_number(cJSON *line, const char *key, double value)
{
    return (isnan(value) ? cJSON_AddNullToObject(line, key) : cJSON_AddNumberToObject(line, key, value)) != NULL;
}

static bool add_cell(cJSON *line, const ws_report_cell *cell)
{
    return add_text(line, "cell", cell->id) && add_text(line, "dataset", cell->dataset) &&
           add_text(line, "store_hash", cell->store_hash) &&
           cJSON_AddBoolToObject(line, "synthetic", cell->synthetic) && add_text(line, "task", cell->task) &&
           add_text(line, "protocol", cell->protocol) && add_text(line, "label", cell->label) &&
           add_text(line, "model", cell->model) && add_text(line, "options", cell->options) &&
           cJSON_AddBoolToObject(line, "baseline", cell->baseline) &&
           cJSON_AddBoolToObject(line, "deterministic", cell->deterministic) &&
           add_number(line, "planned", (double)cell->count) && add_number(line, "done", (double)cell->done) &&
           add_number(line, "failed", (double)cell->failed);
}

static bool add_statistics(cJSON *line, const char *score, const char *metric, const ws_statistics *s)
{
    return add_text(line, "score", score) && add_text(line, "metric", metric) && add_number(line, "n", (double)s->n) &&
           add_number(line, "mean", s->mean) && add_number(line, "std", s->deviation) &&
           add_number(line, "low_95", s->low) && add_number(line, "high_95", s->high);
}

static ws_err add_line(cJSON *lines, const ws_report_cell *cell, const char *score, const char *metric)
{
    ws_statistics s = {0, NAN, NAN, NAN, NAN};
    cJSON *line = cJSON_CreateObject();
    if (!cJSON_AddItemToArray(lines, line)) {
        cJSON_Delete(line);
        WS_FAIL(MEMORY, "no memory for the table");
    }
    if (score)
        WS_TRY(ws_report_cell_statistics(cell, score, metric, &s));
    WS_CHECK(add_cell(line, cell) && (!score || add_statistics(line, score, metric, &s)), MEMORY,
             "no memory for the table");
    return WS_OK;
}

static ws_err add_section(cJSON *lines, const ws_report *report, size_t begin, size_t end)
{
    const ws_metric *metrics[64];
    size_t metric_count = ws_report_metrics(report, begin, end, metrics, 64);
    for (size_t c = begin; c < end; c++) {
        const ws_report_cell *cell = &report->cells[c];
        if (cell->scores.count == 0)
            WS_TRY(add_line(lines, cell, NULL, NULL));
        for (size_t k = 0; k < cell->scores.count; k++)
            for (size_t m = 0; m < metric_count; m++)
                WS_TRY(add_line(lines, cell, cell->scores.items[k], metrics[m]->name));
    }
    return WS_OK;
}

ws_err ws_report_json(const ws_report *report, ws_text *out)
{
    cJSON *lines = cJSON_CreateArray();
    WS_CHECK(lines, MEMORY, "no memory for the table");
    ws_err error = WS_OK;
    for (size_t begin = 0, end; begin < report->count && error == WS_OK; begin = end) {
        end = ws_report_section_end(report, begin);
        error = add_section(lines, report, begin, end);
    }
    if (error == WS_OK)
        error = ws_json_pretty(lines, out);
    cJSON_Delete(lines);
    ws_text_append(out, "\n");
    return error == WS_OK ? ws_text_check(out) : error;
}
