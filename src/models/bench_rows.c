/* Made-up rows for benchmarks of networks at their default options: features of 20 columns, labels, sequences of packets. */
#include <stdlib.h>

#include "models/bench_rows.h"

enum { ROWS = 512, COLUMNS = 20, CLASSES = 8 };

static ws_err make_sequence(ws_bench_rows *m, int kind, int64_t tokens)
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

ws_err ws_bench_rows_create(ws_bench_rows *m, const ws_model *model, int batch, int shards)
{
    void *options;
    float *values;
    int32_t *label;
    *m = (ws_bench_rows){0};
    WS_TRY(ws_arena_create(&m->arena, 1 << 20));
    WS_TRY(ws_arena_alloc(m->arena, &options, 1, model->options->size));
    WS_TRY(ws_options_default(model->options, m->arena, options));
    WS_TRY(ws_arena_alloc(m->arena, &values, ROWS * COLUMNS, sizeof *values));
    WS_TRY(ws_arena_alloc(m->arena, &label, ROWS, sizeof *label));
    for (uint64_t i = 0; i < ROWS; i++) {
        ws_random_normal(1, WS_RANDOM_TEST, 0, i, values + i * COLUMNS, COLUMNS);
        label[i] = (int32_t)(i % CLASSES);
    }
    for (uint64_t i = 0; i < WS_BENCH_LARGEST_BATCH; i++)
        m->rows[i] = i % ROWS;
    m->samples = (ws_samples){.rows = ROWS, .columns = COLUMNS, .values = values, .label = label};
    m->context = (ws_model_context){.task = model->tasks & WS_CAN_ANOMALY ? WS_TASK_ANOMALY : WS_TASK_CLASSIFY,
                                    .options = options,
                                    .columns = COLUMNS,
                                    .classes = CLASSES,
                                    .seed = 1,
                                    .batch = batch,
                                    .shards = shards,
                                    .threads = 1};
    ws_needs needs = ws_model_needs(model, options);
    for (int kind = 0; kind < WS_SEQUENCE_KINDS; kind++)
        if (needs.tokens[kind] > 0)
            WS_TRY(make_sequence(m, kind, needs.tokens[kind]));
    return WS_OK;
}

ws_err ws_bench_rows_fill(const ws_bench_rows *m, const ws_network *network, ws_executor *executor, double *seconds)
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

void ws_bench_rows_destroy(ws_bench_rows *m)
{
    ws_arena_destroy(&m->arena);
}
