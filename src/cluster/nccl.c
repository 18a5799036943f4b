/* NCCL behind the cluster's interface: communicators started over MPI, fast sums, and sums by the fixed tree. */
#include "cluster/nccl.h"
#include <stdlib.h>
#include "cluster/tree_plan.h"

enum { BAND_VALUES = 1 << 24 }; /* of a vector at a time: bounds device memory */

/* Of other ranks' sums, for this rank's slice. */
static size_t received_values(const ws_comm *comm, const ws_tree_plan *plan, size_t count)
{
    const size_t band = count < BAND_VALUES ? count : BAND_VALUES;
    return comm->size == 1 ? 0 : (size_t)plan->travelling * (band / (size_t)comm->size + 1);
}

ws_err ws_nccl_room(const ws_comm *comm, int shards, size_t count, size_t *bytes)
{
    ws_tree_plan plan;
    WS_TRY(ws_tree_plan_create(&plan, comm, shards));
    *bytes = received_values(comm, &plan, count) * sizeof(float);
    ws_tree_plan_destroy(&plan);
    return WS_OK;
}

#ifdef WS_HAVE_NCCL
#include <cuda_runtime_api.h>
#include <dlfcn.h>
#include <nccl.h>

#ifndef WS_NCCL_FILE
#define WS_NCCL_FILE "libnccl.so.2"
#endif

/* Loaded when the first communicator is made, not linked: the program starts where NCCL is absent, and faster. */
#define NCCL_CALLS(CALL)                                                                                               \
    CALL(ncclGetUniqueId)                                                                                              \
    CALL(ncclCommInitRank)                                                                                             \
    CALL(ncclCommDestroy)                                                                                              \
    CALL(ncclCommAbort)                                                                                                \
    CALL(ncclCommGetAsyncError)                                                                                        \
    CALL(ncclGetErrorString)                                                                                           \
    CALL(ncclGroupStart)                                                                                               \
    CALL(ncclGroupEnd)                                                                                                 \
    CALL(ncclSend)                                                                                                     \
    CALL(ncclRecv)                                                                                                     \
    CALL(ncclBroadcast)                                                                                                \
    CALL(ncclAllReduce)
static struct {
#define POINTER(name) __typeof__(&name) name##_;
    NCCL_CALLS(POINTER)
#undef POINTER
    void *library;
} calls;

struct ws_nccl {
    const ws_comm *comm; /* borrowed */
    int device;
    ncclComm_t peers; /* NULL: one rank */
    float *received;  /* device memory for the travelling slices */
    size_t capacity;  /* floats */
    ws_tree_plan plan;
    float **value; /* [shards] of the plan */
};

#define WS_NCCL(call)                                                                                                  \
    do {                                                                                                               \
        ncclResult_t nccl_status_ = calls.call;                                                                        \
        if (nccl_status_ != ncclSuccess)                                                                               \
            WS_FAIL(NCCL, "%s: %s", #call, calls.ncclGetErrorString_(nccl_status_));                                   \
    } while (0)
#define WS_CUDA(call)                                                                                                  \
    do {                                                                                                               \
        cudaError_t cuda_status_ = (call);                                                                             \
        if (cuda_status_ != cudaSuccess)                                                                               \
            WS_FAIL(CUDA, "%s: %s", #call, cudaGetErrorString(cuda_status_));                                          \
    } while (0)

static ws_err load(void)
{
    if (calls.library != NULL)
        return WS_OK;
    void *library = dlopen(WS_NCCL_FILE, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        ws_err error = WS_ERROR(NCCL, "NCCL cannot be loaded: %s", dlerror());
        WS_HINT("install libnccl2 from NVIDIA's package repository, or set LD_LIBRARY_PATH to where it is");
        return error;
    }
#define LOAD(name)                                                                                                     \
    *(void **)&calls.name##_ = dlsym(library, #name);                                                                  \
    WS_CHECK(calls.name##_ != NULL, NCCL, "NCCL has no " #name);
    NCCL_CALLS(LOAD)
#undef LOAD
    calls.library = library;
    return WS_OK;
}

static ws_err prepare(ws_nccl *nccl, ncclUniqueId *id)
{
    if (nccl->comm->size == 1)
        return WS_OK;
    WS_TRY(load());
    WS_CUDA(cudaSetDevice(nccl->device));
    if (nccl->comm->rank == 0)
        WS_NCCL(ncclGetUniqueId_(id));
    return WS_OK;
}

static ws_err join(ws_nccl *nccl, ncclUniqueId id)
{
    if (nccl->comm->size == 1)
        return WS_OK;
    ncclResult_t status = calls.ncclCommInitRank_(&nccl->peers, nccl->comm->size, id, nccl->comm->rank);
    if (status == ncclSuccess)
        return WS_OK;
    nccl->peers = NULL;
    ws_err error = WS_ERROR(NCCL, "ncclCommInitRank on device %d: %s", nccl->device, calls.ncclGetErrorString_(status));
    WS_HINT("every rank needs a GPU of its own; NCCL_DEBUG=WARN says more");
    return error;
}

ws_err ws_nccl_create_all(ws_nccl **out, const ws_comm *comm, int device)
{
    *out = NULL;
    ws_nccl *nccl = NULL;
    WS_TRY(ws_agree_all(comm, WS_NEW(nccl)));
    nccl->comm = comm;
    nccl->device = device;
    ncclUniqueId id = {{0}};
    ws_err error = ws_agree_all(comm, prepare(nccl, &id));
    if (error == WS_OK)
        error = ws_broadcast_all(comm, &id, sizeof id, 0);
    if (error == WS_OK)
        error = ws_agree_all(comm, join(nccl, id));
    if (error != WS_OK)
        ws_nccl_destroy(&nccl);
    *out = nccl;
    WS_TRY(error);
    return WS_OK;
}

void ws_nccl_destroy(ws_nccl **nccl_)
{
    ws_nccl *nccl = *nccl_;
    if (nccl == NULL)
        return;
    cudaSetDevice(nccl->device);
    if (nccl->peers != NULL)
        calls.ncclCommDestroy_(nccl->peers);
    cudaFree(nccl->received);
    ws_tree_plan_destroy(&nccl->plan);
    free(nccl->value);
    free(nccl);
    *nccl_ = NULL;
}

ws_err ws_nccl_check(const ws_nccl *nccl)
{
    ncclResult_t status = ncclSuccess;
    if (nccl->peers != NULL)
        WS_NCCL(ncclCommGetAsyncError_(nccl->peers, &status));
    WS_CHECK(status == ncclSuccess, NCCL, "between GPUs: %s", calls.ncclGetErrorString_(status));
    return WS_OK;
}

void ws_nccl_abort(ws_nccl *nccl)
{
    if (nccl->peers != NULL)
        calls.ncclCommAbort_(nccl->peers);
    nccl->peers = NULL;
}

ws_err ws_nccl_sum_all(ws_nccl *nccl, float *values, size_t count, void *stream)
{
    if (nccl->comm->size == 1)
        return WS_OK;
    WS_CUDA(cudaSetDevice(nccl->device));
    WS_NCCL(ncclAllReduce_(values, values, count, ncclFloat, ncclSum, nccl->peers, stream));
    return WS_OK;
}

static void slice_of(const ws_nccl *nccl, size_t count, int rank, size_t *begin, size_t *length)
{
    uint64_t from, to;
    ws_even_split(count, nccl->comm->size, rank, &from, &to);
    *begin = (size_t)from;
    *length = (size_t)(to - from);
}

/* Queues the sends and receives of one band; value[shard] then points at this rank's slice of every travelling sum. */
static ws_err exchange_slices(ws_nccl *nccl, const ws_tree_plan *plan, float **value, size_t count, cudaStream_t stream)
{
    int own = nccl->comm->rank;
    size_t own_begin, own_length, begin, length;
    slice_of(nccl, count, own, &own_begin, &own_length);
    float *room = nccl->received;
    for (int shard = 0; shard < plan->shards; shard++) {
        if (!plan->travels[shard])
            continue;
        if (plan->owner[shard] != own) {
            value[shard] = room;
            if (own_length > 0)
                WS_NCCL(ncclRecv_(room, own_length, ncclFloat, plan->owner[shard], nccl->peers, stream));
            room += own_length;
            continue;
        }
        for (int rank = 0; rank < nccl->comm->size; rank++) {
            slice_of(nccl, count, rank, &begin, &length);
            if (rank != own && length > 0)
                WS_NCCL(ncclSend_(value[shard] + begin, length, ncclFloat, rank, nccl->peers, stream));
        }
        value[shard] += own_begin;
    }
    return WS_OK;
}

static ws_err gather_slices(ws_nccl *nccl, float *result, size_t count, cudaStream_t stream)
{
    for (int rank = 0; rank < nccl->comm->size; rank++) {
        size_t begin, length;
        slice_of(nccl, count, rank, &begin, &length);
        if (length > 0)
            WS_NCCL(ncclBroadcast_(result + begin, result + begin, length, ncclFloat, rank, nccl->peers, stream));
    }
    return WS_OK;
}

/* A group that was begun is always ended, so that a failed call in it leaves NCCL usable. */
static ws_err end_group(ws_err error)
{
    ncclResult_t status = calls.ncclGroupEnd_();
    if (error != WS_OK)
        return error;
    WS_CHECK(status == ncclSuccess, NCCL, "ncclGroupEnd: %s", calls.ncclGetErrorString_(status));
    return WS_OK;
}

typedef struct ws_adder {
    ws_device_add add;
    void *context;
} ws_adder;

static ws_err sum_band(ws_nccl *nccl, const ws_tree_plan *plan, float **value, float *result, size_t count,
                       const ws_adder *adder, cudaStream_t stream)
{
    for (int i = 0; i < plan->local_count; i++)
        adder->add(adder->context, value[plan->local[i].to], value[plan->local[i].from], count);
    size_t begin, length;
    slice_of(nccl, count, nccl->comm->rank, &begin, &length);
    if (nccl->comm->size > 1) {
        WS_NCCL(ncclGroupStart_());
        WS_TRY(end_group(exchange_slices(nccl, plan, value, count, stream)));
        for (int i = 0; i < plan->rest_count && length > 0; i++)
            adder->add(adder->context, value[plan->rest[i].to], value[plan->rest[i].from], length);
    }
    if (value[0] != result + begin && length > 0)
        WS_CUDA(cudaMemcpyAsync(result + begin, value[0], length * sizeof *result, cudaMemcpyDeviceToDevice, stream));
    if (nccl->comm->size == 1)
        return WS_OK;
    WS_NCCL(ncclGroupStart_());
    return end_group(gather_slices(nccl, result, count, stream));
}

static ws_err make_room(ws_nccl *nccl, const ws_tree_plan *plan, size_t count)
{
    const size_t needed = received_values(nccl->comm, plan, count);
    if (needed <= nccl->capacity)
        return WS_OK;
    WS_CUDA(cudaFree(nccl->received));
    nccl->received = NULL;
    nccl->capacity = 0;
    WS_CUDA(cudaMalloc((void **)&nccl->received, needed * sizeof *nccl->received));
    nccl->capacity = needed;
    return WS_OK;
}

static ws_err prepare_sum(ws_nccl *nccl, int shards, size_t count)
{
    WS_CUDA(cudaSetDevice(nccl->device));
    ws_tree_plan_destroy(&nccl->plan);
    free(nccl->value);
    nccl->value = NULL;
    WS_TRY(ws_tree_plan_create(&nccl->plan, nccl->comm, shards));
    WS_TRY(WS_NEW_ARRAY(nccl->value, (size_t)shards));
    return make_room(nccl, &nccl->plan, count);
}

static bool is_prepared(const ws_nccl *nccl, int shards, size_t count)
{
    return nccl->value != NULL && nccl->plan.shards == shards &&
           received_values(nccl->comm, &nccl->plan, count) <= nccl->capacity;
}

ws_err ws_nccl_prepare_all(ws_nccl *nccl, int shards, size_t count)
{
    if (!is_prepared(nccl, shards, count))
        WS_AGREE(nccl->comm, prepare_sum(nccl, shards, count));
    return WS_OK;
}

ws_err ws_nccl_tree_sum_all(ws_nccl *nccl, int shards, float *const *local, float *result, size_t count,
                            ws_device_add add, void *context, void *stream)
{
    const ws_tree_plan *plan = &nccl->plan;
    const ws_adder adder = {.add = add, .context = context};
    WS_TRY(ws_nccl_prepare_all(nccl, shards, count));
    WS_CUDA(cudaSetDevice(nccl->device));
    for (size_t at = 0; at < count; at += BAND_VALUES) {
        for (int shard = plan->begin; shard < plan->end; shard++)
            nccl->value[shard] = local[shard - plan->begin] + at;
        size_t band = count - at < BAND_VALUES ? count - at : BAND_VALUES;
        WS_TRY(sum_band(nccl, plan, nccl->value, result + at, band, &adder, stream));
    }
    return WS_OK;
}

#else

struct ws_nccl {
    int unused;
};

ws_err ws_nccl_create_all(ws_nccl **out, const ws_comm *comm, int device)
{
    (void)device;
    *out = NULL;
    if (comm->size > 1) {
        ws_err error = WS_ERROR(UNSUPPORTED, "this build has no NCCL, which several GPUs need");
        WS_HINT("install libnccl-dev from NVIDIA's package repository and build again");
        return error;
    }
    return WS_NEW(*out);
}

void ws_nccl_destroy(ws_nccl **nccl)
{
    free(*nccl);
    *nccl = NULL;
}

ws_err ws_nccl_check(const ws_nccl *nccl)
{
    (void)nccl;
    return WS_OK;
}

void ws_nccl_abort(ws_nccl *nccl)
{
    (void)nccl;
}

ws_err ws_nccl_sum_all(ws_nccl *nccl, float *values, size_t count, void *stream)
{
    (void)nccl, (void)values, (void)count, (void)stream;
    return WS_OK;
}

ws_err ws_nccl_prepare_all(ws_nccl *nccl, int shards, size_t count)
{
    (void)nccl, (void)shards, (void)count;
    return WS_OK;
}

/* The tree of one rank. */
ws_err ws_nccl_tree_sum_all(ws_nccl *nccl, int shards, float *const *local, float *result, size_t count,
                            ws_device_add add, void *context, void *stream)
{
    (void)nccl, (void)stream;
    WS_CHECK(result == local[0], UNSUPPORTED, "without NCCL a sum is made in the first of its parts");
    for (int64_t step = 1; step < shards; step *= 2)
        for (int64_t to = 0; to + step < shards; to += 2 * step)
            add(context, local[to], local[to + step], count);
    return WS_OK;
}

#endif
