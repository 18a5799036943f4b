/* Benchmarks of the engine on one core, each as a ratio to a ceiling measured beside it. Here those of what runs at the memory's
 * speed; operators are in bench_<group>.c, a training step in bench_step.c. For `wiresweep bench`. */
#include <stdlib.h>
#include "arguments.h"
#include "engine/plan.h"
#include "engine/timing.h"

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
    ws_bench_line_with_target(r, "adamw, 8.4 M parameters", 7 * element / adam, "GB/s", ceiling, "memory", 0.8);
    ws_bench_line(r, "gradient norm, 8.4 M", element / norms, "GB/s", ceiling, "memory");
    free(all);
    return WS_OK;
}

ws_err ws_bench_engine(ws_text *out, bool json)
{
    ws_bench_report r = {.out = out, .json = json};
    ws_peak.seconds = 0;
    WS_TRY(ws_bench_products(&r));
    WS_TRY(ws_bench_elements(&r));
    WS_TRY(ws_bench_scan(&r));
    WS_TRY(ws_bench_sequence(&r));
    ws_bench_line(&r, "multiply-add peak, one core", ws_peak_rate(), "GFLOP/s", 0, NULL);
    WS_TRY(bench_memory(&r));
    return ws_bench_end(&r);
}
