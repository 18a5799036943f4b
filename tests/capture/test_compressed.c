/* Compressed captures: the same records as of the plain bytes, in every format, split in members anywhere; a stream that
 * is cut off or flipped anywhere gives a true beginning, and says that it is broken. ctest: timeout=120
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "captures.h"
#include "members.h"

/* ---------------------------------------------------------------- what a walk finds */
typedef struct found {
    uint64_t records, sum, end; /* sum: over what the records say and hold */
    size_t damage_count;
    ws_damage damage[8];
} found;

static uint64_t mix(uint64_t sum, uint64_t value)
{
    return (sum ^ value) * 0x100000001b3;
}

static found walk_capture(const bytes *content, uint64_t records_at_most)
{
    found out = {.sum = 0xcbf29ce484222325};
    ws_capture capture;
    ws_walk *walk;
    assert_int_equal(ws_capture_open(&capture, write_file(content)), WS_OK);
    assert_int_equal(ws_walk_create(&walk, &capture, 0), WS_OK);
    assert_int_equal(ws_walk_range(walk, capture.first_record, capture.bytes), WS_OK);
    while (out.records < records_at_most) {
        ws_record record;
        bool more;
        assert_int_equal(ws_walk_next(walk, &record, &more), WS_OK);
        if (!more)
            break;
        out.records++;
        out.sum = mix(mix(mix(out.sum, record.offset), (uint64_t)record.time_ns), record.wire_length);
        for (uint32_t i = 0; i < record.captured_length; i++)
            out.sum = mix(out.sum, record.frame[i]);
    }
    size_t count;
    const ws_damage *damage = ws_walk_damage(walk, &count);
    out.damage_count = count;
    for (size_t i = 0; i < count && i < 8; i++)
        out.damage[i] = damage[i];
    out.end = ws_walk_offset(walk);
    if (records_at_most == UINT64_MAX)
        assert_true(ws_walk_position(walk) == capture.stored_bytes);
    ws_walk_destroy(&walk);
    ws_capture_close(&capture);
    return out;
}

static void expect_same(const found *a, const found *b)
{
    assert_int_equal(a->records, b->records);
    assert_true(a->sum == b->sum && a->end == b->end);
    assert_int_equal(a->damage_count, b->damage_count);
    assert_memory_equal(a->damage, b->damage, sizeof a->damage);
}

static void make_content(bytes *out, bool next_generation, int records, uint64_t seed)
{
    pcap_kind kind = {.link_type = 1, .snap_length = 65535};
    if (next_generation) {
        put_section(out, false);
        put_interface(out, false, 1, 0, 9, 0);
    } else {
        put_pcap_header(out, kind);
    }
    for (int i = 0; i < records; i++) {
        uint8_t payload[1400];
        const size_t count = next_random(&seed) % sizeof payload;
        for (size_t k = 0; k < count; k++)
            payload[k] = (uint8_t)(next_random(&seed) % (k % 7 + 2));
        bytes frame = {0};
        put_udp_frame(&frame, payload, count);
        if (next_generation)
            put_enhanced(out, false, 0, 1600000000000000000 + (uint64_t)i, frame.data, frame.count, frame.count);
        else
            put_record(out, kind, 1600000000000000000 + i * 1000000ll, frame.data, frame.count, frame.count);
        bytes_free(&frame);
    }
}

/* ---------------------------------------------------------------- tests */
static void same_records_as_plain(void **state)
{
    (void)state;
    uint64_t random = 5;
    for (int shape = 0; shape < 8; shape++) {
        bytes plain = {0};
        make_content(&plain, shape % 2, 1500, (uint64_t)shape);
        if (shape >= 2) /* damage in the middle and at the end */
            memset(plain.data + plain.count / 2, 0xff, 400 * (size_t)shape);
        if (shape >= 4)
            plain.count -= 5;
        if (shape >= 6)
            memset(plain.data + plain.count - 700, 0xff, 700);
        const found reference = walk_capture(&plain, UINT64_MAX);
        assert_true(reference.records > 1300 && (shape < 2 || reference.damage_count > 0));
        for (int kind = 1; kind < WS_COMPRESSION_COUNT; kind++) {
            bytes packed = {0};
            for (size_t at = 0; at < plain.count;) { /* members of any size, the first one of a byte */
                size_t part = at == 0 ? 1 : next_random(&random) % plain.count;
                part = part < plain.count - at ? part : plain.count - at;
                put_member(&packed, (ws_compression)kind, plain.data + at, part);
                at += part;
            }
            if (kind != WS_COMPRESSION_xz || shape % 2)
                put_fill(&packed, 0, 512);
            const found compressed = walk_capture(&packed, UINT64_MAX);
            expect_same(&compressed, &reference);
            bytes_free(&packed);
        }
        bytes_free(&plain);
    }
}

/* Every prefix and every flip: what is read is what the plain file holds up to there, or damage says otherwise. */
static void broken_streams(void **state)
{
    (void)state;
    uint64_t random = 11;
    for (int kind = 1; kind < WS_COMPRESSION_COUNT; kind++)
        for (int next_generation = 0; next_generation < 2; next_generation++) {
            bytes plain = {0}, packed = {0};
            make_content(&plain, next_generation, 400, 3);
            const found whole = walk_capture(&plain, UINT64_MAX);
            put_member(&packed, (ws_compression)kind, plain.data, plain.count / 2);
            put_member(&packed, (ws_compression)kind, plain.data + plain.count / 2, plain.count - plain.count / 2);
            int opened = 0;
            for (int round = 0; round < 150; round++) {
                bytes broken = {0};
                const bool cut = round % 2;
                const size_t at = next_random(&random) % packed.count;
                put(&broken, packed.data, cut ? at : packed.count);
                if (!cut)
                    broken.data[at] ^= (uint8_t)(1 << next_random(&random) % 8);
                ws_capture capture;
                if (ws_capture_open(&capture, write_file(&broken)) != WS_OK) {
                    assert_true(strlen(ws_error_message()) > 0);
                    bytes_free(&broken);
                    continue;
                }
                ws_capture_close(&capture);
                opened++;
                const found read = walk_capture(&broken, UINT64_MAX);
                if (read.records != whole.records || read.sum != whole.sum)
                    assert_true(read.damage_count > 0 || (cut && read.end == plain.count / 2));
                if (cut) {
                    const found begin = walk_capture(&plain, read.records);
                    assert_true(begin.sum == read.sum);
                    if (read.damage_count > 0)
                        assert_int_equal(read.damage[read.damage_count - 1].reason, WS_DAMAGE_stream_broken);
                }
                bytes_free(&broken);
            }
            assert_true(opened > 30);
            bytes_free(&plain);
            bytes_free(&packed);
        }
}

/* A megabyte of zeros in a few bytes, a thousand times: memory stays small, and time too. */
static void much_in_little(void **state)
{
    (void)state;
    bytes zeros = {0}, packed = {0}, header = {0};
    put_pcap_header(&header, (pcap_kind){.link_type = 1, .snap_length = 65535});
    zeros.count = zeros.capacity = 1 << 20;
    zeros.data = calloc(1, zeros.count);
    assert_non_null(zeros.data);
    put_member(&packed, WS_COMPRESSION_zstd, header.data, header.count);
    for (int i = 0; i < 200; i++)
        put_member(&packed, WS_COMPRESSION_zstd, zeros.data, zeros.count);
    assert_true(packed.count < 100000);
    const found read = walk_capture(&packed, UINT64_MAX);
    assert_int_equal(read.records, (200 << 20) / 16);
    assert_int_equal(read.end, 24 + (200 << 20));
    bytes_free(&zeros);
    bytes_free(&packed);
    bytes_free(&header);
}

static void compressed_files_that_are_no_captures(void **state)
{
    (void)state;
    ws_capture capture;
    bytes text = {0}, packed = {0}, twice = {0};
    put(&text, "a,b,c\n1,2,3\n", 12);
    put_member(&packed, WS_COMPRESSION_gzip, text.data, text.count);
    assert_int_equal(ws_capture_open(&capture, write_file(&packed)), WS_E_FORMAT);
    assert_non_null(strstr(ws_error_message(), "not a capture (begins with 612c622c)"));
    put_member(&twice, WS_COMPRESSION_xz, packed.data, packed.count);
    assert_int_equal(ws_capture_open(&capture, write_file(&twice)), WS_E_FORMAT);
    assert_non_null(strstr(ws_error_message(), "gzip-compressed"));
    packed.count = 0;
    put_member(&packed, WS_COMPRESSION_bzip2, text.data, 0);
    assert_int_equal(ws_capture_open(&capture, write_file(&packed)), WS_E_FORMAT);
    bytes_free(&text);
    bytes_free(&packed);
    bytes_free(&twice);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_records_as_plain),
        cmocka_unit_test(broken_streams),
        cmocka_unit_test(much_in_little),
        cmocka_unit_test(compressed_files_that_are_no_captures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
