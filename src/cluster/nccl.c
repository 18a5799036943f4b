/* NCCL behind the cluster's interface: communicators started over MPI, fast sums, and sums by the fixed tree. */
#include "cluster/nccl.h"

#ifdef WS_HAVE_NCCL
#include <cuda_runtime_api.h>
#include <dlfcn.h>
#include <nccl.h>
#include <stdlib.h>
#include "cluster/tree_plan.h"

#ifndef WS_NCCL_FILE
#define WS_NCCL_FILE "libnccl.so.2"
#endif

/* Loaded when the first communicator is made, not linked: the program starts where NCCL is absent, and faster. */
#define NCCL_CALLS(CALL)                                                                                               \
    CALL(ncclGetUniqueId)                                                                                              \
    CALL(ncclCommInitRank)                                                                                             \
    CALL(ncclCommDestroy)                                                                                              \
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
    ncclComm_t peers;
    float *received; /* device memory for the travelling slices */
    size_t capacity; /* floats */
};

enum { BAND_VALUES = 1 << 24 }; /* of a vector at a time: bounds device memory */

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
    WS_TRY(load());
    WS_CUDA(cudaSetDevice(nccl->device));
    if (nccl->comm->rank == 0)
        WS_NCCL(ncclGetUniqueId_(id));
    return WS_OK;
}

static ws_err join(ws_nccl *nccl, ncclUniqueId id)
{
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
    free(nccl);
    *nccl_ = NULL;
}

ws_err ws_nccl_sum_all(ws_nccl *nccl, float *values, size_t count, void *stream)
{
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
    size_t band = count < BAND_VALUES ? count : BAND_VALUES;
    size_t needed = (size_t)plan->travelling * (band / (size_t)nccl->comm->size + 1);
    if (nccl->comm->size == 1 || needed <= nccl->capacity)
        return WS_OK;
    WS_CUDA(cudaFree(nccl->received));
    nccl->received = NULL;
    nccl->capacity = 0;
    WS_CUDA(cudaMalloc((void **)&nccl->received, needed * sizeof *nccl->received));
    nccl->capacity = needed;
    return WS_OK;
}

static ws_err prepare_sum(ws_nccl *nccl, int shards, size_t count, ws_tree_plan *plan, float ***value)
{
    WS_CUDA(cudaSetDevice(nccl->device));
    WS_TRY(ws_tree_plan_create(plan, nccl->comm, shards));
    WS_TRY(WS_NEW_ARRAY(*value, (size_t)shards));
    WS_TRY(make_room(nccl, plan, count));
    return WS_OK;
}

ws_err ws_nccl_tree_sum_all(ws_nccl *nccl, int shards, float *const *local, float *result, size_t count,
                            ws_device_add add, void *context, void *stream)
{
    ws_tree_plan plan = {.shards = 0};
    float **value = NULL;
    const ws_adder adder = {.add = add, .context = context};
    ws_err error = WS_OK;
    WS_TRY_GOTO(done, ws_agree_all(nccl->comm, prepare_sum(nccl, shards, count, &plan, &value)));
    for (size_t at = 0; at < count; at += BAND_VALUES) {
        for (int shard = plan.begin; shard < plan.end; shard++)
            value[shard] = local[shard - plan.begin] + at;
        size_t band = count - at < BAND_VALUES ? count - at : BAND_VALUES;
        WS_TRY_GOTO(done, sum_band(nccl, &plan, value, result + at, band, &adder, stream));
    }
done:
    ws_tree_plan_destroy(&plan);
    free(value);
    return error;
}

#else /* no NCCL in this build */

ws_err ws_nccl_create_all(ws_nccl **out, const ws_comm *comm, int device)
{
    (void)comm;
    *out = NULL;
    WS_FAIL(UNSUPPORTED, "this build has no NCCL, which device %d needs to talk to others; build where nccl.h is found",
            device);
}

void ws_nccl_destroy(ws_nccl **nccl)
{
    *nccl = NULL;
}

ws_err ws_nccl_sum_all(ws_nccl *nccl, float *values, size_t count, void *stream)
{
    (void)nccl, (void)values, (void)count, (void)stream;
    WS_FAIL(UNSUPPORTED, "this build has no NCCL");
}

ws_err ws_nccl_tree_sum_all(ws_nccl *nccl, int shards, float *const *local, float *result, size_t count,
                            ws_device_add add, void *context, void *stream)
{
    (void)nccl, (void)shards, (void)local, (void)result, (void)count, (void)add, (void)context, (void)stream;
    WS_FAIL(UNSUPPORTED, "this build has no NCCL");
}

#endif
