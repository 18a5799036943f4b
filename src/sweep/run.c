/* A sweep from its folder to its end: what is there is counted, what is missing is supervised (supervise.c). */
#include "sweep/supervise.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "storage/storage.h"

static ws_err prepare_folder(const ws_sweep_options *options)
{
    char *run = ws_path_join(options->directory, "checkpoints");
    WS_CHECK(run, MEMORY, "no memory for a path");
    const bool of_run = ws_directory_exists(run);
    free(run);
    WS_CHECK(!of_run, ARGUMENT, "%s: is the folder of a run of wiresweep train; choose another one with -o",
             options->directory);
    static const char *const folders[] = {"trials", "work", "supervisors", "journal", "tables"};
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        char *path = ws_path_join(options->directory, folders[i]);
        WS_CHECK(path, MEMORY, "no memory for a path");
        ws_err error = ws_directory_create(path);
        free(path);
        WS_TRY(error);
    }
    return WS_OK;
}

/* One at a time, where several supervisors begin at once. */
static ws_err freeze(const ws_sweep *sweep, const char *directory)
{
    char *path = ws_path_join(directory, "lock");
    WS_CHECK(path, MEMORY, "no memory for a path");
    int lock = -1;
    ws_err error = WS_OK;
    for (int tries = 0; lock < 0 && error == WS_OK && tries < 3000; tries++) {
        if (tries)
            usleep(10000);
        error = ws_lock_file(path, &lock);
    }
    if (error == WS_OK && lock < 0)
        error = WS_ERROR(IO, "%s: another sweep holds it, and does not give it back", path);
    if (error == WS_OK)
        error = ws_manifest_freeze(sweep, directory);
    if (lock >= 0)
        close(lock);
    free(path);
    return error;
}

/* Sets a failed trial aside, with what is known of its tries. Where another supervisor was first, it may be at work there already. */
static ws_err try_anew(ws_supervisor *s, const char *id)
{
    bool moved = false;
    char *work = ws_format("%s/work/%s", s->options->directory, id);
    WS_CHECK(work, MEMORY, "no memory for a path");
    ws_err error = ws_trial_set_aside(s->options->directory, id, "failed", &moved);
    if (error == WS_OK && moved && ws_directory_exists(work))
        error = ws_directory_remove(work);
    free(work);
    WS_TRY(error);
    if (!moved)
        return WS_OK;
    return ws_journal_write(&s->workers[0].journal, "retried", id, NULL);
}

/* Sorts the trials into done, failed and still to do; with retry_failed, failed ones are set aside and to do again. */
static ws_err take_stock(ws_supervisor *s)
{
    size_t count = s->sweep->count, begin = 0;
    bool others = false;
    WS_TRY(ws_node_has_anyone(&s->pulse, s->options->directory, &others));
    if (others) /* begin elsewhere than they did */
        begin = (size_t)(ws_mix64((uint64_t)getpid()) % (count ? count : 1));
    for (size_t k = 0; k < count; k++) {
        size_t i = (begin + k) % count;
        const char *id = s->sweep->trials[i].facts.id;
        ws_trial_state state;
        WS_TRY(ws_trial_look(s->options->directory, id, &state, NULL, NULL));
        if (state == WS_TRIAL_FAILED && s->options->retry_failed) {
            WS_TRY(try_anew(s, id));
            state = WS_TRIAL_NEW;
        }
        if (state == WS_TRIAL_DONE)
            s->counts->done++;
        else if (state == WS_TRIAL_FAILED)
            s->counts->failed++;
        else
            ws_supervise_enqueue(s, i, 0);
    }
    return WS_OK;
}

static ws_err open_workers(ws_supervisor *s)
{
    int count = s->options->workers;
    WS_TRY(WS_NEW_ARRAY(s->workers, (size_t)count));
    for (int k = 0; k < count; k++) {
        s->workers[k].task.log = s->workers[k].journal.file = -1;
        s->workers[k].process.ended = -1;
    }
    for (int k = 0; k < count; k++)
        WS_TRY(ws_journal_open(&s->workers[k].journal, s->options->directory, k));
    WS_TRY(WS_NEW_ARRAY(s->polls, (size_t)count));
    WS_TRY(WS_NEW_ARRAY(s->queue, s->sweep->count));
    return WS_NEW_ARRAY(s->restarts, s->sweep->count);
}

static void close_supervisor(ws_supervisor *s)
{
    ws_supervise_end(s);
    ws_pulse_stop(&s->pulse);
    free(s->workers);
    free(s->polls);
    free(s->queue);
    free(s->restarts);
}

/* What closing finds wrong must not hide what went wrong before. */
static ws_err close_keeping_error(ws_supervisor *s, ws_err error)
{
    char *message = strdup(ws_error_message()), *hint = strdup(ws_error_hint()), *trace = strdup(ws_error_trace());
    close_supervisor(s);
    if (error != WS_OK && message && hint && trace)
        error = ws_error_set(error, message, hint, trace);
    free(message);
    free(hint);
    free(trace);
    return error;
}

static ws_err check_options(const ws_sweep_options *options)
{
    WS_CHECK(options->workers >= 1, ARGUMENT, "%d workers: at least one is needed", options->workers);
    WS_CHECK(options->ranks_per_trial >= 1, ARGUMENT, "%d ranks a trial: at least one is needed",
             options->ranks_per_trial);
    WS_CHECK(access(options->program, X_OK) == 0, IO, "%s: cannot be executed: %s", options->program, strerror(errno));
    return WS_OK;
}

static ws_err describe_end(const ws_supervisor *s)
{
    const ws_sweep_counts *counts = s->counts;
    ws_err error = WS_OK;
    if (s->stopping && counts->left) {
        error = WS_ERROR(INTERRUPTED, "the sweep was asked to stop: %zu of %zu trials are left", counts->left,
                         counts->planned);
        WS_HINT("the same command goes on from here");
    } else if (counts->contradicted) {
        error = WS_ERROR(PARTIAL, "%zu of %zu trials were finished twice with different results", counts->contradicted,
                         counts->planned);
        WS_HINT("trials/ID.second-K/difference.txt says where they differ");
    } else if (counts->failed) {
        error = WS_ERROR(PARTIAL, "%zu of %zu trials failed", counts->failed, counts->planned);
        WS_HINT("the table says why; where that is mended, the same command with --retry-failed runs them again");
    }
    return error;
}

ws_err ws_sweep_run(const ws_sweep *sweep, const ws_sweep_options *options, ws_sweep_counts *counts)
{
    *counts = (ws_sweep_counts){.planned = sweep->count};
    ws_supervisor s = {.sweep = sweep, .options = options, .counts = counts, .pulse.file = -1, .next.log = -1};
    double lease = options->lease > 0 ? options->lease : WS_SWEEP_LEASE;
    ws_comm self = ws_comm_self();
    ws_err error = WS_OK;
    WS_TRY(check_options(options));
    WS_TRY(prepare_folder(options));
    WS_TRY(ws_node_refuse_quarantined(options->directory));
    WS_TRY(freeze(sweep, options->directory));
    WS_TRY_GOTO(done, ws_pulse_start(&s.pulse, options->directory, lease, options->workers));
    WS_TRY_GOTO(done, open_workers(&s));
    WS_TRY_GOTO(done, take_stock(&s));
    WS_TRY_GOTO(done, ws_progress_start(&s.progress, &self, "sweep", "trials", (double)sweep->count));
    ws_progress_continue(s.progress, (double)(counts->done + counts->failed));
    WS_TRY_GOTO(done, ws_supervise(&s));
    WS_TRY_GOTO(done, ws_claims_tidy(&s.pulse, options->directory));
done:
    ws_progress_finish(&s.progress);
    error = close_keeping_error(&s, error);
    counts->left = counts->planned - counts->done - counts->failed;
    WS_TRY(error);
    return describe_end(&s);
}
