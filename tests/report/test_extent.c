/* What a section says of its rows and of how long its models were trained. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include "report/report.h"
#include "storage/storage.h"

static char root[64];

static void write_file(const char *name, const char *text)
{
    char *path = ws_format("%s/%s", root, name), *end = strrchr(path, '/');
    *end = '\0';
    assert_int_equal(ws_directory_create(path), WS_OK);
    *end = '/';
    assert_int_equal(ws_file_write(path, text, strlen(text)), WS_OK);
    free(path);
}

/* training: the record's object with its key, or nothing */
static void record(const char *id, int train, const char *training)
{
    char *name = ws_format("trials/%s/record.json", id);
    char *text = ws_format("{\"schema\":1,\"id\":\"%s\",\"status\":\"done\",\"result\":{\"counts\":{\"train\":%d,"
                           "\"validation\":20,\"test\":40,\"classes\":2}%s,\"scores\":{\"s\":{\"auroc\":0.5}}},"
                           "\"run\":{\"program_hash\":\"p\"}}",
                           id, train, training);
    write_file(name, text);
    free(text);
    free(name);
}

/* cells: one configuration each; every one has the trials <cell>a and <cell>b. */
static char *table_of(const char *const *configs, int count)
{
    ws_text manifest = {0}, out = {0};
    ws_report *report = NULL;
    ws_text_append(&manifest, "{\"schema\":1,\"name\":\"extent\",\"cells\":[");
    for (int c = 0; c < count; c++)
        ws_text_appendf(&manifest,
                        "%s{\"cell\":\"%d\",\"store_hash\":\"s\",\"dataset\":\"d\",\"config\":{\"task\":\"anomaly\","
                        "\"protocol\":\"host\",%s}}",
                        c ? "," : "", c, configs[c]);
    ws_text_append(&manifest, "],\"trials\":[");
    for (int t = 0; t < 2 * count; t++)
        ws_text_appendf(&manifest,
                        "%s{\"id\":\"%d%c\",\"cell\":\"%d\",\"train_seed\":%d,\"protocol_seed\":%d,\"split_hash\":"
                        "\"h%d\"}",
                        t ? "," : "", t / 2, 'a' + t % 2, t / 2, t % 2, t % 2, t % 2);
    ws_text_append(&manifest, "]}");
    write_file("sweep.json", ws_text_string(&manifest));
    ws_text_destroy(&manifest);
    assert_int_equal(ws_report_load(&report, root), WS_OK);
    assert_int_equal(ws_report_markdown(report, &out), WS_OK);
    ws_report_destroy(&report);
    return out.data;
}

static void assert_holds(const char *text, const char *line)
{
    if (!strstr(text, line))
        fail_msg("not in the table: %s\n%s", line, text);
}

static void rows_and_passes_are_ranges_over_the_seeds(void **state)
{
    (void)state;
    const char *configs[] = {"\"model\":{\"kind\":\"flow_cfm\"},\"train\":{\"batch\":50}"};
    record("0a", 100, ",\"training\":{\"steps\":10,\"selected_step\":10}");
    record("0b", 200, ",\"training\":{\"steps\":10,\"selected_step\":10}");
    char *text = table_of(configs, 1);
    assert_holds(text, "\nRows: train 100 to 200, validation 20, test 40; 2 classes.\n");
    assert_holds(text, "\nTrained: flow_cfm 10 steps of 50 rows, the training rows 2.5 to 5.0 times over.\n");
    free(text);
}

static void a_model_ended_early_or_kept_from_before_the_end_says_so(void **state)
{
    (void)state;
    const char *configs[] = {"\"model\":{\"kind\":\"spline_flow\"},\"train\":{\"batch\":100}"};
    record("0a", 100, ",\"training\":{\"steps\":8,\"selected_step\":5}");
    record("0b", 100, ",\"training\":{\"steps\":10,\"selected_step\":10}");
    char *text = table_of(configs, 1);
    assert_holds(text, "Trained: spline_flow 8 to 10 steps of 100 rows, the training rows 8.0 to 10.0 times over, step "
                       "5 to 10 kept.\n");
    free(text);
}

static void cells_of_one_model_are_told_apart_where_they_differ(void **state)
{
    (void)state;
    const char *configs[] = {"\"model\":{\"kind\":\"flow_cfm\",\"sigma\":0.1},\"train\":{\"batch\":50}",
                             "\"model\":{\"kind\":\"flow_cfm\",\"sigma\":0.6},\"train\":{\"batch\":50}",
                             "\"model\":{\"kind\":\"mahalanobis\"}",
                             "\"model\":{\"kind\":\"tccm\",\"width\":1},\"train\":{\"batch\":50}",
                             "\"model\":{\"kind\":\"tccm\",\"width\":2},\"train\":{\"batch\":50}"};
    for (int t = 0; t < 10; t++) {
        char id[3] = {(char)('0' + t / 2), (char)('a' + t % 2), '\0'};
        record(id, 100,
               t / 2 == 2   ? "" /* fitted, not trained in steps */
               : t / 2 == 4 ? ",\"training\":{\"steps\":20,\"selected_step\":20}"
                            : ",\"training\":{\"steps\":10,\"selected_step\":10}");
    }
    char *text = table_of(configs, 5);
    assert_holds(text, "Trained: flow_cfm 10 steps of 50 rows, the training rows 5.0 times over; tccm width=1 10 steps "
                       "of 50 rows, the training rows 5.0 times over; tccm width=2 20 steps of 50 rows, the training "
                       "rows 10.0 times over.\n");
    free(text);
}

static void nothing_is_said_where_nothing_was_trained(void **state)
{
    (void)state;
    const char *configs[] = {"\"model\":{\"kind\":\"mahalanobis\"}"};
    record("0a", 100, "");
    record("0b", 100, "");
    char *text = table_of(configs, 1);
    assert_null(strstr(text, "Trained"));
    free(text);
}

static int setup(void **state)
{
    (void)state;
    snprintf(root, sizeof root, "/tmp/wiresweep-extent-XXXXXX");
    assert_non_null(mkdtemp(root));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    assert_int_equal(ws_directory_remove(root), WS_OK);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(rows_and_passes_are_ranges_over_the_seeds, setup, teardown),
        cmocka_unit_test_setup_teardown(a_model_ended_early_or_kept_from_before_the_end_says_so, setup, teardown),
        cmocka_unit_test_setup_teardown(cells_of_one_model_are_told_apart_where_they_differ, setup, teardown),
        cmocka_unit_test_setup_teardown(nothing_is_said_where_nothing_was_trained, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
