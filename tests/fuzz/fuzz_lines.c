/* libFuzzer: packets as lines of text; the first byte chooses the form, the next two where a stripe begins. Every byte is of a
 * line that is a packet or damage, and the line found from anywhere on is one that the walk from the first one on comes to.
 */
#include "fuzz/fuzz_capture.h"

typedef struct walked {
    uint64_t lines, packets_from, damage_bytes, end;
    bool meets; /* `from` is where a line, or damage, begins or ends */
} walked;

static void walk_lines(const ws_capture *capture, uint64_t from, walked *out)
{
    ws_walk *walk;
    ws_record record;
    *out = (walked){0};
    FUZZ_CHECK(ws_walk_create(&walk, capture, 0) == WS_OK);
    FUZZ_CHECK(ws_walk_range(walk, capture->first_record, capture->bytes) == WS_OK);
    for (bool more = true;;) {
        ws_packet packet;
        FUZZ_CHECK(ws_walk_next(walk, &record, &more) == WS_OK);
        if (!more)
            break;
        out->lines++;
        out->packets_from += record.offset >= from;
        FUZZ_CHECK(ws_packet_decode(record.frame, record.captured_length, record.wire_length, record.link_type,
                                    record.time_ns, &packet) < WS_SKIP_COUNT);
    }
    size_t count;
    const ws_damage *damage = ws_walk_damage(walk, &count);
    for (size_t i = 0; i < count; i++)
        out->damage_bytes += damage[i].bytes;
    out->end = ws_walk_offset(walk);
    ws_walk_destroy(&walk);
}

static uint64_t count_from(const ws_capture *capture, uint64_t from)
{
    ws_walk *walk;
    ws_record record;
    uint64_t lines = 0;
    FUZZ_CHECK(ws_walk_create(&walk, capture, 0) == WS_OK);
    FUZZ_CHECK(ws_walk_range(walk, from, capture->bytes) == WS_OK);
    for (bool more = true; more; lines += more)
        FUZZ_CHECK(ws_walk_next(walk, &record, &more) == WS_OK);
    ws_walk_destroy(&walk);
    return lines;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static const char *const heads[] = {
        "\"No.\",\"Time\",\"Source\",\"Destination\",\"Protocol\",\"Length\",\"Info\"\n",
        "\xEF\xBB\xBFNo.,Time,Source,Destination,Protocol,Length\r\n",
        "2022-06-03 10:00:00.5\t10.0.0.1\t10.0.0.2\t60\n", ""};
    if (bytes < 3)
        return 0;
    const char *head = heads[data[0] & 3];
    ws_capture capture;
    if (ws_capture_open(&capture, fuzz_file(head, strlen(head), data + 3, bytes - 3)) != WS_OK)
        return 0;
    uint64_t found, from = ((uint64_t)data[1] << 8 | data[2]) * (capture.bytes + 9) >> 16;
    if (capture.format == WS_CAPTURE_LINES) {
        walked whole;
        FUZZ_CHECK(ws_capture_resync(&capture, from, &found) == WS_OK);
        FUZZ_CHECK(found <= capture.bytes && found >= capture.first_record);
        walk_lines(&capture, found, &whole);
        FUZZ_CHECK(whole.end == capture.bytes);
        FUZZ_CHECK(count_from(&capture, found) == whole.packets_from);
    }
    ws_capture_close(&capture);
    return 0;
}
