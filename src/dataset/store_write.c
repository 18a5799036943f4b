/* store_write: a store, written by all ranks together. Rows are gathered until a window of them is worth the collective
 * calls, then every rank takes an even share of the window, numbers its sessions and hosts, and writes its share of
 * every column in one collective call a column. So the number of collective calls follows the amount of data, not the
 * number of batches, and neither windows nor ranks can be seen in the content. Does not know where flows come from.
 */
#include "dataset/store_layout.h"

#include <stdlib.h>
#include <unistd.h>

enum { WINDOW_BYTES = 48 << 20 };

typedef struct numbered_packet {
    uint64_t number; /* in /packets */
    ws_flow_packet packet;
} numbered_packet;

struct ws_store_writer {
    ws_comm comm;
    char *path, *partial;
    ws_string_list inputs; /* borrowed from the caller until finish */
    size_t level_count;
    uint64_t window_bytes;
    ws_row_maker maker;
    ws_dense_ids *sessions, *hosts;
    hid_t file, collective;
    ws_store_column *columns; /* of ws_store_row; the first column_count of `datasets` */
    hid_t *datasets;
    size_t column_count, dataset_count;
    char **names;       /* of label columns, owned */
    ws_store_row *rows; /* this rank's part of the window, ascending */
    size_t row_count, row_capacity;
    numbered_packet *packets;
    size_t packet_count, packet_capacity;
    uint64_t total_rows, total_packets, written_rows, written_packets; /* the same on every rank */
    bool sealed;
};

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
    WS_TRY(WS_NEW_ARRAY(writer->columns, flows + endpoints + options->level_count));
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
    return WS_OK;
}

static ws_err prepare(ws_store_writer *writer, const ws_store_writer_options *options)
{
    WS_CHECK(options->level_count <= WS_LABEL_LEVELS_MAX, ARGUMENT, "%zu label levels; at most %d are supported",
             options->level_count, WS_LABEL_LEVELS_MAX);
    writer->path = ws_format("%s", options->path);
    writer->partial = ws_format("%s.partial", options->path);
    WS_CHECK(writer->path != NULL && writer->partial != NULL, MEMORY, "no memory to write %s", options->path);
    writer->inputs = *options->inputs;
    writer->window_bytes = options->window_bytes == 0 ? WINDOW_BYTES : options->window_bytes;
    WS_TRY(ws_row_maker_create(&writer->maker, options->endpoints, options->key_file));
    WS_TRY(ws_dense_ids_create(&writer->sessions));
    WS_TRY(ws_dense_ids_create(&writer->hosts));
    WS_TRY(list_columns(writer, options));
    size_t packet_columns = count_columns(ws_packet_columns);
    WS_TRY(WS_NEW_ARRAY(writer->datasets, writer->column_count + 1 + packet_columns));
    writer->collective = H5Pcreate(H5P_DATASET_XFER);
    WS_H5(writer->collective);
    if (writer->comm.size > 1) /* one rank alone writes through ordinary file calls, see ws_h5_open_all */
        WS_H5(H5Pset_dxpl_mpio(writer->collective, H5FD_MPIO_COLLECTIVE));
    return WS_OK;
}

static ws_err open_dataset(ws_store_writer *writer, const char *path)
{
    hid_t dataset = H5Dopen2(writer->file, path, H5P_DEFAULT);
    WS_H5(dataset);
    writer->datasets[writer->dataset_count++] = dataset;
    return WS_OK;
}

static ws_err open_datasets(ws_store_writer *writer)
{
    for (size_t c = 0; c < writer->column_count; c++)
        WS_TRY(open_dataset(writer, writer->columns[c].path));
    WS_TRY(open_dataset(writer, "/features/flow20"));
    for (const ws_store_column *column = ws_packet_columns; column->path != NULL; column++)
        WS_TRY(open_dataset(writer, column->path));
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
    WS_AGREE(comm, comm->rank == 0 ? ws_store_write_skeleton(writer->partial, options) : WS_OK);
    WS_TRY(ws_h5_open_all(comm, writer->partial, true, &writer->file));
    WS_AGREE(comm, open_datasets(writer));
    return WS_OK;
}

/* ---------------------------------------------------------------- a window */
/* Sends every record to the rank that holds its number's share of [begin, begin + total), in order. Records begin with
 * their uint64 number. *out malloc'ed, *first the number of its first record. */
static ws_err spread(const ws_comm *comm, const void *records, size_t count, size_t record_bytes, uint64_t begin,
                     uint64_t total, void **out, uint64_t *first, uint64_t *out_count)
{
    size_t *send = NULL, *received = NULL;
    unsigned char *arrived = NULL, *ordered = NULL;
    uint64_t share_begin, share_end, low, high, number;
    ws_even_split(total, comm->size, comm->rank, &share_begin, &share_end);
    *first = begin + share_begin;
    *out_count = share_end - share_begin;
    ws_err error = WS_NEW_ARRAY(send, (size_t)comm->size);
    if (error == WS_OK)
        error = WS_NEW_ARRAY(received, (size_t)comm->size);
    if (error == WS_OK)
        error = ws_alloc(&ordered, (size_t)*out_count, record_bytes);
    WS_TRY_GOTO(out, ws_agree_all(comm, error));
    int rank = 0;
    ws_even_split(total, comm->size, 0, &low, &high);
    for (size_t i = 0; i < count; i++) {
        memcpy(&number, (const unsigned char *)records + i * record_bytes, sizeof number);
        while (number - begin >= high)
            ws_even_split(total, comm->size, ++rank, &low, &high);
        send[rank]++;
    }
    WS_TRY_GOTO(out, ws_exchange_all(comm, records, send, record_bytes, (void **)&arrived, received));
    for (uint64_t i = 0; i < *out_count; i++) {
        memcpy(&number, arrived + i * record_bytes, sizeof number);
        memcpy(ordered + (number - *first) * record_bytes, arrived + i * record_bytes, record_bytes);
    }
out:
    free(send);
    free(received);
    free(arrived);
    if (error != WS_OK)
        free(ordered);
    *out = error == WS_OK ? ordered : NULL;
    return error;
}

/* Rows [begin, begin + count) of a dataset that then has `total` rows; collective, also with count 0. */
static ws_err write_values(const ws_store_writer *writer, hid_t dataset, hid_t memory_type, hsize_t columns,
                           uint64_t total, uint64_t begin, uint64_t count, const void *values)
{
    ws_err error = WS_OK;
    int dimensions = columns > 1 ? 2 : 1;
    const hsize_t extent[2] = {total, columns}, start[2] = {begin, 0}, size[2] = {count, columns};
    hid_t file_space = -1, memory_space = -1;
    WS_H5_GOTO(out, H5Dset_extent(dataset, extent));
    WS_H5_GOTO(out, file_space = H5Dget_space(dataset));
    WS_H5_GOTO(out, memory_space = H5Screate_simple(dimensions, size, NULL));
    if (count == 0) {
        WS_H5_GOTO(out, H5Sselect_none(file_space));
        WS_H5_GOTO(out, H5Sselect_none(memory_space));
    } else {
        WS_H5_GOTO(out, H5Sselect_hyperslab(file_space, H5S_SELECT_SET, start, NULL, size, NULL));
    }
    WS_H5_GOTO(out, H5Dwrite(dataset, memory_type, memory_space, file_space, writer->collective, values));
out:
    if (file_space >= 0)
        H5Sclose(file_space);
    if (memory_space >= 0)
        H5Sclose(memory_space);
    return error;
}

/* One member of `count` records, packed, to a dataset. */
static ws_err write_member(const ws_store_writer *writer, hid_t dataset, ws_stored_type type, size_t columns,
                           const void *records, size_t record_bytes, size_t offset, uint64_t total, uint64_t begin,
                           uint64_t count, unsigned char *buffer)
{
    size_t bytes = ws_stored_size(type) * columns;
    for (uint64_t i = 0; i < count; i++)
        memcpy(buffer + i * bytes, (const unsigned char *)records + i * record_bytes + offset, bytes);
    hid_t memory_type = ws_stored_memory_type(type);
    ws_err error = write_values(writer, dataset, memory_type, columns, total, begin, count, buffer);
    ws_stored_release(type, memory_type);
    return error;
}

/* A rank that met an error goes on to the next column with the others: they would wait for it otherwise. */
static void keep_first(ws_err *error, ws_err next)
{
    if (*error == WS_OK)
        *error = next;
}

static ws_err write_rows(ws_store_writer *writer, const ws_store_row *rows, uint64_t begin, uint64_t count,
                         unsigned char *buffer)
{
    ws_err error = WS_OK;
    for (size_t c = 0; c < writer->column_count; c++)
        keep_first(&error, write_member(writer, writer->datasets[c], writer->columns[c].type, 1, rows, sizeof *rows,
                                        writer->columns[c].offset, writer->total_rows, begin, count, buffer));
    keep_first(&error,
               write_member(writer, writer->datasets[writer->column_count], WS_STORED_F32, WS_FLOW20_COLUMNS, rows,
                            sizeof *rows, offsetof(ws_store_row, features), writer->total_rows, begin, count, buffer));
    return error;
}

static ws_err write_packets(ws_store_writer *writer, const numbered_packet *packets, uint64_t begin, uint64_t count,
                            unsigned char *buffer)
{
    ws_err error = WS_OK;
    const hid_t *datasets = writer->datasets + writer->column_count + 1;
    for (size_t c = 0; ws_packet_columns[c].path != NULL; c++)
        keep_first(&error, write_member(writer, datasets[c], ws_packet_columns[c].type, 1, packets, sizeof *packets,
                                        offsetof(numbered_packet, packet) + ws_packet_columns[c].offset,
                                        writer->total_packets, begin, count, buffer));
    return error;
}

/* Sessions and hosts of the rank's share get their numbers. */
static ws_err number_rows(ws_store_writer *writer, ws_store_row *rows, uint64_t begin, uint64_t count)
{
    ws_identity *identities = NULL;
    uint32_t *numbers = NULL;
    ws_err error = WS_NEW_ARRAY(identities, count);
    if (error == WS_OK)
        error = WS_NEW_ARRAY(numbers, count);
    WS_TRY_GOTO(out, ws_agree_all(&writer->comm, error));
    for (uint64_t i = 0; i < count; i++)
        identities[i] = rows[i].session;
    WS_TRY_GOTO(out, ws_dense_ids_assign_all(&writer->comm, writer->sessions, identities, begin, count, numbers));
    for (uint64_t i = 0; i < count; i++) {
        rows[i].session_id = numbers[i];
        identities[i] = rows[i].host;
    }
    WS_TRY_GOTO(out, ws_dense_ids_assign_all(&writer->comm, writer->hosts, identities, begin, count, numbers));
    for (uint64_t i = 0; i < count; i++)
        rows[i].host_id = numbers[i];
out:
    free(identities);
    free(numbers);
    return error;
}

static uint64_t chunked_bytes(uint64_t rows, uint64_t chunk_rows, size_t value_bytes)
{
    enum { INDEX_BYTES = 128 }; /* a chunk in HDF5's index, generously */
    uint64_t chunks = (rows + chunk_rows - 1) / chunk_rows;
    return chunks * (chunk_rows * value_bytes + INDEX_BYTES);
}

/* Of the file once all rows up to now are in it; some room is for names and provenance. */
static uint64_t expected_bytes(const ws_store_writer *writer)
{
    uint64_t bytes = 2 << 20;
    for (size_t c = 0; c < writer->column_count; c++)
        bytes += chunked_bytes(writer->total_rows + 1, WS_CHUNK_FLOWS, ws_stored_size(writer->columns[c].type));
    bytes += chunked_bytes(writer->total_rows, WS_CHUNK_FLOWS, WS_FLOW20_COLUMNS * sizeof(float));
    for (size_t c = 0; ws_packet_columns[c].path != NULL; c++)
        bytes += chunked_bytes(writer->total_packets, WS_CHUNK_PACKETS, ws_stored_size(ws_packet_columns[c].type));
    return bytes;
}

static ws_err write_window_all(ws_store_writer *writer)
{
    ws_store_row *rows = NULL;
    numbered_packet *packets = NULL;
    unsigned char *buffer = NULL;
    uint64_t begin, count, packet_begin, packet_count;
    ws_err error;
    WS_TRY_GOTO(out, spread(&writer->comm, writer->rows, writer->row_count, sizeof *rows, writer->written_rows,
                            writer->total_rows - writer->written_rows, (void **)&rows, &begin, &count));
    WS_TRY_GOTO(out, spread(&writer->comm, writer->packets, writer->packet_count, sizeof *packets,
                            writer->written_packets, writer->total_packets - writer->written_packets, (void **)&packets,
                            &packet_begin, &packet_count));
    writer->row_count = writer->packet_count = 0;
    WS_TRY_GOTO(out, number_rows(writer, rows, begin, count));
    size_t row_bytes = (size_t)count * WS_FLOW20_COLUMNS * sizeof(float), packet_bytes = (size_t)packet_count * 8;
    WS_TRY_GOTO(out,
                ws_agree_all(&writer->comm, ws_alloc(&buffer, 1, row_bytes > packet_bytes ? row_bytes : packet_bytes)));
    WS_TRY_GOTO(out, ws_agree_all(&writer->comm, writer->comm.rank == 0
                                                     ? ws_store_reserve(writer->partial, expected_bytes(writer))
                                                     : WS_OK));
    error = write_rows(writer, rows, begin, count, buffer);
    keep_first(&error, write_packets(writer, packets, packet_begin, packet_count, buffer));
    WS_TRY_GOTO(out, ws_agree_all(&writer->comm, error));
    writer->written_rows = writer->total_rows;
    writer->written_packets = writer->total_packets;
out:
    free(rows);
    free(packets);
    free(buffer);
    return error;
}

/* ---------------------------------------------------------------- batches */
static ws_err take_block(ws_store_writer *writer, const ws_store_block *block, uint64_t *packet_total)
{
    uint64_t packets = 0;
    for (uint64_t i = 0; i < block->count; i++) {
        WS_CHECK(block->flows[i].input < writer->inputs.count, INTERNAL,
                 "flow of input %u, but the store has %zu inputs", block->flows[i].input, writer->inputs.count);
        packets += block->flows[i].packet_count;
    }
    WS_TRY(WS_GROW(writer->rows, writer->row_capacity, writer->row_count + block->count));
    WS_TRY(WS_GROW(writer->packets, writer->packet_capacity, writer->packet_count + packets));
    *packet_total = packets;
    return WS_OK;
}

static void add_rows(ws_store_writer *writer, const ws_store_block *block, uint64_t number, uint64_t packet_number)
{
    const ws_flow_packet *packets = block->packets;
    for (uint64_t i = 0; i < block->count; i++) {
        const ws_flow *flow = &block->flows[i];
        ws_store_row *row = &writer->rows[writer->row_count++];
        ws_row_make(&writer->maker, flow, packets, writer->inputs.items[flow->input], row);
        row->number = number + i;
        row->packet_start = packet_number;
        for (size_t l = 0; l < writer->level_count; l++)
            row->labels[l] = block->labels[l * block->count + i];
        for (uint32_t k = 0; k < flow->packet_count; k++)
            writer->packets[writer->packet_count++] = (numbered_packet){packet_number++, packets[k]};
        packets += flow->packet_count;
    }
}

ws_err ws_store_writer_append_all(ws_store_writer *writer, const ws_store_block *block)
{
    uint64_t counts[2] = {block->count, 0}, totals[2];
    WS_AGREE(&writer->comm, take_block(writer, block, &counts[1]));
    WS_TRY(ws_prefix_sum_u64_all(&writer->comm, counts, totals, 2));
    add_rows(writer, block, writer->total_rows + counts[0], writer->total_packets + counts[1]);
    writer->total_rows += totals[0];
    writer->total_packets += totals[1];
    uint64_t held = (writer->total_rows - writer->written_rows) * sizeof(ws_store_row) +
                    (writer->total_packets - writer->written_packets) * sizeof(numbered_packet);
    if (held >= writer->window_bytes * (uint64_t)writer->comm.size)
        WS_TRY(write_window_all(writer));
    return WS_OK;
}

/* ---------------------------------------------------------------- the end */
/* The last element of packet_start, which no row brings. */
static ws_err write_last_start(ws_store_writer *writer)
{
    hid_t dataset = -1;
    for (size_t c = 0; c < writer->column_count; c++)
        if (strcmp(writer->columns[c].path, "/flows/packet_start") == 0)
            dataset = writer->datasets[c];
    return write_values(writer, dataset, H5T_NATIVE_UINT64, 1, writer->total_rows + 1, writer->total_rows,
                        writer->comm.rank == 0, &writer->total_packets);
}

static ws_err close_file(ws_store_writer *writer)
{
    ws_err error = WS_OK;
    while (writer->dataset_count > 0)
        if (H5Dclose(writer->datasets[--writer->dataset_count]) < 0 && error == WS_OK)
            error = ws_h5_raise("H5Dclose", __FILE__, __LINE__, __func__);
    keep_first(&error, ws_h5_close(&writer->file));
    return error;
}

ws_err ws_store_writer_finish_all(ws_store_writer *writer, const ws_store_provenance *provenance, char content_hash[65])
{
    const ws_comm *comm = &writer->comm;
    WS_TRY(write_window_all(writer));
    WS_AGREE(comm, write_last_start(writer));
    WS_AGREE(comm, close_file(writer));
    WS_AGREE(comm, comm->rank == 0
                       ? ws_store_write_provenance(writer->partial, &writer->inputs, provenance, writer->total_rows)
                       : WS_OK);
    WS_TRY(ws_store_compute_hash_all(comm, writer->partial, content_hash));
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
    ws_row_maker_destroy(&writer->maker);
    ws_dense_ids_destroy(&writer->sessions);
    ws_dense_ids_destroy(&writer->hosts);
    if (writer->names != NULL)
        for (size_t l = 0; l < writer->level_count; l++)
            free(writer->names[l]);
    free(writer->names);
    free(writer->columns);
    free(writer->datasets);
    free(writer->rows);
    free(writer->packets);
    free(writer->path);
    free(writer->partial);
    free(writer);
    *out = NULL;
}
