/* The kernels outside the operators: the optimiser's step, rounding to bfloat16, the step of a tree sum, and sums of
 * squares. */
#include "queue.h"

static __global__ void update(ws_update_arguments a)
{
    const ws_update_numbers n = *a.numbers;
    for (WS_EACH(k, (int64_t)a.count)) {
        const int64_t i = (int64_t)a.offset + k;
        const int kind = a.kinds[i / WS_UPDATE_CELL];
        const float decay = kind == WS_UPDATE_DECAY ? n.decay : 0.0f;
        if (kind == WS_UPDATE_STATISTIC)
            a.parameters[i] += n.statistics_share * (n.statistics_scale * a.gradients[i] - a.parameters[i]);
        else if (kind != WS_UPDATE_NONE && n.descent)
            a.parameters[i] -= n.step_size * a.gradients[i] + decay * a.parameters[i];
        else if (kind != WS_UPDATE_NONE)
            ws_adamw_element(&a.parameters[i], a.gradients[i], &a.first_moment[i], &a.second_moment[i], n.scale,
                             n.share1, n.share2, n.step_size, n.root_correction, n.epsilon, decay);
        a.average[i] += n.average_share * (a.parameters[i] - a.average[i]);
        if (a.rounded != NULL)
            a.rounded[i] = ws_bf16_bits(a.parameters[i]);
    }
}

extern "C" void ws_update_cuda(const ws_update_arguments *a, void *queue_)
{
    ws_cuda_queue *queue = ws_cuda_enter(queue_);
    WS_LAUNCH(queue, update, ws_blocks((int64_t)a->count, WS_BLOCK), WS_BLOCK, *a);
}

static __global__ void round_to_bf16(ws_round_arguments a)
{
    for (WS_EACH(i, (int64_t)a.count))
        a.to[i] = ws_bf16_bits(a.from[i]);
}

extern "C" void ws_round_cuda(const ws_round_arguments *a, void *queue_)
{
    ws_cuda_queue *queue = ws_cuda_enter(queue_);
    WS_LAUNCH(queue, round_to_bf16, ws_blocks((int64_t)a->count, WS_BLOCK), WS_BLOCK, *a);
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
