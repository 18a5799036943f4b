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

static void linear_field(void *context, const double *t, const ws_real *x, ws_real *velocity, double *rate)
{
    double a = *(const double *)context;
    (void)t;
    velocity[0] = (ws_real)(a * x[0]);
    if (rate)
        rate[0] = a; /* the divergence */
}

/* dx/dt = 3 t^2 x: a field that depends on time, with solution exp(t^3). */
static void cubic_field(void *context, const double *t, const ws_real *x, ws_real *velocity, double *rate)
{
    (void)context;
    velocity[0] = (ws_real)(3 * t[0] * t[0] * x[0]);
    if (rate)
        rate[0] = 3 * t[0] * t[0];
}

static double error_of(ws_ode_method method, int64_t steps, ws_velocity field, void *context, double exact)
{
    ws_real x = 1;
    ws_ode_options options = {method, steps, 1e-5, 1000};
    ws_ode_field one = {1, 1, NULL, field, context};
    assert_int_equal(ws_ode_solve(&options, &one, 0, 1, &x, NULL, NULL), WS_OK);
    return fabs((double)x - exact);
}

static void converges_with_its_order(void **state)
{
    (void)state;
    static const double order[WS_ODE_DOPRI5] = {1, 2, 2, 4};
    static const int64_t steps[WS_ODE_DOPRI5] = {64, 16, 16, 3}; /* coarse enough to stand above float rounding */
    double rate = 2;
    for (int m = 0; m < WS_ODE_DOPRI5; m++) {
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
    ws_real x = 3;
    ws_ode_options options = {.method = WS_ODE_MIDPOINT, .steps = 20};
    ws_ode_field one = {1, 1, NULL, linear_field, &rate};
    assert_int_equal(ws_ode_solve(&options, &one, 1, 0, &x, NULL, NULL), WS_OK);
    assert_true(fabs(x / (3 * exp(-1)) - 1) < 1e-3);
}

/* ---- rows of a block ---- */

enum { ROWS = 7, COLUMNS = 3 };

/* A pendulum whose stiffness is in the third column, so that every row has a different way to go; it speeds up with t. */
static void pendulums(void *context, const double *t, const ws_real *x, ws_real *velocity, double *rate)
{
    int rows = *(const int *)context;
    for (int r = 0; r < rows; r++, x += COLUMNS, velocity += COLUMNS) {
        velocity[0] = x[1];
        velocity[1] = (ws_real)(-(double)x[2] * sin((double)x[0]) * (1 + t[r]));
        velocity[2] = 0;
        if (rate)
            rate[r] = (double)x[0] * x[0];
    }
}

static void start(ws_real *x, int row)
{
    x[0] = (ws_real)(0.5 + 0.4 * row);
    x[1] = (ws_real)(0.2 * row - 0.5);
    x[2] = (ws_real)(row * row * row); /* 0 to 216: from still to stiff */
}

/* Alone, among others, in another order: the same bits, of the solution and of the integral. */
static void a_row_does_not_see_its_neighbours(void **state)
{
    (void)state;
    for (int m = 0; m < WS_ODE_COUNT; m++) {
        ws_ode_options options = {(ws_ode_method)m, 12, 1e-5, 1000};
        ws_real block[ROWS * COLUMNS], turned[ROWS * COLUMNS], alone[COLUMNS];
        double integral[ROWS] = {0}, turned_integral[ROWS] = {0};
        int all = ROWS, one = 1;
        for (int r = 0; r < ROWS; r++) {
            start(block + r * COLUMNS, r);
            start(turned + (ROWS - 1 - r) * COLUMNS, r);
        }
        ws_ode_field field = {ROWS, COLUMNS, NULL, pendulums, &all};
        assert_int_equal(ws_ode_solve(&options, &field, 1, 0, block, integral, NULL), WS_OK);
        assert_int_equal(ws_ode_solve(&options, &field, 1, 0, turned, turned_integral, NULL), WS_OK);
        for (int r = 0; r < ROWS; r++) {
            double alone_integral = 0;
            ws_ode_field single = {1, COLUMNS, NULL, pendulums, &one};
            start(alone, r);
            assert_int_equal(ws_ode_solve(&options, &single, 1, 0, alone, &alone_integral, NULL), WS_OK);
            assert_memory_equal(alone, block + r * COLUMNS, sizeof alone);
            assert_memory_equal(alone, turned + (ROWS - 1 - r) * COLUMNS, sizeof alone);
            assert_true(alone_integral == integral[r] && alone_integral == turned_integral[ROWS - 1 - r]);
        }
    }
}

/* The stiffer the row, the more steps it takes itself; with all of them the answer is that of very many equal steps. */
static void own_steps_reach_the_tolerance(void **state)
{
    (void)state;
    int all = ROWS;
    ws_real own[ROWS * COLUMNS], equal[ROWS * COLUMNS];
    double own_integral[ROWS] = {0}, equal_integral[ROWS] = {0};
    uint8_t unsolved[ROWS] = {0};
    for (int r = 0; r < ROWS; r++) {
        start(own + r * COLUMNS, r);
        start(equal + r * COLUMNS, r);
    }
    ws_ode_field field = {ROWS, COLUMNS, NULL, pendulums, &all};
    ws_ode_options adaptive = {WS_ODE_DOPRI5, 1, 1e-6, 1000}, fine = {WS_ODE_RK4, 400, 0, 0};
    assert_int_equal(ws_ode_solve(&adaptive, &field, 0, 1, own, own_integral, unsolved), WS_OK);
    assert_int_equal(ws_ode_solve(&fine, &field, 0, 1, equal, equal_integral, NULL), WS_OK);
    for (int r = 0; r < ROWS; r++)
        assert_int_equal(unsolved[r], 0);
    for (int i = 0; i < ROWS * COLUMNS; i++)
        assert_true(fabs((double)own[i] - equal[i]) < 2e-4 * (1 + fabs((double)equal[i])));
    for (int r = 0; r < ROWS; r++)
        assert_true(fabs(own_integral[r] - equal_integral[r]) < 2e-4 * (1 + equal_integral[r]));
}

/* dx/dt = a x with divergence a: the integral is a (to - from), whatever the direction. */
static void the_integral_follows_the_direction(void **state)
{
    (void)state;
    for (int m = 0; m < WS_ODE_COUNT; m++) {
        double rate = 0.75, there = 0, back = 0, cubic = 0;
        ws_real x = 1;
        ws_ode_options options = {(ws_ode_method)m, 40, 1e-6, 1000};
        ws_ode_field one = {1, 1, NULL, linear_field, &rate};
        assert_int_equal(ws_ode_solve(&options, &one, 0, 1, &x, &there, NULL), WS_OK);
        assert_int_equal(ws_ode_solve(&options, &one, 1, 0, &x, &back, NULL), WS_OK);
        assert_true(fabs(there - rate) < 1e-12 && fabs(back + rate) < 1e-12);
        assert_true(fabs((double)x - 1) < (m == WS_ODE_EULER ? 0.02 : 1e-3));
        one.velocity = cubic_field;
        assert_int_equal(ws_ode_solve(&options, &one, 0, 1, &x, &cubic, NULL), WS_OK);
        assert_true(fabs(cubic - 1) < (m == WS_ODE_EULER ? 0.05 : 1e-3));
    }
}

/* A jump that no step is short enough for: the row is carried to the end and counted; its calm neighbour is not. */
static void jump(void *context, const double *t, const ws_real *x, ws_real *velocity, double *rate)
{
    (void)context, (void)rate, (void)x;
    velocity[0] = t[0] < 0.3 ? 1 : 1e6f;
    velocity[1] = 1;
}

static void not_a_number(void *context, const double *t, const ws_real *x, ws_real *velocity, double *rate)
{
    (void)context, (void)rate, (void)t;
    velocity[0] = NAN;
    velocity[1] = x[1];
}

static void rows_beyond_the_limit_are_counted(void **state)
{
    (void)state;
    ws_real x[2] = {0, 0};
    uint8_t unsolved[2] = {0};
    ws_ode_options options = {WS_ODE_DOPRI5, 4, 1e-6, 50};
    ws_ode_field field = {2, 1, NULL, jump, NULL};
    assert_int_equal(ws_ode_solve(&options, &field, 0, 1, x, NULL, unsolved), WS_OK);
    assert_true(unsolved[0] == 1 && unsolved[1] == 0);
    assert_true(fabs(x[0] - 0.7e6) < 0.05e6); /* the jump is missed by a step at most */
    assert_true(fabs(x[1] - 1) < 1e-6);
    x[0] = x[1] = 1;
    unsolved[0] = 0;
    field.velocity = not_a_number;
    assert_int_equal(ws_ode_solve(&options, &field, 0, 1, x, NULL, unsolved), WS_OK);
    assert_true(unsolved[0] == 1 && unsolved[1] == 0);
    assert_true(isnan(x[0]));
    assert_true(fabs(x[1] - exp(1)) < 1e-4);
}

/* Steps of the shortest length do not add up to the way exactly: the last may be a little longer, and is taken all the same. */
static void shortest_steps_arrive(void **state)
{
    (void)state;
    double rate = 1;
    for (int limit = 1; limit <= 60; limit++) {
        ws_real there = 1, back = 1;
        uint8_t unsolved[2] = {0};
        ws_ode_options options = {WS_ODE_DOPRI5, limit, 1e-14, limit}; /* no step in single precision is within that */
        ws_ode_field one = {1, 1, NULL, linear_field, &rate};
        assert_int_equal(ws_ode_solve(&options, &one, 0, 1, &there, NULL, &unsolved[0]), WS_OK);
        assert_int_equal(ws_ode_solve(&options, &one, 1, 0, &back, NULL, &unsolved[1]), WS_OK);
        assert_true(unsolved[0] == 1 && unsolved[1] == 1);
        assert_true(fabs(there - exp(1)) < 1e-3 && fabs(back - exp(-1)) < 1e-3);
    }
}

/* Columns that a row does not have neither move nor count for its steps. */
static void unused_columns_do_not_take_part(void **state)
{
    (void)state;
    int all = 2;
    for (int m = 0; m < WS_ODE_COUNT; m++) {
        ws_ode_options options = {(ws_ode_method)m, 10, 1e-5, 1000};
        ws_real x[2 * COLUMNS], other[2 * COLUMNS];
        int64_t used[2] = {2, 2};
        for (int r = 0; r < 2; r++) {
            start(x + r * COLUMNS, r);
            x[r * COLUMNS + 2] = 4;
        }
        memcpy(other, x, sizeof x);
        ws_ode_field field = {2, COLUMNS, used, pendulums, &all};
        assert_int_equal(ws_ode_solve(&options, &field, 0, 1, x, NULL, NULL), WS_OK);
        assert_true(x[2] == 4 && x[5] == 4 && x[0] != other[0]);
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
    ws_time_rates_falling(WIDTH, rates);
    for (int i = 0; i < WIDTH / 2; i++)
        assert_true(fabs(rates[i] / exp(-log(10000) * i / (WIDTH / 2)) - 1) < 1e-12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(converges_with_its_order),
        cmocka_unit_test(midpoint_backwards_is_accurate),
        cmocka_unit_test(a_row_does_not_see_its_neighbours),
        cmocka_unit_test(own_steps_reach_the_tolerance),
        cmocka_unit_test(the_integral_follows_the_direction),
        cmocka_unit_test(rows_beyond_the_limit_are_counted),
        cmocka_unit_test(unused_columns_do_not_take_part),
        cmocka_unit_test(time_features_are_sines_and_cosines),
        cmocka_unit_test(shortest_steps_arrive),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
