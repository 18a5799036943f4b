/* Personalised exchange of records: every rank to every rank, any amount, in messages of bounded size. */
#include <stdlib.h>
#include <string.h>
#include "cluster/exchange.h"

enum { MESSAGE_BYTES = 1 << 24, TAG = 71, SMALL_TAG = 72 };

size_t ws_exchange_messages(size_t bytes)
{
    return (bytes + MESSAGE_BYTES - 1) / MESSAGE_BYTES;
}

ws_err ws_exchange_reserve(ws_exchange *exchange, size_t messages)
{
    WS_TRY(WS_GROW(exchange->requests, exchange->capacity, exchange->count + messages));
    return WS_OK;
}

ws_err ws_exchange_post(ws_exchange *exchange, const ws_comm *comm, void *bytes_, size_t left, int rank, bool sends)
{
    char *bytes = bytes_;
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
        WS_TRY(ws_exchange_post(exchange, comm, bytes + at * record_bytes, counts[rank] * record_bytes, rank, sends));
        at += counts[rank];
    }
    return WS_OK;
}

static size_t messages_of(const ws_comm *comm, const size_t *counts, size_t record_bytes)
{
    size_t messages = 0;
    for (int r = 0; r < comm->size; r++)
        messages += ws_exchange_messages(counts[r] * record_bytes);
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

/* One request that is not done moves all messages on; to look at each of them would cost more with every rank. */
void ws_exchange_push(ws_exchange *exchange)
{
    int done = 1;
    while (exchange->pushed < exchange->count && done) {
        if (MPI_Test(&exchange->requests[exchange->pushed], &done, MPI_STATUS_IGNORE) != MPI_SUCCESS)
            return; /* the end tells */
        exchange->pushed += done != 0;
    }
}

ws_err ws_exchange_end(ws_exchange *exchange)
{
    const size_t count = exchange->count;
    exchange->count = exchange->pushed = 0;
    if (count > 0)
        WS_MPI(MPI_Waitall((int)count, exchange->requests, MPI_STATUSES_IGNORE));
    return WS_OK;
}

void ws_exchange_close(ws_exchange *exchange)
{
    if (exchange->count > 0)
        MPI_Waitall((int)exchange->count, exchange->requests, MPI_STATUSES_IGNORE);
    free(exchange->requests);
    memset(exchange, 0, sizeof *exchange);
}

/* Room for what comes; not zeroed, since all of it is written. */
static ws_err make_room(ws_exchange *exchange, const ws_comm *comm, const size_t *send_counts, const size_t *out_counts,
                        size_t record_bytes, char **receive)
{
    size_t received = 0, capacity = 0;
    for (int r = 0; r < comm->size; r++)
        received += out_counts[r] * record_bytes;
    WS_TRY(WS_GROW(*receive, capacity, received + 1));
    return ws_exchange_reserve(exchange, messages_of(comm, send_counts, record_bytes) +
                                             messages_of(comm, out_counts, record_bytes));
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

static ws_err exchange_all(ws_exchange *exchange, const ws_comm *comm, const void *send, const size_t *send_counts,
                           size_t record_bytes, char **receive, size_t *out_counts)
{
    WS_TRY(exchange_counts(comm, send_counts, out_counts));
    WS_AGREE(comm, make_room(exchange, comm, send_counts, out_counts, record_bytes, receive));
    WS_TRY(post_parts(exchange, comm, *receive, out_counts, record_bytes, false));
    WS_TRY(post_parts(exchange, comm, (char *)(uintptr_t)send, send_counts, record_bytes, true));
    copy_own(comm, send, send_counts, record_bytes, *receive, out_counts);
    return ws_exchange_end(exchange);
}

ws_err ws_exchange_all(const ws_comm *comm, const void *send, const size_t *send_counts, size_t record_bytes,
                       void **out, size_t *out_counts)
{
    ws_exchange exchange = {0};
    char *receive = NULL;
    ws_err error = exchange_all(&exchange, comm, send, send_counts, record_bytes, &receive, out_counts);
    ws_exchange_close(&exchange);
    if (error != WS_OK) {
        free(receive);
        receive = NULL;
    }
    *out = receive;
    WS_TRY(error);
    return WS_OK;
}

struct ws_sending {
    ws_exchange parts;
    uint8_t data[];
};

/* Larger messages go once the receiver asks for them, which the sender hears in its next call to MPI only. */
enum { SMALL_BYTES = 2048 };
static size_t part_of(size_t left)
{
    return left < SMALL_BYTES ? left : SMALL_BYTES;
}

static ws_sending *new_sending(const void *data, size_t bytes)
{
    ws_sending *sending = malloc(sizeof *sending + bytes);
    if (sending == NULL)
        return NULL;
    memset(&sending->parts, 0, sizeof sending->parts);
    memcpy(sending->data, data, bytes);
    if (ws_exchange_reserve(&sending->parts, bytes / SMALL_BYTES + 1) == WS_OK)
        return sending;
    free(sending);
    return NULL;
}

/* All parts are sent, whatever comes of one: the receiver waits for them. */
ws_err ws_send_begin(ws_sending **out, const ws_comm *comm, int to, const void *data, size_t bytes)
{
    ws_sending *sending = *out = new_sending(data, bytes);
    int status = MPI_SUCCESS;
    for (size_t at = 0; at < bytes; at += SMALL_BYTES) {
        const uint8_t *part = (sending != NULL ? sending->data : (const uint8_t *)data) + at;
        const int count = (int)part_of(bytes - at);
        int next;
        if (sending != NULL)
            next = MPI_Isend(part, count, MPI_BYTE, to, SMALL_TAG, comm->mpi,
                             &sending->parts.requests[sending->parts.count]);
        else
            next = MPI_Send(part, count, MPI_BYTE, to, SMALL_TAG, comm->mpi);
        if (sending != NULL && next == MPI_SUCCESS)
            sending->parts.count++;
        status = status == MPI_SUCCESS ? next : status;
    }
    WS_MPI(status);
    return WS_OK;
}

ws_err ws_send_end(ws_sending **sending)
{
    if (*sending == NULL)
        return WS_OK;
    ws_err error = ws_exchange_end(&(*sending)->parts);
    ws_send_drop(sending);
    WS_TRY(error);
    return WS_OK;
}

void ws_send_drop(ws_sending **sending)
{
    if (*sending == NULL)
        return;
    ws_exchange_close(&(*sending)->parts);
    free(*sending);
    *sending = NULL;
}

ws_err ws_receive(const ws_comm *comm, int from, void *data, size_t bytes)
{
    for (size_t at = 0; at < bytes; at += SMALL_BYTES)
        WS_MPI(MPI_Recv((uint8_t *)data + at, (int)part_of(bytes - at), MPI_BYTE, from, SMALL_TAG, comm->mpi,
                        MPI_STATUS_IGNORE));
    return WS_OK;
}

ws_err ws_has_arrived(const ws_comm *comm, int from, bool *out)
{
    int here = 0;
    WS_MPI(MPI_Iprobe(from, SMALL_TAG, comm->mpi, &here, MPI_STATUS_IGNORE));
    *out = here != 0;
    return WS_OK;
}
