/* What the journals of a sweep tell beyond its records: what every try cost and where, how fast trials finish, and who is at work
 * now. Reads only. */
#include "sweep/internal.h"

#include <dirent.h>
#include <math.h>
#include <stdlib.h>
#include <time.h>
#include "storage/storage.h"

static const double window_seconds = 3600;

typedef struct tally {
    ws_sweep_status *status;
    double now, first; /* of the window: its first event; INFINITY: none */
    size_t finished;   /* in the window */
} tally;

static double number_of(const cJSON *object, const char *key)
{
    const cJSON *number = cJSON_GetObjectItemCaseSensitive(object, key);
    return cJSON_IsNumber(number) ? number->valuedouble : 0;
}

static double time_of(const cJSON *event)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(event, "time"));
    struct tm parts = {0};
    return text && strptime(text, "%Y-%m-%dT%H:%M:%SZ", &parts) ? (double)timegm(&parts) : NAN;
}

/* Adds one to object[key][part]. */
static void count_in(cJSON *object, const char *key, const char *part)
{
    cJSON *entry = cJSON_GetObjectItemCaseSensitive(object, key);
    if (!entry)
        entry = cJSON_AddObjectToObject(object, key);
    cJSON *number = cJSON_GetObjectItemCaseSensitive(entry, part);
    if (number)
        cJSON_SetNumberValue(number, number->valuedouble + 1);
    else
        cJSON_AddNumberToObject(entry, part, 1);
}

static void note_event(tally *t, const cJSON *event)
{
    const char *name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(event, "event")),
               *node = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(event, "node"));
    const double cpu = number_of(event, "cpu_seconds") / 3600,
                 gpu = number_of(event, "gpus") * number_of(event, "seconds") / 3600, when = time_of(event);
    if (!name)
        return;
    const bool finished = strcmp(name, "finished") == 0, failed = strcmp(name, "failed") == 0;
    t->status->cpu_hours += cpu;
    t->status->gpu_hours += gpu;
    t->status->wasted_hours += failed ? cpu : 0;
    if (node && (finished || failed))
        count_in(t->status->nodes, node, name);
    if (t->now - when <= window_seconds) {
        t->first = fmin(t->first, when);
        t->finished += finished;
    }
}

static ws_err read_journal(tally *t, const char *path)
{
    char *text = NULL, *rest = NULL;
    size_t bytes;
    WS_TRY(ws_file_read(path, &text, &bytes));
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        cJSON *event = cJSON_Parse(line); /* NULL: the half line of a killed writer */
        note_event(t, event);
        cJSON_Delete(event);
    }
    free(text);
    return WS_OK;
}

/* Calls `take` with every file of a folder, which may be missing. */
static ws_err for_each(const char *directory, const char *folder, ws_err (*take)(tally *t, const char *path), tally *t)
{
    char *parent = ws_path_join(directory, folder);
    WS_CHECK(parent, MEMORY, "no memory for a path");
    DIR *list = opendir(parent);
    ws_err error = WS_OK;
    for (struct dirent *entry; list && error == WS_OK && (entry = readdir(list));) {
        if (entry->d_name[0] == '.')
            continue;
        char *path = ws_path_join(parent, entry->d_name);
        error = path ? take(t, path) : WS_ERROR(MEMORY, "no memory for a path");
        free(path);
    }
    if (list)
        closedir(list);
    free(parent);
    return error;
}

static ws_err note_quarantine(tally *t, const char *path)
{
    count_in(t->status->nodes, ws_path_base(path), "quarantined");
    return WS_OK;
}

static ws_err note_second(tally *t, const char *path)
{
    t->status->contradicted += strstr(ws_path_base(path), ".second-") != NULL;
    return WS_OK;
}

static bool note_supervisor(void *context, const cJSON *supervisor)
{
    cJSON_AddItemToArray(context, cJSON_Duplicate(supervisor, true));
    return true;
}

ws_err ws_tally(const char *directory, const ws_pulse *observer, ws_sweep_status *status)
{
    tally t = {.status = status, .now = (double)time(NULL), .first = INFINITY};
    status->nodes = cJSON_CreateObject();
    status->supervisors = cJSON_CreateArray();
    WS_CHECK(status->nodes && status->supervisors, MEMORY, "no memory for the status of a sweep");
    WS_TRY(for_each(directory, "journal", read_journal, &t));
    WS_TRY(for_each(directory, "quarantine", note_quarantine, &t));
    WS_TRY(for_each(directory, "trials", note_second, &t));
    status->per_hour = t.finished ? (double)t.finished * 3600 / fmax(t.now - t.first, 1) : NAN;
    return ws_pulse_others(observer, directory, note_supervisor, status->supervisors);
}
