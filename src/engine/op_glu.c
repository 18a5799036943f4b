/* glu: gated linear units, the left half of a row times a function of the right half. */
#include "engine/operator.h"

static ws_err infer(ws_plan *plan, ws_node *node)
{
    (void)plan;
    char text[96];
    WS_CHECK(ws_shape_width(&node->in[0]) % 2 == 0, CONFIG, "glu %s: the last dimension of %s has no halves",
             node->name, ws_shape_text(&node->in[0], text));
    WS_CHECK((unsigned)node->activation < WS_ACTIVATION_COUNT, CONFIG, "glu %s: unknown activation %d", node->name,
             (int)node->activation);
    node->out = node->in[0];
    node->out.size[node->out.dimensions - 1] /= 2;
    node->backward_reads_input[0] = true;
    return WS_OK;
}

static ws_glu_arguments arguments(const ws_node *node, const ws_node_memory *memory)
{
    return (ws_glu_arguments){
        .R = ws_shape_rows(&node->out),
        .D = ws_shape_width(&node->out),
        .activation = node->activation,
        .accumulate_dx = node->accumulate[0],
        .x = memory->inputs[0],
        .y = memory->output,
        .dy = memory->output_gradient,
        .dx = memory->input_gradients[0],
    };
}

WS_OPERATOR_PASSES(glu)

static double flops_forward(const ws_node *node)
{
    return 11.0 * (double)ws_shape_count(&node->out);
}

static double flops_backward(const ws_node *node, int gradients)
{
    return 24.0 * gradients * (double)ws_shape_count(&node->out);
}

const ws_operator ws_operator_glu = {
    .name = "glu",
    .help = "gated linear unit: left half times a function of the right half",
    .inputs = 1,
    .input_types = {WS_INPUT_REAL},
    .infer = infer,
    .forward = forward,
    .backward = backward,
    .flops_forward = flops_forward,
    .flops_backward = flops_backward,
};

ws_tensor ws_glu(ws_plan *plan, ws_tensor x, ws_activation activation)
{
    ws_node node = {.op = WS_OP_glu, .activation = activation};
    return ws_plan_record(plan, node, NULL, (const ws_tensor[WS_MAX_INPUTS]){x});
}
