/* The files of one trial: what state they tell, the lock, and setting a failed try aside. */
#include "sweep/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>
#include "storage/storage.h"

const char *const ws_trial_state_names[] = {"new", "started", "done", "failed", "broken"};

char *ws_trial_directory(const char *directory, const char *id)
{
    return ws_format("%s/trials/%s", directory, id);
}

char *ws_trial_file(const char *directory, const char *id, const char *name)
{
    return ws_format("%s/trials/%s/%s", directory, id, name);
}

void ws_time_text(char out[32])
{
    time_t now = time(NULL);
    struct tm utc;
    gmtime_r(&now, &utc);
    strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &utc);
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

ws_err ws_trial_look(const char *directory, const char *id, ws_trial_state *state, cJSON **record, ws_text *complaint)
{
    if (record)
        *record = NULL;
    char *path = ws_trial_file(directory, id, "record.json"), *config = ws_trial_file(directory, id, "config.json");
    char *text = NULL;
    ws_err error = WS_OK;
    WS_CHECK_GOTO(done, path && config, MEMORY, "no memory for a path");
    *state = ws_file_exists(config) ? WS_TRIAL_STARTED : WS_TRIAL_NEW;
    if (!ws_file_exists(path))
        goto done;
    size_t bytes;
    WS_TRY_GOTO(done, ws_file_read(path, &text, &bytes));
    cJSON *parsed = cJSON_ParseWithLengthOpts(text, bytes + 1, NULL, true);
    if (!parsed && complaint)
        ws_text_append(complaint, "its record.json is no JSON");
    *state = parsed ? judge(parsed, id, complaint) : WS_TRIAL_BROKEN;
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

ws_err ws_trial_lock(const char *directory, const char *id, int *out)
{
    char *path = ws_trial_file(directory, id, "lock");
    WS_CHECK(path, MEMORY, "no memory for a path");
    ws_err error = ws_lock_file(path, out);
    free(path);
    return error;
}

bool ws_trial_is_running(const char *directory, const char *id)
{
    char *path = ws_trial_file(directory, id, "lock");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    bool running = file >= 0 && flock(file, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    if (file >= 0)
        close(file);
    free(path);
    return running;
}

ws_err ws_trial_set_aside(const char *directory, const char *id)
{
    char *from = ws_trial_directory(directory, id), *to = NULL;
    ws_err error = WS_OK;
    WS_CHECK_GOTO(done, from, MEMORY, "no memory for a path");
    for (int k = 1;; k++) {
        free(to);
        to = ws_format("%s.failed-%d", from, k);
        WS_CHECK_GOTO(done, to, MEMORY, "no memory for a path");
        if (!ws_directory_exists(to))
            break;
    }
    WS_TRY_GOTO(done, ws_file_rename(from, to));
done:
    free(from);
    free(to);
    return error;
}
