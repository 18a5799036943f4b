/* Personalised exchange of records: every rank to every rank, any amount, in messages of bounded size. */
#include <stdlib.h>
#include <string.h>
#include "cluster/cluster.h"

enum { MESSAGE_BYTES = 1 << 24, TAG = 71, SMALL_TAG = 72 };

typedef struct traffic {
    const ws_comm *comm;
    const char *send;
    char *receive;
    size_t *send_at, *receive_at;     /* [size] byte offset of what is left for / from a rank */
    size_t *send_left, *receive_left; /* [size] bytes */
    MPI_Request *requests;            /* [2 * size] */
} traffic;

static size_t piece_of(size_t left)
{
    return left < MESSAGE_BYTES ? left : MESSAGE_BYTES;
}

/* One message at most to and from every peer. Both sides cut the same amount into the same pieces and messages of a
 * pair arrive in order, so the n-th round of a pair meets itself whatever the other pairs do. */
static ws_err exchange_round(traffic *t, bool *more)
{
    int count = 0;
    *more = false;
    for (int step = 1; step < t->comm->size; step++) {
        int from = (t->comm->rank - step + t->comm->size) % t->comm->size;
        size_t bytes = piece_of(t->receive_left[from]);
        if (bytes == 0)
            continue;
        WS_MPI(MPI_Irecv(t->receive + t->receive_at[from], (int)bytes, MPI_BYTE, from, TAG, t->comm->mpi,
                         &t->requests[count]));
        count++;
        t->receive_at[from] += bytes;
        t->receive_left[from] -= bytes;
        *more = *more || t->receive_left[from] > 0;
    }
    for (int step = 1; step < t->comm->size; step++) {
        int to = (t->comm->rank + step) % t->comm->size;
        size_t bytes = piece_of(t->send_left[to]);
        if (bytes == 0)
            continue;
        WS_MPI(MPI_Isend(t->send + t->send_at[to], (int)bytes, MPI_BYTE, to, TAG, t->comm->mpi, &t->requests[count]));
        count++;
        t->send_at[to] += bytes;
        t->send_left[to] -= bytes;
        *more = *more || t->send_left[to] > 0;
    }
    WS_MPI(MPI_Waitall(count, t->requests, MPI_STATUSES_IGNORE));
    return WS_OK;
}

static void own_part(traffic *t)
{
    int own = t->comm->rank;
    if (t->send_left[own] > 0)
        memcpy(t->receive + t->receive_at[own], t->send + t->send_at[own], t->send_left[own]);
    t->send_left[own] = t->receive_left[own] = 0;
}

static ws_err allocate(traffic *t, size_t **memory)
{
    size_t size = (size_t)t->comm->size;
    WS_TRY(WS_NEW_ARRAY(*memory, 4 * size));
    WS_TRY(WS_NEW_ARRAY(t->requests, 2 * size));
    t->send_at = *memory;
    t->receive_at = *memory + size;
    t->send_left = *memory + 2 * size;
    t->receive_left = *memory + 3 * size;
    return WS_OK;
}

static ws_err exchange_counts(const ws_comm *comm, const size_t *send_counts, size_t *out_counts)
{
    if (comm->size > 1)
        WS_MPI(MPI_Alltoall(send_counts, sizeof *send_counts, MPI_BYTE, out_counts, sizeof *out_counts, MPI_BYTE,
                            comm->mpi));
    else
        out_counts[0] = send_counts[0];
    return WS_OK;
}

/* Offsets and amounts in bytes, and room for what comes; not zeroed, since all of it is written. */
static ws_err prepare(traffic *t, const size_t *send_counts, const size_t *out_counts, size_t record_bytes,
                      size_t *capacity)
{
    size_t sent = 0, received = 0;
    for (int rank = 0; rank < t->comm->size; rank++) {
        t->send_at[rank] = sent;
        t->receive_at[rank] = received;
        t->send_left[rank] = send_counts[rank] * record_bytes;
        t->receive_left[rank] = out_counts[rank] * record_bytes;
        sent += send_counts[rank] * record_bytes;
        received += t->receive_left[rank];
    }
    WS_TRY(WS_GROW(t->receive, *capacity, received + 1));
    return WS_OK;
}

static ws_err exchange(traffic *t, const size_t *send_counts, size_t record_bytes, size_t *capacity, bool own,
                       size_t *out_counts)
{
    size_t *memory = NULL;
    ws_err error = WS_OK;
    WS_TRY_GOTO(done, ws_agree_all(t->comm, allocate(t, &memory)));
    WS_TRY_GOTO(done, exchange_counts(t->comm, send_counts, out_counts));
    if (!own)
        out_counts[t->comm->rank] = 0;
    WS_TRY_GOTO(done, ws_agree_all(t->comm, prepare(t, send_counts, out_counts, record_bytes, capacity)));
    if (own)
        own_part(t);
    for (bool more = true; more;)
        WS_TRY_GOTO(done, exchange_round(t, &more));
done:
    free(t->requests);
    free(memory);
    return error;
}

ws_err ws_exchange_all(const ws_comm *comm, const void *send, const size_t *send_counts, size_t record_bytes,
                       void **out, size_t *out_counts)
{
    traffic t = {.comm = comm, .send = send};
    size_t capacity = 0;
    *out = NULL;
    ws_err error = exchange(&t, send_counts, record_bytes, &capacity, true, out_counts);
    if (error == WS_OK)
        *out = t.receive;
    else
        free(t.receive);
    return error;
}

ws_err ws_exchange_others_all(const ws_comm *comm, const void *send, const size_t *send_counts, size_t record_bytes,
                              void **buffer, size_t *capacity, size_t *out_counts)
{
    traffic t = {.comm = comm, .send = send, .receive = *buffer};
    ws_err error = exchange(&t, send_counts, record_bytes, capacity, false, out_counts);
    *buffer = t.receive;
    return error;
}

ws_err ws_send(const ws_comm *comm, int to, const void *data, size_t bytes)
{
    WS_MPI(MPI_Send(data, (int)bytes, MPI_BYTE, to, SMALL_TAG, comm->mpi));
    return WS_OK;
}

ws_err ws_receive(const ws_comm *comm, int from, void *data, size_t bytes)
{
    WS_MPI(MPI_Recv(data, (int)bytes, MPI_BYTE, from, SMALL_TAG, comm->mpi, MPI_STATUS_IGNORE));
    return WS_OK;
}
