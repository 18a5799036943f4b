/* supcon: cuBLAS gives the products of all pairs; a warp owns a row of the batch and goes over its candidates. */
#include "queue.h"

/* What is the same for all rows. Candidates 0 to R-1 are the batch, R to R+K-1 the bank. */
typedef struct pairs {
    int64_t R, K;
    float inverse_temperature;
    const int32_t *label, *bank_label;
    const float *products;
} pairs;

static pairs pairs_of(const ws_supcon_arguments *a)
{
    return {a->R, a->K, (float)(1 / a->temperature), a->label, a->bank_label, a->products};
}

/* The label of candidate c of row i, below 0 where it is none. */
static __device__ int32_t label_of(const pairs p, int64_t i, int64_t c)
{
    return c == i ? -1 : c < p.R ? p.label[c] : p.bank_label[c - p.R];
}

static __device__ int64_t place_of(const pairs p, int64_t i, int64_t c)
{
    return c < p.R ? i * p.R + c : p.R * p.R + i * p.K + c - p.R;
}

static __global__ void row_losses(pairs p, float *log_sum_out, float *positive_out, float *row_loss, float *row_counts)
{
    int64_t warp = (int64_t)blockIdx.x * WS_ROWS_A_BLOCK + threadIdx.x / WS_WARP;
    int lane = threadIdx.x % WS_WARP;
    for (int64_t i = warp; i < p.R; i += (int64_t)gridDim.x * WS_ROWS_A_BLOCK) {
        float largest = -INFINITY, sum = 0, attracting = 0, same = 0;
        for (int64_t c = lane; c < p.R + p.K; c += WS_WARP)
            if (label_of(p, i, c) >= 0)
                largest = fmaxf(largest, p.products[place_of(p, i, c)]);
        largest = ws_warp_max(largest);
        for (int64_t c = lane; c < p.R + p.K; c += WS_WARP) {
            int32_t label = label_of(p, i, c);
            if (label < 0)
                continue;
            float product = p.products[place_of(p, i, c)];
            sum += ws_exp((product - largest) * p.inverse_temperature);
            attracting += label == p.label[i] ? product : 0.0f;
            same += label == p.label[i] ? 1.0f : 0.0f;
        }
        sum = ws_warp_sum(sum);
        attracting = ws_warp_sum(attracting);
        same = ws_warp_sum(same);
        bool counts = p.label[i] >= 0 && same > 0;
        float log_sum = counts ? largest * p.inverse_temperature + ws_log(sum) : 0.0f;
        if (lane != 0)
            continue;
        if (log_sum_out != NULL) {
            log_sum_out[i] = log_sum;
            positive_out[i] = counts ? 1.0f / same : 0.0f;
        }
        row_loss[i] = counts ? log_sum - attracting * p.inverse_temperature / same : 0.0f;
        row_counts[i] = counts ? 1.0f : 0.0f;
    }
}

/* One block: threads take rows in strides, so the order depends on R only. */
static __global__ void mean_of_rows(pairs p, const float *row_loss, const float *row_counts, float *row_scale,
                                    float *loss)
{
    float sum = 0, counted = 0;
    for (int64_t i = threadIdx.x; i < p.R; i += WS_BLOCK) {
        sum += row_loss[i];
        counted += row_counts[i];
    }
    sum = ws_block_sum(sum);
    counted = ws_block_sum(counted);
    if (threadIdx.x == 0) {
        if (row_scale != NULL)
            *row_scale = counted > 0 ? 1.0f / counted : 0.0f;
        *loss = counted > 0 ? sum / counted : 0.0f;
    }
}

extern "C" void ws_supcon_forward_cuda(const ws_supcon_arguments *a, void *queue_)
{
    ws_cuda_queue *queue = ws_cuda_enter(queue_);
    ws_cuda_gemm(queue, false, true, a->R, a->R, a->D, a->z, a->z, false, a->products);
    if (a->K > 0)
        ws_cuda_gemm(queue, false, true, a->R, a->K, a->D, a->z, a->bank, false, a->products + a->R * a->R);
    WS_LAUNCH(queue, row_losses, ws_blocks(a->R, WS_ROWS_A_BLOCK), WS_BLOCK, pairs_of(a), a->log_sum, a->positive,
              a->scratch, a->scratch + a->R);
    WS_LAUNCH(queue, mean_of_rows, 1, WS_BLOCK, pairs_of(a), a->scratch, a->scratch + a->R, a->row_scale, a->loss);
}

static __global__ void pair_gradients(pairs p, const float *log_sum, const float *positive, const float *row_scale,
                                      const float *dloss, float *gradient)
{
    float scale = *dloss * *row_scale * p.inverse_temperature;
    for (WS_EACH(at, p.R * (p.R + p.K))) {
        int64_t i = at / (p.R + p.K), c = at % (p.R + p.K), place = place_of(p, i, c);
        int32_t label = label_of(p, i, c);
        float value = 0;
        if (label >= 0 && positive[i] != 0)
            value = scale * (ws_exp(p.products[place] * p.inverse_temperature - log_sum[i]) -
                             (label == p.label[i] ? positive[i] : 0.0f));
        gradient[place] = value;
    }
}

extern "C" void ws_supcon_backward_cuda(const ws_supcon_arguments *a, void *queue_)
{
    ws_cuda_queue *queue = ws_cuda_enter(queue_);
    if (a->dz == NULL)
        return;
    WS_LAUNCH(queue, pair_gradients, ws_blocks(a->R * (a->R + a->K), WS_BLOCK), WS_BLOCK, pairs_of(a), a->log_sum,
              a->positive, a->row_scale, a->dloss, a->scratch);
    /* A row of the batch moves as the one that looks, and as one that is looked at. */
    ws_cuda_gemm(queue, false, false, a->R, a->D, a->R, a->scratch, a->z, a->accumulate_dz, a->dz);
    ws_cuda_gemm(queue, true, false, a->R, a->D, a->R, a->scratch, a->z, true, a->dz);
    if (a->K > 0)
        ws_cuda_gemm(queue, false, false, a->R, a->D, a->K, a->scratch + a->R * a->R, a->bank, true, a->dz);
}
