/* Memory: checked allocation, growing arrays, and arenas for things that die together.
 *
 * ws_alloc and friends return NULL only as WS_E_MEMORY through the checked forms; sizes are checked for overflow.
 * Arenas: three lifetimes are used in this program: a run (configuration, names), a blob (parameters, activations), and
 * scratch that is reset each step.
 */
#ifndef WS_CORE_MEMORY_H
#define WS_CORE_MEMORY_H

#include <stdint.h>
#include <string.h>
#include "error.h"

/* *out = count zeroed elements of `size` bytes (64-byte aligned, never NULL on success, also for count 0). Free with
 * free(). */
WS_MUST ws_err ws_alloc(void *out, size_t count, size_t size);
/* Grows *array so that it holds at least `needed` elements, doubling; *capacity in elements. New elements are not
 * cleared. */
WS_MUST ws_err ws_grow(void *array, size_t *capacity, size_t needed, size_t size);
#define WS_NEW(pointer) ws_alloc(&(pointer), 1, sizeof *(pointer))
#define WS_NEW_ARRAY(pointer, count) ws_alloc(&(pointer), (count), sizeof *(pointer))
#define WS_GROW(pointer, capacity, needed) ws_grow(&(pointer), &(capacity), (needed), sizeof *(pointer))

typedef struct ws_arena ws_arena;
WS_MUST ws_err ws_arena_create(ws_arena **out, size_t block_bytes);
void ws_arena_destroy(ws_arena **arena); /* accepts a pointer to NULL */
void ws_arena_reset(ws_arena *arena);    /* forgets everything, keeps the blocks */
/* 64-byte aligned zeroed memory that lives as long as the arena. */
WS_MUST ws_err ws_arena_alloc(ws_arena *arena, void *out, size_t count, size_t size);
/* Copy of `text` in the arena; NULL only when out of memory. */
const char *ws_arena_strdup(ws_arena *arena, const char *text);

/* A file without a name (memfd_create(2)) as another process of the machine reaches it. In a container the number of a process may be
 * that of another one with other files, so the file itself is told too. */
typedef struct ws_shared_file {
    int64_t process;
    uint64_t device, inode;
    int64_t descriptor; /* of that process; -1: there is none */
} ws_shared_file;
ws_shared_file ws_shared_file_of(int descriptor);
int ws_shared_file_open(const ws_shared_file *file,
                        int flags); /* a descriptor of this process; -1: it cannot be reached */

/* An arena into which other processes of the machine can look: its blocks lie in a file without a name, which ends with the last
 * process that has it. */
WS_MUST ws_err ws_arena_create_shared(ws_arena **out, size_t block_bytes);
typedef struct ws_arena_block {
    uint64_t address; /* where the owner has it */
    uint64_t offset, bytes;
} ws_arena_block;
/* blocks: malloc'ed, [*count] */
WS_MUST ws_err ws_arena_blocks(const ws_arena *arena, ws_arena_block **blocks, size_t *count, ws_shared_file *file);
/* Another process's shared arena, to be read here. It must not be reset, and must live until the view has been made. */
typedef struct ws_arena_view ws_arena_view;
WS_MUST ws_err ws_arena_view_create(ws_arena_view **out, const ws_shared_file *file, const ws_arena_block *blocks,
                                    size_t count);
/* Where this process has what lies at `theirs` in the owner's; NULL for NULL and for what is not in the arena. */
const void *ws_arena_view_at(const ws_arena_view *view, const void *theirs);
void ws_arena_view_destroy(ws_arena_view **view);

#endif
