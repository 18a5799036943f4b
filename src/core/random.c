/* Philox4x32-10 and what is drawn from it. */
#include "random.h"

#include <math.h>
#include <string.h>
#include "fixed_math.h"
#include "philox.h"

void ws_philox4x32(uint32_t out[4], const uint32_t counter[4], const uint32_t key[2])
{
    ws_philox_rounds(out, counter, key);
}

static void block(uint64_t seed, ws_random_purpose purpose, uint64_t step, uint64_t row, uint32_t index,
                  uint32_t out[4])
{
    ws_random_block(seed, (uint32_t)purpose, 0, step, row, index, out);
}

/* (0,1): 24 bits and a half. The half is lost above 2^23, where the last number would round up to 1. */
static float unit_float(uint32_t word)
{
    float u = ((float)(word >> 8) + 0.5f) * 0x1p-24f;
    return u < 1 ? u : 0x1.fffffep-1f;
}

void ws_random_uniform(uint64_t seed, ws_random_purpose purpose, uint64_t step, uint64_t row, float *out, size_t count)
{
    uint32_t word[4];
    for (size_t i = 0; i < count; i++) {
        if (i % 4 == 0)
            block(seed, purpose, step, row, (uint32_t)(i / 4), word);
        out[i] = unit_float(word[i % 4]);
    }
}

/* sin and cos of 2 pi u for u in [0,1): reduced to an eighth of a turn, then Taylor polynomials in double. */
static void turn(double u, double *sine, double *cosine)
{
    const double pi = 3.14159265358979323846;
    int octant = (int)(u * 8.0);
    int quarter = (octant + 1) / 2;           /* nearest quarter turn, 0..4 */
    double x = (u - 0.25 * quarter) * 2 * pi; /* |x| <= pi/4 */
    double z = x * x;
    double s = x * (1 + z * (-1.0 / 6 + z * (1.0 / 120 + z * (-1.0 / 5040 + z * (1.0 / 362880 - z / 39916800)))));
    double c = 1 + z * (-0.5 + z * (1.0 / 24 + z * (-1.0 / 720 + z * (1.0 / 40320 - z / 3628800))));
    switch (quarter & 3) {
    case 0:
        *sine = s, *cosine = c;
        break;
    case 1:
        *sine = c, *cosine = -s;
        break;
    case 2:
        *sine = -s, *cosine = -c;
        break;
    default:
        *sine = -c, *cosine = s;
    }
}

void ws_random_normal(uint64_t seed, ws_random_purpose purpose, uint64_t step, uint64_t row, float *out, size_t count)
{
    uint32_t word[4];
    for (size_t i = 0; i < count; i += 2) {
        if (i % 4 == 0)
            block(seed, purpose, step, row, (uint32_t)(i / 4), word);
        const uint32_t *pair = word + i % 4;
        double radius = sqrt(-2.0 * ws_fixed_log(((double)pair[0] + 0.5) * 0x1p-32)), sine, cosine;
        turn((double)pair[1] * 0x1p-32, &sine, &cosine);
        out[i] = (float)(radius * cosine);
        if (i + 1 < count)
            out[i + 1] = (float)(radius * sine);
    }
}

uint64_t ws_random_u64(uint64_t seed, ws_random_purpose purpose, uint64_t step, uint64_t row)
{
    uint32_t word[4];
    block(seed, purpose, step, row, 0, word);
    return (uint64_t)word[1] << 32 | word[0];
}

uint64_t ws_random_below(uint64_t seed, ws_random_purpose purpose, uint64_t step, uint64_t row, uint64_t bound)
{
    /* Lemire 2019: multiply and reject the few low products that would be uneven. */
    const uint64_t uneven = -bound % bound;
    for (uint32_t try = 0;; try++) {
        uint32_t word[4];
        block(seed, purpose, step, row, try, word);
        const ws_uint128 product = (ws_uint128)((uint64_t)word[1] << 32 | word[0]) * bound;
        if ((uint64_t)product >= uneven)
            return (uint64_t)(product >> 64);
    }
}

void ws_random_permutation(uint64_t seed, ws_random_purpose purpose, uint64_t step, uint64_t *order, size_t count)
{
    for (size_t i = 0; i < count; i++)
        order[i] = i;
    for (size_t i = count; i > 1; i--) {
        const size_t j = (size_t)ws_random_below(seed, purpose, step, i, i);
        const uint64_t other = order[j];
        order[j] = order[i - 1];
        order[i - 1] = other;
    }
}
