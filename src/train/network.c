/* The data-parallel loop. The global batch is cut into gradient shards; each rank owns a contiguous run of them, its
 * threads share that run, and a shard's gradient is computed alone at its own shape. Gradients are summed over one
 * fixed tree, so every rank makes the same step to the bit, for any number of ranks and threads. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include "train/device.h"

enum { SKIPPED_IN_A_ROW = 100, VALIDATION_BATCHES = 16 };

/* What the ranks tell each other after every step, beside the gradients. */
typedef struct report {
    int64_t stop, failed;
    double losses[]; /* [most shards a rank owns] */
} report;

typedef struct loop {
    const ws_network_training *training;
    ws_network_state *state;
    const ws_comm *comm;
    int shards, first, end, most; /* own shards [first, end); the most any rank has */
    ws_shard_threads *threads;
    ws_on_device *device;    /* NULL: on the CPU, with what follows */
    ws_executor **executors; /* [threads] */
    ws_tree_room *sums;      /* of gradients */
    float *const *gradients; /* [own shards][extent], in sums */
    ws_real *gradient;       /* [extent] their sum over all ranks, in sums */
    double *losses;          /* [shards] */
    report *own, *all;       /* one report; [ranks] reports */
    size_t report_bytes;
    ws_batches *batches, *running; /* of training; those that run_shard takes from: these, or of validation */
    uint64_t seed, step;           /* of the running batch */
    const ws_real *parameters;     /* in use by run_shard */
    bool with_gradients;
    double flops, peak; /* of a step; of all cores at work, a second */
    FILE *log;
    ws_progress *progress;
    uint64_t skipped_in_a_row;
} loop;

/* ---- making and unmaking ---- */

static ws_err make_executors(loop *l)
{
    const ws_network_training *t = l->training;
    size_t threads = (size_t)t->options->threads, own = (size_t)(l->end - l->first);
    WS_TRY(ws_shard_threads_create(&l->threads, (int)threads));
    if (t->options->device != WS_CPU)
        return WS_OK;
    WS_TRY(WS_NEW_ARRAY(l->executors, threads));
    for (size_t i = 0; i < threads && i < own; i++)
        WS_TRY(ws_executor_create(&l->executors[i], l->state->plan));
    return WS_OK;
}

static ws_err make_batches(const loop *l, const ws_samples *samples, uint64_t seed, bool ahead, ws_batches **out)
{
    ws_batches_options options = {.comm = l->comm,
                                  .model = l->state->model,
                                  .context = l->state->context,
                                  .samples = samples,
                                  .plan = l->state->plan,
                                  .threads = l->threads,
                                  .first = l->first,
                                  .end = l->end,
                                  .seed = seed,
                                  .ahead = ahead};
    return ws_batches_create(out, &options);
}

/* What a step costs, and what the cores at work could do at most. */
static void find_ceiling(loop *l)
{
    int64_t cores = 0;
    for (int rank = 0; rank < l->comm->size; rank++) {
        uint64_t first, end;
        ws_even_split((uint64_t)l->shards, l->comm->size, rank, &first, &end);
        int64_t threads = l->training->options->threads, own = (int64_t)(end - first);
        cores += own < threads ? own : threads;
    }
    l->flops = ws_plan_flops(l->state->plan, true) * l->shards;
    l->peak = ws_multiply_add_peak() * (double)cores;
}

static ws_err open_log(loop *l)
{
    if (l->comm->rank != 0 || !l->training->directory)
        return WS_OK;
    char *path = ws_path_join(l->training->directory, "metrics.jsonl");
    WS_CHECK(path, MEMORY, "no memory for a path");
    l->log = fopen(path, "a");
    ws_err error = l->log ? WS_OK : WS_ERROR(IO, "%s: cannot be written: %s", path, strerror(errno));
    free(path);
    return error;
}

static ws_err loop_create(loop *l, const ws_network_training *training, ws_network_state *state)
{
    const ws_model_context *context = state->context;
    uint64_t first, end;
    *l = (loop){.training = training, .state = state, .comm = training->comm, .shards = context->shards};
    ws_even_split((uint64_t)l->shards, l->comm->size, l->comm->rank, &first, &end);
    l->first = (int)first;
    l->end = (int)end;
    l->most = (l->shards + l->comm->size - 1) / l->comm->size;
    l->report_bytes = sizeof(report) + (size_t)l->most * sizeof(double);
    WS_CHECK(training->training->rows > 0, CONFIG, "there are no training rows");
    WS_TRY(make_executors(l));
    WS_TRY(WS_NEW_ARRAY(l->losses, (size_t)l->shards));
    WS_TRY(ws_alloc(&l->own, 1, l->report_bytes));
    WS_TRY(ws_alloc(&l->all, (size_t)l->comm->size, l->report_bytes));
    WS_TRY(make_batches(l, training->training, context->seed, training->options->prepare_ahead, &l->batches));
    if (l->comm->rank == 0)
        find_ceiling(l);
    return open_log(l);
}

static void loop_destroy(loop *l)
{
    ws_batches_destroy(&l->batches);
    ws_on_device_destroy(&l->device);
    ws_shard_threads_destroy(&l->threads);
    for (int64_t i = 0; l->executors && i < l->training->options->threads; i++)
        ws_executor_destroy(&l->executors[i]);
    ws_tree_room_destroy(&l->sums);
    free(l->executors);
    free(l->losses);
    free(l->own);
    free(l->all);
    ws_progress_finish(&l->progress);
    if (l->log)
        fclose(l->log);
}

/* ---- one pass over the shards ---- */

static void run_shard(void *context, int shard, int thread)
{
    loop *l = context;
    ws_executor *executor = l->executors[thread];
    ws_batches_fill(l->running, shard, executor);
    if (l->with_gradients)
        ws_executor_set_random(executor, l->seed, l->step,
                               (uint64_t)shard << 32); /* a plan may have more rows than the shard */
    else
        ws_executor_set_calm(executor);
    ws_executor_forward(executor, l->parameters);
    l->own->losses[shard - l->first] = ws_executor_loss(executor);
    if (l->with_gradients)
        ws_executor_backward(executor, l->parameters, l->gradients[shard - l->first]);
}

/* ---- a batch ---- */

/* The current batch on this rank. early: what a device may step with as gradients arrive, or NULL. */
static ws_err run_own_shards(loop *l, bool averaged, bool with_gradients, const ws_update *early)
{
    l->parameters = averaged ? l->state->average : l->state->parameters;
    l->with_gradients = with_gradients;
    if (l->device) {
        WS_TRY(ws_on_device_run(l->device, l->running, averaged, with_gradients, l->seed, l->step, early));
        return ws_on_device_finish(l->device, l->own->losses);
    }
    ws_shard_threads_run(l->threads, l->first, l->end, run_shard, l);
    return WS_OK;
}

/* A rank failed: none steps. */
static ws_err give_up_all(loop *l, ws_err error)
{
    ws_on_device_abort(l->device);
    ws_on_device_undo(l->device);
    return ws_agree_all(l->comm, error);
}

/* Runs the current batch of l->running; *loss is its mean loss and *stop a wish of any rank to stop, the same on every rank. */
static ws_err run_batch(loop *l, bool averaged, bool with_gradients, const ws_update *early, double *loss, bool *stop)
{
    ws_err error = run_own_shards(l, averaged, with_gradients, early);
    l->own->stop = ws_stop_requested();
    l->own->failed = error != WS_OK;
    WS_TRY(ws_gather_equal_all(l->comm, l->own, l->report_bytes, l->all));
    bool failed = false;
    for (int rank = 0; rank < l->comm->size; rank++)
        failed = failed || ((const report *)((const char *)l->all + (size_t)rank * l->report_bytes))->failed > 0;
    if (failed)
        return give_up_all(l, error);
    *stop = false;
    for (int rank = 0; rank < l->comm->size; rank++) {
        const report *r = (const report *)((const char *)l->all + (size_t)rank * l->report_bytes);
        uint64_t begin, end;
        ws_even_split((uint64_t)l->shards, l->comm->size, rank, &begin, &end);
        memcpy(l->losses + begin, r->losses, (end - begin) * sizeof *r->losses);
        *stop = *stop || r->stop > 0;
    }
    *loss = 0;
    for (int s = 0; s < l->shards; s++)
        *loss += l->losses[s];
    *loss /= l->shards;
    return WS_OK;
}

/* ---- a step ---- */

/* The step's numbers were not finite: an error, or nothing happens to the parameters. */
static ws_err pass_over(loop *l, double loss, double norm)
{
    ws_network_state *s = l->state;
    if (l->training->options->on_nonfinite == WS_NONFINITE_STOP || l->skipped_in_a_row == SKIPPED_IN_A_ROW) {
        const char *else_what = isfinite(loss) && isfinite(norm) ? ", and statistics that are not finite" : "";
        ws_err error =
            WS_ERROR(NUMERIC, "training: step %llu has loss %g and gradient norm %g%s", (unsigned long long)s->step,
                     isnan(loss) ? NAN : loss, isnan(norm) ? NAN : norm, else_what);
        WS_HINT("lower train.learning_rate, or %s train.clip; \"on_nonfinite\": \"skip\" leaves out single steps",
                l->training->options->clip > 0 ? "lower" : "set");
        return error;
    }
    s->skipped++;
    l->skipped_in_a_row++;
    return WS_OK;
}

/* The gradients of this step in l->gradient, or in the device, and their norms: of gradients and of statistics. */
static ws_err find_norms(loop *l, double *norm, double *of_statistics)
{
    const ws_network_state *s = l->state;
    size_t trained = ws_plan_trained_extent(s->plan);
    if (l->device) {
        ws_on_device_norms(l->device, norm, of_statistics);
    } else {
        WS_TRY(ws_tree_room_sum_all(l->sums));
        *norm = ws_gradient_norm(l->gradient, trained);
        *of_statistics = ws_gradient_norm(l->gradient + trained, s->extent - trained);
    }
    *norm /= l->shards;
    return WS_OK;
}

static void step_on_cpu(const loop *l, const ws_update *u)
{
    ws_network_state *s = l->state;
    if (u->descent)
        ws_sgd_step(s->plan, u->adamw.weight_decay, u->rate, u->scale, s->parameters, l->gradient);
    else
        ws_adamw_step(s->plan, &u->adamw, u->rate, u->scale, u->step, s->parameters, l->gradient, s->first_moment,
                      s->second_moment);
    ws_statistics_step(s->plan, 1.0 / l->shards, s->parameters, l->gradient);
    ws_ema_step(u->average_decay, s->average, s->parameters, s->extent);
}

static ws_update next_update(const loop *l)
{
    const ws_train_options *o = l->training->options;
    const ws_network_state *s = l->state;
    uint64_t warmup = (uint64_t)o->warmup, tenth = (uint64_t)o->steps / 10;
    double early = (1 + (double)s->step) / (10 + (double)s->step); /* early averages forget the starting point faster */
    return (ws_update){
        .descent = o->optimiser == WS_OPTIMISER_SGD,
        .adamw = {o->beta1, o->beta2, o->epsilon, o->weight_decay},
        .rate = ws_cosine_schedule(o->learning_rate, o->minimum_learning_rate, warmup < tenth ? warmup : tenth,
                                   (uint64_t)o->steps, s->step),
        .scale = 1.0 / l->shards,
        .statistics_scale = 1.0 / l->shards,
        .average_decay = early < o->ema ? early : o->ema,
        .step = s->step - s->skipped + 1,
    };
}

static ws_err make_step(loop *l, double *norm, double *rate, bool *stop)
{
    const ws_train_options *o = l->training->options;
    ws_network_state *s = l->state;
    double loss, of_statistics;
    ws_update update = next_update(l);
    const bool early = l->device && o->clip == 0;
    *rate = update.rate;
    l->running = l->batches;
    l->seed = s->context->seed;
    l->step = s->step;
    WS_TRY(ws_batches_take_all(l->batches, s->step, s->step + 1 == (uint64_t)o->steps));
    WS_TRY(run_batch(l, false, true, early ? &update : NULL, &loss, stop));
    WS_TRY(find_norms(l, norm, &of_statistics));
    s->loss = loss;
    if (!isfinite(loss) || !isfinite(*norm) || !isfinite(of_statistics)) {
        if (l->device)
            ws_on_device_undo(l->device);
        WS_TRY(pass_over(l, loss, *norm));
    } else {
        l->skipped_in_a_row = 0;
        update.scale = (o->clip > 0 && *norm > o->clip ? o->clip / *norm : 1) / l->shards;
        if (!l->device)
            step_on_cpu(l, &update);
        else if (!early)
            ws_on_device_step(l->device, &update);
    }
    s->step++;
    return WS_OK;
}

/* ---- validation: the loss of the averaged parameters on a fixed sample, with fixed random numbers ---- */

static ws_err validate(loop *l, double *loss)
{
    const ws_samples *samples = l->training->validation;
    uint64_t batch = (uint64_t)l->state->context->batch, batches = (samples->rows + batch - 1) / batch;
    double sum = 0;
    bool stop;
    batches = batches < VALIDATION_BATCHES ? batches : VALIDATION_BATCHES;
    l->seed = ws_mix64(l->state->context->seed + 1);
    l->running = NULL;
    ws_err error = ws_agree_all(l->comm, make_batches(l, samples, l->seed, false, &l->running));
    for (uint64_t b = 0; b < batches && error == WS_OK; b++) {
        double one = 0;
        l->step = b;
        error = ws_batches_take_all(l->running, b, b + 1 == batches);
        if (error == WS_OK)
            error = run_batch(l, true, false, NULL, &one, &stop);
        sum += one;
    }
    ws_batches_destroy(&l->running);
    *loss = sum / (double)batches;
    return error;
}

typedef char number_text[32];

/* JSON has no word for what is not finite but null. */
static const char *number(double value, number_text out)
{
    if (isfinite(value))
        snprintf(out, sizeof(number_text), "%.9g", value);
    return isfinite(value) ? out : "null";
}

static ws_err validate_and_keep_best(loop *l)
{
    const ws_network_training *t = l->training;
    ws_network_state *s = l->state;
    double loss = NAN;
    number_text text;
    WS_TRY(validate(l, &loss));
    if (l->log)
        fprintf(l->log, "{\"step\":%llu,\"validation_loss\":%s}\n", (unsigned long long)s->step, number(loss, text));
    if (!(loss < s->best_loss))
        return WS_OK;
    s->best_loss = loss;
    s->best_step = s->step;
    ws_err error = l->device ? ws_on_device_download(l->device) : WS_OK;
    if (error == WS_OK && l->comm->rank == 0 && t->directory) {
        char *path = ws_checkpoint_best_path(t->directory);
        error = path ? ws_checkpoint_write(path, s, t->config_text) : WS_ERROR(MEMORY, "no memory for a path");
        free(path);
    }
    WS_AGREE(l->comm, error);
    return WS_OK;
}

/* ---- the loop ---- */

static void write_log(loop *l, double norm, double rate, double seconds)
{
    const ws_network_state *s = l->state;
    char detail[160];
    number_text loss_text, norm_text;
    double per_second = (double)s->context->batch / seconds, flops = l->flops / seconds;
    snprintf(detail, sizeof detail, "loss %.4g  |g| %.3g  lr %.2e  %.1f ms  %.0f rows/s  %.1f GFLOP/s, %.0f %% of peak",
             s->loss, norm, rate, seconds * 1e3, per_second, flops / 1e9, l->peak > 0 ? 100 * flops / l->peak : 0);
    ws_progress_update(l->progress, (double)s->step, detail);
    if (!l->log || (s->step % (uint64_t)l->training->options->log_every != 0 && s->step != 1))
        return;
    fprintf(l->log,
            "{\"step\":%llu,\"loss\":%s,\"grad_norm\":%s,\"learning_rate\":%.9g,\"ms\":%.4g,"
            "\"samples_per_second\":%.6g,\"gflop_per_second\":%.6g,\"of_peak\":%.4g}\n",
            (unsigned long long)s->step, number(s->loss, loss_text), number(norm, norm_text), rate, seconds * 1e3,
            per_second, flops / 1e9, l->peak > 0 ? flops / l->peak : 0);
    fflush(l->log);
}

static ws_err save(loop *l)
{
    const ws_network_training *t = l->training;
    ws_err error = l->device ? ws_on_device_download(l->device) : WS_OK;
    if (l->log)
        fflush(l->log);
    if (error == WS_OK && l->comm->rank == 0 && t->directory)
        error = ws_checkpoint_save(t->directory, l->state, t->config_text, t->options->keep);
    WS_AGREE(l->comm, error);
    return WS_OK;
}

/* Early stopping: so many validations in a row were not better than the best one. Known from what checkpoints hold, so a run that
 * goes on decides the same. */
static bool has_stopped_improving(const loop *l)
{
    const ws_train_options *o = l->training->options;
    const ws_network_state *s = l->state;
    return o->patience > 0 && s->best_step > 0 && s->step % (uint64_t)o->validate_every == 0 &&
           s->step - s->best_step >= (uint64_t)o->patience * (uint64_t)o->validate_every;
}

/* GPUs could not do a step: what they had done before it is kept, where they still answer. */
static ws_err keep_completed(loop *l, ws_err error)
{
    char message[512], hint[512];
    snprintf(message, sizeof message, "%s", ws_error_message());
    snprintf(hint, sizeof hint, "%s", ws_error_hint());
    const bool saved = save(l) == WS_OK && l->training->directory;
    ws_error_clear();
    error = ws_error_raise(error, __FILE__, __LINE__, __func__, "training: step %llu of %lld could not be done: %s",
                           (unsigned long long)l->state->step + 1, (long long)l->training->options->steps, message);
    if (hint[0] != '\0')
        WS_HINT("%s", hint);
    if (saved)
        WS_HINT("the same command with --resume goes on after step %llu, whose checkpoint is kept",
                (unsigned long long)l->state->step);
    return error;
}

static ws_err run_steps(loop *l)
{
    const ws_train_options *o = l->training->options;
    ws_network_state *s = l->state;
    bool stop = false;
    double started = ws_clock_seconds(), before = s->seconds;
    while (s->step < (uint64_t)o->steps && !has_stopped_improving(l)) {
        double norm = 0, rate = 0, begin = ws_clock_seconds();
        ws_err error = make_step(l, &norm, &rate, &stop);
        if (l->device && (error == WS_E_NCCL || error == WS_E_CUDA))
            error = keep_completed(l, error);
        WS_TRY(error);
        double now = ws_clock_seconds();
        s->seconds = before + (now - started);
        write_log(l, norm, rate, now - begin);
        bool last = s->step == (uint64_t)o->steps;
        if (o->validate_every > 0 && l->training->validation->rows > 0 &&
            (last || s->step % (uint64_t)o->validate_every == 0))
            WS_TRY(validate_and_keep_best(l));
        if (has_stopped_improving(l)) {
            last = true;
            ws_info("no better validation loss since step %llu: training ends at step %llu of %lld",
                    (unsigned long long)s->best_step, (unsigned long long)s->step, (long long)o->steps);
        }
        if (last || stop || s->step % (uint64_t)o->checkpoint_every == 0)
            WS_TRY(save(l));
        if (stop) {
            error = WS_ERROR(INTERRUPTED, "training stopped after step %llu of %lld, with a checkpoint",
                             (unsigned long long)s->step, (long long)o->steps);
            WS_HINT("the same command with --resume goes on");
            return error;
        }
    }
    return WS_OK;
}

static ws_err open_device_all(loop *l)
{
    const ws_train_options *options = l->training->options;
    if (options->device == WS_CPU)
        return WS_OK;
    const ws_on_device_options device = {l->comm, options, l->state, l->shards, l->first, l->end};
    WS_TRY(ws_on_device_create_all(&l->device, &device));
    ws_info("training on %d x %s", l->comm->size, ws_on_device_name(l->device));
    l->peak = 0; /* of the CPU's cores */
    return WS_OK;
}

static ws_err open_sums_all(loop *l)
{
    if (l->training->options->device != WS_CPU)
        return WS_OK;
    WS_TRY(ws_tree_room_create_all(&l->sums, l->comm, l->shards, l->state->extent));
    l->gradients = ws_tree_room_shards(l->sums);
    l->gradient = ws_tree_room_result(l->sums);
    return WS_OK;
}

ws_err ws_network_train_all(const ws_network_training *training, ws_network_state *state)
{
    loop l;
    ws_err error = ws_agree_all(training->comm, loop_create(&l, training, state));
    if (error == WS_OK)
        error = open_sums_all(&l);
    if (error == WS_OK)
        error = open_device_all(&l);
    if (error == WS_OK)
        error = ws_agree_all(
            l.comm, ws_progress_start(&l.progress, l.comm, "train", "steps", (double)training->options->steps));
    if (error == WS_OK) {
        ws_progress_continue(l.progress, (double)state->step);
        error = run_steps(&l);
        if (error == WS_OK && l.device)
            error = ws_agree_all(l.comm, ws_on_device_download(l.device));
    }
    loop_destroy(&l);
    WS_TRY(error);
    return WS_OK;
}
