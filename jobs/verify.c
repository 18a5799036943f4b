/* wiresweep verify: trials of a sweep run again, and their records compared with those the tables are made of. */
#include <stdio.h>
#include <stdlib.h>

#include "dataset/dataset.h"
#include "jobs/job.h"
#include "sweep/sweep.h"

typedef struct options {
    ws_job_common common;
    const char *cell, *store;
    int64_t ranks, workers, random, seed;
    double tolerance, time_limit;
} options;

static const ws_option fields[] = {
    WS_JOB_COMMON_OPTIONS(options),
    WS_OPTION_STRING(options, cell, NULL,
                     "KEY=VALUE,...: only trials whose configuration has these; also id, cell, dataset"),
    WS_OPTION_INT(options, random, 0, 0, 1e9, "so many of them, drawn at random; 0: all"),
    WS_OPTION_INT(options, seed, 0, 0, 9007199254740991.0, "of --random"),
    WS_OPTION_INT(options, ranks, 1, 1, 65536, "ranks that each trial runs on"),
    WS_OPTION_INT(options, workers, 1, 0, 4096, "trials at once; 0: as many as the cores have room for"),
    WS_OPTION_DOUBLE(options, tolerance, 0.01, 0, 1,
                     "relative, for numbers of records from another instruction set or device; 0: none differs"),
    WS_OPTION_DOUBLE(options, time_limit, 0, 0, 1e9, "seconds a trial may take; 0: no limit"),
    WS_OPTION_STRING(options, store, NULL, "the store, where it is not where the sweep found it"),
    WS_OPTION_END};
static const ws_option_table table = {"", sizeof(options), fields, "verify"};

static ws_err read_content_hash(const char *path, char out[65])
{
    ws_store store;
    WS_TRY(ws_store_open(&store, path));
    snprintf(out, 65, "%s", store.content_hash);
    ws_store_close(&store);
    return WS_OK;
}

static ws_err run(const ws_comm *world, const void *values, const ws_string_list *positional, ws_arena *arena)
{
    (void)world;
    (void)arena;
    const options *given = values;
    WS_CHECK(positional->count == 1, ARGUMENT, "verify takes one sweep folder, and was given %zu", positional->count);
    char *program = realpath(ws_executable, NULL), *store = given->store ? realpath(given->store, NULL) : NULL;
    ws_err error = WS_OK;
    ws_text text = {0};
    ws_verify_counts counts;
    char content[65];
    WS_CHECK_GOTO(done, program, IO, "%s: the running program cannot be found again", ws_executable);
    WS_CHECK_GOTO(done, store || !given->store, IO, "--store %s: no such file", given->store);
    if (store)
        WS_TRY_GOTO(done, read_content_hash(store, content));
    ws_verify how = {.directory = positional->items[0],
                     .cell = given->cell,
                     .every = 1,
                     .random = given->random,
                     .seed = (uint64_t)given->seed,
                     .tolerance = given->tolerance,
                     .store = store,
                     .store_hash = store ? content : NULL,
                     .how = {.program = program,
                             .workers = (int)given->workers,
                             .ranks_per_trial = (int)given->ranks,
                             .time_limit = given->time_limit,
                             .retries = 1}};
    if (how.how.workers == 0)
        how.how.workers = ws_sweep_slots(&how.how);
    error = ws_sweep_verify(&how, given->common.json, &counts, &text);
    fputs(ws_text_string(&text), stdout);
    if (error == WS_OK)
        ws_info("%zu trials: %zu give the same bits again, %zu the same within the tolerance", counts.trials,
                counts.same, counts.within);
done:
    ws_text_destroy(&text);
    free(program);
    free(store);
    return error;
}

const ws_job ws_job_verify = {
    .name = "verify",
    .usage = "verify [--cell KEY=VALUE,...] [--random N] [--ranks N] SWEEP_DIR",
    .help = "runs trials of a sweep again and compares their records, bit by bit",
    .example = "  wiresweep verify build/smoke --random 3 --ranks 2",
    .options = &table,
    .run = run,
};
