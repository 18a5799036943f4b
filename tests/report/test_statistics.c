/* Mean, sample standard deviation and t interval against values computed elsewhere (SciPy) and against identities. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <math.h>
#include "report/report.h"

static void golden_vector(void **state)
{
    (void)state;
    const double a[] = {.9731, .9752, .9718, .9760, .9745};
    ws_statistics s = ws_statistics_of(a, 5);
    assert_int_equal(s.n, 5);
    assert_float_equal(s.mean, 0.97412, 1e-15);
    assert_float_equal(s.deviation, 0.0016783920876839188, 1e-15);
    assert_float_equal(s.low, 0.972036000970, 1e-12);
    assert_float_equal(s.high, 0.976203999030, 1e-12);
}

static void half_widths_of_small_samples(void **state)
{
    (void)state;
    const double n[] = {3, 4, 5, 6, 8, 10}, width[] = {2.48, 1.59, 1.24, 1.05, 0.836, 0.715}; /* t / sqrt(n) */
    for (int i = 0; i < 6; i++)
        assert_float_equal(ws_student_quantile(0.975, n[i] - 1) / sqrt(n[i]), width[i], 0.006);
    /* closed forms: one degree of freedom is Cauchy, two have a root */
    assert_float_equal(ws_student_quantile(0.975, 1), tan(0.475 * acos(-1)), 1e-11);
    double p = 0.975, two = (2 * p - 1) * sqrt(2 / (4 * p * (1 - p)));
    assert_float_equal(ws_student_quantile(0.975, 2), two, 1e-12);
    assert_float_equal(ws_student_quantile(0.025, 2), -two, 1e-12);
    assert_float_equal(ws_student_probability(0, 7), 0.5, 1e-15);
}

static void what_is_not_defined_is_nan(void **state)
{
    (void)state;
    const double none[] = {NAN, NAN}, one[] = {NAN, 0.25}, some[] = {1, NAN, 3};
    assert_int_equal(ws_statistics_of(none, 2).n, 0);
    assert_true(isnan(ws_statistics_of(none, 2).mean));
    assert_int_equal(ws_statistics_of(one, 2).n, 1);
    assert_float_equal(ws_statistics_of(one, 2).mean, 0.25, 0);
    assert_true(isnan(ws_statistics_of(one, 2).deviation));
    assert_float_equal(ws_statistics_of(some, 3).mean, 2, 0);
    assert_float_equal(ws_statistics_of(some, 3).deviation, sqrt(2), 1e-15);
}

static void equal_values_have_no_spread(void **state)
{
    (void)state;
    const double same[] = {0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1};
    ws_statistics s = ws_statistics_of(same, 7);
    assert_true(s.mean == 0.1);
    assert_true(s.deviation == 0);
    assert_true(s.low == 0.1 && s.high == 0.1);
}

static void compensation_keeps_small_values(void **state)
{
    (void)state;
    const double values[] = {1e16, 1, 1, 1, 1, -1e16};
    assert_float_equal(ws_statistics_of(values, 6).mean, 4.0 / 6, 1e-15);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_vector),
        cmocka_unit_test(half_widths_of_small_samples),
        cmocka_unit_test(what_is_not_defined_is_nan),
        cmocka_unit_test(equal_values_have_no_spread),
        cmocka_unit_test(compensation_keeps_small_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
