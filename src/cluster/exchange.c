/* Personalised exchange of records: every rank to every rank, any amount, in messages of bounded size. */
#include <stdlib.h>
#include <string.h>
#include "cluster/cluster.h"

enum { MESSAGE_BYTES = 1 << 24, TAG = 71, SMALL_TAG = 72 };

struct ws_exchange {
    MPI_Request *requests;
    size_t count, capacity;
    size_t pushed; /* requests before this one are done */
};

/* Both sides cut the same amount into the same messages, and messages of a pair arrive in order. */
static ws_err post(ws_exchange *exchange, const ws_comm *comm, char *bytes, size_t left, int rank, bool sends)
{
    while (left > 0) {
        const size_t here = left < MESSAGE_BYTES ? left : MESSAGE_BYTES;
        MPI_Request *request = &exchange->requests[exchange->count];
        if (sends)
            WS_MPI(MPI_Isend(bytes, (int)here, MPI_BYTE, rank, TAG, comm->mpi, request));
        else
            WS_MPI(MPI_Irecv(bytes, (int)here, MPI_BYTE, rank, TAG, comm->mpi, request));
        exchange->count++;
        bytes += here;
        left -= here;
    }
    return WS_OK;
}

/* bytes: counts[0] records of rank 0, then of rank 1, .... Begins with the neighbour, so that not all ranks send to one at first. */
static ws_err post_parts(ws_exchange *exchange, const ws_comm *comm, char *bytes, const size_t *counts,
                         size_t record_bytes, bool sends)
{
    size_t at = 0;
    for (int r = 0; r <= comm->rank; r++)
        at += counts[r];
    for (int step = 1; step < comm->size; step++) {
        const int rank = (comm->rank + step) % comm->size;
        at = rank == 0 ? 0 : at;
        WS_TRY(post(exchange, comm, bytes + at * record_bytes, counts[rank] * record_bytes, rank, sends));
        at += counts[rank];
    }
    return WS_OK;
}

static size_t messages_of(const ws_comm *comm, const size_t *counts, size_t record_bytes)
{
    size_t messages = 0;
    for (int r = 0; r < comm->size; r++)
        messages += (counts[r] * record_bytes + MESSAGE_BYTES - 1) / MESSAGE_BYTES;
    return messages;
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

/* Room for what comes; not zeroed, since all of it is written. */
static ws_err make_room(ws_exchange *exchange, const ws_comm *comm, const size_t *send_counts, const size_t *out_counts,
                        size_t record_bytes, char **receive, size_t *capacity)
{
    size_t received = 0;
    for (int r = 0; r < comm->size; r++)
        received += out_counts[r] * record_bytes;
    WS_TRY(WS_GROW(*receive, *capacity, received + 1));
    WS_TRY(WS_GROW(exchange->requests, exchange->capacity,
                   messages_of(comm, send_counts, record_bytes) + messages_of(comm, out_counts, record_bytes)));
    return WS_OK;
}

/* own: the rank's own part is received too. */
static ws_err begin_all(ws_exchange *exchange, const ws_comm *comm, const void *send, const size_t *send_counts,
                        size_t record_bytes, char **receive, size_t *capacity, bool own, size_t *out_counts)
{
    WS_TRY(exchange_counts(comm, send_counts, out_counts));
    if (!own)
        out_counts[comm->rank] = 0;
    WS_AGREE(comm, make_room(exchange, comm, send_counts, out_counts, record_bytes, receive, capacity));
    WS_TRY(post_parts(exchange, comm, *receive, out_counts, record_bytes, false));
    WS_TRY(post_parts(exchange, comm, (char *)(uintptr_t)send, send_counts, record_bytes, true));
    return WS_OK;
}

static ws_err wait_for(ws_exchange *exchange)
{
    const size_t count = exchange->count;
    exchange->count = exchange->pushed = 0;
    WS_MPI(MPI_Waitall((int)count, exchange->requests, MPI_STATUSES_IGNORE));
    return WS_OK;
}

static void copy_own(const ws_comm *comm, const char *send, const size_t *send_counts, size_t record_bytes,
                     char *receive, const size_t *out_counts)
{
    size_t from = 0, to = 0;
    for (int r = 0; r < comm->rank; r++) {
        from += send_counts[r];
        to += out_counts[r];
    }
    if (send_counts[comm->rank] > 0)
        memcpy(receive + to * record_bytes, send + from * record_bytes, send_counts[comm->rank] * record_bytes);
}

ws_err ws_exchange_all(const ws_comm *comm, const void *send, const size_t *send_counts, size_t record_bytes,
                       void **out, size_t *out_counts)
{
    ws_exchange exchange = {0};
    char *receive = NULL;
    size_t capacity = 0;
    *out = NULL;
    ws_err error = begin_all(&exchange, comm, send, send_counts, record_bytes, &receive, &capacity, true, out_counts);
    if (error == WS_OK)
        copy_own(comm, send, send_counts, record_bytes, receive, out_counts);
    if (error == WS_OK)
        error = wait_for(&exchange);
    free(exchange.requests);
    if (error == WS_OK)
        *out = receive;
    else
        free(receive);
    return error;
}

ws_err ws_exchange_begin_all(ws_exchange **exchange, const ws_comm *comm, const void *send, const size_t *send_counts,
                             size_t record_bytes, void **buffer, size_t *capacity, size_t *out_counts)
{
    char *receive = *buffer;
    WS_AGREE(comm, *exchange != NULL ? WS_OK : WS_NEW(*exchange));
    ws_err error = begin_all(*exchange, comm, send, send_counts, record_bytes, &receive, capacity, false, out_counts);
    *buffer = receive;
    return error;
}

/* One request that is not done moves all messages on; to look at each of them would cost more with every rank. */
void ws_exchange_push(ws_exchange *exchange)
{
    int done = 1;
    while (exchange != NULL && exchange->pushed < exchange->count && done) {
        if (MPI_Test(&exchange->requests[exchange->pushed], &done, MPI_STATUS_IGNORE) != MPI_SUCCESS)
            return; /* the end tells */
        exchange->pushed += done != 0;
    }
}

ws_err ws_exchange_end(ws_exchange *exchange)
{
    return exchange == NULL ? WS_OK : wait_for(exchange);
}

void ws_exchange_destroy(ws_exchange **exchange)
{
    if (*exchange == NULL)
        return;
    (void)wait_for(*exchange); /* what others sent would be written to freed memory */
    free((*exchange)->requests);
    free(*exchange);
    *exchange = NULL;
}

ws_err ws_exchange_others_all(const ws_comm *comm, const void *send, const size_t *send_counts, size_t record_bytes,
                              void **buffer, size_t *capacity, size_t *out_counts)
{
    ws_exchange *exchange = NULL;
    ws_err error =
        ws_exchange_begin_all(&exchange, comm, send, send_counts, record_bytes, buffer, capacity, out_counts);
    if (error == WS_OK)
        error = ws_exchange_end(exchange);
    ws_exchange_destroy(&exchange);
    return error;
}

struct ws_sending {
    MPI_Request request;
    uint8_t data[];
};

ws_err ws_send_begin(ws_sending **out, const ws_comm *comm, int to, const void *data, size_t bytes)
{
    *out = malloc(sizeof **out + bytes);
    WS_CHECK(*out != NULL, MEMORY, "out of memory for a message of %zu bytes", bytes);
    memcpy((*out)->data, data, bytes);
    const int status = MPI_Isend((*out)->data, (int)bytes, MPI_BYTE, to, SMALL_TAG, comm->mpi, &(*out)->request);
    if (status != MPI_SUCCESS) {
        free(*out);
        *out = NULL;
    }
    WS_MPI(status);
    return WS_OK;
}

ws_err ws_send_end(ws_sending **sending)
{
    if (*sending == NULL)
        return WS_OK;
    const int status = MPI_Wait(&(*sending)->request, MPI_STATUS_IGNORE);
    free(*sending);
    *sending = NULL;
    WS_MPI(status);
    return WS_OK;
}

ws_err ws_receive(const ws_comm *comm, int from, void *data, size_t bytes)
{
    WS_MPI(MPI_Recv(data, (int)bytes, MPI_BYTE, from, SMALL_TAG, comm->mpi, MPI_STATUS_IGNORE));
    return WS_OK;
}
