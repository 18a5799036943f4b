/* bmm: a matrix product for each of the first dimension; what linear is for weights, this is for two tensors. */
#include "engine/operator.h"

enum { TRANSPOSED };

static ws_err infer(ws_plan *plan, ws_node *node)
{
    (void)plan;
    char a[96], b[96];
    const ws_shape *left = &node->in[0], *right = &node->in[1];
    bool transposed = node->whole[TRANSPOSED] != 0;
    WS_CHECK(left->dimensions == 3 && right->dimensions == 3 && left->size[0] == right->size[0] &&
                 left->size[2] == right->size[transposed ? 2 : 1],
             CONFIG, "bmm %s: %s and %s%s are no factors", node->name, ws_shape_text(left, a), ws_shape_text(right, b),
             transposed ? " transposed" : "");
    node->out = (ws_shape){3, {left->size[0], left->size[1], right->size[transposed ? 1 : 2]}};
    node->backward_reads_input[0] = node->backward_reads_input[1] = true;
    int64_t B = node->out.size[0], M = node->out.size[1], K = left->size[2], N = node->out.size[2];
    bool bf16 = node->precision == WS_BF16;
    node->scratch_forward = (size_t)ws_bmm_scratch(B, M, K, N, bf16, false);
    node->scratch_backward = (size_t)ws_bmm_scratch(B, M, K, N, bf16, true);
    return WS_OK;
}

static ws_bmm_arguments arguments(const ws_node *node, const ws_node_memory *memory)
{
    return (ws_bmm_arguments){
        .B = node->out.size[0],
        .M = node->out.size[1],
        .K = node->in[0].size[2],
        .N = node->out.size[2],
        .bf16 = node->precision == WS_BF16,
        .transposed = node->whole[TRANSPOSED] != 0,
        .accumulate_da = node->accumulate[0],
        .accumulate_db = node->accumulate[1],
        .a = memory->inputs[0],
        .b = memory->inputs[1],
        .y = memory->output,
        .dy = memory->output_gradient,
        .da = memory->input_gradients[0],
        .db = memory->input_gradients[1],
        .scratch = memory->scratch,
    };
}

WS_OPERATOR_PASSES(bmm)

static double flops_forward(const ws_node *node)
{
    return 2.0 * (double)ws_shape_count(&node->out) * (double)node->in[0].size[2];
}

static double flops_backward(const ws_node *node, int gradients)
{
    return gradients * flops_forward(node);
}

const ws_operator ws_operator_bmm = {
    .name = "bmm",
    .help = "a matrix product for each of the first dimension",
    .inputs = 2,
    .input_types = {WS_INPUT_REAL, WS_INPUT_REAL},
    .infer = infer,
    .forward = forward,
    .backward = backward,
    .flops_forward = flops_forward,
    .flops_backward = flops_backward,
};

ws_tensor ws_bmm(ws_plan *plan, ws_tensor a, ws_tensor b, bool transposed)
{
    ws_node node = {.op = WS_OP_bmm, .whole = {transposed}};
    return ws_plan_record(plan, node, NULL, (const ws_tensor[WS_MAX_INPUTS]){a, b});
}
