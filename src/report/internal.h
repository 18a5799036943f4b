/* report, inside the room: the cells of a sweep as loaded, and what the table writers share. */
#ifndef WS_REPORT_INTERNAL_H
#define WS_REPORT_INTERNAL_H

#include "evaluate/evaluate.h"
#include "report/document.h"
#include "report/report.h"

typedef enum ws_report_state { WS_REPORT_MISSING, WS_REPORT_DONE, WS_REPORT_FAILED } ws_report_state;

typedef struct ws_report_trial {
    const char *id, *split_hash;      /* in the arena */
    double train_seed, protocol_seed; /* NaN where there is none */
    ws_report_state state;
    const char *reason; /* of a failed one; in the arena */
    cJSON *record;      /* NULL where missing */
} ws_report_trial;

typedef struct ws_report_cell {
    const char *id, *dataset, *store_hash, *task, *protocol, *label,
        *model;          /* in the arena; label "" where there is none */
    const char *options; /* "sigma=0.1 train.steps=50": what varies between the cells of this model here */
    const cJSON *config; /* borrowed from the manifest */
    bool synthetic, deterministic, baseline;
    bool chosen;             /* a line of trials that stand in other cells; the records are theirs */
    bool external;           /* scored by another program; no trial of the sweep */
    ws_report_trial *trials; /* by protocol seed, then train seed */
    size_t count, capacity, done, failed;
    ws_string_list scores; /* names, sorted */
} ws_report_cell;

typedef struct ws_report_published { /* published.c */
    ws_json *file;
    char hash[65];
} ws_report_published;

typedef struct ws_report_figure { /* figures.c */
    size_t begin;                 /* first cell of its section */
    char *svg;
} ws_report_figure;

struct ws_report {
    char *directory;
    ws_json *manifest;
    ws_arena *arena;
    const char *name;
    ws_report_cell *cells; /* by data set, task, label, protocol; models before baselines; by model and options */
    size_t count;
    size_t unhashed; /* finished trials whose records do not state the hash of their result */
    ws_report_published *published;
    size_t published_count, published_capacity;
    cJSON *external; /* configurations of cells that other programs scored; external.c */
    ws_report_figure *figures;
    size_t figure_count, figure_capacity;
};

/* Brings the cells into their order again, after one was added. */
void ws_report_sort(ws_report *report);
/* True when two cells stand in the same table: the same rows, asked the same. */
bool ws_report_same_section(const ws_report_cell *a, const ws_report_cell *b);
/* cells[begin .. returned) share a section. */
size_t ws_report_section_end(const ws_report *report, size_t begin);
/* The section's metrics: those of the registry that its records hold; at most `most` pointers, returns how many. */
size_t ws_report_metrics(const ws_report *report, size_t begin, size_t end, const ws_metric **out, size_t most);
/* What the record says of a score; NULL where it does not name it. */
const cJSON *ws_report_score(const ws_report_trial *trial, const char *score);
/* NaN where the record has no such value. */
double ws_report_value(const ws_report_trial *trial, const char *score, const char *metric);
/* An end (0: low, 1: high) of the value's interval over resamples of the test rows; NaN where there is none. */
double ws_report_interval(const ws_report_trial *trial, const char *score, const char *metric, int side);
ws_err ws_report_cell_statistics(const ws_report_cell *cell, const char *score, const char *metric, ws_statistics *out);
/* What tables are for people is built as a document (document.h), section by section. write_markdown.c: a text inside a table. */
void ws_report_markdown_text(ws_text *out, const char *text);

/* grid.c: the values of a section's table: a line for each cell and score, a column for each value, one value for each trial. */
typedef struct ws_report_line {
    const ws_report_cell *cell;
    const char *score; /* NULL: the cell has none, as no trial of it is done */
} ws_report_line;
typedef struct ws_report_grid {
    ws_report_line *lines;
    size_t line_count, line_capacity, columns;
    double **values; /* [line * columns + column][trial of the line's cell] */
    bool *bold;      /* the same */
} ws_report_grid;
WS_MUST ws_err ws_report_grid_create(const ws_report *report, size_t begin, size_t end, size_t columns,
                                     ws_report_grid *out);
void ws_report_grid_destroy(ws_report_grid *grid);
double *ws_report_grid_values(const ws_report_grid *grid, size_t line, size_t column);
/* Bold: the best mean, and what the paired test with Holm's correction does not tell from it. Nothing below two lines. */
WS_MUST ws_err ws_report_grid_mark_best(ws_report_grid *grid, size_t column, bool higher_is_better);
/* "model options", "score". */
void ws_report_add_head(ws_table *table, const ws_report_line *line);
/* "mean ± deviation", the values of all trials behind it; decimals after the point, or significant digits where negative. */
void ws_report_add_value(ws_table *table, const ws_report_cell *cell, const double *values, bool bold, int decimals);
/* Two lines compared: by seed where they share any, with `paired` undefined otherwise. No p where either is deterministic on the
 * rows at hand (no spread), or where one value of a deterministic method stands against several seeds. */
typedef struct ws_report_pairing {
    ws_paired paired;
    ws_welch welch;
    ws_unpaired unpaired;
    bool testable;
} ws_report_pairing;
WS_MUST ws_err ws_report_pair(const ws_report_cell *a, const double *values_a, const ws_report_cell *b,
                              const double *values_b, ws_report_pairing *out);

/* scored.c: the scored rows of a finished trial, as they lie beside its record. */
typedef struct ws_report_scored {
    uint64_t rows;
    uint64_t *row_hash;
    int32_t *truth;
    uint8_t *is_test; /* otherwise validation */
    uint8_t *anomalous;
    float *score; /* NULL where none was asked for */
    char **class_names;
    size_t class_count;
} ws_report_scored;
/* *found: false, and nothing else done, where the folder keeps no scores of anomalies of that name. */
WS_MUST ws_err ws_report_scored_read(const ws_report *report, const ws_report_trial *trial, const char *score,
                                     bool *found, ws_report_scored *out);
void ws_report_scored_destroy(ws_report_scored *scored);

/* curves.c: ROC and precision against recall at WS_CURVE_POINTS places, mean and sample deviation over the seeds of a line. */
enum { WS_CURVE_POINTS = 201 };
typedef struct ws_report_curve {
    double x[WS_CURVE_POINTS], mean[WS_CURVE_POINTS], deviation[WS_CURVE_POINTS];
    size_t n; /* seeds; 0: none has scores */
} ws_report_curve;
WS_MUST ws_err ws_report_curves(const ws_report *report, const ws_report_line *line, ws_report_curve *roc,
                                ws_report_curve *precision);

/* compare.c: every line against the reference that the sweep has frozen, one family of tests a section. */
typedef struct ws_report_comparison {
    ws_report_grid grid; /* one column: the metric of the tests */
    const ws_metric *metric;
    const char *test, *correction; /* "paired_t", "sign_flip", "wilcoxon"; "holm", "benjamini_hochberg" */
    size_t reference;              /* line; SIZE_MAX: none, and `complaint` says why */
    bool frozen;                   /* named by the sweep; otherwise the best single feature */
    char complaint[256];
    ws_report_pairing *pairing; /* [line] */
    double *p, *corrected;      /* of the chosen test; NaN where none is made */
} ws_report_comparison;
WS_MUST ws_err ws_report_compare(const ws_report *report, size_t begin, size_t end, ws_report_comparison *out);
void ws_report_comparison_destroy(ws_report_comparison *comparison);
WS_MUST ws_err ws_report_comparison_table(const ws_report *report, size_t begin, size_t end, ws_document *out);

/* published.c, ablation.c, targets.c; cost.c is of the whole sweep. */
WS_MUST ws_err ws_report_published_tables(const ws_report *report, size_t begin, size_t end, ws_document *out);
WS_MUST ws_err ws_report_ablation_table(const ws_report *report, size_t begin, size_t end, ws_document *out);
/* elsewhere.c: trials tested on other stores than their own. */
WS_MUST ws_err ws_report_elsewhere_table(const ws_report *report, size_t begin, size_t end, ws_document *out);
WS_MUST ws_err ws_report_targets_table(const ws_report *report, size_t begin, size_t end, ws_document *out);
WS_MUST ws_err ws_report_cost_table(const ws_report *report, ws_document *out);
/* thresholds.c, classes.c, notes.c, alarms.c: further tables and lines of a section; nothing where there is nothing to show. */
WS_MUST ws_err ws_report_thresholds_table(const ws_report *report, size_t begin, size_t end, ws_document *out);
WS_MUST ws_err ws_report_classes_table(const ws_report *report, size_t begin, size_t end, ws_document *out);
WS_MUST ws_err ws_report_class_shares_table(const ws_report *report, size_t begin, size_t end, ws_document *out);
WS_MUST ws_err ws_report_alarms(const ws_report *report, size_t begin, size_t end, ws_text *out);
/* extent.c: the rows of a section's parts, and how long its models were trained. */
WS_MUST ws_err ws_report_extent_markdown(const ws_report *report, size_t begin, size_t end, ws_text *out);
/* csv.c: fields, each with its comma in front unless it begins a line; what the lines of all tables begin with. */
extern const char ws_report_csv_header[];
void ws_report_csv_text(ws_text *out, const char *text);
void ws_report_csv_number(ws_text *out, double value);
void ws_report_csv_cell(ws_text *out, const ws_report_cell *cell);
/* notes.c: failed trials, values that are not defined, solutions beyond their tolerance; nothing where there are none. */
void ws_report_notes_markdown(const ws_report *report, size_t begin, size_t end, ws_text *out);
/* choose.c: adds lines for sigma as chosen on normal validation rows, where the records say what decides. */
WS_MUST ws_err ws_report_add_chosen(ws_report *report);
/* Fills the `options` of all cells; cells are sorted by section. */
WS_MUST ws_err ws_report_describe_options(ws_report *report);
/* Distinct texts of a field of the records ("run.program_hash"), sorted, with the number of trials of each. */
typedef struct ws_report_tally {
    const char *text; /* borrowed */
    size_t trials;
} ws_report_tally;
WS_MUST ws_err ws_report_count_texts(const ws_report *report, size_t begin, size_t end, const char *field,
                                     ws_report_tally **out, size_t *count);

#endif
