/* What both back ends' attention have in common: which keys a row sees, what dropout keeps, how far a position turns. */
#ifndef WS_KERNELS_ATTENTION_H
#define WS_KERNELS_ATTENTION_H

#include "arguments.h"
#include "core/philox.h"
#include "core/random.h"
#include "scalar.h"

/* Keys [lo[0],hi[0]) and [lo[1],hi[1]), lo[0] <= lo[1]. They may meet or be empty. */
typedef struct ws_seen {
    int64_t lo[2], hi[2];
} ws_seen;

WS_HD ws_seen ws_attention_seen(const int32_t *ranges, int64_t row, int64_t T, bool causal, int64_t i)
{
    const int64_t end = causal ? i + 1 : T;
    if (!ranges) {
        ws_seen all = {{0, end}, {end, end}};
        return all;
    }
    const int32_t *r = ranges + 4 * row;
    const int first = r[0] <= r[2] ? 0 : 2;
    ws_seen seen;
    for (int k = 0; k < 2; k++) {
        int64_t lo = r[k == 0 ? first : 2 - first], hi = r[(k == 0 ? first : 2 - first) + 1];
        lo = lo < 0 ? 0 : lo > end ? end : lo;
        hi = hi > end ? end : hi;
        seen.lo[k] = lo;
        seen.hi[k] = hi < lo ? lo : hi;
    }
    return seen;
}
WS_HD bool ws_attention_sees(ws_seen seen, int64_t j)
{
    return (j >= seen.lo[0] && j < seen.hi[0]) || (j >= seen.lo[1] && j < seen.hi[1]);
}

/* Dropout of probabilities: 16 bits for each decide, eight to a block of random words. */
enum { WS_DROPOUT_STEPS = 65536, WS_DROPOUT_A_BLOCK = 8 };
WS_HD uint32_t ws_dropout_threshold(double rate)
{
    return (uint32_t)(rate * WS_DROPOUT_STEPS + 0.5);
}
/* Of keys 8*eight .. 8*eight+7 of query i of head h in row b of the shard. */
WS_HD void ws_attention_kept(const ws_attention_arguments *a, int64_t b, int64_t h, int64_t i, int64_t eight,
                             ws_real factors[WS_DROPOUT_A_BLOCK])
{
    const uint32_t threshold = ws_dropout_threshold(a->dropout);
    const ws_real factor = (ws_real)((double)WS_DROPOUT_STEPS / (double)(WS_DROPOUT_STEPS - threshold));
    const int64_t eights = (a->T + WS_DROPOUT_A_BLOCK - 1) / WS_DROPOUT_A_BLOCK;
    uint32_t word[4];
    ws_random_block(a->random.seed, WS_RANDOM_DROPOUT, a->random.stream, WS_RANDOM_STEP(a->random),
                    WS_RANDOM_ROW(a->random) + (uint64_t)b, (uint32_t)((h * a->T + i) * eights + eight), word);
    for (int k = 0; k < WS_DROPOUT_A_BLOCK; k++)
        factors[k] = (word[k / 2] >> (k % 2 * 16) & 0xffffu) >= threshold ? factor : (ws_real)0;
}

/* cos and sin of the angle of pair c of d/2 at a token. */
WS_HD void ws_rope_turn(double base, int64_t period, int64_t d, int64_t token, int64_t c, ws_real *cosine,
                        ws_real *sine)
{
    const double angle = (double)(token % period) * pow(base, -2.0 * (double)c / (double)d);
    *cosine = (ws_real)cos(angle);
    *sine = (ws_real)sin(angle);
}

#endif
