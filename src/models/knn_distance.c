/* knn_distance: how far a row lies from the k-th nearest training row (Ramaswamy, Rastogi & Shim 2000), k = 5. Ranks share
 * the scoring; each holds all training rows.
 */
#include <math.h>
#include "models/neighbours.h"

typedef struct knn_options {
    int64_t k;
} knn_options;
static const ws_option fields[] = {WS_OPTION_INT(knn_options, k, 5, 1, WS_NEIGHBOURS_MOST, "which of the nearest rows"),
                                   WS_OPTION_END};
static const ws_option_table options_table = {"model", sizeof(knn_options), fields, "knn_distance"};

static ws_err fit_all(const ws_comm *comm, const ws_model_context *context, const ws_samples *training,
                      const ws_samples *validation, ws_arrays *learned)
{
    (void)comm; /* every rank keeps all rows */
    (void)validation;
    WS_CHECK(training->rows > 0, CONFIG, "knn_distance: there are no training rows");
    return ws_neighbours_keep(training, context->columns, false, learned);
}

static ws_err score(const ws_model_context *context, const ws_arrays *learned, uint64_t rows, const float *values,
                    float *out)
{
    const knn_options *options = context->options;
    ws_neighbours found;
    WS_TRY(ws_neighbours_find(learned, context->columns, (size_t)options->k, false, rows, values, &found));
    for (uint64_t i = 0; i < rows; i++)
        out[i] = (float)sqrt(found.squared[(i + 1) * found.k - 1]);
    ws_neighbours_destroy(&found);
    return WS_OK;
}

static const ws_learned_array arrays[] = {{.name = "rows", .dimensions = 2, .shape = {WS_SIZE_A, WS_SIZE_COLUMNS}},
                                          {.name = "square", .dimensions = 1, .shape = {WS_SIZE_A}},
                                          {.name = NULL}};

const ws_model ws_model_knn_distance = {
    .name = "knn_distance",
    .help = "distance to the k-th nearest training row",
    .tasks = WS_CAN_ANOMALY,
    .deterministic = true,
    .scores = (const char *const[]){"distance", NULL},
    .options = &options_table,
    .classical = &(const ws_classical){.fit_all = fit_all, .score = score, .arrays = arrays},
};
