/* Solvers on equations with known solutions: order of convergence, direction of time, rows that do not see each other;
 * and the time features against the C library. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <math.h>
#include "models/ode.h"
#include "models/time_features.h"

static void linear_field(void *context, double t, const ws_real *x, ws_real *velocity)
{
    double a = *(const double *)context;
    (void)t;
    velocity[0] = (ws_real)(a * x[0]);
}

/* dx/dt = 3 t^2 x: a field that depends on time, with solution exp(t^3). */
static void cubic_field(void *context, double t, const ws_real *x, ws_real *velocity)
{
    (void)context;
    velocity[0] = (ws_real)(3 * t * t * x[0]);
}

static double error_of(ws_ode_method method, int64_t steps, ws_velocity field, void *context, double exact)
{
    ws_real x = 1, scratch[WS_ODE_SCRATCH(1)];
    ws_ode_solve(method, steps, 0, 1, field, context, &x, 1, scratch);
    return fabs((double)x - exact);
}

static void converges_with_its_order(void **state)
{
    (void)state;
    static const double order[WS_ODE_COUNT] = {1, 2, 2, 4};
    static const int64_t steps[WS_ODE_COUNT] = {64, 16, 16, 3}; /* coarse enough to stand above float rounding */
    double rate = 2;
    for (int m = 0; m < WS_ODE_COUNT; m++) {
        double coarse = error_of((ws_ode_method)m, steps[m], linear_field, &rate, exp(2));
        double fine = error_of((ws_ode_method)m, 2 * steps[m], linear_field, &rate, exp(2));
        assert_true(fabs(log2(coarse / fine) - order[m]) < 0.45);
        coarse = error_of((ws_ode_method)m, 2 * steps[m], cubic_field, NULL, exp(1));
        fine = error_of((ws_ode_method)m, 4 * steps[m], cubic_field, NULL, exp(1));
        assert_true(fabs(log2(coarse / fine) - order[m]) < 0.6);
    }
}

static void midpoint_backwards_is_accurate(void **state)
{
    (void)state;
    double rate = 1;
    ws_real x = 3, scratch[WS_ODE_SCRATCH(1)];
    ws_ode_solve(WS_ODE_MIDPOINT, 20, 1, 0, linear_field, &rate, &x, 1, scratch);
    assert_true(fabs(x / (3 * exp(-1)) - 1) < 1e-3);
}

static void three_rates(void *context, double t, const ws_real *x, ws_real *velocity)
{
    (void)context, (void)t;
    for (int i = 0; i < 3; i++)
        velocity[i] = (ws_real)(i - 1) * x[i];
}

static void values_of_a_block_are_independent(void **state)
{
    (void)state;
    for (int m = 0; m < WS_ODE_COUNT; m++) {
        ws_real block[3] = {1, 2, 3}, scratch[WS_ODE_SCRATCH(3)];
        ws_ode_solve((ws_ode_method)m, 10, 1, 0, three_rates, NULL, block, 3, scratch);
        for (int i = 0; i < 3; i++) {
            double rate = i - 1;
            ws_real alone = (ws_real)(i + 1);
            ws_ode_solve((ws_ode_method)m, 10, 1, 0, linear_field, &rate, &alone, 1, scratch);
            assert_true(block[i] == alone);
        }
    }
}

static void time_features_are_sines_and_cosines(void **state)
{
    (void)state;
    enum { WIDTH = 64 };
    double rates[WIDTH / 2];
    ws_real features[WIDTH];
    ws_time_rates(WIDTH, rates);
    assert_true(rates[0] == 1);
    assert_true(fabs(rates[WIDTH / 2 - 1] - 100) < 1e-9);
    for (int k = -20; k <= 40; k++) {
        double t = k / 20.0 * 1.01;
        ws_time_features(t, rates, WIDTH, features);
        for (int i = 0; i < WIDTH / 2; i++) {
            assert_true(fabs(features[i] - sin(rates[i] * t)) < 1e-7);
            assert_true(fabs(features[WIDTH / 2 + i] - cos(rates[i] * t)) < 1e-7);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(converges_with_its_order),
        cmocka_unit_test(midpoint_backwards_is_accurate),
        cmocka_unit_test(values_of_a_block_are_independent),
        cmocka_unit_test(time_features_are_sines_and_cosines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
