/* The tables made from ops.def: operators, and the kernels of every instruction set level and of CUDA. An operator
 * without one of its parts does not link. */
#include <pthread.h>
#include "engine/operator.h"

const ws_operator *const ws_operator_table[WS_OP_COUNT] = {
#define OP(name) &ws_operator_##name,
#include "engine/ops.def"
#undef OP
};

size_t ws_operators(const ws_operator_info **table)
{
    static ws_operator_info infos[WS_OP_COUNT]; /* every caller writes the same */
    for (size_t i = 0; i < WS_OP_COUNT; i++)
        infos[i] = (ws_operator_info){ws_operator_table[i]->name, ws_operator_table[i]->help};
    *table = infos;
    return WS_OP_COUNT;
}

#if defined(__x86_64__)
#define WS_X86_ONLY(...) __VA_ARGS__
#else
#define WS_X86_ONLY(...)
#endif
/* The double-precision build has no CUDA side. */
#if defined(WS_HAVE_CUDA) && !defined(WS_REAL_DOUBLE)
#define WS_CUDA_ONLY(...) __VA_ARGS__
#else
#define WS_CUDA_ONLY(...)
#endif

#define OP(name)                                                                                                       \
    WS_DECLARE_OPERATOR_KERNELS(name, portable)                                                                        \
    WS_X86_ONLY(WS_DECLARE_OPERATOR_KERNELS(name, avx2) WS_DECLARE_OPERATOR_KERNELS(name, avx512))                     \
    WS_CUDA_ONLY(WS_DECLARE_OPERATOR_KERNELS(name, cuda))
#include "engine/ops.def"
#undef OP
#define WS_ON_CPU(name)                                                                                                \
    WS_DECLARE_PLAIN_KERNEL(name, portable)                                                                            \
    WS_X86_ONLY(WS_DECLARE_PLAIN_KERNEL(name, avx2) WS_DECLARE_PLAIN_KERNEL(name, avx512))
#define WS_ON_CUDA(name) WS_CUDA_ONLY(WS_DECLARE_PLAIN_KERNEL(name, cuda))
WS_PLAIN_KERNELS(WS_ON_CPU)
WS_CPU_KERNELS(WS_ON_CPU)
WS_PLAIN_KERNELS(WS_ON_CUDA)
WS_CUDA_KERNELS(WS_ON_CUDA)

#define WS_OPERATOR_ENTRY(name, level)                                                                                 \
    .name##_forward = ws_##name##_forward_##level, .name##_backward = ws_##name##_backward_##level,
#define WS_PLAIN_ENTRY(name, level) .name = ws_##name##_##level,

static const ws_kernels kernels_portable = {
#define OP(name) WS_OPERATOR_ENTRY(name, portable)
#define WS_PLAIN(name) WS_PLAIN_ENTRY(name, portable)
#include "engine/ops.def"
    WS_PLAIN_KERNELS(WS_PLAIN) WS_CPU_KERNELS(WS_PLAIN)
#undef OP
#undef WS_PLAIN
};

#if defined(__x86_64__)
static const ws_kernels kernels_avx2 = {
#define OP(name) WS_OPERATOR_ENTRY(name, avx2)
#define WS_PLAIN(name) WS_PLAIN_ENTRY(name, avx2)
#include "engine/ops.def"
    WS_PLAIN_KERNELS(WS_PLAIN) WS_CPU_KERNELS(WS_PLAIN)
#undef OP
#undef WS_PLAIN
};
static const ws_kernels kernels_avx512 = {
#define OP(name) WS_OPERATOR_ENTRY(name, avx512)
#define WS_PLAIN(name) WS_PLAIN_ENTRY(name, avx512)
#include "engine/ops.def"
    WS_PLAIN_KERNELS(WS_PLAIN) WS_CPU_KERNELS(WS_PLAIN)
#undef OP
#undef WS_PLAIN
};
#endif

/* What goes through tiles; everything else of that level is avx512's. Rounding is not for the double-precision build. */
#if defined(WS_HAVE_AMX) && !defined(WS_REAL_DOUBLE)
WS_DECLARE_OPERATOR_KERNELS(linear, amx)
WS_DECLARE_OPERATOR_KERNELS(bmm, amx)
static ws_kernels kernels_amx;
static pthread_once_t amx_once = PTHREAD_ONCE_INIT;

static void fill_kernels_amx(void)
{
    kernels_amx = kernels_avx512;
    kernels_amx.linear_forward = ws_linear_forward_amx;
    kernels_amx.linear_backward = ws_linear_backward_amx;
    kernels_amx.bmm_forward = ws_bmm_forward_amx;
    kernels_amx.bmm_backward = ws_bmm_backward_amx;
}
static const ws_kernels *kernels_of_amx(void)
{
    pthread_once(&amx_once, fill_kernels_amx);
    return &kernels_amx;
}
#elif defined(__x86_64__)
static const ws_kernels *kernels_of_amx(void)
{
    return &kernels_avx512;
}
#endif

const ws_kernels *ws_kernels_of(ws_isa isa)
{
    switch (isa) {
#if defined(__x86_64__)
    case WS_ISA_AMX:
        return kernels_of_amx();
    case WS_ISA_AVX2:
        return &kernels_avx2;
    case WS_ISA_AVX512:
        return &kernels_avx512;
#endif
    case WS_ISA_PORTABLE:
        return &kernels_portable;
    default:
        return NULL;
    }
}

#if defined(WS_HAVE_CUDA) && !defined(WS_REAL_DOUBLE)
static const ws_kernels kernels_cuda = {
#define OP(name) WS_OPERATOR_ENTRY(name, cuda)
#define WS_PLAIN(name) WS_PLAIN_ENTRY(name, cuda)
#include "engine/ops.def"
    WS_PLAIN_KERNELS(WS_PLAIN) WS_CUDA_KERNELS(WS_PLAIN)
#undef OP
#undef WS_PLAIN
};
const ws_kernels *ws_kernels_of_cuda(void)
{
    return &kernels_cuda;
}
#else
const ws_kernels *ws_kernels_of_cuda(void)
{
    return NULL;
}
#endif
