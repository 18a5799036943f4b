/* knn: the class that most of the k nearest training rows have (Cover & Hart 1967); of several such the first by name. Near by
 * Euclidean distance of normalised columns, or by the angle between rows. Ranks share the scoring; each holds all training rows.
 */
#include "models/neighbours.h"

enum { EUCLIDEAN, COSINE };

typedef struct knn_options {
    int64_t k;
    int metric;
} knn_options;
static const ws_option fields[] = {
    WS_OPTION_INT(knn_options, k, 5, 1, WS_NEIGHBOURS_MOST, "nearest rows that vote"),
    WS_OPTION_ENUM(knn_options, metric, "euclidean", "euclidean|cosine", "what is near; cosine: a small angle"),
    WS_OPTION_END};
static const ws_option_table options_table = {"model", sizeof(knn_options), fields, "knn"};

static ws_err fit_all(const ws_comm *comm, const ws_model_context *context, const ws_samples *training,
                      const ws_samples *validation, ws_arrays *learned)
{
    (void)comm; /* every rank keeps all rows */
    (void)validation;
    const knn_options *options = context->options;
    double *label;
    WS_CHECK(training->rows > 0, CONFIG, "knn: there are no training rows");
    WS_TRY(ws_neighbours_keep(training, context->columns, options->metric == COSINE, learned));
    WS_TRY(ws_arrays_add(learned, "label", 1, (int64_t[]){(int64_t)training->rows}, &label));
    for (uint64_t i = 0; i < training->rows; i++)
        label[i] = (double)training->label[i];
    return WS_OK;
}

static ws_err score(const ws_model_context *context, const ws_arrays *learned, uint64_t rows, const float *values,
                    float *out)
{
    const knn_options *options = context->options;
    const double *label = ws_arrays_find(learned, "label")->values;
    const size_t classes = (size_t)context->classes;
    ws_neighbours found;
    WS_TRY(ws_neighbours_find(learned, context->columns, (size_t)options->k, options->metric == COSINE, rows, values,
                              &found));
    memset(out, 0, rows * classes * sizeof *out);
    for (uint64_t i = 0; i < rows; i++)
        for (size_t j = 0; j < found.k; j++)
            out[i * classes + (size_t)label[found.row[i * found.k + j]]] += 1;
    ws_neighbours_destroy(&found);
    return WS_OK;
}

static const ws_learned_array arrays[] = {
    {.name = "rows", .dimensions = 2, .shape = {WS_SIZE_A, WS_SIZE_COLUMNS}},
    {.name = "square", .dimensions = 1, .shape = {WS_SIZE_A}},
    {.name = "label", .dimensions = 1, .shape = {WS_SIZE_A}, .below = WS_SIZE_CLASSES},
    {.name = NULL}};

const ws_model ws_model_knn = {
    .name = "knn",
    .help = "the class of most of the k nearest training rows",
    .tasks = WS_CAN_CLASSIFY,
    .deterministic = true,
    .options = &options_table,
    .classical = &(const ws_classical){.fit_all = fit_all, .score = score, .arrays = arrays},
};
