/* store: reading a store. Opening reads attributes only, so it takes no longer for a large one; everything else reads
 * the rows it is asked for. One process; read only.
 */
#include "dataset/store_layout.h"

#include <stdio.h>
#include <stdlib.h>

/* ---------------------------------------------------------------- opening */
static ws_err check_schema(hid_t file, const char *path)
{
    ws_err error = WS_OK;
    bool whole = ws_h5_exists(file, "/flows/packet_start"), marked = H5Aexists(file, "content_hash") > 0;
    if (marked && !whole) {
        error = WS_ERROR(FORMAT, "%s: a store whose flows cannot be found: it is damaged", path);
        WS_HINT("make it or copy it again");
        return error;
    }
    if (H5Aexists(file, "schema") <= 0 || !whole) {
        error = WS_ERROR(FORMAT, "%s: an HDF5 file, but not a store", path);
        WS_HINT("stores are made with `wiresweep extract -o STORE.h5 INPUT...`");
        return error;
    }
    int64_t schema;
    WS_TRY(ws_h5_read_attribute_i64(file, ".", "schema", &schema));
    if (schema != WS_STORE_SCHEMA) {
        error = WS_ERROR(FORMAT, "%s: a store of schema %lld; this program reads schema %d", path, (long long)schema,
                         WS_STORE_SCHEMA);
        if (schema < WS_STORE_SCHEMA)
            WS_HINT("make it again from its captures: wiresweep extract ... -o STORE.h5 INPUT...");
        else
            WS_HINT("read it with a newer wiresweep, or make it again with this one: wiresweep extract ... -o STORE.h5 "
                    "INPUT...");
        return error;
    }
    if (!marked) {
        error = WS_ERROR(FORMAT, "%s: a store that was never completed (no content hash)", path);
        WS_HINT("make it again: wiresweep extract ... -o STORE.h5 INPUT...");
    }
    return error;
}

typedef struct level_list {
    ws_store *store;
    size_t capacity;
    ws_err error;
} level_list;

static herr_t add_level(hid_t group, const char *name, const H5L_info_t *info, void *context)
{
    (void)info;
    level_list *list = context;
    ws_store *store = list->store;
    /* `attempted` has no names: it is a mark, not a level. */
    htri_t named = H5Aexists_by_name(group, name, "names", H5P_DEFAULT);
    if (named <= 0)
        return named < 0 ? -1 : 0;
    list->error = WS_GROW(store->levels, list->capacity, store->level_count + 1);
    if (list->error != WS_OK)
        return -1;
    ws_label_level *level = &store->levels[store->level_count++];
    memset(level, 0, sizeof *level);
    level->name = ws_format("%s", name);
    list->error = level->name == NULL
                      ? WS_ERROR(MEMORY, "no memory for the label level %s", name)
                      : ws_h5_read_attribute_texts(group, name, "names", &level->names, &level->classes);
    return list->error == WS_OK ? 0 : -1;
}

static ws_err read_head(ws_store *store)
{
    int dimensions;
    hsize_t shape[4];
    int64_t rows;
    WS_TRY(check_schema(store->file, store->path));
    WS_TRY(ws_h5_read_attribute_text(store->file, ".", "dataset", &store->dataset));
    WS_TRY(ws_h5_read_attribute_text(store->file, ".", "content_hash", &store->content_hash));
    WS_TRY(ws_h5_read_attribute_i64(store->file, ".", "rows", &rows));
    WS_CHECK(rows >= 0, FORMAT, "%s: attribute rows is %lld", store->path, (long long)rows);
    store->rows = (uint64_t)rows;
    WS_TRY(ws_h5_dataset_shape(store->file, "/flows/packet_start", &dimensions, shape));
    WS_CHECK(dimensions == 1 && shape[0] == store->rows + 1, FORMAT, "%s: %llu rows, but /flows/packet_start has %llu",
             store->path, (unsigned long long)store->rows, (unsigned long long)shape[0]);
    WS_TRY(ws_h5_dataset_shape(store->file, "/packets/offset_ns", &dimensions, shape));
    store->packets = shape[0];
    level_list list = {store, 0, WS_OK};
    hsize_t at = 0;
    herr_t status =
        H5Literate_by_name(store->file, "/labels", H5_INDEX_NAME, H5_ITER_INC, &at, add_level, &list, H5P_DEFAULT);
    WS_TRY(list.error);
    WS_H5(status);
    return WS_OK;
}

ws_err ws_store_open(ws_store *out, const char *path)
{
    memset(out, 0, sizeof *out);
    out->file = -1;
    out->path = ws_format("%s", path);
    WS_CHECK(out->path != NULL, MEMORY, "no memory to open %s", path);
    ws_err error = ws_h5_open(path, &out->file);
    if (error == WS_OK)
        error = read_head(out);
    if (error != WS_OK) {
        ws_store_close(out);
        WS_TRY(error);
    }
    return WS_OK;
}

void ws_store_close(ws_store *store)
{
    if (store->path != NULL && store->file >= 0)
        H5Fclose(store->file);
    for (size_t l = 0; l < store->level_count; l++) {
        free(store->levels[l].name);
        if (store->levels[l].names != NULL)
            ws_texts_destroy(&store->levels[l].names, store->levels[l].classes);
    }
    free(store->levels);
    free(store->path);
    free(store->dataset);
    free(store->content_hash);
    memset(store, 0, sizeof *store);
    store->file = -1;
}

/* ---------------------------------------------------------------- rows */
/* Rows of a dataset with columns, or columns x depth, values a row (0: a dimension that it does not have). */
static ws_err read_deep_block(const ws_store *store, const char *path, hid_t memory_type, hsize_t columns,
                              hsize_t depth, uint64_t begin, uint64_t count, void *out)
{
    ws_err error = WS_OK;
    hid_t dataset = -1, file_space = -1, memory_space = -1;
    hsize_t shape[H5S_MAX_RANK];
    const hsize_t start[3] = {begin, 0, 0}, size[3] = {count, columns, depth};
    const int wanted = columns == 0 ? 1 : depth == 0 ? 2 : 3;
    WS_CHECK(ws_h5_exists(store->file, path), FORMAT, "%s: no dataset %s", store->path, path);
    WS_H5_GOTO(out, dataset = H5Dopen2(store->file, path, H5P_DEFAULT));
    WS_H5_GOTO(out, file_space = H5Dget_space(dataset));
    WS_CHECK_GOTO(out, H5Sget_simple_extent_ndims(file_space) == wanted, FORMAT, "%s: %s is not the table a store has",
                  store->path, path);
    H5Sget_simple_extent_dims(file_space, shape, NULL);
    WS_CHECK_GOTO(out,
                  begin <= shape[0] && count <= shape[0] - begin && (wanted == 1 || shape[1] == columns) &&
                      (wanted < 3 || shape[2] == depth),
                  FORMAT, "%s: %s has %llu rows; rows %llu to %llu were wanted", store->path, path,
                  (unsigned long long)shape[0], (unsigned long long)begin, (unsigned long long)(begin + count));
    if (count == 0)
        goto out;
    WS_H5_GOTO(out, memory_space = H5Screate_simple(wanted, size, NULL));
    WS_H5_GOTO(out, H5Sselect_hyperslab(file_space, H5S_SELECT_SET, start, NULL, size, NULL));
    if (H5Dread(dataset, memory_type, memory_space, file_space, H5P_DEFAULT, out) < 0) {
        error = ws_h5_raise("H5Dread", __FILE__, __LINE__, __func__);
        WS_HINT("%s: %s cannot be read; compare `wiresweep inspect --hash %s` with where the store was made",
                store->path, path, store->path);
    }
out:
    if (memory_space >= 0)
        H5Sclose(memory_space);
    if (file_space >= 0)
        H5Sclose(file_space);
    if (dataset >= 0)
        H5Dclose(dataset);
    return error;
}

static ws_err read_block(const ws_store *store, const char *path, hid_t memory_type, hsize_t columns, uint64_t begin,
                         uint64_t count, void *out)
{
    return read_deep_block(store, path, memory_type, columns, 0, begin, count, out);
}

ws_err ws_store_read(const ws_store *store, const char *path, hid_t memory_type, uint64_t begin, uint64_t count,
                     void *out)
{
    return read_block(store, path, memory_type, 0, begin, count, out);
}

static herr_t take_name(hid_t group, const char *name, const H5L_info_t *info, void *context)
{
    (void)group;
    (void)info;
    snprintf(context, 256, "%s", name);
    return 1;
}

ws_err ws_store_features_name(const ws_store *store, char name[256])
{
    hsize_t at = 0;
    snprintf(name, 256, "%s", ws_features_flow20.table.name);
    if (ws_h5_exists(store->file, "/features/flow20"))
        return WS_OK;
    name[0] = '\0';
    WS_H5(H5Literate_by_name(store->file, "/features", H5_INDEX_NAME, H5_ITER_INC, &at, take_name, name, H5P_DEFAULT));
    WS_CHECK(name[0] != '\0', FORMAT, "%s: no feature table", store->path);
    return WS_OK;
}

static ws_err feature_path(const char *name, char out[256])
{
    int length = snprintf(out, 256, "/features/%s", name);
    WS_CHECK(length > 0 && length < 256, ARGUMENT, "feature table name longer than 240 bytes");
    return WS_OK;
}

ws_err ws_store_features_info(const ws_store *store, const char *name, ws_arena *arena, int *columns,
                              ws_string_list *names)
{
    char path[256];
    int dimensions;
    hsize_t shape[4];
    WS_TRY(feature_path(name, path));
    if (!ws_h5_exists(store->file, path)) {
        ws_err error = WS_ERROR(FORMAT, "%s: no feature table \"%s\"", store->path, name);
        WS_HINT("`wiresweep inspect %s` shows the tables it has", store->path);
        return error;
    }
    WS_TRY(ws_h5_dataset_shape(store->file, path, &dimensions, shape));
    WS_CHECK(dimensions == 2 && shape[1] <= 1 << 20, FORMAT, "%s: %s is no table of rows and columns", store->path,
             path);
    *columns = (int)shape[1];
    char **texts;
    size_t count;
    WS_TRY(ws_h5_read_attribute_texts(store->file, path, "columns", &texts, &count));
    const char **items = NULL;
    ws_err error = ws_arena_alloc(arena, &items, count, sizeof *items);
    for (size_t i = 0; i < count && error == WS_OK; i++) {
        items[i] = ws_arena_strdup(arena, texts[i]);
        if (items[i] == NULL)
            error = WS_ERROR(MEMORY, "no memory for the column names of %s", path);
    }
    ws_texts_destroy(&texts, count);
    WS_TRY(error);
    WS_CHECK(count == shape[1], FORMAT, "%s: %s has %llu columns and %zu names", store->path, path,
             (unsigned long long)shape[1], count);
    *names = (ws_string_list){items, count};
    return WS_OK;
}

ws_err ws_store_read_features(const ws_store *store, const char *name, uint64_t begin, uint64_t count, float *out)
{
    char path[256];
    int dimensions;
    hsize_t shape[4];
    WS_TRY(feature_path(name, path));
    WS_TRY(ws_h5_dataset_shape(store->file, path, &dimensions, shape));
    WS_CHECK(dimensions == 2, FORMAT, "%s: %s is no table of rows and columns", store->path, path);
    return read_block(store, path, H5T_NATIVE_FLOAT, shape[1], begin, count, out);
}

/* The packet columns of packets [begin, begin + count) into the structs. */
static ws_err read_packet_columns(const ws_store *store, uint64_t begin, uint64_t count, ws_flow_packet *out)
{
    unsigned char *column;
    WS_TRY(ws_alloc(&column, count, 8));
    ws_err error = WS_OK;
    for (const ws_store_column *c = ws_packet_columns; c->path != NULL && error == WS_OK; c++) {
        error = read_block(store, c->path, ws_stored_memory_type(c->type), 0, begin, count, column);
        size_t bytes = ws_stored_size(c->type);
        for (uint64_t i = 0; error == WS_OK && i < count; i++)
            memcpy((unsigned char *)&out[i] + c->offset, column + i * bytes, bytes);
    }
    free(column);
    WS_TRY(error);
    return WS_OK;
}

ws_err ws_store_read_packets(const ws_store *store, uint64_t begin, uint64_t count, uint64_t *start,
                             ws_flow_packet **packets)
{
    *packets = NULL;
    WS_TRY(ws_store_read(store, "/flows/packet_start", H5T_NATIVE_UINT64, begin, count + 1, start));
    uint64_t first = start[0];
    for (uint64_t i = 0; i <= count; i++) {
        WS_CHECK(start[i] <= store->packets && (i == 0 || start[i] >= start[i - 1] + first), FORMAT,
                 "%s: /flows/packet_start goes back at row %llu", store->path, (unsigned long long)(begin + i));
        start[i] -= first;
    }
    WS_TRY(WS_NEW_ARRAY(*packets, start[count]));
    ws_err error = read_packet_columns(store, first, start[count], *packets);
    if (error != WS_OK) {
        free(*packets);
        *packets = NULL;
    }
    WS_TRY(error);
    return WS_OK;
}

ws_err ws_store_byte_view(const ws_store *store, ws_byte_view *out)
{
    int64_t packets, header, payload;
    char *stripped = NULL;
    memset(out, 0, sizeof *out);
    if (!ws_h5_exists(store->file, "/bytes"))
        return WS_OK;
    WS_TRY(ws_h5_read_attribute_i64(store->file, "/bytes", "packets", &packets));
    WS_TRY(ws_h5_read_attribute_i64(store->file, "/bytes", "header", &header));
    WS_TRY(ws_h5_read_attribute_i64(store->file, "/bytes", "payload", &payload));
    WS_CHECK(packets >= 1 && packets <= UINT16_MAX && header >= 0 && header <= UINT16_MAX && payload >= 0 &&
                 payload <= UINT16_MAX && header + payload > 0,
             FORMAT, "%s: /bytes has attributes that no store has", store->path);
    WS_TRY(ws_h5_read_attribute_text(store->file, "/bytes", "stripped", &stripped));
    *out = (ws_byte_view){.packets = (uint32_t)packets, .header = (uint32_t)header, .payload = (uint32_t)payload};
    while (strcmp(ws_strip_names[out->stripped], stripped) != 0 && out->stripped < WS_STRIP_IDENTITY)
        out->stripped++;
    free(stripped);
    return WS_OK;
}

ws_err ws_store_read_bytes(const ws_store *store, uint64_t begin, uint64_t count, uint8_t *values, uint16_t *kept,
                           uint32_t *lengths)
{
    ws_byte_view view;
    ws_byte_column columns[WS_BYTE_COLUMNS];
    WS_TRY(ws_store_byte_view(store, &view));
    if (view.packets == 0) {
        ws_err error = WS_ERROR(FORMAT, "%s: no bytes of packets are kept", store->path);
        WS_HINT("make it again with `wiresweep extract --bytes header:80,payload:240,packets:5 ...`");
        return error;
    }
    ws_byte_columns(&view, columns);
    void *const out[WS_BYTE_COLUMNS] = {lengths, kept, values};
    for (size_t c = 0; c < WS_BYTE_COLUMNS; c++)
        if (out[c] != NULL)
            WS_TRY(read_deep_block(store, columns[c].path, ws_stored_memory_type(columns[c].type), view.packets,
                                   columns[c].width, begin, count, out[c]));
    return WS_OK;
}

const ws_label_level *ws_store_level(const ws_store *store, const char *name)
{
    for (size_t l = 0; l < store->level_count; l++)
        if (strcmp(store->levels[l].name, name) == 0)
            return &store->levels[l];
    return NULL;
}

bool ws_store_hosts_apart(const ws_store *store)
{
    return H5Aexists_by_name(store->file, "/flows/host_id", WS_HOSTS_APART, H5P_DEFAULT) > 0;
}
