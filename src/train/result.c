/* Scored rows to the metrics of a record. Thresholds come from normal validation rows; nothing is chosen on test rows, but for
 * what is called "oracle_on_test". An undefined value is null. */
#include <math.h>
#include <stdlib.h>
#include <unistd.h>
#include "evaluate/evaluate.h"
#include "train/internal.h"

enum { MOST_METRICS = 32 };

static bool add_number(cJSON *object, const char *key, double value)
{
    return isfinite(value) ? cJSON_AddNumberToObject(object, key, value) != NULL
                           : cJSON_AddNullToObject(object, key) != NULL;
}

/* Column `index` of out[rows][width], as ws_score_all gives it. */
static ws_err take_column(const float *all, uint64_t rows, int width, int index, float **out)
{
    WS_TRY(WS_NEW_ARRAY(*out, rows));
    for (uint64_t i = 0; i < rows; i++)
        (*out)[i] = all[i * (uint64_t)width + (uint64_t)index];
    return WS_OK;
}

static int score_index(const ws_model *model, const char *name)
{
    int index = 0;
    while (strcmp(model->scores[index], name) != 0)
        index++;
    return index;
}

/* The class with the largest value; ties go to the lower class. */
static ws_err take_predictions(const ws_scored *scored, ws_part part, int32_t **out)
{
    const float *values = part == WS_PART_TEST ? scored->test : scored->validation;
    uint64_t rows = scored->rows->part[part].rows;
    WS_TRY(WS_NEW_ARRAY(*out, rows));
    for (uint64_t i = 0; i < rows; i++, values += scored->width) {
        int best = 0;
        for (int k = 1; k < scored->width; k++)
            if (values[k] > values[best])
                best = k;
        (*out)[i] = best;
    }
    return WS_OK;
}

/* ---- anomaly detection ---- */

static bool add_thresholded(cJSON *entry, const ws_thresholded *t)
{
    return entry && add_number(entry, "threshold", t->threshold) && add_number(entry, "precision", t->precision) &&
           add_number(entry, "recall", t->recall) && add_number(entry, "f1", t->f1) &&
           add_number(entry, "false_positive_rate", t->false_positive_rate);
}

static ws_err add_thresholds(const ws_scored *scored, const float *validation, const ws_ranking *test, cJSON *list)
{
    const ws_evaluate_options *evaluate = &scored->config->evaluate;
    const ws_samples *samples = &scored->rows->part[WS_PART_VALIDATION];
    uint64_t normal = 0;
    float *values;
    WS_TRY(WS_NEW_ARRAY(values, samples->rows));
    for (uint64_t i = 0; i < samples->rows; i++)
        if (!samples->anomalous[i])
            values[normal++] = validation[i];
    ws_err error = WS_OK;
    for (int q = 0; q < evaluate->quantile_count && normal > 0 && error == WS_OK; q++) {
        ws_thresholded t;
        error = ws_threshold_at(evaluate->quantiles[q], values, normal, test, &t);
        cJSON *entry = error == WS_OK ? cJSON_CreateObject() : NULL;
        if (error == WS_OK && (!entry || !cJSON_AddItemToArray(list, entry) ||
                               !add_number(entry, "quantile", t.quantile) || !add_thresholded(entry, &t)))
            error = WS_ERROR(MEMORY, "no memory for thresholds");
    }
    free(values);
    return error;
}

/* Each anomalous class against all normal test rows. */
static ws_err add_class(const ws_scored *scored, const float *score, int class, cJSON *object)
{
    const ws_samples *samples = &scored->rows->part[WS_PART_TEST];
    float *values = NULL;
    uint8_t *positive = NULL;
    ws_ranking ranking;
    uint64_t n = 0, own = 0;
    ws_err error = WS_NEW_ARRAY(values, samples->rows);
    if (error == WS_OK)
        error = WS_NEW_ARRAY(positive, samples->rows);
    for (uint64_t i = 0; i < samples->rows && error == WS_OK; i++) {
        if (samples->anomalous[i] && samples->label[i] != class)
            continue;
        own += samples->anomalous[i];
        positive[n] = samples->anomalous[i];
        values[n++] = score[i];
    }
    if (error == WS_OK)
        error = ws_ranking_create(&ranking, values, positive, n);
    if (error == WS_OK) {
        cJSON *entry = cJSON_AddObjectToObject(object, scored->rows->class_names[class]);
        bool made = entry != NULL;
        for (size_t m = 0; ws_metrics[m] && made; m++)
            if (ws_metrics[m]->family == WS_METRIC_RANKING)
                made = add_number(entry, ws_metrics[m]->name, ws_metrics[m]->ranking(&ranking));
        if (!made || !cJSON_AddNumberToObject(entry, "n", (double)own))
            error = WS_ERROR(MEMORY, "no memory for metrics");
        ws_ranking_destroy(&ranking);
    }
    free(values);
    free(positive);
    return error;
}

/* "interval": for each ranking metric [low, high] over resamples of the test rows. */
static ws_err add_intervals(const ws_ranking *ranking, int resamples, cJSON *object)
{
    const ws_metric *metrics[MOST_METRICS];
    ws_interval intervals[MOST_METRICS];
    int count = 0;
    for (size_t m = 0; ws_metrics[m] && count < MOST_METRICS; m++)
        if (ws_metrics[m]->family == WS_METRIC_RANKING)
            metrics[count++] = ws_metrics[m];
    WS_TRY(ws_bootstrap_intervals(ranking, metrics, count, resamples, intervals));
    cJSON *all = cJSON_AddObjectToObject(object, "interval");
    for (int m = 0; m < count; m++) {
        bool defined = isfinite(intervals[m].low);
        cJSON *item = defined ? cJSON_CreateDoubleArray(&intervals[m].low, 2) : cJSON_CreateNull();
        WS_CHECK(all && cJSON_AddItemToObject(all, metrics[m]->name, item), MEMORY, "no memory for metrics");
    }
    return WS_OK;
}

static ws_err add_ranking_metrics(const ws_scored *scored, const float *test, const float *validation, cJSON *object)
{
    const ws_rows *rows = scored->rows;
    const ws_samples *samples = &rows->part[WS_PART_TEST];
    ws_ranking ranking;
    WS_TRY(ws_ranking_create(&ranking, test, samples->anomalous, samples->rows));
    bool made = true;
    for (size_t m = 0; ws_metrics[m]; m++)
        if (ws_metrics[m]->family == WS_METRIC_RANKING)
            made = made && add_number(object, ws_metrics[m]->name, ws_metrics[m]->ranking(&ranking));
    cJSON *thresholds = cJSON_AddArrayToObject(object, "thresholds"),
          *classes = cJSON_AddObjectToObject(object, "per_class");
    ws_err error = made && thresholds && classes ? WS_OK : WS_ERROR(MEMORY, "no memory for metrics");
    ws_thresholded oracle;
    ws_threshold_of_oracle(&ranking, &oracle);
    if (error == WS_OK && !add_thresholded(cJSON_AddObjectToObject(object, "oracle_on_test"), &oracle))
        error = WS_ERROR(MEMORY, "no memory for metrics");
    if (error == WS_OK)
        error = add_intervals(&ranking, (int)scored->config->evaluate.bootstrap, object);
    if (error == WS_OK && validation)
        error = add_thresholds(scored, validation, &ranking, thresholds);
    for (int k = 0; k < rows->classes && error == WS_OK; k++)
        if (!rows->class_normal[k])
            error = add_class(scored, test, k, classes);
    ws_ranking_destroy(&ranking);
    return error;
}

/* How well a score tells normal validation rows from the same rows shuffled: no anomaly takes part. */
static ws_err add_criterion(const ws_scored *scored, int index, const float *validation, cJSON *object)
{
    const ws_samples *samples = &scored->rows->part[WS_PART_VALIDATION];
    uint64_t normal = scored->rows->validation_normal.rows, n = 0;
    float *values = NULL;
    uint8_t *positive = NULL;
    ws_ranking ranking;
    ws_err error = WS_NEW_ARRAY(values, 2 * normal);
    if (error == WS_OK)
        error = WS_NEW_ARRAY(positive, 2 * normal);
    for (uint64_t i = 0; i < samples->rows && error == WS_OK; i++)
        if (!samples->anomalous[i])
            values[n++] = validation[i];
    for (uint64_t i = 0; i < normal && error == WS_OK; i++) {
        positive[n] = 1;
        values[n++] = scored->shuffled[i * (uint64_t)scored->width + (uint64_t)index];
    }
    if (error == WS_OK)
        error = ws_ranking_create(&ranking, values, positive, n);
    if (error == WS_OK) {
        if (!add_number(object, "shuffled_auroc", ws_metric_find("auroc")->ranking(&ranking)))
            error = WS_ERROR(MEMORY, "no memory for metrics");
        ws_ranking_destroy(&ranking);
    }
    free(values);
    free(positive);
    return error;
}

/* A score that does not exist on these rows: why, and null for every metric. */
static ws_err add_undefined(const ws_scored *scored, cJSON *object)
{
    bool made = cJSON_AddStringToObject(object, "undefined", scored->undefined) != NULL;
    for (size_t m = 0; ws_metrics[m] && made; m++)
        if (ws_metrics[m]->family == WS_METRIC_RANKING)
            made = cJSON_AddNullToObject(object, ws_metrics[m]->name) != NULL;
    WS_CHECK(made, MEMORY, "no memory for metrics");
    return WS_OK;
}

/* "unsolved": rows whose score rests on a solution that was not kept to its tolerance; nothing where there are none. */
static ws_err add_unsolved(const ws_scored *scored, int index, cJSON *object)
{
    uint64_t test = scored->test_unsolved ? scored->test_unsolved[index] : 0;
    uint64_t validation = scored->validation_unsolved ? scored->validation_unsolved[index] : 0;
    if (test == 0 && validation == 0)
        return WS_OK;
    cJSON *rows = cJSON_AddObjectToObject(object, "unsolved");
    WS_CHECK(rows && cJSON_AddNumberToObject(rows, "test", (double)test) &&
                 cJSON_AddNumberToObject(rows, "validation", (double)validation),
             MEMORY, "no memory for metrics");
    return WS_OK;
}

static ws_err add_score(const ws_scored *scored, const char *name, cJSON *scores)
{
    const ws_rows *rows = scored->rows;
    int index = score_index(scored->config->model, name);
    float *test = NULL, *validation = NULL;
    cJSON *object = cJSON_AddObjectToObject(scores, name);
    ws_err error = object ? WS_OK : WS_ERROR(MEMORY, "no memory for metrics");
    if (error == WS_OK && scored->undefined)
        return add_undefined(scored, object);
    if (error == WS_OK)
        error = add_unsolved(scored, index, object);
    if (error == WS_OK)
        error = take_column(scored->test, rows->part[WS_PART_TEST].rows, scored->width, index, &test);
    if (error == WS_OK)
        error = take_column(scored->validation, rows->part[WS_PART_VALIDATION].rows, scored->width, index, &validation);
    if (error == WS_OK)
        error = add_ranking_metrics(scored, test, validation, object);
    if (error == WS_OK && scored->shuffled)
        error = add_criterion(scored, index, validation, object);
    if (error == WS_E_NUMERIC)
        WS_HINT("%s gives no number: training has gone astray; lower train.learning_rate", name);
    free(test);
    free(validation);
    return error;
}

/* ---- classification ---- */

static bool add_confusion(cJSON *object, const ws_confusion *confusion)
{
    cJSON *table = cJSON_AddArrayToObject(object, "confusion");
    for (int t = 0; t < confusion->classes && table; t++) {
        cJSON *row = cJSON_CreateArray();
        if (!cJSON_AddItemToArray(table, row))
            return false;
        for (int p = 0; p < confusion->classes; p++) {
            cJSON *count = cJSON_CreateNumber((double)confusion->counts[t * confusion->classes + p]);
            if (!cJSON_AddItemToArray(row, count))
                return false;
        }
    }
    return table != NULL;
}

static ws_err add_prediction(const ws_scored *scored, cJSON *scores)
{
    const ws_samples *samples = &scored->rows->part[WS_PART_TEST];
    ws_confusion confusion;
    int32_t *predicted = NULL;
    WS_TRY(take_predictions(scored, WS_PART_TEST, &predicted));
    ws_err error = ws_confusion_create(&confusion, predicted, samples->label, samples->rows, scored->rows->classes);
    free(predicted);
    WS_TRY(error);
    cJSON *object = cJSON_AddObjectToObject(scores, "prediction");
    bool made = object != NULL;
    for (size_t m = 0; ws_metrics[m]; m++)
        if (ws_metrics[m]->family == WS_METRIC_CLASSIFICATION)
            made = made && add_number(object, ws_metrics[m]->name, ws_metrics[m]->classification(&confusion));
    made = made && add_confusion(object, &confusion);
    ws_confusion_destroy(&confusion);
    WS_CHECK(made, MEMORY, "no memory for metrics");
    return WS_OK;
}

ws_err ws_result_scores(const ws_scored *scored, cJSON **out)
{
    const ws_string_list *names = &scored->config->evaluate.scores;
    cJSON *scores = cJSON_CreateObject();
    WS_CHECK(scores, MEMORY, "no memory for metrics");
    ws_err error = WS_OK;
    if (scored->config->keys.task == WS_TASK_CLASSIFY)
        error = add_prediction(scored, scores);
    else
        for (size_t i = 0; i < names->count && error == WS_OK; i++)
            error = add_score(scored, names->items[i], scores);
    if (error != WS_OK)
        cJSON_Delete(scores);
    else
        *out = scores;
    WS_TRY(error);
    return WS_OK;
}

/* ---- hash and file: both hold the same values ---- */

static ws_err hash_part(const ws_scored *scored, ws_part part, ws_sha256 *hash)
{
    const ws_string_list *names = &scored->config->evaluate.scores;
    uint64_t rows = scored->rows->part[part].rows;
    if (scored->config->keys.task == WS_TASK_CLASSIFY) {
        int32_t *predicted = NULL;
        WS_TRY(take_predictions(scored, part, &predicted));
        ws_sha256_update(hash, predicted, rows * sizeof *predicted);
        free(predicted);
        return WS_OK;
    }
    for (size_t i = 0; i < names->count; i++) {
        const float *all = part == WS_PART_TEST ? scored->test : scored->validation;
        float *one = NULL;
        WS_TRY(take_column(all, rows, scored->width, score_index(scored->config->model, names->items[i]), &one));
        ws_sha256_update(hash, names->items[i], strlen(names->items[i]) + 1);
        ws_sha256_update(hash, one, rows * sizeof *one);
        free(one);
    }
    return WS_OK;
}

ws_err ws_result_score_hash(const ws_scored *scored, char hex[65])
{
    ws_sha256 *hash;
    WS_TRY(ws_sha256_create(&hash));
    ws_err error = hash_part(scored, WS_PART_TEST, hash);
    if (error == WS_OK)
        error = hash_part(scored, WS_PART_VALIDATION, hash);
    ws_digest digest = ws_sha256_finish(hash);
    ws_digest_hex(&digest, hex);
    ws_sha256_destroy(&hash);
    return error;
}

/* Writes a dataset whose rows are those of the test part, then those of the validation part. */
static ws_err write_joined(hid_t file, const char *path, hid_t type, size_t size, const void *test, uint64_t test_rows,
                           const void *validation, uint64_t validation_rows)
{
    char *both;
    hsize_t rows = test_rows + validation_rows;
    WS_TRY(ws_alloc(&both, rows, size));
    memcpy(both, test, test_rows * size);
    if (validation_rows > 0)
        memcpy(both + test_rows * size, validation, validation_rows * size);
    ws_err error = ws_h5_write_dataset(file, path, type, both, 1, &rows);
    free(both);
    WS_TRY(error);
    return WS_OK;
}

static ws_err write_scores(hid_t file, const ws_scored *s, uint64_t test_rows, uint64_t validation_rows)
{
    const ws_string_list *names = &s->config->evaluate.scores;
    int32_t *test_class = NULL, *validation_class = NULL;
    if (s->config->keys.task == WS_TASK_CLASSIFY) {
        ws_err error = take_predictions(s, WS_PART_TEST, &test_class);
        if (error == WS_OK)
            error = take_predictions(s, WS_PART_VALIDATION, &validation_class);
        if (error == WS_OK)
            error = write_joined(file, "/predicted", H5T_NATIVE_INT32, sizeof *test_class, test_class, test_rows,
                                 validation_class, validation_rows);
        free(test_class);
        free(validation_class);
        return error;
    }
    for (size_t i = 0; i < names->count; i++) {
        int index = score_index(s->config->model, names->items[i]);
        float *test = NULL, *validation = NULL;
        char *path = ws_format("/scores/%s", names->items[i]);
        ws_err error =
            path ? take_column(s->test, test_rows, s->width, index, &test) : WS_ERROR(MEMORY, "no memory for a path");
        if (error == WS_OK)
            error = take_column(s->validation, validation_rows, s->width, index, &validation);
        if (error == WS_OK)
            error =
                write_joined(file, path, H5T_NATIVE_FLOAT, sizeof *test, test, test_rows, validation, validation_rows);
        free(test);
        free(validation);
        free(path);
        WS_TRY(error);
    }
    return WS_OK;
}

static ws_err write_content(hid_t file, const ws_scored *s)
{
    const ws_rows *rows = s->rows;
    const ws_samples *test = &rows->part[WS_PART_TEST], *validation = &rows->part[WS_PART_VALIDATION];
    uint8_t *part;
    WS_TRY(write_joined(file, "/row_hash", H5T_NATIVE_UINT64, sizeof(uint64_t), rows->row_hash[WS_PART_TEST],
                        test->rows, rows->row_hash[WS_PART_VALIDATION], validation->rows));
    WS_TRY(write_joined(file, "/truth", H5T_NATIVE_INT32, sizeof(int32_t), test->label, test->rows, validation->label,
                        validation->rows));
    if (test->anomalous)
        WS_TRY(write_joined(file, "/anomalous", H5T_NATIVE_UINT8, 1, test->anomalous, test->rows, validation->anomalous,
                            validation->rows));
    WS_TRY(write_scores(file, s, test->rows, validation->rows));
    hsize_t n = test->rows + validation->rows;
    WS_TRY(WS_NEW_ARRAY(part, n));
    memset(part, WS_PART_TEST, test->rows);
    memset(part + test->rows, WS_PART_VALIDATION, validation->rows);
    ws_err error = ws_h5_write_dataset(file, "/part", H5T_NATIVE_UINT8, part, 1, &n);
    free(part);
    WS_TRY(error);
    WS_TRY(ws_h5_write_attribute_texts(file, "/part", "names",
                                       (const char *const[]){"none", "train", "validation", "test"}, WS_PART_COUNT));
    WS_TRY(ws_h5_write_attribute_texts(file, "/truth", "names", rows->class_names, (size_t)rows->classes));
    WS_TRY(ws_h5_write_attribute_text(file, ".", "split_hash", rows->split_hash));
    return WS_OK;
}

ws_err ws_scores_file_write(const char *path, const ws_scored *scored)
{
    hid_t file = -1;
    char *partial = ws_format("%s.partial", path);
    WS_CHECK(partial, MEMORY, "no memory for a path");
    ws_err error = ws_h5_create(partial, &file);
    if (error == WS_OK) {
        error = write_content(file, scored);
        ws_err closing = ws_h5_close(&file);
        if (error == WS_OK)
            error = closing;
    }
    if (error == WS_OK)
        error = ws_file_rename(partial, path);
    else
        (void)unlink(partial);
    free(partial);
    WS_TRY(error);
    return WS_OK;
}
