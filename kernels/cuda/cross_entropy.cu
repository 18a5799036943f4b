/* cross_entropy: mean over counted rows of log-sum-exp minus the logit of the row's class, smoothed and weighted as in
 * ws_cross_entropy_arguments. A warp owns a row. */
#include "queue.h"

static __device__ float weight_of(const float *class_weight, int64_t c)
{
    return class_weight != NULL ? class_weight[c] : 1.0f;
}

/* row_loss[b]: what row b adds; row_weight[b]: the weight of its class, 0 where it is ignored */
static __global__ void row_losses(int64_t B, int64_t C, float smoothing, const float *logits, const int32_t *index,
                                  const float *class_weight, float *log_sum_out, float *row_loss, float *row_weight)
{
    int64_t warp = (int64_t)blockIdx.x * WS_ROWS_A_BLOCK + threadIdx.x / WS_WARP;
    int lane = threadIdx.x % WS_WARP;
    for (int64_t b = warp; b < B; b += (int64_t)gridDim.x * WS_ROWS_A_BLOCK) {
        const float *row = logits + b * C;
        float highest = -INFINITY, sum = 0, of_all = 0;
        for (int64_t c = lane; c < C; c += WS_WARP)
            highest = fmaxf(highest, row[c]);
        highest = ws_warp_max(highest);
        for (int64_t c = lane; c < C; c += WS_WARP)
            sum += ws_exp(row[c] - highest);
        float log_sum = highest + ws_log(ws_warp_sum(sum));
        for (int64_t c = lane; smoothing > 0 && c < C; c += WS_WARP)
            of_all += weight_of(class_weight, c) * (log_sum - row[c]);
        of_all = ws_warp_sum(of_all);
        if (lane != 0)
            continue;
        if (log_sum_out != NULL)
            log_sum_out[b] = log_sum;
        int32_t own = index[b];
        float weight = own < 0 ? 0.0f : own < C ? weight_of(class_weight, own) : 1.0f;
        float of_class = own < C ? weight * (log_sum - row[own < 0 ? 0 : own]) : NAN;
        row_loss[b] = own < 0 ? 0.0f : (1.0f - smoothing) * of_class + smoothing / (float)C * of_all;
        row_weight[b] = weight;
    }
}

/* One block: threads take rows in strides, so the order depends on B only. */
static __global__ void mean_of_rows(int64_t B, const float *row_loss, const float *row_weight, float *row_scale,
                                    float *loss)
{
    float sum = 0, counted = 0;
    for (int64_t b = threadIdx.x; b < B; b += WS_BLOCK) {
        sum += row_loss[b];
        counted += row_weight[b];
    }
    sum = ws_block_sum(sum);
    counted = ws_block_sum(counted);
    float scale = counted > 0 ? 1.0f / counted : 0.0f;
    if (threadIdx.x == 0) {
        if (row_scale != NULL)
            *row_scale = scale;
        *loss = counted > 0 ? sum * scale : 0.0f;
    }
}

extern "C" void ws_cross_entropy_forward_cuda(const ws_cross_entropy_arguments *a, void *queue_)
{
    ws_cuda_queue *queue = ws_cuda_enter(queue_);
    WS_LAUNCH(queue, row_losses, ws_blocks(a->B, WS_ROWS_A_BLOCK), WS_BLOCK, a->B, a->C, (float)a->smoothing, a->logits,
              a->index, a->class_weight, a->log_sum, a->scratch, a->scratch + a->B);
    WS_LAUNCH(queue, mean_of_rows, 1, WS_BLOCK, a->B, a->scratch, a->scratch + a->B, a->row_scale, a->loss);
}

/* Every thread sums the class weights for itself. */
static __global__ void logit_gradients(int64_t B, int64_t C, float smoothing, bool accumulate, const float *logits,
                                       const int32_t *index, const float *class_weight, const float *log_sum,
                                       const float *row_scale, const float *dloss, float *dlogits)
{
    float scale = *dloss * *row_scale, each = smoothing / (float)C, all_weights = 0;
    for (int64_t c = 0; smoothing > 0 && c < C; c++)
        all_weights += weight_of(class_weight, c);
    for (WS_EACH(i, B * C)) {
        int64_t b = i / C, c = i % C;
        int32_t label = index[b];
        float gradient = 0;
        if (label >= 0) {
            float own = (1.0f - smoothing) * (label < C ? weight_of(class_weight, label) : 1.0f);
            gradient = (own + each * all_weights) * ws_exp(logits[i] - log_sum[b]) - (c == label ? own : 0.0f);
            gradient = scale * (gradient - each * weight_of(class_weight, c));
        }
        dlogits[i] = accumulate ? dlogits[i] + gradient : gradient;
    }
}

extern "C" void ws_cross_entropy_backward_cuda(const ws_cross_entropy_arguments *a, void *queue_)
{
    ws_cuda_queue *queue = ws_cuda_enter(queue_);
    if (a->dlogits == NULL)
        return;
    WS_LAUNCH(queue, logit_gradients, ws_blocks(a->B * a->C, WS_BLOCK), WS_BLOCK, a->B, a->C, (float)a->smoothing,
              a->accumulate_dlogits, a->logits, a->index, a->class_weight, a->log_sum, a->row_scale, a->dloss,
              a->dlogits);
}
