/* spline_flow: the density of normal flows by a normalising flow of rolling spline couplings, as Shafir, Giryes and Wool detect
 * anomalies with (IEEE Trans. Networking 34, 2026, on pzflow).
 *
 * Each column is mapped so that the training rows fill [-4, 4] (the box); d times, d being the number of columns, the first half
 * of the columns makes the parameters of splines for the others (two layers of 128, leaky relu, 3 x 16 - 1 outputs a column),
 * which map [-5, 5] onto itself, and the columns roll on by one; at the end they are independent Beta(13, 13) variables on
 * [-5, 5]. Loss and score are the negative log-density, in the coordinates of the box, which moves all scores by one constant.
 * A row that leaves [-5, 5] in any column has no density: its score is infinite, all such rows tie, and ranking metrics count a
 * tie as half. Much of what this model finds is just that; the score `outside` says how much, being nothing else.
 */
#include <math.h>
#include <stdio.h>
#include "models/models.h"

enum { SCORE_LIKELIHOOD, SCORE_OUTSIDE, SCORE_COUNT };
enum { MOST_BINS = 64 };

typedef struct spline_flow_options {
    int64_t couplings, bins, width, layers;
    double bound, latent_shape;
} spline_flow_options;
static const ws_option fields[] = {
    WS_OPTION_INT(spline_flow_options, couplings, 0, 0, 1024, "couplings; 0: one for each column"),
    WS_OPTION_INT(spline_flow_options, bins, 16, 2, MOST_BINS, "pieces of a spline"),
    WS_OPTION_INT(spline_flow_options, width, 128, 1, 8192, "hidden width of the conditioners"),
    WS_OPTION_INT(spline_flow_options, layers, 2, 1, 16, "hidden layers of the conditioners"),
    WS_OPTION_DOUBLE(spline_flow_options, bound, 5, 4.001, 1000, "splines map [-bound, bound] onto itself"),
    WS_OPTION_DOUBLE(spline_flow_options, latent_shape, 13, 1, 1000, "of the beta variables at the end"),
    WS_OPTION_END};
static const ws_option_table options_table = {"model", sizeof(spline_flow_options), fields, "spline_flow"};

static ws_tensor build_flow(const ws_model_context *context, ws_plan *plan, int64_t rows)
{
    const spline_flow_options *options = context->options;
    int64_t columns = context->columns, kept = columns / 2, couplings = options->couplings;
    ws_tensor state = ws_input(plan, "state", 2, (int64_t[]){rows, columns + 1});
    for (int64_t i = 0; i < (couplings > 0 ? couplings : columns); i++) {
        ws_scope_begin(plan, "coupling.%lld", (long long)i);
        ws_tensor h = ws_slice(plan, state, 0, kept);
        for (int64_t layer = 0; layer < options->layers; layer++) {
            char name[32];
            snprintf(name, sizeof name, "hidden%lld", (long long)layer + 1);
            h = ws_linear(plan, h, options->width, WS_LEAKY_RELU, name);
        }
        ws_tensor theta = ws_linear(plan, h, (columns - kept) * (3 * options->bins - 1), WS_NONE, "output");
        state = ws_spline_coupling(plan, state, theta, kept, options->bins, options->bound);
        ws_scope_end(plan);
    }
    ws_plan_output(plan, state, "state");
    return state;
}

static ws_err check_columns(const ws_model_context *context)
{
    WS_CHECK(context->columns >= 2, CONFIG, "spline_flow: one column cannot be conditioned on another; it needs two");
    return WS_OK;
}

static ws_err build_training(const ws_model_context *context, ws_plan *plan, int64_t rows, ws_tensor *loss)
{
    const spline_flow_options *options = context->options;
    WS_TRY(check_columns(context));
    *loss = ws_beta_likelihood(plan, build_flow(context, plan, rows), options->bound, options->latent_shape);
    return WS_OK;
}

static ws_err build_scoring(const ws_model_context *context, ws_plan *plan, int64_t rows)
{
    WS_TRY(check_columns(context));
    (void)build_flow(context, plan, rows);
    return WS_OK;
}

static void fill(const ws_model_context *context, const ws_batch *batch, const void *plan, int shard,
                 ws_executor *executor)
{
    (void)plan;
    int64_t rows = context->batch / context->shards, columns = context->columns;
    ws_real *state = ws_executor_input(executor, "state");
    for (int64_t r = 0; r < rows; r++, state += columns + 1) {
        const float *row = batch->samples->values + batch->rows[shard * rows + r] * (uint64_t)columns;
        for (int64_t k = 0; k < columns; k++)
            state[k] = row[k];
        state[columns] = 0;
    }
}

static bool is_outside(const float *row, int64_t columns, double bound)
{
    for (int64_t k = 0; k < columns; k++)
        if (!(fabs((double)row[k]) <= bound))
            return true;
    return false;
}

/* Of a row that never left the bounds, in double: near them single precision would run out of digits. */
static double negative_log_density(const spline_flow_options *options, const ws_real *state, int64_t columns)
{
    double sum = 0, bound = options->bound, least = 1e-12;
    for (int64_t k = 0; k < columns; k++) {
        double place = fmin(fmax(((double)state[k] + bound) / (2 * bound), least), 1 - least);
        sum += log(place) + log1p(-place);
    }
    return -(ws_beta_log_scale(columns, bound, options->latent_shape) + (double)state[columns] +
             (options->latent_shape - 1) * sum);
}

static ws_err score(const ws_model_context *context, ws_scoring *scoring)
{
    const ws_samples *block = scoring->samples;
    const spline_flow_options *options = context->options;
    int64_t rows = (int64_t)block->rows, columns = context->columns;
    ws_real *state = ws_executor_input(scoring->executor, "state");
    for (int64_t r = 0; r < rows; r++) {
        for (int64_t k = 0; k < columns; k++)
            state[r * (columns + 1) + k] = block->values[r * columns + k];
        state[r * (columns + 1) + columns] = 0;
    }
    ws_executor_forward(scoring->executor, scoring->parameters);
    const ws_real *end = ws_executor_output(scoring->executor, "state");
    for (int64_t r = 0; r < rows; r++) {
        float *out = scoring->out + r * SCORE_COUNT;
        bool outside = is_outside(block->values + r * columns, columns, options->bound);
        double value = outside ? INFINITY : negative_log_density(options, end + r * (columns + 1), columns);
        out[SCORE_LIKELIHOOD] = isnan(value) ? INFINITY : (float)value;
        out[SCORE_OUTSIDE] = outside;
    }
    return WS_OK;
}

static const ws_network network = {
    .build_training = build_training, .build_scoring = build_scoring, .fill = fill, .score = score};

const ws_model ws_model_spline_flow = {
    .name = "spline_flow",
    .help = "normalising flow of rolling spline couplings: negative log-density of a row",
    .tasks = WS_CAN_ANOMALY,
    .fills_box = true,
    .scores = (const char *const[]){"nll", "outside", NULL},
    .options = &options_table,
    .network = &network,
};
