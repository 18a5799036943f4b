/* spline_coupling: a step of a normalising flow: some columns of a row go through splines whose parameters were made from the
 * other ones (Durkan et al. 2019), then the columns roll on by one. */
#include "engine/operator.h"
#include "spline.h"

enum { KEPT, BINS }; /* whole */
enum { BOUND };      /* number */

static ws_err infer(ws_plan *plan, ws_node *node)
{
    (void)plan;
    int64_t D = ws_shape_width(&node->in[0]) - 1, moved = D - node->whole[KEPT], bins = node->whole[BINS];
    char state[96], theta[96];
    WS_CHECK(bins >= 2 && bins <= WS_SPLINE_MOST_BINS && node->number[BOUND] > 0 && node->whole[KEPT] >= 0 && moved > 0,
             CONFIG, "spline_coupling %s: %lld bins to %g, %lld of %lld columns kept", node->name, (long long)bins,
             node->number[BOUND], (long long)node->whole[KEPT], (long long)D);
    WS_CHECK(ws_shape_rows(&node->in[1]) == ws_shape_rows(&node->in[0]) &&
                 ws_shape_width(&node->in[1]) == moved * (3 * bins - 1),
             CONFIG, "spline_coupling %s: state %s with %lld bins needs %lld parameters a row, not %s", node->name,
             ws_shape_text(&node->in[0], state), (long long)bins, (long long)(moved * (3 * bins - 1)),
             ws_shape_text(&node->in[1], theta));
    node->out = node->in[0];
    node->scratch_forward = (size_t)(ws_shape_rows(&node->in[0]) * moved);
    node->backward_reads_input[0] = node->backward_reads_input[1] = true;
    return WS_OK;
}

static ws_spline_coupling_arguments arguments(const ws_node *node, const ws_node_memory *memory)
{
    return (ws_spline_coupling_arguments){
        .B = ws_shape_rows(&node->in[0]),
        .D = ws_shape_width(&node->in[0]) - 1,
        .kept = node->whole[KEPT],
        .bins = (int)node->whole[BINS],
        .bound = (ws_real)node->number[BOUND],
        .accumulate_dstate = node->accumulate[0],
        .accumulate_dtheta = node->accumulate[1],
        .state = memory->inputs[0],
        .theta = memory->inputs[1],
        .y = memory->output,
        .dy = memory->output_gradient,
        .dstate = memory->input_gradients[0],
        .dtheta = memory->input_gradients[1],
        .scratch = memory->scratch,
    };
}

WS_OPERATOR_PASSES(spline_coupling)

/* An exponential or logarithm counts as 10. */
static double flops_forward(const ws_node *node)
{
    return 13.0 * (double)ws_shape_count(&node->in[1]);
}

static double flops_backward(const ws_node *node, int gradients)
{
    (void)gradients;
    return 20.0 * (double)ws_shape_count(&node->in[1]);
}

const ws_operator ws_operator_spline_coupling = {
    .name = "spline_coupling",
    .help = "columns through rational-quadratic splines, with the logarithm of the slopes; columns roll on by one",
    .inputs = 2,
    .input_types = {WS_INPUT_REAL, WS_INPUT_REAL},
    .infer = infer,
    .forward = forward,
    .backward = backward,
    .flops_forward = flops_forward,
    .flops_backward = flops_backward,
};

ws_tensor ws_spline_coupling(ws_plan *plan, ws_tensor state, ws_tensor theta, int64_t kept, int64_t bins, double bound)
{
    ws_node node = {.op = WS_OP_spline_coupling, .whole[KEPT] = kept, .whole[BINS] = bins, .number[BOUND] = bound};
    return ws_plan_record(plan, node, NULL, (const ws_tensor[WS_MAX_INPUTS]){state, theta});
}
