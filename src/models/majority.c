/* majority: what costs nothing. Classification: the most frequent class of the training rows. Anomaly detection: the
 * same score for every row. A model that does not beat this line has learned nothing. */
#include "models/models.h"

typedef struct majority_options {
    int unused; /* C has no empty struct */
} majority_options;
static const ws_option fields[] = {WS_OPTION_END};
static const ws_option_table options_table = {"model", sizeof(majority_options), fields, "majority"};

static ws_err fit_all(const ws_comm *comm, const ws_model_context *context, const ws_samples *training,
                      const ws_samples *validation, ws_arrays *learned)
{
    (void)comm, (void)validation;
    double *frequency;
    bool classify = context->task == WS_TASK_CLASSIFY;
    WS_TRY(ws_arrays_add(learned, "frequency", 1, (int64_t[]){classify ? context->classes : 1}, &frequency));
    for (uint64_t i = 0; i < training->rows; i++)
        frequency[classify ? training->label[i] : 0] += 1;
    return WS_OK;
}

static ws_err score(const ws_model_context *context, const ws_arrays *learned, uint64_t rows, const float *values,
                    float *out)
{
    (void)values;
    const ws_array *frequency = ws_arrays_find(learned, "frequency");
    bool classify = context->task == WS_TASK_CLASSIFY;
    size_t width = classify ? (size_t)context->classes : 1;
    for (uint64_t i = 0; i < rows; i++)
        for (size_t k = 0; k < width; k++)
            out[i * width + k] = classify ? (float)frequency->values[k] : 0;
    return WS_OK;
}

static const ws_learned_array arrays[] = {
    {.name = "frequency", .dimensions = 1, .shape = {WS_SIZE_CLASSES}, .tasks = WS_CAN_CLASSIFY}, {.name = NULL}};

const ws_model ws_model_majority = {
    .name = "majority",
    .help = "the most frequent training class; a constant score for anomalies",
    .tasks = WS_CAN_ANOMALY | WS_CAN_CLASSIFY,
    .deterministic = true,
    .scores = (const char *const[]){"constant", NULL},
    .options = &options_table,
    .classical = &(const ws_classical){.fit_all = fit_all, .score = score, .arrays = arrays},
};
