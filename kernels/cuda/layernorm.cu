/* layernorm: y = (x - mean) * rstd * weight + bias. A warp owns a row, a thread a column of the weight gradients. */
#include "queue.h"

static __global__ void normalise_rows(int64_t B, int64_t D, float epsilon, const float *x, const float *weight,
                                      const float *bias, float *mean_out, float *rstd_out, float *y)
{
    int64_t warp = (int64_t)blockIdx.x * WS_ROWS_A_BLOCK + threadIdx.x / WS_WARP;
    int lane = threadIdx.x % WS_WARP;
    for (int64_t b = warp; b < B; b += (int64_t)gridDim.x * WS_ROWS_A_BLOCK) {
        const float *row = x + b * D;
        float sum = 0, squares = 0;
        for (int64_t d = lane; d < D; d += WS_WARP)
            sum += row[d];
        float mean = ws_warp_sum(sum) / (float)D;
        for (int64_t d = lane; d < D; d += WS_WARP)
            squares += (row[d] - mean) * (row[d] - mean);
        float rstd = 1.0f / sqrtf(ws_warp_sum(squares) / (float)D + epsilon);
        for (int64_t d = lane; d < D; d += WS_WARP)
            y[b * D + d] = (row[d] - mean) * rstd * weight[d] + bias[d];
        if (lane == 0 && mean_out != NULL)
            mean_out[b] = mean;
        if (lane == 0 && rstd_out != NULL)
            rstd_out[b] = rstd;
    }
}

extern "C" void ws_layernorm_forward_cuda(const ws_layernorm_arguments *a, void *queue_)
{
    ws_cuda_queue *queue = ws_cuda_enter(queue_);
    WS_LAUNCH(queue, normalise_rows, ws_blocks(a->B, WS_ROWS_A_BLOCK), WS_BLOCK, a->B, a->D, (float)a->epsilon, a->x,
              a->weight, a->bias, a->mean, a->rstd, a->y);
}

/* g = dy * weight, h = (x - mean) * rstd: dx = rstd * (g - mean of g - h * mean of (g * h)) */
static __global__ void row_gradients(int64_t B, int64_t D, bool accumulate, const float *x, const float *weight,
                                     const float *mean, const float *rstd, const float *dy, float *dx)
{
    int64_t warp = (int64_t)blockIdx.x * WS_ROWS_A_BLOCK + threadIdx.x / WS_WARP;
    int lane = threadIdx.x % WS_WARP;
    for (int64_t b = warp; b < B; b += (int64_t)gridDim.x * WS_ROWS_A_BLOCK) {
        float sum_g = 0, sum_gh = 0;
        for (int64_t d = lane; d < D; d += WS_WARP) {
            float g = dy[b * D + d] * weight[d];
            sum_g += g;
            sum_gh += g * ((x[b * D + d] - mean[b]) * rstd[b]);
        }
        float mean_g = ws_warp_sum(sum_g) / (float)D, mean_gh = ws_warp_sum(sum_gh) / (float)D;
        for (int64_t d = lane; d < D; d += WS_WARP) {
            float h = (x[b * D + d] - mean[b]) * rstd[b];
            float gradient = rstd[b] * (dy[b * D + d] * weight[d] - mean_g - h * mean_gh);
            dx[b * D + d] = accumulate ? dx[b * D + d] + gradient : gradient;
        }
    }
}

/* partial[0, part] sums dy * h, partial[1, part] sums dy, over the part's rows */
static __global__ void column_gradients(int64_t B, int64_t D, const float *x, const float *mean, const float *rstd,
                                        const float *dy, float *partial)
{
    int64_t begin, end;
    ws_part_rows(B, gridDim.y, blockIdx.y, &begin, &end);
    for (WS_EACH(d, D)) {
        float sum_weight = 0, sum_bias = 0;
        for (int64_t b = begin; b < end; b++) {
            sum_weight += dy[b * D + d] * ((x[b * D + d] - mean[b]) * rstd[b]);
            sum_bias += dy[b * D + d];
        }
        partial[blockIdx.y * D + d] = sum_weight;
        partial[(WS_COLUMN_PARTS + blockIdx.y) * D + d] = sum_bias;
    }
}

extern "C" void ws_layernorm_backward_cuda(const ws_layernorm_arguments *a, void *queue_)
{
    ws_cuda_queue *queue = ws_cuda_enter(queue_);
    int64_t parts = ws_column_parts(a->B);
    dim3 blocks(ws_blocks(a->D, WS_BLOCK), (unsigned)parts);
    WS_LAUNCH(queue, column_gradients, blocks, WS_BLOCK, a->B, a->D, a->x, a->mean, a->rstd, a->dy, a->scratch);
    if (a->dweight != NULL)
        ws_cuda_sum_parts(queue, parts, a->D, a->scratch, a->dweight);
    if (a->dbias != NULL)
        ws_cuda_sum_parts(queue, parts, a->D, a->scratch + WS_COLUMN_PARTS * a->D, a->dbias);
    if (a->dx != NULL)
        WS_LAUNCH(queue, row_gradients, ws_blocks(a->B, WS_ROWS_A_BLOCK), WS_BLOCK, a->B, a->D, a->accumulate_dx, a->x,
                  a->weight, a->mean, a->rstd, a->dy, a->dx);
}
