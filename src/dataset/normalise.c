/* normalise: columns to mean 0 and deviation 1, fitted on chosen rows, values clipped. Sums run in row order over
 * blocks of 65,536 rows whose sums are added in order, in double, so the statistics are a function of the rows alone.
 */
#include <math.h>
#include <stdlib.h>
#include "dataset/dataset.h"

enum { BLOCK_ROWS = 65536 };
static const double smallest_deviation = 1e-6, default_clip = 8;

/* Adds f(value) of every chosen row to sums[columns]: f is the value less `mean`, squared where mean is given. */
static ws_err add_columns(double *sums, double *block, const float *values, const uint64_t *rows, uint64_t row_count,
                          int columns, const double *mean)
{
    memset(sums, 0, (size_t)columns * sizeof *sums);
    for (uint64_t begin = 0; begin < row_count; begin += BLOCK_ROWS) {
        uint64_t end = row_count - begin < BLOCK_ROWS ? row_count : begin + BLOCK_ROWS;
        memset(block, 0, (size_t)columns * sizeof *block);
        for (uint64_t i = begin; i < end; i++) {
            uint64_t row = rows == NULL ? i : rows[i];
            const float *value = values + row * (uint64_t)columns;
            for (int c = 0; c < columns; c++) {
                double x = value[c];
                WS_CHECK(isfinite(x), NUMERIC, "column %d of row %llu is not a finite number", c,
                         (unsigned long long)row);
                block[c] += mean == NULL ? x : (x - mean[c]) * (x - mean[c]);
            }
        }
        for (int c = 0; c < columns; c++)
            sums[c] += block[c];
    }
    return WS_OK;
}

ws_err ws_normalisation_fit(ws_normalisation *out, const float *values, const uint64_t *rows, uint64_t row_count,
                            int columns)
{
    memset(out, 0, sizeof *out);
    WS_CHECK(row_count > 0, CONFIG, "no rows to fit the normalisation on");
    out->columns = columns;
    out->clip = default_clip;
    double *block = NULL;
    ws_err error = WS_OK;
    WS_TRY_GOTO(out, WS_NEW_ARRAY(block, (size_t)columns));
    WS_TRY_GOTO(out, WS_NEW_ARRAY(out->mean, (size_t)columns));
    WS_TRY_GOTO(out, WS_NEW_ARRAY(out->deviation, (size_t)columns));
    WS_TRY_GOTO(out, add_columns(out->mean, block, values, rows, row_count, columns, NULL));
    for (int c = 0; c < columns; c++)
        out->mean[c] /= (double)row_count;
    WS_TRY_GOTO(out, add_columns(out->deviation, block, values, rows, row_count, columns, out->mean));
    for (int c = 0; c < columns; c++) {
        out->deviation[c] = sqrt(out->deviation[c] / (double)row_count);
        if (out->deviation[c] < smallest_deviation)
            out->deviation[c] = 1;
    }
out:
    free(block);
    if (error != WS_OK)
        ws_normalisation_destroy(out);
    return error;
}

ws_err ws_normalisation_fit_box(ws_normalisation *out, const float *values, const uint64_t *rows, uint64_t row_count,
                                int columns)
{
    memset(out, 0, sizeof *out);
    WS_CHECK(row_count > 0, CONFIG, "no rows to fit the normalisation on");
    out->columns = columns;
    out->clip = INFINITY;
    ws_err error = WS_OK;
    WS_TRY_GOTO(out, WS_NEW_ARRAY(out->mean, (size_t)columns));
    WS_TRY_GOTO(out, WS_NEW_ARRAY(out->deviation, (size_t)columns));
    for (int c = 0; c < columns; c++) {
        double low = INFINITY, high = -INFINITY;
        for (uint64_t i = 0; i < row_count; i++) {
            uint64_t row = rows == NULL ? i : rows[i];
            double x = (double)values[row * (uint64_t)columns + (uint64_t)c];
            WS_CHECK_GOTO(out, isfinite(x), NUMERIC, "column %d of row %llu is not a finite number", c,
                          (unsigned long long)row);
            low = x < low ? x : low;
            high = x > high ? x : high;
        }
        out->mean[c] = low + (high - low) / 2;
        out->deviation[c] = high > low ? (high - low) / 8 : 1;
    }
out:
    if (error != WS_OK)
        ws_normalisation_destroy(out);
    return error;
}

void ws_normalisation_destroy(ws_normalisation *normalisation)
{
    free(normalisation->mean);
    free(normalisation->deviation);
    memset(normalisation, 0, sizeof *normalisation);
}

void ws_normalise(ws_normalisation *normalisation, const float *in, float *out, uint64_t rows)
{
    const double clip = normalisation->clip;
    for (uint64_t i = 0; i < rows; i++)
        for (int c = 0; c < normalisation->columns; c++) {
            double z = (*in++ - normalisation->mean[c]) / normalisation->deviation[c];
            if (fabs(z) > clip) {
                z = z > 0 ? clip : -clip;
                normalisation->clipped++;
            }
            *out++ = (float)z;
        }
}
