/* Parameters, moments and averages of a network: four flat buffers of the plan's layout. */
#include <math.h>
#include <stdlib.h>
#include "train/internal.h"

ws_err ws_network_state_create(ws_network_state *out, const ws_model *model, const ws_model_context *context)
{
    ws_err error = WS_OK;
    ws_tensor loss = WS_NO_TENSOR;
    *out = (ws_network_state){.model = model, .context = context, .best_loss = INFINITY};
    WS_TRY_GOTO(fail, ws_plan_create(&out->plan));
    ws_plan_set_precision(out->plan, context->precision);
    WS_TRY_GOTO(fail, model->network->build_training(context, out->plan, context->batch / context->shards, &loss));
    WS_TRY_GOTO(fail, ws_plan_finish(out->plan, loss));
    out->extent = ws_plan_parameter_extent(out->plan);
    WS_TRY_GOTO(fail, WS_NEW_ARRAY(out->parameters, out->extent));
    WS_TRY_GOTO(fail, WS_NEW_ARRAY(out->average, out->extent));
    WS_TRY_GOTO(fail, WS_NEW_ARRAY(out->first_moment, out->extent));
    WS_TRY_GOTO(fail, WS_NEW_ARRAY(out->second_moment, out->extent));
    ws_plan_initialise(out->plan, context->seed, out->parameters);
    memcpy(out->average, out->parameters, out->extent * sizeof *out->average);
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
