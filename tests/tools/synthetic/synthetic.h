/* Deterministic labelled captures with known ground truth, for tests, benchmarks and the quickstart without a network.
 *
 * A script is all traffic of one key: a list of packets, each marked with the flow (segment) it belongs to by the rules
 * of DESIGN "Rules that fix the result". Most scripts are one flow; some use their key again after an idle gap, after
 * RST or FIN, or stay active past the active time-out, and are several flows. Scripts start one after another and
 * overlap in time; a heap gives out their packets in time order, so memory is bounded by concurrency, not by the number
 * of flows. Every number comes from Philox, and distributions use only exact or fixed sequences of IEEE operations: one
 * seed and one set of options give the same bytes on every machine.
 *
 * Nothing here uses src/capture or src/flow: the ground truth is computed apart, in plain double arithmetic with libm.
 */
#ifndef WS_TESTS_SYNTHETIC_H
#define WS_TESTS_SYNTHETIC_H

#include <stdio.h>
#include "core/core.h"

enum {
    SYNTHETIC_CLASSES = 7,
    SYNTHETIC_FEATURES = 20,
    SYNTHETIC_MOST_SEGMENTS = 8,
    SYNTHETIC_LEAST_SNAP = 128, /* holds all headers this generator writes */
    SYNTHETIC_MOST_PAYLOAD = 65000
};
enum { LINK_ETHERNET, LINK_RAW, LINK_NULL, LINK_LOOP, LINK_SLL, LINK_SLL2, LINK_COUNT };
#define SYNTHETIC_LINKS "ethernet|raw|null|loop|sll|sll2"

typedef struct synthetic_options {
    int64_t flows, seed, snap_length, adversarial, classes;
    bool nanoseconds, swapped, comments;
    int format; /* 0 pcap, 1 pcapng */
    int link;
    const char *output, *truth, *labels;
    bool help;
} synthetic_options;

/* What the file holds, for tests of the counters. */
typedef struct synthetic_counts {
    uint64_t records, packets, flows, not_ip, fragment_later, protocol_other;
} synthetic_counts;

typedef struct synthetic_class {
    const char *name, *family;
    double weight;
} synthetic_class;
extern const synthetic_class synthetic_classes[SYNTHETIC_CLASSES];

/* ---------------------------------------------------------------- random draws of one script */
typedef struct draw {
    uint64_t seed, row, step;
} draw;
uint64_t draw_u64(draw *d);
double draw_unit(draw *d); /* [0,1) */
bool draw_chance(draw *d, double probability);
int64_t draw_between(draw *d, int64_t low, int64_t high);     /* inclusive */
double draw_log_normal(draw *d, double median, double sigma); /* approximately: the normal is a sum of uniforms */
double draw_exponential(draw *d, double mean);

/* ---------------------------------------------------------------- scripts (plan.c) */
typedef struct script_packet {
    int64_t time_ns;
    uint64_t ordinal; /* record number in the file; set when written */
    uint32_t payload; /* transport payload of the whole datagram */
    uint16_t window;
    uint8_t flags, direction; /* direction: 0 sent by the client */
    uint8_t segment;
    bool fragmented; /* the datagram is cut in two; the first part carries the ports */
    bool straggler;  /* after the end of its flow; left out if a closing point lies between */
    bool left_out;
    uint32_t ip_length; /* of the record that belongs to the flow; set when written */
} script_packet;

typedef struct script {
    uint64_t index;
    int class;
    uint8_t protocol, ip_version, vlan_tags;
    bool time_stamp_option, extension_header, imitates_records;
    uint8_t address[2][16]; /* client, server; IPv4 in the first 4 bytes */
    uint16_t port[2];
    uint32_t sequence[2];
    script_packet *packets;
    size_t count, capacity, next;
    int segments;
    uint64_t finish_ordinal; /* of the packet that ended the current segment, for stragglers */
} script;

/* Plans script `index` starting at start_ns, of at most `most_flows` flows. */
ws_err script_plan(script *s, const synthetic_options *options, uint64_t index, int64_t start_ns, uint64_t most_flows);
void script_destroy(script *s);

/* ---------------------------------------------------------------- the file (file.c, frame.c) */
typedef struct capture_file {
    FILE *stream;
    const synthetic_options *options;
    uint64_t records;
} capture_file;
ws_err capture_file_begin(capture_file *file);
ws_err capture_file_record(capture_file *file, int64_t time_ns, const uint8_t *frame, uint32_t length);

enum { FRAME_BYTES = SYNTHETIC_MOST_PAYLOAD + 256 };
/* Builds the frame of packet p (part 1: the later fragment) into `frame`; returns its length and sets *ip_length.
 * Sequence numbers move on with part 0. */
uint32_t frame_build(script *s, const script_packet *p, int part, const synthetic_options *options, uint8_t *frame,
                     uint32_t *ip_length);
uint32_t frame_build_arp(const synthetic_options *options, uint64_t number,
                         uint8_t *frame); /* 0: the link carries IP only */
uint32_t frame_build_icmp(const synthetic_options *options, uint64_t number, uint8_t *frame); /* an echo request */
void address_text(const script *s, int side, char out[64]);

/* ---------------------------------------------------------------- ground truth (truth.c) */
void truth_header(FILE *truth, FILE *labels);
void truth_script(const script *s, const char *capture, FILE *truth, FILE *labels); /* one line a segment */

/* ---------------------------------------------------------------- the whole (synthetic.c) */
ws_err synthetic_write(const synthetic_options *options, synthetic_counts *counts);

#endif
