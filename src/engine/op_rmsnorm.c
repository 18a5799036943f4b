/* rmsnorm: rows divided by the root of their mean square, then scaled (Zhang & Sennrich 2019). */
#include "engine/operator.h"

static ws_err infer(ws_plan *plan, ws_node *node)
{
    int64_t D = ws_shape_width(&node->in[0]);
    WS_TRY(ws_node_add_parameter(plan, node, 0, "weight", (ws_shape){1, {D}}, (ws_initial){.constant = 1}, false));
    node->out = node->in[0];
    node->saved[0] = (size_t)ws_shape_rows(&node->in[0]);
    node->scratch_backward = (size_t)(WS_COLUMN_PARTS * D);
    node->backward_reads_input[0] = true;
    return WS_OK;
}

static ws_rmsnorm_arguments arguments(const ws_node *node, const ws_node_memory *memory)
{
    return (ws_rmsnorm_arguments){
        .B = ws_shape_rows(&node->in[0]),
        .D = ws_shape_width(&node->in[0]),
        .epsilon = 1e-5,
        .accumulate_dx = node->accumulate[0],
        .x = memory->inputs[0],
        .weight = memory->parameters[0],
        .rstd = memory->saved[0],
        .y = memory->output,
        .dy = memory->output_gradient,
        .dx = memory->input_gradients[0],
        .dweight = memory->parameter_gradients[0],
        .scratch = memory->scratch,
    };
}

WS_OPERATOR_PASSES(rmsnorm)

static double flops_forward(const ws_node *node)
{
    return 4.0 * (double)ws_shape_count(&node->in[0]);
}

static double flops_backward(const ws_node *node, int gradients)
{
    return (3.0 + 7.0 * gradients) * (double)ws_shape_count(&node->in[0]);
}

const ws_operator ws_operator_rmsnorm = {
    .name = "rmsnorm",
    .help = "rows over the root of their mean square, with weight",
    .inputs = 1,
    .input_types = {WS_INPUT_REAL},
    .infer = infer,
    .forward = forward,
    .backward = backward,
    .flops_forward = flops_forward,
    .flops_backward = flops_backward,
};

ws_tensor ws_rmsnorm(ws_plan *plan, ws_tensor x, const char *name)
{
    return ws_plan_record(plan, (ws_node){.op = WS_OP_rmsnorm}, name, (const ws_tensor[WS_MAX_INPUTS]){x});
}
