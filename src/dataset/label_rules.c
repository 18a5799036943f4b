/* label_rules: which rule speaks of a flow. Reads no files, see label_rules_read.c. */
#include "dataset/label_rules.h"

#include <fnmatch.h>
#include <stdlib.h>

/* ---------------------------------------------------------------- which inputs a rule speaks of */
static bool matches_pattern(const ws_string_list *patterns, const char *text)
{
    for (size_t i = 0; i < patterns->count; i++)
        if (fnmatch(patterns->items[i], text, FNM_CASEFOLD) == 0)
            return true;
    return false;
}

/* Some folder of the path. */
static bool matches_folder(const ws_string_list *patterns, char *path)
{
    char *save = NULL, *part = strtok_r(path, "/", &save);
    for (char *next; part != NULL; part = next) {
        next = strtok_r(NULL, "/", &save);
        if (next != NULL && matches_pattern(patterns, part))
            return true;
    }
    return false;
}

/* Compression says nothing of the content. */
static void cut_compression(char *name)
{
    static const char *const suffixes[] = {".gz", ".zst", ".xz", ".bz2"};
    size_t length = strlen(name);
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++) {
        size_t bytes = strlen(suffixes[i]);
        if (length > bytes && strcmp(name + length - bytes, suffixes[i]) == 0)
            name[length - bytes] = '\0';
    }
}

ws_err ws_label_rules_bind(ws_label_rules *rules, const ws_string_list *inputs)
{
    size_t rows = rules->rule_count + 1;
    WS_TRY(ws_arena_alloc(rules->arena, &rules->speaks, inputs->count * rows, 1));
    for (size_t i = 0; i < inputs->count; i++) {
        char *path = ws_format("%s", inputs->items[i]), *name = ws_format("%s", ws_path_base(inputs->items[i]));
        ws_err error = path == NULL || name == NULL ? WS_ERROR(MEMORY, "no memory for the name of an input") : WS_OK;
        if (error == WS_OK)
            cut_compression(name);
        for (size_t r = 0; error == WS_OK && r < rows; r++) {
            const ws_rule *rule = &rules->rules[r];
            strcpy(path, inputs->items[i]); /* the search for folders cuts it */
            rules->speaks[i * rows + r] = (rule->input.count == 0 || matches_pattern(&rule->input, name)) &&
                                          (rule->directory.count == 0 || matches_folder(&rule->directory, path));
        }
        free(path);
        free(name);
        WS_TRY(error);
    }
    return WS_OK;
}

/* ---------------------------------------------------------------- one rule, one flow */
/* A flow as seen from one of its ends. */
typedef struct oriented_flow {
    const uint8_t *source, *destination;
    int64_t measures[WS_RULE_MEASURES];
} oriented_flow;

static oriented_flow orient(const ws_flow *flow, bool reversed)
{
    bool from_low = flow->forward_is_low != reversed;
    int f = reversed, b = !reversed;
    return (oriented_flow){
        .source = from_low ? flow->key.low_address : flow->key.high_address,
        .destination = from_low ? flow->key.high_address : flow->key.low_address,
        .measures = {[WS_RULE_SOURCE_PORT] = from_low ? flow->key.low_port : flow->key.high_port,
                     [WS_RULE_DESTINATION_PORT] = from_low ? flow->key.high_port : flow->key.low_port,
                     [WS_RULE_FORWARD_PACKETS] = (int64_t)flow->packets[f],
                     [WS_RULE_BACKWARD_PACKETS] = (int64_t)flow->packets[b],
                     [WS_RULE_FORWARD_PAYLOAD] = (int64_t)flow->payload_bytes[f],
                     [WS_RULE_BACKWARD_PAYLOAD] = (int64_t)flow->payload_bytes[b],
                     [WS_RULE_FORWARD_LONGEST] = (int64_t)flow->longest_payload[f],
                     [WS_RULE_BACKWARD_LONGEST] = (int64_t)flow->longest_payload[b]}};
}

static bool in_prefix(const uint8_t address[16], const ws_rule_prefix *prefix)
{
    int whole = prefix->bits / 8, rest = prefix->bits % 8;
    return memcmp(address, prefix->address, (size_t)whole) == 0 &&
           (rest == 0 || (address[whole] ^ prefix->address[whole]) >> (8 - rest) == 0);
}

static bool in_prefixes(const uint8_t address[16], const ws_rule_prefixes *prefixes)
{
    for (size_t i = 0; i < prefixes->count; i++)
        if (in_prefix(address, &prefixes->items[i]))
            return true;
    return prefixes->count == 0;
}

/* In one of the ranges, where there are some, and in none of the excluded ones. */
static bool in_ranges(int64_t value, const ws_rule_ranges *ranges)
{
    bool wanted = false, found = false;
    for (size_t i = 0; i < ranges->count; i++) {
        bool inside = value >= ranges->items[i].low && value <= ranges->items[i].high;
        if (inside && ranges->items[i].excluded)
            return false;
        wanted = wanted || !ranges->items[i].excluded;
        found = found || (inside && !ranges->items[i].excluded);
    }
    return found || !wanted;
}

static bool matches_oriented(const ws_rule *rule, const oriented_flow *flow)
{
    for (int m = 0; m < WS_RULE_MEASURES; m++)
        if (!in_ranges(flow->measures[m], &rule->measures[m]))
            return false;
    return in_prefixes(flow->source, &rule->source) && in_prefixes(flow->destination, &rule->destination) &&
           (rule->host.count == 0 || in_prefixes(flow->source, &rule->host) ||
            in_prefixes(flow->destination, &rule->host));
}

static bool has_protocol(const ws_rule *rule, uint8_t protocol)
{
    for (size_t i = 0; i < rule->protocol_count; i++)
        if (rule->protocols[i] == protocol)
            return true;
    return rule->protocol_count == 0;
}

/* *payload: what the rule's source sent. */
static bool matches(const ws_rule *rule, const ws_flow *flow, const oriented_flow ways[2], int64_t *payload)
{
    if (flow->first_ns < rule->from_ns || flow->first_ns > rule->to_ns || !has_protocol(rule, flow->key.protocol))
        return false;
    for (int way = 0; way < (rule->forward_only ? 1 : 2); way++)
        if (matches_oriented(rule, &ways[way])) {
            *payload = ways[way].measures[WS_RULE_FORWARD_PAYLOAD];
            return true;
        }
    return false;
}

/* 0, or 1 + category. */
static uint8_t attempt_of(const ws_rule *rule, int64_t payload)
{
    if (rule->attempted >= 0)
        return (uint8_t)(1 + rule->attempted);
    return rule->attempted_without_payload && payload == 0;
}

static void apply(const ws_label_rules *rules, const ws_rule *rule, uint8_t attempt, int32_t *classes)
{
    for (size_t l = 0; l < rules->level_count; l++)
        classes[l] = attempt ? -1 : rule->classes[l];
    if (rules->attempted_level >= 0 && attempt)
        classes[rules->attempted_level] = rule->attempted_class;
}

/* Both name a class at some level, and not the same. */
static bool contradicts(const ws_label_rules *rules, const ws_rule *a, const ws_rule *b)
{
    for (size_t l = 0; l < rules->level_count; l++)
        if (a->classes[l] >= 0 && b->classes[l] >= 0 && a->classes[l] != b->classes[l])
            return true;
    return false;
}

int ws_label_rules_find(ws_label_rules *rules, const ws_flow *flow, int32_t *classes, uint8_t *attempted)
{
    const size_t rows = rules->rule_count + 1;
    const oriented_flow ways[2] = {orient(flow, false), orient(flow, true)};
    int found = WS_RULE_NONE;
    for (size_t l = 0; l < rules->level_count; l++)
        classes[l] = -1;
    *attempted = 0;
    for (size_t r = 0; r < rows; r++) {
        const ws_rule *rule = &rules->rules[r];
        bool otherwise = r == rules->rule_count;
        int64_t payload = 0;
        if (!rules->speaks[flow->input * rows + r] || (otherwise && (!rules->has_otherwise || found != WS_RULE_NONE)))
            continue;
        rules->counters[r].asked++;
        if (!matches(rule, flow, ways, &payload))
            continue;
        if (found != WS_RULE_NONE) {
            rules->counters[r].overridden += contradicts(rules, &rules->rules[found], rule);
            continue;
        }
        found = otherwise ? WS_RULE_OTHERWISE : (int)r;
        *attempted = attempt_of(rule, payload);
        apply(rules, rule, *attempted, classes);
        rules->counters[r].matched++;
        rules->counters[r].attempted += *attempted != 0;
    }
    return found;
}

/* ---------------------------------------------------------------- counters */
ws_err ws_label_rules_report_all(const ws_comm *comm, const ws_label_rules *rules, ws_text *out)
{
    const size_t rows = rules->rule_count + 1, words = sizeof *rules->counters / sizeof(uint64_t);
    struct ws_rule_counters *sums = NULL;
    WS_AGREE(comm, WS_NEW_ARRAY(sums, rows));
    memcpy(sums, rules->counters, rows * sizeof *sums);
    ws_err error = ws_sum_u64_all(comm, (uint64_t *)sums, rows * words);
    cJSON *list = cJSON_CreateArray();
    for (size_t r = 0; error == WS_OK && r < rows - !rules->has_otherwise; r++) {
        cJSON *one = cJSON_CreateObject();
        cJSON_AddStringToObject(one, "name", rules->rules[r].name);
        cJSON_AddNumberToObject(one, "asked", (double)sums[r].asked);
        cJSON_AddNumberToObject(one, "matched", (double)sums[r].matched);
        cJSON_AddNumberToObject(one, "overridden", (double)sums[r].overridden);
        cJSON_AddNumberToObject(one, "attempted", (double)sums[r].attempted);
        cJSON_AddItemToArray(list, one);
        if (comm->rank == 0 && (sums[r].matched > 0 || sums[r].overridden > 0))
            ws_info("  rule %s: %llu flows, %llu of them attempts; %llu more went to an earlier rule",
                    rules->rules[r].name, (unsigned long long)sums[r].matched, (unsigned long long)sums[r].attempted,
                    (unsigned long long)sums[r].overridden);
    }
    if (error == WS_OK)
        error = ws_json_canonical(list, out);
    cJSON_Delete(list);
    free(sums);
    WS_TRY(error);
    return WS_OK;
}
