/* Packets as lines of text, one each: what Wireshark exports as CSV ("No.","Time","Source","Destination","Protocol",
 * "Length","Info"), and lines of time, source, destination and length between tabs without a header. Both forms are those of
 * the 5G Traffic Datasets.
 *
 * A line becomes a raw IP packet with the headers that it tells of, so that it is decoded, filtered and counted as any
 * other: addresses, TCP or UDP by the name of the topmost protocol, lengths as of a frame on Ethernet without options. What
 * a line does not tell is 0, ports above all: only some lines show them, so none do, and packets between two addresses are
 * of one conversation. Names of protocols below IP make a frame without IP. Times without a zone are UTC, plain numbers
 * seconds; of zones UTC and Korea's are known. A line that cannot be read so is damage.
 */
#include "walk.h"

#include <arpa/inet.h>
#include <stdlib.h>

enum {
    LINE_LOOK = 512,
    LINE_MOST = 64 << 10, /* a longer one is damage */
    FIELDS = 6,
    LINK_ETHERNET = 1,
    LINK_RAW_IP = 101,
    ETHERNET_HEADER = 14,
};

typedef struct field {
    const char *text;
    size_t length;
} field;

/* ---------------------------------------------------------------- fields */
/* Up to `most` fields of a line without its end; returns how many there are (those behind are one more). */
static size_t split(const char *at, const char *end, char separator, field *out, size_t most)
{
    size_t count = 0;
    while (count < most) {
        const bool quoted = separator == ',' && at < end && *at == '"';
        const char *begin = at + quoted, *stop = begin;
        while (stop < end && (quoted ? *stop != '"' : *stop != separator))
            stop++;
        out[count++] = (field){begin, (size_t)(stop - begin)};
        at = stop + (quoted && stop < end);
        if (at == end || *at != separator)
            return count;
        at++;
    }
    return count + 1;
}

static bool is_word(const field *f, const char *word)
{
    return f->length == strlen(word) && strncasecmp(f->text, word, f->length) == 0;
}

static bool take_number(const char **at, const char *end, int64_t *out)
{
    const char *start = *at;
    for (*out = 0; *at < end && **at >= '0' && **at <= '9' && *at - start < 12; (*at)++)
        *out = *out * 10 + (**at - '0');
    return *at > start;
}

static bool take_char(const char **at, const char *end, char wanted)
{
    const bool is = *at < end && **at == wanted;
    *at += is;
    return is;
}

/* Days since 1970 of a date (Hinnant, chrono-compatible low-level date algorithms). */
static int64_t days_of(int64_t year, int64_t month, int64_t day)
{
    year -= month <= 2;
    const int64_t era = year / 400, of_era = year - era * 400;
    const int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

/* "Oct" is 10; 0: none. */
static int64_t month_of(const char *text, size_t length)
{
    static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    for (int64_t m = 0; length >= 3 && m < 12; m++)
        if (strncasecmp(text, names + 3 * m, 3) == 0)
            return m + 1;
    return 0;
}

/* ".123" behind the seconds, to ns. */
static bool take_fraction(const char **at, const char *end, int64_t *ns)
{
    *ns = 0;
    if (!take_char(at, end, '.'))
        return true;
    int digits = 0;
    for (; *at < end && **at >= '0' && **at <= '9'; (*at)++, digits++)
        if (digits < 9)
            *ns = *ns * 10 + (**at - '0');
    for (int d = digits; d < 9; d++)
        *ns *= 10;
    return digits > 0;
}

/* What is behind the seconds: a zone, or nothing. */
static bool zone_of(const char *at, const char *end, int64_t *seconds)
{
    static const char korean[] = "\xEB\x8C\x80\xED\x95\x9C\xEB\xAF\xBC\xEA\xB5\xAD"; /* "Republic of Korea" */
    while (at < end && *at == ' ')
        at++;
    while (end > at && (end[-1] == ' ' || end[-1] == '\r'))
        end--;
    const field zone = {at, (size_t)(end - at)};
    const bool is_korean = is_word(&zone, "KST") ||
                           (zone.length >= sizeof korean - 1 && memcmp(zone.text, korean, sizeof korean - 1) == 0);
    *seconds = is_korean ? 9 * 3600 : 0;
    return is_korean || zone.length == 0 || is_word(&zone, "Z") || is_word(&zone, "UTC") || is_word(&zone, "GMT");
}

static bool take_date(const char **at, const char *end, int64_t *days)
{
    int64_t year, month = month_of(*at, (size_t)(end - *at)), day;
    if (month > 0) { /* "Jun  3, 2022" */
        *at += 3;
        while (take_char(at, end, ' '))
            ;
        if (!take_number(at, end, &day) || !take_char(at, end, ',') || !take_char(at, end, ' ') ||
            !take_number(at, end, &year))
            return false;
    } else if (!take_number(at, end, &year) || !take_char(at, end, '-') || !take_number(at, end, &month) ||
               !take_char(at, end, '-') || !take_number(at, end, &day)) {
        return false;
    }
    if (year < 1970 || year > 2200 || month < 1 || month > 12 || day < 1 || day > 31)
        return false;
    *days = days_of(year, month, day);
    return true;
}

static bool time_of(const field *f, int64_t *ns)
{
    const char *at = f->text, *end = at + f->length;
    int64_t days, hour, minute, second, fraction, zone;
    const bool before = take_char(&at, end, '-'); /* packets may be older than the first, which such times count from */
    if (take_number(&at, end, &second) && take_fraction(&at, end, &fraction) && at == end) {
        if (second >= 9000000000)
            return false;
        *ns = (second * 1000000000 + fraction) * (before ? -1 : 1);
        return true;
    }
    at = f->text;
    if (!take_date(&at, end, &days) || !(take_char(&at, end, ' ') || take_char(&at, end, 'T')) ||
        !take_number(&at, end, &hour) || !take_char(&at, end, ':') || !take_number(&at, end, &minute) ||
        !take_char(&at, end, ':') || !take_number(&at, end, &second) || !take_fraction(&at, end, &fraction) ||
        hour > 23 || minute > 59 || second > 60 || !zone_of(at, end, &zone))
        return false;
    *ns = (days * 86400 + hour * 3600 + minute * 60 + second - zone) * 1000000000 + fraction;
    return true;
}

static bool length_of(const field *f, uint32_t *out)
{
    const char *at = f->text, *end = at + f->length;
    int64_t value;
    while (end > at && (end[-1] == '\r' || end[-1] == ' '))
        end--;
    if (!take_number(&at, end, &value) || at != end || value > UINT32_MAX)
        return false;
    *out = (uint32_t)value;
    return true;
}

/* The IP protocol under the topmost one that Wireshark names. */
static uint8_t protocol_of(const field *name)
{
    static const char *const over_tcp[] = {
        "TCP",   "TLSv1",  "TLSv1.1", "TLSv1.2",       "TLSv1.3",  "SSL",  "SSLv2", "SSLv3",     "HTTP", "HTTP/JSON",
        "HTTP2", "THRIFT", "H1",      "ELASTICSEARCH", "HTTP/XML", "FMTP", "OCSP",  "WebSocket", "SSH",  "SSHv2",
        "FTP",   "SMTP",   "POP",     "IMAP",          "FTP-DATA", "MQTT", "RTMP",  "RTMPT",     "SMB",  "SMB2",
        "NBSS",  "BGP",    "TELNET",  "XMPP/XML",      "PKIX-CRL", "IRC",  "MySQL", "PGSQL"};
    if (name->length == 0)
        return WS_PROTOCOL_UNTOLD;
    for (size_t i = 0; i < sizeof over_tcp / sizeof *over_tcp; i++)
        if (is_word(name, over_tcp[i]))
            return 6;
    static const struct {
        const char *name;
        uint8_t number;
    } others[] = {{"ICMP", 1}, {"ICMPv6", 58}, {"IGMP", 2},  {"IGMPv1", 2},  {"IGMPv2", 2}, {"IGMPv3", 2}, {"GRE", 47},
                  {"ESP", 50}, {"AH", 51},     {"OSPF", 89}, {"PIMv2", 103}, {"VRRP", 112}, {"SCTP", 132}};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (is_word(name, others[i].name))
            return others[i].number;
    return 17;
}

/* ---------------------------------------------------------------- a line to a packet */
static int address_of(const field *f, uint8_t out[16])
{
    char text[64];
    if (f->length >= sizeof text)
        return AF_UNSPEC;
    memcpy(text, f->text, f->length);
    text[f->length] = '\0';
    if (inet_pton(AF_INET, text, out) == 1)
        return AF_INET;
    return memchr(text, ':', f->length) != NULL && inet_pton(AF_INET6, text, out) == 1 ? AF_INET6 : AF_UNSPEC;
}

static void put16(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

/* Headers of IP and, where it is TCP or UDP, transport. */
static uint32_t make_ip(uint8_t *ip, int family, const uint8_t *source, const uint8_t *destination, uint8_t protocol,
                        uint32_t length)
{
    const uint32_t header = family == AF_INET ? 20 : 40, transport = protocol == 6 ? 20 : protocol == 17 ? 8 : 0;
    uint32_t bytes = length > ETHERNET_HEADER ? length - ETHERNET_HEADER : 0;
    bytes = bytes < header + transport ? header + transport : bytes > UINT16_MAX ? UINT16_MAX : bytes;
    if (family == AF_INET) {
        ip[0] = 0x45;
        put16(ip + 2, bytes);
        ip[8] = 64;
        ip[9] = protocol;
        memcpy(ip + 12, source, 4);
        memcpy(ip + 16, destination, 4);
    } else {
        ip[0] = 0x60;
        put16(ip + 4, bytes - header);
        ip[6] = protocol;
        ip[7] = 64;
        memcpy(ip + 8, source, 16);
        memcpy(ip + 24, destination, 16);
    }
    if (protocol == 6)
        ip[header + 12] = 0x50;
    else if (protocol == 17)
        put16(ip + header + 4, bytes - header);
    return header + transport;
}

static bool make_record(const char *line, size_t length, bool tabs, uint8_t frame[WS_LINE_FRAME], ws_record *record)
{
    field f[FIELDS];
    uint8_t source[16], destination[16];
    while (length > 0 && (line[length - 1] == '\n' || line[length - 1] == '\r'))
        length--;
    const size_t count = split(line, line + length, tabs ? '\t' : ',', f, tabs ? 4 : FIELDS);
    const field *time = &f[tabs ? 0 : 1], *none = &(field){"", 0};
    if (count < (tabs ? 4 : FIELDS) || !time_of(time, &record->time_ns) ||
        !length_of(&f[tabs ? 3 : 5], &record->wire_length))
        return false;
    const int family = address_of(&time[1], source);
    memset(frame, 0, WS_LINE_FRAME);
    record->link_type = LINK_RAW_IP;
    if (family == AF_UNSPEC || address_of(&time[2], destination) != family) {
        record->link_type = LINK_ETHERNET; /* of type ARP, for all that is not IP */
        put16(frame + 12, 0x0806);
        record->captured_length = ETHERNET_HEADER;
    } else {
        record->captured_length =
            make_ip(frame, family, source, destination, protocol_of(tabs ? none : &f[4]), record->wire_length);
    }
    record->frame = frame;
    record->options = NULL;
    record->option_bytes = 0;
    return true;
}

bool ws_lines_recognise(const char *head, size_t bytes, bool *tabs, uint64_t *first_record)
{
    static const char *const names[FIELDS + 1] = {"No.", "Time", "Source", "Destination", "Protocol", "Length", "Info"};
    field f[FIELDS + 1];
    ws_record record;
    uint8_t frame[WS_LINE_FRAME];
    const char *line_end = memchr(head, '\n', bytes);
    const size_t mark = bytes >= 3 && memcmp(head, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0;
    if (line_end == NULL)
        return false;
    const char *stop = line_end > head && line_end[-1] == '\r' ? line_end - 1 : line_end;
    *tabs = memchr(head, '\t', (size_t)(line_end - head)) != NULL;
    if (*tabs) { /* no header: the first line is a packet */
        *first_record = mark;
        return split(head + mark, stop, '\t', f, FIELDS) == 4 &&
               make_record(head + mark, (size_t)(stop - head) - mark, true, frame, &record);
    }
    *first_record = (uint64_t)(line_end - head) + 1;
    size_t count = split(head + mark, stop, ',', f, FIELDS + 1);
    bool same = count >= FIELDS;
    for (size_t i = 0; i < FIELDS + 1 && i < count && same; i++)
        same = is_word(&f[i], names[i]);
    return same;
}

/* ---------------------------------------------------------------- the walk */
/* The line at `offset`: with its end, where it has one that is not too far away. */
static ws_err find_line(ws_walk *walk, uint64_t offset, const uint8_t **line, size_t *length, bool *whole)
{
    for (size_t want = LINE_LOOK;; want *= 4) {
        bool has;
        WS_TRY(ws_walk_has(walk, offset + want, &has));
        *length = has ? want : (size_t)(walk->bytes - offset);
        WS_TRY(ws_walk_need(walk, offset, *length, line));
        const uint8_t *end = memchr(*line, '\n', *length);
        *whole = end != NULL;
        if (*whole)
            *length = (size_t)(end - *line) + 1;
        if (*whole || !has || want >= LINE_MOST)
            return WS_OK;
    }
}

/* Neighbouring lines that cannot be read are one run. */
static ws_err add_damage(ws_walk *walk, ws_damage_reason reason, uint64_t bytes)
{
    ws_damage *last = walk->damage_count > 0 ? &walk->damage[walk->damage_count - 1] : NULL;
    if (last != NULL && last->reason == (uint32_t)reason && last->offset + last->bytes == walk->offset)
        last->bytes += bytes;
    else
        WS_TRY(ws_walk_add_damage(walk, reason, walk->offset, bytes));
    walk->offset += bytes;
    return WS_OK;
}

/* Content is missing inside of the line or before it: goes on at the first line that begins behind. */
static ws_err skip_break(ws_walk *walk)
{
    const uint64_t from = walk->offset;
    const uint8_t *line;
    size_t length;
    bool whole = false, more = true;
    uint64_t at = walk->next_break;
    ws_walk_pass_break(walk);
    for (; more && !whole; at += length) {
        WS_TRY(find_line(walk, at, &line, &length, &whole));
        WS_TRY(ws_walk_has(walk, at + length + 1, &more));
    }
    WS_TRY(ws_walk_add_damage(walk, WS_DAMAGE_stream_broken, from, at - from));
    walk->offset = at;
    return WS_OK;
}

ws_err ws_lines_next(ws_walk *walk, ws_record *record, bool *more)
{
    const ws_capture *capture = walk->capture;
    *more = false;
    while (!*more && walk->offset < walk->end) {
        const uint8_t *line;
        size_t length;
        bool has, whole;
        WS_TRY(ws_walk_has(walk, walk->offset + 1, &has));
        if (has)
            WS_TRY(find_line(walk, walk->offset, &line, &length, &whole));
        if (has && walk->offset + length > walk->next_break) {
            WS_TRY(skip_break(walk));
            continue;
        }
        if (!has || (!whole && capture->stream && ws_stream_fault(capture->stream))) {
            WS_TRY(ws_walk_finish(walk, WS_DAMAGE_record_truncated));
            break;
        }
        record->offset = walk->offset;
        *more = make_record((const char *)line, length, capture->tabs, walk->line_frame, record);
        if (*more)
            walk->offset += length;
        else
            WS_TRY(add_damage(walk, WS_DAMAGE_record_impossible, length));
    }
    return WS_OK;
}

ws_err ws_lines_resync(const ws_capture *capture, uint64_t offset, uint64_t *found)
{
    uint8_t buffer[LINE_LOOK * 8];
    *found = capture->first_record;
    for (uint64_t at = offset - 1; offset > capture->first_record;) {
        const uint64_t left = capture->bytes > at ? capture->bytes - at : 0;
        const size_t bytes = left < sizeof buffer ? (size_t)left : sizeof buffer;
        *found = capture->bytes;
        if (bytes == 0)
            break;
        WS_TRY(ws_capture_read(capture, at, buffer, bytes));
        const uint8_t *end = memchr(buffer, '\n', bytes);
        at += end != NULL ? (uint64_t)(end - buffer) + 1 : bytes;
        *found = at;
        if (end != NULL)
            break;
    }
    return WS_OK;
}
