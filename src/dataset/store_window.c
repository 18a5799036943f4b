/* store_window: the rows that ranks hold, written together. Every rank has an adjacent share of them: what it holds, where
 * that is one batch, or else an even one. It numbers the sessions and hosts of its share, packs the columns, takes part in one
 * collective write a column and hashes its part of the column's blocks. Ranks and windows cannot be seen in the content.
 *
 * Measured on one machine (2 ranks, 40 MB in 27 columns to a file in memory; ms, best of three): collective writes by OMPIO
 * 22.5, by ROMIO 23.5, each rank on its own 19.7, contiguous datasets 21.5, one chunk a block 27.7, one rank alone 26.5, and
 * plain pwrite calls at the chunks' places 23.2. The kernel lets one process at a time write to a file, so that none is
 * faster than the rest; collective calls are what a parallel file system gains by.
 */
#include "dataset/store_writer.h"

#include <stdlib.h>

/* The shares of a window: what this rank writes. */
typedef struct window {
    ws_share rows, packets, values, views;
    ws_share_chain row_chain, packet_chain;
    int last_row_rank, last_packet_rank; /* that hold records; -1: none */
} window;

/* ---------------------------------------------------------------- shares */
static ws_share held_share(const ws_held *held, uint64_t begin)
{
    return (ws_share){held->records, held->run_count > 0 ? held->runs[0].number : begin, held->count, NULL};
}

static ws_err take_shares_all(ws_store_writer *writer, window *w)
{
    const uint64_t rows = writer->total_rows - writer->written_rows,
                   packets = writer->total_packets - writer->written_packets;
    if (writer->comm.size == 1 || writer->batches <= 1) {
        w->rows = held_share(&writer->rows, writer->written_rows);
        w->packets = held_share(&writer->packets, writer->written_packets);
        w->values = held_share(&writer->values, writer->written_rows);
        w->views = held_share(&writer->views, writer->written_rows);
        return WS_OK;
    }
    WS_TRY(ws_store_spread_all(&writer->comm, &writer->rows, writer->written_rows, rows, &w->rows));
    WS_TRY(ws_store_spread_all(&writer->comm, &writer->packets, writer->written_packets, packets, &w->packets));
    if (writer->values.record_bytes > 0)
        WS_TRY(ws_store_spread_all(&writer->comm, &writer->values, writer->written_rows, rows, &w->values));
    if (writer->byte_view.packets > 0)
        WS_TRY(ws_store_spread_all(&writer->comm, &writer->views, writer->written_rows, rows, &w->views));
    return WS_OK;
}

/* counts[rank * 2 + which]: records of each rank's share. */
static ws_share_chain chain_of(const uint64_t *counts, const ws_comm *comm, int which, int *last)
{
    ws_share_chain chain = {-1, -1};
    *last = -1;
    for (int r = 0; r < comm->size; r++) {
        if (counts[r * 2 + which] == 0)
            continue;
        *last = r;
        if (r < comm->rank)
            chain.before = r;
        else if (r > comm->rank && chain.behind < 0)
            chain.behind = r;
    }
    return chain;
}

static ws_err link_shares_all(const ws_comm *comm, window *w)
{
    const uint64_t mine[2] = {w->rows.count, w->packets.count};
    uint64_t *counts = NULL;
    WS_AGREE(comm, WS_NEW_ARRAY(counts, 2 * (size_t)comm->size));
    ws_err error = ws_gather_equal_all(comm, mine, sizeof mine, counts);
    w->row_chain = chain_of(counts, comm, 0, &w->last_row_rank);
    w->packet_chain = chain_of(counts, comm, 1, &w->last_packet_rank);
    free(counts);
    WS_TRY(error);
    return WS_OK;
}

/* ---------------------------------------------------------------- what must be had before anything is written */
static bool of_packets(const ws_store_writer *writer, size_t d)
{
    return d >= writer->row_datasets;
}

/* NULL: the dataset is no feature table. */
static const ws_feature_table *table_of(const ws_store_writer *writer, size_t d)
{
    return d >= writer->column_count && d < writer->column_count + writer->table_count
               ? &writer->tables[d - writer->column_count]
               : NULL;
}

/* A table that is all that `values` holds lies packed there. */
static bool lies_packed(const ws_store_writer *writer, size_t d)
{
    const ws_feature_table *table = table_of(writer, d);
    return table != NULL && !(writer->flow20 && d == writer->column_count) &&
           writer->values.record_bytes == table->columns * sizeof(float);
}

/* NULL: the dataset is none of the byte view. */
static const ws_byte_column *byte_column(const ws_store_writer *writer, size_t d)
{
    const size_t first = writer->column_count + writer->table_count;
    return d >= first && d < writer->row_datasets ? &writer->byte_columns[d - first] : NULL;
}

static ws_stored_type dataset_type(const ws_store_writer *writer, size_t d)
{
    if (table_of(writer, d) != NULL)
        return WS_STORED_F32;
    if (byte_column(writer, d) != NULL)
        return byte_column(writer, d)->type;
    return of_packets(writer, d) ? ws_packet_columns[d - writer->row_datasets].type : writer->columns[d].type;
}

/* Of a row: its dimensions, 1 where the dataset has fewer than 3. */
static void dataset_shape(const ws_store_writer *writer, size_t d, hsize_t shape[2])
{
    const ws_byte_column *bytes = byte_column(writer, d);
    const ws_feature_table *table = table_of(writer, d);
    shape[0] = table != NULL ? table->columns : bytes != NULL ? writer->byte_view.packets : 1;
    shape[1] = bytes != NULL ? bytes->width : 1;
}

static size_t dataset_row_bytes(const ws_store_writer *writer, size_t d)
{
    hsize_t shape[2];
    dataset_shape(writer, d, shape);
    return ws_stored_size(dataset_type(writer, d)) * (size_t)(shape[0] * shape[1]);
}

/* Of a share's column in the buffer. */
static size_t packed_bytes(const ws_store_writer *writer, const window *w, size_t d)
{
    if (lies_packed(writer, d))
        return 0;
    const uint64_t count = of_packets(writer, d) ? w->packets.count : w->rows.count;
    return (dataset_row_bytes(writer, d) * count + 63) / 64 * 64;
}

static ws_err grow_buffers(ws_store_writer *writer, const window *w)
{
    size_t bytes = 0;
    for (size_t d = 0; d < writer->dataset_total; d++)
        bytes += packed_bytes(writer, w, d);
    WS_TRY(WS_GROW(writer->buffer, writer->buffer_capacity, bytes));
    unsigned char *at = writer->buffer;
    for (size_t d = 0; d < writer->dataset_total; d++) {
        writer->packed[d] = at;
        at += packed_bytes(writer, w, d);
        WS_TRY(ws_block_hash_reserve(&writer->blocks[d], of_packets(writer, d) ? w->packets.count : w->rows.count));
    }
    WS_TRY(WS_GROW(writer->identities, writer->identity_capacity, w->rows.count));
    WS_TRY(WS_GROW(writer->numbers, writer->number_capacity, w->rows.count));
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
    for (size_t d = 0; d < writer->dataset_total; d++)
        bytes += of_packets(writer, d)
                     ? chunked_bytes(writer->total_packets, WS_CHUNK_PACKETS, dataset_row_bytes(writer, d))
                     : chunked_bytes(writer->total_rows + 1, ws_chunk_rows(dataset_row_bytes(writer, d)),
                                     dataset_row_bytes(writer, d));
    return bytes;
}

static ws_err reserve_all(ws_store_writer *writer)
{
    ws_err local = WS_OK;
    if (writer->comm.rank == 0)
        local = ws_store_reserve(writer->partial, expected_bytes(writer), &writer->reserved);
    WS_AGREE(&writer->comm, local);
    return WS_OK;
}

/* Sessions and hosts of the rank's share get their numbers. */
static ws_err number_rows_all(ws_store_writer *writer, const ws_share *share)
{
    ws_store_row *rows = share->records;
    const uint64_t begin = writer->earlier_rows + share->begin, count = share->count;
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

/* ---------------------------------------------------------------- packing */
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
    case WS_FLOW20_COLUMNS * sizeof(float):
        PACK(WS_FLOW20_COLUMNS * sizeof(float));
        break;
    default:
        PACK(bytes);
    }
}
#undef PACK

/* Some records after the other, all columns of each: they stay in the cache meanwhile. */
static void pack_columns(const ws_store_column *columns, size_t column_count, const ws_share *share,
                         size_t record_bytes, unsigned char *const *out)
{
    enum { TILE_BYTES = 1 << 17 };
    const uint64_t tile = TILE_BYTES / record_bytes;
    for (uint64_t at = 0; at < share->count; at += tile) {
        const uint64_t here = share->count - at < tile ? share->count - at : tile;
        const unsigned char *records = (const unsigned char *)share->records + at * record_bytes;
        for (size_t c = 0; c < column_count; c++) {
            const size_t bytes = ws_stored_size(columns[c].type);
            pack(records + columns[c].offset, record_bytes, here, bytes, out[c] + at * bytes);
        }
    }
}

static void pack_tables(ws_store_writer *writer, const window *w)
{
    size_t offset = 0;
    for (size_t t = 0; t < writer->table_count && w->rows.count > 0; t++) {
        const size_t d = writer->column_count + t, bytes = dataset_row_bytes(writer, d);
        if (t == 0 && writer->flow20) {
            pack((const unsigned char *)w->rows.records + offsetof(ws_store_row, features), sizeof(ws_store_row),
                 w->rows.count, bytes, writer->packed[d]);
            continue;
        }
        if (lies_packed(writer, d))
            writer->packed[d] = w->values.records;
        else
            pack((const unsigned char *)w->values.records + offset, writer->values.record_bytes, w->rows.count, bytes,
                 writer->packed[d]);
        offset += bytes;
    }
}

static void pack_share(ws_store_writer *writer, const window *w)
{
    pack_columns(writer->columns, writer->column_count, &w->rows, sizeof(ws_store_row), writer->packed);
    pack_columns(ws_packet_columns, writer->dataset_total - writer->row_datasets, &w->packets, sizeof(ws_flow_packet),
                 writer->packed + writer->row_datasets);
    for (size_t d = writer->column_count + writer->table_count; d < writer->row_datasets; d++)
        pack((const unsigned char *)w->views.records + byte_column(writer, d)->offset, writer->views.record_bytes,
             w->views.count, dataset_row_bytes(writer, d), writer->packed[d]);
    pack_tables(writer, w);
}

/* ---------------------------------------------------------------- writing */
/* Rows [begin, begin + count) of a dataset that then has `total` rows; collective, also with count 0. */
static ws_err write_values(const ws_store_writer *writer, size_t d, hid_t memory_type, uint64_t total, uint64_t begin,
                           uint64_t count, const void *values)
{
    ws_err error = WS_OK;
    const hid_t dataset = writer->datasets[d];
    hsize_t row[2];
    dataset_shape(writer, d, row);
    const int dimensions = byte_column(writer, d) != NULL ? 3 : table_of(writer, d) != NULL ? 2 : 1;
    const hsize_t extent[3] = {total, row[0], row[1]}, start[3] = {begin, 0, 0}, size[3] = {count, row[0], row[1]};
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

/* A rank that met an error goes on to the next column with the others: they would wait for it otherwise. */
static ws_err write_columns(const ws_store_writer *writer, const window *w)
{
    ws_err error = WS_OK;
    for (size_t d = 0; d < writer->dataset_total; d++) {
        const bool packets = of_packets(writer, d);
        const ws_share *share = packets ? &w->packets : &w->rows;
        const ws_stored_type type = dataset_type(writer, d);
        hid_t memory_type = ws_stored_memory_type(type);
        ws_err next = write_values(writer, d, memory_type, packets ? writer->total_packets : writer->total_rows,
                                   share->begin, share->count, writer->packed[d]);
        ws_stored_release(type, memory_type);
        error = error == WS_OK ? next : error;
    }
    return error;
}

static ws_err hash_columns(ws_store_writer *writer, const window *w)
{
    for (size_t d = 0; d < writer->dataset_total; d++) {
        const bool packets = of_packets(writer, d);
        const ws_share *share = packets ? &w->packets : &w->rows;
        WS_TRY(ws_block_hash_add(&writer->comm, &writer->blocks[d], packets ? &w->packet_chain : &w->row_chain,
                                 share->begin, share->count, writer->packed[d]));
    }
    return WS_OK;
}

static ws_err carry_hashes_all(ws_store_writer *writer, const window *w)
{
    const size_t of_rows = writer->row_datasets;
    if (w->last_row_rank >= 0)
        WS_TRY(ws_block_hash_carry_all(&writer->comm, writer->blocks, of_rows, w->last_row_rank));
    if (w->last_packet_rank >= 0)
        WS_TRY(ws_block_hash_carry_all(&writer->comm, writer->blocks + of_rows, writer->dataset_total - of_rows,
                                       w->last_packet_rank));
    return WS_OK;
}

/* Writing and hashing the same columns at once: one thread calls HDF5, another hashes. */
typedef struct column_work {
    ws_store_writer *writer;
    const window *w;
    ws_err written, hashed;
} column_work;

static void write_or_hash(void *context, int part, int thread)
{
    column_work *work = context;
    (void)thread;
    if (part == 0)
        work->written = write_columns(work->writer, work->w);
    else
        work->hashed = hash_columns(work->writer, work->w);
}

static ws_err put_columns_all(ws_store_writer *writer, const window *w)
{
    const ws_comm *comm = &writer->comm;
    if (writer->threads == NULL) {
        WS_AGREE(comm, write_columns(writer, w));
        WS_AGREE(comm, hash_columns(writer, w));
        return WS_OK;
    }
    column_work work = {.writer = writer, .w = w};
    ws_shard_threads_run(writer->threads, 0, 2, write_or_hash, &work);
    WS_TRY(work.written);
    WS_CHECK(work.hashed == WS_OK, INTERNAL, "the columns of %s cannot be hashed",
             writer->path); /* room was made before */
    return WS_OK;
}

static ws_err write_shares_all(ws_store_writer *writer, window *w)
{
    const ws_comm *comm = &writer->comm;
    WS_TRY(take_shares_all(writer, w));
    WS_TRY(link_shares_all(comm, w));
    WS_AGREE(comm, grow_buffers(writer, w));
    WS_TRY(number_rows_all(writer, &w->rows));
    WS_TRY(reserve_all(writer));
    pack_share(writer, w);
    WS_TRY(put_columns_all(writer, w));
    WS_TRY(carry_hashes_all(writer, w));
    return WS_OK;
}

ws_err ws_store_write_window_all(ws_store_writer *writer)
{
    window w = {0};
    ws_err error = write_shares_all(writer, &w);
    free(w.rows.owned);
    free(w.packets.owned);
    free(w.values.owned);
    free(w.views.owned);
    WS_TRY(error);
    writer->batches = 0;
    writer->written_rows = writer->total_rows;
    writer->written_packets = writer->total_packets;
    writer->rows.count = writer->rows.run_count = writer->packets.count = writer->packets.run_count = 0;
    writer->values.count = writer->values.run_count = 0;
    writer->views.count = writer->views.run_count = 0;
    return WS_OK;
}

static bool is_packet_start(const ws_store_writer *writer, size_t d)
{
    return d < writer->column_count && strcmp(writer->columns[d].path, "/flows/packet_start") == 0;
}

uint64_t ws_store_dataset_rows(const ws_store_writer *writer, size_t d)
{
    return of_packets(writer, d) ? writer->total_packets : writer->total_rows + is_packet_start(writer, d);
}

ws_err ws_store_write_last_start_all(ws_store_writer *writer)
{
    const bool mine = writer->comm.rank == 0;
    const ws_share_chain alone = {-1, -1};
    size_t d = 0;
    while (!is_packet_start(writer, d))
        d++;
    ws_err local = write_values(writer, d, H5T_NATIVE_UINT64, writer->total_rows + 1, writer->total_rows, mine,
                                &writer->total_packets);
    if (local == WS_OK && mine) /* every rank has the state */
        local =
            ws_block_hash_add(&writer->comm, &writer->blocks[d], &alone, writer->total_rows, 1, &writer->total_packets);
    WS_AGREE(&writer->comm, local);
    return WS_OK;
}
