/* Leases: who is at work on which trial, as files that any number of machines make and read at the same time. Nothing here
 * starts a trial.
 *
 * A supervisor claims a trial by giving its own file (pulse.c) one more name, work/ID/lease-G, G one above the last generation:
 * link(2) gives a name to exactly one of those who try, also over NFS. So one touch keeps all its leases fresh. A lease that is
 * given back becomes ended-G, of which the last is kept; a lost one stays, and is superseded by the next generation: a number is
 * never used twice, so nobody can take one claim for another. The run folder of generation G is work/ID/G.
 */
#include "sweep/internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include "storage/storage.h"

/* What work/ID holds. */
typedef struct contents {
    int lease, ended, run; /* highest numbers; 0: none */
    int failed;            /* tries that failed */
} contents;

static ws_err look_into(const char *work, contents *out)
{
    *out = (contents){0};
    DIR *list = opendir(work);
    if (!list)
        return WS_OK;
    for (struct dirent *entry; (entry = readdir(list));) {
        int number = 0, length = 0;
        const char *name = entry->d_name;
        if (sscanf(name, "lease-%d%n", &number, &length) == 1 && !name[length])
            out->lease = number > out->lease ? number : out->lease;
        else if (sscanf(name, "ended-%d%n", &number, &length) == 1 && !name[length])
            out->ended = number > out->ended ? number : out->ended;
        else if (sscanf(name, "%d%n", &number, &length) == 1 && !name[length])
            out->run = number > out->run ? number : out->run;
        else
            out->failed += strncmp(name, "failed-", 7) == 0;
    }
    closedir(list);
    return WS_OK;
}

/* Whether processes of the trial still run on this machine. */
static bool still_runs(const char *run_directory)
{
    char *log = ws_path_join(run_directory, "log.txt");
    int file = log ? open(log, O_RDONLY | O_CLOEXEC) : -1;
    bool runs = file >= 0 && flock(file, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    if (file >= 0)
        close(file);
    free(log);
    return runs;
}

/* How generation `number` of a trial ended, or whether it has. */
static ws_err look_at_generation(const ws_pulse *self, const char *work, int number, ws_holder *out)
{
    char *lease = ws_format("%s/lease-%d", work, number), *run = ws_format("%s/%d", work, number);
    ws_err error = lease && run ? WS_OK : WS_ERROR(MEMORY, "no memory for a path");
    if (error == WS_OK)
        *out = access(lease, F_OK) != 0 ? WS_HOLDER_GONE : ws_pulse_look(self, lease);
    if (error == WS_OK && *out == WS_HOLDER_GONE && still_runs(run))
        *out = WS_HOLDER_ALIVE; /* on its way to its checkpoint */
    free(lease);
    free(run);
    return error;
}

/* Gives the supervisor's file the lease's name. False: another one was first. */
static ws_err take_name(const ws_pulse *pulse, const char *lease, bool *taken)
{
    struct stat own, there;
    *taken = link(pulse->path, lease) == 0;
    int reason = errno;
    if (*taken || reason == ENOENT)
        return WS_OK; /* ENOENT: the trial has just been finished, and its folder removed */
    /* NFS may tell that a name is there when it has just made it for us */
    if (reason == EEXIST) {
        *taken = fstat(pulse->file, &own) == 0 && stat(lease, &there) == 0 && own.st_ino == there.st_ino &&
                 own.st_dev == there.st_dev;
        return WS_OK;
    }
    ws_err error = WS_ERROR(IO, "%s: a trial cannot be claimed: %s", lease, strerror(reason));
    if (reason == EPERM || reason == EOPNOTSUPP)
        WS_HINT("the file system has no hard links; put the sweep's folder on another one");
    return error;
}

ws_err ws_claim_take(ws_claim *out, const ws_pulse *pulse, const char *directory, const char *id)
{
    *out = (ws_claim){.result = WS_CLAIM_BUSY};
    char *work = ws_format("%s/work/%s", directory, id), *lease = NULL;
    ws_holder last = WS_HOLDER_GONE;
    contents place;
    bool taken = false;
    ws_err error = WS_OK;
    WS_CHECK_GOTO(done, work, MEMORY, "no memory for a path");
    WS_CHECK_GOTO(done, mkdir(work, 0777) == 0 || errno == EEXIST, IO, "cannot make the folder %s: %s", work,
                  strerror(errno));
    WS_TRY_GOTO(done, look_into(work, &place));
    if (place.lease > place.ended)
        WS_TRY_GOTO(done, look_at_generation(pulse, work, place.lease, &last));
    if (last != WS_HOLDER_ALIVE && place.run)
        WS_TRY_GOTO(done, look_at_generation(pulse, work, place.run, &last));
    if (last == WS_HOLDER_ALIVE)
        goto done;
    out->generation = (place.lease > place.ended ? place.lease : place.ended) + 1;
    lease = ws_format("%s/lease-%d", work, out->generation);
    WS_CHECK_GOTO(done, lease, MEMORY, "no memory for a path");
    WS_TRY_GOTO(done, take_name(pulse, lease, &taken));
    if (!taken)
        goto done;
    out->result = WS_CLAIM_MINE;
    out->failures = place.failed;
    out->previous = place.run;
    out->previous_gone = last == WS_HOLDER_GONE;
done:
    free(work);
    free(lease);
    return error;
}

/* ---------------------------------------------------------------- what a claim is followed by */

/* Gives complete checkpoints one more name in the new run folder, and copies the log of steps, so that the trial goes on
 * there, whatever a process that nobody hears of any more does to the old one. */
static ws_err take_over_checkpoints(const char *from, const char *to)
{
    char *old = ws_path_join(from, "checkpoints"), *new = ws_path_join(to, "checkpoints"),
         *metrics = ws_path_join(from, "metrics.jsonl"), *copy = ws_path_join(to, "metrics.jsonl"), *text = NULL;
    DIR *list = NULL;
    size_t bytes;
    ws_err error = WS_OK;
    WS_CHECK_GOTO(done, old && new &&metrics &&copy, MEMORY, "no memory for a path");
    list = opendir(old);
    if (!list)
        goto done;
    WS_TRY_GOTO(done, ws_directory_create(new));
    for (struct dirent *entry; (entry = readdir(list));) {
        const char *dot = strrchr(entry->d_name, '.');
        if (!dot || strcmp(dot, ".h5") != 0)
            continue;
        char *source = ws_path_join(old, entry->d_name), *target = ws_path_join(new, entry->d_name);
        bool linked =
            source && target && link(source, target) == 0; /* where not: it was just dropped, or is made again */
        free(source);
        free(target);
        (void)linked;
    }
    if (ws_file_exists(metrics) && ws_file_read(metrics, &text, &bytes) == WS_OK)
        WS_TRY_GOTO(done, ws_file_write(copy, text, bytes));
    ws_error_clear();
done:
    if (list)
        closedir(list);
    free(old);
    free(new);
    free(metrics);
    free(copy);
    free(text);
    return error;
}

ws_err ws_claim_folder(ws_claim *claim, const char *directory, const char *id)
{
    char *old = ws_format("%s/work/%s/%d", directory, id, claim->previous),
         *new = ws_format("%s/work/%s/%d", directory, id, claim->generation);
    ws_err error = WS_OK;
    WS_CHECK_GOTO(done, old && new, MEMORY, "no memory for a path");
    const bool renamed = claim->previous && claim->previous_gone;
    const bool made = renamed ? rename(old, new) == 0 : mkdir(new, 0777) == 0;
    if (!made && errno == ENOENT) { /* slower than a lease, and another one has taken over, or finished it */
        claim->result = WS_CLAIM_BUSY;
        goto done;
    }
    WS_CHECK_GOTO(done, made, IO, "cannot make the folder %s: %s", new, strerror(errno));
    if (!renamed && claim->previous)
        WS_TRY_GOTO(done, take_over_checkpoints(old, new));
    claim->run = new;
    new = NULL;
done:
    free(old);
    free(new);
    return error;
}

ws_err ws_claim_release(ws_claim *claim, const char *directory, const char *id)
{
    char *lease = ws_format("%s/work/%s/lease-%d", directory, id, claim->generation),
         *ended = ws_format("%s/work/%s/ended-%d", directory, id, claim->generation);
    /* a trial that is left to others is claimed and given back every second, and a file has room for some 65,000 names */
    char *before = ws_format("%s/work/%s/ended-%d", directory, id, claim->generation - 1);
    ws_err error = lease && ended && before ? WS_OK : WS_ERROR(MEMORY, "no memory for a path");
    if (error == WS_OK && claim->generation && rename(lease, ended) != 0 && errno != ENOENT)
        error = WS_ERROR(IO, "cannot rename %s to %s: %s", lease, ended, strerror(errno));
    if (error == WS_OK)
        unlink(before);
    free(lease);
    free(ended);
    free(before);
    ws_claim_forget(claim);
    return error;
}

void ws_claim_forget(ws_claim *claim)
{
    free(claim->run);
    *claim = (ws_claim){0};
}

/* Removes work/ID of a published trial. Who claims it at the same moment finds it published, and clears up after that claim. */
static ws_err remove_work(const char *work)
{
    contents place;
    ws_err error = ws_directory_remove(work);
    for (int tries = 0; error != WS_OK && tries < 10; tries++) {
        ws_error_clear();
        WS_TRY(look_into(work, &place));
        if (place.lease || place.run)
            return WS_OK;
        error = ws_directory_remove(work);
    }
    return error;
}

ws_err ws_claim_clear(ws_claim *claim, const char *directory, const char *id)
{
    char *work = ws_format("%s/work/%s", directory, id);
    WS_CHECK(work, MEMORY, "no memory for a path");
    contents place;
    ws_err error = look_into(work, &place);
    /* run folders that are still there belong to others, who will compare theirs with what has been published */
    if (error == WS_OK && !place.run && place.lease <= claim->generation)
        error = remove_work(work);
    else if (error == WS_OK)
        error = ws_claim_release(claim, directory, id);
    free(work);
    ws_claim_forget(claim);
    return error;
}

/* What a supervisor left that was killed between publishing a trial and clearing up after it. */
static ws_err tidy_one(const ws_pulse *self, const char *directory, const char *id)
{
    char *work = ws_format("%s/work/%s", directory, id), *published = ws_trial_directory(directory, id);
    contents place = {0};
    ws_holder last = WS_HOLDER_GONE;
    ws_err error = work && published ? WS_OK : WS_ERROR(MEMORY, "no memory for a path");
    if (error == WS_OK && ws_directory_exists(published)) {
        error = look_into(work, &place);
        int generation = place.lease > place.run ? place.lease : place.run;
        if (error == WS_OK && generation)
            error = look_at_generation(self, work, generation, &last);
        if (error == WS_OK && (last == WS_HOLDER_GONE || (last == WS_HOLDER_LOST && !place.run)))
            error = remove_work(work);
    }
    free(work);
    free(published);
    return error;
}

static bool pass_over(void *context, const cJSON *supervisor)
{
    (void)context;
    (void)supervisor;
    return true;
}

ws_err ws_claims_tidy(const ws_pulse *self, const char *directory)
{
    WS_TRY(ws_pulse_others(self, directory, pass_over, NULL)); /* which removes the files of dead ones */
    char *path = ws_path_join(directory, "work");
    DIR *list = path ? opendir(path) : NULL;
    ws_err error = path ? WS_OK : WS_ERROR(MEMORY, "no memory for a path");
    for (struct dirent *entry; list && error == WS_OK && (entry = readdir(list));)
        if (entry->d_name[0] != '.')
            error = tidy_one(self, directory, entry->d_name);
    if (list)
        closedir(list);
    free(path);
    return error;
}

bool ws_trial_is_running(const ws_pulse *observer, const char *directory, const char *id)
{
    char *work = ws_format("%s/work/%s", directory, id);
    contents place = {0};
    ws_holder last = WS_HOLDER_GONE;
    bool known = work && look_into(work, &place) == WS_OK && place.lease > place.ended &&
                 look_at_generation(observer, work, place.lease, &last) == WS_OK;
    free(work);
    return known && last == WS_HOLDER_ALIVE;
}
