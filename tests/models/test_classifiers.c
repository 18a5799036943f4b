/* linear_svm, rbf_svm and knn: the documented optimum, the answer by brute force, and the same bits for any ranks and threads.
 * ctest: ranks=1,2,4 timeout=120 */
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

static ws_arrays fit(const ws_comm *comm, const ws_model *model, const ws_model_context *context, const made_samples *m)
{
    ws_arrays learned = {.arena = arena};
    OK(model->classical->fit_all(comm, context, &m->samples, &m->samples, &learned));
    return learned;
}

static bool is_built(const ws_model *model)
{
    if (strncmp(model->help, "not built", 9) != 0)
        return true;
    print_message("%s: %s\n", model->name, model->help);
    return false;
}

enum { ROWS = 120, COLUMNS = 4, CLASSES = 3 };

/* Rows of one class are rarer, and the classes lie over each other. */
static made_samples mixed_samples(void)
{
    made_samples m = make_samples(ROWS, COLUMNS, CLASSES, 0.8f, 21);
    for (int i = 0; i < 25; i++)
        m.label[3 * i + 2] = 0;
    return m;
}

/* The gradient of the documented objective with C = 1 and balanced classes is zero at what is found. */
static void linear_svm_reaches_its_optimum(void **state)
{
    (void)state;
    void *options;
    const ws_comm self = ws_comm_self();
    const ws_model *model = ws_model_find("linear_svm");
    made_samples m = mixed_samples();
    ws_model_context context = make_context(arena, model, WS_TASK_CLASSIFY, COLUMNS, CLASSES, &options);
    set_option(arena, model, options, "{\"gradient_tolerance\": 1e-9}");
    ws_arrays learned = fit(&self, model, &context, &m);
    const double *weight = ws_arrays_find(&learned, "weight")->values, *bias = ws_arrays_find(&learned, "bias")->values;
    double rows[CLASSES] = {0}, gradient[CLASSES][COLUMNS + 1] = {{0}}, all = 0;
    for (int i = 0; i < ROWS; i++)
        rows[m.label[i]]++;
    for (int i = 0; i < ROWS; i++) {
        const double s = ROWS / (CLASSES * rows[m.label[i]]);
        const float *x = m.values + i * COLUMNS;
        all += s;
        for (int k = 0; k < CLASSES; k++) {
            double y = k == m.label[i] ? 1 : -1, z = bias[k];
            for (int c = 0; c < COLUMNS; c++)
                z += weight[k * COLUMNS + c] * x[c];
            const double slope = -2 * y * fmax(0, 1 - y * z);
            for (int c = 0; c <= COLUMNS; c++)
                gradient[k][c] += s * slope * (c < COLUMNS ? x[c] : 1);
        }
    }
    for (int k = 0; k < CLASSES; k++)
        for (int c = 0; c <= COLUMNS; c++)
            assert_true(fabs(gradient[k][c] + (c < COLUMNS ? weight[k * COLUMNS + c] : 0)) / all < 2e-9);
    ws_arrays_destroy(&learned);
    free_samples(&m);
}

static void knn_votes_as_brute_force_does(void **state)
{
    (void)state;
    const ws_comm self = ws_comm_self();
    const ws_model *model = ws_model_find("knn");
    made_samples m = mixed_samples(), asked = make_samples(50, COLUMNS, CLASSES, 0.8f, 22);
    for (int cosine = 0; cosine < 2; cosine++) {
        void *options;
        float out[50 * CLASSES];
        ws_model_context context = make_context(arena, model, WS_TASK_CLASSIFY, COLUMNS, CLASSES, &options);
        set_option(arena, model, options, cosine ? "{\"k\": 7, \"metric\": \"cosine\"}" : "{\"k\": 7}");
        ws_arrays learned = fit(&self, model, &context, &m);
        OK(model->classical->score(&context, &learned, 50, asked.values, out));
        for (int i = 0; i < 50; i++) {
            double distance[ROWS], votes[CLASSES] = {0};
            for (int j = 0; j < ROWS; j++) {
                double both = 0, own = 0, other = 0, apart = 0;
                for (int c = 0; c < COLUMNS; c++) {
                    const double a = asked.values[i * COLUMNS + c], b = m.values[j * COLUMNS + c];
                    both += a * b;
                    own += a * a;
                    other += b * b;
                    apart += (a - b) * (a - b);
                }
                distance[j] = cosine ? 1 - both / sqrt(own * other) : apart;
            }
            for (int j = 0; j < ROWS; j++) {
                int nearer = 0;
                for (int l = 0; l < ROWS; l++)
                    nearer += distance[l] < distance[j];
                votes[m.label[j]] += nearer < 7;
            }
            for (int k = 0; k < CLASSES; k++)
                assert_true(out[i * CLASSES + k] == (float)votes[k]);
        }
        ws_arrays_destroy(&learned);
    }
    free_samples(&m);
    free_samples(&asked);
}

/* A disc and the ring around it, which no line tells apart; a third class lies elsewhere, a fourth has no rows. */
static void rbf_svm_tells_a_ring_from_a_disc(void **state)
{
    (void)state;
    void *options;
    const ws_comm self = ws_comm_self();
    const ws_model *model = ws_model_find("rbf_svm");
    if (!is_built(model))
        return;
    made_samples m = make_samples(300, 2, 1, 0.1f, 23);
    for (int i = 0; i < 300; i++) {
        const double angle = 0.7 * i, radius = i % 3 == 0 ? 0.5 * (i % 10) / 10 : i % 3 == 1 ? 2 : 0.3;
        m.label[i] = i % 3;
        m.values[2 * i] = (float)(radius * cos(angle) + (i % 3 == 2 ? 9 : 0));
        m.values[2 * i + 1] = (float)(radius * sin(angle));
    }
    ws_model_context context = make_context(arena, model, WS_TASK_CLASSIFY, 2, 4, &options);
    for (int few = 0; few < 2; few++) {
        float out[300 * 4];
        set_option(arena, model, options, few ? "{\"maximum_rows\": 60, \"gamma\": 1}" : "{\"gamma\": 1}");
        ws_arrays learned = fit(&self, model, &context, &m);
        assert_true(!few || ws_arrays_find(&learned, "rows")->shape[0] <= 60);
        OK(model->classical->score(&context, &learned, 300, m.values, out));
        int right = 0;
        for (int i = 0; i < 300; i++) {
            int best = 0;
            for (int k = 1; k < 4; k++)
                best = out[4 * i + k] > out[4 * i + best] ? k : best;
            right += best == m.label[i];
            assert_true(out[4 * i + 3] == -1);
        }
        assert_true(right >= 290);
        ws_arrays_destroy(&learned);
    }
    free_samples(&m);
}

static void ranks_and_threads_change_no_bit(void **state)
{
    (void)state;
    static const char *const names[] = {"logistic", "linear_svm", "rbf_svm", "knn"};
    const ws_comm self = ws_comm_self();
    made_samples m = make_samples(200, 6, 5, 0.9f, 24);
    for (size_t n = 0; n < sizeof names / sizeof *names; n++) {
        void *options;
        const ws_model *model = ws_model_find(names[n]);
        if (!is_built(model))
            continue;
        ws_model_context context = make_context(arena, model, WS_TASK_CLASSIFY, 6, 5, &options);
        ws_arrays alone = fit(&self, model, &context, &m);
        context.threads = 3;
        ws_arrays shared = fit(&world, model, &context, &m);
        assert_int_equal(alone.count, shared.count);
        for (size_t i = 0; i < alone.count; i++) {
            assert_int_equal(alone.items[i].count, shared.items[i].count);
            assert_memory_equal(alone.items[i].values, shared.items[i].values,
                                alone.items[i].count * sizeof *alone.items[i].values);
        }
        ws_arrays_destroy(&alone);
        ws_arrays_destroy(&shared);
    }
    free_samples(&m);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(linear_svm_reaches_its_optimum, setup, teardown),
    cmocka_unit_test_setup_teardown(knn_votes_as_brute_force_does, setup, teardown),
    cmocka_unit_test_setup_teardown(rbf_svm_tells_a_ring_from_a_disc, setup, teardown),
    cmocka_unit_test_setup_teardown(ranks_and_threads_change_no_bit, setup, teardown),
};

WS_MPI_TEST_MAIN(tests)
