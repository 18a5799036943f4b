/* activate: a pointwise function on its own, where no linear layer comes before it to fuse it with. */
#include "engine/operator.h"

static ws_err infer(ws_plan *plan, ws_node *node)
{
    (void)plan;
    WS_CHECK((unsigned)node->activation < WS_ACTIVATION_COUNT, CONFIG, "activate %s: unknown activation %d", node->name,
             (int)node->activation);
    node->out = node->in[0];
    bool from_input = node->activation == WS_SILU || node->activation == WS_GELU;
    node->backward_reads_input[0] = from_input;
    node->backward_reads_output = !from_input && node->activation != WS_NONE;
    return WS_OK;
}

static ws_activate_arguments arguments(const ws_node *node, const ws_node_memory *memory)
{
    return (ws_activate_arguments){
        .count = ws_shape_count(&node->out),
        .activation = node->activation,
        .accumulate_dx = node->accumulate[0],
        .x = memory->inputs[0],
        .y = memory->output,
        .dy = memory->output_gradient,
        .dx = memory->input_gradients[0],
    };
}

WS_OPERATOR_PASSES(activate)

static double flops_forward(const ws_node *node)
{
    return 10.0 * (double)ws_shape_count(&node->out);
}

static double flops_backward(const ws_node *node, int gradients)
{
    return 12.0 * gradients * (double)ws_shape_count(&node->out);
}

const ws_operator ws_operator_activate = {
    .name = "activate",
    .help = "pointwise relu, leaky relu, silu, gelu (tanh form) or tanh",
    .inputs = 1,
    .input_types = {WS_INPUT_REAL},
    .infer = infer,
    .forward = forward,
    .backward = backward,
    .flops_forward = flops_forward,
    .flops_backward = flops_backward,
};

ws_tensor ws_activate(ws_plan *plan, ws_tensor x, ws_activation activation)
{
    ws_node node = {.op = WS_OP_activate, .activation = activation};
    return ws_plan_record(plan, node, NULL, (const ws_tensor[WS_MAX_INPUTS]){x});
}
