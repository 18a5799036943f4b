/* MPI for a program that is its only rank, where no MPI is installed: collectives of one rank, and no messages. For the minimal
 * build. */
#ifndef WS_MINIMAL_MPI_H
#define WS_MINIMAL_MPI_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

typedef enum { MPI_COMM_NULL, MPI_COMM_WORLD, MPI_COMM_SELF } MPI_Comm;
typedef size_t MPI_Datatype; /* bytes of one */
typedef int MPI_Op, MPI_Request, MPI_Info, MPI_Errhandler;
enum {
    MPI_SUCCESS,
    MPI_ERR_OTHER,
    MPI_THREAD_FUNNELED = 1,
    MPI_COMM_TYPE_SHARED = 0,
    MPI_INFO_NULL = 0,
    MPI_ERRORS_RETURN = 0
};
enum { MPI_SUM, MPI_MAX, MPI_MIN, MPI_MAX_ERROR_STRING = 64, MPI_MAX_LIBRARY_VERSION_STRING = 64 };
#define MPI_DATATYPE_NULL ((MPI_Datatype)0)
#define MPI_BYTE ((MPI_Datatype)1)
#define MPI_INT sizeof(int)
#define MPI_FLOAT sizeof(float)
#define MPI_INT64_T sizeof(int64_t)
#define MPI_UINT64_T sizeof(uint64_t)
#define MPI_IN_PLACE ((void *)-1)
#define MPI_STATUS_IGNORE NULL
#define MPI_STATUSES_IGNORE NULL

static inline int ws_minimal_copy(const void *from, void *to, int count, MPI_Datatype type)
{
    if (from != MPI_IN_PLACE && from != to)
        memcpy(to, from, (size_t)count * type);
    return MPI_SUCCESS;
}
static inline int ws_minimal_text(const char *from, char *to, int *length)
{
    *length = snprintf(to, MPI_MAX_ERROR_STRING, "%s", from);
    return MPI_SUCCESS;
}

#define MPI_Init_thread(argc, argv, wanted, provided) ((void)(argc), (void)(argv), *(provided) = (wanted), MPI_SUCCESS)
#define MPI_Initialized(flag) (*(flag) = 1, MPI_SUCCESS)
#define MPI_Finalized(flag) (*(flag) = 0, MPI_SUCCESS)
#define MPI_Finalize() MPI_SUCCESS
#define MPI_Comm_set_errhandler(comm, handler) ((void)(comm), MPI_SUCCESS)
#define MPI_Comm_rank(comm, rank) ((void)(comm), *(rank) = 0, MPI_SUCCESS)
#define MPI_Comm_size(comm, size) ((void)(comm), *(size) = 1, MPI_SUCCESS)
#define MPI_Comm_split(comm, color, key, out)                                                                          \
    ((void)(comm), (void)(color), (void)(key), *(out) = MPI_COMM_SELF, MPI_SUCCESS)
#define MPI_Comm_split_type(comm, kind, key, info, out) ((void)(comm), (void)(key), *(out) = MPI_COMM_SELF, MPI_SUCCESS)
#define MPI_Comm_free(comm) (*(comm) = MPI_COMM_NULL, MPI_SUCCESS)
#define MPI_Error_string(status, text, length)                                                                         \
    ((void)(status), ws_minimal_text("no messages with one rank", text, length))
#define MPI_Get_library_version(text, length) ws_minimal_text("one rank, no MPI", text, length)
#define MPI_Barrier(comm) ((void)(comm), MPI_SUCCESS)
#define MPI_Bcast(data, count, type, root, comm) ((void)(data), (void)(count), (void)(root), (void)(comm), MPI_SUCCESS)
#define MPI_Allreduce(from, to, count, type, operation, comm)                                                          \
    ((void)(operation), (void)(comm), ws_minimal_copy(from, to, count, type))
#define MPI_Allgather(from, count, type, to, to_count, to_type, comm)                                                  \
    ((void)(to_count), (void)(comm), ws_minimal_copy(from, to, count, type))
#define MPI_Allgatherv(from, count, type, to, counts, offsets, to_type, comm)                                          \
    ((void)(to), (void)(counts), (void)(offsets), (void)(comm), (from) == MPI_IN_PLACE ? MPI_SUCCESS : MPI_ERR_OTHER)
#define MPI_Alltoall(from, count, type, to, to_count, to_type, comm)                                                   \
    ((void)(to_count), (void)(comm), ws_minimal_copy(from, to, (int)(count), type))
#define MPI_Exscan(from, to, count, type, operation, comm) ((void)(to), (void)(count), (void)(comm), MPI_SUCCESS)
#define MPI_Send(data, count, type, to, tag, comm)                                                                     \
    ((void)(data), (void)(count), (void)(to), (void)(comm), MPI_ERR_OTHER)
#define MPI_Recv(data, count, type, from, tag, comm, status)                                                           \
    ((void)(data), (void)(count), (void)(from), (void)(comm), MPI_ERR_OTHER)
#define MPI_Isend(data, count, type, to, tag, comm, request)                                                           \
    ((void)(data), (void)(count), (void)(to), (void)(comm), *(request) = 0, MPI_ERR_OTHER)
#define MPI_Irecv(data, count, type, from, tag, comm, request)                                                         \
    ((void)(data), (void)(count), (void)(from), (void)(comm), *(request) = 0, MPI_ERR_OTHER)
#define MPI_Waitall(count, requests, statuses) ((count) == 0 ? MPI_SUCCESS : MPI_ERR_OTHER)
#define MPI_Wait(request, status) ((void)(request), MPI_SUCCESS)
#define MPI_Test(request, done, status) ((void)(request), *(done) = 1, MPI_SUCCESS)

#endif
