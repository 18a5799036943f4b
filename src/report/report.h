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
#include "report/statistics.h"

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
