/* attention: a block takes eight rows of one (b,h), a warp each, and goes over the other side of the scores in tiles of 32 that
 * lie in shared memory; a lane makes one score. Forward keeps a running maximum; backward has one kernel for q, whose rows
 * are queries, and one for k and v, whose rows are keys, so no sum needs an atomic. */
#include "attention.h"
#include "queue.h"

enum { TILE = WS_WARP, WIDEST = WS_ATTENTION_WIDEST, SHARES = WIDEST / WS_WARP };
enum third { Q, K, V };

/* cos and sin of all positions, [T,d] at the start of the scratch memory. */
static __global__ void turn_positions(ws_attention_arguments a)
{
    int64_t d = a.D / a.H, half = d / 2;
    for (WS_EACH(i, a.T * half)) {
        int64_t t = i / half, c = i - t * half;
        ws_rope_turn(a.rope_base, a.rope_period, d, t, c, &a.scratch[t * d + c], &a.scratch[t * d + half + c]);
    }
}

/* An element of q, k or v, turned by its position. */
static __device__ __forceinline__ float projected(const ws_attention_arguments *a, int64_t b, int64_t h, int64_t t,
                                                  third which, int64_t c)
{
    int64_t d = a->D / a->H, half = d / 2;
    const float *row = a->qkv + (b * a->T + t) * 3 * a->D + which * a->D + h * d;
    if (which == V || !(a->rope_base > 0))
        return row[c];
    const float *cosine = a->scratch + t * d, *sine = cosine + half;
    return c < half ? row[c] * cosine[c] - row[half + c] * sine[c]
                    : row[c] * cosine[c - half] + row[c - half] * sine[c - half];
}

/* The gradient of row t, which a warp holds in shared memory, turned back. */
static __device__ __forceinline__ void write_gradient(const ws_attention_arguments *a, int64_t b, int64_t h, int64_t t,
                                                      third which, const float *gradient, float scale)
{
    int64_t d = a->D / a->H, half = d / 2;
    float *row = a->dqkv + (b * a->T + t) * 3 * a->D + which * a->D + h * d;
    const float *cosine = a->scratch + t * d, *sine = cosine + half;
    for (int64_t c = threadIdx.x % WS_WARP; c < d; c += WS_WARP) {
        float value = gradient[c];
        if (which != V && a->rope_base > 0)
            value = c < half ? gradient[c] * cosine[c] + gradient[half + c] * sine[c]
                             : gradient[c] * cosine[c - half] - gradient[c - half] * sine[c - half];
        row[c] = (a->accumulate_dqkv ? row[c] : 0.0f) + value * scale;
    }
}

typedef float tile[TILE][WIDEST + 1]; /* one more, so that lanes that read a column meet different banks */

/* Rows first.. of one third, times scale; zeros beyond T. */
static __device__ __forceinline__ void load_tile(const ws_attention_arguments *a, int64_t b, int64_t h, int64_t first,
                                                 third which, float scale, tile to)
{
    int d = (int)(a->D / a->H);
    for (int e = threadIdx.x; e < TILE * d; e += WS_BLOCK) {
        int64_t t = first + e / d;
        to[e / d][e % d] = t < a->T ? projected(a, b, h, t, which, e % d) * scale : 0.0f;
    }
}

static __device__ __forceinline__ float product(const float *row, const float *other, int64_t d)
{
    float sum = 0;
    for (int64_t c = 0; c < d; c++)
        sum += row[c] * other[c];
    return sum;
}

static __device__ __forceinline__ float kept(const ws_attention_arguments *a, int64_t b, int64_t h, int64_t i,
                                             int64_t j)
{
    if (!a->random.active || ws_dropout_threshold(a->dropout) == 0)
        return 1;
    float factors[WS_DROPOUT_A_BLOCK], factor = 1;
    ws_attention_kept(a, b, h, i, j / WS_DROPOUT_A_BLOCK, factors);
    WS_UNROLL
    for (int k = 0; k < WS_DROPOUT_A_BLOCK; k++) /* an index would put the factors into memory */
        factor = j % WS_DROPOUT_A_BLOCK == k ? factors[k] : factor;
    return factor;
}

static __device__ __forceinline__ ws_seen seen_by(const ws_attention_arguments *a, int64_t b, int64_t i)
{
    if (i < a->T)
        return ws_attention_seen(a->ranges, b * a->T + i, a->T, a->causal, i);
    ws_seen none = {{0, 0}, {0, 0}};
    return none;
}

static __global__ void attend(ws_attention_arguments a)
{
    __shared__ float queries[WS_ROWS_A_BLOCK][WIDEST], shares[WS_ROWS_A_BLOCK][TILE];
    __shared__ tile keys;
    int warp = threadIdx.x / WS_WARP, lane = threadIdx.x % WS_WARP;
    int64_t d = a.D / a.H, i = (int64_t)blockIdx.x * WS_ROWS_A_BLOCK + warp;
    float scale = 1.0f / sqrtf((float)d);
    for (int64_t bh = blockIdx.y; bh < a.B * a.H; bh += gridDim.y) {
        int64_t b = bh / a.H, h = bh - b * a.H;
        ws_seen seen = seen_by(&a, b, i);
        for (int64_t c = lane; c < d; c += WS_WARP)
            queries[warp][c] = i < a.T ? projected(&a, b, h, i, Q, c) * scale : 0.0f;
        float most = -INFINITY, sum = 0, out[SHARES] = {0};
        for (int64_t first = 0; first < a.T; first += TILE) {
            __syncthreads();
            load_tile(&a, b, h, first, K, 1, keys);
            __syncthreads();
            int64_t j = first + lane;
            bool sees = j < a.T && ws_attention_sees(seen, j);
            float score = sees ? product(queries[warp], keys[lane], d) : -INFINITY;
            float higher = fmaxf(most, ws_warp_max(score)), before = most > -INFINITY ? ws_exp(most - higher) : 0.0f;
            float p = sees ? ws_exp(score - higher) : 0.0f;
            sum = sum * before + ws_warp_sum(p);
            most = higher;
            shares[warp][lane] = p != 0 ? p * kept(&a, b, h, i, j) : 0.0f;
            __syncwarp();
            for (int s = 0; s < SHARES; s++) {
                int64_t c = lane + s * WS_WARP;
                out[s] *= before;
                for (int k = 0; k < TILE && c < d; k++)
                    if (shares[warp][k] != 0)
                        out[s] += shares[warp][k] * projected(&a, b, h, first + k, V, c);
            }
        }
        float inverse = sum > 0 ? 1.0f / sum : sum;
        for (int s = 0; s < SHARES; s++)
            if (i < a.T && lane + s * WS_WARP < d)
                a.y[(b * a.T + i) * a.D + h * d + lane + s * WS_WARP] = out[s] * inverse;
        if (i < a.T && lane == 0 && a.statistics != NULL) {
            a.statistics[bh * a.T + i] = most > -INFINITY ? most : 0.0f;
            a.statistics[(a.B * a.H + bh) * a.T + i] = inverse;
        }
    }
}

static dim3 blocks_of(const ws_attention_arguments *a)
{
    int64_t heads = a->B * a->H;
    return dim3((unsigned)((a->T + WS_ROWS_A_BLOCK - 1) / WS_ROWS_A_BLOCK), (unsigned)(heads < 32768 ? heads : 32768));
}

extern "C" void ws_attention_forward_cuda(const ws_attention_arguments *a, void *queue_)
{
    ws_cuda_queue *queue = ws_cuda_enter(queue_);
    if (a->rope_base > 0)
        WS_LAUNCH(queue, turn_positions, ws_blocks(a->T * a->D / a->H / 2, WS_BLOCK), WS_BLOCK, *a);
    WS_LAUNCH(queue, attend, blocks_of(a), WS_BLOCK, *a);
}

static __global__ void query_gradients(ws_attention_arguments a)
{
    __shared__ float queries[WS_ROWS_A_BLOCK][WIDEST], dys[WS_ROWS_A_BLOCK][WIDEST], shares[WS_ROWS_A_BLOCK][TILE];
    __shared__ tile keys, values;
    int warp = threadIdx.x / WS_WARP, lane = threadIdx.x % WS_WARP;
    int64_t d = a.D / a.H, i = (int64_t)blockIdx.x * WS_ROWS_A_BLOCK + warp;
    float scale = 1.0f / sqrtf((float)d);
    for (int64_t bh = blockIdx.y; bh < a.B * a.H; bh += gridDim.y) {
        int64_t b = bh / a.H, h = bh - b * a.H, at = (b * a.T + i) * a.D + h * d;
        ws_seen seen = seen_by(&a, b, i);
        float along = 0, out[SHARES] = {0};
        for (int64_t c = lane; c < d; c += WS_WARP) {
            queries[warp][c] = i < a.T ? projected(&a, b, h, i, Q, c) * scale : 0.0f;
            dys[warp][c] = i < a.T ? a.dy[at + c] : 0.0f;
            along += i < a.T ? a.dy[at + c] * a.y[at + c] : 0.0f;
        }
        along = ws_warp_sum(along);
        if (i < a.T && lane == 0)
            a.row_products[bh * a.T + i] = along;
        for (int64_t first = 0; first < a.T; first += TILE) {
            __syncthreads();
            load_tile(&a, b, h, first, K, 1, keys);
            load_tile(&a, b, h, first, V, 1, values);
            __syncthreads();
            int64_t j = first + lane;
            float ds = 0;
            if (j < a.T && ws_attention_sees(seen, j)) {
                float score = product(queries[warp], keys[lane], d), dp = product(dys[warp], values[lane], d);
                float p = ws_exp(score - a.statistics[bh * a.T + i]) * a.statistics[(a.B * a.H + bh) * a.T + i];
                ds = p * (dp * kept(&a, b, h, i, j) - along);
            }
            shares[warp][lane] = ds;
            __syncwarp();
            for (int s = 0; s < SHARES; s++)
                for (int k = 0; k < TILE && lane + s * WS_WARP < d; k++)
                    out[s] += shares[warp][k] * keys[k][lane + s * WS_WARP];
        }
        __syncwarp();
        for (int s = 0; s < SHARES; s++)
            if (lane + s * WS_WARP < d)
                queries[warp][lane + s * WS_WARP] = out[s];
        __syncwarp();
        if (i < a.T)
            write_gradient(&a, b, h, i, Q, queries[warp], scale);
        __syncthreads();
    }
}

static __global__ void key_gradients(ws_attention_arguments a)
{
    __shared__ float keys[WS_ROWS_A_BLOCK][WIDEST], values[WS_ROWS_A_BLOCK][WIDEST];
    __shared__ float p_shares[WS_ROWS_A_BLOCK][TILE], ds_shares[WS_ROWS_A_BLOCK][TILE];
    __shared__ tile queries, dys;
    int warp = threadIdx.x / WS_WARP, lane = threadIdx.x % WS_WARP, width = (int)(a.D / a.H);
    int64_t d = width, j = (int64_t)blockIdx.x * WS_ROWS_A_BLOCK + warp;
    float scale = 1.0f / sqrtf((float)d);
    for (int64_t bh = blockIdx.y; bh < a.B * a.H; bh += gridDim.y) {
        int64_t b = bh / a.H, h = bh - b * a.H;
        float of_key[SHARES] = {0}, of_value[SHARES] = {0};
        for (int64_t c = lane; c < d; c += WS_WARP) {
            keys[warp][c] = j < a.T ? projected(&a, b, h, j, K, c) : 0.0f;
            values[warp][c] = j < a.T ? projected(&a, b, h, j, V, c) : 0.0f;
        }
        for (int64_t first = 0; first < a.T; first += TILE) {
            __syncthreads();
            load_tile(&a, b, h, first, Q, scale, queries);
            for (int e = threadIdx.x; e < TILE * width; e += WS_BLOCK) {
                int64_t t = first + e / width;
                dys[e / width][e % width] = t < a.T ? a.dy[(b * a.T + t) * a.D + h * d + e % width] : 0.0f;
            }
            __syncthreads();
            int64_t i = first + lane;
            float p = 0, ds = 0;
            if (i < a.T && j < a.T && ws_attention_sees(seen_by(&a, b, i), j)) {
                float score = product(keys[warp], queries[lane], d), dp = product(values[warp], dys[lane], d);
                float factor = kept(&a, b, h, i, j);
                p = ws_exp(score - a.statistics[bh * a.T + i]) * a.statistics[(a.B * a.H + bh) * a.T + i];
                ds = p * (dp * factor - a.row_products[bh * a.T + i]);
                p *= factor;
            }
            p_shares[warp][lane] = p;
            ds_shares[warp][lane] = ds;
            __syncwarp();
            for (int s = 0; s < SHARES; s++)
                for (int k = 0; k < TILE && lane + s * WS_WARP < d; k++) {
                    of_key[s] += ds_shares[warp][k] * queries[k][lane + s * WS_WARP];
                    of_value[s] += p_shares[warp][k] * dys[k][lane + s * WS_WARP];
                }
        }
        __syncwarp();
        for (int s = 0; s < SHARES; s++)
            if (lane + s * WS_WARP < d) {
                keys[warp][lane + s * WS_WARP] = of_key[s];
                values[warp][lane + s * WS_WARP] = of_value[s];
            }
        __syncwarp();
        if (j < a.T) {
            write_gradient(&a, b, h, j, K, keys[warp], 1);
            write_gradient(&a, b, h, j, V, values[warp], 1);
        }
        __syncthreads();
    }
}

extern "C" void ws_attention_backward_cuda(const ws_attention_arguments *a, void *queue_)
{
    ws_cuda_queue *queue = ws_cuda_enter(queue_);
    if (a->dqkv == NULL)
        return;
    if (a->rope_base > 0)
        WS_LAUNCH(queue, turn_positions, ws_blocks(a->T * a->D / a->H / 2, WS_BLOCK), WS_BLOCK, *a);
    WS_LAUNCH(queue, query_gradients, blocks_of(a), WS_BLOCK, *a);
    WS_LAUNCH(queue, key_gradients, blocks_of(a), WS_BLOCK, *a);
}
