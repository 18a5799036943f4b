/* flow_cfm: conditional flow matching on one feature vector per flow, for anomaly detection.
 *
 * A velocity field v(x, t) is learned that carries N(0, I) at t = 0 to the normal flows at t = 1 (Lipman et al. 2023;
 * Tong et al. 2024, with minibatch optimal-transport pairs and a tube of radius sigma around the straight paths): x_t =
 * t x1 + (1 - t) x0 + sigma e,   target x1 - x0,   loss mean (v - target)^2 A row is scored by integrating back from t
 * = 1 to t = 0: normal rows end on the Gaussian shell, whose mean square is 1 + sigma^2; other rows usually end
 * outside. The network: [x, time features] -> linear SiLU -> linear SiLU -> residual blocks (layer norm, linear SiLU,
 * linear) -> linear; 621,076 parameters for 20 columns and the default options.
 */
#include <math.h>
#include <stdlib.h>
#include "models/cfm.h"
#include "models/time_features.h"

enum { MAXIMUM_TIME_FEATURES = 512 };

static const ws_option fields[] = {
    WS_CFM_PATH_OPTIONS,
    WS_CFM_SCOPE_OPTION,
    WS_OPTION_INT(ws_cfm_options, packets, 32, 1, 65535, "of a prefix; the store must hold as many of a flow"),
    WS_OPTION_INT(ws_cfm_options, width, 256, 1, 8192, "hidden width"),
    WS_OPTION_INT(ws_cfm_options, blocks, 4, 0, 64, "residual blocks"),
    WS_OPTION_INT(ws_cfm_options, time_features, 64, 4, MAXIMUM_TIME_FEATURES, "sines and cosines of t; even"),
    WS_CFM_SCORE_OPTIONS(ws_cfm_options),
    WS_OPTION_END};
static const ws_option_table options_table = {"model", sizeof(ws_cfm_options), fields, "flow_cfm"};

static void needs(const void *values, ws_needs *out)
{
    const ws_cfm_options *options = values;
    if (options->flow_scope == WS_FLOW_SCOPE_PREFIX) {
        out->tokens[WS_SEQUENCE_PACKETS] = options->packets;
        out->features_of_packets = true;
    }
}

static ws_cfm_layout layout_of(const ws_model_context *context)
{
    return (ws_cfm_layout){.features = context->columns};
}

/* ---- plans ---- */

static const ws_cfm_score_kind score_kinds[] = {WS_CFM_TERMINAL_NORM, WS_CFM_TWO_SIDED, WS_CFM_NLL, WS_CFM_VELOCITY,
                                                WS_CFM_RECONSTRUCTION};
static const ws_cfm_scores scores = {score_kinds, sizeof score_kinds / sizeof *score_kinds};
static const char *const score_names[] = {"terminal_norm", "two_sided", "nll", "velocity", "reconstruction", NULL};

static ws_tensor build_velocity(const ws_model_context *context, ws_plan *plan, int64_t rows)
{
    const ws_cfm_options *options = context->options;
    ws_tensor x = ws_input(plan, "x", 2, (int64_t[]){rows, context->columns});
    if (ws_cfm_score_pulls_back(&scores, context->wanted))
        ws_input_gradient(plan, x);
    ws_tensor time = ws_input(plan, "time", 2, (int64_t[]){rows, options->time_features});
    ws_tensor h = ws_linear(plan, ws_concat(plan, x, time), options->width, WS_SILU, "input");
    h = ws_linear(plan, h, options->width, WS_SILU, "hidden");
    for (int64_t block = 0; block < options->blocks; block++) {
        ws_scope_begin(plan, "block.%lld", (long long)block);
        ws_tensor inner = ws_linear(plan, ws_layernorm(plan, h, "norm"), options->width, WS_SILU, "linear1");
        h = ws_add(plan, h, ws_linear(plan, inner, options->width, WS_NONE, "linear2"));
        ws_scope_end(plan);
    }
    ws_tensor velocity = ws_linear(plan, h, context->columns, WS_NONE, "output");
    ws_plan_output(plan, velocity, "velocity");
    return velocity;
}

static ws_err build_training(const ws_model_context *context, ws_plan *plan, int64_t rows, ws_tensor *loss)
{
    ws_tensor velocity = build_velocity(context, plan, rows);
    *loss = ws_mse(plan, velocity, ws_input(plan, "target", 2, (int64_t[]){rows, context->columns}));
    return WS_OK;
}

static ws_err build_scoring(const ws_model_context *context, ws_plan *plan, int64_t rows)
{
    ws_tensor velocity = build_velocity(context, plan, rows);
    if (ws_cfm_score_pulls_back(&scores, context->wanted))
        ws_pull_back_from(plan, velocity);
    return WS_OK;
}

/* ---- batches ---- */

static ws_err scratch_create(const ws_model_context *context, void **scratch)
{
    const ws_cfm_layout layout = layout_of(context);
    return ws_cfm_scratch_create(context, &layout, scratch);
}

static void plan_batch(const ws_model_context *context, const ws_batch *batch, void *scratch, void *plan)
{
    const ws_cfm_layout layout = layout_of(context);
    ws_cfm_plan_batch(context, &layout, batch, scratch, plan);
}

static void fill(const ws_model_context *context, const ws_batch *batch, const void *plan, int shard,
                 ws_executor *executor)
{
    const ws_cfm_options *options = context->options;
    const ws_cfm_layout layout = layout_of(context);
    int64_t rows = context->batch / context->shards, columns = context->columns;
    ws_real *x = ws_executor_input(executor, "x"), *target = ws_executor_input(executor, "target");
    ws_real *time = ws_executor_input(executor, "time");
    double rates[MAXIMUM_TIME_FEATURES / 2];
    ws_time_rates(options->time_features, rates);
    for (int64_t r = 0; r < rows; r++, x += columns, target += columns, time += options->time_features) {
        ws_cfm_point point = ws_cfm_draw(context, &layout, batch, plan, (uint64_t)(shard * rows + r), x, target);
        ws_time_features(point.t, rates, options->time_features, time);
    }
}

/* ---- scores ---- */

typedef struct field {
    ws_executor *executor;
    const ws_real *parameters;
    const double *rates;
    int64_t rows, columns, time_features;
} field;

static void velocity_at(void *context, const double *time, const ws_real *x, ws_real *velocity)
{
    field *f = context;
    size_t bytes = (size_t)(f->rows * f->columns) * sizeof *x;
    ws_real *features = ws_executor_input(f->executor, "time");
    for (int64_t r = 0; r < f->rows; r++)
        if (r > 0 && time[r] == time[r - 1])
            memcpy(features + r * f->time_features, features + (r - 1) * f->time_features,
                   (size_t)f->time_features * sizeof *features);
        else
            ws_time_features(time[r], f->rates, f->time_features, features + r * f->time_features);
    memcpy(ws_executor_input(f->executor, "x"), x, bytes);
    ws_executor_forward(f->executor, f->parameters);
    memcpy(velocity, ws_executor_output(f->executor, "velocity"), bytes);
}

static void pull_back(void *context, const ws_real *cotangent, ws_real *out)
{
    field *f = context;
    ws_executor_pull_back(f->executor, f->parameters, cotangent);
    memcpy(out, ws_executor_input_gradient(f->executor, "x"), (size_t)(f->rows * f->columns) * sizeof *out);
}

static ws_err score(const ws_model_context *context, ws_scoring *scoring)
{
    const ws_cfm_options *options = context->options;
    const ws_samples *samples = scoring->samples;
    int64_t rows = (int64_t)samples->rows, columns = context->columns;
    double rates[MAXIMUM_TIME_FEATURES / 2];
    field f = {scoring->executor, scoring->parameters, rates, rows, columns, options->time_features};
    ws_cfm_field described = {.rows = rows,
                              .columns = columns,
                              .flow_columns = columns,
                              .variance = ws_cfm_source_variance((ws_cfm_path)options->path, options->sigma),
                              .context = &f,
                              .velocity = velocity_at,
                              .pull_back = pull_back};
    ws_real *x;
    ws_time_rates(options->time_features, rates);
    WS_TRY(WS_NEW_ARRAY(x, (size_t)(rows * columns)));
    for (int64_t i = 0; i < rows * columns; i++)
        x[i] = samples->values[i];
    ws_err error = ws_cfm_score(&options->score, &described, &scores, context->wanted, x, scoring);
    free(x);
    return error;
}

static uint64_t calibration(const ws_model_context *context)
{
    return ws_cfm_calibration(&scores, context->wanted);
}

static ws_err calibrate(const ws_model_context *context, const float *values, uint64_t rows, ws_arrays *learned)
{
    (void)context;
    return ws_cfm_calibrate(&scores, values, rows, learned);
}

static const ws_network network = {
    .build_training = build_training,
    .build_scoring = build_scoring,
    .plan_bytes = ws_cfm_plan_bytes,
    .scratch_create = scratch_create,
    .scratch_destroy = ws_cfm_scratch_destroy,
    .plan_batch = plan_batch,
    .fill = fill,
    .score = score,
    .calibration = calibration,
    .calibrate = calibrate,
};

const ws_model ws_model_flow_cfm = {
    .name = "flow_cfm",
    .help = "conditional flow matching on the feature vector of a flow",
    .tasks = WS_CAN_ANOMALY,
    .scores = score_names,
    .options = &options_table,
    .needs = needs,
    .check = ws_cfm_check,
    .network = &network,
};
