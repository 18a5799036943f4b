/* Benchmarks of the operators that walk along sequences, on one core. The ceiling of the selective scan is its multiply-adds
 * at the multiply-add peak: of a cell (one state of one channel at one step) 11 forward, 8 of them in the exponential, and
 * 19 backward, which walks forward once more. Additions and integer operations are taken to go beside them. */
#include <stdio.h>
#include <stdlib.h>
#include "arguments.h"
#include "engine/place.h"
#include "engine/timing.h"

enum { FORWARD_MULTIPLIES = 11, BACKWARD_MULTIPLIES = 19 };
/* 1.2 and 0.6 G cells/s on a core of 134 GFLOP/s. */
static const double FORWARD_TARGET = 1.2 / (134.0 / 2 / FORWARD_MULTIPLIES),
                    BACKWARD_TARGET = 0.6 / (134.0 / 2 / BACKWARD_MULTIPLIES);

static void scan_forward(void *data)
{
    ws_place_cpu().kernels->selective_scan_forward(data, NULL);
}

static void scan_backward(void *data)
{
    ws_place_cpu().kernels->selective_scan_backward(data, NULL);
}

static void bench_scan(ws_bench_report *r, ws_real *memory, int64_t B, int64_t T, int64_t E, int64_t N)
{
    int64_t points = B * T * E, rows = B * T * 2 * N;
    ws_selective_scan_arguments a = {.B = B, .T = T, .E = E, .N = N};
    a.u = ws_bench_take(&memory, points), a.delta = ws_bench_take(&memory, points),
    a.z = ws_bench_take(&memory, points);
    a.B_and_C = ws_bench_take(&memory, rows), a.A_log = ws_bench_take(&memory, E * N), a.D = ws_bench_take(&memory, E);
    a.dt_bias = ws_bench_take(&memory, E), a.dout = ws_bench_take(&memory, points),
    a.out = ws_bench_take(&memory, points);
    a.du = ws_bench_take(&memory, points), a.ddelta = ws_bench_take(&memory, points),
    a.dz = ws_bench_take(&memory, points);
    a.dB_and_C = ws_bench_take(&memory, rows), a.dA_log = ws_bench_take(&memory, E * N),
    a.dD = ws_bench_take(&memory, E);
    a.ddt_bias = ws_bench_take(&memory, E), a.states = ws_bench_take(&memory, B * ((T - 1) / WS_SCAN_STEPS) * N * E);
    a.scratch = ws_bench_take(&memory, ws_scan_scratch_backward(B, T, E, N));
    double cells = (double)(points * N) / 1e9;
    double forward = ws_time_of(scan_forward, &a, &ws_peak), backward = ws_time_of(scan_backward, &a, &ws_peak);
    char name[80];
    snprintf(name, sizeof name, "selective scan forward %dx%dx%dx%d", (int)B, (int)T, (int)E, (int)N);
    ws_bench_line_with_target(r, name, cells / forward, "Gcells/s", ws_peak_rate() / 2 / FORWARD_MULTIPLIES,
                              "its multiply-adds", FORWARD_TARGET);
    snprintf(name, sizeof name, "selective scan backward %dx%dx%dx%d", (int)B, (int)T, (int)E, (int)N);
    ws_bench_line_with_target(r, name, cells / backward, "Gcells/s", ws_peak_rate() / 2 / BACKWARD_MULTIPLIES,
                              "its multiply-adds", BACKWARD_TARGET);
}

ws_err ws_bench_scan(ws_bench_report *r)
{
    size_t room = (size_t)8 << 20;
    ws_real *memory = NULL;
    WS_TRY(ws_bench_memory(&memory, room));
    bench_scan(r, memory, 2, 443, 512, 16);
    bench_scan(r, memory, 4, 128, 256, 16);
    free(memory);
    return WS_OK;
}
