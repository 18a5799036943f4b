/* evaluate: metrics over arrays; nothing here knows of stores, models or ranks.
 *
 * Every metric is one entry of metrics.def in a family:
 *   ranking        score[n] (higher = more anomalous), positive[n]
 *   classification predicted[n], truth[n], C classes
 * An undefined value (no positives, say) is NaN and is written as null / n/a, never as 0.
 * Sources: AUROC as Mann-Whitney U with mid-ranks; AUPRC as average precision, sum of (R_k - R_{k-1}) P_k over distinct
 * thresholds (scikit-learn's definition); TPR at FPR f: the largest TPR over thresholds with FPR <= f, no
 * interpolation; balanced accuracy: mean recall over the classes present in truth; macro-F1: mean F1 over classes
 * present in truth or prediction, precision 0 where undefined.
 */
#ifndef WS_EVALUATE_H
#define WS_EVALUATE_H

#include "core/core.h"

typedef enum ws_metric_family { WS_METRIC_RANKING, WS_METRIC_CLASSIFICATION, WS_METRIC_FAMILY_COUNT } ws_metric_family;

typedef struct ws_ranking { /* rows sorted by score once, shared by all ranking metrics; see ws_ranking_create */
    uint64_t n, positives, negatives;
    /* distinct thresholds in descending order of score: counts of positives and negatives at or above it */
    uint64_t thresholds;
    uint64_t *true_positives, *false_positives;
    double *threshold;
} ws_ranking;
WS_MUST ws_err ws_ranking_create(ws_ranking *out, const float *score, const uint8_t *positive,
                                 uint64_t n); /* NaN scores: WS_E_NUMERIC */
void ws_ranking_destroy(ws_ranking *ranking);

typedef struct ws_confusion { /* counts[truth * classes + predicted] */
    int classes;
    uint64_t *counts, n;
} ws_confusion;
WS_MUST ws_err ws_confusion_create(ws_confusion *out, const int32_t *predicted, const int32_t *truth, uint64_t n,
                                   int classes);
void ws_confusion_destroy(ws_confusion *confusion);

typedef struct ws_metric {
    const char *name; /* "auroc" */
    ws_metric_family family;
    bool higher_is_better;
    const char *help;
    double (*ranking)(const ws_ranking *ranking); /* exactly one of the two */
    double (*classification)(const ws_confusion *confusion);
} ws_metric;
extern const ws_metric *const ws_metrics[]; /* NULL-terminated, order of metrics.def */
const ws_metric *ws_metric_find(const char *name);

/* Threshold that flags about the fraction 1-q of benign validation scores (q-quantile, linear interpolation), and what
 * it gives on test: precision, recall, F1, false positive rate. A row is flagged when its score is above the threshold.
 * Without validation scores all is NaN; precision is NaN where nothing is flagged. */
typedef struct ws_thresholded {
    double quantile, threshold, precision, recall, f1, false_positive_rate;
} ws_thresholded;
WS_MUST ws_err ws_threshold_at(double quantile, const float *benign_validation, uint64_t n_validation,
                               const ws_ranking *test, ws_thresholded *out);
/* The threshold with the largest difference of true and false positive rate on the test rows themselves (Youden 1950), the
 * highest where several are: what a threshold could reach at best, known only to an oracle. quantile is NaN; all is NaN
 * without anomalies or normal rows. */
void ws_threshold_of_oracle(const ws_ranking *test, ws_thresholded *out);

/* 95 % interval of each ranking metric over `resamples` resamples of the rows; NaN where the metric is not defined, or for
 * none. A pure function of the ranking: the random stream is its own. */
typedef struct ws_interval {
    double low, high;
} ws_interval;
WS_MUST ws_err ws_bootstrap_intervals(const ws_ranking *ranking, const ws_metric *const *metrics, int count,
                                      int resamples, ws_interval *out);

#endif
