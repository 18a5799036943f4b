/* The values of a section's table, line by line, how they are shown, and which of them the best is not told from. */
#include "report/internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static ws_err add_line(ws_report_grid *grid, const ws_report_cell *cell, const char *score)
{
    WS_TRY(WS_GROW(grid->lines, grid->line_capacity, grid->line_count + 1));
    grid->lines[grid->line_count++] = (ws_report_line){cell, score};
    return WS_OK;
}

static ws_err make_grid(const ws_report *report, size_t begin, size_t end, ws_report_grid *grid)
{
    for (size_t c = begin; c < end; c++) {
        const ws_report_cell *cell = &report->cells[c];
        if (cell->scores.count == 0)
            WS_TRY(add_line(grid, cell, NULL));
        for (size_t k = 0; k < cell->scores.count; k++)
            WS_TRY(add_line(grid, cell, cell->scores.items[k]));
    }
    WS_TRY(WS_NEW_ARRAY(grid->values, grid->line_count * grid->columns));
    WS_TRY(WS_NEW_ARRAY(grid->bold, grid->line_count * grid->columns));
    for (size_t i = 0; i < grid->line_count * grid->columns; i++) {
        size_t trials = grid->lines[i / grid->columns].cell->count;
        WS_TRY(WS_NEW_ARRAY(grid->values[i], trials));
        for (size_t t = 0; t < trials; t++)
            grid->values[i][t] = NAN;
    }
    return WS_OK;
}

ws_err ws_report_grid_create(const ws_report *report, size_t begin, size_t end, size_t columns, ws_report_grid *out)
{
    *out = (ws_report_grid){.columns = columns};
    ws_err error = make_grid(report, begin, end, out);
    if (error != WS_OK)
        ws_report_grid_destroy(out);
    return error;
}

void ws_report_grid_destroy(ws_report_grid *grid)
{
    for (size_t i = 0; grid->values && i < grid->line_count * grid->columns; i++)
        free(grid->values[i]);
    free(grid->values);
    free(grid->bold);
    free(grid->lines);
    *grid = (ws_report_grid){0};
}

double *ws_report_grid_values(const ws_report_grid *grid, size_t line, size_t column)
{
    return grid->values[line * grid->columns + column];
}

/* ---------------------------------------------------------------- pairs */

static bool same_seeds(const ws_report_trial *a, const ws_report_trial *b)
{
    bool split = a->protocol_seed == b->protocol_seed || (isnan(a->protocol_seed) && isnan(b->protocol_seed));
    return split && (a->train_seed == b->train_seed || isnan(a->train_seed) || isnan(b->train_seed));
}

/* Values of the same seeds side by side; *alone: no value is used twice. */
static size_t align(const ws_report_cell *a, const double *values_a, const ws_report_cell *b, const double *values_b,
                    double *out_a, double *out_b, bool *alone)
{
    size_t pairs = 0;
    *alone = true;
    for (size_t i = 0; i < a->count; i++) {
        size_t partners = 0;
        for (size_t k = 0; k < b->count; k++) {
            if (!same_seeds(&a->trials[i], &b->trials[k]) || isnan(values_a[i]) || isnan(values_b[k]))
                continue;
            for (size_t earlier = 0; earlier < i; earlier++)
                *alone = *alone && !(same_seeds(&a->trials[earlier], &b->trials[k]) && !isnan(values_a[earlier]));
            *alone = *alone && ++partners == 1;
            out_a[pairs] = values_a[i];
            out_b[pairs++] = values_b[k];
        }
    }
    return pairs;
}

static size_t defined(const double *values, size_t n, double *out)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++)
        if (!isnan(values[i]))
            out[count++] = values[i];
    return count;
}

ws_err ws_report_pair(const ws_report_cell *a, const double *values_a, const ws_report_cell *b, const double *values_b,
                      ws_report_pairing *out)
{
    double *left = NULL, *right = NULL;
    bool alone;
    ws_err error = WS_OK;
    ws_statistics of_a = ws_statistics_of(values_a, a->count), of_b = ws_statistics_of(values_b, b->count);
    WS_TRY_GOTO(done, WS_NEW_ARRAY(left, a->count * b->count));
    WS_TRY_GOTO(done, WS_NEW_ARRAY(right, a->count * b->count));
    size_t pairs = align(a, values_a, b, values_b, left, right, &alone);
    WS_TRY_GOTO(done, ws_compare_paired(left, right, pairs, &out->paired));
    out->welch = ws_compare_welch(of_a.mean, of_a.deviation, (double)of_a.n, of_b.mean, of_b.deviation, (double)of_b.n);
    size_t n = defined(values_a, a->count, left), m = defined(values_b, b->count, right);
    WS_TRY_GOTO(done, ws_compare_unpaired(left, n, right, m, &out->unpaired));
    out->testable = of_a.deviation > 0 && of_b.deviation > 0 && alone;
done:
    free(left);
    free(right);
    return error;
}

static ws_err mark(ws_report_grid *grid, size_t column, size_t best, double *p, double *corrected)
{
    double mean = NAN;
    for (size_t i = 0; i < grid->line_count; i++) {
        ws_report_pairing pairing;
        const ws_report_line *line = &grid->lines[i], *top = &grid->lines[best];
        const double *values = ws_report_grid_values(grid, i, column),
                     *highest = ws_report_grid_values(grid, best, column);
        p[i] = NAN;
        if (i == best)
            mean = ws_statistics_of(highest, top->cell->count).mean;
        if (i == best || !line->score)
            continue;
        WS_TRY(ws_report_pair(top->cell, highest, line->cell, values, &pairing));
        if (pairing.testable)
            p[i] = pairing.paired.n > 1 ? pairing.paired.p : pairing.welch.p;
    }
    WS_TRY(ws_correct_holm(p, grid->line_count, corrected));
    for (size_t i = 0; i < grid->line_count; i++)
        grid->bold[i * grid->columns + column] =
            i == best || corrected[i] >= 0.05 ||
            ws_statistics_of(ws_report_grid_values(grid, i, column), grid->lines[i].cell->count).mean == mean;
    return WS_OK;
}

ws_err ws_report_grid_mark_best(ws_report_grid *grid, size_t column, bool higher_is_better)
{
    double *p = NULL, *corrected = NULL, highest = -INFINITY;
    size_t best = 0, candidates = 0;
    for (size_t i = 0; i < grid->line_count; i++) {
        double mean = ws_statistics_of(ws_report_grid_values(grid, i, column), grid->lines[i].cell->count).mean;
        mean = higher_is_better ? mean : -mean;
        candidates += !isnan(mean);
        if (mean > highest) {
            highest = mean;
            best = i;
        }
    }
    if (candidates < 2)
        return WS_OK;
    ws_err error = WS_NEW_ARRAY(p, grid->line_count);
    if (error == WS_OK)
        error = WS_NEW_ARRAY(corrected, grid->line_count);
    if (error == WS_OK)
        error = mark(grid, column, best, p, corrected);
    free(p);
    free(corrected);
    return error;
}

/* ---------------------------------------------------------------- cells */

void ws_report_add_head(ws_table *table, const ws_report_line *line)
{
    const ws_report_cell *cell = line->cell;
    ws_table_cell *model = ws_table_add(table, cell->model);
    model->slanted = cell->baseline;
    model->rest =
        ws_format("%s%s%s", cell->options[0] ? " " : "", cell->options, cell->synthetic ? " (synthetic)" : "");
    table->out_of_memory = table->out_of_memory || !model->rest;
    ws_table_add(table, line->score ? line->score : "—");
}

/* "seed 3: 0.974", a line for each trial. */
static char *describe_values(const ws_report_cell *cell, const double *values)
{
    ws_text text = {0};
    for (size_t t = 0; t < cell->count; t++) {
        const ws_report_trial *trial = &cell->trials[t];
        ws_text_append(&text, t ? "\n" : "");
        if (!isnan(trial->protocol_seed))
            ws_text_appendf(&text, "split %.0f%s", trial->protocol_seed, isnan(trial->train_seed) ? ": " : ", ");
        if (!isnan(trial->train_seed))
            ws_text_appendf(&text, "seed %.0f: ", trial->train_seed);
        if (trial->state != WS_REPORT_DONE)
            ws_text_append(&text, trial->state == WS_REPORT_FAILED ? "failed" : "not run");
        else if (isnan(values[t]))
            ws_text_append(&text, "not defined");
        else
            ws_text_appendf(&text, "%.6g", values[t]);
    }
    if (text.out_of_memory)
        ws_text_destroy(&text);
    return text.data;
}

static void value_text(ws_text *out, const ws_report_cell *cell, const ws_statistics *s, int decimals)
{
    int digits = abs(decimals);
    char text[64];
    if (s->n == 0) {
        ws_text_append(out, "n/a");
        return;
    }
    snprintf(text, sizeof text, decimals < 0 ? "%.*g" : "%.*f", digits, s->mean);
    ws_text_append(out, text);
    if (isnan(s->deviation)) {
        ws_text_append(out, " ± n/a");
    } else if (decimals > 0 && s->deviation > 0 && s->deviation < 0.5 * pow(10, -digits)) {
        ws_text_appendf(out, " ± <%.*f", digits, pow(10, -digits)); /* small is not zero */
    } else {
        snprintf(text, sizeof text, decimals < 0 ? "%.*g" : "%.*f", digits, s->deviation);
        ws_text_appendf(out, " ± %s", text);
    }
    if (s->n < cell->done)
        ws_text_appendf(out, " (n %zu)", s->n); /* not defined in the other trials */
}

/* A deterministic method has one trial a split, so its spread is that over splits, and n/a where there is one. */
void ws_report_add_value(ws_table *table, const ws_report_cell *cell, const double *values, bool bold, int decimals)
{
    ws_statistics s = ws_statistics_of(values, cell->count);
    ws_text text = {0};
    value_text(&text, cell, &s, decimals);
    ws_table_cell *added = ws_table_add(table, ws_text_string(&text));
    added->bold = bold;
    added->detail = cell->count > 1 ? describe_values(cell, values) : NULL;
    added->rest = s.n > 0 && cell->done < cell->count ? strdup("‡") : NULL;
    ws_text_destroy(&text);
}
