/* Recording plans: what mistakes say, where parameters lie, and that sharing memory never changes a result. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include "engine_test.h"

static ws_plan *new_plan(void)
{
    ws_plan *plan;
    OK(ws_plan_create(&plan));
    return plan;
}

static ws_tensor input(ws_plan *plan, const char *name, int64_t B, int64_t D)
{
    return ws_input(plan, name, 2, (int64_t[]){B, D});
}

static void expect_error(ws_plan *plan, ws_tensor loss, const char *message)
{
    assert_int_not_equal(ws_plan_finish(plan, loss), WS_OK);
    assert_string_equal(ws_error_message(), message);
    ws_plan_destroy(&plan);
}

static void test_shape_mismatch_names_node_and_both_shapes(void **state)
{
    (void)state;
    ws_plan *plan = new_plan();
    ws_tensor x = input(plan, "x", 8, 20);
    ws_scope_begin(plan, "block.%d", 2);
    ws_tensor h = ws_linear(plan, x, 30, WS_SILU, "linear1");
    ws_tensor bad = ws_add(plan, x, h);
    ws_linear(plan, bad, -3, WS_NONE, "later mistakes do not replace the first");
    ws_scope_end(plan);
    expect_error(plan, bad, "add block.2.add1: shapes differ: [8, 20] and [8, 30]");

    plan = new_plan();
    ws_tensor narrow = input(plan, "narrow", 4, 3), other = input(plan, "other", 5, 3);
    expect_error(plan, ws_mse(plan, ws_linear(plan, narrow, 3, WS_NONE, "l"), other),
                 "mse mse1: prediction [4, 3] and target [5, 3] differ in shape");

    plan = new_plan();
    narrow = input(plan, "narrow", 4, 3), other = input(plan, "other", 5, 2);
    expect_error(plan, ws_concat(plan, narrow, other),
                 "concat concat0: all but the last dimension must agree: [4, 3] and [5, 2]");

    plan = new_plan();
    expect_error(plan, ws_cross_entropy(plan, input(plan, "logits", 4, 3), ws_input_index(plan, "class", 5)),
                 "cross_entropy cross_entropy0: logits [4, 3] need one class index a row, not [5]");
}

static void test_other_builder_mistakes(void **state)
{
    (void)state;
    ws_plan *plan = new_plan();
    ws_tensor index = ws_input_index(plan, "class", 4);
    expect_error(plan, ws_linear(plan, index, 3, WS_NONE, "head"), "linear head: input 0 must hold reals");

    plan = new_plan();
    ws_tensor x = input(plan, "x", 4, 3);
    ws_linear(plan, x, 3, WS_NONE, "head");
    expect_error(plan, ws_linear(plan, x, 3, WS_NONE, "head"),
                 "linear head: parameter head.weight exists already; give the node another name");

    plan = new_plan();
    input(plan, "x", 4, 3);
    expect_error(plan, input(plan, "x", 4, 3), "input x is declared twice");

    plan = new_plan();
    expect_error(plan, input(plan, "x", 0, 3), "x: a dimension of [0, 3] is not positive");

    plan = new_plan();
    x = input(plan, "x", 4, 3);
    expect_error(plan, ws_linear(plan, x, 0, WS_NONE, "head"), "linear head: width 0 is not positive");

    plan = new_plan();
    expect_error(plan, ws_linear(plan, WS_NO_TENSOR, 4, WS_NONE, "head"),
                 "linear head: input 0 is no tensor of this plan");

    plan = new_plan();
    ws_tensor h = ws_linear(plan, input(plan, "x", 4, 3), 2, WS_NONE, "head");
    expect_error(plan, h, "the loss (head) must be one number, its shape is [4, 2]");

    plan = new_plan();
    expect_error(plan, ws_mse(plan, input(plan, "x", 4, 3), input(plan, "u", 4, 3)),
                 "the loss does not depend on any parameter");

    plan = new_plan();
    ws_scope_begin(plan, "block");
    h = ws_linear(plan, input(plan, "x", 4, 3), 1, WS_NONE, "head");
    expect_error(plan, h, "scope block. is still open at ws_plan_finish");

    plan = new_plan();
    expect_error(plan, WS_NO_TENSOR, "the plan has no operator");
}

static void test_parameters_lie_in_reverse_order_of_use(void **state)
{
    (void)state;
    ws_plan *plan = new_plan();
    ws_tensor x = input(plan, "x", 4, 3);
    ws_tensor h = ws_layernorm(plan, ws_linear(plan, x, 5, WS_SILU, "first"), "norm");
    ws_tensor unused = ws_linear(plan, x, 7, WS_NONE, "unused");
    ws_plan_output(plan, unused, "unused");
    ws_tensor y = ws_linear(plan, h, 3, WS_NONE, "last");
    OK(ws_plan_finish(plan, ws_mse(plan, y, input(plan, "u", 4, 3))));
    const ws_parameter *table;
    size_t count = ws_plan_parameters(plan, &table);
    static const char *const order[] = {"last.bias", "last.weight", "unused.bias", "unused.weight",
                                        "norm.bias", "norm.weight", "first.bias",  "first.weight"};
    assert_int_equal(count, 8);
    size_t end = 0, sum = 0;
    for (size_t i = 0; i < count; i++) {
        assert_string_equal(table[i].name, order[i]);
        assert_int_equal(table[i].offset % 16, 0);
        assert_int_equal(table[i].offset, (end + 15) / 16 * 16);
        assert_int_equal(table[i].decay, strstr(table[i].name, "weight") && !strstr(table[i].name, "norm"));
        end = table[i].offset + table[i].count;
        sum += table[i].count;
    }
    assert_int_equal(ws_plan_parameter_extent(plan), (end + 15) / 16 * 16);
    assert_int_equal(ws_plan_parameter_count(plan), sum);

    /* What has no gradient, and the padding, is zero after backward, whatever was there. */
    ws_executor *executor;
    OK(ws_executor_create(&executor, plan));
    size_t extent = ws_plan_parameter_extent(plan);
    ws_real *parameters = guarded(extent), *gradients = guarded(extent);
    ws_plan_initialise(plan, 1, parameters);
    fill_normal(ws_executor_input(executor, "x"), 12, 1);
    ws_executor_forward(executor, parameters);
    ws_executor_backward(executor, parameters, gradients);
    for (size_t i = 0; i < count; i++) {
        size_t next = i + 1 < count ? table[i + 1].offset : extent;
        size_t from = table[i].offset + (strncmp(table[i].name, "unused", 6) == 0 ? 0 : table[i].count);
        for (size_t k = from; k < next; k++)
            assert_true(gradients[k] == 0 && (parameters[k] == 0 || k < table[i].offset + table[i].count));
    }
    release(parameters, extent), release(gradients, extent);
    ws_executor_destroy(&executor);
    ws_plan_destroy(&plan);
}

static void test_initial_values_depend_on_seed_and_name_only(void **state)
{
    (void)state;
    ws_plan *small = new_plan(), *large = new_plan();
    ws_linear(small, input(small, "x", 1, 25), 1, WS_NONE, "head");
    OK(ws_plan_finish(small, WS_NO_TENSOR));
    ws_tensor h = ws_layernorm(large, ws_linear(large, input(large, "x", 1, 9), 25, WS_NONE, "first"), "norm");
    ws_linear(large, h, 1, WS_NONE, "head");
    OK(ws_plan_finish(large, WS_NO_TENSOR));
    ws_real *a = guarded(ws_plan_parameter_extent(small)), *b = guarded(ws_plan_parameter_extent(large));
    ws_plan_initialise(small, 7, a);
    ws_plan_initialise(large, 7, b);
    const ws_parameter *in_small, *in_large;
    ws_plan_parameters(small, &in_small);
    size_t count = ws_plan_parameters(large, &in_large);
    assert_string_equal(in_small[1].name, "head.weight");
    assert_string_equal(in_large[1].name, "head.weight");
    assert_memory_equal(a + in_small[1].offset, b + in_large[1].offset, 25 * sizeof *a);
    double largest = 0, sum = 0;
    for (size_t k = 0; k < 25; k++) {
        assert_true(fabs((double)a[in_small[1].offset + k]) <= 0.2); /* 1/sqrt(25) */
        largest = fmax(largest, fabs((double)a[in_small[1].offset + k]));
        sum += (double)a[in_small[1].offset + k];
    }
    assert_true(largest > 0.1 && fabs(sum) < 2);
    for (size_t i = 0; i < count; i++)
        if (strcmp(in_large[i].name, "norm.weight") == 0)
            for (size_t k = 0; k < 25; k++)
                assert_true(b[in_large[i].offset + k] == 1);
    ws_plan_initialise(small, 8, b);
    assert_memory_not_equal(a + in_small[1].offset, b + in_small[1].offset, 25 * sizeof *a);
    release(a, ws_plan_parameter_extent(small)), release(b, ws_plan_parameter_extent(large));
    ws_plan_destroy(&small), ws_plan_destroy(&large);
}

/* ---- memory ---- */

static uint64_t pick(uint64_t seed, uint64_t *draw, uint64_t bound)
{
    return ws_random_below(seed, WS_RANDOM_TEST, 0, (*draw)++, bound);
}

/* A random graph of 8 to 40 nodes on tensors of 3 rows and random widths. */
static ws_tensor random_graph(ws_plan *plan, uint64_t seed)
{
    enum { MOST = 64 };
    uint64_t draw = 0;
    ws_tensor tensors[MOST];
    int64_t width[MOST];
    size_t count = 0, nodes = 8 + pick(seed, &draw, 33);
    width[count] = 1 + (int64_t)pick(seed, &draw, 40);
    tensors[count++] = input(plan, "x", 3, width[0]);
    for (size_t i = 0; i < nodes; i++) {
        size_t a = pick(seed, &draw, count), b = pick(seed, &draw, count);
        char name[32];
        snprintf(name, sizeof name, "n%zu", i);
        ws_activation activation = (ws_activation)pick(seed, &draw, WS_ACTIVATION_COUNT);
        width[count] = width[a];
        switch (pick(seed, &draw, 5)) {
        case 0:
            tensors[count] = ws_layernorm(plan, tensors[a], name);
            break;
        case 1:
            tensors[count] = ws_activate(plan, tensors[a], activation);
            break;
        case 2:
            if (width[a] == width[b]) {
                tensors[count] = ws_add(plan, tensors[a], tensors[b]);
                break;
            }
            if (width[a] + width[b] < 300) {
                tensors[count] = ws_concat(plan, tensors[a], tensors[b]);
                width[count] += width[b];
                break;
            }
            /* fallthrough */
        default:
            width[count] = 1 + (int64_t)pick(seed, &draw, 40);
            tensors[count] = ws_linear(plan, tensors[a], width[count], activation, name);
        }
        count++;
    }
    ws_plan_output(plan, tensors[1 + pick(seed, &draw, count - 1)], "kept");
    ws_tensor last = ws_linear(plan, tensors[count - 1], 4, WS_NONE, "last");
    last = ws_mse(plan, last, input(plan, "u", 3, 4));
    ws_tensor side = ws_cross_entropy(plan, ws_linear(plan, tensors[count / 2], 4, WS_NONE, "side"),
                                      ws_input_index(plan, "class", 3));
    return ws_add(plan, last, side);
}

static void assert_no_overlap(const ws_plan *plan)
{
    size_t most = WS_COUNTERS_BYTES; /* in front of the inputs */
    for (size_t i = 0; i < plan->buffer_count; i++) {
        const ws_buffer *a = &plan->buffers[i];
        assert_true(a->first <= a->last && a->offset % 64 == 0);
        assert_true(a->offset + a->bytes <= plan->bytes);
        most += a->bytes;
        for (size_t k = 0; k < i; k++) {
            const ws_buffer *b = &plan->buffers[k];
            bool together = a->first <= b->last && b->first <= a->last;
            bool touching = a->offset < b->offset + b->bytes && b->offset < a->offset + a->bytes;
            assert_false(together && touching);
        }
    }
    assert_true(plan->bytes <= most);
}

typedef struct outcome {
    ws_real loss, kept[3 * 320];
    size_t extent;
    ws_real *gradients;
} outcome;

static void run_graph(uint64_t seed, bool with_loss, bool share, outcome *out, size_t *bytes)
{
    ws_plan *plan = new_plan();
    ws_tensor loss = random_graph(plan, seed);
    OK(ws_plan_finish_with(plan, with_loss ? loss : WS_NO_TENSOR, share));
    assert_no_overlap(plan);
    *bytes = plan->bytes;
    ws_executor *x;
    OK(ws_executor_create(&x, plan));
    fill_normal(ws_executor_input(x, "x"), (size_t)(3 * plan->tensors[0].shape.size[1]), 1);
    fill_normal(ws_executor_input(x, "u"), 12, 2);
    memcpy(ws_executor_input_index(x, "class"), (int32_t[]){1, -1, 3}, 12);
    out->extent = ws_plan_parameter_extent(plan);
    out->gradients = guarded(out->extent);
    ws_real *parameters = guarded(out->extent);
    ws_plan_initialise(plan, seed, parameters);
    for (int step = 0; step < 2; step++) { /* the second finds the first one's leavings everywhere */
        ws_executor_forward(x, parameters);
        ws_executor_backward(x, parameters, out->gradients);
    }
    out->loss = ws_executor_loss(x);
    memset(out->kept, 0, sizeof out->kept);
    for (size_t i = 0; i < plan->tensor_count; i++)
        if (plan->tensors[i].kept)
            memcpy(out->kept, ws_executor_output(x, "kept"),
                   (size_t)ws_shape_count(&plan->tensors[i].shape) * sizeof(ws_real));
    release(parameters, out->extent);
    ws_executor_destroy(&x);
    ws_plan_destroy(&plan);
}

static void test_sharing_memory_never_changes_a_result(void **state)
{
    (void)state;
    size_t shared_bytes = 0, own_bytes = 0, forward_bytes = 0, bytes;
    for (uint64_t seed = 1; seed <= 300; seed++) {
        static outcome shared, own, forward;
        run_graph(seed, true, true, &shared, &bytes);
        shared_bytes += bytes;
        run_graph(seed, true, false, &own, &bytes);
        own_bytes += bytes;
        run_graph(seed, false, true, &forward, &bytes);
        forward_bytes += bytes;
        assert_true(shared.loss == own.loss);
        assert_memory_equal(shared.kept, own.kept, sizeof own.kept);
        assert_memory_equal(shared.kept, forward.kept, sizeof own.kept);
        assert_memory_equal(shared.gradients, own.gradients, own.extent * sizeof(ws_real));
        release(shared.gradients, shared.extent);
        release(own.gradients, own.extent);
        release(forward.gradients, forward.extent);
    }
    print_message("memory: %zu shared, %zu forward only, %zu without sharing\n", shared_bytes, forward_bytes,
                  own_bytes);
    assert_true(shared_bytes < own_bytes);
    assert_true(forward_bytes < shared_bytes / 2);
}

static void test_description_and_flops(void **state)
{
    (void)state;
    ws_plan *plan = new_plan();
    ws_tensor y = ws_linear(plan, ws_linear(plan, input(plan, "x", 8, 20), 30, WS_SILU, "in"), 20, WS_NONE, "out");
    OK(ws_plan_finish(plan, ws_mse(plan, y, input(plan, "u", 8, 20))));
    /* Products: 2*8*20*30 each forward; backward two for "out" and one for "in", whose input needs no gradient. */
    double product = 2.0 * 8 * 20 * 30, loss = 8 * 20;
    assert_true(ws_plan_flops(plan, false) == 2 * product + 3 * loss);
    assert_true(ws_plan_flops(plan, true) == 5 * product + 5 * loss);
    ws_text text = {0};
    OK(ws_plan_describe(plan, &text));
    assert_non_null(strstr(text.data, "1250 parameters"));
    assert_non_null(strstr(text.data, "[8, 30]"));
    ws_text_destroy(&text);
    ws_plan_destroy(&plan);
}

/* The gradient of an input against central differences, with and without those of the parameters. */
static void test_gradient_of_an_input(void **state)
{
    (void)state;
    enum { B = 3, D = 4 };
    ws_plan *plan = new_plan();
    ws_tensor x = input(plan, "x", B, D);
    ws_input_gradient(plan, x);
    ws_tensor y = ws_layernorm(plan, ws_linear(plan, ws_linear(plan, x, 5, WS_TANH, "in"), D, WS_SILU, "out"), "norm");
    OK(ws_plan_finish(plan, ws_mse(plan, ws_add(plan, y, x), input(plan, "u", B, D))));
    ws_executor *executor;
    OK(ws_executor_create(&executor, plan));
    size_t extent = ws_plan_parameter_extent(plan);
    ws_real *parameters = guarded(extent), *gradients = guarded(extent);
    ws_plan_initialise(plan, 1, parameters);
    ws_real *values = ws_executor_input(executor, "x");
    fill_normal(values, B * D, 1);
    fill_normal(ws_executor_input(executor, "u"), B * D, 2);
    double want[B * D];
    for (int i = 0; i < B * D; i++) {
        const ws_real kept = values[i], step = (ws_real)0.01;
        double loss[2];
        for (int side = 0; side < 2; side++) {
            values[i] = side ? kept - step : kept + step;
            ws_executor_forward(executor, parameters);
            loss[side] = (double)ws_executor_loss(executor);
        }
        values[i] = kept;
        want[i] = (loss[0] - loss[1]) / (2 * (double)step);
    }
    ws_real first[B * D];
    for (int with = 0; with < 2; with++) {
        ws_executor_forward(executor, parameters);
        ws_executor_backward(executor, parameters, with ? gradients : NULL);
        assert_near("gradient of x", ws_executor_input_gradient(executor, "x"), want, B * D, 2e-3);
        if (with)
            assert_memory_equal(first, ws_executor_input_gradient(executor, "x"), sizeof first);
        memcpy(first, ws_executor_input_gradient(executor, "x"), sizeof first);
    }
    assert_null(ws_executor_input_gradient(executor, "u"));
    release(parameters, extent);
    release(gradients, extent);
    ws_executor_destroy(&executor);
    ws_plan_destroy(&plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shape_mismatch_names_node_and_both_shapes),
        cmocka_unit_test(test_other_builder_mistakes),
        cmocka_unit_test(test_parameters_lie_in_reverse_order_of_use),
        cmocka_unit_test(test_initial_values_depend_on_seed_and_name_only),
        cmocka_unit_test(test_sharing_memory_never_changes_a_result),
        cmocka_unit_test(test_description_and_flops),
        cmocka_unit_test(test_gradient_of_an_input),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
