/* concat: y[b] = a[b], b[b] side by side. */
#include "queue.h"

static __global__ void concat(int64_t B, int64_t A_width, int64_t B_width, const float *a, const float *b, float *y)
{
    int64_t width = A_width + B_width;
    for (WS_EACH(i, B * width)) {
        int64_t row = i / width, column = i % width;
        y[i] = column < A_width ? a[row * A_width + column] : b[row * B_width + column - A_width];
    }
}

extern "C" void ws_concat_forward_cuda(const ws_concat_arguments *a, void *queue_)
{
    ws_cuda_queue *queue = ws_cuda_enter(queue_);
    WS_LAUNCH(queue, concat, ws_blocks(a->B * (a->A_width + a->B_width), WS_BLOCK), WS_BLOCK, a->B, a->A_width,
              a->B_width, a->a, a->b, a->y);
}

/* The columns [first, first + width) of dy. */
static __global__ void take_columns(int64_t B, int64_t width, int64_t whole, int64_t first, bool accumulate,
                                    const float *dy, float *out)
{
    for (WS_EACH(i, B * width)) {
        float gradient = dy[i / width * whole + first + i % width];
        out[i] = accumulate ? out[i] + gradient : gradient;
    }
}

extern "C" void ws_concat_backward_cuda(const ws_concat_arguments *a, void *queue_)
{
    ws_cuda_queue *queue = ws_cuda_enter(queue_);
    int64_t whole = a->A_width + a->B_width;
    if (a->da != NULL)
        WS_LAUNCH(queue, take_columns, ws_blocks(a->B * a->A_width, WS_BLOCK), WS_BLOCK, a->B, a->A_width, whole,
                  (int64_t)0, a->accumulate_da, a->dy, a->da);
    if (a->db != NULL)
        WS_LAUNCH(queue, take_columns, ws_blocks(a->B * a->B_width, WS_BLOCK), WS_BLOCK, a->B, a->B_width, whole,
                  a->A_width, a->accumulate_db, a->dy, a->db);
}
