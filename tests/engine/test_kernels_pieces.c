/* The operators that take tensors apart, put them together and weigh them, against naive loops at every instruction set level. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include "engine_test.h"

static double *doubles(size_t count)
{
    double *out = NULL;
    OK(WS_NEW_ARRAY(out, count));
    return out;
}

/* A plan that only runs forward: `last` is its output. */
static ws_executor *forward_only(ws_plan *plan, ws_tensor last, const ws_place *place)
{
    ws_plan_output(plan, last, "y");
    OK(ws_plan_finish(plan, WS_NO_TENSOR));
    ws_executor *x;
    OK(ws_executor_create_at(&x, plan, place));
    return x;
}

static void test_products_scales_and_slices(void **state)
{
    (void)state;
    static const int64_t shapes[][2] = {{1, 1}, {3, 17}, {17, 33}, {5, 64}};
    FOR_EACH_LEVEL(isa)
    for (size_t s = 0; s < 4; s++) {
        const ws_kernels *kernels = ws_kernels_of(isa);
        int64_t B = shapes[s][0], D = shapes[s][1], whole = D + 7;
        size_t count = (size_t)(B * D), all = (size_t)(B * whole);
        ws_real *a = guarded_normal(count, 1), *b = guarded_normal(count, 2), *y = guarded(count);
        ws_real *wide = guarded_normal(all, 3), *back = guarded(all);
        double *want = doubles(all);
        for (size_t i = 0; i < count; i++)
            want[i] = (double)a[i] * (double)b[i];
        kernels->mul_forward(&(ws_mul_arguments){.count = B * D, .a = a, .b = b, .y = y}, NULL);
        assert_near("mul", y, want, count, 1e-7);
        for (size_t i = 0; i < count; i++)
            want[i] = -0.75 * (double)a[i];
        kernels->scale_forward(&(ws_scale_arguments){.count = B * D, .factor = (ws_real)-0.75, .x = a, .y = y}, NULL);
        assert_near("scale", y, want, count, 1e-7);
        for (int64_t r = 0; r < B; r++)
            for (int64_t d = 0; d < D; d++)
                want[r * D + d] = (double)wide[r * whole + 3 + d];
        ws_slice_arguments f = {.B = B, .whole = whole, .begin = 3, .width = D, .x = wide, .y = y, .dy = a, .dx = back};
        kernels->slice_forward(&f, NULL);
        assert_near("slice", y, want, count, 0);
        kernels->slice_backward(&f, NULL);
        for (int64_t r = 0; r < B; r++)
            for (int64_t d = 0; d < whole; d++)
                want[r * whole + d] = d < 3 || d >= 3 + D ? 0 : (double)a[r * D + d - 3];
        assert_near("slice backward", back, want, all, 0);
        release(a, count), release(b, count), release(y, count), release(wide, all), release(back, all);
        free(want);
    }
}

static void test_tokens_go_where_they_are_said_to(void **state)
{
    (void)state;
    enum { B = 2, T = 3, D = 2 };
    ws_plan *plan;
    OK(ws_plan_create(&plan));
    ws_tensor x = ws_input(plan, "x", 3, (int64_t[]){B, T, D}), one = ws_input(plan, "one", 3, (int64_t[]){B, 1, D});
    ws_plan_output(plan, ws_slice_tokens(plan, x, 1, 2), "tail");
    ws_plan_output(plan, ws_select_token(plan, x, 1), "middle");
    ws_plan_output(plan, ws_slice(plan, x, 1, 1), "column");
    ws_place place = ws_place_cpu();
    ws_executor *executor = forward_only(plan, ws_concat_tokens(plan, one, x), &place);
    for (int i = 0; i < B * T * D; i++)
        ws_executor_input(executor, "x")[i] = (ws_real)i;
    for (int i = 0; i < B * D; i++)
        ws_executor_input(executor, "one")[i] = (ws_real)(100 + i);
    ws_executor_forward(executor, NULL);
    static const ws_real joined[] = {100, 101, 0, 1, 2, 3, 4, 5, 102, 103, 6, 7, 8, 9, 10, 11};
    static const ws_real tail[] = {2, 3, 4, 5, 8, 9, 10, 11}, middle[] = {2, 3, 8, 9}, column[] = {1, 3, 5, 7, 9, 11};
    assert_memory_equal(ws_executor_output(executor, "y"), joined, sizeof joined);
    assert_memory_equal(ws_executor_output(executor, "tail"), tail, sizeof tail);
    assert_memory_equal(ws_executor_output(executor, "middle"), middle, sizeof middle);
    assert_memory_equal(ws_executor_output(executor, "column"), column, sizeof column);
    ws_executor_destroy(&executor);
    ws_plan_destroy(&plan);
}

static void expect_error(ws_plan *plan, const char *message)
{
    assert_int_not_equal(ws_plan_finish(plan, WS_NO_TENSOR), WS_OK);
    assert_string_equal(ws_error_message(), message);
    ws_plan_destroy(&plan);
}

#define WITH_PLAN(call, message)                                                                                       \
    do {                                                                                                               \
        ws_plan *plan;                                                                                                 \
        OK(ws_plan_create(&plan));                                                                                     \
        ws_tensor x = ws_input(plan, "x", 3, (int64_t[]){2, 4, 3});                                                    \
        ws_tensor index = ws_input_index(plan, "index", 5);                                                            \
        (void)index;                                                                                                   \
        call;                                                                                                          \
        expect_error(plan, message);                                                                                   \
    } while (0)

static void test_mistakes_name_node_and_shapes(void **state)
{
    (void)state;
    WITH_PLAN(ws_slice(plan, x, 1, 3), "slice slice0: columns 1 to 3 are not all in [2, 4, 3]");
    WITH_PLAN(ws_slice_tokens(plan, x, -1, 2), "slice slice0: tokens -1 to 0 are not all in [2, 4, 3]");
    WITH_PLAN(ws_select_token(plan, x, 4), "slice slice0: tokens 4 to 4 are not all in [2, 4, 3]");
    WITH_PLAN(ws_concat_tokens(plan, x, ws_slice(plan, x, 0, 2)),
              "concat concat1: all but the tokens' dimension must agree: [2, 4, 3] and [2, 4, 2]");
    WITH_PLAN(ws_dropout(plan, x, 1), "dropout dropout0: rate 1 is not in [0, 1)");
    WITH_PLAN(ws_hide_tokens(plan, x, index, "mask"),
              "hide_tokens mask: tokens [2, 4, 3] need one index each, not [5]");
    WITH_PLAN(ws_masked_mse(plan, x, x, ws_slice(plan, x, 0, 2)),
              "masked_mse masked_mse1: prediction [2, 4, 3] needs one weight a row, not [2, 4, 2]");
    WITH_PLAN(ws_gradient_reversal(plan, x, 1, x),
              "scale scale0: what multiplies the factor must be one number, its shape is [2, 4, 3]");
}

/* ---- gradient reversal ---- */

static void reversed_gradient(double lambda, ws_real by, ws_real out[2])
{
    ws_plan *plan;
    OK(ws_plan_create(&plan));
    ws_tensor x = ws_input(plan, "x", 2, (int64_t[]){1, 2}), by_input = WS_NO_TENSOR;
    ws_input_gradient(plan, x);
    if (by != 0)
        by_input = ws_input(plan, "by", 1, (int64_t[]){1});
    ws_tensor y = ws_gradient_reversal(plan, x, lambda, by_input);
    ws_plan_output(plan, y, "y");
    OK(ws_plan_finish(plan, ws_mse(plan, y, ws_input(plan, "target", 2, (int64_t[]){1, 2}))));
    ws_executor *executor;
    OK(ws_executor_create(&executor, plan));
    memcpy(ws_executor_input(executor, "x"), (ws_real[]){3, -1}, 2 * sizeof(ws_real));
    memcpy(ws_executor_input(executor, "target"), (ws_real[]){1, 1}, 2 * sizeof(ws_real));
    if (by != 0)
        *ws_executor_input(executor, "by") = by;
    ws_executor_forward(executor, NULL);
    assert_memory_equal(ws_executor_output(executor, "y"), ws_executor_input(executor, "x"), 2 * sizeof(ws_real));
    ws_executor_backward(executor, NULL, NULL);
    memcpy(out, ws_executor_input_gradient(executor, "x"), 2 * sizeof(ws_real));
    ws_executor_destroy(&executor);
    ws_plan_destroy(&plan);
}

static void test_reversed_gradients(void **state)
{
    (void)state;
    ws_real gradient[2];
    reversed_gradient(0.5, 0, gradient); /* of the mean square: (2, -2) */
    assert_true(gradient[0] == -1 && gradient[1] == 1);
    reversed_gradient(0.5, (ws_real)0.5, gradient);
    assert_true(gradient[0] == (ws_real)-0.5 && gradient[1] == (ws_real)0.5);
}

/* ---- dropout ---- */

/* y of a row of the batch, of ones. */
static ws_real *dropped(ws_isa isa, int64_t B, int64_t width, double rate, uint64_t step, uint64_t first_row,
                        uint32_t stream)
{
    size_t count = (size_t)(B * width);
    ws_real *x = guarded(count), *y = guarded(count);
    for (size_t i = 0; i < count; i++)
        x[i] = 1;
    ws_random_source random = {.seed = 5, .step = step, .first_row = first_row, .stream = stream, .active = true};
    ws_dropout_arguments a = {.B = B, .width = width, .rate = rate, .random = random, .x = x, .y = y};
    ws_kernels_of(isa)->dropout_forward(&a, NULL);
    release(x, count);
    return y;
}

/* The number of elements that differ. */
static int64_t differences(const ws_real *a, const ws_real *b, int64_t count)
{
    int64_t different = 0;
    for (int64_t i = 0; i < count; i++)
        different += a[i] != b[i];
    return different;
}

static void test_dropout_drops_the_share_it_is_told(void **state)
{
    (void)state;
    enum { B = 31, WIDTH = 1003, COUNT = B * WIDTH };
    FOR_EACH_LEVEL(isa)
    for (double rate = 0; rate < 1; rate += 0.1) {
        ws_real *y = dropped(isa, B, WIDTH, rate, 1, 0, 3);
        double zeros = 0, spread = sqrt(COUNT * rate * (1 - rate));
        for (int i = 0; i < COUNT; i++) {
            zeros += y[i] == 0;
            assert_true(y[i] == 0 || fabs((double)y[i] * (1 - rate) - 1) < 1e-6);
        }
        assert_true(fabs(zeros - COUNT * rate) <= 4 * spread);
        release(y, COUNT);
    }
}

static void test_dropout_depends_on_the_row_of_the_batch_only(void **state)
{
    (void)state;
    enum { B = 6, WIDTH = 77, COUNT = B * WIDTH };
    ws_real *whole = dropped(WS_ISA_PORTABLE, B, WIDTH, 0.5, 9, 40, 2);
    FOR_EACH_LEVEL(isa)
    {
        ws_real *first = dropped(isa, 2, WIDTH, 0.5, 9, 40, 2), *rest = dropped(isa, 4, WIDTH, 0.5, 9, 42, 2);
        assert_memory_equal(first, whole, 2 * WIDTH * sizeof *whole);
        assert_memory_equal(rest, whole + (size_t)2 * WIDTH, 4 * WIDTH * sizeof *whole);
        release(first, (size_t)2 * WIDTH), release(rest, (size_t)4 * WIDTH);
    }
    /* Another step, another operator, another row: other numbers, half of which fall the same way. */
    ws_real *step = dropped(WS_ISA_PORTABLE, B, WIDTH, 0.5, 10, 40, 2);
    ws_real *stream = dropped(WS_ISA_PORTABLE, B, WIDTH, 0.5, 9, 40, 3);
    ws_real *row = dropped(WS_ISA_PORTABLE, B, WIDTH, 0.5, 9, 41, 2);
    assert_in_range(differences(whole, step, COUNT), COUNT / 3, 2 * COUNT / 3);
    assert_in_range(differences(whole, stream, COUNT), COUNT / 3, 2 * COUNT / 3);
    assert_in_range(differences(whole, row, COUNT), COUNT / 3, 2 * COUNT / 3);
    release(whole, COUNT), release(step, COUNT), release(stream, COUNT), release(row, COUNT);
}

static void test_dropout_only_in_training(void **state)
{
    (void)state;
    enum { B = 4, D = 50 };
    ws_plan *plan;
    OK(ws_plan_create(&plan));
    ws_place place = ws_place_cpu();
    ws_tensor x = ws_input(plan, "x", 2, (int64_t[]){B, D});
    ws_executor *executor = forward_only(plan, ws_dropout(plan, ws_scale(plan, x, 1), 0.5), &place);
    ws_real *values = ws_executor_input(executor, "x");
    fill_normal(values, B * D, 1);
    ws_executor_forward(executor, NULL);
    assert_memory_equal(ws_executor_output(executor, "y"), values, B * D * sizeof *values);
    ws_executor_set_random(executor, 1, 2, 3);
    ws_executor_forward(executor, NULL);
    int zeros = 0;
    for (int i = 0; i < B * D; i++)
        zeros += ws_executor_output(executor, "y")[i] == 0;
    assert_in_range(zeros, 60, 140);
    ws_executor_set_calm(executor);
    ws_executor_forward(executor, NULL);
    assert_memory_equal(ws_executor_output(executor, "y"), values, B * D * sizeof *values);
    ws_executor_destroy(&executor);
    ws_plan_destroy(&plan);
}

/* ---- rows ---- */

static void test_hidden_tokens(void **state)
{
    (void)state;
    static const int64_t shapes[][2] = {{1, 1}, {3, 17}, {130, 33}};
    FOR_EACH_LEVEL(isa)
    for (size_t s = 0; s < 3; s++) {
        int64_t R = shapes[s][0], D = shapes[s][1];
        size_t count = (size_t)(R * D), width = (size_t)D;
        ws_real *x = guarded_normal(count, 1), *weight = guarded_normal(width, 2), *dy = guarded_normal(count, 3);
        ws_real *y = guarded(count), *dx = guarded(count), *dweight = guarded(width);
        ws_real *scratch = guarded(WS_COLUMN_PARTS * width);
        double *want = doubles(count), *want_dx = doubles(count), *want_weight = doubles(width);
        int32_t hidden[130];
        for (int64_t r = 0; r < R; r++) {
            hidden[r] = r % 3 == 0 ? (int32_t)r + 1 : 0;
            for (int64_t d = 0; d < D; d++) {
                int64_t i = r * D + d;
                want[i] = (double)(hidden[r] ? weight[d] : x[i]);
                want_dx[i] = hidden[r] ? 0 : (double)dy[i];
                want_weight[d] += hidden[r] ? (double)dy[i] : 0;
            }
        }
        ws_hide_tokens_arguments a = {.R = R, .D = D, .x = x, .hidden = hidden, .weight = weight, .y = y};
        ws_kernels_of(isa)->hide_tokens_forward(&a, NULL);
        assert_near("hide_tokens", y, want, count, 0);
        a.dy = dy;
        a.dx = dx;
        a.dweight = dweight;
        a.scratch = scratch;
        ws_kernels_of(isa)->hide_tokens_backward(&a, NULL);
        assert_near("hide_tokens dx", dx, want_dx, count, 0);
        assert_near("hide_tokens dweight", dweight, want_weight, width, 1e-6);
        release(x, count), release(weight, width), release(dy, count), release(y, count), release(dx, count);
        release(dweight, width), release(scratch, WS_COLUMN_PARTS * width);
        free(want), free(want_dx), free(want_weight);
    }
}

/* ---- losses ---- */

static void test_masked_mse(void **state)
{
    (void)state;
    static const int64_t shapes[][2] = {{1, 1}, {3, 17}, {17, 33}, {70, 9}};
    FOR_EACH_LEVEL(isa)
    for (size_t s = 0; s < 4; s++) {
        int64_t R = shapes[s][0], D = shapes[s][1];
        size_t count = (size_t)(R * D), rows = (size_t)R;
        ws_real *p = guarded_normal(count, 1), *t = guarded_normal(count, 2), *weight = guarded_normal(rows, 3);
        ws_real *loss = guarded(1), *scale = guarded(1), *dp = guarded(count), *dt = guarded(count), dloss = 2;
        ws_real *scratch = guarded(rows);
        double sum = 0, weights = 0, *want = doubles(count);
        for (int64_t r = 0; r < R; r++) {
            weight[r] = r % 3 == 1 ? 0 : (ws_real)fabs((double)weight[r]);
            weights += (double)weight[r];
            for (int64_t d = 0; d < D; d++) {
                int64_t i = r * D + d;
                if (weight[r] == 0)
                    p[i] = d % 2 ? (ws_real)NAN : (ws_real)INFINITY; /* padding may hold anything */
                else
                    sum += (double)weight[r] * pow((double)p[i] - (double)t[i], 2) / (double)D;
            }
        }
        for (size_t i = 0; i < count; i++)
            if (weight[i / (size_t)D] != 0)
                want[i] = 2.0 * 2 * (double)weight[i / (size_t)D] / weights / (double)D * ((double)p[i] - (double)t[i]);
        sum /= weights;
        ws_masked_mse_arguments a = {.R = R, .D = D, .prediction = p, .target = t, .weight = weight, .loss = loss};
        a.scratch = scratch;
        ws_kernels_of(isa)->masked_mse_forward(&a, NULL);
        assert_near("masked_mse", loss, &sum, 1, 1e-6);
        a.row_scale = scale;
        a.dloss = &dloss;
        a.dprediction = dp;
        a.dtarget = dt;
        ws_kernels_of(isa)->masked_mse_forward(&a, NULL);
        ws_kernels_of(isa)->masked_mse_backward(&a, NULL);
        assert_near("masked_mse dprediction", dp, want, count, 1e-6);
        for (size_t i = 0; i < count; i++)
            want[i] = -want[i];
        assert_near("masked_mse dtarget", dt, want, count, 1e-6);
        for (size_t r = 0; r < rows; r++)
            weight[r] = 0;
        memset(want, 0, count * sizeof *want);
        ws_kernels_of(isa)->masked_mse_forward(&a, NULL);
        ws_kernels_of(isa)->masked_mse_backward(&a, NULL);
        assert_true(loss[0] == 0);
        assert_near("masked_mse of nothing", dp, want, count, 0);
        release(p, count), release(t, count), release(weight, rows), release(loss, 1), release(scale, 1);
        release(dp, count), release(dt, count), release(scratch, rows);
        free(want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_products_scales_and_slices),
        cmocka_unit_test(test_tokens_go_where_they_are_said_to),
        cmocka_unit_test(test_mistakes_name_node_and_shapes),
        cmocka_unit_test(test_reversed_gradients),
        cmocka_unit_test(test_dropout_drops_the_share_it_is_told),
        cmocka_unit_test(test_dropout_depends_on_the_row_of_the_batch_only),
        cmocka_unit_test(test_dropout_only_in_training),
        cmocka_unit_test(test_hidden_tokens),
        cmocka_unit_test(test_masked_mse),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
