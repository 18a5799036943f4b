/* store_blocks: the SHA-256 of a column's blocks, taken by all ranks while they write it, so that nothing is read back. A
 * block rarely ends where a rank's share does: the state of the hash then travels to the rank that holds the next row. A
 * rank hashes what is behind its last block boundary first, so that the next rank need not wait for all its share. What a
 * file really holds is hashed by store_hash.
 */
#include "dataset/store_layout.h"

#include <stdlib.h>

ws_err ws_block_hash_create(ws_block_hash *out, const char *path, size_t row_bytes, bool text)
{
    *out = (ws_block_hash){.path = path, .row_bytes = row_bytes, .text = text};
    WS_TRY(ws_sha256_create(&out->hash));
    ws_sha256_save(out->hash, out->state);
    return WS_OK;
}

void ws_block_hash_destroy(ws_block_hash *blocks)
{
    ws_sha256_destroy(&blocks->hash);
    free(blocks->done);
    memset(blocks, 0, sizeof *blocks);
}

ws_err ws_block_hash_reserve(ws_block_hash *blocks, uint64_t rows)
{
    WS_TRY(WS_GROW(blocks->done, blocks->capacity, blocks->count + rows / WS_HASH_BLOCK_ROWS + 2));
    return WS_OK;
}

/* Texts up to their NUL, with one NUL behind, so that the width in the file does not enter. */
static void hash_rows(const ws_block_hash *blocks, const unsigned char *values, uint64_t rows)
{
    if (!blocks->text) {
        ws_sha256_update(blocks->hash, values, (size_t)rows * blocks->row_bytes);
        return;
    }
    for (uint64_t i = 0; i < rows; i++, values += blocks->row_bytes) {
        ws_sha256_update(blocks->hash, values, strnlen((const char *)values, blocks->row_bytes));
        ws_sha256_update(blocks->hash, "", 1);
    }
}

static ws_err end_block(ws_block_hash *blocks, uint64_t number)
{
    WS_TRY(ws_block_hash_reserve(blocks, 0));
    blocks->done[blocks->count++] = (ws_hashed_block){number, ws_sha256_finish(blocks->hash)};
    return WS_OK;
}

/* Goes on where the row before the share left off. */
static ws_err resume(const ws_comm *comm, ws_block_hash *blocks, const ws_share_chain *chain)
{
    if (chain->before >= 0)
        WS_TRY(ws_receive(comm, chain->before, blocks->state, sizeof blocks->state));
    ws_sha256_restore(blocks->hash, blocks->state);
    return WS_OK;
}

static ws_err hand_on(const ws_comm *comm, const ws_block_hash *blocks, const ws_share_chain *chain, uint64_t end)
{
    if (chain->behind >= 0 && end % WS_HASH_BLOCK_ROWS != 0)
        WS_TRY(ws_send(comm, chain->behind, blocks->state, sizeof blocks->state));
    return WS_OK;
}

/* A share with no block boundary in it: all of it belongs to a block that began before. */
static ws_err add_within(const ws_comm *comm, ws_block_hash *blocks, const ws_share_chain *chain, uint64_t end,
                         uint64_t count, const void *values)
{
    WS_TRY(resume(comm, blocks, chain));
    hash_rows(blocks, values, count);
    ws_sha256_save(blocks->hash, blocks->state);
    WS_TRY(hand_on(comm, blocks, chain, end));
    (void)ws_sha256_finish(blocks->hash);
    return WS_OK;
}

ws_err ws_block_hash_add(const ws_comm *comm, ws_block_hash *blocks, const ws_share_chain *chain, uint64_t begin,
                         uint64_t count, const void *values)
{
    enum { ROWS = WS_HASH_BLOCK_ROWS };
    const unsigned char *at = values;
    const uint64_t end = begin + count, first = (begin + ROWS - 1) / ROWS, last = end / ROWS;
    if (count == 0)
        return WS_OK;
    if (first > last) {
        WS_TRY(add_within(comm, blocks, chain, end, count, values));
        return WS_OK;
    }
    uint8_t before[WS_SHA256_STATE_BYTES];
    memcpy(before, blocks->state, sizeof before);
    hash_rows(blocks, at + (last * ROWS - begin) * blocks->row_bytes, end - last * ROWS);
    ws_sha256_save(blocks->hash, blocks->state);
    (void)ws_sha256_finish(blocks->hash);
    WS_TRY(hand_on(comm, blocks, chain, end));
    for (uint64_t block = first; block < last; block++) {
        hash_rows(blocks, at + (block * ROWS - begin) * blocks->row_bytes, ROWS);
        WS_TRY(end_block(blocks, block));
    }
    if (begin % ROWS == 0)
        return WS_OK;
    uint8_t behind[WS_SHA256_STATE_BYTES];
    memcpy(behind, blocks->state, sizeof behind);
    memcpy(blocks->state, before, sizeof before);
    WS_TRY(resume(comm, blocks, chain));
    hash_rows(blocks, at, first * ROWS - begin);
    memcpy(blocks->state, behind, sizeof behind);
    WS_TRY(end_block(blocks, first - 1));
    return WS_OK;
}

ws_err ws_block_hash_carry_all(const ws_comm *comm, ws_block_hash *blocks, size_t count, int last)
{
    if (comm->size == 1)
        return WS_OK;
    uint8_t *states;
    WS_AGREE(comm, ws_alloc(&states, count, sizeof blocks->state));
    for (size_t d = 0; d < count; d++)
        memcpy(states + d * sizeof blocks->state, blocks[d].state, sizeof blocks->state);
    ws_err error = ws_broadcast_all(comm, states, count * sizeof blocks->state, last);
    for (size_t d = 0; d < count; d++)
        memcpy(blocks[d].state, states + d * sizeof blocks->state, sizeof blocks->state);
    free(states);
    WS_TRY(error);
    return WS_OK;
}

ws_err ws_block_hash_end(ws_block_hash *blocks, uint64_t total_rows)
{
    if (total_rows % WS_HASH_BLOCK_ROWS == 0)
        return WS_OK;
    ws_sha256_restore(blocks->hash, blocks->state);
    WS_TRY(end_block(blocks, total_rows / WS_HASH_BLOCK_ROWS));
    return WS_OK;
}

/* ---------------------------------------------------------------- of all ranks */
typedef struct sent_block {
    uint64_t column;
    ws_hashed_block block;
} sent_block;

static ws_err list_own(const ws_block_hash *blocks, size_t count, sent_block **out, size_t *out_count)
{
    size_t total = 0, at = 0;
    for (size_t d = 0; d < count; d++)
        total += blocks[d].count;
    WS_TRY(WS_NEW_ARRAY(*out, total));
    for (size_t d = 0; d < count; d++)
        for (size_t i = 0; i < blocks[d].count; i++)
            (*out)[at++] = (sent_block){d, blocks[d].done[i]};
    *out_count = total;
    return WS_OK;
}

static ws_err place(ws_known_digests *known, const ws_block_hash *blocks, size_t count, const sent_block *all,
                    size_t total)
{
    for (size_t i = 0; i < total; i++)
        known[all[i].column].count++;
    for (size_t d = 0; d < count; d++) {
        known[d].path = blocks[d].path;
        WS_TRY(WS_NEW_ARRAY(known[d].digests, known[d].count));
    }
    for (size_t i = 0; i < total; i++) {
        ws_known_digests *column = &known[all[i].column];
        WS_CHECK(all[i].block.number < column->count, INTERNAL, "%s: block %llu of %llu was hashed", column->path,
                 (unsigned long long)all[i].block.number, (unsigned long long)column->count);
        column->digests[all[i].block.number] = all[i].block.digest;
    }
    return WS_OK;
}

ws_err ws_block_hash_gather_all(const ws_comm *comm, const ws_block_hash *blocks, size_t count, ws_known_digests **out)
{
    sent_block *own = NULL, *all = NULL;
    size_t own_count = 0, bytes = 0;
    *out = NULL;
    ws_err local = WS_NEW_ARRAY(*out, count);
    if (local == WS_OK)
        local = list_own(blocks, count, &own, &own_count);
    ws_err error = ws_agree_all(comm, local);
    if (error == WS_OK)
        error = ws_gather_all(comm, own, own_count * sizeof *own, (void **)&all, &bytes, NULL);
    if (error == WS_OK)
        error = ws_agree_all(comm, place(*out, blocks, count, all, bytes / sizeof *all));
    free(own);
    free(all);
    return error;
}

void ws_known_digests_destroy(ws_known_digests **known, size_t count)
{
    for (size_t d = 0; *known != NULL && d < count; d++)
        free((*known)[d].digests);
    free(*known);
    *known = NULL;
}
