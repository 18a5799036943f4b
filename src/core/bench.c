/* Lines of benchmark results. */
#include "bench.h"

void ws_bench_line_with_target(ws_bench_report *report, const char *name, double value, const char *unit,
                               double ceiling, const char *of, double target)
{
    bool met = ceiling > 0 ? value >= target * ceiling : value <= target;
    if (report->json) {
        ws_text_appendf(report->out, "%s{\"name\":\"%s\",\"value\":%.6g,\"unit\":\"%s\"", report->begun ? ",\n " : "[",
                        name, value, unit);
        if (ceiling > 0)
            ws_text_appendf(report->out, ",\"ceiling\":%.6g,\"of\":\"%s\",\"ratio\":%.4f", ceiling, of,
                            value / ceiling);
        if (target > 0)
            ws_text_appendf(report->out, ",\"target\":%.4g,\"met\":%s", target, met ? "true" : "false");
        ws_text_append(report->out, "}");
    } else {
        ws_text_appendf(report->out, "%-44s %9.3g %-12s", name, value, unit);
        if (ceiling > 0)
            ws_text_appendf(report->out, " %5.1f %% of %s (%.3g)", 100 * value / ceiling, of, ceiling);
        if (target > 0 && ceiling > 0)
            ws_text_appendf(report->out, "; target %.0f %%: %s", 100 * target, met ? "met" : "missed");
        else if (target > 0)
            ws_text_appendf(report->out, " target at most %g: %s", target, met ? "met" : "missed");
        ws_text_append(report->out, "\n");
    }
    report->begun = true;
}

void ws_bench_line(ws_bench_report *report, const char *name, double value, const char *unit, double ceiling,
                   const char *of)
{
    ws_bench_line_with_target(report, name, value, unit, ceiling, of, 0);
}

ws_err ws_bench_end(ws_bench_report *report)
{
    if (report->json)
        ws_text_append(report->out, report->begun ? "]\n" : "[]\n");
    return ws_text_check(report->out);
}
