/* attention_pool: the mean over tokens weighted by the softmax of a learned score. A block owns a row of the batch; its warps
 * take tokens for the scores, its threads columns for the sums. */
#include "queue.h"
#include "pool.h"

/* out[t] = x[t] . vector + offset for the first n tokens, by the warps of the block */
static __device__ void dot_tokens(int64_t n, int64_t D, const float *x, const float *vector, float offset, float *out)
{
    int lane = threadIdx.x % WS_WARP;
    for (int64_t t = threadIdx.x / WS_WARP; t < n; t += WS_ROWS_A_BLOCK) {
        float sum = 0;
        for (int64_t d = lane; d < D; d += WS_WARP)
            sum += x[t * D + d] * vector[d];
        sum = ws_warp_sum(sum);
        if (lane == 0)
            out[t] = sum + offset;
    }
    __syncthreads();
}

static __global__ void pool_tokens(int64_t B, int64_t T, int64_t D, const float *x_, const int32_t *length,
                                   const float *weight, const float *bias, float *share_, float *y)
{
    for (int64_t b = blockIdx.x; b < B; b += gridDim.x) {
        int64_t n = ws_pool_tokens(length, b, T);
        const float *x = x_ + b * T * D;
        float *share = share_ + b * T, sum = 0, largest = -INFINITY;
        dot_tokens(n, D, x, weight, *bias, share);
        for (int64_t t = 0; t < n; t++) /* every thread alike */
            largest = fmaxf(largest, share[t]);
        for (int64_t t = threadIdx.x; t < n; t += WS_BLOCK)
            sum += ws_exp(share[t] - largest);
        sum = ws_block_sum(sum);
        for (int64_t t = threadIdx.x; t < T; t += WS_BLOCK)
            share[t] = t < n ? ws_exp(share[t] - largest) / sum : 0.0f;
        __syncthreads();
        for (int64_t d = threadIdx.x; d < D; d += WS_BLOCK) {
            float value = 0;
            for (int64_t t = 0; t < n; t++)
                value += share[t] * x[t * D + d];
            y[b * D + d] = value;
        }
        __syncthreads();
    }
}

extern "C" void ws_attention_pool_forward_cuda(const ws_attention_pool_arguments *a, void *queue_)
{
    ws_cuda_queue *queue = ws_cuda_enter(queue_);
    WS_LAUNCH(queue, pool_tokens, ws_blocks(a->B, 1), WS_BLOCK, a->B, a->T, a->D, a->x, a->length, a->weight, a->bias,
              a->share, a->y);
}

/* dscore[t] = p (q - sum of p q), q = dy . x[t]; then dx = p dy + dscore weight */
static __global__ void token_gradients(int64_t B, int64_t T, int64_t D, bool accumulate, const float *x,
                                       const int32_t *length, const float *weight, const float *share_, const float *dy,
                                       float *dscore_, float *dx)
{
    for (int64_t b = blockIdx.x; b < B; b += gridDim.x) {
        int64_t n = ws_pool_tokens(length, b, T);
        const float *share = share_ + b * T;
        float *dscore = dscore_ + b * T, mean = 0;
        dot_tokens(n, D, x + b * T * D, dy + b * D, 0, dscore);
        for (int64_t t = threadIdx.x; t < n; t += WS_BLOCK)
            mean += share[t] * dscore[t];
        mean = ws_block_sum(mean);
        for (int64_t t = threadIdx.x; t < T; t += WS_BLOCK)
            dscore[t] = t < n ? share[t] * (dscore[t] - mean) : 0.0f;
        __syncthreads();
        for (int64_t i = threadIdx.x; dx != NULL && i < T * D; i += WS_BLOCK) {
            int64_t at = b * T * D + i;
            float gradient = i / D < n ? share[i / D] * dy[b * D + i % D] + dscore[i / D] * weight[i % D] : 0.0f;
            dx[at] = accumulate ? dx[at] + gradient : gradient;
        }
        __syncthreads();
    }
}

/* partial[part] = sum over the part's tokens of dscore x. One thread owns a column of a part. */
static __global__ void weight_sums(int64_t tokens, int64_t D, const float *x, const float *dscore, float *partial)
{
    int64_t begin, end;
    ws_part_rows(tokens, gridDim.y, blockIdx.y, &begin, &end);
    for (WS_EACH(d, D)) {
        float sum = 0;
        for (int64_t i = begin; i < end; i++)
            sum += dscore[i] != 0 ? dscore[i] * x[i * D + d] : 0.0f;
        partial[blockIdx.y * D + d] = sum;
    }
}

static __global__ void bias_sum(int64_t tokens, const float *dscore, float *dbias)
{
    float sum = 0;
    for (int64_t i = threadIdx.x; i < tokens; i += WS_BLOCK)
        sum += dscore[i];
    sum = ws_block_sum(sum);
    if (threadIdx.x == 0)
        *dbias = sum;
}

extern "C" void ws_attention_pool_backward_cuda(const ws_attention_pool_arguments *a, void *queue_)
{
    ws_cuda_queue *queue = ws_cuda_enter(queue_);
    WS_LAUNCH(queue, token_gradients, ws_blocks(a->B, 1), WS_BLOCK, a->B, a->T, a->D, a->accumulate_dx, a->x, a->length,
              a->weight, a->share, a->dy, a->dscore, a->dx);
    if (a->dweight == NULL)
        return;
    int64_t tokens = a->B * a->T, parts = ws_column_parts(tokens);
    dim3 blocks(ws_blocks(a->D, WS_BLOCK), (unsigned)parts);
    WS_LAUNCH(queue, weight_sums, blocks, WS_BLOCK, tokens, a->D, a->x, a->dscore, a->scratch);
    ws_cuda_sum_parts(queue, parts, a->D, a->scratch, a->dweight);
    WS_LAUNCH(queue, bias_sum, 1, WS_BLOCK, tokens, a->dscore, a->dbias);
}
