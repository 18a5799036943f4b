/* Logarithm by a fixed sequence of IEEE operations (additions, multiplications, one division), compiled with
 * contraction off: the same bits on every machine. Method: x = 2^k m with m in [sqrt(1/2), sqrt(2)); with s =
 * (m-1)/(m+1), ln m = 2 (s + s^3/3 + s^5/5 + ...), |s| <= 0.1716, cut where the next term is below 2^-60. */
#include "fixed_math.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* 2 atanh(s) for the ratio s = f / (2 + f), as f - (f^2/2 - s (f^2/2 + R)) for accuracy near 0. */
static inline __attribute__((always_inline)) double log_of_one_plus(double f)
{
    double s = f / (2.0 + f), z = s * s;
    /* 2/3, 2/5, ... ; Horner. R = 2 z/3 + 2 z^2/5 + ... */
    static const double c[] = {2.0 / 25, 2.0 / 23, 2.0 / 21, 2.0 / 19, 2.0 / 17, 2.0 / 15,
                               2.0 / 13, 2.0 / 11, 2.0 / 9,  2.0 / 7,  2.0 / 5,  2.0 / 3};
    double r = 0;
#pragma GCC unroll 12
    for (unsigned i = 0; i < sizeof c / sizeof *c; i++)
        r = r * z + c[i];
    r = r * z;
    double half = 0.5 * f * f;
    return f - (half - s * (half + r));
}

double ws_fixed_log(double x)
{
    if (!(x > 0))
        return x == 0 ? -INFINITY : NAN;
    if (isinf(x))
        return x;
    int64_t k = 0;
    if (x < 0x1p-1022) { /* subnormal: exact scaling */
        x *= 0x1p54;
        k = -54;
    }
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    /* the mantissa above sqrt(2) goes to the next power */
    uint64_t above = (bits & 0xfffffffffffffu) > 0x6a09e667f3bccu;
    k += (int64_t)(bits >> 52) - 1023 + (int64_t)above;
    bits = (bits & 0xfffffffffffffu) | (uint64_t)(1023 - above) << 52;
    memcpy(&x, &bits, sizeof x);
    const double ln2_high = 6.93147180369123816490e-01,
                 ln2_low = 1.90821492927058770002e-10; /* sum = ln 2, high has 32 bits */
    double f = x - 1.0;
    return (double)k * ln2_high + (log_of_one_plus(f) + (double)k * ln2_low);
}

double ws_fixed_log1p(double x)
{
    if (x < 0.41 && x > -0.29)
        return log_of_one_plus(x);
    double sum = 1.0 + x;
    if (!(sum > 0) || isinf(sum))
        return ws_fixed_log(sum);
    /* what rounding of 1+x lost, relative to it */
    double lost = sum - x >= 1.0 ? x - (sum - 1.0) : 1.0 - (sum - x);
    return ws_fixed_log(sum) + lost / sum;
}

/* The steps of ws_fixed_log1p without branches, so that the compiler can take several values at once; the same operations in the
 * same order, so the same bits. */
static inline __attribute__((always_inline)) void log1p_many(const double *restrict x, double *restrict out,
                                                             size_t count)
{
    const double ln2_high = 6.93147180369123816490e-01, ln2_low = 1.90821492927058770002e-10;
    for (size_t i = 0; i < count; i++) {
        const double sum = 1.0 + x[i];
        const double lost = sum - x[i] >= 1.0 ? x[i] - (sum - 1.0) : 1.0 - (sum - x[i]);
        uint64_t bits;
        memcpy(&bits, &sum, sizeof bits);
        const uint64_t mantissa = bits & 0xfffffffffffffu, above = mantissa > 0x6a09e667f3bccu;
        /* a whole number as a double by its bits: no instruction converts several at once */
        const uint64_t power_bits = (bits >> 52) + above + 0x4330000000000000u;
        const uint64_t reduced_bits = mantissa | (uint64_t)(1023 - above) << 52;
        double power, reduced;
        memcpy(&power, &power_bits, sizeof power);
        memcpy(&reduced, &reduced_bits, sizeof reduced);
        const double k = power - (0x1p52 + 1023);
        const bool small = x[i] < 0.41;
        const double log = log_of_one_plus(small ? x[i] : reduced - 1.0);
        const double large = k * ln2_high + (log + k * ln2_low) + lost / sum;
        out[i] = small ? log : large;
    }
}

static void log1p_portable(const double *x, double *out, size_t count)
{
    log1p_many(x, out, count);
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) static void log1p_avx2(const double *x, double *out, size_t count)
{
    log1p_many(x, out, count);
}
#endif

void ws_fixed_log1p_many(const double *x, double *out, size_t count)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2")) {
        log1p_avx2(x, out, count);
        return;
    }
#endif
    log1p_portable(x, out, count);
}
