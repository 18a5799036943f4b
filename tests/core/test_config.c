/* Configuration: strict JSON with positions, option tables, the command line. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "core/core.h"

typedef struct settings {
    int64_t steps;
    double rate;
    bool fast;
    const char *label, *store;
    int reduction;
    ws_string_list scores;
} settings;
static const ws_option fields[] = {WS_OPTION_INT(settings, steps, 20000, 1, 1e9, "optimiser steps"),
                                   WS_OPTION_DOUBLE(settings, rate, 1e-3, 0, 10, "learning rate"),
                                   WS_OPTION_BOOL(settings, fast, false, "hurry"),
                                   WS_OPTION_STRING(settings, label, NULL, "label level"),
                                   WS_OPTION_REQUIRED_PATH(settings, store, "the store to train on"),
                                   WS_OPTION_ENUM(settings, reduction, "fixed", "fixed|fast", "how to sum"),
                                   WS_OPTION_LIST(settings, scores, "a,b", "scores"),
                                   WS_OPTION_END};
static const ws_option_table table = {"train", sizeof(settings), fields, "training"};

static void refused(const char *text, const char *message)
{
    ws_json *document = NULL;
    assert_int_equal(ws_json_read_text(&document, text, "c.json"), WS_E_CONFIG);
    if (!strstr(ws_error_message(), message))
        fail_msg("expected \"%s\" in \"%s\"", message, ws_error_message());
    assert_null(document);
}

static void bad_json_is_refused_with_its_place(void **state)
{
    (void)state;
    refused("", "c.json:1:1: the text ends");
    refused("{\"a\": 1,\n \"a\": 2}", "c.json:2:2: duplicate key \"a\"");
    refused("{} x", "c.json:1:4: text behind");
    refused("{\"a\": 1e400}", "c.json:1:7: this number is too large");
    refused("{\"a\": 9007199254740993}", "c.json:1:7: this integer is above 2^53");
    refused("{\"a\": -9007199254740993}", "above 2^53");
    refused("{\"a\": 01}", "no JSON number");
    refused("{\"a\": 1,}", "no comma");
    refused("[1,]", "no comma");
    refused("{\"a\" 1}", "expected ':'");
    refused("{\"a\": \"x}", "c.json:1:7: this string is never closed");
    refused("{\"a\": \"\\q\"}", "bad escape");
    refused("{\"a\": nul}", "expected a value");
    refused("{\"a\": NaN}", "expected a value");
    refused("{a: 1}", "expected a key in double quotes");
    char deep[1001];
    memset(deep, '[', 1000);
    deep[1000] = '\0';
    refused(deep, "nested too deeply");
    ws_json *document;
    assert_int_equal(ws_json_read_text(&document, "\xef\xbb\xbf{\"a\": 9007199254740992}", "c.json"), WS_OK);
    ws_json_destroy(&document);
    assert_int_equal(ws_json_read_file(&document, "no/such.json"), WS_E_CONFIG);
    assert_non_null(strstr(ws_error_message(), "no/such.json"));
}

static ws_err read_settings(const char *text, settings *out, ws_arena *arena)
{
    ws_json *document = NULL;
    WS_TRY(ws_json_read_text(&document, text, "dir/c.json"));
    ws_problems problems = {0};
    ws_err error = ws_options_read(&table, document, ws_json_root(document), "train", NULL, arena, out, &problems);
    ws_err found = ws_problems_error(&problems);
    ws_json_destroy(&document);
    return error != WS_OK ? error : found;
}

static void all_problems_are_told_at_once(void **state)
{
    (void)state;
    ws_arena *arena;
    assert_int_equal(ws_arena_create(&arena, 4096), WS_OK);
    settings values;
    assert_int_equal(read_settings("{\n  \"setps\": 5,\n  \"rate\": 11,\n  \"steps\": 2.5,\n  \"fast\": 1,\n"
                                   "  \"reduction\": \"tree\",\n  \"scores\": [1]\n}",
                                   &values, arena),
                     WS_E_CONFIG);
    static const char *const expected[] = {
        "dir/c.json:2:12: error: train.setps: unknown key. Did you mean \"steps\"?",
        "dir/c.json:3:11: error: train.rate: 11 is out of range, allowed is 0 to 10",
        "dir/c.json:4:12: error: train.steps: 2.5 is not an integer",
        "dir/c.json:5:11: error: train.fast: expected true or false",
        "dir/c.json:6:16: error: train.reduction: \"tree\" is not one of fixed, fast",
        "dir/c.json:7:13: error: train.scores: expected a list of strings",
        "dir/c.json:1:1: error: train.store is missing: the store to train on",
        "7 errors; nothing was started"};
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++)
        if (!strstr(ws_error_message(), expected[i]))
            fail_msg("expected \"%s\" in \"%s\"", expected[i], ws_error_message());
    /* one text where a list belongs, which is also what --set scores=a,b makes, is shown as it must be written */
    assert_int_equal(read_settings("{\"store\": \"s.h5\", \"scores\": \"a,bc\"}", &values, arena), WS_E_CONFIG);
    assert_non_null(strstr(ws_error_message(), "train.scores: expected a list of strings: [\"a\", \"bc\"]\n"));
    ws_arena_destroy(&arena);
}

static void values_defaults_and_printing_round_trip(void **state)
{
    (void)state;
    ws_arena *arena;
    assert_int_equal(ws_arena_create(&arena, 4096), WS_OK);
    settings values, again;
    assert_int_equal(read_settings("{\"store\": \"s.h5\", \"rate\": 0.25, \"reduction\": \"fast\", \"label\": \"x\"}",
                                   &values, arena),
                     WS_OK);
    assert_int_equal(values.steps, 20000);
    assert_true(values.rate == 0.25 && !values.fast && values.reduction == 1);
    assert_string_equal(values.store, "dir/s.h5"); /* relative to the file that names it */
    assert_int_equal(values.scores.count, 2);
    assert_string_equal(values.scores.items[1], "b");
    values.store = "/s.h5";
    cJSON *printed = ws_options_print(&table, &values);
    ws_text text = {0}, text_again = {0};
    assert_int_equal(ws_json_canonical(printed, &text), WS_OK);
    assert_string_equal(text.data,
                        "{\"fast\":false,\"label\":\"x\",\"rate\":0.25,\"reduction\":\"fast\",\"scores\":[\"a\",\"b\"],"
                        "\"steps\":20000,\"store\":\"/s.h5\"}");
    assert_int_equal(read_settings(text.data, &again, arena), WS_OK);
    cJSON *printed_again = ws_options_print(&table, &again);
    assert_int_equal(ws_json_canonical(printed_again, &text_again), WS_OK);
    assert_string_equal(text.data, text_again.data);
    cJSON_Delete(printed);
    cJSON_Delete(printed_again);
    ws_text_destroy(&text);
    ws_text_destroy(&text_again);
    ws_arena_destroy(&arena);
}

static void settings_from_outside_override(void **state)
{
    (void)state;
    ws_json *document;
    assert_int_equal(ws_json_read_text(&document, "{\"train\": {\"steps\": 5}, \"name\": \"x\"}", "c.json"), WS_OK);
    assert_int_equal(ws_json_set(document, "train.steps=7"), WS_OK);
    assert_int_equal(ws_json_set(document, "model.kind=flow_cfm"), WS_OK);
    assert_int_equal(ws_json_set(document, "normal=[\"Web\",\"Chat\"]"), WS_OK);
    assert_int_equal(ws_json_set(document, "train.steps=1e400"), WS_E_CONFIG);
    assert_int_equal(ws_json_set(document, "train.steps=9007199254740993"), WS_E_CONFIG);
    assert_int_equal(ws_json_set(document, "name.x=1"), WS_E_CONFIG);
    assert_int_equal(ws_json_set(document, "novalue"), WS_E_CONFIG);
    ws_text text = {0};
    assert_int_equal(ws_json_canonical(ws_json_root(document), &text), WS_OK);
    assert_string_equal(
        text.data,
        "{\"model\":{\"kind\":\"flow_cfm\"},\"name\":\"x\",\"normal\":[\"Web\",\"Chat\"],\"train\":{\"steps\":7}}");
    ws_text_destroy(&text);
    ws_json_destroy(&document);
}

static void command_line_reads_options_and_positionals(void **state)
{
    (void)state;
    ws_arena *arena;
    assert_int_equal(ws_arena_create(&arena, 4096), WS_OK);
    settings values;
    ws_string_list rest;
    char *good[] = {"in.pcap", "--steps=9", "--store", "x.h5", "--fast", "--scores",
                    "p,q",     "--scores",  "r",       "--",   "--odd"};
    assert_int_equal(ws_options_command_line(&table, 11, good, arena, &values, &rest), WS_OK);
    assert_true(values.steps == 9 && values.fast && values.scores.count == 3 && rest.count == 2);
    assert_string_equal(values.scores.items[2], "r");
    assert_string_equal(rest.items[1], "--odd");
    char *unknown[] = {"--stpes", "9"};
    assert_int_equal(ws_options_command_line(&table, 2, unknown, arena, &values, &rest), WS_E_ARGUMENT);
    assert_non_null(strstr(ws_error_hint(), "--steps"));
    char *missing[] = {"--steps"};
    assert_int_equal(ws_options_command_line(&table, 1, missing, arena, &values, &rest), WS_E_ARGUMENT);
    char *range[] = {"--store", "x", "--steps", "0"};
    assert_int_equal(ws_options_command_line(&table, 4, range, arena, &values, &rest), WS_E_ARGUMENT);
    char *required[] = {"--steps", "5"};
    assert_int_equal(ws_options_command_line(&table, 2, required, arena, &values, &rest), WS_E_ARGUMENT);
    assert_non_null(strstr(ws_error_message(), "--store"));
    ws_arena_destroy(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_json_is_refused_with_its_place),         cmocka_unit_test(all_problems_are_told_at_once),
        cmocka_unit_test(values_defaults_and_printing_round_trip),    cmocka_unit_test(settings_from_outside_override),
        cmocka_unit_test(command_line_reads_options_and_positionals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
