/* Timing for the engine's benchmarks. */
#include <stdio.h>
#include "engine/timing.h"

enum { ROUNDS = 9 };
static const double ROUND_SECONDS = 0.02;

void ws_time_round(ws_timed *t)
{
    double start = ws_clock_seconds(), seconds;
    int64_t calls = 0;
    do {
        t->work(t->data);
        calls++;
        seconds = ws_clock_seconds() - start;
    } while (seconds < ROUND_SECONDS);
    if (t->seconds == 0 || seconds / (double)calls < t->seconds)
        t->seconds = seconds / (double)calls;
}

double ws_time_of(void (*work)(void *data), void *data, ws_timed *ceiling)
{
    ws_timed own = {.work = work, .data = data};
    for (int round = 0; round < ROUNDS; round++) {
        ws_time_round(&own);
        if (ceiling)
            ws_time_round(ceiling);
    }
    return own.seconds;
}

static double flops_done;

static void multiply_add(void *data)
{
    (void)data;
    flops_done = ws_multiply_add_work(100000);
}

ws_timed ws_peak = {.work = multiply_add};

double ws_peak_rate(void)
{
    return flops_done / ws_peak.seconds / 1e9;
}

void ws_bench_measure(ws_bench_report *report, const char *name, const char *shape, const ws_measured *m)
{
    char line[96];
    double seconds = ws_time_of(m->work, m->data, m->ceiling ? m->ceiling : &ws_peak);
    double ceiling = m->ceiling ? m->ceiling_amount / m->ceiling->seconds : ws_peak_rate();
    snprintf(line, sizeof line, "%s %s", name, shape);
    ws_bench_line_with_target(report, line, m->amount / seconds, m->unit, ceiling, m->of, m->target);
}

void ws_bench_flops(ws_bench_report *report, const char *name, const char *shape, void (*work)(void *data), void *data,
                    double flops, double target)
{
    ws_measured m = {.work = work, .data = data, .amount = flops / 1e9, .unit = "GFLOP/s", .of = "multiply-add peak"};
    m.target = target;
    ws_bench_measure(report, name, shape, &m);
}

ws_real *ws_bench_take(ws_real **memory, int64_t count)
{
    ws_real *out = (ws_real *)(void *)(((uintptr_t)*memory + 63) / 64 * 64);
    *memory = out + count;
    return out;
}

ws_err ws_bench_memory(ws_real **out, size_t count)
{
    WS_TRY(WS_NEW_ARRAY(*out, count));
    for (size_t i = 0; i < count; i++)
        (*out)[i] = (ws_real)(i % 509) / 509 - (ws_real)0.5;
    return WS_OK;
}
