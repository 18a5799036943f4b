/* Who is at work in a sweep's folder: every supervisor has a file of its own there, supervisors/NAME, which says who it is, is
 * touched every few seconds, and is locked (flock) as long as its process lives. Ages are differences of times that the file
 * system gave, so clocks of machines need not agree. */
#include "sweep/internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "cluster/cluster.h"

static double seconds_of(struct timespec time)
{
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

/* The running kernel: on the same one, a free lock proves that its holder is gone. */
static void read_boot(char out[64])
{
    FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");
    size_t got = file ? fread(out, 1, 63, file) : 0;
    out[got] = '\0';
    out[strcspn(out, "\n")] = '\0';
    if (file)
        fclose(file);
}

const char *ws_node_name(void)
{
    const char *node = getenv("SLURMD_NODENAME");
    return node && node[0] ? node : ws_host_name();
}

/* ---------------------------------------------------------------- the supervisor's own file */

static ws_err describe_self(const char *boot, int workers, ws_text *out)
{
    const char *job = getenv("SLURM_JOB_ID");
    char now[32];
    ws_time_text(now);
    cJSON *root = cJSON_CreateObject();
    bool made = root && cJSON_AddStringToObject(root, "host", ws_host_name()) &&
                cJSON_AddStringToObject(root, "node", ws_node_name()) && cJSON_AddStringToObject(root, "boot", boot) &&
                cJSON_AddNumberToObject(root, "pid", (double)getpid()) &&
                cJSON_AddNumberToObject(root, "workers", workers) && cJSON_AddStringToObject(root, "started", now) &&
                (!job || cJSON_AddStringToObject(root, "job", job));
    ws_err error = made ? ws_json_canonical(root, out) : WS_ERROR(MEMORY, "no memory for a supervisor's file");
    cJSON_Delete(root);
    ws_text_append(out, "\n");
    WS_TRY(error);
    return ws_text_check(out);
}

ws_err ws_pulse_beat(ws_pulse *pulse)
{
    double now = ws_clock_seconds();
    if (pulse->beaten && now - pulse->beaten < pulse->lease / 6)
        return WS_OK;
    struct stat info;
    WS_CHECK(futimens(pulse->file, NULL) == 0 && fstat(pulse->file, &info) == 0, IO, "%s: cannot be touched: %s",
             pulse->path, strerror(errno));
    pulse->beaten = now;
    pulse->ahead = seconds_of(info.st_mtim) - now;
    return WS_OK;
}

ws_err ws_pulse_start(ws_pulse *out, const char *directory, double lease, int workers)
{
    *out = (ws_pulse){.file = -1, .lease = lease};
    ws_text text = {0};
    char *partial = NULL;
    ws_err error = WS_OK;
    read_boot(out->boot);
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    out->path = ws_format("%s/supervisors/%s.%ld.%llx", directory, ws_node_name(), (long)getpid(),
                          (unsigned long long)now.tv_sec * 1000000 + (unsigned long long)now.tv_nsec / 1000);
    partial = out->path ? ws_format("%s.partial", out->path) : NULL;
    WS_CHECK_GOTO(done, partial, MEMORY, "no memory for a path");
    WS_TRY_GOTO(done, describe_self(out->boot, workers, &text));
    out->file = open(partial, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    WS_CHECK_GOTO(done, out->file >= 0, IO, "%s: cannot be created: %s", partial, strerror(errno));
    /* locked and whole before it has its name */
    WS_CHECK_GOTO(done, flock(out->file, LOCK_EX | LOCK_NB) == 0, IO, "%s: cannot be locked: %s", partial,
                  strerror(errno));
    WS_CHECK_GOTO(done, write(out->file, text.data, text.length) == (ssize_t)text.length, IO,
                  "%s: cannot be written: %s", partial, strerror(errno));
    WS_CHECK_GOTO(done, rename(partial, out->path) == 0, IO, "%s: cannot be renamed: %s", partial, strerror(errno));
    error = ws_pulse_beat(out);
done:
    if (error != WS_OK && out->file >= 0)
        unlink(partial);
    free(partial);
    ws_text_destroy(&text);
    if (error != WS_OK)
        ws_pulse_stop(out);
    return error;
}

void ws_pulse_stop(ws_pulse *pulse)
{
    if (pulse->file >= 0) {
        unlink(pulse->path);
        close(pulse->file);
    }
    free(pulse->path);
    *pulse = (ws_pulse){.file = -1};
}

/* ---------------------------------------------------------------- others */

/* What a supervisor's file says; NULL where that cannot be read. */
static cJSON *read_file(int file)
{
    char text[2048];
    ssize_t got = pread(file, text, sizeof text - 1, 0);
    return got > 0 ? cJSON_ParseWithLength(text, (size_t)got) : NULL;
}

/* Seconds since this machine was started. */
static double seconds_up(void)
{
    struct timespec up;
    return clock_gettime(CLOCK_BOOTTIME, &up) == 0 ? seconds_of(up) : 0;
}

static ws_holder judge_file(int file, const char *boot, double now, double lease)
{
    struct stat info;
    if (fstat(file, &info) != 0)
        return WS_HOLDER_ALIVE;
    const double age = now - seconds_of(info.st_mtim);
    cJSON *root = read_file(file);
    const char *its = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(root, "boot")),
               *host = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(root, "host"));
    const bool same_boot = its && strcmp(its, boot) == 0, same_host = host && strcmp(host, ws_host_name()) == 0;
    cJSON_Delete(root);
    if (same_boot && flock(file, LOCK_SH | LOCK_NB) == 0)
        return WS_HOLDER_GONE; /* closing the file gives the lock back */
    if (age <= lease)
        return WS_HOLDER_ALIVE;
    /* of this machine, which was started again since the last sign of life */
    return its && !same_boot && same_host && age > seconds_up() ? WS_HOLDER_GONE : WS_HOLDER_LOST;
}

ws_holder ws_pulse_look(const ws_pulse *self, const char *path)
{
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return WS_HOLDER_ALIVE; /* given back at this moment: the next look sees it */
    struct stat theirs, own;
    ws_holder holder;
    if (self->file >= 0 && fstat(file, &theirs) == 0 && fstat(self->file, &own) == 0 && theirs.st_ino == own.st_ino &&
        theirs.st_dev == own.st_dev)
        holder = WS_HOLDER_ALIVE;
    else
        holder = judge_file(file, self->boot, ws_clock_seconds() + self->ahead, self->lease);
    close(file);
    return holder;
}

void ws_pulse_observe(ws_pulse *out, double lease)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    *out = (ws_pulse){.file = -1, .lease = lease, .ahead = seconds_of(now) - ws_clock_seconds()};
    read_boot(out->boot);
}

/* One file of supervisors/. False: `note` wants no more. */
static bool look_at_other(const ws_pulse *self, const char *path, bool (*note)(void *context, const cJSON *supervisor),
                          void *context)
{
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return true;
    bool more = true;
    ws_holder holder = ws_pulse_look(self, path);
    cJSON *supervisor = holder == WS_HOLDER_ALIVE ? read_file(file) : NULL;
    if (supervisor)
        more = note(context, supervisor);
    else if (holder == WS_HOLDER_GONE && self->file >= 0)
        unlink(path); /* of a dead process; its leases keep their own names */
    cJSON_Delete(supervisor);
    close(file);
    return more;
}

ws_err ws_pulse_others(const ws_pulse *self, const char *directory,
                       bool (*note)(void *context, const cJSON *supervisor), void *context)
{
    char *path = ws_path_join(directory, "supervisors");
    WS_CHECK(path, MEMORY, "no memory for a path");
    DIR *list = opendir(path);
    bool more = list != NULL;
    for (struct dirent *entry; more && (entry = readdir(list));) {
        const char *dot = strrchr(entry->d_name, '.');
        char *file = ws_path_join(path, entry->d_name);
        if (file && dot && entry->d_name[0] != '.' && strcmp(dot, ".partial") != 0 &&
            !(self->path && strcmp(file, self->path) == 0))
            more = look_at_other(self, file, note, context);
        free(file);
    }
    if (list)
        closedir(list);
    free(path);
    return WS_OK;
}
