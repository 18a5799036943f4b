/* Simulated devices: memory with guards, copies, and cuBLAS's product. */
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include "cublas_v2.h"
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

cublasStatus_t cublasCreate_v2(cublasHandle_t *handle)
{
    *handle = (cublasHandle_t)calloc(1, 1);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasDestroy_v2(cublasHandle_t handle)
{
    free(handle);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSetStream_v2(cublasHandle_t, cudaStream_t)
{
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSetWorkspace_v2(cublasHandle_t, void *, size_t)
{
    return CUBLAS_STATUS_SUCCESS;
}

/* c = alpha op(a) op(b) + beta c, by column; c is not read when beta is 0 */
cublasStatus_t cublasSgemm_v2(cublasHandle_t, cublasOperation_t of_a, cublasOperation_t of_b, int m, int n, int k,
                              const float *alpha, const float *a, int lda, const float *b, int ldb, const float *beta,
                              float *c, int ldc)
{
    if (lda < (of_a == CUBLAS_OP_N ? m : k) || ldb < (of_b == CUBLAS_OP_N ? k : n) || ldc < m)
        return CUBLAS_STATUS_INVALID_VALUE;
    for (int column = 0; column < n; column++)
        for (int row = 0; row < m; row++) {
            double sum = 0;
            for (int i = 0; i < k; i++) {
                float left = of_a == CUBLAS_OP_N ? a[(size_t)i * lda + row] : a[(size_t)row * lda + i];
                float right = of_b == CUBLAS_OP_N ? b[(size_t)column * ldb + i] : b[(size_t)i * ldb + column];
                sum += (double)left * right;
            }
            float *out = &c[(size_t)column * ldc + row];
            *out = *alpha * (float)sum + (*beta == 0 ? 0 : *beta * *out);
        }
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSetMathMode(cublasHandle_t, cublasMath_t)
{
    return CUBLAS_STATUS_SUCCESS; /* sums here are more exact than either's */
}

cublasStatus_t cublasSgemmStridedBatched(cublasHandle_t handle, cublasOperation_t of_a, cublasOperation_t of_b, int m,
                                         int n, int k, const float *alpha, const float *a, int lda, long long a_stride,
                                         const float *b, int ldb, long long b_stride, const float *beta, float *c,
                                         int ldc, long long c_stride, int count)
{
    cublasStatus_t status = CUBLAS_STATUS_SUCCESS;
    for (int i = 0; i < count && status == CUBLAS_STATUS_SUCCESS; i++)
        status = cublasSgemm_v2(handle, of_a, of_b, m, n, k, alpha, a + i * a_stride, lda, b + i * b_stride, ldb, beta,
                                c + i * c_stride, ldc);
    return status;
}

const char *cublasGetStatusString(cublasStatus_t status)
{
    return status == CUBLAS_STATUS_SUCCESS ? "success" : "invalid value";
}
}
