/* Streams of several members: the same content with and without threads, whatever the members are like; what lies behind a
 * damaged member is read, and only what is a member. ctest: timeout=120
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "captures.h"
#include "members.h"

/* ---------------------------------------------------------------- reading */
typedef struct content {
    bytes data;
    ws_stream_break breaks[8];
    size_t break_count;
    bool fault;
} content;

/* In steps of any size, with so many cores. */
static content read_stream(ws_compression kind, const bytes *file, int cores)
{
    content out = {0};
    ws_stream *stream;
    uint64_t at = 0, reached = 1, random = 9;
    const int descriptor = memfd_create("stream", MFD_CLOEXEC);
    assert_true(descriptor >= 0 && write(descriptor, file->data, file->count) == (ssize_t)file->count);
    ws_stream_use_cores(cores);
    assert_int_equal(ws_stream_create(&stream, kind, "stream", descriptor, file->count), WS_OK);
    while (reached > at || at == 0) {
        const size_t wanted = 1 + next_random(&random) % 3000000;
        assert_int_equal(ws_stream_reach(stream, at, at + wanted, &reached), WS_OK);
        if (reached == at)
            break;
        const size_t got = reached - at < wanted ? (size_t)(reached - at) : wanted;
        uint8_t *piece = malloc(got);
        assert_non_null(piece);
        ws_stream_copy(stream, at, piece, got);
        put(&out.data, piece, got);
        free(piece);
        at += got;
        ws_stream_release(stream, at);
    }
    assert_int_equal(ws_stream_consumed(stream), file->count);
    out.fault = ws_stream_fault(stream) != NULL;
    const ws_stream_break *found = ws_stream_next_break(stream, 0);
    for (; found != NULL && out.break_count < 8; found = ws_stream_next_break(stream, found->offset + 1))
        out.breaks[out.break_count++] = *found;
    ws_stream_destroy(&stream);
    ws_stream_use_cores(0);
    close(descriptor);
    return out;
}

static void expect_content(const content *read, const uint8_t *data, size_t count)
{
    assert_int_equal(read->data.count, count);
    assert_memory_equal(read->data.data, data, count);
}

/* `alphabet` 256: cannot be compressed. */
static void put_noise(bytes *out, size_t count, unsigned alphabet, uint64_t *random)
{
    uint8_t *noise = malloc(count + 1);
    assert_non_null(noise);
    for (size_t i = 0; i < count; i++)
        noise[i] = (uint8_t)(next_random(random) % alphabet);
    put(out, noise, count);
    free(noise);
}

/* ---------------------------------------------------------------- tests */
/* Members of no byte, of few, of more than a thread takes at once, and of what looks like other members; padding. */
static void same_content_with_threads(void **state)
{
    (void)state;
    for (int kind = 1; kind < WS_COMPRESSION_COUNT; kind++) {
        const bool slow = kind == WS_COMPRESSION_xz || kind == WS_COMPRESSION_bzip2;
        bytes plain = {0}, packed = {0};
        uint64_t random = 3;
        for (int i = 0; i < (slow ? 40 : 150); i++) {
            const size_t before = plain.count;
            if (i % 10 == 3)
                put_noise(&plain, i % 20 == 3 ? 700000 : 100, 256, &random);
            else if (i == 25 && !slow)
                put_noise(&plain, 5 << 20, 256, &random);
            else if (i == 36 && !slow)
                put_fill(&plain, 'z', 40 << 20);
            else if (i % 10 == 7)
                put(&plain, packed.data, packed.count < 50000 ? packed.count : 50000);
            else if (i % 10 != 9)
                put_noise(&plain, next_random(&random) % 60000, 20, &random);
            put_member_at(&packed, (ws_compression)kind, i % 3 == 1 ? 0 : 6, plain.data + before, plain.count - before);
            if (i % 16 == 5 && kind != WS_COMPRESSION_xz)
                put_fill(&packed, 0, 4);
        }
        for (int cores = 1; cores <= 4; cores += 3) {
            content read = read_stream((ws_compression)kind, &packed, cores);
            expect_content(&read, plain.data, plain.count);
            assert_int_equal(read.break_count, 0);
            bytes_free(&read.data);
        }
        bytes_free(&plain);
        bytes_free(&packed);
    }
}

enum { MEMBERS = 9, DAMAGES = 4 };

static void damage(bytes *file, int how, size_t begin, size_t end)
{
    const size_t middle = (begin + end) / 2;
    switch (how) {
    case 0: /* a piece of other bytes */
        memset(file->data + middle, 0xa5, 40);
        break;
    case 1: /* the head */
        memset(file->data + begin, 0xee, 30);
        break;
    case 2: /* a piece is missing */
        memmove(file->data + middle, file->data + middle + 100, file->count - middle - 100);
        file->count -= 100;
        break;
    default: /* a piece of zeros */
        memset(file->data + middle, 0, 500);
        break;
    }
}

static void members_behind_damage(void **state)
{
    (void)state;
    for (int kind = 1; kind < WS_COMPRESSION_COUNT; kind++)
        for (int round = 0; round < 3 * DAMAGES; round++) {
            bytes plain = {0}, packed = {0};
            size_t starts[MEMBERS + 1], packed_starts[MEMBERS + 1];
            uint64_t random = (uint64_t)(round + 1);
            for (int i = 0; i < MEMBERS; i++) {
                starts[i] = plain.count;
                packed_starts[i] = packed.count;
                put_noise(&plain, 5000 + next_random(&random) % 40000, 40, &random);
                put_member(&packed, (ws_compression)kind, plain.data + starts[i], plain.count - starts[i]);
            }
            starts[MEMBERS] = plain.count;
            packed_starts[MEMBERS] = packed.count;
            const int broken = round < DAMAGES ? 0 : round < 2 * DAMAGES ? 5 : MEMBERS - 1, how = round % DAMAGES;
            const size_t whole = packed.count;
            damage(&packed, how, packed_starts[broken], packed_starts[broken + 1]);
            const size_t missing = whole - packed.count, tail = plain.count - starts[broken + 1];
            for (int cores = 1; cores <= 4; cores += 3) {
                content read = read_stream((ws_compression)kind, &packed, cores);
                assert_int_equal(read.break_count, 1);
                const ws_stream_break *at = &read.breaks[0];
                assert_true(at->offset >= starts[broken]); /* of a broken member there may come more than it held */
                assert_int_equal(at->lost_begin, packed_starts[broken]);
                assert_int_equal(at->lost_end, packed_starts[broken + 1] - missing);
                assert_int_equal(read.data.count, at->offset + tail);
                assert_memory_equal(read.data.data, plain.data, starts[broken]);
                if (tail > 0)
                    assert_memory_equal(read.data.data + at->offset, plain.data + starts[broken + 1], tail);
                assert_int_equal(read.fault, broken == MEMBERS - 1);
                bytes_free(&read.data);
            }
            bytes_free(&plain);
            bytes_free(&packed);
        }
}

/* A whole compressed file in the content of the damaged member is no member of the stream. */
static void files_within_members(void **state)
{
    (void)state;
    bytes secret = {0}, inner = {0}, outer = {0}, packed = {0}, last = {0};
    uint64_t random = 4;
    put_noise(&secret, 9000, 30, &random);
    put_member(&inner, WS_COMPRESSION_gzip, secret.data, secret.count);
    put_noise(&outer, 500, 256, &random);
    put(&outer, inner.data, inner.count);
    put_noise(&outer, 500, 256, &random);
    put_noise(&last, 3000, 30, &random);
    put_member_at(&packed, WS_COMPRESSION_gzip, 0, outer.data, outer.count);
    packed.data[11] ^= 0x40; /* the length of its stored block */
    const size_t begin = packed.count;
    put_member(&packed, WS_COMPRESSION_gzip, last.data, last.count);
    content read = read_stream(WS_COMPRESSION_gzip, &packed, 1);
    expect_content(&read, last.data, last.count);
    assert_int_equal(read.break_count, 1);
    assert_int_equal(read.breaks[0].lost_end, begin);
    bytes_free(&read.data);
    bytes_free(&secret);
    bytes_free(&inner);
    bytes_free(&outer);
    bytes_free(&packed);
    bytes_free(&last);
}

/* ---------------------------------------------------------------- captures */
enum { RECORDS = 4000 };

static void put_capture(bytes *out, bool next_generation)
{
    pcap_kind kind = {.link_type = 1, .snap_length = 65535};
    uint64_t random = 8;
    if (next_generation) {
        put_section(out, false);
        put_interface(out, false, 1, 0, 9, 0);
    } else {
        put_pcap_header(out, kind);
    }
    for (uint32_t i = 0; i < RECORDS; i++) {
        uint8_t payload[1000];
        bytes frame = {0};
        const size_t count = 4 + next_random(&random) % 900;
        for (size_t k = 0; k < count; k++)
            payload[k] = (uint8_t)(next_random(&random) % 50);
        memcpy(payload, &i, sizeof i);
        put_udp_frame(&frame, payload, count);
        if (next_generation)
            put_enhanced(out, false, 0, 1600000000000000000 + i * UINT64_C(1000000), frame.data, frame.count,
                         frame.count);
        else
            put_record(out, kind, 1600000000000000000 + i * INT64_C(1000000), frame.data, frame.count, frame.count);
        bytes_free(&frame);
    }
}

typedef struct walked {
    uint64_t records, last, in_order, header_bytes, end, damage_bytes;
    size_t broken;
} walked;

/* Every record must be one of those that were written, whole, later than the one before. */
static walked walk_capture(const bytes *file)
{
    walked out = {.last = UINT64_MAX};
    ws_capture capture;
    ws_walk *walk;
    assert_int_equal(ws_capture_open(&capture, write_file(file)), WS_OK);
    assert_int_equal(ws_walk_create(&walk, &capture, 0), WS_OK);
    assert_int_equal(ws_walk_range(walk, capture.first_record, capture.bytes), WS_OK);
    out.header_bytes = capture.first_record;
    for (;; out.records++) {
        ws_record record;
        bool more;
        uint32_t number;
        assert_int_equal(ws_walk_next(walk, &record, &more), WS_OK);
        if (!more)
            break;
        memcpy(&number, record.frame + 42, sizeof number); /* behind Ethernet, IPv4 and UDP */
        assert_true(out.last == UINT64_MAX || number > out.last);
        assert_true(record.time_ns == 1600000000000000000 + number * INT64_C(1000000));
        out.in_order += out.last + 1 == number;
        out.last = number;
        out.header_bytes += capture.record_header + record.captured_length;
    }
    size_t count;
    const ws_damage *damage_found = ws_walk_damage(walk, &count);
    for (size_t i = 0; i < count; i++) {
        out.broken += damage_found[i].reason == WS_DAMAGE_stream_broken;
        out.damage_bytes += damage_found[i].bytes;
    }
    assert_int_equal(out.broken, count);
    out.end = ws_walk_offset(walk);
    ws_walk_destroy(&walk);
    ws_capture_close(&capture);
    return out;
}

static void records_behind_damage(void **state)
{
    (void)state;
    for (int next_generation = 0; next_generation < 2; next_generation++)
        for (int kind = 1; kind < WS_COMPRESSION_COUNT; kind++) {
            bytes plain = {0}, packed = {0};
            size_t starts[64], count = 0;
            uint64_t random = 6;
            put_capture(&plain, next_generation);
            for (size_t at = 0; at < plain.count;) {
                size_t part = 40000 + next_random(&random) % 100000;
                part = part < plain.count - at ? part : plain.count - at;
                starts[count++] = packed.count;
                put_member(&packed, (ws_compression)kind, plain.data + at, part);
                at += part;
            }
            /* Two members apart from each other lose their heads: their records are lost, and those they share with others. */
            memset(packed.data + starts[3], 0xee, 40);
            memset(packed.data + starts[7], 0xee, 40);
            walked read = walk_capture(&packed);
            assert_int_equal(read.broken, 2);
            assert_int_equal(read.last, RECORDS - 1);
            assert_int_equal(read.records - read.in_order, 2); /* two gaps */
            assert_true(read.records > RECORDS * 8 / 10 && read.records < RECORDS);
            if (!next_generation)
                assert_int_equal(read.header_bytes + read.damage_bytes, read.end);
            bytes_free(&plain);
            bytes_free(&packed);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_content_with_threads),
        cmocka_unit_test(members_behind_damage),
        cmocka_unit_test(files_within_members),
        cmocka_unit_test(records_behind_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
