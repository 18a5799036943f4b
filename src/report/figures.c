/* The figures of a section: means with their intervals, ROC and precision-recall curves with bands over seeds, confusion matrices,
 * what one setting changes, losses during training. Each is a pure function of the records and of what lies beside them. */
#include "report/internal.h"
#include "report/plot.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include "storage/storage.h"

enum { MOST_CURVES = 8, METRICS = 64 };

typedef struct section {
    ws_report *report;
    const char *folder;
    size_t number, begin, end;
    const ws_metric *metric;
    ws_report_grid grid; /* one column: the section's first metric */
} section;

static ws_err name_line(const ws_report_line *line, bool with_score, ws_text *out)
{
    const ws_report_cell *cell = line->cell;
    ws_text_appendf(out, "%s%s%s%s%s", cell->model, cell->options[0] ? " " : "", cell->options, with_score ? ", " : "",
                    with_score ? line->score : "");
    return ws_text_check(out);
}

/* Draws the plot as sNUMBER_NAME and keeps it for pages. */
static ws_err draw(section *s, ws_plot *plot, const char *name)
{
    ws_report *report = s->report;
    char *file = ws_format("s%zu_%s", s->number, name), *svg = NULL;
    WS_CHECK(file, MEMORY, "no memory for a figure");
    ws_err error = WS_GROW(report->figures, report->figure_capacity, report->figure_count + 1);
    if (error == WS_OK)
        error = ws_plot_draw(plot, s->folder, file, &svg);
    if (error == WS_OK)
        report->figures[report->figure_count++] = (ws_report_figure){s->begin, svg};
    free(file);
    ws_plot_destroy(plot);
    return error;
}

static void set_title(const section *s, ws_plot *plot, const char *what)
{
    const ws_report_cell *cell = &s->report->cells[s->begin];
    ws_text title = {0};
    ws_text_appendf(&title, "%s: %s, %s split", what, cell->dataset, cell->protocol);
    ws_text_append(&plot->settings, "set title ");
    ws_plot_quote(&plot->settings, ws_text_string(&title));
    ws_text_append(&plot->settings, "\n");
    ws_text_destroy(&title);
}

/* ---------------------------------------------------------------- means and intervals */

static ws_err draw_intervals(section *s)
{
    ws_plot plot = {.width = 900};
    size_t shown = 0;
    ws_text_append(&plot.data, "$means << EOD\n");
    for (size_t i = 0; i < s->grid.line_count; i++) {
        const ws_report_line *line = &s->grid.lines[i];
        ws_statistics m = ws_statistics_of(ws_report_grid_values(&s->grid, i, 0), line->cell->count);
        ws_text name = {0};
        if (m.n == 0)
            continue;
        WS_TRY(name_line(line, true, &name));
        ws_text_appendf(&plot.data, "%zu %.9g %.9g %.9g ", ++shown, m.mean, isnan(m.low) ? m.mean : m.low,
                        isnan(m.high) ? m.mean : m.high);
        ws_plot_quote(&plot.data, ws_text_string(&name));
        ws_text_append(&plot.data, "\n");
        ws_text_destroy(&name);
    }
    ws_text_append(&plot.data, "EOD\n");
    plot.height = 120 + 26 * (int)shown;
    set_title(s, &plot, s->metric->name);
    ws_text_appendf(&plot.settings,
                    "set offsets graph 0.02, graph 0.02, 0, 0\nset yrange [%zu.5:0.5]\nset xlabel \"%s, mean over "
                    "seeds and 95 %% t interval\"\n",
                    shown, s->metric->name);
    ws_plot_curve(&plot, NULL, "$means using 2:1:3:4:ytic(5) with xerrorbars lt 1 dt 1 pt 7 ps 0.8");
    if (shown > 0)
        return draw(s, &plot, "intervals");
    ws_plot_destroy(&plot);
    return WS_OK;
}

/* ---------------------------------------------------------------- curves */

/* The lines to be drawn: of each cell the score with the best mean, of all these the best ones; in the order of the table. */
static size_t choose_lines(const section *s, size_t chosen[MOST_CURVES])
{
    size_t count = 0;
    double means[MOST_CURVES];
    for (size_t i = 0; i < s->grid.line_count; i++) {
        const ws_report_line *line = &s->grid.lines[i];
        double mean = ws_statistics_of(ws_report_grid_values(&s->grid, i, 0), line->cell->count).mean;
        size_t at = count, lowest = 0;
        if (isnan(mean) || line->cell->chosen)
            continue;
        for (size_t k = 0; k < count; k++) {
            at = s->grid.lines[chosen[k]].cell == line->cell ? k : at;
            lowest = means[k] < means[lowest] ? k : lowest;
        }
        if (at == MOST_CURVES)
            at = lowest;
        if (at < count && means[at] >= mean)
            continue;
        for (size_t k = at; k + 1 < count; k++) {
            chosen[k] = chosen[k + 1];
            means[k] = means[k + 1];
        }
        count -= at < count;
        chosen[count] = i;
        means[count++] = mean;
    }
    return count;
}

static void add_curve(ws_plot *plot, const char *name, const ws_report_curve *curve)
{
    size_t number = ++plot->lines;
    ws_text title = {0};
    ws_text_appendf(&title, "%s (n %zu)", name, curve->n);
    ws_text_appendf(&plot->data, "$curve%zu << EOD\n", number);
    for (size_t i = 0; i < WS_CURVE_POINTS; i++) {
        double low = curve->mean[i] - curve->deviation[i], high = curve->mean[i] + curve->deviation[i];
        ws_text_appendf(&plot->data, "%.9g %.9g %.9g %.9g\n", curve->x[i], curve->mean[i], low > 0 ? low : 0,
                        high < 1 ? high : 1);
    }
    ws_text_append(&plot->data, "EOD\n");
    if (curve->n > 1)
        ws_plot_curve(plot, NULL, "$curve%zu using 1:3:4 with filledcurves lt %zu fs transparent solid 0.1 noborder",
                      number, number);
    ws_plot_curve(plot, ws_text_string(&title), "$curve%zu using 1:2 with lines lt %zu", number, number);
    ws_text_destroy(&title);
}

static ws_err draw_curves(section *s)
{
    static const char frame[] =
        "set xrange [0:1]\nset yrange [0:1]\nset key outside right top vertical\nset size ratio 0.8\n";
    size_t chosen[MOST_CURVES], count = choose_lines(s, chosen);
    ws_plot roc = {.width = 1100, .height = 560}, precision = {.width = 1100, .height = 560};
    ws_err error = WS_OK;
    for (size_t i = 0; i < count && error == WS_OK; i++) {
        const ws_report_line *line = &s->grid.lines[chosen[i]];
        ws_report_curve rates, precisions;
        ws_text name = {0};
        error = ws_report_curves(s->report, line, &rates, &precisions);
        if (error == WS_OK && rates.n > 0)
            error = name_line(line, true, &name);
        if (error == WS_OK && rates.n > 0) {
            add_curve(&roc, ws_text_string(&name), &rates);
            add_curve(&precision, ws_text_string(&name), &precisions);
        }
        ws_text_destroy(&name);
    }
    if (error == WS_OK && roc.lines > 0) {
        set_title(s, &roc, "ROC, mean and deviation over seeds");
        set_title(s, &precision, "Precision and recall, mean and deviation over seeds");
        ws_text_appendf(&roc.settings, "%sset xlabel \"false positive rate\"\nset ylabel \"true positive rate\"\n",
                        frame);
        ws_text_appendf(&precision.settings, "%sset xlabel \"recall\"\nset ylabel \"precision\"\n", frame);
        error = draw(s, &roc, "roc");
        if (error == WS_OK)
            error = draw(s, &precision, "precision_recall");
    }
    ws_plot_destroy(&roc);
    ws_plot_destroy(&precision);
    return error;
}

/* ---------------------------------------------------------------- confusion matrices */

/* Share of the rows of class `row` that is called `column`: the mean over the trials that have such rows. */
static double share_called(const ws_report_line *line, int row, int column)
{
    double sum = 0;
    size_t trials = 0;
    for (size_t t = 0; t < line->cell->count; t++) {
        const cJSON *matrix =
            cJSON_GetObjectItemCaseSensitive(ws_report_score(&line->cell->trials[t], line->score), "confusion");
        const cJSON *counts = cJSON_GetArrayItem(matrix, row), *count;
        double rows = 0;
        cJSON_ArrayForEach(count, counts) rows += count->valuedouble;
        if (!(rows > 0))
            continue;
        sum += cJSON_GetNumberValue(cJSON_GetArrayItem(counts, column)) / rows;
        trials++;
    }
    return trials ? sum / (double)trials : NAN;
}

static const cJSON *classes_of(const ws_report_line *line)
{
    for (size_t t = 0; line->score && t < line->cell->count; t++)
        if (cJSON_GetObjectItemCaseSensitive(ws_report_score(&line->cell->trials[t], line->score), "confusion"))
            return ws_json_find(line->cell->trials[t].record, "result.classes");
    return NULL;
}

/* Whether another score of the same cell has a matrix too. */
static bool has_other_matrix(const section *s, size_t i)
{
    for (size_t k = 0; k < s->grid.line_count; k++)
        if (k != i && s->grid.lines[k].cell == s->grid.lines[i].cell && classes_of(&s->grid.lines[k]))
            return true;
    return false;
}

static ws_err draw_confusion(section *s, size_t i)
{
    const ws_report_line *line = &s->grid.lines[i];
    const bool several = has_other_matrix(s, i);
    const cJSON *classes = classes_of(line);
    int count = cJSON_GetArraySize(classes);
    ws_plot plot = {.width = 260 + 60 * count, .height = 240 + 46 * count};
    ws_text name = {0};
    ws_text_append(&plot.data, "$matrix << EOD\n");
    for (int row = 0; row < count; row++)
        for (int column = 0; column < count; column++) {
            double share = share_called(line, row, column);
            if (!isnan(share))
                ws_text_appendf(&plot.data, "%d %d %.9g\n", column, row, share);
        }
    ws_text_append(&plot.data, "EOD\n");
    WS_TRY(name_line(line, several, &name));
    set_title(s, &plot, ws_text_string(&name));
    ws_text_destroy(&name);
    ws_text_appendf(
        &plot.settings,
        "set palette defined (0 '#ffffff', 1 '#0072B2')\nset cbrange [0:1]\nset cblabel \"share of the class\"\n"
        "set xrange [-0.5:%d.5]\nset yrange [%d.5:-0.5]\nset xlabel \"called\"\nset ylabel \"is\"\nunset grid\n"
        "set xtics rotate by -40 ()\nset ytics ()\n",
        count - 1, count - 1);
    for (int k = 0; k < count; k++)
        for (int axis = 0; axis < 2; axis++) {
            const char *class = cJSON_GetStringValue(cJSON_GetArrayItem(classes, k));
            ws_text_append(&plot.settings, axis ? "set ytics add (" : "set xtics add (");
            ws_plot_quote(&plot.settings, class ? class : "");
            ws_text_appendf(&plot.settings, " %d)\n", k);
        }
    ws_plot_curve(&plot, NULL, "$matrix using 1:2:3 with image");
    ws_plot_curve(&plot, NULL,
                  "$matrix using 1:2:(sprintf('%%.2f', $3)):($3 > 0.5 ? 0xffffff : 0) with labels tc rgb variable");
    char file[128];
    snprintf(file, sizeof file, "confusion_%.8s%s%.80s", line->cell->id, several ? "_" : "",
             several ? line->score : "");
    return draw(s, &plot, file);
}

/* ---------------------------------------------------------------- one setting of a model */

/* "sigma=0.1" alone among the options, as its number; false where there is more or no number. */
static bool setting_of(const ws_report_cell *cell, size_t *name_length, double *value)
{
    *name_length = strcspn(cell->options, "=");
    return !cell->chosen && cell->options[*name_length] == '=' &&
           ws_parse_double(cell->options + *name_length + 1, value);
}

/* Lines of one model and score whose only option is the same number-valued setting. */
static ws_err draw_setting(section *s, size_t begin, size_t end)
{
    ws_plot plot = {.width = 760, .height = 480};
    const char *options = s->grid.lines[begin].cell->options;
    size_t length, points = 0;
    double value;
    for (size_t first = begin; first < end; first++) {
        const ws_report_line *line = &s->grid.lines[first];
        bool seen = false;
        for (size_t i = begin; i < first; i++)
            seen = seen || strcmp(s->grid.lines[i].score, line->score) == 0;
        if (seen)
            continue;
        plot.lines++;
        ws_text_appendf(&plot.data, "$score%zu << EOD\n", plot.lines);
        for (size_t i = first; i < end; i++) {
            ws_statistics m = ws_statistics_of(ws_report_grid_values(&s->grid, i, 0), s->grid.lines[i].cell->count);
            if (strcmp(s->grid.lines[i].score, line->score) != 0 || m.n == 0 ||
                !setting_of(s->grid.lines[i].cell, &length, &value))
                continue;
            ws_text_appendf(&plot.data, "%.9g %.9g %.9g %.9g\n", value, m.mean, isnan(m.low) ? m.mean : m.low,
                            isnan(m.high) ? m.mean : m.high);
            points++;
        }
        ws_text_append(&plot.data, "EOD\n");
        ws_plot_curve(&plot, line->score, "$score%zu using 1:2:3:4 with yerrorlines lt %zu pt 7 ps 0.7", plot.lines,
                      plot.lines);
    }
    set_title(s, &plot, s->grid.lines[begin].cell->model);
    length = strcspn(options, "=");
    ws_text_append(&plot.settings, "set xlabel \"");
    ws_text_append_bytes(&plot.settings, options, length);
    ws_text_appendf(&plot.settings,
                    "\"\nset ylabel \"%s, mean and 95 %% t interval\"\n"
                    "set offsets graph 0.05, graph 0.05, graph 0.05, graph 0.05\nset key outside right top vertical\n",
                    s->metric->name);
    char file[128] = "setting_";
    snprintf(file + 8, 48, "%s_", s->grid.lines[begin].cell->model);
    strncat(file, options, length < 60 ? length : 60);
    if (points > 1)
        return draw(s, &plot, file);
    ws_plot_destroy(&plot);
    return WS_OK;
}

static ws_err draw_settings(section *s)
{
    for (size_t begin = 0, end; begin < s->grid.line_count; begin = end) {
        const ws_report_line *first = &s->grid.lines[begin];
        size_t length = 0, other = 0;
        double value = 0;
        bool same = first->score && setting_of(first->cell, &length, &value);
        size_t cells = 1, last = begin + 1;
        for (end = begin + 1;
             end < s->grid.line_count && strcmp(s->grid.lines[end].cell->model, first->cell->model) == 0; end++) {
            const ws_report_line *line = &s->grid.lines[end];
            if (line->cell->chosen)
                continue;
            same = same && line->score && setting_of(line->cell, &other, &value) && other == length &&
                   strncmp(line->cell->options, first->cell->options, length) == 0;
            cells += line->cell != s->grid.lines[end - 1].cell;
            last = end + 1;
        }
        if (same && cells > 1)
            WS_TRY(draw_setting(s, begin, last));
    }
    return WS_OK;
}

/* ---------------------------------------------------------------- training */

/* Appends "step loss" of each logged step of one trial. */
static ws_err add_losses(const ws_report *report, const ws_report_trial *trial, ws_text *out, size_t *points)
{
    char *path = ws_format("%s/trials/%s/metrics.jsonl", report->directory, trial->id), *text = NULL, *rest = NULL;
    size_t bytes;
    WS_CHECK(path, MEMORY, "no memory for a path");
    ws_err error = trial->state == WS_REPORT_DONE && ws_file_exists(path) ? ws_file_read(path, &text, &bytes) : WS_OK;
    for (char *line = text ? strtok_r(text, "\n", &rest) : NULL; line; line = strtok_r(NULL, "\n", &rest)) {
        cJSON *entry = cJSON_Parse(line);
        double step = cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(entry, "step")),
               loss = cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(entry, "loss"));
        if (!isnan(step) && !isnan(loss)) {
            ws_text_appendf(out, "%.0f %.9g\n", step, loss);
            ++*points;
        }
        cJSON_Delete(entry);
    }
    free(text);
    free(path);
    return error;
}

/* A line for each seed, a colour for each cell. */
static ws_err draw_training(section *s)
{
    ws_plot plot = {.width = 1000, .height = 520};
    ws_err error = WS_OK;
    for (size_t c = s->begin; c < s->end && plot.lines < MOST_CURVES && error == WS_OK; c++) {
        const ws_report_cell *cell = &s->report->cells[c];
        size_t points = 0;
        ws_text name = {0};
        ws_text_appendf(&plot.data, "$cell%zu << EOD\n", c);
        for (size_t t = 0; t < cell->count && !cell->chosen && error == WS_OK; t++) {
            error = add_losses(s->report, &cell->trials[t], &plot.data, &points);
            ws_text_append(&plot.data, "\n"); /* ends a seed's line */
        }
        ws_text_append(&plot.data, "EOD\n");
        if (error == WS_OK && points > 0) {
            plot.lines++;
            error = name_line(&(ws_report_line){cell, ""}, false, &name);
            ws_plot_curve(&plot, ws_text_string(&name), "$cell%zu using 1:2 with lines lt %zu lw 1 dt 1", c,
                          plot.lines);
        }
        ws_text_destroy(&name);
    }
    set_title(s, &plot, "Loss in training, a line for each seed");
    ws_text_append(&plot.settings, "set xlabel \"step\"\nset ylabel \"loss\"\nset key outside right top vertical\n");
    if (error == WS_OK && plot.lines > 0)
        return draw(s, &plot, "training");
    ws_plot_destroy(&plot);
    return error;
}

/* ---------------------------------------------------------------- all of a section */

static ws_err draw_section(section *s)
{
    for (size_t i = 0; i < s->grid.line_count; i++)
        for (size_t t = 0; s->grid.lines[i].score && t < s->grid.lines[i].cell->count; t++)
            ws_report_grid_values(&s->grid, i, 0)[t] =
                ws_report_value(&s->grid.lines[i].cell->trials[t], s->grid.lines[i].score, s->metric->name);
    WS_TRY(draw_intervals(s));
    WS_TRY(draw_curves(s));
    for (size_t i = 0; i < s->grid.line_count; i++)
        if (classes_of(&s->grid.lines[i]))
            WS_TRY(draw_confusion(s, i));
    WS_TRY(draw_settings(s));
    return draw_training(s);
}

ws_err ws_report_draw(ws_report *report, const char *folder)
{
    size_t number = 0;
    WS_TRY(ws_directory_create(folder));
    for (size_t begin = 0, end; begin < report->count; begin = end) {
        const ws_metric *metrics[METRICS];
        end = ws_report_section_end(report, begin);
        section s = {.report = report, .folder = folder, .number = ++number, .begin = begin, .end = end};
        if (ws_report_metrics(report, begin, end, metrics, METRICS) == 0)
            continue;
        s.metric = metrics[0];
        WS_TRY(ws_report_grid_create(report, begin, end, 1, &s.grid));
        ws_err error = draw_section(&s);
        ws_report_grid_destroy(&s.grid);
        WS_TRY(error);
    }
    return WS_OK;
}
