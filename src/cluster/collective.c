/* Thin collectives: sums, broadcasts, gathers of any size. A communicator of one rank never touches MPI, so the rooms
 * above work in programs that did not start it. */
#include <stdlib.h>
#include <string.h>
#include "cluster/cluster.h"

/* MPI counts are ints: larger amounts go in pieces. */
enum { PIECE_BYTES = 1 << 28, PIECE_VALUES = 1 << 24 };

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

ws_err ws_barrier_all(const ws_comm *comm)
{
    if (comm->size > 1)
        WS_MPI(MPI_Barrier(comm->mpi));
    return WS_OK;
}

ws_err ws_broadcast_all(const ws_comm *comm, void *data, size_t bytes, int root)
{
    if (comm->size == 1)
        return WS_OK;
    char *at = data;
    for (size_t done = 0; done < bytes; done += PIECE_BYTES)
        WS_MPI(MPI_Bcast(at + done, (int)least(bytes - done, PIECE_BYTES), MPI_BYTE, root, comm->mpi));
    return WS_OK;
}

ws_err ws_broadcast_text_all(const ws_comm *comm, char **text, int root)
{
    if (comm->size == 1)
        return WS_OK;
    uint64_t bytes = 0; /* with the NUL; 0: no text at the root */
    if (comm->rank == root && *text != NULL)
        bytes = strlen(*text) + 1;
    WS_TRY(ws_broadcast_all(comm, &bytes, sizeof bytes, root));
    ws_err error = WS_OK;
    if (comm->rank != root) {
        *text = NULL;
        if (bytes > 0)
            error = WS_NEW_ARRAY(*text, bytes);
    }
    error = ws_agree_all(comm, error);
    if (error == WS_OK)
        error = ws_broadcast_all(comm, *text, bytes, root);
    if (error != WS_OK && comm->rank != root) {
        free(*text);
        *text = NULL;
    }
    WS_TRY(error);
    return WS_OK;
}

static ws_err reduce_in_place(const ws_comm *comm, void *values, size_t count, MPI_Datatype type, MPI_Op operation)
{
    if (comm->size == 1)
        return WS_OK;
    char *at = values;
    for (size_t done = 0; done < count; done += PIECE_VALUES)
        WS_MPI(MPI_Allreduce(MPI_IN_PLACE, at + 8 * done, (int)least(count - done, PIECE_VALUES), type, operation,
                             comm->mpi));
    return WS_OK;
}

ws_err ws_sum_u64_all(const ws_comm *comm, uint64_t *values, size_t count)
{
    return reduce_in_place(comm, values, count, MPI_UINT64_T, MPI_SUM);
}

ws_err ws_max_i64_all(const ws_comm *comm, int64_t *values, size_t count)
{
    return reduce_in_place(comm, values, count, MPI_INT64_T, MPI_MAX);
}

ws_err ws_min_i64_all(const ws_comm *comm, int64_t *values, size_t count)
{
    return reduce_in_place(comm, values, count, MPI_INT64_T, MPI_MIN);
}

ws_err ws_any_all(const ws_comm *comm, bool local, bool *any)
{
    int64_t flag = local;
    WS_TRY(ws_max_i64_all(comm, &flag, 1));
    *any = flag != 0;
    return WS_OK;
}

ws_err ws_prefix_sum_u64_all(const ws_comm *comm, uint64_t *values, uint64_t *total, size_t count)
{
    if (total != NULL) {
        memcpy(total, values, count * sizeof *values);
        WS_TRY(ws_sum_u64_all(comm, total, count));
    }
    for (size_t done = 0; comm->size > 1 && done < count; done += PIECE_VALUES)
        WS_MPI(MPI_Exscan(MPI_IN_PLACE, values + done, (int)least(count - done, PIECE_VALUES), MPI_UINT64_T, MPI_SUM,
                          comm->mpi));
    if (comm->rank == 0 && count > 0) /* MPI leaves rank 0 undefined */
        memset(values, 0, count * sizeof *values);
    return WS_OK;
}

/* Every rank's part to all, when the whole is too large for one call: one broadcast a rank. out holds this rank's part.
 */
static ws_err gather_by_broadcast(const ws_comm *comm, char *out, const size_t *counts)
{
    for (int rank = 0; rank < comm->size; rank++) {
        WS_TRY(ws_broadcast_all(comm, out, counts[rank], rank));
        out += counts[rank];
    }
    return WS_OK;
}

static ws_err gather_parts(const ws_comm *comm, const void *data, size_t bytes, char *out, const size_t *counts,
                           int *lengths /* [2 * size] */)
{
    size_t total = 0, own = 0;
    for (int rank = 0; rank < comm->size; rank++) {
        if (rank == comm->rank)
            own = total;
        if (total + counts[rank] <= PIECE_BYTES) {
            lengths[rank] = (int)counts[rank];
            lengths[comm->size + rank] = (int)total;
        }
        total += counts[rank];
    }
    if (bytes > 0)
        memmove(out + own, data, bytes);
    if (comm->size == 1 || total == 0)
        return WS_OK;
    if (total > PIECE_BYTES)
        return gather_by_broadcast(comm, out, counts);
    WS_MPI(MPI_Allgatherv(MPI_IN_PLACE, 0, MPI_DATATYPE_NULL, out, lengths, lengths + comm->size, MPI_BYTE, comm->mpi));
    return WS_OK;
}

ws_err ws_gather_equal_all(const ws_comm *comm, const void *data, size_t bytes, void *out)
{
    if (comm->size > 1 && bytes <= PIECE_BYTES) {
        WS_MPI(MPI_Allgather(data, (int)bytes, MPI_BYTE, out, (int)bytes, MPI_BYTE, comm->mpi));
        return WS_OK;
    }
    char *at = out;
    if (bytes > 0)
        memmove(at + (size_t)comm->rank * bytes, data, bytes);
    for (int rank = 0; rank < comm->size; rank++)
        WS_TRY(ws_broadcast_all(comm, at + (size_t)rank * bytes, bytes, rank));
    return WS_OK;
}

ws_err ws_gather_all(const ws_comm *comm, const void *data, size_t bytes, void **out, size_t *out_bytes, size_t *counts)
{
    *out = NULL;
    *out_bytes = 0;
    size_t *sizes = NULL, total = 0;
    int *lengths = NULL;
    char *whole = NULL;
    ws_err error = WS_NEW_ARRAY(sizes, (size_t)comm->size);
    if (error == WS_OK)
        error = WS_NEW_ARRAY(lengths, 2 * (size_t)comm->size);
    WS_TRY_GOTO(done, ws_agree_all(comm, error));
    WS_TRY_GOTO(done, ws_gather_equal_all(comm, &bytes, sizeof bytes, sizes));
    for (int rank = 0; rank < comm->size; rank++)
        total += sizes[rank];
    error = WS_NEW_ARRAY(whole, total + 1);
    WS_TRY_GOTO(done, ws_agree_all(comm, error));
    WS_TRY_GOTO(done, gather_parts(comm, data, bytes, whole, sizes, lengths));
    if (counts != NULL)
        memcpy(counts, sizes, (size_t)comm->size * sizeof *sizes);
    *out = whole;
    *out_bytes = total;
    whole = NULL;
done:
    free(whole);
    free(lengths);
    free(sizes);
    return error;
}

void ws_even_split(uint64_t count, int parts, int part, uint64_t *begin, uint64_t *end)
{
    uint64_t quotient = count / (uint64_t)parts, rest = count % (uint64_t)parts, index = (uint64_t)part;
    *begin = quotient * index + (index < rest ? index : rest);
    *end = *begin + quotient + (index < rest ? 1 : 0);
}
