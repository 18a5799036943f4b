/* ctest: labels=gpu devices timeout=120
 * bench gpu measures every operator of its list, forward and backward, and a step of every network; each against a ceiling.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include "models/models.h"

static size_t lines_with(const char *text, const char *word)
{
    size_t lines = 0;
    for (const char *at = text; (at = strstr(at, word)); at++)
        lines++;
    return lines;
}

static void every_line_has_a_rate_and_a_ceiling(void **state)
{
    (void)state;
    ws_text out = {0};
    if (ws_bench_gpu(&out, true, 256) != WS_OK)
        fail_msg("%s", ws_error_message());
    const char *text = ws_text_string(&out);
    size_t lines = lines_with(text, "\"name\""), networks = 0;
    for (size_t i = 0; ws_models[i]; i++)
        networks += ws_models[i]->network != NULL;
    assert_true(lines_with(text, " forward\"") >= 20);
    assert_int_equal(lines_with(text, " forward\""), lines_with(text, " backward\""));
    assert_int_equal(lines_with(text, ", captured\""), networks);
    assert_int_equal(lines_with(text, "\"ceiling\""), lines - 3); /* the ceilings themselves have none */
    for (const char *at = text; (at = strstr(at, "\"value\":")); at++) {
        double value = strtod(at + strlen("\"value\":"), NULL);
        assert_true(isfinite(value) && value > 0);
    }
    ws_text_destroy(&out);
}

int main(void)
{
    ws_place place;
    if (ws_place_open(&place, WS_CUDA, 0) != WS_OK) {
        printf("skip: %s\n", ws_error_message());
        return 77;
    }
    ws_place_close(&place);
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_line_has_a_rate_and_a_ceiling)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
