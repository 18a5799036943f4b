/* The kernels that walk along sequences, forward and backward, against naive loops in double, at every instruction set level:
 * values, gradients, ends of the range, run-to-run bits, nothing written past the ends.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include "engine_test.h"
#include "scalar.h"

static double *doubles(size_t count)
{
    double *out = NULL;
    OK(WS_NEW_ARRAY(out, count));
    return out;
}

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

/* ---- selective scan ---- */

/* One problem: inputs, outputs of the kernel, and what the textbook recurrence gives in double. */
typedef struct problem {
    ws_selective_scan_arguments a;
    size_t points, rows, states; /* B T E, B T 2N, E N */
    double *out, *du, *ddelta, *drows, *dz, *dA_log, *dD, *ddt_bias;
} problem;

static problem make(int64_t B, int64_t T, int64_t E, int64_t N, bool gate)
{
    problem p = {.a = {.B = B, .T = T, .E = E, .N = N}};
    ws_selective_scan_arguments *a = &p.a;
    p.points = (size_t)(B * T * E), p.rows = (size_t)(B * T * 2 * N), p.states = (size_t)(E * N);
    a->u = guarded_normal(p.points, 1);
    a->delta = guarded_normal(p.points, 2);
    a->B_and_C = guarded_normal(p.rows, 3);
    a->z = gate ? guarded_normal(p.points, 4) : NULL;
    a->A_log = guarded_normal(p.states, 5);
    a->D = guarded_normal((size_t)E, 6);
    a->dt_bias = guarded_normal((size_t)E, 7);
    a->dout = guarded_normal(p.points, 8);
    a->out = guarded(p.points);
    size_t kept = (size_t)(B * ((T - 1) / WS_SCAN_STEPS) * N * E);
    a->states = kept ? guarded(kept) : NULL;
    a->du = guarded(p.points), a->ddelta = guarded(p.points), a->dB_and_C = guarded(p.rows);
    a->dz = gate ? guarded(p.points) : NULL;
    a->dA_log = guarded(p.states), a->dD = guarded((size_t)E), a->ddt_bias = guarded((size_t)E);
    p.out = doubles(p.points), p.du = doubles(p.points), p.ddelta = doubles(p.points), p.dz = doubles(p.points);
    p.drows = doubles(p.rows), p.dA_log = doubles(p.states), p.dD = doubles((size_t)E), p.ddt_bias = doubles((size_t)E);
    return p;
}

static void unmake(problem *p)
{
    const ws_selective_scan_arguments *a = &p->a;
    size_t E = (size_t)a->E, kept = (size_t)(a->B * ((a->T - 1) / WS_SCAN_STEPS) * a->N * a->E);
    ws_real *points[] = {
        (ws_real *)a->u, (ws_real *)a->delta, (ws_real *)a->z, (ws_real *)a->dout, a->out, a->du, a->ddelta, a->dz};
    for (size_t i = 0; i < sizeof points / sizeof *points; i++)
        if (points[i])
            release(points[i], p->points);
    release((ws_real *)a->B_and_C, p->rows), release(a->dB_and_C, p->rows);
    release((ws_real *)a->A_log, p->states), release(a->dA_log, p->states);
    release((ws_real *)a->D, E), release((ws_real *)a->dt_bias, E), release(a->dD, E), release(a->ddt_bias, E);
    if (kept)
        release(a->states, kept);
    double *own[] = {p->out, p->du, p->ddelta, p->dz, p->drows, p->dA_log, p->dD, p->ddt_bias};
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        free(own[i]);
}

/* One channel of one sequence: the recurrence as it is written down, then the chain rule from the last step to the first. */
static void textbook(problem *p, int64_t b, int64_t e)
{
    const ws_selective_scan_arguments *a = &p->a;
    int64_t T = a->T, E = a->E, N = a->N;
    double *h = doubles((size_t)((T + 1) * N)), *G = doubles((size_t)N), *y = doubles((size_t)T);
#define AT(t) ((b * T + (t)) * E + e)
#define STEP(t) log1p(exp((double)a->delta[AT(t)] + (double)a->dt_bias[e]))
#define RATE(n) (-exp((double)a->A_log[e * N + (n)]))
    for (int64_t t = 0; t < T; t++) {
        const ws_real *row = a->B_and_C + (b * T + t) * 2 * N;
        double u = (double)a->u[AT(t)];
        y[t] = (double)a->D[e] * u;
        for (int64_t n = 0; n < N; n++) {
            h[(t + 1) * N + n] = exp(STEP(t) * RATE(n)) * h[t * N + n] + STEP(t) * (double)row[n] * u;
            y[t] += (double)row[N + n] * h[(t + 1) * N + n];
        }
        p->out[AT(t)] = a->z ? y[t] * (double)a->z[AT(t)] * sigmoid((double)a->z[AT(t)]) : y[t];
    }
    for (int64_t t = T - 1; t >= 0; t--) {
        const ws_real *row = a->B_and_C + (b * T + t) * 2 * N;
        double *drow = p->drows + (b * T + t) * 2 * N;
        double u = (double)a->u[AT(t)], dy = (double)a->dout[AT(t)], dstep = 0;
        if (a->z) {
            double z = (double)a->z[AT(t)], s = sigmoid(z);
            p->dz[AT(t)] = dy * y[t] * s * (1 + z * (1 - s));
            dy *= z * s;
        }
        p->du[AT(t)] = (double)a->D[e] * dy;
        for (int64_t n = 0; n < N; n++) {
            double decay = exp(STEP(t) * RATE(n)), before = h[t * N + n];
            G[n] += (double)row[N + n] * dy;
            drow[N + n] += dy * h[(t + 1) * N + n];
            drow[n] += G[n] * STEP(t) * u;
            p->du[AT(t)] += G[n] * STEP(t) * (double)row[n];
            dstep += G[n] * (RATE(n) * decay * before + (double)row[n] * u);
            p->dA_log[e * N + n] += G[n] * STEP(t) * decay * before * RATE(n);
            G[n] *= decay;
        }
        p->ddelta[AT(t)] = dstep * sigmoid((double)a->delta[AT(t)] + (double)a->dt_bias[e]);
        p->dD[e] += dy * u;
        p->ddt_bias[e] += p->ddelta[AT(t)];
    }
#undef AT
#undef STEP
#undef RATE
    free(h), free(G), free(y);
}

static void run(problem *p, ws_isa isa)
{
    ws_selective_scan_arguments *a = &p->a;
    size_t forward = (size_t)ws_scan_scratch_forward(a->B, a->T, a->E, a->N);
    size_t backward = (size_t)ws_scan_scratch_backward(a->B, a->T, a->E, a->N);
    ws_real *memory = NULL;
    /* the engine's buffers begin at multiples of 64 bytes */
    OK(ws_alloc(&memory, (forward > backward ? forward : backward) + 64, sizeof *memory));
    a->scratch = (ws_real *)(((uintptr_t)memory + 63) / 64 * 64);
    a->scratch[forward] = guard_value;
    ws_kernels_of(isa)->selective_scan_forward(a, NULL);
    assert_true(a->scratch[forward] == guard_value);
    a->scratch[backward] = guard_value;
    ws_kernels_of(isa)->selective_scan_backward(a, NULL);
    assert_true(a->scratch[backward] == guard_value);
    free(memory);
}

static void check_scan(ws_isa isa, int64_t B, int64_t T, int64_t E, int64_t N, bool gate)
{
    problem p = make(B, T, E, N, gate);
    for (int64_t b = 0; b < B; b++)
        for (int64_t e = 0; e < E; e++)
            textbook(&p, b, e);
    run(&p, isa);
    assert_near("out", p.a.out, p.out, p.points, 1e-5);
    assert_near("du", p.a.du, p.du, p.points, 1e-5);
    assert_near("ddelta", p.a.ddelta, p.ddelta, p.points, 1e-5);
    assert_near("dB and dC", p.a.dB_and_C, p.drows, p.rows, 1e-5);
    if (gate)
        assert_near("dz", p.a.dz, p.dz, p.points, 1e-5);
    assert_near("dA_log", p.a.dA_log, p.dA_log, p.states, 2e-5);
    assert_near("dD", p.a.dD, p.dD, (size_t)E, 1e-5);
    assert_near("ddt_bias", p.a.ddt_bias, p.ddt_bias, (size_t)E, 2e-5);
    problem again = make(B, T, E, N, gate);
    run(&again, isa);
    assert_memory_equal(p.a.out, again.a.out, p.points * sizeof(ws_real));
    assert_memory_equal(p.a.du, again.a.du, p.points * sizeof(ws_real));
    assert_memory_equal(p.a.dB_and_C, again.a.dB_and_C, p.rows * sizeof(ws_real));
    assert_memory_equal(p.a.dA_log, again.a.dA_log, p.states * sizeof(ws_real));
    unmake(&again);
    unmake(&p);
}

static void test_scan_against_the_textbook(void **state)
{
    (void)state;
    static const int64_t lengths[] = {1, 2, 15, 16, 17, 31, 32, 33, 82};
    FOR_EACH_LEVEL(isa)
    {
        for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
            check_scan(isa, 2, lengths[i], 19, 16, i % 2 == 0);
        check_scan(isa, 1, 401, 16, 16, true);
        check_scan(isa, 1, 443, 8, 16, true);
        check_scan(isa, 1, 2049, 3, 4, false);
        check_scan(isa, 3, 20, 33, 1, true);
        check_scan(isa, 1, 20, 7, 64, true);
    }
}

/* Steps so long that a state is forgotten at once: exactly, and without NaN; steps just around where softplus becomes the
 * identity; and a NaN that must come through. */
static void test_scan_at_the_ends_of_the_range(void **state)
{
    (void)state;
    enum { T = 4, E = 17, N = 16 };
    FOR_EACH_LEVEL(isa)
    {
        problem p = make(1, T, E, N, false);
        ws_real *delta = (ws_real *)p.a.delta, *A_log = (ws_real *)p.a.A_log;
        for (size_t i = 0; i < p.points; i++)
            delta[i] = 300;
        for (size_t i = 0; i < p.states; i++)
            A_log[i] = (ws_real)(i % 3); /* delta A from -300 to -2217 */
        run(&p, isa);
        for (int64_t t = 0; t < T; t++)
            for (int64_t e = 0; e < E; e++) { /* only the step's own input is left */
                const ws_real *row = p.a.B_and_C + t * 2 * N;
                double u = (double)p.a.u[t * E + e], step = 300 + (double)p.a.dt_bias[e], want = (double)p.a.D[e] * u;
                double size = fabs(want);
                for (int64_t n = 0; n < N; n++) {
                    want += (double)row[N + n] * step * (double)row[n] * u;
                    size += fabs((double)row[N + n] * step * (double)row[n] * u);
                }
                assert_true(fabs((double)p.a.out[t * E + e] - want) <= 1e-6 * size);
                assert_true(isfinite(p.a.ddelta[t * E + e]));
            }
        for (size_t i = 0; i < p.states; i++)
            assert_true(p.a.dA_log[i] == 0);
        unmake(&p);

        p = make(1, T, E, N, true);
        ws_real *bias = (ws_real *)p.a.dt_bias;
        delta = (ws_real *)p.a.delta;
        for (size_t i = 0; i < p.points; i++)
            delta[i] = (ws_real)(19.9 + 0.05 * (double)(i % 5));
        memset(bias, 0, E * sizeof *bias);
        for (int64_t e = 0; e < E; e++)
            textbook(&p, 0, e);
        run(&p, isa);
        assert_near("out around 20", p.a.out, p.out, p.points, 1e-6);
        assert_near("ddelta around 20", p.a.ddelta, p.ddelta, p.points, 1e-5);
        delta[E + 3] = (ws_real)NAN;
        run(&p, isa);
        for (int64_t t = 0; t < T; t++)
            for (int64_t e = 0; e < E; e++)
                assert_int_equal(isnan(p.a.out[t * E + e]), t >= 1 && e == 3);
        unmake(&p);
    }
}

/* Without a gate, without states to keep, and with gradients that are not wanted, nothing else changes. */
static void test_scan_gives_only_what_is_wanted(void **state)
{
    (void)state;
    enum { T = 40, E = 21, N = 5 };
    FOR_EACH_LEVEL(isa)
    {
        problem whole = make(2, T, E, N, true), some = make(2, T, E, N, true);
        run(&whole, isa);
        ws_selective_scan_arguments kept = some.a;
        some.a.du = some.a.dB_and_C = some.a.dA_log = some.a.dD = some.a.ddt_bias = NULL;
        some.a.accumulate_ddelta = some.a.accumulate_dz = true;
        for (size_t i = 0; i < some.points; i++)
            some.a.ddelta[i] = some.a.dz[i] = 1;
        run(&some, isa);
        for (size_t i = 0; i < some.points; i++) {
            assert_true(some.a.ddelta[i] == 1 + whole.a.ddelta[i]);
            assert_true(some.a.dz[i] == 1 + whole.a.dz[i]);
        }
        some.a.states = NULL;
        memset(some.a.out, 0xff, some.points * sizeof(ws_real));
        ws_real *memory = NULL;
        OK(ws_alloc(&memory, (size_t)ws_scan_scratch_forward(some.a.B, some.a.T, E, N) + 16, sizeof *memory));
        some.a.scratch = (ws_real *)(((uintptr_t)memory + 63) / 64 * 64);
        ws_kernels_of(isa)->selective_scan_forward(&some.a, NULL);
        assert_memory_equal(some.a.out, whole.a.out, whole.points * sizeof(ws_real));
        free(memory);
        some.a = kept;
        unmake(&whole), unmake(&some);
    }
}

/* ---- depthwise convolution, reversal ---- */

static double silu(double x)
{
    return x * sigmoid(x);
}

static double silu_slope(double x)
{
    return sigmoid(x) * (1 + x * (1 - sigmoid(x)));
}

static void check_convolution(ws_isa isa, int64_t B, int64_t T, int64_t E, int64_t width, int64_t before)
{
    size_t points = (size_t)(B * T * E), weights = (size_t)(E * width);
    ws_conv1d_depthwise_arguments a = {
        .B = B, .T = T, .E = E, .width = width, .before = before, .activation = WS_SILU, .accumulate_dx = true};
    ws_real *x = guarded_normal(points, 1), *weight = guarded_normal(weights, 2), *bias = guarded_normal((size_t)E, 3);
    ws_real *dy = guarded_normal(points, 4);
    a.x = x, a.weight = weight, a.bias = bias, a.dy = dy;
    a.y = guarded(points), a.dx = guarded(points), a.dweight = guarded(weights), a.dbias = guarded((size_t)E);
    size_t room = (size_t)ws_conv1d_depthwise_scratch_backward(B, T, E, width);
    a.scratch = guarded(room);
    double *y = doubles(points), *dx = doubles(points), *dweight = doubles(weights), *dbias = doubles((size_t)E);
    for (size_t i = 0; i < points; i++)
        dx[i] = (double)(a.dx[i] = 1);
    for (int64_t i = 0; i < B * T * E; i++) {
        int64_t e = i % E, t = i / E % T, b = i / E / T;
        double p = (double)bias[e];
        for (int64_t k = 0; k < width; k++)
            if (t - before + k >= 0 && t - before + k < T)
                p += (double)weight[e * width + k] * (double)x[(b * T + t - before + k) * E + e];
        double dp = (double)dy[i] * silu_slope(p);
        y[i] = silu(p);
        dbias[e] += dp;
        for (int64_t k = 0; k < width; k++)
            if (t - before + k >= 0 && t - before + k < T) {
                dweight[e * width + k] += dp * (double)x[(b * T + t - before + k) * E + e];
                dx[(b * T + t - before + k) * E + e] += dp * (double)weight[e * width + k];
            }
    }
    ws_kernels_of(isa)->conv1d_depthwise_forward(&a, NULL);
    ws_kernels_of(isa)->conv1d_depthwise_backward(&a, NULL);
    assert_near("convolution", a.y, y, points, 1e-6);
    assert_near("its dx", a.dx, dx, points, 2e-6);
    assert_near("its dweight", a.dweight, dweight, weights, 2e-6);
    assert_near("its dbias", a.dbias, dbias, (size_t)E, 2e-6);
    release(x, points), release(dy, points), release(a.y, points), release(a.dx, points);
    release(weight, weights), release(a.dweight, weights), release(bias, (size_t)E), release(a.dbias, (size_t)E);
    release(a.scratch, room);
    free(y), free(dx), free(dweight), free(dbias);
}

static void test_convolution_against_the_textbook(void **state)
{
    (void)state;
    FOR_EACH_LEVEL(isa)
    for (int64_t T = 1; T <= 9; T += 2) {
        check_convolution(isa, 2, T, 37, 4, 3);
        check_convolution(isa, 3, T, 16, 5, 2);
        check_convolution(isa, 1, T, 3, 1, 0);
        check_convolution(isa, 2, T, 17, 6, 0);
    }
}

/* A window of one step with weight 1 and bias 0 leaves the activation alone; its slope comes back. */
static void test_convolution_has_every_activation(void **state)
{
    (void)state;
    enum { E = 19 };
    static const ws_real zero[E] = {0};
    ws_real x[E], one[E];
    for (int e = 0; e < E; e++) {
        x[e] = (ws_real)(e - 9) / 3 + (ws_real)0.1;
        one[e] = 1;
    }
    FOR_EACH_LEVEL(isa)
    for (int activation = 0; activation < WS_ACTIVATION_COUNT; activation++) {
        ws_conv1d_depthwise_arguments a = {.B = 1, .T = 1, .E = E, .width = 1, .activation = activation};
        size_t room = (size_t)ws_conv1d_depthwise_scratch_backward(1, 1, E, 1);
        ws_real *y = guarded(E), *dx = guarded(E), *scratch = guarded(room);
        a.x = x, a.weight = one, a.bias = zero, a.y = y, a.dy = one, a.dx = dx, a.scratch = scratch;
        ws_kernels_of(isa)->conv1d_depthwise_forward(&a, NULL);
        ws_kernels_of(isa)->conv1d_depthwise_backward(&a, NULL);
        for (int e = 0; e < E; e++) {
            assert_float_equal(y[e], ws_activation_value(activation, x[e]), 1e-6);
            assert_float_equal(dx[e], ws_activation_slope_at(activation, x[e]), 1e-6);
        }
        release(y, E), release(dx, E), release(scratch, room);
    }
}

static void test_flip_keeps_the_padding(void **state)
{
    (void)state;
    static const ws_real x[] = {1, 2, 3, 4, 11, 12, 13, 14, 21, 22, 23, 24, 31, 32, 33, 34};
    static const ws_real want[] = {3, 2, 1, 4, 11, 12, 13, 14, 24, 23, 22, 21, 34, 33, 32, 31};
    static const int32_t lengths[] = {3, 0, 4, 9};
    FOR_EACH_LEVEL(isa)
    {
        ws_real y[16];
        ws_flip_sequence_arguments a = {.B = 4, .T = 4, .D = 1, .x = x, .lengths = lengths, .y = y};
        ws_kernels_of(isa)->flip_sequence_forward(&a, NULL);
        assert_memory_equal(y, want, sizeof y);
    }
}

/* ---- gated recurrent units ---- */

/* The recurrence as it is written down, for one sequence and direction. */
static void gru_textbook(const ws_gru_arguments *a, int64_t b, int64_t direction, double *y)
{
    int64_t H = a->H, D = a->D, length = a->lengths ? a->lengths[b] : a->T;
    length = length > a->T ? a->T : length;
    double *h = doubles((size_t)H), *next = doubles((size_t)H);
    for (int64_t i = 0; i < length; i++) {
        int64_t t = direction == 0 ? i : length - 1 - i;
        for (int64_t j = 0; j < H; j++) {
            double of_x[3], of_h[3];
            for (int64_t g = 0; g < 3; g++) {
                int64_t row = direction * 3 * H + g * H + j;
                of_x[g] = (double)a->bias_input[row];
                of_h[g] = (double)a->bias_hidden[row];
                for (int64_t d = 0; d < D; d++)
                    of_x[g] += (double)a->weight_input[row * D + d] * (double)a->x[(b * a->T + t) * D + d];
                for (int64_t k = 0; k < H; k++)
                    of_h[g] += (double)a->weight_hidden[row * H + k] * h[k];
            }
            double r = sigmoid(of_x[0] + of_h[0]), z = sigmoid(of_x[1] + of_h[1]);
            next[j] = (1 - z) * tanh(of_x[2] + r * of_h[2]) + z * h[j];
        }
        memcpy(h, next, (size_t)H * sizeof *h);
        memcpy(y + ((b * a->T + t) * a->directions + direction) * H, h, (size_t)H * sizeof *h);
    }
    free(h), free(next);
}

static void check_gru(ws_isa isa, int64_t directions, const int32_t *lengths)
{
    enum { B = 4, T = 6, D = 5, H = 19 };
    size_t rows = (size_t)directions * 3 * H, out = (size_t)directions * B * T * H;
    ws_gru_arguments a = {.B = B, .T = T, .D = D, .H = H, .directions = directions, .lengths = lengths};
    ws_real *x = guarded_normal((size_t)B * T * D, 1), *W = guarded_normal(rows * D, 2),
            *U = guarded_normal(rows * H, 3);
    ws_real *b = guarded_normal(rows, 4), *c = guarded_normal(rows, 5);
    a.x = x, a.weight_input = W, a.weight_hidden = U, a.bias_input = b, a.bias_hidden = c;
    a.y = guarded(out);
    size_t room = (size_t)ws_gru_scratch_forward(B, T, H, directions);
    a.scratch = guarded(room);
    double *want = doubles(out);
    for (int64_t sequence = 0; sequence < B; sequence++)
        for (int64_t direction = 0; direction < directions; direction++)
            gru_textbook(&a, sequence, direction, want);
    ws_kernels_of(isa)->gru_forward(&a, NULL);
    assert_near("gru", a.y, want, out, 4e-6);
    memset(a.y, 0xff, out * sizeof *a.y);
    a.gates = guarded((size_t)B * T * rows);
    a.q = guarded(out);
    ws_kernels_of(isa)->gru_forward(&a, NULL);
    assert_near("gru that keeps its gates", a.y, want, out, 4e-6);
    release(x, (size_t)B * T * D), release(W, rows * D), release(U, rows * H), release(b, rows), release(c, rows);
    release(a.y, out), release(a.scratch, room), release(a.gates, (size_t)B * T * rows), release(a.q, out);
    free(want);
}

static void test_gru_against_the_textbook(void **state)
{
    (void)state;
    static const int32_t lengths[] = {6, 0, 3, 9};
    FOR_EACH_LEVEL(isa)
    for (int64_t directions = 1; directions <= 2; directions++) {
        check_gru(isa, directions, NULL);
        check_gru(isa, directions, lengths);
    }
}

/* ---- windows ---- */

static void test_windows(void **state)
{
    (void)state;
    static const ws_real x[] = {1, -1, 5, -5, 3, -3, 4, -4, 2, -2}; /* [1,5,2] */
    static const ws_real unfolded[] = {0, 0, 1, -1, 5, -5, 5, -5, 3, -3, 4, -4, 4, -4, 2, -2, 0, 0};
    static const ws_real folded[] = {1, 1, 2, 2, 1, 1, 2, 2, 1, 1}, largest[] = {5, -1, 4, -2};
    static const ws_real pooled_back[] = {0, 1, 1, 0, 0, 0, 1, 0, 0, 1};
    static const ws_real ones[18] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    FOR_EACH_LEVEL(isa)
    {
        ws_real *y = guarded(18), *dx = guarded(10), *pooled = guarded(4);
        ws_unfold_arguments u = {.B = 1, .T = 5, .D = 2, .width = 3, .stride = 2, .padding = 1, .out = 3};
        u.x = x, u.y = y, u.dy = ones, u.dx = dx;
        ws_kernels_of(isa)->unfold_forward(&u, NULL);
        assert_memory_equal(y, unfolded, sizeof unfolded);
        ws_kernels_of(isa)->unfold_backward(&u, NULL);
        assert_memory_equal(dx, folded, sizeof folded);
        ws_maxpool1d_arguments p = {.B = 1, .T = 5, .D = 2, .width = 3, .stride = 2, .out = 2};
        p.x = x, p.y = pooled, p.dy = ones, p.dx = dx;
        ws_kernels_of(isa)->maxpool1d_forward(&p, NULL);
        assert_memory_equal(pooled, largest, sizeof largest);
        ws_kernels_of(isa)->maxpool1d_backward(&p, NULL);
        assert_memory_equal(dx, pooled_back, sizeof pooled_back);
        ws_real damaged[10];
        memcpy(damaged, x, sizeof x);
        damaged[4] = (ws_real)NAN; /* comes through, whatever follows it */
        p.x = damaged;
        ws_kernels_of(isa)->maxpool1d_forward(&p, NULL);
        assert_true(isnan(pooled[0]) && isnan(pooled[2]) && pooled[1] == -1);
        release(y, 18), release(dx, 10), release(pooled, 4);
    }
}

/* ---- elementary functions ---- */

static void test_softplus_is_accurate_for_small_values_too(void **state)
{
    (void)state;
    double worst = 0, slope_worst = 0;
    for (int i = -80000; i <= 40000; i++) {
        double x = (double)(ws_real)((float)i * 1e-3F);
        double want = log1p(exp(x));
        worst = fmax(worst, fabs((double)ws_softplus((ws_real)x) - want) / want);
        slope_worst = fmax(slope_worst, fabs((double)ws_softplus_slope((ws_real)x) - sigmoid(x)) / sigmoid(x));
    }
    print_message("worst relative error: softplus %.2g, its slope %.2g\n", worst, slope_worst);
    assert_true(worst <= 4e-7 && slope_worst <= 4e-7);
    assert_true(ws_softplus(1e30F) == (ws_real)1e30F && ws_softplus(-1e30F) == 0 && isnan(ws_softplus(NAN)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scan_against_the_textbook),
        cmocka_unit_test(test_scan_at_the_ends_of_the_range),
        cmocka_unit_test(test_scan_gives_only_what_is_wanted),
        cmocka_unit_test(test_convolution_against_the_textbook),
        cmocka_unit_test(test_convolution_has_every_activation),
        cmocka_unit_test(test_flip_keeps_the_padding),
        cmocka_unit_test(test_gru_against_the_textbook),
        cmocka_unit_test(test_windows),
        cmocka_unit_test(test_softplus_is_accurate_for_small_values_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
