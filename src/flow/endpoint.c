/* endpoint: what is said of a packet's endpoints beside its key: is one private, and endpoints for rows of whole captures. */
#include "flow/flow.h"

bool ws_address_is_private(const uint8_t address[16])
{
    static const uint8_t loopback[16] = {[15] = 1};
    if (!ws_address_is_ipv4(address))
        return (address[0] & 0xFE) == 0xFC || (address[0] == 0xFE && (address[1] & 0xC0) == 0x80) ||
               memcmp(address, loopback, 16) == 0;
    const uint8_t a = address[12], b = address[13];
    return a == 10 || a == 127 || (a == 172 && (b & 0xF0) == 16) || (a == 192 && b == 168) || (a == 169 && b == 254) ||
           (a == 100 && (b & 0xC0) == 64);
}

void ws_packet_join_capture(ws_packet *packet)
{
    const bool back = ws_address_is_private(packet->destination) && !ws_address_is_private(packet->source);
    uint8_t near[16] = {0xFD}, far[16] = {0x01};
    for (int i = 0; i < 4; i++)
        near[12 + i] = far[12 + i] = (uint8_t)(packet->input >> (24 - 8 * i));
    memcpy(packet->source, back ? far : near, 16);
    memcpy(packet->destination, back ? near : far, 16);
    packet->source_port = packet->destination_port = 0;
    packet->protocol = 0;
}
