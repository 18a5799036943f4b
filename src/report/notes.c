/* What a reader must know of the values in a section's table: which trials are not in the means, where a value is not defined and
 * why, and which scores rest on solutions that were not kept to their tolerance. */
#include "report/internal.h"

#include <math.h>

static void write_line(ws_text *out, const ws_report_cell *cell, const char *score)
{
    ws_text_appendf(out, "- %s", cell->model);
    if (cell->options[0])
        ws_text_appendf(out, " %s", cell->options);
    ws_text_append(out, ", ");
    ws_report_markdown_text(out, score);
    ws_text_append(out, ": ");
}

static void write_failures(ws_text *out, const ws_report *report, size_t begin, size_t end)
{
    bool first = true;
    for (size_t c = begin; c < end; c++)
        for (size_t t = 0; t < report->cells[c].count; t++) {
            const ws_report_trial *trial = &report->cells[c].trials[t];
            if (trial->state != WS_REPORT_FAILED)
                continue;
            ws_text_append(out, first ? "\nFailed trials, not in the means:\n\n" : "");
            first = false;
            ws_text_appendf(out, "- `%s` %s", trial->id, report->cells[c].model);
            if (report->cells[c].options[0])
                ws_text_appendf(out, " %s", report->cells[c].options);
            if (!isnan(trial->train_seed))
                ws_text_appendf(out, ", seed %.0f", trial->train_seed);
            ws_text_append(out, ": ");
            ws_report_markdown_text(out, trial->reason);
            ws_text_append(out, "\n");
        }
}

static const char *reason_of(const ws_report_trial *trial, const char *score)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(ws_report_score(trial, score), "undefined"));
}

/* Each reason once, with the number of trials that give it. */
static bool write_reasons(ws_text *out, const ws_report_cell *cell, const char *score, bool first)
{
    for (size_t t = 0; t < cell->count; t++) {
        const char *reason = reason_of(&cell->trials[t], score);
        size_t trials = 0;
        bool before = false;
        for (size_t k = 0; reason && k < cell->count; k++) {
            const char *other = reason_of(&cell->trials[k], score);
            bool same = other && strcmp(other, reason) == 0;
            before = before || (same && k < t);
            trials += same;
        }
        if (!reason || before)
            continue;
        ws_text_append(out, first ? "\nNot defined (n/a above):\n\n" : "");
        first = false;
        write_line(out, cell, score);
        ws_report_markdown_text(out, reason);
        ws_text_appendf(out, " (%zu trial%s)\n", trials, trials == 1 ? "" : "s");
    }
    return first;
}

static double unsolved_of(const ws_report_trial *trial, const char *score, const char *part)
{
    const cJSON *rows = cJSON_GetObjectItemCaseSensitive(ws_report_score(trial, score), "unsolved");
    double count = cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(rows, part));
    return isnan(count) ? 0 : count;
}

static bool write_unsolved(ws_text *out, const ws_report_cell *cell, const char *score, bool first)
{
    double test = 0, validation = 0, test_rows = 0, validation_rows = 0;
    for (size_t t = 0; t < cell->count; t++) {
        const ws_report_trial *trial = &cell->trials[t];
        if (trial->state != WS_REPORT_DONE)
            continue;
        test += unsolved_of(trial, score, "test");
        validation += unsolved_of(trial, score, "validation");
        test_rows += cJSON_GetNumberValue(ws_json_find(trial->record, "result.counts.test"));
        validation_rows += cJSON_GetNumberValue(ws_json_find(trial->record, "result.counts.validation"));
    }
    if (!(test > 0 || validation > 0))
        return first;
    if (first)
        ws_text_append(
            out, "\nScores of rows that the solver could not keep to its tolerance (`model.solver_limit`), counted "
                 "with the others; over all trials:\n\n");
    write_line(out, cell, score);
    ws_text_appendf(out, "%.0f of %.0f test rows, %.0f of %.0f validation rows\n", test, test_rows, validation,
                    validation_rows);
    return false;
}

void ws_report_notes_markdown(const ws_report *report, size_t begin, size_t end, ws_text *out)
{
    bool first = true;
    write_failures(out, report, begin, end);
    for (size_t c = begin; c < end; c++)
        for (size_t k = 0; k < report->cells[c].scores.count; k++)
            first = write_reasons(out, &report->cells[c], report->cells[c].scores.items[k], first);
    first = true;
    for (size_t c = begin; c < end; c++)
        for (size_t k = 0; k < report->cells[c].scores.count; k++)
            first = write_unsolved(out, &report->cells[c], report->cells[c].scores.items[k], first);
}
