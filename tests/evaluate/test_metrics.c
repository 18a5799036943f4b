/* Metrics against their definitions computed the slow way, on random data with many ties, and at the edges where a
 * metric is not defined. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include "evaluate/evaluate.h"

enum { MOST = 400 };

typedef struct sample {
    int n;
    float score[MOST];
    uint8_t positive[MOST];
    int32_t truth[MOST], predicted[MOST];
} sample;

/* `levels` distinct scores: few of them make many ties. */
static void draw(sample *s, uint64_t trial, int n, int levels, int classes)
{
    s->n = n;
    for (int i = 0; i < n; i++) {
        uint64_t row = (uint64_t)i;
        s->score[i] = (float)ws_random_below(trial, WS_RANDOM_TEST, 0, row, (uint64_t)levels) / 8.0f - 1.5f;
        s->positive[i] = ws_random_below(trial, WS_RANDOM_TEST, 1, row, 3) == 0;
        s->truth[i] = (int32_t)ws_random_below(trial, WS_RANDOM_TEST, 2, row, (uint64_t)classes);
        s->predicted[i] = (int32_t)ws_random_below(trial, WS_RANDOM_TEST, 3, row, (uint64_t)classes);
    }
}

static double slow_auroc(const sample *s)
{
    double wins = 0, pairs = 0;
    for (int i = 0; i < s->n; i++)
        for (int j = 0; j < s->n; j++) {
            if (!s->positive[i] || s->positive[j])
                continue;
            pairs++;
            wins += s->score[i] > s->score[j] ? 1 : s->score[i] == s->score[j] ? 0.5 : 0;
        }
    return pairs > 0 ? wins / pairs : NAN;
}

/* Rates when every row with a score >= threshold is flagged. */
static void rates_at(const sample *s, float threshold, double *tpr, double *fpr, double *precision)
{
    double hits = 0, alarms = 0, positives = 0;
    for (int i = 0; i < s->n; i++) {
        positives += s->positive[i];
        hits += s->positive[i] && s->score[i] >= threshold;
        alarms += !s->positive[i] && s->score[i] >= threshold;
    }
    *tpr = hits / positives;
    *fpr = alarms / (s->n - positives);
    *precision = hits / (hits + alarms);
}

/* The next distinct score below `above`; false when there is none. */
static bool next_threshold(const sample *s, double above, float *out)
{
    bool found = false;
    for (int i = 0; i < s->n; i++)
        if ((double)s->score[i] < above && (!found || s->score[i] > *out)) {
            *out = s->score[i];
            found = true;
        }
    return found;
}

static double slow_auprc(const sample *s)
{
    double sum = 0, recall_before = 0, above = INFINITY;
    float threshold = 0;
    while (next_threshold(s, above, &threshold)) {
        double recall, fpr, precision;
        rates_at(s, threshold, &recall, &fpr, &precision);
        sum += (recall - recall_before) * precision;
        recall_before = recall;
        above = (double)threshold;
    }
    return sum;
}

static double slow_tpr_at(const sample *s, double limit)
{
    double best = 0, above = INFINITY;
    float threshold = 0;
    while (next_threshold(s, above, &threshold)) {
        double tpr, fpr, precision;
        rates_at(s, threshold, &tpr, &fpr, &precision);
        if (fpr <= limit && tpr > best)
            best = tpr;
        above = (double)threshold;
    }
    return best;
}

static double ranked(const char *name, const sample *s)
{
    ws_ranking ranking;
    assert_int_equal(ws_ranking_create(&ranking, s->score, s->positive, (uint64_t)s->n), WS_OK);
    double value = ws_metric_find(name)->ranking(&ranking);
    ws_ranking_destroy(&ranking);
    return value;
}

static void ranking_metrics_equal_their_definitions(void **state)
{
    (void)state;
    static sample s;
    for (uint64_t trial = 0; trial < 60; trial++) {
        draw(&s, trial, 150 + (int)trial * 4, trial % 3 == 0 ? 4 : trial % 3 == 1 ? 40 : 100000, 2);
        assert_float_equal(ranked("auroc", &s), slow_auroc(&s), 1e-13);
        assert_float_equal(ranked("auprc", &s), slow_auprc(&s), 1e-13);
        assert_float_equal(ranked("tpr_at_fpr_0.01", &s), slow_tpr_at(&s, 0.01), 1e-15);
        assert_float_equal(ranked("tpr_at_fpr_0.001", &s), slow_tpr_at(&s, 0.001), 1e-15);
    }
}

static void ranking_does_not_depend_on_the_order_of_rows(void **state)
{
    (void)state;
    static sample s, turned;
    draw(&s, 7, 300, 12, 2);
    turned.n = s.n;
    for (int i = 0; i < s.n; i++) {
        turned.score[i] = s.score[s.n - 1 - i];
        turned.positive[i] = s.positive[s.n - 1 - i];
    }
    assert_true(ranked("auroc", &s) == ranked("auroc", &turned));
    assert_true(ranked("auprc", &s) == ranked("auprc", &turned));
}

static void known_values(void **state)
{
    (void)state;
    /* The worked example of scikit-learn's documentation: 0.75 and 0.8333. */
    sample s = {.n = 4, .score = {0.1f, 0.4f, 0.35f, 0.8f}, .positive = {0, 0, 1, 1}};
    assert_float_equal(ranked("auroc", &s), 0.75, 1e-15);
    assert_float_equal(ranked("auprc", &s), 0.5 + 0.5 * 2 / 3, 1e-15);
    assert_float_equal(ranked("tpr_at_fpr_0.01", &s), 0.5, 1e-15);
    sample extremes = {.n = 4, .score = {-INFINITY, -0.0f, 0.0f, INFINITY}, .positive = {0, 0, 1, 1}};
    assert_float_equal(ranked("auroc", &extremes), 3.5 / 4, 1e-15); /* the two zeros are a tie */
    sample constant = {.n = 3, .score = {2, 2, 2}, .positive = {1, 0, 0}};
    assert_float_equal(ranked("auroc", &constant), 0.5, 1e-15);
    assert_float_equal(ranked("auprc", &constant), 1.0 / 3, 1e-15);
    assert_float_equal(ranked("tpr_at_fpr_0.01", &constant), 0, 1e-15);
}

static void undefined_is_nan_and_not_zero(void **state)
{
    (void)state;
    sample none = {.n = 3, .score = {1, 2, 3}, .positive = {0, 0, 0}};
    sample all = {.n = 3, .score = {1, 2, 3}, .positive = {1, 1, 1}};
    sample empty = {.n = 0};
    for (size_t i = 0; ws_metrics[i]; i++)
        if (ws_metrics[i]->family == WS_METRIC_RANKING) {
            assert_true(isnan(ranked(ws_metrics[i]->name, &none)));
            assert_true(isnan(ranked(ws_metrics[i]->name, &empty)));
        }
    assert_true(isnan(ranked("auroc", &all)));
    assert_float_equal(ranked("auprc", &all), 1, 1e-15);
    ws_ranking ranking;
    const float bad[] = {1, NAN};
    assert_int_equal(ws_ranking_create(&ranking, bad, all.positive, 2), WS_E_NUMERIC);
    ws_confusion confusion;
    assert_int_equal(ws_confusion_create(&confusion, NULL, NULL, 0, 3), WS_OK);
    for (size_t i = 0; ws_metrics[i]; i++)
        if (ws_metrics[i]->family == WS_METRIC_CLASSIFICATION)
            assert_true(isnan(ws_metrics[i]->classification(&confusion)));
    ws_confusion_destroy(&confusion);
}

static double slow_balanced_accuracy(const sample *s, int classes)
{
    double sum = 0, present = 0;
    for (int c = 0; c < classes; c++) {
        double rows = 0, hits = 0;
        for (int i = 0; i < s->n; i++) {
            rows += s->truth[i] == c;
            hits += s->truth[i] == c && s->predicted[i] == c;
        }
        sum += rows > 0 ? hits / rows : 0;
        present += rows > 0;
    }
    return sum / present;
}

static double slow_macro_f1(const sample *s, int classes)
{
    double sum = 0, present = 0;
    for (int c = 0; c < classes; c++) {
        double truth = 0, predicted = 0, hits = 0;
        for (int i = 0; i < s->n; i++) {
            truth += s->truth[i] == c;
            predicted += s->predicted[i] == c;
            hits += s->truth[i] == c && s->predicted[i] == c;
        }
        double precision = predicted > 0 ? hits / predicted : 0, recall = truth > 0 ? hits / truth : 0;
        sum += precision + recall > 0 ? 2 * precision * recall / (precision + recall) : 0;
        present += truth + predicted > 0;
    }
    return sum / present;
}

static void classification_metrics_equal_their_definitions(void **state)
{
    (void)state;
    static sample s;
    for (uint64_t trial = 0; trial < 60; trial++) {
        int classes = 2 + (int)(trial % 7);
        draw(&s, trial, 20 + (int)trial * 3, 5, classes);
        for (int i = 0; i < s.n && trial % 2; i++) /* one class only ever predicted, one never seen at all */
            s.truth[i] = s.truth[i] == classes - 1 ? 0 : s.truth[i];
        double right = 0;
        for (int i = 0; i < s.n; i++)
            right += s.truth[i] == s.predicted[i];
        ws_confusion confusion;
        assert_int_equal(ws_confusion_create(&confusion, s.predicted, s.truth, (uint64_t)s.n, classes + 1), WS_OK);
        assert_float_equal(ws_metric_find("balanced_accuracy")->classification(&confusion),
                           slow_balanced_accuracy(&s, classes), 1e-14);
        assert_float_equal(ws_metric_find("macro_f1")->classification(&confusion), slow_macro_f1(&s, classes), 1e-14);
        assert_float_equal(ws_metric_find("accuracy")->classification(&confusion), right / s.n, 1e-14);
        assert_int_equal(confusion.counts[0 * (classes + 1) + classes], 0);
        ws_confusion_destroy(&confusion);
    }
    const int32_t outside[] = {0, 3}, inside[] = {0, 1};
    ws_confusion confusion;
    assert_int_equal(ws_confusion_create(&confusion, outside, inside, 2, 3), WS_E_ARGUMENT);
    assert_int_equal(ws_confusion_create(&confusion, inside, outside, 2, 3), WS_E_ARGUMENT);
}

static void threshold_comes_from_validation_only(void **state)
{
    (void)state;
    float benign[101];
    for (int i = 0; i <= 100; i++)
        benign[i] = (float)((i * 37) % 101); /* 0..100, shuffled: the q-quantile is 100 q */
    sample s = {.n = 6, .score = {90, 95, 95.5f, 96, 97, 200}, .positive = {1, 0, 0, 1, 0, 1}};
    ws_ranking test;
    assert_int_equal(ws_ranking_create(&test, s.score, s.positive, 6), WS_OK);
    ws_thresholded at;
    assert_int_equal(ws_threshold_at(0.955, benign, 101, &test, &at), WS_OK);
    assert_float_equal(at.threshold, 95.5, 1e-12);
    assert_float_equal(at.recall, 2.0 / 3, 1e-15);
    assert_float_equal(at.precision, 2.0 / 3, 1e-15);
    assert_float_equal(at.f1, 2.0 / 3, 1e-15);
    assert_float_equal(at.false_positive_rate, 1.0 / 3, 1e-15);

    float constant[50] = {0};
    assert_int_equal(ws_threshold_at(0.95, constant, 50, &test, &at), WS_OK);
    assert_float_equal(at.threshold, 0, 0);
    assert_float_equal(at.recall, 1, 0);
    const float high[] = {1000};
    assert_int_equal(ws_threshold_at(0.5, high, 1, &test, &at), WS_OK);
    assert_true(isnan(at.precision)); /* nothing flagged */
    assert_float_equal(at.recall, 0, 0);
    assert_float_equal(at.f1, 0, 0);
    assert_int_equal(ws_threshold_at(0.5, NULL, 0, &test, &at), WS_OK);
    assert_true(isnan(at.threshold) && isnan(at.recall));
    assert_int_equal(ws_threshold_at(1.5, high, 1, &test, &at), WS_E_ARGUMENT);
    /* rows without any density have infinite scores: the quantile is one of them, or the last finite one */
    const float ends[] = {-INFINITY, 94, INFINITY, 96, INFINITY};
    static const double quantiles[] = {0, 0.1, 0.25, 0.5, 0.6, 1},
                        want[] = {-INFINITY, -INFINITY, 94, 96, INFINITY, INFINITY};
    for (int q = 0; q < 6; q++) {
        assert_int_equal(ws_threshold_at(quantiles[q], ends, 5, &test, &at), WS_OK);
        assert_true(at.threshold == want[q]);
    }
    assert_int_equal(ws_threshold_at(0.5, ends, 5, &test, &at), WS_OK);
    assert_float_equal(at.false_positive_rate, 1.0 / 3, 1e-15); /* 97, and 200 of the anomalies */
    assert_float_equal(at.recall, 1.0 / 3, 1e-15);
    ws_ranking_destroy(&test);
}

/* Youden's threshold is the best of all thresholds tried one by one, and flags what it says. */
static void the_oracle_is_the_best_threshold(void **state)
{
    (void)state;
    static sample s;
    for (uint64_t trial = 0; trial < 20; trial++) {
        draw(&s, trial, 200, trial % 2 ? 9 : 100000, 2);
        ws_ranking test;
        ws_thresholded oracle;
        assert_int_equal(ws_ranking_create(&test, s.score, s.positive, (uint64_t)s.n), WS_OK);
        ws_threshold_of_oracle(&test, &oracle);
        ws_ranking_destroy(&test);
        double best = 0, above = INFINITY, hits = 0, alarms = 0, positives = 0;
        float threshold = 0;
        while (next_threshold(&s, above, &threshold)) {
            double tpr, fpr, precision;
            rates_at(&s, threshold, &tpr, &fpr, &precision);
            best = tpr - fpr > best ? tpr - fpr : best;
            above = (double)threshold;
        }
        for (int i = 0; i < s.n; i++) {
            bool flagged = (double)s.score[i] > oracle.threshold;
            hits += flagged && s.positive[i];
            alarms += flagged && !s.positive[i];
            positives += s.positive[i];
        }
        assert_true(fabs(oracle.recall - oracle.false_positive_rate - best) < 1e-12);
        assert_true(fabs(oracle.recall - hits / positives) < 1e-12);
        assert_true(fabs(oracle.false_positive_rate - alarms / (s.n - positives)) < 1e-12);
        assert_true(isnan(oracle.quantile));
    }
    sample backwards = {.n = 4, .score = {1, 2, 3, 4}, .positive = {1, 1, 0, 0}};
    ws_ranking test;
    ws_thresholded oracle;
    assert_int_equal(ws_ranking_create(&test, backwards.score, backwards.positive, 4), WS_OK);
    ws_threshold_of_oracle(&test, &oracle); /* nothing gains: nothing is flagged */
    assert_float_equal(oracle.recall, 0, 0);
    assert_float_equal(oracle.false_positive_rate, 0, 0);
    ws_ranking_destroy(&test);
}

static ws_interval interval_of(const char *name, const sample *s, int resamples)
{
    ws_ranking ranking;
    ws_interval interval;
    const ws_metric *metric = ws_metric_find(name);
    assert_int_equal(ws_ranking_create(&ranking, s->score, s->positive, (uint64_t)s->n), WS_OK);
    assert_int_equal(ws_bootstrap_intervals(&ranking, &metric, 1, resamples, &interval), WS_OK);
    ws_ranking_destroy(&ranking);
    return interval;
}

/* Against the width that theory gives (DeLong et al. 1988, from the scores' own placements), and at the edges. */
static void intervals_are_as_wide_as_theory_says(void **state)
{
    (void)state;
    static sample s, turned;
    for (uint64_t trial = 0; trial < 4; trial++) {
        int levels = trial % 2 ? 12 : 100000;
        draw(&s, trial, 400, levels, 2);
        for (int i = 0; i < s.n && trial < 2; i++) /* two of them with a score that is worth something */
            s.score[i] += s.positive[i] ? 0.4f * (float)levels / 8 : 0;
        double positives = 0, negatives = 0, auc = slow_auroc(&s), of_positives = 0, of_negatives = 0;
        for (int i = 0; i < s.n; i++)
            *(s.positive[i] ? &positives : &negatives) += 1;
        for (int i = 0; i < s.n; i++) {
            double wins = 0;
            for (int j = 0; j < s.n; j++) {
                float high = s.positive[i] ? s.score[i] : s.score[j], low = s.positive[i] ? s.score[j] : s.score[i];
                if (s.positive[i] != s.positive[j])
                    wins += high > low ? 1 : high == low ? 0.5 : 0;
            }
            double apart = wins / (s.positive[i] ? negatives : positives) - auc;
            *(s.positive[i] ? &of_positives : &of_negatives) += apart * apart;
        }
        double deviation = sqrt(of_positives / positives / positives + of_negatives / negatives / negatives);
        ws_interval interval = interval_of("auroc", &s, 1000);
        assert_true(fabs((interval.high - interval.low) - 2 * 1.96 * deviation) <= 0.12 * 2 * 1.96 * deviation);
        assert_true(interval.low <= auc && auc <= interval.high);
        turned.n = s.n;
        for (int i = 0; i < s.n; i++) {
            turned.score[i] = s.score[s.n - 1 - i];
            turned.positive[i] = s.positive[s.n - 1 - i];
        }
        ws_interval again = interval_of("auroc", &turned, 1000);
        assert_true(again.low == interval.low && again.high == interval.high);
    }
    sample perfect = {.n = 4, .score = {1, 2, 3, 4}, .positive = {0, 0, 1, 1}}, none = {.n = 2, .score = {1, 2}};
    ws_interval sure = interval_of("auprc", &perfect, 100);
    assert_true(sure.low == 1 && sure.high == 1);
    assert_true(isnan(interval_of("auroc", &none, 100).low) && isnan(interval_of("auroc", &perfect, 0).high));
}

static void registry_finds_every_metric_by_its_name(void **state)
{
    (void)state;
    for (size_t i = 0; ws_metrics[i]; i++) {
        assert_ptr_equal(ws_metric_find(ws_metrics[i]->name), ws_metrics[i]);
        assert_true((ws_metrics[i]->ranking != NULL) == (ws_metrics[i]->family == WS_METRIC_RANKING));
        assert_true((ws_metrics[i]->classification != NULL) == (ws_metrics[i]->family == WS_METRIC_CLASSIFICATION));
    }
    assert_null(ws_metric_find("auroc "));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranking_metrics_equal_their_definitions),
        cmocka_unit_test(ranking_does_not_depend_on_the_order_of_rows),
        cmocka_unit_test(known_values),
        cmocka_unit_test(undefined_is_nan_and_not_zero),
        cmocka_unit_test(classification_metrics_equal_their_definitions),
        cmocka_unit_test(threshold_comes_from_validation_only),
        cmocka_unit_test(the_oracle_is_the_best_threshold),
        cmocka_unit_test(intervals_are_as_wide_as_theory_says),
        cmocka_unit_test(registry_finds_every_metric_by_its_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
