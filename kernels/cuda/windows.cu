/* unfold and maxpool1d: a thread owns an element of what is written, and gathers; nothing is scattered. */
#include "queue.h"

static __global__ void unfold(ws_unfold_arguments a)
{
    for (WS_EACH(i, a.B * a.out * a.width * a.D)) {
        const int64_t d = i % a.D, k = i / a.D % a.width, t = i / a.D / a.width % a.out, b = i / a.D / a.width / a.out;
        const int64_t from = t * a.stride - a.padding + k;
        a.y[i] = from >= 0 && from < a.T ? a.x[(b * a.T + from) * a.D + d] : 0;
    }
}

extern "C" void ws_unfold_forward_cuda(const ws_unfold_arguments *a, void *queue_)
{
    ws_cuda_queue *queue = ws_cuda_enter(queue_);
    WS_LAUNCH(queue, unfold, ws_blocks(a->B * a->out * a->width * a->D, WS_BLOCK), WS_BLOCK, *a);
}

/* The windows that step `at` (counted from the padding's begin) lies in, in order. */
static __device__ __forceinline__ void windows_of(int64_t at, int64_t width, int64_t stride, int64_t out,
                                                  int64_t *first, int64_t *end)
{
    *first = at < width ? 0 : (at - width) / stride + 1;
    *end = at / stride + 1 < out ? at / stride + 1 : out;
}

static __global__ void fold(ws_unfold_arguments a)
{
    for (WS_EACH(i, a.B * a.T * a.D)) {
        const int64_t d = i % a.D, at = i / a.D % a.T + a.padding, b = i / a.D / a.T;
        int64_t first, end;
        float sum = 0;
        windows_of(at, a.width, a.stride, a.out, &first, &end);
        for (int64_t t = first; t < end; t++)
            sum += a.dy[((b * a.out + t) * a.width + at - t * a.stride) * a.D + d];
        a.dx[i] = a.accumulate_dx ? a.dx[i] + sum : sum;
    }
}

extern "C" void ws_unfold_backward_cuda(const ws_unfold_arguments *a, void *queue_)
{
    ws_cuda_queue *queue = ws_cuda_enter(queue_);
    if (a->dx != NULL)
        WS_LAUNCH(queue, fold, ws_blocks(a->B * a->T * a->D, WS_BLOCK), WS_BLOCK, *a);
}

/* The step of the largest element of window t. */
static __device__ __forceinline__ int64_t largest_of(const ws_maxpool1d_arguments &a, int64_t b, int64_t t, int64_t d)
{
    int64_t largest = t * a.stride;
    float value = a.x[(b * a.T + largest) * a.D + d];
    for (int64_t k = 1; k < a.width; k++) {
        const float other = a.x[(b * a.T + t * a.stride + k) * a.D + d];
        if (!(other <= value) && !isnan(value)) {
            value = other;
            largest = t * a.stride + k;
        }
    }
    return largest;
}

static __global__ void pool(ws_maxpool1d_arguments a)
{
    for (WS_EACH(i, a.B * a.out * a.D)) {
        const int64_t d = i % a.D, t = i / a.D % a.out, b = i / a.D / a.out;
        a.y[i] = a.x[(b * a.T + largest_of(a, b, t, d)) * a.D + d];
    }
}

extern "C" void ws_maxpool1d_forward_cuda(const ws_maxpool1d_arguments *a, void *queue_)
{
    ws_cuda_queue *queue = ws_cuda_enter(queue_);
    WS_LAUNCH(queue, pool, ws_blocks(a->B * a->out * a->D, WS_BLOCK), WS_BLOCK, *a);
}

static __global__ void pool_back(ws_maxpool1d_arguments a)
{
    for (WS_EACH(i, a.B * a.T * a.D)) {
        const int64_t d = i % a.D, at = i / a.D % a.T, b = i / a.D / a.T;
        int64_t first, end;
        float sum = 0;
        windows_of(at, a.width, a.stride, a.out, &first, &end);
        for (int64_t t = first; t < end; t++)
            if (largest_of(a, b, t, d) == at)
                sum += a.dy[(b * a.out + t) * a.D + d];
        a.dx[i] = a.accumulate_dx ? a.dx[i] + sum : sum;
    }
}

extern "C" void ws_maxpool1d_backward_cuda(const ws_maxpool1d_arguments *a, void *queue_)
{
    ws_cuda_queue *queue = ws_cuda_enter(queue_);
    if (a->dx != NULL)
        WS_LAUNCH(queue, pool_back, ws_blocks(a->B * a->T * a->D, WS_BLOCK), WS_BLOCK, *a);
}
