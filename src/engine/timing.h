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

/* A piece of work, how much of a unit a call of it does, and what it is held against: another piece of work that does so much of the
 * same unit, or NULL: multiply-adds on one core. */
typedef struct ws_measured {
    void (*work)(void *data);
    void *data;
    double amount;
    const char *unit; /* "GFLOP/s" */
    ws_timed *ceiling;
    double ceiling_amount;
    const char *of;
    double target; /* share of the ceiling; 0: none is set */
} ws_measured;
/* A line "NAME SHAPE". */
void ws_bench_measure(ws_bench_report *report, const char *name, const char *shape, const ws_measured *measured);
/* The same of floating-point operations against the multiply-add peak. */
void ws_bench_flops(ws_bench_report *report, const char *name, const char *shape, void (*work)(void *data), void *data,
                    double flops, double target);

/* The next `count` reals of a buffer, beginning at a multiple of 64 bytes. */
ws_real *ws_bench_take(ws_real **memory, int64_t count);
/* So many reals, not all equal; *out is freed by the caller. */
WS_MUST ws_err ws_bench_memory(ws_real **out, size_t count);

WS_MUST ws_err ws_bench_products(ws_bench_report *report);
WS_MUST ws_err ws_bench_elements(ws_bench_report *report);
WS_MUST ws_err ws_bench_scan(ws_bench_report *report);
WS_MUST ws_err ws_bench_sequence(ws_bench_report *report);

#endif
