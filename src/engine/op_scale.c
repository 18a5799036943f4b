/* scale: a tensor times a number. Reversal of gradients is one of 1 forward and another number backward. */
#include "engine/operator.h"

enum { FORWARD, BACKWARD };

static ws_err infer(ws_plan *plan, ws_node *node)
{
    (void)plan;
    char text[96];
    WS_CHECK(node->inputs[1] < 0 || ws_shape_count(&node->in[1]) == 1, CONFIG,
             "scale %s: what multiplies the factor must be one number, its shape is %s", node->name,
             ws_shape_text(&node->in[1], text));
    node->out = node->in[0];
    node->backward_reads_input[1] = node->inputs[1] >= 0;
    return WS_OK;
}

static ws_scale_arguments arguments(const ws_node *node, const ws_node_memory *memory)
{
    return (ws_scale_arguments){
        .count = ws_shape_count(&node->out),
        .factor = (ws_real)node->number[FORWARD],
        .backward_factor = (ws_real)node->number[BACKWARD],
        .accumulate_dx = node->accumulate[0],
        .x = memory->inputs[0],
        .by = memory->inputs[1],
        .y = memory->output,
        .dy = memory->output_gradient,
        .dx = memory->input_gradients[0],
    };
}

WS_OPERATOR_PASSES(scale)

static double flops_forward(const ws_node *node)
{
    return (double)ws_shape_count(&node->out);
}

static double flops_backward(const ws_node *node, int gradients)
{
    return gradients * (double)ws_shape_count(&node->out);
}

const ws_operator ws_operator_scale = {
    .name = "scale",
    .help = "a tensor times a number; reversal of gradients",
    .inputs = 2,
    .optional = 1,
    .input_types = {WS_INPUT_REAL, WS_INPUT_REAL},
    .constant = {[1] = true},
    .infer = infer,
    .forward = forward,
    .backward = backward,
    .flops_forward = flops_forward,
    .flops_backward = flops_backward,
};

ws_tensor ws_scale(ws_plan *plan, ws_tensor x, double factor)
{
    ws_node node = {.op = WS_OP_scale, .number = {[FORWARD] = factor, [BACKWARD] = factor}};
    return ws_plan_record(plan, node, NULL, (const ws_tensor[WS_MAX_INPUTS]){x, WS_NO_TENSOR});
}

ws_tensor ws_gradient_reversal(ws_plan *plan, ws_tensor x, double lambda, ws_tensor lambda_input)
{
    ws_node node = {.op = WS_OP_scale, .number = {[FORWARD] = 1, [BACKWARD] = -lambda}};
    return ws_plan_record(plan, node, NULL, (const ws_tensor[WS_MAX_INPUTS]){x, lambda_input});
}
