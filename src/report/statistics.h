/* report, statistics of few repetitions: intervals, comparisons of two methods, corrections for many of them, planning.
 *
 * What is right for three to ten seeds: Student's t rather than a bootstrap, exact tests rather than approximations, and the
 * smallest p that a test can reach at all. NaN is what is not defined. Everything is a pure function of the values in the order
 * given (tables give them by seed), so no bit depends on which trial finished first.
 */
#ifndef WS_REPORT_STATISTICS_H
#define WS_REPORT_STATISTICS_H

#include <stddef.h>
#include "core/core.h"
#include "evaluate/evaluate.h"

/* ---- distributions (distributions.c) ---- */

double ws_normal_probability(double z);
double ws_normal_quantile(double probability);
/* Student t: P(T <= t), and its inverse by bisection (exact to the last bits). degrees > 0, 0 < probability < 1. */
double ws_student_probability(double t, double degrees);
double ws_student_quantile(double probability, double degrees);
double ws_student_two_sided(double t, double degrees); /* P(|T| >= |t|), exact far out in the tails too */
/* Noncentral t, after Lenth 1989 (AS 243). */
double ws_student_shifted_probability(double t, double degrees, double shift);
double ws_chi_square_quantile(double probability, double degrees);
double ws_beta_quantile(double probability, double a, double b);

/* ---- one cell (statistics.c) ---- */

typedef struct ws_statistics {
    size_t n;         /* values that are not NaN */
    double mean;      /* NaN for n = 0 */
    double deviation; /* sample standard deviation (n - 1); NaN for n < 2 */
    double low, high; /* 95 % Student t interval of the mean; NaN for n < 2 */
} ws_statistics;
/* Two passes, Neumaier-compensated, in the order given. NaN values are left out. */
ws_statistics ws_statistics_of(const double *values, size_t n);
/* Where one further run lies with 95 %: the ruler for a published single number. */
ws_interval ws_prediction_interval(const ws_statistics *s);
/* Mean of what is left when floor(n / 4) values are cut at either end. Values must not be NaN; n > 0. */
WS_MUST ws_err ws_interquartile_mean(const double *values, size_t n, double *out);
/* 95 % interval of a mean over resamples of the values: all of them, weighted, up to 10 values; 10,000 drawn by Philox beyond.
 * corrected: bias-corrected and accelerated (Efron 1987); otherwise percentiles. No NaN; n > 1. */
WS_MUST ws_err ws_resampled_mean(const double *values, size_t n, bool corrected, ws_interval *out);

/* ---- two cells (comparison.c) ---- */

typedef struct ws_paired {
    size_t n;                     /* pairs in which both values are defined */
    double difference, deviation; /* mean and sample deviation of a - b */
    double low, high;             /* 95 % t interval of the difference */
    double t, p;                  /* paired t test; NaN where all differences are the same */
    double flip_p;                /* exact sign-flip test; NaN beyond 20 pairs */
    double rank_sum, rank_p; /* Wilcoxon signed ranks, exact, ties by mid-ranks, zeros left out; NaN beyond 200 pairs */
    double least_p;          /* the smallest p that the two exact tests can reach: 2 / 2^n */
} ws_paired;
WS_MUST ws_err ws_compare_paired(const double *a, const double *b, size_t n, ws_paired *out);

typedef struct ws_welch {
    double t, degrees, p; /* NaN where a deviation is missing or both are 0 */
} ws_welch;
/* Two means with their sample deviations, as papers print them. */
ws_welch ws_compare_welch(double mean_a, double deviation_a, double n_a, double mean_b, double deviation_b, double n_b);

typedef struct ws_unpaired {
    double u, p;     /* Mann-Whitney, exact with mid-ranks; NaN where n * m is above 2,500 */
    double improved; /* P(A > B), ties one half */
    double epsilon;  /* violation ratio of stochastic order: 0 where A's quantiles are nowhere below B's */
} ws_unpaired;
/* No NaN among the values. */
WS_MUST ws_err ws_compare_unpaired(const double *a, size_t n, const double *b, size_t m, ws_unpaired *out);

/* Many comparisons: p values of one family; NaN ones take no part and stay NaN. */
WS_MUST ws_err ws_correct_holm(const double *p, size_t n, double *corrected);
WS_MUST ws_err ws_correct_benjamini_hochberg(const double *p, size_t n, double *corrected);

/* ---- shares and planning (planning.c) ---- */

ws_interval ws_wilson(double hits, double of);          /* 95 % */
ws_interval ws_clopper_pearson(double hits, double of); /* 95 % */
/* Clopper-Pearson below 40 rows, Wilson from there; NaN for none. */
ws_interval ws_share_interval(double share, double of);
/* Power of the paired t test at 5 %; effect: mean difference over its deviation. */
double ws_power_paired(double effect, size_t n);
/* Smallest number of seeds with that power; 0: more than 1,000. */
size_t ws_seeds_needed(double effect, double power);
/* What the true deviation is not above with 80 %, given that of n values. */
double ws_deviation_bound(double deviation, size_t n);

#endif
