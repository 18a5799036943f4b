/* Streams: the content of a compressed file (source.c) as a window that moves over it. A small file is decompressed when
 * it is asked for; for a large one a thread does it ahead, in chunks that wait in a ring, so that decompression and what is
 * done with the content go on at the same time.
 */
#include "capture/stream.h"

#include "capture/source.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum {
    STREAM_ROOM = 256 << 10, /* least room for output */
    CHUNK_BYTES = 1 << 20,   /* what the thread gives at once */
    CHUNKS = 4,
    THREAD_FROM = 512 << 10, /* a file smaller than this needs no thread, nor does a look at its beginning */
};

typedef struct chunk {
    uint8_t *data;
    ws_source_step step;
    uint64_t position; /* of the source behind it */
} chunk;

/* The thread that is ahead. Chunks [taken, made) of the ring are full. */
typedef struct producer {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    chunk ring[CHUNKS];
    uint64_t made, taken; /* under the lock, as what follows */
    bool stop, done;
    ws_err error;
    char *message; /* of the error: contexts of errors belong to threads */
} producer;

struct ws_stream {
    ws_compression kind;
    const char *path; /* borrowed */
    int file;
    uint64_t stored_bytes, consumed;
    int cores;
    ws_source *source;  /* the producer's while there is one */
    producer *producer; /* NULL: not needed, or not yet */
    uint8_t *data;      /* decompressed bytes [begin, begin + count) */
    size_t count, capacity;
    uint64_t begin, released;
    bool ended;
    ws_stream_break *breaks;
    size_t break_count, break_capacity;
};

static atomic_int cores_told;

void ws_stream_use_cores(int cores)
{
    atomic_store(&cores_told, cores);
}

static int usable_cores(void)
{
    cpu_set_t set;
    const int told = atomic_load(&cores_told);
    if (told > 0)
        return told;
    return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
}

/* ---------------------------------------------------------------- the thread ahead */
/* The place for the next chunk; NULL: the thread is to stop. */
static chunk *wait_for_place(producer *p)
{
    pthread_mutex_lock(&p->lock);
    while (!p->stop && p->made - p->taken == CHUNKS)
        pthread_cond_wait(&p->changed, &p->lock);
    chunk *place = p->stop ? NULL : &p->ring[p->made % CHUNKS];
    pthread_mutex_unlock(&p->lock);
    return place;
}

static void *producer_main(void *context)
{
    ws_stream *s = context;
    producer *p = s->producer;
    ws_err error = WS_OK;
    bool ended = false;
    while (!ended && error == WS_OK) {
        chunk *place = wait_for_place(p);
        if (place == NULL)
            return NULL;
        error = ws_source_read(s->source, place->data, CHUNK_BYTES, &place->step);
        place->position = ws_source_position(s->source);
        ended = place->step.ended;
        pthread_mutex_lock(&p->lock);
        p->made += error == WS_OK;
        p->done = ended || error != WS_OK;
        p->error = error;
        p->message = error != WS_OK ? strdup(ws_error_message()) : NULL;
        pthread_cond_broadcast(&p->changed);
        pthread_mutex_unlock(&p->lock);
    }
    return NULL;
}

static void producer_free(producer **out)
{
    producer *p = *out;
    for (int i = 0; i < CHUNKS; i++)
        free(p->ring[i].data);
    pthread_mutex_destroy(&p->lock);
    pthread_cond_destroy(&p->changed);
    free(p->message);
    free(p);
    *out = NULL;
}

static void producer_stop(ws_stream *s)
{
    producer *p = s->producer;
    if (p == NULL)
        return;
    pthread_mutex_lock(&p->lock);
    p->stop = true;
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->lock);
    pthread_join(p->thread, NULL);
    producer_free(&s->producer);
}

/* Without a thread the stream goes on as it is: nothing is lost but time. */
static ws_err producer_start(ws_stream *s)
{
    producer *p;
    ws_err error = WS_OK;
    WS_TRY(WS_NEW(p));
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->changed, NULL);
    for (int i = 0; i < CHUNKS && error == WS_OK; i++)
        error = WS_NEW_ARRAY(p->ring[i].data, CHUNK_BYTES);
    s->producer = p;
    if (error != WS_OK || pthread_create(&p->thread, NULL, producer_main, s) != 0)
        producer_free(&s->producer);
    WS_TRY(error);
    return WS_OK;
}

/* ---------------------------------------------------------------- output */
/* Room for `bytes` behind the data; drops what was released. */
static ws_err make_room(ws_stream *s, size_t bytes)
{
    if (s->capacity - s->count >= bytes)
        return WS_OK;
    const uint64_t unwanted = s->released > s->begin ? s->released - s->begin : 0;
    const size_t dropped = unwanted < s->count ? (size_t)unwanted : s->count;
    if (dropped > 0) {
        memmove(s->data, s->data + dropped, s->count - dropped);
        s->count -= dropped;
        s->begin += dropped;
    }
    if (s->capacity - s->count < bytes || s->count > s->capacity / 2)
        WS_TRY(WS_GROW(s->data, s->capacity, s->capacity * 2 + 2 * bytes));
    return WS_OK;
}

/* What a step brought behind the data. */
static ws_err take_step(ws_stream *s, const ws_source_step *step, uint64_t position)
{
    s->count += step->made;
    s->ended = step->ended;
    s->consumed = position > s->consumed ? position : s->consumed;
    if (step->broken == NULL)
        return WS_OK;
    WS_TRY(WS_GROW(s->breaks, s->break_capacity, s->break_count + 1));
    s->breaks[s->break_count++] =
        (ws_stream_break){s->begin + s->count, step->lost_begin, step->lost_end, step->broken};
    return WS_OK;
}

static ws_err take_chunk(ws_stream *s)
{
    producer *p = s->producer;
    pthread_mutex_lock(&p->lock);
    while (p->made == p->taken && !p->done)
        pthread_cond_wait(&p->changed, &p->lock);
    const bool there = p->made > p->taken;
    pthread_mutex_unlock(&p->lock);
    if (!there)
        return ws_error_set(p->error, p->message != NULL ? p->message : "a file cannot be decompressed", "", "");
    const chunk *full = &p->ring[p->taken % CHUNKS];
    WS_TRY(make_room(s, CHUNK_BYTES));
    if (full->step.made > 0)
        memcpy(s->data + s->count, full->data, full->step.made);
    WS_TRY(take_step(s, &full->step, full->position));
    pthread_mutex_lock(&p->lock);
    p->taken++;
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->lock);
    return WS_OK;
}

static ws_err advance(ws_stream *s)
{
    ws_source_step step;
    if (s->source == NULL)
        WS_TRY(ws_source_create(&s->source, s->kind, s->path, s->file, s->stored_bytes, s->cores > 1 ? s->cores : 0));
    if (s->producer == NULL && s->cores > 1 && s->stored_bytes >= THREAD_FROM && s->begin + s->count >= THREAD_FROM)
        WS_TRY(producer_start(s));
    if (s->producer != NULL)
        return take_chunk(s);
    WS_TRY(make_room(s, STREAM_ROOM));
    WS_TRY(ws_source_read(s->source, s->data + s->count, s->capacity - s->count, &step));
    WS_TRY(take_step(s, &step, ws_source_position(s->source)));
    return WS_OK;
}

static void rewind_stream(ws_stream *s)
{
    producer_stop(s);
    ws_source_destroy(&s->source);
    s->begin = s->released = s->consumed = 0;
    s->count = s->break_count = 0;
    s->ended = false;
}

ws_err ws_stream_create(ws_stream **out, ws_compression kind, const char *path, int file, uint64_t stored_bytes)
{
    WS_TRY(WS_NEW(*out));
    **out =
        (ws_stream){.kind = kind, .path = path, .file = file, .stored_bytes = stored_bytes, .cores = usable_cores()};
    return WS_OK;
}

void ws_stream_destroy(ws_stream **stream)
{
    if (*stream == NULL)
        return;
    rewind_stream(*stream);
    free((*stream)->data);
    free((*stream)->breaks);
    free(*stream);
    *stream = NULL;
}

ws_err ws_stream_reach(ws_stream *s, uint64_t begin, uint64_t end, uint64_t *reached)
{
    if (begin < s->begin)
        rewind_stream(s);
    while (!s->ended && s->begin + s->count < end) {
        /* On the way to a place far ahead nothing needs to be kept. */
        if (s->begin + s->count < begin && s->released < begin)
            s->released = s->begin + s->count;
        WS_TRY(advance(s));
    }
    *reached = s->begin + s->count;
    return WS_OK;
}

void ws_stream_copy(const ws_stream *s, uint64_t offset, void *out, size_t bytes)
{
    memcpy(out, s->data + (offset - s->begin), bytes);
}

void ws_stream_release(ws_stream *s, uint64_t offset)
{
    if (offset > s->released)
        s->released = offset;
}

const ws_stream_break *ws_stream_next_break(const ws_stream *s, uint64_t offset)
{
    for (size_t i = 0; i < s->break_count; i++)
        if (s->breaks[i].offset >= offset)
            return &s->breaks[i];
    return NULL;
}

const char *ws_stream_fault(const ws_stream *s)
{
    const bool broken = s->ended && s->break_count > 0;
    const ws_stream_break *last = broken ? &s->breaks[s->break_count - 1] : NULL;
    return last != NULL && last->lost_end == s->stored_bytes ? last->reason : NULL;
}

uint64_t ws_stream_consumed(const ws_stream *s)
{
    return s->consumed;
}
