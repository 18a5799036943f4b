/* Scoring with a finished run: on the rows it was tested on, under another protocol, or on another store with the
 * normalisation and the classes it was trained with. */
#include <stdlib.h>
#include <sys/stat.h>
#include "train/record.h"

typedef struct evaluation {
    const ws_comm *comm;
    ws_train_config config;
    ws_frozen frozen;
    ws_rows rows;
    ws_model_context context;
    ws_learned learned;
    hid_t file;
    float *test, *validation;
    uint64_t *test_unsolved, *validation_unsolved;
    char *extracted_otherwise; /* in what; NULL: in nothing */
} evaluation;

static ws_err load_model(evaluation *e, const char *path, int device)
{
    e->context = ws_train_context(&e->config, &e->rows);
    if (e->config.keys.task == WS_TASK_CLASSIFY)
        e->context.classes = e->frozen.classes;
    WS_TRY(ws_learned_create(e->config.model, &e->context, &e->learned));
    e->learned.device = device;
    WS_CHECK(device == WS_CPU || e->config.model->network, CONFIG, "--device cuda is for networks, which %s is not",
             e->config.model->name);
    WS_TRY(ws_model_file_read(e->file, path, &e->learned));
    return WS_OK;
}

static ws_err describe(const evaluation *e, cJSON **out)
{
    ws_scored scored = {.config = &e->config,
                        .rows = &e->rows,
                        .width = ws_model_width(e->config.model, &e->context),
                        .test = e->test,
                        .validation = e->validation,
                        .test_unsolved = e->test_unsolved,
                        .validation_unsolved = e->validation_unsolved,
                        .undefined = e->learned.arrays.undefined};
    cJSON *scores = NULL, *root;
    char hash[65];
    WS_TRY(ws_result_score_hash(&scored, hash));
    WS_TRY(ws_result_scores(&scored, &scores));
    root = cJSON_CreateObject();
    cJSON *counts = root ? cJSON_AddObjectToObject(root, "counts") : NULL;
    bool made = counts && cJSON_AddStringToObject(root, "model", e->config.model->name) &&
                cJSON_AddStringToObject(root, "task", ws_task_names[e->config.keys.task]) &&
                cJSON_AddStringToObject(root, "dataset", e->rows.dataset) &&
                cJSON_AddStringToObject(root, "protocol", e->config.keys.protocol) &&
                cJSON_AddStringToObject(root, "store_hash", e->rows.store_hash) &&
                cJSON_AddStringToObject(root, "split_hash", e->rows.split_hash) &&
                cJSON_AddStringToObject(root, "score_hash", hash) &&
                (e->extracted_otherwise == NULL ||
                 cJSON_AddStringToObject(root, "extracted_otherwise", e->extracted_otherwise)) &&
                cJSON_AddNumberToObject(counts, "test", (double)e->rows.part[WS_PART_TEST].rows) &&
                cJSON_AddNumberToObject(counts, "validation", (double)e->rows.part[WS_PART_VALIDATION].rows) &&
                cJSON_AddNumberToObject(counts, "rows_left_out", (double)e->rows.rows_left_out) &&
                cJSON_AddNumberToObject(counts, "rows_thinned", (double)e->rows.rows_thinned) &&
                ws_record_add_audit(root, &e->rows) && cJSON_AddItemToObject(root, "scores", scores);
    if (!made) {
        cJSON_Delete(scores);
        cJSON_Delete(root);
        WS_FAIL(MEMORY, "no memory for metrics");
    }
    *out = root;
    return WS_OK;
}

/* Of the packets that the store keeps of a flow, so many enter what the model sees. */
static uint64_t packets_read(const ws_train_config *config)
{
    const ws_needs needs = ws_model_needs(config->model, config->model_options);
    uint64_t most = needs.features_of_packets ? 0 : ws_features_reads(config->keys.features);
    for (int k = 0; k < WS_SEQUENCE_KINDS; k++)
        most = (uint64_t)needs.tokens[k] > most ? (uint64_t)needs.tokens[k] : most;
    return most;
}

/* The features of another store mean what the model learned only where they were made alike. */
static ws_err check_extraction(evaluation *e, const ws_evaluate_run *run)
{
    ws_store store;
    ws_err error = WS_OK;
    WS_TRY(ws_store_open(&store, e->config.keys.store));
    if (strcmp(store.content_hash, e->frozen.store_hash) != 0 && e->frozen.extraction == NULL)
        ws_warn("%s/model.h5 does not say how the store that trained it was extracted: that %s was extracted alike is "
                "not checked",
                run->directory, store.path);
    else if (strcmp(store.content_hash, e->frozen.store_hash) != 0)
        error = ws_store_check_extraction(&store, e->frozen.extraction, packets_read(&e->config), run->other_extraction,
                                          &e->extracted_otherwise);
    ws_store_close(&store);
    return error;
}

/* *hash: of the model that the record speaks of; NULL: an older record, which does not say. */
static ws_err recorded_hash(const char *path, ws_json **record, const char **hash)
{
    ws_err error = ws_json_read_file(record, path);
    const cJSON *run = error == WS_OK ? ws_json_find(ws_json_root(*record), "run") : NULL;
    const cJSON *found = ws_json_find(run, "model_hash");
    if (error != WS_OK || !cJSON_IsObject(run) || (found && !cJSON_IsString(found))) {
        error = WS_ERROR(FORMAT, "%s: no record of a run: it is damaged", path);
        WS_HINT("train again, into another folder; without its record.json the model scores unchecked");
        return error;
    }
    *hash = cJSON_GetStringValue(found);
    return WS_OK;
}

/* A model without a record is its user's. */
static ws_err check_unchanged(const char *path, const char *directory)
{
    char *record = ws_path_join(directory, "record.json"), found[65] = "";
    const char *written = NULL;
    ws_json *json = NULL;
    ws_digest digest;
    struct stat about;
    WS_CHECK(record, MEMORY, "no memory for a path");
    ws_err error = lstat(record, &about) == 0 ? recorded_hash(record, &json, &written) : WS_OK;
    if (error == WS_OK && written)
        error = ws_sha256_file(path, &digest);
    if (error == WS_OK && written)
        ws_digest_hex(&digest, found);
    if (error == WS_OK && written && strcmp(found, written) != 0) {
        error = WS_ERROR(FORMAT, "%s is not the file that %s speaks of: its SHA-256 is another", path, record);
        WS_HINT("it is damaged or was changed: train again, into another folder");
    }
    ws_json_destroy(&json);
    free(record);
    return error;
}

static ws_err evaluate(evaluation *e, const char *path, const ws_evaluate_run *run, ws_arena *arena, cJSON **out)
{
    WS_AGREE(e->comm, ws_model_file_open(path, run, arena, &e->file, &e->config, &e->frozen));
    WS_AGREE(e->comm, e->comm->rank == 0 ? check_extraction(e, run) : WS_OK);
    WS_TRY(ws_rows_load_all(e->comm, &e->config, &e->frozen, &e->rows));
    WS_AGREE(e->comm, load_model(e, path, run->device));
    WS_TRY(ws_score_all(e->comm, &e->learned, &e->rows.part[WS_PART_TEST], "score test rows", &e->test,
                        &e->test_unsolved));
    WS_TRY(ws_score_all(e->comm, &e->learned, &e->rows.part[WS_PART_VALIDATION], "score validation rows",
                        &e->validation, &e->validation_unsolved));
    WS_AGREE(e->comm, e->comm->rank == 0 ? describe(e, out) : WS_OK);
    return WS_OK;
}

ws_err ws_evaluate_run_all(const ws_comm *comm, const ws_evaluate_run *run, ws_arena *arena, cJSON **out)
{
    evaluation e = {.comm = comm, .file = -1};
    char *path = ws_path_join(run->directory, "model.h5");
    WS_CHECK(path, MEMORY, "no memory for a path");
    *out = NULL;
    ws_err error = WS_OK;
    if (!ws_file_exists(path)) {
        error = WS_ERROR(IO, "%s: no such file, so %s is no finished run", path, run->directory);
        WS_HINT("make one with: wiresweep train CONFIG.json -o %s", run->directory);
    }
    if (error == WS_OK && comm->rank == 0)
        error = check_unchanged(path, run->directory);
    error = ws_agree_all(comm, error);
    if (error == WS_OK)
        error = evaluate(&e, path, run, arena, out);
    free(e.test);
    free(e.validation);
    free(e.test_unsolved);
    free(e.validation_unsolved);
    free(e.extracted_otherwise);
    ws_learned_destroy(&e.learned);
    ws_rows_destroy(&e.rows);
    ws_err closing = ws_h5_close(&e.file);
    free(path);
    WS_TRY(error);
    WS_TRY(closing);
    return WS_OK;
}
