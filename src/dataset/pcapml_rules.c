/* pcapml_rules: labels of plain captures by a file of rules; see pcapml.h. */
#include "dataset/packet_filter.h"
#include "dataset/pcapml.h"

#include <stdlib.h>
#include <unistd.h>

#define SECONDS_MOST INT64_C(9223372036) /* more do not fit nanoseconds */

typedef struct rule {
    ws_packet_filter *filter; /* NULL: any packet */
    char *file, *label, *key; /* file NULL: any capture; key NULL: none */
    int64_t from_s, to_s;     /* INT64_MIN, INT64_MAX: any time */
    uint64_t sample;
    bool of_capture; /* file, if any, is the capture that was asked for last */
} rule;

struct ws_pcapml_rules {
    rule *items;
    size_t count, capacity;
    char *capture; /* that was asked for last; NULL: none yet */
};

/* The part up to the separator, cut off there; *rest behind it, NULL at the end. */
static char *cut(char *text, char separator, char **rest)
{
    char *at = strchr(text, separator);
    *rest = at == NULL ? NULL : at + 1;
    if (at != NULL)
        *at = '\0';
    return text;
}

static ws_err copy(char **out, const char *text)
{
    *out = strdup(text);
    WS_CHECK(*out != NULL, MEMORY, "no memory for a label file");
    return WS_OK;
}

static ws_err read_seconds(const char *path, uint64_t line, const char *name, const char *text, int64_t *out)
{
    WS_CHECK(ws_parse_int64(text, out) && *out >= 0, FORMAT, "%s:%llu: %s:%s is no number of seconds since 1970", path,
             (unsigned long long)line, name, text);
    *out = *out < SECONDS_MOST ? *out : SECONDS_MOST;
    return WS_OK;
}

static ws_err read_condition(const char *path, uint64_t line, char *text, rule *out)
{
    char *value, *name = cut(text, ':', &value);
    WS_CHECK(value != NULL && value[0] != '\0', FORMAT, "%s:%llu: \"%s\" is no condition NAME:VALUE", path,
             (unsigned long long)line, name);
    if (strcmp(name, "BPF") == 0 && out->filter == NULL) {
        ws_err error = ws_packet_filter_create(&out->filter, value);
        if (error != WS_OK)
            WS_HINT("%s:%llu holds this expression", path, (unsigned long long)line);
        return error;
    }
    if (strcmp(name, "TS_START") == 0 && out->from_s == INT64_MIN)
        return read_seconds(path, line, name, value, &out->from_s);
    if (strcmp(name, "TS_END") == 0 && out->to_s == INT64_MAX)
        return read_seconds(path, line, name, value, &out->to_s);
    if (strcmp(name, "FILE") == 0 && out->file == NULL) {
        ws_input_tidy(value);
        return copy(&out->file, value);
    }
    ws_err error =
        WS_ERROR(FORMAT, "%s:%llu: condition %s is unknown, or given twice", path, (unsigned long long)line, name);
    WS_HINT("conditions are BPF:EXPRESSION, TS_START:SECONDS, TS_END:SECONDS and FILE:PATH, with | between them");
    return error;
}

static uint64_t sample_of_key(const ws_pcapml_rules *rules, const char *key, uint64_t line)
{
    for (size_t i = 0; key != NULL && i < rules->count; i++)
        if (rules->items[i].key != NULL && strcmp(rules->items[i].key, key) == 0)
            return rules->items[i].sample;
    return line - 1;
}

static ws_err read_line(ws_pcapml_rules *rules, const char *path, uint64_t line, char *text)
{
    char *rest, *conditions = cut(text, ',', &rest), *label, *key = NULL;
    WS_CHECK(rest != NULL && rest[0] != '\0' && rest[0] != ',', FORMAT,
             "%s:%llu: no label; a line is FILTER,LABEL or FILTER,LABEL,KEY", path, (unsigned long long)line);
    label = cut(rest, ',', &key);
    key = key == NULL || key[0] == '\0' ? NULL : key;
    WS_CHECK((key == NULL || strchr(key, ',') == NULL) && strlen(label) < WS_PCAPML_LABEL_BYTES, FORMAT,
             "%s:%llu: more than three fields, or a label of more than %d bytes", path, (unsigned long long)line,
             WS_PCAPML_LABEL_BYTES - 1);
    WS_TRY(WS_GROW(rules->items, rules->capacity, rules->count + 1));
    rule *own = &rules->items[rules->count];
    *own = (rule){.from_s = INT64_MIN, .to_s = INT64_MAX, .sample = sample_of_key(rules, key, line)};
    rules->count++;
    WS_TRY(copy(&own->label, label));
    if (key != NULL)
        WS_TRY(copy(&own->key, key));
    for (char *part = conditions; part != NULL;) {
        char *behind, *condition = cut(part, '|', &behind);
        WS_TRY(read_condition(path, line, condition, own));
        part = behind;
    }
    return WS_OK;
}

static ws_err read_lines(ws_pcapml_rules *rules, const char *path, char *text)
{
    uint64_t line = 0;
    for (char *at = text, *rest; at != NULL; at = rest) {
        char *own = cut(at, '\n', &rest);
        size_t length = strlen(own);
        line++;
        if (length > 0 && own[length - 1] == '\r')
            own[length - 1] = '\0';
        if (own[0] != '\0' && own[0] != '#')
            WS_TRY(read_line(rules, path, line, own));
    }
    WS_CHECK(rules->count > 0, FORMAT, "%s: no line FILTER,LABEL", path);
    return WS_OK;
}

ws_err ws_pcapml_rules_read(ws_pcapml_rules **out, const char *path)
{
    char *text;
    size_t bytes;
    *out = NULL;
    WS_TRY(ws_file_read(path, &text, &bytes));
    ws_err error = strlen(text) == bytes ? WS_NEW(*out) : WS_ERROR(FORMAT, "%s: no text: it holds a NUL", path);
    if (error == WS_OK)
        error = read_lines(*out, path, text);
    free(text);
    if (error != WS_OK)
        ws_pcapml_rules_destroy(out);
    WS_TRY(error);
    return WS_OK;
}

void ws_pcapml_rules_destroy(ws_pcapml_rules **rules)
{
    if (*rules == NULL)
        return;
    for (size_t i = 0; i < (*rules)->count; i++) {
        rule *own = &(*rules)->items[i];
        ws_packet_filter_destroy(&own->filter);
        free(own->file);
        free(own->label);
        free(own->key);
    }
    free((*rules)->items);
    free((*rules)->capture);
    free(*rules);
    *rules = NULL;
}

/* Compressed or not, as in all names of captures: labels must not depend on how a file is kept. */
static bool is_file(const char *capture, const char *wanted)
{
    const size_t length = ws_input_name_length(capture), bytes = ws_input_name_length(wanted);
    return bytes <= length && memcmp(capture + length - bytes, wanted, bytes) == 0 &&
           (bytes == length || wanted[0] == '/' || capture[length - bytes - 1] == '/');
}

/* By its path as it was named, and that behind the working folder: labels must not depend on where a user stands either. A link is not
 * followed: what it leads to has another name. */
static ws_err choose_capture(ws_pcapml_rules *rules, const char *capture)
{
    if (rules->capture != NULL && strcmp(rules->capture, capture) == 0)
        return WS_OK;
    free(rules->capture);
    WS_TRY(copy(&rules->capture, capture));
    char *folder = capture[0] == '/' ? NULL : getcwd(NULL, 0), *whole = folder == NULL ? NULL : ws_path_join(folder, capture);
    for (size_t i = 0; i < rules->count; i++) {
        rule *own = &rules->items[i];
        own->of_capture =
            own->file == NULL || is_file(capture, own->file) || (whole != NULL && is_file(whole, own->file));
    }
    free(folder);
    free(whole);
    return WS_OK;
}

ws_err ws_pcapml_rules_find(ws_pcapml_rules *rules, const char *capture, const ws_record *record, uint64_t *sample,
                            const char **label)
{
    const int64_t seconds = record->time_ns / 1000000000 - (record->time_ns % 1000000000 < 0);
    *label = NULL;
    WS_TRY(choose_capture(rules, capture));
    for (size_t i = 0; i < rules->count; i++) {
        const rule *own = &rules->items[i];
        bool accepts = own->of_capture && seconds >= own->from_s && seconds <= own->to_s;
        if (accepts && own->filter != NULL)
            WS_TRY(ws_packet_filter_accepts(own->filter, record->frame, record->captured_length, record->wire_length,
                                            record->link_type, &accepts));
        if (!accepts)
            continue;
        *sample = own->sample;
        *label = own->label;
        return WS_OK;
    }
    return WS_OK;
}
