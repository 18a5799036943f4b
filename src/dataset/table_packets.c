/* table_packets: cells that hold a list: packet sequences, histograms, bytes as text. Whole numbers take a short way,
 * since a table of flows is mostly these.
 */
#include "dataset/table.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

typedef struct list_reader {
    const char *at, *end;
} list_reader;

static void skip_blanks(list_reader *r)
{
    while (r->at < r->end && (unsigned char)*r->at <= ' ')
        r->at++;
}

static bool is_separator(char c)
{
    return c == ',' || c == ';' || c == '|' || (unsigned char)c <= ' ';
}

/* The next number of a list; any run of separators is one. */
static bool take_number(list_reader *r, double *out)
{
    const char *start = r->at;
    uint64_t digits = 0;
    bool negative = r->at < r->end && *r->at == '-';
    r->at += negative;
    const char *first = r->at;
    while (r->at < r->end && *r->at >= '0' && *r->at <= '9' && r->at - first < 15)
        digits = digits * 10 + (uint64_t)(*r->at++ - '0');
    if (r->at > first && (r->at == r->end || is_separator(*r->at) || *r->at == ']')) {
        *out = negative ? -(double)digits : (double)digits;
        return true;
    }
    while (r->at < r->end && !is_separator(*r->at) && *r->at != ']')
        r->at++;
    return ws_table_parse_number(start, (size_t)(r->at - start), out) == WS_NUMBER_OK;
}

#ifdef __SSE2__
enum { BLOCK = 64 };

/* Which bytes of a block are digits, minus signs, and neither these nor what stands between whole numbers. */
typedef struct block_bits {
    uint64_t digits, minus, others;
} block_bits;

static inline block_bits look_at_block(const char *block)
{
    const __m128i nine = _mm_set1_epi8(9), zero = _mm_set1_epi8('0'), minus = _mm_set1_epi8('-'),
                  comma = _mm_set1_epi8(','), blank = _mm_set1_epi8(' ');
    block_bits bits = {0};
    for (int i = 0; i < BLOCK / 16; i++) {
        const __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)(block + 16 * i));
        const __m128i value = _mm_sub_epi8(bytes, zero), is_digit = _mm_cmpeq_epi8(_mm_min_epu8(value, nine), value);
        const __m128i is_minus = _mm_cmpeq_epi8(bytes, minus);
        const __m128i between = _mm_or_si128(_mm_cmpeq_epi8(bytes, comma), _mm_cmpeq_epi8(bytes, blank));
        const __m128i known = _mm_or_si128(_mm_or_si128(is_digit, is_minus), between);
        bits.digits |= (uint64_t)(unsigned)_mm_movemask_epi8(is_digit) << 16 * i;
        bits.minus |= (uint64_t)(unsigned)_mm_movemask_epi8(is_minus) << 16 * i;
        bits.others |= (uint64_t)(uint16_t)~_mm_movemask_epi8(known) << 16 * i;
    }
    return bits;
}

/* The whole number of digits [from, to) of a block; at most 8 of them (Lemire, "Quickly parsing eight digits", 2018). */
static inline double whole_number(const char *block, unsigned from, unsigned to, bool negative)
{
    const unsigned load = from < BLOCK - 8 ? from : BLOCK - 8;
    uint64_t digits;
    memcpy(&digits, block + load, sizeof digits);
    digits = (digits ^ 0x3030303030303030) >> 8 * (from - load) << (64 - 8 * (to - from));
    digits = digits * 10 + (digits >> 8);
    digits = ((digits & 0x000000FF000000FF) * 0x000F424000000064 +
              ((digits >> 16) & 0x000000FF000000FF) * 0x0000271000000001) >>
             32;
    const double sign[2] = {1, -1}; /* not by a branch, which would be as good as a coin */
    return (double)(int32_t)digits * sign[negative];
}

/* Whole numbers of the list, a block at once: where they begin and end is known for all of a block before any is read, so
 * that none waits for the one before it. Stops at what is none of ", -0123456789"; in front of a block in which anything is
 * unusual. */
static void take_blocks(list_reader *r, double *out, size_t most, size_t *count)
{
    for (;;) {
        char padded[BLOCK];
        const size_t left = (size_t)(r->end - r->at);
        const char *block = r->at;
        if (left < BLOCK) {
            memset(padded, 0, BLOCK);
            memcpy(padded, r->at, left);
            block = padded;
        }
        block_bits bits = look_at_block(block);
        const unsigned limit = bits.others != 0 ? (unsigned)__builtin_ctzll(bits.others) : BLOCK;
        const uint64_t inside = limit < BLOCK ? (UINT64_C(1) << limit) - 1 : UINT64_MAX;
        const uint64_t digits = bits.digits & inside, minus = bits.minus & inside;
        uint64_t starts = digits & ~(digits << 1), ends = ~digits & digits << 1;
        const int whole = __builtin_popcountll(ends);
        const bool cut = limit == BLOCK && digits >> (BLOCK - 1) != 0; /* the last number goes on in the next block */
        unsigned next = limit;
        if (cut)
            next = BLOCK - 1 - (unsigned)__builtin_clzll(starts);
        if (next == BLOCK && minus >> (BLOCK - 1) != 0)
            next--;
        if (next > 0 && cut && (minus >> (next - 1) & 1) != 0)
            next--;
        /* A sign stands before a number and not behind one; a number of 9 digits or with a point is not for here. */
        const uint64_t lone = minus & ~(starts >> 1) & ~(UINT64_C(1) << (BLOCK - 1)), run2 = digits & digits << 1,
                       run4 = run2 & run2 << 2, run8 = run4 & run4 << 4;
        if (lone != 0 || (minus & digits << 1) != 0 || (run8 & digits << 8) != 0 || *count + (size_t)whole > most ||
            next == 0 || (limit < BLOCK && limit < left && block[limit] != ']'))
            return;
        double *to = out + *count;
        for (; ends != 0; ends &= ends - 1, starts &= starts - 1) {
            const unsigned from = (unsigned)__builtin_ctzll(starts), behind = (unsigned)__builtin_ctzll(ends);
            *to++ = whole_number(block, from, behind, from > 0 && (minus >> (from - 1) & 1) != 0);
        }
        *count += (size_t)whole;
        r->at += next;
        if (limit < BLOCK)
            return;
    }
}
#else
static void take_blocks(list_reader *r, double *out, size_t most, size_t *count)
{
    (void)r, (void)out, (void)most, (void)count;
}
#endif

/* Numbers up to a ']' or the end; those behind `most` are counted and left out. */
static bool take_list(list_reader *r, double *out, size_t most, size_t *count)
{
    *count = 0;
    take_blocks(r, out, most, count);
    for (;;) {
        double value;
        while (r->at < r->end && is_separator(*r->at))
            r->at++;
        if (r->at == r->end || *r->at == ']')
            return true;
        if (!take_number(r, &value))
            return false;
        if (*count < most)
            out[*count] = value;
        (*count)++;
    }
}

static bool take_char(list_reader *r, char wanted)
{
    skip_blanks(r);
    if (r->at == r->end || *r->at != wanted)
        return false;
    r->at++;
    return true;
}

bool ws_table_parse_list(const char *text, size_t length, double *out, size_t most, size_t *count)
{
    list_reader r = {text, text + length};
    bool bracket = take_char(&r, '[');
    if (!take_list(&r, out, most, count) || (bracket && !take_char(&r, ']')))
        return false;
    skip_blanks(&r);
    return r.at == r.end && *count <= most;
}

/* Rows of unequal length: as long as the shortest, which is what the publishers' own readers take. */
bool ws_table_parse_ppi(const char *text, size_t length, size_t most, ws_flow_packet *out, size_t *count)
{
    enum { GAPS, DIRECTIONS, SIZES, PUSHES, ROWS, MOST = 256 };
    double rows[ROWS][MOST];
    size_t counts[ROWS] = {0}, row = 0, least = MOST;
    list_reader r = {text, text + length};
    if (!take_char(&r, '['))
        return false;
    do {
        if (row == ROWS || !take_char(&r, '[') || !take_list(&r, rows[row], MOST, &counts[row]) || !take_char(&r, ']'))
            return false;
        least = counts[row] < least ? counts[row] : least;
        row++;
    } while (take_char(&r, ','));
    if (!take_char(&r, ']') || row < PUSHES)
        return false;
    *count = least < most ? least : most;
    double at = 0; /* ms since the first packet */
    for (size_t k = 0; k < *count; k++) {
        double size = rows[SIZES][k];
        at += rows[GAPS][k];
        if (!(at >= 0 && at < 9e12 && size >= 0 && size <= UINT32_MAX) || rows[DIRECTIONS][k] == 0)
            return false;
        out[k] = (ws_flow_packet){.offset_ns = (int64_t)(at * 1e6 + 0.5),
                                  .payload_length = (uint32_t)size,
                                  .tcp_flags = row > PUSHES && rows[PUSHES][k] != 0 ? 0x08 : 0,
                                  .direction = rows[DIRECTIONS][k] > 0 ? 1 : -1};
    }
    return true;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Every word is the byte and the one behind it; the last word brings two. */
bool ws_table_parse_bigrams(const char *text, size_t length, float out[WS_TABLE_BYTES])
{
    list_reader r = {text, text + length};
    size_t count = 0;
    int last = -1;
    for (int i = 0; i < WS_TABLE_BYTES; i++)
        out[i] = -1;
    for (skip_blanks(&r); r.at < r.end; skip_blanks(&r)) {
        int digits[4];
        if (r.end - r.at < 4)
            return false;
        for (int i = 0; i < 4; i++)
            if ((digits[i] = hex_digit(r.at[i])) < 0)
                return false;
        if (count < WS_TABLE_BYTES)
            out[count++] = (float)(digits[0] << 4 | digits[1]);
        last = digits[2] << 4 | digits[3];
        r.at += 4;
    }
    if (last >= 0 && count < WS_TABLE_BYTES)
        out[count++] = (float)last;
    return count > 0;
}
