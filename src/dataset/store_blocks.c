/* store_blocks: the SHA-256 of a column's blocks, taken by all ranks while they write it, so that nothing is read back. A
 * block rarely ends where a rank's share does: the state of the hash then travels to the rank that holds the next row, which need not
 * wait for more than was hashed with it (add_shares). What a file really holds is hashed by store_hash.
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

static ws_err end_block(ws_block_hash *blocks, const uint8_t *state, uint64_t number)
{
    WS_TRY(ws_block_hash_reserve(blocks, 0));
    ws_sha256_restore(blocks->hash, state);
    blocks->done[blocks->count++] = (ws_hashed_block){number, ws_sha256_finish(blocks->hash)};
    return WS_OK;
}

/* Parts of columns that wait to be hashed side by side (ws_sha256_parts), of all columns and blocks as far as there is room. */
enum { PARTS = 64 };
typedef struct ended_part {
    ws_block_hash *blocks;
    uint8_t *state, own[WS_SHA256_STATE_BYTES]; /* state: `own`, or one that lasts */
    uint64_t number;                            /* of the block that ends with it */
} ended_part;
typedef struct part_list {
    ws_hash_part parts[PARTS];
    size_t count;
    ended_part ended[PARTS];
    size_t ended_count;
} part_list;

static ws_err hash_parts(part_list *list)
{
    ws_sha256_parts(list->parts, list->count);
    list->count = 0;
    for (size_t i = 0; i < list->ended_count; i++)
        WS_TRY(end_block(list->ended[i].blocks, list->ended[i].state, list->ended[i].number));
    list->ended_count = 0;
    return WS_OK;
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

/* Hashed at once or with the next hash_parts; the list has room. */
static void add_part(part_list *list, ws_block_hash *blocks, uint8_t *state, const unsigned char *values, uint64_t rows)
{
    if (blocks->text)
        hash_texts(blocks, state, values, rows);
    else
        list->parts[list->count++] = (ws_hash_part){state, values, (size_t)rows * blocks->row_bytes};
}

static ws_err make_room(part_list *list)
{
    if (list->count == PARTS || list->ended_count == PARTS)
        WS_TRY(hash_parts(list));
    return WS_OK;
}

/* The block ends with these rows. state: NULL: it begins with them too. */
static ws_err add_ending(part_list *list, ws_block_hash *blocks, uint8_t *state, const unsigned char *values,
                         uint64_t rows, uint64_t number)
{
    WS_TRY(make_room(list));
    ended_part *ended = &list->ended[list->ended_count++];
    ended->blocks = blocks;
    ended->number = number;
    ended->state = state != NULL ? state : ended->own;
    if (state == NULL)
        ws_sha256_save(blocks->hash, ended->own);
    add_part(list, blocks, ended->state, values, rows);
    return WS_OK;
}

static const unsigned char *value_of(const ws_hashed_rows *rows, size_t column, uint64_t row)
{
    return (const unsigned char *)rows->values[column] + (row - rows->begin) * rows->blocks[column].row_bytes;
}

enum { ROWS = WS_HASH_BLOCK_ROWS };
static uint64_t end_of(const ws_hashed_rows *rows)
{
    return rows->begin + rows->count;
}

/* Of blocks, among the rows. */
static uint64_t first_boundary(const ws_hashed_rows *rows)
{
    return (rows->begin + ROWS - 1) / ROWS;
}

static uint64_t last_boundary(const ws_hashed_rows *rows)
{
    return end_of(rows) / ROWS;
}

/* There is no boundary: all rows belong to a block that began before. */
static bool is_within(const ws_hashed_rows *rows)
{
    return first_boundary(rows) > last_boundary(rows);
}

/* Its first rows belong to a block of which the rank before it has the state. */
static bool goes_on(const ws_hashed_rows *rows)
{
    return rows->count > 0 && rows->chain->before >= 0 && rows->begin % ROWS != 0;
}

/* Of the shares up to this one, in the order in which the rank before sends: goes on where the row before the share left off. */
static ws_err receive_begun(const ws_comm *comm, const ws_hashed_rows *shares, size_t share, size_t *received)
{
    while (*received <= share) {
        const ws_hashed_rows *rows = &shares[(*received)++];
        uint8_t states[WS_WRITTEN_COLUMNS_MAX][WS_SHA256_STATE_BYTES];
        if (!goes_on(rows))
            continue;
        WS_TRY(ws_receive(comm, rows->chain->before, states, rows->columns * sizeof *states));
        for (size_t c = 0; c < rows->columns; c++)
            memcpy(rows->blocks[c].begun, states[c], sizeof *states);
    }
    return WS_OK;
}

/* Of the shares before `end`, in their order. The rank behind may be writing, and takes it later. */
static ws_err hand_on(const ws_comm *comm, const ws_hashed_rows *shares, size_t end, size_t *handed)
{
    while (*handed < end) {
        const ws_hashed_rows *rows = &shares[(*handed)++];
        uint8_t states[WS_WRITTEN_COLUMNS_MAX][WS_SHA256_STATE_BYTES];
        if (rows->count == 0 || rows->chain->behind < 0 || end_of(rows) % ROWS == 0)
            continue;
        for (size_t c = 0; c < rows->columns; c++)
            memcpy(states[c], rows->blocks[c].state, sizeof *states);
        WS_TRY(ws_send_begin(&rows->chain->sending, comm, rows->chain->behind, states, rows->columns * sizeof *states));
    }
    return WS_OK;
}

/* Behind the last boundary; all rows, where there is none: their blocks' states have been received. */
static ws_err add_behind(part_list *list, const ws_hashed_rows *rows)
{
    const bool within = is_within(rows);
    const uint64_t from = within ? rows->begin : last_boundary(rows) * ROWS;
    for (size_t c = 0; c < rows->columns; c++) {
        ws_block_hash *blocks = &rows->blocks[c];
        WS_TRY(make_room(list));
        if (within)
            memcpy(blocks->state, blocks->begun, WS_SHA256_STATE_BYTES);
        else
            ws_sha256_save(blocks->hash, blocks->state);
        add_part(list, blocks, blocks->state, value_of(rows, c, from), end_of(rows) - from);
    }
    return WS_OK;
}

static ws_err add_whole(part_list *list, const ws_hashed_rows *rows)
{
    for (size_t c = 0; c < rows->columns; c++)
        for (uint64_t block = first_boundary(rows); block < last_boundary(rows); block++)
            WS_TRY(add_ending(list, &rows->blocks[c], NULL, value_of(rows, c, block * ROWS), ROWS, block));
    return WS_OK;
}

/* Before the first boundary. */
static ws_err add_before(part_list *list, const ws_hashed_rows *rows)
{
    const uint64_t first = first_boundary(rows);
    if (is_within(rows) || rows->begin % ROWS == 0)
        return WS_OK;
    for (size_t c = 0; c < rows->columns; c++)
        WS_TRY(add_ending(list, &rows->blocks[c], rows->blocks[c].begun, value_of(rows, c, rows->begin),
                          first * ROWS - rows->begin, first - 1));
    return WS_OK;
}

/* Its rows go on where those of a rank before it left off, and a rank behind goes on where they do. */
static bool is_in_chain(const ws_hashed_rows *rows)
{
    return rows->count > 0 && is_within(rows) && rows->chain->before >= 0 && rows->chain->behind >= 0;
}

/* All but what lies behind the last boundary. */
static ws_err add_rest(const ws_comm *comm, const ws_hashed_rows *shares, size_t share, part_list *list,
                       size_t *received)
{
    WS_TRY(add_whole(list, &shares[share]));
    WS_TRY(receive_begun(comm, shares, share, received));
    WS_TRY(add_before(list, &shares[share]));
    return WS_OK;
}

/* Whether the share's rest waits for no rank, and no rank would wait for it. */
static ws_err is_free(const ws_comm *comm, const ws_hashed_rows *shares, size_t share, size_t received, bool *out)
{
    const ws_share_chain *chain = shares[share].chain;
    size_t next = received; /* what arrives first is for this one */
    while (next < share && !goes_on(&shares[next]))
        next++;
    *out = next >= share && (chain->before < 0 || chain->behind < 0);
    if (*out && share >= received && goes_on(&shares[share]))
        WS_TRY(ws_has_arrived(comm, chain->before, out));
    return WS_OK;
}

/* What is hashed in one call goes side by side, but a rank behind waits for the states behind the last boundaries: where ranks wait for
 * each other in a chain, nothing comes before these; else only what waits for no other rank. */
static ws_err add_shares(const ws_comm *comm, const ws_hashed_rows *shares, size_t count, part_list *list,
                         size_t *received, size_t *handed)
{
    for (size_t i = 0; i < count; i++) {
        if (shares[i].count == 0)
            continue;
        if (is_within(&shares[i]))
            WS_TRY(receive_begun(comm, shares, i, received));
        WS_TRY(add_behind(list, &shares[i]));
        if (!is_in_chain(&shares[i]))
            continue;
        WS_TRY(hash_parts(list));
        WS_TRY(hand_on(comm, shares, i + 1, handed));
    }
    uint32_t added = 0; /* a bit for each share; there are few */
    for (size_t i = 0; i < count; i++) {
        bool at_once;
        WS_TRY(is_free(comm, shares, i, *received, &at_once));
        if (!at_once)
            continue;
        WS_TRY(add_rest(comm, shares, i, list, received));
        added |= 1u << i;
    }
    WS_TRY(hash_parts(list));
    WS_TRY(hand_on(comm, shares, count, handed));
    for (size_t i = 0; i < count; i++)
        if ((added >> i & 1) == 0)
            WS_TRY(add_rest(comm, shares, i, list, received));
    return hash_parts(list);
}

ws_err ws_block_hash_add(const ws_comm *comm, const ws_hashed_rows *shares, size_t count)
{
    part_list list = {.count = 0, .ended_count = 0};
    for (size_t i = 0; i < count; i++)
        for (size_t c = 0; c < shares[i].columns; c++)
            memcpy(shares[i].blocks[c].begun, shares[i].blocks[c].state, WS_SHA256_STATE_BYTES);
    size_t received = 0, handed = 0;
    ws_err error = add_shares(comm, shares, count, &list, &received, &handed);
    ws_kept_error failure = {0};
    ws_error_keep(&failure, error);
    if (error != WS_OK && count > 0) { /* the others wait for what they are to get, whatever it is now */
        ws_error_keep(&failure, receive_begun(comm, shares, count - 1, &received));
        ws_error_keep(&failure, hand_on(comm, shares, count, &handed));
    }
    WS_TRY(ws_error_tell(&failure));
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
