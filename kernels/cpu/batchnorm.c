/* batchnorm on the CPU: all columns side by side, rows summed in parts of a fixed size and the parts after each other. */
#include "rows.h"
#include "pool.h"

enum { ROWS_A_PART = 64 };

WS_INLINE bool counts(const ws_batchnorm_arguments *a, int64_t r)
{
    return !a->length || r % a->T < ws_pool_tokens(a->length, r / a->T, a->T);
}

static int64_t rows_that_count(const ws_batchnorm_arguments *a)
{
    int64_t n = 0;
    for (int64_t b = 0; b < a->B; b++)
        n += ws_pool_tokens(a->length, b, a->T);
    return n;
}

/* sum[d] over the rows that count: of x, or of (x - mean)^2 where a mean is given */
static void sum_columns(const ws_batchnorm_arguments *a, const ws_real *restrict mean, ws_real *restrict part,
                        ws_real *restrict sum)
{
    int64_t R = a->B * a->T, D = a->D;
    memset(sum, 0, (size_t)D * sizeof *sum);
    for (int64_t from = 0; from < R; from += ROWS_A_PART) {
        int64_t to = from + ROWS_A_PART < R ? from + ROWS_A_PART : R;
        memset(part, 0, (size_t)D * sizeof *part);
        for (int64_t r = from; r < to; r++) {
            const ws_real *restrict x = a->x + r * D;
            if (!counts(a, r))
                continue;
            if (mean)
                for (int64_t d = 0; d < D; d++)
                    part[d] += (x[d] - mean[d]) * (x[d] - mean[d]);
            else
                for (int64_t d = 0; d < D; d++)
                    part[d] += x[d];
        }
        for (int64_t d = 0; d < D; d++)
            sum[d] += part[d];
    }
}

static void choose_statistics(const ws_batchnorm_arguments *a)
{
    int64_t n = rows_that_count(a), D = a->D;
    size_t bytes = (size_t)D * sizeof *a->mean;
    bool own = a->own && n >= 2;
    a->counted[0] = own ? (ws_real)n : 0;
    if (!own) {
        memcpy(a->mean, a->running_mean, bytes);
        memcpy(a->variance, a->running_variance, bytes);
        return;
    }
    sum_columns(a, NULL, a->scratch, a->mean);
    for (int64_t d = 0; d < D; d++)
        a->mean[d] /= (ws_real)n;
    sum_columns(a, a->mean, a->scratch, a->variance);
    for (int64_t d = 0; d < D; d++)
        a->variance[d] /= (ws_real)n;
}

WS_OPERATOR_KERNEL(batchnorm, forward)
{
    int64_t D = a->D;
    choose_statistics(a);
    const ws_real *restrict mean = a->mean, *restrict bias = a->bias;
    ws_real *restrict factor = a->scratch;
    for (int64_t d = 0; d < D; d++)
        factor[d] = a->weight[d] / ws_sqrt(a->variance[d] + (ws_real)a->epsilon);
    for (int64_t r = 0; r < a->B * a->T; r++) {
        const ws_real *restrict x = a->x + r * D;
        ws_real *restrict y = a->y + r * D;
        if (counts(a, r))
            for (int64_t d = 0; d < D; d++)
                y[d] = (x[d] - mean[d]) * factor[d] + bias[d];
        else
            memset(y, 0, (size_t)D * sizeof *y);
    }
}

/* dweight = sum of dy h and dbias = sum of dy, h being the normalised x */
static void sum_gradients(const ws_batchnorm_arguments *a, const ws_real *restrict rstd, ws_real *restrict dweight,
                          ws_real *restrict dbias)
{
    int64_t R = a->B * a->T, D = a->D;
    const ws_real *restrict mean = a->mean;
    ws_real *restrict weight_part = a->scratch, *restrict bias_part = a->scratch + D;
    memset(dweight, 0, (size_t)D * sizeof *dweight);
    memset(dbias, 0, (size_t)D * sizeof *dbias);
    for (int64_t from = 0; from < R; from += ROWS_A_PART) {
        int64_t to = from + ROWS_A_PART < R ? from + ROWS_A_PART : R;
        memset(a->scratch, 0, (size_t)(2 * D) * sizeof *a->scratch);
        for (int64_t r = from; r < to; r++) {
            const ws_real *restrict x = a->x + r * D, *restrict dy = a->dy + r * D;
            if (!counts(a, r))
                continue;
            for (int64_t d = 0; d < D; d++) {
                weight_part[d] += dy[d] * ((x[d] - mean[d]) * rstd[d]);
                bias_part[d] += dy[d];
            }
        }
        for (int64_t d = 0; d < D; d++) {
            dweight[d] += weight_part[d];
            dbias[d] += bias_part[d];
        }
    }
}

/* dx = rstd weight (dy - dbias / n - h dweight / n); without the last two where mean and variance are not the rows' own */
static void differentiate_rows(const ws_batchnorm_arguments *a, const ws_real *restrict rstd,
                               const ws_real *restrict dweight, const ws_real *restrict dbias)
{
    int64_t D = a->D;
    const ws_real *restrict mean = a->mean, *restrict weight = a->weight;
    ws_real share = a->counted[0] > 0 ? 1 / a->counted[0] : 0;
    ws_real *restrict gradient = a->scratch;
    for (int64_t r = 0; r < a->B * a->T; r++) {
        const ws_real *restrict x = a->x + r * D, *restrict dy = a->dy + r * D;
        if (!counts(a, r))
            memset(gradient, 0, (size_t)D * sizeof *gradient);
        else if (share > 0)
            for (int64_t d = 0; d < D; d++) {
                ws_real h = (x[d] - mean[d]) * rstd[d];
                gradient[d] = weight[d] * rstd[d] * (dy[d] - share * (dbias[d] + h * dweight[d]));
            }
        else
            for (int64_t d = 0; d < D; d++)
                gradient[d] = weight[d] * rstd[d] * dy[d];
        ws_pass_gradient(a->dx + r * D, gradient, D, a->accumulate_dx);
    }
}

static void report_statistics(const ws_batchnorm_arguments *a)
{
    ws_real n = a->counted[0], unbiased = n > 0 ? n / (n - 1) : 1;
    for (int64_t d = 0; d < a->D; d++) {
        a->seen_mean[d] = a->mean[d];
        a->seen_variance[d] = unbiased * a->variance[d];
    }
}

WS_OPERATOR_KERNEL(batchnorm, backward)
{
    int64_t D = a->D;
    ws_real *rstd = a->scratch + 2 * WS_COLUMN_PARTS * D;
    ws_real *dweight = a->dweight ? a->dweight : rstd + D, *dbias = a->dbias ? a->dbias : rstd + 2 * D;
    for (int64_t d = 0; d < D; d++)
        rstd[d] = 1 / ws_sqrt(a->variance[d] + (ws_real)a->epsilon);
    sum_gradients(a, rstd, dweight, dbias);
    if (a->dx)
        differentiate_rows(a, rstd, dweight, dbias);
    if (a->seen_mean)
        report_statistics(a);
}
