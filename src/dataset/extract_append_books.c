/* Classes, counters and options of a store that was added to: those of the store and those of the run, put together. See
 * extract_append.h.
 */
#include "dataset/extract_append.h"

#include <stdlib.h>

/* ---------------------------------------------------------------- classes */
/* A class as it is written now: those of the store come first, then those that are new. */
typedef struct class_place {
    char *name;
    int32_t written;
} class_place;

static int by_name(const void *a, const void *b)
{
    return strcmp(((const class_place *)a)->name, ((const class_place *)b)->name);
}

static int32_t find_class(const ws_label_level *level, const char *name)
{
    for (size_t c = 0; c < level->classes; c++)
        if (strcmp(level->names[c], name) == 0)
            return (int32_t)c;
    return -1;
}

static ws_err merge_level(extraction *x, const ws_label_level *own, size_t l)
{
    extract_append *append = x->append;
    const ws_label_level *old = ws_store_level(&append->store, own->name);
    const size_t most = old->classes + own->classes;
    class_place *places = NULL;
    size_t count = 0;
    ws_label_level *level = &append->levels[l];
    WS_TRY(ws_arena_alloc(x->arena, &places, most, sizeof *places));
    WS_TRY(ws_arena_alloc(x->arena, &append->written[l], own->classes, sizeof *append->written[l]));
    WS_TRY(ws_arena_alloc(x->arena, &append->renumber[l], most, sizeof *append->renumber[l]));
    WS_TRY(ws_arena_alloc(x->arena, &level->names, most, sizeof *level->names));
    for (; count < old->classes; count++)
        places[count] = (class_place){old->names[count], (int32_t)count};
    for (size_t c = 0; c < own->classes; c++) {
        append->written[l][c] = find_class(old, own->names[c]);
        if (append->written[l][c] >= 0)
            continue;
        append->written[l][c] = (int32_t)count;
        places[count] = (class_place){own->names[c], (int32_t)count};
        count++;
    }
    qsort(places, count, sizeof *places, by_name);
    for (size_t c = 0; c < count; c++) {
        level->names[c] = places[c].name;
        append->renumber[l][places[c].written] = (int32_t)c;
    }
    level->name = own->name;
    level->classes = count;
    return WS_OK;
}

ws_err extract_append_classes(extraction *x, const ws_label_level *levels, size_t level_count)
{
    extract_append *append = x->append;
    if (append == NULL)
        return WS_OK;
    WS_TRY(ws_arena_alloc(x->arena, &append->levels, level_count, sizeof *append->levels));
    WS_TRY(ws_arena_alloc(x->arena, &append->renumber, level_count, sizeof *append->renumber));
    WS_TRY(ws_arena_alloc(x->arena, &append->written, level_count, sizeof *append->written));
    for (size_t l = 0; l < level_count; l++)
        WS_TRY(merge_level(x, &levels[l], l));
    return WS_OK;
}

/* ---------------------------------------------------------------- counters and options */
/* Lists with an entry an input or a file are put one behind the other; others, of rules, are counted together. */
static bool is_appended(const char *key)
{
    return key != NULL &&
           (strcmp(key, "inputs") == 0 || strcmp(key, "files") == 0 || strcmp(key, "inputs_skipped") == 0);
}

static void add_json(cJSON *sum, const cJSON *more);

static void add_list(cJSON *sum, const cJSON *more)
{
    const cJSON *one = more->child;
    cJSON *to = sum->child;
    for (; !is_appended(sum->string) && one != NULL && to != NULL; one = one->next, to = to->next)
        add_json(to, one);
    for (; one != NULL; one = one->next)
        cJSON_AddItemToArray(sum, cJSON_Duplicate(one, true));
}

/* Numbers are added, at every depth; texts stay. */
static void add_json(cJSON *sum, const cJSON *more)
{
    if (cJSON_IsNumber(sum) && cJSON_IsNumber(more))
        cJSON_SetNumberValue(sum, sum->valuedouble + more->valuedouble);
    else if (cJSON_IsArray(sum) && cJSON_IsArray(more))
        add_list(sum, more);
    for (const cJSON *one = cJSON_IsObject(sum) && cJSON_IsObject(more) ? more->child : NULL; one != NULL;
         one = one->next) {
        cJSON *to = cJSON_GetObjectItemCaseSensitive(sum, one->string);
        if (to != NULL)
            add_json(to, one);
        else
            cJSON_AddItemToObject(sum, one->string, cJSON_Duplicate(one, true));
    }
}

/* The run counted labels for the inputs of the store too, and found no flows of them. */
static void leave_out_old(const extraction *x, cJSON *counters)
{
    cJSON *inputs = cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(counters, "labels"), "inputs");
    for (size_t i = 0; inputs != NULL && i < x->append->names.count; i++)
        cJSON_DeleteItemFromArray(inputs, 0);
}

/* What the store was made with, and with what was added to it since. */
static ws_err merge_options(const extraction *x, const char *options, ws_text *out)
{
    cJSON *root = cJSON_Duplicate(x->append->options, true), *entry = cJSON_CreateObject();
    cJSON *appended = cJSON_GetObjectItemCaseSensitive(root, "appended");
    if (appended == NULL)
        appended = cJSON_AddArrayToObject(root, "appended");
    extract_put_number(entry, "first_input", x->append->names.count);
    cJSON_AddItemToObject(entry, "options", cJSON_Parse(options));
    cJSON_AddItemToArray(appended, entry);
    ws_err error = ws_json_canonical(root, out);
    cJSON_Delete(root);
    return error;
}

ws_err extract_append_merge(const extraction *x, const char *options, const char *counters, ws_text *out_options,
                            ws_text *out_counters)
{
    cJSON *own = cJSON_Parse(counters), *sum = cJSON_Duplicate(x->append->counters, true);
    ws_err error = own == NULL || sum == NULL ? WS_ERROR(MEMORY, "no memory for the counters") : WS_OK;
    if (error == WS_OK) {
        leave_out_old(x, own);
        add_json(sum, own);
        error = ws_json_canonical(sum, out_counters);
    }
    if (error == WS_OK)
        error = merge_options(x, options, out_options);
    cJSON_Delete(own);
    cJSON_Delete(sum);
    return error;
}
