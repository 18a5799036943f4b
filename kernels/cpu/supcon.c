/* supcon on the CPU: two matrix products give all pairs, each row is then one pass over its candidates. */
#include "gemm.h"
#include "level.h"

/* The candidates of a row: of the batch, or of the bank. self: the row's own place among them, -1 for none. */
typedef struct candidates {
    int64_t count, self;
    const int32_t *label;
    const ws_real *product;
} candidates;

WS_INLINE candidates of_batch(const ws_supcon_arguments *a, int64_t i)
{
    return (candidates){.count = a->R, .self = i, .label = a->label, .product = a->products + i * a->R};
}

WS_INLINE candidates of_bank(const ws_supcon_arguments *a, int64_t i)
{
    const ws_real *products = a->products + a->R * a->R;
    return (candidates){.count = a->K, .self = -1, .label = a->bank_label, .product = products + i * a->K};
}

WS_INLINE bool is_there(const candidates *c, int64_t j)
{
    return c->label[j] >= 0 && j != c->self;
}

typedef struct row_sums {
    ws_real largest;   /* product */
    double sum;        /* of exp(s - largest) */
    double attracting; /* sum of products with rows of the same label */
    int64_t same;
} row_sums;

WS_INLINE void look_for_largest(const candidates *c, row_sums *row)
{
    for (int64_t j = 0; j < c->count; j++)
        if (is_there(c, j) && c->product[j] > row->largest)
            row->largest = c->product[j];
}

WS_INLINE void sum_up(const candidates *c, int32_t label, ws_real inverse_temperature, row_sums *row)
{
    for (int64_t j = 0; j < c->count; j++) {
        if (!is_there(c, j))
            continue;
        row->sum += (double)ws_exp((c->product[j] - row->largest) * inverse_temperature);
        if (c->label[j] != label)
            continue;
        row->attracting += (double)c->product[j];
        row->same++;
    }
}

WS_INLINE row_sums sums_of(const ws_supcon_arguments *a, int64_t i, ws_real inverse_temperature)
{
    row_sums row = {.largest = -INFINITY};
    candidates batch = of_batch(a, i), bank = of_bank(a, i);
    look_for_largest(&batch, &row);
    look_for_largest(&bank, &row);
    sum_up(&batch, a->label[i], inverse_temperature, &row);
    sum_up(&bank, a->label[i], inverse_temperature, &row);
    return row;
}

WS_OPERATOR_KERNEL(supcon, forward)
{
    blasint R = (blasint)a->R, K = (blasint)a->K, D = (blasint)a->D;
    ws_real inverse_temperature = (ws_real)(1 / a->temperature);
    ws_cblas_gemm(CblasRowMajor, CblasNoTrans, CblasTrans, R, R, D, 1, a->z, D, a->z, D, 0, a->products, R);
    if (K > 0)
        ws_cblas_gemm(CblasRowMajor, CblasNoTrans, CblasTrans, R, K, D, 1, a->z, D, a->bank, D, 0,
                      a->products + a->R * a->R, K);
    double total = 0;
    int64_t counted = 0;
    for (int64_t i = 0; i < a->R; i++) {
        row_sums row = {0};
        if (a->label[i] >= 0)
            row = sums_of(a, i, inverse_temperature);
        ws_real log_sum = row.same ? row.largest * inverse_temperature + ws_log((ws_real)row.sum) : 0;
        if (a->log_sum) {
            a->log_sum[i] = log_sum;
            a->positive[i] = row.same ? 1 / (ws_real)row.same : 0;
        }
        if (row.same == 0)
            continue;
        total += (double)log_sum - row.attracting / a->temperature / (double)row.same;
        counted++;
    }
    if (a->row_scale)
        a->row_scale[0] = counted ? 1 / (ws_real)counted : 0;
    a->loss[0] = counted ? (ws_real)(total / (double)counted) : 0;
}

/* gradient[j] = d loss / d product[j] */
WS_INLINE void differentiate_row(const ws_supcon_arguments *a, int64_t i, const candidates *c, ws_real scale,
                                 ws_real inverse_temperature, ws_real *gradient)
{
    for (int64_t j = 0; j < c->count; j++) {
        gradient[j] = 0;
        if (a->positive[i] == 0 || !is_there(c, j))
            continue;
        ws_real p = ws_exp(c->product[j] * inverse_temperature - a->log_sum[i]);
        gradient[j] = scale * (p - (c->label[j] == a->label[i] ? a->positive[i] : 0));
    }
}

WS_OPERATOR_KERNEL(supcon, backward)
{
    blasint R = (blasint)a->R, K = (blasint)a->K, D = (blasint)a->D;
    ws_real inverse_temperature = (ws_real)(1 / a->temperature);
    ws_real scale = a->dloss[0] * a->row_scale[0] * inverse_temperature;
    ws_real *within = a->scratch, *with_bank = a->scratch + a->R * a->R;
    for (int64_t i = 0; i < a->R; i++) {
        candidates batch = of_batch(a, i), bank = of_bank(a, i);
        differentiate_row(a, i, &batch, scale, inverse_temperature, within + i * a->R);
        differentiate_row(a, i, &bank, scale, inverse_temperature, with_bank + i * a->K);
    }
    /* A row of the batch moves as the one that looks, and as one that is looked at. */
    ws_cblas_gemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, R, D, R, 1, within, R, a->z, D, a->accumulate_dz ? 1 : 0,
                  a->dz, D);
    ws_cblas_gemm(CblasRowMajor, CblasTrans, CblasNoTrans, R, D, R, 1, within, R, a->z, D, 1, a->dz, D);
    if (K > 0)
        ws_cblas_gemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, R, D, K, 1, with_bank, K, a->bank, D, 1, a->dz, D);
}
