/* selective_scan on the CPU: panels of WS_LANES channels side by side in registers, their states in an inner loop, so that
 * no sum runs across lanes but those of dB and dC, once a segment. All channels of a segment are walked before the next
 * segment, so that rows are read as they lie in memory. */
#include "level.h"

enum { STEPS = WS_SCAN_STEPS };
typedef struct lanes {
    _Alignas(64) ws_real at[WS_LANES];
} lanes;
#define LN2 ((ws_real)0.69314718055994530942)

/* One segment of one panel. Lanes beyond the last channel hold zeros. */
typedef struct segment {
    const ws_selective_scan_arguments *a;
    int64_t panel, width; /* channels in the panel */
    int64_t steps;
    size_t first;                                         /* element of [B,T,E] at which it begins */
    const ws_real *rows;                                  /* of B_and_C */
    lanes u[STEPS], delta[STEPS], input[STEPS], y[STEPS]; /* input: delta u */
    lanes dy[STEPS], du[STEPS], ddelta[STEPS], dz[STEPS]; /* backward */
} segment;

WS_INLINE void take_lanes(lanes *to, const ws_real *from, int64_t E, int64_t steps, int64_t width)
{
    for (int64_t t = 0; t < steps; t++, from += E) {
        if (width < WS_LANES)
            to[t] = (lanes){{0}};
        memcpy(to[t].at, from, (size_t)width * sizeof *from);
    }
}

static void take(lanes *to, const ws_real *from, const segment *s)
{
    if (s->width == WS_LANES) /* copies of a known size */
        take_lanes(to, from, s->a->E, s->steps, WS_LANES);
    else
        take_lanes(to, from, s->a->E, s->steps, s->width);
}

WS_INLINE void give_lanes(ws_real *to, const lanes *from, int64_t E, int64_t steps, int64_t width, bool accumulate)
{
    for (int64_t t = 0; t < steps; t++, to += E) {
        lanes sum = from[t];
        for (int64_t i = 0; accumulate && i < width; i++)
            sum.at[i] += to[i];
        memcpy(to, sum.at, (size_t)width * sizeof *to);
    }
}

static void give(ws_real *to, const lanes *from, const segment *s, bool accumulate)
{
    if (s->width == WS_LANES)
        give_lanes(to, from, s->a->E, s->steps, WS_LANES, accumulate);
    else
        give_lanes(to, from, s->a->E, s->steps, s->width, accumulate);
}

static void open_segment(segment *s, const ws_selective_scan_arguments *a, int64_t b, int64_t from, int64_t panel)
{
    s->a = a;
    s->panel = panel;
    s->width = a->E - panel * WS_LANES < WS_LANES ? a->E - panel * WS_LANES : WS_LANES;
    s->steps = a->T - from < STEPS ? a->T - from : STEPS;
    s->first = (size_t)((b * a->T + from) * a->E + panel * WS_LANES);
    s->rows = a->B_and_C + (b * a->T + from) * 2 * a->N;
    take(s->u, a->u + s->first, s);
    take(s->delta, a->delta + s->first, s);
    lanes bias = {{0}};
    memcpy(bias.at, a->dt_bias + panel * WS_LANES, (size_t)s->width * sizeof *bias.at);
    for (int64_t t = 0; t < s->steps; t++)
        for (int64_t i = 0; i < WS_LANES; i++) {
            s->delta[t].at[i] = ws_softplus(s->delta[t].at[i] + bias.at[i]);
            s->input[t].at[i] = s->delta[t].at[i] * s->u[t].at[i];
        }
}

/* A log2(e) of every panel: [panels][N] lanes. */
static void make_rates(const ws_selective_scan_arguments *a, lanes *rates)
{
    for (int64_t e = 0; e < (a->E + WS_LANES - 1) / WS_LANES * WS_LANES; e++)
        for (int64_t n = 0; n < a->N; n++)
            rates[e / WS_LANES * a->N + n].at[e % WS_LANES] = e < a->E ? -ws_exp(a->A_log[e * a->N + n]) / LN2 : 0;
}

/* Where the states of sequence b before step `from` are kept, for channel 0 of the panel and state 0. */
static ws_real *kept_states(const segment *s, int64_t b, int64_t from)
{
    const ws_selective_scan_arguments *a = s->a;
    int64_t segments = (a->T + STEPS - 1) / STEPS;
    return a->states + (b * (segments - 1) + from / STEPS - 1) * a->N * a->E + s->panel * WS_LANES;
}

/* y = D u */
static void begin_outputs(segment *s)
{
    lanes D = {{0}};
    memcpy(D.at, s->a->D + s->panel * WS_LANES, (size_t)s->width * sizeof *D.at);
    for (int64_t t = 0; t < s->steps; t++)
        for (int64_t i = 0; i < WS_LANES; i++)
            s->y[t].at[i] = D.at[i] * s->u[t].at[i];
}

/* ---- forward ---- */

WS_INLINE void walk(segment *s, int64_t N, const lanes *rates, lanes *h)
{
    const ws_real *row = s->rows;
    for (int64_t t = 0; t < s->steps; t++, row += 2 * N)
        for (int64_t r = 0; r < WS_LANES; r += WS_WIDTH) {
            ws_register delta = ws_load(s->delta[t].at + r), input = ws_load(s->input[t].at + r),
                        y = ws_load(s->y[t].at + r);
            for (int64_t n = 0; n < N; n++) {
                ws_register decay = ws_exp2_falling(delta * ws_load(rates[n].at + r));
                ws_register state = decay * ws_load(h[n].at + r) + input * row[n];
                y += state * row[N + n];
                ws_store(h[n].at + r, state);
            }
            ws_store(s->y[t].at + r, y);
        }
}

static void finish_outputs(segment *s)
{
    const ws_selective_scan_arguments *a = s->a;
    if (a->z) {
        lanes z[STEPS];
        take(z, a->z + s->first, s);
        for (int64_t t = 0; t < s->steps; t++)
            for (int64_t i = 0; i < WS_LANES; i++)
                s->y[t].at[i] *= ws_silu(z[t].at[i]);
    }
    give(a->out + s->first, s->y, s, false);
}

static void forward_segment(segment *s, int64_t b, int64_t from, const lanes *rates, lanes *h)
{
    const ws_selective_scan_arguments *a = s->a;
    if (a->states && from > 0)
        for (int64_t n = 0; n < a->N; n++)
            memcpy(kept_states(s, b, from) + n * a->E, h[n].at, (size_t)s->width * sizeof(ws_real));
    begin_outputs(s);
    if (a->N == 16) /* the usual number, known to the compiler */
        walk(s, 16, rates, h);
    else
        walk(s, a->N, rates, h);
    finish_outputs(s);
}

WS_OPERATOR_KERNEL(selective_scan, forward)
{
    int64_t N = a->N, panels = (a->E + WS_LANES - 1) / WS_LANES;
    lanes *rates = (lanes *)(void *)a->scratch, *h = rates + panels * N;
    unsigned mode = ws_flush_begin();
    make_rates(a, rates);
    for (int64_t b = 0; b < a->B; b++) {
        memset(h, 0, (size_t)(panels * N) * sizeof *h);
        for (int64_t from = 0; from < a->T; from += STEPS)
            for (int64_t panel = 0; panel < panels; panel++) {
                segment s;
                open_segment(&s, a, b, from, panel);
                forward_segment(&s, b, from, rates + panel * N, h + panel * N);
            }
    }
    ws_flush_end(mode);
}

/* ---- backward ---- */

/* What outlives a segment, for all panels, and the room of one segment. */
typedef struct room {
    lanes *rates, *carry, *dA; /* [panels][N]; carry: exp(delta A) G of the step after */
    lanes *dD, *dbias;         /* [panels] */
    lanes *past, *decay;       /* [STEPS + 1][N] states before each step, [STEPS][N] */
    lanes *sums;               /* [STEPS][2N] parts of dB and dC, over the panels so far */
} room;

/* The states of a segment once more, kept this time, with y and the parts of dC. */
WS_INLINE void walk_again(segment *s, int64_t N, const lanes *rates, const room *m)
{
    const ws_real *row = s->rows;
    for (int64_t t = 0; t < s->steps; t++, row += 2 * N) {
        const lanes *before = m->past + t * N;
        lanes *after = m->past + (t + 1) * N, *decays = m->decay + t * N, *dC = m->sums + (2 * t + 1) * N;
        for (int64_t r = 0; r < WS_LANES; r += WS_WIDTH) {
            ws_register delta = ws_load(s->delta[t].at + r), input = ws_load(s->input[t].at + r),
                        y = ws_load(s->y[t].at + r);
            ws_register dy = ws_load(s->dy[t].at + r);
            for (int64_t n = 0; n < N; n++) {
                ws_register decay = ws_exp2_falling(delta * ws_load(rates[n].at + r));
                ws_register state = decay * ws_load(before[n].at + r) + input * row[n];
                y += state * row[N + n];
                ws_store(decays[n].at + r, decay);
                ws_store(after[n].at + r, state);
                ws_store(dC[n].at + r, ws_load(dC[n].at + r) + dy * state);
            }
            ws_store(s->y[t].at + r, y);
        }
    }
}

/* With G[t] = C[t] dy[t] + exp(delta[t+1] A) G[t+1], from the last step to the first. */
WS_INLINE void sweep(segment *s, int64_t N, const lanes *rates, lanes *carry, lanes *dA, const room *m)
{
    for (int64_t t = s->steps - 1; t >= 0; t--) {
        const ws_real *row = s->rows + t * 2 * N;
        const lanes *before = m->past + t * N, *decays = m->decay + t * N;
        lanes *dB = m->sums + 2 * t * N;
        for (int64_t r = 0; r < WS_LANES; r += WS_WIDTH) {
            ws_register delta = ws_load(s->delta[t].at + r), input = ws_load(s->input[t].at + r),
                        dy = ws_load(s->dy[t].at + r);
            ws_register of_input = {0}, of_rates = {0}; /* sums over n of G B, and of d(delta A) A */
            for (int64_t n = 0; n < N; n++) {
                ws_register G = dy * row[N + n] + ws_load(carry[n].at + r);
                of_input += G * row[n];
                ws_store(dB[n].at + r, ws_load(dB[n].at + r) + G * input);
                ws_register passed = G * ws_load(decays[n].at + r), of_exponent = passed * ws_load(before[n].at + r);
                ws_store(carry[n].at + r, passed);
                of_rates += of_exponent * ws_load(rates[n].at + r);
                ws_store(dA[n].at + r, ws_load(dA[n].at + r) + of_exponent * delta);
            }
            ws_store(s->du[t].at + r, delta * of_input);
            ws_store(s->ddelta[t].at + r, ws_load(s->u[t].at + r) * of_input + of_rates * LN2);
        }
    }
}

/* dy, and the slope that turns y into dz, which waits in dz. */
static void open_gradients(segment *s)
{
    const ws_selective_scan_arguments *a = s->a;
    take(s->dy, a->dout + s->first, s);
    if (!a->z)
        return;
    lanes z[STEPS];
    take(z, a->z + s->first, s);
    for (int64_t t = 0; t < s->steps; t++)
        for (int64_t i = 0; i < WS_LANES; i++) {
            s->dz[t].at[i] = s->dy[t].at[i] * ws_silu_slope(z[t].at[i]);
            s->dy[t].at[i] *= ws_silu(z[t].at[i]);
        }
}

static void finish_gradients(segment *s, const room *m)
{
    const ws_selective_scan_arguments *a = s->a;
    lanes raw[STEPS], bias = {{0}}, D = {{0}};
    ws_real *dD = m->dD[s->panel].at, *dbias = m->dbias[s->panel].at;
    take(raw, a->delta + s->first, s);
    memcpy(bias.at, a->dt_bias + s->panel * WS_LANES, (size_t)s->width * sizeof *bias.at);
    memcpy(D.at, a->D + s->panel * WS_LANES, (size_t)s->width * sizeof *D.at);
    for (int64_t t = s->steps - 1; t >= 0; t--)
        for (int64_t i = 0; i < WS_LANES; i++) {
            s->dz[t].at[i] *= s->y[t].at[i];
            s->du[t].at[i] += D.at[i] * s->dy[t].at[i];
            s->ddelta[t].at[i] *= ws_softplus_slope(raw[t].at[i] + bias.at[i]);
            dD[i] += s->dy[t].at[i] * s->u[t].at[i];
            dbias[i] += s->ddelta[t].at[i];
        }
    if (a->du)
        give(a->du + s->first, s->du, s, a->accumulate_du);
    if (a->ddelta)
        give(a->ddelta + s->first, s->ddelta, s, a->accumulate_ddelta);
    if (a->dz)
        give(a->dz + s->first, s->dz, s, a->accumulate_dz);
}

static void backward_segment(segment *s, int64_t b, int64_t from, const room *m)
{
    const ws_selective_scan_arguments *a = s->a;
    int64_t N = a->N;
    memset(m->past, 0, (size_t)N * sizeof *m->past);
    for (int64_t n = 0; from > 0 && n < N; n++)
        memcpy(m->past[n].at, kept_states(s, b, from) + n * a->E, (size_t)s->width * sizeof(ws_real));
    open_gradients(s);
    begin_outputs(s);
    const lanes *rates = m->rates + s->panel * N;
    lanes *carry = m->carry + s->panel * N, *dA = m->dA + s->panel * N;
    if (N == 16) {
        walk_again(s, 16, rates, m);
        sweep(s, 16, rates, carry, dA, m);
    } else {
        walk_again(s, N, rates, m);
        sweep(s, N, rates, carry, dA, m);
    }
    finish_gradients(s, m);
}

/* dB and dC of the rows of one segment, from their parts over all panels. */
static void fold_rows(const ws_selective_scan_arguments *a, int64_t b, int64_t from, int64_t steps, const lanes *sums)
{
    ws_real *to = a->dB_and_C + (b * a->T + from) * 2 * a->N;
    for (int64_t i = 0; i < steps * 2 * a->N; i++) {
        ws_register parts[WS_REGISTERS];
        memcpy(parts, sums[i].at, sizeof parts);
        ws_real sum = ws_fold(parts);
        to[i] = a->accumulate_dB_and_C ? to[i] + sum : sum;
    }
}

/* The parameters' gradients of one sequence go to the total: dA_log = dA A. */
static void add_parameters(const ws_selective_scan_arguments *a, const room *m)
{
    for (int64_t e = 0; e < a->E; e++) {
        int64_t panel = e / WS_LANES, lane = e % WS_LANES;
        for (int64_t n = 0; n < a->N; n++)
            a->dA_log[e * a->N + n] += m->dA[panel * a->N + n].at[lane] * (m->rates[panel * a->N + n].at[lane] * LN2);
        a->dD[e] += m->dD[panel].at[lane];
        a->ddt_bias[e] += m->dbias[panel].at[lane];
    }
}

static void backward_sequence(const ws_selective_scan_arguments *a, int64_t b, const room *m)
{
    int64_t panels = (a->E + WS_LANES - 1) / WS_LANES, last = (a->T - 1) / STEPS * STEPS;
    memset(m->carry, 0, (size_t)(panels * (2 * a->N + 2)) * sizeof *m->carry); /* and dA, dD, dbias behind it */
    for (int64_t from = last; from >= 0; from -= STEPS) {
        int64_t steps = a->T - from < STEPS ? a->T - from : STEPS;
        memset(m->sums, 0, (size_t)(steps * 2 * a->N) * sizeof *m->sums);
        for (int64_t panel = 0; panel < panels; panel++) {
            segment s;
            open_segment(&s, a, b, from, panel);
            backward_segment(&s, b, from, m);
        }
        if (a->dB_and_C)
            fold_rows(a, b, from, steps, m->sums);
    }
    if (a->dA_log)
        add_parameters(a, m);
}

WS_OPERATOR_KERNEL(selective_scan, backward)
{
    int64_t N = a->N, panels = (a->E + WS_LANES - 1) / WS_LANES;
    room m = {.rates = (lanes *)(void *)a->scratch};
    m.carry = m.rates + panels * N;
    m.dA = m.carry + panels * N;
    m.dD = m.dA + panels * N;
    m.dbias = m.dD + panels;
    m.past = m.dbias + panels;
    m.decay = m.past + (STEPS + 1) * N;
    m.sums = m.decay + STEPS * N;
    unsigned mode = ws_flush_begin();
    make_rates(a, m.rates);
    if (a->dA_log) {
        memset(a->dA_log, 0, (size_t)(a->E * N) * sizeof *a->dA_log);
        memset(a->dD, 0, (size_t)a->E * sizeof *a->dD);
        memset(a->ddt_bias, 0, (size_t)a->E * sizeof *a->ddt_bias);
    }
    for (int64_t b = 0; b < a->B; b++)
        backward_sequence(a, b, &m);
    ws_flush_end(mode);
}
