/* Runs nodes of an executor. On a device that can keep work, what has run once is captured and then replayed (repeat.c). */
#include <stdlib.h>
#include "engine/executor.h"

static void bind_parameters(const ws_plan *plan, const ws_node *node, ws_node_memory *memory, const ws_pass *pass)
{
    for (int k = 0; k < WS_MAX_PARAMETERS; k++) {
        if (node->parameters[k] < 0)
            continue;
        size_t offset = plan->parameters[node->parameters[k]].offset;
        memory->parameters[k] = pass->parameters + offset;
        memory->rounded[k] = pass->rounded ? pass->rounded + offset : NULL;
        memory->parameter_gradients[k] = pass->gradients ? pass->gradients + offset : NULL;
    }
}

/* The pointers and numbers of a node for this pass. */
static void bind_node(ws_executor *x, size_t node, ws_node_memory *memory, const ws_pass *pass)
{
    bind_parameters(x->plan, &x->plan->nodes[node], memory, pass);
    memory->random = x->random;
    memory->random.stream = (uint32_t)node;
    memory->random.counters = x->host ? (const uint64_t *)(const void *)x->memory : NULL;
}

/* From the device to where the host sees it: outputs and loss, or gradients of inputs. */
static void download(ws_executor *x, bool gradients)
{
    const size_t *offsets = gradients ? x->host_gradients : x->host_offsets;
    for (size_t i = 0; i < x->plan->tensor_count; i++) {
        const ws_plan_tensor *tensor = &x->plan->tensors[i];
        if (offsets[i] == SIZE_MAX || (tensor->producer < 0) != gradients)
            continue;
        x->place.device->download(x->place.queue, x->host + offsets[i],
                                  ws_executor_buffer(x, gradients ? tensor->gradient : tensor->buffer),
                                  ws_plan_tensor_bytes(tensor));
    }
}

static void run(ws_executor *x, const ws_pass *pass)
{
    const ws_plan *plan = x->plan;
    for (size_t i = pass->begin; i < pass->end && !pass->backward; i++) {
        const ws_node *node = &plan->nodes[i];
        bind_node(x, i, &x->forward[i], pass);
        ws_operator_table[node->op]->forward(node, &x->forward[i], &x->place);
    }
    for (size_t i = pass->end; i-- > pass->begin && pass->backward;) {
        const ws_node *node = &plan->nodes[i];
        if (!plan->node_buffers[i].differentiated)
            continue;
        bind_node(x, i, &x->backward[i], pass);
        ws_operator_table[node->op]->backward(node, &x->backward[i], &x->place);
    }
    if (x->host && (pass->backward ? pass->begin == 0 : pass->end == plan->node_count))
        download(x, pass->backward);
}

/* The pass as it was run before; NULL where it cannot be kept. */
static ws_pass *find(ws_executor *x, const ws_pass *pass)
{
    for (size_t i = 0; i < x->pass_count; i++) {
        ws_pass *known = &x->passes[i];
        if (known->backward == pass->backward && known->begin == pass->begin && known->end == pass->end &&
            known->parameters == pass->parameters && known->rounded == pass->rounded &&
            known->gradients == pass->gradients && known->seed == pass->seed && known->active == pass->active)
            return known;
    }
    if (WS_GROW(x->passes, x->pass_capacity, x->pass_count + 1) != WS_OK) {
        ws_error_clear();
        return NULL;
    }
    x->passes[x->pass_count] = *pass;
    return &x->passes[x->pass_count++];
}

typedef struct work {
    ws_executor *executor;
    const ws_pass *pass;
} work;

static void run_work(void *context)
{
    const work *w = context;
    run(w->executor, w->pass);
}

void ws_executor_pass(ws_executor *x, ws_pass pass)
{
    pass.seed = x->random.seed;
    pass.active = x->random.active;
    pass.rounded = x->rounded;
    ws_pass *known = x->captures ? find(x, &pass) : NULL;
    if (!known) {
        run(x, &pass);
        return;
    }
    ws_repeat_run(&known->repeat, &x->place, run_work, &(work){x, &pass});
    x->captures = !known->repeat.refused;
}

void ws_executor_forget_passes(ws_executor *x)
{
    for (size_t i = 0; i < x->pass_count; i++)
        ws_repeat_forget(&x->passes[i].repeat, &x->place);
    free(x->passes);
    x->passes = NULL;
    x->pass_count = x->pass_capacity = 0;
}
