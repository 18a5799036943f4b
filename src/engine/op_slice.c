/* slice: some columns of the last dimension, or some tokens of the dimension before it. */
#include "engine/operator.h"

enum { BEGIN, COUNT, OF_TOKENS, ONE_TOKEN };

static int axis_of(const ws_node *node)
{
    return node->in[0].dimensions - (node->whole[OF_TOKENS] ? 2 : 1);
}

static ws_err infer(ws_plan *plan, ws_node *node)
{
    (void)plan;
    int64_t begin = node->whole[BEGIN], count = node->whole[COUNT];
    int axis = axis_of(node);
    char text[96];
    WS_CHECK(axis >= 0 && begin >= 0 && count > 0 && begin <= node->in[0].size[axis] - count, CONFIG,
             "slice %s: %s %lld to %lld are not all in %s", node->name, node->whole[OF_TOKENS] ? "tokens" : "columns",
             (long long)begin, (long long)(begin + count - 1), ws_shape_text(&node->in[0], text));
    node->out = node->in[0];
    node->out.size[axis] = count;
    if (node->whole[ONE_TOKEN]) { /* the dimension goes */
        node->out.size[axis] = node->out.size[axis + 1];
        node->out.dimensions--;
    }
    return WS_OK;
}

static ws_slice_arguments arguments(const ws_node *node, const ws_node_memory *memory)
{
    int axis = axis_of(node);
    int64_t inner = node->whole[OF_TOKENS] ? ws_shape_width(&node->in[0]) : 1; /* reals of one step along the axis */
    return (ws_slice_arguments){
        .B = ws_shape_count(&node->in[0]) / (node->in[0].size[axis] * inner),
        .whole = node->in[0].size[axis] * inner,
        .begin = node->whole[BEGIN] * inner,
        .width = node->whole[COUNT] * inner,
        .accumulate_dx = node->accumulate[0],
        .x = memory->inputs[0],
        .y = memory->output,
        .dy = memory->output_gradient,
        .dx = memory->input_gradients[0],
    };
}

WS_OPERATOR_PASSES(slice)

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

const ws_operator ws_operator_slice = {
    .name = "slice",
    .help = "some columns, or some tokens, of a tensor",
    .inputs = 1,
    .input_types = {WS_INPUT_REAL},
    .infer = infer,
    .forward = forward,
    .backward = backward,
    .flops_forward = flops_forward,
    .flops_backward = flops_backward,
};

ws_tensor ws_slice(ws_plan *plan, ws_tensor x, int64_t begin, int64_t width)
{
    ws_node node = {.op = WS_OP_slice, .whole = {[BEGIN] = begin, [COUNT] = width}};
    return ws_plan_record(plan, node, NULL, (const ws_tensor[WS_MAX_INPUTS]){x});
}

ws_tensor ws_slice_tokens(ws_plan *plan, ws_tensor x, int64_t begin, int64_t count)
{
    ws_node node = {.op = WS_OP_slice, .whole = {[BEGIN] = begin, [COUNT] = count, [OF_TOKENS] = 1}};
    return ws_plan_record(plan, node, NULL, (const ws_tensor[WS_MAX_INPUTS]){x});
}

ws_tensor ws_select_token(ws_plan *plan, ws_tensor x, int64_t token)
{
    ws_node node = {.op = WS_OP_slice, .whole = {[BEGIN] = token, [COUNT] = 1, [OF_TOKENS] = 1, [ONE_TOKEN] = 1}};
    return ws_plan_record(plan, node, NULL, (const ws_tensor[WS_MAX_INPUTS]){x});
}
