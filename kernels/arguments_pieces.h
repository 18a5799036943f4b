/* Arguments of the operators that take tensors apart, put them together and weigh them; rules as in arguments.h, which
 * includes this. */
#ifndef WS_KERNELS_ARGUMENTS_PIECES_H
#define WS_KERNELS_ARGUMENTS_PIECES_H

/* y = factor * x; dx = backward_factor * by[0] * dy, which is the true gradient where backward_factor is factor and by is NULL */
typedef struct ws_scale_arguments {
    int64_t count;
    ws_real factor, backward_factor;
    bool accumulate_dx;
    const ws_real *x, *by; /* by: [1] or NULL */
    ws_real *y;
    const ws_real *dy;
    ws_real *dx;
} ws_scale_arguments;

/* y = a * b, element by element */
typedef struct ws_mul_arguments {
    int64_t count;
    bool accumulate_da, accumulate_db;
    const ws_real *a, *b;
    ws_real *y;
    const ws_real *dy;
    ws_real *da, *db;
} ws_mul_arguments;

/* y[b] = columns [begin, begin + width) of x[b] */
typedef struct ws_slice_arguments {
    int64_t B, whole, begin, width;
    bool accumulate_dx;
    const ws_real *x; /* [B,whole] */
    ws_real *y;       /* [B,width] */
    const ws_real *dy;
    ws_real *dx;
} ws_slice_arguments;

/* Each element becomes 0 with the probability `rate`, else x / (1 - rate). The same call draws the same numbers again in the
 * backward pass. Rows are those of the batch: all that belongs to one of them is `width` elements. */
typedef struct ws_dropout_arguments {
    int64_t B, width;
    double rate;
    bool accumulate_dx;
    ws_random_source random;
    const ws_real *x; /* [B,width] */
    ws_real *y;
    const ws_real *dy;
    ws_real *dx;
} ws_dropout_arguments;

/* y[r] = weight where hidden[r] != 0, else x[r] */
typedef struct ws_hide_tokens_arguments {
    int64_t R, D;
    bool accumulate_dx;
    const ws_real *x;      /* [R,D] */
    const int32_t *hidden; /* [R] */
    const ws_real *weight; /* [D] */
    ws_real *y;            /* [R,D] */
    const ws_real *dy;
    ws_real *dx, *dweight; /* [R,D], [D] */
    ws_real *scratch;      /* [WS_COLUMN_PARTS,D], backward */
} ws_hide_tokens_arguments;

/* loss[0] = sum over r of weight[r] * mean over D of (prediction - target)^2, divided by the sum of the weights; 0 where that sum
 * is not above 0. Rows of weight 0 are not looked at. */
typedef struct ws_masked_mse_arguments {
    int64_t R, D;
    bool accumulate_dprediction, accumulate_dtarget;
    const ws_real *prediction, *target; /* [R,D] */
    const ws_real *weight;              /* [R] */
    ws_real *row_scale;                 /* [1] 1 / sum of the weights, or 0; kept for the backward pass */
    ws_real *loss;                      /* [1] */
    const ws_real *dloss;               /* [1] */
    ws_real *dprediction, *dtarget;
    ws_real *scratch; /* [R], forward */
} ws_masked_mse_arguments;

#endif
