/* One thread of a rank that does one piece of work at a time beside the caller: what the next step needs, while this one is
 * computed. It never calls MPI. */
#include <pthread.h>
#include <stdlib.h>
#include "cluster/cluster.h"

struct ws_background {
    pthread_t thread;
    bool started, busy, quit;
    pthread_mutex_t lock;
    pthread_cond_t wake, idle;
    void (*work)(void *context);
    void *context;
};

static void *work_until_quit(void *argument)
{
    ws_background *b = argument;
    pthread_mutex_lock(&b->lock);
    for (;;) {
        while (!b->busy && !b->quit)
            pthread_cond_wait(&b->wake, &b->lock);
        if (!b->busy)
            break;
        pthread_mutex_unlock(&b->lock);
        b->work(b->context);
        pthread_mutex_lock(&b->lock);
        b->busy = false;
        pthread_cond_signal(&b->idle);
    }
    pthread_mutex_unlock(&b->lock);
    return NULL;
}

ws_err ws_background_create(ws_background **out)
{
    ws_background *b;
    WS_TRY(WS_NEW(b));
    *out = b;
    pthread_mutex_init(&b->lock, NULL);
    pthread_cond_init(&b->wake, NULL);
    pthread_cond_init(&b->idle, NULL);
    int status = pthread_create(&b->thread, NULL, work_until_quit, b);
    b->started = status == 0;
    if (status == 0)
        return WS_OK;
    ws_background_destroy(out);
    return WS_ERROR(MEMORY, "a thread cannot be started: %s", strerror(status));
}

void ws_background_destroy(ws_background **background)
{
    ws_background *b = *background;
    if (b == NULL)
        return;
    pthread_mutex_lock(&b->lock);
    b->quit = true;
    pthread_cond_signal(&b->wake);
    pthread_mutex_unlock(&b->lock);
    if (b->started)
        pthread_join(b->thread, NULL);
    pthread_cond_destroy(&b->idle);
    pthread_cond_destroy(&b->wake);
    pthread_mutex_destroy(&b->lock);
    free(b);
    *background = NULL;
}

void ws_background_start(ws_background *b, void (*work)(void *context), void *context)
{
    ws_background_wait(b);
    pthread_mutex_lock(&b->lock);
    b->work = work;
    b->context = context;
    b->busy = true;
    pthread_cond_signal(&b->wake);
    pthread_mutex_unlock(&b->lock);
}

void ws_background_wait(ws_background *b)
{
    pthread_mutex_lock(&b->lock);
    while (b->busy)
        pthread_cond_wait(&b->idle, &b->lock);
    pthread_mutex_unlock(&b->lock);
}
