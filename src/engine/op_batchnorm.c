/* batchnorm: columns normalised over the rows of the shard, or by running averages (Ioffe & Szegedy 2015). */
#include "engine/operator.h"

enum { WEIGHT, BIAS, RUNNING_MEAN, RUNNING_VARIANCE }; /* parameters */

static ws_err infer(ws_plan *plan, ws_node *node)
{
    const ws_shape *x = &node->in[0];
    char a[96], b[96];
    WS_CHECK(node->inputs[1] < 0 || (x->dimensions == 3 && ws_shape_count(&node->in[1]) == x->size[0]), CONFIG,
             "batchnorm %s: with lengths, %s needs three dimensions and a length for each of the first, not %s",
             node->name, ws_shape_text(x, a), ws_shape_text(&node->in[1], b));
    int64_t D = ws_shape_width(x);
    ws_shape columns = {1, {D}};
    WS_TRY(ws_node_add_parameter(plan, node, WEIGHT, "weight", columns, (ws_initial){.constant = 1}, false));
    WS_TRY(ws_node_add_parameter(plan, node, BIAS, "bias", columns, (ws_initial){0}, false));
    WS_TRY(ws_node_add_statistic(plan, node, RUNNING_MEAN, "running_mean", columns, 0));
    WS_TRY(ws_node_add_statistic(plan, node, RUNNING_VARIANCE, "running_var", columns, 1));
    node->out = *x;
    node->saved[0] = node->saved[1] = (size_t)D;
    node->saved[2] = 1;
    node->scratch_forward =
        (size_t)((WS_BATCHNORM_SCRATCH + 2) * D + 1); /* what is saved, in a plan that saves nothing */
    node->scratch_backward = (size_t)(WS_BATCHNORM_SCRATCH * D);
    node->backward_reads_input[0] = true;
    node->backward_reads_input[1] = node->inputs[1] >= 0;
    return WS_OK;
}

static ws_batchnorm_arguments arguments(const ws_node *node, const ws_node_memory *memory)
{
    bool tokens = node->inputs[1] >= 0;
    int64_t D = ws_shape_width(&node->in[0]);
    ws_real *unsaved = memory->scratch + WS_BATCHNORM_SCRATCH * D;
    return (ws_batchnorm_arguments){
        .B = tokens ? node->in[0].size[0] : ws_shape_rows(&node->in[0]),
        .T = tokens ? node->in[0].size[1] : 1,
        .D = D,
        .epsilon = 1e-5,
        .own = memory->random.active,
        .accumulate_dx = node->accumulate[0],
        .x = memory->inputs[0],
        .length = memory->inputs[1],
        .weight = memory->parameters[WEIGHT],
        .bias = memory->parameters[BIAS],
        .running_mean = memory->parameters[RUNNING_MEAN],
        .running_variance = memory->parameters[RUNNING_VARIANCE],
        .mean = memory->saved[0] ? memory->saved[0] : unsaved,
        .variance = memory->saved[1] ? memory->saved[1] : unsaved + D,
        .counted = memory->saved[2] ? memory->saved[2] : unsaved + 2 * D,
        .y = memory->output,
        .dy = memory->output_gradient,
        .dx = memory->input_gradients[0],
        .dweight = memory->parameter_gradients[WEIGHT],
        .dbias = memory->parameter_gradients[BIAS],
        .seen_mean = memory->parameter_gradients[RUNNING_MEAN],
        .seen_variance = memory->parameter_gradients[RUNNING_VARIANCE],
        .scratch = memory->scratch,
    };
}

WS_OPERATOR_PASSES(batchnorm)

static double flops_forward(const ws_node *node)
{
    return 7.0 * (double)ws_shape_count(&node->in[0]);
}

static double flops_backward(const ws_node *node, int gradients)
{
    return (5.0 + 6.0 * gradients) * (double)ws_shape_count(&node->in[0]);
}

const ws_operator ws_operator_batchnorm = {
    .name = "batchnorm",
    .help = "normalisation of every column over the rows of the shard, by running averages when scoring",
    .inputs = 2,
    .optional = 1,
    .input_types = {WS_INPUT_REAL, WS_INPUT_INDEX},
    .infer = infer,
    .forward = forward,
    .backward = backward,
    .flops_forward = flops_forward,
    .flops_backward = flops_backward,
};

ws_tensor ws_batchnorm(ws_plan *plan, ws_tensor x, ws_tensor lengths, const char *name)
{
    return ws_plan_record(plan, (ws_node){.op = WS_OP_batchnorm}, name, (const ws_tensor[WS_MAX_INPUTS]){x, lengths});
}
