/* Every variant of classic pcap in both byte orders: modified record headers, Ixia's longer file header, and the exchanged
 * lengths of old writers. The same records, also from the middle of the file.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "captures.h"

typedef struct variant {
    uint32_t magic;
    unsigned major, minor;
    bool nanoseconds, exchanged;
    size_t extra, record_extra; /* bytes behind the usual file header, behind the usual record header */
} variant;

static const variant variants[] = {
    {0xa1b2c3d4, 2, 4, false, false, 0, 0},
    {0xa1b23c4d, 2, 4, true, false, 0, 0},
    {0xa1b2cd34, 2, 4, false, false, 0, 8},
    {0x1c0001ac, 2, 4, false, false, 4, 0},
    {0x1c0001ab, 2, 4, false, false, 4, 0},
    {0xa1b2c3d4, 2, 3, false, false, 0, 0},
    {0xa1b2c3d4, 2, 3, false, true, 0, 0},
    {0xa1b2c3d4, 2, 2, false, true, 0, 0},
    {0xa1b2c3d4, 543, 0, false, true, 0, 0},
    /* Under the same magics: Nokia, Red Hat 6.1, SuSE 6.3 */
    {0xa1b2c3d4, 2, 4, false, false, 0, 4},
    {0xa1b2c3d4, 2, 4, false, false, 0, 8},
    {0xa1b2cd34, 2, 4, false, false, 0, 12},
};

enum { RECORDS = 3000 };

static void put_variant(bytes *out, const variant *v, bool big, uint64_t *offsets)
{
    put_number(out, v->magic, 4, big);
    put_number(out, v->major, 2, big);
    put_number(out, v->minor, 2, big);
    put_number(out, 0, 8, big);
    put_number(out, 65535, 4, big);
    put_number(out, 1, 4, big);
    put_fill(out, 0x5a, v->extra);
    uint64_t random = 3;
    for (int i = 0; i < RECORDS; i++) {
        uint8_t payload[400];
        const size_t count = next_random(&random) % sizeof payload;
        for (size_t k = 0; k < count; k++)
            payload[k] = (uint8_t)next_random(&random);
        bytes frame = {0};
        put_udp_frame(&frame, payload, count);
        const size_t captured = frame.count < 300 ? frame.count : 300;
        offsets[i] = out->count;
        put_number(out, 1600000000 + (uint64_t)i, 4, big);
        put_number(out, 123456, 4, big);
        put_number(out, v->exchanged ? frame.count : captured, 4, big);
        put_number(out, v->exchanged ? captured : frame.count, 4, big);
        put_number(out, 0x02000000080001, v->record_extra < 8 ? v->record_extra : 8,
                   big); /* interface, protocol, type */
        put_fill(out, 0, v->record_extra > 8 ? v->record_extra - 8 : 0);
        put(out, frame.data, captured);
        bytes_free(&frame);
    }
    offsets[RECORDS] = out->count;
}

static void every_variant(void **state)
{
    (void)state;
    static uint64_t offsets[RECORDS + 1];
    for (size_t i = 0; i < sizeof variants / sizeof *variants; i++)
        for (int big = 0; big < 2; big++) {
            const variant *v = &variants[i];
            bytes content = {0};
            put_variant(&content, v, big, offsets);
            ws_capture capture;
            ws_walk *walk;
            assert_int_equal(ws_capture_open(&capture, write_file(&content)), WS_OK);
            assert_int_equal(capture.first_record, offsets[0]);
            assert_int_equal(capture.record_header, 16 + v->record_extra);
            assert_true(capture.splittable);
            assert_int_equal(ws_walk_create(&walk, &capture, 0), WS_OK);
            assert_int_equal(ws_walk_range(walk, capture.first_record, capture.bytes), WS_OK);
            for (int k = 0; k < RECORDS; k++) {
                ws_record record;
                ws_packet packet;
                bool more;
                assert_int_equal(ws_walk_next(walk, &record, &more), WS_OK);
                assert_true(more);
                assert_int_equal(record.offset, offsets[k]);
                assert_int_equal(record.offset + 16 + v->record_extra + record.captured_length, offsets[k + 1]);
                assert_true(record.wire_length >= record.captured_length);
                assert_true(record.time_ns == (1600000000ll + k) * 1000000000 + (v->nanoseconds ? 123456 : 123456000));
                assert_int_equal(ws_packet_decode(record.frame, record.captured_length, record.wire_length,
                                                  record.link_type, record.time_ns, &packet),
                                 WS_SKIP_NONE);
                assert_int_equal(packet.ip_length + 14, record.wire_length);
            }
            size_t damage;
            ws_walk_damage(walk, &damage);
            assert_int_equal(damage, 0);
            /* Boundaries are found from anywhere in the first half; the rest is less than a window. */
            uint64_t found, random = i;
            for (int n = 0; n < 5; n++) {
                const uint64_t from = next_random(&random) % (capture.bytes / 3);
                assert_int_equal(ws_capture_resync(&capture, from, &found), WS_OK);
                bool true_start = false;
                for (int k = 0; k <= RECORDS; k++)
                    true_start = true_start || offsets[k] == found;
                assert_true(true_start && found > from && found < capture.bytes);
            }
            ws_walk_destroy(&walk);
            ws_capture_close(&capture);
            bytes_free(&content);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_variant)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
