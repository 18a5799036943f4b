/* store_blocks: the SHA-256 of a column's blocks, taken by all ranks while they write it, so that nothing is read back. A
 * block rarely ends where a rank's share does: the state of the hash then travels to the rank that holds the next row. A
 * rank hashes what is behind its last block boundary first, so that the next rank need not wait for all its share. What a
 * file really holds is hashed by store_hash.
 */
#include "dataset/store_writer.h"

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

/* Parts of columns that wait to be hashed side by side: one chain of SHA-256 leaves half of a core idle. */
enum { PARTS = 64 };
typedef struct part_list {
    ws_hash_part parts[PARTS];
    size_t count;
} part_list;

static void hash_parts(part_list *list)
{
    ws_sha256_parts(list->parts, list->count);
    list->count = 0;
}

/* Texts up to their NUL, with one NUL behind, so that the width in the file does not enter. */
static void hash_texts(ws_block_hash *blocks, uint8_t *state, const unsigned char *values, uint64_t rows)
{
    ws_sha256_restore(blocks->hash, state);
    for (uint64_t i = 0; i < rows; i++, values += blocks->row_bytes) {
        ws_sha256_update(blocks->hash, values, strnlen((const char *)values, blocks->row_bytes));
        ws_sha256_update(blocks->hash, "", 1);
    }
    ws_sha256_save(blocks->hash, state);
    (void)ws_sha256_finish(blocks->hash);
}

/* Hashed at once or with the next hash_parts. */
static void add_part(part_list *list, ws_block_hash *blocks, uint8_t *state, const unsigned char *values, uint64_t rows)
{
    if (blocks->text) {
        hash_texts(blocks, state, values, rows);
        return;
    }
    if (list->count == PARTS)
        hash_parts(list);
    list->parts[list->count++] = (ws_hash_part){state, values, (size_t)rows * blocks->row_bytes};
}

static ws_err end_block(ws_block_hash *blocks, const uint8_t *state, uint64_t number)
{
    WS_TRY(ws_block_hash_reserve(blocks, 0));
    ws_sha256_restore(blocks->hash, state);
    blocks->done[blocks->count++] = (ws_hashed_block){number, ws_sha256_finish(blocks->hash)};
    return WS_OK;
}

/* Rows of the columns on their way through the hash. */
typedef struct added_rows {
    const ws_comm *comm;
    ws_block_hash *blocks;
    size_t columns;
    ws_share_chain *chain;
    uint64_t begin, end;
    const void *const *values;
} added_rows;

static const unsigned char *value_of(const added_rows *rows, size_t column, uint64_t row)
{
    return (const unsigned char *)rows->values[column] + (row - rows->begin) * rows->blocks[column].row_bytes;
}

/* Goes on where the row before the share left off. */
static ws_err receive_begun(const added_rows *rows)
{
    uint8_t states[WS_WRITTEN_COLUMNS_MAX][WS_SHA256_STATE_BYTES];
    if (rows->chain->before < 0)
        return WS_OK;
    WS_TRY(ws_receive(rows->comm, rows->chain->before, states, rows->columns * sizeof *states));
    for (size_t c = 0; c < rows->columns; c++)
        memcpy(rows->blocks[c].begun, states[c], sizeof *states);
    return WS_OK;
}

/* The rank behind may be writing, and takes it later. */
static ws_err hand_on(const added_rows *rows)
{
    uint8_t states[WS_WRITTEN_COLUMNS_MAX][WS_SHA256_STATE_BYTES];
    if (rows->chain->behind < 0 || rows->end % WS_HASH_BLOCK_ROWS == 0)
        return WS_OK;
    for (size_t c = 0; c < rows->columns; c++)
        memcpy(states[c], rows->blocks[c].state, sizeof *states);
    return ws_send_begin(&rows->chain->sending, rows->comm, rows->chain->behind, states,
                         rows->columns * sizeof *states);
}

/* No block boundary among the rows: all of them belong to a block that began before. */
static ws_err add_within(const added_rows *rows)
{
    part_list list = {.count = 0};
    WS_TRY(receive_begun(rows));
    for (size_t c = 0; c < rows->columns; c++) {
        memcpy(rows->blocks[c].state, rows->blocks[c].begun, WS_SHA256_STATE_BYTES);
        add_part(&list, &rows->blocks[c], rows->blocks[c].state, value_of(rows, c, rows->begin),
                 rows->end - rows->begin);
    }
    hash_parts(&list);
    return hand_on(rows);
}

/* Blocks [first, last), each whole. */
static ws_err add_whole(const added_rows *rows, uint64_t first, uint64_t last)
{
    enum { AT_ONCE = 32 };
    uint8_t states[AT_ONCE][WS_SHA256_STATE_BYTES];
    const uint64_t all = (last - first) * rows->columns;
    part_list list = {.count = 0};
    for (uint64_t done = 0; done < all; done += AT_ONCE) {
        const uint64_t here = all - done < AT_ONCE ? all - done : AT_ONCE;
        for (uint64_t i = 0; i < here; i++) {
            const size_t c = (size_t)((done + i) / (last - first));
            const uint64_t block = first + (done + i) % (last - first);
            ws_sha256_save(rows->blocks[c].hash, states[i]);
            add_part(&list, &rows->blocks[c], states[i], value_of(rows, c, block * WS_HASH_BLOCK_ROWS),
                     WS_HASH_BLOCK_ROWS);
        }
        hash_parts(&list);
        for (uint64_t i = 0; i < here; i++)
            WS_TRY(
                end_block(&rows->blocks[(done + i) / (last - first)], states[i], first + (done + i) % (last - first)));
    }
    return WS_OK;
}

ws_err ws_block_hash_add(const ws_comm *comm, ws_block_hash *blocks, size_t columns, ws_share_chain *chain,
                         uint64_t begin, uint64_t count, const void *const *values)
{
    enum { ROWS = WS_HASH_BLOCK_ROWS };
    const added_rows rows = {comm, blocks, columns, chain, begin, begin + count, values};
    const uint64_t first = (begin + ROWS - 1) / ROWS, last = rows.end / ROWS;
    part_list list = {.count = 0};
    if (count == 0)
        return WS_OK;
    for (size_t c = 0; c < columns; c++)
        memcpy(blocks[c].begun, blocks[c].state, WS_SHA256_STATE_BYTES);
    if (first > last)
        return add_within(&rows);
    for (size_t c = 0; c < columns; c++) {
        ws_sha256_save(blocks[c].hash, blocks[c].state);
        add_part(&list, &blocks[c], blocks[c].state, value_of(&rows, c, last * ROWS), rows.end - last * ROWS);
    }
    hash_parts(&list);
    WS_TRY(hand_on(&rows));
    WS_TRY(add_whole(&rows, first, last));
    if (begin % ROWS == 0)
        return WS_OK;
    WS_TRY(receive_begun(&rows));
    for (size_t c = 0; c < columns; c++)
        add_part(&list, &blocks[c], blocks[c].begun, value_of(&rows, c, begin), first * ROWS - begin);
    hash_parts(&list);
    for (size_t c = 0; c < columns; c++)
        WS_TRY(end_block(&blocks[c], blocks[c].begun, first - 1));
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
    WS_TRY(end_block(blocks, blocks->state, total_rows / WS_HASH_BLOCK_ROWS));
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
