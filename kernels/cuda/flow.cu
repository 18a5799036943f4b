/* spline_coupling and beta_likelihood. A thread owns a column of a row: its spline's parameters are 3 bins - 1 numbers that no
 * other thread reads. */
#include "queue.h"
#include "spline.h"

static __global__ void move_columns(ws_spline_coupling_arguments a)
{
    int64_t D = a.D, moved = D - a.kept, stride = 3 * a.bins - 1;
    for (WS_EACH(k, a.B * D)) {
        int64_t b = k / D, i = k % D, to = i + 1 < D ? i + 1 : 0;
        float value = a.state[b * (D + 1) + i];
        if (i >= a.kept) {
            int64_t spline = b * moved + i - a.kept;
            value = ws_spline_value(value, a.theta + spline * stride, a.bins, a.bound, &a.scratch[spline]);
        }
        a.y[b * (D + 1) + to] = value;
    }
}

static __global__ void add_log_slopes(int64_t B, int64_t D, int64_t moved, const float *state, const float *log_slope,
                                      float *y)
{
    for (WS_EACH(b, B)) {
        float stretched = state[b * (D + 1) + D];
        for (int64_t i = 0; i < moved; i++)
            stretched += log_slope[b * moved + i];
        y[b * (D + 1) + D] = stretched;
    }
}

extern "C" void ws_spline_coupling_forward_cuda(const ws_spline_coupling_arguments *a, void *queue_)
{
    ws_cuda_queue *queue = ws_cuda_enter(queue_);
    WS_LAUNCH(queue, move_columns, ws_blocks(a->B * a->D, WS_BLOCK), WS_BLOCK, *a);
    WS_LAUNCH(queue, add_log_slopes, ws_blocks(a->B, WS_BLOCK), WS_BLOCK, a->B, a->D, a->D - a->kept, a->state,
              a->scratch, a->y);
}

static __global__ void column_gradients(ws_spline_coupling_arguments a)
{
    int64_t D = a.D, moved = D - a.kept, stride = 3 * a.bins - 1;
    for (WS_EACH(k, a.B * (D + 1))) {
        int64_t b = k / (D + 1), i = k % (D + 1);
        const float *dy = a.dy + b * (D + 1);
        float gradient = dy[i == D ? D : i + 1 < D ? i + 1 : 0];
        if (i >= a.kept && i < D) {
            int64_t at = (b * moved + i - a.kept) * stride;
            gradient = ws_spline_gradient(a.state[k], a.theta + at, a.bins, a.bound, gradient, dy[D],
                                          a.accumulate_dtheta, a.dtheta != NULL ? a.dtheta + at : NULL);
        }
        if (a.dstate != NULL)
            a.dstate[k] = a.accumulate_dstate ? a.dstate[k] + gradient : gradient;
    }
}

extern "C" void ws_spline_coupling_backward_cuda(const ws_spline_coupling_arguments *a, void *queue_)
{
    ws_cuda_queue *queue = ws_cuda_enter(queue_);
    WS_LAUNCH(queue, column_gradients, ws_blocks(a->B * (a->D + 1), WS_BLOCK), WS_BLOCK, *a);
}

static __global__ void row_likelihoods(ws_beta_likelihood_arguments a)
{
    for (WS_EACH(b, a.B)) {
        const float *y = a.state + b * (a.D + 1);
        float sum = 0;
        for (int64_t i = 0; i < a.D; i++)
            sum += ws_beta_log(y[i], a.bound);
        a.scratch[b] = a.log_scale + y[a.D] + (a.shape - 1) * sum;
    }
}

/* One block: threads take rows in strides, so the order depends on B only. */
static __global__ void mean_of_rows(int64_t B, const float *row, float *loss)
{
    float sum = 0;
    for (int64_t b = threadIdx.x; b < B; b += WS_BLOCK)
        sum += row[b];
    sum = ws_block_sum(sum);
    if (threadIdx.x == 0)
        *loss = -sum / (float)B;
}

extern "C" void ws_beta_likelihood_forward_cuda(const ws_beta_likelihood_arguments *a, void *queue_)
{
    ws_cuda_queue *queue = ws_cuda_enter(queue_);
    WS_LAUNCH(queue, row_likelihoods, ws_blocks(a->B, WS_BLOCK), WS_BLOCK, *a);
    WS_LAUNCH(queue, mean_of_rows, 1, WS_BLOCK, a->B, a->scratch, a->loss);
}

static __global__ void likelihood_gradients(ws_beta_likelihood_arguments a)
{
    float scale = -*a.dloss / (float)a.B;
    for (WS_EACH(k, a.B * (a.D + 1))) {
        float gradient = k % (a.D + 1) == a.D ? scale : scale * (a.shape - 1) * ws_beta_log_slope(a.state[k], a.bound);
        a.dstate[k] = a.accumulate_dstate ? a.dstate[k] + gradient : gradient;
    }
}

extern "C" void ws_beta_likelihood_backward_cuda(const ws_beta_likelihood_arguments *a, void *queue_)
{
    ws_cuda_queue *queue = ws_cuda_enter(queue_);
    if (a->dstate == NULL)
        return;
    WS_LAUNCH(queue, likelihood_gradients, ws_blocks(a->B * (a->D + 1), WS_BLOCK), WS_BLOCK, *a);
}
