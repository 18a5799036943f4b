/* conv1d_depthwise and flip_sequence: a thread owns one element, neighbours lie side by side in the channels. */
#include "queue.h"

static __device__ __forceinline__ float convolve(const ws_conv1d_depthwise_arguments &a, int64_t b, int64_t t,
                                                 int64_t e)
{
    float sum = a.bias[e];
    for (int64_t k = 0; k < a.width; k++) {
        const int64_t from = t - a.before + k;
        if (from >= 0 && from < a.T)
            sum += a.weight[e * a.width + k] * a.x[(b * a.T + from) * a.E + e];
    }
    return sum;
}

static __global__ void convolve_all(ws_conv1d_depthwise_arguments a)
{
    for (WS_EACH(i, a.B * a.T * a.E))
        a.y[i] = ws_activation_value(a.activation, convolve(a, i / a.E / a.T, i / a.E % a.T, i % a.E));
}

extern "C" void ws_conv1d_depthwise_forward_cuda(const ws_conv1d_depthwise_arguments *a, void *queue_)
{
    ws_cuda_queue *queue = ws_cuda_enter(queue_);
    WS_LAUNCH(queue, convolve_all, ws_blocks(a->B * a->T * a->E, WS_BLOCK), WS_BLOCK, *a);
}

static __global__ void before_activation(ws_conv1d_depthwise_arguments a, float *dp)
{
    for (WS_EACH(i, a.B * a.T * a.E))
        dp[i] =
            a.activation == WS_NONE
                ? a.dy[i]
                : a.dy[i] * ws_activation_slope_at(a.activation, convolve(a, i / a.E / a.T, i / a.E % a.T, i % a.E));
}

static __global__ void input_gradients(ws_conv1d_depthwise_arguments a, const float *dp)
{
    for (WS_EACH(i, a.B * a.T * a.E)) {
        const int64_t e = i % a.E, t = i / a.E % a.T, b = i / a.E / a.T;
        float sum = 0;
        for (int64_t k = 0; k < a.width; k++) {
            const int64_t at = t + a.before - k;
            if (at >= 0 && at < a.T)
                sum += a.weight[e * a.width + k] * dp[(b * a.T + at) * a.E + e];
        }
        a.dx[i] = a.accumulate_dx ? a.dx[i] + sum : sum;
    }
}

/* partial[part][E,width]: the weights' gradients over the part's rows; partial_bias[part][E] likewise. */
static __global__ void parameter_gradients(ws_conv1d_depthwise_arguments a, const float *dp, float *partial,
                                           float *partial_bias)
{
    int64_t begin, end;
    ws_part_rows(a.B * a.T, gridDim.y, blockIdx.y, &begin, &end);
    for (WS_EACH(i, a.E * (a.width + 1))) {
        const int64_t e = i % a.E, k = i / a.E; /* k = width: the bias */
        float sum = 0;
        for (int64_t row = begin; row < end; row++) {
            const int64_t from = row % a.T - a.before + k;
            if (k == a.width)
                sum += dp[row * a.E + e];
            else if (from >= 0 && from < a.T)
                sum += dp[row * a.E + e] * a.x[(row - a.before + k) * a.E + e];
        }
        if (k == a.width)
            partial_bias[blockIdx.y * a.E + e] = sum;
        else
            partial[(blockIdx.y * a.E + e) * a.width + k] = sum;
    }
}

extern "C" void ws_conv1d_depthwise_backward_cuda(const ws_conv1d_depthwise_arguments *a, void *queue_)
{
    ws_cuda_queue *queue = ws_cuda_enter(queue_);
    const int64_t count = a->B * a->T * a->E, parts = ws_column_parts(a->B * a->T);
    float *dp = a->scratch, *partial = dp + count, *partial_bias = partial + parts * a->E * a->width;
    WS_LAUNCH(queue, before_activation, ws_blocks(count, WS_BLOCK), WS_BLOCK, *a, dp);
    if (a->dx != NULL)
        WS_LAUNCH(queue, input_gradients, ws_blocks(count, WS_BLOCK), WS_BLOCK, *a, dp);
    if (a->dweight == NULL)
        return;
    dim3 blocks(ws_blocks(a->E * (a->width + 1), WS_BLOCK), (unsigned)parts);
    WS_LAUNCH(queue, parameter_gradients, blocks, WS_BLOCK, *a, dp, partial, partial_bias);
    ws_cuda_sum_parts(queue, parts, a->E * a->width, partial, a->dweight);
    ws_cuda_sum_parts(queue, parts, a->E, partial_bias, a->dbias);
}

/* ---- flip_sequence ---- */

/* The element that i takes its value from, and that gets i's gradient. */
static __device__ __forceinline__ int64_t flipped(const ws_flip_sequence_arguments &a, int64_t i)
{
    const int64_t d = i % a.D, t = i / a.D % a.T, b = i / a.D / a.T;
    const int64_t length = a.lengths != NULL && a.lengths[b] < a.T ? a.lengths[b] : a.T;
    return t < length ? (b * a.T + length - 1 - t) * a.D + d : i;
}

static __global__ void flip(ws_flip_sequence_arguments a)
{
    for (WS_EACH(i, a.B * a.T * a.D))
        a.y[i] = a.x[flipped(a, i)];
}

extern "C" void ws_flip_sequence_forward_cuda(const ws_flip_sequence_arguments *a, void *queue_)
{
    ws_cuda_queue *queue = ws_cuda_enter(queue_);
    WS_LAUNCH(queue, flip, ws_blocks(a->B * a->T * a->D, WS_BLOCK), WS_BLOCK, *a);
}

static __global__ void flip_back(ws_flip_sequence_arguments a)
{
    for (WS_EACH(i, a.B * a.T * a.D)) {
        const float gradient = a.dy[flipped(a, i)];
        a.dx[i] = a.accumulate_dx ? a.dx[i] + gradient : gradient;
    }
}

extern "C" void ws_flip_sequence_backward_cuda(const ws_flip_sequence_arguments *a, void *queue_)
{
    ws_cuda_queue *queue = ws_cuda_enter(queue_);
    if (a->dx != NULL)
        WS_LAUNCH(queue, flip_back, ws_blocks(a->B * a->T * a->D, WS_BLOCK), WS_BLOCK, *a);
}
