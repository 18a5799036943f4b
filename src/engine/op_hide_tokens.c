/* hide_tokens: some tokens are replaced by one learned vector, for predicting what was there. */
#include "engine/operator.h"

static ws_err infer(ws_plan *plan, ws_node *node)
{
    int64_t D = ws_shape_width(&node->in[0]);
    char a[96], b[96];
    WS_CHECK(ws_shape_count(&node->in[1]) == ws_shape_rows(&node->in[0]), CONFIG,
             "hide_tokens %s: tokens %s need one index each, not %s", node->name, ws_shape_text(&node->in[0], a),
             ws_shape_text(&node->in[1], b));
    WS_TRY(ws_node_add_parameter(plan, node, 0, "weight", (ws_shape){1, {D}},
                                 (ws_initial){.scale = 0.02, .normal = true}, false));
    node->out = node->in[0];
    node->scratch_backward = (size_t)(WS_COLUMN_PARTS * D);
    node->backward_reads_input[1] = true;
    return WS_OK;
}

static ws_hide_tokens_arguments arguments(const ws_node *node, const ws_node_memory *memory)
{
    return (ws_hide_tokens_arguments){
        .R = ws_shape_rows(&node->in[0]),
        .D = ws_shape_width(&node->in[0]),
        .accumulate_dx = node->accumulate[0],
        .x = memory->inputs[0],
        .hidden = memory->inputs[1],
        .weight = memory->parameters[0],
        .y = memory->output,
        .dy = memory->output_gradient,
        .dx = memory->input_gradients[0],
        .dweight = memory->parameter_gradients[0],
        .scratch = memory->scratch,
    };
}

WS_OPERATOR_PASSES(hide_tokens)

static double flops_forward(const ws_node *node)
{
    (void)node;
    return 0;
}

static double flops_backward(const ws_node *node, int gradients)
{
    (void)gradients;
    return (double)ws_shape_count(&node->out);
}

const ws_operator ws_operator_hide_tokens = {
    .name = "hide_tokens",
    .help = "some tokens replaced by a learned vector",
    .inputs = 2,
    .input_types = {WS_INPUT_REAL, WS_INPUT_INDEX},
    .infer = infer,
    .forward = forward,
    .backward = backward,
    .flops_forward = flops_forward,
    .flops_backward = flops_backward,
};

ws_tensor ws_hide_tokens(ws_plan *plan, ws_tensor x, ws_tensor hidden, const char *name)
{
    return ws_plan_record(plan, (ws_node){.op = WS_OP_hide_tokens}, name, (const ws_tensor[WS_MAX_INPUTS]){x, hidden});
}
