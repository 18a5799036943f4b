/* Ordinary differential equations dx/dt = v(x, t) over a block of rows, and integrals of a rate along their solutions.
 *
 * Explicit Runge-Kutta methods (Hairer, Norsett & Wanner, "Solving Ordinary Differential Equations I", II.1 and II.5), all
 * rows in lockstep: an evaluation is of the whole block, with a time for each row. The first four take equal steps, orders
 * 1, 2, 2, 4. dopri5 (Dormand & Prince 1980, order 5 with an error estimate of order 4) chooses every row's steps from that
 * row's own error alone, so that a row's solution does not depend on its neighbours.
 */
#ifndef WS_MODELS_ODE_H
#define WS_MODELS_ODE_H

#include "core/core.h"
#include "../kernels/real.h"

typedef enum ws_ode_method {
    WS_ODE_EULER,
    WS_ODE_MIDPOINT,
    WS_ODE_HEUN,
    WS_ODE_RK4,
    WS_ODE_DOPRI5,
    WS_ODE_COUNT
} ws_ode_method;
#define WS_ODE_METHODS "euler|midpoint|heun|rk4|dopri5" /* in the order of the enum, for option tables */

/* velocity[rows][columns] = v(x, time of the row). rate[rows]: what is integrated; NULL: nothing is. */
typedef void (*ws_velocity)(void *context, const double *time, const ws_real *x, ws_real *velocity, double *rate);

typedef struct ws_ode_field {
    int64_t rows, columns; /* columns: from one row to the next */
    const int64_t *used;   /* [rows] a row's first columns that are solved for, the others stay; NULL: all */
    ws_velocity velocity;
    void *context;
} ws_ode_field;

typedef struct ws_ode_options {
    ws_ode_method method;
    int64_t steps; /* dopri5: only the first step it tries, an equal part of the way */
    double
        tolerance; /* dopri5: a step's error may be this much, and this much of the value (root mean square over columns) */
    int64_t limit; /* dopri5: no step is shorter than this part of the way, but the last */
} ws_ode_options;

/* Carries x[rows][columns] from time `from` to time `to` (backwards where to < from). integral[rows] gains the integral of
 * the rate from `from` to `to`; NULL: none is wanted. The steps do not depend on it.
 * unsolved[rows] becomes 1 where dopri5 had to take a step of the shortest length against the tolerance, and stays as it is
 * elsewhere; NULL: nobody asks. Such rows are carried to the end all the same. */
WS_MUST ws_err ws_ode_solve(const ws_ode_options *options, const ws_ode_field *field, double from, double to,
                            ws_real *x, double *integral, uint8_t *unsolved);

#endif
