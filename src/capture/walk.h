/* Inside the capture room: byte access, the pcap record header, the state of a walk, and what walk.c, resync.c and
 * pcapng.c offer each other. Outsiders include capture.h.
 */
#ifndef WS_CAPTURE_WALK_H
#define WS_CAPTURE_WALK_H

#include "capture.h"

static inline uint16_t ws_be16(const uint8_t *at)
{
    return (uint16_t)(at[0] << 8 | at[1]);
}

static inline uint32_t ws_be32(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* Fields in the byte order of the file; `swapped` says that it is not this machine's. */
static inline uint16_t ws_file16(const uint8_t *at, bool swapped)
{
    uint16_t value;
    memcpy(&value, at, sizeof value);
    return swapped ? __builtin_bswap16(value) : value;
}

static inline uint32_t ws_file32(const uint8_t *at, bool swapped)
{
    uint32_t value;
    memcpy(&value, at, sizeof value);
    return swapped ? __builtin_bswap32(value) : value;
}

static inline uint64_t ws_file64(const uint8_t *at, bool swapped)
{
    uint64_t value;
    memcpy(&value, at, sizeof value);
    return swapped ? __builtin_bswap64(value) : value;
}

enum {
    WS_PCAP_FILE_HEADER = 24,
    WS_PCAP_RECORD_HEADER = 16, /* the least */
    WS_PCAPNG_BLOCK_MIN = 12,
    WS_PCAPNG_SECTION_MIN = 28,
    WS_PCAPNG_BLOCK_MAX = 16 << 20, /* as other readers have it; bounds what a false length can make us allocate */
};
#define WS_PCAPNG_SECTION 0x0A0D0D0Au /* the same in both byte orders */
#define WS_PCAPNG_BYTE_ORDER 0x1A2B3C4Du

/* Whether the second length field is the captured length. */
static inline bool ws_pcap_exchanged(const ws_capture *capture, const uint8_t *header)
{
    if (__builtin_expect(capture->lengths == WS_LENGTHS_USUAL, 1))
        return false;
    return capture->lengths == WS_LENGTHS_EXCHANGED ||
           ws_file32(header + 12, capture->swapped) < ws_file32(header + 8, capture->swapped);
}

static inline uint32_t ws_pcap_captured(const ws_capture *capture, const uint8_t *header)
{
    return ws_file32(header + (ws_pcap_exchanged(capture, header) ? 12 : 8), capture->swapped);
}

static inline uint32_t ws_pcap_wire(const ws_capture *capture, const uint8_t *header)
{
    return ws_file32(header + (ws_pcap_exchanged(capture, header) ? 8 : 12), capture->swapped);
}

static inline bool ws_pcap_possible(const ws_capture *capture, const uint8_t *header)
{
    return ws_pcap_captured(capture, header) <= capture->record_limit &&
           ws_file32(header + 4, capture->swapped) < capture->fraction_limit;
}

static inline uint64_t ws_pcap_next(const ws_capture *capture, uint64_t offset, const uint8_t *header)
{
    return offset + capture->record_header + ws_pcap_captured(capture, header);
}

/* A pcapng interface: what its packets need. */
typedef struct ws_interface {
    int link_type;
    uint32_t snap_length;
    bool states_resolution;
    uint8_t resolution;     /* if_tsresol: high bit clear 10^-n, set 2^-n seconds */
    int64_t offset_seconds; /* if_tsoffset */
} ws_interface;

enum { WS_LINE_FRAME = 64 }; /* the headers of a packet that a line tells of */

struct ws_walk {
    const ws_capture *capture; /* borrowed */
    uint32_t input;
    uint64_t offset, end; /* of the next record; of the range */
    uint64_t bytes;       /* of the capture; compressed: what is known to be there */
    bool finished;        /* the end was met, and what it cuts off noted */
    /* Of a compressed stream: the first break that the walk did not pass yet and that content follows, UINT64_MAX none so
     * far; those before `passed` it did. */
    uint64_t next_break, passed;
    uint8_t *buffer; /* bytes [buffer_begin, buffer_begin + buffer_bytes) of the file */
    size_t capacity, buffer_bytes;
    uint64_t buffer_begin;
    ws_walk_watcher watcher; /* or NULL */
    void *watcher_context;
    bool alone;
    ws_damage *damage;
    size_t damage_count, damage_capacity;
    /* pcapng: the section that offset lies in */
    bool section_swapped;
    ws_interface *interfaces;
    size_t interface_count, interface_capacity;
    uint64_t *met, *head; /* offsets of section and interface blocks: since ws_walk_range; before the first packet */
    size_t met_count, met_capacity, head_count;
    uint64_t head_end;                 /* offset of the first packet, or 0 without a head */
    uint8_t line_frame[WS_LINE_FRAME]; /* packet lines: of the last record */
    bool has_head;
};

/* *reached: `end`, or the capture's end where that comes first. Compressed: what lies at `begin` and behind it is there
 * then. */
WS_MUST ws_err ws_capture_reach(const ws_capture *capture, uint64_t begin, uint64_t end, uint64_t *reached);
/* Reads exactly `bytes` bytes at `offset` (within what was reached); a file that shrank meanwhile is an error. */
WS_MUST ws_err ws_capture_read(const ws_capture *capture, uint64_t offset, void *out, size_t bytes);

/* *has: whether the capture has `end` bytes. The slow half of ws_walk_has. */
WS_MUST ws_err ws_walk_reach(ws_walk *walk, uint64_t end, bool *has);

static inline ws_err ws_walk_has(ws_walk *walk, uint64_t end, bool *has)
{
    *has = end <= walk->bytes;
    return *has || !walk->capture->stream ? WS_OK : ws_walk_reach(walk, end, has);
}

/* The walk goes over walk->next_break. */
void ws_walk_pass_break(ws_walk *walk);

/* At the end of the capture, with less than a record left: notes what cannot be read, with `cut` as its reason unless
 * a compressed stream broke off here. */
WS_MUST ws_err ws_walk_finish(ws_walk *walk, ws_damage_reason cut);

/* Makes [offset, offset + bytes) of the file present in the buffer (it lies within the file); *at is valid until the
 * next call. The slow half of ws_walk_need. */
WS_MUST ws_err ws_walk_fill(ws_walk *walk, uint64_t offset, size_t bytes, const uint8_t **at);

static inline ws_err ws_walk_need(ws_walk *walk, uint64_t offset, size_t bytes, const uint8_t **at)
{
    if (offset >= walk->buffer_begin && offset + bytes <= walk->buffer_begin + walk->buffer_bytes) {
        *at = walk->buffer + (offset - walk->buffer_begin);
        return WS_OK;
    }
    return ws_walk_fill(walk, offset, bytes, at);
}

WS_MUST ws_err ws_walk_add_damage(ws_walk *walk, ws_damage_reason reason, uint64_t offset, uint64_t bytes);

/* Where a pcap walk goes on behind the bad record at `offset` (capture.h, ws_walk); the file's end when nowhere. `cut`:
 * the record is possible but runs past the file's end; then only a chain that ends exactly there makes it a bad one. */
WS_MUST ws_err ws_capture_resume(const ws_capture *capture, uint64_t offset, bool cut, uint64_t *found);

/* Packet lines: whether a file begins as they do, with a whole line; ws_walk_next and ws_capture_resync for them. */
bool ws_lines_recognise(const char *head, size_t bytes, bool *tabs, uint64_t *first_record);
WS_MUST ws_err ws_lines_next(ws_walk *walk, ws_record *record, bool *more);
WS_MUST ws_err ws_lines_resync(const ws_capture *capture, uint64_t offset, uint64_t *found);

/* pcapng: the checks of ws_capture_open on the first section header; ws_walk_next for this format. */
WS_MUST ws_err ws_pcapng_check(const ws_capture *capture);
WS_MUST ws_err ws_pcapng_stripe(ws_walk *walk, uint64_t begin, const uint64_t *blocks, size_t count);
WS_MUST ws_err ws_pcapng_resync(const ws_capture *capture, uint64_t offset, uint64_t *found);
WS_MUST ws_err ws_pcapng_next(ws_walk *walk, ws_record *record, bool *more);

/* framed.c. snoop: the checks of ws_capture_open; ERF: whether it is a file of that kind. Both: ws_walk_next. */
WS_MUST ws_err ws_snoop_check(ws_capture *capture);
WS_MUST ws_err ws_erf_check(ws_capture *capture, bool *is);
WS_MUST ws_err ws_framed_next(ws_walk *walk, ws_record *record, bool *more);
/* Where the frame begins in an ERF record of `bytes` bytes, and its link type (197: of a type that is not decoded). */
bool ws_erf_frame(const uint8_t *record, uint32_t bytes, uint32_t *frame_at, int *link_type);

#endif
