/* Forests: every cut of a tree against all cuts tried one by one; bits on any ranks and threads; rows with ties, constant columns and
 * classes that a tree never sees. */
/* ctest: labels=mpi ranks=1,2,3,4 timeout=60 */
#include <math.h>
#include "models/forest.h"
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

static const char *const kinds[] = {"random_forest", "extra_trees"};
enum { KINDS = 2 };

static ws_arrays fit(const char *kind, const char *options_text, const made_samples *m, int classes, int threads,
                     const ws_comm *comm, ws_model_context *context)
{
    void *options;
    const ws_model *model = ws_model_find(kind);
    *context = make_context(arena, model, WS_TASK_CLASSIFY, m->samples.columns, classes, &options);
    set_option(arena, model, options, options_text);
    context->threads = threads;
    ws_arrays learned = {.arena = arena};
    OK(model->classical->fit_all(comm, context, &m->samples, &m->samples, &learned));
    OK(model->classical->prepare(context, &learned));
    return learned;
}

static float *score(const char *kind, const ws_model_context *context, const ws_arrays *learned, const made_samples *m)
{
    float *out = calloc(m->samples.rows * (uint64_t)context->classes, sizeof *out);
    OK(ws_model_find(kind)->classical->score(context, learned, m->samples.rows, m->values, out));
    return out;
}

/* Values in steps, so that many are the same; a constant column, and one of two values. */
static made_samples make_ties(uint64_t rows, int columns, int classes, uint64_t seed)
{
    made_samples m = make_samples(rows, columns, classes, 1.2f, seed);
    for (uint64_t i = 0; i < rows; i++) {
        float *row = m.values + i * (uint64_t)columns;
        for (int c = 0; c < columns; c++)
            row[c] = c == 0 ? 3 : c == 1 ? (float)(row[c] > 0) : c == 2 ? row[c] : floorf(4 * row[c]);
    }
    return m;
}

static double gini_worth(const double *left, const double *right, int classes)
{
    double squares[2] = {0}, sum[2] = {0};
    for (int k = 0; k < classes; k++) {
        squares[0] += left[k] * left[k];
        squares[1] += right[k] * right[k];
        sum[0] += left[k];
        sum[1] += right[k];
    }
    return sum[0] > 0 && sum[1] > 0 ? squares[0] / sum[0] + squares[1] / sum[1] : -1;
}

enum { CLASSES = 4, COLUMNS = 6, ROWS = 400 };

/* Worth of parting the rows marked `in` at threshold; *smaller: rows of the smaller side. */
static double worth_of(const made_samples *m, const bool *in, int column, double threshold, const double *weight,
                       int *smaller)
{
    double left[CLASSES] = {0}, right[CLASSES] = {0};
    int rows[2] = {0};
    for (int i = 0; i < ROWS; i++)
        if (in[i]) {
            bool goes_left = (double)m->values[i * COLUMNS + column] <= threshold;
            (goes_left ? left : right)[m->label[i]] += weight[m->label[i]];
            rows[!goes_left]++;
        }
    *smaller = rows[0] < rows[1] ? rows[0] : rows[1];
    return gini_worth(left, right, CLASSES);
}

static size_t leaves;

/* Looks at node `at` and all below it; `best`: cuts must be the best of all; gives how many nodes these are. */
static size_t check_node(const made_samples *m, const ws_tree_node *nodes, const double *mixed, bool *in,
                         const double *weight, int least, bool best)
{
    double present[CLASSES] = {0}, sum = 0;
    int classes = 0, smaller;
    for (int i = 0; i < ROWS; i++)
        if (in[i]) {
            classes += present[m->label[i]] == 0;
            present[m->label[i]] += weight[m->label[i]];
            sum += weight[m->label[i]];
        }
    double most = -1;
    for (int c = 0; c < COLUMNS; c++)
        for (int i = 0; i < ROWS && (best || nodes->link < 0); i++)
            if (in[i]) {
                double worth = worth_of(m, in, c, (double)m->values[i * COLUMNS + c], weight, &smaller);
                most = smaller >= least && worth > most ? worth : most;
            }
    if (nodes->link < 0) {
        leaves++;
        const int leaf = (int)nodes->threshold;
        if (leaf < CLASSES)
            assert_true(classes == 1 && present[leaf] > 0);
        else
            assert_true(most < 0); /* cannot be parted */
        for (int k = 0; k < CLASSES && leaf >= CLASSES; k++)
            assert_true(fabs(mixed[(leaf - CLASSES) * CLASSES + k] - present[k] / sum) < 1e-12);
        return 1;
    }
    const int column = (int)((int64_t)nodes->link % WS_TREE_COLUMNS);
    const size_t right = (size_t)((int64_t)nodes->link / WS_TREE_COLUMNS);
    assert_true(classes > 1);
    const double worth = worth_of(m, in, column, nodes->threshold, weight, &smaller);
    assert_true(smaller >= least);
    if (best)
        assert_true(fabs(worth - most) <= 1e-9 * most);
    bool sides[2][ROWS];
    for (int i = 0; i < ROWS; i++) {
        bool goes_left = (double)m->values[i * COLUMNS + column] <= nodes->threshold;
        sides[0][i] = in[i] && goes_left;
        sides[1][i] = in[i] && !goes_left;
    }
    size_t at_left = check_node(m, nodes + 1, mixed, sides[0], weight, least, best);
    assert_int_equal(right, 1 + at_left);
    return right + check_node(m, nodes + right, mixed, sides[1], weight, least, best);
}

static void every_cut_is_the_best_one_and_every_leaf_cannot_be_cut(void **state)
{
    (void)state;
    ws_comm self = ws_comm_self();
    static const struct {
        const char *kind, *options;
        int least;
        bool best, balanced;
    } cases[] = {
        {"random_forest", "{\"trees\": 1, \"bootstrap\": false, \"max_features\": \"all\"}", 1, true, false},
        {"random_forest",
         "{\"trees\": 1, \"bootstrap\": false, \"max_features\": \"all\", \"class_weight\": \"balanced\", "
         "\"min_samples_leaf\": 5}",
         5, true, true},
        {"random_forest", "{\"trees\": 1, \"bootstrap\": false}", 1, false, false},
        {"extra_trees", "{\"trees\": 1, \"max_features\": \"log2\", \"class_weight\": \"balanced\"}", 1, false, true},
    };
    made_samples m = make_ties(ROWS, COLUMNS, CLASSES, 31);
    for (int i = 0; i < ROWS; i += 5)
        m.label[i] = 0;                                            /* unbalanced */
    memcpy(m.values, m.values + COLUMNS, COLUMNS * sizeof(float)); /* two rows alike but for the label */
    m.label[0] = (m.label[1] + 1) % CLASSES;
    for (size_t n = 0; n < sizeof cases / sizeof *cases; n++) {
        double weight[CLASSES], rows[CLASSES] = {0};
        bool in[ROWS];
        for (int i = 0; i < ROWS; i++) {
            rows[m.label[i]]++;
            in[i] = true;
        }
        for (int k = 0; k < CLASSES; k++)
            weight[k] = cases[n].balanced ? ROWS / (CLASSES * rows[k]) : 1;
        ws_model_context context;
        ws_arrays learned = fit(cases[n].kind, cases[n].options, &m, CLASSES, 1, &self, &context);
        const ws_array *nodes = ws_arrays_find(&learned, "nodes");
        leaves = 0;
        /* with a least number of rows a column may hold no cut while another one does, so leaves are checked for the best cut only */
        size_t found = check_node(&m, (const ws_tree_node *)(const void *)nodes->values,
                                  ws_arrays_find(&learned, "mixed")->values, in, weight, cases[n].least, cases[n].best);
        assert_int_equal(found, nodes->shape[0]);
        assert_true(leaves > 30);
        ws_arrays_destroy(&learned);
    }
    free_samples(&m);
}

static void assert_same(const ws_arrays *a, const ws_arrays *b)
{
    assert_int_equal(a->count, b->count);
    for (size_t i = 0; i < a->count; i++) {
        assert_string_equal(a->items[i].name, b->items[i].name);
        assert_int_equal(a->items[i].count, b->items[i].count);
        assert_memory_equal(a->items[i].values, b->items[i].values, a->items[i].count * sizeof(double));
    }
}

static void the_same_forest_on_any_ranks_and_threads(void **state)
{
    (void)state;
    ws_comm self = ws_comm_self();
    made_samples m = make_ties(300, 7, 3, 32);
    for (int k = 0; k < KINDS; k++) {
        ws_model_context context;
        ws_arrays one = fit(kinds[k], "{\"trees\": 7}", &m, 3, 1, &self, &context);
        float *expected = score(kinds[k], &context, &one, &m);
        for (int threads = 1; threads <= 3; threads++) {
            ws_arrays all = fit(kinds[k], "{\"trees\": 7}", &m, 3, threads, &world, &context);
            assert_same(&one, &all);
            ws_arrays_destroy(&all);
        }
        context.seed++;
        ws_arrays other = {.arena = arena};
        OK(ws_model_find(kinds[k])->classical->fit_all(&self, &context, &m.samples, &m.samples, &other));
        assert_false(ws_arrays_find(&other, "nodes")->count == ws_arrays_find(&one, "nodes")->count &&
                     memcmp(ws_arrays_find(&other, "nodes")->values, ws_arrays_find(&one, "nodes")->values,
                            ws_arrays_find(&one, "nodes")->count * sizeof(double)) == 0);
        /* a row's score does not depend on the rows beside it */
        for (uint64_t i = 0; i < 20; i++) {
            float alone[3];
            OK(ws_model_find(kinds[k])->classical->score(&context, &one, 1, m.values + i * 7, alone));
            assert_memory_equal(alone, expected + i * 3, sizeof alone);
        }
        free(expected);
        ws_arrays_destroy(&one);
        ws_arrays_destroy(&other);
    }
    free_samples(&m);
}

static void rows_that_can_be_told_apart_are(void **state)
{
    (void)state;
    ws_comm self = ws_comm_self();
    made_samples training = make_samples(600, 6, 5, 0.15f, 33), test = make_samples(300, 6, 5, 0.15f, 34);
    for (int k = 0; k < KINDS; k++) {
        ws_model_context context;
        ws_arrays learned = fit(kinds[k], "{\"trees\": 30}", &training, 6, 1, &self, &context);
        float *scores = score(kinds[k], &context, &learned, &test);
        int right = 0;
        for (int i = 0; i < 300; i++) {
            double sum = 0;
            int most = 0;
            for (int c = 0; c < 6; c++) {
                sum += (double)scores[i * 6 + c];
                most = scores[i * 6 + c] > scores[i * 6 + most] ? c : most;
            }
            right += most == test.label[i];
            assert_true(fabs(sum - 1) < 1e-6);
            assert_true(scores[i * 6 + 5] == 0); /* a class without rows */
        }
        assert_true(right >= 297);
        free(scores);
        ws_arrays_destroy(&learned);
    }
    free_samples(&training);
    free_samples(&test);
}

/* Constant rows leave a root without a cut; a class of one row is missing from about a third of the samples with putting back. */
static void nothing_to_cut_and_classes_that_a_tree_does_not_see(void **state)
{
    (void)state;
    ws_comm self = ws_comm_self();
    made_samples m = make_samples(40, 3, 2, 1, 35);
    for (int i = 0; i < 40 * 3; i++)
        m.values[i] = 1;
    m.label[7] = 2;
    for (int k = 0; k < KINDS; k++) {
        ws_model_context context;
        ws_arrays learned = fit(kinds[k], "{\"trees\": 50}", &m, 3, 2, &self, &context);
        float *scores = score(kinds[k], &context, &learned, &m);
        assert_int_equal(ws_arrays_find(&learned, "nodes")->shape[0], 50); /* roots */
        if (k == 1)
            assert_true(fabsf(scores[2] - 1 / 40.0f) < 1e-6f && fabsf(scores[1] - 19 / 40.0f) < 1e-6f);
        else
            assert_true(scores[2] > 0.005f && scores[2] < 0.06f);
        free(scores);
        ws_arrays_destroy(&learned);
    }
    for (int i = 0; i < 40; i++)
        m.label[i] = 1; /* one class only: its leaf is no mixed one */
    ws_model_context context;
    ws_arrays learned = fit("random_forest", "{\"trees\": 2}", &m, 3, 1, &self, &context);
    assert_int_equal(ws_arrays_find(&learned, "mixed")->count, 0);
    float *scores = score("random_forest", &context, &learned, &m);
    assert_true(scores[0] == 0 && scores[1] == 1 && scores[2] == 0);
    free(scores);
    ws_arrays_destroy(&learned);
    free_samples(&m);
}

static void limits_of_depth_and_leaves_are_kept(void **state)
{
    (void)state;
    ws_comm self = ws_comm_self();
    made_samples m = make_samples(500, 4, 3, 2, 36);
    for (int k = 0; k < KINDS; k++) {
        ws_model_context context;
        ws_arrays learned = fit(kinds[k], "{\"trees\": 1, \"max_depth\": 3}", &m, 3, 1, &self, &context);
        assert_in_range(ws_arrays_find(&learned, "nodes")->shape[0], 3, 15);
        ws_arrays_destroy(&learned);
        learned = fit(kinds[k], "{\"trees\": 1, \"min_samples_split\": 501}", &m, 3, 1, &self, &context);
        assert_int_equal(ws_arrays_find(&learned, "nodes")->shape[0], 1);
        ws_arrays_destroy(&learned);
        learned = fit(kinds[k], "{\"trees\": 20, \"min_samples_leaf\": 25, \"max_features\": \"all\"}", &m, 3, 1, &self,
                      &context);
        assert_in_range(ws_arrays_find(&learned, "nodes")->shape[0], 40, 20 * 39);
        ws_arrays_destroy(&learned);
    }
    free_samples(&m);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(every_cut_is_the_best_one_and_every_leaf_cannot_be_cut, setup, teardown),
    cmocka_unit_test_setup_teardown(the_same_forest_on_any_ranks_and_threads, setup, teardown),
    cmocka_unit_test_setup_teardown(rows_that_can_be_told_apart_are, setup, teardown),
    cmocka_unit_test_setup_teardown(nothing_to_cut_and_classes_that_a_tree_does_not_see, setup, teardown),
    cmocka_unit_test_setup_teardown(limits_of_depth_and_leaves_are_kept, setup, teardown),
};

WS_MPI_TEST_MAIN(tests)
