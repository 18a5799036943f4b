/* mul: the product of two tensors of one shape, element by element. */
#include "engine/operator.h"

static ws_err infer(ws_plan *plan, ws_node *node)
{
    (void)plan;
    char a[96], b[96];
    WS_CHECK(ws_shape_equal(&node->in[0], &node->in[1]), CONFIG, "mul %s: shapes differ: %s and %s", node->name,
             ws_shape_text(&node->in[0], a), ws_shape_text(&node->in[1], b));
    node->out = node->in[0];
    node->backward_reads_input[0] = node->backward_reads_input[1] = true;
    return WS_OK;
}

static ws_mul_arguments arguments(const ws_node *node, const ws_node_memory *memory)
{
    return (ws_mul_arguments){
        .count = ws_shape_count(&node->out),
        .accumulate_da = node->accumulate[0],
        .accumulate_db = node->accumulate[1],
        .a = memory->inputs[0],
        .b = memory->inputs[1],
        .y = memory->output,
        .dy = memory->output_gradient,
        .da = memory->input_gradients[0],
        .db = memory->input_gradients[1],
    };
}

WS_OPERATOR_PASSES(mul)

static double flops_forward(const ws_node *node)
{
    return (double)ws_shape_count(&node->out);
}

static double flops_backward(const ws_node *node, int gradients)
{
    return gradients * (double)ws_shape_count(&node->out);
}

const ws_operator ws_operator_mul = {
    .name = "mul",
    .help = "product of two tensors of the same shape, element by element",
    .inputs = 2,
    .input_types = {WS_INPUT_REAL, WS_INPUT_REAL},
    .infer = infer,
    .forward = forward,
    .backward = backward,
    .flops_forward = flops_forward,
    .flops_backward = flops_backward,
};

ws_tensor ws_mul(ws_plan *plan, ws_tensor a, ws_tensor b)
{
    return ws_plan_record(plan, (ws_node){.op = WS_OP_mul}, NULL, (const ws_tensor[WS_MAX_INPUTS]){a, b});
}
