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
