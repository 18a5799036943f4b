/* bmm on the CPU: the BLAS, once for each matrix. */
#include "gemm.h"
#include "level.h"

/* out[M,N] (+)= left right, of which either may lie transposed. */
static void multiply(bool transpose_left, bool transpose_right, int64_t M, int64_t N, int64_t K, const ws_real *left,
                     const ws_real *right, bool accumulate, ws_real *out)
{
    ws_cblas_gemm(CblasRowMajor, transpose_left ? CblasTrans : CblasNoTrans,
                  transpose_right ? CblasTrans : CblasNoTrans, (blasint)M, (blasint)N, (blasint)K, 1, left,
                  (blasint)(transpose_left ? M : K), right, (blasint)(transpose_right ? K : N), accumulate ? 1 : 0, out,
                  (blasint)N);
}

WS_OPERATOR_KERNEL(bmm, forward)
{
    int64_t M = a->M, K = a->K, N = a->N;
    for (int64_t i = 0; i < a->B; i++)
        multiply(false, a->transposed, M, N, K, a->a + i * M * K, a->b + i * K * N, false, a->y + i * M * N);
}

WS_OPERATOR_KERNEL(bmm, backward)
{
    int64_t M = a->M, K = a->K, N = a->N;
    for (int64_t i = 0; i < a->B; i++) {
        const ws_real *left = a->a + i * M * K, *right = a->b + i * K * N, *dy = a->dy + i * M * N;
        if (a->da)
            multiply(false, !a->transposed, M, K, N, dy, right, a->accumulate_da, a->da + i * M * K);
        if (a->db && a->transposed)
            multiply(true, false, N, K, M, dy, left, a->accumulate_db, a->db + i * K * N);
        else if (a->db)
            multiply(true, false, K, N, M, left, dy, a->accumulate_db, a->db + i * K * N);
    }
}
