/* sweep: a specification becomes trials, trials become records; nothing here trains, and nothing here makes tables.
 *
 * SPECIFICATION (JSON; relative paths are relative to the file that names them)
 *   { "name": "smoke",                     default: the file's name
 *     "base": "train.json",                or the configuration itself as an object
 *     "list": [ { KEY: VALUE, ... }, ... ] alternatives; each sets keys of base ("train.steps", or "model" as a whole)
 *     "grid": { "train.seed": [0, 1, 2] }, every combination of these, for every alternative
 *     "linked": [ { KEY: [...], KEY: [...] } ],  lists of equal length that move together, as one axis more
 *     "random": { "count": N, "seed": N, "keys": { KEY: { "uniform": [LOW, HIGH] }, ... } },  drawn points, as one axis
 *                                          more; also log_uniform, integer, and choice: [VALUE, ...]
 *     "seeds": N,                          train.seed 0 to N - 1, or a list of them
 *     "exclude": [ { KEY: VALUE or [VALUE, ...], ... }, ... ],  combinations to leave out
 *     "baselines": true,                   adds `majority` and `best_single_feature` once for each set of rows
 *     "comparison": { "reference": ... } } what tables test every line against (src/report/compare.c); frozen with the rest
 * A trial is base, then one alternative, then one point of the grid. A deterministic model runs once, not once a seed.
 *
 * FOLDER
 *   sweep.json                 specification and manifest of the trials, frozen before the first one starts
 *   lock                       held (flock) while the manifest is written
 *   supervisors/NAME           of each one at work: who it is; its time of change is its sign of life (pulse.c)
 *   journal/NODE.WORKER.jsonl  one line an event: started, finished, failed, interrupted, retried, confirmed, contradicted
 *   work/ID/                   of a trial that is not finished: lease-G, who has it (lease.c); ended-G, who had it; G/, the run
 *                              folder of that generation; failed-G, why that try failed
 *   trials/ID/                 a finished or failed trial, whole: one rename makes it. record.json, config.json, log.txt,
 *                              model.h5, ...
 *   trials/ID.failed-K/        a failed trial that was tried again; .broken-K: one whose record was damaged or changed
 *   trials/ID.second-K/        a second result that differs from the first: the trial is not deterministic
 *   quarantine/NODE            that machine fails trials that finish on others; no supervisor works there while it is there
 *   checks/                    a sweep folder of its own: trials run a second time by --spot-check
 *   jobs/                      of the sweep on a cluster, written by the batch room
 *   tables/                    written by the report room
 * Any number of supervisors, on any number of machines, work in one folder at the same time; each may be killed at any moment.
 *
 * WHAT A POWER FAILURE LEAVES
 *   record.json    whole or not there: flushed before it gets its name, by the trial that writes it
 *   trials/ID      there or not: one rename, on the disk once trials/ is flushed, which follows before the supervisor waits again;
 *                  what is not there by then is run again, from its last checkpoint where that is left, to the same bits
 *   journal        every line but those of the same moment, since it is flushed then too; half a line is passed over by readers
 *   work/          leases and run folders are not flushed: a lost claim is claimed again
 *   sweep.json     flushed before the first trial starts
 */
#ifndef WS_SWEEP_H
#define WS_SWEEP_H

#include "core/core.h"

#define WS_SWEEP_SCHEMA 1
#define WS_TRIAL_ID_BYTES 17 /* 16 hex digits and the NUL */

/* What is known of a trial before it runs. */
typedef struct ws_trial_facts {
    char id[WS_TRIAL_ID_BYTES];
    ws_text identity; /* the text whose SHA-256 begins with the id; while the specification is read only */
    char store_hash[65], split_hash[65];
    bool deterministic, synthetic;
    const char *dataset, *label; /* in the arena; label may be NULL */
    cJSON *config;               /* every default filled in, no paths; owned by the receiver */
    cJSON *
        condensed; /* the same without defaults, by which the cell is called; NULL: config; owned, while reading only */
} ws_trial_facts;

/* Resolves one configuration. What is wrong with the configuration goes to `problems` (and WS_OK is returned); an error
 * is for what has nothing to do with it. jobs/sweep.c gives the train room's; tests give their own. */
typedef ws_err (*ws_trial_identify)(void *context, const ws_json *config, ws_arena *arena, ws_trial_facts *out,
                                    ws_problems *problems);

typedef struct ws_trial {
    ws_trial_facts facts;
    char cell[WS_TRIAL_ID_BYTES]; /* all trials that differ in the seeds only */
    char *config;                 /* JSON text that `train` reads: paths absolute; owned */
    char *description;            /* "model.kind=flow_cfm train.seed=2"; owned */
    bool baseline;
} ws_trial;

typedef struct ws_sweep {
    char *name;           /* owned */
    cJSON *specification; /* as given, base filled in; owned */
    ws_trial *trials;     /* distinct ids, in the order of the specification, baselines last */
    size_t count, capacity;
    size_t merged;   /* combinations left out because they are the same trial (seeds of deterministic models) */
    size_t excluded; /* combinations that "exclude" left out */
    ws_arena *arena;
} ws_sweep;

/* Reads and resolves every trial. All that is wrong anywhere is one WS_E_CONFIG; nothing has been started or written.
 */
WS_MUST ws_err ws_sweep_read(ws_sweep **out, const char *path, ws_trial_identify identify, void *context);
void ws_sweep_destroy(ws_sweep **sweep);
void ws_trial_destroy(ws_trial *trial); /* what it owns */

enum { WS_SWEEP_LEASE = 60 };
/* What starts trials of several ranks; auto: srun in an allocation of Slurm. */
typedef enum ws_sweep_launcher { WS_LAUNCH_AUTO, WS_LAUNCH_MPIRUN, WS_LAUNCH_SRUN } ws_sweep_launcher;
typedef struct ws_sweep_options {
    const char *directory; /* SWEEP_DIR */
    const char *program;   /* run as PROGRAM train CONFIG -o DIR [--resume] */
    int workers;           /* trials at once */
    int ranks_per_trial;   /* above 1: through mpirun */
    double time_limit;     /* seconds a trial may take; 0: none */
    bool retry_failed;
    int retries;         /* further tries of a trial that failed, but not for certain */
    double lease;        /* seconds without a sign of life after which a supervisor counts as lost; 0: WS_SWEEP_LEASE */
    double memory_limit; /* bytes that a process of a trial may allocate; 0: no limit */
    int cores_per_trial; /* bound to as many cores of its own; 0: not bound */
    int devices_per_trial; /* GPUs by CUDA_VISIBLE_DEVICES; 0: left as it is */
    int trials_per_device; /* that share these GPUs; at least 1 where devices_per_trial is set */
    ws_sweep_launcher launcher;
} ws_sweep_options;

typedef struct ws_sweep_counts {
    size_t planned, done, failed, interrupted, left; /* left: not yet started or interrupted */
    size_t contradicted;                             /* finished twice, with different results */
} ws_sweep_counts;

/* Freezes the manifest, runs what is missing, records what fails. Returns WS_OK, WS_E_PARTIAL (some trials failed),
 * WS_E_INTERRUPTED (a stop was asked for; every child has been let to its checkpoint), or what kept the sweep itself
 * from going on: WS_E_CONFIG where the folder holds another sweep. Others may be at work in it at the same time; it returns when
 * every trial is finished, by whomever. */
WS_MUST ws_err ws_sweep_run(const ws_sweep *sweep, const ws_sweep_options *options, ws_sweep_counts *counts);

/* One line a trial: id, state in `directory` ("done", "failed", "started", "new"), description. */
WS_MUST ws_err ws_sweep_list(const ws_sweep *sweep, const char *directory, bool json, ws_text *out);

/* How many trials at once the cores that this process may use have room for. */
int ws_sweep_slots(const ws_sweep_options *options);
/* GPUs of a trial, a share of one where several have it. */
double ws_sweep_devices(const ws_sweep_options *options);

/* ---- records of the same trial ---- */
typedef enum ws_verdict { WS_SAME_BITS, WS_WITHIN_TOLERANCE, WS_DIFFERENT } ws_verdict;
typedef struct ws_comparison {
    ws_verdict verdict;
    bool other_machine; /* another instruction set or device, so that only a tolerance can be met */
    double largest;     /* relative difference of numbers */
    ws_text difference; /* "scores.x.auroc: 0.9 recorded, 0.8 again"; empty where there is none; destroy it */
} ws_comparison;

/* What the runner costs, for `wiresweep bench sweep`. */
WS_MUST ws_err ws_bench_sweep(ws_text *out, bool json);

/* ---- running trials again (verify.c) ---- */
typedef struct ws_verify {
    const char *directory; /* SWEEP_DIR */
    const char *cell;      /* "model.kind=flow_cfm,train.seed=2": only these; NULL: all */
    int64_t every;         /* one in so many, always the same ones; 1: all */
    int64_t random;        /* so many of them, drawn by `seed`; 0: all */
    uint64_t seed;
    double tolerance;       /* relative, on another instruction set or device, where bits cannot be the same */
    const char *store;      /* NULL: the one that each trial was started with */
    const char *store_hash; /* content of `store`, which trials of other stores are refused with */
    const char *
        scratch; /* sweep folder of what is run again, kept and gone on with; NULL: one that is removed at the end, unless
                              something differs */
    ws_sweep_options how; /* but for the directory */
} ws_verify;
typedef struct ws_verify_counts {
    size_t trials, same, within, different, not_run;
} ws_verify_counts;
/* Appends a line for each trial to out. WS_E_FORMAT where one differs, WS_E_PARTIAL where one could
 * not be run, or what keeps all of them from running. */
WS_MUST ws_err ws_sweep_verify(const ws_verify *options, bool json, ws_verify_counts *counts, ws_text *out);

/* How long the rest will take, one trial after the other, from the finished ones. */
typedef struct ws_estimate {
    size_t finished, left;
    double seconds; /* of all that are left together; NaN where none is finished */
} ws_estimate;
WS_MUST ws_err ws_sweep_estimate(const ws_sweep *sweep, const char *directory, ws_estimate *out);

typedef struct ws_sweep_status {
    size_t planned, done, failed, running, left; /* left: neither done nor failed nor running */
    size_t contradicted;                         /* finished twice, with different results */
    double seconds_each;                         /* mean over the finished ones; NaN where none is */
    double seconds_left; /* for what is running and left, with as many at once as run now; NaN where unknown */
    double per_hour; /* trials finished in the last hour, or since the first one where that is less; NaN where none */
    double cpu_hours, gpu_hours; /* of all tries, as far as the journals tell */
    double wasted_hours;         /* of them on cores, what failed */
    cJSON *supervisors;          /* of those at work: [ { "node", "pid", "workers", "started", "job" } ] */
    cJSON *reasons, *nodes;      /* { REASON: failures }, { NODE: { "finished", "failed", "quarantined" } } */
    cJSON *jobs;                 /* those submitted to a cluster (batch.h); NULL: none */
    ws_text failures;            /* lines "ID reason" */
    ws_text damaged;             /* the same of records that cannot be used; their trials are among those left */
} ws_sweep_status;
void ws_sweep_status_destroy(ws_sweep_status *status);
WS_MUST ws_err ws_sweep_status_read(const char *directory, ws_sweep_status *out);
/* The same as lines for people or as JSON. */
WS_MUST ws_err ws_sweep_status_describe(const char *directory, bool json, ws_text *out);

#endif
