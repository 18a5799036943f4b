/* The record of a trial: what must be reproduced ("result") and how it was made ("run"). */
#include <math.h>
#include <stdlib.h>
#include <time.h>
#include "train/record.h"

static ws_err text_of(const ws_train_config *config, cJSON **out)
{
    *out = ws_train_config_print(config, true);
    WS_CHECK(*out, MEMORY, "no memory for the configuration");
    return WS_OK;
}

static bool add_counts(cJSON *result, const ws_rows *rows)
{
    cJSON *counts = cJSON_AddObjectToObject(result, "counts");
    return counts && cJSON_AddNumberToObject(counts, "train", (double)rows->part[WS_PART_TRAIN].rows) &&
           cJSON_AddNumberToObject(counts, "validation", (double)rows->part[WS_PART_VALIDATION].rows) &&
           cJSON_AddNumberToObject(counts, "test", (double)rows->part[WS_PART_TEST].rows) &&
           cJSON_AddNumberToObject(counts, "classes", rows->classes) &&
           cJSON_AddNumberToObject(counts, "rows_left_out", (double)rows->rows_left_out) &&
           (rows->small_classes == NULL || cJSON_AddStringToObject(counts, "classes_left_out", rows->small_classes)) &&
           cJSON_AddNumberToObject(counts, "rows_thinned", (double)rows->rows_thinned) &&
           cJSON_AddNumberToObject(counts, "rows_unlabelled", (double)rows->rows_unlabelled);
}

/* How many test rows stand in the training rows too, in what they are, by session, host and capture; null: not known. */
bool ws_record_add_audit(cJSON *result, const ws_rows *rows)
{
    cJSON *audit = cJSON_AddObjectToObject(result, "audit");
    cJSON *overlap = audit ? cJSON_AddObjectToObject(audit, ws_audit_pair_names[WS_AUDIT_TEST_IN_TRAIN]) : NULL;
    for (int c = 0; overlap && c < WS_AUDIT_COLUMNS; c++) {
        const ws_audit_overlap *shared = &rows->audit.overlap[c][WS_AUDIT_TEST_IN_TRAIN];
        const bool known = shared->of > 0;
        cJSON *item = known ? cJSON_CreateNumber((double)shared->rows) : cJSON_CreateNull();
        if (!cJSON_AddItemToObject(overlap, ws_audit_column_names[c], item))
            return false;
    }
    return overlap != NULL;
}

/* How far a network was trained: early stopping and what was not finite make it differ from the configuration. */
static bool add_training(cJSON *result, const ws_trial_record *r)
{
    if (!r->config->model->network)
        return true;
    cJSON *training = cJSON_AddObjectToObject(result, "training");
    return training && cJSON_AddNumberToObject(training, "steps", (double)r->steps) &&
           cJSON_AddNumberToObject(training, "selected_step", (double)r->selected_step) &&
           cJSON_AddNumberToObject(training, "skipped_steps", (double)r->skipped_steps);
}

static bool add_names(cJSON *result, const ws_rows *rows)
{
    cJSON *names = cJSON_CreateStringArray(rows->class_names, rows->classes);
    if (names && cJSON_AddItemToObject(result, "classes", names))
        return true;
    cJSON_Delete(names);
    return false;
}

/* Takes over config and scores. */
static bool fill_result(const ws_trial_record *r, cJSON *result, cJSON *config, cJSON *scores)
{
    const ws_train_config *c = r->config;
    bool made = cJSON_AddItemToObject(result, "config", config);
    if (!made)
        cJSON_Delete(config);
    made = made && cJSON_AddStringToObject(result, "store_hash", r->rows->store_hash) &&
           cJSON_AddStringToObject(result, "split_hash", r->rows->split_hash) &&
           cJSON_AddStringToObject(result, "task", ws_task_names[c->keys.task]) &&
           cJSON_AddStringToObject(result, "model", c->model->name) &&
           cJSON_AddBoolToObject(result, "deterministic", c->model->deterministic) &&
           cJSON_AddBoolToObject(result, "synthetic", r->rows->synthetic) &&
           cJSON_AddStringToObject(result, "label", c->keys.label) &&
           cJSON_AddStringToObject(result, "dataset", r->rows->dataset) &&
           cJSON_AddStringToObject(result, "device", ws_backend_names[c->train.device]) &&
           cJSON_AddStringToObject(result, "isa", ws_isa_names[ws_train_isa(c)]) &&
           cJSON_AddStringToObject(result, "precision", ws_precision_names[c->train.precision]) &&
           cJSON_AddStringToObject(result, "parameter_hash", r->parameter_hash) &&
           cJSON_AddStringToObject(result, "score_hash", r->score_hash) && add_counts(result, r->rows) &&
           add_training(result, r) && ws_record_add_audit(result, r->rows) && add_names(result, r->rows);
    if (made && cJSON_AddItemToObject(result, "scores", scores))
        return true;
    cJSON_Delete(scores);
    return false;
}

static void format_time(time_t when, char out[32])
{
    struct tm parts;
    gmtime_r(&when, &parts);
    strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &parts);
}

/* What could be measured; nothing where nothing could. */
static bool add_energy(cJSON *run, const ws_trial_record *r)
{
    const bool processors = !isnan(r->processor_joules), gpus = !isnan(r->gpu_joules);
    cJSON *energy = processors || gpus ? cJSON_AddObjectToObject(run, "energy_joules") : NULL;
    return (energy || !(processors || gpus)) &&
           (!processors || cJSON_AddNumberToObject(energy, "processors", r->processor_joules)) &&
           (!gpus || cJSON_AddNumberToObject(energy, "gpus", r->gpu_joules));
}

static bool fill_run(const ws_trial_record *r, cJSON *run)
{
    char started[32], finished[32];
    format_time(r->started, started);
    format_time(time(NULL), finished);
    cJSON *seconds = cJSON_AddObjectToObject(run, "seconds");
    return seconds && cJSON_AddNumberToObject(seconds, "train", r->train_seconds) &&
           cJSON_AddNumberToObject(seconds, "score", r->score_seconds) &&
           cJSON_AddNumberToObject(seconds, "total", r->total_seconds) &&
           cJSON_AddStringToObject(run, "version", ws_version()) &&
           cJSON_AddStringToObject(run, "program_hash", ws_program_hash()) &&
           cJSON_AddStringToObject(run, "model_hash", r->model_hash) &&
           cJSON_AddStringToObject(run, "host", ws_host_name()) &&
           cJSON_AddStringToObject(run, "mpi", ws_mpi_library()) && cJSON_AddNumberToObject(run, "ranks", r->ranks) &&
           cJSON_AddNumberToObject(run, "threads", (double)r->config->train.threads) &&
           cJSON_AddNumberToObject(run, "peak_memory_bytes", (double)r->peak_memory_bytes) && add_energy(run, r) &&
           cJSON_AddStringToObject(run, "started", started) && cJSON_AddStringToObject(run, "finished", finished);
}

/* By which whoever reads the record sees that it was changed since. */
static ws_err add_result_hash(cJSON *root, const cJSON *result)
{
    char hash[65];
    WS_TRY(ws_json_hash(result, hash));
    WS_CHECK(cJSON_AddStringToObject(root, "result_hash", hash), MEMORY, "no memory for the record");
    return WS_OK;
}

ws_err ws_trial_record_write(const char *path, const ws_trial_record *record, cJSON *scores)
{
    ws_text text = {0};
    cJSON *config = NULL, *root = cJSON_CreateObject();
    ws_err error = text_of(record->config, &config);
    if (error != WS_OK) {
        cJSON_Delete(scores);
        cJSON_Delete(root);
        return error;
    }
    bool made = root && cJSON_AddNumberToObject(root, "schema", WS_RECORD_SCHEMA) &&
                cJSON_AddStringToObject(root, "id", record->id) && cJSON_AddStringToObject(root, "status", "done");
    cJSON *result = made ? cJSON_AddObjectToObject(root, "result") : NULL;
    cJSON *run = result ? cJSON_AddObjectToObject(root, "run") : NULL;
    if (run) {
        made = fill_result(record, result, config, scores) && fill_run(record, run);
        if (made)
            error = add_result_hash(root, result);
    } else {
        made = false;
        cJSON_Delete(config);
        cJSON_Delete(scores);
    }
    if (!made)
        error = WS_ERROR(MEMORY, "no memory for the record");
    if (error == WS_OK)
        error = ws_json_pretty(root, &text);
    cJSON_Delete(root);
    ws_text_append(&text, "\n");
    if (error == WS_OK)
        error = ws_text_check(&text);
    if (error == WS_OK)
        error = ws_file_write(path, ws_text_string(&text), text.length);
    ws_text_destroy(&text);
    WS_TRY(error);
    return WS_OK;
}

/* ---- for people ---- */

void ws_scores_describe(const cJSON *scores, ws_text *out)
{
    const cJSON *score, *metric;
    cJSON_ArrayForEach(score, scores)
    {
        const cJSON *intervals = cJSON_GetObjectItemCaseSensitive(score, "interval");
        ws_text_appendf(out, "  %-20s", score->string);
        cJSON_ArrayForEach(metric, score)
        {
            if (cJSON_IsNumber(metric))
                ws_text_appendf(out, " %s %.4f ", metric->string, metric->valuedouble);
            const cJSON *interval = cJSON_GetObjectItemCaseSensitive(intervals, metric->string);
            if (cJSON_IsArray(interval))
                ws_text_appendf(out, "(%.4f to %.4f) ", cJSON_GetArrayItem(interval, 0)->valuedouble,
                                cJSON_GetArrayItem(interval, 1)->valuedouble);
            if (cJSON_IsNull(metric))
                ws_text_appendf(out, " %s n/a ", metric->string);
        }
        const char *undefined = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(score, "undefined"));
        const cJSON *unsolved = cJSON_GetObjectItemCaseSensitive(score, "unsolved");
        if (undefined)
            ws_text_appendf(out, "\n    not defined: %s", undefined);
        if (unsolved)
            ws_text_appendf(out, "\n    solved beyond the tolerance: %.0f test rows, %.0f validation rows",
                            cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(unsolved, "test")),
                            cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(unsolved, "validation")));
        ws_text_append(out, "\n");
    }
}
