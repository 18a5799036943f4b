/* add, mul, scale, activate, glu, concat and slice on the CPU. */
#include "rows.h"

WS_OPERATOR_KERNEL(add, forward)
{
    const ws_real *x = a->a, *z = a->b;
    ws_real *restrict y = a->y;
    for (int64_t i = 0; i < a->count; i++)
        y[i] = x[i] + z[i];
}

WS_OPERATOR_KERNEL(add, backward)
{
    if (a->da)
        ws_pass_gradient(a->da, a->dy, a->count, a->accumulate_da);
    if (a->db)
        ws_pass_gradient(a->db, a->dy, a->count, a->accumulate_db);
}

WS_OPERATOR_KERNEL(mul, forward)
{
    const ws_real *x = a->a, *z = a->b;
    ws_real *restrict y = a->y;
    for (int64_t i = 0; i < a->count; i++)
        y[i] = x[i] * z[i];
}

/* to = dy * other, or to += dy * other */
WS_INLINE void pass_product(ws_real *restrict to, const ws_real *restrict dy, const ws_real *restrict other,
                            int64_t count, bool accumulate)
{
    if (accumulate)
        for (int64_t i = 0; i < count; i++)
            to[i] += dy[i] * other[i];
    else
        for (int64_t i = 0; i < count; i++)
            to[i] = dy[i] * other[i];
}

WS_OPERATOR_KERNEL(mul, backward)
{
    if (a->da)
        pass_product(a->da, a->dy, a->b, a->count, a->accumulate_da);
    if (a->db)
        pass_product(a->db, a->dy, a->a, a->count, a->accumulate_db);
}

WS_OPERATOR_KERNEL(scale, forward)
{
    ws_real factor = a->factor;
    const ws_real *restrict x = a->x;
    ws_real *restrict y = a->y;
    for (int64_t i = 0; i < a->count; i++)
        y[i] = factor * x[i];
}

WS_OPERATOR_KERNEL(scale, backward)
{
    ws_real factor = a->by ? a->backward_factor * a->by[0] : a->backward_factor;
    const ws_real *restrict dy = a->dy;
    ws_real *restrict dx = a->dx;
    if (a->accumulate_dx)
        for (int64_t i = 0; i < a->count; i++)
            dx[i] += factor * dy[i];
    else
        for (int64_t i = 0; i < a->count; i++)
            dx[i] = factor * dy[i];
}

WS_INLINE void activate(const ws_activate_arguments *a, ws_activation activation)
{
    const ws_real *restrict x = a->x;
    ws_real *restrict y = a->y;
    for (int64_t i = 0; i < a->count; i++)
        y[i] = ws_activation_value(activation, x[i]);
}

WS_OPERATOR_KERNEL(activate, forward)
{
    switch (a->activation) {
    case WS_RELU:
        activate(a, WS_RELU);
        break;
    case WS_SILU:
        activate(a, WS_SILU);
        break;
    case WS_GELU:
        activate(a, WS_GELU);
        break;
    case WS_TANH:
        activate(a, WS_TANH);
        break;
    case WS_LEAKY_RELU:
        activate(a, WS_LEAKY_RELU);
        break;
    case WS_SIGMOID:
        activate(a, WS_SIGMOID);
        break;
    default:
        activate(a, WS_NONE);
    }
}

WS_INLINE void differentiate(const ws_activate_arguments *a, ws_activation activation)
{
    const ws_real *restrict dy = a->dy, *restrict known = ws_activation_needs_z(activation) ? a->x : a->y;
    ws_real *restrict dx = a->dx;
    if (a->accumulate_dx)
        for (int64_t i = 0; i < a->count; i++)
            dx[i] += dy[i] * ws_activation_slope(activation, known[i]);
    else
        for (int64_t i = 0; i < a->count; i++)
            dx[i] = dy[i] * ws_activation_slope(activation, known[i]);
}

WS_OPERATOR_KERNEL(activate, backward)
{
    switch (a->activation) {
    case WS_RELU:
        differentiate(a, WS_RELU);
        break;
    case WS_SILU:
        differentiate(a, WS_SILU);
        break;
    case WS_GELU:
        differentiate(a, WS_GELU);
        break;
    case WS_TANH:
        differentiate(a, WS_TANH);
        break;
    case WS_LEAKY_RELU:
        differentiate(a, WS_LEAKY_RELU);
        break;
    case WS_SIGMOID:
        differentiate(a, WS_SIGMOID);
        break;
    default:
        ws_pass_gradient(a->dx, a->dy, a->count, a->accumulate_dx);
    }
}

WS_INLINE void gate(const ws_glu_arguments *a, ws_activation activation)
{
    for (int64_t r = 0, D = a->D; r < a->R; r++) {
        const ws_real *restrict x = a->x + 2 * r * D;
        ws_real *restrict y = a->y + r * D;
        for (int64_t d = 0; d < D; d++)
            y[d] = x[d] * ws_activation_value(activation, x[D + d]);
    }
}

WS_OPERATOR_KERNEL(glu, forward)
{
    switch (a->activation) {
    case WS_RELU:
        gate(a, WS_RELU);
        break;
    case WS_SILU:
        gate(a, WS_SILU);
        break;
    case WS_GELU:
        gate(a, WS_GELU);
        break;
    case WS_TANH:
        gate(a, WS_TANH);
        break;
    case WS_LEAKY_RELU:
        gate(a, WS_LEAKY_RELU);
        break;
    case WS_SIGMOID:
        gate(a, WS_SIGMOID);
        break;
    default:
        gate(a, WS_NONE);
    }
}

WS_INLINE void differentiate_gate(const ws_glu_arguments *a, ws_activation activation)
{
    for (int64_t r = 0, D = a->D; r < a->R; r++) {
        const ws_real *restrict x = a->x + 2 * r * D, *restrict dy = a->dy + r * D;
        ws_real *restrict left = a->dx + 2 * r * D, *restrict right = left + D;
        for (int64_t d = 0; d < D; d++) {
            ws_real z = x[D + d], value = ws_activation_value(activation, z);
            ws_real slope = ws_activation_slope(activation, ws_activation_needs_z(activation) ? z : value);
            left[d] = dy[d] * value + (a->accumulate_dx ? left[d] : 0);
            right[d] = dy[d] * x[d] * slope + (a->accumulate_dx ? right[d] : 0);
        }
    }
}

WS_OPERATOR_KERNEL(glu, backward)
{
    switch (a->activation) {
    case WS_RELU:
        differentiate_gate(a, WS_RELU);
        break;
    case WS_SILU:
        differentiate_gate(a, WS_SILU);
        break;
    case WS_GELU:
        differentiate_gate(a, WS_GELU);
        break;
    case WS_TANH:
        differentiate_gate(a, WS_TANH);
        break;
    case WS_LEAKY_RELU:
        differentiate_gate(a, WS_LEAKY_RELU);
        break;
    case WS_SIGMOID:
        differentiate_gate(a, WS_SIGMOID);
        break;
    default:
        differentiate_gate(a, WS_NONE);
    }
}

WS_OPERATOR_KERNEL(concat, forward)
{
    int64_t left = a->A_width, right = a->B_width;
    for (int64_t b = 0; b < a->B; b++) {
        memcpy(a->y + b * (left + right), a->a + b * left, (size_t)left * sizeof *a->y);
        memcpy(a->y + b * (left + right) + left, a->b + b * right, (size_t)right * sizeof *a->y);
    }
}

WS_OPERATOR_KERNEL(concat, backward)
{
    int64_t left = a->A_width, right = a->B_width;
    for (int64_t b = 0; b < a->B; b++) {
        const ws_real *dy = a->dy + b * (left + right);
        if (a->da)
            ws_pass_gradient(a->da + b * left, dy, left, a->accumulate_da);
        if (a->db)
            ws_pass_gradient(a->db + b * right, dy + left, right, a->accumulate_db);
    }
}

WS_OPERATOR_KERNEL(slice, forward)
{
    for (int64_t b = 0; b < a->B; b++)
        memcpy(a->y + b * a->width, a->x + b * a->whole + a->begin, (size_t)a->width * sizeof *a->y);
}

WS_OPERATOR_KERNEL(slice, backward)
{
    int64_t behind = a->whole - a->begin - a->width;
    for (int64_t b = 0; b < a->B; b++) {
        ws_real *dx = a->dx + b * a->whole;
        ws_pass_gradient(dx + a->begin, a->dy + b * a->width, a->width, a->accumulate_dx);
        if (a->accumulate_dx)
            continue;
        memset(dx, 0, (size_t)a->begin * sizeof *dx);
        memset(dx + a->begin + a->width, 0, (size_t)behind * sizeof *dx);
    }
}
