/* What orders the work of a device's queues: further queues, marks (CUDA events), and work that is captured once and replayed (CUDA
 * graphs). */
#include <stdlib.h>
#include <string.h>
#include "queue.h"

ws_err ws_cuda_open_beside(void **out, void *of)
{
    *out = NULL;
    ws_cuda_queue *queue = (ws_cuda_queue *)calloc(1, sizeof *queue);
    WS_CHECK(queue != NULL, MEMORY, "no memory for a CUDA queue");
    queue->device = ws_cuda_enter(of)->device;
    ws_cuda_note(queue, cudaStreamCreateWithFlags(&queue->stream, cudaStreamNonBlocking), "cudaStreamCreate");
    ws_err error = ws_cuda_take_fault(queue);
    if (error != WS_OK) {
        free(queue);
        return error;
    }
    *out = queue;
    return WS_OK;
}

void ws_cuda_copy(void *queue_, void *to, const void *from, size_t bytes)
{
    ws_cuda_queue *queue = ws_cuda_enter(queue_);
    ws_cuda_note(queue, cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, queue->stream), "copying");
}

void ws_cuda_memory(void *queue_, size_t *unused, size_t *whole)
{
    ws_cuda_queue *queue = ws_cuda_enter(queue_);
    *unused = *whole = 0;
    ws_cuda_note(queue, cudaMemGetInfo(unused, whole), "cudaMemGetInfo");
}

/* ---- marks ---- */

ws_err ws_cuda_mark_create(void *queue_, void **mark)
{
    ws_cuda_queue *queue = ws_cuda_enter(queue_);
    cudaEvent_t event = NULL;
    ws_cuda_note(queue, cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "cudaEventCreate");
    *mark = event;
    return ws_cuda_take_fault(queue);
}

void ws_cuda_mark_destroy(void *queue_, void *mark)
{
    ws_cuda_queue *queue = ws_cuda_enter(queue_);
    if (mark != NULL)
        ws_cuda_note(queue, cudaEventDestroy((cudaEvent_t)mark), "cudaEventDestroy");
}

void ws_cuda_mark_set(void *queue_, void *mark)
{
    ws_cuda_queue *queue = ws_cuda_enter(queue_);
    ws_cuda_note(queue, cudaEventRecord((cudaEvent_t)mark, queue->stream), "cudaEventRecord");
}

void ws_cuda_follow(void *queue_, void *mark)
{
    ws_cuda_queue *queue = ws_cuda_enter(queue_);
    ws_cuda_note(queue, cudaStreamWaitEvent(queue->stream, (cudaEvent_t)mark, 0), "cudaStreamWaitEvent");
}

void ws_cuda_wait_mark(void *queue_, void *mark)
{
    ws_cuda_queue *queue = ws_cuda_enter(queue_);
    ws_cuda_note(queue, cudaEventSynchronize((cudaEvent_t)mark), "waiting for the device");
}

bool ws_cuda_reached(void *queue_, void *mark)
{
    ws_cuda_queue *queue = ws_cuda_enter(queue_);
    cudaError_t status = cudaEventQuery((cudaEvent_t)mark);
    if (status == cudaErrorNotReady) {
        (void)cudaGetLastError();
        return false;
    }
    ws_cuda_note(queue, status, "waiting for the device");
    return true;
}

/* ---- graphs ---- */

bool ws_cuda_capture(void *queue_)
{
    ws_cuda_queue *queue = ws_cuda_enter(queue_);
    queue->faulty = queue->fault[0] != '\0';
    const bool begun = cudaStreamBeginCapture(queue->stream, cudaStreamCaptureModeThreadLocal) == cudaSuccess;
    if (!begun)
        (void)cudaGetLastError();
    return begun;
}

void *ws_cuda_captured(void *queue_)
{
    ws_cuda_queue *queue = ws_cuda_enter(queue_);
    cudaGraph_t graph = NULL;
    cudaGraphExec_t ready = NULL;
    if (cudaStreamEndCapture(queue->stream, &graph) != cudaSuccess || queue->fault[0] != '\0' ||
        cudaGraphInstantiate(&ready, graph, 0) != cudaSuccess) {
        (void)cudaGetLastError();
        if (!queue->faulty)
            queue->fault[0] = '\0';
        ready = NULL;
    }
    if (graph != NULL)
        (void)cudaGraphDestroy(graph);
    return ready;
}

void ws_cuda_replay(void *queue_, void *graph)
{
    ws_cuda_queue *queue = ws_cuda_enter(queue_);
    ws_cuda_note(queue, cudaGraphLaunch((cudaGraphExec_t)graph, queue->stream), "cudaGraphLaunch");
}

void ws_cuda_forget(void *queue_, void *graph)
{
    ws_cuda_queue *queue = ws_cuda_enter(queue_);
    ws_cuda_note(queue, cudaGraphExecDestroy((cudaGraphExec_t)graph), "cudaGraphExecDestroy");
}
