/* Scores of models of conditional flow matching: a velocity field carries N(0, variance I) at t = 0 to the normal rows at
 * t = 1; a row is taken back to t = 0 and judged by where it ends, and by what the model says on the way. Higher is more
 * anomalous.
 *
 *   terminal_norm       |z|^2 / (d variance) of z = x(0), d elements that the row has; near 1 for normal rows
 *   terminal_flow       the same of the elements of the flow
 *   terminal_packet     the same of each packet, averaged over the row's packets
 *   two_sided           distance of terminal_norm from its median over normal rows, which training leaves with the model
 *   nll                 -log p(x) = |z|^2 / (2 variance) + d/2 log(2 pi variance) + integral of div v over t from 0 to 1
 *                       (Chen et al. 2018; Grathwohl et al. 2019)
 *   velocity            root mean square of v(x, 1)
 *   flow_consistency    mean square error of the flow's elements as predicted from the packets
 *   packet_consistency  mean square error of the packets' elements as predicted with every fourth packet hidden, in turn
 *   reconstruction      mean square error of the row after z is drawn into the radius reconstruction_radius sqrt(d variance)
 *                       and carried back to t = 1
 *
 * A row's scores depend on that row alone. Scores that are not wanted are not computed; nll costs a vector-Jacobian product
 * for each element, or for each probe, at every step.
 */
#ifndef WS_MODELS_CFM_SCORE_H
#define WS_MODELS_CFM_SCORE_H

#include "models/models.h"
#include "models/ode.h"

typedef enum ws_cfm_score_kind {
    WS_CFM_TERMINAL_NORM,
    WS_CFM_TERMINAL_FLOW,
    WS_CFM_TERMINAL_PACKET,
    WS_CFM_TWO_SIDED,
    WS_CFM_NLL,
    WS_CFM_VELOCITY,
    WS_CFM_FLOW_CONSISTENCY,
    WS_CFM_PACKET_CONSISTENCY,
    WS_CFM_RECONSTRUCTION,
    WS_CFM_SCORE_KINDS
} ws_cfm_score_kind;

/* ---- options: a member `score` of the model's options ---- */

typedef struct ws_cfm_score_options {
    int solver;
    int64_t solver_steps;
    double solver_tolerance;
    int64_t solver_limit;
    int trace;
    int64_t trace_draws;
    double reconstruction_radius;
} ws_cfm_score_options;

#define WS_CFM_SCORE_OPTION(s, f, type, text, low, high, choices, help)                                                \
    {                                                                                                                  \
#f, type, offsetof(s, score.f), text, low, high, choices, help, false                                          \
    }
/* Fields of the option table of a struct `s` that has a member ws_cfm_score_options score. */
#define WS_CFM_SCORE_OPTIONS(s)                                                                                        \
    WS_CFM_SCORE_OPTION(s, solver, WS_OPTION_TYPE_ENUM, "midpoint", 0, 0, WS_ODE_METHODS,                              \
                        "solver that carries a row back to t = 0; dopri5 chooses every row's steps by its error"),     \
        WS_CFM_SCORE_OPTION(s, solver_steps, WS_OPTION_TYPE_INT, "20", 1, 10000, NULL,                                 \
                            "equal steps of the solver; dopri5 begins with one"),                                      \
        WS_CFM_SCORE_OPTION(s, solver_tolerance, WS_OPTION_TYPE_DOUBLE, "1e-5", 1e-9, 1, NULL,                         \
                            "dopri5: error of a step, absolute and relative"),                                         \
        WS_CFM_SCORE_OPTION(s, solver_limit, WS_OPTION_TYPE_INT, "500", 1, 1000000, NULL,                              \
                            "dopri5: no step is shorter than this part of the way"),                                   \
        WS_CFM_SCORE_OPTION(s, trace, WS_OPTION_TYPE_ENUM, "auto", 0, 0, "auto|exact|hutchinson",                      \
                            "nll: divergence from all elements or from probes; auto: exact up to 32 elements"),        \
        WS_CFM_SCORE_OPTION(s, trace_draws, WS_OPTION_TYPE_INT, "8", 1, 4096, NULL, "nll: probes of hutchinson"),      \
        WS_CFM_SCORE_OPTION(s, reconstruction_radius, WS_OPTION_TYPE_DOUBLE, "1", 0, 100, NULL,                        \
                            "reconstruction: radius of normal rows at t = 0, in units of the shell's")

/* ---- what a model gives ---- */

/* Rows are [rows][columns]: flow_columns elements of the flow, then tokens * token_columns of the packets, of which a row has
 * the first length. Elements behind these are zeros and stay zeros, whatever the functions return for them. */
typedef struct ws_cfm_field {
    int64_t rows, columns, flow_columns, tokens, token_columns;
    const int32_t *length; /* [rows]; NULL where there are no tokens */
    double variance;       /* of each element at t = 0 where normal rows come from */
    void *context;
    void (*velocity)(void *context, const double *time, const ws_real *x, ws_real *velocity); /* time[rows] */
    /* out = cotangent times dv/dx, where velocity was called last. NULL: no nll. */
    void (*pull_back)(void *context, const ws_real *cotangent, ws_real *out);
    /* The rows as predicted at t = 1 without the tokens whose hidden[rows][1 + tokens] is not 0, the flow being token 0 (also
     * where flow_columns is 0). NULL: no consistency. */
    void (*predict)(void *context, const ws_real *x, const int32_t *hidden, ws_real *out);
} ws_cfm_field;

/* The scores of a model, in the order of its list of names. */
typedef struct ws_cfm_scores {
    const ws_cfm_score_kind *kinds;
    int count;
} ws_cfm_scores;

/* True when one of the wanted scores (bits) needs field.pull_back, so that the scoring plan must offer it. */
bool ws_cfm_score_pulls_back(const ws_cfm_scores *scores, uint64_t wanted);
/* x[rows][columns] to scoring->out[rows][scores->count]. */
WS_MUST ws_err ws_cfm_score(const ws_cfm_score_options *options, const ws_cfm_field *field, const ws_cfm_scores *scores,
                            uint64_t wanted, const ws_real *x, ws_scoring *scoring);
/* For ws_network.calibration and .calibrate: the median that two_sided is measured from. */
uint64_t ws_cfm_calibration(const ws_cfm_scores *scores, uint64_t wanted);
WS_MUST ws_err ws_cfm_calibrate(const ws_cfm_scores *scores, const float *values, uint64_t rows, ws_arrays *learned);

#endif
