/* The bytes kept of a packet: found by lengths, cut to what was captured, stripped of addresses, ports and identity.
 * ctest: timeout=60 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "capture/captures.h"
#include "flow/flow.h"

enum { H = 80, P = 32 };
static ws_byte_view view_of(ws_strip stripped)
{
    return (ws_byte_view){.packets = 1, .header = H, .payload = P, .stripped = stripped};
}

typedef struct taken {
    uint16_t kept[2];
    uint8_t header[H], payload[P];
} taken;

/* The frame, of which `captured` bytes are there (and none behind them), as its bytes are kept. */
static taken take_cut(const bytes *frame, size_t captured, ws_strip stripped)
{
    taken out;
    ws_packet packet;
    uint8_t *copy = malloc(captured); /* its own size: a read behind it is seen */
    assert_non_null(copy);
    memcpy(copy, frame->data, captured);
    ws_skip skip = ws_packet_decode(copy, (uint32_t)captured, (uint32_t)frame->count, 1, 0, &packet);
    if (skip == WS_SKIP_protocol_other)
        skip = ws_packet_decode_other(copy, &packet);
    assert_int_equal(skip, WS_SKIP_NONE);
    const ws_byte_view view = view_of(stripped);
    assert_int_equal(ws_byte_slot_size(&view), sizeof out);
    memset(&out, 0xee, sizeof out);
    ws_byte_view_take(&view, copy, &packet, (uint8_t *)&out);
    free(copy);
    return out;
}

static taken take(const bytes *frame, ws_strip stripped)
{
    return take_cut(frame, frame->count, stripped);
}

static void assert_zero(const uint8_t *at, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++)
        assert_int_equal(at[i], 0);
}

/* IPv4 with a route recorded, TCP with time stamps, the payload `count` times 0x40, 0x41, ..., and padding of the frame. */
static bytes tcp_frame(size_t count)
{
    bytes frame = {0};
    put_ethernet(&frame, 0x0800);
    put_ipv4(&frame, 6, 32 + count, 0, 8);
    memcpy(frame.data + frame.count - 8, "\x07\x07\x08\x01\x02\x03\x04\x00", 8);
    put_tcp(&frame, 12);
    memcpy(frame.data + frame.count - 12, "\x01\x01\x08\x0a\x11\x12\x13\x14\x15\x16\x17\x18", 12);
    for (size_t i = 0; i < count; i++)
        put_number(&frame, 0x40 + i, 1, true);
    put_fill(&frame, 0xaa, 6);
    return frame;
}

static void bytes_are_those_of_the_frame(void **state)
{
    (void)state;
    bytes frame = tcp_frame(5);
    taken t = take(&frame, WS_STRIP_NOTHING);
    assert_int_equal(t.kept[0], 28 + 32);
    assert_int_equal(t.kept[1], 5); /* the padding is no payload */
    assert_memory_equal(t.header, frame.data + 14, 60);
    assert_zero(t.header, 60, H);
    assert_memory_equal(t.payload, "\x40\x41\x42\x43\x44", 5);
    assert_zero(t.payload, 5, P);
    bytes_free(&frame);
}

/* A payload of one byte that stands in the header too: nothing is searched and removed. */
static void a_payload_found_in_the_header_takes_nothing_from_it(void **state)
{
    (void)state;
    bytes frame = tcp_frame(1);
    frame.data[14 + 60] = 0x45;
    taken t = take(&frame, WS_STRIP_NOTHING);
    assert_int_equal(t.header[0], 0x47);
    assert_memory_equal(t.header, frame.data + 14, 60);
    assert_int_equal(t.payload[0], 0x45);
    bytes_free(&frame);
}

static void long_payloads_are_cut(void **state)
{
    (void)state;
    bytes frame = tcp_frame(100);
    taken t = take(&frame, WS_STRIP_NOTHING);
    assert_int_equal(t.kept[1], P);
    assert_memory_equal(t.payload, frame.data + 14 + 60, P);
    bytes_free(&frame);
}

/* Whatever the capture cuts off is zero, and not said to be there. */
static void short_captures_are_filled_up(void **state)
{
    (void)state;
    bytes frame = tcp_frame(20);
    for (size_t captured = 14 + 28 + 16; captured <= 14 + 60 + 20; captured++) {
        taken t = take_cut(&frame, captured, WS_STRIP_NOTHING);
        const size_t header = captured - 14 < 60 ? captured - 14 : 60, payload = captured - 14 - header;
        assert_int_equal(t.kept[0], header);
        assert_int_equal(t.kept[1], payload);
        assert_memory_equal(t.header, frame.data + 14, header);
        assert_zero(t.header, header, H);
        if (payload > 0)
            assert_memory_equal(t.payload, frame.data + 14 + 60, payload);
        assert_zero(t.payload, payload, P);
        (void)take_cut(&frame, captured, WS_STRIP_IDENTITY);
    }
    bytes_free(&frame);
}

static void addresses_and_ports_are_stripped(void **state)
{
    (void)state;
    bytes frame = tcp_frame(5);
    const uint8_t *ip = frame.data + 14;
    taken t = take(&frame, WS_STRIP_ADDRESSES);
    assert_memory_equal(t.header, ip, 12); /* checksum too */
    assert_zero(t.header, 12, 20);
    assert_memory_equal(t.header + 20, ip + 20, 2);
    assert_zero(t.header, 22, 27); /* the recorded route */
    assert_memory_equal(t.header + 28, ip + 28, 32);
    assert_int_equal(t.kept[0], 60);
    t = take(&frame, WS_STRIP_ENDPOINTS);
    assert_zero(t.header, 12, 20);
    assert_zero(t.header, 28, 32);
    assert_memory_equal(t.header + 32, ip + 32, 28);
    assert_memory_equal(t.payload, "\x40\x41\x42\x43\x44", 5);
    bytes_free(&frame);
}

static void identity_is_stripped(void **state)
{
    (void)state;
    bytes frame = tcp_frame(5);
    frame.data[14 + 28 + 16] = 0x77; /* checksum */
    const uint8_t *ip = frame.data + 14;
    taken t = take(&frame, WS_STRIP_IDENTITY);
    assert_memory_equal(t.header, ip, 4);
    assert_zero(t.header, 4, 6);
    assert_int_equal(t.header[8], 0);
    assert_int_equal(t.header[9], 6);
    assert_zero(t.header, 10, 20);
    assert_zero(t.header, 28, 40);
    assert_memory_equal(t.header + 40, ip + 40, 4); /* offset, flags, window */
    assert_zero(t.header, 44, 46);
    assert_memory_equal(t.header + 48, "\x01\x01\x08\x0a", 4);
    assert_zero(t.header, 52, 60);
    bytes_free(&frame);
}

static void ipv6_is_stripped(void **state)
{
    (void)state;
    bytes frame = {0};
    put_ethernet(&frame, 0x86dd);
    put_ipv6(&frame, 43, 24 + 8 + 3);
    frame.data[14 + 1] = 0x2a;
    frame.data[14 + 3] = 0x99;
    put_hex(&frame, "1102 0001 00000000 20010db8000000000000000000000009"); /* a route by way of ::9 */
    put_udp(&frame, 3);
    put(&frame, "abc", 3);
    taken t = take(&frame, WS_STRIP_ENDPOINTS);
    const uint8_t *ip = frame.data + 14;
    assert_int_equal(t.kept[0], 72);
    assert_int_equal(t.kept[1], 3);
    assert_memory_equal(t.header, ip, 8);
    assert_zero(t.header, 8, 40);
    assert_memory_equal(t.header + 40, ip + 40, 4);
    assert_zero(t.header, 44, 68);
    assert_memory_equal(t.header + 68, ip + 68, 4);
    t = take(&frame, WS_STRIP_IDENTITY);
    assert_memory_equal(t.header, "\x60\x20\0\0", 4);
    assert_int_equal(t.header[7], 0);
    assert_memory_equal(t.payload, "abc", 3);
    bytes_free(&frame);
}

/* A mobile node's home address, and the locators that Shim6 knows, are addresses too. */
static void addresses_in_ipv6_extensions_are_stripped(void **state)
{
    (void)state;
    bytes frame = {0};
    put_ethernet(&frame, 0x86dd);
    put_ipv6(&frame, 60, 24 + 16 + 8 + 3);
    put_hex(&frame, "8c02 0102 0000 c910 20010db8000000000000000000000009"); /* padding, then the home address */
    put_hex(&frame, "1101 4000 20010db8 00000000 00000007");
    put_udp(&frame, 3);
    put(&frame, "abc", 3);
    const uint8_t *ip = frame.data + 14;
    taken t = take(&frame, WS_STRIP_ADDRESSES);
    assert_int_equal(t.kept[0], 40 + 24 + 16 + 8 > H ? H : 40 + 24 + 16 + 8);
    assert_memory_equal(t.header + 40, ip + 40, 8);
    assert_zero(t.header, 48, 64);
    assert_memory_equal(t.header + 64, ip + 64, 4);
    assert_zero(t.header, 68, 80);
    assert_memory_equal(t.payload, "abc", 3);
    bytes_free(&frame);
}

/* Options of TCP: multipath's further address goes with the addresses, selective acknowledgements, keys and cookies with
 * the identity; options that contradict themselves leave nothing. */
static void tcp_options_are_stripped(void **state)
{
    (void)state;
    static const struct {
        const char *options;
        ws_strip stripped;
        size_t from, to; /* that are cleared; the rest stays */
    } cases[] = {
        {"1e08 3001 c0a80101 0101 0101", WS_STRIP_ADDRESSES, 3, 8},
        {"1e08 3001 c0a80101 0101 0101", WS_STRIP_NOTHING, 0, 0},
        {"1e0c 0081 0102030405060708", WS_STRIP_ENDPOINTS, 0, 0},
        {"1e0c 0081 0102030405060708", WS_STRIP_IDENTITY, 2, 12},
        {"0101 050a 11121314 15161718", WS_STRIP_IDENTITY, 4, 12},
        {"0101 050a 11121314 15161718", WS_STRIP_ENDPOINTS, 0, 0},
        {"220a 0102030405060708 0101", WS_STRIP_IDENTITY, 2, 10},
        {"0204 05b4 0402 0101 0303 0701", WS_STRIP_IDENTITY, 0, 0},
        {"0101 1e01 c0a80101 c0a80102", WS_STRIP_ADDRESSES, 2, 12},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bytes frame = {0}, options = {0};
        put_hex(&options, cases[i].options);
        assert_int_equal(options.count, 12);
        put_ethernet(&frame, 0x0800);
        put_ipv4(&frame, 6, 32, 0, 0);
        put_tcp(&frame, 12);
        memcpy(frame.data + frame.count - 12, options.data, 12);
        const taken t = take(&frame, cases[i].stripped);
        for (size_t k = 0; k < 12; k++)
            if (t.header[40 + k] != (k >= cases[i].from && k < cases[i].to ? 0 : options.data[k]))
                fail_msg("case %zu, byte %zu: %02x", i, k, t.header[40 + k]);
        bytes_free(&options);
        bytes_free(&frame);
    }
}

/* An ICMP error holds the header of the packet that it complains of: another pair of addresses. An echo does not. */
static void what_icmp_says_of_other_packets_is_stripped(void **state)
{
    (void)state;
    bytes frame = {0};
    put_ethernet(&frame, 0x0800);
    put_ipv4(&frame, 1, 8 + 28, 0, 0);
    put_hex(&frame, "0301 0000 00000000");
    put_ipv4(&frame, 17, 8, 0, 0);
    put_udp(&frame, 0);
    taken t = take(&frame, WS_STRIP_ADDRESSES);
    assert_int_equal(t.kept[1], 28);
    assert_memory_equal(t.header + 20, "\x03\x01\0\0", 4);
    assert_zero(t.payload, 0, P);
    frame.data[14 + 20] = 8;
    t = take(&frame, WS_STRIP_ADDRESSES);
    assert_int_equal(t.payload[0], 0x45);
    frame.data[14 + 9] = 47; /* GRE: a tunnel */
    t = take(&frame, WS_STRIP_ADDRESSES);
    assert_zero(t.payload, 0, P);
    t = take(&frame, WS_STRIP_NOTHING);
    assert_memory_equal(t.payload, frame.data + 14 + 24, P);
    bytes_free(&frame);
}

static void what_is_kept_is_read_from_a_text(void **state)
{
    (void)state;
    ws_byte_view view = {.stripped = WS_STRIP_ADDRESSES};
    assert_int_equal(ws_byte_view_read("packets:10,header:40,payload:0", &view), WS_OK);
    assert_int_equal(view.packets, 10);
    assert_int_equal(view.header, 40);
    assert_int_equal(view.payload, 0);
    assert_int_equal(view.stripped, WS_STRIP_ADDRESSES);
    assert_int_equal(ws_byte_view_read("payload:80", &view), WS_OK);
    assert_int_equal(view.packets, 5);
    assert_int_equal(view.header, 80);
    assert_int_equal(view.payload, 80);
    static const char *const wrong[] = {"",
                                        "header",
                                        "header:",
                                        "header:80,",
                                        "header:80;payload:1",
                                        "packets:0",
                                        "packets:-1",
                                        "header:1e3",
                                        "payload:70000",
                                        "packets:5000",
                                        "80:header",
                                        "header:80 ",
                                        ",header:80",
                                        "header:40000,payload:40000",
                                        "header:0,payload:0",
                                        "headers:80",
                                        "header:80,header:80",
                                        "packets:2,header:80,packets:3",
                                        "header:99999999999999999999"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(ws_byte_view_read(wrong[i], &view), WS_E_ARGUMENT);
    assert_int_equal(ws_byte_view_read("payload:1,header:80,payload:2", &view), WS_E_ARGUMENT);
    assert_non_null(strstr(ws_error_message(), "payload is given twice"));
    assert_int_equal(view.payload, 80); /* as it was */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_are_those_of_the_frame),
        cmocka_unit_test(a_payload_found_in_the_header_takes_nothing_from_it),
        cmocka_unit_test(long_payloads_are_cut),
        cmocka_unit_test(short_captures_are_filled_up),
        cmocka_unit_test(addresses_and_ports_are_stripped),
        cmocka_unit_test(tcp_options_are_stripped),
        cmocka_unit_test(addresses_in_ipv6_extensions_are_stripped),
        cmocka_unit_test(identity_is_stripped),
        cmocka_unit_test(ipv6_is_stripped),
        cmocka_unit_test(what_icmp_says_of_other_packets_is_stripped),
        cmocka_unit_test(what_is_kept_is_read_from_a_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
