/* `wiresweep bench models`: the training step of every network at its default options, on one core, on made-up rows: what it computes
 * (ws_bench_step), and what it costs to prepare its batch, as a share of that step. And the step of one Mamba block. */
#include <stdio.h>
#include <stdlib.h>

#include "models/mamba_block.h"
#include "models/models.h"

enum { ROWS = 512, COLUMNS = 20, CLASSES = 8, LARGEST_BATCH = 256 };
static const struct {
    const char *model;
    int batches[2];
} sizes[] = {{"flow_cfm", {32, 256}}};
static const int usual_batches[2] = {64, 0};

typedef struct made {
    ws_arena *arena;
    ws_samples samples;
    ws_model_context context;
    uint64_t rows[LARGEST_BATCH];
} made;

static ws_err make_sequence(made *m, int kind, int64_t tokens)
{
    enum { PACKET_COLUMNS = 9 };
    float *values;
    int32_t *length;
    size_t a_row = (size_t)tokens * PACKET_COLUMNS;
    WS_TRY(ws_arena_alloc(m->arena, &values, ROWS * a_row, sizeof *values));
    WS_TRY(ws_arena_alloc(m->arena, &length, ROWS, sizeof *length));
    for (uint64_t i = 0; i < ROWS; i++) {
        length[i] = 1 + (int32_t)(ws_mix64(i) % (uint64_t)tokens);
        ws_random_normal(1, WS_RANDOM_TEST, 1, i, values + i * a_row, (size_t)length[i] * PACKET_COLUMNS);
    }
    m->samples.sequence[kind] = (ws_sequence){(int)tokens, PACKET_COLUMNS, values, length};
    m->context.sequence[kind] = (ws_sequence_shape){.tokens = (int)tokens, .columns = PACKET_COLUMNS};
    bool *two_valued;
    WS_TRY(ws_arena_alloc(m->arena, &two_valued, PACKET_COLUMNS, sizeof *two_valued));
    m->context.sequence[kind].two_valued = two_valued;
    return WS_OK;
}

static ws_err make(made *m, const ws_model *model, int batch)
{
    void *options;
    float *values;
    int32_t *label;
    WS_TRY(ws_arena_alloc(m->arena, &options, 1, model->options->size));
    WS_TRY(ws_options_default(model->options, m->arena, options));
    WS_TRY(ws_arena_alloc(m->arena, &values, ROWS * COLUMNS, sizeof *values));
    WS_TRY(ws_arena_alloc(m->arena, &label, ROWS, sizeof *label));
    for (uint64_t i = 0; i < ROWS; i++) {
        ws_random_normal(1, WS_RANDOM_TEST, 0, i, values + i * COLUMNS, COLUMNS);
        label[i] = (int32_t)(i % CLASSES);
    }
    for (uint64_t i = 0; i < LARGEST_BATCH; i++)
        m->rows[i] = i % ROWS;
    m->samples = (ws_samples){.rows = ROWS, .columns = COLUMNS, .values = values, .label = label};
    m->context = (ws_model_context){.task = model->tasks & WS_CAN_ANOMALY ? WS_TASK_ANOMALY : WS_TASK_CLASSIFY,
                                    .options = options,
                                    .columns = COLUMNS,
                                    .classes = CLASSES,
                                    .seed = 1,
                                    .batch = batch,
                                    .shards = 1,
                                    .threads = 1};
    ws_needs needs = ws_model_needs(model, options);
    for (int kind = 0; kind < WS_SEQUENCE_KINDS; kind++)
        if (needs.tokens[kind] > 0)
            WS_TRY(make_sequence(m, kind, needs.tokens[kind]));
    return WS_OK;
}

/* Plans a batch and fills its inputs, as often as 0.1 s allows; seconds a batch. */
static ws_err prepare(const made *m, const ws_network *network, ws_executor *executor, double *seconds)
{
    const ws_model_context *context = &m->context;
    ws_batch batch = {.seed = 1, .samples = &m->samples, .rows = m->rows};
    size_t bytes = network->plan_bytes ? network->plan_bytes(context) : 0;
    void *scratch = NULL;
    char *plan = NULL;
    ws_err error = WS_OK;
    if (bytes > 0) {
        WS_TRY_GOTO(done, WS_NEW_ARRAY(plan, bytes));
        WS_TRY_GOTO(done, network->scratch_create(context, &scratch));
    }
    double begin = ws_clock_seconds(), now;
    do {
        if (bytes > 0)
            network->plan_batch(context, &batch, scratch, plan);
        network->fill(context, &batch, plan, 0, executor);
        batch.step++;
        now = ws_clock_seconds();
    } while (now < begin + 0.1);
    *seconds = (now - begin) / (double)batch.step;
done:
    if (scratch)
        network->scratch_destroy(&scratch);
    free(plan);
    return error;
}

static ws_err bench_made(ws_bench_report *report, const made *m, const ws_model *model, ws_plan *plan,
                         ws_executor **executor)
{
    char name[96];
    ws_tensor loss;
    double seconds = 0, step = 0;
    WS_TRY(model->network->build_training(&m->context, plan, m->context.batch, &loss));
    WS_TRY(ws_plan_finish(plan, loss));
    WS_TRY(ws_executor_create(executor, plan));
    WS_TRY(prepare(m, model->network, *executor, &seconds));
    snprintf(name, sizeof name, "%s step, %lld rows", model->name, (long long)m->context.batch);
    WS_TRY(ws_bench_step(report, name, plan, *executor, &step));
    snprintf(name, sizeof name, "%s batch prepared, %lld rows", model->name, (long long)m->context.batch);
    ws_bench_line(report, name, seconds * 1e3, "ms", step * 1e3, "the step (prepared in the background)");
    return WS_OK;
}

static ws_err bench_model(ws_bench_report *report, const ws_model *model, int batch)
{
    made m = {0};
    ws_plan *plan = NULL;
    ws_executor *executor = NULL;
    ws_err error;
    WS_TRY_GOTO(done, ws_arena_create(&m.arena, 1 << 20));
    WS_TRY_GOTO(done, make(&m, model, batch));
    WS_TRY_GOTO(done, ws_plan_create(&plan));
    WS_TRY_GOTO(done, bench_made(report, &m, model, plan, &executor));
done:
    ws_executor_destroy(&executor);
    ws_plan_destroy(&plan);
    ws_arena_destroy(&m.arena);
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

ws_err ws_bench_models(ws_text *out, bool json)
{
    ws_bench_report report = {.out = out, .json = json};
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
