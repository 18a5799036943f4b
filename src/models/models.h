/* models: what can be trained. A model is one file here and one line in models.def; template.c is a commented example.
 *
 * A model is one of two kinds:
 *   network    describes plans of the engine and fills their inputs; the trainer (src/train) runs the steps
 *   classical  fits itself in one call over all ranks and keeps what it learned as named arrays
 * Both score rows through one function, and both are saved, hashed and loaded by the trainer. A model knows neither
 * files nor metrics. Everything it computes depends on its options, the rows and the seed alone, never on ranks or
 * threads.
 */
#ifndef WS_MODELS_MODELS_H
#define WS_MODELS_MODELS_H

#include "cluster/cluster.h"
#include "core/core.h"
#include "engine/engine.h"

typedef enum ws_task { WS_TASK_ANOMALY, WS_TASK_CLASSIFY, WS_TASK_COUNT } ws_task;
#define WS_TASKS "anomaly|classify" /* in the order of the enum */
extern const char *const ws_task_names[WS_TASK_COUNT];

/* Sequences: what a row has besides its features, token by token. A model says which ones it reads (ws_model.needs); the
 * others have no tokens and no values. */
typedef enum ws_sequence_kind {
    WS_SEQUENCE_PACKETS, /* the first packets of the flow, 9 values each (flow.h, ws_packet9), normalised */
    WS_SEQUENCE_KINDS
} ws_sequence_kind;

typedef struct ws_sequence {
    int tokens, columns;   /* the most a row can have; values of a token */
    const float *values;   /* [rows][tokens][columns], zeros behind the row's last token */
    const int32_t *length; /* [rows] tokens that the row has, 0..tokens */
} ws_sequence;

typedef struct ws_sequence_shape {
    int tokens, columns;
    const bool *two_valued; /* [columns]: the column has two values only */
} ws_sequence_shape;

/* What a model reads of each row besides the features of the table. */
typedef struct ws_needs {
    int64_t tokens[WS_SEQUENCE_KINDS]; /* 0: nothing */
    bool features_of_packets;          /* the features are made anew, of no more packets than are read (flow20 only) */
} ws_needs;

/* Rows of one part of a split, in store order; every rank sees all of them. */
typedef struct ws_samples {
    uint64_t rows;
    int columns;
    const float *values;      /* [rows][columns]: as stored where the model asks for raw values, else normalised */
    const int32_t *label;     /* [rows] class index below `classes` of the context */
    const uint8_t *anomalous; /* [rows] 1: not of a normal class; NULL when classifying */
    ws_sequence sequence[WS_SEQUENCE_KINDS];
} ws_samples;

/* What a model is made for. Borrowed; outlives everything made from it. */
typedef struct ws_model_context {
    ws_task task;
    const void *options; /* the struct of the model's option table */
    int columns;
    const char *const *column_names;
    ws_sequence_shape sequence[WS_SEQUENCE_KINDS];
    int classes;
    const char *const *class_names;
    uint64_t seed;
    ws_precision precision; /* of products in training; scores are made in single precision */
    int64_t batch;          /* rows of a step, over all ranks */
    int shards;             /* the batch is cut into this many equal shards */
    int threads;            /* of this process, for classical models */
    uint64_t
        wanted; /* anomaly task: bit i for the i-th of the model's scores; those that are not wanted may be left 0 */
} ws_model_context;

/* ---- networks ---- */

/* The batch of one step. Position p (0..batch-1) is the same on every rank; random numbers are drawn by (seed, purpose,
 * step, p). Shard s has the positions [s * batch / shards, (s + 1) * batch / shards). */
typedef struct ws_batch {
    uint64_t seed, step;
    const ws_samples *samples;
    const uint64_t *rows; /* [batch] row of `samples` at each position */
} ws_batch;

typedef struct ws_array ws_array;
typedef struct ws_arrays ws_arrays;

/* A block of rows to be scored: as many as the executor's plan has. Rows that fill up the last block are zeros, with no
 * tokens. */
typedef struct ws_scoring {
    ws_executor *executor;
    const ws_real *parameters;
    const ws_arrays *learned;  /* what `calibrate` found; no arrays before that */
    const ws_samples *samples; /* without labels and marks of anomalies */
    float *out;                /* [rows][width], width as ws_model_width */
    uint8_t
        *unsolved; /* [rows][width] zeros; 1 for a score of which a solver could not keep to its tolerance; or NULL */
    bool calibrating; /* out is for `calibrate`: [rows][calibration_width] */
} ws_scoring;

typedef struct ws_network {
    /* Records the plan of one shard (`rows` rows) up to its loss, a mean over those rows. */
    ws_err (*build_training)(const ws_model_context *context, ws_plan *plan, int64_t rows, ws_tensor *loss);
    /* Records a forward plan for scoring; its parameters are found in the training plan by name. */
    ws_err (*build_scoring)(const ws_model_context *context, ws_plan *plan, int64_t rows);
    /* What belongs to a whole batch, not to a shard (a pairing, say): `plan_bytes` bytes, a pure function of the batch.
     * Ranks and threads make the plans of different steps ahead of time and exchange them. plan_bytes may give 0 (then
     * fill gets NULL); all four are NULL for a model that plans nothing. A scratch is used by one thread. */
    size_t (*plan_bytes)(const ws_model_context *context);
    ws_err (*scratch_create)(const ws_model_context *context, void **scratch);
    void (*scratch_destroy)(void **scratch);
    void (*plan_batch)(const ws_model_context *context, const ws_batch *batch, void *scratch, void *plan);
    /* Fills the inputs of the executor for one shard. Called by several threads at once for different shards. */
    void (*fill)(const ws_model_context *context, const ws_batch *batch, const void *plan, int shard,
                 ws_executor *executor);
    ws_err (*score)(const ws_model_context *context, ws_scoring *scoring);
    /* After training, for what scores need besides the parameters (where normal rows lie, say); both NULL: nothing. Which
     * scores (bits as in `wanted`) calibrate is to see of rows like the training rows, 0: not to be called; and what it makes
     * of them, scores[rows][width], every rank alike. The normal validation rows are taken, or where there are none the
     * training rows. calibration_width: so many values of a row instead of its scores; NULL: the scores. */
    uint64_t (*calibration)(const ws_model_context *context);
    int (*calibration_width)(const ws_model_context *context);
    ws_err (*calibrate)(const ws_model_context *context, const float *scores, uint64_t rows, ws_arrays *learned);
} ws_network;

/* ---- classical models ---- */

/* A named array of doubles: what was learned besides parameters (whole numbers up to 2^53 are exact). */
struct ws_array {
    const char *name;
    int dimensions;
    int64_t shape[WS_MAX_DIMENSIONS];
    size_t count;
    double *values;
};
struct ws_arrays {   /* zero-initialise; everything lies in the arena */
    ws_arena *arena; /* borrowed */
    const char
        *undefined; /* why these rows do not say what is to be learned, so that there are no scores; NULL: they do */
    ws_array *items;
    size_t count, capacity;
    const void *prepared; /* by ws_classical.prepare; in the arena */
};
/* Adds an array of zeros and points *values at it. */
WS_MUST ws_err ws_arrays_add(ws_arrays *arrays, const char *name, int dimensions, const int64_t *shape,
                             double **values);
void ws_arrays_destroy(ws_arrays *arrays); /* the list itself; the values go with the arena */
const ws_array *ws_arrays_find(const ws_arrays *arrays, const char *name); /* NULL where absent */

/* Of each class its rows and its weight (arena), all rows / (classes with rows * its rows) or 1, and 0 without rows; and the sum of
 * weights over all rows. */
WS_MUST ws_err ws_class_weights(ws_arena *arena, const ws_samples *samples, int classes, bool balanced, double **rows,
                                double **weight, double *sum);

/* An array without which a model cannot score. Sizes: so many, or one of these. */
enum {
    WS_SIZE_COLUMNS = -1,
    WS_SIZE_CLASSES = -2,
    WS_SIZE_ANY = -3,
    WS_SIZE_A = -4 /* any, but the same wherever it stands */
};
typedef struct ws_learned_array {
    const char *name;
    int dimensions;
    int64_t shape[3];
    int64_t below;  /* values are whole numbers from 0 to below this size; 0: any values */
    unsigned tasks; /* for which it is needed; 0: all */
} ws_learned_array;

typedef struct ws_classical {
    /* Collective. Training rows are the normal ones when the task is anomaly detection; validation rows are all. */
    ws_err (*fit_all)(const ws_comm *comm, const ws_model_context *context, const ws_samples *training,
                      const ws_samples *validation, ws_arrays *learned);
    /* values[rows][columns] to out[rows][width], row by row. */
    ws_err (*score)(const ws_model_context *context, const ws_arrays *learned, uint64_t rows, const float *values,
                    float *out);
    /* What fit_all learns and score reads: a list that ends with a name NULL. */
    const ws_learned_array *arrays;
    /* Before the first score, also of a model read from a file, whose arrays were found to be as said: learned->prepared. FORMAT
     * where these contradict each other. NULL: nothing is to be prepared. */
    ws_err (*prepare)(const ws_model_context *context, ws_arrays *learned);
    /* Rows that it likes to score at once, where a row's score does not depend on the others; 0: as the scorer likes. */
    uint64_t score_rows;
} ws_classical;

/* ---- registry ---- */

typedef struct ws_model {
    const char *name, *help;
    unsigned tasks;            /* WS_CAN_ANOMALY | WS_CAN_CLASSIFY */
    bool deterministic;        /* its result does not depend on train.seed */
    bool raw;                  /* sees stored values; else normalised by the training rows */
    bool fills_box;            /* normalised so that the training rows fill [-4, 4] in every column, nothing clipped */
    const char *const *scores; /* anomaly task: names of what it computes, NULL-terminated, the default first */
    const ws_option_table *options; /* keys of the "model" object besides "kind" */
    /* Adds to `needs`, which is all zeros; NULL: features alone. */
    void (*needs)(const void *options, ws_needs *needs);
    /* Conditions between options (and batch, shards, and the columns where these are known), NULL: none. `document` and `object`
     * give positions. */
    void (*check)(const ws_model_context *context, const ws_json *document, const cJSON *object, ws_problems *problems);
    const ws_network *network; /* exactly one of the two */
    const ws_classical *classical;
} ws_model;
#define WS_CAN_ANOMALY (1u << WS_TASK_ANOMALY)
#define WS_CAN_CLASSIFY (1u << WS_TASK_CLASSIFY)

extern const ws_model *const ws_models[]; /* NULL-terminated, order of models.def */
const ws_model *ws_model_find(const char *name);
/* "flow_cfm, logistic, ..." for messages; appended to out. */
void ws_model_names(ws_text *out);
/* Values a row is given: one for each score (anomaly) or for each class, the largest being the prediction (classify).
 */
int ws_model_width(const ws_model *model, const ws_model_context *context);
ws_needs ws_model_needs(const ws_model *model, const void *options);
/* FORMAT, with the array's name, unless a classical model's arrays are there and of the shapes that it says. */
WS_MUST ws_err ws_model_check_arrays(const ws_model *model, const ws_model_context *context, const ws_arrays *arrays);

/* `wiresweep bench models`: appends a table, or a JSON array as ws_bench_engine does. Some seconds for each network. On several ranks:
 * what they reach together against one of them. */
WS_MUST ws_err ws_bench_models_all(const ws_comm *comm, ws_text *out, bool json);
/* `wiresweep bench trees`: likewise. */
WS_MUST ws_err ws_bench_trees(ws_text *out, bool json);
/* `wiresweep bench gpu`, on the first CUDA device, of sizes divided by `divide` (1, but to try it out). */
WS_MUST ws_err ws_bench_gpu(ws_text *out, bool json, int divide);

extern const ws_model ws_model_template; /* template.c: built and tested, not in the list */

#endif
