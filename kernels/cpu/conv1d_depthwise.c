/* conv1d_depthwise and flip_sequence on the CPU: rows of channels, the weights with the channels side by side. Backward
 * walks each sequence from its end and keeps the gradients before the activation of `width` steps only. */
#include "level.h"

static void turn_weights(const ws_conv1d_depthwise_arguments *a, ws_real *turned)
{
    for (int64_t e = 0; e < a->E; e++)
        for (int64_t k = 0; k < a->width; k++)
            turned[k * a->E + e] = a->weight[e * a->width + k];
}

/* The taps [first, end) of step t lie within the sequence. */
WS_INLINE void taps_within(const ws_conv1d_depthwise_arguments *a, int64_t t, int64_t *first, int64_t *end)
{
    *first = t < a->before ? a->before - t : 0;
    *end = a->T - t + a->before < a->width ? a->T - t + a->before : a->width;
}

/* p of step t; x is the sequence's first row. */
WS_INLINE void convolve(const ws_conv1d_depthwise_arguments *a, const ws_real *turned, const ws_real *x, int64_t t,
                        ws_real *restrict p)
{
    int64_t E = a->E, first, end, e = 0;
    taps_within(a, t, &first, &end);
    const ws_real *rows = x + (t - a->before) * E;
    for (; e + WS_LANES <= E; e += WS_LANES) {
        ws_register sums[WS_REGISTERS];
        WS_FOR_REGISTERS(r) sums[r] = ws_load(a->bias + e + r * WS_WIDTH);
        for (int64_t k = first; k < end; k++)
            WS_FOR_REGISTERS(r)
        sums[r] += ws_load(turned + k * E + e + r * WS_WIDTH) * ws_load(rows + k * E + e + r * WS_WIDTH);
        memcpy(p + e, sums, sizeof sums);
    }
    for (; e < E; e++) {
        ws_real sum = a->bias[e];
        for (int64_t k = first; k < end; k++)
            sum += turned[k * E + e] * rows[k * E + e];
        p[e] = sum;
    }
}

WS_INLINE void forward_as(const ws_conv1d_depthwise_arguments *a, ws_activation activation)
{
    turn_weights(a, a->scratch);
    for (int64_t b = 0; b < a->B; b++)
        for (int64_t t = 0; t < a->T; t++) {
            ws_real *restrict y = a->y + (b * a->T + t) * a->E;
            convolve(a, a->scratch, a->x + b * a->T * a->E, t, y);
            for (int64_t e = 0; e < a->E; e++)
                y[e] = ws_activation_value(activation, y[e]);
        }
}

WS_OPERATOR_KERNEL(conv1d_depthwise, forward)
{
    switch (a->activation) {
    case WS_RELU:
        forward_as(a, WS_RELU);
        break;
    case WS_SILU:
        forward_as(a, WS_SILU);
        break;
    case WS_GELU:
        forward_as(a, WS_GELU);
        break;
    case WS_TANH:
        forward_as(a, WS_TANH);
        break;
    case WS_LEAKY_RELU:
        forward_as(a, WS_LEAKY_RELU);
        break;
    case WS_SIGMOID:
        forward_as(a, WS_SIGMOID);
        break;
    default:
        forward_as(a, WS_NONE);
    }
}

/* What backward keeps: the weights turned, dp of the last `width` steps in a ring, the parameters' gradients of the
 * sequence. */
typedef struct room {
    ws_real *turned, *ring, *dweight, *dbias;
} room;

static ws_real *ring_row(const ws_conv1d_depthwise_arguments *a, const room *m, int64_t t)
{
    return m->ring + t % a->width * a->E;
}

/* dp of step t, with its part of the parameters' gradients. */
WS_INLINE void differentiate_step(const ws_conv1d_depthwise_arguments *a, ws_activation activation, const room *m,
                                  int64_t b, int64_t t)
{
    int64_t E = a->E, first, end;
    const ws_real *x = a->x + b * a->T * E, *restrict dy = a->dy + (b * a->T + t) * E;
    ws_real *restrict dp = ring_row(a, m, t), *restrict dbias = m->dbias;
    if (activation == WS_NONE) {
        memcpy(dp, dy, (size_t)E * sizeof *dp);
    } else {
        convolve(a, m->turned, x, t, dp);
        for (int64_t e = 0; e < E; e++)
            dp[e] = dy[e] * ws_activation_slope_at(activation, dp[e]);
    }
    if (!a->dweight)
        return;
    for (int64_t e = 0; e < E; e++)
        dbias[e] += dp[e];
    taps_within(a, t, &first, &end);
    for (int64_t k = first; k < end; k++) {
        const ws_real *restrict row = x + (t - a->before + k) * E;
        ws_real *restrict dweight = m->dweight + k * E;
        for (int64_t e = 0; e < E; e++)
            dweight[e] += dp[e] * row[e];
    }
}

/* dx[t] = sum over k of weight[k] dp[t + before - k], of which all rows are in the ring. */
static void gather_step(const ws_conv1d_depthwise_arguments *a, const room *m, int64_t b, int64_t t)
{
    int64_t E = a->E, first = t + a->before - a->T + 1 > 0 ? t + a->before - a->T + 1 : 0;
    int64_t end = t + a->before + 1 < a->width ? t + a->before + 1 : a->width;
    ws_real *restrict dx = a->dx + (b * a->T + t) * E;
    if (!a->accumulate_dx)
        memset(dx, 0, (size_t)E * sizeof *dx);
    for (int64_t k = first; k < end; k++) {
        const ws_real *restrict dp = ring_row(a, m, t + a->before - k), *restrict weight = m->turned + k * E;
        for (int64_t e = 0; e < E; e++)
            dx[e] += weight[e] * dp[e];
    }
}

WS_INLINE void backward_as(const ws_conv1d_depthwise_arguments *a, ws_activation activation)
{
    int64_t E = a->E, after = a->width - 1 - a->before;
    room m = {.turned = a->scratch, .ring = a->scratch + a->width * E};
    m.dweight = m.ring + a->width * E;
    m.dbias = m.dweight + a->width * E;
    turn_weights(a, m.turned);
    if (a->dweight) {
        memset(a->dweight, 0, (size_t)(E * a->width) * sizeof *a->dweight);
        memset(a->dbias, 0, (size_t)E * sizeof *a->dbias);
    }
    for (int64_t b = 0; b < a->B; b++) {
        memset(m.dweight, 0, (size_t)(E * (a->width + 1)) * sizeof *m.dweight);
        for (int64_t t = a->T - 1; t >= -after; t--) {
            if (t >= 0)
                differentiate_step(a, activation, &m, b, t);
            if (a->dx && t + after < a->T) /* the last step that needs dp of step t */
                gather_step(a, &m, b, t + after);
        }
        for (int64_t e = 0; a->dweight && e < E; e++) {
            a->dbias[e] += m.dbias[e];
            for (int64_t k = 0; k < a->width; k++)
                a->dweight[e * a->width + k] += m.dweight[k * E + e];
        }
    }
}

WS_OPERATOR_KERNEL(conv1d_depthwise, backward)
{
    switch (a->activation) {
    case WS_RELU:
        backward_as(a, WS_RELU);
        break;
    case WS_SILU:
        backward_as(a, WS_SILU);
        break;
    case WS_GELU:
        backward_as(a, WS_GELU);
        break;
    case WS_TANH:
        backward_as(a, WS_TANH);
        break;
    case WS_LEAKY_RELU:
        backward_as(a, WS_LEAKY_RELU);
        break;
    case WS_SIGMOID:
        backward_as(a, WS_SIGMOID);
        break;
    default:
        backward_as(a, WS_NONE);
    }
}

/* ---- flip_sequence ---- */

WS_INLINE int64_t flipped(const ws_flip_sequence_arguments *a, int64_t b, int64_t t)
{
    int64_t length = a->lengths && a->lengths[b] < a->T ? a->lengths[b] : a->T;
    return t < length ? length - 1 - t : t;
}

WS_OPERATOR_KERNEL(flip_sequence, forward)
{
    for (int64_t b = 0; b < a->B; b++)
        for (int64_t t = 0; t < a->T; t++)
            memcpy(a->y + (b * a->T + t) * a->D, a->x + (b * a->T + flipped(a, b, t)) * a->D,
                   (size_t)a->D * sizeof *a->y);
}

WS_OPERATOR_KERNEL(flip_sequence, backward)
{
    for (int64_t b = 0; b < a->B; b++)
        for (int64_t t = 0; t < a->T; t++) {
            const ws_real *restrict dy = a->dy + (b * a->T + flipped(a, b, t)) * a->D;
            ws_real *restrict dx = a->dx + (b * a->T + t) * a->D;
            if (a->accumulate_dx)
                for (int64_t d = 0; d < a->D; d++)
                    dx[d] += dy[d];
            else
                memcpy(dx, dy, (size_t)a->D * sizeof *dx);
        }
}
