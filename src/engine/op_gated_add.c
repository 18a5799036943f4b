/* gated_add: a residual branch joins through a gate that is a part of the condition's columns (Peebles & Xie 2023). */
#include "engine/operator.h"

enum { GATE };

static ws_err infer(ws_plan *plan, ws_node *node)
{
    (void)plan;
    char a[96], b[96], c[96];
    const ws_shape *x = &node->in[0], *condition = &node->in[2];
    WS_CHECK(x->dimensions == 3 && ws_shape_equal(x, &node->in[1]) && condition->dimensions == 2 &&
                 x->size[0] == condition->size[0],
             CONFIG, "gated_add %s: needs twice [rows, tokens, width] and [rows, columns], not %s, %s and %s",
             node->name, ws_shape_text(x, a), ws_shape_text(&node->in[1], b), ws_shape_text(condition, c));
    WS_CHECK(node->whole[GATE] >= 0 && node->whole[GATE] + x->size[2] <= condition->size[1], CONFIG,
             "gated_add %s: columns from %lld are not in the condition %s", node->name, (long long)node->whole[GATE],
             ws_shape_text(condition, c));
    node->out = *x;
    node->scratch_backward = (size_t)x->size[2];
    node->backward_reads_input[1] = node->backward_reads_input[2] = true;
    return WS_OK;
}

static ws_gated_add_arguments arguments(const ws_node *node, const ws_node_memory *memory)
{
    return (ws_gated_add_arguments){
        .B = node->in[0].size[0],
        .T = node->in[0].size[1],
        .D = node->in[0].size[2],
        .W = node->in[2].size[1],
        .gate = node->whole[GATE],
        .accumulate_dx = node->accumulate[0],
        .accumulate_dupdate = node->accumulate[1],
        .accumulate_dcondition = node->accumulate[2],
        .x = memory->inputs[0],
        .update = memory->inputs[1],
        .condition = memory->inputs[2],
        .y = memory->output,
        .dy = memory->output_gradient,
        .dx = memory->input_gradients[0],
        .dupdate = memory->input_gradients[1],
        .dcondition = memory->input_gradients[2],
        .scratch = memory->scratch,
    };
}

WS_OPERATOR_PASSES(gated_add)

static double flops_forward(const ws_node *node)
{
    return 2.0 * (double)ws_shape_count(&node->in[0]);
}

static double flops_backward(const ws_node *node, int gradients)
{
    return 2.0 * gradients * (double)ws_shape_count(&node->in[0]);
}

const ws_operator ws_operator_gated_add = {
    .name = "gated_add",
    .help = "x + gate * update, the gate being columns of a condition",
    .inputs = 3,
    .input_types = {WS_INPUT_REAL, WS_INPUT_REAL, WS_INPUT_REAL},
    .infer = infer,
    .forward = forward,
    .backward = backward,
    .flops_forward = flops_forward,
    .flops_backward = flops_backward,
};

ws_tensor ws_gated_add(ws_plan *plan, ws_tensor x, ws_tensor update, ws_tensor condition, int64_t gate)
{
    ws_node node = {.op = WS_OP_gated_add, .whole = {gate}};
    return ws_plan_record(plan, node, NULL, (const ws_tensor[WS_MAX_INPUTS]){x, update, condition});
}
