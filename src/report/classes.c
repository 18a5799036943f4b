/* How well each class of anomalies is told from the normal test rows: a mean over all of them hides the class that is missed.
 * A table for people where there is more than one such class, and the lines of a file for programs. */
#include "report/internal.h"

#include <math.h>
#include <stdlib.h>

static const cJSON *classes_of(const ws_report_trial *trial, const char *score)
{
    const cJSON *result = cJSON_GetObjectItemCaseSensitive(trial->record, "result");
    const cJSON *scores = cJSON_GetObjectItemCaseSensitive(result, "scores");
    return cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(scores, score), "per_class");
}

static double value_of(const ws_report_trial *trial, const char *score, const char *class, const char *metric)
{
    const cJSON *values = cJSON_GetObjectItemCaseSensitive(classes_of(trial, score), class);
    return cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(values, metric));
}

static ws_err statistics_of(const ws_report_cell *cell, const char *score, const char *class, const char *metric,
                            ws_statistics *out)
{
    double *values = NULL;
    WS_TRY(WS_NEW_ARRAY(values, cell->count));
    for (size_t i = 0; i < cell->count; i++)
        values[i] = value_of(&cell->trials[i], score, class, metric);
    *out = ws_statistics_of(values, cell->count);
    free(values);
    return WS_OK;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

typedef struct names {
    const char **items;
    size_t count, capacity;
} names;

/* The classes in the records of cells[begin .. end), sorted. */
static ws_err collect(const ws_report *report, size_t begin, size_t end, names *out)
{
    for (size_t c = begin; c < end; c++)
        for (size_t k = 0; k < report->cells[c].scores.count; k++)
            for (size_t t = 0; t < report->cells[c].count; t++) {
                const cJSON *classes = classes_of(&report->cells[c].trials[t], report->cells[c].scores.items[k]);
                for (const cJSON *class = classes ? classes->child : NULL; class; class = class->next) {
                    size_t i = 0;
                    while (i < out->count && strcmp(out->items[i], class->string) != 0)
                        i++;
                    if (i < out->count)
                        continue;
                    WS_TRY(WS_GROW(out->items, out->capacity, out->count + 1));
                    out->items[out->count++] = class->string;
                }
            }
    if (out->count)
        qsort(out->items, out->count, sizeof *out->items, compare_names);
    return WS_OK;
}

static ws_err write_lines(const ws_report_cell *cell, const names *classes, ws_text *out)
{
    for (size_t k = 0; k < cell->scores.count; k++) {
        ws_report_markdown_head(out, cell, cell->scores.items[k]);
        for (size_t i = 0; i < classes->count; i++) {
            ws_statistics s;
            WS_TRY(statistics_of(cell, cell->scores.items[k], classes->items[i], "auroc", &s));
            ws_text_append(out, " | ");
            ws_report_markdown_value(out, cell, &s);
        }
        ws_text_append(out, " |\n");
    }
    return WS_OK;
}

ws_err ws_report_classes_markdown(const ws_report *report, size_t begin, size_t end, ws_text *out)
{
    names classes = {0};
    ws_err error = collect(report, begin, end, &classes);
    if (error == WS_OK && classes.count > 1) {
        ws_text_append(out, "\nauroc of each class against all normal test rows:\n\n| model | score");
        for (size_t i = 0; i < classes.count; i++) {
            ws_text_append(out, " | ");
            ws_report_markdown_text(out, classes.items[i]);
        }
        ws_text_append(out, " |\n| --- | ---");
        for (size_t i = 0; i < classes.count; i++)
            ws_text_append(out, " | ---:");
        ws_text_append(out, " |\n");
        for (size_t c = begin; c < end && error == WS_OK; c++)
            error = write_lines(&report->cells[c], &classes, out);
    }
    free(classes.items);
    return error;
}

static ws_err write_class(const ws_report_cell *cell, const char *score, const char *class, ws_text *out)
{
    for (size_t m = 0; ws_metrics[m]; m++) {
        ws_statistics rows, s;
        if (ws_metrics[m]->family != WS_METRIC_RANKING)
            continue;
        WS_TRY(statistics_of(cell, score, class, ws_metrics[m]->name, &s));
        WS_TRY(statistics_of(cell, score, class, "n", &rows));
        ws_report_csv_cell(out, cell);
        const char *const texts[] = {score, class, ws_metrics[m]->name};
        for (int i = 0; i < 3; i++)
            ws_report_csv_text(out, texts[i]);
        const double numbers[] = {rows.mean, (double)s.n, s.mean, s.deviation, s.low, s.high};
        for (int i = 0; i < 6; i++)
            ws_report_csv_number(out, numbers[i]);
        ws_text_append(out, "\n");
    }
    return WS_OK;
}

ws_err ws_report_classes_csv(const ws_report *report, ws_text *out)
{
    ws_text_appendf(out, "%s,score,class,metric,mean_rows,n,mean,std,low_95,high_95\n", ws_report_csv_header);
    for (size_t c = 0; c < report->count; c++) {
        const ws_report_cell *cell = &report->cells[c];
        names classes = {0};
        ws_err error = collect(report, c, c + 1, &classes);
        for (size_t k = 0; k < cell->scores.count; k++)
            for (size_t i = 0; i < classes.count && error == WS_OK; i++)
                error = write_class(cell, cell->scores.items[k], classes.items[i], out);
        free(classes.items);
        WS_TRY(error);
    }
    return ws_text_check(out);
}
