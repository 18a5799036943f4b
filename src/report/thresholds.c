/* What thresholds give on test rows: one line for each cell, score and quantile of the normal validation scores, with the false
 * positive rate that was reached instead of the one aimed at; and the best threshold in hindsight, marked as the oracle it is. */
#include "report/internal.h"

#include <math.h>
#include <stdlib.h>

static const char *const fields[] = {"threshold", "false_positive_rate", "precision", "recall", "f1"};
static const char *const titles[] = {"threshold", "false positive rate", "precision ↑", "recall ↑", "F1 ↑"};
enum { FIELDS = 5 };

/* The quantiles of the first trial that has any; NULL where none has. */
static const cJSON *quantiles_of(const ws_report_line *line)
{
    for (size_t t = 0; line->score && t < line->cell->count; t++) {
        const cJSON *list =
            cJSON_GetObjectItemCaseSensitive(ws_report_score(&line->cell->trials[t], line->score), "thresholds");
        if (cJSON_GetArraySize(list) > 0)
            return list;
    }
    return NULL;
}

/* quantile: NaN for the oracle. */
static double value_of(const ws_report_trial *trial, const char *score, double quantile, const char *field)
{
    const cJSON *object = ws_report_score(trial, score), *item = NULL;
    if (isnan(quantile))
        return cJSON_GetNumberValue(
            cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(object, "oracle_on_test"), field));
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(object, "thresholds"))
    {
        if (cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(item, "quantile")) == quantile)
            return cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(item, field));
    }
    return NAN;
}

static ws_err values_of(const ws_report_line *line, double quantile, const char *field, double **out)
{
    WS_TRY(ws_alloc(out, line->cell->count, sizeof **out));
    for (size_t t = 0; t < line->cell->count; t++)
        (*out)[t] = value_of(&line->cell->trials[t], line->score, quantile, field);
    return WS_OK;
}

static ws_err add_line(const ws_report_line *line, double quantile, ws_table *table)
{
    ws_report_add_head(table, line);
    if (isnan(quantile))
        ws_table_add(table, "oracle on test rows")->slanted = true;
    else
        ws_table_addf(table, "quantile %g", quantile);
    for (int f = 0; f < FIELDS; f++) {
        double *values;
        WS_TRY(values_of(line, quantile, fields[f], &values));
        ws_report_add_value(table, line->cell, values, false, f == 0 ? -4 : 4);
        free(values);
    }
    return WS_OK;
}

ws_err ws_report_thresholds_table(const ws_report *report, size_t begin, size_t end, ws_document *out)
{
    ws_report_grid grid;
    ws_table *table = NULL;
    ws_err error = WS_OK;
    WS_TRY(ws_report_grid_create(report, begin, end, 0, &grid));
    for (size_t i = 0; i < grid.line_count && error == WS_OK; i++) {
        const cJSON *quantiles = quantiles_of(&grid.lines[i]), *item = NULL;
        if (!quantiles)
            continue;
        if (!table) {
            table = ws_document_table(
                out, "Thresholds: chosen on normal validation rows of the same seed, applied to test rows");
            ws_table_add_column(table, "model", false);
            ws_table_add_column(table, "score", false);
            ws_table_add_column(table, "chosen by", false);
            for (int f = 0; f < FIELDS; f++)
                ws_table_add_column(table, titles[f], true);
        }
        cJSON_ArrayForEach(item, quantiles) if (error == WS_OK) error =
            add_line(&grid.lines[i], cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(item, "quantile")), table);
        if (error == WS_OK)
            error = add_line(&grid.lines[i], NAN, table);
    }
    ws_report_grid_destroy(&grid);
    return error;
}

/* ---------------------------------------------------------------- for programs */

static ws_err write_line(const ws_report_line *line, double quantile, ws_text *out)
{
    for (int f = 0; f < FIELDS; f++) {
        double *values;
        WS_TRY(values_of(line, quantile, fields[f], &values));
        ws_statistics s = ws_statistics_of(values, line->cell->count);
        free(values);
        ws_report_csv_cell(out, line->cell);
        ws_report_csv_text(out, line->score);
        ws_report_csv_text(out, isnan(quantile) ? "oracle_on_test" : "quantile");
        ws_report_csv_number(out, quantile);
        ws_report_csv_text(out, fields[f]);
        const double numbers[] = {
            (double)line->cell->count, (double)line->cell->done, (double)s.n, s.mean, s.deviation, s.low, s.high};
        for (size_t k = 0; k < sizeof numbers / sizeof *numbers; k++)
            ws_report_csv_number(out, numbers[k]);
        ws_text_append(out, "\n");
    }
    return WS_OK;
}

ws_err ws_report_thresholds_csv(const ws_report *report, ws_text *out)
{
    ws_report_grid grid;
    ws_err error = WS_OK;
    ws_text_appendf(out, "%s,score,chosen_by,quantile,value,planned,done,n,mean,std,low_95,high_95\n",
                    ws_report_csv_header);
    WS_TRY(ws_report_grid_create(report, 0, report->count, 0, &grid));
    for (size_t i = 0; i < grid.line_count && error == WS_OK; i++) {
        const cJSON *quantiles = quantiles_of(&grid.lines[i]), *item = NULL;
        cJSON_ArrayForEach(item, quantiles) if (error == WS_OK) error =
            write_line(&grid.lines[i], cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(item, "quantile")), out);
        if (quantiles && error == WS_OK)
            error = write_line(&grid.lines[i], NAN, out);
    }
    ws_report_grid_destroy(&grid);
    return error == WS_OK ? ws_text_check(out) : error;
}
