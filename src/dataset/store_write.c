/* store_write: a store, written by all ranks together. Rows are gathered until a window of them is worth the collective
 * calls (store_window.c). So the number of collective calls follows the amount of data, not the number of batches, and neither
 * windows nor ranks can be seen in the content. Does not know where flows come from.
 */
#include "dataset/store_writer.h"

#include <stdlib.h>
#include <unistd.h>

/* Alone, a rank makes no collective calls, and gains by what stays in its cache. Together, less than what an extraction brings in
 * a batch: a window of one batch lies in the ranks as it is to be written. */
enum { WINDOW_BYTES = 3 << 20, WINDOW_BYTES_ALONE = 4 << 20 };

/* ---------------------------------------------------------------- opening */
static size_t count_columns(const ws_store_column *columns)
{
    size_t count = 0;
    while (columns[count].path != NULL)
        count++;
    return count;
}

/* The columns of a row: flows, endpoints where kept, labels. The feature table comes apart, being wider. */
static ws_err list_columns(ws_store_writer *writer, const ws_store_writer_options *options)
{
    size_t flows = count_columns(ws_flow_columns);
    size_t endpoints = writer->maker.endpoints == WS_ENDPOINTS_DROP ? 0 : count_columns(ws_endpoint_columns);
    WS_TRY(WS_NEW_ARRAY(writer->columns, flows + endpoints + options->level_count + 1));
    WS_TRY(WS_NEW_ARRAY(writer->names, options->level_count));
    writer->level_count = options->level_count;
    memcpy(writer->columns, ws_flow_columns, flows * sizeof *writer->columns);
    memcpy(writer->columns + flows, ws_endpoint_columns, endpoints * sizeof *writer->columns);
    writer->column_count = flows + endpoints;
    for (size_t l = 0; l < options->level_count; l++) {
        writer->names[l] = ws_format("/labels/%s", options->levels[l].name);
        WS_CHECK(writer->names[l] != NULL, MEMORY, "no memory for the label level %s", options->levels[l].name);
        writer->columns[writer->column_count++] =
            (ws_store_column){writer->names[l], WS_STORED_I32, offsetof(ws_store_row, labels) + l * sizeof(int32_t)};
    }
    if (options->tells_attempts)
        writer->columns[writer->column_count++] =
            (ws_store_column){"/labels/attempted", WS_STORED_U8, offsetof(ws_store_row, attempted)};
    return WS_OK;
}

static ws_err list_tables(ws_store_writer *writer, const ws_store_writer_options *options)
{
    WS_CHECK(options->more_count < WS_FEATURE_TABLES_MAX, ARGUMENT, "%zu feature tables; at most %d are supported",
             options->more_count + 1, WS_FEATURE_TABLES_MAX);
    writer->flow20 = options->features == NULL;
    writer->tables[writer->table_count++] = writer->flow20 ? ws_features_flow20.table : *options->features;
    for (size_t t = 0; t < options->more_count; t++)
        writer->tables[writer->table_count++] = *options->more_features[t];
    for (size_t t = writer->flow20; t < writer->table_count; t++)
        writer->values.record_bytes += writer->tables[t].columns * sizeof(float);
    return WS_OK;
}

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
    WS_TRY(ws_store_summary_create(&writer->summary, writer->inputs.count, options->level_count));
    writer->window_bytes = options->window_bytes;
    if (writer->window_bytes == 0)
        writer->window_bytes = writer->comm.size > 1 ? WINDOW_BYTES : WINDOW_BYTES_ALONE;
    writer->rows.record_bytes = sizeof(ws_store_row);
    writer->packets.record_bytes = sizeof(ws_flow_packet);
    WS_TRY(list_tables(writer, options));
    WS_TRY(ws_row_maker_create(&writer->maker, options->endpoints, options->key_file));
    WS_TRY(ws_dense_ids_create(&writer->sessions, writer->path, options->id_bytes));
    WS_TRY(ws_dense_ids_create(&writer->hosts, writer->path, options->id_bytes));
    WS_TRY(list_columns(writer, options));
    writer->row_datasets = writer->column_count + writer->table_count;
    if (options->bytes != NULL) {
        writer->byte_view = *options->bytes;
        ws_byte_columns(options->bytes, writer->byte_columns);
        writer->views.record_bytes = ws_byte_record_size(options->bytes);
        writer->row_datasets += WS_BYTE_COLUMNS;
    }
    writer->dataset_total = writer->row_datasets + count_columns(ws_packet_columns);
    WS_TRY(WS_NEW_ARRAY(writer->datasets, writer->dataset_total));
    WS_TRY(WS_NEW_ARRAY(writer->blocks, writer->dataset_total));
    WS_TRY(WS_NEW_ARRAY(writer->packed, writer->dataset_total));
    if (writer->comm.size == 1)
        WS_TRY(ws_shard_threads_create(&writer->threads, 2));
    writer->collective = H5Pcreate(H5P_DATASET_XFER);
    WS_H5(writer->collective);
    if (writer->comm.size > 1) /* one rank alone writes through ordinary file calls, see ws_h5_open_all */
        WS_H5(H5Pset_dxpl_mpio(writer->collective, H5FD_MPIO_COLLECTIVE));
    return WS_OK;
}

static ws_err open_dataset(ws_store_writer *writer, const char *path, ws_stored_type type, size_t columns)
{
    hid_t dataset = H5Dopen2(writer->file, path, H5P_DEFAULT);
    WS_H5(dataset);
    const size_t d = writer->dataset_count++;
    writer->datasets[d] = dataset;
    WS_TRY(ws_block_hash_create(&writer->blocks[d], path, ws_stored_size(type) * columns, type == WS_STORED_TEXT));
    return WS_OK;
}

static ws_err open_datasets(ws_store_writer *writer)
{
    for (size_t c = 0; c < writer->column_count; c++)
        WS_TRY(open_dataset(writer, writer->columns[c].path, writer->columns[c].type, 1));
    for (size_t t = 0; t < writer->table_count; t++) {
        if (writer->table_paths[t] == NULL) /* the first segment */
            writer->table_paths[t] = ws_format("/features/%s", writer->tables[t].name);
        WS_CHECK(writer->table_paths[t] != NULL, MEMORY, "no memory for the feature table %s", writer->tables[t].name);
        WS_TRY(open_dataset(writer, writer->table_paths[t], WS_STORED_F32, writer->tables[t].columns));
    }
    for (size_t c = 0; writer->byte_view.packets > 0 && c < WS_BYTE_COLUMNS; c++)
        WS_TRY(open_dataset(writer, writer->byte_columns[c].path, writer->byte_columns[c].type,
                            writer->byte_view.packets * writer->byte_columns[c].width));
    for (const ws_store_column *column = ws_packet_columns; column->path != NULL; column++)
        WS_TRY(open_dataset(writer, column->path, column->type, 1));
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
    WS_AGREE(comm, open_datasets(writer));
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
        error = prepare(writer, options);
    }
    WS_AGREE(comm, error);
    WS_TRY(open_file_all(writer));
    return WS_OK;
}

/* ---------------------------------------------------------------- batches */
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
        const ws_flow *flow = &block->flows[i];
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
        WS_CHECK(block->flows[i].input < writer->inputs.count, INTERNAL,
                 "flow of input %u, but the store has %zu inputs", block->flows[i].input, writer->inputs.count);
        packets += block->flows[i].packet_count;
    }
    WS_TRY(count_rows(&writer->summary, block));
    WS_TRY(hold(&writer->rows, block->count));
    WS_TRY(hold(&writer->packets, packets));
    if (writer->values.record_bytes > 0)
        WS_TRY(hold(&writer->values, block->count));
    if (writer->byte_view.packets > 0)
        WS_TRY(hold(&writer->views, block->count));
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
    const size_t record = writer->views.record_bytes;
    uint8_t *out = (uint8_t *)writer->views.records + writer->views.count * record;
    const uint8_t *slots = block->slots;
    const ws_flow_packet *packets = block->packets;
    for (uint64_t i = 0; i < block->count; i++, out += record) {
        const ws_flow *flow = &block->flows[i];
        ws_byte_record_fill(&writer->byte_view, slots, flow->slot_bytes, packets, out);
        slots += flow->slot_bytes;
        packets += flow->packet_count;
    }
    number_held(&writer->views, number, block->count);
}

static void add_rows(ws_store_writer *writer, const ws_store_block *block, uint64_t number, uint64_t packet_number,
                     uint64_t packet_total)
{
    ws_store_row *row = (ws_store_row *)writer->rows.records + writer->rows.count;
    uint64_t packet_start = packet_number;
    ws_rows_make(&writer->maker, block->flows, block->count, block->packets, writer->flow20 ? NULL : block->features,
                 writer->tables[0].columns, &writer->inputs, row);
    for (uint64_t i = 0; i < block->count; i++, row++) {
        const ws_flow *flow = &block->flows[i];
        row->packet_start = packet_start;
        for (size_t l = 0; l < writer->level_count; l++)
            row->labels[l] = block->labels[l * block->count + i];
        row->attempted = block->attempted == NULL ? 0 : block->attempted[i];
        packet_start += flow->packet_count;
    }
    if (packet_total > 0)
        memcpy((ws_flow_packet *)writer->packets.records + writer->packets.count, block->packets,
               packet_total * sizeof(ws_flow_packet));
    if (writer->values.record_bytes > 0 && block->count > 0)
        memcpy((unsigned char *)writer->values.records + writer->values.count * writer->values.record_bytes,
               block->features, block->count * writer->values.record_bytes);
    if (writer->values.record_bytes > 0)
        number_held(&writer->values, number, block->count);
    if (writer->byte_view.packets > 0)
        add_views(writer, block, number);
    number_held(&writer->rows, number, block->count);
    number_held(&writer->packets, packet_number, packet_total);
}

ws_err ws_store_writer_append_all(ws_store_writer *writer, const ws_store_block *block)
{
    uint64_t counts[2] = {block->count, 0}, totals[2], packets = 0;
    WS_AGREE(&writer->comm, take_block(writer, block, &packets));
    counts[1] = packets;
    WS_TRY(ws_prefix_sum_u64_all(&writer->comm, counts, totals, 2));
    add_rows(writer, block, writer->total_rows + counts[0], writer->total_packets + counts[1], packets);
    writer->batches += totals[0] > 0;
    writer->total_rows += totals[0];
    writer->total_packets += totals[1];
    uint64_t held_bytes = (writer->total_rows - writer->written_rows) *
                              (sizeof(ws_store_row) + writer->values.record_bytes + writer->views.record_bytes) +
                          (writer->total_packets - writer->written_packets) * sizeof(ws_flow_packet);
    if (held_bytes < writer->window_bytes * (uint64_t)writer->comm.size)
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
    size_t d = 0;
    while (strcmp(writer->columns[d].path, path) != 0)
        d++;
    return ws_dense_ids_finish_all(&writer->comm, ids, writer->total_rows, writer->datasets[d], writer->collective);
}

static ws_err close_file(ws_store_writer *writer)
{
    ws_err error = WS_OK;
    while (writer->dataset_count > 0)
        if (H5Dclose(writer->datasets[--writer->dataset_count]) < 0 && error == WS_OK)
            error = ws_h5_raise("H5Dclose", __FILE__, __LINE__, __func__);
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
    for (size_t d = 0; d < writer->dataset_total; d++)
        if (hashed_on_the_way(writer, d, since)) {
            const ws_known_digests moved = known[count];
            known[count++] = known[d];
            known[d] = moved;
        }
    if (count < writer->dataset_total) { /* all ranks read the rest */
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
    for (size_t d = 0; d < writer->dataset_total && local == WS_OK && writer->comm.rank == 0; d++)
        local = ws_block_hash_end(&writer->blocks[d], ws_store_dataset_rows(writer, d));
    WS_AGREE(&writer->comm, local);
    ws_err error = ws_block_hash_gather_all(&writer->comm, writer->blocks, writer->dataset_total, &known);
    if (error == WS_OK)
        error = hash_with(writer, known, since, content_hash);
    ws_known_digests_destroy(&known, writer->dataset_total);
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
    for (size_t d = 0; d < writer->dataset_total; d++)
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

/* Puts the segments together; the last of them is the file just ended. */
static ws_err assemble_all(ws_store_writer *writer)
{
    const ws_comm *comm = &writer->comm;
    const size_t count = (size_t)writer->segment + 1;
    char **parts = NULL, *whole = ws_path_join(writer->options.folder, "assembled.h5");
    ws_err error = whole == NULL ? WS_ERROR(MEMORY, "no memory to write %s", writer->path) : WS_NEW_ARRAY(parts, count);
    for (size_t p = 0; error == WS_OK && p < count; p++)
        if ((parts[p] = ws_store_segment_path(writer->options.folder, p)) == NULL)
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
    const bool assembles = writer->segment > 0;
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
    while (writer->dataset_count > 0)
        H5Dclose(writer->datasets[--writer->dataset_count]);
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
    if (writer->names != NULL)
        for (size_t l = 0; l < writer->level_count; l++)
            free(writer->names[l]);
    free(writer->names);
    for (size_t t = 0; t < writer->table_count; t++)
        free(writer->table_paths[t]);
    free(writer->columns);
    free(writer->datasets);
    if (writer->blocks != NULL)
        for (size_t d = 0; d < writer->dataset_total; d++)
            ws_block_hash_destroy(&writer->blocks[d]);
    free(writer->blocks);
    free(writer->rows.records);
    free(writer->rows.runs);
    free(writer->values.records);
    free(writer->values.runs);
    free(writer->views.records);
    free(writer->views.runs);
    free(writer->packets.records);
    free(writer->packets.runs);
    free(writer->packed);
    free(writer->buffer);
    free(writer->identities);
    free(writer->numbers);
    free(writer->path);
    free(writer->partial);
    free(writer);
    *out = NULL;
}
