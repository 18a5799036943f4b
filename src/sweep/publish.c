/* Publishing: a run folder becomes trials/ID by one rename, which only the first finisher of a trial can do. What a second one
 * found is compared with it, bit by bit. */
#include "sweep/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "storage/storage.h"

ws_err ws_trials_flush(const char *directory)
{
    char *path = ws_path_join(directory, "trials");
    int folder = path ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    ws_err error = WS_OK;
    if (folder < 0 || (fsync(folder) != 0 && errno != EINVAL))
        error = WS_ERROR(IO, "cannot flush the folder %s: %s", path ? path : "trials", strerror(errno));
    if (folder >= 0)
        close(folder);
    free(path);
    return error;
}

ws_err ws_trial_set_aside(const char *directory, const char *id, const char *as, bool *moved)
{
    char *from = ws_trial_directory(directory, id), *to = NULL;
    ws_err error = WS_OK;
    *moved = false;
    WS_CHECK_GOTO(done, from, MEMORY, "no memory for a path");
    for (int k = 1;; k++) {
        free(to);
        to = ws_format("%s.%s-%d", from, as, k);
        WS_CHECK_GOTO(done, to, MEMORY, "no memory for a path");
        *moved = rename(from, to) == 0;
        if (*moved || errno == ENOENT) /* ENOENT: another supervisor was first */
            break;
        WS_CHECK_GOTO(done, errno == ENOTEMPTY || errno == EEXIST, IO, "cannot rename %s to %s: %s", from, to,
                      strerror(errno));
    }
done:
    free(from);
    free(to);
    return error;
}

/* A second result that contradicts the first is kept beside it. */
static ws_err keep_second(const char *run, const char *path, const char *difference)
{
    ws_err error = WS_OK;
    char *note = ws_path_join(run, "difference.txt"), *to = NULL;
    WS_CHECK_GOTO(done, note, MEMORY, "no memory for a path");
    WS_TRY_GOTO(done, ws_file_write(note, difference, strlen(difference)));
    for (int k = 1;; k++) {
        free(to);
        to = ws_format("%s.second-%d", path, k);
        WS_CHECK_GOTO(done, to, MEMORY, "no memory for a path");
        if (rename(run, to) == 0)
            break;
        WS_CHECK_GOTO(done, errno == ENOTEMPTY || errno == EEXIST, IO, "cannot rename %s to %s: %s", run, to,
                      strerror(errno));
    }
done:
    free(note);
    free(to);
    return error;
}

/* The trial has been published by another one. *again: that one is out of the way, and ours may take its place. */
static ws_err meet_first(const char *directory, const char *id, const char *run, ws_publication *out,
                         ws_text *difference, bool *again)
{
    ws_trial_state theirs, ours;
    cJSON *first = NULL, *second = NULL;
    ws_comparison comparison = {0};
    bool moved;
    char *path = ws_trial_directory(directory, id);
    ws_err error = WS_OK;
    *again = false;
    WS_CHECK_GOTO(done, path, MEMORY, "no memory for a path");
    WS_TRY_GOTO(done, ws_run_look(path, id, &theirs, &first, NULL));
    WS_TRY_GOTO(done, ws_run_look(run, id, &ours, &second, NULL));
    if (theirs != WS_TRIAL_DONE && (theirs != WS_TRIAL_FAILED || ours == WS_TRIAL_DONE)) {
        *again = true; /* it finishes after all */
        error = ws_trial_set_aside(directory, id, theirs == WS_TRIAL_FAILED ? "failed" : "broken", &moved);
        goto done;
    }
    *out = theirs == WS_TRIAL_DONE ? WS_PUBLISHED_BEFORE : WS_PUBLISHED_FAILED_BEFORE;
    if (theirs == WS_TRIAL_DONE && ours == WS_TRIAL_DONE) {
        WS_TRY_GOTO(done, ws_records_compare(first, second, 0, &comparison));
        *out = comparison.verdict == WS_SAME_BITS ? WS_PUBLISHED_BEFORE : WS_PUBLISHED_OTHERWISE;
        ws_text_append(difference, ws_text_string(&comparison.difference));
    }
    error =
        *out == WS_PUBLISHED_OTHERWISE ? keep_second(run, path, ws_text_string(difference)) : ws_directory_remove(run);
done:
    ws_text_destroy(&comparison.difference);
    cJSON_Delete(first);
    cJSON_Delete(second);
    free(path);
    return error;
}

ws_err ws_trial_publish(const char *directory, const char *id, const char *run, ws_publication *out,
                        ws_text *difference)
{
    char *path = ws_trial_directory(directory, id);
    WS_CHECK(path, MEMORY, "no memory for a path");
    ws_err error = WS_OK;
    for (bool again = true; again && error == WS_OK;) {
        if (rename(run, path) == 0) {
            *out = WS_PUBLISHED;
            break;
        }
        if (errno == ENOTEMPTY || errno == EEXIST)
            error = meet_first(directory, id, run, out, difference, &again);
        else
            error = WS_ERROR(IO, "cannot rename %s to %s: %s", run, path, strerror(errno));
    }
    free(path);
    return error;
}
