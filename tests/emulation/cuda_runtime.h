/* The part of CUDA that the kernels and the device use, on the host: the CUDA sources compile against this header as C++ and
 * run in the ordinary tests, several simulated devices included. Not a performance model; a stream's work is done when somebody
 * waits for it (streams.cpp), in the waiting thread.
 *
 * A block's threads are coroutines that run from one barrier or shuffle to the next. A barrier that not all threads reach
 * ends the program with a message, as does a write beyond device memory (found when it is freed). With the address sanitizer, what
 * oversteps an array of shared memory ends it too.
 */
#ifndef WS_TESTS_EMULATION_CUDA_RUNTIME_H
#define WS_TESTS_EMULATION_CUDA_RUNTIME_H

#include "cuda_runtime_api.h"

#ifdef __cplusplus
#include <cmath>
#include <tuple>
#include "streams.h"

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
/* One block at a time runs (streams.cpp holds its lock meanwhile). Not of a thread: the sanitizer leaves those without guards. */
#define __shared__ static

struct dim3 {
    unsigned x, y, z;
    constexpr dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_)
    {
    }
};
extern __thread dim3 threadIdx, blockIdx, blockDim,
    gridDim; /* not thread_local: every reading would ask whether they are made */

/* body(context) is the kernel's call for one thread. */
void ws_emulate_launch(dim3 blocks, dim3 threads, void (*body)(void *context), void *context);
void __syncthreads();
/* The value that the lane `other` gives in the same shuffle. */
void ws_emulate_shuffle(void *value, unsigned bytes, unsigned other_lane);
unsigned ws_emulate_lane();

template <typename T> T __shfl_xor_sync(unsigned, T value, int mask)
{
    ws_emulate_shuffle(&value, sizeof value, ws_emulate_lane() ^ (unsigned)mask);
    return value;
}

inline void __syncwarp()
{
    __shfl_xor_sync(0xffffffffu, 0, 0);
}

/* In the place of kernel<<<...>>>. The arguments are copied, as a launch does. */
template <typename... Parameters, typename... Arguments>
void ws_emulate(cudaStream_t stream, dim3 blocks, dim3 threads, void (*kernel)(Parameters...), Arguments... arguments)
{
    std::tuple<Parameters...> values(arguments...);
    auto thread = [kernel, values] { std::apply(kernel, values); };
    ws_emulate_do(stream, [=] {
        ws_emulate_launch(
            blocks, threads, [](void *context) { (*(const decltype(thread) *)context)(); }, (void *)&thread);
    });
}
#endif

#endif
