/* Link layers and tunnels on frames built by hand: labels, PPP in all of its frames, 802.11 behind each monitor header, and
 * packets inside of packets.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "captures.h"

static ws_skip decode(const bytes *frame, int link_type, bool inner, ws_packet *packet)
{
    uint8_t *copy = malloc(frame->count ? frame->count : 1); /* of the exact size, for the address sanitizer */
    assert_non_null(copy);
    if (frame->count)
        memcpy(copy, frame->data, frame->count);
    ws_skip skip =
        (inner ? ws_packet_decode_inner : ws_packet_decode)(copy, (uint32_t)frame->count, 2000, link_type, 77, packet);
    free(copy);
    return skip;
}

static void put_tcp4(bytes *out)
{
    put_ipv4(out, 6, 20 + 5, 0, 0);
    put_tcp(out, 0);
    put(out, "hello", 5);
}

static void put_udp6(bytes *out)
{
    put_ipv6(out, 17, 8 + 5);
    put_udp(out, 5);
    put(out, "hello", 5);
}

static void expect_tcp4(const ws_packet *packet)
{
    assert_int_equal(packet->ip_version, 4);
    assert_int_equal(packet->protocol, 6);
    assert_int_equal(packet->source_port, 1234);
    assert_int_equal(packet->header_length, 40);
    assert_int_equal(packet->payload_length, 5);
    assert_int_equal(packet->ip_length, 45);
    assert_int_equal(packet->wire_length, 2000);
    assert_int_equal(packet->time_ns, 77);
}

static void expect_udp6(const ws_packet *packet)
{
    assert_int_equal(packet->ip_version, 6);
    assert_int_equal(packet->protocol, 17);
    assert_int_equal(packet->destination_port, 53);
    assert_int_equal(packet->payload_length, 5);
}

#define MACS "020000000001 020000000002 "
#define ZEROS "0000000000000000000000000000000000000000"
#define WLAN "020000000001 020000000002 020000000003 "
static const struct {
    int link_type;
    const char *ipv4, *ipv6; /* link header in front of each */
} links[] = {
    /* MPLS: one label, three, under a VLAN tag, and as a pseudowire with and without control word */
    {1, MACS "8847 00010140", MACS "8848 00010140"},
    {1, MACS "8847 00010040 00020040 00030140", MACS "8847 00010040 00020040 00030140"},
    {1, MACS "8100 0001 8847 00010140", MACS "8100 0001 8847 00010140"},
    {1, MACS "8847 00010140 00000000" MACS "0800", MACS "8847 00010140" MACS "8100 0003 86dd"},
    {113, "0000 0001 0006 0200000000010000 8847 00010140", "0000 0001 0006 0200000000010000 8847 00010140"},
    /* PPPoE session, and with MPLS inside */
    {1, MACS "8864 1100 0001 002f 0021", MACS "8864 1100 0001 003f 0057"},
    {1, MACS "8100 0007 8864 1100 0001 002f 0021", MACS "8100 0007 8864 1100 0001 003f 0057"},
    {51, "1100 0001 002f 0021", "1100 0001 003f 0057"},
    /* PPP: with and without address and control, with a protocol field of one byte; Cisco HDLC */
    {9, "0021", "0057"},
    {9, "ff03 0021", "ff03 0057"},
    {9, "21", "57"},
    {9, "ff03 0281 00010140", "ff03 0283 00010140"},
    {50, "ff03 21", "ff03 57"},
    {50, "0f00 0800", "8f00 86dd"},
    {104, "0f00 0800", "8f00 86dd"},
    /* LLC: SNAP with the number of bridge tunnels; IP's own number */
    {1, MACS "0040 aaaa030000f8 0800", MACS "0040 aaaa030000f8 86dd"},
    {1, MACS "0040 060603", MACS "0040 aaaa03000000 8100 0001 86dd"},
    /* 802.11: to the access point, from it, between two; with quality of service and its further field */
    {105, "0801 3000" WLAN "1000 aaaa03000000 0800", "0802 3000" WLAN "1000 aaaa03000000 86dd"},
    {105, "0803 3000" WLAN "1000 020000000004 aaaa03000000 0800", "0802 3000" WLAN "1000 aaaa03000000 86dd"},
    {105, "8801 3000" WLAN "1000 0000 aaaa03000000 0800", "8802 3000" WLAN "1000 0000 aaaa03000000 86dd"},
    {105, "8803 3000" WLAN "1000 020000000004 0000 aaaa03000000 0800",
     "8881 3000" WLAN "1000 0000 00000000 aaaa03000000 86dd"},
    /* radiotap: nothing present; time and flags with padding; two words of present bits */
    {127, "0000 0800 00000000 0801 3000" WLAN "1000 aaaa03000000 0800",
     "0000 0900 02000000 00 0801 3000" WLAN "1000 aaaa03000000 86dd"},
    {127, "0000 1100 03000000 0102030405060708 20 8801 3000" WLAN "1000 0000 0000 aaaa03000000 0800",
     "0000 1900 03000080 00000000 00000000 0102030405060708 20 8801 3000" WLAN "1000 0000 0000 aaaa03000000 86dd"},
    /* Prism in either order, with AVS's version; AVS; PPI */
    {119, "44000000 10000000 0102030405060708 0801 3000" WLAN "1000 aaaa03000000 0800",
     "00000044 00000010 0102030405060708 0801 3000" WLAN "1000 aaaa03000000 86dd"},
    {119, "80211001 00000010 0102030405060708 0801 3000" WLAN "1000 aaaa03000000 0800",
     "80211001 00000010 0102030405060708 0801 3000" WLAN "1000 aaaa03000000 86dd"},
    {163, "80211001 0000000c 01020304 0801 3000" WLAN "1000 aaaa03000000 0800",
     "80211002 0000000c 01020304 0801 3000" WLAN "1000 aaaa03000000 86dd"},
    {192, "0000 0c00 69000000 01020304 0801 3000" WLAN "1000 aaaa03000000 0800", "0000 0800 01000000" MACS "86dd"},
    /* An aggregate of one frame */
    {105, "8801 3000" WLAN "1000 8000" MACS "0035 aaaa03000000 0800",
     "8801 3000" WLAN "1000 8000" MACS "003d aaaa03000000 86dd"},
    /* Tags: FabricPath, backbone bridges, VN-Tag, E-Tag, security group, service chain, TRILL, bridged, MACsec in clear */
    {1, MACS "8903 0120" MACS "0800", MACS "8903 0120" MACS "8100 0001 86dd"},
    {1, MACS "88e7 00000005" MACS "0800", MACS "88e7 00000005" MACS "86dd"},
    {1, MACS "8926 00010002 0800", MACS "8926 00010002 86dd"},
    {1, MACS "892f 003c 0007 0800", MACS "892f 103c 0007 86dd"},
    {1, MACS "f1c1 0000 0007 0800", MACS "8100 0001 f1c1 0000 0007 86dd"},
    {1, MACS "893f 000000050000 0800", MACS "893f 000000050000 86dd"},
    {1, MACS "8909 0101 0001 0009 0800", MACS "8909 0101 0001 0009 86dd"},
    {1, MACS "894f 0002 0201 00000001", MACS "894f 0006 0102 00000001 00000000 00000000 00000000 00000000"},
    {1, MACS "894f 0002 0203 00000001" MACS "0800", MACS "894f 0002 0205 00000001 00010140"},
    {1, MACS "22f3 0005 0001 0002" MACS "0800", MACS "22f3 0045 0001 0002 00000000" MACS "86dd"},
    {1, MACS "6558" MACS "0800", MACS "6558" MACS "86dd"},
    {1, MACS "88e5 0000 00000001 0800", MACS "88e5 2000 00000001 0200000000010001 86dd"},
    /* Rings, stars, serial lines */
    {6, "1040" MACS "aaaa03000000 0800",
     "1040"
     "020000000001 820000000002 0630 0011 0020 aaaa03000000 86dd"},
    {7, "0102d4 00 0001", "0102c4 01 0001"},
    {7, "0102f0", "0102d4 ff 00 0001 00 0001"},
    {129, "0102 0000 d4 00 0001", "0102 0000 c4 00 0001"},
    {8, "00000000000000000000000000000000", "01000000000000000000000000000000"},
    {10, "50" MACS "aaaa03000000 0800", "57" MACS "aaaa03000000 86dd"},
    {100, "aaaa03000000 0800", "aaaa03000000 86dd"},
    {106, "aaaa03000000 0800", "aaaa03000000 86dd"},
    {107, "1841 03 cc", "1841 03 8e"},
    {107, "1841 03 00 80 000000 0800", "1840 41 03 80 000000 86dd"},
    {107, "1841 0800", "1841 03 80 0080c2 0007" MACS "86dd"},
    {107, "1841 03 cf 0021", "1841 03 cf 0057"},
    {122, "1000020000000001 1000020000000002 aaaa03000000 0800", "1000020000000001 1000020000000002 aaaa03000000 86dd"},
    {123, "02000064 aaaa03000000 0800", "01000064 0001" MACS "86dd"},
    {138, "0102030405060708 0102030405060708 0800", "0102030405060708 0102030405060708 86dd"},
    {166, "00 03 0021", "01 03 57"},
    {204, "00 ff03 0021", "01 0057"},
    {205, "00 0f00 0800", "01 8f00 86dd"},
    {206, "00 1841 03 cc", "01 1841 03 8e"},
    /* Operating systems, firewalls, taps, switches */
    {109, "02000000 00000001 00000002", "00000018 00000001 00000002"},
    {117, "3d020000" ZEROS ZEROS ZEROS, "04180000"},
    {226, "0102000000000040000000010000000000000000 00000000", "011a000000000040000000010000000000000000 00000000"},
    {239, "02000005 0800 0100 08000100 0700 0a00 6f757400 0400 0900", "0a000005 0008 0001 08000100 0004 0009"},
    {240, "00000040" MACS "0800", "00000040" MACS "86dd"},
    {241, "00000040 55555555555555d5" MACS "0800", "00000040 55555555555555d5" MACS "86dd"},
    {242, "00000000000000000000 00000000000000000000 00000000000000000000 00000000000000000000 0800 0000",
     "00000000000000000000 00000000000000000000 00000000000000000000 00000000000000000000 86dd 0000"},
    {258, "10000000 01000000 01000000 01020304" MACS "0800", "00000010 00000001 00000065 01020304"},
    {281, MACS "00000000 0800", MACS "00000000 86dd"},
    {282, "00000000" MACS "0800", "00000000" MACS "86dd"},
    {284, MACS "00000000 0800", MACS "00000000 86dd"},
    {285, MACS "dada0000 00000000 0800", MACS "dada0000 00000000 86dd"},
    /* Null frames of writers that put an EtherType there */
    {0, "0f000800", "0f0086dd"},
};

static void same_packet_behind_every_header(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof links / sizeof *links; i++)
        for (int version = 4; version <= 6; version += 2) {
            ws_packet packet;
            bytes frame = {0};
            put_hex(&frame, version == 4 ? links[i].ipv4 : links[i].ipv6);
            const size_t link_bytes = frame.count;
            (version == 4 ? put_tcp4 : put_udp6)(&frame);
            const ws_skip skip = decode(&frame, links[i].link_type, false, &packet);
            if (skip != WS_SKIP_NONE)
                fail_msg("header %zu, IPv%d: %s", i, version, ws_skip_names[skip]);
            (version == 4 ? expect_tcp4 : expect_udp6)(&packet);
            /* Cut anywhere: a reason, and the right one where the link header is cut off. */
            for (frame.count = 0; frame.count < link_bytes; frame.count++) {
                const ws_skip cut = decode(&frame, links[i].link_type, false, &packet);
                assert_true(cut != WS_SKIP_NONE && cut != WS_SKIP_transport_truncated && cut != WS_SKIP_protocol_other);
            }
            bytes_free(&frame);
        }
}

static void frames_without_ip(void **state)
{
    (void)state;
    static const struct {
        int link_type;
        const char *frame;
        ws_skip skip;
    } cases[] = {
        {1, MACS "8863 1109 0000 0004 01010000", WS_SKIP_not_ip},                   /* PPPoE discovery */
        {1, MACS "8864 1100 0001 0004 c021 0101 0004", WS_SKIP_not_ip},             /* PPP link control */
        {1, MACS "8847 00010140 10000000 00000000", WS_SKIP_not_ip},                /* associated channel */
        {1, MACS "8847 00010040", WS_SKIP_link_truncated},                          /* no bottom of the stack */
        {9, "002d 4500", WS_SKIP_link_unsupported},                                 /* compressed headers */
        {105, "8000 0000" WLAN "0000 00000000", WS_SKIP_not_ip},                    /* beacon */
        {105, "d400 0000 020000000001", WS_SKIP_not_ip},                            /* acknowledgement */
        {105, "4801 0000" WLAN "0000", WS_SKIP_not_ip},                             /* data without data */
        {105, "0841 0000" WLAN "0000 00000000 00000000", WS_SKIP_link_unsupported}, /* encrypted */
        {105, "8801 0000" WLAN "0000 8000 00000000", WS_SKIP_link_truncated},       /* aggregate */
        {105, "8801 0000" WLAN "0000 8000" MACS "0008 aaaa03000000 0800" MACS "0008 aaaa03000000 0800",
         WS_SKIP_link_unsupported},                                        /* of two frames */
        {105, "0801 0000" WLAN "0100 00000000", WS_SKIP_link_unsupported}, /* later fragment */
        {105, "0801 0000" WLAN "0000 424203", WS_SKIP_not_ip},             /* spanning tree */
        {1, MACS "88e5 0800 00000001 0800", WS_SKIP_link_unsupported},     /* MACsec, encrypted */
        {1, MACS "894f 0000 0201 00000001", WS_SKIP_link_unsupported},     /* a service chain's header of no length */
        {1, MACS "894f 0002 0204 00000001", WS_SKIP_not_ip},
        {6, "1000" MACS "0004", WS_SKIP_not_ip},                                /* MAC frame of the ring */
        {7, "0102d5 00 0001", WS_SKIP_not_ip},                                  /* ARP */
        {7, "0102d4 02 0001 45000000", WS_SKIP_link_unsupported},               /* a later part */
        {10, "c1" MACS "aaaa03000000 0800", WS_SKIP_not_ip},                    /* MAC frame of the ring */
        {107, "00000000 00 03cc", WS_SKIP_link_unsupported},                    /* no end of the address */
        {107, "1841 03 81", WS_SKIP_not_ip},                                    /* routing of OSI */
        {123, "05000005 00000000", WS_SKIP_link_unsupported},                   /* signalling */
        {239, "02010005 0400 0900", WS_SKIP_link_unsupported},                  /* another version */
        {239, "03000005 0400 0900", WS_SKIP_not_ip},                            /* ARP */
        {239, "02000005 0200 0900", WS_SKIP_link_truncated},                    /* no packet in it */
        {258, "10000000 01000000 02010000 00000000", WS_SKIP_link_unsupported}, /* itself */
        {258, "10000000 00000000 01000000 00000000", WS_SKIP_not_ip},           /* no packet */
        {127, "0000 0400 00000000", WS_SKIP_link_unsupported},
        {127, "0000 ff00 00000000", WS_SKIP_link_truncated},
        {192, "0000 0800 c0000000 0000 0800 c0000000", WS_SKIP_link_unsupported}, /* PPI in PPI */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ws_packet packet;
        bytes frame = {0};
        put_hex(&frame, cases[i].frame);
        const ws_skip skip = decode(&frame, cases[i].link_type, false, &packet);
        if (skip != cases[i].skip)
            fail_msg("case %zu: %s, expected %s", i, ws_skip_names[skip], ws_skip_names[cases[i].skip]);
        bytes_free(&frame);
    }
}

/* ---------------------------------------------------------------- tunnels */
/* The protocol of the outer IPv4 header; a UDP header's destination port, 0 for none; the tunnel's own header. */
static const struct {
    unsigned protocol, port;
    const char *header;
} tunnels[] = {
    {4, 0, ""},
    {41, 0, ""},
    {47, 0, "0000 0800"},
    {47, 0, "b000 0800 00000000 00000001 00000002"},           /* sum, key, sequence number */
    {47, 0, "0000 6558" MACS "8100 0001 0800"},                /* Ethernet */
    {47, 0, "3081 880b 00310001 00000001 00000002 ff03 0021"}, /* PPTP */
    {47, 0, "1000 88be 00000001 1000000000000000" MACS "0800"},
    {47, 0, "0000 8847 00010140"},
    {47, 0, "1000 22eb 00000001 2007000100000001 00000200" MACS "0800"},
    {47, 0, "1000 22eb 00000001 2007000100000001 00000201 0000000000000000" MACS "0800"},
    {17, 4789, "08000000 00000100" MACS "0800"},
    {17, 4789, "88080007 00000100" MACS "0800"}, /* with a group policy */
    {17, 2152, "30ff 0031 00000001"},
    {17, 2152, "32ff 0035 00000001 00010000"},
    {17, 2152, "34ff 0039 00000001 00000085 01000900"},
};

static void put_outer(bytes *out, size_t which, size_t inside)
{
    bytes header = {0};
    put_hex(&header, tunnels[which].header);
    const size_t udp = tunnels[which].port ? 8 : 0;
    put_ipv4(out, tunnels[which].protocol, udp + header.count + inside, 0, 0);
    if (udp) {
        put_number(out, 40000, 2, true);
        put_number(out, tunnels[which].port, 2, true);
        put_number(out, udp + header.count + inside, 2, true);
        put_number(out, 0, 2, true);
    }
    put(out, header.data, header.count);
    bytes_free(&header);
}

static void packets_in_tunnels(void **state)
{
    (void)state;
    const size_t count = sizeof tunnels / sizeof *tunnels;
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k <= count; k++) { /* alone, and in each other */
            ws_packet packet;
            bytes frame = {0}, inside = {0};
            put_ethernet(&frame, 0x0800);
            if (k < count)
                put_outer(&inside, k, 45);
            put_tcp4(&inside);
            put_outer(&frame, i, inside.count);
            put(&frame, inside.data, inside.count);
            assert_int_equal(decode(&frame, 1, true, &packet), WS_SKIP_NONE);
            expect_tcp4(&packet);
            /* Without being asked for, the outer packet counts. */
            const ws_skip outer = decode(&frame, 1, false, &packet);
            assert_int_equal(outer, tunnels[i].port ? WS_SKIP_NONE : WS_SKIP_protocol_other);
            assert_int_equal(packet.protocol, tunnels[i].protocol);
            /* Where the inner packet is cut off, what is around it counts. */
            for (size_t whole = frame.count; frame.count > 14 + 20 + 8; frame.count--)
                if (decode(&frame, 1, true, &packet) != WS_SKIP_NONE)
                    assert_true(frame.count < whole && outer == WS_SKIP_protocol_other);
            bytes_free(&frame);
            bytes_free(&inside);
        }
}

/* Traffic on a tunnel's port that is no tunnel, and tunnels that carry no TCP or UDP. */
static void not_quite_tunnels(void **state)
{
    (void)state;
    static const struct {
        unsigned port;
        const char *payload;
    } cases[] = {
        {4789, "0900000000000100" MACS "0800"},
        {4789, "0800000000000100" MACS "0806 0001"},
        {2152, "32010000 00000000"},
        {2152, "34ff 0039 00000001 00000085 00"},
        {2152, "70ff 0039 00000001"},
        {2152, ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ws_packet packet;
        bytes frame = {0}, payload = {0};
        put_hex(&payload, cases[i].payload);
        put_ethernet(&frame, 0x0800);
        put_ipv4(&frame, 17, 8 + payload.count, 0, 0);
        put_number(&frame, 40000, 2, true);
        put_number(&frame, cases[i].port, 2, true);
        put_number(&frame, 8 + payload.count, 2, true);
        put_number(&frame, 0, 2, true);
        put(&frame, payload.data, payload.count);
        assert_int_equal(decode(&frame, 1, true, &packet), WS_SKIP_NONE);
        assert_int_equal(packet.destination_port, cases[i].port);
        assert_int_equal(packet.payload_length, payload.count);
        bytes_free(&frame);
        bytes_free(&payload);
    }
}

/* More frames in frames than there can be end as a reason, not as an exhausted stack. */
static void nesting_has_an_end(void **state)
{
    (void)state;
    ws_packet packet;
    for (size_t levels = 1; levels <= 20000; levels *= 10) {
        bytes frame = {0};
        for (size_t i = 0; i < levels; i++)
            put_hex(&frame, MACS "88e7 00000005");
        put_hex(&frame, MACS "0800");
        put_tcp4(&frame);
        assert_int_equal(decode(&frame, 1, false, &packet), levels <= 50 ? WS_SKIP_NONE : WS_SKIP_link_unsupported);
        bytes_free(&frame);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_packet_behind_every_header),
        cmocka_unit_test(frames_without_ip),
        cmocka_unit_test(nesting_has_an_end),
        cmocka_unit_test(packets_in_tunnels),
        cmocka_unit_test(not_quite_tunnels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
