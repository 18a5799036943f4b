/* libFuzzer: a capture walked in stripes as ranks walk it, beside one walk from first to last: where a stripe begins at the
 * record that the stripe before it ended at, and knows the section and interface blocks before it, both find the same.
 * The first byte chooses the width of a stripe.
 */
#include "fuzz/fuzz_capture.h"

enum { MOST_RECORDS = 4096, MOST_BLOCKS = 4096 };

typedef struct walked {
    ws_record records[MOST_RECORDS];
    size_t count;
    uint64_t damage_bytes, damage_runs, end;
} walked;

static void begin(walked *out, const ws_capture *capture)
{
    out->count = 0;
    out->damage_bytes = out->damage_runs = 0;
    out->end = capture->first_record;
}

static bool take(ws_walk *walk, walked *out)
{
    for (;;) {
        ws_record record;
        bool more;
        FUZZ_CHECK(ws_walk_next(walk, &record, &more) == WS_OK);
        if (!more)
            break;
        if (out->count == MOST_RECORDS)
            return false;
        out->records[out->count++] = record;
    }
    size_t count;
    const ws_damage *damage = ws_walk_damage(walk, &count);
    for (size_t i = 0; i < count; i++)
        out->damage_bytes += damage[i].bytes;
    out->damage_runs += count;
    out->end = ws_walk_offset(walk);
    return true;
}

static bool same(const ws_record *a, const ws_record *b)
{
    return a->offset == b->offset && a->time_ns == b->time_ns && a->captured_length == b->captured_length &&
           a->wire_length == b->wire_length && a->link_type == b->link_type && a->option_bytes == b->option_bytes;
}

static const uint8_t *content;
static size_t content_bytes;

/* What a walk hands on of its reading is what the file holds there. */
static void check_stretch(void *context, uint32_t input, uint64_t offset, const uint8_t *bytes, size_t count)
{
    (void)context;
    FUZZ_CHECK(input == 0 && offset <= content_bytes && count <= content_bytes - offset);
    FUZZ_CHECK(memcmp(bytes, content + offset, count) == 0);
}

/* A walk of its own for every stripe, or one for all of them. */
static bool take_stripes(const ws_capture *capture, uint64_t width, bool own_walks, walked *out)
{
    static uint64_t blocks[MOST_BLOCKS];
    size_t block_count = 0;
    ws_walk *walk = NULL;
    bool fits = true;
    FUZZ_CHECK(ws_walk_create(&walk, capture, 0) == WS_OK);
    for (uint64_t begin = capture->first_record; fits && begin < capture->bytes; begin = out->end) {
        const uint64_t end = width < capture->bytes - begin ? begin + width : capture->bytes;
        size_t met;
        ws_walk_watch(walk, check_stretch, NULL, !own_walks);
        FUZZ_CHECK(ws_walk_stripe(walk, begin, end, blocks, block_count) == WS_OK);
        fits = take(walk, out);
        const uint64_t *offsets = ws_walk_state_blocks(walk, &met);
        fits = fits && met <= MOST_BLOCKS - block_count;
        for (size_t i = 0; fits && i < met; i++)
            blocks[block_count++] = offsets[i];
        FUZZ_CHECK(!fits || out->end >= end);
        if (own_walks) {
            ws_walk_destroy(&walk);
            FUZZ_CHECK(ws_walk_create(&walk, capture, 0) == WS_OK);
        }
    }
    ws_walk_destroy(&walk);
    return fits;
}

static void compare(const ws_capture *capture, uint64_t width)
{
    static walked whole, striped;
    ws_walk *walk;
    begin(&whole, capture);
    FUZZ_CHECK(ws_walk_create(&walk, capture, 0) == WS_OK);
    FUZZ_CHECK(ws_walk_range(walk, capture->first_record, capture->bytes) == WS_OK);
    bool fits = take(walk, &whole);
    ws_walk_destroy(&walk);
    for (int own = 0; own < 2 && fits; own++) {
        begin(&striped, capture);
        fits = take_stripes(capture, width, own, &striped);
        if (!fits)
            return;
        FUZZ_CHECK(striped.count == whole.count && striped.end == whole.end);
        for (size_t i = 0; i < whole.count; i++)
            FUZZ_CHECK(same(&striped.records[i], &whole.records[i]));
        FUZZ_CHECK(striped.damage_bytes == whole.damage_bytes && striped.damage_runs == whole.damage_runs);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    ws_capture capture;
    if (bytes < 1 || ws_capture_open(&capture, fuzz_file("", 0, data + 1, bytes - 1)) != WS_OK)
        return 0;
    content = data + 1;
    content_bytes = bytes - 1;
    if (capture.splittable)
        compare(&capture, 16 + 32 * (uint64_t)data[0]);
    ws_capture_close(&capture);
    return 0;
}
