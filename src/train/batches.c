/* Batches for the training loop (batches.h): rows, plans and inputs, made ahead in the background. */
#include "train/batches.h"

#include <stdlib.h>

enum { WINDOWS_A_THREAD = 4 }; /* plans a thread makes for a window, so that few exchanges are needed */

/* Which row of the samples comes at each position: one shuffle after the other, without end. */
typedef struct row_stream {
    uint64_t seed, rows, epoch;
    uint64_t *order; /* of `epoch` */
    bool valid;
} row_stream;

static void take_rows(row_stream *stream, uint64_t first, uint64_t count, uint64_t *rows)
{
    for (uint64_t i = 0; i < count; i++) {
        uint64_t epoch = (first + i) / stream->rows;
        if (!stream->valid || epoch != stream->epoch) {
            ws_random_permutation(stream->seed, WS_RANDOM_SHUFFLE, epoch, stream->order, stream->rows);
            stream->epoch = epoch;
            stream->valid = true;
        }
        rows[i] = stream->order[(first + i) % stream->rows];
    }
}

/* Plans of the steps [begin, begin + count); rank r makes those from begin + r * own on. */
typedef struct window {
    uint64_t begin;
    char *all; /* [count][bytes] */
    bool valid;
} window;

/* The inputs of this rank's shards at a step. */
typedef struct staged {
    uint64_t step;
    const void *plan;
    uint64_t *rows;        /* [batch] */
    ws_executor **inputs;  /* [own shards] */
    bool rows_known, full; /* full: the inputs are filled */
} staged;

struct ws_batches {
    ws_batches_options options;
    uint64_t batch;
    row_stream stream, plan_stream; /* of the batches themselves, and of plans, which run ahead */
    size_t plan_bytes;              /* 0: the model plans nothing */
    uint64_t own, count;            /* plans of a window: of this rank, of all */
    window now, next;
    char *own_plans; /* [own][bytes] of the window that is being made */
    uint64_t own_begin, own_done;
    uint64_t *plan_rows; /* [own][batch] */
    void **scratches;    /* [threads] */
    int threads;
    staged current, coming;
    ws_background *background;
};

/* ---- plans ---- */

static void plan_one(ws_batches *b, uint64_t index, int thread)
{
    const ws_network *network = b->options.model->network;
    ws_batch batch = {.seed = b->options.seed,
                      .step = b->own_begin + (uint64_t)b->options.comm->rank * b->own + index,
                      .samples = b->options.samples,
                      .rows = b->plan_rows + index * b->batch};
    network->plan_batch(b->options.context, &batch, b->scratches[thread], b->own_plans + index * b->plan_bytes);
}

/* Begins this rank's plans of the window at `begin`: the rows are looked up, nothing is planned yet. */
static void begin_window(ws_batches *b, uint64_t begin)
{
    uint64_t first = begin + (uint64_t)b->options.comm->rank * b->own;
    b->own_begin = begin;
    b->own_done = 0;
    take_rows(&b->plan_stream, first * b->batch, b->own * b->batch, b->plan_rows);
}

static void plan_shard(void *context, int index, int thread)
{
    plan_one(context, (uint64_t)index, thread);
}

/* Ends what is not planned yet and exchanges the plans. */
static ws_err end_window(ws_batches *b, window *w)
{
    ws_shard_threads_run(b->options.threads, (int)b->own_done, (int)b->own, plan_shard, b);
    b->own_done = b->own;
    w->begin = b->own_begin;
    WS_TRY(ws_gather_equal_all(b->options.comm, b->own_plans, b->own * b->plan_bytes, w->all));
    w->valid = true;
    return WS_OK;
}

static bool holds(const ws_batches *b, const window *w, uint64_t step)
{
    return w->valid && step >= w->begin && step < w->begin + b->count;
}

static const void *plan_of(const ws_batches *b, uint64_t step)
{
    for (int i = 0; i < 2 && b->plan_bytes > 0; i++) {
        const window *w = i == 0 ? &b->now : &b->next;
        if (holds(b, w, step))
            return w->all + (step - w->begin) * b->plan_bytes;
    }
    return NULL;
}

/* Collective: sees to it that the plans of `step` are at hand. */
static ws_err find_plans(ws_batches *b, uint64_t step)
{
    if (b->plan_bytes == 0 || holds(b, &b->now, step))
        return WS_OK;
    if (!holds(b, &b->next, step)) {
        begin_window(b, step);
        WS_TRY(end_window(b, &b->next));
    }
    window old = b->now;
    b->now = b->next;
    b->next = old;
    b->next.valid = false;
    begin_window(b, b->now.begin + b->count);
    return WS_OK;
}

/* ---- inputs ---- */

static void fill_shard(const ws_batches *b, const staged *s, int shard, ws_executor *executor)
{
    ws_batch batch = {.seed = b->options.seed, .step = s->step, .samples = b->options.samples, .rows = s->rows};
    b->options.model->network->fill(b->options.context, &batch, s->plan, shard, executor);
}

/* In the background: a share of the next window's plans, then the inputs of the next step where its plan is known. */
static void work_ahead(void *context)
{
    ws_batches *b = context;
    staged *s = &b->coming;
    if (b->plan_bytes > 0) {
        uint64_t passed = s->step - b->now.begin, until = passed * b->own / (b->count - 1) + 1;
        for (; b->own_done < b->own && b->own_done < until; b->own_done++)
            plan_one(b, b->own_done, 0);
    }
    if (b->plan_bytes > 0 && !s->plan)
        return;
    for (int shard = b->options.first; shard < b->options.end; shard++)
        fill_shard(b, s, shard, s->inputs[shard - b->options.first]);
    s->full = true;
}

void ws_batches_fill(const ws_batches *b, int shard, ws_executor *executor)
{
    if (b->current.full)
        ws_executor_copy_inputs(executor, b->current.inputs[shard - b->options.first]);
    else
        fill_shard(b, &b->current, shard, executor);
}

static void start_coming(ws_batches *b, uint64_t step)
{
    b->coming.step = step;
    take_rows(&b->stream, step * b->batch, b->batch, b->coming.rows);
    b->coming.rows_known = true;
    b->coming.full = false;
    b->coming.plan = plan_of(b, step);
    ws_background_start(b->background, work_ahead, b);
}

ws_err ws_batches_take_all(ws_batches *b, uint64_t step, bool last)
{
    if (b->background)
        ws_background_wait(b->background);
    WS_TRY(find_plans(b, step));
    staged old = b->current;
    b->current = b->coming;
    b->coming = old;
    staged *s = &b->current;
    if (!s->rows_known || s->step != step) {
        s->step = step;
        take_rows(&b->stream, step * b->batch, b->batch, s->rows);
        s->full = false;
    }
    s->plan = plan_of(b, step);
    s->rows_known = true;
    if (!b->background || last)
        return WS_OK;
    /* The last step of a window: the plans of the next one are ready by now, and its first inputs can be filled. */
    if (b->plan_bytes > 0 && step + 1 == b->now.begin + b->count)
        WS_TRY(end_window(b, &b->next));
    start_coming(b, step + 1);
    return WS_OK;
}

/* ---- making and unmaking ---- */

static ws_err make_plans(ws_batches *b)
{
    const ws_network *network = b->options.model->network;
    b->plan_bytes = network->plan_bytes ? network->plan_bytes(b->options.context) : 0;
    if (b->plan_bytes == 0)
        return WS_OK;
    size_t threads = (size_t)b->threads;
    b->own = threads * WINDOWS_A_THREAD;
    b->count = b->own * (uint64_t)b->options.comm->size;
    b->plan_stream = (row_stream){.seed = b->options.seed, .rows = b->options.samples->rows};
    WS_TRY(WS_NEW_ARRAY(b->plan_stream.order, b->plan_stream.rows));
    WS_TRY(WS_NEW_ARRAY(b->own_plans, b->own * b->plan_bytes));
    WS_TRY(WS_NEW_ARRAY(b->now.all, b->count * b->plan_bytes));
    WS_TRY(WS_NEW_ARRAY(b->next.all, b->count * b->plan_bytes));
    WS_TRY(WS_NEW_ARRAY(b->plan_rows, b->own * b->batch));
    WS_TRY(WS_NEW_ARRAY(b->scratches, threads));
    for (size_t t = 0; t < threads; t++)
        WS_TRY(network->scratch_create(b->options.context, &b->scratches[t]));
    return WS_OK;
}

static ws_err make_staged(const ws_batches *b, staged *s)
{
    WS_TRY(WS_NEW_ARRAY(s->rows, b->batch));
    if (!b->options.ahead)
        return WS_OK;
    WS_TRY(WS_NEW_ARRAY(s->inputs, (size_t)(b->options.end - b->options.first) + 1));
    for (int k = 0; k < b->options.end - b->options.first; k++)
        WS_TRY(ws_executor_create_inputs(&s->inputs[k], b->options.plan));
    return WS_OK;
}

static ws_err make(ws_batches *b)
{
    b->stream = (row_stream){.seed = b->options.seed, .rows = b->options.samples->rows};
    WS_TRY(WS_NEW_ARRAY(b->stream.order, b->stream.rows));
    WS_TRY(make_plans(b));
    WS_TRY(make_staged(b, &b->current));
    WS_TRY(make_staged(b, &b->coming));
    if (b->options.ahead)
        WS_TRY(ws_background_create(&b->background));
    return WS_OK;
}

ws_err ws_batches_create(ws_batches **out, const ws_batches_options *options)
{
    WS_CHECK(options->samples->rows > 0, CONFIG, "there are no rows to make batches of");
    ws_batches *b;
    WS_TRY(WS_NEW(b));
    *out = b;
    b->options = *options;
    b->batch = (uint64_t)options->context->batch;
    b->threads = ws_shard_threads_count(options->threads);
    ws_err error = make(b);
    if (error != WS_OK)
        ws_batches_destroy(out);
    return error;
}

static void destroy_staged(const ws_batches *b, staged *s)
{
    for (int k = 0; s->inputs && k < b->options.end - b->options.first; k++)
        ws_executor_destroy(&s->inputs[k]);
    free(s->inputs);
    free(s->rows);
}

void ws_batches_destroy(ws_batches **batches)
{
    ws_batches *b = *batches;
    if (b == NULL)
        return;
    ws_background_destroy(&b->background);
    for (int t = 0; b->scratches && t < b->threads; t++)
        b->options.model->network->scratch_destroy(&b->scratches[t]);
    free(b->scratches);
    destroy_staged(b, &b->current);
    destroy_staged(b, &b->coming);
    free(b->stream.order);
    free(b->plan_stream.order);
    free(b->own_plans);
    free(b->now.all);
    free(b->next.all);
    free(b->plan_rows);
    free(b);
    *batches = NULL;
}
