/* Threads of one rank that share its gradient shards: shard k goes to thread (k - begin) % threads, so a shard's work
 * is never split and its result does not depend on how many threads there are. The caller is thread 0. Threads sleep
 * between runs (spinning would steal the cores of other ranks). Errors travel in the caller's own context. */
#include <pthread.h>
#include <stdlib.h>
#include "cluster/cluster.h"

typedef struct worker {
    ws_shard_threads *pool;
    pthread_t thread;
    int index;
} worker;

struct ws_shard_threads {
    int count;       /* with the caller */
    worker *workers; /* [count - 1] that were started */
    int started;
    pthread_mutex_t lock;
    pthread_cond_t wake, idle;
    uint64_t run; /* number of the run that workers should do */
    int busy;
    bool quit;
    int begin, end;
    ws_shard_work work;
    void *context;
};

static void do_shards(const ws_shard_threads *pool, int thread)
{
    for (int shard = pool->begin + thread; shard < pool->end; shard += pool->count)
        pool->work(pool->context, shard, thread);
}

static void *work_until_quit(void *argument)
{
    worker *self = argument;
    ws_shard_threads *pool = self->pool;
    uint64_t done = 0;
    pthread_mutex_lock(&pool->lock);
    for (;;) {
        while (pool->run == done && !pool->quit)
            pthread_cond_wait(&pool->wake, &pool->lock);
        if (pool->quit)
            break;
        done = pool->run;
        pthread_mutex_unlock(&pool->lock);
        do_shards(pool, self->index);
        pthread_mutex_lock(&pool->lock);
        if (--pool->busy == 0)
            pthread_cond_signal(&pool->idle);
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

ws_err ws_shard_threads_create(ws_shard_threads **out, int threads)
{
    ws_shard_threads *pool;
    WS_TRY(WS_NEW(pool));
    *out = pool;
    pool->count = threads;
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->wake, NULL);
    pthread_cond_init(&pool->idle, NULL);
    ws_err error = WS_NEW_ARRAY(pool->workers, (size_t)threads);
    for (int i = 0; i < threads - 1 && error == WS_OK; i++) {
        pool->workers[i] = (worker){.pool = pool, .index = i + 1};
        int status = pthread_create(&pool->workers[i].thread, NULL, work_until_quit, &pool->workers[i]);
        if (status != 0)
            error = WS_ERROR(MEMORY, "thread %d of %d cannot be started: %s", i + 2, threads, strerror(status));
        else
            pool->started++;
    }
    if (error != WS_OK)
        ws_shard_threads_destroy(out);
    return error;
}

void ws_shard_threads_destroy(ws_shard_threads **threads)
{
    ws_shard_threads *pool = *threads;
    if (pool == NULL)
        return;
    pthread_mutex_lock(&pool->lock);
    pool->quit = true;
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->lock);
    for (int i = 0; i < pool->started; i++)
        pthread_join(pool->workers[i].thread, NULL);
    pthread_cond_destroy(&pool->idle);
    pthread_cond_destroy(&pool->wake);
    pthread_mutex_destroy(&pool->lock);
    free(pool->workers);
    free(pool);
    *threads = NULL;
}

int ws_shard_threads_count(const ws_shard_threads *pool)
{
    return pool->count;
}

void ws_shard_threads_run(ws_shard_threads *pool, int begin, int end, ws_shard_work work, void *context)
{
    pthread_mutex_lock(&pool->lock);
    pool->begin = begin;
    pool->end = end;
    pool->work = work;
    pool->context = context;
    pool->busy = pool->started;
    pool->run++;
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->lock);
    do_shards(pool, 0);
    pthread_mutex_lock(&pool->lock);
    while (pool->busy > 0)
        pthread_cond_wait(&pool->idle, &pool->lock);
    pthread_mutex_unlock(&pool->lock);
}
