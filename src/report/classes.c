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

/* Fills a column of the grid for each class, best ones marked. */
static ws_err fill(ws_report_grid *grid, const names *classes, const char *metric)
{
    for (size_t k = 0; k < classes->count; k++) {
        for (size_t i = 0; i < grid->line_count; i++)
            for (size_t t = 0; grid->lines[i].score && t < grid->lines[i].cell->count; t++)
                ws_report_grid_values(grid, i, k)[t] =
                    value_of(&grid->lines[i].cell->trials[t], grid->lines[i].score, classes->items[k], metric);
        WS_TRY(ws_report_grid_mark_best(grid, k, true));
    }
    return WS_OK;
}

static ws_table *begin_table(const char *caption, const names *classes, ws_document *out)
{
    ws_table *table = ws_document_table(out, caption);
    ws_table_add_column(table, "model", false);
    ws_table_add_column(table, "score", false);
    for (size_t k = 0; k < classes->count; k++)
        ws_table_add_column(table, classes->items[k], true);
    return table;
}

static ws_err add_means(const ws_report_grid *grid, ws_table *table)
{
    for (size_t i = 0; i < grid->line_count; i++) {
        if (!grid->lines[i].score)
            continue;
        ws_report_add_head(table, &grid->lines[i]);
        for (size_t k = 0; k < grid->columns; k++)
            ws_report_add_value(table, grid->lines[i].cell, ws_report_grid_values(grid, i, k),
                                grid->bold[i * grid->columns + k], 4);
    }
    return WS_OK;
}

ws_err ws_report_classes_table(const ws_report *report, size_t begin, size_t end, ws_document *out)
{
    names classes = {0};
    ws_report_grid grid = {0};
    ws_err error = collect(report, begin, end, &classes);
    if (error == WS_OK && classes.count > 1) {
        error = ws_report_grid_create(report, begin, end, classes.count, &grid);
        if (error == WS_OK)
            error = fill(&grid, &classes, "auroc");
        if (error == WS_OK)
            error = add_means(&grid, begin_table("auroc of each class against all normal test rows", &classes, out));
        ws_report_grid_destroy(&grid);
    }
    free(classes.items);
    return error;
}

/* ---------------------------------------------------------------- shares found, and what the number of rows allows to say */

/* "0.912 [0.871, 0.942]": the mean over seeds, and the interval for as many rows as one seed tests. */
static ws_err add_share(const ws_report_line *line, const char *class, const double *values, bool bold, ws_table *table)
{
    ws_statistics rows, s = ws_statistics_of(values, line->cell->count);
    WS_TRY(statistics_of(line->cell, line->score, class, "n", &rows));
    ws_interval interval = ws_share_interval(s.mean, rows.mean);
    if (s.n == 0 || isnan(interval.low))
        ws_table_add(table, "n/a");
    else
        ws_table_addf(table, "%.3f [%.3f, %.3f]", s.mean, interval.low, interval.high)->bold = bold;
    return WS_OK;
}

static ws_err add_shares(const ws_report_grid *grid, const names *classes, ws_table *table)
{
    for (size_t i = 0; i < grid->line_count; i++) {
        const ws_report_line *line = &grid->lines[i];
        if (!line->score)
            continue;
        ws_report_add_head(table, line);
        for (size_t k = 0; k < classes->count; k++)
            WS_TRY(add_share(line, classes->items[k], ws_report_grid_values(grid, i, k),
                             grid->bold[i * grid->columns + k], table));
    }
    return WS_OK;
}

/* Test rows of each class in a seed in which there are any, over all lines. */
static ws_err add_support(const ws_report_grid *grid, const names *classes, ws_table *table)
{
    ws_table_add(table, "test rows")->slanted = true;
    ws_table_add(table, "");
    for (size_t k = 0; k < classes->count; k++) {
        double least = INFINITY, most = 0;
        for (size_t i = 0; i < grid->line_count; i++)
            for (size_t t = 0; grid->lines[i].score && t < grid->lines[i].cell->count; t++) {
                double rows = value_of(&grid->lines[i].cell->trials[t], grid->lines[i].score, classes->items[k], "n");
                least = rows > 0 && rows < least ? rows : least;
                most = rows > most ? rows : most;
            }
        if (most > least)
            ws_table_addf(table, "%.0f to %.0f", least, most);
        else
            ws_table_addf(table, "%.0f", most);
    }
    return WS_OK;
}

ws_err ws_report_class_shares_table(const ws_report *report, size_t begin, size_t end, ws_document *out)
{
    static const char metric[] = "tpr_at_fpr_0.01";
    names classes = {0};
    ws_report_grid grid = {0};
    ws_err error = collect(report, begin, end, &classes);
    if (error == WS_OK && classes.count > 0) {
        error = ws_report_grid_create(report, begin, end, classes.count, &grid);
        if (error == WS_OK)
            error = fill(&grid, &classes, metric);
        ws_table *table =
            begin_table("Share of each class that is found at 1 % false positives, mean over seeds, with the 95 % "
                        "interval that the number of test rows of one seed allows (Wilson; Clopper-Pearson "
                        "below 40 rows)",
                        &classes, out);
        if (error == WS_OK)
            error = add_support(&grid, &classes, table);
        if (error == WS_OK)
            error = add_shares(&grid, &classes, table);
        ws_report_grid_destroy(&grid);
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
