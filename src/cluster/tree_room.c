/* Sums over gradient shards by the fixed tree (tree_plan.h), for ranks of one machine in memory that all of them see: partial sums do
 * not travel, a rank adds up its slice where they lie. Elsewhere, or where the system has no memory to share, the sums of tree_sum.c. */
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include "cluster/tree_plan.h"

enum { BLOCK_VALUES = 2048, PAGE_VALUES = 1024 };

struct ws_tree_room {
    const ws_comm *comm;
    ws_tree_plan plan;
    size_t count, stride; /* values of a vector, and from one to the next */
    float *shared;   /* [shards + 1][stride] that all ranks see, the last one is the result; NULL: memory of its own */
    float **vectors; /* [shards] those that are seen here, else NULL */
    float **own;     /* into vectors: those of this rank */
    float *result;
};

/* ---- memory ---- */

static size_t shared_bytes(const ws_tree_room *room)
{
    return ((size_t)room->plan.shards + 1) * room->stride * sizeof(float);
}

static bool map(ws_tree_room *room, int fd)
{
    void *memory = fd < 0 ? MAP_FAILED : mmap(NULL, shared_bytes(room), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    room->shared = memory == MAP_FAILED ? NULL : memory;
    return room->shared != NULL;
}

static bool map_of(ws_tree_room *room, const ws_shared_file *first)
{
    int fd = ws_shared_file_open(first, O_RDWR);
    bool mapped = map(room, fd);
    if (fd >= 0)
        close(fd);
    return mapped;
}

static void unmap(ws_tree_room *room)
{
    if (room->shared)
        munmap(room->shared, shared_bytes(room));
    room->shared = NULL;
}

/* room->shared stays NULL where one of the ranks cannot see it. */
static ws_err share_all(ws_tree_room *room)
{
    const ws_comm *comm = room->comm;
    int own = comm->rank == 0 ? memfd_create("wiresweep-gradients", MFD_CLOEXEC) : -1;
    bool missing;
    if (own >= 0 && (ftruncate(own, (off_t)shared_bytes(room)) != 0 || !map(room, own))) {
        close(own);
        own = -1;
    }
    ws_shared_file first = ws_shared_file_of(own);
    ws_err error = ws_broadcast_all(comm, &first, sizeof first, 0);
    bool here = error == WS_OK && (comm->rank == 0 ? room->shared != NULL : map_of(room, &first));
    if (error == WS_OK)
        error = ws_any_all(comm, !here, &missing);
    if (own >= 0)
        close(own);
    if (error != WS_OK || missing)
        unmap(room);
    return error;
}

static ws_err make_own_vectors(ws_tree_room *room)
{
    WS_TRY(WS_NEW_ARRAY(room->result, room->count));
    for (int shard = room->plan.begin; shard < room->plan.end; shard++)
        WS_TRY(WS_NEW_ARRAY(room->vectors[shard], room->count));
    return WS_OK;
}

static ws_err find_vectors_all(ws_tree_room *room)
{
    ws_comm machine;
    WS_TRY(ws_comm_machine_all(room->comm, &machine));
    const int here = machine.size;
    ws_comm_destroy(&machine);
    bool apart = true;
    if (room->comm->size > 1)
        WS_TRY(ws_any_all(room->comm, here < room->comm->size, &apart));
    if (!apart)
        WS_TRY(share_all(room));
    if (!room->shared)
        return ws_agree_all(room->comm, make_own_vectors(room));
    for (int shard = 0; shard < room->plan.shards; shard++)
        room->vectors[shard] = room->shared + (size_t)shard * room->stride;
    room->result = room->shared + (size_t)room->plan.shards * room->stride;
    return WS_OK;
}

static ws_err create_parts(ws_tree_room *room, int shards)
{
    WS_TRY(ws_tree_plan_create(&room->plan, room->comm, shards));
    WS_TRY(WS_NEW_ARRAY(room->vectors, (size_t)shards + 1));
    room->own = room->vectors + room->plan.begin;
    return WS_OK;
}

ws_err ws_tree_room_create_all(ws_tree_room **out, const ws_comm *comm, int shards, size_t count)
{
    ws_tree_room *room = NULL;
    *out = NULL;
    WS_AGREE(comm, WS_NEW(room));
    room->comm = comm;
    room->count = count;
    room->stride = (count + PAGE_VALUES - 1) / PAGE_VALUES * PAGE_VALUES;
    ws_err error = ws_agree_all(comm, create_parts(room, shards));
    if (error == WS_OK)
        error = find_vectors_all(room);
    if (error != WS_OK) {
        ws_tree_room_destroy(&room);
        return ws_error_pass(error, __FILE__, __LINE__, __func__);
    }
    *out = room;
    return WS_OK;
}

void ws_tree_room_destroy(ws_tree_room **room_)
{
    ws_tree_room *room = *room_;
    if (!room)
        return;
    if (!room->shared) {
        free(room->result);
        for (int shard = room->plan.begin; room->vectors && shard < room->plan.end; shard++)
            free(room->vectors[shard]);
    }
    unmap(room);
    free(room->vectors);
    ws_tree_plan_destroy(&room->plan);
    free(room);
    *room_ = NULL;
}

/* ---- sums ---- */

float *const *ws_tree_room_shards(const ws_tree_room *room)
{
    return room->own;
}

float *ws_tree_room_result(const ws_tree_room *room)
{
    return room->result;
}

/* The list's additions of [begin, end), a block at a time, so that a whole subtree of it stays in the cache. */
static void add_up(const ws_tree_room *room, const ws_addition *list, int additions, size_t begin, size_t end)
{
    for (size_t at = begin; at < end; at += BLOCK_VALUES) {
        const size_t to = end - at < BLOCK_VALUES ? end : at + BLOCK_VALUES;
        for (int i = 0; i < additions; i++) {
            float *restrict sum = room->vectors[list[i].to];
            const float *restrict term = room->vectors[list[i].from];
            for (size_t k = at; k < to; k++)
                sum[k] += term[k];
        }
    }
}

/* What a rank wrote before it is there for all others behind it. */
static ws_err meet_all(const ws_comm *comm)
{
    atomic_thread_fence(memory_order_seq_cst);
    ws_err error = ws_barrier_all(comm);
    atomic_thread_fence(memory_order_seq_cst);
    return error;
}

ws_err ws_tree_room_sum_all(ws_tree_room *room)
{
    const ws_tree_plan *plan = &room->plan;
    uint64_t begin, end;
    if (!room->shared)
        return ws_tree_sum_float_all(room->comm, plan->shards, room->own, room->result, room->count);
    add_up(room, plan->local, plan->local_count, 0, room->count);
    WS_TRY(meet_all(room->comm));
    ws_even_split(room->count, room->comm->size, room->comm->rank, &begin, &end);
    add_up(room, plan->rest, plan->rest_count, begin, end);
    memcpy(room->result + begin, room->vectors[0] + begin, (end - begin) * sizeof(float));
    return meet_all(room->comm);
}
