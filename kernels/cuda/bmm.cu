/* bmm: cuBLAS's products of many matrices. */
#include "queue.h"

extern "C" void ws_bmm_forward_cuda(const ws_bmm_arguments *a, void *queue_)
{
    ws_cuda_queue *queue = ws_cuda_enter(queue_);
    ws_cuda_gemms(queue, a->B, false, a->transposed, a->M, a->N, a->K, a->a, a->b, false, a->y);
}

extern "C" void ws_bmm_backward_cuda(const ws_bmm_arguments *a, void *queue_)
{
    ws_cuda_queue *queue = ws_cuda_enter(queue_);
    if (a->da != NULL)
        ws_cuda_gemms(queue, a->B, false, !a->transposed, a->M, a->K, a->N, a->dy, a->b, a->accumulate_da, a->da);
    if (a->db != NULL && a->transposed)
        ws_cuda_gemms(queue, a->B, true, false, a->N, a->K, a->M, a->dy, a->a, a->accumulate_db, a->db);
    else if (a->db != NULL)
        ws_cuda_gemms(queue, a->B, true, false, a->K, a->N, a->M, a->a, a->dy, a->accumulate_db, a->db);
}
