/* Matrix products, row-major: by the BLAS of the build's real type, or of factors rounded to bfloat16, which go through tiles where a
 * layer of them (amx/tiles.h) was included before, and else as rounded copies through the BLAS.
 *
 * The BLAS is OpenBLAS: of the multiply-add peak of an AVX2 core it reaches 84 to 97 % in the products of a layer (4096 rows, widths
 * of 128 to 512; forward, dx, dweight), BLIS 0.9 reaches 67 to 98 and oneDNN 2.6 59 to 100 (dweight is their weak one), tiles of
 * our own 75 to 102. */
#ifndef WS_KERNELS_CPU_GEMM_H
#define WS_KERNELS_CPU_GEMM_H

#include <cblas.h>
#include "arguments.h"
#include "scalar.h"
#ifdef WS_TILES
#include "amx/product.h"
#endif

#ifdef WS_REAL_DOUBLE
#define ws_cblas_gemm cblas_dgemm
#else
#define ws_cblas_gemm cblas_sgemm
#endif

/* out[M,N] (+)= left right. left is [M,K], or [K,M] read transposed; right is [K,N], or [N,K]. */
typedef struct ws_product {
    int64_t M, N, K;
    bool transpose_left, transpose_right, accumulate, bf16;
    const ws_real *left, *right;
    ws_real *out;
    ws_real *scratch; /* ws_product_scratch(), where bf16 */
} ws_product;

static inline void ws_multiply_by_blas(const ws_product *p, const ws_real *left, const ws_real *right)
{
    ws_cblas_gemm(CblasRowMajor, p->transpose_left ? CblasTrans : CblasNoTrans,
                  p->transpose_right ? CblasTrans : CblasNoTrans, (blasint)p->M, (blasint)p->N, (blasint)p->K, 1, left,
                  (blasint)(p->transpose_left ? p->M : p->K), right, (blasint)(p->transpose_right ? p->K : p->N),
                  p->accumulate ? 1 : 0, p->out, (blasint)p->N);
}

#ifdef WS_TILES
static inline void ws_multiply_rounded(const ws_product *p)
{
    const ws_side left = {p->left, p->transpose_left ? 1 : p->K, p->transpose_left ? p->M : 1};
    const ws_side right = {p->right, p->transpose_right ? p->K : 1, p->transpose_right ? 1 : p->N};
    ws_multiply_tiles(left, right, p->M, p->N, p->K, p->accumulate, p->out, p->scratch);
}
#else
static inline const ws_real *ws_rounded(const ws_real *restrict from, int64_t count, ws_real *restrict to)
{
    for (int64_t i = 0; i < count; i++)
        to[i] = ws_bf16(from[i]);
    return to;
}

static inline void ws_multiply_rounded(const ws_product *p)
{
    const ws_real *left = ws_rounded(p->left, p->M * p->K, p->scratch);
    ws_multiply_by_blas(p, left, ws_rounded(p->right, p->K * p->N, p->scratch + p->M * p->K));
}
#endif

static inline void ws_compute_product(const ws_product *p)
{
    if (p->bf16)
        ws_multiply_rounded(p);
    else
        ws_multiply_by_blas(p, p->left, p->right);
}

#endif
