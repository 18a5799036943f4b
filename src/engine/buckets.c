/* Cuts the flat gradients into slices that are final, one after the other, while the backward pass goes on. */
#include "engine/plan.h"

/* The last node of the backward pass that writes gradients of [offset, end), and of what comes before it. */
static size_t last_writer(const ws_plan *plan, size_t offset, size_t end, size_t before)
{
    size_t last = before;
    for (size_t i = 0; i < plan->node_count; i++) {
        const ws_node *node = &plan->nodes[i];
        for (int k = 0; k < WS_MAX_PARAMETERS && plan->node_buffers[i].differentiated; k++) {
            if (node->parameters[k] < 0)
                continue;
            const size_t at = plan->parameters[node->parameters[k]].offset;
            if (at >= offset && at < end && i < last)
                last = i;
        }
    }
    return last;
}

ws_buckets ws_plan_buckets(const ws_plan *plan, size_t reals)
{
    ws_buckets out = {.count = 0};
    const size_t least = (plan->extent + WS_MAX_BUCKETS - 1) / WS_MAX_BUCKETS;
    size_t begin = 0, node = plan->node_count;
    reals = reals < least ? least : reals;
    for (size_t i = 0; i < plan->parameter_count; i++) {
        const size_t end = i + 1 < plan->parameter_count ? plan->parameters[i + 1].offset : plan->extent;
        if (end - begin < reals && i + 1 < plan->parameter_count)
            continue;
        node = last_writer(plan, begin, end, node);
        out.items[out.count++] = (ws_bucket){begin, end - begin, node};
        begin = end;
    }
    return out;
}
