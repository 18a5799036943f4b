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

/* For people: the main table of every section, and of the others those that are asked for. */
typedef enum ws_report_format { WS_REPORT_MARKDOWN, WS_REPORT_LATEX, WS_REPORT_HTML } ws_report_format;
enum {
    WS_TABLES_COMPARISON =
        1, /* every line against the reference frozen by the sweep: differences, tests, seeds needed */
    WS_TABLES_THRESHOLDS = 2, /* what thresholds chosen on normal validation rows give on test rows */
    WS_TABLES_CLASSES = 4,    /* each class of anomalies against all normal test rows */
    WS_TABLES_CLASS_SHARES =
        8, /* share of each class that is found, with its test rows and an interval for their number */
    WS_TABLES_ABLATION = 16, /* what a model's settings change, one at a time */
    WS_TABLES_ALL = 31,
    WS_TABLES_COST = 32 /* seconds, memory, energy: the only table that another run does not give again */
};
/* Published numbers, a file of configs/baselines: compared with every section of their data set by ws_report_write. */
WS_MUST ws_err ws_report_add_published(ws_report *report, const char *path);
WS_MUST ws_err ws_report_write(const ws_report *report, unsigned tables, ws_report_format format, ws_text *out);
WS_MUST ws_err ws_report_markdown(const ws_report *report, ws_text *out);   /* main tables and classes */
WS_MUST ws_err ws_report_csv(const ws_report *report, ws_text *out);        /* a line for each cell, score, metric */
WS_MUST ws_err ws_report_json(const ws_report *report, ws_text *out);       /* the same as an array of objects */
WS_MUST ws_err ws_report_trials_csv(const ws_report *report, ws_text *out); /* a line for each trial, score, metric */
/* A line for each cell, score, class of anomalies and metric: that class against all normal test rows. */
WS_MUST ws_err ws_report_classes_csv(const ws_report *report, ws_text *out);
WS_MUST ws_err ws_report_cost_csv(const ws_report *report, ws_text *out); /* a line for each trial: seconds, memory */

/* Scores of another program, a CSV file of row_hash and score (and protocol_seed, train_seed where there are several), as one more
 * line of every section of anomaly detection whose splits it covers: the same rows, metrics, thresholds and audit. */
WS_MUST ws_err ws_report_add_scores(ws_report *report, const char *path);
/* Draws every section's figures into a folder: NAME.svg, NAME.png and NAME.gnuplot, the script with its data, to be restyled; pages
 * of HTML written afterwards show them. WS_E_UNSUPPORTED where there is no gnuplot. */
WS_MUST ws_err ws_report_draw(ws_report *report, const char *folder);

/* A line for each cell and score but the reference: difference, intervals, tests, corrected p, seeds needed. */
WS_MUST ws_err ws_report_comparison_csv(const ws_report *report, ws_text *out);
/* A line for each cell, score and threshold. */
WS_MUST ws_err ws_report_thresholds_csv(const ws_report *report, ws_text *out);

/* table.md and the CSV files above in SWEEP_DIR/tables, each replaced as a whole. */
WS_MUST ws_err ws_report_write_tables(const ws_report *report);

#endif
