/* gru: gated recurrent units over a sequence, in one or both directions (Cho et al. 2014). What it computes is written at
 * ws_gru_arguments. */
#include <math.h>
#include "engine/operator.h"

enum { DIRECTIONS }; /* width: hidden units of a direction */

static ws_err infer(ws_plan *plan, ws_node *node)
{
    const ws_shape *x = &node->in[0];
    int64_t H = node->width, directions = node->whole[DIRECTIONS];
    char a[96], b[96];
    WS_CHECK(x->dimensions == 3, CONFIG, "gru %s: x must be [B,T,D], not %s", node->name, ws_shape_text(x, a));
    WS_CHECK(H >= 1 && H <= WS_GRU_MOST_UNITS, CONFIG, "gru %s: %lld hidden units; 1 to %d are possible", node->name,
             (long long)H, WS_GRU_MOST_UNITS);
    WS_CHECK(node->inputs[1] < 0 || ws_shape_count(&node->in[1]) == x->size[0], CONFIG,
             "gru %s: %s needs one length a sequence, not %s", node->name, ws_shape_text(x, a),
             ws_shape_text(&node->in[1], b));
    int64_t B = x->size[0], T = x->size[1], D = x->size[2], rows = directions * 3 * H;
    ws_initial uniform = {.scale = 1 / sqrt((double)H)};
    WS_TRY(ws_node_add_parameter(plan, node, 0, "weight_input", (ws_shape){2, {rows, D}}, uniform, true));
    WS_TRY(ws_node_add_parameter(plan, node, 1, "weight_hidden", (ws_shape){2, {rows, H}}, uniform, true));
    WS_TRY(ws_node_add_parameter(plan, node, 2, "bias_input", (ws_shape){1, {rows}}, uniform, false));
    WS_TRY(ws_node_add_parameter(plan, node, 3, "bias_hidden", (ws_shape){1, {rows}}, uniform, false));
    node->out = (ws_shape){3, {B, T, directions * H}};
    node->saved[0] = (size_t)(B * T * rows);
    node->saved[1] = (size_t)(B * T * directions * H);
    node->scratch_forward = (size_t)ws_gru_scratch_forward(B, T, H, directions);
    node->scratch_backward = (size_t)ws_gru_scratch_backward(B, T, H, directions);
    node->backward_reads_input[0] = node->backward_reads_input[1] = node->backward_reads_output = true;
    return WS_OK;
}

static ws_gru_arguments arguments(const ws_node *node, const ws_node_memory *memory)
{
    return (ws_gru_arguments){
        .B = node->out.size[0],
        .T = node->out.size[1],
        .D = node->in[0].size[2],
        .H = node->width,
        .directions = node->whole[DIRECTIONS],
        .accumulate_dx = node->accumulate[0],
        .x = memory->inputs[0],
        .lengths = memory->inputs[1],
        .weight_input = memory->parameters[0],
        .weight_hidden = memory->parameters[1],
        .bias_input = memory->parameters[2],
        .bias_hidden = memory->parameters[3],
        .gates = memory->saved[0],
        .q = memory->saved[1],
        .y = memory->output,
        .dy = memory->output_gradient,
        .dx = memory->input_gradients[0],
        .dweight_input = memory->parameter_gradients[0],
        .dweight_hidden = memory->parameter_gradients[1],
        .dbias_input = memory->parameter_gradients[2],
        .dbias_hidden = memory->parameter_gradients[3],
        .scratch = memory->scratch,
    };
}

WS_OPERATOR_PASSES(gru)

static double flops_of(const ws_node *node, double input_products, double hidden_products)
{
    double rows = (double)ws_shape_rows(&node->out), units = 3.0 * (double)ws_shape_width(&node->out);
    return 2 * rows * units * (input_products * (double)node->in[0].size[2] + hidden_products * (double)node->width);
}

static double flops_forward(const ws_node *node)
{
    return flops_of(node, 1, 1);
}

static double flops_backward(const ws_node *node, int gradients)
{
    return flops_of(node, 1 + gradients, 2);
}

const ws_operator ws_operator_gru = {
    .name = "gru",
    .help = "gated recurrent units over a sequence, in one or both directions",
    .inputs = 2,
    .optional = 1,
    .input_types = {WS_INPUT_REAL, WS_INPUT_INDEX},
    .infer = infer,
    .forward = forward,
    .backward = backward,
    .flops_forward = flops_forward,
    .flops_backward = flops_backward,
};

ws_tensor ws_gru(ws_plan *plan, ws_tensor x, ws_tensor lengths, int64_t hidden, bool both_directions, const char *name)
{
    ws_node node = {.op = WS_OP_gru, .width = hidden, .whole[DIRECTIONS] = both_directions ? 2 : 1};
    return ws_plan_record(plan, node, name, (const ws_tensor[WS_MAX_INPUTS]){x, lengths});
}
