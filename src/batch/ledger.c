/* Jobs that were submitted: recorded in a file of our own, and asked after: Slurm, as long as it remembers them, and what their
 * scripts have left when they ended. */
#include "batch/internal.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include "storage/storage.h"

static const double patience = 10;

ws_err ws_batch_record(const char *folder, const ws_batch_entry *entry)
{
    cJSON *line = cJSON_CreateObject();
    ws_text text = {0};
    char now[32];
    time_t seconds = time(NULL);
    struct tm parts;
    gmtime_r(&seconds, &parts);
    strftime(now, sizeof now, "%Y-%m-%dT%H:%M:%SZ", &parts);
    char *path = ws_path_join(folder, "submitted.jsonl");
    const bool made =
        line && path && cJSON_AddStringToObject(line, "job", entry->job) &&
        cJSON_AddStringToObject(line, "name", entry->name) && cJSON_AddStringToObject(line, "command", entry->title) &&
        cJSON_AddStringToObject(line, "profile", entry->profile) && cJSON_AddStringToObject(line, "submitted", now) &&
        (!entry->array || cJSON_AddStringToObject(line, "array", entry->array));
    ws_err error = made ? ws_json_canonical(line, &text) : WS_ERROR(MEMORY, "no memory for the record of a job");
    if (error == WS_OK)
        error = ws_text_check(&text);
    if (error == WS_OK)
        error = ws_file_append_line(path, ws_text_string(&text));
    cJSON_Delete(line);
    ws_text_destroy(&text);
    free(path);
    return error;
}

static const char *text_of(const cJSON *object, const char *key)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));
    return text != NULL ? text : "";
}

/* Adds one to job[part][key]. */
static void count_in(cJSON *job, const char *part, const char *key)
{
    cJSON *object = cJSON_GetObjectItemCaseSensitive(job, part);
    cJSON *number = cJSON_GetObjectItemCaseSensitive(object, key);
    if (number != NULL)
        cJSON_SetNumberValue(number, number->valuedouble + 1);
    else if (cJSON_IsObject(object))
        cJSON_AddNumberToObject(object, key, 1);
}

static cJSON *find_job(cJSON *jobs, const char *id, size_t length)
{
    for (cJSON *job = jobs->child; job != NULL; job = job->next) {
        const char *its = text_of(job, "job");
        if (strlen(its) == length && strncmp(its, id, length) == 0)
            return job;
    }
    return NULL;
}

/* Lines "ID|STATE|REASON", of an array one for each task. */
static void note_states(cJSON *jobs, char *lines)
{
    for (char *line; (line = strsep(&lines, "\n")) != NULL;) {
        char *state = line;
        const char *id = strsep(&state, "|");
        char *reason = state;
        const char *name = strsep(&reason, "|");
        cJSON *job = name != NULL ? find_job(jobs, id, strlen(id)) : NULL;
        if (job == NULL)
            continue;
        count_in(job, "states", name);
        if (strcmp(name, "PENDING") == 0 && reason != NULL && !cJSON_HasObjectItem(job, "reason"))
            cJSON_AddStringToObject(job, "reason", reason);
    }
}

/* All jobs of this user: one question, however many jobs, and none about a number that is forgotten. */
static ws_err ask_slurm(cJSON *jobs)
{
    char user[24];
    snprintf(user, sizeof user, "%lu", (unsigned long)getuid());
    const char *const words[] = {"squeue", "--noheader", "--array",           "--states=all",
                                 "--user", user,         "--format=%F|%T|%r", NULL};
    ws_answer answer;
    WS_TRY(ws_call(words, patience, &answer));
    const bool good = ws_answer_is_good(&answer);
    for (cJSON *job = jobs->child; job != NULL; job = job->next)
        if (good)
            cJSON_AddObjectToObject(job, "states");
        else
            cJSON_AddNullToObject(job, "states");
    if (good && answer.output.data != NULL)
        note_states(jobs, answer.output.data);
    ws_answer_destroy(&answer);
    return WS_OK;
}

/* ID.status and ID_TASK.status. */
static void note_statuses(const char *folder, cJSON *jobs)
{
    DIR *list = opendir(folder);
    for (struct dirent *entry; list != NULL && (entry = readdir(list)) != NULL;) {
        const char *dot = strrchr(entry->d_name, '.');
        cJSON *job = dot != NULL && strcmp(dot, ".status") == 0
                         ? find_job(jobs, entry->d_name, strcspn(entry->d_name, "._"))
                         : NULL;
        char *path = job != NULL ? ws_path_join(folder, entry->d_name) : NULL, *text = NULL;
        size_t bytes;
        if (path != NULL && ws_file_read(path, &text, &bytes) == WS_OK) {
            text[strcspn(text, "\n")] = '\0';
            count_in(job, "statuses", text);
        }
        ws_error_clear();
        free(text);
        free(path);
    }
    if (list != NULL)
        closedir(list);
}

ws_err ws_batch_jobs(const char *folder, cJSON **out)
{
    *out = NULL;
    char *path = ws_path_join(folder, "submitted.jsonl"), *text = NULL;
    WS_CHECK(path != NULL, MEMORY, "no memory for a path");
    size_t bytes;
    ws_err error = WS_OK;
    if (!ws_file_exists(path))
        goto done;
    WS_TRY_GOTO(done, ws_file_read(path, &text, &bytes));
    *out = cJSON_CreateArray();
    WS_CHECK_GOTO(done, *out != NULL, MEMORY, "no memory for the jobs of %s", folder);
    char *rest = text;
    for (char *line; (line = strsep(&rest, "\n")) != NULL;) {
        cJSON *job = cJSON_Parse(line); /* a line that a full disk has cut is passed over */
        if (cJSON_IsObject(job) && cJSON_AddObjectToObject(job, "statuses") != NULL)
            cJSON_AddItemToArray(*out, job);
        else
            cJSON_Delete(job);
    }
    WS_TRY_GOTO(done, ask_slurm(*out));
    note_statuses(folder, *out);
done:
    free(text);
    free(path);
    return error;
}

/* "3 running, 7 pending (Priority)" */
static bool describe_states(const cJSON *job, ws_text *out)
{
    const cJSON *states = cJSON_GetObjectItemCaseSensitive(job, "states"), *state;
    const bool many = cJSON_HasObjectItem(job, "array");
    const char *between = " ";
    cJSON_ArrayForEach(state, states)
    {
        ws_text_append(out, between);
        if (many)
            ws_text_appendf(out, "%.0f ", state->valuedouble);
        for (const char *c = state->string; *c != '\0'; c++)
            ws_text_appendf(out, "%c", *c >= 'A' && *c <= 'Z' ? *c + ('a' - 'A') : *c == '_' ? ' ' : *c);
        if (strcmp(state->string, "PENDING") == 0 && text_of(job, "reason")[0] != '\0')
            ws_text_appendf(out, " (%s)", text_of(job, "reason"));
        between = ", ";
    }
    return states != NULL && states->child != NULL;
}

void ws_batch_describe_jobs(const cJSON *jobs, ws_text *out)
{
    const cJSON *job, *status;
    cJSON_ArrayForEach(job, jobs)
    {
        const cJSON *statuses = cJSON_GetObjectItemCaseSensitive(job, "statuses");
        const char *array = text_of(job, "array");
        ws_text_appendf(out, "job %s (%s%s%s), submitted %s:", text_of(job, "job"), text_of(job, "name"),
                        array[0] != '\0' ? ", array " : "", array, text_of(job, "submitted"));
        const bool told = describe_states(job, out);
        const char *between = told ? "; ended" : " ended";
        cJSON_ArrayForEach(status, statuses)
        {
            ws_text_appendf(out, "%s with status %s", between, status->string);
            if (array[0] != '\0')
                ws_text_appendf(out, " (%.0f tasks)", status->valuedouble);
            between = ",";
        }
        if (!told && statuses->child == NULL)
            ws_text_append(out, cJSON_IsNull(cJSON_GetObjectItemCaseSensitive(job, "states"))
                                    ? " Slurm cannot be asked here"
                                    : " Slurm does not know it any more, and it has left no exit status");
        ws_text_append(out, "\n");
    }
}
