/* One point of a specification as a trial: its configuration with absolute paths, its name, its id and its cell. Nothing is run here. */
#include "sweep/specification.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

/* Keys whose values are paths, made absolute against the file that names them. */
static const char *const path_keys[] = {"store"};
ws_err ws_specification_set_insert(ws_set64 *set, uint64_t item, bool *fresh)
{
    item |= item == 0;
    if (set->count * 2 >= set->capacity) {
        ws_set64 larger = {.capacity = set->capacity ? set->capacity * 2 : 64};
        WS_TRY(WS_NEW_ARRAY(larger.items, larger.capacity));
        for (size_t i = 0; i < set->capacity; i++)
            if (set->items[i])
                WS_TRY(ws_specification_set_insert(&larger, set->items[i], fresh));
        free(set->items);
        *set = larger;
    }
    size_t at = item & (set->capacity - 1);
    while (set->items[at] && set->items[at] != item)
        at = (at + 1) & (set->capacity - 1);
    *fresh = set->items[at] == 0;
    set->count += *fresh;
    set->items[at] = item;
    return WS_OK;
}

uint64_t ws_specification_text_identity(const ws_text *text)
{
    ws_digest digest = ws_sha256_of(ws_text_string(text), text->length);
    return ws_digest_u64(&digest);
}

/* ---------------------------------------------------------------- merging */

static bool is_path_key(const char *key)
{
    for (size_t i = 0; i < sizeof path_keys / sizeof path_keys[0]; i++)
        if (strcmp(path_keys[i], key) == 0)
            return true;
    return false;
}

/* `path` made absolute, also where nothing is there yet: what is left relative would be joined to a folder a second
 * time. NULL: no memory. */
static char *make_absolute(const char *directory, const char *path)
{
    char *joined = ws_path_join(directory, path), *absolute = joined ? realpath(joined, NULL) : NULL;
    if (!absolute && joined && joined[0] != '/') {
        char *here = realpath(".", NULL);
        absolute = here ? ws_path_join(here, joined) : NULL;
        free(here);
    }
    if (absolute)
        free(joined);
    return absolute ? absolute : joined;
}

/* A copy of `value`, made absolute where `key` names a path. */
static ws_err copy_value(const char *key, const cJSON *value, const char *directory, cJSON **out)
{
    if (!is_path_key(key) || !cJSON_IsString(value)) {
        *out = cJSON_Duplicate(value, true);
    } else {
        char *absolute = make_absolute(directory, value->valuestring);
        *out = absolute ? cJSON_CreateString(absolute) : NULL;
        free(absolute);
    }
    WS_CHECK(*out, MEMORY, "no memory for the configuration of a trial");
    return WS_OK;
}

ws_err ws_specification_set_value(cJSON *config, const char *key, const cJSON *value, const char *directory)
{
    cJSON *copy = NULL;
    WS_TRY(copy_value(key, value, directory, &copy));
    return ws_json_set_in(config, key, copy);
}

/* The base with absolute paths. */
ws_err ws_specification_make_base(const ws_specification_reader *r, cJSON **out)
{
    char *directory = NULL;
    if (r->base_file) {
        directory = ws_path_directory(ws_json_name(r->base_file));
        WS_CHECK(directory, MEMORY, "no memory for a path");
    }
    ws_err error = WS_OK;
    cJSON *config = cJSON_CreateObject();
    for (const cJSON *value = r->base->child; value && error == WS_OK; value = value->next)
        error = ws_specification_set_value(config, value->string, value, directory ? directory : r->directory);
    free(directory);
    if (error != WS_OK)
        cJSON_Delete(config);
    else
        *out = config;
    return error;
}

/* "model.kind=flow_cfm model.sigma=0.1" */
ws_err ws_specification_describe(const char *key, const cJSON *value, ws_text *out)
{
    if (cJSON_IsObject(value)) {
        for (const cJSON *child = value->child; child; child = child->next) {
            char *path = ws_format("%s.%s", key, child->string);
            WS_CHECK(path, MEMORY, "no memory for the name of a trial");
            ws_err error = ws_specification_describe(path, child, out);
            free(path);
            WS_TRY(error);
        }
        return WS_OK;
    }
    ws_text_appendf(out, "%s%s=", out->length ? " " : "", key);
    if (cJSON_IsString(value))
        ws_text_append(out, value->valuestring);
    else
        WS_TRY(ws_json_canonical(value, out));
    return WS_OK;
}

/* Takes "train.seed=N" out of a description: a deterministic model has no seed. */
static void forget_seed(char *description)
{
    char *at = strstr(description, "train.seed=");
    if (!at || (at > description && at[-1] != ' '))
        return;
    char *end = at + strcspn(at, " ");
    if (*end == ' ')
        end++;
    else if (at > description)
        at--;
    memmove(at, end, strlen(end) + 1);
}

/* ---------------------------------------------------------------- one trial */

/* Notes what `identify` found wrong; the same line from many trials is kept once, with their number. */
static ws_err note_complaints(ws_specification_reader *r, ws_problems *found, const char *description)
{
    char *rest = NULL;
    for (char *line = strtok_r(found->lines.data, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        size_t i = 0;
        while (i < r->complaint_count && strcmp(r->complaints[i].line, line) != 0)
            i++;
        if (i == r->complaint_count) {
            WS_TRY(WS_GROW(r->complaints, r->complaint_capacity, r->complaint_count + 1));
            r->complaints[i] = (ws_specification_complaint){strdup(line), strdup(description), 0};
            r->complaint_count++;
            WS_CHECK(r->complaints[i].line && r->complaints[i].trial, MEMORY, "no memory for messages");
        }
        r->complaints[i].trials++;
    }
    return WS_OK;
}

/* The cell: everything but the seeds. */
static ws_err name_cell(ws_trial *trial)
{
    cJSON *config = trial->facts.condensed ? trial->facts.condensed : cJSON_Duplicate(trial->facts.config, true);
    trial->facts.condensed = NULL;
    WS_CHECK(config, MEMORY, "no memory for the configuration of a trial");
    cJSON_DeleteItemFromObjectCaseSensitive(config, "protocol_seed");
    cJSON_DeleteItemFromObjectCaseSensitive(cJSON_GetObjectItemCaseSensitive(config, "train"), "seed");
    ws_text text = {0};
    ws_text_appendf(&text, "%s\n", trial->facts.store_hash);
    ws_err error = ws_json_canonical(config, &text);
    cJSON_Delete(config);
    if (error == WS_OK)
        error = ws_text_check(&text);
    ws_digest digest = ws_sha256_of(ws_text_string(&text), text.length);
    char hex[65];
    ws_digest_hex(&digest, hex);
    memcpy(trial->cell, hex, WS_TRIAL_ID_BYTES - 1);
    ws_text_destroy(&text);
    return error;
}

/* The configuration as a document named like the specification, for messages. */
static ws_err make_document(const ws_specification_reader *r, const cJSON *config, ws_json **out)
{
    WS_TRY(ws_json_read_text(out, "{}", ws_json_name(r->document)));
    cJSON *root = ws_json_root(*out);
    for (const cJSON *value = config->child; value; value = value->next) {
        cJSON *copy = cJSON_Duplicate(value, true);
        WS_CHECK(copy && cJSON_AddItemToObject(root, value->string, copy), MEMORY, "no memory for a configuration");
    }
    return WS_OK;
}

ws_err ws_specification_keep_trial(ws_specification_reader *r, ws_trial *trial)
{
    bool fresh = false;
    char *end = NULL;
    WS_TRY(ws_specification_set_insert(&r->ids, strtoull(trial->facts.id, &end, 16), &fresh));
    if (!fresh) {
        r->sweep->merged++;
        return WS_OK;
    }
    if (!trial->cell[0])
        WS_TRY(name_cell(trial));
    WS_TRY(WS_GROW(r->sweep->trials, r->sweep->capacity, r->sweep->count + 1));
    r->sweep->trials[r->sweep->count++] = *trial;
    *trial = (ws_trial){0};
    return WS_OK;
}

void ws_trial_destroy(ws_trial *trial)
{
    cJSON_Delete(trial->facts.config);
    cJSON_Delete(trial->facts.condensed);
    free(trial->config);
    free(trial->description);
    *trial = (ws_trial){0};
}

static ws_err resolve_trial(ws_specification_reader *r, cJSON *config, const ws_text *text, ws_trial *trial)
{
    ws_json *document = NULL;
    ws_problems found = {0};
    ws_err error = make_document(r, config, &document);
    if (error == WS_OK)
        error = r->identify(r->context, document, r->sweep->arena, &trial->facts, &found);
    ws_json_destroy(&document);
    ws_text_destroy(&r->identity);
    r->identity = trial->facts.identity;
    trial->facts.identity = (ws_text){0};
    if (error == WS_OK && found.count)
        error = note_complaints(r, &found, trial->description);
    bool wrong = found.count > 0;
    ws_text_destroy(&found.lines);
    WS_TRY(error);
    if (wrong)
        return WS_OK;
    cJSON *train = cJSON_GetObjectItemCaseSensitive(config, "train");
    if (trial->facts.deterministic && cJSON_GetObjectItemCaseSensitive(train, "seed")) {
        cJSON_DeleteItemFromObjectCaseSensitive(train, "seed");
        forget_seed(trial->description);
        return ws_specification_add_trial(r, config, trial->description, trial->baseline);
    }
    trial->config = strdup(ws_text_string(text));
    WS_CHECK(trial->config, MEMORY, "no memory for the configuration of a trial");
    return ws_specification_keep_trial(r, trial);
}

ws_err ws_specification_add_trial(ws_specification_reader *r, cJSON *config, const char *description, bool baseline)
{
    ws_text text = {0};
    bool fresh = false;
    ws_trial trial = {.description = strdup(description), .baseline = baseline};
    ws_err error = trial.description ? WS_OK : WS_ERROR(MEMORY, "no memory for the name of a trial");
    if (error == WS_OK)
        error = ws_json_canonical(config, &text);
    if (error == WS_OK)
        error = ws_text_check(&text);
    if (error == WS_OK)
        error = ws_specification_set_insert(&r->texts, ws_specification_text_identity(&text), &fresh);
    if (error == WS_OK && !fresh)
        r->sweep->merged++;
    if (error == WS_OK && fresh)
        error = resolve_trial(r, config, &text, &trial);
    ws_text_destroy(&text);
    ws_trial_destroy(&trial);
    return error;
}
