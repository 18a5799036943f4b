/* Opening captures: recognises the format by its magic and checks the file header. Refusals name the file, the byte
 * offset and the reason. Reads no records (walk.c) and decodes nothing (decode.c).
 */
#include "walk.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define WS_NAME(name, text) #name,
#define WS_TEXT(name, text) text,
const char *const ws_skip_names[WS_SKIP_COUNT] = {"", WS_SKIP_LIST(WS_NAME)};
const char *const ws_skip_help[WS_SKIP_COUNT] = {"", WS_SKIP_LIST(WS_TEXT)};
const char *const ws_damage_names[WS_DAMAGE_COUNT] = {WS_DAMAGE_LIST(WS_NAME)};
const char *const ws_damage_help[WS_DAMAGE_COUNT] = {WS_DAMAGE_LIST(WS_TEXT)};
const char *const ws_capture_format_names[WS_CAPTURE_FORMAT_COUNT] = {WS_CAPTURE_FORMAT_LIST(WS_TEXT)};

/* What is known but not read, so that the refusal can say what the file is and how to convert it. */
static const struct other_format {
    const char *magic;
    size_t bytes;
    const char *what, *hint;
} other_formats[] = {
    {"\x1f\x8b", 2, "gzip-compressed", "unpack it first: gunzip -k FILE"},
    {"\x28\xb5\x2f\xfd", 4, "zstd-compressed", "unpack it first: zstd -dk FILE"},
    {"\xfd\x37\x7a\x58\x5a", 5, "xz-compressed", "unpack it first: xz -dk FILE"},
    {"BZh", 3, "bzip2-compressed", "unpack it first: bunzip2 -k FILE"},
    {"\x04\x22\x4d\x18", 4, "lz4-compressed", "unpack it first: lz4 -dk FILE"},
    {"PK\3\4", 4, "zip", "unpack it first: unzip FILE"},
    {"7z\xbc\xaf\x27\x1c", 6, "7-Zip", "unpack it first: 7z x FILE"},
    {"Rar!", 4, "RAR", "unpack it first: unrar x FILE"},
    {"\xff\xfe", 2, "UTF-16 text", "a table in it is read from UTF-8: iconv -f UTF-16 -t UTF-8 FILE >OUT.csv"},
    {"\xfe\xff", 2, "UTF-16 text", "a table in it is read from UTF-8: iconv -f UTF-16 -t UTF-8 FILE >OUT.csv"},
    {"GMBU", 4, "a Network Monitor capture", "convert it: editcap -F pcap FILE OUT.pcap"},
    {"RTSS", 4, "a Network Monitor capture", "convert it: editcap -F pcap FILE OUT.pcap"},
};

ws_err ws_capture_reach(const ws_capture *capture, uint64_t begin, uint64_t end, uint64_t *reached)
{
    *reached = end < capture->bytes ? end : capture->bytes;
    if (capture->stream)
        WS_TRY(ws_stream_reach(capture->stream, begin, end, reached));
    return WS_OK;
}

static ws_err read_stream(const ws_capture *capture, uint64_t offset, void *out, size_t bytes)
{
    uint64_t reached;
    WS_TRY(ws_stream_reach(capture->stream, offset, offset + bytes, &reached));
    WS_CHECK(reached >= offset + bytes, IO, "%s: its content ended at byte %" PRIu64 ", but was longer before",
             capture->path, reached);
    ws_stream_copy(capture->stream, offset, out, bytes);
    return WS_OK;
}

ws_err ws_capture_read(const ws_capture *capture, uint64_t offset, void *out, size_t bytes)
{
    if (capture->stream) {
        WS_TRY(read_stream(capture, offset, out, bytes));
        return WS_OK;
    }
    uint8_t *to = out;
    while (bytes > 0) {
        ssize_t got = pread(capture->file, to, bytes, (off_t)offset);
        if (got < 0 && errno == EINTR)
            continue;
        WS_CHECK(got >= 0, IO, "%s: cannot read at byte %" PRIu64 ": %s", capture->path, offset, strerror(errno));
        struct stat about;
        if (got == 0 && fstat(capture->file, &about) == 0 && (uint64_t)about.st_size < offset)
            offset = (uint64_t)about.st_size; /* it shrank to less than what was read already */
        WS_CHECK(got > 0, IO, "%s: ends at byte %" PRIu64 ", but had %" PRIu64 " bytes when it was opened",
                 capture->path, offset, capture->bytes);
        to += got;
        offset += (uint64_t)got;
        bytes -= (size_t)got;
    }
    return WS_OK;
}

static const struct other_format *find_other(const uint8_t *magic, size_t bytes)
{
    for (size_t i = 0; i < sizeof other_formats / sizeof *other_formats; i++)
        if (bytes >= other_formats[i].bytes && memcmp(magic, other_formats[i].magic, other_formats[i].bytes) == 0)
            return &other_formats[i];
    return NULL;
}

static ws_err refuse_other(const ws_capture *capture, const uint8_t *magic, size_t bytes)
{
    const struct other_format *other = find_other(magic, bytes);
    ws_err error;
    if (other != NULL) {
        error = WS_ERROR(FORMAT, "%s: byte 0: %s file, not readable as it is", capture->path, other->what);
        WS_HINT("%s", other->hint);
        return error;
    }
    WS_CHECK(bytes >= 4, FORMAT, "%s: byte %zu: too short for a capture (%zu bytes)", capture->path, bytes, bytes);
    error = WS_ERROR(FORMAT, "%s: byte 0: not a capture (begins with %02x%02x%02x%02x)", capture->path, magic[0],
                     magic[1], magic[2], magic[3]);
    WS_HINT("pcap, pcapng, snoop and ERF files are read; `file` or `capinfos` may tell what it is");
    return error;
}

#define SNOOP_MAGIC "snoop\0\0\0"

/* Which variants of classic pcap there are, by magic in this machine's byte order. */
static const struct pcap_kind {
    uint32_t magic;
    bool nanoseconds;
    uint32_t record_header, extra; /* extra: bytes of the file header behind the usual ones */
} pcap_kinds[] = {
    {0xa1b2c3d4, false, 16, 0}, {0xa1b23c4d, true, 16, 0},  {0xa1b2cd34, false, 24, 0}, /* Kuznetzov's */
    {0x1c0001ac, false, 16, 4}, {0x1c0001ab, false, 16, 4}, /* Ixia: stamps of hardware, of software; read as Wireshark does */
};

static const struct pcap_kind *pcap_kind_of(uint32_t magic)
{
    for (size_t i = 0; i < sizeof pcap_kinds / sizeof *pcap_kinds; i++)
        if (pcap_kinds[i].magic == magic)
            return &pcap_kinds[i];
    return NULL;
}

static ws_err check_pcap_version(ws_capture *capture, const uint8_t *header)
{
    unsigned major = ws_file16(header + 4, capture->swapped), minor = ws_file16(header + 6, capture->swapped);
    const bool dg_ux = major == 543 && minor == 0; /* writes exchanged lengths under this number */
    WS_CHECK((major == 2 && minor <= 4) || dg_ux, FORMAT,
             "%s: byte 4: unsupported pcap version %u.%u (2.0 to 2.4 are read)", capture->path, major, minor);
    capture->lengths = dg_ux || minor < 3 ? WS_LENGTHS_EXCHANGED : minor == 3 ? WS_LENGTHS_EITHER : WS_LENGTHS_USUAL;
    return WS_OK;
}

/* Whether records with headers of this length follow each other from the first one on: four, or two at least up to the end. */
static ws_err headers_lead_on(ws_capture *capture, uint32_t record_header, bool *lead)
{
    enum { PROBED = 4, LEAST = 2, DAY = 86400 };
    uint64_t at = capture->first_record, there = 0;
    uint32_t first = 0, records = 0;
    const uint32_t usual = capture->record_header;
    capture->record_header = record_header;
    *lead = true;
    for (; records < PROBED && *lead; records++) {
        uint8_t header[WS_PCAP_RECORD_HEADER];
        WS_TRY(ws_capture_reach(capture, 0, at + record_header, &there));
        if (there < at + record_header)
            break;
        WS_TRY(ws_capture_read(capture, at, header, sizeof header));
        const uint32_t seconds = ws_file32(header, capture->swapped);
        first = records == 0 ? seconds : first;
        const uint32_t apart = seconds > first ? seconds - first : first - seconds;
        *lead = ws_pcap_possible(capture, header) && apart < DAY &&
                ws_pcap_captured(capture, header) <= ws_pcap_wire(capture, header);
        at = ws_pcap_next(capture, at, header);
    }
    WS_TRY(ws_capture_reach(capture, 0, at, &there));
    *lead = *lead && (records == PROBED || (records >= LEAST && there == at));
    capture->record_header = usual;
    return WS_OK;
}

/* Three systems of old wrote other record headers under the same magics: Nokia's IPSO, Red Hat 6.1, SuSE 6.3. They are told by
 * their records, where those of the usual length lead nowhere. */
static ws_err find_record_header(ws_capture *capture)
{
    enum { NOKIA = 20, RED_HAT = 24, SUSE = 28, USUAL = 16 };
    const uint32_t usual = capture->record_header, others[] = {usual == USUAL ? RED_HAT : SUSE, NOKIA};
    bool lead;
    WS_TRY(headers_lead_on(capture, usual, &lead));
    for (size_t i = 0; i < (usual == USUAL ? 2 : 1) && !lead; i++) {
        WS_TRY(headers_lead_on(capture, others[i], &lead));
        if (lead)
            capture->record_header = others[i];
    }
    return WS_OK;
}

static ws_err check_pcap(ws_capture *capture, const struct pcap_kind *kind)
{
    uint8_t header[WS_PCAP_FILE_HEADER + 4 + WS_PCAP_RECORD_HEADER];
    const uint64_t file_header = WS_PCAP_FILE_HEADER + kind->extra;
    uint64_t there;
    WS_TRY(ws_capture_reach(capture, 0, file_header + WS_PCAP_RECORD_HEADER, &there));
    WS_CHECK(there >= file_header, FORMAT,
             "%s: byte %" PRIu64 ": the pcap file header is cut off (%" PRIu64 " bytes wanted)", capture->path, there,
             file_header);
    const bool has_record = there >= file_header + WS_PCAP_RECORD_HEADER;
    WS_TRY(ws_capture_read(capture, 0, header, file_header + (has_record ? WS_PCAP_RECORD_HEADER : 0)));
    WS_TRY(check_pcap_version(capture, header));
    capture->snap_length = ws_file32(header + 16, capture->swapped);
    capture->link_type = ws_file32(header + 20, capture->swapped) & 0xffff; /* above: FCS length and reserved bits */
    capture->first_record = file_header;
    capture->record_header = kind->record_header;
    capture->nanoseconds = kind->nanoseconds;
    capture->splittable = capture->stream == NULL;

    const uint32_t usual = 262144, most = 1 << 20;
    capture->record_limit = capture->snap_length < usual  ? usual
                            : capture->snap_length > most ? most
                                                          : capture->snap_length;
    capture->fraction_limit = capture->nanoseconds ? 2000000000u : 2000000u;
    if (has_record && ws_file32(header + file_header + 4, capture->swapped) >= capture->fraction_limit)
        capture->fraction_limit = UINT32_MAX;
    if (!capture->nanoseconds && kind->extra == 0)
        WS_TRY(find_record_header(capture));
    return WS_OK;
}

/* The first bytes, and the kind of pcap that they say it is. */
static ws_err read_magic(ws_capture *capture, uint8_t magic[8], uint64_t *bytes, const struct pcap_kind **kind)
{
    memset(magic, 0, 8);
    WS_TRY(ws_capture_reach(capture, 0, 8, bytes));
    *bytes = *bytes < 8 ? *bytes : 8;
    const char *fault = capture->stream ? ws_stream_fault(capture->stream) : NULL;
    WS_CHECK(*bytes >= 4 || fault == NULL, FORMAT, "%s: byte 0: nothing of it can be decompressed: %s", capture->path,
             fault);
    WS_CHECK(*bytes > 0, FORMAT, "%s: byte 0: the file is empty", capture->path);
    WS_TRY(ws_capture_read(capture, 0, magic, *bytes));
    const uint32_t word = ws_file32(magic, false);
    *kind = pcap_kind_of(word);
    if (*kind == NULL) {
        *kind = pcap_kind_of(__builtin_bswap32(word));
        capture->swapped = *kind != NULL;
    }
    return WS_OK;
}

/* Packet lines have no magic but their first line. */
static ws_err look_for_lines(ws_capture *capture, bool *are)
{
    char head[1024];
    uint64_t bytes;
    WS_TRY(ws_capture_reach(capture, 0, sizeof head, &bytes));
    bytes = bytes < sizeof head ? bytes : sizeof head;
    WS_TRY(ws_capture_read(capture, 0, head, bytes));
    *are = ws_lines_recognise(head, bytes, &capture->tabs, &capture->first_record);
    if (!*are)
        return WS_OK;
    capture->format = WS_CAPTURE_LINES;
    capture->link_type = -1;
    capture->splittable = capture->stream == NULL;
    return WS_OK;
}

static ws_err recognise(ws_capture *capture)
{
    uint8_t magic[8];
    uint64_t bytes;
    const struct pcap_kind *kind;
    WS_TRY(read_magic(capture, magic, &bytes, &kind));
    if (kind != NULL) {
        capture->format = WS_CAPTURE_PCAP;
        return check_pcap(capture, kind);
    }
    if (ws_file32(magic, false) == WS_PCAPNG_SECTION) {
        capture->format = WS_CAPTURE_PCAPNG;
        capture->link_type = -1;
        capture->splittable = capture->stream == NULL;
        return ws_pcapng_check(capture);
    }
    if (memcmp(magic, SNOOP_MAGIC, sizeof magic) == 0)
        return ws_snoop_check(capture);
    bool is;
    WS_TRY(look_for_lines(capture, &is));
    if (!is)
        WS_TRY(ws_erf_check(capture, &is));
    return is ? WS_OK : refuse_other(capture, magic, bytes);
}

/* A compressed file becomes a stream of its content. */
static ws_err look_inside(ws_capture *capture)
{
    uint8_t magic[8];
    const size_t bytes = capture->bytes < sizeof magic ? (size_t)capture->bytes : sizeof magic;
    WS_TRY(ws_capture_read(capture, 0, magic, bytes));
    capture->compression = ws_compression_of(magic, bytes);
    if (capture->compression == WS_COMPRESSION_NONE)
        return WS_OK;
    WS_TRY(
        ws_stream_create(&capture->stream, capture->compression, capture->path, capture->file, capture->stored_bytes));
    capture->bytes = WS_CAPTURE_BYTES_UNKNOWN;
    return WS_OK;
}

static ws_err open_file(ws_capture *capture)
{
    /* Not blocking: a named pipe would otherwise wait for a writer here. */
    capture->file = open(capture->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    WS_CHECK(capture->file >= 0, IO, "%s: cannot open: %s", capture->path, strerror(errno));
    struct stat status;
    WS_CHECK(fstat(capture->file, &status) == 0, IO, "%s: cannot be examined: %s", capture->path, strerror(errno));
    WS_CHECK(S_ISREG(status.st_mode), IO, "%s: byte 0: not a regular file", capture->path);
    capture->bytes = capture->stored_bytes = (uint64_t)status.st_size;
    WS_TRY(look_inside(capture));
    return WS_OK;
}

static ws_err open_path(ws_capture *capture, const char *path)
{
    *capture = (ws_capture){.file = -1};
    capture->path = strdup(path);
    WS_CHECK(capture->path, MEMORY, "%s: out of memory", path);
    WS_TRY(open_file(capture));
    return WS_OK;
}

ws_err ws_capture_open(ws_capture *out, const char *path)
{
    ws_err error = open_path(out, path);
    if (error == WS_OK)
        error = recognise(out);
    if (error != WS_OK) {
        ws_capture_close(out);
        WS_TRY(error);
    }
    return WS_OK;
}

bool ws_capture_has_magic(const char *path)
{
    ws_capture capture;
    uint8_t magic[8];
    uint64_t bytes;
    const struct pcap_kind *kind = NULL;
    bool has = open_path(&capture, path) == WS_OK && read_magic(&capture, magic, &bytes, &kind) == WS_OK &&
               (kind != NULL || ws_file32(magic, false) == WS_PCAPNG_SECTION || memcmp(magic, SNOOP_MAGIC, 8) == 0);
    ws_capture_close(&capture);
    ws_error_clear();
    return has;
}

bool ws_capture_is_other(const char *path)
{
    ws_capture capture;
    uint8_t magic[8];
    uint64_t bytes;
    const struct pcap_kind *kind = NULL;
    const bool is = open_path(&capture, path) == WS_OK && read_magic(&capture, magic, &bytes, &kind) == WS_OK &&
                    kind == NULL && find_other(magic, (size_t)bytes) != NULL;
    ws_capture_close(&capture);
    ws_error_clear();
    return is;
}

bool ws_capture_is_lines(const char *path)
{
    ws_capture capture;
    bool are = false;
    if (open_path(&capture, path) != WS_OK || look_for_lines(&capture, &are) != WS_OK)
        are = false;
    ws_capture_close(&capture);
    ws_error_clear();
    return are;
}

void ws_capture_close(ws_capture *capture)
{
    if (capture->file >= 0)
        close(capture->file);
    ws_stream_destroy(&capture->stream);
    free(capture->path);
    *capture = (ws_capture){.file = -1};
}
