/* The registry of metrics, made from metrics.def. */
#include "evaluate/evaluate.h"

#include <string.h>

#define METRIC(name) extern const ws_metric ws_metric_##name;
#include "evaluate/metrics.def"
#undef METRIC

const ws_metric *const ws_metrics[] = {
#define METRIC(name) &ws_metric_##name,
#include "evaluate/metrics.def"
#undef METRIC
    NULL};

const ws_metric *ws_metric_find(const char *name)
{
    for (size_t i = 0; ws_metrics[i]; i++)
        if (strcmp(ws_metrics[i]->name, name) == 0)
            return ws_metrics[i];
    return NULL;
}
