/* Values that look too good: near-perfect ones beside a leak that the audit found, and tasks that one raw column solves. */
#include "report/internal.h"

#include <math.h>

static const double near_perfect = 0.99, some_rows = 0.01;
enum { METRICS = 64 };

/* The largest share, over the finished trials, of test rows that the audit found in the training rows. */
static double leaked(const ws_report *report, size_t begin, size_t end, const char *key)
{
    double most = 0;
    for (size_t c = begin; c < end; c++)
        for (size_t t = 0; t < report->cells[c].count; t++) {
            const cJSON *record = report->cells[c].trials[t].record;
            double rows = cJSON_GetNumberValue(ws_json_find(record, key)),
                   of = cJSON_GetNumberValue(ws_json_find(record, "result.counts.test"));
            if (of > 0 && rows / of > most)
                most = rows / of;
        }
    return most;
}

static ws_err check_line(const ws_report_cell *cell, const char *score, const ws_metric *metric, double duplicates,
                         double sessions, ws_text *out)
{
    ws_statistics s;
    WS_TRY(ws_report_cell_statistics(cell, score, metric->name, &s));
    if (!(s.mean >= near_perfect) || !metric->higher_is_better)
        return WS_OK;
    if (cell->baseline) {
        ws_text_appendf(out, "\n**Too easy?** %s alone reaches %s %.4f: the answer follows from one raw column.\n",
                        cell->model, metric->name, s.mean);
        return WS_OK;
    }
    if (duplicates < some_rows && sessions < some_rows)
        return WS_OK;
    ws_text_append(out, "\n**Too good?** ");
    ws_report_markdown_text(out, cell->model);
    ws_text_appendf(
        out,
        "%s%s, %s: %s %.4f, where up to %.1f %% of the test rows have an exact duplicate and %.1f %% a flow of "
        "the same session among the training rows.\n",
        cell->options[0] ? " " : "", cell->options, score, metric->name, s.mean, 100 * duplicates, 100 * sessions);
    return WS_OK;
}

ws_err ws_report_alarms(const ws_report *report, size_t begin, size_t end, ws_text *out)
{
    const ws_metric *metrics[METRICS];
    if (ws_report_metrics(report, begin, end, metrics, METRICS) == 0)
        return WS_OK;
    double duplicates = leaked(report, begin, end, "result.audit.test_in_train.duplicates"),
           sessions = leaked(report, begin, end, "result.audit.test_in_train.sessions");
    for (size_t c = begin; c < end; c++)
        for (size_t k = 0; k < report->cells[c].scores.count; k++)
            WS_TRY(
                check_line(&report->cells[c], report->cells[c].scores.items[k], metrics[0], duplicates, sessions, out));
    return WS_OK;
}
