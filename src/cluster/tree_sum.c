/* Sums over gradient shards in host memory by the fixed tree (tree_plan.h): the same bits for every number of ranks. */
#include <stdlib.h>
#include <string.h>
#include "cluster/tree_plan.h"

enum {
    BAND_VALUES = 1 << 17, /* of the vectors at a time: bounds messages, which leave while still in the cache */
    BLOCK_VALUES = 2048,   /* of a band at a time, so that a whole subtree of a block stays in the cache */
    TAG = 72
};

typedef void (*add_function)(void *to, const void *from, size_t count);

static void add_float(void *to, const void *from, size_t count)
{
    float *restrict sum = to;
    const float *restrict term = from;
    for (size_t i = 0; i < count; i++)
        sum[i] += term[i];
}

static void add_double(void *to, const void *from, size_t count)
{
    double *restrict sum = to;
    const double *restrict term = from;
    for (size_t i = 0; i < count; i++)
        sum[i] += term[i];
}

typedef struct tree {
    const ws_comm *comm;
    ws_tree_plan plan;
    size_t value_bytes;
    add_function add;
    char **value;           /* [shards] where the current band's vector (or slice) of a partial sum lies, else NULL */
    char *received;         /* travelling slices */
    MPI_Request *requests;  /* one a travelling slice received, and one a rank and slice sent */
    int *lengths, *offsets; /* [size] of the slices, in bytes */
} tree;

static void tree_destroy(tree *t)
{
    ws_tree_plan_destroy(&t->plan);
    free(t->value);
    free(t->received);
    free(t->requests);
    free(t->lengths);
    free(t->offsets);
}

static ws_err tree_create(tree *t, int shards, size_t count)
{
    size_t size = (size_t)t->comm->size;
    WS_TRY(ws_tree_plan_create(&t->plan, t->comm, shards));
    WS_TRY(WS_NEW_ARRAY(t->value, (size_t)shards));
    if (size == 1)
        return WS_OK;
    WS_TRY(WS_NEW_ARRAY(t->lengths, size));
    WS_TRY(WS_NEW_ARRAY(t->offsets, size));
    size_t band = count < BAND_VALUES ? count : BAND_VALUES, capacity = 0;
    WS_TRY(WS_NEW_ARRAY(t->requests, (size_t)t->plan.travelling + (size_t)t->plan.sent * size));
    WS_TRY(ws_grow(&t->received, &capacity, (size_t)t->plan.travelling * (band / size + 1), t->value_bytes));
    return WS_OK;
}

static void run_additions(const tree *t, const ws_addition *list, int list_count, size_t count)
{
    for (size_t done = 0; done < count; done += BLOCK_VALUES) {
        size_t block = count - done < BLOCK_VALUES ? count - done : BLOCK_VALUES;
        for (int i = 0; i < list_count; i++)
            t->add(t->value[list[i].to] + done * t->value_bytes, t->value[list[i].from] + done * t->value_bytes, block);
    }
}

/* Sends every rank its slice of this rank's partial sums; t->value then points at this rank's slice of all of them. */
static ws_err exchange_slices(tree *t)
{
    int own = t->comm->rank, count = 0;
    size_t own_length = (size_t)t->lengths[own];
    char *room = t->received;
    for (int shard = 0; shard < t->plan.shards; shard++) {
        if (!t->plan.travels[shard] || t->plan.owner[shard] == own)
            continue;
        t->value[shard] = room;
        if (own_length > 0) {
            WS_MPI(MPI_Irecv(room, (int)own_length, MPI_BYTE, t->plan.owner[shard], TAG, t->comm->mpi,
                             &t->requests[count]));
            count++;
        }
        room += own_length;
    }
    for (int shard = 0; shard < t->plan.shards; shard++) {
        if (!t->plan.travels[shard] || t->plan.owner[shard] != own)
            continue;
        for (int rank = 0; rank < t->comm->size; rank++) {
            if (rank == own || t->lengths[rank] == 0)
                continue;
            WS_MPI(MPI_Isend(t->value[shard] + t->offsets[rank], t->lengths[rank], MPI_BYTE, rank, TAG, t->comm->mpi,
                             &t->requests[count]));
            count++;
        }
        t->value[shard] += t->offsets[own];
    }
    WS_MPI(MPI_Waitall(count, t->requests, MPI_STATUSES_IGNORE));
    return WS_OK;
}

static ws_err sum_band(tree *t, char *result, size_t count)
{
    run_additions(t, t->plan.local, t->plan.local_count, count);
    if (t->comm->size == 1) {
        if (result != t->value[0])
            memcpy(result, t->value[0], count * t->value_bytes);
        return WS_OK;
    }
    for (int rank = 0; rank < t->comm->size; rank++) {
        uint64_t begin, end;
        ws_even_split(count, t->comm->size, rank, &begin, &end);
        t->offsets[rank] = (int)(begin * t->value_bytes);
        t->lengths[rank] = (int)((end - begin) * t->value_bytes);
    }
    WS_TRY(exchange_slices(t));
    size_t own_bytes = (size_t)t->lengths[t->comm->rank];
    run_additions(t, t->plan.rest, t->plan.rest_count, own_bytes / t->value_bytes);
    char *own_slice = result + t->offsets[t->comm->rank];
    if (own_slice != t->value[0] && own_bytes > 0)
        memcpy(own_slice, t->value[0], own_bytes);
    WS_MPI(MPI_Allgatherv(MPI_IN_PLACE, 0, MPI_DATATYPE_NULL, result, t->lengths, t->offsets, MPI_BYTE, t->comm->mpi));
    return WS_OK;
}

static ws_err tree_sum(const ws_comm *comm, int shards, void *const *local, void *result, size_t count,
                       size_t value_bytes, add_function add)
{
    tree t = {.comm = comm, .value_bytes = value_bytes, .add = add};
    ws_err error = WS_OK;
    WS_TRY_GOTO(done, ws_agree_all(comm, tree_create(&t, shards, count)));
    for (size_t at = 0; at < count; at += BAND_VALUES) {
        for (int shard = t.plan.begin; shard < t.plan.end; shard++)
            t.value[shard] = (char *)local[shard - t.plan.begin] + at * value_bytes;
        size_t band = count - at < BAND_VALUES ? count - at : BAND_VALUES;
        WS_TRY_GOTO(done, sum_band(&t, (char *)result + at * value_bytes, band));
    }
done:
    tree_destroy(&t);
    return error;
}

ws_err ws_tree_sum_float_all(const ws_comm *comm, int shards, float *const *local, float *result, size_t count)
{
    return tree_sum(comm, shards, (void *const *)local, result, count, sizeof(float), add_float);
}

ws_err ws_tree_sum_double_all(const ws_comm *comm, int shards, double *const *local, double *result, size_t count)
{
    return tree_sum(comm, shards, (void *const *)local, result, count, sizeof(double), add_double);
}
