/* Files that are there whole or not at all, and journals of whole lines. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "storage/storage.h"

static ws_err raise_errno(const char *doing, const char *path, int reason)
{
    ws_err error = WS_ERROR(IO, "cannot %s %s: %s", doing, path, strerror(reason));
    if (reason == ENOSPC || reason == EDQUOT)
        WS_HINT("free space there, or write to another file system");
    else if (reason == ENOENT)
        WS_HINT("check the path and that its folder exists");
    return error;
}

static ws_err write_whole(int descriptor, const char *data, size_t bytes, const char *path)
{
    while (bytes > 0) {
        ssize_t written = write(descriptor, data, bytes < (1u << 30) ? bytes : (1u << 30));
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return raise_errno("write", path, errno);
        data += written;
        bytes -= (size_t)written;
    }
    return WS_OK;
}

/* A rename or a new name is safe on disk only when its directory is. */
static ws_err sync_directory_of(const char *path)
{
    char *directory = ws_path_directory(path);
    WS_CHECK(directory != NULL, MEMORY, "no memory for the path %s", path);
    ws_err error = WS_OK;
    int descriptor = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0)
        error = raise_errno("open the folder", directory, errno);
    else if (fsync(descriptor) != 0 && errno != EINVAL && errno != EROFS) /* some file systems cannot, and need not */
        error = raise_errno("flush the folder", directory, errno);
    if (descriptor >= 0)
        close(descriptor);
    free(directory);
    return error;
}

/* The whole content under a name of its own, flushed. Removed again on failure. */
static ws_err write_flushed(const char *path, const void *data, size_t bytes)
{
    int descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (descriptor < 0)
        return raise_errno("create", path, errno);
    ws_err error = write_whole(descriptor, data, bytes, path);
    if (error == WS_OK && fsync(descriptor) != 0)
        error = raise_errno("flush", path, errno);
    if (close(descriptor) != 0 && error == WS_OK)
        error = raise_errno("close", path, errno);
    if (error != WS_OK)
        unlink(path);
    return error;
}

ws_err ws_file_rename(const char *from, const char *to)
{
    if (rename(from, to) != 0) {
        ws_err error = WS_ERROR(IO, "cannot rename %s to %s: %s", from, to, strerror(errno));
        return error;
    }
    WS_TRY(sync_directory_of(to));
    return WS_OK;
}

ws_err ws_file_write(const char *path, const void *data, size_t bytes)
{
    char *partial = ws_format("%s.partial", path);
    WS_CHECK(partial != NULL, MEMORY, "no memory for the path %s", path);
    ws_err error = write_flushed(partial, data, bytes);
    if (error == WS_OK) {
        error = ws_file_rename(partial, path);
        if (error != WS_OK)
            unlink(partial);
    }
    free(partial);
    WS_TRY(error);
    return WS_OK;
}

/* Gives `partial` its final name unless that is taken. */
static ws_err publish_new(const char *partial, const char *path, bool *existed)
{
    if (link(partial, path) == 0)
        return sync_directory_of(path);
    int reason = errno;
    if (reason == EPERM || reason == EOPNOTSUPP || reason == ENOSYS || reason == EMLINK) {
        /* no hard links here (FAT, some network file systems) */
        if (renameat2(AT_FDCWD, partial, AT_FDCWD, path, RENAME_NOREPLACE) == 0)
            return sync_directory_of(path);
        reason = errno;
    }
    *existed = reason == EEXIST;
    return *existed ? WS_OK : raise_errno("create", path, reason);
}

ws_err ws_file_write_new(const char *path, const void *data, size_t bytes, bool *existed)
{
    *existed = false;
    /* Several processes may try at once: each under a name of its own. */
    char *partial = ws_format("%s.%s.%ld.partial", path, ws_host_name(), (long)getpid());
    WS_CHECK(partial != NULL, MEMORY, "no memory for the path %s", path);
    ws_err error = write_flushed(partial, data, bytes);
    if (error == WS_OK) {
        error = publish_new(partial, path, existed);
        unlink(partial);
    }
    free(partial);
    WS_TRY(error);
    return WS_OK;
}

static ws_err read_descriptor(int descriptor, const char *path, char **data, size_t *bytes)
{
    struct stat status;
    if (fstat(descriptor, &status) != 0)
        return raise_errno("read", path, errno);
    size_t capacity = 0, length = 0;
    WS_TRY(WS_GROW(*data, capacity, (size_t)status.st_size + 1));
    for (;;) {
        ssize_t count = read(descriptor, *data + length, capacity - length);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return raise_errno("read", path, errno);
        if (count == 0)
            break;
        length += (size_t)count;
        if (length == capacity) /* it grew, or has no size (as files of /proc) */
            WS_TRY(WS_GROW(*data, capacity, length + 4096));
    }
    (*data)[length] = '\0';
    *bytes = length;
    return WS_OK;
}

ws_err ws_file_read(const char *path, char **data, size_t *bytes)
{
    *data = NULL;
    *bytes = 0;
    const char *why;
    FILE *file = ws_open_regular(path, &why);
    if (file == NULL) {
        ws_err error = WS_ERROR(IO, "cannot open %s: %s", path, why);
        WS_HINT("check the path");
        return error;
    }
    ws_err error = read_descriptor(fileno(file), path, data, bytes);
    fclose(file);
    if (error != WS_OK) {
        free(*data);
        *data = NULL;
    }
    WS_TRY(error);
    return WS_OK;
}

/* One write call, so that lines of one file never mix; a line cut off by a dying writer is ended first. */
static ws_err append(int descriptor, const char *path, const char *line, bool *created)
{
    struct stat status;
    if (fstat(descriptor, &status) != 0)
        return raise_errno("append to", path, errno);
    *created = status.st_size == 0;
    char last = '\n';
    if (status.st_size > 0 && pread(descriptor, &last, 1, status.st_size - 1) != 1)
        return raise_errno("read the end of", path, errno);
    ws_text text = {0};
    if (last != '\n')
        ws_text_append(&text, "\n");
    ws_text_append(&text, line);
    ws_text_append(&text, "\n");
    ws_err error = ws_text_check(&text);
    if (error == WS_OK)
        error = write_whole(descriptor, ws_text_string(&text), text.length, path);
    if (error == WS_OK && fsync(descriptor) != 0)
        error = raise_errno("flush", path, errno);
    ws_text_destroy(&text);
    return error;
}

ws_err ws_file_append_line(const char *path, const char *line)
{
    WS_CHECK(strchr(line, '\n') == NULL, INTERNAL, "a journal line for %s holds a line break", path);
    int descriptor = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (descriptor < 0)
        return raise_errno("open", path, errno);
    bool created = false;
    ws_err error = append(descriptor, path, line, &created);
    if (close(descriptor) != 0 && error == WS_OK)
        error = raise_errno("close", path, errno);
    WS_TRY(error);
    if (created)
        WS_TRY(sync_directory_of(path));
    return WS_OK;
}

bool ws_file_exists(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && S_ISREG(status.st_mode);
}
