/* Places: opening a device, memory in it, copies to and from it; and the CPU as a device. */
#include <cblas.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include "engine/plan.h"

/* ---- the CPU ---- */

static pthread_once_t blas_once = PTHREAD_ONCE_INIT;

/* Parallelism is over gradient shards, never inside an operator. */
static void use_one_blas_thread(void)
{
    openblas_set_num_threads(1);
}

/* At a thread's first product OpenBLAS maps a buffer of 128 MiB, keeps it, and asks again for ever where it may not have it (ulimit
 * -v, ulimit -d): the rank would hang, and all others with it. So it is looked for first, and taken. */
ws_err ws_blas_prepare(void)
{
    enum { BUFFER_BYTES = 128 << 20, SPARE_BYTES = 8 << 20, N = 64 };
    static _Thread_local bool taken;
    size_t bytes = BUFFER_BYTES + SPARE_BYTES;
    if (taken)
        return WS_OK;
    void *room = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (room == MAP_FAILED) {
        ws_err error = WS_ERROR(MEMORY, "no memory for the %d MiB that OpenBLAS takes", BUFFER_BYTES >> 20);
        WS_HINT("raise the limit (ulimit -v, ulimit -d), or ask for more memory");
        return error;
    }
    munmap(room, bytes);
    float *matrix = NULL;
    WS_TRY(WS_NEW_ARRAY(matrix, 2 * N * N));
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, N, N, N, 1, matrix, N, matrix, N, 0, matrix + N * N, N);
    free(matrix);
    taken = true;
    return WS_OK;
}

static ws_err cpu_open(void **queue, int index)
{
    WS_CHECK(index == 0, ARGUMENT, "there is no CPU device %d; the only one is 0", index);
    *queue = NULL;
    return WS_OK;
}

static void cpu_close(void *queue)
{
    (void)queue;
}

static ws_err cpu_allocate(void *queue, void **out, size_t bytes)
{
    (void)queue;
    return ws_alloc(out, bytes, 1);
}

static void cpu_release(void *queue, void *memory)
{
    (void)queue;
    free(memory);
}

static void cpu_copy(void *queue, void *to, const void *from, size_t bytes)
{
    (void)queue;
    memcpy(to, from, bytes);
}

static void cpu_zero(void *queue, void *memory, size_t bytes)
{
    (void)queue;
    memset(memory, 0, bytes);
}

static ws_err cpu_wait(void *queue)
{
    (void)queue;
    return WS_OK;
}

const ws_device ws_device_cpu = {
    .name = "cpu",
    .open = cpu_open,
    .close = cpu_close,
    .allocate = cpu_allocate,
    .release = cpu_release,
    .allocate_host = cpu_allocate,
    .release_host = cpu_release,
    .upload = cpu_copy,
    .download = cpu_copy,
    .zero = cpu_zero,
    .wait = cpu_wait,
    .host_memory = true,
};

/* ---- places ---- */

ws_place ws_place_cpu(void)
{
    pthread_once(&blas_once, use_one_blas_thread);
    return (ws_place){.backend = WS_CPU, .device = &ws_device_cpu, .kernels = ws_kernels_of(ws_isa_active())};
}

static ws_err finish_place(ws_place *out, ws_place place)
{
    place.mark = NULL;
    ws_err error = place.device->mark_create ? place.device->mark_create(place.queue, &place.mark) : WS_OK;
    if (error != WS_OK)
        place.device->close(place.queue);
    else
        *out = place;
    return error;
}

ws_err ws_place_open(ws_place *out, ws_backend backend, int index)
{
    ws_place place = {.backend = backend};
    if (backend == WS_CPU) {
        place = ws_place_cpu();
    } else {
        place.kernels = ws_kernels_of_cuda();
#if defined(WS_HAVE_CUDA) && !defined(WS_REAL_DOUBLE)
        place.device = &ws_device_cuda;
#endif
        WS_CHECK(place.device, UNSUPPORTED, "this build has no CUDA kernels; build where the CUDA Toolkit is found");
    }
    WS_TRY(place.device->open(&place.queue, index));
    return finish_place(out, place);
}

ws_err ws_place_open_beside(ws_place *out, const ws_place *of)
{
    ws_place place = *of;
    WS_TRY(of->device->open_beside(&place.queue, of->queue));
    return finish_place(out, place);
}

void *ws_place_stream(const ws_place *place)
{
#if defined(WS_HAVE_CUDA) && !defined(WS_REAL_DOUBLE)
    if (place->backend == WS_CUDA)
        return ws_cuda_stream(place->queue);
#endif
    return place->queue;
}

void ws_place_memory(const ws_place *place, size_t *unused, size_t *whole)
{
    place->device->memory(place->queue, unused, whole);
}

void ws_place_copy(const ws_place *place, ws_real *to, const ws_real *from, size_t count)
{
    place->device->copy(place->queue, to, from, count * sizeof *to);
}

void ws_place_zero(const ws_place *place, ws_real *memory, size_t count)
{
    place->device->zero(place->queue, memory, count * sizeof *memory);
}

ws_err ws_place_allocate_rounded(const ws_place *place, uint16_t **out, size_t count)
{
    void *memory = NULL;
    WS_TRY(place->device->allocate(place->queue, &memory, count * sizeof **out));
    *out = memory;
    return WS_OK;
}

void ws_place_release_rounded(const ws_place *place, uint16_t **memory)
{
    if (*memory)
        place->device->release(place->queue, *memory);
    *memory = NULL;
}

void ws_place_round(const ws_place *place, uint16_t *to, const ws_real *from, size_t count)
{
    place->kernels->round(&(ws_round_arguments){count, from, to}, place->queue);
}

void ws_place_set_mark(const ws_place *place)
{
    place->device->mark_set(place->queue, place->mark);
}

bool ws_place_reached(const ws_place *place)
{
    return place->device->reached(place->queue, place->mark);
}

void ws_place_follow(const ws_place *place, const ws_place *other)
{
    other->device->mark_set(other->queue, other->mark);
    place->device->follow(place->queue, other->mark);
}

void ws_place_close(ws_place *place)
{
    if (place->mark)
        place->device->mark_destroy(place->queue, place->mark);
    if (place->device)
        place->device->close(place->queue);
    *place = (ws_place){0};
}

ws_err ws_place_allocate(const ws_place *place, ws_real **out, size_t count)
{
    WS_CHECK(count <= SIZE_MAX / sizeof(ws_real), MEMORY, "%zu reals are too many", count);
    void *memory = NULL;
    WS_TRY(place->device->allocate(place->queue, &memory, count * sizeof(ws_real)));
    *out = memory;
    return WS_OK;
}

void ws_place_release(const ws_place *place, ws_real **memory)
{
    if (*memory)
        place->device->release(place->queue, *memory);
    *memory = NULL;
}

ws_err ws_place_allocate_host(const ws_place *place, ws_real **out, size_t count)
{
    void *memory = NULL;
    WS_TRY(place->device->allocate_host(place->queue, &memory, count * sizeof(ws_real)));
    *out = memory;
    return WS_OK;
}

void ws_place_release_host(const ws_place *place, ws_real **memory)
{
    if (*memory)
        place->device->release_host(place->queue, *memory);
    *memory = NULL;
}

void ws_place_upload(const ws_place *place, ws_real *device, const ws_real *host, size_t count)
{
    place->device->upload(place->queue, device, host, count * sizeof *host);
}

ws_err ws_place_download(const ws_place *place, ws_real *host, const ws_real *device, size_t count)
{
    place->device->download(place->queue, host, device, count * sizeof *host);
    return place->device->wait(place->queue);
}

ws_err ws_place_wait(const ws_place *place)
{
    return place->device->wait(place->queue);
}
