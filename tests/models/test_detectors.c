/* ctest: ranks=1,2,3,4 timeout=120
 * The detectors that flow matching is compared with: known answers, rows of one value, and the same bits of everything they
 * learn for any number of ranks.
 */
#include <float.h>
#include <math.h>
#include "models/samples.h"
#include "train/internal.h"

static ws_arena *arena;

static int setup(void **state)
{
    (void)state;
    return ws_arena_create(&arena, 1 << 20) != WS_OK;
}

static int teardown(void **state)
{
    (void)state;
    ws_arena_destroy(&arena);
    return 0;
}

static ws_arrays fit_with(const ws_comm *comm, const ws_model *model, const ws_model_context *context,
                          const ws_samples *rows)
{
    ws_arrays learned = {.arena = arena};
    OK(model->classical->fit_all(comm, context, rows, rows, &learned));
    return learned;
}

/* Fitted by all ranks together; every rank checks that one alone learns the same bits. */
static ws_arrays fit(const ws_model *model, const ws_model_context *context, const ws_samples *rows)
{
    ws_comm self = ws_comm_self();
    ws_arrays together = fit_with(&world, model, context, rows), alone = fit_with(&self, model, context, rows);
    assert_int_equal(together.count, alone.count);
    for (size_t i = 0; i < alone.count; i++) {
        assert_int_equal(together.items[i].count, alone.items[i].count);
        assert_memory_equal(together.items[i].values, alone.items[i].values, alone.items[i].count * sizeof(double));
    }
    ws_arrays_destroy(&alone);
    return together;
}

static float *scores_of(const ws_model *model, const ws_model_context *context, const ws_arrays *learned,
                        const made_samples *rows)
{
    float *out;
    OK(WS_NEW_ARRAY(out, rows->samples.rows));
    OK(model->classical->score(context, learned, rows->samples.rows, rows->values, out));
    for (uint64_t i = 0; i < rows->samples.rows; i++)
        assert_true(isfinite(out[i]));
    return out;
}

/* Four training rows with mean (1, 2) and covariance diag(2, 8): a step of one deviation in either column is a distance of 1. */
static void mahalanobis_measures_in_deviations(void **state)
{
    (void)state;
    const ws_model *model = ws_model_find("mahalanobis");
    void *options;
    made_samples training = make_samples(4, 2, 1, 1, 1), asked = make_samples(3, 2, 1, 1, 1);
    memcpy(training.values, (float[]){3, 2, -1, 2, 1, 6, 1, -2}, 8 * sizeof(float));
    memcpy(asked.values, (float[]){1, 2, 1 + 1.41421356F, 2, 1, 2 - 2 * 2.82842712F}, 6 * sizeof(float));
    ws_model_context context = make_context(arena, model, WS_TASK_ANOMALY, 2, 2, &options);
    set_option(arena, model, options, "{\"shrinkage\": 0}");
    ws_arrays learned = fit(model, &context, &training.samples);
    float *out = scores_of(model, &context, &learned, &asked);
    static const float want[] = {0, 1, 2};
    for (int i = 0; i < 3; i++)
        assert_true(fabsf(out[i] - want[i]) < 1e-6F);
    free(out);
    ws_arrays_destroy(&learned);
    /* half a sphere: variances 2 and 8 become 3.5 and 6.5 */
    set_option(arena, model, options, "{\"shrinkage\": 0.5}");
    learned = fit(model, &context, &training.samples);
    out = scores_of(model, &context, &learned, &asked);
    assert_true(fabs((double)out[1] - sqrt(2 / 3.5)) < 1e-6 && fabs((double)out[2] - sqrt(32 / 6.5)) < 1e-6);
    free(out);
    ws_arrays_destroy(&learned);
    free_samples(&training), free_samples(&asked);
}

/* Columns that depend on each other: refused without shrinkage, in words; a constant column counts nothing with it. */
static void mahalanobis_refuses_what_cannot_be_inverted(void **state)
{
    (void)state;
    const ws_model *model = ws_model_find("mahalanobis");
    void *options;
    made_samples rows = make_samples(200, 3, 1, 1, 2);
    for (int i = 0; i < 200; i++)
        rows.values[3 * i + 1] = 0.25F;
    ws_model_context context = make_context(arena, model, WS_TASK_ANOMALY, 3, 2, &options);
    set_option(arena, model, options, "{\"shrinkage\": 0}");
    ws_arrays learned = {.arena = arena};
    assert_int_equal(model->classical->fit_all(&world, &context, &rows.samples, &rows.samples, &learned), WS_E_NUMERIC);
    ws_arrays_destroy(&learned);
    set_option(arena, model, options, "{\"shrinkage\": 0.01}");
    learned = fit(model, &context, &rows.samples);
    free(scores_of(model, &context, &learned, &rows));
    ws_arrays_destroy(&learned);
    free_samples(&rows);
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Against all distances sorted; 1,500 training rows are more than one block, some of them twice, all far from the origin, where
 * products lose most. */
static void knn_distance_is_exact(void **state)
{
    (void)state;
    enum { TRAIN = 1500, ASKED = 40, COLUMNS = 7, K = 5 };
    const ws_model *model = ws_model_find("knn_distance");
    void *options;
    static double all[TRAIN];
    made_samples training = make_samples(TRAIN, COLUMNS, 3, 0.01F, 3),
                 asked = make_samples(ASKED, COLUMNS, 3, 0.02F, 4);
    for (int i = 0; i < TRAIN * COLUMNS; i++)
        training.values[i] += 3000;
    for (int i = 0; i < ASKED * COLUMNS; i++)
        asked.values[i] += 3000;
    memcpy(training.values + 700 * COLUMNS, training.values + 30 * COLUMNS, COLUMNS * sizeof(float));
    memcpy(asked.values, training.values + 30 * COLUMNS, COLUMNS * sizeof(float));
    ws_model_context context = make_context(arena, model, WS_TASK_ANOMALY, COLUMNS, 2, &options);
    ws_arrays learned = fit(model, &context, &training.samples);
    float *out = scores_of(model, &context, &learned, &asked), one;
    for (int i = 0; i < ASKED; i++) {
        for (int j = 0; j < TRAIN; j++) {
            all[j] = 0;
            for (int c = 0; c < COLUMNS; c++)
                all[j] += pow((double)asked.values[i * COLUMNS + c] - (double)training.values[j * COLUMNS + c], 2);
        }
        qsort(all, TRAIN, sizeof *all, ascending);
        assert_true(fabs((double)out[i] - sqrt(all[K - 1])) <= 1e-7 * sqrt(all[K - 1]));
        OK(model->classical->score(&context, &learned, 1, asked.values + i * COLUMNS, &one));
        assert_true(one == out[i]); /* alone as among others */
    }
    free(out);
    ws_arrays_destroy(&learned);
    /* fewer training rows than neighbours: the farthest of them */
    training.samples.rows = 2;
    learned = fit(model, &context, &training.samples);
    out = scores_of(model, &context, &learned, &asked);
    free(out);
    ws_arrays_destroy(&learned);
    free_samples(&training), free_samples(&asked);
}

/* The height of a row set apart at once is near 0, of rows all alike that of their number: 2^-1. */
static void isolation_forest_sets_outliers_apart(void **state)
{
    (void)state;
    enum { TRAIN = 1000, ASKED = 200 };
    const ws_model *model = ws_model_find("isolation_forest");
    void *options;
    made_samples training = make_samples(TRAIN, 4, 2, 0.2F, 5), asked = make_samples(ASKED, 4, 2, 0.2F, 6);
    for (int i = 0; i < ASKED; i += 2) {
        asked.values[4 * i] += 4;
        asked.values[4 * i + 3] -= 4;
    }
    ws_model_context context = make_context(arena, model, WS_TASK_ANOMALY, 4, 2, &options);
    ws_arrays learned = fit(model, &context, &training.samples);
    float *out = scores_of(model, &context, &learned, &asked);
    for (int i = 0; i < ASKED; i += 2)
        for (int j = 1; j < ASKED; j += 2)
            assert_true(out[i] > out[j]);
    assert_true(out[0] > 0.6F && out[1] < 0.6F); /* Liu et al.: anomalies near 1, others well below 0.5 to about it */
    context.seed = 2;
    ws_arrays other = fit(model, &context, &training.samples);
    assert_memory_not_equal(ws_arrays_find(&learned, "nodes")->values, ws_arrays_find(&other, "nodes")->values, 800);
    free(out);
    ws_arrays_destroy(&learned), ws_arrays_destroy(&other);
    /* nothing to cut: every row is as deep as any */
    for (int i = 0; i < TRAIN * 4; i++)
        training.values[i] = 1;
    learned = fit(model, &context, &training.samples);
    out = scores_of(model, &context, &learned, &asked);
    for (int i = 0; i < ASKED; i++)
        assert_true(fabsf(out[i] - 0.5F) < 1e-6F);
    free(out);
    ws_arrays_destroy(&learned);
    training.samples.rows = 1;
    learned = fit(model, &context, &training.samples);
    free(scores_of(model, &context, &learned, &asked));
    ws_arrays_destroy(&learned);
    free_samples(&training), free_samples(&asked);
}

/* ---- networks ---- */

static size_t parameters_of(const char *name, int columns)
{
    const ws_model *model = ws_model_find(name);
    void *options;
    ws_network_state network;
    ws_model_context context = make_context(arena, model, WS_TASK_ANOMALY, columns, 2, &options);
    OK(ws_network_state_create(&network, model, &context));
    size_t count = ws_plan_parameter_count(network.plan);
    ws_network_state_destroy(&network);
    return count;
}

static void networks_have_the_parameters_of_their_descriptions(void **state)
{
    (void)state;
    assert_int_equal(parameters_of("tccm", 20), 109076);
    assert_int_equal(parameters_of("spline_flow", 6), 6 * 35213);
}

static const char *const made_names[] = {"c0", "c1", "c2", "c3"};

/* Trains with all ranks, and alone; gives scores of `asked` after checking that both learned the same bits. */
static float *train_and_score(const char *name, const char *json, int64_t steps, const made_samples *training,
                              const made_samples *asked, int *width)
{
    const ws_model *model = ws_model_find(name);
    const ws_comm self = ws_comm_self(), *comms[] = {&world, &self};
    void *options;
    ws_network_state networks[2];
    ws_learned learned;
    float *out = NULL;
    ws_train_options train = {.steps = steps,
                              .learning_rate = 2e-3,
                              .minimum_learning_rate = 1e-6,
                              .beta1 = 0.9,
                              .beta2 = 0.99,
                              .epsilon = 1e-8,
                              .clip = 1,
                              .ema = 0.9,
                              .threads = 1,
                              .checkpoint_every = 1000000,
                              .keep = 1,
                              .log_every = 1};
    ws_model_context context = make_context(arena, model, WS_TASK_ANOMALY, training->samples.columns, 2, &options);
    set_option(arena, model, options, json);
    context.column_names = made_names;
    for (int i = 0; i < 2; i++) {
        ws_network_training run = {.comm = comms[i],
                                   .options = &train,
                                   .training = &training->samples,
                                   .validation = &asked->samples,
                                   .config_text = ""};
        OK(ws_network_state_create(&networks[i], model, &context));
        OK(ws_network_train_all(&run, &networks[i]));
    }
    assert_memory_equal(networks[0].average, networks[1].average, networks[0].extent * sizeof(ws_real));
    OK(ws_learned_create(model, &context, &learned));
    OK(ws_learned_take(&learned, &networks[0]));
    OK(ws_learned_calibrate_all(&world, &learned, &training->samples));
    OK(ws_score_all(&world, &learned, &asked->samples, "test", &out, NULL));
    *width = ws_model_width(model, &context);
    ws_learned_destroy(&learned);
    ws_network_state_destroy(&networks[0]), ws_network_state_destroy(&networks[1]);
    return out;
}

static double auroc_of_odd_rows(const float *scores, int width, int rows)
{
    double wins = 0, pairs = 0;
    for (int i = 1; i < rows; i += 2)
        for (int j = 0; j < rows; j += 2, pairs++)
            wins += scores[i * width] > scores[j * width] ? 1 : scores[i * width] == scores[j * width] ? 0.5 : 0;
    return wins / pairs;
}

/* Sines and cosines of t times exp(-i ln(10000) / 64), and the row's negative as the target. */
static void tccm_is_asked_what_is_published(void **state)
{
    (void)state;
    enum { COLUMNS = 3, ROWS = 8, HALF = 64 };
    const ws_model *model = ws_model_find("tccm");
    void *options;
    ws_network_state network;
    ws_executor *executor;
    uint64_t order[64];
    made_samples rows = make_samples(64, COLUMNS, 2, 0.3F, 13);
    for (uint64_t i = 0; i < 64; i++)
        order[i] = 63 - i;
    ws_model_context context = make_context(arena, model, WS_TASK_ANOMALY, COLUMNS, 2, &options);
    OK(ws_network_state_create(&network, model, &context));
    OK(ws_executor_create(&executor, network.plan));
    model->network->fill(&context, &(ws_batch){5, 3, &rows.samples, order}, NULL, 2, executor);
    const ws_real *x = ws_executor_input(executor, "x"), *target = ws_executor_input(executor, "target");
    const ws_real *time = ws_executor_input(executor, "time");
    double least = 1, most = 0;
    for (int r = 0; r < ROWS; r++, time += 2 * HALF) {
        double t = asin((double)time[0]);
        least = fmin(least, t), most = fmax(most, t);
        for (int i = 0; i < HALF; i++) {
            double angle = t * exp(-log(10000) * i / HALF);
            assert_true(fabs((double)time[i] - sin(angle)) < 1e-6 && fabs((double)time[HALF + i] - cos(angle)) < 1e-6);
        }
        for (int c = 0; c < COLUMNS; c++) {
            assert_true(x[r * COLUMNS + c] == rows.values[order[2 * ROWS + r] * COLUMNS + (uint64_t)c]);
            assert_true(target[r * COLUMNS + c] == -x[r * COLUMNS + c]);
        }
    }
    assert_true(least > 0 && least < 0.5 && most > 0.5 && most < 1);
    ws_executor_destroy(&executor);
    ws_network_state_destroy(&network);
    free_samples(&rows);
}

static void tccm_misses_the_origin_from_elsewhere(void **state)
{
    (void)state;
    made_samples training = make_samples(600, 4, 3, 0.1F, 7), asked = make_samples(200, 4, 3, 0.1F, 8);
    int width;
    for (int i = 1; i < 200; i += 2)
        for (int c = 0; c < 4; c++)
            asked.values[4 * i + c] *= 3;
    float *out = train_and_score("tccm", "{\"width\": 64}", 200, &training, &asked, &width);
    assert_true(auroc_of_odd_rows(out, width, 200) > 0.95);
    free(out);
    free_samples(&training), free_samples(&asked);
}

/* Rows outside the box have no density and tie; inside, rows between the clusters are less likely than rows in them. */
static void spline_flow_knows_dense_places(void **state)
{
    (void)state;
    made_samples training = make_samples(600, 2, 2, 0.3F, 9), asked = make_samples(200, 2, 2, 0.3F, 10);
    int width;
    for (int i = 0; i < 1200; i++)
        training.values[i] *= 2;
    for (int i = 0; i < 400; i++)
        asked.values[i] *= 2;
    for (int i = 1; i < 200; i += 2) { /* between the clusters at (2, 0) and (0, 2), and opposite to them */
        asked.values[2 * i] = i % 4 == 1 ? 2.5F : -2;
        asked.values[2 * i + 1] = i % 4 == 1 ? 2.5F : -2;
    }
    asked.values[0] = 5.5F; /* a normal row that is outside, as one of the others */
    asked.values[2] = -7;
    float *out = train_and_score("spline_flow", "{\"bins\": 8, \"width\": 32, \"couplings\": 2}", 150, &training,
                                 &asked, &width);
    assert_int_equal(width, 2);
    assert_true(isinf(out[0]) && isinf(out[2]) && out[1] == 1 && out[3] == 1);
    for (int i = 2; i < 200; i++)
        assert_true(isfinite(out[i * width]) && out[i * width + 1] == 0);
    assert_true(auroc_of_odd_rows(out, width, 200) > 0.95);
    free(out);
    free_samples(&training), free_samples(&asked);
}

/* exp(-score) over a grid of the box is a density: it sums to one. */
static void spline_flow_gives_a_density(void **state)
{
    (void)state;
    enum { SIDE = 200 };
    made_samples training = make_samples(300, 2, 2, 0.5F, 11), grid = make_samples(SIDE * SIDE, 2, 1, 1, 12);
    int width;
    double mass = 0;
    for (int i = 0; i < SIDE * SIDE; i++) {
        grid.values[2 * i] = (float)((i / SIDE + 0.5) * 10 / SIDE - 5);
        grid.values[2 * i + 1] = (float)((i % SIDE + 0.5) * 10 / SIDE - 5);
    }
    float *out = train_and_score("spline_flow", "{\"bins\": 4, \"width\": 16}", 20, &training, &grid, &width);
    for (int i = 0; i < SIDE * SIDE; i++)
        mass += exp(-(double)out[i * width]) * 100 / (SIDE * SIDE);
    assert_true(fabs(mass - 1) < 0.01);
    free(out);
    free_samples(&training), free_samples(&grid);
}

/* Rows that leave the clusters in columns 0 and 1 only, in 2 and 3 only, in both: an ensemble of a flow each finds the last ones, and
 * among the others it does not tell those of one kind from normal ones as well as a flow of their columns does. */
static void an_ensemble_of_spline_flows_agrees(void **state)
{
    (void)state;
    enum { ASKED = 400 };
    made_samples training = make_samples(600, 4, 2, 0.3F, 13), asked = make_samples(ASKED, 4, 2, 0.3F, 14);
    int width, normal = 0, least = 0;
    float highest = 0;
    for (int i = 1; i < ASKED; i += 2) /* far from all clusters, inside the box */
        for (int c = 0; c < 4; c++)
            if ((c < 2 && i % 8 != 3) || (c >= 2 && i % 8 != 5))
                asked.values[4 * i + c] = -4.5F;
    asked.values[0] = 6; /* outside in one flow; in both */
    for (int c = 0; c < 4; c++)
        asked.values[4 + c] = c == 1 || c == 2 ? 6 : 0;
    float *out = train_and_score("spline_flow", "{\"flows\": [\"c0,c1\", \"c3, c2\"], \"bins\": 8, \"width\": 32}", 150,
                                 &training, &asked, &width);
    assert_true(isfinite(out[0]) && out[1] == 0);
    assert_true(isinf(out[width]) && out[width + 1] == 1);
    for (int i = 0; i < ASKED; i++) {
        assert_true(out[i * width] >= 0);
        if (i % 2 == 0 || i % 8 == 3 || i % 8 == 5) {
            highest = fmaxf(highest, out[i * width]);
            normal++;
            least += out[i * width] < logf(20); /* at least a twentieth of the normal rows is less likely to one flow */
        }
    }
    for (int i = 7; i < ASKED; i += 8)
        assert_true(out[i * width] > highest);
    assert_true(least > normal * 9 / 10);
    free(out);
    free_samples(&training), free_samples(&asked);
}

static void spline_flow_says_which_columns_it_does_not_know(void **state)
{
    (void)state;
    const ws_model *model = ws_model_find("spline_flow");
    static const char *const flows[] = {"[\"c0,c1\", \"c1,c9\"]", "[\"c0,c1\", \"c2\"]", "[\"c0,c1\", \"\"]"};
    static const char *const words[] = {"\"c9\"", "needs two", "needs two"};
    for (int i = 0; i < 3; i++) {
        char json[64];
        void *options;
        ws_network_state network;
        ws_model_context context = make_context(arena, model, WS_TASK_ANOMALY, 4, 2, &options);
        context.column_names = made_names;
        snprintf(json, sizeof json, "{\"flows\": %s}", flows[i]);
        set_option(arena, model, options, json);
        assert_int_equal(ws_network_state_create(&network, model, &context), WS_E_CONFIG);
        assert_non_null(strstr(ws_error_message(), words[i]));
    }
}

static void spline_flow_needs_two_columns(void **state)
{
    (void)state;
    const ws_model *model = ws_model_find("spline_flow");
    void *options;
    ws_network_state network;
    ws_model_context context = make_context(arena, model, WS_TASK_ANOMALY, 1, 2, &options);
    assert_int_equal(ws_network_state_create(&network, model, &context), WS_E_CONFIG);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(mahalanobis_measures_in_deviations, setup, teardown),
    cmocka_unit_test_setup_teardown(mahalanobis_refuses_what_cannot_be_inverted, setup, teardown),
    cmocka_unit_test_setup_teardown(knn_distance_is_exact, setup, teardown),
    cmocka_unit_test_setup_teardown(isolation_forest_sets_outliers_apart, setup, teardown),
    cmocka_unit_test_setup_teardown(networks_have_the_parameters_of_their_descriptions, setup, teardown),
    cmocka_unit_test_setup_teardown(tccm_is_asked_what_is_published, setup, teardown),
    cmocka_unit_test_setup_teardown(tccm_misses_the_origin_from_elsewhere, setup, teardown),
    cmocka_unit_test_setup_teardown(spline_flow_knows_dense_places, setup, teardown),
    cmocka_unit_test_setup_teardown(spline_flow_gives_a_density, setup, teardown),
    cmocka_unit_test_setup_teardown(an_ensemble_of_spline_flows_agrees, setup, teardown),
    cmocka_unit_test_setup_teardown(spline_flow_says_which_columns_it_does_not_know, setup, teardown),
    cmocka_unit_test_setup_teardown(spline_flow_needs_two_columns, setup, teardown),
};

WS_MPI_TEST_MAIN(tests)
