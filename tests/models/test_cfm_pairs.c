/* Paths: the velocity is the derivative of the path, and both ends are what is promised. Couplings: the exact one against
 * brute force, also for rows of different lengths; the entropic one against Sinkhorn's iterations in double precision, and in
 * its two limits. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <math.h>
#include "core/core.h"
#include "models/cfm_coupling.h"
#include "models/cfm_path.h"

#define OK(call) assert_int_equal(call, WS_OK)

static const ws_cfm_path paths[] = {WS_CFM_STRAIGHT, WS_CFM_LIPMAN, WS_CFM_SCHROEDINGER, WS_CFM_VARIANCE_PRESERVING};

static double place(ws_cfm_path path, double sigma, double t, const double *from)
{
    ws_cfm_weights w = ws_cfm_path_at(path, sigma, t);
    return w.x1 * from[0] + w.x0 * from[1] + w.noise * from[2];
}

static void velocity_is_the_derivative_of_the_path(void **state)
{
    (void)state;
    static const double from[] = {1.7, -0.6, 0.9};
    const double step = 1e-3;
    for (size_t p = 0; p < sizeof paths / sizeof *paths; p++)
        for (double sigma = 0; sigma < 1; sigma += 0.3)
            for (double t = 0.1; t < 0.95; t += 0.1) {
                ws_cfm_weights w = ws_cfm_path_at(paths[p], sigma, t);
                double velocity = w.velocity_x1 * from[0] + w.velocity_x0 * from[1] + w.velocity_noise * from[2];
                double slope =
                    (place(paths[p], sigma, t + step, from) - place(paths[p], sigma, t - step, from)) / (2 * step);
                assert_true(fabs(velocity - slope) < 1e-3);
            }
}

/* The variance at both ends, from the weights: of x0 and e at t = 0, of e and x0 around x1 at t = 1. */
static void ends_are_blurred_as_promised(void **state)
{
    (void)state;
    const double sigma = 0.3, blur[] = {sigma, sigma, 0, sigma};
    for (size_t p = 0; p < sizeof paths / sizeof *paths; p++) {
        ws_cfm_weights begin = ws_cfm_path_at(paths[p], sigma, 0), end = ws_cfm_path_at(paths[p], sigma, 1);
        double variance = begin.x0 * begin.x0 + begin.noise * begin.noise;
        assert_true(fabs(begin.x1) < 1e-6 && fabs(end.x1 - 1) < 1e-6);
        assert_true(fabs(variance - ws_cfm_source_variance(paths[p], sigma)) < 1e-6);
        assert_true(fabs(hypot(end.x0, end.noise) - blur[p]) < 1e-6);
    }
    assert_true(fabs(ws_cfm_source_variance(WS_CFM_STRAIGHT, sigma) - 1.09) < 1e-12);
    assert_true(ws_cfm_source_variance(WS_CFM_SCHROEDINGER, sigma) == 1);
}

/* ---- couplings ---- */

/* Rows and noise drawn at random; where uneven, row j has between 1 and all elements. */
static ws_pairing *make_pairing(int group, int64_t elements, bool uneven, uint64_t seed)
{
    ws_pairing *p;
    OK(ws_pairing_create(&p, group, elements, uneven));
    for (int i = 0; i < group; i++) {
        float one[64];
        ws_random_normal(seed, WS_RANDOM_TEST, 0, (uint64_t)i, one, (size_t)elements);
        for (int64_t k = 0; k < elements; k++)
            p->noise[k * group + i] = one[k];
        ws_random_normal(seed, WS_RANDOM_TEST, 1, (uint64_t)i, p->rows + i * elements, (size_t)elements);
        p->valid[i] = uneven ? (int32_t)(1 + ws_random_below(seed, WS_RANDOM_TEST, 2, (uint64_t)i, (uint64_t)elements))
                             : (int32_t)elements;
    }
    return p;
}

static double distance(const ws_pairing *p, int row, int noise)
{
    double sum = 0;
    for (int64_t k = 0; k < p->valid[row]; k++) {
        double d = (double)p->noise[k * p->group + noise] - p->rows[row * p->elements + k];
        sum += d * d;
    }
    return sum;
}

static double least(const ws_pairing *p, int row, unsigned used)
{
    double best = INFINITY;
    if (row == p->group)
        return 0;
    for (int i = 0; i < p->group; i++)
        if (!(used >> i & 1))
            best = fmin(best, distance(p, row, i) + least(p, row + 1, used | 1u << i));
    return best;
}

static void exact_pairs_cost_the_least(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++) {
        const int group = 3 + (int)(seed % 5);
        int32_t noise_of[8];
        ws_pairing *p = make_pairing(group, 5, seed % 2, seed);
        double cost = 0;
        unsigned used = 0;
        ws_pair_exactly(p, noise_of);
        for (int row = 0; row < group; row++) {
            cost += distance(p, row, noise_of[row]);
            used |= 1u << noise_of[row];
        }
        assert_int_equal(used, (1u << group) - 1);
        assert_true(fabs(cost - least(p, 0, 0)) < 1e-4);
        ws_pairing_destroy(&p);
    }
}

enum { SMALL = 12 };

static void sinkhorn(const ws_pairing *p, double regularisation, double plan[SMALL][SMALL])
{
    double of_row[SMALL] = {0}, of_noise[SMALL] = {0};
    for (int round = 0; round < 3000; round++)
        for (int side = 0; side < 2; side++)
            for (int a = 0; a < SMALL; a++) {
                double sum = 0;
                for (int b = 0; b < SMALL; b++)
                    sum += side == 0 ? exp(of_noise[b] - distance(p, a, b) / regularisation)
                                     : exp(of_row[b] - distance(p, b, a) / regularisation);
                (side == 0 ? of_row : of_noise)[a] = -log(sum);
            }
    for (int row = 0; row < SMALL; row++)
        for (int i = 0; i < SMALL; i++)
            plan[row][i] = exp(of_row[row] + of_noise[i] - distance(p, row, i) / regularisation);
}

/* Draws at the middles of 1,000 equal parts of (0, 1): their frequencies are the plan's shares. */
static void entropic_draws_follow_the_plan(void **state)
{
    (void)state;
    enum { DRAWS = 1000 };
    static const double regularisations[] = {0.5, 2, 18};
    for (int r = 0; r < 3; r++) {
        ws_pairing *p = make_pairing(SMALL, 4, r % 2, 77 + (uint64_t)r);
        double plan[SMALL][SMALL], drawn[SMALL][SMALL] = {{0}};
        sinkhorn(p, regularisations[r], plan);
        for (int d = 0; d < DRAWS; d += 50) {
            float uniform[SMALL];
            int32_t noise_of[SMALL];
            for (int row = 0; row < SMALL; row++)
                uniform[row] = ((float)d + 25) / DRAWS;
            ws_pair_entropically(p, regularisations[r], uniform, noise_of);
            for (int row = 0; row < SMALL; row++)
                drawn[row][noise_of[row]] += 50.0 / DRAWS;
        }
        for (int row = 0; row < SMALL; row++)
            for (int i = 0; i < SMALL; i++)
                assert_true(fabs(drawn[row][i] - plan[row][i]) < 0.06); /* a draw more or less at either end */
        ws_pairing_destroy(&p);
    }
}

static void entropic_pairs_become_exact_and_independent(void **state)
{
    (void)state;
    int32_t exact[40], drawn[40];
    float uniform[40];
    ws_pairing *p = make_pairing(40, 6, true, 5);
    ws_pair_exactly(p, exact);
    ws_random_uniform(1, WS_RANDOM_TEST, 3, 0, uniform, 40);
    ws_pair_entropically(p, 1e-3, uniform, drawn);
    for (int row = 0; row < 40; row++)
        assert_int_equal(drawn[row], exact[row]);
    ws_pair_entropically(p, 1e6, uniform, drawn);
    for (int row = 0; row < 40; row++)
        assert_true(fabs(drawn[row] - (40 * uniform[row] - 0.5)) < 1);
    ws_pairing_destroy(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(velocity_is_the_derivative_of_the_path),
        cmocka_unit_test(ends_are_blurred_as_promised),
        cmocka_unit_test(exact_pairs_cost_the_least),
        cmocka_unit_test(entropic_draws_follow_the_plan),
        cmocka_unit_test(entropic_pairs_become_exact_and_independent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
