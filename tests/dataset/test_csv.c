/* Reading and writing of CSV records by RFC 4180, and what is no CSV. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "dataset/csv.h"

static char path[] = "/tmp/wiresweep_csv_XXXXXX";

static int set_up(void **state)
{
    (void)state;
    int descriptor = mkstemp(path);
    return descriptor < 0 ? -1 : close(descriptor);
}

static int tear_down(void **state)
{
    (void)state;
    return unlink(path);
}

/* All records as "field|field;record;..." */
static void reads_as(const char *text, size_t bytes, const char *wanted)
{
    FILE *file = fopen(path, "wb");
    assert_int_equal(fwrite(text, 1, bytes, file), bytes);
    fclose(file);
    ws_csv *csv;
    ws_text all = {0};
    const char *const *fields;
    size_t count;
    bool more;
    assert_int_equal(ws_csv_open(&csv, path), WS_OK);
    for (;;) {
        assert_int_equal(ws_csv_next(csv, &fields, &count, &more), WS_OK);
        if (!more)
            break;
        for (size_t i = 0; i < count; i++)
            ws_text_appendf(&all, "%s%s", i == 0 ? "" : "|", fields[i]);
        ws_text_append(&all, ";");
    }
    ws_csv_close(&csv);
    assert_string_equal(ws_text_string(&all), wanted);
    ws_text_destroy(&all);
}

#define READS_AS(text, wanted) reads_as(text, sizeof(text) - 1, wanted)

static void test_records(void **state)
{
    (void)state;
    READS_AS("", "");
    READS_AS("\n\r\n\n", "");
    READS_AS("a,b\nc,d", "a|b;c|d;");
    READS_AS("a,b\r\nc,d\r\n", "a|b;c|d;");
    READS_AS("\xEF\xBB\xBF"
             "a\n",
             "a;");
    READS_AS(",\n", "|;");
    READS_AS("\"a,b\",\"c\"\"d\"\n", "a,b|c\"d;");
    READS_AS("\"two\nlines\",x\n", "two\nlines|x;");
    READS_AS("\"\",x\n", "|x;");
    READS_AS("a\"b,c\n", "a\"b|c;"); /* a quote inside an unquoted field is itself */
    READS_AS("a\rb\n", "a\rb;");
    READS_AS("a\0b,c\n", "a|c;"); /* a NUL ends the text of its field, never the record */
}

static void test_line_numbers(void **state)
{
    (void)state;
    FILE *file = fopen(path, "wb");
    fputs("a\n\n\"two\nlines\"\nb\n", file);
    fclose(file);
    ws_csv *csv;
    const char *const *fields;
    size_t count;
    bool more;
    assert_int_equal(ws_csv_open(&csv, path), WS_OK);
    const uint64_t lines[] = {1, 3, 5};
    for (int i = 0; i < 3; i++) {
        assert_int_equal(ws_csv_next(csv, &fields, &count, &more), WS_OK);
        assert_true(more);
        assert_int_equal(ws_csv_line(csv), lines[i]);
    }
    ws_csv_close(&csv);
}

static void test_endless_records_are_refused(void **state)
{
    (void)state;
    for (int quoted = 0; quoted < 2; quoted++) {
        FILE *file = fopen(path, "wb");
        fputs(quoted ? "\"" : "", file);
        for (int i = 0; i < 3 << 20; i++)
            fputc('x', file);
        fclose(file);
        ws_csv *csv;
        const char *const *fields;
        size_t count;
        bool more;
        assert_int_equal(ws_csv_open(&csv, path), WS_OK);
        assert_int_equal(ws_csv_next(csv, &fields, &count, &more), WS_E_FORMAT);
        assert_non_null(strstr(ws_error_message(), ":1: "));
        ws_csv_close(&csv);
    }
}

static void test_written_fields_read_back(void **state)
{
    (void)state;
    ws_text text = {0};
    const char *const fields[] = {"plain", "comma, and \"quote\"", "line\nbreak", "", " blanks "};
    for (int i = 0; i < 5; i++) {
        ws_text_append(&text, i == 0 ? "" : ",");
        ws_csv_append(&text, fields[i]);
    }
    ws_text_append(&text, "\r\n");
    reads_as(ws_text_string(&text), text.length, "plain|comma, and \"quote\"|line\nbreak|| blanks ;");
    ws_text_destroy(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_records),
        cmocka_unit_test(test_line_numbers),
        cmocka_unit_test(test_endless_records_are_refused),
        cmocka_unit_test(test_written_fields_read_back),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
