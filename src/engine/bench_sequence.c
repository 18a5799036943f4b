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

/* The next `count` reals of a buffer, beginning at a multiple of 64 bytes. */
static ws_real *take(ws_real **memory, int64_t count)
{
    ws_real *out = (ws_real *)(void *)(((uintptr_t)*memory + 63) / 64 * 64);
    *memory = out + count;
    return out;
}

static void bench_attention(ws_bench_report *r, ws_real *memory, int64_t B, int64_t T, int64_t D, int64_t H)
{
    int64_t count = B * T * D;
    ws_attention_arguments a = {.B = B, .T = T, .D = D, .H = H, .rope_period = T};
    a.qkv = take(&memory, 3 * count), a.y = take(&memory, count), a.dy = take(&memory, count);
    a.dqkv = take(&memory, 3 * count), a.statistics = take(&memory, 2 * B * H * T);
    a.row_products = take(&memory, B * H * T);
    a.scratch = take(&memory, ws_attention_scratch(T, D, H, true));
    double products = 4.0 * (double)(count * T) / 1e9;
    double forward = ws_time_of(attention_forward, &a, &ws_peak),
           backward = ws_time_of(attention_backward, &a, &ws_peak);
    char name[80];
    snprintf(name, sizeof name, "attention forward %dx%dx%d, %d heads", (int)B, (int)T, (int)D, (int)H);
    ws_bench_line(r, name, products / forward, "GFLOP/s", ws_peak_rate(), "multiply-add peak");
    snprintf(name, sizeof name, "attention backward %dx%dx%d, %d heads", (int)B, (int)T, (int)D, (int)H);
    ws_bench_line(r, name, 2.5 * products / backward, "GFLOP/s", ws_peak_rate(), "multiply-add peak");
}

static void bench_modulated_norm(ws_bench_report *r, ws_real *memory, int64_t B, int64_t T, int64_t D)
{
    int64_t count = B * T * D;
    ws_modulated_norm_arguments a = {.B = B, .T = T, .D = D, .W = 6 * D, .shift = 0, .scale = D, .epsilon = 1e-5};
    a.x = take(&memory, count), a.condition = take(&memory, B * a.W), a.y = take(&memory, count);
    a.mean = take(&memory, B * T), a.rstd = take(&memory, B * T), a.dy = take(&memory, count);
    a.dx = take(&memory, count), a.dcondition = take(&memory, B * a.W), a.scratch = take(&memory, 2 * D);
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
    WS_TRY(WS_NEW_ARRAY(memory, room));
    for (size_t i = 0; i < room; i++)
        memory[i] = (ws_real)(i % 509) / 509 - (ws_real)0.5;
    bench_attention(r, memory, 32, 33, 128, 4);
    bench_attention(r, memory, 8, 128, 256, 8);
    bench_attention(r, memory, 2, 512, 256, 8);
    bench_modulated_norm(r, memory, 32, 33, 128);
    free(memory);
    return WS_OK;
}
