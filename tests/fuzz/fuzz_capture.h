/* What the fuzzers of captures share: a file in memory with the fuzzer's bytes, walked from first to last. */
#ifndef WS_FUZZ_CAPTURE_H
#define WS_FUZZ_CAPTURE_H

#include "capture/capture.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define FUZZ_CHECK(condition)                                                                                          \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                                            \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

/* The bytes of `head`, then those of the fuzzer. */
static inline const char *fuzz_file(const void *head, size_t head_bytes, const uint8_t *data, size_t bytes)
{
    static char path[64];
    static int file = -1;
    if (file < 0)
        file = memfd_create("capture", 0);
    FUZZ_CHECK(file >= 0 && ftruncate(file, 0) == 0);
    FUZZ_CHECK(pwrite(file, head, head_bytes, 0) == (ssize_t)head_bytes);
    FUZZ_CHECK(pwrite(file, data, bytes, (off_t)head_bytes) == (ssize_t)bytes);
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    return path;
}

/* Reads every record of [capture.first_record, its end) and decodes it. What is not in records is damage. */
static inline void fuzz_walk(const ws_capture *capture)
{
    ws_walk *walk;
    uint64_t accounted = capture->first_record, records = 0;
    FUZZ_CHECK(ws_walk_create(&walk, capture, 0) == WS_OK);
    FUZZ_CHECK(ws_walk_range(walk, capture->first_record, capture->bytes) == WS_OK);
    for (;; records++) {
        ws_record record;
        ws_packet packet;
        bool more;
        FUZZ_CHECK(ws_walk_next(walk, &record, &more) == WS_OK);
        if (!more)
            break;
        accounted += capture->record_header + record.captured_length;
        (void)ws_packet_decode_inner(record.frame, record.captured_length, record.wire_length, record.link_type,
                                     record.time_ns, &packet);
    }
    size_t count;
    const ws_damage *damage = ws_walk_damage(walk, &count);
    for (size_t i = 0; i < count; i++)
        accounted += damage[i].bytes;
    if (capture->format == WS_CAPTURE_PCAP)
        FUZZ_CHECK(accounted == ws_walk_offset(walk));
    if (capture->stream == NULL)
        FUZZ_CHECK(ws_walk_offset(walk) == capture->bytes);
    ws_walk_destroy(&walk);
}

static inline void fuzz_open_and_walk(const char *path)
{
    ws_capture capture;
    if (ws_capture_open(&capture, path) != WS_OK)
        return;
    fuzz_walk(&capture);
    ws_capture_close(&capture);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

#endif
