/* The classical models: logistic regression against plain gradient descent, and the two baselines on rows where the answer
 * is known. */
#include <math.h>
#include "models/samples.h"

static ws_arena *arena;

static int setup(void **state)
{
    (void)state;
    return ws_arena_create(&arena, 1 << 16) != WS_OK;
}

static int teardown(void **state)
{
    (void)state;
    ws_arena_destroy(&arena);
    return 0;
}

static ws_arrays fit(const ws_model *model, const ws_model_context *context, const ws_samples *training,
                     const ws_samples *validation)
{
    ws_comm self = ws_comm_self();
    ws_arrays learned = {.arena = arena};
    OK(model->classical->fit_all(&self, context, training, validation, &learned));
    return learned;
}

enum { ROWS = 90, COLUMNS = 3, CLASSES = 3, WIDTH = COLUMNS + 1 };

/* Gradient of the documented objective with C = 1 and balanced classes, written down anew. */
static double naive_gradient(const made_samples *m, const double w[CLASSES][WIDTH], double gradient[CLASSES][WIDTH])
{
    double rows[CLASSES] = {0}, value = 0, weights = 0;
    memset(gradient, 0, CLASSES * sizeof gradient[0]);
    for (int i = 0; i < ROWS; i++)
        rows[m->label[i]]++;
    for (int i = 0; i < ROWS; i++) {
        double p[CLASSES], sum = 0, s = ROWS / (CLASSES * rows[m->label[i]]);
        const float *x = m->values + i * COLUMNS;
        weights += s;
        for (int k = 0; k < CLASSES; k++)
            sum += p[k] = exp(w[k][0] * x[0] + w[k][1] * x[1] + w[k][2] * x[2] + w[k][COLUMNS]);
        value -= s * log(p[m->label[i]] / sum);
        for (int k = 0; k < CLASSES; k++)
            for (int c = 0; c < WIDTH; c++)
                gradient[k][c] += s * (p[k] / sum - (k == m->label[i])) * (c < COLUMNS ? x[c] : 1);
    }
    for (int k = 0; k < CLASSES; k++)
        for (int c = 0; c < WIDTH; c++) {
            gradient[k][c] /= weights;
            if (c < COLUMNS) {
                gradient[k][c] += w[k][c] / weights;
                value += w[k][c] * w[k][c] / 2;
            }
        }
    return value / weights;
}

static void logistic_reaches_the_optimum_of_gradient_descent(void **state)
{
    (void)state;
    void *options;
    const ws_model *model = ws_model_find("logistic");
    made_samples m = make_samples(ROWS, COLUMNS, CLASSES, 0.6f, 11);
    for (int i = 0; i < 20; i++)
        m.label[3 * i] = 1; /* unbalanced, and not separable */
    ws_model_context context = make_context(arena, model, WS_TASK_CLASSIFY, COLUMNS, CLASSES, &options);
    set_option(arena, model, options, "{\"gradient_tolerance\": 1e-9}");
    ws_arrays learned = fit(model, &context, &m.samples, &m.samples);
    const double *weight = ws_arrays_find(&learned, "weight")->values, *bias = ws_arrays_find(&learned, "bias")->values;
    double found[CLASSES][WIDTH], w[CLASSES][WIDTH] = {{0}}, gradient[CLASSES][WIDTH];
    for (int k = 0; k < CLASSES; k++)
        for (int c = 0; c < WIDTH; c++)
            found[k][c] = c < COLUMNS ? weight[k * COLUMNS + c] : bias[k];
    naive_gradient(&m, (const double(*)[WIDTH])found, gradient);
    for (int k = 0; k < CLASSES; k++)
        for (int c = 0; c < WIDTH; c++)
            assert_true(fabs(gradient[k][c]) < 2e-9);
    for (int step = 0; step < 20000; step++) {
        naive_gradient(&m, (const double(*)[WIDTH])w, gradient);
        for (int k = 0; k < CLASSES; k++)
            for (int c = 0; c < WIDTH; c++)
                w[k][c] -= 0.5 * gradient[k][c];
    }
    for (int k = 0; k < CLASSES; k++)
        for (int c = 0; c < WIDTH; c++)
            assert_true(fabs(w[k][c] - found[k][c]) < 1e-6);
    ws_arrays_destroy(&learned);
    free_samples(&m);
}

static void logistic_never_predicts_a_class_without_rows(void **state)
{
    (void)state;
    void *options;
    const ws_model *model = ws_model_find("logistic");
    made_samples m = make_samples(200, 4, 2, 0.3f, 12);
    ws_model_context context = make_context(arena, model, WS_TASK_CLASSIFY, 4, 3, &options);
    ws_arrays learned = fit(model, &context, &m.samples, &m.samples);
    float out[200 * 3];
    OK(model->classical->score(&context, &learned, 200, m.values, out));
    int right = 0;
    for (int i = 0; i < 200; i++) {
        const float *row = out + i * 3;
        assert_true(row[2] < row[0] && row[2] < row[1]);
        right += (row[1] > row[0]) == m.label[i];
    }
    assert_true(right > 190);
    ws_arrays_destroy(&learned);
    free_samples(&m);
}

static void majority_predicts_the_most_frequent_class(void **state)
{
    (void)state;
    void *options;
    const ws_model *model = ws_model_find("majority");
    made_samples m = make_samples(99, 2, 3, 1, 13);
    m.label[0] = m.label[1] = m.label[2] = 1;
    ws_model_context context = make_context(arena, model, WS_TASK_CLASSIFY, 2, 3, &options);
    ws_arrays learned = fit(model, &context, &m.samples, &m.samples);
    float out[2 * 3];
    OK(model->classical->score(&context, &learned, 2, m.values, out));
    assert_true(out[1] > out[0] && out[1] > out[2] && out[4] > out[3] && out[4] > out[5]);
    ws_arrays_destroy(&learned);
    context.task = WS_TASK_ANOMALY;
    learned = fit(model, &context, &m.samples, &m.samples);
    OK(model->classical->score(&context, &learned, 2, m.values, out));
    assert_true(out[0] == out[1]);
    ws_arrays_destroy(&learned);
    free_samples(&m);
}

static void best_single_feature_finds_the_column_and_its_sign(void **state)
{
    (void)state;
    void *options;
    const ws_model *model = ws_model_find("best_single_feature");
    made_samples training = make_samples(300, 5, 1, 1, 14), validation = make_samples(200, 5, 1, 1, 15);
    for (int i = 0; i < 200; i++) {
        validation.anomalous[i] = i % 4 == 0;
        validation.values[i * 5 + 1] += validation.anomalous[i] ? 1 : 0;
        validation.values[i * 5 + 3] -= validation.anomalous[i] ? 3 : 0; /* the better one, downwards */
    }
    ws_model_context context = make_context(arena, model, WS_TASK_ANOMALY, 5, 2, &options);
    ws_arrays learned = fit(model, &context, &training.samples, &validation.samples);
    assert_true(ws_arrays_find(&learned, "column")->values[0] == 3);
    assert_true(ws_arrays_find(&learned, "sign")->values[0] == -1);
    float out[200];
    OK(model->classical->score(&context, &learned, 200, validation.values, out));
    double wins = 0, pairs = 0;
    for (int i = 0; i < 200; i++)
        for (int j = 0; j < 200; j++)
            if (validation.anomalous[i] && !validation.anomalous[j]) {
                wins += out[i] > out[j] ? 1 : out[i] == out[j] ? 0.5 : 0;
                pairs++;
            }
    assert_true(fabs(wins / pairs - ws_arrays_find(&learned, "validation_auroc")->values[0]) < 1e-12);
    ws_arrays_destroy(&learned);
    memset(validation.anomalous, 0, 200);
    ws_comm self = ws_comm_self();
    learned = (ws_arrays){.arena = arena};
    OK(model->classical->fit_all(&self, &context, &training.samples, &validation.samples, &learned));
    assert_string_equal(learned.undefined, "it chooses on validation rows, and none of them is an anomaly");
    assert_int_equal(learned.count, 0);
    ws_arrays_destroy(&learned);
    memset(validation.anomalous, 1, 200);
    OK(model->classical->fit_all(&self, &context, &training.samples, &validation.samples, &learned));
    assert_string_equal(learned.undefined, "it chooses on validation rows, and none of them is normal");
    ws_arrays_destroy(&learned);
    free_samples(&training);
    free_samples(&validation);
}

static void best_single_feature_cuts_a_column_into_classes(void **state)
{
    (void)state;
    void *options;
    const ws_model *model = ws_model_find("best_single_feature");
    made_samples training = make_samples(600, 3, 3, 1, 16), validation = make_samples(300, 3, 3, 1, 17);
    for (int i = 0; i < 600; i++)
        training.values[i * 3 + 2] = 0.1f * training.values[i * 3 + 2] + (float)(training.label[i] * training.label[i]);
    for (int i = 0; i < 300; i++)
        validation.values[i * 3 + 2] =
            0.1f * validation.values[i * 3 + 2] + (float)(validation.label[i] * validation.label[i]);
    for (int i = 0; i < 300; i++)
        training.values[i * 3] = 7; /* a column with one heavy tie */
    ws_model_context context = make_context(arena, model, WS_TASK_CLASSIFY, 3, 3, &options);
    ws_arrays learned = fit(model, &context, &training.samples, &validation.samples);
    assert_true(ws_arrays_find(&learned, "column")->values[0] == 2);
    float out[300 * 3];
    OK(model->classical->score(&context, &learned, 300, validation.values, out));
    int right = 0;
    for (int i = 0; i < 300; i++)
        right += out[i * 3 + validation.label[i]] == 1;
    assert_true(right > 280);
    ws_arrays_destroy(&learned);
    free_samples(&training);
    free_samples(&validation);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(logistic_reaches_the_optimum_of_gradient_descent, setup, teardown),
    cmocka_unit_test_setup_teardown(logistic_never_predicts_a_class_without_rows, setup, teardown),
    cmocka_unit_test_setup_teardown(majority_predicts_the_most_frequent_class, setup, teardown),
    cmocka_unit_test_setup_teardown(best_single_feature_finds_the_column_and_its_sign, setup, teardown),
    cmocka_unit_test_setup_teardown(best_single_feature_cuts_a_column_into_classes, setup, teardown),
};

WS_MPI_TEST_MAIN(tests)
