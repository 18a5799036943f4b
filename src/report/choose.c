/* What comes out when sigma is not set but chosen: for each model whose cells differ in model.sigma alone, a line in which
 * every seed has the sigma with the highest "shuffled_auroc" of that seed, a value that normal validation rows alone decide
 * (evaluate.criterion). The choice is made for each score by itself; test rows have no part in it. Between equal values the
 * first in the order of the table is taken.
 */
#include "report/internal.h"

#include <math.h>
#include <stdlib.h>

static const char criterion[] = "shuffled_auroc";

/* The configuration without sigma, as text; nothing where it has none. */
static ws_err describe_rest(const ws_report_cell *cell, ws_text *out, double *sigma)
{
    *sigma = cJSON_GetNumberValue(ws_json_find(cell->config, "model.sigma"));
    if (isnan(*sigma))
        return WS_OK;
    cJSON *rest = cJSON_Duplicate(cell->config, true);
    WS_CHECK(rest, MEMORY, "no memory for the table");
    cJSON_DeleteItemFromObjectCaseSensitive(cJSON_GetObjectItemCaseSensitive(rest, "model"), "sigma");
    ws_err error = ws_json_canonical(rest, out);
    cJSON_Delete(rest);
    return error;
}

typedef struct alternatives {
    size_t *cells, count; /* into the report's cells */
    const double *sigma;  /* of all cells */
} alternatives;

/* Of all alternatives' trials with these seeds, the one with the best criterion; NULL where none has one. */
static const ws_report_trial *best_trial(const ws_report *report, const alternatives *a, const char *score,
                                         const ws_report_trial *like, double *sigma)
{
    const ws_report_trial *best = NULL;
    double highest = -INFINITY;
    for (size_t i = 0; i < a->count; i++) {
        const ws_report_cell *cell = &report->cells[a->cells[i]];
        for (size_t t = 0; t < cell->count; t++) {
            const ws_report_trial *trial = &cell->trials[t];
            double value = ws_report_value(trial, score, criterion);
            if (trial->train_seed != like->train_seed || trial->protocol_seed != like->protocol_seed ||
                !(value > highest))
                continue;
            best = trial;
            highest = value;
            *sigma = a->sigma[a->cells[i]];
        }
    }
    return best;
}

/* What tells `options` apart but sigma: its words without "sigma=...". */
static void name_rest(const char *options, ws_text *out)
{
    for (const char *at = options; *at; at += strspn(at, " ")) {
        size_t length = strcspn(at, " ");
        if (strncmp(at, "sigma=", 6) != 0) {
            ws_text_append_bytes(out, at, length);
            ws_text_append(out, " ");
        }
        at += length;
    }
}

/* "coupling=ot sigma chosen on normal validation rows: 0.1 x4, 0.3 x1" */
static ws_err name_choice(ws_report *report, const double *chosen, size_t count, const alternatives *a,
                          ws_report_cell *out)
{
    ws_text text = {0};
    name_rest(out->options, &text);
    ws_text_append(&text, "sigma chosen on normal validation rows:");
    for (size_t i = 0, named = 0; i < a->count; i++) {
        size_t times = 0;
        for (size_t k = 0; k < count; k++)
            times += chosen[k] == a->sigma[a->cells[i]];
        if (times)
            ws_text_appendf(&text, "%s %g x%zu", named++ ? "," : "", a->sigma[a->cells[i]], times);
    }
    ws_err error = ws_text_check(&text);
    if (error == WS_OK)
        out->options = ws_arena_strdup(report->arena, ws_text_string(&text));
    ws_text_destroy(&text);
    WS_TRY(error);
    WS_CHECK(out->options, MEMORY, "no memory for the table");
    return WS_OK;
}

/* The line of one score; its trials are borrowed. */
static ws_err add_line(ws_report *report, const alternatives *a, const char *const *score, size_t *capacity)
{
    const ws_report_cell *first = &report->cells[a->cells[0]];
    ws_report_cell line = *first;
    double *chosen;
    line.trials = NULL;
    line.count = line.capacity = line.done = line.failed = 0;
    line.chosen = true;
    line.scores = (ws_string_list){score, 1};
    WS_TRY(ws_arena_alloc(report->arena, &chosen, first->count, sizeof *chosen));
    WS_TRY(WS_NEW_ARRAY(line.trials, first->count));
    line.capacity = first->count;
    ws_err error = WS_OK;
    for (size_t t = 0; t < first->count; t++) {
        const ws_report_trial *best = best_trial(report, a, *score, &first->trials[t], &chosen[line.done]);
        if (best)
            line.trials[line.count++] = *best;
        line.done = line.count;
    }
    if (line.count > 0)
        error = name_choice(report, chosen, line.count, a, &line);
    if (error == WS_OK && line.count > 0)
        error = WS_GROW(report->cells, *capacity, report->count + 1);
    if (error == WS_OK && line.count > 0)
        report->cells[report->count++] = line;
    else
        free(line.trials);
    return error;
}

/* rest: of all cells, empty where there is no sigma */
static bool same_but_sigma(const ws_report *report, const ws_text *rest, size_t a, size_t b)
{
    return ws_report_same_section(&report->cells[a], &report->cells[b]) && rest[a].length > 0 &&
           rest[a].length == rest[b].length && strcmp(ws_text_string(&rest[a]), ws_text_string(&rest[b])) == 0;
}

ws_err ws_report_add_chosen(ws_report *report)
{
    const size_t cells = report->count;
    size_t capacity = cells;
    ws_text *rest = NULL;
    double *sigma = NULL;
    alternatives a = {0};
    ws_err error = WS_OK;
    WS_TRY_GOTO(done, WS_NEW_ARRAY(rest, cells));
    WS_TRY_GOTO(done, WS_NEW_ARRAY(sigma, cells));
    WS_TRY_GOTO(done, WS_NEW_ARRAY(a.cells, cells));
    a.sigma = sigma;
    for (size_t c = 0; c < cells; c++)
        WS_TRY_GOTO(done, describe_rest(&report->cells[c], &rest[c], &sigma[c]));
    for (size_t c = 0; c < cells; c++) {
        bool first = !isnan(sigma[c]);
        a.count = 0;
        for (size_t k = 0; k < cells && first; k++) {
            if (!same_but_sigma(report, rest, c, k))
                continue;
            first = k >= c; /* else its line is there already */
            a.cells[a.count++] = k;
        }
        for (size_t s = 0; first && a.count > 1 && s < report->cells[c].scores.count; s++)
            WS_TRY_GOTO(done, add_line(report, &a, &report->cells[c].scores.items[s], &capacity));
    }
done:
    for (size_t c = 0; rest && c < cells; c++)
        ws_text_destroy(&rest[c]);
    free(rest);
    free(sigma);
    free(a.cells);
    return error;
}
