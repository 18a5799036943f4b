/* store_window: the rows that ranks hold, written together. Every rank has an adjacent share of them: what it holds, where
 * that is one batch, or else an even one. It numbers the sessions and hosts of its share, packs the columns, writes them and
 * hashes its part of the columns' blocks. Ranks and windows cannot be seen in the content.
 *
 * Ranks of several machines take part in one collective write a column, which is what a parallel file system gains by. On one
 * machine each writes on its own: the kernel lets one process at a time write to a file, and in collective calls one rank
 * wrote for two while the other waited. Half of the ranks write while the others hash; these write when they are pushed, before
 * they meet other ranks again, so that they need not wait for the file. Measured there (2 ranks, 168 MB in 26 columns to a file in
 * memory, milliseconds in which a rank was writing or waited for it): collective 99, each on its own 75, half by half 50.
 */
#include "dataset/store_writer.h"

#include <stdlib.h>

/* The shares of a window: what this rank writes. Records of rows, and those that each row has besides, are shared alike. */
typedef struct window {
    ws_share shares[WS_HELD_KINDS];
    ws_share_chain row_chain, packet_chain;
    int last_row_rank, last_packet_rank; /* that hold records; -1: none */
} window;

/* ---------------------------------------------------------------- shares */
static ws_share held_share(const ws_held *held, uint64_t begin)
{
    /* Rows, which get numbers, are not lent. */
    void *records = held->lent != NULL ? (void *)(uintptr_t)held->lent : held->records;
    return (ws_share){records, held->run_count > 0 ? held->runs[0].number : begin, held->count, NULL};
}

static ws_err take_shares_all(ws_store_writer *writer, window *w)
{
    for (int k = 0; k < WS_HELD_KINDS; k++) {
        const bool packets = k == WS_HELD_PACKETS;
        const uint64_t begin = packets ? writer->written_packets : writer->written_rows,
                       total = (packets ? writer->total_packets : writer->total_rows) - begin;
        if (writer->comm.size == 1 || writer->batches <= 1)
            w->shares[k] = held_share(&writer->held[k], begin);
        else if (writer->held[k].record_bytes > 0)
            WS_TRY(ws_store_spread_all(&writer->comm, &writer->held[k], begin, total, &w->shares[k]));
    }
    return WS_OK;
}

/* counts[rank * 2 + which]: records of each rank's share. */
static ws_share_chain chain_of(const uint64_t *counts, const ws_comm *comm, int which, int *last)
{
    ws_share_chain chain = {.before = -1, .behind = -1};
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
    const uint64_t mine[2] = {w->shares[WS_HELD_ROWS].count, w->shares[WS_HELD_PACKETS].count};
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
enum { TILE_BYTES = 1 << 17 }; /* of records whose columns are packed one after the other */

static bool of_packets(const ws_written_column *column)
{
    return column->held == WS_HELD_PACKETS;
}

/* A column that is all that its records hold lies packed there. */
static bool lies_packed(const ws_store_writer *writer, const ws_written_column *column)
{
    return column->row_bytes == writer->held[column->held].record_bytes;
}

/* Of a share's column in the buffer. */
static size_t packed_bytes(const ws_store_writer *writer, const window *w, const ws_written_column *column)
{
    return lies_packed(writer, column) ? 0 : (column->row_bytes * w->shares[column->held].count + 63) / 64 * 64;
}

static ws_err grow_buffers(ws_store_writer *writer, const window *w)
{
    size_t bytes = 0;
    for (size_t c = 0; c < writer->column_count; c++)
        bytes += packed_bytes(writer, w, &writer->columns[c]);
    WS_TRY(WS_GROW(writer->buffer, writer->buffer_capacity, bytes));
    WS_TRY(WS_GROW(writer->tile, writer->tile_capacity, TILE_BYTES));
    unsigned char *at = writer->buffer;
    for (size_t c = 0; c < writer->column_count; c++) {
        ws_written_column *column = &writer->columns[c];
        column->packed = lies_packed(writer, column) ? w->shares[column->held].records : at;
        at += packed_bytes(writer, w, column);
        WS_TRY(ws_block_hash_reserve(&writer->blocks[c], w->shares[column->held].count));
    }
    WS_TRY(WS_GROW(writer->identities, writer->identity_capacity, w->shares[WS_HELD_ROWS].count));
    WS_TRY(WS_GROW(writer->numbers, writer->number_capacity, w->shares[WS_HELD_ROWS].count));
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
    for (size_t c = 0; c < writer->column_count; c++) {
        const ws_written_column *column = &writer->columns[c];
        bytes += of_packets(column)
                     ? chunked_bytes(writer->total_packets, WS_CHUNK_PACKETS, column->row_bytes)
                     : chunked_bytes(writer->total_rows + 1, ws_chunk_rows(column->row_bytes), column->row_bytes);
    }
    return bytes;
}

static ws_err reserve_all(ws_store_writer *writer)
{
    const uint64_t bytes = expected_bytes(writer);
    ws_err local = ws_store_check_limit(writer->partial, bytes);
    if (local == WS_OK && writer->comm.rank == 0)
        local = ws_store_reserve(writer->partial, bytes, &writer->reserved);
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

static unsigned char *put(unsigned char *out, const ws_flow_packet *first, const ws_flow_packet *end)
{
    const size_t bytes = (size_t)(end - first) * sizeof *first;
    memcpy(out, first, bytes);
    return out + bytes;
}

/* Packets of rows that are still to be packed. */
typedef struct packet_run {
    const ws_row_source *row;
    uint32_t taken; /* of its packets */
} packet_run;

/* So many that follow: where they are if they lie together, or else copied to `room`. */
static const void *take_packets(packet_run *run, uint64_t count, unsigned char *room)
{
    const ws_flow_packet *first = NULL, *end = NULL;
    unsigned char *out = room;
    while (count > 0) {
        const ws_flow_packet *next = run->row->packets + run->taken;
        const uint32_t left = run->row->flow->packet_count - run->taken, here = left < count ? left : (uint32_t)count;
        if (here > 0 && next != end) {
            if (first != end)
                out = put(out, first, end);
            first = next;
        }
        end = here > 0 ? next + here : end;
        count -= here;
        run->taken += here;
        if (here == left)
            *run = (packet_run){run->row + 1, 0};
    }
    if (out == room)
        return first;
    put(out, first, end);
    return room;
}

/* Some records after the other, all columns of each: they stay in the cache meanwhile. */
static void pack_held(ws_store_writer *writer, ws_held_kind held, const ws_share *share)
{
    const size_t record_bytes = writer->held[held].record_bytes;
    const uint64_t tile = record_bytes > 0 && record_bytes < TILE_BYTES ? TILE_BYTES / record_bytes : 1;
    packet_run run = {held == WS_HELD_PACKETS ? writer->held[held].lent : NULL, 0};
    for (uint64_t at = 0; at < share->count; at += tile) {
        const uint64_t here = share->count - at < tile ? share->count - at : tile;
        const unsigned char *records = run.row != NULL ? take_packets(&run, here, writer->tile)
                                                       : (const unsigned char *)share->records + at * record_bytes;
        for (size_t c = 0; c < writer->column_count; c++) {
            const ws_written_column *column = &writer->columns[c];
            if (column->held == held && !lies_packed(writer, column))
                pack(records + column->offset, record_bytes, here, column->row_bytes,
                     column->packed + at * column->row_bytes);
        }
    }
}

/* ---------------------------------------------------------------- writing */
/* Collective, whoever writes what. */
static ws_err extend(const ws_written_column *column, uint64_t rows)
{
    const hsize_t extent[3] = {rows, column->shape[0], column->shape[1]};
    WS_H5(H5Dset_extent(column->dataset, extent));
    return WS_OK;
}

/* Rows [begin, begin + count) of a column that has them; collective, also with count 0, unless ranks write apart. */
static ws_err write_values(const ws_store_writer *writer, const ws_written_column *column, uint64_t begin,
                           uint64_t count, const void *values)
{
    ws_err error = WS_OK;
    const hsize_t *row = column->shape, start[3] = {begin, 0, 0}, size[3] = {count, row[0], row[1]};
    hid_t file_space = -1, memory_space = -1, memory_type = ws_stored_memory_type(column->type);
    WS_H5_GOTO(out, file_space = H5Dget_space(column->dataset));
    WS_H5_GOTO(out, memory_space = H5Screate_simple(column->dimensions, size, NULL));
    if (count == 0) {
        WS_H5_GOTO(out, H5Sselect_none(file_space));
        WS_H5_GOTO(out, H5Sselect_none(memory_space));
    } else {
        WS_H5_GOTO(out, H5Sselect_hyperslab(file_space, H5S_SELECT_SET, start, NULL, size, NULL));
    }
    WS_H5_GOTO(out, H5Dwrite(column->dataset, memory_type, memory_space, file_space,
                             writer->apart ? H5P_DEFAULT : writer->collective, values));
out:
    if (file_space >= 0)
        H5Sclose(file_space);
    if (memory_space >= 0)
        H5Sclose(memory_space);
    ws_stored_release(column->type, memory_type);
    return error;
}

/* A rank that met an error goes on to the next column with the others: they would wait for it otherwise. */
static ws_err extend_columns(const ws_store_writer *writer)
{
    ws_err error = WS_OK;
    for (size_t c = 0; c < writer->column_count; c++) {
        const ws_written_column *column = &writer->columns[c];
        ws_err next = extend(column, of_packets(column) ? writer->total_packets : writer->total_rows);
        error = error == WS_OK ? next : error;
    }
    return error;
}

/* Late: those in the buffer. The others lie with the records, which do not outlive the window. */
typedef enum which_columns { ALL_COLUMNS, COLUMNS_AT_ONCE, COLUMNS_LATE } which_columns;

static ws_err write_columns(const ws_store_writer *writer, const ws_share *shares, which_columns which)
{
    ws_err error = WS_OK;
    for (size_t c = 0; c < writer->column_count; c++) {
        const ws_written_column *column = &writer->columns[c];
        const ws_share *share = &shares[column->held];
        if (which == (lies_packed(writer, column) ? COLUMNS_LATE : COLUMNS_AT_ONCE))
            continue;
        ws_err next = write_values(writer, column, share->begin, share->count, column->packed);
        error = error == WS_OK ? next : error;
    }
    return error;
}

static ws_err hash_columns(ws_store_writer *writer, window *w)
{
    const size_t of_rows = writer->row_column_count;
    const ws_share *rows = &w->shares[WS_HELD_ROWS], *packets = &w->shares[WS_HELD_PACKETS];
    const void *values[WS_WRITTEN_COLUMNS_MAX];
    for (size_t c = 0; c < writer->column_count; c++)
        values[c] = writer->columns[c].packed;
    const ws_hashed_rows shares[] = {{writer->blocks, of_rows, &w->row_chain, rows->begin, rows->count, values},
                                     {writer->blocks + of_rows, writer->column_count - of_rows, &w->packet_chain,
                                      packets->begin, packets->count, values + of_rows}};
    WS_TRY(ws_block_hash_add(&writer->comm, shares, 2));
    return WS_OK;
}

static ws_err carry_hashes_all(ws_store_writer *writer)
{
    const size_t of_rows = writer->row_column_count;
    const int rows = writer->late.last_row_rank, packets = writer->late.last_packet_rank;
    writer->late.last_row_rank = writer->late.last_packet_rank = -1;
    if (rows >= 0)
        WS_TRY(ws_block_hash_carry_all(&writer->comm, writer->blocks, of_rows, rows));
    if (packets >= 0)
        WS_TRY(
            ws_block_hash_carry_all(&writer->comm, writer->blocks + of_rows, writer->column_count - of_rows, packets));
    return WS_OK;
}

/* Writing and hashing the same columns at once: one thread calls HDF5, another hashes. */
typedef struct column_work {
    ws_store_writer *writer;
    window *w;
    ws_err written, hashed;
} column_work;

static void write_or_hash(void *context, int part, int thread)
{
    column_work *work = context;
    (void)thread;
    if (part == 0) {
        work->written = extend_columns(work->writer);
        if (work->written == WS_OK)
            work->written = write_columns(work->writer, work->w->shares, ALL_COLUMNS);
    } else
        work->hashed = hash_columns(work->writer, work->w);
}

/* The first half hashes while the other half writes, and writes when it is pushed; a rank's hash waits for the ranks before it
 * only. What fails is kept, since the ranks go on and meet later. */
static void put_columns_apart(ws_store_writer *writer, window *w)
{
    ws_late_window *late = &writer->late;
    late->writes = writer->comm.rank < writer->comm.size / 2;
    for (int k = 0; k < WS_HELD_KINDS; k++)
        late->shares[k] = (ws_share){.begin = w->shares[k].begin, .count = w->shares[k].count};
    if (!late->writes)
        ws_error_keep(&late->failure, write_columns(writer, w->shares, ALL_COLUMNS));
    ws_error_keep(&late->failure, hash_columns(writer, w));
    if (late->writes)
        ws_error_keep(&late->failure, write_columns(writer, w->shares, COLUMNS_AT_ONCE));
    late->sending[0] = w->row_chain.sending;
    late->sending[1] = w->packet_chain.sending;
}

ws_err ws_store_writer_push(ws_store_writer *writer)
{
    ws_late_window *late = &writer->late;
    const double start = ws_clock_seconds();
    if (late->writes)
        ws_error_keep(&late->failure, write_columns(writer, late->shares, COLUMNS_LATE));
    late->writes = false;
    writer->seconds += ws_clock_seconds() - start;
    WS_TRY(ws_error_tell(&late->failure));
    return WS_OK;
}

ws_err ws_store_settle_window_all(ws_store_writer *writer)
{
    for (int i = 0; i < 2; i++) /* the rank behind has taken it when it comes here */
        ws_error_keep(&writer->late.failure, ws_send_end(&writer->late.sending[i]));
    WS_AGREE(&writer->comm, ws_store_writer_push(writer));
    WS_TRY(carry_hashes_all(writer));
    return WS_OK;
}

static ws_err put_columns_all(ws_store_writer *writer, window *w)
{
    const ws_comm *comm = &writer->comm;
    if (writer->threads == NULL)
        WS_AGREE(comm, extend_columns(writer));
    if (writer->threads == NULL && writer->apart) {
        put_columns_apart(writer, w);
        return WS_OK;
    }
    if (writer->threads == NULL) {
        ws_err written = write_columns(writer, w->shares, ALL_COLUMNS), hashed = hash_columns(writer, w);
        const ws_err rows = ws_send_end(&w->row_chain.sending), packets = ws_send_end(&w->packet_chain.sending);
        WS_AGREE(comm, written != WS_OK ? written : hashed != WS_OK ? hashed : rows != WS_OK ? rows : packets);
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
    WS_TRY(ws_store_settle_window_all(writer));
    WS_TRY(take_shares_all(writer, w));
    WS_TRY(link_shares_all(comm, w));
    WS_AGREE(comm, grow_buffers(writer, w));
    WS_TRY(number_rows_all(writer, &w->shares[WS_HELD_ROWS]));
    WS_TRY(reserve_all(writer));
    for (int k = 0; k < WS_HELD_KINDS; k++)
        pack_held(writer, (ws_held_kind)k, &w->shares[k]);
    WS_TRY(put_columns_all(writer, w));
    writer->late.last_row_rank = w->last_row_rank;
    writer->late.last_packet_rank = w->last_packet_rank;
    return WS_OK;
}

ws_err ws_store_write_window_all(ws_store_writer *writer)
{
    window w = {0};
    ws_err error = write_shares_all(writer, &w);
    for (int k = 0; k < WS_HELD_KINDS; k++) {
        free(w.shares[k].owned);
        writer->held[k].lent = NULL;
    }
    WS_TRY(error);
    writer->batches = 0;
    writer->written_rows = writer->total_rows;
    writer->written_packets = writer->total_packets;
    for (int k = 0; k < WS_HELD_KINDS; k++)
        writer->held[k].count = writer->held[k].run_count = 0;
    return WS_OK;
}

static const char packet_start[] = "/flows/packet_start";

uint64_t ws_store_column_rows(const ws_store_writer *writer, size_t column)
{
    const ws_written_column *about = &writer->columns[column];
    return of_packets(about) ? writer->total_packets : writer->total_rows + (strcmp(about->path, packet_start) == 0);
}

ws_err ws_store_write_last_start_all(ws_store_writer *writer)
{
    const bool mine = writer->comm.rank == 0;
    ws_share_chain alone = {.before = -1, .behind = -1};
    const ws_written_column *column = ws_store_column_find(writer, packet_start);
    const void *const value = &writer->total_packets;
    ws_err local = extend(column, writer->total_rows + 1);
    if (local == WS_OK)
        local = write_values(writer, column, writer->total_rows, mine, &writer->total_packets);
    const ws_hashed_rows last = {&writer->blocks[column - writer->columns], 1, &alone, writer->total_rows, 1, &value};
    if (local == WS_OK && mine) /* every rank has the state */
        local = ws_block_hash_add(&writer->comm, &last, 1);
    WS_AGREE(&writer->comm, local);
    return WS_OK;
}
