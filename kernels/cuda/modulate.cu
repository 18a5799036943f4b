/* modulated_norm, gated_add and add_position. A warp owns a row of tokens; a thread owns a column of a condition's gradient, which
 * it sums over the tokens of its row of the batch. */
#include "queue.h"

static __global__ void modulate_rows(ws_modulated_norm_arguments a)
{
    int64_t warp = (int64_t)blockIdx.x * WS_ROWS_A_BLOCK + threadIdx.x / WS_WARP, D = a.D;
    int lane = threadIdx.x % WS_WARP;
    for (int64_t row = warp; row < a.B * a.T; row += (int64_t)gridDim.x * WS_ROWS_A_BLOCK) {
        const float *x = a.x + row * D, *condition = a.condition + row / a.T * a.W;
        float sum = 0, squares = 0;
        for (int64_t k = lane; k < D; k += WS_WARP)
            sum += x[k];
        float mean = ws_warp_sum(sum) / (float)D;
        for (int64_t k = lane; k < D; k += WS_WARP)
            squares += (x[k] - mean) * (x[k] - mean);
        float rstd = 1.0f / sqrtf(ws_warp_sum(squares) / (float)D + (float)a.epsilon);
        for (int64_t k = lane; k < D; k += WS_WARP)
            a.y[row * D + k] = (x[k] - mean) * rstd * (1 + condition[a.scale + k]) + condition[a.shift + k];
        if (lane == 0 && a.mean != NULL) {
            a.mean[row] = mean;
            a.rstd[row] = rstd;
        }
    }
}

extern "C" void ws_modulated_norm_forward_cuda(const ws_modulated_norm_arguments *a, void *queue_)
{
    ws_cuda_queue *queue = ws_cuda_enter(queue_);
    WS_LAUNCH(queue, modulate_rows, ws_blocks(a->B * a->T, WS_ROWS_A_BLOCK), WS_BLOCK, *a);
}

/* g = dy (1 + scale), h = (x - mean) rstd: dx = rstd (g - mean of g - h * mean of (g h)) */
static __global__ void modulated_gradients(ws_modulated_norm_arguments a)
{
    int64_t warp = (int64_t)blockIdx.x * WS_ROWS_A_BLOCK + threadIdx.x / WS_WARP, D = a.D;
    int lane = threadIdx.x % WS_WARP;
    for (int64_t row = warp; row < a.B * a.T; row += (int64_t)gridDim.x * WS_ROWS_A_BLOCK) {
        const float *x = a.x + row * D, *dy = a.dy + row * D, *scale = a.condition + row / a.T * a.W + a.scale;
        float mean = a.mean[row], rstd = a.rstd[row], sum_g = 0, sum_gh = 0;
        for (int64_t k = lane; k < D; k += WS_WARP) {
            float g = dy[k] * (1 + scale[k]);
            sum_g += g;
            sum_gh += g * ((x[k] - mean) * rstd);
        }
        float mean_g = ws_warp_sum(sum_g) / (float)D, mean_gh = ws_warp_sum(sum_gh) / (float)D;
        for (int64_t k = lane; k < D; k += WS_WARP) {
            float gradient = rstd * (dy[k] * (1 + scale[k]) - mean_g - (x[k] - mean) * rstd * mean_gh);
            a.dx[row * D + k] = a.accumulate_dx ? a.dx[row * D + k] + gradient : gradient;
        }
    }
}

/* One thread a column of the condition of a row: columns that this operator does not read get no part. */
static __global__ void modulation_gradients(ws_modulated_norm_arguments a)
{
    for (int64_t b = blockIdx.y; b < a.B; b += gridDim.y)
        for (WS_EACH(w, a.W)) {
            bool scales = w >= a.scale && w < a.scale + a.D, shifts = w >= a.shift && w < a.shift + a.D;
            float of_scale = 0, of_shift = 0;
            for (int64_t row = b * a.T; (scales || shifts) && row < (b + 1) * a.T; row++) {
                if (scales) {
                    int64_t at = row * a.D + w - a.scale;
                    of_scale += a.dy[at] * ((a.x[at] - a.mean[row]) * a.rstd[row]);
                }
                if (shifts)
                    of_shift += a.dy[row * a.D + w - a.shift];
            }
            float *out = a.dcondition + b * a.W + w;
            *out = (a.accumulate_dcondition ? *out : 0.0f) + of_scale + of_shift;
        }
}

static dim3 columns_of_rows(int64_t columns, int64_t rows)
{
    return dim3(ws_blocks(columns, WS_BLOCK), (unsigned)(rows < 32768 ? rows : 32768));
}

extern "C" void ws_modulated_norm_backward_cuda(const ws_modulated_norm_arguments *a, void *queue_)
{
    ws_cuda_queue *queue = ws_cuda_enter(queue_);
    if (a->dcondition != NULL)
        WS_LAUNCH(queue, modulation_gradients, columns_of_rows(a->W, a->B), WS_BLOCK, *a);
    if (a->dx != NULL)
        WS_LAUNCH(queue, modulated_gradients, ws_blocks(a->B * a->T, WS_ROWS_A_BLOCK), WS_BLOCK, *a);
}

static __global__ void add_gated(ws_gated_add_arguments a)
{
    for (WS_EACH(i, a.B * a.T * a.D)) {
        int64_t row = i / a.D, k = i - row * a.D;
        a.y[i] = a.x[i] + a.condition[row / a.T * a.W + a.gate + k] * a.update[i];
    }
}

extern "C" void ws_gated_add_forward_cuda(const ws_gated_add_arguments *a, void *queue_)
{
    ws_cuda_queue *queue = ws_cuda_enter(queue_);
    WS_LAUNCH(queue, add_gated, ws_blocks(a->B * a->T * a->D, WS_BLOCK), WS_BLOCK, *a);
}

/* x and update may be one tensor, whose gradient is then one buffer: its first part is written first. */
static __global__ void gated_gradients(ws_gated_add_arguments a)
{
    for (WS_EACH(i, a.B * a.T * a.D)) {
        int64_t row = i / a.D, k = i - row * a.D;
        float dy = a.dy[i];
        if (a.dx != NULL)
            a.dx[i] = a.accumulate_dx ? a.dx[i] + dy : dy;
        if (a.dupdate != NULL) {
            float gradient = a.condition[row / a.T * a.W + a.gate + k] * dy;
            a.dupdate[i] = a.accumulate_dupdate ? a.dupdate[i] + gradient : gradient;
        }
    }
}

static __global__ void gate_gradients(ws_gated_add_arguments a)
{
    for (int64_t b = blockIdx.y; b < a.B; b += gridDim.y)
        for (WS_EACH(w, a.W)) {
            float sum = 0;
            for (int64_t row = b * a.T; w >= a.gate && w < a.gate + a.D && row < (b + 1) * a.T; row++)
                sum += a.dy[row * a.D + w - a.gate] * a.update[row * a.D + w - a.gate];
            float *out = a.dcondition + b * a.W + w;
            *out = (a.accumulate_dcondition ? *out : 0.0f) + sum;
        }
}

extern "C" void ws_gated_add_backward_cuda(const ws_gated_add_arguments *a, void *queue_)
{
    ws_cuda_queue *queue = ws_cuda_enter(queue_);
    if (a->dcondition != NULL)
        WS_LAUNCH(queue, gate_gradients, columns_of_rows(a->W, a->B), WS_BLOCK, *a);
    if (a->dx != NULL || a->dupdate != NULL)
        WS_LAUNCH(queue, gated_gradients, ws_blocks(a->B * a->T * a->D, WS_BLOCK), WS_BLOCK, *a);
}

static __global__ void add_to_rows(ws_add_position_arguments a)
{
    for (int64_t b = blockIdx.y; b < a.B; b += gridDim.y)
        for (WS_EACH(i, a.count))
            a.y[b * a.count + i] = a.x[b * a.count + i] + a.weight[i];
}

extern "C" void ws_add_position_forward_cuda(const ws_add_position_arguments *a, void *queue_)
{
    ws_cuda_queue *queue = ws_cuda_enter(queue_);
    WS_LAUNCH(queue, add_to_rows, columns_of_rows(a->count, a->B), WS_BLOCK, *a);
}

/* One thread a parameter; it passes the gradient on as it reads it. */
static __global__ void position_gradients(ws_add_position_arguments a)
{
    for (WS_EACH(i, a.count)) {
        float sum = 0;
        for (int64_t b = 0; b < a.B; b++) {
            float dy = a.dy[b * a.count + i];
            sum += dy;
            if (a.dx != NULL)
                a.dx[b * a.count + i] = a.accumulate_dx ? a.dx[b * a.count + i] + dy : dy;
        }
        if (a.dweight != NULL)
            a.dweight[i] = sum;
    }
}

extern "C" void ws_add_position_backward_cuda(const ws_add_position_arguments *a, void *queue_)
{
    ws_cuda_queue *queue = ws_cuda_enter(queue_);
    WS_LAUNCH(queue, position_gradients, ws_blocks(a->count, WS_BLOCK), WS_BLOCK, *a);
}
