/* Differentiation: which tensors have a gradient, and which consumer of a tensor writes it first. A gradient is
 * computed only where it leads from the loss to a parameter, or to an input whose gradient is asked for. */
#include "engine/plan.h"

static bool passes_gradient(const ws_node *node, int input)
{
    return node->inputs[input] >= 0 && !ws_operator_table[node->op]->constant[input];
}

/* A value depends on parameters, or on an input that wants its gradient, when one of the nodes above it does. */
static void mark_dependence(const ws_plan *plan, bool *depends)
{
    for (size_t i = 0; i < plan->tensor_count; i++)
        depends[i] = plan->tensors[i].gradient_wanted;
    for (size_t i = 0; i < plan->node_count; i++) {
        const ws_node *node = &plan->nodes[i];
        bool any = node->parameters[0] >= 0 && plan->pulled < 0; /* pulled back to inputs only */
        for (int k = 0; k < WS_MAX_INPUTS; k++)
            any = any || (passes_gradient(node, k) && depends[node->inputs[k]]);
        depends[node->output] = any;
    }
}

static void reach_inputs(ws_plan *plan, ws_node *node, const bool *depends)
{
    for (int k = 0; k < WS_MAX_INPUTS; k++) {
        if (!passes_gradient(node, k) || !depends[node->inputs[k]])
            continue;
        ws_plan_tensor *input = &plan->tensors[node->inputs[k]];
        node->accumulate[k] = input->has_gradient; /* a later consumer has written it already */
        input->has_gradient = true;
    }
}

/* The gradient of `from` is given to the backward pass: 1 where it is the loss. */
static ws_err differentiate_from(ws_plan *plan, int32_t from)
{
    bool *depends = NULL;
    WS_TRY(ws_arena_alloc(plan->arena, &depends, plan->tensor_count, sizeof *depends));
    mark_dependence(plan, depends);
    WS_CHECK(depends[from], CONFIG, "%s",
             plan->pulled < 0 ? "the loss does not depend on any parameter"
                              : "what is pulled back does not depend on an input whose gradient is asked for");
    plan->tensors[from].has_gradient = true;
    for (size_t i = plan->node_count; i-- > 0;) {
        ws_node *node = &plan->nodes[i];
        if (!plan->tensors[node->output].has_gradient)
            continue;
        plan->node_buffers[i].differentiated = true;
        for (int k = 0; k < WS_MAX_PARAMETERS; k++)
            if (node->parameters[k] >= 0)
                plan->parameter_details[node->parameters[k]].reached = true;
        reach_inputs(plan, node, depends);
    }
    return WS_OK;
}

ws_err ws_plan_differentiate(ws_plan *plan, ws_tensor loss)
{
    WS_TRY(WS_NEW_ARRAY(plan->node_buffers, plan->node_count));
    WS_CHECK(loss.id < 0 || plan->pulled < 0, INTERNAL, "a plan has a loss or a tensor to pull back from, not both");
    if (plan->pulled >= 0)
        return differentiate_from(plan, plan->pulled);
    if (loss.id < 0)
        return WS_OK;
    WS_CHECK((size_t)loss.id < plan->tensor_count && plan->tensors[loss.id].producer >= 0, INTERNAL,
             "the loss is not made by an operator of this plan");
    const ws_shape *shape = &plan->tensors[loss.id].shape;
    char text[96];
    WS_CHECK(ws_shape_count(shape) == 1, CONFIG, "the loss (%s) must be one number, its shape is %s",
             plan->nodes[plan->tensors[loss.id].producer].name, ws_shape_text(shape, text));
    plan->loss = loss.id;
    return differentiate_from(plan, loss.id);
}
