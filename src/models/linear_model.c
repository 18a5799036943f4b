/* Linear classifiers; see linear_model.h. */
#include "models/linear_model.h"

typedef struct linear_problem {
    const ws_comm *comm;
    const ws_samples *samples;
    ws_linear_loss loss;
    int classes, columns, shards, first_shard, end_shard;
    const double *class_weight; /* [classes] s_i */
    double penalty;             /* 1 / C S */
    double weight_sum;          /* S */
    double *turned;             /* [columns + 1][classes] the point, bias last: logits of all classes grow together */
    size_t count;               /* classes * (columns + 1) */
    double **partial;           /* [own shards][count + 1]: gradient and value */
    double **logits;            /* [threads][classes] */
    double *total;              /* [count + 1] */
    ws_shard_threads *threads;
} linear_problem;

static void shard_gradient(void *context, int shard, int thread)
{
    linear_problem *p = context;
    double *gradient = p->partial[shard - p->first_shard], *restrict logits = p->logits[thread], value = 0;
    const int classes = p->classes, columns = p->columns;
    size_t stride = (size_t)columns + 1;
    uint64_t begin, end;
    memset(gradient, 0, (p->count + 1) * sizeof *gradient);
    ws_even_split(p->samples->rows, p->shards, shard, &begin, &end);
    for (uint64_t i = begin; i < end; i++) {
        const float *x = p->samples->values + i * (uint64_t)columns;
        int label = p->samples->label[i];
        double weight = p->class_weight[label];
        memcpy(logits, p->turned + (size_t)columns * (size_t)classes, (size_t)classes * sizeof *logits);
        for (int c = 0; c < columns; c++) {
            const double *restrict w = p->turned + (size_t)c * (size_t)classes;
            for (int k = 0; k < classes; k++)
                logits[k] += w[k] * x[c];
        }
        value += weight * p->loss(logits, classes, label);
        for (int k = 0; k < classes; k++) {
            double *restrict g = gradient + (size_t)k * stride, residual = weight * logits[k];
            if (residual == 0)
                continue;
            for (int c = 0; c < columns; c++)
                g[c] += residual * x[c];
            g[columns] += residual;
        }
    }
    gradient[p->count] = value;
}

static ws_err objective(void *context, const double *x, double *value, double *gradient)
{
    linear_problem *p = context;
    const size_t stride = (size_t)p->columns + 1;
    for (size_t k = 0; k < (size_t)p->classes; k++)
        for (size_t c = 0; c < stride; c++)
            p->turned[c * (size_t)p->classes + k] = x[k * stride + c];
    ws_shard_threads_run(p->threads, p->first_shard, p->end_shard, shard_gradient, p);
    WS_TRY(ws_tree_sum_double_all(p->comm, p->shards, p->partial, p->total, p->count + 1));
    *value = p->total[p->count] / p->weight_sum;
    for (size_t i = 0; i < p->count; i++) {
        bool bias = i % stride == (size_t)p->columns;
        gradient[i] = p->total[i] / p->weight_sum + (bias ? 0 : p->penalty * x[i]);
        *value += bias ? 0 : p->penalty * x[i] * x[i] / 2;
    }
    return WS_OK;
}

/* Weights of the classes, and the start: zero, but a class without rows is put out of reach. */
static ws_err prepare_classes(const ws_model_context *context, const ws_samples *samples, ws_arena *arena,
                              linear_problem *p, double *x)
{
    const ws_linear_options *options = context->options;
    double *rows, *weight;
    WS_TRY(ws_class_weights(arena, samples, p->classes, options->class_weight == WS_LINEAR_BALANCED, &rows, &weight,
                            &p->weight_sum));
    for (int k = 0; k < p->classes; k++)
        if (rows[k] == 0)
            x[(size_t)k * ((size_t)p->columns + 1) + (size_t)p->columns] = -1e30;
    p->class_weight = weight;
    p->penalty = 1 / (options->inverse_regularisation * p->weight_sum);
    return WS_OK;
}

static ws_err prepare_shards(const ws_model_context *context, ws_arena *arena, linear_problem *p)
{
    size_t own = (size_t)(p->end_shard - p->first_shard);
    WS_TRY(ws_arena_alloc(arena, &p->turned, p->count, sizeof *p->turned));
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

static ws_err minimise(const ws_linear_options *options, linear_problem *p, const char *name, double *x)
{
    ws_lbfgs_report report;
    ws_lbfgs_options limits = {options->history, options->maximum_iterations, options->gradient_tolerance};
    WS_TRY(ws_lbfgs_minimise_all(p->comm, &limits, objective, p, x, p->count, &report));
    if (!report.converged && p->comm->rank == 0)
        ws_warn("%s: stopped after %lld iterations with a gradient of %.3g, above gradient_tolerance %.3g", name,
                (long long)report.iterations, report.gradient_maximum, options->gradient_tolerance);
    return WS_OK;
}

static ws_err keep(const linear_problem *p, const double *x, ws_arrays *learned)
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

ws_err ws_linear_fit_all(const ws_comm *comm, const ws_model_context *context, const ws_samples *training,
                         ws_linear_loss loss, const char *name, ws_arrays *learned)
{
    ws_arena *arena = NULL;
    double *x = NULL;
    uint64_t first, end;
    WS_CHECK(training->rows > 0, CONFIG, "%s: there are no training rows", name);
    ws_even_split((uint64_t)context->shards, comm->size, comm->rank, &first, &end);
    linear_problem p = {.comm = comm,
                        .samples = training,
                        .loss = loss,
                        .classes = context->classes,
                        .columns = context->columns,
                        .shards = context->shards,
                        .first_shard = (int)first,
                        .end_shard = (int)end,
                        .count = (size_t)context->classes * ((size_t)context->columns + 1)};
    ws_err error = ws_arena_create(&arena, 1 << 16);
    if (error == WS_OK)
        error = ws_arena_alloc(arena, &x, p.count, sizeof *x);
    if (error == WS_OK)
        error = prepare_classes(context, training, arena, &p, x);
    if (error == WS_OK)
        error = prepare_shards(context, arena, &p);
    error = ws_agree_all(comm, error);
    if (error == WS_OK)
        error = minimise(context->options, &p, name, x);
    if (error == WS_OK)
        error = keep(&p, x, learned);
    ws_shard_threads_destroy(&p.threads);
    ws_arena_destroy(&arena);
    return error;
}

const ws_learned_array ws_linear_arrays[] = {
    {.name = "weight", .dimensions = 2, .shape = {WS_SIZE_CLASSES, WS_SIZE_COLUMNS}},
    {.name = "bias", .dimensions = 1, .shape = {WS_SIZE_CLASSES}},
    {.name = NULL}};

ws_err ws_linear_score(const ws_model_context *context, const ws_arrays *learned, uint64_t rows, const float *values,
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
