/* The store that an extraction adds to: read, compared with the run, and its books put together with the run's. See
 * extract_append.h; its rows go into the new store in store_assemble.c, its sessions and hosts into the numbering in
 * store_append.c.
 */
#include "dataset/extract_append.h"

#include <stdio.h>
#include <stdlib.h>

/* ---------------------------------------------------------------- reading */
static ws_err take_texts(const extraction *x, const char *path, ws_string_list *out)
{
    char **texts = NULL;
    const char **items = NULL;
    size_t count = 0;
    WS_TRY(ws_h5_read_texts(x->append->store.file, path, &texts, &count));
    ws_err error = ws_arena_alloc(x->arena, &items, count, sizeof *items);
    for (size_t i = 0; error == WS_OK && i < count; i++)
        if ((items[i] = ws_arena_strdup(x->arena, texts[i])) == NULL)
            error = WS_ERROR(MEMORY, "no memory for %s of %s", path, x->append->store.path);
    ws_texts_destroy(&texts, count);
    *out = (ws_string_list){items, count};
    return error;
}

static ws_err take_numbers(const extraction *x, const char *path, size_t count, uint64_t **out)
{
    WS_TRY(ws_arena_alloc(x->arena, out, count, sizeof **out));
    return ws_store_read(&x->append->store, path, H5T_NATIVE_UINT64, 0, count, *out);
}

static ws_err take_ids(const extraction *x, const char *path, size_t count, uint32_t **out)
{
    WS_TRY(ws_arena_alloc(x->arena, out, count, sizeof **out));
    return ws_store_read(&x->append->store, path, H5T_NATIVE_UINT32, 0, count, *out);
}

/* Of a store whose inputs are files, these are its files. */
static ws_err read_files(const extraction *x)
{
    extract_append *old = x->append;
    old->joined = ws_h5_exists(old->store.file, "/provenance/files");
    if (!old->joined) {
        old->file_names = old->names;
        old->file_sha256 = old->sha256;
        old->file_bytes = old->bytes;
        old->file_records = old->records;
        WS_TRY(ws_arena_alloc(x->arena, &old->file_inputs, old->names.count, sizeof *old->file_inputs));
        for (size_t i = 0; i < old->names.count; i++)
            old->file_inputs[i] = (uint32_t)i;
        return WS_OK;
    }
    WS_TRY(take_texts(x, "/provenance/files/name", &old->file_names));
    const size_t count = old->file_names.count;
    WS_TRY(take_texts(x, "/provenance/files/sha256", &old->file_sha256));
    WS_TRY(take_numbers(x, "/provenance/files/bytes", count, &old->file_bytes));
    WS_TRY(take_numbers(x, "/provenance/files/records", count, &old->file_records));
    WS_TRY(take_ids(x, "/provenance/files/input", count, &old->file_inputs));
    for (size_t i = 0; i < count; i++)
        WS_CHECK(old->file_inputs[i] < old->names.count && old->file_sha256.count == count, FORMAT,
                 "%s: /provenance/files are not those of its inputs", old->store.path);
    return WS_OK;
}

static ws_err read_damage(const extraction *x)
{
    extract_append *old = x->append;
    int dimensions;
    hsize_t shape[4];
    ws_string_list reasons;
    uint32_t *files;
    uint64_t *offsets, *bytes;
    WS_TRY(ws_h5_dataset_shape(old->store.file, "/provenance/damage/offset", &dimensions, shape));
    const size_t count = old->damage_count = shape[0];
    WS_TRY(take_texts(x, "/provenance/damage/reason", &reasons));
    WS_TRY(take_ids(x, old->joined ? "/provenance/damage/file" : "/provenance/damage/input", count, &files));
    WS_TRY(take_numbers(x, "/provenance/damage/offset", count, &offsets));
    WS_TRY(take_numbers(x, "/provenance/damage/bytes", count, &bytes));
    WS_TRY(ws_arena_alloc(x->arena, &old->damage, count, sizeof *old->damage));
    for (size_t i = 0; i < count; i++) {
        uint32_t reason = 0;
        WS_CHECK(files[i] < old->file_names.count && reasons.count == count, FORMAT,
                 "%s: /provenance/damage is not of its inputs", old->store.path);
        while (reason < WS_DAMAGE_COUNT && strcmp(ws_damage_names[reason], reasons.items[i]) != 0)
            reason++;
        old->damage[i] = (ws_damage){.input = files[i], .reason = reason, .offset = offsets[i], .bytes = bytes[i]};
    }
    return WS_OK;
}

static ws_err read_json(const extraction *x, const char *attribute, cJSON **out)
{
    char *text = NULL;
    WS_TRY(ws_h5_read_attribute_text(x->append->store.file, "/provenance", attribute, &text));
    *out = cJSON_Parse(text);
    free(text);
    WS_CHECK(cJSON_IsObject(*out), FORMAT, "%s: /provenance has no %s that can be read", x->append->store.path,
             attribute);
    return WS_OK;
}

static ws_err read_books(const extraction *x)
{
    extract_append *old = x->append;
    WS_TRY(read_json(x, "options", &old->options));
    WS_TRY(read_json(x, "counters", &old->counters));
    WS_TRY(take_texts(x, "/provenance/inputs", &old->names));
    WS_TRY(take_texts(x, "/provenance/input_sha256", &old->sha256));
    WS_CHECK(old->sha256.count == old->names.count, FORMAT, "%s: %zu inputs with %zu hashes", old->store.path,
             old->names.count, old->sha256.count);
    WS_TRY(take_numbers(x, "/provenance/input_bytes", old->names.count, &old->bytes));
    WS_TRY(take_numbers(x, "/provenance/input_records", old->names.count, &old->records));
    WS_TRY(read_files(x));
    return read_damage(x);
}

ws_err extract_append_open(extraction *x)
{
    if (!x->options->append || !ws_file_exists(x->options->output))
        return WS_OK;
    WS_TRY(ws_arena_alloc(x->arena, &x->append, 1, sizeof *x->append));
    WS_TRY(ws_store_open(&x->append->store, x->options->output));
    WS_TRY(read_books(x));
    return WS_OK;
}

void extract_append_release(extraction *x)
{
    if (x->append == NULL || x->append->store.file < 0)
        return;
    H5Fclose(x->append->store.file);
    x->append->store.file = -1;
}

void extract_append_close(extraction *x)
{
    if (x->append == NULL)
        return;
    cJSON_Delete(x->append->options);
    cJSON_Delete(x->append->counters);
    if (x->append->store.path != NULL)
        ws_store_close(&x->append->store);
    x->append = NULL;
}

/* ---------------------------------------------------------------- comparing */
/* Settings that say which files are read and where labels come from, not what a row is. */
static bool may_differ(const char *key)
{
    static const char *const free_keys[] = {"labels", "join", "groups", "appended", NULL};
    size_t k = 0;
    while (free_keys[k] != NULL && strcmp(free_keys[k], key) != 0)
        k++;
    return free_keys[k] != NULL;
}

static ws_err refuse(const extraction *x, const char *what, const char *then, const char *now)
{
    ws_err error = WS_ERROR(ARGUMENT, "--append: the rows of %s are of another kind: %s %s there, %s now",
                            x->options->output, what, then, now);
    WS_HINT("`wiresweep inspect %s` shows the options it was made with; repeat them, or write another store",
            x->options->output);
    return error;
}

static ws_err compare_option(const extraction *x, const char *key, const cJSON *then, const cJSON *now)
{
    ws_text left = {0}, right = {0};
    ws_err error = then != NULL ? ws_json_canonical(then, &left) : WS_OK;
    if (error == WS_OK && now != NULL)
        error = ws_json_canonical(now, &right);
    if (error == WS_OK && strcmp(ws_text_string(&left), ws_text_string(&right)) != 0)
        error = refuse(x, key, then != NULL ? ws_text_string(&left) : "not set",
                       now != NULL ? ws_text_string(&right) : "not set");
    ws_text_destroy(&left);
    ws_text_destroy(&right);
    return error;
}

static ws_err compare_options(const extraction *x, const cJSON *now)
{
    const cJSON *const sides[2] = {x->append->options, now};
    for (int side = 0; side < 2; side++)
        for (const cJSON *one = sides[side]->child; one != NULL; one = one->next)
            if (!may_differ(one->string))
                WS_TRY(compare_option(x, one->string, cJSON_GetObjectItemCaseSensitive(sides[0], one->string),
                                      cJSON_GetObjectItemCaseSensitive(sides[1], one->string)));
    return WS_OK;
}

static ws_err refuse_level(const extraction *x, const char *level, const char *then, const char *now)
{
    char what[256];
    snprintf(what, sizeof what, "label level %s", level);
    return refuse(x, what, then, now);
}

static ws_err compare_levels(const extraction *x, const ws_label_level *levels, size_t count)
{
    const ws_store *store = &x->append->store;
    for (size_t l = 0; l < count; l++)
        if (ws_store_level(store, levels[l].name) == NULL)
            return refuse_level(x, levels[l].name, "not", "given");
    for (size_t l = 0; l < store->level_count; l++) {
        size_t k = 0;
        while (k < count && strcmp(levels[k].name, store->levels[l].name) != 0)
            k++;
        if (k == count)
            return refuse_level(x, store->levels[l].name, "given", "not (--labels)");
    }
    return WS_OK;
}

static ws_err already_there(const extraction *x, const char *name, const char *as)
{
    ws_err error = WS_ERROR(ARGUMENT, "--append: %s is in %s already, as its input %s", name, x->options->output, as);
    WS_HINT("leave it out; another capture of the same name must be given another one, since rows are named by their "
            "inputs");
    return error;
}

static ws_err compare_names(const extraction *x)
{
    const extract_append *old = x->append;
    for (size_t i = 0; i < x->input_count; i++)
        for (size_t k = 0; k < old->file_names.count; k++)
            if (strcmp(x->names.items[i], old->file_names.items[k]) == 0)
                return already_there(x, x->inputs[i].path, old->file_names.items[k]);
    return WS_OK;
}

/* The SHA-256 of all files is known at the end only; a copy is found now where its size is that of a file of the store. Files
 * without records may well be alike. */
static ws_err look_for_copies(const extraction *x)
{
    const extract_append *old = x->append;
    ws_digest digest;
    char hex[65];
    for (size_t i = (size_t)x->comm->rank; i < x->input_count; i += (size_t)x->comm->size) {
        bool hashed = false;
        for (size_t k = 0; !extract_hashes_blocks(x, i) && k < old->file_names.count; k++) {
            if (old->file_bytes[k] != x->inputs[i].bytes || old->file_records[k] == 0)
                continue;
            if (!hashed)
                WS_TRY(ws_sha256_file(x->inputs[i].path, &digest));
            hashed = true;
            ws_digest_hex(&digest, hex);
            if (strcmp(hex, old->file_sha256.items[k]) == 0)
                return already_there(x, x->inputs[i].path, old->file_names.items[k]);
        }
    }
    return WS_OK;
}

ws_err extract_append_check(extraction *x, const char *options_json, const ws_label_level *levels, size_t level_count)
{
    if (x->append == NULL)
        return WS_OK;
    WS_CHECK(x->options->reservoir == 0, ARGUMENT,
             "--append: a reservoir is drawn from all flows at once, and nothing can be added to it");
    cJSON *now = cJSON_Parse(options_json);
    WS_CHECK(now != NULL, MEMORY, "no memory for the options");
    ws_err error = compare_options(x, now);
    cJSON_Delete(now);
    WS_TRY(error);
    WS_TRY(compare_levels(x, levels, level_count));
    WS_TRY(compare_names(x));
    return look_for_copies(x);
}

ws_err extract_append_check_columns(const extraction *x, const ws_feature_table *table)
{
    int columns;
    ws_string_list names;
    if (x->append == NULL)
        return WS_OK;
    WS_TRY(ws_store_features_info(&x->append->store, table->name, x->arena, &columns, &names));
    bool same = names.count == table->columns;
    for (size_t c = 0; same && c < names.count; c++)
        same = strcmp(names.items[c], table->names[c]) == 0;
    return same ? WS_OK : refuse(x, "the columns of", table->name, "others");
}

ws_err extract_append_check_hashes(const extraction *x, const ws_string_list *file_sha256)
{
    for (size_t i = 0; x->append != NULL && i < x->input_count; i++)
        for (size_t k = 0; k < x->append->file_sha256.count; k++)
            if (x->append->file_records[k] > 0 && strcmp(file_sha256->items[i], x->append->file_sha256.items[k]) == 0)
                return already_there(x, x->inputs[i].path, x->append->file_names.items[k]);
    return WS_OK;
}
