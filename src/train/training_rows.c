/* Where a model scores another store than it was trained on: the rows that it was chosen by, from the store it was trained on.
 * Thresholds come from them, since one taken on the other store would know that store; and the audit tells what the two
 * stores share.
 */
#include <stdlib.h>
#include "train/internal.h"

static ws_err copy_samples(ws_arena *arena, const ws_samples *from, ws_samples *out)
{
    const size_t n = from->rows, cells = n * (size_t)from->columns;
    float *values;
    int32_t *label;
    uint8_t *anomalous = NULL;
    WS_TRY(ws_arena_alloc(arena, &values, cells + 1, sizeof *values));
    WS_TRY(ws_arena_alloc(arena, &label, n + 1, sizeof *label));
    if (n > 0) {
        memcpy(values, from->values, cells * sizeof *values);
        memcpy(label, from->label, n * sizeof *label);
    }
    if (from->anomalous != NULL) {
        WS_TRY(ws_arena_alloc(arena, &anomalous, n + 1, 1));
        memcpy(anomalous, from->anomalous, n);
    }
    *out = (ws_samples){.rows = n, .columns = from->columns, .values = values, .label = label, .anomalous = anomalous};
    return ws_samples_copy_sequences(arena, from, NULL, out);
}

static ws_err take_validation(const ws_rows *trained, ws_rows *out)
{
    const uint64_t n = trained->part[WS_PART_VALIDATION].rows;
    uint64_t *row_hash;
    WS_TRY(copy_samples(out->arena, &trained->part[WS_PART_VALIDATION], &out->part[WS_PART_VALIDATION]));
    WS_TRY(copy_samples(out->arena, &trained->validation_normal, &out->validation_normal));
    WS_TRY(ws_arena_alloc(out->arena, &row_hash, n + 1, sizeof *row_hash));
    if (n > 0)
        memcpy(row_hash, trained->row_hash[WS_PART_VALIDATION], n * sizeof *row_hash);
    out->row_hash[WS_PART_VALIDATION] = row_hash;
    return WS_OK;
}

typedef struct split_store {
    ws_store store;
    ws_split split;
    bool open;
} split_store;

static ws_err split_open(split_store *out, const ws_train_config *config)
{
    ws_split_options options;
    ws_split_options_of(config, &options);
    WS_TRY(ws_store_open(&out->store, config->keys.store));
    out->open = true;
    return ws_split_create(&out->split, &out->store, &options);
}

static void split_close(split_store *one)
{
    ws_split_destroy(&one->split);
    if (one->open)
        ws_store_close(&one->store);
}

static ws_err audit_stores(const ws_train_config *tested, const ws_train_config *trained, ws_split_audit *out)
{
    split_store test = {0}, train = {0};
    ws_err error = split_open(&test, tested);
    if (error == WS_OK)
        error = split_open(&train, trained);
    if (error == WS_OK)
        error = ws_split_audit_across(out, &test.split, &test.store, &train.split, &train.store);
    split_close(&test);
    split_close(&train);
    WS_TRY(error);
    return WS_OK;
}

ws_err ws_rows_add_validation(const ws_train_config *config, const ws_frozen *frozen, ws_rows *rows)
{
    if (strcmp(rows->store_hash, frozen->store_hash) !=
        0) /* its rows were not trained on: what they share is not known yet */
        memset(&rows->audit, 0, sizeof rows->audit);
    if (strcmp(config->keys.protocol, "cross_store") != 0)
        return WS_OK;
    ws_train_config trained = *config;
    trained.keys.store = frozen->store;
    trained.keys.protocol = frozen->protocol;
    trained.keys.label = frozen->label;
    trained.keys.normal = frozen->normal;
    if (frozen->store == NULL || !ws_file_exists(frozen->store)) {
        ws_warn("no thresholds: the store that the model was trained on is not there (%s)",
                frozen->store != NULL ? frozen->store : "its path is not known");
        return WS_OK;
    }
    ws_rows there;
    WS_TRY(ws_rows_load(&trained, frozen, &there));
    ws_err error = WS_OK;
    if (strcmp(there.store_hash, frozen->store_hash) != 0)
        ws_warn("no thresholds: %s is no longer the store that the model was trained on", frozen->store);
    else
        error = take_validation(&there, rows);
    if (error == WS_OK && strcmp(there.store_hash, frozen->store_hash) == 0 &&
        strcmp(there.store_hash, rows->store_hash) != 0)
        error = audit_stores(config, &trained, &rows->audit);
    ws_rows_destroy(&there);
    WS_TRY(error);
    return WS_OK;
}
