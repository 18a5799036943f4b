/* The files of one trial: what state they tell. And locked files. */
#include "sweep/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>
#include "storage/storage.h"

const char *const ws_trial_state_names[] = {"new", "started", "done", "failed", "changed", "broken"};

char *ws_trial_directory(const char *directory, const char *id)
{
    return ws_format("%s/trials/%s", directory, id);
}

void ws_time_text(char out[32])
{
    time_t now = time(NULL);
    struct tm utc;
    gmtime_r(&now, &utc);
    strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &utc);
}

ws_err ws_record_is_changed(const cJSON *record, bool *out)
{
    const char *stated = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(record, "result_hash"));
    char hash[65];
    *out = false;
    if (!stated)
        return WS_OK;
    WS_TRY(ws_json_hash(cJSON_GetObjectItemCaseSensitive(record, "result"), hash));
    *out = strcmp(stated, hash) != 0;
    return WS_OK;
}

static ws_trial_state judge(const cJSON *record, const char *id, ws_text *complaint)
{
    const char *recorded = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(record, "id")),
               *status = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(record, "status"));
    if (!recorded || strcmp(recorded, id) != 0) {
        if (complaint)
            ws_text_appendf(complaint, "its record.json is that of trial %s", recorded ? recorded : "(none)");
        return WS_TRIAL_BROKEN;
    }
    if (status && strcmp(status, "failed") == 0)
        return WS_TRIAL_FAILED;
    if (status && strcmp(status, "done") == 0 && cJSON_IsObject(cJSON_GetObjectItemCaseSensitive(record, "result")))
        return WS_TRIAL_DONE;
    if (complaint)
        ws_text_append(complaint, "its record.json has no status \"done\" with a result, nor \"failed\"");
    return WS_TRIAL_BROKEN;
}

ws_err ws_run_look(const char *run, const char *id, ws_trial_state *state, cJSON **record, ws_text *complaint)
{
    if (record)
        *record = NULL;
    char *path = ws_path_join(run, "record.json"), *config = ws_path_join(run, "config.json"), *text = NULL;
    ws_err error = WS_OK;
    WS_CHECK_GOTO(done, path && config, MEMORY, "no memory for a path");
    *state = WS_TRIAL_NEW;
    if (!ws_file_exists(path)) {
        *state = ws_file_exists(config) ? WS_TRIAL_STARTED : WS_TRIAL_NEW;
        goto done;
    }
    size_t bytes;
    WS_TRY_GOTO(done, ws_file_read(path, &text, &bytes));
    cJSON *parsed = cJSON_ParseWithLengthOpts(text, bytes + 1, NULL, true);
    if (!parsed && complaint)
        ws_text_append(complaint, "its record.json is no JSON");
    *state = parsed ? judge(parsed, id, complaint) : WS_TRIAL_BROKEN;
    bool changed = false;
    if (*state == WS_TRIAL_DONE)
        error = ws_record_is_changed(parsed, &changed);
    if (changed) {
        *state = WS_TRIAL_CHANGED;
        if (complaint)
            ws_text_append(complaint, "the result in its record.json was changed after it was written");
    }
    if (record && *state != WS_TRIAL_BROKEN)
        *record = parsed;
    else
        cJSON_Delete(parsed);
done:
    free(text);
    free(path);
    free(config);
    return error;
}

ws_err ws_trial_look(const char *directory, const char *id, ws_trial_state *state, cJSON **record, ws_text *complaint)
{
    char *path = ws_trial_directory(directory, id), *work = ws_format("%s/work/%s", directory, id);
    ws_err error = path && work ? WS_OK : WS_ERROR(MEMORY, "no memory for a path");
    *state = WS_TRIAL_NEW;
    if (record)
        *record = NULL;
    if (error == WS_OK && ws_directory_exists(path)) {
        error = ws_run_look(path, id, state, record, complaint);
        if (error == WS_OK && (*state == WS_TRIAL_NEW || *state == WS_TRIAL_STARTED))
            *state = WS_TRIAL_BROKEN; /* published, and its record taken away */
    } else if (error == WS_OK && ws_directory_exists(work)) {
        *state = WS_TRIAL_STARTED;
    }
    free(path);
    free(work);
    return error;
}

/* ---------------------------------------------------------------- locks */

ws_err ws_lock_file(const char *path, int *out)
{
    *out = -1;
    int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    WS_CHECK(file >= 0, IO, "%s: cannot be opened: %s", path, strerror(errno));
    if (flock(file, LOCK_EX | LOCK_NB) == 0) {
        *out = file;
        return WS_OK;
    }
    int reason = errno;
    close(file);
    WS_CHECK(reason == EWOULDBLOCK, IO, "%s: cannot be locked: %s", path, strerror(reason));
    return WS_OK;
}
