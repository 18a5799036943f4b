/* Checked allocation and arenas, also such as other processes of the machine can read. */
#include "memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ALIGNMENT = 64, HUGE_PAGE = 2 << 20, LARGE = 2 * HUGE_PAGE };

/* A wish for huge pages: fresh memory costs a fault a page, which is more than what is done with 4 KiB. */
static void wish_huge_pages(void *memory, size_t bytes)
{
    const size_t before = (HUGE_PAGE - (uintptr_t)memory % HUGE_PAGE) % HUGE_PAGE;
    if (bytes >= LARGE)
        (void)madvise((char *)memory + before, (bytes - before) / HUGE_PAGE * HUGE_PAGE, MADV_HUGEPAGE);
}

static ws_err aligned(void **out, size_t bytes)
{
    size_t rounded = bytes > SIZE_MAX - 2 * ALIGNMENT ? SIZE_MAX : (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    *out = rounded == SIZE_MAX ? NULL : aligned_alloc(ALIGNMENT, rounded ? rounded : ALIGNMENT);
    WS_CHECK(*out, MEMORY, "%zu bytes could not be had", bytes);
    wish_huge_pages(*out, bytes);
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
    wish_huge_pages(new, bytes);
    memcpy(array, &new, sizeof new);
    *capacity = larger;
    return WS_OK;
}

typedef struct block {
    struct block *next;
    size_t size, used; /* of its bytes */
    size_t touched;    /* of them, the most that were ever used; the others are still zeros */
    uint64_t offset;   /* shared arenas: in the file */
    char *bytes;
} block;

struct ws_arena {
    size_t block_bytes;
    block *first, *current;
    int fd; /* shared arenas: the file; else -1 */
    uint64_t file_bytes;
};

/* Large blocks are mapped, where pages are zeros that cost nothing until they are used, by all threads and not by who makes them. */
static bool is_mapped(const ws_arena *arena, size_t bytes)
{
    return arena->fd >= 0 || bytes >= LARGE;
}

ws_err ws_arena_create(ws_arena **out, size_t block_bytes)
{
    WS_TRY(WS_NEW(*out));
    (*out)->block_bytes = block_bytes < 4096 ? 4096 : block_bytes;
    (*out)->fd = -1;
    return WS_OK;
}

ws_err ws_arena_create_shared(ws_arena **out, size_t block_bytes)
{
    WS_TRY(ws_arena_create(out, block_bytes));
    (*out)->fd = memfd_create("wiresweep", MFD_CLOEXEC);
    if ((*out)->fd >= 0)
        return WS_OK;
    int reason = errno;
    ws_arena_destroy(out);
    WS_FAIL(MEMORY, "no memory to share: %s", strerror(reason));
}

void ws_arena_destroy(ws_arena **arena)
{
    if (!*arena)
        return;
    for (block *at = (*arena)->first, *next; at; at = next) {
        next = at->next;
        if (is_mapped(*arena, at->size))
            munmap(at->bytes, at->size);
        else
            free(at->bytes);
        free(at);
    }
    if ((*arena)->fd >= 0)
        close((*arena)->fd);
    free(*arena);
    *arena = NULL;
}

void ws_arena_reset(ws_arena *arena)
{
    for (block *at = arena->first; at; at = at->next)
        at->used = 0;
    arena->current = arena->first;
}

/* The file of a shared arena grows by the block. */
static ws_err map_block(ws_arena *arena, block *added)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    WS_CHECK(added->size < SIZE_MAX - page, MEMORY, "%zu bytes could not be had", added->size);
    added->size = (added->size + page - 1) / page * page;
    added->offset = arena->file_bytes;
    WS_CHECK(arena->fd < 0 || ftruncate(arena->fd, (off_t)(added->offset + added->size)) == 0, MEMORY,
             "%zu bytes to share could not be had: %s", added->size, strerror(errno));
    added->bytes = mmap(NULL, added->size, PROT_READ | PROT_WRITE,
                        arena->fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED, arena->fd, (off_t)added->offset);
    WS_CHECK(added->bytes != MAP_FAILED, MEMORY, "%zu bytes%s could not be had: %s", added->size,
             arena->fd < 0 ? "" : " to share", strerror(errno));
    if (arena->fd < 0)
        wish_huge_pages(added->bytes, added->size);
    else
        arena->file_bytes += added->size;
    return WS_OK;
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
        ws_err error =
            is_mapped(arena, added->size) ? map_block(arena, added) : ws_alloc(&added->bytes, added->size, 1);
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
    block *at = arena->current;
    void *memory = at->bytes + at->used;
    if (at->used < at->touched)
        memset(memory, 0, bytes < at->touched - at->used ? bytes : at->touched - at->used);
    at->used += bytes;
    at->touched = at->used > at->touched ? at->used : at->touched;
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

/* ---- looking into another process's memory ---- */

ws_shared_file ws_shared_file_of(int descriptor)
{
    struct stat info;
    if (descriptor < 0 || fstat(descriptor, &info) != 0)
        return (ws_shared_file){.descriptor = -1};
    return (ws_shared_file){getpid(), (uint64_t)info.st_dev, (uint64_t)info.st_ino, descriptor};
}

int ws_shared_file_open(const ws_shared_file *file, int flags)
{
    char path[64];
    struct stat info;
    snprintf(path, sizeof path, "/proc/%lld/fd/%lld", (long long)file->process, (long long)file->descriptor);
    const int here = file->descriptor < 0 ? -1 : open(path, flags | O_CLOEXEC);
    if (here < 0)
        return -1;
    if (fstat(here, &info) == 0 && (uint64_t)info.st_dev == file->device && (uint64_t)info.st_ino == file->inode)
        return here;
    close(here);
    return -1;
}

ws_err ws_arena_blocks(const ws_arena *arena, ws_arena_block **blocks, size_t *count, ws_shared_file *file)
{
    size_t n = 0;
    *count = 0;
    *file = ws_shared_file_of(arena->fd);
    for (const block *at = arena->first; at; at = at->next)
        n++;
    WS_TRY(WS_NEW_ARRAY(*blocks, n));
    for (const block *at = arena->first; at; at = at->next)
        (*blocks)[(*count)++] = (ws_arena_block){(uint64_t)(uintptr_t)at->bytes, at->offset, at->size};
    return WS_OK;
}

typedef struct mapping {
    uint64_t theirs, bytes;
    char *ours;
} mapping;

struct ws_arena_view {
    size_t count;
    mapping *mappings;
};

void ws_arena_view_destroy(ws_arena_view **view)
{
    if (!*view)
        return;
    for (size_t i = 0; i < (*view)->count; i++)
        munmap((*view)->mappings[i].ours, (*view)->mappings[i].bytes);
    free((*view)->mappings);
    free(*view);
    *view = NULL;
}

static ws_err map_blocks(ws_arena_view *view, int fd, const ws_arena_block *blocks, size_t count)
{
    WS_TRY(WS_NEW_ARRAY(view->mappings, count));
    for (; view->count < count; view->count++) {
        const ws_arena_block *from = &blocks[view->count];
        void *ours = mmap(NULL, from->bytes, PROT_READ, MAP_SHARED, fd, (off_t)from->offset);
        WS_CHECK(ours != MAP_FAILED, MEMORY, "%llu shared bytes could not be mapped: %s",
                 (unsigned long long)from->bytes, strerror(errno));
        view->mappings[view->count] = (mapping){from->address, from->bytes, ours};
    }
    return WS_OK;
}

ws_err ws_arena_view_create(ws_arena_view **out, const ws_shared_file *file, const ws_arena_block *blocks, size_t count)
{
    *out = NULL;
    int here = ws_shared_file_open(file, O_RDONLY);
    WS_CHECK(here >= 0, IO, "the memory of process %lld cannot be reached", (long long)file->process);
    ws_err error = WS_NEW(*out);
    if (error == WS_OK)
        error = map_blocks(*out, here, blocks, count);
    close(here);
    if (error != WS_OK)
        ws_arena_view_destroy(out);
    WS_TRY(error);
    return WS_OK;
}

const void *ws_arena_view_at(const ws_arena_view *view, const void *theirs)
{
    const uint64_t at = (uint64_t)(uintptr_t)theirs;
    for (size_t i = 0; i < view->count; i++)
        if (at >= view->mappings[i].theirs && at - view->mappings[i].theirs < view->mappings[i].bytes)
            return view->mappings[i].ours + (at - view->mappings[i].theirs);
    return NULL;
}
