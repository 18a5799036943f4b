/* NCCL's calls over MPI: messages of a group are all posted before any is waited for, as NCCL does.
 *
 * WIRESWEEP_EMULATED_NCCL=error:N or hang:N: the Nth group or call of every rank fails, seen by ncclCommGetAsyncError only, or is
 * not done before ncclCommAbort. What it should have written is NaN.
 */
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <mpi.h>
#include <vector>
#include "nccl.h"
#include "streams.h"

struct ncclComm {
    MPI_Comm mpi;
    ncclResult_t error;
    long done; /* groups and calls given to it */
    std::shared_ptr<bool> stuck;
};

struct call {
    std::function<void(std::vector<MPI_Request> &)> post;
    float *written; /* NULL: nothing */
    size_t count;
};

static thread_local int depth; /* of open groups */
static thread_local std::vector<call> group;
static thread_local ncclComm_t group_comm;
static thread_local cudaStream_t group_stream;

static ncclResult_t result_of(int status)
{
    return status == MPI_SUCCESS ? ncclSuccess : ncclInvalidArgument;
}

static bool is_the_one(const ncclComm *comm, const char *how)
{
    const char *given = getenv("WIRESWEEP_EMULATED_NCCL");
    const size_t length = strlen(how);
    return given != nullptr && strncmp(given, how, length) == 0 && given[length] == ':' &&
           atol(given + length + 1) == comm->done;
}

static void spoil(const std::vector<call> &calls)
{
    for (const call &one : calls)
        if (one.written != nullptr)
            memset(one.written, 0xff, one.count * sizeof(float));
}

static void carry_out(const std::vector<call> &calls)
{
    std::vector<MPI_Request> posted;
    for (const call &one : calls)
        one.post(posted);
    MPI_Waitall((int)posted.size(), posted.data(), MPI_STATUSES_IGNORE);
}

static ncclResult_t give(call one, ncclComm_t comm, cudaStream_t stream)
{
    if ((group_comm != nullptr && group_comm != comm) || (group_stream != nullptr && group_stream != stream))
        return ncclInvalidArgument;
    group.push_back(std::move(one));
    group_comm = comm;
    group_stream = stream;
    if (depth > 0)
        return ncclSuccess;
    depth = 1;
    return ncclGroupEnd();
}

extern "C" {

ncclResult_t ncclGetVersion(int *version)
{
    *version = 22700;
    return ncclSuccess;
}

ncclResult_t ncclGetUniqueId(ncclUniqueId *id)
{
    memset(id, 0x5a, sizeof *id);
    return ncclSuccess;
}

/* The id must have come from rank 0. */
ncclResult_t ncclCommInitRank(ncclComm_t *comm, int ranks, ncclUniqueId id, int rank)
{
    int size = 0, own = 0;
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    MPI_Comm_rank(MPI_COMM_WORLD, &own);
    for (char byte : id.internal)
        if (byte != 0x5a)
            return ncclInvalidArgument;
    if (size != ranks || own != rank)
        return ncclInvalidArgument;
    *comm = new ncclComm{MPI_COMM_NULL, ncclSuccess, 0, std::make_shared<bool>(false)};
    return result_of(MPI_Comm_dup(MPI_COMM_WORLD, &(*comm)->mpi));
}

ncclResult_t ncclCommDestroy(ncclComm_t comm)
{
    ws_emulate_finish();
    MPI_Comm_free(&comm->mpi);
    delete comm;
    return ncclSuccess;
}

ncclResult_t ncclCommAbort(ncclComm_t comm)
{
    *comm->stuck = false;
    return ncclCommDestroy(comm);
}

ncclResult_t ncclCommGetAsyncError(ncclComm_t comm, ncclResult_t *error)
{
    *error = comm->error;
    return ncclSuccess;
}

const char *ncclGetErrorString(ncclResult_t result)
{
    return result == ncclSuccess       ? "no error"
           : result == ncclRemoteError ? "remote process exited or there was a network error"
                                       : "invalid argument";
}

ncclResult_t ncclGroupStart(void)
{
    depth++;
    return ncclSuccess;
}

ncclResult_t ncclGroupEnd(void)
{
    if (--depth > 0 || group.empty())
        return ncclSuccess;
    ncclComm_t comm = group_comm;
    std::vector<call> calls = std::move(group);
    group.clear();
    comm->done++;
    const bool fails = is_the_one(comm, "error"), hangs = is_the_one(comm, "hang");
    if (hangs)
        *comm->stuck = true;
    if (fails || hangs)
        ws_emulate_do(
            group_stream,
            [=] {
                spoil(calls);
                comm->error = fails ? ncclRemoteError : comm->error;
            },
            comm->stuck);
    else
        ws_emulate_do(
            group_stream, [=] { carry_out(calls); }, comm->stuck);
    group_comm = nullptr;
    group_stream = nullptr;
    return ncclSuccess;
}

ncclResult_t ncclSend(const void *data, size_t count, ncclDataType_t, int peer, ncclComm_t comm, cudaStream_t stream)
{
    auto post = [=](std::vector<MPI_Request> &posted) {
        posted.emplace_back();
        MPI_Isend(data, (int)count, MPI_FLOAT, peer, 0, comm->mpi, &posted.back());
    };
    return give({post, nullptr, 0}, comm, stream);
}

ncclResult_t ncclRecv(void *data, size_t count, ncclDataType_t, int peer, ncclComm_t comm, cudaStream_t stream)
{
    auto post = [=](std::vector<MPI_Request> &posted) {
        posted.emplace_back();
        MPI_Irecv(data, (int)count, MPI_FLOAT, peer, 0, comm->mpi, &posted.back());
    };
    return give({post, (float *)data, count}, comm, stream);
}

ncclResult_t ncclBroadcast(const void *from, void *to, size_t count, ncclDataType_t, int root, ncclComm_t comm,
                           cudaStream_t stream)
{
    auto post = [=](std::vector<MPI_Request> &posted) {
        int rank = 0;
        MPI_Comm_rank(comm->mpi, &rank);
        if (rank == root && from != to)
            memcpy(to, from, count * sizeof(float));
        posted.emplace_back();
        MPI_Ibcast(to, (int)count, MPI_FLOAT, root, comm->mpi, &posted.back());
    };
    return give({post, (float *)to, count}, comm, stream);
}

ncclResult_t ncclAllReduce(const void *from, void *to, size_t count, ncclDataType_t, ncclRedOp_t, ncclComm_t comm,
                           cudaStream_t stream)
{
    auto post = [=](std::vector<MPI_Request> &posted) {
        posted.emplace_back();
        MPI_Iallreduce(from == to ? MPI_IN_PLACE : from, to, (int)count, MPI_FLOAT, MPI_SUM, comm->mpi, &posted.back());
    };
    return give({post, (float *)to, count}, comm, stream);
}
}
