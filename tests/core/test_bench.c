/* Lines of benchmarks: what they say of a value, its ceiling and its target, for people and as JSON. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include "core/core.h"
#include "core/bench.h"

static void write_lines(ws_text *out, bool json)
{
    ws_bench_report report = {.out = out, .json = json};
    ws_bench_line(&report, "alone", 3, "GB/s", 0, NULL);
    ws_bench_line(&report, "share", 3, "GB/s", 4, "memory");
    ws_bench_line_with_target(&report, "reached", 3, "GB/s", 4, "memory", 0.75);
    ws_bench_line_with_target(&report, "short", 3, "GB/s", 4, "memory", 0.8);
    ws_bench_line_with_target(&report, "quick", 1.5, "ns", 0, NULL, 1.5);
    ws_bench_line_with_target(&report, "slow", 1.6, "ns", 0, NULL, 1.5);
    assert_int_equal(ws_bench_end(&report), WS_OK);
}

static void people_read_whether_a_target_is_met(void **state)
{
    (void)state;
    static const char *const ends[] = {"GB/s",
                                       "75.0 % of memory (4)",
                                       "75.0 % of memory (4); target 75 %: met",
                                       "75.0 % of memory (4); target 80 %: missed",
                                       "target at most 1.5: met",
                                       "target at most 1.5: missed"};
    ws_text out = {0};
    write_lines(&out, false);
    char *line = out.data;
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        char *end = strchr(line, '\n');
        assert_non_null(end);
        *end = '\0';
        size_t length = strlen(line);
        while (length > 0 && line[length - 1] == ' ')
            line[--length] = '\0';
        assert_true(length >= strlen(ends[i]));
        assert_string_equal(line + length - strlen(ends[i]), ends[i]);
        line = end + 1;
    }
    assert_int_equal(*line, '\0');
    ws_text_destroy(&out);
}

static void programs_read_it_too(void **state)
{
    (void)state;
    static const char *const met[] = {NULL, NULL, "true", "false", "true", "false"};
    ws_text out = {0};
    write_lines(&out, true);
    cJSON *rows = cJSON_Parse(ws_text_string(&out));
    assert_int_equal(cJSON_GetArraySize(rows), 6);
    for (int i = 0; i < 6; i++) {
        const cJSON *row = cJSON_GetArrayItem(rows, i), *found = cJSON_GetObjectItem(row, "met");
        assert_int_equal(cJSON_HasObjectItem(row, "target"), met[i] != NULL);
        assert_int_equal(cJSON_HasObjectItem(row, "ratio"), i >= 1 && i <= 3);
        if (met[i] == NULL)
            assert_null(found);
        else
            assert_int_equal(cJSON_IsTrue(found), strcmp(met[i], "true") == 0);
    }
    cJSON_Delete(rows);
    ws_text_destroy(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(people_read_whether_a_target_is_met),
                                       cmocka_unit_test(programs_read_it_too)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
