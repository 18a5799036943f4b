/* The Mamba block: as many parameters as published, the initial values it is known for, no look ahead, and it learns.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include "engine/engine_test.h"
#include "models/mamba_block.h"

static ws_plan *block_of(int64_t B, int64_t T, int64_t width, const ws_mamba_options *options)
{
    ws_plan *plan = NULL;
    OK(ws_plan_create(&plan));
    ws_tensor x = ws_input(plan, "x", 3, (int64_t[]){B, T, width});
    ws_tensor y = ws_mamba_block(plan, x, width, options, "block");
    ws_plan_output(plan, y, "y");
    OK(ws_plan_finish(plan, ws_mse(plan, y, ws_input(plan, "target", 3, (int64_t[]){B, T, width}))));
    return plan;
}

static void test_parameters_are_as_many_as_published(void **state)
{
    (void)state;
    static const size_t widths[] = {256, 128}, counts[] = {438016, 116608};
    for (size_t i = 0; i < 2; i++) {
        ws_plan *plan = block_of(1, 2, (int64_t)widths[i], &(ws_mamba_options){0});
        assert_int_equal(ws_plan_parameter_count(plan), counts[i]);
        ws_plan_destroy(&plan);
    }
}

/* The values of parameter `name` within all parameters. */
static const ws_real *values_of(const ws_plan *plan, const ws_real *parameters, const char *name, size_t *count)
{
    const ws_parameter *table;
    size_t all = ws_plan_parameters(plan, &table);
    for (size_t i = 0; i < all; i++)
        if (strcmp(table[i].name, name) == 0) {
            *count = table[i].count;
            return parameters + table[i].offset;
        }
    fail_msg("no parameter %s", name);
    return NULL;
}

static double deviation(const ws_real *values, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += (double)values[i] * (double)values[i];
    return sqrt(sum / (double)count);
}

static void test_initial_values(void **state)
{
    (void)state;
    for (int kind = WS_MAMBA_REFERENCE; kind <= WS_MAMBA_FUSE3; kind++) {
        ws_mamba_options options = {.layers = 4, .initial = (ws_mamba_initial)kind};
        ws_plan *plan = block_of(1, 2, 64, &options);
        ws_real *parameters = NULL;
        OK(WS_NEW_ARRAY(parameters, ws_plan_parameter_extent(plan)));
        ws_plan_initialise(plan, 1, parameters);
        size_t count = 0;
        const ws_real *rates = values_of(plan, parameters, "block.scan.A_log", &count);
        for (size_t i = 0; i < count; i++)
            assert_true(fabs(exp((double)rates[i]) - (double)(i % 16 + 1)) < 1e-5);
        const ws_real *bias = values_of(plan, parameters, "block.scan.dt_bias", &count);
        double low = 1, high = 0;
        for (size_t i = 0; i < count; i++) {
            double step = log1p(exp((double)bias[i]));
            low = step < low ? step : low;
            high = step > high ? step : high;
        }
        if (kind == WS_MAMBA_REFERENCE)
            assert_true(low > 0.00099 && low < 0.002 && high > 0.06 && high < 0.1001);
        else
            assert_true(fabs(low - 0.6931472) < 1e-6 && fabs(high - 0.6931472) < 1e-6);
        const ws_real *out = values_of(plan, parameters, "block.out_proj.weight", &count);
        double want = kind == WS_MAMBA_REFERENCE ? 1 / sqrt(3 * 128.0 * 4) : 0.02; /* uniform: bound / sqrt(3) */
        assert_true(fabs(deviation(out, count) / want - 1) < 0.05);
        free(parameters);
        ws_plan_destroy(&plan);
    }
}

static void test_a_step_sees_nothing_later(void **state)
{
    (void)state;
    enum { T = 21, WIDTH = 8, CHANGED = 13 };
    ws_plan *plan = block_of(1, T, WIDTH, &(ws_mamba_options){0});
    ws_executor *x = NULL;
    OK(ws_executor_create(&x, plan));
    ws_real *parameters = NULL, before[T * WIDTH];
    OK(WS_NEW_ARRAY(parameters, ws_plan_parameter_extent(plan)));
    ws_plan_initialise(plan, 1, parameters);
    fill_normal(ws_executor_input(x, "x"), T * WIDTH, 1);
    ws_executor_forward(x, parameters);
    memcpy(before, ws_executor_output(x, "y"), sizeof before);
    ws_executor_input(x, "x")[CHANGED * WIDTH] += 1;
    ws_executor_forward(x, parameters);
    const ws_real *after = ws_executor_output(x, "y");
    assert_memory_equal(before, after, CHANGED * WIDTH * sizeof *before);
    for (size_t t = CHANGED; t < T; t++)
        assert_memory_not_equal(before + t * WIDTH, after + t * WIDTH, WIDTH * sizeof *before);
    free(parameters);
    ws_executor_destroy(&x);
    ws_plan_destroy(&plan);
}

/* The target is the input of three steps before: only convolution and scan can bring it. */
static void test_it_learns_to_look_back(void **state)
{
    (void)state;
    enum { B = 4, T = 24, WIDTH = 8, STEPS = 500 };
    ws_plan *plan = block_of(B, T, WIDTH, &(ws_mamba_options){0});
    ws_executor *x = NULL;
    OK(ws_executor_create(&x, plan));
    size_t extent = ws_plan_parameter_extent(plan);
    ws_real *memory = NULL;
    OK(WS_NEW_ARRAY(memory, 4 * extent));
    ws_plan_initialise(plan, 1, memory);
    double first = 0;
    for (uint64_t step = 1; step <= STEPS; step++) {
        ws_real *in = ws_executor_input(x, "x"), *target = ws_executor_input(x, "target");
        fill_normal(in, B * T * WIDTH, step);
        for (size_t i = 0; i < B * T * WIDTH; i++)
            target[i] = i / WIDTH % T >= 3 ? in[i - 3 * WIDTH] : 0;
        ws_executor_forward(x, memory);
        ws_executor_backward(x, memory, memory + extent);
        ws_adamw_step(plan, &(ws_adamw){0.9, 0.99, 1e-8, 0}, 0.01, 1, step, memory, memory + extent,
                      memory + 2 * extent, memory + 3 * extent);
        if (step == 1)
            first = (double)ws_executor_loss(x);
    }
    print_message("loss %.3f at first, %.3f after %d steps\n", first, (double)ws_executor_loss(x), STEPS);
    assert_true((double)ws_executor_loss(x) < first / 3);
    free(memory);
    ws_executor_destroy(&x);
    ws_plan_destroy(&plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parameters_are_as_many_as_published),
        cmocka_unit_test(test_initial_values),
        cmocka_unit_test(test_a_step_sees_nothing_later),
        cmocka_unit_test(test_it_learns_to_look_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
