/* table: flow tables (CSV, TSV, ARFF; plain or .gz) of public data sets to the rows of a store.
 *
 *   table_text.c      bytes of a file, record by record, from any record start
 *   table_value.c     cells: numbers, times, addresses, labels
 *   table_packets.c   cells with a list in them: packet sequences, histograms, byte texts
 *   table_header.c    what the columns of a file are, by the family's list of names
 *   table_row.c       a record to a row
 *   table_run.c       all files by all ranks, in rounds
 *   table_state.c     what a run that goes on later needs
 *   table_account.c   classes and counters of all ranks, conservation, provenance
 *   table_cic.c, table_iscx.c, table_cesnet.c, table_ustc_tfc2016.c, table_ciciot2022.c, adapter_*.c: the families: lists
 *                     of columns, no code
 *
 * A record that cannot be a row is skipped and counted by reason; a cell without a finite number is 0 and counted by
 * kind. What /flows cannot know from a table is 0 there: addresses and ports (then the key is that of protocol 0 between
 * :: and ::), times, counts; `end` is `input` unless the table tells it. first_ordinal is the number of the record in
 * its file, from 0, skipped ones included.
 */
#ifndef WS_DATASET_TABLE_H
#define WS_DATASET_TABLE_H

#include "dataset/extract.h"

typedef enum ws_table_role {
    WS_TABLE_VALUE,  /* a feature and nothing else */
    WS_TABLE_UNUSED, /* known, and left out */
    WS_TABLE_LABEL,
    WS_TABLE_ATTEMPTED, /* category of an attack that was only attempted, or -1; label_rules.h says what follows */
    WS_TABLE_SOURCE,
    WS_TABLE_SOURCE_PORT,
    WS_TABLE_DESTINATION,
    WS_TABLE_DESTINATION_PORT,
    WS_TABLE_PROTOCOL,
    WS_TABLE_FIRST_TIME,
    WS_TABLE_LAST_TIME,
    WS_TABLE_DURATION, /* in the family's duration_ns; gives last_ns where no last time does */
    WS_TABLE_PACKETS_FORWARD,
    WS_TABLE_PACKETS_BACKWARD,
    WS_TABLE_BYTES_FORWARD,
    WS_TABLE_BYTES_BACKWARD,
    WS_TABLE_PAYLOAD_FORWARD,
    WS_TABLE_PAYLOAD_BACKWARD,
    WS_TABLE_ENDED_IDLE, /* 1: the reason the flow ended */
    WS_TABLE_ENDED_ACTIVE,
    WS_TABLE_HISTOGRAM,  /* "[1, 2, ...]": WS_TABLE_BINS features */
    WS_TABLE_PPI,        /* "[[ms],[+-1],[payload]]", perhaps with a fourth row, PSH flags: packets */
    WS_TABLE_LENGTHS,    /* "60;1500;...": wire lengths of packets */
    WS_TABLE_GAPS,       /* "0;0.25;...": ms since the packet before */
    WS_TABLE_DIRECTIONS, /* "1;-1;..." */
    WS_TABLE_BIGRAMS,    /* "45aa aabb ...": overlapping pairs of bytes, WS_TABLE_BYTES features; absent: -1 */
} ws_table_role;
enum { WS_TABLE_BINS = 8, WS_TABLE_BYTES = 128, WS_TABLE_COLUMNS_MAX = 4096, WS_TABLE_CLASSES_MAX = 1 << 14 };

/* Names are compared by their letters and digits, in lower case. The first one is the feature's or the level's name. */
typedef struct ws_table_column {
    const char *names; /* "Total Fwd Packets|Total Fwd Packet"; NULL ends a list */
    const char *unit;  /* of the feature; NULL: it is none */
    ws_table_role role;
    const char *level; /* LABEL: the level it fills */
} ws_table_column;

/* A label that a file's path tells. */
typedef enum ws_table_part { WS_TABLE_NO_PART, WS_TABLE_STEM, WS_TABLE_FOLDER } ws_table_part;
typedef struct ws_table_path_label {
    const char *level;
    ws_table_part part; /* base name without suffixes, or name of the folder */
    const char *cut;    /* what is cut off the end, from its last occurrence; NULL: nothing */
} ws_table_path_label;

/* How times without a zone are to be read. */
typedef struct ws_table_clock {
    int utc_offset_s, later_offset_s; /* local time minus UTC, before and after the clocks were changed */
    int slash_offset_s;               /* the same where times are written day/month/year */
    int64_t change_s;                 /* local time of the change, s since 1970; 0: none */
    bool afternoon;                   /* day/month/year times are of a 12-hour clock that ran from 8 to 19 */
} ws_table_clock;

struct ws_table_family {
    const char *feature_table;
    const ws_table_column *columns;
    int least_features;     /* a file with fewer of the columns is of another data set */
    bool rest_are_features; /* columns that are not listed; else they are left out */
    bool day_in_name;       /* rows without a time get the day that the file's name has (YYYYMMDD) */
    double duration_ns;     /* a unit of duration */
    ws_table_clock clock;
    ws_table_path_label path_labels[4];
};
extern const ws_table_column ws_table_cesnet_columns[];
extern const ws_table_family ws_table_cicids2017, ws_table_cicddos2019, ws_table_iscxtor2016, ws_table_iscxvpn2016,
    ws_table_ustc_tfc2016, ws_table_ciciot2022;

/* ---------------------------------------------------------------- table_text.c */
typedef struct ws_table_cell {
    char *text; /* in the buffer, not NUL-terminated, without quotes */
    uint32_t length;
    bool doubled; /* holds doubled quotes */
} ws_table_cell;
typedef struct ws_table_record {
    ws_table_cell *cells;   /* [capacity of the text]; borrowed until the next record */
    size_t count;           /* may exceed the capacity: then the rest is not in cells */
    uint64_t offset, bytes; /* in the text; with its line end */
    bool open_quote, too_long;
} ws_table_record;
typedef struct ws_table_text ws_table_text;
bool ws_table_is_text(const char *path); /* by its first bytes, decompressed: no capture, no binary file */
/* From `offset`, which must be a record's start, or a guess; compressed: from the start only. */
WS_MUST ws_err ws_table_text_open(ws_table_text **out, const char *path, char separator, size_t cells);
void ws_table_text_close(ws_table_text **text);
bool ws_table_text_compressed(const ws_table_text *text);
WS_MUST ws_err ws_table_text_seek(ws_table_text *text, uint64_t offset, uint64_t limit);
/* Moves to behind the first line end at or after offset - 1. */
WS_MUST ws_err ws_table_text_seek_line(ws_table_text *text, uint64_t offset, uint64_t limit);
WS_MUST ws_err ws_table_text_next(ws_table_text *text, ws_table_record *record, bool *more);
uint64_t ws_table_text_position(const ws_table_text *text);      /* of the next record */
uint64_t ws_table_text_file_position(const ws_table_text *text); /* bytes of the file taken in */

/* ---------------------------------------------------------------- table_value.c */
typedef enum ws_table_number {
    WS_NUMBER_OK,
    WS_NUMBER_EMPTY,
    WS_NUMBER_INFINITE,
    WS_NUMBER_NAN,
    WS_NUMBER_BAD
} ws_table_number;
ws_table_number ws_table_parse_number(const char *text, size_t length, double *out); /* not OK: *out is 0 */
bool ws_table_parse_time(const char *text, size_t length, const ws_table_clock *clock, int64_t *ns);
bool ws_table_parse_address(const char *text, size_t length, uint8_t out[16]);
uint8_t ws_table_parse_protocol(const char *text, size_t length);
/* Blanks joined, broken dashes mended: "Web Attack \x96 XSS" is "Web Attack - XSS". */
void ws_table_clean_label(const ws_table_cell *cell, ws_text *out);
void ws_table_trim(const char **text, size_t *length);

/* ---------------------------------------------------------------- table_packets.c */
/* Numbers of a cell's list, up to `most`; false where it is none. */
bool ws_table_parse_list(const char *text, size_t length, double *out, size_t most, size_t *count);
bool ws_table_parse_ppi(const char *text, size_t length, size_t most, ws_flow_packet *out, size_t *count);
bool ws_table_parse_bigrams(const char *text, size_t length, float out[WS_TABLE_BYTES]);

/* ---------------------------------------------------------------- table_header.c */
typedef struct ws_table_field {
    ws_table_role role;
    int32_t feature; /* first value in the row, -1: none */
    int32_t level;   /* -1: none */
} ws_table_field;
typedef struct ws_table_plan {
    const ws_table_family *family;
    char separator;
    bool arff, compressed;
    size_t field_count;
    ws_table_field *fields;
    uint64_t data_begin; /* first record behind the header, in the text */
    size_t columns;
    const char **names, **units; /* [columns] */
    int32_t attempted_level; /* the first label's class also where the attack was only attempted; -1: no such column */
    size_t label_field;      /* the first label's */
    size_t level_count, path_level; /* levels from path_level on are those of the path */
    const char *levels[WS_LABEL_LEVELS_MAX], *path_classes[WS_LABEL_LEVELS_MAX];
    int64_t day_ns;      /* of the file's name, 0: none */
    const char *unknown; /* columns left out because nobody knows them, or "" */
    uint64_t form;       /* of columns, units and levels: files of one store have the same */
} ws_table_plan;
/* All in the arena. */
WS_MUST ws_err ws_table_read_header(const char *path, const ws_table_family *family, ws_arena *arena,
                                    ws_table_plan *plan);
/* A family from the "table" object of a JSON file, on top of `base`. NULL file: base itself. */
WS_MUST ws_err ws_table_configure(const ws_table_family *base, const char *file, ws_arena *arena,
                                  const ws_table_family **out);

/* ---------------------------------------------------------------- table_row.c */
typedef enum ws_table_skip {
    WS_TABLE_SKIP_NONE,
    WS_TABLE_SKIP_EMPTY,
    WS_TABLE_SKIP_SHORT,
    WS_TABLE_SKIP_LONG,
    WS_TABLE_SKIP_HEADER,
    WS_TABLE_SKIP_COMMENT,
    WS_TABLE_SKIP_NUMBER,
    WS_TABLE_SKIP_PACKETS,
    WS_TABLE_SKIP_QUOTE,
    WS_TABLE_SKIP_BYTES,
    WS_TABLE_SKIP_NOT_FINITE,
    WS_TABLE_SKIP_COUNT
} ws_table_skip;
extern const char *const ws_table_skip_names[WS_TABLE_SKIP_COUNT], *const ws_table_skip_help[WS_TABLE_SKIP_COUNT];

/* Of an input; all uint64_t, summed over ranks as one array. */
typedef struct ws_table_counts {
    uint64_t records, bytes, rows, row_bytes;
    uint64_t skipped[WS_TABLE_SKIP_COUNT], skipped_bytes[WS_TABLE_SKIP_COUNT];
    uint64_t empty_cells, infinite_cells, nan_cells; /* taken as 0, of rows */
    uint64_t bad_times, bad_addresses, unlabelled, packets;
} ws_table_counts;

/* Class names a rank met, numbered in the order it met them; the same for all levels. */
typedef struct ws_table_names ws_table_names;
WS_MUST ws_err ws_table_names_create(ws_table_names **out);
void ws_table_names_destroy(ws_table_names **names);
WS_MUST ws_err ws_table_names_find(ws_table_names *names, size_t level, const char *name, size_t length, int32_t *id);
size_t ws_table_names_count(const ws_table_names *names);
const char *ws_table_names_get(const ws_table_names *names, size_t id, size_t *level);

typedef struct ws_table_rows {
    ws_flow *flows;
    size_t count, capacity;
    ws_flow_packet *packets;
    size_t packet_count, packet_capacity;
    float *values; /* [count][columns] */
    size_t value_capacity;
    int32_t *labels; /* [count][levels], of the rank's names */
    size_t label_capacity;
    uint8_t *attempted; /* [count] 0, or 1 + category */
    size_t attempted_capacity;
} ws_table_rows;
void ws_table_rows_destroy(ws_table_rows *rows);
typedef struct ws_table_maker {
    ws_table_names *names;
    ws_text scratch;
    double *numbers;             /* three lists of WS_TABLE_LIST_MAX */
    size_t packets;              /* stored of a flow at most */
    bool skip_not_finite, warns; /* warns: of the first text where a number belongs, then no more */
} ws_table_maker;
enum { WS_TABLE_LIST_MAX = 4096 };
/* Appends the record as a row of `input`, or counts why not. first_ordinal is the caller's. */
WS_MUST ws_err ws_table_add_row(ws_table_maker *maker, const ws_table_plan *plan, ws_table_record *record,
                                uint32_t input, uint64_t ordinal, ws_table_rows *rows, ws_table_counts *counts);

/* ---------------------------------------------------------------- table_run.c, table_account.c */
/* Collective: the inputs of `x`, opened as tables, to its store. */
WS_MUST ws_err ws_table_extract_all(extraction *x, ws_extract_report *report);

typedef struct ws_table_run {
    extraction *x;
    ws_feature_table features;
    ws_label_level *levels; /* without classes while the run lasts */
    size_t level_count;
    ws_table_plan *plans;  /* [inputs]; field_count 0: not read yet */
    ws_table_text **texts; /* [inputs]; open while the rank reads them */
    ws_table_counts *counts;
    ws_table_maker maker;
    int32_t *global;                /* [names of the rank] number all ranks use */
    size_t global_capacity, known;  /* names that have one */
    struct ws_table_class *classes; /* by that number; the same on all ranks */
    size_t class_count, class_capacity;
    uint64_t carry; /* between rounds: where the next record of plain files starts */
} ws_table_run;
typedef struct ws_table_class {
    const char *name; /* in the extraction's arena */
    size_t level;
    int32_t index; /* within its level, in the order they came */
} ws_table_class;
/* Gives the names that the rank's rows use their numbers; used[names of the rank]. */
WS_MUST ws_err ws_table_agree_names_all(ws_table_run *run, const bool *used);
WS_MUST ws_err ws_table_add_class(ws_table_run *run, size_t level, const char *name, int32_t *number);
WS_MUST ws_err ws_table_finish_all(ws_table_run *run, ws_extract_report *report);
/* The options that determine rows; JSON appended to out. */
WS_MUST ws_err ws_table_options_json(const extraction *x, ws_text *out);

/* ---------------------------------------------------------------- table_state.c: a run that goes on later */
WS_MUST ws_err ws_table_state_write(const ws_table_run *run, ws_text *out);
WS_MUST ws_err ws_table_state_read(ws_table_run *run, const void *bytes, size_t count);

#endif
