/* The additions of the fixed tree, and who does them; shared by the sums in host and in device memory.
 *
 * The tree's additions are the pairs (to, from), from = to + step, step = 1, 2, 4, ..., `to` a multiple of 2 * step:
 * shard `to` takes up shard `from`. A rank does those whose shards it owns all; the partial sums left over are cut into
 * one slice a rank, every rank gets its slice of all of them, does the remaining additions of the same list for it, and
 * the slices are gathered. That moves as many bytes as a ring would where the rank count divides the shards into whole
 * subtrees, and no addition is done twice.
 */
#ifndef WS_CLUSTER_TREE_PLAN_H
#define WS_CLUSTER_TREE_PLAN_H

#include "cluster/cluster.h"

typedef struct ws_addition {
    int to, from;
} ws_addition;

typedef struct ws_tree_plan {
    int shards, begin, end; /* this rank owns shards [begin, end) */
    int *owner;             /* [shards] rank */
    ws_addition *local;     /* this rank's own additions, in order */
    ws_addition *rest;      /* those across ranks, done by every rank for its slice */
    int local_count, rest_count;
    bool *travels;  /* [shards] a partial sum that leaves its rank begins here */
    int travelling; /* how many */
    int sent;       /* how many of them are this rank's */
} ws_tree_plan;
WS_MUST ws_err ws_tree_plan_create(ws_tree_plan *out, const ws_comm *comm, int shards);
void ws_tree_plan_destroy(ws_tree_plan *plan);

#endif
