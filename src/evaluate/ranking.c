/* Ranking: rows sorted by score once, and the metrics that read the sorted counts: AUROC, AUPRC, TPR at a fixed FPR.
 *
 * Equal scores form one threshold, so no metric depends on the order of ties. Counts are exact integers; AUROC is one
 * division of two of them. Nothing here chooses a threshold; that is thresholded.c.
 */
#include "evaluate/evaluate.h"

#include <math.h>
#include <stdlib.h>

/* Bits of a float such that unsigned order is descending order of score; the two zeros become one. */
static uint32_t descending_key(float score)
{
    float value = score + 0.0f;
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint32_t ascending = bits & 0x80000000u ? ~bits : bits | 0x80000000u;
    return ~ascending;
}

static float score_of_key(uint32_t key)
{
    uint32_t ascending = ~key, bits = ascending & 0x80000000u ? ascending & 0x7fffffffu : ~ascending;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Least significant digit radix sort by the upper 32 bits; four passes, so the result ends in `items` again. */
static void sort_by_key(uint64_t *items, uint64_t *other, uint64_t n)
{
    for (int shift = 32; shift < 64; shift += 8) {
        uint64_t begin[257] = {0};
        for (uint64_t i = 0; i < n; i++)
            begin[((items[i] >> shift) & 255) + 1]++;
        for (int digit = 0; digit < 256; digit++)
            begin[digit + 1] += begin[digit];
        for (uint64_t i = 0; i < n; i++)
            other[begin[(items[i] >> shift) & 255]++] = items[i];
        uint64_t *swap = items;
        items = other;
        other = swap;
    }
}

static ws_err count_thresholds(ws_ranking *ranking, const uint64_t *items)
{
    uint64_t n = ranking->n, distinct = 0;
    for (uint64_t i = 0; i < n; i++)
        distinct += i == 0 || items[i] >> 32 != items[i - 1] >> 32;
    WS_TRY(WS_NEW_ARRAY(ranking->true_positives, distinct));
    WS_TRY(WS_NEW_ARRAY(ranking->false_positives, distinct));
    WS_TRY(WS_NEW_ARRAY(ranking->threshold, distinct));
    for (uint64_t i = 0; i < n; i++) {
        if (items[i] & 1)
            ranking->positives++;
        else
            ranking->negatives++;
        if (i + 1 < n && items[i] >> 32 == items[i + 1] >> 32)
            continue;
        uint64_t k = ranking->thresholds++;
        ranking->true_positives[k] = ranking->positives;
        ranking->false_positives[k] = ranking->negatives;
        ranking->threshold[k] = (double)score_of_key((uint32_t)(items[i] >> 32));
    }
    return WS_OK;
}

ws_err ws_ranking_create(ws_ranking *out, const float *score, const uint8_t *positive, uint64_t n)
{
    *out = (ws_ranking){.n = n};
    WS_CHECK(n < UINT64_C(1) << 32, ARGUMENT, "%llu scores to rank: at most 2^32 - 1", (unsigned long long)n);
    uint64_t *items = NULL, *other = NULL;
    ws_err error = WS_OK;
    WS_TRY_GOTO(done, WS_NEW_ARRAY(items, n));
    WS_TRY_GOTO(done, WS_NEW_ARRAY(other, n));
    for (uint64_t i = 0; i < n; i++) {
        WS_CHECK_GOTO(done, !isnan(score[i]), NUMERIC, "score of row %llu of %llu is not a number",
                      (unsigned long long)i, (unsigned long long)n);
        items[i] = (uint64_t)descending_key(score[i]) << 32 | (positive[i] != 0);
    }
    sort_by_key(items, other, n);
    WS_TRY_GOTO(done, count_thresholds(out, items));
done:
    free(items);
    free(other);
    if (error != WS_OK)
        ws_ranking_destroy(out);
    return error;
}

void ws_ranking_destroy(ws_ranking *ranking)
{
    free(ranking->true_positives);
    free(ranking->false_positives);
    free(ranking->threshold);
    *ranking = (ws_ranking){0};
}

static bool is_defined(const ws_ranking *ranking)
{
    return ranking->positives > 0 && ranking->negatives > 0;
}

/* Mann-Whitney U over positives * negatives, a tie counting one half: twice U is summed as an integer. */
static double auroc(const ws_ranking *ranking)
{
    if (!is_defined(ranking))
        return NAN;
    uint64_t twice_u = 0, positives_above = 0, negatives_above = 0;
    for (uint64_t k = 0; k < ranking->thresholds; k++) {
        uint64_t negatives_here = ranking->false_positives[k] - negatives_above;
        twice_u += negatives_here * (positives_above + ranking->true_positives[k]);
        positives_above = ranking->true_positives[k];
        negatives_above = ranking->false_positives[k];
    }
    return (double)twice_u / (2.0 * (double)(ranking->positives * ranking->negatives));
}

/* Average precision: sum over distinct thresholds of (R_k - R_{k-1}) P_k; steps, not trapezoids. */
static double auprc(const ws_ranking *ranking)
{
    if (ranking->positives == 0)
        return NAN;
    double sum = 0;
    uint64_t positives_above = 0;
    for (uint64_t k = 0; k < ranking->thresholds; k++) {
        double hits = (double)ranking->true_positives[k];
        double precision = hits / (hits + (double)ranking->false_positives[k]);
        sum += (hits - (double)positives_above) * precision;
        positives_above = ranking->true_positives[k];
    }
    return sum / (double)ranking->positives;
}

/* The largest TPR over thresholds with FPR <= limit, no interpolation. A threshold above all scores gives 0 at FPR 0.
 */
static double true_positive_rate_at(const ws_ranking *ranking, double limit)
{
    if (!is_defined(ranking))
        return NAN;
    uint64_t best = 0;
    for (uint64_t k = 0; k < ranking->thresholds; k++)
        if ((double)ranking->false_positives[k] / (double)ranking->negatives <= limit)
            best = ranking->true_positives[k];
    return (double)best / (double)ranking->positives;
}

static double tpr_at_fpr_1_percent(const ws_ranking *ranking)
{
    return true_positive_rate_at(ranking, 0.01);
}

static double tpr_at_fpr_01_percent(const ws_ranking *ranking)
{
    return true_positive_rate_at(ranking, 0.001);
}

const ws_metric ws_metric_auroc = {
    "auroc", WS_METRIC_RANKING, true, "area under the ROC curve (Mann-Whitney U, ties count one half)", auroc, NULL};
const ws_metric ws_metric_auprc = {"auprc", WS_METRIC_RANKING,
                                   true,    "average precision: sum of (R_k - R_{k-1}) P_k over distinct thresholds",
                                   auprc,   NULL};
const ws_metric ws_metric_tpr_at_fpr_1_percent = {"tpr_at_fpr_0.01",
                                                  WS_METRIC_RANKING,
                                                  true,
                                                  "largest true positive rate at a false positive rate of at most 1 %",
                                                  tpr_at_fpr_1_percent,
                                                  NULL};
const ws_metric ws_metric_tpr_at_fpr_01_percent = {
    "tpr_at_fpr_0.001",
    WS_METRIC_RANKING,
    true,
    "largest true positive rate at a false positive rate of at most 0.1 %",
    tpr_at_fpr_01_percent,
    NULL};
