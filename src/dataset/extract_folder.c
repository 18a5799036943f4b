/* The folder NAME.partial of a run: taken by one run at a time, searched for a state to go on from, emptied of what is of no
 * use, removed at the end. Never removes what an extraction has not put there. What is in a state is extract_checkpoint.c's.
 */
#include "dataset/extract_checkpoint.h"
#include "dataset/store_layout.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { KEPT_CHECKPOINTS = 2 };

char *extract_folder_checkpoint(const char *folder, uint64_t number)
{
    return ws_format("%s/checkpoint-%04" PRIu64, folder, number);
}

/* "segment-0012.h5": prefix "segment-", suffix ".h5". */
static bool numbered(const char *name, const char *prefix, const char *suffix, uint64_t *number)
{
    const size_t length = strlen(prefix);
    char *end = NULL;
    if (strncmp(name, prefix, length) != 0 || name[length] < '0' || name[length] > '9')
        return false;
    *number = strtoull(name + length, &end, 10);
    return strcmp(end, suffix) == 0;
}

/* ---------------------------------------------------------------- removing */
/* Unchecked throughout: what stays is overwritten or passed over by a later run. */
static void remove_entry(const char *folder, const char *name, bool directory)
{
    char *path = ws_path_join(folder, name);
    if (path != NULL && directory && ws_directory_remove(path) != WS_OK)
        ws_error_clear();
    if (path != NULL && !directory)
        unlink(path);
    free(path);
}

void extract_folder_prune(const char *folder, uint64_t last)
{
    DIR *entries = opendir(folder);
    if (entries == NULL)
        return;
    for (struct dirent *entry = readdir(entries); entry != NULL; entry = readdir(entries)) {
        uint64_t number;
        const char *name = entry->d_name;
        if (numbered(name, "segment-", ".h5", &number) && number >= last)
            remove_entry(folder, name, false);
        else if (numbered(name, "checkpoint-", "", &number) && (number > last || number + KEPT_CHECKPOINTS <= last))
            remove_entry(folder, name, true);
        else if (strcmp(name, "assembled.h5") == 0 || strstr(name, ".h5.locktest.") != NULL)
            remove_entry(folder, name, false); /* the latter: MPI tries locks so when it opens a file */
    }
    closedir(entries);
}

/* ---------------------------------------------------------------- the lock */
static ws_err refuse_locked(const char *folder, int lock)
{
    char owner[128] = "";
    ssize_t length = pread(lock, owner, sizeof owner - 1, 0);
    owner[length > 0 ? strcspn(owner, "\n") : 0] = '\0';
    ws_err error =
        WS_ERROR(ARGUMENT, "%s: another extraction writes there (%s)", folder, owner[0] != '\0' ? owner : "?");
    WS_HINT("wait for its end, or write to another name with -o");
    return error;
}

/* The lock of a run that ended just now may be on a file that is no longer there: then once more. */
static ws_err take_lock(const char *folder, int *out)
{
    struct stat about;
    char *path = ws_path_join(folder, "lock"), owner[128];
    WS_CHECK(path != NULL, MEMORY, "no memory for the path %s", folder);
    ws_err error = WS_OK;
    for (*out = -1; error == WS_OK && *out < 0;) {
        error = ws_directory_create(folder);
        int lock = error == WS_OK ? open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666) : -1;
        if (error == WS_OK && lock < 0 && errno != ENOENT)
            error = WS_ERROR(IO, "cannot create %s: %s", path, strerror(errno));
        if (lock < 0)
            continue;
        if (flock(lock, LOCK_EX | LOCK_NB) != 0 &&
            errno == EWOULDBLOCK) /* other failures: no locks on this file system */
            error = refuse_locked(folder, lock);
        else if (fstat(lock, &about) == 0 && about.st_nlink > 0)
            *out = lock;
        if (*out < 0)
            close(lock);
    }
    free(path);
    WS_TRY(error);
    int length = snprintf(owner, sizeof owner, "process %ld on %s\n", (long)getpid(), ws_host_name());
    if (ftruncate(*out, 0) != 0 || pwrite(*out, owner, (size_t)length, 0) < 0)
        return WS_OK; /* it only tells who it is */
    return WS_OK;
}

/* A file of that name: left behind by a program that wrote stores in one file, or somebody's. */
static ws_err clear_file(const char *path)
{
    struct stat about;
    if (lstat(path, &about) != 0 || S_ISDIR(about.st_mode))
        return WS_OK;
    unsigned char head[8] = {0};
    int file = S_ISREG(about.st_mode) ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    const bool store =
        file >= 0 && read(file, head, sizeof head) == sizeof head && memcmp(head, "\x89HDF\r\n\x1a\n", 8) == 0;
    if (file >= 0)
        close(file);
    WS_CHECK(store && unlink(path) == 0, ARGUMENT, "%s is in the way; remove it, or write to another name with -o",
             path);
    return WS_OK;
}

/* ---------------------------------------------------------------- states */
static int compare_down(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x < y) - (x > y);
}

/* Numbers of checkpoints that have a manifest, newest first. */
static ws_err list_checkpoints(const char *folder, uint64_t **out, size_t *count)
{
    DIR *entries = opendir(folder);
    size_t capacity = 0;
    *out = NULL;
    *count = 0;
    WS_CHECK(entries != NULL, IO, "cannot read the folder %s: %s", folder, strerror(errno));
    ws_err error = WS_OK;
    for (struct dirent *entry = readdir(entries); entry != NULL && error == WS_OK; entry = readdir(entries)) {
        uint64_t number;
        if (!numbered(entry->d_name, "checkpoint-", "", &number) || number == 0)
            continue;
        char *path = ws_format("%s/%s/manifest.json", folder, entry->d_name);
        error =
            path == NULL ? WS_ERROR(MEMORY, "no memory for the path %s", folder) : WS_GROW(*out, capacity, *count + 1);
        if (error == WS_OK && ws_file_exists(path))
            (*out)[(*count)++] = number;
        free(path);
    }
    closedir(entries);
    if (*count > 1)
        qsort(*out, *count, sizeof **out, compare_down);
    WS_TRY(error);
    return WS_OK;
}

static ws_err check_size(const char *path, double bytes)
{
    struct stat about;
    const bool there = stat(path, &about) == 0;
    WS_CHECK(there || errno != ENOENT, FORMAT, "%s is missing", path);
    WS_CHECK(there, IO, "%s: %s", path, strerror(errno));
    WS_CHECK((double)about.st_size == bytes, FORMAT, "%s has %lld bytes, not %.0f", path, (long long)about.st_size,
             bytes);
    return WS_OK;
}

static ws_err check_file(const char *checkpoint, const cJSON *file)
{
    const cJSON *name = cJSON_GetObjectItemCaseSensitive(file, "name");
    const cJSON *bytes = cJSON_GetObjectItemCaseSensitive(file, "bytes");
    const cJSON *sha256 = cJSON_GetObjectItemCaseSensitive(file, "sha256");
    ws_digest digest;
    char hex[65];
    WS_CHECK(cJSON_IsString(name) && cJSON_IsNumber(bytes) && cJSON_IsString(sha256), FORMAT,
             "%s: its manifest is not one", checkpoint);
    char *path = ws_path_join(checkpoint, name->valuestring);
    WS_CHECK(path != NULL, MEMORY, "no memory for the path %s", checkpoint);
    ws_err error = check_size(path, bytes->valuedouble);
    if (error == WS_OK)
        error = ws_sha256_file(path, &digest);
    if (error == WS_OK) {
        ws_digest_hex(&digest, hex);
        if (strcmp(hex, sha256->valuestring) != 0)
            error = WS_ERROR(FORMAT, "%s was damaged: its SHA-256 is another one", path);
    }
    free(path);
    return error;
}

/* What the library cannot read any more was damaged, where the system can. */
static ws_err check_segment(const char *path, const cJSON *about)
{
    const cJSON *bytes = cJSON_GetObjectItemCaseSensitive(about, "bytes");
    const cJSON *content = cJSON_GetObjectItemCaseSensitive(about, "content_hash");
    const ws_comm alone = ws_comm_self();
    char hex[65];
    WS_CHECK(cJSON_IsNumber(bytes) && cJSON_IsString(content), FORMAT, "%s: its checkpoint does not know it", path);
    WS_TRY(check_size(path, bytes->valuedouble));
    ws_err error = ws_store_hash_all(&alone, path, NULL, 0, hex);
    if (error == WS_E_HDF5 || (error == WS_OK && strcmp(hex, content->valuestring) != 0))
        error = WS_ERROR(FORMAT, "%s was damaged: its content has another hash", path);
    return error;
}

/* This rank's share of the files and segments. */
static ws_err check_share(const ws_comm *comm, const char *folder, const char *checkpoint, const cJSON *manifest,
                          uint64_t number)
{
    const cJSON *files = cJSON_GetObjectItemCaseSensitive(manifest, "files");
    const cJSON *segments = cJSON_GetObjectItemCaseSensitive(manifest, "segments");
    uint64_t k = 0;
    const uint64_t rank = (uint64_t)comm->rank, ranks = (uint64_t)comm->size;
    WS_CHECK(cJSON_IsArray(files), FORMAT, "%s: its manifest is not one", checkpoint);
    WS_CHECK(cJSON_IsArray(segments) && (uint64_t)cJSON_GetArraySize(segments) == number, FORMAT,
             "%s: a manifest of other segments", folder);
    for (const cJSON *one = files->child; one != NULL; one = one->next, k++)
        if (k % ranks == rank)
            WS_TRY(check_file(checkpoint, one));
    k = 0;
    for (const cJSON *one = segments->child; one != NULL; one = one->next, k++) {
        if (k % ranks != rank)
            continue;
        char *path = ws_store_segment_path(folder, k);
        ws_err error = path == NULL ? WS_ERROR(MEMORY, "no memory for the path %s", folder) : check_segment(path, one);
        free(path);
        WS_TRY(error);
    }
    return WS_OK;
}

static ws_err read_manifest(const char *checkpoint, char **text)
{
    size_t bytes;
    char *path = ws_path_join(checkpoint, "manifest.json");
    *text = NULL;
    WS_CHECK(path != NULL, MEMORY, "no memory for the path %s", checkpoint);
    ws_err error = ws_file_read(path, text, &bytes);
    free(path);
    return error;
}

/* The manifest of a checkpoint whose files are all as they were written; an error where it is not sound. */
static ws_err open_checkpoint_all(const ws_comm *comm, const char *folder, uint64_t number, cJSON **out)
{
    char *path = extract_folder_checkpoint(folder, number), *text = NULL;
    *out = NULL;
    ws_err error = path == NULL ? WS_ERROR(MEMORY, "no memory for the path %s", folder) : WS_OK;
    if (error == WS_OK && comm->rank == 0)
        error = read_manifest(path, &text);
    error = ws_agree_all(comm, error);
    if (error == WS_OK)
        error = ws_broadcast_text_all(comm, &text, 0);
    if (error == WS_OK) {
        *out = text != NULL ? cJSON_Parse(text) : NULL;
        error = *out == NULL ? WS_ERROR(FORMAT, "%s: its manifest was damaged", path)
                             : check_share(comm, folder, path, *out, number);
        error = ws_agree_all(comm, error);
    }
    free(text);
    free(path);
    if (error != WS_OK) {
        cJSON_Delete(*out);
        *out = NULL;
    }
    return error;
}

static ws_err compare_identity_all(extraction *x, const cJSON *manifest)
{
    extract_checkpoint *state = x->checkpoint;
    WS_TRY(extract_identity_make_all(x, &state->identity));
    state->identified = true;
    ws_err error = WS_OK;
    if (x->comm->rank == 0) {
        ws_text difference = {0};
        bool same = false;
        cJSON *now = cJSON_Parse(state->identity);
        error =
            extract_identity_compare(cJSON_GetObjectItemCaseSensitive(manifest, "identity"), now, &same, &difference);
        if (error == WS_OK && !same) {
            error = WS_ERROR(ARGUMENT, "%s cannot be resumed: %s", state->folder, ws_text_string(&difference));
            WS_HINT("repeat the command as it was, or start from the beginning: rm -r %s", state->folder);
        }
        cJSON_Delete(now);
        ws_text_destroy(&difference);
    }
    WS_AGREE(x->comm, error);
    return WS_OK;
}

/* The segments of a sound checkpoint. */
static ws_err take_segments(extract_checkpoint *state, const cJSON *manifest)
{
    const cJSON *segments = cJSON_GetObjectItemCaseSensitive(manifest, "segments");
    for (const cJSON *one = segments->child; one != NULL; one = one->next) {
        const cJSON *content = cJSON_GetObjectItemCaseSensitive(one, "content_hash");
        WS_TRY(WS_GROW(state->segments, state->segment_capacity, state->segment_count + 1));
        snprintf(state->segments[state->segment_count++].content_hash, sizeof state->segments->content_hash, "%s",
                 content->valuestring);
    }
    return WS_OK;
}

static double fraction_read(const cJSON *manifest)
{
    const cJSON *read = cJSON_GetObjectItemCaseSensitive(manifest, "read_bytes");
    const cJSON *total = cJSON_GetObjectItemCaseSensitive(manifest, "total_bytes");
    return cJSON_IsNumber(read) && cJSON_IsNumber(total) && total->valuedouble > 0
               ? read->valuedouble / total->valuedouble
               : 0;
}

/* The newest sound state, if any, becomes the one to go on from. */
static ws_err choose_checkpoint_all(extraction *x, const uint64_t *numbers, size_t count)
{
    extract_checkpoint *state = x->checkpoint;
    for (size_t k = 0; k < count && state->last == 0; k++) {
        cJSON *manifest;
        ws_err error = open_checkpoint_all(x->comm, state->folder, numbers[k], &manifest);
        if (error != WS_OK && error != WS_E_FORMAT) /* not damaged, only out of reach now */
            return ws_error_pass(error, __FILE__, __LINE__, __func__);
        if (error != WS_OK) {
            if (x->comm->rank == 0)
                ws_warn("checkpoint %llu of %s is passed over: %s", (unsigned long long)numbers[k], state->folder,
                        ws_error_message());
            ws_error_clear();
            continue;
        }
        error = compare_identity_all(x, manifest);
        if (error == WS_OK)
            error = ws_agree_all(x->comm, take_segments(state, manifest));
        if (error == WS_OK && x->comm->rank == 0)
            ws_info("%s: goes on behind %.0f %% of the input", state->folder, 100 * fraction_read(manifest));
        cJSON_Delete(manifest);
        WS_TRY(error);
        state->last = numbers[k];
    }
    if (state->last == 0 && x->comm->rank == 0)
        ws_info("%s: nothing to go on from; the extraction starts from the beginning", state->folder);
    return WS_OK;
}

/* ---------------------------------------------------------------- opening and closing */
static ws_err refuse_interrupted(const char *folder)
{
    ws_err error = WS_ERROR(ARGUMENT, "%s: an extraction that was interrupted is there", folder);
    WS_HINT("go on with it by the same command with --resume, or start from the beginning: rm -r %s", folder);
    return error;
}

/* By the first rank: the folder is this run's; what checkpoints there are. */
static ws_err take_folder(extraction *x, uint64_t **numbers, size_t *count)
{
    extract_checkpoint *state = x->checkpoint;
    WS_TRY(clear_file(state->folder));
    WS_TRY(take_lock(state->folder, &state->lock));
    state->open = true;
    WS_TRY(list_checkpoints(state->folder, numbers, count));
    if (*count > 0 && !x->options->resume) {
        close(state->lock); /* what is there is another run's */
        state->lock = -1;
        state->open = false;
        return refuse_interrupted(state->folder);
    }
    return WS_OK;
}

ws_err extract_folder_open_all(extraction *x)
{
    extract_checkpoint *state = NULL;
    uint64_t *own = NULL, *numbers = NULL;
    size_t count = 0, bytes = 0;
    ws_err local = WS_NEW(state);
    if (local == WS_OK) {
        x->checkpoint = state;
        state->lock = -1;
        state->folder = ws_format("%s.partial", x->options->output);
        local = state->folder == NULL ? WS_ERROR(MEMORY, "no memory for the path %s", x->options->output) : WS_OK;
    }
    if (local == WS_OK && x->comm->rank == 0)
        local = take_folder(x, &own, &count);
    ws_err error = ws_agree_all(x->comm, local);
    if (error == WS_OK)
        error = ws_gather_all(x->comm, own, count * sizeof *own, (void **)&numbers, &bytes, NULL);
    if (error == WS_OK && x->options->resume)
        error = choose_checkpoint_all(x, numbers, bytes / sizeof *numbers);
    if (error == WS_OK && x->comm->rank == 0)
        extract_folder_prune(state->folder, state->last);
    if (error == WS_OK)
        state->last_seconds = ws_clock_seconds();
    else if (x->comm->rank == 0 && state != NULL && count > 0) /* refused: all stays as it was */
        state->open = false;
    free(own);
    free(numbers);
    return error == WS_OK ? WS_OK : ws_error_pass(error, __FILE__, __LINE__, __func__);
}

/* A folder that cannot be removed holds what no extraction has put there. */
static void warn_left(const char *folder, int reason)
{
    char name[256] = "";
    DIR *entries = opendir(folder);
    for (struct dirent *entry; entries != NULL && name[0] == '\0' && (entry = readdir(entries)) != NULL;)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            snprintf(name, sizeof name, "%s", entry->d_name);
    if (entries != NULL)
        closedir(entries);
    if (name[0] != '\0')
        ws_warn("%s is left: %s in it is not the extraction's", folder, name);
    else
        ws_warn("%s is left: %s", folder, strerror(reason));
}

void extract_folder_close(extraction *x, ws_err outcome)
{
    extract_checkpoint *state = x->checkpoint;
    if (state == NULL)
        return;
    const bool finished = outcome == WS_OK || outcome == WS_E_PARTIAL;
    if (state->open && (finished || state->last == 0)) {
        extract_folder_prune(state->folder, 0);
        remove_entry(state->folder, "lock", false);
        if (rmdir(state->folder) != 0)
            warn_left(state->folder, errno);
    } else if (state->open) {
        extract_folder_prune(state->folder, state->last);
        if (outcome != WS_E_INTERRUPTED)
            ws_warn("%s has the state of the last checkpoint: the same command with --resume goes on from there",
                    state->folder);
    }
    if (state->lock >= 0)
        close(state->lock);
    free(state->segments);
    free(state->identity);
    free(state->folder);
    free(state);
    x->checkpoint = NULL;
}
