/* Every line of a section against one reference. Reference, metric, test and correction are what the sweep froze before its first
 * trial:
 *
 *   "comparison": { "reference": { "model.kind": "logistic", "score": "...", KEY: VALUE... }, "metric": "auroc",
 *                   "test": "paired_t" | "sign_flip" | "wilcoxon", "correction": "holm" | "benjamini_hochberg" }
 *
 * A sweep that names none is compared with its best single feature, by the section's first metric, the paired t test and Holm.
 */
#include "report/internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { METRICS = 64 };

static const cJSON *plan_of(const ws_report *report)
{
    return ws_json_find(ws_json_root(report->manifest), "specification.comparison");
}

static const char *plan_text(const ws_report *report, const char *key, const char *otherwise)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(plan_of(report), key));
    return text ? text : otherwise;
}

/* ---------------------------------------------------------------- the reference */

/* The score that a line of several is compared by, where the reference names none: the one configured first. */
static bool is_first_score(const ws_report_line *line)
{
    const cJSON *names = ws_json_find(line->cell->config, "evaluate.scores"), *name = NULL;
    cJSON_ArrayForEach(name, names)
    {
        for (size_t k = 0; cJSON_IsString(name) && k < line->cell->scores.count; k++)
            if (strcmp(line->cell->scores.items[k], name->valuestring) == 0)
                return strcmp(line->score, name->valuestring) == 0;
    }
    return strcmp(line->score, line->cell->scores.items[0]) == 0;
}

static bool matches(const ws_report_line *line, const cJSON *reference)
{
    const cJSON *score = cJSON_GetObjectItemCaseSensitive(reference, "score");
    if (!line->score || line->cell->chosen || (score && strcmp(cJSON_GetStringValue(score), line->score) != 0) ||
        (!score && !is_first_score(line)))
        return false;
    for (const cJSON *key = reference->child; key; key = key->next)
        if (key != score && !cJSON_Compare(key, ws_json_find(line->cell->config, key->string), true))
            return false;
    return true;
}

static bool is_best_feature(const ws_report_line *line)
{
    return line->score && line->cell->baseline && strcmp(line->cell->model, "best_single_feature") == 0;
}

static void find_reference(const ws_report *report, ws_report_comparison *out)
{
    const cJSON *reference = cJSON_GetObjectItemCaseSensitive(plan_of(report), "reference");
    size_t found = 0;
    out->frozen = reference != NULL;
    out->reference = SIZE_MAX;
    for (size_t i = 0; i < out->grid.line_count; i++) {
        const ws_report_line *line = &out->grid.lines[i];
        if (reference ? !matches(line, reference) : !is_best_feature(line))
            continue;
        out->reference = i;
        found++;
    }
    if (found != 1)
        out->reference = SIZE_MAX;
    if (found > 1)
        snprintf(out->complaint, sizeof out->complaint,
                 "%zu lines are what the sweep calls its reference: no tests. More keys (\"comparison.reference\") "
                 "tell them "
                 "apart",
                 found);
    else if (found == 0 && reference)
        snprintf(out->complaint, sizeof out->complaint, "No line is what the sweep calls its reference: no tests");
    else if (found == 0)
        snprintf(out->complaint, sizeof out->complaint,
                 "The sweep names no reference (\"comparison\") and has no baselines: no tests");
}

/* ---------------------------------------------------------------- tests */

static double chosen_p(const ws_report_comparison *c, const ws_report_pairing *pairing)
{
    if (!pairing->testable)
        return NAN;
    if (pairing->paired.n < 2)
        return pairing->welch.p;
    return strcmp(c->test, "sign_flip") == 0  ? pairing->paired.flip_p
           : strcmp(c->test, "wilcoxon") == 0 ? pairing->paired.rank_p
                                              : pairing->paired.p;
}

static ws_err run_tests(ws_report_comparison *c)
{
    size_t lines = c->grid.line_count;
    WS_TRY(WS_NEW_ARRAY(c->pairing, lines));
    WS_TRY(WS_NEW_ARRAY(c->p, lines));
    WS_TRY(WS_NEW_ARRAY(c->corrected, lines));
    for (size_t i = 0; i < lines; i++) {
        const ws_report_line *line = &c->grid.lines[i];
        double *values = ws_report_grid_values(&c->grid, i, 0);
        for (size_t t = 0; line->score && t < line->cell->count; t++)
            values[t] = ws_report_value(&line->cell->trials[t], line->score, c->metric->name);
    }
    for (size_t i = 0; i < lines; i++) {
        c->p[i] = NAN;
        if (c->reference == SIZE_MAX || i == c->reference || !c->grid.lines[i].score)
            continue;
        WS_TRY(ws_report_pair(c->grid.lines[i].cell, ws_report_grid_values(&c->grid, i, 0),
                              c->grid.lines[c->reference].cell, ws_report_grid_values(&c->grid, c->reference, 0),
                              &c->pairing[i]));
        c->p[i] = chosen_p(c, &c->pairing[i]);
    }
    if (strcmp(c->correction, "benjamini_hochberg") == 0)
        return ws_correct_benjamini_hochberg(c->p, lines, c->corrected);
    return ws_correct_holm(c->p, lines, c->corrected);
}

ws_err ws_report_compare(const ws_report *report, size_t begin, size_t end, ws_report_comparison *out)
{
    const ws_metric *metrics[METRICS];
    size_t count = ws_report_metrics(report, begin, end, metrics, METRICS);
    *out = (ws_report_comparison){.reference = SIZE_MAX};
    out->metric = count ? metrics[0] : NULL;
    for (size_t m = 0; m < count; m++)
        if (strcmp(metrics[m]->name, plan_text(report, "metric", "")) == 0)
            out->metric = metrics[m];
    out->test = plan_text(report, "test", "paired_t");
    out->correction = plan_text(report, "correction", "holm");
    if (!out->metric)
        return WS_OK;
    ws_err error = ws_report_grid_create(report, begin, end, 1, &out->grid);
    if (error == WS_OK) {
        find_reference(report, out);
        error = run_tests(out);
    }
    if (error != WS_OK)
        ws_report_comparison_destroy(out);
    return error;
}

void ws_report_comparison_destroy(ws_report_comparison *c)
{
    ws_report_grid_destroy(&c->grid);
    free(c->pairing);
    free(c->p);
    free(c->corrected);
    c->pairing = NULL;
    c->p = c->corrected = NULL;
}

/* ---------------------------------------------------------------- the table */

static void add_p(ws_table *table, double p)
{
    if (isnan(p))
        ws_table_add(table, "n/a");
    else if (p < 0.0001)
        ws_table_add(table, "<0.0001");
    else
        ws_table_addf(table, "%.4f", p);
}

/* "8 (13)": at the deviation that was measured, and at what the true one is not above with 80 %. */
static void add_seeds(ws_table *table, const ws_report_pairing *pairing)
{
    const ws_paired *p = &pairing->paired;
    if (!pairing->testable || p->n < 2 || !(p->deviation > 0)) {
        ws_table_add(table, "n/a");
        return;
    }
    size_t needed = ws_seeds_needed(p->difference / p->deviation, 0.8),
           careful = ws_seeds_needed(p->difference / ws_deviation_bound(p->deviation, p->n), 0.8);
    if (needed == 0)
        ws_table_add(table, ">1000");
    else if (careful == 0)
        ws_table_addf(table, "%zu (>1000)", needed);
    else
        ws_table_addf(table, "%zu (%zu)", needed, careful);
}

static void add_line(const ws_report_comparison *c, size_t line, ws_table *table)
{
    const ws_report_pairing *pairing = &c->pairing[line];
    const ws_paired *p = &pairing->paired;
    ws_report_add_head(table, &c->grid.lines[line]);
    ws_table_addf(table, "%zu", p->n);
    if (isnan(p->difference))
        ws_table_add(table, "n/a");
    else
        ws_table_addf(table, "%+.4f", p->difference);
    if (isnan(p->low))
        ws_table_add(table, "n/a");
    else
        ws_table_addf(table, "%+.4f to %+.4f", p->low, p->high);
    add_p(table, c->p[line]);
    add_p(table, c->corrected[line]);
    add_p(table, pairing->testable ? p->flip_p : NAN);
    add_p(table, pairing->testable ? p->rank_p : NAN);
    add_seeds(table, pairing);
}

static void add_words(const ws_report_comparison *c, ws_text *out)
{
    size_t tests = 0, least = SIZE_MAX, most = 0;
    for (size_t i = 0; i < c->grid.line_count; i++) {
        if (isnan(c->p[i]))
            continue;
        tests++;
        least = c->pairing[i].paired.n < least ? c->pairing[i].paired.n : least;
        most = c->pairing[i].paired.n > most ? c->pairing[i].paired.n : most;
    }
    ws_text_appendf(out, "\nThe reference was %s; test: %s, %zu of them, corrected by %s.",
                    c->frozen ? "frozen with the sweep, before its first trial"
                              : "not named by the sweep: its best single feature",
                    c->test, tests, c->correction);
    if (tests)
        ws_text_appendf(out, " The smallest p that sign flips and signed ranks can reach with %zu pairs: %.4g.", most,
                        2 * pow(0.5, (double)most));
    if (tests && strcmp(c->correction, "holm") == 0 && (double)tests * 2 * pow(0.5, (double)most) > 0.05)
        ws_text_appendf(out, " With %zu comparison%s neither can be significant at 5 %% after Holm.", tests,
                        tests == 1 ? "" : "s");
    if (tests && least < 2)
        ws_text_append(out, " Lines without common seeds: Welch's test.");
    ws_text_append(
        out, " Seeds: for 80 % power at the spread measured (at the largest it is likely to be); more seeds may be "
             "planned from it, not added until something is significant.\n");
}

ws_err ws_report_comparison_table(const ws_report *report, size_t begin, size_t end, ws_document *out)
{
    static const char *const heads[] = {"model", "score",       "pairs",      "difference",   "95 % interval",
                                        "p",     "p corrected", "sign flips", "signed ranks", "seeds for 80 %"};
    ws_report_comparison c;
    WS_TRY(ws_report_compare(report, begin, end, &c));
    if (c.metric && c.grid.line_count > 1 && c.reference == SIZE_MAX && c.complaint[0])
        ws_text_appendf(ws_document_text(out), "\n%s.\n", c.complaint);
    if (c.metric && c.grid.line_count > 1 && c.reference != SIZE_MAX) {
        const ws_report_line *reference = &c.grid.lines[c.reference];
        ws_text caption = {0};
        ws_text_appendf(&caption, "%s less that of %s%s%s, %s", c.metric->name, reference->cell->model,
                        reference->cell->options[0] ? " " : "", reference->cell->options, reference->score);
        ws_table *table = ws_document_table(out, ws_text_string(&caption));
        ws_text_destroy(&caption);
        for (size_t i = 0; i < sizeof heads / sizeof *heads; i++)
            ws_table_add_column(table, heads[i], i > 1);
        for (size_t i = 0; i < c.grid.line_count; i++)
            if (i != c.reference && c.grid.lines[i].score)
                add_line(&c, i, table);
        add_words(&c, ws_document_text(out));
    }
    ws_report_comparison_destroy(&c);
    return WS_OK;
}

/* ---------------------------------------------------------------- for programs */

static ws_err write_line(const ws_report_comparison *c, size_t i, ws_text *out)
{
    const ws_report_line *line = &c->grid.lines[i], *reference = &c->grid.lines[c->reference];
    const ws_report_pairing *pairing = &c->pairing[i];
    const ws_paired *p = &pairing->paired;
    ws_report_csv_cell(out, line->cell);
    const char *const texts[] = {line->score,
                                 reference->cell->id,
                                 reference->cell->model,
                                 reference->score,
                                 c->frozen ? "frozen" : "best_single_feature",
                                 c->metric->name,
                                 c->test,
                                 c->correction};
    for (size_t k = 0; k < sizeof texts / sizeof *texts; k++)
        ws_report_csv_text(out, texts[k]);
    double effect = p->deviation > 0 ? p->difference / p->deviation : NAN;
    size_t seeds = isnan(effect) ? 0 : ws_seeds_needed(effect, 0.8);
    double *values = ws_report_grid_values(&c->grid, i, 0), middle = NAN;
    size_t defined = 0;
    for (size_t t = 0; t < line->cell->count; t++)
        if (!isnan(values[t]))
            values[defined++] = values[t];
    if (defined > 0)
        WS_TRY(ws_interquartile_mean(values, defined, &middle));
    const double numbers[] = {(double)p->n,
                              p->difference,
                              p->deviation,
                              p->low,
                              p->high,
                              c->p[i],
                              c->corrected[i],
                              p->t,
                              p->p,
                              p->flip_p,
                              p->rank_sum,
                              p->rank_p,
                              p->least_p,
                              pairing->welch.t,
                              pairing->welch.degrees,
                              pairing->welch.p,
                              pairing->unpaired.u,
                              pairing->unpaired.p,
                              pairing->unpaired.improved,
                              pairing->unpaired.epsilon,
                              seeds ? (double)seeds : NAN, /* also where 1,000 are not enough */
                              middle};
    for (size_t k = 0; k < sizeof numbers / sizeof *numbers; k++)
        ws_report_csv_number(out, numbers[k]);
    ws_text_append(out, "\n");
    return WS_OK;
}

ws_err ws_report_comparison_csv(const ws_report *report, ws_text *out)
{
    ws_text_appendf(out,
                    "%s,score,reference,reference_model,reference_score,reference_from,metric,test,correction,pairs,"
                    "difference,std,low_95,high_95,p,p_corrected,paired_t,paired_t_p,sign_flip_p,wilcoxon_w,wilcoxon_p,"
                    "least_p,welch_t,welch_degrees,welch_p,mann_whitney_u,mann_whitney_p,probability_better,"
                    "order_violation,seeds_for_80_percent,interquartile_mean\n",
                    ws_report_csv_header);
    for (size_t begin = 0, end; begin < report->count; begin = end) {
        ws_report_comparison c;
        end = ws_report_section_end(report, begin);
        WS_TRY(ws_report_compare(report, begin, end, &c));
        ws_err error = WS_OK;
        for (size_t i = 0; i < c.grid.line_count && c.reference != SIZE_MAX && error == WS_OK; i++)
            if (i != c.reference && c.grid.lines[i].score)
                error = write_line(&c, i, out);
        ws_report_comparison_destroy(&c);
        WS_TRY(error);
    }
    return ws_text_check(out);
}
