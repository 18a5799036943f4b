/* The spline operators: values against formulas written down anew in double; the map is monotone and can be inverted, its
 * slope is the derivative, and it is the identity outside; likelihoods against the density of beta variables; at every
 * instruction set level, without a write past the ends and with the same bits in a second run. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include "engine_test.h"
#include "spline.h"

enum { BINS = 16, PARAMETERS = 3 * BINS - 1 };
static const double bound = 5, least_share = 1e-4;

/* ---- a spline in double, from its definition: knots first, then the piece ---- */

typedef struct knots {
    double x[BINS + 1], y[BINS + 1], slope[BINS + 1];
} knots;

static void place_knots(const ws_real *logits, double at[BINS + 1])
{
    double sum = 0;
    for (int k = 0; k < BINS; k++)
        sum += exp((double)logits[k]);
    at[0] = -bound;
    for (int k = 0; k < BINS; k++)
        at[k + 1] = at[k] + 2 * bound * (least_share + (1 - BINS * least_share) * exp((double)logits[k]) / sum);
}

static knots make_knots(const ws_real *theta)
{
    knots out;
    place_knots(theta, out.x);
    place_knots(theta + BINS, out.y);
    out.slope[0] = out.slope[BINS] = 1;
    for (int k = 1; k < BINS; k++)
        out.slope[k] = least_share + log1p(exp((double)theta[2 * BINS + k - 1]));
    return out;
}

static int piece_of(const double at[BINS + 1], double value)
{
    int k = 0;
    while (k < BINS - 1 && value >= at[k + 1])
        k++;
    return k;
}

static double spline_at(const knots *n, double x)
{
    if (fabs(x) > bound)
        return x;
    int k = piece_of(n->x, x);
    double w = n->x[k + 1] - n->x[k], h = n->y[k + 1] - n->y[k], s = h / w, e = (x - n->x[k]) / w;
    return n->y[k] +
           h * (s * e * e + n->slope[k] * e * (1 - e)) / (s + (n->slope[k + 1] + n->slope[k] - 2 * s) * e * (1 - e));
}

static double slope_at(const knots *n, double x)
{
    double step = 1e-6;
    return (spline_at(n, x + step) - spline_at(n, x - step)) / (2 * step);
}

/* The root of the quadratic that the definition leaves for e (Durkan et al. 2019, equations 6 to 8). */
static double inverse_at(const knots *n, double y)
{
    if (fabs(y) > bound)
        return y;
    int k = piece_of(n->y, y);
    double w = n->x[k + 1] - n->x[k], h = n->y[k + 1] - n->y[k], s = h / w, d0 = n->slope[k], d1 = n->slope[k + 1];
    double t = y - n->y[k], a = h * (s - d0) + t * (d0 + d1 - 2 * s), b = h * d0 - t * (d0 + d1 - 2 * s), c = -s * t;
    return n->x[k] + w * 2 * c / (-b - sqrt(b * b - 4 * a * c));
}

static void fill_theta(ws_real *theta, uint64_t stream)
{
    fill_normal(theta, PARAMETERS, stream);
    for (int k = 0; k < PARAMETERS; k++)
        theta[k] *= (ws_real)1.5;
}

static void a_spline_follows_its_definition_and_can_be_inverted(void **state)
{
    (void)state;
    for (uint64_t trial = 0; trial < 20; trial++) {
        ws_real theta[PARAMETERS], previous = -6, log_slope;
        fill_theta(theta, trial);
        knots n = make_knots(theta);
        for (int i = 0; i <= 1000; i++) {
            ws_real x = (ws_real)(-5.9 + 11.8 * i / 1000),
                    y = ws_spline_value(x, theta, BINS, (ws_real)bound, &log_slope);
            double want = spline_at(&n, (double)x), slope = slope_at(&n, (double)x);
            assert_true(y >= previous); /* it never turns back, so it can be inverted */
            previous = y;
            assert_true(fabs((double)y - want) <= 1e-5 * (1 + slope));
            /* back again: as near as the flatness of the map allows */
            assert_true(fabs(inverse_at(&n, want) - (double)x) <= 1e-9 * (1 + 1 / slope));
            if (fabs(fabs((double)x) - bound) > 1e-3)
                assert_true(fabs((double)log_slope - log(slope)) <= 2e-3);
            if (fabs((double)x) > bound)
                assert_true(y == x && log_slope == 0);
        }
        assert_true(ws_spline_value((ws_real)bound, theta, BINS, (ws_real)bound, &log_slope) <= (ws_real)bound);
        assert_true(ws_spline_value((ws_real)-bound, theta, BINS, (ws_real)bound, &log_slope) == (ws_real)-bound);
        assert_true(isnan(ws_spline_value((ws_real)NAN, theta, BINS, (ws_real)bound, &log_slope)) && log_slope == 0);
    }
}

/* Parameters as far apart as floating point has them still give finite values and gradients. */
static void extreme_parameters_stay_finite(void **state)
{
    (void)state;
    ws_real theta[PARAMETERS], gradient[PARAMETERS], log_slope;
    for (int k = 0; k < PARAMETERS; k++)
        theta[k] = k % 3 == 0 ? -300 : k % 3 == 1 ? 300 : 0;
    for (int i = 0; i <= 100; i++) {
        ws_real x = (ws_real)(-5 + i / 10.0), y = ws_spline_value(x, theta, BINS, (ws_real)bound, &log_slope);
        assert_true(isfinite(y) && isfinite(log_slope) && fabsf(y) <= (ws_real)bound);
        assert_true(isfinite(ws_spline_gradient(x, theta, BINS, (ws_real)bound, 1, 1, 0, gradient)));
        for (int k = 0; k < PARAMETERS; k++)
            assert_true(isfinite(gradient[k]));
    }
}

/* ---- the operators ---- */

static void run_coupling(ws_isa isa, int64_t B, int64_t D)
{
    int64_t kept = D / 2, moved = D - kept;
    size_t states = (size_t)(B * (D + 1)), parameters = (size_t)(B * moved * PARAMETERS);
    ws_real *state = guarded_normal(states, 1), *theta = guarded_normal(parameters, 2), *y = guarded(states);
    ws_real *scratch = guarded((size_t)(B * moved)), *dy = guarded_normal(states, 3), *dstate[2], *dtheta[2];
    double *want = NULL;
    OK(WS_NEW_ARRAY(want, states));
    for (size_t i = 0; i < states; i++)
        state[i] *= 3; /* some lie outside */
    for (size_t i = 0; i < parameters; i++)
        theta[i] /= 2; /* where maps are steep, a rounding of x is seen in y */
    for (int64_t b = 0; b < B; b++) {
        const ws_real *x = state + b * (D + 1);
        want[b * (D + 1) + D] = (double)x[D];
        for (int64_t i = 0; i < D; i++) {
            double value = (double)x[i];
            if (i >= kept) {
                knots n = make_knots(theta + (b * moved + i - kept) * PARAMETERS);
                value = spline_at(&n, (double)x[i]);
                want[b * (D + 1) + D] += fabs((double)x[i]) > bound ? 0 : log(slope_at(&n, (double)x[i]));
            }
            want[b * (D + 1) + (i + 1) % D] = value;
        }
    }
    ws_spline_coupling_arguments a = {.B = B, .D = D, .kept = kept, .bins = BINS, .bound = (ws_real)bound};
    a.state = state, a.theta = theta, a.y = y, a.scratch = scratch;
    ws_kernels_of(isa)->spline_coupling_forward(&a, NULL);
    assert_near("spline_coupling", y, want, states, 2e-5);
    for (int run = 0; run < 2; run++) {
        dstate[run] = guarded(states), dtheta[run] = guarded(parameters);
        a.dy = dy, a.dstate = dstate[run], a.dtheta = dtheta[run];
        ws_kernels_of(isa)->spline_coupling_backward(&a, NULL);
    }
    assert_memory_equal(dstate[0], dstate[1], states * sizeof **dstate);
    assert_memory_equal(dtheta[0], dtheta[1], parameters * sizeof **dtheta);
    a.dtheta = NULL; /* the gradient of the state does not need the other one */
    ws_kernels_of(isa)->spline_coupling_backward(&a, NULL);
    assert_memory_equal(dstate[0], dstate[1], states * sizeof **dstate);
    for (int run = 0; run < 2; run++)
        release(dstate[run], states), release(dtheta[run], parameters);
    release(state, states), release(theta, parameters), release(y, states), release(dy, states);
    release(scratch, (size_t)(B * moved));
    free(want);
}

static void couplings_move_the_columns_they_should(void **state)
{
    (void)state;
    static const int64_t rows[] = {1, 3, 17, 70}, widths[] = {1, 2, 3, 6, 23};
    FOR_EACH_LEVEL(isa)
    for (size_t b = 0; b < 4; b++)
        for (size_t d = 0; d < 5; d++)
            run_coupling(isa, rows[b], widths[d]);
}

/* A Beta(2, 2) density on [-1, 1] is 3/4 (1 - y^2); it integrates to one for any shape. */
static void a_likelihood_is_that_of_beta_variables(void **state)
{
    (void)state;
    FOR_EACH_LEVEL(isa)
    {
        ws_real rows[2 * 3] = {(ws_real)0.5, (ws_real)-0.2, (ws_real)0.7, (ws_real)0.9, 0, -1}, loss[1], scratch[2];
        double want = 0;
        for (int b = 0; b < 2; b++)
            for (int i = 0; i < 2; i++)
                want -= log(0.75 * (1 - pow((double)rows[b * 3 + i], 2))) / 2;
        want -= (0.7 - 1) / 2;
        ws_beta_likelihood_arguments a = {.B = 2, .D = 2, .bound = 1, .shape = 2, .state = rows, .loss = loss};
        a.log_scale = (ws_real)ws_beta_log_scale(2, 1, 2);
        a.scratch = scratch;
        ws_kernels_of(isa)->beta_likelihood_forward(&a, NULL);
        assert_near("beta_likelihood", loss, &want, 1, 1e-6);
        double mass = 0;
        a.B = a.D = 1;
        a.bound = 5, a.shape = 13, a.log_scale = (ws_real)ws_beta_log_scale(1, 5, 13);
        rows[1] = 0;
        for (int i = 0; i < 2000; i++) {
            rows[0] = (ws_real)(-5 + (i + 0.5) / 200);
            ws_kernels_of(isa)->beta_likelihood_forward(&a, NULL);
            mass += exp(-(double)loss[0]) / 200;
        }
        assert_true(fabs(mass - 1) < 1e-4);
        rows[0] = 7; /* beyond the end: far away, and finite */
        ws_kernels_of(isa)->beta_likelihood_forward(&a, NULL);
        assert_true(isfinite(loss[0]) && loss[0] > 100);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_spline_follows_its_definition_and_can_be_inverted),
        cmocka_unit_test(extreme_parameters_stay_finite),
        cmocka_unit_test(couplings_move_the_columns_they_should),
        cmocka_unit_test(a_likelihood_is_that_of_beta_variables),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
