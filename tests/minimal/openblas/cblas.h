/* The BLAS calls in use, in plain C, where no BLAS is installed: for the minimal build, whose products of any size run on the GPU. */
#ifndef WS_MINIMAL_CBLAS_H
#define WS_MINIMAL_CBLAS_H

#include <math.h>
#include <stddef.h>

typedef int blasint;
typedef enum { CblasRowMajor = 101 } CBLAS_ORDER;
typedef enum { CblasNoTrans = 111, CblasTrans = 112 } CBLAS_TRANSPOSE;
#define BLASFUNC(name) name##_
#define openblas_set_num_threads(count) ((void)(count))

/* c = alpha op(a) op(b) + beta c, row-major; c is not read where beta is 0 */
#define WS_MINIMAL_GEMM(name, real)                                                                                    \
    static inline void name(CBLAS_ORDER order, CBLAS_TRANSPOSE of_a, CBLAS_TRANSPOSE of_b, blasint m, blasint n,       \
                            blasint k, real alpha, const real *a, blasint lda, const real *b, blasint ldb, real beta,  \
                            real *c, blasint ldc)                                                                      \
    {                                                                                                                  \
        (void)order;                                                                                                   \
        for (ptrdiff_t i = 0; i < m; i++)                                                                              \
            for (ptrdiff_t j = 0; j < n; j++) {                                                                        \
                double sum = 0;                                                                                        \
                for (ptrdiff_t l = 0; l < k; l++)                                                                      \
                    sum += (double)(of_a == CblasTrans ? a[l * lda + i] : a[i * lda + l]) *                            \
                           (double)(of_b == CblasTrans ? b[j * ldb + l] : b[l * ldb + j]);                             \
                real before = beta == 0 ? 0 : beta * c[i * ldc + j];                                                   \
                c[i * ldc + j] = alpha * (real)sum + before;                                                           \
            }                                                                                                          \
    }
WS_MINIMAL_GEMM(cblas_sgemm, float)
WS_MINIMAL_GEMM(cblas_dgemm, double)
#undef WS_MINIMAL_GEMM

#endif
