/* AdamW, gradient descent, moving average, gradient norm and schedule against plain formulas in double. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include "engine_test.h"

/* Two layers with odd sizes: runs with and without decay, and padding between. */
static ws_plan *two_layers(void)
{
    ws_plan *plan;
    OK(ws_plan_create(&plan));
    ws_tensor x = ws_input(plan, "x", 2, (int64_t[]){2, 13});
    ws_linear(plan, ws_layernorm(plan, ws_linear(plan, x, 37, WS_SILU, "in"), "norm"), 5, WS_NONE, "out");
    OK(ws_plan_finish(plan, WS_NO_TENSOR));
    return plan;
}

static void naive_adamw(const ws_adamw *o, double rate, double decay, double scale, int t, double *p, double gradient,
                        double *m, double *v)
{
    double g = scale * gradient;
    *m = o->beta1 * *m + (1 - o->beta1) * g;
    *v = o->beta2 * *v + (1 - o->beta2) * g * g;
    double first = *m / (1 - pow(o->beta1, t)), second = *v / (1 - pow(o->beta2, t));
    *p = *p - rate * decay * *p - rate * first / (sqrt(second) + o->epsilon);
}

static void adamw_at(ws_isa isa)
{
    ws_plan *plan = two_layers();
    ws_place place = place_of(isa);
    const ws_parameter *table;
    size_t count = ws_plan_parameters(plan, &table), extent = ws_plan_parameter_extent(plan);
    ws_real *p = guarded(extent), *g = guarded(extent), *m = guarded(extent), *v = guarded(extent);
    ws_real *average = guarded_normal(extent, 99);
    double *want = calloc(3 * extent, sizeof *want);
    ws_updater *updater = NULL;
    assert_non_null(want);
    OK(ws_updater_create(&updater, plan, &place));
    ws_plan_initialise(plan, 1, p);
    memset(m, 0, extent * sizeof *m);
    memset(v, 0, extent * sizeof *v);
    for (size_t i = 0; i < extent; i++)
        want[i] = (double)p[i];
    static const ws_adamw options = {.beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8, .weight_decay = 0.1};
    for (int t = 1; t <= 10; t++) {
        fill_normal(g, extent, (uint64_t)t);
        double rate = 0.01 * t, scale = 1.0 / t;
        for (size_t i = 0; i < count; i++)
            for (size_t k = table[i].offset; k < table[i].offset + table[i].count; k++)
                naive_adamw(&options, rate, table[i].decay ? 0.1 : 0, scale, t, &want[k], (double)g[k],
                            &want[extent + k], &want[2 * extent + k]);
        for (size_t i = 0; i < count; i++) /* as backward leaves it */
            for (size_t k = table[i].offset + table[i].count; k < (i + 1 < count ? table[i + 1].offset : extent); k++)
                g[k] = 0;
        const ws_update update = {
            .adamw = options, .rate = rate, .scale = scale, .average_decay = 0, .step = (uint64_t)t};
        ws_updater_set(updater, &place, &update);
        ws_updater_step(updater, &place, &(ws_update_state){p, m, v, average, g, NULL}, 0, extent);
    }
    for (size_t i = 0; i < extent; i++) /* which forgets all but the last */
        assert_true(fabs((double)average[i] - (double)p[i]) <= 1e-6 * (1 + fabs((double)p[i])));
    assert_near("parameters", p, want, extent, 2e-6);
    assert_near("first moment", m, want + extent, extent, 2e-6);
    assert_near("second moment", v, want + 2 * extent, extent, 2e-6);
    release(p, extent), release(g, extent), release(m, extent), release(v, extent), release(average, extent);
    ws_updater_destroy(&updater);
    free(want);
    ws_plan_destroy(&plan);
}

static void test_adamw_is_the_published_formula(void **state)
{
    (void)state;
    FOR_EACH_LEVEL(isa)
    adamw_at(isa);
}

static void test_sgd_walks_down_the_gradient(void **state)
{
    (void)state;
    FOR_EACH_LEVEL(isa)
    {
        ws_plan *plan = two_layers();
        ws_place place = place_of(isa);
        const ws_parameter *table;
        size_t count = ws_plan_parameters(plan, &table), extent = ws_plan_parameter_extent(plan);
        ws_real *p = guarded_normal(extent, 1), *g = guarded_normal(extent, 2);
        double *want = calloc(extent, sizeof *want);
        assert_non_null(want);
        for (size_t i = 0; i < extent; i++)
            want[i] = (double)p[i] - 0.5 * 0.125 * (double)g[i];
        for (size_t i = 0; i < count; i++)
            for (size_t k = table[i].offset; table[i].decay && k < table[i].offset + table[i].count; k++)
                want[k] -= 0.5 * 0.1 * (double)p[k];
        ws_updater *updater = NULL;
        ws_real *average = guarded_normal(extent, 99);
        const ws_update update = {.descent = true, .adamw.weight_decay = 0.1, .rate = 0.5, .scale = 0.125};
        OK(ws_updater_create(&updater, plan, &place));
        ws_updater_set(updater, &place, &update);
        ws_updater_step(updater, &place, &(ws_update_state){p, NULL, NULL, average, g, NULL}, 0, extent);
        ws_updater_destroy(&updater);
        release(average, extent);
        for (size_t i = 0; i < count; i++) /* what lies between them, decay may have touched */
            assert_near(table[i].name, p + table[i].offset, want + table[i].offset, table[i].count, 2e-7);
        release(p, extent), release(g, extent);
        free(want);
        ws_plan_destroy(&plan);
    }
}

static void test_moving_average_and_accumulation(void **state)
{
    (void)state;
    enum { N = 83 };
    FOR_EACH_LEVEL(isa)
    {
        ws_place place = place_of(isa);
        ws_real *average = guarded_normal(N, 1), *value = guarded_normal(N, 2);
        double want[N];
        for (int i = 0; i < N; i++)
            want[i] = (double)average[i] + (double)value[i];
        ws_accumulate_at(&place, average, value, N);
        assert_near("accumulate", average, want, N, 1e-7);
        for (int i = 0; i < N; i++)
            want[i] = 0.75 * (double)average[i] + 0.25 * (double)value[i];
        place.kernels->ema(&(ws_ema_arguments){N, (ws_real)0.25, 1, average, value}, place.queue);
        assert_near("average", average, want, N, 1e-7);
        release(average, N), release(value, N);
    }
}

static void test_gradient_norm(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 15, 4096, 4097, 5 * 4096 + 100, 200000};
    FOR_EACH_LEVEL(isa)
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        ws_place place = place_of(isa);
        ws_real *g = guarded_normal(sizes[s], s);
        double sum = 0, norm;
        for (size_t i = 0; i < sizes[s]; i++)
            sum += (double)g[i] * (double)g[i];
        OK(ws_gradient_norm_at(&place, g, sizes[s], &norm));
        assert_true(fabs(norm - sqrt(sum)) <= 1e-12 * norm);
        assert_true(ws_gradient_norm(g, sizes[s]) == ws_gradient_norm(g, sizes[s]));
        release(g, sizes[s]);
    }
    /* Sums in double: squares of 1e25 leave the range of float. */
    ws_real large[3] = {(ws_real)3e25, 0, (ws_real)4e25};
    assert_true(fabs(ws_gradient_norm(large, 3) / 5e25 - 1) < 1e-6);
    ws_real broken[2] = {1, (ws_real)NAN};
    assert_true(isnan(ws_gradient_norm(broken, 2)));
}

static void test_schedule(void **state)
{
    (void)state;
    double peak = 1e-3, floor = 1e-5;
    assert_true(fabs(ws_cosine_schedule(peak, floor, 100, 1000, 0) - peak / 100) < 1e-15);
    assert_true(fabs(ws_cosine_schedule(peak, floor, 100, 1000, 99) - peak) < 1e-15);
    assert_true(fabs(ws_cosine_schedule(peak, floor, 100, 1000, 100) - peak) < 1e-15);
    assert_true(fabs(ws_cosine_schedule(peak, floor, 100, 1000, 550) - (peak + floor) / 2) < 1e-15);
    assert_true(ws_cosine_schedule(peak, floor, 100, 1000, 999) < 1.01 * floor);
    assert_true(ws_cosine_schedule(peak, floor, 100, 1000, 1000) == floor);
    assert_true(ws_cosine_schedule(peak, floor, 100, 1000, 5000) == floor);
    assert_true(ws_cosine_schedule(peak, floor, 0, 1000, 0) == peak);
    for (uint64_t i = 100; i < 1000; i++)
        assert_true(ws_cosine_schedule(peak, floor, 100, 1000, i) >= ws_cosine_schedule(peak, floor, 100, 1000, i + 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_adamw_is_the_published_formula),
        cmocka_unit_test(test_sgd_walks_down_the_gradient),
        cmocka_unit_test(test_moving_average_and_accumulation),
        cmocka_unit_test(test_gradient_norm),
        cmocka_unit_test(test_schedule),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
