/* Operators over rows and tokens, and the losses beside mse: against naive loops in double at every instruction set level, and
 * against values worked out elsewhere. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include "engine_test.h"

static const int64_t shapes[][2] = {{1, 1}, {3, 17}, {17, 33}, {70, 16}};
#define FOR_EACH_SHAPE(B, D)                                                                                           \
    for (size_t s_ = 0; s_ < 4; s_++)                                                                                  \
        for (int64_t B = shapes[s_][0], D = shapes[s_][1], once_ = 1; once_; once_ = 0)

static double *doubles(size_t count)
{
    double *out = NULL;
    OK(WS_NEW_ARRAY(out, count));
    return out;
}

/* ---- rows by number ---- */

static void test_gathered_rows(void **state)
{
    (void)state;
    enum { T = 6, K = 9 };
    FOR_EACH_LEVEL(isa)
    FOR_EACH_SHAPE(B, D)
    {
        size_t in = (size_t)(B * T * D), out = (size_t)(B * K * D);
        ws_real *x = guarded_normal(in, 1), *dy = guarded_normal(out, 2), *y = guarded(out), *dx = guarded(in);
        int32_t index[70 * K], order[70 * K];
        double *want = doubles(out), *want_dx = doubles(in);
        for (int64_t i = 0; i < B * K; i++) {
            index[i] = (int32_t)(i * i + 3 * i) % T - (i % 5 == 4 ? T : 0); /* some below 0 */
            for (int64_t d = 0; d < D && index[i] >= 0; d++) {
                int64_t from = (i / K * T + index[i]) * D + d;
                want[i * D + d] = (double)x[from];
                want_dx[from] += (double)dy[i * D + d];
            }
        }
        ws_gather_rows_arguments a = {.B = B, .T = T, .K = K, .D = D, .x = x, .index = index, .y = y};
        ws_kernels_of(isa)->gather_rows_forward(&a, NULL);
        assert_near("gather_rows", y, want, out, 0);
        a.dy = dy;
        a.dx = dx;
        a.order = order;
        ws_kernels_of(isa)->gather_rows_backward(&a, NULL);
        assert_near("gather_rows dx", dx, want_dx, in, 1e-6);
        index[0] = T; /* a row that is not there must not pass unseen */
        ws_kernels_of(isa)->gather_rows_forward(&a, NULL);
        assert_true(isnan(y[0]) && isnan(y[D - 1]));
        release(x, in), release(dy, out), release(y, out), release(dx, in);
        free(want), free(want_dx);
    }
}

static void test_scattered_rows(void **state)
{
    (void)state;
    enum { T = 7, K = 4 };
    FOR_EACH_LEVEL(isa)
    FOR_EACH_SHAPE(B, D)
    {
        size_t in = (size_t)(B * K * D), out = (size_t)(B * T * D), width = (size_t)D;
        ws_real *x = guarded_normal(in, 1), *dy = guarded_normal(out, 2), *weight = guarded_normal(width, 3);
        ws_real *y = guarded(out), *dx = guarded(in), *dweight = guarded(width);
        ws_real *scratch = guarded(WS_COLUMN_PARTS * width);
        int32_t index[70 * K], source[70 * T];
        double *want = doubles(out), *want_dx = doubles(in), *want_weight = doubles(width);
        for (int64_t i = 0; i < B * K; i++) /* token 5 twice: the last counts; -1 goes nowhere */
            index[i] = (const int32_t[]){5, -1, (int32_t)(i / K) % 4, 5}[i % K];
        for (int64_t b = 0; b < B; b++)
            for (int64_t t = 0; t < T; t++)
                for (int64_t d = 0; d < D; d++) {
                    int64_t at = (b * T + t) * D + d, k = t == 5 ? 3 : t == b % 4 ? 2 : -1;
                    want[at] = (double)(k < 0 ? weight[d] : x[(b * K + k) * D + d]);
                    if (k < 0)
                        want_weight[d] += (double)dy[at];
                    else
                        want_dx[(b * K + k) * D + d] = (double)dy[at];
                }
        ws_scatter_rows_arguments a = {.B = B, .T = T, .K = K, .D = D, .x = x, .index = index, .weight = weight};
        a.y = y;
        a.source = source;
        ws_kernels_of(isa)->scatter_rows_forward(&a, NULL);
        assert_near("scatter_rows", y, want, out, 0);
        a.dy = dy;
        a.dx = dx;
        a.dweight = dweight;
        a.scratch = scratch;
        ws_kernels_of(isa)->scatter_rows_backward(&a, NULL);
        assert_near("scatter_rows dx", dx, want_dx, in, 0);
        assert_near("scatter_rows dweight", dweight, want_weight, width, 2e-6);
        release(x, in), release(dy, out), release(weight, width), release(y, out), release(dx, in);
        release(dweight, width), release(scratch, WS_COLUMN_PARTS * width);
        free(want), free(want_dx), free(want_weight);
    }
}

/* ---- pools, norm, gate ---- */

/* The first `length` tokens of x, weighted by exp(score). */
static void naive_pool(const ws_real *x, int64_t T, int64_t D, int64_t length, const ws_real *weight, double *y)
{
    double total = 0;
    for (int64_t t = 0; t < T && t < length; t++) {
        double score = 0;
        for (int64_t d = 0; weight && d < D; d++)
            score += (double)x[t * D + d] * (double)weight[d];
        total += exp(score);
        for (int64_t d = 0; d < D; d++)
            y[d] += exp(score) * (double)x[t * D + d];
    }
    for (int64_t d = 0; total > 0 && d < D; d++)
        y[d] /= total;
}

static void test_pools(void **state)
{
    (void)state;
    enum { T = 5 };
    FOR_EACH_LEVEL(isa)
    FOR_EACH_SHAPE(B, D)
    for (int with_lengths = 0; with_lengths < 2; with_lengths++) {
        size_t in = (size_t)(B * T * D), out = (size_t)(B * D);
        ws_real *x = guarded_normal(in, 1), *weight = guarded_normal((size_t)D, 2), *y = guarded(out), bias = 3;
        ws_real *share = guarded((size_t)(B * T));
        int32_t length[70];
        double *mean = doubles(out), *weighted = doubles(out);
        for (int64_t b = 0; b < B; b++) {
            length[b] = (int32_t)(b % 8) - 1; /* from -1 to more than there are */
            int64_t n = with_lengths ? length[b] : T;
            for (int64_t i = n < 0 ? 0 : n * D; i < T * D; i++)
                x[b * T * D + i] = (ws_real)NAN; /* padding may hold anything */
            naive_pool(x + b * T * D, T, D, n, NULL, mean + b * D);
            naive_pool(x + b * T * D, T, D, n, weight, weighted + b * D);
        }
        ws_mean_pool_arguments m = {.B = B, .T = T, .D = D, .x = x, .y = y, .length = with_lengths ? length : NULL};
        ws_kernels_of(isa)->mean_pool_forward(&m, NULL);
        assert_near("mean_pool", y, mean, out, 1e-6);
        ws_attention_pool_arguments a = {.B = B, .T = T, .D = D, .x = x, .weight = weight, .bias = &bias, .y = y};
        a.length = m.length;
        a.share = share;
        ws_kernels_of(isa)->attention_pool_forward(&a, NULL);
        assert_near("attention_pool", y, weighted, out, 4e-6);
        release(x, in), release(weight, (size_t)D), release(y, out), release(share, (size_t)(B * T));
        free(mean), free(weighted);
    }
}

static void test_rows_of_length_one_and_gates(void **state)
{
    (void)state;
    FOR_EACH_LEVEL(isa)
    FOR_EACH_SHAPE(B, D)
    {
        size_t count = (size_t)(B * D);
        ws_real *x = guarded_normal(count, 1), *y = guarded(count), *wide = guarded_normal(2 * count, 2);
        double *want = doubles(count);
        memset(x, 0, (size_t)D * sizeof *x); /* the first row has no direction: it stays zero */
        for (int64_t b = 1; b < B; b++) {
            double squares = 0;
            for (int64_t d = 0; d < D; d++)
                squares += pow((double)x[b * D + d], 2);
            for (int64_t d = 0; d < D; d++)
                want[b * D + d] = (double)x[b * D + d] / sqrt(squares);
        }
        ws_l2norm_arguments n = {.B = B, .D = D, .epsilon = 1e-12, .x = x, .y = y};
        ws_kernels_of(isa)->l2norm_forward(&n, NULL);
        assert_near("l2norm", y, want, count, 1e-6);
        for (int64_t b = 0; b < B; b++)
            for (int64_t d = 0; d < D; d++)
                want[b * D + d] = (double)wide[2 * b * D + d] / (1 + exp(-(double)wide[2 * b * D + D + d]));
        ws_glu_arguments g = {.R = B, .D = D, .activation = WS_SIGMOID, .x = wide, .y = y};
        ws_kernels_of(isa)->glu_forward(&g, NULL);
        assert_near("glu", y, want, count, 1e-6);
        release(x, count), release(y, count), release(wide, 2 * count);
        free(want);
    }
}

/* ---- losses ---- */

static void test_cross_entropy_with_smoothing_and_weights(void **state)
{
    (void)state;
    FOR_EACH_LEVEL(isa)
    FOR_EACH_SHAPE(B, C)
    for (int way = 0; way < 4; way++) {
        double smoothing = way & 1 ? 0.1 : 0, sum = 0, weights = 0;
        size_t count = (size_t)(B * C);
        ws_real *x = guarded_normal(count, 1), *weight = guarded_normal((size_t)C, 2), *loss = guarded(1);
        ws_real *scratch = guarded((size_t)(2 * B));
        int32_t index[70];
        for (int64_t c = 0; c < C; c++)
            weight[c] = way & 2 ? (ws_real)fabs((double)weight[c]) : 1;
        for (int64_t b = 0; b < B; b++) {
            index[b] = b % 3 == 1 ? -1 : (int32_t)(b % C);
            double total = 0, own = 0;
            for (int64_t c = 0; c < C; c++)
                total += exp((double)x[b * C + c]);
            for (int64_t c = 0; c < C; c++) {
                double share = smoothing / (double)C + (c == index[b] ? 1 - smoothing : 0);
                own += share * (double)weight[c] * (log(total) - (double)x[b * C + c]);
            }
            if (index[b] >= 0) {
                sum += own;
                weights += (double)weight[index[b]];
            }
        }
        sum /= weights;
        ws_cross_entropy_arguments a = {.B = B, .C = C, .logits = x, .index = index, .smoothing = smoothing};
        a.class_weight = way & 2 ? weight : NULL;
        a.loss = loss;
        a.scratch = scratch;
        ws_kernels_of(isa)->cross_entropy_forward(&a, NULL);
        assert_true(fabs((double)loss[0] - sum) <= 2e-6 * (1 + fabs(sum)));
        release(x, count), release(weight, (size_t)C), release(loss, 1), release(scratch, (size_t)(2 * B));
    }
}

static void test_binary_cross_entropy(void **state)
{
    (void)state;
    FOR_EACH_LEVEL(isa)
    FOR_EACH_SHAPE(B, D)
    {
        size_t count = (size_t)(B * D);
        ws_real *x = guarded_normal(count, 1), *t = guarded_normal(count, 2), *loss = guarded(1);
        ws_real *scratch = guarded(WS_LOSS_PARTS);
        double want = 0;
        for (size_t i = 0; i < count; i++) {
            t[i] = i % 3 == 0 ? 1 : i % 3 == 1 ? 0 : (ws_real)0.3;
            x[i] *= i % 4 == 0 ? 100 : 1; /* exp of which float cannot hold */
            double z = (double)x[i];
            want += ((z > 0 ? z : 0) + log1p(exp(-fabs(z))) - (double)t[i] * z) / (double)count;
        }
        ws_bce_arguments a = {.count = B * D, .logits = x, .target = t, .loss = loss, .scratch = scratch};
        ws_kernels_of(isa)->bce_forward(&a, NULL);
        assert_near("bce", loss, &want, 1, 1e-6);
        release(x, count), release(t, count), release(loss, 1), release(scratch, WS_LOSS_PARTS);
    }
}

static double contrastive_loss(ws_isa isa, double temperature, bool with_bank, const int32_t label[4])
{
    static const ws_real z[] = {1, 0, (ws_real)0.8, (ws_real)0.6, 0, 1, (ws_real)-0.6, (ws_real)0.8};
    static const ws_real bank[] = {1, 0, 0, 1, 7, 7};
    static const int32_t bank_label[] = {0, 1, -1}; /* the last place is not filled */
    ws_real products[4 * 7], scratch[8], loss;
    ws_supcon_arguments a = {.R = 4, .K = with_bank ? 3 : 0, .D = 2, .temperature = temperature};
    a.z = z;
    a.bank = bank;
    a.label = label;
    a.bank_label = bank_label;
    a.products = products;
    a.scratch = scratch;
    a.loss = &loss;
    ws_kernels_of(isa)->supcon_forward(&a, NULL);
    return (double)loss;
}

/* Four embeddings of two classes, with the values that the authors' own formula gives for them. */
static void test_supervised_contrast(void **state)
{
    (void)state;
    static const int32_t two_each[] = {0, 0, 1, 1}, alone[] = {0, 1, 2, 3}, some[] = {0, 0, -1, -1};
    FOR_EACH_LEVEL(isa)
    {
        assert_true(fabs(contrastive_loss(isa, 0.07, false, two_each) - 0.027933) < 1e-6);
        assert_true(fabs(contrastive_loss(isa, 0.5, false, two_each) - 0.430190) < 1e-6);
        assert_true(fabs(contrastive_loss(isa, 0.07, true, two_each) - 1.103524) < 2e-6);
        assert_true(fabs(contrastive_loss(isa, 0.5, true, two_each) - 1.015833) < 1e-6);
        assert_true(contrastive_loss(isa, 0.5, false, alone) == 0);
        assert_true(fabs(contrastive_loss(isa, 0.5, false, some)) <
                    1e-6); /* one candidate, and that of the same class */
    }
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
        ws_tensor x = ws_input(plan, "x", 3, (int64_t[]){2, 4, 3}), index = ws_input_index(plan, "index", 5);          \
        (void)x, (void)index;                                                                                          \
        call;                                                                                                          \
        expect_error(plan, message);                                                                                   \
    } while (0)

static void test_mistakes_name_node_and_shapes(void **state)
{
    (void)state;
    WITH_PLAN(ws_gather_rows(plan, x, index), "gather_rows gather_rows0: [2, 4, 3] needs three dimensions, and as many "
                                              "indices for each of the first, not [5]");
    WITH_PLAN(ws_gather_rows(plan, WS_NO_TENSOR, index), "gather_rows gather_rows0: input 1 is no tensor of this plan");
    WITH_PLAN(ws_scatter_rows(plan, x, index, 9, "mask"),
              "scatter_rows mask: [2, 4, 3] needs three dimensions and an index for each of its rows, not [5]");
    WITH_PLAN(ws_glu(plan, x, WS_GELU), "glu glu0: the last dimension of [2, 4, 3] has no halves");
    WITH_PLAN(ws_mean_pool(plan, x, index),
              "mean_pool mean_pool0: [2, 4, 3] needs one length for each of the first dimension, not [5]");
    WITH_PLAN(ws_bce(plan, x, ws_slice(plan, x, 0, 2)),
              "bce bce1: logits [2, 4, 3] and target [2, 4, 2] differ in shape");
    WITH_PLAN(ws_supcon(plan, x, index, 1, WS_NO_TENSOR, WS_NO_TENSOR),
              "supcon supcon0: embeddings [2, 4, 3] need one label a row, not [5]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gathered_rows),
        cmocka_unit_test(test_scattered_rows),
        cmocka_unit_test(test_pools),
        cmocka_unit_test(test_rows_of_length_one_and_gates),
        cmocka_unit_test(test_cross_entropy_with_smoothing_and_weights),
        cmocka_unit_test(test_binary_cross_entropy),
        cmocka_unit_test(test_supervised_contrast),
        cmocka_unit_test(test_mistakes_name_node_and_shapes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
