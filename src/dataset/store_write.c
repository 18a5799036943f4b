/* store_write: a store, written by all ranks together. Rows are gathered until a window of them is worth the collective
 * calls, then every rank takes an even share of the window, numbers its sessions and hosts, and writes its share of
 * every column in one collective call a column. So the number of collective calls follows the amount of data, not the
 * number of batches, and neither windows nor ranks can be seen in the content. Does not know where flows come from.
 */
#include "dataset/store_layout.h"

#include <stdlib.h>
#include <unistd.h>

/* Alone, a rank makes no collective calls, and gains by what stays in its cache. */
enum { WINDOW_BYTES = 48 << 20, WINDOW_BYTES_ALONE = 4 << 20 };

/* Records with consecutive numbers, of those a rank holds. */
typedef struct number_run {
    uint64_t number, count;
} number_run;

/* Rows or packets of this rank's part of the window, ascending. */
typedef struct held {
    void *records;
    size_t count, capacity, record_bytes;
    number_run *runs;
    size_t run_count, run_capacity;
} held;

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
    size_t column_count, dataset_count, dataset_total; /* datasets: open now, in all */
    ws_block_hash *blocks; /* of the datasets; NULL where several ranks write, and for texts */
    char **names;          /* of label columns, owned */
    held rows, packets;    /* of ws_store_row, of ws_flow_packet */
    held values;           /* of the store's own feature table; flow20 lies in the rows */
    ws_feature_table features;
    bool own_features;
    char *feature_path;    /* owned */
    unsigned char *buffer; /* a column on its way to the file */
    size_t buffer_capacity;
    ws_identity *identities; /* of the window's rows, and their numbers */
    uint32_t *numbers;
    size_t identity_capacity, number_capacity;
    uint64_t total_rows, total_packets, written_rows, written_packets; /* the same on every rank */
    uint64_t reserved;                                                 /* of the file, by rank 0 */
    double seconds;                                                    /* in windows */
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

static ws_err prepare(ws_store_writer *writer, const ws_store_writer_options *options)
{
    WS_CHECK(options->level_count <= WS_LABEL_LEVELS_MAX, ARGUMENT, "%zu label levels; at most %d are supported",
             options->level_count, WS_LABEL_LEVELS_MAX);
    writer->path = ws_format("%s", options->path);
    writer->partial = ws_format("%s.partial", options->path);
    WS_CHECK(writer->path != NULL && writer->partial != NULL, MEMORY, "no memory to write %s", options->path);
    writer->inputs = *options->inputs;
    writer->window_bytes = options->window_bytes;
    if (writer->window_bytes == 0)
        writer->window_bytes = writer->comm.size > 1 ? WINDOW_BYTES : WINDOW_BYTES_ALONE;
    writer->rows.record_bytes = sizeof(ws_store_row);
    writer->packets.record_bytes = sizeof(ws_flow_packet);
    writer->own_features = options->features != NULL;
    writer->features = writer->own_features ? *options->features : ws_flow20_table;
    writer->values.record_bytes = writer->features.columns * sizeof(float);
    WS_TRY(ws_row_maker_create(&writer->maker, options->endpoints, options->key_file));
    WS_TRY(ws_dense_ids_create(&writer->sessions));
    WS_TRY(ws_dense_ids_create(&writer->hosts));
    WS_TRY(list_columns(writer, options));
    writer->dataset_total = writer->column_count + 1 + count_columns(ws_packet_columns);
    WS_TRY(WS_NEW_ARRAY(writer->datasets, writer->dataset_total));
    WS_TRY(WS_NEW_ARRAY(writer->blocks, writer->dataset_total));
    writer->collective = H5Pcreate(H5P_DATASET_XFER);
    WS_H5(writer->collective);
    if (writer->comm.size > 1) /* one rank alone writes through ordinary file calls, see ws_h5_open_all */
        WS_H5(H5Pset_dxpl_mpio(writer->collective, H5FD_MPIO_COLLECTIVE));
    return WS_OK;
}

/* Alone, the writer sees every row in order and hashes it on its way; ranks together read the file again, each a part. */
static bool hashes_on_the_way(const ws_store_writer *writer, ws_stored_type type)
{
    return writer->comm.size == 1 && type != WS_STORED_TEXT && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__;
}

static ws_err open_dataset(ws_store_writer *writer, const char *path, ws_stored_type type, size_t columns)
{
    if (hashes_on_the_way(writer, type))
        WS_TRY(ws_block_hash_create(&writer->blocks[writer->dataset_count], path, ws_stored_size(type) * columns));

    hid_t dataset = H5Dopen2(writer->file, path, H5P_DEFAULT);
    WS_H5(dataset);
    writer->datasets[writer->dataset_count++] = dataset;
    return WS_OK;
}

static ws_err open_datasets(ws_store_writer *writer)
{
    for (size_t c = 0; c < writer->column_count; c++)
        WS_TRY(open_dataset(writer, writer->columns[c].path, writer->columns[c].type, 1));
    writer->feature_path = ws_format("/features/%s", writer->features.name);
    WS_CHECK(writer->feature_path != NULL, MEMORY, "no memory for the feature table %s", writer->features.name);
    WS_TRY(open_dataset(writer, writer->feature_path, WS_STORED_F32, writer->features.columns));
    for (const ws_store_column *column = ws_packet_columns; column->path != NULL; column++)
        WS_TRY(open_dataset(writer, column->path, column->type, 1));
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
/* Records of one share of the window, in order. */
typedef struct share {
    const void *records;
    uint64_t begin, count; /* numbers */
    void *owned;           /* the same memory where it is to be freed */
} share;

/* Cuts the runs where shares end: pieces in order of number, and how many pieces and records go to each rank. */
static ws_err cut_runs(const held *from, uint64_t begin, uint64_t total, int size, number_run **out, size_t *pieces,
                       size_t *records)
{
    number_run *cut;
    size_t count = 0;
    uint64_t low, high;
    int rank = 0;
    WS_TRY(WS_NEW_ARRAY(cut, from->run_count + (size_t)size));
    *out = cut;
    ws_even_split(total, size, 0, &low, &high);
    for (size_t i = 0; i < from->run_count; i++) {
        number_run run = from->runs[i];
        while (run.count > 0) {
            while (run.number - begin >= high)
                ws_even_split(total, size, ++rank, &low, &high);
            uint64_t here = run.number + run.count - begin > high ? begin + high - run.number : run.count;
            cut[count++] = (number_run){run.number, here};
            pieces[rank]++;
            records[rank] += here;
            run.number += here;
            run.count -= here;
        }
    }
    return WS_OK;
}

/* Received pieces, rank by rank, each in its place. */
static ws_err place_pieces(const number_run *pieces, size_t piece_count, const unsigned char *arrived,
                           size_t record_bytes, uint64_t begin, uint64_t count, void *ordered)
{
    for (size_t i = 0; i < piece_count; i++) {
        WS_CHECK(pieces[i].number >= begin && pieces[i].number + pieces[i].count <= begin + count, INTERNAL,
                 "rows of another rank's share arrived");
        size_t bytes = (size_t)pieces[i].count * record_bytes;
        memcpy((unsigned char *)ordered + (pieces[i].number - begin) * record_bytes, arrived, bytes);
        arrived += bytes;
    }
    return WS_OK;
}

/* Gives every rank its even share of [begin, begin + total), in order. */
static ws_err spread(const ws_comm *comm, const held *from, uint64_t begin, uint64_t total, share *out)
{
    *out = (share){from->records, begin, total, NULL};
    if (comm->size == 1)
        return WS_OK;
    const size_t size = (size_t)comm->size;
    size_t *counts = NULL, piece_count = 0;
    number_run *cut = NULL, *pieces = NULL;
    unsigned char *arrived = NULL;
    uint64_t low, high;
    ws_even_split(total, comm->size, comm->rank, &low, &high);
    out->begin = begin + low;
    out->count = high - low;
    ws_err error = WS_NEW_ARRAY(counts, 3 * size);
    if (error == WS_OK)
        error = cut_runs(from, begin, total, comm->size, &cut, counts, counts + size);
    if (error == WS_OK)
        error = ws_alloc(&out->owned, (size_t)out->count, from->record_bytes);
    WS_TRY_GOTO(done, ws_agree_all(comm, error));
    WS_TRY_GOTO(done, ws_exchange_all(comm, cut, counts, sizeof *cut, (void **)&pieces, counts + 2 * size));
    for (size_t r = 0; r < size; r++)
        piece_count += counts[2 * size + r];
    WS_TRY_GOTO(done, ws_exchange_all(comm, from->records, counts + size, from->record_bytes, (void **)&arrived,
                                      counts + 2 * size));
    WS_TRY_GOTO(done, ws_agree_all(comm, place_pieces(pieces, piece_count, arrived, from->record_bytes, out->begin,
                                                      out->count, out->owned)));
done:
    free(counts);
    free(cut);
    free(pieces);
    free(arrived);
    out->records = out->owned;
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

/* The member at `offset` of each record, packed; its size is known to the compiler, or this would be a call a value. */
#define PACK(size)                                                                                                     \
    for (uint64_t i = 0; i < count; i++)                                                                               \
    memcpy(out + i * (size), records + i * record_bytes, (size))
static void pack(const unsigned char *records, size_t record_bytes, uint64_t count, size_t bytes, unsigned char *out)
{
    switch (bytes) {
    case 1:
        PACK(1);
        break;
    case 2:
        PACK(2);
        break;
    case 4:
        PACK(4);
        break;
    case 8:
        PACK(8);
        break;
    default:
        PACK(bytes);
    }
}
#undef PACK

/* One member of the share's records to a dataset that then has `total` rows. */
static ws_err write_member(ws_store_writer *writer, size_t d, ws_stored_type type, size_t columns, const share *from,
                           size_t record_bytes, size_t offset, uint64_t total)
{
    size_t bytes = ws_stored_size(type) * columns;
    if (from->count > 0)
        pack((const unsigned char *)from->records + offset, record_bytes, from->count, bytes, writer->buffer);
    hid_t memory_type = ws_stored_memory_type(type);
    ws_err error = write_values(writer, writer->datasets[d], memory_type, columns, total, from->begin, from->count,
                                writer->buffer);
    ws_stored_release(type, memory_type);
    if (error == WS_OK && hashes_on_the_way(writer, type))
        error = ws_block_hash_add(&writer->blocks[d], writer->buffer, from->count);
    return error;
}

/* A rank that met an error goes on to the next column with the others: they would wait for it otherwise. */
static void keep_first(ws_err *error, ws_err next)
{
    if (*error == WS_OK)
        *error = next;
}

static ws_err write_rows(ws_store_writer *writer, const share *rows, const share *values)
{
    ws_err error = WS_OK;
    for (size_t c = 0; c < writer->column_count; c++)
        keep_first(&error, write_member(writer, c, writer->columns[c].type, 1, rows, sizeof(ws_store_row),
                                        writer->columns[c].offset, writer->total_rows));
    const size_t features = writer->column_count;
    keep_first(&error, writer->own_features
                           ? write_member(writer, features, WS_STORED_F32, writer->features.columns, values,
                                          writer->values.record_bytes, 0, writer->total_rows)
                           : write_member(writer, features, WS_STORED_F32, WS_FLOW20_COLUMNS, rows,
                                          sizeof(ws_store_row), offsetof(ws_store_row, features), writer->total_rows));
    return error;
}

static ws_err write_packets(ws_store_writer *writer, const share *packets)
{
    ws_err error = WS_OK;
    const size_t first = writer->column_count + 1;
    for (size_t c = 0; ws_packet_columns[c].path != NULL; c++)
        keep_first(&error, write_member(writer, first + c, ws_packet_columns[c].type, 1, packets,
                                        sizeof(ws_flow_packet), ws_packet_columns[c].offset, writer->total_packets));
    return error;
}

/* Sessions and hosts of the rank's share get their numbers. */
static ws_err number_rows(ws_store_writer *writer, ws_store_row *rows, uint64_t begin, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++)
        writer->identities[i] = rows[i].session;
    WS_TRY(ws_dense_ids_assign_all(&writer->comm, writer->sessions, writer->identities, begin, count, writer->numbers));
    for (uint64_t i = 0; i < count; i++) {
        rows[i].session_id = writer->numbers[i];
        writer->identities[i] = rows[i].host;
    }
    WS_TRY(ws_dense_ids_assign_all(&writer->comm, writer->hosts, writer->identities, begin, count, writer->numbers));
    for (uint64_t i = 0; i < count; i++)
        rows[i].host_id = writer->numbers[i];
    return WS_OK;
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
    bytes += chunked_bytes(writer->total_rows, WS_CHUNK_FLOWS, writer->features.columns * sizeof(float));
    for (size_t c = 0; ws_packet_columns[c].path != NULL; c++)
        bytes += chunked_bytes(writer->total_packets, WS_CHUNK_PACKETS, ws_stored_size(ws_packet_columns[c].type));
    return bytes;
}

/* Room for what a window of so many rows and packets needs on the way. */
static ws_err grow_buffers(ws_store_writer *writer, uint64_t rows, uint64_t packets)
{
    size_t widest = writer->features.columns * sizeof(float);
    size_t row_bytes = (size_t)rows * (widest > WS_ENDPOINT_TEXT ? widest : WS_ENDPOINT_TEXT),
           packet_bytes = (size_t)packets * 8;
    WS_TRY(WS_GROW(writer->buffer, writer->buffer_capacity, row_bytes > packet_bytes ? row_bytes : packet_bytes));
    WS_TRY(WS_GROW(writer->identities, writer->identity_capacity, rows));
    WS_TRY(WS_GROW(writer->numbers, writer->number_capacity, rows));
    return WS_OK;
}

static ws_err write_window_all(ws_store_writer *writer)
{
    share rows = {0}, packets = {0}, values = {0};
    ws_err error;
    WS_TRY_GOTO(out, spread(&writer->comm, &writer->rows, writer->written_rows,
                            writer->total_rows - writer->written_rows, &rows));
    WS_TRY_GOTO(out, spread(&writer->comm, &writer->packets, writer->written_packets,
                            writer->total_packets - writer->written_packets, &packets));
    if (writer->own_features)
        WS_TRY_GOTO(out, spread(&writer->comm, &writer->values, writer->written_rows,
                                writer->total_rows - writer->written_rows, &values));
    WS_TRY_GOTO(out, ws_agree_all(&writer->comm, grow_buffers(writer, rows.count, packets.count)));
    /* The rows are the writer's own, held or received. */
    ws_store_row *own_rows = rows.owned != NULL ? rows.owned : writer->rows.records;
    WS_TRY_GOTO(out, number_rows(writer, own_rows, rows.begin, rows.count));
    WS_TRY_GOTO(out, ws_agree_all(&writer->comm,
                                  writer->comm.rank == 0
                                      ? ws_store_reserve(writer->partial, expected_bytes(writer), &writer->reserved)
                                      : WS_OK));
    error = write_rows(writer, &rows, &values);
    keep_first(&error, write_packets(writer, &packets));
    WS_TRY_GOTO(out, ws_agree_all(&writer->comm, error));
    writer->written_rows = writer->total_rows;
    writer->written_packets = writer->total_packets;
    writer->rows.count = writer->rows.run_count = writer->packets.count = writer->packets.run_count = 0;
    writer->values.count = writer->values.run_count = 0;
out:
    free(rows.owned);
    free(packets.owned);
    free(values.owned);
    return error;
}

/* ---------------------------------------------------------------- batches */
static ws_err hold(held *held_records, uint64_t more)
{
    if (held_records->count + more > held_records->capacity) {
        unsigned char *records = held_records->records;
        WS_TRY(ws_grow(&records, &held_records->capacity, held_records->count + more, held_records->record_bytes));
        held_records->records = records;
    }
    WS_TRY(WS_GROW(held_records->runs, held_records->run_capacity, held_records->run_count + 1));
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
    WS_TRY(hold(&writer->rows, block->count));
    WS_TRY(hold(&writer->packets, packets));
    if (writer->own_features)
        WS_TRY(hold(&writer->values, block->count));
    *packet_total = packets;
    return WS_OK;
}

static void number_held(held *held_records, uint64_t number, uint64_t count)
{
    if (count > 0)
        held_records->runs[held_records->run_count++] = (number_run){number, count};
    held_records->count += count;
}

static void add_rows(ws_store_writer *writer, const ws_store_block *block, uint64_t number, uint64_t packet_number,
                     uint64_t packet_total)
{
    const ws_flow_packet *packets = block->packets;
    ws_store_row *row = (ws_store_row *)writer->rows.records + writer->rows.count;
    uint64_t packet_start = packet_number;
    for (uint64_t i = 0; i < block->count; i++, row++) {
        const ws_flow *flow = &block->flows[i];
        const float *values = writer->own_features ? block->features + i * writer->features.columns : flow->features;
        ws_row_make(&writer->maker, flow, packets, values, writer->features.columns, writer->inputs.items[flow->input],
                    row);
        row->packet_start = packet_start;
        for (size_t l = 0; l < writer->level_count; l++)
            row->labels[l] = block->labels[l * block->count + i];
        row->attempted = block->attempted == NULL ? 0 : block->attempted[i];
        packets += flow->packet_count;
        packet_start += flow->packet_count;
    }
    if (packet_total > 0)
        memcpy((ws_flow_packet *)writer->packets.records + writer->packets.count, block->packets,
               packet_total * sizeof(ws_flow_packet));
    if (writer->own_features && block->count > 0)
        memcpy((unsigned char *)writer->values.records + writer->values.count * writer->values.record_bytes,
               block->features, block->count * writer->values.record_bytes);
    if (writer->own_features)
        number_held(&writer->values, number, block->count);
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
    writer->total_rows += totals[0];
    writer->total_packets += totals[1];
    uint64_t held_bytes = (writer->total_rows - writer->written_rows) *
                              (sizeof(ws_store_row) + (writer->own_features ? writer->values.record_bytes : 0)) +
                          (writer->total_packets - writer->written_packets) * sizeof(ws_flow_packet);
    if (held_bytes < writer->window_bytes * (uint64_t)writer->comm.size)
        return WS_OK;
    const double start = ws_clock_seconds();
    WS_TRY(write_window_all(writer));
    writer->seconds += ws_clock_seconds() - start;
    return WS_OK;
}

double ws_store_writer_seconds(const ws_store_writer *writer)
{
    return writer->seconds;
}

/* ---------------------------------------------------------------- the end */
/* The last element of packet_start, which no row brings. */
static ws_err write_last_start(ws_store_writer *writer)
{
    size_t d = 0;
    while (strcmp(writer->columns[d].path, "/flows/packet_start") != 0)
        d++;
    WS_TRY(write_values(writer, writer->datasets[d], H5T_NATIVE_UINT64, 1, writer->total_rows + 1, writer->total_rows,
                        writer->comm.rank == 0, &writer->total_packets));
    if (hashes_on_the_way(writer, WS_STORED_U64))
        WS_TRY(ws_block_hash_add(&writer->blocks[d], &writer->total_packets, 1));
    return WS_OK;
}

/* The columns hashed on the way, moved to the front of `blocks`. */
static ws_err finish_blocks(ws_store_writer *writer, size_t *count)
{
    *count = 0;
    for (size_t d = 0; d < writer->dataset_total; d++) {
        if (writer->blocks[d].hash == NULL)
            continue;
        WS_TRY(ws_block_hash_finish(&writer->blocks[d]));
        ws_block_hash moved = writer->blocks[d];
        writer->blocks[d] = writer->blocks[*count];
        writer->blocks[(*count)++] = moved;
    }
    return WS_OK;
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
    WS_AGREE(comm, comm->rank == 0 && provenance->levels != NULL
                       ? ws_store_renumber(writer->partial, provenance, writer->level_count)
                       : WS_OK);
    size_t known = 0;
    WS_AGREE(comm, finish_blocks(writer, &known));
    if (provenance->levels != NULL) /* labels are no longer what was written */
        known = 0;
    WS_TRY(ws_store_hash_all(comm, writer->partial, writer->blocks, known, content_hash));
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
    free(writer->feature_path);
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
    free(writer->packets.records);
    free(writer->packets.runs);
    free(writer->buffer);
    free(writer->identities);
    free(writer->numbers);
    free(writer->path);
    free(writer->partial);
    free(writer);
    *out = NULL;
}
