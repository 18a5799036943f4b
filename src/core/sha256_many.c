/* SHA-256 of many short texts, and of two long ones side by side. Where the CPU has the SHA extensions, two texts at a
 * time: a round waits for the one before it, so one stream leaves half of the unit idle, and libcrypto hashes one stream.
 * Elsewhere libcrypto, one by one.
 * Rounds after FIPS 180-4 6.2.2; the instructions keep the state as ABEF and CDGH.
 */
#include "hash.h"

#include <stdatomic.h>
#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>

#define WS_SHA __attribute__((target("sha,sse4.1")))

static const uint32_t round_constants[64] __attribute__((aligned(16))) = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

/* A text on its way: its whole blocks lie where they are, the rest with the padding in `tail`. */
typedef struct lane {
    __m128i state[2]; /* ABEF and CDGH */
    const uint8_t *at;
    size_t blocks;      /* left at `at` */
    size_t tail_blocks; /* left in the tail, behind those */
    size_t text;        /* which one */
    uint8_t tail[128];
} lane;

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

WS_SHA static void lane_start(lane *l, const ws_hash_text *text, size_t number)
{
    l->state[0] = _mm_set_epi32(0x6a09e667, (int)0xbb67ae85, 0x510e527f, (int)0x9b05688c);
    l->state[1] = _mm_set_epi32(0x3c6ef372, (int)0xa54ff53a, 0x1f83d9ab, 0x5be0cd19);
    const size_t rest = text->count % 64;
    const uint64_t bits = __builtin_bswap64((uint64_t)text->count * 8);
    l->at = text->bytes;
    l->blocks = text->count / 64;
    l->tail_blocks = rest < 56 ? 1 : 2;
    l->text = number;
    memset(l->tail, 0, sizeof l->tail);
    if (rest > 0)
        memcpy(l->tail, text->bytes + text->count - rest, rest);
    l->tail[rest] = 0x80;
    memcpy(l->tail + 64 * l->tail_blocks - 8, &bits, 8);
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

WS_SHA static void lane_end(const lane *l, ws_digest *out)
{
    const __m128i big_endian = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
    __m128i words[2];
    state_to_words(l->state, words);
    _mm_storeu_si128((__m128i *)out->bytes, _mm_shuffle_epi8(words[0], big_endian));
    _mm_storeu_si128((__m128i *)(out->bytes + 16), _mm_shuffle_epi8(words[1], big_endian));
}

/* What is still to be hashed, and where the digests go. */
typedef struct queue {
    const ws_hash_text *texts;
    size_t next, count;
    ws_digest *out;
} queue;

/* Gives the lane blocks to go on with: of its text, then of its tail, then of the next text; false where none is left. */
WS_SHA static bool lane_goes_on(lane *l, queue *from)
{
    if (l->blocks > 0)
        return true;
    if (l->tail_blocks > 0) {
        l->at = l->tail;
        l->blocks = l->tail_blocks;
        l->tail_blocks = 0;
        return true;
    }
    if (l->text < from->count)
        lane_end(l, &from->out[l->text]);
    l->text = from->next;
    if (from->next >= from->count)
        return false;
    lane_start(l, &from->texts[from->next], from->next);
    from->next++;
    return lane_goes_on(l, from);
}

WS_SHA static void hash_in_pairs(const ws_hash_text *texts, size_t count, ws_digest *out)
{
    queue from = {texts, 0, count, out};
    lane lanes[2];
    for (int i = 0; i < 2; i++) {
        lanes[i].blocks = lanes[i].tail_blocks = 0;
        lanes[i].text = count;
    }
    for (;;) {
        const bool first = lane_goes_on(&lanes[0], &from), second = lane_goes_on(&lanes[1], &from);
        if (!first && !second)
            break;
        lane *one = first ? &lanes[0] : &lanes[1], *two = &lanes[1], copy;
        if (!first || !second) { /* the last one is alone */
            copy = *one;
            two = &copy;
        }
        const size_t blocks = one->blocks < two->blocks ? one->blocks : two->blocks;
        hash_blocks(one->state, one->at, two->state, two->at, blocks);
        one->at += 64 * blocks;
        one->blocks -= blocks;
        two->at += 64 * blocks;
        two->blocks -= blocks;
    }
}

WS_SHA static void hash_two(uint32_t one[8], const uint8_t *first, uint32_t two[8], const uint8_t *second,
                            size_t blocks)
{
    __m128i words[2][2], states[2][2];
    memcpy(words[0], one, sizeof words[0]);
    memcpy(words[1], two, sizeof words[1]);
    words_to_state(words[0], states[0]);
    words_to_state(words[1], states[1]);
    hash_blocks(states[0], first, states[1], second, blocks);
    state_to_words(states[0], words[0]);
    state_to_words(states[1], words[1]);
    memcpy(one, words[0], sizeof words[0]);
    memcpy(two, words[1], sizeof words[1]);
}

static bool ask_cpu(void)
{
    enum { SSSE3 = 1 << 9, SSE41 = 1 << 19, SHA = 1 << 29 };
    unsigned a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || (c & SSSE3) == 0 || (c & SSE41) == 0)
        return false;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & SHA) != 0;
}

/* Asked once, which is slow; the same whoever asks. */
static bool has_sha_extensions(void)
{
    static atomic_int known; /* 1 no, 2 yes */
    if (atomic_load_explicit(&known, memory_order_relaxed) == 0)
        atomic_store_explicit(&known, ask_cpu() ? 2 : 1, memory_order_relaxed);
    return atomic_load_explicit(&known, memory_order_relaxed) == 2;
}
#endif

void ws_sha256_many(const ws_hash_text *texts, size_t count, ws_digest *out)
{
#if defined(__x86_64__)
    if (has_sha_extensions()) {
        hash_in_pairs(texts, count, out);
        return;
    }
#endif
    for (size_t i = 0; i < count; i++)
        out[i] = ws_sha256_of(texts[i].bytes, texts[i].count);
}

bool ws_sha256_blocks_two(uint32_t one[8], const uint8_t *first, uint32_t two[8], const uint8_t *second, size_t blocks)
{
#if defined(__x86_64__)
    if (has_sha_extensions()) {
        hash_two(one, first, two, second, blocks);
        return true;
    }
#endif
    (void)one, (void)first, (void)two, (void)second, (void)blocks;
    return false;
}
