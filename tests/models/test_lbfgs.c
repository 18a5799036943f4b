/* L-BFGS on functions whose minimum is known. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <math.h>
#include "models/lbfgs.h"

enum { N = 40 };

/* Sum of c_i (x_i - i)^2 with condition number 1e4. */
static ws_err quadratic(void *context, const double *x, double *value, double *gradient)
{
    (void)context;
    *value = 0;
    for (int i = 0; i < N; i++) {
        double c = pow(10, 4.0 * i / (N - 1)), d = x[i] - i;
        *value += c * d * d;
        gradient[i] = 2 * c * d;
    }
    return WS_OK;
}

static ws_err rosenbrock(void *context, const double *x, double *value, double *gradient)
{
    (void)context;
    double a = 1 - x[0], b = x[1] - x[0] * x[0];
    *value = a * a + 100 * b * b;
    gradient[0] = -2 * a - 400 * b * x[0];
    gradient[1] = 200 * b;
    return WS_OK;
}

static ws_err not_a_number(void *context, const double *x, double *value, double *gradient)
{
    (void)context, (void)x;
    *value = NAN;
    gradient[0] = 1;
    return WS_OK;
}

static void reaches_an_ill_conditioned_minimum(void **state)
{
    (void)state;
    double x[N] = {0};
    const ws_comm self = ws_comm_self();
    ws_lbfgs_report report;
    ws_lbfgs_options options = {10, 1000, 1e-7};
    assert_int_equal(ws_lbfgs_minimise_all(&self, &options, quadratic, NULL, x, N, &report), WS_OK);
    assert_true(report.converged);
    assert_true(report.gradient_maximum <= 1e-7);
    for (int i = 0; i < N; i++)
        assert_true(fabs(x[i] - i) < 1e-7);
}

static void follows_a_curved_valley(void **state)
{
    (void)state;
    double x[2] = {-1.2, 1};
    const ws_comm self = ws_comm_self();
    ws_lbfgs_report report;
    ws_lbfgs_options options = {10, 1000, 1e-8};
    assert_int_equal(ws_lbfgs_minimise_all(&self, &options, rosenbrock, NULL, x, 2, &report), WS_OK);
    assert_true(report.converged);
    assert_true(report.iterations < 100);
    assert_true(fabs(x[0] - 1) < 1e-6 && fabs(x[1] - 1) < 1e-6);
}

static void says_when_it_has_not_converged(void **state)
{
    (void)state;
    double x[2] = {-1.2, 1};
    const ws_comm self = ws_comm_self();
    ws_lbfgs_report report;
    ws_lbfgs_options options = {10, 3, 1e-8};
    assert_int_equal(ws_lbfgs_minimise_all(&self, &options, rosenbrock, NULL, x, 2, &report), WS_OK);
    assert_false(report.converged);
    assert_int_equal(report.iterations, 3);
    double y = 0;
    assert_int_equal(ws_lbfgs_minimise_all(&self, &options, not_a_number, NULL, &y, 1, &report), WS_E_NUMERIC);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reaches_an_ill_conditioned_minimum),
        cmocka_unit_test(follows_a_curved_valley),
        cmocka_unit_test(says_when_it_has_not_converged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
