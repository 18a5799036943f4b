/* seed_statistics: the statistics of src/report for cases read from standard input, for comparison with other programs.
 *
 * A case is a line of numbers: n m hits rows effect, n values of a, m values of b, four p values. Its answer is a line of
 * NAME=VALUE; paired values only where n and m are equal.
 */
#include <stdio.h>
#include <stdlib.h>
#include "report/report.h"

enum { MOST = 64 };

static void print(const char *name, double value)
{
    printf("%s=%.17g ", name, value);
}

static bool read_numbers(double *out, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (scanf("%lf", &out[i]) != 1)
            return false;
    return true;
}

static ws_err answer_values(const double *a, size_t n, const double *b, size_t m)
{
    ws_statistics s = ws_statistics_of(a, n), r = ws_statistics_of(b, m);
    ws_interval prediction = ws_prediction_interval(&s);
    ws_unpaired unpaired;
    ws_paired paired;
    double middle;
    WS_TRY(ws_interquartile_mean(a, n, &middle));
    print("mean", s.mean);
    print("deviation", s.deviation);
    print("low", s.low);
    print("high", s.high);
    print("prediction_low", prediction.low);
    print("prediction_high", prediction.high);
    print("interquartile_mean", middle);
    ws_welch welch = ws_compare_welch(s.mean, s.deviation, (double)n, r.mean, r.deviation, (double)m);
    print("welch_t", welch.t);
    print("welch_degrees", welch.degrees);
    print("welch_p", welch.p);
    WS_TRY(ws_compare_unpaired(a, n, b, m, &unpaired));
    print("u", unpaired.u);
    print("u_p", unpaired.p);
    print("improved", unpaired.improved);
    if (n != m)
        return WS_OK;
    WS_TRY(ws_compare_paired(a, b, n, &paired));
    print("paired_t", paired.t);
    print("paired_p", paired.p);
    print("flip_p", paired.flip_p);
    print("rank_sum", paired.rank_sum);
    print("rank_p", paired.rank_p);
    return WS_OK;
}

static ws_err answer(void)
{
    double counts[5], a[MOST], b[MOST], p[4], corrected[4];
    while (read_numbers(counts, 5)) {
        size_t n = (size_t)counts[0], m = (size_t)counts[1];
        WS_CHECK(n < MOST && m < MOST && read_numbers(a, n) && read_numbers(b, m) && read_numbers(p, 4), FORMAT,
                 "standard input: not a case");
        WS_TRY(answer_values(a, n, b, m));
        ws_interval wilson = ws_wilson(counts[2], counts[3]), exact = ws_clopper_pearson(counts[2], counts[3]);
        print("wilson_low", wilson.low);
        print("wilson_high", wilson.high);
        print("exact_low", exact.low);
        print("exact_high", exact.high);
        print("power", ws_power_paired(counts[4], n));
        print("normal", ws_normal_quantile(p[0]));
        print("student", ws_student_quantile(p[1], counts[3]));
        print("chi_square", ws_chi_square_quantile(p[2], (double)n));
        WS_TRY(ws_correct_holm(p, 4, corrected));
        for (int i = 0; i < 4; i++)
            print((const char *const[]){"holm0", "holm1", "holm2", "holm3"}[i], corrected[i]);
        WS_TRY(ws_correct_benjamini_hochberg(p, 4, corrected));
        for (int i = 0; i < 4; i++)
            print((const char *const[]){"fdr0", "fdr1", "fdr2", "fdr3"}[i], corrected[i]);
        printf("\n");
    }
    return WS_OK;
}

int main(void)
{
    ws_err error = answer();
    if (error != WS_OK)
        ws_error_print(error, true);
    return ws_error_exit_status(error);
}
