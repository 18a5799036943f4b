/* For the CPU kernels: names with the instruction set level in them, and vectors whose lanes do not depend on the
 * level.
 *
 * Every file of this folder is compiled once a level. Elementwise loops are plain C over the bodies of scalar.h, which
 * the compiler vectorises. Sums run over vectors of 64 bytes, whatever the level's registers hold, and are folded in
 * one fixed order, so that the order of additions is the same at every level.
 */
#ifndef WS_KERNELS_CPU_LEVEL_H
#define WS_KERNELS_CPU_LEVEL_H

#include <stdint.h>
#include <string.h>
#include "arguments.h"
#include "scalar.h"
#if defined(__SSE2__)
#include <immintrin.h>
#endif

#define WS_PASTE_(a, b) a##_##b
#define WS_PASTE(a, b) WS_PASTE_(a, b)
#define WS_KERNEL(name) WS_PASTE(name, WS_KERNEL_ISA)
/* Declares and opens a kernel: WS_OPERATOR_KERNEL(linear, forward) { ... uses a-> ... } */
#define WS_OPERATOR_KERNEL(name, pass)                                                                                 \
    void WS_KERNEL(ws_##name##_##pass)(const ws_##name##_arguments *a, void *queue);                                   \
    void WS_KERNEL(ws_##name##_##pass)(const ws_##name##_arguments *a, void *queue __attribute__((unused)))
#define WS_PLAIN_KERNEL(name)                                                                                          \
    void WS_KERNEL(ws_##name)(const ws_##name##_arguments *a, void *queue);                                            \
    void WS_KERNEL(ws_##name)(const ws_##name##_arguments *a, void *queue __attribute__((unused)))

#define WS_INLINE static inline __attribute__((always_inline))

#if defined(__AVX512F__)
#define WS_REGISTER_BYTES 64
#elif defined(__AVX2__)
#define WS_REGISTER_BYTES 32
#else
#define WS_REGISTER_BYTES 16
#endif
typedef ws_real ws_register __attribute__((vector_size(WS_REGISTER_BYTES)));
/* A sum runs over WS_LANES lanes, held in WS_REGISTERS registers. */
enum {
    WS_WIDTH = WS_REGISTER_BYTES / sizeof(ws_real),
    WS_LANES = 64 / sizeof(ws_real),
    WS_REGISTERS = 64 / WS_REGISTER_BYTES
};
#define WS_FOR_REGISTERS(r) _Pragma("GCC unroll 4") for (int64_t r = 0; r < WS_REGISTERS; r++)

WS_INLINE ws_register ws_load(const ws_real *from)
{
    ws_register out;
    memcpy(&out, from, sizeof out);
    return out;
}

WS_INLINE void ws_store(ws_real *to, ws_register value)
{
    memcpy(to, &value, sizeof value);
}

/* 2^x in every lane for x <= 0, to 1e-7; exactly 0 below -127. NaN goes through. */
#ifdef WS_REAL_DOUBLE
WS_INLINE ws_register ws_exp2_falling(ws_register x)
{
    for (int i = 0; i < WS_WIDTH; i++)
        x[i] = exp2(x[i]);
    return x;
}
#else
typedef uint32_t ws_register_bits __attribute__((vector_size(WS_REGISTER_BYTES)));

WS_INLINE ws_register ws_at_least_minus_127(ws_register x)
{
    /* where one of the two is NaN, these instructions give the second */
#if defined(__AVX512F__)
    return (ws_register)_mm512_max_ps(_mm512_set1_ps(-127), (__m512)x);
#elif defined(__AVX2__)
    return (ws_register)_mm256_max_ps(_mm256_set1_ps(-127), (__m256)x);
#elif defined(__SSE2__)
    return (ws_register)_mm_max_ps(_mm_set1_ps(-127), (__m128)x);
#else
    for (int i = 0; i < WS_WIDTH; i++)
        x[i] = x[i] < -127 ? -127 : x[i];
    return x;
#endif
}

WS_INLINE ws_register ws_exp2_falling(ws_register x)
{
    x = ws_at_least_minus_127(x);
    /* Adding 1.5*2^23 + 127 rounds to an integer n and leaves n + 127, the exponent of 2^n, in the low bits. */
    ws_register shifted = x + 12583039.0f, f = x - (shifted - 12583039.0f), p;
    p = f * 1.535336188e-4f + 1.339887440e-3f;
    p = p * f + 9.618437357e-3f;
    p = p * f + 5.550332471e-2f;
    p = p * f + 2.402264791e-1f;
    p = p * f + 6.931472028e-1f;
    p = p * f + 1.0f;
    return p * (ws_register)((ws_register_bits)shifted << 23);
}
#endif

/* Between the two, numbers too small to be normal count as 0: states that fade away would be slow else. */
WS_INLINE unsigned ws_flush_begin(void)
{
#if defined(__SSE2__)
    unsigned mode = _mm_getcsr();
    _mm_setcsr(mode | 0x8040);
    return mode;
#else
    return 0;
#endif
}
WS_INLINE void ws_flush_end(unsigned mode)
{
#if defined(__SSE2__)
    _mm_setcsr(mode);
#else
    (void)mode;
#endif
}

/* Lane i and lane i + half, then again with half of half. */
WS_INLINE ws_real ws_fold(const ws_register sums[WS_REGISTERS])
{
    ws_real lanes[WS_LANES];
    memcpy(lanes, sums, sizeof lanes);
#pragma GCC unroll 4
    for (int width = WS_LANES / 2; width > 0; width /= 2) {
#pragma GCC unroll 8
        for (int i = 0; i < width; i++)
            lanes[i] += lanes[i + width];
    }
    return lanes[0];
}

#endif
