/* Tunnels: from behind an outer IP header to the IP header inside. IP in IP (RFC 2003, RFC 4213), GRE with its keys and its
 * PPTP variant (RFC 2784, 2890, 2637), VXLAN (RFC 7348), GTP-U (3GPP TS 29.281). ESP and other encrypted ones have
 * nothing to show.
 */
#include "capture/decode.h"

enum {
    IP_IN_IP = 4,
    IPV6_IN_IP = 41,
    GRE = 47,
    UDP = 17,
    UDP_BYTES = 8,
    PORT_VXLAN = 4789,
    PORT_GTP_U = 2152,
};

/* A mirrored Ethernet frame behind so many bytes. */
static bool decode_mirrored(frame_cursor *cursor, uint32_t header)
{
    if (ws_cursor_left(cursor) < header)
        return false;
    cursor->at += header;
    return ws_decode_ethernet(cursor) == WS_SKIP_NONE;
}

static bool decode_gre(frame_cursor *cursor)
{
    if (ws_cursor_left(cursor) < 4)
        return false;
    const unsigned flags = ws_be16(cursor->frame + cursor->at), type = ws_be16(cursor->frame + cursor->at + 2);
    const unsigned version = flags & 7;
    if (flags & 0x4000 || version > 1) /* source routes */
        return false;
    uint32_t header = 4u + (flags & 0x8000 ? 4u : 0u) + (flags & 0x2000 ? 4u : 0u) + (flags & 0x1000 ? 4u : 0u);
    header += version == 1 && flags & 0x0080 ? 4u : 0u; /* acknowledgement */
    if (ws_cursor_left(cursor) < header)
        return false;
    cursor->at += header;
    switch (type) {
    case 0x6558: /* bridged Ethernet */
        return ws_decode_ethernet(cursor) == WS_SKIP_NONE;
    case 0x880b:
        return ws_decode_ppp(cursor) == WS_SKIP_NONE;
    case 0x88be: /* ERSPAN: with a sequence number comes a header of its own */
        return decode_mirrored(cursor, flags & 0x1000 ? 8 : 0);
    case 0x22eb: /* its third version: the last bit says that there are 8 bytes more */
        return ws_cursor_left(cursor) >= 12 && decode_mirrored(cursor, cursor->frame[cursor->at + 11] & 1 ? 20 : 12);
    default:
        return type >= 0x0600 && ws_decode_ethertype(cursor, type) == WS_SKIP_NONE;
    }
}

/* The highest flag says that a group policy stands where zeros would; the low ones are of other encapsulations. */
static bool decode_vxlan(frame_cursor *cursor)
{
    if (ws_cursor_left(cursor) < 8 || (cursor->frame[cursor->at] & 0x0f) != 0x08)
        return false;
    cursor->at += 8;
    return ws_decode_ethernet(cursor) == WS_SKIP_NONE;
}

/* A user packet of version 1, over its extension headers. */
static bool decode_gtp(frame_cursor *cursor)
{
    const uint8_t *gtp = cursor->frame + cursor->at;
    if (ws_cursor_left(cursor) < 8 || (gtp[0] & 0xf0) != 0x30 || gtp[1] != 0xff)
        return false;
    cursor->at += 8;
    if (gtp[0] & 7) {
        if (ws_cursor_left(cursor) < 4)
            return false;
        unsigned next = gtp[0] & 4 ? gtp[11] : 0;
        for (cursor->at += 4; next != 0;) {
            const uint32_t bytes = ws_cursor_left(cursor) < 1 ? 0 : cursor->frame[cursor->at] * 4u;
            if (bytes == 0 || ws_cursor_left(cursor) < bytes)
                return false;
            next = cursor->frame[cursor->at + bytes - 1];
            cursor->at += bytes;
        }
    }
    return true;
}

bool ws_decode_tunnel(frame_cursor *cursor, const ws_packet *packet)
{
    switch (packet->protocol) {
    case IP_IN_IP:
    case IPV6_IN_IP:
        return true;
    case GRE:
        return decode_gre(cursor);
    case UDP:
        if ((packet->destination_port != PORT_VXLAN && packet->destination_port != PORT_GTP_U) ||
            ws_cursor_left(cursor) < UDP_BYTES)
            return false;
        cursor->at += UDP_BYTES;
        return packet->destination_port == PORT_VXLAN ? decode_vxlan(cursor) : decode_gtp(cursor);
    default:
        return false;
    }
}
