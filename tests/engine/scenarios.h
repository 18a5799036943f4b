/* Small models around every operator, for all tests that go over them: gradients against central differences, CUDA against the
 * CPU. A group of operators has a file scenarios_<group>.h with its builders and their list; a new group is included here
 * and its list stands in SCENARIOS. */
#ifndef SCENARIOS_H
#define SCENARIOS_H

#include "engine_test.h"

/* A small model around one operator. B rows of width D. A parameter always lies above the operator, so that the
 * gradient of its inputs is seen too. */
typedef ws_tensor builder(ws_plan *plan, int64_t B, int64_t D);

static ws_tensor input(ws_plan *plan, const char *name, int64_t B, int64_t D)
{
    return ws_input(plan, name, 2, (int64_t[]){B, D});
}

static ws_tensor hidden(ws_plan *plan, int64_t B, int64_t D, const char *name)
{
    return ws_linear(plan, input(plan, name, B, 5), D, WS_NONE, name);
}

static ws_tensor against_target(ws_plan *plan, ws_tensor y, int64_t B, int64_t D)
{
    return ws_mse(plan, y, input(plan, "target", B, D));
}

#include "scenarios_basic.h"
#include "scenarios_flow.h"

static const struct scenario {
    const char *name;
    builder *build;
} scenarios[] = {
#define SCENARIO(name) {#name, name},
    SCENARIOS_BASIC SCENARIOS_FLOW
#undef SCENARIO
};
enum { SCENARIOS = sizeof scenarios / sizeof *scenarios };

/* Inputs by name: index inputs named "ignored" hold -1 only, others 0 with some -1 among them. */
static void fill_inputs(const ws_plan *plan, ws_executor *x)
{
    for (size_t i = 0; i < plan->tensor_count; i++) {
        const ws_plan_tensor *tensor = &plan->tensors[i];
        if (tensor->producer >= 0)
            continue;
        size_t count = (size_t)ws_shape_count(&tensor->shape);
        if (tensor->type == WS_INPUT_REAL) {
            fill_normal(ws_executor_input(x, tensor->name), count, i);
            continue;
        }
        int32_t *index = ws_executor_input_index(x, tensor->name);
        bool none = strcmp(tensor->name, "ignored") == 0;
        for (size_t k = 0; k < count; k++)
            index[k] = none || k % 4 == 3 ? -1 : 0;
    }
}

/* Parameters away from where they start: norms from 1, biases from 0. */
static inline void fill_parameters(const ws_plan *plan, ws_real *parameters)
{
    ws_plan_initialise(plan, 5, parameters);
    for (size_t i = 0; i < plan->extent; i++) {
        ws_real noise;
        fill_normal(&noise, 1, i);
        parameters[i] += noise / 5;
    }
}

#endif
