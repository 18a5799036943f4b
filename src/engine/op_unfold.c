/* unfold: windows of a sequence side by side, so that a convolution is a dense layer. */
#include "engine/operator.h"

enum { STRIDE, PADDING }; /* width: of a window, in steps */

static ws_err infer(ws_plan *plan, ws_node *node)
{
    (void)plan;
    const ws_shape *x = &node->in[0];
    char text[96];
    int64_t width = node->width, stride = node->whole[STRIDE], padding = node->whole[PADDING];
    WS_CHECK(x->dimensions == 3, CONFIG, "unfold %s: x must be [B,T,D], not %s", node->name, ws_shape_text(x, text));
    WS_CHECK(width >= 1 && stride >= 1 && padding >= 0, CONFIG,
             "unfold %s: windows of %lld steps every %lld with a padding of %lld", node->name, (long long)width,
             (long long)stride, (long long)padding);
    int64_t room = x->size[1] + 2 * padding - width;
    WS_CHECK(room >= 0, CONFIG, "unfold %s: %s is shorter than a window of %lld steps", node->name,
             ws_shape_text(x, text), (long long)width);
    node->out = (ws_shape){3, {x->size[0], room / stride + 1, width * x->size[2]}};
    return WS_OK;
}

static ws_unfold_arguments arguments(const ws_node *node, const ws_node_memory *memory)
{
    return (ws_unfold_arguments){
        .B = node->in[0].size[0],
        .T = node->in[0].size[1],
        .D = node->in[0].size[2],
        .width = node->width,
        .stride = node->whole[STRIDE],
        .padding = node->whole[PADDING],
        .out = node->out.size[1],
        .accumulate_dx = node->accumulate[0],
        .x = memory->inputs[0],
        .y = memory->output,
        .dy = memory->output_gradient,
        .dx = memory->input_gradients[0],
    };
}

WS_OPERATOR_PASSES(unfold)

static double flops_forward(const ws_node *node)
{
    (void)node;
    return 0;
}

static double flops_backward(const ws_node *node, int gradients)
{
    return (double)gradients * (double)ws_shape_count(&node->out);
}

const ws_operator ws_operator_unfold = {
    .name = "unfold",
    .help = "windows of a sequence side by side; a linear layer makes them a convolution",
    .inputs = 1,
    .input_types = {WS_INPUT_REAL},
    .infer = infer,
    .forward = forward,
    .backward = backward,
    .flops_forward = flops_forward,
    .flops_backward = flops_backward,
};

ws_tensor ws_conv1d(ws_plan *plan, ws_tensor x, int64_t channels, int64_t width, int64_t stride, int64_t padding,
                    ws_activation activation, const char *name)
{
    ws_node node = {.op = WS_OP_unfold, .width = width};
    node.whole[STRIDE] = stride;
    node.whole[PADDING] = padding;
    ws_tensor windows = ws_plan_record(plan, node, NULL, (const ws_tensor[WS_MAX_INPUTS]){x});
    return ws_linear(plan, windows, channels, activation, name);
}
