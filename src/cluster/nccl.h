/* nccl: sums of device buffers over ranks, one device a rank; the same interface in builds without NCCL, where create
 * says so.
 *
 * One rank needs no NCCL: its sums are additions on its device, and where the build has none `result` must be local[0].
 *
 * Work is queued on the caller's stream and not waited for. The fixed sums give the bits that the host's fixed tree
 * gives for the same additions; the fast sum runs in NCCL's own order.
 */
#ifndef WS_CLUSTER_NCCL_H
#define WS_CLUSTER_NCCL_H

#include "cluster/cluster.h"

typedef struct ws_nccl ws_nccl;
/* Queues sum[i] += value[i] on the stream that `context` stands for. */
typedef void (*ws_device_add)(void *context, float *sum, const float *value, size_t count);

/* comm must outlive it; every rank gives another device. */
WS_MUST ws_err ws_nccl_create_all(ws_nccl **out, const ws_comm *comm, int device);
void ws_nccl_destroy(ws_nccl **nccl);
/* values[count] in place, by NCCL's own order: "reduction": "fast". stream: a cudaStream_t. */
WS_MUST ws_err ws_nccl_sum_all(ws_nccl *nccl, float *values, size_t count, void *stream);
/* As ws_tree_sum_float_all, in device memory. prepare makes room for sums of up to `count` values, after which those are only queued and
 * no rank waits for another. */
WS_MUST ws_err ws_nccl_room(const ws_comm *comm, int shards, size_t count,
                            size_t *bytes); /* of the device, that it makes */
WS_MUST ws_err ws_nccl_prepare_all(ws_nccl *nccl, int shards, size_t count);
WS_MUST ws_err ws_nccl_tree_sum_all(ws_nccl *nccl, int shards, float *const *local, float *result, size_t count,
                                    ws_device_add add, void *context, void *stream);

/* What went wrong since, on the way between devices: seen from time to time while waiting for sums. */
WS_MUST ws_err ws_nccl_check(const ws_nccl *nccl);
/* Ends sums that will never be done, with whatever they hold; only destroy may follow. */
void ws_nccl_abort(ws_nccl *nccl);

#endif
