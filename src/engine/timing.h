/* Timing for the engine's benchmarks: work against its ceiling, turn by turn. For bench.c and bench_<group>.c. */
#ifndef WS_ENGINE_TIMING_H
#define WS_ENGINE_TIMING_H

#include "engine/engine.h"

typedef struct ws_timed {
    void (*work)(void *data);
    void *data;
    double seconds; /* best a call */
} ws_timed;
void ws_time_round(ws_timed *timed);
/* Best seconds a call. Work and its ceiling take turns, so that a slower clock or a busy neighbour meets both. */
double ws_time_of(void (*work)(void *data), void *data, ws_timed *ceiling);

extern ws_timed ws_peak;   /* multiply-adds on one core, a ceiling */
double ws_peak_rate(void); /* GFLOP/s of its best round */

WS_MUST ws_err ws_bench_scan(ws_bench_report *report);
WS_MUST ws_err ws_bench_sequence(ws_bench_report *report);

#endif
