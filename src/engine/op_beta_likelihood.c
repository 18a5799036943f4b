/* beta_likelihood: the loss of a normalising flow that ends in independent beta variables. */
#include <math.h>
#include "engine/operator.h"

enum { BOUND, SHAPE }; /* number */

static ws_err infer(ws_plan *plan, ws_node *node)
{
    (void)plan;
    char state[96];
    WS_CHECK(ws_shape_width(&node->in[0]) > 1 && node->number[BOUND] > 0 && node->number[SHAPE] > 0, CONFIG,
             "beta_likelihood %s: state %s, Beta(%g, %g) on +-%g", node->name, ws_shape_text(&node->in[0], state),
             node->number[SHAPE], node->number[SHAPE], node->number[BOUND]);
    node->out = (ws_shape){1, {1}};
    node->scratch_forward = (size_t)ws_shape_rows(&node->in[0]);
    node->backward_reads_input[0] = true;
    return WS_OK;
}

double ws_beta_log_scale(int64_t columns, double bound, double shape)
{
    return -(double)columns * (2 * lgamma(shape) - lgamma(2 * shape) + log(2 * bound));
}

static ws_beta_likelihood_arguments arguments(const ws_node *node, const ws_node_memory *memory)
{
    int64_t D = ws_shape_width(&node->in[0]) - 1;
    return (ws_beta_likelihood_arguments){
        .B = ws_shape_rows(&node->in[0]),
        .D = D,
        .bound = (ws_real)node->number[BOUND],
        .shape = (ws_real)node->number[SHAPE],
        .log_scale = (ws_real)ws_beta_log_scale(D, node->number[BOUND], node->number[SHAPE]),
        .accumulate_dstate = node->accumulate[0],
        .state = memory->inputs[0],
        .loss = memory->output,
        .dloss = memory->output_gradient,
        .dstate = memory->input_gradients[0],
        .scratch = memory->scratch,
    };
}

WS_OPERATOR_PASSES(beta_likelihood)

static double flops_forward(const ws_node *node)
{
    return 24.0 * (double)ws_shape_count(&node->in[0]);
}

static double flops_backward(const ws_node *node, int gradients)
{
    return 8.0 * gradients * (double)ws_shape_count(&node->in[0]);
}

const ws_operator ws_operator_beta_likelihood = {
    .name = "beta_likelihood",
    .help = "loss: negative log-likelihood of a flow that ends in beta variables",
    .inputs = 1,
    .input_types = {WS_INPUT_REAL},
    .infer = infer,
    .forward = forward,
    .backward = backward,
    .flops_forward = flops_forward,
    .flops_backward = flops_backward,
};

ws_tensor ws_beta_likelihood(ws_plan *plan, ws_tensor state, double bound, double shape)
{
    ws_node node = {.op = WS_OP_beta_likelihood, .number[BOUND] = bound, .number[SHAPE] = shape};
    return ws_plan_record(plan, node, NULL, (const ws_tensor[WS_MAX_INPUTS]){state});
}
