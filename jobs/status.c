/* wiresweep status: how far a sweep is. */
#include <stdio.h>

#include "jobs/job.h"
#include "sweep/sweep.h"

typedef struct options {
    ws_job_common common;
} options;

static const ws_option fields[] = {WS_JOB_COMMON_OPTIONS(options), WS_OPTION_END};
static const ws_option_table table = {"", sizeof(options), fields, "status"};

static ws_err run(const ws_comm *world, const void *values, const ws_string_list *positional, ws_arena *arena)
{
    (void)world;
    (void)arena;
    const options *given = values;
    WS_CHECK(positional->count == 1, ARGUMENT, "status takes one sweep folder, and was given %zu", positional->count);
    ws_text text = {0};
    ws_err error = ws_sweep_status_describe(positional->items[0], given->common.json, &text);
    if (error == WS_OK)
        fputs(ws_text_string(&text), stdout);
    ws_text_destroy(&text);
    return error;
}

const ws_job ws_job_status = {
    .name = "status",
    .usage = "status [--json] SWEEP_DIR",
    .help = "how far a sweep is: done, running, failed, left, time to finish",
    .example = "  wiresweep status build/smoke",
    .options = &table,
    .run = run,
};
