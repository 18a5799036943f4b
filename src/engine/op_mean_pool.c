/* mean_pool: the mean of the tokens of a row. */
#include "engine/operator.h"

static ws_err infer(ws_plan *plan, ws_node *node)
{
    (void)plan;
    const ws_shape *x = &node->in[0];
    char a[96], b[96];
    WS_CHECK(x->dimensions == 3, CONFIG, "mean_pool %s: %s has not three dimensions", node->name, ws_shape_text(x, a));
    WS_CHECK(node->inputs[1] < 0 || ws_shape_count(&node->in[1]) == x->size[0], CONFIG,
             "mean_pool %s: %s needs one length for each of the first dimension, not %s", node->name,
             ws_shape_text(x, a), ws_shape_text(&node->in[1], b));
    node->out = (ws_shape){2, {x->size[0], x->size[2]}};
    node->backward_reads_input[1] = node->inputs[1] >= 0;
    return WS_OK;
}

static ws_mean_pool_arguments arguments(const ws_node *node, const ws_node_memory *memory)
{
    return (ws_mean_pool_arguments){
        .B = node->in[0].size[0],
        .T = node->in[0].size[1],
        .D = node->in[0].size[2],
        .accumulate_dx = node->accumulate[0],
        .x = memory->inputs[0],
        .length = memory->inputs[1],
        .y = memory->output,
        .dy = memory->output_gradient,
        .dx = memory->input_gradients[0],
    };
}

WS_OPERATOR_PASSES(mean_pool)

static double flops_forward(const ws_node *node)
{
    return (double)ws_shape_count(&node->in[0]);
}

static double flops_backward(const ws_node *node, int gradients)
{
    return gradients * (double)ws_shape_count(&node->in[0]);
}

const ws_operator ws_operator_mean_pool = {
    .name = "mean_pool",
    .help = "mean over the tokens of each row",
    .inputs = 2,
    .optional = 1,
    .input_types = {WS_INPUT_REAL, WS_INPUT_INDEX},
    .infer = infer,
    .forward = forward,
    .backward = backward,
    .flops_forward = flops_forward,
    .flops_backward = flops_backward,
};

ws_tensor ws_mean_pool(ws_plan *plan, ws_tensor x, ws_tensor lengths)
{
    return ws_plan_record(plan, (ws_node){.op = WS_OP_mean_pool}, NULL, (const ws_tensor[WS_MAX_INPUTS]){x, lengths});
}
