/* nccl: sums of device buffers over ranks, one device a rank; the same interface in builds without NCCL, where create
 * says so.
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
/* As ws_tree_sum_float_all, in device memory. */
WS_MUST ws_err ws_nccl_tree_sum_all(ws_nccl *nccl, int shards, float *const *local, float *result, size_t count,
                                    ws_device_add add, void *context, void *stream);

#endif
