/* extract_append: what an extraction must know of the store that it adds inputs to. The store is read and never written: the
 * new one is put together beside it, of its rows and those of the new inputs, and takes its name at the end.
 *
 * New inputs are numbered on behind those of the store, as are sessions and hosts. So where the new inputs would have come last
 * anyhow, the store is the one that an extraction of all inputs at once gives.
 */
#ifndef WS_DATASET_EXTRACT_APPEND_H
#define WS_DATASET_EXTRACT_APPEND_H

#include "dataset/extract.h"

/* All of it in the arena of the run but for the store. */
typedef struct extract_append {
    ws_store store; /* its file is open until extract_append_release */
    ws_string_list names, sha256;
    uint64_t *bytes, *records; /* of inputs, as are the names */
    bool joined;               /* some of its inputs are several files */
    ws_string_list file_names, file_sha256;
    uint64_t *file_bytes, *file_records;
    uint32_t *file_inputs;
    ws_damage *damage; /* of files */
    size_t damage_count;
    cJSON *options, *counters;
    /* Levels: classes by name, those of the store and of this run; and for each the number it has in the end of one that is
     * written now: first the store's, as they were, then those that are new. */
    ws_label_level *levels;
    int32_t **renumber;
    int32_t **written; /* the number that is written of a class of this run */
} extract_append;

/* Where the run adds to a store that is there: x->append. */
WS_MUST ws_err extract_append_open(extraction *x);
void extract_append_release(extraction *x);
void extract_append_close(extraction *x);
/* Whether rows of this run are like those of the store, before any is made; levels: of this run, with the classes that are
 * known so far. */
WS_MUST ws_err extract_append_check(extraction *x, const char *options_json, const ws_label_level *levels,
                                    size_t level_count);
/* Columns of the first feature table, which flow tables bring with them. */
WS_MUST ws_err extract_append_check_columns(const extraction *x, const ws_feature_table *table);
/* Classes by name: x->append->levels, renumber and written. */
WS_MUST ws_err extract_append_classes(extraction *x, const ws_label_level *levels, size_t level_count);
/* No file of this run is in the store under another name. */
WS_MUST ws_err extract_append_check_hashes(const extraction *x, const ws_string_list *file_sha256);
/* Counters and options of the store and of this run, as JSON of the whole. */
WS_MUST ws_err extract_append_merge(const extraction *x, const char *options, const char *counters,
                                    ws_text *out_options, ws_text *out_counters);

#endif
