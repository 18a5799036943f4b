/* What an extraction that was interrupted needs to go on: the folder NAME.partial and the sound states in it.
 *
 *   lock                        held while a run writes here
 *   segment-NNNN.h5             rows, in files that are whole (store_write.h)
 *   checkpoint-NNNN/            the state of the run behind segment NNNN - 1:
 *       rank-RRRR               of each rank: live flows, waiting packets, reservoir, numbers of sessions and hosts
 *       run                     what is the same on all ranks, and sums over them
 *       manifest.json           written last: sizes and SHA-256 of the above, sizes and content hashes of the segments, what
 *                               the run was told to do
 *
 * The newest two checkpoints are kept; one that is not whole or was damaged is passed over. Any number of ranks goes on from
 * what any number wrote. States are texts of one program on one kind of machine: another build refuses them.
 */
#ifndef WS_DATASET_EXTRACT_CHECKPOINT_H
#define WS_DATASET_EXTRACT_CHECKPOINT_H

#include "dataset/extract.h"

typedef struct extract_segment {
    char content_hash[65]; /* when it was whole */
} extract_segment;

typedef struct extract_checkpoint {
    char *folder;
    int lock;      /* of the first rank; -1 elsewhere */
    bool open;     /* this run writes in the folder */
    uint64_t last; /* the newest sound one, which follows segment last - 1; 0: none */
    bool identified;
    char *identity;      /* on the first rank, once identified: JSON of what must be the same in a run that goes on */
    double last_seconds; /* when `last` was written, or the run began */
    double last_cost;    /* that it took */
    uint64_t last_begin; /* x->round_begin then */
    extract_segment *segments; /* those before `last` */
    size_t segment_count, segment_capacity;
} extract_checkpoint;

/* ---------------------------------------------------------------- extract_folder.c */
/* Takes the folder: alone, empty for a run from the start, with x->checkpoint->last > 0 for one that goes on. */
WS_MUST ws_err extract_folder_open_all(extraction *x);
/* After the end, or an error: removes what is of no use to a later run. Not collective. */
void extract_folder_close(extraction *x, ws_err outcome);
/* Removes segments from `last` on, and checkpoints but for `last` and the one before. */
void extract_folder_prune(const char *folder, uint64_t last);
char *extract_folder_checkpoint(const char *folder, uint64_t number); /* malloc'ed path */

/* ---------------------------------------------------------------- extract_checkpoint.c */
/* Between rounds: writes a checkpoint where one is due, or the run is told to stop, which then is its error. */
WS_MUST ws_err extract_checkpoint_pause_all(extraction *x);
/* Behind the writer's creation: the state of x->checkpoint->last, if any. */
WS_MUST ws_err extract_checkpoint_restore_all(extraction *x);

/* ---------------------------------------------------------------- extract_state_file.c: bytes with their SHA-256 */
typedef struct extract_state_file {
    FILE *stream;
    char *path;
    ws_sha256 *hash;
    uint64_t bytes;
} extract_state_file;
WS_MUST ws_err extract_state_create(extract_state_file *file, const char *checkpoint, const char *name);
WS_MUST ws_err extract_state_write(extract_state_file *file, const void *data, size_t bytes);
WS_MUST ws_err extract_state_finish(extract_state_file *file, ws_digest *out); /* on the disk */
void extract_state_close(extract_state_file *file);

/* ---------------------------------------------------------------- extract_checkpoint_ranks.c */
WS_MUST ws_err extract_ranks_write(extraction *x, extract_state_file *file); /* of this rank */
/* What as many ranks as that wrote into the folder of a checkpoint. */
WS_MUST ws_err extract_ranks_restore_all(extraction *x, const char *checkpoint, uint64_t ranks);

/* ---------------------------------------------------------------- extract_checkpoint_run.c */
/* Summed over ranks; put back on the first one. */
typedef struct extract_run_sums {
    uint64_t rows_written, labelled, spilled_bytes, boundary_repairs, negative_gaps, ended[5];
} extract_run_sums;

typedef struct extract_input_state {
    uint64_t next_offset, next_position, records, block_count;
    extract_counts counts;
} extract_input_state;

/* Sums and lists of all ranks, as the first one writes them. */
typedef struct extract_run {
    extract_run_sums sums;
    extract_input_state *inputs;
    uint64_t *label_words;
    size_t label_count;
    ws_damage *damage;
    size_t damage_bytes;
} extract_run;

WS_MUST ws_err extract_run_collect_all(const extraction *x, extract_run *out);
void extract_run_destroy(extract_run *state);
WS_MUST ws_err extract_run_write(const extraction *x, const extract_run *state, extract_state_file *file);
/* Its bytes back; *ranks: how many wrote. */
WS_MUST ws_err extract_run_take(extraction *x, const void *bytes, size_t count, uint64_t *ranks);

/* ---------------------------------------------------------------- extract_identity.c */
/* On the first rank, NULL elsewhere: options and inputs (name, size, time of change, digest of their ends). malloc'ed. */
WS_MUST ws_err extract_identity_make_all(const extraction *x, char **out);
/* Names the first difference where they are not the same. */
WS_MUST ws_err extract_identity_compare(const cJSON *then, const cJSON *now, bool *same, ws_text *difference);

#endif
