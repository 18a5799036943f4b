/* ctest: ranks=1,2,3,4 timeout=120
 * The three models of flow matching, with dropout, pairs and hidden tokens: any number of ranks and threads gives the parameters
 * and the scores of training alone, to the bit; so does a run that was stopped and goes on from its checkpoint.
 */
#include <stdio.h>
#include <unistd.h>
#include "models/samples.h"
#include "train/internal.h"

enum { TOKENS = 5, FEATURES = 6, ROWS = 270, STEPS = 4 };

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

typedef struct trained {
    ws_network_state network;
    float *scores;
    int width;
} trained;

static ws_train_options train_options(int64_t steps, int threads)
{
    return (ws_train_options){.steps = steps,
                              .learning_rate = 3e-3,
                              .minimum_learning_rate = 3e-3, /* so that half of the steps is the half of all steps */
                              .weight_decay = 1e-4,
                              .beta1 = 0.9,
                              .beta2 = 0.99,
                              .epsilon = 1e-8,
                              .clip = 1,
                              .ema = 0.99,
                              .validate_every = 2,
                              .threads = threads,
                              .prepare_ahead = threads > 1,
                              .checkpoint_every = 1000000,
                              .keep = 1,
                              .log_every = 1};
}

static void train(const ws_comm *comm, ws_model_context *context, const made_samples *rows, int64_t steps, int threads,
                  ws_network_state *network)
{
    ws_train_options options = train_options(steps, threads);
    ws_network_training training = {comm, &options, &rows->samples, &rows->samples, NULL, ""};
    context->threads = threads;
    OK(ws_network_train_all(&training, network));
}

static void score(const ws_comm *comm, ws_model_context *context, const made_samples *rows, trained *out)
{
    ws_learned learned;
    const ws_model *model = out->network.model;
    OK(ws_learned_create(model, context, &learned));
    OK(ws_learned_take(&learned, &out->network));
    OK(ws_score_all(comm, &learned, &rows->samples, "test", &out->scores, NULL));
    out->width = ws_model_width(model, context);
    ws_learned_destroy(&learned);
}

static void compare(const trained *a, trained *b)
{
    const size_t bytes = a->network.extent * sizeof *a->network.parameters;
    assert_memory_equal(a->network.parameters, b->network.parameters, bytes);
    assert_memory_equal(a->network.average, b->network.average, bytes);
    assert_memory_equal(a->scores, b->scores, ROWS * (size_t)a->width * sizeof *a->scores);
    free(b->scores);
    ws_network_state_destroy(&b->network);
}

static void compare_with_alone(const char *name, const char *json)
{
    void *options;
    ws_comm self = ws_comm_self();
    const ws_model *model = ws_model_find(name);
    made_samples rows = make_samples(ROWS, FEATURES, 4, 0.4f, 31);
    trained alone = {0}, other = {0};
    add_packets(&rows, TOKENS, 9, 32);
    ws_model_context context = make_context(arena, model, WS_TASK_ANOMALY, FEATURES, 4, &options);
    expect_packets(&context, TOKENS);
    set_option(arena, model, options, json);
    OK(ws_network_state_create(&alone.network, model, &context));
    train(&self, &context, &rows, STEPS, 1, &alone.network);
    score(&self, &context, &rows, &alone);
    for (int threads = 1; threads <= 2; threads++) {
        OK(ws_network_state_create(&other.network, model, &context));
        train(&world, &context, &rows, STEPS, threads, &other.network);
        score(&world, &context, &rows, &other);
        compare(&alone, &other);
    }
    /* stopped half way */
    char *path = ws_format("test_cfm_ranks.%d.h5", (int)getpid());
    ws_network_state half;
    OK(ws_network_state_create(&half, model, &context));
    train(&world, &context, &rows, STEPS / 2, 1, &half);
    OK(ws_checkpoint_write(path, &half, "the same"));
    ws_network_state_destroy(&half);
    OK(ws_network_state_create(&other.network, model, &context));
    OK(ws_checkpoint_read(path, &other.network, "the same"));
    train(&world, &context, &rows, STEPS, 1, &other.network);
    score(&world, &context, &rows, &other);
    compare(&alone, &other);
    unlink(path);
    free(path);
    free(alone.scores);
    ws_network_state_destroy(&alone.network);
    free_samples(&rows);
}

#define SMALL "\"ot_group\": 32, \"solver_steps\": 2, \"width\": 16, \"blocks\": 2"
#define TOKENS_SMALL                                                                                                   \
    SMALL ", \"packets\": 5, \"heads\": 2, \"hidden\": 24, \"time_features\": 8, \"dropout\": 0.2, \"trace_draws\": 1"

static void flow_cfm_is_the_same(void **state)
{
    (void)state;
    compare_with_alone("flow_cfm", "{" SMALL "}");
    compare_with_alone("flow_cfm", "{" SMALL ", \"path\": \"schroedinger\", \"coupling\": \"entropic\"}");
}

static void packet_cfm_is_the_same(void **state)
{
    (void)state;
    compare_with_alone("packet_cfm", "{" TOKENS_SMALL ", \"sigma\": 0}");
}

static void unified_cfm_is_the_same(void **state)
{
    (void)state;
    compare_with_alone("unified_cfm", "{" TOKENS_SMALL "}");
    compare_with_alone("unified_cfm", "{" TOKENS_SMALL ", \"backbone\": \"mamba\"}");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
static const struct CMUnitTest tests[] = {
    TEST(flow_cfm_is_the_same),
    TEST(packet_cfm_is_the_same),
    TEST(unified_cfm_is_the_same),
};

WS_MPI_TEST_MAIN(tests)
