/* beta_likelihood on the CPU. */
#include "level.h"
#include "spline.h"

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
