/* Progress for people: a live bar on a terminal, a line now and then elsewhere, nothing when quiet. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "cluster/cluster.h"

struct ws_progress {
    char title[96], unit[32], detail[160];
    double total, before, done, started, drawn; /* before: what was done when it began */
    double interval;                            /* seconds between two drawings */
    bool shown, terminal, drawn_once;
};

/* WIRESWEEP_PROGRESS_SECONDS: the distance of the lines in a log file (default 10). */
static double line_interval(void)
{
    double seconds = 0;
    const char *text = getenv("WIRESWEEP_PROGRESS_SECONDS");
    return text != NULL && ws_parse_double(text, &seconds) && seconds >= 0 ? seconds : 10;
}

ws_err ws_progress_start(ws_progress **out, const ws_comm *comm, const char *title, const char *unit, double total)
{
    ws_progress *progress = NULL;
    WS_TRY(WS_NEW(progress));
    snprintf(progress->title, sizeof progress->title, "%s", title);
    snprintf(progress->unit, sizeof progress->unit, "%s", unit);
    progress->total = total;
    progress->shown = comm->rank == 0 && !ws_log_is_quiet();
    progress->terminal = progress->shown && isatty(STDERR_FILENO) == 1;
    progress->interval = progress->terminal ? 0.1 : line_interval();
    progress->started = progress->drawn = ws_clock_seconds();
    *out = progress;
    return WS_OK;
}

/* 1234567 -> "1.23 M" */
static void format_amount(double value, char out[32])
{
    static const struct {
        double factor;
        const char *name;
    } units[] = {{1e12, " T"}, {1e9, " G"}, {1e6, " M"}, {1e4, " k"}};
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        if (value >= units[i].factor) {
            double scaled = value / (units[i].factor == 1e4 ? 1e3 : units[i].factor);
            snprintf(out, 32, scaled < 10 ? "%.2f%s" : scaled < 100 ? "%.1f%s" : "%.0f%s", scaled, units[i].name);
            return;
        }
    snprintf(out, 32, value < 10 && value != (double)(int)value ? "%.2f" : "%.0f", value);
}

static void describe(const ws_progress *progress, double now, ws_text *line)
{
    char done[32], total[32], rate[32], left[32];
    double elapsed = now - progress->started;
    double speed = elapsed > 0 ? (progress->done - progress->before) / elapsed : 0;
    format_amount(progress->done, done);
    format_amount(speed, rate);
    ws_text_appendf(line, "%s  ", progress->title);
    if (progress->total > 0) {
        double fraction = progress->done / progress->total;
        fraction = fraction < 0 ? 0 : fraction > 1 ? 1 : fraction;
        if (progress->terminal) {
            char bar[21];
            for (int i = 0; i < 20; i++)
                bar[i] = i < (int)(20 * fraction) ? '#' : '.';
            bar[20] = '\0';
            ws_text_appendf(line, "[%s] ", bar);
        }
        format_amount(progress->total, total);
        ws_text_appendf(line, "%3.0f %%  %s of %s %s  %s/s", 100 * fraction, done, total, progress->unit, rate);
        if (speed > 0 && progress->done < progress->total) {
            ws_format_seconds((progress->total - progress->done) / speed, left);
            ws_text_appendf(line, "  %s left", left);
        }
    } else {
        ws_text_appendf(line, "%s %s  %s/s", done, progress->unit, rate);
    }
    if (progress->detail[0] != '\0')
        ws_text_appendf(line, "  %s", progress->detail);
}

static void draw(ws_progress *progress, double now)
{
    ws_text line = {0};
    describe(progress, now, &line);
    if (progress->terminal)
        ws_log_status_line(ws_text_string(&line));
    else
        ws_info("%s", ws_text_string(&line));
    ws_text_destroy(&line);
    progress->drawn = now;
    progress->drawn_once = true;
}

void ws_progress_continue(ws_progress *progress, double done)
{
    progress->before = progress->done = done;
}

void ws_progress_update(ws_progress *progress, double done, const char *detail)
{
    if (progress == NULL || !progress->shown)
        return;
    progress->done = done;
    snprintf(progress->detail, sizeof progress->detail, "%s", detail == NULL ? "" : detail);
    double now = ws_clock_seconds();
    if (now - progress->drawn < progress->interval)
        return;
    draw(progress, now);
}

void ws_progress_finish(ws_progress **progress_)
{
    ws_progress *progress = *progress_;
    if (progress == NULL)
        return;
    if (progress->shown && progress->terminal)
        ws_log_status_line(NULL);
    else if (progress->shown && progress->drawn_once) /* a log that saw it begin also sees it end */
        draw(progress, ws_clock_seconds());
    free(progress);
    *progress_ = NULL;
}
