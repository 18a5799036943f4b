/* Arguments of the operators of sequences: attention, norms and gates steered by a condition, positions. Part of
 * arguments.h, whose rules hold here too. T tokens, H heads, W columns of the condition.
 */
#ifndef WS_KERNELS_ARGUMENTS_SEQUENCE_H
#define WS_KERNELS_ARGUMENTS_SEQUENCE_H

/* y[b,i,h] = sum over j of p[b,h,i,j] v[b,j,h], p being the softmax of q k / sqrt(D/H) over the keys j that row i sees
 * (Vaswani et al. 2017); zeros where it sees none. q, k and v of head h are the columns h*D/H.. of each third of qkv. With
 * rope_base, q and k are rotated first by their position (Su et al. 2021; first and second half of a head are the two
 * coordinates). With dropout, entries of p are set to 0 and the others scaled. Its products stay in
 * single precision where those of dense layers take factors rounded to bfloat16. */
typedef struct ws_attention_arguments {
    int64_t B, T, D, H;
    bool causal, accumulate_dqkv;
    double rope_base;    /* 0: no rotation */
    int64_t rope_period; /* position of token t: t % rope_period */
    double dropout;
    ws_random_source random;
    const ws_real *qkv;    /* [B,T,3D] */
    const int32_t *ranges; /* [B,T,4]: row (b,t) sees keys [lo0,hi0) and [lo1,hi1); NULL: all */
    ws_real *y;            /* [B,T,D] */
    ws_real *
        statistics; /* [2,B,H,T]: greatest score (CPU: in units of ln 2) and 1 / sum of exp(score - greatest), kept for the backward pass */
    const ws_real *dy;     /* [B,T,D] */
    ws_real *dqkv;         /* [B,T,3D] */
    ws_real *scratch;      /* ws_attention_scratch() */
    ws_real *row_products; /* [B,H,T] sums of dy y, backward */
} ws_attention_arguments;

enum { WS_ATTENTION_WIDEST = 128 }; /* a head, because of CUDA's shared memory */

/* How a head is worked on: rows of queries in blocks whose scores stay in the cache. All counts in reals. */
typedef struct ws_attention_layout {
    int64_t d, d_padded, T_padded; /* width of a head; both padded to 16 */
    int64_t rows;                  /* of a block */
    int64_t tokens, columns, block, scores;
} ws_attention_layout;

static inline ws_attention_layout ws_attention_lay_out(int64_t T, int64_t D, int64_t H)
{
    ws_attention_layout l = {D / H, (D / H + 15) / 16 * 16, (T + 15) / 16 * 16, 0, 0, 0, 0, 0};
    int64_t most = 16384 / l.T_padded < 6 ? 6 : 16384 / l.T_padded, blocks = (T + most - 1) / most;
    l.rows = ((T + blocks - 1) / blocks + 5) / 6 * 6;
    l.tokens = l.T_padded * l.d_padded;
    l.columns = l.d_padded * l.T_padded;
    l.block = l.rows * l.d_padded;
    l.scores = l.rows * l.T_padded;
    return l;
}
/* Reals of scratch memory in a pass, row products apart: the angles of the rotation, K V and their transposes, gradients, blocks of q, y, scores. */
static inline int64_t ws_attention_scratch(int64_t T, int64_t D, int64_t H, bool backward)
{
    ws_attention_layout l = ws_attention_lay_out(T, D, H);
    int64_t angles = l.tokens, rows = 2 * l.T_padded + 16;
    return angles + rows +
           (backward ? 4 * l.tokens + 2 * l.columns + 3 * l.block + 2 * l.scores
                     : 2 * l.tokens + l.columns + 2 * l.block + l.scores);
}

/* y[b,t] = (x - mean) * rstd * (1 + condition[b, scale..]) + condition[b, shift..]: a norm whose weights come from a
 * condition of the row (Peebles & Xie 2023) */
typedef struct ws_modulated_norm_arguments {
    int64_t B, T, D, W, shift, scale;
    double epsilon;
    bool accumulate_dx, accumulate_dcondition;
    const ws_real *x, *condition; /* [B,T,D], [B,W] */
    ws_real *mean, *rstd;         /* [B,T] each, kept for the backward pass; NULL in a plan without one */
    ws_real *y;                   /* [B,T,D] */
    const ws_real *dy;
    ws_real *dx, *dcondition; /* [B,T,D] or NULL, [B,W] or NULL */
    ws_real *scratch;         /* [2,D], backward */
} ws_modulated_norm_arguments;

/* y[b,t] = x + condition[b, gate..] * update */
typedef struct ws_gated_add_arguments {
    int64_t B, T, D, W, gate;
    bool accumulate_dx, accumulate_dupdate, accumulate_dcondition;
    const ws_real *x, *update, *condition; /* [B,T,D], [B,T,D], [B,W] */
    ws_real *y;
    const ws_real *dy;
    ws_real *dx, *dupdate, *dcondition;
    ws_real *scratch; /* [D], backward */
} ws_gated_add_arguments;

/* y = x * rstd * weight over the last dimension; rstd = 1/sqrt(mean of x^2 + epsilon) (Zhang & Sennrich 2019) */
typedef struct ws_rmsnorm_arguments {
    int64_t B, D;
    double epsilon;
    bool accumulate_dx;
    const ws_real *x, *weight; /* [B,D], [D] */
    ws_real *rstd;             /* [B], kept for the backward pass; NULL in a plan without one */
    ws_real *y;                /* [B,D] */
    const ws_real *dy;
    ws_real *dx, *dweight; /* [B,D] or NULL, [D] */
    ws_real *scratch;      /* [WS_COLUMN_PARTS,D], backward */
} ws_rmsnorm_arguments;

/* y[b] = x[b] + weight */
typedef struct ws_add_position_arguments {
    int64_t B, count; /* count: elements of a row, T * D */
    bool accumulate_dx;
    const ws_real *x, *weight; /* [B,count], [count] */
    ws_real *y;
    const ws_real *dy;
    ws_real *dx, *dweight;
} ws_add_position_arguments;

#endif
