/* Finding record boundaries of a classic pcap in the middle of the file: ws_capture_resync (a candidate for the start
 * of a stripe) and ws_capture_resume (where a walk goes on behind a bad record). Both are pure functions of content and
 * offset.
 *
 * The rule of chains (Anderson, Gropp, Ngo, Apon, "RAPCAP", 2017), in a shorter form of the same effect: every offset
 * of a window of the largest record starts a chain. A chain that jumps to an offset inside the window either meets the
 * chain that starts there or dies there, so only headers whose record reaches over the window's end need to be looked
 * at: the true record over that end is one of them, whatever its payload holds. From there the chain furthest behind
 * advances.
 */
#include "walk.h"

#include <stdlib.h>

enum {
    READER_BYTES = 4096,
    CHAIN_STEPS =
        1 << 15,       /* bounds hostile files: then the chain furthest behind is taken, and a repair may be needed */
    CHAIN_WINDOWS = 8, /* so does this, in windows: it also bounds what a stream must keep */
    STRONG_BYTES = 68 << 10, /* more than the payload of one IP packet can imitate */
    NEAR_SECONDS = 86400,    /* between neighbours of a chain that resumes */
    USUAL_RECORD = 66 << 10, /* an IP packet and what is before it: by windows of this size, or of what the file says */
    LEAST_USUAL =
        4 << 10,         /* that its records have at most, but of this at least, a guess is made first: it costs less */
    PROVEN_RECORDS = 64, /* in a row, that such a guess must lead to */
};
#define NOWHERE UINT64_MAX

/* Single record headers at mostly rising offsets. */
typedef struct header_reader {
    const ws_capture *capture;
    uint32_t limit; /* longer frames are impossible */
    int steps_left;
    uint64_t begin;
    size_t bytes;
    uint8_t buffer[READER_BYTES];
} header_reader;

/* Whether a chain may pass this header. Four bytes behind a true header lies its image, (fraction, captured length,
 * wire length, frame): where nothing was cut off, both lengths are equal, and the chain of images would run beside the
 * true one for ever. Its mark: fraction equal to captured length, and seconds that are a fraction. So are headers of
 * zeros. */
static inline bool passable(const ws_capture *capture, const uint8_t *header)
{
    const uint32_t a_second = capture->nanoseconds ? 1000000000 : 1000000;
    return ws_pcap_possible(capture, header) &&
           !(memcmp(header + 4, header + 8, 4) == 0 && ws_file32(header, capture->swapped) < a_second);
}

/* *next = where the record at `offset` ends, NOWHERE when its header is impossible or it runs past the file. The file's
 * end is the end of every chain and leads to itself. */
static ws_err step(header_reader *reader, uint64_t offset, uint64_t *next)
{
    const ws_capture *capture = reader->capture;
    *next = NOWHERE;
    if (offset == capture->bytes)
        *next = offset;
    if (offset > capture->bytes || capture->bytes - offset < capture->record_header)
        return WS_OK;
    if (offset < reader->begin || offset + capture->record_header > reader->begin + reader->bytes) {
        uint64_t left = capture->bytes - offset;
        size_t bytes = left < READER_BYTES ? (size_t)left : READER_BYTES;
        WS_TRY(ws_capture_read(capture, offset, reader->buffer, bytes));
        reader->begin = offset;
        reader->bytes = bytes;
    }
    const uint8_t *header = reader->buffer + (offset - reader->begin);
    if (ws_pcap_captured(capture, header) <= reader->limit && passable(capture, header)) {
        uint64_t end = ws_pcap_next(capture, offset, header);
        *next = end <= capture->bytes ? end : NOWHERE;
    }
    return WS_OK;
}

/* The current offsets of the living chains, smallest first: a binary heap. */
typedef struct chain_heap {
    uint64_t *offsets;
    size_t count, capacity;
} chain_heap;

static ws_err heap_push(chain_heap *heap, uint64_t offset)
{
    WS_TRY(WS_GROW(heap->offsets, heap->capacity, heap->count + 1));
    size_t at = heap->count++;
    for (; at > 0 && heap->offsets[(at - 1) / 2] > offset; at = (at - 1) / 2)
        heap->offsets[at] = heap->offsets[(at - 1) / 2];
    heap->offsets[at] = offset;
    return WS_OK;
}

static uint64_t heap_pop(chain_heap *heap)
{
    uint64_t smallest = heap->offsets[0], last = heap->offsets[--heap->count];
    size_t at = 0;
    for (size_t child; (child = 2 * at + 1) < heap->count; at = child) {
        if (child + 1 < heap->count && heap->offsets[child + 1] < heap->offsets[child])
            child++;
        if (heap->offsets[child] >= last)
            break;
        heap->offsets[at] = heap->offsets[child];
    }
    heap->offsets[at] = last;
    return smallest;
}

/* The offsets [begin, end) at which chains may start. */
typedef struct chain_window {
    uint64_t begin, end;
    size_t count, loaded; /* end - begin; bytes present: up to one header more, so that every offset has its header */
    uint64_t largest;     /* record that it is made for, with its header: most bytes between begin and end */
    uint8_t *bytes;
} chain_window;

static uint64_t largest_record(const ws_capture *capture)
{
    return (uint64_t)capture->record_limit + capture->record_header;
}

static ws_err window_create(chain_window *window, const ws_capture *capture, uint64_t largest)
{
    *window = (chain_window){.largest = largest};
    WS_TRY(WS_NEW_ARRAY(window->bytes, (size_t)largest + capture->record_header));
    return WS_OK;
}

static ws_err window_load(chain_window *window, const ws_capture *capture, uint64_t begin)
{
    const uint64_t left = capture->bytes - begin, largest = window->largest;
    window->begin = begin;
    window->count = (size_t)(left < largest ? left : largest);
    window->end = begin + window->count;
    window->loaded =
        left < window->count + capture->record_header ? (size_t)left : window->count + capture->record_header;
    WS_TRY(ws_capture_read(capture, begin, window->bytes, window->loaded));
    return WS_OK;
}

/* Starts a chain behind every possible record of the window that reaches to its end or over it. */
static ws_err collect(const ws_capture *capture, uint32_t limit, const chain_window *window, chain_heap *heap)
{
    const size_t header = capture->record_header;
    for (size_t x = 0; x + header <= window->loaded && x < window->count; x++) {
        const uint32_t length = ws_pcap_captured(capture, window->bytes + x);
        if (length > limit || x + header + length < window->count)
            continue;
        const uint64_t next = window->begin + x + header + length;
        if (passable(capture, window->bytes + x) && next <= capture->bytes)
            WS_TRY(heap_push(heap, next));
    }
    return WS_OK;
}

/* Lets the chain furthest behind advance until one is left, or to `limit`; NOWHERE when all die. */
static ws_err run_chains(header_reader *reader, chain_heap *heap, uint64_t limit, uint64_t *found)
{
    *found = NOWHERE;
    while (heap->count > 0) {
        uint64_t next, behind = heap_pop(heap);
        while (heap->count > 0 && heap->offsets[0] == behind)
            heap_pop(heap);
        WS_TRY(step(reader, behind, &next));
        if (next == NOWHERE)
            continue;
        if (heap->count == 0 || reader->steps_left == 0 || behind >= limit) {
            *found = behind;
            return WS_OK;
        }
        reader->steps_left--;
        WS_TRY(heap_push(heap, next));
    }
    return WS_OK;
}

/* The current record of the chain that survives from the window; NOWHERE without one. */
static ws_err survivor(header_reader *reader, const chain_window *window, uint64_t *found)
{
    chain_heap heap = {0};
    reader->steps_left = CHAIN_STEPS;
    ws_err error = collect(reader->capture, reader->limit, window, &heap);
    if (error == WS_OK)
        error = run_chains(reader, &heap, window->end + CHAIN_WINDOWS * largest_record(reader->capture), found);
    free(heap.offsets);
    WS_TRY(error);
    return WS_OK;
}

/* Whether the chain at `offset` is more than chance: it goes on, or ends with the file. */
static ws_err goes_on(header_reader *reader, uint64_t offset, bool *does)
{
    for (int i = 0; i < PROVEN_RECORDS && offset != NOWHERE; i++)
        WS_TRY(step(reader, offset, &offset));
    *does = offset != NOWHERE;
    return WS_OK;
}

/* By records of at most `limit` bytes; NOWHERE without a chain. */
static ws_err resync_by(const ws_capture *capture, uint64_t offset, uint32_t limit, uint64_t *found)
{
    header_reader reader = {.capture = capture, .limit = limit};
    chain_window window;
    const uint64_t largest = (uint64_t)limit + capture->record_header;
    const bool any = limit == capture->record_limit;
    *found = NOWHERE;
    WS_TRY(window_create(&window, capture, largest));
    ws_err error = WS_OK;
    /* A window without a survivor holds damage; one that reaches the file's end leaves nothing behind it. */
    while (error == WS_OK && *found == NOWHERE && offset + largest < capture->bytes) {
        bool holds = true;
        error = window_load(&window, capture, offset);
        if (error == WS_OK)
            error = survivor(&reader, &window, found);
        if (error == WS_OK && *found != NOWHERE && !any)
            error = goes_on(&reader, *found, &holds);
        if (!holds)
            *found = NOWHERE;
        if (!any) /* longer records, or damage: one window is enough to see it */
            break;
        offset = window.end;
    }
    free(window.bytes);
    WS_TRY(error);
    return WS_OK;
}

ws_err ws_capture_resync(const ws_capture *capture, uint64_t offset, uint64_t *found)
{
    if (capture->format == WS_CAPTURE_PCAPNG) {
        WS_TRY(ws_pcapng_resync(capture, offset, found));
        return WS_OK;
    }
    if (capture->format == WS_CAPTURE_LINES) {
        WS_TRY(ws_lines_resync(capture, offset, found));
        return WS_OK;
    }
    *found = capture->bytes;
    if (offset < capture->first_record)
        offset = capture->first_record;
    if (offset >= capture->bytes)
        return WS_OK;
    const uint32_t usual = capture->snap_length < LEAST_USUAL    ? LEAST_USUAL
                           : capture->snap_length > USUAL_RECORD ? USUAL_RECORD
                                                                 : capture->snap_length;
    WS_TRY(resync_by(capture, offset, usual, found));
    if (*found == NOWHERE)
        WS_TRY(resync_by(capture, offset, capture->record_limit, found));
    if (*found == NOWHERE)
        *found = capture->bytes;
    return WS_OK;
}

/* Whether the chain at `offset` passes `target`. */
static ws_err leads_to(header_reader *reader, uint64_t offset, uint64_t target, bool *leads)
{
    while (offset < target && reader->steps_left > 0) {
        reader->steps_left--;
        WS_TRY(step(reader, offset, &offset));
    }
    *leads = offset == target;
    return WS_OK;
}

static bool near_in_time(const ws_capture *capture, const uint8_t *header, const uint8_t *next)
{
    int64_t gap = (int64_t)ws_file32(next, capture->swapped) - (int64_t)ws_file32(header, capture->swapped);
    return gap >= -NEAR_SECONDS && gap <= NEAR_SECONDS;
}

/* The start of the longest chain of the window that leads to `target` (NOWHERE: whose last record the file's end cuts
 * off). Records without bytes do not count, so that runs of zeros make no chains. *records 0 when there is no chain. */
static ws_err longest_chain(header_reader *reader, const chain_window *window, uint64_t target, uint64_t *start,
                            uint32_t *records)
{
    const ws_capture *capture = reader->capture;
    uint32_t *length; /* of the chain that starts at each offset, in records */
    WS_TRY(WS_NEW_ARRAY(length, window->count));
    ws_err error = WS_OK;
    *records = 0;
    reader->steps_left = CHAIN_STEPS;
    for (size_t x = window->count; x-- > 0 && error == WS_OK;) {
        const uint8_t *header = window->bytes + x;
        if (x + capture->record_header > window->loaded || !passable(capture, header))
            continue;
        const uint64_t next = ws_pcap_next(capture, window->begin + x, header);
        if (next == window->begin + x + capture->record_header)
            continue;
        if (next < window->end) {
            const size_t to = (size_t)(next - window->begin);
            if (length[to] > 0 && near_in_time(capture, header, window->bytes + to))
                length[x] = length[to] + 1;
        } else {
            bool leads = next > capture->bytes;
            if (target != NOWHERE)
                error = leads_to(reader, next, target, &leads);
            length[x] = leads;
        }
        if (length[x] > *records) {
            *records = length[x];
            *start = window->begin + x;
        }
    }
    free(length);
    WS_TRY(error);
    return WS_OK;
}

typedef struct chain_extent {
    uint32_t records;
    uint32_t end; /* in the window; at most its end */
} chain_extent;

/* The start of the chain that covers most of the window, wherever it leads, if that is more than one packet can imitate:
 * what lies between two damaged stretches, the second of which the survivor has jumped over. *records 0 without one. */
static ws_err strongest_chain(const ws_capture *capture, const chain_window *window, uint64_t *start, uint32_t *records)
{
    chain_extent *chains; /* that start at each offset */
    WS_TRY(WS_NEW_ARRAY(chains, window->count));
    uint32_t most = STRONG_BYTES;
    *records = 0;
    for (size_t x = window->count; x-- > 0;) {
        const uint8_t *header = window->bytes + x;
        if (x + capture->record_header > window->loaded || !passable(capture, header))
            continue;
        const uint64_t next = ws_pcap_next(capture, window->begin + x, header);
        if (next == window->begin + x + capture->record_header || next > capture->bytes)
            continue;
        const size_t to = (size_t)((next < window->end ? next : window->end) - window->begin);
        chains[x] = (chain_extent){1, (uint32_t)to};
        if (to < window->count && chains[to].records > 0 && near_in_time(capture, header, window->bytes + to))
            chains[x] = (chain_extent){chains[to].records + 1, chains[to].end};
        /* A single record that covers much is no chain. */
        if (chains[x].records > 2 && chains[x].end - (uint32_t)x > most) {
            most = chains[x].end - (uint32_t)x;
            *records = chains[x].records;
            *start = window->begin + x;
        }
    }
    free(chains);
    return WS_OK;
}

/* One window of the search: *found stays NOWHERE when it has no chain. */
static ws_err resume_in(header_reader *reader, const chain_window *window, bool cut, uint64_t *found)
{
    const uint64_t bytes = reader->capture->bytes;
    uint64_t target = bytes, start = 0, strong_start = 0;
    uint32_t records = 0, strong = 0;
    if (window->end < bytes)
        WS_TRY(survivor(reader, window, &target));
    if (target != NOWHERE)
        WS_TRY(longest_chain(reader, window, target, &start, &records));
    if (window->end < bytes || !cut)
        WS_TRY(strongest_chain(reader->capture, window, &strong_start, &strong));
    if (strong > records) {
        *found = strong_start;
        return WS_OK;
    }
    if (target == NOWHERE)
        return WS_OK;
    if (window->end < bytes) {
        *found = records > 0 ? start : target;
        return WS_OK;
    }
    /* At the file's end a chain must end there, or, longer, in a record that the end cuts off. */
    if (records > (cut ? 1 : 0)) {
        *found = start;
        return WS_OK;
    }
    if (!cut)
        WS_TRY(longest_chain(reader, window, NOWHERE, &start, &records));
    if (records > 2)
        *found = start;
    return WS_OK;
}

/* Nothing behind the returned capture's size is looked at by a window that begins at `begin`; that is the true size, or
 * so far away that it does not matter. Of a compressed capture, whose size is not known before its end. */
static ws_err capture_from(const ws_capture *capture, uint64_t begin, ws_capture *out)
{
    const uint64_t end = begin + (CHAIN_WINDOWS + 4) * largest_record(capture);
    uint64_t reached;
    if (capture->stream)
        ws_stream_release(capture->stream, begin); /* the walk goes on here or behind it */
    WS_TRY(ws_capture_reach(capture, begin, end, &reached));
    *out = *capture;
    if (capture->stream && reached < end)
        out->bytes = reached;
    return WS_OK;
}

ws_err ws_capture_resume(const ws_capture *capture, uint64_t offset, bool cut, uint64_t *found)
{
    ws_capture from;
    header_reader reader = {.capture = &from, .limit = capture->record_limit};
    chain_window window;
    WS_TRY(window_create(&window, capture, largest_record(capture)));
    ws_err error = WS_OK;
    *found = NOWHERE;
    for (uint64_t begin = offset + 1; *found == NOWHERE && error == WS_OK; begin = window.end) {
        error = capture_from(capture, begin, &from);
        if (error == WS_OK && begin >= from.bytes) {
            *found = from.bytes;
            break;
        }
        if (error == WS_OK)
            error = window_load(&window, &from, begin);
        if (error == WS_OK)
            error = resume_in(&reader, &window, cut, found);
    }
    free(window.bytes);
    WS_TRY(error);
    return WS_OK;
}
