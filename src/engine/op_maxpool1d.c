/* maxpool1d: the largest of every window of a sequence, channel by channel. */
#include "engine/operator.h"

enum { STRIDE }; /* width: of a window, in steps */

static ws_err infer(ws_plan *plan, ws_node *node)
{
    (void)plan;
    const ws_shape *x = &node->in[0];
    char text[96];
    int64_t width = node->width, stride = node->whole[STRIDE];
    WS_CHECK(x->dimensions == 3, CONFIG, "maxpool1d %s: x must be [B,T,D], not %s", node->name, ws_shape_text(x, text));
    WS_CHECK(width >= 1 && stride >= 1, CONFIG, "maxpool1d %s: windows of %lld steps every %lld", node->name,
             (long long)width, (long long)stride);
    int64_t room = x->size[1] - width;
    WS_CHECK(room >= 0, CONFIG, "maxpool1d %s: %s is shorter than a window of %lld steps", node->name,
             ws_shape_text(x, text), (long long)width);
    node->out = (ws_shape){3, {x->size[0], room / stride + 1, x->size[2]}};
    node->backward_reads_input[0] = true;
    return WS_OK;
}

static ws_maxpool1d_arguments arguments(const ws_node *node, const ws_node_memory *memory)
{
    return (ws_maxpool1d_arguments){
        .B = node->in[0].size[0],
        .T = node->in[0].size[1],
        .D = node->in[0].size[2],
        .width = node->width,
        .stride = node->whole[STRIDE],
        .out = node->out.size[1],
        .accumulate_dx = node->accumulate[0],
        .x = memory->inputs[0],
        .y = memory->output,
        .dy = memory->output_gradient,
        .dx = memory->input_gradients[0],
    };
}

WS_OPERATOR_PASSES(maxpool1d)

static double flops_forward(const ws_node *node)
{
    return (double)ws_shape_count(&node->out) * (double)node->width;
}

static double flops_backward(const ws_node *node, int gradients)
{
    return gradients * flops_forward(node);
}

const ws_operator ws_operator_maxpool1d = {
    .name = "maxpool1d",
    .help = "the largest of every window of a sequence, channel by channel",
    .inputs = 1,
    .input_types = {WS_INPUT_REAL},
    .infer = infer,
    .forward = forward,
    .backward = backward,
    .flops_forward = flops_forward,
    .flops_backward = flops_backward,
};

ws_tensor ws_maxpool1d(ws_plan *plan, ws_tensor x, int64_t width, int64_t stride)
{
    ws_node node = {.op = WS_OP_maxpool1d, .width = width, .whole[STRIDE] = stride};
    return ws_plan_record(plan, node, NULL, (const ws_tensor[WS_MAX_INPUTS]){x});
}
