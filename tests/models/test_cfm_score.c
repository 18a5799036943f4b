/* Scores of flow matching on fields whose solution is known in closed form: densities, norms by part, consistency,
 * reconstruction; only what is wanted is computed, and padding is never looked at. */
#include <math.h>
#include "models/cfm_score.h"
#include "models/samples.h"

static const ws_cfm_score_kind every_kind[] = {
    WS_CFM_TERMINAL_NORM, WS_CFM_TERMINAL_FLOW,    WS_CFM_TERMINAL_PACKET,    WS_CFM_TWO_SIDED,     WS_CFM_NLL,
    WS_CFM_VELOCITY,      WS_CFM_FLOW_CONSISTENCY, WS_CFM_PACKET_CONSISTENCY, WS_CFM_RECONSTRUCTION};
static const ws_cfm_scores every = {every_kind, WS_CFM_SCORE_KINDS};
enum { EXACT = 1, HUTCHINSON = 2 }; /* the option's choices */

static ws_cfm_score_options accurate(void)
{
    return (ws_cfm_score_options){.solver = WS_ODE_RK4,
                                  .solver_steps = 20,
                                  .solver_tolerance = 1e-6,
                                  .solver_limit = 500,
                                  .trace = EXACT,
                                  .trace_draws = 8,
                                  .reconstruction_radius = 1};
}

static void score(const ws_cfm_score_options *options, const ws_cfm_field *field, uint64_t wanted, const ws_real *x,
                  const ws_arrays *learned, float *out)
{
    size_t count = (size_t)field->rows * WS_CFM_SCORE_KINDS;
    uint8_t *unsolved = calloc(count, 1);
    assert_non_null(unsolved);
    ws_scoring scoring = {.learned = learned, .out = out, .unsolved = unsolved};
    OK(ws_cfm_score(options, field, &every, wanted, x, &scoring));
    for (size_t i = 0; i < count; i++)
        assert_int_equal(unsolved[i], 0);
    free(unsolved);
}

/* ---- a shear: v = (a x + b y, a y); z = exp(-a) (x - b y, y), divergence 2 a ---- */

enum { SHEAR_ROWS = 5 };
static const double stretch = 0.4, shear = 0.7;
static int velocity_calls, pull_calls;

static void shear_velocity(void *context, const double *time, const ws_real *x, ws_real *velocity)
{
    (void)context, (void)time;
    velocity_calls++;
    for (int r = 0; r < SHEAR_ROWS; r++, x += 2, velocity += 2) {
        velocity[0] = (ws_real)(stretch * x[0] + shear * x[1]);
        velocity[1] = (ws_real)(stretch * x[1]);
    }
}

static void shear_pull_back(void *context, const ws_real *e, ws_real *out)
{
    (void)context;
    pull_calls++;
    for (int r = 0; r < SHEAR_ROWS; r++, e += 2, out += 2) {
        out[0] = (ws_real)(stretch * e[0]);
        out[1] = (ws_real)(shear * e[0] + stretch * e[1]);
    }
}

static ws_cfm_field shear_field(double variance)
{
    return (ws_cfm_field){.rows = SHEAR_ROWS,
                          .columns = 2,
                          .flow_columns = 2,
                          .variance = variance,
                          .velocity = shear_velocity,
                          .pull_back = shear_pull_back};
}

static const ws_real shear_rows[2 * SHEAR_ROWS] = {0, 0, 1, -1, 0.3f, 2, -2.5f, 0.5f, 4, 3};

static double shear_square(int row)
{
    double x = shear_rows[2 * row], y = shear_rows[2 * row + 1];
    return exp(-2 * stretch) * ((x - shear * y) * (x - shear * y) + y * y);
}

static void density_is_that_of_the_known_flow(void **state)
{
    (void)state;
    const double two_pi = 2 * acos(-1);
    for (int solver = WS_ODE_RK4; solver <= WS_ODE_DOPRI5; solver++) {
        double variance = 1.25;
        ws_cfm_field field = shear_field(variance);
        ws_cfm_score_options options = accurate();
        float out[SHEAR_ROWS * WS_CFM_SCORE_KINDS];
        options.solver = solver;
        score(&options, &field, 1 << WS_CFM_NLL | 1 << WS_CFM_TERMINAL_NORM, shear_rows, NULL, out);
        for (int r = 0; r < SHEAR_ROWS; r++) {
            const float *own = out + r * WS_CFM_SCORE_KINDS;
            double exact = shear_square(r) / (2 * variance) + log(two_pi * variance) + 2 * stretch;
            assert_true(fabs(own[WS_CFM_NLL] - exact) < 1e-5 * (1 + fabs(exact)));
            assert_true(fabs(own[WS_CFM_TERMINAL_NORM] - shear_square(r) / (2 * variance)) < 1e-5 * (1 + exact));
        }
    }
}

/* e' J e = 2 a + b e1 e2 for signs e: one probe misses by b, many come near, and all rows miss by the same. */
static void probes_estimate_the_trace(void **state)
{
    (void)state;
    ws_cfm_field field = shear_field(1);
    ws_cfm_score_options options = accurate();
    float exact[SHEAR_ROWS * WS_CFM_SCORE_KINDS], one[SHEAR_ROWS * WS_CFM_SCORE_KINDS],
        many[SHEAR_ROWS * WS_CFM_SCORE_KINDS];
    score(&options, &field, 1 << WS_CFM_NLL, shear_rows, NULL, exact);
    options.trace = HUTCHINSON;
    options.trace_draws = 1;
    score(&options, &field, 1 << WS_CFM_NLL, shear_rows, NULL, one);
    options.trace_draws = 2048;
    options.solver_steps = 4;
    score(&options, &field, 1 << WS_CFM_NLL, shear_rows, NULL, many);
    for (int r = 0; r < SHEAR_ROWS; r++) {
        int at = r * WS_CFM_SCORE_KINDS + WS_CFM_NLL;
        assert_true(fabs(fabs((double)one[at] - exact[at]) - shear) < 1e-4);
        assert_true(fabs((double)many[at] - exact[at]) < 4 * shear / sqrt(2048) + 1e-4);
    }
}

static void only_what_is_wanted_is_computed(void **state)
{
    (void)state;
    ws_cfm_field field = shear_field(1);
    ws_cfm_score_options options = accurate();
    float out[SHEAR_ROWS * WS_CFM_SCORE_KINDS], with_nll[SHEAR_ROWS * WS_CFM_SCORE_KINDS];
    options.solver = WS_ODE_MIDPOINT;
    velocity_calls = pull_calls = 0;
    score(&options, &field, 1 << WS_CFM_VELOCITY, shear_rows, NULL, out);
    assert_int_equal(velocity_calls, 1);
    assert_true(out[WS_CFM_SCORE_KINDS + WS_CFM_VELOCITY] > 0 && out[WS_CFM_SCORE_KINDS + WS_CFM_TERMINAL_NORM] == 0);
    score(&options, &field, 1 << WS_CFM_TERMINAL_NORM, shear_rows, NULL, out);
    assert_int_equal(velocity_calls, 41);
    assert_int_equal(pull_calls, 0);
    score(&options, &field, 1 << WS_CFM_NLL, shear_rows, NULL, with_nll);
    assert_int_equal(pull_calls, 80);
    /* A norm is the same number whether the density is asked for or not, also where steps follow the error. */
    options.solver = WS_ODE_DOPRI5;
    score(&options, &field, 1 << WS_CFM_TERMINAL_NORM, shear_rows, NULL, out);
    score(&options, &field, 1 << WS_CFM_TERMINAL_NORM | 1 << WS_CFM_NLL, shear_rows, NULL, with_nll);
    for (int r = 0; r < SHEAR_ROWS; r++)
        assert_true(out[r * WS_CFM_SCORE_KINDS] == with_nll[r * WS_CFM_SCORE_KINDS]);
}

static void two_sided_is_the_distance_from_the_frozen_median(void **state)
{
    (void)state;
    ws_cfm_field field = shear_field(1);
    ws_cfm_score_options options = accurate();
    float out[SHEAR_ROWS * WS_CFM_SCORE_KINDS];
    float normal[4 * WS_CFM_SCORE_KINDS] = {0};
    static const float norms[4] = {9, 1, 2.5f, 2};
    ws_arrays learned = {0};
    OK(ws_arena_create(&learned.arena, 4096));
    for (int r = 0; r < 4; r++)
        normal[r * WS_CFM_SCORE_KINDS] = norms[r];
    assert_int_equal(ws_cfm_calibration(&every, 1 << WS_CFM_NLL), 0);
    assert_int_equal(ws_cfm_calibration(&every, 1 << WS_CFM_TWO_SIDED), 1 << WS_CFM_TERMINAL_NORM);
    OK(ws_cfm_calibrate(&every, normal, 4, &learned)); /* the median of 1, 2, 2.5 and 9 is 2.25 */
    score(&options, &field, 1 << WS_CFM_TERMINAL_NORM | 1 << WS_CFM_TWO_SIDED, shear_rows, &learned, out);
    for (int r = 0; r < SHEAR_ROWS; r++) {
        const float *own = out + r * WS_CFM_SCORE_KINDS;
        assert_true(fabs(own[WS_CFM_TWO_SIDED] - fabs((double)own[WS_CFM_TERMINAL_NORM] - 2.25)) < 1e-6);
    }
    ws_arena *arena = learned.arena;
    ws_arrays_destroy(&learned);
    ws_arena_destroy(&arena);
}

/* ---- rows of different lengths: two elements of the flow, up to six packets of three elements ---- */

enum { FLOW = 2, TOKENS = 6, WIDTH = 3, COLUMNS = FLOW + TOKENS * WIDTH, ROWS = 4 };
static const int32_t lengths[ROWS] = {6, 0, 1, 5};
static int hidden_passes;

/* Every element decays at its own rate; what is behind a row's last packet is not a number. */
static double decay(int64_t column)
{
    return -0.1 * (double)(column % 5);
}

static void decay_velocity(void *context, const double *time, const ws_real *x, ws_real *velocity)
{
    (void)context, (void)time;
    for (int64_t i = 0; i < ROWS * COLUMNS; i++)
        velocity[i] =
            i % COLUMNS < FLOW + lengths[i / COLUMNS] * WIDTH ? (ws_real)(decay(i % COLUMNS) * x[i]) : (ws_real)NAN;
}

static void decay_pull_back(void *context, const ws_real *e, ws_real *out)
{
    (void)context;
    for (int64_t i = 0; i < ROWS * COLUMNS; i++)
        out[i] =
            i % COLUMNS < FLOW + lengths[i / COLUMNS] * WIDTH ? (ws_real)(decay(i % COLUMNS) * e[i]) : (ws_real)NAN;
}

/* Hidden tokens come back 2 too high (the flow) or a tenth of the packet's number too high; others must not be read. */
static void predict(void *context, const ws_real *x, const int32_t *hidden, ws_real *out)
{
    int *seen = context;
    hidden_passes++;
    for (int r = 0; r < ROWS; r++)
        for (int t = 0; t <= TOKENS; t++) {
            bool hides = hidden[r * (1 + TOKENS) + t] != 0;
            seen[r * (1 + TOKENS) + t] += hides;
            int begin = t == 0 ? 0 : FLOW + (t - 1) * WIDTH, count = t == 0 ? FLOW : WIDTH;
            for (int k = begin; k < begin + count; k++)
                out[r * COLUMNS + k] = hides ? x[r * COLUMNS + k] + (ws_real)(t == 0 ? 2 : 0.1 * t) : (ws_real)NAN;
        }
}

static void parts_of_rows_of_different_lengths(void **state)
{
    (void)state;
    int seen[ROWS * (1 + TOKENS)] = {0};
    ws_real x[ROWS * COLUMNS] = {0};
    ws_cfm_score_options options = accurate();
    ws_cfm_field field = {.rows = ROWS,
                          .columns = COLUMNS,
                          .flow_columns = FLOW,
                          .tokens = TOKENS,
                          .token_columns = WIDTH,
                          .length = lengths,
                          .variance = 1,
                          .context = seen,
                          .velocity = decay_velocity,
                          .pull_back = decay_pull_back,
                          .predict = predict};
    float out[ROWS * WS_CFM_SCORE_KINDS];
    for (uint64_t r = 0; r < ROWS; r++)
        ws_random_normal(3, WS_RANDOM_TEST, 0, r, x + r * COLUMNS, (size_t)(FLOW + lengths[r] * WIDTH));
    hidden_passes = 0;
    score(&options, &field, (1 << WS_CFM_SCORE_KINDS) - 1, x, NULL, out);
    for (int r = 0; r < ROWS; r++) {
        const float *own = out + r * WS_CFM_SCORE_KINDS;
        int used = FLOW + lengths[r] * WIDTH;
        double flow = 0, all = 0, trace = 0, error = 0;
        for (int k = 0; k < used; k++) {
            double z = x[r * COLUMNS + k] * exp(-decay(k));
            all += z * z;
            flow += k < FLOW ? z * z : 0;
            trace += decay(k);
        }
        for (int t = 1; t <= lengths[r]; t++)
            error += 0.01 * t * t / lengths[r];
        double packets = lengths[r] ? (all - flow) / (lengths[r] * WIDTH) : 0;
        assert_true(fabs(own[WS_CFM_TERMINAL_NORM] - all / used) < 1e-5 * (1 + all));
        assert_true(fabs(own[WS_CFM_TERMINAL_FLOW] - flow / FLOW) < 1e-5 * (1 + all));
        assert_true(fabs(own[WS_CFM_TERMINAL_PACKET] - packets) < 1e-5 * (1 + all));
        double nll = all / 2 + used / 2.0 * log(2 * acos(-1)) + trace;
        assert_true(fabs(own[WS_CFM_NLL] - nll) < 1e-5 * (1 + nll));
        assert_true(fabs(own[WS_CFM_FLOW_CONSISTENCY] - 4) < 1e-5);
        assert_true(fabs(own[WS_CFM_PACKET_CONSISTENCY] - error) < 1e-5);
        for (int t = 0; t <= TOKENS; t++)
            assert_int_equal(seen[r * (1 + TOKENS) + t], 1); /* each was hidden in one pass */
    }
    assert_int_equal(hidden_passes, 5); /* the flow, and four sets of packets */
}

/* ---- no field: z is x ---- */

static void still(void *context, const double *time, const ws_real *x, ws_real *velocity)
{
    (void)context, (void)time, (void)x;
    memset(velocity, 0, 4 * sizeof *velocity);
}

static void reconstruction_measures_what_lies_outside_the_radius(void **state)
{
    (void)state;
    ws_cfm_field field = {.rows = 2, .columns = 2, .flow_columns = 2, .variance = 2, .velocity = still};
    ws_cfm_score_options options = accurate();
    ws_real x[4] = {0.5f, -1.5f, 6, 8}; /* norms 1.58 and 10; the radius is 1.5 sqrt(2 * 2) = 3 */
    float out[2 * WS_CFM_SCORE_KINDS];
    options.reconstruction_radius = 1.5;
    score(&options, &field, 1 << WS_CFM_RECONSTRUCTION, x, NULL, out);
    assert_true(out[WS_CFM_RECONSTRUCTION] == 0);
    assert_true(fabs(out[WS_CFM_SCORE_KINDS + WS_CFM_RECONSTRUCTION] - 49.0 / 2) < 1e-4);
}

/* Row 0 meets a jump that no step is short enough for: the scores that rest on its solution are marked, those that do not are not. */
static void jump_of_row_0(void *context, const double *time, const ws_real *x, ws_real *velocity)
{
    (void)context, (void)x;
    velocity[0] = time[0] > 0.3 ? 1 : 1e6f;
    velocity[1] = 1;
}

static void unsolved_rows_mark_their_scores(void **state)
{
    (void)state;
    const uint64_t wanted = 1u << WS_CFM_TERMINAL_NORM | 1u << WS_CFM_VELOCITY | 1u << WS_CFM_RECONSTRUCTION;
    ws_cfm_score_options options = accurate();
    options.solver = WS_ODE_DOPRI5;
    options.solver_limit = 50;
    ws_cfm_field field = {.rows = 2, .columns = 1, .flow_columns = 1, .variance = 1, .velocity = jump_of_row_0};
    const ws_real x[2] = {0, 0};
    float out[2 * WS_CFM_SCORE_KINDS];
    uint8_t unsolved[2 * WS_CFM_SCORE_KINDS] = {0};
    ws_scoring scoring = {.out = out, .unsolved = unsolved};
    OK(ws_cfm_score(&options, &field, &every, wanted, x, &scoring));
    for (int k = 0; k < 2 * WS_CFM_SCORE_KINDS; k++) {
        ws_cfm_score_kind kind = every_kind[k % WS_CFM_SCORE_KINDS];
        bool rests_on_it = kind == WS_CFM_TERMINAL_NORM || kind == WS_CFM_RECONSTRUCTION;
        assert_int_equal(unsolved[k], k < WS_CFM_SCORE_KINDS && rests_on_it);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(density_is_that_of_the_known_flow),
    cmocka_unit_test(probes_estimate_the_trace),
    cmocka_unit_test(only_what_is_wanted_is_computed),
    cmocka_unit_test(two_sided_is_the_distance_from_the_frozen_median),
    cmocka_unit_test(parts_of_rows_of_different_lengths),
    cmocka_unit_test(reconstruction_measures_what_lies_outside_the_radius),
    cmocka_unit_test(unsolved_rows_mark_their_scores),
};

WS_MPI_TEST_MAIN(tests)
