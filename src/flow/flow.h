/* flow: packets to flows. Table, end of a flow, direction, the packet schema and the 20-d flow vector.
 *
 * Sources: DESIGN "Rules that fix the result"; specs 3.3.1 (9-d packet vector), 3.3.2 (20-d flow vector).
 * Nothing here is collective and nothing depends on ranks, stripes, memory or threads: a flow's content is a function
 * of the packets of its key in input order and of the closing points of the input.
 */
#ifndef WS_FLOW_H
#define WS_FLOW_H

#include "capture/capture.h"
#include "core/core.h"

/* The byte view: of the first packets of a flow the first bytes of header (IP and transport, options included) and of
 * payload, each cut or padded with zeros to a fixed length. Kept only where it is asked for. */
typedef enum ws_strip {
    WS_STRIP_NOTHING,
    WS_STRIP_ADDRESSES, /* IP addresses are 0; so is what other protocols than those with ports and echoes say */
    WS_STRIP_ENDPOINTS, /* ports too */
    WS_STRIP_IDENTITY /* and what tells one host or session from others: checksums, IP identification, time to live, flow
                           label, TCP's numbers, time stamps, selective acknowledgements, keys and cookies */
} ws_strip;
extern const char *const ws_strip_names[]; /* "nothing", "addresses", ... */
typedef struct ws_byte_view {
    uint32_t packets, header, payload; /* of a flow; of each packet. packets 0: no bytes are kept */
    ws_strip stripped;
} ws_byte_view;
/* A packet's bytes on their way: uint16_t header and payload bytes that are its own, then view->header and view->payload
 * bytes with zeros behind those. */
enum { WS_BYTE_SLOT_HEAD = 2 * sizeof(uint16_t) };
static inline size_t ws_byte_slot_size(const ws_byte_view *view)
{
    return view->packets == 0 ? 0 : WS_BYTE_SLOT_HEAD + (size_t)view->header + view->payload;
}
/* "header:80,payload:240,packets:5" in any order; what is not named is as in this text. Leaves out->stripped. */
WS_MUST ws_err ws_byte_view_read(const char *text, ws_byte_view *out);
/* frame: the one the packet was decoded from. */
void ws_byte_view_take(const ws_byte_view *view, const uint8_t *frame, const ws_packet *packet, uint8_t *slot);

typedef struct ws_flow_rules {
    int64_t idle_timeout_ns;   /* gap >= this ends the flow (120 s) */
    int64_t active_timeout_ns; /* age >= this ends the flow (1800 s) */
    int64_t linger_ns;         /* after RST or FIN exchange, packets without SYN within this still belong (5 s) */
    uint32_t max_packets;      /* packets stored per flow (128); counts and features use all packets */
    int64_t window_ns;         /* a flow lies in one window of this length; 0: no windows */
    bool windows_alone;        /* nothing but windows ends a flow: one flow a key and window; no time-out, RST, FIN */
    bool direction_by_syn;     /* forward = sender of the SYN where one is seen; default: sender of the first packet */
    bool by_time;              /* packets of an input come in the order of their times, not of their ordinals */
    ws_byte_view bytes;        /* at most max_packets of a flow */
    bool keys_whole;           /* nothing but the input's end ends a flow: one flow a key */
    bool direction_by_private; /* forward = the endpoint with a private address where one of the two has one */
} ws_flow_rules;
extern const ws_flow_rules ws_flow_rules_default;

/* Bidirectional key: protocol and the unordered pair of endpoints (lower endpoint first, bytewise address then port).
 */
typedef struct ws_flow_key {
    uint8_t low_address[16], high_address[16];
    uint16_t low_port, high_port;
    uint8_t protocol;
    uint8_t sample[3]; /* of rows that are samples: 1 + the sample's number, big endian; else zero */
} ws_flow_key;         /* 40 bytes, no padding: may be hashed and compared bytewise */
_Static_assert(sizeof(ws_flow_key) == 40, "a key is hashed and compared bytewise: it must have no padding");
/* *source_is_low: the packet's source is the low endpoint. For routing and tables; the same on every machine. */
static inline void ws_flow_key_of(const ws_packet *packet, ws_flow_key *key, bool *source_is_low);
static inline uint64_t ws_flow_key_hash(const ws_flow_key *key);
/* Packets with a sample_side have the key of their sample, whatever their endpoints: its number between two endpoints that stand
 * for the first packet's sender, the low one, and all others. */
static inline uint32_t ws_flow_key_sample(const ws_flow_key *key); /* its number */
static inline void ws_flow_key_set_sample(ws_flow_key *key, uint32_t number);
#include "flow/key.h"

/* What is kept of a packet in a flow (packet schema, columns of /packets). */
typedef struct ws_flow_packet {
    int64_t offset_ns; /* since the flow's first packet; negative where time went back */
    uint32_t wire_length, ip_length, payload_length;
    uint16_t header_length, window;
    uint8_t tcp_flags;
    int8_t direction; /* +1 forward, -1 backward */
    uint8_t protocol; /* this and the ports: while a row is made; a store has them of flows only */
    uint8_t reserved;
    uint16_t source_port, destination_port;
} ws_flow_packet;

bool ws_address_is_private(const uint8_t address[16]); /* RFC 1918, RFC 6598, RFC 4193, loopback and link-local */
/* For rows of whole captures: all packets of an input go between the same two endpoints, fd00::INPUT and 100::INPUT, without
 * ports and protocol. From the former, a private one, but for those from elsewhere to a private address. */
void ws_packet_join_capture(ws_packet *packet);

enum { WS_FLOW20_COLUMNS = 20, WS_PACKET9_COLUMNS = 9 };
extern const char *const ws_flow20_names[WS_FLOW20_COLUMNS];
extern const char *const ws_flow20_units[WS_FLOW20_COLUMNS];
extern const char *const ws_packet9_names[WS_PACKET9_COLUMNS];

typedef enum ws_flow_end {
    WS_FLOW_END_IDLE,
    WS_FLOW_END_ACTIVE,
    WS_FLOW_END_RST,
    WS_FLOW_END_FIN,
    WS_FLOW_END_INPUT
} ws_flow_end;

/* A finished flow. */
typedef struct ws_flow {
    ws_flow_key key;
    bool forward_is_low; /* the forward sender is the key's low endpoint */
    uint8_t end;         /* ws_flow_end */
    uint32_t input;
    uint64_t first_ordinal; /* of its first packet in the input */
    uint64_t left_at; /* closing point: ordinal of the first packet after it (2^20 * k, or the input's record count) */
    int64_t first_ns, last_ns;     /* time of the first packet; newest time seen */
    uint64_t packets[2], bytes[2]; /* [0] forward, [1] backward; bytes = sum of IP lengths */
    uint64_t payload_bytes[2];
    uint64_t longest_payload[2];       /* of a packet */
    uint64_t wire_bytes, wire_squares; /* sums of wire lengths, at most 65,535 each, and of their squares */
    ws_uint128 gap_squares;            /* sum of squared gaps in ns; the gaps add up to last_ns - first_ns */
    float features[WS_FLOW20_COLUMNS];
    uint32_t packet_count;        /* stored packets, at most max_packets */
    const ws_flow_packet *stored; /* borrowed from the sink call */
    uint64_t slot_bytes;          /* of all slots of `slots`: the first rules.bytes.packets stored packets */
    const uint8_t *slots;         /* borrowed likewise */
} ws_flow;

/* The table of one rank: all live flows of the current input that it owns. */
typedef struct ws_flow_table ws_flow_table;
WS_MUST ws_err ws_flow_table_create(ws_flow_table **out, const ws_flow_rules *rules);
void ws_flow_table_destroy(ws_flow_table **table);
/* Where windows of the input that comes next are counted from; at first 1970. */
void ws_flow_table_set_window_origin(ws_flow_table *table, int64_t origin_ns);

/* Number of the window of this length that holds the time. */
int64_t ws_flow_window_of(int64_t origin_ns, int64_t window_ns, int64_t time_ns);

/* Called for every finished flow, in the order of first_ordinal within one closing point. The flow is borrowed. */
typedef ws_err (*ws_flow_sink)(void *context, const ws_flow *flow);

/* Appends packets; packets of an input come in ordinal order. Many in one call are faster: what they touch is fetched
 * ahead of them. */
WS_MUST ws_err ws_flow_table_add(ws_flow_table *table, const ws_packet *packets, size_t count);
/* The same where bytes are kept: slots[count], the packets'. */
WS_MUST ws_err ws_flow_table_add_bytes(ws_flow_table *table, const ws_packet *packets, const uint8_t *slots,
                                       size_t count);
/* A closing point: `ordinal` is the first ordinal after it, newest_ns the newest time of any packet of the input so far
 * (of all ranks). Hands out finished flows and those idle against newest_ns; with input_ends all. */
WS_MUST ws_err ws_flow_table_close(ws_flow_table *table, uint64_t ordinal, int64_t newest_ns, bool input_ends,
                                   ws_flow_sink sink, void *context);
enum { WS_CLOSING_INTERVAL = 1 << 20 }; /* packets (records) of the input between closing points */

/* Memory that live flows, their stored packets and the index take now. */
size_t ws_flow_table_bytes(const ws_flow_table *table);

/* Live flows as bytes, for a table that must make room. save calls the sink for every live flow, in order of first packet,
 * with a text of its own that is valid on this machine and program only, and leaves the table empty; copy leaves it as it
 * is; restore puts one back, also one of another table, in any order, before the packets that followed. Counters go on. */
typedef ws_err (*ws_flow_save_sink)(void *context, const ws_flow_key *key, const void *bytes, size_t count);
WS_MUST ws_err ws_flow_table_save(ws_flow_table *table, ws_flow_save_sink sink, void *context);
WS_MUST ws_err ws_flow_table_copy(ws_flow_table *table, ws_flow_save_sink sink, void *context);
WS_MUST ws_err ws_flow_table_restore(ws_flow_table *table, const void *bytes, size_t count);

typedef struct ws_flow_counters {
    uint64_t packets, bytes;  /* taken in (bytes: IP lengths) */
    uint64_t flows;           /* handed out */
    uint64_t negative_gaps;   /* packets earlier than their flow's newest time */
    uint64_t live, peak_live; /* flows in the table */
    uint64_t ended[5];        /* by ws_flow_end */
} ws_flow_counters;
const ws_flow_counters *ws_flow_table_counters(const ws_flow_table *table);

/* The 9-d raw vector of stored packet k (before normalisation), from a flow's stored packets: specs 3.3.1. */
void ws_packet9(const ws_flow_packet *stored, uint32_t k, float out[WS_PACKET9_COLUMNS]);
/* The 20-d vector recomputed from stored packets (exact while packet_count equals all packets): specs 3.3.2. */
void ws_flow20_from_packets(const ws_flow_packet *stored, uint32_t count, float out[WS_FLOW20_COLUMNS]);

/* The part of `wiresweep bench extract` that ends with the flow table. Makes a temporary capture of 76 MB. */
WS_MUST ws_err ws_bench_flow(ws_bench_report *report);

#endif
