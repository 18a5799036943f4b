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
#include "models/assignment.h"
#include "models/models.h"
#include "models/ode.h"
#include "models/time_features.h"

enum { COUPLING_OT, COUPLING_INDEPENDENT };
enum { SCOPE_FULL, SCOPE_PREFIX };
enum { SCORE_TERMINAL_NORM, SCORE_VELOCITY, SCORE_COUNT };
enum { MAXIMUM_TIME_FEATURES = 512 };

typedef struct flow_cfm_options {
    double sigma;
    int coupling;
    int64_t ot_group, width, blocks, time_features;
    int solver;
    int64_t solver_steps;
    int flow_scope;
    int64_t packets;
} flow_cfm_options;

static const ws_option fields[] = {
    WS_OPTION_DOUBLE(flow_cfm_options, sigma, 0.1, 0, 10, "radius of the tube around the straight paths"),
    WS_OPTION_ENUM(flow_cfm_options, coupling, "ot", "ot|independent", "how noise and rows are paired"),
    WS_OPTION_INT(flow_cfm_options, ot_group, 256, 1, 4096, "rows paired together; at most the batch, and divides it"),
    WS_OPTION_INT(flow_cfm_options, width, 256, 1, 8192, "hidden width"),
    WS_OPTION_INT(flow_cfm_options, blocks, 4, 0, 64, "residual blocks"),
    WS_OPTION_INT(flow_cfm_options, time_features, 64, 4, MAXIMUM_TIME_FEATURES, "sines and cosines of t; even"),
    WS_OPTION_ENUM(flow_cfm_options, solver, "midpoint", WS_ODE_METHODS, "solver that carries a row back to t = 0"),
    WS_OPTION_INT(flow_cfm_options, solver_steps, 20, 1, 10000, "steps of the solver"),
    WS_OPTION_ENUM(flow_cfm_options, flow_scope, "full", "full|prefix",
                   "features of the whole flow, or of its first packets only"),
    WS_OPTION_INT(flow_cfm_options, packets, 32, 1, 65535, "how many packets that is; the store must hold as many"),
    WS_OPTION_END};
static const ws_option_table options_table = {"model", sizeof(flow_cfm_options), fields, "flow_cfm"};

static void needs(const void *values, ws_needs *needs)
{
    const flow_cfm_options *options = values;
    if (options->flow_scope == SCOPE_PREFIX) {
        needs->tokens[WS_SEQUENCE_PACKETS] = options->packets;
        needs->features_of_packets = true;
    }
}

static int64_t group_size(const ws_model_context *context)
{
    const flow_cfm_options *options = context->options;
    return options->ot_group < context->batch ? options->ot_group : context->batch;
}

static void check(const ws_model_context *context, const ws_json *document, const cJSON *object, ws_problems *problems)
{
    const flow_cfm_options *options = context->options;
    if (options->coupling == COUPLING_OT && context->batch % group_size(context) != 0)
        ws_problems_add(problems, document, cJSON_GetObjectItemCaseSensitive(object, "ot_group"),
                        "model.ot_group: %lld does not divide train.batch = %lld", (long long)options->ot_group,
                        (long long)context->batch);
    if (options->time_features % 2 != 0)
        ws_problems_add(problems, document, cJSON_GetObjectItemCaseSensitive(object, "time_features"),
                        "model.time_features: %lld is not even", (long long)options->time_features);
}

/* ---- plans ---- */

static ws_tensor build_velocity(const ws_model_context *context, ws_plan *plan, int64_t rows)
{
    const flow_cfm_options *options = context->options;
    ws_tensor x = ws_input(plan, "x", 2, (int64_t[]){rows, context->columns});
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
    (void)build_velocity(context, plan, rows);
    return WS_OK;
}

/* ---- pairing of noise and rows: a batch's plan is, for each position, the position whose noise goes to its row ---- */

typedef struct pairing {
    ws_assignment *solver;
    float *noise; /* [columns][group] */
    float *one;   /* [columns] */
    float *cost;  /* [group rows][group noise] */
} pairing;

static size_t plan_bytes(const ws_model_context *context)
{
    const flow_cfm_options *options = context->options;
    return options->coupling == COUPLING_OT ? (size_t)context->batch * sizeof(int32_t) : 0;
}

static void scratch_destroy(void **scratch)
{
    pairing *p = *scratch;
    if (p == NULL)
        return;
    ws_assignment_destroy(&p->solver);
    free(p->noise);
    free(p->one);
    free(p->cost);
    free(p);
    *scratch = NULL;
}

static ws_err scratch_create(const ws_model_context *context, void **scratch)
{
    ws_err error = WS_OK;
    pairing *p;
    size_t group = (size_t)group_size(context), columns = (size_t)context->columns;
    WS_TRY(WS_NEW(p));
    *scratch = p;
    WS_TRY_GOTO(fail, WS_NEW_ARRAY(p->noise, group * columns));
    WS_TRY_GOTO(fail, WS_NEW_ARRAY(p->one, columns));
    WS_TRY_GOTO(fail, WS_NEW_ARRAY(p->cost, group * group));
    WS_TRY_GOTO(fail, ws_assignment_create(&p->solver, (int)group));
    return WS_OK;
fail:
    scratch_destroy(scratch);
    return error;
}

/* Pairs the positions [begin, begin + group): least sum of |x1 - x0|^2, that is of -x1.x0, since the squares of both sides
 * add the same to every permutation. */
static void pair_group(const ws_model_context *context, const ws_batch *batch, pairing *p, int64_t begin,
                       int32_t *noise_of)
{
    int64_t group = group_size(context);
    int columns = context->columns;
    for (int64_t i = 0; i < group; i++) {
        ws_random_normal(batch->seed, WS_RANDOM_NOISE, batch->step, (uint64_t)(begin + i), p->one, (size_t)columns);
        for (int k = 0; k < columns; k++)
            p->noise[k * group + i] = p->one[k];
    }
    for (int64_t j = 0; j < group; j++) {
        const float *x1 = batch->samples->values + batch->rows[begin + j] * (uint64_t)columns;
        float *cost = p->cost + j * group;
        memset(cost, 0, (size_t)group * sizeof *cost);
        for (int k = 0; k < columns; k++) {
            const float *x0 = p->noise + k * group;
            for (int64_t i = 0; i < group; i++)
                cost[i] -= x1[k] * x0[i];
        }
    }
    ws_assignment_solve(p->solver, p->cost, noise_of);
    for (int64_t j = 0; j < group; j++)
        noise_of[j] += (int32_t)begin;
}

static void plan_batch(const ws_model_context *context, const ws_batch *batch, void *scratch, void *plan)
{
    int32_t *noise_of = plan;
    for (int64_t begin = 0; begin < context->batch; begin += group_size(context))
        pair_group(context, batch, scratch, begin, noise_of + begin);
}

/* ---- inputs of a shard ---- */

static void fill(const ws_model_context *context, const ws_batch *batch, const void *plan, int shard,
                 ws_executor *executor)
{
    const flow_cfm_options *options = context->options;
    const int32_t *noise_of = plan; /* NULL: every row keeps its own noise */
    int64_t rows = context->batch / context->shards, columns = context->columns;
    ws_real *x = ws_executor_input(executor, "x"), *target = ws_executor_input(executor, "target");
    ws_real *time = ws_executor_input(executor, "time");
    float sigma = (float)options->sigma;
    double rates[MAXIMUM_TIME_FEATURES / 2];
    ws_time_rates(options->time_features, rates);
    for (int64_t r = 0; r < rows; r++, x += columns, target += columns, time += options->time_features) {
        uint64_t position = (uint64_t)(shard * rows + r);
        const float *x1 = batch->samples->values + batch->rows[position] * (uint64_t)columns;
        float u;
        ws_random_uniform(batch->seed, WS_RANDOM_TIME, batch->step, position, &u, 1);
        double t = ((double)position + u) / (double)context->batch; /* stratified */
        ws_time_features(t, rates, options->time_features, time);
        /* target holds x0, and x the path noise, until both are combined */
        ws_random_normal(batch->seed, WS_RANDOM_NOISE, batch->step, noise_of ? (uint64_t)noise_of[position] : position,
                         target, (size_t)columns);
        if (sigma > 0)
            ws_random_normal(batch->seed, WS_RANDOM_PATH_NOISE, batch->step, position, x, (size_t)columns);
        else
            memset(x, 0, (size_t)columns * sizeof *x);
        float late = (float)t, early = (float)(1 - t);
        for (int64_t k = 0; k < columns; k++) {
            x[k] = late * x1[k] + early * target[k] + sigma * x[k];
            target[k] = x1[k] - target[k];
        }
    }
}

/* ---- scores ---- */

typedef struct field {
    ws_executor *executor;
    const ws_real *parameters;
    const double *rates;
    int64_t rows, columns, time_features;
} field;

static void velocity_at(void *context, double t, const ws_real *x, ws_real *velocity)
{
    field *f = context;
    size_t bytes = (size_t)(f->rows * f->columns) * sizeof *x;
    ws_real *time = ws_executor_input(f->executor, "time");
    ws_time_features(t, f->rates, f->time_features, time);
    for (int64_t r = 1; r < f->rows; r++)
        memcpy(time + r * f->time_features, time, (size_t)f->time_features * sizeof *time);
    memcpy(ws_executor_input(f->executor, "x"), x, bytes);
    ws_executor_forward(f->executor, f->parameters);
    memcpy(velocity, ws_executor_output(f->executor, "velocity"), bytes);
}

static double mean_square(const ws_real *x, int64_t columns)
{
    double sum = 0;
    for (int64_t k = 0; k < columns; k++)
        sum += (double)x[k] * x[k];
    return sum / (double)columns;
}

static ws_err score(const ws_model_context *context, ws_executor *executor, const ws_real *parameters,
                    const ws_samples *block, float *out)
{
    const flow_cfm_options *options = context->options;
    int64_t rows = (int64_t)block->rows, columns = context->columns;
    size_t count = (size_t)(rows * columns);
    double rates[MAXIMUM_TIME_FEATURES / 2];
    field f = {executor, parameters, rates, rows, columns, options->time_features};
    ws_real *x;
    ws_time_rates(options->time_features, rates);
    WS_TRY(WS_NEW_ARRAY(x, count + WS_ODE_SCRATCH(count)));
    for (size_t i = 0; i < count; i++)
        x[i] = block->values[i];
    velocity_at(&f, 1, x, x + count);
    for (int64_t r = 0; r < rows; r++)
        out[r * SCORE_COUNT + SCORE_VELOCITY] = (float)sqrt(mean_square(x + count + r * columns, columns));
    ws_ode_solve((ws_ode_method)options->solver, options->solver_steps, 1, 0, velocity_at, &f, x, count, x + count);
    double scale = 1 + options->sigma * options->sigma;
    for (int64_t r = 0; r < rows; r++)
        out[r * SCORE_COUNT + SCORE_TERMINAL_NORM] = (float)(mean_square(x + r * columns, columns) / scale);
    free(x);
    return WS_OK;
}

static const ws_network network = {
    .build_training = build_training,
    .build_scoring = build_scoring,
    .plan_bytes = plan_bytes,
    .scratch_create = scratch_create,
    .scratch_destroy = scratch_destroy,
    .plan_batch = plan_batch,
    .fill = fill,
    .score = score,
};

const ws_model ws_model_flow_cfm = {
    .name = "flow_cfm",
    .help = "conditional flow matching on the feature vector of a flow",
    .tasks = WS_CAN_ANOMALY,
    .scores = (const char *const[]){"terminal_norm", "velocity", NULL},
    .options = &options_table,
    .needs = needs,
    .check = check,
    .network = &network,
};
