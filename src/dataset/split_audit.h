/* split_audit: the parts of the audit that are looked at only when a split is: can one raw feature, or where a row comes
 * from, tell the label, when were the parts, and what of all that was counted should make one doubt the split. Used by
 * split_*.c.
 */
#ifndef WS_DATASET_SPLIT_AUDIT_H
#define WS_DATASET_SPLIT_AUDIT_H

#include "dataset/split_order.h"

/* The feature table that is audited: the one wanted, else the store's first. In the arena. */
WS_MUST ws_err ws_audit_table(const ws_store *store, const char *wanted, ws_arena *arena, const char **table,
                              ws_string_list *columns);

/* The column, threshold and side that tell a class best from all others on training rows, and what they give on test
 * rows. */
typedef struct ws_separable_class {
    uint64_t train_rows, test_rows;
    int column; /* -1: too few rows (under 30 of the class, or of the others, in train or test) */
    bool above; /* the class lies above the threshold */
    float threshold;
    double train_balanced, balanced_accuracy, auroc; /* the last two on test rows; auroc towards the class's side */
} ws_separable_class;

/* Decided rows: test rows with a value, in some column, that at least 2 training rows have and all of these are of the
 * row's class, so many that chance would give that once in 10^9 (share of the class, to the power of their number). */
typedef struct ws_separability {
    const ws_label_level *level; /* borrowed from the store; NULL: the split has no label, and nothing is known */
    const char *table;
    ws_string_list columns;
    ws_separable_class *classes; /* [level->classes] */
    uint64_t decided_rows;
    ws_arena *arena;
} ws_separability;
WS_MUST ws_err ws_separability_create(ws_separability *out, const ws_split *split, const ws_store *store,
                                      const ws_split_options *options);
void ws_separability_destroy(ws_separability *separability);

/* ---------------------------------------------------------------- split_identifiers.c */
/* Test rows told by the class that most training rows of the same capture, host or 5-tuple have. */
typedef enum ws_identifier {
    WS_IDENTIFIER_CAPTURE,
    WS_IDENTIFIER_HOST,
    WS_IDENTIFIER_SESSION,
    WS_IDENTIFIERS
} ws_identifier;
extern const char *const ws_identifier_names[WS_IDENTIFIERS];
typedef struct ws_audit_identifier {
    uint64_t seen;            /* test rows whose identifier some training row has */
    uint64_t right;           /* of these, those that have the class it tells */
    uint64_t majority_right;  /* of these, those of the commonest class of all training rows */
    double balanced_accuracy; /* on all test rows, those not seen taken for the commonest class */
} ws_audit_identifier;
typedef struct ws_label_audit {
    const ws_label_level *level; /* borrowed; NULL: the split has no label, and nothing is known */
    ws_audit_identifier identifiers[WS_IDENTIFIERS];
    uint64_t contradicted; /* test rows that equal training rows of other classes only */
} ws_label_audit;
WS_MUST ws_err ws_identifiers_audit(ws_label_audit *out, const ws_split *split, const ws_store *store,
                                    const char *label);

/* ---------------------------------------------------------------- split_whole_audit.c */
typedef struct ws_audit_times {
    bool known;
    int64_t first_ns[WS_PART_COUNT], last_ns[WS_PART_COUNT]; /* at which rows of the part begin */
    uint64_t early_test;    /* test rows that begin before the last training row begins */
    uint64_t late_training; /* training rows that last into the time of the test rows */
} ws_audit_times;

typedef struct ws_whole_audit {
    ws_split_audit overlaps;
    ws_audit_times times;
    ws_label_audit labels;
    ws_separability separability;
    uint64_t test_rows;
    bool by_time;           /* the protocol says that the past trains */
    char training_hash[65]; /* content hash of the store that trained; empty: the same store */
} ws_whole_audit;
WS_MUST ws_err ws_whole_audit_create(ws_whole_audit *out, const ws_split *split, const ws_store *store,
                                     const ws_split_options *options);
void ws_whole_audit_destroy(ws_whole_audit *audit);

double ws_overlap_share(const ws_audit_overlap *overlap);
/* A line for everything that should make one doubt; none for a clean split. "\n" behind each. */
void ws_audit_findings(const ws_whole_audit *audit, ws_text *lines);

#endif
