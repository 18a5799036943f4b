/* Scalar bodies of the elementwise functions, for host and device, in the real type of the build.
 *
 * In single precision they are our own branch-free polynomials (after S. Moshier's Cephes), about 2 units in the last
 * place: libm costs ten times as much in a loop and differs between versions, and these are vectorised by the compiler.
 * NaN goes through. In double precision (gradient checks) they are libm's.
 */
#ifndef WS_KERNELS_SCALAR_H
#define WS_KERNELS_SCALAR_H

#include <math.h>
#include <stdint.h>
#include <string.h>
#include "real.h"

#ifndef WS_HD
#ifdef __CUDACC__
#define WS_HD static __host__ __device__ __forceinline__
#else
#define WS_HD static inline __attribute__((always_inline))
#endif
#endif

#ifdef WS_REAL_DOUBLE

WS_HD ws_real ws_exp(ws_real x)
{
    return exp(x);
}
WS_HD ws_real ws_log(ws_real x)
{
    return log(x);
}
WS_HD ws_real ws_sigmoid(ws_real x)
{
    return 1 / (1 + exp(-x));
}
WS_HD ws_real ws_tanh(ws_real x)
{
    return tanh(x);
}
WS_HD ws_real ws_sqrt(ws_real x)
{
    return sqrt(x);
}
WS_HD ws_real ws_exp2(ws_real x)
{
    return exp2(x);
}

#else

/* 0 below -87.33, infinity above 88.37 (a little before the range of float ends) */
WS_HD float ws_exp(float x)
{
    float c = x > 88.37f ? 88.37f : x; /* comparisons this way round let NaN through */
    c = c < -87.33f ? -87.33f : c;
    /* Adding 1.5*2^23 rounds to an integer n and leaves it in the low bits; 2^n is then made from them. */
    float shifted = c * 1.44269504088896341f + 12582912.0f;
    float n = shifted - 12582912.0f;
    float r = (c - n * 0.693359375f) - n * -2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * (r * r) + r + 1.0f;
    uint32_t bits;
    memcpy(&bits, &shifted, sizeof bits);
    bits = (bits + 127u) << 23;
    float power;
    memcpy(&power, &bits, sizeof power);
    float y = p * power;
    y = x > 88.37f ? INFINITY : y;
    return x < -87.33f ? 0.0f : y;
}

/* x > 0 and normal; used once a row, not in inner loops */
WS_HD float ws_log(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    int32_t e = (int32_t)(bits >> 23) - 126;
    bits = (bits & 0x007fffffu) | 0x3f000000u; /* mantissa in [0.5, 1) */
    float m;
    memcpy(&m, &bits, sizeof m);
    int low = m < 0.707106781186547524f;
    float n = (float)(low ? e - 1 : e);
    float r = (low ? m + m : m) - 1.0f;
    float z = r * r;
    float p = 7.0376836292e-2f;
    p = p * r - 1.1514610310e-1f;
    p = p * r + 1.1676998740e-1f;
    p = p * r - 1.2420140846e-1f;
    p = p * r + 1.4249322787e-1f;
    p = p * r - 1.6668057665e-1f;
    p = p * r + 2.0000714765e-1f;
    p = p * r - 2.4999993993e-1f;
    p = p * r + 3.3333331174e-1f;
    float y = p * r * z + n * -2.12194440e-4f - 0.5f * z;
    return (r + y) + n * 0.693359375f;
}

/* 1 / (1 + exp(-x)): to 7e-7 of its value above -10 and 4e-6 further down, 0 below -88.37 */
WS_HD float ws_sigmoid(float x)
{
    float c = x > 87.33f ? 87.33f : x;
    c = c < -88.73f ? -88.73f : c;
    /* In powers of two: 1.5*2^23 + 127 leaves the bits of the exponent, which of 2^128 are those of infinity. */
    float shifted = 12583039.0f - c * 1.44269504f;
    float n = shifted - 12583039.0f;
    float r = -n - c * 1.44269504f;
    float p = 1.326472731e-3f;
    p = p * r + 9.671512991e-3f;
    p = p * r + 5.550733581e-2f;
    p = p * r + 2.402224243e-1f;
    p = p * r + 6.931470037e-1f;
    p = p * r + 1.0f;
    uint32_t bits;
    memcpy(&bits, &shifted, sizeof bits);
    bits <<= 23;
    float power;
    memcpy(&power, &bits, sizeof power);
    return 1.0f / (1.0f + p * power);
}

WS_HD float ws_tanh(float x)
{
    float a = fabsf(x);
    float z = x * x;
    float p = -5.70498872745e-3f;
    p = p * z + 2.06390887954e-2f;
    p = p * z - 5.37397155531e-2f;
    p = p * z + 1.33314422036e-1f;
    p = p * z - 3.33332819422e-1f;
    float near_zero = p * z * x + x;
    float far = copysignf(1.0f - 2.0f * ws_sigmoid(-a - a), x);
    return a < 0.625f ? near_zero : far;
}

WS_HD float ws_sqrt(float x)
{
    return sqrtf(x);
}
WS_HD float ws_exp2(float x)
{
    return exp2f(x);
}

#endif

/* x rounded to bfloat16, to the nearest and ties to even: a float whose lower half is zero. NaN and infinity stay what they are. The
 * double-precision build does not round, since a staircase has no gradient to check. */
WS_HD ws_real ws_bf16(ws_real x)
{
#ifdef WS_REAL_DOUBLE
    return x;
#else
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    uint32_t rounded = (bits + 0x7fffu + (bits >> 16 & 1u)) & 0xffff0000u;
    bits = (bits & 0x7fffffffu) > 0x7f800000u ? bits : rounded;
    memcpy(&x, &bits, sizeof x);
    return x;
#endif
}

#ifndef WS_REAL_DOUBLE
/* Its upper half, which is the bfloat16 number itself. */
WS_HD uint16_t ws_bf16_bits(float x)
{
    uint32_t bits;
    x = ws_bf16(x);
    memcpy(&bits, &x, sizeof bits);
    return (uint16_t)(bits >> 16 | (x != x ? 0x40u : 0u)); /* a NaN stays one */
}
#endif

/* GELU in its tanh form (Hendrycks & Gimpel 2016): x/2 (1 + tanh u) = x sigmoid(2u), 2u = x (scale + cube x^2) with
 * scale = 2 sqrt(2/pi), cube = 0.044715 scale
 */
#define WS_GELU_SCALE ((ws_real)1.5957691216057307118)
#define WS_GELU_CUBE ((ws_real)0.071354816272600248)

WS_HD ws_real ws_gelu(ws_real x)
{
    return x * ws_sigmoid(x * (WS_GELU_SCALE + WS_GELU_CUBE * (x * x)));
}
WS_HD ws_real ws_gelu_slope(ws_real x)
{
    ws_real square = x * x, s = ws_sigmoid(x * (WS_GELU_SCALE + WS_GELU_CUBE * square));
    return s + x * s * ((ws_real)1 - s) * (WS_GELU_SCALE + 3 * WS_GELU_CUBE * square);
}
WS_HD ws_real ws_silu(ws_real x)
{
    return x * ws_sigmoid(x);
}
WS_HD ws_real ws_silu_slope(ws_real x)
{
    ws_real s = ws_sigmoid(x);
    return s * ((ws_real)1 + x * ((ws_real)1 - s));
}
/* log(1 + e^x), x itself above 20. The rounding of 1 + v is given back, so that small values keep all their digits. */
WS_HD ws_real ws_softplus(ws_real x)
{
    ws_real v = ws_exp(x > 0 ? -x : x);
    ws_real w = (ws_real)1 + v;
    ws_real y = (x > 0 ? x : (ws_real)0) + (ws_log(w) + (v - (w - (ws_real)1)) / w);
    return x > 20 ? x : y;
}
WS_HD ws_real ws_softplus_slope(ws_real x)
{
    ws_real slope = (ws_real)1 / ((ws_real)1 + ws_exp(-x)); /* a sigmoid with all digits of small values */
    return x > 20 ? (ws_real)1 : slope;
}
WS_HD ws_real ws_relu(ws_real x)
{
    return x < 0 ? (ws_real)0 : x; /* NaN stays NaN */
}

WS_HD ws_real ws_leaky_relu(ws_real x)
{
    return x < 0 ? (ws_real)0.01 * x : x;
}

/* The value, and the slope from what the backward pass has: y for none, relu, leaky relu and tanh, the pre-activation z otherwise.
 */
WS_HD ws_real ws_activation_value(ws_activation activation, ws_real z)
{
    switch (activation) {
    case WS_RELU:
        return ws_relu(z);
    case WS_SILU:
        return ws_silu(z);
    case WS_GELU:
        return ws_gelu(z);
    case WS_TANH:
        return ws_tanh(z);
    case WS_SIGMOID:
        return ws_sigmoid(z);
    case WS_LEAKY_RELU:
        return ws_leaky_relu(z);
    default:
        return z;
    }
}
WS_HD ws_real ws_activation_slope(ws_activation activation, ws_real y_or_z)
{
    switch (activation) {
    case WS_RELU:
        return y_or_z > 0 ? (ws_real)1 : (ws_real)0;
    case WS_SIGMOID:
        return y_or_z * ((ws_real)1 - y_or_z);
    case WS_LEAKY_RELU:
        return y_or_z > 0 ? (ws_real)1 : (ws_real)0.01;
    case WS_SILU:
        return ws_silu_slope(y_or_z);
    case WS_GELU:
        return ws_gelu_slope(y_or_z);
    case WS_TANH:
        return (ws_real)1 - y_or_z * y_or_z;
    default:
        return (ws_real)1;
    }
}
WS_HD int ws_activation_needs_z(ws_activation activation)
{
    return activation == WS_SILU || activation == WS_GELU;
}

/* The slope from z for every activation. */
WS_HD ws_real ws_activation_slope_at(ws_activation activation, ws_real z)
{
    return ws_activation_slope(activation, ws_activation_needs_z(activation) ? z : ws_activation_value(activation, z));
}

/* ln(1 + exp(x)) - t x: binary cross entropy of the logit x with the target t. */
WS_HD ws_real ws_bce_of(ws_real x, ws_real t)
{
    ws_real size = x < 0 ? -x : x;
    return (x > 0 ? x : (ws_real)0) - t * x + ws_log((ws_real)1 + ws_exp(-size));
}

/* One element of AdamW; see ws_adamw_arguments for the formula. */
WS_HD void ws_adamw_element(ws_real *p, ws_real gradient, ws_real *m, ws_real *v, ws_real scale, ws_real share1,
                            ws_real share2, ws_real step_size, ws_real root_correction, ws_real epsilon, ws_real decay)
{
    ws_real g = scale * gradient;
    ws_real first = *m + share1 * (g - *m);
    ws_real second = *v + share2 * (g * g - *v);
    *m = first;
    *v = second;
    *p -= step_size * first / (ws_sqrt(second) * root_correction + epsilon) + decay * *p;
}

#endif
