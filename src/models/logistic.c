/* logistic: multinomial logistic regression on normalised columns, fitted to its unique optimum.
 *
 *     minimise  sum_i s_i (-ln p_i[label_i]) / S  +  |W|^2 / (2 C S),     p = softmax(W x + b),   S = sum_i s_i
 * with s_i = rows / (classes * rows of the class) when balanced, else 1; the bias is not penalised. L-BFGS in double
 * until the largest component of the gradient is below the tolerance. Rows are cut into the gradient shards, whose sums
 * run over the fixed tree, so the result has the same bits for any number of ranks and threads. A class without
 * training rows is never predicted.
 */
#include <math.h>
#include <stdlib.h>
#include "models/lbfgs.h"
#include "models/models.h"

enum { WEIGHT_BALANCED, WEIGHT_NONE };

typedef struct logistic_options {
    double inverse_regularisation;
    int class_weight;
    double gradient_tolerance;
    int64_t maximum_iterations, history;
} logistic_options;

static const ws_option fields[] = {
    WS_OPTION_DOUBLE(logistic_options, inverse_regularisation, 1, 1e-12, 1e12,
                     "C: the larger, the less the weights shrink"),
    WS_OPTION_ENUM(logistic_options, class_weight, "balanced", "balanced|none",
                   "balanced: every class counts the same"),
    WS_OPTION_DOUBLE(logistic_options, gradient_tolerance, 1e-6, 1e-12, 1, "largest gradient component at the end"),
    WS_OPTION_INT(logistic_options, maximum_iterations, 2000, 1, 1000000, "iterations of L-BFGS at most"),
    WS_OPTION_INT(logistic_options, history, 10, 1, 100, "pairs that L-BFGS remembers"),
    WS_OPTION_END};
static const ws_option_table options_table = {"model", sizeof(logistic_options), fields, "logistic"};

typedef struct logistic_problem {
    const ws_comm *comm;
    const ws_samples *samples;
    int classes, columns, shards, first_shard, end_shard;
    const double *class_weight; /* [classes] s_i */
    double penalty;             /* 1 / C S */
    double weight_sum;          /* S */
    const double *point;        /* [classes][columns + 1], bias last */
    size_t count;               /* classes * (columns + 1) */
    double **partial;           /* [own shards][count + 1]: gradient and value */
    double **logits;            /* [threads][classes] */
    double *total;              /* [count + 1] */
    ws_shard_threads *threads;
} logistic_problem;

/* logits to probabilities in place; returns ln sum exp, minus the largest logit folded back in. */
static double softmax(double *logits, int classes)
{
    double most = logits[0], sum = 0;
    for (int k = 1; k < classes; k++)
        most = logits[k] > most ? logits[k] : most;
    for (int k = 0; k < classes; k++)
        sum += logits[k] = exp(logits[k] - most);
    for (int k = 0; k < classes; k++)
        logits[k] /= sum;
    return most + log(sum);
}

static void shard_gradient(void *context, int shard, int thread)
{
    logistic_problem *p = context;
    double *gradient = p->partial[shard - p->first_shard], *logits = p->logits[thread], value = 0;
    size_t stride = (size_t)p->columns + 1;
    uint64_t begin, end;
    memset(gradient, 0, (p->count + 1) * sizeof *gradient);
    ws_even_split(p->samples->rows, p->shards, shard, &begin, &end);
    for (uint64_t i = begin; i < end; i++) {
        const float *x = p->samples->values + i * (uint64_t)p->columns;
        int label = p->samples->label[i];
        double weight = p->class_weight[label];
        for (int k = 0; k < p->classes; k++) {
            const double *w = p->point + (size_t)k * stride;
            double sum = w[p->columns];
            for (int c = 0; c < p->columns; c++)
                sum += w[c] * x[c];
            logits[k] = sum;
        }
        double own = logits[label];
        value += weight * (softmax(logits, p->classes) - own);
        for (int k = 0; k < p->classes; k++) {
            double *g = gradient + (size_t)k * stride, residual = weight * (logits[k] - (k == label));
            for (int c = 0; c < p->columns; c++)
                g[c] += residual * x[c];
            g[p->columns] += residual;
        }
    }
    gradient[p->count] = value;
}

static ws_err objective(void *context, const double *x, double *value, double *gradient)
{
    logistic_problem *p = context;
    p->point = x;
    ws_shard_threads_run(p->threads, p->first_shard, p->end_shard, shard_gradient, p);
    WS_TRY(ws_tree_sum_double_all(p->comm, p->shards, p->partial, p->total, p->count + 1));
    *value = p->total[p->count] / p->weight_sum;
    for (size_t i = 0; i < p->count; i++) {
        bool bias = i % ((size_t)p->columns + 1) == (size_t)p->columns;
        gradient[i] = p->total[i] / p->weight_sum + (bias ? 0 : p->penalty * x[i]);
        *value += bias ? 0 : p->penalty * x[i] * x[i] / 2;
    }
    return WS_OK;
}

/* Rows of each class, their weights, and the start: zero, but a class without rows is put out of reach. */
static ws_err prepare_classes(const ws_model_context *context, const ws_samples *samples, ws_arena *arena,
                              logistic_problem *p, double *x)
{
    const logistic_options *options = context->options;
    double *rows, *weight, present = 0;
    WS_TRY(ws_arena_alloc(arena, &rows, (size_t)p->classes, sizeof *rows));
    WS_TRY(ws_arena_alloc(arena, &weight, (size_t)p->classes, sizeof *weight));
    for (uint64_t i = 0; i < samples->rows; i++)
        rows[samples->label[i]] += 1;
    for (int k = 0; k < p->classes; k++)
        present += rows[k] > 0;
    for (int k = 0; k < p->classes; k++) {
        if (rows[k] > 0)
            weight[k] = options->class_weight == WEIGHT_BALANCED ? (double)samples->rows / (present * rows[k]) : 1;
        else
            x[(size_t)k * ((size_t)p->columns + 1) + (size_t)p->columns] = -1e30;
        p->weight_sum += weight[k] * rows[k];
    }
    p->class_weight = weight;
    p->penalty = 1 / (options->inverse_regularisation * p->weight_sum);
    return WS_OK;
}

static ws_err prepare_shards(const ws_model_context *context, ws_arena *arena, logistic_problem *p)
{
    size_t own = (size_t)(p->end_shard - p->first_shard);
    WS_TRY(ws_arena_alloc(arena, &p->partial, own + 1, sizeof *p->partial));
    for (size_t s = 0; s < own; s++)
        WS_TRY(ws_arena_alloc(arena, &p->partial[s], p->count + 1, sizeof **p->partial));
    WS_TRY(ws_arena_alloc(arena, &p->logits, (size_t)context->threads, sizeof *p->logits));
    for (int t = 0; t < context->threads; t++)
        WS_TRY(ws_arena_alloc(arena, &p->logits[t], (size_t)p->classes, sizeof **p->logits));
    WS_TRY(ws_arena_alloc(arena, &p->total, p->count + 1, sizeof *p->total));
    WS_TRY(ws_shard_threads_create(&p->threads, context->threads));
    return WS_OK;
}

static ws_err minimise(const logistic_options *options, logistic_problem *p, double *x)
{
    ws_lbfgs_report report;
    ws_lbfgs_options limits = {options->history, options->maximum_iterations, options->gradient_tolerance};
    WS_TRY(ws_lbfgs_minimise(&limits, objective, p, x, p->count, &report));
    if (!report.converged && p->comm->rank == 0)
        ws_warn("logistic: stopped after %lld iterations with a gradient of %.3g, above gradient_tolerance %.3g",
                (long long)report.iterations, report.gradient_maximum, options->gradient_tolerance);
    return WS_OK;
}

static ws_err keep(const logistic_problem *p, const double *x, ws_arrays *learned)
{
    double *weight, *bias;
    WS_TRY(ws_arrays_add(learned, "weight", 2, (int64_t[]){p->classes, p->columns}, &weight));
    WS_TRY(ws_arrays_add(learned, "bias", 1, (int64_t[]){p->classes}, &bias));
    for (int k = 0; k < p->classes; k++) {
        memcpy(weight + k * p->columns, x + k * (p->columns + 1), (size_t)p->columns * sizeof *x);
        bias[k] = x[k * (p->columns + 1) + p->columns];
    }
    return WS_OK;
}

static ws_err fit_all(const ws_comm *comm, const ws_model_context *context, const ws_samples *training,
                      const ws_samples *validation, ws_arrays *learned)
{
    (void)validation;
    ws_arena *arena;
    double *x;
    uint64_t first, end;
    WS_CHECK(training->rows > 0, CONFIG, "logistic: there are no training rows");
    ws_even_split((uint64_t)context->shards, comm->size, comm->rank, &first, &end);
    logistic_problem p = {.comm = comm,
                          .samples = training,
                          .classes = context->classes,
                          .columns = context->columns,
                          .shards = context->shards,
                          .first_shard = (int)first,
                          .end_shard = (int)end,
                          .count = (size_t)context->classes * ((size_t)context->columns + 1)};
    WS_TRY(ws_arena_create(&arena, 1 << 16));
    ws_err error = ws_arena_alloc(arena, &x, p.count, sizeof *x);
    if (error == WS_OK)
        error = prepare_classes(context, training, arena, &p, x);
    if (error == WS_OK)
        error = prepare_shards(context, arena, &p);
    error = ws_agree_all(comm, error);
    if (error == WS_OK)
        error = minimise(context->options, &p, x);
    if (error == WS_OK)
        error = keep(&p, x, learned);
    ws_shard_threads_destroy(&p.threads);
    ws_arena_destroy(&arena);
    return error;
}

static ws_err score(const ws_model_context *context, const ws_arrays *learned, uint64_t rows, const float *values,
                    float *out)
{
    const ws_array *weight = ws_arrays_find(learned, "weight"), *bias = ws_arrays_find(learned, "bias");
    int columns = context->columns, classes = context->classes;
    for (uint64_t i = 0; i < rows; i++, values += columns, out += classes)
        for (int k = 0; k < classes; k++) {
            double sum = bias->values[k];
            for (int c = 0; c < columns; c++)
                sum += weight->values[k * columns + c] * values[c];
            out[k] = (float)sum;
        }
    return WS_OK;
}

const ws_model ws_model_logistic = {
    .name = "logistic",
    .help = "multinomial logistic regression, class-balanced, to a stated gradient tolerance",
    .tasks = WS_CAN_CLASSIFY,
    .deterministic = true,
    .options = &options_table,
    .classical = &(const ws_classical){fit_all, score},
};
