/* Explicit Runge-Kutta methods as tables of coefficients; see ode.h. */
#include <math.h>
#include <stdlib.h>
#include "models/ode.h"

enum { MOST_STAGES = 7 };

/* x_i = x + h sum_j a[i][j] k_j, k_i = v(x_i, t + c[i] h), result x + h sum_i b[i] k_i, error h sum_i e[i] k_i. */
typedef struct tableau {
    int stages;
    double c[MOST_STAGES], a[MOST_STAGES][MOST_STAGES], b[MOST_STAGES], e[MOST_STAGES];
} tableau;

static const tableau tableaus[WS_ODE_COUNT] = {
    [WS_ODE_EULER] = {.stages = 1, .b = {1}},
    [WS_ODE_MIDPOINT] = {.stages = 2, .c = {0, 0.5}, .a = {{0}, {0.5}}, .b = {0, 1}},
    [WS_ODE_HEUN] = {.stages = 2, .c = {0, 1}, .a = {{0}, {1}}, .b = {0.5, 0.5}},
    [WS_ODE_RK4] = {.stages = 4,
                    .c = {0, 0.5, 0.5, 1},
                    .a = {{0}, {0.5}, {0, 0.5}, {0, 0, 1}},
                    .b = {1.0 / 6, 1.0 / 3, 1.0 / 3, 1.0 / 6}},
    [WS_ODE_DOPRI5] = {.stages = 7, /* the last is the first of the next step */
                       .c = {0, 1.0 / 5, 3.0 / 10, 4.0 / 5, 8.0 / 9, 1, 1},
                       .a = {{0},
                             {1.0 / 5},
                             {3.0 / 40, 9.0 / 40},
                             {44.0 / 45, -56.0 / 15, 32.0 / 9},
                             {19372.0 / 6561, -25360.0 / 2187, 64448.0 / 6561, -212.0 / 729},
                             {9017.0 / 3168, -355.0 / 33, 46732.0 / 5247, 49.0 / 176, -5103.0 / 18656},
                             {35.0 / 384, 0, 500.0 / 1113, 125.0 / 192, -2187.0 / 6784, 11.0 / 84}},
                       .b = {35.0 / 384, 0, 500.0 / 1113, 125.0 / 192, -2187.0 / 6784, 11.0 / 84, 0},
                       .e = {71.0 / 57600, 0, -71.0 / 16695, 71.0 / 1920, -17253.0 / 339200, 22.0 / 525, -1.0 / 40}}};

typedef struct solution {
    const ws_ode_field *field;
    const tableau *method;
    size_t count; /* rows * columns */
    ws_real *x, *probe, *slope[MOST_STAGES];
    double *rate[MOST_STAGES]; /* of the integral; NULL where none is wanted */
    double *integral, *time, *step, *stage_time;
    uint8_t *grown, *strained; /* dopri5: the step may grow; a step was taken against the tolerance */
} solution;

static int64_t used_columns(const solution *s, int64_t row)
{
    return s->field->used ? s->field->used[row] : s->field->columns;
}

/* out = x + h sum over the first `stages` of weights[j] k_j, for one row */
static void combine(const solution *s, int64_t row, int stages, const double *weights, ws_real *out)
{
    size_t begin = (size_t)(row * s->field->columns), end = begin + (size_t)used_columns(s, row);
    for (size_t i = begin; i < end; i++) {
        double sum = 0;
        for (int j = 0; j < stages; j++)
            sum += weights[j] * (double)s->slope[j][i];
        out[i] = (ws_real)((double)s->x[i] + s->step[row] * sum);
    }
}

static void evaluate(solution *s, int stage)
{
    for (int64_t r = 0; r < s->field->rows; r++)
        s->stage_time[r] = s->time[r] + s->method->c[stage] * s->step[r];
    if (stage > 0)
        for (int64_t r = 0; r < s->field->rows; r++)
            combine(s, r, stage, s->method->a[stage], s->probe);
    s->field->velocity(s->field->context, s->stage_time, stage > 0 ? s->probe : s->x, s->slope[stage], s->rate[stage]);
}

static void add_integral(solution *s, int64_t row)
{
    double sum = 0;
    for (int j = 0; s->integral && j < s->method->stages; j++)
        sum += s->method->b[j] * s->rate[j][row];
    if (s->integral)
        s->integral[row] += s->step[row] * sum;
}

static void solve_equal_steps(solution *s, int64_t steps, double from, double to)
{
    double h = (to - from) / (double)steps;
    for (int64_t r = 0; r < s->field->rows; r++)
        s->step[r] = h;
    for (int64_t k = 0; k < steps; k++) {
        for (int64_t r = 0; r < s->field->rows; r++)
            s->time[r] = from + h * (double)k;
        for (int stage = 0; stage < s->method->stages; stage++)
            evaluate(s, stage);
        for (int64_t r = 0; r < s->field->rows; r++) {
            combine(s, r, s->method->stages, s->method->b, s->x);
            add_integral(s, r);
        }
    }
}

/* ---- dopri5 ---- */

#define SLIVER 1e-9 /* of a step: what would be left for another one is taken along */

/* Root mean square of the estimated error in units of what is tolerated; the new values are in probe. */
static double step_error(const solution *s, int64_t row, double tolerance)
{
    int64_t used = used_columns(s, row);
    size_t begin = (size_t)(row * s->field->columns);
    double sum = 0;
    for (size_t i = begin; i < begin + (size_t)used; i++) {
        double error = 0, before = fabs((double)s->x[i]), after = fabs((double)s->probe[i]);
        for (int j = 0; j < MOST_STAGES; j++)
            error += s->method->e[j] * (double)s->slope[j][i];
        error *= s->step[row] / (tolerance * (1 + (before > after ? before : after)));
        sum += error * error;
    }
    return used > 0 ? sqrt(sum / (double)used) : 0;
}

/* min(10, max(0.2, 0.9 error^(-1/5))); the root by bisection: the same bits everywhere, which pow() does not promise. */
static double step_factor(double error)
{
    double low = 0.09, high = 4.5;
    if (!(error < high * high * high * high * high))
        return 0.2; /* also where it is not a number */
    for (int i = 0; i < 52; i++) {
        double middle = low + (high - low) / 2;
        if (middle * middle * middle * middle * middle < error)
            low = middle;
        else
            high = middle;
    }
    return 0.9 / high;
}

/* Takes the step that was tried, or makes it shorter; the way that is left decides the sign. */
static void decide(solution *s, int64_t row, const ws_ode_options *options, double to, double shortest)
{
    double left = to - s->time[row], error = step_error(s, row, options->tolerance), factor = step_factor(error);
    bool within = error <= 1, last = fabs(s->step[row]) >= fabs(left);
    bool shortest_already = fabs(s->step[row]) * (1 - SLIVER) <= shortest; /* the last one may be a sliver longer */
    if (!within && !shortest_already) {
        s->grown[row] = 0;
        s->step[row] *= factor;
        return;
    }
    s->strained[row] |= !within;
    last |= !isfinite(error); /* nothing gets better from here */
    size_t begin = (size_t)(row * s->field->columns), bytes = (size_t)used_columns(s, row) * sizeof(ws_real);
    memcpy(s->x + begin, s->probe + begin, bytes);
    add_integral(s, row);
    memcpy(s->slope[0] + begin, s->slope[MOST_STAGES - 1] + begin, bytes);
    if (s->integral)
        s->rate[0][row] = s->rate[MOST_STAGES - 1][row];
    s->time[row] = last ? to : s->time[row] + s->step[row];
    /* Right after a refusal a step does not grow (Hairer, Norsett & Wanner, II.4). */
    s->step[row] *= s->grown[row] || factor < 1 ? factor : 1;
    s->grown[row] = 1;
}

/* The next step of a row: never shorter than the shortest, never beyond the end, and no sliver left for another. */
static bool choose_step(solution *s, int64_t row, double to, double shortest)
{
    double left = to - s->time[row], sign = left < 0 ? -1 : 1;
    if (left == 0) {
        s->step[row] = 0;
        return false;
    }
    if (fabs(s->step[row]) < shortest)
        s->step[row] = sign * shortest;
    if (fabs(s->step[row]) >= fabs(left) * (1 - SLIVER))
        s->step[row] = left;
    return true;
}

static void solve_own_steps(solution *s, const ws_ode_options *options, double from, double to)
{
    double shortest = fabs(to - from) / (double)options->limit;
    bool going = true;
    for (int64_t r = 0; r < s->field->rows; r++) {
        s->time[r] = from;
        s->step[r] = (to - from) / (double)options->steps;
        s->grown[r] = 1;
    }
    evaluate(s, 0);
    while (going) {
        going = false;
        for (int64_t r = 0; r < s->field->rows; r++)
            going |= choose_step(s, r, to, shortest);
        for (int stage = 1; going && stage < MOST_STAGES; stage++)
            evaluate(s, stage); /* the last one leaves the result of the step in probe */
        for (int64_t r = 0; going && r < s->field->rows; r++)
            if (s->step[r] != 0)
                decide(s, r, options, to, shortest);
    }
}

/* ---- both ---- */

static ws_err make_room(solution *s)
{
    size_t rows = (size_t)s->field->rows;
    for (int j = 0; j < s->method->stages; j++) {
        WS_TRY(WS_NEW_ARRAY(s->slope[j], s->count));
        if (s->integral)
            WS_TRY(WS_NEW_ARRAY(s->rate[j], rows));
    }
    WS_TRY(WS_NEW_ARRAY(s->probe, s->count));
    WS_TRY(WS_NEW_ARRAY(s->time, rows));
    WS_TRY(WS_NEW_ARRAY(s->step, rows));
    WS_TRY(WS_NEW_ARRAY(s->stage_time, rows));
    WS_TRY(WS_NEW_ARRAY(s->grown, rows));
    WS_TRY(WS_NEW_ARRAY(s->strained, rows));
    memcpy(s->probe, s->x, s->count * sizeof *s->x); /* columns that are not solved for stay */
    return WS_OK;
}

static void give_room_back(solution *s)
{
    for (int j = 0; j < MOST_STAGES; j++) {
        free(s->slope[j]);
        free(s->rate[j]);
    }
    free(s->probe);
    free(s->time);
    free(s->step);
    free(s->stage_time);
    free(s->grown);
    free(s->strained);
}

ws_err ws_ode_solve(const ws_ode_options *options, const ws_ode_field *field, double from, double to, ws_real *x,
                    double *integral, uint8_t *unsolved)
{
    solution s = {.field = field, .method = &tableaus[options->method], .x = x, .integral = integral};
    s.count = (size_t)(field->rows * field->columns);
    WS_CHECK(options->steps > 0 && (options->method != WS_ODE_DOPRI5 || (options->limit > 0 && options->tolerance > 0)),
             ARGUMENT, "a solver needs steps, and dopri5 a tolerance and a limit");
    ws_err error = make_room(&s);
    if (error == WS_OK && options->method == WS_ODE_DOPRI5)
        solve_own_steps(&s, options, from, to);
    else if (error == WS_OK)
        solve_equal_steps(&s, options->steps, from, to);
    for (int64_t r = 0; error == WS_OK && unsolved && r < field->rows; r++)
        unsolved[r] |= s.strained[r];
    give_room_back(&s);
    return error;
}
