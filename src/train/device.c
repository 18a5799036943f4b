/* Training steps on a GPU (device.h). */
#include "train/device.h"

#include <sched.h>
#include <stdlib.h>

/* Two, so that one is filled and copied to while the other computes. */
enum { EXECUTORS = 2, KEPT = 4 };

struct ws_on_device {
    ws_on_device_options o;
    size_t extent, trained;
    char name[128];
    ws_place place, copies, sums; /* three queues of one device */
    ws_nccl *nccl;
    ws_buckets buckets;
    ws_executor *executors[EXECUTORS];
    ws_real *state[KEPT]; /* parameters, average, first and second moment: [extent] each */
    ws_real *kept[KEPT];  /* what they were before early steps; NULL: none are made */
    uint16_t *rounded[2]; /* parameters and average as bfloat16 [extent]; NULL: no products are of such factors */
    ws_real **gradients;  /* [own shards][extent] */
    ws_real **slices;     /* [own shards] of a bucket */
    ws_real *gradient;    /* [extent] their sum; gradients[0] where there is one rank */
    ws_real *losses;      /* [own shards], of the host */
    ws_norm gradient_norm, statistics_norm;
    ws_updater *updater;
    ws_repeat steps[WS_MAX_BUCKETS], whole_step, norms; /* captured: early steps, the step after all sums, and norms */
    bool early;
    bool stepped[WS_MAX_BUCKETS]; /* early */
    ws_err error;                 /* of what was queued last */
};

static int own_shards(const ws_on_device *d)
{
    return d->o.end - d->o.first;
}

/* The state's buffers on the host, in the order of those of the device. */
static void host_buffers(const ws_network_state *state, ws_real *out[KEPT])
{
    out[0] = state->parameters;
    out[1] = state->average;
    out[2] = state->first_moment;
    out[3] = state->second_moment;
}

/* ---- making and unmaking ---- */

static bool sums_are_fixed(const ws_on_device *d)
{
    return d->o.options->reduction == WS_REDUCTION_FIXED;
}

static bool steps_early(const ws_on_device *d)
{
    return d->o.options->clip == 0;
}

static bool rounds(const ws_on_device *d)
{
    return d->o.state->context->precision == WS_BF16;
}

/* All that is allocated, with the room of sums, and a margin for what libraries take. NCCL has taken its own already. */
static ws_err check_memory(const ws_on_device *d)
{
    const size_t buffers = (size_t)own_shards(d) + 1 + KEPT * (steps_early(d) ? 2 : 1);
    size_t needed =
        buffers * d->extent * sizeof(ws_real) + EXECUTORS * ws_plan_executor_bytes(d->o.state->plan) + (32 << 20);
    size_t received = 0;
    needed += rounds(d) ? 2 * d->extent * sizeof *d->rounded[0] : 0;
    if (sums_are_fixed(d))
        WS_TRY(ws_nccl_room(d->o.comm, d->o.shards, d->extent, &received));
    needed += received;
    const char *share = getenv("WIRESWEEP_TRIALS_PER_DEVICE");
    const size_t trials = share && atoi(share) > 1 ? (size_t)atoi(share) : 1;
    size_t unused = 0, whole = 0;
    char of_training[32], of_device[32];
    ws_place_memory(&d->place, &unused, &whole);
    const size_t room = whole / trials < unused ? whole / trials : unused;
    if (needed <= room)
        return WS_OK;
    ws_format_bytes((double)needed, of_training);
    ws_format_bytes((double)room, of_device);
    ws_err error = WS_ERROR(CUDA, "training takes %s of the memory of %s, of which it may have %s", of_training,
                            d->name, of_device);
    WS_HINT("use a smaller train.batch, more gradient shards or more GPUs, or fewer trials at once on one");
    return error;
}

static ws_err make_executors(ws_on_device *d)
{
    for (int i = 0; i < EXECUTORS; i++) {
        WS_TRY(ws_executor_create_at(&d->executors[i], d->o.state->plan, &d->place));
        ws_executor_set_copies(d->executors[i], &d->copies);
    }
    return WS_OK;
}

static ws_err make_buffers(ws_on_device *d)
{
    const size_t own = (size_t)own_shards(d);
    ws_real *host[KEPT];
    host_buffers(d->o.state, host);
    for (int i = 0; i < KEPT; i++) {
        WS_TRY(ws_place_allocate(&d->place, &d->state[i], d->extent));
        ws_place_upload(&d->place, d->state[i], host[i], d->extent);
        if (steps_early(d))
            WS_TRY(ws_place_allocate(&d->place, &d->kept[i], d->extent));
    }
    for (int i = 0; i < 2 && rounds(d); i++) {
        WS_TRY(ws_place_allocate_rounded(&d->place, &d->rounded[i], d->extent));
        ws_place_round(&d->place, d->rounded[i], d->state[i], d->extent);
    }
    WS_TRY(WS_NEW_ARRAY(d->gradients, own + 1));
    WS_TRY(WS_NEW_ARRAY(d->slices, own + 1));
    for (size_t k = 0; k < own; k++)
        WS_TRY(ws_place_allocate(&d->place, &d->gradients[k], d->extent));
    d->gradient = d->gradients[0];
    if (d->o.comm->size > 1 || own == 0) {
        d->gradient = NULL;
        WS_TRY(ws_place_allocate(&d->place, &d->gradient, d->extent));
    }
    WS_TRY(ws_place_allocate_host(&d->place, &d->losses, own + 1));
    WS_TRY(ws_norm_create(&d->gradient_norm, &d->place, d->extent));
    WS_TRY(ws_norm_create(&d->statistics_norm, &d->place, d->extent));
    WS_TRY(ws_updater_create(&d->updater, d->o.state->plan, &d->place));
    return ws_place_wait(&d->place);
}

static ws_err open_queues(ws_on_device *d, int device)
{
    WS_TRY(ws_place_open(&d->place, WS_CUDA, device));
    WS_TRY(ws_place_open_beside(&d->copies, &d->place));
    return ws_place_open_beside(&d->sums, &d->place);
}

static ws_err take_memory(ws_on_device *d)
{
    WS_TRY(check_memory(d));
    WS_TRY(make_executors(d));
    return make_buffers(d);
}

ws_err ws_on_device_create_all(ws_on_device **out, const ws_on_device_options *options)
{
    const ws_comm *comm = options->comm;
    ws_on_device *d = NULL;
    int device = 0;
    *out = NULL;
    WS_AGREE(comm, WS_NEW(d));
    d->o = *options;
    d->extent = options->state->extent;
    d->trained = ws_plan_trained_extent(options->state->plan);
    d->buckets = ws_plan_buckets(options->state->plan, (size_t)options->options->bucket_kib * 1024 / sizeof(ws_real));
    ws_err error = ws_device_choose_all(comm, &device, d->name);
    if (error == WS_OK)
        error = ws_agree_all(comm, open_queues(d, device));
    if (error == WS_OK)
        error = ws_nccl_create_all(&d->nccl, comm, device);
    if (error == WS_OK)
        error = ws_agree_all(comm, take_memory(d));
    if (error == WS_OK && sums_are_fixed(d))
        error = ws_nccl_prepare_all(d->nccl, options->shards, d->extent);
    if (error != WS_OK)
        ws_on_device_destroy(&d);
    *out = d;
    WS_TRY(error);
    return WS_OK;
}

static void forget_captured(ws_on_device *d)
{
    for (int i = 0; i < WS_MAX_BUCKETS; i++)
        ws_repeat_forget(&d->steps[i], &d->sums);
    ws_repeat_forget(&d->norms, &d->sums);
    ws_repeat_forget(&d->whole_step, &d->place);
}

void ws_on_device_destroy(ws_on_device **device)
{
    ws_on_device *d = *device;
    if (d == NULL)
        return;
    if (d->place.device) {
        ws_nccl_destroy(&d->nccl);
        for (int i = 0; i < EXECUTORS; i++)
            ws_executor_destroy(&d->executors[i]);
        if (d->gradients && d->gradient != d->gradients[0])
            ws_place_release(&d->place, &d->gradient);
        for (int k = 0; d->gradients && k < own_shards(d); k++)
            ws_place_release(&d->place, &d->gradients[k]);
        for (int i = 0; i < KEPT; i++) {
            ws_place_release(&d->place, &d->state[i]);
            ws_place_release(&d->place, &d->kept[i]);
        }
        for (int i = 0; i < 2; i++)
            ws_place_release_rounded(&d->place, &d->rounded[i]);
        ws_place_release_host(&d->place, &d->losses);
        ws_norm_destroy(&d->gradient_norm, &d->place);
        ws_norm_destroy(&d->statistics_norm, &d->place);
        ws_updater_destroy(&d->updater);
        forget_captured(d);
    }
    free(d->gradients);
    free(d->slices);
    if (d->sums.device)
        ws_place_close(&d->sums);
    if (d->copies.device)
        ws_place_close(&d->copies);
    ws_place_close(&d->place);
    free(d);
    *device = NULL;
}

const char *ws_on_device_name(const ws_on_device *device)
{
    return device->name;
}

/* ---- sums and steps, in the queue for sums ---- */

static void add(void *context, float *sum, const float *value, size_t count)
{
    ws_accumulate_at(context, sum, value, count);
}

static ws_err sum_bucket(ws_on_device *d, const ws_bucket *bucket)
{
    void *stream = ws_place_stream(&d->sums);
    const int own = own_shards(d);
    ws_real *total = d->gradient + bucket->offset;
    for (int k = 0; k < own; k++)
        d->slices[k] = d->gradients[k] + bucket->offset;
    if (sums_are_fixed(d))
        return ws_nccl_tree_sum_all(d->nccl, d->o.shards, d->slices, total, bucket->count, add, &d->sums, stream);
    if (own == 0)
        ws_place_zero(&d->sums, total, bucket->count);
    else if (total != d->slices[0])
        ws_place_copy(&d->sums, total, d->slices[0], bucket->count);
    for (int k = 1; k < own; k++)
        add(&d->sums, total, d->slices[k], bucket->count);
    return ws_nccl_sum_all(d->nccl, total, bucket->count, stream);
}

static void step_slice(const ws_on_device *d, const ws_place *place, size_t offset, size_t count)
{
    const ws_update_state state = {d->state[0], d->state[2], d->state[3], d->state[1], d->gradient, d->rounded[0]};
    ws_updater_step(d->updater, place, &state, offset, count);
}

typedef struct early_step {
    const ws_on_device *device;
    const ws_bucket *bucket;
} early_step;

/* What is needed to undo it, and the step. */
static void make_early_step(void *context)
{
    const early_step *e = context;
    const ws_on_device *d = e->device;
    const size_t offset = e->bucket->offset, count = e->bucket->count;
    for (int i = 0; i < KEPT; i++)
        ws_place_copy(&d->sums, d->kept[i] + offset, d->state[i] + offset, count);
    step_slice(d, &d->sums, offset, count);
}

/* All is queued that writes gradients of the bucket. */
static void bucket_ready(void *context, size_t index)
{
    ws_on_device *d = context;
    const ws_bucket *bucket = &d->buckets.items[index];
    if (d->error != WS_OK)
        return;
    ws_place_follow(&d->sums, &d->place);
    d->error = sum_bucket(d, bucket);
    if (d->error != WS_OK || !d->early)
        return;
    ws_repeat_run(&d->steps[index], &d->sums, make_early_step, &(early_step){d, bucket});
    d->stepped[index] = true;
}

static void make_whole_step(void *context)
{
    const ws_on_device *d = context;
    step_slice(d, &d->place, 0, d->extent);
}

void ws_on_device_step(ws_on_device *d, const ws_update *update)
{
    ws_updater_set(d->updater, &d->place, update);
    ws_repeat_run(&d->whole_step, &d->place, make_whole_step, d);
}

void ws_on_device_undo(ws_on_device *d)
{
    for (size_t b = 0; b < d->buckets.count; b++) {
        const size_t offset = d->buckets.items[b].offset, count = d->buckets.items[b].count;
        for (int i = 0; i < KEPT && d->stepped[b]; i++)
            ws_place_copy(&d->place, d->state[i] + offset, d->kept[i] + offset, count);
        if (d->stepped[b] && rounds(d))
            ws_place_round(&d->place, d->rounded[0] + offset, d->state[0] + offset, count);
    }
    memset(d->stepped, 0, sizeof d->stepped);
}

/* ---- a batch ---- */

static void run_shard(ws_on_device *d, const ws_batches *batches, int shard, const ws_real *parameters,
                      bool with_gradients)
{
    const int k = shard - d->o.first;
    ws_executor *executor = d->executors[k % EXECUTORS];
    ws_batches_fill(batches, shard, executor);
    ws_executor_forward(executor, parameters);
    ws_executor_take_loss(executor, &d->losses[k]);
    if (with_gradients && shard + 1 == d->o.end)
        ws_executor_backward_in_buckets(executor, parameters, d->gradients[k], &d->buckets, bucket_ready, d);
    else if (with_gradients)
        ws_executor_backward(executor, parameters, d->gradients[k]);
}

static void find_norms(void *context)
{
    ws_on_device *d = context;
    ws_norm_begin(&d->gradient_norm, &d->sums, d->gradient, d->trained);
    ws_norm_begin(&d->statistics_norm, &d->sums, d->gradient + d->trained, d->extent - d->trained);
}

ws_err ws_on_device_run(ws_on_device *d, const ws_batches *batches, bool averaged, bool with_gradients, uint64_t seed,
                        uint64_t step, const ws_update *early)
{
    d->error = WS_OK;
    d->early = early != NULL;
    memset(d->stepped, 0, sizeof d->stepped);
    ws_place_follow(&d->place, &d->sums); /* early steps of the batch before */
    if (early)
        ws_updater_set(d->updater, &d->sums, early);
    if (averaged && rounds(d)) /* steps keep the other copy alone: the average is read where it is validated */
        ws_place_round(&d->place, d->rounded[1], d->state[1], d->extent);
    for (int shard = d->o.first; shard < d->o.end; shard++) {
        ws_executor *executor = d->executors[(shard - d->o.first) % EXECUTORS];
        if (with_gradients)
            ws_executor_set_random(executor, seed, step, (uint64_t)shard << 32);
        else
            ws_executor_set_calm(executor);
        ws_executor_set_rounded(executor, d->rounded[averaged ? 1 : 0]);
        run_shard(d, batches, shard, d->state[averaged ? 1 : 0], with_gradients);
    }
    for (size_t b = 0; with_gradients && own_shards(d) == 0 && b < d->buckets.count; b++)
        bucket_ready(d, b);
    ws_place_follow(&d->sums, &d->place);
    if (with_gradients)
        ws_repeat_run(&d->norms, &d->sums, find_norms, d);
    ws_place_set_mark(&d->sums);
    WS_TRY(d->error);
    return WS_OK;
}

/* A device that never answers, or another rank's that does not, ends the run after a while. */
static ws_err wait_for_sums(ws_on_device *d)
{
    const double limit = d->o.options->reduction_timeout, begin = ws_clock_seconds();
    while (!ws_place_reached(&d->sums)) {
        WS_TRY(ws_nccl_check(d->nccl));
        if (ws_clock_seconds() - begin > limit) {
            ws_err error = WS_ERROR(NCCL, "the sum over %d GPUs took more than %g s", d->o.comm->size, limit);
            WS_HINT("NCCL_DEBUG=WARN says more; train.reduction_timeout is how long to wait");
            return error;
        }
        sched_yield();
    }
    return ws_nccl_check(d->nccl);
}

ws_err ws_on_device_finish(ws_on_device *d, double *losses)
{
    WS_TRY(wait_for_sums(d));
    WS_TRY(ws_place_wait(&d->copies));
    WS_TRY(ws_place_wait(&d->place));
    WS_TRY(ws_place_wait(&d->sums));
    for (int k = 0; k < own_shards(d); k++)
        losses[k] = d->losses[k];
    return WS_OK;
}

void ws_on_device_norms(const ws_on_device *d, double *gradients, double *statistics)
{
    *gradients = ws_norm_end(&d->gradient_norm);
    *statistics = ws_norm_end(&d->statistics_norm);
}

void ws_on_device_abort(ws_on_device *d)
{
    ws_nccl_abort(d->nccl);
    ws_place_follow(&d->place, &d->sums);
}

ws_err ws_on_device_download(ws_on_device *d)
{
    ws_real *host[KEPT];
    host_buffers(d->o.state, host);
    for (int i = 0; i < KEPT; i++)
        WS_TRY(ws_place_download(&d->place, host[i], d->state[i], d->extent));
    return WS_OK;
}
