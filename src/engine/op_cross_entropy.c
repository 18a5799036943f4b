/* cross_entropy: mean over the rows that count of -log softmax(logits)[index], with label smoothing and class weights where they
 * are asked for; the class index has no gradient. */
#include "engine/operator.h"

enum { SMOOTHING };

static ws_err infer(ws_plan *plan, ws_node *node)
{
    (void)plan;
    int64_t B = ws_shape_rows(&node->in[0]);
    char a[96], b[96];
    WS_CHECK(ws_shape_count(&node->in[1]) == B, CONFIG,
             "cross_entropy %s: logits %s need one class index a row, not %s", node->name,
             ws_shape_text(&node->in[0], a), ws_shape_text(&node->in[1], b));
    WS_CHECK(node->number[SMOOTHING] >= 0 && node->number[SMOOTHING] <= 1, CONFIG,
             "cross_entropy %s: smoothing %g is not in [0, 1]", node->name, node->number[SMOOTHING]);
    WS_CHECK(node->inputs[2] < 0 || ws_shape_count(&node->in[2]) == ws_shape_width(&node->in[0]), CONFIG,
             "cross_entropy %s: logits %s need one weight a class, not %s", node->name, ws_shape_text(&node->in[0], a),
             ws_shape_text(&node->in[2], b));
    node->out = (ws_shape){1, {1}};
    node->saved[0] = (size_t)B;
    node->saved[1] = 1;
    node->scratch_forward = (size_t)(2 * B);
    node->backward_reads_input[0] = node->backward_reads_input[1] = true;
    node->backward_reads_input[2] = node->inputs[2] >= 0;
    return WS_OK;
}

static ws_cross_entropy_arguments arguments(const ws_node *node, const ws_node_memory *memory)
{
    return (ws_cross_entropy_arguments){
        .B = ws_shape_rows(&node->in[0]),
        .C = ws_shape_width(&node->in[0]),
        .accumulate_dlogits = node->accumulate[0],
        .logits = memory->inputs[0],
        .index = memory->inputs[1],
        .class_weight = memory->inputs[2],
        .smoothing = node->number[SMOOTHING],
        .log_sum = memory->saved[0],
        .row_scale = memory->saved[1],
        .loss = memory->output,
        .dloss = memory->output_gradient,
        .dlogits = memory->input_gradients[0],
        .scratch = memory->scratch,
    };
}

WS_OPERATOR_PASSES(cross_entropy)

static double flops_forward(const ws_node *node)
{
    return 12.0 * (double)ws_shape_count(&node->in[0]);
}

static double flops_backward(const ws_node *node, int gradients)
{
    return 12.0 * gradients * (double)ws_shape_count(&node->in[0]);
}

const ws_operator ws_operator_cross_entropy = {
    .name = "cross_entropy",
    .help = "loss: softmax cross entropy, with label smoothing and class weights; rows with index -1 ignored",
    .inputs = 3,
    .optional = 1,
    .input_types = {WS_INPUT_REAL, WS_INPUT_INDEX, WS_INPUT_REAL},
    .constant = {[2] = true},
    .infer = infer,
    .forward = forward,
    .backward = backward,
    .flops_forward = flops_forward,
    .flops_backward = flops_backward,
};

ws_tensor ws_cross_entropy(ws_plan *plan, ws_tensor logits, ws_tensor index)
{
    return ws_cross_entropy_with(plan, logits, index, 0, WS_NO_TENSOR);
}

ws_tensor ws_cross_entropy_with(ws_plan *plan, ws_tensor logits, ws_tensor index, double smoothing,
                                ws_tensor class_weights)
{
    ws_node node = {.op = WS_OP_cross_entropy, .number[SMOOTHING] = smoothing};
    return ws_plan_record(plan, node, NULL, (const ws_tensor[WS_MAX_INPUTS]){logits, index, class_weights});
}
