/* The form of a specification, before anything of it is expanded: unknown keys, wrong types, keys that are set twice. */
#include "sweep/internal.h"

typedef struct checker {
    const ws_json *document;
    ws_problems *problems;
} checker;

static void check_keys(const checker *c, const cJSON *root)
{
    static const char *const keys[] = {"name",   "base",  "list",    "grid",      "linked",
                                       "random", "seeds", "exclude", "baselines", "comparison"};
    size_t count = sizeof keys / sizeof keys[0];
    for (const cJSON *value = root->child; value; value = value->next) {
        size_t i = 0;
        while (i < count && strcmp(keys[i], value->string) != 0)
            i++;
        if (i < count)
            continue;
        const char *closest = ws_closest_name(value->string, keys, count);
        ws_problems_add(c->problems, c->document, value, "%s: unknown key%s%s%s", value->string,
                        closest ? ". Did you mean \"" : "", closest ? closest : "", closest ? "\"?" : "");
    }
}

/* A key that is set twice, as a whole or in part, would silently win or lose. */
static void check_overlap(const checker *c, const cJSON *one, const char *one_name, const cJSON *other,
                          const char *other_name)
{
    for (const cJSON *a = one->child; a; a = a->next)
        for (const cJSON *b = other->child; b; b = b->next) {
            size_t a_length = strlen(a->string), b_length = strlen(b->string);
            bool a_in_b = strncmp(a->string, b->string, b_length) == 0 && a->string[b_length] == '.';
            bool b_in_a = strncmp(b->string, a->string, a_length) == 0 && b->string[a_length] == '.';
            /* "model" in an alternative leaves room for "model.sigma" of the grid, unless it sets that too */
            bool filled = a_in_b && (!cJSON_IsObject(b) || ws_json_find(b, a->string + b_length + 1));
            if (strcmp(a->string, b->string) == 0 || b_in_a || filled)
                ws_problems_add(c->problems, c->document, b, "%s is set by \"%s\" and by \"%s\": keep one", a->string,
                                other_name, one_name);
        }
}

static void check_axis(const checker *c, const cJSON *key, const char *where)
{
    if (!cJSON_IsArray(key) || !key->child)
        ws_problems_add(c->problems, c->document, key, "%s.%s: expected a list of values", where, key->string);
}

static void check_linked(const checker *c, const cJSON *linked, const cJSON *grid)
{
    if (linked && !cJSON_IsArray(linked))
        ws_problems_add(c->problems, c->document, linked,
                        "linked: expected groups [ { KEY: [VALUE, ...], ... }, ... ]");
    for (const cJSON *group = cJSON_IsArray(linked) ? linked->child : NULL; group; group = group->next) {
        if (!cJSON_IsObject(group) || !group->child) {
            ws_problems_add(c->problems, c->document, group, "linked: each group is { KEY: [VALUE, ...], ... }");
            continue;
        }
        for (const cJSON *key = group->child; key; key = key->next) {
            check_axis(c, key, "linked");
            if (cJSON_GetArraySize(key) != cJSON_GetArraySize(group->child))
                ws_problems_add(c->problems, c->document, key, "linked.%s: as many values as %s are needed, %d",
                                key->string, group->child->string, cJSON_GetArraySize(group->child));
        }
        if (grid)
            check_overlap(c, grid, "grid", group, "linked");
        for (const cJSON *later = group->next; later; later = later->next)
            check_overlap(c, later, "linked", group, "linked");
    }
}

static void check_list(const checker *c, const cJSON *list, const cJSON *grid, const cJSON *linked)
{
    if (list && (!cJSON_IsArray(list) || !list->child))
        ws_problems_add(c->problems, c->document, list, "list: expected alternatives [ { ... }, ... ]");
    for (const cJSON *item = cJSON_IsArray(list) ? list->child : NULL; item; item = item->next) {
        if (!cJSON_IsObject(item)) {
            ws_problems_add(c->problems, c->document, item, "list: each alternative is an object { KEY: VALUE, ... }");
            continue;
        }
        if (grid)
            check_overlap(c, grid, "grid", item, "list");
        for (const cJSON *group = cJSON_IsArray(linked) ? linked->child : NULL; group; group = group->next)
            check_overlap(c, group, "linked", item, "list");
    }
}

/* { "count": N, "seed": N, "keys": { KEY: DISTRIBUTION, ... } } */
static void check_random(const checker *c, const cJSON *random, const cJSON *grid)
{
    if (!random)
        return;
    const cJSON *count = cJSON_GetObjectItemCaseSensitive(random, "count"),
                *seed = cJSON_GetObjectItemCaseSensitive(random, "seed"),
                *keys = cJSON_GetObjectItemCaseSensitive(random, "keys");
    if (!cJSON_IsObject(random) || !cJSON_IsObject(keys) || !keys->child || cJSON_GetArraySize(random) != 2 + !!seed ||
        !cJSON_IsNumber(count) || count->valuedouble < 1 || count->valuedouble > 1e6 ||
        (seed && !cJSON_IsNumber(seed))) {
        ws_problems_add(c->problems, c->document, random,
                        "random: expected { \"count\": N, \"seed\": N, \"keys\": { KEY: DISTRIBUTION, ... } }");
        return;
    }
    for (const cJSON *key = keys->child; key; key = key->next) {
        const char *complaint = ws_draw_complaint(key);
        if (complaint)
            ws_problems_add(c->problems, c->document, key, "random.keys.%s: %s", key->string, complaint);
    }
    if (grid)
        check_overlap(c, grid, "grid", keys, "random");
}

/* A number of seeds, from 0, or a list of them. */
static void check_seeds(const checker *c, const cJSON *seeds, const cJSON *grid)
{
    if (!seeds)
        return;
    bool sound = (cJSON_IsNumber(seeds) && seeds->valuedouble >= 1 && seeds->valuedouble <= 1e6 &&
                  seeds->valuedouble == (double)(int64_t)seeds->valuedouble) ||
                 (cJSON_IsArray(seeds) && seeds->child);
    if (!sound)
        ws_problems_add(c->problems, c->document, seeds, "seeds: expected a number of them, or a list");
    if (cJSON_GetObjectItemCaseSensitive(grid, "train.seed") || cJSON_GetObjectItemCaseSensitive(grid, "train"))
        ws_problems_add(c->problems, c->document, seeds, "train.seed is set by \"seeds\" and by \"grid\": keep one");
}

static void check_exclude(const checker *c, const cJSON *exclude)
{
    bool sound = !exclude || cJSON_IsArray(exclude);
    for (const cJSON *item = cJSON_IsArray(exclude) ? exclude->child : NULL; item; item = item->next)
        sound = sound && cJSON_IsObject(item) && item->child;
    if (!sound)
        ws_problems_add(c->problems, c->document, exclude,
                        "exclude: expected [ { KEY: VALUE or [VALUE, ...], ... }, ... ]");
}

void ws_specification_check(const ws_json *document, const cJSON *root, ws_problems *problems)
{
    const checker *c = &(checker){document, problems};
    check_keys(c, root);
    const cJSON *name = cJSON_GetObjectItemCaseSensitive(root, "name"),
                *grid = cJSON_GetObjectItemCaseSensitive(root, "grid"),
                *linked = cJSON_GetObjectItemCaseSensitive(root, "linked"),
                *baselines = cJSON_GetObjectItemCaseSensitive(root, "baselines");
    if (name && !cJSON_IsString(name))
        ws_problems_add(c->problems, c->document, name, "name: expected a text");
    if (baselines && !cJSON_IsBool(baselines))
        ws_problems_add(c->problems, c->document, baselines, "baselines: expected true or false");
    if (grid && !cJSON_IsObject(grid)) {
        ws_problems_add(c->problems, c->document, grid, "grid: expected { \"KEY\": [VALUE, ...], ... }");
        grid = NULL;
    }
    for (const cJSON *key = grid ? grid->child : NULL; key; key = key->next)
        check_axis(c, key, "grid");
    check_linked(c, linked, grid);
    check_list(c, cJSON_GetObjectItemCaseSensitive(root, "list"), grid, linked);
    check_random(c, cJSON_GetObjectItemCaseSensitive(root, "random"), grid);
    check_seeds(c, cJSON_GetObjectItemCaseSensitive(root, "seeds"), grid);
    check_exclude(c, cJSON_GetObjectItemCaseSensitive(root, "exclude"));
    ws_comparison_check(document, cJSON_GetObjectItemCaseSensitive(root, "comparison"), problems);
}
