/* tccm: time-conditioned contraction matching. A field f(x, t) is taught to point from every normal row to the origin, f = -x,
 * whatever the time; a row is scored by how far f(x, 1) misses, |f(x, 1) + x|: one evaluation of the network. The network:
 * [x, time features] -> two layers of relu -> linear; 109,076 parameters for 20 columns and the default options; the rates of the
 * time features fall from 1, as published. Published with epochs tuned for each data set; here the steps are those of "train",
 * one budget for all.
 */
#include <math.h>
#include "models/models.h"
#include "models/time_features.h"

enum { MAXIMUM_TIME_FEATURES = 512 };

typedef struct tccm_options {
    int64_t width, time_features;
} tccm_options;
static const ws_option fields[] = {
    WS_OPTION_INT(tccm_options, width, 256, 1, 8192, "hidden width"),
    WS_OPTION_INT(tccm_options, time_features, 128, 4, MAXIMUM_TIME_FEATURES, "sines and cosines of t; even"),
    WS_OPTION_END};
static const ws_option_table options_table = {"model", sizeof(tccm_options), fields, "tccm"};

static void check(const ws_model_context *context, const ws_json *document, const cJSON *object, ws_problems *problems)
{
    const tccm_options *options = context->options;
    if (options->time_features % 2 != 0)
        ws_problems_add(problems, document, cJSON_GetObjectItemCaseSensitive(object, "time_features"),
                        "model.time_features: %lld is not even", (long long)options->time_features);
}

static ws_tensor build_field(const ws_model_context *context, ws_plan *plan, int64_t rows)
{
    const tccm_options *options = context->options;
    ws_tensor x = ws_input(plan, "x", 2, (int64_t[]){rows, context->columns});
    ws_tensor time = ws_input(plan, "time", 2, (int64_t[]){rows, options->time_features});
    ws_tensor h = ws_linear(plan, ws_concat(plan, x, time), options->width, WS_RELU, "input");
    h = ws_linear(plan, h, options->width, WS_RELU, "hidden");
    ws_tensor field = ws_linear(plan, h, context->columns, WS_NONE, "output");
    ws_plan_output(plan, field, "field");
    return field;
}

static ws_err build_training(const ws_model_context *context, ws_plan *plan, int64_t rows, ws_tensor *loss)
{
    ws_tensor field = build_field(context, plan, rows);
    *loss = ws_mse(plan, field, ws_input(plan, "target", 2, (int64_t[]){rows, context->columns}));
    return WS_OK;
}

static ws_err build_scoring(const ws_model_context *context, ws_plan *plan, int64_t rows)
{
    (void)build_field(context, plan, rows);
    return WS_OK;
}

static void fill(const ws_model_context *context, const ws_batch *batch, const void *plan, int shard,
                 ws_executor *executor)
{
    (void)plan;
    const tccm_options *options = context->options;
    int64_t rows = context->batch / context->shards, columns = context->columns;
    ws_real *x = ws_executor_input(executor, "x"), *target = ws_executor_input(executor, "target");
    ws_real *time = ws_executor_input(executor, "time");
    double rates[MAXIMUM_TIME_FEATURES / 2];
    ws_time_rates_falling(options->time_features, rates);
    for (int64_t r = 0; r < rows; r++, x += columns, target += columns, time += options->time_features) {
        uint64_t position = (uint64_t)(shard * rows + r);
        const float *row = batch->samples->values + batch->rows[position] * (uint64_t)columns;
        float t;
        ws_random_uniform(batch->seed, WS_RANDOM_TIME, batch->step, position, &t, 1);
        ws_time_features(t, rates, options->time_features, time);
        for (int64_t k = 0; k < columns; k++) {
            x[k] = row[k];
            target[k] = -row[k];
        }
    }
}

static ws_err score(const ws_model_context *context, ws_scoring *scoring)
{
    const ws_samples *block = scoring->samples;
    const tccm_options *options = context->options;
    int64_t rows = (int64_t)block->rows, columns = context->columns;
    ws_real *x = ws_executor_input(scoring->executor, "x"), *time = ws_executor_input(scoring->executor, "time");
    double rates[MAXIMUM_TIME_FEATURES / 2];
    ws_time_rates_falling(options->time_features, rates);
    for (int64_t r = 0; r < rows; r++)
        ws_time_features(1, rates, options->time_features, time + r * options->time_features);
    for (int64_t i = 0; i < rows * columns; i++)
        x[i] = block->values[i];
    ws_executor_forward(scoring->executor, scoring->parameters);
    const ws_real *field = ws_executor_output(scoring->executor, "field");
    for (int64_t r = 0; r < rows; r++) {
        double sum = 0;
        for (int64_t k = 0; k < columns; k++) {
            double miss = (double)field[r * columns + k] + (double)block->values[r * columns + k];
            sum += miss * miss;
        }
        scoring->out[r] = (float)sqrt(sum);
    }
    return WS_OK;
}

static const ws_network network = {
    .build_training = build_training, .build_scoring = build_scoring, .fill = fill, .score = score};

const ws_model ws_model_tccm = {
    .name = "tccm",
    .help = "time-conditioned contraction matching: how far a learned field misses the origin",
    .tasks = WS_CAN_ANOMALY,
    .scores = (const char *const[]){"contraction", NULL},
    .options = &options_table,
    .check = check,
    .network = &network,
};
