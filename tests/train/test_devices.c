/* ctest: devices labels=gpu ranks=1,2,3,4 timeout=120
 * Training on GPUs, one for each rank: every network as on the CPU to rounding, the same bits for any number of GPUs with the fixed
 * sum and nearly the same with the fast one, whether buckets are many or one; scores as on the CPU.
 */
#include <math.h>
#include <stdio.h>
#include "models/samples.h"
#include "train/internal.h"

enum { STEPS = 20, FEW = 6, ROWS = 90, COLUMNS = 6, CLASSES = 4 };

#define SMALL_TOKENS                                                                                                   \
    "{\"packets\": 4, \"width\": 16, \"blocks\": 1, \"heads\": 2, \"hidden\": 24, \"time_features\": 8, "              \
    "\"ot_group\": 8"
#define SMALL_FLOW "{\"width\": 24, \"blocks\": 1, \"time_features\": 8, \"ot_group\": 8}"

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

static ws_train_options train_options(ws_backend device)
{
    return (ws_train_options){.steps = STEPS,
                              .learning_rate = 3e-3,
                              .minimum_learning_rate = 1e-6,
                              .warmup = 2,
                              .weight_decay = 1e-4,
                              .beta1 = 0.9,
                              .beta2 = 0.99,
                              .epsilon =
                                  1e-4, /* where gradients are next to nothing rounding does not decide the step */
                              .clip = 1,
                              .ema = 0.99,
                              .validate_every = FEW,
                              .threads = 1,
                              .prepare_ahead = true,
                              .checkpoint_every = 1000000,
                              .keep = 1,
                              .log_every = 1,
                              .device = (int)device,
                              .reduction_timeout = 60,
                              .bucket_kib = 1};
}

typedef struct subject {
    const ws_model *model;
    ws_model_context context;
    made_samples rows;
} subject;

static subject make_subject(const char *name, const char *json, int shards)
{
    void *options;
    const bool anomaly = name != NULL;
    subject s = {.model = anomaly ? ws_model_find(name) : &ws_model_template};
    assert_non_null(s.model);
    s.rows = make_samples(ROWS, COLUMNS, CLASSES, 0.4f, 21);
    s.context = make_context(arena, s.model, anomaly ? WS_TASK_ANOMALY : WS_TASK_CLASSIFY, COLUMNS, CLASSES, &options);
    set_option(arena, s.model, options, json);
    s.context.batch = 8; /* simulated devices are slow */
    s.context.shards = shards;
    const ws_needs needs = ws_model_needs(s.model, options);
    const int tokens = needs.tokens[WS_SEQUENCE_PACKETS];
    if (tokens > 0) {
        add_packets(&s.rows, tokens, 9, 5);
        expect_packets(&s.context, tokens);
    }
    return s;
}

static void train(const ws_comm *comm, const subject *s, const ws_train_options *options, ws_network_state *out)
{
    ws_network_training training = {comm, options, &s->rows.samples, &s->rows.samples, NULL, ""};
    OK(ws_network_state_create(out, s->model, &s->context));
    OK(ws_network_train_all(&training, out));
}

/* By rank 0 alone; the others, which wait meanwhile, are told what came out. */
static void train_alone(const subject *s, const ws_train_options *options, ws_network_state *out)
{
    const ws_comm self = ws_comm_self();
    if (world.rank == 0)
        train(&self, s, options, out);
    else
        OK(ws_network_state_create(out, s->model, &s->context));
    ws_real *arrays[] = {out->parameters, out->average, out->first_moment, out->second_moment};
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
        OK(ws_broadcast_all(&world, arrays[i], out->extent * sizeof **arrays, 0));
    OK(ws_broadcast_all(&world, &out->best_loss, sizeof out->best_loss, 0));
}

static void assert_same(const ws_network_state *a, const ws_network_state *b)
{
    const size_t bytes = a->extent * sizeof *a->parameters;
    assert_memory_equal(a->parameters, b->parameters, bytes);
    assert_memory_equal(a->average, b->average, bytes);
    assert_memory_equal(a->first_moment, b->first_moment, bytes);
    assert_memory_equal(a->second_moment, b->second_moment, bytes);
    assert_memory_equal(&a->best_loss, &b->best_loss, sizeof a->best_loss);
}

/* Nearness to the largest of the parameters. */
static void assert_near_state(const char *what, const ws_network_state *a, const ws_network_state *b, double tolerance)
{
    double most = 0, furthest = 0, moved = 0;
    ws_network_state begin;
    OK(ws_network_state_create(&begin, a->model, a->context));
    for (size_t i = 0; i < a->extent; i++) {
        most = fmax(most, fabs((double)a->parameters[i]));
        furthest = fmax(furthest, fabs((double)a->parameters[i] - (double)b->parameters[i]));
        moved = fmax(moved, fabs((double)a->parameters[i] - (double)begin.parameters[i]));
    }
    ws_network_state_destroy(&begin);
    if (!(moved > 30 * tolerance * most)) /* else nearness would say nothing */
        fail_msg("%s: parameters of at most %g moved by %g only", what, most, moved);
    if (!(furthest <= tolerance * most) || !(fabs(a->best_loss - b->best_loss) <= tolerance * fabs(a->best_loss)))
        fail_msg("%s: parameters differ by %g of at most %g, losses are %.9g and %.9g", what, furthest, most,
                 a->best_loss, b->best_loss);
}

static const struct {
    const char *name, *options; /* NULL: the template */
    ws_precision precision;
} networks[] = {
    {"flow_cfm", SMALL_FLOW, WS_FP32},
    {"packet_cfm", SMALL_TOKENS "}", WS_FP32},
    {"unified_cfm", SMALL_TOKENS ", \"dropout\": 0.1}", WS_FP32},
    {"unified_cfm", SMALL_TOKENS ", \"backbone\": \"mamba\"}", WS_FP32},
    {"spline_flow", "{\"couplings\": 2, \"layers\": 1, \"width\": 12}", WS_FP32},
    {"tccm", "{\"width\": 16, \"time_features\": 8}", WS_FP32},
    {NULL, "{\"width\": 8}", WS_FP32},
    {"flow_cfm", SMALL_FLOW, WS_BF16},
};

static void assert_listed(const char *name)
{
    for (size_t i = 0; i < sizeof networks / sizeof networks[0]; i++)
        if (networks[i].name && strcmp(networks[i].name, name) == 0)
            return;
    fail_msg("network %s is not tried on devices: add it to the list", name);
}

static void every_network_trains_as_on_the_cpu(void **state)
{
    (void)state;
    for (size_t i = 0; ws_models[i]; i++)
        if (ws_models[i]->network)
            assert_listed(ws_models[i]->name);
    ws_train_options on_cpu = train_options(WS_CPU), on_device = train_options(WS_CUDA);
    on_cpu.validate_every = on_device.validate_every = STEPS;
    for (size_t i = 0; i < sizeof networks / sizeof networks[0]; i++) {
        ws_network_state cpu, device;
        if (world.size > 1 && (int)i != world.size - 2) /* on several devices one of them, for each number another */
            continue;
        subject s = make_subject(networks[i].name, networks[i].options, world.size > 2 ? 4 : 2);
        s.context.precision = networks[i].precision;
        train_alone(&s, &on_cpu, &cpu);
        train(&world, &s, &on_device, &device);
        assert_near_state(s.model->name, &cpu, &device, 1e-4);
        ws_network_state_destroy(&cpu);
        ws_network_state_destroy(&device);
        free_samples(&s.rows);
    }
}

/* With clipping the step waits for the norm of all gradients, without it buckets step as they arrive. */
static void any_number_of_devices_gives_the_same_bits(void **state)
{
    (void)state;
    static const double clips[] = {1, 0};
    static const int shards[] = {8, 2}; /* with 2, some ranks have none */
    static const ws_precision precisions[] = {WS_FP32, WS_BF16};
    for (int i = 0; i < 2; i++) {
        ws_network_state alone, together, in_one_bucket;
        subject s = make_subject("flow_cfm", SMALL_FLOW, shards[i]);
        s.context.precision = precisions[i];
        ws_train_options options = train_options(WS_CUDA);
        options.clip = clips[i];
        options.steps = options.validate_every = FEW;
        train_alone(&s, &options, &alone);
        train(&world, &s, &options, &together);
        options.bucket_kib = 1 << 20;
        train(&world, &s, &options, &in_one_bucket);
        assert_same(&alone, &together);
        assert_same(&alone, &in_one_bucket);
        ws_network_state_destroy(&alone);
        ws_network_state_destroy(&together);
        ws_network_state_destroy(&in_one_bucket);
        free_samples(&s.rows);
    }
}

static void fast_sums_train_nearly_the_same(void **state)
{
    (void)state;
    ws_network_state fixed, fast;
    subject s = make_subject("flow_cfm", SMALL_FLOW, 4);
    ws_train_options options = train_options(WS_CUDA);
    options.steps = options.validate_every = FEW;
    train(&world, &s, &options, &fixed);
    options.reduction = WS_REDUCTION_FAST;
    train(&world, &s, &options, &fast);
    assert_near_state("fast", &fixed, &fast, 1e-4);
    ws_network_state_destroy(&fixed);
    ws_network_state_destroy(&fast);
    free_samples(&s.rows);
}

/* A batch whose loss is not finite is passed over, also by buckets that had stepped before it was known. */
static void steps_that_are_not_finite_are_undone(void **state)
{
    (void)state;
    for (int early = 0; early < 2; early++) {
        ws_network_state trained, begin;
        subject s = make_subject(
            "flow_cfm", "{\"width\": 12, \"blocks\": 1, \"time_features\": 8, \"coupling\": \"independent\"}", 4);
        for (int i = 0; i < ROWS * COLUMNS; i++)
            s.rows.values[i] = i == 7 ? INFINITY : s.rows.values[i];
        s.context.batch = 88; /* of 90 rows: nearly every batch has that one */
        ws_train_options options = train_options(WS_CUDA);
        options.on_nonfinite = WS_NONFINITE_SKIP;
        options.clip = early == 0 ? 1 : 0;
        options.steps = 1;
        train(&world, &s, &options, &trained);
        OK(ws_network_state_create(&begin, s.model, &s.context));
        assert_int_equal(trained.skipped, 1);
        assert_memory_equal(trained.parameters, begin.parameters, begin.extent * sizeof *begin.parameters);
        assert_memory_equal(trained.second_moment, begin.second_moment, begin.extent * sizeof *begin.parameters);
        ws_network_state_destroy(&trained);
        ws_network_state_destroy(&begin);
        free_samples(&s.rows);
    }
}

/* The copies of weights that products take: of a run that goes on from where another one stopped, and after steps that were made as
 * buckets arrived and then undone. */
static void rounded_weights_are_those_of_the_parameters(void **state)
{
    (void)state;
    ws_network_state whole, parts, early, late;
    subject s = make_subject("flow_cfm",
                             "{\"width\": 12, \"blocks\": 1, \"time_features\": 8, \"coupling\": \"independent\"}", 4);
    ws_train_options options = train_options(WS_CUDA);
    s.context.precision = WS_BF16;
    options.warmup = 0;
    options.minimum_learning_rate = options.learning_rate;
    options.steps = options.validate_every = FEW / 2;
    train(&world, &s, &options, &parts);
    options.steps = FEW;
    train(&world, &s, &options, &whole);
    OK(ws_network_train_all(&(ws_network_training){&world, &options, &s.rows.samples, &s.rows.samples, NULL, ""},
                            &parts));
    assert_same(&whole, &parts);

    s.rows.values[7] = INFINITY; /* in some batches */
    s.context.batch = 40;
    options.on_nonfinite = WS_NONFINITE_SKIP;
    options.clip = 1e30; /* never, but steps wait for the norm */
    train(&world, &s, &options, &late);
    options.clip = 0;
    train(&world, &s, &options, &early);
    assert_true(early.skipped > 0 && early.skipped < FEW);
    assert_same(&late, &early);
    ws_network_state *states[] = {&whole, &parts, &early, &late};
    for (size_t i = 0; i < sizeof states / sizeof *states; i++)
        ws_network_state_destroy(states[i]);
    free_samples(&s.rows);
}

/* Of parameters as they begin; nll needs vector-Jacobian products too. */
static void scores_are_those_of_the_cpu(void **state)
{
    (void)state;
    static const struct {
        const char *name, *options;
    } scored[] = {{NULL, "{\"width\": 8}"},
                  {"flow_cfm", "{\"width\": 8, \"blocks\": 1, \"time_features\": 4, \"solver_steps\": 2}"},
                  {"unified_cfm", "{\"packets\": 2, \"width\": 8, \"blocks\": 1, \"heads\": 1, \"hidden\": 8, "
                                  "\"time_features\": 4, \"solver_steps\": 1}"}};
    for (size_t i = 0; i < sizeof scored / sizeof *scored && (i == 0 || world.size == 1); i++) {
        subject s = make_subject(scored[i].name, scored[i].options, 2);
        const size_t values = ROWS * (size_t)ws_model_width(s.model, &s.context);
        ws_learned learned;
        float *out[2] = {NULL, NULL};
        OK(ws_learned_create(s.model, &s.context, &learned));
        ws_plan_initialise(learned.plan, 3, learned.parameters);
        for (int device = WS_CPU; device <= WS_CUDA; device++) {
            learned.device = device;
            OK(ws_score_all(&world, &learned, &s.rows.samples, "test", &out[device], NULL));
        }
        for (size_t k = 0; k < values; k++)
            if (!(fabsf(out[1][k] - out[0][k]) <= 1e-4f * (1 + fabsf(out[0][k]))))
                fail_msg("%s: score %zu is %.9g on the device and %.9g on the CPU", s.model->name, k, out[1][k],
                         out[0][k]);
        free(out[0]);
        free(out[1]);
        ws_learned_destroy(&learned);
        free_samples(&s.rows);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(scores_are_those_of_the_cpu, setup, teardown),
    cmocka_unit_test_setup_teardown(every_network_trains_as_on_the_cpu, setup, teardown),
    cmocka_unit_test_setup_teardown(any_number_of_devices_gives_the_same_bits, setup, teardown),
    cmocka_unit_test_setup_teardown(fast_sums_train_nearly_the_same, setup, teardown),
    cmocka_unit_test_setup_teardown(steps_that_are_not_finite_are_undone, setup, teardown),
    cmocka_unit_test_setup_teardown(rounded_weights_are_those_of_the_parameters, setup, teardown),
};

/* 77: skipped. Every rank needs a device of its own. */
static int look(void)
{
    ws_accelerators gpu;
    int local_rank = 0, local_size = 1;
    ws_accelerators_look(&gpu);
    if (ws_local_rank_all(&world, &local_rank, &local_size) != WS_OK)
        return 1;
    if (gpu.count >= local_size)
        return 0;
    if (world.rank == 0)
        printf("skipped: %d GPUs for %d ranks%s%s\n", gpu.count, local_size, gpu.reason[0] ? ": " : "", gpu.reason);
    return 77;
}

int main(int argc, char **argv)
{
    if (ws_cluster_start(&argc, &argv, true, &world) != WS_OK)
        return 1;
    int status = look();
    if (status == 0 && cmocka_run_group_tests(tests, NULL, NULL) > 0)
        MPI_Abort(MPI_COMM_WORLD, 1);
    ws_cluster_stop();
    return status;
}
