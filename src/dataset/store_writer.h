/* Inside the store's writer: what its files share.
 *
 *   store_write.c   begins a store, takes batches, ends it
 *   store_window.c  writes and hashes what was held, all ranks together
 *   store_columns.c lists the columns and where their values lie until then
 *   store_spread.c  gives every rank adjacent rows where it holds scattered ones
 *   store_append.c  goes on behind the rows of a store that is there
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
    const void
        *lent; /* where the records of a batch lie that is a window by itself, of packets their rows' ws_row_source;
                       * NULL: in `records` */
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

/* What a rank holds of the window: records of rows, of the feature tables of a row but for flow20, of the byte view of a row
 * (ws_byte_record_size), of packets. */
typedef enum ws_held_kind { WS_HELD_ROWS, WS_HELD_VALUES, WS_HELD_VIEWS, WS_HELD_PACKETS, WS_HELD_KINDS } ws_held_kind;

/* What is left to do of the window before. */
typedef struct ws_late_window {
    bool writes; /* this rank writes those of its columns that lie in the writer's buffer when it is pushed */
    ws_share shares[WS_HELD_KINDS];      /* of these; only where they begin and how many they are */
    int last_row_rank, last_packet_rank; /* whose states of hashes all ranks get; -1: there are none */
    ws_sending *sending[2];              /* states of hashes for the rank behind */
    ws_kept_error failure;               /* not told to the other ranks yet */
} ws_late_window;

enum { WS_WRITTEN_COLUMNS_MAX = 64 + WS_LABEL_LEVELS_MAX + WS_FEATURE_TABLES_MAX };
typedef struct ws_written_column {
    char *path; /* owned */
    ws_stored_type type;
    ws_held_kind held; /* in whose records it lies */
    size_t offset;     /* there */
    int dimensions;    /* of its dataset */
    hsize_t shape[2];  /* of a record's values; 1 where the dataset has fewer dimensions */
    size_t row_bytes;
    hid_t dataset;         /* -1 while the file is closed */
    unsigned char *packed; /* the share of a window on its way to the file: in `buffer`, or the records themselves */
} ws_written_column;

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
    bool apart; /* columns are written by every rank on its own, not in collective calls */
    ws_written_column *columns;
    size_t column_count, row_column_count; /* in all; in front, but for those of packets */
    ws_block_hash *blocks;                 /* [column_count] */
    ws_held held[WS_HELD_KINDS];
    ws_late_window late;
    unsigned char *buffer, *tile; /* columns; records that are brought together to be packed */
    size_t buffer_capacity, tile_capacity;
    ws_identity *identities; /* of the window's rows, and their numbers */
    uint32_t *numbers;
    size_t identity_capacity, number_capacity;
    uint64_t batches;                                                  /* in the window */
    uint64_t total_rows, total_packets, written_rows, written_packets; /* the same on every rank */
    uint64_t reserved;                                                 /* of the file, by rank 0 */
    double seconds;                                                    /* in windows */
    bool sealed;
    bool knows_hosts;    /* with options.append_to: its hosts are known again */
    uint64_t apart_from; /* its rows */
};

/* store_columns.c */
WS_MUST ws_err ws_store_columns_list(ws_store_writer *writer); /* of writer->options, once `maker` is made */
WS_MUST ws_err ws_store_columns_open(ws_store_writer *writer);
WS_MUST ws_err ws_store_columns_close(ws_store_writer *writer);
void ws_store_columns_destroy(ws_store_writer *writer);
ws_written_column *ws_store_column_find(ws_store_writer *writer, const char *path); /* one that is there */

/* store_append.c: numbers go on from those of options.append_to. */
WS_MUST ws_err ws_store_writer_follow(ws_store_writer *writer);
ws_identity ws_session_of_key(uint64_t key_hash);
/* What a later run that adds to the store needs: the check of the key, /provenance/hosts, or that hosts are numbered apart. */
WS_MUST ws_err ws_store_write_marks_all(ws_store_writer *writer);

/* What is held goes to the file, of some ranks when they are pushed. */
WS_MUST ws_err ws_store_write_window_all(ws_store_writer *writer);
/* Ends it: all ranks hear whether one failed, and get the states of the last rows' hashes. */
WS_MUST ws_err ws_store_settle_window_all(ws_store_writer *writer);
uint64_t ws_store_column_rows(const ws_store_writer *writer, size_t column); /* with that one more row */
/* One more row of /flows/packet_start behind those of all windows. */
WS_MUST ws_err ws_store_write_last_start_all(ws_store_writer *writer);

#endif
