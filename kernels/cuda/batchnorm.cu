/* batchnorm: y = (x - mean) * rstd * weight + bias by columns. A thread owns a column of a part of the rows, or one element. */
#include "queue.h"
#include "pool.h"

static __device__ __forceinline__ bool counts(const ws_batchnorm_arguments &a, int64_t r)
{
    return a.length == NULL || r % a.T < ws_pool_tokens(a.length, r / a.T, a.T);
}

static __device__ __forceinline__ float rstd_of(const ws_batchnorm_arguments &a, int64_t d)
{
    return 1.0f / sqrtf(a.variance[d] + (float)a.epsilon);
}

/* One block: counted = the rows that count, or 0 where they are fewer than two or not asked for */
static __global__ void count_rows(ws_batchnorm_arguments a)
{
    double rows = 0;
    for (int64_t b = threadIdx.x; b < a.B; b += WS_BLOCK)
        rows += (double)ws_pool_tokens(a.length, b, a.T);
    rows = ws_block_sum(rows);
    if (threadIdx.x == 0)
        a.counted[0] = a.own && rows >= 2 ? (float)rows : 0.0f;
}

/* scratch[part] sums x, or (x - mean)^2, over the part's rows */
static __global__ void sum_columns(ws_batchnorm_arguments a, bool squares)
{
    int64_t begin, end;
    ws_part_rows(a.B * a.T, gridDim.y, blockIdx.y, &begin, &end);
    for (WS_EACH(d, a.D)) {
        float sum = 0, mean = squares ? a.mean[d] : 0.0f;
        for (int64_t r = begin; r < end; r++)
            if (counts(a, r)) {
                float x = a.x[r * a.D + d] - mean;
                sum += squares ? x * x : x;
            }
        a.scratch[blockIdx.y * a.D + d] = sum;
    }
}

/* out = the sum of the parts over the rows, or the running average where no rows are counted */
static __global__ void divide(ws_batchnorm_arguments a, int64_t parts, const float *running, float *out)
{
    for (WS_EACH(d, a.D)) {
        float sum = 0;
        for (int64_t part = 0; a.counted[0] > 0 && part < parts; part++)
            sum += a.scratch[part * a.D + d];
        out[d] = a.counted[0] > 0 ? sum / a.counted[0] : running[d];
    }
}

static __global__ void normalise(ws_batchnorm_arguments a)
{
    for (WS_EACH(i, a.B * a.T * a.D)) {
        int64_t d = i % a.D;
        a.y[i] = counts(a, i / a.D) ? (a.x[i] - a.mean[d]) * (rstd_of(a, d) * a.weight[d]) + a.bias[d] : 0.0f;
    }
}

extern "C" void ws_batchnorm_forward_cuda(const ws_batchnorm_arguments *a, void *queue_)
{
    ws_cuda_queue *queue = ws_cuda_enter(queue_);
    int64_t parts = ws_column_parts(a->B * a->T);
    dim3 blocks(ws_blocks(a->D, WS_BLOCK), (unsigned)parts);
    WS_LAUNCH(queue, count_rows, 1, WS_BLOCK, *a);
    if (a->own)
        WS_LAUNCH(queue, sum_columns, blocks, WS_BLOCK, *a, false);
    WS_LAUNCH(queue, divide, ws_blocks(a->D, WS_BLOCK), WS_BLOCK, *a, parts, a->running_mean, a->mean);
    if (a->own)
        WS_LAUNCH(queue, sum_columns, blocks, WS_BLOCK, *a, true);
    WS_LAUNCH(queue, divide, ws_blocks(a->D, WS_BLOCK), WS_BLOCK, *a, parts, a->running_variance, a->variance);
    WS_LAUNCH(queue, normalise, ws_blocks(a->B * a->T * a->D, WS_BLOCK), WS_BLOCK, *a);
}

/* scratch[0, part] sums dy * h, scratch[1, part] sums dy, over the part's rows; h is the normalised x */
static __global__ void sum_gradients(ws_batchnorm_arguments a)
{
    int64_t begin, end;
    ws_part_rows(a.B * a.T, gridDim.y, blockIdx.y, &begin, &end);
    for (WS_EACH(d, a.D)) {
        float weight = 0, bias = 0, mean = a.mean[d], rstd = rstd_of(a, d);
        for (int64_t r = begin; r < end; r++)
            if (counts(a, r)) {
                float dy = a.dy[r * a.D + d];
                weight += dy * ((a.x[r * a.D + d] - mean) * rstd);
                bias += dy;
            }
        a.scratch[blockIdx.y * a.D + d] = weight;
        a.scratch[(WS_COLUMN_PARTS + blockIdx.y) * a.D + d] = bias;
    }
}

/* dx = rstd weight (dy - dbias / n - h dweight / n); without the last two where mean and variance are not the rows' own */
static __global__ void row_gradients(ws_batchnorm_arguments a, const float *dweight, const float *dbias)
{
    float share = a.counted[0] > 0 ? 1.0f / a.counted[0] : 0.0f;
    for (WS_EACH(i, a.B * a.T * a.D)) {
        int64_t d = i % a.D;
        float gradient = 0;
        if (counts(a, i / a.D)) {
            float rstd = rstd_of(a, d), h = (a.x[i] - a.mean[d]) * rstd;
            float of_all = share > 0 ? share * (dbias[d] + h * dweight[d]) : 0.0f;
            gradient = a.weight[d] * rstd * (a.dy[i] - of_all);
        }
        a.dx[i] = a.accumulate_dx ? a.dx[i] + gradient : gradient;
    }
}

static __global__ void report_statistics(ws_batchnorm_arguments a)
{
    float n = a.counted[0], unbiased = n > 0 ? n / (n - 1.0f) : 1.0f;
    for (WS_EACH(d, a.D)) {
        a.seen_mean[d] = a.mean[d];
        a.seen_variance[d] = unbiased * a.variance[d];
    }
}

extern "C" void ws_batchnorm_backward_cuda(const ws_batchnorm_arguments *a, void *queue_)
{
    ws_cuda_queue *queue = ws_cuda_enter(queue_);
    int64_t parts = ws_column_parts(a->B * a->T);
    dim3 blocks(ws_blocks(a->D, WS_BLOCK), (unsigned)parts);
    float *spare = a->scratch + 2 * WS_COLUMN_PARTS * a->D;
    float *dweight = a->dweight != NULL ? a->dweight : spare, *dbias = a->dbias != NULL ? a->dbias : spare + a->D;
    WS_LAUNCH(queue, sum_gradients, blocks, WS_BLOCK, *a);
    ws_cuda_sum_parts(queue, parts, a->D, a->scratch, dweight);
    ws_cuda_sum_parts(queue, parts, a->D, a->scratch + WS_COLUMN_PARTS * a->D, dbias);
    if (a->dx != NULL)
        WS_LAUNCH(queue, row_gradients, ws_blocks(a->B * a->T * a->D, WS_BLOCK), WS_BLOCK, *a, dweight, dbias);
    if (a->seen_mean != NULL)
        WS_LAUNCH(queue, report_statistics, ws_blocks(a->D, WS_BLOCK), WS_BLOCK, *a);
}
