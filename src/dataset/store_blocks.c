/* store_blocks: the SHA-256 of a column's blocks taken while the column is written, for a writer that sees all of its rows
 * in order. What a file really holds is hashed by store_hash.
 */
#include "dataset/store_layout.h"

#include <stdlib.h>

ws_err ws_block_hash_create(ws_block_hash *out, const char *path, size_t row_bytes)
{
    *out = (ws_block_hash){.path = path, .row_bytes = row_bytes};
    WS_TRY(ws_sha256_create(&out->hash));
    return WS_OK;
}

void ws_block_hash_destroy(ws_block_hash *blocks)
{
    ws_sha256_destroy(&blocks->hash);
    free(blocks->digests);
    memset(blocks, 0, sizeof *blocks);
}

static ws_err end_block(ws_block_hash *blocks)
{
    WS_TRY(WS_GROW(blocks->digests, blocks->capacity, blocks->count + 1));
    blocks->digests[blocks->count++] = ws_sha256_finish(blocks->hash);
    blocks->rows = 0;
    return WS_OK;
}

ws_err ws_block_hash_add(ws_block_hash *blocks, const void *values, uint64_t rows)
{
    const unsigned char *at = values;
    while (rows > 0) {
        uint64_t here = WS_HASH_BLOCK_ROWS - blocks->rows;
        here = here < rows ? here : rows;
        ws_sha256_update(blocks->hash, at, (size_t)here * blocks->row_bytes);
        at += here * blocks->row_bytes;
        rows -= here;
        blocks->rows += here;
        if (blocks->rows == WS_HASH_BLOCK_ROWS)
            WS_TRY(end_block(blocks));
    }
    return WS_OK;
}

ws_err ws_block_hash_finish(ws_block_hash *blocks)
{
    if (blocks->rows > 0)
        WS_TRY(end_block(blocks));
    return WS_OK;
}
