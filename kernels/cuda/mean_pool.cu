/* mean_pool: the mean over the tokens of each row. A thread owns a column of a row. */
#include "queue.h"
#include "pool.h"

static __global__ void mean_of_tokens(int64_t B, int64_t T, int64_t D, const float *x, const int32_t *length, float *y)
{
    for (WS_EACH(i, B * D)) {
        int64_t b = i / D, n = ws_pool_tokens(length, b, T);
        float sum = 0;
        for (int64_t t = 0; t < n; t++)
            sum += x[(b * T + t) * D + i % D];
        y[i] = n > 0 ? sum / (float)n : 0.0f;
    }
}

extern "C" void ws_mean_pool_forward_cuda(const ws_mean_pool_arguments *a, void *queue_)
{
    ws_cuda_queue *queue = ws_cuda_enter(queue_);
    WS_LAUNCH(queue, mean_of_tokens, ws_blocks(a->B * a->D, WS_BLOCK), WS_BLOCK, a->B, a->T, a->D, a->x, a->length,
              a->y);
}

static __global__ void token_gradients(int64_t B, int64_t T, int64_t D, bool accumulate, const int32_t *length,
                                       const float *dy, float *dx)
{
    for (WS_EACH(i, B * T * D)) {
        int64_t b = i / D / T, n = ws_pool_tokens(length, b, T);
        float gradient = i / D % T < n ? dy[b * D + i % D] / (float)n : 0.0f;
        dx[i] = accumulate ? dx[i] + gradient : gradient;
    }
}

extern "C" void ws_mean_pool_backward_cuda(const ws_mean_pool_arguments *a, void *queue_)
{
    ws_cuda_queue *queue = ws_cuda_enter(queue_);
    if (a->dx != NULL)
        WS_LAUNCH(queue, token_gradients, ws_blocks(a->B * a->T * a->D, WS_BLOCK), WS_BLOCK, a->B, a->T, a->D,
                  a->accumulate_dx, a->length, a->dy, a->dx);
}
