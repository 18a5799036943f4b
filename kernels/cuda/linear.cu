/* linear: y = act(x weight^T + bias). The products are cuBLASLt's; bias, activation and their gradients are fused into them or
 * around them. */
#include "queue.h"

/* out holds x weight^T and becomes z where z is kept; y = act(out + bias). out may be y. */
static __global__ void add_bias_and_activate(int64_t B, int64_t N, ws_activation activation, const float *bias,
                                             float *out, float *z, float *y)
{
    for (int64_t b = blockIdx.y; b < B; b += gridDim.y)
        for (WS_EACH(n, N)) {
            float value = out[b * N + n] + bias[n];
            if (z != NULL)
                z[b * N + n] = value;
            y[b * N + n] = ws_activation_value(activation, value);
        }
}

static const void *weight_factor(ws_cuda_queue *queue, const ws_linear_arguments *a, float **next)
{
    if (a->bf16 && a->rounded != NULL)
        return a->rounded;
    return ws_cuda_factor(queue, a->bf16, a->weight, a->N * a->K, next);
}

extern "C" void ws_linear_forward_cuda(const ws_linear_arguments *a, void *queue_)
{
    ws_cuda_queue *queue = ws_cuda_enter(queue_);
    float *out = a->z != NULL ? a->z : a->y;
    float *next = a->scratch;
    const void *x = ws_cuda_factor(queue, a->bf16, a->x, a->B * a->K, &next);
    const void *weight = weight_factor(queue, a, &next);
    const bool affine = a->activation == WS_NONE && a->z == NULL; /* the product adds the bias itself */
    const ws_cuda_product product = {false, true, a->B, a->N, a->K, 1, a->bf16, false, affine ? a->bias : NULL};
    ws_cuda_multiply(queue, &product, x, weight, out);
    if (affine)
        return;
    dim3 blocks(ws_blocks(a->N, WS_BLOCK), (unsigned)(a->B < 32768 ? a->B : 32768));
    WS_LAUNCH(queue, add_bias_and_activate, blocks, WS_BLOCK, a->B, a->N, a->activation, a->bias, out, a->z, a->y);
}

/* dy becomes dz; partial[part] = column sums of dz over the part's rows. One thread owns a column of a part. */
static __global__ void slope_and_column_sums(int64_t B, int64_t N, ws_activation activation, const float *y_or_z,
                                             float *dy, float *partial)
{
    int64_t begin, end;
    ws_part_rows(B, gridDim.y, blockIdx.y, &begin, &end);
    for (WS_EACH(n, N)) {
        float sum = 0;
        for (int64_t b = begin; b < end; b++) {
            float dz = dy[b * N + n];
            if (activation != WS_NONE) {
                dz *= ws_activation_slope(activation, y_or_z[b * N + n]);
                dy[b * N + n] = dz;
            }
            sum += dz;
        }
        partial[blockIdx.y * N + n] = sum;
    }
}

extern "C" void ws_linear_backward_cuda(const ws_linear_arguments *a, void *queue_)
{
    ws_cuda_queue *queue = ws_cuda_enter(queue_);
    const float *y_or_z = ws_activation_needs_z(a->activation) ? a->z : a->y;
    int64_t parts = ws_column_parts(a->B);
    dim3 blocks(ws_blocks(a->N, WS_BLOCK), (unsigned)parts);
    if (a->activation != WS_NONE || a->dbias != NULL)
        WS_LAUNCH(queue, slope_and_column_sums, blocks, WS_BLOCK, a->B, a->N, a->activation, y_or_z, a->dy, a->scratch);
    if (a->dbias != NULL)
        ws_cuda_sum_parts(queue, parts, a->N, a->scratch, a->dbias);
    float *next = a->scratch + WS_COLUMN_PARTS * a->N;
    const void *dz = ws_cuda_factor(queue, a->bf16, a->dy, a->B * a->N, &next);
    if (a->dweight != NULL) {
        const ws_cuda_product product = {true, false, a->N, a->K, a->B, 1, a->bf16, false, NULL};
        ws_cuda_multiply(queue, &product, dz, ws_cuda_factor(queue, a->bf16, a->x, a->B * a->K, &next), a->dweight);
    }
    if (a->dx != NULL) {
        const ws_cuda_product product = {false, false, a->B, a->K, a->N, 1, a->bf16, a->accumulate_dx, NULL};
        ws_cuda_multiply(queue, &product, dz, weight_factor(queue, a, &next), a->dx);
    }
}
