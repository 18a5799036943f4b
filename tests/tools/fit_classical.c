/* fit_classical MODEL OPTIONS THREADS SEEDS TRAINING TEST [OUT]: fits a classical model to a matrix and scores another one, as a run
 * does, for seeds 0..SEEDS-1, or of SEEDS as FIRST:COUNT from FIRST on. A line for each: seed, seconds of fitting and of scoring, and processor seconds of both. OUT: the scores of the test rows, float
 * [seeds][rows][classes]. A matrix is a file of 3 int64 (rows, columns, classes), float [rows][columns], int32 [rows] labels.
 * For comparisons with other programs (tests/bench, tests/models).
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "train/internal.h"

typedef struct matrix {
    char *file;
    int64_t shape[3];
    ws_samples samples;
} matrix;

static ws_err read_matrix(const char *path, matrix *out)
{
    size_t bytes;
    WS_TRY(ws_file_read(path, &out->file, &bytes));
    WS_CHECK(bytes > sizeof out->shape, FORMAT, "%s: no matrix", path);
    memcpy(out->shape, out->file, sizeof out->shape);
    const size_t cells = (size_t)(out->shape[0] * out->shape[1]);
    WS_CHECK(bytes == sizeof out->shape + 4 * (cells + (size_t)out->shape[0]), FORMAT, "%s: not of that shape", path);
    float *values = (float *)(void *)(out->file + sizeof out->shape);
    out->samples = (ws_samples){.rows = (uint64_t)out->shape[0],
                                .columns = (int)out->shape[1],
                                .values = values,
                                .label = (const int32_t *)(const void *)(values + cells)};
    return WS_OK;
}

static double processor_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static ws_err fit_seed(const ws_comm *world, const ws_model *model, const ws_model_context *context,
                       const matrix *training, const matrix *test, FILE *out)
{
    ws_learned learned;
    float *scores = NULL;
    WS_TRY(ws_learned_create(model, context, &learned));
    double begin = ws_clock_seconds(), begin_used = processor_seconds();
    ws_err error = model->classical->fit_all(world, context, &training->samples, &test->samples, &learned.arrays);
    const double fitted = ws_clock_seconds() - begin, fitted_used = processor_seconds() - begin_used;
    begin = ws_clock_seconds();
    begin_used = processor_seconds();
    if (error == WS_OK)
        error = ws_learned_prepare(&learned);
    if (error == WS_OK)
        error = ws_score_all(world, &learned, &test->samples, "score", &scores, NULL);
    if (error == WS_OK && world->rank == 0) {
        printf("%llu %.4f %.4f %.4f %.4f\n", (unsigned long long)context->seed, fitted, ws_clock_seconds() - begin,
               fitted_used, processor_seconds() - begin_used);
        const size_t count = (size_t)(test->samples.rows * (uint64_t)context->classes);
        if (out && fwrite(scores, sizeof *scores, count, out) != count)
            error = WS_ERROR(IO, "the scores cannot be written");
    }
    free(scores);
    ws_learned_destroy(&learned);
    return error;
}

static ws_err fit(const ws_comm *world, char **arguments, ws_arena *arena, matrix *training, matrix *test, FILE *out)
{
    const ws_model *model = ws_model_find(arguments[1]);
    void *options;
    ws_json *document;
    ws_problems problems = {0};
    WS_CHECK(model && model->classical, ARGUMENT, "%s: no classical model", arguments[1]);
    WS_TRY(ws_arena_alloc(arena, &options, 1, model->options->size));
    WS_TRY(ws_json_read_text(&document, arguments[2], "options"));
    ws_err error =
        ws_options_read(model->options, document, ws_json_root(document), "model", NULL, arena, options, &problems);
    ws_json_destroy(&document);
    WS_TRY(error);
    WS_TRY(ws_problems_error(&problems));
    WS_TRY(read_matrix(arguments[5], training));
    WS_TRY(read_matrix(arguments[6], test));
    ws_model_context context = {.task = WS_TASK_CLASSIFY,
                                .options = options,
                                .columns = training->samples.columns,
                                .classes = (int)training->shape[2],
                                .batch = 256,
                                .shards = 8,
                                .threads = atoi(arguments[3])};
    const char *colon = strchr(arguments[4], ':');
    context.seed = colon ? (uint64_t)atoll(arguments[4]) : 0;
    const uint64_t end = context.seed + (uint64_t)atoll(colon ? colon + 1 : arguments[4]);
    for (; context.seed < end; context.seed++)
        WS_TRY(fit_seed(world, model, &context, training, test, out));
    return WS_OK;
}

int main(int count, char **arguments)
{
    ws_comm world;
    ws_arena *arena = NULL;
    matrix training = {0}, test = {0};
    if (count < 7) {
        fputs("usage: fit_classical MODEL OPTIONS THREADS SEEDS TRAINING TEST [OUT]\n", stderr);
        return 2;
    }
    FILE *out = NULL;
    ws_err error = ws_cluster_start(&count, &arguments, true, &world);
    if (error == WS_OK)
        error = ws_arena_create(&arena, 1 << 16);
    if (error == WS_OK && count > 7 && world.rank == 0 && !(out = fopen(arguments[7], "wb")))
        error = WS_ERROR(IO, "%s: cannot be written", arguments[7]);
    if (error == WS_OK)
        error = fit(&world, arguments, arena, &training, &test, out);
    if (out && fclose(out) != 0 && error == WS_OK)
        error = WS_ERROR(IO, "%s: cannot be written", arguments[7]);
    if (error != WS_OK)
        ws_error_print(error, true);
    free(training.file);
    free(test.file);
    ws_arena_destroy(&arena);
    ws_cluster_stop();
    return error == WS_OK ? 0 : 1;
}
