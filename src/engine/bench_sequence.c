/* Benchmarks of attention and of norms steered by a condition, on one core: attention's products against the multiply-add peak, the
 * exponentials and copies between them not counted. */
#include <stdio.h>
#include <stdlib.h>
#include "arguments.h"
#include "engine/place.h"
#include "engine/timing.h"

static void attention_forward(void *data)
{
    ws_place_cpu().kernels->attention_forward(data, NULL);
}

static void attention_backward(void *data)
{
    ws_place_cpu().kernels->attention_backward(data, NULL);
}

static void modulated_norm_forward(void *data)
{
    ws_place_cpu().kernels->modulated_norm_forward(data, NULL);
}

static void modulated_norm_backward(void *data)
{
    ws_place_cpu().kernels->modulated_norm_backward(data, NULL);
}

static void bench_attention(ws_bench_report *r, ws_real *memory, int64_t B, int64_t T, int64_t D, int64_t H)
{
    int64_t count = B * T * D;
    ws_attention_arguments a = {.B = B, .T = T, .D = D, .H = H, .rope_period = T};
    a.qkv = ws_bench_take(&memory, 3 * count), a.y = ws_bench_take(&memory, count),
    a.dy = ws_bench_take(&memory, count);
    a.dqkv = ws_bench_take(&memory, 3 * count), a.statistics = ws_bench_take(&memory, 2 * B * H * T);
    a.row_products = ws_bench_take(&memory, B * H * T);
    a.scratch = ws_bench_take(&memory, ws_attention_scratch(T, D, H, true));
    double products = 4.0 * (double)(count * T);
    char shape[64];
    snprintf(shape, sizeof shape, "%dx%dx%d, %d heads", (int)B, (int)T, (int)D, (int)H);
    ws_bench_flops(r, "attention forward", shape, attention_forward, &a, products, 0);
    ws_bench_flops(r, "attention backward", shape, attention_backward, &a, 2.5 * products, 0);
}

static void bench_modulated_norm(ws_bench_report *r, ws_real *memory, int64_t B, int64_t T, int64_t D)
{
    int64_t count = B * T * D;
    ws_modulated_norm_arguments a = {.B = B, .T = T, .D = D, .W = 6 * D, .shift = 0, .scale = D, .epsilon = 1e-5};
    a.x = ws_bench_take(&memory, count), a.condition = ws_bench_take(&memory, B * a.W),
    a.y = ws_bench_take(&memory, count);
    a.mean = ws_bench_take(&memory, B * T), a.rstd = ws_bench_take(&memory, B * T),
    a.dy = ws_bench_take(&memory, count);
    a.dx = ws_bench_take(&memory, count), a.dcondition = ws_bench_take(&memory, B * a.W),
    a.scratch = ws_bench_take(&memory, 2 * D);
    a.accumulate_dcondition = true;
    ws_bench_line(r, "modulated norm forward", 1e9 * ws_time_of(modulated_norm_forward, &a, NULL) / (double)count,
                  "ns/element", 0, NULL);
    ws_bench_line(r, "modulated norm backward", 1e9 * ws_time_of(modulated_norm_backward, &a, NULL) / (double)count,
                  "ns/element", 0, NULL);
}

ws_err ws_bench_sequence(ws_bench_report *r)
{
    size_t room = (size_t)16 << 20;
    ws_real *memory = NULL;
    WS_TRY(ws_bench_memory(&memory, room));
    bench_attention(r, memory, 32, 33, 128, 4);
    bench_attention(r, memory, 8, 128, 256, 8);
    bench_attention(r, memory, 2, 512, 256, 8);
    bench_modulated_norm(r, memory, 32, 33, 128);
    free(memory);
    return WS_OK;
}
