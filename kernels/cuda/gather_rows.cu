/* gather_rows: y[b,k] = x[b,index[b,k]]. Backward sums in segments: the k of each b are sorted by index, and one thread adds up
 * one column of one segment, so no two threads write to one place. */
#include "queue.h"

static __global__ void gather(int64_t B, int64_t T, int64_t K, int64_t D, const float *x, const int32_t *index,
                              float *y)
{
    for (WS_EACH(i, B * K * D)) {
        int64_t row = i / D;
        int32_t t = index[row];
        y[i] = t < 0 ? 0.0f : t < T ? x[(row / K * T + t) * D + i % D] : NAN;
    }
}

extern "C" void ws_gather_rows_forward_cuda(const ws_gather_rows_arguments *a, void *queue_)
{
    ws_cuda_queue *queue = ws_cuda_enter(queue_);
    WS_LAUNCH(queue, gather, ws_blocks(a->B * a->K * a->D, WS_BLOCK), WS_BLOCK, a->B, a->T, a->K, a->D, a->x, a->index,
              a->y);
}

/* order[b, rank of k] = k; the rank counts the smaller indices, and the equal ones before k. */
static __global__ void sort_by_index(int64_t B, int64_t K, const int32_t *index, int32_t *order)
{
    for (WS_EACH(i, B * K)) {
        const int32_t *of_row = index + i / K * K;
        int64_t k = i % K, rank = 0;
        int32_t own = of_row[k];
        for (int64_t other = 0; other < K; other++)
            rank += of_row[other] < own || (of_row[other] == own && other < k) ? 1 : 0;
        order[i - k + rank] = (int32_t)k;
    }
}

static __global__ void clear(int64_t count, float *dx)
{
    for (WS_EACH(i, count))
        dx[i] = 0;
}

/* The first place of a segment sums it. */
static __global__ void sum_segments(int64_t B, int64_t T, int64_t K, int64_t D, const int32_t *index,
                                    const int32_t *order, const float *dy, float *dx)
{
    for (WS_EACH(i, B * K * D)) {
        int64_t place = i / D % K, b = i / D / K, d = i % D;
        const int32_t *of_row = index + b * K, *sorted = order + b * K;
        int32_t t = of_row[sorted[place]];
        if (t < 0 || t >= T || (place > 0 && of_row[sorted[place - 1]] == t))
            continue;
        float sum = 0;
        for (int64_t k = place; k < K && of_row[sorted[k]] == t; k++)
            sum += dy[(b * K + sorted[k]) * D + d];
        dx[(b * T + t) * D + d] += sum;
    }
}

extern "C" void ws_gather_rows_backward_cuda(const ws_gather_rows_arguments *a, void *queue_)
{
    ws_cuda_queue *queue = ws_cuda_enter(queue_);
    if (a->dx == NULL)
        return;
    if (!a->accumulate_dx)
        WS_LAUNCH(queue, clear, ws_blocks(a->B * a->T * a->D, WS_BLOCK), WS_BLOCK, a->B * a->T * a->D, a->dx);
    WS_LAUNCH(queue, sort_by_index, ws_blocks(a->B * a->K, WS_BLOCK), WS_BLOCK, a->B, a->K, a->index, a->order);
    WS_LAUNCH(queue, sum_segments, ws_blocks(a->B * a->K * a->D, WS_BLOCK), WS_BLOCK, a->B, a->T, a->K, a->D, a->index,
              a->order, a->dy, a->dx);
}
