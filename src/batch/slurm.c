/* What Slurm is asked: to take a job, to drop one, how long arrays may be. No accounting data base is needed. */
#include "batch/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { DEFAULT_ARRAY = 1001 };
static const double patience = 30; /* clients of Slurm wait about as long for a controller that does not answer */

int64_t ws_batch_array_limit(void)
{
    const char *const words[] = {"scontrol", "show", "config", NULL};
    ws_answer answer;
    int64_t limit = DEFAULT_ARRAY;
    if (ws_call(words, patience, &answer) == WS_OK && ws_answer_is_good(&answer)) {
        const char *line = strstr(ws_text_string(&answer.output), "MaxArraySize");
        const char *equals = line != NULL ? strchr(line, '=') : NULL;
        char number[24];
        if (equals != NULL && sscanf(equals + 1, " %23[0-9]", number) == 1 && !ws_parse_int64(number, &limit))
            limit = DEFAULT_ARRAY;
    }
    ws_error_clear();
    ws_answer_destroy(&answer);
    return limit > 0 ? limit : 1; /* 0: the site has switched arrays off, and will say so */
}

/* The first line that says something, for a message of one line. */
static void first_line(const ws_text *text, char out[256])
{
    const char *at = ws_text_string(text);
    at += strspn(at, "\r\n\t ");
    snprintf(out, 256, "%.*s", (int)strcspn(at, "\r\n"), at);
}

static ws_err refused(const char *program, const ws_answer *answer)
{
    char said[256];
    ws_err error = WS_OK;
    first_line(answer->errors.length > 0 ? &answer->errors : &answer->output, said);
    if (!answer->found) {
        error = WS_ERROR(IO, "%s: not found: there is no Slurm here", program);
        WS_HINT("submit where Slurm is (a login machine of the cluster), or run the same here: --profile local");
    } else if (answer->too_late) {
        error = WS_ERROR(IO, "%s: no answer within %.0f s", program, patience);
        WS_HINT("sinfo tells whether Slurm is up");
    } else if (WIFEXITED(answer->status)) {
        error = WS_ERROR(IO, "%s ended with status %d: %s", program, WEXITSTATUS(answer->status), said);
        WS_HINT("sinfo shows partitions and their limits; keys of the profile can be changed: --job KEY=VALUE");
    } else {
        error = WS_ERROR(IO, "%s was ended by signal %d", program, WTERMSIG(answer->status));
    }
    return error;
}

/* Whether ID stands in "12:13". */
static bool is_known(const char *known, const char *id)
{
    const size_t length = strlen(id);
    for (const char *at = known; *at != '\0';
         at += at[strcspn(at, ":")] == ':' ? strcspn(at, ":") + 1 : strcspn(at, ":"))
        if (strcspn(at, ":") == length && strncmp(at, id, length) == 0)
            return true;
    return false;
}

/* A busy controller may take a job and answer too late, so that sbatch fails: the job would run, and again when it is submitted
 * once more. It is told by its script. */
static ws_err find_taken(const char *script, const char *known, ws_text *job)
{
    char user[24];
    snprintf(user, sizeof user, "%lu", (unsigned long)getuid());
    const char *const words[] = {"squeue", "--noheader", "--states=all", "--user", user, "--format=%F|%o", NULL};
    ws_answer answer;
    WS_TRY(ws_call(words, patience, &answer));
    char *rest = ws_answer_is_good(&answer) ? answer.output.data : NULL;
    for (char *line; rest != NULL && job->length == 0 && (line = strsep(&rest, "\n")) != NULL;) {
        char *command = line;
        const char *id = strsep(&command, "|");
        if (command != NULL && strcmp(command, script) == 0 && !is_known(known, id))
            ws_text_append(job, id);
    }
    ws_answer_destroy(&answer);
    return ws_text_check(job);
}

ws_err ws_batch_submit(const char *const words[], const char *known, ws_text *job)
{
    ws_answer answer;
    char said[256];
    size_t last = 0;
    while (words[last + 1] != NULL)
        last++;
    ws_err error = ws_call(words, 0, &answer);
    first_line(&answer.output, said);
    const size_t digits = strspn(said, "0123456789");
    if (error == WS_OK && answer.found && !ws_answer_is_good(&answer))
        error = find_taken(words[last], known, job);
    if (error != WS_OK || job->length > 0)
        goto done;
    if (!ws_answer_is_good(&answer))
        error = refused(words[0], &answer);
    else if (digits == 0 || (said[digits] != '\0' && said[digits] != ';')) /* ID or ID;CLUSTER */
        error = WS_ERROR(IO, "%s gave no number of a job, but: %s", words[0], said);
    if (error == WS_OK) {
        ws_text_append_bytes(job, said, digits);
        error = ws_text_check(job);
    }
done:
    ws_answer_destroy(&answer);
    return error;
}

ws_err ws_batch_cancel(const char *job)
{
    const char *const words[] = {"scancel", job, NULL};
    ws_answer answer;
    ws_err error = ws_call(words, patience, &answer);
    if (error == WS_OK && !ws_answer_is_good(&answer))
        error = refused(words[0], &answer);
    ws_answer_destroy(&answer);
    return error;
}
