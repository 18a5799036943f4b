/* Gradients against central differences in double precision, for every operator, at every instruction set level.
 * ctest: labels=grad double timeout=120
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
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

#define LINEAR(name, activation)                                                                                       \
    static ws_tensor name(ws_plan *plan, int64_t B, int64_t D)                                                         \
    {                                                                                                                  \
        return against_target(plan, ws_linear(plan, hidden(plan, B, D, "x"), 7, activation, "y"), B, 7);               \
    }
LINEAR(linear_none, WS_NONE)
LINEAR(linear_relu, WS_RELU)
LINEAR(linear_silu, WS_SILU)
LINEAR(linear_gelu, WS_GELU)
LINEAR(linear_tanh, WS_TANH)

#define ACTIVATE(name, activation)                                                                                     \
    static ws_tensor name(ws_plan *plan, int64_t B, int64_t D)                                                         \
    {                                                                                                                  \
        return against_target(plan, ws_activate(plan, hidden(plan, B, D, "x"), activation), B, D);                     \
    }
ACTIVATE(activate_none, WS_NONE)
ACTIVATE(activate_relu, WS_RELU)
ACTIVATE(activate_silu, WS_SILU)
ACTIVATE(activate_gelu, WS_GELU)
ACTIVATE(activate_tanh, WS_TANH)

static ws_tensor layernorm(ws_plan *plan, int64_t B, int64_t D)
{
    return against_target(plan, ws_layernorm(plan, hidden(plan, B, D, "x"), "norm"), B, D);
}

static ws_tensor add(ws_plan *plan, int64_t B, int64_t D)
{
    return against_target(plan, ws_add(plan, hidden(plan, B, D, "a"), hidden(plan, B, D, "b")), B, D);
}

static ws_tensor add_to_itself(ws_plan *plan, int64_t B, int64_t D)
{
    ws_tensor h = hidden(plan, B, D, "x");
    return against_target(plan, ws_add(plan, h, h), B, D);
}

static ws_tensor concat(ws_plan *plan, int64_t B, int64_t D)
{
    return against_target(plan, ws_concat(plan, hidden(plan, B, D, "a"), hidden(plan, B, 3, "b")), B, D + 3);
}

static ws_tensor concat_with_itself(ws_plan *plan, int64_t B, int64_t D)
{
    ws_tensor h = hidden(plan, B, D, "x");
    return against_target(plan, ws_concat(plan, h, h), B, 2 * D);
}

static ws_tensor mse_of_two(ws_plan *plan, int64_t B, int64_t D)
{
    return ws_mse(plan, hidden(plan, B, D, "a"), hidden(plan, B, D, "b"));
}

/* Two losses on one tensor: every operator's accumulating path, with the tensor read by a second consumer. */
static ws_tensor every_consumer_twice(ws_plan *plan, int64_t B, int64_t D)
{
    ws_tensor h = hidden(plan, B, D, "x");
    ws_tensor loss = against_target(plan, h, B, D);
    loss = ws_add(plan, loss, ws_mse(plan, ws_activate(plan, h, WS_NONE), ws_activate(plan, h, WS_SILU)));
    loss = ws_add(plan, loss, ws_mse(plan, ws_linear(plan, h, D, WS_TANH, "l"), h));
    loss = ws_add(plan, loss, ws_mse(plan, h, ws_layernorm(plan, h, "n")));
    loss = ws_add(plan, loss, ws_cross_entropy(plan, h, ws_input_index(plan, "class", B)));
    ws_tensor sum = ws_add(plan, h, ws_activate(plan, h, WS_TANH));
    loss = ws_add(plan, loss, ws_mse(plan, sum, ws_add(plan, ws_activate(plan, h, WS_RELU), h)));
    ws_tensor wide = ws_concat(plan, h, ws_activate(plan, h, WS_GELU));
    return ws_add(plan, loss, ws_mse(plan, wide, ws_concat(plan, h, h)));
}

static ws_tensor cross_entropy(ws_plan *plan, int64_t B, int64_t D)
{
    return ws_cross_entropy(plan, hidden(plan, B, D, "x"), ws_input_index(plan, "class", B));
}

static ws_tensor all_rows_ignored(ws_plan *plan, int64_t B, int64_t D)
{
    return ws_cross_entropy(plan, hidden(plan, B, D, "x"), ws_input_index(plan, "ignored", B));
}

static ws_tensor residual_mlp(ws_plan *plan, int64_t B, int64_t D)
{
    ws_tensor x = input(plan, "x", B, 9), t = input(plan, "t", B, 4);
    ws_tensor condition = ws_linear(plan, ws_linear(plan, t, D, WS_SILU, "time.0"), D, WS_NONE, "time.1");
    ws_tensor h = ws_add(plan, ws_linear(plan, x, D, WS_NONE, "in"), condition);
    for (int i = 0; i < 3; i++) {
        ws_scope_begin(plan, "block.%d", i);
        ws_tensor n = ws_concat(plan, ws_layernorm(plan, h, "norm"), condition);
        h = ws_add(plan, h, ws_linear(plan, ws_linear(plan, n, 2 * D, WS_GELU, "up"), D, WS_NONE, "down"));
        ws_scope_end(plan);
    }
    return against_target(plan, ws_linear(plan, ws_layernorm(plan, h, "norm"), 9, WS_NONE, "out"), B, 9);
}

static ws_tensor three_dimensions(ws_plan *plan, int64_t B, int64_t D)
{
    ws_tensor x = ws_input(plan, "x", 3, (int64_t[]){B, 2, 4});
    ws_tensor y = ws_layernorm(plan, ws_linear(plan, x, D, WS_SILU, "in"), "norm");
    return ws_mse(plan, ws_linear(plan, y, 3, WS_NONE, "out"), ws_input(plan, "u", 3, (int64_t[]){B, 2, 3}));
}

static const struct scenario {
    const char *name;
    builder *build;
} scenarios[] = {
#define SCENARIO(name)                                                                                                 \
    {                                                                                                                  \
#name, name                                                                                                    \
    }
    SCENARIO(linear_none),          SCENARIO(linear_relu),      SCENARIO(linear_silu),
    SCENARIO(linear_gelu),          SCENARIO(linear_tanh),      SCENARIO(activate_none),
    SCENARIO(activate_relu),        SCENARIO(activate_silu),    SCENARIO(activate_gelu),
    SCENARIO(activate_tanh),        SCENARIO(layernorm),        SCENARIO(add),
    SCENARIO(add_to_itself),        SCENARIO(concat),           SCENARIO(concat_with_itself),
    SCENARIO(mse_of_two),           SCENARIO(cross_entropy),    SCENARIO(residual_mlp),
    SCENARIO(every_consumer_twice), SCENARIO(all_rows_ignored), SCENARIO(three_dimensions),
};

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

static double loss_at(ws_executor *x, ws_real *parameters, size_t element, double value)
{
    ws_real kept = parameters[element];
    parameters[element] = value;
    ws_executor_forward(x, parameters);
    parameters[element] = kept;
    return ws_executor_loss(x);
}

/* Fourth-order central difference. */
static double slope(ws_executor *x, ws_real *parameters, size_t element, double h)
{
    double p = parameters[element];
    double near = loss_at(x, parameters, element, p + h) - loss_at(x, parameters, element, p - h);
    double far = loss_at(x, parameters, element, p + 2 * h) - loss_at(x, parameters, element, p - 2 * h);
    return (8 * near - far) / (12 * h);
}

static void check_parameters(const char *what, const ws_plan *plan, ws_executor *x, ws_real *parameters,
                             const ws_real *gradients, double h)
{
    const ws_parameter *table;
    size_t count = ws_plan_parameters(plan, &table);
    ws_executor_forward(x, parameters);
    double rounding = 1e-15 / h * (1 + fabs(ws_executor_loss(x))); /* of a difference of losses, over the step */
    for (size_t i = 0; i < count; i++) {
        size_t stride = table[i].count / 16 + 1; /* at most 16 elements of each tensor, spread over it */
        for (size_t k = 0; k < table[i].count; k += stride) {
            size_t element = table[i].offset + k;
            double expected = slope(x, parameters, element, h), got = gradients[element];
            double size = fmax(fabs(expected), fabs(got));
            if (!(fabs(got - expected) <= 1e-6 * size + rounding))
                fail_msg("%s: d %s[%zu] is %.12g, central difference %.12g", what, table[i].name, k, got, expected);
        }
    }
}

static bool seen[WS_OP_COUNT];

static void check(const struct scenario *scenario, int64_t B, int64_t D, ws_isa isa)
{
    char what[96];
    snprintf(what, sizeof what, "%s, B=%d, D=%d, %s", scenario->name, (int)B, (int)D, ws_isa_names[isa]);
    ws_plan *plan;
    OK(ws_plan_create(&plan));
    OK(ws_plan_finish(plan, scenario->build(plan, B, D)));
    for (size_t i = 0; i < plan->node_count; i++)
        seen[plan->nodes[i].op] = true;
    ws_executor *x;
    ws_place place = place_of(isa);
    OK(ws_executor_create_at(&x, plan, &place));
    size_t extent = ws_plan_parameter_extent(plan);
    ws_real *parameters, *gradients = guarded(extent);
    OK(WS_NEW_ARRAY(parameters, extent));
    ws_plan_initialise(plan, 5, parameters);
    for (size_t i = 0; i < extent; i++) { /* norms away from 1, biases away from 0 */
        ws_real noise;
        fill_normal(&noise, 1, i);
        parameters[i] += noise / 5;
    }
    fill_inputs(plan, x);
    ws_executor_forward(x, parameters);
    ws_executor_backward(x, parameters, gradients);
    for (size_t i = 0; i < extent; i++)
        assert_false(isnan(gradients[i])); /* the whole extent is written */
    /* Relu has a kink, which a long step would straddle; around it the loss is quadratic, so a short one is exact. */
    check_parameters(what, plan, x, parameters, gradients, strstr(what, "relu") || strstr(what, "twice") ? 1e-6 : 1e-4);
    release(gradients, extent);
    free(parameters);
    ws_executor_destroy(&x);
    ws_plan_destroy(&plan);
}

static void test_gradients_match_central_differences(void **state)
{
    (void)state;
    static const int64_t rows[] = {1, 3, 17, 70}, widths[] = {1, 3, 17, 33};
    FOR_EACH_LEVEL(isa)
    for (size_t s = 0; s < sizeof scenarios / sizeof *scenarios; s++)
        for (size_t b = 0; b < 4; b++)
            for (size_t d = 0; d < 4; d++)
                check(&scenarios[s], rows[b], widths[d], isa);
    for (int i = 0; i < WS_OP_COUNT; i++)
        if (!seen[i])
            fail_msg("operator %s has no gradient check: add a scenario", ws_operator_table[i]->name);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_gradients_match_central_differences)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
