/* Arguments of the operators that walk along a sequence: the selective scan, depthwise convolution, reversal,
 * gated recurrent units, windows. Included by
 * arguments.h. B sequences, T steps, E channels, N states of a channel. */
#ifndef WS_KERNELS_ARGUMENTS_SCAN_H
#define WS_KERNELS_ARGUMENTS_SCAN_H

/* The selective scan (Gu & Dao 2023): with delta = softplus(delta_raw + dt_bias), A = -exp(A_log), B and C the halves of
 * B_and_C's rows, and h = 0 before the first step,
 *   h[t,n] = exp(delta[t] A[n]) h[t-1,n] + delta[t] B[t,n] u[t];  y[t] = sum over n of C[t,n] h[t,n] + D u[t];
 *   out[t] = y[t] silu(z[t])
 * for every channel. Forward keeps the states at the start of each segment of WS_SCAN_STEPS steps but the first; backward
 * walks each segment again from there. */
enum { WS_SCAN_STEPS = 16, WS_SCAN_MOST_STATES = 64 };
typedef struct ws_selective_scan_arguments {
    int64_t B, T, E, N;
    bool accumulate_du, accumulate_ddelta, accumulate_dB_and_C, accumulate_dz;
    const ws_real *u, *delta, *B_and_C, *z; /* [B,T,E], [B,T,E], [B,T,2N], [B,T,E] or NULL: no gate */
    const ws_real *A_log, *D, *dt_bias;     /* [E,N], [E], [E] */
    ws_real *states;                        /* [B,segments-1,N,E]; NULL in a plan without backward */
    ws_real *out;                           /* [B,T,E] */
    const ws_real *dout;                    /* [B,T,E] */
    ws_real *du, *ddelta, *dB_and_C, *dz;   /* as their values; each may be NULL */
    ws_real *dA_log, *dD, *ddt_bias;        /* as their values */
    ws_real *scratch;                       /* of the sizes below */
} ws_selective_scan_arguments;

/* CUDA: sequences of few channels are cut into pieces, walked side by side: once for what a piece makes of the states that it begins
 * with, and once from those. The steps of a piece, a multiple of WS_SCAN_STEPS; T: a thread walks the whole sequence. */
static inline int64_t ws_scan_piece_steps(int64_t B, int64_t T, int64_t E)
{
    const int64_t enough = 8192, eighth = (T + 7) / 8, least = 2 * WS_SCAN_STEPS;
    const int64_t steps = (eighth + WS_SCAN_STEPS - 1) / WS_SCAN_STEPS * WS_SCAN_STEPS;
    const int64_t piece = steps < least ? least : steps;
    return B * E >= enough || 3 * piece >= T ? T
                                             : piece; /* with fewer than four pieces, walking twice takes too much */
}
static inline int64_t ws_scan_pieces(int64_t B, int64_t T, int64_t E)
{
    const int64_t steps = ws_scan_piece_steps(B, T, E);
    return (T + steps - 1) / steps;
}
/* The states that pieces begin with, and sums of their delta. */
static inline int64_t ws_scan_joints(int64_t B, int64_t T, int64_t E, int64_t N)
{
    const int64_t pieces = ws_scan_pieces(B, T, E);
    return pieces > 1 ? B * pieces * E * (N + 1) : 0;
}
/* Channels that one block of the CUDA backward kernel sums dB and dC over. */
static inline int64_t ws_scan_block_channels(int64_t N)
{
    return N <= 16 ? 64 : N <= 32 ? 32 : 16;
}
/* Reals of scratch. CPU: decay rates and states of all channels, side by side in panels of 16. */
static inline int64_t ws_scan_scratch_forward(int64_t B, int64_t T, int64_t E, int64_t N)
{
    const int64_t cpu = (E + 15) / 16 * 16 * 2 * N, cuda = ws_scan_joints(B, T, E, N);
    return cpu > cuda ? cpu : cuda;
}
/* CPU: four numbers for each state and two for each channel; states, decays and the sums of dB and dC of one segment of a
 * panel. CUDA: dB and dC of every block of channels, the parameters' gradients of every piece of a sequence, joints. */
static inline int64_t ws_scan_scratch_backward(int64_t B, int64_t T, int64_t E, int64_t N)
{
    int64_t channels = (E + 15) / 16 * 16, blocks = (E + ws_scan_block_channels(N) - 1) / ws_scan_block_channels(N);
    int64_t cpu = channels * (3 * N + 2) + 16 * (WS_SCAN_STEPS * 4 + 1) * N;
    int64_t cuda = B * ws_scan_pieces(B, T, E) * E * (N + 2) + blocks * B * T * 2 * N + ws_scan_joints(B, T, E, N);
    return cpu > cuda ? cpu : cuda;
}

/* Depthwise convolution, every channel with `width` weights of its own:
 *   p[t] = bias + sum over k of weight[k] x[t - before + k], zeros outside the sequence;  y = act(p) */
typedef struct ws_conv1d_depthwise_arguments {
    int64_t B, T, E, width, before;
    ws_activation activation;
    bool accumulate_dx;
    const ws_real *x, *weight, *bias; /* [B,T,E], [E,width], [E] */
    ws_real *y;                       /* [B,T,E] */
    const ws_real *dy;                /* [B,T,E] */
    ws_real *dx, *dweight, *dbias;    /* [B,T,E] or NULL, [E,width], [E] */
    ws_real *scratch;                 /* of the sizes below */
} ws_conv1d_depthwise_arguments;

/* CPU: the weights with the channels side by side. */
static inline int64_t ws_conv1d_depthwise_scratch_forward(int64_t E, int64_t width)
{
    return E * width;
}
/* CPU: the weights, dp of `width` steps, and the parameters' gradients of one sequence; CUDA: dp, and the parameters'
 * gradients of every part of the rows. */
static inline int64_t ws_conv1d_depthwise_scratch_backward(int64_t B, int64_t T, int64_t E, int64_t width)
{
    int64_t cpu = E * (3 * width + 1), cuda = B * T * E + WS_COLUMN_PARTS * (width + 1) * E;
    return cpu > cuda ? cpu : cuda;
}

/* y[b,t] = x[b,length[b]-1-t] for t < length[b], x[b,t] beyond; lengths NULL: T for all. Lengths beyond [0,T] count as the
 * nearest of the two. */
typedef struct ws_flip_sequence_arguments {
    int64_t B, T, D;
    bool accumulate_dx;
    const ws_real *x;       /* [B,T,D] */
    const int32_t *lengths; /* [B] or NULL */
    ws_real *y;             /* [B,T,D] */
    const ws_real *dy;
    ws_real *dx;
} ws_flip_sequence_arguments;

/* Gated recurrent units (Cho et al. 2014, with the reset gate behind the hidden product), gates in the order r, z, n:
 *   r = s(W_r x + b_r + U_r h + c_r);  z = s(W_z x + b_z + U_z h + c_z);  q = U_n h + c_n;
 *   n = tanh(W_n x + b_n + r q);  h' = (1 - z) n + z h
 * from h = 0 before the first step; the second direction goes from the last step of a sequence to its first. Steps beyond a
 * sequence's length give 0. */
enum { WS_GRU_MOST_UNITS = 1024 };
typedef struct ws_gru_arguments {
    int64_t B, T, D, H, directions;
    bool accumulate_dx;
    const ws_real *x;                            /* [B,T,D] */
    const int32_t *lengths;                      /* [B] or NULL: T for all */
    const ws_real *weight_input, *weight_hidden; /* W [directions*3H,D], U [directions*3H,H] */
    const ws_real *bias_input, *bias_hidden;     /* b, c [directions*3H] */
    ws_real *gates, *q;                          /* r, z, n [B,T,directions*3H], [B,T,directions*H]; NULL: not kept */
    ws_real *y;                                  /* [B,T,directions*H] */
    const ws_real *dy;                           /* [B,T,directions*H] */
    ws_real *dx;                                 /* [B,T,D] or NULL */
    ws_real *dweight_input, *dweight_hidden, *dbias_input, *dbias_hidden;
    ws_real *scratch; /* of the sizes below */
} ws_gru_arguments;

/* The products with x, where they are not kept; hidden states and their products of one step (CPU), U turned (CUDA). */
static inline int64_t ws_gru_scratch_forward(int64_t B, int64_t T, int64_t H, int64_t directions)
{
    int64_t step = B * 4 * H, turned = directions * 3 * H * H;
    return B * T * directions * 3 * H + (step > turned ? step : turned);
}
/* Gradients of the products with x and with h, the states before every step, the gradient of one step, column sums. */
static inline int64_t ws_gru_scratch_backward(int64_t B, int64_t T, int64_t H, int64_t directions)
{
    return B * T * directions * 7 * H + B * H + WS_COLUMN_PARTS * directions * 3 * H;
}

/* y[b,t] = the steps t*stride - padding + [0,width) of x[b] side by side, zeros outside: [B,out,width*D] */
typedef struct ws_unfold_arguments {
    int64_t B, T, D, width, stride, padding, out;
    bool accumulate_dx;
    const ws_real *x; /* [B,T,D] */
    ws_real *y;       /* [B,out,width*D] */
    const ws_real *dy;
    ws_real *dx;
} ws_unfold_arguments;

/* y[b,t,d] = the largest of x[b, t*stride + [0,width), d]; of equal ones the first has the gradient. NaN counts as largest. */
typedef struct ws_maxpool1d_arguments {
    int64_t B, T, D, width, stride, out;
    bool accumulate_dx;
    const ws_real *x; /* [B,T,D] */
    ws_real *y;       /* [B,out,D] */
    const ws_real *dy;
    ws_real *dx;
} ws_maxpool1d_arguments;

#endif
