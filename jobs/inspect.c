/* wiresweep inspect: what is in a file: a store, a capture, a checkpoint or another HDF5 file, a sweep folder, JSON. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "dataset/dataset.h"
#include "jobs/job.h"
#include "sweep/sweep.h"

typedef struct inspect_options {
    ws_job_common common;
    bool hash;
} inspect_options;

static const ws_option fields[] = {
    WS_JOB_COMMON_OPTIONS(inspect_options),
    WS_OPTION_BOOL(inspect_options, hash, false, "of a store: the content hash, made again from all of its content"),
    WS_OPTION_END,
};
static const ws_option_table table = {"", sizeof(inspect_options), fields, ""};

/* All ranks share the reading. The hash that the store carries must agree. */
static ws_err print_hash(const ws_comm *world, const char *path, bool json)
{
    ws_store store;
    char hex[65], stored[65];
    WS_TRY(ws_store_open(&store, path));
    snprintf(stored, sizeof stored, "%s", store.content_hash);
    ws_store_close(&store);
    WS_TRY(ws_store_compute_hash_all(world, path, hex));
    if (strcmp(hex, stored) != 0) {
        ws_err error = WS_ERROR(FORMAT, "%s: the content has hash %s, the store says %s", path, hex, stored);
        WS_HINT("it was changed or damaged after it was written; make it or copy it again");
        return error;
    }
    if (world->rank == 0)
        printf(json ? "{\"content_hash\": \"%s\"}\n" : "%s\n", hex);
    return WS_OK;
}

static ws_err describe_store(const char *path, bool json, ws_text *out)
{
    ws_store store;
    WS_TRY(ws_store_open(&store, path));
    ws_err error = ws_store_describe(&store, json, out);
    ws_store_close(&store);
    WS_TRY(error);
    return WS_OK;
}

static ws_err describe_hdf5(const char *path, bool json, ws_text *out)
{
    hid_t file;
    WS_TRY(ws_h5_open(path, &file));
    /* By either mark: a damaged store is to be refused as one. */
    bool is_store = ws_h5_exists(file, "/flows/packet_start") || H5Aexists(file, "content_hash") > 0;
    H5Fclose(file);
    return is_store ? describe_store(path, json, out) : ws_hdf5_describe(path, json, out);
}

static ws_err describe_folder(const char *path, bool json, ws_text *out)
{
    char *sweep = ws_path_join(path, "sweep.json");
    WS_CHECK(sweep != NULL, MEMORY, "no memory for the path of %s", path);
    ws_err error = WS_OK;
    if (ws_file_exists(sweep)) {
        error = json ? ws_json_describe(sweep, json, out) : ws_sweep_status_describe(path, false, out);
    } else {
        error = WS_ERROR(ARGUMENT, "%s is a folder, and not that of a sweep (no sweep.json)", path);
        WS_HINT("give one of the files in it");
    }
    free(sweep);
    WS_TRY(error);
    return WS_OK;
}

static bool begins_like_json(const char *path)
{
    FILE *file = fopen(path, "rb");
    int c = ' ';
    while (file != NULL && c != EOF && isspace(c))
        c = getc(file);
    if (file != NULL)
        fclose(file);
    return c == '{';
}

static ws_err describe(const char *path, bool json, ws_text *out)
{
    if (ws_directory_exists(path))
        return describe_folder(path, json, out);
    WS_CHECK(ws_file_exists(path), IO, "%s: no such file", path);
    if (H5Fis_hdf5(path) > 0)
        return describe_hdf5(path, json, out);
    if (begins_like_json(path))
        return ws_json_describe(path, json, out);
    return ws_capture_describe(path, json, out);
}

static ws_err run(const ws_comm *world, const void *values, const ws_string_list *positional, ws_arena *arena)
{
    (void)arena;
    const inspect_options *options = values;
    WS_CHECK(positional->count == 1, ARGUMENT, "inspect takes one file: wiresweep inspect FILE");
    const char *path = positional->items[0];
    if (options->hash)
        return print_hash(world, path, options->common.json);
    if (world->rank != 0)
        return WS_OK;
    ws_text text = {0};
    ws_err error = describe(path, options->common.json, &text);
    if (error == WS_OK)
        fputs(ws_text_string(&text), stdout);
    ws_text_destroy(&text);
    WS_TRY(error);
    return WS_OK;
}

const ws_job ws_job_inspect = {
    .name = "inspect",
    .usage = "inspect [--json] [--hash] FILE",
    .help = "what is in a store, a capture, a checkpoint or a sweep folder",
    .example = "  wiresweep inspect flows.h5\n"
               "  mpirun -n 2 wiresweep inspect --hash flows.h5     (the content hash, made again from the content)",
    .options = &table,
    .collective = true,
    .run = run,
};
