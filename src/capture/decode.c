/* Decoding one captured frame: network and transport headers into a ws_packet. Lengths come from the IP header, never from
 * the captured length, so padding and short captures change none. No reassembly, no checksums. Link layers are in
 * decode_link.c, tunnels in decode_tunnel.c.
 */
#include "capture/decode.h"

#define ALWAYS_INLINE static inline __attribute__((always_inline)) /* run for every packet */

enum {
    PROTOCOL_TCP = 6,
    PROTOCOL_UDP = 17,
    IPV4_HEADER = 20,
    IPV6_HEADER = 40,
    TCP_HEADER = 20,
    TCP_NEEDED = 16, /* ports, numbers, flags, window */
    UDP_HEADER = 8,
    UDP_NEEDED = 4, /* ports */
    LINK_ETHERNET = 1,
    ETHERNET_HEADER = 14,
    LINK_RAW = 101,
    TUNNEL_DEPTH = 8, /* tunnels in tunnels */
};

/* Offload leaves the IP length 0: then it is what the wire length leaves behind the link header. */
static uint32_t length_from_wire(const frame_cursor *cursor, const ws_packet *packet)
{
    uint32_t wire = packet->wire_length > cursor->captured ? packet->wire_length : cursor->captured;
    return wire - cursor->at;
}

/* Leaves the cursor at the transport header. packet->header_length is the IP header's. */
ALWAYS_INLINE ws_skip decode_ipv4(frame_cursor *cursor, ws_packet *packet)
{
    if (ws_cursor_left(cursor) < IPV4_HEADER)
        return WS_SKIP_network_truncated;
    const uint8_t *ip = cursor->frame + cursor->at;
    const unsigned header = (ip[0] & 15u) * 4, total = ws_be16(ip + 2);
    packet->ip_length = total ? total : length_from_wire(cursor, packet);
    if (header < IPV4_HEADER || packet->ip_length < header)
        return WS_SKIP_network_malformed;
    packet->protocol = ip[9];
    packet->source[10] = packet->source[11] = packet->destination[10] = packet->destination[11] = 0xff;
    memcpy(packet->source + 12, ip + 12, 4);
    memcpy(packet->destination + 12, ip + 16, 4);
    packet->header_length = (uint16_t)header;
    if (ws_cursor_left(cursor) < header)
        return WS_SKIP_network_truncated;
    cursor->at += header;
    return ws_be16(ip + 6) & 0x1fff ? WS_SKIP_fragment_later : WS_SKIP_NONE;
}

static bool is_extension(unsigned next)
{
    return next == 0 || next == 43 || next == 44 || next == 51 || next == 60 || next == 135 || next == 139 ||
           next == 140;
}

/* Walks the extension headers (RFC 7045; hop-by-hop 0, routing 43, fragment 44, AH 51, destination options 60, mobility
 * 135, HIP 139, Shim6 140). */
static ws_skip decode_ipv6(frame_cursor *cursor, ws_packet *packet)
{
    if (ws_cursor_left(cursor) < IPV6_HEADER)
        return WS_SKIP_network_truncated;
    const uint8_t *ip = cursor->frame + cursor->at;
    const unsigned payload = ws_be16(ip + 4);
    unsigned next = ip[6];
    uint32_t header = IPV6_HEADER;
    memcpy(packet->source, ip + 8, 16);
    memcpy(packet->destination, ip + 24, 16);
    packet->ip_length = IPV6_HEADER + payload;
    if (payload == 0 && next != 59) /* offload or a jumbogram; 59: nothing follows */
        packet->ip_length = length_from_wire(cursor, packet);
    cursor->at += IPV6_HEADER;
    while (is_extension(next)) {
        if (ws_cursor_left(cursor) < 8)
            return header + 8 > packet->ip_length ? WS_SKIP_network_malformed : WS_SKIP_network_truncated;
        const uint8_t *extension = cursor->frame + cursor->at;
        const uint32_t bytes = next == 44 ? 8 : next == 51 ? (extension[1] + 2u) * 4 : (extension[1] + 1u) * 8;
        header += bytes;
        if (header > packet->ip_length || header > UINT16_MAX - 60)
            return WS_SKIP_network_malformed;
        if (ws_cursor_left(cursor) < bytes)
            return WS_SKIP_network_truncated;
        cursor->at += bytes;
        const bool later = next == 44 && ws_be16(extension + 2) & 0xfff8;
        next = extension[0];
        packet->protocol = (uint8_t)next;
        if (later)
            return WS_SKIP_fragment_later;
    }
    packet->protocol = (uint8_t)next;
    packet->header_length = (uint16_t)header;
    return WS_SKIP_NONE;
}

ALWAYS_INLINE ws_skip decode_tcp(const frame_cursor *cursor, ws_packet *packet)
{
    const uint32_t room = packet->ip_length - packet->header_length; /* by the IP header */
    if (room < TCP_HEADER)
        return WS_SKIP_transport_malformed;
    if (ws_cursor_left(cursor) < TCP_NEEDED)
        return WS_SKIP_transport_truncated;
    const uint8_t *tcp = cursor->frame + cursor->at;
    const unsigned header = (tcp[12] >> 4) * 4u;
    if (header < TCP_HEADER || header > room)
        return WS_SKIP_transport_malformed;
    packet->source_port = ws_be16(tcp);
    packet->destination_port = ws_be16(tcp + 2);
    packet->sequence = ws_be32(tcp + 4);
    packet->acknowledgement = ws_be32(tcp + 8);
    packet->tcp_flags = tcp[13];
    packet->window = ws_be16(tcp + 14);
    packet->header_length = (uint16_t)(packet->header_length + header);
    packet->payload_length = room - header;
    return WS_SKIP_NONE;
}

ALWAYS_INLINE ws_skip decode_udp(const frame_cursor *cursor, ws_packet *packet)
{
    const uint32_t room = packet->ip_length - packet->header_length;
    if (room < UDP_HEADER)
        return WS_SKIP_transport_malformed;
    if (ws_cursor_left(cursor) < UDP_NEEDED)
        return WS_SKIP_transport_truncated;
    const uint8_t *udp = cursor->frame + cursor->at;
    packet->source_port = ws_be16(udp);
    packet->destination_port = ws_be16(udp + 2);
    packet->header_length = (uint16_t)(packet->header_length + UDP_HEADER);
    packet->payload_length = room - UDP_HEADER;
    return WS_SKIP_NONE;
}

/* Which IP it is stands in its own first byte; the link header must not say otherwise. */
ALWAYS_INLINE ws_skip decode_network(frame_cursor *cursor, int link_type, ws_packet *packet)
{
    if (ws_cursor_left(cursor) < 1)
        return WS_SKIP_network_truncated;
    const unsigned version = cursor->frame[cursor->at] >> 4;
    if ((version != 4 && version != 6) || (link_type == 228 && version != 4) || (link_type == 229 && version != 6))
        return WS_SKIP_network_malformed;
    packet->ip_version = (uint8_t)version;
    packet->ip_offset = cursor->at;
    return version == 4 ? decode_ipv4(cursor, packet) : decode_ipv6(cursor, packet);
}

/* From the IP header on; leaves the cursor at the transport header where there is one. */
ALWAYS_INLINE ws_skip decode_packet(frame_cursor *cursor, int link_type, ws_packet *packet)
{
    const ws_skip skip = decode_network(cursor, link_type, packet);
    if (skip != WS_SKIP_NONE)
        return skip;
    packet->network_length = packet->header_length;
    if (packet->protocol == PROTOCOL_TCP)
        return decode_tcp(cursor, packet);
    if (packet->protocol == PROTOCOL_UDP)
        return decode_udp(cursor, packet);
    return WS_SKIP_protocol_other;
}

static inline void begin_packet(ws_packet *packet, const frame_cursor *cursor, uint32_t wire_length, int64_t time_ns)
{
    static const ws_packet
        empty; /* copied: a memset of this size becomes a string instruction, which is slow to start */
    *packet = empty;
    packet->time_ns = time_ns;
    packet->captured_length = cursor->captured;
    packet->wire_length = wire_length;
}

/* Most frames are IPv4 right behind an Ethernet header: those need no call. */
static inline ws_skip decode_frame(frame_cursor *cursor, int link_type, ws_packet *packet)
{
    ws_skip skip = WS_SKIP_NONE;
    if (link_type == LINK_ETHERNET && cursor->captured >= ETHERNET_HEADER && ws_be16(cursor->frame + 12) == 0x0800)
        cursor->at = ETHERNET_HEADER;
    else
        skip = ws_decode_link(cursor, link_type);
    return skip == WS_SKIP_NONE ? decode_packet(cursor, link_type, packet) : skip;
}

ws_skip ws_packet_decode(const uint8_t *frame, uint32_t captured_length, uint32_t wire_length, int link_type,
                         int64_t time_ns, ws_packet *out)
{
    frame_cursor cursor = {frame, captured_length, 0, 0};
    begin_packet(out, &cursor, wire_length, time_ns);
    return decode_frame(&cursor, link_type, out);
}

ws_skip ws_packet_decode_inner(const uint8_t *frame, uint32_t captured_length, uint32_t wire_length, int link_type,
                               int64_t time_ns, ws_packet *out)
{
    frame_cursor cursor = {frame, captured_length, 0, 0};
    begin_packet(out, &cursor, wire_length, time_ns);
    ws_skip skip = decode_frame(&cursor, link_type, out), inner = skip;
    ws_packet packet = *out;
    for (int depth = 0; depth < TUNNEL_DEPTH && (inner == WS_SKIP_NONE || inner == WS_SKIP_protocol_other); depth++) {
        if (!ws_decode_tunnel(&cursor, &packet))
            break;
        begin_packet(&packet, &cursor, wire_length, time_ns);
        inner = decode_packet(&cursor, LINK_RAW, &packet);
        if (inner == WS_SKIP_NONE) {
            *out = packet;
            skip = inner;
        }
    }
    return skip;
}
