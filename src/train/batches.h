/* Inside train: batch after batch for the loop, made ahead of time.
 *
 * A batch is its rows (one shuffle of the samples after the other), the model's plan of it (a pairing, say), and the filled inputs of
 * every gradient shard of this rank. Plans of a window of steps are shared out over ranks and threads and exchanged. While a step is
 * computed, a thread in the background fills the inputs of the next one and makes plans of the next window. All of it is a pure
 * function of the step, so neither ranks nor threads nor working ahead change a bit.
 */
#ifndef WS_TRAIN_BATCHES_H
#define WS_TRAIN_BATCHES_H

#include "train/internal.h"

typedef struct ws_batches ws_batches;

typedef struct ws_batches_options {
    const ws_comm *comm;
    const ws_model *model;
    const ws_model_context *context;
    const ws_samples *samples;
    const ws_plan *plan;       /* the engine's, of one shard */
    ws_shard_threads *threads; /* borrowed */
    int first, end;            /* shards of this rank */
    uint64_t seed;             /* of the order of the rows and of everything random in a batch */
    bool ahead;                /* work in the background; else when it is needed */
} ws_batches_options;

WS_MUST ws_err ws_batches_create(ws_batches **out, const ws_batches_options *options);
void ws_batches_destroy(ws_batches **batches);
/* Collective: makes the batch of `step` the current one. last: no step follows. */
WS_MUST ws_err ws_batches_take_all(ws_batches *batches, uint64_t step, bool last);
/* Gives the executor the inputs of a shard of the current batch. By several threads at once for different shards. */
void ws_batches_fill(const ws_batches *batches, int shard, ws_executor *executor);

#endif
