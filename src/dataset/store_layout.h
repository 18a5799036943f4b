/* store_layout: the columns of a store as tables, shared by the writer and the reader; a row as the writer holds it;
 * and the small parts of the writer. Used inside the room only.
 *
 * Chunks hold 4,096 flows or 32,768 packets (32 to 320 KiB a column): small enough that a store of a few flows stays a
 * few MiB of holes, large enough that 10^8 flows are 24,000 chunks a column. Chunks are not the hash's blocks and do
 * not enter it.
 *
 * Nothing is compressed. Of a store of 400 captures of real traffic (51,440 flows, 13.3 MB) shuffle and deflate at level 1
 * leave 1.9 MB for 58 ms of one core beyond a copy; deflate alone 2.2 MB (68 ms), shuffle and level 4 1.8 MB (121 ms), szip
 * 6.1 MB (86 ms); reading and hashing all of it takes 93 ms as it is and 104 ms after shuffle and level 1. While rows are
 * written that would be two thirds of what an extraction takes in all for records without payload (4.4 ns a byte, 40 bytes a
 * record). So h5repack compresses a finished store where that is wanted, and its content hash stays.
 */
#ifndef WS_DATASET_STORE_LAYOUT_H
#define WS_DATASET_STORE_LAYOUT_H

#include "dataset/crypto_pan.h"
#include "dataset/labels.h"
#include "dataset/store_summary.h"
#include "dataset/store_write.h"

enum { WS_CHUNK_FLOWS = 4096, WS_CHUNK_PACKETS = 32768, WS_ENDPOINT_TEXT = 56 };

typedef enum ws_stored_type {
    WS_STORED_U8,
    WS_STORED_I8,
    WS_STORED_U16,
    WS_STORED_U32,
    WS_STORED_I32,
    WS_STORED_U64,
    WS_STORED_I64,
    WS_STORED_F32,
    WS_STORED_TEXT, /* WS_ENDPOINT_TEXT bytes, NUL-padded */
    WS_STORED_COUNT
} ws_stored_type;
size_t ws_stored_size(ws_stored_type type);
hid_t ws_stored_file_type(ws_stored_type type); /* little endian; borrowed, but for TEXT: new, see ws_stored_release */
hid_t ws_stored_memory_type(ws_stored_type type); /* native; same */
void ws_stored_release(ws_stored_type type, hid_t handle);

typedef struct ws_store_column {
    const char *path;
    ws_stored_type type;
    size_t offset; /* in ws_store_row, or in ws_flow_packet */
} ws_store_column;
extern const ws_store_column ws_flow_columns[]; /* path NULL ends */
extern const ws_store_column ws_endpoint_columns[];
extern const ws_store_column ws_packet_columns[];

/* The byte view: a record a row, three datasets of [rows, packets, ...]. */
enum { WS_BYTE_COLUMNS = 3 };
typedef struct ws_byte_column {
    const char *path;
    ws_stored_type type;
    size_t width;  /* values a packet */
    size_t offset; /* in the record */
} ws_byte_column;
void ws_byte_columns(const ws_byte_view *view, ws_byte_column out[WS_BYTE_COLUMNS]);
size_t ws_byte_record_size(const ws_byte_view *view);
/* A row's record from its slots (ws_flow.slots) and stored packets. */
void ws_byte_record_fill(const ws_byte_view *view, const uint8_t *slots, uint64_t slot_bytes,
                         const ws_flow_packet *packets, uint8_t *record);

/* Rows a chunk of a dataset with so many bytes a row: WS_CHUNK_FLOWS, or fewer of wide ones. */
uint64_t ws_chunk_rows(size_t row_bytes);

/* 128 bits of a SHA-256 that stand for a session or a host until it has its dense number. */
typedef struct ws_identity {
    uint64_t high, low;
} ws_identity;

/* A flow as the writer holds it until it is in the file. */
typedef struct ws_store_row {
    int64_t first_ns, last_ns;
    uint64_t packets[2], bytes[2], payload[2];
    uint64_t first_ordinal, key_hash, input_hash, row_hash, packet_start;
    ws_identity session, host;
    uint32_t session_id, host_id, input_id;
    uint8_t protocol, end, attempted;
    float features[WS_FLOW20_COLUMNS];
    int32_t labels[WS_LABEL_LEVELS_MAX];
    char source[WS_ENDPOINT_TEXT], destination[WS_ENDPOINT_TEXT];
} ws_store_row;

/* ---------------------------------------------------------------- store_row.c: what a row says of its flow */
typedef enum ws_endpoint_mode {
    WS_ENDPOINTS_DROP,
    WS_ENDPOINTS_KEYED,
    WS_ENDPOINTS_PREFIX,
    WS_ENDPOINTS_PLAIN
} ws_endpoint_mode;
WS_MUST ws_err ws_endpoint_mode_find(const char *name, ws_endpoint_mode *out);
typedef struct ws_row_texts ws_row_texts;
typedef struct ws_row_maker {
    ws_row_texts *texts; /* on their way to their hashes */
    ws_endpoint_mode endpoints;
    char *key; /* content of the key file, NULL: unkeyed */
    size_t key_bytes;
    ws_crypto_pan *pan; /* prefix only */
} ws_row_maker;
WS_MUST ws_err ws_row_maker_create(ws_row_maker *out, const char *endpoints, const char *key_file);
void ws_row_maker_destroy(ws_row_maker *maker);
/* By which the same key is known again: HMAC-SHA-256 with the key file, in hex; "" without key. */
void ws_row_maker_key_check(const ws_row_maker *maker, char out[65]);
#define WS_KEY_CHECK "key_check"    /* attribute of /provenance */
#define WS_HOSTS_APART "apart_from" /* attribute of /flows/host_id */
/* Everything but number, packet_start, session_id, host_id and labels. values[count][columns]: of the store's own feature table;
 * NULL: flow20, which the rows keep. */
void ws_rows_make(ws_row_maker *maker, const ws_row_source *sources, size_t count, const float *values, size_t columns,
                  const ws_string_list *inputs, ws_store_row *rows);

/* ---------------------------------------------------------------- store_sort.c: sorting in bounded memory */
typedef struct ws_triple {
    uint64_t of[3]; /* compared from the first on */
} ws_triple;
typedef struct ws_sorter ws_sorter;
/* What does not fit `bytes` goes to a file beside the store, whose path is borrowed. First all are added, then merge is
 * called once, then they are read in ascending order. */
WS_MUST ws_err ws_sorter_create(ws_sorter **out, const char *store, uint64_t bytes);
void ws_sorter_destroy(ws_sorter **sorter);
WS_MUST ws_err ws_sorter_add(ws_sorter *sorter, ws_triple triple);
/* All that were added so far, in no order; more may be added. */
typedef ws_err (*ws_triple_sink)(void *context, const ws_triple *triple);
WS_MUST ws_err ws_sorter_copy(ws_sorter *sorter, ws_triple_sink sink, void *context);
WS_MUST ws_err ws_sorter_merge(ws_sorter *sorter);
WS_MUST ws_err ws_sorter_next(ws_sorter *sorter, ws_triple *out, bool *more);

/* ---------------------------------------------------------------- store_ids.c: dense numbers in order of first row */
/* Every identity has an owner rank that remembers its number; memory is that of the distinct identities, but not more than
 * `bytes` a rank (0: no bound): rows of identities that come when there is no room get theirs at the end. */
typedef struct ws_dense_ids ws_dense_ids;
WS_MUST ws_err ws_dense_ids_create(ws_dense_ids **out, const char *store, uint64_t bytes);
void ws_dense_ids_destroy(ws_dense_ids **ids);
/* Rows [first_row, first_row + count) of this rank; ranks hold adjacent runs of rows, and calls follow in row order. */
WS_MUST ws_err ws_dense_ids_assign_all(const ws_comm *comm, ws_dense_ids *ids, const ws_identity *identities,
                                       uint64_t first_row, uint64_t count, uint32_t *out);
bool ws_dense_ids_late(const ws_dense_ids *ids); /* some rows get theirs at the end; the same on every rank */
/* store_ids_late.c. Once, after the last row: what `dataset`, a column of total_rows, lacks. */
WS_MUST ws_err ws_dense_ids_finish_all(const ws_comm *comm, ws_dense_ids *ids, uint64_t total_rows, hid_t dataset,
                                       hid_t collective);
/* What it remembers, for a run that goes on later, on any number of ranks: the identities that this rank owns; put back on
 * their owners, with the number of the next one, before the first row. */
typedef ws_err (*ws_dense_ids_sink)(void *context, const ws_identity *identity, uint64_t number);
WS_MUST ws_err ws_dense_ids_copy(const ws_dense_ids *ids, ws_dense_ids_sink sink, void *context);
WS_MUST ws_err ws_dense_ids_restore(ws_dense_ids *ids, const ws_identity *identity, uint64_t number);
int ws_dense_ids_owner(const ws_identity *identity, int size);
/* The same for rows that get their numbers at the end: `number` is the row. */
WS_MUST ws_err ws_dense_ids_copy_late(const ws_dense_ids *ids, ws_dense_ids_sink sink, void *context);
WS_MUST ws_err ws_dense_ids_restore_late(ws_dense_ids *ids, const ws_identity *identity, uint64_t row);
/* The same on every rank. */
typedef struct ws_dense_ids_mark {
    uint64_t next;       /* number of the next new identity */
    uint64_t first_late; /* from that row on, new identities get theirs at the end; UINT64_MAX: they do not */
} ws_dense_ids_mark;
ws_dense_ids_mark ws_dense_ids_where(const ws_dense_ids *ids);
WS_MUST ws_err ws_dense_ids_continue(ws_dense_ids *ids, ws_dense_ids_mark mark);

/* ---------------------------------------------------------------- store_blocks.c, store_hash.c: the content hash */
/* The digests of one column's blocks, taken while ranks write it, share by share; values little endian. */
typedef struct ws_hashed_block {
    uint64_t number;
    ws_digest digest;
} ws_hashed_block;
typedef struct ws_block_hash {
    const char *path; /* borrowed */
    size_t row_bytes;
    bool text;
    ws_sha256 *hash;
    uint8_t state[WS_SHA256_STATE_BYTES]; /* of the block that the rows up to now leave unfinished */
    uint8_t begun[WS_SHA256_STATE_BYTES]; /* while rows are added: of the block that the rows before them left so */
    ws_hashed_block *done;                /* by this rank */
    size_t count, capacity;
} ws_block_hash;
/* Which rank holds the row before this rank's share of a window, and which the one behind; -1: none. */
typedef struct ws_share_chain {
    int before, behind;
    ws_sending *sending; /* states on their way to the rank behind, until ws_send_end */
} ws_share_chain;
WS_MUST ws_err ws_block_hash_create(ws_block_hash *out, const char *path, size_t row_bytes, bool text);
void ws_block_hash_destroy(ws_block_hash *blocks);
WS_MUST ws_err ws_block_hash_reserve(ws_block_hash *blocks,
                                     uint64_t rows); /* so that adding as many cannot fail for memory */
/* Rows [begin, begin + count) of some columns, values[columns]: a rank's share of a window. Shares follow one another in rank
 * order, and so do windows. */
typedef struct ws_hashed_rows {
    ws_block_hash *blocks; /* [columns] */
    size_t columns;
    ws_share_chain *chain;
    uint64_t begin, count;
    const void *const *values;
} ws_hashed_rows;
/* This rank's shares of a window, of different columns; the ranks of their chains call it together, with shares of the same columns
 * in the same order. */
WS_MUST ws_err ws_block_hash_add(const ws_comm *comm, const ws_hashed_rows *shares, size_t count);
/* After a window: every rank gets the states that `last`, the rank with its last rows, holds. */
WS_MUST ws_err ws_block_hash_carry_all(const ws_comm *comm, ws_block_hash *blocks, size_t count, int last);
/* The last block, where it is not full; on one rank. */
WS_MUST ws_err ws_block_hash_end(ws_block_hash *blocks, uint64_t total_rows);

/* All block digests of a column, in order. */
typedef struct ws_known_digests {
    const char *path; /* borrowed */
    ws_digest *digests;
    uint64_t count;
} ws_known_digests;
/* Those of all ranks; *out [count], to be freed by ws_known_digests_destroy. */
WS_MUST ws_err ws_block_hash_gather_all(const ws_comm *comm, const ws_block_hash *blocks, size_t count,
                                        ws_known_digests **out);
void ws_known_digests_destroy(ws_known_digests **known, size_t count);
/* As ws_store_compute_hash_all, without reading the columns whose digests are known. */
WS_MUST ws_err ws_store_hash_all(const ws_comm *comm, const char *path, const ws_known_digests *known,
                                 size_t known_count, char hex[65]);

/* What a writer that goes on later must know of the rows in segments; its own, borrowed. */
typedef struct ws_store_writer_state {
    ws_dense_ids *sessions, *hosts;
    uint64_t *rows; /* in segments; the same on all ranks */
} ws_store_writer_state;
ws_store_writer_state ws_store_writer_remember(ws_store_writer *writer);

/* ---------------------------------------------------------------- store_assemble.c: parts to one store */
/* Finished parts with the same columns, in order, to `whole`, which has no provenance, hash or final name yet. */
WS_MUST ws_err ws_store_assemble_all(const ws_comm *comm, const char *const *parts, size_t count, const char *whole,
                                     uint64_t *rows);

/* ---------------------------------------------------------------- store_provenance.c: the parts one rank writes */
WS_MUST ws_err ws_store_create_file(const char *partial, hid_t *file);
WS_MUST ws_err ws_store_open_writable(const char *path, hid_t *file); /* by one process, through ordinary file calls */
WS_MUST ws_err ws_store_write_skeleton(const char *partial, const ws_store_writer_options *options);
WS_MUST ws_err ws_store_write_provenance(const char *partial, const ws_string_list *inputs,
                                         const ws_store_provenance *provenance, uint64_t rows);
WS_MUST ws_err ws_store_write_counts(const char *partial, const ws_store_summary *summary, const ws_label_level *levels,
                                     const int32_t *const *renumber);
/* Brings label indices to the order of the final names, and writes the names. */
WS_MUST ws_err ws_store_renumber(const char *partial, const ws_store_provenance *provenance, size_t level_count);
WS_MUST ws_err ws_store_bring_to_disk(const char *partial);
/* Stores the hash, brings the file to the disk and gives it its final name. */
WS_MUST ws_err ws_store_seal(const char *partial, const char *path, const char *content_hash);

/* ---------------------------------------------------------------- store_space.c: room on the disk */
/* An error likewise where this process may not write a file of so many bytes (ulimit -f). */
WS_MUST ws_err ws_store_check_limit(const char *partial, uint64_t bytes);
/* Reserves the first `bytes` of the file, of which *reserved are so already, and some more where there is room; an error that
 * names file, need and remedy where the disk has none. */
WS_MUST ws_err ws_store_reserve(const char *partial, uint64_t bytes, uint64_t *reserved);
/* Gives back what is reserved behind the file's end, with `content` the content as well. */
void ws_store_release(const char *partial, bool content);

#endif
