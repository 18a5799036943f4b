/* store_hash: the content hash of a store, made from what the file holds (definition in dataset.h). Blocks are hashed
 * by the ranks in turn, each reading the file on its own; the digests are combined in order. Compression, chunks,
 * provenance and the number of ranks do not enter.
 */
#include "dataset/store_layout.h"

#include <stdio.h>
#include <stdlib.h>

typedef struct hashed_dataset {
    char *path;
    hid_t dataset, type; /* type: little endian, as hashed */
    char type_name[16];
    size_t value_bytes;
    bool text;
    hsize_t rows, columns; /* columns: values a row */
    uint64_t blocks;
    const ws_digest *known; /* of the blocks; NULL: to be read */
} hashed_dataset;

typedef struct hashed_list {
    hashed_dataset *items;
    size_t count, capacity;
    const char *group;
    bool out_of_memory;
} hashed_list;

static const char *const hashed_groups[] = {"/flows", "/packets", "/features", "/labels", "/bytes"};

static herr_t add_name(hid_t group, const char *name, const H5L_info_t *info, void *context)
{
    (void)group;
    (void)info;
    hashed_list *list = context;
    if (WS_GROW(list->items, list->capacity, list->count + 1) != WS_OK) {
        list->out_of_memory = true;
        return -1;
    }
    hashed_dataset *item = &list->items[list->count++];
    memset(item, 0, sizeof *item);
    item->dataset = item->type = -1;
    item->path = ws_format("%s/%s", list->group, name);
    list->out_of_memory = item->path == NULL;
    return list->out_of_memory ? -1 : 0;
}

/* The type as hashed, by class, sign and size of the type in the file. */
static ws_err describe_type(hashed_dataset *item, hid_t stored)
{
    H5T_class_t class = H5Tget_class(stored);
    size_t bytes = H5Tget_size(stored);
    item->value_bytes = bytes;
    if (class == H5T_STRING && H5Tis_variable_str(stored) == 0) {
        item->text = true;
        snprintf(item->type_name, sizeof item->type_name, "text");
        item->type = H5Tcopy(stored);
        WS_H5(item->type);
        return WS_OK;
    }
    WS_CHECK((class == H5T_INTEGER || class == H5T_FLOAT) && bytes <= 8, FORMAT,
             "dataset %s is of a type that no store has", item->path);
    item->type = H5Tcopy(stored);
    WS_H5(item->type);
    WS_H5(H5Tset_order(item->type, H5T_ORDER_LE));
    const char *name = class == H5T_FLOAT ? "float" : H5Tget_sign(stored) == H5T_SGN_NONE ? "uint" : "int";
    snprintf(item->type_name, sizeof item->type_name, "%s%zu", name, 8 * bytes);
    return WS_OK;
}

static ws_err open_item(hid_t file, hashed_dataset *item)
{
    hsize_t shape[H5S_MAX_RANK];
    item->dataset = H5Dopen2(file, item->path, H5P_DEFAULT);
    WS_H5(item->dataset);
    hid_t space = H5Dget_space(item->dataset);
    WS_H5(space);
    int dimensions = H5Sget_simple_extent_dims(space, shape, NULL);
    H5Sclose(space);
    WS_CHECK(dimensions >= 1, FORMAT, "dataset %s has no rows and columns", item->path);
    item->rows = shape[0];
    item->columns = 1;
    for (int d = 1; d < dimensions; d++)
        item->columns *= shape[d];
    item->blocks = (item->rows + WS_HASH_BLOCK_ROWS - 1) / WS_HASH_BLOCK_ROWS;
    hid_t stored = H5Dget_type(item->dataset);
    WS_H5(stored);
    ws_err error = describe_type(item, stored);
    H5Tclose(stored);
    WS_TRY(error);
    return WS_OK;
}

static ws_err list_datasets(hid_t file, hashed_list *list)
{
    for (size_t g = 0; g < sizeof hashed_groups / sizeof *hashed_groups; g++) {
        if (!ws_h5_exists(file, hashed_groups[g]))
            continue;
        list->group = hashed_groups[g];
        hsize_t at = 0;
        herr_t status =
            H5Literate_by_name(file, hashed_groups[g], H5_INDEX_NAME, H5_ITER_INC, &at, add_name, list, H5P_DEFAULT);
        WS_CHECK(!list->out_of_memory, MEMORY, "no memory for the names in %s", hashed_groups[g]);
        WS_H5(status);
    }
    for (size_t i = 0; i < list->count; i++)
        WS_TRY(open_item(file, &list->items[i]));
    return WS_OK;
}

static void list_destroy(hashed_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        if (list->items[i].type >= 0)
            H5Tclose(list->items[i].type);
        if (list->items[i].dataset >= 0)
            H5Dclose(list->items[i].dataset);
        free(list->items[i].path);
    }
    free(list->items);
}

/* Rows [begin, begin + count) as they lie in the file's type, little endian. */
static ws_err read_rows(const hashed_dataset *item, uint64_t begin, uint64_t count, void *out)
{
    ws_err error = WS_OK;
    hsize_t start[H5S_MAX_RANK] = {begin}, size[H5S_MAX_RANK];
    hid_t file_space = -1, memory_space = -1;
    WS_H5_GOTO(out, file_space = H5Dget_space(item->dataset));
    int dimensions = H5Sget_simple_extent_dims(file_space, size, NULL);
    size[0] = count;
    WS_H5_GOTO(out, memory_space = H5Screate_simple(dimensions, size, NULL));
    WS_H5_GOTO(out, H5Sselect_hyperslab(file_space, H5S_SELECT_SET, start, NULL, size, NULL));
    WS_H5_GOTO(out, H5Dread(item->dataset, item->type, memory_space, file_space, H5P_DEFAULT, out));
out:
    if (file_space >= 0)
        H5Sclose(file_space);
    if (memory_space >= 0)
        H5Sclose(memory_space);
    return error;
}

/* A block's values; texts up to their NUL, with one NUL behind, so that the width in the file does not enter. */
static ws_err hash_block(ws_sha256 *hash, const hashed_dataset *item, uint64_t block, ws_digest *out)
{
    enum { PIECE_BYTES = 16 << 20 }; /* rows may be wide */
    const uint64_t begin = block * WS_HASH_BLOCK_ROWS, row_bytes = item->columns * item->value_bytes;
    const uint64_t end = item->rows - begin < WS_HASH_BLOCK_ROWS ? item->rows : begin + WS_HASH_BLOCK_ROWS;
    const uint64_t piece = row_bytes < PIECE_BYTES ? PIECE_BYTES / (row_bytes + 1) + 1 : 1;
    unsigned char *buffer;
    WS_TRY(ws_alloc(&buffer, piece < end - begin ? piece : end - begin, row_bytes));
    ws_err error = WS_OK;
    for (uint64_t at = begin; at < end && error == WS_OK; at += piece) {
        const uint64_t count = end - at < piece ? end - at : piece;
        const size_t values = (size_t)(count * item->columns);
        error = read_rows(item, at, count, buffer);
        if (error == WS_OK && !item->text)
            ws_sha256_update(hash, buffer, values * item->value_bytes);
        for (size_t i = 0; error == WS_OK && item->text && i < values; i++) {
            const char *text = (const char *)buffer + i * item->value_bytes;
            ws_sha256_update(hash, text, strnlen(text, item->value_bytes));
            ws_sha256_update(hash, "", 1);
        }
    }
    *out = ws_sha256_finish(hash);
    free(buffer);
    WS_TRY(error);
    return WS_OK;
}

/* This rank's blocks: block k of the whole list where k % size == rank. */
static ws_err hash_own_blocks(const ws_comm *comm, ws_sha256 *hash, const hashed_list *list, ws_digest **out,
                              size_t *count)
{
    uint64_t total = 0, k = 0;
    for (size_t i = 0; i < list->count; i++)
        total += list->items[i].blocks;
    WS_TRY(WS_NEW_ARRAY(*out, total / (uint64_t)comm->size + 1));
    *count = 0;
    for (size_t i = 0; i < list->count; i++)
        for (uint64_t block = 0; block < list->items[i].blocks; block++, k++)
            if (k % (uint64_t)comm->size != (uint64_t)comm->rank)
                continue;
            else if (list->items[i].known != NULL)
                (*out)[(*count)++] = list->items[i].known[block];
            else
                WS_TRY(hash_block(hash, &list->items[i], block, &(*out)[(*count)++]));
    return WS_OK;
}

/* Names of classes, columns and units say what the values mean, so they belong to the content. */
static ws_err hash_names(ws_sha256 *hash, const hashed_dataset *item)
{
    static const char *const attributes[] = {"names", "columns", "units"};
    for (size_t a = 0; a < sizeof attributes / sizeof *attributes; a++) {
        if (H5Aexists(item->dataset, attributes[a]) <= 0)
            continue;
        char **texts;
        size_t count;
        WS_TRY(ws_h5_read_attribute_texts(item->dataset, ".", attributes[a], &texts, &count));
        char line[64];
        snprintf(line, sizeof line, "%s %zu\n", attributes[a], count);
        ws_sha256_update(hash, line, strlen(line));
        for (size_t i = 0; i < count; i++)
            ws_sha256_update(hash, texts[i], strlen(texts[i]) + 1);
        ws_texts_destroy(&texts, count);
    }
    return WS_OK;
}

/* digests: every rank's, in rank order, the first of rank r at starts[r]. */
static ws_err combine(ws_sha256 *hash, const hashed_list *list, int size, const ws_digest *digests, size_t total,
                      char hex[65])
{
    size_t *starts;
    WS_TRY(WS_NEW_ARRAY(starts, (size_t)size));
    for (int r = 1; r < size; r++)
        starts[r] = starts[r - 1] + (total + (size_t)(size - r)) / (size_t)size;
    size_t k = 0;
    ws_err error = WS_OK;
    for (size_t i = 0; i < list->count && error == WS_OK; i++) {
        const hashed_dataset *item = &list->items[i];
        ws_text line = {0};
        ws_text_appendf(&line, "%s %s %llu %llu\n", item->path, item->type_name, (unsigned long long)item->columns,
                        (unsigned long long)item->rows);
        error = ws_text_check(&line);
        ws_sha256_update(hash, ws_text_string(&line), line.length);
        ws_text_destroy(&line);
        if (error == WS_OK)
            error = hash_names(hash, item);
        for (uint64_t block = 0; block < item->blocks; block++, k++)
            ws_sha256_update(hash, digests[starts[k % (size_t)size] + k / (size_t)size].bytes, sizeof digests->bytes);
    }
    free(starts);
    ws_digest digest = ws_sha256_finish(hash);
    ws_digest_hex(&digest, hex);
    WS_TRY(error);
    return WS_OK;
}

static ws_err find_known(hashed_list *list, const ws_known_digests *known, size_t known_count)
{
    for (size_t i = 0; i < list->count; i++)
        for (size_t k = 0; k < known_count; k++)
            if (strcmp(list->items[i].path, known[k].path) == 0) {
                WS_CHECK(known[k].count == list->items[i].blocks, INTERNAL, "%s has %llu blocks, %llu were hashed",
                         known[k].path, (unsigned long long)list->items[i].blocks, (unsigned long long)known[k].count);
                list->items[i].known = known[k].digests;
            }
    return WS_OK;
}

static ws_err hash_content(const ws_comm *comm, hid_t file, ws_sha256 *hash, const ws_known_digests *known,
                           size_t known_count, char hex[65])
{
    hashed_list list = {0};
    ws_digest *own = NULL;
    size_t own_count = 0, bytes = 0;
    void *all = NULL;
    ws_err error = list_datasets(file, &list);
    if (error == WS_OK)
        error = find_known(&list, known, known_count);
    if (error == WS_OK)
        error = hash_own_blocks(comm, hash, &list, &own, &own_count);
    WS_TRY_GOTO(out, ws_agree_all(comm, error));
    WS_TRY_GOTO(out, ws_gather_all(comm, own, own_count * sizeof *own, &all, &bytes, NULL));
    WS_TRY_GOTO(out, ws_agree_all(comm, combine(hash, &list, comm->size, all, bytes / sizeof *own, hex)));
out:
    list_destroy(&list);
    free(own);
    free(all);
    return error;
}

ws_err ws_store_compute_hash_all(const ws_comm *comm, const char *path, char hex[65])
{
    WS_TRY(ws_store_hash_all(comm, path, NULL, 0, hex));
    return WS_OK;
}

ws_err ws_store_hash_all(const ws_comm *comm, const char *path, const ws_known_digests *known, size_t known_count,
                         char hex[65])
{
    hid_t file = -1;
    ws_sha256 *hash = NULL;
    ws_err error = ws_sha256_create(&hash);
    if (error == WS_OK)
        error = ws_h5_open(path, &file);
    error = ws_agree_all(comm, error);
    if (error == WS_OK)
        error = hash_content(comm, file, hash, known, known_count, hex);
    if (file >= 0)
        H5Fclose(file);
    ws_sha256_destroy(&hash);
    /* Once more: when this returns, no rank holds the file open (or its lock) any longer. */
    WS_AGREE(comm, error);
    return WS_OK;
}
