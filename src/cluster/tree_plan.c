/* Which additions of the fixed tree are whose. A pure function of shards, ranks and rank. */
#include <stdlib.h>
#include "cluster/tree_plan.h"

static void assign_owners(ws_tree_plan *plan, const ws_comm *comm)
{
    for (int rank = 0; rank < comm->size; rank++) {
        uint64_t begin, end;
        ws_even_split((uint64_t)plan->shards, comm->size, rank, &begin, &end);
        for (uint64_t shard = begin; shard < end; shard++)
            plan->owner[shard] = rank;
        if (rank == comm->rank) {
            plan->begin = (int)begin;
            plan->end = (int)end;
        }
    }
}

static void assign_additions(ws_tree_plan *plan, const ws_comm *comm)
{
    for (int64_t step = 1; step < plan->shards; step *= 2)
        for (int64_t to = 0; to + step < plan->shards; to += 2 * step) {
            int64_t last = to + 2 * step < plan->shards ? to + 2 * step - 1 : plan->shards - 1;
            ws_addition pair = {.to = (int)to, .from = (int)(to + step)};
            if (plan->owner[to] != plan->owner[last]) {
                plan->rest[plan->rest_count++] = pair;
                continue;
            }
            plan->travels[pair.from] = false;
            if (plan->owner[to] == comm->rank)
                plan->local[plan->local_count++] = pair;
        }
}

static ws_err allocate(ws_tree_plan *plan)
{
    size_t shards = (size_t)plan->shards;
    WS_TRY(WS_NEW_ARRAY(plan->owner, shards));
    WS_TRY(WS_NEW_ARRAY(plan->local, shards));
    WS_TRY(WS_NEW_ARRAY(plan->rest, shards));
    WS_TRY(WS_NEW_ARRAY(plan->travels, shards));
    return WS_OK;
}

ws_err ws_tree_plan_create(ws_tree_plan *out, const ws_comm *comm, int shards)
{
    *out = (ws_tree_plan){.shards = shards};
    WS_CHECK(shards > 0, INTERNAL, "a tree sum over %d shards", shards);
    ws_err error = allocate(out);
    if (error != WS_OK) {
        ws_tree_plan_destroy(out);
        return error;
    }
    assign_owners(out, comm);
    for (int shard = 0; shard < shards; shard++)
        out->travels[shard] = true;
    assign_additions(out, comm);
    for (int shard = 0; shard < shards; shard++) {
        out->travelling += out->travels[shard];
        out->sent += out->travels[shard] && out->owner[shard] == comm->rank;
    }
    return WS_OK;
}

void ws_tree_plan_destroy(ws_tree_plan *plan)
{
    free(plan->owner);
    free(plan->local);
    free(plan->rest);
    free(plan->travels);
    *plan = (ws_tree_plan){.shards = 0};
}
