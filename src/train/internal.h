/* Inside train: rows of a store as a model sees them, what a model learned, and the steps between them. */
#ifndef WS_TRAIN_INTERNAL_H
#define WS_TRAIN_INTERNAL_H

#include "train/train.h"

/* ---- rows.c: the rows of a store, split and normalised ---- */

enum { WS_ROWS_BLOCK = 1 << 20 }; /* of their arena */

typedef struct ws_rows {
    ws_arena *arena;     /* owned; all below lies in it, in the view, or is destroyed with the struct */
    ws_arena_view *view; /* of the arena of the rank that read the rows; NULL: read by this rank */
    char store_hash[65], split_hash[65];
    const char *dataset;
    bool synthetic;
    int columns;
    const char *const *column_names;
    int classes;
    const char *const *class_names;
    const uint8_t *class_normal;    /* [classes] anomaly detection */
    ws_samples part[WS_PART_COUNT]; /* training: normal rows only when detecting anomalies */
    ws_samples validation_normal;   /* those of the validation rows that are normal; all when classifying */
    const uint64_t *row_hash[WS_PART_COUNT];
    const char *small_classes; /* of ws_split: those left out; NULL: none */
    const char *extraction;    /* of ws_store_extraction; where rows are shared, their reader's alone */
    uint64_t rows_left_out;    /* classes too small, or unknown to a trained model; rows it was trained on */
    uint64_t rows_thinned;     /* of classes with more than maximum_rows */
    uint64_t rows_unlabelled;
    ws_split_audit audit; /* of the rows above */
    ws_normalisation normalisation;
    ws_sequence_shape sequence[WS_SEQUENCE_KINDS]; /* those that the model reads */
    ws_normalisation packet_normalisation;         /* no columns: none is read */
} ws_rows;

typedef struct ws_frozen { /* of a trained model, to score another store */
    int classes, columns;
    const char *const *class_names;
    const char *const *column_names;
    const double *mean, *deviation, *packet_mean, *packet_deviation; /* of packets NULL where the model reads none */
    double clip;
    const char *store_hash, *protocol; /* what it was trained on: those rows are never test rows again */
    const char *store;                 /* where that was; NULL: not known */
    const char *extraction;            /* and how it was extracted (ws_store_extraction); NULL: not known */
    const char *label;                 /* and the level of its classes there, of which these were */
    ws_string_list normal;             /* normal */
} ws_frozen;

/* frozen NULL: classes and normalisation come from the training rows. Not collective. The second takes over the arena. */
WS_MUST ws_err ws_rows_load(const ws_train_config *config, const ws_frozen *frozen, ws_rows *out);
WS_MUST ws_err ws_rows_load_into(ws_arena *arena, const ws_train_config *config, const ws_frozen *frozen, ws_rows *out);
void ws_rows_destroy(ws_rows *rows);
/* training_rows.c: under cross_store, validation rows from the store that the model was trained on, as it was split then, and
 * the audit of both stores. Without that store there are none, with a warning. */
WS_MUST ws_err ws_rows_add_validation(const ws_train_config *config, const ws_frozen *frozen, ws_rows *rows);
/* columns.c: chosen[*count], in the arena, are the columns of a table called `names` that the key "columns" asks for; what is wrong
 * with it goes to `complaint`. */
WS_MUST ws_err ws_columns_choose(const ws_string_list *wanted, const ws_string_list *names, ws_arena *arena, int *count,
                                 int **chosen, ws_text *complaint);
void ws_split_options_of(const ws_train_config *config, ws_split_options *out);
WS_MUST ws_err ws_store_is_synthetic(const ws_store *store, bool *out);
/* The normalisation of a trained model, which the caller owns. */
WS_MUST ws_err ws_frozen_normalisation(const double *mean, const double *deviation, int columns, double clip,
                                       ws_normalisation *out);
/* evaluate.scores as bits; 0 when classifying. */
uint64_t ws_scores_wanted(const ws_train_config *config);
ws_model_context ws_train_context(const ws_train_config *config, const ws_rows *rows);

/* ---- rows_share.c ---- */

/* Collective: the same with the rows that thresholds come from (above), read by one rank of each machine, in whose memory the
 * others see them. Only rank 0 has normalisations; where nothing can be shared, each reads for itself. */
WS_MUST ws_err ws_rows_load_all(const ws_comm *comm, const ws_train_config *config, const ws_frozen *frozen,
                                ws_rows *out);

/* ---- rows_packets.c: what models read of packets ---- */

ws_sequence_shape ws_packets_shape(int tokens);

typedef struct ws_packet_features { /* where features of packets go */
    float *values[WS_PART_COUNT];   /* [rows of the part][columns] */
    int columns;
    const int *chosen; /* [columns] of the 20 */
} ws_packet_features;
/* The packets of all rows, as stored, to rows->part[].sequence, and new features of them to `features` where the model wants
 * that. part[rows of the store]: where each row goes. Nothing happens where nothing is needed. */
WS_MUST ws_err ws_rows_read_packets(const ws_store *store, const uint8_t *part, const ws_needs *needs,
                                    const ws_packet_features *features, ws_rows *rows);
WS_MUST ws_err ws_rows_normalise_packets(const ws_frozen *frozen, ws_rows *rows);
/* Sequences of the rows of `from` that are not left out (NULL: of all), which are out->rows rows. */
WS_MUST ws_err ws_samples_copy_sequences(ws_arena *arena, const ws_samples *from, const uint8_t *left_out,
                                         ws_samples *out);

/* ---- shuffle.c ---- */

/* The rows with every column shuffled by itself; in the arena, lengths are shared. */
WS_MUST ws_err ws_samples_shuffle(ws_arena *arena, const ws_samples *from, ws_samples *out);

/* ---- state.c, network.c, checkpoint.c: networks ---- */

typedef struct ws_network_state {
    const ws_model *model;
    const ws_model_context *context; /* borrowed */
    ws_plan *plan;
    size_t extent;
    ws_real *parameters, *average, *first_moment, *second_moment; /* [extent] */
    uint64_t step;                                                /* steps done */
    uint64_t skipped;                                             /* of them, left out because they were not finite */
    double loss;                                                  /* of the last step */
    double best_loss; /* on validation rows; infinity before the first validation */
    uint64_t best_step;
    double seconds; /* of training, over all sittings */
} ws_network_state;

WS_MUST ws_err ws_network_state_create(ws_network_state *out, const ws_model *model, const ws_model_context *context);
void ws_network_state_destroy(ws_network_state *state);
void ws_network_state_begin(ws_network_state *state); /* as before the first step */

typedef struct ws_network_training {
    const ws_comm *comm;
    const ws_train_options *options;
    const ws_samples *training, *validation; /* anomaly detection: normal rows only, both */
    const char *directory;                   /* NULL: no checkpoints, no log */
    const char *config_text;                 /* canonical; kept in checkpoints and compared on resume */
} ws_network_training;
/* Collective: from state->step to options->steps. */
WS_MUST ws_err ws_network_train_all(const ws_network_training *training, ws_network_state *state);

/* One process writes and reads. Names and shapes are checked both ways; the error lists all that differ. */
WS_MUST ws_err ws_checkpoint_write(const char *path, const ws_network_state *state, const char *config_text);
WS_MUST ws_err ws_checkpoint_read(const char *path, ws_network_state *state, const char *config_text);
/* Writes step_N.h5 and removes all but the newest `keep`. */
WS_MUST ws_err ws_checkpoint_save(const char *directory, const ws_network_state *state, const char *config_text,
                                  int64_t keep);
/* The newest checkpoint that can be read; *found false where there is none. Damaged ones are named in a warning and
 * passed over; one of another configuration is an error. */
WS_MUST ws_err ws_checkpoint_resume(const char *directory, ws_network_state *state, const char *config_text,
                                    bool *found);
char *ws_checkpoint_best_path(const char *directory); /* malloc'ed; NULL: out of memory */

/* Parameters as datasets GROUP/NAME. The check lists every name and shape that differs. */
WS_MUST ws_err ws_parameters_write(hid_t file, const char *group, const ws_plan *plan, const ws_real *values);
WS_MUST ws_err ws_parameters_check(hid_t file, const char *group, const ws_plan *plan, const char *path);
WS_MUST ws_err ws_parameters_read(hid_t file, const char *group, const ws_plan *plan, ws_real *values);

/* ---- learned.c: what scoring needs, network or classical; model.h5 ---- */

typedef struct ws_learned {
    const ws_model *model;
    const ws_model_context *context; /* borrowed */
    ws_plan *plan;                   /* networks: the scoring plan, and its parameters */
    ws_real *parameters;
    ws_arena *arena;  /* of the arrays */
    ws_arrays arrays; /* all that a classical model learned; of a network what calibration found */
    bool calibrating; /* rows are scored for calibration */
    int device;       /* ws_backend: what a network's scores are made on; cuda: one rank a GPU */
} ws_learned;
/* Networks: a plan with parameters still zero. Classical: no arrays yet. */
WS_MUST ws_err ws_learned_create(const ws_model *model, const ws_model_context *context, ws_learned *out);
void ws_learned_destroy(ws_learned *learned);
/* Takes the averaged parameters of a trained state. */
WS_MUST ws_err ws_learned_take(ws_learned *learned, const ws_network_state *state);
/* Of a classical model, once it is fitted: what makes it ready to score. */
WS_MUST ws_err ws_learned_prepare(ws_learned *learned);
/* Collective: what the model's scores need besides its parameters, from normal rows. */
WS_MUST ws_err ws_learned_calibrate_all(const ws_comm *comm, ws_learned *learned, const ws_samples *normal);
/* SHA-256 over sorted names, shapes and little-endian values, of the trained and the averaged parameters or the arrays.
 */
WS_MUST ws_err ws_learned_hash(const ws_learned *learned, const ws_network_state *state, char hex[65]);
WS_MUST ws_err ws_model_file_write(const char *path, const ws_train_config *config, const ws_rows *rows,
                                   const ws_learned *learned);
/* The configuration (with what `run` changes) and what is frozen, in the arena. */
WS_MUST ws_err ws_model_file_open(const char *path, const ws_evaluate_run *run, ws_arena *arena, hid_t *file,
                                  ws_train_config *config, ws_frozen *frozen);
WS_MUST ws_err ws_model_file_read(hid_t file, const char *path, ws_learned *learned);

/* ---- score.c ---- */

/* Rows of a scoring plan. Fixed, and row i is always row i % 256 of its block: a score has the same bits for any ranks,
 * threads and neighbours. (The BLAS rounds a row's sums by its place, so in another order of rows the last bits move.) */
enum { WS_SCORE_ROWS = 256 };

/* Collective: out[rows][width] of all rows on every rank; malloc'ed. Rows go in fixed batches, or as a model that does not mind likes
 * them (ws_classical.score_rows), so that a row's score
 * does not depend on the number of ranks or threads. NaN where the model is not defined. unsolved: [width] rows of which a solver
 * could not keep to its tolerance, malloc'ed likewise; NULL: nobody asks. */
WS_MUST ws_err ws_score_all(const ws_comm *comm, const ws_learned *learned, const ws_samples *samples,
                            const char *title, float **out, uint64_t **unsolved);

/* ---- result.c: scored rows to metrics ---- */

typedef struct ws_scored { /* as ws_score_all gives them */
    const ws_train_config *config;
    const ws_rows *rows;
    int width;
    const float *test, *validation;
    const float *shuffled;                               /* of rows->validation_normal shuffled; NULL: not asked for */
    const uint64_t *test_unsolved, *validation_unsolved; /* [width] */
    const char *undefined;                               /* why there are no scores; NULL: there are */
} ws_scored;
/* The "scores" object of a record. */
WS_MUST ws_err ws_result_scores(const ws_scored *scored, cJSON **out);
/* SHA-256 over what scores.h5 holds: for each score its name, the test rows, the validation rows. */
WS_MUST ws_err ws_result_score_hash(const ws_scored *scored, char hex[65]);
WS_MUST ws_err ws_scores_file_write(const char *path, const ws_scored *scored);

#endif
