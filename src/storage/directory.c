/* Directories: made with their parents, removed with their content. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "storage/storage.h"

bool ws_directory_exists(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

static ws_err make_one(const char *path)
{
    if (mkdir(path, 0777) == 0 || (errno == EEXIST && ws_directory_exists(path)))
        return WS_OK;
    int reason = errno;
    ws_err error = WS_ERROR(IO, "cannot make the folder %s: %s", path, strerror(reason));
    if (reason == EEXIST)
        WS_HINT("a file has that name; remove it or choose another folder");
    return error;
}

ws_err ws_directory_create(const char *path)
{
    if (ws_directory_exists(path))
        return WS_OK;
    WS_CHECK(path[0] != '\0', ARGUMENT, "the folder to make has no name");
    char *prefix = ws_format("%s", path);
    WS_CHECK(prefix != NULL, MEMORY, "no memory for the path %s", path);
    ws_err error = WS_OK;
    for (char *slash = strchr(prefix + 1, '/'); slash != NULL && error == WS_OK; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (!ws_directory_exists(prefix)) /* a parent may be there without our being allowed to make it */
            error = make_one(prefix);
        *slash = '/';
    }
    if (error == WS_OK)
        error = make_one(prefix);
    free(prefix);
    WS_TRY(error);
    return WS_OK;
}

/* Removes what `name` in `parent` is; links are removed, never followed. */
static ws_err remove_entry(int parent, const char *name, const char *shown)
{
    if (unlinkat(parent, name, 0) == 0 || errno == ENOENT)
        return WS_OK;
    int reason = errno; /* EISDIR, or EPERM on other systems, for a folder */
    int descriptor = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (descriptor < 0 && errno != ENOTDIR)
        reason = errno;
    WS_CHECK(descriptor >= 0, IO, "cannot remove %s/%s: %s", shown, name, strerror(reason));
    DIR *directory = fdopendir(descriptor);
    if (directory == NULL) {
        ws_err error = WS_ERROR(IO, "cannot read the folder %s/%s: %s", shown, name, strerror(errno));
        close(descriptor);
        return error;
    }
    ws_err error = WS_OK;
    for (struct dirent *entry = readdir(directory); entry != NULL && error == WS_OK; entry = readdir(directory))
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            error = remove_entry(descriptor, entry->d_name, name);
    closedir(directory);
    if (error == WS_OK && unlinkat(parent, name, AT_REMOVEDIR) != 0 && errno != ENOENT)
        error = WS_ERROR(IO, "cannot remove the folder %s/%s: %s", shown, name, strerror(errno));
    return error;
}

ws_err ws_directory_remove(const char *path)
{
    WS_TRY(remove_entry(AT_FDCWD, path, "."));
    return WS_OK;
}
