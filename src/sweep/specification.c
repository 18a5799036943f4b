/* The file of a specification: its base, its trials, and all that is wrong with it at once. Nothing is run or written here. */
#include "evaluate/evaluate.h"
#include "sweep/specification.h"

#include <stdlib.h>
#include "storage/storage.h"

static ws_err read_base(ws_specification_reader *r, const cJSON *root)
{
    const cJSON *base = cJSON_GetObjectItemCaseSensitive(root, "base");
    if (cJSON_IsString(base)) {
        char *path = ws_path_join(r->directory, base->valuestring);
        WS_CHECK(path, MEMORY, "no memory for a path");
        ws_err error = ws_json_read_file(&r->base_file, path);
        free(path);
        if (error != WS_OK)
            WS_HINT("it is what %s names as its base", ws_json_name(r->document));
        WS_TRY(error);
        r->base = ws_json_root(r->base_file);
        if (!cJSON_IsObject(r->base))
            ws_problems_add(&r->problems, r->base_file, r->base, "expected a configuration { ... }");
        return WS_OK;
    }
    r->base = base;
    if (!cJSON_IsObject(base))
        ws_problems_add(&r->problems, r->document, base ? base : root,
                        base ? "base: expected a file name or a configuration { ... }"
                             : "base is missing: a file name or a configuration { ... }");
    return WS_OK;
}

/* The specification with the base filled in, for sweep.json. */
static ws_err keep_specification(ws_specification_reader *r, const cJSON *root)
{
    cJSON *copy = cJSON_Duplicate(root, true), *base = NULL;
    r->sweep->specification = copy;
    WS_CHECK(copy, MEMORY, "no memory for the specification");
    WS_TRY(ws_specification_make_base(r, &r->resolved_base));
    base = cJSON_Duplicate(r->resolved_base, true);
    WS_CHECK(base && cJSON_ReplaceItemInObjectCaseSensitive(copy, "base", base), MEMORY,
             "no memory for the specification");
    const cJSON *name = cJSON_GetObjectItemCaseSensitive(root, "name");
    const char *file = ws_path_base(ws_json_name(r->document)), *dot = strrchr(file, '.');
    r->sweep->name = name ? strdup(name->valuestring) : strndup(file, dot ? (size_t)(dot - file) : strlen(file));
    WS_CHECK(r->sweep->name, MEMORY, "no memory for the name of the sweep");
    return WS_OK;
}

static ws_err complain(ws_specification_reader *r)
{
    for (size_t i = 0; i < r->complaint_count; i++) {
        ws_specification_complaint *c = &r->complaints[i];
        if (r->problems.count++)
            ws_text_append(&r->problems.lines, "\n");
        ws_text_appendf(&r->problems.lines, "%s", c->line);
        if (c->trial[0])
            ws_text_appendf(&r->problems.lines, " (trial %s", c->trial);
        if (c->trial[0] && c->trials > 1)
            ws_text_appendf(&r->problems.lines, " and %zu more", c->trials - 1);
        ws_text_append(&r->problems.lines, c->trial[0] ? ")" : "");
    }
    return ws_problems_error(&r->problems);
}

/* Whether a trial has this value, or all of them where `only` is NULL; the score is one of results, not of configurations. */
static bool any_trial_has(const ws_sweep *sweep, const cJSON *reference, const cJSON *only)
{
    for (size_t i = 0; i < sweep->count; i++) {
        bool all = true;
        for (const cJSON *key = reference->child; key && all; key = key->next)
            if ((!only || key == only) && strcmp(key->string, "score") != 0)
                all = cJSON_Compare(key, ws_json_find(sweep->trials[i].facts.config, key->string), true);
        if (all)
            return true;
    }
    return false;
}

/* A reference that is nowhere would be told of when all has run. */
static void check_reference(ws_specification_reader *r, const cJSON *root)
{
    const cJSON *reference = ws_json_find(root, "comparison.reference");
    if (!reference || r->problems.count || r->complaint_count || any_trial_has(r->sweep, reference, NULL))
        return;
    for (const cJSON *key = reference->child; key; key = key->next)
        if (!any_trial_has(r->sweep, reference, key))
            ws_problems_add(&r->problems, r->document, key,
                            "comparison.reference: no trial has this %s; --dry-run lists the trials, a record's "
                            "result.config all keys",
                            key->string);
    if (!r->problems.count)
        ws_problems_add(&r->problems, r->document, reference,
                        "comparison.reference: no trial has all of these together; --dry-run lists the trials");
}

/* Whether a trial that the reference names computes its score; a classifier's only one is in no configuration. */
static bool any_trial_scores(const ws_sweep *sweep, const cJSON *reference, const cJSON *score)
{
    for (size_t i = 0; i < sweep->count; i++) {
        const cJSON *config = sweep->trials[i].facts.config, *scores = ws_json_find(config, "evaluate.scores"), *item;
        bool named = true;
        for (const cJSON *key = reference->child; key && named; key = key->next)
            if (key != score)
                named = cJSON_Compare(key, ws_json_find(config, key->string), true);
        if (named && (!scores || !scores->child))
            return true;
        cJSON_ArrayForEach(item, scores) if (named && cJSON_Compare(item, score, true)) return true;
    }
    return false;
}

/* Whether a trial has a task that the metric is one of: tables would otherwise silently take another metric. */
static bool any_trial_measures(const ws_sweep *sweep, const ws_metric *metric)
{
    const char *wanted = metric->family == WS_METRIC_RANKING ? "anomaly" : "classify";
    for (size_t i = 0; i < sweep->count; i++) {
        const char *task = cJSON_GetStringValue(ws_json_find(sweep->trials[i].facts.config, "task"));
        if (!task || strcmp(task, wanted) == 0)
            return true;
    }
    return false;
}

/* What is compared is frozen before the first trial, and whether any trial gives it is known before as well. */
static void check_compared(ws_specification_reader *r, const cJSON *root)
{
    const cJSON *reference = ws_json_find(root, "comparison.reference"),
                *score = cJSON_GetObjectItemCaseSensitive(reference, "score"),
                *metric = ws_json_find(root, "comparison.metric");
    if (r->problems.count || r->complaint_count)
        return;
    if (score && !any_trial_scores(r->sweep, reference, score))
        ws_problems_add(&r->problems, r->document, score,
                        "comparison.reference.score: the trials that are the reference do not compute it; add it to "
                        "their evaluate.scores");
    if (metric && !any_trial_measures(r->sweep, ws_metric_find(metric->valuestring)))
        ws_problems_add(&r->problems, r->document, metric,
                        "comparison.metric: %s is no metric of these trials' task; `wiresweep list metrics` says of "
                        "which it is",
                        metric->valuestring);
}

static ws_err read_specification(ws_specification_reader *r, const char *path)
{
    ws_err error = ws_json_read_file(&r->document, path);
    if (error != WS_OK && !ws_file_exists(path))
        WS_HINT("what a specification holds: wiresweep sweep --help; examples are in configs/sweeps of the source");
    WS_TRY(error);
    r->directory = ws_path_directory(path);
    WS_CHECK(r->directory, MEMORY, "no memory for a path");
    const cJSON *root = ws_json_root(r->document);
    if (!cJSON_IsObject(root))
        ws_problems_add(&r->problems, r->document, root, "expected a sweep { \"base\": ..., \"grid\": { ... } }");
    else {
        ws_specification_check(r->document, root, &r->problems);
        WS_TRY(read_base(r, root));
    }
    if (r->problems.count)
        return ws_problems_error(&r->problems);
    WS_TRY(keep_specification(r, root));
    WS_TRY(ws_specification_expand(r, root));
    if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(root, "baselines")))
        WS_TRY(ws_specification_expand_baselines(r));
    check_reference(r, root);
    check_compared(r, root);
    return complain(r);
}

ws_err ws_sweep_read(ws_sweep **out, const char *path, ws_trial_identify identify, void *context)
{
    *out = NULL;
    ws_sweep *sweep = NULL;
    WS_TRY(WS_NEW(sweep));
    ws_specification_reader r = {.sweep = sweep, .identify = identify, .context = context};
    ws_err error = ws_arena_create(&sweep->arena, 1 << 16);
    if (error == WS_OK)
        error = read_specification(&r, path);
    ws_json_destroy(&r.document);
    ws_json_destroy(&r.base_file);
    ws_text_destroy(&r.problems.lines);
    for (size_t i = 0; i < r.complaint_count; i++) {
        free(r.complaints[i].line);
        free(r.complaints[i].trial);
    }
    free(r.complaints);
    free(r.directory);
    free(r.texts.items);
    free(r.ids.items);
    free(r.excluded);
    ws_text_destroy(&r.identity);
    cJSON_Delete(r.resolved_base);
    cJSON_Delete(r.drawn);
    cJSON_Delete(r.seeds);
    if (error == WS_OK)
        *out = sweep;
    else
        ws_sweep_destroy(&sweep);
    return error;
}

void ws_sweep_destroy(ws_sweep **sweep)
{
    if (!*sweep)
        return;
    for (size_t i = 0; i < (*sweep)->count; i++)
        ws_trial_destroy(&(*sweep)->trials[i]);
    free((*sweep)->trials);
    free((*sweep)->name);
    cJSON_Delete((*sweep)->specification);
    ws_arena_destroy(&(*sweep)->arena);
    free(*sweep);
    *sweep = NULL;
}
