/* Benchmarks of the engine on one core, each as a ratio to a ceiling measured just before: matrix products to the
 * multiply-add peak, AdamW to the memory's speed. For `wiresweep bench`; a training step is bench_step.c's.
 */
#include <stdio.h>
#include <stdlib.h>
#include "cpu/gemm.h"
#include "engine/plan.h"
#include "engine/timing.h"

/* ---- memory ---- */

typedef struct streams {
    size_t count;
    ws_real *a, *b, *c, *d;
} streams;

static void update_stream(void *data)
{
    streams *s = data;
    ws_place place = ws_place_cpu();
    ws_accumulate_at(&place, s->a, s->b, s->count);
}

static void triad(void *data)
{
    streams *s = data;
    ws_real *restrict a = s->a, *restrict b = s->b, *restrict c = s->c;
    for (size_t i = 0; i < s->count; i++)
        a[i] = b[i] + (ws_real)0.5 * c[i];
}

static void adamw(void *data)
{
    streams *s = data;
    ws_adamw_arguments a = {.count = s->count, .scale = 1, .share1 = (ws_real)0.1, .share2 = (ws_real)0.001};
    a.step_size = (ws_real)1e-6;
    a.root_correction = 1;
    a.epsilon = (ws_real)1e-8;
    a.parameters = s->a;
    a.gradients = s->b;
    a.first_moment = s->c;
    a.second_moment = s->d;
    ws_place_cpu().kernels->adamw(&a, NULL);
}

static void norm(void *data)
{
    streams *s = data;
    s->a[0] = (ws_real)ws_gradient_norm(s->b, s->count);
}

static ws_err bench_memory(ws_bench_report *r)
{
    streams s = {.count = (size_t)1 << 23}; /* 32 MiB each in float: beyond the caches */
    ws_real *all = NULL;
    WS_TRY(WS_NEW_ARRAY(all, 4 * s.count));
    for (size_t i = 0; i < 4 * s.count; i++)
        all[i] = (ws_real)(i % 251) / 251;
    s.a = all;
    s.b = all + s.count;
    s.c = all + 2 * s.count;
    s.d = all + 3 * s.count;
    double element = (double)s.count * sizeof(ws_real) / 1e9;
    /* A triad's target is read before it is written; an update reads it anyway. */
    ws_timed triads = {.work = triad, .data = &s};
    double updates = ws_time_of(update_stream, &s, &triads), adam = ws_time_of(adamw, &s, &triads);
    double norms = ws_time_of(norm, &s, &triads);
    double triad_rate = 4 * element / triads.seconds, update_rate = 3 * element / updates;
    double ceiling = triad_rate > update_rate ? triad_rate : update_rate;
    ws_bench_line(r, "memory: triad", triad_rate, "GB/s", 0, NULL);
    ws_bench_line(r, "memory: update a += b", update_rate, "GB/s", 0, NULL);
    ws_bench_line(r, "adamw, 8.4 M parameters", 7 * element / adam, "GB/s", ceiling, "memory");
    ws_bench_line(r, "gradient norm, 8.4 M", element / norms, "GB/s", ceiling, "memory");
    free(all);
    return WS_OK;
}

/* ---- operators ---- */

static void linear_forward(void *data)
{
    ws_place_cpu().kernels->linear_forward(data, NULL);
}

static void linear_backward(void *data)
{
    ws_place_cpu().kernels->linear_backward(data, NULL);
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

static void bench_linear(ws_bench_report *r, ws_real *memory, int64_t B, int64_t K, int64_t N)
{
    char name[64];
    int64_t weights = N * K;
    ws_linear_arguments a = {.B = B, .K = K, .N = N, .activation = WS_SILU};
    ws_real *next = memory;
#define TAKE(field, elements) (a.field = next, next += (elements) + 16)
    ws_real *x = next, *weight = x + B * K + 16, *bias = weight + weights + 16;
    next = bias + N + 16;
    a.x = x;
    a.weight = weight;
    a.bias = bias;
    TAKE(z, B * N), TAKE(y, B * N), TAKE(dy, B * N), TAKE(dx, B * K), TAKE(dweight, weights), TAKE(dbias, N);
    TAKE(scratch, WS_COLUMN_PARTS * N);
#undef TAKE
    double product = 2.0 * (double)(B * weights) / 1e9;
    snprintf(name, sizeof name, "linear+silu forward %dx%dx%d", (int)B, (int)N, (int)K);
    double forward = ws_time_of(linear_forward, &a, &ws_peak), backward = ws_time_of(linear_backward, &a, &ws_peak);
    ws_bench_line(r, name, product / forward, "GFLOP/s", ws_peak_rate(), "multiply-add peak");
    snprintf(name, sizeof name, "linear+silu backward %dx%dx%d", (int)B, (int)N, (int)K);
    ws_bench_line(r, name, 2 * product / backward, "GFLOP/s", ws_peak_rate(), "multiply-add peak");
}

static void bench_rows(ws_bench_report *r, ws_real *memory, int64_t B, int64_t D)
{
    int64_t count = B * D;
    ws_real *x = memory, *y = x + count, *dy = y + count, *dx = dy + count, *rows = dx + count, *columns = rows + 2 * B;
    ws_layernorm_arguments a = {.B = B, .D = D, .epsilon = 1e-5, .x = x, .y = y, .dy = dy, .dx = dx};
    a.mean = rows;
    a.rstd = rows + B;
    a.weight = columns;
    a.bias = columns + D;
    a.dweight = columns + 2 * D;
    a.dbias = columns + 3 * D;
    a.scratch = columns + 4 * D;
    ws_bench_line(r, "layernorm forward 256x256", 1e9 * ws_time_of(layernorm_forward, &a, NULL) / (double)count,
                  "ns/element", 0, NULL);
    ws_bench_line(r, "layernorm backward 256x256", 1e9 * ws_time_of(layernorm_backward, &a, NULL) / (double)count,
                  "ns/element", 0, NULL);
    static const char *const names[] = {"activate none", "activate relu",       "activate silu",   "activate gelu",
                                        "activate tanh", "activate leaky relu", "activate sigmoid"};
    for (int k = 0; k < WS_ACTIVATION_COUNT; k++) {
        ws_activate_arguments f = {.count = count, .activation = (ws_activation)k, .x = x, .y = y};
        ws_bench_line(r, names[k], 1e9 * ws_time_of(activate_forward, &f, NULL) / (double)count, "ns/element", 0, NULL);
    }
}

static ws_err bench_operators(ws_bench_report *r)
{
    size_t room = (size_t)8 << 20;
    ws_real *memory = NULL;
    WS_TRY(WS_NEW_ARRAY(memory, room));
    for (size_t i = 0; i < room; i++)
        memory[i] = (ws_real)(i % 509) / 509 - (ws_real)0.5;
    bench_linear(r, memory, 32, 256, 256);
    bench_linear(r, memory, 256, 256, 256);
    bench_linear(r, memory, 4096, 256, 256);
    bench_rows(r, memory, 256, 256);
    free(memory);
    return WS_OK;
}

ws_err ws_bench_engine(ws_text *out, bool json)
{
    ws_bench_report r = {.out = out, .json = json};
    ws_peak.seconds = 0;
    WS_TRY(bench_operators(&r));
    WS_TRY(ws_bench_scan(&r));
    WS_TRY(ws_bench_sequence(&r));
    ws_bench_line(&r, "multiply-add peak, one core", ws_peak_rate(), "GFLOP/s", 0, NULL);
    WS_TRY(bench_memory(&r));
    return ws_bench_end(&r);
}
