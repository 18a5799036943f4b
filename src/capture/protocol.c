/* IP protocols other than TCP and UDP, where they are kept as flows: which a list names, and what is known of their headers.
 */
#include "capture/walk.h"

#include <stdlib.h>

typedef struct known_protocol {
    const char *name;
    uint8_t number, header; /* bytes of the fixed header */
    bool ports;             /* the first four are source and destination port */
} known_protocol;

/* Numbers and names as IANA has them; RFC 792, 3376, 2784, 4340, 4303, 4302, 4443, 9260, 3828. */
static const known_protocol known[] = {
    {"icmp", 1, 8, false},   {"igmp", 2, 8, false},     {"ipip", 4, 0, false},    {"tcp", 6, 20, true},
    {"udp", 17, 8, true},    {"dccp", 33, 12, true},    {"ipv6", 41, 0, false},   {"gre", 47, 4, false},
    {"esp", 50, 8, false},   {"ah", 51, 12, false},     {"icmpv6", 58, 8, false}, {"eigrp", 88, 0, false},
    {"ospf", 89, 0, false},  {"pim", 103, 0, false},    {"vrrp", 112, 0, false},  {"l2tp", 115, 0, false},
    {"sctp", 132, 12, true}, {"udplite", 136, 8, true},
};
enum { KNOWN = sizeof known / sizeof *known };

static const known_protocol *find_number(uint8_t number)
{
    for (size_t i = 0; i < KNOWN; i++)
        if (known[i].number == number)
            return &known[i];
    return NULL;
}

ws_skip ws_packet_decode_other(const uint8_t *frame, ws_packet *packet)
{
    const known_protocol *protocol = find_number(packet->protocol);
    const uint32_t room = packet->ip_length - packet->network_length, at = packet->ip_offset + packet->network_length;
    const uint32_t header = protocol == NULL ? 0 : protocol->header;
    if (header > room)
        return WS_SKIP_transport_malformed;
    packet->header_length = (uint16_t)(packet->network_length + header);
    packet->payload_length = room - header;
    if (protocol == NULL || !protocol->ports)
        return WS_SKIP_NONE;
    if (packet->captured_length < at + 4)
        return WS_SKIP_transport_truncated;
    packet->source_port = ws_be16(frame + at);
    packet->destination_port = ws_be16(frame + at + 2);
    return WS_SKIP_NONE;
}

static bool add_named(const char *name, ws_ip_protocols *out)
{
    char *end = NULL;
    const long number = strtol(name, &end, 10);
    if (name[0] >= '0' && name[0] <= '9' && *end == '\0' && number <= 255) {
        out->kept[number] = true;
        return true;
    }
    for (size_t i = 0; i < KNOWN; i++)
        if (strcmp(known[i].name, name) == 0) {
            out->kept[known[i].number] = true;
            return true;
        }
    if (strcmp(name, "all") != 0)
        return false;
    memset(out->kept, true, sizeof out->kept);
    return true;
}

ws_err ws_ip_protocols_read(const ws_string_list *names, ws_ip_protocols *out)
{
    for (size_t i = 0; i < names->count; i++) {
        if (add_named(names->items[i], out))
            continue;
        ws_err error = WS_ERROR(ARGUMENT, "--protocols: \"%s\" is no IP protocol", names->items[i]);
        WS_HINT(
            "give names or numbers from 0 to 255 with commas between them, as in icmp,sctp,89, or all; the names are "
            "icmp igmp ipip dccp ipv6 gre esp ah icmpv6 eigrp ospf pim vrrp l2tp sctp udplite");
        return error;
    }
    return WS_OK;
}
