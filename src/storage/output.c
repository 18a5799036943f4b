/* Whether a result may go to a path: asked before the work starts, so that nobody's file is lost to a slip of the
 * command line and no hour of work ends at a folder that is not there. Does not create anything. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "storage/storage.h"

static ws_err check_folder_of(const char *path)
{
    char *folder = ws_path_directory(path);
    WS_CHECK(folder != NULL, MEMORY, "no memory for the path %s", path);
    ws_err error = WS_OK;
    if (!ws_directory_exists(folder)) {
        error = WS_ERROR(IO, "cannot create %s: there is no folder %s", path, folder);
        WS_HINT("make it with: mkdir -p %s", folder);
    } else if (access(folder, W_OK | X_OK) != 0) {
        error = WS_ERROR(IO, "cannot create %s: the folder %s: %s", path, folder, strerror(errno));
        WS_HINT("write to a folder of your own");
    }
    free(folder);
    return error;
}

/* The kind of file that is there, by its first bytes: every HDF5 file begins with this signature, and captures, like
 * other binary files, soon have a zero byte where text has none. */
static ws_err check_replaceable(const char *path, ws_output output)
{
    unsigned char head[64];
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0)
        return WS_OK; /* whoever may not read it may still replace it */
    ssize_t count = read(descriptor, head, sizeof head);
    close(descriptor);
    if (count <= 0)
        return WS_OK;
    bool is_hdf5 = count >= 8 && memcmp(head, "\x89HDF\r\n\x1a\n", 8) == 0;
    bool is_text = memchr(head, 0, (size_t)count) == NULL;
    if (output == WS_OUTPUT_STORE ? is_hdf5 : is_text)
        return WS_OK;
    ws_err error = WS_ERROR(ARGUMENT, "%s is there and is no %s; it is not replaced", path,
                            output == WS_OUTPUT_STORE ? "store" : "text file");
    WS_HINT("-o names the file to write; choose another name, or remove that file first");
    return error;
}

ws_err ws_output_check(const char *path, ws_output output)
{
    struct stat status;
    const size_t length = strlen(path);
    WS_CHECK(length > 0, ARGUMENT, "the output has no name (-o \"\")");
    if (output == WS_OUTPUT_STORE && strcmp(path, "-") == 0) {
        ws_err error = WS_ERROR(ARGUMENT, "-o -: a store is a file with places in it and cannot go to standard output");
        WS_HINT("name a file; one called - is ./-");
        return error;
    }
    bool there = stat(path, &status) == 0;
    WS_CHECK(path[length - 1] != '/' && !(there && S_ISDIR(status.st_mode)), ARGUMENT,
             "the output %s is a folder; name a file in it", path);
    WS_CHECK(!there || S_ISREG(status.st_mode), ARGUMENT, "the output %s is no regular file; name a file to make",
             path);
    WS_TRY(check_folder_of(path));
    if (there)
        WS_TRY(check_replaceable(path, output));
    if (lstat(path, &status) == 0 && S_ISLNK(status.st_mode)) { /* the rename would replace the link, not the file */
        ws_err error = WS_ERROR(ARGUMENT, "the output %s is a symbolic link; it is not replaced", path);
        WS_HINT("name the file that it leads to; for stdout, where a subcommand writes there, leave -o out");
        return error;
    }
    return WS_OK;
}
