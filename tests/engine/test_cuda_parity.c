/* ctest: devices labels=gpu timeout=120
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
#include "engine/executor.h"
#include "scalar.h"
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
    return strstr(what, "bf16") ? 5e-3 : 1e-5;
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

/* Passes that are captured the second time they run, and then replayed, with another step's random numbers in between. */
static void replayed_passes_give_the_same_bits(void **state)
{
    (void)state;
    for (size_t i = 0; i < SCENARIOS; i++) {
        ws_plan *plan = NULL;
        ws_executor *executor = NULL;
        ws_real *parameters = NULL, *gradients = NULL, *got[2] = {0}, losses[2];
        OK(ws_plan_create(&plan));
        OK(ws_plan_finish(plan, scenarios[i].build(plan, 3, 8)));
        const size_t extent = ws_plan_parameter_extent(plan);
        OK(ws_place_allocate(&cuda, &parameters, extent));
        OK(ws_place_allocate(&cuda, &gradients, extent));
        for (int k = 0; k < 2; k++)
            OK(ws_alloc(&got[k], extent, sizeof **got));
        fill_parameters(plan, got[0]);
        ws_place_upload(&cuda, parameters, got[0], extent);
        OK(ws_executor_create_at(&executor, plan, &cuda));
        for (int pass = 0; pass < 4; pass++) { /* run, captured and replayed with other numbers, replayed as at first */
            const int k = pass < 3 ? 0 : 1;
            fill_inputs(plan, executor);
            ws_executor_set_random(executor, 3, pass == 1 || pass == 2 ? 8 : 7, 11);
            ws_executor_forward(executor, parameters);
            if (pass == 0 || pass == 3)
                losses[k] = ws_executor_loss(executor);
            ws_executor_backward(executor, parameters, gradients);
            OK(ws_executor_wait(executor));
            if (pass == 0 || pass == 3)
                OK(ws_place_download(&cuda, got[k], gradients, extent));
        }
        for (size_t k = 0; k < executor->pass_count; k++)
            if (executor->passes[k].repeat.graph == NULL)
                fail_msg("%s: pass %zu was not captured", scenarios[i].name, k);
        assert_int_equal(executor->pass_count, 2);
        assert_memory_equal(got[0], got[1], extent * sizeof **got);
        assert_memory_equal(&losses[0], &losses[1], sizeof losses[0]);
        ws_executor_destroy(&executor);
        ws_place_release(&cuda, &parameters);
        ws_place_release(&cuda, &gradients);
        free(got[0]);
        free(got[1]);
        ws_plan_destroy(&plan);
    }
}

/* ---- weights that the step has rounded already ---- */

/* Weights of products of bfloat16 factors in place of which there is nothing: their rounded copies are all that products have. */
static void take_away_weights(const ws_plan *plan, ws_real *parameters)
{
    for (size_t i = 0; i < plan->node_count; i++) {
        const ws_node *node = &plan->nodes[i];
        if (node->op != WS_OP_linear || node->precision != WS_BF16)
            continue;
        const ws_parameter *weight = &plan->parameters[node->parameters[0]];
        for (size_t k = 0; k < weight->count; k++)
            parameters[weight->offset + k] = (ws_real)NAN;
    }
}

/* Gradients and the loss of a pass that runs, one that is captured and one that is replayed. */
static void pass_thrice(const ws_plan *plan, const ws_real *parameters, bool rounded, ws_real *out)
{
    const size_t extent = ws_plan_parameter_extent(plan);
    ws_real *values = NULL, *there = NULL, *gradients = NULL;
    uint16_t *copy = NULL;
    ws_executor *executor = NULL;
    OK(ws_alloc(&values, extent, sizeof *values));
    OK(ws_place_allocate(&cuda, &there, extent));
    OK(ws_place_allocate(&cuda, &gradients, extent));
    OK(ws_place_allocate_rounded(&cuda, &copy, extent));
    memcpy(values, parameters, extent * sizeof *values);
    ws_place_upload(&cuda, there, values, extent);
    ws_place_round(&cuda, copy, there, extent);
    OK(ws_place_wait(&cuda));
    if (rounded)
        take_away_weights(plan, values);
    ws_place_upload(&cuda, there, values, extent);
    OK(ws_executor_create_at(&executor, plan, &cuda));
    ws_executor_set_rounded(executor, rounded ? copy : NULL);
    for (int pass = 0; pass < 3; pass++, out += extent + 1) {
        fill_inputs(plan, executor);
        ws_executor_forward(executor, there);
        ws_executor_backward(executor, there, gradients);
        out[extent] = ws_executor_loss(executor);
        OK(ws_place_download(&cuda, out, gradients, extent));
    }
    ws_executor_destroy(&executor);
    ws_place_release(&cuda, &there);
    ws_place_release(&cuda, &gradients);
    ws_place_release_rounded(&cuda, &copy);
    free(values);
}

static void products_take_weights_that_are_rounded_already(void **state)
{
    (void)state;
    int compared = 0;
    for (size_t i = 0; i < SCENARIOS; i++) {
        ws_plan *plan = NULL;
        ws_real *parameters = NULL, *own, *given;
        OK(ws_plan_create(&plan));
        ws_plan_set_precision(plan, WS_BF16); /* of every scenario's products */
        OK(ws_plan_finish(plan, scenarios[i].build(plan, 5, 7)));
        const size_t extent = ws_plan_parameter_extent(plan), room = 3 * (extent + 1);
        OK(ws_alloc(&parameters, extent + 2 * room, sizeof *parameters));
        own = parameters + extent;
        given = own + room;
        fill_parameters(plan, parameters);
        pass_thrice(plan, parameters, false, own);
        pass_thrice(plan, parameters, true, given);
        for (size_t k = 0; k < room; k++)
            if (memcmp(&own[k], &given[k], sizeof *own) != 0)
                fail_msg("%s: number %zu is %g where products round weights, %g where they are rounded already",
                         scenarios[i].name, k, (double)own[k], (double)given[k]);
        compared += plan->extent > 0;
        free(parameters);
        ws_plan_destroy(&plan);
    }
    assert_true(compared > 0);
}

enum { LENGTH = 3 * WS_NORM_BLOCK + 17 }; /* no multiple of anything */

static void sums_agree_with_the_cpu(void **state)
{
    (void)state;
    static ws_real sum[LENGTH], value[LENGTH], got[LENGTH];
    ws_real *memory[2];
    fill_normal(sum, LENGTH, 20);
    fill_normal(value, LENGTH, 21);
    for (int i = 0; i < 2; i++) {
        OK(ws_place_allocate(&cuda, &memory[i], LENGTH));
        ws_place_upload(&cuda, memory[i], i == 0 ? sum : value, LENGTH);
    }
    ws_accumulate_at(&cuda, memory[0], memory[1], LENGTH);
    ws_accumulate_at(&cpu, sum, value, LENGTH);
    OK(ws_place_download(&cuda, got, memory[0], LENGTH));
    assert_memory_equal(got, sum, sizeof sum);
    ws_place_release(&cuda, &memory[0]);
    ws_place_release(&cuda, &memory[1]);
}

/* ---- the optimiser's step: the third is a captured one, replayed with the numbers of another step ---- */

enum { BUFFERS = 5, UPDATES = 3 };

typedef struct updating {
    const ws_place *place;
    ws_updater *updater;
    ws_real *buffer[BUFFERS];
    uint16_t *rounded; /* NULL on the CPU */
    size_t extent;
} updating;

/* In two slices, as buckets are. */
static void update_slices(void *context)
{
    const updating *u = context;
    const ws_update_state state = {u->buffer[0], u->buffer[1], u->buffer[2], u->buffer[3], u->buffer[4], u->rounded};
    const size_t first = u->extent / 32 * 16;
    ws_updater_step(u->updater, u->place, &state, 0, first);
    ws_updater_step(u->updater, u->place, &state, first, u->extent - first);
}

static void assert_rounded(const updating *u, const ws_real *parameters)
{
    uint16_t *copy = NULL;
    OK(ws_alloc(&copy, u->extent, sizeof *copy));
    u->place->device->download(u->place->queue, copy, u->rounded, u->extent * sizeof *copy);
    OK(ws_place_wait(u->place));
    for (size_t i = 0; i < u->extent; i++)
        assert_int_equal(copy[i], ws_bf16_bits(parameters[i]));
    free(copy);
}

/* Parameters, moments and average after the steps, one behind the other. */
static ws_real *update_at(const ws_place *place, const ws_plan *plan, bool descent)
{
    updating u = {.place = place, .extent = ws_plan_parameter_extent(plan)};
    ws_real *values = NULL;
    ws_repeat repeat = {.warm = false};
    OK(ws_alloc(&values, BUFFERS * u.extent, sizeof *values));
    OK(ws_updater_create(&u.updater, plan, place));
    fill_normal(values, BUFFERS * u.extent, 20);
    for (size_t i = 2 * u.extent; i < 3 * u.extent; i++)
        values[i] *= values[i]; /* second moments are not negative */
    for (size_t i = 0; i < BUFFERS; i++) {
        OK(ws_place_allocate(place, &u.buffer[i], u.extent));
        ws_place_upload(place, u.buffer[i], values + i * u.extent, u.extent);
    }
    if (place->backend == WS_CUDA)
        OK(ws_place_allocate_rounded(place, &u.rounded, u.extent));
    for (uint64_t k = 1; k <= UPDATES; k++) {
        const ws_update update = {descent, {0.9, 0.99, 1e-8, 0.1}, 0.01 / (double)k, 0.7 * (double)k, 0.5, 0.9, k};
        ws_updater_set(u.updater, place, &update);
        ws_repeat_run(&repeat, place, update_slices, &u);
    }
    assert_true((repeat.graph != NULL) == (place->backend == WS_CUDA));
    for (size_t i = 0; i < BUFFERS; i++) {
        OK(ws_place_download(place, values + i * u.extent, u.buffer[i], u.extent));
        ws_place_release(place, &u.buffer[i]);
    }
    if (u.rounded)
        assert_rounded(&u, values);
    ws_place_release_rounded(place, &u.rounded);
    ws_repeat_forget(&repeat, place);
    ws_updater_destroy(&u.updater);
    return values;
}

static void optimiser_steps_agree_with_the_cpu(void **state)
{
    (void)state;
    bool kinds[2][2] = {{false}}; /* decay, statistic */
    for (size_t i = 0; i < SCENARIOS; i++) {
        ws_plan *plan = NULL;
        OK(ws_plan_create(&plan));
        OK(ws_plan_finish(plan, scenarios[i].build(plan, 5, 7)));
        for (size_t k = 0; k < plan->step_count; k++)
            kinds[plan->steps[k].decay][plan->steps[k].statistic] = true;
        for (int descent = 0; descent < 2 && plan->extent > 0; descent++) {
            ws_real *host = update_at(&cpu, plan, descent), *device = update_at(&cuda, plan, descent);
            assert_close(scenarios[i].name, device, host, BUFFERS * plan->extent);
            free(host);
            free(device);
        }
        ws_plan_destroy(&plan);
    }
    assert_true(kinds[0][0] && kinds[1][0] && kinds[0][1]);
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

/* ---- gather_rows backward: many indices, some of them almost everywhere ---- */

enum { MOST_INDICES = 1000, GATHER_T = 37, GATHER_D = 5, GATHER_B = 2 };

/* Which: 0 spread out, 1 nearly all one, 2 all one, 3 long runs in falling order, 4 nearly all left out. */
static int32_t index_of(int which, int64_t i, int64_t K)
{
    switch (which) {
    case 0:
        return (int32_t)(i * 7919 % 41) - 4; /* some below 0 */
    case 1:
        return i % 50 == 7 ? (int32_t)(i % GATHER_T) : 11;
    case 2:
        return GATHER_T - 1;
    case 3:
        return (int32_t)((K - 1 - i % K) / 90);
    default:
        return i % 200 == 3 ? 0 : -1;
    }
}

static void gather_backward(const int32_t *index, const ws_real *dy, int64_t K, ws_real *dx)
{
    size_t rows = (size_t)(GATHER_B * K), out = rows * GATHER_D, in = GATHER_B * GATHER_T * GATHER_D;
    size_t edges = (size_t)(GATHER_B * ws_gather_rows_pieces(K) * 2 * GATHER_D);
    ws_real *on_dy, *on_dx, *on_edges, *on_index, *on_order; /* indices are as large as reals */
    OK(ws_place_allocate(&cuda, &on_dy, out));
    OK(ws_place_allocate(&cuda, &on_dx, in));
    OK(ws_place_allocate(&cuda, &on_edges, edges));
    OK(ws_place_allocate(&cuda, &on_index, rows));
    OK(ws_place_allocate(&cuda, &on_order, 2 * rows));
    ws_place_upload(&cuda, on_dy, dy, out);
    ws_place_upload(&cuda, on_dx, dx, in);
    cuda.device->upload(cuda.queue, on_index, index, rows * sizeof *index);
    ws_gather_rows_arguments a = {.B = GATHER_B, .T = GATHER_T, .K = K, .D = GATHER_D, .accumulate_dx = true};
    a.index = (const int32_t *)(const void *)on_index;
    a.order = (int32_t *)(void *)on_order;
    a.edges = on_edges;
    a.dy = on_dy;
    a.dx = on_dx;
    cuda.kernels->gather_rows_backward(&a, cuda.queue);
    OK(ws_place_download(&cuda, dx, on_dx, in));
    ws_place_release(&cuda, &on_dy), ws_place_release(&cuda, &on_dx), ws_place_release(&cuda, &on_edges);
    ws_place_release(&cuda, &on_index), ws_place_release(&cuda, &on_order);
}

static void compare_gathered(int which, int64_t K)
{
    enum { IN = GATHER_B * GATHER_T * GATHER_D };
    static ws_real dy[GATHER_B * MOST_INDICES * GATHER_D], first[IN], second[IN];
    static int32_t index[GATHER_B * MOST_INDICES];
    double want[IN];
    char what[64];
    snprintf(what, sizeof what, "gather_rows dx, indices of kind %d, %d of them", which, (int)K);
    fill_normal(dy, (size_t)(GATHER_B * K * GATHER_D), 40);
    fill_normal(first, IN, 41); /* added to */
    memcpy(second, first, sizeof second);
    for (int i = 0; i < IN; i++)
        want[i] = (double)first[i];
    for (int64_t i = 0; i < GATHER_B * K; i++) {
        index[i] = index_of(which, i, K);
        for (int64_t d = 0; d < GATHER_D && index[i] >= 0; d++)
            want[(i / K * GATHER_T + index[i]) * GATHER_D + d] += (double)dy[i * GATHER_D + d];
    }
    gather_backward(index, dy, K, first);
    gather_backward(index, dy, K, second);
    assert_near(what, first, want, IN, 2e-6);
    assert_memory_equal(first, second, sizeof first);
}

static void gradients_of_many_gathered_rows(void **state)
{
    (void)state;
    static const int64_t counts[] = {1, 63, 64, 65, 128, 129, 300, MOST_INDICES};
    for (int which = 0; which < 5; which++)
        for (size_t k = 0; k < sizeof counts / sizeof *counts; k++)
            compare_gathered(which, counts[k]);
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
        cmocka_unit_test(replayed_passes_give_the_same_bits),
        cmocka_unit_test(optimiser_steps_agree_with_the_cpu),
        cmocka_unit_test(gradient_norms_agree_with_the_cpu),
        cmocka_unit_test(gradients_of_many_gathered_rows),
        cmocka_unit_test(sums_agree_with_the_cpu),
        cmocka_unit_test(products_take_weights_that_are_rounded_already),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    ws_place_close(&cuda);
    return failed;
}
