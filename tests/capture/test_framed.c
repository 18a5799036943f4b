/* snoop and ERF files made by hand: what their records become, and that no truncation and no flipped byte does more than cost
 * records. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "captures.h"

enum { RECORDS = 24 };

static void put_frame(bytes *out, int i)
{
    uint8_t payload[64] = {0};
    put_udp_frame(out, payload, (size_t)(i * 7 % 50));
}

static void put_snoop(bytes *out)
{
    put(out, "snoop\0\0\0", 8);
    put_number(out, 2, 4, true);
    put_number(out, 4, 4, true);
    for (int i = 0; i < RECORDS; i++) {
        bytes frame = {0};
        put_frame(&frame, i);
        const size_t padding = (4 - frame.count % 4) % 4;
        put_number(out, frame.count + 1000, 4, true);
        put_number(out, frame.count, 4, true);
        put_number(out, 24 + frame.count + padding, 4, true);
        put_number(out, 0, 4, true);
        put_number(out, 1500000000 + (uint64_t)i, 4, true);
        put_number(out, 250000, 4, true);
        put(out, frame.data, frame.count);
        put_fill(out, 0, padding);
        bytes_free(&frame);
    }
}

/* Ethernet, some of it behind two extension headers, one record that only fills. */
static void put_erf(bytes *out)
{
    for (int i = 0; i < RECORDS; i++) {
        bytes frame = {0};
        put_frame(&frame, i);
        const size_t extension = i % 3 == 0 ? 16 : 0, content = extension + 2 + frame.count;
        const size_t padding = (8 - content % 8) % 8;
        put_number(out, (1500000000ull + (uint64_t)i) << 32 | 1u << 30, 8, false);
        put_number(out, extension ? 0x82 : 0x02, 1, true);
        put_number(out, 4, 1, true);
        put_number(out, 16 + content + padding, 2, true);
        put_number(out, 0, 2, true);
        put_number(out, frame.count + 1000, 2, true);
        if (extension)
            put_hex(out, "8300000000000000 0300000000000000");
        put_fill(out, 0, 2);
        put(out, frame.data, frame.count);
        put_fill(out, 0, padding);
        bytes_free(&frame);
        if (i == 5)
            put_hex(out, "0000000000000000 30 00 0018 0000 0008 0000000000000000");
    }
}

/* Records that could be read; SIZE_MAX where the file is refused. Expects the i-th as made where `exact`. */
static size_t walk_all(const bytes *content, bool exact, size_t *damage)
{
    ws_capture capture;
    ws_walk *walk;
    size_t count = 0;
    *damage = 0;
    if (ws_capture_open(&capture, write_file(content)) != WS_OK) {
        ws_error_clear();
        return SIZE_MAX;
    }
    assert_int_equal(ws_walk_create(&walk, &capture, 0), WS_OK);
    assert_int_equal(ws_walk_range(walk, capture.first_record, capture.bytes), WS_OK);
    for (;; count++) {
        ws_record record;
        ws_packet packet;
        bool more;
        assert_int_equal(ws_walk_next(walk, &record, &more), WS_OK);
        if (!more)
            break;
        assert_true(record.captured_length <= content->count); /* before anything is read of the frame */
        const ws_skip skip = ws_packet_decode(record.frame, record.captured_length, record.wire_length,
                                              record.link_type, record.time_ns, &packet);
        if (!exact)
            continue;
        const size_t payload = count * 7 % 50;
        assert_int_equal(skip, WS_SKIP_NONE);
        assert_int_equal(record.time_ns, (1500000000 + (int64_t)count) * 1000000000 + 250000000);
        assert_int_equal(packet.payload_length, payload);
        assert_int_equal(packet.wire_length, 14 + 28 + payload + 1000);
    }
    ws_walk_damage(walk, damage);
    assert_int_equal(ws_walk_offset(walk), capture.bytes);
    ws_walk_destroy(&walk);
    ws_capture_close(&capture);
    return count;
}

static void check_format(void (*make)(bytes *))
{
    bytes whole = {0};
    size_t damage;
    make(&whole);
    assert_int_equal(walk_all(&whole, true, &damage), RECORDS);
    assert_int_equal(damage, 0);

    /* Cut anywhere: the records before the cut, and one run of damage unless the cut lies between two. */
    size_t before = 0;
    for (size_t length = 0; length < whole.count; length++) {
        const bytes cut = {whole.data, length, length};
        const size_t count = walk_all(&cut, false, &damage);
        if (count == SIZE_MAX)
            continue;
        assert_true(count >= before && count < RECORDS + 1 && damage <= 1);
        before = count;
    }
    assert_true(before >= RECORDS - 1);

    /* Flipped bytes: never more than a few records around each. */
    uint64_t random = 7;
    bytes copy = {0};
    put(&copy, whole.data, whole.count);
    for (int k = 0; k < 2000; k++) {
        const size_t at = 16 + next_random(&random) % (whole.count - 16);
        copy.data[at] ^= (uint8_t)(1 + next_random(&random) % 255);
        const size_t count = walk_all(&copy, false, &damage);
        assert_true(count == SIZE_MAX || (count >= RECORDS - 6 && count <= RECORDS + 4) || damage > 0);
        copy.data[at] = whole.data[at];
    }
    bytes_free(&copy);
    bytes_free(&whole);
}

static void snoop_files(void **state)
{
    (void)state;
    check_format(put_snoop);
}

static void erf_files(void **state)
{
    (void)state;
    check_format(put_erf);
}

/* Lengths of nearly 2^32 that add up to a small one: no record. */
static void snoop_lengths_that_wrap(void **state)
{
    (void)state;
    bytes file = {0};
    size_t damage;
    put_snoop(&file);
    const size_t first = 16;
    bytes forged = {0};
    put_number(&forged, UINT32_MAX, 4, true);
    put_number(&forged, UINT32_MAX - 15, 4, true);
    put_number(&forged, 24 + 8, 4, true);
    memcpy(file.data + first, forged.data, forged.count);
    assert_int_equal(walk_all(&file, false, &damage), RECORDS - 1);
    assert_int_equal(damage, 1);
    bytes_free(&forged);
    bytes_free(&file);
}

/* An ERF header says little that cannot be true by chance: a long stretch of noise must cost no more than the records that
 * it lies over, and give none. */
static void erf_noise(void **state)
{
    (void)state;
    uint64_t random = 11;
    for (int k = 0; k < 50; k++) {
        bytes file = {0};
        size_t damage;
        put_erf(&file);
        put_fill(&file, 0, 16); /* a record of no type */
        for (int i = 0; i < 20000; i++)
            put_number(&file, next_random(&random), 1, true);
        put_erf(&file);
        assert_int_equal(walk_all(&file, false, &damage), 2 * RECORDS);
        assert_int_equal(damage, 1);
        bytes_free(&file);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(snoop_files), cmocka_unit_test(erf_files),
                                       cmocka_unit_test(snoop_lengths_that_wrap), cmocka_unit_test(erf_noise)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
