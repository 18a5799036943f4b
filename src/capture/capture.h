/* capture: files to packets. Recognises a format by its magic, finds record boundaries in the middle of a file, walks
 * records and decodes link, network and transport headers into fixed packet records.
 *
 * Sources: classic pcap (draft-ietf-opsawg-pcap), pcapng (draft-ietf-opsawg-pcapng), link types as registered at
 * tcpdump.org; IPv4 RFC 791, IPv6 RFC 8200, TCP RFC 9293, UDP RFC 768, 802.1Q/802.1ad.
 * Nothing here is collective. Nothing crashes on any input.
 */
#ifndef WS_CAPTURE_H
#define WS_CAPTURE_H

#include <string.h>
#include "capture/stream.h"
#include "core/core.h"

/* Why a record did not become a packet of a flow. Every record read is counted once: as packet, or under one reason. */
#define WS_SKIP_LIST(S)                                                                                                \
    S(not_ip, "no IP inside (ARP, spanning tree, ...)")                                                                \
    S(link_unsupported, "link type or encapsulation not decoded")                                                      \
    S(link_truncated, "captured bytes end inside the link header")                                                     \
    S(network_truncated, "captured bytes end inside the IP header")                                                    \
    S(network_malformed, "IP header contradicts itself")                                                               \
    S(fragment_later, "later fragment of an IP packet (carries no ports)")                                             \
    S(protocol_other, "neither TCP nor UDP (--protocols keeps more)")                                                  \
    S(transport_truncated, "captured bytes end inside the TCP or UDP header")                                          \
    S(transport_malformed, "TCP or UDP header contradicts itself")                                                     \
    S(filtered, "left out by --filter")                                                                                \
    S(no_sample, "of no sample, where rows are samples (pcapML)")
typedef enum ws_skip {
    WS_SKIP_NONE = 0,
#define WS_SKIP_ENUM(name, text) WS_SKIP_##name,
    WS_SKIP_LIST(WS_SKIP_ENUM)
#undef WS_SKIP_ENUM
        WS_SKIP_COUNT
} ws_skip;
extern const char *const ws_skip_names[WS_SKIP_COUNT]; /* "", "not_ip", ... */
extern const char *const ws_skip_help[WS_SKIP_COUNT];

/* Damage: a run of bytes in which no record could be read. */
typedef struct ws_damage {
    uint32_t input;
    uint32_t reason; /* ws_damage_reason */
    uint64_t offset, bytes;
} ws_damage;
#define WS_DAMAGE_LIST(D)                                                                                              \
    D(record_impossible, "impossible record header")                                                                   \
    D(record_truncated, "the file ends inside a record")                                                               \
    D(block_impossible, "impossible pcapng block")                                                                     \
    D(block_truncated, "the file ends inside a pcapng block")                                                          \
    D(interface_unknown, "packet of an interface that was never described")                                            \
    D(stream_broken, "compressed stream is damaged")
typedef enum ws_damage_reason {
#define WS_DAMAGE_ENUM(name, text) WS_DAMAGE_##name,
    WS_DAMAGE_LIST(WS_DAMAGE_ENUM)
#undef WS_DAMAGE_ENUM
        WS_DAMAGE_COUNT
} ws_damage_reason;
extern const char *const ws_damage_names[WS_DAMAGE_COUNT];
extern const char *const ws_damage_help[WS_DAMAGE_COUNT];

/* A decoded packet. Addresses are 16 bytes, IPv4 as ::ffff:a.b.c.d. Lengths in bytes; they come from the IP header, so
 * a short captured length changes none of them (IPv6: 40 + payload length; IP length 0 from offload: wire length less
 * link header). */
typedef struct ws_packet {
    uint64_t ordinal; /* number of the record in its input, from 0, counting skipped records too */
    int64_t time_ns;  /* since 1970, UTC */
    uint8_t source[16], destination[16];
    uint16_t source_port, destination_port;
    uint32_t input;       /* index of the input */
    uint32_t wire_length; /* as on the wire, from the record header */
    uint32_t captured_length;
    uint32_t ip_length;      /* IP header + payload */
    uint32_t payload_length; /* behind the transport header */
    uint16_t header_length;  /* IP + transport headers */
    uint16_t window;         /* TCP, unscaled; 0 for UDP */
    union {
        uint32_t sequence; /* TCP */
        uint32_t sample;   /* with sample_side: the packet's sample, numbered within its input */
    };
    uint32_t acknowledgement; /* TCP */
    uint8_t protocol;         /* 6 TCP, 17 UDP; others by ws_packet_decode_other */
    uint8_t tcp_flags;        /* FIN 1 SYN 2 RST 4 PSH 8 ACK 16 URG 32 ECE 64 CWR 128 */
    uint8_t ip_version;
    uint8_t sample_side;     /* WS_SAMPLE_...; decoding leaves 0 */
    uint32_t ip_offset;      /* of the IP header in its frame */
    uint16_t network_length; /* the part of header_length that is IP's */
    uint16_t reserved_too;   /* zero */
} ws_packet;
static inline bool ws_address_is_ipv4(const uint8_t address[16])
{
    static const uint8_t prefix[12] = {[10] = 0xff, [11] = 0xff};
    return memcmp(address, prefix, sizeof prefix) == 0;
}
enum { WS_SAMPLE_FIRST_SENDER = 1, WS_SAMPLE_OTHERS = 2 }; /* sent by the sender of its sample's first packet, or not */
enum { WS_TCP_FIN = 1, WS_TCP_SYN = 2, WS_TCP_RST = 4, WS_TCP_PSH = 8, WS_TCP_ACK = 16, WS_TCP_URG = 32 };

/* Decodes one captured frame. Fills everything but ordinal and input (0). Pure, bounds-checked.
 * Link types: Ethernet 1 (802.1Q/802.1ad/0x9100 tags and MPLS labels to any depth, PPPoE, LLC/SNAP, and by EtherType
 * FabricPath, 802.1ah, VN-Tag, E-Tag, HSR, R-TAG, TRILL, NSH, MACsec in clear), raw IP 12 14 101 228 229, Linux
 * cooked 113 276, null and loop 0 108 (family in either byte order), PPP 9 50 51 166 204, Cisco HDLC 104 205, frame
 * relay 107 206, SLIP 8, token ring 6, ARCNET 7 129, FDDI 10, ATM 100 106 123, IP over Fibre Channel 122, IEEE 1394
 * 138, InfiniBand 242, Solaris 226, ENC 109, PFLOG 117, NFLOG 239, PKTAP 258, taps 240 241, switch tags 281 282 284
 * 285, 802.11 data frames that are not encrypted 105, behind Prism 119, radiotap 127, AVS 163, PPI 192. The captured
 * bytes must reach over the link header, the IP header with its extensions, and the first 16 bytes of TCP (up to the
 * window) or 4 of UDP (the ports); less is a *_truncated skip. A skipped frame has its time, wire and captured length
 * filled, and what was decoded before the reason was met. */
ws_skip ws_packet_decode(const uint8_t *frame, uint32_t captured_length, uint32_t wire_length, int link_type,
                         int64_t time_ns, ws_packet *out);

/* The same, but a packet that a tunnel carries (IP in IP, GRE, VXLAN, GTP-U) stands for the frame: the innermost that is TCP or
 * UDP, with all of its lengths; where none can be decoded, the outer packet as above. */
ws_skip ws_packet_decode_inner(const uint8_t *frame, uint32_t captured_length, uint32_t wire_length, int link_type,
                               int64_t time_ns, ws_packet *out);

/* After WS_SKIP_protocol_other: the packet is one of a flow all the same. SCTP, DCCP and UDP-Lite have ports; others have
 * ports 0, ICMP too, whose request and answer differ in their types and belong together. Of these, ICMP, ICMPv6, IGMP,
 * GRE, ESP and AH have a header of 8, 8, 8, 4, 8 and 12 bytes, its fixed part; what follows is payload. Any other
 * protocol has no header. */
ws_skip ws_packet_decode_other(const uint8_t *frame, ws_packet *packet);

/* IP protocols by number. */
typedef struct ws_ip_protocols {
    bool kept[256];
} ws_ip_protocols;
/* Adds names ("icmp"), numbers ("89"), or "all". */
WS_MUST ws_err ws_ip_protocols_read(const ws_string_list *names, ws_ip_protocols *out);

/* Lines: a text with a packet a line, as Wireshark exports it, see packet_lines.c. The IP protocol of packets is this one
 * where the lines do not tell it (reserved by IANA). */
enum { WS_PROTOCOL_UNTOLD = 255 };
#define WS_CAPTURE_FORMAT_LIST(F)                                                                                      \
    F(PCAP, "pcap") F(PCAPNG, "pcapng") F(LINES, "packet lines") F(SNOOP, "snoop") F(ERF, "erf")
typedef enum ws_capture_format {
#define WS_CAPTURE_FORMAT_ENUM(name, text) WS_CAPTURE_##name,
    WS_CAPTURE_FORMAT_LIST(WS_CAPTURE_FORMAT_ENUM)
#undef WS_CAPTURE_FORMAT_ENUM
        WS_CAPTURE_FORMAT_COUNT
} ws_capture_format;
extern const char *const ws_capture_format_names[WS_CAPTURE_FORMAT_COUNT];

/* Old writers of classic pcap give captured and wire length in the other order (version 2.0 to 2.2), or in either order
 * (2.3: the smaller one is the captured length). */
typedef enum ws_pcap_lengths { WS_LENGTHS_USUAL, WS_LENGTHS_EXCHANGED, WS_LENGTHS_EITHER } ws_pcap_lengths;

/* What the two words of a pcapng time stamp mean, where the interface states no time unit. Some writers of pcapML give seconds
 * and microseconds, which no pcapng is. */
typedef enum ws_stamps {
    WS_STAMPS_STANDARD, /* one number of 64 bits: microseconds */
    WS_STAMPS_SPLIT,    /* seconds, then microseconds within the second */
    WS_STAMPS_DETECT    /* each stamp tells, see ws_stamps_tell */
} ws_stamps;
/* Standard with a high word of 0 (both readings agree) or of 200,000 to 600,000 (1997 to 2051); split with a high word from
 * 100,000,000 on (1973) and a low one below 1,000,000; WS_STAMPS_DETECT where it tells neither. */
ws_stamps ws_stamps_tell(uint32_t high, uint32_t low);

/* The size of a compressed capture, until it was read to its end. */
#define WS_CAPTURE_BYTES_UNKNOWN ((uint64_t)INT64_MAX)

/* An open capture. Opening reads and checks the header only: errors name file, byte offset and reason. Of a compressed
 * file (gzip, zstd, xz, bzip2, by magic) all offsets are those of the bytes that it holds; it is read from its start
 * on, through one stream, so by one walk at a time. */
typedef struct ws_capture {
    char *path; /* owned */
    int file;   /* descriptor, -1 when closed */
    ws_capture_format format;
    ws_compression compression;
    struct ws_stream *stream; /* owned; NULL where the file is not compressed */
    uint64_t stored_bytes;    /* of the file when opened */
    uint64_t bytes;           /* the same; compressed: WS_CAPTURE_BYTES_UNKNOWN */
    bool splittable;          /* stripes may begin in the middle: pcap or pcapng, not compressed */
    bool swapped;             /* byte order differs from this machine's */
    bool nanoseconds;         /* pcap: resolution of the record stamps */
    bool tabs;                /* lines: the form without a header */
    ws_stamps stamps;         /* pcapng; to be set after opening, standard at first */
    int link_type;            /* pcap, snoop; others: -1, each interface, record or line has its own */
    uint32_t snap_length;
    uint64_t first_record; /* offset of the first record (pcap 24, of the Ixia variant 28; pcapng 0) */
    uint32_t
        record_header; /* pcap: bytes of a record's header: 16, of the modified format 24, of old variants 20, 24, 28; others 0 */
    ws_pcap_lengths lengths;
    /* pcap: a record header is possible when captured length <= record_limit and stamp fraction < fraction_limit. */
    uint32_t record_limit;   /* max(snap_length, 262144), at most 1 MiB since the field may hold anything */
    uint32_t fraction_limit; /* 2 s, for writers that forget a carry; none where the first record already breaks it */
} ws_capture;
WS_MUST ws_err ws_capture_open(ws_capture *out, const char *path);
void ws_capture_close(ws_capture *capture);
/* Whether the file, or what is compressed in it, begins as a capture does; it may be no whole one. */
bool ws_capture_has_magic(const char *path);
bool ws_capture_is_lines(const char *path);
/* Whether it begins as a format that opening it refuses by name, with a way to convert it. */
bool ws_capture_is_other(const char *path);

/* One record as found in the file, before decoding. */
typedef struct ws_record {
    uint64_t offset; /* of the record header in the file */
    int64_t time_ns;
    uint32_t captured_length, wire_length;
    int link_type;
    const uint8_t *frame;   /* borrowed until the next call */
    const uint8_t *options; /* pcapng: behind the frame, see ws_record_comment; borrowed likewise */
    size_t option_bytes;    /* 0 elsewhere */
    bool options_swapped;
    ws_stamps stamps; /* pcapng: how its stamp was read; WS_STAMPS_DETECT: as standard, though it tells neither */
} ws_record;
/* The packet's comments, one a call, in their order: *at is 0 at first and the walk's own then; false behind the last. They are
 * borrowed as the options are and have no NUL behind them. */
bool ws_record_comment(const ws_record *record, size_t *at, const char **text, size_t *length);

/* A walk over the records of the byte range [begin, end) of a capture: it yields every record that starts in the range,
 * reading over `end` where the last one does. A range begins at a true record start (or at first_record). Damage is
 * skipped by one rule that is a pure function of file content and offset. pcap: at an impossible record header the walk
 * goes on at the first record of the longest chain, stamps within a day of each other, that leads to what
 * ws_capture_resync finds from there, or of the one that covers most of a window where that has more records (it may end
 * at the next damage), so only the neighbourhood is lost. pcapng: at the next three sound blocks in a
 * row, or sound blocks up to the file's end; snoop and ERF: likewise with records. A record that the file's end cuts
 * off is damage up to the end. A compressed stream that breaks off is damage from the first byte that belongs to no
 * whole record to the last that could be decompressed (perhaps none), and the walk ends there. Runs of damage are
 * reported once, by the walk in whose range they start. The capture is borrowed. */
typedef struct ws_walk ws_walk;
WS_MUST ws_err ws_walk_create(ws_walk **out, const ws_capture *capture, uint32_t input);
void ws_walk_destroy(ws_walk **walk);
/* Hands on what the walk reads of a file that is not compressed, in the order of reading, mostly from one multiple of
 * WS_WALK_STRETCH to another or to the file's end: for sums over the file's bytes without a second reading. `alone`: the next
 * range will begin where this one ends, so that the walk may read far ahead. */
enum { WS_WALK_STRETCH = 64 << 10 };
typedef void (*ws_walk_watcher)(void *context, uint32_t input, uint64_t offset, const uint8_t *bytes, size_t count);
void ws_walk_watch(ws_walk *walk, ws_walk_watcher watcher, void *context, bool alone);
/* Sets the range. For pcapng the state (sections, interfaces) carries on when begin is where the last range ended;
 * another begin is reached by reading the file from its start. */
WS_MUST ws_err ws_walk_range(ws_walk *walk, uint64_t begin, uint64_t end);
/* The same for a stripe in the middle of a pcapng: `blocks` are the offsets, in order, of the section and interface blocks
 * behind the head (all before the first packet, where they are of one section) and before `begin`. The walk reads those
 * and the head for its state. */
WS_MUST ws_err ws_walk_stripe(ws_walk *walk, uint64_t begin, uint64_t end, const uint64_t *blocks, size_t count);
/* Such blocks met behind the head since then, from the last section on; borrowed. */
const uint64_t *ws_walk_state_blocks(const ws_walk *walk, size_t *count);
/* *more false at the end of the range; then ws_walk_offset is the first record start at or after `end` (or the file's
 * end). */
WS_MUST ws_err ws_walk_next(ws_walk *walk, ws_record *record, bool *more);
uint64_t ws_walk_offset(const ws_walk *walk);
/* How far the walk is in the file as it is stored: compressed bytes taken in; stored_bytes only at the very end. */
uint64_t ws_walk_position(const ws_walk *walk);
/* Damage found by this walk since ws_walk_range; borrowed. */
const ws_damage *ws_walk_damage(const ws_walk *walk, size_t *count);

/* A record start at or after `offset` by the rule of chains (RAPCAP: Anderson, Gropp, Ngo, Apon, 2017): every offset of
 * one window of the largest record (one that holds an IP packet, or else record_limit and its header) is a candidate;
 * the chain that is furthest behind advances; a chain that meets an impossible header dies, chains that meet merge,
 * until one is left. *found is the surviving chain's current record, at least one window after `offset` (never its
 * first: a false header may jump onto a true boundary), or the file's end when there is none. A pure function of file
 * content and offset. A candidate, to be proved by comparing with the neighbour's walk. pcapng: the next three sound
 * blocks of known types in a row, in the byte order of the first section. */
WS_MUST ws_err ws_capture_resync(const ws_capture *capture, uint64_t offset, uint64_t *found);

/* Input lists: files, directories (searched recursively), globs, @LIST files; result sorted bytewise by the path
 * without compression suffix, duplicates removed. Strings in the arena. */
size_t ws_input_name_length(const char *path); /* without the compression suffix */
void ws_input_tidy(char *path);                /* "a//b", "a/./b" and "./a" become "a/b" and "a": one file has one name */
WS_MUST ws_err ws_inputs_expand(const ws_string_list *arguments, ws_arena *arena, ws_string_list *out);
/* The same; with `tables` directories are searched for .csv, .tsv and .arff too. Where reasons is not NULL, what is named
 * but cannot be read (no such file, no match, a directory that may not be listed or has no captures) is in *out by its
 * name, and in *reasons why; "" for all others. A list file has to be there. */
WS_MUST ws_err ws_inputs_expand_named(const ws_string_list *arguments, bool tables, ws_arena *arena,
                                      ws_string_list *out, ws_string_list *reasons);

#endif
