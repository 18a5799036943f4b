/* knn_distance: how far a row lies from the k-th nearest training row (Ramaswamy, Rastogi & Shim 2000), k = 5.
 *
 * Products of blocks of rows give all distances but for rounding; where they say that a training row may be among the nearest
 * ones, its distance is computed anew in double, so that scores depend neither on blocks nor on the BLAS. Ranks share the
 * scoring; each holds all training rows.
 */
#include <cblas.h>
#include <math.h>
#include <stdlib.h>
#include "models/models.h"

enum { BLOCK = 1024, MOST_NEIGHBOURS = 1024 };

typedef struct knn_options {
    int64_t k;
} knn_options;
static const ws_option fields[] = {WS_OPTION_INT(knn_options, k, 5, 1, MOST_NEIGHBOURS, "which of the nearest rows"),
                                   WS_OPTION_END};
static const ws_option_table options_table = {"model", sizeof(knn_options), fields, "knn_distance"};

static ws_err fit_all(const ws_comm *comm, const ws_model_context *context, const ws_samples *training,
                      const ws_samples *validation, ws_arrays *learned)
{
    (void)comm; /* every rank keeps all rows */
    (void)validation;
    size_t columns = (size_t)context->columns;
    double *rows, *square;
    ws_place place;
    WS_TRY(ws_place_open(&place, WS_CPU, 0)); /* sets the BLAS to one thread */
    ws_place_close(&place);
    WS_CHECK(training->rows > 0, CONFIG, "knn_distance: there are no training rows");
    WS_TRY(ws_arrays_add(learned, "rows", 2, (int64_t[]){(int64_t)training->rows, context->columns}, &rows));
    WS_TRY(ws_arrays_add(learned, "square", 1, (int64_t[]){(int64_t)training->rows}, &square));
    for (uint64_t i = 0; i < training->rows; i++)
        for (size_t c = 0; c < columns; c++) {
            double value = (double)training->values[i * columns + c];
            rows[i * columns + c] = value;
            square[i] += value * value;
        }
    return WS_OK;
}

typedef struct search {
    size_t columns, n, k;        /* n training rows */
    const double *rows, *square; /* [n][columns], [n] */
    double *x;                   /* [scored rows][columns] */
    double *product;             /* [scored rows][BLOCK] */
    double *nearest;             /* [scored rows][k] squared distances, ascending */
} search;

static double exact(const double *x, const double *y, size_t columns)
{
    double sum = 0;
    for (size_t c = 0; c < columns; c++)
        sum += (x[c] - y[c]) * (x[c] - y[c]);
    return sum;
}

static void insert(double *nearest, size_t k, double distance)
{
    size_t at = k - 1;
    for (; at > 0 && nearest[at - 1] > distance; at--)
        nearest[at] = nearest[at - 1];
    nearest[at] = distance;
}

/* Goes through the training rows [from, from + count) for scored row i, whose products with them are at hand. */
static void look_through(const search *s, size_t i, size_t from, size_t count)
{
    const double *x = s->x + i * s->columns, *product = s->product + i * BLOCK;
    double *nearest = s->nearest + i * s->k, own = 0;
    /* far more than sums of so many products can be off, far less than distances that matter */
    const double error = 1e-13 * (double)(s->columns + 8);
    for (size_t c = 0; c < s->columns; c++)
        own += x[c] * x[c];
    for (size_t j = 0; j < count; j++) {
        double both = own + s->square[from + j];
        if (both - 2 * product[j] - error * both > nearest[s->k - 1])
            continue;
        double distance = exact(x, s->rows + (from + j) * s->columns, s->columns);
        if (distance < nearest[s->k - 1])
            insert(nearest, s->k, distance);
    }
}

static void find_nearest(const search *s, size_t rows)
{
    for (size_t i = 0; i < rows * s->k; i++)
        s->nearest[i] = INFINITY;
    for (size_t from = 0; from < s->n; from += BLOCK) {
        size_t count = s->n - from < BLOCK ? s->n - from : BLOCK;
        cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (blasint)rows, (blasint)count, (blasint)s->columns, 1,
                    s->x, (blasint)s->columns, s->rows + from * s->columns, (blasint)s->columns, 0, s->product, BLOCK);
        for (size_t i = 0; i < rows; i++)
            look_through(s, i, from, count);
    }
}

static ws_err score(const ws_model_context *context, const ws_arrays *learned, uint64_t rows, const float *values,
                    float *out)
{
    const knn_options *options = context->options;
    const ws_array *kept = ws_arrays_find(learned, "rows");
    size_t columns = (size_t)context->columns, n = (size_t)kept->shape[0], k = (size_t)options->k;
    search s = {.columns = columns, .n = n, .k = k < n ? k : n, .rows = kept->values};
    s.square = ws_arrays_find(learned, "square")->values;
    ws_err error = WS_OK;
    WS_TRY_GOTO(done, ws_blas_prepare());
    WS_TRY_GOTO(done, WS_NEW_ARRAY(s.x, rows * columns));
    WS_TRY_GOTO(done, WS_NEW_ARRAY(s.product, rows * BLOCK));
    WS_TRY_GOTO(done, WS_NEW_ARRAY(s.nearest, rows * s.k));
    for (size_t i = 0; i < rows * columns; i++)
        s.x[i] = (double)values[i];
    find_nearest(&s, rows);
    for (size_t i = 0; i < rows; i++)
        out[i] = (float)sqrt(s.nearest[i * s.k + s.k - 1]);
done:
    free(s.x);
    free(s.product);
    free(s.nearest);
    return error;
}

const ws_model ws_model_knn_distance = {
    .name = "knn_distance",
    .help = "distance to the k-th nearest training row",
    .tasks = WS_CAN_ANOMALY,
    .deterministic = true,
    .scores = (const char *const[]){"distance", NULL},
    .options = &options_table,
    .classical = &(const ws_classical){fit_all, score},
};
