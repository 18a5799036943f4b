/* The matrix products of the linear operator, by the BLAS of the build's real type. Row-major. */
#ifndef WS_KERNELS_CPU_GEMM_H
#define WS_KERNELS_CPU_GEMM_H

#include <cblas.h>
#include "real.h"

#ifdef WS_REAL_DOUBLE
#define ws_cblas_gemm cblas_dgemm
#else
#define ws_cblas_gemm cblas_sgemm
#endif

#endif
