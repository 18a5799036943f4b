/* A CUDA device as the engine sees it: memory, copies, a stream with its products. Faults stay in the queue until wait. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "queue.h"

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

ws_err ws_cuda_take_fault(ws_cuda_queue *queue)
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
    ws_cuda_products_close(queue);
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
    return ws_cuda_take_fault(queue);
}

static ws_err cuda_open(void **out, int index)
{
    *out = NULL;
    ws_cuda_queue *queue = (ws_cuda_queue *)calloc(1, sizeof *queue);
    WS_CHECK(queue != NULL, MEMORY, "no memory for a CUDA queue");
    ws_err error = open_stream(queue, index);
    if (error == WS_OK)
        error = ws_cuda_products_open(queue);
    if (error == WS_OK)
        error = ws_cuda_take_fault(queue);
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
    return ws_cuda_take_fault(queue);
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
    return ws_cuda_take_fault(queue);
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
    return ws_cuda_take_fault(queue);
}

extern "C" {
extern const ws_device ws_device_cuda = {
    "cuda",        cuda_open,     cuda_close, cuda_allocate, cuda_release, cuda_allocate_host, cuda_release_host,
    cuda_upload,   cuda_download, cuda_zero,  cuda_wait,     false, /* device memory is not the host's */
    WS_CUDA_ORDER,
};
}

extern "C" void *ws_cuda_stream(void *queue)
{
    return ((ws_cuda_queue *)queue)->stream;
}

/* ---- what operators share ---- */

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
