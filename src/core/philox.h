/* Philox4x32-10 (Salmon, Moraes, Dror & Shaw 2011) as one body for host and device: src/core/random.c draws from it, and so do
 * the kernels of operators that need random numbers. Counters, not states: block `index` of (seed, purpose, stream, step,
 * row) is the same four words wherever and in whatever order it is asked for.
 */
#ifndef WS_CORE_PHILOX_H
#define WS_CORE_PHILOX_H

#include <stdint.h>

#ifndef WS_HD
#ifdef __CUDACC__
#define WS_HD static __host__ __device__ __forceinline__
#else
#define WS_HD static inline __attribute__((always_inline))
#endif
#endif

WS_HD void ws_philox_rounds(uint32_t out[4], const uint32_t counter[4], const uint32_t key[2])
{
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3], k0 = key[0], k1 = key[1];
    for (int round = 0; round < 10; round++) {
        uint64_t p0 = (uint64_t)0xD2511F53u * c0, p1 = (uint64_t)0xCD9E8D57u * c2;
        uint32_t n0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0, n2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)p1;
        c3 = (uint32_t)p0;
        c0 = n0;
        c2 = n2;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

/* Key: the seed mixed with purpose and stream (0: none). Counter: index (32 bits), step (40 bits), row (56 bits). */
WS_HD void ws_random_block(uint64_t seed, uint32_t purpose, uint32_t stream, uint64_t step, uint64_t row,
                           uint32_t index, uint32_t out[4])
{
    const uint64_t mixed = seed + 0x9e3779b97f4a7c15u * (uint64_t)purpose + 0xbf58476d1ce4e5b9u * (uint64_t)stream;
    const uint32_t key[2] = {(uint32_t)mixed, (uint32_t)(mixed >> 32)};
    const uint32_t counter[4] = {index, (uint32_t)step, (uint32_t)row,
                                 (uint32_t)(row >> 32 & 0xffffff) | (uint32_t)(step >> 32) << 24};
    ws_philox_rounds(out, counter, key);
}

#endif
