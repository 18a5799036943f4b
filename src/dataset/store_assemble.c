/* store_assemble: several finished parts of a store, one behind the other, to one file of known extents: by all ranks, in
 * blocks of bounded size. Knows of the columns only that they are the rows of some dataset, and that packet_start counts
 * packets; what is in the parts' datasets and their attributes is what will be in the whole. Provenance and hash come after.
 */
#include "dataset/store_layout.h"

#include <stdlib.h>

enum { COPY_BYTES = 8 << 20, TEXT_MAX = 256 };
#define PACKET_START "/flows/packet_start"
#define PACKETS "/packets/offset_ns"

static const char *const copied_groups[] = {"/flows", "/packets", "/features", "/labels", "/bytes"};

typedef struct assembled_dataset {
    char path[TEXT_MAX];
    uint64_t *rows; /* [parts] to be copied of each */
    uint64_t total; /* their sum */
    uint64_t row_bytes;
} assembled_dataset;

typedef struct assembly {
    const ws_comm *comm;
    const char *const *parts;
    size_t part_count;
    const char *whole;
    assembled_dataset *datasets;
    size_t count, capacity;
    const char *group; /* being listed */
    hid_t target;
    unsigned char *buffer;
    size_t buffer_bytes;
} assembly;

static bool counts_packets(const assembled_dataset *dataset)
{
    return strcmp(dataset->path, PACKET_START) == 0;
}

/* ---------------------------------------------------------------- what there is */
static herr_t add_dataset(hid_t group, const char *name, const H5L_info_t *info, void *context)
{
    (void)group;
    (void)info;
    assembly *a = context;
    if (WS_GROW(a->datasets, a->capacity, a->count + 1) != WS_OK)
        return -1;
    assembled_dataset *dataset = &a->datasets[a->count++];
    memset(dataset, 0, sizeof *dataset);
    int length = snprintf(dataset->path, sizeof dataset->path, "%s/%s", a->group, name);
    return length > 0 && (size_t)length < sizeof dataset->path && WS_NEW_ARRAY(dataset->rows, a->part_count) == WS_OK
               ? 0
               : -1;
}

static ws_err list_datasets(assembly *a, hid_t part)
{
    for (size_t g = 0; g < sizeof copied_groups / sizeof *copied_groups; g++) {
        hsize_t at = 0;
        a->group = copied_groups[g];
        if (ws_h5_exists(part, a->group))
            WS_H5(H5Literate_by_name(part, a->group, H5_INDEX_NAME, H5_ITER_INC, &at, add_dataset, a, H5P_DEFAULT));
    }
    return WS_OK;
}

static ws_err take_extent(assembly *a, hid_t part, size_t p, assembled_dataset *dataset)
{
    int dimensions;
    hsize_t shape[4] = {0};
    WS_CHECK(ws_h5_exists(part, dataset->path), FORMAT, "%s: no dataset %s, which %s has", a->parts[p], dataset->path,
             a->parts[0]);
    WS_TRY(ws_h5_dataset_shape(part, dataset->path, &dimensions, shape));
    WS_CHECK(dimensions >= 1, FORMAT, "%s: %s has no rows", a->parts[p], dataset->path);
    hid_t opened = H5Dopen2(part, dataset->path, H5P_DEFAULT);
    WS_H5(opened);
    hid_t type = H5Dget_type(opened);
    uint64_t row_bytes = type < 0 ? 0 : H5Tget_size(type);
    H5Tclose(type);
    H5Dclose(opened);
    for (int d = 1; d < dimensions; d++)
        row_bytes *= shape[d];
    WS_CHECK(row_bytes > 0 && (p == 0 || row_bytes == dataset->row_bytes), FORMAT,
             "%s: %s is of another kind than in %s", a->parts[p], dataset->path, a->parts[0]);
    dataset->row_bytes = row_bytes;
    dataset->rows[p] = shape[0];
    if (counts_packets(dataset) && p + 1 < a->part_count) { /* the last start is the first of the next part */
        WS_CHECK(shape[0] > 0, FORMAT, "%s: %s is empty", a->parts[p], dataset->path);
        dataset->rows[p]--;
    }
    dataset->total += dataset->rows[p];
    return WS_OK;
}

static ws_err look_at_part(assembly *a, size_t p)
{
    hid_t part;
    WS_TRY(ws_h5_open(a->parts[p], &part));
    ws_err error = p == 0 ? list_datasets(a, part) : WS_OK;
    for (size_t d = 0; error == WS_OK && d < a->count; d++)
        error = take_extent(a, part, p, &a->datasets[d]);
    H5Fclose(part);
    WS_TRY(error);
    return WS_OK;
}

/* ---------------------------------------------------------------- the empty whole, by one rank */
static herr_t copy_attribute(hid_t from, const char *name, const H5A_info_t *info, void *context)
{
    (void)info;
    const hid_t to = *(const hid_t *)context;
    herr_t status = -1;
    void *value = NULL;
    if (strcmp(name, "content_hash") == 0 || strcmp(name, "rows") == 0) /* of the whole: made later */
        return 0;
    hid_t attribute = H5Aopen(from, name, H5P_DEFAULT), type = H5Aget_type(attribute), space = H5Aget_space(attribute);
    hid_t copy = H5Acreate2(to, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    const hssize_t elements = H5Sget_simple_extent_npoints(space);
    if (copy >= 0 && elements >= 0 && ws_alloc(&value, (size_t)elements, H5Tget_size(type)) == WS_OK) {
        status = elements == 0 ? 0 : H5Aread(attribute, type, value);
        if (status >= 0 && elements > 0) {
            status = H5Awrite(copy, type, value);
            H5Dvlen_reclaim(type, space, H5P_DEFAULT, value);
        }
    }
    free(value);
    H5Aclose(copy);
    H5Sclose(space);
    H5Tclose(type);
    H5Aclose(attribute);
    return status;
}

static ws_err copy_attributes(hid_t from, hid_t to)
{
    hsize_t at = 0;
    WS_H5(H5Aiterate2(from, H5_INDEX_NAME, H5_ITER_INC, &at, copy_attribute, &to));
    return WS_OK;
}

/* The dataset with all of its rows to be; space is allocated now and filled by the ranks. */
static ws_err create_dataset(hid_t part, hid_t whole, const assembled_dataset *dataset)
{
    ws_err error = WS_OK;
    hsize_t shape[H5S_MAX_RANK], most[H5S_MAX_RANK];
    hid_t from = -1, space = -1, type = -1, properties = -1, to = -1;
    WS_H5_GOTO(out, from = H5Dopen2(part, dataset->path, H5P_DEFAULT));
    WS_H5_GOTO(out, space = H5Dget_space(from));
    WS_H5_GOTO(out, type = H5Dget_type(from));
    WS_H5_GOTO(out, properties = H5Dget_create_plist(from));
    WS_H5_GOTO(out, H5Sget_simple_extent_dims(space, shape, most));
    shape[0] = dataset->total;
    if (most[0] != H5S_UNLIMITED)
        most[0] = shape[0];
    WS_H5_GOTO(out, H5Sset_extent_simple(space, H5Sget_simple_extent_ndims(space), shape, most));
    WS_H5_GOTO(out, to = H5Dcreate2(whole, dataset->path, type, space, H5P_DEFAULT, properties, H5P_DEFAULT));
    error = copy_attributes(from, to);
out:
    if (to >= 0)
        H5Dclose(to);
    if (properties >= 0)
        H5Pclose(properties);
    if (type >= 0)
        H5Tclose(type);
    if (space >= 0)
        H5Sclose(space);
    if (from >= 0)
        H5Dclose(from);
    return error;
}

static ws_err create_group(hid_t part, hid_t whole, const char *path)
{
    ws_err error = WS_OK;
    hid_t from = -1, to = -1;
    WS_H5_GOTO(out, from = H5Gopen2(part, path, H5P_DEFAULT));
    WS_H5_GOTO(out, to = H5Gcreate2(whole, path, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
    error = copy_attributes(from, to);
out:
    if (to >= 0)
        H5Gclose(to);
    if (from >= 0)
        H5Gclose(from);
    return error;
}

static ws_err create_content(const assembly *a, hid_t part, hid_t whole)
{
    for (size_t g = 0; g < sizeof copied_groups / sizeof *copied_groups; g++) {
        if (!ws_h5_exists(part, copied_groups[g]))
            continue;
        WS_TRY(create_group(part, whole, copied_groups[g]));
    }
    hid_t provenance = H5Gcreate2(whole, "/provenance", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    WS_H5(provenance);
    H5Gclose(provenance);
    for (size_t d = 0; d < a->count; d++)
        WS_TRY(create_dataset(part, whole, &a->datasets[d]));
    return copy_attributes(part, whole);
}

static ws_err create_whole(const assembly *a)
{
    hid_t part, whole = -1;
    uint64_t bytes = 0, reserved = 0;
    WS_TRY(ws_h5_open(a->parts[0], &part));
    ws_err error = ws_store_create_file(a->whole, &whole);
    if (error == WS_OK)
        error = create_content(a, part, whole);
    ws_err close_error = ws_h5_close(&whole);
    H5Fclose(part);
    WS_TRY(error);
    WS_TRY(close_error);
    for (size_t d = 0; d < a->count; d++)
        bytes += a->datasets[d].total * a->datasets[d].row_bytes;
    bytes += bytes / 64 + (1 << 20);
    WS_TRY(ws_store_check_limit(a->whole, bytes));
    WS_TRY(ws_store_reserve(a->whole, bytes, &reserved));
    return WS_OK;
}

/* ---------------------------------------------------------------- rows */
typedef struct copy_step {
    uint64_t from, to, count; /* row of the part, row of the whole */
} copy_step;

/* As they lie in the file; collective where there are several ranks, also with count 0. */
static ws_err move_rows(hid_t dataset, hid_t type, uint64_t begin, uint64_t count, bool writes, hid_t transfer,
                        void *rows)
{
    ws_err error = WS_OK;
    hsize_t start[H5S_MAX_RANK] = {begin}, size[H5S_MAX_RANK];
    hid_t file_space = -1, memory_space = -1;
    WS_H5_GOTO(out, file_space = H5Dget_space(dataset));
    int dimensions = H5Sget_simple_extent_dims(file_space, size, NULL);
    size[0] = count;
    WS_H5_GOTO(out, memory_space = H5Screate_simple(dimensions, size, NULL));
    if (count == 0) {
        WS_H5_GOTO(out, H5Sselect_none(file_space));
        WS_H5_GOTO(out, H5Sselect_none(memory_space));
    } else {
        WS_H5_GOTO(out, H5Sselect_hyperslab(file_space, H5S_SELECT_SET, start, NULL, size, NULL));
    }
    if (writes)
        WS_H5_GOTO(out, H5Dwrite(dataset, type, memory_space, file_space, transfer, rows));
    else if (count > 0)
        WS_H5_GOTO(out, H5Dread(dataset, type, memory_space, file_space, transfer, rows));
out:
    if (memory_space >= 0)
        H5Sclose(memory_space);
    if (file_space >= 0)
        H5Sclose(file_space);
    return error;
}

static ws_err read_step(const assembly *a, const assembled_dataset *dataset, hid_t from, hid_t type,
                        const copy_step *step, uint64_t packets_before)
{
    WS_TRY(move_rows(from, type, step->from, step->count, false, H5P_DEFAULT, a->buffer));
    for (uint64_t i = 0; i < step->count && counts_packets(dataset); i++) {
        uint64_t start;
        memcpy(&start, a->buffer + i * sizeof start, sizeof start);
        start += packets_before;
        memcpy(a->buffer + i * sizeof start, &start, sizeof start);
    }
    return WS_OK;
}

static void keep_first(ws_err *error, ws_err next)
{
    if (*error == WS_OK)
        *error = next;
}

/* Of the rows of one part, the rank's even share, step by step; all ranks take as many steps. */
static ws_err copy_rows(const assembly *a, const assembled_dataset *dataset, size_t p, hid_t part, uint64_t before,
                        uint64_t packets_before, hid_t transfer)
{
    ws_err error = WS_OK;
    uint64_t begin, end;
    const uint64_t step_rows = COPY_BYTES / dataset->row_bytes > 0 ? COPY_BYTES / dataset->row_bytes : 1;
    const uint64_t ranks = (uint64_t)a->comm->size, share = (dataset->rows[p] + ranks - 1) / ranks;
    hid_t from = H5Dopen2(part, dataset->path, H5P_DEFAULT), to = H5Dopen2(a->target, dataset->path, H5P_DEFAULT);
    hid_t type = counts_packets(dataset) ? H5Tcopy(H5T_NATIVE_UINT64) : H5Dget_type(from);
    if (from < 0 || to < 0 || type < 0)
        error = ws_h5_raise("H5Dopen2", __FILE__, __LINE__, __func__);
    ws_even_split(dataset->rows[p], a->comm->size, a->comm->rank, &begin, &end);
    for (uint64_t done = 0; done < share; done += step_rows) {
        const uint64_t at = begin + done < end ? begin + done : end;
        copy_step step = {at, before + at, end - at < step_rows ? end - at : step_rows};
        if (error == WS_OK)
            error = read_step(a, dataset, from, type, &step, packets_before);
        if (error != WS_OK) /* the others wait for this rank in the write */
            step.count = 0;
        keep_first(&error, move_rows(to, type, step.to, step.count, true, transfer, a->buffer));
    }
    H5Tclose(type);
    H5Dclose(to);
    H5Dclose(from);
    return error;
}

static ws_err copy_part(const assembly *a, size_t p, uint64_t *before, hid_t transfer)
{
    hid_t part;
    uint64_t packets_before = 0;
    ws_err error = ws_h5_open(a->parts[p], &part);
    WS_AGREE(a->comm, error);
    for (size_t d = 0; d < a->count; d++)
        if (strcmp(a->datasets[d].path, PACKETS) == 0)
            packets_before = before[d];
    for (size_t d = 0; d < a->count; d++)
        keep_first(&error, copy_rows(a, &a->datasets[d], p, part, before[d], packets_before, transfer));
    for (size_t d = 0; d < a->count; d++)
        before[d] += a->datasets[d].rows[p];
    H5Fclose(part);
    WS_AGREE(a->comm, error);
    return WS_OK;
}

static ws_err copy_all(assembly *a)
{
    uint64_t *before = NULL, widest = COPY_BYTES;
    hid_t transfer = H5Pcreate(H5P_DATASET_XFER);
    ws_err error = WS_OK;
    for (size_t d = 0; d < a->count; d++)
        widest = a->datasets[d].row_bytes > widest ? a->datasets[d].row_bytes : widest;
    error = WS_NEW_ARRAY(before, a->count);
    if (error == WS_OK)
        error = WS_NEW_ARRAY(a->buffer, widest);
    if (error == WS_OK && a->comm->size > 1 && H5Pset_dxpl_mpio(transfer, H5FD_MPIO_COLLECTIVE) < 0)
        error = ws_h5_raise("H5Pset_dxpl_mpio", __FILE__, __LINE__, __func__);
    WS_TRY_GOTO(out, ws_agree_all(a->comm, error));
    WS_TRY_GOTO(out, ws_h5_open_all(a->comm, a->whole, true, &a->target));
    for (size_t p = 0; p < a->part_count && error == WS_OK; p++)
        error = copy_part(a, p, before, transfer);
    ws_err close_error = ws_agree_all(a->comm, ws_h5_close(&a->target));
    error = error == WS_OK ? close_error : error;
out:
    free(before);
    free(a->buffer);
    H5Pclose(transfer);
    return error;
}

ws_err ws_store_assemble_all(const ws_comm *comm, const char *const *parts, size_t count, const char *whole,
                             uint64_t *rows)
{
    assembly a = {.comm = comm, .parts = parts, .part_count = count, .whole = whole, .target = -1};
    ws_err error = WS_OK;
    for (size_t p = 0; p < count && error == WS_OK; p++)
        error = look_at_part(&a, p);
    error = ws_agree_all(comm, error);
    if (error == WS_OK)
        error = ws_agree_all(comm, comm->rank == 0 ? create_whole(&a) : WS_OK);
    if (error == WS_OK)
        error = copy_all(&a);
    *rows = 0;
    for (size_t d = 0; d < a.count; d++) {
        if (counts_packets(&a.datasets[d]) && a.datasets[d].total > 0)
            *rows = a.datasets[d].total - 1;
        free(a.datasets[d].rows);
    }
    free(a.datasets);
    return error == WS_OK ? WS_OK : ws_error_pass(error, __FILE__, __LINE__, __func__);
}
