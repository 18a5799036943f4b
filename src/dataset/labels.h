/* labels: what the files of a data set say about its flows, joined to them by capture, 5-tuple and, where given, time.
 *
 * A source is read whole by every rank from the same files, so its class lists are the same everywhere; lookups are
 * local. Nothing here is collective but ws_labels_report_all. The caller agrees on the error of ws_labels_open.
 *
 * How a flow finds its row, among the rows of its capture: the full 5-tuple (endpoints unordered) before rows without
 * ports, which speak for all flows of the protocol between two addresses; there a row whose time equals the flow's
 * first packet, then the first row whose time lies within [first, last], then a row without time. A row that repeats a
 * key and time with other classes is ambiguous: the first one wins and the repetition is counted.
 */
#ifndef WS_DATASET_LABELS_H
#define WS_DATASET_LABELS_H

#include "dataset/dataset.h"

typedef struct ws_label_rules ws_label_rules;     /* label_rules.h */
typedef struct ws_packet_filter ws_packet_filter; /* packet_filter.h */

/* Reads the labels of `inputs` (expanded paths, as extraction numbers them; "" for one that has no flows) with the
 * adapter's reader. A data set without labels gives a source without levels. Classes are those of the rows that speak
 * of the inputs, sorted bytewise. */
WS_MUST ws_err ws_labels_open(ws_label_source **out, const ws_dataset_adapter *adapter, const char *labels,
                              const ws_string_list *inputs);
/* How packets become flows where labels lie in the captures: labels are looked up by the keys that flows have. */
typedef struct ws_label_reading {
    ws_stamps stamps;
    bool inner_packets;               /* those in tunnels */
    const ws_ip_protocols *protocols; /* besides TCP and UDP; borrowed while the labels are read; NULL: none */
    bool samples;                     /* rows are samples (ws_label_samples), where the adapter knows such */
    ws_packet_filter *filter;         /* packets that it refuses are not there; borrowed likewise; NULL: none */
} ws_label_reading;
/* The same where captures are read otherwise than the data set says. */
WS_MUST ws_err ws_labels_open_reading(ws_label_source **out, const ws_dataset_adapter *adapter, const char *labels,
                                      const ws_string_list *inputs, const ws_label_reading *reading);
void ws_labels_destroy(ws_label_source **source);

/* The levels; borrowed. What ws_store_writer_options.levels takes. */
const ws_label_level *ws_labels_levels(const ws_label_source *source, size_t *count);

/* The same from label rules (label_rules.h), which the source takes over. */
WS_MUST ws_err ws_labels_open_rules(ws_label_source **out, ws_label_rules **rules, const ws_string_list *inputs);
/* Whether the source tells attempts: then the store has /labels/attempted. */
bool ws_labels_tell_attempts(const ws_label_source *source);

/* classes[level count]: the class index a level, -1 where the row has none or no row speaks of the flow (then false).
 * *attempted: what /labels/attempted holds. Counts the flow. */
bool ws_labels_find(ws_label_source *source, const ws_flow *flow, int32_t *classes, uint8_t *attempted);

typedef struct ws_label_counters {
    uint64_t flows, matched;             /* flows asked for, by ws_labels_find */
    uint64_t rows, ambiguous, malformed; /* rows of the label files that speak of the input; malformed: of no input */
} ws_label_counters;
/* Sums over all ranks: totals, and as a JSON object {"flows":..,"matched":..,"inputs":[...]} appended to out (may be
 * NULL). */
WS_MUST ws_err ws_labels_report_all(const ws_comm *comm, const ws_label_source *source, ws_label_counters *total,
                                    ws_text *out);

/* Rows that are samples: which one a packet is of, and the key of a sample's row, by its number. */
typedef struct ws_label_samples {
    void *context; /* owned */
    /* Marks the packet (ws_packet.sample_side); *found false: it is of none. */
    ws_err (*find)(void *context, size_t input, const ws_record *record, ws_packet *packet, bool *found);
    /* That of its first packet, with the number in it; *source_is_low: that packet's. */
    void (*name)(const void *context, size_t input, uint32_t number, ws_flow_key *key, bool *source_is_low);
    void (*destroy)(void *context);
} ws_label_samples;
const ws_label_samples *ws_labels_samples(const ws_label_source *source); /* NULL: rows are flows */

/* What this rank has counted so far, as numbers to be summed over ranks (*out malloc'ed), and the same put back on one rank
 * of a run that goes on. */
WS_MUST ws_err ws_labels_counters_get(const ws_label_source *source, uint64_t **out, size_t *count);
WS_MUST ws_err ws_labels_counters_set(ws_label_source *source, const uint64_t *words, size_t count);

/* ---------------------------------------------------------------- for adapters */
/* A row as an adapter hands it in. The capture is named by scope, see ws_label_source_scope. */
typedef struct ws_label_row {
    ws_flow_key key;
    bool any_port; /* ports unknown: both 0 in the key */
    bool has_time;
    int64_t first_ns;
} ws_label_row;
enum { WS_LABEL_LEVELS_MAX = 16 };
/* Before the first row: the names of the levels. */
WS_MUST ws_err ws_label_source_levels(ws_label_source *source, const char *const *names, size_t count);
/* Rows speak of a scope: a capture name or a label file. Inputs that share one share its rows. First every input gets
 * its scope, then rows are added. find: false where no input has that name (the row speaks of another capture). */
WS_MUST ws_err ws_label_source_set_scope(ws_label_source *source, size_t input, const char *name, uint32_t *scope);
bool ws_label_source_find_scope(ws_label_source *source, const char *name, uint32_t *scope);
/* classes[levels]: class names, NULL or "" for none. */
WS_MUST ws_err ws_label_source_add(ws_label_source *source, uint32_t scope, const ws_label_row *row,
                                   const char *const *classes);
/* A line of a label file, or a label of a packet, that cannot be used: counted; the first one is told to the user. */
void ws_label_source_malformed(ws_label_source *source, const char *file, uint64_t line, const char *why);
/* Key of an unordered pair of textual endpoints. False where an address cannot be read. */
bool ws_label_key(ws_flow_key *key, uint8_t protocol, const char *source, uint16_t source_port, const char *destination,
                  uint16_t destination_port);
/* How many there were, and the first of them as "FILE:LINE: WHY", borrowed; 0: none. */
uint64_t ws_label_source_first_malformed(const ws_label_source *source, const char **first);
void ws_label_source_set_samples(ws_label_source *source, const ws_label_samples *samples); /* takes it over */
const ws_label_reading *ws_label_source_reading(const ws_label_source *source); /* how captures are to be read */
/* "TCP", "tcp", "6" -> 6; 0 where unknown. */
uint8_t ws_label_protocol(const char *text);

/* The reader of generic's CSV file, for families that write the same. */
WS_MUST ws_err ws_labels_read_generic(ws_label_source *source, const char *labels, const ws_string_list *inputs);

#endif
