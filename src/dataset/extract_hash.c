/* SHA-256 of the inputs for provenance, taken by one thread a rank while the rank extracts: the files are read at about the
 * same time, so the second reading mostly finds them in the page cache. The thread calls neither MPI nor HDF5.
 */
#include "dataset/extract.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { HASH_BLOCK = 1 << 18 };

struct extract_hasher {
    const extraction *x;
    pthread_t thread;
    bool running;
    atomic_bool cancelled;
    uint64_t *words; /* four for each input; zero where another rank hashes, so that the sum over ranks is the digest */
    ws_err error;
    char *message; /* of the error: contexts of errors belong to threads */
};

/* Where a file ends that ends at or before `reached`: it may have shrunk further. */
static uint64_t ends_at(FILE *file, uint64_t reached)
{
    struct stat about;
    return fstat(fileno(file), &about) == 0 && (uint64_t)about.st_size < reached ? (uint64_t)about.st_size : reached;
}

/* Of the first `bytes` bytes: of what the run reads, also where the file grew since. */
static ws_err hash_input(extract_hasher *h, const extract_input *input, ws_sha256 *hash, uint8_t *block, ws_digest *out)
{
    ws_err error = WS_OK;
    FILE *file = fopen(input->path, "rb");
    WS_CHECK(file != NULL, IO, "%s: cannot be opened again to take its SHA-256", input->path);
    for (uint64_t at = 0; at < input->bytes && !atomic_load(&h->cancelled);) {
        size_t wanted = input->bytes - at < HASH_BLOCK ? (size_t)(input->bytes - at) : HASH_BLOCK;
        size_t got = fread(block, 1, wanted, file);
        WS_CHECK_GOTO(done, got == wanted, IO,
                      "%s: ends at byte %" PRIu64 ", but had %" PRIu64 " bytes when it was opened", input->path,
                      ends_at(file, at + got), input->bytes);
        ws_sha256_update(hash, block, got);
        at += got;
    }
    *out = ws_sha256_finish(hash);
done:
    fclose(file);
    return error;
}

static ws_err hash_own_inputs(extract_hasher *h)
{
    const extraction *x = h->x;
    ws_sha256 *hash = NULL;
    uint8_t *block = NULL;
    ws_err error = WS_OK;
    WS_TRY_GOTO(done, ws_sha256_create(&hash));
    WS_TRY_GOTO(done, WS_NEW_ARRAY(block, HASH_BLOCK));
    for (size_t i = 0; i < x->input_count && !atomic_load(&h->cancelled); i++)
        if (x->inputs[i].hasher == x->comm->rank) {
            ws_digest digest = {{0}};
            WS_TRY_GOTO(done, hash_input(h, &x->inputs[i], hash, block, &digest));
            memcpy(h->words + 4 * i, digest.bytes, sizeof digest.bytes);
        }
done:
    free(block);
    ws_sha256_destroy(&hash);
    return error;
}

static void *hasher_main(void *context)
{
    extract_hasher *h = context;
    h->error = hash_own_inputs(h);
    if (h->error != WS_OK)
        h->message = strdup(ws_error_message());
    return NULL;
}

ws_err extract_hasher_start(extract_hasher **out, const extraction *x)
{
    *out = NULL;
    extract_hasher *h = NULL;
    ws_err error = WS_OK;
    WS_TRY(WS_NEW(h));
    h->x = x;
    atomic_init(&h->cancelled, false);
    WS_TRY_GOTO(fail, WS_NEW_ARRAY(h->words, x->input_count * 4));
    WS_CHECK_GOTO(fail, pthread_create(&h->thread, NULL, hasher_main, h) == 0, MEMORY, "no thread to hash the inputs");
    h->running = true;
    *out = h;
    return WS_OK;
fail:
    extract_hasher_destroy(&h);
    return error;
}

static ws_err hasher_join(extract_hasher *h)
{
    pthread_join(h->thread, NULL);
    h->running = false;
    if (h->error == WS_OK)
        return WS_OK;
    return ws_error_set(h->error, h->message != NULL ? h->message : "an input cannot be hashed", "", "");
}

ws_err extract_hasher_finish_all(extract_hasher *h, ws_arena *arena, ws_string_list *out)
{
    const extraction *x = h->x;
    const char **items = NULL;
    ws_err local = hasher_join(h);
    if (local == WS_OK)
        local = ws_arena_alloc(arena, &items, x->input_count, sizeof *items);
    WS_AGREE(x->comm, local);
    WS_TRY(ws_sum_u64_all(x->comm, h->words, x->input_count * 4));
    for (size_t i = 0; local == WS_OK && i < x->input_count; i++) {
        char hex[65];
        ws_digest digest;
        memcpy(digest.bytes, h->words + 4 * i, sizeof digest.bytes);
        ws_digest_hex(&digest, hex);
        if ((items[i] = ws_arena_strdup(arena, hex)) == NULL)
            local = WS_ERROR(MEMORY, "out of memory for the hashes of %zu inputs", x->input_count);
    }
    WS_AGREE(x->comm, local);
    *out = (ws_string_list){items, x->input_count};
    return WS_OK;
}

void extract_hasher_destroy(extract_hasher **hasher)
{
    extract_hasher *h = *hasher;
    if (h == NULL)
        return;
    atomic_store(&h->cancelled, true);
    if (h->running)
        pthread_join(h->thread, NULL);
    free(h->words);
    free(h->message);
    free(h);
    *hasher = NULL;
}
