/* wiresweep status: how far a sweep is. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "jobs/job.h"
#include "sweep/sweep.h"

typedef struct options {
    ws_job_common common;
} options;

static const ws_option fields[] = {WS_JOB_COMMON_OPTIONS(options), WS_OPTION_END};
static const ws_option_table table = {"", sizeof(options), fields, "status"};

static void print_for_people(const ws_sweep_status *status)
{
    char left[32], each[32];
    printf("%zu planned: %zu done, %zu failed, %zu running, %zu left\n", status->planned, status->done, status->failed,
           status->running, status->left);
    if (!isnan(status->seconds_each)) {
        ws_format_seconds(status->seconds_each, each);
        printf("a trial takes %s\n", each);
    }
    if (!isnan(status->seconds_left) && status->seconds_left > 0) {
        ws_format_seconds(status->seconds_left, left);
        printf("about %s to finish, with %zu at once\n", left, status->running);
    }
    if (status->failures.length)
        printf("failed:\n%s", ws_text_string(&status->failures));
}

static ws_err print_for_machines(const ws_sweep_status *status)
{
    cJSON *root = cJSON_CreateObject(), *failures = cJSON_AddArrayToObject(root, "failures");
    cJSON_AddNumberToObject(root, "planned", (double)status->planned);
    cJSON_AddNumberToObject(root, "done", (double)status->done);
    cJSON_AddNumberToObject(root, "failed", (double)status->failed);
    cJSON_AddNumberToObject(root, "running", (double)status->running);
    cJSON_AddNumberToObject(root, "left", (double)status->left);
    cJSON_AddItemToObject(root, "seconds_each",
                          isnan(status->seconds_each) ? cJSON_CreateNull() : cJSON_CreateNumber(status->seconds_each));
    cJSON_AddItemToObject(root, "seconds_left",
                          isnan(status->seconds_left) ? cJSON_CreateNull() : cJSON_CreateNumber(status->seconds_left));
    char *rest = status->failures.data, *line;
    while ((line = strsep(&rest, "\n")) && *line) {
        cJSON *failure = cJSON_CreateObject();
        char *reason = strchr(line, ' ');
        *reason++ = '\0';
        cJSON_AddStringToObject(failure, "id", line);
        cJSON_AddStringToObject(failure, "reason", reason);
        cJSON_AddItemToArray(failures, failure);
    }
    ws_text text = {0};
    ws_err error = ws_json_pretty(root, &text);
    cJSON_Delete(root);
    if (error == WS_OK)
        printf("%s\n", ws_text_string(&text));
    ws_text_destroy(&text);
    return error;
}

static ws_err run(const ws_comm *world, const void *values, const ws_string_list *positional, ws_arena *arena)
{
    (void)world;
    (void)arena;
    const options *given = values;
    WS_CHECK(positional->count == 1, ARGUMENT, "status takes one sweep folder, and was given %zu", positional->count);
    ws_sweep_status status;
    ws_err error = ws_sweep_status_read(positional->items[0], &status);
    if (error == WS_OK && given->common.json)
        error = print_for_machines(&status);
    else if (error == WS_OK)
        print_for_people(&status);
    ws_text_destroy(&status.failures);
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
