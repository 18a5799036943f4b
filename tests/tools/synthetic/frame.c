/* Builds frames: link header, VLAN tags, IPv4 or IPv6, TCP or UDP with correct checksums, payload. */
#include <arpa/inet.h>
#include <byteswap.h>
#include "synthetic.h"

enum { IPV4_HEADER = 20, IPV6_HEADER = 40, EXTENSION = 8, UDP_HEADER = 8, TCP_HEADER = 20, ETHERNET_LEAST = 60 };
enum { SYN_FLAG = 2 };
enum { TYPE_IPV4 = 0x0800, TYPE_ARP = 0x0806, TYPE_VLAN = 0x8100, TYPE_QINQ = 0x88a8, TYPE_IPV6 = 0x86dd };

static uint8_t *put16(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
    return at + 2;
}

static uint8_t *put32(uint8_t *at, uint32_t value)
{
    return put16(put16(at, value >> 16), value);
}

static uint8_t *put_address(uint8_t *at, uint32_t group, int side)
{
    const uint8_t address[6] = {2, 0, (uint8_t)side, (uint8_t)(group >> 16), (uint8_t)(group >> 8), (uint8_t)group};
    memcpy(at, address, 6);
    return at + 6;
}

static uint8_t *put_link(uint8_t *at, int link, int vlan_tags, uint32_t type, int direction)
{
    switch (link) {
    case LINK_ETHERNET:
        at = put_address(put_address(at, 1, 1 - direction), 1, direction);
        for (int tag = vlan_tags; tag > 0; tag--)
            at = put16(put16(at, tag == 2 ? TYPE_QINQ : TYPE_VLAN), (uint32_t)(100 + tag));
        return put16(at, type);
    case LINK_NULL:
    case LINK_LOOP: { /* address family of the writing machine (BSD's numbers): host order, or network order for loop */
        uint32_t family = type == TYPE_IPV4 ? 2 : 24;
        return put32(at, link == LINK_NULL ? htonl(family) : family);
    }
    case LINK_SLL: /* packet type, ARPHRD_ETHER, address length, address, protocol */
        at = put16(put16(put16(at, direction ? 0 : 4), 1), 6);
        at = put_address(at, 1, direction);
        return put16(put16(at, 0), type);
    case LINK_SLL2: /* protocol, reserved, interface, ARPHRD_ETHER, packet type, address length, address */
        at = put16(put32(put16(put16(at, type), 0), 3), 1);
        *at++ = direction ? 0 : 4;
        *at++ = 6;
        return put16(put_address(at, 1, direction), 0);
    default:
        return at;
    }
}

static uint32_t sum16(const uint8_t *bytes, uint32_t count, uint32_t sum)
{
    uint64_t wide = sum;
    for (; count > 1; count -= 2, bytes += 2)
        wide += (uint32_t)(bytes[0] << 8 | bytes[1]);
    if (count)
        wide += (uint32_t)(bytes[0] << 8);
    while (wide >> 16)
        wide = (wide & 0xffff) + (wide >> 16);
    return (uint32_t)wide;
}

static uint32_t file32(const synthetic_options *options, uint32_t value)
{
    return options->swapped ? bswap_32(value) : value;
}

/* A chain of well-formed false pcap records; every second one ends exactly where the next true record begins. */
static void fill_with_records(const script *s, const script_packet *p, const synthetic_options *options,
                              uint8_t *payload)
{
    uint32_t at = (uint32_t)(p->time_ns / 1000 % 16), end = p->payload;
    memset(payload, 0, at < end ? at : end);
    for (uint32_t k = 0; at + 16 <= end; k++) {
        uint32_t left = end - at - 16, length = 40 + (p->payload + k * 7) % 90;
        bool last = left < length + 16 + 130;
        if (last)
            length = p->time_ns / 1000 % 2 ? left : left + 33;
        const uint32_t header[4] = {file32(options, (uint32_t)(p->time_ns / 1000000000)), file32(options, k % 1000000),
                                    file32(options, length), file32(options, length)};
        memcpy(payload + at, header, 16);
        uint32_t fill = length < left ? length : left;
        memset(payload + at + 16, (int)(s->index + k), fill);
        at += 16 + fill;
    }
    if (at < end)
        memset(payload + at, 0, end - at);
}

static void fill_payload(const script *s, const script_packet *p, const synthetic_options *options, uint8_t *payload)
{
    if (s->imitates_records) {
        fill_with_records(s, p, options, payload);
        return;
    }
    uint64_t state = ws_mix64((uint64_t)p->time_ns ^ s->index << 40);
    for (uint32_t k = 0; k < p->payload; k++) {
        if (k % 8 == 0)
            state = ws_mix64(state + 0x9e3779b97f4a7c15u);
        payload[k] = (uint8_t)(state >> 8 * (k % 8));
    }
}

static uint8_t *put_ip(uint8_t *at, const script *s, int from, uint32_t data, uint32_t fragment,
                       uint32_t identification)
{
    if (s->ip_version == 6) {
        at = put16(put32(at, 0x60000000u), data + (s->extension_header ? EXTENSION : 0));
        *at++ = s->extension_header ? 60 : s->protocol;
        *at++ = 64;
        memcpy(at, s->address[from], 16);
        memcpy(at + 16, s->address[1 - from], 16);
        at += 32;
        if (s->extension_header) { /* destination options: padding only */
            const uint8_t extension[EXTENSION] = {s->protocol, 0, 1, 4, 0, 0, 0, 0};
            memcpy(at, extension, EXTENSION);
            at += EXTENSION;
        }
        return at;
    }
    uint8_t *header = at;
    at = put16(put16(put16(put16(at, 0x4500), IPV4_HEADER + data), identification), fragment);
    *at++ = 64;
    *at++ = s->protocol;
    at = put16(at, 0);
    memcpy(at, s->address[from], 4);
    memcpy(at + 4, s->address[1 - from], 4);
    put16(header + 10, ~sum16(header, IPV4_HEADER, 0) & 0xffff);
    return header + IPV4_HEADER;
}

static uint32_t transport_header(const script *s, const script_packet *p)
{
    if (s->protocol == 17)
        return UDP_HEADER;
    return TCP_HEADER + (p->flags & SYN_FLAG ? 4 : s->time_stamp_option ? 12 : 0);
}

static void put_transport(uint8_t *at, script *s, const script_packet *p, uint32_t header)
{
    int from = p->direction, to = 1 - from;
    uint8_t *begin = at;
    at = put16(put16(at, s->port[from]), s->port[to]);
    if (s->protocol == 17) {
        put16(put16(at, UDP_HEADER + p->payload), 0);
    } else {
        at = put32(put32(at, s->sequence[from]), p->flags & 16 ? s->sequence[to] : 0);
        *at++ = (uint8_t)(header / 4 << 4);
        *at++ = p->flags;
        at = put16(put16(put16(at, p->window), 0), 0);
        if (p->flags & SYN_FLAG)
            put32(at, 0x02040564); /* largest segment 1380 */
        else if (s->time_stamp_option)
            put32(put32(put32(at, 0x0101080au), (uint32_t)(p->time_ns / 1000000)), 1);
        s->sequence[from] += p->payload + !!(p->flags & SYN_FLAG) + (p->flags & 1);
    }
    uint32_t length = header + p->payload, bytes = s->ip_version == 4 ? 4 : 16;
    uint32_t sum = sum16(s->address[from], bytes, s->protocol + length);
    sum = ~sum16(begin, length, sum16(s->address[to], bytes, sum)) & 0xffff;
    put16(begin + (s->protocol == 17 ? 6 : 16), s->protocol == 17 && sum == 0 ? 0xffff : sum);
}

uint32_t frame_build(script *s, const script_packet *p, int part, const synthetic_options *options, uint8_t *frame,
                     uint32_t *ip_length)
{
    static uint8_t datagram[SYNTHETIC_MOST_PAYLOAD + 64]; /* transport header and payload */
    uint32_t header = transport_header(s, p), whole = header + p->payload;
    if (part == 0) {
        fill_payload(s, p, options, datagram + header);
        put_transport(datagram, s, p, header);
    }
    uint32_t cut = p->fragmented ? whole / 2 & ~7u : whole, begin = part ? cut : 0, data = part ? whole - cut : cut;
    uint32_t fragment = part ? cut / 8 : p->fragmented ? 0x2000 : 0x4000; /* more fragments, or do not fragment */
    uint8_t *at =
        put_link(frame, options->link, s->vlan_tags, s->ip_version == 4 ? TYPE_IPV4 : TYPE_IPV6, p->direction);
    at = put_ip(at, s, p->direction, data, fragment, (uint32_t)(p->time_ns / 1000) & 0xffff);
    memcpy(at, datagram + begin, data);
    uint32_t length = (uint32_t)(at - frame) + data;
    *ip_length = data + (s->ip_version == 4 ? IPV4_HEADER : IPV6_HEADER + (s->extension_header ? EXTENSION : 0));
    while (options->link == LINK_ETHERNET && length < ETHERNET_LEAST)
        frame[length++] = 0; /* padding that is no payload */
    return length;
}

uint32_t frame_build_arp(const synthetic_options *options, uint64_t number, uint8_t *frame)
{
    if (options->link != LINK_ETHERNET && options->link != LINK_SLL && options->link != LINK_SLL2)
        return 0;
    uint8_t *at = put_link(frame, options->link, 0, TYPE_ARP, 0);
    at = put16(put16(put32(at, 0x00010800), 0x0604), 1);
    at = put32(put_address(at, (uint32_t)number, 0), 0x0a000001);
    at = put32(put_address(at, 0, 0), 0x0a000000 | (uint32_t)(number & 0xffff));
    uint32_t length = (uint32_t)(at - frame);
    while (options->link == LINK_ETHERNET && length < ETHERNET_LEAST)
        frame[length++] = 0;
    return length;
}

uint32_t frame_build_icmp(const synthetic_options *options, uint64_t number, uint8_t *frame)
{
    script echo = {.protocol = 1, .ip_version = 4, .address = {{10, 0, 0, 9}, {198, 18, 0, 9}}};
    uint8_t *at = put_link(frame, options->link, 0, TYPE_IPV4, 0);
    uint8_t *message = at = put_ip(at, &echo, 0, 32, 0, (uint32_t)number & 0xffff);
    at = put32(put32(at, 0x08000000), (uint32_t)number);
    memset(at, 'w', 24);
    put16(message + 2, ~sum16(message, 32, 0) & 0xffff);
    uint32_t length = (uint32_t)(at - frame) + 24;
    return length;
}

void address_text(const script *s, int side, char out[64])
{
    if (!inet_ntop(s->ip_version == 4 ? AF_INET : AF_INET6, s->address[side], out, 64))
        out[0] = 0;
}
