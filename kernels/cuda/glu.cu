/* glu: y = left half of x times act(right half). */
#include "queue.h"

static __global__ void gate(int64_t R, int64_t D, ws_activation activation, const float *x, float *y)
{
    for (WS_EACH(i, R * D)) {
        const float *left = x + i / D * 2 * D + i % D;
        y[i] = left[0] * ws_activation_value(activation, left[D]);
    }
}

extern "C" void ws_glu_forward_cuda(const ws_glu_arguments *a, void *queue_)
{
    ws_cuda_queue *queue = ws_cuda_enter(queue_);
    WS_LAUNCH(queue, gate, ws_blocks(a->R * a->D, WS_BLOCK), WS_BLOCK, a->R, a->D, a->activation, a->x, a->y);
}

static __global__ void gate_gradients(int64_t R, int64_t D, ws_activation activation, bool accumulate, const float *x,
                                      const float *dy, float *dx)
{
    for (WS_EACH(i, R * D)) {
        int64_t at = i / D * 2 * D + i % D;
        float z = x[at + D], value = ws_activation_value(activation, z);
        float slope = ws_activation_slope(activation, ws_activation_needs_z(activation) ? z : value);
        float left = dy[i] * value, right = dy[i] * x[at] * slope;
        dx[at] = accumulate ? dx[at] + left : left;
        dx[at + D] = accumulate ? dx[at + D] + right : right;
    }
}

extern "C" void ws_glu_backward_cuda(const ws_glu_arguments *a, void *queue_)
{
    ws_cuda_queue *queue = ws_cuda_enter(queue_);
    if (a->dx != NULL)
        WS_LAUNCH(queue, gate_gradients, ws_blocks(a->R * a->D, WS_BLOCK), WS_BLOCK, a->R, a->D, a->activation,
                  a->accumulate_dx, a->x, a->dy, a->dx);
}
