/* pcapml: which sample a packet belongs to, and its label: from the packet's comment, or by a file of rules. For
 * adapter_pcapml.c and export_pcapml.c.
 */
#ifndef WS_DATASET_PCAPML_H
#define WS_DATASET_PCAPML_H

#include "dataset/dataset.h"

enum { WS_PCAPML_LABEL_BYTES = 256 };

/* The first comment of the record that is pcapML's; false where it has none. *text of *length bytes, without the NULs of some
 * writers behind it, is borrowed as the record is; may be NULL. */
bool ws_pcapml_find_comment(const ws_record *record, uint64_t *sample, char label[WS_PCAPML_LABEL_BYTES],
                            const char **text, size_t *length);

bool ws_pcapml_has_comment(const ws_record *record); /* of any kind */

/* All records of a capture in its order. A stamp that could be of either kind is an error: the user must say. */
typedef ws_err (*ws_pcapml_visit)(void *context, const ws_record *record);
WS_MUST ws_err ws_pcapml_walk(const char *path, ws_stamps stamps, ws_pcapml_visit visit, void *context);

/* The samples of all inputs, where rows are samples: the number of each, from 0 in the order in which its input has them, and its
 * first packet in time. */
typedef struct ws_pcapml_samples ws_pcapml_samples;
WS_MUST ws_err ws_pcapml_samples_create(ws_pcapml_samples **out, size_t inputs);
void ws_pcapml_samples_destroy(ws_pcapml_samples **samples);
/* A packet of the sample. *alike: its label is that of the packets before it. */
WS_MUST ws_err ws_pcapml_samples_add(ws_pcapml_samples *samples, size_t input, const ws_packet *packet, uint64_t sample,
                                     const char *label, bool *alike);
size_t ws_pcapml_samples_count(const ws_pcapml_samples *samples, size_t input);
/* The packet's number and side (ws_packet.sample_side); false where the input has no such sample. */
bool ws_pcapml_samples_mark(const ws_pcapml_samples *samples, size_t input, uint64_t sample, ws_packet *packet);
/* The key of the first packet with the sample's number in it, see ws_flow_key. *label until labels are dropped. */
void ws_pcapml_samples_name(const ws_pcapml_samples *samples, size_t input, uint32_t number, ws_flow_key *key,
                            bool *source_is_low, const char **label);
void ws_pcapml_samples_drop_labels(ws_pcapml_samples *samples, size_t input);

/* A label file as pcapML's tools take it, lines FILTER,LABEL[,KEY]; lines that begin with # are passed over. FILTER is
 * a list of conditions with | between them, each at most once: BPF:EXPRESSION (pcap-filter(7)), TS_START:SECONDS and
 * TS_END:SECONDS (since 1970, both inclusive), FILE:PATH (a capture that is named so, or whose path, as named or
 * absolute, ends in it, compressed or not). The first line whose conditions a packet meets gives its label. Samples are
 * numbered by lines, from 0; lines with the same KEY are one sample, the first one's. */
typedef struct ws_pcapml_rules ws_pcapml_rules;
WS_MUST ws_err ws_pcapml_rules_read(ws_pcapml_rules **out, const char *path);
void ws_pcapml_rules_destroy(ws_pcapml_rules **rules);
/* *label NULL where no line speaks of the record. */
WS_MUST ws_err ws_pcapml_rules_find(ws_pcapml_rules *rules, const char *capture, const ws_record *record,
                                    uint64_t *sample, const char **label);

#endif
