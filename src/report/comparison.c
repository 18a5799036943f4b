/* Two methods compared: by seed where both ran with the same ones, otherwise from means or by ranks; and corrections for many
 * comparisons. Exact tests count all cases, ties included. Sources: Wilcoxon 1945; Mann & Whitney 1947; Welch 1947; Holm 1979;
 * Benjamini & Hochberg 1995; del Barrio et al. 2018 (almost stochastic order).
 */
#include "report/statistics.h"

#include <math.h>
#include <stdlib.h>

enum { MOST_FLIPPED = 20, MOST_SIGNED = 200, MOST_RANKED = 2500 };

/* ---- pairs ---- */

/* Share of the sign patterns whose sum is at least as far from 0; a pattern and its opposite are as far. */
static double flip_signs(const double *difference, size_t n)
{
    double sum = 0, total = 0;
    uint64_t patterns = UINT64_C(1) << (n - 1), hits = 0;
    for (size_t i = 0; i < n; i++) {
        sum += difference[i];
        total += fabs(difference[i]);
    }
    for (uint64_t pattern = 0; pattern < patterns; pattern++) {
        double flipped = 0;
        for (size_t i = 0; i < n; i++)
            flipped += pattern >> i & 1 ? -difference[i] : difference[i];
        hits += fabs(flipped) >= fabs(sum) - 1e-14 * total;
    }
    return (double)hits / (double)patterns;
}

/* Twice the mid-rank of each |value|; returns their sum. */
static size_t double_ranks(const double *values, size_t n, bool absolute, size_t *ranks)
{
    size_t total = 0;
    for (size_t i = 0; i < n; i++) {
        size_t less = 0, equal = 0;
        for (size_t k = 0; k < n; k++) {
            double a = absolute ? fabs(values[k]) : values[k], b = absolute ? fabs(values[i]) : values[i];
            less += a < b;
            equal += a == b;
        }
        total += ranks[i] = 2 * less + equal + 1;
    }
    return total;
}

/* Values that are 0 have been left out. probability[s]: of the sign patterns in which the positive ranks sum to s / 2. */
static ws_err rank_signs(const double *difference, size_t n, ws_paired *out)
{
    size_t *ranks = NULL, positive = 0;
    double *probability = NULL, tail = 0;
    ws_err error = WS_OK;
    out->rank_sum = 0;
    out->rank_p = 1;
    if (n == 0)
        return WS_OK;
    WS_TRY_GOTO(done, WS_NEW_ARRAY(ranks, n));
    size_t total = double_ranks(difference, n, true, ranks);
    WS_TRY_GOTO(done, WS_NEW_ARRAY(probability, total + 1));
    probability[0] = 1;
    for (size_t i = 0; i < n; i++) {
        positive += difference[i] > 0 ? ranks[i] : 0;
        for (size_t s = total + 1; s-- > 0;)
            probability[s] = 0.5 * probability[s] + (s >= ranks[i] ? 0.5 * probability[s - ranks[i]] : 0);
    }
    for (size_t s = 0; s <= (positive < total - positive ? positive : total - positive); s++)
        tail += probability[s];
    out->rank_sum = (double)positive / 2;
    out->rank_p = 2 * tail < 1 ? 2 * tail : 1;
done:
    free(probability);
    free(ranks);
    return error;
}

ws_err ws_compare_paired(const double *a, const double *b, size_t n, ws_paired *out)
{
    double *difference;
    size_t pairs = 0, nonzero = 0;
    *out = (ws_paired){0, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN};
    WS_TRY(WS_NEW_ARRAY(difference, n));
    for (size_t i = 0; i < n; i++)
        if (!isnan(a[i]) && !isnan(b[i]))
            difference[pairs++] = a[i] - b[i];
    ws_statistics s = ws_statistics_of(difference, pairs);
    out->n = pairs;
    out->difference = s.mean;
    out->deviation = s.deviation;
    out->low = s.low;
    out->high = s.high;
    if (s.deviation > 0) {
        out->t = s.mean / (s.deviation / sqrt((double)pairs));
        out->p = ws_student_two_sided(out->t, (double)pairs - 1);
    }
    if (pairs > 0 && pairs <= MOST_FLIPPED)
        out->flip_p = flip_signs(difference, pairs);
    out->least_p = pairs > 0 ? 2 * pow(0.5, (double)pairs) : NAN;
    for (size_t i = 0; i < pairs; i++)
        if (difference[i] != 0)
            difference[nonzero++] = difference[i];
    ws_err error = pairs > 0 && pairs <= MOST_SIGNED ? rank_signs(difference, nonzero, out) : WS_OK;
    free(difference);
    return error;
}

/* ---- no pairs ---- */

ws_welch ws_compare_welch(double mean_a, double deviation_a, double n_a, double mean_b, double deviation_b, double n_b)
{
    double a = deviation_a * deviation_a / n_a, b = deviation_b * deviation_b / n_b;
    if (!(a + b > 0) || !(n_a > 1) || !(n_b > 1))
        return (ws_welch){NAN, NAN, NAN};
    ws_welch out = {.t = (mean_a - mean_b) / sqrt(a + b)};
    out.degrees = (a + b) * (a + b) / (a * a / (n_a - 1) + b * b / (n_b - 1));
    out.p = ws_student_two_sided(out.t, out.degrees);
    return out;
}

/* ways[k * width + s]: in how many ways k of the values so far have doubled ranks that sum to s. */
static ws_err count_rank_sums(const size_t *ranks, size_t all, size_t n, size_t total, double **out)
{
    size_t width = total + 1;
    WS_TRY(ws_alloc(out, (n + 1) * width, sizeof **out));
    double *ways = *out;
    ways[0] = 1;
    for (size_t i = 0; i < all; i++)
        for (size_t k = n; k >= 1; k--)
            for (size_t s = total; s >= ranks[i]; s--)
                ways[k * width + s] += ways[(k - 1) * width + s - ranks[i]];
    return WS_OK;
}

static ws_err rank_both(const double *a, size_t n, const double *b, size_t m, ws_unpaired *out)
{
    double *values = NULL, *ways = NULL, every = 0, low = 0, high = 0;
    size_t *ranks = NULL, own = 0;
    ws_err error = WS_OK;
    WS_TRY_GOTO(done, WS_NEW_ARRAY(values, n + m));
    WS_TRY_GOTO(done, WS_NEW_ARRAY(ranks, n + m));
    memcpy(values, a, n * sizeof *values);
    memcpy(values + n, b, m * sizeof *values);
    size_t total = double_ranks(values, n + m, false, ranks);
    WS_TRY_GOTO(done, count_rank_sums(ranks, n + m, n, total, &ways));
    for (size_t i = 0; i < n; i++)
        own += ranks[i];
    for (size_t s = 0; s <= total; s++) {
        double here = ways[n * (total + 1) + s];
        every += here;
        low += s <= own ? here : 0;
        high += s >= own ? here : 0;
    }
    out->u = (double)own / 2 - (double)n * ((double)n + 1) / 2;
    out->p = 2 * (low < high ? low : high) / every;
    out->p = out->p < 1 ? out->p : 1;
done:
    free(ways);
    free(ranks);
    free(values);
    return error;
}

static int rising(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

/* Integral of the squared difference of the quantile functions where A's is below B's, over the whole of it. The functions are
 * steps, so the integrals are sums over the merged break points i / n and k / m. Both sorted. */
static double violation(const double *a, size_t n, const double *b, size_t m)
{
    double below = 0, all = 0;
    size_t at = 0; /* times n m */
    for (size_t i = 0, k = 0; i < n && k < m;) {
        size_t end_a = (i + 1) * m, end_b = (k + 1) * n, end = end_a < end_b ? end_a : end_b;
        double square = (b[k] - a[i]) * (b[k] - a[i]) * (double)(end - at);
        all += square;
        below += b[k] > a[i] ? square : 0;
        at = end;
        i += end_a == end;
        k += end_b == end;
    }
    return all > 0 ? below / all : 0.5;
}

ws_err ws_compare_unpaired(const double *a, size_t n, const double *b, size_t m, ws_unpaired *out)
{
    double *sorted_a = NULL, *sorted_b = NULL, above = 0;
    ws_err error = WS_OK;
    *out = (ws_unpaired){NAN, NAN, NAN, NAN};
    if (n == 0 || m == 0)
        return WS_OK;
    WS_TRY_GOTO(done, WS_NEW_ARRAY(sorted_a, n));
    WS_TRY_GOTO(done, WS_NEW_ARRAY(sorted_b, m));
    memcpy(sorted_a, a, n * sizeof *a);
    memcpy(sorted_b, b, m * sizeof *b);
    qsort(sorted_a, n, sizeof *sorted_a, rising);
    qsort(sorted_b, m, sizeof *sorted_b, rising);
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < m; k++)
            above += a[i] > b[k] ? 1 : a[i] == b[k] ? 0.5 : 0;
    out->improved = above / ((double)n * (double)m);
    out->epsilon = violation(sorted_a, n, sorted_b, m);
    if (n * m <= MOST_RANKED)
        WS_TRY_GOTO(done, rank_both(a, n, b, m, out));
done:
    free(sorted_b);
    free(sorted_a);
    return error;
}

/* ---- many comparisons ---- */

/* Indices of the p values that are defined, by p; insertion sort, so equal ones keep their order. */
static ws_err order_of(const double *p, size_t n, size_t **out, size_t *count)
{
    WS_TRY(ws_alloc(out, n, sizeof **out));
    *count = 0;
    for (size_t i = 0; i < n; i++) {
        if (isnan(p[i]))
            continue;
        size_t at = (*count)++;
        for (; at > 0 && p[(*out)[at - 1]] > p[i]; at--)
            (*out)[at] = (*out)[at - 1];
        (*out)[at] = i;
    }
    return WS_OK;
}

ws_err ws_correct_holm(const double *p, size_t n, double *corrected)
{
    size_t *order, count;
    double largest = 0;
    WS_TRY(order_of(p, n, &order, &count));
    for (size_t i = 0; i < n; i++)
        corrected[i] = NAN;
    for (size_t i = 0; i < count; i++) {
        double value = (double)(count - i) * p[order[i]];
        largest = value > largest ? value : largest;
        corrected[order[i]] = largest < 1 ? largest : 1;
    }
    free(order);
    return WS_OK;
}

ws_err ws_correct_benjamini_hochberg(const double *p, size_t n, double *corrected)
{
    size_t *order, count;
    double smallest = 1;
    WS_TRY(order_of(p, n, &order, &count));
    for (size_t i = 0; i < n; i++)
        corrected[i] = NAN;
    for (size_t i = count; i-- > 0;) {
        double value = (double)count / (double)(i + 1) * p[order[i]];
        smallest = value < smallest ? value : smallest;
        corrected[order[i]] = smallest;
    }
    free(order);
    return WS_OK;
}
