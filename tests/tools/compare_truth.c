/* compare_truth TRUTH.csv EXPORT.csv: every flow of the generator's truth against `wiresweep export --format csv`.
 *
 * Rows are joined by first_ordinal. Counts, times and labels must be equal as text, features to 1e-6 relative (absolute
 * below 1). Prints the largest difference; status 1 and the first differences where the files do not agree. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include "core/core.h"

enum { COLUMNS_MOST = 128, REPORTED_MOST = 10 };

typedef struct csv_table {
    char *text;
    char *names[COLUMNS_MOST];
    size_t columns, rows;
    char **cells; /* [rows][columns], into text */
} csv_table;

/* Columns that must be in both files. */
static const char *const exact[] = {"first_ordinal",    "protocol",      "first_ns",       "last_ns", "packets_forward",
                                    "packets_backward", "bytes_forward", "bytes_backward", NULL};
static const char *const features[] = {
    "log_dur",        "log_pkts_f", "log_pkts_b", "log_bytes_f",  "log_bytes_b", "mean_len_f",  "std_len_f",
    "mean_len_b",     "std_len_b",  "max_len",    "log_iat_mean", "log_iat_std", "log_iat_max", "log_iat_mean_f",
    "log_iat_mean_b", "log_pps",    "byte_asym",  "log_syn",      "log_finrst",  "psh_frac",    NULL};
static const char *const labels[][2] = {{"label", "label_label"}, {"family", "label_family"}}; /* truth, export */

static ws_err read_text(const char *path, char **out)
{
    FILE *file = fopen(path, "rb");
    WS_CHECK(file, IO, "cannot read %s", path);
    size_t length = 0, capacity = 0, got = 1;
    ws_err error = WS_OK;
    *out = NULL;
    while (error == WS_OK && got > 0) {
        error = ws_grow(out, &capacity, length + (1 << 20) + 1, 1);
        if (error == WS_OK)
            length += got = fread(*out + length, 1, 1 << 20, file);
    }
    fclose(file);
    if (error == WS_OK)
        (*out)[length] = 0;
    return error;
}

/* Splits lines and commas in place; neither file quotes its cells. Lines end in LF or CRLF. */
static ws_err read_table(const char *path, csv_table *table)
{
    WS_TRY(read_text(path, &table->text));
    size_t capacity = 0, used = 0;
    char *line_end = NULL;
    for (char *line = table->text; *line; line = line_end + 1) {
        line_end = strchr(line, '\n');
        WS_CHECK(line_end, FORMAT, "%s: the last line has no end", path);
        *line_end = 0;
        if (line_end > line && line_end[-1] == '\r')
            line_end[-1] = 0;
        size_t column = 0;
        bool header = table->columns == 0;
        for (char *cell = line; cell; column++) {
            char *comma = strchr(cell, ',');
            if (comma)
                *comma = 0;
            WS_CHECK(column < (header ? (size_t)COLUMNS_MOST : table->columns), FORMAT, "%s: row %zu is too long", path,
                     table->rows);
            if (header) {
                table->names[column] = cell;
            } else {
                WS_TRY(WS_GROW(table->cells, capacity, used + 1));
                table->cells[used++] = cell;
            }
            cell = comma ? comma + 1 : NULL;
        }
        if (header)
            table->columns = column;
        else
            table->rows++;
        WS_CHECK(used == table->rows * table->columns, FORMAT, "%s: row %zu is too short", path, table->rows);
    }
    return WS_OK;
}

static size_t column_of(const csv_table *table, const char *name)
{
    for (size_t k = 0; k < table->columns; k++)
        if (strcmp(table->names[k], name) == 0)
            return k;
    return SIZE_MAX;
}

static size_t sort_column; /* of both tables: qsort has no context */
static int by_ordinal(const void *a, const void *b)
{
    long long x = atoll(((char *const *)a)[sort_column]), y = atoll(((char *const *)b)[sort_column]);
    return (x > y) - (x < y);
}

static ws_err sort_rows(csv_table *table, const char *path)
{
    sort_column = column_of(table, "first_ordinal");
    WS_CHECK(sort_column != SIZE_MAX, FORMAT, "%s has no column first_ordinal", path);
    qsort(table->cells, table->rows, table->columns * sizeof *table->cells, by_ordinal);
    return WS_OK;
}

/* Compares one column; *wrong counts differing rows, *largest takes the largest relative difference of numbers. */
static ws_err compare_column(const csv_table *truth, const csv_table *other, const char *name, const char *other_name,
                             bool number, size_t *wrong, double *largest)
{
    size_t t = column_of(truth, name), o = column_of(other, other_name);
    WS_CHECK(t != SIZE_MAX && o != SIZE_MAX, FORMAT, "column %s is missing in %s", name,
             t == SIZE_MAX ? "the truth" : "the export");
    for (size_t row = 0; row < truth->rows; row++) {
        const char *expected = truth->cells[row * truth->columns + t], *found = other->cells[row * other->columns + o];
        bool equal = strcmp(expected, found) == 0;
        if (number) {
            double want = atof(expected), got = atof(found), scale = fabs(want) > 1 ? fabs(want) : 1;
            double difference = fabs(want - got) / scale;
            equal = found[0] && difference <= 1e-6; /* false for NaN too */
            if (difference > *largest)
                *largest = difference;
        }
        if (!equal && (*wrong)++ < REPORTED_MOST)
            printf("first_ordinal %s: %s is %s, must be %s\n", truth->cells[row * truth->columns], name, found,
                   expected);
    }
    return WS_OK;
}

static ws_err run(const char *truth_path, const char *export_path)
{
    csv_table truth = {0}, other = {0};
    size_t wrong = 0;
    double largest = 0;
    WS_TRY(read_table(truth_path, &truth));
    WS_TRY(read_table(export_path, &other));
    WS_CHECK(truth.rows == other.rows, FORMAT, "%zu flows in the truth, %zu in the export", truth.rows, other.rows);
    WS_TRY(sort_rows(&truth, truth_path));
    WS_TRY(sort_rows(&other, export_path));
    for (int k = 0; exact[k]; k++)
        WS_TRY(compare_column(&truth, &other, exact[k], exact[k], false, &wrong, &largest));
    for (int k = 0; features[k]; k++)
        WS_TRY(compare_column(&truth, &other, features[k], features[k], true, &wrong, &largest));
    for (size_t k = 0; k < sizeof labels / sizeof labels[0]; k++)
        WS_TRY(compare_column(&truth, &other, labels[k][0], labels[k][1], false, &wrong, &largest));
    WS_CHECK(wrong == 0, FORMAT, "%zu cells differ", wrong);
    printf("%zu flows agree; largest difference of a feature %.2g\n", truth.rows, largest);
    return WS_OK;
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: compare_truth TRUTH.csv EXPORT.csv\n");
        return 2;
    }
    ws_err error = run(argv[1], argv[2]);
    if (error != WS_OK)
        ws_error_print(error, false);
    return ws_error_exit_status(error);
}
