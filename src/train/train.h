/* train: a configuration becomes a trained and scored model and a record.
 *
 * CONFIGURATION (JSON): the keys of ws_train_keys at the top level, and the objects "model" (kind, and the options of
 * that model), "train" and "evaluate". Relative paths are relative to the file that names them.
 *
 * RUN FOLDER, of one process at a time
 *   checkpoints/step_00001000.h5   /param/NAME /ema/NAME /adam/m/NAME /adam/v/NAME; attributes step, seed, shards, config,
 *                                  loss, seconds, ...; also best.h5, the best on the validation rows
 *   metrics.jsonl                  one line a logged step: step, loss, grad_norm, learning_rate, ms, samples_per_second,
 *                                  gflop_per_second, of_peak; and one a validation: step, validation_loss
 *   model.h5                       what scoring needs: parameters (/param/NAME; /learned/NAME of classical models),
 *                                  normalisation, class and column names, configuration
 *   scores.h5                      test and validation rows: row_hash, part, and a dataset for each score, or predicted
 *                                  and truth
 *   record.json                    written last: schema, id, status, result, run (DESIGN "Records")
 */
#ifndef WS_TRAIN_TRAIN_H
#define WS_TRAIN_TRAIN_H

#include "cluster/cluster.h"
#include "core/core.h"
#include "dataset/dataset.h"
#include "models/models.h"

enum { WS_RECORD_SCHEMA = 1, WS_MAX_QUANTILES = 16 };

/* ---- configuration ---- */

typedef struct ws_train_keys { /* top level */
    const char *store, *name;
    int task;
    const char *protocol;
    int64_t protocol_seed;
    const char *label; /* once read never NULL: by default the store's only level */
    ws_string_list normal;
    const char *features;
    ws_string_list columns;
    double train_fraction, validation_fraction;
    int64_t minimum_rows, maximum_rows;
} ws_train_keys;

typedef struct ws_train_options { /* "train" */
    int64_t steps, batch, gradient_shards;
    int reduction, precision;
    int64_t seed;
    double learning_rate, minimum_learning_rate;
    int64_t warmup;
    double weight_decay, beta1, beta2, epsilon, clip, ema;
    int64_t validate_every;
    int optimiser, select, on_nonfinite, isa;
    int64_t patience;
    int64_t threads, checkpoint_every, keep, log_every; /* these do not change the result, nor does */
    bool prepare_ahead;
    int device; /* ws_backend; part of a trial's identity */
    double reduction_timeout;
    int64_t bucket_kib;
} ws_train_options;
enum { WS_REDUCTION_FIXED, WS_REDUCTION_FAST };
extern const char *const ws_backend_names[2];                    /* of ws_train_options.device */
extern const char *const ws_precision_names[WS_PRECISION_COUNT]; /* of ws_train_options.precision */
enum { WS_OPTIMISER_ADAMW, WS_OPTIMISER_SGD };
enum { WS_SELECT_FINAL, WS_SELECT_BEST };
enum { WS_NONFINITE_STOP, WS_NONFINITE_SKIP };
enum { WS_TRAIN_ISA_AUTO }; /* others: ws_isa + 1 */

enum { WS_CRITERION_NONE, WS_CRITERION_SHUFFLED };
typedef struct ws_evaluate_options { /* "evaluate" */
    ws_string_list scores;           /* once read: at least one when the task is anomaly detection */
    int64_t bootstrap;
    int criterion;
    double quantiles[WS_MAX_QUANTILES];
    int quantile_count;
} ws_evaluate_options;

typedef struct ws_train_config { /* everything lies in the arena it was read into */
    ws_train_keys keys;
    ws_train_options train;
    ws_evaluate_options evaluate;
    const ws_model *model;
    const void *model_options;
} ws_train_config;

/* What is wrong goes to problems; then `out` is not to be used. Looks into the store (that it is there, its level,
 * class names and features). WS_OK also when there are problems. */
WS_MUST ws_err ws_train_config_read(const ws_json *document, ws_arena *arena, ws_train_config *out,
                                    ws_problems *problems);
/* Reads the file on the first rank, applies KEY=VALUE assignments, and gives every rank the same; all problems at once
 * as WS_E_CONFIG. seed: replaces train.seed where >= 0. */
WS_MUST ws_err ws_train_config_read_all(const ws_comm *comm, const char *path, const ws_string_list *assignments,
                                        int64_t seed, ws_arena *arena, ws_train_config *out);
/* The instruction set level that a trial's numbers depend on: the active one, but avx512 instead of amx in single precision. */
ws_isa ws_train_isa(const ws_train_config *config);
/* Every key with its value. for_result: without what cannot change it (paths, names, threads, checkpoints, logging). */
cJSON *ws_train_config_print(const ws_train_config *config, bool for_result);
/* Takes out of a printed configuration what has its default, but for the seeds, so that what it is called by stays the same when an
 * option is added that leaves things as they were. A default that changes what it gives needs another WS_RECORD_SCHEMA. */
void ws_train_config_condense(cJSON *config);
/* The keys of a configuration with defaults and ranges, for --help. */
WS_MUST ws_err ws_train_config_help(ws_text *out);

/* Whether the store (and its feature table) has what a model reads: *complaint NULL, or what is missing; *stored: packets that
 * it keeps of a flow. (rows_packets.c) */
WS_MUST ws_err ws_store_check_needs(const ws_store *store, const char *features, const ws_needs *needs,
                                    const char **complaint, int64_t *stored);

/* ---- identity ---- */

typedef struct ws_split_memo ws_split_memo; /* split hashes already computed, for many identities on few splits */
WS_MUST ws_err ws_split_memo_create(ws_split_memo **out);
void ws_split_memo_destroy(ws_split_memo **memo);

typedef struct ws_train_identity {
    char id[17];
    char store_hash[65], split_hash[65];
    bool deterministic, synthetic; /* synthetic: every input of the store comes from our generator */
    char dataset[128];
} ws_train_identity;
/* First 16 hex digits of SHA-256 over the canonical JSON of the configuration (for_result, condensed), store and split hash, schema,
 * device class and precision. */
WS_MUST ws_err ws_trial_id(const ws_train_config *config, const char *store_hash, const char *split_hash, char id[17]);
/* The text that is hashed, from a configuration as ws_train_config_print (for_result) gives it. */
WS_MUST ws_err ws_trial_id_text(const cJSON *config, const char *store_hash, const char *split_hash, ws_text *out);
/* Before anything is trained, so the store is opened and split. One process. memo may be NULL. */
WS_MUST ws_err ws_trial_identity(const ws_train_config *config, ws_split_memo *memo, ws_train_identity *out);

/* ---- running ---- */

typedef struct ws_train_run {
    const char *directory;
    bool resume; /* continue what is there; without it a used folder is refused */
} ws_train_run;
/* Collective. Trains, scores, evaluates, writes the record. WS_E_INTERRUPTED after a stop request, with a checkpoint.
 * summary: a few lines for people, on the first rank. */
WS_MUST ws_err ws_train_run_all(const ws_comm *comm, const ws_train_config *config, const ws_train_run *run,
                                ws_text *summary);

typedef struct ws_evaluate_run {
    const char *directory; /* a finished run */
    const char *store;     /* NULL: the one it was trained on */
    const char *protocol;  /* NULL: as configured */
    const char *label;     /* level of that other store; NULL: as configured */
    ws_string_list normal; /* its normal classes; none: as configured */
    bool other_extraction; /* score that store also where it was extracted otherwise than the one that trained */
    int device;            /* ws_backend, whatever it was trained on */
} ws_evaluate_run;
/* Collective. Scores the test rows with the trained model, normalisation frozen. *out: store, split, counts and scores,
 * on the first rank (NULL elsewhere); owned by the caller. */
WS_MUST ws_err ws_evaluate_run_all(const ws_comm *comm, const ws_evaluate_run *run, ws_arena *arena, cJSON **out);
/* The "scores" object of a record as lines for people. */
void ws_scores_describe(const cJSON *scores, ws_text *out);

#endif
