/* attention, one kernel in each direction. Forward: a block takes eight rows of one (b,h), a warp each, and goes over the keys in
 * tiles of 32 that lie in shared memory; a lane makes one score, and a running maximum is kept. Backward is further below. */
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

/* ---- backward: one kernel, a block for all of one (b,h) ----
 * The block goes over tiles of keys, and for each of them over tiles of queries. Gradients of a tile's keys and values stay in registers;
 * those of queries are added to tile by tile, each element always by the same thread. So no sum needs an atomic, or another block. */

/* SIDE queries or keys in a tile, heads of up to WIDTH. A thread has `OWN` elements of a tile, all of one column. */
template <int SIDE, int WIDTH> struct backward_tiles {
    enum { OWN = SIDE * WIDTH / WS_BLOCK, STRIDE = WS_BLOCK / WIDTH, PAIRS = (SIDE * SIDE + WS_BLOCK - 1) / WS_BLOCK };
    float queries[SIDE][WIDTH + 1], dys[SIDE][WIDTH + 1], keys[SIDE][WIDTH + 1], values[SIDE][WIDTH + 1];
    float p[SIDE][SIDE + 1], ds[SIDE][SIDE + 1];
};

/* Rows first.. of one third, or of dy, times scale; zeros beyond T and d. */
template <int SIDE, int WIDTH>
static __device__ __forceinline__ void load_rows(const ws_attention_arguments *a, int64_t b, int64_t h, int64_t first,
                                                 third which, float scale, float (*to)[WIDTH + 1])
{
    const int d = (int)(a->D / a->H), c = threadIdx.x % WIDTH;
    for (int row = threadIdx.x / WIDTH; row < SIDE; row += WS_BLOCK / WIDTH) {
        const int64_t t = first + row;
        to[row][c] = t < a->T && c < d ? projected(a, b, h, t, which, c) * scale : 0.0f;
    }
}
template <int SIDE, int WIDTH>
static __device__ __forceinline__ void load_dys(const ws_attention_arguments *a, int64_t b, int64_t h, int64_t first,
                                                float (*to)[WIDTH + 1])
{
    const int d = (int)(a->D / a->H), c = threadIdx.x % WIDTH;
    for (int row = threadIdx.x / WIDTH; row < SIDE; row += WS_BLOCK / WIDTH) {
        const int64_t t = first + row;
        to[row][c] = t < a->T && c < d ? a->dy[(b * a->T + t) * a->D + h * d + c] : 0.0f;
    }
}

/* Element c of a row of gradients in shared memory, turned back, to its place: over what is there, or added to it. */
template <int WIDTH>
static __device__ __forceinline__ void put_gradient(const ws_attention_arguments *a, int64_t b, int64_t h, int64_t t,
                                                    third which, int c, const float (*rows)[WIDTH + 1], int row,
                                                    float scale, bool add)
{
    const int d = (int)(a->D / a->H), half = d / 2;
    if (t >= a->T || c >= d)
        return;
    float value = rows[row][c];
    if (which != V && a->rope_base > 0) {
        const float *cosine = a->scratch + t * d, *sine = cosine + half;
        value = c < half ? value * cosine[c] + rows[row][half + c] * sine[c]
                         : value * cosine[c - half] - rows[row][c - half] * sine[c - half];
    }
    float *to = a->dqkv + (b * a->T + t) * 3 * a->D + which * a->D + h * d + c;
    *to = (add ? *to : 0.0f) + value * scale;
}

/* row_products of all rows: a warp takes one at a time. */
static __device__ __forceinline__ void multiply_rows(const ws_attention_arguments *a, int64_t b, int64_t h)
{
    const int lane = threadIdx.x % WS_WARP;
    const int64_t d = a->D / a->H;
    for (int64_t t = threadIdx.x / WS_WARP; t < a->T; t += WS_ROWS_A_BLOCK) {
        const int64_t at = (b * a->T + t) * a->D + h * d;
        float along = 0;
        for (int64_t c = lane; c < d; c += WS_WARP)
            along += a->dy[at + c] * a->y[at + c];
        along = ws_warp_sum(along);
        if (lane == 0)
            a->row_products[(b * a->H + h) * a->T + t] = along;
    }
}

/* p with dropout, and the gradient of the score, of query i and key j. */
template <int SIDE, int WIDTH>
static __device__ __forceinline__ void pair_of(const ws_attention_arguments *a, int64_t b, int64_t h, int64_t i,
                                               int64_t j, backward_tiles<SIDE, WIDTH> &s, int row, int column)
{
    const int64_t d = a->D / a->H, bh = b * a->H + h;
    float p = 0, ds = 0;
    if (i < a->T && j < a->T && ws_attention_sees(seen_by(a, b, i), j)) {
        const float score = product(s.queries[row], s.keys[column], d), dp = product(s.dys[row], s.values[column], d);
        const float factor = kept(a, b, h, i, j);
        p = ws_exp(score - a->statistics[bh * a->T + i]) * a->statistics[(a->B * a->H + bh) * a->T + i];
        ds = p * (dp * factor - a->row_products[bh * a->T + i]);
        p *= factor;
    }
    s.p[row][column] = p;
    s.ds[row][column] = ds;
}

/* All tiles of queries against one tile of keys. */
template <int SIDE, int WIDTH>
static __device__ __forceinline__ void go_over_queries(const ws_attention_arguments *a, int64_t b, int64_t h,
                                                       int64_t first_key, float scale, backward_tiles<SIDE, WIDTH> &s,
                                                       float *of_key, float *of_value)
{
    typedef backward_tiles<SIDE, WIDTH> tiles;
    const int c = threadIdx.x % WIDTH, begin = threadIdx.x / WIDTH;
    const bool first = first_key == 0;
    for (int64_t i = a->causal ? first_key : 0; i < a->T; i += SIDE) {
        float of_query[tiles::OWN] = {0};
        load_rows<SIDE, WIDTH>(a, b, h, i, Q, scale, s.queries);
        load_dys<SIDE, WIDTH>(a, b, h, i, s.dys);
        __syncthreads();
        for (int pair = threadIdx.x; pair < SIDE * SIDE; pair += WS_BLOCK)
            pair_of(a, b, h, i + pair / SIDE, first_key + pair % SIDE, s, pair / SIDE, pair % SIDE);
        __syncthreads();
        for (int k = 0; k < SIDE; k++) {
            const float query = s.queries[k][c], dy = s.dys[k][c], key = s.keys[k][c];
            WS_UNROLL
            for (int own = 0; own < tiles::OWN; own++) {
                const int row = begin + own * tiles::STRIDE;
                of_key[own] += s.ds[k][row] * query;
                of_value[own] += s.p[k][row] * dy;
                of_query[own] += s.ds[row][k] * key;
            }
        }
        __syncthreads();
        WS_UNROLL
        for (int own = 0; own < tiles::OWN; own++)
            s.queries[begin + own * tiles::STRIDE][c] = of_query[own];
        __syncthreads();
        for (int row = begin; row < SIDE; row += tiles::STRIDE)
            put_gradient<WIDTH>(a, b, h, i + row, Q, c, s.queries, row, scale, a->accumulate_dqkv || !first);
        __syncthreads();
    }
}

template <int SIDE, int WIDTH> static __global__ void attend_back(ws_attention_arguments a)
{
    typedef backward_tiles<SIDE, WIDTH> tiles;
    __shared__ tiles s;
    const int c = threadIdx.x % WIDTH, begin = threadIdx.x / WIDTH;
    const float scale = 1.0f / sqrtf((float)(a.D / a.H));
    for (int64_t bh = blockIdx.x; bh < a.B * a.H; bh += gridDim.x) {
        const int64_t b = bh / a.H, h = bh - b * a.H;
        multiply_rows(&a, b, h);
        for (int64_t j = 0; j < a.T; j += SIDE) {
            float of_key[tiles::OWN] = {0}, of_value[tiles::OWN] = {0};
            load_rows<SIDE, WIDTH>(&a, b, h, j, K, 1, s.keys);
            load_rows<SIDE, WIDTH>(&a, b, h, j, V, 1, s.values);
            __syncthreads();
            go_over_queries(&a, b, h, j, scale, s, of_key, of_value);
            WS_UNROLL
            for (int own = 0; own < tiles::OWN; own++) {
                s.keys[begin + own * tiles::STRIDE][c] = of_key[own];
                s.values[begin + own * tiles::STRIDE][c] = of_value[own];
            }
            __syncthreads();
            for (int row = begin; row < SIDE; row += tiles::STRIDE) {
                put_gradient<WIDTH>(&a, b, h, j + row, K, c, s.keys, row, 1, a.accumulate_dqkv);
                put_gradient<WIDTH>(&a, b, h, j + row, V, c, s.values, row, 1, a.accumulate_dqkv);
            }
            __syncthreads();
        }
    }
}

extern "C" void ws_attention_backward_cuda(const ws_attention_arguments *a, void *queue_)
{
    ws_cuda_queue *queue = ws_cuda_enter(queue_);
    const unsigned heads = ws_blocks(a->B * a->H, 1);
    const int64_t d = a->D / a->H;
    if (a->dqkv == NULL)
        return;
    if (a->rope_base > 0)
        WS_LAUNCH(queue, turn_positions, ws_blocks(a->T * d / 2, WS_BLOCK), WS_BLOCK, *a);
    if (d <= 32)
        WS_LAUNCH(queue, (attend_back<32, 32>), heads, WS_BLOCK, *a);
    else if (d <= 64)
        WS_LAUNCH(queue, (attend_back<32, 64>), heads, WS_BLOCK, *a);
    else
        WS_LAUNCH(queue, (attend_back<16, 128>), heads, WS_BLOCK, *a);
}
