/* cluster: ranks, collective agreement, exchange, and the fixed-tree reduction that makes sums independent of the
 * ranks.
 *
 * Functions ending in _all are collective: every rank of `comm` calls them, in the same order. Between two collectives
 * no rank may return alone: do the local work, keep its error, then ws_agree_all.
 */
#ifndef WS_CLUSTER_H
#define WS_CLUSTER_H

#include <mpi.h>
#include <stdint.h>
#include "cluster/accelerator.h"
#include "core/core.h"

typedef struct ws_comm {
    MPI_Comm mpi; /* borrowed; errors returned, not fatal */
    int rank, size;
} ws_comm;

/* MPI_Init (funneled threads) and MPI_ERRORS_RETURN. Sets up logging's rank. */
WS_MUST ws_err ws_cluster_start(int *argc, char ***argv, bool quiet, ws_comm *world);
void ws_cluster_stop(void);
/* True on the rank that speaks to the user; before the start (wrong usage under mpirun) by the launcher's environment.
 */
bool ws_is_first_rank(void);
/* "NAME=VALUE" by which an MPI launcher, or Slurm for a step, tells a process which rank of which job it is; a child that saw it
 * would take itself for this process. What a person sets (which transport, running as root) is none. */
bool ws_variable_is_of_launcher(const char *variable);
ws_comm ws_comm_self(void);
WS_MUST ws_err ws_comm_split_all(const ws_comm *comm, int color, ws_comm *out);
void ws_comm_destroy(ws_comm *comm);

/* Runs an MPI call; on failure raises WS_E_MPI with the call's text and MPI's own message. */
#define WS_MPI(call)                                                                                                   \
    do {                                                                                                               \
        int ws_mpi_status_ = (call);                                                                                   \
        if (ws_mpi_status_ != MPI_SUCCESS)                                                                             \
            return ws_mpi_raise(ws_mpi_status_, #call, __FILE__, __LINE__, __func__);                                  \
    } while (0)
ws_err ws_mpi_raise(int status, const char *call, const char *file, int line, const char *function);

/* Every rank returns the same: WS_OK when all gave WS_OK, else the error, message, hint and trace of the lowest failing
 * rank (with "rank 2 of 4 on HOST" in the trace). */
WS_MUST ws_err ws_agree_all(const ws_comm *comm, ws_err local);
#define WS_AGREE(comm, expression) WS_TRY(ws_agree_all((comm), (expression)))

/* The ranks of this machine, for what they share: memory, devices, cores. */
WS_MUST ws_err ws_comm_machine_all(const ws_comm *comm, ws_comm *out);
/* Rank among them, and their number. */
WS_MUST ws_err ws_local_rank_all(const ws_comm *comm, int *local_rank, int *local_size);
WS_MUST ws_err ws_barrier_all(const ws_comm *comm);
WS_MUST ws_err ws_broadcast_all(const ws_comm *comm, void *data, size_t bytes, int root);
/* Text of any length from root to all; *text is malloc'ed on the other ranks. */
WS_MUST ws_err ws_broadcast_text_all(const ws_comm *comm, char **text, int root);
WS_MUST ws_err ws_sum_u64_all(const ws_comm *comm, uint64_t *values, size_t count); /* in place, exact */
WS_MUST ws_err ws_max_i64_all(const ws_comm *comm, int64_t *values, size_t count);
WS_MUST ws_err ws_min_i64_all(const ws_comm *comm, int64_t *values, size_t count);
/* values[i] = sum over lower ranks (exclusive prefix); total[i] (may be NULL) = sum over all ranks. In place. */
WS_MUST ws_err ws_prefix_sum_u64_all(const ws_comm *comm, uint64_t *values, uint64_t *total, size_t count);
/* out[size * bytes]: every rank's `bytes`, in rank order. */
WS_MUST ws_err ws_gather_equal_all(const ws_comm *comm, const void *data, size_t bytes, void *out);
/* Variable amounts, in rank order, to every rank; *out malloc'ed, *out_bytes its size; `counts` (may be NULL) [size].
 */
WS_MUST ws_err ws_gather_all(const ws_comm *comm, const void *data, size_t bytes, void **out, size_t *out_bytes,
                             size_t *counts);
/* Personalised exchange of records of `record_bytes`: send holds the records for rank 0, then rank 1, ...; send_counts
 * [size] in records. *out (malloc'ed) holds what came from rank 0, then rank 1, ...; out_counts [size]. Messages are
 * cut into pieces of bounded size, so any amount goes. */
WS_MUST ws_err ws_exchange_all(const ws_comm *comm, const void *send, const size_t *send_counts, size_t record_bytes,
                               void **out, size_t *out_counts);
/* Bytes from every rank to every rank that are put together little by little, while those of the time before are on their way. Ranks
 * of one machine read them where the sender wrote them, so that nothing is copied; between machines they travel as messages.
 *
 * A rank fills out[r] (ws_parcel_put, or ws_parcel_reserve, then bytes[count] and on, and count), all send, and after
 * ws_parcels_arrive in[r] holds what rank r sent, its own too, to be read until the next ws_parcels_send_all. In between out is
 * filled again. Who learns late what is for whom puts all into its own out[rank], and lends the others parts of it. */
typedef struct ws_parcel {
    uint8_t *bytes;
    size_t count, capacity;
    uint8_t *room; /* that the other ranks of the machine see too; `bytes` while what is put there fits */
} ws_parcel;
typedef struct ws_arrived_parcel {
    const uint8_t *bytes;
    size_t count;
} ws_arrived_parcel;
typedef struct ws_parcels {
    ws_parcel *out;        /* [size] */
    ws_arrived_parcel *in; /* [size] */
    struct ws_parcels_way *way;
} ws_parcels;
/* most: bytes for one rank that are seen by it where they are; more of them travel. 0: all travel. */
WS_MUST ws_err ws_parcels_create_all(ws_parcels **out, const ws_comm *comm, size_t most);
WS_MUST ws_err ws_parcel_grow(ws_parcel *parcel, size_t more);
static inline ws_err ws_parcel_reserve(ws_parcel *parcel, size_t more)
{
    return parcel->count + more <= parcel->capacity ? WS_OK : ws_parcel_grow(parcel, more);
}
static inline ws_err ws_parcel_put(ws_parcel *parcel, const void *data, size_t count)
{
    WS_TRY(ws_parcel_reserve(parcel, count));
    if (count > 0)
        memcpy(parcel->bytes + parcel->count, data, count);
    parcel->count += count;
    return WS_OK;
}
/* Instead of out[to], which is empty: this part of out[rank], which does not grow until it is sent. */
void ws_parcels_lend(ws_parcels *parcels, int to, size_t at, size_t count);
WS_MUST ws_err ws_parcels_send_all(ws_parcels *parcels);
void ws_parcels_push(ws_parcels *parcels); /* from time to time: MPI moves messages only while it is called */
WS_MUST ws_err ws_parcels_arrive(ws_parcels *parcels);
void ws_parcels_destroy(ws_parcels **parcels); /* waits for what is on its way */
/* Few bytes from one rank to another, which receives as many; those of a pair arrive in the order they were sent. The sender need
 * not wait, unless memory is out, and ends what it began (NULL: nothing), also where that failed. */
typedef struct ws_sending ws_sending;
WS_MUST ws_err ws_send_begin(ws_sending **sending, const ws_comm *comm, int to, const void *data, size_t bytes);
WS_MUST ws_err ws_send_end(ws_sending **sending);
void ws_send_drop(ws_sending **sending); /* the same, whatever comes of it */
WS_MUST ws_err ws_receive(const ws_comm *comm, int from, void *data, size_t bytes);
WS_MUST ws_err ws_has_arrived(const ws_comm *comm, int from, bool *out); /* some of what the rank sent, at least */
/* True on every rank when any rank gives true (stop requests). */
WS_MUST ws_err ws_any_all(const ws_comm *comm, bool local, bool *any);

/* Contiguous even split: rank `part` of `parts` gets [*begin, *end) of `count`. */
void ws_even_split(uint64_t count, int parts, int part, uint64_t *begin, uint64_t *end);

/* ---- fixed-tree reduction ----
 * Sum over S gradient shards by one binary tree over the shard indices: node (level, i) covers shards
 * [i*2^level, (i+1)*2^level), value = left + right, absent right children count as nothing. Rank r owns the contiguous
 * run ws_even_split(S, size, r); complete subtrees are summed locally, incomplete ones travel, so the additions are the
 * same for every number of ranks up to S, and so are the bits.
 *
 * local[k]: the `count` values of the rank's k-th shard; overwritten. On return result[count] (on every rank) holds the
 * sum. `result` may be local[0]. */
WS_MUST ws_err ws_tree_sum_float_all(const ws_comm *comm, int shards, float *const *local, float *result, size_t count);
WS_MUST ws_err ws_tree_sum_double_all(const ws_comm *comm, int shards, double *const *local, double *result,
                                      size_t count);

/* The same with memory for the shards' values and for their sum, made once and used in every step. Ranks that are all on one machine
 * share it, and nothing is sent. */
typedef struct ws_tree_room ws_tree_room;
WS_MUST ws_err ws_tree_room_create_all(ws_tree_room **out, const ws_comm *comm, int shards, size_t count);
void ws_tree_room_destroy(ws_tree_room **room);
float *const *
ws_tree_room_shards(const ws_tree_room *room);        /* [own shards][count], zeros at first; sums overwrite them */
float *ws_tree_room_result(const ws_tree_room *room); /* [count], to be read until the next sum begins */
WS_MUST ws_err ws_tree_room_sum_all(ws_tree_room *room);

/* What the tree is measured against: own shards one after another, then one MPI_Allreduce; the bits depend on the ranks. local stays. */
WS_MUST ws_err ws_sum_in_any_order_all(const ws_comm *comm, int own, float *const *local, float *result, size_t count);

/* `wiresweep bench reduce`: appends a table, or a JSON array (core/bench.h), on every rank. */
WS_MUST ws_err ws_bench_reduce_all(const ws_comm *comm, ws_text *out, bool json);

/* ---- threads over shards ----
 * Shard k of [begin, end) is done by thread (k - begin) % threads; the caller is thread 0, the others sleep between
 * runs. Work reports errors through its own context. Not collective; MPI is called by the caller's thread alone. */
typedef struct ws_shard_threads ws_shard_threads;
typedef void (*ws_shard_work)(void *context, int shard, int thread);
WS_MUST ws_err ws_shard_threads_create(ws_shard_threads **out, int threads);
void ws_shard_threads_destroy(ws_shard_threads **threads);
int ws_shard_threads_count(const ws_shard_threads *threads); /* with the caller */
void ws_shard_threads_run(ws_shard_threads *threads, int begin, int end, ws_shard_work work, void *context);

/* ---- work in the background ----
 * One thread that does one piece of work at a time; start waits for the piece before, destroy for the last. Not collective. */
typedef struct ws_background ws_background;
WS_MUST ws_err ws_background_create(ws_background **out);
void ws_background_destroy(ws_background **background);
void ws_background_start(ws_background *background, void (*work)(void *context), void *context);
void ws_background_wait(ws_background *background);

/* ---- progress ----
 * A live bar on a terminal, one line every 10 s elsewhere, nothing with -q; rank 0 only. Updating is cheap (a clock
 * look every call; draws at most 10 times a second). WIRESWEEP_PROGRESS_SECONDS changes the 10 s. unit: "packets",
 * "steps"; total 0: unknown. */
typedef struct ws_progress ws_progress;
WS_MUST ws_err ws_progress_start(ws_progress **out, const ws_comm *comm, const char *title, const char *unit,
                                 double total);
/* What an earlier sitting did: part of the whole, but not of the speed. */
void ws_progress_continue(ws_progress *progress, double done);
void ws_progress_update(ws_progress *progress, double done, const char *detail /* may be NULL */);
void ws_progress_finish(ws_progress **progress);

/* ---- devices (device_choice.c; sums over them: nccl.h) ----
 * Collective. The GPU of this rank among those that it sees: its own by its place among the ranks of the machine, where a launcher has
 * not given each rank one to see. WS_E_CUDA where there are none, or fewer than ranks. name: "NVIDIA H200". */
WS_MUST ws_err ws_device_choose_all(const ws_comm *comm, int *device, char name[128]);

/* Host name of this rank, and what MPI this is, for records. */
const char *ws_host_name(void);
const char *ws_mpi_library(void);

#include "cluster/nccl.h"

#endif
