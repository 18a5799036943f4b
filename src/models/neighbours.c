/* Nearest training rows; see neighbours.h. */
#include "models/neighbours.h"

#include <cblas.h>
#include <math.h>
#include <stdlib.h>

enum { BLOCK = 1024 };

static double squared_length(const double *x, size_t columns)
{
    double sum = 0;
    for (size_t c = 0; c < columns; c++)
        sum += x[c] * x[c];
    return sum;
}

/* values[rows][columns] in double, of length 1 where asked for. */
static void widen(const float *values, uint64_t rows, size_t columns, bool unit, double *out)
{
    for (uint64_t i = 0; i < rows; i++, values += columns, out += columns) {
        for (size_t c = 0; c < columns; c++)
            out[c] = (double)values[c];
        const double length = unit ? sqrt(squared_length(out, columns)) : 0;
        for (size_t c = 0; length > 0 && c < columns; c++)
            out[c] /= length;
    }
}

ws_err ws_neighbours_keep(const ws_samples *training, int columns, bool unit, ws_arrays *learned)
{
    double *rows, *square;
    ws_place place;
    WS_TRY(ws_place_open(&place, WS_CPU, 0)); /* sets the BLAS to one thread */
    ws_place_close(&place);
    WS_TRY(ws_arrays_add(learned, "rows", 2, (int64_t[]){(int64_t)training->rows, columns}, &rows));
    WS_TRY(ws_arrays_add(learned, "square", 1, (int64_t[]){(int64_t)training->rows}, &square));
    widen(training->values, training->rows, (size_t)columns, unit, rows);
    for (uint64_t i = 0; i < training->rows; i++)
        square[i] = squared_length(rows + i * (uint64_t)columns, (size_t)columns);
    return WS_OK;
}

typedef struct search {
    size_t columns, n, k;        /* n kept rows */
    const double *rows, *square; /* [n][columns], [n] */
    double *x;                   /* [scored rows][columns] */
    double *product;             /* [scored rows][BLOCK] */
    ws_neighbours *found;
} search;

static double exact(const double *x, const double *y, size_t columns)
{
    double sum = 0;
    for (size_t c = 0; c < columns; c++)
        sum += (x[c] - y[c]) * (x[c] - y[c]);
    return sum;
}

static void insert(double *nearest, size_t *row, size_t k, double distance, size_t found)
{
    size_t at = k - 1;
    for (; at > 0 && nearest[at - 1] > distance; at--) {
        nearest[at] = nearest[at - 1];
        row[at] = row[at - 1];
    }
    nearest[at] = distance;
    row[at] = found;
}

/* Goes through the kept rows [from, from + count) for scored row i, whose products with them are at hand. */
static void look_through(const search *s, size_t i, size_t from, size_t count)
{
    const double *x = s->x + i * s->columns, *product = s->product + i * BLOCK, own = squared_length(x, s->columns);
    double *nearest = s->found->squared + i * s->k;
    /* far more than sums of so many products can be off, far less than distances that matter */
    const double error = 1e-13 * (double)(s->columns + 8);
    for (size_t j = 0; j < count; j++) {
        double both = own + s->square[from + j];
        if (both - 2 * product[j] - error * both > nearest[s->k - 1])
            continue;
        double distance = exact(x, s->rows + (from + j) * s->columns, s->columns);
        if (distance < nearest[s->k - 1])
            insert(nearest, s->found->row + i * s->k, s->k, distance, from + j);
    }
}

static void find_nearest(const search *s, size_t rows)
{
    for (size_t i = 0; i < rows * s->k; i++)
        s->found->squared[i] = INFINITY;
    for (size_t from = 0; from < s->n; from += BLOCK) {
        size_t count = s->n - from < BLOCK ? s->n - from : BLOCK;
        cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (blasint)rows, (blasint)count, (blasint)s->columns, 1,
                    s->x, (blasint)s->columns, s->rows + from * s->columns, (blasint)s->columns, 0, s->product, BLOCK);
        for (size_t i = 0; i < rows; i++)
            look_through(s, i, from, count);
    }
}

ws_err ws_neighbours_find(const ws_arrays *learned, int columns, size_t k, bool unit, uint64_t rows,
                          const float *values, ws_neighbours *out)
{
    const ws_array *kept = ws_arrays_find(learned, "rows");
    const size_t width = (size_t)columns, n = (size_t)kept->shape[0];
    search s = {.columns = width, .n = n, .k = k < n ? k : n, .rows = kept->values, .found = out};
    ws_err error = WS_OK;
    *out = (ws_neighbours){.k = s.k};
    WS_CHECK(n > 0, FORMAT, "array \"rows\" is empty");
    s.square = ws_arrays_find(learned, "square")->values;
    WS_TRY_GOTO(done, ws_blas_prepare());
    WS_TRY_GOTO(done, WS_NEW_ARRAY(s.x, rows * width));
    WS_TRY_GOTO(done, WS_NEW_ARRAY(s.product, rows * BLOCK));
    WS_TRY_GOTO(done, WS_NEW_ARRAY(out->squared, rows * s.k));
    WS_TRY_GOTO(done, WS_NEW_ARRAY(out->row, rows * s.k));
    widen(values, rows, width, unit, s.x);
    find_nearest(&s, rows);
done:
    free(s.x);
    free(s.product);
    if (error != WS_OK)
        ws_neighbours_destroy(out);
    return error;
}

void ws_neighbours_destroy(ws_neighbours *neighbours)
{
    free(neighbours->squared);
    free(neighbours->row);
    *neighbours = (ws_neighbours){0};
}
