/* The kernels outside the operators: AdamW, averages of parameters, the step of a tree sum, and sums of squares. */
#include "queue.h"

static __global__ void adamw(ws_adamw_arguments a)
{
    for (WS_EACH(i, (int64_t)a.count))
        ws_adamw_element(&a.parameters[i], a.gradients[i], &a.first_moment[i], &a.second_moment[i], a.scale, a.share1,
                         a.share2, a.step_size, a.root_correction, a.epsilon, a.decay);
}

extern "C" void ws_adamw_cuda(const ws_adamw_arguments *a, void *queue_)
{
    ws_cuda_queue *queue = ws_cuda_enter(queue_);
    WS_LAUNCH(queue, adamw, ws_blocks((int64_t)a->count, WS_BLOCK), WS_BLOCK, *a);
}

static __global__ void sgd(ws_sgd_arguments a)
{
    for (WS_EACH(i, (int64_t)a.count))
        a.parameters[i] -= a.step_size * a.gradients[i] + a.decay * a.parameters[i];
}

extern "C" void ws_sgd_cuda(const ws_sgd_arguments *a, void *queue_)
{
    ws_cuda_queue *queue = ws_cuda_enter(queue_);
    WS_LAUNCH(queue, sgd, ws_blocks((int64_t)a->count, WS_BLOCK), WS_BLOCK, *a);
}

static __global__ void ema(ws_ema_arguments a)
{
    for (WS_EACH(i, (int64_t)a.count))
        a.average[i] += a.share * (a.scale * a.value[i] - a.average[i]);
}

extern "C" void ws_ema_cuda(const ws_ema_arguments *a, void *queue_)
{
    ws_cuda_queue *queue = ws_cuda_enter(queue_);
    WS_LAUNCH(queue, ema, ws_blocks((int64_t)a->count, WS_BLOCK), WS_BLOCK, *a);
}

static __global__ void accumulate(ws_accumulate_arguments a)
{
    for (WS_EACH(i, (int64_t)a.count))
        a.sum[i] += a.value[i];
}

extern "C" void ws_accumulate_cuda(const ws_accumulate_arguments *a, void *queue_)
{
    ws_cuda_queue *queue = ws_cuda_enter(queue_);
    WS_LAUNCH(queue, accumulate, ws_blocks((int64_t)a->count, WS_BLOCK), WS_BLOCK, *a);
}

static __global__ void square_sums(ws_square_sums_arguments a, int64_t blocks)
{
    for (int64_t block = blockIdx.x; block < blocks; block += gridDim.x) {
        int64_t begin = block * WS_NORM_BLOCK, end = begin + WS_NORM_BLOCK;
        if (end > (int64_t)a.count)
            end = (int64_t)a.count;
        double sum = 0;
        for (int64_t i = begin + threadIdx.x; i < end; i += WS_BLOCK)
            sum += (double)a.value[i] * a.value[i];
        sum = ws_block_sum(sum);
        if (threadIdx.x == 0)
            a.partial[block] = sum;
    }
}

extern "C" void ws_square_sums_cuda(const ws_square_sums_arguments *a, void *queue_)
{
    ws_cuda_queue *queue = ws_cuda_enter(queue_);
    int64_t blocks = ((int64_t)a->count + WS_NORM_BLOCK - 1) / WS_NORM_BLOCK;
    WS_LAUNCH(queue, square_sums, ws_blocks(blocks, 1), WS_BLOCK, *a, blocks);
}
