/* snoop (RFC 1761) and ERF (Endace's extensible record format) files: record headers of their own. They are rare, so they are
 * read from their start by one walk, in no stripes. ERF has no magic: a file is one where its first records lead from one to
 * the next. Behind damage both go on at the next three sound records in a row.
 */
#include "walk.h"

#include <inttypes.h>

enum {
    SNOOP_FILE_HEADER = 16,
    SNOOP_HEADER = 24,
    ERF_HEADER = 16,
    ERF_EXTENSION = 8,
    ERF_PADDING = 48, /* type of records that only fill */
    RECORD_MOST = 1 << 20,
    PADDING_MOST = 64, /* behind a frame */
    SOUND_RECORDS = 3, /* in a row, to resume behind damage */
    ERF_RECORDS = 8,   /* looked at to tell an ERF file */
    LINK_ERF = 197,
};

/* ---------------------------------------------------------------- one record */
typedef struct framed {
    uint32_t total, frame_at, captured, wire; /* total: bytes of the record in the file */
    int64_t time_ns;
    int link_type;
    bool filler; /* no packet */
} framed;

/* The link types of RFC 1761, and of Solaris, that are known. */
static int snoop_link_type(uint32_t type)
{
    switch (type) {
    case 0: /* 802.3, Ethernet */
    case 4:
        return 1;
    case 2: /* token ring */
        return 6;
    case 8: /* FDDI */
        return 10;
    case 18: /* ATM */
        return 123;
    default:
        return -1;
    }
}

/* The fixed header only; false where it is impossible. */
static bool read_snoop(const ws_capture *capture, const uint8_t *header, framed *out)
{
    const uint32_t microseconds = ws_be32(header + 20);
    *out = (framed){.total = ws_be32(header + 8),
                    .frame_at = SNOOP_HEADER,
                    .captured = ws_be32(header + 4),
                    .wire = ws_be32(header),
                    .time_ns = (int64_t)ws_be32(header + 16) * 1000000000 + (int64_t)microseconds * 1000,
                    .link_type = capture->link_type};
    return out->total <= RECORD_MOST && out->captured <= out->wire && out->captured <= RECORD_MOST &&
           out->total >= SNOOP_HEADER + out->captured && out->total - SNOOP_HEADER - out->captured < PADDING_MOST &&
           microseconds < 2000000;
}

/* What a type's frames begin with: the link type behind `skipped` bytes. */
static int erf_link_type(unsigned type, uint32_t *skipped)
{
    enum { LINK_ETHERNET = 1, LINK_PPP_OR_HDLC = 50, LINK_IPV4 = 228, LINK_IPV6 = 229 };
    *skipped = 0;
    switch (type) {
    case 2:  /* Ethernet, behind an offset and a padding byte */
    case 11: /* the same with a colour, a data stream manager's mark, a hash */
    case 16:
    case 20:
        *skipped = 2;
        return LINK_ETHERNET;
    case 1: /* packets over SONET */
    case 10:
    case 15:
    case 19:
        return LINK_PPP_OR_HDLC;
    case 22:
        return LINK_IPV4;
    case 23:
        return LINK_IPV6;
    default:
        return LINK_ERF;
    }
}

bool ws_erf_frame(const uint8_t *record, uint32_t bytes, uint32_t *frame_at, int *link_type)
{
    uint32_t at = ERF_HEADER, skipped;
    if (bytes < ERF_HEADER)
        return false;
    *link_type = erf_link_type(record[8] & 0x7f, &skipped);
    for (bool more = record[8] & 0x80; more; at += ERF_EXTENSION) {
        if (at + ERF_EXTENSION > bytes)
            return false;
        more = record[at] & 0x80;
    }
    *frame_at = at + skipped;
    return *frame_at <= bytes;
}

/* The fixed header only: where the frame begins says ws_erf_frame. */
static bool read_erf(const uint8_t *header, framed *out)
{
    enum { TYPE_MOST = 27, EARLIEST = 631152000 }; /* 1990 */
    const uint64_t fraction = (uint64_t)ws_file32(header, __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__);
    const uint32_t seconds = ws_file32(header + 4, __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__);
    const unsigned type = header[8] & 0x7f;
    *out = (framed){.total = ws_be16(header + 10),
                    .wire = ws_be16(header + 14),
                    .time_ns = (int64_t)seconds * 1000000000 + (int64_t)((fraction * 1000000000 + (1u << 31)) >> 32),
                    .filler = type == ERF_PADDING};
    return out->total >= ERF_HEADER && ((type >= 1 && type <= TYPE_MOST) || out->filler) &&
           (out->filler || seconds >= EARLIEST);
}

static uint32_t header_bytes(const ws_capture *capture)
{
    return capture->format == WS_CAPTURE_SNOOP ? SNOOP_HEADER : ERF_HEADER;
}

static bool read_header(const ws_capture *capture, const uint8_t *header, framed *out)
{
    return capture->format == WS_CAPTURE_SNOOP ? read_snoop(capture, header, out) : read_erf(header, out);
}

/* The rest, with all of the record there. */
static bool complete(const ws_capture *capture, const uint8_t *record, framed *out)
{
    if (capture->format == WS_CAPTURE_SNOOP || out->filler)
        return true;
    if (!ws_erf_frame(record, out->total, &out->frame_at, &out->link_type))
        return false;
    if (out->link_type == LINK_ERF)
        out->frame_at = 0; /* says itself what it is */
    out->captured = out->total - out->frame_at;
    if (out->captured > out->wire && out->frame_at > 0)
        out->captured = out->wire; /* the rest is padding */
    return true;
}

/* Neighbours in a capture are less than a day apart. An ERF header says little else that noise does not say too. */
static bool is_near(int64_t before_ns, int64_t time_ns)
{
    const int64_t day = INT64_C(86400) * 1000000000;
    return time_ns - before_ns <= day && before_ns - time_ns <= day;
}

/* ---------------------------------------------------------------- opening */
ws_err ws_snoop_check(ws_capture *capture)
{
    uint8_t header[SNOOP_FILE_HEADER];
    uint64_t there;
    WS_TRY(ws_capture_reach(capture, 0, sizeof header, &there));
    WS_CHECK(there >= sizeof header, FORMAT, "%s: byte %" PRIu64 ": the snoop file header is cut off (16 bytes wanted)",
             capture->path, there);
    WS_TRY(ws_capture_read(capture, 0, header, sizeof header));
    const uint32_t version = ws_be32(header + 8), type = ws_be32(header + 12);
    WS_CHECK(version == 2, FORMAT, "%s: byte 8: unsupported snoop version %" PRIu32 " (2 is read)", capture->path,
             version);
    capture->link_type = snoop_link_type(type);
    WS_CHECK(capture->link_type >= 0, FORMAT,
             "%s: byte 12: snoop data link type %" PRIu32 " is not decoded (802.3, token ring, FDDI and ATM are)",
             capture->path, type);
    capture->format = WS_CAPTURE_SNOOP;
    capture->first_record = SNOOP_FILE_HEADER;
    capture->record_header = 0;
    return WS_OK;
}

ws_err ws_erf_check(ws_capture *capture, bool *is)
{
    uint8_t header[ERF_HEADER];
    uint64_t at = 0, there;
    int64_t before = 0;
    *is = false;
    int records = 0;
    for (; records < ERF_RECORDS; records++) {
        framed record;
        WS_TRY(ws_capture_reach(capture, 0, at + ERF_HEADER, &there));
        if (there < at + ERF_HEADER)
            break;
        WS_TRY(ws_capture_read(capture, at, header, sizeof header));
        if (!read_erf(header, &record) || (record.wire == 0 && !record.filler))
            return WS_OK;
        if (records > 0 && !record.filler && !is_near(before, record.time_ns))
            return WS_OK;
        before = record.filler && records > 0 ? before : record.time_ns;
        at += record.total;
    }
    WS_TRY(ws_capture_reach(capture, 0, at, &there));
    if (records == 0 || (there != at && records < SOUND_RECORDS))
        return WS_OK;
    *is = true;
    capture->format = WS_CAPTURE_ERF;
    capture->link_type = -1;
    capture->first_record = 0;
    capture->record_header = 0;
    return WS_OK;
}

/* ---------------------------------------------------------------- walking */
/* *possible: a record, as far as the file goes; *cut: the file ends inside it. `at` is valid where it is whole. */
static ws_err look_at(ws_walk *walk, uint64_t offset, framed *record, const uint8_t **at, bool *possible, bool *cut)
{
    bool has;
    *possible = false;
    WS_TRY(ws_walk_has(walk, offset + header_bytes(walk->capture), &has));
    *cut = !has;
    if (!has)
        return WS_OK;
    WS_TRY(ws_walk_need(walk, offset, header_bytes(walk->capture), at));
    if (!read_header(walk->capture, *at, record))
        return WS_OK;
    WS_TRY(ws_walk_has(walk, offset + record->total, &has));
    *cut = !has;
    *possible = true;
    if (!has)
        return WS_OK;
    WS_TRY(ws_walk_need(walk, offset, record->total, at));
    *possible = complete(walk->capture, *at, record);
    return WS_OK;
}

/* Records that only fill have no time to be told by: none is the first, others are passed over. A single record of ERF up to
 * the file's end may be any noise. */
static ws_err sound_from(ws_walk *walk, uint64_t offset, bool *sound)
{
    int64_t before_ns = 0;
    int packets = 0;
    while (packets < SOUND_RECORDS) {
        framed record;
        const uint8_t *at;
        bool cut, more;
        *sound = walk->capture->format == WS_CAPTURE_SNOOP || packets > 1;
        WS_TRY(ws_walk_has(walk, offset + 1, &more));
        if (!more)
            break;
        WS_TRY(look_at(walk, offset, &record, &at, sound, &cut));
        *sound =
            *sound && !cut && (packets == 0 ? !record.filler : record.filler || is_near(before_ns, record.time_ns));
        if (!*sound)
            break;
        if (!record.filler) {
            before_ns = record.time_ns;
            packets++;
        }
        offset += record.total;
    }
    return WS_OK;
}

/* The record at walk->offset cannot be read: goes on at the next sound ones. */
static ws_err skip_damage(ws_walk *walk, bool cut)
{
    const uint64_t from = walk->offset;
    bool more = true, sound = false, broke = false;
    uint64_t at = from == walk->next_break ? from : from + 1;
    for (;; at++) {
        walk->offset = at - 1 > from ? at - 1 : from; /* not yet released: a break may turn up there */
        WS_TRY(ws_walk_has(walk, at + 1, &more));
        if (walk->next_break <= at) {
            at = walk->next_break;
            ws_walk_pass_break(walk);
            more = broke = true;
        }
        if (more)
            WS_TRY(sound_from(walk, at, &sound));
        if (sound || !more)
            break;
    }
    walk->offset = more ? at : walk->bytes;
    const ws_damage_reason reason = broke          ? WS_DAMAGE_stream_broken
                                    : cut && !more ? WS_DAMAGE_record_truncated
                                                   : WS_DAMAGE_record_impossible;
    WS_TRY(ws_walk_add_damage(walk, reason, from, walk->offset - from));
    return WS_OK;
}

ws_err ws_framed_next(ws_walk *walk, ws_record *record, bool *more)
{
    *more = false;
    while (!*more && walk->offset < walk->end) {
        framed found;
        const uint8_t *at;
        bool has, possible = false, cut = false;
        WS_TRY(ws_walk_has(walk, walk->offset + 1, &has));
        if (has)
            WS_TRY(look_at(walk, walk->offset, &found, &at, &possible, &cut));
        const bool ends = has && cut && walk->next_break == UINT64_MAX;
        if (!has || (ends && walk->capture->stream && ws_stream_fault(walk->capture->stream))) {
            WS_TRY(ws_walk_finish(walk, WS_DAMAGE_record_truncated));
            break;
        }
        if (!possible || cut || walk->offset + found.total > walk->next_break) {
            WS_TRY(skip_damage(walk, cut));
            continue;
        }
        *more = !found.filler;
        if (*more)
            *record = (ws_record){.offset = walk->offset,
                                  .time_ns = found.time_ns,
                                  .captured_length = found.captured,
                                  .wire_length = found.wire,
                                  .link_type = found.link_type,
                                  .frame = at + found.frame_at};
        walk->offset += found.total;
    }
    return WS_OK;
}
