/* batch: subcommands as jobs of a cluster's scheduler (Slurm). A profile says what to ask the cluster for, a script is written from
 * it, submitted, recorded and looked after. Nothing here runs a trial or reads its results.
 *
 * FOLDER of jobs (SWEEP_DIR/jobs; OUTPUT.jobs of what is no sweep)
 *   NAME-K.sbatch      the script of a job
 *   NAME-K.ID.log      what it said
 *   submitted.jsonl    one line a job that was submitted: its number, script, command
 *   ID.status          exit status of the job (of an array's task: ID_TASK.status), by its script when it ends
 * The record of jobs is in files of our own, since a scheduler forgets jobs within minutes where it has no accounting.
 */
#ifndef WS_BATCH_H
#define WS_BATCH_H

#include "core/core.h"

/* ---- profile.c: what a cluster is asked for ---- */
typedef enum ws_batch_scheduler { WS_BATCH_SLURM, WS_BATCH_NONE } ws_batch_scheduler;
typedef struct ws_batch_profile {
    const char *name; /* as asked for */
    ws_string_list about;
    int scheduler; /* ws_batch_scheduler */
    const char *partition, *account, *qos, *constraint, *time, *memory, *gpu_type, *program;
    int64_t nodes, tasks_per_node, cpus_per_task, gpus_per_node, warning, restarts;
    ws_string_list options, modules, setup, container, launcher, sweep_options;
} ws_batch_profile;
extern const ws_option_table ws_batch_profile_table;

/* name: one that is built in, or a JSON file (with a slash or .json in it). changes: KEY=VALUE that differ from it. */
WS_MUST ws_err ws_batch_profile_read(const char *name, const ws_string_list *changes, ws_arena *arena,
                                     ws_batch_profile *out);
/* For --help: the built-in profiles and the keys. */
WS_MUST ws_err ws_batch_profile_help(ws_text *out);

/* ---- script.c: from a profile to a script ---- */
typedef enum ws_batch_shape {
    WS_BATCH_ONE,         /* one process */
    WS_BATCH_RANKS,       /* an MPI program: a rank a task */
    WS_BATCH_SUPERVISORS, /* of a sweep: one a node, without MPI between them */
    WS_BATCH_STEPS        /* one supervisor of a sweep, whose trials are MPI programs: each a step of the job */
} ws_batch_shape;
typedef struct ws_batch_job {
    const char *title;        /* what was asked for, for people */
    ws_string_list arguments; /* the subcommand and what follows it */
    ws_batch_shape shape;
    int64_t ranks_per_trial; /* WS_BATCH_STEPS */
    bool partial_counts;     /* status 3 is good enough for what comes after the job */
    bool resume;             /* --resume is an option of it: it goes on with what an earlier job has left */
    bool gpus;               /* one process that may have use for them */
    const char *folder;      /* of jobs, absolute */
    const char *name;        /* "sweep-1" */
    const char *program;     /* absolute; the profile's wins */
    bool array;              /* one of many that share the work */
} ws_batch_job;
WS_MUST ws_err ws_batch_script(const ws_batch_profile *profile, const ws_batch_job *job, ws_text *out);
/* Appends the word as bash (and the directives of sbatch) read it back. */
void ws_batch_quote(ws_text *out, const char *word);

/* ---- slurm.c: asking Slurm ---- */
/* How many tasks an array may have at most; 1001, Slurm's own default, where it cannot be asked. */
int64_t ws_batch_array_limit(void);
/* Runs the words (sbatch --parsable ... SCRIPT) and takes the job's number from what it says. known: "12:13", jobs of the same script
 * that were submitted before. */
WS_MUST ws_err ws_batch_submit(const char *const words[], const char *known, ws_text *job);
/* scancel; WS_OK also where the job has ended already. */
WS_MUST ws_err ws_batch_cancel(const char *job);

/* ---- local.c: without a scheduler ---- */
/* bash SCRIPT, here and now; *status as bash gives it. A wish to stop is passed on. */
WS_MUST ws_err ws_batch_run_here(const char *script, int *status);

/* ---- ledger.c: what was submitted ---- */
typedef struct ws_batch_entry {
    const char *job, *name, *title, *array, *profile; /* array may be NULL */
} ws_batch_entry;
WS_MUST ws_err ws_batch_record(const char *folder, const ws_batch_entry *entry);
/* The jobs recorded in folder (which may not be there), with what Slurm and their scripts tell of them: [ { "job", "name",
 * "command", "submitted", "states": { "RUNNING": 1 } or null where Slurm cannot be asked, "reason", "statuses": { "0": 1 } } ];
 * NULL where there are none. The caller deletes it. */
WS_MUST ws_err ws_batch_jobs(const char *folder, cJSON **out);
/* A line for each of them. */
void ws_batch_describe_jobs(const cJSON *jobs, ws_text *out);

#endif
