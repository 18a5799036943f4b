/* What a sweep folder holds: counts, failures, time to finish; and the list of planned trials. Reads files only, so it
 * works while a sweep runs, and on another machine. */
#include "sweep/internal.h"

#include <math.h>
#include <stdlib.h>
#include "batch/batch.h"
#include "storage/storage.h"

ws_err ws_sweep_list(const ws_sweep *sweep, const char *directory, bool json, ws_text *out)
{
    cJSON *list = json ? cJSON_CreateArray() : NULL;
    ws_err error = WS_OK;
    for (size_t i = 0; i < sweep->count && error == WS_OK; i++) {
        const ws_trial *trial = &sweep->trials[i];
        ws_trial_state state = WS_TRIAL_NEW;
        if (directory)
            error = ws_trial_look(directory, trial->facts.id, &state, NULL, NULL);
        if (!json) {
            ws_text_appendf(out, "%s %-7s %s\n", trial->facts.id, ws_trial_state_names[state], trial->description);
            continue;
        }
        cJSON *item = cJSON_CreateObject();
        cJSON_AddStringToObject(item, "id", trial->facts.id);
        cJSON_AddStringToObject(item, "cell", trial->cell);
        cJSON_AddStringToObject(item, "state", ws_trial_state_names[state]);
        cJSON_AddStringToObject(item, "description", trial->description);
        cJSON_AddBoolToObject(item, "deterministic", trial->facts.deterministic);
        cJSON_AddBoolToObject(item, "baseline", trial->baseline);
        cJSON_AddItemToArray(list, item);
    }
    if (json && error == WS_OK)
        error = ws_json_pretty(list, out);
    if (json)
        ws_text_append(out, "\n");
    cJSON_Delete(list);
    WS_TRY(error);
    return ws_text_check(out);
}

static double seconds_of(const cJSON *record)
{
    const cJSON *run = cJSON_GetObjectItemCaseSensitive(record, "run"),
                *seconds = cJSON_GetObjectItemCaseSensitive(run, "seconds");
    return cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(seconds, "total"));
}

static void note_failure(const char *id, const cJSON *record, ws_sweep_status *out)
{
    const cJSON *failure = cJSON_GetObjectItemCaseSensitive(record, "failure");
    const char *reason = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(failure, "reason"));
    reason = reason ? reason : "no reason recorded";
    ws_text_appendf(&out->failures, "%s %s\n", id, reason);
    cJSON *number = cJSON_GetObjectItemCaseSensitive(out->reasons, reason);
    if (number)
        cJSON_SetNumberValue(number, number->valuedouble + 1);
    else
        cJSON_AddNumberToObject(out->reasons, reason, 1);
}

static ws_err look_at_trial(const char *directory, const ws_pulse *observer, const char *id, ws_sweep_status *out,
                            double *seconds)
{
    ws_trial_state state;
    cJSON *record = NULL;
    ws_text complaint = {0};
    WS_TRY(ws_trial_look(directory, id, &state, &record, &complaint));
    out->planned++;
    if (state == WS_TRIAL_DONE) {
        double took = seconds_of(record);
        *seconds += isnan(took) ? 0 : took;
        out->done++;
    } else if (state == WS_TRIAL_FAILED) {
        note_failure(id, record, out);
        out->failed++;
    } else if (state == WS_TRIAL_STARTED && ws_trial_is_running(observer, directory, id)) {
        out->running++;
    } else {
        out->left++;
        if (state == WS_TRIAL_CHANGED || state == WS_TRIAL_BROKEN)
            ws_text_appendf(&out->damaged, "%s %s\n", id,
                            complaint.length ? ws_text_string(&complaint) : "its record is gone");
    }
    ws_text_destroy(&complaint);
    cJSON_Delete(record);
    return WS_OK;
}

static ws_err read_jobs(const char *directory, cJSON **out)
{
    char *folder = ws_path_join(directory, "jobs");
    WS_CHECK(folder, MEMORY, "no memory for a path");
    ws_err error = ws_batch_jobs(folder, out);
    free(folder);
    return error;
}

ws_err ws_sweep_status_read(const char *directory, ws_sweep_status *out)
{
    *out = (ws_sweep_status){.seconds_each = NAN, .seconds_left = NAN, .per_hour = NAN};
    char *path = ws_path_join(directory, "sweep.json");
    WS_CHECK(path, MEMORY, "no memory for a path");
    ws_json *manifest = NULL;
    ws_pulse observer;
    ws_err error = WS_OK;
    ws_pulse_observe(&observer, WS_SWEEP_LEASE);
    WS_TRY_GOTO(done, read_jobs(directory, &out->jobs));
    if (!ws_file_exists(path) && out->jobs)
        goto done; /* its turn has not come */
    if (!ws_file_exists(path)) {
        error = WS_ERROR(IO, "%s: no such file: this is no sweep folder", path);
        WS_HINT("a sweep folder is made by: wiresweep sweep SWEEP.json -o %s", directory);
        goto done;
    }
    out->reasons = cJSON_CreateObject();
    WS_CHECK_GOTO(done, out->reasons, MEMORY, "no memory for the status of a sweep");
    WS_TRY_GOTO(done, ws_json_read_file(&manifest, path));
    WS_TRY_GOTO(done, ws_manifest_check(manifest));
    const cJSON *trials = cJSON_GetObjectItemCaseSensitive(ws_json_root(manifest), "trials"), *trial;
    double seconds = 0;
    cJSON_ArrayForEach(trial, trials)
    {
        const char *id = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(trial, "id"));
        WS_CHECK_GOTO(done, id, FORMAT, "%s: a trial without an id", path);
        WS_TRY_GOTO(done, look_at_trial(directory, &observer, id, out, &seconds));
    }
    size_t open = out->running + out->left;
    if (out->done)
        out->seconds_each = seconds / (double)out->done;
    if (open == 0)
        out->seconds_left = 0;
    else if (out->done && out->running)
        out->seconds_left = out->seconds_each * (double)open / (double)out->running;
    WS_TRY_GOTO(done, ws_tally(directory, &observer, out));
    WS_TRY_GOTO(done, ws_text_check(&out->failures));
    WS_TRY_GOTO(done, ws_text_check(&out->damaged));
done:
    ws_json_destroy(&manifest);
    free(path);
    return error;
}

void ws_sweep_status_destroy(ws_sweep_status *status)
{
    cJSON_Delete(status->supervisors);
    cJSON_Delete(status->reasons);
    cJSON_Delete(status->nodes);
    cJSON_Delete(status->jobs);
    ws_text_destroy(&status->failures);
    ws_text_destroy(&status->damaged);
    *status = (ws_sweep_status){0};
}

/* ---------------------------------------------------------------- for people */

static void describe_speed(const ws_sweep_status *status, ws_text *out)
{
    char text[32];
    if (!isnan(status->seconds_each)) {
        ws_format_seconds(status->seconds_each, text);
        ws_text_appendf(out, "a trial takes %s", text);
        if (!isnan(status->per_hour) && status->running + status->left > 0)
            ws_text_appendf(out, "; %.*f finish an hour", status->per_hour < 10, status->per_hour);
        ws_text_append(out, "\n");
    }
    if (!isnan(status->seconds_left) && status->seconds_left > 0) {
        ws_format_seconds(status->seconds_left, text);
        ws_text_appendf(out, "about %s to finish, with %zu at once\n", text, status->running);
    }
    if (status->cpu_hours > 0) {
        ws_format_seconds(status->cpu_hours * 3600, text);
        ws_text_appendf(out, "%s of cores used", text);
        ws_format_seconds(status->wasted_hours * 3600, text);
        if (status->wasted_hours > 0)
            ws_text_appendf(out, ", %s of it by tries that failed", text);
        ws_text_append(out, "\n");
    }
    if (status->gpu_hours > 0) {
        ws_format_seconds(status->gpu_hours * 3600, text);
        ws_text_appendf(out, "%s of GPUs used\n", text);
    }
}

static double number_of(const cJSON *object, const char *key)
{
    const cJSON *number = cJSON_GetObjectItemCaseSensitive(object, key);
    return cJSON_IsNumber(number) ? number->valuedouble : 0;
}

static const char *text_of(const cJSON *object, const char *key)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));
    return text ? text : "";
}

static void describe_nodes(const ws_sweep_status *status, ws_text *out)
{
    const cJSON *each;
    cJSON_ArrayForEach(each, status->supervisors)
    {
        const char *job = text_of(each, "job");
        ws_text_appendf(out, "at work: %s, process %.0f, %.0f worker%s, since %s%s%s\n", text_of(each, "node"),
                        number_of(each, "pid"), number_of(each, "workers"), number_of(each, "workers") == 1 ? "" : "s",
                        text_of(each, "started"), job[0] ? ", job " : "", job);
    }
    cJSON_ArrayForEach(each, status->nodes)
    {
        double failed = number_of(each, "failed");
        if (failed > 0 || number_of(each, "quarantined") > 0)
            ws_text_appendf(out, "on %s: %.0f finished, %.0f tries failed%s\n", each->string,
                            number_of(each, "finished"), failed,
                            number_of(each, "quarantined") > 0 ? ", quarantined" : "");
    }
}

static void describe_for_people(const ws_sweep_status *status, ws_text *out)
{
    const cJSON *reason;
    if (status->jobs && !status->planned)
        ws_text_append(out, "not begun: no trial is planned yet\n");
    else
        ws_text_appendf(out, "%zu planned: %zu done, %zu failed, %zu running, %zu left\n", status->planned,
                        status->done, status->failed, status->running, status->left);
    describe_speed(status, out);
    describe_nodes(status, out);
    ws_batch_describe_jobs(status->jobs, out);
    if (status->contradicted)
        ws_text_appendf(out, "%zu finished twice with different results: trials/ID.second-K/difference.txt\n",
                        status->contradicted);
    if (status->failed)
        ws_text_append(out, "why trials failed:\n");
    cJSON_ArrayForEach(reason, status->reasons)
        ws_text_appendf(out, "%6.0f  %s\n", reason->valuedouble, reason->string);
    if (status->failures.length)
        ws_text_appendf(out, "failed:\n%s", ws_text_string(&status->failures));
    if (status->damaged.length)
        ws_text_appendf(out, "damaged, and run again when the sweep goes on:\n%s", ws_text_string(&status->damaged));
}

/* ---------------------------------------------------------------- for machines */

static bool add_seconds(cJSON *object, const char *key, double seconds)
{
    return isnan(seconds) ? cJSON_AddNullToObject(object, key) != NULL
                          : cJSON_AddNumberToObject(object, key, seconds) != NULL;
}

/* Takes lines "ID reason" apart. */
static bool add_reasons(cJSON *object, const char *key, char *lines)
{
    cJSON *list = cJSON_AddArrayToObject(object, key);
    char *rest = lines, *line;
    while (list && (line = strsep(&rest, "\n")) && *line) {
        cJSON *failure = cJSON_CreateObject();
        char *reason = line;
        const char *id = strsep(&reason, " ");
        if (!failure || !cJSON_AddItemToArray(list, failure) || !cJSON_AddStringToObject(failure, "id", id) ||
            !cJSON_AddStringToObject(failure, "reason", reason ? reason : ""))
            return false;
    }
    return list != NULL;
}

static ws_err describe_for_machines(ws_sweep_status *status, ws_text *out)
{
    cJSON *root = cJSON_CreateObject();
    bool made =
        root && cJSON_AddNumberToObject(root, "planned", (double)status->planned) &&
        cJSON_AddNumberToObject(root, "done", (double)status->done) &&
        cJSON_AddNumberToObject(root, "failed", (double)status->failed) &&
        cJSON_AddNumberToObject(root, "running", (double)status->running) &&
        cJSON_AddNumberToObject(root, "left", (double)status->left) &&
        add_seconds(root, "seconds_each", status->seconds_each) &&
        add_seconds(root, "seconds_left", status->seconds_left) && add_seconds(root, "per_hour", status->per_hour) &&
        cJSON_AddNumberToObject(root, "contradicted", (double)status->contradicted) &&
        cJSON_AddNumberToObject(root, "cpu_hours", status->cpu_hours) &&
        cJSON_AddNumberToObject(root, "gpu_hours", status->gpu_hours) &&
        cJSON_AddNumberToObject(root, "failed_cpu_hours", status->wasted_hours) &&
        add_reasons(root, "failures", status->failures.data) && add_reasons(root, "damaged", status->damaged.data);
    cJSON **const parts[] = {&status->supervisors, &status->reasons, &status->nodes, &status->jobs};
    static const char *const names[] = {"supervisors", "reasons", "nodes", "jobs"};
    for (size_t i = 0; i < 4 && made; i++) {
        if (!*parts[i])
            continue;
        made = cJSON_AddItemToObject(root, names[i], *parts[i]);
        *parts[i] = NULL;
    }
    ws_err error = made ? ws_json_pretty(root, out) : WS_ERROR(MEMORY, "no memory for the status of the sweep");
    cJSON_Delete(root);
    ws_text_append(out, "\n");
    return error;
}

ws_err ws_sweep_status_describe(const char *directory, bool json, ws_text *out)
{
    ws_sweep_status status;
    ws_err error = ws_sweep_status_read(directory, &status);
    if (error == WS_OK && json)
        error = describe_for_machines(&status, out);
    else if (error == WS_OK)
        describe_for_people(&status, out);
    ws_sweep_status_destroy(&status);
    WS_TRY(error);
    return ws_text_check(out);
}
