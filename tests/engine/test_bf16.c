/* Products of factors rounded to bfloat16: the rounding, the products against naive ones of rounded factors in double, and a model
 * that learns with them what it learns without.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include "engine_test.h"
#include "scalar.h"

static uint32_t bits_of(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static float float_of(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static void test_rounding_is_to_the_nearest_and_ties_to_even(void **state)
{
    (void)state;
    static const uint32_t cases[][2] = {
        {0x3f800000, 0x3f800000}, /* 1 */
        {0x3f808000, 0x3f800000}, /* a tie goes to the even one below */
        {0x3f818000, 0x3f820000}, /* or above */
        {0x3f808001, 0x3f810000}, {0x3f807fff, 0x3f800000}, {0xbf808001, 0xbf810000},
        {0x7f7fffff, 0x7f800000}, /* the greatest float is beyond the greatest bfloat16 */
        {0x7f800000, 0x7f800000}, {0xff800000, 0xff800000}, {0x80000000, 0x80000000},
        {0x00000001, 0x00000000}, {0x00018000, 0x00020000}, /* subnormal */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(bits_of(ws_bf16(float_of(cases[i][0]))), cases[i][1]);
    assert_true(isnan(ws_bf16(float_of(0x7fffffff))) && isnan(ws_bf16(float_of(0xffc00000))) && isnan(ws_bf16(NAN)));
    for (uint32_t k = 0; k < 100000; k++) { /* never further away than either neighbour */
        float x = float_of(0x3c000000 + k * 7919), y = ws_bf16(x);
        assert_true((bits_of(y) & 0xffff) == 0);
        assert_true(fabsf(x - y) <= fabsf(x - float_of(bits_of(y) + 0x10000)));
        assert_true(fabsf(x - y) <= fabsf(x - float_of(bits_of(y) - 0x10000)));
    }
}

enum { B = 37, K = 29, N = 19 };

/* out[m,n] = sum over k of left right, rounded first where asked for. */
static void product(bool round, int64_t M, int64_t columns, int64_t inner, const ws_real *left, int64_t left_row,
                    int64_t left_step, const ws_real *right, int64_t right_row, int64_t right_step, double *out)
{
    for (int64_t m = 0; m < M; m++)
        for (int64_t n = 0; n < columns; n++) {
            out[m * columns + n] = 0;
            for (int64_t k = 0; k < inner; k++) {
                ws_real a = left[m * left_row + k * left_step], b = right[k * right_row + n * right_step];
                out[m * columns + n] += round ? (double)ws_bf16(a) * (double)ws_bf16(b) : (double)a * (double)b;
            }
        }
}

static void test_linear_multiplies_rounded_factors(void **state)
{
    (void)state;
    FOR_EACH_LEVEL(isa)
    for (int round = 0; round < 2; round++) {
        size_t forward_room = (size_t)ws_linear_scratch(B, K, N, round, false);
        size_t backward_room = (size_t)ws_linear_scratch(B, K, N, round, true);
        ws_real *x = guarded_normal(B * K, 1), *weight = guarded_normal(N * K, 2), *bias = guarded_normal(N, 3);
        ws_real *y = guarded(B * N), *dy = guarded_normal(B * N, 4), *dx = guarded(B * K), *dweight = guarded(N * K);
        ws_real *dbias = guarded(N), *forward = guarded(forward_room), *backward = guarded(backward_room);
        static double want[B * K + B * N + N * K];
        ws_linear_arguments a = {.B = B, .K = K, .N = N, .bf16 = round, .x = x, .weight = weight, .bias = bias};
        a.y = y, a.dy = dy, a.dx = dx, a.dweight = dweight, a.dbias = dbias, a.scratch = forward;
        ws_kernels_of(isa)->linear_forward(&a, NULL);
        product(round, B, N, K, x, K, 1, weight, 1, K, want);
        for (int i = 0; i < B * N; i++)
            want[i] += (double)bias[i % N];
        assert_near("y", y, want, B * N, 2e-6);
        a.scratch = backward;
        ws_kernels_of(isa)->linear_backward(&a, NULL);
        product(round, B, K, N, dy, N, 1, weight, K, 1, want);
        assert_near("dx", dx, want, B * K, 2e-6);
        product(round, N, K, B, dy, 1, N, x, K, 1, want);
        assert_near("dweight", dweight, want, N * K, 2e-6);
        for (int n = 0; n < N; n++) { /* a sum, no product: nothing is rounded */
            want[n] = 0;
            for (int b = 0; b < B; b++)
                want[n] += (double)dy[b * N + n];
        }
        assert_near("dbias", dbias, want, N, 2e-6);
        release(x, B * K), release(weight, N * K), release(bias, N), release(y, B * N), release(dy, B * N);
        release(dx, B * K), release(dweight, N * K), release(dbias, N), release(forward, forward_room);
        release(backward, backward_room);
    }
}

/* Losses of a small residual network that learns a smooth function, one a step. */
enum { ROWS = 64, STEPS = 150 };

static void learn(ws_precision precision, double losses[STEPS], uint64_t *hash)
{
    ws_plan *plan;
    OK(ws_plan_create(&plan));
    ws_plan_set_precision(plan, precision);
    ws_tensor h = ws_linear(plan, ws_input(plan, "x", 2, (int64_t[]){ROWS, 6}), 32, WS_SILU, "in");
    h = ws_add(plan, h, ws_linear(plan, ws_layernorm(plan, h, "norm"), 32, WS_GELU, "middle"));
    ws_tensor y = ws_linear(plan, h, 3, WS_NONE, "out");
    OK(ws_plan_finish(plan, ws_mse(plan, y, ws_input(plan, "target", 2, (int64_t[]){ROWS, 3}))));
    ws_executor *x;
    OK(ws_executor_create(&x, plan));
    size_t extent = ws_plan_parameter_extent(plan);
    ws_real *memory;
    OK(WS_NEW_ARRAY(memory, 4 * extent));
    ws_plan_initialise(plan, 1, memory);
    ws_adamw adamw = {.beta1 = 0.9, .beta2 = 0.99, .epsilon = 1e-8};
    ws_real *in = ws_executor_input(x, "x"), *target = ws_executor_input(x, "target");
    for (uint64_t step = 1; step <= STEPS; step++) {
        fill_normal(in, ROWS * 6, step);
        for (int r = 0; r < ROWS; r++)
            for (int k = 0; k < 3; k++)
                target[3 * r + k] = (ws_real)sin((double)(in[6 * r + k] + in[6 * r + k + 3]));
        ws_executor_forward(x, memory);
        losses[step - 1] = (double)ws_executor_loss(x);
        ws_executor_backward(x, memory, memory + extent);
        ws_adamw_step(plan, &adamw, 3e-3, 1, step, memory, memory + extent, memory + 2 * extent, memory + 3 * extent);
    }
    *hash = 14695981039346656037u;
    for (size_t i = 0; i < extent * sizeof *memory; i++)
        *hash = (*hash ^ ((unsigned char *)memory)[i]) * 1099511628211u;
    free(memory);
    ws_executor_destroy(&x);
    ws_plan_destroy(&plan);
}

static void test_a_model_learns_the_same(void **state)
{
    (void)state;
    double single[STEPS], rounded[STEPS], again[STEPS], last_single = 0, last_rounded = 0;
    uint64_t hash[3];
    learn(WS_FP32, single, &hash[0]);
    learn(WS_BF16, rounded, &hash[1]);
    learn(WS_BF16, again, &hash[2]);
    assert_true(hash[1] == hash[2] && hash[0] != hash[1]);
    assert_memory_equal(rounded, again, sizeof rounded);
    for (int step = 0; step < STEPS; step++) {
        assert_true(fabs(rounded[step] - single[step]) <= 0.05 * single[step]);
        last_single += step >= STEPS - 20 ? single[step] / 20 : 0;
        last_rounded += step >= STEPS - 20 ? rounded[step] / 20 : 0;
    }
    assert_true(last_single < single[0] / 3);
    assert_true(fabs(last_rounded - last_single) <= 0.02 * last_single);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rounding_is_to_the_nearest_and_ties_to_even),
        cmocka_unit_test(test_linear_multiplies_rounded_factors),
        cmocka_unit_test(test_a_model_learns_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
