/* storage: checked HDF5 handles, atomic files and directories.
 *
 * HDF5's own printing is silenced; WS_H5 folds its innermost message into ours. One thread a rank calls HDF5.
 */
#ifndef WS_STORAGE_H
#define WS_STORAGE_H

#include <hdf5.h>
#include "cluster/cluster.h"
#include "core/core.h"

void ws_h5_setup(void); /* once at start: silence HDF5's printing */

/* Runs an HDF5 call that returns a negative value on failure. */
#define WS_H5(call)                                                                                                    \
    do {                                                                                                               \
        if ((call) < 0)                                                                                                \
            return ws_h5_raise(#call, __FILE__, __LINE__, __func__);                                                   \
    } while (0)
#define WS_H5_GOTO(label, call)                                                                                        \
    do {                                                                                                               \
        if ((call) < 0) {                                                                                              \
            error = ws_h5_raise(#call, __FILE__, __LINE__, __func__);                                                  \
            goto label;                                                                                                \
        }                                                                                                              \
    } while (0)
ws_err ws_h5_raise(const char *call, const char *file, int line, const char *function);

/* Opening and closing. A file opened _all is opened by every rank through MPI-IO; the others are for one process alone.
 * Errors name the path and what to do. */
WS_MUST ws_err ws_h5_create_all(const ws_comm *comm, const char *path, hid_t *out);
WS_MUST ws_err ws_h5_open_all(const ws_comm *comm, const char *path, bool writable, hid_t *out);
WS_MUST ws_err ws_h5_create(const char *path, hid_t *out);
WS_MUST ws_err ws_h5_open(const char *path, hid_t *out); /* read only */
WS_MUST ws_err ws_h5_close(hid_t *file);                 /* flushes; sets to -1; accepts -1 */
bool ws_h5_exists(hid_t location, const char *path);     /* every link on the way exists */

/* Attributes of the object at `path` ("." for the location itself). Strings are UTF-8. */
WS_MUST ws_err ws_h5_write_attribute_text(hid_t location, const char *path, const char *name, const char *value);
WS_MUST ws_err ws_h5_write_attribute_texts(hid_t location, const char *path, const char *name,
                                           const char *const *values, size_t count);
WS_MUST ws_err ws_h5_write_attribute_i64(hid_t location, const char *path, const char *name, int64_t value);
WS_MUST ws_err ws_h5_write_attribute_double(hid_t location, const char *path, const char *name, double value);
WS_MUST ws_err ws_h5_read_attribute_text(hid_t location, const char *path, const char *name,
                                         char **out /* malloc'ed */);
WS_MUST ws_err ws_h5_read_attribute_texts(hid_t location, const char *path, const char *name, char ***out,
                                          size_t *count);
void ws_texts_destroy(char ***texts, size_t count);
WS_MUST ws_err ws_h5_read_attribute_i64(hid_t location, const char *path, const char *name, int64_t *out);
WS_MUST ws_err ws_h5_read_attribute_double(hid_t location, const char *path, const char *name, double *out);

/* Whole small datasets by one process (checkpoints, provenance): rank 1 or 2, `type` a native HDF5 memory type. */
WS_MUST ws_err ws_h5_write_dataset(hid_t location, const char *path, hid_t type, const void *data, int dimensions,
                                   const hsize_t *shape);
WS_MUST ws_err ws_h5_read_dataset(hid_t location, const char *path, hid_t type, void *data, hsize_t expected_elements);
WS_MUST ws_err ws_h5_write_texts(hid_t location, const char *path, const char *const *values, size_t count);
/* As ws_h5_write_texts wrote them; free with ws_texts_destroy. */
WS_MUST ws_err ws_h5_read_texts(hid_t location, const char *path, char ***out, size_t *count);
WS_MUST ws_err ws_h5_dataset_shape(hid_t location, const char *path, int *dimensions, hsize_t shape[4]);

/* Files. Writing is atomic: NAME.partial, fsync, rename, fsync of the directory. */
WS_MUST ws_err ws_file_write(const char *path, const void *data, size_t bytes);
WS_MUST ws_err ws_file_write_new(const char *path, const void *data, size_t bytes,
                                 bool *existed); /* never replaces (link) */
WS_MUST ws_err ws_file_read(const char *path, char **data /* malloc'ed, NUL added */, size_t *bytes);
WS_MUST ws_err ws_file_rename(const char *from, const char *to);        /* and fsync of the directory */
WS_MUST ws_err ws_file_append_line(const char *path, const char *line); /* one write, fsync; for journals */
bool ws_file_exists(const char *path);

/* Whether a result may go to `path`, for the start of a run: its folder is there and can be written, and what has that
 * name already, if anything, is a file of the kind to be written (any HDF5 file for a store; no binary file for text),
 * and no symbolic link (/dev/stdout is one). */
typedef enum ws_output { WS_OUTPUT_TEXT, WS_OUTPUT_STORE } ws_output;
WS_MUST ws_err ws_output_check(const char *path, ws_output output);

bool ws_directory_exists(const char *path);
WS_MUST ws_err ws_directory_create(const char *path); /* with parents; existing is fine */
WS_MUST ws_err ws_directory_remove(const char *path); /* with content */

#endif
