/* Inside the extraction: what its files offer each other. Outsiders call ws_extract_all (dataset.h).
 *
 *   extract.c          the run from first to last
 *   extract_inputs.c   the inputs: opened and checked before anything is written, dealt out to the ranks
 *   extract_join.c     which of them are one input of the store
 *   extract_hash.c     their SHA-256, taken meanwhile
 *   extract_read.c     a round: stripes, their proof, records to packets, ordinals, closing points
 *   extract_state.c    what stripes of a pcapng must know of the blocks before them
 *   extract_deal.c     packets into the parcels for the ranks that own their flows, and out of these
 *   extract_route.c    packets to these ranks, through the flow tables, to rows
 *   extract_reservoir.c  of all flows, those that are stored, where only some are
 *   extract_rows.c     rows that left the flow tables, to the store
 *   extract_sort.c     rows of all ranks into one order
 *   extract_order.c    packets of an input into the order of their times, where the data set asks for it
 *   extract_spill.c    live flows that do not fit the memory, through files
 *   extract_file.c     such files
 *   extract_account.c  counters, the conservation check, the summary
 *   extract_checkpoint.h  the folder NAME.partial, states from which an interrupted run goes on, and their files
 *   extract_append.h   the store that inputs are added to
 *   extract_books.c    what that has in common with the account of flow tables
 *
 * The result depends on the inputs only. Everything decided here about who does what (stripes, readers, owners,
 * batches) is decided from values that are the same on every rank, and changes no row.
 */
#ifndef WS_DATASET_EXTRACT_H
#define WS_DATASET_EXTRACT_H

#include "dataset/dataset.h"
#include "dataset/extract_file.h"
#include "dataset/labels.h"
#include "dataset/packet_filter.h"
#include "dataset/store_write.h"

/* Counted for each input; all are uint64_t, so that they are summed over ranks as one array. "captured" is the bytes of
 * records' frames in the file, "ip" the sum of IP lengths. */
typedef struct extract_counts {
    uint64_t records, captured;
    uint64_t packets, packets_captured, packets_ip;
    uint64_t skipped[WS_SKIP_COUNT], skipped_captured[WS_SKIP_COUNT];
    uint64_t damage_runs, damage_bytes;
    uint64_t flows, flow_packets, flow_ip, stored_packets; /* of the rows written */
} extract_counts;
enum { EXTRACT_COUNTS = sizeof(extract_counts) / sizeof(uint64_t) };

/* A file. */
typedef struct extract_input {
    const char *path;             /* in the arena */
    uint32_t group;               /* the input of the store that it is, or is part of */
    int64_t first_ns;             /* where files are joined: time of its first record; INT64_MAX: it has none */
    uint64_t bytes, first_record; /* bytes: as stored */
    uint64_t form;                /* of a table's columns; 0: a capture */
    uint32_t record_header;
    bool splittable, compressed;
    ws_stamps stamps;
    int reader; /* the rank that reads all of an input that cannot be split */
    int hasher; /* the rank that takes its SHA-256 */
    /* How far it is read; the same on all ranks. */
    uint64_t next_offset;   /* a true record start, or the end */
    uint64_t next_position; /* the same in the file as it is stored: differs where it is compressed */
    uint64_t records;
    uint64_t *blocks; /* ws_walk_stripe: of a pcapng, before next_offset */
    size_t block_count, block_capacity;
    /* Of this rank. */
    ws_capture capture;    /* open while the rank reads it */
    ws_walk *walk;         /* NULL while closed */
    extract_counts counts; /* flows are counted with the first file of their group */
} extract_input;

/* An input of the store: a file, or files that are joined, one behind the other. Packets and flows are numbered in it, and
 * their `input` is its number. */
typedef struct extract_group {
    size_t first, count; /* x->inputs[first] and those behind it */
    /* Of what was read; the same on all ranks. */
    uint64_t records;
    int64_t newest_ns; /* of its packets */
    int64_t origin_ns; /* time of its first packet; has_origin: there was one */
    bool has_origin;
} extract_group;

typedef struct skipped_input {
    const char *path, *reason; /* in the arena */
} skipped_input;

/* Rows that have left the flow table and wait to be written, in row order: ws_flow, their packets, and their slots, ws_flow.slot_bytes
 * each. They are in each out[rank], from where other ranks get theirs. */
typedef struct extract_rows {
    ws_parcels *flows, *packets, *slots; /* slots: NULL without bytes */
} extract_rows;
/* Of them, the first. */
typedef struct extract_rows_part {
    size_t count, packet_count, slot_bytes;
} extract_rows_part;

/* The order of rows. */
typedef struct extract_row_key {
    uint64_t input, left_at, first_ordinal;
} extract_row_key;
static inline extract_row_key extract_row_key_of(const ws_flow *flow)
{
    return (extract_row_key){flow->input, flow->left_at, flow->first_ordinal};
}

typedef struct extract_sorter extract_sorter; /* extract_sort.c */

/* Packets of an input that wait to be brought into the order of their times. */
typedef struct packet_buffer {
    ws_packet *packets;
    uint8_t *slots;
    size_t count, capacity, slot_capacity;
} packet_buffer;

/* A point of an input where flows leave: before its record `ordinal`, or at its end. Where the round leaves a file there is a
 * point in any case. */
typedef struct closing_point {
    uint32_t input; /* of the store */
    bool input_ends;
    bool closes; /* flows leave */
    uint64_t ordinal;
    int64_t newest_ns; /* of the packets before it */
} closing_point;

/* A byte range of an input that one rank walks in one round: [begin, end), from a true record start. Of a compressed input
 * the round takes a range of the compressed bytes; what it holds may be so much that the walk stops before its end. Then
 * the round ends there. */
typedef struct extract_piece {
    uint32_t input, group;
    int rank;
    bool interior;             /* its start is a guess until the walk before it proves it */
    bool empty;                /* the record before it, or a guess, reaches over it */
    bool walk;                 /* to be walked (again) in this pass */
    uint64_t begin, end;       /* compressed: end is a position in the file as it is stored */
    uint64_t reached, records; /* after the walk: first record start at or after end */
    uint64_t position;         /* compressed: how far the walk came in the file as it is stored */
    uint64_t first_ordinal;
    uint64_t records_before;  /* of the group in earlier rounds */
    uint64_t ordinals_before; /* what its packets' ordinals lack as its rank numbers them */
    int64_t newest_ns;        /* on its rank: of its packets */
    int64_t first_ns;         /* of its first packet; where it has_packets */
    bool has_packets;
    uint64_t known;                    /* digest of the state blocks before it that its walk knew */
    size_t packet_count;               /* on its rank: that are taken */
    size_t first_packet;               /* of one rank: in extraction.packets */
    extract_counts counts;             /* on its rank */
    size_t first_damage, damage_count; /* on its rank: in extraction.damage */
} extract_piece;

/* A block of a pcapng that a piece met, and that pieces behind it must know. */
typedef struct piece_block {
    uint64_t piece, offset;
} piece_block;

/* What packets that travel do not know of the piece they are from. */
typedef struct packet_origin {
    uint32_t group;
    uint64_t ordinals_before;
} packet_origin;

/* A round's packets on their way to the ranks that own their flows: those of the round before, while the next is read. As their
 * `input` they have the number of their piece, and their ordinals lack what is before it, which is known once all is walked. */
typedef struct extract_hand_over {
    bool pending;
    closing_point *points;
    size_t point_count, point_capacity;
    packet_origin *origins; /* of the round's pieces */
    size_t origin_capacity;
    ws_parcels *packets, *slots; /* NULL: of one rank; where no bytes are kept */
} extract_hand_over;

typedef struct extract_hasher extract_hasher;
typedef struct extract_reservoir extract_reservoir;
typedef struct extract_spill extract_spill;
typedef struct extract_checkpoint extract_checkpoint;
typedef struct extract_append extract_append;

typedef struct extraction {
    const ws_comm *comm;
    const ws_extract_options *options;
    const ws_dataset_adapter *adapter;
    ws_flow_rules rules;
    const ws_table_family
        *tables; /* how flow tables are read; NULL: the data set has none, or the inputs are captures */
    ws_arena *arena;
    ws_string_list paths, names; /* of the files: as found, in their order; as stored, without compression suffix */
    const char **reasons;        /* [paths.count] known before any is opened: why it cannot be read; "": none */
    ws_string_list group_names;  /* of the inputs of the store: those of their first files */
    /* Of these; empty texts for inputs of a store that is added to, whose flows have their labels: */
    ws_string_list first_paths; /* as opened: where labels are that captures carry */
    ws_string_list plain_paths; /* without compression suffix: what other labels are looked up by */
    extract_input *inputs;
    size_t input_count;
    extract_group *groups; /* in front, without files, the inputs of the store that is added to */
    size_t group_count, old_groups;
    extract_append *append; /* NULL: the store is a new one */
    skipped_input *skipped;
    size_t skipped_count;
    uint64_t total_bytes;
    int cores;                 /* that this rank has for itself */
    bool one_machine;          /* has all ranks */
    ws_stamps stamps;          /* how pcapng captures are read */
    ws_packet_filter *filter;  /* NULL without --filter */
    ws_ip_protocols protocols; /* flows besides those of TCP and UDP */

    /* the round */
    uint64_t round_begin, round_end;       /* in the concatenation of all inputs as they are stored */
    uint64_t content_limit;                /* of a compressed input in one round */
    uint64_t packet_limit, packed_packets; /* of compressed inputs that a rank reads in a round: at most, so far */
    uint64_t bytes_read, records_read;     /* by this run, in all rounds so far; the same on all ranks */
    extract_piece *pieces;
    size_t piece_count, piece_capacity;
    closing_point *points;
    size_t point_count, point_capacity;
    ws_packet *packets; /* of one rank: of its pieces; of several: that are not dealt out yet */
    size_t packet_count, packet_capacity;
    bool out_of_order; /* packets that are dealt out: a piece was walked again */
    uint8_t *slots;    /* their bytes, slot_size each, where bytes are kept */
    size_t slot_size, slot_capacity;
    extract_hand_over hand_over;
    packet_buffer ordered;     /* of the current input, where packets are taken by time */
    piece_block *round_blocks; /* of all pieces, the same on all ranks; ordered */
    size_t round_block_count, round_block_capacity;
    piece_block *met; /* by this rank's walks of one pass */
    size_t met_count, met_capacity;
    ws_damage *round_damage;
    size_t round_damage_count, round_damage_capacity;
    size_t first_input, last_input; /* that the round touches, inclusive */
    uint64_t first_base;            /* where first_input lies in the concatenation */

    /* the run */
    extract_checkpoint *checkpoint; /* NULL before the folder was taken */
    struct ws_table_run *table_run; /* NULL: captures */
    struct {
        uint64_t negative_gaps, ended[5];
    } earlier; /* counted by the flow tables of the runs that this one goes on from; on the first rank */
    extract_hasher *hasher;
    ws_flow_table *table;
    ws_label_rules *label_rules; /* until `labels` takes them over */
    ws_label_source *labels;
    const ws_label_samples *samples; /* of `labels`; NULL: rows are flows */
    ws_store_writer *writer;
    const ws_flow_features **features; /* stored beside flow20, in the order of their names */
    size_t feature_count;
    extract_rows rows;
    extract_sorter *sorter;       /* NULL until ranks write */
    extract_reservoir *reservoir; /* NULL: every flow is stored */
    uint64_t rows_written;        /* by this rank */
    ws_damage *damage;
    size_t damage_count, damage_capacity;
    uint64_t table_bytes;  /* that live flows may take; 0: no bound */
    uint64_t rows_bytes;   /* that waiting rows may take; 0: no bound but that of a write */
    bool failed_together;  /* while rows were added; all ranks know */
    bool rows_held;        /* by some rank, so that none may be written; known to all ranks, as is the next */
    bool rows_in_files;    /* of some rank */
    extract_file overflow; /* rows behind those in memory, while rows are held */
    extract_spill *spill;  /* while the input's flows go through files */
    uint64_t spilled_bytes;
    uint64_t boundary_repairs, labelled, negative_gaps, exchanged_bytes;
    ws_extract_phase phase; /* now, since phase_start */
    double phase_start, phase_seconds[WS_EXTRACT_PHASE_COUNT];
} extraction;

/* The clock goes on in another phase; returns the one before. */
ws_extract_phase extract_enter(extraction *x, ws_extract_phase phase);

bool extract_keeps_hosts(const extraction *x);     /* in the store, for --append */
uint64_t extract_round_bytes(const extraction *x); /* input that all ranks read at least before they exchange */

/* extract_inputs.c */
WS_MUST ws_err extract_inputs_open_all(extraction *x);
WS_MUST ws_err extract_input_use(extract_input *input, uint32_t index); /* opens it for walking */
void extract_input_release(extract_input *input);

const char *extract_path_tail(const char *path, int parts); /* its last parts */

/* extract_join.c */
bool extract_joins(const extraction *x);     /* whether files are to be joined */
bool extract_is_joined(const extraction *x); /* whether some are */
/* Files in the order of their paths into the order in which they are read, and the groups that they are. */
WS_MUST ws_err extract_join_inputs(extraction *x);
/* Names of the groups, from those of the files. */
WS_MUST ws_err extract_join_names(extraction *x, const ws_string_list *plain_paths);
/* SHA-256 of every group, from those of its files: of one file its own; of several that of theirs in hex, a line each. */
WS_MUST ws_err extract_join_hashes(const extraction *x, const ws_string_list *files, ws_string_list *out);

/* extract_hash.c: takes the SHA-256 of this rank's share of the inputs; beside: in a thread. */
WS_MUST ws_err extract_hasher_start(extract_hasher **out, const extraction *x, bool beside);
/* Without a thread: takes it of such a part of the share, 0 to 1, counted from its beginning. */
void extract_hasher_push(extract_hasher *hasher, double part);
/* Waits for it; of every input, in hex, in the arena; the same on all ranks. */
WS_MUST ws_err extract_hasher_finish_all(extract_hasher *hasher, ws_arena *arena, ws_string_list *out);
/* Whether it waits for what the walk of the input reads, and takes it; context: the hasher. */
bool extract_hasher_watches(const extract_hasher *hasher, size_t input);
void extract_hasher_watch(void *context, uint32_t input, uint64_t offset, const uint8_t *bytes, size_t count);
/* A walk of it starts there, since no start nearer to the beginning of the block is known; it reads from that leaf on. What is before it
 * in the block is read here, where that is little: another rank has it, but not the rest of the block. */
WS_MUST ws_err extract_hasher_lead_in(extract_hasher *hasher, size_t input, uint64_t begin);
bool extract_hashes_blocks(const extraction *x, size_t input); /* whether the file is hashed in blocks */
void extract_hasher_destroy(extract_hasher **hasher);          /* also while it runs */

/* extract_read.c: the next round: packets with their ordinals, pieces, closing points. */
WS_MUST ws_err extract_round_read_all(extraction *x);

/* extract_state.c: blocks of a pcapng that say what packets behind them mean, found by one rank and needed by others. */
uint64_t extract_state_digest(const extraction *x, size_t piece);             /* of what is known before the piece */
WS_MUST ws_err extract_state_range(extraction *x, extract_piece *piece);      /* ws_walk_stripe with it */
WS_MUST ws_err extract_state_keep(extraction *x, size_t piece);               /* what the piece's walk met */
WS_MUST ws_err extract_state_share_all(extraction *x, const uint8_t *walked); /* walked[piece]: in this pass */
WS_MUST ws_err extract_state_settle(extraction *x);

/* extract_deal.c: the rank that owns the flows between two endpoints, the same for both directions: any even mixture does, and this is
 * done for every packet. */
static inline int extract_owner(const ws_comm *comm, const uint8_t one[16], const uint8_t other[16], uint16_t port,
                                uint16_t other_port, uint8_t protocol)
{
    uint64_t a[2], b[2];
    memcpy(a, one, sizeof a);
    memcpy(b, other, sizeof b);
    uint64_t mixed = (a[0] + b[0]) * 0x9e3779b97f4a7c15u + (a[1] + b[1]) * 0xff51afd7ed558ccdu +
                     ((uint64_t)port + other_port + ((uint64_t)protocol << 32)) * 0xc4ceb9fe1a85ec53u;
    mixed = (mixed ^ mixed >> 32) * 0xd6e8feb86659fd93u;
    return (int)((mixed >> 32) * (uint64_t)comm->size >> 32);
}
static inline int extract_owner_of_flow(const ws_comm *comm, const ws_flow_key *key)
{
    return extract_owner(comm, key->low_address, key->high_address, key->low_port, key->high_port, key->protocol);
}
static inline int extract_owner_of_packet(const ws_comm *comm, const ws_packet *packet)
{
    if (__builtin_expect(packet->sample_side != 0, 0)) {
        ws_flow_key key;
        bool source_is_low;
        ws_flow_key_of_sample(packet, &key, &source_is_low);
        return extract_owner_of_flow(comm, &key);
    }
    return extract_owner(comm, packet->source, packet->destination, packet->source_port, packet->destination_port,
                         packet->protocol);
}
WS_MUST ws_err extract_deal_open_all(extraction *x);
/* Where there are several ranks: packets that were read since go into the parcels for their owners. */
WS_MUST ws_err extract_deal(extraction *x);
/* Of the packets that are in the owner's parcel the next one, from *at on; false: there is none. */
typedef struct dealt_mark {
    uint32_t piece;
    uint64_t ordinal; /* as its rank numbers it */
    int64_t time_ns;
} dealt_mark;
bool extract_deal_next(const extraction *x, int owner, size_t *at, dealt_mark *out);
void extract_deal_drop(extraction *x, size_t first, size_t behind); /* those of pieces [first, behind), out again */
WS_MUST ws_err extract_deal_order(extraction *x);                   /* piece by piece, those of each in their order */
/* Some of the packets in [*next, end) that come before the point, from the memory of the rank that sent them, as they are in their
 * input; how many. */
enum { DEALT_BLOCK = 32 };
size_t extract_deal_take(const extract_hand_over *h, const uint8_t **next, const uint8_t *end,
                         const closing_point *point, ws_packet block[DEALT_BLOCK]);

/* extract_route.c */
/* Sends the round's packets on their way, behind those of the round before, which go through the flow tables to rows: so messages
 * travel while the next round is read. */
WS_MUST ws_err extract_round_route_all(extraction *x);
void extract_route_push(extraction *x);                 /* from time to time while a round is read */
WS_MUST ws_err extract_route_finish_all(extraction *x); /* what is on its way arrives, and becomes rows */
void extract_hand_over_destroy(extract_hand_over *hand_over);
/* A flow that left, with an extraction as context: to the rows or the reservoir. */
WS_MUST ws_err extract_take_flow(void *context, const ws_flow *flow);

/* extract_spill.c: packets of the current input to the flow table, and its closing points; with files behind the table where
 * its flows take more than x->table_bytes. The sink gets x. */
WS_MUST ws_err extract_feed(extraction *x, const ws_packet *packets, const uint8_t *slots, size_t count);
/* To the flow table itself. */
WS_MUST ws_err extract_add(extraction *x, const ws_packet *packets, const uint8_t *slots, size_t count);
WS_MUST ws_err extract_close(extraction *x, const closing_point *point, ws_flow_sink sink);
void extract_spill_destroy(extract_spill **spill);
/* Rows that come before those of other ranks are not yet out of this rank's files. */
bool extract_spill_holds_rows(const extraction *x);
/* For a checkpoint: rows that left in files go to the sink; then what is live is flows, or packets that wait for their order. */
WS_MUST ws_err extract_spill_settle(extraction *x, ws_flow_sink sink);
typedef ws_err (*extract_packet_sink)(void *context, const ws_packet *packet, const uint8_t *slot, size_t slot_bytes);
/* All that is live, in memory and in files; put back on the rank that owns it, into either. */
WS_MUST ws_err extract_live_copy(extraction *x, ws_flow_save_sink flow, extract_packet_sink packet, void *context);
WS_MUST ws_err extract_live_restore(extraction *x, const ws_flow_key *key, const void *bytes, size_t count);

/* extract_order.c: packets wait in x->ordered; then all go to the flow table. */
WS_MUST ws_err extract_order_add(extraction *x, const ws_packet *packets, const uint8_t *slots, size_t count);
WS_MUST ws_err extract_order_feed(extraction *x);
void packet_buffer_destroy(packet_buffer *buffer);

/* extract_file.c: room of a row in a file, in packets: for the most packets of a flow, and its slots. */
size_t extract_row_room(const extraction *x);

/* extract_reservoir.c */
WS_MUST ws_err extract_reservoir_create(extract_reservoir **out, const ws_extract_options *options);
void extract_reservoir_destroy(extract_reservoir **reservoir);
WS_MUST ws_err extract_reservoir_offer(extract_reservoir *reservoir, const ws_flow *flow);
/* All that it keeps now, in no order; offered again, also to several ranks' reservoirs, they are the same reservoir. */
WS_MUST ws_err extract_reservoir_copy(const extract_reservoir *reservoir, ws_flow_sink sink, void *context);
/* What it kept goes to x->rows, and it is gone. */
WS_MUST ws_err extract_reservoir_drain_all(extraction *x);

/* extract_sort.c: of the rows that wait on all ranks the first (`own`), which wait no more; each rank gets a contiguous part of them,
 * valid until the next call. */
int extract_row_keys_compare(const void *a, const void *b); /* of extract_row_key, as qsort's */
WS_MUST ws_err extract_rows_sort_all(extraction *x, const extract_rows_part *own, const ws_row_source **out,
                                     size_t *count);
void extract_sorter_destroy(extract_sorter **sorter);

/* extract_rows.c */
void extract_count_flow(extraction *x, const ws_flow *flow);
/* In row order. Where many wait it meets the other ranks, which come there by adding or by settling, and all write. */
WS_MUST ws_err extract_rows_add(extraction *x, const ws_flow *flow);
WS_MUST ws_err extract_rows_open_all(extraction *x); /* before any is added; tables have none */
void extract_rows_destroy(extract_rows *rows);
/* Ends a stretch of the input in which each rank added rows as its flows left; `added` is what came of that. at_end: none is left
 * waiting then. */
WS_MUST ws_err extract_rows_settle_all(extraction *x, ws_err added, bool at_end);

/* extract_books.c */
WS_MUST ws_err extract_check_equal(const char *input, const char *what, uint64_t left, uint64_t right);
void extract_put_number(cJSON *object, const char *key, uint64_t value);
void extract_put_hash_form(cJSON *options, const ws_extract_options *from);
/* Counters that are not 0, from the second on, by name. */
void extract_put_reasons(cJSON *object, const char *key, const char *const *names, const uint64_t *counts, int reasons);
/* Counters of every input of the store, and those that were skipped. */
void extract_put_inputs(cJSON *root, const extraction *x, cJSON *(*counts_json)(const void *run, size_t input),
                        const void *run);
/* Fills in what is known of the inputs, and finishes the store. */
WS_MUST ws_err extract_finish_store_all(extraction *x, ws_store_provenance *provenance, char content_hash[65]);

/* extract_account.c: the options that determine rows, for provenance and for runs that go on; JSON appended to out. */
WS_MUST ws_err extract_options_json(const extraction *x, ws_text *out);
/* Sums over ranks, checks conservation, finishes the store and fills the report. */
WS_MUST ws_err extract_finish_all(extraction *x, ws_extract_report *report);

#endif
