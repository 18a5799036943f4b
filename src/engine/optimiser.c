/* AdamW, gradient descent, exponential moving average, gradient norm and the learning rate's schedule, over the flat parameter buffer. */
#include <math.h>
#include "engine/plan.h"

/* The part of a range that lies in [offset, offset + count). */
static ws_range cut(ws_range range, size_t offset, size_t count)
{
    const size_t begin = range.offset > offset ? range.offset : offset;
    const size_t range_end = range.offset + range.count, end = range_end < offset + count ? range_end : offset + count;
    range.offset = begin;
    range.count = end > begin ? end - begin : 0;
    return range;
}

static void step_adamw(const ws_place *place, const ws_range *range, const ws_adamw *options, double learning_rate,
                       double scale, uint64_t step, ws_real *parameters, const ws_real *gradients,
                       ws_real *first_moment, ws_real *second_moment)
{
    double t = (double)step;
    ws_adamw_arguments a = {
        .count = range->count,
        .scale = (ws_real)scale,
        .share1 = (ws_real)(1 - options->beta1),
        .share2 = (ws_real)(1 - options->beta2),
        .step_size = (ws_real)(learning_rate / (1 - pow(options->beta1, t))),
        .root_correction = (ws_real)(1 / sqrt(1 - pow(options->beta2, t))),
        .epsilon = (ws_real)options->epsilon,
        .decay = (ws_real)(range->decay ? learning_rate * options->weight_decay : 0),
        .parameters = parameters + range->offset,
        .gradients = gradients + range->offset,
        .first_moment = first_moment + range->offset,
        .second_moment = second_moment + range->offset,
    };
    place->kernels->adamw(&a, place->queue);
}

static void step_descent(const ws_place *place, const ws_range *range, double weight_decay, double learning_rate,
                         double scale, ws_real *parameters, const ws_real *gradients)
{
    ws_sgd_arguments a = {.count = range->count,
                          .step_size = (ws_real)(learning_rate * scale),
                          .decay = (ws_real)(range->decay ? learning_rate * weight_decay : 0),
                          .parameters = parameters + range->offset,
                          .gradients = gradients + range->offset};
    place->kernels->sgd(&a, place->queue);
}

static void step_statistics(const ws_place *place, const ws_range *range, double scale, ws_real *parameters,
                            const ws_real *gradients)
{
    ws_ema_arguments a = {.count = range->count,
                          .share = (ws_real)0.1,
                          .scale = (ws_real)scale,
                          .average = parameters + range->offset,
                          .value = gradients + range->offset};
    place->kernels->ema(&a, place->queue);
}

void ws_step_slice_at(const ws_place *place, const ws_plan *plan, const ws_adamw *options, bool descent,
                      double learning_rate, double scale, uint64_t step, double statistics_scale, size_t offset,
                      size_t count, ws_real *parameters, const ws_real *gradients, ws_real *first_moment,
                      ws_real *second_moment)
{
    for (size_t i = 0; i < plan->step_count; i++) {
        const ws_range range = cut(plan->steps[i], offset, count);
        if (range.count == 0)
            continue;
        if (range.statistic)
            step_statistics(place, &range, statistics_scale, parameters, gradients);
        else if (descent)
            step_descent(place, &range, options->weight_decay, learning_rate, scale, parameters, gradients);
        else
            step_adamw(place, &range, options, learning_rate, scale, step, parameters, gradients, first_moment,
                       second_moment);
    }
}

void ws_adamw_step_at(const ws_place *place, const ws_plan *plan, const ws_adamw *options, double learning_rate,
                      double scale, uint64_t step, ws_real *parameters, const ws_real *gradients, ws_real *first_moment,
                      ws_real *second_moment)
{
    for (size_t i = 0; i < plan->step_count; i++)
        if (!plan->steps[i].statistic)
            step_adamw(place, &plan->steps[i], options, learning_rate, scale, step, parameters, gradients, first_moment,
                       second_moment);
}

void ws_adamw_step(const ws_plan *plan, const ws_adamw *options, double learning_rate, double scale, uint64_t step,
                   ws_real *parameters, const ws_real *gradients, ws_real *first_moment, ws_real *second_moment)
{
    ws_place place = ws_place_cpu();
    ws_adamw_step_at(&place, plan, options, learning_rate, scale, step, parameters, gradients, first_moment,
                     second_moment);
}

void ws_sgd_step_at(const ws_place *place, const ws_plan *plan, double weight_decay, double learning_rate, double scale,
                    ws_real *parameters, const ws_real *gradients)
{
    for (size_t i = 0; i < plan->step_count; i++)
        if (!plan->steps[i].statistic)
            step_descent(place, &plan->steps[i], weight_decay, learning_rate, scale, parameters, gradients);
}

void ws_sgd_step(const ws_plan *plan, double weight_decay, double learning_rate, double scale, ws_real *parameters,
                 const ws_real *gradients)
{
    ws_place place = ws_place_cpu();
    ws_sgd_step_at(&place, plan, weight_decay, learning_rate, scale, parameters, gradients);
}

void ws_statistics_step_at(const ws_place *place, const ws_plan *plan, double scale, ws_real *parameters,
                           const ws_real *gradients)
{
    for (size_t i = 0; i < plan->step_count; i++)
        if (plan->steps[i].statistic)
            step_statistics(place, &plan->steps[i], scale, parameters, gradients);
}

void ws_statistics_step(const ws_plan *plan, double scale, ws_real *parameters, const ws_real *gradients)
{
    ws_place place = ws_place_cpu();
    ws_statistics_step_at(&place, plan, scale, parameters, gradients);
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

void ws_ema_step_at(const ws_place *place, double decay, ws_real *average, const ws_real *parameters, size_t extent)
{
    ws_ema_arguments a = {
        .count = extent, .share = (ws_real)(1 - decay), .scale = 1, .average = average, .value = parameters};
    place->kernels->ema(&a, place->queue);
}

void ws_ema_step(double decay, ws_real *average, const ws_real *parameters, size_t extent)
{
    ws_place place = ws_place_cpu();
    ws_ema_step_at(&place, decay, average, parameters, extent);
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
