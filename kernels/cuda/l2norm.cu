/* l2norm: y = x / max(|x|, epsilon). A warp owns a row. */
#include "queue.h"

static __global__ void normalise_rows(int64_t B, int64_t D, float epsilon, const float *x, float *inverse_out, float *y)
{
    int64_t warp = (int64_t)blockIdx.x * WS_ROWS_A_BLOCK + threadIdx.x / WS_WARP;
    int lane = threadIdx.x % WS_WARP;
    for (int64_t b = warp; b < B; b += (int64_t)gridDim.x * WS_ROWS_A_BLOCK) {
        float squares = 0;
        for (int64_t d = lane; d < D; d += WS_WARP)
            squares += x[b * D + d] * x[b * D + d];
        float length = sqrtf(ws_warp_sum(squares));
        float inverse = 1.0f / (length < epsilon ? epsilon : length);
        for (int64_t d = lane; d < D; d += WS_WARP)
            y[b * D + d] = x[b * D + d] * inverse;
        if (lane == 0 && inverse_out != NULL)
            inverse_out[b] = inverse;
    }
}

extern "C" void ws_l2norm_forward_cuda(const ws_l2norm_arguments *a, void *queue_)
{
    ws_cuda_queue *queue = ws_cuda_enter(queue_);
    WS_LAUNCH(queue, normalise_rows, ws_blocks(a->B, WS_ROWS_A_BLOCK), WS_BLOCK, a->B, a->D, (float)a->epsilon, a->x,
              a->inverse, a->y);
}

static __global__ void row_gradients(int64_t B, int64_t D, float epsilon, bool accumulate, const float *y,
                                     const float *inverse, const float *dy, float *dx)
{
    int64_t warp = (int64_t)blockIdx.x * WS_ROWS_A_BLOCK + threadIdx.x / WS_WARP;
    int lane = threadIdx.x % WS_WARP;
    for (int64_t b = warp; b < B; b += (int64_t)gridDim.x * WS_ROWS_A_BLOCK) {
        float along = 0;
        for (int64_t d = lane; d < D; d += WS_WARP)
            along += y[b * D + d] * dy[b * D + d];
        along = ws_warp_sum(along);
        along = inverse[b] < 1.0f / epsilon ? along : 0.0f;
        for (int64_t d = lane; d < D; d += WS_WARP) {
            float gradient = (dy[b * D + d] - y[b * D + d] * along) * inverse[b];
            dx[b * D + d] = accumulate ? dx[b * D + d] + gradient : gradient;
        }
    }
}

extern "C" void ws_l2norm_backward_cuda(const ws_l2norm_arguments *a, void *queue_)
{
    ws_cuda_queue *queue = ws_cuda_enter(queue_);
    if (a->dx != NULL)
        WS_LAUNCH(queue, row_gradients, ws_blocks(a->B, WS_ROWS_A_BLOCK), WS_BLOCK, a->B, a->D, (float)a->epsilon,
                  a->accumulate_dx, a->y, a->inverse, a->dy, a->dx);
}
