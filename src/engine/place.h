/* The inside of a place: the table of kernels that a level or a device brings. For the engine's own files and tests. */
#ifndef WS_ENGINE_PLACE_H
#define WS_ENGINE_PLACE_H

#include "arguments.h"
#include "device.h"
#include "engine/engine.h"

/* All kernels of one instruction set level, or of CUDA. */
struct ws_kernels {
#define OP(name)                                                                                                       \
    void (*name##_forward)(const ws_##name##_arguments *arguments, void *queue);                                       \
    void (*name##_backward)(const ws_##name##_arguments *arguments, void *queue);
#include "engine/ops.def"
#undef OP
#define WS_PLAIN(name) void (*name)(const ws_##name##_arguments *arguments, void *queue);
    WS_PLAIN_KERNELS(WS_PLAIN)
    WS_CPU_KERNELS(WS_PLAIN)  /* NULL on CUDA */
    WS_CUDA_KERNELS(WS_PLAIN) /* NULL on the CPU */
#undef WS_PLAIN
};
typedef struct ws_kernels ws_kernels;

/* Kernels of one level; NULL where this build has none (avx levels on other processors). */
const ws_kernels *ws_kernels_of(ws_isa isa);
const ws_kernels *ws_kernels_of_cuda(void); /* NULL in a build without CUDA */
/* The CPU at the active instruction set level, with BLAS set to one thread. Nothing to close. */
ws_place ws_place_cpu(void);

#endif
