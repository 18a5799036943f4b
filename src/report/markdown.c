/* The table for people: one section for each set of rows and question, one line for each cell and score. */
#include "report/internal.h"

#include <math.h>
#include <stdlib.h>

enum { DECIMALS = 4, METRICS = 64 };

/* A text inside a table: no bars, no line ends. */
void ws_report_markdown_text(ws_text *out, const char *text)
{
    for (; *text; text++)
        ws_text_appendf(out, *text == '|' ? "\\%c" : "%c", *text == '\n' || *text == '\r' ? ' ' : *text);
}

/* A deterministic method has one trial a split, so its spread is that over splits, and n/a where there is one. */
void ws_report_markdown_value(ws_text *out, const ws_report_cell *cell, const ws_statistics *s)
{
    if (s->n == 0) {
        ws_text_append(out, "n/a");
        return;
    }
    ws_text_appendf(out, "%.*f", DECIMALS, s->mean);
    if (isnan(s->deviation))
        ws_text_append(out, " ± n/a");
    else if (s->deviation > 0 && s->deviation < 0.5e-4)
        ws_text_append(out, " ± <0.0001"); /* small is not zero */
    else
        ws_text_appendf(out, " ± %.*f", DECIMALS, s->deviation);
    if (s->n < cell->done)
        ws_text_appendf(out, " (n %zu)", s->n); /* not defined in the other trials */
}

static void count_text(ws_text *out, const ws_report_cell *cell)
{
    ws_text_appendf(out, "%zu/%zu", cell->done, cell->count);
    size_t missing = cell->count - cell->done - cell->failed;
    if (cell->failed)
        ws_text_appendf(out, ", %zu failed", cell->failed);
    if (missing)
        ws_text_appendf(out, ", %zu not run", missing);
}

void ws_report_markdown_head(ws_text *out, const ws_report_cell *cell, const char *score)
{
    ws_text_append(out, "| ");
    ws_text_append(out, cell->baseline ? "_" : "");
    ws_report_markdown_text(out, cell->model);
    ws_text_append(out, cell->baseline ? "_" : "");
    if (cell->options[0]) {
        ws_text_append(out, " ");
        ws_report_markdown_text(out, cell->options);
    }
    ws_text_append(out, cell->synthetic ? " (synthetic)" : "");
    ws_text_append(out, " | ");
    ws_report_markdown_text(out, score ? score : "—");
}

static ws_err write_row(ws_text *out, const ws_report_cell *cell, const char *score, const ws_metric **metrics,
                        size_t metric_count)
{
    ws_report_markdown_head(out, cell, score);
    ws_text_append(out, " | ");
    count_text(out, cell);
    for (size_t m = 0; m < metric_count; m++) {
        ws_text_append(out, " | ");
        if (!score) {
            ws_text_append(out, "—");
            continue;
        }
        ws_statistics s;
        WS_TRY(ws_report_cell_statistics(cell, score, metrics[m]->name, &s));
        ws_report_markdown_value(out, cell, &s);
    }
    ws_text_append(out, " |\n");
    return WS_OK;
}

static void write_title(ws_text *out, const ws_report_cell *cell)
{
    ws_text_append(out, "\n## ");
    ws_report_markdown_text(out, cell->dataset);
    if (cell->synthetic)
        ws_text_append(out, " (synthetic data, made by the project's generator)");
    ws_text_appendf(out, ": %s, %s split", cell->task, cell->protocol);
    if (cell->label[0]) {
        ws_text_append(out, ", label ");
        ws_report_markdown_text(out, cell->label);
    }
    ws_text_append(out, "\n\n");
}

static void write_header(ws_text *out, const ws_metric **metrics, size_t metric_count)
{
    ws_text_append(out, "| model | score | n");
    for (size_t m = 0; m < metric_count; m++)
        ws_text_appendf(out, " | %s %s", metrics[m]->name, metrics[m]->higher_is_better ? "↑" : "↓");
    ws_text_append(out, " |\n| --- | --- | ---:");
    for (size_t m = 0; m < metric_count; m++)
        ws_text_append(out, " | ---:");
    ws_text_append(out, " |\n");
}

/* "Leakage: 3 to 5 of the test rows have an exact duplicate among the training rows, ...": over the finished trials. */
static void write_audit(ws_text *out, const ws_report *report, size_t begin, size_t end)
{
    static const char *const keys[][2] = {{"result.audit.test_in_train.duplicates", "an exact duplicate"},
                                          {"result.audit.test_in_train.near_duplicates", "a near duplicate"},
                                          {"result.audit.test_in_train.sessions", "a flow of the same session"},
                                          {"result.audit.test_in_train.hosts", "a flow of the same host"}};
    bool any = false;
    for (size_t k = 0; k < sizeof keys / sizeof *keys; k++) {
        double least = INFINITY, most = -INFINITY;
        for (size_t c = begin; c < end; c++)
            for (size_t t = 0; t < report->cells[c].count; t++) {
                const cJSON *record = report->cells[c].trials[t].record;
                double rows = cJSON_GetNumberValue(ws_json_find(record, keys[k][0])),
                       of = cJSON_GetNumberValue(ws_json_find(record, "result.counts.test"));
                if (isnan(rows) || !(of > 0))
                    continue;
                least = rows / of < least ? rows / of : least;
                most = rows / of > most ? rows / of : most;
            }
        if (least > most)
            continue;
        ws_text_appendf(out, "%s %s %.1f", any ? ";" : "Leakage: test rows with", keys[k][1], 100 * least);
        if (most > least)
            ws_text_appendf(out, " to %.1f", 100 * most);
        ws_text_append(out, " %");
        any = true;
    }
    ws_text_append(out, any ? " (in the training rows).\n" : "");
}

static size_t distinct_seeds(const ws_report *report, size_t begin, size_t end, bool of_protocol)
{
    double seen[64];
    size_t count = 0;
    for (size_t c = begin; c < end; c++)
        for (size_t t = 0; t < report->cells[c].count; t++) {
            const ws_report_trial *trial = &report->cells[c].trials[t];
            double seed = of_protocol ? trial->protocol_seed : trial->train_seed;
            size_t i = 0;
            while (i < count && seen[i] != seed)
                i++;
            if (i == count && count < 64 && !isnan(seed))
                seen[count++] = seed;
        }
    return count;
}

/* Which of the two seeds the spread in this section comes from. */
static void write_seeds(ws_text *out, const ws_report *report, size_t begin, size_t end)
{
    size_t train = distinct_seeds(report, begin, end, false), protocol = distinct_seeds(report, begin, end, true);
    if (train)
        ws_text_appendf(out, "Seeds: %zu of training, %zu of the split%s.\n", train, protocol,
                        train > 1 && protocol > 1 ? "; the spread holds both" : "");
    else
        ws_text_appendf(out, "Seeds: %zu of the split.\n", protocol);
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static ws_err write_hashes(ws_text *out, const ws_report *report, size_t begin, size_t end)
{
    size_t total = 0, used = 0;
    for (size_t c = begin; c < end; c++)
        total += report->cells[c].count;
    const char **splits = NULL;
    WS_TRY(WS_NEW_ARRAY(splits, total));
    for (size_t c = begin; c < end; c++)
        for (size_t t = 0; t < report->cells[c].count; t++)
            splits[used++] = report->cells[c].trials[t].split_hash;
    qsort(splits, used, sizeof *splits, compare_texts);
    ws_text_appendf(out, "Store `%.16s`, split", report->cells[begin].store_hash);
    for (size_t i = 0; i < used; i++)
        if (i == 0 || strcmp(splits[i], splits[i - 1]) != 0)
            ws_text_appendf(out, " `%.16s`", splits[i]);
    ws_text_append(out, ".\n");
    free(splits);
    return WS_OK;
}

static ws_err write_section(ws_text *out, const ws_report *report, size_t begin, size_t end)
{
    const ws_metric *metrics[METRICS];
    size_t metric_count = ws_report_metrics(report, begin, end, metrics, METRICS);
    write_title(out, &report->cells[begin]);
    write_header(out, metrics, metric_count);
    for (size_t c = begin; c < end; c++) {
        const ws_report_cell *cell = &report->cells[c];
        if (cell->scores.count == 0)
            WS_TRY(write_row(out, cell, NULL, metrics, metric_count));
        for (size_t k = 0; k < cell->scores.count; k++)
            WS_TRY(write_row(out, cell, cell->scores.items[k], metrics, metric_count));
    }
    ws_text_append(out, "\n");
    WS_TRY(ws_report_extent_markdown(report, begin, end, out));
    write_audit(out, report, begin, end);
    write_seeds(out, report, begin, end);
    WS_TRY(write_hashes(out, report, begin, end));
    ws_report_notes_markdown(report, begin, end, out);
    return ws_report_classes_markdown(report, begin, end, out);
}

/* "program `1234...`", or all of them with the number of trials of each. */
static ws_err write_distinct(ws_text *out, const ws_report *report, const char *field, const char *one,
                             const char *many)
{
    ws_report_tally *tally = NULL;
    size_t count = 0;
    WS_TRY(ws_report_count_texts(report, 0, report->count, field, &tally, &count));
    if (count == 1)
        ws_text_appendf(out, "- %s `%.16s`.\n", one, tally[0].text);
    for (size_t i = 0; i < count && count > 1; i++)
        ws_text_appendf(out, "%s`%.16s` (%zu trial%s)%s", i ? ", " : many, tally[i].text, tally[i].trials,
                        tally[i].trials == 1 ? "" : "s", i + 1 == count ? ".\n" : "");
    free(tally);
    return WS_OK;
}

static ws_err write_footer(ws_text *out, const ws_report *report)
{
    size_t planned = 0, done = 0, failed = 0;
    for (size_t c = 0; c < report->count; c++) {
        if (report->cells[c].chosen)
            continue;
        planned += report->cells[c].count;
        done += report->cells[c].done;
        failed += report->cells[c].failed;
    }
    ws_text_appendf(out, "\n---\n\n- Trials: %zu planned, %zu done, %zu failed, %zu not run.\n", planned, done, failed,
                    planned - done - failed);
    WS_TRY(write_distinct(out, report, "run.program_hash", "Program", "- **Trials of several programs are mixed**: "));
    WS_TRY(write_distinct(out, report, "result.isa", "Instruction set", "- **Instruction sets are mixed**: "));
    WS_TRY(write_distinct(out, report, "result.device", "Device", "- **Devices are mixed**: "));
    ws_text_append(
        out, "- Normalisation and parameters come from training rows, thresholds and choices from validation rows; "
             "nothing is chosen on test rows.\n");
    return WS_OK;
}

ws_err ws_report_markdown(const ws_report *report, ws_text *out)
{
    ws_text_append(out, "# ");
    ws_report_markdown_text(out, report->name);
    ws_text_append(
        out, "\n\nMean ± sample standard deviation over seeds; n: trials done of trials planned; "
             "n/a: not defined, or no spread (deterministic method, single trial).\n"
             "_Slanted_ lines are what a model has to beat: the most frequent answer, and the best single feature.\n");
    for (size_t begin = 0, end; begin < report->count; begin = end) {
        end = ws_report_section_end(report, begin);
        WS_TRY(write_section(out, report, begin, end));
    }
    WS_TRY(write_footer(out, report));
    return ws_text_check(out);
}
