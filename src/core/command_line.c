/* Option tables on the command line. */
#include "option.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "option_value.h"

static bool same_key(const char *key, const char *given, size_t length)
{
    if (strlen(key) != length)
        return false;
    for (size_t i = 0; i < length; i++)
        if (key[i] != given[i] && !(key[i] == '_' && given[i] == '-'))
            return false;
    return true;
}

static const ws_option *find_long(const ws_option_table *table, const char *name, size_t length)
{
    for (const ws_option *option = table->fields; option->key; option++)
        if (same_key(option->key, name, length))
            return option;
    return NULL;
}

/* -o FILE and -q are the only letters. */
static const ws_option *find_letter(const ws_option_table *table, char letter)
{
    const char *key = letter == 'o' ? "output" : letter == 'q' ? "quiet" : letter == 'h' ? "help" : NULL;
    return key ? find_long(table, key, strlen(key)) : NULL;
}

static ws_err unknown(const ws_option_table *table, const char *given)
{
    const char *names[256];
    char plain[128];
    size_t count = 0;
    for (const ws_option *option = table->fields; option->key && count < 256; option++)
        names[count++] = option->key;
    snprintf(plain, sizeof plain, "%.*s", (int)strcspn(given + strspn(given, "-"), "="), given + strspn(given, "-"));
    for (char *c = plain; *c; c++)
        if (*c == '-')
            *c = '_';
    const char *closest = ws_closest_name(plain, names, count);
    ws_err error = WS_ERROR(ARGUMENT, "unknown option %s", given);
    if (closest) {
        snprintf(plain, sizeof plain, "%s", closest);
        for (char *c = plain; *c; c++)
            if (*c == '_')
                *c = '-';
        WS_HINT("did you mean --%s? --help lists the options", plain);
    } else {
        WS_HINT("--help lists the options");
    }
    return error;
}

ws_err ws_options_command_line(const ws_option_table *table, int argc, char **argv, ws_arena *arena, void *out,
                               ws_string_list *positional)
{
    WS_TRY(ws_options_default(table, arena, out));
    const char **rest;
    size_t rest_count = 0;
    WS_TRY(ws_arena_alloc(arena, &rest, (size_t)argc + 1, sizeof *rest));
    bool given[256] = {false}, ended = false;
    for (int i = 0; i < argc; i++) {
        const char *argument = argv[i];
        if (ended || argument[0] != '-' || !argument[1]) {
            rest[rest_count++] = argument;
            continue;
        }
        if (strcmp(argument, "--") == 0) {
            ended = true;
            continue;
        }
        const bool is_long = argument[1] == '-';
        const char *equals = is_long ? strchr(argument, '=') : NULL;
        const ws_option *option = is_long       ? find_long(table, argument + 2, strcspn(argument + 2, "="))
                                  : argument[2] ? NULL
                                                : find_letter(table, argument[1]);
        if (!option)
            return unknown(table, argument);
        const char *value = equals ? equals + 1 : NULL;
        if (option->type == WS_OPTION_TYPE_BOOL && !value)
            value = "true";
        if (!value) {
            WS_CHECK(i + 1 < argc, ARGUMENT, "%s needs a value", argument);
            value = argv[++i];
        }
        const size_t index = (size_t)(option - table->fields);
        const bool list = option->type == WS_OPTION_TYPE_STRING_LIST || option->type == WS_OPTION_TYPE_REPEATED;
        if (list && index < 256 && !given[index])
            *(ws_string_list *)((char *)out + option->offset) = (ws_string_list){NULL, 0}; /* the default goes */
        if (index < 256)
            given[index] = true;
        ws_text what = {0};
        ws_err error = ws_option_from_text(option, value, arena, out, &what);
        if (error == WS_OK && what.length)
            error = WS_ERROR(ARGUMENT, "%s: %s", argument, ws_text_string(&what));
        ws_text_destroy(&what);
        WS_TRY(error);
    }
    for (const ws_option *option = table->fields; option->key; option++) {
        const size_t index = (size_t)(option - table->fields);
        const ws_option *help = find_long(table, "help", 4);
        const bool helping = help && *(bool *)((char *)out + help->offset);
        WS_CHECK(!option->required || helping || (index < 256 && given[index]), ARGUMENT, "%s%s is missing: %s",
                 strcmp(option->key, "output") == 0 ? "-o, --" : "--", option->key, option->help);
    }
    *positional = (ws_string_list){rest, rest_count};
    return WS_OK;
}
