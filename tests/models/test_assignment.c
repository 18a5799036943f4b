/* Linear assignment against brute force, against a plain Hungarian method, and on ties. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <float.h>
#include <stdlib.h>
#include "models/assignment.h"

static double cost_of(const float *cost, int n, const int32_t *column)
{
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += cost[i * n + column[i]];
    return sum;
}

static void assert_is_permutation(const int32_t *column, int n)
{
    uint8_t *seen = calloc((size_t)n, 1);
    for (int i = 0; i < n; i++) {
        assert_in_range(column[i], 0, n - 1);
        assert_false(seen[column[i]]);
        seen[column[i]] = 1;
    }
    free(seen);
}

static double brute_force(const float *cost, int n, int row, unsigned used)
{
    double best = DBL_MAX;
    if (row == n)
        return 0;
    for (int j = 0; j < n; j++)
        if (!(used & (1u << j))) {
            double total = cost[row * n + j] + brute_force(cost, n, row + 1, used | (1u << j));
            if (total < best)
                best = total;
        }
    return best;
}

/* The textbook O(n^3) Hungarian method with row and column potentials (Kuhn 1955, as in Lawler 1976). */
static double hungarian(const float *cost, int n)
{
    size_t m = (size_t)n + 1;
    double *u = calloc(m, sizeof *u), *v = calloc(m, sizeof *v), *least = calloc(m, sizeof *least);
    int *owner = calloc(m, sizeof *owner), *way = calloc(m, sizeof *way);
    uint8_t *used = calloc(m, 1);
    for (int i = 1; i <= n; i++) {
        int j0 = 0;
        owner[0] = i;
        for (int j = 0; j <= n; j++) {
            least[j] = DBL_MAX;
            used[j] = 0;
        }
        do {
            int i0 = owner[j0], j1 = 0;
            double delta = DBL_MAX;
            used[j0] = 1;
            for (int j = 1; j <= n; j++) {
                if (used[j])
                    continue;
                double reduced = cost[(i0 - 1) * n + j - 1] - u[i0] - v[j];
                if (reduced < least[j]) {
                    least[j] = reduced;
                    way[j] = j0;
                }
                if (least[j] < delta) {
                    delta = least[j];
                    j1 = j;
                }
            }
            for (int j = 0; j <= n; j++) {
                if (used[j]) {
                    u[owner[j]] += delta;
                    v[j] -= delta;
                } else {
                    least[j] -= delta;
                }
            }
            j0 = j1;
        } while (owner[j0] != 0);
        for (; j0 != 0; j0 = way[j0])
            owner[j0] = owner[way[j0]];
    }
    double total = 0;
    for (int j = 1; j <= n; j++)
        total += cost[(owner[j] - 1) * n + j - 1];
    free(u), free(v), free(least), free(owner), free(way), free(used);
    return total;
}

static void fill_uniform(float *cost, int n, uint64_t seed)
{
    ws_random_uniform(seed, WS_RANDOM_TEST, 0, 0, cost, (size_t)(n * n));
}

/* Squared distances between two clouds of points, as optimal transport meets them. */
static void fill_distances(float *cost, int n, int dimensions, uint64_t seed)
{
    float *a = calloc((size_t)(n * dimensions), sizeof *a), *b = calloc((size_t)(n * dimensions), sizeof *b);
    ws_random_normal(seed, WS_RANDOM_TEST, 1, 0, a, (size_t)(n * dimensions));
    ws_random_normal(seed, WS_RANDOM_TEST, 2, 0, b, (size_t)(n * dimensions));
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) {
            float sum = 0;
            for (int k = 0; k < dimensions; k++) {
                float d = a[i * dimensions + k] - 2 * b[j * dimensions + k];
                sum += d * d;
            }
            cost[i * n + j] = sum;
        }
    free(a), free(b);
}

static void solve(const float *cost, int n, int32_t *column)
{
    ws_assignment *a;
    assert_int_equal(ws_assignment_create(&a, n), WS_OK);
    ws_assignment_solve(a, cost, column);
    ws_assignment_destroy(&a);
    assert_null(a);
    assert_is_permutation(column, n);
}

static void equals_brute_force(void **state)
{
    (void)state;
    float cost[64];
    int32_t column[8];
    for (int n = 1; n <= 8; n++)
        for (uint64_t trial = 0; trial < 40; trial++) {
            fill_uniform(cost, n, trial * 10 + (uint64_t)n);
            solve(cost, n, column);
            assert_true(cost_of(cost, n, column) <= brute_force(cost, n, 0, 0) + 1e-9);
        }
}

static void equals_brute_force_with_ties(void **state)
{
    (void)state;
    float cost[49];
    int32_t column[7];
    for (int n = 2; n <= 7; n++)
        for (uint64_t trial = 0; trial < 60; trial++) {
            fill_uniform(cost, n, 1000 + trial * 10 + (uint64_t)n);
            for (int i = 0; i < n * n; i++)
                cost[i] = (float)(int)(cost[i] * 4); /* few distinct values */
            solve(cost, n, column);
            assert_true(cost_of(cost, n, column) == brute_force(cost, n, 0, 0));
        }
}

static void equals_hungarian_on_point_clouds(void **state)
{
    (void)state;
    static const int sizes[] = {2, 17, 64, 130, 256};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        int n = sizes[s];
        float *cost = calloc((size_t)(n * n), sizeof *cost);
        int32_t *column = calloc((size_t)n, sizeof *column);
        fill_distances(cost, n, 20, 7 + s);
        solve(cost, n, column);
        double expected = hungarian(cost, n);
        assert_true(cost_of(cost, n, column) <= expected * (1 + 1e-9));
        free(cost), free(column);
    }
}

static void same_answer_twice_and_for_equal_costs(void **state)
{
    (void)state;
    enum { N = 100 };
    static float cost[N * N];
    int32_t first[N], second[N];
    for (int i = 0; i < N * N; i++)
        cost[i] = 3;
    ws_assignment *a;
    assert_int_equal(ws_assignment_create(&a, N), WS_OK);
    ws_assignment_solve(a, cost, first);
    assert_is_permutation(first, N);
    fill_uniform(cost, N, 5); /* the scratch of one problem must not leak into the next */
    ws_assignment_solve(a, cost, second);
    for (int i = 0; i < N * N; i++)
        cost[i] = 3;
    ws_assignment_solve(a, cost, second);
    assert_memory_equal(first, second, sizeof first);
    ws_assignment_destroy(&a);
    ws_assignment_destroy(&a);
}

/* The scans of every instruction set level of this machine, with and without padding and ties. */
static void same_answer_at_every_level(void **state)
{
    (void)state;
    static const int sizes[] = {1, 7, 64, 101};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        int n = sizes[s];
        float *cost = calloc((size_t)(n * n), sizeof *cost);
        int32_t *reference = calloc((size_t)n, sizeof *reference), *column = calloc((size_t)n, sizeof *column);
        fill_uniform(cost, n, 40 + s);
        for (int i = 0; i < n * n; i += 3)
            cost[i] = (float)(int)(cost[i] * 5);
        for (int level = ws_isa_detect(); level >= 0; level--) {
            assert_int_equal(ws_isa_pin((ws_isa)level), WS_OK);
            solve(cost, n, level == (int)ws_isa_detect() ? reference : column);
            if (level != (int)ws_isa_detect())
                assert_memory_equal(column, reference, (size_t)n * sizeof *column);
        }
        free(cost), free(reference), free(column);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equals_brute_force),
        cmocka_unit_test(equals_brute_force_with_ties),
        cmocka_unit_test(equals_hungarian_on_point_clouds),
        cmocka_unit_test(same_answer_twice_and_for_equal_costs),
        cmocka_unit_test(same_answer_at_every_level), /* last: it leaves the lowest level */
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
