/* Classification: the confusion matrix and the metrics that read it: balanced accuracy, macro-F1, accuracy. */
#include "evaluate/evaluate.h"

#include <math.h>
#include <stdlib.h>

ws_err ws_confusion_create(ws_confusion *out, const int32_t *predicted, const int32_t *truth, uint64_t n, int classes)
{
    *out = (ws_confusion){.classes = classes, .n = n};
    WS_CHECK(classes > 0, ARGUMENT, "a confusion matrix of %d classes: at least one is needed", classes);
    for (uint64_t i = 0; i < n; i++) {
        WS_CHECK(predicted[i] >= 0 && predicted[i] < classes, ARGUMENT, "row %llu: predicted class %d is not in 0..%d",
                 (unsigned long long)i, (int)predicted[i], classes - 1);
        WS_CHECK(truth[i] >= 0 && truth[i] < classes, ARGUMENT, "row %llu: true class %d is not in 0..%d",
                 (unsigned long long)i, (int)truth[i], classes - 1);
    }
    WS_TRY(WS_NEW_ARRAY(out->counts, (size_t)classes * (size_t)classes));
    for (uint64_t i = 0; i < n; i++)
        out->counts[(size_t)truth[i] * (size_t)classes + (size_t)predicted[i]]++;
    return WS_OK;
}

void ws_confusion_destroy(ws_confusion *confusion)
{
    free(confusion->counts);
    *confusion = (ws_confusion){0};
}

typedef struct class_counts {
    uint64_t hits, truth, predicted;
} class_counts;

static class_counts count_class(const ws_confusion *confusion, int class_index)
{
    size_t classes = (size_t)confusion->classes, c = (size_t)class_index;
    class_counts counts = {.hits = confusion->counts[c * classes + c]};
    for (size_t other = 0; other < classes; other++) {
        counts.truth += confusion->counts[c * classes + other];
        counts.predicted += confusion->counts[other * classes + c];
    }
    return counts;
}

/* Mean recall over the classes present in truth. */
static double balanced_accuracy(const ws_confusion *confusion)
{
    double sum = 0;
    int present = 0;
    for (int c = 0; c < confusion->classes; c++) {
        class_counts counts = count_class(confusion, c);
        if (counts.truth == 0)
            continue;
        sum += (double)counts.hits / (double)counts.truth;
        present++;
    }
    return present ? sum / present : NAN;
}

/* Mean F1 over the classes present in truth or prediction. F1 = 2 hits / (truth + predicted) is 0, and defined, where
 * precision or recall alone is not. */
static double macro_f1(const ws_confusion *confusion)
{
    double sum = 0;
    int present = 0;
    for (int c = 0; c < confusion->classes; c++) {
        class_counts counts = count_class(confusion, c);
        if (counts.truth + counts.predicted == 0)
            continue;
        sum += 2.0 * (double)counts.hits / (double)(counts.truth + counts.predicted);
        present++;
    }
    return present ? sum / present : NAN;
}

static double accuracy(const ws_confusion *confusion)
{
    uint64_t hits = 0;
    for (int c = 0; c < confusion->classes; c++)
        hits += count_class(confusion, c).hits;
    return confusion->n ? (double)hits / (double)confusion->n : NAN;
}

const ws_metric ws_metric_balanced_accuracy = {
    "balanced_accuracy", WS_METRIC_CLASSIFICATION, true, "mean recall over the classes present in truth", NULL,
    balanced_accuracy};
const ws_metric ws_metric_macro_f1 = {"macro_f1", WS_METRIC_CLASSIFICATION,
                                      true,       "mean F1 over the classes present in truth or prediction",
                                      NULL,       macro_f1};
const ws_metric ws_metric_accuracy = {"accuracy", WS_METRIC_CLASSIFICATION, true, "share of rows predicted right", NULL,
                                      accuracy};
