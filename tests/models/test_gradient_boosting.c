/* Gradient boosting: its first tree against a plain search of the best cut and the Newton steps of its leaves; the same bits on any
 * ranks and threads; two classes, and one without rows. */
/* ctest: labels=mpi ranks=1,2,4 timeout=60 */
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

static ws_arrays fit(const char *options_text, const made_samples *m, int classes, int threads, const ws_comm *comm,
                     ws_model_context *context)
{
    void *options;
    const ws_model *model = ws_model_find("gradient_boosting");
    *context = make_context(arena, model, WS_TASK_CLASSIFY, m->samples.columns, classes, &options);
    set_option(arena, model, options, options_text);
    context->threads = threads;
    ws_arrays learned = {.arena = arena};
    OK(model->classical->fit_all(comm, context, &m->samples, &m->samples, &learned));
    OK(model->classical->prepare(context, &learned));
    return learned;
}

static int count_right(const ws_model_context *context, const ws_arrays *learned, const made_samples *m)
{
    const int classes = context->classes;
    float *out = calloc(m->samples.rows * (uint64_t)classes, sizeof *out);
    int right = 0;
    OK(ws_model_find("gradient_boosting")->classical->score(context, learned, m->samples.rows, m->values, out));
    for (uint64_t i = 0; i < m->samples.rows; i++) {
        const float *p = out + i * (uint64_t)classes;
        double sum = 0;
        int most = 0;
        for (int k = 0; k < classes; k++) {
            assert_true(p[k] >= 0 && p[k] <= 1);
            sum += (double)p[k];
            most = p[k] > p[most] ? k : most;
        }
        assert_true(fabs(sum - 1) < 1e-6);
        right += most == m->label[i];
    }
    free(out);
    return right;
}

enum { ROWS = 200, COLUMNS = 4 };

/* Two classes, one cut: gradients are p - y and p (1 - p) with p the share of class 1. */
static void the_first_cut_takes_most_off_the_loss(void **state)
{
    (void)state;
    ws_comm self = ws_comm_self();
    made_samples m = make_samples(ROWS, COLUMNS, 2, 1.5f, 41);
    double share = 0;
    for (int i = 0; i < ROWS; i++) {
        m.values[i * COLUMNS + 1] = floorf(2 * m.values[i * COLUMNS + 1]);
        m.label[i] = m.label[i] || i % 5 == 0;
        share += m.label[i] / (double)ROWS;
    }
    ws_model_context context;
    ws_arrays learned = fit("{\"rounds\": 1, \"max_depth\": 1, \"min_samples_leaf\": 7, \"l2_regularization\": 0.5}",
                            &m, 2, 1, &self, &context);
    const double *nodes = ws_arrays_find(&learned, "nodes")->values, h = share * (1 - share);
    assert_int_equal(ws_arrays_find(&learned, "nodes")->shape[0], 3);
    assert_true(fabs(ws_arrays_find(&learned, "baseline")->values[0] - log(share / (1 - share))) < 1e-12);
    double best = 0, found = -1;
    for (int c = 0; c < COLUMNS; c++)
        for (int place = -1; place < ROWS; place++) { /* -1: the cut that was made */
            double threshold = place < 0 ? nodes[1] : (double)m.values[place * COLUMNS + c];
            double gradient[2] = {0}, rows[2] = {0};
            for (int i = 0; i < ROWS; i++) {
                int side = (double)m.values[i * COLUMNS + c] > threshold;
                gradient[side] += share - m.label[i];
                rows[side]++;
            }
            double gain =
                gradient[0] * gradient[0] / (h * rows[0] + 0.5) + gradient[1] * gradient[1] / (h * rows[1] + 0.5);
            if (place < 0 && c == (int)nodes[0]) {
                found = gain;
                for (int side = 0; side < 2; side++)
                    assert_true(fabs(nodes[4 * (1 + side) + 3] + 0.1 * gradient[side] / (h * rows[side] + 0.5)) < 1e-6);
            }
            if (place >= 0 && rows[0] >= 7 && rows[1] >= 7)
                best = gain > best ? gain : best;
        }
    assert_true(fabs(found - best) < 1e-6 * best);
    ws_arrays_destroy(&learned);
    free_samples(&m);
}

static void the_same_trees_on_any_ranks_and_threads(void **state)
{
    (void)state;
    ws_comm self = ws_comm_self();
    for (int classes = 2; classes <= 5; classes += 3) {
        made_samples m = make_samples(400, 6, classes, 1, 42);
        static const char text[] = "{\"rounds\": 8, \"max_bins\": 17, \"class_weight\": \"balanced\"}";
        m.label[3] = 0;
        ws_model_context context;
        ws_arrays one = fit(text, &m, classes, 1, &self, &context);
        for (int threads = 1; threads <= 2; threads++) {
            ws_arrays all = fit(text, &m, classes, threads, &world, &context);
            assert_int_equal(one.count, all.count);
            for (size_t i = 0; i < one.count; i++) {
                assert_int_equal(one.items[i].count, all.items[i].count);
                assert_memory_equal(one.items[i].values, all.items[i].values, one.items[i].count * sizeof(double));
            }
            ws_arrays_destroy(&all);
        }
        ws_arrays_destroy(&one);
        free_samples(&m);
    }
}

static void classes_are_told_apart(void **state)
{
    (void)state;
    ws_comm self = ws_comm_self();
    for (int classes = 1; classes <= 4; classes++) {
        made_samples training = make_samples(600, 6, classes, 0.15f, 43), test = make_samples(303, 6, classes, 0.15f, 44);
        ws_model_context context;
        ws_arrays learned = fit("{\"rounds\": 30}", &training, classes, 1, &self, &context);
        assert_true(count_right(&context, &learned, &test) >= 297);
        ws_arrays_destroy(&learned);
        learned = fit("{\"rounds\": 30}", &training, classes + 1, 1, &self, &context); /* one without rows */
        assert_true(count_right(&context, &learned, &test) >= 297);
        ws_arrays_destroy(&learned);
        free_samples(&training);
        free_samples(&test);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(the_first_cut_takes_most_off_the_loss, setup, teardown),
    cmocka_unit_test_setup_teardown(the_same_trees_on_any_ranks_and_threads, setup, teardown),
    cmocka_unit_test_setup_teardown(classes_are_told_apart, setup, teardown),
};

WS_MPI_TEST_MAIN(tests)
