/* What the engine needs of a device besides its kernels: memory, copies, and a queue of work.
 *
 * Work given to one queue runs in the order given. On the CPU it runs at once. On CUDA a queue is a stream with its
 * cuBLAS handle and workspace; copies and kernels are asynchronous and a fault stays in the queue until wait() reports
 * it.
 */
#ifndef WS_KERNELS_DEVICE_H
#define WS_KERNELS_DEVICE_H

#include "core/error.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ws_device {
    const char *name;                        /* "cpu", "cuda" */
    ws_err (*open)(void **queue, int index); /* index of the device among those of its kind */
    void (*close)(void *queue);
    ws_err (*allocate)(void *queue, void **out, size_t bytes); /* device memory, zeroed, at least 64-byte aligned */
    void (*release)(void *queue, void *memory);
    ws_err (*allocate_host)(void *queue, void **out, size_t bytes); /* host memory good for copies (pinned), zeroed */
    void (*release_host)(void *queue, void *memory);
    void (*upload)(void *queue, void *device, const void *host, size_t bytes);
    void (*download)(void *queue, void *host, const void *device, size_t bytes);
    void (*zero)(void *queue, void *device, size_t bytes);
    ws_err (*wait)(void *queue); /* until all work is done; reports the first fault since the last wait */
    bool host_memory;            /* device memory is host memory: inputs and outputs need no copies */
} ws_device;

extern const ws_device ws_device_cpu;
extern const ws_device ws_device_cuda; /* in builds with WS_HAVE_CUDA */
void *ws_cuda_stream(void *queue);     /* the cudaStream_t of one of its queues, for NCCL */

#ifdef __cplusplus
}
#endif
#endif
