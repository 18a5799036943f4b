/* Checked allocation and arenas. */
#include "memory.h"

#include <stdlib.h>

enum { ALIGNMENT = 64 };

static ws_err aligned(void **out, size_t bytes)
{
    size_t rounded = bytes > SIZE_MAX - 2 * ALIGNMENT ? SIZE_MAX : (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    *out = rounded == SIZE_MAX ? NULL : aligned_alloc(ALIGNMENT, rounded ? rounded : ALIGNMENT);
    WS_CHECK(*out, MEMORY, "%zu bytes could not be had", bytes);
    return WS_OK;
}

ws_err ws_alloc(void *out, size_t count, size_t size)
{
    size_t bytes;
    void *memory = NULL;
    memcpy(out, &memory, sizeof memory);
    WS_CHECK(!__builtin_mul_overflow(count, size, &bytes), MEMORY, "%zu elements of %zu bytes are too many", count,
             size);
    WS_TRY(aligned(&memory, bytes));
    memset(memory, 0, bytes ? bytes : 1);
    memcpy(out, &memory, sizeof memory);
    return WS_OK;
}

ws_err ws_grow(void *array, size_t *capacity, size_t needed, size_t size)
{
    if (needed <= *capacity)
        return WS_OK;
    size_t larger = *capacity < 16 ? 16 : *capacity + *capacity / 2;
    if (larger < needed)
        larger = needed;
    size_t bytes;
    WS_CHECK(!__builtin_mul_overflow(larger, size, &bytes), MEMORY, "%zu elements of %zu bytes are too many", larger,
             size);
    void *old;
    memcpy(&old, array, sizeof old);
    void *new = realloc(old, bytes);
    WS_CHECK(new, MEMORY, "%zu bytes could not be had", bytes);
    memcpy(array, &new, sizeof new);
    *capacity = larger;
    return WS_OK;
}

typedef struct block {
    struct block *next;
    size_t size, used; /* of the bytes behind the header */
    char *bytes;
} block;

struct ws_arena {
    size_t block_bytes;
    block *first, *current;
};

ws_err ws_arena_create(ws_arena **out, size_t block_bytes)
{
    WS_TRY(WS_NEW(*out));
    (*out)->block_bytes = block_bytes < 4096 ? 4096 : block_bytes;
    return WS_OK;
}

void ws_arena_destroy(ws_arena **arena)
{
    if (!*arena)
        return;
    for (block *at = (*arena)->first, *next; at; at = next) {
        next = at->next;
        free(at->bytes);
        free(at);
    }
    free(*arena);
    *arena = NULL;
}

void ws_arena_reset(ws_arena *arena)
{
    for (block *at = arena->first; at; at = at->next)
        at->used = 0;
    arena->current = arena->first;
}

ws_err ws_arena_alloc(ws_arena *arena, void *out, size_t count, size_t size)
{
    size_t bytes;
    WS_CHECK(!__builtin_mul_overflow(count, size, &bytes) && bytes < SIZE_MAX - ALIGNMENT, MEMORY,
             "%zu elements of %zu bytes are too many", count, size);
    bytes = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    while (arena->current && arena->current->size - arena->current->used < bytes && arena->current->next)
        arena->current = arena->current->next;
    if (!arena->current || arena->current->size - arena->current->used < bytes) {
        block *added;
        WS_TRY(WS_NEW(added));
        added->size = bytes > arena->block_bytes ? bytes : arena->block_bytes;
        ws_err error = ws_alloc(&added->bytes, added->size, 1);
        if (error != WS_OK) {
            free(added);
            return ws_error_pass(error, __FILE__, __LINE__, __func__);
        }
        if (arena->current) {
            added->next = arena->current->next;
            arena->current->next = added;
        } else {
            arena->first = added;
        }
        arena->current = added;
    }
    void *memory = arena->current->bytes + arena->current->used;
    arena->current->used += bytes;
    memset(memory, 0, bytes);
    memcpy(out, &memory, sizeof memory);
    return WS_OK;
}

const char *ws_arena_strdup(ws_arena *arena, const char *text)
{
    size_t bytes = strlen(text) + 1;
    char *copy = NULL;
    if (ws_arena_alloc(arena, &copy, bytes, 1) != WS_OK)
        return NULL;
    return memcpy(copy, text, bytes);
}
