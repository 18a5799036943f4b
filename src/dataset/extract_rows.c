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

ws_err extract_rows_add(extract_rows *rows, const ws_flow *flow)
{
    WS_TRY(WS_GROW(rows->flows, rows->capacity, rows->count + 1));
    WS_TRY(WS_GROW(rows->packets, rows->packet_capacity, rows->packet_count + flow->packet_count));
    rows->flows[rows->count] = *flow;
    rows->flows[rows->count++].stored = NULL;
    memcpy(rows->packets + rows->packet_count, flow->stored, flow->packet_count * sizeof *rows->packets);
    rows->packet_count += flow->packet_count;
    return WS_OK;
}

void extract_rows_destroy(extract_rows *rows)
{
    free(rows->flows);
    free(rows->packets);
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

/* Rows and packets for each rank: what lies below its upper splitter. */
static void count_for_ranks(const extract_rows *rows, const row_key *splitters, int ranks, size_t *flows,
                            size_t *packets)
{
    int r = 0;
    for (size_t i = 0; i < rows->count; i++) {
        row_key key = key_of(&rows->flows[i]);
        while (r < ranks - 1 && compare_keys(&key, &splitters[r]) >= 0)
            r++;
        flows[r]++;
        packets[r] += rows->flows[i].packet_count;
    }
}

typedef struct row_place {
    row_key key;
    size_t flow, packet; /* where it lies in what was received */
} row_place;

/* Brings received rows (runs in order, one a rank) into order. */
static ws_err merge_rows(extract_rows *rows)
{
    row_place *places = NULL;
    extract_rows sorted = {0};
    ws_err error = WS_OK;
    WS_TRY_GOTO(done, WS_NEW_ARRAY(places, rows->count));
    size_t packet = 0;
    for (size_t i = 0; i < rows->count; i++) {
        places[i] = (row_place){key_of(&rows->flows[i]), i, packet};
        packet += rows->flows[i].packet_count;
    }
    WS_CHECK_GOTO(done, packet == rows->packet_count, INTERNAL, "%zu packets came with rows that have %zu",
                  rows->packet_count, packet);
    qsort(places, rows->count, sizeof *places, compare_keys); /* the key is the place's first member */
    WS_TRY_GOTO(done, WS_GROW(sorted.flows, sorted.capacity, rows->count));
    WS_TRY_GOTO(done, WS_GROW(sorted.packets, sorted.packet_capacity, packet));
    for (size_t i = 0; i < rows->count; i++) {
        const ws_flow *flow = &rows->flows[places[i].flow];
        sorted.flows[sorted.count++] = *flow;
        memcpy(sorted.packets + sorted.packet_count, rows->packets + places[i].packet,
               flow->packet_count * sizeof *sorted.packets);
        sorted.packet_count += flow->packet_count;
    }
    extract_rows_destroy(rows);
    *rows = sorted;
    memset(&sorted, 0, sizeof sorted);
done:
    extract_rows_destroy(&sorted);
    free(places);
    return error;
}

static ws_err send_rows_all(const ws_comm *comm, extract_rows *rows, const size_t *flow_counts,
                            const size_t *packet_counts, size_t *received_counts)
{
    extract_rows received = {0};
    ws_err error =
        ws_exchange_all(comm, rows->flows, flow_counts, sizeof *rows->flows, (void **)&received.flows, received_counts);
    for (int r = 0; error == WS_OK && r < comm->size; r++)
        received.count += received_counts[r];
    if (error == WS_OK)
        error = ws_exchange_all(comm, rows->packets, packet_counts, sizeof *rows->packets, (void **)&received.packets,
                                received_counts);
    for (int r = 0; error == WS_OK && r < comm->size; r++)
        received.packet_count += received_counts[r];
    received.capacity = received.count;
    received.packet_capacity = received.packet_count;
    extract_rows_destroy(rows);
    *rows = received;
    return error;
}

static ws_err sort_rows_all(const ws_comm *comm, extract_rows *rows)
{
    if (comm->size == 1)
        return WS_OK;
    row_key *splitters = NULL;
    size_t *counts = NULL;
    const size_t ranks = (size_t)comm->size;
    ws_err local = WS_NEW_ARRAY(splitters, ranks);
    if (local == WS_OK)
        local = WS_NEW_ARRAY(counts, 3 * ranks);
    ws_err error = ws_agree_all(comm, local);
    if (error == WS_OK)
        error = choose_splitters_all(comm, rows, splitters);
    if (error == WS_OK) {
        count_for_ranks(rows, splitters, comm->size, counts, counts + ranks);
        error = send_rows_all(comm, rows, counts, counts + ranks, counts + 2 * ranks);
    }
    if (error == WS_OK)
        error = ws_agree_all(comm, merge_rows(rows));
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
    extract_counts *counts = &x->inputs[flow->input].counts;
    counts->flows++;
    counts->flow_packets += flow->packets[0] + flow->packets[1];
    counts->flow_ip += flow->bytes[0] + flow->bytes[1];
}

/* With a reservoir flows were counted as they came to it. */
static void count_rows(extraction *x, const extract_rows *rows)
{
    for (size_t i = 0; i < rows->count; i++) {
        if (x->options->reservoir == 0)
            extract_count_flow(x, &rows->flows[i]);
        x->inputs[rows->flows[i].input].counts.stored_packets += rows->flows[i].packet_count;
    }
    x->rows_written += rows->count;
}

ws_err extract_rows_write_all(extraction *x, bool all)
{
    const uint64_t enough = x->comm->size > 1 ? (uint64_t)WRITE_BYTES * (uint64_t)x->comm->size : WRITE_BYTES_ALONE;
    uint64_t waiting[2] = {x->rows.count,
                           x->rows.count * sizeof *x->rows.flows + x->rows.packet_count * sizeof *x->rows.packets};
    WS_TRY(ws_sum_u64_all(x->comm, waiting, 2));
    if (waiting[0] == 0 || (!all && waiting[1] < enough))
        return WS_OK;
    const ws_extract_phase before = extract_enter(x, WS_EXTRACT_PHASE_exchange);
    WS_TRY(sort_rows_all(x->comm, &x->rows));
    extract_enter(x, WS_EXTRACT_PHASE_rows);
    int32_t *labels = NULL;
    uint8_t *attempted = NULL;
    count_rows(x, &x->rows);
    ws_err error = ws_agree_all(x->comm, label_rows(x, &x->rows, &labels, &attempted));
    ws_store_block block = {.flows = x->rows.flows,
                            .packets = x->rows.packets,
                            .count = x->rows.count,
                            .labels = labels,
                            .attempted = attempted};
    const double writing = ws_store_writer_seconds(x->writer);
    if (error == WS_OK)
        error = ws_store_writer_append_all(x->writer, &block);
    free(labels);
    free(attempted);
    x->rows.count = x->rows.packet_count = 0;
    extract_enter(x, before);
    const double written = ws_store_writer_seconds(x->writer) - writing;
    x->phase_seconds[WS_EXTRACT_PHASE_rows] -= written;
    x->phase_seconds[WS_EXTRACT_PHASE_write] += written;
    return error == WS_OK ? WS_OK : ws_error_pass(error, __FILE__, __LINE__, __func__);
}
