/* Paths of conditional flow matching; see cfm_path.h. */
#include <math.h>
#include <stdbool.h>
#include "models/cfm_path.h"
#include "models/time_features.h"

static const double half_pi = 1.57079632679489661923;

ws_cfm_weights ws_cfm_path_at(ws_cfm_path path, double sigma, double t)
{
    double spread = sigma * sqrt(t * (1 - t)), sine, cosine;
    switch (path) {
    case WS_CFM_LIPMAN:
        return (ws_cfm_weights){
            .x1 = (float)t, .x0 = (float)(1 - (1 - sigma) * t), .velocity_x1 = 1, .velocity_x0 = (float)(sigma - 1)};
    case WS_CFM_SCHROEDINGER:
        return (ws_cfm_weights){.x1 = (float)t,
                                .x0 = (float)(1 - t),
                                .noise = (float)spread,
                                .velocity_x1 = 1,
                                .velocity_x0 = -1,
                                .velocity_noise = (float)((1 - 2 * t) / (2 * t * (1 - t) + 1e-8) * spread)};
    case WS_CFM_VARIANCE_PRESERVING:
        ws_sine_and_cosine(half_pi * t, &sine, &cosine);
        return (ws_cfm_weights){.x1 = (float)sine,
                                .x0 = (float)cosine,
                                .noise = (float)sigma,
                                .velocity_x1 = (float)(half_pi * cosine),
                                .velocity_x0 = (float)(-half_pi * sine)};
    default: /* WS_CFM_STRAIGHT */
        return (ws_cfm_weights){
            .x1 = (float)t, .x0 = (float)(1 - t), .noise = (float)sigma, .velocity_x1 = 1, .velocity_x0 = -1};
    }
}

double ws_cfm_source_variance(ws_cfm_path path, double sigma)
{
    bool blurred = path == WS_CFM_STRAIGHT || path == WS_CFM_VARIANCE_PRESERVING;
    return blurred ? 1 + sigma * sigma : 1;
}
