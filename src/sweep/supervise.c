/* The supervisor: hands the missing trials to its workers, watches them, writes down how they ended. One process, no
 * threads; every fact it acts on is in the folder, so that it may be killed at any moment. */
#include "sweep/internal.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include "cluster/cluster.h"
#include "storage/storage.h"

enum {
    EXIT_INTERRUPTED = 75,
    RESTARTS = 10, /* of a trial that keeps asking to be resumed without anybody having asked it to stop */
    POLL_MILLISECONDS = 200
};
static const double busy_wait_seconds = 0.25; /* before a trial that another process still runs is looked at again */

typedef struct worker {
    ws_process process;
    ws_journal journal;
    size_t trial;
    int lock;
    char started[32];
} worker;

typedef struct pending { /* one planned trial that has no record yet */
    size_t trial;
    double not_before;
    bool announced; /* that another process still runs it */
} pending;

typedef struct supervisor {
    const ws_sweep *sweep;
    const ws_sweep_options *options;
    ws_sweep_counts *counts;
    worker *workers;
    struct pollfd *polls;
    pending *queue; /* ring of sweep->count places */
    size_t head, queued;
    int *restarts; /* by trial */
    int active;
    bool stopping;
    ws_progress *progress;
} supervisor;

static const char *trial_id(const supervisor *s, size_t trial)
{
    return s->sweep->trials[trial].facts.id;
}

static void enqueue(supervisor *s, pending item)
{
    s->queue[(s->head + s->queued++) % s->sweep->count] = item;
}

static pending dequeue(supervisor *s)
{
    pending item = s->queue[s->head];
    s->head = (s->head + 1) % s->sweep->count;
    s->queued--;
    return item;
}

static void show_progress(supervisor *s)
{
    char detail[96];
    snprintf(detail, sizeof detail, "%d running, %zu failed", s->active, s->counts->failed);
    ws_progress_update(s->progress, (double)(s->counts->done + s->counts->failed), detail);
}

/* ---------------------------------------------------------------- starting */

/* A damaged record is kept beside under another name; the trial runs again. */
static ws_err drop_broken_record(const supervisor *s, const char *id)
{
    char *from = ws_trial_file(s->options->directory, id, "record.json"),
         *to = ws_trial_file(s->options->directory, id, "record.json.broken");
    ws_err error = from && to ? ws_file_rename(from, to) : WS_ERROR(MEMORY, "no memory for a path");
    free(from);
    free(to);
    return error;
}

static ws_err write_config(const ws_trial *trial, const char *trial_directory)
{
    char *path = ws_path_join(trial_directory, "config.json");
    WS_CHECK(path, MEMORY, "no memory for a path");
    ws_text text = {0};
    ws_text_appendf(&text, "%s\n", trial->config);
    ws_err error = ws_text_check(&text);
    if (error == WS_OK)
        error = ws_file_write(path, text.data, text.length);
    ws_text_destroy(&text);
    free(path);
    return error;
}

static ws_err launch(supervisor *s, worker *w, const char *trial_directory, bool resume)
{
    WS_TRY(write_config(&s->sweep->trials[w->trial], trial_directory)); /* again: the stores may have moved */
    ws_time_text(w->started);
    WS_TRY(ws_process_start(&w->process, s->options, trial_directory, resume, w->lock));
    s->active++;
    cJSON *details = cJSON_CreateObject();
    cJSON_AddNumberToObject(details, "pid", (double)w->process.pid);
    cJSON_AddBoolToObject(details, "resumed", resume);
    return ws_journal_write(&w->journal, "started", trial_id(s, w->trial), details);
}

/* Starts one pending trial on worker w, unless it turns out to be done, failed, or still run by another process. */
static ws_err start_trial(supervisor *s, worker *w, pending item)
{
    const char *id = trial_id(s, item.trial);
    char *trial_directory = ws_trial_directory(s->options->directory, id);
    ws_trial_state state = WS_TRIAL_NEW;
    ws_err error = WS_OK;
    w->trial = item.trial;
    WS_CHECK_GOTO(done, trial_directory, MEMORY, "no memory for a path");
    WS_TRY_GOTO(done, ws_directory_create(trial_directory));
    WS_TRY_GOTO(done, ws_trial_lock(s->options->directory, id, &w->lock));
    if (w->lock < 0) {
        if (!item.announced)
            ws_warn("trial %s is still run by a process that an earlier sweep left; waiting for it to end", id);
        item.announced = true;
        item.not_before = ws_clock_seconds() + busy_wait_seconds;
        enqueue(s, item);
        goto done;
    }
    WS_TRY_GOTO(done, ws_trial_look(s->options->directory, id, &state, NULL, NULL));
    if (state == WS_TRIAL_DONE || state == WS_TRIAL_FAILED) {
        s->counts->done += state == WS_TRIAL_DONE;
        s->counts->failed += state == WS_TRIAL_FAILED;
        goto done;
    }
    if (state == WS_TRIAL_BROKEN) {
        WS_TRY_GOTO(done, drop_broken_record(s, id));
        state = WS_TRIAL_STARTED;
    }
    error = launch(s, w, trial_directory, state == WS_TRIAL_STARTED);
done:
    if (w->process.pid == 0 && w->lock >= 0) {
        close(w->lock);
        w->lock = -1;
    }
    free(trial_directory);
    return error;
}

static ws_err fill_workers(supervisor *s)
{
    double now = ws_clock_seconds();
    for (int k = 0; k < s->options->workers; k++)
        for (size_t tries = s->queued; s->workers[k].process.pid == 0 && tries > 0; tries--) {
            pending item = dequeue(s);
            if (item.not_before > now)
                enqueue(s, item);
            else
                WS_TRY(start_trial(s, &s->workers[k], item));
        }
    return WS_OK;
}

/* ---------------------------------------------------------------- ending */

static ws_err note_done(supervisor *s, worker *w)
{
    s->counts->done++;
    cJSON *details = cJSON_CreateObject();
    cJSON_AddNumberToObject(details, "seconds", ws_clock_seconds() - w->process.started);
    return ws_journal_write(&w->journal, "finished", trial_id(s, w->trial), details);
}

static ws_err note_failed(supervisor *s, worker *w, int status, const char *complaint)
{
    const char *id = trial_id(s, w->trial);
    ws_failure failure = {.status = status,
                          .over_limit = w->process.over_limit,
                          .limit = s->options->time_limit,
                          .seconds = ws_clock_seconds() - w->process.started,
                          .started = w->started,
                          .complaint = complaint};
    ws_text reason = {0};
    ws_err error = ws_failure_record(s->options->directory, id, &failure, &reason);
    if (error == WS_OK) {
        s->counts->failed++;
        ws_warn("trial %s (%s) failed: %s", id, s->sweep->trials[w->trial].description, ws_text_string(&reason));
        cJSON *details = cJSON_CreateObject();
        cJSON_AddStringToObject(details, "reason", ws_text_string(&reason));
        error = ws_journal_write(&w->journal, "failed", id, details);
    }
    ws_text_destroy(&reason);
    return error;
}

/* It was asked to stop, or stopped by itself with status 75: it goes on from its checkpoint, now or in the next run. */
static ws_err note_interrupted(supervisor *s, worker *w)
{
    if (!s->stopping)
        enqueue(s, (pending){.trial = w->trial});
    else
        s->counts->interrupted++;
    return ws_journal_write(&w->journal, "interrupted", trial_id(s, w->trial), NULL);
}

static ws_err finish_trial(supervisor *s, worker *w, int status)
{
    const char *id = trial_id(s, w->trial);
    ws_text complaint = {0};
    ws_trial_state state = WS_TRIAL_NEW;
    s->active--;
    ws_err error = ws_trial_look(s->options->directory, id, &state, NULL, &complaint);
    bool asked = WIFEXITED(status) && WEXITSTATUS(status) == EXIT_INTERRUPTED;
    if (error == WS_OK && state == WS_TRIAL_BROKEN)
        error = drop_broken_record(s, id);
    if (error != WS_OK)
        ; /* the folder cannot be read or written: passed on below */
    else if (state == WS_TRIAL_DONE)
        error = note_done(s, w);
    else if (state == WS_TRIAL_STARTED && !w->process.over_limit &&
             (s->stopping || (asked && s->restarts[w->trial]++ < RESTARTS)))
        error = note_interrupted(s, w);
    else
        error = note_failed(s, w, status, complaint.length ? ws_text_string(&complaint) : NULL);
    ws_text_destroy(&complaint);
    close(w->lock);
    w->lock = -1;
    return error;
}

/* ---------------------------------------------------------------- the loop */

static void wait_for_something(supervisor *s)
{
    nfds_t count = 0;
    for (int k = 0; k < s->options->workers; k++)
        if (s->workers[k].process.pid)
            s->polls[count++] = (struct pollfd){.fd = s->workers[k].process.ended, .events = POLLIN};
    poll(s->polls, count, POLL_MILLISECONDS);
}

static void pass_stop_on(supervisor *s)
{
    s->stopping = true;
    if (s->active)
        ws_info("stopping: %d running trial%s asked for a checkpoint", s->active, s->active == 1 ? "" : "s");
    for (int k = 0; k < s->options->workers; k++)
        ws_process_stop(&s->workers[k].process, s->options);
}

static ws_err supervise(supervisor *s)
{
    for (;;) {
        if (!s->stopping && ws_stop_requested())
            pass_stop_on(s);
        if (!s->stopping)
            WS_TRY(fill_workers(s));
        show_progress(s);
        if (s->active == 0 && (s->stopping || s->queued == 0))
            return WS_OK;
        wait_for_something(s);
        for (int k = 0; k < s->options->workers; k++) {
            worker *w = &s->workers[k];
            int status;
            if (!w->process.pid)
                continue;
            if (ws_process_poll(&w->process, &status))
                WS_TRY(finish_trial(s, w, status));
            else
                ws_process_limit(&w->process, s->options->time_limit);
        }
    }
}

/* ---------------------------------------------------------------- before and after */

/* Sorts the trials into done, failed and still to do; with retry_failed, failed ones are set aside and to do again. */
static ws_err take_stock(supervisor *s)
{
    for (size_t i = 0; i < s->sweep->count; i++) {
        const char *id = trial_id(s, i);
        ws_trial_state state;
        WS_TRY(ws_trial_look(s->options->directory, id, &state, NULL, NULL));
        if (state == WS_TRIAL_FAILED && s->options->retry_failed) {
            WS_TRY(ws_trial_set_aside(s->options->directory, id));
            WS_TRY(ws_journal_write(&s->workers[0].journal, "retried", id, NULL));
            state = WS_TRIAL_NEW;
        }
        if (state == WS_TRIAL_DONE)
            s->counts->done++;
        else if (state == WS_TRIAL_FAILED)
            s->counts->failed++;
        else
            enqueue(s, (pending){.trial = i});
    }
    return WS_OK;
}

static ws_err prepare_folder(const ws_sweep_options *options)
{
    char *run = ws_path_join(options->directory, "checkpoints");
    WS_CHECK(run, MEMORY, "no memory for a path");
    const bool of_run = ws_directory_exists(run);
    free(run);
    WS_CHECK(!of_run, ARGUMENT, "%s: is the folder of a run of wiresweep train; choose another one with -o",
             options->directory);
    static const char *const folders[] = {"trials", "journal", "tables"};
    for (size_t i = 0; i < 3; i++) {
        char *path = ws_path_join(options->directory, folders[i]);
        WS_CHECK(path, MEMORY, "no memory for a path");
        ws_err error = ws_directory_create(path);
        free(path);
        WS_TRY(error);
    }
    return WS_OK;
}

static ws_err lock_folder(const char *directory, int *out)
{
    char *path = ws_path_join(directory, "lock");
    WS_CHECK(path, MEMORY, "no memory for a path");
    ws_err error = ws_lock_file(path, out);
    if (error == WS_OK && *out < 0) {
        char owner[128] = "";
        FILE *file = fopen(path, "r");
        size_t got = file ? fread(owner, 1, sizeof owner - 1, file) : 0;
        owner[got] = '\0';
        owner[strcspn(owner, "\n")] = '\0';
        if (file)
            fclose(file);
        error = WS_ERROR(IO, "%s: another sweep is at work in this folder (%s)", directory, owner);
        WS_HINT("wiresweep status %s shows how far it is; wait for it, or stop it with SIGTERM", directory);
    } else if (error == WS_OK) {
        char host[256] = "localhost";
        gethostname(host, sizeof host - 1);
        if (ftruncate(*out, 0) == 0)
            dprintf(*out, "process %ld on %s\n", (long)getpid(), host);
    }
    free(path);
    return error;
}

static ws_err open_workers(supervisor *s)
{
    int count = s->options->workers;
    WS_TRY(WS_NEW_ARRAY(s->workers, (size_t)count));
    for (int k = 0; k < count; k++) {
        s->workers[k].lock = s->workers[k].journal.file = -1;
        s->workers[k].process.ended = -1;
    }
    for (int k = 0; k < count; k++)
        WS_TRY(ws_journal_open(&s->workers[k].journal, s->options->directory, k));
    WS_TRY(WS_NEW_ARRAY(s->polls, (size_t)count));
    WS_TRY(WS_NEW_ARRAY(s->queue, s->sweep->count));
    return WS_NEW_ARRAY(s->restarts, s->sweep->count);
}

/* Where the supervisor itself cannot go on (a full disk, say), its trials are let to their checkpoints. */
static void close_workers(supervisor *s)
{
    for (int k = 0; s->workers && k < s->options->workers; k++)
        ws_process_stop(&s->workers[k].process, s->options);
    for (int k = 0; s->workers && k < s->options->workers; k++) {
        worker *w = &s->workers[k];
        int status;
        while (w->process.pid && !ws_process_poll(&w->process, &status))
            wait_for_something(s);
        if (w->lock >= 0)
            close(w->lock);
        ws_journal_close(&w->journal);
    }
    free(s->workers);
    free(s->polls);
    free(s->queue);
    free(s->restarts);
}

static ws_err check_options(const ws_sweep_options *options)
{
    WS_CHECK(options->workers >= 1, ARGUMENT, "%d workers: at least one is needed", options->workers);
    WS_CHECK(options->ranks_per_trial >= 1, ARGUMENT, "%d ranks a trial: at least one is needed",
             options->ranks_per_trial);
    WS_CHECK(access(options->program, X_OK) == 0, IO, "%s: cannot be executed: %s", options->program, strerror(errno));
    return WS_OK;
}

ws_err ws_sweep_run(const ws_sweep *sweep, const ws_sweep_options *options, ws_sweep_counts *counts)
{
    *counts = (ws_sweep_counts){.planned = sweep->count};
    WS_TRY(check_options(options));
    WS_TRY(prepare_folder(options));
    int lock = -1;
    WS_TRY(lock_folder(options->directory, &lock));
    supervisor s = {.sweep = sweep, .options = options, .counts = counts};
    ws_comm self = ws_comm_self();
    ws_err error = WS_OK;
    WS_TRY_GOTO(done, ws_manifest_freeze(sweep, options->directory));
    WS_TRY_GOTO(done, open_workers(&s));
    WS_TRY_GOTO(done, take_stock(&s));
    WS_TRY_GOTO(done, ws_progress_start(&s.progress, &self, "sweep", "trials", (double)sweep->count));
    ws_progress_continue(s.progress, (double)(counts->done + counts->failed));
    WS_TRY_GOTO(done, supervise(&s));
done:
    ws_progress_finish(&s.progress);
    close_workers(&s);
    close(lock);
    counts->left = counts->planned - counts->done - counts->failed;
    if (error != WS_OK)
        return error;
    if (s.stopping && counts->left) {
        error = WS_ERROR(INTERRUPTED, "the sweep was asked to stop: %zu of %zu trials are left", counts->left,
                         counts->planned);
        WS_HINT("the same command goes on from here");
        return error;
    }
    if (counts->failed == 0)
        return WS_OK;
    error = WS_ERROR(PARTIAL, "%zu of %zu trials failed", counts->failed, counts->planned);
    WS_HINT("the table says why; where that is mended, the same command with --retry-failed runs them again");
    return error;
}
