/* Timing for the engine's benchmarks. */
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
