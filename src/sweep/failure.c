/* Failed trials: the record that says why, with the last lines of the log. A record that is there is never replaced. */
#include "sweep/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
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

static void explain(const ws_failure *failure, char *const *lines, size_t count, ws_text *reason)
{
    const char *last_error = NULL;
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
}

static bool fill_record(cJSON *record, const char *id, const ws_failure *failure, const char *reason,
                        char *const *lines, size_t count)
{
    char now[32], host[256] = "localhost";
    ws_time_text(now);
    gethostname(host, sizeof host - 1);
    bool by_signal = WIFSIGNALED(failure->status);
    bool made = cJSON_AddNumberToObject(record, "schema", 1) && cJSON_AddStringToObject(record, "id", id) &&
                cJSON_AddStringToObject(record, "status", "failed");
    cJSON *about = cJSON_AddObjectToObject(record, "failure"), *run = cJSON_AddObjectToObject(record, "run"),
          *seconds = cJSON_AddObjectToObject(run, "seconds"),
          *log = cJSON_CreateStringArray((const char *const *)lines, (int)count);
    made = made && about && run && seconds && log && cJSON_AddStringToObject(about, "reason", reason);
    made = made && (by_signal ? cJSON_AddNullToObject(about, "exit_status")
                              : cJSON_AddNumberToObject(about, "exit_status", WEXITSTATUS(failure->status)));
    made = made && (by_signal ? cJSON_AddNumberToObject(about, "signal", WTERMSIG(failure->status))
                              : cJSON_AddNullToObject(about, "signal"));
    return made && cJSON_AddItemToObject(about, "log", log) &&
           cJSON_AddNumberToObject(seconds, "total", failure->seconds) && cJSON_AddStringToObject(run, "host", host) &&
           cJSON_AddStringToObject(run, "version", ws_version()) &&
           cJSON_AddStringToObject(run, "started", failure->started) && cJSON_AddStringToObject(run, "finished", now);
}

ws_err ws_failure_record(const char *directory, const char *id, const ws_failure *failure, ws_text *reason)
{
    char *path = ws_trial_file(directory, id, "record.json"), *log = ws_trial_file(directory, id, "log.txt"),
         *buffer = NULL;
    char *lines[LOG_LINES];
    cJSON *record = cJSON_CreateObject();
    ws_text text = {0};
    bool existed = false;
    ws_err error = WS_OK;
    WS_CHECK_GOTO(done, path && log && record, MEMORY, "no memory for the record of a failed trial");
    WS_TRY_GOTO(done, WS_NEW_ARRAY(buffer, LOG_BYTES + 1));
    size_t count = read_log(log, buffer, lines);
    explain(failure, lines, count, reason);
    WS_CHECK_GOTO(done, fill_record(record, id, failure, ws_text_string(reason), lines, count), MEMORY,
                  "no memory for the record of a failed trial");
    WS_TRY_GOTO(done, ws_json_pretty(record, &text));
    ws_text_append(&text, "\n");
    WS_TRY_GOTO(done, ws_text_check(&text));
    WS_TRY_GOTO(done, ws_file_write_new(path, text.data, text.length, &existed));
done:
    ws_text_destroy(&text);
    cJSON_Delete(record);
    free(buffer);
    free(path);
    free(log);
    return error;
}
