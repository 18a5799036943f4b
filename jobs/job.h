/* A subcommand: reads its options, calls src/, prints. One file and one line in jobs.def each. */
#ifndef WS_JOB_H
#define WS_JOB_H

#include "cluster/cluster.h"
#include "core/core.h"

typedef struct ws_job {
    const char *name;
    const char *usage;                 /* "extract [OPTIONS] -o STORE.h5 INPUT..." */
    const char *help;                  /* one line */
    const char *example;               /* lines for --help */
    const ws_option_table *options;    /* command line; its struct begins with ws_job_common; NULL: none */
    ws_err (*more_help)(ws_text *out); /* appends to --help, e.g. the keys of a configuration; may be NULL */
    bool collective;                   /* runs under mpirun with several ranks */
    /* Puts a "--" before arguments that are another subcommand's; may be NULL. *argv: in the arena. */
    ws_err (*arrange)(int *argc, char ***argv, ws_arena *arena);
    /* argv without the program's and the subcommand's name. values: the parsed options struct. */
    ws_err (*run)(const ws_comm *world, const void *values, const ws_string_list *positional, ws_arena *arena);
} ws_job;

/* First member of every options struct; WS_JOB_COMMON_OPTIONS(struct) the first lines of every table. */
typedef struct ws_job_common {
    bool help, quiet, json, trace;
} ws_job_common;
#define WS_JOB_COMMON_OPTIONS(s)                                                                                         \
    {"help", WS_OPTION_TYPE_BOOL, offsetof(s, common.help), "false", 0, 0, NULL, "this text", false},                    \
        {"quiet", WS_OPTION_TYPE_BOOL, offsetof(s, common.quiet), "false", 0, 0, NULL, "-q: no progress, no notes",      \
         false},                                                                                                         \
        {"json", WS_OPTION_TYPE_BOOL, offsetof(s, common.json), "false", 0, 0, NULL, "machine-readable results", false}, \
    {                                                                                                                    \
        "trace", WS_OPTION_TYPE_BOOL, offsetof(s, common.trace), "false", 0, 0, NULL,                                    \
            "errors with the functions they passed", false                                                               \
    }

/* output.c: -o of subcommands whose result is a text. `-` and none are standard output. */
const char *ws_job_output_file(const char *output); /* NULL: standard output */
WS_MUST ws_err ws_job_check_output(const char *output);
WS_MUST ws_err ws_job_write_output(const char *output, const ws_text *text);
/* Of subcommands that fill a folder: `-` is none. */
WS_MUST ws_err ws_job_check_folder(const char *output, const char *what);

extern const ws_job *const ws_jobs[]; /* NULL-terminated, order of jobs.def */
extern const char *ws_executable;     /* path of the running program, for children */

#endif
