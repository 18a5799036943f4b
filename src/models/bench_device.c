/* `wiresweep bench gpu`: operators and the training step of every network at its default options, on made-up rows, on the first CUDA
 * device. */
#include <stdio.h>

#include "models/bench_rows.h"

static ws_err bench_made(ws_bench_report *report, const ws_bench_rows *m, const ws_model *model, const ws_place *place,
                         const ws_device_ceilings *ceilings, ws_plan *plan, ws_executor **executor)
{
    char name[96];
    ws_tensor loss;
    double seconds;
    WS_TRY(model->network->build_training(&m->context, plan, m->context.batch, &loss));
    WS_TRY(ws_plan_finish(plan, loss));
    WS_TRY(ws_executor_create_at(executor, plan, place));
    WS_TRY(ws_bench_rows_fill(m, model->network, *executor, &seconds));
    snprintf(name, sizeof name, "%s step, %lld rows", model->name, (long long)m->context.batch);
    return ws_bench_device_step(report, name, plan, *executor, place, ceilings);
}

static ws_err bench_model(ws_bench_report *report, const ws_model *model, int batch, const ws_place *place,
                          const ws_device_ceilings *ceilings)
{
    ws_bench_rows m;
    ws_plan *plan = NULL;
    ws_executor *executor = NULL;
    ws_err error;
    WS_TRY_GOTO(done, ws_bench_rows_create(&m, model, batch, 1));
    WS_TRY_GOTO(done, ws_plan_create(&plan));
    WS_TRY_GOTO(done, bench_made(report, &m, model, place, ceilings, plan, &executor));
done:
    ws_executor_destroy(&executor);
    ws_plan_destroy(&plan);
    ws_bench_rows_destroy(&m);
    return error;
}

static ws_err bench_at(ws_bench_report *report, const ws_place *place, int divide)
{
    ws_device_ceilings ceilings = {0};
    WS_TRY(ws_bench_device_ceilings(report, place, divide, &ceilings));
    WS_TRY(ws_bench_device_operators(report, place, divide, &ceilings));
    for (size_t i = 0; ws_models[i]; i++) {
        const int batch = WS_BENCH_LARGEST_BATCH / divide;
        if (ws_models[i]->network)
            WS_TRY(bench_model(report, ws_models[i], batch > 0 ? batch : 1, place, &ceilings));
    }
    return ws_bench_end(report);
}

ws_err ws_bench_gpu(ws_text *out, bool json, int divide)
{
    ws_bench_report report = {.out = out, .json = json};
    ws_accelerators gpu;
    ws_place place;
    ws_accelerators_look(&gpu);
    WS_TRY(ws_accelerators_need(&gpu));
    WS_TRY(ws_place_open(&place, WS_CUDA, 0));
    ws_err error = bench_at(&report, &place, divide);
    ws_place_close(&place);
    return error;
}
