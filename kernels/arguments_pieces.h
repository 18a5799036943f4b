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

/* y[b,k] = x[b,index[b,k]]; zeros where the index is below 0, NaN where it is T or more. dx[b,t] sums over the k of index t in
 * rising order of k; on devices in pieces. */
typedef struct ws_gather_rows_arguments {
    int64_t B, T, K, D;
    bool accumulate_dx;
    const ws_real *x;     /* [B,T,D] */
    const int32_t *index; /* [B,K] */
    ws_real *y;           /* [B,K,D] */
    const ws_real *dy;
    ws_real *dx;
    int32_t *order; /* [2,B,K] memory for the backward pass on devices: the k of each b by rising index */
    ws_real *edges; /* [B,ws_gather_rows_pieces(K),2,D] likewise: sums that go over the ends of pieces */
} ws_gather_rows_arguments;
enum { WS_GATHER_RUN = 64 }; /* indices that are sorted and added up together before anything is merged */
static inline int64_t ws_gather_rows_pieces(int64_t K)
{
    return (K + WS_GATHER_RUN - 1) / WS_GATHER_RUN;
}

/* y[b,index[b,k]] = x[b,k], the last k of those with one index; weight where no k leads to. */
typedef struct ws_scatter_rows_arguments {
    int64_t B, T, K, D;
    bool accumulate_dx;
    const ws_real *x;      /* [B,K,D] */
    const int32_t *index;  /* [B,K]; below 0: goes nowhere */
    const ws_real *weight; /* [D] */
    ws_real *y;            /* [B,T,D] */
    const ws_real *dy;
    ws_real *dx, *dweight; /* [B,K,D], [D] */
    int32_t *source;       /* [B,T] memory: the k that a token comes from, -1 for none */
    ws_real *scratch;      /* [WS_COLUMN_PARTS,D], backward */
} ws_scatter_rows_arguments;

/* y[r] = left half of x[r] times act(right half) */
typedef struct ws_glu_arguments {
    int64_t R, D; /* D: of y */
    ws_activation activation;
    bool accumulate_dx;
    const ws_real *x; /* [R,2*D] */
    ws_real *y;       /* [R,D] */
    const ws_real *dy;
    ws_real *dx;
} ws_glu_arguments;

/* y[b] = mean over t < length[b] of x[b,t]; zeros where the length is 0 */
typedef struct ws_mean_pool_arguments {
    int64_t B, T, D;
    bool accumulate_dx;
    const ws_real *x;      /* [B,T,D] */
    const int32_t *length; /* [B] or NULL: T; brought into 0 to T */
    ws_real *y;            /* [B,D] */
    const ws_real *dy;
    ws_real *dx;
} ws_mean_pool_arguments;

/* y[b] = sum over t < length[b] of p[t] x[b,t], p = softmax over these t of (x[b,t] . weight + bias); zeros where the length is 0 */
typedef struct ws_attention_pool_arguments {
    int64_t B, T, D;
    bool accumulate_dx;
    const ws_real *x;              /* [B,T,D] */
    const int32_t *length;         /* [B] or NULL: T; brought into 0 to T */
    const ws_real *weight, *bias;  /* [D], [1] */
    ws_real *share;                /* [B,T] p, kept for the backward pass (memory in a plan without one) */
    ws_real *y;                    /* [B,D] */
    const ws_real *dy;             /* [B,D] */
    ws_real *dx, *dweight, *dbias; /* [B,T,D], [D], [1] */
    ws_real *dscore;               /* [B,T] memory, backward */
    ws_real *scratch;              /* [WS_COLUMN_PARTS,D], backward */
} ws_attention_pool_arguments;

/* y[b] = x[b] / max(|x[b]|, epsilon) */
typedef struct ws_l2norm_arguments {
    int64_t B, D;
    double epsilon;
    bool accumulate_dx;
    const ws_real *x;  /* [B,D] */
    ws_real *inverse;  /* [B] 1 / max(|x|, epsilon), kept for the backward pass; NULL in a plan without one */
    ws_real *y;        /* [B,D] */
    const ws_real *dy; /* [B,D] */
    ws_real *dx;
} ws_l2norm_arguments;

/* loss[0] = mean over elements of ln(1 + exp(logit)) - target * logit */
typedef struct ws_bce_arguments {
    int64_t count;
    bool accumulate_dlogits;
    const ws_real *logits, *target;
    ws_real *loss;        /* [1] */
    const ws_real *dloss; /* [1] */
    ws_real *dlogits;
    ws_real *scratch; /* [WS_LOSS_PARTS], forward */
} ws_bce_arguments;

/* Supervised contrastive loss (Khosla et al. 2020) with the rows of the batch and of a bank as candidates, s = z . z' / temperature:
 * mean over the rows i that share their label with a candidate of
 *     ln(sum over candidates c of exp(s_ic)) - mean over candidates p of the label of i of s_ip.
 * Candidates are all rows with a label from 0 on but i itself. 0 where no row has such a candidate. */
typedef struct ws_supcon_arguments {
    int64_t R, K, D; /* K: rows of the bank, 0 for none */
    double temperature;
    bool accumulate_dz;
    const ws_real *z, *bank;           /* [R,D], [K,D] */
    const int32_t *label, *bank_label; /* [R], [K]; below 0: the row is not there */
    ws_real *products;                 /* [R,R] then [R,K] of z . z', kept for the backward pass */
    ws_real *log_sum, *positive,
        *row_scale;       /* [R], [R] 1 / candidates of the label or 0, [1] 1 / rows that count or 0; kept */
    ws_real *loss;        /* [1] */
    const ws_real *dloss; /* [1] */
    ws_real *dz;          /* [R,D] */
    ws_real *scratch;     /* forward [2,R]; backward [R,R] then [R,K] */
} ws_supcon_arguments;

#endif
