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
    float *packets; /* NULL until add_packets */
    int32_t *length;
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

/* Gives row i up to `tokens` packets, i % (tokens + 1) of them, so some rows none: the first columns of its features with noise, in
 * column 2 and from 4 on only signs. */
static inline void add_packets(made_samples *m, int tokens, int columns, uint64_t seed)
{
    const size_t stride = (size_t)tokens * (size_t)columns;
    m->packets = calloc(m->samples.rows * stride + 1, sizeof(float));
    m->length = calloc(m->samples.rows + 1, sizeof(int32_t));
    for (uint64_t i = 0; i < m->samples.rows; i++) {
        m->length[i] = (int32_t)(i % (uint64_t)(tokens + 1));
        float *row = m->packets + i * stride;
        ws_random_normal(seed, WS_RANDOM_TEST, 1, i, row, (size_t)(m->length[i] * columns));
        for (int k = 0; k < m->length[i] * columns; k++) {
            int c = k % columns;
            row[k] = 0.2f * row[k] + m->values[i * (uint64_t)m->samples.columns + (uint64_t)(c % m->samples.columns)];
            if (c == 2 || c >= 4)
                row[k] = row[k] > 0 ? 1.0f : -1.0f;
        }
    }
    m->samples.sequence[WS_SEQUENCE_PACKETS] = (ws_sequence){tokens, columns, m->packets, m->length};
}

static const bool made_two_valued[9] = {false, false, true, false, true, true, true, true, true};
static inline void expect_packets(ws_model_context *context, int tokens)
{
    context->sequence[WS_SEQUENCE_PACKETS] = (ws_sequence_shape){tokens, 9, made_two_valued};
}

static inline void free_samples(made_samples *m)
{
    free(m->packets);
    free(m->length);
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
