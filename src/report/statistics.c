/* Mean, spread and intervals of a few values. Sources: Neumaier, "Rundungsfehleranalyse einiger Verfahren zur Summation
 * endlicher Summen", 1974; Efron, "Better bootstrap confidence intervals", 1987. */
#include "report/statistics.h"

#include <math.h>
#include <stdlib.h>

enum { MOST_ENUMERATED = 10, DRAWS = 10000 };

typedef struct compensated {
    double sum, correction;
} compensated;

static void add(compensated *total, double value)
{
    double sum = total->sum + value;
    total->correction += fabs(total->sum) >= fabs(value) ? (total->sum - sum) + value : (value - sum) + total->sum;
    total->sum = sum;
}

ws_statistics ws_statistics_of(const double *values, size_t n)
{
    ws_statistics out = {0, NAN, NAN, NAN, NAN};
    compensated sum = {0, 0};
    for (size_t i = 0; i < n; i++)
        if (!isnan(values[i])) {
            add(&sum, values[i]);
            out.n++;
        }
    if (out.n == 0)
        return out;
    double count = (double)out.n;
    out.mean = (sum.sum + sum.correction) / count;
    if (out.n < 2)
        return out;
    compensated squares = {0, 0}, rest = {0, 0}; /* rest: what rounding of the mean left over */
    for (size_t i = 0; i < n; i++)
        if (!isnan(values[i])) {
            double difference = values[i] - out.mean;
            add(&squares, difference * difference);
            add(&rest, difference);
        }
    double left = rest.sum + rest.correction;
    double variance = (squares.sum + squares.correction - left * left / count) / (count - 1);
    out.deviation = sqrt(variance > 0 ? variance : 0);
    double half = ws_student_quantile(0.975, count - 1) * out.deviation / sqrt(count);
    out.low = out.mean - half;
    out.high = out.mean + half;
    return out;
}

ws_interval ws_prediction_interval(const ws_statistics *s)
{
    if (s->n < 2)
        return (ws_interval){NAN, NAN};
    double count = (double)s->n;
    double half = ws_student_quantile(0.975, count - 1) * s->deviation * sqrt(1 + 1 / count);
    return (ws_interval){s->mean - half, s->mean + half};
}

static int rising(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

static ws_err sorted_copy(const double *values, size_t n, double **out)
{
    WS_TRY(ws_alloc(out, n, sizeof **out));
    memcpy(*out, values, n * sizeof **out);
    qsort(*out, n, sizeof **out, rising);
    return WS_OK;
}

ws_err ws_interquartile_mean(const double *values, size_t n, double *out)
{
    double *sorted;
    WS_TRY(sorted_copy(values, n, &sorted));
    *out = ws_statistics_of(sorted + n / 4, n - 2 * (n / 4)).mean;
    free(sorted);
    return WS_OK;
}

/* ---- means of resamples ---- */

typedef struct weighted {
    double mean, weight;
} weighted;

static int rising_mean(const void *a, const void *b)
{
    return rising(&((const weighted *)a)->mean, &((const weighted *)b)->mean);
}

typedef struct resamples {
    weighted *items;
    size_t count, capacity;
} resamples;

/* Every multiset of n of the values, with the share of the n^n ordered draws that give it; `left` draws are still to be made
 * among values[at..n). weight: n! / n^n over the factorials of the counts so far. */
static ws_err enumerate(const double *values, size_t n, size_t at, size_t left, double sum, double weight,
                        resamples *out)
{
    double factorial = 1;
    for (size_t count = 0; count <= left; count++) {
        factorial *= count ? (double)count : 1;
        if (at + 1 < n) {
            WS_TRY(
                enumerate(values, n, at + 1, left - count, sum + (double)count * values[at], weight / factorial, out));
        } else if (count == left) {
            WS_TRY(WS_GROW(out->items, out->capacity, out->count + 1));
            out->items[out->count++] = (weighted){(sum + (double)left * values[at]) / (double)n, weight / factorial};
        }
    }
    return WS_OK;
}

static ws_err draw(const double *values, size_t n, resamples *out)
{
    WS_TRY(WS_GROW(out->items, out->capacity, DRAWS));
    for (uint64_t i = 0; i < DRAWS; i++) {
        double sum = 0;
        for (uint64_t k = 0; k < n; k++)
            sum += values[(ws_random_u64(0, WS_RANDOM_BOOTSTRAP, UINT64_MAX, i * n + k) >> 32) * n >> 32];
        out->items[out->count++] = (weighted){sum / (double)n, 1.0 / DRAWS};
    }
    return WS_OK;
}

/* The smallest mean whose cumulated weight reaches the share. */
static double weighted_quantile(const resamples *all, double share)
{
    double sum = 0;
    for (size_t i = 0; i < all->count; i++)
        if ((sum += all->items[i].weight) >= share - 1e-12)
            return all->items[i].mean;
    return all->items[all->count - 1].mean;
}

/* The two shares of the percentiles, moved by bias and acceleration. */
static void correct_shares(const double *values, size_t n, const resamples *all, double shares[2])
{
    double mean = ws_statistics_of(values, n).mean, below = 0, cubes = 0, squares = 0;
    double near = 1e-12 * (fabs(mean) + 1e-300);
    for (size_t i = 0; i < all->count; i++)
        if (all->items[i].mean <= mean + near)
            below += all->items[i].mean < mean - near ? all->items[i].weight : 0.5 * all->items[i].weight;
    for (size_t i = 0; i < n; i++) { /* leaving one out; the mean of these means is the mean */
        double moved = (values[i] - mean) / (double)(n - 1);
        cubes += moved * moved * moved;
        squares += moved * moved;
    }
    double bias = ws_normal_quantile(below), acceleration = squares > 0 ? cubes / (6 * pow(squares, 1.5)) : 0;
    for (int side = 0; side < 2; side++) {
        double z = bias + ws_normal_quantile(shares[side]);
        shares[side] = ws_normal_probability(bias + z / (1 - acceleration * z));
    }
}

ws_err ws_resampled_mean(const double *values, size_t n, bool corrected, ws_interval *out)
{
    resamples all = {0};
    double *sorted = NULL, shares[2] = {0.025, 0.975};
    ws_err error = sorted_copy(values, n, &sorted);
    if (error == WS_OK && n <= MOST_ENUMERATED) {
        double weight = 1; /* n! / n^n */
        for (size_t i = 1; i <= n; i++)
            weight *= (double)i / (double)n;
        error = enumerate(sorted, n, 0, n, 0, weight, &all);
    } else if (error == WS_OK) {
        error = draw(sorted, n, &all);
    }
    if (error == WS_OK) {
        qsort(all.items, all.count, sizeof *all.items, rising_mean);
        if (corrected && sorted[0] < sorted[n - 1])
            correct_shares(sorted, n, &all, shares);
        *out = (ws_interval){weighted_quantile(&all, shares[0]), weighted_quantile(&all, shares[1])};
    }
    free(all.items);
    free(sorted);
    return error;
}
