/* Mutated captures and frames: nothing crashes, loops or goes uncounted. The mutations are the same in every run; the
 * sanitizer build of this test is the one that sees bad reads.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "captures.h"

static void put_any_frame(bytes *out, uint64_t *random)
{
    const uint64_t choice = next_random(random) % 6;
    const size_t payload = next_random(random) % 60;
    switch (choice) {
    case 0:
        put_ethernet(out, 0x0800);
        put_ipv4(out, 6, 32 + payload, 0, 8);
        put_tcp(out, 12);
        break;
    case 1:
        put_hex(out, "020000000001 020000000002 88a8 0001 8100 0002 86dd");
        put_ipv6(out, 0, 16 + 8 + payload);
        put_hex(out, "2c 00 010400000000 11 00 0001 00000007");
        put_udp(out, payload);
        break;
    case 2:
        put_ethernet(out, 0x0800);
        put_ipv4(out, 17, 8 + payload, 0x2000, 0);
        put_udp(out, payload);
        break;
    case 3:
        put_hex(out, "0000 0001 0006 0200000000010000 0800");
        put_ipv4(out, 6, 20 + payload, 0, 0);
        put_tcp(out, 0);
        break;
    case 4:
        put_hex(out, "02000000");
        put_ipv4(out, 17, 8 + payload, 0, 0);
        put_udp(out, payload);
        break;
    default:
        put_ipv6(out, 51, 24 + 20 + payload);
        put_hex(out, "06 04 0000 00000001 00000001 000102030405060708090a0b");
        put_tcp(out, 0);
        break;
    }
    for (size_t i = 0; i < payload; i++)
        put_number(out, next_random(random), 1, true);
}

static void mutate(bytes *content, uint64_t *random)
{
    static const uint32_t telling[] = {0, 1, 12, 28, 0x7fffffff, 0x80000000, UINT32_MAX, 0x0A0D0D0A, 262144, 262145};
    for (uint64_t n = 1 + next_random(random) % 4; n > 0 && content->count > 8; n--) {
        const size_t at = next_random(random) % (content->count - 4);
        switch (next_random(random) % 6) {
        case 0:
            content->data[at] ^= (uint8_t)(1 << next_random(random) % 8);
            break;
        case 1:
            content->data[at] = (uint8_t)next_random(random);
            break;
        case 2: {
            uint32_t value = telling[next_random(random) % 10];
            if (next_random(random) % 2)
                value = __builtin_bswap32(value);
            memcpy(content->data + at, &value, 4);
            break;
        }
        case 3: /* bytes lost */
        {
            size_t lost = 1 + next_random(random) % (content->count - at - 1);
            lost = lost < 40 ? lost : 1 + lost % 40;
            memmove(content->data + at, content->data + at + lost, content->count - at - lost);
            content->count -= lost;
            break;
        }
        case 4: /* bytes twice */
        {
            uint8_t copy[64];
            const size_t left = content->count - at, twice = left < sizeof copy ? left : sizeof copy;
            memcpy(copy, content->data + at, twice);
            put(content, copy, twice);
            break;
        }
        default: /* cut short, seldom */
            if (next_random(random) % 8 == 0)
                content->count = at;
            break;
        }
    }
}

static void check_packet(ws_skip skip, const ws_packet *packet)
{
    assert_true((int)skip >= 0 && skip < WS_SKIP_COUNT);
    if (skip != WS_SKIP_NONE)
        return;
    assert_true(packet->protocol == 6 || packet->protocol == 17);
    assert_true(packet->ip_version == 4 || packet->ip_version == 6);
    assert_true(packet->header_length + (uint64_t)packet->payload_length == packet->ip_length);
    assert_true(packet->header_length >= 28);
}

/* Opens and reads to the end. Every byte of a pcap is in a record or in damage. */
static void read_capture(const bytes *content, uint64_t *random, uint64_t *opened)
{
    ws_capture capture;
    if (ws_capture_open(&capture, write_file(content)) != WS_OK) {
        assert_true(strlen(ws_error_message()) > 0);
        return;
    }
    ++*opened;
    ws_walk *walk;
    uint64_t accounted = capture.first_record, last = 0;
    assert_int_equal(ws_walk_create(&walk, &capture, 0), WS_OK);
    assert_int_equal(ws_walk_range(walk, capture.first_record, capture.bytes), WS_OK);
    for (;;) {
        ws_record record;
        ws_packet packet;
        bool more;
        assert_int_equal(ws_walk_next(walk, &record, &more), WS_OK);
        if (!more)
            break;
        assert_true(record.offset >= last && ws_walk_offset(walk) > record.offset);
        last = ws_walk_offset(walk);
        accounted += 16 + record.captured_length;
        check_packet(ws_packet_decode(record.frame, record.captured_length, record.wire_length, record.link_type,
                                      record.time_ns, &packet),
                     &packet);
    }
    assert_true(ws_walk_offset(walk) == capture.bytes);
    size_t count;
    const ws_damage *damage = ws_walk_damage(walk, &count);
    last = 0;
    for (size_t i = 0; i < count; i++) {
        assert_true(damage[i].offset >= last && damage[i].bytes > 0);
        last = damage[i].offset + damage[i].bytes;
        assert_true(last <= capture.bytes);
        accounted += damage[i].bytes;
    }
    if (capture.format == WS_CAPTURE_PCAP) {
        uint64_t found;
        assert_true(accounted == capture.bytes);
        assert_int_equal(ws_capture_resync(&capture, next_random(random) % (capture.bytes + 10), &found), WS_OK);
        assert_true(found <= capture.bytes);
    }
    ws_walk_destroy(&walk);
    ws_capture_close(&capture);
}

static void make_capture(bytes *out, uint64_t *random, bool next_generation)
{
    const bool big = next_random(random) % 2;
    static const uint32_t link_types[] = {1, 1, 1, 113, 0, 101};
    pcap_kind kind = {big, next_random(random) % 2, link_types[next_random(random) % 6], 65535};
    if (next_generation) {
        put_section(out, big);
        put_interface(out, big, kind.link_type, 0, next_random(random) % 2 ? 9 : 0x94, 100);
        put_interface(out, big, 101, 64, -1, 0);
    } else {
        put_pcap_header(out, kind);
    }
    for (int i = 0; i < 20; i++) {
        bytes frame = {0};
        put_any_frame(&frame, random);
        if (next_generation)
            put_enhanced(out, big, i % 2, 1600000000000000 + (uint64_t)i, frame.data, frame.count, frame.count);
        else
            put_record(out, kind, 1600000000000000000 + i * 1000000ll, frame.data, frame.count, frame.count);
        bytes_free(&frame);
    }
}

static void mutated_captures(void **state)
{
    (void)state;
    uint64_t random = 20240229, opened = 0;
    for (int round = 0; round < 250; round++) {
        bytes original = {0};
        make_capture(&original, &random, round % 2);
        for (int i = 0; i < 40; i++) {
            bytes content = {0};
            put(&content, original.data, original.count);
            mutate(&content, &random);
            read_capture(&content, &random, &opened);
            bytes_free(&content);
        }
        bytes_free(&original);
    }
    print_message("%llu of 10000 mutations opened\n", (unsigned long long)opened);
    assert_true(opened > 8000);
}

static void mutated_frames(void **state)
{
    (void)state;
    static const int link_types[] = {0,   1,  12, 14, 101, 108, 113, 228, 229, 276,
                                     105, -1, 9,  50, 51,  104, 119, 127, 163, 192};
    uint64_t random = 7, reasons[WS_SKIP_COUNT] = {0};
    for (int round = 0; round < 40000; round++) {
        bytes frame = {0};
        put_any_frame(&frame, &random);
        mutate(&frame, &random);
        uint8_t *copy = malloc(frame.count + 1); /* of the exact size but for empty ones */
        assert_non_null(copy);
        copy = realloc(copy, frame.count ? frame.count : 1);
        if (frame.count)
            memcpy(copy, frame.data, frame.count);
        for (size_t l = 0; l < sizeof link_types / sizeof *link_types; l++) {
            ws_packet packet;
            ws_skip skip = ws_packet_decode(copy, (uint32_t)frame.count, (uint32_t)next_random(&random), link_types[l],
                                            0, &packet);
            check_packet(skip, &packet);
            reasons[skip]++;
            const ws_skip inner = ws_packet_decode_inner(copy, (uint32_t)frame.count, 9000, link_types[l], 0, &packet);
            check_packet(inner, &packet);
            assert_true(inner == skip || inner == WS_SKIP_NONE);
        }
        free(copy);
        bytes_free(&frame);
    }
    /* The mutations reach every reason that decoding can give. */
    for (int i = 0; i < WS_SKIP_COUNT; i++)
        if (i != WS_SKIP_filtered && i != WS_SKIP_no_sample)
            assert_true(reasons[i] > 0);
}

/* Bytes of no meaning behind a good file header. */
static void noise(void **state)
{
    (void)state;
    uint64_t random = 99, opened = 0;
    for (int round = 0; round < 60; round++) {
        bytes content = {0};
        if (round % 2)
            put_section(&content, round % 4 == 1);
        else
            put_pcap_header(&content, (pcap_kind){.link_type = 1, .snap_length = round % 4 ? 0 : UINT32_MAX});
        const uint64_t sparse = next_random(&random) % 4; /* many zeros make more of it plausible */
        while (content.count < 20000 + next_random(&random) % 400000)
            put_number(&content, next_random(&random) % 4 < sparse ? 0 : next_random(&random) % 256, 1, true);
        read_capture(&content, &random, &opened);
        bytes_free(&content);
    }
    assert_int_equal(opened, 60);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mutated_captures),
        cmocka_unit_test(mutated_frames),
        cmocka_unit_test(noise),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
