/* What the sweep set out to reach, frozen with it: "comparison": { "targets": { "auroc": 0.95, "tpr_at_fpr_0.01": 0.5 } }. A target
 * is reached where the whole 95 % interval of the mean lies beyond it, missed where it lies short of it, and open in between. */
#include "report/internal.h"

#include <math.h>

static void add_verdict(ws_table *table, const ws_statistics *s, double target, bool higher)
{
    bool above = s->low >= target, below = s->high < target;
    if (isnan(s->low))
        ws_table_add(table, "n/a");
    else if (!above && !below)
        ws_table_add(table, "open");
    else
        ws_table_add(table, above == higher ? "reached" : "missed");
}

static ws_err add_target(const ws_report_grid *grid, const ws_metric *metric, double target, ws_table *table)
{
    for (size_t i = 0; i < grid->line_count; i++) {
        const ws_report_line *line = &grid->lines[i];
        double *values = ws_report_grid_values(grid, i, 0);
        for (size_t t = 0; line->score && t < line->cell->count; t++)
            values[t] = ws_report_value(&line->cell->trials[t], line->score, metric->name);
        ws_statistics s = ws_statistics_of(values, line->cell->count);
        if (!line->score || s.n == 0)
            continue;
        ws_report_add_head(table, line);
        ws_table_addf(table, "%s %s %g", metric->name, metric->higher_is_better ? "≥" : "<", target);
        ws_report_add_value(table, line->cell, values, false, 4);
        ws_table_addf(table, isnan(s.low) ? "n/a" : "%.4f to %.4f", s.low, s.high);
        add_verdict(table, &s, target, metric->higher_is_better);
    }
    return WS_OK;
}

ws_err ws_report_targets_table(const ws_report *report, size_t begin, size_t end, ws_document *out)
{
    static const char *const heads[] = {"model", "score", "target", "mean", "95 % interval", "verdict"};
    const cJSON *targets = ws_json_find(ws_json_root(report->manifest), "specification.comparison.targets"), *target;
    ws_report_grid grid;
    if (cJSON_GetArraySize(targets) == 0)
        return WS_OK;
    WS_TRY(ws_report_grid_create(report, begin, end, 1, &grid));
    ws_err error = WS_OK;
    ws_table *table = ws_document_table(out, "Targets frozen with the sweep");
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++)
        ws_table_add_column(table, heads[i], i == 3 || i == 4);
    cJSON_ArrayForEach(target, targets)
    {
        const ws_metric *metric = ws_metric_find(target->string);
        if (metric && cJSON_IsNumber(target) && error == WS_OK)
            error = add_target(&grid, metric, target->valuedouble, table);
    }
    ws_report_grid_destroy(&grid);
    return error;
}
