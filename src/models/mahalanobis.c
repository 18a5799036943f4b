/* mahalanobis: how far a row lies from the mean of the training rows, measured by their covariance.
 *
 * The covariance is drawn to a sphere of its own mean variance, (1 - shrinkage) S + shrinkage tr(S)/d I (Ledoit & Wolf 2004,
 * with a fixed share), so that it can be inverted when columns depend on each other or are constant. Sums run over the gradient
 * shards and the fixed tree: the same bits for any number of ranks.
 */
#include <f77blas.h>
#include <math.h>
#include <stdlib.h>
#include "models/models.h"

typedef struct mahalanobis_options {
    double shrinkage;
} mahalanobis_options;
static const ws_option fields[] = {
    WS_OPTION_DOUBLE(mahalanobis_options, shrinkage, 0.01, 0, 1, "share of a sphere in the covariance"), WS_OPTION_END};
static const ws_option_table options_table = {"model", sizeof(mahalanobis_options), fields, "mahalanobis"};

/* One sum over all rows, of a vector of `count` numbers that a row adds to. */
typedef void add_row(const float *row, const double *mean, size_t columns, double *sum);

static void add_values(const float *row, const double *mean, size_t columns, double *sum)
{
    (void)mean;
    for (size_t c = 0; c < columns; c++)
        sum[c] += (double)row[c];
}

static void add_products(const float *row, const double *mean, size_t columns, double *sum)
{
    for (size_t a = 0; a < columns; a++)
        for (size_t b = 0; b <= a; b++)
            sum[a * columns + b] += ((double)row[a] - mean[a]) * ((double)row[b] - mean[b]);
}

static ws_err sum_rows_all(const ws_comm *comm, int shards, const ws_samples *rows, add_row *add, const double *mean,
                           size_t count, double *out)
{
    uint64_t first, end;
    double **parts = NULL, *memory = NULL;
    ws_even_split((uint64_t)shards, comm->size, comm->rank, &first, &end);
    ws_err error = WS_NEW_ARRAY(parts, end - first + 1);
    if (error == WS_OK)
        error = WS_NEW_ARRAY(memory, (end - first) * count);
    error = ws_agree_all(comm, error);
    for (uint64_t s = first; s < end && error == WS_OK; s++) {
        uint64_t begin, stop;
        parts[s - first] = memory + (s - first) * count;
        ws_even_split(rows->rows, shards, (int)s, &begin, &stop);
        for (uint64_t i = begin; i < stop; i++)
            add(rows->values + i * (uint64_t)rows->columns, mean, (size_t)rows->columns, parts[s - first]);
    }
    if (error == WS_OK)
        error = ws_tree_sum_double_all(comm, shards, parts, out, count);
    free(memory);
    free(parts);
    return error;
}

/* Products to the lower triangle of the shrunk covariance; all-constant columns become a unit sphere. */
static void shrink(double *covariance, size_t columns, double rows, double shrinkage)
{
    double trace = 0;
    for (size_t c = 0; c < columns; c++)
        trace += covariance[c * columns + c] / rows;
    double sphere = trace > 0 ? trace / (double)columns : 1;
    for (size_t a = 0; a < columns; a++)
        for (size_t b = 0; b <= a; b++)
            covariance[a * columns + b] = (1 - shrinkage) * covariance[a * columns + b] / rows +
                                          (a == b ? (trace > 0 ? shrinkage : 1) * sphere : 0);
}

/* In place: the lower triangle of the factor. LAPACK counts columns first, so its upper triangle is our lower one. */
static ws_err factorise(double *covariance, int columns, double shrinkage)
{
    blasint n = columns, status = 0;
    WS_TRY(ws_blas_prepare());
    BLASFUNC(dpotrf)("U", &n, covariance, &n, &status);
    if (status != 0) {
        ws_err error = WS_ERROR(NUMERIC, "mahalanobis: the covariance with shrinkage %g cannot be inverted", shrinkage);
        WS_HINT("columns depend on each other; raise model.shrinkage, 0.01 say");
        return error;
    }
    return WS_OK;
}

static ws_err fit_all(const ws_comm *comm, const ws_model_context *context, const ws_samples *training,
                      const ws_samples *validation, ws_arrays *learned)
{
    (void)validation;
    const mahalanobis_options *options = context->options;
    size_t columns = (size_t)context->columns;
    double *mean, *factor;
    WS_CHECK(training->rows > 0, CONFIG, "mahalanobis: there are no training rows");
    ws_err error = ws_arrays_add(learned, "mean", 1, (int64_t[]){context->columns}, &mean);
    if (error == WS_OK)
        error = ws_arrays_add(learned, "factor", 2, (int64_t[]){context->columns, context->columns}, &factor);
    WS_AGREE(comm, error);
    WS_TRY(sum_rows_all(comm, context->shards, training, add_values, NULL, columns, mean));
    for (size_t c = 0; c < columns; c++)
        mean[c] /= (double)training->rows;
    WS_TRY(sum_rows_all(comm, context->shards, training, add_products, mean, columns * columns, factor));
    shrink(factor, columns, (double)training->rows, options->shrinkage);
    return factorise(factor, context->columns, options->shrinkage);
}

/* The squared length of factor^-1 (x - mean), by forward substitution. */
static double squared_distance(const double *mean, const double *factor, size_t columns, const float *row, double *z)
{
    double sum = 0;
    for (size_t a = 0; a < columns; a++) {
        double value = (double)row[a] - mean[a];
        for (size_t b = 0; b < a; b++)
            value -= factor[a * columns + b] * z[b];
        z[a] = value / factor[a * columns + a];
        sum += z[a] * z[a];
    }
    return sum;
}

static ws_err score(const ws_model_context *context, const ws_arrays *learned, uint64_t rows, const float *values,
                    float *out)
{
    const double *mean = ws_arrays_find(learned, "mean")->values, *factor = ws_arrays_find(learned, "factor")->values;
    size_t columns = (size_t)context->columns;
    double *z;
    WS_TRY(WS_NEW_ARRAY(z, columns));
    for (uint64_t i = 0; i < rows; i++)
        out[i] = (float)sqrt(squared_distance(mean, factor, columns, values + i * columns, z));
    free(z);
    return WS_OK;
}

static const ws_learned_array arrays[] = {
    {.name = "mean", .dimensions = 1, .shape = {WS_SIZE_COLUMNS}},
    {.name = "factor", .dimensions = 2, .shape = {WS_SIZE_COLUMNS, WS_SIZE_COLUMNS}},
    {.name = NULL}};

const ws_model ws_model_mahalanobis = {
    .name = "mahalanobis",
    .help = "distance from the mean by the shrunk covariance of the training rows",
    .tasks = WS_CAN_ANOMALY,
    .deterministic = true,
    .scores = (const char *const[]){"distance", NULL},
    .options = &options_table,
    .classical = &(const ws_classical){.fit_all = fit_all, .score = score, .arrays = arrays},
};
