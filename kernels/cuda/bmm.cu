/* bmm: cuBLASLt's products of many matrices. */
#include "queue.h"

extern "C" void ws_bmm_forward_cuda(const ws_bmm_arguments *a, void *queue_)
{
    ws_cuda_queue *queue = ws_cuda_enter(queue_);
    float *next = a->scratch;
    const void *left = ws_cuda_factor(queue, a->bf16, a->a, a->B * a->M * a->K, &next);
    const void *right = ws_cuda_factor(queue, a->bf16, a->b, a->B * a->K * a->N, &next);
    const ws_cuda_product product = {false, a->transposed, a->M, a->N, a->K, a->B, a->bf16, false, NULL};
    ws_cuda_multiply(queue, &product, left, right, a->y);
}

extern "C" void ws_bmm_backward_cuda(const ws_bmm_arguments *a, void *queue_)
{
    ws_cuda_queue *queue = ws_cuda_enter(queue_);
    float *next = a->scratch;
    const void *left = ws_cuda_factor(queue, a->bf16, a->a, a->B * a->M * a->K, &next);
    const void *right = ws_cuda_factor(queue, a->bf16, a->b, a->B * a->K * a->N, &next);
    const void *dy = ws_cuda_factor(queue, a->bf16, a->dy, a->B * a->M * a->N, &next);
    const ws_cuda_product of_a = {false, !a->transposed, a->M, a->K, a->N, a->B, a->bf16, a->accumulate_da, NULL};
    if (a->da != NULL)
        ws_cuda_multiply(queue, &of_a, dy, right, a->da);
    const int64_t rows = a->transposed ? a->N : a->K, columns = a->transposed ? a->K : a->N;
    const ws_cuda_product of_b = {true, false, rows, columns, a->M, a->B, a->bf16, a->accumulate_db, NULL};
    if (a->db != NULL)
        ws_cuda_multiply(queue, &of_b, a->transposed ? dy : left, a->transposed ? left : dy, a->db);
}
