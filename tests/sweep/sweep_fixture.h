/* What the sweep tests share: a scratch folder, an identity without stores, runs of the fake trial program. */
#ifndef SWEEP_FIXTURE_H
#define SWEEP_FIXTURE_H

#include <dirent.h>
#include <glob.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "report/report.h"
#include "storage/storage.h"
#include "sweep/sweep.h"

typedef struct fixture {
    char root[64], program[512];
} fixture;

static inline void fixture_setup(fixture *f)
{
    snprintf(f->root, sizeof f->root, "/tmp/wiresweep-sweep-XXXXXX");
    assert_non_null(mkdtemp(f->root));
    const char *source = getenv("WIRESWEEP_SOURCE");
    snprintf(f->program, sizeof f->program, "%s/tests/sweep/fake_trial.sh", source ? source : ".");
    setenv("WS_TEST_KEPT", "1", 1);
    setenv("OMPI_COMM_WORLD_RANK", "3", 1); /* as under mpirun; must not reach the trials */
    setenv("PMIX_RANK", "3", 1);
    ws_log_setup(true, 0, 1);
}

static inline void fixture_teardown(fixture *f)
{
    assert_int_equal(ws_directory_remove(f->root), WS_OK);
}

/* A path in the scratch folder; a few are alive at a time. */
static inline const char *in(const fixture *f, const char *name)
{
    static char paths[8][512];
    static int next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", f->root, name);
    return path;
}

static inline void write_text(const char *path, const char *text)
{
    assert_int_equal(ws_file_write(path, text, strlen(text)), WS_OK);
}

static inline char *read_text(const char *path)
{
    char *text = NULL;
    size_t bytes;
    assert_int_equal(ws_file_read(path, &text, &bytes), WS_OK);
    return text;
}

static inline ws_err fake_id(ws_trial_facts *out)
{
    WS_TRY(ws_json_canonical(out->config, &out->identity));
    ws_digest digest = ws_sha256_of(out->identity.data, out->identity.length);
    char hex[65];
    ws_digest_hex(&digest, hex);
    memcpy(out->id, hex, WS_TRIAL_ID_BYTES - 1);
    return WS_OK;
}

/* Identity by content, without stores: the id hashes the configuration; models `det`, `majority` and
 * `best_single_feature` are deterministic and take no seed; "wrong" anywhere is a wrong configuration. */
static inline ws_err fake_identify(void *context, const ws_json *config, ws_arena *arena, ws_trial_facts *out,
                                   ws_problems *problems)
{
    (void)context;
    (void)arena;
    const cJSON *root = ws_json_root(config);
    if (cJSON_HasObjectItem(root, "wrong"))
        ws_problems_add(problems, config, NULL, "wrong: unknown key");
    out->config = cJSON_Duplicate(root, true);
    cJSON_DeleteItemFromObjectCaseSensitive(out->config, "store");
    const char *kind = cJSON_GetStringValue(ws_json_find(root, "model.kind"));
    out->deterministic = kind && strcmp(kind, "cfm") != 0;
    out->dataset = "made_up";
    out->synthetic = true;
    memset(out->store_hash, 'a', 64);
    const cJSON *seed = cJSON_GetObjectItemCaseSensitive(root, "protocol_seed");
    snprintf(out->split_hash, sizeof out->split_hash, "split%d", seed ? seed->valueint : 0);
    return fake_id(out);
}

static inline ws_sweep *read_sweep(const char *path)
{
    ws_sweep *sweep = NULL;
    ws_err error = ws_sweep_read(&sweep, path, fake_identify, NULL);
    if (error != WS_OK)
        ws_error_print(error, true);
    assert_int_equal(error, WS_OK);
    return sweep;
}

static inline ws_sweep_options options_of(const fixture *f, const char *folder, int workers)
{
    return (ws_sweep_options){.directory = folder, .program = f->program, .workers = workers, .ranks_per_trial = 1};
}

static inline ws_err run_with(const ws_sweep_options *options, const char *specification, ws_sweep_counts *counts)
{
    ws_sweep *sweep = read_sweep(specification);
    ws_err error = ws_sweep_run(sweep, options, counts);
    ws_sweep_destroy(&sweep);
    return error;
}

static inline ws_err run_sweep(const fixture *f, const char *specification, const char *folder, int workers,
                               double limit, bool retry, ws_sweep_counts *counts)
{
    ws_sweep_options options = options_of(f, folder, workers);
    options.time_limit = limit;
    options.retry_failed = retry;
    return run_with(&options, specification, counts);
}

/* The same in a process of its own, which can be killed or stopped; it exits with the error. node: the machine that it takes
 * itself to be on, NULL for this one. */
static inline pid_t start_with(const ws_sweep_options *options, const char *specification, const char *node)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        ws_stop_install();
        ws_sweep_counts counts;
        if (node) {
            setenv("SLURMD_NODENAME", node, 1);
            setenv("WS_TEST_NODE", node, 1);
        }
        _exit((int)run_with(options, specification, &counts));
    }
    return pid;
}

static inline pid_t start_sweep(const fixture *f, const char *specification, const char *folder, int workers)
{
    ws_sweep_options options = options_of(f, folder, workers);
    return start_with(&options, specification, NULL);
}

static inline int wait_for(pid_t pid)
{
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* `seeds` seeds of each behaviour ("a,b"); the path of the specification, in one of a few buffers. */
static inline const char *specification_of(const fixture *f, const char *name, const char *behaviours, int seeds)
{
    ws_text text = {0};
    ws_text_append(&text,
                   "{\"base\":{\"task\":\"anomaly\",\"protocol\":\"random\",\"model\":{\"kind\":\"cfm\"}},\"list\":[");
    char *copy = strdup(behaviours), *rest = NULL;
    int count = 0;
    for (char *word = strtok_r(copy, ",", &rest); word; word = strtok_r(NULL, ",", &rest))
        ws_text_appendf(&text, "%s{\"behaviour\":\"%s\"}", count++ ? "," : "", word);
    ws_text_append(&text, "],\"grid\":{\"train.seed\":[");
    for (int s = 0; s < seeds; s++)
        ws_text_appendf(&text, "%s%d", s ? "," : "", s);
    ws_text_append(&text, "]}}");
    const char *path = in(f, name);
    write_text(path, text.data);
    ws_text_destroy(&text);
    free(copy);
    return path;
}

/* Run folders, of trials under way and finished ones, that have a file of this name. */
static inline int count_files(const char *folder, const ws_sweep *sweep, const char *name)
{
    static const char *const places[] = {"work/%s/*", "trials/%s"};
    int count = 0;
    for (size_t i = 0; i < sweep->count; i++)
        for (size_t k = 0; k < 2; k++) {
            char place[128], pattern[700];
            glob_t found;
            snprintf(place, sizeof place, places[k], sweep->trials[i].facts.id);
            snprintf(pattern, sizeof pattern, "%s/%s/%s", folder, place, name);
            if (glob(pattern, 0, NULL, &found) == 0)
                count += (int)found.gl_pathc;
            globfree(&found);
        }
    return count;
}

/* The tables of two sweep folders, made from their records, are the same bytes. */
static inline void assert_tables_equal(const char *a, const char *b)
{
    static const char *const names[] = {"table.md", "table.csv", "trials.csv"};
    const char *const folders[2] = {a, b};
    for (size_t i = 0; i < 3; i++) {
        char *texts[2];
        for (int side = 0; side < 2; side++) {
            char path[600];
            ws_report *report = NULL;
            assert_int_equal(ws_report_load(&report, folders[side]), WS_OK);
            assert_int_equal(ws_report_write_tables(report), WS_OK);
            ws_report_destroy(&report);
            snprintf(path, sizeof path, "%s/tables/%s", folders[side], names[i]);
            texts[side] = read_text(path);
        }
        assert_string_equal(texts[0], texts[1]);
        assert_true(strlen(texts[0]) > 100);
        free(texts[0]);
        free(texts[1]);
    }
}

static inline void pause_ms(long milliseconds)
{
    nanosleep(&(struct timespec){milliseconds / 1000, milliseconds % 1000 * 1000000}, NULL);
}

static inline int count_entries(const char *path)
{
    int count = 0;
    DIR *list = opendir(path);
    assert_non_null(list);
    for (struct dirent *entry; (entry = readdir(list));)
        count += entry->d_name[0] != '.';
    closedir(list);
    return count;
}

/* How often the trial wrote a record, over all runs. */
static inline int times_recorded(const char *folder, const char *id)
{
    char path[600];
    snprintf(path, sizeof path, "%s/runs.txt", folder);
    char *text = read_text(path), *at = text;
    int times = 0;
    while ((at = strstr(at, id))) {
        times++;
        at++;
    }
    free(text);
    return times;
}

static inline char *failure_reason(const char *folder, const ws_sweep *sweep, const char *behaviour)
{
    for (size_t i = 0; i < sweep->count; i++) {
        if (!strstr(sweep->trials[i].description, behaviour))
            continue;
        char path[600];
        snprintf(path, sizeof path, "%s/trials/%s/record.json", folder, sweep->trials[i].facts.id);
        ws_json *record = NULL;
        assert_int_equal(ws_json_read_file(&record, path), WS_OK);
        const char *reason = cJSON_GetStringValue(ws_json_find(ws_json_root(record), "failure.reason"));
        char *copy = reason ? strdup(reason) : NULL;
        ws_json_destroy(&record);
        return copy;
    }
    return NULL;
}

#endif
