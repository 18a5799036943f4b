/* Running a plan: one allocation laid out by the plan, pointers of every node made once, then forward and backward
 * replay the nodes. No memory is allocated in a step. */
#include <stdlib.h>
#include "engine/plan.h"

struct ws_executor {
    const ws_plan *plan;                /* borrowed */
    ws_place place;                     /* its queue is borrowed */
    char *memory;                       /* plan->bytes, in the place */
    ws_node_memory *forward, *backward; /* parameters' pointers are set in each call */
    /* Host copies where the place has memory of its own: one buffer, offset of each tensor, SIZE_MAX for none. The last
     * 64 bytes hold the gradient of the loss with respect to itself, 1. */
    char *host;
    size_t *host_offsets, host_bytes;
    ws_real unit;
    ws_random_source random; /* without the stream, which is the node's number */
};

static void *buffer_at(const ws_executor *executor, int32_t buffer)
{
    return buffer < 0 ? NULL : executor->memory + executor->plan->buffers[buffer].offset;
}

static void bind_nodes(ws_executor *x)
{
    const ws_plan *plan = x->plan;
    for (size_t i = 0; i < plan->node_count; i++) {
        const ws_node *node = &plan->nodes[i];
        const ws_node_buffers *own = &plan->node_buffers[i];
        ws_node_memory both = {.output = buffer_at(x, plan->tensors[node->output].buffer)};
        for (int k = 0; k < WS_MAX_INPUTS; k++)
            if (node->inputs[k] >= 0)
                both.inputs[k] = buffer_at(x, plan->tensors[node->inputs[k]].buffer);
        for (int k = 0; k < WS_MAX_SAVED; k++)
            both.saved[k] = buffer_at(x, own->saved[k]);
        x->forward[i] = x->backward[i] = both;
        x->forward[i].scratch = buffer_at(x, own->scratch_forward);
        x->backward[i].scratch = buffer_at(x, own->scratch_backward);
        x->backward[i].output_gradient = buffer_at(x, plan->tensors[node->output].gradient);
        for (int k = 0; k < WS_MAX_INPUTS; k++)
            if (node->inputs[k] >= 0)
                x->backward[i].input_gradients[k] = buffer_at(x, plan->tensors[node->inputs[k]].gradient);
    }
}

static size_t tensor_bytes(const ws_plan_tensor *tensor)
{
    size_t size = tensor->type == WS_INPUT_INDEX ? sizeof(int32_t) : sizeof(ws_real);
    return (size_t)ws_shape_count(&tensor->shape) * size;
}

static bool seen_by_host(const ws_plan *plan, size_t tensor)
{
    const ws_plan_tensor *t = &plan->tensors[tensor];
    return t->view_of < 0 && (t->producer < 0 || t->kept || (int32_t)tensor == plan->loss);
}

static ws_err allocate_host(ws_executor *x)
{
    WS_TRY(WS_NEW_ARRAY(x->host_offsets, x->plan->tensor_count));
    for (size_t i = 0; i < x->plan->tensor_count; i++) {
        if (!seen_by_host(x->plan, i))
            continue;
        size_t bytes = (tensor_bytes(&x->plan->tensors[i]) + 63) / 64 * 64;
        x->host_offsets[i] = x->host_bytes;
        x->host_bytes += x->plan->tensors[i].gradient_wanted ? 2 * bytes : bytes; /* its gradient behind it */
    }
    void *host = NULL;
    WS_TRY(x->place.device->allocate_host(x->place.queue, &host, x->host_bytes + 64));
    x->host = host;
    *(ws_real *)(void *)(x->host + x->host_bytes) = 1;
    return WS_OK;
}

static ws_err build(ws_executor *x)
{
    WS_TRY(WS_NEW_ARRAY(x->forward, x->plan->node_count));
    WS_TRY(WS_NEW_ARRAY(x->backward, x->plan->node_count));
    void *memory = NULL;
    WS_TRY(x->place.device->allocate(x->place.queue, &memory, x->plan->bytes));
    x->memory = memory;
    if (x->place.device->host_memory)
        WS_TRY(ws_blas_prepare());
    else
        WS_TRY(allocate_host(x));
    bind_nodes(x);
    return WS_OK;
}

ws_err ws_executor_create_at(ws_executor **out, const ws_plan *plan, const ws_place *place)
{
    WS_CHECK(plan->finished, INTERNAL, "an executor needs a finished plan");
    ws_executor *x = NULL;
    WS_TRY(WS_NEW(x));
    x->plan = plan;
    x->place = *place;
    x->unit = 1;
    ws_err error = build(x);
    if (error != WS_OK) {
        ws_executor_destroy(&x);
        return ws_error_pass(error, __FILE__, __LINE__, __func__);
    }
    *out = x;
    return WS_OK;
}

ws_err ws_executor_create(ws_executor **out, const ws_plan *plan)
{
    ws_place place = ws_place_cpu();
    return ws_executor_create_at(out, plan, &place);
}

ws_err ws_executor_create_inputs(ws_executor **out, const ws_plan *plan)
{
    WS_CHECK(plan->finished, INTERNAL, "inputs need a finished plan");
    ws_executor *x = NULL;
    WS_TRY(WS_NEW(x));
    x->plan = plan;
    x->place = ws_place_cpu();
    ws_err error = allocate_host(x);
    if (error != WS_OK) {
        ws_executor_destroy(&x);
        return ws_error_pass(error, __FILE__, __LINE__, __func__);
    }
    *out = x;
    return WS_OK;
}

void ws_executor_destroy(ws_executor **executor)
{
    ws_executor *x = *executor;
    if (!x)
        return;
    if (x->memory)
        x->place.device->release(x->place.queue, x->memory);
    if (x->host)
        x->place.device->release_host(x->place.queue, x->host);
    free(x->host_offsets);
    free(x->forward);
    free(x->backward);
    free(x);
    *executor = NULL;
}

/* Memory of a tensor as the host sees it. */
static void *host_side(const ws_executor *x, size_t tensor)
{
    return x->host ? x->host + x->host_offsets[tensor] : buffer_at(x, x->plan->tensors[tensor].buffer);
}

void ws_executor_copy_inputs(ws_executor *to, const ws_executor *from)
{
    for (size_t i = 0; i < to->plan->tensor_count; i++) {
        const ws_plan_tensor *tensor = &to->plan->tensors[i];
        if (tensor->producer < 0 && tensor->view_of < 0)
            memcpy(host_side(to, i), host_side(from, i), tensor_bytes(tensor));
    }
}

static void *find(const ws_executor *x, const char *name, bool input, ws_input_type type)
{
    for (size_t i = 0; i < x->plan->tensor_count; i++) {
        const ws_plan_tensor *tensor = &x->plan->tensors[i];
        if (tensor->name && tensor->view_of < 0 && (tensor->producer < 0) == input && tensor->type == type &&
            strcmp(tensor->name, name) == 0)
            return host_side(x, i);
    }
    return NULL;
}

ws_real *ws_executor_input(ws_executor *executor, const char *name)
{
    return find(executor, name, true, WS_INPUT_REAL);
}

int32_t *ws_executor_input_index(ws_executor *executor, const char *name)
{
    return find(executor, name, true, WS_INPUT_INDEX);
}

const ws_real *ws_executor_output(const ws_executor *executor, const char *name)
{
    return find(executor, name, false, WS_INPUT_REAL);
}

ws_real ws_executor_loss(const ws_executor *executor)
{
    if (executor->plan->loss < 0)
        return 0;
    return *(const ws_real *)host_side(executor, (size_t)executor->plan->loss);
}

static void copy_inputs(ws_executor *x)
{
    for (size_t i = 0; i < x->plan->tensor_count; i++) {
        const ws_plan_tensor *tensor = &x->plan->tensors[i];
        if (tensor->producer < 0 && tensor->view_of < 0)
            x->place.device->upload(x->place.queue, buffer_at(x, tensor->buffer), host_side(x, i),
                                    tensor_bytes(tensor));
    }
}

static void copy_outputs(ws_executor *x)
{
    for (size_t i = 0; i < x->plan->tensor_count; i++) {
        const ws_plan_tensor *tensor = &x->plan->tensors[i];
        if (tensor->producer >= 0 && seen_by_host(x->plan, i))
            x->place.device->download(x->place.queue, host_side(x, i), buffer_at(x, tensor->buffer),
                                      tensor_bytes(tensor));
    }
}

static void bind_parameters(const ws_plan *plan, const ws_node *node, ws_node_memory *memory, const ws_real *parameters,
                            ws_real *gradients)
{
    for (int k = 0; k < WS_MAX_PARAMETERS; k++) {
        if (node->parameters[k] < 0)
            continue;
        size_t offset = plan->parameters[node->parameters[k]].offset;
        memory->parameters[k] = parameters + offset;
        memory->parameter_gradients[k] = gradients ? gradients + offset : NULL;
    }
}

const ws_real *ws_executor_input_gradient(const ws_executor *x, const char *name)
{
    for (size_t i = 0; i < x->plan->tensor_count; i++) {
        const ws_plan_tensor *tensor = &x->plan->tensors[i];
        if (tensor->gradient < 0 || tensor->producer >= 0 || strcmp(tensor->name, name) != 0)
            continue;
        const char *host = host_side(x, i);
        return x->host ? (const ws_real *)(const void *)(host + (tensor_bytes(tensor) + 63) / 64 * 64)
                       : buffer_at(x, tensor->gradient);
    }
    return NULL;
}

static void copy_input_gradients(ws_executor *x)
{
    for (size_t i = 0; i < x->plan->tensor_count; i++) {
        const ws_plan_tensor *tensor = &x->plan->tensors[i];
        if (tensor->producer >= 0 || tensor->gradient < 0)
            continue;
        char *host = host_side(x, i);
        x->place.device->download(x->place.queue, host + (tensor_bytes(tensor) + 63) / 64 * 64,
                                  buffer_at(x, tensor->gradient), tensor_bytes(tensor));
    }
}

void ws_executor_set_random(ws_executor *executor, uint64_t seed, uint64_t step, uint64_t first_row)
{
    executor->random = (ws_random_source){.seed = seed, .step = step, .first_row = first_row, .active = true};
}

void ws_executor_set_calm(ws_executor *executor)
{
    executor->random = (ws_random_source){0};
}

/* The pointers and numbers of a node for this pass. */
static void bind_pass(ws_executor *x, size_t node, ws_node_memory *memory, const ws_real *parameters,
                      ws_real *gradients)
{
    bind_parameters(x->plan, &x->plan->nodes[node], memory, parameters, gradients);
    memory->random = x->random;
    memory->random.stream = (uint32_t)node;
}

void ws_executor_forward(ws_executor *x, const ws_real *parameters)
{
    const ws_plan *plan = x->plan;
    if (x->host)
        copy_inputs(x);
    for (size_t i = 0; i < plan->node_count; i++) {
        const ws_node *node = &plan->nodes[i];
        bind_pass(x, i, &x->forward[i], parameters, NULL);
        ws_operator_table[node->op]->forward(node, &x->forward[i], &x->place);
    }
    if (x->host)
        copy_outputs(x);
}

static void run_backward(ws_executor *x, const ws_real *parameters, ws_real *gradients)
{
    const ws_plan *plan = x->plan;
    for (size_t i = plan->node_count; i-- > 0;) {
        const ws_node *node = &plan->nodes[i];
        if (!plan->node_buffers[i].differentiated)
            continue;
        bind_pass(x, i, &x->backward[i], parameters, gradients);
        ws_operator_table[node->op]->backward(node, &x->backward[i], &x->place);
    }
    if (x->host)
        copy_input_gradients(x);
}

void ws_executor_backward(ws_executor *x, const ws_real *parameters, ws_real *gradients)
{
    const ws_plan *plan = x->plan;
    const ws_device *device = x->place.device;
    for (size_t i = 0; gradients && i < plan->gap_count; i++)
        device->zero(x->place.queue, gradients + plan->gaps[i].offset, plan->gaps[i].count * sizeof *gradients);
    if (plan->loss < 0)
        return;
    const void *unit = x->host ? (const void *)(x->host + x->host_bytes) : &x->unit;
    device->upload(x->place.queue, buffer_at(x, plan->tensors[plan->loss].gradient), unit, sizeof(ws_real));
    run_backward(x, parameters, gradients);
}

void ws_executor_pull_back(ws_executor *x, const ws_real *parameters, const ws_real *cotangent)
{
    const ws_plan *plan = x->plan;
    if (plan->pulled < 0)
        return;
    const ws_plan_tensor *tensor = &plan->tensors[plan->pulled];
    x->place.device->upload(x->place.queue, buffer_at(x, tensor->gradient), cotangent, tensor_bytes(tensor));
    run_backward(x, parameters, NULL);
}

ws_err ws_executor_wait(ws_executor *executor)
{
    return executor->place.device->wait(executor->place.queue);
}
