/* Cells of flow tables say what the C library, the calendar and the publishers' readers say; and thousands of damaged
 * tables are read to their last byte, every record being a row or counted. ctest: timeout=120 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "dataset/table.h"

static void ok(ws_err error)
{
    if (error != WS_OK)
        fail_msg("%s (%s)", ws_error_message(), ws_error_hint());
}

/* ---- numbers ---- */
static void check_number(const char *text)
{
    double read;
    assert_int_equal(ws_table_parse_number(text, strlen(text), &read), WS_NUMBER_OK);
    double wanted = strtod(text, NULL);
    assert_memory_equal(&read, &wanted, sizeof read);
}

static void test_numbers_are_those_of_strtod(void **state)
{
    (void)state;
    static const char *const fixed[] = {"0",
                                        "-0",
                                        "7",
                                        "+5",
                                        "0.1",
                                        ".5",
                                        "5.",
                                        "123456789012345",
                                        "1234567890123456789",
                                        "0.30000000000000004",
                                        "9007199254740993",
                                        "1e22",
                                        "4.9e-324",
                                        "2.2250738585072014e-308",
                                        "0.000000000000000000000000000123",
                                        "832.1666667000003",
                                        "1.7976931348623157E308"};
    char text[64];
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++)
        check_number(fixed[i]);
    srand(1);
    for (int i = 0; i < 20000; i++) {
        double value = (double)rand() / (double)(1 + rand() % 100000) * (rand() % 2 ? 1 : -1);
        snprintf(text, sizeof text, "%.*f", rand() % 18, value);
        check_number(text);
        snprintf(text, sizeof text, "%.*g", 1 + rand() % 17, value);
        check_number(text);
    }
}

static void test_what_is_no_number(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        ws_table_number wanted;
    } cases[] = {{"", WS_NUMBER_EMPTY},        {"  ", WS_NUMBER_EMPTY},       {"Infinity", WS_NUMBER_INFINITE},
                 {"-inf", WS_NUMBER_INFINITE}, {" INF ", WS_NUMBER_INFINITE}, {"1e999", WS_NUMBER_INFINITE},
                 {"NaN", WS_NUMBER_NAN},       {"nan", WS_NUMBER_NAN},        {"0x10", WS_NUMBER_BAD},
                 {"1,5", WS_NUMBER_BAD},       {"-", WS_NUMBER_BAD},          {".", WS_NUMBER_BAD},
                 {"1e", WS_NUMBER_BAD},        {"1 2", WS_NUMBER_BAD},        {"infinite", WS_NUMBER_BAD},
                 {"http://x", WS_NUMBER_BAD},  {"--1", WS_NUMBER_BAD}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double value = 1;
        assert_int_equal(ws_table_parse_number(cases[i].text, strlen(cases[i].text), &value), cases[i].wanted);
        assert_true(value == 0);
    }
}

/* ---- times ---- */
static void test_times(void **state)
{
    (void)state;
    const ws_table_clock utc = {0}, cic = {.slash_offset_s = -10800, .afternoon = true},
                         ddos = {.utc_offset_s = -10800, .later_offset_s = -14400, .change_s = 1541289600};
    static const struct {
        const char *text;
        int clock;
        int64_t seconds, ns; /* by date(1); seconds -1: no time */
    } cases[] = {{"1970-01-01 00:00:00", 0, 0, 0},
                 {"2022-10-31T00-01-02.5", 0, 1667174462, 500000000},
                 {"2000-02-29T12:00:00Z", 0, 951825600, 0},
                 {"1667174462.25", 0, 1667174462, 250000000},
                 {"7/7/2017 3:56", 1, 1499453760, 0},
                 {"03/07/2017 08:55:58", 1, 1499082958, 0},
                 {"03/07/2017 08:55:58 PM", 1, 1499126158, 0},
                 {"2017-07-03 11:55:58.598308", 1, 1499082958, 598308000},
                 {"2018-11-03 10:00:00", 2, 1541250000, 0},
                 {"2018-12-01 10:51:39.813448", 2, 1543675899, 813448000},
                 {"noon", 0, -1, 0},
                 {"2017-13-01 00:00:00", 0, -1, 0},
                 {"2017-07-03 25:00:00", 0, -1, 0},
                 {"2017-07-03 10:00:00 x", 0, -1, 0},
                 {"-5", 0, -1, 0}};
    const ws_table_clock *const clocks[] = {&utc, &cic, &ddos};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t ns;
        bool read = ws_table_parse_time(cases[i].text, strlen(cases[i].text), clocks[cases[i].clock], &ns);
        if (read != (cases[i].seconds >= 0) || ns != (read ? cases[i].seconds * 1000000000 + cases[i].ns : 0))
            fail_msg("%s: %lld", cases[i].text, (long long)ns);
    }
}

/* ---- sequences ---- */
static void test_sequences(void **state)
{
    (void)state;
    ws_flow_packet packets[8];
    size_t count;
    float bytes[WS_TABLE_BYTES];
    const char ppi[] = "[[0, 5, 1.5], [1, -1, 1], [10, 0, 1200], [0, 1, 0]]";
    assert_true(ws_table_parse_ppi(ppi, strlen(ppi), 8, packets, &count));
    assert_int_equal(count, 3);
    assert_int_equal(packets[2].offset_ns, 6500000);
    assert_int_equal(packets[1].direction, -1);
    assert_int_equal(packets[1].tcp_flags, 8);
    assert_int_equal(packets[2].payload_length, 1200);
    assert_true(ws_table_parse_ppi(ppi, strlen(ppi), 2, packets, &count));
    assert_int_equal(count, 2);
    static const char *const wrong[] = {"",
                                        "[",
                                        "[]",
                                        "[[1],[1]]",
                                        "[[1],[1],[x]]",
                                        "[[1],[1],[1]",
                                        "[[-1],[1],[1]]",
                                        "[[1],[0],[1]]",
                                        "[[1],[1],[1],[1],[1]]",
                                        "[[1],[1],[-4]]"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_false(ws_table_parse_ppi(wrong[i], strlen(wrong[i]), 8, packets, &count));
    assert_true(ws_table_parse_bigrams("45aa aa00 00ff", 14, bytes));
    assert_true(bytes[0] == 0x45 && bytes[1] == 0xaa && bytes[2] == 0 && bytes[3] == 0xff && bytes[4] == -1);
    assert_false(ws_table_parse_bigrams("45aa aag0", 9, bytes));
    assert_false(ws_table_parse_bigrams("45a", 3, bytes));
}

/* ---- damaged tables ---- */
static const char *const seeds[] = {
    "ID,DURATION,BYTES,BYTES_REV,PPI,PHIST_SRC_IPT,APP\n1,0.5,10,20,\"[[0,3],[1,-1],[5,6]]\",\"[1,2,3,4,5,6,7,8]\","
    "web\n"
    "2,1,1,2,\"[[0],[1],[5]]\",\"[0,0,0,0,0,0,0,1]\",\"mail \"\"x\"\"\"\n",
    "\xEF\xBB\xBF duration , a,label\r\n1,Infinity,x\r\n2,,\"two\r\nlines\"\r\n\r\n,,\r\n3,NaN,Web \x96 XSS\r\n",
    "@RELATION x\n@ATTRIBUTE duration NUMERIC\n@ATTRIBUTE class1 {A,B}\n@DATA\n1,A\n2,B\n%c\n",
    "label\ttext_a\n1\t45aa aa00\n2\t0001 0102\n",
    "app,packet_lengths,iat_values,directions,rtt_ms\nyoutube,60;1500,0;2.5,1;-1,3\nzoom,1,0,1,4\n"};
static const ws_table_column columns[] = {{"duration", "s", WS_TABLE_DURATION, NULL},
                                          {"PPI", NULL, WS_TABLE_PPI, NULL},
                                          {"PHIST_SRC_IPT", "packets", WS_TABLE_HISTOGRAM, NULL},
                                          {"text_a", "byte", WS_TABLE_BIGRAMS, NULL},
                                          {"packet_lengths", NULL, WS_TABLE_LENGTHS, NULL},
                                          {"iat_values", NULL, WS_TABLE_GAPS, NULL},
                                          {"directions", NULL, WS_TABLE_DIRECTIONS, NULL},
                                          {"label|app|class1", NULL, WS_TABLE_LABEL, "label"},
                                          {NULL, NULL, WS_TABLE_UNUSED, NULL}};
static const ws_table_family family = {
    .feature_table = "fuzz", .columns = columns, .least_features = 1, .rest_are_features = true, .duration_ns = 1e9};

static size_t mutate(const char *seed, char *out, size_t room)
{
    static const char bytes[] = "\"\"\n,;\t[]@%0-9\r\xFF";
    size_t length = strlen(seed);
    memcpy(out, seed, length);
    for (int edits = rand() % 6; edits >= 0 && length > 1; edits--) {
        size_t at = (size_t)rand() % length;
        switch (rand() % 4) {
        case 0:
            out[at] = bytes[(size_t)rand() % (sizeof bytes - 1)];
            break;
        case 1:
            if (length + 1 < room) {
                memmove(out + at + 1, out + at, length - at);
                out[at] = bytes[(size_t)rand() % (sizeof bytes - 1)];
                length++;
            }
            break;
        case 2:
            memmove(out + at, out + at + 1, length - at - 1);
            length--;
            break;
        default:
            if (rand() % 8 == 0)
                length = at + 1;
        }
    }
    return length;
}

/* Reads the table; false where its header is refused. Counts must cover every byte behind the header. */
static bool read_table(const char *path, size_t bytes, ws_table_maker *maker, ws_table_counts *counts)
{
    ws_arena *arena;
    ws_table_plan plan;
    ws_table_text *text = NULL;
    ws_table_rows rows = {0};
    ok(ws_arena_create(&arena, 1 << 16));
    bool read = ws_table_read_header(path, &family, arena, &plan) == WS_OK;
    if (read) {
        ws_table_record record;
        bool more = true;
        ok(ws_table_text_open(&text, path, plan.separator, WS_TABLE_COLUMNS_MAX));
        ok(ws_table_text_seek(text, plan.data_begin, bytes));
        for (;;) {
            ok(ws_table_text_next(text, &record, &more));
            if (!more)
                break;
            ok(ws_table_add_row(maker, &plan, &record, 0, counts->records, &rows, counts));
        }
        uint64_t skipped = 0;
        for (int reason = 0; reason < WS_TABLE_SKIP_COUNT; reason++)
            skipped += counts->skipped[reason];
        assert_int_equal(plan.data_begin + counts->bytes, bytes);
        assert_int_equal(counts->records, counts->rows + skipped);
        assert_int_equal(rows.count, counts->rows);
        assert_int_equal(rows.packet_count, counts->packets);
    }
    ws_table_text_close(&text);
    ws_table_rows_destroy(&rows);
    ws_arena_destroy(&arena);
    ws_error_clear();
    return read;
}

static void test_damaged_tables(void **state)
{
    (void)state;
    char path[] = "/tmp/wiresweep_table_XXXXXX", content[4096];
    int file = mkstemp(path);
    assert_true(file >= 0);
    ws_table_maker maker = {.packets = 4};
    ok(ws_table_names_create(&maker.names));
    ok(WS_NEW_ARRAY(maker.numbers, 3 * WS_TABLE_LIST_MAX));
    int read = 0, rows = 0;
    srand(7);
    for (int i = 0; i < 1500; i++) {
        const char *seed = seeds[(size_t)i % (sizeof seeds / sizeof *seeds)];
        size_t bytes = i < 5 ? strlen(seed) : mutate(seed, content, sizeof content);
        ws_table_counts counts = {0};
        assert_int_equal(ftruncate(file, 0), 0);
        assert_int_equal(pwrite(file, i < 5 ? seed : content, bytes, 0), (ssize_t)bytes);
        bool was_read = read_table(path, bytes, &maker, &counts);
        assert_true(was_read || i >= 5);
        assert_true(i >= 5 || counts.rows >= 2);
        read += was_read;
        rows += counts.rows > 0;
    }
    assert_in_range(read, 750, 1499); /* or the damage is too small, or too large, to say something */
    assert_in_range(rows, 500, 1499);
    ws_table_names_destroy(&maker.names);
    ws_text_destroy(&maker.scratch);
    free(maker.numbers);
    close(file);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_numbers_are_those_of_strtod),
                                       cmocka_unit_test(test_what_is_no_number), cmocka_unit_test(test_times),
                                       cmocka_unit_test(test_sequences), cmocka_unit_test(test_damaged_tables)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
