/* Benchmarks of operators whose work is a few operations an element, on one core. The ceiling is a pass over the same data that only
 * copies (or, of a backward pass, adds two of them), but for splines, which are held against their multiply-adds at the peak: eight
 * in an exponential, sixteen in a logarithm. */
#include <stdio.h>
#include <stdlib.h>
#include "arguments.h"
#include "engine/place.h"
#include "engine/timing.h"

static void copy(void *data)
{
    ws_place_cpu().kernels->activate_forward(data, NULL);
}

static void add(void *data)
{
    ws_place_cpu().kernels->add_forward(data, NULL);
}

static void layernorm_forward(void *data)
{
    ws_place_cpu().kernels->layernorm_forward(data, NULL);
}

static void layernorm_backward(void *data)
{
    ws_place_cpu().kernels->layernorm_backward(data, NULL);
}

static void activate_forward(void *data)
{
    ws_place_cpu().kernels->activate_forward(data, NULL);
}

static void activate_backward(void *data)
{
    ws_place_cpu().kernels->activate_backward(data, NULL);
}

static void activate_both(void *data)
{
    activate_forward(data);
    activate_backward(data);
}

static void depthwise_forward(void *data)
{
    ws_place_cpu().kernels->conv1d_depthwise_forward(data, NULL);
}

static void depthwise_backward(void *data)
{
    ws_place_cpu().kernels->conv1d_depthwise_backward(data, NULL);
}

static void spline_forward(void *data)
{
    ws_place_cpu().kernels->spline_coupling_forward(data, NULL);
}

static void spline_backward(void *data)
{
    ws_place_cpu().kernels->spline_coupling_backward(data, NULL);
}

/* What reads x and writes y, and what reads x and dy and writes dx, of one tensor. */
typedef struct tensors {
    int64_t count;
    ws_real *x, *y, *dy, *dx;
} tensors;

static tensors take_tensors(ws_real **memory, int64_t count)
{
    tensors t = {.count = count};
    t.x = ws_bench_take(memory, count), t.y = ws_bench_take(memory, count);
    t.dy = ws_bench_take(memory, count), t.dx = ws_bench_take(memory, count);
    return t;
}

static void bench_forward(ws_bench_report *r, const char *name, const char *shape, void (*work)(void *data), void *data,
                          const tensors *t)
{
    ws_activate_arguments a = {.count = t->count, .activation = WS_NONE, .x = t->x, .y = t->y};
    ws_timed ceiling = {.work = copy, .data = &a};
    double elements = (double)t->count / 1e9;
    ws_measured m = {work, data, elements, "Gelements/s", &ceiling, elements, "a copy", 0};
    ws_bench_measure(r, name, shape, &m);
}

static void bench_backward(ws_bench_report *r, const char *name, const char *shape, void (*work)(void *data),
                           void *data, const tensors *t)
{
    ws_add_arguments a = {.count = t->count, .a = t->x, .b = t->dy, .y = t->dx};
    ws_timed ceiling = {.work = add, .data = &a};
    double elements = (double)t->count / 1e9;
    ws_measured m = {work, data, elements, "Gelements/s", &ceiling, elements, "a sum of two", 0};
    ws_bench_measure(r, name, shape, &m);
}

static void bench_rows(ws_bench_report *r, ws_real *memory, int64_t B, int64_t D)
{
    char shape[64];
    tensors t = take_tensors(&memory, B * D);
    ws_layernorm_arguments a = {.B = B, .D = D, .epsilon = 1e-5, .x = t.x, .y = t.y, .dy = t.dy, .dx = t.dx};
    a.mean = ws_bench_take(&memory, B), a.rstd = ws_bench_take(&memory, B);
    a.weight = ws_bench_take(&memory, D), a.bias = ws_bench_take(&memory, D);
    a.dweight = ws_bench_take(&memory, D), a.dbias = ws_bench_take(&memory, D);
    a.scratch = ws_bench_take(&memory, 2 * WS_COLUMN_PARTS * D);
    snprintf(shape, sizeof shape, "%dx%d", (int)B, (int)D);
    bench_forward(r, "layernorm forward", shape, layernorm_forward, &a, &t);
    bench_backward(r, "layernorm backward", shape, layernorm_backward, &a, &t);
    static const char *const forward[] = {"relu forward", "silu forward",       "gelu forward",
                                          "tanh forward", "leaky relu forward", "sigmoid forward"},
                             *const backward[] = {"relu backward", "silu backward",       "gelu backward",
                                                  "tanh backward", "leaky relu backward", "sigmoid backward"};
    for (int k = 1; k < WS_ACTIVATION_COUNT; k++) {
        ws_activate_arguments f = {.count = B * D, .activation = (ws_activation)k, .x = t.x, .y = t.y, .dy = t.dy};
        f.dx = t.dx;
        bench_forward(r, forward[k - 1], shape, activate_forward, &f, &t);
        bench_backward(r, backward[k - 1], shape, activate_backward, &f, &t);
        if (k != WS_SILU && k != WS_GELU)
            continue;
        char name[96];
        snprintf(name, sizeof name, "%s and backward %s", forward[k - 1], shape);
        ws_bench_line_with_target(r, name, 1e9 * ws_time_of(activate_both, &f, NULL) / (double)(B * D), "ns/element", 0,
                                  NULL, 1.5);
    }
}

static void bench_depthwise(ws_bench_report *r, ws_real *memory, int64_t B, int64_t T, int64_t E)
{
    enum { WIDTH = 4 };
    char shape[64];
    tensors t = take_tensors(&memory, B * T * E);
    ws_conv1d_depthwise_arguments a = {.B = B, .T = T, .E = E, .width = WIDTH, .before = WIDTH - 1};
    a.x = t.x, a.y = t.y, a.dy = t.dy, a.dx = t.dx;
    a.weight = ws_bench_take(&memory, E * WIDTH), a.bias = ws_bench_take(&memory, E);
    a.dweight = ws_bench_take(&memory, E * WIDTH), a.dbias = ws_bench_take(&memory, E);
    a.scratch = ws_bench_take(&memory, ws_conv1d_depthwise_scratch_backward(B, T, E, WIDTH));
    snprintf(shape, sizeof shape, "%dx%dx%d, %d wide", (int)B, (int)T, (int)E, WIDTH);
    bench_forward(r, "depthwise forward", shape, depthwise_forward, &a, &t);
    bench_backward(r, "depthwise backward", shape, depthwise_backward, &a, &t);
}

static void bench_spline(ws_bench_report *r, ws_real *memory, int64_t B, int64_t D, int bins)
{
    enum { EXPONENTIAL = 8, LOGARITHM = 16 };
    char shape[64];
    int64_t moved = D - D / 2, stride = 3 * bins - 1;
    ws_spline_coupling_arguments a = {.B = B, .D = D, .kept = D / 2, .bins = bins, .bound = 5};
    a.state = ws_bench_take(&memory, B * (D + 1)), a.theta = ws_bench_take(&memory, B * moved * stride);
    a.y = ws_bench_take(&memory, B * (D + 1)), a.dy = ws_bench_take(&memory, B * (D + 1));
    a.dstate = ws_bench_take(&memory, B * (D + 1)), a.dtheta = ws_bench_take(&memory, B * moved * stride);
    a.scratch = ws_bench_take(&memory, B * moved);
    snprintf(shape, sizeof shape, "%dx%d, %d bins", (int)B, (int)D, bins);
    /* forward: sizes of the pieces, two slopes (softplus) and two logarithms; backward: the same sizes and slopes, the slopes of
     * bins - 1 softplus */
    double sizes = 2.0 * bins * EXPONENTIAL + 2 * (EXPONENTIAL + LOGARITHM), elements = (double)(B * moved);
    ws_measured m = {.work = spline_forward, .data = &a, .unit = "GFLOP/s"};
    m.amount = 2 * elements * (sizes + 2 * LOGARITHM) / 1e9;
    m.of = "its exponentials at the multiply-add peak";
    ws_bench_measure(r, "spline coupling forward", shape, &m);
    m.work = spline_backward;
    m.amount = 2 * elements * (sizes + (bins - 1) * EXPONENTIAL) / 1e9;
    ws_bench_measure(r, "spline coupling backward", shape, &m);
}

ws_err ws_bench_elements(ws_bench_report *r)
{
    ws_real *memory = NULL;
    WS_TRY(ws_bench_memory(&memory, (size_t)4 << 20));
    bench_rows(r, memory, 256, 256);
    bench_depthwise(r, memory, 4, 128, 512);
    bench_spline(r, memory, 256, 20, 16);
    free(memory);
    return WS_OK;
}
