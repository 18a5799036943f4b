/* rmsnorm: y = x * rstd * weight. A warp owns a row, a thread a column of the weight's gradient. */
#include "queue.h"

static __global__ void scale_rows(ws_rmsnorm_arguments a)
{
    int64_t warp = (int64_t)blockIdx.x * WS_ROWS_A_BLOCK + threadIdx.x / WS_WARP, D = a.D;
    int lane = threadIdx.x % WS_WARP;
    for (int64_t b = warp; b < a.B; b += (int64_t)gridDim.x * WS_ROWS_A_BLOCK) {
        const float *x = a.x + b * D;
        float squares = 0;
        for (int64_t k = lane; k < D; k += WS_WARP)
            squares += x[k] * x[k];
        float rstd = 1.0f / sqrtf(ws_warp_sum(squares) / (float)D + (float)a.epsilon);
        for (int64_t k = lane; k < D; k += WS_WARP)
            a.y[b * D + k] = x[k] * rstd * a.weight[k];
        if (lane == 0 && a.rstd != NULL)
            a.rstd[b] = rstd;
    }
}

extern "C" void ws_rmsnorm_forward_cuda(const ws_rmsnorm_arguments *a, void *queue_)
{
    ws_cuda_queue *queue = ws_cuda_enter(queue_);
    WS_LAUNCH(queue, scale_rows, ws_blocks(a->B, WS_ROWS_A_BLOCK), WS_BLOCK, *a);
}

/* g = dy * weight, h = x * rstd: dx = rstd * (g - h * mean of (g * h)) */
static __global__ void row_gradients(ws_rmsnorm_arguments a)
{
    int64_t warp = (int64_t)blockIdx.x * WS_ROWS_A_BLOCK + threadIdx.x / WS_WARP, D = a.D;
    int lane = threadIdx.x % WS_WARP;
    for (int64_t b = warp; b < a.B; b += (int64_t)gridDim.x * WS_ROWS_A_BLOCK) {
        const float *x = a.x + b * D, *dy = a.dy + b * D;
        float rstd = a.rstd[b], sum = 0;
        for (int64_t k = lane; k < D; k += WS_WARP)
            sum += dy[k] * a.weight[k] * x[k];
        float mean = ws_warp_sum(sum) * rstd * rstd / (float)D;
        for (int64_t k = lane; k < D; k += WS_WARP) {
            float gradient = rstd * (dy[k] * a.weight[k] - x[k] * mean);
            a.dx[b * D + k] = a.accumulate_dx ? a.dx[b * D + k] + gradient : gradient;
        }
    }
}

static __global__ void column_gradients(ws_rmsnorm_arguments a)
{
    int64_t begin, end;
    ws_part_rows(a.B, gridDim.y, blockIdx.y, &begin, &end);
    for (WS_EACH(k, a.D)) {
        float sum = 0;
        for (int64_t b = begin; b < end; b++)
            sum += a.dy[b * a.D + k] * (a.x[b * a.D + k] * a.rstd[b]);
        a.scratch[blockIdx.y * a.D + k] = sum;
    }
}

extern "C" void ws_rmsnorm_backward_cuda(const ws_rmsnorm_arguments *a, void *queue_)
{
    ws_cuda_queue *queue = ws_cuda_enter(queue_);
    if (a->dweight != NULL) {
        int64_t parts = ws_column_parts(a->B);
        dim3 blocks(ws_blocks(a->D, WS_BLOCK), (unsigned)parts);
        WS_LAUNCH(queue, column_gradients, blocks, WS_BLOCK, *a);
        ws_cuda_sum_parts(queue, parts, a->D, a->scratch, a->dweight);
    }
    if (a->dx != NULL)
        WS_LAUNCH(queue, row_gradients, ws_blocks(a->B, WS_ROWS_A_BLOCK), WS_BLOCK, *a);
}
