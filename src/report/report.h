/* report: records to tables and statistics. Reads a sweep's manifest and records, nothing else; trains and runs
 * nothing.
 *
 * A row is a cell: all trials that differ in their seeds only, aggregated per score. Rows and columns come in a fixed
 * order and sums run in the order of the seeds, so tables are the same bytes whatever the number of workers, the order
 * in which trials finished, and the interruptions. What cannot be reproduced (seconds, memory) stands in a table of its
 * own. Failed and missing trials are shown, never left out silently; no value is invented for them.
 */
#ifndef WS_REPORT_H
#define WS_REPORT_H

#include "core/core.h"

/* ---- statistics of one cell ---- */
typedef struct ws_statistics {
    size_t n;         /* values that are not NaN */
    double mean;      /* NaN for n = 0 */
    double deviation; /* sample standard deviation (n - 1); NaN for n < 2 */
    double low, high; /* 95 % Student t interval of the mean; NaN for n < 2 */
} ws_statistics;
/* Two passes, Neumaier-compensated, in the order given. NaN values are left out. */
ws_statistics ws_statistics_of(const double *values, size_t n);
/* Student t: P(T <= t), and its inverse by bisection (exact to the last bits). degrees > 0, 0 < probability < 1. */
double ws_student_probability(double t, double degrees);
double ws_student_quantile(double probability, double degrees);

/* ---- tables of one sweep ---- */
typedef struct ws_report ws_report;
WS_MUST ws_err ws_report_load(ws_report **out, const char *sweep_directory);
void ws_report_destroy(ws_report **report);

WS_MUST ws_err ws_report_markdown(const ws_report *report, ws_text *out);   /* for people */
WS_MUST ws_err ws_report_csv(const ws_report *report, ws_text *out);        /* a line for each cell, score, metric */
WS_MUST ws_err ws_report_json(const ws_report *report, ws_text *out);       /* the same as an array of objects */
WS_MUST ws_err ws_report_trials_csv(const ws_report *report, ws_text *out); /* a line for each trial, score, metric */
/* A line for each cell, score, class of anomalies and metric: that class against all normal test rows. */
WS_MUST ws_err ws_report_classes_csv(const ws_report *report, ws_text *out);
WS_MUST ws_err ws_report_cost_csv(const ws_report *report, ws_text *out); /* a line for each trial: seconds, memory */

/* table.md, table.csv, trials.csv, classes.csv and cost.csv in SWEEP_DIR/tables, each replaced as a whole. */
WS_MUST ws_err ws_report_write_tables(const ws_report *report);

#endif
