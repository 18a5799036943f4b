/* Results of benchmarks as lines of a table or a JSON array of {name, value, unit, ceiling, of, ratio, target, met}, each a ratio to
 * a ceiling measured in the same run, beside what it is to be where a target is set. */
#ifndef WS_CORE_BENCH_H
#define WS_CORE_BENCH_H

#include "text.h"

typedef struct ws_bench_report { /* zero-initialise but for out and json */
    ws_text *out;                /* borrowed */
    bool json, begun;
} ws_bench_report;
/* ceiling 0: none, `of` is not used then. */
void ws_bench_line(ws_bench_report *report, const char *name, double value, const char *unit, double ceiling,
                   const char *of);
/* The same, beside a target: the share of the ceiling to be reached, or without a ceiling the most that the value is to be. 0: none
 * is set. */
void ws_bench_line_with_target(ws_bench_report *report, const char *name, double value, const char *unit,
                               double ceiling, const char *of, double target);
WS_MUST ws_err ws_bench_end(ws_bench_report *report);

#endif
