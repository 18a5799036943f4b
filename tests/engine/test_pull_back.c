/* Vector-Jacobian products: against the columns of central differences, repeated after one forward pass, and in the same
 * bits with and without memory shared between buffers. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include "engine/plan.h"

enum { ROWS = 3, COLUMNS = 4, HIDDEN = 16 };

/* A small field with everything that a layer keeps for later: activations, statistics, a sum of two paths. */
static ws_plan *make_plan(bool share_memory)
{
    ws_plan *plan;
    assert_int_equal(ws_plan_create(&plan), WS_OK);
    ws_tensor x = ws_input(plan, "x", 2, (int64_t[]){ROWS, COLUMNS});
    ws_tensor time = ws_input(plan, "time", 2, (int64_t[]){ROWS, 2});
    ws_tensor h = ws_linear(plan, ws_concat(plan, x, time), HIDDEN, WS_SILU, "input");
    h = ws_add(plan, h, ws_linear(plan, ws_layernorm(plan, h, "norm"), HIDDEN, WS_TANH, "inner"));
    ws_tensor out = ws_linear(plan, h, COLUMNS, WS_NONE, "output");
    ws_plan_output(plan, out, "velocity");
    ws_input_gradient(plan, x);
    ws_pull_back_from(plan, out);
    assert_int_equal(ws_plan_finish_with(plan, WS_NO_TENSOR, share_memory), WS_OK);
    return plan;
}

static void fill(ws_executor *executor)
{
    for (uint64_t r = 0; r < ROWS; r++) {
        ws_random_normal(1, WS_RANDOM_TEST, 0, r, ws_executor_input(executor, "x") + r * COLUMNS, COLUMNS);
        ws_random_normal(1, WS_RANDOM_TEST, 1, r, ws_executor_input(executor, "time") + r * 2, 2);
    }
}

typedef struct made {
    ws_plan *plan;
    ws_executor *executor;
    ws_real *parameters;
} made;

static made make(bool share_memory)
{
    made m = {.plan = make_plan(share_memory)};
    m.parameters = calloc(ws_plan_parameter_extent(m.plan), sizeof *m.parameters);
    ws_plan_initialise(m.plan, 7, m.parameters);
    assert_int_equal(ws_executor_create(&m.executor, m.plan), WS_OK);
    fill(m.executor);
    ws_executor_forward(m.executor, m.parameters);
    return m;
}

static void destroy(made *m)
{
    ws_executor_destroy(&m->executor);
    ws_plan_destroy(&m->plan);
    free(m->parameters);
}

static void equals_central_differences_of_the_output(void **state)
{
    (void)state;
    made m = make(true);
    ws_real cotangent[ROWS * COLUMNS];
    ws_random_normal(2, WS_RANDOM_TEST, 0, 0, cotangent, ROWS * COLUMNS);
    ws_executor_pull_back(m.executor, m.parameters, cotangent);
    ws_real pulled[ROWS * COLUMNS];
    memcpy(pulled, ws_executor_input_gradient(m.executor, "x"), sizeof pulled);
    assert_null(ws_executor_input_gradient(m.executor, "time"));
    for (int i = 0; i < ROWS * COLUMNS; i++) {
        const float step = 0x1p-6f;
        double side[2];
        for (int s = 0; s < 2; s++) {
            ws_real *x = ws_executor_input(m.executor, "x") + i, before = *x;
            *x += s ? step : -step;
            ws_executor_forward(m.executor, m.parameters);
            *x = before;
            side[s] = 0;
            for (int k = 0; k < ROWS * COLUMNS; k++)
                side[s] += (double)cotangent[k] * ws_executor_output(m.executor, "velocity")[k];
        }
        assert_true(fabs((side[1] - side[0]) / (2 * step) - pulled[i]) < 1e-3);
    }
    destroy(&m);
}

/* The rows of a Jacobian, one after the other, after one forward pass: each as if it were the first. */
static void may_be_repeated_after_one_forward_pass(void **state)
{
    (void)state;
    made shared = make(true), apart = make(false);
    for (int k = 0; k < 2 * COLUMNS; k++) {
        ws_real unit[ROWS * COLUMNS] = {0}, first[ROWS * COLUMNS];
        for (int r = 0; r < ROWS; r++)
            unit[r * COLUMNS + k % COLUMNS] = 1;
        made fresh = make(false);
        ws_executor_pull_back(fresh.executor, fresh.parameters, unit);
        memcpy(first, ws_executor_input_gradient(fresh.executor, "x"), sizeof first);
        destroy(&fresh);
        ws_executor_pull_back(shared.executor, shared.parameters, unit);
        assert_memory_equal(ws_executor_input_gradient(shared.executor, "x"), first, sizeof first);
        ws_executor_pull_back(apart.executor, apart.parameters, unit);
        assert_memory_equal(ws_executor_input_gradient(apart.executor, "x"), first, sizeof first);
    }
    destroy(&shared);
    destroy(&apart);
}

static void says_what_is_wrong(void **state)
{
    (void)state;
    ws_plan *plan;
    assert_int_equal(ws_plan_create(&plan), WS_OK);
    ws_tensor x = ws_input(plan, "x", 2, (int64_t[]){ROWS, COLUMNS});
    ws_pull_back_from(plan, ws_linear(plan, x, 2, WS_NONE, "layer"));
    assert_int_equal(ws_plan_finish(plan, WS_NO_TENSOR), WS_E_CONFIG); /* no input wants its gradient */
    assert_non_null(strstr(ws_error_message(), "pulled back"));
    ws_plan_destroy(&plan);
    assert_int_equal(ws_plan_create(&plan), WS_OK);
    x = ws_input(plan, "x", 2, (int64_t[]){ROWS, COLUMNS});
    (void)ws_linear(plan, x, 2, WS_NONE, "layer");
    ws_pull_back_from(plan, x);
    assert_int_equal(ws_plan_finish(plan, WS_NO_TENSOR), WS_E_CONFIG);
    ws_plan_destroy(&plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equals_central_differences_of_the_output),
        cmocka_unit_test(may_be_repeated_after_one_forward_pass),
        cmocka_unit_test(says_what_is_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
