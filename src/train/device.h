/* Inside train: the steps of a rank on its GPU.
 *
 * Parameters, moments and averages live in device memory; the network state on the host gets them when it is asked for. Shards run one
 * after the other, their inputs on the way in a queue of their own. While the backward pass of the last one goes on, buckets of
 * gradients that are final are summed over the ranks in another queue.
 */
#ifndef WS_TRAIN_DEVICE_H
#define WS_TRAIN_DEVICE_H

#include "train/batches.h"

typedef struct ws_on_device ws_on_device;

typedef struct ws_on_device_options {
    const ws_comm *comm;
    const ws_train_options *options;
    ws_network_state *state; /* uploaded */
    int shards, first, end;  /* all; those of this rank */
} ws_on_device_options;

/* Collective. */
WS_MUST ws_err ws_on_device_create_all(ws_on_device **out, const ws_on_device_options *options);
void ws_on_device_destroy(ws_on_device **device);
/* Queues the shards of the current batch; with gradients also their sum over all ranks. early: buckets step as they arrive, with what
 * is needed to undo it; NULL: ws_on_device_step does it. */
WS_MUST ws_err ws_on_device_run(ws_on_device *device, const ws_batches *batches, bool averaged, bool with_gradients,
                                uint64_t seed, uint64_t step, const ws_update *early);
/* Waits for that, no longer than options->reduction_timeout. losses: of the rank's own shards. */
WS_MUST ws_err ws_on_device_finish(ws_on_device *device, double *losses);
/* Of the summed gradients, and of the statistics behind them. After finish. */
void ws_on_device_norms(const ws_on_device *device, double *gradients, double *statistics);
void ws_on_device_step(ws_on_device *device, const ws_update *update);
void ws_on_device_undo(ws_on_device *device); /* the early steps since run */
/* Ends what ranks do together, which failed on one of them. */
void ws_on_device_abort(ws_on_device *device);
/* Parameters, moments and averages to the state. */
WS_MUST ws_err ws_on_device_download(ws_on_device *device);
const char *ws_on_device_name(const ws_on_device *device);

#endif
