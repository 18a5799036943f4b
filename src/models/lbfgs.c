/* L-BFGS with a weak Wolfe line search; see lbfgs.h. */
#include <math.h>
#include <stdlib.h>
#include "models/lbfgs.h"

typedef struct lbfgs_state {
    size_t count;
    int64_t history, stored, newest; /* ring of `history` pairs */
    double *steps, *changes;         /* s_k and y_k, [history][count] */
    double *inverse_curvature;       /* 1 / (s_k . y_k) */
    double *coefficient;
    double *gradient, *direction, *trial, *trial_gradient;
} lbfgs_state;

static double dot(const double *a, const double *b, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += a[i] * b[i];
    return sum;
}

static double largest(const double *values, size_t count)
{
    double most = 0;
    for (size_t i = 0; i < count; i++)
        most = fmax(most, fabs(values[i]));
    return most;
}

static ws_err state_create(lbfgs_state *s, size_t count, int64_t history)
{
    size_t pairs = (size_t)history;
    *s = (lbfgs_state){.count = count, .history = history};
    WS_TRY(WS_NEW_ARRAY(s->steps, pairs * count));
    WS_TRY(WS_NEW_ARRAY(s->changes, pairs * count));
    WS_TRY(WS_NEW_ARRAY(s->inverse_curvature, pairs));
    WS_TRY(WS_NEW_ARRAY(s->coefficient, pairs));
    WS_TRY(WS_NEW_ARRAY(s->gradient, count));
    WS_TRY(WS_NEW_ARRAY(s->direction, count));
    WS_TRY(WS_NEW_ARRAY(s->trial, count));
    WS_TRY(WS_NEW_ARRAY(s->trial_gradient, count));
    return WS_OK;
}

static void state_destroy(lbfgs_state *s)
{
    free(s->steps);
    free(s->changes);
    free(s->inverse_curvature);
    free(s->coefficient);
    free(s->gradient);
    free(s->direction);
    free(s->trial);
    free(s->trial_gradient);
}

/* direction = -H gradient by the two-loop recursion. */
static void find_direction(lbfgs_state *s)
{
    size_t n = s->count;
    double *q = s->direction;
    for (size_t i = 0; i < n; i++)
        q[i] = -s->gradient[i];
    for (int64_t k = 0; k < s->stored; k++) {
        size_t slot = (size_t)((s->newest - k + s->history) % s->history);
        double c = s->coefficient[slot] = s->inverse_curvature[slot] * dot(s->steps + slot * n, q, n);
        for (size_t i = 0; i < n; i++)
            q[i] -= c * s->changes[slot * n + i];
    }
    if (s->stored > 0) {
        const double *y = s->changes + (size_t)s->newest * n;
        double scale = 1 / (s->inverse_curvature[s->newest] * dot(y, y, n));
        for (size_t i = 0; i < n; i++)
            q[i] *= scale;
    }
    for (int64_t k = s->stored - 1; k >= 0; k--) {
        size_t slot = (size_t)((s->newest - k + s->history) % s->history);
        double c = s->coefficient[slot] - s->inverse_curvature[slot] * dot(s->changes + slot * n, q, n);
        for (size_t i = 0; i < n; i++)
            q[i] += c * s->steps[slot * n + i];
    }
}

/* Keeps the pair (trial - x, trial_gradient - gradient) unless its curvature is too small to be trusted. */
static void remember_pair(lbfgs_state *s, const double *x)
{
    size_t n = s->count, slot = (size_t)((s->newest + 1) % s->history);
    double *step = s->steps + slot * n, *change = s->changes + slot * n;
    for (size_t i = 0; i < n; i++) {
        step[i] = s->trial[i] - x[i];
        change[i] = s->trial_gradient[i] - s->gradient[i];
    }
    double curvature = dot(step, change, n);
    if (!(curvature > 1e-14 * dot(change, change, n)))
        return;
    s->inverse_curvature[slot] = 1 / curvature;
    s->newest = (int64_t)slot;
    if (s->stored < s->history)
        s->stored++;
}

/* Finds a step along direction that meets the weak Wolfe conditions; the point and its gradient are left in trial and
 * trial_gradient. *found is false when double precision allows no further decrease. */
static ws_err search_line(lbfgs_state *s, ws_objective objective, void *context, const double *x, double value,
                          double first_length, ws_lbfgs_report *report, double *trial_value, bool *found)
{
    const double sufficient_decrease = 1e-4, curvature = 0.9;
    size_t n = s->count;
    double slope = dot(s->gradient, s->direction, n), low = 0, high = INFINITY, length = first_length;
    *found = false;
    for (int attempt = 0; attempt < 60; attempt++) {
        for (size_t i = 0; i < n; i++)
            s->trial[i] = x[i] + length * s->direction[i];
        WS_TRY(objective(context, s->trial, trial_value, s->trial_gradient));
        report->evaluations++;
        if (!(*trial_value <= value + sufficient_decrease * length * slope)) {
            high = length;
        } else if (dot(s->trial_gradient, s->direction, n) < curvature * slope) {
            low = length;
        } else {
            *found = true;
            return WS_OK;
        }
        length = isinf(high) ? 2 * low : low + (high - low) / 2;
    }
    return WS_OK;
}

static ws_err iterate(const ws_lbfgs_options *options, lbfgs_state *s, ws_objective objective, void *context, double *x,
                      ws_lbfgs_report *report)
{
    size_t n = s->count;
    WS_TRY(objective(context, x, &report->value, s->gradient));
    report->evaluations++;
    for (;;) {
        report->gradient_maximum = largest(s->gradient, n);
        WS_CHECK(isfinite(report->value) && isfinite(report->gradient_maximum), NUMERIC,
                 "minimisation: the objective is not finite after %lld iterations", (long long)report->iterations);
        report->converged = report->gradient_maximum <= options->gradient_tolerance;
        if (report->converged || report->iterations == options->maximum_iterations)
            return WS_OK;
        find_direction(s);
        if (!(dot(s->gradient, s->direction, n) < 0)) { /* rounding spoiled the memory: start it anew */
            s->stored = 0;
            find_direction(s);
        }
        double first = s->stored > 0 ? 1 : fmin(1, 1 / sqrt(dot(s->gradient, s->gradient, n))), trial_value;
        bool found;
        WS_TRY(search_line(s, objective, context, x, report->value, first, report, &trial_value, &found));
        if (!found)
            return WS_OK;
        remember_pair(s, x);
        memcpy(x, s->trial, n * sizeof *x);
        memcpy(s->gradient, s->trial_gradient, n * sizeof *x);
        report->value = trial_value;
        report->iterations++;
    }
}

ws_err ws_lbfgs_minimise_all(const ws_comm *comm, const ws_lbfgs_options *options, ws_objective objective,
                             void *context, double *x, size_t count, ws_lbfgs_report *report)
{
    lbfgs_state state;
    *report = (ws_lbfgs_report){0};
    ws_err error = ws_agree_all(comm, state_create(&state, count, options->history));
    if (error == WS_OK)
        error = iterate(options, &state, objective, context, x, report);
    state_destroy(&state);
    WS_TRY(error);
    return WS_OK;
}
