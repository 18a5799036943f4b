/* Walking the records of a byte range over large preads: the buffer, the classic pcap walk and its damage rule. The
 * file is not mapped, since a mapped file that shrinks would kill the process. pcapng blocks are walked by pcapng.c.
 */
#include "walk.h"

#include <inttypes.h>
#include <stdlib.h>

enum {
    WALK_BUFFER = 256 << 10,    /* stays in the L2 cache while it is decoded */
    WALK_WATCHED = 1 << 20,     /* a watcher takes so many stretches side by side */
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
    walk->next_break = UINT64_MAX;
    walk->bytes = capture->stream ? 0 : capture->bytes;
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
    free((*walk)->met);
    free((*walk)->head);
    free(*walk);
    *walk = NULL;
}

static const ws_stream_break *next_break(const ws_walk *walk)
{
    const uint64_t from = walk->offset > walk->passed ? walk->offset : walk->passed;
    const ws_stream_break *found = ws_stream_next_break(walk->capture->stream, from);
    return found != NULL && found->lost_end < walk->capture->stored_bytes ? found : NULL;
}

static void find_break(ws_walk *walk)
{
    const ws_stream_break *found = next_break(walk);
    walk->next_break = found != NULL ? found->offset : UINT64_MAX;
}

void ws_walk_pass_break(ws_walk *walk)
{
    const ws_stream_break *at;
    while ((at = next_break(walk)) != NULL && at->offset == walk->next_break) {
        ws_warn("%s: bytes %" PRIu64 " to %" PRIu64 " cannot be decompressed: %s", walk->capture->path, at->lost_begin,
                at->lost_end, at->reason);
        walk->passed = at->offset + 1;
    }
    find_break(walk);
}

ws_err ws_walk_reach(ws_walk *walk, uint64_t end, bool *has)
{
    const uint64_t behind = walk->offset; /* a walk does not go back behind its record */
    ws_stream_release(walk->capture->stream, behind);
    WS_TRY(ws_capture_reach(walk->capture, behind, end, &walk->bytes));
    find_break(walk);
    *has = end <= walk->bytes;
    return WS_OK;
}

void ws_walk_watch(ws_walk *walk, ws_walk_watcher watcher, void *context, bool alone)
{
    walk->watcher = walk->capture->stream == NULL ? watcher : NULL;
    walk->watcher_context = context;
    walk->alone = alone && walk->watcher != NULL;
}

static uint64_t stretch_of(uint64_t offset)
{
    return offset / WS_WALK_STRETCH * WS_WALK_STRETCH;
}

static ws_err widen_buffer(ws_walk *walk, size_t bytes)
{
    const size_t usual = walk->watcher != NULL ? WALK_WATCHED + WS_WALK_STRETCH : WALK_BUFFER;
    size_t wanted = walk->capture->bytes < usual ? (size_t)walk->capture->bytes : usual; /* many are small */
    wanted = bytes > wanted ? bytes : wanted;
    if (wanted <= walk->capacity)
        return WS_OK;
    uint8_t *buffer;
    WS_TRY(WS_NEW_ARRAY(buffer, wanted));
    if (walk->buffer)
        memcpy(buffer, walk->buffer, walk->buffer_bytes);
    free(walk->buffer);
    walk->buffer = buffer;
    walk->capacity = wanted;
    return WS_OK;
}

/* Where reading ends that begins at `begin` for the sake of what lies before `needed`. */
static ws_err read_until(ws_walk *walk, uint64_t begin, uint64_t needed, uint64_t *end)
{
    const uint64_t most = begin + walk->capacity;
    /* A range of some rank needs no more than a little beyond its end. */
    uint64_t until = walk->end > begin + WALK_READ_AHEAD ? walk->end : begin + WALK_READ_AHEAD;
    if (walk->watcher != NULL)
        until = walk->alone ? most : stretch_of(until + WS_WALK_STRETCH - 1);
    until = until < most ? until : most;
    if (walk->watcher != NULL && stretch_of(until) > needed)
        until = stretch_of(until);
    until = until < needed ? needed : until;
    bool has;
    WS_TRY(ws_walk_has(walk, until, &has));
    *end = has ? until : walk->bytes;
    return WS_OK;
}

ws_err ws_walk_fill(ws_walk *walk, uint64_t offset, size_t bytes, const uint8_t **at)
{
    /* What is there already moves to the front. */
    const bool meets = offset >= walk->buffer_begin && offset < walk->buffer_begin + walk->buffer_bytes;
    const uint64_t begin = meets || walk->watcher == NULL ? offset : stretch_of(offset), needed = offset + bytes;
    WS_TRY(widen_buffer(walk, (size_t)(needed - begin)));
    size_t kept = 0;
    if (meets) {
        kept = (size_t)(walk->buffer_begin + walk->buffer_bytes - offset);
        memmove(walk->buffer, walk->buffer + (offset - walk->buffer_begin), kept);
    }
    walk->buffer_begin = begin;
    walk->buffer_bytes = kept;

    uint64_t end = needed;
    WS_TRY(read_until(walk, begin, needed, &end));
    if (end > begin + kept) {
        const size_t count = (size_t)(end - begin - kept);
        WS_TRY(ws_capture_read(walk->capture, begin + kept, walk->buffer + kept, count));
        if (walk->watcher != NULL)
            walk->watcher(walk->watcher_context, walk->input, begin + kept, walk->buffer + kept, count);
        walk->buffer_bytes += count;
    }
    *at = walk->buffer + (offset - begin);
    return WS_OK;
}

ws_err ws_walk_add_damage(ws_walk *walk, ws_damage_reason reason, uint64_t offset, uint64_t bytes)
{
    WS_TRY(WS_GROW(walk->damage, walk->damage_capacity, walk->damage_count + 1));
    walk->damage[walk->damage_count++] = (ws_damage){walk->input, (uint32_t)reason, offset, bytes};
    return WS_OK;
}

ws_err ws_walk_finish(ws_walk *walk, ws_damage_reason cut)
{
    const uint64_t left = walk->bytes - walk->offset;
    if (walk->finished)
        return WS_OK;
    if (walk->capture->stream && ws_stream_fault(walk->capture->stream))
        WS_TRY(ws_walk_add_damage(walk, WS_DAMAGE_stream_broken, walk->offset, left));
    else if (left > 0)
        WS_TRY(ws_walk_add_damage(walk, cut, walk->offset, left));
    walk->offset = walk->bytes;
    walk->finished = true;
    return WS_OK;
}

/* The record at walk->offset cannot be read: notes the damage and moves on to where reading resumes. */
static ws_err skip_damage(ws_walk *walk, bool cut)
{
    uint64_t from = walk->offset, to;
    bool more;
    WS_TRY(ws_capture_resume(walk->capture, from, cut, &to));
    walk->offset = to;
    WS_TRY(ws_walk_has(walk, to + 1, &more));
    WS_TRY(ws_walk_add_damage(walk, cut && !more ? WS_DAMAGE_record_truncated : WS_DAMAGE_record_impossible, from,
                              to - from));
    return WS_OK;
}

/* Content is missing inside of the record at walk->offset, or before it: the walk goes on at the next chain behind. */
static ws_err skip_break(ws_walk *walk)
{
    const uint64_t from = walk->offset;
    uint64_t to;
    WS_TRY(ws_capture_resume(walk->capture, walk->next_break - 1, false, &to));
    ws_walk_pass_break(walk);
    walk->offset = to;
    find_break(walk);
    WS_TRY(ws_walk_add_damage(walk, WS_DAMAGE_stream_broken, from, to - from));
    return WS_OK;
}

/* A stream that breaks off inside a record says nothing about the record. */
static bool broken_off(const ws_walk *walk, bool possible)
{
    return possible && walk->capture->stream && ws_stream_fault(walk->capture->stream);
}

static ws_err pcap_next(ws_walk *walk, ws_record *record, bool *more)
{
    const ws_capture *capture = walk->capture;
    *more = false;
    while (walk->offset < walk->end) {
        const uint64_t offset = walk->offset;
        const uint8_t *header;
        bool has;
        WS_TRY(ws_walk_has(walk, offset + capture->record_header, &has));
        if (!has) {
            WS_TRY(ws_walk_finish(walk, WS_DAMAGE_record_truncated));
            break;
        }
        WS_TRY(ws_walk_need(walk, offset, capture->record_header, &header));
        const bool possible = ws_pcap_possible(capture, header);
        const uint64_t next = ws_pcap_next(capture, offset, header);
        if (possible)
            WS_TRY(ws_walk_has(walk, next, &has));
        const uint64_t behind = possible && has ? next : offset + capture->record_header;
        if (__builtin_expect(behind > walk->next_break, 0)) {
            WS_TRY(skip_break(walk));
            continue;
        }
        if (__builtin_expect(!possible || !has, 0)) {
            if (broken_off(walk, possible))
                WS_TRY(ws_walk_finish(walk, WS_DAMAGE_record_truncated));
            else
                WS_TRY(skip_damage(walk, possible));
            continue;
        }
        WS_TRY(ws_walk_need(walk, offset, (size_t)(next - offset), &header));
        record->offset = offset;
        record->time_ns = (int64_t)ws_file32(header, capture->swapped) * 1000000000 +
                          (int64_t)ws_file32(header + 4, capture->swapped) * (capture->nanoseconds ? 1 : 1000);
        record->captured_length = ws_pcap_captured(capture, header);
        record->wire_length = ws_pcap_wire(capture, header);
        record->link_type = capture->link_type;
        record->frame = header + capture->record_header;
        record->options = NULL;
        record->option_bytes = 0;
        walk->offset = next;
        *more = true;
        break;
    }
    return WS_OK;
}

ws_err ws_walk_next(ws_walk *walk, ws_record *record, bool *more)
{
    record->stamps = WS_STAMPS_STANDARD;
    if (walk->capture->format == WS_CAPTURE_PCAP)
        return pcap_next(walk, record, more);
    if (walk->capture->format == WS_CAPTURE_PCAPNG)
        return ws_pcapng_next(walk, record, more);
    if (walk->capture->format == WS_CAPTURE_LINES)
        return ws_lines_next(walk, record, more);
    return ws_framed_next(walk, record, more);
}

ws_err ws_walk_range(ws_walk *walk, uint64_t begin, uint64_t end)
{
    if (begin != walk->offset) {
        walk->finished = false;
        walk->bytes = walk->capture->stream ? 0 : walk->capture->bytes;
        walk->next_break = UINT64_MAX; /* found again when the stream is reached */
        walk->passed = begin;
    }
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
    walk->damage_count = walk->met_count = 0;
    return WS_OK;
}

ws_err ws_walk_stripe(ws_walk *walk, uint64_t begin, uint64_t end, const uint64_t *blocks, size_t count)
{
    if (walk->capture->format == WS_CAPTURE_PCAPNG)
        WS_TRY(ws_pcapng_stripe(walk, begin, blocks, count));
    else
        WS_TRY(ws_walk_range(walk, begin, end));
    walk->end = end;
    return WS_OK;
}

const uint64_t *ws_walk_state_blocks(const ws_walk *walk, size_t *count)
{
    size_t first = 0;
    while (first < walk->met_count && walk->met[first] < walk->head_end)
        first++;
    *count = walk->met_count - first;
    return *count > 0 ? walk->met + first : NULL;
}

uint64_t ws_walk_offset(const ws_walk *walk)
{
    return walk->offset;
}

uint64_t ws_walk_position(const ws_walk *walk)
{
    const ws_capture *capture = walk->capture;
    if (!capture->stream)
        return walk->offset;
    /* The stream runs ahead of the walk; it is at its end only when the walk has noticed. */
    const uint64_t taken = ws_stream_consumed(capture->stream);
    if (walk->finished)
        return capture->stored_bytes;
    return taken < capture->stored_bytes ? taken : capture->stored_bytes - 1;
}

const ws_damage *ws_walk_damage(const ws_walk *walk, size_t *count)
{
    *count = walk->damage_count;
    return walk->damage;
}
