/* HDF5 files: opening, closing, and HDF5's errors as one line of ours. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "storage/storage.h"

void ws_h5_setup(void)
{
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
}

/* The innermost entry says what really went wrong; the ones above only that something did. */
static herr_t take_innermost(unsigned n, const H5E_error2_t *entry, void *out)
{
    if (n == 0 && entry->desc != NULL)
        snprintf(out, 512, "%s", entry->desc);
    return 0;
}

/* What stands between the quotes after `key`; length 0 where it is not there. */
static size_t quoted(const char *text, const char *key, const char **out)
{
    const char *at = strstr(text, key);
    if (at == NULL)
        return 0;
    *out = at + strlen(key);
    return strcspn(*out, "'");
}

/* Where the system refused a call, HDF5 lists the call's arguments: "file write failed: time = .., filename = 'F', file
 * descriptor = 3, errno = 28, error message = 'No space left on device', buf = 0x.., ..". Kept are what failed, the file
 * and the reason. */
static void shorten(char text[512])
{
    char shorter[512];
    const char *file = "", *reason = "";
    size_t file_length = quoted(text, "name = '", &file), reason_length = quoted(text, "error message = '", &reason);
    if (reason_length == 0)
        return;
    snprintf(shorter, sizeof shorter, "%.*s: %.*s%s%.*s", (int)strcspn(text, ":,"), text, (int)file_length, file,
             file_length > 0 ? ": " : "", (int)reason_length, reason);
    memcpy(text, shorter, sizeof shorter);
}

static void innermost(char text[512])
{
    snprintf(text, 512, "no reason given");
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, take_innermost, text);
    H5Eclear2(H5E_DEFAULT);
    for (char *c = text; *c != '\0'; c++)
        if (*c == '\n')
            *c = ' ';
    shorten(text);
}

ws_err ws_h5_raise(const char *call, const char *file, int line, const char *function)
{
    char reason[512];
    innermost(reason);
    const char *name = strstr(call, "H5");
    if (name == NULL)
        name = call;
    ws_err error = ws_error_raise(WS_E_HDF5, file, line, function, "%.*s: %s", (int)strcspn(name, "( "), name, reason);
    if (strstr(reason, strerror(ENOSPC)) != NULL || strstr(reason, strerror(EDQUOT)) != NULL)
        WS_HINT("free space there, or write to another file system");
    return error;
}

/* Why the system would not open it, before HDF5 wraps the reason in its own words. */
static ws_err check_readable(const char *path, bool writable)
{
    int descriptor = open(path, (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NONBLOCK);
    if (descriptor < 0) {
        ws_err error = WS_ERROR(IO, "cannot open %s: %s", path, strerror(errno));
        if (errno == ENOENT)
            WS_HINT("check the path; it is taken relative to where the program runs, or to the file that names it");
        return error;
    }
    struct stat about;
    unsigned char first = 0;
    const bool regular = fstat(descriptor, &about) == 0 && (S_ISREG(about.st_mode) || S_ISDIR(about.st_mode));
    if (!regular)
        close(descriptor);
    WS_CHECK(regular, IO, "cannot read %s: it is no regular file", path); /* a pipe would wait for its writer */
    ssize_t count = read(descriptor, &first, 1);
    int reason = errno;
    close(descriptor);
    WS_CHECK(count >= 0, IO, "cannot read %s: %s", path, strerror(reason));
    WS_CHECK(count > 0, FORMAT, "%s is empty, not an HDF5 file", path);
    return WS_OK;
}

/* Before HDF5 opens a file through MPI, every rank tries by itself: an open that fails on some ranks only cannot be undone,
 * since closing is collective too. */
static ws_err check_creatable(const char *path)
{
    int descriptor = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    if (descriptor < 0) {
        ws_err error = WS_ERROR(IO, "cannot create %s: %s", path, strerror(errno));
        WS_HINT("check that its folder exists on every machine, can be written and has room");
        return error;
    }
    close(descriptor);
    return WS_OK;
}

/* HDF5 says "truncated file: eof = 40000, sblock->base_addr = 0, stored_eof = 52000". */
static ws_err cut_short(const char *path, const char *reason)
{
    unsigned long long there, whole;
    const char *stored = strstr(reason, "stored_eof = ");
    ws_err error;
    if (stored != NULL && sscanf(stored, "stored_eof = %llu", &whole) == 1 &&
        sscanf(reason, "truncated file: eof = %llu", &there) == 1)
        error = WS_ERROR(FORMAT, "%s is incomplete: %llu of its %llu bytes are there", path, there, whole);
    else
        error = WS_ERROR(FORMAT, "%s is incomplete: %s", path, reason);
    WS_HINT("it was cut short while it was written or copied; make it or copy it again");
    return error;
}

static ws_err open_failed(const char *path)
{
    char reason[512];
    innermost(reason);
    ws_err error = WS_OK;
    if (strstr(reason, "signature") != NULL) {
        error = WS_ERROR(FORMAT, "%s is not an HDF5 file", path);
        WS_HINT("`wiresweep inspect %s` says what it is", path);
    } else if (strstr(reason, "truncated") != NULL) {
        error = cut_short(path, reason);
    } else if (strstr(reason, "lock") != NULL) {
        error = WS_ERROR(IO, "cannot open %s: %s", path, reason);
        WS_HINT("another process writes it; where the file system knows no locks, set HDF5_USE_FILE_LOCKING=FALSE");
    } else {
        error = WS_ERROR(HDF5, "cannot open %s: %s", path, reason);
    }
    return error;
}

/* Access: left-open objects are closed with the file; with `comm`, through MPI-IO with metadata read and written
 * together. */
static ws_err access_list(const ws_comm *comm, hid_t *out)
{
    hid_t list = H5Pcreate(H5P_FILE_ACCESS);
    WS_H5(list);
    herr_t status = H5Pset_fclose_degree(list, H5F_CLOSE_STRONG);
    if (status >= 0 && comm != NULL) {
        status = H5Pset_fapl_mpio(list, comm->mpi, MPI_INFO_NULL);
        if (status >= 0)
            status = H5Pset_all_coll_metadata_ops(list, true);
        if (status >= 0)
            status = H5Pset_coll_metadata_write(list, true);
    }
    if (status < 0) {
        ws_err error = ws_h5_raise("H5Pset", __FILE__, __LINE__, __func__);
        H5Pclose(list);
        return error;
    }
    *out = list;
    return WS_OK;
}

/* comm NULL: one process alone. */
static ws_err create_file(const ws_comm *comm, const char *path, hid_t *out)
{
    hid_t list = -1;
    *out = -1;
    WS_TRY(access_list(comm, &list));
    hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, list);
    ws_err error = WS_OK;
    if (file < 0) {
        char reason[512];
        innermost(reason);
        error = WS_ERROR(IO, "cannot create %s: %s", path, reason);
        WS_HINT("check that its folder exists, can be written and has room");
    }
    H5Pclose(list);
    *out = file;
    return error;
}

static ws_err open_file(const ws_comm *comm, const char *path, bool writable, hid_t *out)
{
    hid_t list = -1;
    *out = -1;
    WS_TRY(access_list(comm, &list));
    hid_t file = H5Fopen(path, writable ? H5F_ACC_RDWR : H5F_ACC_RDONLY, list);
    ws_err error = file < 0 ? open_failed(path) : WS_OK;
    H5Pclose(list);
    *out = file;
    return error;
}

ws_err ws_h5_create_all(const ws_comm *comm, const char *path, hid_t *out)
{
    *out = -1;
    WS_TRY(ws_agree_all(comm, check_creatable(path)));
    ws_err error = ws_agree_all(comm, create_file(comm->size > 1 ? comm : NULL, path, out));
    if (error != WS_OK && *out >= 0) {
        H5Fclose(*out);
        *out = -1;
    }
    WS_TRY(error);
    return WS_OK;
}

ws_err ws_h5_open_all(const ws_comm *comm, const char *path, bool writable, hid_t *out)
{
    *out = -1;
    WS_TRY(ws_agree_all(comm, check_readable(path, writable)));
    ws_err error = ws_agree_all(comm, open_file(comm->size > 1 ? comm : NULL, path, writable, out));
    if (error != WS_OK && *out >= 0) {
        H5Fclose(*out);
        *out = -1;
    }
    WS_TRY(error);
    return WS_OK;
}

ws_err ws_h5_create(const char *path, hid_t *out)
{
    WS_TRY(create_file(NULL, path, out));
    return WS_OK;
}

ws_err ws_h5_open(const char *path, hid_t *out)
{
    *out = -1;
    WS_TRY(check_readable(path, false));
    WS_TRY(open_file(NULL, path, false, out));
    return WS_OK;
}

ws_err ws_h5_close(hid_t *file)
{
    hid_t open_file_id = *file;
    *file = -1;
    if (open_file_id < 0)
        return WS_OK;
    ws_err error = WS_OK;
    if (H5Fflush(open_file_id, H5F_SCOPE_LOCAL) < 0)
        error = ws_h5_raise("H5Fflush", __FILE__, __LINE__, __func__);
    if (H5Fclose(open_file_id) < 0 && error == WS_OK)
        error = ws_h5_raise("H5Fclose", __FILE__, __LINE__, __func__);
    return error;
}

bool ws_h5_exists(hid_t location, const char *path)
{
    char prefix[1024];
    size_t length = strlen(path);
    if (length >= sizeof prefix)
        return false;
    /* H5Lexists looks at the last link only and fails where one before it is absent. */
    for (size_t i = 1; i <= length; i++) {
        if (path[i] != '/' && path[i] != '\0')
            continue;
        memcpy(prefix, path, i);
        prefix[i] = '\0';
        if (strcmp(prefix, ".") == 0 || strcmp(prefix, "/") == 0)
            continue;
        if (H5Lexists(location, prefix, H5P_DEFAULT) <= 0) {
            H5Eclear2(H5E_DEFAULT);
            return false;
        }
    }
    return length > 0;
}
