/* Members of a compressed file decoded ahead by threads, in pieces: see source.h. BGZF, files of several gzip members, zstd
 * frames, xz and bzip2 streams alike. Threads call no MPI and report no errors: what they cannot do, the caller does.
 */
#include "capture/source.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

enum {
    THREADS_MOST = 4,              /* feed more than one rank can parse */
    PIECE_BYTES = 512 << 10,       /* of the file; more only where a member is larger */
    PIECE_BYTES_MOST = 4 << 20,    /* larger members are not decoded ahead */
    CONTENT_BYTES_MOST = 32 << 20, /* of a piece */
    PIECES = THREADS_MOST + 2,
};

typedef enum piece_state { PIECE_FREE, PIECE_WAITS, PIECE_RUNS, PIECE_DONE } piece_state;
typedef struct piece {
    ws_ahead_piece shown;
    piece_state state; /* under the lock */
    bool good;
    uint8_t *packed, *content;
    size_t packed_capacity, capacity, count;
} piece;

struct ws_ahead {
    ws_compression kind;
    const char *path;
    int file;
    uint64_t stored_bytes, unplannable; /* unplannable: no piece begins here */
    piece pieces[PIECES];               /* a ring: `used` of them from `first` on, in order of the file */
    size_t first, used;
    bool taken; /* the first one is with the caller */
    int threads, started;
    pthread_t thread[THREADS_MOST];
    pthread_mutex_t lock;
    pthread_cond_t changed;
    atomic_bool stop;
};

ws_err ws_ahead_create(ws_ahead **out, ws_compression kind, const char *path, int file, uint64_t stored_bytes,
                       int threads)
{
    ws_ahead *ahead;
    WS_TRY(WS_NEW(ahead));
    ahead->kind = kind;
    ahead->path = path;
    ahead->file = file;
    ahead->stored_bytes = stored_bytes;
    ahead->unplannable = UINT64_MAX;
    ahead->threads = threads < THREADS_MOST ? threads : THREADS_MOST;
    pthread_mutex_init(&ahead->lock, NULL);
    pthread_cond_init(&ahead->changed, NULL);
    atomic_init(&ahead->stop, false);
    *out = ahead;
    return WS_OK;
}

void ws_ahead_destroy(ws_ahead **out)
{
    ws_ahead *ahead = *out;
    if (ahead == NULL)
        return;
    atomic_store(&ahead->stop, true);
    pthread_mutex_lock(&ahead->lock);
    pthread_cond_broadcast(&ahead->changed);
    pthread_mutex_unlock(&ahead->lock);
    for (int t = 0; t < ahead->started; t++)
        pthread_join(ahead->thread[t], NULL);
    for (size_t i = 0; i < PIECES; i++) {
        free(ahead->pieces[i].packed);
        free(ahead->pieces[i].content);
    }
    pthread_mutex_destroy(&ahead->lock);
    pthread_cond_destroy(&ahead->changed);
    free(ahead);
    *out = NULL;
}

/* ---------------------------------------------------------------- the threads */
static ws_err room_for_more(piece *p)
{
    enum { ROOM = 64 << 10 };
    if (p->capacity - p->count >= ROOM)
        return WS_OK;
    WS_CHECK(p->count < CONTENT_BYTES_MOST, MEMORY, "more content than a piece may have");
    return WS_GROW(p->content, p->capacity, p->capacity < 4 * PIECE_BYTES ? 4 * PIECE_BYTES : p->capacity * 2);
}

/* All members of the piece; an error where that is not what it holds. */
static ws_err decode_piece(ws_ahead *ahead, ws_decoder *decoder, piece *p)
{
    const size_t packed = (size_t)(p->shown.end - p->shown.begin);
    p->count = 0;
    for (size_t at = 0; at < packed;) {
        ws_decoded did = {0};
        WS_CHECK(ws_member_may_begin(ahead->kind, p->packed + at, packed - at), FORMAT, "no member");
        WS_TRY(ws_decoder_begin(decoder, false));
        while (!did.member_ended) {
            WS_TRY(room_for_more(p));
            did = ws_decoder_run(decoder, p->packed + at, packed - at, p->content + p->count, p->capacity - p->count);
            at += did.taken;
            p->count += did.made;
            WS_CHECK(did.fault == NULL && (did.taken + did.made > 0 || did.member_ended) && !atomic_load(&ahead->stop),
                     FORMAT, "no whole member");
        }
    }
    p->shown.content = p->content;
    p->shown.bytes = p->count;
    return WS_OK;
}

static piece *waiting_piece(ws_ahead *ahead)
{
    for (size_t i = 0; i < ahead->used; i++) {
        piece *p = &ahead->pieces[(ahead->first + i) % PIECES];
        if (p->state == PIECE_WAITS)
            return p;
    }
    return NULL;
}

static void *thread_main(void *context)
{
    ws_ahead *ahead = context;
    ws_decoder *decoder = NULL;
    ws_err error = ws_decoder_create(&decoder, ahead->kind);
    pthread_mutex_lock(&ahead->lock);
    while (!atomic_load(&ahead->stop)) {
        piece *p = waiting_piece(ahead);
        if (p == NULL) {
            pthread_cond_wait(&ahead->changed, &ahead->lock);
            continue;
        }
        p->state = PIECE_RUNS;
        pthread_mutex_unlock(&ahead->lock);
        p->good = error == WS_OK && decode_piece(ahead, decoder, p) == WS_OK;
        pthread_mutex_lock(&ahead->lock);
        p->state = PIECE_DONE;
        pthread_cond_broadcast(&ahead->changed);
    }
    pthread_mutex_unlock(&ahead->lock);
    ws_decoder_destroy(&decoder);
    return NULL;
}

/* ---------------------------------------------------------------- the caller */
/* Where a piece that begins at the first of `bytes` bytes may end; 0: nowhere. `all`: they reach to the file's end. */
static size_t piece_end(const ws_ahead *ahead, const uint8_t *data, size_t bytes, bool all)
{
    size_t end = 0, from = 1;
    /* The last head of the usual size, or the first of any: many small members make a large piece. */
    for (size_t next; (next = ws_member_find(ahead->kind, data, bytes, from)) != SIZE_MAX; from = next + 1) {
        if (end > 0 && next > PIECE_BYTES)
            break;
        end = next;
    }
    return all && (end == 0 || bytes <= PIECE_BYTES) ? bytes : end;
}

/* A piece from `begin` on; *planned false where none can be. */
static ws_err plan(ws_ahead *ahead, uint64_t begin, bool *planned)
{
    piece *p = &ahead->pieces[(ahead->first + ahead->used) % PIECES];
    const uint64_t left = ahead->stored_bytes - begin;
    size_t end = 0, have = 0;
    *planned = false;
    for (size_t size = PIECE_BYTES; end == 0 && have < left && size <= PIECE_BYTES_MOST; size *= 2) {
        const size_t wanted = left < size + WS_MEMBER_HEAD ? (size_t)left : size + WS_MEMBER_HEAD;
        WS_TRY(WS_GROW(p->packed, p->packed_capacity, wanted));
        WS_TRY(ws_source_fetch(ahead->path, ahead->file, begin + have, p->packed + have, wanted - have,
                               ahead->stored_bytes));
        have = wanted;
        end = piece_end(ahead, p->packed, have, have == left);
    }
    if (end == 0)
        return WS_OK;
    p->shown = (ws_ahead_piece){.begin = begin, .end = begin + end};
    pthread_mutex_lock(&ahead->lock);
    p->state = PIECE_WAITS;
    ahead->used++;
    pthread_cond_broadcast(&ahead->changed);
    pthread_mutex_unlock(&ahead->lock);
    *planned = true;
    return WS_OK;
}

static void drop_first(ws_ahead *ahead)
{
    piece *p = &ahead->pieces[ahead->first];
    pthread_mutex_lock(&ahead->lock);
    while (p->state == PIECE_RUNS)
        pthread_cond_wait(&ahead->changed, &ahead->lock);
    p->state = PIECE_FREE;
    ahead->first = (ahead->first + 1) % PIECES;
    ahead->used--;
    pthread_mutex_unlock(&ahead->lock);
}

static ws_err plan_all(ws_ahead *ahead, uint64_t offset)
{
    while (ahead->used < (size_t)ahead->threads + 2) {
        const piece *last = &ahead->pieces[(ahead->first + ahead->used + PIECES - 1) % PIECES];
        const uint64_t begin = ahead->used > 0 ? last->shown.end : offset;
        bool planned;
        if (begin >= ahead->stored_bytes || begin == ahead->unplannable)
            break;
        WS_TRY(plan(ahead, begin, &planned));
        if (!planned)
            ahead->unplannable = begin;
    }
    while (ahead->used > 1 && ahead->started < ahead->threads &&
           pthread_create(&ahead->thread[ahead->started], NULL, thread_main, ahead) == 0)
        ahead->started++;
    return WS_OK;
}

ws_err ws_ahead_take(ws_ahead *ahead, uint64_t offset, const ws_ahead_piece **out)
{
    *out = NULL;
    while (ahead->used > 0 && (ahead->taken || ahead->pieces[ahead->first].shown.begin < offset)) {
        drop_first(ahead);
        ahead->taken = false;
    }
    WS_TRY(plan_all(ahead, offset));
    piece *p = &ahead->pieces[ahead->first];
    if (ahead->used == 0 || ahead->started == 0 || p->shown.begin != offset)
        return WS_OK;
    pthread_mutex_lock(&ahead->lock);
    while (p->state != PIECE_DONE)
        pthread_cond_wait(&ahead->changed, &ahead->lock);
    pthread_mutex_unlock(&ahead->lock);
    if (!p->good) {
        drop_first(ahead);
        return WS_OK;
    }
    ahead->taken = true;
    *out = &p->shown;
    return WS_OK;
}
