/* Loaded into a program by tests (LD_PRELOAD): of the writes to files whose paths match WIRESWEEP_FAIL_PATH one fails with an
 * input/output error, in the rank WIRESWEEP_FAIL_RANK, after the first WIRESWEEP_FAIL_AFTER of them.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fnmatch.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *setting(const char *name)
{
    const char *value = getenv(name);
    return value != NULL ? value : "";
}

static bool fails(int descriptor)
{
    static atomic_long done;
    char link[64], path[4096];
    if (strcmp(setting("WIRESWEEP_FAIL_RANK"), setting("OMPI_COMM_WORLD_RANK")) != 0)
        return false;
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    const ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0)
        return false;
    path[length] = '\0';
    return fnmatch(setting("WIRESWEEP_FAIL_PATH"), path, 0) == 0 &&
           atomic_fetch_add(&done, 1) == atol(setting("WIRESWEEP_FAIL_AFTER"));
}

typedef ssize_t write_at(int, const void *, size_t, off_t);
static ssize_t write_or_fail(const char *name, int descriptor, const void *data, size_t bytes, off_t offset)
{
    write_at *next;
    *(void **)&next = dlsym(RTLD_NEXT, name);
    if (fails(descriptor)) {
        errno = EIO;
        return -1;
    }
    return next(descriptor, data, bytes, offset);
}

ssize_t pwrite(int descriptor, const void *data, size_t bytes, off_t offset)
{
    return write_or_fail("pwrite", descriptor, data, bytes, offset);
}

ssize_t pwrite64(int descriptor, const void *data, size_t bytes, off_t offset)
{
    return write_or_fail("pwrite64", descriptor, data, bytes, offset);
}
