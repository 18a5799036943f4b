/* add_position: a learned vector for every token of a sequence is added to all rows. */
#include "engine/operator.h"

static ws_err infer(ws_plan *plan, ws_node *node)
{
    char text[96];
    const ws_shape *x = &node->in[0];
    WS_CHECK(x->dimensions == 3, CONFIG, "add_position %s: needs [rows, tokens, width], not %s", node->name,
             ws_shape_text(x, text));
    WS_TRY(ws_node_add_parameter(plan, node, 0, "weight", (ws_shape){2, {x->size[1], x->size[2]}},
                                 (ws_initial){.scale = 0.02, .normal = true}, false));
    node->out = *x;
    return WS_OK;
}

static ws_add_position_arguments arguments(const ws_node *node, const ws_node_memory *memory)
{
    return (ws_add_position_arguments){
        .B = node->in[0].size[0],
        .count = node->in[0].size[1] * node->in[0].size[2],
        .accumulate_dx = node->accumulate[0],
        .x = memory->inputs[0],
        .weight = memory->parameters[0],
        .y = memory->output,
        .dy = memory->output_gradient,
        .dx = memory->input_gradients[0],
        .dweight = memory->parameter_gradients[0],
    };
}

WS_OPERATOR_PASSES(add_position)

static double flops_forward(const ws_node *node)
{
    return (double)ws_shape_count(&node->in[0]);
}

static double flops_backward(const ws_node *node, int gradients)
{
    return (double)(1 + gradients) * (double)ws_shape_count(&node->in[0]);
}

const ws_operator ws_operator_add_position = {
    .name = "add_position",
    .help = "adds a learned vector for every token of a sequence",
    .inputs = 1,
    .input_types = {WS_INPUT_REAL},
    .infer = infer,
    .forward = forward,
    .backward = backward,
    .flops_forward = flops_forward,
    .flops_backward = flops_backward,
};

ws_tensor ws_add_position(ws_plan *plan, ws_tensor x, const char *name)
{
    return ws_plan_record(plan, (ws_node){.op = WS_OP_add_position}, name, (const ws_tensor[WS_MAX_INPUTS]){x});
}
