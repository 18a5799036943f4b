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

    /* What follows is NULL where device memory is the host's. */
    ws_err (*open_beside)(void **queue, void *of); /* one more queue of its device, without products of matrices */
    void (*copy)(void *queue, void *to, const void *from, size_t bytes); /* both in the device */
    void (*memory)(void *queue, size_t *unused, size_t *whole);          /* bytes of the device */
    /* Marks order the work of queues: a mark is reached when all is done that its queue had been given when it was set. One that was
     * never set is reached. */
    ws_err (*mark_create)(void *queue, void **mark);
    void (*mark_destroy)(void *queue, void *mark);
    void (*mark_set)(void *queue, void *mark);
    void (*follow)(void *queue, void *mark);    /* what the queue is given from now on begins after the mark */
    void (*wait_mark)(void *queue, void *mark); /* the host waits */
    bool (*reached)(void *queue, void *mark);   /* true also after a fault, which wait reports */
    /* Work given between capture and captured is not done but kept, to be replayed at one call's cost. captured gives NULL where the
     * device cannot keep it; a fault of capturing is not left in the queue. */
    bool (*capture)(void *queue); /* false: it has not begun, and work is done as ever */
    void *(*captured)(void *queue);
    void (*replay)(void *queue, void *graph);
    void (*forget)(void *queue, void *graph);
} ws_device;

extern const ws_device ws_device_cpu;
extern const ws_device ws_device_cuda; /* in builds with WS_HAVE_CUDA */
void *ws_cuda_stream(void *queue);     /* the cudaStream_t of one of its queues, for NCCL */

#ifdef __cplusplus
}
#endif
#endif
