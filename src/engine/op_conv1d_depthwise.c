/* conv1d_depthwise: every channel of a sequence is convolved with weights of its own; causal (a step sees itself and those
 * before it) or centred. */
#include <math.h>
#include "engine/operator.h"

enum { BEFORE }; /* taps before the step itself; width: of the window */

static ws_err infer(ws_plan *plan, ws_node *node)
{
    const ws_shape *x = &node->in[0];
    char text[96];
    WS_CHECK(x->dimensions == 3, CONFIG, "conv1d_depthwise %s: x must be [B,T,E], not %s", node->name,
             ws_shape_text(x, text));
    WS_CHECK(node->width > 0, CONFIG, "conv1d_depthwise %s: a window of %lld steps", node->name,
             (long long)node->width);
    WS_CHECK((unsigned)node->activation < WS_ACTIVATION_COUNT, CONFIG, "conv1d_depthwise %s: unknown activation %d",
             node->name, (int)node->activation);
    int64_t B = x->size[0], T = x->size[1], E = x->size[2];
    ws_initial uniform = {.scale = 1 / sqrt((double)node->width)};
    WS_TRY(ws_node_add_parameter(plan, node, 0, "weight", (ws_shape){2, {E, node->width}}, uniform, true));
    WS_TRY(ws_node_add_parameter(plan, node, 1, "bias", (ws_shape){1, {E}}, uniform, false));
    node->out = *x;
    node->scratch_forward = (size_t)ws_conv1d_depthwise_scratch_forward(E, node->width);
    node->scratch_backward = (size_t)ws_conv1d_depthwise_scratch_backward(B, T, E, node->width);
    node->backward_reads_input[0] = true;
    return WS_OK;
}

static ws_conv1d_depthwise_arguments arguments(const ws_node *node, const ws_node_memory *memory)
{
    return (ws_conv1d_depthwise_arguments){
        .B = node->out.size[0],
        .T = node->out.size[1],
        .E = node->out.size[2],
        .width = node->width,
        .before = node->whole[BEFORE],
        .activation = node->activation,
        .accumulate_dx = node->accumulate[0],
        .x = memory->inputs[0],
        .weight = memory->parameters[0],
        .bias = memory->parameters[1],
        .y = memory->output,
        .dy = memory->output_gradient,
        .dx = memory->input_gradients[0],
        .dweight = memory->parameter_gradients[0],
        .dbias = memory->parameter_gradients[1],
        .scratch = memory->scratch,
    };
}

WS_OPERATOR_PASSES(conv1d_depthwise)

static double flops_forward(const ws_node *node)
{
    return 2.0 * (double)ws_shape_count(&node->out) * (double)node->width;
}

static double flops_backward(const ws_node *node, int gradients)
{
    return flops_forward(node) * (2 + gradients); /* once more forward, the weights', and the input's where wanted */
}

const ws_operator ws_operator_conv1d_depthwise = {
    .name = "conv1d_depthwise",
    .help = "convolution of every channel along a sequence, causal or centred, with bias and activation",
    .inputs = 1,
    .input_types = {WS_INPUT_REAL},
    .infer = infer,
    .forward = forward,
    .backward = backward,
    .flops_forward = flops_forward,
    .flops_backward = flops_backward,
};

ws_tensor ws_conv1d_causal(ws_plan *plan, ws_tensor x, int64_t width, ws_activation activation, const char *name)
{
    ws_node node = {.op = WS_OP_conv1d_depthwise, .width = width, .activation = activation, .whole[BEFORE] = width - 1};
    return ws_plan_record(plan, node, name, (const ws_tensor[WS_MAX_INPUTS]){x});
}

ws_tensor ws_conv1d_depthwise(ws_plan *plan, ws_tensor x, int64_t width, ws_activation activation, const char *name)
{
    ws_node node = {.op = WS_OP_conv1d_depthwise, .width = width, .activation = activation};
    node.whole[BEFORE] = (width - 1) / 2;
    return ws_plan_record(plan, node, name, (const ws_tensor[WS_MAX_INPUTS]){x});
}
