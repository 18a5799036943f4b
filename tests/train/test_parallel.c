/* ctest: ranks=1,2,3,4 timeout=120
 * Training over all ranks and several threads gives the bits of training alone: networks (the template among them), more
 * ranks than gradient shards, and logistic regression.
 */
#include <math.h>
#include "models/samples.h"
#include "train/internal.h"

static ws_arena *arena;

static int setup(void **state)
{
    (void)state;
    ws_h5_setup();
    return ws_arena_create(&arena, 1 << 16) != WS_OK;
}

static int teardown(void **state)
{
    (void)state;
    ws_arena_destroy(&arena);
    return 0;
}

enum { STEPS = 19 }; /* more than two windows of plans on one rank with two threads */

static ws_train_options train_options(int64_t steps, int64_t threads)
{
    return (ws_train_options){.steps = steps,
                              .learning_rate = 3e-3,
                              .minimum_learning_rate = 1e-6,
                              .warmup = 2,
                              .weight_decay = 1e-4,
                              .beta1 = 0.9,
                              .beta2 = 0.99,
                              .epsilon = 1e-8,
                              .clip = 1,
                              .ema = 0.99,
                              .validate_every = 5,
                              .threads = threads,
                              .prepare_ahead = threads > 1,
                              .checkpoint_every = 1000000,
                              .keep = 1,
                              .log_every = 1};
}

static void train(const ws_comm *comm, const ws_model *model, const ws_model_context *context, const made_samples *rows,
                  int64_t steps, int64_t threads, ws_network_state *out)
{
    ws_train_options options = train_options(steps, threads);
    ws_network_training training = {comm, &options, &rows->samples, &rows->samples, NULL, ""};
    OK(ws_network_state_create(out, model, context));
    OK(ws_network_train_all(&training, out));
}

static void assert_same(const ws_network_state *a, const ws_network_state *b)
{
    size_t bytes = a->extent * sizeof *a->parameters;
    assert_int_equal(a->extent, b->extent);
    assert_memory_equal(a->parameters, b->parameters, bytes);
    assert_memory_equal(a->average, b->average, bytes);
    assert_memory_equal(a->first_moment, b->first_moment, bytes);
    assert_memory_equal(a->second_moment, b->second_moment, bytes);
    assert_memory_equal(&a->best_loss, &b->best_loss, sizeof a->best_loss);
}

static void compare_with_alone(const ws_model *model, ws_task task, const char *json, int shards)
{
    void *options;
    ws_comm self = ws_comm_self();
    ws_network_state alone, together, threaded;
    made_samples rows = make_samples(90, 6, 4, 0.4f, 21);
    ws_model_context context = make_context(arena, model, task, 6, 4, &options);
    set_option(arena, model, options, json);
    context.shards = shards;
    train(&self, model, &context, &rows, STEPS, 1, &alone);
    train(&world, model, &context, &rows, STEPS, 1, &together);
    train(&world, model, &context, &rows, STEPS, 2, &threaded); /* and batches prepared ahead */
    assert_same(&alone, &together);
    assert_same(&alone, &threaded);
    ws_network_state_destroy(&alone);
    ws_network_state_destroy(&together);
    ws_network_state_destroy(&threaded);
    free_samples(&rows);
}

/* Without a step that changes anything the first validation stays the best one. */
static void training_ends_when_validation_improves_no_more(void **state)
{
    (void)state;
    void *options;
    ws_network_state network;
    const ws_model *model = ws_model_find("flow_cfm");
    made_samples rows = make_samples(90, 6, 4, 0.4f, 21);
    ws_model_context context = make_context(arena, model, WS_TASK_ANOMALY, 6, 4, &options);
    set_option(arena, model, options, "{\"width\": 16, \"blocks\": 1}");
    ws_train_options still = train_options(100, 1);
    still.learning_rate = still.minimum_learning_rate = 0;
    still.patience = 2;
    ws_network_training training = {&world, &still, &rows.samples, &rows.samples, NULL, ""};
    OK(ws_network_state_create(&network, model, &context));
    for (int again = 0; again < 2; again++) { /* one that has ended does not go on */
        OK(ws_network_train_all(&training, &network));
        assert_int_equal(network.step, 15);
        assert_int_equal(network.best_step, 5);
    }
    ws_network_state_destroy(&network);
    free_samples(&rows);
}

static void flow_cfm_is_the_same_on_any_ranks(void **state)
{
    (void)state;
    const ws_model *model = ws_model_find("flow_cfm");
    compare_with_alone(model, WS_TASK_ANOMALY, "{\"width\": 24, \"blocks\": 1, \"ot_group\": 32}", 8);
    compare_with_alone(model, WS_TASK_ANOMALY, "{\"width\": 24, \"blocks\": 1, \"coupling\": \"independent\"}", 4);
}

static void idle_ranks_change_nothing(void **state)
{
    (void)state;
    compare_with_alone(ws_model_find("flow_cfm"), WS_TASK_ANOMALY, "{\"width\": 16, \"blocks\": 1}", 2);
    compare_with_alone(&ws_model_template, WS_TASK_CLASSIFY, "{\"width\": 8}", 1);
}

static void the_template_learns_and_is_the_same_on_any_ranks(void **state)
{
    (void)state;
    void *options;
    ws_network_state network;
    ws_learned learned;
    float *out = NULL;
    const ws_model *model = &ws_model_template;
    compare_with_alone(model, WS_TASK_CLASSIFY, "{\"width\": 8, \"label_noise\": 0.2}", 8);
    made_samples rows = make_samples(400, 6, 4, 0.2f, 22), test = make_samples(100, 6, 4, 0.2f, 23);
    ws_model_context context = make_context(arena, model, WS_TASK_CLASSIFY, 6, 4, &options);
    train(&world, model, &context, &rows, 300, 1, &network);
    OK(ws_learned_create(model, &context, &learned));
    OK(ws_learned_take(&learned, &network));
    OK(ws_score_all(&world, &learned, &test.samples, "test", &out, NULL));
    int right = 0;
    for (int i = 0; i < 100; i++) {
        int best = 0;
        for (int k = 1; k < 4; k++)
            if (out[i * 4 + k] > out[i * 4 + best])
                best = k;
        right += best == test.label[i];
    }
    assert_true(right >= 98);
    assert_null(ws_model_find("template")); /* an example, not an offer */
    free(out);
    ws_learned_destroy(&learned);
    ws_network_state_destroy(&network);
    free_samples(&rows);
    free_samples(&test);
}

static void logistic_is_the_same_on_any_ranks(void **state)
{
    (void)state;
    void *options;
    ws_comm self = ws_comm_self();
    const ws_model *model = ws_model_find("logistic");
    made_samples rows = make_samples(203, 7, 5, 0.7f, 24);
    ws_model_context context = make_context(arena, model, WS_TASK_CLASSIFY, 7, 5, &options);
    ws_arrays alone = {.arena = arena}, together = {.arena = arena};
    OK(model->classical->fit_all(&self, &context, &rows.samples, &rows.samples, &alone));
    context.threads = 2;
    OK(model->classical->fit_all(&world, &context, &rows.samples, &rows.samples, &together));
    assert_int_equal(alone.count, together.count);
    for (size_t i = 0; i < alone.count; i++)
        assert_memory_equal(alone.items[i].values, together.items[i].values, alone.items[i].count * sizeof(double));
    ws_arrays_destroy(&alone);
    ws_arrays_destroy(&together);
    free_samples(&rows);
}

/* Every line of the log is JSON; how many there are. */
static int lines_of_log(const char *directory)
{
    char *path = ws_path_join(directory, "metrics.jsonl"), *text, *rest = NULL;
    size_t bytes;
    int lines = 0;
    OK(ws_file_read(path, &text, &bytes));
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest), lines++) {
        ws_json *document;
        OK(ws_json_read_text(&document, line, path));
        assert_true(cJSON_IsNull(ws_json_find(ws_json_root(document), "loss")));
        ws_json_destroy(&document);
    }
    free(text);
    free(path);
    return lines;
}

/* A loss that is not finite stops training with an error on every rank, or leaves the parameters as they were. */
static void steps_that_are_not_finite(void **state)
{
    (void)state;
    void *options;
    const ws_model *model = &ws_model_template;
    ws_network_state network;
    made_samples rows = make_samples(64, 6, 4, 0.4f, 25);
    rows.values[63 * 6] = INFINITY;
    ws_model_context context = make_context(arena, model, WS_TASK_CLASSIFY, 6, 4, &options);
    ws_train_options train_with = train_options(3, 1);
    train_with.on_nonfinite = WS_NONFINITE_STOP;
    train_with.validate_every = 0;
    ws_network_training training = {&world, &train_with, &rows.samples, &rows.samples, NULL, ""};
    OK(ws_network_state_create(&network, model, &context));
    ws_real *start = malloc(network.extent * sizeof *start);
    memcpy(start, network.parameters, network.extent * sizeof *start);
    assert_int_equal(ws_network_train_all(&training, &network), WS_E_NUMERIC);
    network.step = 0;
    train_with.on_nonfinite = WS_NONFINITE_SKIP;
    char *directory = ws_format("test_parallel.%d", world.size), *within = ws_path_join(directory, "checkpoints");
    training.directory = directory;
    if (world.rank == 0)
        OK(ws_directory_create(within));
    OK(ws_network_train_all(&training, &network));
    assert_int_equal(network.skipped, 3);
    assert_memory_equal(start, network.parameters, network.extent * sizeof *start);
    if (world.rank == 0) {
        assert_int_equal(lines_of_log(directory), 3);
        OK(ws_directory_remove(directory));
    }
    free(within);
    free(directory);
    free(start);
    ws_network_state_destroy(&network);
    free_samples(&rows);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(flow_cfm_is_the_same_on_any_ranks, setup, teardown),
    cmocka_unit_test_setup_teardown(idle_ranks_change_nothing, setup, teardown),
    cmocka_unit_test_setup_teardown(the_template_learns_and_is_the_same_on_any_ranks, setup, teardown),
    cmocka_unit_test_setup_teardown(logistic_is_the_same_on_any_ranks, setup, teardown),
    cmocka_unit_test_setup_teardown(training_ends_when_validation_improves_no_more, setup, teardown),
    cmocka_unit_test_setup_teardown(steps_that_are_not_finite, setup, teardown),
};

WS_MPI_TEST_MAIN(tests)
