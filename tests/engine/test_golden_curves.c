/* ctest: double
 * The losses of 20 training steps of three small models are those that an independent program has found: golden_curves.py, from
 * which golden_curves.h comes. Here in double precision; test_golden_curves_float.c does the same in single. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include "engine_test.h"
#include "golden_curves.h"

enum { STEPS = sizeof golden_mlp / sizeof *golden_mlp };

static void fill_wave(ws_real *out, size_t count, double pace, double start)
{
    for (size_t i = 0; i < count; i++)
        out[i] = (ws_real)sin(pace * (double)i + start);
}

static void fill_initial(const ws_plan *plan, ws_real *parameters)
{
    const ws_parameter *table;
    size_t count = ws_plan_parameters(plan, &table);
    ws_plan_initialise(plan, 1, parameters);
    for (size_t i = 0; i < count; i++) {
        if (table[i].statistic)
            continue; /* 0 and 1 */
        int letters = 0;
        for (const char *c = table[i].name; *c; c++)
            letters += *c;
        fill_wave(parameters + table[i].offset, table[i].count, 0.37, 0.11 * letters);
        bool norm = strncmp(table[i].name, "norm", 4) == 0 && strstr(table[i].name, ".weight");
        for (size_t k = 0; k < table[i].count; k++)
            parameters[table[i].offset + k] = (ws_real)0.3 * parameters[table[i].offset + k] + (norm ? 1 : 0);
    }
}

static void follow(const char *what, const ws_plan *plan, ws_executor *x, const double *golden)
{
    static const ws_adamw options = {.beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8, .weight_decay = 0.01};
    double tolerance = sizeof(ws_real) == sizeof(double) ? 1e-9 : 1e-4;
    size_t extent = ws_plan_parameter_extent(plan);
    ws_real *parameters = guarded(extent), *gradients = guarded(extent), *m, *v;
    OK(WS_NEW_ARRAY(m, extent));
    OK(WS_NEW_ARRAY(v, extent));
    fill_initial(plan, parameters);
    for (uint64_t step = 1; step <= STEPS; step++) {
        ws_executor_forward(x, parameters);
        ws_executor_backward(x, parameters, gradients);
        double loss = (double)ws_executor_loss(x), want = golden[step - 1];
        if (!(fabs(loss - want) <= tolerance * fabs(want)))
            fail_msg("%s, step %d: loss %.12g, not %.12g", what, (int)step, loss, want);
        ws_adamw_step(plan, &options, 0.01, 1, step, parameters, gradients, m, v);
    }
    assert_true((double)ws_executor_loss(x) < 0.9 * golden[0]); /* it learns */
    release(parameters, extent), release(gradients, extent);
    free(m), free(v);
}

static void test_a_perceptron(void **state)
{
    (void)state;
    ws_plan *plan;
    OK(ws_plan_create(&plan));
    ws_tensor x = ws_input(plan, "x", 2, (int64_t[]){16, 10});
    ws_tensor h = ws_layernorm(plan, ws_linear(plan, x, 24, WS_SILU, "in"), "norm");
    h = ws_linear(plan, ws_linear(plan, h, 12, WS_TANH, "mid"), 4, WS_NONE, "head");
    OK(ws_plan_finish(plan, ws_cross_entropy(plan, h, ws_input_index(plan, "class", 16))));
    ws_executor *executor;
    OK(ws_executor_create(&executor, plan));
    fill_wave(ws_executor_input(executor, "x"), 160, 0.7, 0.3);
    for (int32_t i = 0; i < 16; i++)
        ws_executor_input_index(executor, "class")[i] = i % 4;
    follow("mlp", plan, executor, golden_mlp);
    ws_executor_destroy(&executor);
    ws_plan_destroy(&plan);
}

enum { B = 6, T = 5, D = 8 };

static ws_tensor tokens_loss(ws_plan *plan)
{
    int64_t shape[] = {B, T, 9}, inner[] = {B, T, D};
    ws_tensor kind = ws_embedding(plan, ws_input_index(plan, "kind", B * T), 4, D, "kind");
    ws_tensor h = ws_linear(plan, ws_input(plan, "x", 3, shape), D, WS_NONE, "in");
    h = ws_add(plan, h, ws_view(plan, kind, 3, inner));
    h = ws_hide_tokens(plan, h, ws_input_index(plan, "hidden", B * T), "mask");
    ws_tensor qkv = ws_linear(plan, ws_layernorm(plan, h, "norm1"), 3 * D, WS_NONE, "qkv");
    ws_tensor seen = ws_attention(plan, qkv, WS_NO_TENSOR, &(ws_attention_options){.heads = 2});
    h = ws_add(plan, h, ws_linear(plan, seen, D, WS_NONE, "out"));
    ws_tensor up = ws_linear(plan, ws_layernorm(plan, h, "norm2"), 4 * D, WS_NONE, "up");
    h = ws_add(plan, h, ws_linear(plan, ws_glu(plan, up, WS_GELU), D, WS_NONE, "down"));
    ws_tensor valid = ws_input(plan, "valid", 1, (int64_t[]){B * T}), class = ws_input_index(plan, "class", B);
    ws_tensor loss =
        ws_masked_mse(plan, ws_linear(plan, h, 9, WS_NONE, "velocity"), ws_input(plan, "u", 3, shape), valid);
    ws_tensor pooled = ws_attention_pool(plan, h, ws_input_index(plan, "length", B), "pool");
    ws_tensor logits = ws_linear(plan, pooled, 3, WS_NONE, "head");
    ws_tensor classes = ws_cross_entropy_with(plan, logits, class, 0.1, WS_NO_TENSOR);
    ws_tensor z = ws_l2norm(plan, ws_linear(plan, pooled, 4, WS_NONE, "embed"));
    ws_tensor contrast = ws_supcon(plan, z, class, 0.5, WS_NO_TENSOR, WS_NO_TENSOR);
    return ws_add(plan, ws_add(plan, loss, ws_scale(plan, classes, 0.5)), ws_scale(plan, contrast, 0.25));
}

static void test_tokens_with_a_bit_of_everything(void **state)
{
    (void)state;
    static const int32_t lengths[B] = {5, 3, 1, 5, 2, 4};
    ws_plan *plan;
    OK(ws_plan_create(&plan));
    OK(ws_plan_finish(plan, tokens_loss(plan)));
    ws_executor *x;
    OK(ws_executor_create(&x, plan));
    fill_wave(ws_executor_input(x, "x"), B * T * 9, 0.7, 0.3);
    fill_wave(ws_executor_input(x, "u"), B * T * 9, 0.4, 1.3);
    for (int32_t i = 0; i < B * T; i++) {
        ws_executor_input_index(x, "kind")[i] = i % 4;
        ws_executor_input_index(x, "hidden")[i] = i % 4 == 1;
        ws_executor_input(x, "valid")[i] = i % T < lengths[i / T];
    }
    for (int32_t b = 0; b < B; b++) {
        ws_executor_input_index(x, "class")[b] = b % 3;
        ws_executor_input_index(x, "length")[b] = lengths[b];
    }
    follow("tokens", plan, x, golden_tokens);
    ws_executor_destroy(&x);
    ws_plan_destroy(&plan);
}

/* ---- two gradient shards, as the trainer sums them; batchnorm's averages beside it ---- */

static ws_tensor shards_loss(ws_plan *plan)
{
    ws_tensor lengths = ws_input_index(plan, "length", B);
    ws_tensor h = ws_linear(plan, ws_input(plan, "x", 3, (int64_t[]){B, T, 9}), D, WS_TANH, "in");
    h = ws_conv1d(plan, ws_batchnorm(plan, h, lengths, "norm1"), 6, 3, 1, 1, WS_SILU, "conv");
    h = ws_batchnorm(plan, h, WS_NO_TENSOR, "norm2");
    ws_tensor logits = ws_linear(plan, ws_mean_pool(plan, h, lengths), 3, WS_NONE, "head");
    return ws_cross_entropy(plan, logits, ws_input_index(plan, "class", B));
}

static void fill_shard(ws_executor *x, int shard)
{
    static const int32_t lengths[B] = {5, 3, 1, 5, 2, 4};
    fill_wave(ws_executor_input(x, "x"), B * T * 9, 0.7, 0.3 + shard);
    for (int32_t b = 0; b < B; b++) {
        ws_executor_input_index(x, "length")[b] = lengths[b];
        ws_executor_input_index(x, "class")[b] = (b + shard) % 3;
    }
}

/* Runs one shard; its loss in training, and *calm by the running averages. */
static double run_shard(ws_executor *x, int shard, const ws_real *parameters, ws_real *gradients, double *calm)
{
    fill_shard(x, shard);
    ws_executor_set_calm(x);
    ws_executor_forward(x, parameters);
    *calm += (double)ws_executor_loss(x) / 2;
    ws_executor_set_random(x, 1, 1, 1);
    ws_executor_forward(x, parameters);
    ws_executor_backward(x, parameters, gradients);
    return (double)ws_executor_loss(x) / 2;
}

static void test_batch_normalisation_over_shards(void **state)
{
    (void)state;
    static const ws_adamw options = {.beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8, .weight_decay = 0.01};
    double tolerance = sizeof(ws_real) == sizeof(double) ? 1e-9 : 1e-4;
    ws_plan *plan;
    OK(ws_plan_create(&plan));
    OK(ws_plan_finish(plan, shards_loss(plan)));
    ws_executor *x;
    OK(ws_executor_create(&x, plan));
    ws_place place = ws_place_cpu();
    size_t extent = ws_plan_parameter_extent(plan);
    ws_real *parameters = guarded(extent), *gradients[2] = {guarded(extent), guarded(extent)}, *m, *v;
    OK(WS_NEW_ARRAY(m, extent));
    OK(WS_NEW_ARRAY(v, extent));
    fill_initial(plan, parameters);
    for (uint64_t step = 1; step <= STEPS; step++) {
        double loss = 0, calm = 0;
        for (int shard = 0; shard < 2; shard++)
            loss += run_shard(x, shard, parameters, gradients[shard], &calm);
        if (!(fabs(loss / golden_shards[step - 1] - 1) <= tolerance))
            fail_msg("step %d: loss %.12g, not %.12g", (int)step, loss, golden_shards[step - 1]);
        if (!(fabs(calm / golden_shards_calm[step - 1] - 1) <= tolerance))
            fail_msg("step %d: calm loss %.12g, not %.12g", (int)step, calm, golden_shards_calm[step - 1]);
        ws_accumulate_at(&place, gradients[0], gradients[1], extent);
        ws_adamw_step(plan, &options, 0.01, 0.5, step, parameters, gradients[0], m, v);
        ws_statistics_step(plan, 0.5, parameters, gradients[0]);
    }
    release(parameters, extent), release(gradients[0], extent), release(gradients[1], extent);
    free(m), free(v);
    ws_executor_destroy(&x);
    ws_plan_destroy(&plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_perceptron),
        cmocka_unit_test(test_tokens_with_a_bit_of_everything),
        cmocka_unit_test(test_batch_normalisation_over_shards),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
