/* bmm: cuBLAS's products of many matrices. */
#include "queue.h"

extern "C" void ws_bmm_forward_cuda(const ws_bmm_arguments *a, void *queue_)
{
    ws_cuda_queue *queue = ws_cuda_enter(queue_);
    float *next = a->scratch;
    const float *left = ws_cuda_factor(queue, a->bf16, a->a, a->B * a->M * a->K, &next);
    const float *right = ws_cuda_factor(queue, a->bf16, a->b, a->B * a->K * a->N, &next);
    ws_cuda_exact_in_tensor_cores(queue, a->bf16);
    ws_cuda_gemms(queue, a->B, false, a->transposed, a->M, a->N, a->K, left, right, false, a->y);
    ws_cuda_exact_in_tensor_cores(queue, false);
}

extern "C" void ws_bmm_backward_cuda(const ws_bmm_arguments *a, void *queue_)
{
    ws_cuda_queue *queue = ws_cuda_enter(queue_);
    float *next = a->scratch;
    const float *left = ws_cuda_factor(queue, a->bf16, a->a, a->B * a->M * a->K, &next);
    const float *right = ws_cuda_factor(queue, a->bf16, a->b, a->B * a->K * a->N, &next);
    const float *dy = ws_cuda_factor(queue, a->bf16, a->dy, a->B * a->M * a->N, &next);
    ws_cuda_exact_in_tensor_cores(queue, a->bf16);
    if (a->da != NULL)
        ws_cuda_gemms(queue, a->B, false, !a->transposed, a->M, a->K, a->N, dy, right, a->accumulate_da, a->da);
    if (a->db != NULL && a->transposed)
        ws_cuda_gemms(queue, a->B, true, false, a->N, a->K, a->M, dy, left, a->accumulate_db, a->db);
    else if (a->db != NULL)
        ws_cuda_gemms(queue, a->B, true, false, a->K, a->N, a->M, left, dy, a->accumulate_db, a->db);
    ws_cuda_exact_in_tensor_cores(queue, false);
}
