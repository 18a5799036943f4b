/* Recording a plan: builder functions append nodes, scopes prefix names, the first mistake sticks. Differentiation and
 * memory layout are in differentiate.c and layout.c; running a plan is executor.c's. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include "engine/plan.h"

enum { WS_LARGEST_TENSOR_BITS = 40 }; /* elements; beyond it a shape is surely a mistake */

ws_err ws_plan_create(ws_plan **out)
{
    ws_plan *plan = NULL;
    WS_TRY(WS_NEW(plan));
    ws_err error = ws_arena_create(&plan->arena, 1 << 16);
    if (error != WS_OK) {
        ws_plan_destroy(&plan);
        return error;
    }
    plan->loss = plan->pulled = -1;
    *out = plan;
    return WS_OK;
}

void ws_plan_destroy(ws_plan **plan)
{
    ws_plan *p = *plan;
    if (!p)
        return;
    ws_arena_destroy(&p->arena);
    ws_text_destroy(&p->scope);
    free(p->scope_starts);
    free(p->error_message);
    free(p->tensors);
    free(p->nodes);
    free(p->parameters);
    free(p->parameter_details);
    free(p->node_buffers);
    free(p->buffers);
    free(p->steps);
    free(p->gaps);
    free(p);
    *plan = NULL;
}

/* ---- sticky errors ---- */

static bool usable(ws_plan *plan, const char *what)
{
    if (plan->error == WS_OK && plan->finished)
        WS_ERROR(INTERNAL, "%s: the plan is finished; builders come before ws_plan_finish", what);
    else if (plan->error == WS_OK)
        return true;
    else
        return false;
    plan->error = WS_E_INTERNAL;
    plan->error_message = ws_format("%s", ws_error_message());
    return false;
}

static ws_tensor remember(ws_plan *plan, ws_err error)
{
    if (plan->error == WS_OK) {
        plan->error = error;
        plan->error_message = ws_format("%s", ws_error_message());
    }
    return WS_NO_TENSOR;
}

static ws_err full_name(ws_plan *plan, const char *name, const char **out)
{
    char *text = ws_format("%s%s", ws_text_string(&plan->scope), name);
    WS_CHECK(text, MEMORY, "no memory for a name");
    *out = ws_arena_strdup(plan->arena, text);
    free(text);
    WS_CHECK(*out, MEMORY, "no memory for a name");
    return WS_OK;
}

void ws_scope_begin(ws_plan *plan, const char *format, ...)
{
    if (!usable(plan, "ws_scope_begin"))
        return;
    ws_err error = WS_GROW(plan->scope_starts, plan->scope_capacity, plan->scope_count + 1);
    if (error != WS_OK) {
        remember(plan, error);
        return;
    }
    plan->scope_starts[plan->scope_count++] = plan->scope.length;
    va_list arguments;
    va_start(arguments, format);
    ws_text_vappendf(&plan->scope, format, arguments);
    va_end(arguments);
    ws_text_append(&plan->scope, ".");
}

void ws_scope_end(ws_plan *plan)
{
    if (!usable(plan, "ws_scope_end"))
        return;
    if (plan->scope_count == 0) {
        remember(plan, WS_ERROR(INTERNAL, "ws_scope_end without ws_scope_begin"));
        return;
    }
    plan->scope.length = plan->scope_starts[--plan->scope_count];
    plan->scope.data[plan->scope.length] = '\0';
}

/* ---- tensors ---- */

static ws_err add_tensor(ws_plan *plan, const char *name, ws_input_type type, const ws_shape *shape, int32_t producer,
                         ws_tensor *out)
{
    double elements = 1;
    for (int i = 0; i < shape->dimensions; i++) {
        char text[96];
        WS_CHECK(shape->size[i] > 0, CONFIG, "%s: a dimension of %s is not positive", name, ws_shape_text(shape, text));
        elements *= (double)shape->size[i];
    }
    WS_CHECK(elements < (double)(1ll << WS_LARGEST_TENSOR_BITS), CONFIG, "%s: a tensor of %g elements is too large",
             name, elements);
    WS_TRY(WS_GROW(plan->tensors, plan->tensor_capacity, plan->tensor_count + 1));
    plan->tensors[plan->tensor_count] = (ws_plan_tensor){
        .name = producer < 0 ? name : NULL,
        .shape = *shape,
        .type = type,
        .producer = producer,
        .view_of = -1,
        .buffer = -1,
        .gradient = -1,
        .last_forward = -1,
        .last_backward = -1,
    };
    *out = (ws_tensor){(int32_t)plan->tensor_count++};
    return WS_OK;
}

static ws_err add_input(ws_plan *plan, const char *name, ws_input_type type, int dimensions, const int64_t *size,
                        ws_tensor *out)
{
    WS_CHECK(dimensions >= 1 && dimensions <= WS_MAX_DIMENSIONS, CONFIG,
             "input %s: %d dimensions; 1 to %d are possible", name, dimensions, WS_MAX_DIMENSIONS);
    for (size_t i = 0; i < plan->tensor_count; i++)
        WS_CHECK(plan->tensors[i].producer >= 0 || plan->tensors[i].view_of >= 0 ||
                     strcmp(plan->tensors[i].name, name) != 0,
                 CONFIG, "input %s is declared twice", name);
    ws_shape shape = {.dimensions = dimensions};
    memcpy(shape.size, size, (size_t)dimensions * sizeof shape.size[0]);
    const char *kept = ws_arena_strdup(plan->arena, name);
    WS_CHECK(kept, MEMORY, "no memory for a name");
    return add_tensor(plan, kept, type, &shape, -1, out);
}

ws_tensor ws_input(ws_plan *plan, const char *name, int dimensions, const int64_t *shape)
{
    ws_tensor out = WS_NO_TENSOR;
    if (!usable(plan, name))
        return out;
    ws_err error = add_input(plan, name, WS_INPUT_REAL, dimensions, shape, &out);
    return error == WS_OK ? out : remember(plan, error);
}

ws_tensor ws_input_index(ws_plan *plan, const char *name, int64_t count)
{
    ws_tensor out = WS_NO_TENSOR;
    if (!usable(plan, name))
        return out;
    ws_err error = add_input(plan, name, WS_INPUT_INDEX, 1, &count, &out);
    return error == WS_OK ? out : remember(plan, error);
}

static ws_err add_view(ws_plan *plan, ws_tensor x, int dimensions, const int64_t *size, ws_tensor *out)
{
    WS_CHECK(x.id >= 0 && (size_t)x.id < plan->tensor_count, CONFIG, "view: no tensor of this plan");
    WS_CHECK(dimensions >= 1 && dimensions <= WS_MAX_DIMENSIONS, CONFIG, "view: %d dimensions; 1 to %d are possible",
             dimensions, WS_MAX_DIMENSIONS);
    const ws_plan_tensor of = plan->tensors[x.id];
    ws_shape shape = {.dimensions = dimensions};
    memcpy(shape.size, size, (size_t)dimensions * sizeof shape.size[0]);
    char a[96], b[96];
    WS_CHECK(ws_shape_count(&shape) == ws_shape_count(&of.shape), CONFIG, "view: %s has not the elements of %s",
             ws_shape_text(&shape, a), ws_shape_text(&of.shape, b));
    WS_TRY(add_tensor(plan, NULL, of.type, &shape, of.producer, out));
    plan->tensors[out->id].view_of = of.view_of < 0 ? x.id : of.view_of;
    return WS_OK;
}

ws_tensor ws_view(ws_plan *plan, ws_tensor x, int dimensions, const int64_t *shape)
{
    ws_tensor out = WS_NO_TENSOR;
    if (!usable(plan, "view"))
        return out;
    ws_err error = add_view(plan, x, dimensions, shape, &out);
    return error == WS_OK ? out : remember(plan, error);
}

void ws_input_gradient(ws_plan *plan, ws_tensor input)
{
    if (!usable(plan, "ws_input_gradient"))
        return;
    bool known = input.id >= 0 && (size_t)input.id < plan->tensor_count;
    const ws_plan_tensor *tensor = known ? &plan->tensors[input.id] : NULL;
    if (known && tensor->producer < 0 && tensor->view_of < 0 && tensor->type == WS_INPUT_REAL)
        plan->tensors[input.id].gradient_wanted = true;
    else
        remember(plan, WS_ERROR(CONFIG, "the gradient of a tensor is wanted that is no input of reals"));
}

void ws_pull_back_from(ws_plan *plan, ws_tensor output)
{
    if (!usable(plan, "ws_pull_back_from"))
        return;
    if (output.id < 0 || (size_t)output.id >= plan->tensor_count || plan->tensors[output.id].producer < 0) {
        remember(plan, WS_ERROR(CONFIG, "pull back: the tensor is not made by an operator of this plan"));
        return;
    }
    plan->pulled = plan->tensors[output.id].view_of >= 0 ? plan->tensors[output.id].view_of : output.id;
}

void ws_plan_output(ws_plan *plan, ws_tensor tensor, const char *name)
{
    if (!usable(plan, name))
        return;
    if (tensor.id < 0 || (size_t)tensor.id >= plan->tensor_count || plan->tensors[tensor.id].producer < 0) {
        remember(plan, WS_ERROR(CONFIG, "output %s: the tensor is not made by an operator of this plan", name));
        return;
    }
    if (plan->tensors[tensor.id].view_of >= 0)
        tensor.id = plan->tensors[tensor.id].view_of;
    for (size_t i = 0; i < plan->tensor_count; i++) {
        const ws_plan_tensor *other = &plan->tensors[i];
        if (other->kept && (i == (size_t)tensor.id || strcmp(other->name, name) == 0)) {
            remember(plan, WS_ERROR(CONFIG, "output %s: the tensor or the name is an output already", name));
            return;
        }
    }
    plan->tensors[tensor.id].kept = true;
    plan->tensors[tensor.id].name = ws_arena_strdup(plan->arena, name);
    if (!plan->tensors[tensor.id].name)
        remember(plan, WS_ERROR(MEMORY, "no memory for a name"));
}

void ws_plan_set_precision(ws_plan *plan, ws_precision precision)
{
    plan->precision = precision;
}

/* ---- nodes ---- */

ws_err ws_node_add_parameter(ws_plan *plan, ws_node *node, int slot, const char *suffix, ws_shape shape,
                             ws_initial initial, bool decay)
{
    char *name = ws_format("%s.%s", node->name, suffix);
    WS_CHECK(name, MEMORY, "no memory for a name");
    const char *kept = ws_arena_strdup(plan->arena, name);
    free(name);
    WS_CHECK(kept, MEMORY, "no memory for a name");
    for (size_t i = 0; i < plan->parameter_count; i++)
        WS_CHECK(strcmp(plan->parameters[i].name, kept) != 0, CONFIG,
                 "%s %s: parameter %s exists already; give the node another name", ws_operator_table[node->op]->name,
                 node->name, kept);
    WS_TRY(WS_GROW(plan->parameters, plan->parameter_capacity, plan->parameter_count + 1));
    WS_TRY(WS_GROW(plan->parameter_details, plan->detail_capacity, plan->parameter_count + 1));
    ws_parameter *parameter = &plan->parameters[plan->parameter_count];
    *parameter = (ws_parameter){
        .name = kept, .dimensions = shape.dimensions, .count = (size_t)ws_shape_count(&shape), .decay = decay};
    memcpy(parameter->shape, shape.size, sizeof shape.size);
    plan->parameter_details[plan->parameter_count] = (ws_plan_parameter){.initial = initial};
    node->parameters[slot] = (int32_t)plan->parameter_count++;
    return WS_OK;
}

ws_err ws_node_add_statistic(ws_plan *plan, ws_node *node, int slot, const char *suffix, ws_shape shape,
                             double constant)
{
    WS_TRY(ws_node_add_parameter(plan, node, slot, suffix, shape, (ws_initial){.constant = constant}, false));
    plan->parameters[node->parameters[slot]].statistic = true;
    return WS_OK;
}

void ws_plan_initial(ws_plan *plan, const char *parameter, double constant, double scale, bool normal)
{
    if (!usable(plan, parameter))
        return;
    const char *name = NULL;
    ws_err error = full_name(plan, parameter, &name);
    for (size_t i = 0; error == WS_OK && i < plan->parameter_count; i++)
        if (strcmp(plan->parameters[i].name, name) == 0) {
            plan->parameter_details[i].initial = (ws_initial){.constant = constant, .scale = scale, .normal = normal};
            return;
        }
    remember(plan, error != WS_OK ? error : WS_ERROR(CONFIG, "initial values: there is no parameter %s", name));
}

static ws_err add_node(ws_plan *plan, ws_node *node, const char *name, const ws_tensor *inputs, ws_tensor *out)
{
    const ws_operator *op = ws_operator_table[node->op];
    node->precision = plan->precision;
    char automatic[64];
    snprintf(automatic, sizeof automatic, "%s%zu", op->name, plan->node_count);
    WS_TRY(full_name(plan, name ? name : automatic, &node->name));
    for (int i = 0; i < WS_MAX_INPUTS; i++)
        node->inputs[i] = -1;
    for (int i = 0; i < WS_MAX_PARAMETERS; i++)
        node->parameters[i] = -1;
    for (int i = 0; i < op->inputs; i++) {
        int32_t id = inputs[i].id;
        if (id < 0 && i >= op->inputs - op->optional)
            continue;
        WS_CHECK(id >= 0 && (size_t)id < plan->tensor_count, CONFIG, "%s %s: input %d is no tensor of this plan",
                 op->name, node->name, i);
        const ws_plan_tensor *tensor = &plan->tensors[id];
        WS_CHECK(tensor->type == op->input_types[i], CONFIG, "%s %s: input %d must hold %s", op->name, node->name, i,
                 op->input_types[i] == WS_INPUT_REAL ? "reals" : "class indices");
        node->inputs[i] = tensor->view_of < 0 ? id : tensor->view_of;
        node->in[i] = tensor->shape;
    }
    WS_TRY(op->infer(plan, node));
    WS_TRY(add_tensor(plan, node->name, WS_INPUT_REAL, &node->out, (int32_t)plan->node_count, out));
    node->output = out->id;
    WS_TRY(WS_GROW(plan->nodes, plan->node_capacity, plan->node_count + 1));
    plan->nodes[plan->node_count++] = *node;
    return WS_OK;
}

ws_tensor ws_plan_record(ws_plan *plan, ws_node node, const char *name, const ws_tensor inputs[WS_MAX_INPUTS])
{
    ws_tensor out = WS_NO_TENSOR;
    if (!usable(plan, name ? name : ws_operator_table[node.op]->name))
        return out;
    ws_err error = add_node(plan, &node, name, inputs, &out);
    return error == WS_OK ? out : remember(plan, error);
}

/* ---- finishing ---- */

ws_err ws_plan_finish_with(ws_plan *plan, ws_tensor loss, bool share_memory)
{
    if (loss.id >= 0 && (size_t)loss.id < plan->tensor_count && plan->tensors[loss.id].view_of >= 0)
        loss.id = plan->tensors[loss.id].view_of;
    if (plan->error != WS_OK)
        return ws_error_set(plan->error, plan->error_message ? plan->error_message : "out of memory", "", "");
    WS_CHECK(!plan->finished, INTERNAL, "ws_plan_finish is called twice");
    WS_CHECK(plan->scope_count == 0, INTERNAL, "scope %s is still open at ws_plan_finish",
             ws_text_string(&plan->scope));
    WS_CHECK(plan->node_count > 0, CONFIG, "the plan has no operator");
    WS_TRY(ws_plan_differentiate(plan, loss));
    WS_TRY(ws_plan_lay_out(plan, share_memory));
    plan->finished = true;
    return WS_OK;
}

ws_err ws_plan_finish(ws_plan *plan, ws_tensor loss)
{
    return ws_plan_finish_with(plan, loss, true);
}
