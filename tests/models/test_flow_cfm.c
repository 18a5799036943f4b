/* ctest: timeout=120
 * flow_cfm: the network is the one described, its inputs are the interpolation, pairs are optimal, training separates
 * outliers, and a score depends on its row alone.
 */
#include <math.h>
#include "models/samples.h"
#include "train/internal.h"

static const ws_model *model;
static ws_arena *arena;

static int setup(void **state)
{
    (void)state;
    model = ws_model_find("flow_cfm");
    return ws_arena_create(&arena, 1 << 16) != WS_OK;
}

static int teardown(void **state)
{
    (void)state;
    ws_arena_destroy(&arena);
    return 0;
}

static ws_train_options train_options(int64_t steps)
{
    return (ws_train_options){.steps = steps,
                              .learning_rate = 1e-3,
                              .minimum_learning_rate = 1e-6,
                              .warmup = 10,
                              .weight_decay = 1e-4,
                              .beta1 = 0.9,
                              .beta2 = 0.99,
                              .epsilon = 1e-8,
                              .clip = 1,
                              .ema = 0.99,
                              .validate_every = steps,
                              .threads = 1,
                              .checkpoint_every = 1000000,
                              .keep = 1,
                              .log_every = 1};
}

static void has_the_parameters_of_the_description(void **state)
{
    (void)state;
    void *options;
    ws_network_state network;
    ws_model_context context = make_context(arena, model, WS_TASK_ANOMALY, 20, 2, &options);
    OK(ws_network_state_create(&network, model, &context));
    assert_int_equal(ws_plan_parameter_count(network.plan), 621076);
    ws_network_state_destroy(&network);
}

/* NULL where the coupling plans nothing. */
static void *make_plan(const ws_model_context *context, const ws_batch *batch)
{
    void *scratch = NULL, *plan;
    size_t bytes = model->network->plan_bytes(context);
    if (bytes == 0)
        return NULL;
    plan = malloc(bytes);
    OK(model->network->scratch_create(context, &scratch));
    model->network->plan_batch(context, batch, scratch, plan);
    model->network->scratch_destroy(&scratch);
    return plan;
}

static void gradient_reaches_every_parameter(void **state)
{
    (void)state;
    void *options;
    ws_network_state network;
    ws_executor *executor;
    made_samples rows = make_samples(100, 20, 3, 0.3f, 1);
    uint64_t order[64];
    for (uint64_t i = 0; i < 64; i++)
        order[i] = i;
    ws_model_context context = make_context(arena, model, WS_TASK_ANOMALY, 20, 2, &options);
    ws_batch batch = {1, 0, &rows.samples, order};
    void *plan = make_plan(&context, &batch);
    OK(ws_network_state_create(&network, model, &context));
    OK(ws_executor_create(&executor, network.plan));
    ws_real *gradient = calloc(network.extent, sizeof *gradient);
    model->network->fill(&context, &batch, plan, 3, executor);
    ws_executor_forward(executor, network.parameters);
    ws_executor_backward(executor, network.parameters, gradient);
    assert_true(isfinite(ws_executor_loss(executor)));
    const ws_parameter *table;
    size_t count = ws_plan_parameters(network.plan, &table);
    for (size_t i = 0; i < count; i++) {
        size_t moved = 0;
        for (size_t k = 0; k < table[i].count; k++)
            moved += gradient[table[i].offset + k] != 0;
        if (moved < table[i].count / 2)
            fail_msg("%s: %zu of %zu gradients are zero", table[i].name, table[i].count - moved, table[i].count);
    }
    free(gradient);
    ws_executor_destroy(&executor);
    ws_network_state_destroy(&network);
    free(plan);
    free_samples(&rows);
}

/* Total squared length of the targets x1 - x0 of a batch; checks on the way that x lies on the straight path between them. */
static double path_cost(const ws_model_context *context, const made_samples *rows, const char *coupling)
{
    enum { BATCH = 64, ROWS = BATCH / 8, COLUMNS = 6 };
    void *options = (void *)context->options;
    char json[128];
    double cost = 0;
    uint64_t order[BATCH];
    ws_network_state network;
    ws_executor *executor;
    for (uint64_t i = 0; i < BATCH; i++)
        order[i] = (i * 7) % rows->samples.rows;
    snprintf(json, sizeof json, "{\"sigma\": 0, \"ot_group\": 32, \"width\": 8, \"coupling\": \"%s\"}", coupling);
    set_option(arena, model, options, json);
    ws_batch batch = {5, 3, &rows->samples, order};
    void *plan = make_plan(context, &batch);
    OK(ws_network_state_create(&network, model, context));
    OK(ws_executor_create(&executor, network.plan));
    for (int shard = 0; shard < 8; shard++) {
        model->network->fill(context, &batch, plan, shard, executor);
        const ws_real *x = ws_executor_input(executor, "x"), *target = ws_executor_input(executor, "target");
        const ws_real *time = ws_executor_input(executor, "time");
        for (int r = 0; r < ROWS; r++) {
            double t = asin(time[r * 64]); /* the slowest sine is sin(t) */
            int position = shard * ROWS + r;
            assert_true(t * BATCH > position - 1e-3 && t * BATCH < position + 1 + 1e-3); /* stratified */
            for (int c = 0; c < COLUMNS; c++) {
                double x1 = rows->values[order[position] * COLUMNS + (uint64_t)c], u = target[r * COLUMNS + c];
                assert_true(fabs(x[r * COLUMNS + c] - (x1 - (1 - t) * u)) < 1e-5);
                cost += u * u;
            }
        }
    }
    ws_executor_destroy(&executor);
    ws_network_state_destroy(&network);
    free(plan);
    return cost;
}

static void pairs_are_shorter_than_chance(void **state)
{
    (void)state;
    void *options;
    made_samples rows = make_samples(100, 6, 4, 0.2f, 2);
    ws_model_context context = make_context(arena, model, WS_TASK_ANOMALY, 6, 2, &options);
    double paired = path_cost(&context, &rows, "ot"), independent = path_cost(&context, &rows, "independent");
    assert_true(paired < 0.9 * independent);
    free_samples(&rows);
}

/* Trains on a ring of clusters in two columns, then scores rows of it and rows far from it. */
static void training_separates_outliers(void **state)
{
    (void)state;
    void *options;
    ws_comm self = ws_comm_self();
    ws_network_state network;
    ws_learned learned;
    made_samples rows = make_samples(2000, 2, 4, 0.15f, 3), held_out = make_samples(512, 2, 4, 0.15f, 4);
    ws_model_context context = make_context(arena, model, WS_TASK_ANOMALY, 2, 2, &options);
    set_option(arena, model, options, "{\"sigma\": 0.1, \"width\": 64, \"blocks\": 2}");
    context.batch = 128;
    ws_train_options train = train_options(1);
    ws_network_training training = {&self, &train, &rows.samples, &held_out.samples, NULL, ""};
    OK(ws_network_state_create(&network, model, &context));
    OK(ws_network_train_all(&training, &network));
    double first = network.best_loss;
    train = train_options(1500);
    OK(ws_network_train_all(&training, &network));
    assert_int_equal(network.step, 1500);
    assert_true(network.best_loss < 0.8 * first);

    float *normal = NULL, *far = NULL;
    double mean = 0;
    made_samples outliers = make_samples(512, 2, 4, 0.15f, 5);
    for (int i = 0; i < 1024; i++)
        outliers.values[i] *= 4;
    OK(ws_learned_create(model, &context, &learned));
    OK(ws_learned_take(&learned, &network));
    OK(ws_score_all(&self, &learned, &held_out.samples, "test", &normal, NULL));
    OK(ws_score_all(&self, &learned, &outliers.samples, "test", &far, NULL));
    int width = ws_model_width(model, &context), above = 0;
    for (int i = 0; i < 512; i++) {
        mean += normal[i * width] / 512;
        for (int j = 0; j < 512; j++)
            above += far[i * width] > normal[j * width];
    }
    assert_true(above > 0.99 * 512 * 512);   /* AUROC */
    assert_true(mean > 0.85 && mean < 1.15); /* normal rows end on the Gaussian shell */
    free(normal);
    free(far);
    ws_learned_destroy(&learned);
    ws_network_state_destroy(&network);
    free_samples(&rows);
    free_samples(&held_out);
    free_samples(&outliers);
}

/* The same row among other neighbours and in a block that is not full: the same bits. At another place of its block: the
 * same but for rounding. */
static void a_score_depends_on_its_row_alone(void **state)
{
    (void)state;
    void *options;
    ws_comm self = ws_comm_self();
    ws_network_state network;
    ws_learned learned;
    ws_model_context context = make_context(arena, model, WS_TASK_ANOMALY, 20, 2, &options);
    set_option(arena, model, options, "{\"solver_steps\": 3, \"trace\": \"hutchinson\", \"trace_draws\": 2}");
    OK(ws_network_state_create(&network, model, &context));
    OK(ws_learned_create(model, &context, &learned));
    OK(ws_learned_take(&learned, &network));
    int width = ws_model_width(model, &context);
    made_samples rows = make_samples(300, 20, 3, 0.5f, 6), other = make_samples(300, 20, 5, 1.5f, 7);
    static const int from[] = {0, 3, 43, 255, 256, 299}, to[] = {0, 259, 299, 255, 10, 1};
    for (int k = 0; k < 6; k++)
        memcpy(other.values + to[k] * 20, rows.values + from[k] * 20, 20 * sizeof(float));
    float *one = NULL, *two = NULL;
    OK(ws_score_all(&self, &learned, &rows.samples, "test", &one, NULL));
    OK(ws_score_all(&self, &learned, &other.samples, "test", &two, NULL));
    for (int k = 0; k < 6; k++)
        for (int s = 0; s < width; s++) {
            float a = one[from[k] * width + s], b = two[to[k] * width + s];
            /* Two of the scores are the distance of two numbers near 1, and take over their rounding. */
            bool distance =
                strcmp(model->scores[s], "two_sided") == 0 || strcmp(model->scores[s], "reconstruction") == 0;
            assert_true(fabsf(a - b) <= 1e-5f * (distance ? 1 + fabsf(a) : fabsf(a)));
            if (from[k] % WS_SCORE_ROWS == to[k] % WS_SCORE_ROWS)
                assert_true(a == b);
        }
    free(one);
    free(two);
    ws_learned_destroy(&learned);
    ws_network_state_destroy(&network);
    free_samples(&rows);
    free_samples(&other);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(has_the_parameters_of_the_description, setup, teardown),
    cmocka_unit_test_setup_teardown(gradient_reaches_every_parameter, setup, teardown),
    cmocka_unit_test_setup_teardown(pairs_are_shorter_than_chance, setup, teardown),
    cmocka_unit_test_setup_teardown(training_separates_outliers, setup, teardown),
    cmocka_unit_test_setup_teardown(a_score_depends_on_its_row_alone, setup, teardown),
};

WS_MPI_TEST_MAIN(tests)
