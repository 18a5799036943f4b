/* Collective agreement on success: what keeps a rank from waiting for ever for one that has failed. */
#include <stdio.h>
#include <string.h>
#include "cluster/cluster.h"

/* What travels. Fixed size and on the stack, so that reporting an error cannot itself fail for want of memory. */
typedef struct report {
    int32_t error;
    char message[8192], hint[2048], trace[4096];
} report;

static void copy_text(char *to, size_t size, const char *from)
{
    snprintf(to, size, "%s", from);
}

ws_err ws_agree_all(const ws_comm *comm, ws_err local)
{
    if (comm->size == 1)
        return local;
    int failing = local == WS_OK ? comm->size : comm->rank, lowest = comm->size;
    WS_MPI(MPI_Allreduce(&failing, &lowest, 1, MPI_INT, MPI_MIN, comm->mpi));
    if (lowest == comm->size)
        return WS_OK;

    report failure;
    memset(&failure, 0, sizeof failure);
    if (comm->rank == lowest) {
        failure.error = local;
        copy_text(failure.message, sizeof failure.message, ws_error_message());
        copy_text(failure.hint, sizeof failure.hint, ws_error_hint());
        const char *trace = ws_error_trace();
        size_t length = strlen(trace);
        snprintf(failure.trace, sizeof failure.trace, "%.3600s%srank %d of %d on %s\n", trace,
                 length == 0 || trace[length - 1] == '\n' ? "" : "\n", comm->rank, comm->size, ws_host_name());
    }
    WS_MPI(MPI_Bcast(&failure, (int)sizeof failure, MPI_BYTE, lowest, comm->mpi));
    return ws_error_set((ws_err)failure.error, failure.message, failure.hint, failure.trace);
}
