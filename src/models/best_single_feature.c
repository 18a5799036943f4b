/* best_single_feature: the raw column that alone does best. Where this line is high, the labels follow from one feature
 * and a deep model's number says little.
 *
 * Everything is chosen on training and validation rows and reported on test rows. Anomaly detection: the column and
 * sign with the best AUROC on the validation rows, normal and anomalous ones (so, unlike the detectors, it sees
 * anomalies); where these hold only one of the two kinds, it is not defined. Classification: each column is cut into
 * bins at quantiles of the training rows, a bin predicts the class with the largest share of its own training rows in it,
 * and the column with the best balanced accuracy on validation is taken.
 */
#include <math.h>
#include <stdlib.h>
#include "models/models.h"

typedef struct single_options {
    int64_t bins;
} single_options;
static const ws_option fields[] = {
    WS_OPTION_INT(single_options, bins, 64, 2, 4096, "classification: bins a column is cut into"), WS_OPTION_END};
static const ws_option_table options_table = {"model", sizeof(single_options), fields, "best_single_feature"};

/* ---- anomaly detection ---- */

typedef struct ranked {
    float value;
    uint8_t positive;
} ranked;

static int by_value(const void *a, const void *b)
{
    float x = ((const ranked *)a)->value, y = ((const ranked *)b)->value;
    return (x > y) - (x < y);
}

/* Mann-Whitney with mid-ranks: the chance that an anomalous row has the larger value, ties counting half. */
static double auroc_of(ranked *rows, uint64_t n, uint64_t positives)
{
    double rank_sum = 0, negatives = (double)(n - positives);
    qsort(rows, n, sizeof *rows, by_value);
    for (uint64_t i = 0, j; i < n; i = j) {
        uint64_t tied_positives = 0;
        for (j = i; j < n && rows[j].value == rows[i].value; j++)
            tied_positives += rows[j].positive;
        rank_sum += (double)tied_positives * ((double)(i + j + 1) / 2);
    }
    return (rank_sum - (double)positives * ((double)positives + 1) / 2) / ((double)positives * negatives);
}

static ws_err choose_for_anomaly(const ws_samples *validation, ws_arrays *learned)
{
    uint64_t n = validation->rows, positives = 0;
    int columns = validation->columns;
    double *column, *sign, *auroc;
    ranked *rows;
    for (uint64_t i = 0; i < n; i++)
        positives += validation->anomalous[i];
    if (positives == 0 || positives == n) {
        learned->undefined = positives ? "it chooses on validation rows, and none of them is normal"
                                       : "it chooses on validation rows, and none of them is an anomaly";
        return WS_OK;
    }
    WS_TRY(ws_arrays_add(learned, "column", 1, (int64_t[]){1}, &column));
    WS_TRY(ws_arrays_add(learned, "sign", 1, (int64_t[]){1}, &sign));
    WS_TRY(ws_arrays_add(learned, "validation_auroc", 1, (int64_t[]){1}, &auroc));
    WS_TRY(WS_NEW_ARRAY(rows, n));
    *auroc = -1;
    for (int c = 0; c < columns; c++) {
        for (uint64_t i = 0; i < n; i++)
            rows[i] = (ranked){validation->values[i * (uint64_t)columns + (uint64_t)c], validation->anomalous[i]};
        double up = auroc_of(rows, n, positives), best = up >= 0.5 ? up : 1 - up;
        if (best > *auroc) {
            *auroc = best;
            *column = c;
            *sign = up >= 0.5 ? 1 : -1;
        }
    }
    free(rows);
    return WS_OK;
}

/* ---- classification ---- */

static int compare_floats(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* Distinct quantiles of column c as upper edges (a value goes to the first bin whose edge is >= it). Returns their
 * count. */
static int64_t cut_column(const ws_samples *samples, int c, int64_t bins, float *sorted, double *edges)
{
    int64_t count = 0;
    for (uint64_t i = 0; i < samples->rows; i++)
        sorted[i] = samples->values[i * (uint64_t)samples->columns + (uint64_t)c];
    qsort(sorted, samples->rows, sizeof *sorted, compare_floats);
    for (int64_t b = 1; b < bins; b++) {
        double edge = sorted[(samples->rows - 1) * (uint64_t)b / (uint64_t)bins];
        if (edge < sorted[samples->rows - 1] && (count == 0 || edge > edges[count - 1]))
            edges[count++] = edge;
    }
    return count;
}

static int64_t bin_of(double value, const double *edges, int64_t count)
{
    int64_t low = 0, high = count;
    while (low < high) {
        int64_t middle = (low + high) / 2;
        if (value <= edges[middle])
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

typedef struct cutting { /* one column: edges[edge_count], bin_class[edge_count + 1] */
    int64_t edge_count;
    double *edges, *bin_class;
} cutting;

/* A bin predicts the class of which it holds the largest share. share: scratch [bins][classes]. */
static void name_bins(const ws_samples *samples, int c, int classes, const double *class_rows, cutting *cut,
                      double *share)
{
    memset(share, 0, (size_t)(cut->edge_count + 1) * (size_t)classes * sizeof *share);
    for (uint64_t i = 0; i < samples->rows; i++) {
        int64_t bin =
            bin_of(samples->values[i * (uint64_t)samples->columns + (uint64_t)c], cut->edges, cut->edge_count);
        share[bin * classes + samples->label[i]] += 1 / class_rows[samples->label[i]];
    }
    for (int64_t bin = 0; bin <= cut->edge_count; bin++) {
        int best = 0;
        for (int k = 1; k < classes; k++)
            if (share[bin * classes + k] > share[bin * classes + best])
                best = k;
        cut->bin_class[bin] = best;
    }
}

static double balanced_accuracy_of(const ws_samples *samples, int c, int classes, const cutting *cut, double *hits,
                                   double *rows)
{
    double sum = 0;
    int present = 0;
    memset(hits, 0, (size_t)classes * sizeof *hits);
    memset(rows, 0, (size_t)classes * sizeof *rows);
    for (uint64_t i = 0; i < samples->rows; i++) {
        int64_t bin =
            bin_of(samples->values[i * (uint64_t)samples->columns + (uint64_t)c], cut->edges, cut->edge_count);
        rows[samples->label[i]] += 1;
        hits[samples->label[i]] += cut->bin_class[bin] == samples->label[i];
    }
    for (int k = 0; k < classes; k++)
        if (rows[k] > 0) {
            sum += hits[k] / rows[k];
            present++;
        }
    return sum / present;
}

static ws_err choose_for_classes(const ws_model_context *context, const ws_samples *training,
                                 const ws_samples *validation, ws_arena *scratch, ws_arrays *learned)
{
    const single_options *options = context->options;
    size_t bins = (size_t)options->bins, classes = (size_t)context->classes;
    double *class_rows, *share, *hits, *rows, *column, *accuracy, *edges, *bin_class, best = -1;
    float *sorted;
    cutting cut, kept = {0};
    WS_CHECK(training->rows > 0, CONFIG, "best_single_feature: there are no training rows");
    const ws_samples *judge = validation->rows > 0 ? validation : training;
    WS_TRY(ws_arena_alloc(scratch, &class_rows, classes, sizeof *class_rows));
    WS_TRY(ws_arena_alloc(scratch, &share, bins * classes, sizeof *share));
    WS_TRY(ws_arena_alloc(scratch, &hits, classes, sizeof *hits));
    WS_TRY(ws_arena_alloc(scratch, &rows, classes, sizeof *rows));
    WS_TRY(ws_arena_alloc(scratch, &sorted, training->rows, sizeof *sorted));
    WS_TRY(ws_arena_alloc(scratch, &cut.edges, bins, sizeof *cut.edges));
    WS_TRY(ws_arena_alloc(scratch, &cut.bin_class, bins, sizeof *cut.bin_class));
    WS_TRY(ws_arena_alloc(scratch, &kept.edges, bins, sizeof *kept.edges));
    WS_TRY(ws_arena_alloc(scratch, &kept.bin_class, bins, sizeof *kept.bin_class));
    WS_TRY(ws_arrays_add(learned, "column", 1, (int64_t[]){1}, &column));
    WS_TRY(ws_arrays_add(learned, "validation_balanced_accuracy", 1, (int64_t[]){1}, &accuracy));
    for (uint64_t i = 0; i < training->rows; i++)
        class_rows[training->label[i]] += 1;
    for (int c = 0; c < context->columns; c++) {
        cut.edge_count = cut_column(training, c, options->bins, sorted, cut.edges);
        name_bins(training, c, context->classes, class_rows, &cut, share);
        double reached = balanced_accuracy_of(judge, c, context->classes, &cut, hits, rows);
        if (reached > best) {
            cutting swap = kept;
            best = reached;
            *column = c;
            kept = cut;
            cut = swap;
        }
    }
    *accuracy = best;
    WS_TRY(ws_arrays_add(learned, "edges", 1, (int64_t[]){kept.edge_count}, &edges));
    WS_TRY(ws_arrays_add(learned, "bin_class", 1, (int64_t[]){kept.edge_count + 1}, &bin_class));
    memcpy(edges, kept.edges, (size_t)kept.edge_count * sizeof *edges);
    memcpy(bin_class, kept.bin_class, (size_t)(kept.edge_count + 1) * sizeof *bin_class);
    return WS_OK;
}

static ws_err fit_all(const ws_comm *comm, const ws_model_context *context, const ws_samples *training,
                      const ws_samples *validation, ws_arrays *learned)
{
    (void)comm; /* every rank has all rows and finds the same */
    ws_arena *scratch;
    if (context->task == WS_TASK_ANOMALY)
        return choose_for_anomaly(validation, learned);
    WS_TRY(ws_arena_create(&scratch, 1 << 20));
    ws_err error = choose_for_classes(context, training, validation, scratch, learned);
    ws_arena_destroy(&scratch);
    return error;
}

static ws_err score(const ws_model_context *context, const ws_arrays *learned, uint64_t rows, const float *values,
                    float *out)
{
    uint64_t columns = (uint64_t)context->columns, classes = (uint64_t)context->classes;
    uint64_t column = (uint64_t)ws_arrays_find(learned, "column")->values[0];
    if (context->task == WS_TASK_ANOMALY) {
        double sign = ws_arrays_find(learned, "sign")->values[0];
        for (uint64_t i = 0; i < rows; i++)
            out[i] = (float)(sign * values[i * columns + column]);
        return WS_OK;
    }
    const ws_array *edges = ws_arrays_find(learned, "edges"), *bin_class = ws_arrays_find(learned, "bin_class");
    for (uint64_t i = 0; i < rows; i++) {
        int64_t bin = bin_of(values[i * columns + column], edges->values, (int64_t)edges->count);
        for (uint64_t k = 0; k < classes; k++)
            out[i * classes + k] = bin_class->values[bin] == (double)k;
    }
    return WS_OK;
}

static ws_err prepare(const ws_model_context *context, ws_arrays *learned)
{
    WS_CHECK(context->task == WS_TASK_ANOMALY ||
                 ws_arrays_find(learned, "bin_class")->count == ws_arrays_find(learned, "edges")->count + 1,
             FORMAT, "array \"bin_class\" of best_single_feature has not one value more than \"edges\"");
    return WS_OK;
}

static const ws_learned_array arrays[] = {
    {.name = "column", .dimensions = 1, .shape = {1}, .below = WS_SIZE_COLUMNS},
    {.name = "sign", .dimensions = 1, .shape = {1}, .tasks = WS_CAN_ANOMALY},
    {.name = "edges", .dimensions = 1, .shape = {WS_SIZE_ANY}, .tasks = WS_CAN_CLASSIFY},
    {.name = "bin_class", .dimensions = 1, .shape = {WS_SIZE_ANY}, .tasks = WS_CAN_CLASSIFY},
    {.name = NULL}};

const ws_model ws_model_best_single_feature = {
    .name = "best_single_feature",
    .help = "the raw column that does best on validation rows",
    .tasks = WS_CAN_ANOMALY | WS_CAN_CLASSIFY,
    .deterministic = true,
    .raw = true,
    .scores = (const char *const[]){"value", NULL},
    .options = &options_table,
    .classical = &(const ws_classical){.fit_all = fit_all, .score = score, .arrays = arrays, .prepare = prepare},
};
