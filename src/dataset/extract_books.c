/* What the books of captures (extract_account.c) and of flow tables (table_account.c) have in common: sides that must be
 * equal, counters as JSON, and what provenance says of the inputs.
 */
#include "dataset/extract.h"

#include <inttypes.h>

ws_err extract_check_equal(const char *input, const char *what, uint64_t left, uint64_t right)
{
    if (left == right)
        return WS_OK;
    ws_err error = WS_ERROR(INTERNAL, "%s: %s do not add up: %" PRIu64 " and %" PRIu64, input, what, left, right);
    WS_HINT("the store was not written; this is a fault of the program, please report it with the input");
    return error;
}

void extract_put_number(cJSON *object, const char *key, uint64_t value)
{
    cJSON_AddNumberToObject(object, key, (double)value);
}

void extract_put_reasons(cJSON *object, const char *key, const char *const *names, const uint64_t *counts, int reasons)
{
    cJSON *list = cJSON_AddObjectToObject(object, key);
    for (int reason = 1; reason < reasons; reason++)
        if (counts[reason] > 0)
            extract_put_number(list, names[reason], counts[reason]);
}

void extract_put_inputs(cJSON *root, const extraction *x, cJSON *(*counts_json)(const void *run, size_t input),
                        const void *run)
{
    cJSON *inputs = cJSON_AddArrayToObject(root, "inputs");
    for (size_t i = 0; i < x->input_count; i++) {
        cJSON *one = counts_json(run, i);
        cJSON_AddStringToObject(one, "name", x->names.items[i]);
        cJSON_AddItemToArray(inputs, one);
    }
    cJSON *skipped = cJSON_AddArrayToObject(root, "inputs_skipped");
    for (size_t i = 0; i < x->skipped_count; i++) {
        cJSON *one = cJSON_CreateObject();
        cJSON_AddStringToObject(one, "name", ws_path_base(x->skipped[i].path));
        cJSON_AddStringToObject(one, "reason", x->skipped[i].reason);
        cJSON_AddItemToArray(skipped, one);
    }
}

ws_err extract_finish_store_all(extraction *x, ws_store_provenance *provenance, char content_hash[65])
{
    ws_string_list hashes;
    uint64_t *bytes = NULL, *records = NULL;
    WS_TRY(extract_hasher_finish_all(x->hasher, x->arena, &hashes));
    ws_err local = ws_arena_alloc(x->arena, &bytes, x->input_count, sizeof *bytes);
    if (local == WS_OK)
        local = ws_arena_alloc(x->arena, &records, x->input_count, sizeof *records);
    WS_AGREE(x->comm, local);
    for (size_t i = 0; i < x->input_count; i++) {
        bytes[i] = x->inputs[i].bytes;
        records[i] = x->inputs[i].records;
    }
    provenance->input_sha256 = &hashes;
    provenance->input_bytes = bytes;
    provenance->input_records = records;
    return ws_store_writer_finish_all(x->writer, provenance, content_hash);
}
