/* concat: two tensors side by side along the last dimension, or along that of the tokens before it. */
#include "engine/operator.h"

enum { OF_TOKENS };

static ws_err infer(ws_plan *plan, ws_node *node)
{
    (void)plan;
    const ws_shape *a = &node->in[0], *b = &node->in[1];
    int axis = a->dimensions - (node->whole[OF_TOKENS] ? 2 : 1);
    char left[96], right[96];
    bool agree = axis >= 0 && a->dimensions == b->dimensions;
    for (int i = 0; agree && i < a->dimensions; i++)
        agree = i == axis || a->size[i] == b->size[i];
    WS_CHECK(agree, CONFIG, "concat %s: all but the %s dimension must agree: %s and %s", node->name,
             node->whole[OF_TOKENS] ? "tokens'" : "last", ws_shape_text(a, left), ws_shape_text(b, right));
    node->out = *a;
    node->out.size[axis] += b->size[axis];
    return WS_OK;
}

/* What lies together in one row of the kernel. */
static int64_t row_width(const ws_node *node, const ws_shape *shape)
{
    int64_t width = ws_shape_width(shape);
    return node->whole[OF_TOKENS] ? width * shape->size[shape->dimensions - 2] : width;
}

static ws_concat_arguments arguments(const ws_node *node, const ws_node_memory *memory)
{
    return (ws_concat_arguments){
        .B = ws_shape_count(&node->out) / row_width(node, &node->out),
        .A_width = row_width(node, &node->in[0]),
        .B_width = row_width(node, &node->in[1]),
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

WS_OPERATOR_PASSES(concat)

static double flops_forward(const ws_node *node)
{
    (void)node;
    return 0;
}

static double flops_backward(const ws_node *node, int gradients)
{
    (void)node;
    (void)gradients;
    return 0;
}

const ws_operator ws_operator_concat = {
    .name = "concat",
    .help = "two tensors side by side along the last dimension, or one's tokens behind the other's",
    .inputs = 2,
    .input_types = {WS_INPUT_REAL, WS_INPUT_REAL},
    .infer = infer,
    .forward = forward,
    .backward = backward,
    .flops_forward = flops_forward,
    .flops_backward = flops_backward,
};

ws_tensor ws_concat(ws_plan *plan, ws_tensor a, ws_tensor b)
{
    return ws_plan_record(plan, (ws_node){.op = WS_OP_concat}, NULL, (const ws_tensor[WS_MAX_INPUTS]){a, b});
}

ws_tensor ws_concat_tokens(ws_plan *plan, ws_tensor a, ws_tensor b)
{
    ws_node node = {.op = WS_OP_concat, .whole[OF_TOKENS] = 1};
    return ws_plan_record(plan, node, NULL, (const ws_tensor[WS_MAX_INPUTS]){a, b});
}
