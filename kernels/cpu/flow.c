/* spline_coupling and beta_likelihood on the CPU. */
#include "level.h"
#include "spline.h"

WS_OPERATOR_KERNEL(spline_coupling, forward)
{
    int64_t D = a->D, moved = D - a->kept, stride = 3 * a->bins - 1;
    for (int64_t b = 0; b < a->B; b++) {
        const ws_real *x = a->state + b * (D + 1), *theta = a->theta + b * moved * stride;
        ws_real *y = a->y + b * (D + 1), stretched = x[D];
        for (int64_t i = 0; i < D; i++) {
            ws_real log_slope = 0;
            int64_t to = i + 1 < D ? i + 1 : 0;
            y[to] = i < a->kept ? x[i]
                                : ws_spline_value(x[i], theta + (i - a->kept) * stride, a->bins, a->bound, &log_slope);
            stretched += log_slope;
        }
        y[D] = stretched;
    }
}

WS_OPERATOR_KERNEL(spline_coupling, backward)
{
    int64_t D = a->D, moved = D - a->kept, stride = 3 * a->bins - 1;
    for (int64_t b = 0; b < a->B; b++) {
        const ws_real *x = a->state + b * (D + 1), *theta = a->theta + b * moved * stride, *dy = a->dy + b * (D + 1);
        ws_real *dtheta = a->dtheta ? a->dtheta + b * moved * stride : NULL;
        ws_real *dx = a->dstate ? a->dstate + b * (D + 1) : NULL;
        for (int64_t i = 0; i <= D; i++) {
            ws_real gradient = dy[i == D ? D : i + 1 < D ? i + 1 : 0];
            if (i >= a->kept && i < D) {
                int64_t at = (i - a->kept) * stride;
                gradient = ws_spline_gradient(x[i], theta + at, a->bins, a->bound, gradient, dy[D],
                                              a->accumulate_dtheta, dtheta ? dtheta + at : NULL);
            }
            if (dx)
                dx[i] = a->accumulate_dstate ? dx[i] + gradient : gradient;
        }
    }
}

WS_OPERATOR_KERNEL(beta_likelihood, forward)
{
    double total = 0;
    for (int64_t b = 0; b < a->B; b++) {
        const ws_real *y = a->state + b * (a->D + 1);
        ws_real sum = 0;
        for (int64_t i = 0; i < a->D; i++)
            sum += ws_beta_log(y[i], a->bound);
        total -= (double)(a->log_scale + y[a->D] + (a->shape - 1) * sum);
    }
    a->loss[0] = (ws_real)(total / (double)a->B);
}

WS_OPERATOR_KERNEL(beta_likelihood, backward)
{
    ws_real scale = -a->dloss[0] / (ws_real)a->B;
    if (a->dstate == NULL)
        return;
    for (int64_t b = 0; b < a->B; b++) {
        const ws_real *y = a->state + b * (a->D + 1);
        ws_real *dy = a->dstate + b * (a->D + 1);
        for (int64_t i = 0; i <= a->D; i++) {
            ws_real gradient = i == a->D ? scale : scale * (a->shape - 1) * ws_beta_log_slope(y[i], a->bound);
            dy[i] = a->accumulate_dstate ? dy[i] + gradient : gradient;
        }
    }
}
