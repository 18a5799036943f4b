/* Items of one size, handed out one by one and taken back; memory grows by blocks and is kept until the slab dies. Not
 * zeroed. Inside the flow room only. */
#ifndef WS_FLOW_SLAB_H
#define WS_FLOW_SLAB_H

#include "core/core.h"

typedef struct ws_slab {
    size_t item_bytes; /* at least a pointer's, a multiple of 16; of 64, and every item is at a cache line's start */
    void *free_items;  /* chained through their first word */
    void *blocks;      /* chained likewise */
    size_t taken;      /* items in use */
} ws_slab;

/* Memory at a cache line's start, in huge pages where the system has them: tables that are hit at random spend their time on page tables
 * otherwise. Freed by free(). */
WS_MUST ws_err ws_alloc_large(void *out, size_t bytes, bool zeroed);
WS_MUST ws_err ws_slab_grow(ws_slab *slab); /* one more block of free items */
void ws_slab_destroy(ws_slab *slab);

WS_MUST static inline ws_err ws_slab_take(ws_slab *slab, void *out)
{
    if (slab->free_items == NULL)
        WS_TRY(ws_slab_grow(slab));
    void *item = slab->free_items;
    memcpy(&slab->free_items, item, sizeof(void *));
    for (size_t line = 0; line < slab->item_bytes; line += 64) /* the next one to be taken: it was long out of use */
        __builtin_prefetch((const char *)slab->free_items + line, 1);
    memcpy(out, &item, sizeof item);
    slab->taken++;
    return WS_OK;
}

static inline void ws_slab_give(ws_slab *slab, void *item)
{
    memcpy(item, &slab->free_items, sizeof(void *));
    slab->free_items = item;
    slab->taken--;
}

#endif
