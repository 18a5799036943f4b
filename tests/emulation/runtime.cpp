/* Simulated devices: memory with guards, and copies. */
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include "cuda_runtime.h"

enum { DEVICES = 4, GUARD_BYTES = 256 };
static const unsigned char GUARD = 0xa5;
static thread_local int current;

/* In front of every allocation of device memory. */
struct header {
    size_t bytes;
    int device;
};

extern "C" {

cudaError_t cudaRuntimeGetVersion(int *version)
{
    *version = CUDART_VERSION;
    return cudaSuccess;
}

cudaError_t cudaDriverGetVersion(int *version)
{
    *version = CUDART_VERSION;
    return cudaSuccess;
}

cudaError_t cudaGetDeviceCount(int *count)
{
    *count = DEVICES;
    return cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(struct cudaDeviceProp *properties, int device)
{
    memset(properties, 0, sizeof *properties);
    snprintf(properties->name, sizeof properties->name, "emulated device %d", device);
    properties->totalGlobalMem = (size_t)1 << 30;
    return cudaSuccess;
}

const char *cudaGetErrorString(cudaError_t error)
{
    return error == cudaSuccess                 ? "no error"
           : error == cudaErrorMemoryAllocation ? "out of memory"
                                                : "invalid argument";
}

cudaError_t cudaGetLastError(void)
{
    return cudaSuccess;
}

cudaError_t cudaSetDevice(int device)
{
    if (device < 0 || device >= DEVICES)
        return cudaErrorInvalidValue;
    current = device;
    return cudaSuccess;
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned)
{
    *stream = (cudaStream_t)calloc(1, 1);
    return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t)
{
    return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t stream)
{
    free(stream);
    return cudaSuccess;
}

/* Filled with NaN: what is read before it is written shows. */
cudaError_t cudaMalloc(void **memory, size_t bytes)
{
    unsigned char *base = nullptr;
    if (posix_memalign((void **)&base, GUARD_BYTES,
                       2 * GUARD_BYTES + (bytes + GUARD_BYTES - 1) / GUARD_BYTES * GUARD_BYTES))
        return cudaErrorMemoryAllocation;
    memset(base, GUARD, GUARD_BYTES);
    header own = {bytes, current};
    memcpy(base, &own, sizeof own);
    memset(base + GUARD_BYTES, 0xff, bytes);
    memset(base + GUARD_BYTES + bytes, GUARD, GUARD_BYTES);
    *memory = base + GUARD_BYTES;
    return cudaSuccess;
}

cudaError_t cudaFree(void *memory)
{
    if (memory == nullptr)
        return cudaSuccess;
    unsigned char *base = (unsigned char *)memory - GUARD_BYTES;
    header own;
    memcpy(&own, base, sizeof own);
    for (size_t i = sizeof own; i < GUARD_BYTES; i++)
        if (base[i] != GUARD || base[GUARD_BYTES + own.bytes + i - sizeof own] != GUARD) {
            fprintf(stderr, "emulated device: a write beyond %zu bytes of device memory\n", own.bytes);
            abort();
        }
    free(base);
    return cudaSuccess;
}

cudaError_t cudaMallocHost(void **memory, size_t bytes)
{
    *memory = malloc(bytes);
    return *memory == nullptr ? cudaErrorMemoryAllocation : cudaSuccess;
}

cudaError_t cudaFreeHost(void *memory)
{
    free(memory);
    return cudaSuccess;
}

cudaError_t cudaMemGetInfo(size_t *unused, size_t *whole)
{
    *unused = *whole = (size_t)1 << 30;
    return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, cudaMemcpyKind, cudaStream_t)
{
    memmove(to, from, bytes);
    return cudaSuccess;
}

cudaError_t cudaMemsetAsync(void *memory, int value, size_t bytes, cudaStream_t)
{
    memset(memory, value, bytes);
    return cudaSuccess;
}
}
