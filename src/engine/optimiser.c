/* AdamW, gradient descent, exponential moving average, gradient norm and the learning rate's schedule, over the flat parameter buffer. */
#include <math.h>
#include "engine/plan.h"

void ws_adamw_step_at(const ws_place *place, const ws_plan *plan, const ws_adamw *options, double learning_rate,
                      double scale, uint64_t step, ws_real *parameters, const ws_real *gradients, ws_real *first_moment,
                      ws_real *second_moment)
{
    double t = (double)step;
    ws_adamw_arguments a = {
        .scale = (ws_real)scale,
        .share1 = (ws_real)(1 - options->beta1),
        .share2 = (ws_real)(1 - options->beta2),
        .step_size = (ws_real)(learning_rate / (1 - pow(options->beta1, t))),
        .root_correction = (ws_real)(1 / sqrt(1 - pow(options->beta2, t))),
        .epsilon = (ws_real)options->epsilon,
    };
    for (size_t i = 0; i < plan->step_count; i++) {
        const ws_range *range = &plan->steps[i];
        if (range->statistic)
            continue;
        a.count = range->count;
        a.decay = (ws_real)(range->decay ? learning_rate * options->weight_decay : 0);
        a.parameters = parameters + range->offset;
        a.gradients = gradients + range->offset;
        a.first_moment = first_moment + range->offset;
        a.second_moment = second_moment + range->offset;
        place->kernels->adamw(&a, place->queue);
    }
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
    ws_sgd_arguments a = {.step_size = (ws_real)(learning_rate * scale)};
    for (size_t i = 0; i < plan->step_count; i++) {
        const ws_range *range = &plan->steps[i];
        if (range->statistic)
            continue;
        a.count = range->count;
        a.decay = (ws_real)(range->decay ? learning_rate * weight_decay : 0);
        a.parameters = parameters + range->offset;
        a.gradients = gradients + range->offset;
        place->kernels->sgd(&a, place->queue);
    }
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
    ws_ema_arguments a = {.share = (ws_real)0.1, .scale = (ws_real)scale};
    for (size_t i = 0; i < plan->step_count; i++) {
        const ws_range *range = &plan->steps[i];
        if (!range->statistic)
            continue;
        a.count = range->count;
        a.average = parameters + range->offset;
        a.value = gradients + range->offset;
        place->kernels->ema(&a, place->queue);
    }
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

/* Block sums on the device, the tree over them here. */
static ws_err device_norm(const ws_place *place, const ws_real *gradients, size_t extent, size_t blocks, void *sums,
                          double *host, double *out)
{
    const ws_device *device = place->device;
    place->kernels->square_sums(&(ws_square_sums_arguments){extent, gradients, sums}, place->queue);
    device->download(place->queue, host, sums, blocks * sizeof *host);
    WS_TRY(device->wait(place->queue));
    tree_sum tree = {.count = 0};
    for (size_t i = 0; i < blocks; i++)
        tree_add(&tree, host[i]);
    *out = sqrt(tree_total(&tree));
    return WS_OK;
}

ws_err ws_gradient_norm_at(const ws_place *place, const ws_real *gradients, size_t extent, double *out)
{
    if (place->device->host_memory) {
        *out = ws_gradient_norm(gradients, extent);
        return WS_OK;
    }
    const ws_device *device = place->device;
    size_t blocks = (extent + WS_NORM_BLOCK - 1) / WS_NORM_BLOCK;
    void *sums = NULL, *host = NULL;
    ws_err error;
    WS_TRY_GOTO(done, device->allocate(place->queue, &sums, (blocks + 1) * sizeof(double)));
    WS_TRY_GOTO(done, device->allocate_host(place->queue, &host, (blocks + 1) * sizeof(double)));
    WS_TRY_GOTO(done, device_norm(place, gradients, extent, blocks, sums, host, out));
done:
    if (sums)
        device->release(place->queue, sums);
    if (host)
        device->release_host(place->queue, host);
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
