/* ctest: labels=gpu timeout=120
 * Every operator gives on a CUDA device what it gives on the CPU, to rounding, and the same bits when it runs twice.
 * The small models around the operators are those of scenarios.h.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include "cluster/cluster.h"
#include "scenarios.h"

static ws_place cpu, cuda;

/* What one run gives: gradients of all parameters, and the loss. */
typedef struct results {
    size_t extent;
    ws_real *gradients, loss;
} results;

static results run_at(const ws_place *place, const ws_plan *plan)
{
    results r = {.extent = ws_plan_parameter_extent(plan)};
    ws_real *initial = NULL, *parameters = NULL, *gradients = NULL;
    OK(ws_alloc(&initial, r.extent, sizeof *initial));
    OK(ws_alloc(&r.gradients, r.extent, sizeof *r.gradients));
    fill_parameters(plan, initial);
    OK(ws_place_allocate(place, &parameters, r.extent));
    OK(ws_place_allocate(place, &gradients, r.extent));
    ws_place_upload(place, parameters, initial, r.extent);
    OK(ws_place_wait(place));
    ws_executor *executor = NULL;
    OK(ws_executor_create_at(&executor, plan, place));
    fill_inputs(plan, executor);
    ws_executor_set_random(executor, 3, 7, 11);
    ws_executor_forward(executor, parameters);
    ws_executor_backward(executor, parameters, gradients);
    OK(ws_executor_wait(executor));
    r.loss = ws_executor_loss(executor);
    OK(ws_place_download(place, r.gradients, gradients, r.extent));
    ws_executor_destroy(&executor);
    ws_place_release(place, &parameters);
    ws_place_release(place, &gradients);
    free(initial);
    return r;
}

/* A product of rounded factors may round one of them the other way, when a sum before it differs in its last bit. */
static double tolerance_of(const char *what)
{
    return strstr(what, "bf16") ? 5e-3 : 2e-5;
}

static void assert_close(const char *what, const ws_real *got, const ws_real *want, size_t count)
{
    double *wide = NULL;
    OK(ws_alloc(&wide, count, sizeof *wide));
    for (size_t i = 0; i < count; i++)
        wide[i] = (double)want[i];
    assert_near(what, got, wide, count, tolerance_of(what));
    free(wide);
}

static bool seen[WS_OP_COUNT];

static void compare(const struct scenario *scenario, int64_t B, int64_t D)
{
    char what[96];
    snprintf(what, sizeof what, "%s, [%lld, %lld]", scenario->name, (long long)B, (long long)D);
    ws_plan *plan = NULL;
    OK(ws_plan_create(&plan));
    OK(ws_plan_finish(plan, scenario->build(plan, B, D)));
    for (size_t i = 0; i < plan->node_count; i++)
        seen[plan->nodes[i].op] = true;
    results host = run_at(&cpu, plan), device = run_at(&cuda, plan), again = run_at(&cuda, plan);
    assert_close(what, &device.loss, &host.loss, 1);
    assert_close(what, device.gradients, host.gradients, host.extent);
    assert_memory_equal(device.gradients, again.gradients, host.extent * sizeof *host.gradients);
    assert_memory_equal(&device.loss, &again.loss, sizeof device.loss);
    free(host.gradients);
    free(device.gradients);
    free(again.gradients);
    ws_plan_destroy(&plan);
}

static void every_operator_agrees_with_the_cpu(void **state)
{
    (void)state;
    static const int64_t shapes[][2] = {{1, 3}, {5, 7}, {35, 67}};
    for (size_t i = 0; i < SCENARIOS; i++)
        for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++)
            compare(&scenarios[i], shapes[s][0], shapes[s][1]);
    for (int i = 0; i < WS_OP_COUNT; i++)
        if (!seen[i])
            fail_msg("operator %s was not compared: add a scenario", ws_operator_table[i]->name);
}

/* The plain kernels, on a length that is no multiple of anything. */
enum { LENGTH = 3 * WS_NORM_BLOCK + 17 };

static ws_real *run_plain(const ws_place *place, int kernel)
{
    ws_real *host[4] = {0}, *memory[4] = {0};
    for (uint64_t i = 0; i < 4; i++) {
        OK(ws_alloc(&host[i], LENGTH, sizeof **host));
        fill_normal(host[i], LENGTH, 20 + i);
        for (size_t k = 0; i == 3 && k < LENGTH; k++)
            host[i][k] *= host[i][k]; /* second moments are not negative */
        OK(ws_place_allocate(place, &memory[i], LENGTH));
        ws_place_upload(place, memory[i], host[i], LENGTH);
    }
    if (kernel == 0)
        place->kernels->adamw(&(ws_adamw_arguments){.count = LENGTH,
                                                    .scale = (ws_real)0.7,
                                                    .share1 = (ws_real)0.1,
                                                    .share2 = (ws_real)0.01,
                                                    .step_size = (ws_real)0.01,
                                                    .root_correction = 2,
                                                    .epsilon = (ws_real)1e-8,
                                                    .decay = (ws_real)0.001,
                                                    .parameters = memory[0],
                                                    .gradients = memory[1],
                                                    .first_moment = memory[2],
                                                    .second_moment = memory[3]},
                              place->queue);
    else if (kernel == 1)
        ws_ema_step_at(place, 0.99, memory[0], memory[1], LENGTH);
    else
        ws_accumulate_at(place, memory[0], memory[1], LENGTH);
    for (int i = 0; i < 4; i++) {
        OK(ws_place_download(place, host[i], memory[i], LENGTH));
        ws_place_release(place, &memory[i]);
        if (i > 0)
            free(host[i]);
    }
    return host[0];
}

static void optimiser_steps_agree_with_the_cpu(void **state)
{
    (void)state;
    for (int kernel = 0; kernel < 3; kernel++) {
        ws_real *host = run_plain(&cpu, kernel), *device = run_plain(&cuda, kernel);
        assert_close("optimiser", device, host, LENGTH);
        free(host);
        free(device);
    }
}

static void gradient_norms_agree_with_the_cpu(void **state)
{
    (void)state;
    ws_real *values = NULL, *memory = NULL;
    double norm = 0;
    OK(ws_alloc(&values, LENGTH, sizeof *values));
    fill_normal(values, LENGTH, 30);
    OK(ws_place_allocate(&cuda, &memory, LENGTH));
    ws_place_upload(&cuda, memory, values, LENGTH);
    OK(ws_gradient_norm_at(&cuda, memory, LENGTH, &norm));
    double expected = ws_gradient_norm(values, LENGTH);
    assert_true(fabs(norm - expected) <= 1e-12 * expected);
    ws_place_release(&cuda, &memory);
    free(values);
}

int main(void)
{
    ws_accelerators gpu;
    ws_accelerators_look(&gpu);
    if (gpu.count == 0) {
        printf("skipped: %s\n", gpu.reason);
        return 77;
    }
    cpu = ws_place_cpu();
    if (ws_place_open(&cuda, WS_CUDA, 0) != WS_OK) {
        ws_error_print(WS_E_CUDA, true);
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_operator_agrees_with_the_cpu),
        cmocka_unit_test(optimiser_steps_agree_with_the_cpu),
        cmocka_unit_test(gradient_norms_agree_with_the_cpu),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    ws_place_close(&cuda);
    return failed;
}
