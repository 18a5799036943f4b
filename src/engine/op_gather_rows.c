/* gather_rows: some rows of a tensor, by number; embedding is the same from a learned table. */
#include "engine/operator.h"

enum { ROWS, WIDTH }; /* of a table */

static ws_err infer(ws_plan *plan, ws_node *node)
{
    int64_t indices = ws_shape_count(&node->in[0]);
    const ws_shape *x = &node->in[1];
    char a[96], b[96];
    if (node->whole[WIDTH] == 0)
        WS_CHECK(node->inputs[1] >= 0, CONFIG, "gather_rows %s: input 1 is no tensor of this plan", node->name);
    if (node->inputs[1] < 0) {
        ws_shape table = {2, {node->whole[ROWS], node->whole[WIDTH]}};
        WS_CHECK(node->whole[ROWS] > 0 && node->whole[WIDTH] > 0, CONFIG, "embedding %s: a table of shape %s",
                 node->name, ws_shape_text(&table, a));
        WS_TRY(
            ws_node_add_parameter(plan, node, 0, "weight", table, (ws_initial){.scale = 0.02, .normal = true}, false));
        node->out = (ws_shape){2, {indices, node->whole[WIDTH]}};
    } else {
        WS_CHECK(x->dimensions == 3 && indices % x->size[0] == 0, CONFIG,
                 "gather_rows %s: %s needs three dimensions, and as many indices for each of the first, not %s",
                 node->name, ws_shape_text(x, a), ws_shape_text(&node->in[0], b));
        node->out = (ws_shape){3, {x->size[0], indices / x->size[0], x->size[2]}};
    }
    int64_t B = node->inputs[1] < 0 ? 1 : x->size[0];
    node->scratch_backward =
        (size_t)(2 * (indices + B * ws_gather_rows_pieces(indices / B) * ws_shape_width(&node->out)));
    node->backward_reads_input[0] = true;
    return WS_OK;
}

static ws_gather_rows_arguments arguments(const ws_node *node, const ws_node_memory *memory)
{
    bool table = node->inputs[1] < 0;
    int64_t B = table ? 1 : node->in[1].size[0];
    return (ws_gather_rows_arguments){
        .B = B,
        .T = table ? node->whole[ROWS] : node->in[1].size[1],
        .K = ws_shape_count(&node->in[0]) / B,
        .D = ws_shape_width(&node->out),
        .accumulate_dx = !table && node->accumulate[1],
        .x = table ? memory->parameters[0] : memory->inputs[1],
        .index = memory->inputs[0],
        .y = memory->output,
        .dy = memory->output_gradient,
        .dx = table ? memory->parameter_gradients[0] : memory->input_gradients[1],
        .order = (int32_t *)(void *)memory->scratch,
        .edges = memory->scratch ? memory->scratch + 2 * ws_shape_count(&node->in[0]) : NULL,
    };
}

WS_OPERATOR_PASSES(gather_rows)

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

const ws_operator ws_operator_gather_rows = {
    .name = "gather_rows",
    .help = "rows of a tensor by number, or of a learned table (embedding)",
    .inputs = 2,
    .optional = 1,
    .input_types = {WS_INPUT_INDEX, WS_INPUT_REAL},
    .infer = infer,
    .forward = forward,
    .backward = backward,
    .flops_forward = flops_forward,
    .flops_backward = flops_backward,
};

ws_tensor ws_gather_rows(ws_plan *plan, ws_tensor x, ws_tensor index)
{
    return ws_plan_record(plan, (ws_node){.op = WS_OP_gather_rows}, NULL, (const ws_tensor[WS_MAX_INPUTS]){index, x});
}

ws_tensor ws_embedding(ws_plan *plan, ws_tensor index, int64_t rows, int64_t D, const char *name)
{
    ws_node node = {.op = WS_OP_gather_rows, .whole = {[ROWS] = rows, [WIDTH] = D}};
    return ws_plan_record(plan, node, name, (const ws_tensor[WS_MAX_INPUTS]){index, WS_NO_TENSOR});
}
