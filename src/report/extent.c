/* How much stands behind the numbers of a section: the rows of each part over the seeds, the rows that are in none, and for each
 * model that is trained in steps how long that went on. A reader who compares two models must see what each was given. */
#include "report/internal.h"

#include <math.h>
#include <stdlib.h>

typedef struct range {
    double least, most;
} range;

static void widen(range *r, double value)
{
    if (isnan(value))
        return;
    r->least = isnan(r->least) || value < r->least ? value : r->least;
    r->most = isnan(r->most) || value > r->most ? value : r->most;
}

static void append_range(ws_text *out, range r, int decimals)
{
    ws_text_appendf(out, "%.*f", decimals, r.least);
    if (r.most > r.least)
        ws_text_appendf(out, " to %.*f", decimals, r.most);
}

/* Rows of the store that are in no part, so that nobody takes the parts for the whole. */
static void write_left_out(ws_text *out, const cJSON *counts)
{
    double unlabelled = cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(counts, "rows_unlabelled"));
    double small = cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(counts, "rows_left_out"));
    double thinned = cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(counts, "rows_thinned"));
    if (isnan(unlabelled) || isnan(small)) /* records of an older program do not say it */
        return;
    if (unlabelled > 0 || small > 0 || thinned > 0)
        ws_text_appendf(out, "; left out: %.0f without label, %.0f of classes too small", unlabelled, small);
    const char *names = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(counts, "classes_left_out"));
    if (small > 0 && names != NULL)
        ws_text_appendf(out, ": %s", names);
    if (thinned > 0)
        ws_text_appendf(out, "%s %.0f of classes cut to maximum_rows", names ? ";" : ",", thinned);
}

/* Some splits give each seed other numbers of rows. */
static void write_rows(ws_text *out, const ws_report *report, size_t begin, size_t end)
{
    static const char *const parts[] = {"train", "validation", "test"};
    const cJSON *first = NULL;
    range rows[3] = {{NAN, NAN}, {NAN, NAN}, {NAN, NAN}};
    for (size_t c = begin; c < end; c++)
        for (size_t t = 0; t < report->cells[c].count; t++) {
            const cJSON *counts = ws_json_find(report->cells[c].trials[t].record, "result.counts");
            first = first ? first : counts;
            for (size_t i = 0; i < 3; i++)
                widen(&rows[i], cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(counts, parts[i])));
        }
    if (!first)
        return;
    for (size_t i = 0; i < 3; i++) {
        if (isnan(rows[i].least))
            continue;
        ws_text_appendf(out, "%s%s ", i ? ", " : "Rows: ", parts[i]);
        append_range(out, rows[i], 0);
    }
    double classes = cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(first, "classes"));
    if (!isnan(classes))
        ws_text_appendf(out, "; %.0f classes", classes);
    write_left_out(out, first);
    ws_text_append(out, ".\n");
}

/* "500 steps of 256 rows, the training rows 26.3 times over; kept: step 350 to 475"; nothing where no record says it. */
static void describe_training(const ws_report_cell *cell, ws_text *out)
{
    double batch = cJSON_GetNumberValue(ws_json_find(cell->config, "train.batch"));
    range steps = {NAN, NAN}, kept = {NAN, NAN}, passes = {NAN, NAN};
    for (size_t t = 0; t < cell->count; t++) {
        const cJSON *record = cell->trials[t].record;
        double taken = cJSON_GetNumberValue(ws_json_find(record, "result.training.steps"));
        widen(&steps, taken);
        widen(&kept, cJSON_GetNumberValue(ws_json_find(record, "result.training.selected_step")));
        widen(&passes, taken * batch / cJSON_GetNumberValue(ws_json_find(record, "result.counts.train")));
    }
    if (isnan(passes.least))
        return;
    append_range(out, steps, 0);
    ws_text_appendf(out, " steps of %.0f rows, the training rows ", batch);
    append_range(out, passes, 1);
    ws_text_append(out, " times over");
    if (kept.least < steps.least || kept.most < steps.most) {
        ws_text_append(out, ", step ");
        append_range(out, kept, 0);
        ws_text_append(out, " kept");
    }
}

/* cells[begin .. end): one model; said once where it is the same for all of them, with the options of each where it is not. */
static ws_err write_model(ws_text *out, const ws_report *report, size_t begin, size_t end, bool *any)
{
    ws_text first = {0}, now = {0};
    bool same = true;
    describe_training(&report->cells[begin], &first);
    for (size_t c = begin; c < end && same; c++) {
        ws_text_clear(&now);
        describe_training(&report->cells[c], &now);
        same = report->cells[c].chosen || strcmp(ws_text_string(&now), ws_text_string(&first)) == 0;
    }
    for (size_t c = begin; c < (same ? begin + 1 : end); c++) {
        const ws_report_cell *cell = &report->cells[c];
        ws_text_clear(&now);
        if (!cell->chosen)
            describe_training(cell, &now);
        if (now.length == 0)
            continue;
        ws_text_append(out, *any ? "; " : "Trained: ");
        ws_report_markdown_text(out, cell->model);
        ws_text_append(out, same ? "" : " ");
        ws_report_markdown_text(out, same ? "" : cell->options);
        ws_text_appendf(out, " %s", ws_text_string(&now));
        *any = true;
    }
    ws_err error = ws_text_check(&now);
    error = error == WS_OK ? ws_text_check(&first) : error;
    ws_text_destroy(&first);
    ws_text_destroy(&now);
    return error;
}

/* "Trained: flow_cfm 500 steps of 256 rows, ...; tccm ..." */
static ws_err write_training(ws_text *out, const ws_report *report, size_t begin, size_t end)
{
    bool any = false;
    for (size_t first = begin, next; first < end; first = next) {
        for (next = first + 1; next < end && strcmp(report->cells[next].model, report->cells[first].model) == 0;)
            next++;
        WS_TRY(write_model(out, report, first, next, &any));
    }
    ws_text_append(out, any ? ".\n" : "");
    return WS_OK;
}

ws_err ws_report_extent_markdown(const ws_report *report, size_t begin, size_t end, ws_text *out)
{
    write_rows(out, report, begin, end);
    return write_training(out, report, begin, end);
}
