/* Opening: both formats in every byte order, and refusals that name file, byte and reason in one line. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "captures.h"

#include <sys/stat.h>

static void expect_refusal(const bytes *content, const char *reason, const char *hint)
{
    ws_capture capture;
    const char *path = write_file(content);
    assert_int_equal(ws_capture_open(&capture, path), WS_E_FORMAT);
    assert_int_equal(capture.file, -1);
    char place[128];
    snprintf(place, sizeof place, "%s: byte ", path);
    assert_memory_equal(ws_error_message(), place, strlen(place));
    assert_null(strchr(ws_error_message(), '\n'));
    if (!strstr(ws_error_message(), reason))
        fail_msg("\"%s\" does not say \"%s\"", ws_error_message(), reason);
    if (hint && !strstr(ws_error_hint(), hint))
        fail_msg("hint \"%s\" does not say \"%s\"", ws_error_hint(), hint);
}

static void opens_both_formats(void **state)
{
    (void)state;
    ws_capture capture;
    for (int big = 0; big <= 1; big++)
        for (int nanoseconds = 0; nanoseconds <= 1; nanoseconds++) {
            bytes content = {0};
            put_pcap_header(&content, (pcap_kind){big, nanoseconds, 276, 96});
            assert_int_equal(ws_capture_open(&capture, write_file(&content)), WS_OK);
            assert_int_equal(capture.format, WS_CAPTURE_PCAP);
            assert_int_equal(capture.nanoseconds, nanoseconds);
            assert_int_equal(capture.link_type, 276);
            assert_int_equal(capture.snap_length, 96);
            assert_int_equal(capture.first_record, 24);
            assert_int_equal(capture.bytes, 24);
            assert_true(capture.splittable);
            ws_capture_close(&capture);
            assert_int_equal(capture.file, -1);
            bytes_free(&content);
        }
    for (int big = 0; big <= 1; big++) {
        bytes content = {0};
        put_section(&content, big);
        assert_int_equal(ws_capture_open(&capture, write_file(&content)), WS_OK);
        assert_int_equal(capture.format, WS_CAPTURE_PCAPNG);
        assert_int_equal(capture.first_record, 0);
        assert_true(capture.splittable);
        ws_capture_close(&capture);
        bytes_free(&content);
    }
}

static void header_cut_at_every_byte(void **state)
{
    (void)state;
    bytes pcap = {0}, pcapng = {0};
    put_pcap_header(&pcap, (pcap_kind){.link_type = 1, .snap_length = 65535});
    put_section(&pcapng, true);
    for (size_t size = 0; size < 24; size++)
        expect_refusal(&(bytes){.data = pcap.data, .count = size},
                       size == 0  ? "the file is empty"
                       : size < 4 ? "too short for a capture"
                                  : "the pcap file header is cut off",
                       NULL);
    for (size_t size = 1; size < 28; size++)
        expect_refusal(&(bytes){.data = pcapng.data, .count = size},
                       size < 4 ? "too short for a capture" : "the pcapng section header is cut off", NULL);
    bytes_free(&pcap);
    bytes_free(&pcapng);
}

static void headers_that_are_not_understood(void **state)
{
    (void)state;
    bytes content = {0};
    put_pcap_header(&content, (pcap_kind){.link_type = 1});
    content.data[4] = 3;
    expect_refusal(&content, "byte 4: unsupported pcap version 3.4", NULL);
    content.data[4] = 2;
    content.data[6] = 5;
    expect_refusal(&content, "byte 4: unsupported pcap version 2.5", NULL);

    static const struct {
        size_t at;
        const char *value, *reason;
    } cases[] = {
        {8, "\x4d\x3c\x2b\x1b", "byte 8: not a pcapng byte-order magic"},
        {12, "\x02\x00\x00\x00", "byte 12: unsupported pcapng version 2.0"},
        {4, "\x00\x00\x00\x00", "byte 4: impossible length 0"},
        {4, "\x1d\x00\x00\x00", "byte 4: impossible length 29"},
        {4, "\xfc\xff\xff\x7f", "byte 4: impossible length 2147483644"},
        {4, "\x20\x00\x00\x00", "the pcapng section header is cut off (32 bytes wanted)"},
        {24, "\x20\x00\x00\x00", "byte 24: the two lengths"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        content.count = 0;
        put_section(&content, false);
        memcpy(content.data + cases[i].at, cases[i].value, 4);
        expect_refusal(&content, cases[i].reason, NULL);
    }
    bytes_free(&content);
}

static void other_formats_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *hex, *reason, *hint;
    } cases[] = {
        {"1f8b0800 00000000", "nothing of it can be decompressed: the compressed data is cut off", NULL},
        {"28b52ffd 04000000", "nothing of it can be decompressed: the compressed data is cut off", NULL},
        {"fd377a58 5a000000", "nothing of it can be decompressed: the compressed data is cut off", NULL},
        {"425a6839 31415926", "nothing of it can be decompressed: the compressed data is cut off", NULL},
        {"1f8b0000 00000000", "gzip", "gunzip"},
        {"04224d18 00000000", "lz4", "lz4 -d"},
        {"504b0304 14000000", "zip file, not readable as it is", "unzip"},
        {"377abcaf 271c0004", "7-Zip file", "7z x"},
        {"52617221 1a070100", "RAR file", "unrar"},
        {"fffe4900 44002c00", "UTF-16 text", "iconv"},
        {"feff0049 0044002c", "UTF-16 text", "iconv"},
        {"736e6f6f 70000000 00000002", "snoop file header is cut off", NULL},
        {"474d4255 00000000", "Network Monitor", "editcap"},
        {"7b226120 3a203122", "not a capture (begins with 7b226120)", "pcapng"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bytes content = {0};
        put_hex(&content, cases[i].hex);
        expect_refusal(&content, cases[i].reason, cases[i].hint);
        bytes_free(&content);
    }
}

/* What is no file must neither hang nor crash. */
static void things_that_are_no_files(void **state)
{
    (void)state;
    ws_capture capture;
    char folder[] = "/tmp/open_XXXXXX", path[64];
    assert_non_null(mkdtemp(folder));
    assert_int_equal(ws_capture_open(&capture, folder), WS_E_IO);
    assert_non_null(strstr(ws_error_message(), "not a regular file"));
    snprintf(path, sizeof path, "%s/absent", folder);
    assert_int_equal(ws_capture_open(&capture, path), WS_E_IO);
    assert_non_null(strstr(ws_error_message(), "No such file"));
    snprintf(path, sizeof path, "%s/pipe", folder);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(ws_capture_open(&capture, path), WS_E_IO);
    assert_non_null(strstr(ws_error_message(), "not a regular file"));
    unlink(path);
    rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opens_both_formats),
        cmocka_unit_test(header_cut_at_every_byte),
        cmocka_unit_test(headers_that_are_not_understood),
        cmocka_unit_test(other_formats_are_named),
        cmocka_unit_test(things_that_are_no_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
