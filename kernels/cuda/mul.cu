/* mul: y = a * b, element by element. */
#include "queue.h"

static __global__ void mul(int64_t count, const float *a, const float *b, float *y)
{
    for (WS_EACH(i, count))
        y[i] = a[i] * b[i];
}

extern "C" void ws_mul_forward_cuda(const ws_mul_arguments *a, void *queue_)
{
    ws_cuda_queue *queue = ws_cuda_enter(queue_);
    WS_LAUNCH(queue, mul, ws_blocks(a->count, WS_BLOCK), WS_BLOCK, a->count, a->a, a->b, a->y);
}

/* da and db may be one buffer (a * a): one thread does both, one after the other. */
static __global__ void mul_gradients(int64_t count, bool accumulate_da, bool accumulate_db, const float *a,
                                     const float *b, const float *dy, float *da, float *db)
{
    for (WS_EACH(i, count)) {
        if (da != NULL)
            da[i] = accumulate_da ? da[i] + dy[i] * b[i] : dy[i] * b[i];
        if (db != NULL)
            db[i] = accumulate_db ? db[i] + dy[i] * a[i] : dy[i] * a[i];
    }
}

extern "C" void ws_mul_backward_cuda(const ws_mul_arguments *a, void *queue_)
{
    ws_cuda_queue *queue = ws_cuda_enter(queue_);
    WS_LAUNCH(queue, mul_gradients, ws_blocks(a->count, WS_BLOCK), WS_BLOCK, a->count, a->accumulate_da,
              a->accumulate_db, a->a, a->b, a->dy, a->da, a->db);
}
