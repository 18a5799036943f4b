/* Which files are one input of the store: rotated captures and the like, whose flows go on from file to file. By the settings
 * `groups` (patterns, each of which makes one input of the files that match it) and `join` (what becomes of the others).
 *
 * The files of an input follow each other by the time of their first record, those of one time by path, those without records
 * last; an input has the name of its first file, and inputs are in the order of the paths of those. So what a store holds
 * depends neither on the command line nor on where files were cut. Does not read files: first times come with their headers.
 */
#include "dataset/extract_append.h"

#include <fnmatch.h>
#include <stdlib.h>

typedef struct member {
    const char *path;
    size_t pattern;    /* the first of the groups that it matches; their count: none */
    size_t key_length; /* of the path: what files that are joined have in common */
    size_t at, leader; /* in the order of paths: the file, and the first one of its input */
    int64_t first_ns;
} member;

bool extract_joins(const extraction *x)
{
    return x->options->join != WS_JOIN_NONE || x->options->groups.count > 0;
}

bool extract_is_joined(const extraction *x)
{
    return x->group_count - x->old_groups < x->input_count;
}

/* Against as many last parts of the path as the pattern has; compressed or not. */
static bool matches(const char *pattern, const char *path)
{
    enum { FLAGS = FNM_PATHNAME | FNM_EXTMATCH };
    int parts = 1;
    for (const char *at = pattern; *at != '\0'; at++)
        parts += *at == '/';
    char *plain = strndup(path, ws_input_name_length(path));
    const bool found = fnmatch(pattern, extract_path_tail(path, parts), FLAGS) == 0 ||
                       (plain != NULL && fnmatch(pattern, extract_path_tail(plain, parts), FLAGS) == 0);
    free(plain);
    return found;
}

static member describe(const extraction *x, size_t at)
{
    const ws_string_list *groups = &x->options->groups;
    const char *path = x->inputs[at].path;
    member one = {.path = path, .at = at, .first_ns = x->inputs[at].first_ns};
    while (one.pattern < groups->count && !matches(groups->items[one.pattern], path))
        one.pattern++;
    if (one.pattern < groups->count || x->options->join == WS_JOIN_ALL)
        one.key_length = 0;
    else
        one.key_length = x->options->join == WS_JOIN_DIRECTORY ? (size_t)(ws_path_base(path) - path) : strlen(path);
    return one;
}

static int compare_keys(const member *a, const member *b)
{
    if (a->pattern != b->pattern)
        return a->pattern < b->pattern ? -1 : 1;
    const int order = memcmp(a->path, b->path, a->key_length < b->key_length ? a->key_length : b->key_length);
    return order != 0 ? order : (a->key_length > b->key_length) - (a->key_length < b->key_length);
}

static int compare_times(const member *a, const member *b)
{
    if (a->first_ns != b->first_ns)
        return a->first_ns < b->first_ns ? -1 : 1;
    return (a->at > b->at) - (a->at < b->at);
}

static int by_key(const void *left, const void *right)
{
    const int order = compare_keys(left, right);
    return order != 0 ? order : compare_times(left, right);
}

static int by_leader(const void *left, const void *right)
{
    const member *a = left, *b = right;
    if (a->leader != b->leader)
        return a->leader < b->leader ? -1 : 1;
    return compare_times(a, b);
}

/* A pattern that is misspelt would go unnoticed; one whose files could not be read is another matter. */
static ws_err check_patterns(const extraction *x, const member *members)
{
    const ws_string_list *groups = &x->options->groups;
    for (size_t p = 0; p < groups->count && x->skipped_count == 0; p++) {
        size_t at = 0;
        while (at < x->input_count && members[at].pattern != p)
            at++;
        if (at < x->input_count)
            continue;
        ws_err error = WS_ERROR(CONFIG, "groups: no input is of the group \"%s\"", groups->items[p]);
        WS_HINT(
            "a pattern is compared with as many last parts of a path as it has, and a file is of the first group that "
            "it matches");
        return error;
    }
    return WS_OK;
}

static ws_err take_order(extraction *x, const member *members)
{
    extract_input *inputs = NULL;
    WS_TRY(ws_arena_alloc(x->arena, &inputs, x->input_count, sizeof *inputs));
    x->group_count = x->old_groups = x->append != NULL ? x->append->names.count : 0;
    WS_TRY(ws_arena_alloc(x->arena, &x->groups, x->old_groups + x->input_count, sizeof *x->groups));
    for (size_t i = 0; i < x->input_count; i++) {
        if (i == 0 || members[i].leader != members[i - 1].leader)
            x->groups[x->group_count++] = (extract_group){.first = i, .newest_ns = INT64_MIN};
        inputs[i] = x->inputs[members[i].at];
        inputs[i].group = (uint32_t)(x->group_count - 1);
        x->groups[x->group_count - 1].count++;
    }
    x->inputs = inputs;
    return WS_OK;
}

ws_err extract_join_inputs(extraction *x)
{
    member *members = NULL;
    WS_TRY(ws_arena_alloc(x->arena, &members, x->input_count, sizeof *members));
    for (size_t i = 0; i < x->input_count; i++)
        members[i] = describe(x, i);
    WS_TRY(check_patterns(x, members));
    qsort(members, x->input_count, sizeof *members, by_key);
    for (size_t i = 0; i < x->input_count; i++)
        members[i].leader =
            i > 0 && compare_keys(&members[i - 1], &members[i]) == 0 ? members[i - 1].leader : members[i].at;
    qsort(members, x->input_count, sizeof *members, by_leader);
    return take_order(x, members);
}

ws_err extract_join_names(extraction *x, const ws_string_list *plain_paths)
{
    const char **names = NULL, **paths = NULL, **plain = NULL;
    WS_TRY(ws_arena_alloc(x->arena, &names, x->group_count, sizeof *names));
    WS_TRY(ws_arena_alloc(x->arena, &paths, x->group_count, sizeof *paths));
    WS_TRY(ws_arena_alloc(x->arena, &plain, x->group_count, sizeof *plain));
    for (size_t g = 0; g < x->group_count; g++) {
        const bool old = g < x->old_groups;
        const size_t first = x->groups[g].first;
        names[g] = old ? x->append->names.items[g] : x->names.items[first];
        paths[g] = old ? "" : x->inputs[first].path;
        plain[g] = old ? "" : plain_paths->items[first];
    }
    x->group_names = (ws_string_list){names, x->group_count};
    x->first_paths = (ws_string_list){paths, x->group_count};
    x->plain_paths = (ws_string_list){plain, x->group_count};
    return WS_OK;
}

static ws_err hash_group(const extraction *x, const extract_group *group, const ws_string_list *files, const char **out)
{
    ws_text lines = {0};
    char hex[65];
    *out = files->items[group->first];
    if (group->count == 1)
        return WS_OK;
    for (size_t i = group->first; i < group->first + group->count; i++)
        ws_text_appendf(&lines, "%s\n", files->items[i]);
    ws_err error = ws_text_check(&lines);
    const ws_digest digest = ws_sha256_of(ws_text_string(&lines), lines.length);
    ws_text_destroy(&lines);
    WS_TRY(error);
    ws_digest_hex(&digest, hex);
    *out = ws_arena_strdup(x->arena, hex);
    WS_CHECK(*out != NULL, MEMORY, "out of memory for the hashes of %zu inputs", x->group_count);
    return WS_OK;
}

ws_err extract_join_hashes(const extraction *x, const ws_string_list *files, ws_string_list *out)
{
    const char **items = NULL;
    WS_TRY(ws_arena_alloc(x->arena, &items, x->group_count, sizeof *items));
    for (size_t g = 0; g < x->group_count; g++)
        if (g < x->old_groups)
            items[g] = x->append->sha256.items[g];
        else
            WS_TRY(hash_group(x, &x->groups[g], files, &items[g]));
    *out = (ws_string_list){items, x->group_count};
    return WS_OK;
}
