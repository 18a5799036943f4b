/* The byte view: the first bytes of header and payload of a packet, cut out of its frame and stripped of what says who it
 * was. Pure; what is stripped here never leaves the rank that read the frame.
 *
 * Bytes begin at the IP header, so no link address is ever kept. Header and payload are found by their lengths, not by
 * searching one in the other. Checksums are as they were unless identity is stripped too.
 */
#include "flow/flow.h"

#include <stdlib.h>

enum {
    ICMP = 1,
    TCP = 6,
    UDP = 17,
    DCCP = 33,
    ROUTING = 43, /* IPv6 extension headers */
    FRAGMENT = 44,
    AUTHENTICATION = 51,
    ICMPV6 = 58,
    DESTINATION_OPTIONS = 60,
    SCTP = 132,
    MOBILITY = 135,
    UDP_LITE = 136,
    HOST_IDENTITY = 139,
    SHIM6 = 140,
    MOST_PACKETS = 1024,
    MOST_BYTES = 65535, /* of a packet */
};

const char *const ws_strip_names[] = {"nothing", "addresses", "endpoints", "identity"};

/* ---------------------------------------------------------------- what is kept, as text */
/* "name:number" and what ends it. */
static bool read_part(const char *text, const char *name, uint32_t *out, const char **end)
{
    const size_t length = strlen(name);
    char *stop = NULL;
    if (strncmp(text, name, length) != 0 || text[length] != ':' || text[length + 1] < '0' || text[length + 1] > '9')
        return false;
    const unsigned long value = strtoul(text + length + 1, &stop, 10);
    *end = stop;
    *out = value > MOST_BYTES ? MOST_BYTES + 1 : (uint32_t)value;
    return *stop == ',' || *stop == '\0';
}

ws_err ws_byte_view_read(const char *text, ws_byte_view *out)
{
    ws_byte_view view = {.packets = 5, .header = 80, .payload = 240, .stripped = out->stripped};
    const struct {
        const char *name;
        uint32_t *value;
    } parts[] = {{"header", &view.header}, {"payload", &view.payload}, {"packets", &view.packets}};
    enum { PARTS = sizeof parts / sizeof *parts };
    const char *at = text, *end = text;
    bool given[PARTS] = {false}, sound;
    do {
        size_t p = 0;
        while (p < PARTS && !read_part(at, parts[p].name, parts[p].value, &end))
            p++;
        sound = p < PARTS;
        WS_CHECK(!sound || !given[p], ARGUMENT, "--bytes %s: %s is given twice", text, parts[p].name);
        if (sound)
            given[p] = true;
        at = end + 1;
    } while (sound && *end == ',');
    const uint32_t bytes = view.header + view.payload;
    sound = sound && view.packets >= 1 && view.packets <= MOST_PACKETS && bytes >= 1 && bytes <= MOST_BYTES;
    if (!sound) {
        ws_err error = WS_ERROR(ARGUMENT, "--bytes %s says not how many bytes of a flow are kept", text);
        WS_HINT("give it as header:80,payload:240,packets:5: at most %d packets of a flow, of each at most %d bytes",
                MOST_PACKETS, MOST_BYTES);
        return error;
    }
    *out = view;
    return WS_OK;
}

/* ---------------------------------------------------------------- stripping */
typedef struct kept_bytes {
    uint8_t *bytes;
    size_t count;
} kept_bytes;

static void clear(kept_bytes part, size_t from, size_t to)
{
    to = to < part.count ? to : part.count;
    if (from < to)
        memset(part.bytes + from, 0, to - from);
}

/* Options of IPv4 that list addresses: record route, time stamp, source routes. Type and length stay. Nothing does of what
 * cannot be told apart. */
static void strip_ipv4_options(kept_bytes header, size_t end)
{
    for (size_t at = 20; at + 1 < end && at + 1 < header.count;) {
        const uint8_t type = header.bytes[at], length = type <= 1 ? 1 : header.bytes[at + 1];
        if (type == 0 || (type > 1 && length < 2)) {
            clear(header, at, end);
            return;
        }
        if (type == 7 || type == 68 || type == 131 || type == 137)
            clear(header, at + 2, at + length < end ? at + length : end);
        at += length;
    }
}

/* A mobile node names its home address in an option (RFC 6275). */
static void strip_home_address(kept_bytes header, size_t from, size_t end)
{
    enum { PAD_ONE = 0, HOME_ADDRESS = 0xc9 };
    for (size_t at = from; at + 1 < end && at + 1 < header.count;) {
        const size_t length = header.bytes[at] == PAD_ONE ? 1 : 2u + header.bytes[at + 1];
        if (header.bytes[at] == HOME_ADDRESS)
            clear(header, at + 2, at + length < end ? at + length : end);
        at += length;
    }
}

/* Extension headers with addresses: the stations of a packet, other addresses of its sender. */
static void strip_ipv6_extensions(kept_bytes header, size_t end)
{
    uint8_t next = header.count > 6 ? header.bytes[6] : 0;
    for (size_t at = 40; at + 1 < end && at + 1 < header.count;) {
        const uint8_t *extension = header.bytes + at;
        const size_t length = next == FRAGMENT         ? 8
                              : next == AUTHENTICATION ? (extension[1] + 2u) * 4
                                                       : (extension[1] + 1u) * 8;
        const size_t behind = at + length < end ? at + length : end;
        if (next == ROUTING || next == MOBILITY || next == HOST_IDENTITY || next == SHIM6)
            clear(header, at + 4, behind);
        else if (next == DESTINATION_OPTIONS)
            strip_home_address(header, at + 2, behind);
        next = extension[0];
        at += length;
    }
}

static void strip_network(kept_bytes header, const ws_packet *packet, bool identity)
{
    if (packet->ip_version == 4) {
        clear(header, 12, 20);
        strip_ipv4_options(header, packet->network_length);
        clear(header, 4, identity ? 6 : 4); /* identification */
        clear(header, 8, identity ? 9 : 8); /* time to live */
        clear(header, 10, identity ? 12 : 10);
        return;
    }
    clear(header, 8, 40);
    strip_ipv6_extensions(header, packet->network_length);
    clear(header, 7, identity ? 8 : 7); /* hop limit */
    clear(header, 2, identity ? 4 : 2); /* flow label */
    if (identity && header.count > 1)
        header.bytes[1] &= 0xf0;
}

/* Options of TCP: an address that multipath TCP tells of; with identity, what holds sequence numbers, times, keys and cookies:
 * selective acknowledgements 5, time stamps 8, MD5 19, authentication 29, multipath 30, fast open 34. */
static void strip_tcp_options(kept_bytes header, size_t options, size_t end, bool identity)
{
    enum { MULTIPATH = 30, ADD_ADDRESS = 3 };
    for (size_t at = options; at + 1 < end && at + 1 < header.count;) {
        const uint8_t kind = header.bytes[at], length = kind <= 1 ? 1 : header.bytes[at + 1];
        const size_t behind = at + length < end ? at + length : end;
        if (kind == 0 || (kind > 1 && length < 2)) {
            clear(header, at, end);
            return;
        }
        if (kind == MULTIPATH && at + 2 < header.count && header.bytes[at + 2] >> 4 == ADD_ADDRESS)
            clear(header, at + 3, behind);
        if (identity && (kind == 5 || kind == 8 || kind == 19 || kind == 29 || kind == MULTIPATH || kind == 34))
            clear(header, at + 2, behind);
        at += length;
    }
}

static bool has_ports(uint8_t protocol)
{
    return protocol == TCP || protocol == UDP || protocol == DCCP || protocol == SCTP || protocol == UDP_LITE;
}

static bool is_echo(const ws_packet *packet, uint8_t type)
{
    return packet->protocol == ICMP ? type == 0 || type == 8
                                    : packet->protocol == ICMPV6 && (type == 128 || type == 129);
}

static void strip_transport(kept_bytes header, const ws_packet *packet, bool identity)
{
    const size_t at = packet->network_length;
    switch (packet->protocol) {
    case TCP:
        clear(header, at + 4, identity ? at + 12 : at); /* sequence and acknowledgement */
        clear(header, at + 16, identity ? at + 18 : at);
        strip_tcp_options(header, at + 20, packet->header_length, identity);
        break;
    case UDP:
    case UDP_LITE:
        clear(header, at + 6, identity ? at + 8 : at);
        break;
    case SCTP: /* tag and checksum */
        clear(header, at + 4, identity ? at + 12 : at);
        break;
    case ICMP:
    case ICMPV6: /* checksum, identifier, number */
        clear(header, at + 2, identity ? at + 8 : at);
        break;
    default:
        break;
    }
}

static void strip(const ws_byte_view *view, const ws_packet *packet, kept_bytes header, kept_bytes payload)
{
    const size_t at = packet->network_length;
    const bool identity = view->stripped >= WS_STRIP_IDENTITY;
    if (view->stripped == WS_STRIP_NOTHING)
        return;
    const bool echo = header.count > at && is_echo(packet, header.bytes[at]);
    strip_network(header, packet, identity);
    if (!has_ports(packet->protocol) && !echo) { /* errors, routing, tunnels: they speak of other addresses */
        clear(header, at + 4, header.count);
        clear(payload, 0, payload.count);
        return;
    }
    if (view->stripped >= WS_STRIP_ENDPOINTS && has_ports(packet->protocol))
        clear(header, at, at + 4);
    strip_transport(header, packet, identity);
}

/* ---------------------------------------------------------------- cutting */
/* The bytes of the frame in [from, from + length), as far as they were captured, to `out`. */
static uint16_t cut(const uint8_t *frame, const ws_packet *packet, uint64_t from, uint64_t length, uint32_t budget,
                    uint8_t *out)
{
    const uint64_t there = from < packet->captured_length ? packet->captured_length - from : 0;
    uint64_t count = length < budget ? length : budget;
    count = count < there ? count : there;
    if (count > 0)
        memcpy(out, frame + from, count);
    memset(out + count, 0, budget - count);
    return (uint16_t)count;
}

void ws_byte_view_take(const ws_byte_view *view, const uint8_t *frame, const ws_packet *packet, uint8_t *slot)
{
    uint8_t *header = slot + WS_BYTE_SLOT_HEAD, *payload = header + view->header;
    const uint64_t at = packet->ip_offset;
    const uint16_t kept[2] = {
        cut(frame, packet, at, packet->header_length, view->header, header),
        cut(frame, packet, at + packet->header_length, packet->payload_length, view->payload, payload)};
    memcpy(slot, kept, sizeof kept);
    strip(view, packet, (kept_bytes){header, kept[0]}, (kept_bytes){payload, kept[1]});
}
