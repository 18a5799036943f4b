/* Option tables: one table of fields gives reading from JSON and from the command line, defaults, ranges, --help and
 * --print-config. Keys equal the C field names. All errors of a configuration are collected, with file:line:column and
 * "did you mean", before anything is started.
 *
 *     typedef struct ws_train_options { int64_t steps; double learning_rate; int reduction; char *store; }
 * ws_train_options; static const ws_option fields[] = { WS_OPTION_INT(ws_train_options, steps, 20000, 1, 1e12,
 * "optimiser steps"), WS_OPTION_DOUBLE(ws_train_options, learning_rate, 1e-3, 0, 10, "peak learning rate"),
 *         WS_OPTION_ENUM(ws_train_options, reduction, "fixed", "fixed|fast", "how gradients are summed over ranks"),
 *         WS_OPTION_PATH(ws_train_options, store, NULL, "the store to train on"),
 *         WS_OPTION_END};
 *     const ws_option_table ws_train_table = {"train", sizeof(ws_train_options), fields, "training"};
 */
#ifndef WS_CORE_OPTION_H
#define WS_CORE_OPTION_H

#include <stddef.h>
#include <stdint.h>
#include "error.h"
#include "json.h"
#include "memory.h"

typedef enum ws_option_type {
    WS_OPTION_TYPE_INT,         /* int64_t */
    WS_OPTION_TYPE_DOUBLE,      /* double, finite */
    WS_OPTION_TYPE_BOOL,        /* bool */
    WS_OPTION_TYPE_STRING,      /* const char *, in the arena; NULL where the default is NULL and none is given */
    WS_OPTION_TYPE_PATH,        /* const char *, made relative to the file that names it */
    WS_OPTION_TYPE_ENUM,        /* int: index into the choices "a|b|c" */
    WS_OPTION_TYPE_STRING_LIST, /* ws_string_list; on the command line comma separated, or repeated */
    WS_OPTION_TYPE_REPEATED,    /* ws_string_list; command line only: one item each time it is given, never split */
} ws_option_type;

typedef struct ws_string_list {
    const char *const *items; /* in the arena */
    size_t count;
} ws_string_list;

typedef struct ws_option {
    const char *key; /* NULL ends the table */
    ws_option_type type;
    size_t offset;
    const char *default_text; /* as on the command line; NULL: none (strings, paths, lists) */
    double minimum, maximum;  /* INT, DOUBLE: inclusive */
    const char *choices;      /* ENUM */
    const char *help;
    bool required;
} ws_option;

typedef struct ws_option_table {
    const char *name; /* the JSON object's key, "" for the top level or a command line */
    size_t size;      /* of the struct */
    const ws_option *fields;
    const char *help;
} ws_option_table;

#define WS_OPTION_(s, f, type, text, low, high, choices, help, must)                                                   \
    {                                                                                                                  \
#f, type, offsetof(s, f), text, low, high, choices, help, must                                                 \
    }
/* the default of numbers is given as text-able literals: 20000, 1e-3 */
#define WS_OPTION_INT(s, f, value, low, high, help)                                                                    \
    WS_OPTION_(s, f, WS_OPTION_TYPE_INT, #value, (double)(low), (double)(high), NULL, help, false)
#define WS_OPTION_DOUBLE(s, f, value, low, high, help)                                                                 \
    WS_OPTION_(s, f, WS_OPTION_TYPE_DOUBLE, #value, low, high, NULL, help, false)
#define WS_OPTION_BOOL(s, f, value, help) WS_OPTION_(s, f, WS_OPTION_TYPE_BOOL, #value, 0, 0, NULL, help, false)
#define WS_OPTION_STRING(s, f, text, help) WS_OPTION_(s, f, WS_OPTION_TYPE_STRING, text, 0, 0, NULL, help, false)
#define WS_OPTION_PATH(s, f, text, help) WS_OPTION_(s, f, WS_OPTION_TYPE_PATH, text, 0, 0, NULL, help, false)
#define WS_OPTION_ENUM(s, f, text, choices, help)                                                                      \
    WS_OPTION_(s, f, WS_OPTION_TYPE_ENUM, text, 0, 0, choices, help, false)
#define WS_OPTION_LIST(s, f, text, help) WS_OPTION_(s, f, WS_OPTION_TYPE_STRING_LIST, text, 0, 0, NULL, help, false)
#define WS_OPTION_REPEATED(s, f, help) WS_OPTION_(s, f, WS_OPTION_TYPE_REPEATED, NULL, 0, 0, NULL, help, false)
#define WS_OPTION_REQUIRED_STRING(s, f, help) WS_OPTION_(s, f, WS_OPTION_TYPE_STRING, NULL, 0, 0, NULL, help, true)
#define WS_OPTION_REQUIRED_PATH(s, f, help) WS_OPTION_(s, f, WS_OPTION_TYPE_PATH, NULL, 0, 0, NULL, help, true)
#define WS_OPTION_END                                                                                                  \
    {                                                                                                                  \
        NULL, WS_OPTION_TYPE_INT, 0, NULL, 0, 0, NULL, NULL, false                                                     \
    }

/* Collects every error of a configuration; ws_problems_error turns them into one WS_E_CONFIG whose message has one line
 * a problem and ends "N errors; nothing was started", or WS_OK when there is none. Zero-initialise. */
typedef struct ws_problems {
    ws_text lines;
    size_t count;
} ws_problems;
void ws_problems_add(ws_problems *problems, const ws_json *document, const cJSON *value, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
WS_MUST ws_err ws_problems_error(ws_problems *problems); /* and destroys the list */

/* Fills `out` (a struct of table->size bytes) with defaults, strings in the arena. */
WS_MUST ws_err ws_options_default(const ws_option_table *table, ws_arena *arena, void *out);
/* Reads `object` (NULL: all defaults) into out. Unknown keys, wrong types and values out of range go to problems with
 * the key path `path`.key; `extra_keys` (NULL-terminated or NULL) are keys the caller reads itself (sub-objects). */
WS_MUST ws_err ws_options_read(const ws_option_table *table, const ws_json *document, const cJSON *object,
                               const char *path, const char *const *extra_keys, ws_arena *arena, void *out,
                               ws_problems *problems);
/* The effective values as a JSON object, every key present, in table order. NULL when out of memory. */
cJSON *ws_options_print(const ws_option_table *table, const void *values);
/* Takes out of an object, as ws_options_print made it, the members that have their default; `kept` (may be NULL) stays. */
void ws_options_drop_defaults(const ws_option_table *table, const char *kept, cJSON *object);
/* Help text: one line an option with its default and range. style_json: "key (default 5, 1..9)"; else "--key=VALUE". */
WS_MUST ws_err ws_options_help(const ws_option_table *table, bool style_json, ws_text *out);

/* Command line: options `--gradient-shards 8`, `--gradient-shards=8` (dashes for underscores), a one-letter `-o` for
 * the key "output", `-q` for "quiet"; a BOOL takes no value; what is no option is positional; `--` ends options; --help
 * and
 * --trace and --json are ordinary BOOL fields of the tables that want them. Errors are WS_E_ARGUMENT with "did you
 * mean". */
WS_MUST ws_err ws_options_command_line(const ws_option_table *table, int argc, char **argv, ws_arena *arena, void *out,
                                       ws_string_list *positional);

#endif
