/* L-BFGS: minimum of a smooth function from values and gradients, in double.
 *
 * Liu & Nocedal, "On the limited memory BFGS method for large scale optimization" (1989), with the bisection line
 * search for the weak Wolfe conditions of Lewis & Overton (2013). Runs alike on every rank when the objective, which may be
 * collective, returns the same bits on every rank; it communicates nothing itself but whether all have memory.
 */
#ifndef WS_MODELS_LBFGS_H
#define WS_MODELS_LBFGS_H

#include <stdint.h>
#include "cluster/cluster.h"
#include "core/core.h"

typedef ws_err (*ws_objective)(void *context, const double *x, double *value, double *gradient);

typedef struct ws_lbfgs_options {
    int64_t history, maximum_iterations;
    double gradient_tolerance; /* on the largest absolute component */
} ws_lbfgs_options;

typedef struct ws_lbfgs_report {
    int64_t iterations, evaluations;
    double value, gradient_maximum;
    bool converged; /* false: iterations used up, or no further decrease in double precision */
} ws_lbfgs_report;

/* x[count]: the start on entry, the best point found on return. */
WS_MUST ws_err ws_lbfgs_minimise_all(const ws_comm *comm, const ws_lbfgs_options *options, ws_objective objective,
                                     void *context, double *x, size_t count, ws_lbfgs_report *report);

#endif
