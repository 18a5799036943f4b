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

/* What is known but not read, so that the refusal can say what the file is and how to convert it. */
static const struct {
    const char *magic;
    size_t bytes;
    const char *what, *hint;
} other_formats[] = {
    {"\x1f\x8b", 2, "gzip-compressed", "unpack it first: gunzip -k FILE"},
    {"\x28\xb5\x2f\xfd", 4, "zstd-compressed", "unpack it first: zstd -dk FILE"},
    {"\xfd\x37\x7a\x58\x5a", 5, "xz-compressed", "unpack it first: xz -dk FILE"},
    {"BZh", 3, "bzip2-compressed", "unpack it first: bunzip2 -k FILE"},
    {"\x04\x22\x4d\x18", 4, "lz4-compressed", "unpack it first: lz4 -dk FILE"},
    {"snoop\0\0\0", 8, "a snoop capture", "convert it: editcap -F pcap FILE OUT.pcap"},
    {"\xa1\xb2\xcd\x34", 4, "a capture of the modified pcap format", "convert it: editcap -F pcap FILE OUT.pcap"},
    {"\x34\xcd\xb2\xa1", 4, "a capture of the modified pcap format", "convert it: editcap -F pcap FILE OUT.pcap"},
    {"GMBU", 4, "a Network Monitor capture", "convert it: editcap -F pcap FILE OUT.pcap"},
    {"RTSS", 4, "a Network Monitor capture", "convert it: editcap -F pcap FILE OUT.pcap"},
};

ws_err ws_capture_read(const ws_capture *capture, uint64_t offset, void *out, size_t bytes)
{
    uint8_t *to = out;
    while (bytes > 0) {
        ssize_t got = pread(capture->file, to, bytes, (off_t)offset);
        if (got < 0 && errno == EINTR)
            continue;
        WS_CHECK(got >= 0, IO, "%s: cannot read at byte %" PRIu64 ": %s", capture->path, offset, strerror(errno));
        WS_CHECK(got > 0, IO, "%s: ends at byte %" PRIu64 ", but had %" PRIu64 " bytes when it was opened",
                 capture->path, offset, capture->bytes);
        to += got;
        offset += (uint64_t)got;
        bytes -= (size_t)got;
    }
    return WS_OK;
}

static ws_err refuse_other(const ws_capture *capture, const uint8_t *magic, size_t bytes)
{
    ws_err error;
    for (size_t i = 0; i < sizeof other_formats / sizeof *other_formats; i++)
        if (bytes >= other_formats[i].bytes && memcmp(magic, other_formats[i].magic, other_formats[i].bytes) == 0) {
            error =
                WS_ERROR(FORMAT, "%s: byte 0: %s file, not readable as it is", capture->path, other_formats[i].what);
            WS_HINT("%s", other_formats[i].hint);
            return error;
        }
    /* ERF has no magic: only the name can tell. */
    const char *dot = strrchr(capture->path, '.');
    if (dot && strcmp(dot, ".erf") == 0) {
        error = WS_ERROR(FORMAT, "%s: byte 0: an ERF capture by its name, not readable as it is", capture->path);
        WS_HINT("convert it: editcap -F pcap FILE OUT.pcap");
        return error;
    }
    WS_CHECK(bytes >= 4, FORMAT, "%s: byte %zu: too short for a capture (%zu bytes)", capture->path, bytes, bytes);
    error = WS_ERROR(FORMAT, "%s: byte 0: not a capture (begins with %02x%02x%02x%02x)", capture->path, magic[0],
                     magic[1], magic[2], magic[3]);
    WS_HINT("pcap and pcapng files are read; `file` or `capinfos` may tell what it is");
    return error;
}

static ws_err check_pcap(ws_capture *capture)
{
    uint8_t header[WS_PCAP_FILE_HEADER + WS_PCAP_RECORD_HEADER];
    WS_CHECK(capture->bytes >= WS_PCAP_FILE_HEADER, FORMAT,
             "%s: byte %" PRIu64 ": the pcap file header is cut off (24 bytes wanted)", capture->path, capture->bytes);
    size_t bytes = capture->bytes < sizeof header ? WS_PCAP_FILE_HEADER : sizeof header;
    WS_TRY(ws_capture_read(capture, 0, header, bytes));
    unsigned major = ws_file16(header + 4, capture->swapped), minor = ws_file16(header + 6, capture->swapped);
    WS_CHECK(major == 2 && minor >= 4, FORMAT, "%s: byte 4: unsupported pcap version %u.%u (2.4 is read)",
             capture->path, major, minor);
    capture->snap_length = ws_file32(header + 16, capture->swapped);
    capture->link_type = ws_file32(header + 20, capture->swapped) & 0xffff; /* above: FCS length and reserved bits */
    capture->first_record = WS_PCAP_FILE_HEADER;
    capture->splittable = true;

    const uint32_t usual = 262144, most = 1 << 20;
    capture->record_limit = capture->snap_length < usual  ? usual
                            : capture->snap_length > most ? most
                                                          : capture->snap_length;
    capture->fraction_limit = capture->nanoseconds ? 2000000000u : 2000000u;
    if (bytes == sizeof header &&
        ws_file32(header + WS_PCAP_FILE_HEADER + 4, capture->swapped) >= capture->fraction_limit)
        capture->fraction_limit = UINT32_MAX;
    return WS_OK;
}

static ws_err recognise(ws_capture *capture)
{
    uint8_t magic[8] = {0};
    size_t bytes = capture->bytes < sizeof magic ? (size_t)capture->bytes : sizeof magic;
    WS_CHECK(bytes > 0, FORMAT, "%s: byte 0: the file is empty", capture->path);
    WS_TRY(ws_capture_read(capture, 0, magic, bytes));
    uint32_t word = bytes >= 4 ? ws_file32(magic, false) : 0;
    switch (word) {
    case 0xa1b2c3d4:
    case 0xd4c3b2a1:
    case 0xa1b23c4d:
    case 0x4d3cb2a1:
        capture->format = WS_CAPTURE_PCAP;
        capture->swapped = word == 0xd4c3b2a1 || word == 0x4d3cb2a1;
        capture->nanoseconds = word == 0xa1b23c4d || word == 0x4d3cb2a1;
        return check_pcap(capture);
    case WS_PCAPNG_SECTION:
        capture->format = WS_CAPTURE_PCAPNG;
        capture->link_type = -1;
        return ws_pcapng_check(capture);
    default:
        return refuse_other(capture, magic, bytes);
    }
}

static ws_err open_file(ws_capture *capture)
{
    /* Not blocking: a named pipe would otherwise wait for a writer here. */
    capture->file = open(capture->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    WS_CHECK(capture->file >= 0, IO, "%s: cannot open: %s", capture->path, strerror(errno));
    struct stat status;
    WS_CHECK(fstat(capture->file, &status) == 0, IO, "%s: cannot be examined: %s", capture->path, strerror(errno));
    WS_CHECK(S_ISREG(status.st_mode), IO, "%s: byte 0: not a regular file", capture->path);
    capture->bytes = (uint64_t)status.st_size;
    return recognise(capture);
}

ws_err ws_capture_open(ws_capture *out, const char *path)
{
    *out = (ws_capture){.file = -1};
    out->path = strdup(path);
    WS_CHECK(out->path, MEMORY, "%s: out of memory", path);
    ws_err error = open_file(out);
    if (error != WS_OK) {
        ws_capture_close(out);
        WS_TRY(error);
    }
    return WS_OK;
}

void ws_capture_close(ws_capture *capture)
{
    if (capture->file >= 0)
        close(capture->file);
    free(capture->path);
    *capture = (ws_capture){.file = -1};
}
