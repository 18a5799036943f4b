/* Files of a state: written once from first to last, hashed on the way, brought to the disk. */
#include "dataset/extract_checkpoint.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static ws_err cannot_write(const extract_state_file *file, int reason)
{
    ws_err error = WS_ERROR(IO, "cannot write %s: %s", file->path, strerror(reason));
    WS_HINT("make room there, then the same command with --resume goes on from the checkpoint before, if there is one");
    return error;
}

ws_err extract_state_create(extract_state_file *file, const char *checkpoint, const char *name)
{
    memset(file, 0, sizeof *file);
    file->path = ws_path_join(checkpoint, name);
    WS_CHECK(file->path != NULL, MEMORY, "no memory for the path %s", checkpoint);
    WS_TRY(ws_sha256_create(&file->hash));
    file->stream = fopen(file->path, "wb");
    return file->stream != NULL ? WS_OK : cannot_write(file, errno);
}

ws_err extract_state_write(extract_state_file *file, const void *data, size_t bytes)
{
    if (bytes == 0)
        return WS_OK;
    if (fwrite(data, bytes, 1, file->stream) != 1)
        return cannot_write(file, errno);
    ws_sha256_update(file->hash, data, bytes);
    file->bytes += bytes;
    return WS_OK;
}

ws_err extract_state_finish(extract_state_file *file, ws_digest *out)
{
    if (fflush(file->stream) != 0 || fsync(fileno(file->stream)) != 0)
        return cannot_write(file, errno);
    *out = ws_sha256_finish(file->hash);
    return WS_OK;
}

void extract_state_close(extract_state_file *file)
{
    if (file->stream != NULL)
        fclose(file->stream);
    ws_sha256_destroy(&file->hash);
    free(file->path);
    memset(file, 0, sizeof *file);
}
