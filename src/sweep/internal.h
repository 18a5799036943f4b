/* sweep, inside the room: folder paths, the manifest, the journal, leases, one trial as a process, publishing. */
#ifndef WS_SWEEP_INTERNAL_H
#define WS_SWEEP_INTERNAL_H

#include <sys/resource.h>
#include <sys/types.h>
#include "sweep/sweep.h"

/* ---- specification_check.c ---- */
/* What is wrong with the form of a specification (an object) goes to problems. */
void ws_specification_check(const ws_json *document, const cJSON *root, ws_problems *problems);

/* ---- comparison_check.c ---- */
/* The same of what it wants tables to test; NULL where it wants nothing. */
void ws_comparison_check(const ws_json *document, const cJSON *comparison, ws_problems *problems);

/* ---- draw.c: random draws and exclusions ---- */
/* 64 random bits, a pure function of the arguments. */
uint64_t ws_draw_bits(uint64_t seed, const char *key, size_t index);
/* The value of draw `index` of a key, from its distribution { "uniform": [a, b] } and the like; owned by the caller, NULL:
 * out of memory. A pure function of its arguments. */
cJSON *ws_draw_value(uint64_t seed, const char *key, const cJSON *distribution, size_t index);
/* NULL, or what is wrong with a distribution. */
const char *ws_draw_complaint(const cJSON *distribution);
/* Whether the configuration has every value that the exclusion { KEY: VALUE or [VALUE, ...], ... } names. */
bool ws_exclusion_matches(const cJSON *exclusion, const cJSON *config);

/* ---- manifest.c: sweep.json ---- */
/* Whether a sweep.json that was read has what one that was frozen has. */
WS_MUST ws_err ws_manifest_check(const ws_json *manifest);
/* Writes sweep.json, or compares with the one that is there: the same trials are fine, further ones are added and
 * recorded as additions, missing ones are WS_E_CONFIG with what differs. */
WS_MUST ws_err ws_manifest_freeze(const ws_sweep *sweep, const char *directory);

/* ---- folder.c: the files of one trial ---- */
typedef enum ws_trial_state {
    WS_TRIAL_NEW,
    WS_TRIAL_STARTED, /* config.json is there, no record yet */
    WS_TRIAL_DONE,
    WS_TRIAL_FAILED,
    WS_TRIAL_CHANGED, /* the result is not the one that the record's result_hash was made of */
    WS_TRIAL_BROKEN   /* record.json is damaged, or another trial's */
} ws_trial_state;
extern const char *const ws_trial_state_names[];
char *ws_trial_directory(const char *directory, const char *id); /* malloc'ed; NULL: out of memory */
/* What record.json and config.json in a run folder say. *record (may be NULL) gets the parsed record of a done, failed or
 * changed trial; complaint (may be NULL) what is wrong with a changed or broken one. */
WS_MUST ws_err ws_run_look(const char *run, const char *id, ws_trial_state *state, cJSON **record, ws_text *complaint);
/* The same of what is published: new, done, failed, changed or broken; started where somebody has claimed it. */
WS_MUST ws_err ws_trial_look(const char *directory, const char *id, ws_trial_state *state, cJSON **record,
                             ws_text *complaint);
/* False also where the record says nothing of its result_hash, as those of earlier programs. */
WS_MUST ws_err ws_record_is_changed(const cJSON *record, bool *out);
/* Takes `path` as an flock'ed file, made where it is not there; *out = -1 where another process holds it. */
WS_MUST ws_err ws_lock_file(const char *path, int *out);
void ws_time_text(char out[32]); /* "2026-01-31T12:00:00Z" */

/* ---- pulse.c: who is at work in the folder ---- */
typedef struct ws_pulse {
    char *path;    /* the supervisor's own file; NULL: of an observer, which has none */
    int file;      /* locked as long as the process lives; -1: none */
    char boot[64]; /* the running kernel */
    double lease;  /* seconds without a sign of life after which a supervisor counts as lost */
    double beaten; /* ws_clock_seconds of the last touch */
    double ahead;  /* of the file system's time before ws_clock_seconds */
} ws_pulse;
typedef enum ws_holder {
    WS_HOLDER_ALIVE,
    WS_HOLDER_GONE, /* for certain: a process of this machine that has ended, or what was given back */
    WS_HOLDER_LOST  /* not heard of for longer than a lease; it may still run somewhere */
} ws_holder;
WS_MUST ws_err ws_pulse_start(ws_pulse *out, const char *directory, double lease, int workers);
void ws_pulse_observe(ws_pulse *out, double lease);
WS_MUST ws_err ws_pulse_beat(ws_pulse *pulse); /* touches the file where it is time to */
void ws_pulse_stop(ws_pulse *pulse);
ws_holder ws_pulse_look(const ws_pulse *self, const char *path);
/* Tells every other supervisor that is alive, { "node", "pid", "workers", ... }, until `note` returns false; a supervisor removes the
 * files of dead ones. */
WS_MUST ws_err ws_pulse_others(const ws_pulse *self, const char *directory,
                               bool (*note)(void *context, const cJSON *supervisor), void *context);
const char *ws_node_name(void); /* SLURMD_NODENAME, or the host's name */

/* ---- lease.c: claims ---- */
typedef enum ws_claim_result { WS_CLAIM_MINE, WS_CLAIM_BUSY } ws_claim_result;
typedef struct ws_claim {
    ws_claim_result result;
    int generation;
    int previous;       /* generation whose run folder is there; 0: none */
    bool previous_gone; /* for certain, so that its folder may be used further */
    int failures;       /* tries that failed */
    char *run;          /* the run folder, once ws_claim_folder made it; owned */
} ws_claim;
WS_MUST ws_err ws_claim_take(ws_claim *out, const ws_pulse *pulse, const char *directory, const char *id);
/* Makes claim->run: the previous run folder under a new name, or one with its checkpoints, or a new one. claim->result turns
 * WS_CLAIM_BUSY where this came so late that another one has taken over. */
WS_MUST ws_err ws_claim_folder(ws_claim *claim, const char *directory, const char *id);
WS_MUST ws_err ws_claim_release(ws_claim *claim, const char *directory, const char *id); /* it goes on another time */
WS_MUST ws_err ws_claim_clear(ws_claim *claim, const char *directory, const char *id);   /* after publishing */
void ws_claim_forget(ws_claim *claim);                                                   /* frees the memory */
/* Clears up after supervisors that were killed when they had just published a trial. */
WS_MUST ws_err ws_claims_tidy(const ws_pulse *self, const char *directory);
bool ws_trial_is_running(const ws_pulse *observer, const char *directory, const char *id);

/* ---- compare.c, publish.c ---- */
WS_MUST ws_err ws_records_compare(const cJSON *recorded, const cJSON *again, double tolerance, ws_comparison *out);
typedef enum ws_publication {
    WS_PUBLISHED,
    WS_PUBLISHED_BEFORE,        /* by another one, with the same bits where both are done */
    WS_PUBLISHED_FAILED_BEFORE, /* ours failed too */
    WS_PUBLISHED_OTHERWISE      /* by another one, with another result; ours is trials/ID.second-K */
} ws_publication;
WS_MUST ws_err ws_trial_publish(const char *directory, const char *id, const char *run, ws_publication *out,
                                ws_text *difference);
/* Names in trials/ are safe on disk only when it has been flushed. */
WS_MUST ws_err ws_trials_flush(const char *directory);
/* Moves trials/ID to trials/ID.AS-K; *moved false: another supervisor has just done so. */
WS_MUST ws_err ws_trial_set_aside(const char *directory, const char *id, const char *as, bool *moved);

/* ---- journal.c ---- */
typedef struct ws_journal {
    int file; /* -1: not open */
    bool unflushed;
} ws_journal;
WS_MUST ws_err ws_journal_open(ws_journal *out, const char *directory, int worker);
void ws_journal_close(ws_journal *journal);
/* One line. details (may be NULL) is an object whose members are added; it is destroyed. */
WS_MUST ws_err ws_journal_write(ws_journal *journal, const char *event, const char *id, cJSON *details);
WS_MUST ws_err ws_journal_flush(ws_journal *journal); /* to the disk, what has not been yet */

/* ---- process.c: one trial as a child process ---- */
typedef struct ws_process {
    pid_t pid;              /* 0: none */
    int ended;              /* read end of a pipe whose other end only the trial holds: readable when it is gone */
    double started, killed; /* ws_clock_seconds; killed: when the limit's SIGTERM was sent, 0 before */
    bool over_limit;
    struct rusage usage; /* once it has ended: of it and of its children */
} ws_process;
typedef struct ws_process_place {
    const char *run; /* run folder */
    bool resume;
    int log;  /* its log.txt, locked */
    int slot; /* number of the worker: which cores and devices are its own */
} ws_process_place;
WS_MUST ws_err ws_process_start(ws_process *out, const ws_sweep_options *options, const ws_process_place *place);
void ws_process_stop(const ws_process *process, const ws_sweep_options *options); /* asks for a checkpoint */
/* True when it has ended; then *status is waitpid's, and what is left of its group has been killed. */
bool ws_process_poll(ws_process *process, int *status);
/* Sends SIGTERM when the limit is over, and SIGKILL some seconds later. */
void ws_process_limit(ws_process *process, double limit);

/* ---- failure.c: failed tries and records of failed trials ---- */
typedef struct ws_failure {
    int status; /* waitpid's */
    bool over_limit;
    double limit, seconds;
    double memory_limit;   /* bytes; 0: none */
    const char *started;   /* time text */
    const char *complaint; /* what is wrong with the record it left, or NULL */
    ws_text reason;        /* filled in by ws_failure_explain; destroy it */
    bool certain;          /* it would fail the same way everywhere */
    bool no_space;         /* the disk is full: nothing to do with the trial */
} ws_failure;
WS_MUST ws_err ws_failure_explain(const char *run, ws_failure *failure);
/* Notes a failed try in work/ID, for the next generations. */
WS_MUST ws_err ws_failure_note(const char *directory, const char *id, int generation, const char *reason);
/* The tries noted, in their order: [ { "node", "reason", "time" } ]; owned by the caller. */
WS_MUST ws_err ws_failure_tries(const char *directory, const char *id, cJSON **out);
/* Writes record.json with status "failed" into a run folder. tries may be NULL. */
WS_MUST ws_err ws_failure_record(const char *run, const char *id, const ws_failure *failure, const cJSON *tries);

/* ---- tally.c: what the journals tell ---- */
WS_MUST ws_err ws_tally(const char *directory, const ws_pulse *observer, ws_sweep_status *status);

/* ---- node.c: is it the trial, or the machine? ---- */
enum { WS_MOST_SUSPECTS = 16 };
typedef struct ws_node_health {
    const char *suspects[WS_MOST_SUSPECTS]; /* ids of trials that failed here, one after the other */
    size_t count;
    size_t blamed; /* of them, those that finished on other nodes */
    double failed_at, next_look;
} ws_node_health;
void ws_node_note(ws_node_health *health, const char *id, bool failed); /* id is borrowed for good */
/* *pause: take no new trial now. WS_E_IO where the node is, or now becomes, quarantined. */
WS_MUST ws_err ws_node_check(ws_node_health *health, const ws_pulse *pulse, const char *directory, bool *pause);
WS_MUST ws_err ws_node_refuse_quarantined(const char *directory);
/* Whether a supervisor of a node that is not in `tries` is alive. */
WS_MUST ws_err ws_node_has_others(const ws_pulse *pulse, const char *directory, const cJSON *tries, bool *out);
WS_MUST ws_err ws_node_has_anyone(const ws_pulse *pulse, const char *directory, bool *out); /* any other supervisor */
bool ws_node_in_tries(const cJSON *tries, const char *node);

#endif
