/* Walking captures: byte orders and time units, pcapng, damage, and ranges of any cut. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "captures.h"

enum { MAX_RECORDS = 20000 };

/* What a walk yielded. */
typedef struct walked {
    size_t count, damage_count;
    ws_record records[MAX_RECORDS]; /* frame unset */
    ws_damage damage[64];
    uint64_t sum; /* over the frames' bytes and positions */
} walked;

static walked first_walk, second_walk;

static void add_walk(ws_walk *walk, uint64_t begin, uint64_t end, walked *out)
{
    ws_record record;
    assert_int_equal(ws_walk_range(walk, begin, end), WS_OK);
    for (;;) {
        bool more;
        assert_int_equal(ws_walk_next(walk, &record, &more), WS_OK);
        if (!more)
            break;
        for (uint32_t i = 0; i < record.captured_length; i++)
            out->sum = out->sum * 31 + record.frame[i];
        record.frame = NULL;
        assert_true(out->count < MAX_RECORDS);
        out->records[out->count++] = record;
    }
    assert_true(ws_walk_offset(walk) >= end || ws_walk_offset(walk) >= begin);
    size_t count;
    const ws_damage *damage = ws_walk_damage(walk, &count);
    assert_true(out->damage_count + count <= 64);
    for (size_t i = 0; i < count; i++)
        out->damage[out->damage_count++] = damage[i];
}

static void walk_all(const bytes *content, walked *out)
{
    ws_capture capture;
    ws_walk *walk;
    memset(out, 0, sizeof *out);
    assert_int_equal(ws_capture_open(&capture, write_file(content)), WS_OK);
    assert_int_equal(ws_walk_create(&walk, &capture, 3), WS_OK);
    add_walk(walk, capture.first_record, capture.bytes, out);
    assert_int_equal(ws_walk_offset(walk), capture.bytes);
    ws_walk_destroy(&walk);
    assert_null(walk);
    ws_capture_close(&capture);
}

static void assert_same_records(const walked *a, const walked *b, bool same_offsets)
{
    assert_int_equal(a->count, b->count);
    assert_true(a->sum == b->sum);
    for (size_t i = 0; i < a->count; i++) {
        if (same_offsets)
            assert_true(a->records[i].offset == b->records[i].offset);
        assert_true(a->records[i].time_ns == b->records[i].time_ns);
        assert_int_equal(a->records[i].captured_length, b->records[i].captured_length);
        assert_int_equal(a->records[i].wire_length, b->records[i].wire_length);
        assert_int_equal(a->records[i].link_type, b->records[i].link_type);
    }
}

static void assert_same_damage(const walked *a, const walked *b)
{
    assert_int_equal(a->damage_count, b->damage_count);
    for (size_t i = 0; i < a->damage_count; i++) {
        assert_int_equal(a->damage[i].input, b->damage[i].input);
        assert_int_equal(a->damage[i].reason, b->damage[i].reason);
        assert_true(a->damage[i].offset == b->damage[i].offset && a->damage[i].bytes == b->damage[i].bytes);
    }
}

static int64_t time_of(size_t i)
{
    return 1500000000000000000 + (int64_t)i * 1234567000;
}

/* Frame i: between 1 and 1500 bytes of anything. */
static size_t make_frame(size_t i, uint8_t *frame)
{
    uint64_t state = i;
    size_t count = 1 + next_random(&state) % 1500;
    for (size_t k = 0; k < count; k++)
        frame[k] = (uint8_t)next_random(&state);
    return count;
}

static void make_pcap(bytes *out, pcap_kind kind, size_t records)
{
    put_pcap_header(out, kind);
    for (size_t i = 0; i < records; i++) {
        uint8_t frame[1500];
        size_t count = make_frame(i, frame);
        put_record(out, kind, time_of(i), frame, count, count + i % 7);
    }
}

/* Nothing cut off and all within a millisecond: the hardest to find again, since four bytes behind each header lies
 * another that looks as good. */
static void make_burst(bytes *out, pcap_kind kind, size_t records)
{
    put_pcap_header(out, kind);
    for (size_t i = 0; i < records; i++) {
        uint8_t frame[1500];
        size_t count = make_frame(i, frame);
        put_record(out, kind, time_of(0) + (int64_t)i * 1000, frame, count, count);
    }
}

static void orders_and_units_give_the_same_records(void **state)
{
    (void)state;
    bytes content = {0};
    make_pcap(&content, (pcap_kind){.link_type = 1, .snap_length = 65535}, 500);
    walk_all(&content, &first_walk);
    assert_int_equal(first_walk.count, 500);
    assert_int_equal(first_walk.damage_count, 0);
    assert_true(first_walk.records[499].time_ns == time_of(499));
    for (int big = 0; big <= 1; big++)
        for (int nanoseconds = 0; nanoseconds <= 1; nanoseconds++) {
            content.count = 0;
            make_pcap(&content, (pcap_kind){big, nanoseconds, 1, 65535}, 500);
            walk_all(&content, &second_walk);
            assert_same_records(&first_walk, &second_walk, true);
        }
    bytes_free(&content);
}

/* if_tsresol as 10^-n and 2^-n, if_tsoffset, both byte orders: the same records as the pcap. */
static void pcapng_equals_pcap(void **state)
{
    (void)state;
    static const struct {
        int resolution; /* -1: no option, microseconds */
        uint64_t a_second;
        int64_t offset;
    } units[] = {
        {-1, 1000000, 0},
        {6, 1000000, 0},
        {9, 1000000000, 0},
        {12, 1000000000000, 1499999000}, /* picoseconds since 1970 need an offset to fit */
        {9, 1000000000, -3600},
        {3, 1000, 0},
        {0, 1, 7},
        {0x80 | 20, 1 << 20, 0},
        {0x80 | 32, 1ull << 32, 1000000000},
    };
    bytes content = {0};
    pcap_kind kind = {.nanoseconds = true, .link_type = 101, .snap_length = 65535};
    for (size_t u = 0; u < sizeof units / sizeof *units; u++)
        for (int big = 0; big <= 1; big++) {
            bytes reference = {0};
            content.count = 0;
            put_pcap_header(&reference, kind);
            put_section(&content, big);
            put_interface(&content, big, 1, 0, 6, 0);
            put_interface(&content, big, 101, 65535, units[u].resolution, units[u].offset);
            for (size_t i = 0; i < 300; i++) {
                uint8_t frame[1500];
                size_t count = make_frame(i, frame);
                int64_t seconds = 1500000000 + (int64_t)i;
                uint64_t half = units[u].a_second / 2; /* half a second fits every unit but whole seconds */
                int64_t nanoseconds = half ? 500000000 : 0;
                put_record(&reference, kind, seconds * 1000000000 + nanoseconds, frame, count, count + 3);
                put_enhanced(&content, big, 1, (uint64_t)(seconds - units[u].offset) * units[u].a_second + half, frame,
                             count, count + 3);
            }
            walk_all(&reference, &first_walk);
            walk_all(&content, &second_walk);
            assert_int_equal(second_walk.damage_count, 0);
            assert_same_records(&first_walk, &second_walk, false);
            bytes_free(&reference);
        }
    bytes_free(&content);
}

/* Times beyond what int64 nanoseconds hold are clamped, not wrapped. */
static void pcapng_times_saturate(void **state)
{
    (void)state;
    bytes content = {0};
    put_section(&content, false);
    put_interface(&content, false, 1, 0, 0, INT64_MAX);
    put_interface(&content, false, 1, 0, 0, INT64_MIN);
    put_interface(&content, false, 1, 0, 127, 0);
    put_interface(&content, false, 1, 0, 0xff, 0);
    for (uint32_t i = 0; i < 4; i++)
        put_enhanced(&content, false, i, i == 1 ? 0 : UINT64_MAX, "x", 1, 1);
    walk_all(&content, &first_walk);
    assert_int_equal(first_walk.count, 4);
    assert_true(first_walk.records[0].time_ns == INT64_MAX);
    assert_true(first_walk.records[1].time_ns == INT64_MIN);
    assert_true(first_walk.records[2].time_ns == 0);
    assert_true(first_walk.records[3].time_ns == 0);
    bytes_free(&content);
}

static void pcapng_block_types_and_sections(void **state)
{
    (void)state;
    bytes content = {0}, body = {0};
    put_section(&content, false);
    put_interface(&content, false, 1, 4, -1, 0);
    put_enhanced(&content, false, 0, 1500000000000000, "abcde", 5, 9);
    put_number(&body, 5, 4, false); /* simple packet: 5 bytes on the wire, snap length 4 */
    put(&body, "abcd", 4);
    put_block(&content, false, 3, &body);
    body.count = 0;
    put_fill(&body, 0x55, 13); /* unknown type: passed over */
    put_block(&content, false, 0x77, &body);
    body.count = 0; /* obsolete packet block: interface and drop count in 16 bits each */
    put_number(&body, 0, 2, false);
    put_number(&body, 9, 2, false);
    put_number(&body, 1500000001000000 >> 32, 4, false);
    put_number(&body, 1500000001000000 & UINT32_MAX, 4, false);
    put_number(&body, 2, 4, false);
    put_number(&body, 8, 4, false);
    put(&body, "zz", 2);
    put_block(&content, false, 2, &body);
    put_enhanced(&content, false, 1, 0, "q", 1, 1); /* of an interface that is not described */
    const size_t section = content.count;
    put_section(&content, true); /* a section of the other order starts its own list of interfaces */
    put_enhanced(&content, true, 0, 0, "q", 1, 1);
    put_interface(&content, true, 276, 0, 9, 0);
    put_enhanced(&content, true, 0, 1500000002000000000, "last", 4, 4);

    walk_all(&content, &first_walk);
    assert_int_equal(first_walk.count, 4);
    assert_true(first_walk.records[0].time_ns == 1500000000000000000);
    assert_int_equal(first_walk.records[0].wire_length, 9);
    assert_int_equal(first_walk.records[1].captured_length, 4);
    assert_int_equal(first_walk.records[1].wire_length, 5);
    assert_true(first_walk.records[1].time_ns == 0);
    assert_true(first_walk.records[2].time_ns == 1500000001000000000);
    assert_int_equal(first_walk.records[2].captured_length, 2);
    assert_int_equal(first_walk.records[3].link_type, 276);
    assert_true(first_walk.records[3].time_ns == 1500000002000000000);
    assert_int_equal(first_walk.damage_count, 2);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(first_walk.damage[i].reason, WS_DAMAGE_interface_unknown);
        assert_int_equal(first_walk.damage[i].bytes, 36);
    }
    assert_int_equal(first_walk.damage[0].offset, section - 36);
    bytes_free(&body);
    bytes_free(&content);
}

/* The state of sections and interfaces carries over ranges, and is found again when a range begins elsewhere. */
static void pcapng_in_ranges(void **state)
{
    (void)state;
    bytes content = {0};
    put_section(&content, true);
    put_interface(&content, true, 1, 0, 9, 0);
    for (size_t i = 0; i < 200; i++) {
        uint8_t frame[1500];
        size_t count = make_frame(i, frame);
        if (i == 100)
            put_interface(&content, true, 101, 0, 6, 5);
        put_enhanced(&content, true, i >= 100 && i % 2, 1500000000000000 + i, frame, count, count);
        if (i % 50 == 20)
            content.data[content.count - 1] ^= 0x40; /* lengths differ: damage */
    }
    walk_all(&content, &first_walk);
    assert_int_equal(first_walk.damage_count, 4);
    assert_int_equal(first_walk.count, 196);

    ws_capture capture;
    ws_walk *walk;
    assert_int_equal(ws_capture_open(&capture, write_file(&content)), WS_OK);
    assert_int_equal(ws_walk_create(&walk, &capture, 3), WS_OK);
    for (uint64_t piece = 1; piece < capture.bytes; piece = piece * 3 + 1) {
        memset(&second_walk, 0, sizeof second_walk);
        for (uint64_t at = 0; at < capture.bytes; at = ws_walk_offset(walk))
            add_walk(walk, at, at + piece, &second_walk);
        assert_same_records(&first_walk, &second_walk, true);
        assert_same_damage(&first_walk, &second_walk);
    }
    memset(&second_walk, 0, sizeof second_walk);
    add_walk(walk, first_walk.records[150].offset, capture.bytes, &second_walk);
    assert_int_equal(second_walk.count, 46);
    assert_int_equal(second_walk.records[1].link_type, first_walk.records[151].link_type);
    assert_true(second_walk.records[1].time_ns == first_walk.records[151].time_ns);
    ws_walk_destroy(&walk);
    ws_capture_close(&capture);
    bytes_free(&content);
}

/* Sections without packets, of either byte order, before the first packet: a stripe may begin in any of them. */
static void pcapng_stripes_before_the_first_packet(void **state)
{
    (void)state;
    enum { SECTIONS = 3, BLOCKS = 4 };
    bytes content = {0}, body = {0};
    uint64_t begins[SECTIONS * BLOCKS];
    size_t begin_count = 0;
    put_fill(&body, 0x55, 8);
    for (size_t s = 0; s < SECTIONS; s++) {
        put_section(&content, s & 1);
        put_interface(&content, s & 1, 1, 0, 9, 0);
        for (size_t i = 0; i < BLOCKS; i++) {
            begins[begin_count++] = content.count;
            put_block(&content, s & 1, 5, &body); /* interface statistics */
        }
    }
    put_enhanced(&content, (SECTIONS - 1) & 1, 0, 1500000000000000000, "last", 4, 4);
    ws_capture capture;
    assert_int_equal(ws_capture_open(&capture, write_file(&content)), WS_OK);
    for (size_t b = 0; b < begin_count; b++) {
        ws_walk *before, *stripe;
        ws_record record;
        bool more;
        size_t count, damaged, records = 0;
        assert_int_equal(ws_walk_create(&before, &capture, 3), WS_OK);
        assert_int_equal(ws_walk_stripe(before, capture.first_record, begins[b], NULL, 0), WS_OK);
        assert_int_equal(ws_walk_next(before, &record, &more), WS_OK);
        assert_false(more);
        const uint64_t *blocks = ws_walk_state_blocks(before, &count);
        assert_int_equal(ws_walk_create(&stripe, &capture, 3), WS_OK);
        assert_int_equal(ws_walk_stripe(stripe, begins[b], capture.bytes, blocks, count), WS_OK);
        for (more = true; more; records += more)
            assert_int_equal(ws_walk_next(stripe, &record, &more), WS_OK);
        assert_int_equal(records, 1);
        ws_walk_damage(stripe, &damaged);
        assert_int_equal(damaged, 0);
        ws_walk_destroy(&stripe);
        ws_walk_destroy(&before);
    }
    ws_capture_close(&capture);
    bytes_free(&body);
    bytes_free(&content);
}

/* A stripe needs no more than the blocks from the last section on, however many interfaces and sections there are. */
static void pcapng_stripes_among_sections(void **state)
{
    (void)state;
    enum { SECTIONS = 12, INTERFACES_MOST = 40 };
    bytes content = {0};
    for (size_t s = 0; s < SECTIONS; s++) {
        const size_t interfaces = s % 3 == 2 ? INTERFACES_MOST : s % 3 + 1;
        put_section(&content, s & 1);
        for (size_t i = 0; i < interfaces; i++) {
            uint8_t frame[1500];
            const size_t count = make_frame(s * INTERFACES_MOST + i, frame);
            put_interface(&content, s & 1, i % 2 ? 101 : 1, 0, (int)(3 + 3 * (i % 3)), (int64_t)s);
            put_enhanced(&content, s & 1, (uint32_t)(i * 7 % (i + 1)), 1500000000000 + i, frame, count, count);
        }
    }
    walk_all(&content, &first_walk);
    assert_int_equal(first_walk.damage_count, 0);
    ws_capture capture;
    assert_int_equal(ws_capture_open(&capture, write_file(&content)), WS_OK);
    for (size_t from = 1; from < first_walk.count; from += 3) {
        ws_walk *before, *stripe;
        ws_record record;
        bool more = true;
        size_t count, at = from;
        const uint64_t begin = first_walk.records[from].offset;
        assert_int_equal(ws_walk_create(&before, &capture, 3), WS_OK);
        assert_int_equal(ws_walk_range(before, capture.first_record, begin), WS_OK);
        while (more)
            assert_int_equal(ws_walk_next(before, &record, &more), WS_OK);
        const uint64_t *blocks = ws_walk_state_blocks(before, &count);
        assert_true(count <= INTERFACES_MOST + 1);
        assert_int_equal(ws_walk_create(&stripe, &capture, 3), WS_OK);
        assert_int_equal(ws_walk_stripe(stripe, begin, capture.bytes, blocks, count), WS_OK);
        for (more = true; more; at += more) {
            assert_int_equal(ws_walk_next(stripe, &record, &more), WS_OK);
            if (!more)
                break;
            assert_true(record.offset == first_walk.records[at].offset);
            assert_true(record.time_ns == first_walk.records[at].time_ns);
            assert_int_equal(record.link_type, first_walk.records[at].link_type);
        }
        assert_int_equal(at, first_walk.count);
        ws_walk_destroy(&stripe);
        ws_walk_destroy(&before);
    }
    ws_capture_close(&capture);
    bytes_free(&content);
}

/* One record header overwritten: that record is lost and noted, its neighbours are not. */
static void bad_record_loses_its_neighbourhood_only(void **state)
{
    (void)state;
    enum { RECORDS = 2000 };
    for (int variant = 0; variant < 4; variant++) {
        bytes content = {0};
        pcap_kind kind = {.big = variant & 1, .nanoseconds = variant & 1, .link_type = 1, .snap_length = 65535};
        if (variant < 2)
            make_pcap(&content, kind, RECORDS);
        else
            make_burst(&content, kind, RECORDS);
        walk_all(&content, &first_walk);
        static const size_t bad[] = {0, 1, 700, 1300, RECORDS - 2, RECORDS - 1};
        for (size_t b = 0; b < sizeof bad / sizeof *bad; b++) {
            const ws_record *victim = &first_walk.records[bad[b]];
            uint8_t saved[16];
            memcpy(saved, content.data + victim->offset, 16);
            memset(content.data + victim->offset, 0xff, 16);
            walk_all(&content, &second_walk);
            memcpy(content.data + victim->offset, saved, 16);
            assert_int_equal(second_walk.count, RECORDS - 1);
            for (size_t i = 0; i < second_walk.count; i++)
                assert_true(second_walk.records[i].offset == first_walk.records[i + (i >= bad[b])].offset);
            assert_int_equal(second_walk.damage_count, 1);
            assert_int_equal(second_walk.damage[0].input, 3);
            assert_int_equal(second_walk.damage[0].reason, WS_DAMAGE_record_impossible);
            assert_true(second_walk.damage[0].offset == victim->offset);
            assert_true(second_walk.damage[0].bytes == 16 + victim->captured_length);
        }
        bytes_free(&content);
    }
}

/* Bytes lost in the middle (a bad disk, a copy cut short and continued): at most the records around the hole. */
static void hole_in_the_middle(void **state)
{
    (void)state;
    bytes content = {0};
    make_pcap(&content, (pcap_kind){.link_type = 1, .snap_length = 65535}, 1500);
    walk_all(&content, &first_walk);
    uint64_t random = 5;
    for (int round = 0; round < 40; round++) {
        const size_t from = 100 + next_random(&random) % (content.count / 2), hole = 1 + next_random(&random) % 5000;
        bytes holed = {0};
        put(&holed, content.data, from);
        put(&holed, content.data + from + hole, content.count - from - hole);
        size_t before = 0, behind = 0; /* records wholly in front of the hole, and wholly behind */
        for (size_t i = 0; i < first_walk.count; i++) {
            const ws_record *record = &first_walk.records[i];
            before += record->offset + 16 + record->captured_length <= from;
            behind += record->offset >= from + hole;
        }
        walk_all(&holed, &second_walk);
        for (size_t i = 0; i < before; i++)
            assert_true(second_walk.records[i].offset == first_walk.records[i].offset);
        /* The record that lost its tail swallows the beginning of the next one. */
        assert_true(second_walk.count + 2 >= before + behind);
        assert_true(second_walk.count <= before + behind + 1);
        for (size_t k = 1; k + 2 <= behind; k++)
            assert_true(second_walk.records[second_walk.count - k].offset + hole ==
                        first_walk.records[first_walk.count - k].offset);
        bytes_free(&holed);
    }
    bytes_free(&content);
}

/* A capture that was cut off: all whole records, and one note for the rest. */
static void truncated_at_every_byte(void **state)
{
    (void)state;
    bytes content = {0};
    make_pcap(&content, (pcap_kind){.link_type = 1, .snap_length = 65535}, 6);
    walk_all(&content, &first_walk);
    const size_t whole = content.count;
    for (size_t size = whole - 1; size >= 24; size--) {
        content.count = size;
        size_t complete = 0;
        uint64_t used = 24;
        for (; complete < 6 &&
               first_walk.records[complete].offset + 16 + first_walk.records[complete].captured_length <= size;
             complete++)
            used = first_walk.records[complete].offset + 16 + first_walk.records[complete].captured_length;
        walk_all(&content, &second_walk);
        assert_int_equal(second_walk.count, complete);
        assert_int_equal(second_walk.damage_count, used < size);
        if (used < size) {
            assert_int_equal(second_walk.damage[0].reason, WS_DAMAGE_record_truncated);
            assert_true(second_walk.damage[0].offset == used && second_walk.damage[0].bytes == size - used);
        }
    }
    bytes_free(&content);
}

static void pcapng_damage(void **state)
{
    (void)state;
    bytes content = {0};
    size_t starts[200];
    put_section(&content, false);
    put_interface(&content, false, 1, 0, 9, 0);
    for (size_t i = 0; i < 200; i++) {
        uint8_t frame[1500];
        size_t count = make_frame(i, frame);
        starts[i] = content.count;
        put_enhanced(&content, false, 0, 1500000000000000 + i, frame, count, count);
    }
    static const size_t bad[] = {0, 100, 198, 199};
    for (size_t b = 0; b < 4; b++)
        for (size_t field = 4; field <= 20; field += 16) { /* block length; captured length */
            const size_t at = starts[bad[b]] + field;
            uint8_t saved[4];
            memcpy(saved, content.data + at, 4);
            memcpy(content.data + at, "\x10\xff\xff\x7f", 4);
            walk_all(&content, &second_walk);
            memcpy(content.data + at, saved, 4);
            assert_int_equal(second_walk.count, 199);
            assert_int_equal(second_walk.damage_count, 1);
            assert_int_equal(second_walk.damage[0].reason, WS_DAMAGE_block_impossible);
            assert_true(second_walk.damage[0].offset == starts[bad[b]]);
            const size_t next = bad[b] < 199 ? starts[bad[b] + 1] : content.count;
            assert_true(second_walk.damage[0].bytes == next - starts[bad[b]]);
        }
    for (size_t size = content.count - 1; size >= starts[198]; size--) {
        bytes cut = {.data = content.data, .count = size};
        walk_all(&cut, &second_walk);
        const size_t complete = size >= starts[199] ? 199 : 198;
        assert_int_equal(second_walk.count, complete);
        assert_int_equal(second_walk.damage_count, size != starts[complete]);
        if (second_walk.damage_count) {
            assert_int_equal(second_walk.damage[0].reason, WS_DAMAGE_block_truncated);
            assert_true(second_walk.damage[0].bytes == size - starts[complete]);
        }
    }
    bytes_free(&content);
}

/* The walk of a file in any number of proved stripes is the walk of the whole file. */
static void stripes_change_nothing(void **state)
{
    (void)state;
    bytes content = {0};
    make_burst(&content, (pcap_kind){.link_type = 1, .snap_length = 65535}, 8000);
    for (int damaged = 0; damaged <= 1; damaged++) {
        if (damaged) { /* here and there, also over the edges of stripes */
            uint64_t random = 11;
            for (int i = 0; i < 12; i++)
                memset(content.data + 1000 + next_random(&random) % (content.count - 30000), 0xff, 20000);
            for (size_t stripes = 2; stripes <= 8; stripes *= 2)
                memset(content.data + 24 + (content.count - 24) / stripes, 0xee, 3000);
        }
        walk_all(&content, &first_walk);
        assert_int_equal(first_walk.damage_count > 0, damaged);
        ws_capture capture;
        ws_walk *walk;
        assert_int_equal(ws_capture_open(&capture, write_file(&content)), WS_OK);
        assert_int_equal(ws_walk_create(&walk, &capture, 3), WS_OK);
        for (uint64_t stripes = 1; stripes <= 8; stripes++) {
            uint64_t start[9];
            const uint64_t span = capture.bytes - capture.first_record;
            start[0] = capture.first_record;
            start[stripes] = capture.bytes;
            for (uint64_t r = 1; r < stripes; r++)
                assert_int_equal(ws_capture_resync(&capture, 24 + span * r / stripes, &start[r]), WS_OK);
            memset(&second_walk, 0, sizeof second_walk);
            uint64_t reached = start[0];
            int repairs = 0;
            for (uint64_t r = 0; r < stripes; r++) {
                repairs += reached != start[r];
                if (reached >= start[r + 1])
                    continue;
                add_walk(walk, reached, start[r + 1], &second_walk);
                reached = ws_walk_offset(walk);
            }
            assert_true(reached == capture.bytes);
            if (!damaged)
                assert_int_equal(repairs, 0);
            assert_same_records(&first_walk, &second_walk, true);
            assert_same_damage(&first_walk, &second_walk);
        }
        ws_walk_destroy(&walk);
        ws_capture_close(&capture);
    }
    bytes_free(&content);
}

/* Captured longer than the wire length, wire length 0, empty records, stamps that lack a carry: odd, but read. */
static void odd_records_are_read(void **state)
{
    (void)state;
    pcap_kind kind = {.link_type = 1, .snap_length = 0};
    bytes content = {0};
    uint8_t *large = calloc(1, 262144);
    put_pcap_header(&content, kind);
    put_record(&content, kind, time_of(0), "abc", 3, 1);
    put_record(&content, kind, time_of(1), "abc", 3, 0);
    put_record(&content, kind, time_of(2), "", 0, 100);
    put_record(&content, kind, time_of(3), large, 262144, 262144);
    const size_t carry = content.count;
    put_record(&content, kind, 1500000000000000000, "abc", 3, 3);
    memcpy(content.data + carry + 4, "\x40\x42\x0f\x00", 4);                   /* 1,000,000 microseconds */
    put_record(&content, kind, (int64_t)UINT32_MAX * 1000000000, "abc", 3, 3); /* the year 2106 */
    walk_all(&content, &first_walk);
    assert_int_equal(first_walk.count, 6);
    assert_int_equal(first_walk.damage_count, 0);
    assert_true(first_walk.records[4].time_ns == 1500000001000000000);
    assert_true(first_walk.records[5].time_ns == (int64_t)UINT32_MAX * 1000000000);
    free(large);
    bytes_free(&content);
}

/* A writer that puts nanoseconds under the magic of microseconds: its first record says so, and all are read. */
static void fractions_out_of_range_are_read_where_all_are(void **state)
{
    (void)state;
    pcap_kind kind = {.link_type = 1, .snap_length = 65535};
    bytes content = {0};
    put_pcap_header(&content, kind);
    for (int i = 0; i < 50; i++) {
        const size_t at = content.count;
        put_record(&content, kind, time_of(0), "abc", 3, 3);
        memcpy(content.data + at + 4, "\x00\x00\x00\x30", 4);
    }
    walk_all(&content, &first_walk);
    assert_int_equal(first_walk.count, 50);
    assert_int_equal(first_walk.damage_count, 0);
    bytes_free(&content);
}

/* A file that shrinks while it is read is an error that says so, not a crash. */
static void file_that_shrinks(void **state)
{
    (void)state;
    bytes content = {0};
    make_pcap(&content, (pcap_kind){.link_type = 1, .snap_length = 65535}, 100);
    ws_capture capture;
    ws_walk *walk;
    const char *path = write_file(&content);
    assert_int_equal(ws_capture_open(&capture, path), WS_OK);
    assert_int_equal(truncate(path, 5000), 0);
    assert_int_equal(ws_walk_create(&walk, &capture, 0), WS_OK);
    assert_int_equal(ws_walk_range(walk, 24, capture.bytes), WS_OK);
    ws_record record;
    bool more = true;
    ws_err error = WS_OK;
    while (error == WS_OK && more)
        error = ws_walk_next(walk, &record, &more);
    assert_int_equal(error, WS_E_IO);
    assert_non_null(strstr(ws_error_message(), "ends at byte 5000"));
    ws_walk_destroy(&walk);
    ws_capture_close(&capture);
    bytes_free(&content);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(orders_and_units_give_the_same_records),
        cmocka_unit_test(pcapng_equals_pcap),
        cmocka_unit_test(pcapng_times_saturate),
        cmocka_unit_test(pcapng_block_types_and_sections),
        cmocka_unit_test(pcapng_stripes_before_the_first_packet),
        cmocka_unit_test(pcapng_stripes_among_sections),
        cmocka_unit_test(pcapng_in_ranges),
        cmocka_unit_test(bad_record_loses_its_neighbourhood_only),
        cmocka_unit_test(hole_in_the_middle),
        cmocka_unit_test(truncated_at_every_byte),
        cmocka_unit_test(pcapng_damage),
        cmocka_unit_test(stripes_change_nothing),
        cmocka_unit_test(odd_records_are_read),
        cmocka_unit_test(fractions_out_of_range_are_read_where_all_are),
        cmocka_unit_test(file_that_shrinks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
