/* Batch normalisation: against naive loops in double at every instruction set level; which rows count; running averages that take
 * what shards have measured and that nothing else changes. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include "engine_test.h"

/* ---- kernels ---- */

enum { MOST_ROWS = 150 };

typedef struct case_of {
    int64_t B, T, D;
    bool lengths, own;
    size_t all, width;
    ws_real *x, *y, *dy, *dx, *column[10], *scratch;
    int32_t length[MOST_ROWS];
} case_of;

static bool row_counts(const case_of *c, int64_t r)
{
    return !c->lengths || r % c->T < c->length[r / c->T];
}

static case_of make_case(int64_t B, int64_t T, int64_t D, bool lengths, bool own)
{
    case_of c = {.B = B, .T = T, .D = D, .lengths = lengths, .own = own};
    c.all = (size_t)(B * T * D);
    c.width = (size_t)D;
    c.x = guarded_normal(c.all, 1), c.dy = guarded_normal(c.all, 2), c.y = guarded(c.all), c.dx = guarded(c.all);
    c.scratch = guarded(WS_BATCHNORM_SCRATCH * c.width);
    for (uint64_t k = 0; k < 10; k++)
        c.column[k] = k < 4 ? guarded_normal(c.width, 3 + k) : guarded(c.width);
    for (int64_t d = 0; d < D; d++)
        c.column[3][d] = 1 + c.column[3][d] * c.column[3][d]; /* a running variance */
    for (int64_t b = 0; b < B; b++)
        c.length[b] = (int32_t)(b * 5 % (T + 3)) - 1; /* below 0, and more than there are, too */
    for (int64_t r = 0; r < B * T; r++)
        for (int64_t d = 0; d < D; d++)
            if (row_counts(&c, r))
                c.x[r * D + d] = 3 * c.x[r * D + d] + 7; /* far from mean 0 */
            else
                c.x[r * D + d] = c.dy[r * D + d] = (ws_real)NAN; /* padding may hold anything */
    return c;
}

static ws_batchnorm_arguments arguments_of(case_of *c, ws_real *counted)
{
    return (ws_batchnorm_arguments){
        .B = c->B,
        .T = c->T,
        .D = c->D,
        .epsilon = 1e-5,
        .own = c->own,
        .x = c->x,
        .length = c->lengths ? c->length : NULL,
        .weight = c->column[0],
        .bias = c->column[1],
        .running_mean = c->column[2],
        .running_variance = c->column[3],
        .mean = c->column[4],
        .variance = c->column[5],
        .counted = counted,
        .y = c->y,
        .dy = c->dy,
        .dx = c->dx,
        .dweight = c->column[6],
        .dbias = c->column[7],
        .seen_mean = c->column[8],
        .seen_variance = c->column[9],
        .scratch = c->scratch,
    };
}

static void free_case(case_of *c)
{
    release(c->x, c->all), release(c->y, c->all), release(c->dy, c->all), release(c->dx, c->all);
    release(c->scratch, WS_BATCHNORM_SCRATCH * c->width);
    for (int k = 0; k < 10; k++)
        release(c->column[k], c->width);
}

typedef struct naive {
    double *y, *dx, *dweight, *dbias, *seen_mean, *seen_variance;
    double largest; /* of the terms of dx, which nearly cancel where two rows count */
} naive;

static void naive_column(const case_of *c, int64_t d, naive *out)
{
    int64_t R = c->B * c->T, D = c->D;
    double n = 0, mean = 0, variance = 0, weight = (double)c->column[0][d], bias = (double)c->column[1][d];
    for (int64_t r = 0; r < R; r++)
        n += row_counts(c, r);
    bool own = c->own && n >= 2;
    for (int64_t r = 0; r < R; r++)
        mean += row_counts(c, r) ? (double)c->x[r * D + d] / n : 0;
    for (int64_t r = 0; r < R; r++)
        variance += row_counts(c, r) ? ((double)c->x[r * D + d] - mean) * ((double)c->x[r * D + d] - mean) / n : 0;
    if (!own) {
        mean = (double)c->column[2][d];
        variance = (double)c->column[3][d];
    }
    out->seen_mean[d] = mean;
    out->seen_variance[d] = own ? variance * n / (n - 1) : variance;
    double rstd = 1 / sqrt(variance + 1e-5);
    for (int64_t r = 0; r < R; r++)
        if (row_counts(c, r)) {
            double h = ((double)c->x[r * D + d] - mean) * rstd, dy = (double)c->dy[r * D + d];
            out->y[r * D + d] = h * weight + bias;
            out->dweight[d] += dy * h;
            out->dbias[d] += dy;
        }
    for (int64_t r = 0; r < R; r++)
        if (row_counts(c, r)) {
            double h = ((double)c->x[r * D + d] - mean) * rstd, dy = (double)c->dy[r * D + d];
            out->largest = fmax(out->largest, fabs(weight * rstd * dy));
            out->dx[r * D + d] = weight * rstd * (dy - (own ? (out->dbias[d] + h * out->dweight[d]) / n : 0));
        }
}

static void assert_gradients(const case_of *c, const naive *want, double times)
{
    for (size_t i = 0; i < c->all; i++)
        if (!(fabs((double)c->dx[i] - times * want->dx[i]) <= 1e-5 * times * want->largest))
            fail_msg("batchnorm dx: element %zu is %.9g, expected %.9g", i, (double)c->dx[i], times * want->dx[i]);
}

static void compare(ws_isa isa, int64_t B, int64_t T, int64_t D, bool lengths, bool own)
{
    case_of c = make_case(B, T, D, lengths, own);
    ws_real counted = (ws_real)NAN;
    ws_batchnorm_arguments a = arguments_of(&c, &counted);
    double *memory = NULL;
    OK(WS_NEW_ARRAY(memory, 2 * c.all + 4 * c.width));
    naive want = {.y = memory, .dx = memory + c.all, .dweight = memory + 2 * c.all};
    want.dbias = want.dweight + D;
    want.seen_mean = want.dbias + D;
    want.seen_variance = want.seen_mean + D;
    for (int64_t d = 0; d < D; d++)
        naive_column(&c, d, &want);
    ws_kernels_of(isa)->batchnorm_forward(&a, NULL);
    assert_near("batchnorm", c.y, want.y, c.all, 1e-5);
    ws_kernels_of(isa)->batchnorm_backward(&a, NULL);
    assert_gradients(&c, &want, 1);
    assert_near("batchnorm dweight", c.column[6], want.dweight, c.width, 1e-5);
    assert_near("batchnorm dbias", c.column[7], want.dbias, c.width, 1e-5);
    assert_near("batchnorm mean", c.column[8], want.seen_mean, c.width, 1e-6);
    assert_near("batchnorm variance", c.column[9], want.seen_variance, c.width, 1e-5);
    a.accumulate_dx = true; /* and without gradients of parameters, as a pull back wants it */
    a.dweight = a.dbias = a.seen_mean = a.seen_variance = NULL;
    ws_kernels_of(isa)->batchnorm_backward(&a, NULL);
    assert_gradients(&c, &want, 2);
    free(memory);
    free_case(&c);
}

static void test_against_naive_loops(void **state)
{
    (void)state;
    static const int64_t shapes[][3] = {{1, 1, 1}, {2, 1, 3}, {1, 5, 17}, {3, 4, 33}, {130, 1, 16}, {29, 5, 19}};
    FOR_EACH_LEVEL(isa)
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
        for (int which = 0; which < 4; which++)
            compare(isa, shapes[s][0], shapes[s][1], shapes[s][2], which & 1, which & 2);
}

/* ---- running averages ---- */

enum { B = 12, D = 5 };

static ws_plan *small_network(bool with_branch)
{
    ws_plan *plan;
    OK(ws_plan_create(&plan));
    ws_tensor x = ws_input(plan, "x", 2, (int64_t[]){B, D});
    ws_tensor h = ws_batchnorm(plan, ws_linear(plan, x, 7, WS_NONE, "in"), WS_NO_TENSOR, "norm");
    if (with_branch) /* the loss does not see it */
        ws_plan_output(plan, ws_batchnorm(plan, h, WS_NO_TENSOR, "branch"), "branch");
    ws_tensor y = ws_linear(plan, ws_activate(plan, h, WS_SILU), 3, WS_NONE, "head");
    ws_plan_output(plan, y, "y");
    OK(ws_plan_finish(plan, ws_mse(plan, y, ws_input(plan, "target", 2, (int64_t[]){B, 3}))));
    return plan;
}

static const ws_parameter *find(const ws_plan *plan, const char *name)
{
    const ws_parameter *table;
    size_t count = ws_plan_parameters(plan, &table);
    for (size_t i = 0; i < count; i++)
        if (strcmp(table[i].name, name) == 0)
            return &table[i];
    fail_msg("there is no parameter %s", name);
    return NULL;
}

static void test_statistics_lie_behind_the_parameters(void **state)
{
    (void)state;
    static const char *const order[] = {
        "head.bias",          "head.weight",         "branch.bias",      "branch.weight",
        "norm.bias",          "norm.weight",         "in.bias",          "in.weight",
        "branch.running_var", "branch.running_mean", "norm.running_var", "norm.running_mean"};
    ws_plan *plan = small_network(true);
    const ws_parameter *table;
    assert_int_equal(ws_plan_parameters(plan, &table), 12);
    size_t end = 0, learned = 0;
    for (size_t i = 0; i < 12; i++) {
        assert_string_equal(table[i].name, order[i]);
        assert_int_equal(table[i].statistic, i >= 8);
        assert_int_equal(table[i].offset, (end + 15) / 16 * 16);
        if (i == 8)
            assert_int_equal(ws_plan_trained_extent(plan), table[i].offset);
        end = table[i].offset + table[i].count;
        learned += i < 8 ? table[i].count : 0;
    }
    assert_int_equal(ws_plan_parameter_count(plan), learned);
    ws_plan_destroy(&plan);
}

/* Statistics go a tenth of the way to the mean of what shards saw; AdamW leaves them, and they begin at 0 and 1. Those of a branch
 * that the loss does not see stay where they are. */
static void test_running_averages_move_by_a_tenth(void **state)
{
    (void)state;
    static const ws_adamw options = {.beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8, .weight_decay = 0.1};
    ws_plan *plan = small_network(true);
    ws_executor *x;
    OK(ws_executor_create(&x, plan));
    size_t extent = ws_plan_parameter_extent(plan), mean = find(plan, "norm.running_mean")->offset;
    size_t variance = find(plan, "norm.running_var")->offset, other_mean = find(plan, "branch.running_mean")->offset;
    size_t other_variance = find(plan, "branch.running_var")->offset;
    ws_real *p = guarded(extent), *g = guarded(extent), *m, *v;
    OK(WS_NEW_ARRAY(m, extent));
    OK(WS_NEW_ARRAY(v, extent));
    ws_plan_initialise(plan, 3, p);
    fill_normal(ws_executor_input(x, "x"), B * D, 1);
    fill_normal(ws_executor_input(x, "target"), B * 3, 2);
    ws_executor_set_random(x, 1, 1, 1);
    ws_executor_forward(x, p);
    ws_executor_backward(x, p, g);
    ws_adamw_step(plan, &options, 0.01, 1, 1, p, g, m, v);
    for (int d = 0; d < 7; d++) {
        assert_true(p[mean + (size_t)d] == 0 && p[variance + (size_t)d] == 1);
        assert_true(g[mean + (size_t)d] != 0 && g[variance + (size_t)d] > 0);
    }
    ws_statistics_step(plan, 0.25, p, g);
    for (size_t d = 0; d < 7; d++) {
        assert_true(fabs((double)p[mean + d] - 0.1 * 0.25 * (double)g[mean + d]) < 1e-7);
        assert_true(fabs((double)p[variance + d] - (0.9 + 0.1 * 0.25 * (double)g[variance + d])) < 1e-7);
        assert_true(p[other_mean + d] == 0 && p[other_variance + d] == 1);
    }
    for (size_t i = ws_plan_trained_extent(plan); i < extent; i++)
        assert_true(m[i] == 0 && v[i] == 0);
    /* A calm pass measures nothing: the averages stay to the bit. */
    ws_real before[7];
    memcpy(before, p + mean, sizeof before);
    ws_executor_set_calm(x);
    ws_executor_forward(x, p);
    ws_executor_backward(x, p, g);
    ws_statistics_step(plan, 1, p, g);
    assert_memory_equal(before, p + mean, sizeof before);
    release(p, extent), release(g, extent);
    free(m), free(v);
    ws_executor_destroy(&x);
    ws_plan_destroy(&plan);
}

/* In training a row's output depends on its neighbours, in a calm pass it does not. */
static void test_calm_rows_do_not_see_each_other(void **state)
{
    (void)state;
    ws_plan *plan = small_network(false);
    ws_executor *x;
    OK(ws_executor_create(&x, plan));
    ws_real *p = guarded(ws_plan_parameter_extent(plan)), *input = ws_executor_input(x, "x"), kept[3];
    ws_plan_initialise(plan, 3, p);
    for (int calm = 0; calm < 2; calm++) {
        if (calm)
            ws_executor_set_calm(x);
        else
            ws_executor_set_random(x, 1, 1, 1);
        fill_normal(input, B * D, 1);
        ws_executor_forward(x, p);
        memcpy(kept, ws_executor_output(x, "y"), sizeof kept);
        fill_normal(input + D, (B - 1) * D, 2); /* other neighbours of row 0 */
        ws_executor_forward(x, p);
        assert_int_equal(memcmp(kept, ws_executor_output(x, "y"), sizeof kept) == 0, calm);
    }
    release(p, ws_plan_parameter_extent(plan));
    ws_executor_destroy(&x);
    ws_plan_destroy(&plan);
}

static void test_lengths_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    ws_plan *plan;
    OK(ws_plan_create(&plan));
    ws_tensor x = ws_input(plan, "x", 2, (int64_t[]){B, D});
    ws_tensor y = ws_batchnorm(plan, ws_linear(plan, x, D, WS_NONE, "in"), ws_input_index(plan, "length", B), "norm");
    assert_int_equal(ws_plan_finish(plan, ws_mse(plan, y, x)), WS_E_CONFIG);
    assert_non_null(strstr(ws_error_message(), "batchnorm norm: with lengths, [12, 5] needs three dimensions"));
    ws_plan_destroy(&plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_naive_loops),
        cmocka_unit_test(test_statistics_lie_behind_the_parameters),
        cmocka_unit_test(test_running_averages_move_by_a_tenth),
        cmocka_unit_test(test_calm_rows_do_not_see_each_other),
        cmocka_unit_test(test_lengths_that_do_not_fit_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
