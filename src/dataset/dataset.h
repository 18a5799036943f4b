/* dataset: flows to store and back. Extraction, the store's schema, labels, splits, normalisation.
 *
 * STORE SCHEMA (root attribute `schema` = WS_STORE_SCHEMA; h5dump, h5py and HDFView read it). n flows, m packets.
 *
 *   /                     attributes: schema and rows (int64), dataset, version, endpoints, content_hash (texts)
 *   /flows/protocol       uint8 [n]     6 TCP, 17 UDP; any other with --protocols, with ports 0 where it has none
 *   /flows/first_ns       int64 [n]     time of the first packet, ns since 1970 UTC
 *   /flows/last_ns        int64 [n]     newest time seen
 *   /flows/packets_forward, packets_backward, bytes_forward, bytes_backward, payload_forward, payload_backward
 *                         uint64 [n]
 *   /flows/end            uint8 [n]     ws_flow_end
 *   /flows/input_id       uint32 [n]    index into /provenance/inputs
 *   /flows/first_ordinal  uint64 [n]    record number of the first packet in its input
 *   /flows/session_id     uint32 [n]    dense, in order of first row: unordered 5-tuple, over all inputs
 *   /flows/host_id        uint32 [n]    dense, in order of first row: address of the forward sender. Attribute apart_from:
 *                                       from this row on a host that rows before it have has another number too
 *   /flows/key_hash       uint64 [n]    first 8 bytes of SHA-256 of (domain, key file if any, 5-tuple)
 *   /flows/input_hash     uint64 [n]    first 8 bytes of SHA-256 of what a model sees (features and packet columns):
 *                                       equal = duplicate
 *   /flows/row_hash       uint64 [n]    first 8 bytes of SHA-256 of (input name, first_ordinal, key_hash): names a
 *                                       row for ever. The texts behind the three hashes: store_row.c
 *   /flows/packet_start   uint64 [n+1]  CSR: packets of flow i are [packet_start[i], packet_start[i+1])
 *   /flows/source, destination          text of fixed length, only with --endpoints keyed|prefix|plain:
 *                                       "192.0.2.1:80", "[2001:db8::1]:80"; prefix: addresses by Crypto-PAn
 *                                       with the first 32 bytes of the key file; keyed:
 *                                       32 hex digits of HMAC-SHA-256(key file, 16-byte address) and the port
 *   /packets/offset_ns int64, wire_length uint32, ip_length uint32, payload_length uint32, header_length uint16,
 *            window uint16, flags uint8, direction int8                each [m]
 *   /features/<name>      float32 [n,d]   attributes: columns, units (texts). Captures: flow20 and those of features.def
 *                                       that were asked for. Flow tables: their
 *                                       family's (cicflowmeter, cesnet_stats, iscx_time, ...), cells without a finite
 *                                       number being 0
 *   /labels/<level>       int32 [n]     class index, -1 without label; attribute `names` (texts, sorted bytewise)
 *   /labels/attempted     uint8 [n]     only where the data set has it: 0, or 1 + category of an attack that was only
 *                                       attempted (label_rules.h)
 *   /bytes                only where bytes of packets are kept (extract --bytes); attributes: packets P, header H, payload
 *                         L (int64), stripped (nothing, addresses, endpoints, identity: ws_strip). Of each flow its
 *                         first P stored packets; packets that it does not have are zeros
 *   /bytes/values         uint8 [n,P,H+L]  from the IP header on: H bytes of IP and transport header with all options, then
 *                                       L bytes of payload, each cut, or filled up with zeros
 *   /bytes/kept           uint16 [n,P,2]   of these the packet's own, of header and payload: the rest is filling. Less than
 *                                       the lengths also where the capture holds less than there was on the wire
 *   /bytes/lengths        uint32 [n,P,2]   true lengths of header and payload, by the IP header
 *   /provenance           attributes: options (JSON), version, counters (JSON: records read, packets in flows,
 *                         skipped by reason, bytes likewise, per input and in sum, and the conservation check). With
 *                         "rows": "sample" in the options a row is a sample of pcapML instead of a flow: all packets that
 *                         name it, in time; its key is that of its first packet, whose sender is forward, and nothing but
 *                         the input's end ends it
 *   /provenance/inputs, input_sha256    texts [inputs];  /provenance/input_bytes, input_records  uint64 [inputs]. Of
 *                         inputs of input_hash_from bytes and more (in the options; where it is not there, of none)
 *                         input_sha256 is over the SHA-256 of each input_hash_block bytes (1 MiB), which is over the
 *                         SHA-256 of each of its input_hash_leaf bytes (64 KiB; where that is not there, of all of them):
 *                         split -b 1M --filter="split -b 64K --filter='openssl sha256 -binary' | openssl sha256 -binary" \
 *                         FILE | sha256sum
 *   /provenance/files/    only where an input is several files (extract --join): name, sha256 (texts), bytes, records
 *                         (uint64), input (uint32: index into inputs), each [files], in the order in which they were read.
 *                         Then an input has the name of its first file, and its input_sha256 is over those of its files:
 *                         sha256sum FILE... | cut -c-64 | sha256sum
 *   /provenance/hosts     uint64 [hosts,2]: of each host_id 128 bits of the SHA-256 that it stands for, by which a store that
 *                         is added to (extract --append) knows its hosts again. Only where addresses are stored anyway
 *                         (plain), where a key is part of the hash, or where the store was made with --append; and not where
 *                         memory was too short for them. Attribute key_check of /provenance tells whether another run has
 *                         the same key
 *   /provenance/counts/   of rows, which follow from the columns: end uint64 [5] by ws_flow_end, input uint64 [inputs],
 *                         labels/<level> uint64 [classes + 1], the last without label, times int64 [2] the least
 *                         first_ns and the greatest last_ns
 *   /provenance/damage/   input uint32, reason (text), offset uint64, bytes uint64   each [runs of damage]; with
 *                         /provenance/files also file uint32, in which the offset is
 *
 * A store that was added to (extract --append) has the rows of the inputs that were added behind all others; in its options,
 * `appended` lists what each later run was told, and its first input.
 *
 * Row order: (input, the point at which the flow left, ordinal of its first packet). Stores of flow tables have one row
 * a record, in the order of inputs and records; first_ordinal is the number of the record in its input, from 0; what a
 * table does not tell is 0 (addresses ::, ports 0, protocol 0, times, counts, packet columns), end then is `input`.
 *
 * CONTENT HASH: SHA-256 over all datasets of /flows, /packets, /features, /labels, /bytes, in this order of groups
 * and sorted bytewise within one. Of each: the line "PATH TYPE COLUMNS ROWS\n" (TYPE uint8, int64, float32, text,
 * ...; COLUMNS values a row); for each of the attributes names, columns, units it has, the line "NAME COUNT\n" and
 * the texts, each with a NUL behind; then the SHA-256 digests (32 bytes) of its 65,536-row blocks: little-endian
 * values, texts with one NUL behind.
 */
#ifndef WS_DATASET_H
#define WS_DATASET_H

#include "flow/flow.h"
#include "storage/storage.h"

enum { WS_STORE_SCHEMA = 1, WS_HASH_BLOCK_ROWS = 65536 };

/* ---------------------------------------------------------------- extraction (extract*.c, store_write.c) */
/* Which files are one input, ordered by the times of their first records (extract_join.c). */
typedef enum ws_join { WS_JOIN_NONE, WS_JOIN_ALL, WS_JOIN_DIRECTORY } ws_join;
/* What --config and --set reach; whatever reads the file of --config knows all keys of the table by it. */
typedef struct ws_extract_settings {
    double idle_timeout, active_timeout, window;
    int64_t round_bytes, reservoir, reservoir_seed;
    int stamps, bytes_stripped, direction, tunnels, reservoir_kind, non_finite, window_rule, window_origin, input_hash;
    double checkpoint;
    int64_t checkpoint_bytes;
    int join, rows;
    ws_string_list groups;
} ws_extract_settings;
extern const ws_option_table ws_extract_settings_table;
extern const char *const ws_extract_settings_beside[]; /* keys of the same file that are read elsewhere; NULL ends */

typedef enum ws_extract_row { WS_ROW_AUTO, WS_ROW_FLOW, WS_ROW_SAMPLE } ws_extract_row; /* auto: the data set's */
typedef struct ws_extract_options {
    const char *dataset;                 /* a name of datasets.def */
    const char *labels;                  /* file or directory, meaning depends on the data set */
    ws_string_list inputs;               /* as given; expanded and sorted by ws_extract_all */
    const char *output;                  /* STORE.h5; written in the folder STORE.h5.partial, renamed when complete */
    int64_t packets;                     /* stored per flow */
    double idle_timeout, active_timeout; /* seconds; 0: the data set's */
    int64_t round_bytes;                 /* input read before ranks exchange; 0: 8 MiB a rank, on one machine 4 to 16 */
    int64_t memory;                      /* bytes a process may take; 0: no bound. Changes no row */
    bool skip_unreadable;                /* --on-error skip */
    const char *endpoints;               /* "drop" "keyed" "prefix" "plain" */
    const char *key_file;
    bool direction_by_syn; /* or the data set's rules say so */
    bool direction_by_private;
    const char *filter;       /* pcap-filter(7) expression; NULL: none */
    ws_string_list protocols; /* kept as flows besides TCP and UDP; ws_ip_protocols_read */
    int stamps;               /* of pcapng captures: 1 + ws_stamps; 0: the data set's */
    const char *bytes;        /* kept of packets, ws_byte_view_read; NULL: none */
    ws_strip bytes_stripped;  /* before they are kept */
    bool inner_packets;       /* packets inside of tunnels stand for their frames */
    double window;            /* seconds; 0: the data set's; ws_flow_rules.window_ns */
    bool windows_alone;       /* ws_flow_rules.windows_alone */
    bool window_captures;     /* a row is all that an input has in a window */
    bool windows_from_epoch;  /* counted from 1970, not from the input's first packet */
    ws_extract_row rows;      /* what one is */
    int64_t reservoir;        /* rows stored of all flows; 0: all (extract_reservoir.c) */
    bool reservoir_balanced;
    int64_t reservoir_seed;
    int64_t input_hash_from;   /* see input_sha256; 0: WS_INPUT_HASH_FROM; of all inputs: 1; of none: _WHOLE */
    ws_string_list features;   /* tables of features.def that are stored beside flow20 */
    ws_join join;              /* of the files that are of none of the groups */
    ws_string_list groups;     /* patterns of file names; files that match one are one input */
    bool append;               /* to the output, where it is there already */
    const char *label_rules;   /* a file like those of configs/datasets; NULL: the data set's own, if any */
    const char *config;        /* JSON file whose "table" object describes flow tables; NULL: none */
    bool resume;               /* goes on with what is in OUTPUT.partial; from the beginning where nothing is */
    double checkpoint_seconds; /* between states that a later run can go on from; 0: none but at a signal */
    int64_t checkpoint_bytes;  /* the same in bytes of input */
    bool skip_not_finite;      /* tables: rows with Infinity or NaN are left out; else the cell is 0 */
} ws_extract_options;

enum { WS_INPUT_HASH_LEAF = 64 << 10, WS_INPUT_HASH_BLOCK = 1 << 20, WS_INPUT_HASH_FROM = 256 << 20 };
#define WS_INPUT_HASH_WHOLE INT64_MAX

/* Why rows of tables were skipped. */
typedef struct ws_report_reason {
    const char *help;
    uint64_t rows;
} ws_report_reason;
enum { WS_REPORT_REASONS = 16 };

/* Where an extraction's wall time goes, on this rank; waiting for others counts where it happens. */
#define WS_EXTRACT_PHASE_LIST(P)                                                                                       \
    P(open, "inputs opened, store begun")                                                                              \
    P(read, "read, walk, decode")                                                                                      \
    P(exchange, "packets and rows to their ranks")                                                                     \
    P(table, "flow table, features")                                                                                   \
    P(rows, "labels, row hashes")                                                                                      \
    P(write, "columns to HDF5, their hashes")                                                                          \
    P(finish, "content hash, provenance, to the disk")
typedef enum ws_extract_phase {
#define WS_EXTRACT_PHASE_ENUM(name, text) WS_EXTRACT_PHASE_##name,
    WS_EXTRACT_PHASE_LIST(WS_EXTRACT_PHASE_ENUM)
#undef WS_EXTRACT_PHASE_ENUM
        WS_EXTRACT_PHASE_COUNT
} ws_extract_phase;

typedef struct ws_extract_report {
    uint64_t inputs, files, inputs_skipped, records, packets, skipped[WS_SKIP_COUNT], flows, stored_packets,
        damage_runs, damage_bytes, boundary_repairs, negative_gaps, labelled,
        rows;    /* stored; fewer than flows with a reservoir */
    bool tables; /* flow tables were read: the members below, and flows are rows */
    uint64_t rows_skipped, cells_not_finite, cells_empty;
    ws_report_reason row_reasons[WS_REPORT_REASONS];
    double seconds, phase_seconds[WS_EXTRACT_PHASE_COUNT];
    uint64_t spilled_bytes;     /* that went through files for want of memory, of all ranks */
    uint64_t exchanged_bytes;   /* of packets and rows that this rank sent to others */
    uint64_t peak_memory_bytes; /* of the rank with the largest resident set */
    uint64_t peak_live_flows;   /* of this rank */
    char content_hash[65];
} ws_extract_report;
/* Collective. WS_E_INTERRUPTED when told to stop: what was done is kept, see extract_checkpoint.h. WS_E_PARTIAL when
 * --on-error skip left inputs out (the store is written). */
WS_MUST ws_err ws_extract_all(const ws_comm *comm, const ws_extract_options *options, ws_extract_report *report);

/* `wiresweep bench extract`: appends a table, or a JSON array (core/bench.h). capture NULL: makes two of its own, headers
 * only and with payload. */
WS_MUST ws_err ws_bench_extract_all(const ws_comm *comm, const char *capture, ws_text *out, bool json);

/* ---------------------------------------------------------------- feature tables (features.def, features*.c) */
/* float32 [rows, columns], stored as /features/<name>. */
typedef struct ws_feature_table {
    const char *name;
    size_t columns;
    const char *const *names, *const *units; /* [columns] */
} ws_feature_table;
/* One that is made of captures' flows. */
typedef struct ws_flow_features {
    const char *help;
    ws_feature_table table;
    size_t packets; /* stored ones of a flow without which columns are zeros; 0: it needs none */
    uint64_t reads; /* stored ones of a flow that enter at most; 0: none does */
    void (*make)(const ws_flow *flow, const ws_flow_packet *packets, float *out); /* packets: the stored ones */
} ws_flow_features;
#define WS_READS_ALL UINT64_MAX                                /* of ws_flow_features.reads */
enum { WS_FEATURE_TABLES_MAX = 32 };                           /* of a store */
extern const ws_flow_features ws_features_flow20;              /* every store of captures has it */
extern const ws_flow_features *const ws_flow_feature_tables[]; /* NULL-terminated; flow20 first */
const ws_flow_features *ws_flow_features_find(const char *name);
uint64_t ws_features_reads(const char *name); /* 0 also for tables that are not made of captures' flows */
/* `wiresweep bench features`: appends a table, or a JSON array (core/bench.h): the time to make a row of each. */
WS_MUST ws_err ws_bench_features(ws_text *out, bool json);

/* ---------------------------------------------------------------- data set adapters (datasets.def, one file each) */
/* A label source gives each flow a class name per level. Filled on every rank from the same files; lookups are local.
 */
typedef struct ws_label_source ws_label_source; /* see labels.h */
typedef struct ws_table_family ws_table_family; /* see table.h */
typedef struct ws_dataset_adapter {
    const char *name, *help;
    const ws_flow_rules *rules; /* defaults of this data set; NULL: ws_flow_rules_default */
    /* NULL: no labels. `labels` is the --labels argument (may be NULL), inputs the expanded names without compression
     * suffix; with labels_inside the paths to open. */
    ws_err (*open_labels)(ws_label_source *source, const char *labels, const ws_string_list *inputs);
    bool labels_inside; /* the captures themselves carry them */
    /* Without --labels: label and flow rules from configs/datasets/NAME.json (label_rules.h). */
    bool has_label_rules;
    /* NULL: captures only. The data set's flow tables; what an input holds decides which side reads it. */
    const ws_table_family *table;
    bool tables_only;     /* captures are refused */
    bool protocol_untold; /* packets of WS_PROTOCOL_UNTOLD are kept as flows */
    /* Captures: how time stamps of pcapng are read where a user does not say; and whether the packets of an input are taken in
     * the order of their times, since writers do not keep it. */
    ws_stamps stamps;
    bool by_time;
    bool samples; /* rows are the samples that packets name, where a user does not say: labels.h, ws_label_samples */
} ws_dataset_adapter;
extern const ws_dataset_adapter *const ws_dataset_adapters[]; /* NULL-terminated */
const ws_dataset_adapter *ws_dataset_find(const char *name);

/* ---------------------------------------------------------------- reading (store.c) */
typedef struct ws_label_level {
    char *name;
    char **names; /* class names */
    size_t classes;
} ws_label_level;
typedef struct ws_store {
    hid_t file;
    char *path, *dataset, *content_hash; /* owned */
    uint64_t rows, packets;
    ws_label_level *levels;
    size_t level_count;
} ws_store;
WS_MUST ws_err ws_store_open(ws_store *out,
                             const char *path); /* one process, read only; refuses other schemas with a hint */
void ws_store_close(ws_store *store);
/* Rows [begin, begin+count) of a one-column dataset ("/flows/first_ns"), converted to the memory type (H5T_NATIVE_...).
 */
WS_MUST ws_err ws_store_read(const ws_store *store, const char *path, hid_t memory_type, uint64_t begin, uint64_t count,
                             void *out);
/* The name of the store's first feature table: flow20 of captures, a data set's own of flow tables. */
WS_MUST ws_err ws_store_features_name(const ws_store *store, char name[256]);
/* Feature table: *columns its width; names in the arena. Rows [begin, begin+count) row-major. */
WS_MUST ws_err ws_store_features_info(const ws_store *store, const char *name, ws_arena *arena, int *columns,
                                      ws_string_list *names);
WS_MUST ws_err ws_store_read_features(const ws_store *store, const char *name, uint64_t begin, uint64_t count,
                                      float *out);
/* Stored packets of flows [begin, begin+count): *packets malloc'ed, start[count+1] relative to the first. */
WS_MUST ws_err ws_store_read_packets(const ws_store *store, uint64_t begin, uint64_t count, uint64_t *start,
                                     ws_flow_packet **packets);
/* The byte view that the store has; packets 0: none. */
WS_MUST ws_err ws_store_byte_view(const ws_store *store, ws_byte_view *out);
/* Bytes of flows [begin, begin+count), as in /bytes; what is NULL is not read. values [count][packets][header+payload],
 * kept and lengths [count][packets][2]. */
WS_MUST ws_err ws_store_read_bytes(const ws_store *store, uint64_t begin, uint64_t count, uint8_t *values,
                                   uint16_t *kept, uint32_t *lengths);
bool ws_store_hosts_apart(const ws_store *store);                              /* a host may have several numbers */
const ws_label_level *ws_store_level(const ws_store *store, const char *name); /* NULL where absent */
WS_MUST ws_err ws_store_compute_hash_all(const ws_comm *comm, const char *path,
                                         char hex[65]); /* reads everything again */
/* store_alike.c: the options that the store was extracted with, as JSON; *out malloc'ed. */
WS_MUST ws_err ws_store_extraction(const ws_store *store, char **out);
/* Whether its rows are made as those of the store that trained, whose options are the JSON text; of stored packets `reads` of a
 * flow count. Where not, an error, or with `accepts` a warning and *differences (malloc'ed; NULL: none). */
WS_MUST ws_err ws_store_check_extraction(const ws_store *store, const char *trained, uint64_t reads, bool accepts,
                                         char **differences);
/* The same of all stored packets, as an answer. */
WS_MUST ws_err ws_stores_extracted_alike(const ws_store *store, const ws_store *trained, bool *alike);
/* What is in it, for people / machines; appends to out. */
WS_MUST ws_err ws_store_describe(const ws_store *store, bool json, ws_text *out);
/* One row a flow (RFC 4180), written atomically; features NULL: the store's first table; bytes: also what is kept of packets;
 * output NULL: standard output. */
WS_MUST ws_err ws_store_export_csv(const ws_store *store, const char *features, bool bytes, const char *output);

/* The captures' packets as pcapML, each with the sample and label of its row (export_pcapml.c). */
typedef struct ws_pcapml_export {
    ws_string_list captures; /* the store was made of; expanded */
    const char *label;       /* level; NULL: the first */
    const char *key_file;    /* the store was made with; NULL: none */
    const char *label_file;  /* of pcapML, that the store was made with; NULL: none */
    ws_stamps stamps;        /* how those of the captures are read */
} ws_pcapml_export;
typedef struct ws_pcapml_exported {
    uint64_t packets, left_out; /* left_out: of no row or sample */
    uint64_t unlabelled;        /* packets left out since their rows have no label */
    uint64_t unlabelled_rows;   /* of the captures */
    uint64_t short_samples;     /* rows with a label whose packets were not all in their capture */
    char first_short[256];      /* the first of them: its number, and its capture's name */
    uint64_t shared_samples;    /* that several captures have by their comments or label file: one sample each in the file */
} ws_pcapml_exported;
WS_MUST ws_err ws_store_export_pcapml(const ws_store *store, const ws_pcapml_export *options, const char *output,
                                      ws_pcapml_exported *report);

/* What is in a file that is no store. Captures: format, link types, records by walking all of it, skipped by reason,
 * damage. HDF5: root attributes and the shapes of all datasets. JSON: its keys and values. */
WS_MUST ws_err ws_capture_describe(const char *path, bool json, ws_text *out);
WS_MUST ws_err ws_hdf5_describe(const char *path, bool json, ws_text *out);
WS_MUST ws_err ws_json_describe(const char *path, bool json, ws_text *out);

/* ---------------------------------------------------------------- splits (protocols.def, split.c) */
typedef enum ws_part { WS_PART_NONE, WS_PART_TRAIN, WS_PART_VALIDATION, WS_PART_TEST, WS_PART_COUNT } ws_part;
typedef struct ws_split_options {
    const char *protocol; /* a name of protocols.def: random, temporal, ... */
    int64_t protocol_seed;
    double train_fraction, validation_fraction; /* the rest is test */
    const char *label;    /* level used for stratification and rows that take part (label >= 0); NULL: all rows */
    int64_t minimum_rows; /* classes with fewer labelled rows are left out, and reported */
    int64_t maximum_rows; /* of classes with more that are not normal, as many are drawn; 0: all */
    ws_string_list
        normal; /* names of the classes that are normal, for protocols that tell them from anomalies: shafir_10k, and
                                   session, host and capture, which put groups without normal rows in no training part */
    const char *features;       /* the table whose columns are audited; NULL: the store's first */
    const char *training_store; /* the audit compares test rows with those of this store; NULL: with the split's own */
    bool other_extraction;      /* also where that was extracted otherwise, see ws_store_check_extraction */
} ws_split_options;
typedef struct ws_split {
    uint64_t rows;
    uint8_t *part; /* [rows] ws_part */
    uint64_t counts[WS_PART_COUNT];
    char hash[65]; /* SHA-256 over protocol, seed, fractions and the row hashes of each part in row order */
    size_t classes_left_out;
    uint64_t rows_left_out;   /* of these classes */
    uint64_t rows_thinned;    /* of classes with more than maximum_rows */
    uint64_t rows_unlabelled; /* without a label of the level */
    /* Classes by name with their rows, "Cloud (7), Mail (3)": those left out; those that take part, but not in training, not in
     * test. NULL: none. Owned. */
    char *small_classes, *untrained_classes, *untested_classes;
} ws_split;
WS_MUST ws_err ws_split_create(ws_split *out, const ws_store *store, const ws_split_options *options);
void ws_split_destroy(ws_split *split);
typedef struct ws_protocol {
    const char *name, *help;
    /* Sets part[] of the rows in `chosen` (ascending row numbers). label[i] belongs to chosen[i]. */
    ws_err (*assign)(const ws_store *store, const ws_split_options *options, const uint64_t *chosen,
                     const int32_t *label, uint64_t count, uint8_t *part);
    bool own_parts; /* the fractions of the options do not enter, and a part may be empty */
} ws_protocol;
extern const ws_protocol *const ws_protocols[]; /* NULL-terminated */
const ws_protocol *ws_protocol_find(const char *name);
/* What parts share: for each kind of value, how many values stand in both parts, and how many rows of the first part have
 * such a value, of all its rows. */
typedef enum ws_audit_column {
    WS_AUDIT_DUPLICATES,      /* input_hash: a model sees the same */
    WS_AUDIT_SESSIONS,        /* 5-tuple */
    WS_AUDIT_HOSTS,           /* forward sender */
    WS_AUDIT_NEAR_DUPLICATES, /* features equal after rounding each to 4 binary digits behind the leading one (3 %) */
    WS_AUDIT_SAME_BEGINNING,  /* direction and payload length of the first 16 packets, of flows with 8 or more */
    WS_AUDIT_CAPTURES,        /* input */
    WS_AUDIT_COLUMNS
} ws_audit_column;
typedef enum ws_audit_pair {
    WS_AUDIT_TEST_IN_TRAIN,
    WS_AUDIT_VALIDATION_IN_TRAIN,
    WS_AUDIT_TEST_IN_VALIDATION,
    WS_AUDIT_PAIRS
} ws_audit_pair;
extern const char *const ws_audit_column_names[WS_AUDIT_COLUMNS], *const ws_audit_pair_names[WS_AUDIT_PAIRS];
typedef struct ws_audit_overlap {
    uint64_t values, rows, of;
} ws_audit_overlap;
typedef struct ws_split_audit {
    ws_audit_overlap overlap[WS_AUDIT_COLUMNS][WS_AUDIT_PAIRS];
} ws_split_audit;
/* Needs of `split` only rows and part. */
WS_MUST ws_err ws_split_audit_make(ws_split_audit *out, const ws_split *split, const ws_store *store);
/* Of two stores, the second of which trained the model: sessions by their keys, captures by their SHA-256; hosts cannot be
 * compared (of = 0), nor rows where the stores were extracted in different ways. */
WS_MUST ws_err ws_split_audit_across(ws_split_audit *out, const ws_split *split, const ws_store *store,
                                     const ws_split *trained_split, const ws_store *trained);
/* The manifest: options, counts by part and class, checksums, row hashes of each part, and the leakage audit: the
 * overlaps, the best single feature of each class, and findings in words; as JSON text appended to out. */
WS_MUST ws_err ws_split_manifest(const ws_split *split, const ws_store *store, const ws_split_options *options,
                                 ws_text *out);
/* Parts and audit as text for people. */
WS_MUST ws_err ws_split_report(const ws_split *split, const ws_store *store, const ws_split_options *options,
                               ws_text *out);

/* ---------------------------------------------------------------- normalisation (normalise.c) */
/* Column mean and population standard deviation over the chosen rows (std < 1e-6 becomes 1), clip to +-8.
 */
typedef struct ws_normalisation {
    int columns;
    double *mean, *deviation; /* owned */
    double clip;
    uint64_t clipped; /* values clipped by ws_normalise so far */
} ws_normalisation;
WS_MUST ws_err ws_normalisation_fit(ws_normalisation *out, const float *values, const uint64_t *rows,
                                    uint64_t row_count, int columns);
/* So that the chosen rows fill [-4, 4] in every column, nothing clipped: middle of the range, and an eighth of it (1 for a
 * constant column). */
WS_MUST ws_err ws_normalisation_fit_box(ws_normalisation *out, const float *values, const uint64_t *rows,
                                        uint64_t row_count, int columns);
void ws_normalisation_destroy(ws_normalisation *normalisation);
void ws_normalise(ws_normalisation *normalisation, const float *in, float *out, uint64_t rows);

#endif
