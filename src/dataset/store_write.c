/* store_write: a store, written by all ranks together. Rows are gathered until a window of them is worth the collective
 * calls (store_window.c). So the number of collective calls follows the amount of data, not the number of batches, and neither
 * windows nor ranks can be seen in the content. Does not know where flows come from.
 */
#include "dataset/store_writer.h"

#include <stdlib.h>
#include <unistd.h>

/* Of a rank; less than what an extraction brings in a batch: a batch that is a window by itself lies as it is to be written. */
enum { WINDOW_BYTES = 1 << 20 };

/* ---------------------------------------------------------------- opening */
static ws_err prepare(ws_store_writer *writer, const ws_store_writer_options *options)
{
    WS_CHECK(options->level_count <= WS_LABEL_LEVELS_MAX, ARGUMENT, "%zu label levels; at most %d are supported",
             options->level_count, WS_LABEL_LEVELS_MAX);
    writer->options = *options;
    writer->segment = options->segment;
    writer->path = ws_format("%s", options->path);
    WS_CHECK(writer->path != NULL, MEMORY, "no memory to write %s", options->path);
    writer->inputs = *options->inputs;
    writer->levels = options->levels;
    writer->level_count = options->level_count;
    WS_TRY(ws_store_summary_create(&writer->summary, writer->inputs.count, options->level_count));
    writer->window_bytes = options->window_bytes;
    if (writer->window_bytes == 0)
        writer->window_bytes = WINDOW_BYTES;
    WS_TRY(ws_row_maker_create(&writer->maker, options->endpoints, options->key_file));
    WS_TRY(ws_dense_ids_create(&writer->sessions, writer->path, options->id_bytes));
    WS_TRY(ws_dense_ids_create(&writer->hosts, writer->path, options->id_bytes));
    WS_TRY(ws_store_columns_list(writer));
    if (writer->comm.size == 1)
        WS_TRY(ws_shard_threads_create(&writer->threads, 2));
    writer->collective = H5Pcreate(H5P_DATASET_XFER);
    WS_H5(writer->collective);
    if (writer->comm.size > 1) /* one rank alone writes through ordinary file calls, see ws_h5_open_all */
        WS_H5(H5Pset_dxpl_mpio(writer->collective, H5FD_MPIO_COLLECTIVE));
    return WS_OK;
}

/* On one machine the kernel lets one rank at a time write to the file, so that collective calls would only make others wait. */
static ws_err choose_transfer_all(ws_store_writer *writer)
{
    int rank, ranks;
    WS_TRY(ws_local_rank_all(&writer->comm, &rank, &ranks));
    writer->apart = ranks == writer->comm.size;
    return WS_OK;
}

char *ws_store_segment_path(const char *folder, uint64_t segment)
{
    return ws_format("%s/segment-%04llu.h5", folder, (unsigned long long)segment);
}

/* The file that is written next. */
static ws_err name_file(ws_store_writer *writer)
{
    free(writer->partial);
    writer->partial = writer->options.folder != NULL ? ws_store_segment_path(writer->options.folder, writer->segment)
                                                     : ws_format("%s.partial", writer->path);
    WS_CHECK(writer->partial != NULL, MEMORY, "no memory to write %s", writer->path);
    return WS_OK;
}

static ws_err open_file_all(ws_store_writer *writer)
{
    const ws_comm *comm = &writer->comm;
    WS_AGREE(comm, name_file(writer));
    WS_AGREE(comm, comm->rank == 0 ? ws_store_write_skeleton(writer->partial, &writer->options) : WS_OK);
    WS_TRY(ws_h5_open_all(comm, writer->partial, true, &writer->file));
    WS_AGREE(comm, ws_store_columns_open(writer));
    return WS_OK;
}

ws_err ws_store_writer_create_all(ws_store_writer **out, const ws_comm *comm, const ws_store_writer_options *options)
{
    ws_store_writer *writer = NULL;
    ws_err error = WS_NEW(writer);
    *out = writer;
    if (error == WS_OK) {
        writer->comm = *comm;
        writer->file = writer->collective = -1;
        writer->late.last_row_rank = writer->late.last_packet_rank = -1;
        error = prepare(writer, options);
    }
    if (error == WS_OK && options->append_to != NULL)
        error = ws_store_writer_follow(writer);
    WS_AGREE(comm, error);
    WS_TRY(choose_transfer_all(writer));
    WS_TRY(open_file_all(writer));
    return WS_OK;
}

/* ---------------------------------------------------------------- batches */
void ws_row_sources_list(const ws_flow *flows, size_t count, const ws_flow_packet *packets, const uint8_t *slots,
                         ws_row_source *out)
{
    for (size_t i = 0; i < count; i++) {
        out[i] = (ws_row_source){&flows[i], packets, slots};
        packets += flows[i].packet_count;
        slots = slots == NULL ? NULL : slots + flows[i].slot_bytes;
    }
}

static ws_err hold(ws_held *held_records, uint64_t more)
{
    if (held_records->count + more > held_records->capacity) {
        unsigned char *records = held_records->records;
        WS_TRY(ws_grow(&records, &held_records->capacity, held_records->count + more, held_records->record_bytes));
        held_records->records = records;
    }
    WS_TRY(WS_GROW(held_records->runs, held_records->run_capacity, held_records->run_count + 1));
    return WS_OK;
}

static ws_err count_rows(ws_store_summary *summary, const ws_store_block *block)
{
    for (uint64_t i = 0; i < block->count; i++) {
        const ws_flow *flow = block->rows[i].flow;
        ws_store_summary_row(summary, flow->input, flow->end, flow->first_ns, flow->last_ns);
    }
    for (size_t l = 0; l < summary->level_count; l++)
        for (uint64_t i = 0; i < block->count; i++)
            WS_TRY(ws_store_summary_label(summary, l, block->labels[l * block->count + i]));
    return WS_OK;
}

static ws_err take_block(ws_store_writer *writer, const ws_store_block *block, uint64_t *packet_total)
{
    uint64_t packets = 0;
    for (uint64_t i = 0; i < block->count; i++) {
        const ws_flow *flow = block->rows[i].flow;
        WS_CHECK(flow->input < writer->inputs.count, INTERNAL, "flow of input %u, but the store has %zu inputs",
                 flow->input, writer->inputs.count);
        packets += flow->packet_count;
    }
    WS_TRY(count_rows(&writer->summary, block));
    WS_TRY(hold(&writer->held[WS_HELD_ROWS], block->count));
    WS_TRY(hold(&writer->held[WS_HELD_PACKETS], packets));
    if (writer->held[WS_HELD_VALUES].record_bytes > 0)
        WS_TRY(hold(&writer->held[WS_HELD_VALUES], block->count));
    if (writer->options.bytes != NULL)
        WS_TRY(hold(&writer->held[WS_HELD_VIEWS], block->count));
    *packet_total = packets;
    return WS_OK;
}

static void number_held(ws_held *held_records, uint64_t number, uint64_t count)
{
    if (count > 0)
        held_records->runs[held_records->run_count++] = (ws_number_run){number, count};
    held_records->count += count;
}

static void add_views(ws_store_writer *writer, const ws_store_block *block, uint64_t number)
{
    const size_t record = writer->held[WS_HELD_VIEWS].record_bytes;
    uint8_t *out = (uint8_t *)writer->held[WS_HELD_VIEWS].records + writer->held[WS_HELD_VIEWS].count * record;
    for (uint64_t i = 0; i < block->count; i++, out += record) {
        const ws_row_source *row = &block->rows[i];
        ws_byte_record_fill(writer->options.bytes, row->slots, row->flow->slot_bytes, row->packets, out);
    }
    number_held(&writer->held[WS_HELD_VIEWS], number, block->count);
}

static void add_values(ws_held *values, const ws_store_block *block, uint64_t number, bool lend)
{
    const size_t bytes = values->record_bytes;
    if (lend)
        values->lent = block->features;
    else if (block->count > 0)
        memcpy((unsigned char *)values->records + values->count * bytes, block->features, block->count * bytes);
    number_held(values, number, block->count);
}

static void add_packets(ws_held *packets, const ws_store_block *block, uint64_t number, uint64_t total, bool lend)
{
    ws_flow_packet *out = (ws_flow_packet *)packets->records + packets->count;
    if (lend)
        packets->lent = block->rows;
    for (uint64_t i = 0; i < block->count && !lend; i++) {
        const uint32_t count = block->rows[i].flow->packet_count;
        if (count > 0)
            memcpy(out, block->rows[i].packets, count * sizeof *out);
        out += count;
    }
    number_held(packets, number, total);
}

/* lend: the block's records may stay where they are. */
static void add_rows(ws_store_writer *writer, const ws_store_block *block, uint64_t number, uint64_t packet_number,
                     uint64_t packet_total, bool lend)
{
    ws_store_row *row = (ws_store_row *)writer->held[WS_HELD_ROWS].records + writer->held[WS_HELD_ROWS].count;
    uint64_t packet_start = packet_number;
    const bool in_table = writer->options.features != NULL;
    ws_rows_make(&writer->maker, block->rows, block->count, in_table ? block->features : NULL,
                 in_table ? writer->options.features->columns : 0, &writer->inputs, row);
    for (uint64_t i = 0; i < block->count; i++, row++) {
        row->packet_start = packet_start;
        for (size_t l = 0; l < writer->level_count; l++)
            row->labels[l] = block->labels[l * block->count + i];
        row->attempted = block->attempted == NULL ? 0 : block->attempted[i];
        if (writer->options.append_to != NULL)
            row->session = ws_session_of_key(row->key_hash);
        packet_start += block->rows[i].flow->packet_count;
    }
    add_packets(&writer->held[WS_HELD_PACKETS], block, packet_number, packet_total, lend);
    if (writer->held[WS_HELD_VALUES].record_bytes > 0)
        add_values(&writer->held[WS_HELD_VALUES], block, number, lend);
    if (writer->options.bytes != NULL)
        add_views(writer, block, number);
    number_held(&writer->held[WS_HELD_ROWS], number, block->count);
}

static uint64_t held_bytes_of_all(const ws_store_writer *writer)
{
    return (writer->total_rows - writer->written_rows) *
               (sizeof(ws_store_row) + writer->held[WS_HELD_VALUES].record_bytes +
                writer->held[WS_HELD_VIEWS].record_bytes) +
           (writer->total_packets - writer->written_packets) * sizeof(ws_flow_packet);
}

ws_err ws_store_writer_append_all(ws_store_writer *writer, const ws_store_block *block)
{
    uint64_t counts[2] = {block->count, 0}, totals[2], packets = 0;
    ws_err local = ws_store_writer_push(writer); /* what it writes may lie where the batch goes */
    if (local == WS_OK)
        local = take_block(writer, block, &packets);
    WS_AGREE(&writer->comm, local);
    counts[1] = packets;
    WS_TRY(ws_prefix_sum_u64_all(&writer->comm, counts, totals, 2));
    const uint64_t number = writer->total_rows + counts[0], packet_number = writer->total_packets + counts[1];
    writer->batches += totals[0] > 0;
    writer->total_rows += totals[0];
    writer->total_packets += totals[1];
    const bool is_full = held_bytes_of_all(writer) >= writer->window_bytes * (uint64_t)writer->comm.size;
    add_rows(writer, block, number, packet_number, packets, is_full && writer->batches == 1);
    if (!is_full)
        return WS_OK;
    const double start = ws_clock_seconds();
    WS_TRY(ws_store_write_window_all(writer));
    writer->seconds += ws_clock_seconds() - start;
    return WS_OK;
}

double ws_store_writer_seconds(const ws_store_writer *writer)
{
    return writer->seconds;
}

/* ---------------------------------------------------------------- the end */
static const char session_path[] = "/flows/session_id", host_path[] = "/flows/host_id";

/* Numbers that came late, in their column. */
static ws_err finish_numbers_all(ws_store_writer *writer, ws_dense_ids *ids, const char *path)
{
    const hid_t dataset = ws_store_column_find(writer, path)->dataset;
    return ws_dense_ids_finish_all(&writer->comm, ids, writer->total_rows, dataset, writer->collective);
}

static ws_err close_file(ws_store_writer *writer)
{
    ws_err error = ws_store_columns_close(writer);
    ws_err closed = ws_h5_close(&writer->file);
    return error == WS_OK ? closed : error;
}

/* What was written again after it was hashed. */
typedef struct rewritten {
    bool numbers, labels;
} rewritten;

/* Values of several bytes are hashed as they lie in memory, where that is how they lie in the file. */
static bool hashed_on_the_way(const ws_store_writer *writer, size_t d, rewritten since)
{
    const char *path = writer->blocks[d].path;
    if (since.numbers && ((ws_dense_ids_late(writer->sessions) && strcmp(path, session_path) == 0) ||
                          (ws_dense_ids_late(writer->hosts) && strcmp(path, host_path) == 0)))
        return false;
    return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ && !(since.labels && strncmp(path, "/labels/", 8) == 0);
}

static ws_err hash_with(ws_store_writer *writer, ws_known_digests *known, rewritten since, char content_hash[65])
{
    size_t count = 0;
    for (size_t d = 0; d < writer->column_count; d++)
        if (hashed_on_the_way(writer, d, since)) {
            const ws_known_digests moved = known[count];
            known[count++] = known[d];
            known[d] = moved;
        }
    if (count < writer->column_count) { /* all ranks read the rest */
        WS_TRY(ws_store_hash_all(&writer->comm, writer->partial, known, count, content_hash));
        return WS_OK;
    }
    const ws_comm alone = ws_comm_self();
    WS_AGREE(&writer->comm,
             writer->comm.rank == 0 ? ws_store_hash_all(&alone, writer->partial, known, count, content_hash) : WS_OK);
    WS_TRY(ws_broadcast_all(&writer->comm, content_hash, 65, 0));
    return WS_OK;
}

static ws_err hash_all(ws_store_writer *writer, rewritten since, char content_hash[65])
{
    ws_known_digests *known = NULL;
    ws_err local = WS_OK;
    for (size_t d = 0; d < writer->column_count && local == WS_OK && writer->comm.rank == 0; d++)
        local = ws_block_hash_end(&writer->blocks[d], ws_store_column_rows(writer, d));
    WS_AGREE(&writer->comm, local);
    ws_err error = ws_block_hash_gather_all(&writer->comm, writer->blocks, writer->column_count, &known);
    if (error == WS_OK)
        error = hash_with(writer, known, since, content_hash);
    ws_known_digests_destroy(&known, writer->column_count);
    WS_TRY(error);
    return WS_OK;
}

/* From the file, in which labels are as they stay. */
static ws_err count_again(const ws_store_writer *writer, const ws_label_level *levels, ws_store_summary *summary)
{
    ws_store store = {.path = writer->partial,
                      .rows = writer->total_rows,
                      .levels = (ws_label_level *)(uintptr_t)levels,
                      .level_count = writer->level_count};
    WS_TRY(ws_store_summary_create(summary, writer->inputs.count, writer->level_count));
    WS_TRY(ws_h5_open(writer->partial, &store.file));
    ws_err error = ws_store_summary_count(&store, writer->comm.rank, writer->comm.size, summary);
    H5Fclose(store.file);
    return error;
}

/* Counted while rows came; an extraction that was taken up again did not see all of them come. */
static ws_err write_counts_all(ws_store_writer *writer, const ws_store_provenance *provenance)
{
    const ws_comm *comm = &writer->comm;
    const ws_label_level *levels = provenance->levels != NULL ? provenance->levels : writer->levels;
    const int32_t *const *renumber = provenance->renumber;
    uint64_t counted = 0;
    WS_TRY(ws_store_summary_sum_all(comm, &writer->summary));
    for (size_t i = 0; i < writer->inputs.count; i++)
        counted += writer->summary.inputs[i];
    if (counted != writer->total_rows) {
        renumber = NULL;
        ws_store_summary_destroy(&writer->summary);
        WS_AGREE(comm, count_again(writer, levels, &writer->summary));
        WS_TRY(ws_store_summary_sum_all(comm, &writer->summary));
    }
    WS_AGREE(comm,
             comm->rank == 0 ? ws_store_write_counts(writer->partial, &writer->summary, levels, renumber) : WS_OK);
    return WS_OK;
}

/* All rows into the file, which is whole then but for provenance, hash and name. */
static ws_err end_file_all(ws_store_writer *writer, bool alone)
{
    WS_TRY(ws_store_write_window_all(writer));
    WS_TRY(ws_store_settle_window_all(writer));
    if (alone) /* else they count over all segments */
        WS_TRY(finish_numbers_all(writer, writer->sessions, session_path));
    if (alone)
        WS_TRY(finish_numbers_all(writer, writer->hosts, host_path));
    WS_TRY(ws_store_write_last_start_all(writer));
    WS_AGREE(&writer->comm, close_file(writer));
    return WS_OK;
}

ws_err ws_store_writer_cut_all(ws_store_writer *writer, char content_hash[65])
{
    const ws_comm *comm = &writer->comm;
    WS_TRY(end_file_all(writer, false));
    WS_TRY(hash_all(writer, (rewritten){0}, content_hash));
    WS_AGREE(comm, comm->rank == 0 ? ws_store_bring_to_disk(writer->partial) : WS_OK);
    writer->segment++;
    writer->earlier_rows += writer->total_rows;
    for (size_t d = 0; d < writer->column_count; d++)
        ws_block_hash_destroy(&writer->blocks[d]);
    writer->total_rows = writer->total_packets = writer->written_rows = writer->written_packets = writer->reserved = 0;
    WS_AGREE(comm, name_file(writer));
    return WS_OK;
}

ws_err ws_store_writer_continue_all(ws_store_writer *writer)
{
    WS_TRY(open_file_all(writer));
    return WS_OK;
}

ws_store_writer_state ws_store_writer_remember(ws_store_writer *writer)
{
    return (ws_store_writer_state){writer->sessions, writer->hosts, &writer->earlier_rows};
}

/* Numbers that came late, in the file of all segments. */
static ws_err number_whole_all(ws_store_writer *writer)
{
    const char *const paths[2] = {session_path, host_path};
    ws_dense_ids *const ids[2] = {writer->sessions, writer->hosts};
    if (!ws_dense_ids_late(ids[0]) && !ws_dense_ids_late(ids[1]))
        return WS_OK;
    WS_TRY(ws_h5_open_all(&writer->comm, writer->partial, true, &writer->file));
    ws_err error = WS_OK;
    for (int i = 0; i < 2 && error == WS_OK; i++) {
        hid_t dataset = H5Dopen2(writer->file, paths[i], H5P_DEFAULT);
        ws_err local = dataset < 0 ? ws_h5_raise("H5Dopen2", __FILE__, __LINE__, __func__) : WS_OK;
        error = ws_agree_all(&writer->comm, local);
        if (error == WS_OK)
            error = ws_dense_ids_finish_all(&writer->comm, ids[i], writer->total_rows, dataset, writer->collective);
        if (dataset >= 0)
            H5Dclose(dataset);
    }
    WS_TRY(error);
    WS_AGREE(&writer->comm, ws_h5_close(&writer->file));
    return WS_OK;
}

/* Puts the segments together, behind the store that they are added to; the last of them is the file just ended. */
static ws_err assemble_all(ws_store_writer *writer)
{
    const ws_comm *comm = &writer->comm;
    const size_t before = writer->options.append_to != NULL ? 1 : 0, count = before + (size_t)writer->segment + 1;
    char **parts = NULL, *whole = ws_path_join(writer->options.folder, "assembled.h5");
    ws_err error = whole == NULL ? WS_ERROR(MEMORY, "no memory to write %s", writer->path) : WS_NEW_ARRAY(parts, count);
    for (size_t p = 0; error == WS_OK && p < count; p++)
        if ((parts[p] = p < before ? ws_format("%s", writer->options.append_to)
                                   : ws_store_segment_path(writer->options.folder, p - before)) == NULL)
            error = WS_ERROR(MEMORY, "no memory for the names of %zu segments", count);
    error = ws_agree_all(comm, error);
    if (error == WS_OK)
        error = ws_store_assemble_all(comm, (const char *const *)parts, count, whole, &writer->total_rows);
    for (size_t p = 0; parts != NULL && p < count; p++)
        free(parts[p]);
    free(parts);
    free(writer->partial);
    writer->partial = whole;
    WS_TRY(error);
    WS_TRY(number_whole_all(writer));
    return WS_OK;
}

ws_err ws_store_writer_finish_all(ws_store_writer *writer, const ws_store_provenance *provenance, char content_hash[65])
{
    const ws_comm *comm = &writer->comm;
    const bool assembles = writer->segment > 0 || writer->options.append_to != NULL;
    WS_TRY(end_file_all(writer, !assembles));
    if (assembles)
        WS_TRY(assemble_all(writer));
    WS_AGREE(comm, comm->rank == 0
                       ? ws_store_write_provenance(writer->partial, &writer->inputs, provenance, writer->total_rows)
                       : WS_OK);
    WS_AGREE(comm, comm->rank == 0 && provenance->levels != NULL
                       ? ws_store_renumber(writer->partial, provenance, writer->level_count)
                       : WS_OK);
    WS_TRY(write_counts_all(writer, provenance));
    WS_TRY(ws_store_write_marks_all(writer));
    if (assembles) /* what was hashed on the way are blocks of segments */
        WS_TRY(ws_store_hash_all(comm, writer->partial, NULL, 0, content_hash));
    else
        WS_TRY(hash_all(writer, (rewritten){.numbers = true, .labels = provenance->levels != NULL}, content_hash));
    WS_AGREE(comm, comm->rank == 0 ? ws_store_seal(writer->partial, writer->path, content_hash) : WS_OK);
    writer->sealed = true;
    return WS_OK;
}

void ws_store_writer_destroy(ws_store_writer **out)
{
    ws_store_writer *writer = *out;
    if (writer == NULL)
        return;
    /* Unchecked: the file is removed below, and the caller's error must not be replaced. Its space is given back first: on a
     * full disk HDF5 could not close it otherwise. */
    if (!writer->sealed && writer->comm.rank == 0 && writer->partial != NULL)
        ws_store_release(writer->partial, true);
    ws_store_columns_destroy(writer);
    if (writer->file >= 0)
        H5Fclose(writer->file);
    if (!writer->sealed && writer->comm.rank == 0 && writer->partial != NULL)
        unlink(writer->partial);
    if (writer->collective >= 0)
        H5Pclose(writer->collective);
    ws_shard_threads_destroy(&writer->threads);
    ws_store_summary_destroy(&writer->summary);
    ws_row_maker_destroy(&writer->maker);
    ws_dense_ids_destroy(&writer->sessions);
    ws_dense_ids_destroy(&writer->hosts);
    for (int k = 0; k < WS_HELD_KINDS; k++) {
        free(writer->held[k].records);
        free(writer->held[k].runs);
    }
    for (int i = 0; i < 2; i++)
        ws_send_drop(&writer->late.sending[i]);
    ws_error_forget(&writer->late.failure);
    free(writer->buffer);
    free(writer->tile);
    free(writer->identities);
    free(writer->numbers);
    free(writer->path);
    free(writer->partial);
    free(writer);
    *out = NULL;
}
