/* A small network trained end to end: it learns one batch by heart, a second run has the same bits, executors share a
 * plan across threads, and a step allocates nothing. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <pthread.h>
#include "engine_test.h"

/* Every allocation of the process, the BLAS's included, comes by here. */
#ifndef __SANITIZE_ADDRESS__
extern void *__libc_malloc(size_t bytes);
extern void *__libc_calloc(size_t count, size_t bytes);
extern void *__libc_realloc(void *memory, size_t bytes);
extern void *__libc_memalign(size_t alignment, size_t bytes);
static _Atomic size_t allocations;
void *malloc(size_t bytes)
{
    allocations++;
    return __libc_malloc(bytes);
}
void *calloc(size_t count, size_t bytes)
{
    allocations++;
    return __libc_calloc(count, bytes);
}
void *realloc(void *memory, size_t bytes)
{
    allocations++;
    return __libc_realloc(memory, bytes);
}
void *aligned_alloc(size_t alignment, size_t bytes)
{
    allocations++;
    return __libc_memalign(alignment, bytes);
}
int posix_memalign(void **out, size_t alignment, size_t bytes)
{
    allocations++;
    *out = __libc_memalign(alignment, bytes);
    return *out ? 0 : 12;
}
#define COUNTS_ALLOCATIONS 1
#else
static const size_t allocations = 0;
#define COUNTS_ALLOCATIONS 0
#endif

enum { ROWS = 32, INPUTS = 10, CLASSES = 4 };

static ws_plan *network(void)
{
    ws_plan *plan;
    OK(ws_plan_create(&plan));
    ws_tensor x = ws_input(plan, "x", 2, (int64_t[]){ROWS, INPUTS});
    ws_tensor h = ws_linear(plan, x, 48, WS_SILU, "in");
    for (int i = 0; i < 2; i++) {
        ws_scope_begin(plan, "block.%d", i);
        h = ws_add(plan, h, ws_linear(plan, ws_layernorm(plan, h, "norm"), 48, WS_GELU, "linear"));
        ws_scope_end(plan);
    }
    ws_tensor logits = ws_linear(plan, h, CLASSES, WS_NONE, "head");
    ws_plan_output(plan, logits, "logits");
    OK(ws_plan_finish(plan, ws_cross_entropy(plan, logits, ws_input_index(plan, "class", ROWS))));
    return plan;
}

typedef struct training {
    const ws_plan *plan;
    ws_executor *executor;
    size_t extent;
    ws_real *parameters, *gradients, *m, *v;
} training;

static void begin(training *t, const ws_plan *plan)
{
    *t = (training){.plan = plan, .extent = ws_plan_parameter_extent(plan)};
    OK(ws_executor_create(&t->executor, plan));
    OK(WS_NEW_ARRAY(t->parameters, t->extent));
    OK(WS_NEW_ARRAY(t->gradients, t->extent));
    OK(WS_NEW_ARRAY(t->m, t->extent));
    OK(WS_NEW_ARRAY(t->v, t->extent));
    ws_plan_initialise(plan, 4, t->parameters);
    fill_normal(ws_executor_input(t->executor, "x"), ROWS * INPUTS, 1);
    for (int32_t i = 0; i < ROWS; i++) /* labels that have nothing to do with x: only memory helps */
        ws_executor_input_index(t->executor, "class")[i] = i % CLASSES;
}

static void end(training *t)
{
    ws_executor_destroy(&t->executor);
    free(t->parameters);
    free(t->gradients);
    free(t->m);
    free(t->v);
}

static double step(training *t, uint64_t number)
{
    static const ws_adamw options = {.beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8, .weight_decay = 1e-4};
    ws_executor_forward(t->executor, t->parameters);
    ws_executor_backward(t->executor, t->parameters, t->gradients);
    double norm = ws_gradient_norm(t->gradients, t->extent);
    double scale = norm > 1 ? 1 / norm : 1;
    ws_adamw_step(t->plan, &options, 5e-3, scale, number, t->parameters, t->gradients, t->m, t->v);
    return (double)ws_executor_loss(t->executor);
}

static double train(training *t, uint64_t steps)
{
    double loss = 0;
    for (uint64_t i = 1; i <= steps; i++)
        loss = step(t, i);
    return loss;
}

static void test_learns_one_batch_by_heart(void **state)
{
    (void)state;
    ws_plan *plan = network();
    training t;
    begin(&t, plan);
    double first = step(&t, 1);
    assert_true(first > 1 && first < 2.5); /* about log 4 */
    for (uint64_t i = 2; i <= 200; i++)
        step(&t, i);
    double last = step(&t, 201);
    assert_true(last < 0.01);
    const ws_real *logits = ws_executor_output(t.executor, "logits");
    for (int i = 0; i < ROWS; i++)
        for (int c = 0; c < CLASSES; c++)
            assert_true(c == i % CLASSES || logits[i * CLASSES + c] < logits[i * CLASSES + i % CLASSES]);
    end(&t);
    ws_plan_destroy(&plan);
}

static void *train_in_thread(void *data)
{
    train(data, 30);
    return NULL;
}

static void test_runs_repeat_also_in_threads(void **state)
{
    (void)state;
    ws_plan *plan = network();
    training alone, a, b;
    begin(&alone, plan), begin(&a, plan), begin(&b, plan);
    train(&alone, 30);
    pthread_t other;
    assert_int_equal(pthread_create(&other, NULL, train_in_thread, &a), 0);
    train(&b, 30);
    assert_int_equal(pthread_join(other, NULL), 0);
    assert_memory_equal(alone.parameters, a.parameters, alone.extent * sizeof(ws_real));
    assert_memory_equal(alone.parameters, b.parameters, alone.extent * sizeof(ws_real));
    assert_memory_equal(alone.gradients, b.gradients, alone.extent * sizeof(ws_real));
    end(&alone), end(&a), end(&b);
    ws_plan_destroy(&plan);
}

static void test_a_step_allocates_nothing(void **state)
{
    (void)state;
    if (!COUNTS_ALLOCATIONS)
        skip();
    ws_plan *plan = network();
    training t;
    begin(&t, plan);
    train(&t, 2); /* the BLAS makes its buffers in its first calls */
    size_t before = allocations;
    assert_true(before > 0);
    train(&t, 5);
    assert_int_equal(allocations, before);
    end(&t);
    ws_plan_destroy(&plan);
}

static void test_names_that_are_not_there(void **state)
{
    (void)state;
    ws_plan *plan = network();
    ws_executor *x;
    OK(ws_executor_create(&x, plan));
    assert_null(ws_executor_input(x, "y"));
    assert_null(ws_executor_input(x, "class")); /* indices, not reals */
    assert_null(ws_executor_input_index(x, "x"));
    assert_null(ws_executor_output(x, "x"));
    ws_executor_destroy(&x);
    ws_executor_destroy(&x);
    ws_plan_destroy(&plan);
    ws_plan_destroy(&plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_learns_one_batch_by_heart),
        cmocka_unit_test(test_runs_repeat_also_in_threads),
        cmocka_unit_test(test_a_step_allocates_nothing),
        cmocka_unit_test(test_names_that_are_not_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
