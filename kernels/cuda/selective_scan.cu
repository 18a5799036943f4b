/* selective_scan: a thread walks along the sequence with the states of its channel in registers (forward), or with a
 * quarter of them (backward), and rows of B and C in shared memory. dB and dC are summed over the channels of a block in a
 * fixed order and over blocks by a second kernel, so there are no atomics. Sequences of few channels are cut into pieces
 * (ws_scan_piece_steps): threads walk all pieces at once, from states that a first, shorter walk has found. */
#include "queue.h"

enum { STEPS = WS_SCAN_STEPS, CHANNELS = 128 /* of a forward block */, QUARTERS = 4 };
#define LOG2E 1.44269504088896341f
#define LN2 0.69314718055994531f

/* The rows [first, first + steps) of B_and_C, STATES apart: B in the first half of a row, C in the second. */
template <int STATES>
static __device__ __forceinline__ void load_rows(const ws_selective_scan_arguments &a, int64_t b, int64_t first,
                                                 int steps, float (*rows)[2 * STATES])
{
    __syncthreads(); /* earlier rows may still be read */
    for (int i = threadIdx.x; i < steps * 2 * STATES; i += blockDim.x) {
        int t = i / (2 * STATES), half = i / STATES % 2, n = i % STATES;
        rows[t][half * STATES + n] = n < a.N ? a.B_and_C[(b * a.T + first + t) * 2 * a.N + half * a.N + n] : 0.0f;
    }
    __syncthreads();
}

static __device__ __forceinline__ float *kept_states(const ws_selective_scan_arguments &a, int64_t b, int64_t first)
{
    int64_t segments = (a.T + STEPS - 1) / STEPS;
    return a.states + (b * (segments - 1) + first / STEPS - 1) * a.N * a.E;
}

static __device__ __forceinline__ int segment_steps(int64_t end, int64_t first)
{
    return end - first < STEPS ? (int)(end - first) : (int)STEPS;
}

/* Pieces of sequences, and what goes from one to the next. */
struct pieces {
    int64_t steps, count;
    float *
        states; /* [B,count,N,E]: what a piece begins with (its end, on the way back); NULL: there is one piece, and it is zeros */
    float *deltas; /* [B,count,E] sums over the steps */
};

static pieces pieces_of(const ws_selective_scan_arguments *a, float *memory)
{
    const int64_t count = ws_scan_pieces(a->B, a->T, a->E);
    float *states = count > 1 ? memory : NULL;
    return {ws_scan_piece_steps(a->B, a->T, a->E), count, states, memory + a->B * count * a->N * a->E};
}

static __device__ __forceinline__ int64_t end_of(const ws_selective_scan_arguments &a, const pieces &p, int64_t piece)
{
    const int64_t end = (piece + 1) * p.steps;
    return end < a.T ? end : a.T;
}

/* State n of channel e where a piece begins. */
static __device__ __forceinline__ float joint(const ws_selective_scan_arguments &a, const pieces &p, int64_t b,
                                              int64_t piece, int64_t n, int64_t e)
{
    return p.states != NULL ? p.states[((b * p.count + piece) * a.N + n) * a.E + e] : 0.0f;
}

template <int STATES>
static __device__ __forceinline__ void load_rates(const ws_selective_scan_arguments &a, int64_t e, float *rates)
{
    WS_UNROLL
    for (int n = 0; n < STATES; n++)
        rates[n] = e < a.E && n < a.N ? -ws_exp(a.A_log[e * a.N + n]) * LOG2E : 0;
}

/* What a piece makes of zeros: blockIdx.z, or on the way back blockIdx.z + 1. */
template <int STATES, bool BACK> static __global__ void walk_pieces(ws_selective_scan_arguments a, pieces p)
{
    __shared__ float rows[STEPS][2 * STATES];
    const int64_t e = (int64_t)blockIdx.x * CHANNELS + threadIdx.x, piece = blockIdx.z + (BACK ? 1 : 0);
    const int64_t begin = piece * p.steps, end = end_of(a, p, piece);
    const bool real = e < a.E;
    float rates[STATES], h[STATES], bias = real ? a.dt_bias[e] : 0;
    load_rates<STATES>(a, e, rates);
    for (int64_t b = blockIdx.y; b < a.B; b += gridDim.y) {
        float deltas = 0;
        WS_UNROLL
        for (int n = 0; n < STATES; n++)
            h[n] = 0;
        for (int64_t k = 0; begin + k * STEPS < end; k++) {
            const int64_t first = BACK ? ((end - 1) / STEPS - k) * STEPS : begin + k * STEPS;
            const int steps = segment_steps(end, first);
            load_rows<STATES>(a, b, first, steps, rows);
            for (int s = 0; s < steps && real; s++) {
                const int t = BACK ? steps - 1 - s : s;
                const int64_t at = (b * a.T + first + t) * a.E + e;
                const float delta = ws_softplus(a.delta[at] + bias);
                const float input = !BACK ? delta * a.u[at] : a.z != NULL ? a.dout[at] * ws_silu(a.z[at]) : a.dout[at];
                deltas += delta;
                WS_UNROLL
                for (int n = 0; n < STATES; n++)
                    h[n] = BACK ? (input * rows[t][STATES + n] + h[n]) * ws_exp2(delta * rates[n])
                                : ws_exp2(delta * rates[n]) * h[n] + input * rows[t][n];
            }
        }
        if (!real)
            continue;
        p.deltas[(b * p.count + piece) * a.E + e] = deltas;
        WS_UNROLL
        for (int n = 0; n < STATES; n++)
            if (n < a.N)
                p.states[((b * p.count + piece) * a.N + n) * a.E + e] = h[n];
    }
}

/* From what pieces make of zeros to what they begin with. */
static __global__ void join_pieces(ws_selective_scan_arguments a, pieces p, bool back)
{
    for (WS_EACH(i, a.B * a.N * a.E)) {
        const int64_t b = i / (a.N * a.E), n = i / a.E % a.N, e = i % a.E;
        const float rate = -ws_exp(a.A_log[e * a.N + n]) * LOG2E;
        float state = 0;
        for (int64_t k = 0; k < p.count; k++) {
            const int64_t piece = back ? p.count - 1 - k : k;
            float *at = &p.states[((b * p.count + piece) * a.N + n) * a.E + e];
            const float made = k + 1 < p.count ? *at : 0.0f; /* of the last one nothing is known, or needed */
            *at = state;
            if (k + 1 < p.count)
                state = ws_exp2(p.deltas[(b * p.count + piece) * a.E + e] * rate) * state + made;
        }
    }
}

static unsigned sequences(const ws_selective_scan_arguments *a)
{
    return (unsigned)(a->B < 32768 ? a->B : 32768);
}

template <bool BACK>
static void find_joints(ws_cuda_queue *queue, const ws_selective_scan_arguments *a, const pieces &p)
{
    if (p.count == 1)
        return;
    dim3 blocks(ws_blocks(a->E, CHANNELS), sequences(a), (unsigned)p.count - 1);
    if (a->N <= 16)
        WS_LAUNCH(queue, (walk_pieces<16, BACK>), blocks, CHANNELS, *a, p);
    else if (a->N <= 32)
        WS_LAUNCH(queue, (walk_pieces<32, BACK>), blocks, CHANNELS, *a, p);
    else
        WS_LAUNCH(queue, (walk_pieces<64, BACK>), blocks, CHANNELS, *a, p);
    WS_LAUNCH(queue, join_pieces, ws_blocks(a->B * a->N * a->E, WS_BLOCK), WS_BLOCK, *a, p, BACK);
}

template <int STATES> static __global__ void scan(ws_selective_scan_arguments a, pieces p)
{
    __shared__ float rows[STEPS][2 * STATES];
    const int64_t e = (int64_t)blockIdx.x * CHANNELS + threadIdx.x, end = end_of(a, p, blockIdx.z);
    const bool real = e < a.E;
    float rates[STATES], h[STATES], D = real ? a.D[e] : 0, bias = real ? a.dt_bias[e] : 0;
    load_rates<STATES>(a, e, rates);
    for (int64_t b = blockIdx.y; b < a.B; b += gridDim.y) {
        WS_UNROLL
        for (int n = 0; n < STATES; n++)
            h[n] = real && n < a.N ? joint(a, p, b, blockIdx.z, n, e) : 0;
        for (int64_t first = blockIdx.z * p.steps; first < end; first += STEPS) {
            const int steps = segment_steps(end, first);
            load_rows<STATES>(a, b, first, steps, rows);
            if (!real)
                continue;
            if (a.states != NULL && first > 0) {
                float *kept = kept_states(a, b, first);
                WS_UNROLL
                for (int n = 0; n < STATES; n++)
                    if (n < a.N)
                        kept[n * a.E + e] = h[n];
            }
            for (int t = 0; t < steps; t++) {
                const int64_t at = (b * a.T + first + t) * a.E + e;
                const float u = a.u[at], delta = ws_softplus(a.delta[at] + bias), input = delta * u;
                float y = D * u;
                WS_UNROLL
                for (int n = 0; n < STATES; n++) {
                    h[n] = ws_exp2(delta * rates[n]) * h[n] + input * rows[t][n];
                    y += h[n] * rows[t][STATES + n];
                }
                a.out[at] = a.z != NULL ? y * ws_silu(a.z[at]) : y;
            }
        }
    }
}

extern "C" void ws_selective_scan_forward_cuda(const ws_selective_scan_arguments *a, void *queue_)
{
    ws_cuda_queue *queue = ws_cuda_enter(queue_);
    const pieces p = pieces_of(a, a->scratch);
    dim3 blocks(ws_blocks(a->E, CHANNELS), sequences(a), (unsigned)p.count);
    find_joints<false>(queue, a, p);
    if (a->N <= 16)
        WS_LAUNCH(queue, scan<16>, blocks, CHANNELS, *a, p);
    else if (a->N <= 32)
        WS_LAUNCH(queue, scan<32>, blocks, CHANNELS, *a, p);
    else
        WS_LAUNCH(queue, scan<64>, blocks, CHANNELS, *a, p);
}

/* ---- backward: four threads a channel, each with OWN of its states; eight channels a warp ---- */

static __device__ __forceinline__ float sum_of_quarters(float value)
{
    value += __shfl_xor_sync(0xffffffffu, value, 1);
    return value + __shfl_xor_sync(0xffffffffu, value, 2);
}

/* Eight values of every lane are summed over the warp's eight channels, each sum ends in one lane: halves are swapped,
 * so that seven shuffles do. The sum that this lane gets is number `*which`. */
static __device__ __forceinline__ float sum_of_channels(float values[8], int lane, int *which)
{
    float four[4], two[2];
    const bool upper4 = lane & 4, upper2 = lane & 8, upper1 = lane & 16;
    WS_UNROLL
    for (int i = 0; i < 4; i++) {
        float sent = upper4 ? values[i] : values[i + 4], own = upper4 ? values[i + 4] : values[i];
        four[i] = own + __shfl_xor_sync(0xffffffffu, sent, 4);
    }
    WS_UNROLL
    for (int i = 0; i < 2; i++) {
        float sent = upper2 ? four[i] : four[i + 2], own = upper2 ? four[i + 2] : four[i];
        two[i] = own + __shfl_xor_sync(0xffffffffu, sent, 8);
    }
    *which = (upper4 ? 4 : 0) + (upper2 ? 2 : 0) + (upper1 ? 1 : 0);
    float sent = upper1 ? two[0] : two[1], own = upper1 ? two[1] : two[0];
    return own + __shfl_xor_sync(0xffffffffu, sent, 16);
}

/* One channel as one of its four threads sees it. */
template <int OWN> struct channel {
    int64_t e;
    bool real;
    int quarter;
    float D, bias, rates[OWN], carry[OWN], dA[OWN], dD, dbias;
    float states[STEPS + 1][OWN], y[STEPS]; /* of the segment: states before each step */
};

template <int OWN>
static __device__ __forceinline__ void open_channel(const ws_selective_scan_arguments &a, channel<OWN> &c, int64_t e)
{
    c.e = e;
    c.real = e < a.E;
    c.quarter = threadIdx.x % QUARTERS;
    c.D = c.real ? a.D[e] : 0;
    c.bias = c.real ? a.dt_bias[e] : 0;
    WS_UNROLL
    for (int k = 0; k < OWN; k++) {
        const int n = c.quarter * OWN + k;
        c.rates[k] = c.real && n < a.N ? -ws_exp(a.A_log[e * a.N + n]) * LOG2E : 0;
    }
}

/* The states of the segment once more, and y. */
template <int OWN>
static __device__ __forceinline__ void walk_again(const ws_selective_scan_arguments &a, channel<OWN> &c, int64_t b,
                                                  int64_t first, int steps, const float (*rows)[2 * QUARTERS * OWN])
{
    const float *kept = first > 0 ? kept_states(a, b, first) : NULL;
    WS_UNROLL
    for (int k = 0; k < OWN; k++) {
        const int n = c.quarter * OWN + k;
        c.states[0][k] = kept != NULL && c.real && n < a.N ? kept[n * a.E + c.e] : 0;
    }
    WS_UNROLL
    for (int t = 0; t < STEPS; t++) {
        if (t >= steps)
            break;
        const int64_t at = (b * a.T + first + t) * a.E + c.e;
        const float u = c.real ? a.u[at] : 0, delta = c.real ? ws_softplus(a.delta[at] + c.bias) : 0;
        float y = 0;
        WS_UNROLL
        for (int k = 0; k < OWN; k++) {
            const int n = c.quarter * OWN + k;
            c.states[t + 1][k] = ws_exp2(delta * c.rates[k]) * c.states[t][k] + delta * u * rows[t][n];
            y += c.states[t + 1][k] * rows[t][QUARTERS * OWN + n];
        }
        c.y[t] = sum_of_quarters(y) + c.D * u;
    }
}

static __device__ __forceinline__ void put(float *to, int64_t at, bool accumulate, float value)
{
    if (to != NULL)
        to[at] = accumulate ? to[at] + value : value;
}

/* One step of the way back: carry is exp(delta A) G of the step after. parts[k], parts[4 + k] of each group of four
 * states: this channel's share of dB and dC. */
template <int OWN>
static __device__ __forceinline__ void step_back(const ws_selective_scan_arguments &a, channel<OWN> &c, int64_t at,
                                                 int t, const float *row, float (*parts)[8])
{
    const float u = c.real ? a.u[at] : 0, raw = c.real ? a.delta[at] + c.bias : 0;
    const float delta = c.real ? ws_softplus(raw) : 0, dout = c.real ? a.dout[at] : 0;
    const float z = c.real && a.z != NULL ? a.z[at] : 0, dy = a.z != NULL ? dout * ws_silu(z) : dout;
    float of_input = 0, of_rates = 0;
    WS_UNROLL
    for (int k = 0; k < OWN; k++) {
        const int n = c.quarter * OWN + k;
        const float G = dy * row[QUARTERS * OWN + n] + c.carry[k];
        of_input += G * row[n];
        c.carry[k] = G * ws_exp2(delta * c.rates[k]);
        const float of_exponent = c.carry[k] * c.states[t][k];
        of_rates += of_exponent * c.rates[k];
        c.dA[k] += of_exponent * delta;
        parts[k / 4][k % 4] = G * delta * u;
        parts[k / 4][4 + k % 4] = dy * c.states[t + 1][k];
    }
    of_input = sum_of_quarters(of_input);
    of_rates = sum_of_quarters(of_rates);
    const float ddelta = (u * of_input + of_rates * LN2) * ws_softplus_slope(raw);
    c.dD += dy * u;
    c.dbias += ddelta;
    if (c.real && c.quarter == 0) {
        put(a.du, at, a.accumulate_du, c.D * dy + delta * of_input);
        put(a.ddelta, at, a.accumulate_ddelta, ddelta);
        put(a.dz, at, a.accumulate_dz, dout * c.y[t] * ws_silu_slope(z));
    }
}

/* partial_rows[block][B,T,2N]: dB and dC of the block's channels; partial_A[B,pieces][E,N], partial_D and partial_bias
 * [B,pieces][E]. */
template <int OWN>
static __global__ void scan_back(ws_selective_scan_arguments a, pieces p, float *partial_rows, float *partial_A,
                                 float *partial_D, float *partial_bias)
{
    enum { STATES = QUARTERS * OWN, WARPS = 32 / OWN };
    __shared__ float rows[STEPS][2 * STATES], sums[WARPS][STEPS][2 * STATES];
    channel<OWN> c;
    open_channel(a, c, ((int64_t)blockIdx.x * blockDim.x + threadIdx.x) / QUARTERS);
    const int lane = threadIdx.x % WS_WARP, warp = threadIdx.x / WS_WARP;
    const int64_t begin = blockIdx.z * p.steps, end = end_of(a, p, blockIdx.z);
    for (int64_t b = blockIdx.y; b < a.B; b += gridDim.y) {
        c.dD = c.dbias = 0;
        WS_UNROLL
        for (int k = 0; k < OWN; k++) {
            const int n = c.quarter * OWN + k;
            c.carry[k] = c.real && n < a.N ? joint(a, p, b, blockIdx.z, n, c.e) : 0;
            c.dA[k] = 0;
        }
        for (int64_t first = (end - 1) / STEPS * STEPS; first >= begin; first -= STEPS) {
            const int steps = segment_steps(end, first);
            load_rows<STATES>(a, b, first, steps, rows);
            walk_again(a, c, b, first, steps, rows);
            WS_UNROLL
            for (int t = STEPS - 1; t >= 0; t--) {
                if (t >= steps)
                    continue;
                float parts[OWN / 4][8];
                step_back(a, c, (b * a.T + first + t) * a.E + c.e, t, rows[t], parts);
                WS_UNROLL
                for (int group = 0; group < OWN / 4; group++) {
                    int which;
                    const float sum = sum_of_channels(parts[group], lane, &which);
                    sums[warp][t][which / 4 * STATES + c.quarter * OWN + group * 4 + which % 4] = sum;
                }
            }
            __syncthreads();
            for (int i = threadIdx.x; i < steps * 2 * STATES; i += blockDim.x) {
                const int t = i / (2 * STATES), half = i / STATES % 2, n = i % STATES;
                float sum = 0;
                for (int w = 0; w < WARPS; w++)
                    sum += sums[w][t][half * STATES + n];
                if (n < a.N)
                    partial_rows[((blockIdx.x * a.B + b) * a.T + first + t) * 2 * a.N + half * a.N + n] = sum;
            }
        }
        if (!c.real)
            continue;
        const int64_t own = (b * p.count + blockIdx.z) * a.E + c.e;
        WS_UNROLL
        for (int k = 0; k < OWN; k++) {
            const int n = c.quarter * OWN + k;
            if (n < a.N)
                partial_A[own * a.N + n] = c.dA[k] * (c.rates[k] * LN2);
        }
        if (c.quarter == 0) {
            partial_D[own] = c.dD;
            partial_bias[own] = c.dbias;
        }
    }
}

static __global__ void sum_of_blocks(int64_t blocks, int64_t count, const float *partial, bool accumulate, float *out)
{
    for (WS_EACH(i, count)) {
        float sum = 0;
        for (int64_t block = 0; block < blocks; block++)
            sum += partial[block * count + i];
        out[i] = accumulate ? out[i] + sum : sum;
    }
}

extern "C" void ws_selective_scan_backward_cuda(const ws_selective_scan_arguments *a, void *queue_)
{
    ws_cuda_queue *queue = ws_cuda_enter(queue_);
    const int64_t channels = ws_scan_block_channels(a->N), count = a->B * a->T * 2 * a->N;
    const unsigned parts = (unsigned)((a->E + channels - 1) / channels), threads = (unsigned)channels * QUARTERS;
    const int64_t walks = a->B * ws_scan_pieces(a->B, a->T, a->E);
    float *rows = a->scratch, *A = rows + parts * count, *D = A + walks * a->E * a->N, *bias = D + walks * a->E;
    const pieces p = pieces_of(a, bias + walks * a->E);
    dim3 blocks(parts, sequences(a), (unsigned)p.count);
    find_joints<true>(queue, a, p);
    if (a->N <= 16)
        WS_LAUNCH(queue, scan_back<4>, blocks, threads, *a, p, rows, A, D, bias);
    else if (a->N <= 32)
        WS_LAUNCH(queue, scan_back<8>, blocks, threads, *a, p, rows, A, D, bias);
    else
        WS_LAUNCH(queue, scan_back<16>, blocks, threads, *a, p, rows, A, D, bias);
    if (a->dB_and_C != NULL)
        WS_LAUNCH(queue, sum_of_blocks, ws_blocks(count, WS_BLOCK), WS_BLOCK, (int64_t)parts, count, rows,
                  a->accumulate_dB_and_C, a->dB_and_C);
    if (a->dA_log == NULL)
        return;
    ws_cuda_sum_parts(queue, walks, a->E * a->N, A, a->dA_log);
    ws_cuda_sum_parts(queue, walks, a->E, D, a->dD);
    ws_cuda_sum_parts(queue, walks, a->E, bias, a->ddt_bias);
}
