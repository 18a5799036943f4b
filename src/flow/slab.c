/* Blocks behind the slabs of live flows and their stored packets. */
#include "flow/slab.h"

#include <stdlib.h>
#include <sys/mman.h>

enum {
    BLOCK_BYTES = 2 << 20,
    FIRST_BLOCK_BYTES = 256 << 10,
    CACHE_LINE = 64,
    BLOCK_HEAD = CACHE_LINE,
    HUGE_PAGE = 2 << 20
};

ws_err ws_alloc_large(void *out, size_t bytes, bool zeroed)
{
    const size_t unit = bytes < HUGE_PAGE ? CACHE_LINE : HUGE_PAGE;
    void *memory = NULL;
    memcpy(out, &memory, sizeof memory);
    WS_CHECK(bytes <= SIZE_MAX - HUGE_PAGE, MEMORY, "%zu bytes are too many", bytes);
    bytes = (bytes + unit - 1) / unit * unit;
    memory = aligned_alloc(unit, bytes);
    WS_CHECK(memory != NULL, MEMORY, "%zu bytes could not be had", bytes);
    if (unit == HUGE_PAGE)
        (void)madvise(memory, bytes, MADV_HUGEPAGE); /* a wish */
    if (zeroed)
        memset(memory, 0, bytes);
    memcpy(out, &memory, sizeof memory);
    return WS_OK;
}

ws_err ws_slab_grow(ws_slab *slab)
{
    uint8_t *block = NULL;
    size_t bytes = slab->blocks == NULL ? FIRST_BLOCK_BYTES : BLOCK_BYTES; /* most inputs are small */
    WS_TRY(ws_alloc_large(&block, bytes, false));
    memcpy(block, &slab->blocks, sizeof(void *));
    slab->blocks = block;
    for (size_t i = (bytes - BLOCK_HEAD) / slab->item_bytes; i-- > 0;) /* the lowest address is handed out first */
        ws_slab_give(slab, block + BLOCK_HEAD + i * slab->item_bytes);
    slab->taken += (bytes - BLOCK_HEAD) / slab->item_bytes; /* none of them was taken before it was given */
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
