/* Arguments of every kernel, shared by both back ends, and the table through which the engine calls them.
 *
 * One struct serves an operator's forward and backward kernel. Layout is row-major, channel last. Dimensions keep one
 * meaning: B rows (all leading dimensions of a tensor folded), K inner width, N and D width, C classes. `d` in front
 * means the gradient of the loss with respect to it. Pointers are memory of the kernel's device; none overlap, except
 * that both inputs of a two-input operator may be the same tensor (then their gradients are one buffer too, and the
 * second of the two is accumulated).
 *
 * A gradient pointer that is NULL is not wanted; those of an operator's parameters are wanted together or not at all. A
 * gradient with its accumulate flag set is added to, else overwritten.
 * Sums run in an order that depends on the shape only, so that two runs give the same bits; no atomics. Kernels do not
 * allocate and do not fail: the engine has checked the shapes.
 */
#ifndef WS_KERNELS_ARGUMENTS_H
#define WS_KERNELS_ARGUMENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "real.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Where an operator that draws random numbers takes them from: row r of the shard is position first_row + r of the batch, and
 * `stream` tells the operators of a plan apart, so that numbers depend neither on ranks nor on threads. Not active (scoring,
 * validation): the operator leaves its input as it is. counters: where step and first_row lie in device memory, so that captured work
 * can be replayed in another step; NULL: they are those above. */
typedef struct ws_random_source {
    uint64_t seed, step, first_row;
    const uint64_t *counters;
    uint32_t stream;
    bool active;
} ws_random_source;
#define WS_RANDOM_STEP(random) ((random).counters ? (random).counters[0] : (random).step)
#define WS_RANDOM_ROW(random) ((random).counters ? (random).counters[1] : (random).first_row)

/* Column sums over rows (bias and norm-weight gradients) may be made from this many partial rows in `scratch`. */
enum { WS_COLUMN_PARTS = 32 };

#include "arguments_product.h"

/* y = (x - mean) * rstd * weight + bias over the last dimension; rstd = 1/sqrt(variance + epsilon) */
typedef struct ws_layernorm_arguments {
    int64_t B, D;
    double epsilon;
    bool accumulate_dx;
    const ws_real *x, *weight, *bias; /* [B,D], [D], [D] */
    ws_real *mean, *rstd;             /* [B] each, kept for the backward pass; NULL in a plan without one */
    ws_real *y;                       /* [B,D] */
    const ws_real *dy;                /* [B,D] */
    ws_real *dx, *dweight, *dbias;    /* [B,D] or NULL, [D], [D] */
    ws_real *scratch;                 /* [2,WS_COLUMN_PARTS,D], backward */
} ws_layernorm_arguments;

/* y = (x - mean) * rstd * weight + bias, column by column, for the tokens t < length[b] of each b; zeros for the others, which nobody
 * looks at. mean and variance are those of the rows that count where `own` is set and at least two do, else the running ones. */
typedef struct ws_batchnorm_arguments {
    int64_t B, T, D;
    double epsilon;
    bool own;
    bool accumulate_dx;
    const ws_real *x;                               /* [B,T,D] */
    const int32_t *length;                          /* [B] or NULL: T; brought into 0 to T */
    const ws_real *weight, *bias;                   /* [D] */
    const ws_real *running_mean, *running_variance; /* [D] */
    ws_real *mean, *variance;                       /* [D] those in use, kept for the backward pass */
    ws_real *counted;                               /* [1] the rows they are of, 0: the running ones; kept */
    ws_real *y;                                     /* [B,T,D] */
    const ws_real *dy;                              /* [B,T,D] */
    ws_real *dx, *dweight, *dbias;                  /* [B,T,D] or NULL, [D], [D] */
    ws_real *seen_mean,
        *seen_variance; /* [D] what running averages are to move to: the unbiased variance; wanted with dweight */
    ws_real *scratch;   /* [WS_BATCHNORM_SCRATCH,D] */
} ws_batchnorm_arguments;
enum { WS_BATCHNORM_SCRATCH = 2 * WS_COLUMN_PARTS + 3 };

/* y = a + b */
typedef struct ws_add_arguments {
    int64_t count;
    bool accumulate_da, accumulate_db;
    const ws_real *a, *b;
    ws_real *y;
    const ws_real *dy;
    ws_real *da, *db;
} ws_add_arguments;

/* y = act(x). The backward pass reads y for none, relu and tanh, x for silu and gelu; the other may be gone. */
typedef struct ws_activate_arguments {
    int64_t count;
    ws_activation activation;
    bool accumulate_dx;
    const ws_real *x;
    ws_real *y;
    const ws_real *dy;
    ws_real *dx;
} ws_activate_arguments;

/* y[b] = a[b], b[b] side by side */
typedef struct ws_concat_arguments {
    int64_t B, A_width, B_width;
    bool accumulate_da, accumulate_db;
    const ws_real *a, *b; /* [B,A_width], [B,B_width] */
    ws_real *y;           /* [B,A_width+B_width] */
    const ws_real *dy;
    ws_real *da, *db;
} ws_concat_arguments;

/* loss[0] = mean over all elements of (prediction - target)^2 */
typedef struct ws_mse_arguments {
    int64_t count;
    bool accumulate_dprediction, accumulate_dtarget;
    const ws_real *prediction, *target;
    ws_real *loss;        /* [1] */
    const ws_real *dloss; /* [1] */
    ws_real *dprediction, *dtarget;
    ws_real *scratch; /* [WS_LOSS_PARTS], forward */
} ws_mse_arguments;
enum { WS_LOSS_PARTS = 256 };

/* With p = softmax(logits[b]), w the class weights and e the smoothing: loss[0] = sum over rows with index >= 0 of
 *     (1 - e) w[index] (-ln p[index]) + e / C * sum over c of w[c] (-ln p[c]),
 * divided by the sum over these rows of w[index]; 0 when that is not above 0. Without class weights every w is 1. */
typedef struct ws_cross_entropy_arguments {
    int64_t B, C;
    bool accumulate_dlogits;
    const ws_real *logits;       /* [B,C] */
    const int32_t *index;        /* [B]; below 0: row ignored */
    const ws_real *class_weight; /* [C] or NULL */
    double smoothing;            /* 0 to 1 */
    ws_real *log_sum;            /* [B] log-sum-exp of each row, kept for the backward pass */
    ws_real *row_scale;          /* [1] 1 / that sum (0 when no row counts), kept likewise */
    ws_real *loss;               /* [1] */
    const ws_real *dloss;        /* [1] */
    ws_real *dlogits;            /* [B,C] */
    ws_real *scratch;            /* [2,B], forward */
} ws_cross_entropy_arguments;

#include "arguments_flow.h"
#include "arguments_pieces.h"
#include "arguments_sequence.h"
#include "arguments_scan.h"

/* One step of AdamW on `count` elements that share one decay:
 *   g = scale * gradient; m += share1 (g - m); v += share2 (g^2 - v);
 *   p -= step_size * m / (sqrt(v) * root_correction + epsilon) + decay * p
 * with share = 1 - beta, taken in double: 1 - 0.999f is wrong by 5e-5; step_size = rate / (1 - beta1^t),
 * root_correction = 1 / sqrt(1 - beta2^t), decay = rate * weight decay. */
typedef struct ws_adamw_arguments {
    size_t count;
    ws_real scale, share1, share2, step_size, root_correction, epsilon, decay;
    ws_real *parameters;
    const ws_real *gradients;
    ws_real *first_moment, *second_moment;
} ws_adamw_arguments;

/* One step of gradient descent likewise: p -= step_size * gradient + decay * p, step_size = rate * scale. */
typedef struct ws_sgd_arguments {
    size_t count;
    ws_real step_size, decay;
    ws_real *parameters;
    const ws_real *gradients;
} ws_sgd_arguments;

/* average += share * (scale * value - average), share = 1 - decay */
typedef struct ws_ema_arguments {
    size_t count;
    ws_real share, scale;
    ws_real *average;
    const ws_real *value;
} ws_ema_arguments;

/* sum += value, the step of a fixed-tree reduction */
typedef struct ws_accumulate_arguments {
    size_t count;
    ws_real *sum;
    const ws_real *value;
} ws_accumulate_arguments;

/* partial[i] = sum of squares of elements [i*WS_NORM_BLOCK, (i+1)*WS_NORM_BLOCK), in double */
enum { WS_NORM_BLOCK = 4096 };
typedef struct ws_square_sums_arguments {
    size_t count;
    const ws_real *value;
    double *partial; /* [ceil(count / WS_NORM_BLOCK)] */
} ws_square_sums_arguments;

/* A whole step of the optimiser on a device, of the reals [offset, offset + count): AdamW or gradient descent, the running averages
 * of statistics, then the average of what came out, and its copy as bfloat16. What changes from step to step lies in device memory, so
 * that a captured step is replayed with another step's numbers. The formulas are those above. */
typedef struct ws_update_numbers {
    int32_t descent;
    ws_real scale, share1, share2, step_size, root_correction, epsilon, decay;
    ws_real statistics_share, statistics_scale, average_share;
} ws_update_numbers;
typedef enum ws_update_kind { WS_UPDATE_NONE, WS_UPDATE_PLAIN, WS_UPDATE_DECAY, WS_UPDATE_STATISTIC } ws_update_kind;
enum { WS_UPDATE_CELL = 16 };
typedef struct ws_update_arguments {
    size_t offset, count;
    const ws_update_numbers *numbers;
    const uint8_t *kinds; /* of every WS_UPDATE_CELL reals of the flat buffer */
    ws_real *parameters;
    const ws_real *gradients;
    ws_real *first_moment, *second_moment, *average;
    uint16_t *rounded; /* the parameters that came out, as bfloat16; NULL: not wanted */
} ws_update_arguments;

/* to[i] = from[i] rounded to bfloat16, the nearest, ties to even */
typedef struct ws_round_arguments {
    size_t count;
    const ws_real *from;
    uint16_t *to;
} ws_round_arguments;

/* The kernels outside the operators: everywhere, on the CPU, on CUDA. */
#define WS_PLAIN_KERNELS(K) K(accumulate) K(square_sums)
#define WS_CPU_KERNELS(K) K(adamw) K(sgd) K(ema)
#define WS_CUDA_KERNELS(K) K(update) K(round)

/* Kernel ws_<name>_forward_<level>, ws_<name>_backward_<level> and ws_<plain>_<level>; level is portable, avx2, avx512
 * or cuda. `queue` is what the device's open() gave: NULL on the CPU, stream and library handles on CUDA. */
#define WS_DECLARE_OPERATOR_KERNELS(name, level)                                                                       \
    void ws_##name##_forward_##level(const ws_##name##_arguments *arguments, void *queue);                             \
    void ws_##name##_backward_##level(const ws_##name##_arguments *arguments, void *queue);
#define WS_DECLARE_PLAIN_KERNEL(name, level)                                                                           \
    void ws_##name##_##level(const ws_##name##_arguments *arguments, void *queue);

#ifdef __cplusplus
}
#endif
#endif
