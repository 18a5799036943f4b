/* pcapml: pcapng captures whose packets carry their label as a comment, as pcapML and its rewrite in Go write them:
 *
 *     18205618432581910911,windows-10        sample, label[, more]
 *     s=0,proc=curl,dir=lan2wan              key=value; a field without "=" is positional
 *
 * The sample is key s, or the first positional field: an unsigned number of 64 bits, unique in its file. The label is key
 * proc, or key label, or the second positional field. Of several comments of a packet the first that reads so counts. Packets
 * without comment belong to no sample; those with comments that do not read so are counted, and so are those with another
 * label than their sample has.
 *
 * A row is a sample: all of its packets, of whatever protocols and flows. With rows=flow a row is a flow, and takes the label of the
 * sample that begins within it; one that no sample begins in, such as the rest of a long connection, that of its 5-tuple,
 * where all samples of it have the same.
 *
 * With --labels FILE the captures are plain ones, and the file has rules that give packets their samples (pcapml.h).
 *
 * Time stamps of several writers are no pcapng's; where an interface states no unit, each stamp tells which it is, and one
 * that does not ends the run. Sorted files have their samples, and the packets in them, from the last to the first, so
 * the packets of a file are taken in the order of their times.
 */
#include "dataset/labels.h"
#include "dataset/packet_filter.h"
#include "dataset/pcapml.h"

#include <stdlib.h>

enum { LABEL_BYTES = WS_PCAPML_LABEL_BYTES };

typedef struct sample_start {
    ws_flow_key key;
    uint64_t sample;
    int64_t time_ns;
    uint64_t order;
    char label[LABEL_BYTES];
} sample_start;

typedef struct sample_list {
    sample_start *items;
    size_t count, capacity;
    size_t *slots; /* index + 1 by key and sample; 0 empty */
    size_t slot_count;
} sample_list;

/* ---------------------------------------------------------------- samples */
static size_t find_slot(const sample_list *list, const ws_flow_key *key, uint64_t sample)
{
    size_t at = (ws_flow_key_hash(key) ^ ws_mix64(sample)) & (list->slot_count - 1);
    while (list->slots[at] != 0 && (list->items[list->slots[at] - 1].sample != sample ||
                                    memcmp(&list->items[list->slots[at] - 1].key, key, sizeof *key) != 0))
        at = (at + 1) & (list->slot_count - 1);
    return at;
}

static ws_err grow_slots(sample_list *list)
{
    size_t *slots;
    free(list->slots);
    list->slots = NULL;
    list->slot_count = list->slot_count == 0 ? 1024 : 2 * list->slot_count;
    WS_TRY(WS_NEW_ARRAY(slots, list->slot_count));
    list->slots = slots;
    for (size_t i = 0; i < list->count; i++)
        slots[find_slot(list, &list->items[i].key, list->items[i].sample)] = i + 1;
    return WS_OK;
}

/* The first packet of a sample in a 5-tuple, in time. alike: its label is that of the sample's packets before it. */
static ws_err add_packet(sample_list *list, const ws_packet *packet, uint64_t sample, const char *label, bool *alike)
{
    ws_flow_key key;
    bool source_is_low;
    *alike = true;
    if (2 * (list->count + 1) > list->slot_count)
        WS_TRY(grow_slots(list));
    ws_flow_key_of(packet, &key, &source_is_low);
    size_t slot = find_slot(list, &key, sample);
    if (list->slots[slot] != 0) {
        sample_start *known = &list->items[list->slots[slot] - 1];
        known->time_ns = packet->time_ns < known->time_ns ? packet->time_ns : known->time_ns;
        *alike = strcmp(known->label, label) == 0;
        return WS_OK;
    }
    WS_TRY(WS_GROW(list->items, list->capacity, list->count + 1));
    sample_start *start = &list->items[list->count];
    memset(start, 0, sizeof *start);
    start->key = key;
    start->sample = sample;
    start->time_ns = packet->time_ns;
    start->order = list->count;
    strcpy(start->label, label);
    list->slots[slot] = ++list->count;
    return WS_OK;
}

/* As extraction does, so that a sample has the key of the flow that its packets make. */
static bool decode(const ws_label_reading *reading, const ws_record *record, ws_packet *packet)
{
    ws_skip skip = (reading->inner_packets ? ws_packet_decode_inner : ws_packet_decode)(
        record->frame, record->captured_length, record->wire_length, record->link_type, record->time_ns, packet);
    if (skip == WS_SKIP_protocol_other &&
        (reading->samples || (reading->protocols != NULL && reading->protocols->kept[packet->protocol])))
        skip = ws_packet_decode_other(record->frame, packet);
    return skip == WS_SKIP_NONE;
}

/* rules NULL: by comments. */
static ws_err find_sample(ws_pcapml_rules *rules, const char *path, const ws_record *record, uint64_t *sample,
                          char label[LABEL_BYTES], bool *found)
{
    const char *name;
    *found = false;
    if (rules == NULL) {
        *found = ws_pcapml_find_comment(record, sample, label, NULL, NULL);
        return WS_OK;
    }
    WS_TRY(ws_pcapml_rules_find(rules, path, record, sample, &name));
    *found = name != NULL;
    if (*found)
        strcpy(label, name); /* which is shorter: rules are read so */
    return WS_OK;
}

typedef struct collecting {
    ws_label_source *source;
    const char *path;
    size_t input;
    ws_pcapml_rules *rules;     /* NULL: comments */
    ws_pcapml_samples *samples; /* NULL: rows are flows, and samples go to the list */
    sample_list *list;
    uint64_t number; /* of records */
} collecting;

static ws_err take_packet(void *context, const ws_record *record)
{
    collecting *c = context;
    ws_packet packet;
    uint64_t sample;
    char label[LABEL_BYTES];
    bool found, alike = true, accepts = true;
    ws_packet_filter *filter = ws_label_source_reading(c->source)->filter;
    c->number++;
    if (filter != NULL)
        WS_TRY(ws_packet_filter_accepts(filter, record->frame, record->captured_length, record->wire_length,
                                        record->link_type, &accepts));
    if (!accepts)
        return WS_OK;
    WS_TRY(find_sample(c->rules, c->path, record, &sample, label, &found));
    if (found && decode(ws_label_source_reading(c->source), record, &packet))
        WS_TRY(c->samples != NULL ? ws_pcapml_samples_add(c->samples, c->input, &packet, sample, label, &alike)
                                  : add_packet(c->list, &packet, sample, label, &alike));
    if (!alike)
        ws_label_source_malformed(c->source, c->path, c->number,
                                  "this packet has another label than its sample before");
    else if (!found && c->rules == NULL && ws_pcapml_has_comment(record))
        ws_label_source_malformed(c->source, c->path, c->number, "this packet's comment names no sample and label");
    return WS_OK;
}

/* ---------------------------------------------------------------- rows */
static int compare_starts(const void *left, const void *right)
{
    const sample_start *a = left, *b = right;
    int order = memcmp(&a->key, &b->key, sizeof a->key);
    return order != 0 ? order : (a->order > b->order) - (a->order < b->order);
}

static ws_err add_rows(ws_label_source *source, uint32_t scope, sample_list *list)
{
    if (list->count > 0)
        qsort(list->items, list->count, sizeof *list->items, compare_starts);
    for (size_t begin = 0, end; begin < list->count; begin = end) {
        bool alike = true;
        for (end = begin;
             end < list->count && memcmp(&list->items[end].key, &list->items[begin].key, sizeof(ws_flow_key)) == 0;
             end++) {
            const ws_label_row row = {
                .key = list->items[end].key, .has_time = true, .first_ns = list->items[end].time_ns};
            const char *const classes[] = {list->items[end].label};
            alike = alike && strcmp(list->items[end].label, list->items[begin].label) == 0;
            WS_TRY(ws_label_source_add(source, scope, &row, classes));
        }
        const ws_label_row row = {.key = list->items[begin].key};
        const char *const classes[] = {list->items[begin].label};
        if (alike)
            WS_TRY(ws_label_source_add(source, scope, &row, classes));
    }
    return WS_OK;
}

/* ---------------------------------------------------------------- rows that are samples */
/* What is asked of each packet of an extraction; borrows the paths. */
typedef struct sample_context {
    ws_pcapml_samples *samples;
    ws_pcapml_rules *rules; /* NULL: comments */
    ws_string_list paths;
} sample_context;

static ws_err mark_packet(void *context, size_t input, const ws_record *record, ws_packet *packet, bool *found)
{
    const sample_context *c = context;
    uint64_t sample;
    char label[LABEL_BYTES];
    WS_TRY(find_sample(c->rules, c->paths.items[input], record, &sample, label, found));
    *found = *found && ws_pcapml_samples_mark(c->samples, input, sample, packet);
    return WS_OK;
}

static void name_sample(const void *context, size_t input, uint32_t number, ws_flow_key *key, bool *source_is_low)
{
    const char *label;
    ws_pcapml_samples_name(((const sample_context *)context)->samples, input, number, key, source_is_low, &label);
}

static void destroy_context(void *context)
{
    sample_context *c = context;
    ws_pcapml_samples_destroy(&c->samples);
    ws_pcapml_rules_destroy(&c->rules);
    free(c);
}

static ws_err add_samples(ws_label_source *source, uint32_t scope, ws_pcapml_samples *samples, size_t input)
{
    const size_t count = ws_pcapml_samples_count(samples, input);
    for (size_t i = 0; i < count; i++) {
        ws_label_row row = {0};
        const char *class;
        bool source_is_low;
        ws_pcapml_samples_name(samples, input, (uint32_t)i, &row.key, &source_is_low, &class);
        WS_TRY(ws_label_source_add(source, scope, &row, &class));
    }
    ws_pcapml_samples_drop_labels(samples, input);
    return WS_OK;
}

static ws_err no_sample(const ws_label_source *source, const char *labels)
{
    const char *first, *taken = ws_label_source_reading(source)->filter == NULL ? "" : " that --filter accepts";
    const uint64_t malformed = ws_label_source_first_malformed(source, &first);
    if (labels != NULL) {
        ws_err error = WS_ERROR(FORMAT, "%s: no line speaks of a packet of the inputs%s", labels, taken);
        WS_HINT("conditions of a line hold all together; times are whole seconds since 1970, UTC");
        return error;
    }
    ws_err error =
        malformed == 0
            ? WS_ERROR(FORMAT, "no packet of the inputs%s has a comment such as \"12345,label\"", taken)
            : WS_ERROR(FORMAT,
                       "none of the %llu comments of the inputs' packets%s is as \"12345,label\", the first one: %s",
                       (unsigned long long)malformed, taken, first);
    WS_HINT("pcapml takes pcapng captures with labels as comments, or --labels FILE with rules for plain captures; "
            "--dataset generic takes any capture");
    return error;
}

static ws_err read_input(collecting *into, uint32_t scope, size_t *found)
{
    sample_list list = {0};
    into->list = &list;
    ws_err error = ws_pcapml_walk(into->path, ws_label_source_reading(into->source)->stamps, take_packet, into);
    if (error == WS_OK)
        error = into->samples != NULL ? add_samples(into->source, scope, into->samples, into->input)
                                      : add_rows(into->source, scope, &list);
    *found += into->samples != NULL ? ws_pcapml_samples_count(into->samples, into->input) : list.count;
    free(list.items);
    free(list.slots);
    WS_TRY(error);
    return WS_OK;
}

static ws_err read_inputs(ws_label_source *source, const sample_context *context, size_t *found)
{
    const ws_string_list *inputs = &context->paths;
    for (size_t i = 0; i < inputs->count; i++) {
        collecting into = {.source = source,
                           .path = inputs->items[i],
                           .input = i,
                           .rules = context->rules,
                           .samples = context->samples};
        uint32_t scope;
        WS_TRY(ws_label_source_set_scope(source, i, inputs->items[i], &scope));
        if (inputs->items[i][0] != '\0') /* of a store that is added to */
            WS_TRY(read_input(&into, scope, found));
    }
    return WS_OK;
}

static ws_err read_all(ws_label_source *source, sample_context *context, const char *labels)
{
    size_t found = 0;
    if (labels != NULL)
        WS_TRY(ws_pcapml_rules_read(&context->rules, labels));
    if (ws_label_source_reading(source)->samples)
        WS_TRY(ws_pcapml_samples_create(&context->samples, context->paths.count));
    WS_TRY(read_inputs(source, context, &found));
    return found > 0 || context->paths.count == 0 ? WS_OK : no_sample(source, labels);
}

static ws_err open_labels(ws_label_source *source, const char *labels, const ws_string_list *inputs)
{
    static const char *const level = "label";
    sample_context *context;
    WS_TRY(ws_label_source_levels(source, &level, 1));
    WS_TRY(WS_NEW(context));
    context->paths = *inputs;
    ws_err error = read_all(source, context, labels);
    if (error == WS_OK && context->samples != NULL)
        ws_label_source_set_samples(source, &(ws_label_samples){context, mark_packet, name_sample, destroy_context});
    else
        destroy_context(context);
    WS_TRY(error);
    return WS_OK;
}

const ws_dataset_adapter ws_dataset_pcapml = {.name = "pcapml",
                                              .help = "pcapng captures with their labels as packet comments (pcapML)",
                                              .open_labels = open_labels,
                                              .labels_inside = true,
                                              .stamps = WS_STAMPS_DETECT,
                                              .by_time = true,
                                              .samples = true};
