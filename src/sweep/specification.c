/* Specification to trials: base, alternatives, grid, baselines; every trial resolved and named before anything starts.
 * Nothing is run or written here. */
#include "sweep/internal.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

/* Keys whose values are paths, made absolute against the file that names them. */
static const char *const path_keys[] = {"store"};

typedef struct complaint {
    char *line, *trial;
    size_t trials;
} complaint;

typedef struct set64 { /* open addressing; 0 marks an empty place */
    uint64_t *items;
    size_t count, capacity;
} set64;

typedef struct reader {
    ws_json *document;  /* the specification */
    ws_json *base_file; /* NULL where base is inline */
    const cJSON *base;  /* borrowed from one of the two */
    char *directory;    /* of the specification */
    ws_sweep *sweep;
    ws_trial_identify identify;
    void *context;
    ws_problems problems; /* of the specification itself */
    complaint *complaints;
    size_t complaint_count, complaint_capacity;
    ws_text identity; /* of the trial that was resolved last */
    set64 texts, ids;
    cJSON *resolved_base;
    cJSON *drawn, *seeds; /* { KEY: [VALUE, ...], ... } of "random" and "seeds" */
    const cJSON *exclude; /* borrowed */
    size_t *excluded;     /* by exclusion: combinations left out */
} reader;

static ws_err set_insert(set64 *set, uint64_t item, bool *fresh)
{
    item |= item == 0;
    if (set->count * 2 >= set->capacity) {
        set64 larger = {.capacity = set->capacity ? set->capacity * 2 : 64};
        WS_TRY(WS_NEW_ARRAY(larger.items, larger.capacity));
        for (size_t i = 0; i < set->capacity; i++)
            if (set->items[i])
                WS_TRY(set_insert(&larger, set->items[i], fresh));
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

static uint64_t text_identity(const ws_text *text)
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

/* A copy of `value`, made absolute where `key` names a path. */
static ws_err copy_value(const char *key, const cJSON *value, const char *directory, cJSON **out)
{
    if (!is_path_key(key) || !cJSON_IsString(value)) {
        *out = cJSON_Duplicate(value, true);
    } else {
        char *joined = ws_path_join(directory, value->valuestring), *absolute = joined ? realpath(joined, NULL) : NULL;
        *out = joined ? cJSON_CreateString(absolute ? absolute : joined) : NULL;
        free(absolute);
        free(joined);
    }
    WS_CHECK(*out, MEMORY, "no memory for the configuration of a trial");
    return WS_OK;
}

static ws_err set_value(cJSON *config, const char *key, const cJSON *value, const char *directory)
{
    cJSON *copy = NULL;
    WS_TRY(copy_value(key, value, directory, &copy));
    return ws_json_set_in(config, key, copy);
}

/* The base with absolute paths. */
static ws_err make_base(const reader *r, cJSON **out)
{
    char *directory = NULL;
    if (r->base_file) {
        directory = ws_path_directory(ws_json_name(r->base_file));
        WS_CHECK(directory, MEMORY, "no memory for a path");
    }
    ws_err error = WS_OK;
    cJSON *config = cJSON_CreateObject();
    for (const cJSON *value = r->base->child; value && error == WS_OK; value = value->next)
        error = set_value(config, value->string, value, directory ? directory : r->directory);
    free(directory);
    if (error != WS_OK)
        cJSON_Delete(config);
    else
        *out = config;
    return error;
}

/* "model.kind=flow_cfm model.sigma=0.1" */
static ws_err describe(const char *key, const cJSON *value, ws_text *out)
{
    if (cJSON_IsObject(value)) {
        for (const cJSON *child = value->child; child; child = child->next) {
            char *path = ws_format("%s.%s", key, child->string);
            WS_CHECK(path, MEMORY, "no memory for the name of a trial");
            ws_err error = describe(path, child, out);
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
static ws_err note_complaints(reader *r, ws_problems *found, const char *description)
{
    char *rest = NULL;
    for (char *line = strtok_r(found->lines.data, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        size_t i = 0;
        while (i < r->complaint_count && strcmp(r->complaints[i].line, line) != 0)
            i++;
        if (i == r->complaint_count) {
            WS_TRY(WS_GROW(r->complaints, r->complaint_capacity, r->complaint_count + 1));
            r->complaints[i] = (complaint){strdup(line), strdup(description), 0};
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
static ws_err make_document(const reader *r, const cJSON *config, ws_json **out)
{
    WS_TRY(ws_json_read_text(out, "{}", ws_json_name(r->document)));
    cJSON *root = ws_json_root(*out);
    for (const cJSON *value = config->child; value; value = value->next) {
        cJSON *copy = cJSON_Duplicate(value, true);
        WS_CHECK(copy && cJSON_AddItemToObject(root, value->string, copy), MEMORY, "no memory for a configuration");
    }
    return WS_OK;
}

static ws_err keep_trial(reader *r, ws_trial *trial)
{
    bool fresh = false;
    char *end = NULL;
    WS_TRY(set_insert(&r->ids, strtoull(trial->facts.id, &end, 16), &fresh));
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

static ws_err add_trial(reader *r, cJSON *config, const char *description, bool baseline);

static ws_err resolve_trial(reader *r, cJSON *config, const ws_text *text, ws_trial *trial)
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
        return add_trial(r, config, trial->description, trial->baseline);
    }
    trial->config = strdup(ws_text_string(text));
    WS_CHECK(trial->config, MEMORY, "no memory for the configuration of a trial");
    return keep_trial(r, trial);
}

static ws_err add_trial(reader *r, cJSON *config, const char *description, bool baseline)
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
        error = set_insert(&r->texts, text_identity(&text), &fresh);
    if (error == WS_OK && !fresh)
        r->sweep->merged++;
    if (error == WS_OK && fresh)
        error = resolve_trial(r, config, &text, &trial);
    ws_text_destroy(&text);
    ws_trial_destroy(&trial);
    return error;
}

/* ---------------------------------------------------------------- expansion */

static ws_err apply(const reader *r, cJSON *config, const char *key, const cJSON *value, ws_text *description)
{
    WS_TRY(set_value(config, key, value, r->directory));
    return describe(key, value, description);
}

/* The grid's keys are axes of one key each; linked groups, and random draws, axes of several keys that move together; the seeds
 * are the last one. */
typedef struct axis {
    const cJSON *first_key; /* the first of `keys` siblings, each a list of `length` values */
    int keys, length, choice;
} axis;

/* The draws as lists, which a linked group could be; in the reader's `drawn`. */
static ws_err draw_values(reader *r, const cJSON *random)
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

static ws_err list_seeds(reader *r, const cJSON *seeds)
{
    cJSON *values = cJSON_IsArray(seeds) ? cJSON_Duplicate(seeds, true) : cJSON_CreateArray();
    for (int k = 0; cJSON_IsNumber(seeds) && k < seeds->valuedouble; k++)
        cJSON_AddItemToArray(values, cJSON_CreateNumber(k));
    WS_CHECK(values && cJSON_AddItemToObject(r->seeds, "train.seed", values), MEMORY, "no memory for seeds");
    return WS_OK;
}

static ws_err collect_axes(reader *r, const cJSON *root, axis **out, int *count)
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
static bool is_excluded(reader *r, const cJSON *config)
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
static void check_exclusions(reader *r)
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
static ws_err add_like(reader *r, size_t like, const seeded *config, const seeded *identity, const cJSON *seed,
                       const char *description)
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
        error = set_insert(&r->texts, text_identity(&text), &fresh);
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
            error = keep_trial(r, &trial);
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
static ws_err add_seeds(reader *r, cJSON *config, ws_text *description, const cJSON *seeds)
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
            WS_TRY_GOTO(done, add_trial(r, config, ws_text_string(description), false));
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
static ws_err build_point(reader *r, const cJSON *alternative, const axis *axes, int count, const cJSON *seeds)
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
        WS_TRY_GOTO(done, add_trial(r, config, ws_text_string(&description), false));
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
static ws_err expand_alternative(reader *r, const cJSON *alternative, axis *axes, int count, const cJSON *seeds)
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

static ws_err expand(reader *r, const cJSON *root)
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

static ws_err add_baseline(reader *r, const ws_trial *trial, const char *name)
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
        error = add_trial(r, config, ws_text_string(&description), true);
    ws_text_destroy(&description);
    cJSON_Delete(config);
    return error;
}

/* What tells which rows are asked what: the configuration without the model and how it is trained and scored. */
static ws_err expand_baselines(reader *r)
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

/* ---------------------------------------------------------------- the file */

static ws_err read_base(reader *r, const cJSON *root)
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
static ws_err keep_specification(reader *r, const cJSON *root)
{
    cJSON *copy = cJSON_Duplicate(root, true), *base = NULL;
    r->sweep->specification = copy;
    WS_CHECK(copy, MEMORY, "no memory for the specification");
    WS_TRY(make_base(r, &r->resolved_base));
    base = cJSON_Duplicate(r->resolved_base, true);
    WS_CHECK(base && cJSON_ReplaceItemInObjectCaseSensitive(copy, "base", base), MEMORY,
             "no memory for the specification");
    const cJSON *name = cJSON_GetObjectItemCaseSensitive(root, "name");
    const char *file = ws_path_base(ws_json_name(r->document)), *dot = strrchr(file, '.');
    r->sweep->name = name ? strdup(name->valuestring) : strndup(file, dot ? (size_t)(dot - file) : strlen(file));
    WS_CHECK(r->sweep->name, MEMORY, "no memory for the name of the sweep");
    return WS_OK;
}

static ws_err complain(reader *r)
{
    for (size_t i = 0; i < r->complaint_count; i++) {
        complaint *c = &r->complaints[i];
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
static void check_reference(reader *r, const cJSON *root)
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

static ws_err read_specification(reader *r, const char *path)
{
    WS_TRY(ws_json_read_file(&r->document, path));
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
    WS_TRY(expand(r, root));
    if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(root, "baselines")))
        WS_TRY(expand_baselines(r));
    check_reference(r, root);
    return complain(r);
}

ws_err ws_sweep_read(ws_sweep **out, const char *path, ws_trial_identify identify, void *context)
{
    *out = NULL;
    ws_sweep *sweep = NULL;
    WS_TRY(WS_NEW(sweep));
    reader r = {.sweep = sweep, .identify = identify, .context = context};
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
