/* Finding record boundaries in the middle of a capture, also where payloads imitate captures. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <time.h>

#include "captures.h"

/* Resynchronises from `tries` offsets of the capture; each must give a true record start or the file's end. */
static void expect_true_boundaries(const bytes *content, int tries)
{
    ws_capture capture;
    ws_walk *walk;
    assert_int_equal(ws_capture_open(&capture, write_file(content)), WS_OK);
    uint8_t *is_start = calloc(1, content->count + 1);
    assert_non_null(is_start);
    assert_int_equal(ws_walk_create(&walk, &capture, 0), WS_OK);
    assert_int_equal(ws_walk_range(walk, capture.first_record, capture.bytes), WS_OK);
    for (bool more = true; more;) {
        ws_record record;
        assert_int_equal(ws_walk_next(walk, &record, &more), WS_OK);
        if (more)
            is_start[record.offset] = 1;
    }
    is_start[capture.bytes] = 1;
    size_t damage;
    ws_walk_damage(walk, &damage);
    assert_int_equal(damage, 0);

    uint64_t random = 42;
    const uint64_t window = capture.record_limit + 16u;
    double slowest = 0;
    for (int i = 0; i < tries; i++) {
        const uint64_t offset = i == 0 ? 0 : i == 1 ? capture.bytes : next_random(&random) % capture.bytes;
        uint64_t found, again;
        double begin = ws_clock_seconds();
        assert_int_equal(ws_capture_resync(&capture, offset, &found), WS_OK);
        double seconds = ws_clock_seconds() - begin;
        slowest = seconds > slowest ? seconds : slowest;
        assert_true(found >= offset && found <= capture.bytes);
        assert_true(is_start[found]);
        /* Near the place it was asked for, so that stripes keep their size. */
        assert_true(found <= offset + 4 * window);
        if (offset + 3 * window < capture.bytes)
            assert_true(found < capture.bytes);
        assert_int_equal(ws_capture_resync(&capture, offset, &again), WS_OK);
        assert_true(again == found);
    }
    print_message("%zu bytes: slowest of %d %.2f ms\n", content->count, tries, slowest * 1e3);
    ws_walk_destroy(&walk);
    ws_capture_close(&capture);
    free(is_start);
}

/* UDP frames whose payload is bytes [0, payload) of what `fill` gives for each packet. */
static void make_capture(bytes *out, pcap_kind kind, size_t packets, size_t payload, const bytes *inner)
{
    put_pcap_header(out, kind);
    size_t at = 0;
    for (size_t i = 0; i < packets; i++) {
        bytes frame = {0}, body = {0};
        while (body.count < payload) {
            size_t take = payload - body.count < inner->count - at ? payload - body.count : inner->count - at;
            put(&body, inner->data + at, take);
            at = (at + take) % inner->count;
        }
        put_udp_frame(&frame, body.data, body.count);
        put_record(out, kind, 1600000000000000000 + (int64_t)i * 1000000, frame.data, frame.count, frame.count);
        bytes_free(&frame);
        bytes_free(&body);
    }
}

static void ordinary_traffic(void **state)
{
    (void)state;
    for (int big = 0; big <= 1; big++) {
        pcap_kind kind = {.big = big, .nanoseconds = big, .link_type = 1, .snap_length = 65535};
        bytes content = {0};
        uint64_t random = 1;
        put_pcap_header(&content, kind);
        while (content.count < 6000000) {
            uint8_t payload[1460];
            const size_t count = next_random(&random) % sizeof payload;
            const uint64_t pattern = next_random(&random) % 4; /* noise, zeros, ones, text */
            for (size_t i = 0; i < count; i++)
                payload[i] = (uint8_t)(pattern == 0   ? next_random(&random)
                                       : pattern == 1 ? 0
                                       : pattern == 2 ? 0xff
                                                      : 'a');
            bytes frame = {0};
            put_udp_frame(&frame, payload, count);
            put_record(&content, kind, 1600000000000000000 + (int64_t)content.count * 1000, frame.data, frame.count,
                       frame.count);
            bytes_free(&frame);
        }
        expect_true_boundaries(&content, 300);
        bytes_free(&content);
    }
}

/* The payloads are pcap files themselves, cut across packets anywhere. */
static void pcap_inside_payloads(void **state)
{
    (void)state;
    static const struct {
        size_t payload, packets;
    } sizes[] = {{1400, 4000}, {60000, 100}};
    for (int s = 0; s < 2; s++)
        for (int big = 0; big <= 1; big++) {
            pcap_kind kind = {.big = big, .link_type = 1, .snap_length = 65535};
            bytes inner = {0}, content = {0};
            uint64_t random = 3;
            put_pcap_header(&inner, kind);
            while (inner.count < 3000000) {
                uint8_t payload[600];
                bytes frame = {0};
                const size_t count = next_random(&random) % sizeof payload;
                memset(payload, (int)count, count);
                put_udp_frame(&frame, payload, count);
                put_record(&inner, kind, 1600000000000000000, frame.data, frame.count, frame.count);
                bytes_free(&frame);
            }
            make_capture(&content, kind, sizes[s].packets, sizes[s].payload, &inner);
            expect_true_boundaries(&content, 300);
            bytes_free(&inner);
            bytes_free(&content);
        }
}

/* The payloads are whole records that end exactly where the packet ends, so that every false chain meets the true one.
 */
static void false_chains_that_meet_the_true_one(void **state)
{
    (void)state;
    pcap_kind kind = {.link_type = 1, .snap_length = 65535};
    bytes inner = {0}, content = {0};
    for (int i = 0; i < 14; i++) {
        uint8_t filling[84] = {0};
        put_record(&inner, kind, 1600000000000000000, filling, sizeof filling, sizeof filling);
    }
    assert_int_equal(inner.count, 1400);
    make_capture(&content, kind, 2000, 1400, &inner);
    expect_true_boundaries(&content, 300);
    content.count = 0;
    make_capture(&content, kind, 60, 1400 * 40, &inner);
    expect_true_boundaries(&content, 300);
    bytes_free(&inner);
    bytes_free(&content);
}

/* Packets of zeros: 16 chains of empty records in each, ending on the true boundary or not. */
static void zeros_inside_payloads(void **state)
{
    (void)state;
    bytes inner = {0};
    put_fill(&inner, 0, 1000);
    for (size_t payload = 1000; payload < 1016; payload++) {
        bytes content = {0};
        make_capture(&content, (pcap_kind){.link_type = 1, .snap_length = 65535}, 800, payload, &inner);
        expect_true_boundaries(&content, 40);
        bytes_free(&content);
    }
    bytes content = {0};
    make_capture(&content, (pcap_kind){.link_type = 1, .snap_length = 65535}, 60, 65000, &inner);
    expect_true_boundaries(&content, 100);
    bytes_free(&content);
    bytes_free(&inner);
}

/* Snap length 96, 0, and one that lies: larger than any record could be. */
static void snap_lengths(void **state)
{
    (void)state;
    static const uint32_t lengths[] = {96, 0, 0x7fffffff, UINT32_MAX};
    for (int i = 0; i < 4; i++) {
        pcap_kind kind = {.link_type = 1, .snap_length = lengths[i]};
        bytes content = {0}, frame = {0};
        uint8_t payload[300];
        uint64_t random = 9;
        put_pcap_header(&content, kind);
        while (content.count < 5000000) {
            for (size_t k = 0; k < sizeof payload; k++)
                payload[k] = (uint8_t)next_random(&random);
            frame.count = 0;
            put_udp_frame(&frame, payload, 1 + next_random(&random) % sizeof payload);
            put_record(&content, kind, 1600000000000000000, frame.data, frame.count < 96 ? frame.count : 96,
                       frame.count);
        }
        expect_true_boundaries(&content, 60);
        bytes_free(&content);
        bytes_free(&frame);
    }
}

/* Frames of up to 40 kB in a capture that says it has 96 bytes of each. */
static void frames_longer_than_the_file_says(void **state)
{
    (void)state;
    const pcap_kind kind = {.link_type = 1, .snap_length = 96};
    static uint8_t payload[40000];
    bytes content = {0}, frame = {0};
    uint64_t random = 11;
    put_pcap_header(&content, kind);
    for (size_t k = 0; k < sizeof payload; k++)
        payload[k] = (uint8_t)next_random(&random);
    while (content.count < 6000000) {
        frame.count = 0;
        put_udp_frame(&frame, payload, 1 + next_random(&random) % sizeof payload);
        put_record(&content, kind, 1600000000000000000, frame.data, frame.count, frame.count);
    }
    expect_true_boundaries(&content, 60);
    bytes_free(&content);
    bytes_free(&frame);
}

/* Files that are nothing but imitations end the search in bounded time. */
static void hostile_patterns_end(void **state)
{
    (void)state;
    static const char *const patterns[] = {"00",
                                           "01",
                                           "00000100",
                                           "00010101",
                                           "0100000000000000400000004000000",
                                           "01010100",
                                           "00000000000000000000040000000400"};
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++)
        for (int nanoseconds = 0; nanoseconds <= 1; nanoseconds++) {
            bytes content = {0}, pattern = {0};
            put_pcap_header(&content, (pcap_kind){.nanoseconds = nanoseconds, .link_type = 1, .snap_length = 0x100000});
            char even[64];
            snprintf(even, sizeof even, "%s%s", patterns[i], strlen(patterns[i]) % 2 ? "0" : "");
            put_hex(&pattern, even);
            while (content.count < 8000000)
                put(&content, pattern.data, pattern.count);
            ws_capture capture;
            assert_int_equal(ws_capture_open(&capture, write_file(&content)), WS_OK);
            const clock_t begin = clock(); /* of the processor: others may be at work */
            uint64_t found;
            for (uint64_t offset = 0; offset < 4; offset++)
                assert_int_equal(ws_capture_resync(&capture, offset, &found), WS_OK);
            ws_walk *walk;
            assert_int_equal(ws_walk_create(&walk, &capture, 0), WS_OK);
            assert_int_equal(ws_walk_range(walk, 25, capture.bytes), WS_OK);
            for (bool more = true; more;) {
                ws_record record;
                assert_int_equal(ws_walk_next(walk, &record, &more), WS_OK);
            }
            const double seconds = (double)(clock() - begin) / CLOCKS_PER_SEC;
            print_message("pattern %s: %.0f ms\n", even, seconds * 1e3);
            assert_true(seconds < 20);
            ws_walk_destroy(&walk);
            ws_capture_close(&capture);
            bytes_free(&content);
            bytes_free(&pattern);
        }
}

/* Two damaged stretches, from close to far apart: what lies between them is read, but for less than two packets' worth of
 * imitation (68 KiB) behind each, also where a false header leads over the second one.
 */
static void between_two_damages(void **state)
{
    (void)state;
    const pcap_kind kind = {.link_type = 1, .snap_length = 262144};
    uint64_t random = 17;
    bytes inner = {0};
    for (int i = 0; i < 20011; i++)
        put_number(&inner, next_random(&random), 1, true);
    bytes whole = {0};
    make_capture(&whole, kind, 2500, 1300, &inner);
    for (size_t gap = 150000; gap < 1200000; gap += 95000)
        for (int false_header = 0; false_header < 2; false_header++) {
            bytes content = {0};
            put(&content, whole.data, whole.count);
            const size_t first = 500000 + next_random(&random) % 1400, second = first + gap;
            memset(content.data + first, 0xff, 2000);
            memset(content.data + second, 0xff, 2000);
            if (false_header) { /* in a payload before the window's end, leading to a true record behind the second stretch */
                const size_t record = 16 + 42 + 1300, at = (first + 232000) / record * record + 24 + 500;
                const size_t target = 24 + (second + 2000 + 20 * record) / record * record;
                const uint32_t header[4] = {1600000000, 5, (uint32_t)(target - at - 16), 70000};
                if (target - at - 16 <= 262144)
                    memcpy(content.data + at, header, sizeof header);
            }
            ws_capture capture;
            ws_walk *walk;
            size_t count, lost = 0;
            assert_int_equal(ws_capture_open(&capture, write_file(&content)), WS_OK);
            assert_int_equal(ws_walk_create(&walk, &capture, 0), WS_OK);
            assert_int_equal(ws_walk_range(walk, capture.first_record, capture.bytes), WS_OK);
            for (bool more = true; more;) {
                ws_record record;
                assert_int_equal(ws_walk_next(walk, &record, &more), WS_OK);
                if (more)
                    assert_int_equal((record.offset - 24) % (16 + 42 + 1300), 0);
            }
            const ws_damage *damage = ws_walk_damage(walk, &count);
            for (size_t i = 0; i < count; i++)
                lost += damage[i].bytes;
            if (lost > 2 * (2000 + 2 * 1358 + (68 << 10)))
                fail_msg("gap of %zu bytes: %zu bytes lost in %zu stretches", gap, lost, count);
            ws_walk_destroy(&walk);
            ws_capture_close(&capture);
            bytes_free(&content);
        }
    bytes_free(&whole);
    bytes_free(&inner);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ordinary_traffic),
        cmocka_unit_test(pcap_inside_payloads),
        cmocka_unit_test(false_chains_that_meet_the_true_one),
        cmocka_unit_test(zeros_inside_payloads),
        cmocka_unit_test(snap_lengths),
        cmocka_unit_test(frames_longer_than_the_file_says),
        cmocka_unit_test(hostile_patterns_end),
        cmocka_unit_test(between_two_damages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
