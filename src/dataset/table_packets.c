/* table_packets: cells that hold a list: packet sequences, histograms, bytes as text. Whole numbers take a short way,
 * since a table of flows is mostly these.
 */
#include "dataset/table.h"

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

/* Numbers up to a ']' or the end; those behind `most` are counted and left out. */
static bool take_list(list_reader *r, double *out, size_t most, size_t *count)
{
    *count = 0;
    for (;;) {
        double value;
        /* ", 123," and "123]", which nearly all are. */
        const char *at = r->at;
        uint64_t digits = 0;
        at += at < r->end && *at == ',';
        at += at < r->end && *at == ' ';
        const char *first = at;
        while (at < r->end && *at >= '0' && *at <= '9' && at - first < 15)
            digits = digits * 10 + (uint64_t)(*at++ - '0');
        if (at > first && at < r->end && (*at == ',' || *at == ']')) {
            r->at = at;
            if (*count < most)
                out[*count] = (double)digits;
            (*count)++;
            continue;
        }
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
