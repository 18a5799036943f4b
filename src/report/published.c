/* Published numbers beside those of the sweep. A file of configs/baselines holds them with their source; its hash stands under every
 * table made with it, so that a reader can tell whether the yardstick was moved.
 *
 *   { "source", "seen", "protocol": words, "seeds": N (of the mean, where the paper says it), "split": a protocol of this program,
 *     "rows": [ { "dataset", "task", "model", "metric", "value", "deviation", "seeds", "split", "class", "where" } ] }
 *
 * Values are compared where data set and metric are the same; whether the rows and the split are, the table says as far as it knows.
 */
#include "report/internal.h"

#include <math.h>
#include <stdlib.h>
#include "storage/storage.h"

static const char *text_of(const cJSON *row, const char *key, const char *otherwise)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(row, key));
    return text ? text : otherwise;
}

static double number_of(const cJSON *row, const char *key)
{
    return cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(row, key));
}

static ws_err check_rows(const ws_json *file)
{
    const cJSON *rows = cJSON_GetObjectItemCaseSensitive(ws_json_root(file), "rows"), *row = NULL;
    WS_CHECK(cJSON_GetArraySize(rows) > 0 && cJSON_IsArray(rows) && text_of(ws_json_root(file), "source", NULL), FORMAT,
             "%s: no published numbers: \"source\" and \"rows\" are needed", ws_json_name(file));
    cJSON_ArrayForEach(row, rows)
    {
        char place[512];
        ws_json_position(file, row, place);
        WS_CHECK(text_of(row, "dataset", NULL) && text_of(row, "model", NULL) && text_of(row, "metric", NULL) &&
                     !isnan(number_of(row, "value")),
                 FORMAT, "%s: a published number needs dataset, model, metric and value", place);
    }
    return WS_OK;
}

ws_err ws_report_add_published(ws_report *report, const char *path)
{
    char *text = NULL;
    size_t bytes = 0;
    ws_report_published added = {0};
    WS_TRY(ws_file_read(path, &text, &bytes));
    ws_digest digest = ws_sha256_of(text, bytes);
    ws_digest_hex(&digest, added.hash);
    free(text);
    WS_TRY(ws_json_read_file(&added.file, path));
    ws_err error = check_rows(added.file);
    if (error == WS_OK)
        error = WS_GROW(report->published, report->published_capacity, report->published_count + 1);
    if (error == WS_OK)
        report->published[report->published_count++] = added;
    else
        ws_json_destroy(&added.file);
    return error;
}

/* ---------------------------------------------------------------- the table */

typedef struct yardstick {
    const cJSON *root, *row;
    double value, deviation, seeds;
    bool same_split;
} yardstick;

static yardstick read_yardstick(const ws_report_published *published, const cJSON *row, const ws_report_cell *cell)
{
    const cJSON *root = ws_json_root(published->file);
    double seeds = number_of(row, "seeds");
    const char *split = text_of(row, "split", text_of(root, "split", ""));
    return (yardstick){root,
                       row,
                       number_of(row, "value"),
                       number_of(row, "deviation"),
                       isnan(seeds) ? number_of(root, "seeds") : seeds,
                       strcmp(split, cell->protocol) == 0};
}

static void add_published_value(ws_table *table, const yardstick *y)
{
    ws_text text = {0};
    ws_text_appendf(&text, "%.4f", y->value);
    if (!isnan(y->deviation))
        ws_text_appendf(&text, " ± %.4f", y->deviation);
    if (!isnan(y->seeds))
        ws_text_appendf(&text, " (n %.0f)", y->seeds);
    ws_table_add(table, ws_text_string(&text))->rest = strdup("†");
    ws_text_destroy(&text);
}

/* Undefined where the paper gives no spread or no number of seeds, and for a deterministic method of ours. */
static double welch_p(const ws_statistics *s, const yardstick *y)
{
    if (!(s->deviation > 0))
        return NAN;
    return ws_compare_welch(s->mean, s->deviation, (double)s->n, y->value, y->deviation, y->seeds).p;
}

static void add_judgement(ws_table *table, const ws_statistics *s, const yardstick *y)
{
    ws_interval prediction = ws_prediction_interval(s);
    double p = welch_p(s, y);
    ws_table_addf(table, "%+.4f", s->mean - y->value);
    if (isnan(prediction.low)) {
        ws_table_add(table, "n/a");
        ws_table_add(table, "n/a");
    } else {
        ws_table_addf(table, "%+.4f to %+.4f", s->low - y->value, s->high - y->value);
        ws_table_add(table, y->value < prediction.low    ? "published is below"
                            : y->value > prediction.high ? "published is above"
                                                         : "published is inside");
    }
    if (isnan(p))
        ws_table_add(table, "n/a");
    else
        ws_table_addf(table, p < 0.0001 ? "<0.0001" : "%.4f", p);
    ws_table_add(table, y->same_split ? "as published" : "another");
}

static double value_of(const ws_report_trial *trial, const char *score, const cJSON *row)
{
    const char *class = text_of(row, "class", NULL), *metric = text_of(row, "metric", "");
    if (!class)
        return ws_report_value(trial, score, metric);
    const cJSON *classes = cJSON_GetObjectItemCaseSensitive(ws_report_score(trial, score), "per_class");
    return number_of(cJSON_GetObjectItemCaseSensitive(classes, class), metric);
}

/* Better than published by more than chance allows, under the split that was published: more often a leak than a discovery. */
static bool is_too_good(const ws_statistics *s, const yardstick *y)
{
    double p = welch_p(s, y);
    bool beyond = isnan(p) ? ws_prediction_interval(s).low > y->value : p < 0.05;
    return y->same_split && s->mean > y->value && beyond;
}

static void add_line(const ws_report_line *line, const double *values, const yardstick *y, ws_table *table,
                     ws_text *alarms)
{
    ws_statistics s = ws_statistics_of(values, line->cell->count);
    const char *class = text_of(y->row, "class", NULL);
    if (s.n == 0)
        return;
    ws_table_addf(table, "%s%s%s", text_of(y->row, "model", ""), class ? ": " : "", class ? class : "");
    ws_table_add(table, text_of(y->row, "where", ""));
    ws_table_add(table, text_of(y->row, "metric", ""));
    add_published_value(table, y);
    ws_report_add_head(table, line);
    ws_report_add_value(table, line->cell, values, false, 4);
    add_judgement(table, &s, y);
    if (is_too_good(&s, y))
        ws_text_appendf(
            alarms,
            "\n**Too good?** %s, %s: %s %.4f is above the published %.4f (%s) by more than chance allows; look for a "
            "leak first.\n",
            line->cell->model, line->score, text_of(y->row, "metric", ""), s.mean, y->value,
            text_of(y->row, "model", ""));
}

static void begin(ws_table *table)
{
    static const char *const heads[] = {"published",     "where",        "metric",    "value",
                                        "model",         "score",        "ours",      "difference",
                                        "95 % interval", "our next run", "p (Welch)", "split"};
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++)
        ws_table_add_column(table, heads[i], i == 3 || (i > 5 && i != 9 && i != 11));
}

static ws_err add_rows(const ws_report_published *published, const ws_report_grid *grid, ws_table *table,
                       ws_text *alarms)
{
    const cJSON *row = NULL;
    cJSON_ArrayForEach(row, cJSON_GetObjectItemCaseSensitive(ws_json_root(published->file), "rows"))
    {
        for (size_t i = 0; i < grid->line_count; i++) {
            const ws_report_line *line = &grid->lines[i];
            double *values = ws_report_grid_values(grid, i, 0);
            if (!line->score || strcmp(text_of(row, "dataset", ""), line->cell->dataset) != 0)
                continue;
            for (size_t t = 0; t < line->cell->count; t++)
                values[t] = value_of(&line->cell->trials[t], line->score, row);
            yardstick y = read_yardstick(published, row, line->cell);
            add_line(line, values, &y, table, alarms);
        }
    }
    return WS_OK;
}

static ws_err add_file(const ws_report_published *published, const ws_report_grid *grid, ws_document *out)
{
    ws_text alarms = {0}, caption = {0};
    const cJSON *root = ws_json_root(published->file);
    ws_text_appendf(&caption, "Beside published numbers (%s)", ws_path_base(ws_json_name(published->file)));
    ws_table *table = ws_document_table(out, ws_text_string(&caption));
    begin(table);
    ws_err error = add_rows(published, grid, table, &alarms);
    bool any = table->cell_count > 0;
    ws_text *text = ws_document_text(out);
    if (!any)
        ws_text_append(text, "\nNone of its numbers is of this data set and one of these metrics.\n");
    ws_text_appendf(
        text,
        "\nPublished: %s. Read: %s. Its protocol: %s. File `%s`. †: copied, not measured here; our next run: the "
        "95 %% prediction interval of one more seed.\n",
        text_of(root, "source", ""), text_of(root, "seen", "not said"), text_of(root, "protocol", "not said"),
        published->hash);
    ws_text_append(text, ws_text_string(&alarms));
    ws_text_destroy(&alarms);
    ws_text_destroy(&caption);
    return error;
}

ws_err ws_report_published_tables(const ws_report *report, size_t begin_cell, size_t end, ws_document *out)
{
    ws_report_grid grid;
    WS_TRY(ws_report_grid_create(report, begin_cell, end, 1, &grid));
    ws_err error = WS_OK;
    for (size_t i = 0; i < report->published_count && error == WS_OK; i++)
        error = add_file(&report->published[i], &grid, out);
    ws_report_grid_destroy(&grid);
    return error;
}
