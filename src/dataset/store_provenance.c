/* store_provenance: what one rank writes alone: the empty file with its groups, datasets and names before the ranks
 * open it together, and provenance, content hash and final name after they have closed it. Variable-length texts cannot
 * be written through MPI-IO, which is why these parts are apart.
 */
#include "dataset/store_layout.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static ws_err create_group(hid_t file, const char *path)
{
    hid_t group = H5Gcreate2(file, path, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    WS_H5(group);
    WS_H5(H5Gclose(group));
    return WS_OK;
}

/* An extendible dataset without rows yet, of columns or of columns x depth values a row; 0: a dimension that it does not have.
 * Space is allocated as it grows and never filled: every value is written once. */
static ws_err create_deep_dataset(hid_t file, const char *path, ws_stored_type type, hsize_t columns, hsize_t depth,
                                  hsize_t chunk_rows)
{
    ws_err error = WS_OK;
    int dimensions = columns == 0 ? 1 : depth == 0 ? 2 : 3;
    hsize_t shape[3] = {0, columns, depth}, maximum[3] = {H5S_UNLIMITED, columns, depth},
            chunk[3] = {chunk_rows, columns, depth};
    hid_t space = -1, properties = -1, file_type = -1, dataset = -1;
    WS_H5_GOTO(out, space = H5Screate_simple(dimensions, shape, maximum));
    WS_H5_GOTO(out, properties = H5Pcreate(H5P_DATASET_CREATE));
    WS_H5_GOTO(out, H5Pset_chunk(properties, dimensions, chunk));
    WS_H5_GOTO(out, H5Pset_alloc_time(properties, H5D_ALLOC_TIME_EARLY));
    WS_H5_GOTO(out, H5Pset_fill_time(properties, H5D_FILL_TIME_NEVER));
    WS_H5_GOTO(out, H5Pset_obj_track_times(properties, false));
    WS_H5_GOTO(out, file_type = ws_stored_file_type(type));
    WS_H5_GOTO(out, dataset = H5Dcreate2(file, path, file_type, space, H5P_DEFAULT, properties, H5P_DEFAULT));
out:
    ws_stored_release(type, file_type);
    if (dataset >= 0)
        H5Dclose(dataset);
    if (properties >= 0)
        H5Pclose(properties);
    if (space >= 0)
        H5Sclose(space);
    return error;
}

static ws_err create_dataset(hid_t file, const char *path, ws_stored_type type, hsize_t columns, hsize_t chunk_rows)
{
    return create_deep_dataset(file, path, type, columns, 0, chunk_rows);
}

static ws_err create_columns(hid_t file, const ws_store_column *columns, hsize_t chunk_rows)
{
    for (; columns->path != NULL; columns++)
        WS_TRY(create_dataset(file, columns->path, columns->type, 0, chunk_rows));
    return WS_OK;
}

static ws_err create_labels(hid_t file, const ws_label_level *level)
{
    char *path = ws_format("/labels/%s", level->name);
    WS_CHECK(path != NULL, MEMORY, "no memory for the label level %s", level->name);
    ws_err error = create_dataset(file, path, WS_STORED_I32, 0, WS_CHUNK_FLOWS);
    if (error == WS_OK)
        error = ws_h5_write_attribute_texts(file, path, "names", (const char *const *)level->names, level->classes);
    free(path);
    WS_TRY(error);
    return WS_OK;
}

static ws_err create_features(hid_t file, const ws_feature_table *table)
{
    char *path = ws_format("/features/%s", table->name);
    WS_CHECK(path != NULL, MEMORY, "no memory for the feature table %s", table->name);
    ws_err error =
        create_dataset(file, path, WS_STORED_F32, table->columns, ws_chunk_rows(table->columns * sizeof(float)));
    if (error == WS_OK)
        error = ws_h5_write_attribute_texts(file, path, "columns", table->names, table->columns);
    if (error == WS_OK)
        error = ws_h5_write_attribute_texts(file, path, "units", table->units, table->columns);
    free(path);
    WS_TRY(error);
    return WS_OK;
}

static ws_err create_bytes(hid_t file, const ws_byte_view *view)
{
    ws_byte_column columns[WS_BYTE_COLUMNS];
    char header[32], payload[32];
    static const char *const parts[] = {"header", "payload"};
    const char *const widths[] = {header, payload};
    ws_byte_columns(view, columns);
    snprintf(header, sizeof header, "header:%u", view->header);
    snprintf(payload, sizeof payload, "payload:%u", view->payload);
    WS_TRY(create_group(file, "/bytes"));
    for (size_t c = 0; c < WS_BYTE_COLUMNS; c++) {
        const size_t row_bytes = view->packets * columns[c].width * ws_stored_size(columns[c].type);
        WS_TRY(create_deep_dataset(file, columns[c].path, columns[c].type, view->packets, columns[c].width,
                                   ws_chunk_rows(row_bytes)));
        WS_TRY(ws_h5_write_attribute_texts(file, columns[c].path, "columns",
                                           columns[c].type == WS_STORED_U8 ? widths : parts, 2));
    }
    WS_TRY(ws_h5_write_attribute_i64(file, "/bytes", "packets", view->packets));
    WS_TRY(ws_h5_write_attribute_i64(file, "/bytes", "header", view->header));
    WS_TRY(ws_h5_write_attribute_i64(file, "/bytes", "payload", view->payload));
    WS_TRY(ws_h5_write_attribute_text(file, "/bytes", "stripped", ws_strip_names[view->stripped]));
    return WS_OK;
}

static ws_err write_skeleton(hid_t file, const ws_store_writer_options *options)
{
    static const char *const groups[] = {"/flows", "/packets", "/features", "/labels", "/provenance"};
    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++)
        WS_TRY(create_group(file, groups[i]));
    WS_TRY(create_columns(file, ws_flow_columns, WS_CHUNK_FLOWS));
    WS_TRY(create_columns(file, ws_packet_columns, WS_CHUNK_PACKETS));
    WS_TRY(create_features(file, options->features != NULL ? options->features : &ws_features_flow20.table));
    for (size_t t = 0; t < options->more_count; t++)
        WS_TRY(create_features(file, options->more_features[t]));
    for (size_t l = 0; l < options->level_count; l++)
        WS_TRY(create_labels(file, &options->levels[l]));
    if (options->tells_attempts)
        WS_TRY(create_dataset(file, "/labels/attempted", WS_STORED_U8, 0, WS_CHUNK_FLOWS));
    if (options->bytes != NULL)
        WS_TRY(create_bytes(file, options->bytes));
    const char *endpoints = options->endpoints == NULL ? "drop" : options->endpoints;
    if (strcmp(endpoints, "drop") != 0)
        WS_TRY(create_columns(file, ws_endpoint_columns, WS_CHUNK_FLOWS));
    WS_TRY(ws_h5_write_attribute_i64(file, ".", "schema", WS_STORE_SCHEMA));
    WS_TRY(ws_h5_write_attribute_text(file, ".", "dataset", options->dataset));
    WS_TRY(ws_h5_write_attribute_text(file, ".", "version", ws_version()));
    WS_TRY(ws_h5_write_attribute_text(file, ".", "endpoints", endpoints));
    return WS_OK;
}

/* In the file format of HDF5 1.10 (2016): its headers and chunk indexes carry checksums, so that a damaged file gives an error
 * where the older format can bring the library down, and finding a chunk takes the same time in a store of any size. */
ws_err ws_store_create_file(const char *partial, hid_t *file)
{
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    WS_H5(access);
    H5Pset_libver_bounds(access, H5F_LIBVER_V110, H5F_LIBVER_V110);
    *file = H5Fcreate(partial, H5F_ACC_TRUNC, H5P_DEFAULT, access);
    ws_err error = *file < 0 ? ws_h5_raise("H5Fcreate", __FILE__, __LINE__, __func__) : WS_OK;
    H5Pclose(access);
    return error;
}

ws_err ws_store_write_skeleton(const char *partial, const ws_store_writer_options *options)
{
    hid_t file;
    WS_TRY(ws_store_create_file(partial, &file));
    ws_err error = write_skeleton(file, options);
    ws_err close_error = ws_h5_close(&file);
    WS_TRY(error);
    WS_TRY(close_error);
    return WS_OK;
}

ws_err ws_store_open_writable(const char *path, hid_t *file)
{
    *file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
    WS_H5(*file);
    return WS_OK;
}

static ws_err write_damage(hid_t file, const ws_store_provenance *provenance)
{
    size_t count = provenance->damage_count;
    const hsize_t shape[1] = {count};
    const ws_store_files *joined = provenance->files;
    uint32_t *inputs = NULL, *files = NULL;
    uint64_t *offsets = NULL, *bytes = NULL;
    const char **reasons = NULL;
    ws_err error = WS_OK;
    WS_TRY_GOTO(out, WS_NEW_ARRAY(inputs, count));
    WS_TRY_GOTO(out, WS_NEW_ARRAY(files, count));
    WS_TRY_GOTO(out, WS_NEW_ARRAY(offsets, count));
    WS_TRY_GOTO(out, WS_NEW_ARRAY(bytes, count));
    WS_TRY_GOTO(out, WS_NEW_ARRAY(reasons, count));
    for (size_t i = 0; i < count; i++) {
        const ws_damage *damage = &provenance->damage[i];
        files[i] = damage->input;
        inputs[i] = joined != NULL ? joined->inputs[damage->input] : damage->input;
        offsets[i] = damage->offset;
        bytes[i] = damage->bytes;
        reasons[i] = damage->reason < WS_DAMAGE_COUNT ? ws_damage_names[damage->reason] : "unknown";
    }
    WS_TRY_GOTO(out, create_group(file, "/provenance/damage"));
    WS_TRY_GOTO(out, ws_h5_write_dataset(file, "/provenance/damage/input", H5T_NATIVE_UINT32, inputs, 1, shape));
    if (joined != NULL)
        WS_TRY_GOTO(out, ws_h5_write_dataset(file, "/provenance/damage/file", H5T_NATIVE_UINT32, files, 1, shape));
    WS_TRY_GOTO(out, ws_h5_write_texts(file, "/provenance/damage/reason", reasons, count));
    WS_TRY_GOTO(out, ws_h5_write_dataset(file, "/provenance/damage/offset", H5T_NATIVE_UINT64, offsets, 1, shape));
    WS_TRY_GOTO(out, ws_h5_write_dataset(file, "/provenance/damage/bytes", H5T_NATIVE_UINT64, bytes, 1, shape));
out:
    free(inputs);
    free(files);
    free(offsets);
    free(bytes);
    free(reasons);
    return error;
}

static ws_err write_files(hid_t file, const ws_store_files *files)
{
    const hsize_t shape[1] = {files->names->count};
    WS_TRY(create_group(file, "/provenance/files"));
    WS_TRY(ws_h5_write_texts(file, "/provenance/files/name", files->names->items, files->names->count));
    WS_TRY(ws_h5_write_texts(file, "/provenance/files/sha256", files->sha256->items, files->sha256->count));
    WS_TRY(ws_h5_write_dataset(file, "/provenance/files/bytes", H5T_NATIVE_UINT64, files->bytes, 1, shape));
    WS_TRY(ws_h5_write_dataset(file, "/provenance/files/records", H5T_NATIVE_UINT64, files->records, 1, shape));
    WS_TRY(ws_h5_write_dataset(file, "/provenance/files/input", H5T_NATIVE_UINT32, files->inputs, 1, shape));
    return WS_OK;
}

static ws_err write_provenance(hid_t file, const ws_string_list *inputs, const ws_store_provenance *provenance,
                               uint64_t rows)
{
    const hsize_t shape[1] = {inputs->count};
    WS_TRY(ws_h5_write_attribute_i64(file, ".", "rows", (int64_t)rows));
    WS_TRY(ws_h5_write_attribute_text(file, ".", "version", ws_version())); /* rows of a store may be another's */
    WS_TRY(ws_h5_write_attribute_text(file, "/provenance", "version", ws_version()));
    WS_TRY(ws_h5_write_attribute_text(file, "/provenance", "options", provenance->options_json));
    WS_TRY(ws_h5_write_attribute_text(file, "/provenance", "counters", provenance->counters_json));
    WS_TRY(ws_h5_write_texts(file, "/provenance/inputs", inputs->items, inputs->count));
    if (provenance->input_sha256 != NULL)
        WS_TRY(ws_h5_write_texts(file, "/provenance/input_sha256", provenance->input_sha256->items,
                                 provenance->input_sha256->count));
    WS_TRY(ws_h5_write_dataset(file, "/provenance/input_bytes", H5T_NATIVE_UINT64, provenance->input_bytes, 1, shape));
    WS_TRY(
        ws_h5_write_dataset(file, "/provenance/input_records", H5T_NATIVE_UINT64, provenance->input_records, 1, shape));
    if (provenance->files != NULL)
        WS_TRY(write_files(file, provenance->files));
    WS_TRY(write_damage(file, provenance));
    return WS_OK;
}

ws_err ws_store_write_provenance(const char *partial, const ws_string_list *inputs,
                                 const ws_store_provenance *provenance, uint64_t rows)
{
    hid_t file;
    WS_TRY(ws_store_open_writable(partial, &file));
    ws_err error = write_provenance(file, inputs, provenance, rows);
    ws_err close_error = ws_h5_close(&file);
    WS_TRY(error);
    WS_TRY(close_error);
    return WS_OK;
}

ws_err ws_store_write_counts(const char *partial, const ws_store_summary *summary, const ws_label_level *levels,
                             const int32_t *const *renumber)
{
    hid_t file;
    WS_TRY(ws_store_open_writable(partial, &file));
    ws_err error = ws_store_summary_write(file, summary, levels, renumber);
    ws_err close_error = ws_h5_close(&file);
    WS_TRY(error);
    WS_TRY(close_error);
    return WS_OK;
}

/* ---------------------------------------------------------------- classes met on the way */
static ws_err renumber_level(hid_t dataset, const char *path, const int32_t *renumber, size_t classes)
{
    enum { BLOCK = 1 << 20 };
    ws_err error = WS_OK;
    int32_t *block = NULL;
    hid_t file_space = -1, memory_space = -1;
    hsize_t rows = 0, begin, count;
    WS_TRY_GOTO(out, WS_NEW_ARRAY(block, BLOCK));
    WS_H5_GOTO(out, file_space = H5Dget_space(dataset));
    H5Sget_simple_extent_dims(file_space, &rows, NULL);
    for (begin = 0; begin < rows; begin += count) {
        count = rows - begin < BLOCK ? rows - begin : BLOCK;
        if (memory_space >= 0)
            H5Sclose(memory_space);
        WS_H5_GOTO(out, memory_space = H5Screate_simple(1, &count, NULL));
        WS_H5_GOTO(out, H5Sselect_hyperslab(file_space, H5S_SELECT_SET, &begin, NULL, &count, NULL));
        WS_H5_GOTO(out, H5Dread(dataset, H5T_NATIVE_INT32, memory_space, file_space, H5P_DEFAULT, block));
        for (hsize_t i = 0; i < count; i++) {
            WS_CHECK_GOTO(out, block[i] < 0 || (size_t)block[i] < classes, INTERNAL, "%s: class %d of %zu", path,
                          block[i], classes);
            block[i] = block[i] < 0 ? -1 : renumber[block[i]];
        }
        WS_H5_GOTO(out, H5Dwrite(dataset, H5T_NATIVE_INT32, memory_space, file_space, H5P_DEFAULT, block));
    }
out:
    if (memory_space >= 0)
        H5Sclose(memory_space);
    if (file_space >= 0)
        H5Sclose(file_space);
    free(block);
    return error;
}

static ws_err rename_level(hid_t file, const char *path, const ws_label_level *level, const int32_t *renumber)
{
    hid_t dataset = H5Dopen2(file, path, H5P_DEFAULT);
    WS_H5(dataset);
    ws_err error = renumber_level(dataset, path, renumber, level->classes);
    if (error == WS_OK && H5Adelete(dataset, "names") < 0)
        error = ws_h5_raise("H5Adelete", __FILE__, __LINE__, __func__);
    H5Dclose(dataset);
    if (error == WS_OK)
        error = ws_h5_write_attribute_texts(file, path, "names", (const char *const *)level->names, level->classes);
    return error;
}

ws_err ws_store_renumber(const char *partial, const ws_store_provenance *provenance, size_t level_count)
{
    hid_t file;
    WS_TRY(ws_store_open_writable(partial, &file));
    ws_err error = WS_OK;
    for (size_t l = 0; l < level_count && error == WS_OK; l++) {
        char *path = ws_format("/labels/%s", provenance->levels[l].name);
        error = path == NULL ? WS_ERROR(MEMORY, "no memory for the label level %s", provenance->levels[l].name)
                             : rename_level(file, path, &provenance->levels[l], provenance->renumber[l]);
        free(path);
    }
    ws_err close_error = ws_h5_close(&file);
    WS_TRY(error);
    WS_TRY(close_error);
    return WS_OK;
}

ws_err ws_store_bring_to_disk(const char *partial)
{
    ws_store_release(partial, false);
    int descriptor = open(partial, O_RDONLY | O_CLOEXEC);
    WS_CHECK(descriptor >= 0, IO, "cannot open %s: %s", partial, strerror(errno));
    int status = fsync(descriptor);
    int reason = errno;
    close(descriptor);
    WS_CHECK(status == 0, IO, "cannot bring %s to the disk: %s", partial, strerror(reason));
    return WS_OK;
}

ws_err ws_store_seal(const char *partial, const char *path, const char *content_hash)
{
    hid_t file;
    WS_TRY(ws_store_open_writable(partial, &file));
    ws_err error = ws_h5_write_attribute_text(file, ".", "content_hash", content_hash);
    ws_err close_error = ws_h5_close(&file);
    WS_TRY(error);
    WS_TRY(close_error);
    WS_TRY(ws_store_bring_to_disk(partial));
    WS_TRY(ws_file_rename(partial, path));
    return WS_OK;
}
