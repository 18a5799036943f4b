/* What a trial is called before it runs. */
#include <stdlib.h>
#include "train/internal.h"

typedef struct memo_entry {
    char *key; /* store hash and split options */
    char split_hash[65];
} memo_entry;

struct ws_split_memo {
    memo_entry *entries;
    size_t count, capacity;
};

ws_err ws_split_memo_create(ws_split_memo **out)
{
    WS_TRY(WS_NEW(*out));
    return WS_OK;
}

void ws_split_memo_destroy(ws_split_memo **memo)
{
    if (*memo == NULL)
        return;
    for (size_t i = 0; i < (*memo)->count; i++)
        free((*memo)->entries[i].key);
    free((*memo)->entries);
    free(*memo);
    *memo = NULL;
}

static char *memo_key(const ws_store *store, const ws_split_options *o)
{
    ws_text normal = {0};
    for (size_t i = 0; i < o->normal.count; i++)
        ws_text_appendf(&normal, " %s", o->normal.items[i]);
    char *key = normal.out_of_memory
                    ? NULL
                    : ws_format("%s %s %lld %.17g %.17g %s %lld %lld%s", store->content_hash, o->protocol,
                                (long long)o->protocol_seed, o->train_fraction, o->validation_fraction,
                                o->label ? o->label : "", (long long)o->minimum_rows, (long long)o->maximum_rows,
                                ws_text_string(&normal));
    ws_text_destroy(&normal);
    return key;
}

static ws_err find_split_hash(const ws_train_config *config, const ws_store *store, ws_split_memo *memo, char hash[65])
{
    ws_split_options options;
    ws_split split;
    ws_split_options_of(config, &options);
    char *key = memo_key(store, &options);
    WS_CHECK(key, MEMORY, "no memory for the key of a split");
    for (size_t i = 0; memo && i < memo->count; i++)
        if (strcmp(memo->entries[i].key, key) == 0) {
            memcpy(hash, memo->entries[i].split_hash, 65);
            free(key);
            return WS_OK;
        }
    ws_err error = ws_split_create(&split, store, &options);
    if (error == WS_OK) {
        memcpy(hash, split.hash, 65);
        ws_split_destroy(&split);
    }
    if (error == WS_OK && memo)
        error = WS_GROW(memo->entries, memo->capacity, memo->count + 1);
    if (error != WS_OK || !memo) {
        free(key);
        return error;
    }
    memo_entry *entry = &memo->entries[memo->count++];
    entry->key = key;
    memcpy(entry->split_hash, hash, 65);
    return WS_OK;
}

ws_err ws_trial_id_text(const cJSON *config, const char *store_hash, const char *split_hash, ws_text *out)
{
    const char *precision = cJSON_GetStringValue(ws_json_find(config, "train.precision"));
    const char *device =
        cJSON_GetStringValue(ws_json_find(config, "train.device")); /* left out of results where it is the CPU */
    cJSON *root = cJSON_CreateObject(), *condensed = cJSON_Duplicate(config, true);
    if (condensed)
        ws_train_config_condense(condensed);
    bool made = root && condensed && cJSON_AddItemReferenceToObject(root, "config", condensed) &&
                cJSON_AddStringToObject(root, "store_hash", store_hash) &&
                cJSON_AddStringToObject(root, "split_hash", split_hash) &&
                cJSON_AddNumberToObject(root, "schema", WS_RECORD_SCHEMA) &&
                cJSON_AddStringToObject(root, "device", device ? device : ws_backend_names[WS_CPU]) &&
                cJSON_AddStringToObject(root, "precision", precision ? precision : ws_precision_names[0]);
    ws_err error = made ? ws_json_canonical(root, out) : WS_ERROR(MEMORY, "no memory for the identity of a trial");
    cJSON_Delete(root);
    cJSON_Delete(condensed);
    WS_TRY(error);
    return ws_text_check(out);
}

ws_err ws_trial_id(const ws_train_config *trained, const char *store_hash, const char *split_hash, char id[17])
{
    ws_text text = {0};
    cJSON *config = ws_train_config_print(trained, true);
    WS_CHECK(config, MEMORY, "no memory for the configuration");
    ws_err error = ws_trial_id_text(config, store_hash, split_hash, &text);
    cJSON_Delete(config);
    if (error == WS_OK) {
        ws_digest digest = ws_sha256_of(ws_text_string(&text), text.length);
        char hex[65];
        ws_digest_hex(&digest, hex);
        memcpy(id, hex, 16);
        id[16] = 0;
    }
    ws_text_destroy(&text);
    return error;
}

ws_err ws_trial_identity(const ws_train_config *config, ws_split_memo *memo, ws_train_identity *out)
{
    ws_store store;
    *out = (ws_train_identity){.deterministic = config->model->deterministic};
    WS_TRY(ws_store_open(&store, config->keys.store));
    memcpy(out->store_hash, store.content_hash, sizeof out->store_hash - 1);
    snprintf(out->dataset, sizeof out->dataset, "%s", store.dataset);
    ws_err error = ws_store_is_synthetic(&store, &out->synthetic);
    if (error == WS_OK)
        error = find_split_hash(config, &store, memo, out->split_hash);
    ws_store_close(&store);
    WS_TRY(error);
    return ws_trial_id(config, out->store_hash, out->split_hash, out->id);
}
