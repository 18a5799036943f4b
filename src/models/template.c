/* template: how a model is added. Copy this file to src/models/NAME.c, replace `template` by NAME, and add MODEL(NAME)
 * to models.def; the build, `wiresweep list models`, configurations, --help, sweeps and tables find it there. This one
 * is a classifier with one hidden layer. It is built and tested, but not in the list.
 */
#include "models/models.h"

/* 1. Options: the keys of the "model" object besides "kind". The table gives parsing, defaults, ranges and --help. */
typedef struct template_options {
    int64_t width;
    double label_noise;
} template_options;
static const ws_option fields[] = {
    WS_OPTION_INT(template_options, width, 32, 1, 4096, "hidden width"),
    WS_OPTION_DOUBLE(template_options, label_noise, 0, 0, 1, "share of training labels ignored at random"),
    WS_OPTION_END};
static const ws_option_table options_table = {"model", sizeof(template_options), fields, "template"};

/* 2. The network, recorded once. Names become the parameters' names in checkpoints. */
static ws_tensor build_logits(const ws_model_context *context, ws_plan *plan, int64_t rows)
{
    const template_options *options = context->options;
    ws_tensor x = ws_input(plan, "x", 2, (int64_t[]){rows, context->columns});
    ws_tensor logits =
        ws_linear(plan, ws_linear(plan, x, options->width, WS_RELU, "hidden"), context->classes, WS_NONE, "head");
    ws_plan_output(plan, logits, "logits");
    return logits;
}

/* The loss is a mean over the rows of one gradient shard; the trainer averages the shards. */
static ws_err build_training(const ws_model_context *context, ws_plan *plan, int64_t rows, ws_tensor *loss)
{
    *loss = ws_cross_entropy(plan, build_logits(context, plan, rows), ws_input_index(plan, "label", rows));
    return WS_OK;
}

static ws_err build_scoring(const ws_model_context *context, ws_plan *plan, int64_t rows)
{
    (void)build_logits(context, plan, rows);
    return WS_OK;
}

/* 3. Inputs of a shard. Whatever is random is drawn by (seed, purpose, step, position): never from a state. */
static void fill(const ws_model_context *context, const ws_batch *batch, const void *plan, int shard,
                 ws_executor *executor)
{
    (void)plan;
    const template_options *options = context->options;
    int64_t rows = context->batch / context->shards;
    ws_real *x = ws_executor_input(executor, "x");
    int32_t *label = ws_executor_input_index(executor, "label");
    for (int64_t r = 0; r < rows; r++) {
        uint64_t position = (uint64_t)(shard * rows + r), row = batch->rows[position];
        const float *values = batch->samples->values + row * (uint64_t)context->columns;
        float u;
        for (int c = 0; c < context->columns; c++)
            x[r * context->columns + c] = values[c];
        ws_random_uniform(batch->seed, WS_RANDOM_DROPOUT, batch->step, position, &u, 1);
        label[r] = u < options->label_noise ? -1 : batch->samples->label[row]; /* -1: the loss passes over it */
    }
}

/* 4. What a row is given: a value for each class (the largest is the prediction), or one for each name in `scores`. */
static ws_err score(const ws_model_context *context, ws_scoring *scoring)
{
    const ws_samples *samples = scoring->samples;
    ws_real *x = ws_executor_input(scoring->executor, "x");
    for (uint64_t i = 0; i < samples->rows * (uint64_t)context->columns; i++)
        x[i] = samples->values[i];
    ws_executor_forward(scoring->executor, scoring->parameters);
    const ws_real *logits = ws_executor_output(scoring->executor, "logits");
    for (uint64_t i = 0; i < samples->rows * (uint64_t)context->classes; i++)
        scoring->out[i] = (float)logits[i];
    return WS_OK;
}

/* 5. The entry. `needs` is for what a model reads besides the features: packets, say; `plan_batch` and its companions are
 * for what needs a whole batch; see flow_cfm.c. */
static const ws_network network = {
    .build_training = build_training, .build_scoring = build_scoring, .fill = fill, .score = score};

const ws_model ws_model_template = {
    .name = "template",
    .help = "an example: one hidden layer",
    .tasks = WS_CAN_CLASSIFY,
    .options = &options_table,
    .network = &network,
};
