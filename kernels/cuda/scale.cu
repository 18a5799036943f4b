/* scale: y = factor x. */
#include "queue.h"

static __global__ void scale(int64_t count, float factor, const float *x, float *y)
{
    for (WS_EACH(i, count))
        y[i] = factor * x[i];
}

extern "C" void ws_scale_forward_cuda(const ws_scale_arguments *a, void *queue_)
{
    ws_cuda_queue *queue = ws_cuda_enter(queue_);
    WS_LAUNCH(queue, scale, ws_blocks(a->count, WS_BLOCK), WS_BLOCK, a->count, a->factor, a->x, a->y);
}

static __global__ void scale_gradient(int64_t count, float factor, const float *by, bool accumulate, const float *dy,
                                      float *dx)
{
    float whole = by != NULL ? factor * *by : factor;
    for (WS_EACH(i, count))
        dx[i] = accumulate ? dx[i] + whole * dy[i] : whole * dy[i];
}

extern "C" void ws_scale_backward_cuda(const ws_scale_arguments *a, void *queue_)
{
    ws_cuda_queue *queue = ws_cuda_enter(queue_);
    if (a->dx != NULL)
        WS_LAUNCH(queue, scale_gradient, ws_blocks(a->count, WS_BLOCK), WS_BLOCK, a->count, a->backward_factor, a->by,
                  a->accumulate_dx, a->dy, a->dx);
}
