/* A hash of 64 bits that is not cryptographic: the same on every machine, for tables and streams of random numbers. */
#include "core/core.h"

uint64_t ws_hash64(const void *data, size_t bytes, uint64_t seed)
{
    const uint8_t *at = data;
    uint64_t hash = seed ^ ws_mix64(bytes + 0x9e3779b97f4a7c15u);
    for (; bytes >= 8; at += 8, bytes -= 8) {
        uint64_t word = (uint64_t)at[0] | (uint64_t)at[1] << 8 | (uint64_t)at[2] << 16 | (uint64_t)at[3] << 24 |
                        (uint64_t)at[4] << 32 | (uint64_t)at[5] << 40 | (uint64_t)at[6] << 48 | (uint64_t)at[7] << 56;
        hash = ws_mix64(hash ^ word) + 0x9e3779b97f4a7c15u;
    }
    uint64_t tail = 0;
    for (size_t i = 0; i < bytes; i++)
        tail |= (uint64_t)at[i] << 8 * i;
    return ws_mix64(hash ^ tail);
}
