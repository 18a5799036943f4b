/* A CUDA device as the engine sees it: memory, copies, a stream with its cuBLAS handle. Faults stay in the queue until
 * wait. */
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "queue.h"
extern "C" {
#include "device.h"
}

enum { WORKSPACE_BYTES = 32 << 20 }; /* what NVIDIA advises for Hopper; enough for Ampere */

/* ---- cuBLAS, loaded once ---- */

#ifndef WS_CUBLAS_FILE
#define WS_TEXT(number) #number
#define WS_TEXT_OF(number) WS_TEXT(number)
#define WS_CUBLAS_FILE "libcublas.so." WS_TEXT_OF(CUBLAS_VER_MAJOR)
#endif

static pthread_once_t blas_once = PTHREAD_ONCE_INIT;
static ws_blas blas_calls;
static char blas_missing[256]; /* why it could not be loaded; "" when it was */

static void load_blas(void)
{
    void *library = dlopen(WS_CUBLAS_FILE, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        snprintf(blas_missing, sizeof blas_missing, "%s", dlerror());
        return;
    }
#define LOAD(call)                                                                                                     \
    blas_calls.call##_ = (decltype(&call))dlsym(library, #call);                                                       \
    if (blas_calls.call##_ == NULL && blas_missing[0] == '\0')                                                         \
        snprintf(blas_missing, sizeof blas_missing, "it has no " #call);
    WS_BLAS_CALLS(LOAD)
#undef LOAD
}

/* ---- faults ---- */

ws_cuda_queue *ws_cuda_enter(void *queue_)
{
    ws_cuda_queue *queue = (ws_cuda_queue *)queue_;
    ws_cuda_note(queue, cudaSetDevice(queue->device), "cudaSetDevice");
    return queue;
}

void ws_cuda_note(ws_cuda_queue *queue, cudaError_t status, const char *what)
{
    if (status != cudaSuccess && queue->fault[0] == '\0')
        snprintf(queue->fault, sizeof queue->fault, "%s: %s", what, cudaGetErrorString(status));
}

void ws_cuda_note_blas(ws_cuda_queue *queue, cublasStatus_t status, const char *what)
{
    if (status != CUBLAS_STATUS_SUCCESS && queue->fault[0] == '\0')
        snprintf(queue->fault, sizeof queue->fault, "%s: %s", what, queue->calls->cublasGetStatusString_(status));
}

static ws_err take_fault(ws_cuda_queue *queue)
{
    if (queue->fault[0] == '\0')
        return WS_OK;
    ws_err error = WS_ERROR(CUDA, "device %d, %s", queue->device, queue->fault);
    queue->fault[0] = '\0';
    return error;
}

/* ---- the device ---- */

static void cuda_close(void *queue_)
{
    ws_cuda_queue *queue = (ws_cuda_queue *)queue_;
    if (queue == NULL)
        return;
    cudaSetDevice(queue->device);
    if (queue->stream != NULL)
        cudaStreamSynchronize(queue->stream);
    if (queue->blas != NULL)
        queue->calls->cublasDestroy_v2_(queue->blas);
    cudaFree(queue->workspace);
    if (queue->stream != NULL)
        cudaStreamDestroy(queue->stream);
    free(queue);
}

static ws_err open_stream(ws_cuda_queue *queue, int index)
{
    int count = 0;
    cudaError_t status = cudaGetDeviceCount(&count);
    if (status != cudaSuccess || index < 0 || index >= count) {
        ws_err error = status != cudaSuccess ? WS_ERROR(CUDA, "no CUDA device: %s", cudaGetErrorString(status))
                                             : WS_ERROR(CUDA, "no CUDA device %d; there are %d", index, count);
        WS_HINT("wiresweep doctor shows what this machine has; without a GPU run on the CPU");
        return error;
    }
    queue->device = index;
    ws_cuda_note(queue, cudaSetDevice(index), "cudaSetDevice");
    ws_cuda_note(queue, cudaStreamCreateWithFlags(&queue->stream, cudaStreamNonBlocking), "cudaStreamCreate");
    ws_cuda_note(queue, cudaMalloc(&queue->workspace, WORKSPACE_BYTES), "cudaMalloc");
    return take_fault(queue);
}

static ws_err open_blas(ws_cuda_queue *queue)
{
    pthread_once(&blas_once, load_blas);
    if (blas_missing[0] != '\0') {
        ws_err error = WS_ERROR(CUDA, "cuBLAS cannot be loaded: %s", blas_missing);
        WS_HINT("install libcublas from NVIDIA's package repository, or set LD_LIBRARY_PATH to where it is");
        return error;
    }
    queue->calls = &blas_calls;
    ws_cuda_note_blas(queue, blas_calls.cublasCreate_v2_(&queue->blas), "cublasCreate");
    if (queue->blas == NULL)
        return take_fault(queue);
    ws_cuda_note_blas(queue, blas_calls.cublasSetStream_v2_(queue->blas, queue->stream), "cublasSetStream");
    ws_cuda_note_blas(queue, blas_calls.cublasSetWorkspace_v2_(queue->blas, queue->workspace, WORKSPACE_BYTES),
                      "cublasSetWorkspace");
    return take_fault(queue);
}

static ws_err cuda_open(void **out, int index)
{
    *out = NULL;
    ws_cuda_queue *queue = (ws_cuda_queue *)calloc(1, sizeof *queue);
    WS_CHECK(queue != NULL, MEMORY, "no memory for a CUDA queue");
    ws_err error = open_stream(queue, index);
    if (error == WS_OK)
        error = open_blas(queue);
    if (error != WS_OK) {
        cuda_close(queue);
        return error;
    }
    *out = queue;
    return WS_OK;
}

static ws_err cuda_allocate(void *queue_, void **out, size_t bytes)
{
    ws_cuda_queue *queue = ws_cuda_enter(queue_);
    *out = NULL;
    cudaError_t status = cudaMalloc(out, bytes > 0 ? bytes : 1);
    if (status != cudaSuccess) {
        size_t unused = 0, whole = 0;
        cudaGetLastError(); /* memory errors do not stick to what follows */
        cudaMemGetInfo(&unused, &whole);
        ws_err error = WS_ERROR(CUDA, "no room for %zu bytes on device %d (%zu of %zu bytes free): %s", bytes,
                                queue->device, unused, whole, cudaGetErrorString(status));
        WS_HINT("use a smaller batch or model, or a device that others do not use");
        return error;
    }
    ws_cuda_note(queue, cudaMemsetAsync(*out, 0, bytes, queue->stream), "cudaMemset");
    return take_fault(queue);
}

static void cuda_release(void *queue_, void *memory)
{
    ws_cuda_queue *queue = ws_cuda_enter(queue_);
    ws_cuda_note(queue, cudaFree(memory), "cudaFree");
}

static ws_err cuda_allocate_host(void *queue_, void **out, size_t bytes)
{
    ws_cuda_queue *queue = ws_cuda_enter(queue_);
    *out = NULL;
    ws_cuda_note(queue, cudaMallocHost(out, bytes > 0 ? bytes : 1), "cudaMallocHost");
    if (*out != NULL)
        memset(*out, 0, bytes);
    return take_fault(queue);
}

static void cuda_release_host(void *queue_, void *memory)
{
    ws_cuda_queue *queue = ws_cuda_enter(queue_);
    ws_cuda_note(queue, cudaFreeHost(memory), "cudaFreeHost");
}

static void cuda_upload(void *queue_, void *device, const void *host, size_t bytes)
{
    ws_cuda_queue *queue = ws_cuda_enter(queue_);
    ws_cuda_note(queue, cudaMemcpyAsync(device, host, bytes, cudaMemcpyHostToDevice, queue->stream), "upload");
}

static void cuda_download(void *queue_, void *host, const void *device, size_t bytes)
{
    ws_cuda_queue *queue = ws_cuda_enter(queue_);
    ws_cuda_note(queue, cudaMemcpyAsync(host, device, bytes, cudaMemcpyDeviceToHost, queue->stream), "download");
}

static void cuda_zero(void *queue_, void *device, size_t bytes)
{
    ws_cuda_queue *queue = ws_cuda_enter(queue_);
    ws_cuda_note(queue, cudaMemsetAsync(device, 0, bytes, queue->stream), "cudaMemset");
}

static ws_err cuda_wait(void *queue_)
{
    ws_cuda_queue *queue = ws_cuda_enter(queue_);
    ws_cuda_note(queue, cudaStreamSynchronize(queue->stream), "waiting for the device");
    return take_fault(queue);
}

extern "C" {
extern const ws_device ws_device_cuda = {
    "cuda",      cuda_open,     cuda_close, cuda_allocate, cuda_release, cuda_allocate_host, cuda_release_host,
    cuda_upload, cuda_download, cuda_zero,  cuda_wait,     false, /* device memory is not the host's */
};
}

extern "C" void *ws_cuda_stream(void *queue)
{
    return ((ws_cuda_queue *)queue)->stream;
}

/* ---- what operators share ---- */

/* cuBLAS reads matrices by column: a row-major [M,N] is its [N,M], so out = left right is asked for as its transpose,
 * right^T left^T. */
void ws_cuda_gemm(ws_cuda_queue *queue, bool transpose_left, bool transpose_right, int64_t M, int64_t N, int64_t K,
                  const float *left, const float *right, bool accumulate, float *out)
{
    const float one = 1, beta = accumulate ? 1 : 0;
    ws_cuda_note_blas(queue,
                      queue->calls->cublasSgemm_v2_(queue->blas, transpose_right ? CUBLAS_OP_T : CUBLAS_OP_N,
                                                    transpose_left ? CUBLAS_OP_T : CUBLAS_OP_N, (int)N, (int)M, (int)K,
                                                    &one, right, (int)(transpose_right ? K : N), left,
                                                    (int)(transpose_left ? M : K), &beta, out, (int)N),
                      "cublasSgemm");
}

void ws_cuda_gemms(ws_cuda_queue *queue, int64_t count, bool transpose_left, bool transpose_right, int64_t M, int64_t N,
                   int64_t K, const float *left, const float *right, bool accumulate, float *out)
{
    const float one = 1, beta = accumulate ? 1 : 0;
    ws_cuda_note_blas(queue,
                      queue->calls->cublasSgemmStridedBatched_(
                          queue->blas, transpose_right ? CUBLAS_OP_T : CUBLAS_OP_N,
                          transpose_left ? CUBLAS_OP_T : CUBLAS_OP_N, (int)N, (int)M, (int)K, &one, right,
                          (int)(transpose_right ? K : N), (long long)(K * N), left, (int)(transpose_left ? M : K),
                          (long long)(M * K), &beta, out, (int)N, (long long)(M * N), (int)count),
                      "cublasSgemmStridedBatched");
}

void ws_cuda_exact_in_tensor_cores(ws_cuda_queue *queue, bool on)
{
    ws_cuda_note_blas(
        queue, queue->calls->cublasSetMathMode_(queue->blas, on ? CUBLAS_TF32_TENSOR_OP_MATH : CUBLAS_DEFAULT_MATH),
        "cublasSetMathMode");
}

static __global__ void round_to_bf16(int64_t count, const float *from, float *to)
{
    for (WS_EACH(i, count))
        to[i] = ws_bf16(from[i]);
}

const float *ws_cuda_factor(ws_cuda_queue *queue, bool bf16, const float *factor, int64_t count, float **next)
{
    if (!bf16)
        return factor;
    float *rounded = *next;
    WS_LAUNCH(queue, round_to_bf16, ws_blocks(count, WS_BLOCK), WS_BLOCK, count, factor, rounded);
    *next += count;
    return rounded;
}

static __global__ void sum_parts(int64_t parts, int64_t N, const float *partial, float *total)
{
    for (WS_EACH(n, N)) {
        float sum = 0;
        for (int64_t part = 0; part < parts; part++)
            sum += partial[part * N + n];
        total[n] = sum;
    }
}

void ws_cuda_sum_parts(ws_cuda_queue *queue, int64_t parts, int64_t N, const float *partial, float *total)
{
    WS_LAUNCH(queue, sum_parts, ws_blocks(N, WS_BLOCK), WS_BLOCK, parts, N, partial, total);
}
