/* selective_scan: the recurrence of Mamba with its softplus, skip and gate (Gu & Dao 2023). What it computes is written at
 * ws_selective_scan_arguments. */
#include <math.h>
#include "engine/operator.h"

/* ln 1, ln 2, ..., ln N in every channel */
static double initial_A_log(double uniform, size_t element, const ws_shape *shape)
{
    (void)uniform;
    return log(1 + (double)(element % (size_t)shape->size[1]));
}

/* softplus of it is log-uniform in [0.001, 0.1] */
static double initial_dt_bias(double uniform, size_t element, const ws_shape *shape)
{
    (void)element, (void)shape;
    double dt = fmax(exp(uniform * (log(0.1) - log(0.001)) + log(0.001)), 1e-4);
    return dt + log(-expm1(-dt));
}

static ws_err infer(ws_plan *plan, ws_node *node)
{
    const ws_shape *u = &node->in[0], *rows = &node->in[2];
    char a[96], b[96];
    WS_CHECK(u->dimensions == 3, CONFIG, "selective_scan %s: u must be [B,T,E], not %s", node->name,
             ws_shape_text(u, a));
    WS_CHECK(ws_shape_equal(u, &node->in[1]), CONFIG, "selective_scan %s: u %s and delta %s differ", node->name,
             ws_shape_text(u, a), ws_shape_text(&node->in[1], b));
    WS_CHECK(node->inputs[3] < 0 || ws_shape_equal(u, &node->in[3]), CONFIG, "selective_scan %s: u %s and z %s differ",
             node->name, ws_shape_text(u, a), ws_shape_text(&node->in[3], b));
    int64_t B = u->size[0], T = u->size[1], E = u->size[2], N = ws_shape_width(rows) / 2;
    WS_CHECK(rows->dimensions == 3 && rows->size[0] == B && rows->size[1] == T && rows->size[2] == 2 * N, CONFIG,
             "selective_scan %s: B and C must be [%lld,%lld,2N], not %s", node->name, (long long)B, (long long)T,
             ws_shape_text(rows, a));
    WS_CHECK(N >= 1 && N <= WS_SCAN_MOST_STATES, CONFIG,
             "selective_scan %s: %lld states a channel; 1 to %d are possible", node->name, (long long)N,
             WS_SCAN_MOST_STATES);
    WS_TRY(
        ws_node_add_parameter(plan, node, 0, "A_log", (ws_shape){2, {E, N}}, (ws_initial){.of = initial_A_log}, false));
    WS_TRY(ws_node_add_parameter(plan, node, 1, "D", (ws_shape){1, {E}}, (ws_initial){.constant = 1}, false));
    WS_TRY(ws_node_add_parameter(plan, node, 2, "dt_bias", (ws_shape){1, {E}}, (ws_initial){.of = initial_dt_bias},
                                 false));
    node->out = *u;
    node->saved[0] = (size_t)(B * ((T - 1) / WS_SCAN_STEPS) * N * E);
    node->scratch_forward = (size_t)ws_scan_scratch_forward(B, T, E, N);
    node->scratch_backward = (size_t)ws_scan_scratch_backward(B, T, E, N);
    for (int i = 0; i < 4; i++)
        node->backward_reads_input[i] = true;
    return WS_OK;
}

static ws_selective_scan_arguments arguments(const ws_node *node, const ws_node_memory *memory)
{
    return (ws_selective_scan_arguments){
        .B = node->out.size[0],
        .T = node->out.size[1],
        .E = node->out.size[2],
        .N = ws_shape_width(&node->in[2]) / 2,
        .accumulate_du = node->accumulate[0],
        .accumulate_ddelta = node->accumulate[1],
        .accumulate_dB_and_C = node->accumulate[2],
        .accumulate_dz = node->accumulate[3],
        .u = memory->inputs[0],
        .delta = memory->inputs[1],
        .B_and_C = memory->inputs[2],
        .z = memory->inputs[3],
        .A_log = memory->parameters[0],
        .D = memory->parameters[1],
        .dt_bias = memory->parameters[2],
        .states = memory->saved[0],
        .out = memory->output,
        .dout = memory->output_gradient,
        .du = memory->input_gradients[0],
        .ddelta = memory->input_gradients[1],
        .dB_and_C = memory->input_gradients[2],
        .dz = memory->input_gradients[3],
        .dA_log = memory->parameter_gradients[0],
        .dD = memory->parameter_gradients[1],
        .ddt_bias = memory->parameter_gradients[2],
        .scratch = memory->scratch,
    };
}

WS_OPERATOR_PASSES(selective_scan)

/* A state's update is 6 operations and an exponential, a point's softplus, skip and gate 10. */
static double flops_forward(const ws_node *node)
{
    return (double)ws_shape_count(&node->out) * (10 + 6 * (double)ws_shape_width(&node->in[2]) / 2);
}

static double flops_backward(const ws_node *node, int gradients)
{
    (void)gradients; /* all are found together */
    return (double)ws_shape_count(&node->out) * (25 + 26 * (double)ws_shape_width(&node->in[2]) / 2);
}

const ws_operator ws_operator_selective_scan = {
    .name = "selective_scan",
    .help = "the recurrence of Mamba over a sequence, with softplus of the step, skip and gate",
    .inputs = 4,
    .optional = 1,
    .input_types = {WS_INPUT_REAL, WS_INPUT_REAL, WS_INPUT_REAL, WS_INPUT_REAL},
    .infer = infer,
    .forward = forward,
    .backward = backward,
    .flops_forward = flops_forward,
    .flops_backward = flops_backward,
};

ws_tensor ws_selective_scan(ws_plan *plan, ws_tensor u, ws_tensor delta, ws_tensor B_and_C, ws_tensor z,
                            const char *name)
{
    ws_node node = {.op = WS_OP_selective_scan};
    return ws_plan_record(plan, node, name, (const ws_tensor[WS_MAX_INPUTS]){u, delta, B_and_C, z});
}
