/* bce: binary cross entropy of logits, mean over all elements. */
#include "engine/operator.h"

static ws_err infer(ws_plan *plan, ws_node *node)
{
    (void)plan;
    char a[96], b[96];
    WS_CHECK(ws_shape_equal(&node->in[0], &node->in[1]), CONFIG, "bce %s: logits %s and target %s differ in shape",
             node->name, ws_shape_text(&node->in[0], a), ws_shape_text(&node->in[1], b));
    node->out = (ws_shape){1, {1}};
    node->scratch_forward = WS_LOSS_PARTS;
    node->backward_reads_input[0] = node->backward_reads_input[1] = true;
    return WS_OK;
}

static ws_bce_arguments arguments(const ws_node *node, const ws_node_memory *memory)
{
    return (ws_bce_arguments){
        .count = ws_shape_count(&node->in[0]),
        .accumulate_dlogits = node->accumulate[0],
        .logits = memory->inputs[0],
        .target = memory->inputs[1],
        .loss = memory->output,
        .dloss = memory->output_gradient,
        .dlogits = memory->input_gradients[0],
        .scratch = memory->scratch,
    };
}

WS_OPERATOR_PASSES(bce)

static double flops_forward(const ws_node *node)
{
    return 20.0 * (double)ws_shape_count(&node->in[0]);
}

static double flops_backward(const ws_node *node, int gradients)
{
    return 12.0 * gradients * (double)ws_shape_count(&node->in[0]);
}

const ws_operator ws_operator_bce = {
    .name = "bce",
    .help = "loss: binary cross entropy of logits over all elements",
    .inputs = 2,
    .input_types = {WS_INPUT_REAL, WS_INPUT_REAL},
    .constant = {[1] = true},
    .infer = infer,
    .forward = forward,
    .backward = backward,
    .flops_forward = flops_forward,
    .flops_backward = flops_backward,
};

ws_tensor ws_bce(ws_plan *plan, ws_tensor logits, ws_tensor target)
{
    return ws_plan_record(plan, (ws_node){.op = WS_OP_bce}, NULL, (const ws_tensor[WS_MAX_INPUTS]){logits, target});
}
