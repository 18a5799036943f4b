/* AdamW, gradient descent, exponential moving average, gradient norm and the learning rate's schedule, over the flat parameter buffer. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "engine/plan.h"

/* The numbers of a step, as kernels take them. */
static ws_update_numbers numbers_of(const ws_update *u)
{
    const double t = (double)u->step;
    ws_update_numbers n = {.descent = u->descent,
                           .decay = (ws_real)(u->rate * u->adamw.weight_decay),
                           .statistics_share = (ws_real)0.1,
                           .statistics_scale = (ws_real)u->statistics_scale,
                           .average_share = (ws_real)(1 - u->average_decay)};
    if (u->descent) {
        n.step_size = (ws_real)(u->rate * u->scale);
        return n;
    }
    n.scale = (ws_real)u->scale;
    n.share1 = (ws_real)(1 - u->adamw.beta1);
    n.share2 = (ws_real)(1 - u->adamw.beta2);
    n.step_size = (ws_real)(u->rate / (1 - pow(u->adamw.beta1, t)));
    n.root_correction = (ws_real)(1 / sqrt(1 - pow(u->adamw.beta2, t)));
    n.epsilon = (ws_real)u->adamw.epsilon;
    return n;
}

/* ---- on the CPU ---- */

static void step_adamw(const ws_kernels *kernels, const ws_range *range, const ws_update_numbers *n,
                       const ws_update_state *s)
{
    ws_adamw_arguments a = {
        .count = range->count,
        .scale = n->scale,
        .share1 = n->share1,
        .share2 = n->share2,
        .step_size = n->step_size,
        .root_correction = n->root_correction,
        .epsilon = n->epsilon,
        .decay = range->decay ? n->decay : 0,
        .parameters = s->parameters + range->offset,
        .gradients = s->gradients + range->offset,
        .first_moment = s->first_moment + range->offset,
        .second_moment = s->second_moment + range->offset,
    };
    kernels->adamw(&a, NULL);
}

static void step_descent(const ws_kernels *kernels, const ws_range *range, const ws_update_numbers *n,
                         const ws_update_state *s)
{
    ws_sgd_arguments a = {.count = range->count,
                          .step_size = n->step_size,
                          .decay = range->decay ? n->decay : 0,
                          .parameters = s->parameters + range->offset,
                          .gradients = s->gradients + range->offset};
    kernels->sgd(&a, NULL);
}

static void step_statistics(const ws_kernels *kernels, const ws_range *range, const ws_update_numbers *n,
                            const ws_update_state *s)
{
    ws_ema_arguments a = {.count = range->count,
                          .share = n->statistics_share,
                          .scale = n->statistics_scale,
                          .average = s->parameters + range->offset,
                          .value = s->gradients + range->offset};
    kernels->ema(&a, NULL);
}

/* The part of a range that lies in [offset, offset + count). */
static ws_range cut(ws_range range, size_t offset, size_t count)
{
    const size_t begin = range.offset > offset ? range.offset : offset;
    const size_t range_end = range.offset + range.count, end = range_end < offset + count ? range_end : offset + count;
    range.offset = begin;
    range.count = end > begin ? end - begin : 0;
    return range;
}

static void step_slice(const ws_kernels *kernels, const ws_plan *plan, const ws_update_numbers *n,
                       const ws_update_state *s, size_t offset, size_t count)
{
    for (size_t i = 0; i < plan->step_count; i++) {
        const ws_range range = cut(plan->steps[i], offset, count);
        if (range.count > 0)
            (range.statistic ? step_statistics : n->descent ? step_descent : step_adamw)(kernels, &range, n, s);
    }
    ws_ema_arguments a = {.count = count,
                          .share = n->average_share,
                          .scale = 1,
                          .average = s->average + offset,
                          .value = s->parameters + offset};
    kernels->ema(&a, NULL);
}

/* What is trained, or the statistics. */
static void step_all(const ws_plan *plan, bool statistics, const ws_update *update, const ws_update_state *state)
{
    const ws_kernels *kernels = ws_place_cpu().kernels;
    const ws_update_numbers n = numbers_of(update);
    for (size_t i = 0; i < plan->step_count; i++)
        if (plan->steps[i].statistic == statistics)
            (statistics ? step_statistics : n.descent ? step_descent : step_adamw)(kernels, &plan->steps[i], &n, state);
}

void ws_adamw_step(const ws_plan *plan, const ws_adamw *options, double learning_rate, double scale, uint64_t step,
                   ws_real *parameters, const ws_real *gradients, ws_real *first_moment, ws_real *second_moment)
{
    const ws_update update = {.adamw = *options, .rate = learning_rate, .scale = scale, .step = step};
    step_all(plan, false, &update, &(ws_update_state){parameters, first_moment, second_moment, NULL, gradients, NULL});
}

void ws_sgd_step(const ws_plan *plan, double weight_decay, double learning_rate, double scale, ws_real *parameters,
                 const ws_real *gradients)
{
    const ws_update update = {
        .descent = true, .adamw.weight_decay = weight_decay, .rate = learning_rate, .scale = scale};
    step_all(plan, false, &update, &(ws_update_state){.parameters = parameters, .gradients = gradients});
}

void ws_statistics_step(const ws_plan *plan, double scale, ws_real *parameters, const ws_real *gradients)
{
    const ws_update update = {.descent = true, .statistics_scale = scale};
    step_all(plan, true, &update, &(ws_update_state){.parameters = parameters, .gradients = gradients});
}

void ws_ema_step(double decay, ws_real *average, const ws_real *parameters, size_t extent)
{
    ws_ema_arguments a = {
        .count = extent, .share = (ws_real)(1 - decay), .scale = 1, .average = average, .value = parameters};
    ws_place_cpu().kernels->ema(&a, NULL);
}

/* ---- in any place ---- */

struct ws_updater {
    const ws_plan *plan;
    ws_place place;             /* its queue is borrowed */
    ws_update_numbers *numbers; /* of the host */
    void *uploaded;             /* a mark: the host may write numbers again */
    ws_update_numbers *there;   /* of the device, as the next */
    uint8_t *kinds;
};

static ws_err upload_kinds(ws_updater *u)
{
    const size_t cells = u->plan->extent / WS_UPDATE_CELL + 1;
    const ws_device *device = u->place.device;
    uint8_t *kinds = NULL;
    void *memory = NULL;
    WS_TRY(device->allocate(u->place.queue, &memory, cells));
    u->kinds = memory;
    WS_TRY(WS_NEW_ARRAY(kinds, cells));
    for (size_t i = 0; i < u->plan->step_count; i++) {
        const ws_range *range = &u->plan->steps[i];
        const ws_update_kind kind = range->statistic ? WS_UPDATE_STATISTIC
                                    : range->decay   ? WS_UPDATE_DECAY
                                                     : WS_UPDATE_PLAIN;
        memset(kinds + range->offset / WS_UPDATE_CELL, (int)kind, range->count / WS_UPDATE_CELL);
    }
    device->upload(u->place.queue, u->kinds, kinds, cells);
    ws_err error = device->wait(u->place.queue);
    free(kinds);
    WS_TRY(error);
    return WS_OK;
}

static ws_err updater_allocate(ws_updater *u)
{
    const ws_device *device = u->place.device;
    void *memory = NULL;
    WS_TRY(device->allocate_host(u->place.queue, &memory, sizeof *u->numbers));
    u->numbers = memory;
    if (device->host_memory)
        return WS_OK;
    WS_TRY(device->mark_create(u->place.queue, &u->uploaded));
    WS_TRY(device->allocate(u->place.queue, &memory, sizeof *u->there));
    u->there = memory;
    return upload_kinds(u);
}

ws_err ws_updater_create(ws_updater **out, const ws_plan *plan, const ws_place *place)
{
    ws_updater *u = NULL;
    *out = NULL;
    WS_TRY(WS_NEW(u));
    u->plan = plan;
    u->place = *place;
    ws_err error = updater_allocate(u);
    if (error != WS_OK)
        ws_updater_destroy(&u);
    *out = u;
    WS_TRY(error);
    return WS_OK;
}

void ws_updater_destroy(ws_updater **updater)
{
    ws_updater *u = *updater;
    if (!u)
        return;
    const ws_device *device = u->place.device;
    if (u->uploaded)
        device->mark_destroy(u->place.queue, u->uploaded);
    if (u->kinds)
        device->release(u->place.queue, u->kinds);
    if (u->there)
        device->release(u->place.queue, u->there);
    if (u->numbers)
        device->release_host(u->place.queue, u->numbers);
    free(u);
    *updater = NULL;
}

void ws_updater_set(ws_updater *u, const ws_place *place, const ws_update *update)
{
    const ws_device *device = place->device;
    if (u->uploaded)
        device->wait_mark(place->queue, u->uploaded);
    *u->numbers = numbers_of(update);
    if (!u->there)
        return;
    device->upload(place->queue, u->there, u->numbers, sizeof *u->numbers);
    device->mark_set(place->queue, u->uploaded);
}

void ws_updater_step(const ws_updater *u, const ws_place *place, const ws_update_state *s, size_t offset, size_t count)
{
    if (!u->there) {
        step_slice(place->kernels, u->plan, u->numbers, s, offset, count);
        return;
    }
    const ws_update_arguments a = {.offset = offset,
                                   .count = count,
                                   .numbers = u->there,
                                   .kinds = u->kinds,
                                   .parameters = s->parameters,
                                   .gradients = s->gradients,
                                   .first_moment = s->first_moment,
                                   .second_moment = s->second_moment,
                                   .average = s->average,
                                   .rounded = s->rounded};
    place->kernels->update(&a, place->queue);
}

/* Sums block sums by the binary tree over their indices (left subtree the largest power of two that fits), as they
 * come: pending[level] holds a finished subtree of 2^level blocks. */
typedef struct tree_sum {
    double pending[64];
    uint64_t count;
} tree_sum;

static void tree_add(tree_sum *tree, double value)
{
    int level = 0;
    for (uint64_t bits = tree->count++; bits & 1; bits >>= 1)
        value = tree->pending[level++] + value;
    tree->pending[level] = value;
}

static double tree_total(const tree_sum *tree)
{
    double total = 0;
    for (int level = 0; level < 64 && tree->count >> level; level++)
        if (tree->count >> level & 1)
            total = tree->pending[level] + total;
    return total;
}

double ws_gradient_norm(const ws_real *gradients, size_t extent)
{
    ws_place place = ws_place_cpu();
    tree_sum tree = {.count = 0};
    for (size_t k = 0; k < extent; k += WS_NORM_BLOCK) {
        double partial;
        size_t count = extent - k < WS_NORM_BLOCK ? extent - k : WS_NORM_BLOCK;
        place.kernels->square_sums(&(ws_square_sums_arguments){count, gradients + k, &partial}, NULL);
        tree_add(&tree, partial);
    }
    return sqrt(tree_total(&tree));
}

ws_err ws_norm_create(ws_norm *out, const ws_place *place, size_t extent)
{
    const size_t blocks = (extent + WS_NORM_BLOCK - 1) / WS_NORM_BLOCK + 1;
    *out = (ws_norm){.blocks = 0};
    WS_TRY(place->device->allocate(place->queue, &out->sums, blocks * sizeof(double)));
    return place->device->allocate_host(place->queue, &out->host, blocks * sizeof(double));
}

void ws_norm_destroy(ws_norm *norm, const ws_place *place)
{
    if (norm->sums)
        place->device->release(place->queue, norm->sums);
    if (norm->host)
        place->device->release_host(place->queue, norm->host);
    *norm = (ws_norm){.blocks = 0};
}

/* Block sums on the device, the tree over them on the host. */
void ws_norm_begin(ws_norm *norm, const ws_place *place, const ws_real *values, size_t extent)
{
    norm->blocks = (extent + WS_NORM_BLOCK - 1) / WS_NORM_BLOCK;
    if (norm->blocks == 0)
        return;
    place->kernels->square_sums(&(ws_square_sums_arguments){extent, values, norm->sums}, place->queue);
    place->device->download(place->queue, norm->host, norm->sums, norm->blocks * sizeof(double));
}

double ws_norm_end(const ws_norm *norm)
{
    tree_sum tree = {.count = 0};
    for (size_t i = 0; i < norm->blocks; i++)
        tree_add(&tree, ((const double *)norm->host)[i]);
    return sqrt(tree_total(&tree));
}

ws_err ws_gradient_norm_at(const ws_place *place, const ws_real *gradients, size_t extent, double *out)
{
    ws_norm norm;
    if (place->device->host_memory) {
        *out = ws_gradient_norm(gradients, extent);
        return WS_OK;
    }
    ws_err error = ws_norm_create(&norm, place, extent);
    if (error == WS_OK) {
        ws_norm_begin(&norm, place, gradients, extent);
        error = place->device->wait(place->queue);
        *out = ws_norm_end(&norm);
    }
    ws_norm_destroy(&norm, place);
    return error;
}

void ws_accumulate_at(const ws_place *place, ws_real *sum, const ws_real *value, size_t count)
{
    place->kernels->accumulate(&(ws_accumulate_arguments){count, sum, value}, place->queue);
}

double ws_cosine_schedule(double peak, double floor, uint64_t warmup, uint64_t steps, uint64_t step)
{
    if (step < warmup)
        return peak * (double)(step + 1) / (double)warmup;
    if (step >= steps || steps <= warmup)
        return step >= steps ? floor : peak;
    double done = (double)(step - warmup) / (double)(steps - warmup);
    return floor + (peak - floor) * 0.5 * (1 + cos(3.14159265358979323846 * done));
}
