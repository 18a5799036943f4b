/* Tables for programs: long form, full precision (%.17g), an empty field for what is not defined. */
#include "report/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>
#include "storage/storage.h"

void ws_report_csv_text(ws_text *out, const char *text)
{
    if (out->length && out->data[out->length - 1] != '\n')
        ws_text_append(out, ",");
    if (!strpbrk(text, ",\"\n")) {
        ws_text_append(out, text);
        return;
    }
    ws_text_append(out, "\"");
    for (; *text; text++)
        ws_text_appendf(out, *text == '"' ? "\"%c" : "%c", *text);
    ws_text_append(out, "\"");
}

void ws_report_csv_number(ws_text *out, double value)
{
    char text[40] = "";
    if (!isnan(value))
        snprintf(text, sizeof text, "%.17g", value);
    ws_report_csv_text(out, text);
}

/* What the lines of all tables begin with. */
const char ws_report_csv_header[] =
    "cell,dataset,store_hash,synthetic,task,protocol,label,model,options,baseline,deterministic";

void ws_report_csv_cell(ws_text *out, const ws_report_cell *cell)
{
    const char *const texts[] = {cell->id,
                                 cell->dataset,
                                 cell->store_hash,
                                 cell->synthetic ? "true" : "false",
                                 cell->task,
                                 cell->protocol,
                                 cell->label,
                                 cell->model,
                                 cell->options,
                                 cell->baseline ? "true" : "false",
                                 cell->deterministic ? "true" : "false"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        ws_report_csv_text(out, texts[i]);
}

/* ---------------------------------------------------------------- a line for each cell, score, metric */

static void statistics_fields(ws_text *out, const ws_report_cell *cell, const char *score, const char *metric,
                              const ws_statistics *s)
{
    ws_report_csv_cell(out, cell);
    ws_report_csv_text(out, score);
    ws_report_csv_text(out, metric);
    ws_report_csv_number(out, (double)cell->count);
    ws_report_csv_number(out, (double)cell->done);
    ws_report_csv_number(out, (double)cell->failed);
    ws_report_csv_number(out, (double)s->n);
    ws_report_csv_number(out, s->mean);
    ws_report_csv_number(out, s->deviation);
    ws_report_csv_number(out, s->low);
    ws_report_csv_number(out, s->high);
    ws_text_append(out, "\n");
}

ws_err ws_report_csv(const ws_report *report, ws_text *out)
{
    ws_text_appendf(out, "%s,score,metric,planned,done,failed,n,mean,std,low_95,high_95\n", ws_report_csv_header);
    for (size_t begin = 0, end; begin < report->count; begin = end) {
        const ws_metric *metrics[64];
        end = ws_report_section_end(report, begin);
        size_t metric_count = ws_report_metrics(report, begin, end, metrics, 64);
        for (size_t c = begin; c < end; c++) {
            const ws_report_cell *cell = &report->cells[c];
            ws_statistics s = {0, NAN, NAN, NAN, NAN};
            if (cell->scores.count == 0)
                statistics_fields(out, cell, "", "", &s);
            for (size_t k = 0; k < cell->scores.count; k++)
                for (size_t m = 0; m < metric_count; m++) {
                    WS_TRY(ws_report_cell_statistics(cell, cell->scores.items[k], metrics[m]->name, &s));
                    statistics_fields(out, cell, cell->scores.items[k], metrics[m]->name, &s);
                }
        }
    }
    return ws_text_check(out);
}

/* ---------------------------------------------------------------- a line for each trial */

static void trial_fields(ws_text *out, const ws_report_cell *cell, const ws_report_trial *trial)
{
    static const char *const states[] = {"missing", "done", "failed"};
    ws_report_csv_cell(out, cell);
    ws_report_csv_text(out, trial->id);
    ws_report_csv_text(out, trial->split_hash);
    ws_report_csv_number(out, trial->train_seed);
    ws_report_csv_number(out, trial->protocol_seed);
    ws_report_csv_text(out, states[trial->state]);
}

ws_err ws_report_trials_csv(const ws_report *report, ws_text *out)
{
    ws_text_appendf(out,
                    "%s,trial,split_hash,train_seed,protocol_seed,state,score,metric,value,"
                    "parameter_hash,score_hash,low_95,high_95\n",
                    ws_report_csv_header);
    for (size_t begin = 0, end; begin < report->count; begin = end) {
        const ws_metric *metrics[64];
        end = ws_report_section_end(report, begin);
        size_t metric_count = ws_report_metrics(report, begin, end, metrics, 64);
        for (size_t c = begin; c < end; c++)
            for (size_t t = 0; t < report->cells[c].count; t++) {
                const ws_report_cell *cell = &report->cells[c];
                const ws_report_trial *trial = &cell->trials[t];
                size_t scores = trial->state == WS_REPORT_DONE ? cell->scores.count : 0;
                for (size_t k = 0; k < (scores ? scores : 1); k++)
                    for (size_t m = 0; m < (scores ? metric_count : 1); m++) {
                        const char *parameters =
                                       cJSON_GetStringValue(ws_json_find(trial->record, "result.parameter_hash")),
                                   *hash = cJSON_GetStringValue(ws_json_find(trial->record, "result.score_hash"));
                        trial_fields(out, cell, trial);
                        ws_report_csv_text(out, scores ? cell->scores.items[k] : "");
                        ws_report_csv_text(out, scores ? metrics[m]->name : "");
                        ws_report_csv_number(
                            out, scores ? ws_report_value(trial, cell->scores.items[k], metrics[m]->name) : NAN);
                        ws_report_csv_text(out, parameters ? parameters : "");
                        ws_report_csv_text(out, hash ? hash : "");
                        for (int side = 0; side < 2; side++)
                            ws_report_csv_number(
                                out, scores ? ws_report_interval(trial, cell->scores.items[k], metrics[m]->name, side)
                                            : NAN);
                        ws_text_append(out, "\n");
                    }
            }
    }
    return ws_text_check(out);
}

ws_err ws_report_cost_csv(const ws_report *report, ws_text *out)
{
    static const char *const numbers[] = {"run.seconds.train",
                                          "run.seconds.score",
                                          "run.seconds.total",
                                          "run.peak_memory_bytes",
                                          "run.ranks",
                                          "run.threads",
                                          "run.energy_joules.processors",
                                          "run.energy_joules.gpus"};
    static const char *const texts[] = {"run.host", "run.started", "run.finished"};
    ws_text_appendf(out,
                    "%s,trial,split_hash,train_seed,protocol_seed,state,train_seconds,score_seconds,total_seconds,"
                    "peak_memory_bytes,ranks,threads,processor_joules,gpu_joules,host,started,finished\n",
                    ws_report_csv_header);
    for (size_t c = 0; c < report->count; c++)
        for (size_t t = 0; t < report->cells[c].count && !report->cells[c].chosen; t++) {
            const ws_report_trial *trial = &report->cells[c].trials[t];
            trial_fields(out, &report->cells[c], trial);
            for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
                ws_report_csv_number(out, cJSON_GetNumberValue(ws_json_find(trial->record, numbers[i])));
            for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
                const char *text = cJSON_GetStringValue(ws_json_find(trial->record, texts[i]));
                ws_report_csv_text(out, text ? text : "");
            }
            ws_text_append(out, "\n");
        }
    return ws_text_check(out);
}

/* ---------------------------------------------------------------- the folder tables/ */

static ws_err whole_markdown(const ws_report *report, ws_text *out)
{
    return ws_report_write(report, WS_TABLES_ALL, WS_REPORT_MARKDOWN, out);
}

/* Several supervisors end a sweep at the same moment: one after the other, by the lock that the sweep's folder has. -1: none. */
static int take_turn(const char *directory)
{
    char *path = ws_path_join(directory, "lock");
    const int lock = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    while (lock >= 0 && flock(lock, LOCK_EX) != 0 && errno == EINTR)
        ;
    free(path);
    return lock;
}

ws_err ws_report_write_tables(const ws_report *report)
{
    static const struct {
        const char *name;
        ws_err (*write)(const ws_report *report, ws_text *out);
    } tables[] = {{"table.md", whole_markdown},
                  {"table.csv", ws_report_csv},
                  {"trials.csv", ws_report_trials_csv},
                  {"classes.csv", ws_report_classes_csv},
                  {"thresholds.csv", ws_report_thresholds_csv},
                  {"comparison.csv", ws_report_comparison_csv},
                  {"cost.csv", ws_report_cost_csv}};
    char *folder = ws_path_join(report->directory, "tables");
    WS_CHECK(folder, MEMORY, "no memory for a path");
    ws_err error = ws_directory_create(folder);
    const int turn = take_turn(report->directory);
    for (size_t i = 0; i < sizeof tables / sizeof tables[0] && error == WS_OK; i++) {
        ws_text text = {0};
        char *path = ws_path_join(folder, tables[i].name);
        error = path ? tables[i].write(report, &text) : WS_ERROR(MEMORY, "no memory for a path");
        if (error == WS_OK)
            error = ws_file_write(path, text.data, text.length);
        ws_text_destroy(&text);
        free(path);
    }
    if (turn >= 0)
        close(turn);
    free(folder);
    return error;
}
