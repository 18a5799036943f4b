/* pcapml: pcapng captures whose packets carry their label as a comment, as pcapML and its rewrite in Go write them:
 *
 *     18205618432581910911,windows-10        sample, label[, more]
 *     s=0,proc=curl,dir=lan2wan              key=value; a field without "=" is positional
 *
 * The sample is key s, or the first positional field: an unsigned number of 64 bits, unique in its file. The label is key
 * proc, or key label, or the second positional field. Of several comments of a packet the first that reads so counts. A
 * flow takes the label of the sample that begins within it; one that no sample begins in, such as the rest of a long
 * connection, that of its 5-tuple, where all samples of it have the same. Packets without comment belong to no sample;
 * those with comments that do not read so are counted, and so are those with another label than their sample has.
 *
 * With --labels FILE the captures are plain ones, and the file has rules that give packets their samples (pcapml.h).
 *
 * Time stamps of several writers are no pcapng's; where an interface states no unit, each stamp tells which it is, and one
 * that does not ends the run. Sorted files have their samples, and the packets in them, from the last to the first, so
 * the packets of a file are taken in the order of their times.
 */
#include "dataset/labels.h"
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

/* ---------------------------------------------------------------- comments */
/* A number of 64 bits; such samples are often above 2^63. */
static bool read_sample(const char *text, size_t length, uint64_t *out)
{
    *out = 0;
    for (size_t i = 0; i < length; i++) {
        unsigned digit = (unsigned)(text[i] - '0');
        if (digit > 9 || __builtin_mul_overflow(*out, 10, out) || __builtin_add_overflow(*out, digit, out))
            return false;
    }
    return length > 0;
}

static bool has_key(const char *field, size_t length, const char *key)
{
    size_t bytes = strlen(key);
    return length > bytes && memcmp(field, key, bytes) == 0 && field[bytes] == '=';
}

/* False where the comment is none of pcapML's. Trailing NULs are padding of some writers. */
static bool read_comment(const char *text, size_t length, uint64_t *sample, char label[LABEL_BYTES])
{
    const char *sample_text = NULL, *found = NULL, *positional[2] = {NULL, NULL};
    size_t sample_length = 0, found_length = 0, positional_length[2] = {0, 0}, count = 0;
    bool by_process = false;
    while (length > 0 && text[length - 1] == '\0')
        length--;
    for (const char *at = text, *end = text + length; at <= end;) {
        const char *comma = memchr(at, ',', (size_t)(end - at)), *stop = comma == NULL ? end : comma;
        size_t bytes = (size_t)(stop - at);
        if (has_key(at, bytes, "s")) {
            sample_text = at + 2;
            sample_length = bytes - 2;
        } else if (has_key(at, bytes, "proc") || (has_key(at, bytes, "label") && !by_process)) {
            by_process = at[0] == 'p';
            found = memchr(at, '=', bytes);
            found_length = (size_t)(stop - ++found);
        } else if (memchr(at, '=', bytes) == NULL && count < 2) {
            positional[count] = at;
            positional_length[count++] = bytes;
        }
        at = stop + 1;
    }
    /* With key s the first positional field is not the sample, but stays the first. */
    if (sample_text == NULL) {
        sample_text = positional[0];
        sample_length = positional_length[0];
    }
    if (found == NULL) {
        found = positional[1];
        found_length = positional_length[1];
    }
    if (sample_text == NULL || found == NULL || found_length == 0 || found_length >= LABEL_BYTES)
        return false;
    memcpy(label, found, found_length);
    label[found_length] = '\0';
    return strlen(label) == found_length && read_sample(sample_text, sample_length, sample);
}

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

ws_err ws_pcapml_check_stamp(const char *path, const ws_record *record)
{
    if (record->stamps != WS_STAMPS_DETECT)
        return WS_OK;
    ws_err error = WS_ERROR(FORMAT,
                            "%s: byte %llu: a time stamp that is neither microseconds since 1970 nor seconds and "
                            "microseconds, and no time unit is stated",
                            path, (unsigned long long)record->offset);
    WS_HINT("say which it is: --set stamps=standard (64 bits of microseconds) or --set stamps=split (seconds, "
            "microseconds); of export --stamps standard or --stamps split");
    return error;
}

/* As extraction does, so that a sample has the key of the flow that its packets make. */
static bool decode(const ws_label_reading *reading, const ws_record *record, ws_packet *packet)
{
    ws_skip skip = (reading->inner_packets ? ws_packet_decode_inner : ws_packet_decode)(
        record->frame, record->captured_length, record->wire_length, record->link_type, record->time_ns, packet);
    if (skip == WS_SKIP_protocol_other && reading->protocols != NULL && reading->protocols->kept[packet->protocol])
        skip = ws_packet_decode_other(record->frame, packet);
    return skip == WS_SKIP_NONE;
}

bool ws_pcapml_find_comment(const ws_record *record, uint64_t *sample, char label[WS_PCAPML_LABEL_BYTES],
                            const char **text, size_t *length)
{
    const char *comment;
    for (size_t at = 0, bytes; ws_record_comment(record, &at, &comment, &bytes);) {
        if (!read_comment(comment, bytes, sample, label))
            continue;
        while (bytes > 0 && comment[bytes - 1] == '\0')
            bytes--;
        if (text != NULL) {
            *text = comment;
            *length = bytes;
        }
        return true;
    }
    return false;
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

static bool has_comment(const ws_record *record)
{
    const char *comment;
    size_t at = 0, bytes;
    return ws_record_comment(record, &at, &comment, &bytes);
}

/* One packet. why: what is wrong with its label, or NULL. */
static ws_err take_packet(const char *path, const ws_label_reading *reading, ws_pcapml_rules *rules,
                          const ws_record *record, sample_list *list, const char **why)
{
    ws_packet packet;
    uint64_t sample;
    char label[LABEL_BYTES];
    bool found, alike = true;
    WS_TRY(find_sample(rules, path, record, &sample, label, &found));
    if (found && decode(reading, record, &packet))
        WS_TRY(add_packet(list, &packet, sample, label, &alike));
    *why = !alike                                           ? "this packet has another label than its sample before"
           : !found && rules == NULL && has_comment(record) ? "this packet's comment names no sample and label"
                                                            : NULL;
    return WS_OK;
}

static ws_err collect(ws_label_source *source, const char *path, ws_pcapml_rules *rules, sample_list *list)
{
    const ws_label_reading *reading = ws_label_source_reading(source);
    ws_capture capture;
    ws_walk *walk = NULL;
    ws_record record;
    bool more = true;
    uint64_t number = 0;
    const char *why = NULL;
    WS_TRY(ws_capture_open(&capture, path));
    capture.stamps = reading->stamps;
    ws_err error = ws_walk_create(&walk, &capture, 0);
    if (error == WS_OK)
        error = ws_walk_range(walk, capture.first_record, capture.bytes);
    while (error == WS_OK && more) {
        error = ws_walk_next(walk, &record, &more);
        if (error == WS_OK && more)
            error = ws_pcapml_check_stamp(path, &record);
        if (error != WS_OK || !more)
            continue;
        number++;
        error = take_packet(path, reading, rules, &record, list, &why);
        if (error == WS_OK && why != NULL)
            ws_label_source_malformed(source, path, number, why);
    }
    ws_walk_destroy(&walk);
    ws_capture_close(&capture);
    WS_TRY(error);
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

static ws_err no_sample(bool by_rules, const char *labels)
{
    if (by_rules) {
        ws_err error = WS_ERROR(FORMAT, "%s: no line speaks of a packet of the inputs", labels);
        WS_HINT("conditions of a line hold all together; times are whole seconds since 1970, UTC");
        return error;
    }
    ws_err error = WS_ERROR(FORMAT, "no packet of the inputs has a comment such as \"12345,label\"");
    WS_HINT("pcapml takes pcapng captures with labels as comments, or --labels FILE with rules for plain captures; "
            "--dataset generic takes any capture");
    return error;
}

static ws_err read_inputs(ws_label_source *source, ws_pcapml_rules *rules, const ws_string_list *inputs, size_t *found)
{
    for (size_t i = 0; i < inputs->count; i++) {
        uint32_t scope;
        sample_list list = {0};
        WS_TRY(ws_label_source_set_scope(source, i, inputs->items[i], &scope));
        if (inputs->items[i][0] == '\0') /* of a store that is added to */
            continue;
        ws_err error = collect(source, inputs->items[i], rules, &list);
        if (error == WS_OK)
            error = add_rows(source, scope, &list);
        *found += list.count;
        free(list.items);
        free(list.slots);
        WS_TRY(error);
    }
    return WS_OK;
}

static ws_err open_labels(ws_label_source *source, const char *labels, const ws_string_list *inputs)
{
    static const char *const level = "label";
    ws_pcapml_rules *rules = NULL;
    size_t found = 0;
    WS_TRY(ws_label_source_levels(source, &level, 1));
    if (labels != NULL)
        WS_TRY(ws_pcapml_rules_read(&rules, labels));
    ws_err error = read_inputs(source, rules, inputs, &found);
    ws_pcapml_rules_destroy(&rules);
    if (error == WS_OK && found == 0 && inputs->count > 0)
        error = no_sample(labels != NULL, labels);
    return error;
}

const ws_dataset_adapter ws_dataset_pcapml = {.name = "pcapml",
                                              .help = "pcapng captures with their labels as packet comments (pcapML)",
                                              .open_labels = open_labels,
                                              .labels_inside = true,
                                              .stamps = WS_STAMPS_DETECT,
                                              .by_time = true};
