/* Which settings tell the cells of one model apart: the leaves of their configurations that are not the same in all of
 * them. They are what a row shows beside the model's name. */
#include "report/internal.h"

#include <stdlib.h>

typedef struct leaf {
    const char *key, *value; /* in the arena */
    size_t cell;
} leaf;

typedef struct leaves {
    leaf *items;
    size_t count, capacity;
} leaves;

/* Said by the section or the model's own column. */
static bool is_shown_elsewhere(const char *key)
{
    static const char *const keys[] = {"task", "protocol", "label", "model.kind"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        if (strcmp(keys[i], key) == 0)
            return true;
    return false;
}

static ws_err add_leaf(ws_report *report, const char *key, const cJSON *value, size_t cell, leaves *out)
{
    ws_text text = {0};
    if (cJSON_IsString(value))
        ws_text_append(&text, value->valuestring);
    else
        WS_TRY(ws_json_canonical(value, &text));
    WS_TRY(WS_GROW(out->items, out->capacity, out->count + 1));
    leaf *item = &out->items[out->count++];
    *item = (leaf){ws_arena_strdup(report->arena, key), ws_arena_strdup(report->arena, ws_text_string(&text)), cell};
    ws_text_destroy(&text);
    WS_CHECK(item->key && item->value, MEMORY, "no memory for the table");
    return WS_OK;
}

static ws_err flatten(ws_report *report, const char *key, const cJSON *value, size_t cell, leaves *out)
{
    if (!cJSON_IsObject(value))
        return is_shown_elsewhere(key) ? WS_OK : add_leaf(report, key, value, cell, out);
    for (const cJSON *child = value->child; child; child = child->next) {
        char *path = ws_format("%s%s%s", key, key[0] ? "." : "", child->string);
        WS_CHECK(path, MEMORY, "no memory for the table");
        ws_err error = flatten(report, path, child, cell, out);
        free(path);
        WS_TRY(error);
    }
    return WS_OK;
}

static int compare_leaves(const void *left, const void *right)
{
    const leaf *a = left, *b = right;
    int order = strcmp(a->key, b->key);
    return order ? order : (a->cell > b->cell) - (a->cell < b->cell);
}

/* True unless all `cells` have the key with the same value. */
static bool varies(const leaf *items, size_t count, size_t cells)
{
    if (count != cells)
        return true;
    for (size_t i = 1; i < count; i++)
        if (strcmp(items[i].value, items[0].value) != 0)
            return true;
    return false;
}

/* cells[begin .. end): one model in one section. */
static ws_err describe_model(ws_report *report, size_t begin, size_t end)
{
    leaves all = {0};
    ws_text *texts = NULL;
    ws_err error = WS_OK;
    WS_TRY_GOTO(done, WS_NEW_ARRAY(texts, end - begin));
    for (size_t c = begin; c < end; c++)
        WS_TRY_GOTO(done, flatten(report, "", report->cells[c].config, c, &all));
    if (all.count)
        qsort(all.items, all.count, sizeof *all.items, compare_leaves);
    for (size_t i = 0, next; i < all.count; i = next) {
        for (next = i; next < all.count && strcmp(all.items[next].key, all.items[i].key) == 0;)
            next++;
        if (!varies(&all.items[i], next - i, end - begin))
            continue;
        const char *key = all.items[i].key;
        key += strncmp(key, "model.", 6) == 0 ? 6 : 0;
        for (size_t j = i; j < next; j++) {
            ws_text *text = &texts[all.items[j].cell - begin];
            ws_text_appendf(text, "%s%s=%s", text->length ? " " : "", key, all.items[j].value);
        }
    }
    for (size_t c = begin; c < end; c++) {
        WS_TRY_GOTO(done, ws_text_check(&texts[c - begin]));
        report->cells[c].options = ws_arena_strdup(report->arena, ws_text_string(&texts[c - begin]));
        WS_CHECK_GOTO(done, report->cells[c].options, MEMORY, "no memory for the table");
    }
done:
    for (size_t c = begin; texts && c < end; c++)
        ws_text_destroy(&texts[c - begin]);
    free(texts);
    free(all.items);
    return error;
}

ws_err ws_report_describe_options(ws_report *report)
{
    for (size_t begin = 0, end; begin < report->count; begin = end) {
        for (end = begin; end < report->count && ws_report_same_section(&report->cells[begin], &report->cells[end]) &&
                          strcmp(report->cells[begin].model, report->cells[end].model) == 0;)
            end++;
        WS_TRY(describe_model(report, begin, end));
    }
    return WS_OK;
}
