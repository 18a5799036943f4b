/* The points of a specification: alternatives, grid, linked axes, random draws, seeds; and the baselines of what they make. */
#include "sweep/specification.h"

#include <stdio.h>
#include <stdlib.h>

static ws_err apply(const ws_specification_reader *r, cJSON *config, const char *key, const cJSON *value,
                    ws_text *description)
{
    WS_TRY(ws_specification_set_value(config, key, value, r->directory));
    return ws_specification_describe(key, value, description);
}

/* The grid's keys are axes of one key each; linked groups, and random draws, axes of several keys that move together; the seeds
 * are the last one. */
typedef struct axis {
    const cJSON *first_key; /* the first of `keys` siblings, each a list of `length` values */
    int keys, length, choice;
} axis;

/* The draws as lists, which a linked group could be; in the reader's `drawn`. */
static ws_err draw_values(ws_specification_reader *r, const cJSON *random)
{
    const int count = (int)cJSON_GetObjectItemCaseSensitive(random, "count")->valuedouble;
    const cJSON *seed = cJSON_GetObjectItemCaseSensitive(random, "seed");
    const uint64_t number = seed ? (uint64_t)seed->valuedouble : 0;
    for (const cJSON *key = cJSON_GetObjectItemCaseSensitive(random, "keys")->child; key; key = key->next) {
        cJSON *values = cJSON_AddArrayToObject(r->drawn, key->string);
        for (int k = 0; k < count; k++)
            WS_CHECK(values && cJSON_AddItemToArray(values, ws_draw_value(number, key->string, key, (size_t)k)), MEMORY,
                     "no memory for random draws");
    }
    return WS_OK;
}

static ws_err list_seeds(ws_specification_reader *r, const cJSON *seeds)
{
    cJSON *values = cJSON_IsArray(seeds) ? cJSON_Duplicate(seeds, true) : cJSON_CreateArray();
    for (int k = 0; cJSON_IsNumber(seeds) && k < seeds->valuedouble; k++)
        cJSON_AddItemToArray(values, cJSON_CreateNumber(k));
    WS_CHECK(values && cJSON_AddItemToObject(r->seeds, "train.seed", values), MEMORY, "no memory for seeds");
    return WS_OK;
}

static ws_err collect_axes(ws_specification_reader *r, const cJSON *root, axis **out, int *count)
{
    const cJSON *grid = cJSON_GetObjectItemCaseSensitive(root, "grid"),
                *linked = cJSON_GetObjectItemCaseSensitive(root, "linked"),
                *random = cJSON_GetObjectItemCaseSensitive(root, "random"),
                *seeds = cJSON_GetObjectItemCaseSensitive(root, "seeds");
    int grid_axes = cJSON_GetArraySize(grid), linked_axes = cJSON_GetArraySize(linked);
    *count = 0;
    r->drawn = cJSON_CreateObject();
    r->seeds = cJSON_CreateObject();
    WS_CHECK(r->drawn && r->seeds, MEMORY, "no memory for axes");
    if (random)
        WS_TRY(draw_values(r, random));
    if (seeds)
        WS_TRY(list_seeds(r, seeds));
    WS_TRY(ws_alloc(out, (size_t)(grid_axes + linked_axes + 2), sizeof **out));
    for (const cJSON *key = grid ? grid->child : NULL; key; key = key->next)
        (*out)[(*count)++] = (axis){key, 1, cJSON_GetArraySize(key), 0};
    for (const cJSON *group = linked ? linked->child : NULL; group; group = group->next)
        (*out)[(*count)++] = (axis){group->child, cJSON_GetArraySize(group), cJSON_GetArraySize(group->child), 0};
    if (random)
        (*out)[(*count)++] =
            (axis){r->drawn->child, cJSON_GetArraySize(r->drawn), cJSON_GetArraySize(r->drawn->child), 0};
    if (seeds)
        (*out)[(*count)++] = (axis){r->seeds->child, 1, cJSON_GetArraySize(r->seeds->child), 0};
    return WS_OK;
}

/* Whether an exclusion leaves the configuration out. */
static bool is_excluded(ws_specification_reader *r, const cJSON *config)
{
    int index = 0;
    for (const cJSON *item = r->exclude ? r->exclude->child : NULL; item; item = item->next, index++)
        if (ws_exclusion_matches(item, config)) {
            r->excluded[index]++;
            r->sweep->excluded++;
            return true;
        }
    return false;
}

/* An exclusion that leaves nothing out is a slip of the pen. */
static void check_exclusions(ws_specification_reader *r)
{
    int index = 0;
    for (const cJSON *item = r->exclude ? r->exclude->child : NULL; item; item = item->next, index++)
        if (r->excluded[index] == 0)
            ws_problems_add(&r->problems, r->document, item, "exclude: no trial is like this one");
    if (r->sweep->excluded > 0 && r->sweep->count == 0)
        ws_problems_add(&r->problems, r->document, r->exclude, "exclude: no trial is left");
}

/* A canonical text in which "seed":NUMBER stands once, so that another number can be put there. */
typedef struct seeded {
    char *text; /* owned */
    size_t before, after, length;
} seeded;

/* False: it stands there more often, or not at all. */
static bool find_seed(const char *text, double seed, seeded *out)
{
    char wanted[64], number[32];
    ws_format_double(seed, number);
    const int length = snprintf(wanted, sizeof wanted, "\"seed\":%s", number);
    const char *first = NULL;
    for (const char *at = text; (at = strstr(at, "\"seed\":")); at++) {
        if (first || strncmp(at, wanted, (size_t)length) != 0 || !strchr(",}", at[length]))
            return false;
        first = at;
    }
    if (!first || !(out->text = strdup(text)))
        return false;
    out->before = (size_t)(first - text) + strlen("\"seed\":");
    out->after = (size_t)(first - text) + (size_t)length;
    out->length = strlen(text);
    return true;
}

static void put_seed(const seeded *template, const char *number, ws_text *out)
{
    ws_text_append_bytes(out, template->text, template->before);
    ws_text_append(out, number);
    ws_text_append_bytes(out, template->text + template->after, template->length - template->after);
}

/* The trial `like` with another train.seed: what is known of the one holds for the other. */
static ws_err add_like(ws_specification_reader *r, size_t like, const seeded *config, const seeded *identity,
                       const cJSON *seed, const char *description)
{
    ws_text text = {0};
    bool fresh = false;
    char number[32], hex[65];
    ws_trial trial = {.description = strdup(description), .facts = r->sweep->trials[like].facts};
    memcpy(trial.cell, r->sweep->trials[like].cell, sizeof trial.cell);
    trial.facts.config = cJSON_Duplicate(trial.facts.config, true);
    ws_format_double(seed->valuedouble, number);
    ws_err error = trial.description && trial.facts.config
                       ? ws_json_set_in(trial.facts.config, "train.seed", cJSON_Duplicate(seed, false))
                       : WS_ERROR(MEMORY, "no memory for a trial");
    put_seed(config, number, &text);
    if (error == WS_OK)
        error = ws_text_check(&text);
    if (error == WS_OK)
        error = ws_specification_set_insert(&r->texts, ws_specification_text_identity(&text), &fresh);
    if (error == WS_OK && !fresh)
        r->sweep->merged++;
    if (error == WS_OK && fresh) {
        trial.config = text.data;
        text = (ws_text){0};
        put_seed(identity, number, &text);
        error = ws_text_check(&text);
        ws_digest digest = ws_sha256_of(ws_text_string(&text), text.length);
        ws_digest_hex(&digest, hex);
        memcpy(trial.facts.id, hex, WS_TRIAL_ID_BYTES - 1);
        if (error == WS_OK)
            error = ws_specification_keep_trial(r, &trial);
    }
    ws_text_destroy(&text);
    ws_trial_destroy(&trial);
    return error;
}

static bool is_seed(const cJSON *value)
{
    return cJSON_IsNumber(value) && value->valuedouble >= 0 && value->valuedouble <= 9007199254740991.0 &&
           value->valuedouble == (double)(int64_t)value->valuedouble;
}

/* A point with each of the seeds. Only the first one is looked at in full, where its seed can be told in what it makes. */
static ws_err add_seeds(ws_specification_reader *r, cJSON *config, ws_text *description, const cJSON *seeds)
{
    const size_t length = description->length;
    size_t like = SIZE_MAX;
    bool one_is_enough = false; /* of a deterministic model */
    seeded own = {0}, identity = {0};
    ws_err error = WS_OK;
    for (const cJSON *seed = seeds->child; seed; seed = seed->next) {
        if (description->data)
            description->data[length] = '\0';
        description->length = length;
        WS_TRY_GOTO(done, apply(r, config, seeds->string, seed, description));
        if (is_excluded(r, config))
            continue;
        if (one_is_enough) {
            r->sweep->merged++;
            continue;
        }
        const size_t before = r->sweep->count;
        if (like != SIZE_MAX && is_seed(seed))
            WS_TRY_GOTO(done, add_like(r, like, &own, &identity, seed, ws_text_string(description)));
        else
            WS_TRY_GOTO(done, ws_specification_add_trial(r, config, ws_text_string(description), false));
        if (like != SIZE_MAX || r->sweep->count != before + 1 || !is_seed(seed))
            continue;
        one_is_enough = r->sweep->trials[before].facts.deterministic;
        free(own.text);
        free(identity.text);
        own = identity = (seeded){0};
        if (find_seed(r->sweep->trials[before].config, seed->valuedouble, &own) &&
            find_seed(ws_text_string(&r->identity), seed->valuedouble, &identity))
            like = before;
    }
done:
    free(own.text);
    free(identity.text);
    return error;
}

/* seeds: of the axis that is train.seed alone; NULL: there is none. */
static ws_err build_point(ws_specification_reader *r, const cJSON *alternative, const axis *axes, int count,
                          const cJSON *seeds)
{
    cJSON *config = NULL;
    ws_text description = {0};
    ws_err error = WS_OK;
    config = cJSON_Duplicate(r->resolved_base, true);
    WS_CHECK_GOTO(done, config, MEMORY, "no memory for the configuration of a trial");
    for (const cJSON *value = alternative ? alternative->child : NULL; value; value = value->next)
        WS_TRY_GOTO(done, apply(r, config, value->string, value, &description));
    for (int a = 0; a < count; a++) {
        const cJSON *key = axes[a].first_key;
        for (int k = 0; k < axes[a].keys; k++, key = key->next)
            WS_TRY_GOTO(done, apply(r, config, key->string, cJSON_GetArrayItem(key, axes[a].choice), &description));
    }
    if (seeds)
        WS_TRY_GOTO(done, add_seeds(r, config, &description, seeds));
    else if (!is_excluded(r, config))
        WS_TRY_GOTO(done, ws_specification_add_trial(r, config, ws_text_string(&description), false));
done:
    cJSON_Delete(config);
    ws_text_destroy(&description);
    return error;
}

/* Takes the axis that is train.seed alone out of the others: it runs fastest. NULL: there is none. */
static const cJSON *take_seed_axis(axis *axes, int *count)
{
    for (int a = 0; a < *count; a++)
        if (axes[a].keys == 1 && strcmp(axes[a].first_key->string, "train.seed") == 0) {
            const cJSON *seeds = axes[a].first_key;
            memmove(&axes[a], &axes[a + 1], (size_t)(--*count - a) * sizeof *axes);
            return seeds;
        }
    return NULL;
}

/* Every combination of the axes' values; the last axis runs fastest. */
static ws_err expand_alternative(ws_specification_reader *r, const cJSON *alternative, axis *axes, int count,
                                 const cJSON *seeds)
{
    ws_err error = WS_OK;
    for (int a = 0; a >= 0 && error == WS_OK;) {
        error = build_point(r, alternative, axes, count, seeds);
        for (a = count - 1; a >= 0; a--) {
            if (++axes[a].choice < axes[a].length)
                break;
            axes[a].choice = 0;
        }
    }
    return error;
}

ws_err ws_specification_expand(ws_specification_reader *r, const cJSON *root)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(root, "list");
    axis *axes = NULL;
    int count = 0;
    r->exclude = cJSON_GetObjectItemCaseSensitive(root, "exclude");
    WS_TRY(WS_NEW_ARRAY(r->excluded, (size_t)cJSON_GetArraySize(r->exclude)));
    ws_err error = collect_axes(r, root, &axes, &count);
    const cJSON *seeds = error == WS_OK ? take_seed_axis(axes, &count) : NULL;
    if (!list && error == WS_OK)
        error = expand_alternative(r, NULL, axes, count, seeds);
    for (const cJSON *item = list ? list->child : NULL; item && error == WS_OK; item = item->next)
        error = expand_alternative(r, item, axes, count, seeds);
    free(axes);
    if (error == WS_OK)
        check_exclusions(r);
    return error;
}

/* Appends the parts of a trial's description that also hold for its baselines. */
static ws_err describe_rows(const char *description, ws_text *out)
{
    char *copy = strdup(description), *rest = NULL;
    WS_CHECK(copy, MEMORY, "no memory for the name of a trial");
    for (char *word = strtok_r(copy, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
        if (strncmp(word, "model.", 6) != 0 && strncmp(word, "train.", 6) != 0 && strncmp(word, "evaluate.", 9) != 0)
            ws_text_appendf(out, " %s", word);
    free(copy);
    return WS_OK;
}

static ws_err add_baseline(ws_specification_reader *r, const ws_trial *trial, const char *name)
{
    cJSON *config = cJSON_Parse(trial->config), *kind = cJSON_CreateString(name);
    ws_text description = {0};
    ws_text_appendf(&description, "model.kind=%s", name);
    ws_err error = config && kind ? WS_OK : WS_ERROR(MEMORY, "no memory for the configuration of a baseline");
    cJSON_DeleteItemFromObjectCaseSensitive(config, "train");
    cJSON_DeleteItemFromObjectCaseSensitive(config, "evaluate");
    cJSON_DeleteItemFromObjectCaseSensitive(config, "model");
    if (error == WS_OK)
        error = ws_json_set_in(config, "model.kind", kind);
    if (error == WS_OK)
        error = describe_rows(trial->description, &description);
    if (error == WS_OK)
        error = ws_specification_add_trial(r, config, ws_text_string(&description), true);
    ws_text_destroy(&description);
    cJSON_Delete(config);
    return error;
}

/* What tells which rows are asked what: the configuration without the model and how it is trained and scored. */
ws_err ws_specification_expand_baselines(ws_specification_reader *r)
{
    static const char *const kinds[] = {"majority", "best_single_feature"};
    size_t count = r->sweep->count, merged = r->sweep->merged;
    for (size_t k = 0; k < 2; k++)
        for (size_t i = 0; i < count; i++) {
            ws_trial trial = r->sweep->trials[i]; /* the array may move */
            WS_TRY(add_baseline(r, &trial, kinds[k]));
        }
    r->sweep->merged = merged; /* one for many trials is what is asked for */
    return WS_OK;
}
