/* For the engine's tests: random values, buffers that notice writes beyond their ends, and checks of library calls. */
#ifndef ENGINE_TEST_H
#define ENGINE_TEST_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include "engine/plan.h"

/* Asserts that a library call succeeds, and says why it did not. */
#define OK(call)                                                                                                       \
    do {                                                                                                               \
        ws_err ok_error_ = (call);                                                                                     \
        if (ok_error_ != WS_OK)                                                                                        \
            fail_msg("%s: %s", #call, ws_error_message());                                                             \
    } while (0)

static inline void fill_normal(ws_real *out, size_t count, uint64_t stream)
{
    for (size_t i = 0; i < count; i += 64) {
        float values[64] = {0};
        ws_random_normal(1, WS_RANDOM_TEST, stream, i, values, count - i < 64 ? count - i : 64);
        for (size_t k = 0; k < 64 && i + k < count; k++)
            out[i + k] = (ws_real)values[k];
    }
}

/* A buffer of `count` reals that starts as NaN, with sentinels right before and right behind it. */
enum { GUARD = 16 };
static const ws_real guard_value = (ws_real)-12345.5;

static inline ws_real *guarded(size_t count)
{
    ws_real *memory = NULL;
    OK(ws_alloc(&memory, count + 2 * GUARD, sizeof *memory));
    for (size_t i = 0; i < GUARD; i++)
        memory[i] = memory[GUARD + count + i] = guard_value;
    for (size_t i = 0; i < count; i++)
        memory[GUARD + i] = (ws_real)NAN;
    return memory + GUARD;
}

static inline ws_real *guarded_normal(size_t count, uint64_t stream)
{
    ws_real *out = guarded(count);
    fill_normal(out, count, stream);
    return out;
}

/* Checks the sentinels, and frees. */
static inline void release(ws_real *buffer, size_t count)
{
    for (size_t i = 0; i < GUARD; i++) {
        assert_true(buffer[(ptrdiff_t)i - GUARD] == guard_value);
        assert_true(buffer[count + i] == guard_value);
    }
    free(buffer - GUARD);
}

/* |got - want| <= tolerance * scale everywhere; NaN fails. */
static inline void assert_near(const char *what, const ws_real *got, const double *want, size_t count, double tolerance)
{
    double scale = 1e-30;
    for (size_t i = 0; i < count; i++)
        scale = fabs(want[i]) > scale ? fabs(want[i]) : scale;
    for (size_t i = 0; i < count; i++)
        if (!(fabs((double)got[i] - want[i]) <= tolerance * scale))
            fail_msg("%s: element %zu is %.9g, expected %.9g (largest %.3g)", what, i, (double)got[i], want[i], scale);
}

/* The levels this machine can run, in turn. */
#define FOR_EACH_LEVEL(isa)                                                                                            \
    for (ws_isa isa = WS_ISA_PORTABLE; isa <= ws_isa_detect(); isa++)                                                  \
        if (ws_kernels_of(isa))

static inline ws_place place_of(ws_isa isa)
{
    ws_place place = ws_place_cpu();
    place.kernels = ws_kernels_of(isa);
    return place;
}

#endif
