/* How a trial ended: done, failed for good, to be tried again, to go on another time; published and written down. */
#include "sweep/supervise.h"

#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include "storage/storage.h"

enum { EXIT_INTERRUPTED = 75, RESTARTS = 10 /* of a trial that keeps asking to be resumed though nobody stopped it */ };
static const double retry_delay_seconds = 0.2;

static void end_task(ws_task *task)
{
    if (task->log >= 0)
        close(task->log);
    task->log = -1;
    ws_claim_forget(&task->claim);
}

static ws_err give_back(const ws_supervisor *s, ws_task *task)
{
    const char *id = ws_task_id(s, task);
    return ws_claim_release(&task->claim, s->options->directory, id);
}

static cJSON *cost(const ws_supervisor *s, const ws_process *process)
{
    cJSON *details = cJSON_CreateObject();
    cJSON_AddStringToObject(details, "node", ws_node_name());
    if (process) {
        const struct rusage *used = &process->usage;
        double cpu = (double)(used->ru_utime.tv_sec + used->ru_stime.tv_sec) +
                     (double)(used->ru_utime.tv_usec + used->ru_stime.tv_usec) * 1e-6;
        cJSON_AddNumberToObject(details, "seconds", ws_clock_seconds() - process->started);
        cJSON_AddNumberToObject(details, "cpu_seconds", cpu);
        cJSON_AddNumberToObject(details, "gpus", ws_sweep_devices(s->options));
    }
    return details;
}

/* Publishes the run folder; `failed`: what it holds is the record of a failure. */
static ws_err publish(ws_supervisor *s, ws_worker *worker, ws_task *task, bool failed, cJSON *details)
{
    const char *id = ws_task_id(s, task);
    ws_publication publication = WS_PUBLISHED;
    ws_text difference = {0};
    ws_err error = ws_trial_publish(s->options->directory, id, task->claim.run, &publication, &difference);
    if (error == WS_OK && publication != WS_PUBLISHED && publication != WS_PUBLISHED_FAILED_BEFORE)
        failed = false;
    const char *event = failed ? "failed" : "finished";
    if (publication == WS_PUBLISHED_BEFORE)
        event = "confirmed";
    if (publication == WS_PUBLISHED_OTHERWISE) {
        event = "contradicted";
        s->counts->contradicted++;
        cJSON_AddStringToObject(details, "difference", ws_text_string(&difference));
        ws_warn("trial %s is not deterministic: it was finished twice, and differs at %s", id,
                ws_text_string(&difference));
    }
    ws_text_destroy(&difference);
    if (error != WS_OK) {
        cJSON_Delete(details);
        return error;
    }
    s->counts->done += !failed;
    s->counts->failed += failed;
    WS_TRY(ws_journal_write(&worker->journal, event, id, details));
    return ws_claim_clear(&task->claim, s->options->directory, id);
}

static ws_err note_done(ws_supervisor *s, ws_worker *worker, ws_task *task, const ws_process *process)
{
    ws_node_note(&s->health, ws_task_id(s, task), false);
    if (process)
        s->last_seconds = ws_clock_seconds() - process->started;
    return publish(s, worker, task, false, cost(s, process));
}

/* It was asked to stop, or stopped by itself with status 75: it goes on from its checkpoint, now or another time. */
static ws_err note_interrupted(ws_supervisor *s, ws_worker *worker, ws_task *task, const ws_process *process)
{
    const char *id = ws_task_id(s, task);
    size_t trial = task->trial;
    WS_TRY(give_back(s, task));
    if (s->stopping)
        s->counts->interrupted++;
    else
        ws_supervise_enqueue(s, trial, 0);
    return ws_journal_write(&worker->journal, "interrupted", id, cost(s, process));
}

/* Whether the trial has had all the tries it gets. */
static bool is_final(const ws_supervisor *s, const ws_failure *failure, const cJSON *tries)
{
    const char *first = NULL;
    const cJSON *each;
    if (failure->certain || cJSON_GetArraySize(tries) > s->options->retries)
        return true;
    cJSON_ArrayForEach(each, tries)
    {
        const char *node = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(each, "node"));
        if (first && node && strcmp(first, node) != 0)
            return true; /* different nodes: it is the trial */
        first = node;
    }
    return false;
}

static ws_err settle_failure(ws_supervisor *s, ws_worker *worker, ws_task *task, const ws_process *process,
                             const ws_failure *failure)
{
    const char *id = ws_task_id(s, task), *directory = s->options->directory,
               *reason = ws_text_string(&failure->reason);
    const char *description = s->sweep->trials[task->trial].description;
    cJSON *tries = NULL, *details = cost(s, process);
    cJSON_AddStringToObject(details, "reason", reason);
    ws_err error = ws_failure_note(directory, id, task->claim.generation, reason);
    if (error == WS_OK)
        error = ws_failure_tries(directory, id, &tries);
    if (error == WS_OK && !is_final(s, failure, tries)) {
        ws_warn("trial %s (%s) failed, and is tried again: %s", id, description, reason);
        cJSON_AddTrueToObject(details, "again");
        error = ws_journal_write(&worker->journal, "failed", id, details);
        if (error == WS_OK)
            error = give_back(s, task);
        ws_supervise_enqueue(s, task->trial, retry_delay_seconds);
    } else if (error == WS_OK) {
        ws_warn("trial %s (%s) failed: %s", id, description, reason);
        error = ws_failure_record(task->claim.run, id, failure, tries);
        if (error == WS_OK)
            error = publish(s, worker, task, true, details);
        else
            cJSON_Delete(details);
    } else {
        cJSON_Delete(details);
    }
    cJSON_Delete(tries);
    return error;
}

static ws_err note_failed(ws_supervisor *s, ws_worker *worker, ws_task *task, const ws_process *process, int status,
                          const char *complaint)
{
    ws_failure failure = {.status = status,
                          .over_limit = process->over_limit,
                          .limit = s->options->time_limit,
                          .memory_limit = s->options->memory_limit,
                          .seconds = ws_clock_seconds() - process->started,
                          .started = task->started,
                          .complaint = complaint};
    ws_err error = ws_failure_explain(task->claim.run, &failure);
    if (error == WS_OK && failure.no_space) {
        /* none of the trial's doing: it goes on when there is room again */
        error = give_back(s, task);
        if (error == WS_OK) {
            error = WS_ERROR(IO, "%s: no space left on the device, or nothing may be written there any more",
                             s->options->directory);
            WS_HINT("nothing is lost: free some space, and the same command goes on from here");
        }
    } else if (error == WS_OK) {
        if (!failure.certain)
            ws_node_note(&s->health, ws_task_id(s, task), true);
        error = settle_failure(s, worker, task, process, &failure);
    }
    ws_text_destroy(&failure.reason);
    return error;
}

static ws_err drop_broken_record(const char *run)
{
    char *from = ws_path_join(run, "record.json"), *to = ws_path_join(run, "record.json.broken");
    ws_err error = from && to ? ws_file_rename(from, to) : WS_ERROR(MEMORY, "no memory for a path");
    free(from);
    free(to);
    return error;
}

ws_err ws_outcome(ws_supervisor *s, ws_worker *worker, ws_task *task, const ws_process *process, int status)
{
    ws_text complaint = {0};
    ws_trial_state state = WS_TRIAL_NEW;
    ws_err error = ws_run_look(task->claim.run, ws_task_id(s, task), &state, NULL, &complaint);
    bool asked = WIFEXITED(status) && WEXITSTATUS(status) == EXIT_INTERRUPTED;
    if (error == WS_OK && (state == WS_TRIAL_BROKEN || state == WS_TRIAL_CHANGED))
        error = drop_broken_record(task->claim.run);
    if (error != WS_OK)
        ; /* the folder cannot be read or written: passed on below */
    else if (state == WS_TRIAL_DONE)
        error = note_done(s, worker, task, process);
    else if (state == WS_TRIAL_STARTED && !process->over_limit &&
             (s->stopping || (asked && s->restarts[task->trial]++ < RESTARTS)))
        error = note_interrupted(s, worker, task, process);
    else
        error = note_failed(s, worker, task, process, status, complaint.length ? ws_text_string(&complaint) : NULL);
    ws_text_destroy(&complaint);
    end_task(task);
    return error;
}

ws_err ws_outcome_of_record(ws_supervisor *s, ws_worker *worker, ws_task *task)
{
    ws_trial_state state;
    ws_err error = ws_run_look(task->claim.run, ws_task_id(s, task), &state, NULL, NULL);
    if (error == WS_OK && state == WS_TRIAL_FAILED)
        error = publish(s, worker, task, true, cost(s, NULL));
    else if (error == WS_OK)
        error = note_done(s, worker, task, NULL);
    end_task(task);
    return error;
}
