/* layernorm: rows normalised to mean 0 and variance 1, then scaled and shifted (Ba, Kiros & Hinton 2016). */
#include "engine/operator.h"

static ws_err infer(ws_plan *plan, ws_node *node)
{
    int64_t B = ws_shape_rows(&node->in[0]), D = ws_shape_width(&node->in[0]);
    WS_TRY(ws_node_add_parameter(plan, node, 0, "weight", (ws_shape){1, {D}}, (ws_initial){.constant = 1}, false));
    WS_TRY(ws_node_add_parameter(plan, node, 1, "bias", (ws_shape){1, {D}}, (ws_initial){0}, false));
    node->out = node->in[0];
    node->saved[0] = node->saved[1] = (size_t)B;
    node->scratch_backward = 2 * (size_t)(WS_COLUMN_PARTS * D);
    node->backward_reads_input[0] = true;
    return WS_OK;
}

static ws_layernorm_arguments arguments(const ws_node *node, const ws_node_memory *memory)
{
    return (ws_layernorm_arguments){
        .B = ws_shape_rows(&node->in[0]),
        .D = ws_shape_width(&node->in[0]),
        .epsilon = 1e-5,
        .accumulate_dx = node->accumulate[0],
        .x = memory->inputs[0],
        .weight = memory->parameters[0],
        .bias = memory->parameters[1],
        .mean = memory->saved[0],
        .rstd = memory->saved[1],
        .y = memory->output,
        .dy = memory->output_gradient,
        .dx = memory->input_gradients[0],
        .dweight = memory->parameter_gradients[0],
        .dbias = memory->parameter_gradients[1],
        .scratch = memory->scratch,
    };
}

WS_OPERATOR_PASSES(layernorm)

static double flops_forward(const ws_node *node)
{
    return 8.0 * (double)ws_shape_count(&node->in[0]);
}

static double flops_backward(const ws_node *node, int gradients)
{
    return (4.0 + 8.0 * gradients) * (double)ws_shape_count(&node->in[0]);
}

const ws_operator ws_operator_layernorm = {
    .name = "layernorm",
    .help = "layer normalisation over the last dimension, with weight and bias",
    .inputs = 1,
    .input_types = {WS_INPUT_REAL},
    .infer = infer,
    .forward = forward,
    .backward = backward,
    .flops_forward = flops_forward,
    .flops_backward = flops_backward,
};

ws_tensor ws_layernorm(ws_plan *plan, ws_tensor x, const char *name)
{
    return ws_plan_record(plan, (ws_node){.op = WS_OP_layernorm}, name, (const ws_tensor[WS_MAX_INPUTS]){x});
}
