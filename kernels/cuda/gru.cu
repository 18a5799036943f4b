/* gru: cuBLAS multiplies x of all steps at once; then a block walks along one direction of one sequence, with the hidden
 * state in shared memory, so that all steps are one launch. */
#include "queue.h"

static __device__ __forceinline__ int64_t length_of(const ws_gru_arguments &a, int64_t b)
{
    if (a.lengths == NULL || a.lengths[b] > a.T)
        return a.T;
    return a.lengths[b] > 0 ? a.lengths[b] : 0;
}

/* turned[direction][H,3H] = U of the direction transposed, so that the threads of a block read side by side */
static __global__ void turn_weights(ws_gru_arguments a, float *turned)
{
    for (WS_EACH(i, a.directions * 3 * a.H * a.H)) {
        const int64_t column = i % a.H, row = i / a.H % (3 * a.H), direction = i / a.H / (3 * a.H);
        turned[(direction * a.H + column) * 3 * a.H + row] = a.weight_hidden[i];
    }
}

/* blockIdx.x: the sequence; blockIdx.y: the direction. gates holds the products with x and becomes r, z, n. */
static __global__ void walk(ws_gru_arguments a, float *gates, const float *turned)
{
    __shared__ float state[2][WS_GRU_MOST_UNITS];
    const int64_t H = a.H, direction = blockIdx.y, wide = a.directions * 3 * H;
    const float *U = turned + direction * H * 3 * H;
    const float *b_ = a.bias_input + direction * 3 * H, *c = a.bias_hidden + direction * 3 * H;
    for (int64_t b = blockIdx.x; b < a.B; b += gridDim.x) {
        const int64_t length = length_of(a, b);
        for (int64_t j = threadIdx.x; j < H; j += blockDim.x)
            state[0][j] = 0;
        for (int64_t i = 0; i < a.T; i++) {
            const int64_t t = direction == 0 ? i : a.T - 1 - i;
            const float *h = state[i % 2];
            float *next = state[(i + 1) % 2];
            __syncthreads();
            for (int64_t j = threadIdx.x; j < H; j += blockDim.x) {
                const int64_t at = ((b * a.T + t) * a.directions + direction) * H + j;
                float *own = gates + (b * a.T + t) * wide + direction * 3 * H;
                if (t >= length) {
                    next[j] = 0;
                    a.y[at] = 0;
                    continue;
                }
                float of_r = c[j], of_z = c[H + j], of_n = c[2 * H + j];
                for (int64_t k = 0; k < H; k++) {
                    const float *row = U + k * 3 * H + j;
                    of_r += row[0] * h[k];
                    of_z += row[H] * h[k];
                    of_n += row[2 * H] * h[k];
                }
                const float r = ws_sigmoid(own[j] + b_[j] + of_r), z = ws_sigmoid(own[H + j] + b_[H + j] + of_z);
                const float n = ws_tanh(own[2 * H + j] + b_[2 * H + j] + r * of_n);
                own[j] = r;
                own[H + j] = z;
                own[2 * H + j] = n;
                if (a.q != NULL)
                    a.q[at] = of_n;
                next[j] = (1 - z) * n + z * h[j];
                a.y[at] = next[j];
            }
        }
        __syncthreads(); /* before the states of the next sequence */
    }
}

static dim3 blocks_of(const ws_gru_arguments *a)
{
    return dim3(ws_blocks(a->B, 1), (unsigned)a->directions);
}

static unsigned threads_of(const ws_gru_arguments *a)
{
    return a->H < WS_BLOCK ? (unsigned)((a->H + WS_WARP - 1) / WS_WARP * WS_WARP) : (unsigned)WS_BLOCK;
}

extern "C" void ws_gru_forward_cuda(const ws_gru_arguments *a, void *queue_)
{
    ws_cuda_queue *queue = ws_cuda_enter(queue_);
    const int64_t rows = a->B * a->T, wide = a->directions * 3 * a->H;
    float *gates = a->gates != NULL ? a->gates : a->scratch, *turned = a->scratch + rows * wide;
    ws_cuda_gemm(queue, false, true, rows, wide, a->D, a->x, a->weight_input, false, gates);
    WS_LAUNCH(queue, turn_weights, ws_blocks(wide * a->H, WS_BLOCK), WS_BLOCK, *a, turned);
    WS_LAUNCH(queue, walk, blocks_of(a), threads_of(a), *a, gates, turned);
}

/* ---- backward ---- */

/* of_x [B*T,directions*3H]; of_h [directions][B*T,3H], before [directions][B*T,H]: gradients of the products with x and with
 * h, and the states before every step. */
static __global__ void walk_back(ws_gru_arguments a, float *of_x, float *of_h, float *before)
{
    __shared__ float products[3 * WS_GRU_MOST_UNITS], dh[WS_GRU_MOST_UNITS];
    const int64_t H = a.H, direction = blockIdx.y, wide = a.directions * 3 * H;
    const float *U = a.weight_hidden + direction * 3 * H * H;
    of_h += direction * a.B * a.T * 3 * H;
    before += direction * a.B * a.T * H;
    for (int64_t b = blockIdx.x; b < a.B; b += gridDim.x) {
        const int64_t length = length_of(a, b);
        for (int64_t j = threadIdx.x; j < H; j += blockDim.x)
            dh[j] = 0;
        for (int64_t i = a.T - 1; i >= 0; i--) {
            const int64_t t = direction == 0 ? i : a.T - 1 - i, row = b * a.T + t,
                          last = direction == 0 ? t - 1 : t + 1;
            const float *gates = a.gates + row * wide + direction * 3 * H;
            float *own_x = of_x + row * wide + direction * 3 * H, *own_h = of_h + row * 3 * H;
            for (int64_t j = threadIdx.x; j < H; j += blockDim.x) {
                const int64_t at = (row * a.directions + direction) * H + j;
                const float h = last < 0 || last >= a.T ? 0 : a.y[at + (last - t) * a.directions * H];
                float dr = 0, dz = 0, dn = 0, dq = 0, kept = 0;
                if (t < length) {
                    const float r = gates[j], z = gates[H + j], n = gates[2 * H + j], d = dh[j] + a.dy[at];
                    dn = d * (1 - z) * (1 - n * n);
                    dz = d * (h - n) * z * (1 - z);
                    dr = dn * a.q[at] * r * (1 - r);
                    dq = dn * r;
                    kept = d * z;
                }
                before[row * H + j] = h;
                own_x[j] = own_h[j] = products[j] = dr;
                own_x[H + j] = own_h[H + j] = products[H + j] = dz;
                own_x[2 * H + j] = dn;
                own_h[2 * H + j] = products[2 * H + j] = dq;
                dh[j] = kept;
            }
            __syncthreads();
            for (int64_t j = threadIdx.x; j < H; j += blockDim.x) {
                float sum = dh[j];
                for (int64_t k = 0; k < 3 * H; k++)
                    sum += products[k] * U[k * H + j];
                dh[j] = sum;
            }
            __syncthreads();
        }
    }
}

static __global__ void column_sums(int64_t rows, int64_t width, const float *values, float *partial)
{
    int64_t begin, end;
    ws_part_rows(rows, gridDim.y, blockIdx.y, &begin, &end);
    for (WS_EACH(k, width)) {
        float sum = 0;
        for (int64_t row = begin; row < end; row++)
            sum += values[row * width + k];
        partial[blockIdx.y * width + k] = sum;
    }
}

static void sum_columns(ws_cuda_queue *queue, int64_t rows, int64_t width, const float *values, float *partial,
                        float *total)
{
    const int64_t parts = ws_column_parts(rows);
    dim3 blocks(ws_blocks(width, WS_BLOCK), (unsigned)parts);
    WS_LAUNCH(queue, column_sums, blocks, WS_BLOCK, rows, width, values, partial);
    ws_cuda_sum_parts(queue, parts, width, partial, total);
}

extern "C" void ws_gru_backward_cuda(const ws_gru_arguments *a, void *queue_)
{
    ws_cuda_queue *queue = ws_cuda_enter(queue_);
    const int64_t H = a->H, rows = a->B * a->T, wide = a->directions * 3 * H;
    float *of_x = a->scratch, *of_h = of_x + rows * wide, *before = of_h + rows * wide;
    float *partial = before + rows * a->directions * H;
    WS_LAUNCH(queue, walk_back, blocks_of(a), threads_of(a), *a, of_x, of_h, before);
    for (int64_t direction = 0; direction < a->directions && a->dweight_hidden != NULL; direction++) {
        const float *own = of_h + direction * rows * 3 * H;
        ws_cuda_gemm(queue, true, false, 3 * H, H, rows, own, before + direction * rows * H, false,
                     a->dweight_hidden + direction * 3 * H * H);
        sum_columns(queue, rows, 3 * H, own, partial, a->dbias_hidden + direction * 3 * H);
    }
    if (a->dweight_input != NULL) {
        ws_cuda_gemm(queue, true, false, wide, a->D, rows, of_x, a->x, false, a->dweight_input);
        sum_columns(queue, rows, wide, of_x, partial, a->dbias_input);
    }
    if (a->dx != NULL)
        ws_cuda_gemm(queue, false, false, rows, a->D, wide, of_x, a->weight_input, a->accumulate_dx, a->dx);
}
