/* split_audit: the parts of the audit that are looked at only when a split is: can one raw feature tell the label, and
 * what of all that was counted should make one doubt the split. Used by split_*.c.
 */
#ifndef WS_DATASET_SPLIT_AUDIT_H
#define WS_DATASET_SPLIT_AUDIT_H

#include "dataset/split_order.h"

/* The feature table that is audited: the store's first by name. In the arena. */
WS_MUST ws_err ws_audit_table(const ws_store *store, ws_arena *arena, const char **table, ws_string_list *columns);

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
                                      const char *label);
void ws_separability_destroy(ws_separability *separability);

double ws_overlap_share(const ws_audit_overlap *overlap);
/* A line for everything that should make one doubt; none for a clean split. "\n" behind each. */
void ws_audit_findings(const ws_split_audit *audit, const ws_separability *separability, uint64_t test_rows,
                       ws_text *lines);

#endif
