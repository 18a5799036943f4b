/* Simulated devices: memory with guards, and copies.
 *
 * WIRESWEEP_EMULATED_DEVICES: how many a machine has (4); CUDA_VISIBLE_DEVICES chooses among them, as it does with real ones.
 * WIRESWEEP_EMULATED_MEMORY: bytes of each (1 GiB).
 */
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <vector>
#include "cuda_runtime.h"
#include "streams.h"

enum { GUARD_BYTES = 256 };
static const unsigned char GUARD = 0xa5;
static thread_local int current;
static std::mutex lock;
static std::map<const char *, size_t> pinned; /* host memory that copies run from and to later */
static std::map<int, size_t> used;            /* bytes of a device */

static size_t number_of(const char *variable, size_t otherwise)
{
    const char *text = getenv(variable);
    return text == nullptr || *text == '\0' ? otherwise : strtoull(text, nullptr, 10);
}

/* The machine's devices that this process sees. */
static std::vector<int> visible()
{
    const int devices = (int)number_of("WIRESWEEP_EMULATED_DEVICES", 4);
    const char *chosen = getenv("CUDA_VISIBLE_DEVICES");
    std::vector<int> seen;
    for (int i = 0; chosen == nullptr && i < devices; i++)
        seen.push_back(i);
    while (chosen != nullptr && *chosen >= '0' && *chosen <= '9') {
        char *end;
        const long device = strtol(chosen, &end, 10);
        if (device >= devices)
            break;
        seen.push_back((int)device);
        chosen = *end == ',' ? end + 1 : end;
    }
    return seen;
}

static bool is_pinned(const void *memory)
{
    std::lock_guard<std::mutex> held(lock);
    const char *at = (const char *)memory;
    auto next = pinned.upper_bound(at);
    if (next == pinned.begin())
        return false;
    --next;
    return at < next->first + next->second;
}

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
    *count = (int)visible().size();
    return cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(struct cudaDeviceProp *properties, int device)
{
    const std::vector<int> devices = visible();
    memset(properties, 0, sizeof *properties);
    if (device < 0 || (size_t)device >= devices.size())
        return cudaErrorInvalidValue;
    snprintf(properties->name, sizeof properties->name, "emulated device %d", devices[(size_t)device]);
    properties->uuid.bytes[0] = (char)(1 + devices[(size_t)device]);
    properties->major = 9;
    properties->totalGlobalMem = number_of("WIRESWEEP_EMULATED_MEMORY", (size_t)1 << 30);
    return cudaSuccess;
}

/* Devices are linked in pairs. */
cudaError_t cudaDeviceCanAccessPeer(int *can, int device, int peer)
{
    const std::vector<int> devices = visible();
    if (device < 0 || (size_t)device >= devices.size() || peer < 0 || (size_t)peer >= devices.size())
        return cudaErrorInvalidValue;
    *can = device != peer && devices[(size_t)device] / 2 == devices[(size_t)peer] / 2;
    return cudaSuccess;
}

const char *cudaGetErrorString(cudaError_t error)
{
    return error == cudaSuccess                 ? "no error"
           : error == cudaErrorMemoryAllocation ? "out of memory"
           : error == cudaErrorNotReady         ? "not ready"
           : error == cudaErrorInvalidValue     ? "invalid argument"
                                                : "not while a stream is captured";
}

cudaError_t cudaGetLastError(void)
{
    return cudaSuccess;
}

cudaError_t cudaSetDevice(int device)
{
    if (device < 0 || (size_t)device >= visible().size())
        return cudaErrorInvalidValue;
    current = device;
    return cudaSuccess;
}

/* Filled with NaN: what is read before it is written shows. */
cudaError_t cudaMalloc(void **memory, size_t bytes)
{
    unsigned char *base = nullptr;
    std::lock_guard<std::mutex> held(lock);
    if (used[current] + bytes > number_of("WIRESWEEP_EMULATED_MEMORY", (size_t)1 << 30))
        return cudaErrorMemoryAllocation;
    if (posix_memalign((void **)&base, GUARD_BYTES,
                       2 * GUARD_BYTES + (bytes + GUARD_BYTES - 1) / GUARD_BYTES * GUARD_BYTES))
        return cudaErrorMemoryAllocation;
    memset(base, GUARD, GUARD_BYTES);
    header own = {bytes, current};
    memcpy(base, &own, sizeof own);
    memset(base + GUARD_BYTES, 0xff, bytes);
    memset(base + GUARD_BYTES + bytes, GUARD, GUARD_BYTES);
    *memory = base + GUARD_BYTES;
    used[current] += bytes;
    return cudaSuccess;
}

cudaError_t cudaFree(void *memory)
{
    if (memory == nullptr)
        return cudaSuccess;
    ws_emulate_finish();
    unsigned char *base = (unsigned char *)memory - GUARD_BYTES;
    std::lock_guard<std::mutex> held(lock);
    header own;
    memcpy(&own, base, sizeof own);
    for (size_t i = sizeof own; i < GUARD_BYTES; i++)
        if (base[i] != GUARD || base[GUARD_BYTES + own.bytes + i - sizeof own] != GUARD) {
            fprintf(stderr, "emulated device: a write beyond %zu bytes of device memory\n", own.bytes);
            abort();
        }
    used[own.device] -= own.bytes;
    free(base);
    return cudaSuccess;
}

cudaError_t cudaMallocHost(void **memory, size_t bytes)
{
    std::lock_guard<std::mutex> held(lock);
    *memory = malloc(bytes);
    if (*memory == nullptr)
        return cudaErrorMemoryAllocation;
    pinned[(const char *)*memory] = bytes;
    return cudaSuccess;
}

cudaError_t cudaFreeHost(void *memory)
{
    ws_emulate_finish();
    std::lock_guard<std::mutex> held(lock);
    pinned.erase((const char *)memory);
    free(memory);
    return cudaSuccess;
}

cudaError_t cudaMemGetInfo(size_t *unused, size_t *whole)
{
    std::lock_guard<std::mutex> held(lock);
    *whole = number_of("WIRESWEEP_EMULATED_MEMORY", (size_t)1 << 30);
    *unused = *whole - used[current];
    return cudaSuccess;
}

/* From memory that is not pinned at once, to such memory before the call returns, as CUDA has it. */
cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, cudaMemcpyKind kind, cudaStream_t stream)
{
    const bool later = kind == cudaMemcpyDeviceToDevice || is_pinned(kind == cudaMemcpyHostToDevice ? from : to);
    if (!later && ws_emulate_captures(stream))
        return cudaErrorStreamCaptureUnsupported;
    if (later || kind == cudaMemcpyDeviceToHost) {
        ws_emulate_do(stream, [=] { memmove(to, from, bytes); });
        return later ? cudaSuccess : cudaStreamSynchronize(stream);
    }
    std::vector<char> copy((const char *)from, (const char *)from + bytes);
    ws_emulate_do(stream, [to, copy] { std::copy(copy.begin(), copy.end(), (char *)to); }); /* of nothing: to nowhere */
    return cudaSuccess;
}

cudaError_t cudaMemsetAsync(void *memory, int value, size_t bytes, cudaStream_t stream)
{
    ws_emulate_do(stream, [=] { memset(memory, value, bytes); });
    return cudaSuccess;
}
}
