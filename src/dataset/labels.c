/* labels: rows of label files, sorted once, found by binary search. Knows no file format: adapters hand rows in. */
#include "dataset/label_rules.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct label_entry {
    ws_label_row row;
    uint32_t scope;
    uint64_t order; /* in which it came; also where its classes are: classes[order * levels] */
} label_entry;

typedef struct label_scope {
    char *name;
    uint32_t id;
} label_scope;

/* Class names of a level: names in order of appearance, and slots of a hash table over them. */
typedef struct label_names {
    char **names;
    size_t count, capacity;
    uint32_t *slots; /* index + 1, 0 empty */
    size_t slot_count;
} label_names;

struct ws_label_source {
    ws_label_level *levels; /* names made by finish */
    label_names *tables;
    size_t level_count;
    label_entry *entries;
    size_t count, capacity;
    int32_t *classes;
    size_t class_capacity;
    label_scope *scopes; /* sorted by name */
    size_t scope_count, scope_capacity, scope_last;
    uint32_t *scope_of_input;
    ws_label_counters *by_input; /* flows, matched */
    ws_label_counters *by_scope; /* rows, ambiguous; made by finish */
    size_t input_count;
    uint64_t malformed;
    char *first_malformed;
    ws_label_rules *rules; /* NULL: labels come from rows */
    ws_label_reading reading;
    ws_label_samples samples; /* context NULL: none */
};

/* ---------------------------------------------------------------- scopes */
/* Position of `name` in the sorted list, or where it belongs. */
static size_t scope_position(const ws_label_source *source, const char *name, bool *found)
{
    size_t low = 0, high = source->scope_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (strcmp(source->scopes[middle].name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *found = low < source->scope_count && strcmp(source->scopes[low].name, name) == 0;
    return low;
}

bool ws_label_source_find_scope(ws_label_source *source, const char *name, uint32_t *scope)
{
    /* Rows of one capture usually follow one another. */
    bool found = source->scope_last < source->scope_count && strcmp(source->scopes[source->scope_last].name, name) == 0;
    size_t at = found ? source->scope_last : scope_position(source, name, &found);
    if (found) {
        source->scope_last = at;
        *scope = source->scopes[at].id;
    }
    return found;
}

ws_err ws_label_source_set_scope(ws_label_source *source, size_t input, const char *name, uint32_t *scope)
{
    bool found;
    size_t at = scope_position(source, name, &found);
    if (!found) {
        WS_TRY(WS_GROW(source->scopes, source->scope_capacity, source->scope_count + 1));
        char *copy = ws_format("%s", name);
        WS_CHECK(copy != NULL, MEMORY, "no memory for the name %s", name);
        memmove(source->scopes + at + 1, source->scopes + at, (source->scope_count - at) * sizeof *source->scopes);
        source->scopes[at] = (label_scope){copy, (uint32_t)source->scope_count++};
    }
    *scope = source->scopes[at].id;
    source->scope_of_input[input] = *scope;
    return WS_OK;
}

/* ---------------------------------------------------------------- rows in */
ws_err ws_label_source_levels(ws_label_source *source, const char *const *names, size_t count)
{
    WS_CHECK(count <= WS_LABEL_LEVELS_MAX, FORMAT, "%zu label columns; at most %d are supported", count,
             WS_LABEL_LEVELS_MAX);
    WS_TRY(WS_NEW_ARRAY(source->levels, count));
    WS_TRY(WS_NEW_ARRAY(source->tables, count));
    source->level_count = count;
    for (size_t l = 0; l < count; l++) {
        source->levels[l].name = ws_format("%s", names[l]);
        WS_CHECK(source->levels[l].name != NULL, MEMORY, "no memory for the label level %s", names[l]);
    }
    return WS_OK;
}

static ws_err rehash_names(label_names *table)
{
    size_t slot_count = table->slot_count == 0 ? 64 : table->slot_count * 2;
    uint32_t *slots;
    WS_TRY(WS_NEW_ARRAY(slots, slot_count));
    for (size_t i = 0; i < table->count; i++) {
        size_t at = ws_hash64(table->names[i], strlen(table->names[i]), 0) % slot_count;
        while (slots[at] != 0)
            at = (at + 1) % slot_count;
        slots[at] = (uint32_t)i + 1;
    }
    free(table->slots);
    table->slots = slots;
    table->slot_count = slot_count;
    return WS_OK;
}

static ws_err intern_name(label_names *table, const char *name, int32_t *out)
{
    if (table->count * 2 >= table->slot_count)
        WS_TRY(rehash_names(table));
    size_t at = ws_hash64(name, strlen(name), 0) % table->slot_count;
    for (; table->slots[at] != 0; at = (at + 1) % table->slot_count)
        if (strcmp(table->names[table->slots[at] - 1], name) == 0) {
            *out = (int32_t)table->slots[at] - 1;
            return WS_OK;
        }
    WS_TRY(WS_GROW(table->names, table->capacity, table->count + 1));
    table->names[table->count] = ws_format("%s", name);
    WS_CHECK(table->names[table->count] != NULL, MEMORY, "no memory for the class name %s", name);
    table->slots[at] = (uint32_t)++table->count;
    *out = (int32_t)table->count - 1;
    return WS_OK;
}

ws_err ws_label_source_add(ws_label_source *source, uint32_t scope, const ws_label_row *row, const char *const *classes)
{
    WS_TRY(WS_GROW(source->entries, source->capacity, source->count + 1));
    WS_TRY(WS_GROW(source->classes, source->class_capacity, (source->count + 1) * source->level_count + 1));
    int32_t *out = source->classes + source->count * source->level_count;
    for (size_t l = 0; l < source->level_count; l++) {
        out[l] = -1;
        if (classes[l] != NULL && classes[l][0] != '\0')
            WS_TRY(intern_name(&source->tables[l], classes[l], &out[l]));
    }
    label_entry *entry = &source->entries[source->count];
    memset(entry, 0, sizeof *entry);
    entry->row = *row;
    entry->scope = scope;
    entry->order = source->count++;
    if (!row->has_time)
        entry->row.first_ns = 0;
    return WS_OK;
}

void ws_label_source_malformed(ws_label_source *source, const char *file, uint64_t line, const char *why)
{
    if (source->malformed++ == 0)
        source->first_malformed = ws_format("%s:%llu: %s", file, (unsigned long long)line, why);
}

uint64_t ws_label_source_first_malformed(const ws_label_source *source, const char **first)
{
    *first = source->first_malformed != NULL ? source->first_malformed : "";
    return source->malformed;
}

static bool parse_address(const char *text, uint8_t out[16])
{
    if (inet_pton(AF_INET6, text, out) == 1)
        return true;
    memset(out, 0, 16);
    out[10] = out[11] = 0xFF;
    return inet_pton(AF_INET, text, out + 12) == 1;
}

bool ws_label_key(ws_flow_key *key, uint8_t protocol, const char *source, uint16_t source_port, const char *destination,
                  uint16_t destination_port)
{
    ws_packet packet;
    memset(&packet, 0, sizeof packet);
    packet.protocol = protocol;
    packet.source_port = source_port;
    packet.destination_port = destination_port;
    if (!parse_address(source, packet.source) || !parse_address(destination, packet.destination))
        return false;
    bool source_is_low;
    ws_flow_key_of(&packet, key, &source_is_low);
    return true;
}

uint8_t ws_label_protocol(const char *text)
{
    static const struct {
        const char *name;
        uint8_t number;
    } known[] = {{"TCP", 6}, {"UDP", 17}, {"ICMP", 1}, {"ICMPV6", 58}, {"SCTP", 132}, {"IGMP", 2}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcasecmp(text, known[i].name) == 0)
            return known[i].number;
    int64_t number;
    return ws_parse_int64(text, &number) && number > 0 && number < 256 ? (uint8_t)number : 0;
}

/* ---------------------------------------------------------------- sorting */
static int compare_places(const label_entry *a, const label_entry *b)
{
    if (a->scope != b->scope)
        return a->scope < b->scope ? -1 : 1;
    int order = memcmp(&a->row.key, &b->row.key, sizeof a->row.key);
    if (order != 0)
        return order;
    if (a->row.any_port != b->row.any_port)
        return a->row.any_port ? 1 : -1;
    if (a->row.has_time != b->row.has_time)
        return a->row.has_time ? 1 : -1;
    return (a->row.first_ns > b->row.first_ns) - (a->row.first_ns < b->row.first_ns);
}

static int compare_entries(const void *left, const void *right)
{
    const label_entry *a = left, *b = right;
    int order = compare_places(a, b);
    return order != 0 ? order : (a->order > b->order) - (a->order < b->order);
}

static int compare_texts(const void *left, const void *right)
{
    return strcmp(*(char *const *)left, *(char *const *)right);
}

/* Sorts the class names of a level bytewise and renumbers the rows. */
static ws_err sort_classes(ws_label_source *source, size_t level)
{
    label_names *table = &source->tables[level];
    ws_label_level *out = &source->levels[level];
    WS_TRY(WS_NEW_ARRAY(out->names, table->count));
    out->classes = table->count;
    if (table->count == 0)
        return WS_OK;
    memcpy(out->names, table->names, table->count * sizeof *out->names);
    qsort(out->names, table->count, sizeof *out->names, compare_texts);
    int32_t *rank;
    WS_TRY(WS_NEW_ARRAY(rank, table->count));
    for (size_t i = 0; i < table->count; i++) {
        char **found = bsearch(&table->names[i], out->names, table->count, sizeof *out->names, compare_texts);
        rank[i] = (int32_t)(found - out->names);
    }
    for (size_t i = 0; i < source->count; i++) {
        int32_t *class = &source->classes[i * source->level_count + level];
        if (*class >= 0)
            *class = rank[*class];
    }
    free(rank);
    table->count = 0; /* the names belong to the level now */
    return WS_OK;
}

static ws_err finish_source(ws_label_source *source)
{
    for (size_t l = 0; l < source->level_count; l++)
        WS_TRY(sort_classes(source, l));
    WS_TRY(WS_NEW_ARRAY(source->by_scope, source->scope_count));
    if (source->count > 0)
        qsort(source->entries, source->count, sizeof *source->entries, compare_entries);
    size_t kept = 0;
    for (size_t i = 0; i < source->count; i++) {
        const label_entry *entry = &source->entries[i];
        source->by_scope[entry->scope].rows++;
        if (kept > 0 && compare_places(&source->entries[kept - 1], entry) == 0) {
            size_t bytes = source->level_count * sizeof *source->classes;
            if (memcmp(source->classes + source->entries[kept - 1].order * source->level_count,
                       source->classes + entry->order * source->level_count, bytes) != 0)
                source->by_scope[entry->scope].ambiguous++;
            continue;
        }
        source->entries[kept++] = *entry;
    }
    source->count = kept;
    return WS_OK;
}

static ws_err create_source(ws_label_source **out, const ws_string_list *inputs)
{
    ws_label_source *source;
    WS_TRY(WS_NEW(source));
    *out = source;
    source->input_count = inputs->count;
    WS_TRY(WS_NEW_ARRAY(source->by_input, inputs->count));
    WS_TRY(WS_NEW_ARRAY(source->scope_of_input, inputs->count));
    for (size_t i = 0; i < inputs->count; i++)
        source->scope_of_input[i] = UINT32_MAX;
    return WS_OK;
}

ws_err ws_labels_open_rules(ws_label_source **out, ws_label_rules **rules, const ws_string_list *inputs)
{
    WS_TRY(create_source(out, inputs));
    (*out)->rules = *rules;
    *rules = NULL;
    return ws_label_rules_bind((*out)->rules, inputs);
}

void ws_label_source_set_samples(ws_label_source *source, const ws_label_samples *samples)
{
    source->samples = *samples;
}

const ws_label_samples *ws_labels_samples(const ws_label_source *source)
{
    return source->samples.context != NULL ? &source->samples : NULL;
}

const ws_label_reading *ws_label_source_reading(const ws_label_source *source)
{
    return &source->reading;
}

ws_err ws_labels_open(ws_label_source **out, const ws_dataset_adapter *adapter, const char *labels,
                      const ws_string_list *inputs)
{
    return ws_labels_open_reading(out, adapter, labels, inputs, &(ws_label_reading){.stamps = adapter->stamps});
}

ws_err ws_labels_open_reading(ws_label_source **out, const ws_dataset_adapter *adapter, const char *labels,
                              const ws_string_list *inputs, const ws_label_reading *reading)
{
    WS_TRY(create_source(out, inputs));
    ws_label_source *source = *out;
    source->reading = *reading;
    WS_CHECK(adapter->open_labels != NULL || labels == NULL, ARGUMENT, "data set %s takes no --labels", adapter->name);
    if (adapter->open_labels != NULL)
        WS_TRY(adapter->open_labels(source, labels, inputs));
    return finish_source(source);
}

void ws_labels_destroy(ws_label_source **out)
{
    ws_label_source *source = *out;
    if (source == NULL)
        return;
    for (size_t l = 0; l < source->level_count; l++) {
        for (size_t i = 0; i < source->levels[l].classes; i++)
            free(source->levels[l].names[i]);
        for (size_t i = 0; i < source->tables[l].count; i++)
            free(source->tables[l].names[i]);
        free(source->levels[l].name);
        free(source->levels[l].names);
        free(source->tables[l].names);
        free(source->tables[l].slots);
    }
    for (size_t i = 0; i < source->scope_count; i++)
        free(source->scopes[i].name);
    if (source->samples.context != NULL)
        source->samples.destroy(source->samples.context);
    free(source->levels);
    free(source->tables);
    free(source->entries);
    free(source->classes);
    free(source->scopes);
    free(source->scope_of_input);
    free(source->by_input);
    free(source->by_scope);
    free(source->first_malformed);
    ws_label_rules_destroy(&source->rules);
    free(source);
    *out = NULL;
}

/* ---------------------------------------------------------------- asking */
const ws_label_level *ws_labels_levels(const ws_label_source *source, size_t *count)
{
    if (source->rules != NULL)
        return ws_label_rules_levels(source->rules, count);
    *count = source->level_count;
    return source->levels;
}

bool ws_labels_tell_attempts(const ws_label_source *source)
{
    return source->rules != NULL && ws_label_rules_attempted(source->rules);
}

/* First entry not before `wanted`. */
static size_t lower_bound(const ws_label_source *source, const label_entry *wanted)
{
    size_t low = 0, high = source->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (compare_places(&source->entries[middle], wanted) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The entry of exactly this key: one whose time lies within the flow, else one without time. */
static const label_entry *find_entry(const ws_label_source *source, label_entry *wanted, const ws_flow *flow)
{
    wanted->row.has_time = true;
    wanted->row.first_ns = flow->first_ns;
    size_t at = lower_bound(source, wanted);
    if (at < source->count) {
        const label_entry *entry = &source->entries[at];
        wanted->row.first_ns = entry->row.first_ns;
        if (compare_places(entry, wanted) == 0 && entry->row.first_ns <= flow->last_ns)
            return entry;
    }
    wanted->row.has_time = false;
    wanted->row.first_ns = 0;
    at = lower_bound(source, wanted);
    return at < source->count && compare_places(&source->entries[at], wanted) == 0 ? &source->entries[at] : NULL;
}

bool ws_labels_find(ws_label_source *source, const ws_flow *flow, int32_t *classes, uint8_t *attempted)
{
    *attempted = 0;
    source->by_input[flow->input].flows++;
    if (source->rules != NULL) {
        bool matched = ws_label_rules_find(source->rules, flow, classes, attempted) != WS_RULE_NONE;
        source->by_input[flow->input].matched += matched;
        return matched;
    }
    for (size_t l = 0; l < source->level_count; l++)
        classes[l] = -1;
    label_entry wanted;
    memset(&wanted, 0, sizeof wanted);
    wanted.scope = source->scope_of_input[flow->input];
    if (wanted.scope == UINT32_MAX)
        return false;
    wanted.row.key = flow->key;
    const label_entry *entry = find_entry(source, &wanted, flow);
    if (entry == NULL) {
        /* Without ports the order of the endpoints is that of the addresses, as it is in the flow's key. */
        wanted.row.key.low_port = wanted.row.key.high_port = 0;
        wanted.row.any_port = true;
        entry = find_entry(source, &wanted, flow);
    }
    if (entry == NULL)
        return false;
    memcpy(classes, source->classes + entry->order * source->level_count, source->level_count * sizeof *classes);
    source->by_input[flow->input].matched++;
    return true;
}

ws_err ws_labels_report_all(const ws_comm *comm, const ws_label_source *source, ws_label_counters *total, ws_text *out)
{
    uint64_t *sums;
    WS_AGREE(comm, WS_NEW_ARRAY(sums, 2 * source->input_count));
    for (size_t i = 0; i < source->input_count; i++) {
        sums[2 * i] = source->by_input[i].flows;
        sums[2 * i + 1] = source->by_input[i].matched;
    }
    ws_err error = ws_sum_u64_all(comm, sums, 2 * source->input_count);
    memset(total, 0, sizeof *total);
    total->malformed = source->malformed;
    ws_text inputs = {0};
    for (size_t i = 0; i < source->input_count; i++) {
        static const ws_label_counters none;
        uint32_t scope = source->scope_of_input[i];
        const ws_label_counters *rows = scope == UINT32_MAX ? &none : &source->by_scope[scope];
        ws_text_appendf(&inputs, "%s{\"flows\":%llu,\"matched\":%llu,\"rows\":%llu,\"ambiguous\":%llu}",
                        i == 0 ? "" : ",", (unsigned long long)sums[2 * i], (unsigned long long)sums[2 * i + 1],
                        (unsigned long long)rows->rows, (unsigned long long)rows->ambiguous);
        total->flows += sums[2 * i];
        total->matched += sums[2 * i + 1];
    }
    for (size_t s = 0; s < source->scope_count; s++) {
        total->rows += source->by_scope[s].rows;
        total->ambiguous += source->by_scope[s].ambiguous;
    }
    free(sums);
    if (source->first_malformed != NULL && comm->rank == 0)
        ws_warn("labels that cannot be used: %llu, the first one: %s", (unsigned long long)source->malformed,
                source->first_malformed);
    if (source->rules != NULL && comm->rank == 0 && total->flows > total->matched)
        ws_info("  %llu of %llu flows match no label rule", (unsigned long long)(total->flows - total->matched),
                (unsigned long long)total->flows);
    ws_text rules = {0};
    if (error == WS_OK && source->rules != NULL)
        error = ws_label_rules_report_all(comm, source->rules, &rules);
    if (out != NULL)
        ws_text_appendf(out,
                        "{\"flows\":%llu,\"matched\":%llu,\"rows\":%llu,\"ambiguous\":%llu,\"malformed\":%llu,"
                        "\"inputs\":[%s]%s%s}",
                        (unsigned long long)total->flows, (unsigned long long)total->matched,
                        (unsigned long long)total->rows, (unsigned long long)total->ambiguous,
                        (unsigned long long)total->malformed, ws_text_string(&inputs),
                        rules.length > 0 ? ",\"rules\":" : "", ws_text_string(&rules));
    ws_text_destroy(&inputs);
    ws_text_destroy(&rules);
    WS_TRY(error);
    return WS_OK;
}

static size_t count_words(const ws_label_source *source)
{
    const size_t rules = source->rules == NULL
                             ? 0
                             : (source->rules->rule_count + 1) * sizeof *source->rules->counters / sizeof(uint64_t);
    return 2 * source->input_count + rules;
}

ws_err ws_labels_counters_get(const ws_label_source *source, uint64_t **out, size_t *count)
{
    *count = count_words(source);
    WS_TRY(WS_NEW_ARRAY(*out, *count));
    for (size_t i = 0; i < source->input_count; i++) {
        (*out)[2 * i] = source->by_input[i].flows;
        (*out)[2 * i + 1] = source->by_input[i].matched;
    }
    const size_t rules = *count - 2 * source->input_count;
    if (rules > 0)
        memcpy(*out + 2 * source->input_count, source->rules->counters, rules * sizeof **out);
    return WS_OK;
}

ws_err ws_labels_counters_set(ws_label_source *source, const uint64_t *words, size_t count)
{
    WS_CHECK(count == count_words(source), INTERNAL, "%zu counters of labels, not %zu", count, count_words(source));
    for (size_t i = 0; i < source->input_count; i++) {
        source->by_input[i].flows = words[2 * i];
        source->by_input[i].matched = words[2 * i + 1];
    }
    const size_t rules = count - 2 * source->input_count;
    if (rules > 0)
        memcpy(source->rules->counters, words + 2 * source->input_count, rules * sizeof *words);
    return WS_OK;
}
