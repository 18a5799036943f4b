/* masked_mse: squared differences of rows, each with its weight. A warp owns a row, then one block sums the rows. */
#include "queue.h"

static __global__ void row_errors(int64_t R, int64_t D, const float *prediction, const float *target,
                                  const float *weight, float *row_error)
{
    int64_t warp = (int64_t)blockIdx.x * WS_ROWS_A_BLOCK + threadIdx.x / WS_WARP;
    int lane = threadIdx.x % WS_WARP;
    for (int64_t r = warp; r < R; r += (int64_t)gridDim.x * WS_ROWS_A_BLOCK) {
        float sum = 0;
        for (int64_t d = lane; weight[r] != 0 && d < D; d += WS_WARP) {
            float difference = prediction[r * D + d] - target[r * D + d];
            sum += difference * difference;
        }
        sum = ws_warp_sum(sum);
        if (lane == 0)
            row_error[r] = sum * weight[r];
    }
}

/* One block: threads take rows in strides, so the order depends on R only. */
static __global__ void weighted_mean(int64_t R, int64_t D, const float *weight, const float *row_error,
                                     float *row_scale, float *loss)
{
    float sum = 0, weights = 0;
    for (int64_t r = threadIdx.x; r < R; r += WS_BLOCK) {
        sum += row_error[r];
        weights += weight[r];
    }
    sum = ws_block_sum(sum);
    weights = ws_block_sum(weights);
    if (threadIdx.x == 0) {
        if (row_scale != NULL)
            *row_scale = weights > 0 ? 1.0f / weights : 0.0f;
        *loss = weights > 0 ? sum / (weights * (float)D) : 0.0f;
    }
}

extern "C" void ws_masked_mse_forward_cuda(const ws_masked_mse_arguments *a, void *queue_)
{
    ws_cuda_queue *queue = ws_cuda_enter(queue_);
    WS_LAUNCH(queue, row_errors, ws_blocks(a->R, WS_ROWS_A_BLOCK), WS_BLOCK, a->R, a->D, a->prediction, a->target,
              a->weight, a->scratch);
    WS_LAUNCH(queue, weighted_mean, 1, WS_BLOCK, a->R, a->D, a->weight, a->scratch, a->row_scale, a->loss);
}

/* Both gradients may be one buffer (of a tensor with itself): one thread does both, one after the other. */
static __global__ void masked_gradients(int64_t R, int64_t D, bool accumulate_dprediction, bool accumulate_dtarget,
                                        const float *prediction, const float *target, const float *weight,
                                        const float *row_scale, const float *dloss, float *dprediction, float *dtarget)
{
    float scale = 2.0f * *dloss * *row_scale / (float)D;
    for (WS_EACH(i, R * D)) {
        float of_row = weight[i / D], gradient = 0;
        if (of_row != 0 && *row_scale != 0)
            gradient = scale * of_row * (prediction[i] - target[i]);
        if (dprediction != NULL)
            dprediction[i] = accumulate_dprediction ? dprediction[i] + gradient : gradient;
        if (dtarget != NULL)
            dtarget[i] = accumulate_dtarget ? dtarget[i] - gradient : -gradient;
    }
}

extern "C" void ws_masked_mse_backward_cuda(const ws_masked_mse_arguments *a, void *queue_)
{
    ws_cuda_queue *queue = ws_cuda_enter(queue_);
    WS_LAUNCH(queue, masked_gradients, ws_blocks(a->R * a->D, WS_BLOCK), WS_BLOCK, a->R, a->D,
              a->accumulate_dprediction, a->accumulate_dtarget, a->prediction, a->target, a->weight, a->row_scale,
              a->dloss, a->dprediction, a->dtarget);
}
