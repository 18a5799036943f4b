/* l2norm: rows of length 1. */
#include "engine/operator.h"

static ws_err infer(ws_plan *plan, ws_node *node)
{
    (void)plan;
    node->out = node->in[0];
    node->saved[0] = (size_t)ws_shape_rows(&node->in[0]);
    node->backward_reads_output = true;
    return WS_OK;
}

static ws_l2norm_arguments arguments(const ws_node *node, const ws_node_memory *memory)
{
    return (ws_l2norm_arguments){
        .B = ws_shape_rows(&node->in[0]),
        .D = ws_shape_width(&node->in[0]),
        .epsilon = 1e-12,
        .accumulate_dx = node->accumulate[0],
        .x = memory->inputs[0],
        .inverse = memory->saved[0],
        .y = memory->output,
        .dy = memory->output_gradient,
        .dx = memory->input_gradients[0],
    };
}

WS_OPERATOR_PASSES(l2norm)

static double flops_forward(const ws_node *node)
{
    return 3.0 * (double)ws_shape_count(&node->in[0]);
}

static double flops_backward(const ws_node *node, int gradients)
{
    return 5.0 * gradients * (double)ws_shape_count(&node->in[0]);
}

const ws_operator ws_operator_l2norm = {
    .name = "l2norm",
    .help = "rows divided by their length",
    .inputs = 1,
    .input_types = {WS_INPUT_REAL},
    .infer = infer,
    .forward = forward,
    .backward = backward,
    .flops_forward = flops_forward,
    .flops_backward = flops_backward,
};

ws_tensor ws_l2norm(ws_plan *plan, ws_tensor x)
{
    return ws_plan_record(plan, (ws_node){.op = WS_OP_l2norm}, NULL, (const ws_tensor[WS_MAX_INPUTS]){x});
}
