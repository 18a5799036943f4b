/* linear: y = act(x W^T + b), the dense layer. All leading dimensions of x are rows. */
#include <math.h>
#include "engine/operator.h"

enum { WITHOUT_BIAS };

static ws_err infer(ws_plan *plan, ws_node *node)
{
    int64_t K = ws_shape_width(&node->in[0]), N = node->width;
    WS_CHECK(N > 0, CONFIG, "linear %s: width %lld is not positive", node->name, (long long)N);
    WS_CHECK((unsigned)node->activation < WS_ACTIVATION_COUNT, CONFIG, "linear %s: unknown activation %d", node->name,
             (int)node->activation);
    WS_TRY(ws_node_add_parameter(plan, node, 0, "weight", (ws_shape){2, {N, K}},
                                 (ws_initial){.scale = 1 / sqrt((double)K)}, true));
    if (!node->whole[WITHOUT_BIAS])
        WS_TRY(ws_node_add_parameter(plan, node, 1, "bias", (ws_shape){1, {N}}, (ws_initial){0}, false));
    node->out = node->in[0];
    node->out.size[node->out.dimensions - 1] = N;
    bool bf16 = node->precision == WS_BF16;
    int64_t B = ws_shape_rows(&node->in[0]);
    node->scratch_forward = (size_t)ws_linear_scratch(B, K, N, bf16, false);
    node->scratch_backward = (size_t)ws_linear_scratch(B, K, N, bf16, true);
    node->backward_reads_input[0] = true;
    if (node->activation == WS_SILU || node->activation == WS_GELU)
        node->saved[0] = (size_t)ws_shape_count(&node->out);
    else
        node->backward_reads_output = node->activation != WS_NONE;
    return WS_OK;
}

static ws_linear_arguments arguments(const ws_node *node, const ws_node_memory *memory)
{
    return (ws_linear_arguments){
        .B = ws_shape_rows(&node->in[0]),
        .K = ws_shape_width(&node->in[0]),
        .N = node->width,
        .activation = node->activation,
        .bf16 = node->precision == WS_BF16,
        .accumulate_dx = node->accumulate[0],
        .x = memory->inputs[0],
        .weight = memory->parameters[0],
        .bias = memory->parameters[1],
        .rounded = memory->rounded[0],
        .z = memory->saved[0],
        .y = memory->output,
        .dy = memory->output_gradient,
        .dx = memory->input_gradients[0],
        .dweight = memory->parameter_gradients[0],
        .dbias = memory->parameter_gradients[1],
        .scratch = memory->scratch,
    };
}

WS_OPERATOR_PASSES(linear)

static double flops_forward(const ws_node *node)
{
    return 2.0 * (double)ws_shape_count(&node->in[0]) * (double)node->width;
}

static double flops_backward(const ws_node *node, int gradients)
{
    return flops_forward(node) * (1 + gradients); /* the weights', and the input's where it is wanted */
}

const ws_operator ws_operator_linear = {
    .name = "linear",
    .help = "dense layer with bias and activation: y = act(x W^T + b)",
    .inputs = 1,
    .input_types = {WS_INPUT_REAL},
    .infer = infer,
    .forward = forward,
    .backward = backward,
    .flops_forward = flops_forward,
    .flops_backward = flops_backward,
};

ws_tensor ws_linear(ws_plan *plan, ws_tensor x, int64_t width, ws_activation activation, const char *name)
{
    ws_node node = {.op = WS_OP_linear, .width = width, .activation = activation};
    return ws_plan_record(plan, node, name, (const ws_tensor[WS_MAX_INPUTS]){x});
}

ws_tensor ws_project(ws_plan *plan, ws_tensor x, int64_t width, const char *name)
{
    ws_node node = {.op = WS_OP_linear, .width = width, .whole[WITHOUT_BIAS] = 1};
    return ws_plan_record(plan, node, name, (const ws_tensor[WS_MAX_INPUTS]){x});
}
