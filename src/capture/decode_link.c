/* Link layers: from the first byte of a frame to its IP header. VLAN tags and MPLS labels to any depth, PPPoE, LLC/SNAP,
 * 802.11 data frames behind any of their monitor headers. Nothing is decrypted; of an aggregate of several frames none is
 * taken. What is seldom met is in decode_link_rare.c.
 *
 * Sources: IEEE 802.3, 802.1Q, 802.2, 802.11; MPLS RFC 3032, pseudowires RFC 4448; PPP RFC 1661/1662, PPPoE RFC 2516; radiotap
 * (radiotap.org), PPI; numbers of link types as registered at tcpdump.org.
 */
#include "capture/decode.h"

enum {
    ETHERTYPE_LEAST = 0x0600, /* smaller numbers are the length of an 802.3 frame */
    LINK_ETHERNET = 1,
    LINK_PPP = 9,
    LINK_PPP_SERIAL = 50,
    LINK_PPP_ETHER = 51,
    LINK_CISCO_HDLC = 104,
    LINK_80211 = 105,
    LINK_COOKED = 113,
    LINK_80211_PRISM = 119,
    LINK_80211_RADIOTAP = 127,
    LINK_80211_AVS = 163,
    LINK_PPI = 192,
    LINK_COOKED_2 = 276,
};

static bool skip_bytes(frame_cursor *cursor, uint32_t bytes)
{
    if (ws_cursor_left(cursor) < bytes)
        return false;
    cursor->at += bytes;
    return true;
}

static const uint8_t *here(const frame_cursor *cursor)
{
    return cursor->frame + cursor->at;
}

/* The label stack does not say what it carries: IP tells by its version, and a pseudowire is Ethernet, behind a control
 * word of zeros or at once. */
static ws_skip decode_mpls(frame_cursor *cursor)
{
    for (bool bottom = false; !bottom;) {
        if (ws_cursor_left(cursor) < 4)
            return WS_SKIP_link_truncated;
        bottom = here(cursor)[2] & 1;
        cursor->at += 4;
    }
    if (ws_cursor_left(cursor) < 2)
        return WS_SKIP_link_truncated;
    const unsigned nibble = here(cursor)[0] >> 4;
    if (nibble == 4 || nibble == 6)
        return WS_SKIP_NONE;
    if (nibble == 1) /* associated channel: management of the pseudowire */
        return WS_SKIP_not_ip;
    if (ws_be16(here(cursor)) == 0 && !skip_bytes(cursor, 4))
        return WS_SKIP_link_truncated;
    return ws_cursor_too_deep(cursor) ? WS_SKIP_link_unsupported : ws_decode_ethernet(cursor);
}

/* The protocol field may have one byte: then that is odd. */
static ws_skip decode_ppp_protocol(frame_cursor *cursor)
{
    if (ws_cursor_left(cursor) < 2)
        return WS_SKIP_link_truncated;
    const bool one = here(cursor)[0] & 1;
    const unsigned protocol = one ? here(cursor)[0] : ws_be16(here(cursor));
    cursor->at += one ? 1 : 2;
    switch (protocol) {
    case 0x0021: /* IPv4 */
    case 0x0057: /* IPv6 */
        return WS_SKIP_NONE;
    case 0x0281: /* MPLS */
    case 0x0283:
        return decode_mpls(cursor);
    case 0x002d: /* compressed TCP headers */
    case 0x002f:
    case 0x00fd: /* compressed datagram */
    case 0x003d: /* multilink */
        return WS_SKIP_link_unsupported;
    default:
        return WS_SKIP_not_ip;
    }
}

ws_skip ws_decode_ppp(frame_cursor *cursor)
{
    if (ws_cursor_left(cursor) >= 2 && ws_be16(here(cursor)) == 0xff03)
        cursor->at += 2;
    return decode_ppp_protocol(cursor);
}

static ws_skip decode_pppoe(frame_cursor *cursor)
{
    if (ws_cursor_left(cursor) < 6)
        return WS_SKIP_link_truncated;
    const bool session = here(cursor)[0] == 0x11 && here(cursor)[1] == 0; /* version and type 1, code 0 */
    cursor->at += 6;
    return session ? decode_ppp_protocol(cursor) : WS_SKIP_not_ip;
}

/* LLC, and in it SNAP, which may give an EtherType again. */
static ws_skip decode_llc(frame_cursor *cursor, unsigned *type)
{
    *type = 0;
    if (ws_cursor_left(cursor) >= 3 && memcmp(here(cursor), "\x06\x06\x03", 3) == 0) { /* IP has a number of its own */
        cursor->at += 3;
        *type = 0x0800;
        return WS_SKIP_NONE;
    }
    if (ws_cursor_left(cursor) < 8)
        return WS_SKIP_not_ip;
    const uint8_t *llc = here(cursor);
    if (memcmp(llc, "\xaa\xaa\x03\0\0", 5) != 0 || (llc[5] != 0 && llc[5] != 0xf8)) /* RFC 1042, 802.1H */
        return WS_SKIP_not_ip;
    *type = ws_be16(llc + 6);
    cursor->at += 8;
    return *type < ETHERTYPE_LEAST ? WS_SKIP_not_ip : WS_SKIP_NONE;
}

ws_skip ws_decode_ethertype(frame_cursor *cursor, unsigned type)
{
    for (;;) {
        switch (type) {
        case 0x0800: /* IPv4 */
        case 0x86dd: /* IPv6 */
            return WS_SKIP_NONE;
        case 0x8100: /* 802.1Q */
        case 0x88a8: /* 802.1ad */
        case 0x9100: /* QinQ before 802.1ad */
            if (ws_cursor_left(cursor) < 4)
                return WS_SKIP_link_truncated;
            type = ws_be16(here(cursor) + 2);
            cursor->at += 4;
            continue;
        case 0x8847: /* MPLS */
        case 0x8848:
            return decode_mpls(cursor);
        case 0x8864: /* PPPoE session */
            return decode_pppoe(cursor);
        default:
            break;
        }
        if (type >= ETHERTYPE_LEAST)
            return ws_decode_ethertype_rare(cursor, type);
        const ws_skip skip = decode_llc(cursor, &type);
        if (skip != WS_SKIP_NONE)
            return skip;
    }
}

ws_skip ws_decode_ethernet(frame_cursor *cursor)
{
    if (ws_cursor_left(cursor) < 14)
        return WS_SKIP_link_truncated;
    const unsigned type = ws_be16(here(cursor) + 12);
    cursor->at += 14;
    return ws_decode_ethertype(cursor, type);
}

/* ---------------------------------------------------------------- 802.11 */
/* An aggregate of one frame: two addresses, a length, LLC. One of several frames is several packets, which a record cannot be. */
static ws_skip decode_aggregate(frame_cursor *cursor)
{
    if (ws_cursor_left(cursor) < 14)
        return WS_SKIP_link_truncated;
    const uint32_t length = 14u + ws_be16(here(cursor) + 12);
    if (ws_cursor_left(cursor) > (length + 3) / 4 * 4 + 4) /* padding and check sum */
        return WS_SKIP_link_unsupported;
    cursor->at += 14;
    return ws_decode_ethertype(cursor, 0);
}

/* A data frame without encryption. padded: the header is filled up to a multiple of 4 bytes. */
static ws_skip decode_80211(frame_cursor *cursor, bool padded)
{
    if (ws_cursor_left(cursor) < 2)
        return WS_SKIP_link_truncated;
    const unsigned control = here(cursor)[0], flags = here(cursor)[1];
    const unsigned type = control >> 2 & 3, subtype = control >> 4;
    if ((control & 3) != 0) /* version */
        return WS_SKIP_link_unsupported;
    if (type != 2 || subtype & 4) /* management, control; data frames without data */
        return WS_SKIP_not_ip;
    const bool four_addresses = (flags & 3) == 3, quality = subtype & 8, order = flags & 0x80;
    uint32_t header = 24u + (four_addresses ? 6u : 0u), quality_at = header;
    header += (quality ? 2u : 0u) + (quality && order ? 4u : 0u);
    if (padded)
        header = (header + 3) / 4 * 4;
    if (ws_cursor_left(cursor) < header)
        return WS_SKIP_link_truncated;
    const bool aggregate = quality && here(cursor)[quality_at] & 0x80;
    const bool later_fragment = here(cursor)[22] & 15;
    if (flags & 0x40 || later_fragment) /* 0x40: encrypted */
        return WS_SKIP_link_unsupported;
    cursor->at += header;
    if (aggregate)
        return decode_aggregate(cursor);
    return ws_decode_ethertype(cursor, 0); /* LLC follows */
}

/* Whether the radiotap header says that the 802.11 header is padded: in its flags, the second field, behind a time stamp
 * of 8 aligned bytes. */
static bool radiotap_says_padded(const uint8_t *header, uint32_t length)
{
    enum { HAS_TIME = 1, HAS_FLAGS = 2, FLAG_PADDED = 0x20 };
    uint32_t at = 4;
    const uint32_t present = ws_file32(header + at, __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__);
    for (uint32_t word = present; word >> 31;
         word = ws_file32(header + at, __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__)) {
        at += 4;
        if (at + 4 > length)
            return false;
    }
    at += 4;
    if (present & HAS_TIME)
        at = (at + 7) / 8 * 8 + 8;
    return present & HAS_FLAGS && at < length && header[at] & FLAG_PADDED;
}

static ws_skip decode_radiotap(frame_cursor *cursor)
{
    if (ws_cursor_left(cursor) < 8)
        return WS_SKIP_link_truncated;
    const uint32_t length = here(cursor)[2] | (uint32_t)here(cursor)[3] << 8;
    if (length < 8)
        return WS_SKIP_link_unsupported;
    if (ws_cursor_left(cursor) < length)
        return WS_SKIP_link_truncated;
    const bool padded = radiotap_says_padded(here(cursor), length);
    cursor->at += length;
    return decode_80211(cursor, padded);
}

/* Prism and AVS headers have their length in the second word: that of AVS is big-endian and begins with a magic, that of
 * Prism is in the order of the machine that wrote it. */
static ws_skip decode_monitor_words(frame_cursor *cursor)
{
    if (ws_cursor_left(cursor) < 8)
        return WS_SKIP_link_truncated;
    uint32_t length = ws_be32(here(cursor) + 4);
    if (length > 0xffff)
        length = __builtin_bswap32(length);
    if (length < 8 || length > 0xffff)
        return WS_SKIP_link_unsupported;
    if (!skip_bytes(cursor, length))
        return WS_SKIP_link_truncated;
    return decode_80211(cursor, false);
}

/* A header of 8 bytes and fields, little-endian, with the link type of what follows. */
static ws_skip decode_ppi(frame_cursor *cursor)
{
    if (ws_cursor_left(cursor) < 8)
        return WS_SKIP_link_truncated;
    const uint8_t *header = here(cursor);
    const uint32_t length = header[2] | (uint32_t)header[3] << 8;
    const uint32_t link_type =
        header[4] | (uint32_t)header[5] << 8 | (uint32_t)header[6] << 16 | (uint32_t)header[7] << 24;
    if (length < 8 || link_type == LINK_PPI || link_type > 0xffff)
        return WS_SKIP_link_unsupported;
    if (!skip_bytes(cursor, length))
        return WS_SKIP_link_truncated;
    return ws_decode_link(cursor, (int)link_type);
}

/* ---------------------------------------------------------------- all link types */
/* The address family of null and loop frames: of this or another machine's byte order, with each system's number of
 * IPv6. */
static ws_skip decode_family(frame_cursor *cursor)
{
    if (ws_cursor_left(cursor) < 4)
        return WS_SKIP_link_truncated;
    uint32_t family = ws_be32(here(cursor));
    if (family > 0xffff)
        family = __builtin_bswap32(family);
    cursor->at += 4;
    switch (family) {
    case 2:  /* IPv4 */
    case 10: /* IPv6: Linux */
    case 24: /* NetBSD, OpenBSD */
    case 28: /* FreeBSD */
    case 30: /* Darwin */
        return WS_SKIP_NONE;
    default: /* some writers put an EtherType there */
        return ws_be16(here(cursor) - 2) == 0x0800 || ws_be16(here(cursor) - 2) == 0x86dd ? WS_SKIP_NONE
                                                                                          : WS_SKIP_not_ip;
    }
}

/* A header of fixed length with an EtherType in it. */
static ws_skip decode_typed(frame_cursor *cursor, uint32_t header, uint32_t type_at)
{
    if (ws_cursor_left(cursor) < header)
        return WS_SKIP_link_truncated;
    const unsigned type = ws_be16(here(cursor) + type_at);
    cursor->at += header;
    return ws_decode_ethertype(cursor, type);
}

/* PPP in frames like those of HDLC, or Cisco's own frames, which begin with another address. */
static ws_skip decode_serial(frame_cursor *cursor)
{
    if (ws_cursor_left(cursor) >= 1 && (here(cursor)[0] == 0x0f || here(cursor)[0] == 0x8f))
        return decode_typed(cursor, 4, 2);
    return ws_decode_ppp(cursor);
}

ws_skip ws_decode_link(frame_cursor *cursor, int link_type)
{
    switch (link_type) {
    case LINK_ETHERNET:
        return ws_decode_ethernet(cursor);
    case LINK_COOKED:
        return decode_typed(cursor, 16, 14);
    case LINK_COOKED_2:
        return decode_typed(cursor, 20, 0);
    case 0:   /* null */
    case 108: /* loop */
        return decode_family(cursor);
    case 12: /* raw IP, under all of its numbers */
    case 14:
    case 101:
    case 228:
    case 229:
        return WS_SKIP_NONE;
    case LINK_PPP:
    case LINK_PPP_SERIAL:
        return decode_serial(cursor);
    case LINK_PPP_ETHER:
        return decode_pppoe(cursor);
    case LINK_CISCO_HDLC:
        return decode_serial(cursor);
    case LINK_80211:
        return decode_80211(cursor, false);
    case LINK_80211_RADIOTAP:
        return decode_radiotap(cursor);
    case LINK_80211_PRISM:
    case LINK_80211_AVS:
        return decode_monitor_words(cursor);
    case LINK_PPI:
        return decode_ppi(cursor);
    default:
        return ws_decode_link_rare(cursor, link_type);
    }
}
