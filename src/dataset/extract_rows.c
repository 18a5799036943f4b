/* Rows on their way to the store: those of all ranks are brought into one order (input, point where the flow left,
 * number of its first packet), cut into contiguous blocks, labelled and written.
 *
 * Sorting by regular samples (Shi and Schaeffer, 1992): each rank's rows are in order already, so a few of them a rank
 * give splitters, each rank sends the rows between two splitters to one rank, and that one merges. Where the splitters
 * fall depends on the ranks; the order of all rows does not, since no two rows have the same key.
 */
#include "dataset/extract.h"

#include <stdlib.h>

/* Waiting bytes a rank, on average over the ranks, from which a write pays. Alone, a rank has no one to wait for, and gains by
 * what stays in its cache. */
enum { WRITE_BYTES = 48 << 20, WRITE_BYTES_ALONE = 2 << 20 };

typedef struct row_key {
    uint64_t input, left_at, first_ordinal;
} row_key;

static row_key key_of(const ws_flow *flow)
{
    return (row_key){flow->input, flow->left_at, flow->first_ordinal};
}

static int compare_keys(const void *a, const void *b)
{
    const row_key *x = a, *y = b;
    if (x->input != y->input)
        return x->input < y->input ? -1 : 1;
    if (x->left_at != y->left_at)
        return x->left_at < y->left_at ? -1 : 1;
    return x->first_ordinal < y->first_ordinal ? -1 : x->first_ordinal > y->first_ordinal;
}

static uint64_t bytes_of(const extract_rows *rows)
{
    return rows->count * sizeof *rows->flows + rows->packet_count * sizeof *rows->packets + rows->slot_bytes;
}

static ws_err add_row(extract_rows *rows, const ws_flow *flow)
{
    WS_TRY(WS_GROW(rows->flows, rows->capacity, rows->count + 1));
    WS_TRY(WS_GROW(rows->packets, rows->packet_capacity, rows->packet_count + flow->packet_count));
    WS_TRY(WS_GROW(rows->slots, rows->slot_capacity, rows->slot_bytes + flow->slot_bytes));
    rows->flows[rows->count] = *flow;
    rows->flows[rows->count].slots = NULL;
    rows->flows[rows->count++].stored = NULL;
    if (flow->packet_count > 0)
        memcpy(rows->packets + rows->packet_count, flow->stored, flow->packet_count * sizeof *rows->packets);
    rows->packet_count += flow->packet_count;
    if (flow->slot_bytes > 0)
        memcpy(rows->slots + rows->slot_bytes, flow->slots, flow->slot_bytes);
    rows->slot_bytes += flow->slot_bytes;
    return WS_OK;
}

ws_err extract_rows_add(extraction *x, const ws_flow *flow)
{
    extract_rows *rows = &x->rows;
    if (x->rows_bytes == 0 || (x->overflow.bytes == 0 && bytes_of(rows) < x->rows_bytes)) {
        WS_TRY(add_row(rows, flow));
        return WS_OK;
    }
    WS_TRY(extract_file_open(&x->overflow, x->options->output));
    WS_TRY(extract_file_write_row(&x->overflow, flow));
    return WS_OK;
}

void extract_rows_destroy(extract_rows *rows)
{
    free(rows->flows);
    free(rows->packets);
    free(rows->slots);
    memset(rows, 0, sizeof *rows);
}

/* ---------------------------------------------------------------- sorting over ranks */
/* splitters[size - 1], the same on all ranks; fewer rows than ranks give equal or infinite ones. */
static ws_err choose_splitters_all(const ws_comm *comm, const extract_rows *rows, row_key *splitters)
{
    const size_t ranks = (size_t)comm->size;
    row_key *mine = NULL, *all = NULL;
    const row_key infinite = {UINT64_MAX, UINT64_MAX, UINT64_MAX};
    ws_err local = WS_NEW_ARRAY(mine, ranks);
    if (local == WS_OK)
        local = WS_NEW_ARRAY(all, ranks * ranks);
    ws_err error = ws_agree_all(comm, local);
    for (size_t r = 0; error == WS_OK && r < ranks; r++)
        mine[r] = rows->count > 0 ? key_of(&rows->flows[r * rows->count / ranks]) : infinite;
    if (error == WS_OK)
        error = ws_gather_equal_all(comm, mine, ranks * sizeof *mine, all);
    if (error == WS_OK) {
        qsort(all, ranks * ranks, sizeof *all, compare_keys);
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
static void count_for_ranks(const extract_rows *rows, const row_key *splitters, int ranks, row_counts counts)
{
    int r = 0;
    for (size_t i = 0; i < rows->count; i++) {
        row_key key = key_of(&rows->flows[i]);
        while (r < ranks - 1 && compare_keys(&key, &splitters[r]) >= 0)
            r++;
        counts.flows[r]++;
        counts.packets[r] += rows->flows[i].packet_count;
        counts.slots[r] += rows->flows[i].slot_bytes;
    }
}

/* What came from one rank, in order. */
typedef struct row_run {
    row_key key; /* of its next row */
    size_t flow, flow_end, packet, slot;
} row_run;

/* The run at `at` sinks below those that come first; heap[0] is the first of all. */
static void sink(row_run *heap, size_t count, size_t at)
{
    for (;;) {
        size_t least = at, child = 2 * at + 1;
        for (size_t c = child; c < count && c <= child + 1; c++)
            if (compare_keys(&heap[c].key, &heap[least].key) < 0)
                least = c;
        if (least == at)
            return;
        const row_run moved = heap[at];
        heap[at] = heap[least];
        heap[least] = moved;
        at = least;
    }
}

/* *out: how many ranks sent anything. */
static ws_err list_runs(const extract_rows *rows, int ranks, row_counts received, row_run **runs, size_t *out)
{
    size_t flow = 0, packet = 0, slot = 0;
    *out = 0;
    WS_TRY(WS_NEW_ARRAY(*runs, (size_t)ranks));
    for (int r = 0; r < ranks; r++) {
        if (received.flows[r] > 0)
            (*runs)[(*out)++] = (row_run){key_of(&rows->flows[flow]), flow, flow + received.flows[r], packet, slot};
        flow += received.flows[r];
        packet += received.packets[r];
        slot += received.slots[r];
    }
    for (size_t at = *out / 2; at-- > 0;)
        sink(*runs, *out, at);
    return WS_OK;
}

/* Brings received rows (runs in order, one a rank) into order. */
static ws_err merge_rows(extract_rows *rows, int ranks, row_counts received)
{
    row_run *runs = NULL;
    size_t count = 0;
    extract_rows sorted = {0};
    ws_err error = WS_OK;
    WS_TRY_GOTO(done, list_runs(rows, ranks, received, &runs, &count));
    if (count <= 1)
        goto done;
    WS_TRY_GOTO(done, WS_GROW(sorted.flows, sorted.capacity, rows->count));
    WS_TRY_GOTO(done, WS_GROW(sorted.packets, sorted.packet_capacity, rows->packet_count));
    WS_TRY_GOTO(done, WS_GROW(sorted.slots, sorted.slot_capacity, rows->slot_bytes));
    while (count > 0) {
        row_run *run = &runs[0];
        const ws_flow *flow = &rows->flows[run->flow++];
        WS_CHECK_GOTO(done,
                      run->packet + flow->packet_count <= rows->packet_count &&
                          run->slot + flow->slot_bytes <= rows->slot_bytes,
                      INTERNAL, "%zu packets came with rows that have more", rows->packet_count);
        sorted.flows[sorted.count++] = *flow;
        if (flow->packet_count > 0)
            memcpy(sorted.packets + sorted.packet_count, rows->packets + run->packet,
                   flow->packet_count * sizeof *sorted.packets);
        sorted.packet_count += flow->packet_count;
        run->packet += flow->packet_count;
        if (flow->slot_bytes > 0)
            memcpy(sorted.slots + sorted.slot_bytes, rows->slots + run->slot, flow->slot_bytes);
        sorted.slot_bytes += flow->slot_bytes;
        run->slot += flow->slot_bytes;
        if (run->flow < run->flow_end)
            run->key = key_of(&rows->flows[run->flow]);
        else
            *run = runs[--count];
        sink(runs, count, 0);
    }
    WS_CHECK_GOTO(done, sorted.packet_count == rows->packet_count, INTERNAL, "%zu packets came with rows that have %zu",
                  rows->packet_count, sorted.packet_count);
    extract_rows_destroy(rows);
    *rows = sorted;
    memset(&sorted, 0, sizeof sorted);
done:
    extract_rows_destroy(&sorted);
    free(runs);
    return error;
}

static ws_err send_rows_all(extraction *x, extract_rows *rows, row_counts sent, row_counts received)
{
    const ws_comm *comm = x->comm;
    extract_rows arrived = {0};
    ws_err error =
        ws_exchange_all(comm, rows->flows, sent.flows, sizeof *rows->flows, (void **)&arrived.flows, received.flows);
    if (error == WS_OK)
        error = ws_exchange_all(comm, rows->packets, sent.packets, sizeof *rows->packets, (void **)&arrived.packets,
                                received.packets);
    if (error == WS_OK && x->slot_size > 0)
        error = ws_exchange_all(comm, rows->slots, sent.slots, 1, (void **)&arrived.slots, received.slots);
    for (int r = 0; error == WS_OK && r < comm->size; r++) {
        arrived.count += received.flows[r];
        arrived.packet_count += received.packets[r];
        arrived.slot_bytes += received.slots[r];
        if (r != comm->rank)
            x->exchanged_bytes +=
                sent.flows[r] * sizeof *rows->flows + sent.packets[r] * sizeof *rows->packets + sent.slots[r];
    }
    arrived.capacity = arrived.count;
    arrived.packet_capacity = arrived.packet_count;
    arrived.slot_capacity = arrived.slot_bytes;
    extract_rows_destroy(rows);
    *rows = arrived;
    return error;
}

static ws_err sort_rows_all(extraction *x, extract_rows *rows)
{
    const ws_comm *comm = x->comm;
    if (comm->size == 1)
        return WS_OK;
    row_key *splitters = NULL;
    size_t *counts = NULL;
    const size_t ranks = (size_t)comm->size;
    ws_err local = WS_NEW_ARRAY(splitters, ranks);
    if (local == WS_OK)
        local = WS_NEW_ARRAY(counts, 6 * ranks);
    ws_err error = ws_agree_all(comm, local);
    if (error == WS_OK)
        error = choose_splitters_all(comm, rows, splitters);
    if (error == WS_OK) {
        const row_counts sent = {counts, counts + ranks, counts + 2 * ranks};
        const row_counts received = {counts + 3 * ranks, counts + 4 * ranks, counts + 5 * ranks};
        count_for_ranks(rows, splitters, comm->size, sent);
        error = send_rows_all(x, rows, sent, received);
        if (error == WS_OK)
            error = ws_agree_all(comm, merge_rows(rows, comm->size, received));
    }
    free(splitters);
    free(counts);
    return error;
}

/* ---------------------------------------------------------------- labels, counts, the store */
static ws_err label_rows(extraction *x, const extract_rows *rows, int32_t **out, uint8_t **attempted)
{
    *out = NULL;
    *attempted = NULL;
    size_t levels = 0;
    if (ws_labels_levels(x->labels, &levels) == NULL || levels == 0)
        return WS_OK;
    WS_CHECK(levels <= WS_LABEL_LEVELS_MAX, INTERNAL, "%zu label levels", levels);
    int32_t classes[WS_LABEL_LEVELS_MAX];
    WS_TRY(WS_NEW_ARRAY(*out, levels * rows->count));
    WS_TRY(WS_NEW_ARRAY(*attempted, rows->count));
    for (size_t i = 0; i < rows->count; i++) {
        ws_labels_find(x->labels, &rows->flows[i], classes, &(*attempted)[i]);
        bool labelled = false; /* a line may speak of a flow and give it no class */
        for (size_t level = 0; level < levels; level++) {
            (*out)[level * rows->count + i] = classes[level];
            labelled = labelled || classes[level] >= 0;
        }
        x->labelled += labelled;
    }
    return WS_OK;
}

void extract_count_flow(extraction *x, const ws_flow *flow)
{
    extract_counts *counts = &x->inputs[x->groups[flow->input].first].counts;
    counts->flows++;
    counts->flow_packets += flow->packets[0] + flow->packets[1];
    counts->flow_ip += flow->bytes[0] + flow->bytes[1];
}

/* With a reservoir flows were counted as they came to it. */
static void count_rows(extraction *x, const extract_rows *rows)
{
    for (size_t i = 0; i < rows->count; i++) {
        const extract_group *group = &x->groups[rows->flows[i].input];
        if (x->options->reservoir == 0)
            extract_count_flow(x, &rows->flows[i]);
        x->inputs[group->first].counts.stored_packets += rows->flows[i].packet_count;
    }
    x->rows_written += rows->count;
}

/* The tables beside flow20; one after the other in a row. */
static ws_err make_features(const extraction *x, const extract_rows *rows, float **out)
{
    size_t columns = 0;
    *out = NULL;
    for (size_t t = 0; t < x->feature_count; t++)
        columns += x->features[t]->table.columns;
    if (columns == 0)
        return WS_OK;
    WS_TRY(WS_NEW_ARRAY(*out, columns * rows->count));
    float *values = *out;
    const ws_flow_packet *packets = rows->packets;
    for (size_t i = 0; i < rows->count; packets += rows->flows[i++].packet_count)
        for (size_t t = 0; t < x->feature_count; values += x->features[t++]->table.columns)
            x->features[t]->make(&rows->flows[i], packets, values);
    return WS_OK;
}

/* Writes rows, which then are empty. */
static ws_err write_rows_all(extraction *x, extract_rows *rows)
{
    const ws_extract_phase before = extract_enter(x, WS_EXTRACT_PHASE_exchange);
    WS_TRY(sort_rows_all(x, rows));
    extract_enter(x, WS_EXTRACT_PHASE_rows);
    int32_t *labels = NULL;
    uint8_t *attempted = NULL;
    count_rows(x, rows);
    float *features = NULL;
    ws_err error = label_rows(x, rows, &labels, &attempted);
    if (error == WS_OK)
        error = make_features(x, rows, &features);
    error = ws_agree_all(x->comm, error);
    ws_store_block block = {.flows = rows->flows,
                            .packets = rows->packets,
                            .slots = rows->slots,
                            .count = rows->count,
                            .labels = labels,
                            .attempted = attempted,
                            .features = features};
    const double writing = ws_store_writer_seconds(x->writer);
    if (error == WS_OK)
        error = ws_store_writer_append_all(x->writer, &block);
    free(labels);
    free(attempted);
    free(features);
    rows->count = rows->packet_count = rows->slot_bytes = 0;
    extract_enter(x, before);
    const double written = ws_store_writer_seconds(x->writer) - writing;
    x->phase_seconds[WS_EXTRACT_PHASE_rows] -= written;
    x->phase_seconds[WS_EXTRACT_PHASE_write] += written;
    return error == WS_OK ? WS_OK : ws_error_pass(error, __FILE__, __LINE__, __func__);
}

/* ---------------------------------------------------------------- rows behind those in memory */
static const row_key last_key = {UINT64_MAX, UINT64_MAX, UINT64_MAX};

/* Up to which key no rank has a row left in its file. */
static ws_err lowest_cut_all(const ws_comm *comm, const row_key *mine, row_key *out)
{
    row_key *all = NULL;
    ws_err error = ws_agree_all(comm, WS_NEW_ARRAY(all, (size_t)comm->size));
    if (error == WS_OK)
        error = ws_gather_equal_all(comm, mine, sizeof *mine, all);
    *out = last_key;
    for (int r = 0; error == WS_OK && r < comm->size; r++)
        if (compare_keys(&all[r], out) < 0)
            *out = all[r];
    free(all);
    return error;
}

static ws_err refill(extract_rows *rows, uint64_t most_bytes, extract_reader *reader, ws_flow_packet *packets)
{
    while (bytes_of(rows) < most_bytes && extract_reader_more(reader)) {
        ws_flow flow;
        WS_TRY(extract_reader_read_row(reader, &flow, packets));
        WS_TRY(add_row(rows, &flow));
    }
    return WS_OK;
}

/* Moves the rows up to `cut` to `part`. */
static ws_err split_rows(extract_rows *rows, const row_key *cut, extract_rows *part)
{
    size_t count = 0, packets = 0, slots = 0;
    for (; count < rows->count; count++) {
        row_key key = key_of(&rows->flows[count]);
        if (compare_keys(&key, cut) > 0)
            break;
        packets += rows->flows[count].packet_count;
        slots += rows->flows[count].slot_bytes;
    }
    WS_TRY(WS_GROW(part->flows, part->capacity, count + 1));
    WS_TRY(WS_GROW(part->packets, part->packet_capacity, packets + 1));
    WS_TRY(WS_GROW(part->slots, part->slot_capacity, slots));
    memcpy(part->flows, rows->flows, count * sizeof *rows->flows);
    memcpy(part->packets, rows->packets, packets * sizeof *rows->packets);
    part->count = count;
    part->packet_count = packets;
    part->slot_bytes = slots;
    rows->count -= count;
    rows->packet_count -= packets;
    rows->slot_bytes -= slots;
    memmove(rows->flows, rows->flows + count, rows->count * sizeof *rows->flows);
    memmove(rows->packets, rows->packets + packets, rows->packet_count * sizeof *rows->packets);
    if (slots > 0) {
        memcpy(part->slots, rows->slots, slots);
        memmove(rows->slots, rows->slots + slots, rows->slot_bytes);
    }
    return WS_OK;
}

/* Writes all rows, also those in files, in order: in each step those that come before what any rank has yet to read. */
static ws_err drain_all(extraction *x, extract_reader *reader, ws_flow_packet *packets)
{
    extract_rows *rows = &x->rows, part = {0};
    ws_err error = WS_OK;
    for (bool more = true; more && error == WS_OK;) {
        WS_TRY_GOTO(done, ws_agree_all(x->comm, refill(rows, x->rows_bytes, reader, packets)));
        const bool left = extract_reader_more(reader);
        const row_key mine = left ? key_of(&rows->flows[rows->count - 1]) : last_key;
        row_key cut;
        WS_TRY_GOTO(done, lowest_cut_all(x->comm, &mine, &cut));
        WS_TRY_GOTO(done, ws_any_all(x->comm, left, &more));
        WS_TRY_GOTO(done, ws_agree_all(x->comm, split_rows(rows, &cut, &part)));
        error = write_rows_all(x, &part);
    }
done:
    extract_rows_destroy(&part);
    return error;
}

static ws_err write_overflowing_all(extraction *x)
{
    extract_file *overflow = &x->overflow;
    extract_reader reader = {0};
    ws_flow_packet *packets = NULL;
    ws_err error = WS_NEW_ARRAY(packets, extract_row_room(x));
    if (error == WS_OK)
        error = extract_reader_open(&reader, overflow, 0, overflow->bytes);
    error = ws_agree_all(x->comm, error);
    if (error == WS_OK)
        error = drain_all(x, &reader, packets);
    extract_reader_close(&reader);
    extract_file_close(overflow);
    free(packets);
    return error;
}

ws_err extract_rows_write_all(extraction *x, bool all)
{
    uint64_t enough = x->comm->size > 1 ? (uint64_t)WRITE_BYTES : WRITE_BYTES_ALONE;
    if (x->rows_bytes > 0 && x->rows_bytes < enough)
        enough = x->rows_bytes;
    uint64_t waiting[4] = {x->rows.count, bytes_of(&x->rows), x->overflow.bytes, extract_spill_holds_rows(x)};
    WS_TRY(ws_sum_u64_all(x->comm, waiting, 4));
    if (waiting[3] > 0) /* other ranks have rows that come before these */
        return WS_OK;
    if (waiting[2] > 0)
        WS_TRY(write_overflowing_all(x));
    else if (waiting[0] > 0 && (all || waiting[1] >= enough * (uint64_t)x->comm->size))
        WS_TRY(write_rows_all(x, &x->rows));
    return WS_OK;
}
