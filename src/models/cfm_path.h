/* Paths of conditional flow matching: from noise x0 ~ N(0, I) at t = 0 to a row x1 at t = 1, and the velocity u along them
 * that the network learns (Lipman et al. 2023; Tong et al. 2024, whose names these are). e ~ N(0, I).
 *
 *   straight             x = t x1 + (1 - t) x0 + s e                 u = x1 - x0
 *                        I-CFM; with pairs from optimal transport OT-CFM. At t = 1 the rows blurred by s, at t = 0 N(0, 1 + s^2)
 *   lipman               x = t x1 + (1 - (1 - s) t) x0               u = x1 - (1 - s) x0
 *                        target flow matching; s is the blur at t = 1
 *   schroedinger         x = t x1 + (1 - t) x0 + s sqrt(t (1-t)) e   u = x1 - x0 + (1-2t) / (2t (1-t) + 1e-8) s sqrt(t (1-t)) e
 *                        the bridge where pairs come from the entropic coupling
 *   variance_preserving  x = sin(pi t/2) x1 + cos(pi t/2) x0 + s e   u = pi/2 (cos(pi t/2) x1 - sin(pi t/2) x0)
 */
#ifndef WS_MODELS_CFM_PATH_H
#define WS_MODELS_CFM_PATH_H

typedef enum ws_cfm_path {
    WS_CFM_STRAIGHT,
    WS_CFM_LIPMAN,
    WS_CFM_SCHROEDINGER,
    WS_CFM_VARIANCE_PRESERVING
} ws_cfm_path;
#define WS_CFM_PATHS "straight|lipman|schroedinger|variance_preserving" /* in the order of the enum */

/* x and u as sums of x1, x0 and e. */
typedef struct ws_cfm_weights {
    float x1, x0, noise;
    float velocity_x1, velocity_x0, velocity_noise;
} ws_cfm_weights;
/* 0 <= t <= 1 */
ws_cfm_weights ws_cfm_path_at(ws_cfm_path path, double sigma, double t);
/* Variance of each element at t = 0: what a normal row's end is measured against. */
double ws_cfm_source_variance(ws_cfm_path path, double sigma);

#endif
