/* flip_sequence: the steps of every sequence in reverse, up to its length; padding stays where it is. */
#include "engine/operator.h"

static ws_err infer(ws_plan *plan, ws_node *node)
{
    (void)plan;
    const ws_shape *x = &node->in[0];
    char a[96], b[96];
    WS_CHECK(x->dimensions == 3, CONFIG, "flip_sequence %s: x must be [B,T,D], not %s", node->name,
             ws_shape_text(x, a));
    WS_CHECK(node->inputs[1] < 0 || ws_shape_count(&node->in[1]) == x->size[0], CONFIG,
             "flip_sequence %s: %s needs one length a sequence, not %s", node->name, ws_shape_text(x, a),
             ws_shape_text(&node->in[1], b));
    node->out = *x;
    node->backward_reads_input[1] = true;
    return WS_OK;
}

static ws_flip_sequence_arguments arguments(const ws_node *node, const ws_node_memory *memory)
{
    return (ws_flip_sequence_arguments){
        .B = node->out.size[0],
        .T = node->out.size[1],
        .D = node->out.size[2],
        .accumulate_dx = node->accumulate[0],
        .x = memory->inputs[0],
        .lengths = memory->inputs[1],
        .y = memory->output,
        .dy = memory->output_gradient,
        .dx = memory->input_gradients[0],
    };
}

WS_OPERATOR_PASSES(flip_sequence)

static double flops_forward(const ws_node *node)
{
    (void)node;
    return 0;
}

static double flops_backward(const ws_node *node, int gradients)
{
    (void)node, (void)gradients;
    return 0;
}

const ws_operator ws_operator_flip_sequence = {
    .name = "flip_sequence",
    .help = "the steps of every sequence in reverse order, up to its length",
    .inputs = 2,
    .optional = 1,
    .input_types = {WS_INPUT_REAL, WS_INPUT_INDEX},
    .infer = infer,
    .forward = forward,
    .backward = backward,
    .flops_forward = flops_forward,
    .flops_backward = flops_backward,
};

ws_tensor ws_flip_sequence(ws_plan *plan, ws_tensor x, ws_tensor lengths)
{
    ws_node node = {.op = WS_OP_flip_sequence};
    return ws_plan_record(plan, node, NULL, (const ws_tensor[WS_MAX_INPUTS]){x, lengths});
}
