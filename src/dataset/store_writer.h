/* Inside the store's writer: what its files share.
 *
 *   store_write.c   begins a store, takes batches, ends it
 *   store_window.c  writes and hashes what was held, all ranks together
 *   store_spread.c  gives every rank adjacent rows where it holds scattered ones
 *   store_ids.c, store_blocks.c, store_space.c, store_provenance.c  see store_layout.h
 */
#ifndef WS_DATASET_STORE_WRITER_H
#define WS_DATASET_STORE_WRITER_H

#include "dataset/store_layout.h"

/* Records with consecutive numbers, of those a rank holds. */
typedef struct ws_number_run {
    uint64_t number, count;
} ws_number_run;

/* Rows or packets of this rank's part of the window, ascending. */
typedef struct ws_held {
    void *records;
    size_t count, capacity, record_bytes;
    ws_number_run *runs;
    size_t run_count, run_capacity;
} ws_held;

/* Records of one share of the window, in order. */
typedef struct ws_share {
    void *records;
    uint64_t begin, count; /* numbers */
    void *owned;           /* the same memory where it is to be freed */
} ws_share;
/* Gives every rank its even share of [begin, begin + total), in order. */
WS_MUST ws_err ws_store_spread_all(const ws_comm *comm, const ws_held *from, uint64_t begin, uint64_t total,
                                   ws_share *out);

struct ws_store_writer {
    ws_comm comm;
    ws_store_writer_options options; /* what it points to is the caller's until finish */
    char *path, *partial;
    uint64_t segment;             /* that is being written; those before it are whole files of the same folder */
    uint64_t earlier_rows;        /* in those that this writer wrote, or was told of */
    ws_string_list inputs;        /* borrowed from the caller until finish */
    const ws_label_level *levels; /* borrowed */
    size_t level_count;
    ws_store_summary summary; /* of this rank's rows until finish */
    uint64_t window_bytes;
    ws_row_maker maker;
    ws_dense_ids *sessions, *hosts;
    ws_shard_threads *threads; /* of a rank that is alone: it hashes while it writes; NULL: ranks share the cores */
    hid_t file, collective;
    ws_store_column *
        columns; /* of ws_store_row; the first column_count of `datasets`; behind them the feature tables, bytes where kept, then packets */
    hid_t *datasets;
    size_t column_count, dataset_count, dataset_total; /* datasets: open now, in all */
    size_t row_datasets;                               /* those in front: columns, features, bytes */
    ws_block_hash *blocks;                             /* of the datasets */
    char **names;                                      /* of label columns, owned */
    ws_held rows, packets;                             /* of ws_store_row, of ws_flow_packet */
    ws_held values; /* of the feature tables, one after another; flow20, the first where it is one, lies in the rows */
    ws_held views;  /* of ws_byte_record_size; with byte_view.packets > 0 */
    ws_byte_view byte_view;
    ws_byte_column byte_columns[WS_BYTE_COLUMNS];
    ws_feature_table tables[WS_FEATURE_TABLES_MAX];
    char *table_paths[WS_FEATURE_TABLES_MAX]; /* owned */
    size_t table_count;
    bool flow20;
    unsigned char **packed; /* [dataset_total] columns of a share on their way to the file, in `buffer` */
    unsigned char *buffer;
    size_t buffer_capacity;
    ws_identity *identities; /* of the window's rows, and their numbers */
    uint32_t *numbers;
    size_t identity_capacity, number_capacity;
    uint64_t batches;                                                  /* in the window */
    uint64_t total_rows, total_packets, written_rows, written_packets; /* the same on every rank */
    uint64_t reserved;                                                 /* of the file, by rank 0 */
    double seconds;                                                    /* in windows */
    bool sealed;
};

/* What is held goes to the file. */
WS_MUST ws_err ws_store_write_window_all(ws_store_writer *writer);
uint64_t ws_store_dataset_rows(const ws_store_writer *writer, size_t d); /* with that one more row */
/* One more row of /flows/packet_start behind those of all windows. */
WS_MUST ws_err ws_store_write_last_start_all(ws_store_writer *writer);

#endif
