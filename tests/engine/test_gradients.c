/* Gradients against central differences in double precision, for every operator, at every instruction set level.
 * ctest: labels=grad double timeout=120
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include "scenarios.h"

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
        for (size_t k = 0; k < table[i].count && !table[i].statistic; k += stride) {
            size_t element = table[i].offset + k;
            double expected = slope(x, parameters, element, h), got = gradients[element];
            double size = fmax(fabs(expected), fabs(got));
            if (!(fabs(got - expected) <= 1e-6 * size + rounding))
                fail_msg("%s: d %s[%zu] is %.12g, central difference %.12g", what, table[i].name, k, got, expected);
        }
    }
}

/* Relu has a kink, and so has the slope of a spline, which a long step would straddle; around it the loss is nearly quadratic,
 * so a short one is exact. */
static bool has_kinks(const char *scenario)
{
    return strstr(scenario, "relu") || strstr(scenario, "spline") || strstr(scenario, "twice");
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
    fill_parameters(plan, parameters);
    fill_inputs(plan, x);
    ws_executor_set_random(x, 3, 7, 11);
    ws_executor_forward(x, parameters);
    ws_executor_backward(x, parameters, gradients);
    for (size_t i = 0; i < extent; i++)
        assert_false(isnan(gradients[i])); /* the whole extent is written */
    check_parameters(what, plan, x, parameters, gradients, has_kinks(scenario->name) ? 1e-6 : 1e-4);
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
    for (size_t s = 0; s < SCENARIOS; s++)
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
