/* Benchmark of the fixed-tree sum against what MPI does when the order does not matter. For `wiresweep bench reduce`. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include "cluster/cluster.h"

enum { SHARDS = 8, ROUNDS = 9 };

typedef struct vectors {
    const ws_comm *comm;
    float *local[SHARDS], *result;
    int own;
    size_t count;
} vectors;

static ws_err allocate(vectors *v, size_t count)
{
    uint64_t begin, end;
    ws_even_split(SHARDS, v->comm->size, v->comm->rank, &begin, &end);
    v->own = (int)(end - begin);
    v->count = count;
    for (int k = 0; k < v->own; k++)
        WS_TRY(WS_NEW_ARRAY(v->local[k], count));
    WS_TRY(WS_NEW_ARRAY(v->result, count));
    return WS_OK;
}

static void release(vectors *v)
{
    for (int k = 0; k < v->own; k++)
        free(v->local[k]);
    free(v->result);
}

ws_err ws_sum_in_any_order_all(const ws_comm *comm, int own, float *const *local, float *result, size_t count)
{
    if (own == 0)
        memset(result, 0, count * sizeof *result);
    for (int k = 0; k < own; k++) {
        const float *restrict term = local[k];
        float *restrict sum = result;
        if (k == 0)
            memcpy(sum, term, count * sizeof *sum);
        else
            for (size_t i = 0; i < count; i++)
                sum[i] += term[i];
    }
    WS_CHECK(count <= INT_MAX, ARGUMENT, "%zu values are too many for one sum", count);
    if (comm->size > 1)
        WS_MPI(MPI_Allreduce(MPI_IN_PLACE, result, (int)count, MPI_FLOAT, MPI_SUM, comm->mpi));
    return WS_OK;
}

/* Seconds of the slowest rank. */
static ws_err time_once_all(vectors *v, bool by_tree, double *seconds)
{
    WS_TRY(ws_barrier_all(v->comm));
    double start = ws_clock_seconds();
    WS_TRY(by_tree ? ws_tree_sum_float_all(v->comm, SHARDS, v->local, v->result, v->count)
                   : ws_sum_in_any_order_all(v->comm, v->own, v->local, v->result, v->count));
    int64_t nanoseconds = (int64_t)((ws_clock_seconds() - start) * 1e9);
    WS_TRY(ws_max_i64_all(v->comm, &nanoseconds, 1));
    *seconds = (double)nanoseconds * 1e-9;
    return WS_OK;
}

/* The best of rounds in which both take turns, so that a busy neighbour meets both. */
static ws_err time_both_all(vectors *v, double *tree, double *mpi)
{
    *tree = *mpi = 1e30;
    for (int round = 0; round < ROUNDS; round++) {
        double seconds = 0;
        WS_TRY(time_once_all(v, true, &seconds));
        *tree = seconds < *tree ? seconds : *tree;
        WS_TRY(time_once_all(v, false, &seconds));
        *mpi = seconds < *mpi ? seconds : *mpi;
    }
    return WS_OK;
}

static ws_err bench_size_all(const ws_comm *comm, size_t count, ws_bench_report *report)
{
    vectors v = {.comm = comm};
    double tree = 0, mpi = 0;
    ws_err error = ws_agree_all(comm, allocate(&v, count));
    if (error == WS_OK)
        error = time_both_all(&v, &tree, &mpi);
    release(&v);
    WS_TRY(error);
    char name[96], bytes[32];
    ws_format_bytes((double)count * sizeof(float), bytes);
    snprintf(name, sizeof name, "tree sum of %d shards of %s, %d rank%s", SHARDS, bytes, comm->size,
             comm->size == 1 ? "" : "s");
    double gigabytes = (double)count * sizeof(float) / 1e9;
    ws_bench_line(report, name, gigabytes / tree, "GB/s", gigabytes / mpi, "local sums and MPI_Allreduce");
    return WS_OK;
}

ws_err ws_bench_reduce_all(const ws_comm *comm, ws_text *out, bool json)
{
    static const size_t counts[] = {1 << 10, 1 << 15, 1 << 18, 1 << 21, 1 << 23};
    ws_bench_report report = {.out = out, .json = json};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++)
        WS_TRY(bench_size_all(comm, counts[i], &report));
    return ws_bench_end(&report);
}
