/* label_rules_read: a family's rules from JSON. Every fault is reported with its place, none stops the reading.
 *
 * Numbers of a condition are texts: "21", "1000-2000", "20-" (20 and more), and with a "!" in front what is left out.
 * Times are texts too, nanoseconds since 1970 or 2017-07-04T09:17:00.25-03:00: a double holds no time in nanoseconds.
 */
#include "dataset/label_rules.h"
#include "dataset/dataset_configs.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

typedef struct rule_text {
    const char *name, *from, *to;
    ws_string_list input, directory, protocol, source, destination, host;
    ws_string_list source_port, destination_port, forward_packets, backward_packets, forward_payload, backward_payload,
        forward_longest_payload, backward_longest_payload;
    int64_t attempted;
    bool attempted_without_payload;
    int direction;
} rule_text;

static const ws_option rule_fields[] = {
    WS_OPTION_REQUIRED_STRING(rule_text, name, "for counters and messages"),
    WS_OPTION_LIST(rule_text, input, NULL, "patterns of file names (without folder and compression suffix)"),
    WS_OPTION_LIST(rule_text, directory, NULL, "patterns; some folder of the input's path must match one"),
    WS_OPTION_STRING(rule_text, from, NULL, "first packet at or after this time"),
    WS_OPTION_STRING(rule_text, to, NULL, "first packet at or before this time"),
    WS_OPTION_LIST(rule_text, protocol, NULL, "tcp, udp or a number"),
    WS_OPTION_LIST(rule_text, source, NULL, "addresses or prefixes (10.0.0.0/8)"),
    WS_OPTION_LIST(rule_text, destination, NULL, "addresses or prefixes"),
    WS_OPTION_LIST(rule_text, host, NULL, "addresses or prefixes, one of which is an endpoint"),
    WS_OPTION_LIST(rule_text, source_port, NULL, "ports"),
    WS_OPTION_LIST(rule_text, destination_port, NULL, "ports"),
    WS_OPTION_LIST(rule_text, forward_packets, NULL, "packets from source"),
    WS_OPTION_LIST(rule_text, backward_packets, NULL, "packets to source"),
    WS_OPTION_LIST(rule_text, forward_payload, NULL, "bytes of payload from source"),
    WS_OPTION_LIST(rule_text, backward_payload, NULL, "bytes of payload to source"),
    WS_OPTION_LIST(rule_text, forward_longest_payload, NULL, "bytes of payload in the longest packet from source"),
    WS_OPTION_LIST(rule_text, backward_longest_payload, NULL, "bytes of payload in the longest packet to source"),
    WS_OPTION_INT(rule_text, attempted, -1, -1, 6, "category, where the rule's flows are attempts"),
    WS_OPTION_BOOL(rule_text, attempted_without_payload, false, "flows without payload from source are attempts (0)"),
    WS_OPTION_ENUM(rule_text, direction, "any", "any|forward", "forward: source sent the flow's first packet"),
    WS_OPTION_END};
static const ws_option_table rule_table = {"rules", sizeof(rule_text), rule_fields, "a label rule"};

typedef struct file_text {
    const char *description, *attempted_level;
    double idle_timeout, active_timeout;
    int direction;
    ws_string_list levels;
} file_text;

static const ws_option file_fields[] = {
    WS_OPTION_STRING(file_text, description, NULL, "for people"),
    WS_OPTION_STRING(file_text, attempted_level, NULL, "one more level, which shows attempts"),
    WS_OPTION_DOUBLE(file_text, idle_timeout, 0, 0, 1e6, "seconds; 0: the program's"),
    WS_OPTION_DOUBLE(file_text, active_timeout, 0, 0, 1e6, "seconds; 0: the program's"),
    WS_OPTION_ENUM(file_text, direction, "first", "first|syn|private",
                   "forward: sender of the first packet, or of the SYN, or the endpoint with a private address"),
    WS_OPTION_LIST(file_text, levels, NULL, "names of the label levels"),
    WS_OPTION_END};
static const ws_option_table file_table = {"", sizeof(file_text), file_fields, "label rules"};

typedef struct reader {
    ws_label_rules *rules;
    ws_json *document;
    ws_problems problems;
} reader;

/* ---------------------------------------------------------------- values of conditions */
/* Digits of a fixed number at *at; false where there are others. */
static bool take_digits(const char **at, int count, int *out)
{
    for (*out = 0; count > 0; count--, (*at)++) {
        if (**at < '0' || **at > '9')
            return false;
        *out = *out * 10 + (**at - '0');
    }
    return true;
}

static bool take(const char **at, char c)
{
    return **at == c && (*at)++ != NULL;
}

/* "-03:00", "+01:30" or "Z", in seconds. */
static bool take_zone(const char **at, int *out)
{
    int hours, minutes, sign = **at == '-' ? -1 : 1;
    *out = 0;
    if (take(at, 'Z'))
        return true;
    if (!take(at, '-') && !take(at, '+'))
        return false;
    if (!take_digits(at, 2, &hours) || !take(at, ':') || !take_digits(at, 2, &minutes))
        return false;
    *out = sign * (hours * 3600 + minutes * 60);
    return true;
}

static bool read_time(const char *text, int64_t *out)
{
    struct tm t = {0};
    int zone, digit;
    int64_t fraction = 0, unit = 100000000;
    const char *at = text;
    if (strchr(text, '-') == NULL)
        return ws_parse_int64(text, out);
    if (!take_digits(&at, 4, &t.tm_year) || !take(&at, '-') || !take_digits(&at, 2, &t.tm_mon) || !take(&at, '-') ||
        !take_digits(&at, 2, &t.tm_mday) || !take(&at, 'T') || !take_digits(&at, 2, &t.tm_hour) || !take(&at, ':') ||
        !take_digits(&at, 2, &t.tm_min) || !take(&at, ':') || !take_digits(&at, 2, &t.tm_sec))
        return false;
    if (take(&at, '.'))
        for (; unit > 0 && take_digits(&at, 1, &digit); unit /= 10)
            fraction += digit * unit;
    if (!take_zone(&at, &zone) || *at != '\0' || t.tm_mon < 1 || t.tm_mon > 12 || t.tm_mday < 1 || t.tm_mday > 31 ||
        t.tm_hour > 23 || t.tm_min > 59 || t.tm_sec > 59 || t.tm_year < 1970 || t.tm_year > 2200)
        return false;
    t.tm_year -= 1900;
    t.tm_mon -= 1;
    *out = ((int64_t)timegm(&t) - zone) * 1000000000 + fraction;
    return true;
}

static bool read_prefix(const char *text, ws_rule_prefix *out)
{
    char address[64];
    int64_t bits;
    const char *slash = strchr(text, '/');
    size_t length = slash == NULL ? strlen(text) : (size_t)(slash - text);
    if (length >= sizeof address)
        return false;
    memcpy(address, text, length);
    address[length] = '\0';
    memset(out->address, 0, 16);
    out->address[10] = out->address[11] = 0xFF;
    bool four = inet_pton(AF_INET, address, out->address + 12) == 1;
    if (!four && inet_pton(AF_INET6, address, out->address) != 1)
        return false;
    int most = four ? 32 : 128;
    bits = most;
    if (slash != NULL && (!ws_parse_int64(slash + 1, &bits) || bits < 0 || bits > most))
        return false;
    out->bits = (int)bits + 128 - most;
    return true;
}

static bool read_range(const char *text, ws_rule_range *out)
{
    char low[32];
    out->excluded = text[0] == '!';
    text += out->excluded;
    const char *dash = strchr(text, '-');
    size_t length = dash == NULL ? strlen(text) : (size_t)(dash - text);
    if (length == 0 || length >= sizeof low)
        return false;
    memcpy(low, text, length);
    low[length] = '\0';
    if (!ws_parse_int64(low, &out->low))
        return false;
    out->high = dash == NULL ? out->low : INT64_MAX;
    return (dash == NULL || dash[1] == '\0' || ws_parse_int64(dash + 1, &out->high)) && out->low <= out->high;
}

/* ---------------------------------------------------------------- a rule */
/* The item of a list in the document, for its place. */
static const cJSON *item_at(const cJSON *object, const char *key, size_t index)
{
    return cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(object, key), (int)index);
}

static ws_err read_prefixes(reader *r, const cJSON *object, const char *key, const ws_string_list *texts,
                            ws_rule_prefixes *out)
{
    ws_rule_prefix *items;
    WS_TRY(ws_arena_alloc(r->rules->arena, &items, texts->count, sizeof *items));
    for (size_t i = 0; i < texts->count; i++)
        if (!read_prefix(texts->items[i], &items[i]))
            ws_problems_add(&r->problems, r->document, item_at(object, key, i),
                            "%s: \"%s\" is no address and no prefix such as 10.0.0.0/8", key, texts->items[i]);
    *out = (ws_rule_prefixes){items, texts->count};
    return WS_OK;
}

static ws_err read_ranges(reader *r, const cJSON *object, const char *key, const ws_string_list *texts,
                          ws_rule_ranges *out)
{
    ws_rule_range *items;
    WS_TRY(ws_arena_alloc(r->rules->arena, &items, texts->count, sizeof *items));
    for (size_t i = 0; i < texts->count; i++)
        if (!read_range(texts->items[i], &items[i]))
            ws_problems_add(&r->problems, r->document, item_at(object, key, i),
                            "%s: \"%s\" is no number and no range such as \"1000-2000\" or \"20-\"", key,
                            texts->items[i]);
    *out = (ws_rule_ranges){items, texts->count};
    return WS_OK;
}

static void read_window(reader *r, const cJSON *object, const rule_text *text, ws_rule *out)
{
    const char *const keys[2] = {"from", "to"}, *const texts[2] = {text->from, text->to};
    int64_t *const times[2] = {&out->from_ns, &out->to_ns};
    out->from_ns = INT64_MIN;
    out->to_ns = INT64_MAX;
    for (int k = 0; k < 2; k++)
        if (texts[k] != NULL && !read_time(texts[k], times[k]))
            ws_problems_add(&r->problems, r->document, cJSON_GetObjectItemCaseSensitive(object, keys[k]),
                            "%s: \"%s\" is no time such as 2017-07-04T09:17:00-03:00 and no nanoseconds since 1970",
                            keys[k], texts[k]);
    if (out->from_ns > out->to_ns)
        ws_problems_add(&r->problems, r->document, cJSON_GetObjectItemCaseSensitive(object, "to"),
                        "to: is before from, the rule can match nothing");
}

static void read_protocols(reader *r, const cJSON *object, const rule_text *text, ws_rule *out)
{
    for (size_t i = 0; i < text->protocol.count; i++) {
        uint8_t number = ws_label_protocol(text->protocol.items[i]);
        if (number == 0 || i >= sizeof out->protocols)
            ws_problems_add(&r->problems, r->document, item_at(object, "protocol", i),
                            "protocol: \"%s\" is not known, or is one of more than 4", text->protocol.items[i]);
        else
            out->protocols[out->protocol_count++] = number;
    }
}

/* The classes a rule gives, as texts in the document; numbers come when all are known. */
static void check_classes(reader *r, const cJSON *object, const file_text *file)
{
    const cJSON *classes = cJSON_GetObjectItemCaseSensitive(object, "classes"), *one;
    if (!cJSON_IsObject(classes)) {
        ws_problems_add(&r->problems, r->document, classes != NULL ? classes : object,
                        "classes: expected an object {\"LEVEL\": \"CLASS\"}");
        return;
    }
    cJSON_ArrayForEach(one, classes)
    {
        size_t level = 0;
        while (level < file->levels.count && strcmp(file->levels.items[level], one->string) != 0)
            level++;
        if (level == file->levels.count)
            ws_problems_add(&r->problems, r->document, one, "classes: \"%s\" is not in \"levels\"", one->string);
        else if (!cJSON_IsString(one) || one->valuestring[0] == '\0')
            ws_problems_add(&r->problems, r->document, one, "classes.%s: expected the name of a class", one->string);
    }
}

static ws_err read_rule(reader *r, const cJSON *object, const char *path, const file_text *file, ws_rule *out)
{
    static const char *const extra[] = {"classes", NULL};
    rule_text text;
    if (!cJSON_IsObject(object)) {
        ws_problems_add(&r->problems, r->document, object, "%s: expected an object", path);
        return WS_OK;
    }
    WS_TRY(ws_options_read(&rule_table, r->document, object, path, extra, r->rules->arena, &text, &r->problems));
    out->name = text.name == NULL ? "" : text.name;
    out->input = text.input;
    out->directory = text.directory;
    out->forward_only = text.direction == 1;
    out->attempted = (int)text.attempted;
    out->attempted_without_payload = text.attempted_without_payload;
    r->rules->has_attempted = r->rules->has_attempted || text.attempted >= 0 || text.attempted_without_payload;
    read_window(r, object, &text, out);
    read_protocols(r, object, &text, out);
    WS_TRY(read_prefixes(r, object, "source", &text.source, &out->source));
    WS_TRY(read_prefixes(r, object, "destination", &text.destination, &out->destination));
    WS_TRY(read_prefixes(r, object, "host", &text.host, &out->host));
    const struct {
        const char *key;
        const ws_string_list *list;
    } measures[WS_RULE_MEASURES] = {
        [WS_RULE_SOURCE_PORT] = {"source_port", &text.source_port},
        [WS_RULE_DESTINATION_PORT] = {"destination_port", &text.destination_port},
        [WS_RULE_FORWARD_PACKETS] = {"forward_packets", &text.forward_packets},
        [WS_RULE_BACKWARD_PACKETS] = {"backward_packets", &text.backward_packets},
        [WS_RULE_FORWARD_PAYLOAD] = {"forward_payload", &text.forward_payload},
        [WS_RULE_BACKWARD_PAYLOAD] = {"backward_payload", &text.backward_payload},
        [WS_RULE_FORWARD_LONGEST] = {"forward_longest_payload", &text.forward_longest_payload},
        [WS_RULE_BACKWARD_LONGEST] = {"backward_longest_payload", &text.backward_longest_payload}};
    for (int m = 0; m < WS_RULE_MEASURES; m++)
        WS_TRY(read_ranges(r, object, measures[m].key, measures[m].list, &out->measures[m]));
    check_classes(r, object, file);
    return WS_OK;
}

/* ---------------------------------------------------------------- classes get numbers */
static int compare_texts(const void *left, const void *right)
{
    return strcmp(*(char *const *)left, *(char *const *)right);
}

static int32_t class_number(const ws_label_level *level, const char *name)
{
    char *const *found = bsearch(&name, level->names, level->classes, sizeof *level->names, compare_texts);
    return found == NULL ? -1 : (int32_t)(found - level->names);
}

static void sort_level(ws_label_level *level)
{
    size_t kept = 0;
    qsort(level->names, level->classes, sizeof *level->names, compare_texts);
    for (size_t i = 0; i < level->classes; i++)
        if (kept == 0 || strcmp(level->names[kept - 1], level->names[i]) != 0)
            level->names[kept++] = level->names[i];
    level->classes = kept;
}

static const char *class_text(const cJSON *object, const char *level)
{
    const cJSON *classes = cJSON_GetObjectItemCaseSensitive(object, "classes");
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(classes, level));
}

static ws_err attempted_text(ws_arena *arena, const char *class, char **out)
{
    static const char suffix[] = " - Attempted";
    WS_TRY(ws_arena_alloc(arena, out, strlen(class) + sizeof suffix, 1));
    strcpy(*out, class);
    strcat(*out, suffix);
    return WS_OK;
}

/* Classes of all rules, whether or not an input shows them: their numbers are the same for every part of a data set. */
static ws_err number_classes(reader *r, const cJSON *const *objects, const file_text *file)
{
    ws_label_rules *rules = r->rules;
    const size_t rows = rules->rule_count + rules->has_otherwise;
    char **attempts;
    WS_TRY(ws_arena_alloc(rules->arena, &attempts, rows + 1, sizeof *attempts));
    for (size_t l = 0; l < rules->level_count; l++) {
        ws_label_level *level = &rules->levels[l];
        bool shows_attempts = (int)l == rules->attempted_level;
        const char *name = shows_attempts ? file->levels.items[0] : file->levels.items[l];
        WS_TRY(ws_arena_alloc(rules->arena, &level->names, 2 * rows + 1, sizeof *level->names));
        for (size_t i = 0; i < rows; i++) {
            const ws_rule *rule = &rules->rules[i];
            const char *class = class_text(objects[i], name);
            if (class == NULL)
                continue;
            level->names[level->classes++] = (char *)(uintptr_t)ws_arena_strdup(rules->arena, class);
            if (shows_attempts && (rule->attempted >= 0 || rule->attempted_without_payload)) {
                WS_TRY(attempted_text(rules->arena, class, &attempts[i]));
                level->names[level->classes++] = attempts[i];
            }
        }
        for (size_t i = 0; i < level->classes; i++)
            WS_CHECK(level->names[i] != NULL, MEMORY, "no memory for the class names");
        sort_level(level);
        for (size_t i = 0; i < rows; i++) {
            const char *class = class_text(objects[i], name);
            rules->rules[i].classes[l] = class == NULL ? -1 : class_number(level, class);
            if (shows_attempts)
                rules->rules[i].attempted_class = attempts[i] == NULL ? -1 : class_number(level, attempts[i]);
        }
    }
    return WS_OK;
}

static ws_err name_levels(reader *r, const cJSON *root, const file_text *file)
{
    ws_label_rules *rules = r->rules;
    const cJSON *place = cJSON_GetObjectItemCaseSensitive(root, "levels");
    rules->attempted_level = -1;
    if (file->levels.count == 0 || file->levels.count >= WS_LABEL_LEVELS_MAX) {
        ws_problems_add(&r->problems, r->document, place != NULL ? place : root,
                        "levels: expected the names of 1 to %d label levels", WS_LABEL_LEVELS_MAX - 1);
        return WS_OK;
    }
    for (size_t l = 0; l <= file->levels.count; l++) {
        const char *name = l < file->levels.count ? file->levels.items[l] : file->attempted_level;
        if (name == NULL)
            break;
        bool bad = name[0] == '\0' || strchr(name, '/') != NULL || strcmp(name, "attempted") == 0;
        for (size_t k = 0; k < l; k++)
            bad = bad || strcmp(name, file->levels.items[k]) == 0;
        if (bad)
            ws_problems_add(&r->problems, r->document, place,
                            "\"%s\" cannot be a level: empty, taken, \"attempted\" or with a '/'", name);
        if (l == file->levels.count)
            rules->attempted_level = (int)l;
        rules->levels[l].name = (char *)(uintptr_t)name;
        rules->level_count = l + 1;
    }
    return WS_OK;
}

/* ---------------------------------------------------------------- the file */
static ws_err read_rules(reader *r, const cJSON *root, const file_text *file)
{
    ws_label_rules *rules = r->rules;
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(root, "rules"), *one;
    const cJSON *otherwise = cJSON_GetObjectItemCaseSensitive(root, "otherwise");
    const cJSON **objects;
    char path[64];
    if (list != NULL && !cJSON_IsArray(list))
        ws_problems_add(&r->problems, r->document, list, "rules: expected a list of rules");
    size_t count = cJSON_IsArray(list) ? (size_t)cJSON_GetArraySize(list) : 0, i = 0;
    WS_TRY(ws_arena_alloc(rules->arena, &rules->rules, count + 1, sizeof *rules->rules));
    WS_TRY(ws_arena_alloc(rules->arena, &rules->counters, count + 1, sizeof *rules->counters));
    WS_TRY(ws_arena_alloc(rules->arena, &objects, count + 1, sizeof *objects));
    rules->rule_count = count;
    rules->has_otherwise = otherwise != NULL;
    if (count > 0)
        cJSON_ArrayForEach(one, list)
        {
            snprintf(path, sizeof path, "rules[%zu]", i);
            objects[i] = one;
            WS_TRY(read_rule(r, one, path, file, &rules->rules[i++]));
        }
    objects[count] = otherwise;
    if (otherwise != NULL)
        WS_TRY(read_rule(r, otherwise, "otherwise", file, &rules->rules[count]));
    if (r->problems.count == 0)
        WS_TRY(number_classes(r, objects, file));
    return WS_OK;
}

/* Keys that `extract` reads from the same file, some of which are read here too. NULL ends. */
static ws_err list_extra(ws_arena *arena, const char ***out)
{
    size_t count = 0, at = 0;
    while (ws_extract_settings_table.fields[count].key != NULL)
        count++;
    for (size_t i = 0; ws_extract_settings_beside[i] != NULL; i++)
        count++;
    WS_TRY(ws_arena_alloc(arena, out, count + 1, sizeof **out));
    for (const ws_option *option = ws_extract_settings_table.fields; option->key != NULL; option++)
        (*out)[at++] = option->key;
    for (size_t i = 0; ws_extract_settings_beside[i] != NULL; i++)
        (*out)[at++] = ws_extract_settings_beside[i];
    (*out)[at] = NULL;
    return WS_OK;
}

static ws_err read_document(reader *r)
{
    const cJSON *root = ws_json_root(r->document);
    const char **extra;
    file_text file;
    WS_TRY(list_extra(r->rules->arena, &extra));
    WS_TRY(ws_options_read(&file_table, r->document, root, "", extra, r->rules->arena, &file, &r->problems));
    r->rules->idle_timeout = file.idle_timeout;
    r->rules->active_timeout = file.active_timeout;
    r->rules->direction_by_syn = file.direction == 1;
    r->rules->direction_by_private = file.direction == 2;
    WS_TRY(name_levels(r, root, &file));
    WS_TRY(read_rules(r, root, &file));
    return ws_problems_error(&r->problems);
}

static const ws_dataset_config *find_config(const char *family)
{
    for (const ws_dataset_config *config = ws_dataset_configs; config->family != NULL; config++)
        if (strcmp(config->family, family) == 0)
            return config;
    return NULL;
}

bool ws_label_rules_exist(const char *family)
{
    return find_config(family) != NULL;
}

static ws_err open_document(ws_json **out, const char *family, const char *file)
{
    char name[128];
    if (file != NULL)
        return ws_json_read_file(out, file);
    const ws_dataset_config *config = find_config(family);
    WS_CHECK(config != NULL, INTERNAL, "no label rules are built in for data set %s", family);
    snprintf(name, sizeof name, "configs/datasets/%s.json", family);
    return ws_json_read_text(out, config->text, name);
}

ws_err ws_label_rules_read(ws_label_rules **out, const char *family, const char *file)
{
    reader r = {0};
    WS_TRY(WS_NEW(*out));
    r.rules = *out;
    WS_TRY(ws_arena_create(&r.rules->arena, 1 << 14));
    WS_TRY(open_document(&r.document, family, file));
    ws_err error = read_document(&r);
    ws_text_destroy(&r.problems.lines);
    ws_json_destroy(&r.document);
    return error == WS_OK ? WS_OK : ws_error_pass(error, __FILE__, __LINE__, __func__);
}

void ws_label_rules_destroy(ws_label_rules **rules)
{
    if (*rules == NULL)
        return;
    ws_arena_destroy(&(*rules)->arena);
    free(*rules);
    *rules = NULL;
}

void ws_label_rules_flow(const ws_label_rules *rules, ws_flow_rules *out)
{
    if (rules->idle_timeout > 0)
        out->idle_timeout_ns = (int64_t)(rules->idle_timeout * 1e9 + 0.5);
    if (rules->active_timeout > 0)
        out->active_timeout_ns = (int64_t)(rules->active_timeout * 1e9 + 0.5);
    out->direction_by_syn = out->direction_by_syn || rules->direction_by_syn;
    out->direction_by_private = out->direction_by_private || rules->direction_by_private;
}

const ws_label_level *ws_label_rules_levels(const ws_label_rules *rules, size_t *count)
{
    *count = rules->level_count;
    return rules->levels;
}

bool ws_label_rules_attempted(const ws_label_rules *rules)
{
    return rules->has_attempted;
}
