/* The tables for people as a document: one section for each set of rows and question, one line for each cell and score, and under
 * each table what a reader must know of it. */
#include "report/internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { DECIMALS = 4, METRICS = 64 };

static void count_text(ws_text *out, const ws_report_cell *cell)
{
    ws_text_appendf(out, "%zu/%zu", cell->done, cell->count);
    size_t missing = cell->count - cell->done - cell->failed;
    if (cell->failed)
        ws_text_appendf(out, ", %zu failed", cell->failed);
    if (missing)
        ws_text_appendf(out, ", %zu not run", missing);
}

static void add_title(ws_document *out, const ws_report_cell *cell)
{
    ws_text title = {0};
    ws_text_appendf(&title, "%s%s: %s, %s split", cell->dataset,
                    cell->synthetic ? " (synthetic data, made by the project's generator)" : "", cell->task,
                    cell->protocol);
    if (cell->label[0])
        ws_text_appendf(&title, ", label %s", cell->label);
    ws_document_heading(out, 2, ws_text_string(&title));
    out->out_of_memory = out->out_of_memory || title.out_of_memory;
    ws_text_destroy(&title);
}

static ws_err add_values(const ws_metric **metrics, size_t metric_count, ws_report_grid *grid, ws_table *table)
{
    for (size_t m = 0; m < metric_count; m++) {
        for (size_t i = 0; i < grid->line_count; i++)
            for (size_t t = 0; grid->lines[i].score && t < grid->lines[i].cell->count; t++)
                ws_report_grid_values(grid, i, m)[t] =
                    ws_report_value(&grid->lines[i].cell->trials[t], grid->lines[i].score, metrics[m]->name);
        WS_TRY(ws_report_grid_mark_best(grid, m, metrics[m]->higher_is_better));
    }
    for (size_t i = 0; i < grid->line_count; i++) {
        ws_text count = {0};
        count_text(&count, grid->lines[i].cell);
        ws_report_add_head(table, &grid->lines[i]);
        ws_table_add(table, ws_text_string(&count));
        ws_text_destroy(&count);
        for (size_t m = 0; m < metric_count; m++)
            if (grid->lines[i].score)
                ws_report_add_value(table, grid->lines[i].cell, ws_report_grid_values(grid, i, m),
                                    grid->bold[i * grid->columns + m], DECIMALS);
            else
                ws_table_add(table, "—");
    }
    return WS_OK;
}

static ws_err add_main_table(const ws_report *report, size_t begin, size_t end, ws_document *out)
{
    const ws_metric *metrics[METRICS];
    size_t metric_count = ws_report_metrics(report, begin, end, metrics, METRICS);
    ws_report_grid grid;
    ws_table *table = ws_document_table(out, NULL);
    ws_table_add_column(table, "model", false);
    ws_table_add_column(table, "score", false);
    ws_table_add_column(table, "n", true);
    for (size_t m = 0; m < metric_count; m++) {
        char name[128];
        snprintf(name, sizeof name, "%s %s", metrics[m]->name, metrics[m]->higher_is_better ? "↑" : "↓");
        ws_table_add_column(table, name, true);
    }
    WS_TRY(ws_report_grid_create(report, begin, end, metric_count, &grid));
    ws_err error = add_values(metrics, metric_count, &grid, table);
    ws_report_grid_destroy(&grid);
    return error;
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

static int rising(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

static ws_err count_seeds(const ws_report *report, size_t begin, size_t end, bool of_protocol, size_t *out)
{
    size_t total = 0, used = 0;
    double *seeds = NULL;
    for (size_t c = begin; c < end; c++)
        total += report->cells[c].count;
    WS_TRY(WS_NEW_ARRAY(seeds, total));
    for (size_t c = begin; c < end; c++)
        for (size_t t = 0; t < report->cells[c].count; t++) {
            const ws_report_trial *trial = &report->cells[c].trials[t];
            double seed = of_protocol ? trial->protocol_seed : trial->train_seed;
            if (!isnan(seed))
                seeds[used++] = seed;
        }
    qsort(seeds, used, sizeof *seeds, rising);
    *out = 0;
    for (size_t i = 0; i < used; i++)
        *out += i == 0 || seeds[i] != seeds[i - 1];
    free(seeds);
    return WS_OK;
}

/* Which of the two seeds the spread in this section comes from. */
static ws_err write_seeds(ws_text *out, const ws_report *report, size_t begin, size_t end)
{
    size_t train = 0, protocol = 0;
    WS_TRY(count_seeds(report, begin, end, false, &train));
    WS_TRY(count_seeds(report, begin, end, true, &protocol));
    if (train)
        ws_text_appendf(out, "Seeds: %zu of training, %zu of the split%s.\n", train, protocol,
                        train > 1 && protocol > 1 ? "; the spread holds both" : "");
    else
        ws_text_appendf(out, "Seeds: %zu of the split.\n", protocol);
    return WS_OK;
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

static ws_err add_section(const ws_report *report, size_t begin, size_t end, unsigned tables, ws_document *out)
{
    add_title(out, &report->cells[begin]);
    WS_TRY(add_main_table(report, begin, end, out));
    ws_text *text = ws_document_text(out);
    ws_text_append(text, "\n");
    WS_TRY(ws_report_extent_markdown(report, begin, end, text));
    write_audit(text, report, begin, end);
    WS_TRY(write_seeds(text, report, begin, end));
    WS_TRY(write_hashes(text, report, begin, end));
    ws_report_notes_markdown(report, begin, end, text);
    WS_TRY(ws_report_alarms(report, begin, end, text));
    if (tables & WS_TABLES_COMPARISON)
        WS_TRY(ws_report_comparison_table(report, begin, end, out));
    if (tables & WS_TABLES_THRESHOLDS)
        WS_TRY(ws_report_thresholds_table(report, begin, end, out));
    if (tables & WS_TABLES_CLASSES)
        WS_TRY(ws_report_classes_table(report, begin, end, out));
    if (tables & WS_TABLES_CLASS_SHARES)
        WS_TRY(ws_report_class_shares_table(report, begin, end, out));
    if (tables & WS_TABLES_ABLATION)
        WS_TRY(ws_report_ablation_table(report, begin, end, out));
    WS_TRY(ws_report_elsewhere_table(report, begin, end, out));
    WS_TRY(ws_report_targets_table(report, begin, end, out));
    for (size_t i = 0; i < report->figure_count; i++)
        if (report->figures[i].begin == begin)
            ws_document_figure(out, report->figures[i].svg);
    return ws_report_published_tables(report, begin, end, out);
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
        if (report->cells[c].chosen || report->cells[c].external)
            continue;
        planned += report->cells[c].count;
        done += report->cells[c].done;
        failed += report->cells[c].failed;
    }
    ws_text_appendf(out, "\n---\n\n- Trials: %zu planned, %zu done, %zu failed, %zu not run.\n", planned, done, failed,
                    planned - done - failed);
    if (report->unhashed)
        ws_text_appendf(out,
                        "- Records without a hash of their result, of an earlier program: %zu; only `wiresweep verify` "
                        "can tell whether they were changed.\n",
                        report->unhashed);
    WS_TRY(write_distinct(out, report, "run.program_hash", "Program", "- **Trials of several programs are mixed**: "));
    WS_TRY(write_distinct(out, report, "result.isa", "Instruction set", "- **Instruction sets are mixed**: "));
    WS_TRY(write_distinct(out, report, "result.device", "Device", "- **Devices are mixed**: "));
    ws_text_append(
        out, "- Normalisation and parameters come from training rows, thresholds and choices from validation rows; "
             "nothing is chosen on test rows.\n");
    return WS_OK;
}

static ws_err build(const ws_report *report, unsigned tables, ws_document *out)
{
    ws_document_heading(out, 1, report->name);
    ws_text_append(
        ws_document_text(out),
        "Mean ± sample standard deviation over seeds; n: trials done of trials planned; ‡: fewer than planned; "
        "n/a: not defined, or no spread (deterministic method, single trial).\n"
        "**Bold**: the best mean, and what a paired t test over seeds (Holm, 5 %) does not tell from it; where no test "
        "can "
        "be made, the best mean alone.\n"
        "_Slanted_ lines are what a model has to beat: the most frequent answer, and the best single feature.\n");
    for (size_t begin = 0, end; begin < report->count; begin = end) {
        end = ws_report_section_end(report, begin);
        WS_TRY(add_section(report, begin, end, tables, out));
    }
    if (tables & WS_TABLES_COST)
        WS_TRY(ws_report_cost_table(report, out));
    return write_footer(ws_document_text(out), report);
}

ws_err ws_report_write(const ws_report *report, unsigned tables, ws_report_format format, ws_text *out)
{
    static ws_err (*const writers[])(const ws_document *document, ws_text *out) = {ws_document_markdown,
                                                                                   ws_document_latex, ws_document_html};
    ws_document document = {0};
    ws_err error = build(report, tables, &document);
    if (error == WS_OK)
        error = writers[format](&document, out);
    ws_document_destroy(&document);
    return error;
}

ws_err ws_report_markdown(const ws_report *report, ws_text *out)
{
    return ws_report_write(report, WS_TABLES_CLASSES, WS_REPORT_MARKDOWN, out);
}
