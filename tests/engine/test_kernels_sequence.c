/* Attention, norms, gates steered by a condition, positions and products against naive loops in double, at every instruction set level;
 * forward and backward, with sentinels around every output, and the same bits in two runs.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include "attention.h"
#include "engine_test.h"

static double *doubles(size_t count)
{
    double *out = NULL;
    OK(WS_NEW_ARRAY(out, count));
    return out;
}

/* ---- attention, as the formula says it ---- */

typedef struct attention_case {
    int64_t B, T, H, d;
    bool causal, masked;
    double base;
    int64_t period;
    double dropout;
} attention_case;

static bool sees(const attention_case *c, const int32_t *ranges, int64_t b, int64_t i, int64_t j)
{
    const int32_t *r = ranges + 4 * (b * c->T + i);
    bool inside = !c->masked || (j >= r[0] && j < r[1]) || (j >= r[2] && j < r[3]);
    return inside && (!c->causal || j <= i);
}

/* Element e of q (0), k (1) or v (2), turned by its position. */
static double projected(const attention_case *c, const ws_real *qkv, int64_t b, int64_t h, int64_t t, int which,
                        int64_t e)
{
    int64_t D = c->H * c->d, half = c->d / 2;
    const ws_real *row = qkv + (b * c->T + t) * 3 * D + which * D + h * c->d;
    if (which == 2 || c->base == 0)
        return (double)row[e];
    double angle = (double)(t % c->period) / pow(c->base, 2.0 * (double)(e % half) / (double)c->d);
    return (double)row[e] * cos(angle) + (e < half ? -(double)row[e + half] : (double)row[e - half]) * sin(angle);
}

/* Probabilities of one row before dropout; factors gets what dropout makes of them. */
static void probabilities(const attention_case *c, const ws_attention_arguments *a, int64_t b, int64_t h, int64_t i,
                          double *p, double *factors)
{
    double most = -INFINITY, sum = 0;
    for (int64_t j = 0; j < c->T; j++) {
        p[j] = -INFINITY;
        if (sees(c, a->ranges, b, i, j)) {
            p[j] = 0;
            for (int64_t e = 0; e < c->d; e++)
                p[j] += projected(c, a->qkv, b, h, i, 0, e) * projected(c, a->qkv, b, h, j, 1, e) / sqrt((double)c->d);
        }
        most = fmax(most, p[j]);
        ws_real kept[WS_DROPOUT_A_BLOCK];
        ws_attention_kept(a, b, h, i, j / WS_DROPOUT_A_BLOCK, kept);
        factors[j] = c->dropout > 0 ? (double)kept[j % WS_DROPOUT_A_BLOCK] : 1;
    }
    for (int64_t j = 0; j < c->T; j++)
        sum += p[j] = most > -INFINITY ? exp(p[j] - most) : 0;
    for (int64_t j = 0; j < c->T; j++)
        p[j] /= sum > 0 ? sum : 1;
}

/* y and the gradient of qkv; of q and k only where they are not turned. */
static void reference(const attention_case *c, const ws_attention_arguments *a, double *y, double *dqkv)
{
    int64_t T = c->T, d = c->d, D = c->H * d;
    double *p = doubles((size_t)T), *m = doubles((size_t)T), *dp = doubles((size_t)T);
    for (int64_t b = 0; b < c->B; b++)
        for (int64_t h = 0; h < c->H; h++)
            for (int64_t i = 0; i < T; i++) {
                const ws_real *dy = a->dy + (b * T + i) * D + h * d;
                double *out = y + (b * T + i) * D + h * d, along = 0;
                probabilities(c, a, b, h, i, p, m);
                for (int64_t j = 0; j < T; j++) {
                    dp[j] = 0;
                    for (int64_t e = 0; e < d; e++) {
                        double v = projected(c, a->qkv, b, h, j, 2, e);
                        out[e] += p[j] * m[j] * v;
                        dp[j] += (double)dy[e] * m[j] * v;
                        dqkv[(b * T + j) * 3 * D + 2 * D + h * d + e] += p[j] * m[j] * (double)dy[e];
                    }
                    along += p[j] * dp[j];
                }
                for (int64_t j = 0; c->base == 0 && j < T; j++)
                    for (int64_t e = 0; e < d; e++) {
                        double ds = p[j] * (dp[j] - along) / sqrt((double)d);
                        dqkv[(b * T + i) * 3 * D + h * d + e] += ds * projected(c, a->qkv, b, h, j, 1, e);
                        dqkv[(b * T + j) * 3 * D + D + h * d + e] += ds * projected(c, a->qkv, b, h, i, 0, e);
                    }
            }
    free(p), free(m), free(dp);
}

static void check_attention(const attention_case *c, ws_isa isa)
{
    int64_t D = c->H * c->d;
    size_t rows = (size_t)(c->B * c->T), count = rows * (size_t)D, kept = 2 * rows * (size_t)c->H;
    size_t scratch = (size_t)ws_attention_scratch(c->T, D, c->H, true);
    ws_real *qkv = guarded_normal(3 * count, 1), *dy = guarded_normal(count, 2), *y = guarded(count);
    ws_real *dqkv = guarded(3 * count), *again = guarded(3 * count), *memory = guarded(scratch);
    ws_real *statistics = guarded(kept);
    int32_t *ranges = NULL;
    OK(WS_NEW_ARRAY(ranges, 4 * rows));
    for (size_t k = 0; k < 4 * rows; k++)
        ranges[k] = (int32_t)((int64_t)(k * 7919 % 1009) % (c->T + 3)) - 1;
    ws_attention_arguments a = {.B = c->B, .T = c->T, .D = D, .H = c->H, .causal = c->causal};
    a.rope_base = c->base, a.rope_period = c->period, a.dropout = c->dropout;
    a.random = (ws_random_source){.seed = 1, .step = 2, .first_row = 3, .stream = 4, .active = true};
    a.qkv = qkv, a.ranges = c->masked ? ranges : NULL, a.y = y, a.dy = dy, a.scratch = memory;
    const ws_kernels *kernels = ws_kernels_of(isa);
    kernels->attention_forward(&a, NULL); /* nothing kept */
    a.statistics = statistics;
    a.dqkv = dqkv;
    double *want = doubles(count), *want_gradient = doubles(3 * count);
    reference(c, &a, want, want_gradient);
    assert_near("attention, nothing kept", y, want, count, 3e-6);
    kernels->attention_forward(&a, NULL);
    assert_near("attention", y, want, count, 3e-6);
    kernels->attention_backward(&a, NULL);
    a.dqkv = again;
    kernels->attention_backward(&a, NULL);
    assert_memory_equal(dqkv, again, 3 * count * sizeof *dqkv);
    a.accumulate_dqkv = true;
    kernels->attention_backward(&a, NULL);
    for (size_t k = 0; k < 3 * count; k++)
        assert_true(again[k] == dqkv[k] + dqkv[k]);
    for (size_t r = 0; c->base > 0 && r < rows; r++) /* of q and k: the gradient checks'; here v only */
        for (int64_t e = 0; e < 2 * D; e++)
            dqkv[r * 3 * (size_t)D + (size_t)e] = 0;
    assert_near("attention gradient", dqkv, want_gradient, 3 * count, 1e-5);
    release(qkv, 3 * count), release(dy, count), release(y, count), release(dqkv, 3 * count);
    release(again, 3 * count), release(memory, scratch), release(statistics, kept);
    free(ranges), free(want), free(want_gradient);
}

static void test_attention(void **state)
{
    (void)state;
    static const attention_case cases[] = {
        {1, 1, 1, 1, false, false, 0, 1, 0},       {2, 33, 2, 32, false, false, 0, 1, 0},
        {2, 33, 2, 24, true, false, 10000, 33, 0}, {3, 17, 1, 5, false, true, 0, 1, 0},
        {1, 150, 1, 33, false, true, 0, 1, 0.25},  {1, 300, 1, 16, true, false, 0, 1, 0},
        {2, 16, 3, 128, true, true, 100, 7, 0.5},
    };
    FOR_EACH_LEVEL(isa)
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++)
        check_attention(&cases[k], isa);
}

/* Masked keys and keys beyond a row's end have no influence, however large they are. */
static void test_unseen_keys_do_not_matter(void **state)
{
    (void)state;
    enum { T = 19, D = 8, SEEN = 11 };
    int32_t ranges[4 * T];
    for (int t = 0; t < T; t++)
        memcpy(ranges + 4 * t, (const int32_t[]){0, SEEN, 0, 0}, 4 * sizeof *ranges);
    ws_real *qkv = guarded_normal(T * 3 * D, 1), *y = guarded(T * D), *other = guarded(T * D);
    size_t scratch = (size_t)ws_attention_scratch(T, D, 2, false);
    ws_real *memory = guarded(scratch);
    ws_attention_arguments a = {
        .B = 1, .T = T, .D = D, .H = 2, .qkv = qkv, .ranges = ranges, .y = y, .scratch = memory};
    FOR_EACH_LEVEL(isa)
    {
        a.y = y;
        ws_kernels_of(isa)->attention_forward(&a, NULL);
        for (size_t k = SEEN * 3 * D; k < T * 3 * D; k++)
            if (k / D % 3 > 0)
                qkv[k] = 1e6F;
        a.y = other;
        ws_kernels_of(isa)->attention_forward(&a, NULL);
        assert_memory_equal(y, other, T * D * sizeof *y);
        fill_normal(qkv, T * 3 * D, 1);
    }
    release(qkv, T * 3 * D), release(y, T * D), release(other, T * D), release(memory, scratch);
}

/* Dropout keeps its share, is the same for a row wherever it lies in a shard, and differs between steps and operators. */
static void test_dropout_is_a_function_of_the_row(void **state)
{
    (void)state;
    enum { T = 64 };
    ws_attention_arguments a = {.T = T, .H = 1, .dropout = 0.3};
    a.random = (ws_random_source){.seed = 1, .step = 2, .first_row = 8, .stream = 3, .active = true};
    ws_attention_arguments later = a, step = a, other = a;
    later.random.first_row = 5;
    step.random.step++;
    other.random.stream++;
    int gone = 0, same_step = 0, same_other = 0, all = 0;
    for (int64_t i = 0; i < T; i++)
        for (int64_t eight = 0; eight < T / 8; eight++) {
            ws_real x[8], y[8], z[8], w[8];
            ws_attention_kept(&a, 2, 0, i, eight, x);
            ws_attention_kept(&later, 5, 0, i, eight, y);
            ws_attention_kept(&step, 2, 0, i, eight, z);
            ws_attention_kept(&other, 2, 0, i, eight, w);
            assert_memory_equal(x, y, sizeof x);
            for (int k = 0; k < 8; k++, all++) {
                gone += x[k] == 0;
                same_step += x[k] == z[k];
                same_other += x[k] == w[k];
                assert_true(x[k] == 0 || fabs((double)x[k] * 0.7 - 1) < 1e-4);
            }
        }
    /* 4096 draws: 6 standard deviations are 0.043; equal by chance 0.58 */
    assert_true(fabs((double)gone / all - 0.3) < 0.043);
    assert_true(fabs((double)same_step / all - 0.58) < 0.047 && fabs((double)same_other / all - 0.58) < 0.047);
}

/* ---- norms and gates ---- */

static void check_modulated_norm(ws_isa isa, int64_t B, int64_t T, int64_t D)
{
    int64_t W = 3 * D + 1;
    size_t rows = (size_t)(B * T), count = rows * (size_t)D, columns = (size_t)(B * W);
    ws_real *x = guarded_normal(count, 1), *condition = guarded_normal(columns, 2), *y = guarded(count);
    double *want = doubles(count);
    for (size_t r = 0; r < rows; r++) {
        const ws_real *row = x + r * (size_t)D, *of = condition + r / (size_t)T * (size_t)W;
        double mean = 0, variance = 0;
        for (int64_t k = 0; k < D; k++)
            mean += (double)row[k] / (double)D;
        for (int64_t k = 0; k < D; k++)
            variance += pow((double)row[k] - mean, 2) / (double)D;
        for (int64_t k = 0; k < D; k++)
            want[r * (size_t)D + (size_t)k] =
                ((double)row[k] - mean) / sqrt(variance + 1e-5) * (1 + (double)of[1 + k]) + (double)of[1 + 2 * D + k];
    }
    ws_modulated_norm_arguments a = {.B = B, .T = T, .D = D, .W = W, .scale = 1, .shift = 1 + 2 * D, .epsilon = 1e-5};
    a.x = x, a.condition = condition, a.y = y;
    ws_kernels_of(isa)->modulated_norm_forward(&a, NULL);
    assert_near("modulated norm", y, want, count, 3e-6);
    release(x, count), release(condition, columns), release(y, count);
    free(want);
}

static void check_gates_and_positions(ws_isa isa, int64_t B, int64_t T, int64_t D)
{
    int64_t W = 2 * D + 1;
    size_t count = (size_t)(B * T * D), columns = (size_t)(B * W), row = (size_t)(T * D);
    ws_real *x = guarded_normal(count, 1), *update = guarded_normal(count, 2), *y = guarded(count);
    ws_real *condition = guarded_normal(columns, 3), *weight = guarded_normal(row, 4);
    double *gated = doubles(count), *placed = doubles(count);
    for (size_t i = 0; i < count; i++) {
        size_t b = i / row, k = i % (size_t)D;
        gated[i] = (double)x[i] + (double)condition[b * (size_t)W + (size_t)D + 1 + k] * (double)update[i];
        placed[i] = (double)x[i] + (double)weight[i % row];
    }
    ws_gated_add_arguments g = {.B = B, .T = T, .D = D, .W = W, .gate = D + 1, .x = x, .update = update, .y = y};
    g.condition = condition;
    ws_kernels_of(isa)->gated_add_forward(&g, NULL);
    assert_near("gated add", y, gated, count, 1e-6);
    ws_add_position_arguments p = {.B = B, .count = T * D, .x = x, .weight = weight, .y = y};
    ws_kernels_of(isa)->add_position_forward(&p, NULL);
    assert_near("add position", y, placed, count, 1e-6);
    release(x, count), release(update, count), release(y, count), release(condition, columns), release(weight, row);
    free(gated), free(placed);
}

static void check_rmsnorm(ws_isa isa, int64_t B, int64_t D)
{
    size_t count = (size_t)(B * D);
    ws_real *x = guarded_normal(count, 1), *weight = guarded_normal((size_t)D, 2), *y = guarded(count);
    ws_real *rstd = guarded((size_t)B);
    double *want = doubles(count);
    for (int64_t b = 0; b < B; b++) {
        double square = 0;
        for (int64_t k = 0; k < D; k++)
            square += pow((double)x[b * D + k], 2) / (double)D;
        for (int64_t k = 0; k < D; k++)
            want[b * D + k] = (double)x[b * D + k] / sqrt(square + 1e-5) * (double)weight[k];
    }
    ws_rmsnorm_arguments a = {.B = B, .D = D, .epsilon = 1e-5, .x = x, .weight = weight, .y = y};
    ws_kernels_of(isa)->rmsnorm_forward(&a, NULL);
    assert_near("rmsnorm, nothing kept", y, want, count, 2e-6);
    a.rstd = rstd;
    ws_kernels_of(isa)->rmsnorm_forward(&a, NULL);
    assert_near("rmsnorm", y, want, count, 2e-6);
    release(x, count), release(weight, (size_t)D), release(y, count), release(rstd, (size_t)B);
    free(want);
}

static void check_bmm(ws_isa isa, int64_t B, int64_t M, int64_t K, bool transposed)
{
    int64_t N = 5;
    size_t left = (size_t)(B * M * K), right = (size_t)(B * K * N), count = (size_t)(B * M * N);
    ws_real *a = guarded_normal(left, 1), *b = guarded_normal(right, 2), *y = guarded(count);
    double *want = doubles(count);
    for (int64_t i = 0; i < B * M * N; i++)
        for (int64_t k = 0; k < K; k++) {
            int64_t batch = i / (M * N), m = i / N % M, n = i % N;
            want[i] +=
                (double)a[(batch * M + m) * K + k] * (double)b[batch * K * N + (transposed ? n * K + k : k * N + n)];
        }
    ws_bmm_arguments p = {.B = B, .M = M, .K = K, .N = N, .transposed = transposed, .a = a, .b = b, .y = y};
    ws_kernels_of(isa)->bmm_forward(&p, NULL);
    assert_near("bmm", y, want, count, 2e-6);
    release(a, left), release(b, right), release(y, count);
    free(want);
}

static void test_norms_gates_and_positions(void **state)
{
    (void)state;
    static const int64_t sizes[][3] = {{1, 1, 1}, {3, 7, 3}, {5, 1, 33}, {2, 33, 64}, {17, 4, 17}};
    FOR_EACH_LEVEL(isa)
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        check_modulated_norm(isa, sizes[k][0], sizes[k][1], sizes[k][2]);
        check_gates_and_positions(isa, sizes[k][0], sizes[k][1], sizes[k][2]);
        check_rmsnorm(isa, sizes[k][0] * sizes[k][1], sizes[k][2]);
        check_bmm(isa, sizes[k][0], sizes[k][1], sizes[k][2], false);
        check_bmm(isa, sizes[k][0], sizes[k][1], sizes[k][2], true);
    }
}

/* ---- builders say what does not fit ---- */

static void assert_refused(const char *word, ws_tensor (*build)(ws_plan *plan))
{
    ws_plan *plan;
    OK(ws_plan_create(&plan));
    build(plan);
    assert_int_equal(ws_plan_finish(plan, WS_NO_TENSOR), WS_E_CONFIG);
    if (!strstr(ws_error_message(), word))
        fail_msg("\"%s\" does not say %s", ws_error_message(), word);
    ws_error_clear();
    ws_plan_destroy(&plan);
}

static ws_tensor projections(ws_plan *plan, int64_t width)
{
    return ws_input(plan, "qkv", 3, (int64_t[]){2, 5, width});
}
static ws_tensor odd_heads(ws_plan *plan)
{
    return ws_attention(plan, projections(plan, 24), WS_NO_TENSOR, &(ws_attention_options){.heads = 3});
}
static ws_tensor odd_rotation(ws_plan *plan)
{
    return ws_attention(plan, projections(plan, 18), WS_NO_TENSOR,
                        &(ws_attention_options){.heads = 2, .rope_base = 10000});
}
static ws_tensor few_ranges(ws_plan *plan)
{
    return ws_attention(plan, projections(plan, 24), ws_input_index(plan, "ranges", 10),
                        &(ws_attention_options){.heads = 2});
}
static ws_tensor everything_dropped(ws_plan *plan)
{
    return ws_attention(plan, projections(plan, 24), WS_NO_TENSOR, &(ws_attention_options){.heads = 2, .dropout = 1});
}
static ws_tensor no_factors(ws_plan *plan)
{
    ws_tensor a = projections(plan, 24);
    return ws_bmm(plan, a, a, false);
}
static ws_tensor narrow_condition(ws_plan *plan)
{
    return ws_modulated_norm(plan, projections(plan, 24), ws_input(plan, "c", 2, (int64_t[]){2, 40}), 0, 24);
}

static void test_what_does_not_fit_is_refused(void **state)
{
    (void)state;
    assert_refused("3 heads", odd_heads);
    assert_refused("even width", odd_rotation);
    assert_refused("four bounds", few_ranges);
    assert_refused("dropout 1", everything_dropped);
    assert_refused("columns from 24", narrow_condition);
    assert_refused("no factors", no_factors);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_attention),
        cmocka_unit_test(test_unseen_keys_do_not_matter),
        cmocka_unit_test(test_dropout_is_a_function_of_the_row),
        cmocka_unit_test(test_norms_gates_and_positions),
        cmocka_unit_test(test_what_does_not_fit_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
