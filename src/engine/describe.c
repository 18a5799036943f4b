/* What a finished plan tells: its parameters and their initial values, its cost, and a table for people. */
#include <math.h>
#include "engine/plan.h"

size_t ws_plan_parameters(const ws_plan *plan, const ws_parameter **table)
{
    *table = plan->parameters;
    return plan->parameter_count;
}

size_t ws_plan_parameter_extent(const ws_plan *plan)
{
    return plan->extent;
}

size_t ws_plan_trained_extent(const ws_plan *plan)
{
    return plan->trained;
}

size_t ws_plan_executor_bytes(const ws_plan *plan)
{
    return plan->bytes;
}

static size_t trained_count(const ws_parameter *parameter)
{
    return parameter->statistic ? 0 : parameter->count;
}

size_t ws_plan_parameter_count(const ws_plan *plan)
{
    size_t count = 0;
    for (size_t i = 0; i < plan->parameter_count; i++)
        count += trained_count(&plan->parameters[i]);
    return count;
}

static double initial_value(const ws_initial *initial, const ws_shape *shape, double drawn, size_t element)
{
    if (initial->of)
        return initial->of(drawn, element, shape);
    return initial->constant + initial->scale * (initial->normal ? drawn : 2.0 * drawn - 1.0);
}

void ws_plan_initialise(const ws_plan *plan, uint64_t seed, ws_real *parameters)
{
    enum { CHUNK = 256 }; /* elements a row of the random stream */
    memset(parameters, 0, plan->extent * sizeof *parameters);
    for (size_t i = 0; i < plan->parameter_count; i++) {
        const ws_parameter *parameter = &plan->parameters[i];
        const ws_initial *initial = &plan->parameter_details[i].initial;
        ws_shape shape = {.dimensions = parameter->dimensions};
        memcpy(shape.size, parameter->shape, sizeof shape.size);
        ws_real *values = parameters + parameter->offset;
        uint64_t stream = ws_hash64(parameter->name, strlen(parameter->name), 0);
        for (size_t k = 0; k < parameter->count; k += CHUNK) {
            size_t n = parameter->count - k < CHUNK ? parameter->count - k : CHUNK;
            float drawn[CHUNK] = {0};
            if (initial->normal)
                ws_random_normal(seed, WS_RANDOM_INIT, stream, k / CHUNK, drawn, n);
            else if (initial->scale > 0 || initial->of)
                ws_random_uniform(seed, WS_RANDOM_INIT, stream, k / CHUNK, drawn, n);
            for (size_t j = 0; j < n; j++)
                values[k + j] = (ws_real)initial_value(initial, &shape, (double)drawn[j], k + j);
        }
    }
}

static int wanted_gradients(const ws_plan *plan, const ws_node *node)
{
    int count = 0;
    for (int k = 0; k < WS_MAX_INPUTS; k++)
        count += node->inputs[k] >= 0 && plan->tensors[node->inputs[k]].has_gradient;
    return count;
}

static double node_flops(const ws_plan *plan, size_t i, bool with_backward)
{
    const ws_node *node = &plan->nodes[i];
    const ws_operator *op = ws_operator_table[node->op];
    double flops = op->flops_forward(node);
    if (with_backward && plan->node_buffers[i].differentiated)
        flops += op->flops_backward(node, wanted_gradients(plan, node));
    return flops;
}

double ws_plan_flops(const ws_plan *plan, bool with_backward)
{
    double flops = 0;
    for (size_t i = 0; i < plan->node_count; i++)
        flops += node_flops(plan, i, with_backward);
    return flops;
}

ws_err ws_plan_describe(const ws_plan *plan, ws_text *out)
{
    char text[96], bytes[32];
    ws_text_appendf(out, "%-32s %-14s %-20s %12s %12s\n", "node", "operator", "output", "parameters", "MFLOP");
    for (size_t i = 0; i < plan->node_count; i++) {
        const ws_node *node = &plan->nodes[i];
        size_t parameters = 0;
        for (int k = 0; k < WS_MAX_PARAMETERS; k++)
            parameters += node->parameters[k] < 0 ? 0 : trained_count(&plan->parameters[node->parameters[k]]);
        ws_text_appendf(out, "%-32s %-14s %-20s %12zu %12.3f\n", node->name, ws_operator_table[node->op]->name,
                        ws_shape_text(&node->out, text), parameters, node_flops(plan, i, true) / 1e6);
    }
    ws_format_bytes((double)plan->bytes, bytes);
    ws_text_appendf(out, "%zu parameters, %s of activations an executor, %.3f MFLOP %s\n",
                    ws_plan_parameter_count(plan), bytes, ws_plan_flops(plan, true) / 1e6,
                    plan->loss < 0 && plan->pulled < 0 ? "forward" : "forward and backward");
    return ws_text_check(out);
}
