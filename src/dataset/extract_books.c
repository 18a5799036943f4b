/* What the books of captures (extract_account.c) and of flow tables (table_account.c) have in common: sides that must be
 * equal, counters as JSON, and what provenance says of the inputs.
 */
#include "dataset/extract_append.h"

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
    extract_put_number(options, "input_hash_leaf", WS_INPUT_HASH_LEAF);
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
    for (size_t g = x->old_groups; g < x->group_count; g++) {
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

/* What provenance says of inputs, and of the files that they are: first those of the store that is added to, if any. */
typedef struct input_books {
    ws_string_list sha256;
    uint64_t *bytes, *records;
    const char **file_names, **file_sha256;
    uint64_t *file_bytes, *file_records;
    uint32_t *file_inputs;
    size_t file_count;
    ws_string_list name_list, sha256_list;
    ws_store_files files;
    ws_damage *damage;
    ws_text options, counters;
} input_books;

static void add_file(input_books *books, const char *name, const char *sha256, uint64_t bytes, uint64_t records,
                     uint32_t input)
{
    const size_t f = books->file_count++;
    books->file_names[f] = name;
    books->file_sha256[f] = sha256;
    books->file_bytes[f] = bytes;
    books->file_records[f] = records;
    books->file_inputs[f] = input;
}

static ws_err fill_files(const extraction *x, const ws_string_list *sha256, input_books *books)
{
    const extract_append *old = x->append;
    const size_t old_files = old != NULL ? old->file_names.count : 0, most = old_files + x->input_count;
    WS_TRY(ws_arena_alloc(x->arena, &books->file_names, most, sizeof *books->file_names));
    WS_TRY(ws_arena_alloc(x->arena, &books->file_sha256, most, sizeof *books->file_sha256));
    WS_TRY(ws_arena_alloc(x->arena, &books->file_bytes, most, sizeof *books->file_bytes));
    WS_TRY(ws_arena_alloc(x->arena, &books->file_records, most, sizeof *books->file_records));
    WS_TRY(ws_arena_alloc(x->arena, &books->file_inputs, most, sizeof *books->file_inputs));
    for (size_t f = 0; f < old_files; f++)
        add_file(books, old->file_names.items[f], old->file_sha256.items[f], old->file_bytes[f], old->file_records[f],
                 old->file_inputs[f]);
    for (size_t i = 0; i < x->input_count; i++)
        add_file(books, x->names.items[i], sha256->items[i], x->inputs[i].bytes, x->inputs[i].records,
                 x->inputs[i].group);
    books->name_list = (ws_string_list){books->file_names, most};
    books->sha256_list = (ws_string_list){books->file_sha256, most};
    books->files = (ws_store_files){.names = &books->name_list,
                                    .sha256 = &books->sha256_list,
                                    .bytes = books->file_bytes,
                                    .records = books->file_records,
                                    .inputs = books->file_inputs};
    return WS_OK;
}

static ws_err fill_inputs(const extraction *x, const ws_string_list *sha256, input_books *books)
{
    WS_TRY(ws_arena_alloc(x->arena, &books->bytes, x->group_count, sizeof *books->bytes));
    WS_TRY(ws_arena_alloc(x->arena, &books->records, x->group_count, sizeof *books->records));
    for (size_t f = 0; f < books->file_count; f++) {
        books->bytes[books->file_inputs[f]] += books->file_bytes[f];
        books->records[books->file_inputs[f]] += books->file_records[f];
    }
    return extract_join_hashes(x, sha256, &books->sha256);
}

/* Of files, as all of them are numbered. */
static ws_err fill_damage(const extraction *x, input_books *books, ws_store_provenance *provenance)
{
    const extract_append *old = x->append;
    const size_t count = old->damage_count + provenance->damage_count;
    WS_TRY(ws_arena_alloc(x->arena, &books->damage, count, sizeof *books->damage));
    for (size_t d = 0; d < count; d++) {
        books->damage[d] = d < old->damage_count ? old->damage[d] : provenance->damage[d - old->damage_count];
        books->damage[d].input += d < old->damage_count ? 0 : (uint32_t)old->file_names.count;
    }
    provenance->damage = books->damage;
    provenance->damage_count = count;
    return WS_OK;
}

static ws_err fill_books(const extraction *x, const ws_string_list *sha256, input_books *books,
                         ws_store_provenance *provenance)
{
    WS_TRY(fill_files(x, sha256, books));
    WS_TRY(fill_inputs(x, sha256, books));
    provenance->input_sha256 = &books->sha256;
    provenance->input_bytes = books->bytes;
    provenance->input_records = books->records;
    provenance->files = x->group_count < books->file_count ? &books->files : NULL;
    if (x->append == NULL)
        return WS_OK;
    WS_TRY(extract_append_check_hashes(x, sha256));
    WS_TRY(fill_damage(x, books, provenance));
    if (x->comm->rank > 0) /* the first rank writes it */
        return WS_OK;
    WS_TRY(extract_append_merge(x, provenance->options_json, provenance->counters_json, &books->options,
                                &books->counters));
    provenance->options_json = ws_text_string(&books->options);
    provenance->counters_json = ws_text_string(&books->counters);
    return WS_OK;
}

ws_err extract_finish_store_all(extraction *x, ws_store_provenance *provenance, char content_hash[65])
{
    input_books books = {0};
    ws_string_list sha256;
    WS_TRY(extract_hasher_finish_all(x->hasher, x->arena, &sha256));
    ws_err error = ws_agree_all(x->comm, fill_books(x, &sha256, &books, provenance));
    if (error == WS_OK)
        error = ws_store_writer_finish_all(x->writer, provenance, content_hash);
    ws_text_destroy(&books.options);
    ws_text_destroy(&books.counters);
    return error;
}
