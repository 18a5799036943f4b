/* bmm on the CPU: a product (gemm.h) for each matrix. */
#include "gemm.h"
#include "level.h"

WS_OPERATOR_KERNEL(bmm, forward)
{
    const int64_t M = a->M, K = a->K, N = a->N;
    for (int64_t i = 0; i < a->B; i++)
        ws_compute_product(&(ws_product){.M = M,
                                         .N = N,
                                         .K = K,
                                         .transpose_right = a->transposed,
                                         .bf16 = a->bf16,
                                         .left = a->a + i * M * K,
                                         .right = a->b + i * K * N,
                                         .out = a->y + i * M * N,
                                         .scratch = a->scratch});
}

WS_OPERATOR_KERNEL(bmm, backward)
{
    const int64_t M = a->M, K = a->K, N = a->N;
    for (int64_t i = 0; i < a->B; i++) {
        const ws_real *left = a->a + i * M * K, *right = a->b + i * K * N, *dy = a->dy + i * M * N;
        if (a->da)
            ws_compute_product(&(ws_product){.M = M,
                                             .N = K,
                                             .K = N,
                                             .transpose_right = !a->transposed,
                                             .accumulate = a->accumulate_da,
                                             .bf16 = a->bf16,
                                             .left = dy,
                                             .right = right,
                                             .out = a->da + i * M * K,
                                             .scratch = a->scratch});
        if (a->db) /* the gradient of b, or of b transposed: the factors the other way round */
            ws_compute_product(&(ws_product){.M = a->transposed ? N : K,
                                             .N = a->transposed ? K : N,
                                             .K = M,
                                             .transpose_left = true,
                                             .accumulate = a->accumulate_db,
                                             .bf16 = a->bf16,
                                             .left = a->transposed ? dy : left,
                                             .right = a->transposed ? left : dy,
                                             .out = a->db + i * K * N,
                                             .scratch = a->scratch});
    }
}
