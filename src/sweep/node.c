/* Is it the trial, or the machine? A trial that fails on different nodes is given up; a node on which different trials fail that
 * finish elsewhere is quarantined: its supervisors take no more trials, until somebody removes quarantine/NODE. */
#include "sweep/internal.h"

#include <stdlib.h>
#include <unistd.h>
#include "storage/storage.h"

enum { SUSPECTS_TO_PAUSE = 3, BLAMED_TO_QUARANTINE = 2 };
static const double longest_pause_seconds = 30; /* after that the node tries again */

void ws_node_note(ws_node_health *health, const char *id, bool failed)
{
    if (!failed) {
        health->count = health->blamed = 0;
        return;
    }
    health->failed_at = ws_clock_seconds();
    for (size_t i = 0; i < health->count; i++)
        if (strcmp(health->suspects[i], id) == 0)
            return;
    if (health->count < WS_MOST_SUSPECTS)
        health->suspects[health->count++] = id;
}

bool ws_node_in_tries(const cJSON *tries, const char *node)
{
    const cJSON *each;
    cJSON_ArrayForEach(each, tries)
    {
        const char *where = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(each, "node"));
        if (where && strcmp(where, node) == 0)
            return true;
    }
    return false;
}

typedef struct search {
    const cJSON *tries; /* nodes that do not count; this one never does */
    bool found;
} search;

static bool is_other(void *context, const cJSON *supervisor)
{
    search *s = context;
    const char *node = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(supervisor, "node"));
    s->found = node && strcmp(node, ws_node_name()) != 0 && !ws_node_in_tries(s->tries, node);
    return !s->found;
}

ws_err ws_node_has_others(const ws_pulse *pulse, const char *directory, const cJSON *tries, bool *out)
{
    search s = {.tries = tries};
    WS_TRY(ws_pulse_others(pulse, directory, is_other, &s));
    *out = s.found;
    return WS_OK;
}

static bool is_anyone(void *context, const cJSON *supervisor)
{
    (void)supervisor;
    *(bool *)context = true;
    return false;
}

ws_err ws_node_has_anyone(const ws_pulse *pulse, const char *directory, bool *out)
{
    *out = false;
    return ws_pulse_others(pulse, directory, is_anyone, out);
}

/* What became of one suspect: finished elsewhere, failed there too, or not known yet. */
static ws_err judge_suspect(ws_node_health *health, const char *directory, size_t index, bool *settled)
{
    ws_trial_state state;
    cJSON *tries = NULL;
    *settled = false;
    WS_TRY(ws_trial_look(directory, health->suspects[index], &state, NULL, NULL));
    if (state == WS_TRIAL_DONE) {
        health->blamed++;
        *settled = true;
    } else if (state == WS_TRIAL_FAILED) {
        *settled = true;
    } else {
        WS_TRY(ws_failure_tries(directory, health->suspects[index], &tries));
        const cJSON *each;
        cJSON_ArrayForEach(each, tries)
        {
            const char *node = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(each, "node"));
            *settled = *settled || (node && strcmp(node, ws_node_name()) != 0);
        }
        cJSON_Delete(tries);
    }
    return WS_OK;
}

static char *quarantine_path(const char *directory)
{
    return ws_format("%s/quarantine/%s", directory, ws_node_name());
}

static ws_err quarantine(const ws_node_health *health, const char *directory)
{
    char *folder = ws_path_join(directory, "quarantine"), *path = quarantine_path(directory), now[32];
    ws_text text = {0};
    bool existed;
    ws_time_text(now);
    ws_text_appendf(&text, "%s: %zu trials that failed here finished on other nodes\n", now, health->blamed);
    ws_err error = folder && path ? ws_text_check(&text) : WS_ERROR(MEMORY, "no memory for a path");
    if (error == WS_OK)
        error = ws_directory_create(folder);
    if (error == WS_OK)
        error = ws_file_write_new(path, text.data, text.length, &existed);
    ws_text_destroy(&text);
    free(folder);
    free(path);
    WS_TRY(error);
    return ws_node_refuse_quarantined(directory);
}

ws_err ws_node_refuse_quarantined(const char *directory)
{
    char *path = quarantine_path(directory);
    WS_CHECK(path, MEMORY, "no memory for a path");
    ws_err error = WS_OK;
    if (ws_file_exists(path)) {
        error =
            WS_ERROR(IO, "%s is quarantined: different trials failed here and finished on other nodes", ws_node_name());
        WS_HINT("once it is mended: rm %s", path);
    }
    free(path);
    return error;
}

/* Several failed here, and it is not known yet of all of them whether they do so elsewhere. */
static bool is_doubtful(const ws_node_health *health)
{
    return health->count > 0 && health->count + health->blamed >= SUSPECTS_TO_PAUSE;
}

ws_err ws_node_check(ws_node_health *health, const ws_pulse *pulse, const char *directory, bool *pause)
{
    double now = ws_clock_seconds();
    *pause = is_doubtful(health);
    if (health->count == 0 || now < health->next_look)
        return WS_OK;
    health->next_look = now + 1;
    for (size_t i = 0; i < health->count;) {
        bool settled;
        WS_TRY(judge_suspect(health, directory, i, &settled));
        if (settled)
            health->suspects[i] = health->suspects[--health->count];
        else
            i++;
    }
    if (health->blamed >= BLAMED_TO_QUARANTINE)
        return quarantine(health, directory);
    bool others = false;
    WS_TRY(ws_node_has_others(pulse, directory, NULL, &others));
    if (!others || now - health->failed_at > longest_pause_seconds)
        health->count = 0; /* nobody could tell, or nobody did */
    *pause = is_doubtful(health);
    return WS_OK;
}
