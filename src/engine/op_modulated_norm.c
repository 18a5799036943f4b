/* modulated_norm: adaptive layer norm (Peebles & Xie 2023), its weights being columns of a condition of the row. */
#include "engine/operator.h"

enum { SHIFT, SCALE };

static ws_err infer(ws_plan *plan, ws_node *node)
{
    (void)plan;
    char a[96], b[96];
    const ws_shape *x = &node->in[0], *condition = &node->in[1];
    WS_CHECK(x->dimensions == 3 && condition->dimensions == 2 && x->size[0] == condition->size[0], CONFIG,
             "modulated_norm %s: needs [rows, tokens, width] and [rows, columns], not %s and %s", node->name,
             ws_shape_text(x, a), ws_shape_text(condition, b));
    for (int k = SHIFT; k <= SCALE; k++)
        WS_CHECK(node->whole[k] >= 0 && node->whole[k] + x->size[2] <= condition->size[1], CONFIG,
                 "modulated_norm %s: columns from %lld are not in the condition %s", node->name,
                 (long long)node->whole[k], ws_shape_text(condition, b));
    node->out = *x;
    node->saved[0] = node->saved[1] = (size_t)(x->size[0] * x->size[1]);
    node->scratch_backward = (size_t)(2 * x->size[2]);
    node->backward_reads_input[0] = node->backward_reads_input[1] = true;
    return WS_OK;
}

static ws_modulated_norm_arguments arguments(const ws_node *node, const ws_node_memory *memory)
{
    return (ws_modulated_norm_arguments){
        .B = node->in[0].size[0],
        .T = node->in[0].size[1],
        .D = node->in[0].size[2],
        .W = node->in[1].size[1],
        .shift = node->whole[SHIFT],
        .scale = node->whole[SCALE],
        .epsilon = 1e-5,
        .accumulate_dx = node->accumulate[0],
        .accumulate_dcondition = node->accumulate[1],
        .x = memory->inputs[0],
        .condition = memory->inputs[1],
        .mean = memory->saved[0],
        .rstd = memory->saved[1],
        .y = memory->output,
        .dy = memory->output_gradient,
        .dx = memory->input_gradients[0],
        .dcondition = memory->input_gradients[1],
        .scratch = memory->scratch,
    };
}

WS_OPERATOR_PASSES(modulated_norm)

static double flops_forward(const ws_node *node)
{
    return 9.0 * (double)ws_shape_count(&node->in[0]);
}

static double flops_backward(const ws_node *node, int gradients)
{
    return (4.0 + 8.0 * gradients) * (double)ws_shape_count(&node->in[0]);
}

const ws_operator ws_operator_modulated_norm = {
    .name = "modulated_norm",
    .help = "adaptive layer norm: scale and shift are columns of a condition",
    .inputs = 2,
    .input_types = {WS_INPUT_REAL, WS_INPUT_REAL},
    .infer = infer,
    .forward = forward,
    .backward = backward,
    .flops_forward = flops_forward,
    .flops_backward = flops_backward,
};

ws_tensor ws_modulated_norm(ws_plan *plan, ws_tensor x, ws_tensor condition, int64_t shift, int64_t scale)
{
    ws_node node = {.op = WS_OP_modulated_norm, .whole = {shift, scale}};
    return ws_plan_record(plan, node, NULL, (const ws_tensor[WS_MAX_INPUTS]){x, condition});
}
