/* Every operator's forward kernel against a naive loop in double, at every instruction set level the machine runs; and
 * what the backward kernels promise: the levels agree, two runs give the same bits, nothing is written past the ends.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include "engine_test.h"
#include "scalar.h"

static const int64_t row_counts[] = {1, 3, 17, 70}, widths[] = {1, 3, 16, 17, 33, 64};
#define FOR_EACH_SHAPE(B, D)                                                                                           \
    for (size_t b_ = 0; b_ < sizeof row_counts / sizeof *row_counts; b_++)                                             \
        for (size_t d_ = 0; d_ < sizeof widths / sizeof *widths; d_++)                                                 \
            for (int64_t B = row_counts[b_], D = widths[d_], once_ = 1; once_; once_ = 0)

static double *doubles(size_t count)
{
    double *out = NULL;
    OK(WS_NEW_ARRAY(out, count));
    return out;
}

static double activation_of(ws_activation activation, double z)
{
    switch (activation) {
    case WS_RELU:
        return z > 0 ? z : 0;
    case WS_SILU:
        return z / (1 + exp(-z));
    case WS_GELU:
        return 0.5 * z * (1 + tanh(sqrt(2 / 3.14159265358979323846) * (z + 0.044715 * z * z * z)));
    case WS_TANH:
        return tanh(z);
    case WS_SIGMOID:
        return 1 / (1 + exp(-z));
    case WS_LEAKY_RELU:
        return z > 0 ? z : 0.01 * z;
    default:
        return z;
    }
}

/* ---- forward ---- */

static void linear_forward(ws_isa isa, int64_t B, int64_t K, ws_activation activation, bool keep)
{
    int64_t N = 19;
    size_t y_count = (size_t)(B * N);
    ws_real *x = guarded_normal((size_t)(B * K), 1), *weight = guarded_normal((size_t)(N * K), 2);
    ws_real *bias = guarded_normal((size_t)N, 3), *y = guarded(y_count), *z = guarded(y_count);
    double *want = doubles(y_count), *want_z = doubles(y_count);
    for (int64_t b = 0; b < B; b++)
        for (int64_t n = 0; n < N; n++) {
            double sum = (double)bias[n];
            for (int64_t k = 0; k < K; k++)
                sum += (double)x[b * K + k] * (double)weight[n * K + k];
            want_z[b * N + n] = sum;
            want[b * N + n] = activation_of(activation, sum);
        }
    ws_linear_arguments a = {.B = B, .K = K, .N = N, .activation = activation, .x = x, .weight = weight, .bias = bias};
    a.y = y;
    a.z = keep ? z : NULL;
    ws_kernels_of(isa)->linear_forward(&a, NULL);
    assert_near("linear y", y, want, y_count, 2e-6);
    if (keep)
        assert_near("linear z", z, want_z, y_count, 2e-6);
    release(x, (size_t)(B * K)), release(weight, (size_t)(N * K)), release(bias, (size_t)N);
    release(y, y_count), release(z, y_count);
    free(want), free(want_z);
}

static void test_linear_forward(void **state)
{
    (void)state;
    FOR_EACH_LEVEL(isa)
    FOR_EACH_SHAPE(B, K)
    for (int activation = 0; activation < WS_ACTIVATION_COUNT; activation++)
        for (int keep = 0; keep < 2; keep++)
            linear_forward(isa, B, K, (ws_activation)activation, keep);
}

static void test_layernorm_forward(void **state)
{
    (void)state;
    FOR_EACH_LEVEL(isa)
    FOR_EACH_SHAPE(B, D)
    {
        size_t count = (size_t)(B * D);
        ws_real *x = guarded_normal(count, 1), *weight = guarded_normal((size_t)D, 2);
        ws_real *bias = guarded_normal((size_t)D, 3), *y = guarded(count);
        ws_real *mean = guarded((size_t)B), *rstd = guarded((size_t)B);
        double *want = doubles(count);
        for (int64_t b = 0; b < B; b++) {
            double m = 0, v = 0;
            for (int64_t k = 0; k < D; k++)
                m += (double)x[b * D + k] / (double)D;
            for (int64_t k = 0; k < D; k++)
                v += ((double)x[b * D + k] - m) * ((double)x[b * D + k] - m) / (double)D;
            for (int64_t k = 0; k < D; k++)
                want[b * D + k] = ((double)x[b * D + k] - m) / sqrt(v + 1e-5) * (double)weight[k] + (double)bias[k];
        }
        ws_layernorm_arguments a = {.B = B, .D = D, .epsilon = 1e-5, .x = x, .weight = weight, .bias = bias, .y = y};
        ws_kernels_of(isa)->layernorm_forward(&a, NULL);
        assert_near("layernorm, nothing kept", y, want, count, 3e-6);
        memset(y, 0xff, count * sizeof *y);
        a.mean = mean;
        a.rstd = rstd;
        ws_kernels_of(isa)->layernorm_forward(&a, NULL);
        assert_near("layernorm", y, want, count, 3e-6);
        release(x, count), release(weight, (size_t)D), release(bias, (size_t)D), release(y, count);
        release(mean, (size_t)B), release(rstd, (size_t)B);
        free(want);
    }
}

static void test_pointwise_forward(void **state)
{
    (void)state;
    FOR_EACH_LEVEL(isa)
    FOR_EACH_SHAPE(B, D)
    {
        size_t count = (size_t)(B * D), both = count + (size_t)(B * 5);
        ws_real *a = guarded_normal(count, 1), *b = guarded_normal(count, 2), *c = guarded_normal((size_t)(B * 5), 3);
        ws_real *y = guarded(count), *wide = guarded(both);
        double *want = doubles(both);
        for (size_t i = 0; i < count; i++)
            want[i] = (double)a[i] + (double)b[i];
        ws_kernels_of(isa)->add_forward(&(ws_add_arguments){.count = B * D, .a = a, .b = b, .y = y}, NULL);
        assert_near("add", y, want, count, 1e-7);
        for (int k = 0; k < WS_ACTIVATION_COUNT; k++) {
            for (size_t i = 0; i < count; i++)
                want[i] = activation_of((ws_activation)k, (double)a[i]);
            ws_activate_arguments arguments = {.count = B * D, .activation = (ws_activation)k, .x = a, .y = y};
            ws_kernels_of(isa)->activate_forward(&arguments, NULL);
            assert_near("activate", y, want, count, 4e-7);
        }
        for (int64_t r = 0; r < B; r++)
            for (int64_t k = 0; k < D + 5; k++)
                want[r * (D + 5) + k] = (double)(k < D ? a[r * D + k] : c[r * 5 + k - D]);
        ws_concat_arguments sides = {.B = B, .A_width = D, .B_width = 5, .a = a, .b = c, .y = wide};
        ws_kernels_of(isa)->concat_forward(&sides, NULL);
        assert_near("concat", wide, want, both, 0);
        release(a, count), release(b, count), release(c, (size_t)(B * 5)), release(y, count), release(wide, both);
        free(want);
    }
}

static void test_losses_forward(void **state)
{
    (void)state;
    FOR_EACH_LEVEL(isa)
    FOR_EACH_SHAPE(B, C)
    {
        size_t count = (size_t)(B * C);
        ws_real *x = guarded_normal(count, 1), *target = guarded_normal(count, 2), *loss = guarded(1);
        ws_real *scratch = guarded(WS_LOSS_PARTS), *log_sum = guarded((size_t)B), *scale = guarded(1);
        ws_real *rows = guarded((size_t)B);
        double want = 0;
        for (size_t i = 0; i < count; i++)
            want += pow((double)x[i] - (double)target[i], 2) / (double)count;
        ws_mse_arguments m = {.count = B * C, .prediction = x, .target = target, .loss = loss, .scratch = scratch};
        ws_kernels_of(isa)->mse_forward(&m, NULL);
        assert_near("mse", loss, &want, 1, 1e-6);

        int32_t index[70];
        double sum = 0, counted = 0;
        for (int64_t b = 0; b < B; b++) {
            index[b] = b % 3 == 1 ? -1 : (int32_t)(b % C);
            if (index[b] < 0)
                continue;
            double total = 0;
            for (int64_t c = 0; c < C; c++) {
                x[b * C + c] += 300; /* exp of which float cannot hold */
                total += exp((double)x[b * C + c] - 300);
            }
            sum += log(total) + 300 - (double)x[b * C + index[b]];
            counted++;
        }
        want = sum / counted;
        ws_cross_entropy_arguments e = {.B = B, .C = C, .logits = x, .index = index, .loss = loss, .scratch = rows};
        ws_kernels_of(isa)->cross_entropy_forward(&e, NULL);
        /* logits of 300 carry 3e-5 of rounding */
        assert_true(fabs((double)loss[0] - want) <= 4e-5);
        e.log_sum = log_sum;
        e.row_scale = scale;
        ws_kernels_of(isa)->cross_entropy_forward(&e, NULL);
        assert_true(fabs((double)loss[0] - want) <= 4e-5);
        index[0] = (int32_t)C; /* a class that is not there must not pass unseen */
        ws_kernels_of(isa)->cross_entropy_forward(&e, NULL);
        assert_true(isnan(loss[0]));
        for (int64_t b = 0; b < B; b++)
            index[b] = -1;
        ws_kernels_of(isa)->cross_entropy_forward(&e, NULL);
        assert_true(loss[0] == 0);
        release(x, count), release(target, count), release(loss, 1), release(scratch, WS_LOSS_PARTS);
        release(log_sum, (size_t)B), release(scale, 1), release(rows, (size_t)B);
    }
}

/* ---- elementary functions ---- */

static double ulps(float got, double want)
{
    double unit = nextafterf(fabsf((float)want), INFINITY) - fabsf((float)want);
    return fabs((double)got - want) / unit;
}

static void test_elementary_functions_are_within_two_ulp(void **state)
{
    (void)state;
    double exp_worst = 0, tanh_worst = 0, log_worst = 0;
    for (int i = -870000; i <= 880000; i += 7) {
        float x = (float)i * 1e-4f;
        exp_worst = fmax(exp_worst, ulps(ws_exp(x), exp((double)x)));
        tanh_worst = fmax(tanh_worst, ulps(ws_tanh(x / 8), tanh((double)x / 8)));
        float y = expf(x);
        log_worst = fmax(log_worst, ulps(ws_log(y), log((double)y)));
    }
    print_message("worst error in ulp: exp %.2f, tanh %.2f, log %.2f\n", exp_worst, tanh_worst, log_worst);
    assert_true(exp_worst <= 2);
    assert_true(tanh_worst <= 2.5);
    assert_true(log_worst <= 2);
    assert_true(ws_exp(-200) == 0);
    assert_true(isinf(ws_exp(200)) && isinf(ws_exp(INFINITY)));
    assert_true(ws_exp(-INFINITY) == 0);
    assert_true(isnan(ws_exp(NAN)) && isnan(ws_tanh(NAN)) && isnan(ws_relu(NAN)) && isnan(ws_leaky_relu(NAN)) &&
                isnan(ws_silu(NAN)));
    assert_true(ws_tanh(50) == 1 && ws_tanh(-50) == -1 && ws_tanh(0) == 0);
    assert_true(ws_silu(-200) == 0 && ws_gelu(-200) == 0 && ws_gelu(200) == 200);
}

static void test_activations_at_the_ends_of_the_range(void **state)
{
    (void)state;
    enum { N = 40 };
    FOR_EACH_LEVEL(isa)
    for (int k = 1; k < WS_ACTIVATION_COUNT; k++) {
        ws_real *x = guarded(N), *y = guarded(N); /* x is all NaN so far: it must come through */
        ws_activate_arguments a = {.count = N, .activation = (ws_activation)k, .x = x, .y = y};
        static const float ends[] = {-1e30F, -200, -90, -1e-30F, 0, 1e-30F, 90, 200, 1e30F};
        for (size_t i = 0; i < 9; i++)
            x[i] = x[20 + i] = (ws_real)ends[i];
        ws_kernels_of(isa)->activate_forward(&a, NULL);
        for (size_t i = 0; i < N; i++) {
            if (isnan(x[i])) {
                assert_true(isnan(y[i]));
                continue;
            }
            double top = k == WS_TANH || k == WS_SIGMOID ? 1 : (double)x[i];
            double want = x[i] > 1    ? top
                          : x[i] < -1 ? (k == WS_TANH         ? -1
                                         : k == WS_LEAKY_RELU ? 0.01 * (double)x[i]
                                                              : 0)
                                      : activation_of(a.activation, (double)x[i]);
            assert_true(fabs((double)y[i] - want) <= 1e-7 * fabs(want));
        }
        release(x, N), release(y, N);
    }
}

/* ---- backward: a plan that uses every operator, at every level ---- */

static ws_plan *everything(int64_t B)
{
    ws_plan *plan;
    OK(ws_plan_create(&plan));
    ws_tensor x = ws_input(plan, "x", 2, (int64_t[]){B, 11});
    ws_tensor h = ws_linear(plan, x, 37, WS_SILU, "in");
    h = ws_add(plan, h, ws_linear(plan, ws_layernorm(plan, h, "norm"), 37, WS_GELU, "mid"));
    h = ws_concat(plan, ws_activate(plan, h, WS_TANH), ws_linear(plan, x, 5, WS_RELU, "side"));
    ws_tensor classes =
        ws_cross_entropy(plan, ws_linear(plan, h, 7, WS_NONE, "head"), ws_input_index(plan, "class", B));
    ws_tensor target = ws_input(plan, "u", 2, (int64_t[]){B, 11});
    ws_tensor error = ws_mse(plan, ws_linear(plan, h, 11, WS_TANH, "out"), target);
    OK(ws_plan_finish(plan, ws_add(plan, classes, error)));
    return plan;
}

static ws_real *gradients_of(const ws_plan *plan, ws_isa isa, int64_t B)
{
    ws_place place = place_of(isa);
    ws_executor *x;
    OK(ws_executor_create_at(&x, plan, &place));
    fill_normal(ws_executor_input(x, "x"), (size_t)(B * 11), 1);
    fill_normal(ws_executor_input(x, "u"), (size_t)(B * 11), 2);
    for (int64_t b = 0; b < B; b++)
        ws_executor_input_index(x, "class")[b] = (int32_t)(b % 8) - 1;
    size_t extent = ws_plan_parameter_extent(plan);
    ws_real *parameters = guarded(extent), *gradients = guarded(extent);
    ws_plan_initialise(plan, 3, parameters);
    ws_executor_forward(x, parameters);
    ws_executor_backward(x, parameters, gradients);
    release(parameters, extent);
    ws_executor_destroy(&x);
    return gradients;
}

static void test_backward_levels_agree_and_runs_repeat(void **state)
{
    (void)state;
    for (int64_t B = 1; B <= 133; B += 66) {
        ws_plan *plan = everything(B);
        size_t extent = ws_plan_parameter_extent(plan);
        ws_real *portable = gradients_of(plan, WS_ISA_PORTABLE, B);
        double *want = doubles(extent);
        for (size_t i = 0; i < extent; i++)
            want[i] = (double)portable[i];
        FOR_EACH_LEVEL(isa)
        {
            ws_real *first = gradients_of(plan, isa, B), *second = gradients_of(plan, isa, B);
            assert_memory_equal(first, second, extent * sizeof *first);
            assert_near(ws_isa_names[isa], first, want, extent, 1e-5);
            release(first, extent), release(second, extent);
        }
        release(portable, extent);
        free(want);
        ws_plan_destroy(&plan);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_linear_forward),
        cmocka_unit_test(test_layernorm_forward),
        cmocka_unit_test(test_pointwise_forward),
        cmocka_unit_test(test_losses_forward),
        cmocka_unit_test(test_activations_at_the_ends_of_the_range),
        cmocka_unit_test(test_elementary_functions_are_within_two_ulp),
        cmocka_unit_test(test_backward_levels_agree_and_runs_repeat),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
