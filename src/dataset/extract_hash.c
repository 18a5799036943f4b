/* SHA-256 of the inputs for provenance, taken by one thread a rank while the rank extracts: the files are read at about the
 * same time, so the second reading mostly finds them in the page cache. The thread calls neither MPI nor HDF5.
 *
 * SHA-256 of a file is one chain: one core takes it, at 1 to 2 GB/s, however many ranks there are. So where one input is
 * much of a large run, the tree form deals out blocks: SHA-256 over the SHA-256 of each WS_INPUT_HASH_BLOCK bytes.
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
    size_t *units;   /* [inputs + 1]: the first unit of each input: the file, or a block of it */
    uint64_t *words; /* four for each unit; zero where another rank hashes, so that the sum over ranks is the digest */
    ws_err error;
    char *message; /* of the error: contexts of errors belong to threads */
};

/* Where a file ends that ends at or before `reached`: it may have shrunk further. */
static uint64_t ends_at(FILE *file, uint64_t reached)
{
    struct stat about;
    return fstat(fileno(file), &about) == 0 && (uint64_t)about.st_size < reached ? (uint64_t)about.st_size : reached;
}

/* Of bytes [at, end): of what the run reads, also where the file grew since. */
static ws_err hash_range(extract_hasher *h, const extract_input *input, FILE *file, uint64_t at, uint64_t end,
                         ws_sha256 *hash, uint8_t *block, ws_digest *out)
{
    WS_CHECK(fseeko(file, (off_t)at, SEEK_SET) == 0, IO, "%s: no way to byte %" PRIu64, input->path, at);
    while (at < end && !atomic_load(&h->cancelled)) {
        size_t wanted = end - at < HASH_BLOCK ? (size_t)(end - at) : HASH_BLOCK;
        size_t got = fread(block, 1, wanted, file);
        WS_CHECK(got == wanted, IO, "%s: ends at byte %" PRIu64 ", but had %" PRIu64 " bytes when it was opened",
                 input->path, ends_at(file, at + got), input->bytes);
        ws_sha256_update(hash, block, got);
        at += got;
    }
    *out = ws_sha256_finish(hash);
    return WS_OK;
}

static bool is_mine(const extract_hasher *h, size_t input, size_t unit)
{
    const int hasher =
        h->x->options->input_hash_tree ? (int)(unit % (size_t)h->x->comm->size) : h->x->inputs[input].hasher;
    return hasher == h->x->comm->rank;
}

/* This rank's units of an input. */
static ws_err hash_input(extract_hasher *h, size_t index, ws_sha256 *hash, uint8_t *block)
{
    const extract_input *input = &h->x->inputs[index];
    ws_err error = WS_OK;
    FILE *file = NULL;
    for (size_t u = h->units[index]; u < h->units[index + 1] && !atomic_load(&h->cancelled); u++) {
        if (!is_mine(h, index, u))
            continue;
        if (file == NULL)
            file = fopen(input->path, "rb");
        WS_CHECK_GOTO(done, file != NULL, IO, "%s: cannot be opened again to take its SHA-256", input->path);
        uint64_t begin = 0, end = input->bytes;
        if (h->x->options->input_hash_tree) {
            begin = (u - h->units[index]) * WS_INPUT_HASH_BLOCK;
            end = end - begin < WS_INPUT_HASH_BLOCK ? end : begin + WS_INPUT_HASH_BLOCK;
        }
        ws_digest digest = {{0}};
        WS_TRY_GOTO(done, hash_range(h, input, file, begin, end, hash, block, &digest));
        memcpy(h->words + 4 * u, digest.bytes, sizeof digest.bytes);
    }
done:
    if (file != NULL)
        fclose(file);
    return error;
}

static ws_err hash_own_inputs(extract_hasher *h)
{
    ws_sha256 *hash = NULL;
    uint8_t *block = NULL;
    ws_err error = WS_OK;
    WS_TRY_GOTO(done, ws_sha256_create(&hash));
    WS_TRY_GOTO(done, WS_NEW_ARRAY(block, HASH_BLOCK));
    for (size_t i = 0; i < h->x->input_count && !atomic_load(&h->cancelled); i++)
        WS_TRY_GOTO(done, hash_input(h, i, hash, block));
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

/* An empty file is one empty block. */
static size_t blocks_of(uint64_t bytes)
{
    return bytes == 0 ? 1 : (size_t)((bytes + WS_INPUT_HASH_BLOCK - 1) / WS_INPUT_HASH_BLOCK);
}

ws_err extract_hasher_start(extract_hasher **out, const extraction *x)
{
    *out = NULL;
    extract_hasher *h = NULL;
    ws_err error = WS_OK;
    WS_TRY(WS_NEW(h));
    h->x = x;
    atomic_init(&h->cancelled, false);
    WS_TRY_GOTO(fail, WS_NEW_ARRAY(h->units, x->input_count + 1));
    for (size_t i = 0; i < x->input_count; i++)
        h->units[i + 1] = h->units[i] + (x->options->input_hash_tree ? blocks_of(x->inputs[i].bytes) : 1);
    WS_TRY_GOTO(fail, WS_NEW_ARRAY(h->words, h->units[x->input_count] * 4));
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

/* Of an input, in hex. */
static ws_err digest_hex(const extract_hasher *h, size_t input, char hex[65])
{
    const size_t first = h->units[input], count = h->units[input + 1] - first;
    ws_digest digest;
    memcpy(digest.bytes, h->words + 4 * first, sizeof digest.bytes);
    if (h->x->options->input_hash_tree) {
        ws_sha256 *hash;
        WS_TRY(ws_sha256_create(&hash));
        ws_sha256_update(hash, h->words + 4 * first, count * sizeof digest.bytes);
        digest = ws_sha256_finish(hash);
        ws_sha256_destroy(&hash);
    }
    ws_digest_hex(&digest, hex);
    return WS_OK;
}

ws_err extract_hasher_finish_all(extract_hasher *h, ws_arena *arena, ws_string_list *out)
{
    const extraction *x = h->x;
    const char **items = NULL;
    ws_err local = hasher_join(h);
    if (local == WS_OK)
        local = ws_arena_alloc(arena, &items, x->input_count, sizeof *items);
    WS_AGREE(x->comm, local);
    WS_TRY(ws_sum_u64_all(x->comm, h->words, h->units[x->input_count] * 4));
    for (size_t i = 0; local == WS_OK && i < x->input_count; i++) {
        char hex[65] = "";
        local = digest_hex(h, i, hex);
        if (local == WS_OK && (items[i] = ws_arena_strdup(arena, hex)) == NULL)
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
    free(h->units);
    free(h->words);
    free(h->message);
    free(h);
    *hasher = NULL;
}
