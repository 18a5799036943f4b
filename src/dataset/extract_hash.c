/* SHA-256 of the inputs for provenance, taken while the rank extracts: the files are read at about the same time, so the second
 * reading mostly finds them in the page cache. A thread does it, which calls neither MPI nor HDF5; where the rank has but one
 * core, the rank itself does, a part in every round: a thread there would hold it up while others wait for it.
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

struct extract_hasher {
    const extraction *x;
    pthread_t thread;
    bool running;
    atomic_bool cancelled;
    size_t *units;   /* [inputs + 1]: the first unit of each input: the file, or a block of it */
    uint64_t *words; /* four for each unit; zero where another rank hashes, so that the sum over ranks is the digest */
    hash_lane lanes[2];
    size_t next_input, next_unit;   /* to be given to a lane */
    uint64_t own_bytes, done_bytes; /* of the units that are this rank's */
    bool done;
    ws_err error;
    char *message; /* of the error: contexts of errors belong to threads */
};

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
    const int hasher =
        extract_hashes_blocks(h->x, input) ? (int)(unit % (size_t)h->x->comm->size) : h->x->inputs[input].hasher;
    return hasher == h->x->comm->rank;
}

/* Of the input's bytes. */
static void unit_range(const extract_hasher *h, size_t input, size_t unit, uint64_t *begin, uint64_t *end)
{
    *begin = 0;
    *end = h->x->inputs[input].bytes; /* of what the run reads, also where the file grew since */
    if (!extract_hashes_blocks(h->x, input))
        return;
    *begin = (unit - h->units[input]) * WS_INPUT_HASH_BLOCK;
    *end = *end - *begin < WS_INPUT_HASH_BLOCK ? *end : *begin + WS_INPUT_HASH_BLOCK;
}

static ws_err lane_open(const extract_hasher *h, hash_lane *lane, size_t input, size_t unit)
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
    unit_range(h, input, unit, &lane->at, &lane->end);
    WS_CHECK(fseeko(lane->file, (off_t)lane->at, SEEK_SET) == 0, IO, "%s: no way to byte %" PRIu64, from->path,
             lane->at);
    return WS_OK;
}

/* Gives an idle lane this rank's next unit, if any is left. */
static ws_err lane_take(extract_hasher *h, hash_lane *lane)
{
    while (!lane->busy && h->next_input < h->x->input_count) {
        if (h->next_unit == h->units[h->next_input + 1]) {
            h->next_input++;
            continue;
        }
        if (is_mine(h, h->next_input, h->next_unit))
            WS_TRY(lane_open(h, lane, h->next_input, h->next_unit));
        h->next_unit++;
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

static ws_err hash_step(extract_hasher *h)
{
    hash_lane *one = &h->lanes[0], *two = &h->lanes[1];
    WS_TRY(lane_take(h, one));
    WS_TRY(lane_take(h, two));
    h->done = !one->busy && !two->busy;
    WS_TRY(lane_read(h, one));
    WS_TRY(lane_read(h, two));
    ws_sha256_update_two(one->hash, one->block, one->held, two->hash, two->block, two->held);
    h->done_bytes += one->held + two->held;
    lane_end(h, one);
    lane_end(h, two);
    return WS_OK;
}

/* Until so many bytes are hashed, or all. */
static void hash_up_to(extract_hasher *h, uint64_t bytes)
{
    while (!h->done && h->error == WS_OK && h->done_bytes < bytes && !atomic_load(&h->cancelled)) {
        h->error = hash_step(h);
        if (h->error != WS_OK)
            h->message = strdup(ws_error_message());
    }
}

static void *hasher_main(void *context)
{
    hash_up_to(context, UINT64_MAX);
    return NULL;
}

void extract_hasher_push(extract_hasher *h, double part)
{
    if (!h->running)
        hash_up_to(h, (uint64_t)((double)h->own_bytes * part));
}

/* An empty file is one empty block. */
static size_t blocks_of(uint64_t bytes)
{
    return bytes == 0 ? 1 : (size_t)((bytes + WS_INPUT_HASH_BLOCK - 1) / WS_INPUT_HASH_BLOCK);
}

static ws_err prepare(extract_hasher *h)
{
    const extraction *x = h->x;
    WS_TRY(WS_NEW_ARRAY(h->units, x->input_count + 1));
    for (size_t i = 0; i < x->input_count; i++)
        h->units[i + 1] = h->units[i] + (extract_hashes_blocks(x, i) ? blocks_of(x->inputs[i].bytes) : 1);
    for (size_t i = 0; i < x->input_count; i++)
        for (size_t unit = h->units[i]; unit < h->units[i + 1]; unit++) {
            uint64_t begin, end;
            unit_range(h, i, unit, &begin, &end);
            h->own_bytes += is_mine(h, i, unit) ? end - begin : 0;
        }
    WS_TRY(WS_NEW_ARRAY(h->words, h->units[x->input_count] * 4));
    for (int i = 0; i < 2; i++) {
        WS_TRY(ws_sha256_create(&h->lanes[i].hash));
        WS_TRY(WS_NEW_ARRAY(h->lanes[i].block, HASH_BLOCK));
    }
    return WS_OK;
}

ws_err extract_hasher_start(extract_hasher **out, const extraction *x, bool beside)
{
    *out = NULL;
    extract_hasher *h = NULL;
    ws_err error = WS_OK;
    WS_TRY(WS_NEW(h));
    h->x = x;
    atomic_init(&h->cancelled, false);
    WS_TRY_GOTO(fail, prepare(h));
    if (beside)
        WS_CHECK_GOTO(fail, pthread_create(&h->thread, NULL, hasher_main, h) == 0, MEMORY,
                      "no thread to hash the inputs");
    h->running = beside;
    *out = h;
    return WS_OK;
fail:
    extract_hasher_destroy(&h);
    return error;
}

static ws_err hasher_join(extract_hasher *h)
{
    if (h->running)
        pthread_join(h->thread, NULL);
    else
        hash_up_to(h, UINT64_MAX);
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
    for (int i = 0; i < 2; i++) {
        if (h->lanes[i].file != NULL)
            fclose(h->lanes[i].file);
        free(h->lanes[i].block);
        ws_sha256_destroy(&h->lanes[i].hash);
    }
    free(h->units);
    free(h->words);
    free(h->message);
    free(h);
    *hasher = NULL;
}
