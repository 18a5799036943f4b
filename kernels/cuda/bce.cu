/* bce: binary cross entropy of logits. Every block sums its share, then one block sums the shares. */
#include "queue.h"

static_assert((int)WS_LOSS_PARTS == (int)WS_BLOCK, "one thread of the last block takes one share");

static __global__ void sum_losses(int64_t count, const float *logits, const float *target, float *parts)
{
    float sum = 0;
    for (WS_EACH(i, count))
        sum += ws_bce_of(logits[i], target[i]);
    sum = ws_block_sum(sum);
    if (threadIdx.x == 0)
        parts[blockIdx.x] = sum;
}

static __global__ void mean_of_parts(int64_t count, int64_t parts_used, const float *parts, float *loss)
{
    float sum = ws_block_sum(threadIdx.x < parts_used ? parts[threadIdx.x] : 0.0f);
    if (threadIdx.x == 0)
        *loss = sum / (float)count;
}

extern "C" void ws_bce_forward_cuda(const ws_bce_arguments *a, void *queue_)
{
    ws_cuda_queue *queue = ws_cuda_enter(queue_);
    unsigned blocks = ws_blocks(a->count, WS_BLOCK);
    if (blocks > WS_LOSS_PARTS)
        blocks = WS_LOSS_PARTS;
    WS_LAUNCH(queue, sum_losses, blocks, WS_BLOCK, a->count, a->logits, a->target, a->scratch);
    WS_LAUNCH(queue, mean_of_parts, 1, WS_BLOCK, a->count, (int64_t)blocks, a->scratch, a->loss);
}

static __global__ void logit_gradients(int64_t count, bool accumulate, const float *logits, const float *target,
                                       const float *dloss, float *dlogits)
{
    float scale = *dloss / (float)count;
    for (WS_EACH(i, count)) {
        float gradient = scale * (ws_sigmoid(logits[i]) - target[i]);
        dlogits[i] = accumulate ? dlogits[i] + gradient : gradient;
    }
}

extern "C" void ws_bce_backward_cuda(const ws_bce_arguments *a, void *queue_)
{
    ws_cuda_queue *queue = ws_cuda_enter(queue_);
    if (a->dlogits != NULL)
        WS_LAUNCH(queue, logit_gradients, ws_blocks(a->count, WS_BLOCK), WS_BLOCK, a->count, a->accumulate_dlogits,
                  a->logits, a->target, a->dloss, a->dlogits);
}
