/* ctest: labels=gpu timeout=120
 * Every operator gives on a CUDA device what it gives on the CPU, to rounding, and the same bits when it runs twice.
 * The list of operators is ops.def: one without a plan here does not compile.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include "cluster/cluster.h"
#include "engine_test.h"

static ws_place cpu, cuda;

/* A plan of B rows and width D around one operator; parameters stand before it, so that its input gradients are seen.
 */
typedef ws_tensor (*build_function)(ws_plan *plan, int64_t B, int64_t D, int variant);

static ws_tensor rows(ws_plan *plan, const char *name, int64_t B, int64_t D)
{
    return ws_input(plan, name, 2, (int64_t[]){B, D});
}

static ws_tensor layer(ws_plan *plan, int64_t B, int64_t D, const char *name)
{
    return ws_linear(plan, rows(plan, name, B, 20), D, WS_NONE, name);
}

static ws_tensor close_plan(ws_plan *plan, ws_tensor y, int64_t B, int64_t width)
{
    ws_plan_output(plan, y, "y");
    return ws_mse(plan, y, rows(plan, "target", B, width));
}

static ws_tensor build_linear(ws_plan *plan, int64_t B, int64_t D, int variant)
{
    ws_tensor y = ws_linear(plan, layer(plan, B, 13, "in"), D, (ws_activation)variant, "own");
    return close_plan(plan, y, B, D);
}

static ws_tensor build_layernorm(ws_plan *plan, int64_t B, int64_t D, int variant)
{
    (void)variant;
    return close_plan(plan, ws_layernorm(plan, layer(plan, B, D, "in"), "own"), B, D);
}

/* variant 1: of a tensor with itself; 2: the tensor has a second consumer, so gradients are accumulated */
static ws_tensor build_add(ws_plan *plan, int64_t B, int64_t D, int variant)
{
    ws_tensor a = layer(plan, B, D, "a"), b = variant == 1 ? a : layer(plan, B, D, "b");
    ws_tensor y = ws_add(plan, a, b);
    return close_plan(plan, variant == 2 ? ws_add(plan, y, a) : y, B, D);
}

static ws_tensor build_activate(ws_plan *plan, int64_t B, int64_t D, int variant)
{
    ws_tensor x = layer(plan, B, D, "in");
    ws_tensor y = ws_activate(plan, x, (ws_activation)variant);
    return close_plan(plan, ws_add(plan, y, x), B, D);
}

static ws_tensor build_concat(ws_plan *plan, int64_t B, int64_t D, int variant)
{
    ws_tensor a = layer(plan, B, D, "a"), b = variant == 1 ? a : layer(plan, B, D + 3, "b");
    return close_plan(plan, ws_concat(plan, a, b), B, variant == 1 ? 2 * D : 2 * D + 3);
}

static ws_tensor build_mse(ws_plan *plan, int64_t B, int64_t D, int variant)
{
    ws_tensor a = layer(plan, B, D, "a"), b = variant == 1 ? layer(plan, B, D, "b") : rows(plan, "target", B, D);
    ws_plan_output(plan, a, "y");
    return ws_mse(plan, a, b);
}

static ws_tensor build_cross_entropy(ws_plan *plan, int64_t B, int64_t D, int variant)
{
    (void)variant;
    ws_tensor logits = layer(plan, B, D, "in");
    ws_plan_output(plan, logits, "y");
    return ws_cross_entropy(plan, logits, ws_input_index(plan, "index", B));
}

static const struct {
    const char *name;
    build_function build;
} operators[] = {
#define OP(name) {#name, build_##name},
#include "engine/ops.def"
#undef OP
};
static const int variants[] = {[WS_OP_linear] = WS_ACTIVATION_COUNT,
                               [WS_OP_activate] = WS_ACTIVATION_COUNT,
                               [WS_OP_layernorm] = 1,
                               [WS_OP_add] = 3,
                               [WS_OP_concat] = 2,
                               [WS_OP_mse] = 2,
                               [WS_OP_cross_entropy] = 1};

/* What one run gives: gradients of all parameters, the output "y", the loss. */
typedef struct results {
    size_t extent, outputs;
    ws_real *gradients, *y, loss;
} results;

static void fill_inputs(ws_executor *executor, int64_t B, int64_t D)
{
    static const char *const names[] = {"in", "a", "b"};
    for (uint64_t i = 0; i < 3; i++) {
        ws_real *input = ws_executor_input(executor, names[i]);
        if (input)
            fill_normal(input, (size_t)(B * 20), i);
    }
    ws_real *target = ws_executor_input(executor, "target");
    if (target)
        fill_normal(target, (size_t)(B * D), 9);
    int32_t *index = ws_executor_input_index(executor, "index");
    for (int64_t b = 0; index && b < B; b++)
        index[b] = b % 5 == 3 ? -1 : (int32_t)(ws_mix64((uint64_t)b) % (uint64_t)D); /* some rows are ignored */
}

static results run_at(const ws_place *place, const ws_plan *plan, int64_t B, int64_t D, size_t outputs)
{
    results r = {.extent = ws_plan_parameter_extent(plan), .outputs = outputs};
    ws_real *initial = NULL, *parameters = NULL, *gradients = NULL;
    OK(ws_alloc(&initial, r.extent, sizeof *initial));
    OK(ws_alloc(&r.gradients, r.extent, sizeof *r.gradients));
    OK(ws_alloc(&r.y, outputs, sizeof *r.y));
    const ws_parameter *table = NULL;
    size_t count = ws_plan_parameters(plan, &table);
    for (size_t i = 0; i < count; i++) /* also what starts as 0 or 1 */
        fill_normal(initial + table[i].offset, table[i].count, 40 + i);
    OK(ws_place_allocate(place, &parameters, r.extent));
    OK(ws_place_allocate(place, &gradients, r.extent));
    ws_place_upload(place, parameters, initial, r.extent);
    OK(ws_place_wait(place));
    ws_executor *executor = NULL;
    OK(ws_executor_create_at(&executor, plan, place));
    fill_inputs(executor, B, D);
    ws_executor_forward(executor, parameters);
    ws_executor_backward(executor, parameters, gradients);
    OK(ws_executor_wait(executor));
    r.loss = ws_executor_loss(executor);
    memcpy(r.y, ws_executor_output(executor, "y"), outputs * sizeof *r.y);
    OK(ws_place_download(place, r.gradients, gradients, r.extent));
    ws_executor_destroy(&executor);
    ws_place_release(place, &parameters);
    ws_place_release(place, &gradients);
    free(initial);
    return r;
}

static void release_results(results *r)
{
    free(r->gradients);
    free(r->y);
}

static void assert_close(const char *what, const ws_real *got, const ws_real *want, size_t count)
{
    double *wide = NULL;
    OK(ws_alloc(&wide, count, sizeof *wide));
    for (size_t i = 0; i < count; i++)
        wide[i] = (double)want[i];
    assert_near(what, got, wide, count, 2e-5);
    free(wide);
}

static void compare(size_t op, int variant, int64_t B, int64_t D)
{
    char what[96];
    snprintf(what, sizeof what, "%s, variant %d, [%lld, %lld]", operators[op].name, variant, (long long)B,
             (long long)D);
    ws_plan *plan = NULL;
    OK(ws_plan_create(&plan));
    ws_tensor loss = operators[op].build(plan, B, D, variant);
    OK(ws_plan_finish(plan, loss));
    int64_t width = D;
    if (op == WS_OP_concat)
        width = variant == 1 ? 2 * D : 2 * D + 3;
    size_t outputs = (size_t)(B * width);
    results host = run_at(&cpu, plan, B, width, outputs), device = run_at(&cuda, plan, B, width, outputs),
            again = run_at(&cuda, plan, B, width, outputs);
    assert_close(what, device.y, host.y, outputs);
    assert_close(what, &device.loss, &host.loss, 1);
    assert_close(what, device.gradients, host.gradients, host.extent);
    assert_memory_equal(device.gradients, again.gradients, host.extent * sizeof *host.gradients);
    assert_memory_equal(device.y, again.y, outputs * sizeof *device.y);
    assert_memory_equal(&device.loss, &again.loss, sizeof device.loss);
    release_results(&host);
    release_results(&device);
    release_results(&again);
    ws_plan_destroy(&plan);
}

static void every_operator_agrees_with_the_cpu(void **state)
{
    (void)state;
    static const int64_t shapes[][2] = {{1, 2}, {5, 7}, {33, 64}, {100, 259}};
    for (size_t op = 0; op < WS_OP_COUNT; op++)
        for (int variant = 0; variant < variants[op]; variant++)
            for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++)
                compare(op, variant, shapes[s][0], shapes[s][1]);
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
