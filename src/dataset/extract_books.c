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

void extract_put_hash_form(cJSON *options, const ws_extract_options *from)
{
    if (from->input_hash_from == WS_INPUT_HASH_WHOLE)
        return;
    extract_put_number(options, "input_hash_block", WS_INPUT_HASH_BLOCK);
    extract_put_number(options, "input_hash_from",
                       from->input_hash_from == 0 ? WS_INPUT_HASH_FROM : (uint64_t)from->input_hash_from);
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
    for (size_t g = 0; g < x->group_count; g++) {
        cJSON *one = counts_json(run, g);
        cJSON_AddStringToObject(one, "name", x->group_names.items[g]);
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

/* What provenance says of files, and of the inputs of the store that they are. */
typedef struct input_books {
    ws_string_list sha256, file_sha256;
    uint64_t *bytes, *records, *file_bytes, *file_records;
    uint32_t *file_inputs;
    ws_store_files files;
} input_books;

static ws_err fill_books(const extraction *x, input_books *books)
{
    WS_TRY(ws_arena_alloc(x->arena, &books->bytes, x->group_count, sizeof *books->bytes));
    WS_TRY(ws_arena_alloc(x->arena, &books->records, x->group_count, sizeof *books->records));
    WS_TRY(ws_arena_alloc(x->arena, &books->file_bytes, x->input_count, sizeof *books->file_bytes));
    WS_TRY(ws_arena_alloc(x->arena, &books->file_records, x->input_count, sizeof *books->file_records));
    WS_TRY(ws_arena_alloc(x->arena, &books->file_inputs, x->input_count, sizeof *books->file_inputs));
    for (size_t i = 0; i < x->input_count; i++) {
        const extract_input *input = &x->inputs[i];
        books->bytes[input->group] += books->file_bytes[i] = input->bytes;
        books->records[input->group] += books->file_records[i] = input->records;
        books->file_inputs[i] = input->group;
    }
    books->files = (ws_store_files){.names = &x->names,
                                    .sha256 = &books->file_sha256,
                                    .bytes = books->file_bytes,
                                    .records = books->file_records,
                                    .inputs = books->file_inputs};
    return extract_join_hashes(x, &books->file_sha256, &books->sha256);
}

ws_err extract_finish_store_all(extraction *x, ws_store_provenance *provenance, char content_hash[65])
{
    input_books books = {0};
    WS_TRY(extract_hasher_finish_all(x->hasher, x->arena, &books.file_sha256));
    WS_AGREE(x->comm, fill_books(x, &books));
    provenance->input_sha256 = &books.sha256;
    provenance->input_bytes = books.bytes;
    provenance->input_records = books.records;
    provenance->files = x->group_count < x->input_count ? &books.files : NULL;
    return ws_store_writer_finish_all(x->writer, provenance, content_hash);
}
