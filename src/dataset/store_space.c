/* store_space: room on the disk is made sure of before the ranks write together. A disk that fills up inside a collective
 * write leaves the ranks waiting for each other, and one that fills up while HDF5 closes a file leaves the library broken;
 * so the room is reserved first, where nothing can hang and the user gets one line.
 */
#include "dataset/store_layout.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum { RESERVE_AHEAD = 64 << 20 };

static ws_err no_room(const char *partial, uint64_t bytes, int reason)
{
    char amount[32];
    ws_format_bytes((double)bytes, amount);
    char *folder = ws_path_directory(partial);
    ws_err error = WS_ERROR(IO, "no room for %s, which needs %s so far: %s", partial, amount, strerror(reason));
    if (reason == EFBIG)
        WS_HINT("the limit of file sizes (ulimit -f) or the file system allows no more");
    else
        WS_HINT("free some space (df %s), or write the store elsewhere with -o", folder == NULL ? "." : folder);
    free(folder);
    return error;
}

/* Where the file system cannot reserve: what it says is free now. */
static ws_err check_free(int descriptor, const char *partial, uint64_t bytes)
{
    struct stat file;
    struct statvfs system;
    if (fstat(descriptor, &file) != 0 || fstatvfs(descriptor, &system) != 0)
        return WS_OK; /* nothing is known; the write itself will tell */
    uint64_t held = (uint64_t)file.st_blocks * 512, available = (uint64_t)system.f_bavail * system.f_frsize;
    return bytes <= held || bytes - held <= available ? WS_OK : no_room(partial, bytes, ENOSPC);
}

/* There a reservation takes pages and clears them, one rank for all, which costs more than the writing. */
static bool lies_in_memory(int descriptor)
{
    struct statfs system;
    return fstatfs(descriptor, &system) == 0 && system.f_type == TMPFS_MAGIC;
}

ws_err ws_store_check_limit(const char *partial, uint64_t bytes)
{
    struct rlimit limit;
    return getrlimit(RLIMIT_FSIZE, &limit) != 0 || bytes <= limit.rlim_cur ? WS_OK : no_room(partial, bytes, EFBIG);
}

ws_err ws_store_reserve(const char *partial, uint64_t bytes, uint64_t *reserved)
{
    /* In growing steps: each costs time. */
    const off_t ahead = bytes / 16 < RESERVE_AHEAD ? (off_t)(bytes / 16) : RESERVE_AHEAD;
    if (bytes <= *reserved)
        return WS_OK;
    int descriptor = open(partial, O_RDWR | O_CLOEXEC);
    WS_CHECK(descriptor >= 0, IO, "cannot open %s: %s", partial, strerror(errno));
    ws_err error = WS_OK;
    if (lies_in_memory(descriptor)) {
        error = check_free(descriptor, partial, bytes);
        close(descriptor);
        return error == WS_OK ? WS_OK : ws_error_pass(error, __FILE__, __LINE__, __func__);
    }
    const off_t begin = (off_t)*reserved, more = (off_t)(bytes - *reserved);
    *reserved = bytes;
    if (fallocate(descriptor, FALLOC_FL_KEEP_SIZE, begin, more + ahead) == 0) {
        *reserved += (uint64_t)ahead;
    } else if (fallocate(descriptor, FALLOC_FL_KEEP_SIZE, begin, more) != 0) {
        bool full = errno == ENOSPC || errno == EDQUOT || errno == EFBIG;
        error = full ? no_room(partial, bytes, errno) : check_free(descriptor, partial, bytes);
    }
    close(descriptor);
    WS_TRY(error);
    return WS_OK;
}

void ws_store_release(const char *partial, bool content)
{
    struct stat file;
    if (stat(partial, &file) == 0 && truncate(partial, content ? 0 : file.st_size) != 0)
        return; /* what is reserved beyond the end stays so; nothing depends on it */
}
