/* Random numbers: Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011).
 *
 * Counter based: a number is a pure function of (seed, purpose) as key and (step, row, element) as counter, so it does
 * not depend on ranks, threads or the order of calls. Scalar bodies for host and device live in kernels/philox.h.
 */
#ifndef WS_CORE_RANDOM_H
#define WS_CORE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

/* What a stream is for; never reuse one for two things. Append only: the values enter results. */
typedef enum ws_random_purpose {
    WS_RANDOM_SHUFFLE = 1,
    WS_RANDOM_INIT,
    WS_RANDOM_NOISE,
    WS_RANDOM_TIME,
    WS_RANDOM_DROPOUT,
    WS_RANDOM_SPLIT,
    WS_RANDOM_SYNTHETIC,
    WS_RANDOM_PATH_NOISE,
    WS_RANDOM_SAMPLE,
    WS_RANDOM_TEST,
    WS_RANDOM_RESERVOIR,
    WS_RANDOM_COUPLING,
    WS_RANDOM_HIDE,
    WS_RANDOM_DEQUANTISE,
    WS_RANDOM_PROBE,
    WS_RANDOM_BOOTSTRAP,
    WS_RANDOM_REFERENCE
} ws_random_purpose;

void ws_philox4x32(uint32_t out[4], const uint32_t counter[4], const uint32_t key[2]);

/* count uniforms in (0,1), never 0 or 1 / standard normals (Box-Muller with our own logarithm and cosine: the same
 * bits on every machine) / 64-bit words, for elements 0..count-1 of (seed, purpose, step, row). */
void ws_random_uniform(uint64_t seed, ws_random_purpose purpose, uint64_t step, uint64_t row, float *out, size_t count);
void ws_random_normal(uint64_t seed, ws_random_purpose purpose, uint64_t step, uint64_t row, float *out, size_t count);
uint64_t ws_random_u64(uint64_t seed, ws_random_purpose purpose, uint64_t step, uint64_t row);
/* Unbiased integer below `bound` (> 0): Lemire's multiply with rejection on further elements. */
uint64_t ws_random_below(uint64_t seed, ws_random_purpose purpose, uint64_t step, uint64_t row, uint64_t bound);
/* order[0..count-1] = a permutation of 0..count-1 (Fisher-Yates), the same for the same (seed, purpose, step). */
void ws_random_permutation(uint64_t seed, ws_random_purpose purpose, uint64_t step, uint64_t *order, size_t count);

#endif
