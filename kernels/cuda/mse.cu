/* mse: the mean of squared differences. Every block sums its share, then one block sums the shares. */
#include "queue.h"

static_assert((int)WS_LOSS_PARTS == (int)WS_BLOCK, "one thread of the last block takes one share");

static __global__ void sum_squares(int64_t count, const float *prediction, const float *target, float *parts)
{
    float sum = 0;
    for (WS_EACH(i, count)) {
        float difference = prediction[i] - target[i];
        sum += difference * difference;
    }
    sum = ws_block_sum(sum);
    if (threadIdx.x == 0)
        parts[blockIdx.x] = sum;
}

static __global__ void mean_of_parts(int64_t count, unsigned blocks, const float *parts, float *loss)
{
    float sum = ws_block_sum(threadIdx.x < blocks ? parts[threadIdx.x] : 0.0f);
    if (threadIdx.x == 0)
        *loss = sum / (float)count;
}

extern "C" void ws_mse_forward_cuda(const ws_mse_arguments *a, void *queue_)
{
    ws_cuda_queue *queue = ws_cuda_enter(queue_);
    const unsigned wanted = ws_blocks(a->count, WS_BLOCK), most = WS_LOSS_PARTS, blocks = wanted < most ? wanted : most;
    WS_LAUNCH(queue, sum_squares, blocks, WS_BLOCK, a->count, a->prediction, a->target, a->scratch);
    WS_LAUNCH(queue, mean_of_parts, 1, WS_BLOCK, a->count, blocks, a->scratch, a->loss);
}

/* Both gradients may be one buffer (of a tensor with itself): one thread does both, one after the other. */
static __global__ void mse_gradients(int64_t count, bool accumulate_dprediction, bool accumulate_dtarget,
                                     const float *prediction, const float *target, const float *dloss,
                                     float *dprediction, float *dtarget)
{
    float scale = *dloss * 2.0f / (float)count;
    for (WS_EACH(i, count)) {
        float gradient = scale * (prediction[i] - target[i]);
        if (dprediction != NULL)
            dprediction[i] = accumulate_dprediction ? dprediction[i] + gradient : gradient;
        if (dtarget != NULL)
            dtarget[i] = accumulate_dtarget ? dtarget[i] - gradient : -gradient;
    }
}

extern "C" void ws_mse_backward_cuda(const ws_mse_arguments *a, void *queue_)
{
    ws_cuda_queue *queue = ws_cuda_enter(queue_);
    WS_LAUNCH(queue, mse_gradients, ws_blocks(a->count, WS_BLOCK), WS_BLOCK, a->count, a->accumulate_dprediction,
              a->accumulate_dtarget, a->prediction, a->target, a->dloss, a->dprediction, a->dtarget);
}
