/* Writing a store: collective, batch by batch, in row order. See dataset.h for the schema.
 *
 * Batches follow one another; within a batch each rank brings a contiguous block of rows, in rank order. Batches may be
 * small: rows are held until a window of them is worth the collective calls. The file is written under its final name
 * plus ".partial", or in segments in a folder of that name, and renamed by finish. session_id and host_id are made on
 * the way, the content hash by finish.
 */
#ifndef WS_DATASET_STORE_WRITE_H
#define WS_DATASET_STORE_WRITE_H

#include "dataset/dataset.h"

typedef struct ws_store_writer ws_store_writer;

typedef struct ws_store_writer_options {
    const char *path; /* final name */
    const char *dataset;
    const ws_string_list
        *inputs; /* names as stored (row_hash uses them; base names, with folders only where two would be alike) */
    const char *endpoints;        /* "drop" "keyed" "prefix" "plain" */
    const char *key_file;         /* NULL: unkeyed */
    const ws_label_level *levels; /* borrowed; class names sorted bytewise */
    size_t level_count;
    bool tells_attempts;                          /* /labels/attempted is written */
    const ws_feature_table *features;             /* borrowed; NULL: flow20, from ws_flow.features */
    const ws_feature_table *const *more_features; /* borrowed; tables beside flow20 */
    size_t more_count;
    const ws_byte_view *bytes; /* NULL: none are kept; else ws_store_block.slots come with every block */
    uint64_t window_bytes;     /* held by a rank before it is written; 0: 1 MiB */
    uint64_t id_bytes; /* that numbering sessions may take of a rank's memory, and hosts the same; 0: no bound */
    /* NULL: written as NAME.partial, a file. Else segments in this folder, put together by finish. */
    const char *folder;
    uint64_t segment; /* that is written first; those before it are there already */
    /* A store whose rows come first in the new one, segments with `folder` behind them; NULL: none. Inputs are all of both, and
     * labels have the numbers that its own have. */
    const char *append_to;
    bool keep_hosts; /* by which hosts are known again in a store that is added to */
} ws_store_writer_options;

/* Where lies what a row is made of; it may be another rank's memory. */
typedef struct ws_row_source {
    const ws_flow *flow;           /* `stored` and `slots` are not used */
    const ws_flow_packet *packets; /* [flow->packet_count] */
    const uint8_t *slots;          /* [flow->slot_bytes] */
} ws_row_source;
/* Of flows whose packets and slots lie one behind the other. */
void ws_row_sources_list(const ws_flow *flows, size_t count, const ws_flow_packet *packets, const uint8_t *slots,
                         ws_row_source *out);

/* A rank's block of rows of one batch. */
typedef struct ws_store_block {
    const ws_row_source *rows; /* [count] */
    uint64_t count;
    const int32_t *labels;    /* [level_count][count], level by level; NULL where there are no levels */
    const uint8_t *attempted; /* [count]; may be NULL where the store has no such column */
    const float *features; /* [count][columns] of the store's own table, or of those beside flow20, one after another;
                               * NULL where there is but flow20 */
} ws_store_block;

WS_MUST ws_err ws_store_writer_create_all(ws_store_writer **out, const ws_comm *comm,
                                          const ws_store_writer_options *options);
WS_MUST ws_err ws_store_writer_append_all(ws_store_writer *writer, const ws_store_block *block);
/* Of the ranks on one machine half write when they are pushed, or the next batch comes: whoever has something to do between two
 * batches pushes before it meets other ranks, so that not all write at once. Not collective; an error is this rank's. */
WS_MUST ws_err ws_store_writer_push(ws_store_writer *writer);

/* Ends the segment: what was appended so far is in a file of its own, on the disk. Then either continue, with another file,
 * or destroy. Session and host numbers go on. content_hash: of the segment, as ws_store_compute_hash_all finds it. */
WS_MUST ws_err ws_store_writer_cut_all(ws_store_writer *writer, char content_hash[65]);
WS_MUST ws_err ws_store_writer_continue_all(ws_store_writer *writer);
char *ws_store_segment_path(const char *folder, uint64_t segment); /* malloc'ed; NULL when out of memory */

double ws_store_writer_seconds(const ws_store_writer *writer); /* spent on windows: numbering, columns, HDF5 */

/* Files in the order in which they were read. */
typedef struct ws_store_files {
    const ws_string_list *names, *sha256;
    const uint64_t *bytes, *records;
    const uint32_t *inputs; /* that they are part of */
} ws_store_files;

/* What goes to /provenance; the same on all ranks. */
typedef struct ws_store_provenance {
    const char *options_json;
    const char *counters_json;
    const ws_string_list *input_sha256;
    const uint64_t *input_bytes, *input_records; /* [inputs] */
    const ws_store_files *files;                 /* where an input is several files; NULL: each is one */
    const ws_damage *damage;                     /* of inputs, or of files where these are given */
    size_t damage_count;
    /* Where classes were met on the way: their final names, sorted bytewise, and for each level the final index of every
     * index written before. NULL: the names given at the start. */
    const ws_label_level *levels;
    const int32_t *const *renumber; /* [level_count][classes] */
} ws_store_provenance;
WS_MUST ws_err ws_store_writer_finish_all(ws_store_writer *writer, const ws_store_provenance *provenance,
                                          char content_hash[65]);
/* After an error too: closes and leaves NAME.partial removed. */
void ws_store_writer_destroy(ws_store_writer **writer);

#endif
