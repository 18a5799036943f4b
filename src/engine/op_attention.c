/* attention: softmax attention over packed projections q|k|v, heads side by side, with masks given as ranges of keys. */
#include <math.h>
#include "engine/operator.h"

enum { HEADS, CAUSAL, PERIOD };
enum { BASE, DROPOUT };

static ws_err check_options(const ws_node *node, int64_t D)
{
    int64_t H = node->whole[HEADS];
    double base = node->number[BASE], dropout = node->number[DROPOUT];
    WS_CHECK(H > 0 && D % H == 0, CONFIG, "attention %s: width %lld cannot be cut into %lld heads", node->name,
             (long long)D, (long long)H);
    WS_CHECK(D / H <= WS_ATTENTION_WIDEST, CONFIG, "attention %s: a head of width %lld is wider than %d", node->name,
             (long long)(D / H), WS_ATTENTION_WIDEST);
    WS_CHECK(dropout >= 0 && dropout < 1, CONFIG, "attention %s: dropout %g is not in [0, 1)", node->name, dropout);
    WS_CHECK(base == 0 || (base > 0 && isfinite(base)), CONFIG, "attention %s: rotary base %g is not positive",
             node->name, base);
    WS_CHECK(base == 0 || D / H % 2 == 0, CONFIG, "attention %s: rotary positions need heads of even width, not %lld",
             node->name, (long long)(D / H));
    WS_CHECK(node->whole[PERIOD] >= 0, CONFIG, "attention %s: rotary period %lld is negative", node->name,
             (long long)node->whole[PERIOD]);
    return WS_OK;
}

static ws_err infer(ws_plan *plan, ws_node *node)
{
    (void)plan;
    char a[96], b[96];
    const ws_shape *qkv = &node->in[0];
    WS_CHECK(qkv->dimensions == 3 && qkv->size[2] % 3 == 0, CONFIG,
             "attention %s: the projections must be [rows, tokens, 3 * width], not %s", node->name,
             ws_shape_text(qkv, a));
    int64_t B = qkv->size[0], T = qkv->size[1], D = qkv->size[2] / 3, H = node->whole[HEADS];
    WS_TRY(check_options(node, D));
    WS_CHECK((double)H * (double)T * (double)T < 0x1p33, CONFIG, "attention %s: %lld tokens are too many", node->name,
             (long long)T);
    WS_CHECK(node->inputs[1] < 0 || ws_shape_count(&node->in[1]) == 4 * B * T, CONFIG,
             "attention %s: projections %s need four bounds of keys a token, not %s", node->name, ws_shape_text(qkv, a),
             ws_shape_text(&node->in[1], b));
    node->out = (ws_shape){3, {B, T, D}};
    node->saved[0] = (size_t)(2 * B * H * T);
    node->scratch_forward = (size_t)ws_attention_scratch(T, D, H, false);
    node->scratch_backward = (size_t)(ws_attention_scratch(T, D, H, true) + B * H * T);
    node->backward_reads_input[0] = node->backward_reads_input[1] = node->backward_reads_output = true;
    return WS_OK;
}

static ws_attention_arguments arguments(const ws_node *node, const ws_node_memory *memory)
{
    int64_t T = node->in[0].size[1], D = node->in[0].size[2] / 3, H = node->whole[HEADS];
    return (ws_attention_arguments){
        .B = node->in[0].size[0],
        .T = T,
        .D = D,
        .H = H,
        .causal = node->whole[CAUSAL] != 0,
        .accumulate_dqkv = node->accumulate[0],
        .rope_base = node->number[BASE],
        .rope_period = node->whole[PERIOD] > 0 ? node->whole[PERIOD] : T,
        .dropout = node->number[DROPOUT],
        .random = memory->random,
        .qkv = memory->inputs[0],
        .ranges = memory->inputs[1],
        .y = memory->output,
        .statistics = memory->saved[0],
        .dy = memory->output_gradient,
        .dqkv = memory->input_gradients[0],
        .scratch = memory->scratch,
        .row_products = memory->scratch + ws_attention_scratch(T, D, H, true),
    };
}

WS_OPERATOR_PASSES(attention)

/* Two products of every query with every key; masks are not counted. */
static double flops_forward(const ws_node *node)
{
    return 4.0 * (double)ws_shape_count(&node->out) * (double)node->in[0].size[1];
}

static double flops_backward(const ws_node *node, int gradients)
{
    return gradients ? 2.5 * flops_forward(node) : 0;
}

const ws_operator ws_operator_attention = {
    .name = "attention",
    .help = "softmax attention over packed q|k|v: heads, causal or ranges of keys, rotary positions, dropout",
    .inputs = 2,
    .optional = 1,
    .input_types = {WS_INPUT_REAL, WS_INPUT_INDEX},
    .infer = infer,
    .forward = forward,
    .backward = backward,
    .flops_forward = flops_forward,
    .flops_backward = flops_backward,
};

ws_tensor ws_attention(ws_plan *plan, ws_tensor qkv, ws_tensor ranges, const ws_attention_options *options)
{
    ws_node node = {.op = WS_OP_attention,
                    .whole = {options->heads, options->causal, options->rope_period},
                    .number = {options->rope_base, options->dropout}};
    return ws_plan_record(plan, node, NULL, (const ws_tensor[WS_MAX_INPUTS]){qkv, ranges});
}
