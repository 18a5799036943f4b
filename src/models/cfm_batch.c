/* Batches of the flow-matching models; see cfm.h. Everything random is drawn by (seed, purpose, step, position). */
#include <stdlib.h>
#include "models/cfm.h"

static const float dequantise = 0.1f; /* where sigma = 0: what blurs columns of two values instead, in training only */

static int64_t group_size(const ws_model_context *context)
{
    const ws_cfm_options *options = context->options;
    return options->ot_group < context->batch ? options->ot_group : context->batch;
}

void ws_cfm_check(const ws_model_context *context, const ws_json *document, const cJSON *object, ws_problems *problems)
{
    const ws_cfm_options *options = context->options;
    if (options->coupling != WS_COUPLING_INDEPENDENT && context->batch % group_size(context) != 0)
        ws_problems_add(problems, document, cJSON_GetObjectItemCaseSensitive(object, "ot_group"),
                        "model.ot_group: %lld does not divide train.batch = %lld", (long long)options->ot_group,
                        (long long)context->batch);
    if (options->time_features % 2 != 0)
        ws_problems_add(problems, document, cJSON_GetObjectItemCaseSensitive(object, "time_features"),
                        "model.time_features: %lld is not even", (long long)options->time_features);
    if (options->sigma == 0 && options->coupling == WS_COUPLING_ENTROPIC)
        ws_problems_add(problems, document, cJSON_GetObjectItemCaseSensitive(object, "coupling"),
                        "model.coupling: \"entropic\" needs sigma > 0; without, it is \"ot\"");
    if (options->sigma == 0 && options->path == WS_CFM_SCHROEDINGER)
        ws_problems_add(problems, document, cJSON_GetObjectItemCaseSensitive(object, "path"),
                        "model.path: \"schroedinger\" needs sigma > 0; without, it is \"straight\"");
}

/* ---- elements ---- */

int64_t ws_cfm_tokens(const ws_cfm_layout *layout, const ws_samples *samples, uint64_t row)
{
    return layout->tokens == 0 ? 0 : samples->sequence[WS_SEQUENCE_PACKETS].length[row];
}

int64_t ws_cfm_row(const ws_cfm_layout *layout, const ws_samples *samples, uint64_t row, float *x1)
{
    const size_t features = (size_t)layout->features, packets = (size_t)(layout->tokens * layout->columns);
    if (features > 0)
        memcpy(x1, samples->values + row * features, features * sizeof *x1);
    if (packets > 0)
        memcpy(x1 + features, samples->sequence[WS_SEQUENCE_PACKETS].values + row * packets, packets * sizeof *x1);
    return layout->features + ws_cfm_tokens(layout, samples, row) * layout->columns;
}

/* ---- plans ---- */

typedef struct cfm_scratch {
    ws_pairing *pairing;
    float *one;     /* [elements] */
    float *uniform; /* [group] */
} cfm_scratch;

size_t ws_cfm_plan_bytes(const ws_model_context *context)
{
    const ws_cfm_options *options = context->options;
    return options->coupling == WS_COUPLING_INDEPENDENT ? 0 : (size_t)context->batch * sizeof(int32_t);
}

void ws_cfm_scratch_destroy(void **scratch)
{
    cfm_scratch *s = *scratch;
    if (s == NULL)
        return;
    ws_pairing_destroy(&s->pairing);
    free(s->one);
    free(s->uniform);
    free(s);
    *scratch = NULL;
}

ws_err ws_cfm_scratch_create(const ws_model_context *context, const ws_cfm_layout *layout, void **scratch)
{
    ws_err error = WS_OK;
    cfm_scratch *s;
    WS_TRY(WS_NEW(s));
    *scratch = s;
    WS_TRY_GOTO(fail, WS_NEW_ARRAY(s->one, (size_t)ws_cfm_elements(layout)));
    WS_TRY_GOTO(fail, WS_NEW_ARRAY(s->uniform, (size_t)group_size(context)));
    WS_TRY_GOTO(fail,
                ws_pairing_create(&s->pairing, (int)group_size(context), ws_cfm_elements(layout), layout->tokens > 0));
    return WS_OK;
fail:
    ws_cfm_scratch_destroy(scratch);
    return error;
}

/* Pairs the positions [begin, begin + group). */
static void pair_group(const ws_model_context *context, const ws_cfm_layout *layout, const ws_batch *batch,
                       cfm_scratch *s, int64_t begin, int32_t *noise_of)
{
    const ws_cfm_options *options = context->options;
    const int64_t group = group_size(context), elements = ws_cfm_elements(layout);
    ws_pairing *p = s->pairing;
    for (int64_t i = 0; i < group; i++) {
        const uint64_t position = (uint64_t)(begin + i);
        ws_random_normal(batch->seed, WS_RANDOM_NOISE, batch->step, position, s->one, (size_t)elements);
        for (int64_t k = 0; k < elements; k++)
            p->noise[k * group + i] = s->one[k];
        p->valid[i] = (int32_t)ws_cfm_row(layout, batch->samples, batch->rows[position], p->rows + i * elements);
        ws_random_uniform(batch->seed, WS_RANDOM_COUPLING, batch->step, position, &s->uniform[i], 1);
    }
    if (options->coupling == WS_COUPLING_ENTROPIC)
        ws_pair_entropically(p, 2 * options->sigma * options->sigma, s->uniform, noise_of);
    else
        ws_pair_exactly(p, noise_of);
    for (int64_t j = 0; j < group; j++)
        noise_of[j] += (int32_t)begin;
}

void ws_cfm_plan_batch(const ws_model_context *context, const ws_cfm_layout *layout, const ws_batch *batch,
                       void *scratch, void *plan)
{
    int32_t *noise_of = plan;
    for (int64_t begin = 0; begin < context->batch; begin += group_size(context))
        pair_group(context, layout, batch, scratch, begin, noise_of + begin);
}

/* ---- points ---- */

/* One part of a row, x1[count]: on entry velocity holds x0, and x the noise. */
static void combine(const ws_cfm_weights *w, const float *x1, int64_t count, ws_real *x, ws_real *velocity)
{
    for (int64_t k = 0; k < count; k++) {
        const float x0 = velocity[k], noise = x[k];
        x[k] = w->x1 * x1[k] + w->x0 * x0 + w->noise * noise;
        velocity[k] = w->velocity_x1 * x1[k] + w->velocity_x0 * x0 + w->velocity_noise * noise;
    }
}

/* The same without noise on the path, for packets: columns of two values are two points, which no density describes. */
static void combine_blurred(const ws_cfm_weights *w, const float *x1, const ws_cfm_layout *layout, int64_t count,
                            ws_real *x, ws_real *velocity)
{
    for (int64_t k = 0; k < count; k++) {
        const float x0 = velocity[k], blur = layout->two_valued[k % layout->columns] ? dequantise * x[k] : 0;
        x[k] = w->x1 * (x1[k] + blur) + w->x0 * x0;
        velocity[k] = w->velocity_x1 * (x1[k] + blur) + w->velocity_x0 * x0;
    }
}

ws_cfm_point ws_cfm_draw(const ws_model_context *context, const ws_cfm_layout *layout, const ws_batch *batch,
                         const void *plan, uint64_t position, ws_real *x, ws_real *velocity)
{
    const ws_cfm_options *options = context->options;
    const int32_t *noise_of = plan;
    const uint64_t row = batch->rows[position], packets = (uint64_t)(layout->tokens * layout->columns);
    const size_t elements = (size_t)ws_cfm_elements(layout);
    const int64_t from_packets = ws_cfm_tokens(layout, batch->samples, row) * layout->columns;
    ws_cfm_point point = {.valid = layout->features + from_packets};
    const bool blur = options->sigma == 0 && from_packets > 0;
    float u;
    ws_random_uniform(batch->seed, WS_RANDOM_TIME, batch->step, position, &u, 1);
    point.t = ((double)position + u) / (double)context->batch; /* stratified */
    const ws_cfm_weights w = ws_cfm_path_at((ws_cfm_path)options->path, options->sigma, point.t);
    memset(x, 0, elements * sizeof *x);
    memset(velocity, 0, elements * sizeof *velocity);
    ws_random_normal(batch->seed, WS_RANDOM_NOISE, batch->step, noise_of ? (uint64_t)noise_of[position] : position,
                     velocity, (size_t)point.valid);
    if (w.noise > 0 || blur)
        ws_random_normal(batch->seed, blur ? WS_RANDOM_DEQUANTISE : WS_RANDOM_PATH_NOISE, batch->step, position, x,
                         (size_t)point.valid);
    combine(&w, batch->samples->values + row * (uint64_t)context->columns, layout->features, x, velocity);
    if (from_packets == 0)
        return point;
    const float *x1 = batch->samples->sequence[WS_SEQUENCE_PACKETS].values + row * packets;
    if (blur)
        combine_blurred(&w, x1, layout, from_packets, x + layout->features, velocity + layout->features);
    else
        combine(&w, x1, from_packets, x + layout->features, velocity + layout->features);
    return point;
}
