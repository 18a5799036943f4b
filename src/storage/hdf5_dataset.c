/* Whole small datasets, written and read by one process: checkpoints and provenance. Not for the store's large columns.
 */
#include <stdlib.h>
#include "storage/storage.h"

/* Groups on the way are made; object times are left out, so that the same content gives the same file. */
static ws_err creation_lists(hid_t *link, hid_t *dataset)
{
    *link = H5Pcreate(H5P_LINK_CREATE);
    *dataset = H5Pcreate(H5P_DATASET_CREATE);
    if (*link < 0 || *dataset < 0 || H5Pset_create_intermediate_group(*link, 1) < 0 ||
        H5Pset_obj_track_times(*dataset, false) < 0) {
        ws_err error = ws_h5_raise("H5Pcreate", __FILE__, __LINE__, __func__);
        H5Pclose(*link);
        H5Pclose(*dataset);
        return error;
    }
    return WS_OK;
}

static ws_err create_and_write(hid_t location, const char *path, hid_t disk_type, hid_t memory_type, hid_t space,
                               const void *data)
{
    hid_t link = -1, creation = -1;
    WS_TRY(creation_lists(&link, &creation));
    ws_err error = WS_OK;
    hid_t dataset = H5Dcreate2(location, path, disk_type, space, link, creation, H5P_DEFAULT);
    if (dataset < 0)
        error = ws_h5_raise("H5Dcreate2", __FILE__, __LINE__, __func__);
    else if (H5Sget_simple_extent_npoints(space) > 0 &&
             H5Dwrite(dataset, memory_type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) < 0)
        error = ws_h5_raise("H5Dwrite", __FILE__, __LINE__, __func__);
    if (error != WS_OK)
        WS_HINT("writing dataset %s", path);
    if (dataset >= 0 && H5Dclose(dataset) < 0 && error == WS_OK)
        error = ws_h5_raise("H5Dclose", __FILE__, __LINE__, __func__);
    H5Pclose(link);
    H5Pclose(creation);
    return error;
}

ws_err ws_h5_write_dataset(hid_t location, const char *path, hid_t type, const void *data, int dimensions,
                           const hsize_t *shape)
{
    hid_t space = H5Screate_simple(dimensions, shape, NULL);
    WS_H5(space);
    ws_err error = create_and_write(location, path, type, type, space, data);
    H5Sclose(space);
    WS_TRY(error);
    return WS_OK;
}

ws_err ws_h5_write_texts(hid_t location, const char *path, const char *const *values, size_t count)
{
    hsize_t extent = count;
    hid_t space = H5Screate_simple(1, &extent, NULL), type = H5Tcopy(H5T_C_S1);
    ws_err error = WS_OK;
    if (space < 0 || type < 0 || H5Tset_size(type, H5T_VARIABLE) < 0 || H5Tset_cset(type, H5T_CSET_UTF8) < 0)
        error = ws_h5_raise("H5Tset_size", __FILE__, __LINE__, __func__);
    else
        error = create_and_write(location, path, type, type, space, values);
    H5Tclose(type);
    H5Sclose(space);
    WS_TRY(error);
    return WS_OK;
}

static ws_err open_dataset(hid_t location, const char *path, hid_t *out)
{
    WS_CHECK(ws_h5_exists(location, path), FORMAT, "no dataset %s in the file", path);
    *out = H5Dopen2(location, path, H5P_DEFAULT);
    WS_H5(*out);
    return WS_OK;
}

static ws_err read_texts(hid_t dataset, hid_t type, hid_t space, char **texts, size_t count)
{
    char **borrowed;
    WS_TRY(WS_NEW_ARRAY(borrowed, count));
    ws_err error = WS_OK;
    if (count > 0 && H5Dread(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, borrowed) < 0)
        error = ws_h5_raise("H5Dread", __FILE__, __LINE__, __func__);
    for (size_t i = 0; i < count && error == WS_OK; i++) {
        texts[i] = ws_format("%s", borrowed[i] == NULL ? "" : borrowed[i]);
        if (texts[i] == NULL)
            error = WS_ERROR(MEMORY, "no memory for %zu texts", count);
    }
    if (count > 0)
        H5Dvlen_reclaim(type, space, H5P_DEFAULT, borrowed);
    free(borrowed);
    return error;
}

ws_err ws_h5_read_texts(hid_t location, const char *path, char ***out, size_t *count)
{
    hid_t dataset = -1, type = -1, space = -1;
    hssize_t elements = 0;
    ws_err error = WS_OK;
    *out = NULL;
    WS_TRY(open_dataset(location, path, &dataset));
    WS_H5_GOTO(out, type = H5Dget_type(dataset));
    WS_H5_GOTO(out, space = H5Dget_space(dataset));
    WS_H5_GOTO(out, elements = H5Sget_simple_extent_npoints(space));
    WS_CHECK_GOTO(out, H5Tis_variable_str(type) > 0, FORMAT, "dataset %s holds no texts", path);
    *count = (size_t)elements;
    WS_TRY_GOTO(out, WS_NEW_ARRAY(*out, *count));
    WS_TRY_GOTO(out, read_texts(dataset, type, space, *out, *count));
out:
    if (error != WS_OK && *out != NULL)
        ws_texts_destroy(out, *count);
    H5Sclose(space);
    H5Tclose(type);
    H5Dclose(dataset);
    return error;
}

ws_err ws_h5_read_dataset(hid_t location, const char *path, hid_t type, void *data, hsize_t expected_elements)
{
    hid_t dataset = -1;
    WS_TRY(open_dataset(location, path, &dataset));
    hid_t space = H5Dget_space(dataset);
    hssize_t elements = space < 0 ? -1 : H5Sget_simple_extent_npoints(space);
    ws_err error = WS_OK;
    if (elements < 0)
        error = ws_h5_raise("H5Dget_space", __FILE__, __LINE__, __func__);
    else if ((hsize_t)elements != expected_elements)
        error = WS_ERROR(FORMAT, "dataset %s holds %lld elements, %llu are expected", path, (long long)elements,
                         (unsigned long long)expected_elements);
    else if (elements > 0 && H5Dread(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) < 0)
        error = ws_h5_raise("H5Dread", __FILE__, __LINE__, __func__);
    H5Sclose(space);
    H5Dclose(dataset);
    return error;
}

ws_err ws_h5_dataset_shape(hid_t location, const char *path, int *dimensions, hsize_t shape[4])
{
    hid_t dataset = -1;
    WS_TRY(open_dataset(location, path, &dataset));
    hid_t space = H5Dget_space(dataset);
    int rank = space < 0 ? -1 : H5Sget_simple_extent_ndims(space);
    ws_err error = WS_OK;
    if (rank > 4)
        error = WS_ERROR(FORMAT, "dataset %s has %d dimensions, at most 4 are known", path, rank);
    else if (rank < 0 || H5Sget_simple_extent_dims(space, shape, NULL) < 0)
        error = ws_h5_raise("H5Sget_simple_extent_dims", __FILE__, __LINE__, __func__);
    *dimensions = rank;
    H5Sclose(space);
    H5Dclose(dataset);
    return error;
}
