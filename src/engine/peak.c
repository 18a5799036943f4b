/* The multiply-add peak of one core, the ceiling of everything the engine computes. */
#include "engine/engine.h"

double ws_multiply_add_portable(int64_t repetitions, ws_real *out);
double ws_multiply_add_avx2(int64_t repetitions, ws_real *out);
double ws_multiply_add_avx512(int64_t repetitions, ws_real *out);

#if defined(WS_HAVE_AMX) && !defined(WS_REAL_DOUBLE)
double ws_multiply_add_amx(int64_t repetitions, ws_real *out);
#endif

static volatile ws_real sink; /* takes a value, so that the work is not left out */

double ws_multiply_add_work(int64_t rounds)
{
    ws_real out;
    double done;
#if defined(__x86_64__)
    if (ws_isa_active() >= WS_ISA_AVX512)
        done = ws_multiply_add_avx512(rounds, &out);
    else if (ws_isa_active() == WS_ISA_AVX2)
        done = ws_multiply_add_avx2(rounds, &out);
    else
#endif
        done = ws_multiply_add_portable(rounds, &out);
    sink = out;
    return done;
}

double ws_multiply_bf16_work(int64_t rounds)
{
#if defined(WS_HAVE_AMX) && !defined(WS_REAL_DOUBLE)
    if (ws_isa_active() == WS_ISA_AMX) {
        ws_real out;
        double done = ws_multiply_add_amx(rounds, &out);
        sink = out;
        return done;
    }
#endif
    return ws_multiply_add_work(rounds);
}

double ws_multiply_add_peak(void)
{
    double best = 0;
    for (int run = 0; run < 8; run++) {
        double begin = ws_clock_seconds(), done = ws_multiply_add_work(100000), rate;
        rate = done / (ws_clock_seconds() - begin);
        best = rate > best ? rate : best;
    }
    return best;
}
