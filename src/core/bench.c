/* Lines of benchmark results. */
#include "bench.h"

void ws_bench_line(ws_bench_report *report, const char *name, double value, const char *unit, double ceiling,
                   const char *of)
{
    if (report->json) {
        ws_text_appendf(report->out, "%s{\"name\":\"%s\",\"value\":%.6g,\"unit\":\"%s\"", report->begun ? ",\n " : "[",
                        name, value, unit);
        if (ceiling > 0)
            ws_text_appendf(report->out, ",\"ceiling\":%.6g,\"of\":\"%s\",\"ratio\":%.4f", ceiling, of,
                            value / ceiling);
        ws_text_append(report->out, "}");
    } else {
        ws_text_appendf(report->out, "%-44s %9.3g %-12s", name, value, unit);
        if (ceiling > 0)
            ws_text_appendf(report->out, " %5.1f %% of %s (%.3g)", 100 * value / ceiling, of, ceiling);
        ws_text_append(report->out, "\n");
    }
    report->begun = true;
}

ws_err ws_bench_end(ws_bench_report *report)
{
    if (report->json)
        ws_text_append(report->out, report->begun ? "]\n" : "[]\n");
    return ws_text_check(report->out);
}
