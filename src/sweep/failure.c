/* Failed trials: why a try failed, the tries of a trial, and the record that says so, with the last lines of the log. */
#include "sweep/internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>
#include "storage/storage.h"

enum { LOG_BYTES = 8192, LOG_LINES = 12 };

/* The end of the log as printable lines: lines[0 .. returned), borrowed from buffer. */
static size_t read_log(const char *path, char buffer[LOG_BYTES + 1], char *lines[LOG_LINES])
{
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return 0;
    off_t size = lseek(file, 0, SEEK_END), from = size > LOG_BYTES ? size - LOG_BYTES : 0;
    ssize_t got = pread(file, buffer, LOG_BYTES, from);
    close(file);
    size_t length = got > 0 ? (size_t)got : 0, count = 0;
    buffer[length] = '\0';
    for (size_t i = 0; i < length;
         i++) /* progress redraws with \r; whatever is no plain text must not break the JSON */
        if (buffer[i] == '\r')
            buffer[i] = '\n';
        else if (buffer[i] != '\n' && (buffer[i] < ' ' || buffer[i] > '~'))
            buffer[i] = buffer[i] == '\t' ? ' ' : '?';
    char *rest = NULL;
    for (char *line = strtok_r(buffer, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        if (count == LOG_LINES) {
            memmove(lines, lines + 1, (LOG_LINES - 1) * sizeof *lines);
            count--;
        }
        lines[count++] = line;
    }
    return count;
}

/* A process that may allocate no more says so, or dies of it without a word, within a library that does not check. */
static void note_memory_limit(ws_failure *failure, const char *last_error)
{
    const bool told = last_error && strstr(last_error, "memory");
    if (failure->memory_limit > 0 && !failure->over_limit && !failure->complaint && (told || !last_error))
        ws_text_appendf(&failure->reason, "; each process was given %.4g GiB of memory%s (--memory-limit)",
                        failure->memory_limit / 1073741824.0, told ? "" : ", perhaps too little");
}

static void explain(ws_failure *failure, char *const *lines, size_t count)
{
    const char *last_error = NULL;
    ws_text *reason = &failure->reason;
    for (size_t i = 0; i < count; i++)
        if (strncmp(lines[i], "error: ", 7) == 0)
            last_error = lines[i] + 7;
    if (failure->over_limit) {
        char limit[32];
        ws_format_seconds(failure->limit, limit);
        ws_text_appendf(reason, "not finished within its limit of %s", limit);
    } else if (failure->complaint) {
        ws_text_append(reason, failure->complaint);
    } else if (WIFSIGNALED(failure->status)) {
        int number = WTERMSIG(failure->status);
        ws_text_appendf(reason, "ended by signal %d (%s)%s", number, strsignal(number),
                        number == SIGKILL ? ", perhaps out of memory" : "");
    } else if (last_error) {
        ws_text_append(reason, last_error);
    } else if (WEXITSTATUS(failure->status) == 0) {
        ws_text_append(reason, "ended with status 0, but left no record, see its log.txt");
    } else {
        ws_text_appendf(reason, "ended with status %d, see its log.txt", WEXITSTATUS(failure->status));
    }
    note_memory_limit(failure, last_error);
    /* a wrong configuration and numbers that run away do so on every machine */
    bool exited = WIFEXITED(failure->status) && !failure->over_limit;
    failure->certain = exited && (WEXITSTATUS(failure->status) == 2 ||
                                  (last_error && strncmp(last_error, "not a finite number", 19) == 0));
}

/* Whether a trial failed for want of room, which its last line says, or cannot say any more. */
static bool is_full(const char *run, const char *const *lines, size_t count)
{
    static const int reasons[] = {ENOSPC, EDQUOT, EROFS};
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < sizeof reasons / sizeof reasons[0]; k++)
            if (strncmp(lines[i], "error: ", 7) == 0 && strstr(lines[i], strerror(reasons[k])) && strstr(lines[i], run))
                return true;
    struct statvfs info;
    return statvfs(run, &info) == 0 && (info.f_bavail == 0 || (info.f_flag & ST_RDONLY));
}

ws_err ws_failure_explain(const char *run, ws_failure *failure)
{
    char *log = ws_path_join(run, "log.txt"), *buffer = NULL, *lines[LOG_LINES];
    WS_CHECK(log, MEMORY, "no memory for a path");
    ws_err error = WS_NEW_ARRAY(buffer, LOG_BYTES + 1);
    if (error == WS_OK) {
        size_t count = read_log(log, buffer, lines);
        explain(failure, lines, count);
        failure->no_space = !failure->over_limit && is_full(run, (const char *const *)lines, count);
        error = ws_text_check(&failure->reason);
    }
    free(buffer);
    free(log);
    return error;
}

/* ---------------------------------------------------------------- tries */

ws_err ws_failure_note(const char *directory, const char *id, int generation, const char *reason)
{
    char *path = ws_format("%s/work/%s/failed-%d", directory, id, generation), now[32];
    WS_CHECK(path, MEMORY, "no memory for a path");
    ws_time_text(now);
    cJSON *root = cJSON_CreateObject();
    ws_text text = {0};
    bool made = root && cJSON_AddStringToObject(root, "node", ws_node_name()) &&
                cJSON_AddStringToObject(root, "reason", reason) && cJSON_AddStringToObject(root, "time", now);
    ws_err error = made ? ws_json_canonical(root, &text) : WS_ERROR(MEMORY, "no memory for the failure of a trial");
    if (error == WS_OK)
        error = ws_text_check(&text);
    if (error == WS_OK)
        error = ws_file_write(path, text.data, text.length);
    ws_text_destroy(&text);
    cJSON_Delete(root);
    free(path);
    return error;
}

ws_err ws_failure_tries(const char *directory, const char *id, cJSON **out)
{
    char *work = ws_format("%s/work/%s", directory, id);
    struct dirent **names = NULL;
    cJSON *tries = cJSON_CreateArray();
    int count = work ? scandir(work, &names, NULL, versionsort) : -1;
    ws_err error = work && tries ? WS_OK : WS_ERROR(MEMORY, "no memory for the failures of a trial");
    for (int i = 0; i < count; i++) {
        int number, length = 0;
        char *path = NULL, *text = NULL;
        size_t bytes;
        if (error == WS_OK && sscanf(names[i]->d_name, "failed-%d%n", &number, &length) == 1 &&
            !names[i]->d_name[length] && (path = ws_path_join(work, names[i]->d_name)) &&
            ws_file_read(path, &text, &bytes) == WS_OK)
            cJSON_AddItemToArray(tries, cJSON_ParseWithLength(text, bytes));
        free(text);
        free(path);
        free(names[i]);
    }
    ws_error_clear();
    free(names);
    free(work);
    if (error == WS_OK)
        *out = tries;
    else
        cJSON_Delete(tries);
    return error;
}

/* ---------------------------------------------------------------- the record */

static bool fill_record(cJSON *record, const char *id, const ws_failure *failure, char *const *lines, size_t count)
{
    char now[32];
    ws_time_text(now);
    bool by_signal = WIFSIGNALED(failure->status);
    bool made = cJSON_AddNumberToObject(record, "schema", 1) && cJSON_AddStringToObject(record, "id", id) &&
                cJSON_AddStringToObject(record, "status", "failed");
    cJSON *about = cJSON_AddObjectToObject(record, "failure"), *run = cJSON_AddObjectToObject(record, "run"),
          *seconds = cJSON_AddObjectToObject(run, "seconds"),
          *log = cJSON_CreateStringArray((const char *const *)lines, (int)count);
    made = made && about && run && seconds && log &&
           cJSON_AddStringToObject(about, "reason", ws_text_string(&failure->reason));
    made = made && (by_signal ? cJSON_AddNullToObject(about, "exit_status")
                              : cJSON_AddNumberToObject(about, "exit_status", WEXITSTATUS(failure->status)));
    made = made && (by_signal ? cJSON_AddNumberToObject(about, "signal", WTERMSIG(failure->status))
                              : cJSON_AddNullToObject(about, "signal"));
    return made && cJSON_AddItemToObject(about, "log", log) &&
           cJSON_AddNumberToObject(seconds, "total", failure->seconds) &&
           cJSON_AddStringToObject(run, "host", ws_node_name()) &&
           cJSON_AddStringToObject(run, "version", ws_version()) &&
           cJSON_AddStringToObject(run, "started", failure->started) && cJSON_AddStringToObject(run, "finished", now);
}

ws_err ws_failure_record(const char *run, const char *id, const ws_failure *failure, const cJSON *tries)
{
    char *path = ws_path_join(run, "record.json"), *log = ws_path_join(run, "log.txt"), *buffer = NULL;
    char *lines[LOG_LINES];
    cJSON *record = cJSON_CreateObject();
    ws_text text = {0};
    ws_err error = WS_OK;
    WS_CHECK_GOTO(done, path && log && record, MEMORY, "no memory for the record of a failed trial");
    WS_TRY_GOTO(done, WS_NEW_ARRAY(buffer, LOG_BYTES + 1));
    size_t count = read_log(log, buffer, lines);
    WS_CHECK_GOTO(done, fill_record(record, id, failure, lines, count), MEMORY,
                  "no memory for the record of a failed trial");
    if (cJSON_GetArraySize(tries) > 1) {
        cJSON *copy = cJSON_Duplicate(tries, true);
        WS_CHECK_GOTO(done, copy && cJSON_AddItemToObject(cJSON_GetObjectItem(record, "failure"), "tries", copy),
                      MEMORY, "no memory for the record of a failed trial");
    }
    WS_TRY_GOTO(done, ws_json_pretty(record, &text));
    ws_text_append(&text, "\n");
    WS_TRY_GOTO(done, ws_text_check(&text));
    WS_TRY_GOTO(done, ws_file_write(path, text.data, text.length));
done:
    ws_text_destroy(&text);
    cJSON_Delete(record);
    free(buffer);
    free(path);
    free(log);
    return error;
}
