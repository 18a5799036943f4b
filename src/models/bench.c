/* `wiresweep bench models`: the training step of every network at its default options, on one core, on made-up rows: what it computes
 * (ws_bench_step), and what it costs to prepare its batch, as a share of that step. And the step of one Mamba block. On several ranks:
 * bench_ranks.c. */
#include <stdio.h>
#include <stdlib.h>

#include "models/bench_rows.h"
#include "models/mamba_block.h"

static const struct {
    const char *model;
    int batches[2];
} sizes[] = {{"flow_cfm", {32, 256}}};
static const int usual_batches[2] = {64, 0};

static ws_err bench_made(ws_bench_report *report, const ws_bench_rows *m, const ws_model *model, ws_plan *plan,
                         ws_executor **executor)
{
    char name[96];
    ws_tensor loss;
    double seconds = 0, step = 0;
    WS_TRY(model->network->build_training(&m->context, plan, m->context.batch, &loss));
    WS_TRY(ws_plan_finish(plan, loss));
    WS_TRY(ws_executor_create(executor, plan));
    WS_TRY(ws_bench_rows_fill(m, model->network, *executor, &seconds));
    snprintf(name, sizeof name, "%s step, %lld rows", model->name, (long long)m->context.batch);
    WS_TRY(ws_bench_step(report, name, plan, *executor, &step));
    snprintf(name, sizeof name, "%s batch prepared, %lld rows", model->name, (long long)m->context.batch);
    ws_bench_line(report, name, seconds * 1e3, "ms", step * 1e3, "the step (prepared in the background)");
    return WS_OK;
}

static ws_err bench_model(ws_bench_report *report, const ws_model *model, int batch)
{
    ws_bench_rows m;
    ws_plan *plan = NULL;
    ws_executor *executor = NULL;
    ws_err error;
    WS_TRY_GOTO(done, ws_bench_rows_create(&m, model, batch, 1));
    WS_TRY_GOTO(done, ws_plan_create(&plan));
    WS_TRY_GOTO(done, bench_made(report, &m, model, plan, &executor));
done:
    ws_executor_destroy(&executor);
    ws_plan_destroy(&plan);
    ws_bench_rows_destroy(&m);
    return error;
}

/* One block as NetMamba's encoder has them: width 256, 82 tokens. */
static ws_err bench_mamba(ws_bench_report *report, ws_plan *plan, ws_executor **executor)
{
    enum { MAMBA_ROWS = 16, TOKENS = 82, WIDTH = 256 };
    const int64_t shape[3] = {MAMBA_ROWS, TOKENS, WIDTH};
    const ws_mamba_options usual = {0};
    static const char *const inputs[] = {"x", "target"};
    double seconds;
    ws_tensor y = ws_mamba_block(plan, ws_input(plan, "x", 3, shape), WIDTH, &usual, "block");
    WS_TRY(ws_plan_finish(plan, ws_mse(plan, y, ws_input(plan, "target", 3, shape))));
    WS_TRY(ws_executor_create(executor, plan));
    for (uint64_t i = 0; i < 2; i++)
        ws_random_normal(1, WS_RANDOM_TEST, i, 0, ws_executor_input(*executor, inputs[i]), MAMBA_ROWS * TOKENS * WIDTH);
    return ws_bench_step(report, "mamba_block step, 16 rows", plan, *executor, &seconds);
}

static ws_err bench_mamba_alone(ws_bench_report *report)
{
    ws_plan *plan = NULL;
    ws_executor *executor = NULL;
    ws_err error;
    WS_TRY_GOTO(done, ws_plan_create(&plan));
    WS_TRY_GOTO(done, bench_mamba(report, plan, &executor));
done:
    ws_executor_destroy(&executor);
    ws_plan_destroy(&plan);
    return error;
}

ws_err ws_bench_models_all(const ws_comm *comm, ws_text *out, bool json)
{
    ws_bench_report report = {.out = out, .json = json};
    if (comm->size > 1) {
        WS_TRY(ws_bench_ranks_all(comm, &report));
        return ws_bench_end(&report);
    }
    for (size_t i = 0; ws_models[i]; i++) {
        const int *batches = usual_batches;
        for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++)
            if (strcmp(sizes[k].model, ws_models[i]->name) == 0)
                batches = sizes[k].batches;
        for (int b = 0; b < 2 && ws_models[i]->network && batches[b] > 0; b++)
            WS_TRY(bench_model(&report, ws_models[i], batches[b]));
    }
    WS_TRY(bench_mamba_alone(&report));
    return ws_bench_end(&report);
}
