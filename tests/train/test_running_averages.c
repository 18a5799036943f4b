/* ctest: ranks=1,2,3,4 timeout=120
 * A network with batch normalisation: training on any ranks and threads, and in two sittings, gives the bits of training alone, its
 * running averages included; scores take the averages and do not depend on the neighbours of a row.
 */
#include <math.h>
#include <unistd.h>
#include "models/samples.h"
#include "train/internal.h"

enum { COLUMNS = 6, CLASSES = 4, TOKENS = 5, STEPS = 23, STOPPED = 9 };

/* ---- the network: packets through convolutions, beside the features ---- */

typedef struct normed_options {
    int64_t width;
} normed_options;
static const ws_option fields[] = {WS_OPTION_INT(normed_options, width, 12, 1, 64, "width"), WS_OPTION_END};
static const ws_option_table options_table = {"model", sizeof(normed_options), fields, "normed"};

static ws_tensor build_logits(const ws_model_context *context, ws_plan *plan, int64_t rows)
{
    const normed_options *options = context->options;
    ws_tensor x = ws_input(plan, "x", 2, (int64_t[]){rows, context->columns});
    ws_tensor packets = ws_input(plan, "packets", 3, (int64_t[]){rows, TOKENS, 9});
    ws_tensor length = ws_input_index(plan, "length", rows);
    ws_tensor h = ws_conv1d(plan, packets, options->width, 3, 1, 1, WS_NONE, "conv");
    h = ws_activate(plan, ws_batchnorm(plan, h, length, "tokens"), WS_RELU);
    h = ws_concat(plan, ws_mean_pool(plan, h, length), x);
    h = ws_batchnorm(plan, ws_linear(plan, h, options->width, WS_NONE, "hidden"), WS_NO_TENSOR, "norm");
    h = ws_dropout(plan, ws_activate(plan, h, WS_SILU), 0.1);
    ws_tensor logits = ws_linear(plan, h, context->classes, WS_NONE, "head");
    ws_plan_output(plan, logits, "logits");
    return logits;
}

static ws_err build_training(const ws_model_context *context, ws_plan *plan, int64_t rows, ws_tensor *loss)
{
    *loss = ws_cross_entropy(plan, build_logits(context, plan, rows), ws_input_index(plan, "label", rows));
    return WS_OK;
}

static ws_err build_scoring(const ws_model_context *context, ws_plan *plan, int64_t rows)
{
    (void)build_logits(context, plan, rows);
    return WS_OK;
}

static void fill_row(ws_executor *executor, const ws_samples *samples, uint64_t row, int64_t to)
{
    const ws_sequence *packets = &samples->sequence[WS_SEQUENCE_PACKETS];
    memcpy(ws_executor_input(executor, "x") + to * COLUMNS, samples->values + row * COLUMNS, COLUMNS * sizeof(float));
    memcpy(ws_executor_input(executor, "packets") + to * TOKENS * 9, packets->values + row * TOKENS * 9,
           TOKENS * 9 * sizeof(float));
    ws_executor_input_index(executor, "length")[to] = packets->length[row];
}

static void fill(const ws_model_context *context, const ws_batch *batch, const void *plan, int shard,
                 ws_executor *executor)
{
    (void)plan;
    int64_t rows = context->batch / context->shards;
    for (int64_t r = 0; r < rows; r++) {
        uint64_t row = batch->rows[shard * rows + r];
        fill_row(executor, batch->samples, row, r);
        ws_executor_input_index(executor, "label")[r] = batch->samples->label[row];
    }
}

static ws_err score(const ws_model_context *context, ws_scoring *scoring)
{
    for (uint64_t r = 0; r < scoring->samples->rows; r++)
        fill_row(scoring->executor, scoring->samples, r, (int64_t)r);
    ws_executor_forward(scoring->executor, scoring->parameters);
    memcpy(scoring->out, ws_executor_output(scoring->executor, "logits"),
           scoring->samples->rows * (uint64_t)context->classes * sizeof(float));
    return WS_OK;
}

static const ws_network network = {
    .build_training = build_training, .build_scoring = build_scoring, .fill = fill, .score = score};
static const ws_model normed = {
    .name = "normed", .help = "", .tasks = WS_CAN_CLASSIFY, .options = &options_table, .network = &network};

/* ---- training ---- */

static ws_arena *arena;
static made_samples rows;
static ws_model_context context;

static int setup(void **state)
{
    (void)state;
    void *options;
    ws_h5_setup();
    OK(ws_arena_create(&arena, 1 << 16));
    rows = make_samples(90, COLUMNS, CLASSES, 0.4f, 21);
    add_packets(&rows, TOKENS, 9, 22);
    context = make_context(arena, &normed, WS_TASK_CLASSIFY, COLUMNS, CLASSES, &options);
    expect_packets(&context, TOKENS);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    free_samples(&rows);
    ws_arena_destroy(&arena);
    return 0;
}

static ws_train_options train_options(int64_t threads)
{
    return (ws_train_options){.steps = STEPS,
                              .learning_rate = 1e-2,
                              .minimum_learning_rate = 1e-6,
                              .warmup = 2,
                              .weight_decay = 1e-2,
                              .beta1 = 0.9,
                              .beta2 = 0.99,
                              .epsilon = 1e-8,
                              .clip = 1,
                              .ema = 0.9,
                              .validate_every = 5,
                              .threads = threads,
                              .prepare_ahead = threads > 1,
                              .checkpoint_every = STOPPED,
                              .keep = 9,
                              .log_every = 1};
}

static void train(const ws_comm *comm, int64_t threads, const char *directory, ws_network_state *out)
{
    ws_train_options options = train_options(threads);
    ws_network_training training = {comm, &options, &rows.samples, &rows.samples, directory, "config"};
    OK(ws_network_train_all(&training, out));
}

static void train_anew(const ws_comm *comm, int64_t threads, const char *directory, ws_network_state *out)
{
    OK(ws_network_state_create(out, &normed, &context));
    train(comm, threads, directory, out);
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

static size_t place_of(const ws_network_state *s, const char *name)
{
    const ws_parameter *table;
    size_t count = ws_plan_parameters(s->plan, &table), i = 0;
    while (i < count && strcmp(table[i].name, name) != 0)
        i++;
    assert_true(i < count);
    return table[i].offset;
}

static void training_is_the_same_on_any_ranks(void **state)
{
    (void)state;
    ws_comm self = ws_comm_self();
    ws_network_state alone, together, threaded;
    train_anew(&self, 1, NULL, &alone);
    train_anew(&world, 1, NULL, &together);
    train_anew(&world, 2, NULL, &threaded);
    assert_same(&alone, &together);
    assert_same(&alone, &threaded);
    const ws_real *mean = alone.parameters + place_of(&alone, "norm.running_mean");
    const ws_real *variance = alone.parameters + place_of(&alone, "norm.running_var");
    for (int d = 0; d < 12; d++)
        assert_true(mean[d] != 0 && variance[d] > 0 && variance[d] != 1); /* they have moved */
    ws_network_state_destroy(&alone);
    ws_network_state_destroy(&together);
    ws_network_state_destroy(&threaded);
}

/* From a checkpoint in the middle to the end, with other ranks than before it. */
static void a_second_sitting_ends_with_the_same_bits(void **state)
{
    (void)state;
    char folder[] = "running_averages_XXXXXX", *within, *path;
    ws_comm self = ws_comm_self();
    ws_network_state whole, resumed;
    ws_learned learned;
    char hash[65], other[65];
    if (world.rank == 0)
        assert_non_null(mkdtemp(folder));
    assert_int_equal(MPI_Bcast(folder, sizeof folder, MPI_CHAR, 0, MPI_COMM_WORLD), MPI_SUCCESS);
    within = ws_format("%s/checkpoints", folder);
    if (world.rank == 0) {
        OK(ws_directory_create(within));
        train_anew(&self, 1, folder, &whole);
    } else {
        train_anew(&self, 1, NULL, &whole);
    }
    MPI_Barrier(MPI_COMM_WORLD);
    path = ws_format("%s/step_%08d.h5", within, STOPPED);
    OK(ws_network_state_create(&resumed, &normed, &context));
    OK(ws_checkpoint_read(path, &resumed, "config"));
    assert_int_equal(resumed.step, STOPPED);
    train(&world, 1, NULL, &resumed);
    assert_same(&whole, &resumed);

    /* The hash of what was learned knows the averages. */
    OK(ws_learned_create(&normed, &context, &learned));
    OK(ws_learned_hash(&learned, &whole, hash));
    resumed.average[place_of(&resumed, "tokens.running_var")] *= 1.5f;
    OK(ws_learned_hash(&learned, &resumed, other));
    assert_string_not_equal(hash, other);
    MPI_Barrier(MPI_COMM_WORLD);
    if (world.rank == 0)
        OK(ws_directory_remove(folder));
    free(path);
    free(within);
    ws_learned_destroy(&learned);
    ws_network_state_destroy(&whole);
    ws_network_state_destroy(&resumed);
}

/* Scores of a row, among others and among none, are one; they follow the averages of the averaged parameters. */
static void scores_take_the_averages(void **state)
{
    (void)state;
    ws_network_state trained;
    ws_learned learned;
    float *all = NULL, *few = NULL, *moved = NULL;
    train_anew(&world, 1, NULL, &trained);
    OK(ws_learned_create(&normed, &context, &learned));
    OK(ws_learned_take(&learned, &trained));
    ws_samples first = rows.samples;
    first.rows = 3;
    OK(ws_score_all(&world, &learned, &rows.samples, "score", &all, NULL));
    OK(ws_score_all(&world, &learned, &first, "score", &few, NULL));
    assert_memory_equal(all, few, 3 * CLASSES * sizeof *all);
    trained.average[place_of(&trained, "norm.running_mean")] += 1;
    OK(ws_learned_take(&learned, &trained));
    OK(ws_score_all(&world, &learned, &first, "score", &moved, NULL));
    assert_memory_not_equal(few, moved, 3 * CLASSES * sizeof *all);
    free(all), free(few), free(moved);
    ws_learned_destroy(&learned);
    ws_network_state_destroy(&trained);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(training_is_the_same_on_any_ranks, setup, teardown),
    cmocka_unit_test_setup_teardown(a_second_sitting_ends_with_the_same_bits, setup, teardown),
    cmocka_unit_test_setup_teardown(scores_take_the_averages, setup, teardown),
};

WS_MPI_TEST_MAIN(tests)
