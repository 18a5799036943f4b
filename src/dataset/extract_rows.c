/* Rows on their way to the store: those of all ranks are brought into one order (extract_sort.c), cut into contiguous blocks,
 * labelled and written.
 */
#include "dataset/extract_append.h"

#include <stdlib.h>

/* Waiting bytes of a rank from which a write pays: less, and the collective calls cost more than what they write; more, and rows
 * have left the caches on their way. Alone, a rank has no one to wait for. */
enum { WRITE_BYTES = 4 << 20, WRITE_BYTES_ALONE = 2 << 20 };

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

void extract_rows_destroy(extract_rows *rows)
{
    free(rows->flows);
    free(rows->packets);
    free(rows->slots);
    memset(rows, 0, sizeof *rows);
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
            const bool renumbered = x->append != NULL && classes[level] >= 0;
            (*out)[level * rows->count + i] = renumbered ? x->append->written[level][classes[level]] : classes[level];
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

static ws_err write_rows_all(extraction *x, const extract_rows *own)
{
    const ws_extract_phase before = extract_enter(x, WS_EXTRACT_PHASE_exchange);
    const extract_rows *rows;
    WS_TRY(extract_rows_sort_all(x, own, &rows));
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

/* The first rows, up to `cut`: a view. */
static extract_rows rows_up_to(const extract_rows *rows, const extract_row_key *cut)
{
    extract_rows part = *rows;
    part.count = part.packet_count = part.slot_bytes = 0;
    for (; part.count < rows->count; part.count++) {
        const ws_flow *flow = &rows->flows[part.count];
        const extract_row_key key = extract_row_key_of(flow);
        if (extract_row_keys_compare(&key, cut) > 0)
            break;
        part.packet_count += flow->packet_count;
        part.slot_bytes += flow->slot_bytes;
    }
    return part;
}

static void drop_first(extract_rows *rows, const extract_rows *part)
{
    rows->count -= part->count;
    rows->packet_count -= part->packet_count;
    rows->slot_bytes -= part->slot_bytes;
    if (rows->count > 0)
        memmove(rows->flows, rows->flows + part->count, rows->count * sizeof *rows->flows);
    if (rows->packet_count > 0)
        memmove(rows->packets, rows->packets + part->packet_count, rows->packet_count * sizeof *rows->packets);
    if (rows->slot_bytes > 0)
        memmove(rows->slots, rows->slots + part->slot_bytes, rows->slot_bytes);
}

/* *cut: no rank adds a row before it. *all_done: it lies behind all rows. *any: some rank has a row. */
static ws_err find_cut_all(extraction *x, ws_err local, bool is_done, extract_row_key *cut, bool *all_done, bool *any)
{
    const size_t ranks = (size_t)x->comm->size;
    const extract_rows *rows = &x->rows;
    step_word *words = NULL, mine = {.has_rows = rows->count > 0,
                                     .is_done = is_done,
                                     .holds = extract_spill_holds_rows(x),
                                     .has_file = x->overflow.bytes > 0};
    if (rows->count > 0)
        mine.last = extract_row_key_of(&rows->flows[rows->count - 1]);
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
    const extract_rows part = rows_up_to(&x->rows, &cut);
    WS_TRY(write_rows_all(x, &part));
    drop_first(&x->rows, &part);
    return WS_OK;
}

static uint64_t most_waiting(const extraction *x)
{
    const uint64_t most = x->comm->size > 1 ? (uint64_t)WRITE_BYTES : (uint64_t)WRITE_BYTES_ALONE;
    return x->rows_bytes > 0 && x->rows_bytes < most ? x->rows_bytes : most;
}

ws_err extract_rows_add(extraction *x, const ws_flow *flow)
{
    if (x->overflow.bytes > 0 || (x->rows_held && bytes_of(&x->rows) >= most_waiting(x))) {
        WS_TRY(extract_file_open(&x->overflow, x->options->output));
        WS_TRY(extract_file_write_row(&x->overflow, flow));
        return WS_OK;
    }
    WS_TRY(add_row(&x->rows, flow));
    while (bytes_of(&x->rows) >= most_waiting(x) && !x->rows_held) {
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
    WS_TRY(meet_all(x, added));
    if (x->rows_in_files && !x->rows_held)
        WS_TRY(meet_all(x, read_back(x)));
    if (at_end)
        WS_TRY(step_all(x, true, true, &all_done));
    return WS_OK;
}
