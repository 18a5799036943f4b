/* Blocks behind the slabs of live flows and their stored packets. */
#include "flow/slab.h"

#include <stdlib.h>

enum { BLOCK_ITEMS = 1024, BLOCK_HEAD = 64 };

ws_err ws_slab_grow(ws_slab *slab)
{
    uint8_t *block = NULL;
    WS_TRY(ws_alloc(&block, 1, BLOCK_HEAD + BLOCK_ITEMS * slab->item_bytes));
    memcpy(block, &slab->blocks, sizeof(void *));
    slab->blocks = block;
    for (size_t i = BLOCK_ITEMS; i-- > 0;) /* the lowest address is handed out first */
        ws_slab_give(slab, block + BLOCK_HEAD + i * slab->item_bytes);
    return WS_OK;
}

void ws_slab_destroy(ws_slab *slab)
{
    while (slab->blocks != NULL) {
        void *block = slab->blocks;
        memcpy(&slab->blocks, block, sizeof(void *));
        free(block);
    }
    slab->free_items = NULL;
}
