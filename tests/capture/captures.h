/* Captures made by hand for the tests of this room: a growing byte string, frames, and pcap and pcapng files of any
 * byte order and time unit. Used by one test program each, so everything is static inline.
 */
#ifndef WS_TEST_CAPTURES_H
#define WS_TEST_CAPTURES_H

#include "capture/capture.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

typedef struct bytes {
    uint8_t *data;
    size_t count, capacity;
} bytes;

static inline void put(bytes *out, const void *data, size_t count)
{
    if (out->count + count > out->capacity) {
        out->capacity = (out->count + count) * 2;
        out->data = realloc(out->data, out->capacity);
        assert_non_null(out->data);
    }
    if (count)
        memcpy(out->data + out->count, data, count);
    out->count += count;
}

/* `count` low bytes of value, in big or little endian order. */
static inline void put_number(bytes *out, uint64_t value, size_t count, bool big)
{
    uint8_t raw[8];
    for (size_t i = 0; i < count; i++)
        raw[i] = (uint8_t)(value >> 8 * (big ? count - 1 - i : i));
    put(out, raw, count);
}

static inline void put_fill(bytes *out, uint8_t value, size_t count)
{
    for (size_t i = 0; i < count; i++)
        put(out, &value, 1);
}

static inline void bytes_free(bytes *out)
{
    free(out->data);
    *out = (bytes){0};
}

/* "010203 ff" */
static inline void put_hex(bytes *out, const char *hex)
{
    for (; *hex; hex++) {
        unsigned value;
        if (*hex == ' ')
            continue;
        assert_int_equal(sscanf(hex, "%2x", &value), 1);
        put_number(out, value, 1, true);
        hex++;
    }
}

/* ---------------------------------------------------------------- frames */
static inline void put_ethernet(bytes *out, unsigned type)
{
    put_hex(out, "020000000001 020000000002");
    put_number(out, type, 2, true);
}

/* fragment: the IPv4 flags and fragment offset field; options: bytes of options, a multiple of 4. */
static inline void put_ipv4(bytes *out, unsigned protocol, size_t payload, unsigned fragment, size_t options)
{
    put_number(out, 0x40 | (5 + options / 4), 1, true);
    put_number(out, 0, 1, true);
    put_number(out, 20 + options + payload, 2, true);
    put_number(out, 7, 2, true);
    put_number(out, fragment, 2, true);
    put_number(out, 64, 1, true);
    put_number(out, protocol, 1, true);
    put_number(out, 0, 2, true);
    put_hex(out, "0a000001 c0a80102");
    put_fill(out, 1, options);
}

/* payload: all behind the 40 bytes, extension headers included. */
static inline void put_ipv6(bytes *out, unsigned next, size_t payload)
{
    put_hex(out, "60000000");
    put_number(out, payload, 2, true);
    put_number(out, next, 1, true);
    put_number(out, 64, 1, true);
    put_hex(out, "20010db8000000000000000000000001 20010db8000000000000000000000002");
}

/* options: bytes of TCP options, a multiple of 4. Ports 1234 to 443, sequence 0x01020304, acknowledgement 0x05060708,
 * PSH ACK, window 0x1000. */
static inline void put_tcp(bytes *out, size_t options)
{
    put_hex(out, "04d2 01bb 01020304 05060708");
    put_number(out, (5 + options / 4) << 4, 1, true);
    put_hex(out, "18 1000 0000 0000");
    put_fill(out, 1, options);
}

/* Ports 5353 to 53. */
static inline void put_udp(bytes *out, size_t payload)
{
    put_hex(out, "14e9 0035");
    put_number(out, payload + 8, 2, true);
    put_number(out, 0, 2, true);
}

/* Ethernet, IPv4, UDP with the given payload. */
static inline void put_udp_frame(bytes *out, const uint8_t *payload, size_t count)
{
    put_ethernet(out, 0x0800);
    put_ipv4(out, 17, 8 + count, 0, 0);
    put_udp(out, count);
    put(out, payload, count);
}

/* ---------------------------------------------------------------- pcap */
typedef struct pcap_kind {
    bool big, nanoseconds;
    uint32_t link_type, snap_length;
} pcap_kind;

static inline void put_pcap_header(bytes *out, pcap_kind kind)
{
    put_number(out, kind.nanoseconds ? 0xa1b23c4d : 0xa1b2c3d4, 4, kind.big);
    put_number(out, 2, 2, kind.big);
    put_number(out, 4, 2, kind.big);
    put_number(out, 0, 8, kind.big);
    put_number(out, kind.snap_length, 4, kind.big);
    put_number(out, kind.link_type, 4, kind.big);
}

static inline void put_record(bytes *out, pcap_kind kind, int64_t time_ns, const void *frame, size_t captured,
                              size_t wire)
{
    put_number(out, (uint64_t)(time_ns / 1000000000), 4, kind.big);
    put_number(out, (uint64_t)(time_ns % 1000000000 / (kind.nanoseconds ? 1 : 1000)), 4, kind.big);
    put_number(out, captured, 4, kind.big);
    put_number(out, wire, 4, kind.big);
    put(out, frame, captured);
}

/* ---------------------------------------------------------------- pcapng */
/* Length in front, body, padding, length behind. */
static inline void put_block(bytes *out, bool big, uint32_t type, const bytes *body)
{
    size_t padded = (body->count + 3) / 4 * 4;
    put_number(out, type, 4, big);
    put_number(out, padded + 12, 4, big);
    put(out, body->data, body->count);
    put_fill(out, 0, padded - body->count);
    put_number(out, padded + 12, 4, big);
}

static inline void put_section(bytes *out, bool big)
{
    bytes body = {0};
    put_number(&body, 0x1A2B3C4D, 4, big);
    put_number(&body, 1, 2, big);
    put_number(&body, 0, 2, big);
    put_number(&body, UINT64_MAX, 8, big);
    put_block(out, big, 0x0A0D0D0A, &body);
    bytes_free(&body);
}

/* resolution < 0: no if_tsresol option; offset 0: no if_tsoffset option. */
static inline void put_interface(bytes *out, bool big, unsigned link_type, uint32_t snap_length, int resolution,
                                 int64_t offset)
{
    bytes body = {0};
    put_number(&body, link_type, 2, big);
    put_number(&body, 0, 2, big);
    put_number(&body, snap_length, 4, big);
    put_number(&body, 2, 2, big); /* if_name, whose length needs padding */
    put_number(&body, 5, 2, big);
    put(&body, "eth0\0\0\0\0", 8);
    if (resolution >= 0) {
        put_number(&body, 9, 2, big);
        put_number(&body, 1, 2, big);
        put_number(&body, (unsigned)resolution, 1, big);
        put_fill(&body, 0, 3);
    }
    if (offset) {
        put_number(&body, 14, 2, big);
        put_number(&body, 8, 2, big);
        put_number(&body, (uint64_t)offset, 8, big);
    }
    put_number(&body, 0, 4, big);
    put_block(out, big, 1, &body);
    bytes_free(&body);
}

static inline void put_enhanced(bytes *out, bool big, uint32_t interface, uint64_t ticks, const void *frame,
                                size_t captured, size_t wire)
{
    bytes body = {0};
    put_number(&body, interface, 4, big);
    put_number(&body, ticks >> 32, 4, big);
    put_number(&body, ticks & UINT32_MAX, 4, big);
    put_number(&body, captured, 4, big);
    put_number(&body, wire, 4, big);
    put(&body, frame, captured);
    put_block(out, big, 6, &body);
    bytes_free(&body);
}

/* ---------------------------------------------------------------- files */
/* A path that opens as a file with these bytes: one file in memory, written anew each time. */
static inline const char *write_file(const bytes *content)
{
    static char path[64];
    static int file = -1;
    if (file < 0)
        file = memfd_create("capture", 0);
    assert_true(file >= 0);
    assert_int_equal(ftruncate(file, 0), 0);
    for (size_t done = 0; done < content->count;) {
        ssize_t wrote = pwrite(file, content->data + done, content->count - done, (off_t)done);
        assert_true(wrote > 0);
        done += (size_t)wrote;
    }
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    return path;
}

/* Pseudo-random numbers of a fixed sequence (splitmix64). */
static inline uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

#endif
