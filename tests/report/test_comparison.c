/* Comparisons of few seeds against values computed elsewhere (SciPy, G*Power) and against identities. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <math.h>
#include "report/report.h"

static const double a[] = {.9731, .9752, .9718, .9760, .9745}, b[] = {.9702, .9731, .9711, .9725, .9729};

static void golden_vector_of_intervals(void **state)
{
    (void)state;
    ws_statistics s = ws_statistics_of(a, 5);
    ws_interval prediction = ws_prediction_interval(&s), interval;
    double middle;
    assert_float_equal(prediction.low, 0.969015265752, 1e-12);
    assert_float_equal(prediction.high, 0.979224734248, 1e-12);
    assert_int_equal(ws_resampled_mean(a, 5, false, &interval), WS_OK);
    assert_float_equal(interval.low, 0.972740, 1e-12);
    assert_float_equal(interval.high, 0.975380, 1e-12);
    assert_int_equal(ws_resampled_mean(a, 5, true, &interval), WS_OK);
    assert_float_equal(interval.low, 0.972640, 1e-12);
    assert_float_equal(interval.high, 0.975360, 1e-12);
    assert_int_equal(ws_interquartile_mean(a, 5, &middle), WS_OK);
    assert_float_equal(middle, 0.974266666667, 1e-12);
}

static void golden_vector_of_comparisons(void **state)
{
    (void)state;
    ws_paired paired;
    ws_unpaired unpaired;
    assert_int_equal(ws_compare_paired(a, b, 5, &paired), WS_OK);
    assert_int_equal(paired.n, 5);
    assert_float_equal(paired.t, 4.412760370805, 1e-10);
    assert_float_equal(paired.p, 0.011575765524, 1e-11);
    assert_float_equal(paired.rank_sum, 15, 0);
    assert_float_equal(paired.rank_p, 0.0625, 1e-15);
    assert_float_equal(paired.flip_p, 0.0625, 1e-15);
    assert_float_equal(paired.least_p, 0.0625, 1e-15);
    ws_statistics s = ws_statistics_of(a, 5), r = ws_statistics_of(b, 5);
    ws_welch welch = ws_compare_welch(s.mean, s.deviation, 5, r.mean, r.deviation, 5);
    assert_float_equal(welch.t, 2.303877129829, 1e-10);
    assert_float_equal(welch.degrees, 7.411017121073, 1e-9);
    assert_float_equal(welch.p, 0.052668759856, 1e-11);
    assert_int_equal(ws_compare_unpaired(a, 5, b, 5, &unpaired), WS_OK);
    assert_float_equal(unpaired.u, 21.5, 0);
    assert_float_equal(unpaired.p, 0.063492063492, 1e-11);
    assert_float_equal(unpaired.improved, 0.86, 1e-15);
    assert_float_equal(unpaired.epsilon, 0, 0);
    assert_int_equal(ws_seeds_needed(paired.difference / paired.deviation, 0.8), 5);
}

static void corrections_of_many_comparisons(void **state)
{
    (void)state;
    const double p[] = {.01, .04, NAN, .03, .005}, holm[] = {.03, .06, NAN, .06, .02},
                 fdr[] = {.02, .04, NAN, .04, .02};
    double corrected[5];
    assert_int_equal(ws_correct_holm(p, 5, corrected), WS_OK);
    for (int i = 0; i < 5; i++)
        assert_true(isnan(holm[i]) ? isnan(corrected[i]) : fabs(corrected[i] - holm[i]) < 1e-15);
    assert_int_equal(ws_correct_benjamini_hochberg(p, 5, corrected), WS_OK);
    for (int i = 0; i < 5; i++)
        assert_true(isnan(fdr[i]) ? isnan(corrected[i]) : fabs(corrected[i] - fdr[i]) < 1e-15);
    const double large[] = {.9, .8};
    assert_int_equal(ws_correct_holm(large, 2, corrected), WS_OK);
    assert_float_equal(corrected[0], 1, 0);
    assert_float_equal(corrected[1], 1, 0);
}

static void plans_of_seeds(void **state)
{
    (void)state;
    const double effects[] = {0.5, 0.8, 1, 1.5, 2, 3};
    const size_t eighty[] = {34, 15, 10, 6, 5, 4}, ninety[] = {44, 19, 13, 7, 5, 4};
    assert_float_equal(ws_power_paired(0.5, 34), 0.80778, 5e-6);
    for (int i = 0; i < 6; i++) {
        assert_int_equal(ws_seeds_needed(effects[i], 0.8), eighty[i]);
        assert_int_equal(ws_seeds_needed(-effects[i], 0.9), ninety[i]);
    }
    assert_int_equal(ws_seeds_needed(0.01, 0.8), 0);
    assert_int_equal(ws_seeds_needed(1e6, 0.8), 2);
    /* the bound is met with 80 % of samples: sqrt((n - 1) / chi square of 4 degrees at 0.2), 1.6488 */
    assert_float_equal(ws_deviation_bound(1, 5), sqrt(4 / 1.648776618), 1e-8);
}

static void shares_of_rows(void **state)
{
    (void)state;
    ws_interval all = ws_clopper_pearson(11, 11), some = ws_wilson(36, 40);
    assert_float_equal(all.low, pow(0.025, 1.0 / 11), 1e-12); /* a closed form: 0.715 */
    assert_float_equal(all.high, 1, 0);
    assert_true(some.low > 0.76 && some.low < 0.9 && some.high < 1);
    assert_float_equal(ws_share_interval(1, 11).low, all.low, 0);
    assert_float_equal(ws_share_interval(0.9, 40).low, some.low, 1e-15);
    assert_float_equal(ws_wilson(0, 50).low, 0, 0);
    assert_true(isnan(ws_share_interval(NAN, 11).low) && isnan(ws_share_interval(0.5, 0).low));
}

static void what_cannot_be_tested_has_no_p(void **state)
{
    (void)state;
    const double same[] = {1, 2, 3}, shifted[] = {1.5, 2.5, 3.5}, gaps[] = {NAN, 2, NAN};
    ws_paired paired;
    assert_int_equal(ws_compare_paired(shifted, same, 3, &paired), WS_OK);
    assert_true(isnan(paired.p) && paired.difference == 0.5);
    assert_float_equal(paired.flip_p, 0.25, 0);
    assert_int_equal(ws_compare_paired(same, same, 3, &paired), WS_OK);
    assert_float_equal(paired.rank_p, 1, 0);
    assert_float_equal(paired.flip_p, 1, 0);
    assert_int_equal(ws_compare_paired(gaps, same, 3, &paired), WS_OK);
    assert_true(paired.n == 1 && isnan(paired.low));
    assert_true(isnan(ws_compare_welch(0.9, NAN, 5, 0.8, 0.1, 5).p));
    assert_true(isnan(ws_compare_welch(0.9, 0.1, NAN, 0.8, 0.1, 5).p));
}

static void order_of_the_seeds_does_not_matter_to_resamples(void **state)
{
    (void)state;
    double values[25], turned[25];
    ws_interval one, other;
    for (int i = 0; i < 25; i++)
        turned[24 - i] = values[i] = 0.9 + 0.01 * sin(7 * i);
    assert_int_equal(ws_resampled_mean(values, 25, true, &one), WS_OK);
    assert_int_equal(ws_resampled_mean(turned, 25, true, &other), WS_OK);
    assert_true(one.low == other.low && one.high == other.high);
    ws_statistics s = ws_statistics_of(values, 25);
    assert_float_equal(one.high - one.low, s.high - s.low, 0.15 * (s.high - s.low));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_vector_of_intervals),
        cmocka_unit_test(golden_vector_of_comparisons),
        cmocka_unit_test(corrections_of_many_comparisons),
        cmocka_unit_test(plans_of_seeds),
        cmocka_unit_test(shares_of_rows),
        cmocka_unit_test(what_cannot_be_tested_has_no_p),
        cmocka_unit_test(order_of_the_seeds_does_not_matter_to_resamples),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
