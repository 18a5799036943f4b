/* Every operator gives the same bits again: in a second run, and in an executor whose memory is full of NaN from a step before.
 * Gradients begin as NaN between sentinels. The small models around the operators are those of scenarios.h. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include "scenarios.h"

/* Runs a step; the loss stands behind the gradients. */
static ws_real *step(const ws_plan *plan, ws_executor *x, const ws_real *parameters)
{
    size_t extent = ws_plan_parameter_extent(plan);
    ws_real *out = guarded(extent + 1);
    ws_executor_set_random(x, 3, 7, 11);
    ws_executor_forward(x, parameters);
    ws_executor_backward(x, parameters, out);
    out[extent] = ws_executor_loss(x);
    return out;
}

/* Leaves NaN wherever a step writes. */
static void poison(const ws_plan *plan, ws_executor *x)
{
    size_t extent = ws_plan_parameter_extent(plan);
    ws_real *parameters = guarded(extent); /* NaN */
    for (size_t i = 0; i < plan->tensor_count; i++) {
        const ws_plan_tensor *tensor = &plan->tensors[i];
        if (tensor->producer < 0 && tensor->view_of < 0 && tensor->type == WS_INPUT_REAL)
            for (int64_t k = 0; k < ws_shape_count(&tensor->shape); k++)
                ws_executor_input(x, tensor->name)[k] = (ws_real)NAN;
    }
    release(step(plan, x, parameters), extent + 1);
    release(parameters, extent);
}

static void repeat(const struct scenario *scenario, int64_t B, int64_t D, ws_isa isa)
{
    ws_plan *plan;
    OK(ws_plan_create(&plan));
    OK(ws_plan_finish(plan, scenario->build(plan, B, D)));
    size_t extent = ws_plan_parameter_extent(plan);
    ws_place place = place_of(isa);
    ws_executor *fresh, *used;
    OK(ws_executor_create_at(&fresh, plan, &place));
    OK(ws_executor_create_at(&used, plan, &place));
    ws_real *parameters = guarded(extent);
    fill_parameters(plan, parameters);
    fill_inputs(plan, fresh);
    poison(plan, used);
    fill_inputs(plan, used);
    ws_real *first = step(plan, fresh, parameters), *again = step(plan, fresh, parameters);
    ws_real *clean = step(plan, used, parameters);
    for (size_t i = 0; i <= extent; i++)
        if (isnan(first[i]))
            fail_msg("%s, B=%d, D=%d: element %zu of the gradients is not written", scenario->name, (int)B, (int)D, i);
    if (memcmp(first, again, (extent + 1) * sizeof *first) != 0)
        fail_msg("%s, B=%d, D=%d: a second run gives other bits", scenario->name, (int)B, (int)D);
    if (memcmp(first, clean, (extent + 1) * sizeof *first) != 0)
        fail_msg("%s, B=%d, D=%d: something of the step before is left", scenario->name, (int)B, (int)D);
    release(first, extent + 1), release(again, extent + 1), release(clean, extent + 1);
    release(parameters, extent);
    ws_executor_destroy(&fresh), ws_executor_destroy(&used);
    ws_plan_destroy(&plan);
}

static void test_every_operator_repeats(void **state)
{
    (void)state;
    FOR_EACH_LEVEL(isa)
    for (size_t s = 0; s < SCENARIOS; s++) {
        repeat(&scenarios[s], 3, 17, isa);
        repeat(&scenarios[s], 70, 33, isa);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_operator_repeats)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
