/* split_order: what the protocols share. Used by split*.c only. */
#ifndef WS_DATASET_SPLIT_ORDER_H
#define WS_DATASET_SPLIT_ORDER_H

#include "dataset/dataset.h"

extern const char *const ws_part_names[WS_PART_COUNT]; /* "none" "train" "validation" "test" */

/* A row with what it is ordered by: class, then key, then row_hash (a property of the flow), then row number. */
typedef struct ws_ordered_row {
    uint64_t key, row_hash, row;
    int32_t class;
} ws_ordered_row;

/* One column of the chosen rows, malloc'ed: out[i] belongs to chosen[i]. */
WS_MUST ws_err ws_split_column(const ws_store *store, const char *path, const uint64_t *chosen, uint64_t count,
                               uint64_t **out);
/* Sorts, and cuts each class into train, validation and test by the fractions, in order. */
void ws_split_cut(ws_ordered_row *rows, uint64_t count, const ws_split_options *options, uint8_t *part);
/* Where train and validation end among `count` rows. */
void ws_split_ends(uint64_t count, const ws_split_options *options, uint64_t *train_end, uint64_t *validation_end);
/* Whether each row's class is one of the normal ones; all are where none are named. *out malloc'ed. */
WS_MUST ws_err ws_split_normal(const ws_store *store, const ws_split_options *options, const int32_t *label,
                               uint64_t count, bool **out);

#endif
