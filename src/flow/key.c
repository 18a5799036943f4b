/* The direction-free key of a flow and its hash. */
#include "flow/flow.h"

_Static_assert(sizeof(ws_flow_key) == 40, "a key is hashed and compared bytewise: it must have no padding");

void ws_flow_key_of(const ws_packet *packet, ws_flow_key *key, bool *source_is_low)
{
    int order = memcmp(packet->source, packet->destination, 16);
    bool low = order != 0 ? order < 0 : packet->source_port <= packet->destination_port;
    memcpy(key->low_address, low ? packet->source : packet->destination, 16);
    memcpy(key->high_address, low ? packet->destination : packet->source, 16);
    key->low_port = low ? packet->source_port : packet->destination_port;
    key->high_port = low ? packet->destination_port : packet->source_port;
    key->protocol = packet->protocol;
    memset(key->reserved, 0, sizeof key->reserved);
    *source_is_low = low;
}

uint64_t ws_flow_key_hash(const ws_flow_key *key)
{
    /* Written out word by word: the key has a fixed size and this runs twice a packet. */
    uint64_t word[5];
    memcpy(word, key, sizeof word);
    uint64_t hash = 0x9e3779b97f4a7c15u;
    for (int i = 0; i < 5; i++)
        hash = (hash ^ word[i]) * 0xff51afd7ed558ccdu + (hash >> 29);
    return ws_mix64(hash);
}
