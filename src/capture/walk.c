/* Walking the records of a byte range over large preads: the buffer, the classic pcap walk and its damage rule. The
 * file is not mapped, since a mapped file that shrinks would kill the process. pcapng blocks are walked by pcapng.c.
 */
#include "walk.h"

#include <stdlib.h>

enum {
    WALK_BUFFER = 1 << 20,      /* stays in the L2 cache while it is decoded */
    WALK_READ_AHEAD = 64 << 10, /* least read, also past the range's end */
};

ws_err ws_walk_create(ws_walk **out, const ws_capture *capture, uint32_t input)
{
    *out = NULL;
    ws_walk *walk;
    WS_TRY(WS_NEW(walk));
    walk->capture = capture;
    walk->input = input;
    walk->offset = walk->end = capture->first_record;
    *out = walk;
    return WS_OK;
}

void ws_walk_destroy(ws_walk **walk)
{
    if (!*walk)
        return;
    free((*walk)->buffer);
    free((*walk)->damage);
    free((*walk)->interfaces);
    free(*walk);
    *walk = NULL;
}

ws_err ws_walk_fill(ws_walk *walk, uint64_t offset, size_t bytes, const uint8_t **at)
{
    size_t wanted =
        walk->capture->bytes < WALK_BUFFER ? (size_t)walk->capture->bytes : WALK_BUFFER; /* many files are small */
    wanted = bytes > wanted ? bytes : wanted;
    if (wanted > walk->capacity) {
        uint8_t *buffer;
        WS_TRY(WS_NEW_ARRAY(buffer, wanted));
        if (walk->buffer)
            memcpy(buffer, walk->buffer, walk->buffer_bytes);
        free(walk->buffer);
        walk->buffer = buffer;
        walk->capacity = wanted;
    }

    /* What is there already moves to the front. */
    size_t kept = 0;
    if (offset >= walk->buffer_begin && offset < walk->buffer_begin + walk->buffer_bytes) {
        kept = (size_t)(walk->buffer_begin + walk->buffer_bytes - offset);
        memmove(walk->buffer, walk->buffer + (offset - walk->buffer_begin), kept);
    }
    walk->buffer_begin = offset;
    walk->buffer_bytes = kept;

    /* A range of some rank needs no more than a little beyond its end. */
    uint64_t ahead = walk->end > offset + WALK_READ_AHEAD ? walk->end - offset : WALK_READ_AHEAD;
    uint64_t in_file = walk->capture->bytes - offset;
    uint64_t read = ahead < bytes ? bytes : ahead;
    read = read < walk->capacity ? read : walk->capacity;
    read = read < in_file ? read : in_file;
    if (read > kept)
        WS_TRY(ws_capture_read(walk->capture, offset + kept, walk->buffer + kept, (size_t)read - kept));
    walk->buffer_bytes = read > kept ? (size_t)read : kept;
    *at = walk->buffer;
    return WS_OK;
}

ws_err ws_walk_add_damage(ws_walk *walk, ws_damage_reason reason, uint64_t offset, uint64_t bytes)
{
    WS_TRY(WS_GROW(walk->damage, walk->damage_capacity, walk->damage_count + 1));
    walk->damage[walk->damage_count++] = (ws_damage){walk->input, (uint32_t)reason, offset, bytes};
    return WS_OK;
}

/* The record at walk->offset cannot be read: notes the damage and moves on to where reading resumes. */
static ws_err skip_damage(ws_walk *walk, bool cut)
{
    uint64_t from = walk->offset, to;
    WS_TRY(ws_capture_resume(walk->capture, from, cut, &to));
    bool truncated = cut && to == walk->capture->bytes;
    WS_TRY(ws_walk_add_damage(walk, truncated ? WS_DAMAGE_record_truncated : WS_DAMAGE_record_impossible, from,
                              to - from));
    walk->offset = to;
    return WS_OK;
}

static ws_err pcap_next(ws_walk *walk, ws_record *record, bool *more)
{
    const ws_capture *capture = walk->capture;
    const uint64_t bytes = capture->bytes;
    while (walk->offset < walk->end && walk->offset < bytes) {
        const uint64_t offset = walk->offset;
        const uint8_t *header;
        if (bytes - offset < WS_PCAP_RECORD_HEADER) {
            WS_TRY(ws_walk_add_damage(walk, WS_DAMAGE_record_truncated, offset, bytes - offset));
            walk->offset = bytes;
            break;
        }
        WS_TRY(ws_walk_need(walk, offset, WS_PCAP_RECORD_HEADER, &header));
        const bool possible = ws_pcap_possible(capture, header);
        const uint64_t next = ws_pcap_next(capture, offset, header);
        if (__builtin_expect(!possible || next > bytes, 0)) {
            WS_TRY(skip_damage(walk, possible));
            continue;
        }
        WS_TRY(ws_walk_need(walk, offset, (size_t)(next - offset), &header));
        record->offset = offset;
        record->time_ns = (int64_t)ws_file32(header, capture->swapped) * 1000000000 +
                          (int64_t)ws_file32(header + 4, capture->swapped) * (capture->nanoseconds ? 1 : 1000);
        record->captured_length = ws_file32(header + 8, capture->swapped);
        record->wire_length = ws_file32(header + 12, capture->swapped);
        record->link_type = capture->link_type;
        record->frame = header + WS_PCAP_RECORD_HEADER;
        walk->offset = next;
        *more = true;
        return WS_OK;
    }
    *more = false;
    return WS_OK;
}

ws_err ws_walk_next(ws_walk *walk, ws_record *record, bool *more)
{
    if (walk->capture->format == WS_CAPTURE_PCAPNG)
        return ws_pcapng_next(walk, record, more);
    return pcap_next(walk, record, more);
}

ws_err ws_walk_range(ws_walk *walk, uint64_t begin, uint64_t end)
{
    if (walk->capture->format == WS_CAPTURE_PCAPNG && (begin != walk->offset || begin == walk->capture->first_record)) {
        walk->interface_count = 0;
        walk->offset = walk->capture->first_record;
        walk->end = begin;
        ws_record record;
        for (bool more = true; more;)
            WS_TRY(ws_walk_next(walk, &record, &more));
    } else {
        walk->offset = begin;
    }
    walk->end = end;
    walk->damage_count = 0;
    return WS_OK;
}

uint64_t ws_walk_offset(const ws_walk *walk)
{
    return walk->offset;
}

const ws_damage *ws_walk_damage(const ws_walk *walk, size_t *count)
{
    *count = walk->damage_count;
    return walk->damage;
}
