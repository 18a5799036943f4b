/* Benchmarks of operators and training steps on a device, each against the ceiling that binds it, measured in the same run: copying
 * device memory, or one large matrix product of its kind of factors. What binds follows from the operator's bytes and operations. */
#include <stdio.h>
#include <stdlib.h>
#include "arguments.h"
#include "engine/executor.h"
#include "engine/timing.h"

enum { ROUNDS = 5 };
static const double ROUND_SECONDS = 0.02, ENOUGH_SECONDS = 0.5; /* for all rounds, on a slow (emulated) device */

/* Best seconds a call of what queues work. */
static ws_err time_queue(const ws_place *place, void (*work)(void *data), void *data, double *seconds)
{
    *seconds = 0;
    work(data); /* libraries load what they need */
    WS_TRY(ws_place_wait(place));
    int64_t calls = 1;
    const double first = ws_clock_seconds();
    for (int round = 0; round < ROUNDS && (round == 0 || ws_clock_seconds() < first + ENOUGH_SECONDS);) {
        double begin = ws_clock_seconds();
        for (int64_t i = 0; i < calls; i++)
            work(data);
        WS_TRY(ws_place_wait(place));
        double spent = ws_clock_seconds() - begin;
        if (spent < ROUND_SECONDS) {
            calls *= spent > ROUND_SECONDS / 16 ? 2 : 8;
            continue;
        }
        round++;
        *seconds = *seconds == 0 || spent / (double)calls < *seconds ? spent / (double)calls : *seconds;
    }
    return WS_OK;
}

/* ---- ceilings ---- */

typedef struct copying {
    const ws_place *place;
    ws_real *from, *to;
    size_t bytes;
} copying;

static void copy(void *data)
{
    const copying *c = data;
    c->place->device->copy(c->place->queue, c->to, c->from, c->bytes);
}

typedef struct multiplying {
    const ws_place *place;
    ws_linear_arguments arguments;
} multiplying;

static void multiply(void *data)
{
    const multiplying *m = data;
    m->place->kernels->linear_forward(&m->arguments, m->place->queue);
}

static ws_err measure_product(const ws_place *place, int64_t size, bool bf16, double *rate)
{
    multiplying m = {place, {.B = size, .K = size, .N = size, .bf16 = bf16}};
    const size_t count = (size_t)(size * size), scratch = (size_t)ws_linear_scratch(size, size, size, bf16, false);
    ws_real *memory = NULL;
    double seconds;
    WS_TRY(ws_place_allocate(place, &memory, 3 * count + scratch));
    m.arguments.x = memory;
    m.arguments.weight = memory + count;
    m.arguments.y = memory + 2 * count;
    m.arguments.scratch = memory + 3 * count;
    ws_err error = time_queue(place, multiply, &m, &seconds);
    ws_place_release(place, &memory);
    if (error == WS_OK)
        *rate = 2.0 * (double)size * (double)size * (double)size / seconds;
    return error;
}

static ws_err measure_copies(const ws_place *place, size_t count, double *rate)
{
    copying c = {.place = place, .bytes = count * sizeof(ws_real)};
    double seconds;
    ws_err error = WS_OK;
    WS_TRY_GOTO(done, ws_place_allocate(place, &c.from, count));
    WS_TRY_GOTO(done, ws_place_allocate(place, &c.to, count));
    WS_TRY_GOTO(done, time_queue(place, copy, &c, &seconds));
    *rate = 2.0 * (double)c.bytes / seconds;
done:
    ws_place_release(place, &c.from);
    ws_place_release(place, &c.to);
    return error;
}

ws_err ws_bench_device_ceilings(ws_bench_report *report, const ws_place *place, int64_t divide, ws_device_ceilings *out)
{
    WS_TRY(measure_copies(place, ((size_t)64 << 20) / (size_t)divide, &out->bytes));
    WS_TRY(measure_product(place, 8192 / divide, false, &out->flops));
    WS_TRY(measure_product(place, 8192 / divide, true, &out->flops_bf16));
    ws_bench_line(report, "device memory copied", out->bytes / 1e9, "GB/s", 0, NULL);
    ws_bench_line(report, "matrix product", out->flops / 1e9, "GFLOP/s", 0, NULL);
    ws_bench_line(report, "matrix product of bfloat16 factors", out->flops_bf16 / 1e9, "GFLOP/s", 0, NULL);
    return WS_OK;
}

/* ---- operators ---- */

/* x: [rows, T, D], a node's output, so that its gradient is wanted. */
typedef ws_tensor (*builder)(ws_plan *plan, ws_tensor x, int64_t B, int64_t T, int64_t D);

static ws_tensor input(ws_plan *plan, const char *name, int64_t B, int64_t T, int64_t D)
{
    return ws_input(plan, name, 3, (const int64_t[]){B, T, D});
}

static ws_tensor dense(ws_plan *plan, ws_tensor x, int64_t B, int64_t T, int64_t D)
{
    (void)B, (void)T;
    return ws_linear(plan, x, D, WS_SILU, "a");
}

static ws_tensor dense_bf16(ws_plan *plan, ws_tensor x, int64_t B, int64_t T, int64_t D)
{
    ws_plan_set_precision(plan, WS_BF16);
    ws_tensor y = dense(plan, x, B, T, D);
    ws_plan_set_precision(plan, WS_FP32);
    return y;
}

static ws_tensor products(ws_plan *plan, ws_tensor x, int64_t B, int64_t T, int64_t D)
{
    return ws_bmm(plan, x, input(plan, "b", B, T, D), true);
}

static ws_tensor attended(ws_plan *plan, ws_tensor x, int64_t B, int64_t T, int64_t D)
{
    (void)B, (void)T;
    return ws_attention(plan, x, WS_NO_TENSOR, &(ws_attention_options){.heads = D / 3 / 32});
}

static ws_tensor layer_normed(ws_plan *plan, ws_tensor x, int64_t B, int64_t T, int64_t D)
{
    (void)B, (void)T, (void)D;
    return ws_layernorm(plan, x, "a");
}

static ws_tensor root_normed(ws_plan *plan, ws_tensor x, int64_t B, int64_t T, int64_t D)
{
    (void)B, (void)T, (void)D;
    return ws_rmsnorm(plan, x, "a");
}

static ws_tensor batch_normed(ws_plan *plan, ws_tensor x, int64_t B, int64_t T, int64_t D)
{
    (void)B, (void)T, (void)D;
    return ws_batchnorm(plan, x, WS_NO_TENSOR, "a");
}

static ws_tensor modulated(ws_plan *plan, ws_tensor x, int64_t B, int64_t T, int64_t D)
{
    (void)T;
    return ws_modulated_norm(plan, x, ws_input(plan, "condition", 2, (const int64_t[]){B, 2 * D}), 0, D);
}

static ws_tensor gated(ws_plan *plan, ws_tensor x, int64_t B, int64_t T, int64_t D)
{
    return ws_gated_add(plan, x, input(plan, "update", B, T, D),
                        ws_input(plan, "condition", 2, (const int64_t[]){B, D}), 0);
}

static ws_tensor activated(ws_plan *plan, ws_tensor x, int64_t B, int64_t T, int64_t D)
{
    (void)B, (void)T, (void)D;
    return ws_activate(plan, x, WS_GELU);
}

static ws_tensor linear_units(ws_plan *plan, ws_tensor x, int64_t B, int64_t T, int64_t D)
{
    (void)B, (void)T, (void)D;
    return ws_glu(plan, x, WS_GELU);
}

static ws_tensor added(ws_plan *plan, ws_tensor x, int64_t B, int64_t T, int64_t D)
{
    return ws_add(plan, x, input(plan, "b", B, T, D));
}

static ws_tensor dropped(ws_plan *plan, ws_tensor x, int64_t B, int64_t T, int64_t D)
{
    (void)B, (void)T, (void)D;
    return ws_dropout(plan, x, 0.1);
}

static ws_tensor scanned(ws_plan *plan, ws_tensor x, int64_t B, int64_t T, int64_t D)
{
    return ws_selective_scan(plan, x, input(plan, "delta", B, T, D), input(plan, "B_and_C", B, T, 32),
                             input(plan, "z", B, T, D), "a");
}

static ws_tensor convolved(ws_plan *plan, ws_tensor x, int64_t B, int64_t T, int64_t D)
{
    (void)B, (void)T, (void)D;
    return ws_conv1d_causal(plan, x, 4, WS_SILU, "a");
}

static ws_tensor recurrent(ws_plan *plan, ws_tensor x, int64_t B, int64_t T, int64_t D)
{
    (void)B, (void)T;
    return ws_gru(plan, x, WS_NO_TENSOR, D, false, "a");
}

static ws_tensor pooled(ws_plan *plan, ws_tensor x, int64_t B, int64_t T, int64_t D)
{
    (void)B, (void)T, (void)D;
    return ws_attention_pool(plan, x, WS_NO_TENSOR, "a");
}

static const struct {
    const char *name;
    builder build;
    int64_t B, T, D;
} cases[] = {
    {"linear+silu", dense, 256, 64, 512},
    {"linear+silu, few rows", dense, 8, 16, 256},
    {"linear+silu bf16", dense_bf16, 256, 64, 512},
    {"bmm", products, 512, 128, 128},
    {"attention", attended, 256, 64, 3 * 256},
    {"attention, long", attended, 16, 512, 3 * 256},
    {"selective_scan", scanned, 64, 82, 512},
    {"selective_scan, few rows", scanned, 2, 512, 512},
    {"conv1d causal+silu", convolved, 64, 82, 512},
    {"gru", recurrent, 256, 32, 128},
    {"layernorm", layer_normed, 256, 64, 512},
    {"rmsnorm", root_normed, 256, 64, 512},
    {"batchnorm", batch_normed, 256, 64, 512},
    {"modulated_norm", modulated, 256, 64, 512},
    {"gated_add", gated, 256, 64, 512},
    {"gelu", activated, 256, 64, 512},
    {"glu", linear_units, 256, 64, 512},
    {"add", added, 256, 64, 512},
    {"dropout", dropped, 256, 64, 512},
    {"attention_pool", pooled, 256, 64, 512},
};

typedef struct run {
    ws_executor *executor;
    ws_pass pass;
} run;

static void pass_again(void *data)
{
    const run *r = data;
    ws_executor_pass(r->executor, r->pass);
}

/* Reals that a node has to read and write at least. */
static double reals_of(const ws_plan *plan, const ws_node *node, bool backward)
{
    double reals = (double)ws_shape_count(&node->out);
    for (int k = 0; k < WS_MAX_INPUTS; k++) {
        if (node->inputs[k] < 0)
            continue;
        double in = (double)ws_shape_count(&node->in[k]);
        const bool gradient = plan->tensors[node->inputs[k]].gradient >= 0;
        reals += backward ? (node->backward_reads_input[k] ? in : 0) + (gradient ? in : 0) : in;
    }
    reals += backward && node->backward_reads_output ? (double)ws_shape_count(&node->out) : 0;
    for (int k = 0; k < WS_MAX_SAVED; k++)
        reals += (double)node->saved[k];
    for (int k = 0; k < WS_MAX_PARAMETERS; k++)
        if (node->parameters[k] >= 0)
            reals += (backward ? 2 : 1) * (double)plan->parameters[node->parameters[k]].count;
    return reals;
}

static double flops_of(const ws_plan *plan, const ws_node *node, bool backward)
{
    int gradients = 0;
    for (int k = 0; k < WS_MAX_INPUTS; k++)
        gradients += node->inputs[k] >= 0 && plan->tensors[node->inputs[k]].gradient >= 0;
    const ws_operator *operator= ws_operator_table[node->op];
    return backward ? operator->flops_backward(node, gradients) : operator->flops_forward(node);
}

static void report_pass(ws_bench_report *report, const char *name, const run *r, double seconds,
                        const ws_device_ceilings *ceilings)
{
    char line[96];
    const ws_plan *plan = r->executor->plan;
    double bytes = 0, flops = 0, peak = ceilings->flops;
    for (size_t i = r->pass.begin; i < r->pass.end; i++) {
        bytes += sizeof(ws_real) * reals_of(plan, &plan->nodes[i], r->pass.backward);
        flops += flops_of(plan, &plan->nodes[i], r->pass.backward);
        peak = plan->nodes[i].precision == WS_BF16 ? ceilings->flops_bf16 : peak;
    }
    snprintf(line, sizeof line, "%s %s", name, r->pass.backward ? "backward" : "forward");
    if (flops / peak > bytes / ceilings->bytes)
        ws_bench_line(report, line, flops / seconds / 1e9, "GFLOP/s", peak / 1e9, "matrix product");
    else
        ws_bench_line(report, line, bytes / seconds / 1e9, "GB/s", ceilings->bytes / 1e9, "memory copied");
}

/* A plan whose first node gives x and whose last is the loss; what lies between is measured. */
static ws_err bench_case(ws_bench_report *report, const ws_place *place, size_t number, int64_t divide,
                         const ws_device_ceilings *ceilings)
{
    const int64_t B = (cases[number].B + divide - 1) / divide, T = (cases[number].T + divide - 1) / divide,
                  D = cases[number].D / (divide > 1 ? 8 : 1);
    ws_plan *plan = NULL;
    ws_executor *executor = NULL;
    ws_real *parameters = NULL, *gradients = NULL, *initial = NULL;
    ws_err error = WS_OK;
    double seconds;
    WS_TRY_GOTO(done, ws_plan_create(&plan));
    ws_tensor x = input(plan, "x", B, T, D);
    ws_input_gradient(plan, x);
    ws_tensor y = cases[number].build(plan, ws_scale(plan, x, 1), B, T, D);
    WS_TRY_GOTO(done, plan->error);
    const ws_shape shape = plan->tensors[y.id].shape;
    WS_TRY_GOTO(done, ws_plan_finish(plan, ws_mse(plan, y, ws_input(plan, "target", shape.dimensions, shape.size))));
    const size_t extent = ws_plan_parameter_extent(plan);
    WS_TRY_GOTO(done, ws_executor_create_at(&executor, plan, place));
    ws_executor_set_capture(executor, false);
    ws_executor_set_random(executor, 1, 0, 0);
    WS_TRY_GOTO(done, ws_place_allocate(place, &parameters, extent));
    WS_TRY_GOTO(done, ws_place_allocate(place, &gradients, extent));
    WS_TRY_GOTO(done, WS_NEW_ARRAY(initial, extent));
    ws_plan_initialise(plan, 1, initial);
    ws_place_upload(place, parameters, initial, extent);
    ws_real *values = ws_executor_input(executor, "x");
    for (int64_t i = 0; i < B * T * D; i++)
        values[i] = (ws_real)(i % 509) / 509 - (ws_real)0.5;
    ws_executor_forward(executor, parameters);
    ws_executor_backward(executor, parameters, gradients);
    for (int backward = 0; backward < 2; backward++) {
        run r = {executor, {.backward = backward, .begin = 1, .end = plan->node_count - 1}};
        r.pass.parameters = parameters;
        r.pass.gradients = backward ? gradients : NULL;
        WS_TRY_GOTO(done, time_queue(place, pass_again, &r, &seconds));
        report_pass(report, cases[number].name, &r, seconds, ceilings);
    }
done:
    ws_place_release(place, &parameters);
    ws_place_release(place, &gradients);
    free(initial);
    ws_executor_destroy(&executor);
    ws_plan_destroy(&plan);
    return error;
}

ws_err ws_bench_device_operators(ws_bench_report *report, const ws_place *place, int64_t divide,
                                 const ws_device_ceilings *ceilings)
{
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        WS_TRY(bench_case(report, place, i, divide, ceilings));
    return WS_OK;
}

/* ---- a training step ---- */

typedef struct step {
    const ws_plan *plan;
    const ws_place *place;
    ws_executor *executor;
    ws_updater *updater;
    ws_repeat update;
    ws_real *parameters, *gradients, *first, *second, *average;
    uint64_t number;
    bool captures;
    ws_err error;
} step;

static void update_all(void *data)
{
    const step *s = data;
    const ws_update_state state = {s->parameters, s->first, s->second, s->average, s->gradients, NULL};
    ws_updater_step(s->updater, s->place, &state, 0, ws_plan_parameter_extent(s->plan));
}

static void whole_step(void *data)
{
    step *s = data;
    double norm = 0;
    ws_executor_set_random(s->executor, 1, ++s->number, 0);
    ws_executor_forward(s->executor, s->parameters);
    ws_executor_backward(s->executor, s->parameters, s->gradients);
    ws_err error = ws_gradient_norm_at(s->place, s->gradients, ws_plan_trained_extent(s->plan), &norm);
    s->error = s->error == WS_OK ? error : s->error;
    const ws_update update = {.adamw = {0.9, 0.99, 1e-8, 1e-4},
                              .rate = 1e-6,
                              .scale = norm > 1 ? 1 / norm : 1,
                              .statistics_scale = 1,
                              .average_decay = 0.999,
                              .step = s->number};
    ws_updater_set(s->updater, s->place, &update);
    if (s->captures)
        ws_repeat_run(&s->update, s->place, update_all, s);
    else
        update_all(s);
}

ws_err ws_bench_device_step(ws_bench_report *report, const char *name, const ws_plan *plan, ws_executor *executor,
                            const ws_place *place, const ws_device_ceilings *ceilings)
{
    step s = {.plan = plan, .place = place, .executor = executor};
    const size_t extent = ws_plan_parameter_extent(plan);
    ws_real **arrays[] = {&s.parameters, &s.gradients, &s.first, &s.second, &s.average}, *initial = NULL;
    double apart, captured;
    char line[96];
    ws_err error = WS_OK;
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
        WS_TRY_GOTO(done, ws_place_allocate(place, arrays[i], extent));
    WS_TRY_GOTO(done, ws_updater_create(&s.updater, plan, place));
    WS_TRY_GOTO(done, WS_NEW_ARRAY(initial, extent));
    ws_plan_initialise(plan, 1, initial);
    ws_place_upload(place, s.parameters, initial, extent);
    ws_executor_set_capture(executor, false);
    WS_TRY_GOTO(done, time_queue(place, whole_step, &s, &apart));
    ws_executor_set_capture(executor, true);
    s.captures = true;
    WS_TRY_GOTO(done, time_queue(place, whole_step, &s, &captured));
    WS_TRY_GOTO(done, s.error);
    ws_bench_line(report, name, ws_plan_flops(plan, true) / captured / 1e9, "GFLOP/s", ceilings->flops / 1e9,
                  "matrix product");
    snprintf(line, sizeof line, "%s, captured", name);
    ws_bench_line(report, line, 1 / captured, "steps/s", 1 / apart, "kernels given one by one");
done:
    ws_repeat_forget(&s.update, place);
    ws_updater_destroy(&s.updater);
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
        ws_place_release(place, arrays[i]);
    free(initial);
    return error;
}
