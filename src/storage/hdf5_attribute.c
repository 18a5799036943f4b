/* Attributes: texts (UTF-8), whole numbers and doubles. Writing replaces what has the name.
 *
 * Texts are stored with a fixed length while the attribute stays below HDF5's limit of 64 KiB: they then lie in the object's
 * header, under its checksum, while texts of variable length lie in a heap without one, where a damaged byte can bring the
 * library down. Longer ones are of variable length.
 */
#include <stdlib.h>
#include <string.h>
#include "storage/storage.h"

static ws_err text_type(size_t width /* or H5T_VARIABLE */, hid_t *out)
{
    hid_t type = H5Tcopy(H5T_C_S1);
    WS_H5(type);
    if (H5Tset_size(type, width) < 0 || H5Tset_cset(type, H5T_CSET_UTF8) < 0) {
        ws_err error = ws_h5_raise("H5Tset_size", __FILE__, __LINE__, __func__);
        H5Tclose(type);
        return error;
    }
    *out = type;
    return WS_OK;
}

static ws_err write_attribute(hid_t location, const char *path, const char *name, hid_t disk_type, hid_t memory_type,
                              hid_t space, const void *values)
{
    htri_t present = H5Aexists_by_name(location, path, name, H5P_DEFAULT);
    WS_H5(present);
    if (present > 0)
        WS_H5(H5Adelete_by_name(location, path, name, H5P_DEFAULT));
    hid_t attribute = H5Acreate_by_name(location, path, name, disk_type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    WS_H5(attribute);
    ws_err error = WS_OK;
    if (H5Awrite(attribute, memory_type, values) < 0)
        error = ws_h5_raise("H5Awrite", __FILE__, __LINE__, __func__);
    if (H5Aclose(attribute) < 0 && error == WS_OK)
        error = ws_h5_raise("H5Aclose", __FILE__, __LINE__, __func__);
    return error;
}

enum { FIXED_BYTES_MAX = 60000 };

static ws_err write_fixed(hid_t location, const char *path, const char *name, hid_t space, const char *const *values,
                          size_t count, size_t width)
{
    char *content = NULL;
    hid_t type = -1;
    WS_TRY(text_type(width, &type));
    ws_err error = ws_alloc(&content, count, width);
    for (size_t i = 0; i < count && error == WS_OK; i++)
        memcpy(content + i * width, values[i], strlen(values[i]));
    if (error == WS_OK)
        error = write_attribute(location, path, name, type, type, space, content);
    free(content);
    H5Tclose(type);
    return error;
}

static ws_err write_texts(hid_t location, const char *path, const char *name, hid_t space, const char *const *values,
                          size_t count)
{
    size_t width = 1;
    for (size_t i = 0; i < count; i++)
        width = strlen(values[i]) + 1 > width ? strlen(values[i]) + 1 : width;
    if (count > 0 && width <= FIXED_BYTES_MAX / count)
        return write_fixed(location, path, name, space, values, count, width);
    hid_t type = -1;
    static const char *const nothing[] = {""};
    WS_TRY(text_type(H5T_VARIABLE, &type));
    ws_err error = write_attribute(location, path, name, type, type, space, count == 0 ? nothing : values);
    H5Tclose(type);
    return error;
}

ws_err ws_h5_write_attribute_text(hid_t location, const char *path, const char *name, const char *value)
{
    hid_t space = H5Screate(H5S_SCALAR);
    WS_H5(space);
    ws_err error = write_texts(location, path, name, space, &value, 1);
    H5Sclose(space);
    WS_TRY(error);
    return WS_OK;
}

ws_err ws_h5_write_attribute_texts(hid_t location, const char *path, const char *name, const char *const *values,
                                   size_t count)
{
    hsize_t extent = count;
    hid_t space = count == 0 ? H5Screate(H5S_NULL) : H5Screate_simple(1, &extent, NULL);
    WS_H5(space);
    ws_err error = write_texts(location, path, name, space, values, count);
    H5Sclose(space);
    WS_TRY(error);
    return WS_OK;
}

static ws_err write_number(hid_t location, const char *path, const char *name, hid_t disk_type, hid_t memory_type,
                           const void *value)
{
    hid_t space = H5Screate(H5S_SCALAR);
    WS_H5(space);
    ws_err error = write_attribute(location, path, name, disk_type, memory_type, space, value);
    H5Sclose(space);
    return error;
}

ws_err ws_h5_write_attribute_i64(hid_t location, const char *path, const char *name, int64_t value)
{
    WS_TRY(write_number(location, path, name, H5T_STD_I64LE, H5T_NATIVE_INT64, &value));
    return WS_OK;
}

ws_err ws_h5_write_attribute_double(hid_t location, const char *path, const char *name, double value)
{
    WS_TRY(write_number(location, path, name, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, &value));
    return WS_OK;
}

static ws_err open_attribute(hid_t location, const char *path, const char *name, hid_t *out)
{
    htri_t present = H5Aexists_by_name(location, path, name, H5P_DEFAULT);
    if (present < 0)
        H5Eclear2(H5E_DEFAULT);
    WS_CHECK(present > 0, FORMAT, "no attribute '%s' at %s", name, strcmp(path, ".") == 0 ? "/" : path);
    *out = H5Aopen_by_name(location, path, name, H5P_DEFAULT, H5P_DEFAULT);
    WS_H5(*out);
    return WS_OK;
}

static ws_err duplicate(const char *text, size_t most, char **out)
{
    size_t length = text == NULL ? 0 : strnlen(text, most);
    WS_TRY(WS_NEW_ARRAY(*out, length + 1));
    if (length > 0)
        memcpy(*out, text, length);
    return WS_OK;
}

/* Texts as other programs may have written them: variable or fixed length. */
static ws_err read_variable(hid_t attribute, hid_t space, size_t count, char **texts)
{
    hid_t type = -1;
    char **borrowed = NULL;
    WS_TRY(text_type(H5T_VARIABLE, &type));
    ws_err error = WS_NEW_ARRAY(borrowed, count);
    if (error == WS_OK) {
        hid_t stored = H5Aget_type(attribute);
        H5Tset_cset(type, stored < 0 ? H5T_CSET_UTF8 : H5Tget_cset(stored));
        H5Tclose(stored);
        if (H5Aread(attribute, type, borrowed) < 0) {
            error = ws_h5_raise("H5Aread", __FILE__, __LINE__, __func__);
        } else {
            for (size_t i = 0; i < count && error == WS_OK; i++)
                error = duplicate(borrowed[i], PTRDIFF_MAX, &texts[i]);
            H5Dvlen_reclaim(type, space, H5P_DEFAULT, borrowed);
        }
    }
    free(borrowed);
    H5Tclose(type);
    return error;
}

static ws_err read_fixed(hid_t attribute, hid_t type, size_t count, char **texts)
{
    size_t width = H5Tget_size(type);
    char *content = NULL;
    WS_TRY(ws_alloc(&content, count, width));
    ws_err error = WS_OK;
    if (H5Aread(attribute, type, content) < 0)
        error = ws_h5_raise("H5Aread", __FILE__, __LINE__, __func__);
    for (size_t i = 0; i < count && error == WS_OK; i++)
        error = duplicate(content + i * width, width, &texts[i]);
    free(content);
    return error;
}

static ws_err read_texts(hid_t attribute, const char *name, char ***out, size_t *count)
{
    hid_t type = H5Aget_type(attribute), space = H5Aget_space(attribute);
    char **texts = NULL;
    hssize_t extent = H5Sget_simple_extent_npoints(space);
    ws_err error = WS_OK;
    *count = extent < 0 ? 0 : (size_t)extent;
    if (type < 0 || space < 0 || extent < 0)
        error = ws_h5_raise("H5Aget_type", __FILE__, __LINE__, __func__);
    else if (H5Tget_class(type) != H5T_STRING)
        error = WS_ERROR(FORMAT, "attribute '%s' is not a text", name);
    else
        error = WS_NEW_ARRAY(texts, *count);
    if (error == WS_OK && *count > 0)
        error = H5Tis_variable_str(type) > 0 ? read_variable(attribute, space, *count, texts)
                                             : read_fixed(attribute, type, *count, texts);
    if (error != WS_OK)
        ws_texts_destroy(&texts, *count);
    H5Sclose(space);
    H5Tclose(type);
    *out = texts;
    return error;
}

void ws_texts_destroy(char ***texts, size_t count)
{
    for (size_t i = 0; *texts != NULL && i < count; i++)
        free((*texts)[i]);
    free(*texts);
    *texts = NULL;
}

ws_err ws_h5_read_attribute_texts(hid_t location, const char *path, const char *name, char ***out, size_t *count)
{
    hid_t attribute = -1;
    *out = NULL;
    *count = 0;
    WS_TRY(open_attribute(location, path, name, &attribute));
    ws_err error = read_texts(attribute, name, out, count);
    H5Aclose(attribute);
    WS_TRY(error);
    return WS_OK;
}

ws_err ws_h5_read_attribute_text(hid_t location, const char *path, const char *name, char **out)
{
    char **texts = NULL;
    size_t count = 0;
    *out = NULL;
    WS_TRY(ws_h5_read_attribute_texts(location, path, name, &texts, &count));
    if (count == 1) {
        *out = texts[0];
        texts[0] = NULL;
    }
    ws_texts_destroy(&texts, count);
    WS_CHECK(*out != NULL, FORMAT, "attribute '%s' of %s holds %zu texts, not one", name, path, count);
    return WS_OK;
}

static ws_err read_number(hid_t location, const char *path, const char *name, H5T_class_t kind, hid_t memory_type,
                          void *out)
{
    hid_t attribute = -1;
    WS_TRY(open_attribute(location, path, name, &attribute));
    hid_t type = H5Aget_type(attribute), space = H5Aget_space(attribute);
    H5T_class_t class = H5Tget_class(type);
    ws_err error = WS_OK;
    if (H5Sget_simple_extent_npoints(space) != 1 || (class != H5T_INTEGER && class != kind))
        error = WS_ERROR(FORMAT, "attribute '%s' of %s is not one number of the right kind", name, path);
    else if (H5Aread(attribute, memory_type, out) < 0)
        error = ws_h5_raise("H5Aread", __FILE__, __LINE__, __func__);
    H5Sclose(space);
    H5Tclose(type);
    H5Aclose(attribute);
    return error;
}

ws_err ws_h5_read_attribute_i64(hid_t location, const char *path, const char *name, int64_t *out)
{
    WS_TRY(read_number(location, path, name, H5T_INTEGER, H5T_NATIVE_INT64, out));
    return WS_OK;
}

ws_err ws_h5_read_attribute_double(hid_t location, const char *path, const char *name, double *out)
{
    WS_TRY(read_number(location, path, name, H5T_FLOAT, H5T_NATIVE_DOUBLE, out));
    return WS_OK;
}
