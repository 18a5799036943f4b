/* Intervals of ranking metrics from resamples of the scored rows: how far a value may lie from what other rows of the same
 * kind would have given. Percentile intervals (Efron & Tibshirani 1993, chapter 13); anomalies and normal rows are drawn apart,
 * each as many as there are, so that every resample has both. Says nothing of other trainings; that is what seeds are for.
 */
#include "evaluate/evaluate.h"

#include <math.h>
#include <stdlib.h>

typedef struct resampling {
    const ws_ranking *source;
    uint32_t *of_positive, *of_negative; /* threshold of each row */
    uint64_t *positives, *negatives;     /* [thresholds] rows drawn at each */
    ws_ranking drawn;
} resampling;

static void spread(const uint64_t *cumulative, uint64_t thresholds, uint32_t *out)
{
    uint64_t filled = 0;
    for (uint64_t k = 0; k < thresholds; k++)
        while (filled < cumulative[k])
            out[filled++] = (uint32_t)k;
}

/* Two draws a word. A draw of 32 bits is uneven by at most n / 2^32, nothing against the width of an interval. */
static void draw(uint64_t stream, const uint32_t *threshold_of, uint64_t n, uint64_t *counts)
{
    for (uint64_t i = 0; i < n; i += 2) {
        uint64_t word = ws_random_u64(0, WS_RANDOM_BOOTSTRAP, stream, i / 2);
        counts[threshold_of[(word & UINT32_MAX) * n >> 32]]++;
        if (i + 1 < n)
            counts[threshold_of[(word >> 32) * n >> 32]]++;
    }
}

/* Thresholds at which nothing was drawn are none. */
static void resample(resampling *r, uint64_t number)
{
    const ws_ranking *source = r->source;
    ws_ranking *drawn = &r->drawn;
    uint64_t positives = 0, negatives = 0;
    memset(r->positives, 0, source->thresholds * sizeof *r->positives);
    memset(r->negatives, 0, source->thresholds * sizeof *r->negatives);
    draw(2 * number, r->of_positive, source->positives, r->positives);
    draw(2 * number + 1, r->of_negative, source->negatives, r->negatives);
    drawn->thresholds = 0;
    for (uint64_t k = 0; k < source->thresholds; k++) {
        if (r->positives[k] + r->negatives[k] == 0)
            continue;
        drawn->true_positives[drawn->thresholds] = positives += r->positives[k];
        drawn->false_positives[drawn->thresholds] = negatives += r->negatives[k];
        drawn->threshold[drawn->thresholds++] = source->threshold[k];
    }
}

static int rising(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

static double quantile(const double *sorted, int n, double share)
{
    double position = share * (n - 1);
    int below = (int)position;
    return below + 1 < n ? sorted[below] + (sorted[below + 1] - sorted[below]) * (position - below) : sorted[n - 1];
}

static ws_err make_room(resampling *r)
{
    const ws_ranking *source = r->source;
    WS_TRY(WS_NEW_ARRAY(r->of_positive, source->positives));
    WS_TRY(WS_NEW_ARRAY(r->of_negative, source->negatives));
    WS_TRY(WS_NEW_ARRAY(r->positives, source->thresholds));
    WS_TRY(WS_NEW_ARRAY(r->negatives, source->thresholds));
    WS_TRY(WS_NEW_ARRAY(r->drawn.true_positives, source->thresholds));
    WS_TRY(WS_NEW_ARRAY(r->drawn.false_positives, source->thresholds));
    WS_TRY(WS_NEW_ARRAY(r->drawn.threshold, source->thresholds));
    r->drawn.n = source->n;
    r->drawn.positives = source->positives;
    r->drawn.negatives = source->negatives;
    spread(source->true_positives, source->thresholds, r->of_positive);
    spread(source->false_positives, source->thresholds, r->of_negative);
    return WS_OK;
}

static void give_room_back(resampling *r)
{
    free(r->of_positive);
    free(r->of_negative);
    free(r->positives);
    free(r->negatives);
    ws_ranking_destroy(&r->drawn);
}

ws_err ws_bootstrap_intervals(const ws_ranking *ranking, const ws_metric *const *metrics, int count, int resamples,
                              ws_interval *out)
{
    resampling r = {.source = ranking};
    double *values = NULL;
    ws_err error = WS_OK;
    for (int m = 0; m < count; m++)
        out[m] = (ws_interval){NAN, NAN};
    if (resamples == 0 || ranking->positives == 0 || ranking->negatives == 0)
        return WS_OK;
    WS_TRY_GOTO(done, make_room(&r));
    WS_TRY_GOTO(done, WS_NEW_ARRAY(values, (size_t)count * (size_t)resamples));
    for (int i = 0; i < resamples; i++) {
        resample(&r, (uint64_t)i);
        for (int m = 0; m < count; m++)
            values[m * resamples + i] = metrics[m]->ranking(&r.drawn);
    }
    for (int m = 0; m < count; m++) {
        qsort(values + m * resamples, (size_t)resamples, sizeof *values, rising);
        out[m] = (ws_interval){quantile(values + m * resamples, resamples, 0.025),
                               quantile(values + m * resamples, resamples, 0.975)};
    }
done:
    free(values);
    give_room_back(&r);
    return error;
}
