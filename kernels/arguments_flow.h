/* Arguments of the kernels of normalising flows (arguments.h). A state is [B,D+1]: D numbers of a row and, last, the logarithm
 * of how much the maps so far have stretched space at it. */
#ifndef WS_KERNELS_ARGUMENTS_FLOW_H
#define WS_KERNELS_ARGUMENTS_FLOW_H

#include "real.h"

/* The first `kept` columns go through as they are, each other one through a spline with parameters of its own (spline.h); then
 * all D columns roll on by one, the last becoming the first. The last column of the state adds up the logarithms of slopes. */
typedef struct ws_spline_coupling_arguments {
    int64_t B, D, kept;
    int bins;
    ws_real bound;
    bool accumulate_dstate, accumulate_dtheta;
    const ws_real *state; /* [B,D+1] */
    const ws_real *theta; /* [B,(D-kept)*(3*bins-1)] */
    ws_real *y;           /* [B,D+1] */
    const ws_real *dy;
    ws_real *dstate, *dtheta;
    ws_real *scratch; /* [B,D-kept] forward: logarithms of slopes */
} ws_spline_coupling_arguments;

/* loss[0] = mean over rows of -(log_scale + state[b,D] + (shape - 1) sum_i ln u_i (1 - u_i)), u_i being the place of
 * state[b,i] between -bound and bound, kept off both ends (WS_BETA_FLOOR): the negative log-likelihood of a flow that ends in
 * independent Beta(shape, shape) variables stretched to [-bound, bound]. */
typedef struct ws_beta_likelihood_arguments {
    int64_t B, D;
    ws_real bound, shape, log_scale;
    bool accumulate_dstate;
    const ws_real *state; /* [B,D+1] */
    ws_real *loss;        /* [1] */
    const ws_real *dloss; /* [1] */
    ws_real *dstate;
    ws_real *scratch; /* [B] forward */
} ws_beta_likelihood_arguments;

#endif
