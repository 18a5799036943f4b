/* How many rows a store has by class, end and input. Used inside the room only. */
#ifndef WS_DATASET_STORE_SUMMARY_H
#define WS_DATASET_STORE_SUMMARY_H

#include "dataset/dataset.h"
#include "dataset/labels.h"

enum { WS_STORE_ENDS = WS_FLOW_END_INPUT + 1 };
extern const char *const ws_store_end_names[WS_STORE_ENDS];

typedef struct ws_class_counts {
    uint64_t *counts; /* [classes] */
    size_t classes, capacity;
    uint64_t without; /* rows without label */
} ws_class_counts;

typedef struct ws_store_summary {
    uint64_t ends[WS_STORE_ENDS];
    uint64_t *inputs; /* rows of each */
    size_t input_count, level_count;
    ws_class_counts levels[WS_LABEL_LEVELS_MAX];
    int64_t first_ns, last_ns; /* the least and the greatest; without rows INT64_MAX and INT64_MIN */
} ws_store_summary;
WS_MUST ws_err ws_store_summary_create(ws_store_summary *out, size_t input_count, size_t level_count);
void ws_store_summary_destroy(ws_store_summary *summary);
void ws_store_summary_row(ws_store_summary *summary, uint32_t input, uint8_t end, int64_t first_ns, int64_t last_ns);
WS_MUST ws_err ws_store_summary_label(ws_store_summary *summary, size_t level, int32_t label); /* -1: without */
WS_MUST ws_err ws_store_summary_sum_all(const ws_comm *comm, ws_store_summary *summary);
/* levels, renumber: as in ws_store_provenance; renumber NULL: labels are counted by their final index. */
WS_MUST ws_err ws_store_summary_write(hid_t file, const ws_store_summary *summary, const ws_label_level *levels,
                                      const int32_t *const *renumber);
/* Into one made for the store's inputs and levels: as it was written, or by reading columns, every parts-th block of them. */
WS_MUST ws_err ws_store_summary_read(const ws_store *store, ws_store_summary *out);
WS_MUST ws_err ws_store_summary_count(const ws_store *store, int part, int parts, ws_store_summary *out);

#endif
