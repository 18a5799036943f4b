/* Running a plan: one allocation laid out by the plan, pointers of every node made once, then forward and backward
 * replay the nodes. No memory is allocated in a step. */
#include <stdlib.h>
#include "engine/executor.h"

static void bind_nodes(ws_executor *x)
{
    const ws_plan *plan = x->plan;
    for (size_t i = 0; i < plan->node_count; i++) {
        const ws_node *node = &plan->nodes[i];
        const ws_node_buffers *own = &plan->node_buffers[i];
        ws_node_memory both = {.output = ws_executor_buffer(x, plan->tensors[node->output].buffer)};
        for (int k = 0; k < WS_MAX_INPUTS; k++)
            if (node->inputs[k] >= 0)
                both.inputs[k] = ws_executor_buffer(x, plan->tensors[node->inputs[k]].buffer);
        for (int k = 0; k < WS_MAX_SAVED; k++)
            both.saved[k] = ws_executor_buffer(x, own->saved[k]);
        x->forward[i] = x->backward[i] = both;
        x->forward[i].scratch = ws_executor_buffer(x, own->scratch_forward);
        x->backward[i].scratch = ws_executor_buffer(x, own->scratch_backward);
        x->backward[i].output_gradient = ws_executor_buffer(x, plan->tensors[node->output].gradient);
        for (int k = 0; k < WS_MAX_INPUTS; k++)
            if (node->inputs[k] >= 0)
                x->backward[i].input_gradients[k] = ws_executor_buffer(x, plan->tensors[node->inputs[k]].gradient);
    }
}

static bool seen_by_host(const ws_plan *plan, size_t tensor)
{
    const ws_plan_tensor *t = &plan->tensors[tensor];
    return t->view_of < 0 && t->producer >= 0 && (t->kept || (int32_t)tensor == plan->loss);
}

/* Host memory begins as the executor's does, with the inputs. all: outputs, loss and gradients of inputs behind them. */
static ws_err allocate_host(ws_executor *x, bool all)
{
    const ws_plan *plan = x->plan;
    WS_TRY(WS_NEW_ARRAY(x->host_offsets, plan->tensor_count));
    WS_TRY(WS_NEW_ARRAY(x->host_gradients, plan->tensor_count));
    x->host_bytes = plan->inputs;
    for (size_t i = 0; i < plan->tensor_count; i++) {
        const ws_plan_tensor *tensor = &plan->tensors[i];
        const size_t bytes = (ws_plan_tensor_bytes(tensor) + 63) / 64 * 64;
        const bool input = tensor->producer < 0 && tensor->view_of < 0;
        x->host_offsets[i] = input ? plan->buffers[tensor->buffer].offset : SIZE_MAX;
        x->host_gradients[i] = SIZE_MAX;
        if (all && seen_by_host(plan, i)) {
            x->host_offsets[i] = x->host_bytes;
            x->host_bytes += bytes;
        }
        if (all && input && tensor->gradient >= 0) {
            x->host_gradients[i] = x->host_bytes;
            x->host_bytes += bytes;
        }
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
    bind_nodes(x);
    if (x->place.device->host_memory)
        return ws_blas_prepare();
    x->captures = true;
    x->copies = &x->place;
    WS_TRY(x->place.device->mark_create(x->place.queue, &x->uploaded));
    WS_TRY(x->place.device->mark_create(x->place.queue, &x->done));
    return allocate_host(x, true);
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
    ws_err error = allocate_host(x, false);
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
    ws_executor_forget_passes(x);
    if (x->uploaded)
        x->place.device->mark_destroy(x->place.queue, x->uploaded);
    if (x->done)
        x->place.device->mark_destroy(x->place.queue, x->done);
    if (x->memory)
        x->place.device->release(x->place.queue, x->memory);
    if (x->host)
        x->place.device->release_host(x->place.queue, x->host);
    free(x->host_offsets);
    free(x->host_gradients);
    free(x->forward);
    free(x->backward);
    free(x);
    *executor = NULL;
}

void ws_executor_set_copies(ws_executor *executor, const ws_place *copies)
{
    executor->copies = copies;
}

void ws_executor_set_capture(ws_executor *executor, bool on)
{
    executor->captures = on && executor->host != NULL;
}

/* ---- what the host sees ---- */

static void *host_side(const ws_executor *x, size_t tensor)
{
    return x->host ? x->host + x->host_offsets[tensor] : ws_executor_buffer(x, x->plan->tensors[tensor].buffer);
}

/* The host may write inputs once their last copy has run, and read outputs once the last pass has. */
static void wait_for(const ws_executor *x, void *mark)
{
    if (mark)
        x->place.device->wait_mark(x->place.queue, mark);
}

void ws_executor_copy_inputs(ws_executor *to, const ws_executor *from)
{
    const size_t first = WS_COUNTERS_BYTES;
    wait_for(to, to->uploaded);
    memcpy((to->host ? to->host : to->memory) + first, (from->host ? from->host : from->memory) + first,
           to->plan->inputs - first);
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
    wait_for(executor, executor->uploaded);
    return find(executor, name, true, WS_INPUT_REAL);
}

int32_t *ws_executor_input_index(ws_executor *executor, const char *name)
{
    wait_for(executor, executor->uploaded);
    return find(executor, name, true, WS_INPUT_INDEX);
}

const ws_real *ws_executor_output(const ws_executor *executor, const char *name)
{
    wait_for(executor, executor->done);
    return find(executor, name, false, WS_INPUT_REAL);
}

ws_real ws_executor_loss(const ws_executor *executor)
{
    if (executor->plan->loss < 0)
        return 0;
    wait_for(executor, executor->done);
    return *(const ws_real *)host_side(executor, (size_t)executor->plan->loss);
}

void ws_executor_take_loss(const ws_executor *x, ws_real *loss)
{
    const ws_plan_tensor *tensor = &x->plan->tensors[x->plan->loss];
    x->place.device->download(x->place.queue, loss, ws_executor_buffer(x, tensor->buffer), sizeof *loss);
}

const ws_real *ws_executor_input_gradient(const ws_executor *x, const char *name)
{
    wait_for(x, x->done);
    for (size_t i = 0; i < x->plan->tensor_count; i++) {
        const ws_plan_tensor *tensor = &x->plan->tensors[i];
        if (tensor->gradient < 0 || tensor->producer >= 0 || strcmp(tensor->name, name) != 0)
            continue;
        return x->host ? (const ws_real *)(const void *)(x->host + x->host_gradients[i])
                       : ws_executor_buffer(x, tensor->gradient);
    }
    return NULL;
}

/* ---- passes ---- */

void ws_executor_set_random(ws_executor *executor, uint64_t seed, uint64_t step, uint64_t first_row)
{
    executor->random = (ws_random_source){.seed = seed, .step = step, .first_row = first_row, .active = true};
}

void ws_executor_set_calm(ws_executor *executor)
{
    executor->random = (ws_random_source){0};
}

void ws_executor_set_rounded(ws_executor *executor, const uint16_t *rounded)
{
    executor->rounded = rounded;
}

/* Inputs go by the queue for copies, beside the pass before; the pass that follows begins when they are there. */
static void upload(ws_executor *x)
{
    const ws_device *device = x->place.device;
    const uint64_t counters[] = {x->random.step, x->random.first_row};
    wait_for(x, x->uploaded);
    memcpy(x->host, counters, sizeof counters);
    device->follow(x->copies->queue, x->done);
    device->upload(x->copies->queue, x->memory, x->host, x->plan->inputs);
    device->mark_set(x->copies->queue, x->uploaded);
    device->follow(x->place.queue, x->uploaded);
}

static void end_pass(const ws_executor *x)
{
    if (x->done)
        x->place.device->mark_set(x->place.queue, x->done);
}

void ws_executor_forward(ws_executor *x, const ws_real *parameters)
{
    if (x->host)
        upload(x);
    ws_executor_pass(x, (ws_pass){.end = x->plan->node_count, .parameters = parameters});
    end_pass(x);
}

static void begin_backward(ws_executor *x, ws_real *gradients)
{
    const ws_plan *plan = x->plan;
    const ws_device *device = x->place.device;
    for (size_t i = 0; gradients && i < plan->gap_count; i++)
        device->zero(x->place.queue, gradients + plan->gaps[i].offset, plan->gaps[i].count * sizeof *gradients);
    if (plan->loss < 0)
        return;
    const void *unit = x->host ? (const void *)(x->host + x->host_bytes) : &x->unit;
    device->upload(x->place.queue, ws_executor_buffer(x, plan->tensors[plan->loss].gradient), unit, sizeof(ws_real));
}

void ws_executor_backward(ws_executor *x, const ws_real *parameters, ws_real *gradients)
{
    begin_backward(x, gradients);
    if (x->plan->loss >= 0)
        ws_executor_pass(
            x,
            (ws_pass){.backward = true, .end = x->plan->node_count, .parameters = parameters, .gradients = gradients});
    end_pass(x);
}

void ws_executor_backward_in_buckets(ws_executor *x, const ws_real *parameters, ws_real *gradients,
                                     const ws_buckets *buckets, ws_bucket_ready ready, void *context)
{
    size_t end = x->plan->node_count;
    begin_backward(x, gradients);
    for (size_t i = 0; i < buckets->count; i++) {
        const bool last = i + 1 == buckets->count;
        const size_t begin = last ? 0 : buckets->items[i].node;
        if (begin < end)
            ws_executor_pass(
                x, (ws_pass){
                       .backward = true, .begin = begin, .end = end, .parameters = parameters, .gradients = gradients});
        end = begin < end ? begin : end;
        ready(context, i);
    }
    end_pass(x);
}

void ws_executor_pull_back(ws_executor *x, const ws_real *parameters, const ws_real *cotangent)
{
    const ws_plan *plan = x->plan;
    if (plan->pulled < 0)
        return;
    const ws_plan_tensor *tensor = &plan->tensors[plan->pulled];
    x->place.device->upload(x->place.queue, ws_executor_buffer(x, tensor->gradient), cotangent,
                            ws_plan_tensor_bytes(tensor));
    ws_executor_pass(x, (ws_pass){.backward = true, .end = plan->node_count, .parameters = parameters});
    end_pass(x);
}

ws_err ws_executor_wait(ws_executor *executor)
{
    return executor->place.device->wait(executor->place.queue);
}
