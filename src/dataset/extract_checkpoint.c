/* Checkpoints: when, how, and from the last one on. A checkpoint is all rows up to now in segments, the states of the ranks
 * and of the run in files, and a manifest that makes them one; it counts once that is on the disk.
 *
 * Flows that wait in files for want of memory are brought up to date first (extract_spill.c). Where a checkpoint takes long, the
 * next one comes so much later that they stay a small part of the run.
 */
#include "dataset/extract_checkpoint.h"
#include "dataset/store_layout.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { RUN_TO_CHECKPOINTS = 16 }; /* time between checkpoints to the time that one takes, at least */

/* ---------------------------------------------------------------- the manifest */
typedef struct file_mark {
    uint64_t bytes;
    ws_digest digest;
} file_mark;

static void add_mark(cJSON *files, const char *name, const file_mark *mark)
{
    char hex[65];
    cJSON *one = cJSON_CreateObject();
    ws_digest_hex(&mark->digest, hex);
    cJSON_AddStringToObject(one, "name", name);
    cJSON_AddNumberToObject(one, "bytes", (double)mark->bytes);
    cJSON_AddStringToObject(one, "sha256", hex);
    cJSON_AddItemToArray(files, one);
}

static ws_err add_segments(cJSON *root, const extraction *x, uint64_t number)
{
    cJSON *segments = cJSON_AddArrayToObject(root, "segments");
    for (uint64_t segment = 0; segment < number; segment++) {
        struct stat about;
        char *path = ws_store_segment_path(x->checkpoint->folder, segment);
        WS_CHECK(path != NULL, MEMORY, "no memory for the path %s", x->checkpoint->folder);
        const bool there = stat(path, &about) == 0;
        ws_err error = there ? WS_OK : WS_ERROR(IO, "%s: %s", path, strerror(errno));
        free(path);
        WS_TRY(error);
        cJSON *one = cJSON_CreateObject();
        cJSON_AddNumberToObject(one, "bytes", (double)about.st_size);
        cJSON_AddStringToObject(one, "content_hash", x->checkpoint->segments[segment].content_hash);
        cJSON_AddItemToArray(segments, one);
    }
    return WS_OK;
}

static ws_err write_manifest(const extraction *x, const char *checkpoint, uint64_t number, const file_mark *ranks,
                             const file_mark *run)
{
    cJSON *root = cJSON_CreateObject();
    ws_text text = {0};
    char *path = ws_path_join(checkpoint, "manifest.json");
    cJSON_AddItemToObject(root, "identity", cJSON_Parse(x->checkpoint->identity));
    cJSON_AddStringToObject(root, "version", ws_version());
    cJSON_AddNumberToObject(root, "read_bytes", (double)x->round_begin);
    cJSON_AddNumberToObject(root, "total_bytes", (double)x->total_bytes);
    cJSON *files = cJSON_AddArrayToObject(root, "files");
    add_mark(files, "run", run);
    for (int r = 0; r < x->comm->size; r++) {
        char name[32];
        snprintf(name, sizeof name, "rank-%04d", r);
        add_mark(files, name, &ranks[r]);
    }
    ws_err error =
        path == NULL ? WS_ERROR(MEMORY, "no memory for the path %s", checkpoint) : add_segments(root, x, number);
    if (error == WS_OK)
        error = ws_json_pretty(root, &text);
    if (error == WS_OK)
        error = ws_file_write(path, ws_text_string(&text), text.length);
    cJSON_Delete(root);
    ws_text_destroy(&text);
    free(path);
    return error;
}

/* ---------------------------------------------------------------- a checkpoint */
static ws_err write_rank_file(extraction *x, const char *checkpoint, file_mark *mark)
{
    extract_state_file file;
    char name[32];
    snprintf(name, sizeof name, "rank-%04d", x->comm->rank);
    ws_err error = extract_state_create(&file, checkpoint, name);
    if (error == WS_OK)
        error = extract_ranks_write(x, &file);
    if (error == WS_OK)
        error = extract_state_finish(&file, &mark->digest);
    mark->bytes = file.bytes;
    extract_state_close(&file);
    return error;
}

static ws_err write_run_file(const extraction *x, const char *checkpoint, const extract_run *state, file_mark *mark)
{
    extract_state_file file;
    ws_err error = extract_state_create(&file, checkpoint, "run");
    if (error == WS_OK)
        error = extract_run_write(x, state, &file);
    if (error == WS_OK)
        error = extract_state_finish(&file, &mark->digest);
    mark->bytes = file.bytes;
    extract_state_close(&file);
    return error;
}

static ws_err write_files_all(extraction *x, const char *checkpoint, uint64_t number, file_mark *marks)
{
    extract_run state = {0};
    file_mark own = {0}, run = {0};
    ws_err error = ws_agree_all(x->comm, x->comm->rank == 0 ? ws_directory_create(checkpoint) : WS_OK);
    if (error == WS_OK)
        error = extract_run_collect_all(x, &state);
    if (error == WS_OK)
        error = ws_agree_all(x->comm, write_rank_file(x, checkpoint, &own));
    if (error == WS_OK)
        error = ws_gather_equal_all(x->comm, &own, sizeof own, marks);
    if (error == WS_OK && x->comm->rank == 0) {
        error = write_run_file(x, checkpoint, &state, &run);
        if (error == WS_OK)
            error = write_manifest(x, checkpoint, number, marks, &run);
    }
    extract_run_destroy(&state);
    return ws_agree_all(x->comm, error);
}

/* Everything before this point is in segments or in the state. */
static ws_err checkpoint_all(extraction *x)
{
    extract_checkpoint *own = x->checkpoint;
    const uint64_t number = own->last + 1;
    const double start = ws_clock_seconds();
    file_mark *marks = NULL;
    if (!own->identified)
        WS_TRY(extract_identity_make_all(x, &own->identity));
    own->identified = true;
    WS_TRY(extract_route_finish_all(x));
    WS_TRY(extract_rows_settle_all(x, extract_spill_settle(x, extract_take_flow), true));
    WS_AGREE(x->comm, WS_GROW(own->segments, own->segment_capacity, own->segment_count + 1));
    WS_TRY(ws_store_writer_cut_all(x->writer, own->segments[own->segment_count++].content_hash));
    char *path = extract_folder_checkpoint(own->folder, number);
    ws_err local = path == NULL ? WS_ERROR(MEMORY, "no memory for the path %s", own->folder)
                                : WS_NEW_ARRAY(marks, (size_t)x->comm->size);
    ws_err error = ws_agree_all(x->comm, local);
    if (error == WS_OK)
        error = write_files_all(x, path, number, marks);
    free(marks);
    free(path);
    WS_TRY(error);
    own->last = number;
    own->last_seconds = ws_clock_seconds();
    own->last_cost = own->last_seconds - start;
    own->last_begin = x->round_begin;
    if (x->comm->rank == 0)
        extract_folder_prune(own->folder, number);
    return WS_OK;
}

static ws_err stopped(const extraction *x)
{
    const char *folder = x->checkpoint->folder;
    ws_err error;
    if (x->checkpoint->last == 0) {
        error = WS_ERROR(INTERRUPTED, "extraction was stopped; %s %s",
                         x->append != NULL ? "nothing was added to" : "nothing is left of", x->options->output);
        WS_HINT("run the same command again: it starts from the beginning");
        return error;
    }
    error = WS_ERROR(INTERRUPTED, "extraction was stopped behind %.0f %% of the input; what was done is in %s",
                     100 * (double)x->checkpoint->last_begin / (double)x->total_bytes, folder);
    WS_HINT("the same command with --resume goes on from there, on any number of ranks");
    return error;
}

ws_err extract_checkpoint_pause_all(extraction *x)
{
    const extract_checkpoint *own = x->checkpoint;
    const ws_extract_options *options = x->options;
    const uint64_t since = x->round_begin - own->last_begin;
    const double passed = ws_clock_seconds() - own->last_seconds;
    const bool due = (options->checkpoint_seconds > 0 && passed >= options->checkpoint_seconds &&
                      passed >= RUN_TO_CHECKPOINTS * own->last_cost) ||
                     (options->checkpoint_bytes > 0 && since >= (uint64_t)options->checkpoint_bytes);
    int64_t wish[2] = {ws_stop_requested(), due};
    WS_TRY(ws_max_i64_all(x->comm, wish, 2));
    const bool stop = wish[0] != 0, wanted = (stop || wish[1] != 0) && since > 0;
    if (wanted)
        WS_TRY(checkpoint_all(x));
    if (stop)
        return stopped(x);
    if (wanted)
        WS_TRY(ws_store_writer_continue_all(x->writer));
    return WS_OK;
}

/* ---------------------------------------------------------------- going on */
static ws_err read_run_all(const extraction *x, const char *checkpoint, uint8_t **out, size_t *bytes)
{
    char *path = ws_path_join(checkpoint, "run"), *own = NULL;
    size_t own_bytes = 0;
    ws_err local = path == NULL ? WS_ERROR(MEMORY, "no memory for the path %s", checkpoint) : WS_OK;
    if (local == WS_OK && x->comm->rank == 0)
        local = ws_file_read(path, &own, &own_bytes);
    ws_err error = ws_agree_all(x->comm, local);
    if (error == WS_OK)
        error = ws_gather_all(x->comm, own, own_bytes, (void **)out, bytes, NULL);
    free(own);
    free(path);
    return error;
}

ws_err extract_checkpoint_restore_all(extraction *x)
{
    if (x->checkpoint->last == 0)
        return WS_OK;
    char *path = extract_folder_checkpoint(x->checkpoint->folder, x->checkpoint->last);
    uint8_t *run = NULL;
    size_t bytes = 0;
    uint64_t ranks = 0;
    ws_err error = ws_agree_all(
        x->comm, path == NULL ? WS_ERROR(MEMORY, "no memory for the path %s", x->checkpoint->folder) : WS_OK);
    if (error == WS_OK)
        error = read_run_all(x, path, &run, &bytes);
    if (error == WS_OK) {
        error = ws_agree_all(x->comm, extract_run_take(x, run, bytes, &ranks));
    }
    if (error == WS_OK)
        error = extract_ranks_restore_all(x, path, ranks);
    free(run);
    free(path);
    return error == WS_OK ? WS_OK : ws_error_pass(error, __FILE__, __LINE__, __func__);
}
