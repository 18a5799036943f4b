/* slice: y[b] = columns [begin, begin + width) of x[b]. */
#include "queue.h"

static __global__ void slice(int64_t B, int64_t whole, int64_t begin, int64_t width, const float *x, float *y)
{
    for (WS_EACH(i, B * width))
        y[i] = x[i / width * whole + begin + i % width];
}

extern "C" void ws_slice_forward_cuda(const ws_slice_arguments *a, void *queue_)
{
    ws_cuda_queue *queue = ws_cuda_enter(queue_);
    WS_LAUNCH(queue, slice, ws_blocks(a->B * a->width, WS_BLOCK), WS_BLOCK, a->B, a->whole, a->begin, a->width, a->x,
              a->y);
}

static __global__ void add_slice(int64_t B, int64_t whole, int64_t begin, int64_t width, const float *dy, float *dx)
{
    for (WS_EACH(i, B * width))
        dx[i / width * whole + begin + i % width] += dy[i];
}

static __global__ void place_slice(int64_t B, int64_t whole, int64_t begin, int64_t width, const float *dy, float *dx)
{
    for (WS_EACH(i, B * whole)) {
        int64_t column = i % whole - begin;
        dx[i] = column >= 0 && column < width ? dy[i / whole * width + column] : 0.0f;
    }
}

extern "C" void ws_slice_backward_cuda(const ws_slice_arguments *a, void *queue_)
{
    ws_cuda_queue *queue = ws_cuda_enter(queue_);
    if (a->dx == NULL)
        return;
    if (a->accumulate_dx)
        WS_LAUNCH(queue, add_slice, ws_blocks(a->B * a->width, WS_BLOCK), WS_BLOCK, a->B, a->whole, a->begin, a->width,
                  a->dy, a->dx);
    else
        WS_LAUNCH(queue, place_slice, ws_blocks(a->B * a->whole, WS_BLOCK), WS_BLOCK, a->B, a->whole, a->begin,
                  a->width, a->dy, a->dx);
}
