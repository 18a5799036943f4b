/* attention_pool: the mean of the tokens of a row, weighted by the softmax of a learned score. */
#include <math.h>
#include "engine/operator.h"

static ws_err infer(ws_plan *plan, ws_node *node)
{
    const ws_shape *x = &node->in[0];
    char a[96], b[96];
    WS_CHECK(x->dimensions == 3, CONFIG, "attention_pool %s: %s has not three dimensions", node->name,
             ws_shape_text(x, a));
    WS_CHECK(node->inputs[1] < 0 || ws_shape_count(&node->in[1]) == x->size[0], CONFIG,
             "attention_pool %s: %s needs one length for each of the first dimension, not %s", node->name,
             ws_shape_text(x, a), ws_shape_text(&node->in[1], b));
    node->out = (ws_shape){2, {x->size[0], x->size[2]}};
    int64_t B = x->size[0], T = x->size[1], D = x->size[2];
    WS_TRY(ws_node_add_parameter(plan, node, 0, "weight", (ws_shape){1, {D}},
                                 (ws_initial){.scale = 1 / sqrt((double)D)}, true));
    WS_TRY(ws_node_add_parameter(plan, node, 1, "bias", (ws_shape){1, {1}}, (ws_initial){0}, false));
    node->saved[0] = (size_t)(B * T);
    node->scratch_forward = (size_t)(B * T);
    node->scratch_backward = (size_t)(B * T + WS_COLUMN_PARTS * D);
    node->backward_reads_input[0] = true;
    node->backward_reads_input[1] = node->inputs[1] >= 0;
    return WS_OK;
}

static ws_attention_pool_arguments arguments(const ws_node *node, const ws_node_memory *memory)
{
    return (ws_attention_pool_arguments){
        .B = node->in[0].size[0],
        .T = node->in[0].size[1],
        .D = node->in[0].size[2],
        .accumulate_dx = node->accumulate[0],
        .x = memory->inputs[0],
        .length = memory->inputs[1],
        .weight = memory->parameters[0],
        .bias = memory->parameters[1],
        .share = memory->saved[0] ? memory->saved[0] : memory->scratch,
        .y = memory->output,
        .dy = memory->output_gradient,
        .dx = memory->input_gradients[0],
        .dweight = memory->parameter_gradients[0],
        .dbias = memory->parameter_gradients[1],
        .dscore = memory->output_gradient ? memory->scratch + WS_COLUMN_PARTS * node->in[0].size[2] : NULL,
        .scratch = memory->scratch,
    };
}

WS_OPERATOR_PASSES(attention_pool)

static double flops_forward(const ws_node *node)
{
    return 4.0 * (double)ws_shape_count(&node->in[0]);
}

static double flops_backward(const ws_node *node, int gradients)
{
    return (4.0 + 4.0 * gradients) * (double)ws_shape_count(&node->in[0]);
}

const ws_operator ws_operator_attention_pool = {
    .name = "attention_pool",
    .help = "mean over the tokens of each row, weighted by a learned score",
    .inputs = 2,
    .optional = 1,
    .input_types = {WS_INPUT_REAL, WS_INPUT_INDEX},
    .infer = infer,
    .forward = forward,
    .backward = backward,
    .flops_forward = flops_forward,
    .flops_backward = flops_backward,
};

ws_tensor ws_attention_pool(ws_plan *plan, ws_tensor x, ws_tensor lengths, const char *name)
{
    return ws_plan_record(plan, (ws_node){.op = WS_OP_attention_pool}, name,
                          (const ws_tensor[WS_MAX_INPUTS]){x, lengths});
}
