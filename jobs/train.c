/* train: one trial from a configuration. */
#include <stdio.h>
#include <stdlib.h>
#include "jobs/job.h"
#include "train/train.h"

typedef struct train_arguments {
    ws_job_common common;
    ws_string_list set;
    const char *seed, *device;
    bool resume, print_config;
    const char *output;
} train_arguments;

static const ws_option fields[] = {
    WS_JOB_COMMON_OPTIONS(train_arguments),
    {"set", WS_OPTION_TYPE_REPEATED, offsetof(train_arguments, set), NULL, 0, 0, NULL,
     "changes a key of the configuration: --set train.steps=500", false},
    WS_OPTION_STRING(train_arguments, seed, NULL, "the same as --set train.seed=N"),
    WS_OPTION_STRING(train_arguments, device, NULL, "cpu or cuda; the same as --set train.device=..."),
    WS_OPTION_BOOL(train_arguments, resume, false, "continue the run in the output folder from its newest checkpoint"),
    WS_OPTION_BOOL(train_arguments, print_config, false, "print the configuration with every default, and stop"),
    WS_OPTION_STRING(train_arguments, output, NULL, "-o: the run folder"),
    WS_OPTION_END};
static const ws_option_table table = {"", sizeof(train_arguments), fields, "train"};

static ws_err print_config(const ws_train_config *config)
{
    ws_text text = {0};
    cJSON *printed = ws_train_config_print(config, false);
    WS_CHECK(printed, MEMORY, "no memory for the configuration");
    ws_err error = ws_json_pretty(printed, &text);
    cJSON_Delete(printed);
    if (error == WS_OK)
        error = ws_text_check(&text);
    if (error == WS_OK)
        printf("%s\n", ws_text_string(&text));
    ws_text_destroy(&text);
    return error;
}

static ws_err print_result(const train_arguments *arguments, const ws_text *summary)
{
    if (!arguments->common.json) {
        fputs(ws_text_string(summary), stdout);
        return WS_OK;
    }
    char *path = ws_path_join(arguments->output, "record.json"), *data = NULL;
    size_t bytes;
    WS_CHECK(path, MEMORY, "no memory for a path");
    ws_err error = ws_file_read(path, &data, &bytes);
    if (error == WS_OK)
        fwrite(data, 1, bytes, stdout);
    free(data);
    free(path);
    return error;
}

/* The assignments of the command line, with the device's. */
static ws_err add_device(const train_arguments *arguments, ws_arena *arena, ws_string_list *out)
{
    const ws_string_list *given = &arguments->set;
    const char **items;
    *out = *given;
    if (!arguments->device)
        return WS_OK;
    WS_TRY(ws_arena_alloc(arena, &items, given->count + 1, sizeof *items));
    for (size_t i = 0; i < given->count; i++)
        items[i] = given->items[i];
    char *word = ws_format("train.device=%s", arguments->device);
    items[given->count] = word ? ws_arena_strdup(arena, word) : NULL;
    free(word);
    WS_CHECK(items[given->count], MEMORY, "no memory for an argument");
    *out = (ws_string_list){items, given->count + 1};
    return WS_OK;
}

static ws_err run(const ws_comm *world, const void *values, const ws_string_list *positional, ws_arena *arena)
{
    const train_arguments *arguments = values;
    ws_train_config config;
    ws_text summary = {0};
    WS_CHECK(positional->count == 1, ARGUMENT, "wiresweep train takes one configuration, not %zu", positional->count);
    WS_CHECK((arguments->output && arguments->output[0]) || arguments->print_config, ARGUMENT,
             "wiresweep train needs a run folder: -o RUN_DIR");
    WS_TRY(ws_job_check_folder(arguments->output, "a run"));
    int64_t seed = -1;
    WS_CHECK(!arguments->seed || (ws_parse_int64(arguments->seed, &seed) && seed >= 0), ARGUMENT,
             "--seed %s: expected a whole number that is not negative", arguments->seed);
    ws_string_list set;
    WS_TRY(add_device(arguments, arena, &set));
    WS_TRY(ws_train_config_read_all(world, positional->items[0], &set, seed, arena, &config));
    if (arguments->print_config)
        return world->rank == 0 ? print_config(&config) : WS_OK;
    ws_train_run trial = {arguments->output, arguments->resume};
    ws_err error = ws_train_run_all(world, &config, &trial, &summary);
    if (error == WS_OK && world->rank == 0)
        error = print_result(arguments, &summary);
    ws_text_destroy(&summary);
    return error;
}

const ws_job ws_job_train = {
    .name = "train",
    .usage = "train CONFIG.json [--set KEY=VALUE]... [--seed N] [--device cpu|cuda] [--resume] -o RUN_DIR",
    .help = "train and score one model; writes a record",
    .example = "  mpirun -n 2 wiresweep train configs/models/flow_cfm.json --set store=stores/cicids2017.h5 --seed 1 "
               "-o runs/1\n"
               "  mpirun -n 4 wiresweep train configs/models/unified_cfm.json --device cuda -o runs/2     (a rank for "
               "each of 4 GPUs)\n"
               "  wiresweep train configs/models/flow_cfm.json --print-config",
    .options = &table,
    .more_help = ws_train_config_help,
    .collective = true,
    .run = run,
};
