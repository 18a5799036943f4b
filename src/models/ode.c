/* Explicit one-step solvers; see ode.h. */
#include "models/ode.h"

/* out = x + h v */
static void advance(ws_real *out, const ws_real *x, double h, const ws_real *v, size_t count)
{
    ws_real step = (ws_real)h;
    for (size_t i = 0; i < count; i++)
        out[i] = x[i] + step * v[i];
}

static void heun_step(double t, double h, ws_velocity velocity, void *context, ws_real *x, size_t n, ws_real *scratch)
{
    ws_real *k1 = scratch, *k2 = scratch + n, *probe = scratch + 2 * n, half = (ws_real)(h / 2);
    velocity(context, t, x, k1);
    advance(probe, x, h, k1, n);
    velocity(context, t + h, probe, k2);
    for (size_t i = 0; i < n; i++)
        x[i] += half * (k1[i] + k2[i]);
}

static void rk4_step(double t, double h, ws_velocity velocity, void *context, ws_real *x, size_t n, ws_real *scratch)
{
    ws_real *k1 = scratch, *k2 = k1 + n, *k3 = k2 + n, *k4 = k3 + n, *probe = k4 + n, sixth = (ws_real)(h / 6);
    velocity(context, t, x, k1);
    advance(probe, x, h / 2, k1, n);
    velocity(context, t + h / 2, probe, k2);
    advance(probe, x, h / 2, k2, n);
    velocity(context, t + h / 2, probe, k3);
    advance(probe, x, h, k3, n);
    velocity(context, t + h, probe, k4);
    for (size_t i = 0; i < n; i++)
        x[i] += sixth * (k1[i] + 2 * k2[i] + 2 * k3[i] + k4[i]);
}

static void euler_step(double t, double h, ws_velocity velocity, void *context, ws_real *x, size_t n, ws_real *scratch)
{
    velocity(context, t, x, scratch);
    advance(x, x, h, scratch, n);
}

static void midpoint_step(double t, double h, ws_velocity velocity, void *context, ws_real *x, size_t n,
                          ws_real *scratch)
{
    ws_real *k = scratch, *probe = scratch + n;
    velocity(context, t, x, k);
    advance(probe, x, h / 2, k, n);
    velocity(context, t + h / 2, probe, k);
    advance(x, x, h, k, n);
}

void ws_ode_solve(ws_ode_method method, int64_t steps, double from, double to, ws_velocity velocity, void *context,
                  ws_real *x, size_t count, ws_real *scratch)
{
    typedef void (*step_function)(double, double, ws_velocity, void *, ws_real *, size_t, ws_real *);
    static const step_function step_of[WS_ODE_COUNT] = {euler_step, midpoint_step, heun_step, rk4_step};
    double h = (to - from) / (double)steps;
    for (int64_t s = 0; s < steps; s++)
        step_of[method](from + h * (double)s, h, velocity, context, x, count, scratch);
}
