/* Rows of all ranks into one order: (input, point where the flow left, number of its first packet), each rank a contiguous part.
 *
 * Sorting by regular samples (Shi and Schaeffer, 1992): each rank's rows are in order already, so a few of them a rank
 * give splitters, each rank lends the rows between two splitters to one rank, and that one merges. Where the splitters
 * fall depends on the ranks; the order of all rows does not, since no two rows have the same key. What is merged is where the
 * rows lie, since who writes them copies them anyway.
 */
#include "dataset/extract.h"

#include <stdlib.h>

struct extract_sorter {
    ws_row_source *sorted;
    size_t count, capacity;
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
static ws_err choose_splitters_all(const ws_comm *comm, const ws_flow *rows, size_t count, extract_row_key *splitters)
{
    const size_t ranks = (size_t)comm->size;
    extract_row_key *mine = NULL, *all = NULL;
    const extract_row_key infinite = {UINT64_MAX, UINT64_MAX, UINT64_MAX};
    ws_err local = WS_NEW_ARRAY(mine, ranks);
    if (local == WS_OK)
        local = WS_NEW_ARRAY(all, ranks * ranks);
    ws_err error = ws_agree_all(comm, local);
    for (size_t r = 0; error == WS_OK && r < ranks; r++)
        mine[r] = count > 0 ? extract_row_key_of(&rows[r * count / ranks]) : infinite;
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

/* What goes to each rank: those below its upper splitter. parts: [ranks] */
static void cut_rows(const ws_flow *rows, size_t count, const extract_row_key *splitters, int ranks,
                     extract_rows_part *parts)
{
    int r = 0;
    for (size_t i = 0; i < count; i++) {
        extract_row_key key = extract_row_key_of(&rows[i]);
        while (r < ranks - 1 && extract_row_keys_compare(&key, &splitters[r]) >= 0)
            r++;
        parts[r].count++;
        parts[r].packet_count += rows[i].packet_count;
        parts[r].slot_bytes += rows[i].slot_bytes;
    }
}

static void lend_rows(extraction *x, const extract_rows_part *parts)
{
    extract_rows_part at = {0};
    for (int r = 0; r < x->comm->size; r++) {
        const size_t flow_bytes = parts[r].count * sizeof(ws_flow),
                     packet_bytes = parts[r].packet_count * sizeof(ws_flow_packet);
        if (r != x->comm->rank) {
            ws_parcels_lend(x->rows.flows, r, at.count * sizeof(ws_flow), flow_bytes);
            ws_parcels_lend(x->rows.packets, r, at.packet_count * sizeof(ws_flow_packet), packet_bytes);
            if (x->rows.slots != NULL)
                ws_parcels_lend(x->rows.slots, r, at.slot_bytes, parts[r].slot_bytes);
            x->exchanged_bytes += flow_bytes + packet_bytes + parts[r].slot_bytes;
        }
        at.count += parts[r].count;
        at.packet_count += parts[r].packet_count;
        at.slot_bytes += parts[r].slot_bytes;
    }
}

static ws_err send_rows_all(extraction *x)
{
    ws_parcels *const parcels[] = {x->rows.flows, x->rows.packets, x->rows.slots};
    const size_t count = x->rows.slots != NULL ? 3 : 2;
    for (size_t i = 0; i < count; i++)
        WS_TRY(ws_parcels_send_all(parcels[i]));
    for (size_t i = 0; i < count; i++)
        WS_TRY(ws_parcels_arrive(parcels[i]));
    return WS_OK;
}

/* ---------------------------------------------------------------- merging */
/* Of one rank's rows those that are still to come. */
typedef struct row_run {
    const ws_flow *flow, *end;
    const ws_flow_packet *packet, *packet_end; /* of `flow`, and behind those of all */
    const uint8_t *slots, *slots_end;
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

static row_run run_from(const extraction *x, int rank)
{
    const ws_arrived_parcel *flows = &x->rows.flows->in[rank], *packets = &x->rows.packets->in[rank];
    row_run run = {.flow = (const ws_flow *)(const void *)flows->bytes,
                   .packet = (const ws_flow_packet *)(const void *)packets->bytes,
                   .slots = x->rows.slots != NULL ? x->rows.slots->in[rank].bytes : NULL};
    run.end = run.flow + flows->count / sizeof *run.flow;
    run.packet_end = run.packet + packets->count / sizeof *run.packet;
    run.slots_end = run.slots != NULL ? run.slots + x->rows.slots->in[rank].count : NULL;
    return run;
}

static void skip(row_run *run, const extract_rows_part *part)
{
    run->flow += part->count;
    run->packet += part->packet_count;
    if (run->slots != NULL)
        run->slots += part->slot_bytes;
}

/* This rank's own rows are among all that it had. Returns how many ranks have any. */
static size_t list_runs(const extraction *x, const extract_rows_part *parts, row_run *runs)
{
    const int own = x->comm->rank;
    size_t count = 0;
    for (int r = 0; r < x->comm->size; r++) {
        row_run run = run_from(x, r);
        for (int before = 0; r == own && before < own; before++)
            skip(&run, &parts[before]);
        if (r == own) {
            run.end = run.flow + parts[own].count;
            run.packet_end = run.packet + parts[own].packet_count;
            run.slots_end = run.slots != NULL ? run.slots + parts[own].slot_bytes : NULL;
        }
        if (run.flow < run.end)
            runs[count++] = run;
    }
    for (size_t at = count / 2; at-- > 0;)
        sink(runs, count, at);
    return count;
}

static ws_err merge_runs(row_run *runs, size_t count, ws_row_source *out)
{
    while (count > 0) {
        row_run *run = &runs[0];
        const ws_flow *flow = run->flow;
        WS_CHECK(flow->packet_count <= (size_t)(run->packet_end - run->packet) &&
                     flow->slot_bytes <= (size_t)(run->slots_end - run->slots),
                 INTERNAL, "rows came with fewer packets or bytes than they have (row of %u packets)",
                 flow->packet_count);
        *out++ = (ws_row_source){flow, run->packet, run->slots};
        skip(run, &(extract_rows_part){1, flow->packet_count, flow->slot_bytes});
        if (run->flow == run->end)
            *run = runs[--count];
        sink(runs, count, 0);
    }
    return WS_OK;
}

static ws_err merge_rows(extraction *x, const extract_rows_part *parts)
{
    extract_sorter *sorter = x->sorter;
    row_run *runs = NULL;
    WS_TRY(WS_NEW_ARRAY(runs, (size_t)x->comm->size));
    const size_t run_count = list_runs(x, parts, runs);
    sorter->count = 0;
    for (size_t i = 0; i < run_count; i++)
        sorter->count += (size_t)(runs[i].end - runs[i].flow);
    ws_err error = WS_GROW(sorter->sorted, sorter->capacity, sorter->count);
    if (error == WS_OK)
        error = merge_runs(runs, run_count, sorter->sorted);
    free(runs);
    return error;
}

/* What was not sorted waits on, among what is put together next. */
static ws_err keep_behind(const extraction *x, const extract_rows_part *own)
{
    const int rank = x->comm->rank;
    const size_t behind[] = {own->count * sizeof(ws_flow), own->packet_count * sizeof(ws_flow_packet), own->slot_bytes};
    ws_parcels *const parcels[] = {x->rows.flows, x->rows.packets, x->rows.slots};
    for (size_t i = 0; i < 3 && parcels[i] != NULL; i++) {
        const ws_arrived_parcel *all = &parcels[i]->in[rank];
        WS_TRY(ws_parcel_put(&parcels[i]->out[rank], all->bytes + behind[i], all->count - behind[i]));
    }
    return WS_OK;
}

/* `splitters` and `parts` are room for what is named so. */
static ws_err sort_all(extraction *x, const extract_rows_part *own, extract_row_key *splitters,
                       extract_rows_part *parts)
{
    const ws_comm *comm = x->comm;
    const ws_flow *rows = (const ws_flow *)(const void *)x->rows.flows->out[comm->rank].bytes;
    WS_TRY(choose_splitters_all(comm, rows, own->count, splitters));
    cut_rows(rows, own->count, splitters, comm->size, parts);
    lend_rows(x, parts);
    WS_TRY(send_rows_all(x));
    ws_err local = merge_rows(x, parts);
    if (local == WS_OK)
        local = keep_behind(x, own);
    WS_AGREE(comm, local);
    return WS_OK;
}

ws_err extract_rows_sort_all(extraction *x, const extract_rows_part *own, const ws_row_source **out, size_t *count)
{
    extract_row_key *splitters = NULL;
    extract_rows_part *parts = NULL;
    const size_t ranks = (size_t)x->comm->size;
    ws_err error = x->sorter == NULL ? WS_NEW(x->sorter) : WS_OK;
    if (error == WS_OK)
        error = WS_NEW_ARRAY(splitters, ranks);
    if (error == WS_OK)
        error = WS_NEW_ARRAY(parts, ranks);
    error = ws_agree_all(x->comm, error);
    if (error == WS_OK)
        error = sort_all(x, own, splitters, parts);
    free(splitters);
    free(parts);
    WS_TRY(error);
    *out = x->sorter->sorted;
    *count = x->sorter->count;
    return WS_OK;
}

void extract_sorter_destroy(extract_sorter **sorter)
{
    if (*sorter == NULL)
        return;
    free((*sorter)->sorted);
    free(*sorter);
    *sorter = NULL;
}
