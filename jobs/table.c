/* wiresweep table: the table of a sweep, from its records. */
#include <stdlib.h>

#include "jobs/job.h"
#include "report/report.h"
#include "storage/storage.h"

typedef struct options {
    ws_job_common common;
    const char *output, *figures;
    ws_string_list format, tables, baseline, scores;
} options;

static const ws_option fields[] = {
    WS_JOB_COMMON_OPTIONS(options),
    WS_OPTION_STRING(options, output, NULL, "-o: a file instead of standard output (-)"),
    WS_OPTION_LIST(
        options, format, "md",
        "md (for people), csv (long form, full precision), tex (booktabs), html (one page that needs nothing "
        "else)"),
    WS_OPTION_LIST(
        options, tables, "comparison,thresholds,classes,shares,ablation",
        "md, tex and html: beside the main tables comparison (every line against the sweep's reference), "
        "thresholds, classes, shares (of each class, with intervals), ablation, cost (no two runs give the same), "
        "or none"),
    WS_OPTION_STRING(options, figures, NULL,
                     "a folder for figures (SVG, PNG and their gnuplot scripts); html shows them in the page"),
    WS_OPTION_REPEATED(
        options, scores,
        "scores of another program as one more line, a CSV file with the columns row_hash and score (and "
        "protocol_seed, train_seed); may be repeated"),
    WS_OPTION_REPEATED(options, baseline,
                       "published numbers beside ours: a name in configs/baselines, or a file; may be repeated"),
    WS_OPTION_END};
static const ws_option_table table = {"", sizeof(options), fields, "table"};

static ws_err read_tables(const ws_string_list *names, unsigned *out)
{
    static const char *const known[] = {"comparison", "thresholds", "classes", "shares", "ablation", "cost", "none"};
    static const unsigned bits[] = {WS_TABLES_COMPARISON,
                                    WS_TABLES_THRESHOLDS,
                                    WS_TABLES_CLASSES,
                                    WS_TABLES_CLASS_SHARES,
                                    WS_TABLES_ABLATION,
                                    WS_TABLES_COST,
                                    0};
    const size_t count = sizeof known / sizeof *known;
    *out = 0;
    for (size_t i = 0; i < names->count; i++) {
        size_t k = 0;
        while (k < count && strcmp(names->items[i], known[k]) != 0)
            k++;
        const char *closest = k < count ? NULL : ws_closest_name(names->items[i], known, count);
        WS_CHECK(k < count, ARGUMENT,
                 "--tables %s: there are comparison, thresholds, classes, shares, ablation, cost and none%s%s%s",
                 names->items[i], closest ? ". Did you mean " : "", closest ? closest : "", closest ? "?" : "");
        *out |= bits[k];
    }
    return WS_OK;
}

/* NAME of configs/baselines: below the working folder, or beside the build that this program is of. */
static char *find_baseline(const char *name)
{
    char *path = ws_format("configs/baselines/%s.json", name), *program = realpath(ws_executable, NULL);
    for (int up = 0; up < 4 && path && program && !ws_file_exists(path); up++) {
        char *slash = strrchr(program, '/');
        if (!slash)
            break;
        *slash = '\0';
        free(path);
        path = ws_format("%s/configs/baselines/%s.json", program, name);
    }
    free(program);
    return path;
}

static ws_err add_baseline(ws_report *report, const char *name)
{
    bool is_file = strchr(name, '/') || (strlen(name) > 5 && strcmp(name + strlen(name) - 5, ".json") == 0);
    char *path = is_file ? strdup(name) : find_baseline(name);
    WS_CHECK(path, MEMORY, "no memory for a path");
    ws_err error = WS_OK;
    if (ws_file_exists(path)) {
        error = ws_report_add_published(report, path);
    } else {
        error = WS_ERROR(ARGUMENT, "--baseline %s: there is no %s", name, is_file ? "such file" : "file of that name");
        WS_HINT("names are those of configs/baselines without .json; a file is given with its path");
    }
    free(path);
    return error;
}

static ws_err add_table(const ws_report *report, const char *format, unsigned tables, ws_text *out)
{
    static const char *const names[] = {"md", "tex", "html", "csv"};
    for (int i = 0; i < 3; i++)
        if (strcmp(format, names[i]) == 0)
            return ws_report_write(report, tables, (ws_report_format)i, out);
    if (strcmp(format, "csv") == 0)
        return ws_report_csv(report, out);
    const char *closest = ws_closest_name(format, names, 4);
    WS_FAIL(ARGUMENT, "--format %s: there are md, csv, tex and html%s%s%s", format, closest ? ". Did you mean " : "",
            closest ? closest : "", closest ? "?" : "");
}

static ws_err run(const ws_comm *world, const void *values, const ws_string_list *positional, ws_arena *arena)
{
    (void)world;
    (void)arena;
    const options *given = values;
    WS_CHECK(positional->count == 1, ARGUMENT, "table takes one sweep folder, and was given %zu", positional->count);
    ws_report *report = NULL;
    ws_text text = {0};
    unsigned tables;
    WS_TRY(read_tables(&given->tables, &tables));
    WS_TRY(ws_job_check_output(given->output));
    WS_TRY(ws_report_load(&report, positional->items[0]));
    ws_err error = WS_OK;
    for (size_t i = 0; i < given->scores.count && error == WS_OK; i++)
        error = ws_report_add_scores(report, given->scores.items[i]);
    for (size_t i = 0; i < given->baseline.count && error == WS_OK; i++)
        error = add_baseline(report, given->baseline.items[i]);
    if (error == WS_OK && given->figures)
        error = ws_report_draw(report, given->figures);
    if (error == WS_OK && given->common.json)
        error = ws_report_json(report, &text);
    for (size_t i = 0; i < given->format.count && error == WS_OK && !given->common.json; i++)
        error = add_table(report, given->format.items[i], tables, &text);
    if (error == WS_OK)
        error = ws_job_write_output(given->output, &text);
    ws_text_destroy(&text);
    ws_report_destroy(&report);
    return error;
}

const ws_job ws_job_table = {
    .name = "table",
    .usage = "table [OPTIONS] SWEEP_DIR",
    .help = "the tables of a sweep from its records: means, spreads, tests, published numbers, figures",
    .example = "  wiresweep table build/smoke --format csv -o smoke.csv\n"
               "  wiresweep table build/smoke --format html --figures build/figures -o smoke.html",
    .options = &table,
    .run = run,
};
