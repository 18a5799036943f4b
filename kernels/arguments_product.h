/* Arguments of the operators that are matrix products, linear and bmm. Part of arguments.h, whose rules hold here too.
 *
 * With bf16 the factors of their products are rounded to bfloat16 first; sums, and everything else, stay as they are. Where the
 * machine has tiles (AMX) they take the rounded factors, and scratch memory holds blocks of them; elsewhere it holds
 * rounded copies, on a GPU of 16 bits a number.
 */
#ifndef WS_KERNELS_ARGUMENTS_PRODUCT_H
#define WS_KERNELS_ARGUMENTS_PRODUCT_H

/* Rows or columns of a panel of tiles, and how much of the inner dimension and of the right factor's columns a block has. */
enum { WS_TILES_PANEL = 32, WS_TILES_INNER = 512, WS_TILES_COLUMNS = 512 };
static inline int64_t ws_tiles_within(int64_t size, int64_t most)
{
    int64_t whole = (size + WS_TILES_PANEL - 1) / WS_TILES_PANEL * WS_TILES_PANEL;
    return whole < most ? whole : most;
}
static inline int64_t ws_tiles_inner(int64_t K)
{
    return ws_tiles_within(K, WS_TILES_INNER);
}
/* Reals that hold the blocks of a product of N columns that sums over K: of two bfloat16 numbers each. */
static inline int64_t ws_tiles_scratch(int64_t N, int64_t K)
{
    return ws_tiles_inner(K) / 2 * (WS_TILES_PANEL + ws_tiles_within(N, WS_TILES_COLUMNS));
}
static inline int64_t ws_largest_of(int64_t a, int64_t b, int64_t c)
{
    int64_t larger = a > b ? a : b;
    return larger > c ? larger : c;
}

/* Reals that hold `count` bfloat16 numbers on a GPU: whole blocks, so that what follows is aligned. At most count and a block. */
enum { WS_BF16_BLOCK = 64 };
static inline int64_t ws_bf16_room(int64_t count)
{
    return (count + 2 * WS_BF16_BLOCK - 1) / (2 * WS_BF16_BLOCK) * WS_BF16_BLOCK;
}

/* y = act(z), z = x weight^T + bias */
typedef struct ws_linear_arguments {
    int64_t B, K, N;
    ws_activation activation;
    bool bf16;
    bool accumulate_dx;
    const ws_real *x;              /* [B,K] */
    const ws_real *weight, *bias;  /* [N,K], [N]; bias NULL: none, and no activation */
    const uint16_t *rounded;       /* [N,K] on a GPU: weight as bfloat16; NULL: each product rounds its own copy */
    ws_real *z;                    /* [B,N] kept for the backward pass of silu and gelu; NULL: not wanted */
    ws_real *y;                    /* [B,N] */
    ws_real *dy;                   /* [B,N] overwritten with dz */
    ws_real *dx, *dweight, *dbias; /* [B,K] or NULL, [N,K], [N] */
    ws_real *scratch;              /* ws_linear_scratch() */
} ws_linear_arguments;

/* Partial column sums in the backward pass, and what products of rounded factors need. */
static inline int64_t ws_linear_scratch(int64_t B, int64_t K, int64_t N, bool bf16, bool backward)
{
    if (!backward)
        return bf16 ? ws_largest_of(B * K + N * K + 2 * WS_BF16_BLOCK, ws_tiles_scratch(N, K), 0) : 0;
    return WS_COLUMN_PARTS * N + (bf16 ? ws_largest_of(B * K + N * K + B * N + 3 * WS_BF16_BLOCK,
                                                       ws_tiles_scratch(K, B), ws_tiles_scratch(K, N))
                                       : 0);
}

/* y[i] = a[i] b[i], a product for each i; with `transposed` b holds its matrices transposed, [N,K] */
typedef struct ws_bmm_arguments {
    int64_t B, M, K, N;
    bool bf16;
    bool transposed, accumulate_da, accumulate_db;
    const ws_real *a, *b; /* [B,M,K], [B,K,N] */
    ws_real *y;           /* [B,M,N] */
    const ws_real *dy;
    ws_real *da, *db;
    ws_real *scratch; /* ws_bmm_scratch() */
} ws_bmm_arguments;

static inline int64_t ws_bmm_scratch(int64_t B, int64_t M, int64_t K, int64_t N, bool bf16, bool backward)
{
    if (!bf16)
        return 0;
    if (!backward)
        return ws_largest_of(B * (M * K + K * N) + 2 * WS_BF16_BLOCK, ws_tiles_scratch(N, K), 0);
    /* of b's gradient: K x N or N x K, and either way M summed over */
    int64_t tiles = ws_largest_of(ws_tiles_scratch(K, N), ws_tiles_scratch(N, M), ws_tiles_scratch(K, M));
    return ws_largest_of(B * (M * K + K * N + M * N) + 3 * WS_BF16_BLOCK, tiles, 0);
}

#endif
