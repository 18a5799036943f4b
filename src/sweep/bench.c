/* What the runner itself costs: many trials of 10 ms, against the same trials started by a bare loop. For `wiresweep bench sweep`. */
#include "sweep/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "storage/storage.h"

enum { TRIALS = 1000, WORKERS = 2 };

static const char trial_program[] =
    "#!/bin/sh\n"
    "sleep 0.01\n"
    "id=${4%/*}\n"
    "echo '{\"schema\":1,\"status\":\"done\",\"result\":{},\"id\":\"'\"${id##*/}\"'\"}' "
    ">\"$4/record.json\"\n";

static ws_err make_sweep(ws_sweep *out)
{
    out->specification = cJSON_CreateObject();
    out->name = strdup("bench");
    WS_CHECK(out->specification && out->name, MEMORY, "no memory for a benchmark");
    WS_TRY(WS_NEW_ARRAY(out->trials, TRIALS));
    for (size_t i = 0; i < TRIALS; i++) {
        ws_trial *trial = &out->trials[out->count++];
        snprintf(trial->facts.id, sizeof trial->facts.id, "%016zx", i);
        snprintf(trial->cell, sizeof trial->cell, "%016zx", (size_t)0);
        trial->facts.config = cJSON_CreateObject();
        trial->config = strdup("{}");
        trial->description = strdup("10 ms");
        WS_CHECK(trial->facts.config && trial->config && trial->description, MEMORY, "no memory for a benchmark");
    }
    return WS_OK;
}

static void drop_sweep(ws_sweep *sweep)
{
    for (size_t i = 0; i < sweep->count; i++)
        ws_trial_destroy(&sweep->trials[i]);
    free(sweep->trials);
    free(sweep->name);
    cJSON_Delete(sweep->specification);
}

/* The same programs, as many at once, and nothing else. */
static ws_err run_bare(const char *program, const char *folder, double *seconds)
{
    char *run = ws_path_join(folder, "0/0");
    WS_CHECK(run, MEMORY, "no memory for a path");
    ws_err error = ws_directory_create(run);
    double start = ws_clock_seconds();
    for (int started = 0, running = 0; error == WS_OK && (started < TRIALS || running);) {
        pid_t child = 1;
        if (started < TRIALS && running < WORKERS) {
            child = vfork();
            if (child == 0) {
                execl(program, program, "train", "-", "-o", run, (char *)NULL);
                _exit(127);
            }
            started++;
            running++;
        } else {
            running -= wait(NULL) > 0;
        }
        if (child < 0)
            error = WS_ERROR(IO, "a program cannot be started: %s", strerror(errno));
    }
    *seconds = ws_clock_seconds() - start;
    free(run);
    return error;
}

static ws_err run_sweep(const char *program, const char *folder, double *seconds)
{
    ws_sweep sweep = {0};
    ws_sweep_counts counts;
    const ws_sweep_options options = {
        .directory = folder, .program = program, .workers = WORKERS, .ranks_per_trial = 1};
    ws_err error = make_sweep(&sweep);
    double start = ws_clock_seconds();
    if (error == WS_OK)
        error = ws_sweep_run(&sweep, &options, &counts);
    *seconds = ws_clock_seconds() - start;
    drop_sweep(&sweep);
    return error;
}

static ws_err measure(const char *folder, ws_bench_report *report)
{
    char *program = ws_path_join(folder, "trial"), *bare = ws_path_join(folder, "bare"),
         *sweep = ws_path_join(folder, "sweep");
    double alone = 0, swept = 0;
    ws_err error = WS_OK;
    WS_CHECK_GOTO(done, program && bare && sweep, MEMORY, "no memory for a path");
    WS_TRY_GOTO(done, ws_file_write(program, trial_program, sizeof trial_program - 1));
    WS_CHECK_GOTO(done, chmod(program, 0755) == 0, IO, "%s: %s", program, strerror(errno));
    WS_TRY_GOTO(done, run_bare(program, bare, &alone));
    WS_TRY_GOTO(done, run_sweep(program, sweep, &swept));
    ws_bench_line(report, "trials of 10 ms, 2 at a time", TRIALS / swept, "trials/s", TRIALS / alone,
                  "the same programs in a bare loop");
done:
    free(program);
    free(bare);
    free(sweep);
    return error;
}

ws_err ws_bench_sweep(ws_text *out, bool json)
{
    const char *temporary = getenv("TMPDIR");
    char *folder = ws_format("%s/wiresweep-bench-XXXXXX", temporary && temporary[0] ? temporary : "/tmp");
    WS_CHECK(folder, MEMORY, "no memory for a path");
    ws_bench_report report = {.out = out, .json = json};
    ws_err error = mkdtemp(folder) ? WS_OK : WS_ERROR(IO, "no folder %s can be made: %s", folder, strerror(errno));
    if (error == WS_OK) {
        error = measure(folder, &report);
        ws_err removed = ws_directory_remove(folder);
        error = error == WS_OK ? removed : error;
    }
    free(folder);
    WS_TRY(error);
    return ws_bench_end(&report);
}
