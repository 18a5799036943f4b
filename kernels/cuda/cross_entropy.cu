/* cross_entropy: mean over counted rows of log-sum-exp minus the logit of the row's class. A warp owns a row. */
#include "queue.h"

static __global__ void row_losses(int64_t B, int64_t C, const float *logits, const int32_t *index, float *log_sum_out,
                                  float *row_loss)
{
    int64_t warp = (int64_t)blockIdx.x * WS_ROWS_A_BLOCK + threadIdx.x / WS_WARP;
    int lane = threadIdx.x % WS_WARP;
    for (int64_t b = warp; b < B; b += (int64_t)gridDim.x * WS_ROWS_A_BLOCK) {
        const float *row = logits + b * C;
        float highest = -INFINITY, sum = 0;
        for (int64_t c = lane; c < C; c += WS_WARP)
            highest = fmaxf(highest, row[c]);
        highest = ws_warp_max(highest);
        for (int64_t c = lane; c < C; c += WS_WARP)
            sum += ws_exp(row[c] - highest);
        float log_sum = highest + ws_log(ws_warp_sum(sum));
        if (lane == 0) {
            if (log_sum_out != NULL)
                log_sum_out[b] = log_sum;
            row_loss[b] = index[b] >= 0 ? log_sum - row[index[b]] : 0.0f;
        }
    }
}

/* One block: threads take rows in strides, so the order depends on B only. */
static __global__ void mean_of_rows(int64_t B, const int32_t *index, const float *row_loss, float *row_scale,
                                    float *loss)
{
    float sum = 0, counted = 0;
    for (int64_t b = threadIdx.x; b < B; b += WS_BLOCK) {
        sum += row_loss[b];
        counted += index[b] >= 0 ? 1.0f : 0.0f;
    }
    sum = ws_block_sum(sum);
    counted = ws_block_sum(counted);
    float scale = counted > 0 ? 1.0f / counted : 0.0f;
    if (threadIdx.x == 0) {
        if (row_scale != NULL)
            *row_scale = scale;
        *loss = sum * scale;
    }
}

extern "C" void ws_cross_entropy_forward_cuda(const ws_cross_entropy_arguments *a, void *queue_)
{
    ws_cuda_queue *queue = ws_cuda_enter(queue_);
    WS_LAUNCH(queue, row_losses, ws_blocks(a->B, WS_ROWS_A_BLOCK), WS_BLOCK, a->B, a->C, a->logits, a->index,
              a->log_sum, a->scratch);
    WS_LAUNCH(queue, mean_of_rows, 1, WS_BLOCK, a->B, a->index, a->scratch, a->row_scale, a->loss);
}

static __global__ void logit_gradients(int64_t B, int64_t C, bool accumulate, const float *logits, const int32_t *index,
                                       const float *log_sum, const float *row_scale, const float *dloss, float *dlogits)
{
    float scale = *dloss * *row_scale;
    for (WS_EACH(i, B * C)) {
        int64_t b = i / C, c = i % C;
        float gradient = 0;
        if (index[b] >= 0)
            gradient = scale * (ws_exp(logits[i] - log_sum[b]) - (c == index[b] ? 1.0f : 0.0f));
        dlogits[i] = accumulate ? dlogits[i] + gradient : gradient;
    }
}

extern "C" void ws_cross_entropy_backward_cuda(const ws_cross_entropy_arguments *a, void *queue_)
{
    ws_cuda_queue *queue = ws_cuda_enter(queue_);
    if (a->dlogits == NULL)
        return;
    WS_LAUNCH(queue, logit_gradients, ws_blocks(a->B * a->C, WS_BLOCK), WS_BLOCK, a->B, a->C, a->accumulate_dlogits,
              a->logits, a->index, a->log_sum, a->row_scale, a->dloss, a->dlogits);
}
