/* Which columns of a feature table a model sees: the key "columns" of a configuration. Names are taken in the order they are given
 * in; names with ! in front are left out of all. */
#include "train/internal.h"

static int find(const ws_string_list *names, const char *name)
{
    for (size_t i = 0; i < names->count; i++)
        if (strcmp(names->items[i], name) == 0)
            return (int)i;
    return -1;
}

static bool left_out(const ws_string_list *wanted, const char *name)
{
    for (size_t i = 0; i < wanted->count; i++)
        if (strcmp(wanted->items[i] + 1, name) == 0)
            return true;
    return false;
}

/* What is wrong with the i-th name; NULL: nothing. */
static const char *look_at(const ws_string_list *wanted, size_t i, const ws_string_list *names, const char **closest)
{
    bool without = wanted->items[0][0] == '!';
    const char *name = wanted->items[i] + without;
    if ((wanted->items[i][0] == '!') != without)
        return "names with and without ! do not go together";
    for (size_t j = 0; j < i; j++)
        if (strcmp(wanted->items[i], wanted->items[j]) == 0)
            return "is named twice";
    if (find(names, name) >= 0)
        return NULL;
    *closest = ws_closest_name(name, names->items, names->count);
    return "the table has no such column";
}

ws_err ws_columns_choose(const ws_string_list *wanted, const ws_string_list *names, ws_arena *arena, int *count,
                         int **chosen, ws_text *complaint)
{
    bool all = wanted->count == 0, without = !all && wanted->items[0][0] == '!';
    *count = 0;
    for (size_t i = 0; i < wanted->count; i++) {
        const char *closest = NULL, *wrong = look_at(wanted, i, names, &closest);
        if (wrong == NULL)
            continue;
        ws_text_appendf(complaint, "\"%s\": %s", wanted->items[i], wrong);
        if (closest != NULL)
            ws_text_appendf(complaint, ". Did you mean \"%s\"?", closest);
        return ws_text_check(complaint);
    }
    WS_TRY(ws_arena_alloc(arena, chosen, names->count + 1, sizeof **chosen));
    for (size_t i = 0; i < (all || without ? names->count : wanted->count); i++)
        if (!without || !left_out(wanted, names->items[i]))
            (*chosen)[(*count)++] = all || without ? (int)i : find(names, wanted->items[i]);
    if (*count == 0)
        ws_text_appendf(complaint, "no column is left");
    return ws_text_check(complaint);
}
