/* The supervisor's loop: claims missing trials for its workers, watches them, and has the way they ended written down. One
 * process, no threads; every fact it acts on is in the folder, so that it may be killed at any moment, and others may be at
 * work there. */
#include "sweep/supervise.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>
#include "storage/storage.h"

enum { POLL_MILLISECONDS = 200 };
static const double busy_wait_seconds = 0.25; /* before a trial that another process has is looked at again */
static const double elsewhere_seconds = 1;    /* that another node is given to try what failed on this one */
static const double short_seconds = 1;        /* of trials that are claimed ahead, so that no worker waits */

void ws_supervise_enqueue(ws_supervisor *s, size_t trial, double delay)
{
    double not_before = delay > 0 ? ws_clock_seconds() + delay : 0;
    s->queue[(s->head + s->queued++) % s->sweep->count] = (ws_pending){trial, not_before};
}

static ws_pending dequeue(ws_supervisor *s)
{
    ws_pending item = s->queue[s->head];
    s->head = (s->head + 1) % s->sweep->count;
    s->queued--;
    return item;
}

static void show_progress(ws_supervisor *s)
{
    char detail[96];
    snprintf(detail, sizeof detail, "%d running, %zu failed", s->active, s->counts->failed);
    ws_progress_update(s->progress, (double)(s->counts->done + s->counts->failed), detail);
}

/* ---------------------------------------------------------------- before a trial starts */

/* Written again for each try: the stores may have moved. Not flushed: it can always be made again. */
static ws_err write_config(const ws_trial *trial, const char *run)
{
    char *path = ws_path_join(run, "config.json");
    int file = path ? open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666) : -1;
    size_t length = strlen(trial->config);
    ws_err error = WS_OK;
    if (file < 0 || write(file, trial->config, length) != (ssize_t)length || write(file, "\n", 1) != 1)
        error = WS_ERROR(IO, "%s: cannot be written: %s", path ? path : run, strerror(errno));
    if (file >= 0)
        close(file);
    free(path);
    return error;
}

/* The log, locked: as long as a process of the trial has it, others see that it runs. */
static ws_err open_log(const char *run, int *out)
{
    char *path = ws_path_join(run, "log.txt");
    WS_CHECK(path, MEMORY, "no memory for a path");
    ws_err error = WS_OK;
    *out = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (*out < 0)
        error = WS_ERROR(IO, "%s: cannot be opened: %s", path, strerror(errno));
    /* another supervisor that looks whether it is locked has it for a moment */
    for (int tries = 0; error == WS_OK && tries < 100 && flock(*out, LOCK_EX | LOCK_NB) != 0; tries++) {
        if (errno == EWOULDBLOCK)
            usleep(1000);
        else if (errno != EINTR)
            error = WS_ERROR(IO, "%s: cannot be locked: %s", path, strerror(errno));
    }
    free(path);
    return error;
}

/* A trial that failed here is left to another node, where one is at work. */
static ws_err leave_to_others(const ws_supervisor *s, const ws_task *task, bool *out)
{
    const char *directory = s->options->directory;
    cJSON *tries = NULL;
    *out = false;
    if (task->claim.failures == 0)
        return WS_OK;
    ws_err error = ws_failure_tries(directory, ws_task_id(s, task), &tries);
    if (error == WS_OK && ws_node_in_tries(tries, ws_node_name()))
        error = ws_node_has_others(&s->pulse, directory, tries, out);
    cJSON_Delete(tries);
    return error;
}

/* The run folder of a claimed trial. *ready: it is to be started; else it is settled already. */
static ws_err make_ready(ws_supervisor *s, ws_worker *worker, ws_task *task, bool *ready)
{
    const char *id = ws_task_id(s, task);
    ws_trial_state state;
    WS_TRY(ws_claim_folder(&task->claim, s->options->directory, id));
    if (task->claim.result == WS_CLAIM_BUSY) {
        ws_supervise_enqueue(s, task->trial, busy_wait_seconds);
        return ws_claim_release(&task->claim, s->options->directory, id);
    }
    WS_TRY(ws_run_look(task->claim.run, id, &state, NULL, NULL));
    if (state == WS_TRIAL_DONE || state == WS_TRIAL_FAILED)
        return ws_outcome_of_record(s, worker, task);
    task->resume = state != WS_TRIAL_NEW || task->claim.previous;
    WS_TRY(open_log(task->claim.run, &task->log));
    WS_TRY(write_config(&s->sweep->trials[task->trial], task->claim.run));
    *ready = true;
    return WS_OK;
}

/* Counts what is published; *open: it is not, or is damaged and out of the way. */
static ws_err count_published(ws_supervisor *s, const char *id, bool *open)
{
    ws_trial_state state;
    bool moved = false;
    ws_text complaint = {0};
    WS_TRY(ws_trial_look(s->options->directory, id, &state, NULL, &complaint));
    ws_err error = WS_OK;
    *open = state != WS_TRIAL_DONE && state != WS_TRIAL_FAILED;
    s->counts->done += state == WS_TRIAL_DONE;
    s->counts->failed += state == WS_TRIAL_FAILED;
    if (state == WS_TRIAL_BROKEN || state == WS_TRIAL_CHANGED)
        error = ws_trial_set_aside(s->options->directory, id, "broken", &moved);
    if (moved)
        ws_warn("trial %s is run again: %s (kept in trials/%s.broken-K)", id,
                complaint.length ? ws_text_string(&complaint) : "its record is gone", id);
    ws_text_destroy(&complaint);
    return error;
}

/* Claims one pending trial, unless it turns out to be published, or in the hands of another one. */
static ws_err prepare(ws_supervisor *s, ws_worker *worker, ws_pending item, ws_task *task, bool *ready)
{
    const char *directory = s->options->directory;
    bool open = true, elsewhere = false;
    *task = (ws_task){.trial = item.trial, .log = -1};
    *ready = false;
    const char *id = ws_task_id(s, task);
    WS_TRY(count_published(s, id, &open));
    if (!open)
        return WS_OK;
    WS_TRY(ws_claim_take(&task->claim, &s->pulse, directory, id));
    if (task->claim.result == WS_CLAIM_BUSY) {
        ws_supervise_enqueue(s, item.trial, busy_wait_seconds);
        return WS_OK;
    }
    WS_TRY(count_published(s, id, &open)); /* between the first look and the claim */
    if (!open)
        return ws_claim_clear(&task->claim, directory, id);
    WS_TRY(leave_to_others(s, task, &elsewhere));
    if (elsewhere) {
        ws_supervise_enqueue(s, item.trial, elsewhere_seconds);
        return ws_claim_release(&task->claim, directory, id);
    }
    return make_ready(s, worker, task, ready);
}

/* The next trial that can be started; *found false: none just now. */
static ws_err find_task(ws_supervisor *s, ws_worker *worker, ws_task *task, bool *found)
{
    double now = ws_clock_seconds();
    *found = false;
    for (size_t tries = s->queued; tries > 0 && !*found; tries--) {
        ws_pending item = dequeue(s);
        if (item.not_before > now)
            s->queue[(s->head + s->queued++) % s->sweep->count] = item;
        else
            WS_TRY(prepare(s, worker, item, task, found));
    }
    return WS_OK;
}

/* ---------------------------------------------------------------- running */

static ws_err launch(ws_supervisor *s, ws_worker *worker, ws_task *task)
{
    worker->task = *task;
    *task = (ws_task){.log = -1};
    ws_time_text(worker->task.started);
    ws_process_place place = {.run = worker->task.claim.run,
                              .resume = worker->task.resume,
                              .log = worker->task.log,
                              .slot = (int)(worker - s->workers)};
    WS_TRY(ws_process_start(&worker->process, s->options, &place));
    close(worker->task.log); /* from now on only the trial has it locked */
    worker->task.log = -1;
    s->active++;
    cJSON *details = cJSON_CreateObject();
    cJSON_AddStringToObject(details, "node", ws_node_name());
    cJSON_AddNumberToObject(details, "pid", (double)worker->process.pid);
    cJSON_AddBoolToObject(details, "resumed", worker->task.resume);
    return ws_journal_write(&worker->journal, "started", ws_task_id(s, &worker->task), details);
}

/* Where trials are short, the next one is claimed before a worker is free for it; where they turn out to be long, it is given
 * back, since another supervisor may have a worker that is free. */
static ws_err claim_ahead(ws_supervisor *s)
{
    bool found;
    const double now = ws_clock_seconds();
    if (s->next.log >= 0 && now - s->next_since > short_seconds) {
        s->last_seconds = now - s->next_since;
        ws_supervise_enqueue(s, s->next.trial, 0);
        close(s->next.log);
        s->next.log = -1;
        return ws_claim_release(&s->next.claim, s->options->directory, ws_task_id(s, &s->next));
    }
    s->next_since = s->next.log >= 0 ? s->next_since : now;
    if (s->next.log < 0 && s->queued && s->last_seconds > 0 && s->last_seconds < short_seconds)
        return find_task(s, &s->workers[0], &s->next, &found);
    return WS_OK;
}

static ws_err fill_workers(ws_supervisor *s)
{
    bool pause = false;
    WS_TRY(ws_node_check(&s->health, &s->pulse, s->options->directory, &pause));
    if (pause)
        return WS_OK;
    for (int k = 0; k < s->options->workers; k++) {
        ws_worker *worker = &s->workers[k];
        bool found = s->next.log >= 0;
        if (worker->process.pid)
            continue;
        if (!found)
            WS_TRY(find_task(s, worker, &s->next, &found));
        if (!found)
            break;
        WS_TRY(launch(s, worker, &s->next));
    }
    return claim_ahead(s);
}

static void wait_for_something(ws_supervisor *s)
{
    nfds_t count = 0;
    for (int k = 0; k < s->options->workers; k++)
        if (s->workers[k].process.pid)
            s->polls[count++] = (struct pollfd){.fd = s->workers[k].process.ended, .events = POLLIN};
    poll(s->polls, count, POLL_MILLISECONDS);
}

static void pass_stop_on(ws_supervisor *s)
{
    s->stopping = true;
    if (s->active)
        ws_info("stopping: %d running trial%s asked for a checkpoint", s->active, s->active == 1 ? "" : "s");
    for (int k = 0; k < s->options->workers; k++)
        ws_process_stop(&s->workers[k].process, s->options);
}

static ws_err watch(ws_supervisor *s, ws_worker *worker)
{
    int status;
    if (!worker->process.pid)
        return WS_OK;
    if (!ws_process_poll(&worker->process, &status)) {
        ws_process_limit(&worker->process, s->options->time_limit);
        return WS_OK;
    }
    ws_task ended = worker->task;
    ws_process process = worker->process;
    worker->task = (ws_task){.log = -1};
    worker->process.pid = 0;
    s->active--;
    ws_err error = WS_OK; /* the next one first, so that its worker does not wait for what is to be written down */
    if (s->next.log >= 0 && !s->stopping)
        error = launch(s, worker, &s->next);
    ws_err outcome = ws_outcome(s, worker, &ended, &process, status);
    WS_TRY(error);
    return outcome;
}

/* What has happened, to the disk, before anything else is waited for; free workers have their next trials by then, so that these
 * run meanwhile. A power failure before it costs the trials that have just ended once more, never a result. */
static ws_err flush(ws_supervisor *s)
{
    bool unflushed = false;
    for (int k = 0; k < s->options->workers; k++)
        unflushed = unflushed || s->workers[k].journal.unflushed;
    if (!unflushed)
        return WS_OK;
    for (int k = 0; k < s->options->workers; k++)
        WS_TRY(ws_journal_flush(&s->workers[k].journal));
    return ws_trials_flush(s->options->directory);
}

ws_err ws_supervise(ws_supervisor *s)
{
    for (;;) {
        WS_TRY(ws_pulse_beat(&s->pulse));
        if (!s->stopping && ws_stop_requested())
            pass_stop_on(s);
        if (!s->stopping)
            WS_TRY(fill_workers(s));
        WS_TRY(flush(s));
        show_progress(s);
        if (s->active == 0 && (s->stopping || (s->queued == 0 && s->next.log < 0)))
            return WS_OK;
        wait_for_something(s);
        for (int k = 0; k < s->options->workers; k++)
            WS_TRY(watch(s, &s->workers[k]));
    }
}

static void drop_task(ws_supervisor *s, ws_task *task)
{
    if (task->log >= 0)
        close(task->log);
    task->log = -1;
    if (task->claim.generation && ws_claim_release(&task->claim, s->options->directory, ws_task_id(s, task)) != WS_OK)
        ws_warn("trial %s: its lease could not be given back; it expires by itself", ws_task_id(s, task));
}

/* Where the supervisor itself cannot go on (a full disk, say), its trials are let to their checkpoints. Keeps the error. */
void ws_supervise_end(ws_supervisor *s)
{
    for (int k = 0; s->workers && k < s->options->workers; k++)
        ws_process_stop(&s->workers[k].process, s->options);
    for (int k = 0; s->workers && k < s->options->workers; k++) {
        ws_worker *worker = &s->workers[k];
        int status;
        while (worker->process.pid && !ws_process_poll(&worker->process, &status)) {
            for (int other = k; other < s->options->workers; other++)
                if (s->workers[other].process.pid)
                    ws_process_limit(&s->workers[other].process, s->options->time_limit);
            if (ws_pulse_beat(&s->pulse) != WS_OK)
                ws_error_clear();
            wait_for_something(s);
        }
        drop_task(s, &worker->task);
        ws_journal_close(&worker->journal);
    }
    drop_task(s, &s->next);
}
