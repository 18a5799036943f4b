/* Sinusoidal features of a time t in [0,1]: sin(w_i t) for the first half, cos(w_i t) for the second, with `width`/2
 * rates w_i spaced geometrically from 1 to 100 (Vaswani et al. 2017, scaled for a unit interval: the fastest still
 * turns slowly between two of 40 evaluations). Sine and cosine are our own, so the bits do not depend on the C library.
 */
#ifndef WS_MODELS_TIME_FEATURES_H
#define WS_MODELS_TIME_FEATURES_H

#include <stdint.h>
#include "../kernels/real.h"

/* |x| up to a few hundred. */
void ws_sine_and_cosine(double x, double *sine, double *cosine);
/* rates[width / 2]; width even, at least 4. */
void ws_time_rates(int64_t width, double *rates);
/* w_i = 10000^(-2i / width), as Vaswani et al. have them for positions. */
void ws_time_rates_falling(int64_t width, double *rates);
/* out[width]; |t| <= 2. */
void ws_time_features(double t, const double *rates, int64_t width, ws_real *out);

#endif
