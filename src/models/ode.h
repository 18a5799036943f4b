/* Ordinary differential equations dx/dt = v(x, t) over a block of rows, in a fixed number of equal steps.
 *
 * Fixed steps, because a step size chosen from the error of a whole block would make a row depend on its neighbours.
 * Explicit one-step methods (Hairer, Norsett & Wanner, "Solving Ordinary Differential Equations I"): orders 1, 2, 2, 4.
 */
#ifndef WS_MODELS_ODE_H
#define WS_MODELS_ODE_H

#include "core/core.h"
#include "../kernels/real.h"

typedef enum ws_ode_method { WS_ODE_EULER, WS_ODE_MIDPOINT, WS_ODE_HEUN, WS_ODE_RK4, WS_ODE_COUNT } ws_ode_method;
#define WS_ODE_METHODS "euler|midpoint|heun|rk4" /* in the order of the enum, for option tables */

/* velocity[count] = v(x[count], t) */
typedef void (*ws_velocity)(void *context, double t, const ws_real *x, ws_real *velocity);

/* scratch a solver needs, in values */
#define WS_ODE_SCRATCH(count) (5 * (size_t)(count))

/* Carries x[count] from time `from` to time `to` (backwards where to < from) in `steps` steps. */
void ws_ode_solve(ws_ode_method method, int64_t steps, double from, double to, ws_velocity velocity, void *context,
                  ws_real *x, size_t count, ws_real *scratch /* WS_ODE_SCRATCH(count) */);

#endif
