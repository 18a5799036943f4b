/* Option tables: values from JSON and defaults, printing, help. The command line is in command_line.c. */
#include "option.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "option_value.h"

void ws_problems_add(ws_problems *problems, const ws_json *document, const cJSON *value, const char *format, ...)
{
    char position[512] = "";
    if (document)
        ws_json_position(document, value, position);
    if (problems->count++)
        ws_text_append(&problems->lines, "\n");
    ws_text_appendf(&problems->lines, "%s%serror: ", position, position[0] ? ": " : "");
    va_list arguments;
    va_start(arguments, format);
    ws_text_vappendf(&problems->lines, format, arguments);
    va_end(arguments);
}

ws_err ws_problems_error(ws_problems *problems)
{
    ws_err error = WS_OK;
    if (problems->count)
        error = WS_ERROR(CONFIG, "%s\n%zu error%s; nothing was started", ws_text_string(&problems->lines),
                         problems->count, problems->count == 1 ? "" : "s");
    ws_text_destroy(&problems->lines);
    problems->count = 0;
    return error;
}

size_t ws_option_choice_count(const char *choices)
{
    size_t count = 1;
    for (; *choices; choices++)
        count += *choices == '|';
    return count;
}

const char *ws_option_choice(const char *choices, size_t index, size_t *length)
{
    while (index--)
        choices = strchr(choices, '|') + 1;
    *length = strcspn(choices, "|");
    return choices;
}

int ws_option_find_choice(const char *choices, const char *text)
{
    size_t length;
    for (size_t i = 0; i < ws_option_choice_count(choices); i++) {
        const char *choice = ws_option_choice(choices, i, &length);
        if (strlen(text) == length && memcmp(choice, text, length) == 0)
            return (int)i;
    }
    return -1;
}

/* NULL when fine, otherwise what is wrong, for "KEY: WHAT". */
static const char *check_range(const ws_option *option, double value, ws_text *what)
{
    if (value >= option->minimum && value <= option->maximum)
        return NULL;
    char given[32], low[32], high[32];
    ws_format_double(value, given);
    ws_format_double(option->minimum, low);
    ws_format_double(option->maximum, high);
    ws_text_appendf(what, "%s is out of range, allowed is %s to %s", given, low, high);
    return ws_text_string(what);
}

static const char *unknown_choice(const ws_option *option, const char *text, ws_text *what)
{
    ws_text_appendf(what, "\"%s\" is not one of ", text);
    for (size_t i = 0, count = ws_option_choice_count(option->choices), length; i < count; i++) {
        const char *choice = ws_option_choice(option->choices, i, &length);
        ws_text_appendf(what, "%s%.*s", i ? ", " : "", (int)length, choice);
    }
    return ws_text_string(what);
}

ws_err ws_option_from_text(const ws_option *option, const char *text, ws_arena *arena, void *values, ws_text *what)
{
    void *field = (char *)values + option->offset;
    switch (option->type) {
    case WS_OPTION_TYPE_INT: {
        int64_t value;
        double as_double; /* 1e6 is an integer too */
        if (!ws_parse_int64(text, &value)) {
            if (!ws_parse_double(text, &as_double) || as_double != rint(as_double) || fabs(as_double) > 0x1p53) {
                ws_text_appendf(what, "%s is not an integer", text);
                return WS_OK;
            }
            value = (int64_t)as_double;
        }
        if (!check_range(option, (double)value, what))
            *(int64_t *)field = value;
        return WS_OK;
    }
    case WS_OPTION_TYPE_DOUBLE: {
        double value;
        if (!ws_parse_double(text, &value))
            ws_text_appendf(what, "%s is not a finite number", text);
        else if (!check_range(option, value, what))
            *(double *)field = value;
        return WS_OK;
    }
    case WS_OPTION_TYPE_BOOL:
        if (strcmp(text, "true") != 0 && strcmp(text, "false") != 0)
            ws_text_appendf(what, "%s is neither true nor false", text);
        else
            *(bool *)field = text[0] == 't';
        return WS_OK;
    case WS_OPTION_TYPE_ENUM: {
        const int choice = ws_option_find_choice(option->choices, text);
        if (choice < 0)
            unknown_choice(option, text, what);
        else
            *(int *)field = choice;
        return WS_OK;
    }
    case WS_OPTION_TYPE_STRING:
    case WS_OPTION_TYPE_PATH: {
        const char *copy = ws_arena_strdup(arena, text);
        WS_CHECK(copy, MEMORY, "%s could not be kept", option->key);
        *(const char **)field = copy;
        return WS_OK;
    }
    case WS_OPTION_TYPE_STRING_LIST:
    case WS_OPTION_TYPE_REPEATED: {
        ws_string_list *list = field;
        const bool split = option->type == WS_OPTION_TYPE_STRING_LIST;
        size_t more = 1;
        for (const char *c = text; *c; c++)
            more += *c == ',';
        const char **items;
        WS_TRY(ws_arena_alloc(arena, &items, list->count + more, sizeof *items));
        if (list->count)
            memcpy(items, list->items, list->count * sizeof *items);
        size_t count = list->count;
        char *copy;
        WS_TRY(ws_arena_alloc(arena, &copy, strlen(text) + 1, 1));
        strcpy(copy, text);
        for (char *at = copy; at;) {
            char *comma = split ? strchr(at, ',') : NULL;
            if (comma)
                *comma++ = '\0';
            if (*at)
                items[count++] = at;
            at = comma;
        }
        *list = (ws_string_list){items, count};
        return WS_OK;
    }
    }
    WS_FAIL(INTERNAL, "option %s has no type", option->key);
}

ws_err ws_options_default(const ws_option_table *table, ws_arena *arena, void *out)
{
    memset(out, 0, table->size);
    for (const ws_option *option = table->fields; option->key; option++) {
        ws_text what = {0};
        if (option->default_text)
            WS_TRY(ws_option_from_text(option, option->default_text, arena, out, &what));
        const bool wrong = what.length > 0;
        ws_text_destroy(&what);
        WS_CHECK(!wrong, INTERNAL, "the default of %s.%s is not valid", table->name, option->key);
    }
    return WS_OK;
}

static const char *type_name(ws_option_type type)
{
    static const char *const names[] = {"an integer", "a number", "true or false",     "a string",
                                        "a path",     "a word",   "a list of strings", "a list of strings"};
    return names[type];
}

static ws_err path_from_file(const ws_json *document, const char *text, ws_arena *arena, const char **out)
{
    char *directory = ws_path_directory(ws_json_name(document));
    char *joined = directory ? ws_path_join(strcmp(directory, ".") == 0 ? "" : directory, text) : NULL;
    *out = joined ? ws_arena_strdup(arena, joined) : NULL;
    free(directory);
    free(joined);
    WS_CHECK(*out, MEMORY, "the path %s could not be kept", text);
    return WS_OK;
}

static ws_err list_from_json(const cJSON *value, ws_arena *arena, ws_string_list *out, bool *fits)
{
    const char **items;
    size_t count = 0;
    WS_TRY(ws_arena_alloc(arena, &items, (size_t)cJSON_GetArraySize(value) + 1, sizeof *items));
    for (const cJSON *item = value->child; item; item = item->next) {
        *fits = *fits && cJSON_IsString(item);
        if (!*fits)
            return WS_OK;
        items[count] = ws_arena_strdup(arena, item->valuestring);
        WS_CHECK(items[count], MEMORY, "a list could not be kept");
        count++;
    }
    *out = (ws_string_list){items, count};
    return WS_OK;
}

/* A list that was given as one text, "a,b", is asked for as it must be written, ["a", "b"]. */
static void ask_for_list(const char *text, ws_text *what)
{
    ws_text_append(what, "expected a list of strings: [");
    for (const char *at = text, *end; at; at = *end ? end + 1 : NULL) {
        end = at + strcspn(at, ",");
        ws_text_appendf(what, "%s\"%.*s\"", at == text ? "" : ", ", (int)(end - at), at);
    }
    ws_text_append(what, "]");
}

/* Puts a JSON value into the field; what is wrong goes to `what`. */
static ws_err read_value(const ws_option *option, const ws_json *document, const cJSON *value, ws_arena *arena,
                         void *out, ws_text *what)
{
    void *field = (char *)out + option->offset;
    char number[32];
    bool fits = true;
    switch (option->type) {
    case WS_OPTION_TYPE_INT:
    case WS_OPTION_TYPE_DOUBLE:
        fits = cJSON_IsNumber(value);
        if (!fits)
            break;
        if (option->type == WS_OPTION_TYPE_INT && value->valuedouble != rint(value->valuedouble)) {
            ws_format_double(value->valuedouble, number);
            ws_text_appendf(what, "%s is not an integer", number);
        } else if (!check_range(option, value->valuedouble, what)) {
            if (option->type == WS_OPTION_TYPE_INT)
                *(int64_t *)field = (int64_t)value->valuedouble;
            else
                *(double *)field = value->valuedouble;
        }
        return WS_OK;
    case WS_OPTION_TYPE_BOOL:
        fits = cJSON_IsBool(value);
        if (fits)
            *(bool *)field = cJSON_IsTrue(value);
        break;
    case WS_OPTION_TYPE_STRING:
    case WS_OPTION_TYPE_ENUM:
        fits = cJSON_IsString(value);
        if (fits)
            WS_TRY(ws_option_from_text(option, value->valuestring, arena, out, what));
        break;
    case WS_OPTION_TYPE_PATH:
        fits = cJSON_IsString(value);
        if (fits)
            WS_TRY(path_from_file(document, value->valuestring, arena, field));
        break;
    case WS_OPTION_TYPE_STRING_LIST:
    case WS_OPTION_TYPE_REPEATED:
        fits = cJSON_IsArray(value);
        if (fits)
            WS_TRY(list_from_json(value, arena, field, &fits));
        else if (cJSON_IsString(value))
            ask_for_list(value->valuestring, what);
        break;
    }
    if (!fits && what->length == 0)
        ws_text_appendf(what, "expected %s", type_name(option->type));
    return WS_OK;
}

static const ws_option *find_option(const ws_option_table *table, const char *key)
{
    for (const ws_option *option = table->fields; option->key; option++)
        if (strcmp(option->key, key) == 0)
            return option;
    return NULL;
}

static bool is_extra(const char *const *extra_keys, const char *key)
{
    for (; extra_keys && *extra_keys; extra_keys++)
        if (strcmp(*extra_keys, key) == 0)
            return true;
    return false;
}

static ws_err unknown_key(const ws_option_table *table, const char *const *extra_keys, const ws_json *document,
                          const cJSON *value, const char *prefix, ws_problems *problems)
{
    const char *names[256];
    size_t count = 0;
    for (const ws_option *option = table->fields; option->key && count < 256; option++)
        names[count++] = option->key;
    for (; extra_keys && *extra_keys && count < 256; extra_keys++)
        names[count++] = *extra_keys;
    const char *closest = ws_closest_name(value->string, names, count);
    if (closest)
        ws_problems_add(problems, document, value, "%s%s: unknown key. Did you mean \"%s\"?", prefix, value->string,
                        closest);
    else
        ws_problems_add(problems, document, value, "%s%s: unknown key", prefix, value->string);
    return WS_OK;
}

ws_err ws_options_read(const ws_option_table *table, const ws_json *document, const cJSON *object, const char *path,
                       const char *const *extra_keys, ws_arena *arena, void *out, ws_problems *problems)
{
    WS_TRY(ws_options_default(table, arena, out));
    char prefix[256] = "";
    if (path[0])
        snprintf(prefix, sizeof prefix, "%s.", path);
    if (object && !cJSON_IsObject(object)) {
        ws_problems_add(problems, document, object, "%s: expected an object { ... }", path[0] ? path : "configuration");
        return WS_OK;
    }
    for (const cJSON *value = object ? object->child : NULL; value; value = value->next) {
        const ws_option *option = find_option(table, value->string);
        if (!option) {
            if (!is_extra(extra_keys, value->string))
                WS_TRY(unknown_key(table, extra_keys, document, value, prefix, problems));
            continue;
        }
        ws_text what = {0};
        ws_err error = cJSON_IsNull(value) && !option->default_text
                           ? WS_OK
                           : read_value(option, document, value, arena, out, &what);
        if (error == WS_OK && what.length)
            ws_problems_add(problems, document, value, "%s%s: %s", prefix, option->key, ws_text_string(&what));
        ws_text_destroy(&what);
        WS_TRY(error);
    }
    for (const ws_option *option = table->fields; option->key; option++)
        if (option->required && (!object || !cJSON_GetObjectItemCaseSensitive(object, option->key)))
            ws_problems_add(problems, document, object, "%s%s is missing: %s", prefix, option->key, option->help);
    return WS_OK;
}

cJSON *ws_options_print(const ws_option_table *table, const void *values)
{
    cJSON *object = cJSON_CreateObject();
    for (const ws_option *option = table->fields; option->key && object; option++) {
        const void *field = (const char *)values + option->offset;
        cJSON *item = NULL;
        size_t length;
        switch (option->type) {
        case WS_OPTION_TYPE_INT:
            item = cJSON_CreateNumber((double)*(const int64_t *)field);
            break;
        case WS_OPTION_TYPE_DOUBLE:
            item = cJSON_CreateNumber(*(const double *)field);
            break;
        case WS_OPTION_TYPE_BOOL:
            item = cJSON_CreateBool(*(const bool *)field);
            break;
        case WS_OPTION_TYPE_ENUM: {
            const char *choice = ws_option_choice(option->choices, (size_t) * (const int *)field, &length);
            char *word = strndup(choice, length);
            item = word ? cJSON_CreateString(word) : NULL;
            free(word);
            break;
        }
        case WS_OPTION_TYPE_STRING:
        case WS_OPTION_TYPE_PATH: {
            const char *text = *(const char *const *)field;
            item = text ? cJSON_CreateString(text) : cJSON_CreateNull();
            break;
        }
        case WS_OPTION_TYPE_STRING_LIST:
        case WS_OPTION_TYPE_REPEATED: {
            const ws_string_list *list = field;
            item = list->count ? cJSON_CreateStringArray(list->items, (int)list->count) : cJSON_CreateArray();
            break;
        }
        }
        if (!item || !cJSON_AddItemToObject(object, option->key, item)) {
            cJSON_Delete(item);
            cJSON_Delete(object);
            return NULL;
        }
    }
    return object;
}

static bool list_is(const cJSON *list, const char *text)
{
    ws_text joined = {0};
    for (const cJSON *item = list->child; item; item = item->next)
        ws_text_appendf(&joined, "%s%s", item == list->child ? "" : ",", cJSON_IsString(item) ? item->valuestring : "");
    const bool same = !joined.out_of_memory && strcmp(ws_text_string(&joined), text ? text : "") == 0;
    ws_text_destroy(&joined);
    return same;
}

static bool is_default(const ws_option *option, const cJSON *value)
{
    const char *text = option->default_text;
    switch (option->type) {
    case WS_OPTION_TYPE_INT:
    case WS_OPTION_TYPE_DOUBLE:
        return text && cJSON_IsNumber(value) && strtod(text, NULL) == value->valuedouble;
    case WS_OPTION_TYPE_BOOL:
        return text && cJSON_IsBool(value) && (strcmp(text, "true") == 0) == (bool)cJSON_IsTrue(value);
    case WS_OPTION_TYPE_ENUM:
    case WS_OPTION_TYPE_STRING:
    case WS_OPTION_TYPE_PATH:
        return text ? cJSON_IsString(value) && strcmp(text, value->valuestring) == 0 : cJSON_IsNull(value);
    case WS_OPTION_TYPE_STRING_LIST:
    case WS_OPTION_TYPE_REPEATED:
        return cJSON_IsArray(value) && list_is(value, text);
    }
    return false;
}

void ws_options_drop_defaults(const ws_option_table *table, const char *kept, cJSON *object)
{
    for (const ws_option *option = table->fields; option->key; option++) {
        cJSON *value = cJSON_GetObjectItemCaseSensitive(object, option->key);
        if (value && !(kept && strcmp(kept, option->key) == 0) && is_default(option, value))
            cJSON_Delete(cJSON_DetachItemViaPointer(object, value));
    }
}

static void describe_values(const ws_option *option, ws_text *out)
{
    if (option->type == WS_OPTION_TYPE_ENUM)
        ws_text_appendf(out, " [%s", option->choices);
    else if (option->type == WS_OPTION_TYPE_INT || option->type == WS_OPTION_TYPE_DOUBLE) {
        char low[32], high[32];
        ws_format_double(option->minimum, low);
        ws_format_double(option->maximum, high);
        ws_text_appendf(out, " [%s..%s", low, high);
    } else if (option->type == WS_OPTION_TYPE_BOOL || !option->default_text) {
        ws_text_append(out, option->required ? " (required)" : "");
        return;
    } else {
        ws_text_append(out, " [");
    }
    if (option->default_text)
        ws_text_appendf(out, "%sdefault %s", out->data[out->length - 1] == '[' ? "" : "; ",
                        option->default_text[0] ? option->default_text : "\"\"");
    ws_text_append(out, option->required ? "; required]" : "]");
}

ws_err ws_options_help(const ws_option_table *table, bool style_json, ws_text *out)
{
    static const char *const arguments[] = {"N", "X", "", "TEXT", "PATH", "WORD", "A,B,...", "TEXT"};
    for (const ws_option *option = table->fields; option->key; option++) {
        char left[128];
        if (style_json) {
            snprintf(left, sizeof left, "%s%s%s", table->name, table->name[0] ? "." : "", option->key);
        } else {
            snprintf(left, sizeof left, "--%s%s%s", option->key, arguments[option->type][0] ? " " : "",
                     arguments[option->type]);
            for (char *c = left; *c && *c != ' '; c++)
                if (*c == '_')
                    *c = '-';
        }
        ws_text_appendf(out, "  %-28s %s", left, option->help);
        describe_values(option, out);
        ws_text_append(out, "\n");
    }
    return ws_text_check(out);
}
