/* The direction-free key of a packet's flow and its hash; in a header, since both are taken of every packet. Part of flow.h.
 */
#ifndef WS_FLOW_KEY_H
#define WS_FLOW_KEY_H

#include <stddef.h>
#include <string.h>
#include "flow/flow.h"

static inline ws_uint128 ws_key_number(const uint8_t address[16])
{
    uint64_t word[2];
    memcpy(word, address, sizeof word);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    word[0] = __builtin_bswap64(word[0]);
    word[1] = __builtin_bswap64(word[1]);
#endif
    return (ws_uint128)word[0] << 64 | word[1];
}

static inline uint32_t ws_flow_key_sample(const ws_flow_key *key)
{
    return ((uint32_t)key->sample[0] << 16 | (uint32_t)key->sample[1] << 8 | key->sample[2]) - 1;
}

static inline void ws_flow_key_set_sample(ws_flow_key *key, uint32_t number)
{
    for (int i = 0; i < 3; i++)
        key->sample[i] = (uint8_t)((number + 1) >> (16 - 8 * i));
}

static inline void ws_flow_key_of_sample(const ws_packet *packet, ws_flow_key *key, bool *source_is_low)
{
    memset(key, 0, sizeof *key);
    key->low_address[0] = 1;
    key->high_address[0] = 2;
    for (int i = 0; i < 4; i++) /* what ranks are told by */
        key->low_address[12 + i] = key->high_address[12 + i] = (uint8_t)(packet->sample >> (24 - 8 * i));
    ws_flow_key_set_sample(key, packet->sample);
    *source_is_low = packet->sample_side == WS_SAMPLE_FIRST_SENDER;
}

/* But for samples without branches: which endpoint is the lower one cannot be foretold. */
static inline void ws_flow_key_of(const ws_packet *packet, ws_flow_key *key, bool *source_is_low)
{
    if (__builtin_expect(packet->sample_side != 0, 0)) {
        ws_flow_key_of_sample(packet, key, source_is_low);
        return;
    }
    const ws_uint128 from = ws_key_number(packet->source), to = ws_key_number(packet->destination);
    const bool low = (from < to) | ((from == to) & (packet->source_port <= packet->destination_port));
    const uint64_t exchange = (uint64_t)low - 1;
    uint64_t source[2], destination[2];
    memcpy(source, packet->source, 16);
    memcpy(destination, packet->destination, 16);
    for (int i = 0; i < 2; i++) {
        const uint64_t both = (source[i] ^ destination[i]) & exchange;
        source[i] ^= both;
        destination[i] ^= both;
    }
    const uint16_t both = (uint16_t)((packet->source_port ^ packet->destination_port) & exchange);
    const uint16_t ports[2] = {packet->source_port ^ both, packet->destination_port ^ both};
    memcpy(key->low_address, source, 16);
    memcpy(key->high_address, destination, 16);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ /* in one store: the hash reads it as one word at once */
    const uint64_t last = ports[0] | (uint64_t)ports[1] << 16 | (uint64_t)packet->protocol << 32;
    memcpy((uint8_t *)key + offsetof(ws_flow_key, low_port), &last, sizeof last);
#else
    key->low_port = ports[0];
    key->high_port = ports[1];
    key->protocol = packet->protocol;
    memset(key->sample, 0, sizeof key->sample);
#endif
    *source_is_low = low;
}

static inline uint64_t ws_flow_key_hash(const ws_flow_key *key)
{
    uint64_t word[5];
    memcpy(word, key, sizeof word);
    uint64_t hash = 0x9e3779b97f4a7c15u;
    for (int i = 0; i < 5; i++)
        hash = (hash ^ word[i]) * 0xff51afd7ed558ccdu + (hash >> 29);
    return ws_mix64(hash);
}

#endif
