/* Scoring rows over ranks and threads, or over ranks and their GPUs. Rows are cut into blocks of a fixed number of rows, the last one
 * padded with zeros; a block is scored alone, by whichever rank and thread has it. Where a model says that a row's score does not
 * depend on the other rows, blocks are as long as the work can be shared. */
#include <math.h>
#include <stdlib.h>
#include "train/internal.h"

typedef struct scoring {
    const ws_learned *learned;
    const ws_samples *samples;
    uint64_t block_rows; /* a multiple of WS_SCORE_ROWS */
    uint64_t first, end; /* blocks of this rank */
    int width;
    bool on_device;
    int device;                               /* the rank's */
    ws_place place;                           /* of it; not opened where scores are made on the CPU */
    ws_real *parameters;                      /* in it */
    ws_executor **executors;                  /* [threads] */
    ws_samples last;                          /* the last block, filled up with zeros */
    void *padding[1 + 2 * WS_SEQUENCE_KINDS]; /* its memory */
    float *block_out;                         /* [threads][block][width] */
    float *out;                               /* [rows of this rank][width] */
    ws_err *errors;                           /* [threads] */
    uint8_t *block_unsolved;                  /* [threads][block][width], as in ws_scoring */
    uint64_t *unsolved;                       /* [threads][width + 1] rows so marked, and rows so marked in any score */
    ws_progress *progress;
} scoring;

/* Rows [begin, begin + rows) of the samples, without what scores must not know. */
static ws_samples block_of(const ws_samples *all, uint64_t begin, uint64_t rows)
{
    ws_samples block = {.rows = rows, .columns = all->columns, .values = all->values + begin * (uint64_t)all->columns};
    for (int k = 0; k < WS_SEQUENCE_KINDS; k++) {
        const ws_sequence *from = &all->sequence[k];
        if (from->tokens > 0)
            block.sequence[k] = (ws_sequence){from->tokens, from->columns,
                                              from->values + begin * (uint64_t)from->tokens * (uint64_t)from->columns,
                                              from->length + begin};
    }
    return block;
}

static void count_unsolved(const scoring *s, uint64_t rows, const uint8_t *unsolved, uint64_t *counts)
{
    for (uint64_t r = 0; r < rows; r++, unsolved += s->width) {
        bool any = false;
        for (int k = 0; k < s->width; k++) {
            counts[k] += unsolved[k];
            any = any || unsolved[k];
        }
        counts[s->width] += any;
    }
}

static ws_err score_rows(const scoring *s, const ws_samples *block, int thread, float *out, uint8_t *unsolved)
{
    const ws_learned *learned = s->learned;
    if (learned->plan) {
        ws_scoring job = {s->executors[thread],
                          s->on_device ? s->parameters : learned->parameters,
                          &learned->arrays,
                          block,
                          out,
                          unsolved,
                          learned->calibrating};
        memset(unsolved, 0, block->rows * (size_t)s->width * sizeof *unsolved);
        WS_TRY(learned->model->network->score(learned->context, &job));
        return ws_executor_wait(s->executors[thread]); /* with a device's faults */
    }
    for (size_t i = 0; i < block->rows * (size_t)s->width && learned->arrays.undefined; i++)
        out[i] = NAN;
    if (learned->arrays.undefined)
        return WS_OK;
    return learned->model->classical->score(learned->context, &learned->arrays, block->rows, block->values, out);
}

static void score_block(void *context, int index, int thread)
{
    scoring *s = context;
    uint64_t begin = (s->first + (uint64_t)index) * s->block_rows, left = s->samples->rows - begin;
    uint64_t rows = left < s->block_rows ? left : s->block_rows;
    ws_samples block = rows < s->block_rows ? s->last : block_of(s->samples, begin, s->block_rows);
    size_t width = (size_t)s->width, at = (size_t)thread * s->block_rows * width;
    float *out = s->block_out + at;
    uint8_t *unsolved = s->block_unsolved + at;
    if (s->errors[thread] != WS_OK || ws_stop_requested())
        return;
    s->errors[thread] = score_rows(s, &block, thread, out, unsolved);
    count_unsolved(s, rows, unsolved, s->unsolved + (size_t)thread * (width + 1));
    memcpy(s->out + (uint64_t)index * s->block_rows * width, out, rows * width * sizeof *out);
    if (thread == 0)
        ws_progress_update(s->progress, (double)(begin + rows), NULL);
}

/* A copy of `bytes` bytes filled up with zeros to `padded`. */
static ws_err pad(void **memory, const void *from, size_t bytes, size_t padded)
{
    WS_TRY(ws_alloc(memory, 1, padded));
    memcpy(*memory, from, bytes);
    return WS_OK;
}

static ws_err make_last(scoring *s)
{
    const ws_samples *all = s->samples;
    const uint64_t rows = all->rows % s->block_rows, begin = all->rows - rows;
    size_t bytes = (size_t)all->columns * sizeof *all->values;
    void **memory = s->padding;
    if (rows == 0)
        return WS_OK;
    s->last = block_of(all, begin, s->block_rows);
    WS_TRY(pad(memory, s->last.values, rows * bytes, s->block_rows * bytes));
    s->last.values = *memory++;
    for (int k = 0; k < WS_SEQUENCE_KINDS; k++) {
        ws_sequence *sequence = &s->last.sequence[k];
        if (sequence->tokens == 0)
            continue;
        bytes = (size_t)sequence->tokens * (size_t)sequence->columns * sizeof *sequence->values;
        WS_TRY(pad(memory, sequence->values, rows * bytes, s->block_rows * bytes));
        sequence->values = *memory++;
        bytes = sizeof *sequence->length;
        WS_TRY(pad(memory, sequence->length, rows * bytes, s->block_rows * bytes));
        sequence->length = *memory++;
    }
    return WS_OK;
}

static ws_err open_device(scoring *s)
{
    const size_t extent = ws_plan_parameter_extent(s->learned->plan);
    WS_TRY(ws_place_open(&s->place, WS_CUDA, s->device));
    WS_TRY(ws_place_allocate(&s->place, &s->parameters, extent));
    ws_place_upload(&s->place, s->parameters, s->learned->parameters, extent);
    return ws_place_wait(&s->place);
}

static void close_device(scoring *s)
{
    if (!s->place.device)
        return;
    ws_place_release(&s->place, &s->parameters);
    ws_place_close(&s->place);
}

static ws_err make_room(scoring *s, int threads, uint64_t own_rows)
{
    size_t width = (size_t)s->width, n = (size_t)threads;
    WS_TRY(WS_NEW_ARRAY(s->executors, n));
    WS_TRY(WS_NEW_ARRAY(s->block_out, n * s->block_rows * width));
    WS_TRY(WS_NEW_ARRAY(s->errors, n));
    WS_TRY(WS_NEW_ARRAY(s->block_unsolved, n * s->block_rows * width));
    WS_TRY(WS_NEW_ARRAY(s->unsolved, n * (width + 1)));
    WS_TRY(WS_NEW_ARRAY(s->out, own_rows * width));
    WS_TRY(make_last(s));
    if (s->on_device) {
        WS_TRY(open_device(s));
        return ws_executor_create_at(&s->executors[0], s->learned->plan, &s->place);
    }
    for (size_t t = 0; t < n && s->learned->plan; t++)
        WS_TRY(ws_executor_create(&s->executors[t], s->learned->plan));
    return WS_OK;
}

static ws_err score_own(scoring *s, int threads, uint64_t own_rows)
{
    ws_shard_threads *pool = NULL;
    WS_TRY(make_room(s, threads, own_rows));
    WS_TRY(ws_shard_threads_create(&pool, threads));
    ws_shard_threads_run(pool, 0, (int)(s->end - s->first), score_block, s);
    ws_shard_threads_destroy(&pool);
    for (int t = 0; t < threads; t++)
        if (s->errors[t] != WS_OK)
            return ws_error_set(s->errors[t], "scoring: a thread failed", "", "");
    return WS_OK;
}

/* Over all threads and ranks, to the first thread's counts; with a warning. */
static ws_err sum_unsolved_all(const ws_comm *comm, const scoring *s, int threads, const char *title)
{
    size_t counts = (size_t)s->width + 1;
    for (size_t t = 1; t < (size_t)threads; t++)
        for (size_t k = 0; k < counts; k++)
            s->unsolved[k] += s->unsolved[t * counts + k];
    WS_TRY(ws_sum_u64_all(comm, s->unsolved, counts));
    if (s->unsolved[s->width] > 0 && comm->rank == 0)
        ws_warn("%s: %llu of %llu rows needed shorter steps than model.solver_limit allows; raise it, or the tolerance",
                title, (unsigned long long)s->unsolved[s->width], (unsigned long long)s->samples->rows);
    return WS_OK;
}

static int width_of(const ws_learned *learned)
{
    const ws_network *network = learned->model->network;
    return learned->calibrating && network->calibration_width ? network->calibration_width(learned->context)
                                                              : ws_model_width(learned->model, learned->context);
}

static uint64_t block_rows_of(const ws_comm *comm, const ws_learned *learned, uint64_t rows)
{
    const uint64_t most = learned->model->classical ? learned->model->classical->score_rows : 0;
    const uint64_t workers = (uint64_t)comm->size * (uint64_t)learned->context->threads;
    const uint64_t share = (rows + workers - 1) / workers;
    if (most == 0 || share == 0)
        return WS_SCORE_ROWS;
    const uint64_t blocks = (share + most - 1) / most, rows_of_one = (share + blocks - 1) / blocks;
    return WS_SCORE_ROWS * ((rows_of_one + WS_SCORE_ROWS - 1) / WS_SCORE_ROWS);
}

ws_err ws_score_all(const ws_comm *comm, const ws_learned *learned, const ws_samples *samples, const char *title,
                    float **out, uint64_t **unsolved)
{
    scoring s = {.learned = learned,
                 .samples = samples,
                 .block_rows = block_rows_of(comm, learned, samples->rows),
                 .width = width_of(learned),
                 .on_device = learned->plan && learned->device != WS_CPU};
    const int threads = s.on_device ? 1 : learned->context->threads;
    uint64_t blocks = (samples->rows + s.block_rows - 1) / s.block_rows, own_rows;
    size_t bytes = 0;
    bool stop = false;
    char name[128];
    if (s.on_device)
        WS_TRY(ws_device_choose_all(comm, &s.device, name));
    ws_even_split(blocks, comm->size, comm->rank, &s.first, &s.end);
    own_rows = s.end * s.block_rows < samples->rows ? s.end * s.block_rows : samples->rows;
    own_rows -= s.first * s.block_rows < own_rows ? s.first * s.block_rows : own_rows;
    ws_err error = ws_agree_all(comm, ws_progress_start(&s.progress, comm, title, "rows", (double)own_rows));
    if (error == WS_OK)
        error = ws_agree_all(comm, score_own(&s, threads, own_rows));
    ws_progress_finish(&s.progress);
    if (error == WS_OK)
        error = sum_unsolved_all(comm, &s, threads, title);
    if (error == WS_OK)
        error = ws_any_all(comm, ws_stop_requested(), &stop);
    if (error == WS_OK && stop)
        error = WS_ERROR(INTERRUPTED, "scoring stopped; the same command with --resume goes on");
    if (error == WS_OK)
        error = ws_gather_all(comm, s.out, own_rows * (size_t)s.width * sizeof *s.out, (void **)out, &bytes, NULL);
    for (int t = 0; s.executors && t < threads; t++)
        ws_executor_destroy(&s.executors[t]);
    close_device(&s);
    free(s.executors);
    for (size_t i = 0; i < sizeof s.padding / sizeof *s.padding; i++)
        free(s.padding[i]);
    free(s.block_out);
    free(s.errors);
    free(s.block_unsolved);
    if (error == WS_OK && unsolved)
        *unsolved = s.unsolved;
    else
        free(s.unsolved);
    free(s.out);
    WS_TRY(error);
    return WS_OK;
}
