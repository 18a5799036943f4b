/* Normalisation against statistics in extended precision, and its clip. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include "dataset/dataset.h"

enum { ROWS = 150000, COLUMNS = 4, FITTED = 100000 };
static float *values;
static uint64_t *rows;

static int set_up(void **state)
{
    (void)state;
    values = malloc(sizeof(float) * ROWS * COLUMNS);
    rows = malloc(sizeof(uint64_t) * FITTED);
    for (uint64_t i = 0; i < ROWS; i++) {
        float normal[2];
        ws_random_normal(1, WS_RANDOM_TEST, 0, i, normal, 2);
        values[i * COLUMNS] = normal[0];
        values[i * COLUMNS + 1] = 1e4f + 0.01f * normal[1]; /* a mean far larger than the deviation */
        values[i * COLUMNS + 2] = 7;                        /* constant */
        values[i * COLUMNS + 3] = i % 1000 == 0 ? 1000 : 0; /* rare and large */
    }
    for (uint64_t i = 0; i < FITTED; i++)
        rows[i] = i + i / 2; /* two of three */
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    free(values);
    free(rows);
    return 0;
}

static void test_statistics(void **state)
{
    (void)state;
    ws_normalisation fitted;
    assert_int_equal(ws_normalisation_fit(&fitted, values, rows, FITTED, COLUMNS), WS_OK);
    for (int c = 0; c < COLUMNS; c++) {
        long double sum = 0, squares = 0;
        for (uint64_t i = 0; i < FITTED; i++)
            sum += values[rows[i] * COLUMNS + (uint64_t)c];
        long double mean = sum / FITTED;
        for (uint64_t i = 0; i < FITTED; i++) {
            long double d = values[rows[i] * COLUMNS + (uint64_t)c] - mean;
            squares += d * d;
        }
        double deviation = (double)sqrtl(squares / FITTED);
        if (c == 2)
            deviation = 1; /* a constant column is only shifted */
        assert_true(fabs(fitted.mean[c] - (double)mean) <= 1e-12 * (1 + fabs((double)mean)));
        assert_true(fabs(fitted.deviation[c] - deviation) <= 1e-9 * deviation);
    }
    ws_normalisation_destroy(&fitted);
}

static void test_apply_and_clip(void **state)
{
    (void)state;
    ws_normalisation fitted;
    assert_int_equal(ws_normalisation_fit(&fitted, values, NULL, ROWS, COLUMNS), WS_OK);
    float *out = malloc(sizeof(float) * ROWS * COLUMNS);
    ws_normalise(&fitted, values, out, ROWS);
    uint64_t clipped = 0;
    for (uint64_t i = 0; i < ROWS * COLUMNS; i++) {
        int c = (int)(i % COLUMNS);
        double z = (values[i] - fitted.mean[c]) / fitted.deviation[c];
        clipped += fabs(z) > 8;
        double wanted = z > 8 ? 8 : z < -8 ? -8 : z;
        assert_true(fabs(out[i] - wanted) <= 1e-6 * (1 + fabs(wanted)));
    }
    assert_true(clipped >= ROWS / 1000); /* the rare large ones */
    assert_int_equal(fitted.clipped, clipped);
    free(out);
    ws_normalisation_destroy(&fitted);
}

static void test_refusals(void **state)
{
    (void)state;
    ws_normalisation fitted;
    const float bad[] = {1, 2, 3, NAN};
    assert_int_equal(ws_normalisation_fit(&fitted, bad, NULL, 2, 2), WS_E_NUMERIC);
    assert_non_null(strstr(ws_error_message(), "column 1 of row 1"));
    assert_int_equal(ws_normalisation_fit(&fitted, bad, NULL, 0, 2), WS_E_CONFIG);
}

/* The fitted rows fill [-4, 4] in every column; what lies further out stays there. */
static void test_box(void **state)
{
    (void)state;
    enum { N = 4, WIDTH = 3 };
    static const float in[N * WIDTH] = {1, -7, 5, 3, -7, 6, 2, -7, 9, 101, -7, 7};
    static const uint64_t fitted_rows[] = {0, 1, 2};
    static const float want[N * WIDTH] = {-4, 0, -4, 4, 0, -2, 0, 0, 4, 396, 0, 0};
    float out[N * WIDTH];
    ws_normalisation fitted;
    assert_int_equal(ws_normalisation_fit_box(&fitted, in, fitted_rows, 3, WIDTH), WS_OK);
    ws_normalise(&fitted, in, out, N);
    for (int i = 0; i < N * WIDTH; i++)
        assert_true(fabsf(out[i] - want[i]) <= 1e-5F * fabsf(want[i]));
    assert_int_equal(fitted.clipped, 0);
    ws_normalisation_destroy(&fitted);
    const float broken[] = {1, NAN};
    assert_int_equal(ws_normalisation_fit_box(&fitted, broken, NULL, 2, 1), WS_E_NUMERIC);
    assert_int_equal(ws_normalisation_fit_box(&fitted, in, NULL, 0, 1), WS_E_CONFIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_statistics),
        cmocka_unit_test(test_apply_and_clip),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_box),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
