/* hide_tokens: y[r] = weight where hidden[r], else x[r]. */
#include "queue.h"

static __global__ void hide(int64_t R, int64_t D, const float *x, const int32_t *hidden, const float *weight, float *y)
{
    for (WS_EACH(i, R * D))
        y[i] = hidden[i / D] != 0 ? weight[i % D] : x[i];
}

extern "C" void ws_hide_tokens_forward_cuda(const ws_hide_tokens_arguments *a, void *queue_)
{
    ws_cuda_queue *queue = ws_cuda_enter(queue_);
    WS_LAUNCH(queue, hide, ws_blocks(a->R * a->D, WS_BLOCK), WS_BLOCK, a->R, a->D, a->x, a->hidden, a->weight, a->y);
}

static __global__ void shown_gradient(int64_t R, int64_t D, bool accumulate, const int32_t *hidden, const float *dy,
                                      float *dx)
{
    for (WS_EACH(i, R * D)) {
        float gradient = hidden[i / D] != 0 ? 0.0f : dy[i];
        dx[i] = accumulate ? dx[i] + gradient : gradient;
    }
}

/* partial[part] = sum of dy over the part's hidden rows. One thread owns a column of a part. */
static __global__ void hidden_sums(int64_t R, int64_t D, const int32_t *hidden, const float *dy, float *partial)
{
    int64_t begin, end;
    ws_part_rows(R, gridDim.y, blockIdx.y, &begin, &end);
    for (WS_EACH(d, D)) {
        float sum = 0;
        for (int64_t r = begin; r < end; r++)
            sum += hidden[r] != 0 ? dy[r * D + d] : 0.0f;
        partial[blockIdx.y * D + d] = sum;
    }
}

extern "C" void ws_hide_tokens_backward_cuda(const ws_hide_tokens_arguments *a, void *queue_)
{
    ws_cuda_queue *queue = ws_cuda_enter(queue_);
    if (a->dx != NULL)
        WS_LAUNCH(queue, shown_gradient, ws_blocks(a->R * a->D, WS_BLOCK), WS_BLOCK, a->R, a->D, a->accumulate_dx,
                  a->hidden, a->dy, a->dx);
    if (a->dweight == NULL)
        return;
    int64_t parts = ws_column_parts(a->R);
    dim3 blocks(ws_blocks(a->D, WS_BLOCK), (unsigned)parts);
    WS_LAUNCH(queue, hidden_sums, blocks, WS_BLOCK, a->R, a->D, a->hidden, a->dy, a->scratch);
    ws_cuda_sum_parts(queue, parts, a->D, a->scratch, a->dweight);
}
