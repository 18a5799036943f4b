/* table_value: what a cell of a flow table says: numbers, times, addresses, protocols, label texts. Pure; never reads
 * behind a cell. Does not know columns.
 */
#include "dataset/table.h"

#include <arpa/inet.h>
#include <math.h>
#include <stdlib.h>

void ws_table_trim(const char **text, size_t *length)
{
    while (*length > 0 && (unsigned char)**text <= ' ') {
        (*text)++;
        (*length)--;
    }
    while (*length > 0 && (unsigned char)(*text)[*length - 1] <= ' ')
        (*length)--;
}

/* ---------------------------------------------------------------- numbers */
static bool is_word(const char *text, size_t length, const char *word)
{
    return length == strlen(word) && strncasecmp(text, word, length) == 0;
}

static ws_table_number parse_word(const char *text, size_t length)
{
    size_t sign = length > 0 && (*text == '-' || *text == '+');
    const char *word = text + sign;
    size_t bytes = length - sign;
    if (is_word(word, bytes, "inf") || is_word(word, bytes, "infinity"))
        return WS_NUMBER_INFINITE;
    return is_word(word, bytes, "nan") ? WS_NUMBER_NAN : WS_NUMBER_BAD;
}

/* Through the C library, for what the short way cannot do exactly. */
static ws_table_number parse_slowly(const char *text, size_t length, double *out)
{
    char copy[512], *end;
    if (length >= sizeof copy)
        return WS_NUMBER_BAD;
    memcpy(copy, text, length);
    copy[length] = '\0';
    *out = strtod(copy, &end);
    if (end != copy + length) {
        *out = 0;
        return WS_NUMBER_BAD;
    }
    if (isfinite(*out))
        return WS_NUMBER_OK;
    *out = 0;
    return WS_NUMBER_INFINITE;
}

/* Digits with at most 15 of them and an exponent that a double's powers of ten hold are exact in one multiplication
 * (Clinger, 1990). */
ws_table_number ws_table_parse_number(const char *text, size_t length, double *out)
{
    static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                    1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    *out = 0;
    ws_table_trim(&text, &length);
    if (length == 0)
        return WS_NUMBER_EMPTY;
    const char *at = text, *end = text + length;
    bool negative = *at == '-';
    at += negative || *at == '+';
    uint64_t digits = 0;
    int count = 0, fraction = 0;
    bool any = false;
    for (; at < end && *at >= '0' && *at <= '9'; at++, any = true) {
        digits = digits * 10 + (uint64_t)(*at - '0');
        count += digits > 0;
        if (count > 15)
            return parse_slowly(text, length, out);
    }
    if (at < end && *at == '.')
        for (at++; at < end && *at >= '0' && *at <= '9'; at++, any = true) {
            digits = digits * 10 + (uint64_t)(*at - '0');
            count += digits > 0;
            fraction++;
            if (count > 15 || fraction > 22)
                return parse_slowly(text, length, out);
        }
    if (!any)
        return parse_word(text, length);
    if (at < end) {
        /* An exponent, or no number. Hexadecimal ones, which strtod takes, are none here. */
        if (*at != 'e' && *at != 'E')
            return WS_NUMBER_BAD;
        return parse_slowly(text, length, out);
    }
    *out = fraction > 0 ? (double)digits / powers[fraction] : (double)digits;
    *out = negative ? -*out : *out;
    return WS_NUMBER_OK;
}

/* ---------------------------------------------------------------- times */
/* Days since 1970 of a date of the Gregorian calendar (Hinnant, chrono-compatible low-level date algorithms). */
static int64_t days_of(int64_t year, int64_t month, int64_t day)
{
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t of_era = year - era * 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

typedef struct time_reader {
    const char *at, *end;
} time_reader;

static bool take_int(time_reader *r, int64_t *out)
{
    const char *start = r->at;
    *out = 0;
    while (r->at < r->end && r->at - start < 9 && *r->at >= '0' && *r->at <= '9')
        *out = *out * 10 + (*r->at++ - '0');
    return r->at > start;
}

static bool take_one(time_reader *r, const char *choices)
{
    for (; r->at < r->end && *choices != '\0'; choices++)
        if (*r->at == *choices) {
            r->at++;
            return true;
        }
    return false;
}

/* "HH:MM[:SS[.fraction]]" (or with dashes) to ns of the day. */
static bool take_clock(time_reader *r, int64_t *hour, int64_t *ns)
{
    int64_t minute, second = 0, fraction = 0;
    if (!take_int(r, hour) || !take_one(r, ":-") || !take_int(r, &minute))
        return false;
    if (take_one(r, ":-") && !take_int(r, &second))
        return false;
    if (take_one(r, ".,")) {
        const char *start = r->at;
        if (!take_int(r, &fraction))
            return false;
        for (long digits = r->at - start; digits < 9; digits++)
            fraction *= 10;
    }
    if (*hour > 23 || minute > 59 || second > 60)
        return false;
    *ns = (minute * 60 + second) * 1000000000 + fraction;
    return true;
}

/* Year-month-day or day/month/year. */
static bool take_date(time_reader *r, int64_t *days, bool *slashes)
{
    int64_t a, b, c;
    if (!take_int(r, &a))
        return false;
    *slashes = take_one(r, "/");
    if ((!*slashes && !take_one(r, "-")) || !take_int(r, &b) || !take_one(r, *slashes ? "/" : "-") || !take_int(r, &c))
        return false;
    int64_t year = *slashes ? c : a, day = *slashes ? a : c;
    if (year < 1600 || year > 9999 || b < 1 || b > 12 || day < 1 || day > 31)
        return false;
    *days = days_of(year, b, day);
    return true;
}

bool ws_table_parse_time(const char *text, size_t length, const ws_table_clock *clock, int64_t *ns)
{
    double seconds;
    ws_table_trim(&text, &length);
    if (ws_table_parse_number(text, length, &seconds) == WS_NUMBER_OK) {
        *ns = seconds >= 0 && seconds < 9e9 ? (int64_t)(seconds * 1e6 + 0.5) * 1000 : 0;
        return seconds >= 0 && seconds < 9e9;
    }
    time_reader r = {text, text + length};
    int64_t days, hour = 0, rest = 0;
    bool slashes, zone = false;
    *ns = 0;
    if (!take_date(&r, &days, &slashes))
        return false;
    if (take_one(&r, " T")) {
        if (!take_clock(&r, &hour, &rest))
            return false;
        bool after = r.end - r.at >= 3 && strncasecmp(r.at, " PM", 3) == 0;
        if (after || (r.end - r.at >= 3 && strncasecmp(r.at, " AM", 3) == 0)) {
            r.at += 3;
            hour = hour % 12 + (after ? 12 : 0);
        } else if (clock->afternoon && slashes && hour < 8) {
            hour += 12;
        }
        zone = take_one(&r, "Z");
    }
    if (r.at != r.end)
        return false;
    int64_t local = days * 86400 + hour * 3600;
    if (local < -9000000000 || local > 9000000000)
        return false;
    bool later = clock->change_s != 0 && local >= clock->change_s;
    int offset = slashes ? clock->slash_offset_s : later ? clock->later_offset_s : clock->utc_offset_s;
    *ns = (local - (zone ? 0 : offset)) * 1000000000 + rest;
    return true;
}

/* ---------------------------------------------------------------- names of things */
/* "192.0.2.1" as nearly all write it; what else inet_pton takes, it is asked for. */
static bool take_dotted(const char *at, const char *end, uint8_t out[4])
{
    for (int part = 0; part < 4; part++) {
        unsigned value = 0;
        const char *start = at;
        if (part > 0 && (at == end || *at++ != '.'))
            return false;
        for (start = at; at < end && *at >= '0' && *at <= '9' && at - start < 3; at++)
            value = value * 10 + (unsigned)(*at - '0');
        if (at == start || value > 255 || (*start == '0' && at - start > 1))
            return false;
        out[part] = (uint8_t)value;
    }
    return at == end;
}

bool ws_table_parse_address(const char *text, size_t length, uint8_t out[16])
{
    char copy[64];
    ws_table_trim(&text, &length);
    memset(out, 0, 16);
    if (take_dotted(text, text + length, out + 12)) {
        out[10] = out[11] = 0xFF;
        return true;
    }
    memset(out, 0, 16);
    if (length == 0 || length >= sizeof copy)
        return false;
    memcpy(copy, text, length);
    copy[length] = '\0';
    return inet_pton(AF_INET6, copy, out) == 1;
}

uint8_t ws_table_parse_protocol(const char *text, size_t length)
{
    static const struct {
        const char *name;
        uint8_t number;
    } known[] = {{"tcp", 6}, {"udp", 17}, {"icmp", 1}, {"icmpv6", 58}, {"sctp", 132}, {"quic", 17}};
    double number;
    ws_table_trim(&text, &length);
    if (ws_table_parse_number(text, length, &number) == WS_NUMBER_OK)
        return number >= 0 && number <= 255 ? (uint8_t)number : 0;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (is_word(text, length, known[i].name))
            return known[i].number;
    return 0;
}

/* Bytes of a dash that met the wrong encoding: windows-1252, the same as a UTF-8 control character, typographic dashes,
 * the replacement character, and that again read as windows-1252. 0: no dash. */
static size_t broken_dash(const char *at, size_t left)
{
    static const char *const forms[] = {"\xC3\xAF\xC2\xBF\xC2\xBD",
                                        "\xEF\xBF\xBD",
                                        "\xE2\x80\x93",
                                        "\xE2\x80\x94",
                                        "\xE2\x88\x92",
                                        "\xC2\x96",
                                        "\xC2\x97"};
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        size_t bytes = strlen(forms[i]);
        if (left >= bytes && memcmp(at, forms[i], bytes) == 0)
            return bytes;
    }
    return 0;
}

/* Of the UTF-8 character at `at`, 0 where there is none. */
static size_t utf8_bytes(const char *at, size_t left)
{
    unsigned char lead = (unsigned char)*at;
    size_t bytes = lead < 0x80                   ? 1
                   : lead >= 0xC2 && lead < 0xE0 ? 2
                   : lead >= 0xE0 && lead < 0xF0 ? 3
                   : lead >= 0xF0 && lead < 0xF5 ? 4
                                                 : 0;
    if (bytes == 0 || bytes > left)
        return 0;
    for (size_t i = 1; i < bytes; i++)
        if (((unsigned char)at[i] & 0xC0) != 0x80)
            return 0;
    return bytes;
}

void ws_table_clean_label(const ws_table_cell *cell, ws_text *out)
{
    const char *at = cell->text, *end = at + cell->length;
    bool gap = false;
    ws_text_clear(out);
    /* What has nothing to be cleaned, as most. */
    const char *plain = at;
    while (plain<end && * plain> ' ' && *plain < 0x7F && *plain != '"')
        plain++;
    ws_text_append_bytes(out, at, (size_t)(plain - at));
    for (at = plain; at < end;) {
        unsigned char byte = (unsigned char)*at;
        if (byte <= ' ' || byte == 0x7F) {
            gap = out->length > 0;
            at++;
            continue;
        }
        if (gap)
            ws_text_append(out, " ");
        gap = false;
        size_t dash = broken_dash(at, (size_t)(end - at)), bytes = utf8_bytes(at, (size_t)(end - at));
        if (dash > 0 || bytes == 0) { /* also a lone byte 0x96, and any other that is no UTF-8 */
            ws_text_append(out, "-");
            at += dash > 0 ? dash : 1;
        } else {
            ws_text_append_bytes(out, at, bytes);
            at += bytes + (cell->doubled && byte == '"' && at + 1 < end && at[1] == '"');
        }
    }
}
