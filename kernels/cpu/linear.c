/* linear on the CPU: one matrix product, then bias and activation in one pass; backward turns dy into dz and sums the
 * bias gradient in one pass, then two matrix products. */
#include "gemm.h"
#include "level.h"

enum { ROWS_A_PART = 64 }; /* rows summed into one part before it is added to the total */

WS_INLINE void add_bias_and_activate(const ws_linear_arguments *a, ws_activation activation)
{
    int64_t N = a->N;
    const ws_real *restrict bias = a->bias;
    for (int64_t b = 0; b < a->B; b++) {
        ws_real *restrict y = a->y + b * N;
        if (a->z) {
            ws_real *restrict z = a->z + b * N;
            for (int64_t n = 0; n < N; n++) {
                z[n] += bias[n];
                y[n] = ws_activation_value(activation, z[n]);
            }
        } else {
            for (int64_t n = 0; n < N; n++)
                y[n] = ws_activation_value(activation, y[n] + bias[n]);
        }
    }
}

WS_OPERATOR_KERNEL(linear, forward)
{
    ws_compute_product(&(ws_product){.M = a->B,
                                     .N = a->N,
                                     .K = a->K,
                                     .transpose_right = true,
                                     .bf16 = a->bf16,
                                     .left = a->x,
                                     .right = a->weight,
                                     .out = a->z ? a->z : a->y,
                                     .scratch = a->scratch});
    if (!a->bias) /* a projection: no activation either */
        return;
    switch (a->activation) { /* outside the loops, so that each becomes a loop of its own */
    case WS_RELU:
        add_bias_and_activate(a, WS_RELU);
        break;
    case WS_SILU:
        add_bias_and_activate(a, WS_SILU);
        break;
    case WS_GELU:
        add_bias_and_activate(a, WS_GELU);
        break;
    case WS_TANH:
        add_bias_and_activate(a, WS_TANH);
        break;
    case WS_LEAKY_RELU:
        add_bias_and_activate(a, WS_LEAKY_RELU);
        break;
    case WS_SIGMOID:
        add_bias_and_activate(a, WS_SIGMOID);
        break;
    default:
        add_bias_and_activate(a, WS_NONE);
    }
}

/* dy becomes dz, and part[n] its sum over the rows [from, to). */
WS_INLINE void differentiate_rows(const ws_linear_arguments *a, ws_activation activation, int64_t from, int64_t to)
{
    int64_t N = a->N;
    ws_real *restrict part = a->scratch;
    const ws_real *known = ws_activation_needs_z(activation) ? a->z : a->y;
    memset(part, 0, (size_t)N * sizeof *part);
    for (int64_t b = from; b < to; b++) {
        ws_real *restrict dy = a->dy + b * N;
        if (activation == WS_NONE) {
            for (int64_t n = 0; n < N; n++)
                part[n] += dy[n];
            continue;
        }
        const ws_real *restrict row = known + b * N;
        for (int64_t n = 0; n < N; n++) {
            ws_real dz = dy[n] * ws_activation_slope(activation, row[n]);
            dy[n] = dz;
            part[n] += dz;
        }
    }
}

WS_INLINE void differentiate(const ws_linear_arguments *a, ws_activation activation)
{
    ws_real *restrict dbias = a->dbias;
    if (dbias)
        memset(dbias, 0, (size_t)a->N * sizeof *dbias);
    for (int64_t from = 0; from < a->B; from += ROWS_A_PART) {
        differentiate_rows(a, activation, from, from + ROWS_A_PART < a->B ? from + ROWS_A_PART : a->B);
        const ws_real *restrict part = a->scratch;
        for (int64_t n = 0; dbias && n < a->N; n++)
            dbias[n] += part[n];
    }
}

WS_OPERATOR_KERNEL(linear, backward)
{
    switch (a->activation) {
    case WS_RELU:
        differentiate(a, WS_RELU);
        break;
    case WS_SILU:
        differentiate(a, WS_SILU);
        break;
    case WS_GELU:
        differentiate(a, WS_GELU);
        break;
    case WS_TANH:
        differentiate(a, WS_TANH);
        break;
    case WS_LEAKY_RELU:
        differentiate(a, WS_LEAKY_RELU);
        break;
    case WS_SIGMOID:
        differentiate(a, WS_SIGMOID);
        break;
    default:
        if (a->dbias)
            differentiate(a, WS_NONE);
    }
    ws_real *scratch = a->scratch + WS_COLUMN_PARTS * a->N;
    if (a->dweight)
        ws_compute_product(&(ws_product){.M = a->N,
                                         .N = a->K,
                                         .K = a->B,
                                         .transpose_left = true,
                                         .bf16 = a->bf16,
                                         .left = a->dy,
                                         .right = a->x,
                                         .out = a->dweight,
                                         .scratch = scratch});
    if (a->dx)
        ws_compute_product(&(ws_product){.M = a->B,
                                         .N = a->K,
                                         .K = a->N,
                                         .accumulate = a->accumulate_dx,
                                         .bf16 = a->bf16,
                                         .left = a->dy,
                                         .right = a->weight,
                                         .out = a->dx,
                                         .scratch = scratch});
}
