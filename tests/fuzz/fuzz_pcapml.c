/* libFuzzer: comments of packets as pcapML's labels: each line of the input is a packet, carriage returns part its comments, and
 * the line's length says between which addresses it was sent. The first byte chooses how time stamps are read.
 */
#include "fuzz/fuzz_flows.h"

enum {
    BLOCK_PACKET = 6,
    OPTION_COMMENT = 1,
    FRAME = 42,
    LINES_MOST = 256,
    LINE_MOST = 1024,
    PACKET_MOST = 128 + 8 * LINE_MOST
};

/* The headers of UDP from 10.0.0.1 to an address of many. */
static void make_frame(uint8_t frame[FRAME], uint8_t host)
{
    static const uint8_t headers[FRAME] = {[12] = 8, [14] = 0x45, [17] = 28, [22] = 64, [23] = 17, [26] = 10,
                                           [29] = 1, [30] = 10,   [33] = 0,  [34] = 8,  [36] = 9,  [39] = 8};
    memcpy(frame, headers, FRAME);
    frame[33] = host;
}

static void append(uint8_t **at, const void *bytes, size_t count)
{
    memcpy(*at, bytes, count);
    *at += count;
    for (; count % 4 != 0; count++)
        *(*at)++ = 0;
}

static void append_packet(uint8_t **at, uint32_t number, const uint8_t *comments, uint16_t length)
{
    uint8_t frame[FRAME], *start = *at;
    const uint16_t none[2] = {0, 0};
    const uint32_t head[7] = {BLOCK_PACKET, 0, 0, 0x55000 + number, number, FRAME, FRAME};
    make_frame(frame, (uint8_t)length);
    append(at, head, sizeof head);
    append(at, frame, FRAME);
    for (const uint8_t *end = comments + length; comments <= end;) {
        const uint8_t *stop = memchr(comments, '\r', (size_t)(end - comments));
        stop = stop != NULL ? stop : end;
        const uint16_t option[2] = {OPTION_COMMENT, (uint16_t)(stop - comments)};
        append(at, option, sizeof option);
        append(at, comments, option[1]);
        comments = stop + 1;
    }
    append(at, none, sizeof none);
    const uint32_t total = (uint32_t)(*at - start) + 4;
    memcpy(start + 4, &total, sizeof total);
    append(at, &total, sizeof total);
}

/* Returns the bytes of the capture. */
static size_t make_capture(const uint8_t *data, size_t bytes, uint8_t *out)
{
    static const uint32_t head[12] = {0x0A0D0D0A, 28, 0x1A2B3C4D, 1, UINT32_MAX, UINT32_MAX, 28, 1, 20, 1, 0, 20};
    uint8_t *at = out;
    uint32_t lines = 0;
    append(&at, head, sizeof head);
    for (const uint8_t *line = data, *end = data + bytes; line < end && lines < LINES_MOST; lines++) {
        const uint8_t *stop = memchr(line, '\n', (size_t)(end - line));
        stop = stop != NULL ? stop : end;
        const size_t length = (size_t)(stop - line);
        append_packet(&at, lines, line, (uint16_t)(length < LINE_MOST ? length : LINE_MOST));
        line = stop + 1;
    }
    return (size_t)(at - out);
}

static void look_up(ws_label_source *source, uint8_t host)
{
    size_t count;
    ws_flow flow = {.first_ns = 1499160000000000000, .last_ns = 1499170000000000000};
    char address[16];
    int32_t class;
    uint8_t attempted;
    const ws_label_level *levels = ws_labels_levels(source, &count);
    snprintf(address, sizeof address, "10.0.0.%u", (unsigned)host);
    FUZZ_CHECK(count == 1 && ws_label_key(&flow.key, 17, "10.0.0.1", 2048, address, 2304));
    const bool found = ws_labels_find(source, &flow, &class, &attempted);
    FUZZ_CHECK(class >= -1 && class < (int32_t)levels[0].classes && (found || class == -1));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static uint8_t capture[LINES_MOST * PACKET_MOST];
    ws_label_source *source = NULL;
    if (bytes < 1)
        return 0;
    const char *path = fuzz_file("", 0, capture, make_capture(data + 1, bytes - 1, capture));
    const ws_string_list inputs = {&path, 1};
    const ws_dataset_adapter *adapter = ws_dataset_find("pcapml");
    const ws_label_reading reading = {.stamps = (ws_stamps)(data[0] % 3), .inner_packets = data[0] & 64};
    if (ws_labels_open_reading(&source, adapter, NULL, &inputs, &reading) == WS_OK)
        for (unsigned host = 0; host < 256; host++)
            look_up(source, (uint8_t)host);
    ws_labels_destroy(&source);
    return 0;
}
