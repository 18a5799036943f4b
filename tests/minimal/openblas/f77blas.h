/* LAPACK's Cholesky factorisation in plain C, where no BLAS is installed: for the minimal build. */
#ifndef WS_MINIMAL_F77BLAS_H
#define WS_MINIMAL_F77BLAS_H

#include "cblas.h"

/* a = U^T U, by column, the upper triangle only; status: 0, or the order of the first minor that is not positive */
static inline void dpotrf_(const char *triangle, const blasint *n, double *a, const blasint *lda, blasint *status)
{
    (void)triangle;
    *status = 0;
    for (ptrdiff_t j = 0; j < *n; j++)
        for (ptrdiff_t i = 0; i <= j; i++) {
            double sum = a[i + j * *lda];
            for (ptrdiff_t k = 0; k < i; k++)
                sum -= a[k + i * *lda] * a[k + j * *lda];
            if (i == j && !(sum > 0)) {
                *status = (blasint)(j + 1);
                return;
            }
            a[i + j * *lda] = i == j ? sqrt(sum) : sum / a[i + i * *lda];
        }
}

#endif
