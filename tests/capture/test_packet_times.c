/* Lines of packets: what the text of a time means, and texts that are none, which make the line damage. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "captures.h"

#define SECOND ((int64_t)1000000000)

/* Behind a first line that is sound, "TIME<tab>10.0.0.1<tab>10.0.0.2<tab>60": true with its time where it is a packet. */
static bool read_time(const char *time, int64_t *ns)
{
    static const char first[] = "0.5\t10.0.0.1\t10.0.0.2\t60\n";
    bytes text = {0};
    ws_capture capture;
    ws_walk *walk;
    ws_record record;
    bool more;
    size_t damage;
    put(&text, first, sizeof first - 1);
    put(&text, time, strlen(time));
    put(&text, "\t10.0.0.2\t10.0.0.1\t60\n", 23);
    assert_int_equal(ws_capture_open(&capture, write_file(&text)), WS_OK);
    assert_int_equal(capture.format, WS_CAPTURE_LINES);
    assert_int_equal(ws_walk_create(&walk, &capture, 0), WS_OK);
    assert_int_equal(ws_walk_range(walk, capture.first_record, capture.bytes), WS_OK);
    assert_int_equal(ws_walk_next(walk, &record, &more), WS_OK);
    assert_true(more && record.time_ns == SECOND / 2);
    assert_int_equal(ws_walk_next(walk, &record, &more), WS_OK);
    *ns = more ? record.time_ns : 0;
    (void)ws_walk_damage(walk, &damage);
    assert_int_equal(damage, more ? 0 : 1);
    ws_walk_destroy(&walk);
    ws_capture_close(&capture);
    bytes_free(&text);
    return more;
}

static void test_times(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ns;
    } times[] = {{"0", 0},
                 {"-1.5", -SECOND * 3 / 2},
                 {"1654250000.123456", 1654250000 * SECOND + 123456000},
                 {"8999999999.999999999", 8999999999 * SECOND + 999999999},
                 {"1.1234567891234", SECOND + 123456789},
                 {"2022-06-03 10:00:00.5", 1654250400 * SECOND + SECOND / 2},
                 {"2022-06-03T10:00:00Z", 1654250400 * SECOND},
                 {"Jun  3, 2022 19:00:00.25 KST", 1654250400 * SECOND + SECOND / 4}};
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        int64_t ns;
        assert_true(read_time(times[i].text, &ns));
        assert_int_equal(ns, times[i].ns);
    }
}

static void test_no_times(void **state)
{
    (void)state;
    /* numbers first, but none that 64 bits of nanoseconds hold */
    static const char *const texts[] = {
        "9000000000",          "999999999999.5",          "-9000000000", "", "-", "12.", "2022-13-03 10:00:00",
        "2022-06-03 24:00:00", "2022-06-03 10:00:00 EST", "2022-06-03"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        int64_t ns;
        assert_false(read_time(texts[i], &ns));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_times), cmocka_unit_test(test_no_times)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
