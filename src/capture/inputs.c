/* Input lists: arguments to the paths of captures, in the one order in which inputs are processed. Opens captures
 * only to tell them from other files of a directory. */
#include "capture.h"

#include <dirent.h>
#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { LIST_DEPTH = 8 }; /* list files that name list files */

typedef struct input {
    const char *path;   /* in the arena */
    const char *reason; /* likewise: why it cannot be read; "": it may be */
    size_t key;         /* length of the path without compression suffix */
    dev_t device;
    ino_t node;
} input;

typedef struct input_list {
    ws_arena *arena;
    input *items;
    size_t count, capacity;
    bool tables;  /* of directories, also files named as tables are */
    bool lenient; /* what is named and cannot be read is an input with a reason */
} input_list;

static const char *const compression_suffixes[] = {".gz", ".zst", ".xz", ".bz2"};
static const char *const capture_suffixes[] = {".pcap", ".pcapng", ".cap", ".dmp", ".dump", ".ntar", ".erf", ".snoop"};

static const char *const table_suffixes[] = {".csv", ".tsv", ".arff"};

static bool ends_with(const char *text, size_t length, const char *suffix)
{
    size_t bytes = strlen(suffix);
    return length > bytes && strncasecmp(text + length - bytes, suffix, bytes) == 0;
}

size_t ws_input_name_length(const char *path)
{
    size_t length = strlen(path);
    for (size_t i = 0; i < sizeof compression_suffixes / sizeof *compression_suffixes; i++)
        if (ends_with(path, length, compression_suffixes[i]))
            return length - strlen(compression_suffixes[i]);
    return length;
}

void ws_input_tidy(char *path)
{
    char *to = path;
    for (const char *from = path; *from;) {
        bool at_start = from == path || from[-1] == '/';
        if (at_start && from[0] == '.' && from[1] == '/' && from[2])
            from += 2;
        else if (from > path && from[0] == '/' && from[-1] == '/')
            from++;
        else
            *to++ = *from++;
    }
    *to = 0;
}

static ws_err add_input(input_list *list, const char *path, const struct stat *status, const char *reason)
{
    WS_TRY(WS_GROW(list->items, list->capacity, list->count + 1));
    char *copy;
    WS_TRY(ws_arena_alloc(list->arena, &copy, strlen(path) + 1, 1));
    strcpy(copy, path);
    ws_input_tidy(copy);
    const char *why = ws_arena_strdup(list->arena, reason);
    WS_CHECK(why != NULL, MEMORY, "%s: out of memory", path);
    list->items[list->count++] = (input){copy, why, ws_input_name_length(copy), status->st_dev, status->st_ino};
    return WS_OK;
}

static ws_err add_file(input_list *list, const char *path, const struct stat *status)
{
    return add_input(list, path, status, "");
}

/* What `error` says of the path is its reason, where that is asked for. */
static ws_err add_unreadable(input_list *list, const char *path, ws_err error)
{
    if (!list->lenient)
        return error;
    error = add_input(list, path, &(struct stat){0}, ws_error_message());
    if (error == WS_OK)
        ws_error_clear();
    return error;
}

/* Files of a directory that are meant as captures: by name, or by their magic. */
static bool looks_like_capture(const char *path)
{
    size_t key = ws_input_name_length(path);
    for (size_t i = 0; i < sizeof capture_suffixes / sizeof *capture_suffixes; i++)
        if (ends_with(path, key, capture_suffixes[i]))
            return true;
    return ws_capture_has_magic(path);
}

static bool looks_like_table(const char *path)
{
    size_t key = ws_input_name_length(path);
    for (size_t i = 0; i < sizeof table_suffixes / sizeof *table_suffixes; i++)
        if (ends_with(path, key, table_suffixes[i]))
            return true;
    return false;
}

static ws_err add_directory(input_list *list, const char *path);

/* An entry of a directory. Hidden names, links to directories and what is no capture are left out. A link that leads nowhere,
 * as of data that were not fetched, counts by its name: opening it says so. */
static ws_err add_entry(input_list *list, const char *path)
{
    struct stat link, target;
    if (lstat(path, &link) != 0)
        return errno == ENOENT ? WS_OK /* it was removed just now */
                               : add_unreadable(list, path, WS_ERROR(IO, "%s: %s", path, strerror(errno)));
    const bool leads_nowhere = stat(path, &target) != 0;
    if (leads_nowhere)
        target = link;
    if (S_ISDIR(link.st_mode))
        return add_directory(list, path);
    if ((S_ISREG(target.st_mode) || leads_nowhere) &&
        (looks_like_capture(path) || (list->tables && looks_like_table(path))))
        return add_file(list, path, &target);
    return WS_OK;
}

static ws_err add_directory(input_list *list, const char *path)
{
    DIR *directory = opendir(path);
    if (directory == NULL)
        return add_unreadable(list, path, WS_ERROR(IO, "%s: cannot read this directory: %s", path, strerror(errno)));
    ws_err error = WS_OK;
    for (struct dirent *entry; error == WS_OK && (entry = readdir(directory));) {
        if (entry->d_name[0] == '.')
            continue;
        char *name = ws_path_join(path, entry->d_name);
        error = name ? add_entry(list, name) : WS_ERROR(MEMORY, "%s: out of memory", path);
        free(name);
    }
    closedir(directory);
    WS_TRY(error);
    return WS_OK;
}

/* A file or directory that was named, so it must be there. */
static ws_err add_path(input_list *list, const char *path)
{
    struct stat status;
    if (stat(path, &status) != 0)
        return add_unreadable(list, path, WS_ERROR(ARGUMENT, "%s: %s", path, strerror(errno)));
    if (!S_ISDIR(status.st_mode))
        return add_file(list, path, &status);
    const size_t before = list->count;
    WS_TRY(add_directory(list, path));
    return list->count > before ? WS_OK
                                : add_unreadable(list, path,
                                                 WS_ERROR(ARGUMENT, "%s: no %s in this directory", path,
                                                          list->tables ? "captures or tables" : "captures"));
}

/* A glob's matches; each may be a file or a directory. */
static ws_err add_glob(input_list *list, const char *pattern)
{
    glob_t matches = {0};
    int status = glob(pattern, GLOB_NOSORT, NULL, &matches);
    ws_err error = WS_OK;
    if (status == GLOB_NOMATCH)
        error = add_unreadable(list, pattern, WS_ERROR(ARGUMENT, "%s: no file matches this pattern", pattern));
    else if (status != 0)
        error = WS_ERROR(IO, "%s: the pattern cannot be expanded", pattern);
    for (size_t i = 0; error == WS_OK && i < matches.gl_pathc; i++)
        error = add_path(list, matches.gl_pathv[i]);
    globfree(&matches);
    WS_TRY(error);
    return WS_OK;
}

static ws_err add_argument(input_list *list, const char *argument, int depth);

/* One line of a list file, relative to its folder; empty lines and # comments say nothing. */
static ws_err add_line(input_list *list, const char *folder, char *line, int depth)
{
    line[strcspn(line, "\r\n")] = 0;
    if (!*line || *line == '#')
        return WS_OK;
    const char *name = *line == '@' ? line + 1 : line;
    char *joined = ws_path_join(strcmp(folder, ".") == 0 ? "" : folder, name);
    char *argument = joined ? ws_format("%s%s", *line == '@' ? "@" : "", joined) : NULL;
    ws_err error = argument ? add_argument(list, argument, depth) : WS_ERROR(MEMORY, "%s: out of memory", line);
    free(argument);
    free(joined);
    return error;
}

static ws_err add_list(input_list *list, const char *path, int depth)
{
    WS_CHECK(depth < LIST_DEPTH, ARGUMENT, "@%s: list files name each other more than %d deep", path, LIST_DEPTH);
    const char *why;
    FILE *file = ws_open_regular(path, &why);
    WS_CHECK(file, ARGUMENT, "@%s: cannot open this list: %s", path, why);
    char *folder = ws_path_directory(path);
    ws_err error = folder ? WS_OK : WS_ERROR(MEMORY, "%s: out of memory", path);
    char *line = NULL;
    size_t capacity = 0;
    while (error == WS_OK && getline(&line, &capacity, file) >= 0)
        error = add_line(list, folder, line, depth + 1);
    if (error == WS_OK && ferror(file))
        error = WS_ERROR(IO, "@%s: cannot read this list: %s", path, strerror(errno));
    free(line);
    free(folder);
    fclose(file);
    WS_TRY(error);
    return WS_OK;
}

static ws_err add_argument(input_list *list, const char *argument, int depth)
{
    if (argument[0] == '@')
        return add_list(list, argument + 1, depth);
    struct stat status;
    if (stat(argument, &status) != 0 && errno == ENOENT && strpbrk(argument, "*?["))
        return add_glob(list, argument);
    return add_path(list, argument);
}

static int by_path(const void *left, const void *right)
{
    const input *a = left, *b = right;
    int order = memcmp(a->path, b->path, a->key < b->key ? a->key : b->key);
    if (order == 0 && a->key != b->key)
        order = a->key < b->key ? -1 : 1;
    return order ? order : strcmp(a->path, b->path);
}

static int by_node(const void *left, const void *right)
{
    const input *a = left, *b = right;
    if (a->device != b->device)
        return a->device < b->device ? -1 : 1;
    if (a->node != b->node)
        return a->node < b->node ? -1 : 1;
    return by_path(left, right);
}

/* What cannot be read has no node. */
static bool is_same_file(const input *a, const input *b)
{
    return a->device == b->device && a->node == b->node && (a->reason[0] == '\0' || strcmp(a->path, b->path) == 0);
}

/* Of several names of one file the first in order stays. */
static void remove_duplicates(input_list *list)
{
    qsort(list->items, list->count, sizeof *list->items, by_node);
    size_t kept = 0;
    for (size_t i = 0; i < list->count; i++) {
        if (kept == 0 || !is_same_file(&list->items[kept - 1], &list->items[i]))
            list->items[kept++] = list->items[i];
    }
    list->count = kept;
}

static ws_err expand(const ws_string_list *arguments, input_list *list, ws_string_list *out, ws_string_list *reasons)
{
    for (size_t i = 0; i < arguments->count; i++)
        WS_TRY(add_argument(list, arguments->items[i], 0));
    WS_CHECK(list->count > 0, ARGUMENT, "no input captures were given");
    remove_duplicates(list);
    qsort(list->items, list->count, sizeof *list->items, by_path);
    const char **items, **why;
    WS_TRY(ws_arena_alloc(list->arena, &items, list->count, sizeof *items));
    WS_TRY(ws_arena_alloc(list->arena, &why, list->count, sizeof *why));
    for (size_t i = 0; i < list->count; i++) {
        items[i] = list->items[i].path;
        why[i] = list->items[i].reason;
    }
    *out = (ws_string_list){items, list->count};
    if (reasons != NULL)
        *reasons = (ws_string_list){why, list->count};
    return WS_OK;
}

ws_err ws_inputs_expand_named(const ws_string_list *arguments, bool tables, ws_arena *arena, ws_string_list *out,
                              ws_string_list *reasons)
{
    input_list list = {.arena = arena, .tables = tables, .lenient = reasons != NULL};
    *out = (ws_string_list){0};
    ws_err error = expand(arguments, &list, out, reasons);
    free(list.items);
    WS_TRY(error);
    return WS_OK;
}

ws_err ws_inputs_expand(const ws_string_list *arguments, ws_arena *arena, ws_string_list *out)
{
    return ws_inputs_expand_named(arguments, false, arena, out, NULL);
}
