/* Rows of all ranks into one order: (input, point where the flow left, number of its first packet), each rank a contiguous part.
 *
 * Sorting by regular samples (Shi and Schaeffer, 1992): each rank's rows are in order already, so a few of them a rank
 * give splitters, each rank sends the rows between two splitters to one rank, and that one merges. Where the splitters
 * fall depends on the ranks; the order of all rows does not, since no two rows have the same key. Buffers are kept from batch to
 * batch: fresh memory costs more than what is done with it.
 */
#include "dataset/extract.h"

#include <stdlib.h>

/* Rows of other ranks, rank by rank; a rank sends them in order. */
typedef struct arrived_rows {
    ws_flow *flows;
    ws_flow_packet *packets;
    uint8_t *slots;
    size_t flow_bytes, packet_bytes, slot_bytes; /* capacities */
} arrived_rows;

struct extract_sorter {
    arrived_rows arrived;
    extract_rows sorted;
};

int extract_row_keys_compare(const void *a, const void *b)
{
    const extract_row_key *x = a, *y = b;
    if (x->input != y->input)
        return x->input < y->input ? -1 : 1;
    if (x->left_at != y->left_at)
        return x->left_at < y->left_at ? -1 : 1;
    return x->first_ordinal < y->first_ordinal ? -1 : x->first_ordinal > y->first_ordinal;
}

/* splitters[size - 1], the same on all ranks; fewer rows than ranks give equal or infinite ones. */
static ws_err choose_splitters_all(const ws_comm *comm, const extract_rows *rows, extract_row_key *splitters)
{
    const size_t ranks = (size_t)comm->size;
    extract_row_key *mine = NULL, *all = NULL;
    const extract_row_key infinite = {UINT64_MAX, UINT64_MAX, UINT64_MAX};
    ws_err local = WS_NEW_ARRAY(mine, ranks);
    if (local == WS_OK)
        local = WS_NEW_ARRAY(all, ranks * ranks);
    ws_err error = ws_agree_all(comm, local);
    for (size_t r = 0; error == WS_OK && r < ranks; r++)
        mine[r] = rows->count > 0 ? extract_row_key_of(&rows->flows[r * rows->count / ranks]) : infinite;
    if (error == WS_OK)
        error = ws_gather_equal_all(comm, mine, ranks * sizeof *mine, all);
    if (error == WS_OK) {
        qsort(all, ranks * ranks, sizeof *all, extract_row_keys_compare);
        for (size_t r = 1; r < ranks; r++)
            splitters[r - 1] = all[r * ranks + ranks / 2 < ranks * ranks ? r * ranks + ranks / 2 : ranks * ranks - 1];
    }
    free(mine);
    free(all);
    return error;
}

/* What goes to a rank, or comes from it: rows, their packets, bytes of their slots. */
typedef struct row_counts {
    size_t *flows, *packets, *slots; /* [ranks] */
} row_counts;

/* What lies below the rank's upper splitter. */
static void count_for_ranks(const extract_rows *rows, const extract_row_key *splitters, int ranks, row_counts counts)
{
    int r = 0;
    for (size_t i = 0; i < rows->count; i++) {
        extract_row_key key = extract_row_key_of(&rows->flows[i]);
        while (r < ranks - 1 && extract_row_keys_compare(&key, &splitters[r]) >= 0)
            r++;
        counts.flows[r]++;
        counts.packets[r] += rows->flows[i].packet_count;
        counts.slots[r] += rows->flows[i].slot_bytes;
    }
}

/* Of one rank's rows those that are still to come. */
typedef struct row_run {
    const ws_flow *flow, *end;
    const ws_flow_packet *packet; /* of `flow` */
    const uint8_t *slots;
} row_run;

static bool comes_before(const row_run *a, const row_run *b)
{
    const extract_row_key x = extract_row_key_of(a->flow), y = extract_row_key_of(b->flow);
    return extract_row_keys_compare(&x, &y) < 0;
}

/* The run at `at` sinks below those that come first; heap[0] is the first of all. */
static void sink(row_run *heap, size_t count, size_t at)
{
    for (;;) {
        size_t least = at, child = 2 * at + 1;
        for (size_t c = child; c < count && c <= child + 1; c++)
            if (comes_before(&heap[c], &heap[least]))
                least = c;
        if (least == at)
            return;
        const row_run moved = heap[at];
        heap[at] = heap[least];
        heap[least] = moved;
        at = least;
    }
}

static void skip(row_run *run, row_counts counts, int rank)
{
    run->flow += counts.flows[rank];
    run->packet += counts.packets[rank];
    if (run->slots != NULL)
        run->slots += counts.slots[rank];
}

/* This rank's own rows stay where they were, among all that it had. Returns how many ranks have any. */
static size_t list_runs(const ws_comm *comm, const extract_rows *rows, row_counts sent, const arrived_rows *arrived,
                        row_counts received, row_run *runs)
{
    row_run own = {rows->flows, NULL, rows->packets, rows->slots};
    row_run other = {arrived->flows, NULL, arrived->packets, arrived->slots};
    size_t count = 0;
    for (int r = 0; r < comm->rank; r++)
        skip(&own, sent, r);
    for (int r = 0; r < comm->size; r++) {
        row_run *run = r == comm->rank ? &own : &other;
        const row_counts here = r == comm->rank ? sent : received;
        run->end = run->flow + here.flows[r];
        if (here.flows[r] > 0)
            runs[count++] = *run;
        skip(run, here, r);
    }
    for (size_t at = count / 2; at-- > 0;)
        sink(runs, count, at);
    return count;
}

static void take_first(extract_rows *sorted, row_run *run)
{
    const ws_flow *flow = run->flow++;
    sorted->flows[sorted->count++] = *flow;
    if (flow->packet_count > 0)
        memcpy(sorted->packets + sorted->packet_count, run->packet, flow->packet_count * sizeof *run->packet);
    sorted->packet_count += flow->packet_count;
    run->packet += flow->packet_count;
    if (flow->slot_bytes == 0)
        return;
    memcpy(sorted->slots + sorted->slot_bytes, run->slots, flow->slot_bytes);
    sorted->slot_bytes += flow->slot_bytes;
    run->slots += flow->slot_bytes;
}

/* totals: what the runs hold together. */
static ws_err merge_runs(row_run *runs, size_t count, const extract_rows *totals, extract_rows *sorted)
{
    sorted->count = sorted->packet_count = sorted->slot_bytes = 0;
    WS_TRY(WS_GROW(sorted->flows, sorted->capacity, totals->count));
    WS_TRY(WS_GROW(sorted->packets, sorted->packet_capacity, totals->packet_count));
    WS_TRY(WS_GROW(sorted->slots, sorted->slot_capacity, totals->slot_bytes));
    while (count > 0) {
        row_run *run = &runs[0];
        WS_CHECK(sorted->packet_count + run->flow->packet_count <= totals->packet_count &&
                     sorted->slot_bytes + run->flow->slot_bytes <= totals->slot_bytes,
                 INTERNAL, "%zu packets came with rows that have more", totals->packet_count);
        take_first(sorted, run);
        if (run->flow == run->end)
            *run = runs[--count];
        sink(runs, count, 0);
    }
    WS_CHECK(sorted->packet_count == totals->packet_count, INTERNAL, "%zu packets came with rows that have %zu",
             totals->packet_count, sorted->packet_count);
    return WS_OK;
}

static ws_err merge_rows(const ws_comm *comm, const extract_rows *rows, row_counts sent, row_counts received,
                         extract_sorter *sorter)
{
    row_run *runs = NULL;
    extract_rows totals = {0};
    WS_TRY(WS_NEW_ARRAY(runs, (size_t)comm->size));
    for (int r = 0; r < comm->size; r++) {
        const row_counts here = r == comm->rank ? sent : received;
        totals.count += here.flows[r];
        totals.packet_count += here.packets[r];
        totals.slot_bytes += here.slots[r];
    }
    const size_t count = list_runs(comm, rows, sent, &sorter->arrived, received, runs);
    ws_err error = merge_runs(runs, count, &totals, &sorter->sorted);
    free(runs);
    return error;
}

static ws_err send_rows_all(extraction *x, const extract_rows *rows, row_counts sent, arrived_rows *arrived,
                            row_counts received)
{
    const ws_comm *comm = x->comm;
    WS_TRY(ws_exchange_others_all(comm, rows->flows, sent.flows, sizeof *rows->flows, (void **)&arrived->flows,
                                  &arrived->flow_bytes, received.flows));
    WS_TRY(ws_exchange_others_all(comm, rows->packets, sent.packets, sizeof *rows->packets, (void **)&arrived->packets,
                                  &arrived->packet_bytes, received.packets));
    if (x->slot_size > 0)
        WS_TRY(ws_exchange_others_all(comm, rows->slots, sent.slots, 1, (void **)&arrived->slots, &arrived->slot_bytes,
                                      received.slots));
    for (int r = 0; r < comm->size; r++)
        if (r != comm->rank)
            x->exchanged_bytes +=
                sent.flows[r] * sizeof *rows->flows + sent.packets[r] * sizeof *rows->packets + sent.slots[r];
    return WS_OK;
}

/* `splitters` and `counts` are room for what is named so. */
static ws_err sort_all(extraction *x, const extract_rows *rows, extract_row_key *splitters, size_t *counts)
{
    const ws_comm *comm = x->comm;
    const size_t ranks = (size_t)comm->size;
    const row_counts sent = {counts, counts + ranks, counts + 2 * ranks};
    const row_counts received = {counts + 3 * ranks, counts + 4 * ranks, counts + 5 * ranks};
    WS_TRY(choose_splitters_all(comm, rows, splitters));
    count_for_ranks(rows, splitters, comm->size, sent);
    WS_TRY(send_rows_all(x, rows, sent, &x->sorter->arrived, received));
    WS_AGREE(comm, merge_rows(comm, rows, sent, received, x->sorter));
    return WS_OK;
}

ws_err extract_rows_sort_all(extraction *x, const extract_rows *rows, const extract_rows **out)
{
    extract_row_key *splitters = NULL;
    size_t *counts = NULL;
    const size_t ranks = (size_t)x->comm->size;
    *out = rows;
    if (ranks == 1)
        return WS_OK;
    ws_err error = x->sorter != NULL ? WS_OK : WS_NEW(x->sorter);
    if (error == WS_OK)
        error = WS_NEW_ARRAY(splitters, ranks);
    if (error == WS_OK)
        error = WS_NEW_ARRAY(counts, 6 * ranks);
    error = ws_agree_all(x->comm, error);
    if (error == WS_OK)
        error = sort_all(x, rows, splitters, counts);
    free(splitters);
    free(counts);
    WS_TRY(error);
    *out = &x->sorter->sorted;
    return WS_OK;
}

void extract_sorter_destroy(extract_sorter **sorter)
{
    if (*sorter == NULL)
        return;
    free((*sorter)->arrived.flows);
    free((*sorter)->arrived.packets);
    free((*sorter)->arrived.slots);
    extract_rows_destroy(&(*sorter)->sorted);
    free(*sorter);
    *sorter = NULL;
}
