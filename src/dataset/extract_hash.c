/* SHA-256 of the inputs for provenance, taken while the rank extracts.
 *
 * SHA-256 of a file is one chain: one core takes it, at 1 to 2 GB/s, however many ranks there are. So large inputs are hashed
 * as a tree: SHA-256 over the SHA-256 of each WS_INPUT_HASH_BLOCK bytes, which is over that of each of its leaves.
 *
 * Leaves of large captures that are not compressed are taken from what the walk has just read, while it lies in the cache:
 * no second reading. Ranks take what they happen to read whole; what no rank has at the end (the neighbourhood of a stripe's
 * edge, rounds of a run that this one goes on from) is read again. Everything else is read beside, at about the time when it
 * is extracted, so that it is mostly found in the page cache: by a thread, which calls neither MPI nor HDF5; where the rank
 * has but one core, by the rank itself, a part in every round: a thread there would hold it up while others wait for it.
 */
#include "dataset/extract.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

enum {
    LANE_BYTES = 1 << 17, /* of a chain at once: two stay in the L2 cache */
    LEAD_BYTES = 1 << 17, /* of a block before what a walk reads; where they are more, the block is read at the end */
    LEAVES = WS_INPUT_HASH_BLOCK / WS_INPUT_HASH_LEAF,
};

/* A file that is one chain, on its way. Two go side by side: one chain of SHA-256 leaves most of a core idle. */
typedef struct hash_lane {
    size_t input;
    FILE *file;
    bool busy;
    uint64_t at, end;
    ws_sha256 *hash;
    uint8_t *bytes; /* [LANE_BYTES] */
    size_t held;
} hash_lane;

/* A block of which the walk has given some leaves. */
typedef struct hash_block {
    size_t input, unit;
    uint32_t have; /* a bit for each leaf */
    ws_digest leaves[LEAVES];
} hash_block;
_Static_assert((int)WS_INPUT_HASH_LEAF == (int)WS_WALK_STRETCH, "leaves are what walks read");
_Static_assert(LEAVES < 32, "a bit of 32 for each leaf");

struct extract_hasher {
    const extraction *x;
    pthread_t thread;
    bool beside, running;
    atomic_bool cancelled;
    size_t *units;   /* [inputs + 1]: the first unit of each input: the file, or a block of it */
    uint64_t *words; /* four for each unit; zero where another rank hashes, so that the sum over ranks is the digest */
    int64_t *taken;  /* of each unit, whether this rank has its digest */
    hash_lane lanes[2];
    hash_block block;
    FILE *file;     /* of the input of which blocks are read */
    uint8_t *bytes; /* [WS_INPUT_HASH_BLOCK] */
    size_t file_input;
    size_t next_input, next_unit;   /* to be read next */
    uint64_t own_bytes, done_bytes; /* of the units that this rank reads as it goes */
    bool done;
    ws_err error;
    char *message; /* of the error: contexts of errors belong to threads */
};

bool extract_hashes_blocks(const extraction *x, size_t input)
{
    const int64_t from = x->options->input_hash_from;
    return x->inputs[input].bytes >= (uint64_t)(from == 0 ? WS_INPUT_HASH_FROM : from);
}

/* Whether the leaves come from what the walk reads. */
static bool is_watched(const extract_hasher *h, size_t input)
{
    const extraction *x = h->x;
    return !h->beside && x->tables == NULL && !x->inputs[input].compressed && extract_hashes_blocks(x, input);
}

/* Whether this rank reads the unit as it goes. */
static bool is_mine(const extract_hasher *h, size_t input, size_t unit)
{
    const int hasher =
        extract_hashes_blocks(h->x, input) ? (int)(unit % (size_t)h->x->comm->size) : h->x->inputs[input].hasher;
    return hasher == h->x->comm->rank && !is_watched(h, input);
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

static void keep_digest(extract_hasher *h, size_t unit, ws_digest digest)
{
    memcpy(h->words + 4 * unit, digest.bytes, sizeof digest.bytes);
    h->taken[unit] = 1;
}

/* ---------------------------------------------------------------- reading */
static ws_err open_file(const extraction *x, FILE **file, size_t *opened, size_t input)
{
    if (*file != NULL && *opened != input) {
        fclose(*file);
        *file = NULL;
    }
    if (*file == NULL)
        *file = fopen(x->inputs[input].path, "rb");
    WS_CHECK(*file != NULL, IO, "%s: cannot be opened again to take its SHA-256", x->inputs[input].path);
    *opened = input;
    return WS_OK;
}

/* Where a file ends that ends at or before `reached`: it may have shrunk further. */
static uint64_t ends_at(FILE *file, uint64_t reached)
{
    struct stat about;
    return fstat(fileno(file), &about) == 0 && (uint64_t)about.st_size < reached ? (uint64_t)about.st_size : reached;
}

static ws_err read_bytes(const extract_input *input, FILE *file, uint64_t at, uint8_t *out, size_t bytes)
{
    const size_t got = fread(out, 1, bytes, file);
    WS_CHECK(got == bytes, IO, "%s: ends at byte %" PRIu64 ", but had %" PRIu64 " bytes when it was opened",
             input->path, ends_at(file, at + got), input->bytes);
    return WS_OK;
}

/* Leaves [first, first + count) of a block lie at `bytes`; the last may be shorter. */
static void hash_leaves(const uint8_t *bytes, size_t size, ws_digest *leaves)
{
    ws_hash_text texts[LEAVES];
    size_t count = 0;
    for (size_t at = 0; at < size; at += WS_INPUT_HASH_LEAF, count++)
        texts[count] = (ws_hash_text){bytes + at, size - at < WS_INPUT_HASH_LEAF ? size - at : WS_INPUT_HASH_LEAF};
    ws_sha256_many(texts, count, leaves);
}

/* Of a block, to h->bytes. */
static ws_err read_from(extract_hasher *h, size_t input, uint64_t at, size_t bytes)
{
    const extract_input *from = &h->x->inputs[input];
    WS_TRY(open_file(h->x, &h->file, &h->file_input, input));
    WS_CHECK(fseeko(h->file, (off_t)at, SEEK_SET) == 0, IO, "%s: no way to byte %" PRIu64, from->path, at);
    return read_bytes(from, h->file, at, h->bytes, bytes);
}

static ws_err hash_unit(extract_hasher *h, size_t input, size_t unit)
{
    ws_digest leaves[LEAVES];
    uint64_t begin, end;
    unit_range(h, input, unit, &begin, &end);
    const size_t size = (size_t)(end - begin), count = (size + WS_INPUT_HASH_LEAF - 1) / WS_INPUT_HASH_LEAF;
    WS_TRY(read_from(h, input, begin, size));
    hash_leaves(h->bytes, size, leaves);
    keep_digest(h, unit, ws_sha256_of(leaves, count * sizeof *leaves));
    h->done_bytes += end - begin;
    return WS_OK;
}

static ws_err lane_take(extract_hasher *h, hash_lane *lane, size_t input)
{
    WS_TRY(open_file(h->x, &lane->file, &lane->input, input));
    WS_CHECK(fseeko(lane->file, 0, SEEK_SET) == 0, IO, "%s: no way to its beginning", h->x->inputs[input].path);
    lane->busy = true;
    lane->at = 0;
    lane->end = h->x->inputs[input].bytes;
    return WS_OK;
}

static ws_err lane_read(const extract_hasher *h, hash_lane *lane)
{
    lane->held = 0;
    if (!lane->busy)
        return WS_OK;
    const size_t wanted = lane->end - lane->at < LANE_BYTES ? (size_t)(lane->end - lane->at) : LANE_BYTES;
    WS_TRY(read_bytes(&h->x->inputs[lane->input], lane->file, lane->at, lane->bytes, wanted));
    lane->held = wanted;
    lane->at += wanted;
    return WS_OK;
}

static void lane_end(extract_hasher *h, hash_lane *lane)
{
    if (!lane->busy || lane->at < lane->end)
        return;
    keep_digest(h, h->units[lane->input], ws_sha256_finish(lane->hash));
    lane->busy = false;
}

/* Reads this rank's next blocks, and gives idle lanes its next files, until both have one. */
static ws_err take_next(extract_hasher *h)
{
    while (h->next_input < h->x->input_count) {
        const size_t input = h->next_input, unit = h->next_unit;
        hash_lane *idle = !h->lanes[0].busy ? &h->lanes[0] : !h->lanes[1].busy ? &h->lanes[1] : NULL;
        if (unit == h->units[input + 1]) {
            h->next_input++;
            continue;
        }
        if (is_mine(h, input, unit)) {
            const bool block = extract_hashes_blocks(h->x, input);
            if (!block && idle == NULL)
                return WS_OK;
            h->next_unit++;
            WS_TRY(block ? hash_unit(h, input, unit) : lane_take(h, idle, input));
            if (block)
                return WS_OK;
        } else {
            h->next_unit = is_watched(h, input) ? h->units[input + 1] : unit + 1;
        }
    }
    return WS_OK;
}

static ws_err hash_step(extract_hasher *h)
{
    hash_lane *one = &h->lanes[0], *two = &h->lanes[1];
    WS_TRY(take_next(h));
    h->done = !one->busy && !two->busy && h->next_input == h->x->input_count;
    WS_TRY(lane_read(h, one));
    WS_TRY(lane_read(h, two));
    ws_sha256_update_two(one->hash, one->bytes, one->held, two->hash, two->bytes, two->held);
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
    WS_TRY(WS_NEW_ARRAY(h->taken, h->units[x->input_count]));
    WS_TRY(WS_NEW_ARRAY(h->bytes, WS_INPUT_HASH_BLOCK));
    for (int i = 0; i < 2; i++) {
        WS_TRY(ws_sha256_create(&h->lanes[i].hash));
        WS_TRY(WS_NEW_ARRAY(h->lanes[i].bytes, LANE_BYTES));
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
    h->beside = beside;
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

/* ---------------------------------------------------------------- what the walk reads */
static void keep_leaf(extract_hasher *h, size_t input, uint64_t leaf, const ws_digest *digest)
{
    hash_block *block = &h->block;
    const size_t unit = h->units[input] + (size_t)(leaf / LEAVES);
    uint64_t begin, end;
    if (block->have == 0 || block->input != input || block->unit != unit)
        *block = (hash_block){.input = input, .unit = unit};
    block->leaves[leaf % LEAVES] = *digest;
    block->have |= 1u << leaf % LEAVES;
    unit_range(h, input, unit, &begin, &end);
    const size_t count = (size_t)((end - begin + WS_INPUT_HASH_LEAF - 1) / WS_INPUT_HASH_LEAF);
    if (block->have == (1u << count) - 1)
        keep_digest(h, unit, ws_sha256_of(block->leaves, count * sizeof *block->leaves));
}

void extract_hasher_watch(void *context, uint32_t input, uint64_t offset, const uint8_t *bytes, size_t count)
{
    extract_hasher *h = context;
    const uint64_t total = h->x->inputs[input].bytes, end = offset + count;
    uint64_t leaf = (offset + WS_INPUT_HASH_LEAF - 1) / WS_INPUT_HASH_LEAF, at;
    while ((at = leaf * WS_INPUT_HASH_LEAF) < end) {
        ws_digest leaves[LEAVES];
        uint64_t whole = end == total ? end : end / WS_INPUT_HASH_LEAF * WS_INPUT_HASH_LEAF;
        whole = whole < at + WS_INPUT_HASH_BLOCK ? whole : at + WS_INPUT_HASH_BLOCK;
        if (whole <= at)
            return;
        hash_leaves(bytes + (at - offset), (size_t)(whole - at), leaves);
        for (size_t i = 0; at < whole; at += WS_INPUT_HASH_LEAF)
            keep_leaf(h, input, leaf++, &leaves[i++]);
    }
}

ws_err extract_hasher_lead_in(extract_hasher *h, size_t input, uint64_t begin)
{
    const uint64_t block = begin / WS_INPUT_HASH_BLOCK * WS_INPUT_HASH_BLOCK,
                   leaf = begin / WS_INPUT_HASH_LEAF * WS_INPUT_HASH_LEAF;
    if (leaf == block || leaf - block > LEAD_BYTES)
        return WS_OK;
    WS_TRY(read_from(h, input, block, (size_t)(leaf - block)));
    extract_hasher_watch(h, (uint32_t)input, block, h->bytes, (size_t)(leaf - block));
    return WS_OK;
}

bool extract_hasher_watches(const extract_hasher *h, size_t input)
{
    return is_watched(h, input);
}

/* ---------------------------------------------------------------- the end */
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

/* Every unit's digest in the words of one rank and zeros in those of the others, then in those of all. */
static ws_err settle_units_all(extract_hasher *h)
{
    const extraction *x = h->x;
    const size_t units = h->units[x->input_count];
    const int64_t mine = x->comm->size - x->comm->rank;
    for (size_t unit = 0; unit < units; unit++)
        h->taken[unit] *= mine;
    WS_TRY(ws_max_i64_all(x->comm, h->taken, units));
    ws_err local = WS_OK;
    size_t missing = 0;
    for (size_t input = 0; input < x->input_count; input++)
        for (size_t unit = h->units[input]; unit < h->units[input + 1]; unit++) {
            if (h->taken[unit] == 0 && missing++ % (size_t)x->comm->size == (size_t)x->comm->rank && local == WS_OK)
                local = hash_unit(h, input, unit);
            else if (h->taken[unit] != 0 && h->taken[unit] != mine)
                memset(h->words + 4 * unit, 0, sizeof(ws_digest));
        }
    WS_AGREE(x->comm, local);
    WS_TRY(ws_sum_u64_all(x->comm, h->words, units * 4));
    return WS_OK;
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
    WS_TRY(settle_units_all(h));
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
        free(h->lanes[i].bytes);
        ws_sha256_destroy(&h->lanes[i].hash);
    }
    if (h->file != NULL)
        fclose(h->file);
    free(h->bytes);
    free(h->units);
    free(h->words);
    free(h->taken);
    free(h->message);
    free(h);
    *hasher = NULL;
}
