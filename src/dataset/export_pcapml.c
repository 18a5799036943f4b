/* export_pcapml: the packets of a store's captures as pcapML: pcapng whose packets carry "sample,label" as a comment. A store has
 * no whole packets, so the captures are read again, one after the other, each in its own order.
 *
 * A packet that has a comment of pcapML's keeps it as it is; of a store that was made by such comments the others are left out,
 * since they are of no sample. With a label file the rules of it give sample and label. Else a packet belongs to the row that
 * counts it: rows of one 5-tuple (and window, where windows alone make rows) follow each other in the order of the records,
 * whatever their times, so each has as many of its packets as it counts, from its first_ordinal on. The sample is the row's
 * row_hash, which names the row for ever, the label that of the chosen level, with ; for commas. Packets of no row, and of rows
 * without label, are left out and counted. Rows that do not find all of their packets are counted: these are other captures then.
 *
 * Written are little-endian blocks as pcapML's first writer made them: a section, an interface a link type with if_tsresol 9
 * (nanoseconds) before its first packet, and packets whose only option is the comment. So a file of that writer comes out
 * byte for byte.
 */
#include "dataset/packet_filter.h"
#include "dataset/pcapml.h"
#include "dataset/store_layout.h"

#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { LINKS_MOST = 64 };

typedef struct row_place {
    uint64_t key; /* key_hash; with the number of the window in it, where rows are windows */
    uint64_t first_ordinal, row_hash;
    uint64_t left; /* of its packets, to be found */
    int64_t first_ns;
    int32_t label;
} row_place;

/* A sample, and the input that had it last. */
typedef struct seen_sample {
    uint64_t sample;
    size_t input; /* + 1; 0: an empty slot */
    bool shared;
} seen_sample;

typedef struct pcapml_export {
    const ws_store *store;
    const ws_pcapml_export *options;
    const ws_label_level *level;
    char *key; /* content of the key file */
    size_t key_bytes;
    ws_sha256 *hash;
    char **inputs;
    size_t input_count;
    row_place *rows; /* of all inputs; [begin[i], begin[i + 1]) are the i-th's */
    uint64_t *begin;
    bool *was_read;    /* [input_count] */
    size_t input;      /* the one that is being read */
    uint64_t records;  /* of it, so far */
    int64_t window_ns; /* 0: 5-tuples alone tell rows */
    int64_t origin_ns; /* of its windows */
    bool sorted;       /* its rows are, by key, then first_ordinal */
    bool windows_from_epoch;
    ws_pcapml_rules *rules; /* that the store was labelled by; NULL: none */
    const char *path;       /* that is being read */
    bool by_comments;       /* the store has its labels from them: packets without are of no sample */
    bool inner;
    ws_ip_protocols protocols; /* kept besides TCP and UDP */
    ws_packet_filter *filter;  /* that the store was extracted with; NULL: none */
    uint64_t sought, of_rows;  /* packets whose row was looked for, and found */
    seen_sample *seen;         /* a hash table of samples by number: of comments and label files, which inputs may share */
    size_t seen_count, seen_slots;
    int links[LINKS_MOST], link_count;
    FILE *file;
    const char *target;
    ws_pcapml_exported *report;
} pcapml_export;

/* ---------------------------------------------------------------- rows by key */
static int compare_places(const void *left, const void *right)
{
    const row_place *a = left, *b = right;
    if (a->key != b->key)
        return a->key < b->key ? -1 : 1;
    return (a->first_ordinal > b->first_ordinal) - (a->first_ordinal < b->first_ordinal);
}

static ws_err read_column(const ws_store *store, const char *path, hid_t type, size_t bytes, void **out)
{
    *out = NULL;
    WS_TRY(ws_alloc(out, store->rows + 1, bytes));
    return ws_store_read(store, path, type, 0, store->rows, *out);
}

/* Rows of an input lie one behind the other, in the order of inputs. */
static ws_err list_rows(pcapml_export *x)
{
    enum { KEY, HASH, ORDINAL, FORWARD, BACKWARD, FIRST, INPUT, LABEL, COLUMNS };
    void *columns[COLUMNS] = {0};
    char *label_path = ws_format("/labels/%s", x->level->name);
    ws_err error = label_path == NULL ? WS_ERROR(MEMORY, "no memory to export %s", x->store->path) : WS_OK;
    const struct {
        const char *path;
        hid_t type;
        size_t bytes;
    } wanted[COLUMNS] = {[KEY] = {"/flows/key_hash", H5T_NATIVE_UINT64, 8},
                         [HASH] = {"/flows/row_hash", H5T_NATIVE_UINT64, 8},
                         [ORDINAL] = {"/flows/first_ordinal", H5T_NATIVE_UINT64, 8},
                         [FORWARD] = {"/flows/packets_forward", H5T_NATIVE_UINT64, 8},
                         [BACKWARD] = {"/flows/packets_backward", H5T_NATIVE_UINT64, 8},
                         [FIRST] = {"/flows/first_ns", H5T_NATIVE_INT64, 8},
                         [INPUT] = {"/flows/input_id", H5T_NATIVE_UINT32, 4},
                         [LABEL] = {label_path, H5T_NATIVE_INT32, 4}};
    for (int c = 0; error == WS_OK && c < COLUMNS; c++)
        error = read_column(x->store, wanted[c].path, wanted[c].type, wanted[c].bytes, &columns[c]);
    if (error == WS_OK)
        error = WS_NEW_ARRAY(x->rows, x->store->rows + 1);
    if (error == WS_OK)
        error = WS_NEW_ARRAY(x->begin, x->input_count + 1);
    if (error == WS_OK)
        error = WS_NEW_ARRAY(x->was_read, x->input_count + 1);
    const uint32_t *input = columns[INPUT];
    for (uint64_t i = 0; error == WS_OK && i < x->store->rows; i++) {
        x->rows[i] =
            (row_place){.key = ((const uint64_t *)columns[KEY])[i],
                        .first_ordinal = ((const uint64_t *)columns[ORDINAL])[i],
                        .row_hash = ((const uint64_t *)columns[HASH])[i],
                        .left = ((const uint64_t *)columns[FORWARD])[i] + ((const uint64_t *)columns[BACKWARD])[i],
                        .first_ns = ((const int64_t *)columns[FIRST])[i],
                        .label = ((const int32_t *)columns[LABEL])[i]};
        if (input[i] < x->input_count)
            x->begin[input[i] + 1] = i + 1;
    }
    for (size_t i = 0; error == WS_OK && i < x->input_count; i++)
        if (x->begin[i + 1] < x->begin[i]) /* it has no row */
            x->begin[i + 1] = x->begin[i];
    for (int c = 0; c < COLUMNS; c++)
        free(columns[c]);
    free(label_path);
    return error;
}

/* As store_row.c makes it. */
static uint64_t key_hash(const pcapml_export *x, const ws_packet *packet)
{
    ws_flow_key key;
    bool source_is_low;
    ws_flow_key_of(packet, &key, &source_is_low);
    const uint16_t low_port = htobe16(key.low_port), high_port = htobe16(key.high_port);
    ws_sha256_update(x->hash, "wiresweep key\n", 14);
    ws_sha256_update(x->hash, x->key, x->key_bytes);
    ws_sha256_update(x->hash, key.low_address, 16);
    ws_sha256_update(x->hash, &low_port, 2);
    ws_sha256_update(x->hash, key.high_address, 16);
    ws_sha256_update(x->hash, &high_port, 2);
    ws_sha256_update(x->hash, &key.protocol, 1);
    const ws_digest digest = ws_sha256_finish(x->hash);
    return ws_digest_u64(&digest);
}

/* What is looked for: as the flow table has its keys. */
static uint64_t place_key(const pcapml_export *x, uint64_t key, int64_t time_ns)
{
    return x->window_ns == 0
               ? key
               : key + (uint64_t)ws_flow_window_of(x->origin_ns, x->window_ns, time_ns) * UINT64_C(0x9e3779b97f4a7c15);
}

/* Once the input's first packet is known, from which windows are counted. */
static void sort_rows(pcapml_export *x, const ws_packet *first)
{
    x->sorted = true;
    x->origin_ns = x->windows_from_epoch ? 0 : first->time_ns;
    for (uint64_t i = x->begin[x->input]; i < x->begin[x->input + 1]; i++)
        x->rows[i].key = place_key(x, x->rows[i].key, x->rows[i].first_ns);
    qsort(x->rows + x->begin[x->input], x->begin[x->input + 1] - x->begin[x->input], sizeof *x->rows, compare_places);
}

/* The row that counts the packet, and has it from now on; NULL: none. */
static const row_place *find_row(pcapml_export *x, const ws_packet *packet)
{
    const size_t input = x->input;
    if (!x->sorted)
        sort_rows(x, packet);
    const row_place wanted = {.key = place_key(x, key_hash(x, packet), packet->time_ns),
                              .first_ordinal = packet->ordinal};
    uint64_t low = x->begin[input], high = x->begin[input + 1];
    while (low < high) { /* to the first row behind what is wanted */
        const uint64_t middle = low + (high - low) / 2;
        if (compare_places(&x->rows[middle], &wanted) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == x->begin[input] || x->rows[low - 1].key != wanted.key || x->rows[low - 1].left == 0)
        return NULL;
    x->rows[low - 1].left--;
    return &x->rows[low - 1];
}

/* Once the input is read: rows without label, and of the others those that have not found all of their packets. */
static void count_rows(pcapml_export *x)
{
    ws_pcapml_exported *report = x->report;
    for (uint64_t i = x->begin[x->input]; i < x->begin[x->input + 1]; i++) {
        const row_place *row = &x->rows[i];
        report->unlabelled_rows += row->label < 0;
        if (row->label >= 0 && row->left > 0 && report->short_samples++ == 0)
            snprintf(report->first_short, sizeof report->first_short, "%" PRIu64 " of %s", row->row_hash,
                     x->inputs[x->input]);
    }
}

/* ---------------------------------------------------------------- blocks */
static ws_err put(pcapml_export *x, const void *data, size_t bytes)
{
    WS_CHECK(fwrite(data, 1, bytes, x->file) == bytes, IO, "cannot write %s: %s", x->target, strerror(errno));
    return WS_OK;
}

static ws_err put_words(pcapml_export *x, const uint32_t *words, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const uint32_t little = htole32(words[i]);
        WS_TRY(put(x, &little, sizeof little));
    }
    return WS_OK;
}

static size_t padding(size_t bytes)
{
    return (4 - bytes % 4) % 4;
}

static ws_err put_padded(pcapml_export *x, const void *data, size_t bytes)
{
    static const uint8_t zeros[4] = {0};
    WS_TRY(put(x, data, bytes));
    return put(x, zeros, padding(bytes));
}

static ws_err put_section(pcapml_export *x)
{
    const uint32_t words[7] = {0x0A0D0D0A, 28,         0x1A2B3C4D, 1,
                               UINT32_MAX, UINT32_MAX, 28}; /* version 1.0, length unknown */
    return put_words(x, words, 7);
}

/* The number of the link type's interface, described before its first packet. */
static ws_err interface_of(pcapml_export *x, int link_type, uint32_t *out)
{
    for (int i = 0; i < x->link_count; i++)
        if (x->links[i] == link_type) {
            *out = (uint32_t)i;
            return WS_OK;
        }
    WS_CHECK(x->link_count < LINKS_MOST, UNSUPPORTED, "more than %d link types in one pcapML file", LINKS_MOST);
    /* if_tsresol: code 9, length 1, value 9 */
    const uint32_t words[8] = {1, 32, (uint32_t)link_type, 0, 9 | 1 << 16, 9, 0, 32};
    WS_TRY(put_words(x, words, 8));
    x->links[x->link_count] = link_type;
    *out = (uint32_t)x->link_count++;
    return WS_OK;
}

static ws_err put_packet(pcapml_export *x, const ws_record *record, const char *comment, size_t length)
{
    const uint32_t captured = record->captured_length;
    const uint64_t stamp = (uint64_t)record->time_ns;
    uint32_t interface = 0;
    WS_TRY(interface_of(x, record->link_type, &interface));
    const uint32_t bytes =
        (uint32_t)(32 + captured + padding(captured) + 4 + length + padding(length) + 4); /* with the end of options */
    const uint32_t head[7] = {
        6, bytes, interface, (uint32_t)(stamp >> 32), (uint32_t)stamp, captured, record->wire_length};
    WS_TRY(put_words(x, head, 7));
    WS_TRY(put_padded(x, record->frame, captured));
    WS_TRY(put_words(x, (uint32_t[]){1 | (uint32_t)length << 16}, 1));
    WS_TRY(put_padded(x, comment, length));
    x->report->packets++;
    return put_words(x, (uint32_t[]){0, bytes}, 2);
}

/* ---------------------------------------------------------------- captures */
static ws_err put_labelled(pcapml_export *x, const ws_record *record, uint64_t sample, const char *label)
{
    char own[WS_PCAPML_LABEL_BYTES + 32];
    const int written = snprintf(own, sizeof own, "%llu,%s", (unsigned long long)sample, label);
    WS_CHECK(written > 0 && (size_t)written < sizeof own, UNSUPPORTED, "label \"%s\" is too long for pcapML", label);
    for (char *at = strchr(own, ',') + 1; *at != '\0'; at++)
        *at = *at == ',' ? ';' : *at;
    return put_packet(x, record, own, (size_t)written);
}

static seen_sample *find_seen(seen_sample *seen, size_t slots, uint64_t sample)
{
    size_t at = (size_t)((sample * UINT64_C(0x9e3779b97f4a7c15)) >> 20) & (slots - 1);
    while (seen[at].input != 0 && seen[at].sample != sample)
        at = (at + 1) & (slots - 1);
    return &seen[at];
}

static ws_err grow_seen(pcapml_export *x)
{
    const size_t slots = x->seen_slots == 0 ? 1024 : 2 * x->seen_slots;
    seen_sample *grown;
    WS_TRY(WS_NEW_ARRAY(grown, slots));
    for (size_t i = 0; i < x->seen_slots; i++)
        if (x->seen[i].input != 0)
            *find_seen(grown, slots, x->seen[i].sample) = x->seen[i];
    free(x->seen);
    x->seen = grown;
    x->seen_slots = slots;
    return WS_OK;
}

/* The file has no captures: a sample that two of them have is one there. */
static ws_err see_sample(pcapml_export *x, uint64_t sample)
{
    if (2 * x->seen_count >= x->seen_slots)
        WS_TRY(grow_seen(x));
    seen_sample *seen = find_seen(x->seen, x->seen_slots, sample);
    x->seen_count += seen->input == 0;
    if (seen->input != 0 && seen->input != x->input + 1 && !seen->shared) {
        seen->shared = true;
        x->report->shared_samples++;
    }
    *seen = (seen_sample){sample, x->input + 1, seen->shared};
    return WS_OK;
}

static ws_err export_by_rules(pcapml_export *x, const ws_record *record)
{
    uint64_t sample;
    const char *label;
    WS_TRY(ws_pcapml_rules_find(x->rules, x->path, record, &sample, &label));
    if (label != NULL) {
        WS_TRY(see_sample(x, sample));
        return put_labelled(x, record, sample, label);
    }
    x->report->left_out++;
    return WS_OK;
}

/* As extraction does; false: it is of no row. */
static bool decode(const pcapml_export *x, const ws_record *record, ws_packet *packet)
{
    ws_skip skip = (x->inner ? ws_packet_decode_inner : ws_packet_decode)(
        record->frame, record->captured_length, record->wire_length, record->link_type, record->time_ns, packet);
    if (skip == WS_SKIP_protocol_other && x->protocols.kept[packet->protocol])
        skip = ws_packet_decode_other(record->frame, packet);
    packet->ordinal = x->records - 1;
    return skip == WS_SKIP_NONE;
}

static ws_err export_record(void *context, const ws_record *record)
{
    pcapml_export *x = context;
    x->records++;
    char label[WS_PCAPML_LABEL_BYTES];
    const char *comment;
    uint64_t sample;
    size_t length;
    ws_packet packet;
    bool accepts = true;
    if (x->filter != NULL)
        WS_TRY(ws_packet_filter_accepts(x->filter, record->frame, record->captured_length, record->wire_length,
                                        record->link_type, &accepts));
    if (!accepts) {
        x->report->left_out++;
        return WS_OK;
    }
    const bool seeks = x->rules == NULL && !x->by_comments && decode(x, record, &packet);
    const row_place *row = seeks ? find_row(x, &packet) : NULL;
    if (ws_pcapml_find_comment(record, &sample, label, &comment, &length)) {
        WS_TRY(see_sample(x, sample));
        return put_packet(x, record, comment, length);
    }
    x->sought += seeks && x->begin[x->input + 1] > x->begin[x->input];
    x->of_rows += row != NULL;
    if (x->rules != NULL)
        return export_by_rules(x, record);
    if (row == NULL || row->label < 0) {
        (*(row == NULL ? &x->report->left_out : &x->report->unlabelled))++;
        return WS_OK;
    }
    return put_labelled(x, record, row->row_hash, x->level->names[row->label]);
}

/* Whether the path ends in the name, as a name of its own; length: of the path that counts. */
static bool ends_in(const char *path, size_t length, const char *name)
{
    const size_t bytes = strlen(name);
    return bytes <= length && memcmp(path + length - bytes, name, bytes) == 0 &&
           (bytes == length || path[length - bytes - 1] == '/');
}

/* The inputs that the path may be by their base names alone. */
static size_t count_alike(const pcapml_export *x, const char *path, size_t length, size_t *first)
{
    size_t alike = 0;
    for (size_t i = 0; i < x->input_count; i++)
        if (ends_in(path, length, ws_path_base(x->inputs[i])) && alike++ == 0)
            *first = i;
    return alike;
}

/* The input that the path is with the folders that its name in the store has; of t.pcap and sub/t.pcap the second, if both fit. */
static size_t find_whole(const pcapml_export *x, const char *path, size_t length, size_t *out)
{
    size_t longest = 0;
    for (size_t i = 0; i < x->input_count; i++)
        if (ends_in(path, length, x->inputs[i]) && strlen(x->inputs[i]) > longest) {
            longest = strlen(x->inputs[i]);
            *out = i;
        }
    return longest > 0;
}

/* Names in a store have folders where inputs were alike without, and are without compression suffix where they can be. */
static ws_err find_input(const pcapml_export *x, const char *path, size_t *out)
{
    char *whole = realpath(path, NULL);
    WS_CHECK(whole != NULL, IO, "%s: %s", path, strerror(errno));
    size_t alike = find_whole(x, whole, strlen(whole), out);
    if (alike == 0)
        alike = find_whole(x, whole, ws_input_name_length(whole), out);
    if (alike == 0) /* a link has a name of its own */
        alike = count_alike(x, path, ws_input_name_length(path), out);
    free(whole);
    if (alike == 1)
        return WS_OK;
    ws_err error = alike == 0
                       ? WS_ERROR(ARGUMENT, "%s: %s was not made of a capture of this name", path, x->store->path)
                       : WS_ERROR(ARGUMENT, "%s: %s was made of %zu captures of this name, in other folders", path,
                                  x->store->path, alike);
    WS_HINT("`wiresweep inspect --json %s` lists its inputs", x->store->path);
    return error;
}

static ws_err export_capture(pcapml_export *x, const char *path)
{
    WS_TRY(find_input(x, path, &x->input));
    WS_CHECK(!x->was_read[x->input], ARGUMENT, "%s: %s, of which the store was made, was named before", path,
             x->inputs[x->input]);
    x->was_read[x->input] = true;
    x->path = path;
    x->records = 0;
    x->sorted = false;
    const uint64_t sought = x->sought;
    WS_TRY(ws_pcapml_walk(path, x->options->stamps, export_record, x));
    if (x->sought > sought) /* else the packets have comments of their own, and rows need not be found */
        count_rows(x);
    return WS_OK;
}

static ws_err choose_level(pcapml_export *x)
{
    const ws_store *store = x->store;
    const char *wanted = x->options->label;
    x->level = wanted != NULL ? ws_store_level(store, wanted) : store->level_count > 0 ? &store->levels[0] : NULL;
    if (x->level != NULL)
        return WS_OK;
    ws_err error = wanted != NULL
                       ? WS_ERROR(ARGUMENT, "%s: no label level \"%s\"", store->path, wanted)
                       : WS_ERROR(ARGUMENT, "%s has no labels, and pcapML is packets with labels", store->path);
    WS_HINT("`wiresweep inspect %s` shows its levels", store->path);
    return error;
}

static ws_err read_protocols(pcapml_export *x, const cJSON *names)
{
    const ws_dataset_adapter *adapter = ws_dataset_find(x->store->dataset);
    const cJSON *name;
    x->protocols.kept[WS_PROTOCOL_UNTOLD] = adapter != NULL && adapter->protocol_untold;
    cJSON_ArrayForEach(name, names)
    {
        const char *const one = cJSON_GetStringValue(name);
        WS_TRY(ws_ip_protocols_read(&(ws_string_list){&one, one != NULL}, &x->protocols));
    }
    return WS_OK;
}

/* Rows of other tunnels or whole captures have other keys than their packets. */
static ws_err read_settings(pcapml_export *x)
{
    char *text;
    ws_json *document = NULL;
    WS_TRY(ws_h5_read_attribute_text(x->store->file, "/provenance", "options", &text));
    ws_err error = ws_json_read_text(&document, text, x->store->path);
    free(text);
    WS_TRY(error);
    const char *tunnels = cJSON_GetStringValue(ws_json_find(ws_json_root(document), "tunnels"));
    const char *rule = cJSON_GetStringValue(ws_json_find(ws_json_root(document), "window_rule"));
    x->inner = tunnels != NULL && strcmp(tunnels, "inner") == 0;
    const bool whole = rule != NULL && strcmp(rule, "capture") == 0;
    const bool by_rules =
        strcmp(x->store->dataset, "pcapml") == 0 && cJSON_HasObjectItem(ws_json_root(document), "labels");
    x->by_comments = strcmp(x->store->dataset, "pcapml") == 0 && !cJSON_HasObjectItem(ws_json_root(document), "labels");
    const char *filter = cJSON_GetStringValue(ws_json_find(ws_json_root(document), "filter"));
    const char *origin = cJSON_GetStringValue(ws_json_find(ws_json_root(document), "window_origin"));
    x->windows_from_epoch = origin != NULL && strcmp(origin, "epoch") == 0;
    if (rule != NULL && strcmp(rule, "alone") == 0)
        x->window_ns = llround(cJSON_GetNumberValue(ws_json_find(ws_json_root(document), "window")) * 1e9);
    error = read_protocols(x, ws_json_find(ws_json_root(document), "protocols"));
    if (error == WS_OK && filter != NULL)
        error = ws_packet_filter_create(&x->filter, filter);
    ws_json_destroy(&document);
    WS_TRY(error);
    WS_CHECK(by_rules || x->options->label_file == NULL, ARGUMENT,
             "--labels %s: %s has its labels not by a label file of pcapML's; --label chooses one of its levels",
             x->options->label_file, x->store->path);
    if (by_rules && x->options->label_file == NULL) {
        error = WS_ERROR(ARGUMENT, "%s: its packets have their samples by a label file, which a store does not hold",
                         x->store->path);
        WS_HINT("name it: wiresweep export --format pcapml --labels FILE ...");
        return error;
    }
    WS_CHECK(!whole && !ws_h5_exists(x->store->file, "/provenance/files"), UNSUPPORTED,
             "%s: rows of whole captures, or of joined ones, cannot be exported as pcapML", x->store->path);
    return WS_OK;
}

static ws_err prepare(pcapml_export *x)
{
    WS_TRY(choose_level(x));
    WS_TRY(read_settings(x));
    WS_TRY(ws_h5_read_texts(x->store->file, "/provenance/inputs", &x->inputs, &x->input_count));
    if (x->options->label_file != NULL)
        WS_TRY(ws_pcapml_rules_read(&x->rules, x->options->label_file));
    if (x->options->key_file != NULL)
        WS_TRY(ws_file_read(x->options->key_file, &x->key, &x->key_bytes));
    WS_TRY(ws_sha256_create(&x->hash));
    return list_rows(x);
}

static ws_err write_all(pcapml_export *x)
{
    WS_TRY(put_section(x));
    for (size_t i = 0; i < x->options->captures.count; i++)
        WS_TRY(export_capture(x, x->options->captures.items[i]));
    WS_CHECK(fflush(x->file) == 0, IO, "cannot write %s: %s", x->target, strerror(errno));
    if (x->sought == 0 || x->of_rows > 0)
        return WS_OK;
    ws_err error =
        WS_ERROR(ARGUMENT, "none of %llu packets is of a row of %s", (unsigned long long)x->sought, x->store->path);
    WS_HINT("a store of `extract --key FILE` needs that key here: --key FILE; else these are other captures of the "
            "same names");
    return error;
}

static ws_err write_file(pcapml_export *x, const char *output)
{
    char *partial = ws_format("%s.partial", output);
    WS_CHECK(partial != NULL, MEMORY, "no memory to write %s", output);
    x->target = partial;
    x->file = fopen(partial, "wb");
    ws_err error = x->file == NULL ? WS_ERROR(IO, "cannot create %s: %s", partial, strerror(errno)) : write_all(x);
    if (error == WS_OK && fsync(fileno(x->file)) != 0)
        error = WS_ERROR(IO, "cannot write %s: %s", partial, strerror(errno));
    if (x->file != NULL && fclose(x->file) != 0 && error == WS_OK)
        error = WS_ERROR(IO, "cannot write %s: %s", partial, strerror(errno));
    if (error == WS_OK)
        error = ws_file_rename(partial, output);
    else
        unlink(partial);
    free(partial);
    return error;
}

ws_err ws_store_export_pcapml(const ws_store *store, const ws_pcapml_export *options, const char *output,
                              ws_pcapml_exported *report)
{
    pcapml_export x = {.store = store, .options = options, .report = report};
    *report = (ws_pcapml_exported){0};
    ws_err error = prepare(&x);
    if (error == WS_OK && output != NULL) {
        error = write_file(&x, output);
    } else if (error == WS_OK) {
        x.file = stdout;
        x.target = "standard output";
        error = write_all(&x);
    }
    if (x.inputs != NULL)
        ws_texts_destroy(&x.inputs, x.input_count);
    ws_sha256_destroy(&x.hash);
    ws_pcapml_rules_destroy(&x.rules);
    ws_packet_filter_destroy(&x.filter);
    free(x.key);
    free(x.rows);
    free(x.begin);
    free(x.was_read);
    free(x.seen);
    WS_TRY(error);
    return WS_OK;
}
