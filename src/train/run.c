/* A trial from configuration to record, and the scoring of another store with a trained model. */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include "train/record.h"

typedef struct trial {
    const ws_comm *comm;
    const ws_train_config *config;
    const ws_train_run *run;
    ws_rows rows;
    ws_model_context context;
    ws_network_state state; /* networks */
    ws_learned learned;
    ws_trial_record record;
    char *identity_text; /* what checkpoints are compared with */
    float *test, *validation, *shuffled;
    uint64_t *test_unsolved, *validation_unsolved;
    double begun;
    ws_energy_meter *meter; /* of the machine's processors, on its first rank; of the rank's GPU */
    bool of_processors;
    double cpu_before, busy_before;
    int lock;          /* first rank: of the run folder; -1: not held */
    bool makes_folder; /* it was not there before */
} trial;

static char *path_in(const trial *t, const char *name)
{
    return ws_path_join(t->run->directory, name);
}

/* ---- the run folder ---- */

/* First rank. Makes the folder, and keeps other processes out of it for as long as this one lives; a file system without locks
 * does not. */
static ws_err claim_folder(trial *t)
{
    char *checkpoints = path_in(t, "checkpoints");
    WS_CHECK(checkpoints, MEMORY, "no memory for a path");
    t->makes_folder = !ws_directory_exists(t->run->directory);
    ws_err error = ws_directory_create(checkpoints);
    int lock = error == WS_OK ? open(checkpoints, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    free(checkpoints);
    if (lock >= 0 && flock(lock, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
        close(lock);
        error = WS_ERROR(ARGUMENT, "%s: another process is training in this folder", t->run->directory);
        WS_HINT("let it end, or stop it; or choose another folder with -o");
        return error;
    }
    t->lock = lock;
    return error;
}

/* SWEEP_DIR/trials/ holds what the sweep has published, by its supervisors alone. */
static ws_err check_parents(const char *directory)
{
    char *trials = ws_path_directory(directory), *sweep = trials ? ws_path_join(trials, "../sweep.json") : NULL;
    WS_CHECK(sweep, MEMORY, "no memory for a path");
    const bool within = strcmp(ws_path_base(trials), "trials") == 0 && ws_file_exists(sweep);
    free(trials);
    free(sweep);
    WS_CHECK(!within, ARGUMENT, "%s: lies among the trials of a sweep; choose another folder with -o", directory);
    return WS_OK;
}

/* First rank. *finished: a record is there. */
static ws_err look_at_folder(trial *t, bool *finished)
{
    static const char *const traces[] = {"record.json", "model.h5", "checkpoints", "metrics.jsonl"};
    *finished = false;
    char *sweep = path_in(t, "sweep.json");
    WS_CHECK(sweep, MEMORY, "no memory for a path");
    const bool of_sweep = ws_file_exists(sweep);
    free(sweep);
    WS_CHECK(!of_sweep, ARGUMENT, "%s: is the folder of a sweep; choose another one with -o", t->run->directory);
    WS_TRY(check_parents(t->run->directory));
    for (size_t i = 0; i < sizeof traces / sizeof *traces; i++) {
        char *path = path_in(t, traces[i]);
        WS_CHECK(path, MEMORY, "no memory for a path");
        bool there = ws_file_exists(path) || ws_directory_exists(path);
        free(path);
        if (there && !t->run->resume) {
            ws_err error = WS_ERROR(ARGUMENT, "%s: holds a run already (%s)", t->run->directory, traces[i]);
            WS_HINT("--resume continues it; or choose another folder with -o");
            return error;
        }
        if (there && i == 0)
            *finished = true;
    }
    return *finished ? WS_OK : claim_folder(t);
}

/* First rank. What did not begin leaves nothing behind that the next try would be refused for. */
static void leave_folder(trial *t, ws_err error)
{
    const bool failed = t->lock >= 0 && error != WS_OK;
    char *checkpoints = failed ? path_in(t, "checkpoints") : NULL, *log = failed ? path_in(t, "metrics.jsonl") : NULL;
    struct stat about;
    if (checkpoints && log && rmdir(checkpoints) == 0) {
        if (stat(log, &about) == 0 && about.st_size == 0)
            (void)unlink(log);
        if (t->makes_folder)
            (void)rmdir(t->run->directory);
    }
    free(checkpoints);
    free(log);
    if (t->lock >= 0)
        close(t->lock);
}

/* First rank. What is finished must be what is asked for, not another configuration, store or split. */
static ws_err check_finished(const trial *t)
{
    char *path = path_in(t, "record.json");
    ws_json *record = NULL;
    ws_train_identity identity;
    WS_CHECK(path, MEMORY, "no memory for a path");
    ws_err error = ws_json_read_file(&record, path);
    free(path);
    WS_TRY(error);
    const cJSON *id = ws_json_find(ws_json_root(record), "id");
    error = ws_trial_identity(t->config, NULL, &identity);
    if (error == WS_OK && !(cJSON_IsString(id) && strcmp(id->valuestring, identity.id) == 0)) {
        error = WS_ERROR(CONFIG, "%s: holds the finished run %s; this configuration and store make %s",
                         t->run->directory, cJSON_IsString(id) ? id->valuestring : "without an id", identity.id);
        WS_HINT("choose another folder with -o");
    }
    ws_json_destroy(&record);
    return error;
}

/* Lines of metrics.jsonl after the step that is resumed would come twice. */
static ws_err cut_log(const trial *t)
{
    char *path = path_in(t, "metrics.jsonl"), *data = NULL, *rest = NULL;
    size_t bytes;
    ws_text kept = {0};
    WS_CHECK(path, MEMORY, "no memory for a path");
    ws_err error = WS_OK;
    if (ws_file_exists(path)) {
        error = ws_file_read(path, &data, &bytes);
        for (char *line = error == WS_OK ? strtok_r(data, "\n", &rest) : NULL; line;
             line = strtok_r(NULL, "\n", &rest)) {
            unsigned long long step;
            size_t length = strlen(line);
            if (sscanf(line, "{\"step\":%llu,", &step) == 1 && step <= t->state.step && line[length - 1] == '}')
                ws_text_appendf(&kept, "%s\n", line);
        }
        if (error == WS_OK)
            error = ws_text_check(&kept);
        if (error == WS_OK)
            error = ws_file_write(path, ws_text_string(&kept), kept.length);
    }
    ws_text_destroy(&kept);
    free(data);
    free(path);
    return error;
}

/* ---- training ---- */

/* Configuration and rows as text: two runs with the same text are the same trial. */
static ws_err make_identity_text(trial *t)
{
    ws_text text = {0};
    cJSON *printed = ws_train_config_print(t->config, true);
    WS_CHECK(printed, MEMORY, "no memory for the configuration");
    ws_err error = ws_trial_id_text(printed, t->rows.store_hash, t->rows.split_hash, &text);
    cJSON_Delete(printed);
    ws_text_appendf(&text, "\n%s\n", ws_isa_names[ws_train_isa(t->config)]);
    if (error == WS_OK)
        error = ws_text_check(&text);
    t->identity_text = text.data;
    return error;
}

static ws_err check_same_isa(const ws_comm *comm, const ws_train_config *config)
{
    int64_t least = ws_train_isa(config), most = least;
    WS_TRY(ws_min_i64_all(comm, &least, 1));
    WS_TRY(ws_max_i64_all(comm, &most, 1));
    if (least != most) {
        ws_err error = WS_ERROR(CONFIG, "train.isa: the ranks run on machines of different instruction sets, %s to %s",
                                ws_isa_names[least], ws_isa_names[most]);
        WS_HINT("pin the lowest: --set train.isa=%s", ws_isa_names[least]);
        return error;
    }
    WS_CHECK(config->train.isa == WS_TRAIN_ISA_AUTO || config->train.isa - 1 == least, CONFIG,
             "train.isa: pinned to %s, but this process runs %s", ws_isa_names[config->train.isa - 1],
             ws_isa_names[least]);
    return WS_OK;
}

/* Every rank reads the checkpoint itself. */
static ws_err resume_network(trial *t)
{
    bool found = false;
    if (!t->run->resume)
        return WS_OK;
    WS_AGREE(t->comm, ws_checkpoint_resume(t->run->directory, &t->state, t->identity_text, &found));
    int64_t least = (int64_t)t->state.step, most = least;
    WS_TRY(ws_min_i64_all(t->comm, &least, 1));
    WS_TRY(ws_max_i64_all(t->comm, &most, 1));
    WS_CHECK(least == most, IO, "%s: the ranks see different checkpoints (steps %lld and %lld); is the folder shared?",
             t->run->directory, (long long)least, (long long)most);
    WS_AGREE(t->comm, t->comm->rank == 0 ? cut_log(t) : WS_OK);
    if (found)
        ws_info("going on after step %llu", (unsigned long long)t->state.step);
    return WS_OK;
}

/* Options that a split without normal validation rows would leave without effect, or undefined. */
static ws_err check_validation(const trial *t)
{
    const ws_train_options *options = &t->config->train;
    const bool network = t->config->model->network != NULL, anomaly = t->config->keys.task == WS_TASK_ANOMALY;
    const char *key = network && options->select == WS_SELECT_BEST                        ? "train.select = \"best\""
                      : network && options->patience > 0                                  ? "train.patience"
                      : anomaly && t->config->evaluate.criterion == WS_CRITERION_SHUFFLED ? "evaluate.criterion"
                                                                                          : NULL;
    if (key == NULL || t->rows.validation_normal.rows > 0)
        return WS_OK;
    ws_err error = WS_ERROR(CONFIG, "%s: goes by %svalidation rows, of which protocol %s leaves none", key,
                            anomaly ? "normal " : "", t->config->keys.protocol);
    WS_HINT("leave it out, or take another protocol (wiresweep list protocols)");
    return error;
}

/* Ranking metrics compare two kinds of rows, and thresholds are quantiles of normal validation rows. */
static void warn_of_one_kind(const trial *t)
{
    const ws_samples *test = &t->rows.part[WS_PART_TEST];
    uint64_t anomalous = 0;
    if (test->anomalous && t->rows.validation_normal.rows == 0)
        ws_warn("no thresholds: protocol %s leaves no normal validation rows", t->config->keys.protocol);
    for (uint64_t i = 0; test->anomalous && i < test->rows; i++)
        anomalous += test->anomalous[i];
    if (test->anomalous && (anomalous == 0 || anomalous == test->rows))
        ws_warn("%s: no test row is %s, so no ranking metric is defined; look at \"normal\" and the protocol",
                t->config->keys.store, anomalous ? "normal" : "anomalous");
}

static ws_err train_network(trial *t)
{
    const ws_train_options *options = &t->config->train;
    WS_AGREE(t->comm, ws_network_state_create(&t->state, t->config->model, &t->context));
    WS_TRY(resume_network(t));
    ws_network_training training = {.comm = t->comm,
                                    .options = options,
                                    .training = &t->rows.part[WS_PART_TRAIN],
                                    .validation = &t->rows.validation_normal,
                                    .directory = t->run->directory,
                                    .config_text = t->identity_text};
    WS_TRY(ws_network_train_all(&training, &t->state));
    t->record.train_seconds = t->state.seconds;
    t->record.steps = t->state.step;
    t->record.skipped_steps = t->state.skipped;
    if (t->state.skipped > 0)
        ws_warn("%llu of %llu steps were left out, since their loss or gradient was not finite",
                (unsigned long long)t->state.skipped, (unsigned long long)t->state.step);
    if (options->select == WS_SELECT_BEST && t->state.best_step > 0) {
        char *best = ws_checkpoint_best_path(t->run->directory);
        ws_err error =
            best ? ws_checkpoint_read(best, &t->state, t->identity_text) : WS_ERROR(MEMORY, "no memory for a path");
        free(best);
        WS_AGREE(t->comm, error);
    }
    t->record.selected_step = t->state.step;
    WS_AGREE(t->comm, ws_learned_take(&t->learned, &t->state));
    const ws_samples *held_out = &t->rows.validation_normal;
    return ws_learned_calibrate_all(t->comm, &t->learned, held_out->rows > 0 ? held_out : &t->rows.part[WS_PART_TRAIN]);
}

static ws_err train(trial *t)
{
    WS_AGREE(t->comm, ws_learned_create(t->config->model, &t->context, &t->learned));
    t->learned.device = t->config->train.device;
    double begin = ws_clock_seconds();
    if (t->config->model->network) {
        WS_TRY(train_network(t));
    } else {
        WS_AGREE(t->comm, t->config->model->classical->fit_all(t->comm, &t->context, &t->rows.part[WS_PART_TRAIN],
                                                               &t->rows.part[WS_PART_VALIDATION], &t->learned.arrays));
        WS_AGREE(t->comm, ws_learned_prepare(&t->learned));
        t->record.train_seconds = ws_clock_seconds() - begin;
    }
    return WS_OK;
}

/* ---- scores and record ---- */

static ws_err score(trial *t)
{
    double begin = ws_clock_seconds();
    WS_TRY(ws_score_all(t->comm, &t->learned, &t->rows.part[WS_PART_TEST], "score test rows", &t->test,
                        &t->test_unsolved));
    WS_TRY(ws_score_all(t->comm, &t->learned, &t->rows.part[WS_PART_VALIDATION], "score validation rows",
                        &t->validation, &t->validation_unsolved));
    if (t->config->keys.task == WS_TASK_ANOMALY && t->config->evaluate.criterion == WS_CRITERION_SHUFFLED) {
        ws_samples shuffled;
        WS_AGREE(t->comm, ws_samples_shuffle(t->rows.arena, &t->rows.validation_normal, &shuffled));
        WS_TRY(ws_score_all(t->comm, &t->learned, &shuffled, "score shuffled rows", &t->shuffled, NULL));
    }
    t->record.score_seconds = ws_clock_seconds() - begin;
    return WS_OK;
}

static ws_err write_file(const trial *t, const char *name, ws_err (*write)(const char *path, const trial *t))
{
    char *path = path_in(t, name);
    WS_CHECK(path, MEMORY, "no memory for a path");
    ws_err error = write(path, t);
    free(path);
    return error;
}

static ws_err write_model(const char *path, const trial *t)
{
    return ws_model_file_write(path, t->config, &t->rows, &t->learned);
}

static ws_scored scored_of(const trial *t)
{
    return (ws_scored){.config = t->config,
                       .rows = &t->rows,
                       .width = ws_model_width(t->config->model, &t->context),
                       .test = t->test,
                       .validation = t->validation,
                       .shuffled = t->shuffled,
                       .test_unsolved = t->test_unsolved,
                       .validation_unsolved = t->validation_unsolved,
                       .undefined = t->learned.arrays.undefined};
}

static ws_err write_scores(const char *path, const trial *t)
{
    ws_scored scored = scored_of(t);
    return ws_scores_file_write(path, &scored);
}

static void summarise(const trial *t, const cJSON *scores, ws_text *out)
{
    ws_text_appendf(out, "%s on %s (%s, protocol %s): %llu training, %llu test rows\n", t->config->model->name,
                    t->rows.dataset, ws_task_names[t->config->keys.task], t->config->keys.protocol,
                    (unsigned long long)t->rows.part[WS_PART_TRAIN].rows,
                    (unsigned long long)t->rows.part[WS_PART_TEST].rows);
    ws_scores_describe(scores, out);
    if (t->config->model->network &&
        (t->record.steps != (uint64_t)t->config->train.steps || t->record.selected_step != t->record.steps))
        ws_text_appendf(out, "  steps %llu of %lld  parameters of step %llu\n", (unsigned long long)t->record.steps,
                        (long long)t->config->train.steps, (unsigned long long)t->record.selected_step);
    ws_text_appendf(out, "  parameters %.16s  scores %.16s\nrecord: %s/record.json\n", t->record.parameter_hash,
                    t->record.score_hash, t->run->directory);
}

/* By which whoever scores with it later sees that it was changed since. */
static ws_err hash_model(trial *t)
{
    ws_digest digest;
    char *path = path_in(t, "model.h5");
    WS_CHECK(path, MEMORY, "no memory for a path");
    ws_err error = ws_sha256_file(path, &digest);
    if (error == WS_OK)
        ws_digest_hex(&digest, t->record.model_hash);
    free(path);
    return error;
}

/* First rank. */
static ws_err finish(trial *t, ws_text *summary)
{
    ws_scored scored = scored_of(t);
    cJSON *scores = NULL;
    WS_TRY(ws_trial_id(t->config, t->rows.store_hash, t->rows.split_hash, t->record.id));
    WS_TRY(ws_learned_hash(&t->learned, t->config->model->network ? &t->state : NULL, t->record.parameter_hash));
    WS_TRY(ws_result_score_hash(&scored, t->record.score_hash));
    WS_TRY(ws_result_scores(&scored, &scores));
    summarise(t, scores, summary);
    ws_err error = write_file(t, "model.h5", write_model);
    if (error == WS_OK)
        error = hash_model(t);
    if (error == WS_OK)
        error = write_file(t, "scores.h5", write_scores);
    char *path = path_in(t, "record.json");
    if (error == WS_OK && !path)
        error = WS_ERROR(MEMORY, "no memory for a path");
    t->record.total_seconds = ws_clock_seconds() - t->begun;
    if (error == WS_OK)
        error = ws_trial_record_write(path, &t->record, scores);
    else
        cJSON_Delete(scores);
    free(path);
    WS_TRY(error);
    return WS_OK;
}

/* The first rank of each machine reads the counters of its processors; every rank that of its GPU, since it may see no other. */
static ws_err start_meter_all(trial *t)
{
    int local_rank, local_size;
    WS_TRY(ws_local_rank_all(t->comm, &local_rank, &local_size));
    t->of_processors = local_rank == 0;
    WS_AGREE(t->comm,
             ws_energy_start(&t->meter, t->of_processors, t->config->train.device != WS_CPU ? local_rank : -1));
    t->cpu_before = ws_cpu_seconds();
    t->busy_before = ws_machine_busy_seconds();
    return WS_OK;
}

/* The trial's share of what the machines have used: of their processors, as of the time in which these did something at all; of their
 * GPUs, as many trials as share one. One machine that cannot tell leaves the whole untold. */
static ws_err read_meter_all(trial *t)
{
    enum { CPU, BUSY, PROCESSORS, GPUS, NO_PROCESSORS, NO_GPUS, COUNT };
    const char *share = getenv("WIRESWEEP_TRIALS_PER_DEVICE");
    const int64_t sharing = share && atoi(share) > 0 ? atoi(share) : 1;
    uint64_t sums[COUNT] = {[CPU] = (uint64_t)(fmax(ws_cpu_seconds() - t->cpu_before, 0) * 1e6)};
    double processors, gpu, busy = ws_machine_busy_seconds() - t->busy_before;
    ws_energy_read(t->meter, &processors, &gpu);
    sums[NO_PROCESSORS] = t->of_processors && !(processors >= 0 && busy >= 0);
    sums[NO_GPUS] = !(gpu >= 0);
    if (t->of_processors && !sums[NO_PROCESSORS]) {
        sums[BUSY] = (uint64_t)(busy * 1e6);
        sums[PROCESSORS] = (uint64_t)(processors * 1e6);
    }
    sums[GPUS] = sums[NO_GPUS] ? 0 : (uint64_t)(gpu * 1e6);
    WS_TRY(ws_sum_u64_all(t->comm, sums, COUNT));
    const double part = sums[BUSY] > sums[CPU] ? (double)sums[CPU] / (double)sums[BUSY] : 1;
    t->record.processor_joules = sums[NO_PROCESSORS] ? NAN : (double)sums[PROCESSORS] * 1e-6 * part;
    t->record.gpu_joules = sums[NO_GPUS] ? NAN : (double)sums[GPUS] * 1e-6 / (double)sharing;
    return WS_OK;
}

static ws_err run_trial(trial *t, ws_text *summary)
{
    WS_TRY(check_same_isa(t->comm, t->config));
    bool finished = false;
    WS_AGREE(t->comm, t->comm->rank == 0 ? look_at_folder(t, &finished) : WS_OK);
    WS_TRY(ws_any_all(t->comm, finished, &finished));
    if (finished) {
        WS_AGREE(t->comm, t->comm->rank == 0 ? check_finished(t) : WS_OK);
        ws_info("%s: finished already", t->run->directory);
        return WS_OK;
    }
    WS_TRY(start_meter_all(t));
    WS_TRY(ws_rows_load_all(t->comm, t->config, NULL, &t->rows));
    t->context = ws_train_context(t->config, &t->rows);
    WS_TRY(check_validation(t));
    warn_of_one_kind(t);
    WS_AGREE(t->comm, make_identity_text(t));
    WS_TRY(train(t));
    WS_TRY(score(t));
    int64_t memory = (int64_t)ws_peak_memory_bytes();
    WS_TRY(ws_max_i64_all(t->comm, &memory, 1));
    t->record.peak_memory_bytes = (uint64_t)memory;
    WS_TRY(read_meter_all(t));
    WS_AGREE(t->comm, t->comm->rank == 0 ? finish(t, summary) : WS_OK);
    return WS_OK;
}

ws_err ws_train_run_all(const ws_comm *comm, const ws_train_config *config, const ws_train_run *run, ws_text *summary)
{
    trial t = {.comm = comm, .config = config, .run = run, .begun = ws_clock_seconds(), .lock = -1};
    t.record = (ws_trial_record){.config = config, .rows = &t.rows, .ranks = comm->size, .started = time(NULL)};
    ws_err error = run_trial(&t, summary);
    free(t.test);
    free(t.validation);
    free(t.shuffled);
    free(t.test_unsolved);
    free(t.validation_unsolved);
    free(t.identity_text);
    ws_energy_stop(&t.meter);
    ws_learned_destroy(&t.learned);
    ws_network_state_destroy(&t.state);
    ws_rows_destroy(&t.rows);
    leave_folder(&t, error);
    if ((error == WS_E_IO || error == WS_E_HDF5) && strncmp(ws_error_hint(), "free space there", 16) == 0)
        WS_HINT("free space there; then the same command with --resume goes on from the last checkpoint");
    WS_TRY(error);
    return WS_OK;
}
