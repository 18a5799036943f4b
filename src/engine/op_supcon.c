/* supcon: supervised contrastive loss (Khosla et al. 2020) within a batch and against a bank of known embeddings. */
#include "engine/operator.h"

static int64_t bank_rows(const ws_node *node)
{
    return node->inputs[2] < 0 ? 0 : ws_shape_rows(&node->in[2]);
}

static ws_err infer(ws_plan *plan, ws_node *node)
{
    (void)plan;
    int64_t rows = ws_shape_rows(&node->in[0]), K = bank_rows(node);
    char a[96], b[96];
    WS_CHECK(node->number[0] > 0, CONFIG, "supcon %s: temperature %g is not positive", node->name, node->number[0]);
    WS_CHECK(ws_shape_count(&node->in[1]) == rows, CONFIG, "supcon %s: embeddings %s need one label a row, not %s",
             node->name, ws_shape_text(&node->in[0], a), ws_shape_text(&node->in[1], b));
    WS_CHECK((node->inputs[2] < 0) == (node->inputs[3] < 0), CONFIG,
             "supcon %s: a bank comes with its labels, labels with their bank", node->name);
    WS_CHECK(K == 0 ||
                 (ws_shape_width(&node->in[2]) == ws_shape_width(&node->in[0]) && ws_shape_count(&node->in[3]) == K),
             CONFIG, "supcon %s: a bank %s with %lld labels does not go with embeddings %s", node->name,
             ws_shape_text(&node->in[2], b), (long long)ws_shape_count(&node->in[3]), ws_shape_text(&node->in[0], a));
    size_t pairs = (size_t)(rows * (rows + K));
    node->out = (ws_shape){1, {1}};
    node->saved[0] = pairs;
    node->saved[1] = node->saved[2] = (size_t)rows;
    node->saved[3] = 1;
    node->scratch_forward = pairs + (size_t)(2 * rows);
    node->scratch_backward = pairs;
    for (int i = 0; i < 4; i++)
        node->backward_reads_input[i] = node->inputs[i] >= 0;
    return WS_OK;
}

static ws_supcon_arguments arguments(const ws_node *node, const ws_node_memory *memory)
{
    int64_t rows = ws_shape_rows(&node->in[0]);
    return (ws_supcon_arguments){
        .R = rows,
        .K = bank_rows(node),
        .D = ws_shape_width(&node->in[0]),
        .temperature = node->number[0],
        .accumulate_dz = node->accumulate[0],
        .z = memory->inputs[0],
        .label = memory->inputs[1],
        .bank = memory->inputs[2],
        .bank_label = memory->inputs[3],
        .products = memory->saved[0] ? memory->saved[0] : memory->scratch + 2 * rows,
        .log_sum = memory->saved[1],
        .positive = memory->saved[2],
        .row_scale = memory->saved[3],
        .loss = memory->output,
        .dloss = memory->output_gradient,
        .dz = memory->input_gradients[0],
        .scratch = memory->scratch,
    };
}

WS_OPERATOR_PASSES(supcon)

/* Products of all pairs, and 12 for the exponential of each. */
static double flops_forward(const ws_node *node)
{
    double pairs = (double)ws_shape_rows(&node->in[0]) * (double)(ws_shape_rows(&node->in[0]) + bank_rows(node));
    return pairs * (2.0 * (double)ws_shape_width(&node->in[0]) + 12);
}

static double flops_backward(const ws_node *node, int gradients)
{
    double within = (double)ws_shape_count(&node->in[0]) * (double)ws_shape_rows(&node->in[0]);
    return gradients * (flops_forward(node) + 2 * within);
}

const ws_operator ws_operator_supcon = {
    .name = "supcon",
    .help = "loss: supervised contrastive, with a bank of candidates",
    .inputs = 4,
    .optional = 2,
    .input_types = {WS_INPUT_REAL, WS_INPUT_INDEX, WS_INPUT_REAL, WS_INPUT_INDEX},
    .constant = {[2] = true},
    .infer = infer,
    .forward = forward,
    .backward = backward,
    .flops_forward = flops_forward,
    .flops_backward = flops_backward,
};

ws_tensor ws_supcon(ws_plan *plan, ws_tensor embeddings, ws_tensor labels, double temperature, ws_tensor bank,
                    ws_tensor bank_labels)
{
    ws_node node = {.op = WS_OP_supcon, .number[0] = temperature};
    return ws_plan_record(plan, node, NULL, (const ws_tensor[WS_MAX_INPUTS]){embeddings, labels, bank, bank_labels});
}
