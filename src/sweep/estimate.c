/* How long the trials of a sweep that are left will take, from those that have finished: of the same cell, else of the same model,
 * else of all. */
#include "sweep/internal.h"

#include <math.h>
#include <stdlib.h>

typedef struct duration {
    const char *name; /* borrowed: a cell, a kind of model, or "" for all */
    double seconds;
    size_t count;
} duration;

static int by_name(const void *a, const void *b)
{
    return strcmp(((const duration *)a)->name, ((const duration *)b)->name);
}

/* Sums up entries of the same name; returns their number. */
static size_t merge(duration *entries, size_t count)
{
    size_t kept = 0;
    qsort(entries, count, sizeof *entries, by_name);
    for (size_t i = 0; i < count; i++)
        if (kept && strcmp(entries[kept - 1].name, entries[i].name) == 0) {
            entries[kept - 1].seconds += entries[i].seconds;
            entries[kept - 1].count += entries[i].count;
        } else {
            entries[kept++] = entries[i];
        }
    return kept;
}

static double mean_of(const duration *entries, size_t count, const char *name)
{
    const duration *found = bsearch(&(duration){.name = name}, entries, count, sizeof *entries, by_name);
    return found ? found->seconds / (double)found->count : NAN;
}

static const char *kind_of(const ws_trial *trial)
{
    const char *kind = cJSON_GetStringValue(ws_json_find(trial->facts.config, "model.kind"));
    return kind ? kind : "?";
}

static double seconds_of(const cJSON *record)
{
    return cJSON_GetNumberValue(ws_json_find(record, "run.seconds.total"));
}

ws_err ws_sweep_estimate(const ws_sweep *sweep, const char *directory, ws_estimate *out)
{
    duration *entries = NULL;
    size_t count = 0;
    bool *open = NULL;
    *out = (ws_estimate){0};
    ws_err error = WS_NEW_ARRAY(entries, 3 * sweep->count);
    if (error == WS_OK)
        error = WS_NEW_ARRAY(open, sweep->count);
    for (size_t i = 0; i < sweep->count && error == WS_OK; i++) {
        const ws_trial *trial = &sweep->trials[i];
        ws_trial_state state;
        cJSON *record = NULL;
        error = ws_trial_look(directory, trial->facts.id, &state, &record, NULL);
        open[i] = error == WS_OK && state != WS_TRIAL_DONE && state != WS_TRIAL_FAILED;
        out->left += open[i];
        const double seconds = state == WS_TRIAL_DONE ? seconds_of(record) : NAN;
        cJSON_Delete(record);
        if (isnan(seconds))
            continue;
        out->finished++;
        entries[count++] = (duration){trial->cell, seconds, 1};
        entries[count++] = (duration){kind_of(trial), seconds, 1};
        entries[count++] = (duration){"", seconds, 1};
    }
    count = merge(entries, count);
    for (size_t i = 0; i < sweep->count && error == WS_OK; i++) {
        if (!open[i])
            continue;
        double seconds = mean_of(entries, count, sweep->trials[i].cell);
        if (isnan(seconds))
            seconds = mean_of(entries, count, kind_of(&sweep->trials[i]));
        out->seconds += isnan(seconds) ? mean_of(entries, count, "") : seconds;
    }
    free(entries);
    free(open);
    return error;
}
