/* Benchmarks of the operators that are matrix products, on one core: their products against the multiply-add peak, what is fused to
 * them not counted. Products of bfloat16 factors are held against the peak of the instructions that multiply them. */
#include <stdio.h>
#include <stdlib.h>
#include "arguments.h"
#include "engine/place.h"
#include "engine/timing.h"

static void linear_forward(void *data)
{
    ws_place_cpu().kernels->linear_forward(data, NULL);
}

static void linear_backward(void *data)
{
    ws_place_cpu().kernels->linear_backward(data, NULL);
}

static double bf16_flops;

static void multiply_bf16(void *data)
{
    (void)data;
    bf16_flops = ws_multiply_bf16_work(20000);
}

static void bench_linear(ws_bench_report *r, ws_real *memory, int64_t B, int64_t K, int64_t N, bool bf16)
{
    char shape[64];
    ws_linear_arguments a = {.B = B, .K = K, .N = N, .activation = WS_SILU, .bf16 = bf16};
    a.x = ws_bench_take(&memory, B * K), a.weight = ws_bench_take(&memory, N * K);
    a.bias = ws_bench_take(&memory, N), a.z = ws_bench_take(&memory, B * N), a.y = ws_bench_take(&memory, B * N);
    a.dy = ws_bench_take(&memory, B * N), a.dx = ws_bench_take(&memory, B * K);
    a.dweight = ws_bench_take(&memory, N * K), a.dbias = ws_bench_take(&memory, N);
    a.scratch = ws_bench_take(&memory, ws_linear_scratch(B, K, N, bf16, true));
    double product = 2.0 * (double)(B * N * K);
    snprintf(shape, sizeof shape, "%dx%dx%d", (int)B, (int)N, (int)K);
    if (!bf16) {
        ws_bench_flops(r, "linear+silu forward", shape, linear_forward, &a, product, 0);
        ws_bench_flops(r, "linear+silu backward", shape, linear_backward, &a, 2 * product, 0);
        return;
    }
    ws_timed peak = {.work = multiply_bf16};
    ws_time_round(&peak);
    /* 500 GFLOP/s of about 1,850 that one core's tiles reach; rounding for other instructions has no target */
    double target = ws_isa_active() == WS_ISA_AMX ? 0.27 : 0;
    ws_measured m = {linear_forward,          &a,    product / 1e9, "GFLOP/s", &peak, bf16_flops / 1e9,
                     "peak of bf16 products", target};
    ws_bench_measure(r, "linear+silu bf16 forward", shape, &m);
    m.work = linear_backward;
    m.amount *= 2;
    ws_bench_measure(r, "linear+silu bf16 backward", shape, &m);
}

/* The three products of a layer by themselves: no bias, no activation. */
static void bench_projection(ws_bench_report *r, ws_real *memory, int64_t B, int64_t K, int64_t N)
{
    char shape[64];
    ws_linear_arguments a = {.B = B, .K = K, .N = N};
    ws_real *dx = ws_bench_take(&memory, B * K), *dweight = ws_bench_take(&memory, N * K);
    a.x = ws_bench_take(&memory, B * K), a.weight = ws_bench_take(&memory, N * K);
    a.y = ws_bench_take(&memory, B * N), a.dy = ws_bench_take(&memory, B * N);
    a.scratch = ws_bench_take(&memory, ws_linear_scratch(B, K, N, false, true));
    double product = 2.0 * (double)(B * N * K);
    snprintf(shape, sizeof shape, "%dx%dx%d", (int)B, (int)N, (int)K);
    ws_bench_flops(r, "projection forward", shape, linear_forward, &a, product, 0.75);
    a.dx = dx;
    ws_bench_flops(r, "projection dx", shape, linear_backward, &a, product, 0.75);
    a.dx = NULL;
    a.dweight = dweight;
    ws_bench_flops(r, "projection dweight", shape, linear_backward, &a, product, 0.65);
}

static void bmm_forward(void *data)
{
    ws_place_cpu().kernels->bmm_forward(data, NULL);
}

static void bmm_backward(void *data)
{
    ws_place_cpu().kernels->bmm_backward(data, NULL);
}

static void bench_bmm(ws_bench_report *r, ws_real *memory, int64_t B, int64_t M, int64_t K, int64_t N)
{
    char shape[64];
    ws_bmm_arguments a = {.B = B, .M = M, .K = K, .N = N};
    a.a = ws_bench_take(&memory, B * M * K), a.b = ws_bench_take(&memory, B * K * N);
    a.y = ws_bench_take(&memory, B * M * N), a.dy = ws_bench_take(&memory, B * M * N);
    a.da = ws_bench_take(&memory, B * M * K), a.db = ws_bench_take(&memory, B * K * N);
    double products = 2.0 * (double)(B * M * K * N);
    snprintf(shape, sizeof shape, "%d of %dx%dx%d", (int)B, (int)M, (int)N, (int)K);
    ws_bench_flops(r, "bmm forward", shape, bmm_forward, &a, products, 0);
    ws_bench_flops(r, "bmm backward", shape, bmm_backward, &a, 2 * products, 0);
}

/* A convolution over all channels is two operators. */
typedef struct convolution {
    ws_unfold_arguments unfold;
    ws_linear_arguments linear;
} convolution;

static void convolution_forward(void *data)
{
    convolution *c = data;
    ws_place_cpu().kernels->unfold_forward(&c->unfold, NULL);
    ws_place_cpu().kernels->linear_forward(&c->linear, NULL);
}

static void convolution_backward(void *data)
{
    convolution *c = data;
    ws_place_cpu().kernels->linear_backward(&c->linear, NULL);
    ws_place_cpu().kernels->unfold_backward(&c->unfold, NULL);
}

static void bench_conv1d(ws_bench_report *r, ws_real *memory, int64_t B, int64_t T, int64_t D, int64_t N)
{
    enum { WIDTH = 3 };
    char shape[64];
    int64_t rows = B * T, K = WIDTH * D;
    ws_real *x = ws_bench_take(&memory, rows * D), *dx = ws_bench_take(&memory, rows * D);
    ws_real *windows = ws_bench_take(&memory, rows * K), *dwindows = ws_bench_take(&memory, rows * K);
    ws_linear_arguments linear = {.B = rows, .K = K, .N = N, .activation = WS_RELU, .x = windows, .dx = dwindows};
    linear.weight = ws_bench_take(&memory, N * K), linear.bias = ws_bench_take(&memory, N);
    linear.y = ws_bench_take(&memory, rows * N), linear.dy = ws_bench_take(&memory, rows * N);
    linear.dweight = ws_bench_take(&memory, N * K), linear.dbias = ws_bench_take(&memory, N);
    linear.scratch = ws_bench_take(&memory, ws_linear_scratch(rows, K, N, false, true));
    convolution c = {{.B = B, .T = T, .D = D, .width = WIDTH, .stride = 1, .padding = 1, .out = T}, linear};
    c.unfold.x = x, c.unfold.y = windows, c.unfold.dy = dwindows, c.unfold.dx = dx;
    double product = 2.0 * (double)(rows * N * K);
    snprintf(shape, sizeof shape, "%dx%dx%d, %d wide to %d", (int)B, (int)T, (int)D, WIDTH, (int)N);
    ws_bench_flops(r, "conv1d+relu forward", shape, convolution_forward, &c, product, 0);
    ws_bench_flops(r, "conv1d+relu backward", shape, convolution_backward, &c, 2 * product, 0);
}

static void gru_forward(void *data)
{
    ws_place_cpu().kernels->gru_forward(data, NULL);
}

static void gru_backward(void *data)
{
    ws_place_cpu().kernels->gru_backward(data, NULL);
}

static void bench_gru(ws_bench_report *r, ws_real *memory, int64_t B, int64_t T, int64_t D, int64_t H)
{
    char shape[64];
    int64_t rows = B * T, wide = 3 * H;
    ws_gru_arguments a = {.B = B, .T = T, .D = D, .H = H, .directions = 1};
    a.x = ws_bench_take(&memory, rows * D), a.weight_input = ws_bench_take(&memory, wide * D);
    a.weight_hidden = ws_bench_take(&memory, wide * H), a.bias_input = ws_bench_take(&memory, wide);
    a.bias_hidden = ws_bench_take(&memory, wide), a.gates = ws_bench_take(&memory, rows * wide);
    a.q = ws_bench_take(&memory, rows * H), a.y = ws_bench_take(&memory, rows * H);
    a.dy = ws_bench_take(&memory, rows * H), a.dx = ws_bench_take(&memory, rows * D);
    a.dweight_input = ws_bench_take(&memory, wide * D), a.dweight_hidden = ws_bench_take(&memory, wide * H);
    a.dbias_input = ws_bench_take(&memory, wide), a.dbias_hidden = ws_bench_take(&memory, wide);
    a.scratch = ws_bench_take(&memory, ws_gru_scratch_forward(B, T, H, 1) + ws_gru_scratch_backward(B, T, H, 1));
    double products = 2.0 * (double)(rows * wide * (D + H));
    snprintf(shape, sizeof shape, "%dx%dx%d to %d", (int)B, (int)T, (int)D, (int)H);
    ws_bench_flops(r, "gru forward", shape, gru_forward, &a, products, 0);
    ws_bench_flops(r, "gru backward", shape, gru_backward, &a, 2 * products, 0);
}

ws_err ws_bench_products(ws_bench_report *r)
{
    ws_real *memory = NULL;
    WS_TRY(ws_bench_memory(&memory, (size_t)16 << 20));
    bench_linear(r, memory, 32, 256, 256, false);
    bench_linear(r, memory, 256, 256, 256, false);
    bench_linear(r, memory, 4096, 256, 256, false);
    bench_projection(r, memory, 4096, 256, 256);
    bench_projection(r, memory, 4096, 128, 128);
    bench_linear(r, memory, 4096, 256, 256, true);
    bench_bmm(r, memory, 64, 64, 64, 64);
    bench_conv1d(r, memory, 16, 64, 64, 128);
    bench_gru(r, memory, 64, 32, 64, 128);
    free(memory);
    return WS_OK;
}
