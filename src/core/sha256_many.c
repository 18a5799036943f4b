/* SHA-256 of chains that do not depend on each other, some side by side: a round waits for the one before it, so one chain leaves
 * most of a core idle, and libcrypto takes one at a time. Sixteen chains in the lanes of vectors with AVX-512; two with the SHA
 * extensions; elsewhere libcrypto, one by one.
 * Rounds after FIPS 180-4 6.2.2; the SHA extensions keep the state as ABEF and CDGH.
 */
#include "hash.h"

#include <endian.h>
#include <stdatomic.h>
#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>

#define WS_SHA __attribute__((target("sha,sse4.1")))
#define WS_LANES __attribute__((target("avx512f,avx512bw")))

enum {
    LANES = 16,
    LANES_WORTHWHILE =
        9 /* fewer are faster in pairs: a step of the lanes takes 180 ns, a block in pairs 22 (EPYC, family 26) */
};

static const uint32_t round_constants[64] __attribute__((aligned(64))) = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

/* Rounds 4q to 4q + 3 of one lane; w: the last 16 words of the schedule. */
WS_SHA static inline __attribute__((always_inline)) void four_rounds(unsigned q, __m128i w[4], __m128i *abef,
                                                                     __m128i *cdgh)
{
    if (q >= 4) {
        const __m128i nine = _mm_alignr_epi8(w[(q + 3) & 3], w[(q + 2) & 3], 4);
        __m128i next = _mm_add_epi32(_mm_sha256msg1_epu32(w[q & 3], w[(q + 1) & 3]), nine);
        w[q & 3] = _mm_sha256msg2_epu32(next, w[(q + 3) & 3]);
    }
    const __m128i words = _mm_add_epi32(w[q & 3], _mm_load_si128((const __m128i *)&round_constants[4 * q]));
    *cdgh = _mm_sha256rnds2_epu32(*cdgh, *abef, words);
    *abef = _mm_sha256rnds2_epu32(*abef, *cdgh, _mm_shuffle_epi32(words, 0x0e));
}

WS_SHA static inline __attribute__((always_inline)) void load_block(const uint8_t *block, __m128i w[4])
{
    const __m128i big_endian = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
    for (int i = 0; i < 4; i++)
        w[i] = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(block + 16 * i)), big_endian);
}

/* state: ABEF and CDGH. */
WS_SHA static void hash_blocks(__m128i one[2], const uint8_t *first, __m128i two[2], const uint8_t *second,
                               size_t blocks)
{
    __m128i w1[4], w2[4], abef1 = one[0], cdgh1 = one[1], abef2 = two[0], cdgh2 = two[1];
    for (size_t b = 0; b < blocks; b++) {
        const __m128i before[4] = {abef1, cdgh1, abef2, cdgh2};
        load_block(first + 64 * b, w1);
        load_block(second + 64 * b, w2);
#pragma GCC unroll 16
        for (unsigned q = 0; q < 16; q++) {
            four_rounds(q, w1, &abef1, &cdgh1);
            four_rounds(q, w2, &abef2, &cdgh2);
        }
        abef1 = _mm_add_epi32(abef1, before[0]);
        cdgh1 = _mm_add_epi32(cdgh1, before[1]);
        abef2 = _mm_add_epi32(abef2, before[2]);
        cdgh2 = _mm_add_epi32(cdgh2, before[3]);
    }
    one[0] = abef1;
    one[1] = cdgh1;
    two[0] = abef2;
    two[1] = cdgh2;
}

WS_SHA static void state_to_words(const __m128i state[2], __m128i words[2])
{
    const __m128i feba = _mm_shuffle_epi32(state[0], 0x1b), dchg = _mm_shuffle_epi32(state[1], 0xb1);
    words[0] = _mm_blend_epi16(feba, dchg, 0xf0);
    words[1] = _mm_alignr_epi8(dchg, feba, 8);
}

WS_SHA static void words_to_state(const __m128i words[2], __m128i state[2])
{
    const __m128i cdab = _mm_shuffle_epi32(words[0], 0xb1), efgh = _mm_shuffle_epi32(words[1], 0x1b);
    state[0] = _mm_alignr_epi8(cdab, efgh, 8);
    state[1] = _mm_blend_epi16(efgh, cdab, 0xf0);
}

/* Goes on with the chain's second part once the first is done; false at its end. */
static bool chain_goes_on(ws_sha256_chain *chain)
{
    if (chain->blocks == 0) {
        chain->at = chain->then;
        chain->blocks = chain->then_blocks;
        chain->then_blocks = 0;
    }
    return chain->blocks > 0;
}

static void chain_did(ws_sha256_chain *chain, size_t blocks)
{
    chain->at += 64 * blocks;
    chain->blocks -= blocks;
}

/* ---- two side by side ---- */

/* The next chain that has blocks; NULL: there is none. */
static ws_sha256_chain *next_chain(ws_sha256_chain **next, const ws_sha256_chain *end)
{
    while (*next < end) {
        ws_sha256_chain *chain = (*next)++;
        if (chain_goes_on(chain))
            return chain;
    }
    return NULL;
}

WS_SHA static void chain_load(const ws_sha256_chain *chain, __m128i state[2])
{
    __m128i words[2];
    memcpy(words, chain->state, sizeof words);
    words_to_state(words, state);
}

WS_SHA static void chain_store(const __m128i state[2], ws_sha256_chain *chain)
{
    __m128i words[2];
    state_to_words(state, words);
    memcpy(chain->state, words, sizeof words);
}

WS_SHA static void hash_in_pairs(ws_sha256_chain *chains, size_t count)
{
    const ws_sha256_chain *end = chains + count;
    ws_sha256_chain *next = chains, *pair[2] = {NULL, NULL};
    __m128i state[2][2];
    for (;;) {
        for (int i = 0; i < 2; i++) {
            if (pair[i] != NULL && chain_goes_on(pair[i]))
                continue;
            if (pair[i] != NULL)
                chain_store(state[i], pair[i]);
            pair[i] = next_chain(&next, end);
            if (pair[i] != NULL)
                chain_load(pair[i], state[i]);
        }
        if (pair[0] == NULL && pair[1] == NULL)
            return;
        if (pair[0] == NULL || pair[1] == NULL) { /* the last one is alone */
            const int i = pair[0] != NULL ? 0 : 1;
            const size_t blocks = pair[i]->blocks;
            memcpy(state[1 - i], state[i], sizeof state[i]);
            hash_blocks(state[i], pair[i]->at, state[1 - i], pair[i]->at, blocks);
            chain_did(pair[i], blocks);
            continue;
        }
        const size_t blocks = pair[0]->blocks < pair[1]->blocks ? pair[0]->blocks : pair[1]->blocks;
        hash_blocks(state[0], pair[0]->at, state[1], pair[1]->at, blocks);
        chain_did(pair[0], blocks);
        chain_did(pair[1], blocks);
    }
}

/* ---- sixteen side by side ---- */

/* Four words of four rows in each quarter. */
WS_LANES static inline __attribute__((always_inline)) void transpose_quarters(const __m512i row[4], __m512i out[4])
{
    const __m512i low[2] = {_mm512_unpacklo_epi32(row[0], row[1]), _mm512_unpacklo_epi32(row[2], row[3])},
                  high[2] = {_mm512_unpackhi_epi32(row[0], row[1]), _mm512_unpackhi_epi32(row[2], row[3])};
    out[0] = _mm512_unpacklo_epi64(low[0], low[1]);
    out[1] = _mm512_unpackhi_epi64(low[0], low[1]);
    out[2] = _mm512_unpacklo_epi64(high[0], high[1]);
    out[3] = _mm512_unpackhi_epi64(high[0], high[1]);
}

/* w[i]: word i of the lanes' blocks. */
WS_LANES static inline __attribute__((always_inline)) void load_lanes(const uint8_t *const at[LANES], __m512i w[16])
{
    const __m512i big_endian = _mm512_broadcast_i32x4(_mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203));
    __m512i by_four[4][4]; /* [g][j]: in its quarter q word 4q + j of the lanes 4g to 4g + 3 */
#pragma GCC unroll 4
    for (int g = 0; g < 4; g++) {
        __m512i row[4];
#pragma GCC unroll 4
        for (int l = 0; l < 4; l++)
            row[l] = _mm512_shuffle_epi8(_mm512_loadu_si512(at[4 * g + l]), big_endian);
        transpose_quarters(row, by_four[g]);
    }
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++) {
        const __m512i even1 = _mm512_shuffle_i32x4(by_four[0][j], by_four[1][j], 0x88),
                      even2 = _mm512_shuffle_i32x4(by_four[2][j], by_four[3][j], 0x88),
                      odd1 = _mm512_shuffle_i32x4(by_four[0][j], by_four[1][j], 0xdd),
                      odd2 = _mm512_shuffle_i32x4(by_four[2][j], by_four[3][j], 0xdd);
        w[j] = _mm512_shuffle_i32x4(even1, even2, 0x88);
        w[4 + j] = _mm512_shuffle_i32x4(odd1, odd2, 0x88);
        w[8 + j] = _mm512_shuffle_i32x4(even1, even2, 0xdd);
        w[12 + j] = _mm512_shuffle_i32x4(odd1, odd2, 0xdd);
    }
}

WS_LANES static inline __attribute__((always_inline)) __m512i exclusive_or(__m512i x, __m512i y, __m512i z)
{
    return _mm512_ternarylogic_epi32(x, y, z, 0x96);
}

/* What is known early is added first, since each round waits for e of the one before it: no sums in another order. */
WS_LANES static inline __attribute__((always_inline)) __m512i keep_sum(__m512i sum)
{
    __asm__("" : "+v"(sum));
    return sum;
}

/* Sixteen rounds, after which a to h are in their places again; `more`: words of the schedule are made first. */
WS_LANES static inline __attribute__((always_inline)) void sixteen_rounds(__m512i v[8], __m512i w[16],
                                                                          const uint32_t *constants, bool more)
{
#pragma GCC unroll 16
    for (unsigned r = 0; r < 16; r++) {
        if (more) {
            const __m512i w1 = w[(r + 1) & 15], w14 = w[(r + 14) & 15];
            const __m512i small0 =
                exclusive_or(_mm512_ror_epi32(w1, 7), _mm512_ror_epi32(w1, 18), _mm512_srli_epi32(w1, 3));
            const __m512i small1 =
                exclusive_or(_mm512_ror_epi32(w14, 17), _mm512_ror_epi32(w14, 19), _mm512_srli_epi32(w14, 10));
            w[r] = _mm512_add_epi32(_mm512_add_epi32(w[r], small0), _mm512_add_epi32(w[(r + 9) & 15], small1));
        }
        const __m512i a = v[(0 - r) & 7], b = v[(1 - r) & 7], c = v[(2 - r) & 7], e = v[(4 - r) & 7],
                      f = v[(5 - r) & 7], g = v[(6 - r) & 7];
        __m512i *d = &v[(3 - r) & 7], *h = &v[(7 - r) & 7];
        const __m512i words = _mm512_add_epi32(w[r], _mm512_set1_epi32((int)constants[r]));
        const __m512i large1 = exclusive_or(_mm512_ror_epi32(e, 6), _mm512_ror_epi32(e, 11), _mm512_ror_epi32(e, 25));
        const __m512i large0 = exclusive_or(_mm512_ror_epi32(a, 2), _mm512_ror_epi32(a, 13), _mm512_ror_epi32(a, 22));
        const __m512i choice = _mm512_ternarylogic_epi32(e, f, g, 0xca),
                      most = _mm512_ternarylogic_epi32(a, b, c, 0xe8);
        const __m512i early = _mm512_add_epi32(*h, words), later = keep_sum(_mm512_add_epi32(early, choice));
        *d = _mm512_add_epi32(keep_sum(_mm512_add_epi32(keep_sum(_mm512_add_epi32(*d, early)), choice)), large1);
        *h = _mm512_add_epi32(keep_sum(_mm512_add_epi32(keep_sum(_mm512_add_epi32(later, large1)), most)), large0);
    }
}

typedef struct chain_lanes {
    uint32_t state[LANES][8] __attribute__((aligned(64)));
    const uint8_t *at[LANES];
    size_t step[LANES]; /* from block to block; 0 of a lane without chain */
    ws_sha256_chain *chain[LANES];
} chain_lanes;

/* word[i]: word i of the lanes' states. */
WS_LANES static inline __attribute__((always_inline)) void load_states(const uint32_t state[LANES][8], __m512i word[8])
{
    __m512i row[2][4], by_four[2][4];
#pragma GCC unroll 2
    for (int g = 0; g < 2; g++) {
#pragma GCC unroll 4
        for (int l = 0; l < 4; l++)
            row[g][l] = _mm512_inserti64x4(_mm512_castsi256_si512(_mm256_load_si256((const __m256i *)state[8 * g + l])),
                                           _mm256_load_si256((const __m256i *)state[8 * g + 4 + l]), 1);
        transpose_quarters(row[g], by_four[g]);
    }
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++) {
        word[j] = _mm512_shuffle_i32x4(by_four[0][j], by_four[1][j], 0x88);
        word[4 + j] = _mm512_shuffle_i32x4(by_four[0][j], by_four[1][j], 0xdd);
    }
}

WS_LANES static inline __attribute__((always_inline)) void store_states(const __m512i word[8], uint32_t state[LANES][8])
{
#pragma GCC unroll 2
    for (int g = 0; g < 2; g++) {
        __m512i by_four[4], row[4];
#pragma GCC unroll 4
        for (int j = 0; j < 4; j++)
            by_four[j] = g == 0 ? _mm512_shuffle_i32x4(word[j], word[4 + j], 0x44)
                                : _mm512_shuffle_i32x4(word[j], word[4 + j], 0xee);
        transpose_quarters(by_four, row);
#pragma GCC unroll 4
        for (int l = 0; l < 4; l++) {
            _mm_store_si128((__m128i *)&state[8 * g + l][0], _mm512_extracti32x4_epi32(row[l], 0));
            _mm_store_si128((__m128i *)&state[8 * g + 4 + l][0], _mm512_extracti32x4_epi32(row[l], 1));
            _mm_store_si128((__m128i *)&state[8 * g + l][4], _mm512_extracti32x4_epi32(row[l], 2));
            _mm_store_si128((__m128i *)&state[8 * g + 4 + l][4], _mm512_extracti32x4_epi32(row[l], 3));
        }
    }
}

WS_LANES static void hash_lanes_blocks(chain_lanes *lanes, size_t blocks)
{
    const uint32_t *constants = round_constants;
    __m512i state[8], v[8], w[16];
    __asm__("" : "+r"(constants)); /* read from memory as part of an addition, not made one by one */
    load_states((const uint32_t(*)[8])lanes->state, state);
    for (size_t b = 0; b < blocks; b++) {
        load_lanes(lanes->at, w);
        for (int l = 0; l < LANES; l++)
            lanes->at[l] += lanes->step[l];
        memcpy(v, state, sizeof v);
        sixteen_rounds(v, w, constants, false);
        for (int more = 16; more < 64; more += 16)
            sixteen_rounds(v, w, constants + more, true);
        for (int i = 0; i < 8; i++)
            state[i] = _mm512_add_epi32(state[i], v[i]);
    }
    store_states(state, lanes->state);
}

static void lane_load(chain_lanes *lanes, int lane, ws_sha256_chain *chain)
{
    static const uint8_t nothing[64];
    lanes->chain[lane] = chain;
    lanes->at[lane] = chain != NULL ? chain->at : nothing;
    lanes->step[lane] = chain != NULL ? 64 : 0;
    memcpy(lanes->state[lane], chain != NULL ? (const uint8_t *)chain->state : nothing, sizeof lanes->state[lane]);
}

static void lane_store(const chain_lanes *lanes, int lane)
{
    memcpy(lanes->chain[lane]->state, lanes->state[lane], sizeof lanes->state[lane]);
}

/* Until all are done, or, where `least` is more than 1, so few are left that they do not fill so many lanes; these have their
 * states and what is left of them. */
static void hash_in_lanes(ws_sha256_chain *chains, size_t count, int least)
{
    const ws_sha256_chain *end = chains + count;
    ws_sha256_chain *next = chains;
    chain_lanes lanes;
    int used = 0;
    for (int l = 0; l < LANES; l++) {
        lane_load(&lanes, l, next_chain(&next, end));
        used += lanes.chain[l] != NULL;
    }
    while (used >= least) {
        size_t blocks = SIZE_MAX;
        for (int l = 0; l < LANES; l++)
            blocks = lanes.chain[l] != NULL && lanes.chain[l]->blocks < blocks ? lanes.chain[l]->blocks : blocks;
        hash_lanes_blocks(&lanes, blocks);
        for (int l = 0; l < LANES; l++) {
            if (lanes.chain[l] == NULL)
                continue;
            chain_did(lanes.chain[l], blocks);
            if (lanes.chain[l]->blocks > 0)
                continue;
            if (chain_goes_on(lanes.chain[l])) {
                lanes.at[l] = lanes.chain[l]->at;
                continue;
            }
            lane_store(&lanes, l);
            lane_load(&lanes, l, next_chain(&next, end));
            used -= lanes.chain[l] == NULL;
        }
    }
    for (int l = 0; l < LANES; l++)
        if (lanes.chain[l] != NULL)
            lane_store(&lanes, l);
}

/* ---- which ---- */

typedef enum way { WAY_UNKNOWN, WAY_ALONE, WAY_PAIRS, WAY_LANES, WAY_LANES_AND_PAIRS } way;

static way ask_cpu(void)
{
    enum { SSSE3 = 1 << 9, SSE41 = 1 << 19, SHA = 1 << 29 };
    unsigned a, b, c, d;
    const bool lanes = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw");
    const bool pairs = __get_cpuid(1, &a, &b, &c, &d) && (c & SSSE3) != 0 && (c & SSE41) != 0 &&
                       __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & SHA) != 0;
    return lanes && pairs ? WAY_LANES_AND_PAIRS : lanes ? WAY_LANES : pairs ? WAY_PAIRS : WAY_ALONE;
}

/* Asked once, which is slow; the same whoever asks. */
static way known_way(void)
{
    static atomic_int known; /* WAY_UNKNOWN at first */
    if (atomic_load_explicit(&known, memory_order_relaxed) == WAY_UNKNOWN)
        atomic_store_explicit(&known, (int)ask_cpu(), memory_order_relaxed);
    return (way)atomic_load_explicit(&known, memory_order_relaxed);
}

bool ws_sha256_chains(ws_sha256_chain *chains, size_t count)
{
    const way known = known_way();
    if (known == WAY_ALONE)
        return false;
    if (known != WAY_PAIRS)
        hash_in_lanes(chains, count, known == WAY_LANES ? 1 : LANES_WORTHWHILE);
    if (known != WAY_LANES)
        hash_in_pairs(chains, count); /* those that are left */
    return true;
}
#else
bool ws_sha256_chains(ws_sha256_chain *chains, size_t count)
{
    (void)chains, (void)count;
    return false;
}
#endif

/* ---- texts ---- */

/* Whole blocks of a text lie where they are, the rest with the padding in a tail. */
enum { TEXTS = 192, TAIL_BYTES = 128, LENGTHS = 32 };

typedef struct text_batch {
    uint32_t states[TEXTS][8];
    uint8_t tails[TEXTS][TAIL_BYTES];
    ws_sha256_chain chains[TEXTS]; /* longest first, as far as that can be seen at little cost */
} text_batch;

static size_t length_of(const ws_hash_text *text)
{
    const size_t blocks = text->count / 64;
    return blocks < LENGTHS ? LENGTHS - 1 - blocks : 0;
}

static ws_sha256_chain start_text(const ws_hash_text *text, uint32_t state[8], uint8_t tail[TAIL_BYTES])
{
    static const uint32_t start[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                      0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    const size_t rest = text->count % 64, tail_blocks = rest < 56 ? 1 : 2;
    const uint64_t bits = htobe64((uint64_t)text->count * 8);
    memcpy(state, start, sizeof start);
    memset(tail, 0, TAIL_BYTES);
    if (rest > 0)
        memcpy(tail, text->bytes + text->count - rest, rest);
    tail[rest] = 0x80;
    memcpy(tail + 64 * tail_blocks - 8, &bits, sizeof bits);
    return (ws_sha256_chain){state, text->bytes, text->count / 64, tail, tail_blocks};
}

static bool hash_batch(text_batch *batch, const ws_hash_text *texts, size_t count, ws_digest *out)
{
    size_t place[LENGTHS + 1] = {0};
    for (size_t i = 0; i < count; i++)
        place[length_of(&texts[i]) + 1]++;
    for (size_t length = 0; length < LENGTHS; length++)
        place[length + 1] += place[length];
    for (size_t i = 0; i < count; i++)
        batch->chains[place[length_of(&texts[i])]++] = start_text(&texts[i], batch->states[i], batch->tails[i]);
    if (!ws_sha256_chains(batch->chains, count))
        return false;
    for (size_t i = 0; i < count; i++)
        for (size_t word = 0; word < 8; word++) {
            const uint32_t big_endian = htobe32(batch->states[i][word]);
            memcpy(out[i].bytes + 4 * word, &big_endian, sizeof big_endian);
        }
    return true;
}

void ws_sha256_many(const ws_hash_text *texts, size_t count, ws_digest *out)
{
    text_batch batch;
    for (size_t begin = 0; begin < count; begin += TEXTS) {
        const size_t here = count - begin < TEXTS ? count - begin : TEXTS;
        if (hash_batch(&batch, texts + begin, here, out + begin))
            continue;
        for (size_t i = begin; i < begin + here; i++)
            out[i] = ws_sha256_of(texts[i].bytes, texts[i].count);
    }
}
