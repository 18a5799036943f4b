/* dropout: some elements become 0 in training, the others grow so that the mean stays. */
#include "engine/operator.h"

static ws_err infer(ws_plan *plan, ws_node *node)
{
    (void)plan;
    WS_CHECK(node->number[0] >= 0 && node->number[0] < 1, CONFIG, "dropout %s: rate %g is not in [0, 1)", node->name,
             node->number[0]);
    node->out = node->in[0];
    return WS_OK;
}

static ws_dropout_arguments arguments(const ws_node *node, const ws_node_memory *memory)
{
    return (ws_dropout_arguments){
        .B = node->in[0].size[0],
        .width = ws_shape_count(&node->in[0]) / node->in[0].size[0],
        .rate = node->number[0],
        .accumulate_dx = node->accumulate[0],
        .random = memory->random,
        .x = memory->inputs[0],
        .y = memory->output,
        .dy = memory->output_gradient,
        .dx = memory->input_gradients[0],
    };
}

WS_OPERATOR_PASSES(dropout)

static double flops_forward(const ws_node *node)
{
    return (double)ws_shape_count(&node->out);
}

static double flops_backward(const ws_node *node, int gradients)
{
    return gradients * (double)ws_shape_count(&node->out);
}

const ws_operator ws_operator_dropout = {
    .name = "dropout",
    .help = "elements set to 0 at random in training, the others scaled up",
    .inputs = 1,
    .input_types = {WS_INPUT_REAL},
    .infer = infer,
    .forward = forward,
    .backward = backward,
    .flops_forward = flops_forward,
    .flops_backward = flops_backward,
};

ws_tensor ws_dropout(ws_plan *plan, ws_tensor x, double rate)
{
    ws_node node = {.op = WS_OP_dropout, .number[0] = rate};
    return ws_plan_record(plan, node, NULL, (const ws_tensor[WS_MAX_INPUTS]){x});
}
