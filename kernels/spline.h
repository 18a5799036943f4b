/* Monotone rational-quadratic splines (Durkan, Bekasov, Murray & Papamakarios 2019), for host and device.
 *
 * A spline maps [-bound, bound] onto itself with `bins` pieces; outside it is the identity. Its parameters are 3 bins - 1
 * numbers: widths and heights of the pieces as logits of a softmax, and the slopes at the inner knots before softplus; the
 * slopes at both ends are 1. Shares and slopes have a floor, so that neighbouring knots never fall together in floating
 * point.
 */
#ifndef WS_KERNELS_SPLINE_H
#define WS_KERNELS_SPLINE_H

#include "scalar.h"

enum { WS_SPLINE_MOST_BINS = 64 };
#define WS_SPLINE_FLOOR ((ws_real)1e-4)
/* A point of the beta distribution's interval is kept this share of the interval away from its ends. */
#define WS_BETA_FLOOR ((ws_real)1e-6)

typedef struct ws_spline_piece {
    int bin;
    ws_real x, y, width, height, left, right; /* where it begins, how far it goes, the slopes at both ends */
} ws_spline_piece;

/* size[k] = 2 bound (floor + (1 - bins floor) softmax(logits)[k]). */
WS_HD void ws_spline_sizes(const ws_real *logits, int bins, ws_real bound, ws_real *size)
{
    ws_real largest = logits[0], sum = 0;
    for (int k = 1; k < bins; k++)
        largest = logits[k] > largest ? logits[k] : largest;
    for (int k = 0; k < bins; k++)
        size[k] = ws_exp(logits[k] - largest);
    for (int k = 0; k < bins; k++)
        sum += size[k];
    ws_real scale = 2 * bound * (1 - (ws_real)bins * WS_SPLINE_FLOOR) / sum, least = 2 * bound * WS_SPLINE_FLOOR;
    for (int k = 0; k < bins; k++)
        size[k] = least + scale * size[k];
}

WS_HD ws_real ws_spline_slope(const ws_real *raw, int bins, int knot)
{
    return knot == 0 || knot == bins ? (ws_real)1 : WS_SPLINE_FLOOR + ws_softplus(raw[knot - 1]);
}

/* The piece that x, inside the bounds, lies in. */
WS_HD ws_spline_piece ws_spline_find(ws_real x, const ws_real *theta, const ws_real *widths, const ws_real *heights,
                                     int bins, ws_real bound)
{
    ws_spline_piece p = {0, -bound, -bound, widths[0], heights[0], 0, 0};
    while (p.bin < bins - 1 && x >= p.x + widths[p.bin]) {
        p.x += widths[p.bin];
        p.y += heights[p.bin];
        p.bin++;
    }
    p.width = widths[p.bin];
    p.height = heights[p.bin];
    p.left = ws_spline_slope(theta + 2 * bins, bins, p.bin);
    p.right = ws_spline_slope(theta + 2 * bins, bins, p.bin + 1);
    return p;
}

WS_HD int ws_spline_inside(ws_real x, ws_real bound)
{
    return x >= -bound && x <= bound; /* NaN is not */
}

/* How far x lies in its piece, in [0, 1] whatever rounding does. */
WS_HD ws_real ws_spline_place(const ws_spline_piece *p, ws_real x)
{
    ws_real place = (x - p->x) / p->width;
    return place < 0 ? (ws_real)0 : place > 1 ? (ws_real)1 : place;
}

/* y of x, which lies in this piece, and the logarithm of the slope there. */
WS_HD ws_real ws_spline_value_in(ws_real x, const ws_spline_piece *p, ws_real bound, ws_real *log_slope)
{
    ws_real e = ws_spline_place(p, x), s = p->height / p->width, f = 1 - e;
    ws_real over = s * e * e + p->left * e * f, under = s + (p->left + p->right - 2 * s) * e * f;
    ws_real slope = p->right * e * e + 2 * s * e * f + p->left * f * f;
    *log_slope = 2 * ws_log(s / under) + ws_log(slope);
    ws_real y = p->y + p->height * over / under;
    return y < -bound ? -bound : y > bound ? bound : y;
}

/* y(x), and the logarithm of its slope. */
WS_HD ws_real ws_spline_value(ws_real x, const ws_real *theta, int bins, ws_real bound, ws_real *log_slope)
{
    ws_real widths[WS_SPLINE_MOST_BINS], heights[WS_SPLINE_MOST_BINS];
    *log_slope = 0;
    if (!ws_spline_inside(x, bound))
        return x;
    ws_spline_sizes(theta, bins, bound, widths);
    ws_spline_sizes(theta + bins, bins, bound, heights);
    ws_spline_piece p = ws_spline_find(x, theta, widths, heights, bins, bound);
    return ws_spline_value_in(x, &p, bound, log_slope);
}

/* to[0..bins) (+)= gradient with respect to the logits, given that with respect to the sizes they make. */
WS_HD void ws_spline_logit_gradient(const ws_real *size, const ws_real *dsize, int bins, ws_real bound, int accumulate,
                                    ws_real *to)
{
    ws_real range = 2 * bound * (1 - (ws_real)bins * WS_SPLINE_FLOOR), least = 2 * bound * WS_SPLINE_FLOOR, mean = 0;
    for (int k = 0; k < bins; k++)
        mean += dsize[k] * (size[k] - least);
    mean /= range;
    for (int k = 0; k < bins; k++) {
        ws_real gradient = (size[k] - least) * (dsize[k] - mean);
        to[k] = accumulate ? to[k] + gradient : gradient;
    }
}

/* How a loss changes with x, with the sizes of the piece that x lies in and of those before it, and with the slopes at both ends;
 * with the height of those before it it changes as with y. */
typedef struct ws_spline_change {
    ws_real x, width, width_before, height, left, right;
} ws_spline_change;
WS_HD ws_spline_change ws_spline_change_in(ws_real x, const ws_spline_piece *p, ws_real dy, ws_real dlog)
{
    ws_real e = ws_spline_place(p, x), f = 1 - e, ef = e * f, s = p->height / p->width, turn = 1 - 2 * e;
    ws_real bend = p->left + p->right - 2 * s;
    ws_real over = s * e * e + p->left * ef, under = s + bend * ef;
    ws_real slope = p->right * e * e + 2 * s * ef + p->left * f * f;
    ws_real over_e = 2 * s * e + p->left * turn, under_e = bend * turn;
    ws_real slope_e = 2 * p->right * e + 2 * s * turn - 2 * p->left * f;
    ws_real y_scale = dy * p->height / (under * under), one_over_slope = 1 / slope, one_over_under = 1 / under;
    ws_real de =
        y_scale * (over_e * under - over * under_e) + dlog * (slope_e * one_over_slope - 2 * under_e * one_over_under);
    ws_real ds = y_scale * (e * e * under - over * (1 - 2 * ef)) +
                 dlog * (2 / s + 2 * ef * one_over_slope - 2 * (1 - 2 * ef) * one_over_under);
    ws_spline_change change;
    change.x = de / p->width;
    change.width_before = -de / p->width; /* knots before the piece move it; the piece itself is stretched */
    change.width = -(de * e + ds * s) / p->width;
    change.height = ds / p->width + dy * over * one_over_under;
    change.left = y_scale * ef * (under - over) + dlog * (f * f * one_over_slope - 2 * ef * one_over_under);
    change.right = -y_scale * over * ef + dlog * (e * e * one_over_slope - 2 * ef * one_over_under);
    return change;
}

/* Gradients of a loss with respect to x (returned) and theta (dtheta, NULL: not wanted), given those with respect to y and to
 * the logarithm of the slope. */
WS_HD ws_real ws_spline_gradient(ws_real x, const ws_real *theta, int bins, ws_real bound, ws_real dy, ws_real dlog,
                                 int accumulate, ws_real *dtheta)
{
    ws_real widths[WS_SPLINE_MOST_BINS], heights[WS_SPLINE_MOST_BINS], part[WS_SPLINE_MOST_BINS];
    if (!ws_spline_inside(x, bound)) {
        for (int k = 0; dtheta && !accumulate && k < 3 * bins - 1; k++)
            dtheta[k] = 0;
        return dy;
    }
    ws_spline_sizes(theta, bins, bound, widths);
    ws_spline_sizes(theta + bins, bins, bound, heights);
    ws_spline_piece p = ws_spline_find(x, theta, widths, heights, bins, bound);
    ws_spline_change change = ws_spline_change_in(x, &p, dy, dlog);
    if (dtheta == NULL)
        return change.x;
    for (int k = 0; k < bins; k++)
        part[k] = k < p.bin ? change.width_before : k == p.bin ? change.width : 0;
    ws_spline_logit_gradient(widths, part, bins, bound, accumulate, dtheta);
    for (int k = 0; k < bins; k++)
        part[k] = k < p.bin ? dy : k == p.bin ? change.height : 0;
    ws_spline_logit_gradient(heights, part, bins, bound, accumulate, dtheta + bins);
    for (int k = 1; k < bins; k++) {
        ws_real gradient = k == p.bin ? change.left : k == p.bin + 1 ? change.right : 0;
        gradient *= ws_sigmoid(theta[2 * bins + k - 1]);
        dtheta[2 * bins + k - 1] = accumulate ? dtheta[2 * bins + k - 1] + gradient : gradient;
    }
    return change.x;
}

/* Share of the way from -bound to bound, kept off both ends. */
WS_HD ws_real ws_beta_place(ws_real y, ws_real bound)
{
    ws_real u = (y + bound) / (2 * bound);
    return u < WS_BETA_FLOOR ? WS_BETA_FLOOR : u > 1 - WS_BETA_FLOOR ? 1 - WS_BETA_FLOOR : u;
}
/* ln u (1 - u) of that place, and its slope in y: 0 where the place was moved */
WS_HD ws_real ws_beta_log(ws_real y, ws_real bound)
{
    ws_real u = ws_beta_place(y, bound);
    return ws_log(u) + ws_log(1 - u);
}
WS_HD ws_real ws_beta_log_slope(ws_real y, ws_real bound)
{
    ws_real u = ws_beta_place(y, bound);
    if (u <= WS_BETA_FLOOR || u >= 1 - WS_BETA_FLOOR)
        return 0;
    return (1 / u - 1 / (1 - u)) / (2 * bound);
}

#endif
