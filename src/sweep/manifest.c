/* sweep.json: the specification and the trials, frozen before the first one starts.
 *
 *   { "schema": 1, "name", "frozen": TIME, "specification",
 *     "cells":  [ { "cell", "config" (no seeds), "store_hash", "dataset", "label", "synthetic", "deterministic",
 *                   "baseline" } ],
 *     "trials": [ { "id", "cell", "train_seed", "protocol_seed", "split_hash" } ],
 *     "additions": [ { "time", "trials": [ID...] } ] }    what was planned later than the first start
 */
#include "sweep/internal.h"

#include <stdlib.h>
#include "storage/storage.h"

static bool add_text(cJSON *object, const char *key, const char *value)
{
    return value ? cJSON_AddStringToObject(object, key, value) != NULL : cJSON_AddNullToObject(object, key) != NULL;
}

static bool add_number(cJSON *object, const char *key, const cJSON *number)
{
    return cJSON_IsNumber(number) ? cJSON_AddNumberToObject(object, key, number->valuedouble) != NULL
                                  : cJSON_AddNullToObject(object, key) != NULL;
}

static bool add_cell(cJSON *cells, const ws_trial *trial)
{
    cJSON *cell = cJSON_CreateObject(), *config = cJSON_Duplicate(trial->facts.config, true);
    if (!cell || !config || !cJSON_AddItemToArray(cells, cell))
        return false;
    cJSON_DeleteItemFromObjectCaseSensitive(config, "protocol_seed");
    cJSON_DeleteItemFromObjectCaseSensitive(cJSON_GetObjectItemCaseSensitive(config, "train"), "seed");
    return cJSON_AddStringToObject(cell, "cell", trial->cell) && cJSON_AddItemToObject(cell, "config", config) &&
           cJSON_AddStringToObject(cell, "store_hash", trial->facts.store_hash) &&
           add_text(cell, "dataset", trial->facts.dataset) && add_text(cell, "label", trial->facts.label) &&
           cJSON_AddBoolToObject(cell, "synthetic", trial->facts.synthetic) &&
           cJSON_AddBoolToObject(cell, "deterministic", trial->facts.deterministic) &&
           cJSON_AddBoolToObject(cell, "baseline", trial->baseline);
}

static bool add_trial(cJSON *trials, const ws_trial *trial)
{
    cJSON *item = cJSON_CreateObject();
    if (!item || !cJSON_AddItemToArray(trials, item))
        return false;
    const cJSON *config = trial->facts.config;
    const cJSON *seed = trial->facts.deterministic ? NULL : ws_json_find(config, "train.seed");
    return cJSON_AddStringToObject(item, "id", trial->facts.id) && cJSON_AddStringToObject(item, "cell", trial->cell) &&
           add_number(item, "train_seed", seed) &&
           add_number(item, "protocol_seed", cJSON_GetObjectItemCaseSensitive(config, "protocol_seed")) &&
           cJSON_AddStringToObject(item, "split_hash", trial->facts.split_hash);
}

static int compare_cells(const void *a, const void *b)
{
    const ws_trial *left = *(const ws_trial *const *)a, *right = *(const ws_trial *const *)b;
    int order = strcmp(left->cell, right->cell);
    return order ? order : (left > right) - (left < right);
}

/* Each cell once, in the order of its hash. */
static ws_err add_cells(cJSON *cells, const ws_sweep *sweep)
{
    const ws_trial **sorted = NULL;
    WS_TRY(WS_NEW_ARRAY(sorted, sweep->count));
    for (size_t i = 0; i < sweep->count; i++)
        sorted[i] = &sweep->trials[i];
    qsort(sorted, sweep->count, sizeof *sorted, compare_cells);
    bool made = true;
    for (size_t i = 0; i < sweep->count && made; i++)
        if (i == 0 || strcmp(sorted[i]->cell, sorted[i - 1]->cell) != 0)
            made = add_cell(cells, sorted[i]);
    free(sorted);
    WS_CHECK(made, MEMORY, "no memory for the manifest");
    return WS_OK;
}

/* A store that lies in the sweep's folder is named relative to it, so that both can be moved together. */
static ws_err shorten_store(cJSON *specification, const char *directory)
{
    cJSON *store = cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(specification, "base"), "store");
    char *folder = cJSON_IsString(store) ? realpath(directory, NULL) : NULL;
    const size_t length = folder ? strlen(folder) : 0;
    ws_err error = WS_OK;
    if (folder && strncmp(store->valuestring, folder, length) == 0 && store->valuestring[length] == '/') {
        char *rest = strdup(store->valuestring + length + 1);
        if (!rest || !cJSON_SetValuestring(store, rest))
            error = WS_ERROR(MEMORY, "no memory for the manifest");
        free(rest);
    }
    free(folder);
    return error;
}

static ws_err make_manifest(const ws_sweep *sweep, const char *directory, cJSON **out)
{
    cJSON *manifest = *out = cJSON_CreateObject();
    char now[32];
    ws_time_text(now);
    cJSON *cells = cJSON_CreateArray(), *trials = cJSON_CreateArray(),
          *specification = cJSON_Duplicate(sweep->specification, true);
    bool made =
        manifest && cells && trials && specification && cJSON_AddNumberToObject(manifest, "schema", WS_SWEEP_SCHEMA) &&
        cJSON_AddStringToObject(manifest, "name", sweep->name) && cJSON_AddStringToObject(manifest, "frozen", now) &&
        cJSON_AddItemToObject(manifest, "specification", specification) &&
        cJSON_AddItemToObject(manifest, "cells", cells) && cJSON_AddItemToObject(manifest, "trials", trials) &&
        cJSON_AddArrayToObject(manifest, "additions");
    WS_CHECK(made, MEMORY, "no memory for the manifest");
    WS_TRY(shorten_store(specification, directory));
    WS_TRY(add_cells(cells, sweep));
    for (size_t i = 0; i < sweep->count; i++)
        WS_CHECK(add_trial(trials, &sweep->trials[i]), MEMORY, "no memory for the manifest");
    return WS_OK;
}

static ws_err write_manifest(const cJSON *manifest, const char *path)
{
    ws_text text = {0};
    ws_err error = ws_json_pretty(manifest, &text);
    ws_text_append(&text, "\n");
    if (error == WS_OK)
        error = ws_text_check(&text);
    if (error == WS_OK)
        error = ws_file_write(path, text.data, text.length);
    ws_text_destroy(&text);
    return error;
}

/* ---------------------------------------------------------------- continuing */

/* Lines "key is X there and Y here" for the first few leaves that differ. */
static ws_err find_differences(const char *key, const cJSON *there, const cJSON *here, ws_text *out, int *count)
{
    const cJSON *const sides[2] = {there, here};
    if (cJSON_IsObject(there) && cJSON_IsObject(here)) {
        for (int side = 0; side < 2; side++)
            for (const cJSON *child = sides[side]->child; child; child = child->next) {
                const cJSON *left = cJSON_GetObjectItemCaseSensitive(there, child->string),
                            *right = cJSON_GetObjectItemCaseSensitive(here, child->string);
                if (side == 1 && left)
                    continue;
                char *path = ws_format("%s%s%s", key, key[0] ? "." : "", child->string);
                WS_CHECK(path, MEMORY, "no memory for a message");
                ws_err error = find_differences(path, left, right, out, count);
                free(path);
                WS_TRY(error);
            }
        return WS_OK;
    }
    ws_text texts[2] = {{0}, {0}};
    ws_err error = WS_OK;
    for (int side = 0; side < 2 && error == WS_OK; side++)
        if (sides[side])
            error = ws_json_canonical(sides[side], &texts[side]);
        else
            ws_text_append(&texts[side], "not set");
    if (error == WS_OK && strcmp(ws_text_string(&texts[0]), ws_text_string(&texts[1])) != 0 && (*count)++ < 3)
        ws_text_appendf(out, "; %s is %s there and %s here", key, ws_text_string(&texts[0]), ws_text_string(&texts[1]));
    ws_text_destroy(&texts[0]);
    ws_text_destroy(&texts[1]);
    return error;
}

static int compare_ids(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The ids of a manifest's trials, sorted; borrowed texts. */
static ws_err sorted_ids(const cJSON *manifest, const char ***out, size_t *count)
{
    const cJSON *trials = cJSON_GetObjectItemCaseSensitive(manifest, "trials"), *trial;
    *count = 0;
    WS_TRY(ws_alloc(out, (size_t)cJSON_GetArraySize(trials), sizeof **out));
    cJSON_ArrayForEach(trial, trials)
    {
        const char *id = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(trial, "id"));
        if (id)
            (*out)[(*count)++] = id;
    }
    qsort(*out, *count, sizeof **out, compare_ids);
    return WS_OK;
}

static ws_err refuse(const cJSON *old, const cJSON *new, const char *path, size_t missing)
{
    ws_text differences = {0};
    int count = 0;
    ws_err error = find_differences("", cJSON_GetObjectItemCaseSensitive(old, "specification"),
                                    cJSON_GetObjectItemCaseSensitive(new, "specification"), &differences, &count);
    if (error == WS_OK && count == 0)
        ws_text_append(&differences,
                       "; the specification is the same, so a store's content or the program's defaults changed");
    if (error == WS_OK && count > 3)
        ws_text_appendf(&differences, "; and %d more differences", count - 3);
    if (error == WS_OK) {
        error = WS_ERROR(CONFIG, "%s: the folder holds another sweep: %zu of its trials are not in this one%s", path,
                         missing, ws_text_string(&differences));
        WS_HINT("give another folder with -o, or the specification this one was started with; trials may be added, not "
                "taken away");
    }
    ws_text_destroy(&differences);
    return error;
}

/* Cells that were there stay as they were frozen, whatever options the program has got since. Both are in the order of their names. */
static ws_err keep_cells(const cJSON *old, cJSON *new)
{
    cJSON *cells = cJSON_GetObjectItemCaseSensitive(new, "cells");
    const cJSON *before = cJSON_GetObjectItemCaseSensitive(old, "cells");
    before = before ? before->child : NULL;
    for (cJSON *cell = cells->child; cell && before;) {
        const char *name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(cell, "cell")),
                   *kept = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(before, "cell"));
        const int order = name && kept ? strcmp(name, kept) : 0;
        if (order == 0) {
            cJSON *copy = cJSON_Duplicate(before, true);
            WS_CHECK(copy && cJSON_ReplaceItemViaPointer(cells, cell, copy), MEMORY, "no memory for the manifest");
            cell = copy;
        }
        cell = order <= 0 ? cell->next : cell;
        before = order >= 0 ? before->next : before;
    }
    return WS_OK;
}

/* Keeps the record of when the sweep was frozen and of earlier additions; notes the new ones. */
static ws_err note_additions(const cJSON *old, cJSON *new, const char **added, size_t count)
{
    cJSON *additions = cJSON_Duplicate(cJSON_GetObjectItemCaseSensitive(old, "additions"), true);
    cJSON *frozen = cJSON_Duplicate(cJSON_GetObjectItemCaseSensitive(old, "frozen"), true);
    cJSON *addition = cJSON_CreateObject(), *ids = cJSON_CreateStringArray(added, (int)count);
    char now[32];
    ws_time_text(now);
    bool made = additions && frozen && addition && ids && cJSON_AddStringToObject(addition, "time", now) &&
                cJSON_AddItemToObject(addition, "trials", ids) && cJSON_AddItemToArray(additions, addition) &&
                cJSON_ReplaceItemInObjectCaseSensitive(new, "additions", additions) &&
                cJSON_ReplaceItemInObjectCaseSensitive(new, "frozen", frozen);
    WS_CHECK(made, MEMORY, "no memory for the manifest");
    return WS_OK;
}

/* What tables test against was frozen before the first trial: whoever adds trials may have seen what it gives. */
static ws_err check_comparison(const cJSON *old, const cJSON *new, const char *path)
{
    const cJSON *there = ws_json_find(old, "specification.comparison"),
                *here = ws_json_find(new, "specification.comparison");
    if ((!there && !here) || cJSON_Compare(there, here, true))
        return WS_OK;
    ws_err error = WS_ERROR(
        CONFIG, "%s: \"comparison\" was frozen before the first trial, and this specification has another one", path);
    WS_HINT("give the comparison this sweep was started with, or another folder with -o");
    return error;
}

ws_err ws_manifest_check(const ws_json *manifest)
{
    const cJSON *root = ws_json_root(manifest), *schema = cJSON_GetObjectItemCaseSensitive(root, "schema");
    if (cJSON_IsNumber(schema) && schema->valuedouble == WS_SWEEP_SCHEMA &&
        cJSON_IsArray(cJSON_GetObjectItemCaseSensitive(root, "trials")) &&
        cJSON_IsArray(cJSON_GetObjectItemCaseSensitive(root, "cells")) &&
        cJSON_IsArray(cJSON_GetObjectItemCaseSensitive(root, "additions")) &&
        cJSON_IsString(cJSON_GetObjectItemCaseSensitive(root, "frozen")))
        return WS_OK;
    ws_err error = WS_ERROR(FORMAT, "%s: not what a sweep freezes (schema %d, trials, cells, additions)",
                            ws_json_name(manifest), WS_SWEEP_SCHEMA);
    WS_HINT("put the file back as it was; without it, start the sweep again in another folder");
    return error;
}

static ws_err continue_manifest(const cJSON *old, cJSON *new, const char *path)
{
    const char **there = NULL, **here = NULL;
    size_t there_count = 0, here_count = 0, missing = 0, added = 0;
    ws_err error = WS_OK;
    WS_TRY_GOTO(done, sorted_ids(old, &there, &there_count));
    WS_TRY_GOTO(done, sorted_ids(new, &here, &here_count));
    for (size_t i = 0; i < there_count; i++)
        missing += bsearch(&there[i], here, here_count, sizeof *here, compare_ids) == NULL;
    if (missing) {
        error = refuse(old, new, path, missing);
        goto done;
    }
    for (size_t i = 0; i < here_count; i++)
        if (!bsearch(&here[i], there, there_count, sizeof *there, compare_ids))
            here[added++] = here[i];
    WS_TRY_GOTO(done, check_comparison(old, new, path));
    if (added == 0)
        goto done;
    WS_TRY_GOTO(done, note_additions(old, new, here, added));
    WS_TRY_GOTO(done, keep_cells(old, new));
    WS_TRY_GOTO(done, write_manifest(new, path));
    ws_info("%zu trials added to the %zu planned before", added, there_count);
done:
    free(there);
    free(here);
    return error;
}

ws_err ws_manifest_freeze(const ws_sweep *sweep, const char *directory)
{
    char *path = ws_path_join(directory, "sweep.json");
    cJSON *manifest = NULL;
    ws_json *old = NULL;
    ws_err error = WS_OK;
    WS_CHECK_GOTO(done, path, MEMORY, "no memory for a path");
    WS_TRY_GOTO(done, make_manifest(sweep, directory, &manifest));
    if (ws_file_exists(path)) {
        WS_TRY_GOTO(done, ws_json_read_file(&old, path));
        WS_TRY_GOTO(done, ws_manifest_check(old));
        WS_TRY_GOTO(done, continue_manifest(ws_json_root(old), manifest, path));
    } else {
        WS_TRY_GOTO(done, write_manifest(manifest, path));
    }
done:
    ws_json_destroy(&old);
    cJSON_Delete(manifest);
    free(path);
    return error;
}
