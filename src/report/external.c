/* Scores that another program computed, under the split and the audit of a section.
 *
 * The file is CSV with a head that names its columns: row_hash (16 hexadecimal digits, as `wiresweep split` and `wiresweep export` write
 * them), score (higher: more anomalous), and, where there are scores of several seeds, protocol_seed and train_seed. Rows that no
 * split asks for do not matter; a test row without a score does: what is measured on some of the rows is not comparable.
 */
#include "report/internal.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include "storage/storage.h"

typedef struct given_score {
    double protocol_seed, train_seed; /* -1: not said */
    uint64_t row_hash;
    float score;
} given_score;

typedef struct given_scores {
    const char *path;
    given_score *items; /* by seeds and row hash */
    size_t count, capacity;
    char hash[65];
} given_scores;

/* ---------------------------------------------------------------- the file */

enum { ROW_HASH, SCORE, PROTOCOL_SEED, TRAIN_SEED, COLUMNS };
static const char *const column_names[] = {"row_hash", "score", "protocol_seed", "train_seed"};

static char *trim(char *text)
{
    size_t length = strlen(text);
    while (length && strchr(" \t\r\"", text[length - 1]))
        text[--length] = '\0';
    return text + strspn(text, " \t\"");
}

static ws_err read_head(const char *path, char *line, int places[COLUMNS])
{
    int place = 0;
    for (int k = 0; k < COLUMNS; k++)
        places[k] = -1;
    for (char *field; (field = strsep(&line, ",")); place++)
        for (int k = 0; k < COLUMNS; k++)
            if (strcmp(trim(field), column_names[k]) == 0)
                places[k] = place;
    if (places[ROW_HASH] >= 0 && places[SCORE] >= 0)
        return WS_OK;
    ws_err error = WS_ERROR(FORMAT, "%s:1: the columns row_hash and score are needed", path);
    WS_HINT("row hashes of a split: wiresweep split STORE.h5 --protocol NAME; of all rows: wiresweep export");
    return error;
}

static bool read_field(int column, char *field, given_score *out)
{
    double number;
    char *end;
    if (column == ROW_HASH) {
        errno = 0;
        out->row_hash = strtoull(field, &end, 16);
        return strlen(field) == 16 && *end == '\0' && errno == 0;
    }
    if (!ws_parse_double(field, &number))
        return false;
    if (column == SCORE)
        out->score = (float)number;
    else
        *(column == PROTOCOL_SEED ? &out->protocol_seed : &out->train_seed) = number;
    return true;
}

static ws_err read_line(const given_scores *given, size_t number, char *line, const int places[COLUMNS],
                        given_score *out)
{
    int seen = 0;
    *out = (given_score){-1, -1, 0, 0};
    char *field;
    for (int place = 0; (field = strsep(&line, ",")); place++)
        for (int k = 0; k < COLUMNS; k++) {
            if (places[k] != place)
                continue;
            field = trim(field);
            WS_CHECK(read_field(k, field, out), FORMAT, "%s:%zu: \"%.40s\" is no %s", given->path, number, field,
                     column_names[k]);
            seen |= 1 << k;
        }
    WS_CHECK((seen & 3) == 3, FORMAT, "%s:%zu: row_hash or score is missing", given->path, number);
    return WS_OK;
}

static int by_seeds_and_row(const void *left, const void *right)
{
    const given_score *a = left, *b = right;
    if (a->protocol_seed != b->protocol_seed)
        return a->protocol_seed < b->protocol_seed ? -1 : 1;
    if (a->train_seed != b->train_seed)
        return a->train_seed < b->train_seed ? -1 : 1;
    return (a->row_hash > b->row_hash) - (a->row_hash < b->row_hash);
}

static ws_err read_lines(char *text, given_scores *given)
{
    int places[COLUMNS];
    size_t number = 1;
    char *head = strsep(&text, "\n");
    WS_TRY(read_head(given->path, head, places));
    for (char *line; text && (line = strsep(&text, "\n"));) {
        number++;
        if (line[strspn(line, " \r\t")] == '\0')
            continue;
        WS_TRY(WS_GROW(given->items, given->capacity, given->count + 1));
        WS_TRY(read_line(given, number, line, places, &given->items[given->count]));
        given->count++;
    }
    WS_CHECK(given->count > 0, FORMAT, "%s: no scores in it", given->path);
    qsort(given->items, given->count, sizeof *given->items, by_seeds_and_row);
    for (size_t i = 1; i < given->count; i++)
        WS_CHECK(by_seeds_and_row(&given->items[i - 1], &given->items[i]) != 0 ||
                     given->items[i - 1].score == given->items[i].score,
                 FORMAT, "%s: row %016llx has two scores under the same seeds", given->path,
                 (unsigned long long)given->items[i].row_hash);
    return WS_OK;
}

static ws_err read_given(const char *path, given_scores *given)
{
    char *text = NULL;
    size_t bytes;
    *given = (given_scores){.path = path};
    WS_TRY(ws_file_read(path, &text, &bytes));
    ws_digest digest = ws_sha256_of(text, bytes);
    ws_digest_hex(&digest, given->hash);
    ws_err error = read_lines(text, given);
    free(text);
    return error;
}

static const given_score *find(const given_scores *given, const given_score *seeds, uint64_t row_hash)
{
    given_score wanted = *seeds;
    wanted.row_hash = row_hash;
    return bsearch(&wanted, given->items, given->count, sizeof wanted, by_seeds_and_row);
}

/* ---------------------------------------------------------------- what a record says */

static bool add_number(cJSON *object, const char *key, double value)
{
    return (isfinite(value) ? cJSON_AddNumberToObject(object, key, value) : cJSON_AddNullToObject(object, key)) != NULL;
}

static bool add_metrics(cJSON *object, const ws_ranking *ranking)
{
    bool made = object != NULL;
    for (size_t m = 0; ws_metrics[m] && made; m++)
        if (ws_metrics[m]->family == WS_METRIC_RANKING)
            made = add_number(object, ws_metrics[m]->name, ws_metrics[m]->ranking(ranking));
    return made;
}

/* Test rows, of one class of anomalies (or all: -1) and all normal ones; *own: of the class. */
static ws_err rank(const ws_report_scored *rows, int class, ws_ranking *out, uint64_t *own)
{
    float *values = NULL;
    uint8_t *positive = NULL;
    uint64_t n = 0;
    ws_err error = WS_NEW_ARRAY(values, rows->rows);
    if (error == WS_OK)
        error = WS_NEW_ARRAY(positive, rows->rows);
    *own = 0;
    for (uint64_t i = 0; i < rows->rows && error == WS_OK; i++) {
        if (!rows->is_test[i] || (rows->anomalous[i] && class >= 0 && rows->truth[i] != class))
            continue;
        *own += rows->anomalous[i];
        values[n] = rows->score[i];
        positive[n++] = rows->anomalous[i];
    }
    if (error == WS_OK)
        error = ws_ranking_create(out, values, positive, n);
    free(values);
    free(positive);
    return error;
}

static bool add_thresholded(cJSON *entry, const ws_thresholded *t)
{
    return entry && add_number(entry, "threshold", t->threshold) && add_number(entry, "precision", t->precision) &&
           add_number(entry, "recall", t->recall) && add_number(entry, "f1", t->f1) &&
           add_number(entry, "false_positive_rate", t->false_positive_rate);
}

/* Thresholds need a score for every normal validation row; without them there are none. */
static ws_err add_thresholds(const ws_report_scored *rows, const bool *scored, const cJSON *quantiles,
                             const ws_ranking *ranking, cJSON *out)
{
    float *normal = NULL;
    uint64_t n = 0;
    const cJSON *quantile;
    bool whole = true;
    WS_TRY(WS_NEW_ARRAY(normal, rows->rows));
    for (uint64_t i = 0; i < rows->rows; i++)
        if (!rows->is_test[i] && !rows->anomalous[i]) {
            whole = whole && scored[i];
            normal[n++] = rows->score[i];
        }
    ws_err error = WS_OK;
    cJSON *list = cJSON_AddArrayToObject(out, "thresholds");
    cJSON_ArrayForEach(quantile, quantiles)
    {
        ws_thresholded t;
        cJSON *entry = NULL;
        if (!whole || n == 0 || error != WS_OK)
            continue;
        error = ws_threshold_at(quantile->valuedouble, normal, n, ranking, &t);
        if (error == WS_OK)
            entry = cJSON_CreateObject();
        if (error == WS_OK && (!cJSON_AddItemToArray(list, entry) || !add_number(entry, "quantile", t.quantile) ||
                               !add_thresholded(entry, &t)))
            error = WS_ERROR(MEMORY, "no memory for metrics");
    }
    free(normal);
    return error;
}

static ws_err add_classes(const ws_report_scored *rows, cJSON *out)
{
    cJSON *classes = cJSON_AddObjectToObject(out, "per_class");
    for (size_t k = 0; k < rows->class_count; k++) {
        ws_ranking ranking;
        uint64_t own;
        bool anomalous = false;
        for (uint64_t i = 0; i < rows->rows && !anomalous; i++)
            anomalous = rows->anomalous[i] && rows->truth[i] == (int)k;
        if (!anomalous)
            continue;
        WS_TRY(rank(rows, (int)k, &ranking, &own));
        cJSON *entry = cJSON_AddObjectToObject(classes, rows->class_names[k]);
        bool made = add_metrics(entry, &ranking) && cJSON_AddNumberToObject(entry, "n", (double)own);
        ws_ranking_destroy(&ranking);
        WS_CHECK(made, MEMORY, "no memory for metrics");
    }
    return WS_OK;
}

static ws_err make_record(const ws_report_scored *rows, const bool *scored, const cJSON *quantiles, cJSON **out)
{
    ws_ranking ranking;
    uint64_t own;
    cJSON *record = cJSON_CreateObject(), *result = cJSON_AddObjectToObject(record, "result"),
          *score = cJSON_AddObjectToObject(cJSON_AddObjectToObject(result, "scores"), "score");
    ws_err error = rank(rows, -1, &ranking, &own);
    if (error != WS_OK)
        cJSON_Delete(record);
    WS_TRY(error);
    error = add_metrics(score, &ranking) ? WS_OK : WS_ERROR(MEMORY, "no memory for metrics");
    ws_thresholded oracle;
    ws_threshold_of_oracle(&ranking, &oracle);
    if (error == WS_OK && !add_thresholded(cJSON_AddObjectToObject(score, "oracle_on_test"), &oracle))
        error = WS_ERROR(MEMORY, "no memory for metrics");
    if (error == WS_OK)
        error = add_thresholds(rows, scored, quantiles, &ranking, score);
    if (error == WS_OK)
        error = add_classes(rows, score);
    ws_ranking_destroy(&ranking);
    if (error == WS_OK)
        *out = record;
    else
        cJSON_Delete(record);
    return error;
}

/* ---------------------------------------------------------------- a line of a section */

/* Fills in the given scores; *missing: test rows without one, *first the first of them. */
static ws_err fill(const given_scores *given, const given_score *seeds, ws_report_scored *rows, bool *scored,
                   uint64_t *tested, uint64_t *missing, uint64_t *first)
{
    WS_TRY(WS_NEW_ARRAY(rows->score, rows->rows));
    *tested = *missing = 0;
    for (uint64_t i = 0; i < rows->rows; i++) {
        const given_score *one = find(given, seeds, rows->row_hash[i]);
        scored[i] = one != NULL;
        rows->score[i] = one ? one->score : 0;
        *tested += rows->is_test[i];
        if (rows->is_test[i] && !one && (*missing)++ == 0)
            *first = rows->row_hash[i];
    }
    return WS_OK;
}

/* One split under one pair of seeds: a trial that is done where every test row has a score, missing where hardly any has. */
static ws_err add_trial(ws_report *report, const given_scores *given, const given_score *seeds,
                        const ws_report_trial *like, const cJSON *quantiles, ws_report_cell *cell)
{
    ws_report_scored rows;
    bool found, *scored = NULL;
    uint64_t tested = 0, missing = 0, first = 0;
    WS_TRY(ws_report_scored_read(report, like, NULL, &found, &rows));
    if (!found)
        return WS_OK;
    ws_err error = WS_OK;
    WS_TRY_GOTO(done, WS_NEW_ARRAY(scored, rows.rows));
    WS_TRY_GOTO(done, fill(given, seeds, &rows, scored, &tested, &missing, &first));
    WS_CHECK_GOTO(done, missing == 0 || missing == tested || seeds->protocol_seed < 0, FORMAT,
                  "%s: %llu of the %llu test rows of split %.16s have no score, the first of them %016llx", given->path,
                  (unsigned long long)missing, (unsigned long long)tested, like->split_hash, (unsigned long long)first);
    WS_TRY_GOTO(done, WS_GROW(cell->trials, cell->capacity, cell->count + 1));
    ws_report_trial *trial = &cell->trials[cell->count++];
    *trial = (ws_report_trial){.id = "external",
                               .split_hash = like->split_hash,
                               .protocol_seed = like->protocol_seed,
                               .train_seed = seeds->train_seed < 0 ? NAN : seeds->train_seed};
    if (missing == 0) {
        WS_TRY_GOTO(done, make_record(&rows, scored, quantiles, &trial->record));
        trial->state = WS_REPORT_DONE;
        cell->done++;
    }
done:
    free(scored);
    ws_report_scored_destroy(&rows);
    return error;
}

/* Whether an earlier trial of the section has this split already. */
static bool is_new_split(const ws_report *report, size_t begin, size_t c, size_t t)
{
    for (size_t i = begin; i <= c; i++)
        for (size_t k = 0; k < (i == c ? t : report->cells[i].count); k++) {
            const ws_report_trial *earlier = &report->cells[i].trials[k];
            if (earlier->state == WS_REPORT_DONE &&
                strcmp(earlier->split_hash, report->cells[c].trials[t].split_hash) == 0)
                return false;
        }
    return true;
}

static ws_err add_splits(ws_report *report, const given_scores *given, size_t begin, size_t end, ws_report_cell *cell)
{
    for (size_t c = begin; c < end; c++)
        for (size_t t = 0; t < report->cells[c].count; t++) {
            const ws_report_trial *like = &report->cells[c].trials[t];
            if (report->cells[c].external || report->cells[c].chosen || like->state != WS_REPORT_DONE ||
                !is_new_split(report, begin, c, t))
                continue;
            const cJSON *quantiles = ws_json_find(like->record, "result.config.evaluate.quantiles");
            for (size_t i = 0; i < given->count; i++) {
                const given_score *seeds = &given->items[i];
                bool first = i == 0 || seeds->protocol_seed != seeds[-1].protocol_seed ||
                             seeds->train_seed != seeds[-1].train_seed;
                if (first && (seeds->protocol_seed < 0 || seeds->protocol_seed == like->protocol_seed))
                    WS_TRY(add_trial(report, given, seeds, like, quantiles, cell));
            }
        }
    return WS_OK;
}

static ws_err name_cell(ws_report *report, const given_scores *given, ws_report_cell *cell)
{
    const char *base = ws_path_base(given->path), *dot = strrchr(base, '.');
    char *name = ws_format("%.*s", (int)(dot && dot > base ? (size_t)(dot - base) : strlen(base)), base),
         *options = ws_format("(another program; file %.16s)", given->hash), *id = ws_format("%.16s", given->hash);
    cJSON *config = cJSON_CreateObject();
    report->external = report->external ? report->external : cJSON_CreateArray();
    bool kept = cJSON_AddItemToArray(report->external, config);
    if (name && options && id) {
        cell->model = ws_arena_strdup(report->arena, name);
        cell->options = ws_arena_strdup(report->arena, options);
        cell->id = ws_arena_strdup(report->arena, id);
    }
    cell->config = config;
    free(name);
    free(options);
    free(id);
    WS_CHECK(kept && cell->model && cell->options && cell->id, MEMORY, "no memory for the table");
    return WS_OK;
}

static ws_err add_line(ws_report *report, const given_scores *given, size_t begin, size_t end, bool *any,
                       ws_report_cell *cell)
{
    static const char *const names[] = {"score"};
    const ws_report_cell *first = &report->cells[begin];
    *cell = (ws_report_cell){.dataset = first->dataset,
                             .store_hash = first->store_hash,
                             .task = first->task,
                             .protocol = first->protocol,
                             .label = first->label,
                             .synthetic = first->synthetic,
                             .external = true,
                             .scores = {names, 1}};
    WS_TRY(name_cell(report, given, cell));
    WS_TRY(add_splits(report, given, begin, end, cell));
    *any = *any || cell->done > 0;
    return WS_OK;
}

/* The new cells stand behind the old ones until all sections have been looked at. */
static ws_err add_lines(ws_report *report, const given_scores *given, bool *any)
{
    size_t cells = report->count, capacity = cells;
    for (size_t begin = 0, end; begin < cells; begin = end) {
        ws_report_cell cell;
        for (end = begin; end < cells && ws_report_same_section(&report->cells[begin], &report->cells[end]);)
            end++;
        if (strcmp(report->cells[begin].task, "anomaly") != 0)
            continue;
        ws_err error = add_line(report, given, begin, end, any, &cell);
        if (error == WS_OK && cell.done > 0)
            error = WS_GROW(report->cells, capacity, report->count + 1);
        if (error == WS_OK && cell.done > 0) {
            report->cells[report->count++] = cell;
            continue;
        }
        for (size_t t = 0; t < cell.count; t++)
            cJSON_Delete(cell.trials[t].record);
        free(cell.trials);
        WS_TRY(error);
    }
    ws_report_sort(report);
    return WS_OK;
}

ws_err ws_report_add_scores(ws_report *report, const char *path)
{
    given_scores given;
    bool any = false;
    ws_err error = read_given(path, &given);
    if (error == WS_OK)
        error = add_lines(report, &given, &any);
    free(given.items);
    WS_TRY(error);
    if (any)
        return WS_OK;
    error = WS_ERROR(FORMAT, "%s: there is no split of this sweep whose test rows all have a score in it", path);
    WS_HINT(
        "wiresweep split STORE.h5 --protocol NAME --protocol-seed N lists the row hashes of a split; the sweep's own "
        "are those in trials/*/scores.h5, which records alone do not tell");
    return error;
}
