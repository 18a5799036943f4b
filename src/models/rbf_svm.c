/* rbf_svm: support vector machines with a radial kernel, one for each pair of classes (Boser, Guyon & Vapnik 1992), on
 * normalised columns: exp(-gamma |x - y|^2). LIBSVM (Chang & Lin 2011) trains the pairs, which ranks and threads share; each
 * pair is trained alone, so the result is the same for any number of them. A row goes to the class that wins most pairs; of
 * such classes to the one with the larger sum of decision values. Of more than maximum_rows training rows so many are drawn,
 * as many of each class as its share.
 *
 * Where the library was not found when this was built, the model says so.
 */
#include <cblas.h>
#include <math.h>
#include <stdlib.h>
#include "models/linear_model.h"
#ifdef WS_HAVE_LIBSVM
#include <svm.h>
#endif

typedef struct rbf_options {
    double inverse_regularisation, gamma, tolerance;
    int class_weight;
    int64_t maximum_rows;
} rbf_options;
static const ws_option fields[] = {
    WS_OPTION_DOUBLE(rbf_options, inverse_regularisation, 1, 1e-12, 1e12, "C: the larger, the fewer errors"),
    WS_OPTION_DOUBLE(rbf_options, gamma, 0, 0, 1e12,
                     "width of the kernel; 0: 1 / (columns * variance of the training values)"),
    WS_OPTION_DOUBLE(rbf_options, tolerance, 1e-3, 1e-12, 1, "violation of the optimality conditions at the end"),
    WS_OPTION_ENUM(rbf_options, class_weight, "balanced", "balanced|none", "balanced: every class counts the same"),
    WS_OPTION_INT(rbf_options, maximum_rows, 8000, 2, 1000000, "training rows; of more, so many are drawn"),
    WS_OPTION_END};
static const ws_option_table options_table = {"model", sizeof(rbf_options), fields, "rbf_svm"};

#ifdef WS_HAVE_LIBSVM
#define HELP "support vector machines with a radial kernel, one for each pair of classes"

typedef struct pair {
    int first, second;
    double rho;
} pair;

typedef struct training_state {
    const ws_model_context *context;
    const ws_samples *samples;
    uint64_t *rows; /* [count] drawn rows, ascending */
    uint64_t count;
    struct svm_node *nodes; /* [count][columns + 1] */
    const double *weight;   /* [classes] */
    pair *pairs;
    int pair_count;
    double gamma;
    double *coefficient; /* [pairs][count] */
    ws_err *error;       /* [pairs] */
} training_state;

/* ---- which rows ---- */

typedef struct drawn_row {
    uint64_t key, row;
    int32_t label;
} drawn_row;

static int compare_drawn(const void *left, const void *right)
{
    const drawn_row *a = left, *b = right;
    if (a->label != b->label)
        return a->label < b->label ? -1 : 1;
    if (a->key != b->key)
        return a->key < b->key ? -1 : 1;
    return (a->row > b->row) - (a->row < b->row);
}

static int compare_rows(const void *left, const void *right)
{
    const uint64_t *a = left, *b = right;
    return (*a > *b) - (*a < *b);
}

/* Of each class its share of maximum_rows, and one row at least. */
static ws_err draw_rows(training_state *t, ws_arena *arena, const double *class_rows)
{
    const rbf_options *options = t->context->options;
    const uint64_t all = t->samples->rows, most = (uint64_t)options->maximum_rows;
    drawn_row *drawn;
    WS_TRY(ws_arena_alloc(arena, &t->rows, all, sizeof *t->rows));
    WS_TRY(ws_arena_alloc(arena, &drawn, all, sizeof *drawn));
    for (uint64_t i = 0; i < all; i++)
        drawn[i] = (drawn_row){ws_random_u64(t->context->seed, WS_RANDOM_SAMPLE, 0, i), i, t->samples->label[i]};
    if (all > most)
        qsort(drawn, all, sizeof *drawn, compare_drawn);
    for (uint64_t i = 0, begin = 0; i < all; i++) {
        if (i > 0 && drawn[i].label != drawn[i - 1].label)
            begin = i;
        const double share = all > most ? (double)most / (double)all : 1;
        const uint64_t wanted = (uint64_t)fmax(1, floor(class_rows[drawn[i].label] * share + 0.5));
        if (all <= most || i - begin < wanted)
            t->rows[t->count++] = drawn[i].row;
    }
    qsort(t->rows, t->count, sizeof *t->rows, compare_rows);
    return WS_OK;
}

/* ---- training ---- */

static double variance_of(const ws_samples *samples)
{
    const uint64_t count = samples->rows * (uint64_t)samples->columns;
    double sum = 0, squares = 0;
    for (uint64_t i = 0; i < count; i++) {
        sum += (double)samples->values[i];
        squares += (double)samples->values[i] * (double)samples->values[i];
    }
    const double mean = sum / (double)count, variance = squares / (double)count - mean * mean;
    return variance > 0 ? variance : 1;
}

static ws_err make_nodes(training_state *t, ws_arena *arena)
{
    const size_t columns = (size_t)t->context->columns;
    WS_TRY(ws_arena_alloc(arena, &t->nodes, t->count * (columns + 1), sizeof *t->nodes));
    for (uint64_t i = 0; i < t->count; i++) {
        struct svm_node *node = t->nodes + i * (columns + 1);
        for (size_t c = 0; c < columns; c++) {
            const float value = t->samples->values[t->rows[i] * columns + c];
            if (value != 0)
                *node++ = (struct svm_node){(int)c + 1, (double)value};
        }
        node->index = -1;
    }
    return WS_OK;
}

static ws_err train_pair(training_state *t, int at)
{
    const rbf_options *options = t->context->options;
    pair *own = &t->pairs[at];
    int *place = NULL, count = 0, labels[2] = {1, -1};
    double weights[2] = {t->weight[own->first], t->weight[own->second]};
    struct svm_problem problem = {0};
    ws_err error = WS_OK;
    WS_TRY_GOTO(done, WS_NEW_ARRAY(place, t->count));
    WS_TRY_GOTO(done, WS_NEW_ARRAY(problem.y, t->count));
    WS_TRY_GOTO(done, WS_NEW_ARRAY(problem.x, t->count));
    for (uint64_t i = 0; i < t->count; i++) {
        const int label = t->samples->label[t->rows[i]];
        if (label != own->first && label != own->second)
            continue;
        place[count] = (int)i;
        problem.y[count] = label == own->first ? 1 : -1;
        problem.x[count++] = t->nodes + i * ((size_t)t->context->columns + 1);
    }
    problem.l = count;
    const struct svm_parameter parameters = {.svm_type = C_SVC,
                                             .kernel_type = RBF,
                                             .gamma = t->gamma,
                                             .cache_size = 100,
                                             .eps = options->tolerance,
                                             .C = options->inverse_regularisation,
                                             .nr_weight = 2,
                                             .weight_label = labels,
                                             .weight = weights,
                                             .shrinking = 1};
    struct svm_model *model = svm_train(&problem, &parameters);
    own->rho = model->rho[0];
    for (int s = 0; s < model->l; s++)
        t->coefficient[(size_t)at * t->count + (size_t)place[model->sv_indices[s] - 1]] = model->sv_coef[0][s];
    svm_free_and_destroy_model(&model);
done:
    free(problem.x);
    free(problem.y);
    free(place);
    return error;
}

static void pair_work(void *context, int at, int thread)
{
    training_state *t = context;
    (void)thread;
    t->error[at] = train_pair(t, at);
}

static void be_quiet(const char *text)
{
    (void)text;
}

/* Pairs of classes that have rows. */
static ws_err list_pairs(training_state *t, ws_arena *arena, const double *class_rows)
{
    const int classes = t->context->classes;
    WS_TRY(ws_arena_alloc(arena, &t->pairs, (size_t)classes * (size_t)classes, sizeof *t->pairs));
    for (int i = 0; i < classes; i++)
        for (int j = i + 1; j < classes; j++)
            if (class_rows[i] > 0 && class_rows[j] > 0)
                t->pairs[t->pair_count++] = (pair){i, j, 0};
    WS_TRY(ws_arena_alloc(arena, &t->coefficient, (size_t)t->pair_count * t->count, sizeof *t->coefficient));
    return ws_arena_alloc(arena, &t->error, (size_t)t->pair_count, sizeof *t->error);
}

/* Gives every rank what the others found: each pair's values come from one rank. */
static ws_err share_all(const ws_comm *comm, training_state *t)
{
    for (int rank = 0; rank < comm->size; rank++) {
        uint64_t begin, end;
        ws_even_split((uint64_t)t->pair_count, comm->size, rank, &begin, &end);
        if (end == begin)
            continue;
        WS_TRY(ws_broadcast_all(comm, t->pairs + begin, (end - begin) * sizeof *t->pairs, rank));
        WS_TRY(ws_broadcast_all(comm, t->coefficient + begin * t->count,
                                (end - begin) * t->count * sizeof *t->coefficient, rank));
    }
    return WS_OK;
}

static bool is_support(const training_state *t, uint64_t i)
{
    for (int p = 0; p < t->pair_count; p++)
        if (t->coefficient[(size_t)p * t->count + i] != 0)
            return true;
    return false;
}

/* Learned: "rows" [support vectors][columns], "coefficient" [support vectors][pairs], "pair" [pairs][first, second, rho]. */
static ws_err keep(const training_state *t, ws_arrays *learned)
{
    const size_t columns = (size_t)t->context->columns, pairs = (size_t)t->pair_count;
    double *rows, *coefficient, *values, *gamma;
    int64_t support = 0;
    for (uint64_t i = 0; i < t->count; i++)
        support += is_support(t, i);
    WS_TRY(ws_arrays_add(learned, "rows", 2, (int64_t[]){support, (int64_t)columns}, &rows));
    WS_TRY(ws_arrays_add(learned, "coefficient", 2, (int64_t[]){support, (int64_t)pairs}, &coefficient));
    WS_TRY(ws_arrays_add(learned, "pair", 2, (int64_t[]){(int64_t)pairs, 3}, &values));
    WS_TRY(ws_arrays_add(learned, "gamma", 1, (int64_t[]){1}, &gamma));
    *gamma = t->gamma;
    for (size_t p = 0; p < pairs; p++) {
        values[3 * p] = t->pairs[p].first;
        values[3 * p + 1] = t->pairs[p].second;
        values[3 * p + 2] = t->pairs[p].rho;
    }
    for (uint64_t i = 0; i < t->count; i++) {
        if (!is_support(t, i))
            continue;
        for (size_t c = 0; c < columns; c++)
            *rows++ = (double)t->samples->values[t->rows[i] * columns + c];
        for (size_t p = 0; p < pairs; p++)
            *coefficient++ = t->coefficient[p * t->count + i];
    }
    return WS_OK;
}

static ws_err train_own_pairs(const ws_comm *comm, training_state *t, ws_arena *arena)
{
    const rbf_options *options = t->context->options;
    double *class_rows, *weight, sum;
    uint64_t begin, end;
    ws_shard_threads *threads = NULL;
    WS_TRY(ws_class_weights(arena, t->samples, t->context->classes, options->class_weight == WS_LINEAR_BALANCED,
                            &class_rows, &weight, &sum));
    t->weight = weight;
    t->gamma = options->gamma > 0 ? options->gamma : 1 / ((double)t->samples->columns * variance_of(t->samples));
    WS_TRY(draw_rows(t, arena, class_rows));
    WS_TRY(make_nodes(t, arena));
    WS_TRY(list_pairs(t, arena, class_rows));
    WS_TRY(ws_shard_threads_create(&threads, t->context->threads));
    svm_set_print_string_function(be_quiet);
    ws_even_split((uint64_t)t->pair_count, comm->size, comm->rank, &begin, &end);
    ws_shard_threads_run(threads, (int)begin, (int)end, pair_work, t);
    ws_shard_threads_destroy(&threads);
    for (uint64_t p = begin; p < end; p++)
        WS_TRY(t->error[p]);
    return WS_OK;
}

static ws_err fit_all(const ws_comm *comm, const ws_model_context *context, const ws_samples *training,
                      const ws_samples *validation, ws_arrays *learned)
{
    (void)validation;
    training_state t = {.context = context, .samples = training};
    ws_arena *arena = NULL;
    WS_CHECK(training->rows > 0, CONFIG, "rbf_svm: there are no training rows");
    WS_AGREE(comm, ws_arena_create(&arena, 1 << 16));
    ws_err error = ws_agree_all(comm, train_own_pairs(comm, &t, arena));
    if (error == WS_OK && t.count < training->rows && comm->rank == 0)
        ws_info("rbf_svm: trained on %llu of %llu training rows (model.maximum_rows)", (unsigned long long)t.count,
                (unsigned long long)training->rows);
    if (error == WS_OK)
        error = share_all(comm, &t);
    if (error == WS_OK)
        error = keep(&t, learned);
    ws_arena_destroy(&arena);
    return error;
}

/* ---- scoring ---- */

/* kernel[rows][n] of rows and support vectors. */
static void fill_kernel(const double *x, size_t rows, const ws_array *support, double gamma, double *kernel)
{
    const size_t n = (size_t)support->shape[0], columns = (size_t)support->shape[1];
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (blasint)rows, (blasint)n, (blasint)columns, 1, x,
                (blasint)columns, support->values, (blasint)columns, 0, kernel, (blasint)n);
    for (size_t j = 0; j < n; j++) {
        double square = 0;
        for (size_t c = 0; c < columns; c++)
            square += support->values[j * columns + c] * support->values[j * columns + c];
        for (size_t i = 0; i < rows; i++)
            kernel[i * n + j] = square - 2 * kernel[i * n + j];
    }
    for (size_t i = 0; i < rows; i++) {
        double own = 0;
        for (size_t c = 0; c < columns; c++)
            own += x[i * columns + c] * x[i * columns + c];
        for (size_t j = 0; j < n; j++)
            kernel[i * n + j] = exp(-gamma * fmax(0, own + kernel[i * n + j]));
    }
}

/* Votes of the pairs, and less than half a vote for how clear they are. */
static void vote(const ws_array *pairs, const double *decision, int classes, float *out)
{
    for (int k = 0; k < classes; k++) {
        double votes = 0, sum = 0;
        for (int64_t p = 0; p < pairs->shape[0]; p++) {
            const double *pair_of = pairs->values + 3 * p, value = decision[p] - pair_of[2];
            if ((int)pair_of[0] != k && (int)pair_of[1] != k)
                continue;
            const double own = (int)pair_of[0] == k ? value : -value;
            votes += own > 0 || (own == 0 && (int)pair_of[0] == k);
            sum += own;
        }
        out[k] = (float)(votes + sum / (3 * (fabs(sum) + 1)));
    }
}

static bool has_pair(const ws_array *pairs, int class)
{
    for (int64_t p = 0; p < pairs->shape[0]; p++)
        if ((int)pairs->values[3 * p] == class || (int)pairs->values[3 * p + 1] == class)
            return true;
    return false;
}

static ws_err score(const ws_model_context *context, const ws_arrays *learned, uint64_t rows, const float *values,
                    float *out)
{
    const ws_array *support = ws_arrays_find(learned, "rows"), *pairs = ws_arrays_find(learned, "pair");
    const ws_array *coefficient = ws_arrays_find(learned, "coefficient");
    const size_t n = (size_t)support->shape[0], pair_count = (size_t)pairs->shape[0];
    const size_t columns = (size_t)context->columns;
    const int classes = context->classes;
    double *x = NULL, *kernel = NULL, *decision = NULL;
    ws_err error = WS_OK;
    memset(out, 0, rows * (size_t)classes * sizeof *out);
    if (pair_count == 0) /* one class has rows, or none */
        return WS_OK;
    WS_TRY_GOTO(done, ws_blas_prepare());
    WS_TRY_GOTO(done, WS_NEW_ARRAY(x, rows * columns));
    WS_TRY_GOTO(done, WS_NEW_ARRAY(kernel, rows * n));
    WS_TRY_GOTO(done, WS_NEW_ARRAY(decision, rows * pair_count));
    for (size_t i = 0; i < rows * columns; i++)
        x[i] = (double)values[i];
    fill_kernel(x, rows, support, ws_arrays_find(learned, "gamma")->values[0], kernel);
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (blasint)rows, (blasint)pair_count, (blasint)n, 1, kernel,
                (blasint)n, coefficient->values, (blasint)pair_count, 0, decision, (blasint)pair_count);
    for (uint64_t i = 0; i < rows; i++)
        vote(pairs, decision + i * pair_count, classes, out + i * (uint64_t)classes);
    for (int k = 0; k < classes; k++)
        for (uint64_t i = 0; !has_pair(pairs, k) && i < rows; i++)
            out[i * (uint64_t)classes + (uint64_t)k] = -1;
done:
    free(x);
    free(kernel);
    free(decision);
    return error;
}

static const ws_learned_array arrays[] = {{.name = "rows", .dimensions = 2, .shape = {WS_SIZE_A, WS_SIZE_COLUMNS}},
                                          {.name = "coefficient", .dimensions = 2, .shape = {WS_SIZE_A, WS_SIZE_ANY}},
                                          {.name = "pair", .dimensions = 2, .shape = {WS_SIZE_ANY, 3}},
                                          {.name = "gamma", .dimensions = 1, .shape = {1}},
                                          {.name = NULL}};

static ws_err prepare(const ws_model_context *context, ws_arrays *learned)
{
    const int64_t pairs = ws_arrays_find(learned, "pair")->shape[0];
    (void)context;
    WS_CHECK(ws_arrays_find(learned, "coefficient")->shape[1] == pairs, FORMAT,
             "array \"coefficient\" of rbf_svm is not of %lld pairs", (long long)pairs);
    return WS_OK;
}

#define CHECK NULL
#define PREPARE prepare
#define ARRAYS arrays
#else
#define HELP "not built: needs LIBSVM (apt-get install libsvm-dev, then build again)"
#define CHECK say_not_built
#define PREPARE NULL
#define ARRAYS NULL

static void say_not_built(const ws_model_context *context, const ws_json *document, const cJSON *object,
                          ws_problems *problems)
{
    (void)context;
    ws_problems_add(problems, document, object,
                    "model.kind: rbf_svm was not built; apt-get install libsvm-dev, then build again");
}

static ws_err fit_all(const ws_comm *comm, const ws_model_context *context, const ws_samples *training,
                      const ws_samples *validation, ws_arrays *learned)
{
    (void)comm, (void)context, (void)training, (void)validation, (void)learned;
    return WS_ERROR(CONFIG, "rbf_svm was not built; apt-get install libsvm-dev, then build again");
}

static ws_err score(const ws_model_context *context, const ws_arrays *learned, uint64_t rows, const float *values,
                    float *out)
{
    (void)context, (void)learned, (void)rows, (void)values, (void)out;
    return WS_ERROR(CONFIG, "rbf_svm was not built; apt-get install libsvm-dev, then build again");
}
#endif

const ws_model ws_model_rbf_svm = {
    .name = "rbf_svm",
    .help = HELP,
    .tasks = WS_CAN_CLASSIFY,
    .options = &options_table,
    .check = CHECK,
    .classical = &(const ws_classical){.fit_all = fit_all, .score = score, .arrays = ARRAYS, .prepare = PREPARE},
};
