/* `wiresweep bench trees`: growing forests on 30,000 made-up rows of 116 columns and 10 classes, and scoring as many. Growing is measured
 * in trees, of two threads against twice one. */
#include <stdio.h>
#include <stdlib.h>

#include "models/forest.h"

enum { ROWS = 30000, COLUMNS = 116, CLASSES = 10, TREES = 20 };

typedef struct made {
    ws_arena *arena;
    ws_samples samples;
    float *out;
} made;

/* Columns of many values, of few and of two, as packets' sizes, ports and flags are; a class shifts some of them. */
static ws_err make_rows(made *m)
{
    float *values;
    int32_t *label;
    WS_TRY(ws_arena_create(&m->arena, 1 << 20));
    WS_TRY(ws_arena_alloc(m->arena, &values, (size_t)ROWS * COLUMNS, sizeof *values));
    WS_TRY(ws_arena_alloc(m->arena, &label, ROWS, sizeof *label));
    WS_TRY(ws_arena_alloc(m->arena, &m->out, (size_t)ROWS * CLASSES, sizeof *m->out));
    for (uint64_t i = 0; i < ROWS; i++) {
        float *row = values + i * COLUMNS;
        label[i] = (int32_t)(ws_mix64(i) % CLASSES);
        ws_random_normal(1, WS_RANDOM_TEST, 0, i, row, COLUMNS);
        for (int c = 0; c < COLUMNS; c++) {
            row[c] += 0.5f * (float)((label[i] * (c + 3)) % 7 == 0);
            if (c % 5 >= 2)
                row[c] = c % 5 == 2 ? (float)(int)(8 * row[c]) : (float)(row[c] > 0);
        }
    }
    m->samples = (ws_samples){.rows = ROWS, .columns = COLUMNS, .values = values, .label = label};
    return WS_OK;
}

static ws_err bench_forest(ws_bench_report *report, const made *m, const char *name)
{
    const ws_model *model = ws_model_find(name);
    const ws_comm self = ws_comm_self();
    double seconds[2];
    char line[96];
    ws_forest_options options;
    WS_TRY(ws_options_default(model->options, m->arena, &options));
    options.trees = TREES;
    ws_model_context context = {
        .task = WS_TASK_CLASSIFY, .options = &options, .columns = COLUMNS, .classes = CLASSES, .seed = 1};
    ws_arrays learned = {.arena = m->arena};
    for (context.threads = 1; context.threads <= 2; context.threads++) {
        ws_arrays_destroy(&learned);
        const double begin = ws_clock_seconds();
        WS_TRY(model->classical->fit_all(&self, &context, &m->samples, &m->samples, &learned));
        seconds[context.threads - 1] = ws_clock_seconds() - begin;
    }
    snprintf(line, sizeof line, "%s grown, 1 thread", name);
    ws_bench_line(report, line, TREES / seconds[0], "trees/s", 0, "");
    snprintf(line, sizeof line, "%s grown, 2 threads", name);
    ws_bench_line(report, line, TREES / seconds[1], "trees/s", 2 * TREES / seconds[0], "twice one thread");
    WS_TRY(model->classical->prepare(&context, &learned));
    const double begin = ws_clock_seconds();
    WS_TRY(model->classical->score(&context, &learned, ROWS, m->samples.values, m->out));
    snprintf(line, sizeof line, "%s scored, 1 thread", name);
    ws_bench_line(report, line, 1e-6 * ROWS * TREES / (ws_clock_seconds() - begin), "M rows x trees/s", 0, "");
    ws_arrays_destroy(&learned);
    return WS_OK;
}

ws_err ws_bench_trees(ws_text *out, bool json)
{
    static const char *const names[] = {"random_forest", "extra_trees"};
    ws_bench_report report = {.out = out, .json = json};
    made m = {0};
    ws_err error = make_rows(&m);
    for (size_t i = 0; i < 2 && error == WS_OK; i++)
        error = bench_forest(&report, &m, names[i]);
    ws_arena_destroy(&m.arena);
    WS_TRY(error);
    return ws_bench_end(&report);
}
