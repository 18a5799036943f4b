/* sweep, inside the room: folder paths, the manifest, the journal, one trial as a process. */
#ifndef WS_SWEEP_INTERNAL_H
#define WS_SWEEP_INTERNAL_H

#include <sys/types.h>
#include "sweep/sweep.h"

/* ---- specification_check.c ---- */
/* What is wrong with the form of a specification (an object) goes to problems. */
void ws_specification_check(const ws_json *document, const cJSON *root, ws_problems *problems);

/* ---- manifest.c: sweep.json ---- */
/* Writes sweep.json, or compares with the one that is there: the same trials are fine, further ones are added and
 * recorded as additions, missing ones are WS_E_CONFIG with what differs. */
WS_MUST ws_err ws_manifest_freeze(const ws_sweep *sweep, const char *directory);

/* ---- folder.c: the files of one trial ---- */
typedef enum ws_trial_state {
    WS_TRIAL_NEW,
    WS_TRIAL_STARTED, /* config.json is there, no record yet */
    WS_TRIAL_DONE,
    WS_TRIAL_FAILED,
    WS_TRIAL_BROKEN /* record.json is damaged, or another trial's */
} ws_trial_state;
extern const char *const ws_trial_state_names[];
char *ws_trial_directory(const char *directory, const char *id);              /* malloc'ed; NULL: out of memory */
char *ws_trial_file(const char *directory, const char *id, const char *name); /* likewise */
/* What record.json and config.json say. *record (may be NULL) gets the parsed record of a done or failed trial;
 * complaint (may be NULL) what is wrong with a broken one. */
WS_MUST ws_err ws_trial_look(const char *directory, const char *id, ws_trial_state *state, cJSON **record,
                             ws_text *complaint);
/* Takes the trial's lock; *out = -1 where another process holds it. Close it to give it back. */
WS_MUST ws_err ws_trial_lock(const char *directory, const char *id, int *out);
bool ws_trial_is_running(const char *directory, const char *id); /* some process holds the lock */
/* Moves what a failed trial left to trials/ID.failed-K. */
WS_MUST ws_err ws_trial_set_aside(const char *directory, const char *id);
/* Takes `path` as an flock'ed file, made where it is not there; *out = -1 where another process holds it. */
WS_MUST ws_err ws_lock_file(const char *path, int *out);
void ws_time_text(char out[32]); /* "2026-01-31T12:00:00Z" */

/* ---- journal.c ---- */
typedef struct ws_journal {
    int file; /* -1: not open */
} ws_journal;
WS_MUST ws_err ws_journal_open(ws_journal *out, const char *directory, int worker);
void ws_journal_close(ws_journal *journal);
/* One line, fsynced. details (may be NULL) is an object whose members are added; it is destroyed. */
WS_MUST ws_err ws_journal_write(ws_journal *journal, const char *event, const char *id, cJSON *details);

/* ---- process.c: one trial as a child process ---- */
typedef struct ws_process {
    pid_t pid;              /* 0: none */
    int ended;              /* read end of a pipe whose other end only the trial holds: readable when it is gone */
    double started, killed; /* ws_clock_seconds; killed: when the limit's SIGTERM was sent, 0 before */
    bool over_limit;
} ws_process;
WS_MUST ws_err ws_process_start(ws_process *out, const ws_sweep_options *options, const char *trial_directory,
                                bool resume, int lock);
void ws_process_stop(const ws_process *process, const ws_sweep_options *options); /* asks for a checkpoint */
/* True when it has ended; then *status is waitpid's, and what is left of its group has been killed. */
bool ws_process_poll(ws_process *process, int *status);
/* Sends SIGTERM when the limit is over, and SIGKILL some seconds later. */
void ws_process_limit(ws_process *process, double limit);

/* ---- failure.c: records of failed trials ---- */
typedef struct ws_failure {
    int status; /* waitpid's */
    bool over_limit;
    double limit, seconds;
    const char *started;   /* time text */
    const char *complaint; /* what is wrong with the record it left, or NULL */
} ws_failure;
/* Writes record.json with status "failed"; never replaces a record. reason gets the text (for the journal). */
WS_MUST ws_err ws_failure_record(const char *directory, const char *id, const ws_failure *failure, ws_text *reason);

#endif
