/* Rows on their way to the store: those of all ranks are brought into one order (extract_sort.c), cut into contiguous blocks,
 * labelled and written.
 */
#include "dataset/extract_append.h"

#include <stdlib.h>

/* Waiting bytes of a rank from which a write pays: less, and the collective calls cost more than what they write; more, and rows
 * have left the caches on their way. Alone, a rank has no one to wait for. */
enum { WRITE_BYTES = 4 << 20, WRITE_BYTES_ALONE = 2 << 20 };

ws_err extract_rows_open_all(extraction *x)
{
    enum { MOST_BYTES = 2 * WRITE_BYTES }; /* a row with more travels */
    WS_TRY(ws_parcels_create_all(&x->rows.flows, x->comm, MOST_BYTES));
    WS_TRY(ws_parcels_create_all(&x->rows.packets, x->comm, MOST_BYTES));
    if (x->slot_size > 0)
        WS_TRY(ws_parcels_create_all(&x->rows.slots, x->comm, MOST_BYTES));
    return WS_OK;
}

void extract_rows_destroy(extract_rows *rows)
{
    ws_parcels_destroy(&rows->flows);
    ws_parcels_destroy(&rows->packets);
    ws_parcels_destroy(&rows->slots);
}

static ws_parcel *own_parcel(const extraction *x, const ws_parcels *parcels)
{
    return &parcels->out[x->comm->rank];
}

/* The first row that waits; row_count(x) of them. */
static const ws_flow *first_row(const extraction *x)
{
    return (const ws_flow *)(const void *)own_parcel(x, x->rows.flows)->bytes;
}

static size_t row_count(const extraction *x)
{
    return own_parcel(x, x->rows.flows)->count / sizeof(ws_flow);
}

static uint64_t waiting_bytes(const extraction *x)
{
    return own_parcel(x, x->rows.flows)->count + own_parcel(x, x->rows.packets)->count +
           (x->slot_size > 0 ? own_parcel(x, x->rows.slots)->count : 0);
}

static ws_err add_row(extraction *x, const ws_flow *flow)
{
    ws_parcel *flows = own_parcel(x, x->rows.flows), *packets = own_parcel(x, x->rows.packets);
    const size_t packet_bytes = flow->packet_count * sizeof *flow->stored;
    WS_TRY(ws_parcel_reserve(flows, sizeof *flow));
    WS_TRY(ws_parcel_reserve(packets, packet_bytes));
    if (x->slot_size > 0)
        WS_TRY(ws_parcel_put(own_parcel(x, x->rows.slots), flow->slots, flow->slot_bytes));
    ws_flow *row = (ws_flow *)(void *)(flows->bytes + flows->count);
    *row = *flow;
    row->stored = NULL;
    row->slots = NULL;
    flows->count += sizeof *row;
    WS_TRY(ws_parcel_put(packets, flow->stored, packet_bytes));
    return WS_OK;
}

/* ---------------------------------------------------------------- labels, counts, the store */
static ws_err label_rows(extraction *x, const ws_row_source *rows, size_t count, int32_t **out, uint8_t **attempted)
{
    *out = NULL;
    *attempted = NULL;
    size_t levels = 0;
    if (ws_labels_levels(x->labels, &levels) == NULL || levels == 0)
        return WS_OK;
    WS_CHECK(levels <= WS_LABEL_LEVELS_MAX, INTERNAL, "%zu label levels", levels);
    int32_t classes[WS_LABEL_LEVELS_MAX];
    WS_TRY(WS_NEW_ARRAY(*out, levels * count));
    WS_TRY(WS_NEW_ARRAY(*attempted, count));
    for (size_t i = 0; i < count; i++) {
        ws_labels_find(x->labels, rows[i].flow, classes, &(*attempted)[i]);
        bool labelled = false; /* a line may speak of a flow and give it no class */
        for (size_t level = 0; level < levels; level++) {
            const bool renumbered = x->append != NULL && classes[level] >= 0;
            (*out)[level * count + i] = renumbered ? x->append->written[level][classes[level]] : classes[level];
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
static void count_rows(extraction *x, const ws_row_source *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const extract_group *group = &x->groups[rows[i].flow->input];
        if (x->options->reservoir == 0)
            extract_count_flow(x, rows[i].flow);
        x->inputs[group->first].counts.stored_packets += rows[i].flow->packet_count;
    }
    x->rows_written += count;
}

/* The tables beside flow20; one after the other in a row. */
static ws_err make_features(const extraction *x, const ws_row_source *rows, size_t count, float **out)
{
    size_t columns = 0;
    *out = NULL;
    for (size_t t = 0; t < x->feature_count; t++)
        columns += x->features[t]->table.columns;
    if (columns == 0)
        return WS_OK;
    WS_TRY(WS_NEW_ARRAY(*out, columns * count));
    float *values = *out;
    for (size_t i = 0; i < count; i++)
        for (size_t t = 0; t < x->feature_count; values += x->features[t++]->table.columns)
            x->features[t]->make(rows[i].flow, rows[i].packets, values);
    return WS_OK;
}

static ws_err write_rows_all(extraction *x, const extract_rows_part *own)
{
    const ws_extract_phase before = extract_enter(x, WS_EXTRACT_PHASE_exchange);
    const ws_row_source *rows;
    size_t count;
    WS_TRY(extract_rows_sort_all(x, own, &rows, &count));
    extract_enter(x, WS_EXTRACT_PHASE_rows);
    int32_t *labels = NULL;
    uint8_t *attempted = NULL;
    count_rows(x, rows, count);
    float *features = NULL;
    ws_err error = label_rows(x, rows, count, &labels, &attempted);
    if (error == WS_OK)
        error = make_features(x, rows, count, &features);
    error = ws_agree_all(x->comm, error);
    const ws_store_block block = {
        .rows = rows, .count = count, .labels = labels, .attempted = attempted, .features = features};
    const double writing = ws_store_writer_seconds(x->writer);
    if (error == WS_OK)
        error = ws_store_writer_append_all(x->writer, &block);
    free(labels);
    free(attempted);
    free(features);
    extract_enter(x, before);
    const double written = ws_store_writer_seconds(x->writer) - writing;
    x->phase_seconds[WS_EXTRACT_PHASE_rows] -= written;
    x->phase_seconds[WS_EXTRACT_PHASE_write] += written;
    return error == WS_OK ? WS_OK : ws_error_pass(error, __FILE__, __LINE__, __func__);
}

/* ---------------------------------------------------------------- in steps */
/* What a rank says at a step. */
typedef struct step_word {
    extract_row_key last; /* of its rows, where it has any; it adds none before that */
    uint64_t has_rows;
    uint64_t is_done; /* it adds none before this round is over */
    uint64_t holds;   /* rows of its spilled flows come at the end of the input only, and before those of other ranks */
    uint64_t has_file; /* of rows behind those in memory */
} step_word;

static extract_rows_part rows_up_to(const extraction *x, const extract_row_key *cut)
{
    extract_rows_part part = {0};
    const ws_flow *rows = first_row(x);
    for (const size_t count = row_count(x); part.count < count; part.count++) {
        const extract_row_key key = extract_row_key_of(&rows[part.count]);
        if (extract_row_keys_compare(&key, cut) > 0)
            break;
        part.packet_count += rows[part.count].packet_count;
        part.slot_bytes += rows[part.count].slot_bytes;
    }
    return part;
}

/* *cut: no rank adds a row before it. *all_done: it lies behind all rows. *any: some rank has a row. */
static ws_err find_cut_all(extraction *x, ws_err local, bool is_done, extract_row_key *cut, bool *all_done, bool *any)
{
    const size_t ranks = (size_t)x->comm->size;
    const size_t count = row_count(x);
    step_word *words = NULL, mine = {.has_rows = count > 0,
                                     .is_done = is_done,
                                     .holds = extract_spill_holds_rows(x),
                                     .has_file = x->overflow.bytes > 0};
    if (count > 0)
        mine.last = extract_row_key_of(&first_row(x)[count - 1]);
    WS_AGREE(x->comm, local == WS_OK ? WS_NEW_ARRAY(words, ranks) : local);
    ws_err error = ws_gather_equal_all(x->comm, &mine, sizeof mine, words);
    *cut = (extract_row_key){UINT64_MAX, UINT64_MAX, UINT64_MAX};
    *all_done = true;
    *any = false;
    x->rows_held = x->rows_in_files = false;
    for (size_t r = 0; error == WS_OK && r < ranks; r++) {
        *all_done = *all_done && words[r].is_done;
        *any = *any || words[r].has_rows;
        x->rows_held = x->rows_held || words[r].holds;
        x->rows_in_files = x->rows_in_files || words[r].has_file;
        if (!words[r].is_done && extract_row_keys_compare(&words[r].last, cut) < 0)
            *cut = words[r].last;
    }
    free(words);
    return error;
}

/* Writes what comes before all rows that are still to come. *all_done: no rank has more in this round; then nothing is written but
 * at the end of all. */
static ws_err step_all(extraction *x, bool is_done, bool at_end, bool *all_done)
{
    extract_row_key cut;
    bool any = false;
    const ws_extract_phase before = extract_enter(x, WS_EXTRACT_PHASE_write);
    const ws_err pushed = ws_store_writer_push(x->writer);
    extract_enter(x, before);
    WS_TRY(find_cut_all(x, pushed, is_done, &cut, all_done, &any));
    if (!any || x->rows_held || (*all_done && !at_end))
        return WS_OK;
    const extract_rows_part part = rows_up_to(x, &cut);
    WS_TRY(write_rows_all(x, &part));
    return WS_OK;
}

static uint64_t most_waiting(const extraction *x)
{
    const uint64_t most = x->comm->size > 1 ? (uint64_t)WRITE_BYTES : (uint64_t)WRITE_BYTES_ALONE;
    return x->rows_bytes > 0 && x->rows_bytes < most ? x->rows_bytes : most;
}

ws_err extract_rows_add(extraction *x, const ws_flow *flow)
{
    if (x->overflow.bytes > 0 || (x->rows_held && waiting_bytes(x) >= most_waiting(x))) {
        WS_TRY(extract_file_open(&x->overflow, x->options->output));
        WS_TRY(extract_file_write_row(&x->overflow, flow));
        return WS_OK;
    }
    WS_TRY(add_row(x, flow));
    while (waiting_bytes(x) >= most_waiting(x) && !x->rows_held) {
        bool all_done;
        ws_err error = step_all(x, false, false, &all_done);
        x->failed_together = error != WS_OK;
        WS_TRY(error);
    }
    return WS_OK;
}

/* Ranks that add no more meet those that still do. */
static ws_err meet_all(extraction *x, ws_err added)
{
    if (x->failed_together)
        return added;
    WS_TRY(added == WS_OK ? WS_OK : ws_agree_all(x->comm, added)); /* the others hear of it at their next step */
    for (bool all_done = false; !all_done;)
        WS_TRY(step_all(x, true, false, &all_done));
    return WS_OK;
}

static ws_err read_back(extraction *x)
{
    extract_file file = x->overflow;
    extract_reader reader = {0};
    ws_flow_packet *packets = NULL;
    ws_flow flow;
    ws_err error = WS_OK;
    memset(&x->overflow, 0, sizeof x->overflow);
    WS_TRY_GOTO(done, WS_NEW_ARRAY(packets, extract_row_room(x)));
    WS_TRY_GOTO(done, extract_reader_open(&reader, &file, 0, file.bytes));
    while (extract_reader_more(&reader)) {
        WS_TRY_GOTO(done, extract_reader_read_row(&reader, &flow, packets));
        WS_TRY_GOTO(done, extract_rows_add(x, &flow));
    }
done:
    extract_reader_close(&reader);
    extract_file_close(&file);
    free(packets);
    return error;
}

ws_err extract_rows_settle_all(extraction *x, ws_err added, bool at_end)
{
    bool all_done;
    if (x->rows.flows == NULL) { /* tables are written batch by batch */
        WS_AGREE(x->comm, added);
        return WS_OK;
    }
    WS_TRY(meet_all(x, added));
    if (x->rows_in_files && !x->rows_held)
        WS_TRY(meet_all(x, read_back(x)));
    if (at_end)
        WS_TRY(step_all(x, true, true, &all_done));
    return WS_OK;
}
