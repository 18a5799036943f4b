/* Rows of all ranks into one order: (input, point where the flow left, number of its first packet), each rank a contiguous part.
 *
 * Sorting by regular samples (Shi and Schaeffer, 1992): each rank's rows are in order already, so a few of them a rank
 * give splitters, each rank sends the rows between two splitters to one rank, and that one merges. Where the splitters
 * fall depends on the ranks; the order of all rows does not, since no two rows have the same key. Buffers are kept from batch to
 * batch: fresh memory costs more than what is done with it.
 */
#include "dataset/extract.h"

#include <stdlib.h>

struct extract_sorter {
    ws_parcels *flows, *packets,
        *slots; /* rows between two splitters, for the rank that merges them; slots: NULL without bytes */
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

/* What goes to a rank: rows, their packets, bytes of their slots. */
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
static size_t list_runs(const ws_comm *comm, const extract_rows *rows, row_counts sent, const extract_sorter *sorter,
                        row_run *runs)
{
    row_run own = {rows->flows, NULL, rows->packets, rows->slots};
    size_t count = 0;
    for (int r = 0; r < comm->rank; r++)
        skip(&own, sent, r);
    own.end = own.flow + sent.flows[comm->rank];
    for (int r = 0; r < comm->size; r++) {
        row_run run = own;
        if (r != comm->rank) {
            run.flow = (const ws_flow *)(const void *)sorter->flows->in[r].bytes;
            run.end = run.flow + sorter->flows->in[r].count / sizeof *run.flow;
            run.packet = (const ws_flow_packet *)(const void *)sorter->packets->in[r].bytes;
            run.slots = sorter->slots != NULL ? sorter->slots->in[r].bytes : NULL;
        }
        if (run.flow < run.end)
            runs[count++] = run;
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

static ws_err merge_rows(const ws_comm *comm, const extract_rows *rows, row_counts sent, extract_sorter *sorter)
{
    row_run *runs = NULL;
    WS_TRY(WS_NEW_ARRAY(runs, (size_t)comm->size));
    extract_rows totals = {.count = sent.flows[comm->rank],
                           .packet_count = sent.packets[comm->rank],
                           .slot_bytes = sent.slots[comm->rank]};
    for (int r = 0; r < comm->size; r++) {
        if (r == comm->rank)
            continue;
        totals.count += sorter->flows->in[r].count / sizeof *rows->flows;
        totals.packet_count += sorter->packets->in[r].count / sizeof *rows->packets;
        totals.slot_bytes += sorter->slots != NULL ? sorter->slots->in[r].count : 0;
    }
    const size_t count = list_runs(comm, rows, sent, sorter, runs);
    ws_err error = merge_runs(runs, count, &totals, &sorter->sorted);
    free(runs);
    return error;
}

static ws_err fill_parcels(extraction *x, const extract_rows *rows, row_counts sent)
{
    const extract_sorter *sorter = x->sorter;
    row_run run = {rows->flows, NULL, rows->packets, rows->slots};
    for (int r = 0; r < x->comm->size; skip(&run, sent, r++)) {
        if (r == x->comm->rank)
            continue;
        WS_TRY(ws_parcel_put(&sorter->flows->out[r], run.flow, sent.flows[r] * sizeof *run.flow));
        WS_TRY(ws_parcel_put(&sorter->packets->out[r], run.packet, sent.packets[r] * sizeof *run.packet));
        if (sorter->slots != NULL)
            WS_TRY(ws_parcel_put(&sorter->slots->out[r], run.slots, sent.slots[r]));
        x->exchanged_bytes += sent.flows[r] * sizeof *run.flow + sent.packets[r] * sizeof *run.packet + sent.slots[r];
    }
    return WS_OK;
}

static ws_err send_rows_all(extraction *x, const extract_rows *rows, row_counts sent)
{
    extract_sorter *sorter = x->sorter;
    WS_AGREE(x->comm, fill_parcels(x, rows, sent));
    WS_TRY(ws_parcels_send_all(sorter->flows));
    WS_TRY(ws_parcels_send_all(sorter->packets));
    if (sorter->slots != NULL)
        WS_TRY(ws_parcels_send_all(sorter->slots));
    WS_TRY(ws_parcels_arrive(sorter->flows));
    WS_TRY(ws_parcels_arrive(sorter->packets));
    if (sorter->slots != NULL)
        WS_TRY(ws_parcels_arrive(sorter->slots));
    return WS_OK;
}

/* `splitters` and `counts` are room for what is named so. */
static ws_err sort_all(extraction *x, const extract_rows *rows, extract_row_key *splitters, size_t *counts)
{
    const ws_comm *comm = x->comm;
    const size_t ranks = (size_t)comm->size;
    const row_counts sent = {counts, counts + ranks, counts + 2 * ranks};
    WS_TRY(choose_splitters_all(comm, rows, splitters));
    count_for_ranks(rows, splitters, comm->size, sent);
    WS_TRY(send_rows_all(x, rows, sent));
    WS_AGREE(comm, merge_rows(comm, rows, sent, x->sorter));
    return WS_OK;
}

static ws_err create_all(extraction *x)
{
    enum { MOST_BYTES = 8 << 20 }; /* twice what waits, mostly */
    WS_AGREE(x->comm, WS_NEW(x->sorter));
    WS_TRY(ws_parcels_create_all(&x->sorter->flows, x->comm, MOST_BYTES));
    WS_TRY(ws_parcels_create_all(&x->sorter->packets, x->comm, MOST_BYTES));
    if (x->slot_size > 0)
        WS_TRY(ws_parcels_create_all(&x->sorter->slots, x->comm, MOST_BYTES));
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
    if (x->sorter == NULL)
        WS_TRY(create_all(x));
    ws_err error = WS_NEW_ARRAY(splitters, ranks);
    if (error == WS_OK)
        error = WS_NEW_ARRAY(counts, 3 * ranks);
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
    ws_parcels_destroy(&(*sorter)->flows);
    ws_parcels_destroy(&(*sorter)->packets);
    ws_parcels_destroy(&(*sorter)->slots);
    extract_rows_destroy(&(*sorter)->sorted);
    free(*sorter);
    *sorter = NULL;
}
