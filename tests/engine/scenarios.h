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
#include "scenarios_pieces.h"
#include "scenarios_sequence.h"
#include "scenarios_scan.h"

static const struct scenario {
    const char *name;
    builder *build;
} scenarios[] = {
#define SCENARIO(name) {#name, name},
    SCENARIOS_BASIC SCENARIOS_FLOW SCENARIOS_PIECES SCENARIOS_SEQUENCE SCENARIOS_SCAN
#undef SCENARIO
};
enum { SCENARIOS = sizeof scenarios / sizeof *scenarios };

/* Weights of rows, some of them 0. */
static void fill_weights(ws_real *out, size_t count, uint64_t stream)
{
    fill_normal(out, count, stream);
    for (size_t k = 0; k < count; k++)
        out[k] = k % 3 == 1 ? 0 : (ws_real)fabs((double)out[k]);
}

/* Inputs by name: reals named "ones" are 1, "weights" not negative and some of them 0, "no weights" 0, others normal; index
 * inputs named "ignored" hold -1 only, "ranges" bounds of keys of all kinds, those named "below N" numbers below N, others 0,
 * these with some -1 among them. */
static void fill_inputs(const ws_plan *plan, ws_executor *x)
{
    for (size_t i = 0; i < plan->tensor_count; i++) {
        const ws_plan_tensor *tensor = &plan->tensors[i];
        if (tensor->producer >= 0 || tensor->view_of >= 0)
            continue;
        size_t count = (size_t)ws_shape_count(&tensor->shape);
        const char *name = tensor->name;
        if (tensor->type == WS_INPUT_REAL) {
            ws_real *real = ws_executor_input(x, name);
            if (strcmp(name, "weights") == 0)
                fill_weights(real, count, i);
            else if (strcmp(name, "ones") == 0 || strcmp(name, "no weights") == 0)
                for (size_t k = 0; k < count; k++)
                    real[k] = name[0] == 'o';
            else
                fill_normal(real, count, i);
            continue;
        }
        int32_t *index = ws_executor_input_index(x, name);
        bool none = strcmp(name, "ignored") == 0;
        int32_t below = strncmp(name, "below ", 6) == 0 ? atoi(name + 6) : 1;
        for (size_t k = 0; k < count; k++)
            index[k] = none || k % 4 == 3 ? -1 : (int32_t)(5 * k + k / 3) % below;
        for (size_t k = 0; strcmp(name, "ranges") == 0 && k < count; k++)
            index[k] = (int32_t)(k * 7919 % 29 % 14) - 1;
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
