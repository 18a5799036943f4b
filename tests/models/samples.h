/* Made-up rows and contexts for the tests of models and training: a pure function of the seed. */
#ifndef WS_TESTS_MODELS_SAMPLES_H
#define WS_TESTS_MODELS_SAMPLES_H

#include <stdlib.h>
#include "cluster/mpi_main.h"
#include "models/models.h"

#define OK(call)                                                                                                       \
    do {                                                                                                               \
        if ((call) != WS_OK)                                                                                           \
            fail_msg("%s: %s\n%s", #call, ws_error_message(), ws_error_trace());                                       \
    } while (0)

typedef struct made_samples {
    ws_samples samples;
    float *values;
    int32_t *label;
    uint8_t *anomalous;
} made_samples;

/* Row i is of class i % classes: a Gaussian of width `spread` around a point of its own on a circle in each two columns. */
static inline made_samples make_samples(uint64_t rows, int columns, int classes, float spread, uint64_t seed)
{
    made_samples m = {.values = calloc(rows * (uint64_t)columns + 1, sizeof(float)),
                      .label = calloc(rows + 1, sizeof(int32_t)),
                      .anomalous = calloc(rows + 1, 1)};
    static const float circle[8][2] = {{1, 0},     {0, 1},      {-1, 0},      {0, -1},
                                       {.7f, .7f}, {-.7f, .7f}, {-.7f, -.7f}, {.7f, -.7f}};
    for (uint64_t i = 0; i < rows; i++) {
        float *row = m.values + i * (uint64_t)columns;
        int class = (int)(i % (uint64_t)classes);
        ws_random_normal(seed, WS_RANDOM_TEST, 0, i, row, (size_t)columns);
        for (int c = 0; c < columns; c++)
            row[c] = spread * row[c] + circle[(class + c / 2) % 8][c % 2];
        m.label[i] = class;
    }
    m.samples =
        (ws_samples){.rows = rows, .columns = columns, .values = m.values, .label = m.label, .anomalous = m.anomalous};
    return m;
}

static inline void free_samples(made_samples *m)
{
    free(m->values);
    free(m->label);
    free(m->anomalous);
}

/* A context with the model's default options; the struct of options is *options, to be changed by the test. */
static inline ws_model_context make_context(ws_arena *arena, const ws_model *model, ws_task task, int columns,
                                            int classes, void **options)
{
    OK(ws_arena_alloc(arena, options, 1, model->options->size));
    OK(ws_options_default(model->options, arena, *options));
    return (ws_model_context){.task = task,
                              .options = *options,
                              .columns = columns,
                              .classes = classes,
                              .seed = 1,
                              .batch = 64,
                              .shards = 8,
                              .threads = 1,
                              .wanted = UINT64_MAX};
}

/* Sets an option by its key, as a configuration would. */
static inline void set_option(ws_arena *arena, const ws_model *model, void *options, const char *json)
{
    ws_json *document;
    ws_problems problems = {0};
    OK(ws_json_read_text(&document, json, "test"));
    OK(ws_options_read(model->options, document, ws_json_root(document), "model", NULL, arena, options, &problems));
    OK(ws_problems_error(&problems));
    ws_json_destroy(&document);
}

#endif
