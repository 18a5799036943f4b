/* A reservoir: of all flows of the run, a fixed number is stored, drawn at random but the same for any number of ranks.
 *
 * Every flow has a priority, a random number of its own that is drawn from (seed, input, number of its first packet), and
 * the flows of the smallest priorities stay (bottom-k sampling: Cohen and Kaplan, "Summarizing data using bottom-k
 * sketches", PODC 2007). Each rank keeps the smallest of its own; at the end all find, by bisection over the priorities,
 * the bound under which the wanted number lies. So no rank ever holds more than the reservoir, and nobody's order matters.
 *
 * Balanced: one reservoir of equal size for each of TCP and others, by 1, 2 to 3, 4 to 15 and 16 or more packets; a
 * backbone's flows of one packet would fill a uniform one. What one of them leaves free is not given to the others.
 */
#include "dataset/extract.h"

#include <stdlib.h>

enum { STRATA_MOST = 8 };

typedef struct kept_flow {
    uint64_t priority;
    ws_flow *flow; /* with its stored packets and their slots behind it, one allocation */
} kept_flow;

typedef struct stratum {
    kept_flow *heap; /* the largest priority first */
    size_t count, capacity;
} stratum;

struct extract_reservoir {
    uint64_t seed;
    bool balanced;
    size_t limit; /* of a stratum */
    int strata_count;
    stratum strata[STRATA_MOST];
};

ws_err extract_reservoir_create(extract_reservoir **out, const ws_extract_options *options)
{
    WS_TRY(WS_NEW(*out));
    (*out)->seed = (uint64_t)options->reservoir_seed;
    (*out)->balanced = options->reservoir_balanced;
    (*out)->strata_count = options->reservoir_balanced ? STRATA_MOST : 1;
    (*out)->limit = (size_t)options->reservoir / (size_t)(*out)->strata_count;
    WS_CHECK((*out)->limit > 0, CONFIG, "reservoir: %lld rows are too few for %d kinds of flows",
             (long long)options->reservoir, (*out)->strata_count);
    return WS_OK;
}

void extract_reservoir_destroy(extract_reservoir **reservoir)
{
    if (*reservoir == NULL)
        return;
    for (int s = 0; s < (*reservoir)->strata_count; s++) {
        for (size_t i = 0; i < (*reservoir)->strata[s].count; i++)
            free((*reservoir)->strata[s].heap[i].flow);
        free((*reservoir)->strata[s].heap);
    }
    free(*reservoir);
    *reservoir = NULL;
}

static stratum *stratum_of(extract_reservoir *reservoir, const ws_flow *flow)
{
    uint64_t packets = flow->packets[0] + flow->packets[1];
    int size = packets < 2 ? 0 : packets < 4 ? 1 : packets < 16 ? 2 : 3;
    return &reservoir->strata[reservoir->balanced ? size + 4 * (flow->key.protocol == 6) : 0];
}

/* ---------------------------------------------------------------- the heap */
static void sift_down(stratum *s, kept_flow flow)
{
    size_t at = 0;
    for (size_t child = 1; child < s->count; child = 2 * at + 1) {
        if (child + 1 < s->count && s->heap[child + 1].priority > s->heap[child].priority)
            child++;
        if (s->heap[child].priority <= flow.priority)
            break;
        s->heap[at] = s->heap[child];
        at = child;
    }
    s->heap[at] = flow;
}

static void sift_up(stratum *s, kept_flow flow)
{
    size_t at = s->count++;
    for (; at > 0 && s->heap[(at - 1) / 2].priority < flow.priority; at = (at - 1) / 2)
        s->heap[at] = s->heap[(at - 1) / 2];
    s->heap[at] = flow;
}

static ws_err copy_flow(const ws_flow *flow, ws_flow **out)
{
    const size_t bytes = flow->packet_count * sizeof *flow->stored;
    WS_TRY(ws_alloc(out, 1, sizeof **out + bytes + flow->slot_bytes));
    **out = *flow;
    uint8_t *stored = (uint8_t *)(*out + 1);
    (*out)->stored = (const ws_flow_packet *)(*out + 1);
    (*out)->slots = stored + bytes;
    if (bytes > 0)
        memcpy(stored, flow->stored, bytes);
    if (flow->slot_bytes > 0)
        memcpy(stored + bytes, flow->slots, flow->slot_bytes);
    return WS_OK;
}

ws_err extract_reservoir_offer(extract_reservoir *reservoir, const ws_flow *flow)
{
    stratum *s = stratum_of(reservoir, flow);
    kept_flow kept = {.priority =
                          ws_random_u64(reservoir->seed, WS_RANDOM_RESERVOIR, flow->input, flow->first_ordinal)};
    bool full = s->count == reservoir->limit;
    if (full && kept.priority >= s->heap[0].priority)
        return WS_OK;
    WS_TRY(WS_GROW(s->heap, s->capacity, s->count + 1));
    WS_TRY(copy_flow(flow, &kept.flow));
    if (full) {
        free(s->heap[0].flow);
        sift_down(s, kept);
    } else {
        sift_up(s, kept);
    }
    return WS_OK;
}

ws_err extract_reservoir_copy(const extract_reservoir *reservoir, ws_flow_sink sink, void *context)
{
    for (int s = 0; s < reservoir->strata_count; s++)
        for (size_t i = 0; i < reservoir->strata[s].count; i++)
            WS_TRY(sink(context, reservoir->strata[s].heap[i].flow));
    return WS_OK;
}

/* ---------------------------------------------------------------- the end */
/* bounds[strata]: the smallest priority up to which there are `limit` flows over all ranks, or the largest there is. */
static ws_err find_bounds_all(const ws_comm *comm, const extract_reservoir *reservoir, uint64_t *bounds)
{
    uint64_t low[STRATA_MOST] = {0}, counts[STRATA_MOST];
    for (int s = 0; s < STRATA_MOST; s++)
        bounds[s] = UINT64_MAX;
    for (int step = 0; step < 64; step++) {
        for (int s = 0; s < reservoir->strata_count; s++) {
            const stratum *one = &reservoir->strata[s];
            uint64_t middle = low[s] + (bounds[s] - low[s]) / 2;
            counts[s] = 0;
            for (size_t i = 0; i < one->count; i++)
                counts[s] += one->heap[i].priority <= middle;
        }
        WS_TRY(ws_sum_u64_all(comm, counts, (size_t)reservoir->strata_count));
        for (int s = 0; s < reservoir->strata_count; s++) {
            uint64_t middle = low[s] + (bounds[s] - low[s]) / 2;
            if (low[s] >= bounds[s])
                continue;
            if (counts[s] >= reservoir->limit)
                bounds[s] = middle;
            else
                low[s] = middle + 1;
        }
    }
    return WS_OK;
}

static int compare_flows(const void *left, const void *right)
{
    const ws_flow *a = *(ws_flow *const *)left, *b = *(ws_flow *const *)right;
    if (a->input != b->input)
        return a->input < b->input ? -1 : 1;
    if (a->left_at != b->left_at)
        return a->left_at < b->left_at ? -1 : 1;
    return (a->first_ordinal > b->first_ordinal) - (a->first_ordinal < b->first_ordinal);
}

static ws_err add_kept(extraction *x, const uint64_t *bounds)
{
    const extract_reservoir *reservoir = x->reservoir;
    ws_flow **flows;
    size_t most = 0, count = 0;
    for (int s = 0; s < reservoir->strata_count; s++)
        most += reservoir->strata[s].count;
    WS_TRY(ws_arena_alloc(x->arena, &flows, most + 1, sizeof *flows));
    for (int s = 0; s < reservoir->strata_count; s++)
        for (size_t i = 0; i < reservoir->strata[s].count; i++)
            if (reservoir->strata[s].heap[i].priority <= bounds[s])
                flows[count++] = reservoir->strata[s].heap[i].flow;
    qsort(flows, count, sizeof *flows, compare_flows);
    for (size_t i = 0; i < count; i++)
        WS_TRY(extract_rows_add(x, flows[i]));
    return WS_OK;
}

ws_err extract_reservoir_drain_all(extraction *x)
{
    uint64_t bounds[STRATA_MOST];
    WS_TRY(find_bounds_all(x->comm, x->reservoir, bounds));
    WS_TRY(extract_rows_settle_all(x, add_kept(x, bounds), false));
    extract_reservoir_destroy(&x->reservoir);
    return WS_OK;
}
