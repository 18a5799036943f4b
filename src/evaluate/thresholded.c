/* Thresholds chosen on benign validation scores, and what they give on test. Nothing is chosen on test. */
#include "evaluate/evaluate.h"

#include <math.h>
#include <stdlib.h>

static int compare_float(const void *a, const void *b)
{
    float left = *(const float *)a, right = *(const float *)b;
    return (left > right) - (left < right);
}

/* q-quantile with linear interpolation between the order statistics around (n - 1) q. On the way to or from an infinite one
 * everything is infinite. */
static double quantile_of_sorted(const float *sorted, uint64_t n, double quantile)
{
    double position = quantile * (double)(n - 1);
    uint64_t below = (uint64_t)position;
    double share = position - (double)below, low = (double)sorted[below];
    if (share == 0 || below + 1 >= n || isinf(low))
        return low;
    return low + ((double)sorted[below + 1] - low) * share;
}

/* A row is flagged when its score is above the threshold: where many benign rows share the quantile's value, "at or
 * above" would flag all of them. */
static void apply_threshold(const ws_ranking *test, ws_thresholded *out)
{
    uint64_t above = 0, end = test->thresholds;
    while (above < end) {
        uint64_t middle = above + (end - above) / 2;
        if (test->threshold[middle] > out->threshold)
            above = middle + 1;
        else
            end = middle;
    }
    double hits = above ? (double)test->true_positives[above - 1] : 0;
    double false_alarms = above ? (double)test->false_positives[above - 1] : 0;
    double positives = (double)test->positives, negatives = (double)test->negatives;
    out->precision = hits + false_alarms > 0 ? hits / (hits + false_alarms) : NAN;
    out->recall = positives > 0 ? hits / positives : NAN;
    out->f1 = positives > 0 ? 2 * hits / (positives + hits + false_alarms) : NAN;
    out->false_positive_rate = negatives > 0 ? false_alarms / negatives : NAN;
}

/* Flags the rows above: so the threshold is the next lower score, or what lies below all. */
void ws_threshold_of_oracle(const ws_ranking *test, ws_thresholded *out)
{
    double best = 0;
    uint64_t flagged = 0; /* thresholds at or above which rows are flagged */
    *out = (ws_thresholded){NAN, NAN, NAN, NAN, NAN, NAN};
    if (test->positives == 0 || test->negatives == 0)
        return;
    for (uint64_t k = 0; k < test->thresholds; k++) {
        double gain = (double)test->true_positives[k] / (double)test->positives -
                      (double)test->false_positives[k] / (double)test->negatives;
        if (gain > best) {
            best = gain;
            flagged = k + 1;
        }
    }
    out->threshold = flagged < test->thresholds ? test->threshold[flagged] : -INFINITY;
    apply_threshold(test, out);
}

ws_err ws_threshold_at(double quantile, const float *benign_validation, uint64_t n_validation, const ws_ranking *test,
                       ws_thresholded *out)
{
    *out = (ws_thresholded){quantile, NAN, NAN, NAN, NAN, NAN};
    WS_CHECK(quantile >= 0 && quantile <= 1, ARGUMENT, "quantile %g is not in 0..1", quantile);
    if (n_validation == 0)
        return WS_OK;
    for (uint64_t i = 0; i < n_validation; i++)
        WS_CHECK(!isnan(benign_validation[i]), NUMERIC, "validation score %llu of %llu is not a number",
                 (unsigned long long)i, (unsigned long long)n_validation);
    float *sorted = NULL;
    WS_TRY(WS_NEW_ARRAY(sorted, n_validation));
    memcpy(sorted, benign_validation, n_validation * sizeof *sorted);
    qsort(sorted, n_validation, sizeof *sorted, compare_float);
    out->threshold = quantile_of_sorted(sorted, n_validation, quantile);
    free(sorted);
    apply_threshold(test, out);
    return WS_OK;
}
