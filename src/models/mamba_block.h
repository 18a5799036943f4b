/* The Mamba block (Gu & Dao 2023) as models of sequences use it: x + mixer(rmsnorm(x)). */
#ifndef WS_MODELS_MAMBA_BLOCK_H
#define WS_MODELS_MAMBA_BLOCK_H

#include "engine/engine.h"

typedef enum ws_mamba_initial {
    WS_MAMBA_REFERENCE, /* of Mamba: steps log-uniform in [0.001, 0.1], out_proj divided by sqrt(layers) */
    WS_MAMBA_FUSE3      /* of NetMamba+'s code: normal 0.02 for all projections, every step 0.693 */
} ws_mamba_initial;

typedef struct ws_mamba_options {
    /* 0: 16 states a channel, an inner width of twice the width, 4 steps of convolution, steps of rank width/16 rounded up */
    int64_t states, expand, window, rank;
    int64_t layers; /* blocks of the model, for the initial values; 0: 1 */
    ws_mamba_initial initial;
} ws_mamba_options;

/* x is [B,T,width]. Parameters stand below NAME: norm, in_proj, gate_proj (the two halves of the published in_proj), conv1d,
 * dt_down and x_proj (likewise of x_proj), dt_proj, scan, out_proj. */
ws_tensor ws_mamba_block(ws_plan *plan, ws_tensor x, int64_t width, const ws_mamba_options *options, const char *name);
/* Without norm and residual: both are the caller's. */
ws_tensor ws_mamba_mixer(ws_plan *plan, ws_tensor x, int64_t width, const ws_mamba_options *options, const char *name);

#endif
