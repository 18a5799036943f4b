/* SHA-256 of the inputs for provenance, taken by one thread a rank while the rank extracts: the files are read at about the
 * same time, so the second reading mostly finds them in the page cache. The thread calls neither MPI nor HDF5.
 *
 * SHA-256 of a file is one chain: one core takes it, at 1 to 2 GB/s, however many ranks there are. So large inputs are dealt
 * out in blocks: SHA-256 over the SHA-256 of each WS_INPUT_HASH_BLOCK bytes.
 */
#include "dataset/extract.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { HASH_BLOCK = 1 << 17 }; /* two stay in the L2 cache */

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

/* A unit on its way. Two go side by side: one chain of SHA-256 leaves half of a core idle. */
typedef struct hash_lane {
    size_t input, unit;
    FILE *file; /* of the input */
    bool busy;
    uint64_t at, end; /* of the input's bytes */
    ws_sha256 *hash;
    uint8_t *block;
    size_t held;
} hash_lane;

bool extract_hashes_blocks(const extraction *x, size_t input)
{
    const int64_t from = x->options->input_hash_from;
    return x->inputs[input].bytes >= (uint64_t)(from == 0 ? WS_INPUT_HASH_FROM : from);
}

/* Where a file ends that ends at or before `reached`: it may have shrunk further. */
static uint64_t ends_at(FILE *file, uint64_t reached)
{
    struct stat about;
    return fstat(fileno(file), &about) == 0 && (uint64_t)about.st_size < reached ? (uint64_t)about.st_size : reached;
}

static bool is_mine(const extract_hasher *h, size_t input, size_t unit)
{
    const int hasher = extract_hashes_blocks(h->x, input) ? (int)(unit % (size_t)h->x->comm->size) : h->x->inputs[input].hasher;
    return hasher == h->x->comm->rank;
}

static ws_err lane_open(extract_hasher *h, hash_lane *lane, size_t input, size_t unit)
{
    const extract_input *from = &h->x->inputs[input];
    if (lane->file != NULL && lane->input != input) {
        fclose(lane->file);
        lane->file = NULL;
    }
    if (lane->file == NULL)
        lane->file = fopen(from->path, "rb");
    WS_CHECK(lane->file != NULL, IO, "%s: cannot be opened again to take its SHA-256", from->path);
    lane->busy = true;
    lane->input = input;
    lane->unit = unit;
    lane->at = 0;
    lane->end = from->bytes; /* of what the run reads, also where the file grew since */
    if (extract_hashes_blocks(h->x, input)) {
        lane->at = (unit - h->units[input]) * WS_INPUT_HASH_BLOCK;
        lane->end = lane->end - lane->at < WS_INPUT_HASH_BLOCK ? lane->end : lane->at + WS_INPUT_HASH_BLOCK;
    }
    WS_CHECK(fseeko(lane->file, (off_t)lane->at, SEEK_SET) == 0, IO, "%s: no way to byte %" PRIu64, from->path,
             lane->at);
    return WS_OK;
}

/* Gives an idle lane this rank's next unit, if any is left. */
static ws_err lane_take(extract_hasher *h, hash_lane *lane, size_t *input, size_t *unit)
{
    while (!lane->busy && *input < h->x->input_count) {
        if (*unit == h->units[*input + 1]) {
            ++*input;
            continue;
        }
        if (is_mine(h, *input, *unit))
            WS_TRY(lane_open(h, lane, *input, *unit));
        ++*unit;
    }
    return WS_OK;
}

static ws_err lane_read(const extract_hasher *h, hash_lane *lane)
{
    lane->held = 0;
    if (!lane->busy)
        return WS_OK;
    const size_t wanted = lane->end - lane->at < HASH_BLOCK ? (size_t)(lane->end - lane->at) : HASH_BLOCK;
    lane->held = fread(lane->block, 1, wanted, lane->file);
    const extract_input *input = &h->x->inputs[lane->input];
    WS_CHECK(lane->held == wanted, IO, "%s: ends at byte %" PRIu64 ", but had %" PRIu64 " bytes when it was opened",
             input->path, ends_at(lane->file, lane->at + lane->held), input->bytes);
    lane->at += wanted;
    return WS_OK;
}

static void lane_end(extract_hasher *h, hash_lane *lane)
{
    if (!lane->busy || lane->at < lane->end)
        return;
    const ws_digest digest = ws_sha256_finish(lane->hash);
    memcpy(h->words + 4 * lane->unit, digest.bytes, sizeof digest.bytes);
    lane->busy = false;
}

static ws_err hash_with(extract_hasher *h, hash_lane lanes[2])
{
    size_t input = 0, unit = 0;
    while (!atomic_load(&h->cancelled)) {
        for (int i = 0; i < 2; i++)
            WS_TRY(lane_take(h, &lanes[i], &input, &unit));
        if (!lanes[0].busy && !lanes[1].busy)
            break;
        for (int i = 0; i < 2; i++)
            WS_TRY(lane_read(h, &lanes[i]));
        ws_sha256_update_two(lanes[0].hash, lanes[0].block, lanes[0].held, lanes[1].hash, lanes[1].block,
                             lanes[1].held);
        for (int i = 0; i < 2; i++)
            lane_end(h, &lanes[i]);
    }
    return WS_OK;
}

static ws_err hash_own_inputs(extract_hasher *h)
{
    hash_lane lanes[2] = {0};
    ws_err error = WS_OK;
    for (int i = 0; i < 2; i++) {
        WS_TRY_GOTO(done, ws_sha256_create(&lanes[i].hash));
        WS_TRY_GOTO(done, WS_NEW_ARRAY(lanes[i].block, HASH_BLOCK));
    }
    error = hash_with(h, lanes);
done:
    for (int i = 0; i < 2; i++) {
        if (lanes[i].file != NULL)
            fclose(lanes[i].file);
        free(lanes[i].block);
        ws_sha256_destroy(&lanes[i].hash);
    }
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
        h->units[i + 1] = h->units[i] + (extract_hashes_blocks(x, i) ? blocks_of(x->inputs[i].bytes) : 1);
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
    if (extract_hashes_blocks(h->x, input)) {
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
