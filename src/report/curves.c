/* ROC curves and curves of precision against recall, over the seeds of a line at fixed places, so that they can be averaged. Steps as
 * in the metrics: no threshold between two scores, no interpolation. */
#include "report/internal.h"

#include <math.h>
#include <stdlib.h>

/* Of the test rows of one trial. */
static ws_err rank(const ws_report_scored *scored, ws_ranking *out)
{
    float *values = NULL;
    uint8_t *positive = NULL;
    uint64_t n = 0;
    ws_err error = WS_NEW_ARRAY(values, scored->rows);
    if (error == WS_OK)
        error = WS_NEW_ARRAY(positive, scored->rows);
    for (uint64_t i = 0; i < scored->rows && error == WS_OK; i++)
        if (scored->is_test[i]) {
            values[n] = scored->score[i];
            positive[n++] = scored->anomalous[i];
        }
    if (error == WS_OK)
        error = ws_ranking_create(out, values, positive, n);
    free(values);
    free(positive);
    return error;
}

/* The largest true positive rate at a false positive rate of at most x. */
static double rate_at(const ws_ranking *ranking, double x)
{
    uint64_t best = 0;
    for (uint64_t low = 0, high = ranking->thresholds; low < high;) {
        uint64_t middle = low + (high - low) / 2;
        if ((double)ranking->false_positives[middle] <= x * (double)ranking->negatives) {
            best = ranking->true_positives[middle];
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return (double)best / (double)ranking->positives;
}

/* The precision at the first threshold that finds at least a share x of the anomalies. */
static double precision_at(const ws_ranking *ranking, double x)
{
    uint64_t low = 0, high = ranking->thresholds - 1;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        if ((double)ranking->true_positives[middle] >= x * (double)ranking->positives &&
            ranking->true_positives[middle] > 0)
            high = middle;
        else
            low = middle + 1;
    }
    double hits = (double)ranking->true_positives[low];
    return hits / (hits + (double)ranking->false_positives[low]);
}

static void average(const double *values, size_t trials, ws_report_curve *out)
{
    for (size_t i = 0; i < WS_CURVE_POINTS; i++) {
        ws_statistics s = ws_statistics_of(values + i * trials, trials);
        out->x[i] = (double)i / (WS_CURVE_POINTS - 1);
        out->mean[i] = s.mean;
        out->deviation[i] = isnan(s.deviation) ? 0 : s.deviation;
        out->n = s.n;
    }
}

static ws_err add_trial(const ws_report *report, const ws_report_line *line, size_t t, double *roc, double *precision)
{
    size_t trials = line->cell->count;
    ws_report_scored scored;
    ws_ranking ranking;
    bool found;
    for (size_t i = 0; i < WS_CURVE_POINTS; i++)
        roc[i * trials + t] = precision[i * trials + t] = NAN;
    WS_TRY(ws_report_scored_read(report, &line->cell->trials[t], line->score, &found, &scored));
    if (!found)
        return WS_OK;
    ws_err error = rank(&scored, &ranking);
    ws_report_scored_destroy(&scored);
    WS_TRY(error);
    for (size_t i = 0; i < WS_CURVE_POINTS && ranking.positives > 0 && ranking.negatives > 0; i++) {
        double x = (double)i / (WS_CURVE_POINTS - 1);
        roc[i * trials + t] = rate_at(&ranking, x);
        precision[i * trials + t] = precision_at(&ranking, x);
    }
    ws_ranking_destroy(&ranking);
    return WS_OK;
}

ws_err ws_report_curves(const ws_report *report, const ws_report_line *line, ws_report_curve *roc,
                        ws_report_curve *precision)
{
    size_t trials = line->cell->count;
    double *rates = NULL, *precisions = NULL;
    ws_err error = WS_NEW_ARRAY(rates, WS_CURVE_POINTS * trials);
    if (error == WS_OK)
        error = WS_NEW_ARRAY(precisions, WS_CURVE_POINTS * trials);
    for (size_t t = 0; t < trials && error == WS_OK; t++)
        error = add_trial(report, line, t, rates, precisions);
    if (error == WS_OK) {
        average(rates, trials, roc);
        average(precisions, trials, precision);
    }
    free(rates);
    free(precisions);
    return error;
}
