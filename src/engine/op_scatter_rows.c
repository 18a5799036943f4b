/* scatter_rows: rows go to the tokens of their number; a learned vector stands where none goes (masked auto-encoders). */
#include "engine/operator.h"

enum { TOKENS };

static ws_err infer(ws_plan *plan, ws_node *node)
{
    const ws_shape *x = &node->in[0];
    int64_t T = node->whole[TOKENS];
    char a[96], b[96];
    WS_CHECK(x->dimensions == 3 && ws_shape_count(&node->in[1]) == x->size[0] * x->size[1], CONFIG,
             "scatter_rows %s: %s needs three dimensions and an index for each of its rows, not %s", node->name,
             ws_shape_text(x, a), ws_shape_text(&node->in[1], b));
    WS_CHECK(T > 0, CONFIG, "scatter_rows %s: %lld tokens", node->name, (long long)T);
    int64_t D = x->size[2];
    WS_TRY(ws_node_add_parameter(plan, node, 0, "weight", (ws_shape){1, {D}},
                                 (ws_initial){.scale = 0.02, .normal = true}, false));
    node->out = (ws_shape){3, {x->size[0], T, D}};
    node->scratch_forward = (size_t)(x->size[0] * T);
    node->scratch_backward = (size_t)(x->size[0] * T + WS_COLUMN_PARTS * D);
    node->backward_reads_input[1] = true;
    return WS_OK;
}

static ws_scatter_rows_arguments arguments(const ws_node *node, const ws_node_memory *memory)
{
    int64_t B = node->in[0].size[0], T = node->whole[TOKENS], D = node->in[0].size[2];
    return (ws_scatter_rows_arguments){
        .B = B,
        .T = T,
        .K = node->in[0].size[1],
        .D = D,
        .accumulate_dx = node->accumulate[0],
        .x = memory->inputs[0],
        .index = memory->inputs[1],
        .weight = memory->parameters[0],
        .y = memory->output,
        .dy = memory->output_gradient,
        .dx = memory->input_gradients[0],
        .dweight = memory->parameter_gradients[0],
        .scratch = memory->scratch,
        .source = (int32_t *)(void *)(memory->scratch + (memory->output_gradient ? WS_COLUMN_PARTS * D : 0)),
    };
}

WS_OPERATOR_PASSES(scatter_rows)

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

const ws_operator ws_operator_scatter_rows = {
    .name = "scatter_rows",
    .help = "rows to the tokens of their number, a learned vector elsewhere",
    .inputs = 2,
    .input_types = {WS_INPUT_REAL, WS_INPUT_INDEX},
    .infer = infer,
    .forward = forward,
    .backward = backward,
    .flops_forward = flops_forward,
    .flops_backward = flops_backward,
};

ws_tensor ws_scatter_rows(ws_plan *plan, ws_tensor x, ws_tensor index, int64_t T, const char *name)
{
    ws_node node = {.op = WS_OP_scatter_rows, .whole[TOKENS] = T};
    return ws_plan_record(plan, node, name, (const ws_tensor[WS_MAX_INPUTS]){x, index});
}
