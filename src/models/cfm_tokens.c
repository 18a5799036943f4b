/* Losses, batches and scores of packet_cfm and unified_cfm; see cfm_tokens.h. */
#include <math.h>
#include <stdlib.h>
#include "models/cfm_tokens.h"
#include "models/time_features.h"

static ws_cfm_layout layout_of(const ws_model_context *context)
{
    const ws_cfm_options *options = context->options;
    const ws_sequence_shape *packets = &context->sequence[WS_SEQUENCE_PACKETS];
    return (ws_cfm_layout){.features = options->flow_weight > 0 ? context->columns : 0,
                           .tokens = packets->tokens,
                           .columns = packets->columns,
                           .two_valued = packets->two_valued};
}

void ws_cfm_token_needs(const void *values, ws_needs *needs)
{
    const ws_cfm_options *options = values;
    needs->tokens[WS_SEQUENCE_PACKETS] = options->packets;
    needs->features_of_packets = options->flow_scope == WS_FLOW_SCOPE_PREFIX;
}

/* ---- which scores there are ---- */

/* Both models; without features the terminal_flow of a row is undefined, and packet_cfm does not list it. */
static const ws_cfm_score_kind unified_kinds[] = {
    WS_CFM_TERMINAL_NORM, WS_CFM_TERMINAL_FLOW,    WS_CFM_TERMINAL_PACKET,    WS_CFM_TWO_SIDED,      WS_CFM_NLL,
    WS_CFM_VELOCITY,      WS_CFM_FLOW_CONSISTENCY, WS_CFM_PACKET_CONSISTENCY, WS_CFM_RECONSTRUCTION,
};
static const ws_cfm_score_kind packet_kinds[] = {
    WS_CFM_TERMINAL_NORM, WS_CFM_TERMINAL_PACKET,    WS_CFM_TWO_SIDED,      WS_CFM_NLL,
    WS_CFM_VELOCITY,      WS_CFM_PACKET_CONSISTENCY, WS_CFM_RECONSTRUCTION,
};
const char *const ws_unified_cfm_scores[] = {
    "terminal_norm", "terminal_flow",    "terminal_packet",    "two_sided",      "nll",
    "velocity",      "flow_consistency", "packet_consistency", "reconstruction", NULL};
const char *const ws_packet_cfm_scores[] = {"terminal_norm", "terminal_packet",    "two_sided",      "nll",
                                            "velocity",      "packet_consistency", "reconstruction", NULL};

static ws_cfm_scores scores_of(const ws_cfm_options *options)
{
    if (options->flow_weight > 0)
        return (ws_cfm_scores){unified_kinds, sizeof unified_kinds / sizeof *unified_kinds};
    return (ws_cfm_scores){packet_kinds, sizeof packet_kinds / sizeof *packet_kinds};
}

void ws_cfm_token_check(const ws_model_context *context, const ws_json *document, const cJSON *object,
                        ws_problems *problems)
{
    const ws_cfm_options *options = context->options;
    ws_cfm_check(context, document, object, problems);
    if (options->width % options->heads != 0)
        ws_problems_add(problems, document, cJSON_GetObjectItemCaseSensitive(object, "heads"),
                        "model.heads: %lld does not divide model.width = %lld", (long long)options->heads,
                        (long long)options->width);
    const ws_cfm_scores scores = scores_of(options);
    bool consistency = false;
    for (int i = 0; i < scores.count; i++)
        consistency = consistency || ((context->wanted >> i & 1) && (scores.kinds[i] == WS_CFM_FLOW_CONSISTENCY ||
                                                                     scores.kinds[i] == WS_CFM_PACKET_CONSISTENCY));
    if (consistency && options->lambda == 0)
        ws_problems_add(problems, document, cJSON_GetObjectItemCaseSensitive(object, "lambda"),
                        "model.lambda: 0 leaves nothing to predict hidden tokens with; the consistency scores need it");
}

/* ---- plans ---- */

/* Rows of a shard's plan: those on their paths, then the same ones at t = 1 with hidden tokens. */
static int64_t plan_rows(const ws_cfm_options *options, int64_t rows)
{
    return options->lambda > 0 ? 2 * rows : rows;
}

/* weight * masked mean square error + the other losses so far. */
static ws_tensor add_loss(ws_plan *plan, ws_tensor sum, double weight, ws_tensor prediction, ws_tensor target,
                          const char *weights, int64_t tokens)
{
    ws_tensor loss = ws_masked_mse(plan, prediction, target, ws_input(plan, weights, 1, &tokens));
    loss = ws_scale(plan, loss, weight);
    return sum.id < 0 ? loss : ws_add(plan, sum, loss);
}

static ws_err build_training(const ws_model_context *context, ws_plan *plan, int64_t shard_rows, ws_tensor *loss)
{
    const ws_cfm_options *options = context->options;
    const ws_cfm_layout layout = layout_of(context);
    const int64_t rows = plan_rows(options, shard_rows), shape[] = {rows, ws_cfm_elements(&layout)};
    const int64_t packets = layout.tokens * layout.columns, tokens = rows * layout.tokens;
    const bool features = layout.features > 0;
    const double half = features ? 0.5 : 1;
    ws_cfm_heads heads = ws_cfm_transformer(plan, options, &layout, rows, ws_input(plan, "x", 2, shape));
    ws_tensor target = ws_input(plan, "target", 2, shape), sum = WS_NO_TENSOR;
    ws_tensor of_packets = features ? ws_slice(plan, target, layout.features, packets) : target;
    of_packets = ws_view(plan, of_packets, 3, (int64_t[]){rows, layout.tokens, layout.columns});
    if (features) {
        ws_tensor of_features = ws_slice(plan, target, 0, layout.features);
        sum = add_loss(plan, sum, options->flow_weight, heads.velocity_features, of_features, "moving_features", rows);
        if (options->lambda > 0)
            sum = add_loss(plan, sum, options->lambda * half, heads.prediction_features, of_features, "hidden_features",
                           rows);
    }
    sum = add_loss(plan, sum, 1 - options->flow_weight, heads.velocity_packets, of_packets, "moving_packets", tokens);
    if (options->lambda > 0)
        sum =
            add_loss(plan, sum, options->lambda * half, heads.prediction_packets, of_packets, "hidden_packets", tokens);
    *loss = sum;
    return WS_OK;
}

static ws_tensor join(ws_plan *plan, const ws_cfm_layout *layout, int64_t rows, ws_tensor features, ws_tensor packets)
{
    packets = ws_view(plan, packets, 2, (int64_t[]){rows, layout->tokens * layout->columns});
    return features.id < 0 ? packets : ws_concat(plan, features, packets);
}

static ws_err build_scoring(const ws_model_context *context, ws_plan *plan, int64_t rows)
{
    const ws_cfm_options *options = context->options;
    const ws_cfm_layout layout = layout_of(context);
    const ws_cfm_scores scores = scores_of(options);
    const bool pulls_back = ws_cfm_score_pulls_back(&scores, context->wanted);
    ws_tensor x = ws_input(plan, "x", 2, (int64_t[]){rows, ws_cfm_elements(&layout)});
    if (pulls_back)
        ws_input_gradient(plan, x);
    ws_cfm_heads heads = ws_cfm_transformer(plan, options, &layout, rows, x);
    ws_tensor velocity = join(plan, &layout, rows, heads.velocity_features, heads.velocity_packets);
    ws_plan_output(plan, velocity, "velocity");
    if (pulls_back)
        ws_pull_back_from(plan, velocity);
    if (options->lambda > 0)
        ws_plan_output(plan, join(plan, &layout, rows, heads.prediction_features, heads.prediction_packets),
                       "prediction");
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

/* Which tokens of a row are hidden at t = 1: the features or, from so many packets, a fixed number in random places (Knuth,
 * The Art of Computer Programming 2, 3.4.2, algorithm S). */
static void hide(const ws_cfm_options *options, const ws_cfm_layout *layout, const ws_batch *batch, uint64_t position,
                 int64_t length, int32_t *hidden)
{
    float u[1 + WS_CFM_TOKENS_MOST];
    const int64_t first = layout->features > 0;
    ws_random_uniform(batch->seed, WS_RANDOM_HIDE, batch->step, position, u, (size_t)(1 + length));
    memset(hidden, 0, (size_t)ws_cfm_sequence(layout) * sizeof *hidden);
    if (first && u[0] < 0.5f) {
        hidden[0] = 1;
        return;
    }
    int64_t wanted = (int64_t)(options->hide_share * (double)length + 0.5);
    wanted = wanted > 0 || length == 0 ? wanted : 1;
    for (int64_t k = 0; k < length && wanted > 0; k++)
        if ((double)u[1 + k] * (double)(length - k) < (double)wanted) {
            hidden[first + k] = 1;
            wanted--;
        }
}

/* The inputs of a shard, all rows of one after those of another. */
typedef struct shard_inputs {
    ws_real *x, *target, *moving_features, *moving_packets, *hidden_features, *hidden_packets;
    double rates[WS_CFM_TIME_FEATURES_MOST / 2];
} shard_inputs;

static void fill_moving(const ws_model_context *context, const ws_cfm_layout *layout, const ws_batch *batch,
                        const void *plan, uint64_t position, int64_t row, const shard_inputs *in, ws_executor *executor)
{
    const ws_cfm_options *options = context->options;
    const int64_t elements = ws_cfm_elements(layout);
    const int64_t length = ws_cfm_tokens(layout, batch->samples, batch->rows[position]);
    ws_cfm_point point =
        ws_cfm_draw(context, layout, batch, plan, position, in->x + row * elements, in->target + row * elements);
    ws_cfm_transformer_row(layout, executor, row, length);
    ws_cfm_transformer_time(options, in->rates, executor, row, point.t);
    memset(ws_cfm_transformer_hidden(layout, executor, row), 0, (size_t)ws_cfm_sequence(layout) * sizeof(int32_t));
    if (layout->features > 0)
        in->moving_features[row] = 1;
    for (int64_t k = 0; k < length; k++)
        in->moving_packets[row * layout->tokens + k] = (ws_real)(1 / (double)length);
}

static void fill_hidden(const ws_model_context *context, const ws_cfm_layout *layout, const ws_batch *batch,
                        uint64_t position, int64_t row, const shard_inputs *in, ws_executor *executor)
{
    const ws_cfm_options *options = context->options;
    const int64_t elements = ws_cfm_elements(layout), first = layout->features > 0;
    const int64_t length = ws_cfm_tokens(layout, batch->samples, batch->rows[position]);
    int32_t *hidden = ws_cfm_transformer_hidden(layout, executor, row);
    ws_cfm_row(layout, batch->samples, batch->rows[position], in->x + row * elements);
    memcpy(in->target + row * elements, in->x + row * elements, (size_t)elements * sizeof *in->x);
    ws_cfm_transformer_row(layout, executor, row, length);
    ws_cfm_transformer_time(options, in->rates, executor, row, 1);
    hide(options, layout, batch, position, length, hidden);
    if (first)
        in->hidden_features[row] = (ws_real)hidden[0];
    for (int64_t k = 0; k < layout->tokens; k++)
        in->hidden_packets[row * layout->tokens + k] = (ws_real)hidden[first + k];
}

/* Weights of tokens [rows] that no row sets are zero. */
static ws_real *zero_weights(ws_executor *executor, const char *name, int64_t tokens)
{
    ws_real *weights = ws_executor_input(executor, name);
    if (weights != NULL)
        memset(weights, 0, (size_t)tokens * sizeof *weights);
    return weights;
}

static void fill(const ws_model_context *context, const ws_batch *batch, const void *plan, int shard,
                 ws_executor *executor)
{
    const ws_cfm_options *options = context->options;
    const ws_cfm_layout layout = layout_of(context);
    const int64_t rows = context->batch / context->shards, all = plan_rows(options, rows);
    shard_inputs in = {.x = ws_executor_input(executor, "x"),
                       .target = ws_executor_input(executor, "target"),
                       .moving_features = zero_weights(executor, "moving_features", all),
                       .moving_packets = zero_weights(executor, "moving_packets", all * layout.tokens),
                       .hidden_features = zero_weights(executor, "hidden_features", all),
                       .hidden_packets = zero_weights(executor, "hidden_packets", all * layout.tokens)};
    ws_time_rates(options->time_features, in.rates);
    for (int64_t r = 0; r < rows; r++) {
        const uint64_t position = (uint64_t)(shard * rows + r);
        fill_moving(context, &layout, batch, plan, position, r, &in, executor);
        if (options->lambda > 0)
            fill_hidden(context, &layout, batch, position, rows + r, &in, executor);
    }
}

/* ---- scores ---- */

typedef struct field {
    const ws_cfm_options *options;
    const ws_cfm_layout *layout;
    ws_executor *executor;
    const ws_real *parameters;
    int64_t rows;
    double rates[WS_CFM_TIME_FEATURES_MOST / 2];
} field;

static void run(const field *f, const ws_real *x, const char *output, ws_real *out)
{
    const size_t bytes = (size_t)(f->rows * ws_cfm_elements(f->layout)) * sizeof *x;
    memcpy(ws_executor_input(f->executor, "x"), x, bytes);
    ws_executor_forward(f->executor, f->parameters);
    memcpy(out, ws_executor_output(f->executor, output), bytes);
}

static void set_hidden(const field *f, const int32_t *hidden)
{
    const int64_t sequence = ws_cfm_sequence(f->layout), first = 1 + f->layout->tokens - sequence;
    for (int64_t r = 0; r < f->rows; r++) {
        int32_t *to = ws_cfm_transformer_hidden(f->layout, f->executor, r);
        if (hidden == NULL)
            memset(to, 0, (size_t)sequence * sizeof *to);
        else
            memcpy(to, hidden + r * (1 + f->layout->tokens) + first, (size_t)sequence * sizeof *to);
    }
}

static void velocity_at(void *context, const double *time, const ws_real *x, ws_real *velocity)
{
    const field *f = context;
    for (int64_t r = 0; r < f->rows; r++)
        ws_cfm_transformer_time(f->options, f->rates, f->executor, r, time[r]);
    set_hidden(f, NULL);
    run(f, x, "velocity", velocity);
}

static void pull_back(void *context, const ws_real *cotangent, ws_real *out)
{
    const field *f = context;
    ws_executor_pull_back(f->executor, f->parameters, cotangent);
    memcpy(out, ws_executor_input_gradient(f->executor, "x"),
           (size_t)(f->rows * ws_cfm_elements(f->layout)) * sizeof *out);
}

static void predict(void *context, const ws_real *x, const int32_t *hidden, ws_real *out)
{
    const field *f = context;
    for (int64_t r = 0; r < f->rows; r++)
        ws_cfm_transformer_time(f->options, f->rates, f->executor, r, 1);
    set_hidden(f, hidden);
    run(f, x, "prediction", out);
}

static ws_err score(const ws_model_context *context, ws_scoring *scoring)
{
    const ws_cfm_options *options = context->options;
    const ws_cfm_layout layout = layout_of(context);
    const ws_samples *samples = scoring->samples;
    const ws_cfm_scores scores = scores_of(options);
    const int64_t rows = (int64_t)samples->rows, elements = ws_cfm_elements(&layout);
    field f = {options, &layout, scoring->executor, scoring->parameters, rows, {0}};
    const ws_cfm_field described = {.rows = rows,
                                    .columns = elements,
                                    .flow_columns = layout.features,
                                    .tokens = layout.tokens,
                                    .token_columns = layout.columns,
                                    .length = samples->sequence[WS_SEQUENCE_PACKETS].length,
                                    .variance = ws_cfm_source_variance((ws_cfm_path)options->path, options->sigma),
                                    .context = &f,
                                    .velocity = velocity_at,
                                    .pull_back = pull_back,
                                    .predict = options->lambda > 0 ? predict : NULL};
    ws_real *x;
    ws_time_rates(options->time_features, f.rates);
    WS_TRY(WS_NEW_ARRAY(x, (size_t)(rows * elements)));
    for (int64_t r = 0; r < rows; r++) {
        ws_cfm_row(&layout, samples, (uint64_t)r, x + r * elements);
        ws_cfm_transformer_row(&layout, scoring->executor, r, ws_cfm_tokens(&layout, samples, (uint64_t)r));
    }
    ws_err error = ws_cfm_score(&options->score, &described, &scores, context->wanted, x, scoring);
    free(x);
    return error;
}

static uint64_t calibration(const ws_model_context *context)
{
    const ws_cfm_scores scores = scores_of(context->options);
    return ws_cfm_calibration(&scores, context->wanted);
}

static ws_err calibrate(const ws_model_context *context, const float *values, uint64_t rows, ws_arrays *learned)
{
    const ws_cfm_scores scores = scores_of(context->options);
    return ws_cfm_calibrate(&scores, values, rows, learned);
}

const ws_network ws_cfm_token_network = {
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
