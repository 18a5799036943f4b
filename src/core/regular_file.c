/* Opening the small files that a user names: options, labels, keys, lists. Whether their content is any good, the reader
 * says. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "core/text.h"

FILE *ws_open_regular(const char *path, const char **why)
{
    struct stat about;
    FILE *file = NULL;
    int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* else a pipe without a writer would block here */
    *why = NULL;
    if (descriptor >= 0 && fstat(descriptor, &about) == 0) {
        if (S_ISREG(about.st_mode))
            file = fdopen(descriptor, "rb");
        else
            *why = S_ISDIR(about.st_mode) ? "it is a folder" : "it is no regular file";
    }
    if (file == NULL && *why == NULL)
        *why = strerror(errno);
    if (file == NULL && descriptor >= 0)
        close(descriptor);
    return file;
}
