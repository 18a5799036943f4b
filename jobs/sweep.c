/* wiresweep sweep: many trials from one specification, then their tables. The work is in src/sweep and src/report. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "jobs/job.h"
#include "report/report.h"
#include "sweep/sweep.h"
#include "train/train.h"

typedef struct options {
    ws_job_common common;
    const char *output;
    int64_t workers, ranks_per_trial, retries, cores_per_trial, devices_per_trial, trials_per_device, spot_check;
    double time_limit, memory_limit, lease;
    int launcher;
    bool dry_run, retry_failed;
} options;

static const ws_option fields[] = {
    WS_JOB_COMMON_OPTIONS(options),
    WS_OPTION_STRING(options, output, NULL, "-o: the sweep's folder; a sweep that is there is continued"),
    WS_OPTION_INT(options, workers, 1, 0, 4096, "trials at once; 0: as many as the cores have room for"),
    WS_OPTION_INT(options, ranks_per_trial, 1, 1, 65536,
                  "ranks of each trial, when above 1 through mpirun or, in an allocation of Slurm, as a step by srun"),
    WS_OPTION_ENUM(options, launcher, "auto", "auto|mpirun|srun", "what starts trials of several ranks"),
    WS_OPTION_INT(options, cores_per_trial, 0, 0, 4096, "cores that each trial is bound to; 0: not bound"),
    WS_OPTION_INT(options, devices_per_trial, 0, 0, 64, "GPUs of each trial (CUDA_VISIBLE_DEVICES); 0: left as it is"),
    WS_OPTION_INT(options, trials_per_device, 1, 1, 64, "small trials that share their GPUs"),
    WS_OPTION_DOUBLE(options, time_limit, 0, 0, 1e9, "seconds a trial may take; 0: no limit"),
    WS_OPTION_DOUBLE(options, memory_limit, 0, 0, 1e6, "GiB that a process of a trial may allocate; 0: no limit"),
    WS_OPTION_INT(options, retries, 1, 0, 100,
                  "further tries of a trial that was killed, hung or crashed, on another machine where there is one"),
    WS_OPTION_DOUBLE(options, lease, 60, 1, 86400,
                     "seconds without a sign of life after which the trials of another machine are taken over"),
    WS_OPTION_INT(options, spot_check, 0, 0, 1e6, "at the end, run one in so many trials again, and compare; 0: none"),
    WS_OPTION_BOOL(options, dry_run, false, "print the trials, start nothing"),
    WS_OPTION_BOOL(options, retry_failed, false, "run failed trials again"),
    WS_OPTION_END};
static const ws_option_table table = {"", sizeof(options), fields, "sweep"};

/* Identity of a trial as the train room gives it. context: the splits already hashed. */
static ws_err identify(void *context, const ws_json *document, ws_arena *arena, ws_trial_facts *out,
                       ws_problems *problems)
{
    ws_train_config config;
    size_t before = problems->count;
    WS_TRY(ws_train_config_read(document, arena, &config, problems));
    if (problems->count > before)
        return WS_OK;
    ws_train_identity identity;
    WS_TRY(ws_trial_identity(&config, context, &identity));
    memcpy(out->id, identity.id, sizeof out->id);
    memcpy(out->store_hash, identity.store_hash, sizeof out->store_hash);
    memcpy(out->split_hash, identity.split_hash, sizeof out->split_hash);
    out->deterministic = identity.deterministic;
    out->synthetic = identity.synthetic;
    out->dataset = ws_arena_strdup(arena, identity.dataset);
    out->label = config.keys.label;
    out->config = ws_train_config_print(&config, true);
    out->condensed = cJSON_Duplicate(out->config, true);
    WS_CHECK(out->dataset && out->config && out->condensed, MEMORY, "no memory for the configuration of a trial");
    ws_train_config_condense(out->condensed);
    return ws_trial_id_text(out->config, out->store_hash, out->split_hash, &out->identity);
}

static ws_err print_plan(const ws_sweep *sweep, const options *given)
{
    ws_text text = {0};
    WS_TRY(ws_sweep_list(sweep, given->output, given->common.json, &text));
    fputs(ws_text_string(&text), stdout);
    ws_text_destroy(&text);
    if (sweep->merged)
        ws_info("%zu trials; %zu further combinations are the same as one of them", sweep->count, sweep->merged);
    else
        ws_info("%zu trials", sweep->count);
    if (sweep->excluded)
        ws_info("%zu combinations are excluded", sweep->excluded);
    if (!given->output || !given->output[0])
        return WS_OK;
    ws_estimate estimate;
    WS_TRY(ws_sweep_estimate(sweep, given->output, &estimate));
    if (estimate.left && estimate.finished) {
        char seconds[32];
        const int64_t workers = given->workers ? given->workers : 1;
        ws_format_seconds(estimate.seconds / (double)workers, seconds);
        ws_info("%zu are left: about %s, %lld at a time, going by the %zu that are finished", estimate.left, seconds,
                (long long)workers, estimate.finished);
    }
    return WS_OK;
}

/* Tables into the folder, and the one for people (or the counts, for machines) to standard output. */
static ws_err print_tables(const options *given, const ws_sweep_counts *counts)
{
    ws_report *report = NULL;
    ws_text text = {0};
    WS_TRY(ws_report_load(&report, given->output));
    ws_err error = ws_report_write_tables(report);
    if (error == WS_OK && given->common.json)
        ws_text_appendf(&text, "{\"planned\":%zu,\"done\":%zu,\"failed\":%zu,\"left\":%zu}\n", counts->planned,
                        counts->done, counts->failed, counts->left);
    else if (error == WS_OK)
        error = ws_report_markdown(report, &text);
    if (error == WS_OK) {
        fputs(ws_text_string(&text), stdout);
        ws_info("tables: %s/tables", given->output);
    }
    ws_text_destroy(&text);
    ws_report_destroy(&report);
    return error;
}

/* Some trials a second time, in a sweep folder inside this one. */
static ws_err check_spots(const ws_sweep_options *how, int64_t every)
{
    char *scratch = ws_format("%s/checks/every-%lld", how->directory, (long long)every);
    WS_CHECK(scratch, MEMORY, "no memory for a path");
    ws_verify verify = {.directory = how->directory, .every = every, .scratch = scratch, .how = *how};
    ws_verify_counts counts;
    ws_text text = {0};
    verify.how.retry_failed = false;
    ws_err error = ws_sweep_verify(&verify, false, &counts, &text);
    if (error == WS_OK)
        ws_info("spot check: %zu trials give the same bits again", counts.trials);
    else
        ws_warn("spot check:\n%s", ws_text_string(&text));
    ws_text_destroy(&text);
    free(scratch);
    return error;
}

static ws_err run_trials(const ws_sweep *sweep, const options *given)
{
    /* a path that still names this program when mpirun starts it */
    char *program = realpath(ws_executable, NULL);
    WS_CHECK(program, IO, "%s: the running program cannot be found again", ws_executable);
    ws_sweep_options how = {.directory = given->output,
                            .program = program,
                            .workers = (int)given->workers,
                            .ranks_per_trial = (int)given->ranks_per_trial,
                            .time_limit = given->time_limit,
                            .retry_failed = given->retry_failed,
                            .retries = (int)given->retries,
                            .lease = given->lease,
                            .memory_limit = given->memory_limit * 1073741824.0,
                            .cores_per_trial = (int)given->cores_per_trial,
                            .devices_per_trial = (int)given->devices_per_trial,
                            .trials_per_device = (int)given->trials_per_device,
                            .launcher = (ws_sweep_launcher)given->launcher};
    if (how.workers == 0)
        how.workers = ws_sweep_slots(&how);
    char share[16]; /* each trial checks its part of the memory before it starts */
    snprintf(share, sizeof share, "%d", how.trials_per_device);
    WS_CHECK(setenv("WIRESWEEP_TRIALS_PER_DEVICE", share, 1) == 0, MEMORY, "no memory for the environment of trials");
    ws_sweep_counts counts;
    ws_err error = ws_sweep_run(sweep, &how, &counts);
    if (error == WS_OK || error == WS_E_PARTIAL)
        WS_TRY(print_tables(given, &counts));
    if ((error == WS_OK || error == WS_E_PARTIAL) && given->spot_check) {
        char *message = strdup(ws_error_message()), *hint = strdup(ws_error_hint());
        ws_err checked = check_spots(&how, given->spot_check);
        if (checked != WS_OK)
            error = checked;
        else if (error != WS_OK && message && hint)
            error = ws_error_set(error, message, hint, "");
        free(message);
        free(hint);
    }
    free(program);
    return error;
}

static ws_err run(const ws_comm *world, const void *values, const ws_string_list *positional, ws_arena *arena)
{
    (void)world;
    (void)arena;
    const options *given = values;
    WS_CHECK(positional->count == 1, ARGUMENT, "sweep takes one specification, and was given %zu files",
             positional->count);
    WS_CHECK((given->output && given->output[0]) || given->dry_run, ARGUMENT, "the sweep needs a folder: -o SWEEP_DIR");
    WS_TRY(ws_job_check_folder(given->output, "a sweep"));
    ws_split_memo *memo = NULL;
    ws_sweep *sweep = NULL;
    WS_TRY(ws_split_memo_create(&memo));
    ws_err error = ws_sweep_read(&sweep, positional->items[0], identify, memo);
    ws_split_memo_destroy(&memo);
    WS_TRY(error);
    error = given->dry_run ? print_plan(sweep, given) : run_trials(sweep, given);
    ws_sweep_destroy(&sweep);
    return error;
}

static ws_err more_help(ws_text *out)
{
    ws_text_append(
        out,
        "\nSWEEP.json:\n"
        "  { \"base\": \"train.json\",                  a configuration of `wiresweep train`, or its file\n"
        "    \"list\": [ { KEY: VALUE, ... }, ... ],    alternatives; each sets (dotted) keys of base\n"
        "    \"grid\": { KEY: [VALUE, ...], ... },      every combination, for every alternative\n"
        "    \"linked\": [ { KEY: [...], ... }, ... ],  lists that move together\n"
        "    \"random\": { \"count\": N, \"seed\": N, \"keys\": { KEY: { \"uniform\": [LOW, HIGH] }, ... } },\n"
        "                                             drawn points; also log_uniform, integer, choice\n"
        "    \"seeds\": N,                             train.seed 0 to N - 1, or a list of them\n"
        "    \"exclude\": [ { KEY: VALUE, ... }, ... ], combinations to leave out\n"
        "    \"baselines\": true,                      also the lines every model has to beat\n"
        "    \"comparison\": {                         what tables test all lines against; frozen with the trials\n"
        "      \"reference\": { \"model.kind\": \"logistic\" },  keys of one configuration, and \"score\"\n"
        "      \"metric\": \"auroc\", \"test\": \"paired_t\", \"correction\": \"holm\" } }\n");
    return ws_text_check(out);
}

const ws_job ws_job_sweep = {
    .name = "sweep",
    .usage = "sweep [OPTIONS] SWEEP.json -o SWEEP_DIR",
    .help = "many trials over seeds and settings, then their tables; continues what is there",
    .example = "  wiresweep sweep configs/sweeps/smoke.json --workers 2 -o build/smoke",
    .options = &table,
    .more_help = more_help,
    .run = run,
};
