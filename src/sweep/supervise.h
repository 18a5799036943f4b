/* Inside the room: the supervisor's state, shared by run.c (before and after), supervise.c (the loop) and outcome.c (how a trial
 * ended). */
#ifndef WS_SWEEP_SUPERVISE_H
#define WS_SWEEP_SUPERVISE_H

#include <poll.h>
#include "cluster/cluster.h"
#include "sweep/internal.h"

typedef struct ws_task { /* one claimed trial */
    size_t trial;
    ws_claim claim;
    int log; /* -1: none */
    bool resume;
    char started[32];
} ws_task;

typedef struct ws_worker {
    ws_process process;
    ws_journal journal;
    ws_task task;
} ws_worker;

typedef struct ws_pending { /* one planned trial that is not published yet */
    size_t trial;
    double not_before;
} ws_pending;

typedef struct ws_supervisor {
    const ws_sweep *sweep;
    const ws_sweep_options *options;
    ws_sweep_counts *counts;
    ws_pulse pulse;
    ws_node_health health;
    ws_worker *workers;
    struct pollfd *polls;
    ws_pending *queue; /* ring of sweep->count places */
    size_t head, queued;
    int *restarts; /* by trial */
    int active;
    ws_task next; /* claimed ahead where trials are short; next.log >= 0: there is one */
    double next_since, last_seconds;
    bool stopping;
    ws_progress *progress;
} ws_supervisor;

static inline const char *ws_task_id(const ws_supervisor *s, const ws_task *task)
{
    return s->sweep->trials[task->trial].facts.id;
}

/* ---- supervise.c ---- */
void ws_supervise_enqueue(ws_supervisor *s, size_t trial, double delay);
WS_MUST ws_err ws_supervise(ws_supervisor *s);
void ws_supervise_end(ws_supervisor *s); /* lets what still runs to its checkpoint */

/* ---- outcome.c ---- */
/* What a trial that has ended is recorded as. The task is over afterwards. */
WS_MUST ws_err ws_outcome(ws_supervisor *s, ws_worker *worker, ws_task *task, const ws_process *process, int status);
/* Publishes a run folder that holds a record already, which a killed supervisor left. */
WS_MUST ws_err ws_outcome_of_record(ws_supervisor *s, ws_worker *worker, ws_task *task);

#endif
