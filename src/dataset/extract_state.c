/* Stripes of a pcapng: section and interface blocks say what the packets behind them mean. Each walk notes those that it
 * met; all ranks hear of them, and a piece that was walked without knowing one before it is walked again. Mostly they
 * all stand in front of the first packet, where every walk reads them by itself.
 */
#include "dataset/extract.h"

#include <stdlib.h>

static bool same_input(const extraction *x, const piece_block *block, size_t piece)
{
    return block->piece < piece && x->pieces[block->piece].input == x->pieces[piece].input;
}

uint64_t extract_state_digest(const extraction *x, size_t piece)
{
    uint64_t digest = 0xcbf29ce484222325;
    for (size_t i = 0; i < x->round_block_count; i++)
        if (same_input(x, &x->round_blocks[i], piece))
            digest = (digest ^ x->round_blocks[i].offset) * 0x100000001b3;
    return digest;
}

ws_err extract_state_range(extraction *x, extract_piece *piece)
{
    extract_input *input = &x->inputs[piece->input];
    const size_t index = (size_t)(piece - x->pieces);
    uint64_t *blocks;
    size_t count = input->block_count;
    WS_TRY(WS_NEW_ARRAY(blocks, input->block_count + x->round_block_count + 1));
    if (count > 0)
        memcpy(blocks, input->blocks, count * sizeof *blocks);
    for (size_t i = 0; i < x->round_block_count; i++)
        if (same_input(x, &x->round_blocks[i], index))
            blocks[count++] = x->round_blocks[i].offset;
    ws_err error = ws_walk_stripe(input->walk, piece->begin, piece->end, blocks, count);
    free(blocks);
    WS_TRY(error);
    return WS_OK;
}

ws_err extract_state_keep(extraction *x, size_t piece)
{
    size_t count;
    const uint64_t *blocks = ws_walk_state_blocks(x->inputs[x->pieces[piece].input].walk, &count);
    for (size_t i = 0; i < count; i++) {
        WS_TRY(WS_GROW(x->met, x->met_capacity, x->met_count + 1));
        x->met[x->met_count++] = (piece_block){piece, blocks[i]};
    }
    return WS_OK;
}

static int compare_blocks(const void *a, const void *b)
{
    const piece_block *x = a, *y = b;
    if (x->piece != y->piece)
        return x->piece < y->piece ? -1 : 1;
    return x->offset < y->offset ? -1 : x->offset > y->offset;
}

ws_err extract_state_share_all(extraction *x, const uint8_t *walked)
{
    piece_block *met = NULL;
    size_t bytes = 0, kept = 0;
    WS_TRY(ws_gather_all(x->comm, x->met, x->met_count * sizeof *x->met, (void **)&met, &bytes, NULL));
    const size_t count = bytes / sizeof *met;
    for (size_t i = 0; i < x->round_block_count; i++) /* what an earlier walk of the same piece met is void */
        if (!walked[x->round_blocks[i].piece])
            x->round_blocks[kept++] = x->round_blocks[i];
    x->round_block_count = kept;
    ws_err local = WS_GROW(x->round_blocks, x->round_block_capacity, kept + count);
    if (local == WS_OK && count > 0) {
        memcpy(x->round_blocks + kept, met, count * sizeof *met);
        x->round_block_count += count;
        qsort(x->round_blocks, x->round_block_count, sizeof *x->round_blocks, compare_blocks);
    }
    free(met);
    x->met_count = 0;
    WS_AGREE(x->comm, local);
    return WS_OK;
}

ws_err extract_state_settle(extraction *x)
{
    for (size_t i = 0; i < x->round_block_count; i++) {
        const piece_block *block = &x->round_blocks[i];
        if (block->piece >= x->piece_count || x->pieces[block->piece].empty)
            continue;
        extract_input *input = &x->inputs[x->pieces[block->piece].input];
        WS_TRY(WS_GROW(input->blocks, input->block_capacity, input->block_count + 1));
        input->blocks[input->block_count++] = block->offset;
    }
    x->round_block_count = 0;
    return WS_OK;
}
