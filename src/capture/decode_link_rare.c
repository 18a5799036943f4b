/* Link layers and EtherTypes that are seldom met: older networks, firewalls' and operating systems' own headers, and tags of
 * switches. All end at an IP header by way of an EtherType, LLC, PPP, Ethernet, or directly; whatever is not here is
 * WS_SKIP_link_unsupported, or no IP where its EtherType says so. The frequent ones are in decode_link.c.
 *
 * Sources: the pages of each link type at tcpdump.org/linktypes; RFC 1042 (token ring, FDDI), 1051 and 1201 (ARCNET), 2427
 * (frame relay), 2625 (Fibre Channel), 2684 (ATM), 2734 (IEEE 1394), 4391 (InfiniBand), 8300 (NSH), 6325 (TRILL);
 * 802.1ah, 802.1AE, 802.1BR.
 */
#include "capture/decode.h"

enum { ETHERTYPE_IPV4 = 0x0800, ETHERTYPE_IPV6 = 0x86dd, ETHERTYPE_MPLS = 0x8847, ETHERTYPE_LLC = 0 };

static bool has(const frame_cursor *cursor, uint32_t bytes)
{
    return ws_cursor_left(cursor) >= bytes;
}

static const uint8_t *here(const frame_cursor *cursor)
{
    return cursor->frame + cursor->at;
}

/* Behind a header of fixed length: what it carries. */
static ws_skip behind(frame_cursor *cursor, uint32_t header, ws_skip (*decode)(frame_cursor *))
{
    if (!has(cursor, header))
        return WS_SKIP_link_truncated;
    cursor->at += header;
    return decode(cursor);
}

static ws_skip decode_ip(frame_cursor *cursor)
{
    (void)cursor; /* the header says itself which IP it is */
    return WS_SKIP_NONE;
}

static ws_skip decode_llc(frame_cursor *cursor)
{
    return ws_decode_ethertype(cursor, ETHERTYPE_LLC);
}

/* A header of fixed length with an EtherType in it. */
static ws_skip typed(frame_cursor *cursor, uint32_t header, uint32_t type_at)
{
    if (!has(cursor, header))
        return WS_SKIP_link_truncated;
    const unsigned type = ws_be16(here(cursor) + type_at);
    cursor->at += header;
    return ws_decode_ethertype(cursor, type);
}

/* ---------------------------------------------------------------- rings, stars and serial lines */
static ws_skip decode_token_ring(frame_cursor *cursor)
{
    if (!has(cursor, 14))
        return WS_SKIP_link_truncated;
    const uint8_t *frame = here(cursor);
    if ((frame[1] & 0xc0) != 0x40) /* control of the ring */
        return WS_SKIP_not_ip;
    uint32_t header = 14;
    if (frame[8] & 0x80) { /* the route that bridges took, with its length in front */
        if (!has(cursor, 15))
            return WS_SKIP_link_truncated;
        const uint32_t route = frame[14] & 0x1f;
        if (route < 2)
            return WS_SKIP_link_unsupported;
        header += route;
    }
    return behind(cursor, header, decode_llc);
}

static ws_skip decode_fddi(frame_cursor *cursor)
{
    if (!has(cursor, 1))
        return WS_SKIP_link_truncated;
    if ((here(cursor)[0] & 0x70) != 0x50) /* synchronous or asynchronous LLC */
        return WS_SKIP_not_ip;
    return behind(cursor, 13, decode_llc);
}

/* head: bytes before the protocol. RFC 1201 splits packets, and writes 0xff before some that would have a forbidden length;
 * RFC 1051 does neither. */
static ws_skip decode_arcnet(frame_cursor *cursor, uint32_t head)
{
    enum { OLD_IP = 240, IP = 212, IPV6 = 196 };
    if (!has(cursor, head + 1))
        return WS_SKIP_link_truncated;
    const unsigned protocol = here(cursor)[head];
    if (protocol == OLD_IP)
        return behind(cursor, head + 1, decode_ip);
    if (protocol != IP && protocol != IPV6)
        return WS_SKIP_not_ip;
    if (!has(cursor, head + 4))
        return WS_SKIP_link_truncated;
    uint32_t at = head + 1;
    if (here(cursor)[at] == 0xff) {
        at += 4;
        if (!has(cursor, at + 3))
            return WS_SKIP_link_truncated;
    }
    const unsigned split = here(cursor)[at];
    if (split != 0 && (split & 1) == 0) /* the second part or a later one */
        return WS_SKIP_link_unsupported;
    return behind(cursor, at + 3, decode_ip);
}

/* Multiprotocol over frame relay (RFC 2427), or an EtherType behind the address as Cisco has it. */
static ws_skip decode_frame_relay(frame_cursor *cursor)
{
    enum { UNNUMBERED = 0x03, NLPID_SNAP = 0x80, NLPID_IPV6 = 0x8e, NLPID_IPV4 = 0xcc, NLPID_PPP = 0xcf };
    uint32_t address = 1;
    while (address <= 4 && has(cursor, address) && (here(cursor)[address - 1] & 1) == 0)
        address++;
    if (address > 4)
        return WS_SKIP_link_unsupported;
    if (!has(cursor, address + 2))
        return WS_SKIP_link_truncated;
    cursor->at += address;
    if (here(cursor)[0] != UNNUMBERED)
        return typed(cursor, 2, 0);
    cursor->at++;
    if (here(cursor)[0] == 0 && has(cursor, 2)) /* padding */
        cursor->at++;
    switch (here(cursor)[0]) {
    case NLPID_IPV4:
    case NLPID_IPV6:
        return behind(cursor, 1, decode_ip);
    case NLPID_PPP:
        return behind(cursor, 1, ws_decode_ppp);
    case NLPID_SNAP:
        if (!has(cursor, 6))
            return WS_SKIP_link_truncated;
        if (memcmp(here(cursor) + 1, "\x00\x80\xc2", 3) == 0 && (here(cursor)[5] == 1 || here(cursor)[5] == 7))
            return behind(cursor, 6, ws_decode_ethernet); /* bridged */
        return memcmp(here(cursor) + 1, "\0\0\0", 3) == 0 ? typed(cursor, 6, 4) : WS_SKIP_not_ip;
    default:
        return WS_SKIP_not_ip;
    }
}

/* Classical IP over ATM: with LLC, or IP at once. */
static ws_skip decode_clip(frame_cursor *cursor)
{
    const bool llc = has(cursor, 3) && memcmp(here(cursor), "\xaa\xaa\x03", 3) == 0;
    return llc ? decode_llc(cursor) : WS_SKIP_NONE;
}

static ws_skip decode_sun_atm(frame_cursor *cursor)
{
    enum { LANE = 1, LLC = 2 };
    if (!has(cursor, 4))
        return WS_SKIP_link_truncated;
    switch (here(cursor)[0] & 15) {
    case LANE:
        return behind(cursor, 4 + 2, ws_decode_ethernet);
    case LLC:
        return behind(cursor, 4, decode_llc);
    default:
        return WS_SKIP_link_unsupported;
    }
}

/* The direction stands where PPP has its address byte. */
static ws_skip decode_pppd(frame_cursor *cursor)
{
    if (!has(cursor, 2))
        return WS_SKIP_link_truncated;
    return behind(cursor, here(cursor)[1] == 0x03 ? 2 : 1, ws_decode_ppp);
}

static ws_skip decode_serial_by_link_type(frame_cursor *cursor)
{
    enum { LINK_PPP = 9 };
    return ws_decode_link(cursor, LINK_PPP);
}

/* ---------------------------------------------------------------- headers of operating systems */
/* The header's length, without the padding to a multiple of 4, is its first byte. */
static ws_skip decode_pflog(frame_cursor *cursor)
{
    if (!has(cursor, 4))
        return WS_SKIP_link_truncated;
    const uint32_t length = (here(cursor)[0] + 3u) / 4 * 4;
    return length < 4 ? WS_SKIP_link_unsupported : behind(cursor, length, decode_ip);
}

/* Looks along the values of a Netfilter log for the packet; they are in the byte order of the machine that wrote them. */
static bool find_nflog_packet(frame_cursor *cursor, bool big)
{
    enum { PAYLOAD = 9, HEADER = 4 };
    for (uint32_t at = cursor->at + HEADER; at + HEADER <= cursor->captured;) {
        const uint8_t *value = cursor->frame + at;
        const uint32_t length = big ? ws_be16(value) : value[0] | (uint32_t)value[1] << 8;
        const uint32_t type = big ? ws_be16(value + 2) : value[2] | (uint32_t)value[3] << 8;
        if (length < HEADER)
            return false;
        if (type == PAYLOAD) {
            cursor->at = at + HEADER;
            return true;
        }
        at += (length + 3) / 4 * 4;
    }
    return false;
}

static ws_skip decode_nflog(frame_cursor *cursor)
{
    enum { FAMILY_IPV4 = 2, FAMILY_IPV6 = 10 };
    if (!has(cursor, 4))
        return WS_SKIP_link_truncated;
    const unsigned family = here(cursor)[0], version = here(cursor)[1];
    if (version != 0)
        return WS_SKIP_link_unsupported;
    if (family != FAMILY_IPV4 && family != FAMILY_IPV6)
        return WS_SKIP_not_ip;
    return find_nflog_packet(cursor, false) || find_nflog_packet(cursor, true) ? WS_SKIP_NONE : WS_SKIP_link_truncated;
}

/* Length, kind of record and link type of what follows, in the byte order of the machine that wrote them. */
static ws_skip decode_pktap(frame_cursor *cursor)
{
    enum { PACKET = 1, LINK_PKTAP = 258, LEAST = 12, MOST = 4096 };
    if (!has(cursor, LEAST))
        return WS_SKIP_link_truncated;
    const bool swapped = ws_file32(here(cursor), false) > MOST;
    const uint32_t length = ws_file32(here(cursor), swapped), kind = ws_file32(here(cursor) + 4, swapped);
    const uint32_t link_type = ws_file32(here(cursor) + 8, swapped);
    if (length < LEAST || length > MOST || link_type == LINK_PKTAP || link_type > 0xffff)
        return WS_SKIP_link_unsupported;
    if (kind != PACKET)
        return WS_SKIP_not_ip;
    if (!has(cursor, length))
        return WS_SKIP_link_truncated;
    cursor->at += length;
    return ws_decode_link(cursor, (int)link_type);
}

static ws_skip decode_erf(frame_cursor *cursor)
{
    enum { LINK_ERF = 197 };
    uint32_t frame_at;
    int link_type;
    if (!ws_erf_frame(here(cursor), ws_cursor_left(cursor), &frame_at, &link_type))
        return WS_SKIP_link_truncated;
    if (link_type == LINK_ERF)
        return WS_SKIP_link_unsupported;
    cursor->at += frame_at;
    return ws_decode_link(cursor, link_type);
}

ws_skip ws_decode_link_rare(frame_cursor *cursor, int link_type)
{
    if (ws_cursor_too_deep(cursor))
        return WS_SKIP_link_unsupported;
    switch (link_type) {
    case 6:
        return decode_token_ring(cursor);
    case 7: /* ARCNET: of the BSDs; of Linux, with two bytes more */
        return decode_arcnet(cursor, 2);
    case 129:
        return decode_arcnet(cursor, 4);
    case 8: /* SLIP, behind what its header was compressed to */
        return behind(cursor, 16, decode_ip);
    case 10:
        return decode_fddi(cursor);
    case 11: /* ATM, RFC 2684 */
    case 100:
        return decode_llc(cursor);
    case 106:
        return decode_clip(cursor);
    case 107:
        return decode_frame_relay(cursor);
    case 109: /* OpenBSD's encapsulating interface */
        return behind(cursor, 12, decode_ip);
    case 117:
        return decode_pflog(cursor);
    case 122: /* IP over Fibre Channel */
        return behind(cursor, 16, decode_llc);
    case 123:
        return decode_sun_atm(cursor);
    case 138: /* IP over IEEE 1394 */
        return typed(cursor, 18, 16);
    case 166:
        return decode_pppd(cursor);
    case 197:
        return decode_erf(cursor);
    case 204: /* PPP, Cisco HDLC and frame relay, behind a byte for the direction */
    case 205:
        return behind(cursor, 1, decode_serial_by_link_type);
    case 206:
        return behind(cursor, 1, decode_frame_relay);
    case 226: /* Solaris' IP over any network */
        return behind(cursor, 24, decode_ip);
    case 239:
        return decode_nflog(cursor);
    case 240: /* Ethernet behind a tap's header, and behind its preamble too */
        return behind(cursor, 4, ws_decode_ethernet);
    case 241:
        return behind(cursor, 12, ws_decode_ethernet);
    case 242: /* InfiniBand, behind the global route */
        return typed(cursor, 44, 40);
    case 258:
        return decode_pktap(cursor);
    case 281: /* tags of switches between addresses and EtherType, or in front */
    case 284:
        return typed(cursor, 18, 16);
    case 282:
        return behind(cursor, 4, ws_decode_ethernet);
    case 285:
        return typed(cursor, 22, 20);
    default:
        return WS_SKIP_link_unsupported;
    }
}

/* ---------------------------------------------------------------- tags and labels by EtherType */
static ws_skip decode_nsh(frame_cursor *cursor)
{
    enum { IPV4 = 1, IPV6 = 2, ETHERNET = 3, MPLS = 5 };
    if (!has(cursor, 8))
        return WS_SKIP_link_truncated;
    const uint32_t length = (here(cursor)[1] & 0x3fu) * 4;
    const unsigned next = here(cursor)[3];
    if (length < 8)
        return WS_SKIP_link_unsupported;
    if (!has(cursor, length))
        return WS_SKIP_link_truncated;
    cursor->at += length;
    switch (next) {
    case IPV4:
        return ws_decode_ethertype(cursor, ETHERTYPE_IPV4);
    case IPV6:
        return ws_decode_ethertype(cursor, ETHERTYPE_IPV6);
    case ETHERNET:
        return ws_decode_ethernet(cursor);
    case MPLS:
        return ws_decode_ethertype(cursor, ETHERTYPE_MPLS);
    default:
        return WS_SKIP_not_ip;
    }
}

static ws_skip decode_macsec(frame_cursor *cursor)
{
    enum { CHANNEL = 0x20, ENCRYPTED = 0x08, CHANGED = 0x04 };
    if (!has(cursor, 1))
        return WS_SKIP_link_truncated;
    const unsigned control = here(cursor)[0];
    if (control & (ENCRYPTED | CHANGED))
        return WS_SKIP_link_unsupported;
    const uint32_t tag = control & CHANNEL ? 14 : 6;
    return typed(cursor, tag + 2, tag);
}

static ws_skip decode_trill(frame_cursor *cursor)
{
    if (!has(cursor, 6))
        return WS_SKIP_link_truncated;
    const uint32_t options = (ws_be16(here(cursor)) >> 6 & 0x1fu) * 4;
    return behind(cursor, 6 + options, ws_decode_ethernet);
}

ws_skip ws_decode_ethertype_rare(frame_cursor *cursor, unsigned type)
{
    if (ws_cursor_too_deep(cursor))
        return WS_SKIP_link_unsupported;
    switch (type) {
    case 0x22f3:
        return decode_trill(cursor);
    case 0x6558: /* transparent bridging */
        return ws_decode_ethernet(cursor);
    case 0x88e5:
        return decode_macsec(cursor);
    case 0x88e7: /* provider backbone bridges */
        return behind(cursor, 4, ws_decode_ethernet);
    case 0x8903: /* FabricPath */
        return behind(cursor, 2, ws_decode_ethernet);
    case 0x8909: /* Cisco's security group */
        return typed(cursor, 8, 6);
    case 0x8926: /* VN-Tag */
    case 0x892f: /* redundant rings, IEC 62439-3 */
    case 0xf1c1: /* frame replication, 802.1CB */
        return typed(cursor, 6, 4);
    case 0x893f: /* E-Tag */
        return typed(cursor, 8, 6);
    case 0x894f:
        return decode_nsh(cursor);
    default:
        return WS_SKIP_not_ip;
    }
}
