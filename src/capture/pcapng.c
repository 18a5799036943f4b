/* pcapng: sections, interfaces and packet blocks (draft-ietf-opsawg-pcapng). Link types and time units of
 * packets stand in earlier blocks: a stripe is walked with the offsets of those before it. Name resolution, statistics, secrets and unknown
 * blocks are passed over; options are read for the interface's time unit and offset only.
 */
#include "walk.h"

#include <inttypes.h>
#include <stdlib.h>

enum {
    BLOCK_INTERFACE = 1,
    BLOCK_PACKET = 2, /* obsolete */
    BLOCK_SIMPLE_PACKET = 3,
    BLOCK_ENHANCED_PACKET = 6,
    OPTION_END = 0,
    OPTION_COMMENT = 1,
    OPTION_TIME_RESOLUTION = 9,
    OPTION_TIME_OFFSET = 14,
    RESOLUTION_MICROSECONDS = 6,
    SOUND_BLOCKS = 3,        /* in a row, to resume behind damage */
    RESYNC_BYTES = 64 << 20, /* searched for a stripe's start; then the stripe before it goes on */
};
__extension__ typedef __int128 int128;

/* Byte order of a section header block; false when it has none. */
static bool section_order(const uint8_t *block, bool *swapped)
{
    uint32_t word = ws_file32(block + 8, false);
    *swapped = word == __builtin_bswap32(WS_PCAPNG_BYTE_ORDER);
    return *swapped || word == WS_PCAPNG_BYTE_ORDER;
}

static bool length_possible(uint32_t type, uint32_t total)
{
    uint32_t least = type == WS_PCAPNG_SECTION ? WS_PCAPNG_SECTION_MIN : WS_PCAPNG_BLOCK_MIN;
    return total >= least && total <= WS_PCAPNG_BLOCK_MAX && total % 4 == 0;
}

ws_err ws_pcapng_check(const ws_capture *capture)
{
    uint8_t block[WS_PCAPNG_SECTION_MIN], tail[4];
    bool swapped;
    uint64_t there;
    WS_TRY(ws_capture_reach(capture, 0, sizeof block, &there));
    WS_CHECK(there >= sizeof block, FORMAT,
             "%s: byte %" PRIu64 ": the pcapng section header is cut off (28 bytes wanted)", capture->path, there);
    WS_TRY(ws_capture_read(capture, 0, block, sizeof block));
    WS_CHECK(section_order(block, &swapped), FORMAT, "%s: byte 8: not a pcapng byte-order magic (%08" PRIx32 ")",
             capture->path, ws_be32(block + 8));
    uint32_t total = ws_file32(block + 4, swapped);
    WS_CHECK(length_possible(WS_PCAPNG_SECTION, total), FORMAT,
             "%s: byte 4: impossible length %" PRIu32 " of the pcapng section header", capture->path, total);
    unsigned major = ws_file16(block + 12, swapped), minor = ws_file16(block + 14, swapped);
    WS_CHECK(major == 1, FORMAT, "%s: byte 12: unsupported pcapng version %u.%u (1.x is read)", capture->path, major,
             minor);
    WS_TRY(ws_capture_reach(capture, 0, total, &there));
    WS_CHECK(total <= there, FORMAT,
             "%s: byte %" PRIu64 ": the pcapng section header is cut off (%" PRIu32 " bytes wanted)", capture->path,
             there, total);
    WS_TRY(ws_capture_read(capture, total - 4, tail, sizeof tail));
    WS_CHECK(ws_file32(tail, swapped) == total, FORMAT,
             "%s: byte %" PRIu32 ": the two lengths of the pcapng section header differ (%" PRIu32 ", %" PRIu32 ")",
             capture->path, total - 4, total, ws_file32(tail, swapped));
    return WS_OK;
}

/* Looks at the block at `offset`: *total its length, 0 when impossible; *swapped its byte order; *cut: possible so far,
 * but the file ends inside it. */
static ws_err look_at(ws_walk *walk, uint64_t offset, uint32_t *type, uint32_t *total, bool *swapped, bool *cut)
{
    const uint8_t *block;
    bool has;
    *total = 0;
    *swapped = walk->section_swapped;
    WS_TRY(ws_walk_has(walk, offset + WS_PCAPNG_BLOCK_MIN, &has));
    *cut = !has;
    if (*cut)
        return WS_OK;
    WS_TRY(ws_walk_need(walk, offset, WS_PCAPNG_BLOCK_MIN, &block));
    *type = ws_file32(block, *swapped);
    if (*type == WS_PCAPNG_SECTION && !section_order(block, swapped))
        return WS_OK;
    const uint32_t length = ws_file32(block + 4, *swapped);
    if (!length_possible(*type, length))
        return WS_OK;
    WS_TRY(ws_walk_has(walk, offset + length, &has));
    *cut = !has;
    if (*cut)
        return WS_OK;
    uint8_t tail[4];
    const uint64_t tail_at = offset + length - 4;
    if (tail_at + 4 <= walk->buffer_begin + walk->buffer_bytes)
        memcpy(tail, walk->buffer + (tail_at - walk->buffer_begin), sizeof tail);
    else
        WS_TRY(ws_capture_read(walk->capture, tail_at, tail, sizeof tail));
    if (ws_file32(tail, *swapped) == length)
        *total = length;
    return WS_OK;
}

static bool known_type(uint32_t type)
{
    switch (type) {
    case WS_PCAPNG_SECTION:
    case BLOCK_INTERFACE:
    case BLOCK_PACKET:
    case BLOCK_SIMPLE_PACKET:
    case BLOCK_ENHANCED_PACKET:
    case 4:  /* name resolution */
    case 5:  /* interface statistics */
    case 9:  /* systemd journal */
    case 10: /* decryption secrets */
    case 0xBAD:
    case 0x40000BAD: /* custom */
        return true;
    default:
        return false;
    }
}

/* Whether SOUND_BLOCKS sound blocks of known types follow each other from `offset`, or fewer up to the file's end. */
static ws_err sound_from(ws_walk *walk, uint64_t offset, bool *sound)
{
    const bool section_swapped = walk->section_swapped;
    ws_err error = WS_OK;
    *sound = true;
    for (int i = 0; i < SOUND_BLOCKS && *sound && error == WS_OK; i++) {
        uint32_t type, total;
        bool cut, more;
        error = ws_walk_has(walk, offset + 1, &more);
        if (error != WS_OK || !more)
            break;
        error = look_at(walk, offset, &type, &total, &walk->section_swapped, &cut);
        *sound = error == WS_OK && total > 0 && known_type(type);
        offset += total;
    }
    walk->section_swapped = section_swapped;
    return error;
}

/* The block at walk->offset cannot be read: goes on at the next sound blocks. They lie at multiples of 4 bytes from each
 * other; behind a break of the stream, anywhere. */
static ws_err skip_damage(ws_walk *walk, bool cut)
{
    const uint64_t from = walk->offset;
    uint64_t at = from + (from == walk->next_break ? 0 : 4), step = 4;
    bool more = true, sound = false;
    for (;; at += step) {
        walk->offset = at - from >= 4 ? at - 4 : from; /* not yet released: a break may turn up there */
        WS_TRY(ws_walk_has(walk, at + 1, &more));
        if (walk->next_break <= at) {
            at = walk->next_break;
            ws_walk_pass_break(walk);
            step = 1;
            more = true;
        }
        if (more)
            WS_TRY(sound_from(walk, at, &sound));
        if (sound || !more)
            break;
    }
    walk->offset = more ? at : walk->bytes;
    const ws_damage_reason reason = step == 1      ? WS_DAMAGE_stream_broken
                                    : cut && !more ? WS_DAMAGE_block_truncated
                                                   : WS_DAMAGE_block_impossible;
    WS_TRY(ws_walk_add_damage(walk, reason, from, walk->offset - from));
    return WS_OK;
}

/* Walks options; keeps the time unit and offset of an interface. */
static void read_options(const uint8_t *at, size_t left, bool swapped, ws_interface *interface)
{
    while (left >= 4) {
        const unsigned code = ws_file16(at, swapped), length = ws_file16(at + 2, swapped);
        const size_t padded = 4 + ((size_t)length + 3) / 4 * 4;
        if (code == 0 || padded > left)
            return;
        if (code == OPTION_TIME_RESOLUTION && length == 1) {
            interface->states_resolution = true;
            interface->resolution = at[4];
        } else if (code == OPTION_TIME_OFFSET && length == 8) {
            interface->offset_seconds = (int64_t)ws_file64(at + 4, swapped);
        }
        at += padded;
        left -= padded;
    }
}

static ws_err add_interface(ws_walk *walk, const uint8_t *block, uint32_t total)
{
    WS_TRY(WS_GROW(walk->interfaces, walk->interface_capacity, walk->interface_count + 1));
    ws_interface *interface = &walk->interfaces[walk->interface_count++];
    *interface = (ws_interface){.link_type = ws_file16(block + 8, walk->section_swapped),
                                .snap_length = ws_file32(block + 12, walk->section_swapped),
                                .resolution = RESOLUTION_MICROSECONDS};
    read_options(block + 16, total - 20, walk->section_swapped, interface);
    return WS_OK;
}

/* Ticks of the interface's unit as ns since 1970; times beyond int64 are clamped to its ends. */
static int64_t time_of(const ws_interface *interface, uint64_t ticks)
{
    const unsigned exponent = interface->resolution & 0x7f;
    int128 ns = ticks;
    if (interface->resolution & 0x80) { /* 2^-exponent s; ticks * 10^9 < 2^94 */
        ns = ns * 1000000000 >> exponent;
    } else {
        for (unsigned e = exponent; e < 9; e++)
            ns *= 10;
        for (unsigned e = 9; e < exponent && ns > 0; e++)
            ns /= 10;
    }
    ns += (int128)interface->offset_seconds * 1000000000;
    return ns > INT64_MAX ? INT64_MAX : ns < INT64_MIN ? INT64_MIN : (int64_t)ns;
}

ws_stamps ws_stamps_tell(uint32_t high, uint32_t low)
{
    if (high == 0 || (high >= 200000 && high <= 600000))
        return WS_STAMPS_STANDARD;
    return high >= 100000000 && low < 1000000 ? WS_STAMPS_SPLIT : WS_STAMPS_DETECT;
}

/* The packet's time, by what the capture's stamps mean. */
static int64_t packet_time(const ws_capture *capture, const ws_interface *interface, uint64_t ticks, ws_stamps *stamps)
{
    const uint32_t high = (uint32_t)(ticks >> 32), low = (uint32_t)ticks;
    *stamps = interface->states_resolution ? WS_STAMPS_STANDARD : capture->stamps;
    if (*stamps == WS_STAMPS_DETECT)
        *stamps = ws_stamps_tell(high, low);
    return time_of(interface, *stamps == WS_STAMPS_SPLIT ? (uint64_t)high * 1000000 + low : ticks);
}

typedef struct packet_fields {
    uint32_t interface, captured, wire;
    uint64_t ticks;
    const uint8_t *frame;
    size_t room; /* bytes of the block from frame to the trailing length */
} packet_fields;

/* The fixed fields of a packet block; false when the block is too short for them. */
static bool read_packet(const ws_walk *walk, const uint8_t *block, uint32_t type, uint32_t total, packet_fields *packet)
{
    const bool swapped = walk->section_swapped;
    const size_t header = type == BLOCK_SIMPLE_PACKET ? 12 : 28;
    if (total < header + 4)
        return false;
    *packet = (packet_fields){.frame = block + header, .room = total - header - 4};
    if (type == BLOCK_SIMPLE_PACKET) { /* of interface 0, without a time stamp; captured length not stored */
        packet->wire = ws_file32(block + 8, swapped);
        packet->captured = packet->wire;
        if (walk->interface_count > 0 && walk->interfaces[0].snap_length > 0 &&
            packet->captured > walk->interfaces[0].snap_length)
            packet->captured = walk->interfaces[0].snap_length;
        if (packet->captured > packet->room)
            packet->captured = (uint32_t)packet->room;
        return true;
    }
    packet->interface = type == BLOCK_PACKET ? ws_file16(block + 8, swapped) : ws_file32(block + 8, swapped);
    packet->ticks = (uint64_t)ws_file32(block + 12, swapped) << 32 | ws_file32(block + 16, swapped);
    packet->captured = ws_file32(block + 20, swapped);
    packet->wire = ws_file32(block + 24, swapped);
    return packet->captured <= packet->room;
}

bool ws_record_comment(const ws_record *record, size_t *at, const char **text, size_t *length)
{
    while (*at + 4 <= record->option_bytes) {
        const uint8_t *option = record->options + *at;
        const unsigned code = ws_file16(option, record->options_swapped);
        const size_t bytes = ws_file16(option + 2, record->options_swapped), padded = 4 + (bytes + 3) / 4 * 4;
        if (code == OPTION_END || padded > record->option_bytes - *at)
            break;
        *at += padded;
        if (code != OPTION_COMMENT)
            continue;
        *text = (const char *)option + 4;
        *length = bytes;
        return true;
    }
    *at = record->option_bytes;
    return false;
}

static void find_options(const packet_fields *packet, bool swapped, ws_record *record)
{
    const size_t at = ((size_t)packet->captured + 3) / 4 * 4;
    record->options_swapped = swapped;
    record->options = packet->frame + (at < packet->room ? at : packet->room);
    record->option_bytes = at < packet->room ? packet->room - at : 0;
}

/* The packet of the block at walk->offset, or damage of that block alone. */
static ws_err take_packet(ws_walk *walk, const uint8_t *block, uint32_t type, uint32_t total, ws_record *record,
                          bool *taken)
{
    packet_fields packet;
    *taken = false;
    if (!read_packet(walk, block, type, total, &packet))
        return ws_walk_add_damage(walk, WS_DAMAGE_block_impossible, walk->offset, total);
    if (packet.interface >= walk->interface_count)
        return ws_walk_add_damage(walk, WS_DAMAGE_interface_unknown, walk->offset, total);
    const ws_interface *interface = &walk->interfaces[packet.interface];
    ws_stamps stamps = WS_STAMPS_STANDARD;
    *record = (ws_record){
        .offset = walk->offset,
        .time_ns = type == BLOCK_SIMPLE_PACKET ? 0 : packet_time(walk->capture, interface, packet.ticks, &stamps),
        .captured_length = packet.captured,
        .wire_length = packet.wire,
        .link_type = interface->link_type,
        .frame = packet.frame};
    record->stamps = stamps;
    if (type != BLOCK_SIMPLE_PACKET)
        find_options(&packet, walk->section_swapped, record);
    *taken = true;
    return WS_OK;
}

/* The block at walk->offset changes what the packets behind it mean. */
static ws_err note_state_block(ws_walk *walk)
{
    WS_TRY(WS_GROW(walk->met, walk->met_capacity, walk->met_count + 1));
    walk->met[walk->met_count++] = walk->offset;
    return WS_OK;
}

/* A sound block that lies in the file. Section headers and interfaces change the state; a section of another major
 * version is not understood, and neither are the packets behind it, since no interface of it is known. */
static ws_err read_block(ws_walk *walk, uint32_t type, uint32_t total, bool swapped, ws_record *record, bool *taken)
{
    const uint8_t *block;
    WS_TRY(ws_walk_need(walk, walk->offset, total, &block));
    *taken = false;
    switch (type) {
    case WS_PCAPNG_SECTION:
        walk->met_count = 0; /* nothing before a section says what is behind it */
        WS_TRY(note_state_block(walk));
        walk->section_swapped = swapped;
        walk->interface_count = 0;
        if (ws_file16(block + 12, swapped) != 1)
            WS_TRY(ws_walk_add_damage(walk, WS_DAMAGE_block_impossible, walk->offset, total));
        break;
    case BLOCK_INTERFACE:
        WS_TRY(note_state_block(walk));
        if (total < 20)
            WS_TRY(ws_walk_add_damage(walk, WS_DAMAGE_block_impossible, walk->offset, total));
        else
            WS_TRY(add_interface(walk, block, total));
        break;
    case BLOCK_PACKET:
    case BLOCK_SIMPLE_PACKET:
    case BLOCK_ENHANCED_PACKET:
        WS_TRY(take_packet(walk, block, type, total, record, taken));
        break;
    default:
        break;
    }
    walk->offset += total;
    return WS_OK;
}

ws_err ws_pcapng_next(ws_walk *walk, ws_record *record, bool *more)
{
    *more = false;
    while (!*more && walk->offset < walk->end) {
        uint32_t type, total;
        bool swapped, cut, has;
        WS_TRY(ws_walk_has(walk, walk->offset + 1, &has));
        if (has)
            WS_TRY(look_at(walk, walk->offset, &type, &total, &swapped, &cut));
        const bool ends = has && total == 0 && cut && walk->next_break == UINT64_MAX;
        if (!has || (ends && walk->capture->stream && ws_stream_fault(walk->capture->stream))) {
            WS_TRY(ws_walk_finish(walk, WS_DAMAGE_block_truncated));
            break;
        }
        if (total > 0 && walk->offset + total <= walk->next_break)
            WS_TRY(read_block(walk, type, total, swapped, record, more));
        else
            WS_TRY(skip_damage(walk, cut));
    }
    return WS_OK;
}

/* ---------------------------------------------------------------- stripes */
/* Which section and interface blocks come before the first packet. None where another section follows the first before that:
 * a stripe may begin in either. */
static ws_err read_head(ws_walk *walk)
{
    const uint64_t first = walk->capture->first_record;
    ws_record record;
    bool more;
    WS_TRY(ws_walk_range(walk, first, walk->capture->bytes));
    WS_TRY(ws_pcapng_next(walk, &record, &more));
    WS_TRY(WS_NEW_ARRAY(walk->head, walk->met_count + 1));
    const bool one_section = walk->met_count > 0 && walk->met[0] == first;
    walk->head_count = one_section ? walk->met_count : 0;
    if (one_section)
        memcpy(walk->head, walk->met, walk->met_count * sizeof *walk->head);
    walk->head_end = !one_section ? first : more ? record.offset : walk->capture->bytes;
    walk->has_head = true;
    return WS_OK;
}

static ws_err take_state_block(ws_walk *walk, uint64_t offset)
{
    uint32_t type, total;
    bool swapped, cut, taken;
    ws_record record;
    walk->offset = offset;
    WS_TRY(look_at(walk, offset, &type, &total, &swapped, &cut));
    if (total > 0 && (type == WS_PCAPNG_SECTION || type == BLOCK_INTERFACE))
        WS_TRY(read_block(walk, type, total, swapped, &record, &taken));
    return WS_OK;
}

/* Of `count` blocks, nothing before the last section matters: *first is that one, where it is among the last few (a section
 * may have any number of interfaces), else 0. *found: it is. */
static ws_err find_section(const ws_walk *walk, const uint64_t *blocks, size_t count, size_t *first, bool *found)
{
    enum { LAST_FEW = 16 };
    *found = false;
    *first = 0;
    for (size_t i = count; i > 0 && count - i < LAST_FEW && !*found; i--) {
        uint8_t type[4];
        WS_TRY(ws_capture_read(walk->capture, blocks[i - 1], type, sizeof type));
        *found = ws_file32(type, false) == WS_PCAPNG_SECTION;
        *first = *found ? i - 1 : 0;
    }
    return WS_OK;
}

ws_err ws_pcapng_stripe(ws_walk *walk, uint64_t begin, const uint64_t *blocks, size_t count)
{
    const bool continues = walk->has_head && begin == walk->offset;
    if (!walk->has_head)
        WS_TRY(read_head(walk));
    if (!continues) {
        size_t first;
        bool found;
        while (count > 0 && blocks[count - 1] >= begin)
            count--;
        WS_TRY(find_section(walk, blocks, count, &first, &found));
        walk->interface_count = 0;
        for (size_t i = 0; i < walk->head_count && walk->head[i] < begin && !found; i++)
            WS_TRY(take_state_block(walk, walk->head[i]));
        for (size_t i = first; i < count; i++)
            WS_TRY(take_state_block(walk, blocks[i]));
        walk->finished = false;
    }
    walk->offset = begin;
    walk->damage_count = walk->met_count = 0;
    return WS_OK;
}

ws_err ws_pcapng_resync(const ws_capture *capture, uint64_t offset, uint64_t *found)
{
    ws_walk *walk;
    bool sound = false, more = true;
    uint32_t type, total;
    bool cut;
    WS_TRY(ws_walk_create(&walk, capture, 0));
    ws_err error = look_at(walk, 0, &type, &total, &walk->section_swapped, &cut);
    const uint64_t begin = (offset + 3) & ~(uint64_t)3;
    for (*found = begin; error == WS_OK && !sound && more && *found - begin < RESYNC_BYTES; *found += sound ? 0 : 4) {
        error = ws_walk_has(walk, *found + 1, &more);
        if (error == WS_OK && more)
            error = sound_from(walk, *found, &sound);
    }
    if (!sound)
        *found = capture->bytes;
    ws_walk_destroy(&walk);
    WS_TRY(error);
    return WS_OK;
}
