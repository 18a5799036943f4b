/* scatter_rows: y[b,index[b,k]] = x[b,k], weight elsewhere. Every token looks for the row that it comes from. */
#include "queue.h"

static __global__ void find_sources(int64_t B, int64_t T, int64_t K, const int32_t *index, int32_t *source)
{
    for (WS_EACH(i, B * T)) {
        const int32_t *of_row = index + i / T * K;
        int32_t last = -1;
        for (int64_t k = 0; k < K; k++)
            last = of_row[k] == i % T ? (int32_t)k : last;
        source[i] = last;
    }
}

static __global__ void scatter(int64_t B, int64_t T, int64_t K, int64_t D, const float *x, const int32_t *source,
                               const float *weight, float *y)
{
    for (WS_EACH(i, B * T * D)) {
        int64_t token = i / D, d = i % D;
        int32_t k = source[token];
        y[i] = k < 0 ? weight[d] : x[(token / T * K + k) * D + d];
    }
}

extern "C" void ws_scatter_rows_forward_cuda(const ws_scatter_rows_arguments *a, void *queue_)
{
    ws_cuda_queue *queue = ws_cuda_enter(queue_);
    WS_LAUNCH(queue, find_sources, ws_blocks(a->B * a->T, WS_BLOCK), WS_BLOCK, a->B, a->T, a->K, a->index, a->source);
    WS_LAUNCH(queue, scatter, ws_blocks(a->B * a->T * a->D, WS_BLOCK), WS_BLOCK, a->B, a->T, a->K, a->D, a->x,
              a->source, a->weight, a->y);
}

static __global__ void row_gradients(int64_t B, int64_t T, int64_t K, int64_t D, bool accumulate, const int32_t *index,
                                     const int32_t *source, const float *dy, float *dx)
{
    for (WS_EACH(i, B * K * D)) {
        int64_t row = i / D, b = row / K;
        int32_t t = index[row];
        bool went = t >= 0 && t < T && source[b * T + t] == row % K;
        float gradient = went ? dy[(b * T + t) * D + i % D] : 0.0f;
        dx[i] = accumulate ? dx[i] + gradient : gradient;
    }
}

/* partial[part] = sum of dy over the part's tokens that come from no row. One thread owns a column of a part. */
static __global__ void sums_of_the_rest(int64_t tokens, int64_t D, const int32_t *source, const float *dy,
                                        float *partial)
{
    int64_t begin, end;
    ws_part_rows(tokens, gridDim.y, blockIdx.y, &begin, &end);
    for (WS_EACH(d, D)) {
        float sum = 0;
        for (int64_t token = begin; token < end; token++)
            sum += source[token] < 0 ? dy[token * D + d] : 0.0f;
        partial[blockIdx.y * D + d] = sum;
    }
}

extern "C" void ws_scatter_rows_backward_cuda(const ws_scatter_rows_arguments *a, void *queue_)
{
    ws_cuda_queue *queue = ws_cuda_enter(queue_);
    WS_LAUNCH(queue, find_sources, ws_blocks(a->B * a->T, WS_BLOCK), WS_BLOCK, a->B, a->T, a->K, a->index, a->source);
    if (a->dx != NULL)
        WS_LAUNCH(queue, row_gradients, ws_blocks(a->B * a->K * a->D, WS_BLOCK), WS_BLOCK, a->B, a->T, a->K, a->D,
                  a->accumulate_dx, a->index, a->source, a->dy, a->dx);
    if (a->dweight == NULL)
        return;
    int64_t parts = ws_column_parts(a->B * a->T);
    dim3 blocks(ws_blocks(a->D, WS_BLOCK), (unsigned)parts);
    WS_LAUNCH(queue, sums_of_the_rest, blocks, WS_BLOCK, a->B * a->T, a->D, a->source, a->dy, a->scratch);
    ws_cuda_sum_parts(queue, parts, a->D, a->scratch, a->dweight);
}
