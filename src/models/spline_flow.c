/* spline_flow: the density of normal flows by a normalising flow of rolling spline couplings, as Shafir, Giryes and Wool detect
 * anomalies with (IEEE Trans. Networking 34, 2026, on pzflow).
 *
 * Each column is mapped so that the training rows fill [-4, 4] (the box); d times, d being the number of columns, the first half
 * of the columns makes the parameters of splines for the others (two layers of 128, leaky relu, 3 x 16 - 1 outputs a column),
 * which map [-5, 5] onto itself, and the columns roll on by one; at the end they are independent Beta(13, 13) variables on
 * [-5, 5]. Loss and score are the negative log-density, in the coordinates of the box, which moves all scores by one constant.
 * A row that leaves [-5, 5] in any column has no density: its score is infinite, all such rows tie, and ranking metrics count a
 * tie as half. Much of what this model finds is just that; the score `outside` says how much, being nothing else.
 *
 * An ensemble has several normalising flows, each of columns of its own (`flows`), trained side by side. A row is an anomaly where all of
 * them say so: its score is the least over the flows of how few normal rows each finds less likely (minus the logarithm of their
 * share), so that a threshold stands for the same share of normal rows in every flow; `outside` is to be outside in all.
 *
 * Not as published: sizes and slopes of splines have a floor (kernels/spline.h); the parameters kept are the best on normal validation
 * rows, where the original takes those of the best training loss; columns are chosen by the configuration, never with the help of
 * anomalies, and thresholds come from normal rows. train.optimiser = "sgd" with a constant rate is the published script's,
 * "adamw" without decay what its library does by itself.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include "models/models.h"

enum { SCORE_LIKELIHOOD, SCORE_OUTSIDE, SCORE_COUNT };
enum { MOST_BINS = 64, MOST_FLOWS = 64 };
static const char places_name[] = "normal_nll"; /* [flows][rows] of normal rows, rising: where calibration puts them */

typedef struct spline_flow_options {
    ws_string_list flows;
    int64_t couplings, bins, width, layers;
    double bound, latent_shape;
} spline_flow_options;
static const ws_option fields[] = {
    WS_OPTION_LIST(spline_flow_options, flows, NULL,
                   "an ensemble: the columns of each flow, as in [\"a,b\", \"c,d,e\"]; by default one flow of all"),
    WS_OPTION_INT(spline_flow_options, couplings, 0, 0, 1024, "couplings; 0: one for each column"),
    WS_OPTION_INT(spline_flow_options, bins, 16, 2, MOST_BINS, "pieces of a spline"),
    WS_OPTION_INT(spline_flow_options, width, 128, 1, 8192, "hidden width of the conditioners"),
    WS_OPTION_INT(spline_flow_options, layers, 2, 1, 16, "hidden layers of the conditioners"),
    WS_OPTION_DOUBLE(spline_flow_options, bound, 5, 4.001, 1000, "splines map [-bound, bound] onto itself"),
    WS_OPTION_DOUBLE(spline_flow_options, latent_shape, 13, 1, 1000, "of the beta variables at the end"),
    WS_OPTION_END};
static const ws_option_table options_table = {"model", sizeof(spline_flow_options), fields, "spline_flow"};

/* ---- the columns of a flow ---- */

static bool is_ensemble(const ws_model_context *context)
{
    return ((const spline_flow_options *)context->options)->flows.count > 0;
}

static int flows_of(const ws_model_context *context)
{
    return is_ensemble(context) ? (int)((const spline_flow_options *)context->options)->flows.count : 1;
}

typedef struct walk { /* over the columns of one flow */
    const ws_model_context *context;
    const char *rest; /* names still to come; NULL: all columns in turn */
    int column;       /* -1: there is none of this name */
} walk;

static walk walk_columns(const ws_model_context *context, int flow)
{
    const spline_flow_options *options = context->options;
    return (walk){context, is_ensemble(context) ? options->flows.items[flow] : NULL, -1};
}

static bool next_column(walk *w)
{
    if (w->rest == NULL)
        return ++w->column < w->context->columns;
    w->rest += strspn(w->rest, " ");
    if (*w->rest == '\0')
        return false;
    size_t length = strcspn(w->rest, ",");
    w->column = -1;
    for (int k = 0; k < w->context->columns && w->context->column_names; k++)
        if (strlen(w->context->column_names[k]) == length && memcmp(w->context->column_names[k], w->rest, length) == 0)
            w->column = k;
    w->rest += length + (w->rest[length] == ',');
    return true;
}

static int64_t width_of(const ws_model_context *context, int flow)
{
    int64_t width = 0;
    for (walk w = walk_columns(context, flow); next_column(&w);)
        width++;
    return width;
}

/* Adds what is wrong with the columns of a flow; nothing where they are sound. */
static void describe_fault(const ws_model_context *context, int flow, ws_text *out)
{
    char name[256];
    if (width_of(context, flow) < 2)
        ws_text_appendf(out, "spline_flow: one column cannot be conditioned on another; %s needs two",
                        is_ensemble(context) ? "each of model.flows" : "it");
    for (walk w = walk_columns(context, flow), before = w; next_column(&w) && out->length == 0; before = w) {
        if (before.rest == NULL)
            return;
        const char *begin = before.rest + strspn(before.rest, " ");
        snprintf(name, sizeof name, "%.*s", (int)strcspn(begin, ","), begin);
        if (w.column < 0) {
            const size_t known = context->column_names ? (size_t)context->columns : 0;
            const char *closest = ws_closest_name(name, context->column_names, known);
            ws_text_appendf(out, "model.flows: \"%s\" is none of the columns that the model sees%s%s%s", name,
                            closest ? ". Did you mean \"" : "", closest ? closest : "", closest ? "\"?" : "");
        }
        for (walk earlier = walk_columns(context, flow); next_column(&earlier) && earlier.rest != w.rest;)
            if (w.column >= 0 && earlier.column == w.column && out->length == 0)
                ws_text_appendf(out, "model.flows: \"%s\" is named twice in one flow", name);
    }
}

static void describe_faults(const ws_model_context *context, ws_text *out)
{
    if (flows_of(context) > MOST_FLOWS)
        ws_text_appendf(out, "model.flows: %d flows, at most %d are possible", flows_of(context), MOST_FLOWS);
    for (int flow = 0; flow < flows_of(context) && out->length == 0; flow++)
        describe_fault(context, flow, out);
}

static ws_err check_columns(const ws_model_context *context)
{
    ws_text fault = {0};
    describe_faults(context, &fault);
    ws_err error = fault.length > 0 ? WS_ERROR(CONFIG, "%s", ws_text_string(&fault)) : ws_text_check(&fault);
    ws_text_destroy(&fault);
    return error;
}

static void check(const ws_model_context *context, const ws_json *document, const cJSON *object, ws_problems *problems)
{
    const cJSON *flows = cJSON_GetObjectItemCaseSensitive(object, "flows");
    ws_text fault = {0};
    if (context->columns > 0) /* else the store could not be read, which has been said */
        describe_faults(context, &fault);
    if (fault.length > 0)
        ws_problems_add(problems, document, flows ? flows : object, "%s", ws_text_string(&fault));
    ws_text_destroy(&fault);
}

/* ---- plans ---- */

typedef char input_name[24];

static const char *name_input(const ws_model_context *context, int flow, input_name out)
{
    if (is_ensemble(context))
        snprintf(out, sizeof(input_name), "state.%d", flow);
    else
        snprintf(out, sizeof(input_name), "state");
    return out;
}

static ws_tensor build_flow(const ws_model_context *context, ws_plan *plan, int64_t rows, int flow)
{
    const spline_flow_options *options = context->options;
    input_name name;
    int64_t columns = width_of(context, flow), kept = columns / 2, couplings = options->couplings;
    ws_tensor state = ws_input(plan, name_input(context, flow, name), 2, (int64_t[]){rows, columns + 1});
    if (is_ensemble(context))
        ws_scope_begin(plan, "flow.%d", flow);
    for (int64_t i = 0; i < (couplings > 0 ? couplings : columns); i++) {
        ws_scope_begin(plan, "coupling.%lld", (long long)i);
        ws_tensor h = ws_slice(plan, state, 0, kept);
        for (int64_t layer = 0; layer < options->layers; layer++) {
            char hidden[32];
            snprintf(hidden, sizeof hidden, "hidden%lld", (long long)layer + 1);
            h = ws_linear(plan, h, options->width, WS_LEAKY_RELU, hidden);
        }
        ws_tensor theta = ws_linear(plan, h, (columns - kept) * (3 * options->bins - 1), WS_NONE, "output");
        state = ws_spline_coupling(plan, state, theta, kept, options->bins, options->bound);
        ws_scope_end(plan);
    }
    if (is_ensemble(context))
        ws_scope_end(plan);
    ws_plan_output(plan, state, name);
    return state;
}

/* No parameter belongs to two flows, so the gradient of a sum is each flow's own. */
static ws_err build_training(const ws_model_context *context, ws_plan *plan, int64_t rows, ws_tensor *loss)
{
    const spline_flow_options *options = context->options;
    WS_TRY(check_columns(context));
    for (int flow = 0; flow < flows_of(context); flow++) {
        ws_tensor state = build_flow(context, plan, rows, flow);
        ws_tensor one = ws_beta_likelihood(plan, state, options->bound, options->latent_shape);
        *loss = flow == 0 ? one : ws_add(plan, *loss, one);
    }
    return WS_OK;
}

static ws_err build_scoring(const ws_model_context *context, ws_plan *plan, int64_t rows)
{
    WS_TRY(check_columns(context));
    for (int flow = 0; flow < flows_of(context); flow++)
        (void)build_flow(context, plan, rows, flow);
    return WS_OK;
}

/* The states that flows begin with, of `count` rows: row r is rows[r], or r where rows is NULL. */
static void fill_states(const ws_model_context *context, const float *values, const uint64_t *rows, int64_t count,
                        ws_executor *executor)
{
    for (int flow = 0; flow < flows_of(context); flow++) {
        input_name name;
        int64_t columns = width_of(context, flow), k = 0;
        ws_real *state = ws_executor_input(executor, name_input(context, flow, name));
        for (walk w = walk_columns(context, flow); next_column(&w); k++)
            for (int64_t r = 0; r < count; r++)
                state[r * (columns + 1) + k] =
                    values[(rows ? rows[r] : (uint64_t)r) * (uint64_t)context->columns + (uint64_t)w.column];
        for (int64_t r = 0; r < count; r++)
            state[r * (columns + 1) + columns] = 0;
    }
}

static void fill(const ws_model_context *context, const ws_batch *batch, const void *plan, int shard,
                 ws_executor *executor)
{
    (void)plan;
    int64_t rows = context->batch / context->shards;
    fill_states(context, batch->samples->values, batch->rows + shard * rows, rows, executor);
}

/* ---- scores ---- */

static bool is_outside(const ws_model_context *context, int flow, const float *row)
{
    const spline_flow_options *options = context->options;
    for (walk w = walk_columns(context, flow); next_column(&w);)
        if (!(fabs((double)row[w.column]) <= options->bound))
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
    double value = -(ws_beta_log_scale(columns, bound, options->latent_shape) + (double)state[columns] +
                     (options->latent_shape - 1) * sum);
    return isnan(value) ? INFINITY : value;
}

/* How surprising a value is among `count` rising ones: minus the logarithm of the share that lies above it. Between two of them and
 * beyond the last that share falls on, so that larger values are always more surprising; infinity is infinitely so. */
static double surprise_among(const double *rising, int64_t count, double value)
{
    int64_t low = 0, high = count; /* rising[low - 1] <= value < rising[high] */
    while (low < high) {
        int64_t middle = (low + high) / 2;
        if (rising[middle] <= value)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == count)
        return isinf(value) ? INFINITY : log((double)(count + 2)) + log1p(value - rising[count - 1]);
    double part =
        low == 0 ? 1 / (1 + rising[0] - value) - 1 : (value - rising[low - 1]) / (rising[low] - rising[low - 1]);
    return log((double)(count + 2)) - log((double)(count + 1 - low) - part);
}

static void score_row(const ws_model_context *context, const double *places, int64_t normal, const double *nll,
                      bool outside, float out[SCORE_COUNT])
{
    double least = INFINITY;
    for (int flow = 0; flow < flows_of(context); flow++)
        least = fmin(least, places ? surprise_among(places + flow * normal, normal, nll[flow]) : nll[flow]);
    out[SCORE_LIKELIHOOD] = (float)least;
    out[SCORE_OUTSIDE] = outside;
}

static ws_err score(const ws_model_context *context, ws_scoring *scoring)
{
    const ws_samples *block = scoring->samples;
    const spline_flow_options *options = context->options;
    const ws_array *found = ws_arrays_find(scoring->learned, places_name);
    const int flows = flows_of(context);
    fill_states(context, block->values, NULL, (int64_t)block->rows, scoring->executor);
    ws_executor_forward(scoring->executor, scoring->parameters);
    for (int64_t r = 0; r < (int64_t)block->rows; r++) {
        double nll[MOST_FLOWS];
        bool outside = true;
        for (int flow = 0; flow < flows; flow++) {
            input_name name;
            const ws_real *end = ws_executor_output(scoring->executor, name_input(context, flow, name));
            int64_t columns = width_of(context, flow);
            bool out = is_outside(context, flow, block->values + r * context->columns);
            nll[flow] = out ? INFINITY : negative_log_density(options, end + r * (columns + 1), columns);
            outside = outside && out;
            if (scoring->calibrating)
                scoring->out[r * flows + flow] = (float)nll[flow];
        }
        if (!scoring->calibrating)
            score_row(context, found ? found->values : NULL, found ? found->shape[1] : 0, nll, outside,
                      scoring->out + r * SCORE_COUNT);
    }
    return WS_OK;
}

/* ---- calibration, of an ensemble ---- */

static uint64_t calibration(const ws_model_context *context)
{
    return is_ensemble(context) && context->wanted & 1u << SCORE_LIKELIHOOD ? 1u << SCORE_LIKELIHOOD : 0;
}

static int rising(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

static ws_err calibrate(const ws_model_context *context, const float *nll, uint64_t rows, ws_arrays *learned)
{
    const int flows = flows_of(context);
    double *places;
    WS_TRY(ws_arrays_add(learned, places_name, 2, (int64_t[]){flows, (int64_t)rows}, &places));
    for (int flow = 0; flow < flows; flow++, places += rows) {
        for (uint64_t i = 0; i < rows; i++)
            places[i] = (double)nll[i * (uint64_t)flows + (uint64_t)flow];
        qsort(places, rows, sizeof *places, rising);
    }
    return WS_OK;
}

static const ws_network network = {.build_training = build_training,
                                   .build_scoring = build_scoring,
                                   .fill = fill,
                                   .score = score,
                                   .calibration = calibration,
                                   .calibration_width = flows_of,
                                   .calibrate = calibrate};

const ws_model ws_model_spline_flow = {
    .name = "spline_flow",
    .help = "normalising flow of rolling spline couplings, or an ensemble of them: negative log-density of a row",
    .tasks = WS_CAN_ANOMALY,
    .fills_box = true,
    .scores = (const char *const[]){"nll", "outside", NULL},
    .options = &options_table,
    .check = check,
    .network = &network,
};
