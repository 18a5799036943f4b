/* ctest: timeout=60
 * Products of bfloat16 factors in tiles: packing, blocks, edges and accumulation over a layer of tiles in plain C, and over the
 * hardware's where it has them, against naive sums.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include "engine_test.h"

#define WS_KERNEL_ISA plain_tiles
#include "plain_tiles.h"
#include "cpu/bmm.c"
#include "cpu/linear.c"

typedef struct kernels {
    const char *name;
    void (*linear_forward)(const ws_linear_arguments *, void *),
        (*linear_backward)(const ws_linear_arguments *, void *);
    void (*bmm_forward)(const ws_bmm_arguments *, void *), (*bmm_backward)(const ws_bmm_arguments *, void *);
} kernels;

/* The plain layer's, and those of every level of this machine, tiles or not. */
static int all_kernels(kernels out[WS_ISA_COUNT + 1])
{
    int count = 0;
    out[count++] = (kernels){"plain tiles", ws_linear_forward_plain_tiles, ws_linear_backward_plain_tiles,
                             ws_bmm_forward_plain_tiles, ws_bmm_backward_plain_tiles};
    FOR_EACH_LEVEL(isa)
    {
        const ws_kernels *k = ws_kernels_of(isa);
        out[count++] =
            (kernels){ws_isa_names[isa], k->linear_forward, k->linear_backward, k->bmm_forward, k->bmm_backward};
    }
    return count;
}

/* Small whole numbers: every sum of their products is exact, in whatever order. */
static void fill_whole(ws_real *out, int64_t count, uint64_t stream)
{
    for (int64_t i = 0; i < count; i++)
        out[i] = (ws_real)((int64_t)(ws_mix64((uint64_t)i + (stream << 32)) % 17) - 8);
}

typedef struct matrix { /* element (i,k) is from[i * row + k * column] */
    const ws_real *from;
    int64_t row, column;
} matrix;

/* want[m,n] = before[m,n] + sum over k of rounded factors */
static void naive(int64_t M, int64_t N, int64_t K, matrix left, matrix right, const ws_real *before, double *want)
{
    for (int64_t m = 0; m < M; m++)
        for (int64_t n = 0; n < N; n++) {
            double sum = before ? (double)before[m * N + n] : 0;
            for (int64_t k = 0; k < K; k++)
                sum += (double)ws_bf16(left.from[m * left.row + k * left.column]) *
                       (double)ws_bf16(right.from[k * right.row + n * right.column]);
            want[m * N + n] = sum;
        }
}

/* One linear layer, forward and back, through each kernel; tolerance 0: exactly. */
static void check_linear(int64_t B, int64_t K, int64_t N, bool accumulate, bool whole)
{
    size_t room_forward = (size_t)ws_linear_scratch(B, K, N, true, false);
    size_t room_backward = (size_t)ws_linear_scratch(B, K, N, true, true), nx = (size_t)(B * K), nw = (size_t)(N * K);
    size_t ny = (size_t)(B * N);
    ws_real *x = guarded_normal(nx, 1), *weight = guarded_normal(nw, 2), *dy = guarded_normal(ny, 3), *before;
    double *want, tolerance = whole ? 0 : 4e-6;
    kernels list[WS_ISA_COUNT + 1];
    OK(WS_NEW_ARRAY(want, nx + nw + ny));
    OK(WS_NEW_ARRAY(before, nx));
    fill_normal(before, nx, 4);
    if (whole) {
        fill_whole(x, B * K, 1), fill_whole(weight, N * K, 2), fill_whole(dy, B * N, 3);
        fill_whole(before, B * K, 4);
    }
    naive(B, K, N, (matrix){dy, N, 1}, (matrix){weight, K, 1}, accumulate ? before : NULL, want);
    naive(N, K, B, (matrix){dy, 1, N}, (matrix){x, K, 1}, NULL, want + nx);
    naive(B, N, K, (matrix){x, K, 1}, (matrix){weight, 1, K}, NULL, want + nx + nw);
    for (int i = 0, count = all_kernels(list); i < count; i++) {
        ws_real *y = guarded(ny), *dx = guarded(nx), *dweight = guarded(nw);
        ws_real *forward = guarded(room_forward), *backward = guarded(room_backward);
        ws_linear_arguments a = {.B = B, .K = K, .N = N, .bf16 = true, .x = x, .weight = weight, .y = y, .dy = dy};
        a.scratch = forward, a.dx = dx, a.dweight = dweight, a.accumulate_dx = accumulate;
        if (accumulate)
            memcpy(dx, before, nx * sizeof *dx);
        list[i].linear_forward(&a, NULL);
        a.scratch = backward;
        list[i].linear_backward(&a, NULL);
        assert_near(list[i].name, dx, want, nx, tolerance);
        assert_near(list[i].name, dweight, want + nx, nw, tolerance);
        assert_near(list[i].name, y, want + nx + nw, ny, tolerance);
        release(y, ny), release(dx, nx), release(dweight, nw);
        release(forward, room_forward), release(backward, room_backward);
    }
    release(x, nx), release(weight, nw), release(dy, ny);
    free(want);
    free(before);
}

/* Whole tiles and panels, parts of them, one more and one less, and more than a block of each dimension. */
static const int64_t shapes[][3] = {{1, 1, 1},    {32, 32, 32}, {64, 64, 64}, {16, 32, 16}, {17, 33, 15}, {31, 31, 33},
                                    {37, 29, 19}, {5, 2, 70},   {1, 100, 1},  {100, 1, 3},  {40, 20, 20}, {3, 513, 2},
                                    {2, 3, 513},  {513, 3, 2},  {33, 544, 9}, {2, 520, 530}};

static void test_linear_of_any_shape(void **state)
{
    (void)state;
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
        for (int accumulate = 0; accumulate < 2; accumulate++) {
            check_linear(shapes[s][0], shapes[s][1], shapes[s][2], accumulate, !accumulate);
        }
}

/* Whole numbers in batches of three matrices, forward and back. */
static void check_bmm(int64_t M, int64_t K, int64_t N, bool transposed, bool accumulate)
{
    enum { B = 3 };
    const size_t na = (size_t)(B * M * K), nb = (size_t)(B * K * N), ny = (size_t)(B * M * N);
    const size_t room_forward = (size_t)ws_bmm_scratch(B, M, K, N, true, false);
    const size_t room_backward = (size_t)ws_bmm_scratch(B, M, K, N, true, true);
    ws_real *left = guarded(na), *right = guarded(nb), *dy = guarded(ny), *before;
    double *want;
    kernels list[WS_ISA_COUNT + 1];
    OK(WS_NEW_ARRAY(want, na + nb + ny));
    OK(WS_NEW_ARRAY(before, na + nb));
    fill_whole(left, B * M * K, 1), fill_whole(right, B * K * N, 2), fill_whole(dy, B * M * N, 3);
    fill_whole(before, (int64_t)(na + nb), 4);
    for (int64_t b = 0; b < B; b++) {
        const matrix l = {left + b * M * K, K, 1}, d = {dy + b * M * N, N, 1}, turned = {l.from, 1, K};
        const ws_real *added = accumulate ? before + b * M * K : NULL,
                      *more = accumulate ? before + na + b * K * N : NULL;
        const matrix r = {right + b * K * N, transposed ? 1 : N, transposed ? K : 1};
        naive(M, K, N, d, (matrix){r.from, r.column, r.row}, added, want + b * M * K);
        if (transposed)
            naive(N, K, M, (matrix){d.from, 1, N}, l, more, want + na + (size_t)(b * K * N));
        else
            naive(K, N, M, turned, d, more, want + na + (size_t)(b * K * N));
        naive(M, N, K, l, r, NULL, want + na + nb + (size_t)(b * M * N));
    }
    for (int i = 0, count = all_kernels(list); i < count; i++) {
        ws_real *y = guarded(ny), *da = guarded(na), *db = guarded(nb);
        ws_real *forward = guarded(room_forward), *backward = guarded(room_backward);
        ws_bmm_arguments a = {.B = B, .M = M, .K = K, .N = N, .bf16 = true, .transposed = transposed, .a = left};
        a.b = right, a.y = y, a.dy = dy, a.da = da, a.db = db, a.scratch = forward;
        a.accumulate_da = a.accumulate_db = accumulate;
        memcpy(da, before, na * sizeof *da);
        memcpy(db, before + na, nb * sizeof *db);
        list[i].bmm_forward(&a, NULL);
        a.scratch = backward;
        list[i].bmm_backward(&a, NULL);
        assert_near(list[i].name, da, want, na, 0);
        assert_near(list[i].name, db, want + na, nb, 0);
        assert_near(list[i].name, y, want + na + nb, ny, 0);
        release(y, ny), release(da, na), release(db, nb);
        release(forward, room_forward), release(backward, room_backward);
    }
    release(left, na), release(right, nb), release(dy, ny);
    free(want);
    free(before);
}

static void test_bmm_of_any_shape(void **state)
{
    (void)state;
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes - 1; s++)
        for (int ways = 0; ways < 4; ways++)
            check_bmm(shapes[s][0], shapes[s][1], shapes[s][2], ways & 1, ways & 2);
}

/* What the memory held before, and which thread or rank computes it, must not show; nor which rows are beside a row. */
static void test_bits_depend_on_the_factors_alone(void **state)
{
    (void)state;
    enum { B = 70, K = 600, N = 45 };
    size_t room = (size_t)ws_linear_scratch(B, K, N, true, true);
    ws_real *x = guarded_normal(B * K, 1), *weight = guarded_normal(N * K, 2), *dy = guarded_normal(B * N, 3);
    ws_real *y[2], *dx[2], *dweight[2];
    for (int run = 0; run < 2; run++) {
        ws_real *scratch = guarded(room);
        y[run] = guarded(B * N), dx[run] = guarded(B * K), dweight[run] = guarded(N * K);
        for (size_t i = 0; run && i < room; i++)
            scratch[i] = (ws_real)1e30;
        ws_linear_arguments a = {.B = B, .K = K, .N = N, .bf16 = true, .x = x, .weight = weight, .y = y[run], .dy = dy};
        a.dx = dx[run], a.dweight = dweight[run], a.scratch = scratch;
        ws_linear_forward_plain_tiles(&a, NULL);
        ws_linear_backward_plain_tiles(&a, NULL);
        release(scratch, room);
    }
    assert_memory_equal(y[0], y[1], B * N * sizeof **y);
    assert_memory_equal(dx[0], dx[1], B * K * sizeof **dx);
    assert_memory_equal(dweight[0], dweight[1], N * K * sizeof **dweight);
    for (int run = 0; run < 2; run++)
        release(y[run], B * N), release(dx[run], B * K), release(dweight[run], N * K);
    release(x, B * K), release(weight, N * K), release(dy, B * N);
}

static void test_a_packed_number_is_the_rounded_one(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 1u << 20; i++) {
        uint32_t bits = i * 4099u, want;
        float x, rounded;
        memcpy(&x, &bits, sizeof x);
        rounded = ws_bf16(x);
        memcpy(&want, &rounded, sizeof want);
        if (isnan(x))
            assert_true((ws_upper_half(x) & 0x7fff) > 0x7f80);
        else
            assert_int_equal(ws_upper_half(x) << 16, want);
    }
    const uint32_t nan_below = 0x7f800001u; /* its upper half alone would be infinity */
    float x;
    memcpy(&x, &nan_below, sizeof x);
    assert_true((ws_upper_half(x) & 0x7fff) > 0x7f80);
}

/* NaN and infinity reach the sums they belong to and no others. */
static void test_what_is_not_finite_stays_in_its_row(void **state)
{
    (void)state;
    enum { B = 40, K = 70, N = 35 };
    kernels list[WS_ISA_COUNT + 1];
    size_t room = (size_t)ws_linear_scratch(B, K, N, true, false);
    ws_real *x = guarded(B * K), *weight = guarded(N * K);
    fill_whole(x, B * K, 1);
    for (int i = 0; i < N * K; i++)
        weight[i] = 1;
    x[33 * K + 69] = (ws_real)NAN;
    x[7 * K + 2] = (ws_real)INFINITY;
    for (int i = 0, count = all_kernels(list); i < count; i++) {
        ws_real *y = guarded(B * N), *scratch = guarded(room);
        ws_linear_arguments a = {.B = B, .K = K, .N = N, .bf16 = true, .x = x, .weight = weight, .y = y};
        a.scratch = scratch;
        list[i].linear_forward(&a, NULL);
        for (int b = 0; b < B; b++)
            for (int n = 0; n < N; n++)
                assert_true(b == 33 ? isnan(y[b * N + n]) : b == 7 ? isinf(y[b * N + n]) : isfinite(y[b * N + n]));
        release(y, B * N), release(scratch, room);
    }
    release(x, B * K), release(weight, N * K);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_linear_of_any_shape),
        cmocka_unit_test(test_bmm_of_any_shape),
        cmocka_unit_test(test_bits_depend_on_the_factors_alone),
        cmocka_unit_test(test_a_packed_number_is_the_rounded_one),
        cmocka_unit_test(test_what_is_not_finite_stays_in_its_row),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
