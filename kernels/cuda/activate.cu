/* activate: y = act(x). */
#include "queue.h"

static __global__ void activate(int64_t count, ws_activation activation, const float *x, float *y)
{
    for (WS_EACH(i, count))
        y[i] = ws_activation_value(activation, x[i]);
}

extern "C" void ws_activate_forward_cuda(const ws_activate_arguments *a, void *queue_)
{
    ws_cuda_queue *queue = ws_cuda_enter(queue_);
    WS_LAUNCH(queue, activate, ws_blocks(a->count, WS_BLOCK), WS_BLOCK, a->count, a->activation, a->x, a->y);
}

static __global__ void activate_gradient(int64_t count, ws_activation activation, bool accumulate, const float *y_or_x,
                                         const float *dy, float *dx)
{
    for (WS_EACH(i, count)) {
        float gradient = activation == WS_NONE ? dy[i] : dy[i] * ws_activation_slope(activation, y_or_x[i]);
        dx[i] = accumulate ? dx[i] + gradient : gradient;
    }
}

extern "C" void ws_activate_backward_cuda(const ws_activate_arguments *a, void *queue_)
{
    ws_cuda_queue *queue = ws_cuda_enter(queue_);
    if (a->dx == NULL)
        return;
    WS_LAUNCH(queue, activate_gradient, ws_blocks(a->count, WS_BLOCK), WS_BLOCK, a->count, a->activation,
              a->accumulate_dx, ws_activation_needs_z(a->activation) ? a->x : a->y, a->dy, a->dx);
}
