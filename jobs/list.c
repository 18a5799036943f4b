/* wiresweep list: what there is to choose from, read from the registries themselves. */
#include <stdio.h>
#include <string.h>

#include "dataset/dataset.h"
#include "engine/engine.h"
#include "evaluate/evaluate.h"
#include "jobs/job.h"
#include "models/models.h"

typedef struct options {
    ws_job_common common;
} options;
static const ws_option fields[] = {WS_JOB_COMMON_OPTIONS(options), WS_OPTION_END};
static const ws_option_table table = {"", sizeof(options), fields, ""};

static cJSON *add_row(cJSON *rows, const char *name, const char *help)
{
    cJSON *row = cJSON_CreateObject();
    cJSON_AddStringToObject(row, "name", name);
    cJSON_AddStringToObject(row, "help", help);
    cJSON_AddItemToArray(rows, row);
    return row;
}

static void list_models(cJSON *rows)
{
    for (const ws_model *const *model = ws_models; *model != NULL; model++) {
        cJSON *row = add_row(rows, (*model)->name, (*model)->help);
        cJSON *tasks = cJSON_AddArrayToObject(row, "tasks");
        for (int task = 0; task < WS_TASK_COUNT; task++)
            if (((*model)->tasks & (1u << task)) != 0)
                cJSON_AddItemToArray(tasks, cJSON_CreateString(ws_task_names[task]));
        cJSON_AddBoolToObject(row, "deterministic", (*model)->deterministic);
        cJSON *scores = cJSON_AddArrayToObject(row, "scores");
        for (size_t i = 0; (*model)->scores != NULL && (*model)->scores[i] != NULL; i++)
            cJSON_AddItemToArray(scores, cJSON_CreateString((*model)->scores[i]));
    }
}

static void list_datasets(cJSON *rows)
{
    for (const ws_dataset_adapter *const *adapter = ws_dataset_adapters; *adapter != NULL; adapter++)
        add_row(rows, (*adapter)->name, (*adapter)->help);
}

static void list_metrics(cJSON *rows)
{
    for (const ws_metric *const *metric = ws_metrics; *metric != NULL; metric++) {
        cJSON *row = add_row(rows, (*metric)->name, (*metric)->help);
        cJSON_AddStringToObject(row, "family", (*metric)->family == WS_METRIC_RANKING ? "ranking" : "classification");
        cJSON_AddBoolToObject(row, "higher_is_better", (*metric)->higher_is_better);
    }
}

static void list_operators(cJSON *rows)
{
    const ws_operator_info *operators;
    size_t count = ws_operators(&operators);
    for (size_t i = 0; i < count; i++)
        add_row(rows, operators[i].name, operators[i].help);
}

static void list_features(cJSON *rows)
{
    for (const ws_flow_features *const *features = ws_flow_feature_tables; *features != NULL; features++)
        for (size_t i = 0; i < (*features)->table.columns; i++) {
            cJSON *row = add_row(rows, (*features)->table.names[i], (*features)->help);
            cJSON_AddStringToObject(row, "table", (*features)->table.name);
            cJSON_AddStringToObject(row, "unit", (*features)->table.units[i]);
        }
    for (int i = 0; i < WS_PACKET9_COLUMNS; i++) {
        cJSON *row = add_row(rows, ws_packet9_names[i], "of each stored packet, made from /packets when read");
        cJSON_AddStringToObject(row, "table", "packet9");
    }
}

static void list_protocols(cJSON *rows)
{
    for (const ws_protocol *const *protocol = ws_protocols; *protocol != NULL; protocol++)
        add_row(rows, (*protocol)->name, (*protocol)->help);
}

static void list_jobs(cJSON *rows)
{
    for (const ws_job *const *job = ws_jobs; *job != NULL; job++)
        add_row(rows, (*job)->name, (*job)->help);
}

static const struct {
    const char *name;
    void (*fill)(cJSON *rows);
} registries[] = {{"models", list_models},     {"datasets", list_datasets},
                  {"metrics", list_metrics},   {"operators", list_operators},
                  {"features", list_features}, {"protocols", list_protocols},
                  {"jobs", list_jobs}};
enum { REGISTRIES = sizeof registries / sizeof registries[0] };

static void print_scores(const cJSON *scores, ws_text *notes)
{
    ws_text_append(notes, "; scores");
    for (const cJSON *entry = scores->child; entry != NULL; entry = entry->next)
        ws_text_appendf(notes, " %s", entry->valuestring);
}

/* name, then what else a row holds, then the help text */
static void print_rows(const cJSON *rows)
{
    for (const cJSON *row = rows->child; row != NULL; row = row->next) {
        ws_text notes = {0};
        for (const cJSON *item = row->child->next->next; item != NULL; item = item->next) {
            const char *gap = notes.length > 0 ? ", " : "";
            if (cJSON_IsString(item))
                ws_text_appendf(&notes, "%s%s", gap, item->valuestring);
            else if (cJSON_IsTrue(item))
                ws_text_appendf(&notes, "%s%s", gap, item->string);
            else if (cJSON_IsArray(item) && strcmp(item->string, "scores") == 0 && item->child != NULL)
                print_scores(item, &notes);
            else if (cJSON_IsArray(item))
                for (const cJSON *entry = item->child; entry != NULL; entry = entry->next)
                    ws_text_appendf(&notes, "%s%s", notes.length > 0 ? ", " : "", entry->valuestring);
        }
        printf("%-23s  %s%s%s%s\n", row->child->valuestring, row->child->next->valuestring,
               notes.length > 0 ? " [" : "", ws_text_string(&notes), notes.length > 0 ? "]" : "");
        ws_text_destroy(&notes);
    }
}

static ws_err print_list(size_t which, bool json)
{
    cJSON *rows = cJSON_CreateArray();
    registries[which].fill(rows);
    ws_err error = WS_OK;
    if (json) {
        ws_text text = {0};
        error = ws_json_pretty(rows, &text);
        if (error == WS_OK)
            fputs(ws_text_string(&text), stdout);
        ws_text_destroy(&text);
    } else {
        print_rows(rows);
    }
    cJSON_Delete(rows);
    return error;
}

static ws_err run(const ws_comm *world, const void *values, const ws_string_list *positional, ws_arena *arena)
{
    (void)world;
    (void)arena;
    const options *given = values;
    const char *names[REGISTRIES];
    for (size_t i = 0; i < REGISTRIES; i++)
        names[i] = registries[i].name;
    if (positional->count == 1)
        for (size_t i = 0; i < REGISTRIES; i++)
            if (strcmp(names[i], positional->items[0]) == 0)
                return print_list(i, given->common.json);
    ws_err error = WS_OK;
    if (positional->count == 1) {
        error = WS_ERROR(ARGUMENT, "there is no list of %s", positional->items[0]);
        const char *closest = ws_closest_name(positional->items[0], names, REGISTRIES);
        if (closest != NULL)
            WS_HINT("did you mean wiresweep list %s?", closest);
    } else {
        error = WS_ERROR(ARGUMENT, "list takes one name, and was given %zu", positional->count);
    }
    if (ws_error_hint()[0] == '\0')
        WS_HINT("wiresweep list models|datasets|metrics|operators|features|protocols|jobs");
    return error;
}

const ws_job ws_job_list = {
    .name = "list",
    .usage = "list models|datasets|metrics|operators|features|protocols|jobs [--json]",
    .help = "the models, data sets, metrics, operators, ... of this program",
    .example = "  wiresweep list models\n  wiresweep list metrics --json",
    .options = &table,
    .run = run,
};
