/* Decoding frames built by hand: every link type, IP variant and snap length. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "captures.h"

static ws_skip decode(const bytes *frame, int link_type, ws_packet *packet)
{
    /* A copy of the exact size, so that a read beyond it is seen by the address sanitizer. */
    uint8_t *copy = malloc(frame->count ? frame->count : 1);
    assert_non_null(copy);
    if (frame->count)
        memcpy(copy, frame->data, frame->count);
    ws_skip skip = ws_packet_decode(copy, (uint32_t)frame->count, (uint32_t)frame->count, link_type, 77, packet);
    free(copy);
    return skip;
}

static void expect_tcp4(const ws_packet *packet, unsigned ip_header, unsigned tcp_header, unsigned payload)
{
    static const uint8_t source[16] = {[10] = 0xff, [11] = 0xff, [12] = 10, [15] = 1};
    static const uint8_t destination[16] = {[10] = 0xff, [11] = 0xff, [12] = 192, [13] = 168, [14] = 1, [15] = 2};
    assert_memory_equal(packet->source, source, 16);
    assert_memory_equal(packet->destination, destination, 16);
    assert_int_equal(packet->ip_version, 4);
    assert_int_equal(packet->protocol, 6);
    assert_int_equal(packet->source_port, 1234);
    assert_int_equal(packet->destination_port, 443);
    assert_int_equal(packet->sequence, 0x01020304);
    assert_int_equal(packet->acknowledgement, 0x05060708);
    assert_int_equal(packet->tcp_flags, WS_TCP_PSH | WS_TCP_ACK);
    assert_int_equal(packet->window, 0x1000);
    assert_int_equal(packet->time_ns, 77);
    assert_int_equal(packet->header_length, ip_header + tcp_header);
    assert_int_equal(packet->payload_length, payload);
    assert_int_equal(packet->ip_length, ip_header + tcp_header + payload);
}

/* Every link header around the same IPv4 and IPv6 packets gives the same packets. */
static void link_types(void **state)
{
    (void)state;
    static const struct {
        int link_type;
        const char *ipv4, *ipv6; /* link header in front of each; NULL: cannot carry it */
    } links[] = {
        {1, "020000000001 020000000002 0800", "020000000001 020000000002 86dd"},
        {1, "020000000001 020000000002 8100 0064 0800", "020000000001 020000000002 8100 0064 86dd"},
        {1, "020000000001 020000000002 88a8 0064 8100 00c8 0800", "020000000001 020000000002 9100 0001 8100 0002 86dd"},
        {1, "020000000001 020000000002 8100 0001 8100 0002 8100 0003 8100 0004 0800",
         "020000000001 020000000002 88a8 0001 88a8 0002 88a8 0003 86dd"},
        {1, "020000000001 020000000002 0040 aaaa03000000 0800", "020000000001 020000000002 0040 aaaa03000000 86dd"},
        {113, "0000 0001 0006 0200000000010000 0800", "0004 0001 0006 0200000000010000 86dd"},
        {113, "0000 0001 0006 0200000000010000 8100 0005 0800", "0000 0001 0006 0200000000010000 8100 0005 86dd"},
        {276, "0800 0000 00000002 0001 00 06 0200000000010000", "86dd 0000 00000002 0001 04 06 0200000000010000"},
        {276, "8100 0000 00000002 0001 00 06 0200000000010000 0005 0800",
         "88a8 0000 00000002 0001 00 06 0200000000010000 0005 86dd"},
        {0, "02000000", "0a000000"},
        {0, "00000002", "0000001e"},
        {0, "02000000", "18000000"},
        {108, "00000002", "0000001c"},
        {108, "02000000", "1e000000"},
        {12, "", ""},
        {14, "", ""},
        {101, "", ""},
        {228, "", NULL},
        {229, NULL, ""},
    };
    for (size_t i = 0; i < sizeof links / sizeof *links; i++) {
        ws_packet packet;
        bytes frame = {0};
        if (links[i].ipv4) {
            put_hex(&frame, links[i].ipv4);
            put_ipv4(&frame, 6, 20 + 5, 0, 0);
            put_tcp(&frame, 0);
            put(&frame, "hello", 5);
            assert_int_equal(decode(&frame, links[i].link_type, &packet), WS_SKIP_NONE);
            expect_tcp4(&packet, 20, 20, 5);
        }
        frame.count = 0;
        if (links[i].ipv6) {
            put_hex(&frame, links[i].ipv6);
            put_ipv6(&frame, 17, 8 + 5);
            put_udp(&frame, 5);
            put(&frame, "hello", 5);
            assert_int_equal(decode(&frame, links[i].link_type, &packet), WS_SKIP_NONE);
            assert_int_equal(packet.ip_version, 6);
            assert_int_equal(packet.protocol, 17);
            assert_int_equal(packet.source_port, 5353);
            assert_int_equal(packet.destination_port, 53);
            assert_int_equal(packet.header_length, 48);
            assert_int_equal(packet.payload_length, 5);
            assert_int_equal(packet.source[0], 0x20);
            assert_int_equal(packet.destination[15], 2);
        }
        bytes_free(&frame);
    }
}

static ws_skip decode_hex(const char *hex, int link_type)
{
    ws_packet packet;
    bytes frame = {0};
    put_hex(&frame, hex);
    ws_skip skip = decode(&frame, link_type, &packet);
    bytes_free(&frame);
    return skip;
}

static void not_ip_and_unsupported(void **state)
{
    (void)state;
    const char *arp = "ffffffffffff 020000000002 0806 0001 0800 0604 0001";
    assert_int_equal(decode_hex(arp, 1), WS_SKIP_not_ip);
    assert_int_equal(decode_hex("0180c2000000 020000000002 0026 424203", 1), WS_SKIP_not_ip); /* spanning tree */
    assert_int_equal(decode_hex("020000000001 020000000002 8847 00010140 4500", 1), WS_SKIP_network_truncated);
    assert_int_equal(decode_hex("020000000001 020000000002 8864 1100 0001 0016 0021", 1), WS_SKIP_network_truncated);
    assert_int_equal(decode_hex("00000007 45", 108), WS_SKIP_not_ip);
    assert_int_equal(decode_hex("45000014", 105), WS_SKIP_link_unsupported); /* 802.11 */
    assert_int_equal(decode_hex("45000014", -1), WS_SKIP_link_unsupported);
    assert_int_equal(decode_hex("55000014", 101), WS_SKIP_network_malformed);
    assert_int_equal(decode_hex("45000014", 229), WS_SKIP_network_malformed);
    assert_int_equal(decode_hex("60000000", 228), WS_SKIP_network_malformed);
    assert_int_equal(decode_hex("", 1), WS_SKIP_link_truncated);
    assert_int_equal(decode_hex("", 101), WS_SKIP_network_truncated);
    assert_int_equal(decode_hex("020000000001 020000000002 8100 00", 1), WS_SKIP_link_truncated);
}

static void ipv4_options_fragments_and_protocols(void **state)
{
    (void)state;
    ws_packet packet;
    bytes frame = {0};
    put_ethernet(&frame, 0x0800);
    put_ipv4(&frame, 6, 32 + 100, 0x4000, 40); /* do not fragment is no fragment */
    put_tcp(&frame, 12);
    put_fill(&frame, 0, 100);
    assert_int_equal(decode(&frame, 1, &packet), WS_SKIP_NONE);
    expect_tcp4(&packet, 60, 32, 100);

    frame.count = 0; /* first fragment: more to come, offset 0 */
    put_ethernet(&frame, 0x0800);
    put_ipv4(&frame, 6, 20 + 4, 0x2000, 0);
    put_tcp(&frame, 0);
    put_fill(&frame, 0, 4);
    assert_int_equal(decode(&frame, 1, &packet), WS_SKIP_NONE);
    expect_tcp4(&packet, 20, 20, 4);

    static const unsigned later[] = {0x2001, 0x0001, 0x1fff};
    for (size_t i = 0; i < 3; i++) {
        frame.count = 0;
        put_ethernet(&frame, 0x0800);
        put_ipv4(&frame, 6, 24, later[i], 0);
        put_fill(&frame, 0x50, 24);
        assert_int_equal(decode(&frame, 1, &packet), WS_SKIP_fragment_later);
    }

    frame.count = 0;
    put_ethernet(&frame, 0x0800);
    put_ipv4(&frame, 1, 8, 0, 0);
    put_hex(&frame, "0800000000010001");
    assert_int_equal(decode(&frame, 1, &packet), WS_SKIP_protocol_other);
    assert_int_equal(packet.protocol, 1);
    assert_int_equal(packet.ip_length, 28);
    bytes_free(&frame);
}

static void ipv6_extension_headers(void **state)
{
    (void)state;
    static const struct {
        unsigned first;
        const char *chain;
        ws_skip skip;
    } cases[] = {
        {0, "11 00 010400000000", WS_SKIP_NONE},                                           /* hop-by-hop */
        {43, "11 02 0001 00000000 2001 0db8 0000 0000 0000 0000 0000 0009", WS_SKIP_NONE}, /* routing */
        {60, "11 01 0108000000000000 0000 0000 0000", WS_SKIP_NONE},                 /* destination options, 16 bytes */
        {51, "11 04 0000 00000001 00000001 000102030405060708090a0b", WS_SKIP_NONE}, /* AH, 24 bytes */
        {0, "2b 00 010400000000 2c 00 000400000000 33 00 0001 00000007 11 01 0000 00000001 00000001", WS_SKIP_NONE},
        {44, "11 00 0001 00000007", WS_SKIP_NONE},           /* first fragment */
        {44, "11 00 0008 00000007", WS_SKIP_fragment_later}, /* offset 8 */
        {44, "3a 00 fff9 00000007", WS_SKIP_fragment_later},
        {135, "8b 00 000000000000 8c 00 000000000000 11 01 0500000000000000000000000000",
         WS_SKIP_NONE}, /* mobility, HIP, Shim6 */
        {59, "", WS_SKIP_protocol_other},
        {50, "0000000100000001", WS_SKIP_protocol_other},     /* ESP */
        {0, "11 ff 010400000000", WS_SKIP_network_malformed}, /* longer than the packet */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bytes chain = {0}, frame = {0};
        ws_packet packet;
        put_hex(&chain, cases[i].chain);
        put_ipv6(&frame, cases[i].first, chain.count + 8 + 30);
        put(&frame, chain.data, chain.count);
        put_udp(&frame, 30);
        put_fill(&frame, 0xab, 30);
        assert_int_equal(decode(&frame, 101, &packet), cases[i].skip);
        if (cases[i].skip == WS_SKIP_NONE) {
            assert_int_equal(packet.protocol, 17);
            assert_int_equal(packet.destination_port, 53);
            assert_int_equal(packet.header_length, 40 + chain.count + 8);
            assert_int_equal(packet.payload_length, 30);
        }
        bytes_free(&chain);
        bytes_free(&frame);
    }
}

/* Ethernet pads short frames to 60 bytes; the padding is no payload. */
static void padding_is_no_payload(void **state)
{
    (void)state;
    ws_packet packet;
    bytes frame = {0};
    put_ethernet(&frame, 0x0800);
    put_ipv4(&frame, 6, 20, 0, 0);
    put_tcp(&frame, 0);
    put_fill(&frame, 0, 60 - frame.count);
    assert_int_equal(decode(&frame, 1, &packet), WS_SKIP_NONE);
    expect_tcp4(&packet, 20, 20, 0);
    bytes_free(&frame);
}

/* A capture of any snap length either gives the very same lengths or says where the bytes ended. */
static void snap_length_changes_nothing(void **state)
{
    (void)state;
    for (int version = 4; version <= 6; version += 2)
        for (int tcp = 0; tcp <= 1; tcp++) {
            bytes frame = {0};
            const size_t ip = version == 4 ? 20 : 48, transport = tcp ? 32 : 8, payload = 1000;
            put_ethernet(&frame, version == 4 ? 0x0800 : 0x86dd);
            if (version == 4) {
                put_ipv4(&frame, tcp ? 6 : 17, transport + payload, 0, 0);
            } else {
                put_ipv6(&frame, 60, 8 + transport + payload);
                put_hex(&frame, tcp ? "06 00 010400000000" : "11 00 010400000000");
            }
            if (tcp)
                put_tcp(&frame, 12);
            else
                put_udp(&frame, payload);
            put_fill(&frame, 0xcd, payload);
            ws_packet whole;
            assert_int_equal(decode(&frame, 1, &whole), WS_SKIP_NONE);
            assert_int_equal(whole.payload_length, payload);
            for (uint32_t snap = 0; snap < frame.count; snap++) {
                ws_packet packet;
                uint8_t *copy = malloc(snap ? snap : 1);
                memcpy(copy, frame.data, snap);
                ws_skip skip = ws_packet_decode(copy, snap, (uint32_t)frame.count, 1, 77, &packet);
                free(copy);
                if (snap < 14) {
                    assert_int_equal(skip, WS_SKIP_link_truncated);
                } else if (snap < 14 + ip) {
                    assert_int_equal(skip, WS_SKIP_network_truncated);
                } else if (snap < 14 + ip + (tcp ? 16 : 4)) {
                    assert_int_equal(skip, WS_SKIP_transport_truncated);
                } else {
                    assert_int_equal(skip, WS_SKIP_NONE);
                    packet.captured_length = whole.captured_length;
                    assert_memory_equal(&packet, &whole, sizeof packet);
                }
            }
            bytes_free(&frame);
        }
}

/* Segmentation offload leaves the IP length 0: the wire length tells. */
static void length_zero_from_offload(void **state)
{
    (void)state;
    bytes frame = {0};
    ws_packet packet;
    put_ethernet(&frame, 0x0800);
    put_ipv4(&frame, 6, 20, 0, 0);
    frame.data[16] = frame.data[17] = 0;
    put_tcp(&frame, 0);
    assert_int_equal(ws_packet_decode(frame.data, (uint32_t)frame.count, 14 + 40 + 70000, 1, 77, &packet),
                     WS_SKIP_NONE);
    expect_tcp4(&packet, 20, 20, 70000);
    /* A wire length smaller than what was captured says nothing: then the captured bytes count. */
    assert_int_equal(ws_packet_decode(frame.data, (uint32_t)frame.count, 0, 1, 77, &packet), WS_SKIP_NONE);
    expect_tcp4(&packet, 20, 20, 0);

    frame.count = 0;
    put_ethernet(&frame, 0x86dd);
    put_ipv6(&frame, 6, 0);
    put_tcp(&frame, 0);
    assert_int_equal(ws_packet_decode(frame.data, (uint32_t)frame.count, 14 + 60 + 100000, 1, 77, &packet),
                     WS_SKIP_NONE);
    assert_int_equal(packet.payload_length, 100000);
    bytes_free(&frame);
}

static void headers_that_contradict_themselves(void **state)
{
    (void)state;
    static const struct {
        size_t at; /* byte of an Ethernet, IPv4, TCP frame with 10 bytes of payload */
        uint8_t value;
        ws_skip skip;
    } cases[] = {
        {14, 0x44, WS_SKIP_network_malformed},   /* header of 16 bytes */
        {14, 0x75, WS_SKIP_network_malformed},   /* version 7 */
        {14, 0x4f, WS_SKIP_network_malformed},   /* header longer than the packet */
        {17, 19, WS_SKIP_network_malformed},     /* total length below the header */
        {17, 39, WS_SKIP_transport_malformed},   /* 19 bytes for TCP */
        {46, 0x40, WS_SKIP_transport_malformed}, /* data offset 16 */
        {46, 0xf0, WS_SKIP_transport_malformed}, /* data offset beyond the packet */
        {23, 17, WS_SKIP_NONE},                  /* UDP reads ports only */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bytes frame = {0};
        ws_packet packet;
        put_ethernet(&frame, 0x0800);
        put_ipv4(&frame, 6, 30, 0, 0);
        put_tcp(&frame, 0);
        put_fill(&frame, 0, 10);
        frame.data[cases[i].at] = cases[i].value;
        assert_int_equal(decode(&frame, 1, &packet), cases[i].skip);
        bytes_free(&frame);
    }
    assert_int_equal(decode_hex("4500001b 00000000 40110000 0a000001 0a000002 00350035 000700", 101),
                     WS_SKIP_transport_malformed); /* 7 bytes for UDP */
}

static void names_are_complete(void **state)
{
    (void)state;
    assert_string_equal(ws_skip_names[WS_SKIP_NONE], "");
    assert_string_equal(ws_skip_names[WS_SKIP_fragment_later], "fragment_later");
    assert_string_equal(ws_damage_names[WS_DAMAGE_stream_broken], "stream_broken");
    for (int i = 1; i < WS_SKIP_COUNT; i++)
        assert_true(strlen(ws_skip_names[i]) > 0 && strlen(ws_skip_help[i]) > 0);
    for (int i = 0; i < WS_DAMAGE_COUNT; i++)
        assert_true(strlen(ws_damage_names[i]) > 0 && strlen(ws_damage_help[i]) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(link_types),
        cmocka_unit_test(not_ip_and_unsupported),
        cmocka_unit_test(ipv4_options_fragments_and_protocols),
        cmocka_unit_test(ipv6_extension_headers),
        cmocka_unit_test(padding_is_no_payload),
        cmocka_unit_test(snap_length_changes_nothing),
        cmocka_unit_test(length_zero_from_offload),
        cmocka_unit_test(headers_that_contradict_themselves),
        cmocka_unit_test(names_are_complete),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
