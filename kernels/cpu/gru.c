/* gru on the CPU: one matrix product with all steps of x, then a product with the hidden states of all sequences a step. */
#include "gemm.h"
#include "level.h"

/* Steps of sequence b that count. */
WS_INLINE int64_t length_of(const ws_gru_arguments *a, int64_t b)
{
    if (!a->lengths || a->lengths[b] > a->T)
        return a->T;
    return a->lengths[b] > 0 ? a->lengths[b] : 0;
}

/* The i-th step of a direction, and the one before it, which is -1 or T for the first. */
WS_INLINE int64_t step_of(const ws_gru_arguments *a, int64_t direction, int64_t i)
{
    return direction == 0 ? i : a->T - 1 - i;
}

/* h [B,H] = the states before step t: what the step before gave, which is 0 beyond a sequence's end. */
static void states_before(const ws_gru_arguments *a, int64_t direction, int64_t t, ws_real *h)
{
    int64_t before = direction == 0 ? t - 1 : t + 1;
    for (int64_t b = 0; b < a->B; b++)
        if (before < 0 || before >= a->T)
            memset(h + b * a->H, 0, (size_t)a->H * sizeof *h);
        else
            memcpy(h + b * a->H, a->y + ((b * a->T + before) * a->directions + direction) * a->H,
                   (size_t)a->H * sizeof *h);
}

/* One step of one sequence: gates holds the products with x and becomes r, z, n; hidden those with h, and U_n h + c_n stays in its
 * last third. b and c are the biases. */
static __attribute__((noinline)) void update(int64_t H, const ws_real *restrict b, const ws_real *restrict c,
                                             ws_real *restrict gates, ws_real *restrict hidden,
                                             const ws_real *restrict h, ws_real *restrict y)
{
    for (int64_t j = 0; j < H; j++) {
        ws_real r = ws_sigmoid(gates[j] + b[j] + hidden[j] + c[j]);
        ws_real z = ws_sigmoid(gates[H + j] + b[H + j] + hidden[H + j] + c[H + j]);
        ws_real of_h = hidden[2 * H + j] + c[2 * H + j];
        ws_real n = ws_tanh(gates[2 * H + j] + b[2 * H + j] + r * of_h);
        gates[j] = r;
        gates[H + j] = z;
        gates[2 * H + j] = n;
        hidden[2 * H + j] = of_h;
        y[j] = (1 - z) * n + z * h[j];
    }
}

static void walk(const ws_gru_arguments *a, int64_t direction, ws_real *gates, ws_real *h, ws_real *hidden)
{
    int64_t H = a->H, wide = a->directions * 3 * H, first = direction * 3 * H;
    for (int64_t i = 0; i < a->T; i++) {
        int64_t t = step_of(a, direction, i);
        states_before(a, direction, t, h);
        ws_cblas_gemm(CblasRowMajor, CblasNoTrans, CblasTrans, (blasint)a->B, (blasint)(3 * H), (blasint)H, 1, h,
                      (blasint)H, a->weight_hidden + first * H, (blasint)H, 0, hidden, (blasint)(3 * H));
        for (int64_t b = 0; b < a->B; b++) {
            int64_t row = b * a->T + t, at = (row * a->directions + direction) * H;
            ws_real *of_h = hidden + b * 3 * H;
            if (t >= length_of(a, b)) {
                memset(a->y + at, 0, (size_t)H * sizeof *a->y);
                continue;
            }
            update(H, a->bias_input + first, a->bias_hidden + first, gates + row * wide + first, of_h, h + b * H,
                   a->y + at);
            if (a->q)
                memcpy(a->q + at, of_h + 2 * H, (size_t)H * sizeof *a->q);
        }
    }
}

WS_OPERATOR_KERNEL(gru, forward)
{
    int64_t rows = a->B * a->T, wide = a->directions * 3 * a->H;
    ws_real *gates = a->gates ? a->gates : a->scratch, *h = a->scratch + rows * wide;
    ws_cblas_gemm(CblasRowMajor, CblasNoTrans, CblasTrans, (blasint)rows, (blasint)wide, (blasint)a->D, 1, a->x,
                  (blasint)a->D, a->weight_input, (blasint)a->D, 0, gates, (blasint)wide);
    for (int64_t direction = 0; direction < a->directions; direction++)
        walk(a, direction, gates, h, h + a->B * a->H);
}

/* ---- backward ---- */

/* Scratch: of_x [B*T,directions*3H], and for each direction of_h [B*T,3H] and before [B*T,H]; dh [B,H]. */
typedef struct room {
    ws_real *of_x, *of_h, *before, *dh;
} room;

/* One step of one sequence: dh, the gradient of the state after it, becomes that part of the gradient of the state before it
 * that does not go through the product with U. */
WS_INLINE void update_gradient(const ws_gru_arguments *a, const ws_real *restrict gates, const ws_real *restrict q,
                               const ws_real *restrict h, const ws_real *restrict dy, ws_real *restrict dh,
                               ws_real *restrict of_x, ws_real *restrict of_h)
{
    int64_t H = a->H;
    for (int64_t j = 0; j < H; j++) {
        ws_real r = gates[j], z = gates[H + j], n = gates[2 * H + j], d = dh[j] + dy[j];
        ws_real dn = d * (1 - z) * (1 - n * n), dz = d * (h[j] - n) * z * (1 - z);
        of_x[2 * H + j] = dn;
        of_x[H + j] = of_h[H + j] = dz;
        of_x[j] = of_h[j] = dn * q[j] * r * (1 - r);
        of_h[2 * H + j] = dn * r;
        dh[j] = d * z;
    }
}

static void walk_back(const ws_gru_arguments *a, int64_t direction, const room *m)
{
    int64_t H = a->H, wide = a->directions * 3 * H, first = direction * 3 * H;
    memset(m->dh, 0, (size_t)(a->B * H) * sizeof *m->dh);
    for (int64_t i = a->T - 1; i >= 0; i--) {
        int64_t t = step_of(a, direction, i), step = t * a->B; /* rows of one step lie together in of_h and before */
        states_before(a, direction, t, m->before + step * H);
        for (int64_t b = 0; b < a->B; b++) {
            int64_t row = b * a->T + t, at = (row * a->directions + direction) * H;
            ws_real *of_x = m->of_x + row * wide + first, *of_h = m->of_h + (step + b) * 3 * H, *dh = m->dh + b * H;
            if (t < length_of(a, b)) {
                update_gradient(a, a->gates + row * wide + first, a->q + at, m->before + (step + b) * H, a->dy + at, dh,
                                of_x, of_h);
                continue;
            }
            memset(of_x, 0, (size_t)(3 * H) * sizeof *of_x);
            memset(of_h, 0, (size_t)(3 * H) * sizeof *of_h);
            memset(dh, 0, (size_t)H * sizeof *dh);
        }
        ws_cblas_gemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (blasint)a->B, (blasint)H, (blasint)(3 * H), 1,
                      m->of_h + step * 3 * H, (blasint)(3 * H), a->weight_hidden + first * H, (blasint)H, 1, m->dh,
                      (blasint)H);
    }
}

static void sum_columns(const ws_real *rows, int64_t count, int64_t width, ws_real *restrict sums)
{
    memset(sums, 0, (size_t)width * sizeof *sums);
    for (int64_t b = 0; b < count; b++)
        for (int64_t k = 0; k < width; k++)
            sums[k] += rows[b * width + k];
}

WS_OPERATOR_KERNEL(gru, backward)
{
    int64_t H = a->H, rows = a->B * a->T, wide = a->directions * 3 * H;
    room m = {.of_x = a->scratch, .of_h = a->scratch + rows * wide};
    m.before = m.of_h + rows * 3 * H;
    m.dh = m.before + rows * H;
    for (int64_t direction = 0; direction < a->directions; direction++) {
        int64_t first = direction * 3 * H;
        walk_back(a, direction, &m);
        if (!a->dweight_hidden)
            continue;
        ws_cblas_gemm(CblasRowMajor, CblasTrans, CblasNoTrans, (blasint)(3 * H), (blasint)H, (blasint)rows, 1, m.of_h,
                      (blasint)(3 * H), m.before, (blasint)H, 0, a->dweight_hidden + first * H, (blasint)H);
        sum_columns(m.of_h, rows, 3 * H, a->dbias_hidden + first);
    }
    if (a->dweight_input) {
        ws_cblas_gemm(CblasRowMajor, CblasTrans, CblasNoTrans, (blasint)wide, (blasint)a->D, (blasint)rows, 1, m.of_x,
                      (blasint)wide, a->x, (blasint)a->D, 0, a->dweight_input, (blasint)a->D);
        sum_columns(m.of_x, rows, wide, a->dbias_input);
    }
    if (a->dx)
        ws_cblas_gemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (blasint)rows, (blasint)a->D, (blasint)wide, 1, m.of_x,
                      (blasint)wide, a->weight_input, (blasint)a->D, a->accumulate_dx ? 1 : 0, a->dx, (blasint)a->D);
}
