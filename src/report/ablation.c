/* What one setting changes: for each model whose cells differ, the cells that differ in that setting alone, beside the first of them
 * and compared with it by seed. Cells that differ in more are in the main table only. */
#include "report/internal.h"

#include <math.h>
#include <stdlib.h>

enum { METRICS = 64 };

/* The one word ("sigma=0.1") in which the options differ, as its place in both; false where there are several or none. Options of
 * cells of one model name the same settings in the same order. */
static bool differ_in_one(const char *a, const char *b, const char **word_a, const char **word_b)
{
    size_t found = 0;
    while (*a && *b) {
        size_t length_a = strcspn(a, " "), length_b = strcspn(b, " "), name = strcspn(a, "=");
        if (name >= length_a || strncmp(a, b, name + 1) != 0)
            return false;
        if (length_a != length_b || strncmp(a, b, length_a) != 0) {
            found++;
            *word_a = a;
            *word_b = b;
        }
        a += length_a + strspn(a + length_a, " ");
        b += length_b + strspn(b + length_b, " ");
    }
    return found == 1 && !*a && !*b;
}

/* Whether a line's cell is the first of those that differ from it in this setting alone: then it is what they are compared with. */
static bool is_first(const ws_report_grid *grid, size_t line, size_t first_of_model, const char *word)
{
    const char *options = grid->lines[line].cell->options, *own, *other;
    for (size_t i = first_of_model; i < line; i++)
        if (differ_in_one(options, grid->lines[i].cell->options, &own, &other) && own == word)
            return false;
    return true;
}

static void add_setting(ws_table *table, const char *word)
{
    ws_table_addf(table, "%.*s", (int)strcspn(word, " "), word);
}

static ws_err add_line(const ws_report_grid *grid, size_t base, size_t line, const char *word, ws_table *table)
{
    const ws_report_line *own = &grid->lines[line], *first = &grid->lines[base];
    const double *values = ws_report_grid_values(grid, line, 0);
    ws_report_pairing pairing;
    ws_report_add_head(table, own);
    add_setting(table, word);
    ws_report_add_value(table, own->cell, values, false, 4);
    if (base == line) {
        ws_table_add(table, "—");
        ws_table_add(table, "");
        ws_table_add(table, "");
        return WS_OK;
    }
    WS_TRY(ws_report_pair(own->cell, values, first->cell, ws_report_grid_values(grid, base, 0), &pairing));
    const ws_paired *p = &pairing.paired;
    ws_table_addf(table, isnan(p->difference) ? "n/a" : "%+.4f", p->difference);
    ws_table_addf(table, isnan(p->low) ? "n/a" : "%+.4f to %+.4f", p->low, p->high);
    ws_table_addf(table, !pairing.testable || isnan(p->p) ? "n/a" : "%.4f", p->p);
    return WS_OK;
}

/* The group that `base` begins for one of its settings, if there is more than it. */
static ws_err add_group(const ws_report_grid *grid, size_t base, size_t end, const char *word, ws_table *table)
{
    bool any = false;
    for (size_t i = base + 1; i < end; i++) {
        const char *own, *other;
        if (!grid->lines[i].score || strcmp(grid->lines[i].score, grid->lines[base].score) != 0 ||
            !differ_in_one(grid->lines[base].cell->options, grid->lines[i].cell->options, &own, &other) || own != word)
            continue;
        if (!any)
            WS_TRY(add_line(grid, base, base, word, table));
        any = true;
        WS_TRY(add_line(grid, base, i, other, table));
    }
    return WS_OK;
}

static ws_err add_models(const ws_report_grid *grid, ws_table *table)
{
    for (size_t begin = 0, end; begin < grid->line_count; begin = end) {
        const char *model = grid->lines[begin].cell->model;
        for (end = begin; end < grid->line_count && strcmp(grid->lines[end].cell->model, model) == 0;)
            end++;
        for (size_t i = begin; i < end; i++) {
            const char *options = grid->lines[i].cell->options;
            if (!grid->lines[i].score || grid->lines[i].cell->chosen)
                continue;
            for (const char *word = options; *word; word += strcspn(word, " "), word += strspn(word, " "))
                if (is_first(grid, i, begin, word))
                    WS_TRY(add_group(grid, i, end, word, table));
        }
    }
    return WS_OK;
}

ws_err ws_report_ablation_table(const ws_report *report, size_t begin, size_t end, ws_document *out)
{
    static const char *const heads[] = {"model",         "score", "setting", "", "difference to the first",
                                        "95 % interval", "p"};
    const ws_metric *metrics[METRICS];
    ws_report_grid grid;
    bool several = false;
    for (size_t c = begin; c + 1 < end && !several; c++)
        several = !report->cells[c].chosen && report->cells[c].options[0] &&
                  strcmp(report->cells[c].model, report->cells[c + 1].model) == 0;
    if (!several || ws_report_metrics(report, begin, end, metrics, METRICS) == 0)
        return WS_OK;
    WS_TRY(ws_report_grid_create(report, begin, end, 1, &grid));
    for (size_t i = 0; i < grid.line_count; i++)
        for (size_t t = 0; grid.lines[i].score && t < grid.lines[i].cell->count; t++)
            ws_report_grid_values(&grid, i, 0)[t] =
                ws_report_value(&grid.lines[i].cell->trials[t], grid.lines[i].score, metrics[0]->name);
    ws_table *table =
        ws_document_table(out, "One setting changed at a time (paired by seed, p uncorrected: for orientation)");
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++)
        ws_table_add_column(table, heads[i][0] ? heads[i] : metrics[0]->name, i > 2);
    ws_err error = add_models(&grid, table);
    ws_report_grid_destroy(&grid);
    return error;
}
