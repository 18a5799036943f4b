/* ctest: labels=gpu timeout=300
 * Every network learns on a CUDA device what it learns on the CPU: twenty steps from the same parameters over the same rows, the loss
 * of every step to 1e-4; and the same bits when it learns twice.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include "models/bench_rows.h"

enum { STEPS = 20, ROWS = 16 };
#define OK(call)                                                                                                       \
    do {                                                                                                               \
        if ((call) != WS_OK)                                                                                           \
            fail_msg("%s", ws_error_message());                                                                        \
    } while (0)

static ws_place cpu, cuda;

/* One network and one place: plan, executor, and everything that a step changes. */
typedef struct learner {
    const ws_network *network;
    const ws_place *place;
    ws_bench_rows made;
    ws_plan *plan;
    ws_executor *executor;
    ws_updater *updater;
    ws_repeat update;
    size_t extent;
    ws_real *parameters, *gradients, *first, *second, *average, *seen; /* all but seen: in the place */
    double learning_rate;
    void *scratch;
    char *batch_plan;
} learner;

static void create(learner *l, const ws_model *model, const ws_place *place)
{
    ws_tensor loss;
    *l = (learner){.network = model->network, .place = place, .learning_rate = 1e-3};
    if (strcmp(model->name, "spline_flow") ==
        0) /* so steep that longer steps multiply the rounding by a hundred each */
        l->learning_rate = 1e-5;
    OK(ws_bench_rows_create(&l->made, model, ROWS, 1));
    OK(ws_plan_create(&l->plan));
    OK(l->network->build_training(&l->made.context, l->plan, ROWS, &loss));
    OK(ws_plan_finish(l->plan, loss));
    OK(ws_executor_create_at(&l->executor, l->plan, place));
    OK(ws_updater_create(&l->updater, l->plan, place));
    l->extent = ws_plan_parameter_extent(l->plan);
    ws_real **arrays[] = {&l->parameters, &l->gradients, &l->first, &l->second, &l->average};
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
        OK(ws_place_allocate(place, arrays[i], l->extent));
    OK(ws_alloc(&l->seen, l->extent, sizeof *l->seen));
    ws_plan_initialise(l->plan, 5, l->seen);
    ws_place_upload(place, l->parameters, l->seen, l->extent);
    OK(ws_place_wait(place));
    size_t bytes = l->network->plan_bytes ? l->network->plan_bytes(&l->made.context) : 0;
    if (bytes > 0) {
        OK(ws_alloc(&l->batch_plan, bytes, 1));
        OK(l->network->scratch_create(&l->made.context, &l->scratch));
    }
}

static void update_all(void *context)
{
    const learner *l = context;
    ws_updater_step(l->updater, l->place,
                    &(ws_update_state){l->parameters, l->first, l->second, l->average, l->gradients, NULL}, 0,
                    l->extent);
}

static double step(learner *l, uint64_t number)
{
    const ws_batch batch = {.seed = 5, .step = number, .samples = &l->made.samples, .rows = l->made.rows};
    double norm = 0;
    if (l->batch_plan)
        l->network->plan_batch(&l->made.context, &batch, l->scratch, l->batch_plan);
    l->network->fill(&l->made.context, &batch, l->batch_plan, 0, l->executor);
    ws_executor_set_random(l->executor, 5, number, 0);
    ws_executor_forward(l->executor, l->parameters);
    ws_executor_backward(l->executor, l->parameters, l->gradients);
    OK(ws_executor_wait(l->executor));
    OK(ws_gradient_norm_at(l->place, l->gradients, ws_plan_trained_extent(l->plan), &norm));
    const ws_update update = {.adamw = {0.9, 0.999, 1e-8, 1e-2},
                              .rate = l->learning_rate,
                              .scale = norm > 1 ? 1 / norm : 1,
                              .statistics_scale = 1,
                              .average_decay = 0.99,
                              .step = number};
    ws_updater_set(l->updater, l->place, &update);
    ws_repeat_run(&l->update, l->place, update_all, l);
    return (double)ws_executor_loss(l->executor);
}

static void destroy(learner *l)
{
    ws_real **arrays[] = {&l->parameters, &l->gradients, &l->first, &l->second, &l->average};
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
        ws_place_release(l->place, arrays[i]);
    if (l->scratch)
        l->network->scratch_destroy(&l->scratch);
    ws_repeat_forget(&l->update, l->place);
    ws_updater_destroy(&l->updater);
    free(l->batch_plan);
    free(l->seen);
    ws_executor_destroy(&l->executor);
    ws_plan_destroy(&l->plan);
    ws_bench_rows_destroy(&l->made);
}

static void learns_the_same(const ws_model *model)
{
    learner here, there, again;
    create(&here, model, &cpu);
    create(&there, model, &cuda);
    create(&again, model, &cuda);
    double first = 0, last = 0;
    for (uint64_t i = 1; i <= STEPS; i++) {
        double expected = step(&here, i), got = step(&there, i);
        if (!(fabs(got - expected) <= 1e-4 * (1 + fabs(expected))))
            fail_msg("%s, step %d: the loss is %.9g on the device and %.9g on the CPU", model->name, (int)i, got,
                     expected);
        assert_true(step(&again, i) == got);
        first = i == 1 ? expected : first;
        last = expected;
    }
    OK(ws_place_download(&cuda, there.seen, there.parameters, there.extent));
    OK(ws_place_download(&cuda, again.seen, again.parameters, again.extent));
    assert_memory_equal(there.seen, again.seen, there.extent * sizeof *there.seen);
    printf("%s: loss %.6g to %.6g in %d steps\n", model->name, first, last, STEPS);
    destroy(&here);
    destroy(&there);
    destroy(&again);
}

static void every_network_learns_what_it_learns_on_the_cpu(void **state)
{
    (void)state;
    int networks = 0;
    for (size_t i = 0; ws_models[i]; i++)
        if (ws_models[i]->network) {
            learns_the_same(ws_models[i]);
            networks++;
        }
    assert_true(networks >= 3);
}

int main(void)
{
    OK(ws_place_open(&cpu, WS_CPU, 0));
    if (ws_place_open(&cuda, WS_CUDA, 0) != WS_OK) {
        printf("skip: %s\n", ws_error_message());
        return 77;
    }
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_network_learns_what_it_learns_on_the_cpu)};
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    ws_place_close(&cuda);
    return failed;
}
