/* Memory layout: the life of every buffer of an executor, offsets by first fit in the order of falling size, and the
 * places of the parameters in the flat buffer. */
#include <stdlib.h>
#include "engine/plan.h"

enum { WS_ALIGNMENT = 64, WS_PARAMETER_ALIGNMENT = 16 /* reals: 64 bytes of float, and the same offsets in double */ };

static ws_err add_buffer(ws_plan *plan, size_t bytes, int32_t first, int32_t last, int32_t *out)
{
    WS_TRY(WS_GROW(plan->buffers, plan->buffer_capacity, plan->buffer_count + 1));
    plan->buffers[plan->buffer_count] = (ws_buffer){
        .bytes = (bytes + WS_ALIGNMENT - 1) / WS_ALIGNMENT * WS_ALIGNMENT,
        .first = first,
        .last = last,
    };
    *out = (int32_t)plan->buffer_count++;
    return WS_OK;
}

static int32_t backward_time(const ws_plan *plan, size_t node)
{
    return (int32_t)(2 * plan->node_count - 1 - node);
}

static void later(int32_t *time, int32_t candidate)
{
    if (candidate > *time)
        *time = candidate;
}

/* When each tensor's value is read last. */
static void find_last_reads(ws_plan *plan)
{
    for (size_t i = 0; i < plan->node_count; i++) {
        const ws_node *node = &plan->nodes[i];
        bool differentiated = plan->node_buffers[i].differentiated;
        for (int k = 0; k < WS_MAX_INPUTS; k++) {
            if (node->inputs[k] < 0)
                continue;
            ws_plan_tensor *input = &plan->tensors[node->inputs[k]];
            later(&input->last_forward, (int32_t)i);
            if (differentiated && node->backward_reads_input[k])
                later(&input->last_backward, backward_time(plan, i));
        }
        ws_plan_tensor *output = &plan->tensors[node->output];
        later(&output->last_forward, (int32_t)i);
        if (differentiated && node->backward_reads_output)
            later(&output->last_backward, backward_time(plan, i));
    }
}

static ws_err add_tensor_buffers(ws_plan *plan)
{
    int32_t end = (int32_t)(2 * plan->node_count);
    for (size_t i = 0; i < plan->tensor_count; i++) {
        ws_plan_tensor *tensor = &plan->tensors[i];
        if (tensor->view_of >= 0)
            continue;
        size_t size = tensor->type == WS_INPUT_INDEX ? sizeof(int32_t) : sizeof(ws_real);
        size_t bytes = (size_t)ws_shape_count(&tensor->shape) * size;
        int32_t first = tensor->producer < 0 ? 0 : tensor->producer;
        int32_t last = tensor->last_forward;
        later(&last, tensor->last_backward);
        /* Inputs are filled before a step and stay as they are; outputs and the loss are read after it. */
        if (tensor->producer < 0 || tensor->kept || (int32_t)i == plan->loss ||
            (plan->pulled >= 0 && tensor->last_backward >= 0))
            last = end;
        WS_TRY(add_buffer(plan, bytes, first, last, &tensor->buffer));
        if (!tensor->has_gradient)
            continue;
        bool begins = (int32_t)i == plan->loss || (int32_t)i == plan->pulled;
        int32_t written = begins ? (int32_t)plan->node_count : end;
        for (size_t n = 0; n < plan->node_count; n++)
            for (int k = 0; k < WS_MAX_INPUTS; k++)
                if (plan->nodes[n].inputs[k] == (int32_t)i && plan->node_buffers[n].differentiated &&
                    backward_time(plan, n) < written)
                    written = backward_time(plan, n);
        int32_t read = tensor->producer < 0 ? end : backward_time(plan, (size_t)tensor->producer);
        WS_TRY(add_buffer(plan, bytes, written, read, &tensor->gradient));
    }
    return WS_OK;
}

static ws_err add_node_buffers(ws_plan *plan)
{
    for (size_t i = 0; i < plan->node_count; i++) {
        const ws_node *node = &plan->nodes[i];
        ws_node_buffers *own = &plan->node_buffers[i];
        int32_t forward = (int32_t)i, backward = backward_time(plan, i);
        for (int k = 0; k < WS_MAX_SAVED; k++) {
            own->saved[k] = -1;
            if (own->differentiated && node->saved[k])
                WS_TRY(add_buffer(plan, node->saved[k] * sizeof(ws_real), forward,
                                  plan->pulled < 0 ? backward : (int32_t)(2 * plan->node_count), &own->saved[k]));
        }
        own->scratch_forward = own->scratch_backward = -1;
        if (node->scratch_forward)
            WS_TRY(add_buffer(plan, node->scratch_forward * sizeof(ws_real), forward, forward, &own->scratch_forward));
        if (own->differentiated && node->scratch_backward)
            WS_TRY(
                add_buffer(plan, node->scratch_backward * sizeof(ws_real), backward, backward, &own->scratch_backward));
    }
    return WS_OK;
}

typedef struct sized {
    size_t bytes;
    int32_t index;
} sized;

static int larger_first(const void *a, const void *b)
{
    const sized *x = a, *y = b;
    if (x->bytes != y->bytes)
        return x->bytes < y->bytes ? 1 : -1;
    return x->index < y->index ? -1 : x->index > y->index;
}

/* `order` lists the buffers in the order in which they choose, at `begin` or behind it. placed: those that have chosen, by rising
 * offset. */
static void choose_offsets(ws_buffer *buffers, const sized *order, size_t count, size_t begin, int32_t *placed,
                           size_t *bytes)
{
    *bytes = begin;
    for (size_t i = 0; i < count; i++) {
        ws_buffer *buffer = &buffers[order[i].index];
        size_t offset = begin;
        for (size_t k = 0; k < i; k++) {
            const ws_buffer *other = &buffers[placed[k]];
            if (other->last < buffer->first || other->first > buffer->last)
                continue;
            if (offset + buffer->bytes <= other->offset)
                break;
            if (other->offset + other->bytes > offset)
                offset = other->offset + other->bytes;
        }
        buffer->offset = offset;
        if (offset + buffer->bytes > *bytes)
            *bytes = offset + buffer->bytes;
        size_t at = i;
        for (; at > 0 && buffers[placed[at - 1]].offset > offset; at--)
            placed[at] = placed[at - 1];
        placed[at] = order[i].index;
    }
}

/* Inputs live from begin to end and share nothing. */
static void place_inputs(ws_plan *plan, bool *is_input)
{
    plan->inputs = WS_COUNTERS_BYTES;
    for (size_t i = 0; i < plan->tensor_count; i++) {
        const ws_plan_tensor *tensor = &plan->tensors[i];
        if (tensor->producer >= 0 || tensor->view_of >= 0)
            continue;
        is_input[tensor->buffer] = true;
        plan->buffers[tensor->buffer].offset = plan->inputs;
        plan->inputs += plan->buffers[tensor->buffer].bytes;
    }
}

static ws_err place_buffers(ws_plan *plan, bool share_memory)
{
    if (!share_memory)
        for (size_t i = 0; i < plan->buffer_count; i++) {
            plan->buffers[i].first = 0;
            plan->buffers[i].last = (int32_t)(2 * plan->node_count);
        }
    sized *order = NULL;
    int32_t *placed = NULL;
    bool *is_input = NULL;
    WS_TRY(ws_arena_alloc(plan->arena, &order, plan->buffer_count, sizeof *order));
    WS_TRY(ws_arena_alloc(plan->arena, &placed, plan->buffer_count, sizeof *placed));
    WS_TRY(ws_arena_alloc(plan->arena, &is_input, plan->buffer_count, sizeof *is_input));
    place_inputs(plan, is_input);
    size_t others = 0;
    for (size_t i = 0; i < plan->buffer_count; i++)
        if (!is_input[i])
            order[others++] = (sized){plan->buffers[i].bytes, (int32_t)i};
    qsort(order, others, sizeof *order, larger_first);
    choose_offsets(plan->buffers, order, others, plan->inputs, placed, &plan->bytes);
    return WS_OK;
}

/* The parameter used last comes first: gradients become final from low to high offsets. Statistics come behind all others. */
static ws_err order_parameters(ws_plan *plan)
{
    size_t n = plan->parameter_count, next = 0;
    ws_parameter *parameters = NULL;
    ws_plan_parameter *details = NULL;
    int32_t *place = NULL; /* of each parameter in the new order */
    WS_TRY(ws_arena_alloc(plan->arena, &parameters, n, sizeof *parameters));
    WS_TRY(ws_arena_alloc(plan->arena, &details, n, sizeof *details));
    WS_TRY(ws_arena_alloc(plan->arena, &place, n, sizeof *place));
    for (int statistic = 0; statistic < 2; statistic++)
        for (size_t i = n; i-- > 0;)
            if (plan->parameters[i].statistic == (statistic == 1)) {
                parameters[next] = plan->parameters[i];
                details[next] = plan->parameter_details[i];
                place[i] = (int32_t)next++;
            }
    for (size_t i = 0; i < n; i++) {
        plan->parameters[i] = parameters[i];
        plan->parameter_details[i] = details[i];
    }
    for (size_t i = 0; i < plan->node_count; i++)
        for (int k = 0; k < WS_MAX_PARAMETERS; k++)
            if (plan->nodes[i].parameters[k] >= 0)
                plan->nodes[i].parameters[k] = place[plan->nodes[i].parameters[k]];
    return WS_OK;
}

/* Appends reals from the end of the extent on to the run of their kind. */
static void extend_steps(ws_plan *plan, const ws_parameter *parameter, size_t count)
{
    ws_range *last = plan->step_count > 0 ? &plan->steps[plan->step_count - 1] : NULL;
    if (!last || last->decay != parameter->decay || last->statistic != parameter->statistic ||
        last->offset + last->count != plan->extent) {
        last = &plan->steps[plan->step_count++];
        *last = (ws_range){.offset = plan->extent, .decay = parameter->decay, .statistic = parameter->statistic};
    }
    last->count += count;
}

static ws_err lay_out_parameters(ws_plan *plan)
{
    size_t n = plan->parameter_count;
    WS_TRY(order_parameters(plan));
    WS_TRY(WS_NEW_ARRAY(plan->steps, n));
    WS_TRY(WS_NEW_ARRAY(plan->gaps, 2 * n));
    for (size_t i = 0; i < n; i++) {
        ws_parameter *parameter = &plan->parameters[i];
        bool reached = plan->parameter_details[i].reached;
        parameter->offset = plan->extent;
        size_t padded =
            (parameter->count + WS_PARAMETER_ALIGNMENT - 1) / WS_PARAMETER_ALIGNMENT * WS_PARAMETER_ALIGNMENT;
        size_t written = reached ? parameter->count : 0;
        if (written < padded)
            plan->gaps[plan->gap_count++] = (ws_range){.offset = plan->extent + written, .count = padded - written};
        if (reached || !parameter->statistic)
            extend_steps(plan, parameter, padded);
        plan->extent += padded;
        if (!parameter->statistic)
            plan->trained = plan->extent;
    }
    return WS_OK;
}

ws_err ws_plan_lay_out(ws_plan *plan, bool share_memory)
{
    find_last_reads(plan);
    WS_TRY(add_tensor_buffers(plan));
    WS_TRY(add_node_buffers(plan));
    WS_TRY(place_buffers(plan, share_memory));
    return lay_out_parameters(plan);
}
