/* Parameters, moments and averages of a network: four flat buffers of the plan's layout. */
#include <math.h>
#include <stdlib.h>
#include "train/internal.h"

void ws_network_state_begin(ws_network_state *s)
{
    const size_t bytes = s->extent * sizeof *s->parameters;
    ws_plan_initialise(s->plan, s->context->seed, s->parameters);
    memcpy(s->average, s->parameters, bytes);
    memset(s->first_moment, 0, bytes);
    memset(s->second_moment, 0, bytes);
    s->step = s->skipped = s->best_step = 0;
    s->loss = s->seconds = 0;
    s->best_loss = INFINITY;
}

ws_err ws_network_state_create(ws_network_state *out, const ws_model *model, const ws_model_context *context)
{
    ws_err error = WS_OK;
    ws_tensor loss = WS_NO_TENSOR;
    *out = (ws_network_state){.model = model, .context = context};
    WS_TRY_GOTO(fail, ws_plan_create(&out->plan));
    ws_plan_set_precision(out->plan, context->precision);
    WS_TRY_GOTO(fail, model->network->build_training(context, out->plan, context->batch / context->shards, &loss));
    WS_TRY_GOTO(fail, ws_plan_finish(out->plan, loss));
    out->extent = ws_plan_parameter_extent(out->plan);
    WS_TRY_GOTO(fail, WS_NEW_ARRAY(out->parameters, out->extent));
    WS_TRY_GOTO(fail, WS_NEW_ARRAY(out->average, out->extent));
    WS_TRY_GOTO(fail, WS_NEW_ARRAY(out->first_moment, out->extent));
    WS_TRY_GOTO(fail, WS_NEW_ARRAY(out->second_moment, out->extent));
    ws_network_state_begin(out);
    return WS_OK;
fail:
    ws_network_state_destroy(out);
    return error;
}

void ws_network_state_destroy(ws_network_state *state)
{
    ws_plan_destroy(&state->plan);
    free(state->parameters);
    free(state->average);
    free(state->first_moment);
    free(state->second_moment);
    *state = (ws_network_state){0};
}
